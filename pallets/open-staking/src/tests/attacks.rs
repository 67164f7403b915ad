//! What a clever staker tries, and what it gets.

use crate::{mock::*, Error, Pools};
use frame_support::{assert_noop, assert_ok};
use proptest::prelude::*;

/// Takes everything out of the pool and returns what it was.
fn leave(who: &sp_runtime::AccountId32) -> u128 {
    let shares = held(&MODEL, who).shares;
    assert_ok!(unstake(who, MODEL, shares));
    blocks(UNBONDING);
    withdraw(who, MODEL)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// The first depositor makes a share dear by a gift, so that the second's stake is rounded away in its favour.
    #[test]
    fn the_first_depositor_should_gain_nothing_by_making_shares_dear(
        first in 1u128..10,
        gift in prop_oneof![1u128..1_000, 1_000u128..10_000_000],
        second in OPEN..1_000_000 * OPEN,
    ) {
        test(|| {
            stake(&eve(), MODEL, first * OPEN);
            income(&MODEL, gift * OPEN);
            blocks(PERIOD);
            let before = Balances::free_balance(alice());
            let bought = OpenStaking::stake(Some(alice()).into(), MODEL, second, 0);
            if bought.is_err() {
                // A stake too small for one share is refused and costs nothing.
                assert_eq!(bought, Err(Error::<Test>::TooFewShares.into()));
            }
            let paid = before - Balances::free_balance(alice());
            // The victim loses a planck to rounding and no more, and the attacker's gift goes to the virtual shares too.
            assert!(paid - held(&MODEL, &alice()).staked <= 1);
            let came_back = leave(&eve());
            let nobodys = gift * OPEN / (first + 1);
            assert!(came_back <= first * OPEN + gift * OPEN - nobodys + 2, "{came_back}");
        });
    }

    /// Somebody who knows that a payment is coming stakes before it and leaves after it.
    #[test]
    fn staking_around_a_payment_should_skim_nothing(
        honest in 1u128..1_000,
        skimmer in 1u128..10_000_000,
        payment in 1u128..1_000_000,
        stays in 0..5u64,
    ) {
        test(|| {
            stake(&alice(), MODEL, honest * OPEN);
            stake(&eve(), MODEL, skimmer * OPEN);
            income(&MODEL, payment * OPEN);
            blocks(stays);
            let back = leave(&eve());
            // In the block of the payment nothing; each block it stays, its part of a block's stream and no more.
            let share = skimmer * payment * OPEN / (skimmer + honest + 1);
            let fair = share * u128::from(stays) / u128::from(PERIOD);
            assert!(back <= skimmer * OPEN + fair + 1, "{back}, fair {fair}");
            assert!(stays > 0 || back <= skimmer * OPEN);
            // The rest is Alice's.
            blocks(PERIOD);
            let rest = payment * OPEN - fair;
            let hers = held(&MODEL, &alice()).staked - honest * OPEN;
            assert!(hers >= rest / (honest + 1) * honest - OPEN, "{hers} of {rest}");
        });
    }
}

#[test]
fn staking_after_a_payment_should_dilute_nothing_that_has_arrived() {
    test(|| {
        stake(&alice(), MODEL, 10 * OPEN);
        income(&MODEL, 11 * OPEN);
        blocks(PERIOD);
        assert_eq!(held(&MODEL, &alice()).staked, 20 * OPEN);
        stake(&eve(), MODEL, 1_000_000 * OPEN);
        assert!(held(&MODEL, &alice()).staked >= 20 * OPEN);
        assert!(leave(&eve()) <= 1_000_000 * OPEN);
    });
}

#[test]
fn who_unbonds_and_then_lies_should_still_be_slashed() {
    test(|| {
        let pool = openledger_protocol::staking::Pool::Worker(eve());
        let shares = stake(&eve(), pool.clone(), 100 * OPEN);
        assert_ok!(unstake(&eve(), pool.clone(), shares));
        // It lies just after; the dispute takes until just before the stake could leave.
        blocks(1);
        freeze(&pool);
        blocks(UNBONDING + 10);
        assert_noop!(
            OpenStaking::withdraw(Some(eve()).into(), pool.clone()),
            Error::<Test>::Frozen
        );
        assert_eq!(slash(&pool, 60 * OPEN), 60 * OPEN);
        thaw(&pool);
        assert_eq!(withdraw(&eve(), pool), 40 * OPEN);
    });
}

#[test]
fn who_asked_back_but_did_not_withdraw_should_still_be_slashed() {
    test(|| {
        let shares = stake(&eve(), MODEL, 100 * OPEN);
        assert_ok!(unstake(&eve(), MODEL, shares));
        blocks(10 * UNBONDING);
        assert_eq!(held(&MODEL, &eve()).ready, 100 * OPEN);
        assert_eq!(slash(&MODEL, 100 * OPEN), 100 * OPEN);
        assert_eq!(withdraw(&eve(), MODEL), 0);
    });
}

#[test]
fn emptying_a_pool_should_not_give_its_stream_to_the_next() {
    test(|| {
        let shares = stake(&alice(), MODEL, 10 * OPEN);
        income(&MODEL, 1_000 * OPEN);
        assert_ok!(unstake(&alice(), MODEL, shares));
        assert_eq!(treasury(), 1_000 * OPEN);
        stake(&eve(), MODEL, OPEN);
        blocks(PERIOD);
        assert_eq!(leave(&eve()), OPEN);
    });
}

#[test]
fn going_in_and_out_should_never_pay() {
    test(|| {
        stake(&alice(), MODEL, 12_345_678_901_234_567_890);
        income(&MODEL, 9_876_543_210_987_654_321);
        blocks(33);
        slash(&MODEL, 3_333_333_333_333_333_333);
        for amount in [OPEN, OPEN + 1, 2 * OPEN - 1, 7_777_777_777_777_777_777] {
            let before = Balances::free_balance(eve());
            let shares = stake(&eve(), MODEL, amount);
            assert_ok!(unstake(&eve(), MODEL, shares));
            assert!(held(&MODEL, &eve()).leaving <= before - Balances::free_balance(eve()));
            blocks(UNBONDING);
            withdraw(&eve(), MODEL);
            assert!(Balances::free_balance(eve()) <= before);
        }
        assert_eq!(Pools::<Test>::get(MODEL).unwrap().leaving_shares, 0);
    });
}

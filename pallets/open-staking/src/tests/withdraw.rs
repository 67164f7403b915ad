use crate::{mock::*, Due, Error, Event, Held, Pools, Stakers};
use frame_support::{assert_noop, assert_ok};
use openledger_traits::Stakes;
use sp_runtime::TokenError;

#[test]
fn what_has_waited_should_come_back_and_leave_nothing_behind() {
    test(|| {
        let shares = stake(&alice(), MODEL, 10 * OPEN);
        assert_ok!(unstake(&alice(), MODEL, shares / 2));
        blocks(UNBONDING / 2);
        assert_ok!(unstake(&alice(), MODEL, shares - shares / 2));
        let withdraw_now = || OpenStaking::withdraw(Some(alice()).into(), MODEL);
        blocks(UNBONDING / 2 - 1);
        assert_noop!(withdraw_now(), Error::<Test>::NotYet);
        blocks(1);
        assert_eq!(withdraw(&alice(), MODEL), 5 * OPEN);
        assert_noop!(withdraw_now(), Error::<Test>::NotYet);
        blocks(UNBONDING);
        assert_eq!(withdraw(&alice(), MODEL), 5 * OPEN);
        assert_noop!(withdraw_now(), Error::<Test>::NotStaker);
        assert_eq!(Balances::free_balance(alice()), RICH);
        assert!(!Pools::<Test>::contains_key(MODEL));
        assert_eq!((Stakers::<Test>::iter().count(), Held::<Test>::get()), (0, 0));
        System::assert_has_event(
            Event::Closed {
                pool: MODEL,
                epoch: 0,
            }
            .into(),
        );
    });
}

#[test]
fn staking_alone_should_give_nothing_to_withdraw() {
    test(|| {
        stake(&alice(), MODEL, OPEN);
        blocks(1_000);
        assert_noop!(
            OpenStaking::withdraw(Some(alice()).into(), MODEL),
            Error::<Test>::NotYet
        );
    });
}

#[test]
fn anybody_should_be_able_to_withdraw_for_somebody() {
    test(|| {
        let shares = stake(&alice(), MODEL, OPEN);
        assert_ok!(unstake(&alice(), MODEL, shares));
        blocks(UNBONDING);
        assert_ok!(OpenStaking::withdraw_for(Some(eve()).into(), MODEL, alice()));
        assert_eq!(Balances::free_balance(alice()), RICH);
        assert_eq!(Balances::free_balance(eve()), RICH);
    });
}

#[test]
fn what_no_account_can_live_on_should_wait_for_one() {
    test(|| {
        stake(&alice(), MODEL, 3 * OPEN);
        stake(&bob(), MODEL, RICH / 2);
        assert_ok!(unstake(&alice(), MODEL, 1));
        // Little is left of it, and nothing of the account.
        let total = OpenStaking::total(&MODEL);
        slash(&MODEL, total - total / 10_000_000_000);
        assert!(held(&MODEL, &alice()).leaving < LIVE);
        let all = Balances::free_balance(alice());
        assert_ok!(Balances::transfer_allow_death(Some(alice()).into(), bob(), all));
        blocks(UNBONDING);
        assert_noop!(
            OpenStaking::withdraw_for(Some(eve()).into(), MODEL, alice()),
            TokenError::BelowMinimum
        );
        assert_ok!(Balances::transfer_allow_death(Some(bob()).into(), alice(), LIVE));
        assert!(withdraw(&alice(), MODEL) < LIVE);
    });
}

#[test]
fn a_treasury_that_is_not_there_should_stop_nobody() {
    test(|| {
        let treasury = Treasury::get();
        assert_ok!(Balances::transfer_allow_death(
            Some(treasury.clone()).into(),
            payer(),
            LIVE
        ));
        let shares = stake(&alice(), MODEL, 3 * OPEN);
        income(&MODEL, 5);
        assert_ok!(unstake(&alice(), MODEL, shares));
        assert_eq!(Due::<Test>::get(), 5);
        blocks(UNBONDING);
        assert_eq!(withdraw(&alice(), MODEL), 3 * OPEN);
        assert_eq!((Held::<Test>::get(), Due::<Test>::get()), (0, 5));
        // With the next payment it gets all of it.
        income(&MODEL, LIVE);
        assert_eq!(
            (Due::<Test>::get(), Balances::free_balance(treasury)),
            (0, LIVE + 5)
        );
    });
}

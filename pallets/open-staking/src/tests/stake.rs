use crate::{mock::*, Error, Event, NextEpoch, Pools};
use frame_support::{assert_noop, assert_ok};
use openledger_protocol::staking::{Pool, VIRTUAL_SHARES};
use sp_runtime::{ArithmeticError, TokenError};

#[test]
fn the_first_stake_should_open_the_pool_at_a_million_shares_for_one_open() {
    test(|| {
        assert_ok!(OpenStaking::stake(
            Some(alice()).into(),
            MODEL,
            5 * OPEN,
            5 * VIRTUAL_SHARES
        ));
        assert_eq!(Balances::free_balance(alice()), RICH - 5 * OPEN);
        let worth = held(&MODEL, &alice());
        assert_eq!((worth.shares, worth.staked), (5 * VIRTUAL_SHARES, 5 * OPEN));
        assert_eq!(Pools::<Test>::get(MODEL).unwrap().members, 1);
        System::assert_has_event(
            Event::Opened {
                pool: MODEL,
                epoch: 0,
            }
            .into(),
        );
        System::assert_last_event(
            Event::Staked {
                pool: MODEL,
                who: alice(),
                amount: 5 * OPEN,
                shares: 5 * VIRTUAL_SHARES,
            }
            .into(),
        );
    });
}

#[test]
fn pools_should_be_kept_apart() {
    test(|| {
        let pools = [
            Pool::Worker(bob()),
            Pool::Worker(eve()),
            Pool::Model(1),
            Pool::Datanet(1),
            Pool::Agent(1),
        ];
        for (n, pool) in (1u128..).zip(&pools) {
            stake(&alice(), pool.clone(), n * OPEN);
        }
        slash(&pools[1], OPEN);
        income(&pools[3], OPEN);
        let staked: Vec<_> = pools
            .iter()
            .map(|pool| held(pool, &alice()).staked / OPEN)
            .collect();
        assert_eq!(staked, [1, 1, 3, 4, 5]);
        assert_eq!(NextEpoch::<Test>::get(), 5);
    });
}

#[test]
fn only_what_whole_shares_cost_should_be_taken() {
    test(|| {
        stake(&alice(), MODEL, OPEN);
        // A share costs 10¹² planck.
        let odd = 3 * OPEN + 999_999_999_999;
        assert_eq!(OpenStaking::quote(MODEL, odd), Some((3_000_000, 3 * OPEN)));
        assert_eq!(stake(&bob(), MODEL, odd), 3_000_000);
        assert_eq!(Balances::free_balance(bob()), RICH - 3 * OPEN);
    });
}

#[test]
fn more_stake_of_one_account_should_add_up() {
    test(|| {
        stake(&alice(), MODEL, OPEN);
        stake(&alice(), MODEL, 2 * OPEN);
        assert_eq!(held(&MODEL, &alice()).staked, 3 * OPEN);
        assert_eq!(Pools::<Test>::get(MODEL).unwrap().members, 1);
    });
}

#[test]
fn staking_should_be_refused_when_it_is_too_little_or_behind_nothing() {
    test(|| {
        let by = || Some(alice()).into();
        assert_noop!(
            OpenStaking::stake(by(), MODEL, OPEN - 1, 0),
            Error::<Test>::TooLittle
        );
        assert_noop!(
            OpenStaking::stake(by(), Pool::Model(100), OPEN, 0),
            Error::<Test>::NoSuchAsset
        );
        assert_noop!(
            OpenStaking::stake(by(), MODEL, RICH + OPEN, 0),
            TokenError::FundsUnavailable
        );
        // What it lives on stays, or it could not be paid back.
        assert_noop!(
            OpenStaking::stake(by(), MODEL, RICH, 0),
            TokenError::NotExpendable
        );
        assert_noop!(
            OpenStaking::stake(by(), MODEL, u128::MAX, 0),
            ArithmeticError::Underflow
        );
    });
}

#[test]
fn a_price_that_rose_should_refuse_instead_of_selling_less() {
    test(|| {
        stake(&alice(), MODEL, 10 * OPEN);
        let (expected, _) = OpenStaking::quote(MODEL, OPEN).unwrap();
        income(&MODEL, OPEN);
        blocks(PERIOD);
        assert_noop!(
            OpenStaking::stake(Some(bob()).into(), MODEL, OPEN, expected),
            Error::<Test>::TooFewShares
        );
        assert_ok!(OpenStaking::stake(
            Some(bob()).into(),
            MODEL,
            OPEN,
            expected * 9 / 10
        ));
    });
}

#[test]
fn the_least_stake_should_be_enough_for_an_account() {
    use frame_support::traits::IntegrityTest;
    new_test_ext().execute_with(<OpenStaking as IntegrityTest>::integrity_test);
}

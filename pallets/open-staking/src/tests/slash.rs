use crate::{mock::*, Error, Event, Held, NextEpoch, Pools, Stakers};
use frame_support::{assert_noop, assert_ok};
use openledger_protocol::staking::{Worth, NOTHING};
use openledger_traits::Stakes;

#[test]
fn a_slash_should_hit_staked_and_leaving_alike() {
    test(|| {
        let shares = stake(&alice(), MODEL, 10 * OPEN);
        stake(&bob(), MODEL, 30 * OPEN);
        assert_ok!(unstake(&alice(), MODEL, shares));
        assert_eq!(OpenStaking::total(&MODEL), 40 * OPEN);
        assert_eq!(slash(&MODEL, 10 * OPEN), 10 * OPEN);
        System::assert_has_event(
            Event::Slashed {
                pool: MODEL,
                amount: 10 * OPEN,
            }
            .into(),
        );
        assert_eq!(treasury(), 10 * OPEN);
        assert_eq!(held(&MODEL, &alice()).leaving, 75 * OPEN / 10);
        assert_eq!(held(&MODEL, &bob()).staked, 225 * OPEN / 10);
        blocks(UNBONDING);
        assert_eq!(withdraw(&alice(), MODEL), 75 * OPEN / 10);
    });
}

#[test]
fn a_slash_should_take_what_has_streamed_and_leave_what_has_not() {
    test(|| {
        stake(&alice(), MODEL, OPEN);
        income(&MODEL, 4 * OPEN);
        blocks(PERIOD / 2);
        assert_eq!(OpenStaking::total(&MODEL), 3 * OPEN);
        assert_eq!(slash(&MODEL, 15 * OPEN / 10), 15 * OPEN / 10);
        assert_eq!(OpenStaking::total(&MODEL), 15 * OPEN / 10);
        assert_eq!(Pools::<Test>::get(MODEL).unwrap().stream.rest, 2 * OPEN);
        blocks(PERIOD);
        assert_eq!(OpenStaking::total(&MODEL), 35 * OPEN / 10);
    });
}

#[test]
fn nothing_should_be_taken_where_nothing_is() {
    test(|| {
        assert_eq!(slash(&MODEL, OPEN), 0);
        stake(&alice(), MODEL, OPEN);
        assert_eq!(slash(&MODEL, 0), 0);
        assert_eq!(held(&MODEL, &alice()).staked, OPEN);
    });
}

#[test]
fn a_pool_slashed_to_zero_should_close_and_reopen_with_another_epoch() {
    test(|| {
        let shares = stake(&alice(), MODEL, 10 * OPEN);
        stake(&bob(), MODEL, 10 * OPEN);
        assert_ok!(unstake(&alice(), MODEL, shares / 2));
        income(&MODEL, OPEN);
        assert_eq!(slash(&MODEL, u128::MAX), 20 * OPEN);
        // What was still streaming has nobody to go to.
        assert_eq!((treasury(), Held::<Test>::get()), (21 * OPEN, 0));
        assert!(!Pools::<Test>::contains_key(MODEL));
        System::assert_has_event(
            Event::Closed {
                pool: MODEL,
                epoch: 0,
            }
            .into(),
        );
        for who in [alice(), bob()] {
            assert_eq!(held(&MODEL, &who), Worth::default());
            assert_noop!(unstake(&who, MODEL, 1), Error::<Test>::NotStaker);
        }

        // Eve opens it anew, at the first price; nobody else has a part of hers.
        assert_eq!(stake(&eve(), MODEL, 10 * OPEN), shares);
        assert_eq!(Pools::<Test>::get(MODEL).unwrap().epoch, 1);
        assert_eq!(Pools::<Test>::get(MODEL).unwrap().members, 1);
        assert_eq!(held(&MODEL, &alice()), Worth::default());
        assert_noop!(unstake(&alice(), MODEL, shares / 2), Error::<Test>::NotStaker);
        // What is worth nothing is removed at once, without waiting, by its owner or by anybody.
        assert_eq!(withdraw(&alice(), MODEL), 0);
        assert_ok!(OpenStaking::withdraw_for(Some(eve()).into(), MODEL, bob()));
        assert_eq!(Stakers::<Test>::iter().count(), 1);
        assert_eq!(held(&MODEL, &eve()).staked, 10 * OPEN);
    });
}

#[test]
fn who_stakes_anew_should_lose_only_what_is_worth_nothing() {
    test(|| {
        let shares = stake(&alice(), MODEL, 10 * OPEN);
        assert_ok!(unstake(&alice(), MODEL, shares / 2));
        slash(&MODEL, u128::MAX);
        assert_eq!(stake(&alice(), MODEL, OPEN), 1_000_000);
        let staker = Stakers::<Test>::get(MODEL, alice()).unwrap();
        assert_eq!(
            (staker.epoch, staker.shares, staker.leaving.len()),
            (1, 1_000_000, 0)
        );
        assert_eq!(NextEpoch::<Test>::get(), 2);
    });
}

#[test]
fn what_is_left_of_a_closed_pool_should_be_removable_before_it_reopens() {
    test(|| {
        stake(&alice(), MODEL, 10 * OPEN);
        slash(&MODEL, u128::MAX);
        assert_eq!(withdraw(&alice(), MODEL), 0);
        assert_eq!(Stakers::<Test>::iter().count(), 0);
        assert_noop!(
            OpenStaking::withdraw(Some(alice()).into(), MODEL),
            Error::<Test>::NotStaker
        );
    });
}

#[test]
fn nearly_nothing_should_count_as_nothing() {
    test(|| {
        stake(&alice(), MODEL, 10 * OPEN);
        assert_eq!(slash(&MODEL, 10 * OPEN - NOTHING), 10 * OPEN - NOTHING);
        assert!(Pools::<Test>::contains_key(MODEL));
        assert_eq!(slash(&MODEL, 1), 1);
        assert!(!Pools::<Test>::contains_key(MODEL));
        assert_eq!((treasury(), Held::<Test>::get()), (10 * OPEN, 0));
    });
}

#[test]
fn a_pool_slashed_too_deep_should_take_nobody_until_its_stakers_have_left() {
    test(|| {
        let shares = stake(&alice(), MODEL, 10_000_000 * OPEN);
        slash(&MODEL, 10_000_000 * OPEN - NOTHING);
        assert_eq!(OpenStaking::quote(MODEL, OPEN), None);
        assert_noop!(
            OpenStaking::stake(Some(bob()).into(), MODEL, OPEN, 0),
            Error::<Test>::Spent
        );
        assert_ok!(unstake(&alice(), MODEL, shares));
        assert_eq!(stake(&bob(), MODEL, OPEN), 1_000_000);
        blocks(UNBONDING);
        let back = withdraw(&alice(), MODEL);
        assert!((NOTHING - 10..=NOTHING).contains(&back), "{back}");
        assert_eq!(held(&MODEL, &bob()).staked, OPEN);
    });
}

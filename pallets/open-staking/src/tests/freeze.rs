use crate::{mock::*, Error, Frozen};
use frame_support::{assert_noop, assert_ok};
use openledger_protocol::staking::Pool;

#[test]
fn a_frozen_pool_should_take_nothing_and_pay_nothing() {
    test(|| {
        let shares = stake(&alice(), MODEL, 10 * OPEN);
        assert_ok!(unstake(&alice(), MODEL, shares / 2));
        blocks(UNBONDING);
        freeze(&MODEL);
        assert_noop!(
            OpenStaking::stake(Some(bob()).into(), MODEL, OPEN, 0),
            Error::<Test>::Frozen
        );
        assert_eq!(OpenStaking::quote(MODEL, OPEN), None);
        assert_noop!(
            OpenStaking::withdraw(Some(alice()).into(), MODEL),
            Error::<Test>::Frozen
        );
        assert_noop!(
            OpenStaking::withdraw_for(Some(bob()).into(), MODEL, alice()),
            Error::<Test>::Frozen
        );
        // Asking back is no way out: it waits, and is slashed.
        assert_ok!(unstake(&alice(), MODEL, shares / 2));
        assert_eq!(slash(&MODEL, 4 * OPEN), 4 * OPEN);
        thaw(&MODEL);
        assert_eq!(withdraw(&alice(), MODEL), 3 * OPEN);
        stake(&bob(), MODEL, OPEN);
    });
}

#[test]
fn disputes_should_be_counted() {
    test(|| {
        stake(&alice(), MODEL, OPEN);
        freeze(&MODEL);
        freeze(&MODEL);
        thaw(&MODEL);
        assert_eq!(Frozen::<Test>::get(MODEL), Some(1));
        assert_noop!(
            OpenStaking::stake(Some(bob()).into(), MODEL, OPEN, 0),
            Error::<Test>::Frozen
        );
        thaw(&MODEL);
        assert_eq!(Frozen::<Test>::iter().count(), 0);
        stake(&bob(), MODEL, OPEN);
    });
}

#[test]
fn a_freeze_should_outlive_the_pool_it_froze() {
    test(|| {
        // Nobody is staked yet.
        freeze(&MODEL);
        assert_noop!(
            OpenStaking::stake(Some(alice()).into(), MODEL, OPEN, 0),
            Error::<Test>::Frozen
        );
        thaw(&MODEL);
        stake(&alice(), MODEL, OPEN);
        freeze(&MODEL);
        freeze(&MODEL);
        slash(&MODEL, u128::MAX);
        thaw(&MODEL);
        assert_noop!(
            OpenStaking::stake(Some(alice()).into(), MODEL, OPEN, 0),
            Error::<Test>::Frozen
        );
        // What is worth nothing is no slashable stake.
        assert_eq!(withdraw(&alice(), MODEL), 0);
        thaw(&MODEL);
        stake(&alice(), MODEL, OPEN);
    });
}

#[test]
fn a_freeze_should_leave_other_pools_alone() {
    test(|| {
        freeze(&MODEL);
        let shares = stake(&alice(), Pool::Datanet(7), OPEN);
        assert_ok!(unstake(&alice(), Pool::Datanet(7), shares));
        blocks(UNBONDING);
        assert_eq!(withdraw(&alice(), Pool::Datanet(7)), OPEN);
    });
}

#[test]
fn income_should_come_while_a_pool_is_frozen() {
    test(|| {
        stake(&alice(), MODEL, OPEN);
        freeze(&MODEL);
        income(&MODEL, 2 * OPEN);
        blocks(PERIOD);
        assert_eq!(held(&MODEL, &alice()).staked, 2 * OPEN);
    });
}

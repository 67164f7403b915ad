use crate::{mock::*, Credits, Error, Event};
use frame_support::{
    assert_noop, assert_ok,
    traits::fungible::{Inspect, Mutate},
};
use openledger_traits::PayOut;

const WHO: AccountId = 500;

/// Brings fees in as a channel does, and announces them.
fn fees(amount: Balance) {
    let fees = Rewards::fees_account();
    // It lives on what genesis gives it.
    let alive = Balances::minimum_balance().saturating_sub(Balances::balance(&fees));
    Balances::mint_into(&fees, amount + alive).unwrap();
    assert_ok!(Rewards::escrowed(amount));
}

#[test]
fn fees_should_not_be_announced_when_they_are_not_there() {
    new_test_ext().execute_with(|| {
        assert_noop!(Rewards::escrowed(1), Error::<Test>::Ledger);
        fees(10_000);
        assert_noop!(Rewards::escrowed(1), Error::<Test>::Ledger);
    });
}

#[test]
fn a_credit_should_be_claimed_once_and_whole() {
    new_test_ext().execute_with(|| {
        fees(10_000);
        assert_ok!(Rewards::credit(&WHO, 4_000));
        assert_ok!(Rewards::credit(&WHO, 2_000));
        assert_eq!(Credits::<Test>::get(WHO), 6_000);
        assert_ok!(Rewards::claim(Some(WHO).into()));
        assert_eq!(Balances::balance(&WHO), 6_000);
        assert_noop!(Rewards::claim(Some(WHO).into()), Error::<Test>::NothingCredited);
        System::assert_has_event(
            Event::Claimed {
                who: WHO,
                amount: 6_000,
            }
            .into(),
        );
        assert_ok!(Rewards::do_try_state());
    });
}

#[test]
fn anyone_should_claim_for_somebody_and_the_money_go_to_whom_it_is_credited() {
    new_test_ext().execute_with(|| {
        fees(10_000);
        assert_ok!(Rewards::credit(&WHO, 4_000));
        let before = Balances::balance(&TREASURY);
        assert_ok!(Rewards::claim_for(Some(TREASURY).into(), WHO));
        assert_eq!(
            (Balances::balance(&WHO), Balances::balance(&TREASURY)),
            (4_000, before)
        );
    });
}

#[test]
fn less_than_an_account_can_live_on_should_wait() {
    new_test_ext().execute_with(|| {
        fees(10_000);
        assert_ok!(Rewards::credit(&WHO, 999));
        assert!(frame_support::storage::with_storage_layer(|| Rewards::claim(Some(WHO).into())).is_err());
        assert_eq!(Credits::<Test>::get(WHO), 999);
        assert_ok!(Rewards::credit(&WHO, 1));
        assert_ok!(Rewards::claim(Some(WHO).into()));
        assert_eq!(Balances::balance(&WHO), 1_000);
    });
}

#[test]
fn no_more_should_be_credited_than_came_in() {
    new_test_ext().execute_with(|| {
        fees(10_000);
        assert_noop!(Rewards::credit(&WHO, 10_001), Error::<Test>::Ledger);
        assert_ok!(Rewards::to_treasury(3_000));
        assert_noop!(Rewards::credit(&WHO, 7_001), Error::<Test>::Ledger);
        assert_ok!(Rewards::credit(&WHO, 7_000));
        assert_ok!(Rewards::do_try_state());
    });
}

use crate::{mock::*, pallet::NextChannel, Error};
use frame_support::{assert_noop, assert_ok, traits::fungible::InspectHold};
use sp_runtime::TokenError;

#[test]
fn opening_should_hold_the_deposit_in_the_consumers_account() {
    test(|| {
        assert_ok!(Channels::open(Some(consumer()).into(), worker(), 5 * OPEN));
        assert_eq!(Balances::total_balance_on_hold(&consumer()), 5 * OPEN);
        assert_eq!(crate::Channels::<Test>::get(0).unwrap().deposit, 5 * OPEN);
    });
}

#[test]
fn opening_should_be_refused_when_the_deposit_is_too_small_or_not_there() {
    test(|| {
        assert_noop!(
            Channels::open(Some(consumer()).into(), worker(), OPEN - 1),
            Error::<Test>::TooLittle
        );
        assert_noop!(
            Channels::open(Some(consumer()).into(), worker(), 1_001 * OPEN),
            TokenError::FundsUnavailable
        );
    });
}

#[test]
fn a_number_should_never_come_twice() {
    test(|| {
        assert_ok!(Channels::open(Some(consumer()).into(), worker(), OPEN));
        assert_ok!(Channels::close(Some(consumer()).into(), 0));
        System::set_block_number(1 + CLOSE);
        assert_ok!(Channels::finish(Some(worker()).into(), 0));
        assert_ok!(Channels::open(Some(consumer()).into(), worker(), OPEN));
        assert!(crate::Channels::<Test>::get(0).is_none());
        assert!(crate::Channels::<Test>::get(1).is_some());
        assert_eq!(NextChannel::<Test>::get(), 2);
    });
}

#[test]
fn topping_up_should_raise_the_deposit_and_be_the_consumers_alone() {
    test(|| {
        assert_ok!(Channels::open(Some(consumer()).into(), worker(), OPEN));
        assert_ok!(Channels::top_up(Some(consumer()).into(), 0, 2 * OPEN));
        assert_eq!(Balances::total_balance_on_hold(&consumer()), 3 * OPEN);
        assert_noop!(
            Channels::top_up(Some(ethereum()).into(), 0, OPEN),
            Error::<Test>::NotYours
        );
        assert_noop!(
            Channels::top_up(Some(consumer()).into(), 1, OPEN),
            Error::<Test>::NoChannel
        );
    });
}

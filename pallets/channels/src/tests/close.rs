use crate::{mock::*, Error};
use frame_support::{assert_noop, assert_ok, traits::fungible::InspectHold};
use openledger_traits::Charge;

#[test]
fn the_rest_should_go_back_when_the_period_has_passed_and_not_before() {
    test(|| {
        assert_ok!(Channels::open(Some(consumer()).into(), worker(), 10 * OPEN));
        assert_ok!(Channels::charge(
            &worker(),
            &claim(0, 4 * OPEN, voucher(0, 4 * OPEN))
        ));
        assert_noop!(
            Channels::finish(Some(consumer()).into(), 0),
            Error::<Test>::NotYet
        );
        assert_ok!(Channels::close(Some(consumer()).into(), 0));
        System::set_block_number(CLOSE);
        assert_noop!(
            Channels::finish(Some(consumer()).into(), 0),
            Error::<Test>::NotYet
        );
        System::set_block_number(1 + CLOSE);
        assert_ok!(Channels::finish(Some(worker()).into(), 0));
        assert_eq!(Balances::total_balance_on_hold(&consumer()), 0);
        assert_eq!(Balances::free_balance(consumer()), 996 * OPEN);
    });
}

#[test]
fn a_worker_should_still_settle_while_a_channel_closes_and_its_consumer_stay_known() {
    test(|| {
        assert_ok!(Channels::open(Some(consumer()).into(), worker(), 10 * OPEN));
        assert_ok!(Channels::close(Some(consumer()).into(), 0));
        System::set_block_number(CLOSE);
        assert_ok!(Channels::charge(&worker(), &claim(0, OPEN, voucher(0, OPEN))));
        System::set_block_number(CLOSE + 1);
        assert_noop!(
            Channels::finish(Some(consumer()).into(), 0),
            Error::<Test>::NotYet
        );
        assert_eq!(Channels::consumer(0), Some(consumer()));
        System::set_block_number(2 * CLOSE);
        assert_ok!(Channels::finish(Some(consumer()).into(), 0));
    });
}

#[test]
fn a_closing_channel_should_take_no_money() {
    test(|| {
        assert_ok!(Channels::open(Some(consumer()).into(), worker(), OPEN));
        assert_ok!(Channels::close(Some(worker()).into(), 0));
        assert_noop!(
            Channels::top_up(Some(consumer()).into(), 0, OPEN),
            Error::<Test>::Closing
        );
        assert_noop!(
            Channels::close(Some(consumer()).into(), 0),
            Error::<Test>::Closing
        );
        assert_noop!(
            Channels::close(Some(ethereum()).into(), 0),
            Error::<Test>::NotYours
        );
    });
}

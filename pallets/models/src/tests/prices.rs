//! Prices, and what is charged by which.

use crate::{mock::*, Error, Event};
use frame_support::{assert_noop, assert_ok};
use openledger_traits::Models as _;

fn accepts(model: u64, number: u32, price_in: u128) -> bool {
    Models::accepts(model, number, &tariff(price_in, 20))
}

#[test]
fn the_tariff_before_should_stay_good_for_a_while_when_prices_change() {
    scenario(|| {
        let model = created();
        let number = ready(model);
        let start = System::block_number();
        let until = (start + PRICE_HOLD) as u32;
        assert_ok!(Models::set_prices(signed(&OWNER), model, 11, 20));
        System::assert_last_event(
            Event::PricesSet {
                model,
                price_in: 11,
                price_out: 20,
                previous_until: until,
            }
            .into(),
        );
        let entry = crate::Models::<Test>::get(model).unwrap();
        assert_eq!(
            (entry.tariff, entry.previous),
            (stored(11, 20), Some((stored(10, 20), until)))
        );
        assert!(accepts(model, number, 10) && accepts(model, number, 11));
        System::set_block_number(start + PRICE_HOLD);
        assert!(accepts(model, number, 10) && accepts(model, number, 11));
        System::set_block_number(start + PRICE_HOLD + 1);
        assert!(!accepts(model, number, 10) && accepts(model, number, 11));
    });
}

#[test]
fn set_prices_should_be_refused_when_those_before_are_still_good() {
    scenario(|| {
        let model = created();
        let start = System::block_number();
        assert_ok!(Models::set_prices(signed(&OWNER), model, 11, 20));
        System::set_block_number(start + PRICE_HOLD);
        assert_noop!(
            Models::set_prices(signed(&OWNER), model, 12, 20),
            Error::<Test>::PricesHeld
        );
        System::set_block_number(start + PRICE_HOLD + 1);
        assert_ok!(Models::set_prices(signed(&OWNER), model, 12, 20));
    });
}

#[test]
fn prices_and_serving_should_be_the_owners_alone() {
    scenario(|| {
        let model = created();
        assert_noop!(
            Models::set_prices(signed(&OTHER), model, 1, 1),
            Error::<Test>::NotOwner
        );
        assert_noop!(
            Models::set_serving(signed(&OTHER), model, false),
            Error::<Test>::NotOwner
        );
        assert_noop!(
            Models::set_prices(signed(&OWNER), model + 1, 1, 1),
            Error::<Test>::UnknownModel
        );
        assert_noop!(
            Models::set_serving(signed(&OWNER), model + 1, false),
            Error::<Test>::UnknownModel
        );
        assert_noop!(
            Models::set_prices(signed(&OWNER), model, 1, u128::MAX),
            Error::<Test>::PriceTooHigh
        );
    });
}

#[test]
fn nothing_should_be_charged_by_a_tariff_that_was_never_the_models() {
    scenario(|| {
        let model = created();
        let number = ready(model);
        let mut other = tariff(10, 20);
        other.split.owner -= 1;
        other.split.compute += 1;
        assert!(!Models::accepts(model, number, &other));
        let mut other = tariff(10, 20);
        (other.mix.influence, other.mix.verbatim) = (other.mix.verbatim, other.mix.influence);
        assert!(!Models::accepts(model, number, &other));
        assert!(!accepts(model, number, 9));
        assert!(!accepts(model + 1, number, 10));
        assert!(accepts(model, number, 10));
    });
}

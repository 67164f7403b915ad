//! Grants by referendum.

use crate::{mock::*, Error, Event, Granted};
use frame_support::{assert_noop, assert_ok};
use sp_runtime::DispatchError;

#[test]
fn grant_should_pay_from_the_pot() {
    new_test_ext().execute_with(|| {
        let supply = Balances::total_issuance();
        let pot = Rewards::pot();
        assert_ok!(Rewards::grant(RuntimeOrigin::root(), 42, 5_000));
        assert_eq!(Balances::free_balance(42), 5_000);
        assert_eq!(Rewards::pot(), pot - 5_000);
        assert_eq!(Granted::<Test>::get(), 5_000);
        System::assert_last_event(
            Event::Granted {
                to: 42,
                amount: 5_000,
            }
            .into(),
        );
        assert_sound(supply);
    });
}

#[test]
fn grant_should_be_refused_to_anyone_else() {
    new_test_ext().execute_with(|| {
        assert_noop!(
            Rewards::grant(RuntimeOrigin::signed(1), 1, 5_000),
            DispatchError::BadOrigin
        );
    });
}

#[test]
fn grant_should_be_refused_when_the_pot_is_too_small() {
    new_test_ext().execute_with(|| {
        assert_noop!(
            Rewards::grant(RuntimeOrigin::root(), 42, Rewards::pot() + 1),
            Error::<Test>::PotTooSmall
        );
    });
}

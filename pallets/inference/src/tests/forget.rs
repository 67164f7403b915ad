//! Removing.

use crate::{mock::*, Error, Requests};
use frame_support::{assert_noop, assert_ok, traits::fungible::InspectHold};

fn forget(who: &AccountId, id: u64) -> sp_runtime::DispatchResult {
    Inference::forget(RuntimeOrigin::signed(who.clone()), id)
}

#[test]
fn who_asked_should_remove_an_answer_at_once_and_others_later() {
    scenario(|| {
        for _ in 0..2 {
            assert_ok!(ask(&ASKER, "hello", 100, RICH, 11));
        }
        assert_noop!(forget(&ASKER, 0), Error::<Test>::TooEarly);
        assert_ok!(deliver(0, 101, &said(b"one")));
        assert_ok!(deliver(1, 102, &said(b"two")));
        assert_noop!(forget(&OTHER, 0), Error::<Test>::TooEarly);
        assert_ok!(forget(&ASKER, 0));
        assert_noop!(forget(&ASKER, 0), Error::<Test>::NoRequest);
        System::set_block_number(u64::from(RETENTION));
        assert_noop!(forget(&OTHER, 1), Error::<Test>::TooEarly);
        System::set_block_number(1 + u64::from(RETENTION));
        assert_ok!(forget(&OTHER, 1));
        assert_eq!(Requests::<Test>::iter().count(), 0);
        assert_eq!(Balances::total_balance_on_hold(&ASKER), 0);
        // A number never comes twice.
        assert_ok!(ask(&ASKER, "hello", 100, RICH, RETENTION + 20));
        assert!(Requests::<Test>::contains_key(2));
    });
}

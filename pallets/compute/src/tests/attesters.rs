//! Whose bond counts when a committee is drawn.

use crate::{mock::*, Raised, Workers};
use frame_support::assert_ok;
use openledger_protocol::{
    committees::Need,
    compute::{capability, Backend},
};
use openledger_traits::Attesters;

fn counted(who: AccountId, since: u32) -> Option<u128> {
    Compute::bond(&who, &Need::default(), since)
}

#[test]
fn bond_should_count_for_disputes_from_after_it() {
    new_test_ext().execute_with(|| {
        System::set_block_number(5);
        register(1, 2 * MIN_BOND).unwrap();
        assert_eq!(counted(account(1), 5), None, "it may have come after the dispute of its block");
        assert_eq!(counted(account(1), 6), Some(2 * MIN_BOND));
        System::set_block_number(8);
        assert_ok!(Compute::bond_more(Some(account(1)).into(), MIN_BOND));
        assert_eq!(counted(account(1), 9), Some(3 * MIN_BOND));
        // Raises are one sum: some of it was there, but none of it counts from before the newest.
        assert_eq!(counted(account(1), 8), None);
        System::set_block_number(8 + UNBONDING);
        assert_ok!(Compute::bond_more(Some(account(1)).into(), MIN_BOND));
        assert_eq!(counted(account(1), 9), Some(3 * MIN_BOND), "what is old is not held against it");
        assert_eq!(counted(account(1), 9 + UNBONDING), Some(4 * MIN_BOND));
    });
}

#[test]
fn what_is_on_its_way_out_should_not_count() {
    new_test_ext().execute_with(|| {
        register(1, 3 * MIN_BOND).unwrap();
        System::set_block_number(5);
        assert_ok!(Compute::unbond(Some(account(1)).into(), MIN_BOND));
        assert_eq!(counted(account(1), 5), Some(2 * MIN_BOND));
    });
}

#[test]
fn only_attesters_with_the_needed_machine_should_count() {
    new_test_ext().execute_with(|| {
        register(1, 2 * MIN_BOND).unwrap();
        System::set_block_number(5);
        let need = Compute::machine(&account(1));
        assert!(Compute::attests(&account(1)));
        assert_eq!(Compute::bond(&account(1), &need, 5), Some(2 * MIN_BOND));
        let other = Need {
            machine: need.machine.map(|(_, arch)| (Backend::Cuda, arch)),
        };
        assert_eq!(Compute::bond(&account(1), &other, 5), None);
        Workers::<Test>::mutate(account(1), |record| {
            record.as_mut().unwrap().capabilities = capability::TRAIN;
        });
        assert!(!Compute::attests(&account(1)));
        assert_eq!(counted(account(1), 5), None);
        assert_eq!(counted(account(9), 5), None);
        assert_eq!(Compute::machine(&account(9)), Need::default());
    });
}

#[test]
fn who_left_should_leave_no_trace() {
    new_test_ext().execute_with(|| {
        register(1, MIN_BOND).unwrap();
        assert_ok!(Compute::unbond(Some(account(1)).into(), MIN_BOND));
        System::set_block_number(2 + UNBONDING);
        assert_ok!(Compute::withdraw(Some(account(1)).into()));
        assert_eq!(Raised::<Test>::iter().count(), 0);
    });
}

//! Who gets what is taken, and how much can be.

use crate::{mock::*, Error, Event, Workers};
use frame_support::{assert_noop, assert_ok};
use openledger_traits::Bonds;

fn slash(amount: u128, challenger: Option<u8>) -> u128 {
    <Compute as Bonds<_>>::slash(&account(1), amount, challenger.map(account).as_ref())
}

fn treasury() -> u128 {
    Balances::free_balance(TREASURY) - EXISTENTIAL_DEPOSIT
}

#[test]
fn a_quarter_should_go_to_the_challenger_and_the_rest_to_the_treasury() {
    new_test_ext().execute_with(|| {
        assert_ok!(register(1, 5_000));
        let before = supply();
        assert_eq!(slash(1_003, Some(2)), 1_003);
        assert_eq!(Balances::free_balance(account(2)), RICH + 250);
        assert_eq!(treasury(), 753);
        assert_eq!((worker(1).bond, held(1)), (3_997, 3_997));
        System::assert_last_event(
            Event::Slashed {
                worker: account(1),
                amount: 1_003,
                rewarded: 250,
            }
            .into(),
        );
        assert_eq!(supply(), before);
        Compute::do_try_state().unwrap();
    });
}

#[test]
fn all_of_it_should_go_to_the_treasury_when_nobody_else_challenged() {
    for challenger in [None, Some(1)] {
        new_test_ext().execute_with(|| {
            assert_ok!(register(1, 5_000));
            assert_eq!(slash(1_000, challenger), 1_000);
            assert_eq!(treasury(), 1_000);
            assert_eq!(Balances::free_balance(account(1)), RICH - 5_000);
        });
    }
}

#[test]
fn a_reward_too_small_to_open_an_account_should_go_to_the_treasury() {
    new_test_ext().execute_with(|| {
        assert_ok!(register(1, 5_000));
        // A quarter of it is under the existential deposit, and account 50 does not exist.
        assert_eq!(slash(36, Some(50)), 36);
        assert_eq!((Balances::free_balance(account(50)), treasury()), (0, 36));
        assert_eq!(slash(40, Some(50)), 40);
        assert_eq!((Balances::free_balance(account(50)), treasury()), (10, 66));
        Compute::do_try_state().unwrap();
    });
}

#[test]
fn no_more_should_be_taken_than_the_bond_with_what_is_leaving() {
    new_test_ext().execute_with(|| {
        assert_ok!(register(1, 5_000));
        assert_ok!(Compute::unbond(RuntimeOrigin::signed(account(1)), 4_000));
        assert_eq!(slash(1_000_000, None), 5_000);
        assert_eq!(treasury(), 5_000);
        // Nothing is left, nothing is open.
        assert!(!Workers::<Test>::contains_key(account(1)));
        assert_eq!(slash(1, None), 0);
        Compute::do_try_state().unwrap();
    });
}

#[test]
fn what_is_leaving_should_make_room_for_what_is_open() {
    new_test_ext().execute_with(|| {
        assert_ok!(register(1, 5_000));
        assert_ok!(<Compute as Bonds<_>>::open(&account(1), 2_000));
        assert_ok!(Compute::unbond(RuntimeOrigin::signed(account(1)), 3_000));
        assert_eq!(slash(1_000, None), 1_000);
        let record = worker(1);
        assert_eq!((record.bond, record.open), (4_000, 2_000));
        assert_eq!(record.unbonding.unwrap().amount, 2_000);
        Compute::do_try_state().unwrap();
        assert_eq!(slash(2_000, None), 2_000);
        assert_eq!(worker(1).unbonding, None);
        Compute::do_try_state().unwrap();
    });
}

#[test]
fn a_worker_slashed_under_its_open_value_should_stay_until_the_work_is_closed() {
    new_test_ext().execute_with(|| {
        assert_ok!(register(1, 5_000));
        assert_ok!(<Compute as Bonds<_>>::open(&account(1), 3_000));
        assert_ok!(<Compute as Bonds<_>>::open(&account(1), 2_000));
        assert_eq!(slash(4_000, Some(2)), 4_000);
        <Compute as Bonds<_>>::close(&account(1), 3_000);
        // The other work is open still, so what is left cannot leave.
        assert_eq!((worker(1).bond, worker(1).open), (1_000, 2_000));
        assert_noop!(
            Compute::unbond(RuntimeOrigin::signed(account(1)), 1_000),
            Error::<Test>::BondInUse
        );
        Compute::do_try_state().unwrap();
        assert_eq!(slash(2_000, None), 1_000);
        assert_eq!(worker(1).bond, 0);
        Compute::do_try_state().unwrap();
        <Compute as Bonds<_>>::close(&account(1), 2_000);
        assert!(!Workers::<Test>::contains_key(account(1)));
    });
}

#[test]
fn what_a_worker_owes_by_its_own_word_should_go_where_it_is_owed_and_no_further_than_its_bond() {
    new_test_ext().execute_with(|| {
        assert_ok!(register(1, 5_000));
        let pay = |amount| <Compute as Bonds<_>>::pay(&account(1), amount, &account(2));
        assert_eq!(pay(1_000), 1_000);
        assert_eq!(Balances::free_balance(account(2)), RICH + 1_000);
        assert_eq!(treasury(), 0);
        assert_eq!((worker(1).bond, held(1)), (4_000, 4_000));
        assert_eq!(pay(9_000), 4_000);
        assert!(Workers::<Test>::get(account(1)).is_none());
        assert_eq!(pay(1), 0);
        Compute::do_try_state().unwrap();
    });
}

/// Has somebody stake behind worker 1.
fn stake(amount: u128) {
    Staked::mutate(|staked| staked.insert(account(1), amount));
}

#[test]
fn the_pool_should_lose_the_same_part_as_the_bond_rounded_up() {
    new_test_ext().execute_with(|| {
        assert_ok!(register(1, 5_000));
        stake(777);
        assert_eq!(slash(1_000, Some(2)), 1_000);
        assert_eq!(PoolSlashes::get(), [(account(1), 156)]);
        // More than is there takes all of both.
        assert_eq!(slash(1_000_000, None), 4_000);
        assert_eq!(PoolSlashes::get(), [(account(1), 156), (account(1), 621)]);
        // Nothing is left; nothing is taken twice.
        assert_eq!(slash(1, None), 0);
        assert_eq!(PoolSlashes::get().len(), 2);
    });
}

#[test]
fn a_worker_without_a_bond_should_leave_its_pool_to_pay() {
    new_test_ext().execute_with(|| {
        assert_ok!(register(1, 5_000));
        assert_ok!(<Compute as Bonds<_>>::open(&account(1), 5_000));
        assert_eq!(slash(5_000, None), 5_000);
        // Who stakes behind it now knows what it is.
        stake(50);
        assert_eq!(slash(10, None), 0);
        assert_eq!(PoolSlashes::get(), [(account(1), 50)]);
    });
}

#[test]
fn what_a_worker_pays_by_its_own_word_should_not_be_its_stakers() {
    new_test_ext().execute_with(|| {
        assert_ok!(register(1, 5_000));
        stake(1_000);
        assert_eq!(<Compute as Bonds<_>>::pay(&account(1), 2_000, &account(3)), 2_000);
        <Compute as Bonds<_>>::close(&account(1), 0);
        assert!(PoolSlashes::get().is_empty());
    });
}

#[test]
fn a_missed_deadline_should_cost_the_pool_once() {
    new_test_ext().execute_with(|| {
        assert_ok!(register(1, 1_000));
        stake(500);
        order(index(), Some(1));
        let due = System::block_number() + 20;
        run_to(due + 5);
        // A tenth of the bond, a tenth of the pool.
        assert_eq!(worker(1).bond, 1_000 - LATE_SLASH);
        assert_eq!(PoolSlashes::get(), [(account(1), 50)]);
    });
}

//! Becoming a worker, and leaving.

use crate::{mock::*, Error, Event, Workers};
use frame_support::{assert_noop, assert_ok};
use openledger_protocol::compute::{capability, Backend, Unbonding};
use openledger_traits::Bonds;

#[test]
fn registering_should_hold_the_bond() {
    new_test_ext().execute_with(|| {
        assert_ok!(register(1, 5_000));
        assert_eq!(held(1), 5_000);
        let record = worker(1);
        assert_eq!((record.bond, record.open, record.unbonding), (5_000, 0, None));
        assert_eq!(record.endpoint, endpoint("http://127.0.0.1:8700"));
        assert_eq!(Compute::room(account(1)), Some(5_000));
        assert_eq!(Compute::room(account(2)), None);
        System::assert_last_event(
            Event::Registered {
                worker: account(1),
                bond: 5_000,
            }
            .into(),
        );
        Compute::do_try_state().unwrap();
    });
}

#[test]
fn registering_should_be_refused_when_something_is_wrong() {
    new_test_ext().execute_with(|| {
        assert_noop!(register(1, MIN_BOND - 1), Error::<Test>::BondTooSmall);
        assert_noop!(register(1, RICH), sp_runtime::TokenError::FundsUnavailable);
        assert_noop!(register_for(1, MIN_BOND, 0), Error::<Test>::BadCapabilities);
        assert_noop!(register_for(1, MIN_BOND, 16), Error::<Test>::BadCapabilities);
        let with = |arch: &str, url: &str| {
            Compute::register(
                RuntimeOrigin::signed(account(1)),
                MIN_BOND,
                [1; 32],
                [2; 32],
                Backend::Cuda,
                name(arch),
                endpoint(url),
                capability::INFER,
            )
        };
        for arch in ["", "sm 90", "portable\n8", "größe"] {
            assert_noop!(with(arch, "https://a"), Error::<Test>::BadArch);
        }
        for url in [
            "",
            "http://",
            "ftp://a",
            "http://a/",
            "http://a b",
            "http://a\u{7}",
            "a.example",
        ] {
            assert_noop!(with("sm_90", url), Error::<Test>::BadEndpoint);
        }
        assert_ok!(with("sm_90", "https://a.example/worker"));
        assert_noop!(register(1, MIN_BOND), Error::<Test>::AlreadyWorker);
    });
}

#[test]
fn there_should_be_no_more_workers_than_a_draw_may_read() {
    new_test_ext().execute_with(|| {
        for n in 1..=MAX_WORKERS as u8 {
            assert_ok!(register(n, MIN_BOND));
        }
        assert_noop!(register(8, MIN_BOND), Error::<Test>::TooManyWorkers);
        assert_ok!(Compute::unbond(RuntimeOrigin::signed(account(1)), MIN_BOND));
        run_to(1 + UNBONDING);
        assert_ok!(Compute::withdraw(RuntimeOrigin::signed(account(1))));
        assert_ok!(register(8, MIN_BOND));
    });
}

#[test]
fn more_bond_should_be_held_too() {
    new_test_ext().execute_with(|| {
        assert_noop!(
            Compute::bond_more(RuntimeOrigin::signed(account(1)), 1),
            Error::<Test>::NotWorker
        );
        assert_ok!(register(1, MIN_BOND));
        assert_noop!(
            Compute::bond_more(RuntimeOrigin::signed(account(1)), 0),
            Error::<Test>::NothingToDo
        );
        assert_ok!(Compute::bond_more(RuntimeOrigin::signed(account(1)), 77));
        assert_eq!((held(1), worker(1).bond), (MIN_BOND + 77, MIN_BOND + 77));
        Compute::do_try_state().unwrap();
    });
}

#[test]
fn a_part_of_the_bond_should_leave_after_the_period() {
    new_test_ext().execute_with(|| {
        let who = || RuntimeOrigin::signed(account(1));
        assert_ok!(register(1, 5_000));
        assert_noop!(Compute::withdraw(who()), Error::<Test>::NotUnbonding);
        assert_noop!(Compute::unbond(who(), 0), Error::<Test>::NothingToDo);
        assert_noop!(Compute::unbond(who(), 4_001), Error::<Test>::BondTooSmall);
        assert_noop!(Compute::unbond(who(), 5_001), Error::<Test>::BondInUse);
        assert_ok!(Compute::unbond(who(), 4_000));
        assert_eq!(
            worker(1).unbonding,
            Some(Unbonding {
                amount: 4_000,
                until: 1 + UNBONDING
            })
        );
        assert_eq!(held(1), 5_000);
        assert_noop!(Compute::unbond(who(), 1_000), Error::<Test>::AlreadyUnbonding);
        run_to(UNBONDING);
        assert_noop!(Compute::withdraw(who()), Error::<Test>::TooEarly);
        step();
        assert_ok!(Compute::withdraw(who()));
        assert_eq!((held(1), worker(1).bond), (1_000, 1_000));
        assert_eq!(Balances::free_balance(account(1)), RICH - 1_000);
        Compute::do_try_state().unwrap();
    });
}

#[test]
fn what_is_open_should_stay() {
    new_test_ext().execute_with(|| {
        let who = || RuntimeOrigin::signed(account(1));
        assert_ok!(register(1, 5_000));
        assert_ok!(<Compute as Bonds<_>>::open(&account(1), 3_000));
        assert_noop!(Compute::unbond(who(), 2_001), Error::<Test>::BondInUse);
        assert_ok!(Compute::unbond(who(), 2_000));
        assert_noop!(
            <Compute as Bonds<_>>::open(&account(1), 1),
            Error::<Test>::BondInUse
        );
        assert_noop!(
            <Compute as Bonds<_>>::open(&account(2), 1),
            Error::<Test>::NotWorker
        );
        <Compute as Bonds<_>>::close(&account(1), 1_000);
        assert_eq!(worker(1).open, 2_000);
        assert_ok!(<Compute as Bonds<_>>::open(&account(1), 1_000));
        // Closing for somebody who has left changes nothing.
        <Compute as Bonds<_>>::close(&account(2), 1_000);
        Compute::do_try_state().unwrap();
    });
}

#[test]
fn a_worker_that_takes_out_everything_should_be_one_no_more() {
    new_test_ext().execute_with(|| {
        let who = || RuntimeOrigin::signed(account(1));
        assert_ok!(register(1, 5_000));
        assert_ok!(Compute::unbond(who(), 5_000));
        run_to(1 + UNBONDING);
        events();
        assert_ok!(Compute::withdraw(who()));
        assert_eq!(
            events(),
            [
                Event::Withdrawn {
                    worker: account(1),
                    amount: 5_000
                },
                Event::Left { worker: account(1) }
            ]
        );
        assert!(!Workers::<Test>::contains_key(account(1)));
        assert_eq!((held(1), Balances::free_balance(account(1))), (0, RICH));
        assert_ok!(register(1, MIN_BOND));
    });
}

#[test]
fn keys_and_endpoint_should_change() {
    new_test_ext().execute_with(|| {
        let who = || RuntimeOrigin::signed(account(1));
        assert_noop!(
            Compute::set_keys(who(), [8; 32], [9; 32]),
            Error::<Test>::NotWorker
        );
        assert_noop!(
            Compute::set_endpoint(who(), endpoint("http://b")),
            Error::<Test>::NotWorker
        );
        assert_ok!(register(1, MIN_BOND));
        assert_ok!(Compute::set_keys(who(), [8; 32], [9; 32]));
        assert_ok!(Compute::set_endpoint(who(), endpoint("http://b")));
        assert_noop!(
            Compute::set_endpoint(who(), endpoint("b")),
            Error::<Test>::BadEndpoint
        );
        let record = worker(1);
        assert_eq!((record.result_key, record.receipt_key), ([8; 32], [9; 32]));
        assert_eq!(record.endpoint, endpoint("http://b"));
    });
}

//! Who gives no sign of life gets no work; signs are free, and few.

use crate::{beats::LONGEVITY, mock::*, Event, Jobs, Workers, BEATS_PER_BLOCK};
use frame_support::{assert_ok, traits::Get};
use openledger_protocol::compute::{JobStage, Machine};
use openledger_traits::Jobs as _;
use sp_runtime::transaction_validity::{InvalidTransaction, TransactionValidityError};

fn invalid(why: InvalidTransaction) -> TransactionValidityError {
    why.into()
}

fn assignee(job: u64) -> Option<AccountId> {
    match Jobs::<Test>::get(job)?.stage {
        JobStage::Assigned { worker, .. } => Some(worker),
        JobStage::Waiting { .. } => None,
    }
}

#[test]
fn a_heartbeat_should_be_taken_once_a_period_and_cost_nothing() {
    new_test_ext().execute_with(|| {
        assert_ok!(register(1, MIN_BOND));
        let free = Balances::free_balance(account(1));
        let due = 1 + BEAT;
        run_to(due - 1);
        assert_eq!(
            validate(&heartbeat(1, due - 1, 1)).unwrap_err(),
            invalid(InvalidTransaction::Stale)
        );
        run_to(due);
        let beat = heartbeat(1, due, 1);
        let valid = validate(&beat).unwrap();
        assert_eq!(valid.provides.len(), 1);
        assert!(valid.longevity == u64::from(LONGEVITY) && valid.propagate);
        events();
        assert_ok!(apply(beat.clone()).unwrap());
        assert_eq!(events(), [Event::Seen { worker: account(1) }]);
        assert_eq!(worker(1).seen, due);
        assert_eq!(Balances::free_balance(account(1)), free);
        // The same again, at once or later, is worth nothing.
        assert_eq!(validate(&beat).unwrap_err(), invalid(InvalidTransaction::Stale));
        run_to(due + BEAT);
        assert_eq!(validate(&beat).unwrap_err(), invalid(InvalidTransaction::Stale));
        assert!(validate(&heartbeat(1, due + BEAT, 1)).is_ok());
    });
}

#[test]
fn a_heartbeat_should_be_refused_when_it_is_forged_early_old_or_nobodys() {
    new_test_ext().execute_with(|| {
        assert_ok!(register(1, MIN_BOND));
        run_to(100);
        let refused = |transaction: &Extrinsic| validate(transaction).unwrap_err();
        assert_eq!(
            refused(&heartbeat(1, 100, 2)),
            invalid(InvalidTransaction::BadProof)
        );
        assert_eq!(
            refused(&heartbeat(1, 101, 1)),
            invalid(InvalidTransaction::Future)
        );
        assert_eq!(refused(&heartbeat(2, 100, 2)), invalid(InvalidTransaction::Stale));
        let old = 100 - LONGEVITY;
        assert!(validate(&heartbeat(1, old, 1)).is_ok());
        assert_eq!(
            refused(&heartbeat(1, old - 1, 1)),
            invalid(InvalidTransaction::Stale)
        );
        // As if it were for another chain.
        frame_system::BlockHash::<Test>::insert(0, sp_core::H256([8; 32]));
        assert_eq!(
            refused(&heartbeat(1, 100, 1)),
            invalid(InvalidTransaction::BadProof)
        );
    });
}

#[test]
fn a_block_should_take_only_so_many_heartbeats() {
    new_test_ext().execute_with(|| {
        assert_ok!(register(1, MIN_BOND));
        run_to(50);
        crate::Beats::<Test>::put((50, BEATS_PER_BLOCK));
        assert_eq!(
            validate(&heartbeat(1, 50, 1)).unwrap_err(),
            invalid(InvalidTransaction::ExhaustsResources)
        );
        step();
        assert_ok!(apply(heartbeat(1, 50, 1)).unwrap());
        assert_eq!(crate::Beats::<Test>::get(), (51, 1));
    });
}

#[test]
fn a_silent_worker_should_not_be_drawn_until_it_is_seen_again() {
    new_test_ext().execute_with(|| {
        assert_ok!(register(1, 500_000));
        assert!(Compute::is_present(account(1)));
        run_to(1 + SILENCE);
        assert!(Compute::is_present(account(1)));
        step();
        assert!(!Compute::is_present(account(1)));
        assert_ok!(register(2, MIN_BOND));
        for salt in 0..20 {
            let job = order(train(), None);
            draw(salt);
            step();
            assert_eq!(assignee(job), Some(account(2)), "draw {salt}");
            assert_ok!(apply(signed(2, delivery(2, job, 0))).unwrap());
        }
        let now = System::block_number();
        assert_ok!(apply(heartbeat(1, now, 1)).unwrap());
        let seen = (0..40).any(|salt| {
            let job = order(train(), None);
            draw(salt);
            step();
            let who = assignee(job).unwrap();
            let n = if who == account(1) { 1 } else { 2 };
            assert_ok!(apply(signed(n, delivery(n, job, 0))).unwrap());
            n == 1
        });
        assert!(seen, "500 times the bond");
    });
}

#[test]
fn a_delivery_should_be_a_sign_of_life() {
    new_test_ext().execute_with(|| {
        assert_ok!(register(1, MIN_BOND));
        run_to(30);
        let job = order(index(), Some(1));
        assert_ok!(apply(signed(1, delivery(1, job, 0))).unwrap());
        assert_eq!(worker(1).seen, 30);
    });
}

#[test]
fn work_for_one_kind_of_machine_should_go_to_no_other() {
    new_test_ext().execute_with(|| {
        assert_ok!(register(1, 500_000));
        assert_ok!(register(2, MIN_BOND));
        Workers::<Test>::mutate(account(2), |worker| {
            worker.as_mut().unwrap().arch = name("portable-4")
        });
        let machine = |arch| Machine {
            backend: worker(1).backend,
            arch: name(arch),
        };
        let due = || System::block_number() + 20;
        for salt in 0..20 {
            let job = Compute::order_on(train(), machine("portable-4"), due()).unwrap();
            draw(salt);
            step();
            assert_eq!(assignee(job), Some(account(2)), "draw {salt}");
            assert_ok!(apply(signed(2, delivery(2, job, 0))).unwrap());
        }
        let job = Compute::order_on(train(), machine("sm_90"), due()).unwrap();
        step();
        assert_eq!(Failures::get(), [job]);
    });
}

#[test]
fn the_settings_should_let_a_worker_that_beats_be_drawn() {
    let (period, silence): (u32, u32) = (
        <Test as crate::Config>::BeatPeriod::get(),
        <Test as crate::Config>::Silence::get(),
    );
    assert!(silence > period + LONGEVITY);
}

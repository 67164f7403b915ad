//! Workers that do not deliver.

use crate::{mock::*, Event, JobTerms, Jobs, Waiting, JOBS_PER_BLOCK};
use frame_support::assert_ok;
use openledger_protocol::compute::JobStage;

fn treasury() -> u128 {
    Balances::free_balance(TREASURY) - EXISTENTIAL_DEPOSIT
}

#[test]
fn a_named_worker_should_be_slashed_and_the_job_fail() {
    new_test_ext().execute_with(|| {
        assert_ok!(register(1, MIN_BOND));
        assert_ok!(register(2, MIN_BOND));
        let job = order(index(), Some(1));
        run_to(21);
        assert!(Jobs::<Test>::contains_key(job));
        events();
        step();
        assert_eq!(
            events(),
            [
                Event::Late {
                    job,
                    attempt: 0,
                    worker: account(1)
                },
                Event::Slashed {
                    worker: account(1),
                    amount: LATE_SLASH,
                    rewarded: 0
                },
                Event::Failed { job },
            ]
        );
        assert_eq!(Failures::get(), [job]);
        assert!(!Jobs::<Test>::contains_key(job) && !JobTerms::<Test>::contains_key(job));
        assert_eq!((worker(1).bond, worker(1).open), (MIN_BOND - LATE_SLASH, 0));
        assert_eq!(treasury(), LATE_SLASH);
    });
}

#[test]
fn a_drawn_job_should_move_on_to_another_worker() {
    for salt in 0..8 {
        new_test_ext().execute_with(|| {
            assert_ok!(register(1, 5_000));
            assert_ok!(register(2, 5_000));
            let job = order_until(train(), None, 41);
            draw(salt);
            step();
            let JobStage::Assigned { worker: first, .. } = Jobs::<Test>::get(job).unwrap().stage else {
                panic!("it is drawn");
            };
            let due = Jobs::<Test>::get(job).unwrap().deadline;
            assert_eq!(due, 2 + 19);
            run_to(due);
            Epoch::set(6);
            step();
            let waiting = Jobs::<Test>::get(job).unwrap();
            assert_eq!(
                (waiting.stage, waiting.attempt, waiting.deadline),
                (JobStage::Waiting { epoch: 6 }, 1, 41)
            );
            assert_eq!(treasury(), LATE_SLASH);
            assert!(Failures::get().is_empty());
            draw(salt);
            step();
            let again = Jobs::<Test>::get(job).unwrap();
            let JobStage::Assigned { worker: second, .. } = again.stage else {
                panic!("it is drawn again");
            };
            assert_ne!(second, first);
            // The last attempt has all the time there is.
            assert_eq!(again.deadline, 41);
            run_to(42);
            assert_eq!(Failures::get(), [job]);
            assert_eq!(treasury(), 2 * LATE_SLASH);
            assert_eq!((worker(1).bond, worker(2).bond), (4_900, 4_900));
        });
    }
}

#[test]
fn the_only_worker_should_have_another_turn() {
    new_test_ext().execute_with(|| {
        assert_ok!(register(1, 5_000));
        let job = order_until(train(), None, 41);
        draw(1);
        run_to(22);
        // Drawn again in the block in which it was late: this epoch's draw is out in this test.
        let again = Jobs::<Test>::get(job).unwrap();
        assert_eq!(again.attempt, 1);
        assert!(matches!(again.stage, JobStage::Assigned { worker, .. } if worker == account(1)));
        assert_eq!((worker(1).bond, worker(1).open), (4_900, LATE_SLASH));
    });
}

#[test]
fn a_job_that_waited_too_long_should_fail_without_a_slash() {
    new_test_ext().execute_with(|| {
        assert_ok!(register(1, MIN_BOND));
        let job = order(train(), None);
        run_to(22);
        assert_eq!(Failures::get(), [job]);
        assert!(Waiting::<Test>::get().is_empty());
        assert_eq!((worker(1).bond, treasury()), (MIN_BOND, 0));
    });
}

#[test]
fn a_block_should_end_a_few_jobs_only() {
    new_test_ext().execute_with(|| {
        for _ in 0..MAX_JOBS {
            order(train(), None);
        }
        run_to(22);
        assert_eq!(Failures::get().len(), JOBS_PER_BLOCK as usize);
        step();
        assert_eq!(Failures::get().len(), MAX_JOBS as usize);
    });
}

#[test]
fn whoever_is_told_of_a_failure_should_be_able_to_order_again() {
    new_test_ext().execute_with(|| {
        Reorders::set(true);
        for _ in 0..MAX_JOBS {
            order(train(), None);
        }
        run_to(60);
        assert_eq!(Jobs::<Test>::iter().count(), MAX_JOBS as usize);
        Reorders::set(false);
    });
}

#[test]
fn a_worker_that_lost_its_bond_should_not_keep_its_job_from_failing() {
    new_test_ext().execute_with(|| {
        use openledger_traits::Bonds;
        assert_ok!(register(1, MIN_BOND));
        let job = order(index(), Some(1));
        assert_eq!(
            <Compute as Bonds<_>>::slash(&account(1), MIN_BOND, None),
            MIN_BOND
        );
        run_to(22);
        assert_eq!(Failures::get(), [job]);
        assert!(!crate::Workers::<Test>::contains_key(account(1)));
        assert_eq!(treasury(), MIN_BOND);
    });
}

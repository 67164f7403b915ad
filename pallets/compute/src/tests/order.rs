//! Work is ordered.

use crate::{mock::*, Error, Event, JobTerms, Jobs, NextJob, Waiting};
use frame_support::{assert_noop, assert_ok};
use openledger_protocol::compute::{capability, Job, JobStage};

#[test]
fn a_job_for_anybody_should_wait_for_its_epochs_draw() {
    new_test_ext().execute_with(|| {
        assert_eq!((order(train(), None), order(index(), None)), (0, 1));
        assert_eq!(
            Jobs::<Test>::get(0),
            Some(Job {
                task: train(),
                deadline: 21,
                attempt: 0,
                stage: JobStage::Waiting { epoch: 5 },
            })
        );
        assert_eq!(Waiting::<Test>::get().into_inner(), [0, 1]);
        System::assert_last_event(
            Event::Ordered {
                job: 1,
                task: index(),
            }
            .into(),
        );
        Compute::do_try_state().unwrap();
    });
}

#[test]
fn a_job_for_a_named_worker_should_be_its_at_once() {
    new_test_ext().execute_with(|| {
        assert_ok!(register(1, MIN_BOND));
        let job = order(index(), Some(1));
        assert_eq!(
            Jobs::<Test>::get(job),
            Some(Job {
                task: index(),
                deadline: 21,
                attempt: 0,
                stage: JobStage::Assigned {
                    worker: account(1),
                    since: 1
                },
            })
        );
        assert_eq!(worker(1).open, LATE_SLASH);
        assert!(JobTerms::<Test>::get(job).unwrap().named);
        System::assert_last_event(
            Event::Assigned {
                job,
                attempt: 0,
                worker: account(1),
                deadline: 21,
            }
            .into(),
        );
        Compute::do_try_state().unwrap();
    });
}

#[test]
fn a_named_worker_should_stake_what_room_it_has() {
    new_test_ext().execute_with(|| {
        use openledger_traits::Bonds;
        assert_ok!(register(1, MIN_BOND));
        assert_ok!(<Compute as Bonds<_>>::open(&account(1), MIN_BOND - 40));
        let job = order(index(), Some(1));
        assert_eq!(JobTerms::<Test>::get(job).unwrap().stake, 40);
        assert_eq!(worker(1).open, MIN_BOND);
        Compute::do_try_state().unwrap();
    });
}

#[test]
fn orders_that_cannot_be_met_should_be_refused() {
    new_test_ext().execute_with(|| {
        let order_by = |worker, deadline| try_order(train(), worker, deadline);
        assert_noop!(order_by(None, 1), Error::<Test>::DeadlinePassed);
        assert_noop!(order_by(Some(1), 9), Error::<Test>::NotWorker);
        assert_ok!(register_for(1, MIN_BOND, capability::INFER | capability::INDEX));
        assert_noop!(order_by(Some(1), 9), Error::<Test>::NotCapable);
        for _ in 0..MAX_JOBS {
            order(train(), None);
        }
        assert_noop!(order_by(None, 9), Error::<Test>::TooManyJobs);
        assert_noop!(try_order(index(), Some(1), 9), Error::<Test>::TooManyJobs);
        assert_eq!(NextJob::<Test>::get(), u64::from(MAX_JOBS));
        Compute::do_try_state().unwrap();
    });
}

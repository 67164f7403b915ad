//! Workers are drawn by bond.

use crate::{
    jobs::{pick, training_seed},
    mock::*,
    Jobs, JOBS_PER_BLOCK,
};
use frame_support::assert_ok;
use openledger_attribution::hash::keccak;
use openledger_protocol::compute::{capability, JobStage, Task};
use openledger_traits::{Bonds, Draws};

/// Who has the job.
fn assignee(job: u64) -> Option<AccountId> {
    match Jobs::<Test>::get(job)?.stage {
        JobStage::Assigned { worker, .. } => Some(worker),
        JobStage::Waiting { .. } => None,
    }
}

#[test]
fn a_job_should_wait_until_its_draw_is_out() {
    new_test_ext().execute_with(|| {
        assert_ok!(register(1, MIN_BOND));
        let job = order(train(), None);
        step();
        Epoch::set(6);
        step();
        assert_eq!(assignee(job), None);
        Epoch::set(5);
        draw(1);
        Epoch::set(7);
        step();
        assert_eq!(assignee(job), Some(account(1)));
        assert_eq!(worker(1).open, LATE_SLASH);
        let drawn = MockDraws::drawn(5, b"job", job).unwrap();
        assert_eq!(
            Jobs::<Test>::get(job).unwrap().task,
            Task::Train {
                model: 3,
                generation: 1,
                seed: training_seed(&drawn)
            }
        );
        // Half of the time that was left in block 4; the deadline was 21.
        assert_eq!(Jobs::<Test>::get(job).unwrap().deadline, 4 + 8);
    });
}

#[test]
fn an_index_should_keep_the_seed_it_was_ordered_with() {
    new_test_ext().execute_with(|| {
        assert_ok!(register(1, MIN_BOND));
        let job = order(index(), None);
        draw(1);
        step();
        assert_eq!(Jobs::<Test>::get(job).unwrap().task, index());
        assert_eq!(assignee(job), Some(account(1)));
    });
}

#[test]
fn only_capable_workers_should_be_drawn() {
    new_test_ext().execute_with(|| {
        assert_ok!(register_for(1, 500_000, capability::ALL & !capability::TRAIN));
        // Its bond is open, but for less than what being late costs.
        assert_ok!(register(2, 500_000));
        assert_ok!(<Compute as Bonds<_>>::open(&account(2), 500_000 - LATE_SLASH + 1));
        // This one wants to leave.
        assert_ok!(register(3, 500_000));
        assert_ok!(Compute::unbond(RuntimeOrigin::signed(account(3)), 500_000));
        // And this one was slashed under the least bond.
        assert_ok!(register(4, MIN_BOND));
        assert_eq!(<Compute as Bonds<_>>::slash(&account(4), 1, None), 1);
        assert_ok!(register(5, MIN_BOND));
        for salt in 0..20 {
            let job = order(train(), None);
            draw(salt);
            step();
            assert_eq!(assignee(job), Some(account(5)), "draw {salt}");
            assert_ok!(apply(signed(5, delivery(5, job, 0))));
        }
    });
}

#[test]
fn a_job_nobody_is_capable_of_should_fail_when_it_is_drawn() {
    new_test_ext().execute_with(|| {
        assert_ok!(register_for(1, MIN_BOND, capability::INFER));
        let job = order(train(), None);
        draw(1);
        step();
        assert_eq!(Failures::get(), [job]);
        assert!(Jobs::<Test>::get(job).is_none());
    });
}

#[test]
fn a_block_should_give_out_a_few_jobs_only() {
    new_test_ext().execute_with(|| {
        assert_ok!(register(1, 500_000));
        for _ in 0..MAX_JOBS {
            order(train(), None);
        }
        draw(1);
        step();
        let given = || {
            (0..MAX_JOBS.into())
                .filter(|job| assignee(*job).is_some())
                .count()
        };
        assert_eq!(given(), JOBS_PER_BLOCK as usize);
        step();
        assert_eq!(given(), MAX_JOBS as usize);
    });
}

#[test]
fn jobs_drawn_in_one_block_should_not_share_a_stake() {
    new_test_ext().execute_with(|| {
        assert_ok!(register(1, MIN_BOND));
        assert_ok!(<Compute as Bonds<_>>::open(&account(1), MIN_BOND - LATE_SLASH));
        let (first, second) = (order(train(), None), order(train(), None));
        draw(1);
        step();
        assert_eq!(assignee(first), Some(account(1)));
        assert_eq!(Failures::get(), [second]);
        assert_eq!(worker(1).open, MIN_BOND);
    });
}

#[test]
fn a_job_whose_draw_was_missed_should_wait_for_another() {
    new_test_ext().execute_with(|| {
        assert_ok!(register(1, MIN_BOND));
        let job = order_until(train(), None, 100);
        Epoch::set(8);
        let later = order_until(train(), None, 100);
        step();
        for job in [job, later] {
            assert_eq!(
                Jobs::<Test>::get(job).unwrap().stage,
                JobStage::Waiting { epoch: 8 }
            );
        }
        draw(1);
        Epoch::set(10);
        step();
        assert!(assignee(job).is_some() && assignee(later).is_some());
    });
}

#[test]
fn a_worker_should_be_drawn_as_often_as_its_bond_is_large() {
    new_test_ext().execute_with(|| {
        for (n, bond) in [(1, 10_000), (2, 30_000), (3, 60_000)] {
            assert_ok!(register(n, bond));
        }
        let mut workers: Vec<_> = crate::Workers::<Test>::iter().collect();
        workers.sort_by(|(one, _), (other, _)| one.cmp(other));
        const DRAWS: u64 = 20_000;
        let mut counts = [0u64; 3];
        for job in 0..DRAWS {
            let drawn = keccak(&[b"even", &job.to_be_bytes()]);
            let (who, _) = pick(&workers, |_, _| true, &drawn, job, 0).unwrap();
            let n = (1..=3).position(|n| account(n) == *who).unwrap();
            counts[n] += 1;
        }
        for (count, part) in counts.into_iter().zip([1u64, 3, 6]) {
            let expected = DRAWS * part / 10;
            // Ten standard deviations at most: these draws are always the same.
            assert!(count.abs_diff(expected) < 700, "{counts:?}");
        }
        // And by nothing else: the attempt makes another draw.
        let others = (0..100u64).filter(|job| {
            let drawn = keccak(&[b"even", &job.to_be_bytes()]);
            pick(&workers, |_, _| true, &drawn, *job, 0) != pick(&workers, |_, _| true, &drawn, *job, 1)
        });
        assert!(others.count() > 20);
    });
}

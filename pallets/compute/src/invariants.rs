//! What holds after every block.

#![cfg(any(feature = "std", feature = "try-runtime", test))]

use crate::{
    bonds, Config, Deadlines, HoldReason, JobTerms, Jobs, NextJob, Pallet, Raised, Waiting, Workers,
};
use alloc::{collections::BTreeMap, vec::Vec};
use frame_support::{
    ensure,
    traits::{fungible::hold::Inspect, Get},
};
use openledger_protocol::compute::JobStage;
use sp_runtime::TryRuntimeError;

impl<T: Config> Pallet<T> {
    /// Checks all of it.
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        Self::try_state_bonds_are_held()?;
        Self::try_state_raises_are_of_workers()?;
        Self::try_state_open_value_is_bonded()?;
        Self::try_state_jobs_are_staked()?;
        Self::try_state_lists_match_jobs()
    }

    /// What a worker's record says is held from its account.
    fn try_state_bonds_are_held() -> Result<(), TryRuntimeError> {
        for (who, worker) in Workers::<T>::iter() {
            ensure!(
                T::Currency::balance_on_hold(&HoldReason::Bond.into(), &who) == worker.bond,
                "compute: a bond is not what is held for it"
            );
            ensure!(
                worker.bond > 0 || worker.open > 0,
                "compute: a worker without bond and work was not removed"
            );
        }
        ensure!(
            T::Silence::get() > T::BeatPeriod::get(),
            "compute: a worker that beats would still be silent"
        );
        ensure!(
            Workers::<T>::count() <= T::MaxWorkers::get(),
            "compute: there are more workers than a draw may read"
        );
        Ok(())
    }

    /// Who added to a bond lately is a worker, and did so in a block that has been.
    fn try_state_raises_are_of_workers() -> Result<(), TryRuntimeError> {
        ensure!(
            Raised::<T>::iter()
                .all(|(who, raise)| Workers::<T>::contains_key(who) && raise.since <= Self::now()),
            "compute: something was added to a bond that is not there, or in a block to come"
        );
        Ok(())
    }

    /// What is open is covered by what is not on its way out, except where a slash took more than stood behind the work: then
    /// nothing may be on its way out.
    fn try_state_open_value_is_bonded() -> Result<(), TryRuntimeError> {
        for worker in Workers::<T>::iter_values() {
            ensure!(
                worker.open <= bonds::active(&worker) || worker.unbonding.is_none(),
                "compute: a worker is leaving with a bond that is behind open work"
            );
            ensure!(
                worker
                    .unbonding
                    .is_none_or(|unbonding| unbonding.amount > 0 && unbonding.amount <= worker.bond),
                "compute: more of a bond is on its way out than there is, or nothing is"
            );
        }
        Ok(())
    }

    /// What is staked on a worker's jobs is open.
    fn try_state_jobs_are_staked() -> Result<(), TryRuntimeError> {
        let mut stakes = BTreeMap::<T::AccountId, u128>::new();
        for (id, job) in Jobs::<T>::iter() {
            let terms = JobTerms::<T>::get(id).ok_or("compute: a job has no terms")?;
            match job.stage {
                JobStage::Assigned { worker, .. } => {
                    let sum = stakes.entry(worker).or_default();
                    *sum = sum.saturating_add(terms.stake);
                }
                JobStage::Waiting { .. } => {
                    ensure!(terms.stake == 0, "compute: a job that waits has a stake");
                }
            }
        }
        for (who, sum) in stakes {
            let open = Workers::<T>::get(&who).map_or(0, |worker| worker.open);
            ensure!(sum <= open, "compute: a stake is not open");
        }
        Ok(())
    }

    /// Every job is in the lists it belongs in, once.
    fn try_state_lists_match_jobs() -> Result<(), TryRuntimeError> {
        let (mut waiting, mut deadlines) = (Vec::new(), Vec::new());
        for (id, job) in Jobs::<T>::iter() {
            ensure!(
                id < NextJob::<T>::get(),
                "compute: a job has the id of the next one"
            );
            deadlines.push((job.deadline, id));
            if let JobStage::Waiting { epoch } = job.stage {
                waiting.push((epoch, id));
            }
        }
        deadlines.sort_unstable();
        ensure!(
            Deadlines::<T>::get().into_inner() == deadlines,
            "compute: the list of deadlines is not that of the jobs"
        );
        ensure!(
            JobTerms::<T>::iter_keys().count() == deadlines.len(),
            "compute: there are terms of a job that is gone"
        );
        let queue = Waiting::<T>::get().into_inner();
        let mut listed: Vec<_> = queue
            .iter()
            .filter_map(|id| match Jobs::<T>::get(id)?.stage {
                JobStage::Waiting { epoch } => Some((epoch, *id)),
                JobStage::Assigned { .. } => None,
            })
            .collect();
        ensure!(
            listed.len() == queue.len() && listed.is_sorted_by_key(|(epoch, _)| *epoch),
            "compute: the queue holds jobs that do not wait, or not in the order of their epochs"
        );
        listed.sort_unstable();
        waiting.sort_unstable();
        ensure!(
            listed == waiting,
            "compute: the queue is not that of the jobs that wait"
        );
        Ok(())
    }
}

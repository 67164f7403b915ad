//! Jobs: ordered, drawn, delivered, late.

use crate::{
    bonds::{active, room},
    Config, Deadlines, Error, Event, JobTerms, Jobs as JobsMap, NextJob, Pallet, Terms, Waiting, WeightInfo,
    Workers, JOBS_PER_BLOCK, MAX_DELIVERY, PAUSE,
};
use alloc::{collections::VecDeque, vec::Vec};
use codec::Encode;
use frame_support::{
    dispatch::DispatchResult, ensure, storage::with_storage_layer, traits::Get, weights::Weight, BoundedVec,
};
use openledger_attribution::{
    batch::draw_position,
    hash::{keccak, Hash, Tag},
};
use openledger_protocol::compute::{Delivery, Job, JobStage, Machine, Task, Worker};
use openledger_traits::{Draws, Jobs, OnOutcome};
use sp_core::sr25519;
use sp_runtime::{
    transaction_validity::{
        InvalidTransaction, TransactionSource, TransactionValidityWithRefund, ValidTransaction,
    },
    DispatchError, SaturatedConversion,
};

/// What randomness for jobs is drawn for.
pub const DOMAIN: &[u8] = b"job";

/// Purpose of the position that picks a worker.
pub const PURPOSE: Tag = *b"WRKR";

/// Epochs after which what was drawn for one is out.
const DRAW_DELAY: u64 = 2;

/// Blocks that a result may wait in the pool.
const LONGEVITY: u32 = 64;

/// Seed of a training whose worker was drawn by `drawn`.
pub fn training_seed(drawn: &Hash) -> Hash {
    keccak(&[b"seed", drawn])
}

/// Who is drawn among `workers`, which are in the order of their accounts, each as likely as its bond is large.
pub fn pick<'a, A>(
    workers: &'a [(A, Worker)],
    eligible: impl Fn(&A, &Worker) -> bool,
    drawn: &Hash,
    job: u64,
    attempt: u32,
) -> Option<&'a (A, Worker)> {
    let wide = || {
        workers
            .iter()
            .filter(|(who, worker)| eligible(who, worker))
            .map(|entry| (entry, active(&entry.1)))
    };
    let total = wide().fold(0u128, |sum, (_, width)| sum.saturating_add(width));
    if total == 0 {
        return None;
    }
    let object = keccak(&[b"job", &job.to_be_bytes()]);
    let position = draw_position(drawn, &PURPOSE, &object, attempt.into(), total);
    let mut end = 0u128;
    wide().find_map(|(entry, width)| {
        end = end.saturating_add(width);
        (position < end).then_some(entry)
    })
}

impl<T: Config> Pallet<T> {
    /// Height of this block.
    pub(crate) fn now() -> u32 {
        frame_system::Pallet::<T>::block_number().saturated_into()
    }

    /// Moves a job to another place in the list of deadlines, into it or out of it.
    fn schedule(id: u64, from: Option<u32>, to: Option<u32>) -> Result<(), Error<T>> {
        Deadlines::<T>::try_mutate(|list| {
            if let Some(Ok(place)) = from.map(|due| list.binary_search(&(due, id))) {
                list.remove(place);
            }
            match to.map(|due| (list.binary_search(&(due, id)), due)) {
                Some((Err(place), due)) => list
                    .try_insert(place, (due, id))
                    .map_err(|_| Error::<T>::TooManyJobs),
                _ => Ok(()),
            }
        })
    }

    /// Forgets a job; its worker's stake is taken off, and `slash` planck are taken.
    fn forget(id: u64, job: &Job<T::AccountId>, slash: impl FnOnce(u128) -> u128) {
        let stake = JobTerms::<T>::take(id).map_or(0, |terms| terms.stake);
        if let JobStage::Assigned { worker, .. } = &job.stage {
            Self::close_and_slash(worker, stake, slash(stake), None);
        }
        JobsMap::<T>::remove(id);
        // Taking out cannot fail for want of room.
        let _ = Self::schedule(id, Some(job.deadline), None);
    }

    /// Gives a job to a worker, with as much of its bond behind it as there is room for.
    fn assign(
        id: u64,
        mut job: Job<T::AccountId>,
        mut terms: Terms<T::AccountId>,
        who: &T::AccountId,
    ) -> Result<Job<T::AccountId>, Error<T>> {
        let now = Self::now();
        let left = terms.deadline.saturating_sub(now);
        // The last attempt has all the time that is left, any other half of it.
        let is_last = terms.named || job.attempt.saturating_add(1) >= T::MaxAttempts::get();
        let half = left.checked_div(2).unwrap_or(0);
        let time = if is_last || half == 0 { left } else { half };
        let due = now.saturating_add(time);
        terms.stake = Workers::<T>::try_mutate(who, |worker| {
            let worker = worker.as_mut().ok_or(Error::<T>::NotWorker)?;
            let stake = T::LateSlash::get().min(room(worker));
            worker.open = worker.open.saturating_add(stake);
            Ok(stake)
        })?;
        Self::schedule(id, Some(job.deadline), Some(due))?;
        job.deadline = due;
        job.stage = JobStage::Assigned {
            worker: who.clone(),
            since: now,
        };
        JobsMap::<T>::insert(id, job.clone());
        JobTerms::<T>::insert(id, terms);
        Self::deposit_event(Event::Assigned {
            job: id,
            attempt: job.attempt,
            worker: who.clone(),
            deadline: due,
        });
        Ok(job)
    }

    /// What a block does before anything else: gives up on jobs that are late, gives out jobs whose draw is out.
    pub(crate) fn work(now: u32) -> Weight {
        let (late, late_failed) = Self::expire(now);
        let (drawn, draw_failed, workers) = Self::give_out();
        let failed: Vec<_> = late_failed.into_iter().chain(draw_failed).collect();
        let told = u64::try_from(failed.len()).unwrap_or(u64::MAX);
        // Last, when every list is as it should be: whoever is told may order again.
        for (id, task) in failed {
            Self::deposit_event(Event::Failed { job: id });
            T::OnOutcome::failed(id, &task);
        }
        T::WeightInfo::idle()
            .saturating_add(T::WeightInfo::expire().saturating_mul(late))
            .saturating_add(T::WeightInfo::read_workers(workers))
            .saturating_add(T::WeightInfo::give_out().saturating_mul(drawn))
            .saturating_add(T::OutcomeWeight::get().saturating_mul(told))
    }

    /// Ends attempts whose deadline has passed. Returns how many, and the jobs that failed with them.
    pub(crate) fn expire(now: u32) -> (u64, Vec<(u64, Task)>) {
        let late: Vec<u64> = Deadlines::<T>::get()
            .into_iter()
            .take_while(|(due, _)| *due < now)
            .take(JOBS_PER_BLOCK.saturated_into())
            .map(|(_, id)| id)
            .collect();
        let mut failed = Vec::new();
        let mut count = 0u64;
        for id in late {
            let (Some(job), Some(terms)) = (JobsMap::<T>::get(id), JobTerms::<T>::get(id)) else {
                continue;
            };
            count = count.saturating_add(1);
            if let JobStage::Assigned { worker, .. } = &job.stage {
                Self::deposit_event(Event::Late {
                    job: id,
                    attempt: job.attempt,
                    worker: worker.clone(),
                });
            }
            if let Some(task) = Self::end_attempt(id, job, terms, now) {
                failed.push((id, task));
            }
        }
        (count, failed)
    }

    /// Slashes the late worker and lets the job wait for another, if there is one to come. Returns the task of a job that
    /// failed.
    fn end_attempt(id: u64, job: Job<T::AccountId>, terms: Terms<T::AccountId>, now: u32) -> Option<Task> {
        let next = job.attempt.saturating_add(1);
        match &job.stage {
            JobStage::Assigned { worker, .. }
                if !terms.named && next < T::MaxAttempts::get() && now < terms.deadline =>
            {
                let worker = worker.clone();
                let epoch = T::Draws::epoch();
                // There is room: every list has a place for every job.
                if Waiting::<T>::try_append(id).is_err()
                    || Self::schedule(id, Some(job.deadline), Some(terms.deadline)).is_err()
                {
                    Self::forget(id, &job, |stake| stake);
                    return Some(job.task);
                }
                Self::close_and_slash(&worker, terms.stake, terms.stake, None);
                JobsMap::<T>::insert(
                    id,
                    Job {
                        deadline: terms.deadline,
                        attempt: next,
                        stage: JobStage::Waiting { epoch },
                        ..job
                    },
                );
                JobTerms::<T>::insert(
                    id,
                    Terms {
                        stake: 0,
                        late: Some(worker),
                        paused: 0,
                        ..terms
                    },
                );
                None
            }
            JobStage::Assigned { .. } => {
                Self::forget(id, &job, |stake| stake);
                Some(job.task)
            }
            JobStage::Waiting { .. } => {
                Waiting::<T>::mutate(|queue| queue.retain(|other| *other != id));
                Self::forget(id, &job, |_| 0);
                Some(job.task)
            }
        }
    }

    /// Gives out jobs whose draw is out. Returns how many were looked at, those nobody is capable of, and how many workers
    /// were read.
    fn give_out() -> (u64, Vec<(u64, Task)>, u32) {
        let mut queue: VecDeque<u64> = Waiting::<T>::get().into_inner().into();
        let mut workers: Option<Vec<(T::AccountId, Worker)>> = None;
        let mut failed = Vec::new();
        let mut looked = 0u64;
        while looked < u64::from(JOBS_PER_BLOCK) {
            let Some(id) = queue.front().copied() else {
                break;
            };
            let (Some(job), Some(terms)) = (JobsMap::<T>::get(id), JobTerms::<T>::get(id)) else {
                queue.pop_front();
                continue;
            };
            let JobStage::Waiting { epoch } = job.stage else {
                queue.pop_front();
                continue;
            };
            looked = looked.saturating_add(1);
            let Some(drawn) = T::Draws::drawn(epoch, DOMAIN, id) else {
                let current = T::Draws::epoch();
                if current <= epoch.saturating_add(DRAW_DELAY) {
                    // Not out yet; nor is any behind it, which waits for the same epoch or a later one.
                    break;
                }
                // It was out, and is forgotten: this job waits for another.
                JobsMap::<T>::insert(
                    id,
                    Job {
                        stage: JobStage::Waiting { epoch: current },
                        ..job
                    },
                );
                queue.rotate_left(1);
                continue;
            };
            queue.pop_front();
            let workers = workers.get_or_insert_with(Self::all_workers);
            if !Self::give(id, job.clone(), terms, workers, &drawn) {
                Self::forget(id, &job, |_| 0);
                failed.push((id, job.task));
            }
        }
        if looked > 0 {
            Waiting::<T>::put(BoundedVec::truncate_from(queue.into()));
        }
        let read = workers.map_or(0, |workers| workers.len());
        (looked, failed, u32::try_from(read).unwrap_or(u32::MAX))
    }

    /// Every worker, by account.
    pub(crate) fn all_workers() -> Vec<(T::AccountId, Worker)> {
        let mut workers: Vec<_> = Workers::<T>::iter().collect();
        workers.sort_by(|(one, _), (other, _)| one.cmp(other));
        workers
    }

    /// Draws a worker for a job and gives it to that one; fails if there is none.
    pub(crate) fn give(
        id: u64,
        mut job: Job<T::AccountId>,
        terms: Terms<T::AccountId>,
        workers: &mut [(T::AccountId, Worker)],
        drawn: &Hash,
    ) -> bool {
        let (needs, least, stake) = (job.task.needs(), T::MinBond::get(), T::LateSlash::get());
        let seen_since = Self::seen_since();
        let capable = |_: &T::AccountId, worker: &Worker| {
            worker.capabilities & needs == needs
                && terms
                    .machine
                    .as_ref()
                    .is_none_or(|machine| worker.is_machine(machine))
                && worker.seen >= seen_since
                && active(worker) >= least
                && room(worker) >= stake
        };
        // Whoever was late has its turn again only if there is nobody else.
        let fresh =
            |who: &T::AccountId, worker: &Worker| terms.late.as_ref() != Some(who) && capable(who, worker);
        let picked = pick(workers, fresh, drawn, id, job.attempt)
            .or_else(|| pick(workers, capable, drawn, id, job.attempt))
            .map(|(who, _)| who.clone());
        let Some(who) = picked else {
            return false;
        };
        if let Task::Train { seed, .. } = &mut job.task {
            *seed = training_seed(drawn);
        }
        if Self::assign(id, job, terms, &who).is_err() {
            return false;
        }
        // The next draw of this block sees what this one opened.
        if let Some((entry, now)) = workers
            .iter_mut()
            .find(|(other, _)| *other == who)
            .zip(Workers::<T>::get(&who))
        {
            entry.1 = now;
        }
        true
    }

    /// The job that a delivery is for, if it is for one.
    pub(crate) fn delivered_job(delivery: &Delivery) -> Result<Job<T::AccountId>, Error<T>> {
        let job = JobsMap::<T>::get(delivery.job).ok_or(Error::<T>::NoSuchJob)?;
        let JobStage::Assigned { worker, .. } = &job.stage else {
            return Err(Error::<T>::NotAssigned);
        };
        let sender = T::AccountId::from(delivery.worker);
        ensure!(
            *worker == sender && job.attempt == delivery.attempt,
            Error::<T>::NotAssigned
        );
        let now = Self::now();
        ensure!(now <= job.deadline, Error::<T>::DeadlinePassed);
        let paused = JobTerms::<T>::get(delivery.job).map_or(0, |terms| terms.paused);
        ensure!(now >= paused, Error::<T>::Paused);
        Ok(job)
    }

    /// Whether a delivery may be in a block: cheap checks first, the signature last.
    pub(crate) fn authorize_deliver(
        _: TransactionSource,
        delivery: &Delivery,
        signature: &[u8; 64],
    ) -> TransactionValidityWithRefund {
        let job = Self::delivered_job(delivery).map_err(|error| match error {
            Error::<T>::Paused => InvalidTransaction::Future,
            // Delivered, late, or somebody else's: it will not become good.
            _ => InvalidTransaction::Stale,
        })?;
        if delivery.encoded_size() > MAX_DELIVERY {
            return Err(InvalidTransaction::ExhaustsResources.into());
        }
        let genesis = frame_system::Pallet::<T>::block_hash(
            frame_system::pallet_prelude::BlockNumberFor::<T>::from(0u32),
        );
        if genesis.as_ref() != delivery.genesis {
            return Err(InvalidTransaction::BadProof.into());
        }
        let worker =
            Workers::<T>::get(T::AccountId::from(delivery.worker)).ok_or(InvalidTransaction::Stale)?;
        let is_signed = sp_io::crypto::sr25519_verify(
            &sr25519::Signature::from_raw(*signature),
            &delivery.signing_message(),
            &sr25519::Public::from_raw(worker.result_key),
        );
        if !is_signed {
            return Err(InvalidTransaction::BadProof.into());
        }
        let left = job.deadline.saturating_sub(Self::now());
        ValidTransaction::with_tag_prefix("OpenLedgerResult")
            .priority(T::DeliveryPriority::get())
            .and_provides((delivery.job, delivery.attempt))
            .longevity(left.clamp(1, LONGEVITY).into())
            .propagate(true)
            .build()
            .map(|valid| (valid, Weight::zero()))
    }

    pub(crate) fn do_deliver(delivery: &Delivery) -> DispatchResult {
        let job = Self::delivered_job(delivery)?;
        let worker = T::AccountId::from(delivery.worker);
        let id = delivery.job;
        let accepted = with_storage_layer(|| {
            // Forgotten first, so that whoever ordered it finds things as they will be, and may order again.
            Self::forget(id, &job, |_| 0);
            Workers::<T>::mutate(&worker, |record| {
                if let Some(record) = record {
                    record.seen = Self::now();
                }
            });
            T::OnOutcome::delivered(id, &job.task, &worker, &delivery.outcome)
        });
        match accepted {
            Ok(()) => Self::deposit_event(Event::Delivered {
                job: id,
                attempt: job.attempt,
                worker,
            }),
            Err(error) => {
                let until = Self::now().saturating_add(PAUSE);
                JobTerms::<T>::mutate_extant(id, |terms| terms.paused = until);
                Self::deposit_event(Event::Refused {
                    job: id,
                    attempt: job.attempt,
                    error,
                });
            }
        }
        Ok(())
    }
}

impl<T: Config> Jobs<T::AccountId> for Pallet<T> {
    fn order(task: Task, worker: Option<&T::AccountId>, deadline: u32) -> Result<u64, DispatchError> {
        Self::do_order(task, worker, None, deadline)
    }

    fn order_on(task: Task, machine: Machine, deadline: u32) -> Result<u64, DispatchError> {
        Self::do_order(task, None, Some(machine), deadline)
    }
}

impl<T: Config> Pallet<T> {
    fn do_order(
        task: Task,
        worker: Option<&T::AccountId>,
        machine: Option<Machine>,
        deadline: u32,
    ) -> Result<u64, DispatchError> {
        ensure!(deadline > Self::now(), Error::<T>::DeadlinePassed);
        if let Some(worker) = worker {
            let record = Workers::<T>::get(worker).ok_or(Error::<T>::NotWorker)?;
            let needs = task.needs();
            ensure!(record.capabilities & needs == needs, Error::<T>::NotCapable);
        }
        with_storage_layer(|| {
            let id = NextJob::<T>::get();
            NextJob::<T>::put(id.saturating_add(1));
            let job = Job {
                task,
                deadline,
                attempt: 0,
                stage: JobStage::Waiting {
                    epoch: T::Draws::epoch(),
                },
            };
            let terms = Terms {
                deadline,
                named: worker.is_some(),
                machine,
                stake: 0,
                late: None,
                paused: 0,
            };
            Self::schedule(id, None, Some(deadline))?;
            Self::deposit_event(Event::Ordered { job: id, task });
            match worker {
                Some(worker) => {
                    Self::assign(id, job, terms, worker)?;
                }
                None => {
                    JobsMap::<T>::insert(id, job);
                    JobTerms::<T>::insert(id, terms);
                    Waiting::<T>::try_append(id).map_err(|_| Error::<T>::TooManyJobs)?;
                }
            }
            Ok(id)
        })
    }
}

//! What becomes of a generation once it is ordered: adapter, seed, index, or nothing.

use crate::{
    pallet::{
        AwaitingSeed, Bases, Config, Drawn, Error, Event, Generations, HoldReason, Models, Newest, Pallet,
    },
    WeightInfo, DRAW_DOMAIN, SEEDS_PER_BLOCK,
};
use alloc::collections::VecDeque;
use core::marker::PhantomData;
use frame_support::{
    defensive,
    dispatch::DispatchResult,
    ensure,
    storage::with_storage_layer,
    traits::{
        fungible::MutateHold,
        tokens::{Fortitude, Precision, Restriction},
        Get,
    },
    weights::Weight,
    BoundedVec,
};
use openledger_attribution::{
    hash::{Hash, NONE},
    index::{index_seed, IndexHeader},
    sketch::Layout,
    wire::Object,
};
use openledger_protocol::{
    compute::{Outcome, Task},
    models::{Generation, MaxSources, Stage},
    Cid,
};
use openledger_traits::{Draws, Indexes, Jobs, OnOutcome};
use sp_runtime::DispatchError;

/// Epochs after which what was drawn for one is out.
const DRAW_DELAY: u64 = 2;

/// The most that taking or losing a result costs: for whoever calls [`OnOutcome`].
pub struct OutcomeWeight<T>(PhantomData<T>);

impl<T: Config> Get<Weight> for OutcomeWeight<T> {
    fn get() -> Weight {
        T::WeightInfo::trained()
            .max(T::WeightInfo::indexed(MaxSources::get()))
            .max(T::WeightInfo::failed())
    }
}

impl<T: Config> Pallet<T> {
    /// Orders the index of generations whose seed is drawn. Returns how many were looked at.
    pub(crate) fn order_indexes() -> u32 {
        let queue = AwaitingSeed::<T>::get();
        if queue.is_empty() {
            return 0;
        }
        let mut queue = VecDeque::from(queue.into_inner());
        let mut looked = 0u32;
        while looked < SEEDS_PER_BLOCK {
            let Some((model, generation)) = queue.front().copied() else {
                break;
            };
            looked = looked.saturating_add(1);
            let Some(mut entry) = Generations::<T>::get(model, generation) else {
                queue.pop_front();
                continue;
            };
            let Stage::AwaitingSeed { epoch } = entry.stage else {
                queue.pop_front();
                continue;
            };
            if let Some(drawn) = T::Draws::drawn(epoch, DRAW_DOMAIN, entry.job) {
                queue.pop_front();
                Self::order_index(model, generation, entry, &drawn);
                continue;
            }
            let current = T::Draws::epoch();
            if current <= epoch.saturating_add(DRAW_DELAY) {
                // Not out yet; nor is any behind it, which was committed in the same epoch or a later one.
                break;
            }
            // It was out and is forgotten, because the chain stood still: the adapter waits for a draw to come instead.
            entry.stage = Stage::AwaitingSeed { epoch: current };
            Generations::<T>::insert(model, generation, entry);
            queue.rotate_left(1);
        }
        // Nothing was added, so everything has its place.
        AwaitingSeed::<T>::put(BoundedVec::truncate_from(queue.into()));
        looked
    }

    /// Orders the index of one generation, or ends it if its trainer is none any more.
    fn order_index(model: u64, generation: u32, mut entry: Generation<T::AccountId>, drawn: &Hash) {
        let seed = index_seed(&entry.adapter, drawn);
        let deadline = entry.deadline.max(Self::after(T::IndexTime::get()));
        let task = Task::Index {
            model,
            generation,
            seed,
        };
        match with_storage_layer(|| T::Jobs::order(task, entry.trainer.as_ref(), deadline)) {
            Ok(job) => {
                entry.job = job;
                entry.deadline = deadline;
                entry.stage = Stage::Indexing { seed };
                Generations::<T>::insert(model, generation, entry);
                Drawn::<T>::insert(model, generation, drawn);
                Self::deposit_event(Event::IndexOrdered {
                    model,
                    generation,
                    seed,
                    job,
                });
            }
            Err(_) => Self::fail(model, generation, entry),
        }
    }

    /// Ends a generation that nobody will make ready; its price goes back.
    fn fail(model: u64, generation: u32, mut entry: Generation<T::AccountId>) {
        let (who, price) = (entry.requester.clone(), entry.price);
        entry.stage = Stage::Failed;
        Generations::<T>::insert(model, generation, entry);
        if price > 0
            && T::Currency::release(&HoldReason::Price.into(), &who, price, Precision::Exact).is_err()
        {
            defensive!("models: the price of a failed generation is not held");
        }
        Self::deposit_event(Event::Failed {
            model,
            generation,
            who,
            price,
        });
    }

    /// The generation that waits for `job`.
    fn awaited(
        model: u64,
        generation: u32,
        job: u64,
        is_stage: impl Fn(&Stage) -> bool,
    ) -> Option<Generation<T::AccountId>> {
        Generations::<T>::get(model, generation).filter(|entry| entry.job == job && is_stage(&entry.stage))
    }

    fn trained(
        (model, generation, job): (u64, u32, u64),
        seed: &Hash,
        trainer: &T::AccountId,
        adapter: &Hash,
        cid: &Cid,
        losses: (u32, u32),
    ) -> DispatchResult {
        let mut entry = Self::awaited(model, generation, job, |stage| *stage == Stage::Training)
            .ok_or(Error::<T>::NotAwaited)?;
        ensure!(*adapter != NONE, Error::<T>::NoAdapter);
        AwaitingSeed::<T>::try_append((model, generation)).map_err(|()| Error::<T>::TooManyAwaiting)?;
        let epoch = T::Draws::epoch();
        entry.trainer = Some(trainer.clone());
        entry.seed = *seed;
        entry.adapter = *adapter;
        entry.adapter_cid = cid.clone();
        (entry.loss_before, entry.loss_after) = losses;
        entry.stage = Stage::AwaitingSeed { epoch };
        Generations::<T>::insert(model, generation, entry);
        Self::deposit_event(Event::Trained {
            model,
            generation,
            trainer: trainer.clone(),
            adapter: *adapter,
            epoch,
        });
        Ok(())
    }

    fn indexed(
        (model, generation, job): (u64, u32, u64),
        worker: &T::AccountId,
        header: &IndexHeader,
        layout: &Layout,
    ) -> DispatchResult {
        let is_indexing = |stage: &Stage| matches!(stage, Stage::Indexing { .. });
        let mut entry = Self::awaited(model, generation, job, is_indexing).ok_or(Error::<T>::NotAwaited)?;
        let Stage::Indexing { seed } = entry.stage else {
            return Err(Error::<T>::NotAwaited.into());
        };
        ensure!(entry.trainer.as_ref() == Some(worker), Error::<T>::NotTrainer);
        let base = Models::<T>::get(model)
            .and_then(|model| Bases::<T>::get(model.base))
            .ok_or(Error::<T>::UnknownBase)?;
        Self::check_index(
            (model, generation),
            &entry,
            &base,
            &seed,
            worker,
            (header, layout),
        )?;
        T::Indexes::register(header, layout)?;
        let (index, price) = (header.hash(), entry.price);
        if price > 0 {
            // By force: the price was promised when it was held, and no lock that came later takes that back.
            T::Currency::transfer_on_hold(
                &HoldReason::Price.into(),
                &entry.requester,
                worker,
                price,
                Precision::Exact,
                Restriction::Free,
                Fortitude::Force,
            )?;
        }
        entry.stage = Stage::Ready { index };
        Generations::<T>::insert(model, generation, entry);
        Newest::<T>::mutate(model, |newest| *newest = (*newest).max(Some(generation)));
        Self::deposit_event(Event::Ready {
            model,
            generation,
            index,
            trainer: worker.clone(),
            price,
        });
        Ok(())
    }
}

impl<T: Config> OnOutcome<T::AccountId> for Pallet<T> {
    fn delivered(
        job: u64,
        task: &Task,
        worker: &T::AccountId,
        outcome: &Outcome,
    ) -> Result<(), DispatchError> {
        match (*task, outcome) {
            (
                Task::Train {
                    model,
                    generation,
                    seed,
                },
                Outcome::Trained {
                    adapter,
                    cid,
                    loss_before,
                    loss_after,
                },
            ) => Self::trained(
                (model, generation, job),
                &seed,
                worker,
                adapter,
                cid,
                (*loss_before, *loss_after),
            ),
            (
                Task::Index {
                    model, generation, ..
                },
                Outcome::Indexed { header, layout },
            ) => Self::indexed((model, generation, job), worker, header, layout),
            _ => Err(Error::<T>::WrongOutcome.into()),
        }
    }

    fn failed(job: u64, task: &Task) {
        let (Task::Train {
            model, generation, ..
        }
        | Task::Index {
            model, generation, ..
        }) = *task
        else {
            return;
        };
        let is_at_work = |stage: &Stage| matches!(stage, Stage::Training | Stage::Indexing { .. });
        if let Some(entry) = Self::awaited(model, generation, job, is_at_work) {
            Self::fail(model, generation, entry);
        }
    }
}

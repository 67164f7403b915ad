//! What must hold between any two blocks.

#![cfg(any(feature = "std", feature = "try-runtime", test))]

use crate::pallet::{
    AwaitingSeed, Bases, Config, Generations, HoldReason, Lines, Models, Newest, NextBase, NextModel, Pallet,
    StoppedUntil, Voided,
};
use alloc::collections::{BTreeMap, BTreeSet};
use frame_support::{
    ensure,
    traits::{fungible::InspectHold, Get},
};
use openledger_attribution::hash::{Account, NONE};
use openledger_protocol::models::Stage;
use sp_runtime::TryRuntimeError;

impl<T: Config> Pallet<T> {
    /// Checks the state against itself and against what is held.
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        Self::try_state_ids_are_below_next()?;
        Self::try_state_generations_are_contiguous()?;
        Self::try_state_tariffs_are_whole()?;
        Self::try_state_stages_are_possible()?;
        Self::try_state_voided_are_out_of_use()?;
        Self::try_state_lines_lead_back()?;
        Self::try_state_queue_holds_who_waits()?;
        Self::try_state_holds_equal_deposits_and_prices()
    }

    /// Every number was given out, and models name bases that exist.
    fn try_state_ids_are_below_next() -> Result<(), TryRuntimeError> {
        let next = NextBase::<T>::get();
        ensure!(
            Bases::<T>::iter_keys().all(|id| id < next),
            "models: a base has a number that was not given out"
        );
        let next = NextModel::<T>::get();
        ensure!(
            Models::<T>::iter_keys().all(|id| id < next),
            "models: a model has a number that was not given out"
        );
        ensure!(
            Models::<T>::iter_values().all(|entry| Bases::<T>::contains_key(entry.base)),
            "models: a model is of a base that does not exist"
        );
        Ok(())
    }

    /// A model's generations are 1, 2, … without a gap.
    fn try_state_generations_are_contiguous() -> Result<(), TryRuntimeError> {
        let mut counted: BTreeMap<u64, u32> = BTreeMap::new();
        for (model, generation) in Generations::<T>::iter_keys() {
            let count = counted.entry(model).or_default();
            *count = count.saturating_add(1);
            ensure!(
                Models::<T>::get(model).is_some_and(|model| (1..=model.generations).contains(&generation)),
                "models: a generation was not counted"
            );
        }
        ensure!(
            Models::<T>::iter()
                .all(|(id, entry)| counted.get(&id).copied().unwrap_or(0) == entry.generations),
            "models: a counted generation is missing"
        );
        Ok(())
    }

    /// Every tariff, and the governed split, adds up.
    fn try_state_tariffs_are_whole() -> Result<(), TryRuntimeError> {
        ensure!(
            T::Split::get().is_whole(),
            "models: the governed split does not add up to 10,000"
        );
        ensure!(
            Models::<T>::iter_values()
                .all(|entry| entry.tariff.is_whole()
                    && entry.previous.is_none_or(|(tariff, _)| tariff.is_whole())),
            "models: a tariff does not add up"
        );
        ensure!(
            StoppedUntil::<T>::iter_keys().all(|id| Models::<T>::get(id).is_some_and(|entry| !entry.serving)),
            "models: a model that serves has a time when it stopped"
        );
        Ok(())
    }

    /// A generation has trainer and adapter once it is trained, and not before.
    fn try_state_stages_are_possible() -> Result<(), TryRuntimeError> {
        for entry in Generations::<T>::iter_values() {
            let is_trained = entry.trainer.is_some() && entry.adapter != NONE;
            let is_possible = match entry.stage {
                Stage::Training => entry.trainer.is_none() && entry.adapter == NONE,
                Stage::AwaitingSeed { .. } | Stage::Indexing { .. } | Stage::Ready { .. } => is_trained,
                Stage::Failed => true,
            };
            ensure!(
                is_possible,
                "models: a generation is trained by nobody, or was before it could be"
            );
            ensure!(!entry.sources.is_empty(), "models: a generation has no source");
        }
        Ok(())
    }

    /// A generation whose index was proved wrong cannot answer, and the latest that became ready was one that did.
    fn try_state_voided_are_out_of_use() -> Result<(), TryRuntimeError> {
        for (model, generation, _) in Voided::<T>::iter() {
            ensure!(
                Generations::<T>::get(model, generation).is_some_and(|entry| entry.stage == Stage::Failed),
                "models: a generation answers by an index that was proved wrong"
            );
        }
        for (model, newest) in Newest::<T>::iter() {
            let is_ready = |generation| {
                Voided::<T>::contains_key(model, generation)
                    || Generations::<T>::get(model, generation)
                        .is_some_and(|entry| matches!(entry.stage, Stage::Ready { .. }))
            };
            ensure!(
                is_ready(newest),
                "models: the latest generation that became ready never did"
            );
        }
        Ok(())
    }

    /// A line names generations that were there before its own, and ends at one that has none.
    fn try_state_lines_lead_back() -> Result<(), TryRuntimeError> {
        for (model, generation, line) in Lines::<T>::iter() {
            ensure!(
                Generations::<T>::contains_key(model, generation)
                    && line.ancestors().all(|place| {
                        place != (model, generation) && Generations::<T>::contains_key(place.0, place.1)
                    }),
                "models: a line names a generation that does not exist"
            );
            ensure!(
                !Lines::<T>::contains_key(line.root.0, line.root.1),
                "models: the root of a line has ancestors"
            );
        }
        Ok(())
    }

    /// Who waits for a seed is in the queue once, and nobody else is.
    fn try_state_queue_holds_who_waits() -> Result<(), TryRuntimeError> {
        let queue = AwaitingSeed::<T>::get();
        let queued: BTreeSet<(u64, u32)> = queue.iter().copied().collect();
        ensure!(
            queued.len() == queue.len(),
            "models: a generation is queued twice for its seed"
        );
        let waiting: BTreeSet<(u64, u32)> = Generations::<T>::iter()
            .filter(|(_, _, entry)| matches!(entry.stage, Stage::AwaitingSeed { .. }))
            .map(|(model, generation, _)| (model, generation))
            .collect();
        ensure!(
            queued == waiting,
            "models: the queue is not of those generations that wait for a seed"
        );
        Ok(())
    }

    /// What is held from each account is what its deposits, and the prices of its unfinished generations, add up to.
    fn try_state_holds_equal_deposits_and_prices() -> Result<(), TryRuntimeError> {
        let of = |reason, amounts: &mut dyn Iterator<Item = (T::AccountId, u128)>| {
            let mut sums: BTreeMap<Account, u128> = BTreeMap::new();
            for (who, amount) in amounts {
                let sum = sums.entry(who.into()).or_default();
                *sum = sum.saturating_add(amount);
            }
            let reason = T::RuntimeHoldReason::from(reason);
            sums.into_iter()
                .all(|(who, sum)| T::Currency::balance_on_hold(&reason, &who.into()) == sum)
        };
        ensure!(
            of(
                HoldReason::Base,
                &mut Bases::<T>::iter_values().map(|entry| (entry.registrant, entry.deposit)),
            ),
            "models: a registrant's hold is not the sum of its bases' deposits"
        );
        ensure!(
            of(
                HoldReason::Model,
                &mut Models::<T>::iter_values().map(|entry| (entry.creator, entry.deposit)),
            ),
            "models: a creator's hold is not the sum of its models' deposits"
        );
        let owed = |stage: Stage, price| match stage {
            Stage::Ready { .. } | Stage::Failed => 0,
            Stage::Training | Stage::AwaitingSeed { .. } | Stage::Indexing { .. } => price,
        };
        ensure!(
            of(
                HoldReason::Price,
                &mut Generations::<T>::iter_values()
                    .map(|entry| (entry.requester, owed(entry.stage, entry.price))),
            ),
            "models: a requester's hold is not the sum of the prices of its unfinished generations"
        );
        Ok(())
    }
}

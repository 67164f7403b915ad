//! What the calls do, and what other pallets ask. Every function that fails is called inside a dispatch, which then changes
//! nothing.

use crate::pallet::{
    Bases, Config, Drawn, Error, Event, Generations, HoldReason, Lines, Models, Newest, NextBase, NextModel,
    Pallet, StoppedUntil, Voided,
};
use alloc::vec::Vec;
use frame_support::{
    dispatch::DispatchResult,
    ensure,
    traits::{fungible::MutateHold, Get},
    BoundedVec,
};
use frame_system::pallet_prelude::BlockNumberFor;
use openledger_attribution::{
    fee::{Mix, Tariff},
    hash::{Hash, NONE},
    index::{IndexHeader, IndexRules},
    verdict::IndexOrder,
};
use openledger_protocol::{
    compute::Task,
    is_name,
    models::{tariff_of, Base, Generation, MaxSources, Model, Place, Recipe, Source, Stage},
    Cid, Name,
};
use openledger_traits::{Ancestors, Asset, Jobs, Ownership, Served};
use sp_runtime::{DispatchError, SaturatedConversion};

impl<T: Config> Pallet<T> {
    pub(crate) fn do_register_base(
        who: T::AccountId,
        name: Name,
        licence: Name,
        weights: Hash,
        tokenizer: Hash,
    ) -> DispatchResult {
        ensure!(is_name(&name), Error::<T>::BadName);
        ensure!(is_name(&licence), Error::<T>::BadLicence);
        let base = NextBase::<T>::get();
        NextBase::<T>::put(base.checked_add(1).ok_or(Error::<T>::NoNumberLeft)?);
        let deposit = T::BaseDeposit::get();
        Self::hold(HoldReason::Base, &who, deposit)?;
        Bases::<T>::insert(
            base,
            Base {
                registrant: who.clone(),
                name,
                licence,
                weights,
                tokenizer,
                deposit,
            },
        );
        Self::deposit_event(Event::BaseRegistered { base, who });
        Ok(())
    }

    pub(crate) fn do_create(
        who: T::AccountId,
        name: Name,
        base: u64,
        price_in: u128,
        price_out: u128,
        mix: Mix,
    ) -> DispatchResult {
        ensure!(is_name(&name), Error::<T>::BadName);
        ensure!(Bases::<T>::contains_key(base), Error::<T>::UnknownBase);
        let tariff = Self::tariff(price_in, price_out, mix)?;
        let model = NextModel::<T>::get();
        NextModel::<T>::put(model.checked_add(1).ok_or(Error::<T>::NoNumberLeft)?);
        let deposit = T::ModelDeposit::get();
        Self::hold(HoldReason::Model, &who, deposit)?;
        T::Ownership::mint(Asset::Model(model), &who)?;
        Models::<T>::insert(
            model,
            Model {
                name,
                base,
                creator: who.clone(),
                deposit,
                generations: 0,
                tariff,
                previous: None,
                serving: true,
            },
        );
        Self::deposit_event(Event::Created { model, who });
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    pub(crate) fn do_request_training(
        who: T::AccountId,
        model: u64,
        sources: BoundedVec<Source, MaxSources>,
        recipe: Recipe,
        rules: IndexRules,
        price: u128,
        deadline: u32,
        parent: Option<Place>,
    ) -> DispatchResult {
        let mut entry = Self::owned(model, &who)?;
        ensure!(Bases::<T>::contains_key(entry.base), Error::<T>::UnknownBase);
        Self::check_sources(&sources)?;
        Self::check_recipe(&recipe)?;
        Self::check_rules(&rules)?;
        ensure!(price >= T::LeastPrice::get(), Error::<T>::PriceTooLow);
        ensure!(
            deadline >= Self::after(T::ShortestTraining::get()),
            Error::<T>::DeadlineTooSoon
        );
        ensure!(
            deadline <= Self::after(T::LongestTraining::get()),
            Error::<T>::DeadlineTooLate
        );
        let line = parent
            .map(|parent| Self::line_from(parent, entry.base, &recipe, &sources))
            .transpose()?;
        let generation = entry.generations.checked_add(1).ok_or(Error::<T>::NoNumberLeft)?;
        entry.generations = generation;
        Models::<T>::insert(model, entry);
        Self::hold(HoldReason::Price, &who, price)?;
        // Nobody may know the seed when data and recipe are chosen. The job's worker is drawn later, and the seed with it:
        // `compute` puts it into the task when it assigns the job.
        let task = Task::Train {
            model,
            generation,
            seed: NONE,
        };
        let job = T::Jobs::order(task, None, deadline)?;
        Generations::<T>::insert(
            model,
            generation,
            Generation {
                requester: who.clone(),
                sources,
                recipe,
                rules,
                price,
                job,
                deadline,
                trainer: None,
                seed: NONE,
                adapter: NONE,
                adapter_cid: Cid::default(),
                loss_before: 0,
                loss_after: 0,
                stage: Stage::Training,
            },
        );
        if let Some(line) = line {
            Lines::<T>::insert(model, generation, line);
        }
        Self::deposit_event(Event::TrainingRequested {
            model,
            generation,
            who,
            price,
            job,
        });
        Ok(())
    }

    pub(crate) fn do_set_prices(
        who: T::AccountId,
        model: u64,
        price_in: u128,
        price_out: u128,
    ) -> DispatchResult {
        let mut entry = Self::owned(model, &who)?;
        // Only one earlier tariff is kept: another change would end it before its time.
        ensure!(
            entry.previous.is_none_or(|(_, until)| until < Self::now()),
            Error::<T>::PricesHeld
        );
        let previous_until = Self::after(T::PriceHold::get());
        let tariff = Self::tariff(price_in, price_out, entry.tariff.mix)?;
        entry.previous = Some((entry.tariff, previous_until));
        entry.tariff = tariff;
        Models::<T>::insert(model, entry);
        Self::deposit_event(Event::PricesSet {
            model,
            price_in,
            price_out,
            previous_until,
        });
        Ok(())
    }

    pub(crate) fn do_set_serving(who: T::AccountId, model: u64, serving: bool) -> DispatchResult {
        let mut entry = Self::owned(model, &who)?;
        if serving {
            StoppedUntil::<T>::remove(model);
        } else if entry.serving {
            StoppedUntil::<T>::insert(model, Self::after(T::PriceHold::get()));
        }
        entry.serving = serving;
        Models::<T>::insert(model, entry);
        Self::deposit_event(Event::ServingSet { model, serving });
        Ok(())
    }

    /// The model, if `who` owns it.
    fn owned(model: u64, who: &T::AccountId) -> Result<Model<T::AccountId>, Error<T>> {
        let entry = Models::<T>::get(model).ok_or(Error::<T>::UnknownModel)?;
        ensure!(
            T::Ownership::owner(Asset::Model(model)).as_ref() == Some(who),
            Error::<T>::NotOwner
        );
        Ok(entry)
    }

    /// The tariff with these prices and today's split.
    fn tariff(price_in: u128, price_out: u128, mix: Mix) -> Result<Tariff, Error<T>> {
        let tariff = Tariff {
            price_in,
            price_out,
            split: T::Split::get(),
            mix,
        };
        ensure!(mix.is_whole(), Error::<T>::MixNotWhole);
        ensure!(tariff.is_whole(), Error::<T>::SplitNotWhole);
        ensure!(tariff.fee(u32::MAX, u32::MAX).is_some(), Error::<T>::PriceTooHigh);
        Ok(tariff)
    }

    fn hold(reason: HoldReason, who: &T::AccountId, amount: u128) -> Result<(), DispatchError> {
        if amount == 0 {
            return Ok(());
        }
        T::Currency::hold(&reason.into(), who, amount)
    }

    pub(crate) fn now() -> u32 {
        frame_system::Pallet::<T>::block_number().saturated_into()
    }

    /// The height in so many blocks.
    pub(crate) fn after(blocks: BlockNumberFor<T>) -> u32 {
        Self::now().saturating_add(blocks.saturated_into())
    }
}

impl<T: Config> openledger_traits::Models<T::AccountId> for Pallet<T> {
    fn served(model: u64, generation: u32) -> Option<Served<T::AccountId>> {
        let entry = Generations::<T>::get(model, generation)?;
        let index = match entry.stage {
            Stage::Ready { index } => index,
            _ => Voided::<T>::get(model, generation)?,
        };
        Some(Served {
            owner: T::Ownership::owner(Asset::Model(model)),
            index,
            sources: Vec::from(entry.sources),
        })
    }

    fn tariff(model: u64, generation: u32) -> Option<Tariff> {
        let entry = Models::<T>::get(model).filter(|entry| entry.serving)?;
        let is_ready = matches!(
            Generations::<T>::get(model, generation)?.stage,
            Stage::Ready { .. }
        );
        let line = Lines::<T>::get(model, generation);
        is_ready.then(|| tariff_of(&entry.tariff, line.as_ref()))
    }

    fn ancestors(model: u64, generation: u32) -> Option<Ancestors<T::AccountId>> {
        Self::ancestors_of(model, generation)
    }

    fn accepts(model: u64, generation: u32, tariff: &Tariff) -> bool {
        let Some(entry) = Models::<T>::get(model) else {
            return false;
        };
        let now = Self::now();
        let is_open = entry.serving || StoppedUntil::<T>::get(model).is_some_and(|until| now <= until);
        let line = Lines::<T>::get(model, generation);
        let is_this = |of_model: &Tariff| tariff_of(of_model, line.as_ref()) == *tariff;
        let is_good = is_this(&entry.tariff)
            || entry
                .previous
                .is_some_and(|(previous, until)| is_this(&previous) && now <= until);
        let is_ready = || {
            Generations::<T>::get(model, generation)
                .is_some_and(|entry| matches!(entry.stage, Stage::Ready { .. }))
        };
        is_open && is_good && is_ready()
    }

    fn order(header: &IndexHeader) -> Option<IndexOrder> {
        let entry = Generations::<T>::get(header.model, header.generation)?;
        let base = Models::<T>::get(header.model).and_then(|model| Bases::<T>::get(model.base))?;
        Some(IndexOrder {
            builder: entry.trainer.clone()?.into(),
            model: header.model,
            generation: header.generation,
            base: base.weights,
            adapter: entry.adapter,
            tokenizer: base.tokenizer,
            // How many ids a tokenizer has, its hash does not tell.
            token_ids: header.verbatim.separator,
            randomness: Drawn::<T>::get(header.model, header.generation)?,
            rules: entry.rules,
            sources: Self::sources_root(&entry.sources)?,
            retrieval: NONE,
        })
    }

    fn is_retired(model: u64, generation: u32) -> bool {
        let is_ready = |generation| {
            Generations::<T>::get(model, generation)
                .is_some_and(|entry| matches!(entry.stage, Stage::Ready { .. }))
        };
        let is_superseded =
            Newest::<T>::get(model).is_some_and(|newest| newest > generation && is_ready(newest));
        // What was answered before it stopped can be charged for a while.
        let is_stopped = || {
            Models::<T>::get(model).is_none_or(|entry| {
                !entry.serving && StoppedUntil::<T>::get(model).is_none_or(|until| Self::now() > until)
            })
        };
        is_superseded || is_stopped()
    }

    fn void(model: u64, generation: u32, index: &Hash) {
        let Some(mut entry) = Generations::<T>::get(model, generation) else {
            return;
        };
        if entry.stage != (Stage::Ready { index: *index }) {
            return;
        }
        // Its price was paid when it became ready and stays paid: the builder's bond answers for the index.
        entry.stage = Stage::Failed;
        Generations::<T>::insert(model, generation, entry);
        Voided::<T>::insert(model, generation, index);
        Self::deposit_event(Event::Voided {
            model,
            generation,
            index: *index,
        });
    }
}

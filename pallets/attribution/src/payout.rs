//! Where what answers earned goes.

use crate::{
    pallet::{Config, Error, Pallet},
    Batch,
};
use alloc::vec::Vec;
use frame_support::storage::with_storage_layer;
use openledger_attribution::{
    fee::{lineage, stakers, Lineage, Parts, MAX_ANCESTORS},
    share::apportion,
};
use openledger_protocol::{batches::parts_without, committees::AskedReceipt, models::Source, staking::Pool};
use openledger_traits::{Ancestors, Asset, Earned, Models, Ownership, Paid, PayOut, Settle, Stakes};
use sp_runtime::DispatchError;

/// A running sum of planck.
fn add(sum: &mut u128, amount: u128) -> Option<()> {
    *sum = sum.checked_add(amount)?;
    Some(())
}

impl<T: Config> Settle<T::AccountId> for Pallet<T> {
    /// What has no recipient takes the fallback: stakers' halves that nobody stakes for now, the part of an owner or ancestor
    /// that is not there, and contributors' parts too small to credit. What contributors are credited was signed with the
    /// answer and depends on none of it.
    fn pay(earned: &Earned<'_, T::AccountId>) -> Result<Paid, DispatchError> {
        let Earned {
            model,
            generation,
            worker,
            parts,
            kept,
        } = *earned;
        let served = T::Models::served(model, generation);
        let mut fallback = parts
            .contributors
            .checked_sub(kept)
            .and_then(|sum| sum.checked_add(parts.fallback))
            .ok_or(Error::<T>::Overflow)?;
        let mut paid = Paid {
            platform: parts.platform,
            compute: parts.compute,
            ..Default::default()
        };
        match served.as_ref().and_then(|served| served.owner.as_ref()) {
            Some(owner) => {
                Self::credit_to(owner, parts.owner)?;
                paid.owner = parts.owner;
            }
            None => add(&mut fallback, parts.owner).ok_or(Error::<T>::Overflow)?,
        }
        Self::credit_to(worker, parts.compute)?;
        T::PayOut::to_treasury(parts.platform)?;
        paid.stakers = Self::pay_stakers(model, worker, parts.stakers);
        paid.lineage = match T::Models::ancestors(model, generation) {
            Some(ancestors) => Self::pay_lineage(&ancestors, parts.lineage)?,
            None => 0,
        };
        for (part, done) in [(parts.stakers, paid.stakers), (parts.lineage, paid.lineage)] {
            let missing = part.checked_sub(done).ok_or(Error::<T>::Overflow)?;
            add(&mut fallback, missing).ok_or(Error::<T>::Overflow)?;
        }
        let sources = served.map(|served| served.sources).unwrap_or_default();
        Self::pay_datanets(&sources, fallback)?;
        paid.fallback = fallback;
        Ok(paid)
    }
}

impl<T: Config> Pallet<T> {
    /// Pays the pools behind the model and the worker, if anybody stakes in them; returns how much that was.
    fn pay_stakers(model: u64, worker: &T::AccountId, amount: u128) -> u128 {
        let pools = [Pool::Model(model), Pool::Worker(worker.clone())];
        let [behind_model, behind_worker] =
            [0, 1].map(|at: usize| pools.get(at).is_some_and(T::Stakes::has_stakers));
        let parts = stakers(amount, behind_model, behind_worker);
        let mut paid = 0u128;
        for (pool, part) in pools.iter().zip([parts.model, parts.worker]) {
            // A pool that cannot take it, as it would outgrow its numbers, must not keep a batch from being settled.
            let done = with_storage_layer(|| {
                T::PayOut::move_to(&T::Stakes::pot(), part)?;
                T::Stakes::income(pool, part)
            });
            if part > 0 && done.is_ok() {
                paid = paid.saturating_add(part);
            }
        }
        paid
    }

    /// Pays a generation's ancestors: those that added data their owners, the root its owner and its Datanets equally. Returns
    /// how much that was.
    fn pay_lineage(ancestors: &Ancestors<T::AccountId>, amount: u128) -> Result<u128, DispatchError> {
        let nearer = ancestors.nearer.get(..MAX_ANCESTORS.saturating_sub(1));
        let nearer = nearer.unwrap_or(&ancestors.nearer);
        let added = Vec::from_iter(nearer.iter().map(|_| true));
        let Lineage {
            nearer: parts,
            root_owner,
            root_datanets,
        } = lineage(amount, &added).ok_or(Error::<T>::Overflow)?;
        let owners = parts
            .iter()
            .map(|(at, part)| (nearer.get(*at).and_then(Option::as_ref), *part))
            .chain([(ancestors.root_owner.as_ref(), root_owner)]);
        let mut paid = 0u128;
        for (owner, part) in owners {
            if let Some(owner) = owner {
                Self::credit_to(owner, part)?;
                add(&mut paid, part).ok_or(Error::<T>::Overflow)?;
            }
        }
        Self::pay_datanets(&ancestors.root_sources, root_datanets)?;
        add(&mut paid, root_datanets).ok_or(Error::<T>::Overflow)?;
        Ok(paid)
    }

    /// Pays the owners of Datanets by the weights that they were trained on with; what is nobody's goes to the treasury.
    fn pay_datanets(sources: &[Source], amount: u128) -> Result<(), DispatchError> {
        let weights: Vec<u128> = sources.iter().map(|source| u128::from(source.weight)).collect();
        let Some(amounts) = apportion(amount, &weights) else {
            // Trained on nothing that can be paid.
            return T::PayOut::to_treasury(amount);
        };
        for (source, part) in sources.iter().zip(amounts) {
            match T::Ownership::owner(Asset::Datanet(source.datanet)) {
                Some(owner) => Self::credit_to(&owner, part)?,
                None => T::PayOut::to_treasury(part)?,
            }
        }
        Ok(())
    }

    /// Pays `parts` of a batch's escrow but for `kept`, which stays for credits.
    pub(crate) fn pay_batch(
        batch: &Batch<T::AccountId>,
        parts: &Parts,
        kept: u128,
    ) -> Result<Paid, DispatchError> {
        <Self as Settle<_>>::pay(&Earned {
            model: batch.header.model,
            generation: batch.header.generation,
            worker: &batch.worker,
            parts,
            kept,
        })
    }

    /// Pays a batch that was proved wrong; returns what went back to the consumer.
    pub(crate) fn pay_condemned(
        batch: &Batch<T::AccountId>,
        receipt: Option<AskedReceipt<T::AccountId>>,
    ) -> Result<u128, DispatchError> {
        let totals = &batch.header.totals;
        let Some(receipt) = receipt else {
            Self::pay_batch(batch, totals, 0)?;
            return Ok(0);
        };
        let fee = receipt.fee.min(batch.escrow);
        let left = parts_without(totals, fee).ok_or(Error::<T>::Overflow)?;
        // A channel outlives every batch that can be disputed; if it does not, nobody else may have its money.
        match receipt.consumer {
            Some(consumer) => Self::credit_to(&consumer, fee)?,
            None => T::PayOut::to_treasury(fee)?,
        }
        Self::pay_batch(batch, &left, 0)?;
        Ok(fee)
    }

    fn credit_to(who: &T::AccountId, amount: u128) -> Result<(), DispatchError> {
        if amount > 0 {
            T::PayOut::credit(who, amount)?;
        }
        Ok(())
    }
}

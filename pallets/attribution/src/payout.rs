//! Where a batch's money goes.

use crate::{
    pallet::{Config, Error, Pallet},
    Batch,
};
use alloc::vec::Vec;
use openledger_attribution::{fee::Parts, share::apportion};
use openledger_protocol::{batches::parts_without, committees::AskedReceipt};
use openledger_traits::{Asset, Models, Ownership, PayOut};
use sp_runtime::DispatchError;

/// What was paid out of a batch's escrow, in planck.
pub(crate) struct Paid {
    pub(crate) platform: u128,
    pub(crate) owner: u128,
    pub(crate) compute: u128,
    pub(crate) fallback: u128,
}

impl<T: Config> Pallet<T> {
    /// Pays `parts` of a batch's escrow but for `kept`, which stays for credits.
    ///
    /// What has no recipient takes the fallback: stakers' and ancestors' parts, which a tariff does not have while a model has
    /// neither, the part of an owner that is not there, and contributors' parts too small to credit.
    pub(crate) fn pay(batch: &Batch<T::AccountId>, parts: &Parts, kept: u128) -> Result<Paid, DispatchError> {
        let served = T::Models::served(batch.header.model, batch.header.generation);
        let mut fallback = parts
            .contributors
            .checked_sub(kept)
            .and_then(|sum| sum.checked_add(parts.fallback))
            .and_then(|sum| sum.checked_add(parts.stakers))
            .and_then(|sum| sum.checked_add(parts.lineage))
            .ok_or(Error::<T>::Overflow)?;
        let mut owner_paid = 0;
        match served.as_ref().and_then(|served| served.owner.as_ref()) {
            Some(owner) => {
                Self::credit_to(owner, parts.owner)?;
                owner_paid = parts.owner;
            }
            None => fallback = fallback.checked_add(parts.owner).ok_or(Error::<T>::Overflow)?,
        }
        Self::credit_to(&batch.worker, parts.compute)?;
        T::PayOut::to_treasury(parts.platform)?;
        let sources = served.map(|served| served.sources).unwrap_or_default();
        let weights: Vec<u128> = sources.iter().map(|source| u128::from(source.weight)).collect();
        match apportion(fallback, &weights) {
            Some(amounts) => {
                for (source, amount) in sources.iter().zip(amounts) {
                    match T::Ownership::owner(Asset::Datanet(source.datanet)) {
                        Some(owner) => Self::credit_to(&owner, amount)?,
                        None => T::PayOut::to_treasury(amount)?,
                    }
                }
            }
            // Trained on nothing that can be paid.
            None => T::PayOut::to_treasury(fallback)?,
        }
        Ok(Paid {
            platform: parts.platform,
            owner: owner_paid,
            compute: parts.compute,
            fallback,
        })
    }

    /// Pays a batch that was proved wrong; returns what went back to the consumer.
    pub(crate) fn pay_condemned(
        batch: &Batch<T::AccountId>,
        receipt: Option<AskedReceipt<T::AccountId>>,
    ) -> Result<u128, DispatchError> {
        let totals = &batch.header.totals;
        let Some(receipt) = receipt else {
            Self::pay(batch, totals, 0)?;
            return Ok(0);
        };
        let fee = receipt.fee.min(batch.escrow);
        let left = parts_without(totals, fee).ok_or(Error::<T>::Overflow)?;
        // A channel outlives every batch that can be disputed; if it does not, nobody else may have its money.
        match receipt.consumer {
            Some(consumer) => Self::credit_to(&consumer, fee)?,
            None => T::PayOut::to_treasury(fee)?,
        }
        Self::pay(batch, &left, 0)?;
        Ok(fee)
    }

    fn credit_to(who: &T::AccountId, amount: u128) -> Result<(), DispatchError> {
        if amount > 0 {
            T::PayOut::credit(who, amount)?;
        }
        Ok(())
    }
}

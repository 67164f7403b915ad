//! Where a batch's money goes, and the checks of the state.

use crate::{
    pallet::{Config, Error, Pallet},
    Batch,
};
use alloc::vec::Vec;
use openledger_attribution::{fee::Parts, share::apportion};
use openledger_protocol::batches::{parts_without, DisputedReceipt};
use openledger_traits::{Asset, Charge, Models, Ownership, PayOut};
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
        receipt: Option<DisputedReceipt>,
    ) -> Result<u128, DispatchError> {
        let totals = &batch.header.totals;
        let Some(receipt) = receipt else {
            Self::pay(batch, totals, 0)?;
            return Ok(0);
        };
        let fee = receipt.fee.min(batch.escrow);
        let left = parts_without(totals, fee).ok_or(Error::<T>::Overflow)?;
        // A channel outlives every batch that can be disputed; if it does not, nobody else may have its money.
        match T::Charge::consumer(receipt.channel) {
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

#[cfg(any(feature = "try-runtime", test))]
impl<T: Config> Pallet<T> {
    /// Checks the batches against each other and against what is held.
    pub fn do_try_state() -> Result<(), sp_runtime::TryRuntimeError> {
        Self::try_state_escrow()?;
        Self::try_state_challenges()?;
        Self::try_state_holds()
    }

    /// What a batch holds in escrow is what its stage leaves to pay.
    fn try_state_escrow() -> Result<(), sp_runtime::TryRuntimeError> {
        use crate::{pallet::Batches, BatchStage};
        for batch in Batches::<T>::iter_values() {
            let right = match batch.stage {
                BatchStage::Open => batch.escrow == batch.header.receipts.sum,
                BatchStage::Settled { credited } => {
                    let all = credited == batch.credits.credits.count;
                    batch.escrow <= batch.credits.credits.sum && (!all || batch.escrow == 0)
                }
                BatchStage::Condemned { .. } => batch.escrow == 0,
            };
            frame_support::ensure!(
                right,
                "attribution: a batch's escrow is not what its stage leaves to pay"
            );
        }
        Ok(())
    }

    fn try_state_challenges() -> Result<(), sp_runtime::TryRuntimeError> {
        use crate::pallet::{Batches, Challenges};
        for (id, batch) in Batches::<T>::iter() {
            frame_support::ensure!(
                Challenges::<T>::iter_prefix(id).count() == batch.challenges as usize,
                "attribution: a batch counts other challenges than it has"
            );
        }
        frame_support::ensure!(
            Challenges::<T>::iter_keys().all(|(id, _)| Batches::<T>::contains_key(id)),
            "attribution: a challenge is of no batch"
        );
        Ok(())
    }

    fn try_state_holds() -> Result<(), sp_runtime::TryRuntimeError> {
        use crate::pallet::{Challenges, HoldReason};
        use frame_support::traits::fungible::InspectHold;
        let mut sums = alloc::collections::BTreeMap::<alloc::vec::Vec<u8>, (T::AccountId, u128)>::new();
        for (_, who, challenge) in Challenges::<T>::iter() {
            let sum = &mut sums.entry(codec::Encode::encode(&who)).or_insert((who, 0)).1;
            *sum = sum.saturating_add(challenge.deposit);
        }
        frame_support::ensure!(
            sums.values()
                .all(|(who, sum)| T::Currency::balance_on_hold(&HoldReason::Challenge.into(), who) == *sum),
            "attribution: what is held from a challenger is not its deposits"
        );
        Ok(())
    }
}

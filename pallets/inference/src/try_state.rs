//! What must hold between any two blocks.

#![cfg(any(feature = "std", feature = "try-runtime", test))]

use crate::pallet::{Config, HoldReason, NextRequest, Pallet, Requests};
use alloc::{collections::BTreeMap, vec::Vec};
use codec::Encode;
use frame_support::{ensure, traits::fungible::InspectHold};
use openledger_protocol::inference::{fee, output_hash, Stage};
use sp_runtime::TryRuntimeError;

impl<T: Config> Pallet<T> {
    /// Checks the requests against each other and against what is held.
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        Self::try_state_numbers()?;
        Self::try_state_fees_and_answers()?;
        Self::try_state_holds()
    }

    fn try_state_numbers() -> Result<(), TryRuntimeError> {
        let next = NextRequest::<T>::get();
        ensure!(
            Requests::<T>::iter_keys().all(|id| id < next),
            "inference: a request has a number that was not given out yet"
        );
        Ok(())
    }

    fn try_state_fees_and_answers() -> Result<(), TryRuntimeError> {
        for request in Requests::<T>::iter_values() {
            let fee = fee(&request.tariff, &request.prompt, request.max_tokens).and_then(|fee| fee.total());
            ensure!(fee == Some(request.fee), "inference: a fee is not the formula");
            if let Stage::Answered { output, hash, .. } = &request.stage {
                ensure!(
                    output_hash(output) == *hash,
                    "inference: an answer has another hash"
                );
            }
        }
        Ok(())
    }

    /// What is held from each account is what its requests say.
    fn try_state_holds() -> Result<(), TryRuntimeError> {
        let mut sums = BTreeMap::<Vec<u8>, (T::AccountId, u128, u128)>::new();
        for request in Requests::<T>::iter_values() {
            let waiting = if request.stage == Stage::Waiting {
                request.fee
            } else {
                0
            };
            let entry = sums.entry(request.who.encode()).or_insert((request.who, 0, 0));
            entry.1 = entry.1.saturating_add(waiting);
            entry.2 = entry.2.saturating_add(request.deposit);
        }
        let held = |reason: HoldReason, who| T::Currency::balance_on_hold(&reason.into(), who);
        ensure!(
            sums.values().all(|(who, fees, deposits)| {
                held(HoldReason::Fee, who) == *fees && held(HoldReason::Request, who) == *deposits
            }),
            "inference: what is held from an account is not what its requests say"
        );
        Ok(())
    }
}

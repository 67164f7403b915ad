//! Signs of life: who was not seen for a while is given no jobs.

use crate::{Beats, Config, Error, Event, Pallet, Workers, BEATS_PER_BLOCK};
use frame_support::{dispatch::DispatchResult, traits::Get, weights::Weight};
use openledger_protocol::compute::{Heartbeat, Worker};
use sp_core::sr25519;
use sp_runtime::transaction_validity::{
    InvalidTransaction, TransactionSource, TransactionValidityWithRefund, ValidTransaction,
};

/// Blocks that a heartbeat may wait in the pool.
pub const LONGEVITY: u32 = 32;

impl<T: Config> Pallet<T> {
    /// The block since which a worker has to have been seen to be given jobs.
    pub fn seen_since() -> u32 {
        Self::now().saturating_sub(T::Silence::get())
    }

    /// Whether it is time for the next heartbeat of a worker.
    pub(crate) fn is_due(worker: &Worker, now: u32) -> bool {
        now >= worker.seen.saturating_add(T::BeatPeriod::get())
    }

    /// Heartbeats that the current block has.
    fn beats() -> u32 {
        let (block, count) = Beats::<T>::get();
        if block == Self::now() {
            count
        } else {
            0
        }
    }

    /// Whether a heartbeat may be in a block: cheap checks first, the signature last.
    pub(crate) fn authorize_heartbeat(
        _: TransactionSource,
        beat: &Heartbeat,
        signature: &[u8; 64],
    ) -> TransactionValidityWithRefund {
        let who = T::AccountId::from(beat.worker);
        let worker = Workers::<T>::get(&who).ok_or(InvalidTransaction::Stale)?;
        let now = Self::now();
        if beat.number > now {
            return Err(InvalidTransaction::Future.into());
        }
        // Whoever was seen since it was made needs it no more: so each counts once.
        if now > beat.number.saturating_add(LONGEVITY) || !Self::is_due(&worker, beat.number) {
            return Err(InvalidTransaction::Stale.into());
        }
        if Self::beats() >= BEATS_PER_BLOCK {
            return Err(InvalidTransaction::ExhaustsResources.into());
        }
        let genesis = frame_system::Pallet::<T>::block_hash(
            frame_system::pallet_prelude::BlockNumberFor::<T>::from(0u32),
        );
        if genesis.as_ref() != beat.genesis {
            return Err(InvalidTransaction::BadProof.into());
        }
        let is_signed = sp_io::crypto::sr25519_verify(
            &sr25519::Signature::from_raw(*signature),
            &beat.signing_message(),
            &sr25519::Public::from_raw(worker.result_key),
        );
        if !is_signed {
            return Err(InvalidTransaction::BadProof.into());
        }
        let valid = ValidTransaction::with_tag_prefix("OpenLedgerBeat")
            // Results come first.
            .priority(T::DeliveryPriority::get().checked_div(2).unwrap_or(0))
            .and_provides(beat.worker)
            .longevity(LONGEVITY.into())
            .propagate(true)
            .build()?;
        Ok((valid, Weight::zero()))
    }

    pub(crate) fn do_heartbeat(beat: &Heartbeat) -> DispatchResult {
        let who = T::AccountId::from(beat.worker);
        let (now, count) = (Self::now(), Self::beats());
        Workers::<T>::try_mutate(&who, |worker| {
            worker.as_mut().ok_or(Error::<T>::NotWorker)?.seen = now;
            Ok::<_, Error<T>>(())
        })?;
        Beats::<T>::put((now, count.saturating_add(1)));
        Self::deposit_event(Event::Seen { worker: who });
        Ok(())
    }
}

//! Charging a channel, and the checks of the state.

use crate::{
    pallet::{Channels, Config, Error, Event, HoldReason, Pallet},
    Channel,
};
use frame_support::{
    dispatch::DispatchResult,
    ensure,
    traits::{
        fungible::MutateHold,
        tokens::{Fortitude, Precision, Restriction},
        Get,
    },
};
use openledger_attribution::hash::Hash;
use openledger_protocol::channels::ChannelClaim;
use openledger_traits::{Charge, HostKeys, PayOut};
use sp_runtime::{traits::Zero, SaturatedConversion, Saturating};

impl<T: Config> Pallet<T> {
    /// The current block.
    pub(crate) fn now() -> u32 {
        frame_system::Pallet::<T>::block_number().saturated_into()
    }

    /// The first block in which a channel that starts to close now has ended.
    pub(crate) fn closes() -> u32 {
        frame_system::Pallet::<T>::block_number()
            .saturating_add(T::ClosePeriod::get())
            .saturated_into()
    }

    /// Genesis hash of the chain, which vouchers name.
    fn genesis() -> Hash {
        let hash =
            frame_system::Pallet::<T>::block_hash(frame_system::pallet_prelude::BlockNumberFor::<T>::zero());
        hash.as_ref().try_into().unwrap_or_default()
    }

    fn check(worker: &T::AccountId, open: &Channel<T::AccountId>, claim: &ChannelClaim) -> DispatchResult {
        let ChannelClaim {
            leaf,
            voucher,
            signature,
            receipt: _,
        } = claim;
        let consumer = open.consumer.clone().into();
        ensure!(
            open.worker == *worker && leaf.consumer == consumer && voucher.channel == leaf.channel,
            Error::<T>::OtherChannel
        );
        ensure!(leaf.from == open.cursor, Error::<T>::WrongCursor);
        ensure!(leaf.to > leaf.from, Error::<T>::Empty);
        let promised = voucher.accepted.saturating_add(voucher.most);
        ensure!(
            leaf.to <= open.deposit && leaf.to <= promised && leaf.to >= voucher.accepted,
            Error::<T>::TooMuch
        );
        ensure!(voucher.genesis == Self::genesis(), Error::<T>::OtherChain);
        ensure!(voucher.expiry >= u64::from(Self::now()), Error::<T>::Expired);
        ensure!(
            voucher.is_signed(signature, &consumer, T::ChainId::get(), &HostKeys),
            Error::<T>::BadSignature
        );
        Ok(())
    }
}

impl<T: Config> Charge<T::AccountId> for Pallet<T> {
    fn charge(worker: &T::AccountId, claim: &ChannelClaim) -> DispatchResult {
        let id = claim.leaf.channel;
        let mut open = Channels::<T>::get(id).ok_or(Error::<T>::NoChannel)?;
        Self::check(worker, &open, claim)?;
        let amount = claim.leaf.to.saturating_sub(claim.leaf.from);
        T::Currency::transfer_on_hold(
            &HoldReason::Channel.into(),
            &open.consumer,
            &T::PayOut::pot(),
            amount,
            Precision::Exact,
            Restriction::Free,
            Fortitude::Polite,
        )?;
        T::PayOut::escrowed(amount)?;
        open.cursor = claim.leaf.to;
        open.last = claim.receipt;
        // A dispute of this batch must find whom to pay back.
        open.closing = open.closing.map(|at| at.max(Self::closes()));
        Channels::<T>::insert(id, open);
        Self::deposit_event(Event::Charged {
            channel: id,
            from: claim.leaf.from,
            to: claim.leaf.to,
        });
        Ok(())
    }

    fn consumer(channel: u64) -> Option<T::AccountId> {
        Channels::<T>::get(channel).map(|open| open.consumer)
    }
}

#[cfg(any(feature = "std", feature = "try-runtime", test))]
impl<T: Config> Pallet<T> {
    /// Checks the channels against each other and against what is held.
    pub fn do_try_state() -> Result<(), sp_runtime::TryRuntimeError> {
        Self::try_state_numbers()?;
        Self::try_state_cursors()?;
        Self::try_state_holds()
    }

    fn try_state_numbers() -> Result<(), sp_runtime::TryRuntimeError> {
        let next = crate::pallet::NextChannel::<T>::get();
        ensure!(
            Channels::<T>::iter_keys().all(|id| id < next),
            "channels: a channel has a number that was not given out yet"
        );
        Ok(())
    }

    fn try_state_cursors() -> Result<(), sp_runtime::TryRuntimeError> {
        ensure!(
            Channels::<T>::iter_values().all(|open| open.cursor <= open.deposit),
            "channels: more was settled than was put in"
        );
        Ok(())
    }

    fn try_state_holds() -> Result<(), sp_runtime::TryRuntimeError> {
        use frame_support::traits::fungible::InspectHold;
        let mut held = alloc::collections::BTreeMap::<alloc::vec::Vec<u8>, (T::AccountId, u128)>::new();
        for open in Channels::<T>::iter_values() {
            let key = codec::Encode::encode(&open.consumer);
            let sum = &mut held.entry(key).or_insert((open.consumer, 0)).1;
            *sum = sum.saturating_add(open.deposit.saturating_sub(open.cursor));
        }
        ensure!(
            held.values()
                .all(|(who, sum)| T::Currency::balance_on_hold(&HoldReason::Channel.into(), who) == *sum),
            "channels: what is held from a consumer is not what its channels hold"
        );
        Ok(())
    }
}

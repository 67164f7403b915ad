//! One-way payment channels: a consumer's deposit that vouchers to one worker draw on.
//!
//! The deposit stays in the consumer's account, on hold. It leaves a channel in two ways only: [`Charge::charge`] moves what
//! the newest signed voucher allows into the pot that fees wait in, never to an account, and [`Pallet::finish`] releases what is
//! left to the consumer. A channel's number is never used again, so a voucher for a closed channel is worth nothing for ever.
//!
//! `cursor` is what was settled, cumulatively. A claim starts where the last one ended, so no voucher is settled twice and none
//! can be left out between two that are.

#![cfg_attr(not(feature = "std"), no_std)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

extern crate alloc;

pub use pallet::*;
pub use weights::WeightInfo;

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod impls;
#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;
pub mod weights;

use frame_support::traits::{
    fungible::{Inspect, MutateHold},
    Get,
};
use openledger_attribution::hash::Account;
use openledger_protocol::channels::Channel;
use openledger_traits::PayOut;

// The macro's own code expects what it has just checked.
#[allow(clippy::expect_used)]
#[frame_support::pallet]
pub mod pallet {
    use super::*;
    use frame_support::{pallet_prelude::*, traits::tokens::Precision};
    use frame_system::pallet_prelude::*;

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config:
        frame_system::Config<RuntimeEvent: From<Event<Self>>, AccountId: Into<Account> + From<Account>>
    {
        /// OPEN.
        type Currency: Inspect<Self::AccountId, Balance = u128>
            + MutateHold<Self::AccountId, Reason = Self::RuntimeHoldReason>;
        /// Why something is held.
        type RuntimeHoldReason: From<HoldReason>;
        /// Where settled money waits.
        type PayOut: PayOut<Self::AccountId>;
        /// EIP-155 id, which Ethereum signatures cover.
        type ChainId: Get<u64>;
        /// Planck a channel must be opened with at least.
        type MinDeposit: Get<u128>;
        /// Blocks from the wish to close to the end: as long as a batch can be challenged, so that the consumer of a disputed
        /// answer is still known, and long enough for the worker to settle what it was promised.
        type ClosePeriod: Get<BlockNumberFor<Self>>;
        /// Weights of this pallet.
        type WeightInfo: WeightInfo;
    }

    /// Why the pallet holds money.
    #[pallet::composite_enum]
    pub enum HoldReason {
        /// The deposits of open channels.
        Channel,
    }

    /// The number of the next channel.
    #[pallet::storage]
    pub type NextChannel<T: Config> = StorageValue<_, u64, ValueQuery>;

    /// The channels.
    #[pallet::storage]
    pub type Channels<T: Config> = StorageMap<_, Twox64Concat, u64, Channel<T::AccountId>>;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// `consumer` opened `channel` to `worker`.
        Opened {
            /// The channel.
            channel: u64,
            /// Who pays.
            consumer: T::AccountId,
            /// Who is paid.
            worker: T::AccountId,
            /// Planck put in.
            deposit: u128,
        },
        /// More was put into a channel.
        ToppedUp {
            /// The channel.
            channel: u64,
            /// Planck put in.
            amount: u128,
            /// All that was ever put in, in planck.
            deposit: u128,
        },
        /// A batch took money out of a channel.
        Charged {
            /// The channel.
            channel: u64,
            /// Cumulative planck before.
            from: u128,
            /// Cumulative planck after.
            to: u128,
        },
        /// A channel is closing.
        Closing {
            /// The channel.
            channel: u64,
            /// First block in which the rest can go back.
            at: u32,
        },
        /// A channel ended.
        Finished {
            /// The channel.
            channel: u64,
            /// Planck that went back to the consumer.
            returned: u128,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// There is no such channel; it never was or it has ended.
        NoChannel,
        /// Only the channel's consumer or worker may do this.
        NotYours,
        /// A channel must be opened with more; `MinDeposit` says how much.
        TooLittle,
        /// The channel is closing: open another one.
        Closing,
        /// The channel is not closing yet, or not for long enough; `closing` says from which block on.
        NotYet,
        /// The claim is for another channel, worker or consumer.
        OtherChannel,
        /// The claim does not start at the channel's cursor: settle from there.
        WrongCursor,
        /// The claim takes nothing.
        Empty,
        /// The claim goes beyond what the channel holds or the voucher allows.
        TooMuch,
        /// The voucher is for another chain.
        OtherChain,
        /// The voucher ran out before this block.
        Expired,
        /// The consumer did not sign the voucher.
        BadSignature,
        /// The channel would hold more than fits.
        Overflow,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Opens a channel to `worker` with `deposit` planck, held from the sender.
        ///
        /// Origin: signed. Event: [`Event::Opened`].
        #[pallet::call_index(0)]
        #[pallet::weight(T::WeightInfo::open())]
        pub fn open(origin: OriginFor<T>, worker: T::AccountId, deposit: u128) -> DispatchResult {
            let consumer = ensure_signed(origin)?;
            ensure!(deposit >= T::MinDeposit::get(), Error::<T>::TooLittle);
            T::Currency::hold(&HoldReason::Channel.into(), &consumer, deposit)?;
            let channel = NextChannel::<T>::get();
            NextChannel::<T>::put(channel.checked_add(1).ok_or(Error::<T>::Overflow)?);
            Channels::<T>::insert(
                channel,
                Channel {
                    consumer: consumer.clone(),
                    worker: worker.clone(),
                    deposit,
                    cursor: 0,
                    last: [0; 32],
                    closing: None,
                },
            );
            Self::deposit_event(Event::Opened {
                channel,
                consumer,
                worker,
                deposit,
            });
            Ok(())
        }

        /// Puts `amount` planck more into a channel.
        ///
        /// Origin: signed by its consumer. Event: [`Event::ToppedUp`].
        #[pallet::call_index(1)]
        #[pallet::weight(T::WeightInfo::top_up())]
        pub fn top_up(origin: OriginFor<T>, channel: u64, amount: u128) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Channels::<T>::try_mutate(channel, |entry| {
                let open = entry.as_mut().ok_or(Error::<T>::NoChannel)?;
                ensure!(open.consumer == who, Error::<T>::NotYours);
                ensure!(open.closing.is_none(), Error::<T>::Closing);
                let deposit = open.deposit.checked_add(amount).ok_or(Error::<T>::Overflow)?;
                T::Currency::hold(&HoldReason::Channel.into(), &who, amount)?;
                open.deposit = deposit;
                Self::deposit_event(Event::ToppedUp {
                    channel,
                    amount,
                    deposit,
                });
                Ok(())
            })
        }

        /// Starts to close a channel. The worker can still settle what it was promised until [`Config::ClosePeriod`] has
        /// passed.
        ///
        /// Origin: signed by its consumer or its worker. Event: [`Event::Closing`].
        #[pallet::call_index(2)]
        #[pallet::weight(T::WeightInfo::close())]
        pub fn close(origin: OriginFor<T>, channel: u64) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Channels::<T>::try_mutate(channel, |entry| {
                let open = entry.as_mut().ok_or(Error::<T>::NoChannel)?;
                ensure!(who == open.consumer || who == open.worker, Error::<T>::NotYours);
                ensure!(open.closing.is_none(), Error::<T>::Closing);
                let at = Self::closes();
                open.closing = Some(at);
                Self::deposit_event(Event::Closing { channel, at });
                Ok(())
            })
        }

        /// Ends a channel whose time has come: what is left goes back to its consumer.
        ///
        /// Origin: signed by anyone. Event: [`Event::Finished`].
        #[pallet::call_index(3)]
        #[pallet::weight(T::WeightInfo::finish())]
        pub fn finish(origin: OriginFor<T>, channel: u64) -> DispatchResult {
            ensure_signed(origin)?;
            let open = Channels::<T>::get(channel).ok_or(Error::<T>::NoChannel)?;
            ensure!(
                open.closing.is_some_and(|at| Self::now() >= at),
                Error::<T>::NotYet
            );
            let left = open.deposit.saturating_sub(open.cursor);
            let returned = T::Currency::release(
                &HoldReason::Channel.into(),
                &open.consumer,
                left,
                Precision::BestEffort,
            )?;
            Channels::<T>::remove(channel);
            Self::deposit_event(Event::Finished { channel, returned });
            Ok(())
        }
    }
}

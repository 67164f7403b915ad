//! Randomness that nobody could know when what it decides was committed.
//!
//! What is committed in epoch E is decided by what BABE's randomness is in the first block of epoch E + 2: it comes from the
//! VRF outputs of a whole epoch that began after the commitment. This pallet reads it there, once an epoch, and keeps it for
//! [`KEPT`] epochs, so that whatever was committed can be drawn for later: the answer to a draw depends on when something was
//! committed and never on when somebody asks.
//!
//! A development chain can be started with draws that everybody knows ([`Known`]), so that what is drawn there is the same in
//! every run; a network with money refuses to.
//!
//! Nothing here falls back to a block hash. Where there is no draw, [`Draws::drawn`] has no answer, and what waits for it
//! waits.

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

pub use pallet::*;
pub use weights::WeightInfo;

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
#[cfg(test)]
mod tests;
pub mod weights;

use frame_support::{
    traits::{Get, Randomness},
    weights::Weight,
};
use openledger_attribution::hash::{keccak, Hash};
use openledger_traits::Draws;

/// Epochs whose draws are kept: 19 days of the main network's, longer than anything waits for one.
pub const KEPT: u64 = 4_096;

/// Epochs from a commitment to its draw.
const DELAY: u64 = 2;

/// Old draws removed with each new one, at most.
const REMOVED: u64 = 4;

// The macro's own code expects what it has just checked.
#[allow(clippy::expect_used)]
#[frame_support::pallet]
pub mod pallet {
    use super::*;
    use frame_support::pallet_prelude::*;
    use frame_system::pallet_prelude::*;

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: frame_system::Config {
        /// The current epoch.
        type Epoch: Get<u64>;
        /// Randomness from VRF outputs of the epoch before the current one.
        type Source: Randomness<Self::Hash, BlockNumberFor<Self>>;
        /// Whether this may be a chain whose draws everybody knows.
        type MayBeKnown: Get<bool>;
        /// What the hook costs.
        type WeightInfo: WeightInfo;
    }

    /// Whether everybody knows what will be drawn. Written once, at genesis.
    #[pallet::storage]
    pub type Known<T: Config> = StorageValue<_, bool, ValueQuery>;

    /// What was read in the first block of an epoch.
    #[pallet::storage]
    pub type Drawn<T: Config> = StorageMap<_, Twox64Concat, u64, [u8; 32]>;

    /// The newest epoch that a block was seen in.
    #[pallet::storage]
    pub type Last<T: Config> = StorageValue<_, u64>;

    /// No draw of an epoch before this one is kept.
    #[pallet::storage]
    pub type Oldest<T: Config> = StorageValue<_, u64, ValueQuery>;

    /// Genesis: whether everybody knows what will be drawn; no by default.
    #[pallet::genesis_config]
    #[derive(frame_support::DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        /// Whether it is so.
        pub known: bool,
        #[serde(skip)]
        #[doc(hidden)]
        pub _marker: core::marker::PhantomData<T>,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            assert!(
                !self.known || T::MayBeKnown::get(),
                "genesis draws: `known` is true, which is for development chains only; set it to false"
            );
            Known::<T>::put(self.known);
        }
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn on_initialize(_: BlockNumberFor<T>) -> Weight {
            let (now, last) = (T::Epoch::get(), Last::<T>::get());
            if last == Some(now) {
                return T::WeightInfo::within_epoch();
            }
            Self::enter(now, last);
            T::WeightInfo::first_of_epoch()
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    impl<T: Config> Pallet<T> {
        /// Reads what is drawn in the first block of epoch `now`, after a block in epoch `last`, and forgets old draws.
        pub(crate) fn enter(now: u64, last: Option<u64>) {
            let value = if Known::<T>::get() {
                keccak(&[b"OpenLedger draws of a development chain, known to everybody"])
            } else {
                let (value, _) = T::Source::random(b"OpenLedger draw");
                keccak(&[value.as_ref()])
            };
            // Epochs without a block had no commitment, but what was committed before them is drawn for in them.
            let behind = last.map_or(now, |last| last.saturating_add(1));
            for epoch in behind..now.min(behind.saturating_add(DELAY)) {
                Drawn::<T>::insert(epoch, value);
            }
            Drawn::<T>::insert(now, value);
            Last::<T>::put(now);
            let keep_from = now.saturating_add(1).saturating_sub(KEPT);
            let oldest = Oldest::<T>::get();
            let oldest_left = oldest.saturating_add(REMOVED).min(keep_from).max(oldest);
            for epoch in oldest..oldest_left {
                Drawn::<T>::remove(epoch);
            }
            Oldest::<T>::put(oldest_left);
        }

        /// Checks what is kept.
        #[cfg(any(feature = "std", feature = "try-runtime", test))]
        pub fn do_try_state() -> Result<(), sp_runtime::TryRuntimeError> {
            let (oldest, last) = (Oldest::<T>::get(), Last::<T>::get());
            ensure!(
                !Known::<T>::get() || T::MayBeKnown::get(),
                "draws: everybody knows what is drawn on a chain that is not for development"
            );
            ensure!(
                Drawn::<T>::iter_keys().all(|epoch| Some(epoch) <= last && epoch >= oldest),
                "draws: an epoch outside the kept range has a draw"
            );
            Ok(())
        }
    }
}

impl<T: Config> Draws for Pallet<T> {
    fn epoch() -> u64 {
        T::Epoch::get()
    }

    fn drawn(epoch: u64, domain: &[u8], id: u64) -> Option<Hash> {
        let value = Drawn::<T>::get(epoch.checked_add(DELAY)?)?;
        Some(keccak(&[&value, domain, &id.to_be_bytes()]))
    }
}

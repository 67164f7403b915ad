//! The chain's identity and periods, written once at genesis.
//!
//! One wasm serves the development, local, test and main networks, so what differs between them cannot be a constant of
//! the code: the EVM chain id and every period that a person waits for. They are stored here when the genesis block is
//! built and read through [`Get`] types by the pallets they configure. There are no calls: only a migration can change
//! them, because an epoch that changes its length under a running BABE, or an unbonding time that shrinks under a slash,
//! is a consensus failure and not a setting.
//!
//! | reader | unit |
//! | --- | --- |
//! | [`ChainId`] | EIP-155 id |
//! | [`EpochBlocks`] | blocks in a BABE epoch, which is a session |
//! | [`SessionsPerEra`] | sessions |
//! | [`BondingEras`], [`SlashDeferEras`] | eras |
//! | [`Hours`], [`Days`] | blocks, from a count of governance hours or days |

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

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::marker::PhantomData;
use frame_support::traits::Get;
use frame_system::pallet_prelude::BlockNumberFor;
use scale_info::TypeInfo;
use sp_runtime::SaturatedConversion;

pub use pallet::*;

#[cfg(test)]
mod tests;

/// What differs between the networks that run the same wasm.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PeriodSet {
    /// EIP-155 chain id of the EVM.
    pub chain_id: u64,
    /// Blocks in a BABE epoch; a session is one epoch.
    pub epoch_blocks: u32,
    /// Sessions in a staking era.
    pub sessions_per_era: u32,
    /// Eras that staked funds stay bonded after they were asked back.
    pub bonding_eras: u32,
    /// Eras between an offence and its slash; less than `bonding_eras`.
    pub slash_defer_eras: u32,
    /// Blocks in a governance hour. Every period of governance is stated in hours or days, so this one number scales
    /// them all: a real hour on main, one block on a development chain.
    pub hour_blocks: u32,
}

impl PeriodSet {
    /// The periods of the main network, with blocks of two seconds; also what a state without genesis reads.
    pub const MAIN: Self = Self {
        chain_id: 1612,
        epoch_blocks: 200,
        sessions_per_era: 54,
        bonding_eras: 28,
        slash_defer_eras: 27,
        hour_blocks: 1_800,
    };

    /// Whether the set can run a chain; the error names the field.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.chain_id == 0 {
            return Err("chainId must not be 0: EIP-155 reserves it for unprotected transactions");
        }
        // Shorter epochs can pass without a single block, and BABE then has to skip them.
        if self.epoch_blocks < 10 {
            return Err("epochBlocks must be at least 10");
        }
        if self.sessions_per_era == 0 {
            return Err("sessionsPerEra must be at least 1");
        }
        if self.slash_defer_eras >= self.bonding_eras {
            return Err(
                "slashDeferEras must be less than bondingEras, or an offender could leave before the slash",
            );
        }
        if self.hour_blocks == 0 {
            return Err("hourBlocks must be at least 1");
        }
        Ok(())
    }
}

impl Default for PeriodSet {
    fn default() -> Self {
        Self::MAIN
    }
}

// The macro's own code expects what it has just checked.
#[allow(clippy::expect_used)]
#[frame_support::pallet]
pub mod pallet {
    use super::*;
    use frame_support::pallet_prelude::*;

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: frame_system::Config {}

    /// The periods this chain was started with.
    #[pallet::storage]
    pub type Periods<T: Config> = StorageValue<_, PeriodSet, ValueQuery>;

    /// Genesis: the periods, [`PeriodSet::MAIN`] when a preset names none.
    #[pallet::genesis_config]
    #[derive(frame_support::DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        /// The periods to store.
        pub periods: PeriodSet,
        #[serde(skip)]
        #[doc(hidden)]
        pub _marker: PhantomData<T>,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            // A chain specification with impossible periods must not become a chain.
            if let Err(reason) = self.periods.check() {
                panic!("genesis periods: {reason}");
            }
            Periods::<T>::put(self.periods);
        }
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::try_state_periods_are_sound()
        }
    }

    impl<T: Config> Pallet<T> {
        /// The stored periods pass the check that genesis made.
        #[cfg(any(feature = "std", feature = "try-runtime", test))]
        pub fn try_state_periods_are_sound() -> Result<(), sp_runtime::TryRuntimeError> {
            Periods::<T>::get()
                .check()
                .map_err(sp_runtime::TryRuntimeError::Other)
        }
    }
}

macro_rules! readers {
    ($($(#[$doc:meta])* $name:ident: $field:ident -> $($out:ty),+;)+) => {$(
        $(#[$doc])*
        pub struct $name<T>(PhantomData<T>);
        $(impl<T: Config> Get<$out> for $name<T> {
            fn get() -> $out {
                Periods::<T>::get().$field.into()
            }
        })+
    )+};
}

readers! {
    /// EIP-155 chain id.
    ChainId: chain_id -> u64;
    /// Blocks in a BABE epoch.
    EpochBlocks: epoch_blocks -> u32, u64;
    /// Sessions in an era.
    SessionsPerEra: sessions_per_era -> u32;
    /// Eras until unbonded funds can be withdrawn.
    BondingEras: bonding_eras -> u32;
    /// Eras between an offence and its slash.
    SlashDeferEras: slash_defer_eras -> u32;
}

/// Blocks during which an equivocation can be reported: as long as its stake is bonded.
pub struct BondingBlocks<T>(PhantomData<T>);
impl<T: Config> Get<u64> for BondingBlocks<T> {
    fn get() -> u64 {
        let p = Periods::<T>::get();
        u64::from(p.bonding_eras)
            .saturating_mul(p.sessions_per_era.into())
            .saturating_mul(p.epoch_blocks.into())
    }
}

/// Sessions during which stake is bonded.
pub struct BondingSessions<T>(PhantomData<T>);
impl<T: Config> Get<u64> for BondingSessions<T> {
    fn get() -> u64 {
        let p = Periods::<T>::get();
        u64::from(p.bonding_eras).saturating_mul(p.sessions_per_era.into())
    }
}

/// Blocks in `N` governance hours.
pub struct Hours<T, const N: u32>(PhantomData<T>);
impl<T: Config, const N: u32> Get<BlockNumberFor<T>> for Hours<T, N> {
    fn get() -> BlockNumberFor<T> {
        Pallet::<T>::hours(N)
    }
}

/// Blocks in `N` governance days of 24 hours.
pub struct Days<T, const N: u32>(PhantomData<T>);
impl<T: Config, const N: u32> Get<BlockNumberFor<T>> for Days<T, N> {
    fn get() -> BlockNumberFor<T> {
        Pallet::<T>::hours(N.saturating_mul(24))
    }
}

impl<T: Config> Pallet<T> {
    /// Blocks in `n` governance hours.
    pub fn hours(n: u32) -> BlockNumberFor<T> {
        n.saturating_mul(Periods::<T>::get().hour_blocks).saturated_into()
    }
}

//! Weights of `pallet-openledger-rewards`. Measured on the wasm; written by `make weights PALLETS=rewards`.
//!
//! Machine: AMD EPYC × 2, 23 GiB. Steps 30, repeats 15. Database costs come on top, as the runtime counts them.

#![cfg_attr(rustfmt, rustfmt_skip)]
#![allow(unused_variables, clippy::identity_op)]

use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{constants::RocksDbWeight, RuntimeDbWeight, Weight},
};

/// What the pallet's work costs.
pub trait WeightInfo {
    /// The benchmark `grant`.
    fn grant() -> Weight;
    /// The benchmark `claim`.
    fn claim() -> Weight;
    /// The benchmark `fund_era`.
    fn fund_era() -> Weight;
    /// The benchmark `return_expired`, `v` from 1 to 300.
    fn return_expired(v: u32) -> Weight;
    /// The benchmark `audit`, `l` from 1 to 800.
    fn audit(l: u32) -> Weight;
}

/// [`WeightInfo`] in terms of the chain's database costs.
pub struct SubstrateWeight<T>(PhantomData<T>);

// Revive::OriginalAccount: read 1, written 1
// Rewards::Granted: read 1, written 1
// System::Account: read 2, written 2
// At least 117 µs.
fn grant(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(122_129_000, 7749)
        .saturating_add(db.reads(4))
        .saturating_add(db.writes(4))
}

// Revive::OriginalAccount: read 1, written 1
// Rewards::Credits: read 1, written 1
// Rewards::Owed: read 1, written 1
// System::Account: read 2, written 2
// At least 120 µs.
fn claim(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(122_510_000, 10280)
        .saturating_add(db.reads(5))
        .saturating_add(db.writes(5))
}

// Periods::Periods: read 1, written 0
// Rewards::Deficit: read 1, written 1
// Rewards::EmissionTime: read 1, written 1
// Rewards::Granted: read 1, written 1
// Rewards::InitialPot: read 1, written 0
// Rewards::Released: read 1, written 1
// System::Account: read 2, written 2
// At least 149 µs.
fn fund_era(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(175_369_000, 5306)
        .saturating_add(db.reads(8))
        .saturating_add(db.writes(6))
}

// Rewards::Released: read 1, written 1
// Staking::ClaimedRewards: read 300, written 0
// Staking::ErasRewardPoints: read 1, written 0
// Staking::ErasStakersOverview: read 300, written 0
// Staking::ErasStakersPaged: read 300, written 0
// Staking::ErasValidatorReward: read 1, written 0
// System::Account: read 2, written 2
// At least 129 µs.
fn return_expired(db: RuntimeDbWeight, v: u32) -> Weight {
    Weight::from_parts(129_893_000, 10200)
        // ± 346_348
        .saturating_add(Weight::from_parts(35_336_193, 0).saturating_mul(v.into()))
        .saturating_add(db.reads(5))
        .saturating_add(db.reads(3_u64.saturating_mul(v.into())))
        .saturating_add(db.writes(3))
        .saturating_add(Weight::from_parts(0, 7517).saturating_mul(v.into()))
}

// Rewards::Auditing: read 1, written 1
// Staking::ActiveEra: read 1, written 0
// Staking::ClaimedRewards: read 800, written 0
// Staking::CurrentEra: read 1, written 0
// Staking::ErasRewardPoints: read 1, written 0
// Staking::ErasStakersOverview: read 800, written 0
// Staking::ErasStakersPaged: read 800, written 0
// Staking::ErasValidatorReward: read 1, written 0
// At least 205 µs.
fn audit(db: RuntimeDbWeight, l: u32) -> Weight {
    Weight::from_parts(224_441_000, 11849)
        // ± 404_023
        .saturating_add(Weight::from_parts(35_438_231, 0).saturating_mul(l.into()))
        .saturating_add(db.reads(9))
        .saturating_add(db.reads(3_u64.saturating_mul(l.into())))
        .saturating_add(db.writes(4))
        .saturating_add(Weight::from_parts(0, 7508).saturating_mul(l.into()))
}

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn grant() -> Weight {
        grant(T::DbWeight::get())
    }
    fn claim() -> Weight {
        claim(T::DbWeight::get())
    }
    fn fund_era() -> Weight {
        fund_era(T::DbWeight::get())
    }
    fn return_expired(v: u32) -> Weight {
        return_expired(T::DbWeight::get(), v)
    }
    fn audit(l: u32) -> Weight {
        audit(T::DbWeight::get(), l)
    }
}

impl WeightInfo for () {
    fn grant() -> Weight {
        grant(RocksDbWeight::get())
    }
    fn claim() -> Weight {
        claim(RocksDbWeight::get())
    }
    fn fund_era() -> Weight {
        fund_era(RocksDbWeight::get())
    }
    fn return_expired(v: u32) -> Weight {
        return_expired(RocksDbWeight::get(), v)
    }
    fn audit(l: u32) -> Weight {
        audit(RocksDbWeight::get(), l)
    }
}

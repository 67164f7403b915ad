//! Weights of `pallet-openledger-open-staking`. Measured on the wasm; written by `make weights PALLETS=open-staking`.
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
    /// The benchmark `stake`.
    fn stake() -> Weight;
    /// The benchmark `unstake`.
    fn unstake() -> Weight;
    /// The benchmark `withdraw`.
    fn withdraw() -> Weight;
    /// The benchmark `withdraw_for`.
    fn withdraw_for() -> Weight;
    /// The benchmark `income`.
    fn income() -> Weight;
    /// The benchmark `slash`.
    fn slash() -> Weight;
    /// The benchmark `freeze`.
    fn freeze() -> Weight;
    /// The benchmark `thaw`.
    fn thaw() -> Weight;
}

/// [`WeightInfo`] in terms of the chain's database costs.
pub struct SubstrateWeight<T>(PhantomData<T>);

// Compute::Workers: read 1, written 0
// OpenStaking::Frozen: read 1, written 0
// OpenStaking::Held: read 1, written 1
// OpenStaking::NextEpoch: read 1, written 1
// OpenStaking::Pools: read 1, written 1
// OpenStaking::Stakers: read 1, written 1
// System::Account: read 2, written 2
// At least 138 µs.
fn stake(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(161_853_000, 15993)
        .saturating_add(db.reads(8))
        .saturating_add(db.writes(6))
}

// OpenStaking::Due: read 1, written 1
// OpenStaking::Held: read 1, written 1
// OpenStaking::Pools: read 1, written 1
// OpenStaking::Stakers: read 1, written 1
// Periods::Periods: read 1, written 0
// System::Account: read 2, written 2
// At least 138 µs.
fn unstake(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(141_416_000, 10675)
        .saturating_add(db.reads(7))
        .saturating_add(db.writes(6))
}

// OpenStaking::Due: read 1, written 0
// OpenStaking::Frozen: read 1, written 0
// OpenStaking::Held: read 1, written 1
// OpenStaking::Pools: read 1, written 1
// OpenStaking::Stakers: read 1, written 1
// System::Account: read 2, written 2
// At least 142 µs.
fn withdraw(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(147_306_000, 13167)
        .saturating_add(db.reads(7))
        .saturating_add(db.writes(5))
}

// OpenStaking::Due: read 1, written 0
// OpenStaking::Frozen: read 1, written 0
// OpenStaking::Held: read 1, written 1
// OpenStaking::Pools: read 1, written 1
// OpenStaking::Stakers: read 1, written 1
// System::Account: read 2, written 2
// At least 138 µs.
fn withdraw_for(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(145_162_000, 13167)
        .saturating_add(db.reads(7))
        .saturating_add(db.writes(5))
}

// OpenStaking::Due: read 1, written 1
// OpenStaking::Held: read 1, written 0
// OpenStaking::Pools: read 1, written 0
// System::Account: read 2, written 2
// At least 115 µs.
fn income(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(117_882_000, 7874)
        .saturating_add(db.reads(5))
        .saturating_add(db.writes(3))
}

// OpenStaking::Due: read 1, written 1
// OpenStaking::Held: read 1, written 1
// OpenStaking::Pools: read 1, written 1
// System::Account: read 2, written 2
// At least 117 µs.
fn slash(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(122_340_000, 7874)
        .saturating_add(db.reads(5))
        .saturating_add(db.writes(5))
}

// OpenStaking::Frozen: read 1, written 1
// At least 15 µs.
fn freeze(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(16_001_000, 2520)
        .saturating_add(db.reads(1))
        .saturating_add(db.writes(1))
}

// OpenStaking::Frozen: read 1, written 1
// At least 14 µs.
fn thaw(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(16_791_000, 2520)
        .saturating_add(db.reads(1))
        .saturating_add(db.writes(1))
}

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn stake() -> Weight {
        stake(T::DbWeight::get())
    }
    fn unstake() -> Weight {
        unstake(T::DbWeight::get())
    }
    fn withdraw() -> Weight {
        withdraw(T::DbWeight::get())
    }
    fn withdraw_for() -> Weight {
        withdraw_for(T::DbWeight::get())
    }
    fn income() -> Weight {
        income(T::DbWeight::get())
    }
    fn slash() -> Weight {
        slash(T::DbWeight::get())
    }
    fn freeze() -> Weight {
        freeze(T::DbWeight::get())
    }
    fn thaw() -> Weight {
        thaw(T::DbWeight::get())
    }
}

impl WeightInfo for () {
    fn stake() -> Weight {
        stake(RocksDbWeight::get())
    }
    fn unstake() -> Weight {
        unstake(RocksDbWeight::get())
    }
    fn withdraw() -> Weight {
        withdraw(RocksDbWeight::get())
    }
    fn withdraw_for() -> Weight {
        withdraw_for(RocksDbWeight::get())
    }
    fn income() -> Weight {
        income(RocksDbWeight::get())
    }
    fn slash() -> Weight {
        slash(RocksDbWeight::get())
    }
    fn freeze() -> Weight {
        freeze(RocksDbWeight::get())
    }
    fn thaw() -> Weight {
        thaw(RocksDbWeight::get())
    }
}

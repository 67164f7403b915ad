//! Weights of `pallet-openledger-draws`. Measured on the wasm; written by `make weights PALLETS=draws`.
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
    /// The benchmark `within_epoch`.
    fn within_epoch() -> Weight;
    /// The benchmark `first_of_epoch`.
    fn first_of_epoch() -> Weight;
}

/// [`WeightInfo`] in terms of the chain's database costs.
pub struct SubstrateWeight<T>(PhantomData<T>);

// Babe::EpochIndex: read 1, written 0
// Draws::Last: read 1, written 0
// At least 5 µs.
fn within_epoch(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(6_883_000, 16)
        .saturating_add(db.reads(2))
}

// Babe::EpochIndex: read 1, written 0
// Babe::EpochStart: read 1, written 0
// Babe::NextRandomness: read 1, written 0
// Draws::Drawn: read 0, written 7
// Draws::Known: read 1, written 0
// Draws::Last: read 1, written 1
// Draws::Oldest: read 1, written 1
// At least 43 µs.
fn first_of_epoch(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(49_123_000, 65)
        .saturating_add(db.reads(6))
        .saturating_add(db.writes(9))
}

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn within_epoch() -> Weight {
        within_epoch(T::DbWeight::get())
    }
    fn first_of_epoch() -> Weight {
        first_of_epoch(T::DbWeight::get())
    }
}

impl WeightInfo for () {
    fn within_epoch() -> Weight {
        within_epoch(RocksDbWeight::get())
    }
    fn first_of_epoch() -> Weight {
        first_of_epoch(RocksDbWeight::get())
    }
}

//! Weights of `pallet-openledger-channels`. Measured on the wasm; written by `make weights PALLETS=channels`.
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
    /// The benchmark `open`.
    fn open() -> Weight;
    /// The benchmark `top_up`.
    fn top_up() -> Weight;
    /// The benchmark `close`.
    fn close() -> Weight;
    /// The benchmark `finish`.
    fn finish() -> Weight;
}

/// [`WeightInfo`] in terms of the chain's database costs.
pub struct SubstrateWeight<T>(PhantomData<T>);

// Balances::Holds: read 1, written 1
// Channels::Channels: read 0, written 1
// Channels::NextChannel: read 1, written 1
// System::Account: read 1, written 1
// At least 99 µs.
fn open(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(102_001_000, 5603)
        .saturating_add(db.reads(3))
        .saturating_add(db.writes(4))
}

// Balances::Holds: read 1, written 1
// Channels::Channels: read 1, written 1
// System::Account: read 1, written 1
// At least 101 µs.
fn top_up(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(104_807_000, 8219)
        .saturating_add(db.reads(3))
        .saturating_add(db.writes(3))
}

// Channels::Channels: read 1, written 1
// Periods::Periods: read 1, written 0
// At least 20 µs.
fn close(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(21_350_000, 2652)
        .saturating_add(db.reads(2))
        .saturating_add(db.writes(1))
}

// Balances::Holds: read 1, written 1
// Channels::Channels: read 1, written 1
// System::Account: read 1, written 1
// At least 81 µs.
fn finish(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(82_895_000, 8219)
        .saturating_add(db.reads(3))
        .saturating_add(db.writes(3))
}

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn open() -> Weight {
        open(T::DbWeight::get())
    }
    fn top_up() -> Weight {
        top_up(T::DbWeight::get())
    }
    fn close() -> Weight {
        close(T::DbWeight::get())
    }
    fn finish() -> Weight {
        finish(T::DbWeight::get())
    }
}

impl WeightInfo for () {
    fn open() -> Weight {
        open(RocksDbWeight::get())
    }
    fn top_up() -> Weight {
        top_up(RocksDbWeight::get())
    }
    fn close() -> Weight {
        close(RocksDbWeight::get())
    }
    fn finish() -> Weight {
        finish(RocksDbWeight::get())
    }
}

//! Weights of `pallet-openledger-channels`. Written by hand from the storage each function touches until the benchmarks have
//! been run on the reference machine; the parameters are those of the benchmarks.

use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{constants::RocksDbWeight, RuntimeDbWeight, Weight},
};

/// What the pallet's work costs.
pub trait WeightInfo {
    /// A channel opened.
    fn open() -> Weight;
    /// A channel topped up.
    fn top_up() -> Weight;
    /// A channel that starts to close.
    fn close() -> Weight;
    /// A channel ended.
    fn finish() -> Weight;
}

/// [`WeightInfo`] in terms of the database's costs.
pub struct SubstrateWeight<T>(PhantomData<T>);

// A hold is two items of its account: the balance and the list of holds.
fn open(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(50_000_000, 8_000).saturating_add(db.reads_writes(4, 4))
}
fn top_up(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(50_000_000, 8_000).saturating_add(db.reads_writes(3, 3))
}
fn close(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(15_000_000, 4_000).saturating_add(db.reads_writes(2, 1))
}
fn finish(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(50_000_000, 8_000).saturating_add(db.reads_writes(3, 3))
}

macro_rules! weights {
    ($($name:ident),*) => {
        impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
            $(fn $name() -> Weight { $name(T::DbWeight::get()) })*
        }
        impl WeightInfo for () {
            $(fn $name() -> Weight { $name(RocksDbWeight::get()) })*
        }
    };
}

weights!(open, top_up, close, finish);

//! Weights of `pallet-openledger-draws`, to be measured.

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

fn within_epoch(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(3_000_000, 0).saturating_add(db.reads(2))
}

fn first_of_epoch(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(20_000_000, 0).saturating_add(db.reads_writes(6, 9))
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

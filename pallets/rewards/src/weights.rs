//! Weights of `pallet-openledger-rewards`. Written by hand from the storage each function touches until `make weights` has
//! run the benchmarks on the reference machine; the parameters are those of the benchmarks.

use core::marker::PhantomData;
use frame_support::{traits::Get, weights::Weight};

/// What the pallet's work costs.
pub trait WeightInfo {
    /// One transfer out of the pot.
    fn grant() -> Weight;
    /// The end of an era.
    fn fund_era() -> Weight;
    /// A session planned while an era with `v` validators is the oldest.
    fn return_expired(v: u32) -> Weight;
}

/// [`WeightInfo`] in terms of the database's costs.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    // Reads and writes: two accounts, the ledger.
    fn grant() -> Weight {
        Weight::from_parts(60_000_000, 6_196).saturating_add(T::DbWeight::get().reads_writes(3, 3))
    }
    // Reads and writes: two accounts, initial pot, emission time, released.
    fn fund_era() -> Weight {
        Weight::from_parts(70_000_000, 6_196).saturating_add(T::DbWeight::get().reads_writes(6, 4))
    }
    // Reads: era, budget, points, two accounts, the ledger; claims, overview and a page for each validator.
    fn return_expired(v: u32) -> Weight {
        Weight::from_parts(60_000_000, 12_000)
            .saturating_add(Weight::from_parts(9_000_000, 4_500).saturating_mul(v.into()))
            .saturating_add(T::DbWeight::get().reads_writes(7, 3))
            .saturating_add(T::DbWeight::get().reads(3).saturating_mul(v.into()))
    }
}

impl WeightInfo for () {
    fn grant() -> Weight {
        Weight::zero()
    }
    fn fund_era() -> Weight {
        Weight::zero()
    }
    fn return_expired(_: u32) -> Weight {
        Weight::zero()
    }
}

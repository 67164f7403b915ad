//! Weights of `pallet-openledger-rewards`. Written by hand from the storage each function touches until the
//! benchmarks have been run on the reference machine; the parameters are those of the benchmarks.

use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{constants::RocksDbWeight, RuntimeDbWeight, Weight},
};

/// What the pallet's work costs.
pub trait WeightInfo {
    /// One transfer out of the pot.
    fn grant() -> Weight;
    /// Credits claimed.
    fn claim() -> Weight;
    /// The end of an era.
    fn fund_era() -> Weight;
    /// A session planned while an era with `v` validators is the oldest.
    fn return_expired(v: u32) -> Weight;
    /// Counting what can still be claimed with `l` validators and eras looked at.
    fn audit(l: u32) -> Weight;
}

/// [`WeightInfo`] in terms of the database's costs.
pub struct SubstrateWeight<T>(PhantomData<T>);

// Reads and writes: two accounts, the ledger.
fn grant(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(60_000_000, 6_196).saturating_add(db.reads_writes(3, 3))
}

// Reads and writes: the credit, the sum, two accounts.
fn claim(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(60_000_000, 8_000).saturating_add(db.reads_writes(4, 4))
}

// Reads: two accounts, the era's planned length, initial pot, emission time, released, deficit, granted. All but the first
// two of the settings are written.
fn fund_era(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(90_000_000, 6_196).saturating_add(db.reads_writes(8, 6))
}

// Reads: the era, its budget and points, two accounts, the ledger; claims, overview and a page for each validator.
fn return_expired(db: RuntimeDbWeight, v: u32) -> Weight {
    Weight::from_parts(60_000_000, 12_000)
        .saturating_add(Weight::from_parts(9_000_000, 4_500).saturating_mul(v.into()))
        .saturating_add(db.reads_writes(6, 3))
        .saturating_add(db.reads(3).saturating_mul(v.into()))
}

// Reads: the two eras, the count, two accounts, the ledger; then as for an expired era, and an era's budget and points count
// as a validator's claims and overview do.
fn audit(db: RuntimeDbWeight, l: u32) -> Weight {
    Weight::from_parts(60_000_000, 12_000)
        .saturating_add(Weight::from_parts(9_000_000, 4_500).saturating_mul(l.into()))
        .saturating_add(db.reads_writes(6, 4))
        .saturating_add(db.reads(3).saturating_mul(l.into()))
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

//! Weights of `pallet-openledger-datanets`. Written by hand from the storage each function touches until the benchmarks have
//! been run on the reference machine; the parameters are those of the benchmarks.

use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{constants::RocksDbWeight, RuntimeDbWeight, Weight},
};

/// What the pallet's calls cost.
pub trait WeightInfo {
    /// A Datanet with `c` curators, and its item.
    fn create(c: u32) -> Weight;
    /// A reservation.
    fn reserve() -> Weight;
    /// A reservation that becomes a contribution.
    fn contribute() -> Weight;
    /// A curator's yes.
    fn accept() -> Weight;
    /// A curator's no.
    fn reject() -> Weight;
    /// A window that has passed.
    fn mature() -> Weight;
    /// A version.
    fn publish() -> Weight;
    /// A reservation that ran out.
    fn release() -> Weight;
}

/// [`WeightInfo`] in terms of the database's costs.
pub struct SubstrateWeight<T>(PhantomData<T>);

// Reads and writes: next, Datanet, account, holds; for the item its collection, configuration, role, owner's account and
// place, item and attributes.
fn create(db: RuntimeDbWeight, c: u32) -> Weight {
    Weight::from_parts(120_000_000, 12_000)
        .saturating_add(Weight::from_parts(300_000, 32).saturating_mul(c.into()))
        .saturating_add(db.reads_writes(11, 11))
}

// Reads and writes: reservation, account, holds. Reads: deposit and period, which are governed.
fn reserve(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(45_000_000, 4_000).saturating_add(db.reads_writes(5, 3))
}

// Reads and writes: reservation, next, contribution, account, holds. Reads: Datanet, deposit.
fn contribute(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(90_000_000, 6_000).saturating_add(db.reads_writes(7, 5))
}

// Reads and writes: contribution, the contributor's account, holds. Reads: Datanet, window.
fn decide(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(55_000_000, 6_000).saturating_add(db.reads_writes(5, 3))
}

// Reads and writes: Datanet, version. Reads: owner.
fn publish(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(35_000_000, 5_000).saturating_add(db.reads_writes(3, 2))
}

// Reads and writes: reservation, account, holds.
fn release(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(45_000_000, 4_000).saturating_add(db.reads_writes(3, 3))
}

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn create(c: u32) -> Weight {
        create(T::DbWeight::get(), c)
    }
    fn reserve() -> Weight {
        reserve(T::DbWeight::get())
    }
    fn contribute() -> Weight {
        contribute(T::DbWeight::get())
    }
    fn accept() -> Weight {
        decide(T::DbWeight::get())
    }
    fn reject() -> Weight {
        decide(T::DbWeight::get())
    }
    fn mature() -> Weight {
        decide(T::DbWeight::get())
    }
    fn publish() -> Weight {
        publish(T::DbWeight::get())
    }
    fn release() -> Weight {
        release(T::DbWeight::get())
    }
}

impl WeightInfo for () {
    fn create(c: u32) -> Weight {
        create(RocksDbWeight::get(), c)
    }
    fn reserve() -> Weight {
        reserve(RocksDbWeight::get())
    }
    fn contribute() -> Weight {
        contribute(RocksDbWeight::get())
    }
    fn accept() -> Weight {
        decide(RocksDbWeight::get())
    }
    fn reject() -> Weight {
        decide(RocksDbWeight::get())
    }
    fn mature() -> Weight {
        decide(RocksDbWeight::get())
    }
    fn publish() -> Weight {
        publish(RocksDbWeight::get())
    }
    fn release() -> Weight {
        release(RocksDbWeight::get())
    }
}

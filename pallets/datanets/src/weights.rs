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
    /// A challenge made.
    fn challenge() -> Weight;
    /// `b` bytes of evidence about a version judged.
    fn prove_version(b: u32) -> Weight;
    /// `b` bytes of evidence about a contribution judged.
    fn prove_duplicate(b: u32) -> Weight;
    /// A challenge ended.
    fn lapse() -> Weight;
    /// A version's deposit given back.
    fn free_version() -> Weight;
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

// Reads and writes: Datanet, version, what stands behind it, account, holds. Reads: owner, deposit and window.
fn publish(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(60_000_000, 8_000).saturating_add(db.reads_writes(7, 5))
}

// Reads and writes: challenge, count, account, holds, the pool's freeze. Reads: the contribution and whether it is a duplicate.
fn challenge(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(60_000_000, 8_000).saturating_add(db.reads_writes(7, 5))
}

// Each byte is decoded and hashed at most three times. Reads and writes: challenge, count, what stands behind the version, three
// accounts and their holds; the pool behind the Datanet, what pools hold and owe, the pot's account, the freeze. Reads: version, a
// contribution and whether it is a duplicate.
fn prove_version(db: RuntimeDbWeight, b: u32) -> Weight {
    Weight::from_parts(210_000_000, 28_000)
        .saturating_add(Weight::from_parts(60_000, 0).saturating_mul(b.into()))
        .saturating_add(db.reads_writes(17, 14))
}

// As a version, with two contributions.
fn prove_duplicate(db: RuntimeDbWeight, b: u32) -> Weight {
    Weight::from_parts(150_000_000, 20_000)
        .saturating_add(Weight::from_parts(60_000, 0).saturating_mul(b.into()))
        .saturating_add(db.reads_writes(12, 10))
}

// Reads and writes: challenge, count, two accounts, holds, the pool's freeze. Reads: what stands behind the version.
fn lapse(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(60_000_000, 8_000).saturating_add(db.reads_writes(7, 6))
}

// Reads and writes: what stands behind the version, account, holds. Reads: count.
fn free_version(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(45_000_000, 6_000).saturating_add(db.reads_writes(4, 3))
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
    fn challenge() -> Weight {
        challenge(T::DbWeight::get())
    }
    fn prove_version(b: u32) -> Weight {
        prove_version(T::DbWeight::get(), b)
    }
    fn prove_duplicate(b: u32) -> Weight {
        prove_duplicate(T::DbWeight::get(), b)
    }
    fn lapse() -> Weight {
        lapse(T::DbWeight::get())
    }
    fn free_version() -> Weight {
        free_version(T::DbWeight::get())
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
    fn challenge() -> Weight {
        challenge(RocksDbWeight::get())
    }
    fn prove_version(b: u32) -> Weight {
        prove_version(RocksDbWeight::get(), b)
    }
    fn prove_duplicate(b: u32) -> Weight {
        prove_duplicate(RocksDbWeight::get(), b)
    }
    fn lapse() -> Weight {
        lapse(RocksDbWeight::get())
    }
    fn free_version() -> Weight {
        free_version(RocksDbWeight::get())
    }
}

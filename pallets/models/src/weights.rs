//! Weights of `pallet-openledger-models`. Written by hand from the storage each function touches until the benchmarks have
//! been run on the reference machine; the parameters are those of the benchmarks.

use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{constants::RocksDbWeight, RuntimeDbWeight, Weight},
};

/// What the pallet's work costs.
pub trait WeightInfo {
    /// A base.
    fn register_base() -> Weight;
    /// A model, and its item.
    fn create() -> Weight;
    /// A generation with `s` sources, and its job.
    fn request_training(s: u32) -> Weight;
    /// Prices.
    fn set_prices() -> Weight;
    /// Whether it serves.
    fn set_serving() -> Weight;
    /// A block in which `n` of the generations that wait for a seed are looked at, and their indexes ordered.
    fn order_indexes(n: u32) -> Weight;
    /// Taking an adapter.
    fn trained() -> Weight;
    /// Taking an index made of `s` sources, with as many modules as a layout may have.
    fn indexed(s: u32) -> Weight;
    /// Ending a generation.
    fn failed() -> Weight;
}

/// [`WeightInfo`] in terms of the database's costs.
pub struct SubstrateWeight<T>(PhantomData<T>);

// Reads and writes: next, base, account, holds. Reads: deposit, which is governed.
fn register_base(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(50_000_000, 5_000).saturating_add(db.reads_writes(5, 4))
}

// Reads and writes: next, model, account, holds; for the item its collection, configuration, role, owner's account and place,
// item and attributes. Reads: base, split, deposit.
fn create(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(130_000_000, 12_000).saturating_add(db.reads_writes(14, 11))
}

// Reads and writes: model, generation, line, account, holds; for the job next, job, terms, deadlines, waiting. Reads: owner,
// base, three settings, epoch; a version for each source; of the parent its model, base and line, and it and its 16 ancestors.
fn request_training(db: RuntimeDbWeight, s: u32) -> Weight {
    Weight::from_parts(180_000_000, 90_000)
        .saturating_add(Weight::from_parts(4_000_000, 2_700).saturating_mul(s.into()))
        .saturating_add(db.reads_writes(36, 10))
        .saturating_add(db.reads(s.into()))
}

// Reads and writes: model. Reads: owner, split, period.
fn set_prices(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(30_000_000, 5_000).saturating_add(db.reads_writes(4, 1))
}

// Reads and writes: model, until when. Reads: owner, period.
fn set_serving(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(25_000_000, 5_000).saturating_add(db.reads_writes(4, 2))
}

// Reads and writes: queue; for each generation itself, what was drawn for it, and its job's next, job, terms, deadlines and worker, or account and
// holds. Reads for each: draw, epoch, a setting.
fn order_indexes(db: RuntimeDbWeight, n: u32) -> Weight {
    let queue = Weight::from_parts(6_000_000, 2_500)
        .saturating_add(db.reads(1))
        .saturating_add(db.writes(u64::from(n.min(1))));
    let each = Weight::from_parts(80_000_000, 30_000).saturating_add(db.reads_writes(11, 9));
    queue.saturating_add(each.saturating_mul(n.into()))
}

// Reads and writes: generation, queue. Reads: epoch.
fn trained(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(35_000_000, 7_000).saturating_add(db.reads_writes(3, 2))
}

// Reads and writes: generation, the model's newest, index, what stands behind it, the builder's bond, two accounts, holds.
// Reads: model, base; a version for each source. Hashing the layout
// is most of the rest.
fn indexed(db: RuntimeDbWeight, s: u32) -> Weight {
    Weight::from_parts(900_000_000, 12_000)
        .saturating_add(Weight::from_parts(12_000_000, 2_700).saturating_mul(s.into()))
        .saturating_add(db.reads_writes(12, 10))
        .saturating_add(db.reads(s.into()))
}

// Reads and writes: generation, account, holds.
fn failed(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(50_000_000, 6_000).saturating_add(db.reads_writes(3, 3))
}

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn register_base() -> Weight {
        register_base(T::DbWeight::get())
    }
    fn create() -> Weight {
        create(T::DbWeight::get())
    }
    fn request_training(s: u32) -> Weight {
        request_training(T::DbWeight::get(), s)
    }
    fn set_prices() -> Weight {
        set_prices(T::DbWeight::get())
    }
    fn set_serving() -> Weight {
        set_serving(T::DbWeight::get())
    }
    fn order_indexes(n: u32) -> Weight {
        order_indexes(T::DbWeight::get(), n)
    }
    fn trained() -> Weight {
        trained(T::DbWeight::get())
    }
    fn indexed(s: u32) -> Weight {
        indexed(T::DbWeight::get(), s)
    }
    fn failed() -> Weight {
        failed(T::DbWeight::get())
    }
}

impl WeightInfo for () {
    fn register_base() -> Weight {
        register_base(RocksDbWeight::get())
    }
    fn create() -> Weight {
        create(RocksDbWeight::get())
    }
    fn request_training(s: u32) -> Weight {
        request_training(RocksDbWeight::get(), s)
    }
    fn set_prices() -> Weight {
        set_prices(RocksDbWeight::get())
    }
    fn set_serving() -> Weight {
        set_serving(RocksDbWeight::get())
    }
    fn order_indexes(n: u32) -> Weight {
        order_indexes(RocksDbWeight::get(), n)
    }
    fn trained() -> Weight {
        trained(RocksDbWeight::get())
    }
    fn indexed(s: u32) -> Weight {
        indexed(RocksDbWeight::get(), s)
    }
    fn failed() -> Weight {
        failed(RocksDbWeight::get())
    }
}

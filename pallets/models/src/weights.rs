//! Weights of `pallet-openledger-models`. Measured on the wasm; written by `make weights PALLETS=models`.
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
    /// The benchmark `register_base`.
    fn register_base() -> Weight;
    /// The benchmark `create`.
    fn create() -> Weight;
    /// The benchmark `request_training`, `s` from 1 to 16.
    fn request_training(s: u32) -> Weight;
    /// The benchmark `set_prices`.
    fn set_prices() -> Weight;
    /// The benchmark `set_serving`.
    fn set_serving() -> Weight;
    /// The benchmark `order_indexes`, `n` from 0 to 4.
    fn order_indexes(n: u32) -> Weight;
    /// The benchmark `trained`.
    fn trained() -> Weight;
    /// The benchmark `indexed`, `s` from 1 to 16.
    fn indexed(s: u32) -> Weight;
    /// The benchmark `failed`.
    fn failed() -> Weight;
}

/// [`WeightInfo`] in terms of the chain's database costs.
pub struct SubstrateWeight<T>(PhantomData<T>);

// Balances::Holds: read 1, written 1
// Models::Bases: read 0, written 1
// Models::NextBase: read 1, written 1
// Parameters::Parameters: read 2, written 0
// System::Account: read 1, written 1
// At least 186 µs.
fn register_base(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(211_236_000, 10625)
        .saturating_add(db.reads(5))
        .saturating_add(db.writes(4))
}

// Balances::Holds: read 1, written 1
// Models::Bases: read 1, written 0
// Models::Models: read 0, written 1
// Models::NextModel: read 1, written 1
// Nfts::Account: read 0, written 1
// Nfts::Collection: read 1, written 1
// Nfts::CollectionConfigOf: read 1, written 0
// Nfts::Item: read 1, written 1
// Nfts::ItemConfigOf: read 1, written 1
// Parameters::Parameters: read 3, written 0
// System::Account: read 1, written 1
// At least 284 µs.
fn create(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(307_637_000, 26837)
        .saturating_add(db.reads(11))
        .saturating_add(db.writes(8))
}

// Babe::EpochIndex: read 1, written 0
// Balances::Holds: read 1, written 1
// Compute::Deadlines: read 1, written 1
// Compute::JobTerms: read 0, written 1
// Compute::Jobs: read 0, written 1
// Compute::NextJob: read 1, written 1
// Compute::Waiting: read 1, written 1
// Datanets::VersionBonds: read 16, written 0
// Datanets::Versions: read 16, written 0
// Models::Bases: read 1, written 0
// Models::Generations: read 16, written 1
// Models::Lines: read 1, written 1
// Models::Models: read 1, written 1
// Nfts::Item: read 1, written 0
// Periods::Periods: read 1, written 0
// System::Account: read 1, written 1
// At least 444 µs.
fn request_training(db: RuntimeDbWeight, s: u32) -> Weight {
    Weight::from_parts(521_880_744, 85462)
        // ± 607_722
        .saturating_add(Weight::from_parts(19_178_860, 0).saturating_mul(s.into()))
        .saturating_add(db.reads(27))
        .saturating_add(db.reads(2_u64.saturating_mul(s.into())))
        .saturating_add(db.writes(10))
        .saturating_add(Weight::from_parts(0, 5193).saturating_mul(s.into()))
}

// Models::Models: read 1, written 1
// Nfts::Item: read 1, written 0
// Parameters::Parameters: read 1, written 0
// Periods::Periods: read 1, written 0
// At least 55 µs.
fn set_prices(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(61_426_000, 8610)
        .saturating_add(db.reads(4))
        .saturating_add(db.writes(1))
}

// Models::Models: read 1, written 1
// Models::StoppedUntil: read 0, written 1
// Nfts::Item: read 1, written 0
// Periods::Periods: read 1, written 0
// At least 60 µs.
fn set_serving(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(63_138_000, 6099)
        .saturating_add(db.reads(3))
        .saturating_add(db.writes(2))
}

// Babe::EpochIndex: read 1, written 0
// Compute::Deadlines: read 1, written 1
// Compute::JobTerms: read 0, written 4
// Compute::Jobs: read 0, written 4
// Compute::NextJob: read 1, written 1
// Compute::Workers: read 1, written 1
// Draws::Drawn: read 1, written 0
// Models::AwaitingSeed: read 1, written 1
// Models::Drawn: read 0, written 4
// Models::Generations: read 4, written 4
// Periods::Periods: read 1, written 0
// At least 4 µs.
fn order_indexes(db: RuntimeDbWeight, n: u32) -> Weight {
    Weight::from_parts(16_402_444, 8163)
        // ± 1_606_723
        .saturating_add(Weight::from_parts(124_671_266, 0).saturating_mul(n.into()))
        .saturating_add(db.reads(3))
        .saturating_add(db.reads(2_u64.saturating_mul(n.into())))
        .saturating_add(db.writes(2))
        .saturating_add(db.writes(5_u64.saturating_mul(n.into())))
        .saturating_add(Weight::from_parts(0, 6500).saturating_mul(n.into()))
}

// Babe::EpochIndex: read 1, written 0
// Models::AwaitingSeed: read 1, written 1
// Models::Generations: read 1, written 1
// At least 38 µs.
fn trained(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(46_036_000, 4229)
        .saturating_add(db.reads(3))
        .saturating_add(db.writes(2))
}

// Attribution::IndexBonds: read 0, written 1
// Attribution::Indexes: read 1, written 1
// Balances::Holds: read 1, written 1
// Compute::Workers: read 1, written 1
// Datanets::Versions: read 16, written 0
// Models::Bases: read 1, written 0
// Models::Generations: read 1, written 1
// Models::Models: read 1, written 0
// Models::Newest: read 1, written 1
// System::Account: read 2, written 2
// At least 522 µs.
fn indexed(db: RuntimeDbWeight, s: u32) -> Weight {
    Weight::from_parts(834_137_038, 25182)
        // ± 1_067_930
        .saturating_add(Weight::from_parts(13_885_621, 0).saturating_mul(s.into()))
        .saturating_add(db.reads(9))
        .saturating_add(db.reads(1_u64.saturating_mul(s.into())))
        .saturating_add(db.writes(8))
        .saturating_add(Weight::from_parts(0, 2634).saturating_mul(s.into()))
}

// Balances::Holds: read 1, written 1
// Models::Generations: read 1, written 1
// System::Account: read 1, written 1
// At least 89 µs.
fn failed(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(156_243_000, 8614)
        .saturating_add(db.reads(3))
        .saturating_add(db.writes(3))
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

//! Weights of `pallet-openledger-committees`. Measured on the wasm; written by `make weights PALLETS=committees`.
//!
//! Machine: AMD EPYC × 2, 23 GiB. Steps 20, repeats 8. Database costs come on top, as the runtime counts them.

#![cfg_attr(rustfmt, rustfmt_skip)]
#![allow(unused_variables, clippy::identity_op)]

use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{constants::RocksDbWeight, RuntimeDbWeight, Weight},
};

/// What the pallet's work costs.
pub trait WeightInfo {
    /// The benchmark `join`.
    fn join() -> Weight;
    /// The benchmark `leave`.
    fn leave() -> Weight;
    /// The benchmark `strike`.
    fn strike() -> Weight;
    /// The benchmark `seat`, `n` from 46 to 1000.
    fn seat(n: u32) -> Weight;
    /// The benchmark `commit`.
    fn commit() -> Weight;
    /// The benchmark `reveal`, `b` from 128 to 65536.
    fn reveal(b: u32) -> Weight;
    /// The benchmark `close`.
    fn close() -> Weight;
    /// The benchmark `decide`.
    fn decide() -> Weight;
    /// The benchmark `open`.
    fn open() -> Weight;
}

/// [`WeightInfo`] in terms of the chain's database costs.
pub struct SubstrateWeight<T>(PhantomData<T>);

// Committees::CounterForMembers: read 1, written 1
// Committees::Members: read 1, written 1
// Compute::Workers: read 1, written 0
// At least 34 µs.
fn join(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(51_807_000, 5389)
        .saturating_add(db.reads(3))
        .saturating_add(db.writes(2))
}

// Committees::CounterForMembers: read 1, written 1
// Committees::Members: read 1, written 1
// Committees::SeatsOf: read 1, written 0
// At least 29 µs.
fn leave(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(30_306_000, 5327)
        .saturating_add(db.reads(3))
        .saturating_add(db.writes(2))
}

// Committees::CounterForMembers: read 1, written 1
// Committees::Members: read 1, written 1
// Committees::SeatsOf: read 1, written 0
// Compute::Workers: read 1, written 0
// Parameters::Parameters: read 2, written 0
// Revive::OriginalAccount: read 1, written 1
// System::Account: read 1, written 1
// At least 93 µs.
fn strike(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(101_981_000, 18313)
        .saturating_add(db.reads(8))
        .saturating_add(db.writes(4))
}

// Committees::Cases: read 1, written 1
// Committees::CounterForMembers: read 1, written 0
// Committees::Members: read 1000, written 0
// Committees::SeatsOf: read 30, written 30
// Compute::Raised: read 984, written 0
// Compute::Workers: read 984, written 30
// Draws::Drawn: read 1, written 0
// Identity::SuperOf: read 1001, written 0
// Parameters::Parameters: read 2, written 0
// Periods::Periods: read 1, written 0
// System::Account: read 1, written 1
// At least 1466 µs.
fn seat(db: RuntimeDbWeight, n: u32) -> Weight {
    Weight::from_parts(1_522_424_000, 15901)
        // ± 711_521
        .saturating_add(Weight::from_parts(30_794_850, 0).saturating_mul(n.into()))
        .saturating_add(db.reads(6))
        .saturating_add(db.reads(4_u64.saturating_mul(n.into())))
        .saturating_add(db.writes(62))
        .saturating_add(Weight::from_parts(0, 10509).saturating_mul(n.into()))
}

// Committees::Cases: read 1, written 1
// Periods::Periods: read 1, written 0
// At least 87 µs.
fn commit(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(95_820_000, 5904)
        .saturating_add(db.reads(2))
        .saturating_add(db.writes(1))
}

// Committees::Cases: read 1, written 1
// Committees::Claims: read 1, written 0
// At least 134 µs.
fn reveal(db: RuntimeDbWeight, b: u32) -> Weight {
    Weight::from_parts(275_272_839, 2249337)
        // ± 872
        .saturating_add(Weight::from_parts(17_294, 0).saturating_mul(b.into()))
        .saturating_add(db.reads(5))
        .saturating_add(db.writes(1))
}

// Attribution::Questions: read 1, written 0
// Balances::Holds: read 17, written 17
// Committees::Answers: read 0, written 3
// Committees::Cases: read 1, written 1
// Committees::Claims: read 0, written 1
// Committees::SeatsOf: read 45, written 45
// Compute::Workers: read 46, written 46
// OpenStaking::Due: read 1, written 1
// OpenStaking::Held: read 1, written 1
// OpenStaking::Pools: read 15, written 15
// Parameters::Parameters: read 2, written 0
// System::Account: read 49, written 49
// At least 6430 µs.
fn close(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(6_584_874_000, 486633)
        .saturating_add(db.reads(178))
        .saturating_add(db.writes(179))
}

// Attribution::Questions: read 1, written 0
// Balances::Holds: read 2, written 2
// Committees::Answers: read 0, written 3
// Committees::Cases: read 1, written 1
// Committees::Claims: read 0, written 1
// Committees::SeatsOf: read 45, written 45
// Compute::Workers: read 46, written 46
// System::Account: read 47, written 47
// At least 4883 µs.
fn decide(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(9_077_227_000, 391953)
        .saturating_add(db.reads(142))
        .saturating_add(db.writes(145))
}

// Babe::EpochIndex: read 1, written 0
// Balances::Holds: read 1, written 1
// Committees::Cases: read 0, written 1
// Committees::Claims: read 0, written 1
// Committees::NextCase: read 1, written 1
// Compute::Workers: read 1, written 0
// Parameters::Parameters: read 5, written 0
// Periods::Periods: read 1, written 0
// System::Account: read 1, written 1
// At least 152 µs.
fn open(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(205_365_000, 21028)
        .saturating_add(db.reads(11))
        .saturating_add(db.writes(5))
}

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn join() -> Weight {
        join(T::DbWeight::get())
    }
    fn leave() -> Weight {
        leave(T::DbWeight::get())
    }
    fn strike() -> Weight {
        strike(T::DbWeight::get())
    }
    fn seat(n: u32) -> Weight {
        seat(T::DbWeight::get(), n)
    }
    fn commit() -> Weight {
        commit(T::DbWeight::get())
    }
    fn reveal(b: u32) -> Weight {
        reveal(T::DbWeight::get(), b)
    }
    fn close() -> Weight {
        close(T::DbWeight::get())
    }
    fn decide() -> Weight {
        decide(T::DbWeight::get())
    }
    fn open() -> Weight {
        open(T::DbWeight::get())
    }
}

impl WeightInfo for () {
    fn join() -> Weight {
        join(RocksDbWeight::get())
    }
    fn leave() -> Weight {
        leave(RocksDbWeight::get())
    }
    fn strike() -> Weight {
        strike(RocksDbWeight::get())
    }
    fn seat(n: u32) -> Weight {
        seat(RocksDbWeight::get(), n)
    }
    fn commit() -> Weight {
        commit(RocksDbWeight::get())
    }
    fn reveal(b: u32) -> Weight {
        reveal(RocksDbWeight::get(), b)
    }
    fn close() -> Weight {
        close(RocksDbWeight::get())
    }
    fn decide() -> Weight {
        decide(RocksDbWeight::get())
    }
    fn open() -> Weight {
        open(RocksDbWeight::get())
    }
}

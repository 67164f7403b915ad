//! Weights of `pallet-openledger-compute`. Measured on the wasm; written by `make weights PALLETS=compute`.
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
    /// The benchmark `register`.
    fn register() -> Weight;
    /// The benchmark `bond_more`.
    fn bond_more() -> Weight;
    /// The benchmark `unbond`.
    fn unbond() -> Weight;
    /// The benchmark `withdraw`.
    fn withdraw() -> Weight;
    /// The benchmark `set_keys`.
    fn set_keys() -> Weight;
    /// The benchmark `set_endpoint`.
    fn set_endpoint() -> Weight;
    /// The benchmark `deliver`.
    fn deliver() -> Weight;
    /// The benchmark `authorize_deliver`.
    fn authorize_deliver() -> Weight;
    /// The benchmark `heartbeat`.
    fn heartbeat() -> Weight;
    /// The benchmark `authorize_heartbeat`.
    fn authorize_heartbeat() -> Weight;
    /// The benchmark `idle`.
    fn idle() -> Weight;
    /// The benchmark `read_workers`, `w` from 1 to 250.
    fn read_workers(w: u32) -> Weight;
    /// The benchmark `give_out`.
    fn give_out() -> Weight;
    /// The benchmark `expire`.
    fn expire() -> Weight;
}

/// [`WeightInfo`] in terms of the chain's database costs.
pub struct SubstrateWeight<T>(PhantomData<T>);

// Balances::Holds: read 1, written 1
// Compute::CounterForWorkers: read 1, written 1
// Compute::Raised: read 1, written 1
// Compute::Workers: read 1, written 1
// System::Account: read 1, written 1
// At least 201 µs.
fn register(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(219_000_000, 10968)
        .saturating_add(db.reads(5))
        .saturating_add(db.writes(5))
}

// Balances::Holds: read 1, written 1
// Compute::Raised: read 1, written 1
// Compute::Workers: read 1, written 1
// Periods::Periods: read 1, written 0
// System::Account: read 1, written 1
// At least 207 µs.
fn bond_more(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(229_330_000, 10992)
        .saturating_add(db.reads(5))
        .saturating_add(db.writes(4))
}

// Compute::Workers: read 1, written 1
// Periods::Periods: read 1, written 0
// At least 48 µs.
fn unbond(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(63_048_000, 2862)
        .saturating_add(db.reads(2))
        .saturating_add(db.writes(1))
}

// Balances::Holds: read 1, written 1
// Compute::CounterForWorkers: read 1, written 1
// Compute::Raised: read 0, written 1
// Compute::Workers: read 1, written 1
// System::Account: read 1, written 1
// At least 162 µs.
fn withdraw(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(217_007_000, 8433)
        .saturating_add(db.reads(4))
        .saturating_add(db.writes(5))
}

// Compute::Workers: read 1, written 1
// At least 35 µs.
fn set_keys(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(43_281_000, 2834)
        .saturating_add(db.reads(1))
        .saturating_add(db.writes(1))
}

// Compute::Workers: read 1, written 1
// At least 36 µs.
fn set_endpoint(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(43_742_000, 2834)
        .saturating_add(db.reads(1))
        .saturating_add(db.writes(1))
}

// Compute::Deadlines: read 1, written 0
// Compute::JobTerms: read 1, written 1
// Compute::Jobs: read 1, written 0
// Compute::Workers: read 1, written 0
// Models::Generations: read 1, written 0
// At least 210 µs.
fn deliver(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(237_715_000, 23053)
        .saturating_add(db.reads(5))
        .saturating_add(db.writes(1))
}

// Compute::JobTerms: read 1, written 0
// Compute::Jobs: read 1, written 0
// Compute::Workers: read 1, written 0
// System::BlockHash: read 1, written 0
// At least 156 µs.
fn authorize_deliver(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(174_356_000, 10551)
        .saturating_add(db.reads(4))
}

// Compute::Beats: read 1, written 1
// Compute::Workers: read 1, written 1
// At least 73 µs.
fn heartbeat(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(84_468_000, 2842)
        .saturating_add(db.reads(2))
        .saturating_add(db.writes(2))
}

// Compute::Beats: read 1, written 0
// Compute::Workers: read 1, written 0
// Periods::Periods: read 1, written 0
// System::BlockHash: read 1, written 0
// At least 117 µs.
fn authorize_heartbeat(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(125_666_000, 5389)
        .saturating_add(db.reads(4))
}

// Babe::EpochIndex: read 1, written 0
// Compute::Deadlines: read 1, written 0
// Compute::JobTerms: read 1, written 0
// Compute::Jobs: read 1, written 0
// Compute::Waiting: read 1, written 1
// Draws::Drawn: read 1, written 0
// At least 97 µs.
fn idle(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(113_293_000, 27733)
        .saturating_add(db.reads(6))
        .saturating_add(db.writes(1))
}

// Compute::Workers: read 251, written 0
// At least 15 µs.
fn read_workers(db: RuntimeDbWeight, w: u32) -> Weight {
    Weight::from_parts(16_080_000, 2834)
        // ± 112_971
        .saturating_add(Weight::from_parts(8_632_196, 0).saturating_mul(w.into()))
        .saturating_add(db.reads(1))
        .saturating_add(db.reads(1_u64.saturating_mul(w.into())))
        .saturating_add(Weight::from_parts(0, 2834).saturating_mul(w.into()))
}

// Babe::EpochIndex: read 1, written 0
// Compute::Deadlines: read 1, written 1
// Compute::JobTerms: read 0, written 1
// Compute::Jobs: read 0, written 1
// Compute::Waiting: read 1, written 1
// Compute::Workers: read 1, written 1
// Draws::Drawn: read 1, written 0
// Periods::Periods: read 1, written 0
// At least 122 µs.
fn give_out(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(180_018_000, 25397)
        .saturating_add(db.reads(6))
        .saturating_add(db.writes(5))
}

// Balances::Holds: read 1, written 1
// Compute::Deadlines: read 1, written 1
// Compute::JobTerms: read 1, written 1
// Compute::Jobs: read 1, written 1
// Compute::Workers: read 1, written 1
// OpenStaking::Pools: read 1, written 0
// System::Account: read 2, written 2
// At least 226 µs.
fn expire(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(284_683_000, 30868)
        .saturating_add(db.reads(8))
        .saturating_add(db.writes(7))
}

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn register() -> Weight {
        register(T::DbWeight::get())
    }
    fn bond_more() -> Weight {
        bond_more(T::DbWeight::get())
    }
    fn unbond() -> Weight {
        unbond(T::DbWeight::get())
    }
    fn withdraw() -> Weight {
        withdraw(T::DbWeight::get())
    }
    fn set_keys() -> Weight {
        set_keys(T::DbWeight::get())
    }
    fn set_endpoint() -> Weight {
        set_endpoint(T::DbWeight::get())
    }
    fn deliver() -> Weight {
        deliver(T::DbWeight::get())
    }
    fn authorize_deliver() -> Weight {
        authorize_deliver(T::DbWeight::get())
    }
    fn heartbeat() -> Weight {
        heartbeat(T::DbWeight::get())
    }
    fn authorize_heartbeat() -> Weight {
        authorize_heartbeat(T::DbWeight::get())
    }
    fn idle() -> Weight {
        idle(T::DbWeight::get())
    }
    fn read_workers(w: u32) -> Weight {
        read_workers(T::DbWeight::get(), w)
    }
    fn give_out() -> Weight {
        give_out(T::DbWeight::get())
    }
    fn expire() -> Weight {
        expire(T::DbWeight::get())
    }
}

impl WeightInfo for () {
    fn register() -> Weight {
        register(RocksDbWeight::get())
    }
    fn bond_more() -> Weight {
        bond_more(RocksDbWeight::get())
    }
    fn unbond() -> Weight {
        unbond(RocksDbWeight::get())
    }
    fn withdraw() -> Weight {
        withdraw(RocksDbWeight::get())
    }
    fn set_keys() -> Weight {
        set_keys(RocksDbWeight::get())
    }
    fn set_endpoint() -> Weight {
        set_endpoint(RocksDbWeight::get())
    }
    fn deliver() -> Weight {
        deliver(RocksDbWeight::get())
    }
    fn authorize_deliver() -> Weight {
        authorize_deliver(RocksDbWeight::get())
    }
    fn heartbeat() -> Weight {
        heartbeat(RocksDbWeight::get())
    }
    fn authorize_heartbeat() -> Weight {
        authorize_heartbeat(RocksDbWeight::get())
    }
    fn idle() -> Weight {
        idle(RocksDbWeight::get())
    }
    fn read_workers(w: u32) -> Weight {
        read_workers(RocksDbWeight::get(), w)
    }
    fn give_out() -> Weight {
        give_out(RocksDbWeight::get())
    }
    fn expire() -> Weight {
        expire(RocksDbWeight::get())
    }
}

//! Weights of `pallet-openledger-inference`. Measured on the wasm; written by `make weights PALLETS=inference`.
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
    /// The benchmark `request_inference`.
    fn request_inference() -> Weight;
    /// The benchmark `answered`.
    fn answered() -> Weight;
    /// The benchmark `failed`.
    fn failed() -> Weight;
    /// The benchmark `forget`.
    fn forget() -> Weight;
}

/// [`WeightInfo`] in terms of the chain's database costs.
pub struct SubstrateWeight<T>(PhantomData<T>);

// Babe::EpochIndex: read 1, written 0
// Balances::Holds: read 1, written 1
// Compute::Deadlines: read 1, written 1
// Compute::JobTerms: read 0, written 1
// Compute::Jobs: read 0, written 1
// Compute::NextJob: read 1, written 1
// Compute::Waiting: read 1, written 1
// Inference::NextRequest: read 1, written 1
// Inference::Requests: read 0, written 1
// Models::Generations: read 1, written 0
// Models::Lines: read 1, written 0
// Models::Models: read 1, written 0
// Parameters::Parameters: read 2, written 0
// Periods::Periods: read 1, written 0
// System::Account: read 1, written 1
// At least 268 µs.
fn request_inference(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(307_006_000, 39136)
        .saturating_add(db.reads(13))
        .saturating_add(db.writes(9))
}

// Balances::Holds: read 1, written 1
// Inference::Requests: read 1, written 1
// Models::Generations: read 2, written 0
// Models::Lines: read 1, written 0
// Nfts::Item: read 49, written 0
// OpenStaking::Due: read 1, written 0
// OpenStaking::Held: read 1, written 1
// OpenStaking::Pools: read 2, written 1
// Periods::Periods: read 1, written 0
// Rewards::Credits: read 50, written 50
// Rewards::Escrowed: read 1, written 1
// Rewards::Owed: read 1, written 1
// System::Account: read 4, written 4
// At least 1208 µs.
fn answered(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(1_291_922_000, 328501)
        .saturating_add(db.reads(115))
        .saturating_add(db.writes(60))
}

// Balances::Holds: read 1, written 1
// Inference::Requests: read 1, written 1
// System::Account: read 1, written 1
// At least 100 µs.
fn failed(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(104_646_000, 16567)
        .saturating_add(db.reads(3))
        .saturating_add(db.writes(3))
}

// Balances::Holds: read 1, written 1
// Inference::Requests: read 1, written 1
// System::Account: read 1, written 1
// At least 101 µs.
fn forget(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(106_891_000, 16567)
        .saturating_add(db.reads(3))
        .saturating_add(db.writes(3))
}

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn request_inference() -> Weight {
        request_inference(T::DbWeight::get())
    }
    fn answered() -> Weight {
        answered(T::DbWeight::get())
    }
    fn failed() -> Weight {
        failed(T::DbWeight::get())
    }
    fn forget() -> Weight {
        forget(T::DbWeight::get())
    }
}

impl WeightInfo for () {
    fn request_inference() -> Weight {
        request_inference(RocksDbWeight::get())
    }
    fn answered() -> Weight {
        answered(RocksDbWeight::get())
    }
    fn failed() -> Weight {
        failed(RocksDbWeight::get())
    }
    fn forget() -> Weight {
        forget(RocksDbWeight::get())
    }
}

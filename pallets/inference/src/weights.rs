//! Weights of `pallet-openledger-inference`. Written by hand from the storage each function touches until the benchmarks have
//! been run on the reference machine; the parameters are those of the benchmarks.

use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{constants::RocksDbWeight, RuntimeDbWeight, Weight},
};

/// What the pallet's work costs.
pub trait WeightInfo {
    /// A request, and its job.
    fn request_inference() -> Weight;
    /// Taking an answer and dividing its fee.
    fn answered() -> Weight;
    /// Ending a request.
    fn failed() -> Weight;
    /// A request removed.
    fn forget() -> Weight;
}

/// [`WeightInfo`] in terms of the database's costs.
pub struct SubstrateWeight<T>(PhantomData<T>);

// Reads and writes: next, request, account, holds; for the job next, job, terms, deadlines, waiting. Reads: model, generation,
// line, three settings, epoch.
fn request_inference(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(130_000_000, 60_000).saturating_add(db.reads_writes(16, 9))
}

// The request, account, holds and the pot; then as a batch that is settled.
fn answered(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(650_000_000, 140_000).saturating_add(db.reads_writes(140, 80))
}

// Reads and writes: request, account, holds.
fn failed(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(60_000_000, 16_000).saturating_add(db.reads_writes(3, 3))
}

// Reads and writes: request, account, holds. Reads: a setting.
fn forget(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(60_000_000, 16_000).saturating_add(db.reads_writes(4, 3))
}

macro_rules! weights {
    ($($name:ident),*) => {
        impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
            $(fn $name() -> Weight { $name(T::DbWeight::get()) })*
        }
        impl WeightInfo for () {
            $(fn $name() -> Weight { $name(RocksDbWeight::get()) })*
        }
    };
}

weights!(request_inference, answered, failed, forget);

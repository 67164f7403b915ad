//! Weights of `pallet-openledger-attribution`. Written by hand from the storage each function touches until the benchmarks have
//! been run on the reference machine; the parameters are those of the benchmarks.

use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{constants::RocksDbWeight, RuntimeDbWeight, Weight},
};

/// What the pallet's work costs.
pub trait WeightInfo {
    /// A batch with `c` channels.
    fn submit_batch(c: u32) -> Weight;
    /// A batch settled.
    fn settle() -> Weight;
    /// `n` credits.
    fn credit(n: u32) -> Weight;
    /// A challenge made.
    fn challenge() -> Weight;
    /// `b` bytes of evidence judged, and a batch paid that it proves wrong.
    fn prove(b: u32) -> Weight;
    /// A challenge ended.
    fn lapse() -> Weight;
    /// A batch forgotten.
    fn forget() -> Weight;
}

/// [`WeightInfo`] in terms of the database's costs.
pub struct SubstrateWeight<T>(PhantomData<T>);

// The index, the generation and the model, the worker's bond, its account and holds, the next number; for each channel what a
// charge costs: a signature of some 60 µs, the channel, two accounts, holds and the escrow.
fn submit_batch(db: RuntimeDbWeight, c: u32) -> Weight {
    Weight::from_parts(120_000_000, 20_000)
        .saturating_add(db.reads_writes(12, 6))
        .saturating_add(
            Weight::from_parts(140_000_000, 12_000)
                .saturating_add(db.reads_writes(7, 5))
                .saturating_mul(c.into()),
        )
}

// The batch, the generation and the model; up to 16 Datanets' owners with a credit each; owner, worker, treasury, two sums.
fn settle(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(250_000_000, 60_000).saturating_add(db.reads_writes(50, 30))
}

// For each credit one item, and 20 hashes of a path between them.
fn credit(db: RuntimeDbWeight, n: u32) -> Weight {
    Weight::from_parts(80_000_000, 10_000)
        .saturating_add(db.reads_writes(4, 4))
        .saturating_add(
            Weight::from_parts(8_000_000, 2_500)
                .saturating_add(db.reads_writes(1, 1))
                .saturating_mul(n.into()),
        )
}

fn challenge(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(60_000_000, 10_000).saturating_add(db.reads_writes(5, 4))
}

// Each byte is decoded and hashed at most three times, some 15 ns each in wasm; then as a settlement and a slash.
fn prove(db: RuntimeDbWeight, b: u32) -> Weight {
    Weight::from_parts(400_000_000, 80_000)
        .saturating_add(Weight::from_parts(60_000, 0).saturating_mul(b.into()))
        .saturating_add(db.reads_writes(65, 45))
}

fn lapse(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(60_000_000, 10_000).saturating_add(db.reads_writes(5, 5))
}

fn forget(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(50_000_000, 10_000).saturating_add(db.reads_writes(3, 3))
}

macro_rules! weights {
    ($($name:ident($($arg:ident),*);)*) => {
        impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
            $(fn $name($($arg: u32),*) -> Weight { $name(T::DbWeight::get(), $($arg),*) })*
        }
        impl WeightInfo for () {
            $(fn $name($($arg: u32),*) -> Weight { $name(RocksDbWeight::get(), $($arg),*) })*
        }
    };
}

weights! {
    submit_batch(c);
    settle();
    credit(n);
    challenge();
    prove(b);
    lapse();
    forget();
}

//! Weights of `pallet-openledger-committees`. Written by hand from the storage each function touches until the benchmarks have
//! been run on the reference machine; the parameters are those of the benchmarks.

use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{constants::RocksDbWeight, RuntimeDbWeight, Weight},
};

/// What the pallet's work costs.
pub trait WeightInfo {
    /// A member joined.
    fn join() -> Weight;
    /// A member left.
    fn leave() -> Weight;
    /// A member struck out.
    fn strike() -> Weight;
    /// The largest round drawn from `n` members.
    fn seat(n: u32) -> Weight;
    /// A commitment, the last of its round.
    fn commit() -> Weight;
    /// `b` bytes revealed and compared with the claim and with every answer that a case keeps.
    fn reveal(b: u32) -> Weight;
    /// A case of two rounds of the largest size ended.
    fn close() -> Weight;
    /// A frozen case decided.
    fn decide() -> Weight;
    /// A case opened with a claim of the most bytes.
    fn open() -> Weight;
}

/// [`WeightInfo`] in terms of the database's costs.
pub struct SubstrateWeight<T>(PhantomData<T>);

// The worker, the member and their count.
fn join(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(30_000_000, 6_000).saturating_add(db.reads_writes(3, 2))
}

fn leave(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(30_000_000, 6_000).saturating_add(db.reads_writes(3, 2))
}

fn strike(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(35_000_000, 8_000).saturating_add(db.reads_writes(4, 2))
}

// For each member itself, its owner, its worker and what that added lately; who is passed over is read already, but for its
// seats; a rank of 40 squarings. For each of at most 30 seats the worker and its list.
fn seat(db: RuntimeDbWeight, n: u32) -> Weight {
    Weight::from_parts(300_000_000, 60_000)
        .saturating_add(db.reads_writes(4, 62))
        .saturating_add(
            Weight::from_parts(12_000_000, 700)
                .saturating_add(db.reads(4))
                .saturating_mul(n.into()),
        )
}

fn commit(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(40_000_000, 10_000).saturating_add(db.reads_writes(1, 1))
}

// Each byte is decoded, hashed and compared with the claim and three answers, some 15 ns each in wasm; the claim and the answers
// are decoded whole, which a member cannot make smaller.
fn reveal(db: RuntimeDbWeight, b: u32) -> Weight {
    Weight::from_parts(15_000_000_000, 2_200_000)
        .saturating_add(Weight::from_parts(100_000, 0).saturating_mul(b.into()))
        .saturating_add(db.reads_writes(5, 2))
}

// 45 seats: worker, account, holds, list, the pool behind it; what all pools hold, what is due to the treasury, the pot's account.
// Three payments at most differ. Claim and answers are removed.
fn close(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(4_000_000_000, 350_000).saturating_add(db.reads_writes(288, 278))
}

fn decide(db: RuntimeDbWeight) -> Weight {
    close(db)
}

// The number, the claim of up to half a MiB, the payer's account and holds, the accused's machine, the epoch.
fn open(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(3_000_000_000, 20_000).saturating_add(db.reads_writes(7, 5))
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
    join();
    leave();
    strike();
    seat(n);
    commit();
    reveal(b);
    close();
    decide();
    open();
}

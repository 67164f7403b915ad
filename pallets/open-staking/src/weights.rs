//! Weights of `pallet-openledger-open-staking`. Written by hand from the storage each function touches until the benchmarks have
//! been run on the reference machine; the parameters are those of the benchmarks.

use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{constants::RocksDbWeight, RuntimeDbWeight, Weight},
};

/// What the pallet's work costs.
pub trait WeightInfo {
    /// A stake, by the first staker of a pool.
    fn stake() -> Weight;
    /// The last stake of a pool asked back.
    fn unstake() -> Weight;
    /// As much as can be asked back, withdrawn; the pool ends.
    fn withdraw() -> Weight;
    /// The same by somebody else.
    fn withdraw_for() -> Weight;
    /// Income for a pool, or for the treasury.
    fn income() -> Weight;
    /// A pool slashed, or ended by a slash.
    fn slash() -> Weight;
    /// A pool frozen.
    fn freeze() -> Weight;
    /// A pool thawed.
    fn thaw() -> Weight;
}

/// [`WeightInfo`] in terms of the database's costs.
pub struct SubstrateWeight<T>(PhantomData<T>);

// The pool, its freezes, what an account holds of it, the next epoch, the asset, what is held, two accounts.
fn stake(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(80_000_000, 8_000).saturating_add(db.reads_writes(8, 6))
}
// The pool, the account's part, what is held, what is due, the pot and the treasury.
fn unstake(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(75_000_000, 8_000).saturating_add(db.reads_writes(7, 5))
}
// The same with the pool's freezes and the account that is paid; eight parts are a few microseconds of divisions.
fn withdraw(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(130_000_000, 12_000).saturating_add(db.reads_writes(8, 6))
}
fn withdraw_for(db: RuntimeDbWeight) -> Weight {
    withdraw(db)
}
// The pool, what is held and due, the pot, and the treasury when nobody is staked.
fn income(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(60_000_000, 8_000).saturating_add(db.reads_writes(6, 4))
}
// The pool, what is held and due, the pot and the treasury.
fn slash(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(70_000_000, 8_000).saturating_add(db.reads_writes(5, 5))
}
fn freeze(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(12_000_000, 4_000).saturating_add(db.reads_writes(1, 1))
}
fn thaw(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(12_000_000, 4_000).saturating_add(db.reads_writes(1, 1))
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

weights!(
    stake,
    unstake,
    withdraw,
    withdraw_for,
    income,
    slash,
    freeze,
    thaw
);

//! Weights of `pallet-openledger-compute`. Written by hand from the storage each function touches until the
//! benchmarks have been run on the reference machine; the parameters are those of the benchmarks.

use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{constants::RocksDbWeight, RuntimeDbWeight, Weight},
};

/// What the pallet's work costs.
pub trait WeightInfo {
    /// Becoming a worker.
    fn register() -> Weight;
    /// Adding to a bond.
    fn bond_more() -> Weight;
    /// Asking for part of a bond.
    fn unbond() -> Weight;
    /// Taking it, and leaving.
    fn withdraw() -> Weight;
    /// Changing keys.
    fn set_keys() -> Weight;
    /// Moving.
    fn set_endpoint() -> Weight;
    /// Delivering, without what whoever ordered the work does with the result.
    fn deliver() -> Weight;
    /// Checking a delivery.
    fn authorize_deliver() -> Weight;
    /// A sign of life.
    fn heartbeat() -> Weight;
    /// Checking one.
    fn authorize_heartbeat() -> Weight;
    /// A block in which no job moves.
    fn idle() -> Weight;
    /// Reading `w` workers.
    fn read_workers(w: u32) -> Weight;
    /// Giving a job out.
    fn give_out() -> Weight;
    /// Ending an attempt.
    fn expire() -> Weight;
}

/// [`WeightInfo`] in terms of the database's costs.
pub struct SubstrateWeight<T>(PhantomData<T>);

/// Bytes of a proof that a worker takes.
const WORKER: u64 = 3_500;
/// Bytes of a proof that the two lists of jobs take.
const LISTS: u64 = 24_000;

// The worker, its counter, account and holds.
fn register(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(60_000_000, WORKER).saturating_add(db.reads_writes(4, 4))
}

// The worker, its account and holds.
fn bond_more(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(55_000_000, WORKER).saturating_add(db.reads_writes(3, 3))
}

// The worker; the least bond and the period are read.
fn unbond(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(25_000_000, WORKER).saturating_add(db.reads_writes(3, 1))
}

// The worker, its counter, account and holds.
fn withdraw(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(60_000_000, WORKER).saturating_add(db.reads_writes(4, 4))
}

// The worker.
fn set_keys(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(20_000_000, WORKER).saturating_add(db.reads_writes(1, 1))
}

// Job, terms, worker, deadlines; the treasury is read where the worker is closed.
fn deliver(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(60_000_000, WORKER.saturating_add(LISTS)).saturating_add(db.reads_writes(5, 4))
}

// Job, terms, worker, genesis hash; hashing up to 64 KiB and an sr25519 signature.
fn authorize_deliver(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(550_000_000, WORKER).saturating_add(db.reads(4))
}

// The worker, how many there were.
fn heartbeat(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(20_000_000, WORKER).saturating_add(db.reads_writes(2, 2))
}

// The worker, how many there were, genesis hash, two settings; an sr25519 signature.
fn authorize_heartbeat(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(90_000_000, WORKER).saturating_add(db.reads(5))
}

// The two lists.
fn idle(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(5_000_000, LISTS).saturating_add(db.reads(2))
}

// Each is read and sorted.
fn read_workers(db: RuntimeDbWeight, w: u32) -> Weight {
    Weight::from_parts(4_000_000, WORKER)
        .saturating_mul(w.into())
        .saturating_add(db.reads(w.into()))
}

// Job, terms, worker, the lists; the epoch and what was drawn are read.
fn give_out(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(60_000_000, WORKER.saturating_add(LISTS)).saturating_add(db.reads_writes(8, 5))
}

// Job, terms, worker and counter, the lists, two accounts and holds; the epoch and the treasury are read. The pool behind the
// worker, what all pools hold, what is due to the treasury, the pot's account.
fn expire(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(180_000_000, WORKER.saturating_add(LISTS)).saturating_add(db.reads_writes(15, 13))
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
        set_keys(T::DbWeight::get())
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
        set_keys(RocksDbWeight::get())
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

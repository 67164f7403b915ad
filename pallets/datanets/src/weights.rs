//! Weights of `pallet-openledger-datanets`. Measured on the wasm; written by `make weights PALLETS=datanets`.
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
    /// The benchmark `create`, `c` from 1 to 16.
    fn create(c: u32) -> Weight;
    /// The benchmark `reserve`.
    fn reserve() -> Weight;
    /// The benchmark `contribute`.
    fn contribute() -> Weight;
    /// The benchmark `accept`.
    fn accept() -> Weight;
    /// The benchmark `reject`.
    fn reject() -> Weight;
    /// The benchmark `mature`.
    fn mature() -> Weight;
    /// The benchmark `publish`.
    fn publish() -> Weight;
    /// The benchmark `release`.
    fn release() -> Weight;
    /// The benchmark `challenge`.
    fn challenge() -> Weight;
    /// The benchmark `prove_version`, `b` from 300 to 1300.
    fn prove_version(b: u32) -> Weight;
    /// The benchmark `prove_duplicate`, `b` from 300 to 1300.
    fn prove_duplicate(b: u32) -> Weight;
    /// The benchmark `lapse`.
    fn lapse() -> Weight;
    /// The benchmark `free_version`.
    fn free_version() -> Weight;
}

/// [`WeightInfo`] in terms of the chain's database costs.
pub struct SubstrateWeight<T>(PhantomData<T>);

// Balances::Holds: read 1, written 1
// Datanets::Datanets: read 0, written 1
// Datanets::NextDatanet: read 1, written 1
// Nfts::Account: read 0, written 1
// Nfts::Collection: read 1, written 1
// Nfts::CollectionAccount: read 0, written 1
// Nfts::CollectionConfigOf: read 0, written 1
// Nfts::CollectionRoleOf: read 0, written 1
// Nfts::Item: read 1, written 1
// Nfts::ItemConfigOf: read 1, written 1
// Parameters::Parameters: read 2, written 0
// System::Account: read 1, written 1
// At least 176 µs.
fn create(db: RuntimeDbWeight, c: u32) -> Weight {
    Weight::from_parts(284_124_930, 19043)
        // ± 406_838
        .saturating_add(Weight::from_parts(1_121_102, 0).saturating_mul(c.into()))
        .saturating_add(db.reads(8))
        .saturating_add(db.writes(11))
}

// Balances::Holds: read 1, written 1
// Datanets::Reservations: read 1, written 1
// Parameters::Parameters: read 2, written 0
// Periods::Periods: read 1, written 0
// System::Account: read 1, written 1
// At least 160 µs.
fn reserve(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(174_667_000, 13216)
        .saturating_add(db.reads(6))
        .saturating_add(db.writes(3))
}

// Balances::Holds: read 1, written 1
// Datanets::Contributions: read 0, written 1
// Datanets::Datanets: read 1, written 0
// Datanets::NextContribution: read 1, written 1
// Datanets::Reservations: read 1, written 1
// Parameters::Parameters: read 2, written 0
// System::Account: read 1, written 1
// At least 168 µs.
fn contribute(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(257_793_000, 16385)
        .saturating_add(db.reads(7))
        .saturating_add(db.writes(5))
}

// Balances::Holds: read 1, written 1
// Datanets::Contributions: read 1, written 1
// Datanets::Datanets: read 1, written 0
// System::Account: read 1, written 1
// At least 131 µs.
fn accept(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(147_337_000, 11464)
        .saturating_add(db.reads(4))
        .saturating_add(db.writes(3))
}

// Balances::Holds: read 1, written 1
// Datanets::Contributions: read 1, written 1
// Datanets::Datanets: read 1, written 0
// System::Account: read 1, written 1
// At least 128 µs.
fn reject(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(145_452_000, 11464)
        .saturating_add(db.reads(4))
        .saturating_add(db.writes(3))
}

// Balances::Holds: read 1, written 1
// Datanets::Contributions: read 1, written 1
// Datanets::Datanets: read 1, written 0
// Periods::Periods: read 1, written 0
// System::Account: read 1, written 1
// At least 137 µs.
fn mature(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(155_041_000, 11492)
        .saturating_add(db.reads(5))
        .saturating_add(db.writes(3))
}

// Balances::Holds: read 1, written 1
// Datanets::Datanets: read 1, written 1
// Datanets::VersionBonds: read 0, written 1
// Datanets::Versions: read 0, written 1
// Nfts::Item: read 1, written 0
// Periods::Periods: read 1, written 0
// System::Account: read 1, written 1
// At least 156 µs.
fn publish(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(213_319_000, 12148)
        .saturating_add(db.reads(5))
        .saturating_add(db.writes(5))
}

// Balances::Holds: read 1, written 1
// Datanets::Reservations: read 1, written 1
// System::Account: read 1, written 1
// At least 119 µs.
fn release(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(133_600_000, 8166)
        .saturating_add(db.reads(3))
        .saturating_add(db.writes(3))
}

// Balances::Holds: read 1, written 1
// Datanets::ChallengeCounts: read 1, written 1
// Datanets::Challenges: read 1, written 1
// Datanets::VersionBonds: read 1, written 0
// OpenStaking::Frozen: read 1, written 1
// Periods::Periods: read 1, written 0
// System::Account: read 1, written 1
// At least 208 µs.
fn challenge(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(236_985_000, 15794)
        .saturating_add(db.reads(7))
        .saturating_add(db.writes(5))
}

// Balances::Holds: read 2, written 2
// Datanets::ChallengeCounts: read 1, written 1
// Datanets::Challenges: read 1, written 1
// Datanets::VersionBonds: read 1, written 1
// Datanets::Versions: read 1, written 0
// OpenStaking::Frozen: read 1, written 1
// OpenStaking::Pools: read 1, written 0
// System::Account: read 3, written 3
// At least 294 µs.
fn prove_version(db: RuntimeDbWeight, b: u32) -> Weight {
    Weight::from_parts(446_522_960, 29234)
        // ± 11_978
        .saturating_add(Weight::from_parts(121_826, 0).saturating_mul(b.into()))
        .saturating_add(db.reads(11))
        .saturating_add(db.writes(9))
}

// Balances::Holds: read 2, written 2
// Datanets::ChallengeCounts: read 1, written 1
// Datanets::Challenges: read 1, written 1
// Datanets::Contributions: read 1, written 1
// Datanets::Duplicates: read 1, written 1
// System::Account: read 3, written 3
// At least 282 µs.
fn prove_duplicate(db: RuntimeDbWeight, b: u32) -> Weight {
    Weight::from_parts(418_882_021, 24060)
        .saturating_add(db.reads(9))
        .saturating_add(db.writes(9))
}

// Balances::Holds: read 1, written 1
// Datanets::ChallengeCounts: read 1, written 1
// Datanets::Challenges: read 1, written 1
// Datanets::VersionBonds: read 1, written 0
// OpenStaking::Frozen: read 1, written 1
// System::Account: read 2, written 2
// At least 134 µs.
fn lapse(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(138_950_000, 18369)
        .saturating_add(db.reads(7))
        .saturating_add(db.writes(6))
}

// Balances::Holds: read 1, written 1
// Datanets::ChallengeCounts: read 1, written 0
// Datanets::VersionBonds: read 1, written 1
// System::Account: read 1, written 1
// At least 100 µs.
fn free_version(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(156_884_000, 10654)
        .saturating_add(db.reads(4))
        .saturating_add(db.writes(3))
}

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn create(c: u32) -> Weight {
        create(T::DbWeight::get(), c)
    }
    fn reserve() -> Weight {
        reserve(T::DbWeight::get())
    }
    fn contribute() -> Weight {
        contribute(T::DbWeight::get())
    }
    fn accept() -> Weight {
        accept(T::DbWeight::get())
    }
    fn reject() -> Weight {
        reject(T::DbWeight::get())
    }
    fn mature() -> Weight {
        mature(T::DbWeight::get())
    }
    fn publish() -> Weight {
        publish(T::DbWeight::get())
    }
    fn release() -> Weight {
        release(T::DbWeight::get())
    }
    fn challenge() -> Weight {
        challenge(T::DbWeight::get())
    }
    fn prove_version(b: u32) -> Weight {
        prove_version(T::DbWeight::get(), b)
    }
    fn prove_duplicate(b: u32) -> Weight {
        prove_duplicate(T::DbWeight::get(), b)
    }
    fn lapse() -> Weight {
        lapse(T::DbWeight::get())
    }
    fn free_version() -> Weight {
        free_version(T::DbWeight::get())
    }
}

impl WeightInfo for () {
    fn create(c: u32) -> Weight {
        create(RocksDbWeight::get(), c)
    }
    fn reserve() -> Weight {
        reserve(RocksDbWeight::get())
    }
    fn contribute() -> Weight {
        contribute(RocksDbWeight::get())
    }
    fn accept() -> Weight {
        accept(RocksDbWeight::get())
    }
    fn reject() -> Weight {
        reject(RocksDbWeight::get())
    }
    fn mature() -> Weight {
        mature(RocksDbWeight::get())
    }
    fn publish() -> Weight {
        publish(RocksDbWeight::get())
    }
    fn release() -> Weight {
        release(RocksDbWeight::get())
    }
    fn challenge() -> Weight {
        challenge(RocksDbWeight::get())
    }
    fn prove_version(b: u32) -> Weight {
        prove_version(RocksDbWeight::get(), b)
    }
    fn prove_duplicate(b: u32) -> Weight {
        prove_duplicate(RocksDbWeight::get(), b)
    }
    fn lapse() -> Weight {
        lapse(RocksDbWeight::get())
    }
    fn free_version() -> Weight {
        free_version(RocksDbWeight::get())
    }
}

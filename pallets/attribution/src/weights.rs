//! Weights of `pallet-openledger-attribution`. Measured on the wasm; written by `make weights PALLETS=attribution`.
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
    /// The benchmark `submit_batch`, `c` from 1 to 64.
    fn submit_batch(c: u32) -> Weight;
    /// The benchmark `settle`.
    fn settle() -> Weight;
    /// The benchmark `credit`, `n` from 1 to 256.
    fn credit(n: u32) -> Weight;
    /// The benchmark `challenge`.
    fn challenge() -> Weight;
    /// The benchmark `prove`, `b` from 18000 to 81000.
    fn prove(b: u32) -> Weight;
    /// The benchmark `lapse`.
    fn lapse() -> Weight;
    /// The benchmark `forget`.
    fn forget() -> Weight;
    /// The benchmark `challenge_index`.
    fn challenge_index() -> Weight;
    /// The benchmark `prove_index`, `b` from 500 to 32700.
    fn prove_index(b: u32) -> Weight;
    /// The benchmark `lapse_index`.
    fn lapse_index() -> Weight;
    /// The benchmark `review_index`.
    fn review_index() -> Weight;
    /// The benchmark `request_reveal`.
    fn request_reveal() -> Weight;
    /// The benchmark `reveal`, `b` from 500 to 32700.
    fn reveal(b: u32) -> Weight;
    /// The benchmark `end_request`.
    fn end_request() -> Weight;
    /// The benchmark `draw`.
    fn draw() -> Weight;
    /// The benchmark `answer_draws`.
    fn answer_draws() -> Weight;
    /// The benchmark `forfeit_draws`.
    fn forfeit_draws() -> Weight;
    /// The benchmark `ask`, `b` from 17000 to 49000.
    fn ask(b: u32) -> Weight;
    /// The benchmark `ask_index`, `b` from 500 to 32700.
    fn ask_index(b: u32) -> Weight;
    /// The benchmark `draw_audit`.
    fn draw_audit() -> Weight;
    /// The benchmark `show_audit`, `b` from 2000 to 34000.
    fn show_audit(b: u32) -> Weight;
    /// The benchmark `end_audit`.
    fn end_audit() -> Weight;
    /// The benchmark `ended`.
    fn ended() -> Weight;
}

/// [`WeightInfo`] in terms of the chain's database costs.
pub struct SubstrateWeight<T>(PhantomData<T>);

// Attribution::Batches: read 0, written 1
// Attribution::IndexBonds: read 1, written 0
// Attribution::Indexes: read 1, written 0
// Attribution::NextBatch: read 1, written 1
// Balances::Holds: read 65, written 65
// Channels::Channels: read 64, written 64
// Committees::CounterForMembers: read 1, written 0
// Committees::Members: read 1, written 0
// Compute::Workers: read 1, written 1
// Models::Generations: read 1, written 0
// Models::Lines: read 1, written 0
// Models::Models: read 1, written 0
// Nfts::Item: read 1, written 0
// Parameters::Parameters: read 4, written 0
// Periods::Periods: read 1, written 0
// Rewards::Escrowed: read 1, written 1
// Rewards::Owed: read 1, written 0
// System::Account: read 66, written 66
// System::BlockHash: read 1, written 0
// At least 699 µs.
fn submit_batch(db: RuntimeDbWeight, c: u32) -> Weight {
    Weight::from_parts(199_021_980, 43755)
        // ± 4_574_585
        .saturating_add(Weight::from_parts(210_197_692, 0).saturating_mul(c.into()))
        .saturating_add(db.reads(21))
        .saturating_add(db.reads(3_u64.saturating_mul(c.into())))
        .saturating_add(db.writes(7))
        .saturating_add(db.writes(3_u64.saturating_mul(c.into())))
        .saturating_add(Weight::from_parts(0, 8219).saturating_mul(c.into()))
}

// Attribution::Audits: read 1, written 0
// Attribution::Batches: read 1, written 1
// Attribution::OpenCases: read 1, written 0
// Attribution::OpenRequests: read 1, written 0
// Attribution::Samples: read 1, written 0
// Compute::Workers: read 1, written 1
// Models::Generations: read 2, written 0
// Models::Lines: read 1, written 0
// Nfts::Item: read 49, written 0
// OpenStaking::Due: read 1, written 0
// OpenStaking::Held: read 1, written 1
// OpenStaking::Pools: read 2, written 2
// Periods::Periods: read 1, written 0
// Rewards::Credits: read 34, written 34
// Rewards::Escrowed: read 1, written 1
// Rewards::Owed: read 1, written 1
// System::Account: read 3, written 3
// At least 1802 µs.
fn settle(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(1_942_101_000, 287518)
        .saturating_add(db.reads(102))
        .saturating_add(db.writes(44))
}

// Attribution::Batches: read 1, written 1
// Rewards::Credits: read 256, written 256
// Rewards::Escrowed: read 1, written 1
// Rewards::Owed: read 1, written 1
// At least 100 µs.
fn credit(db: RuntimeDbWeight, n: u32) -> Weight {
    Weight::from_parts(143_177_236, 3182)
        // ± 411_174
        .saturating_add(Weight::from_parts(17_898_566, 0).saturating_mul(n.into()))
        .saturating_add(db.reads(3))
        .saturating_add(db.reads(1_u64.saturating_mul(n.into())))
        .saturating_add(db.writes(3))
        .saturating_add(db.writes(1_u64.saturating_mul(n.into())))
        .saturating_add(Weight::from_parts(0, 2531).saturating_mul(n.into()))
}

// Attribution::Batches: read 1, written 1
// Attribution::Challenges: read 1, written 1
// Attribution::Samples: read 1, written 0
// Balances::Holds: read 1, written 1
// OpenStaking::Frozen: read 1, written 1
// Periods::Periods: read 1, written 0
// System::Account: read 1, written 1
// At least 163 µs.
fn challenge(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(205_696_000, 16408)
        .saturating_add(db.reads(7))
        .saturating_add(db.writes(5))
}

// Attribution::Audits: read 1, written 1
// Attribution::Batches: read 1, written 1
// Attribution::Challenges: read 1, written 1
// Attribution::Indexes: read 1, written 0
// Attribution::Samples: read 1, written 0
// Balances::Holds: read 2, written 2
// Channels::Channels: read 1, written 0
// Compute::Workers: read 1, written 1
// Models::Generations: read 2, written 0
// Models::Lines: read 1, written 0
// Nfts::Item: read 49, written 0
// OpenStaking::Due: read 1, written 1
// OpenStaking::Frozen: read 1, written 1
// OpenStaking::Held: read 1, written 1
// OpenStaking::Pools: read 2, written 1
// Periods::Periods: read 1, written 0
// Rewards::Credits: read 1, written 1
// Rewards::Escrowed: read 1, written 1
// Rewards::Owed: read 1, written 1
// System::Account: read 4, written 4
// System::BlockHash: read 1, written 0
// At least 1092 µs.
fn prove(db: RuntimeDbWeight, b: u32) -> Weight {
    Weight::from_parts(455_800_487, 220958)
        // ± 1_327
        .saturating_add(Weight::from_parts(36_484, 0).saturating_mul(b.into()))
        .saturating_add(db.reads(75))
        .saturating_add(db.writes(17))
}

// Attribution::Batches: read 1, written 1
// Attribution::Challenges: read 1, written 1
// Balances::Holds: read 1, written 1
// OpenStaking::Frozen: read 1, written 1
// System::Account: read 2, written 2
// At least 153 µs.
fn lapse(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(245_972_000, 16455)
        .saturating_add(db.reads(6))
        .saturating_add(db.writes(6))
}

// Attribution::Audits: read 0, written 1
// Attribution::Batches: read 1, written 1
// Attribution::OpenCases: read 1, written 0
// Attribution::OpenRequests: read 1, written 0
// Attribution::Samples: read 0, written 1
// Balances::Holds: read 1, written 1
// Parameters::Parameters: read 2, written 0
// Periods::Periods: read 1, written 0
// System::Account: read 1, written 1
// At least 138 µs.
fn forget(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(332_412_000, 18835)
        .saturating_add(db.reads(8))
        .saturating_add(db.writes(5))
}

// Attribution::IndexBonds: read 1, written 1
// Attribution::IndexChallenges: read 1, written 1
// Balances::Holds: read 1, written 1
// OpenStaking::Frozen: read 1, written 1
// Periods::Periods: read 1, written 0
// System::Account: read 1, written 1
// At least 267 µs.
fn challenge_index(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(314_098_000, 13326)
        .saturating_add(db.reads(6))
        .saturating_add(db.writes(5))
}

// Attribution::IndexBonds: read 1, written 1
// Attribution::IndexChallenges: read 1, written 1
// Attribution::Indexes: read 1, written 0
// Balances::Holds: read 2, written 2
// Compute::Workers: read 1, written 1
// Datanets::Versions: read 16, written 0
// Models::Bases: read 1, written 0
// Models::Drawn: read 1, written 0
// Models::Generations: read 1, written 1
// Models::Models: read 1, written 0
// Models::Voided: read 0, written 1
// OpenStaking::Due: read 1, written 1
// OpenStaking::Frozen: read 1, written 1
// OpenStaking::Held: read 1, written 1
// OpenStaking::Pools: read 1, written 1
// System::Account: read 4, written 4
// At least 659 µs.
fn prove_index(db: RuntimeDbWeight, b: u32) -> Weight {
    Weight::from_parts(1_023_492_788, 85935)
        // ± 1_744
        .saturating_add(Weight::from_parts(22_818, 0).saturating_mul(b.into()))
        .saturating_add(db.reads(34))
        .saturating_add(db.writes(15))
}

// Attribution::IndexBonds: read 1, written 1
// Attribution::IndexChallenges: read 1, written 1
// Balances::Holds: read 1, written 1
// OpenStaking::Frozen: read 1, written 1
// System::Account: read 2, written 2
// At least 233 µs.
fn lapse_index(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(267_852_000, 15901)
        .saturating_add(db.reads(6))
        .saturating_add(db.writes(6))
}

// Attribution::IndexBonds: read 1, written 1
// Attribution::Indexes: read 1, written 0
// Attribution::OpenCases: read 1, written 0
// Attribution::OpenRequests: read 1, written 0
// Compute::Workers: read 1, written 1
// Models::Models: read 1, written 0
// Models::Newest: read 1, written 0
// Periods::Periods: read 1, written 0
// At least 115 µs.
fn review_index(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(132_088_000, 18870)
        .saturating_add(db.reads(8))
        .saturating_add(db.writes(2))
}

// Attribution::Batches: read 1, written 1
// Attribution::OpenRequests: read 1, written 1
// Attribution::Requests: read 1, written 1
// Attribution::Samples: read 1, written 0
// Balances::Holds: read 1, written 1
// Periods::Periods: read 1, written 0
// System::Account: read 1, written 1
// At least 280 µs.
fn request_reveal(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(315_431_000, 16416)
        .saturating_add(db.reads(7))
        .saturating_add(db.writes(5))
}

// Attribution::IndexBonds: read 1, written 0
// Attribution::Indexes: read 1, written 0
// Attribution::OpenRequests: read 1, written 1
// Attribution::Requests: read 1, written 1
// Balances::Holds: read 1, written 1
// System::Account: read 2, written 2
// At least 244 µs.
fn reveal(db: RuntimeDbWeight, b: u32) -> Weight {
    Weight::from_parts(268_648_902, 19051)
        // ± 372
        .saturating_add(Weight::from_parts(14_280, 0).saturating_mul(b.into()))
        .saturating_add(db.reads(7))
        .saturating_add(db.writes(5))
}

// Attribution::Audits: read 1, written 1
// Attribution::Batches: read 1, written 1
// Attribution::OpenRequests: read 1, written 1
// Attribution::Requests: read 1, written 1
// Attribution::Samples: read 1, written 0
// Balances::Holds: read 2, written 2
// Compute::Workers: read 1, written 1
// Models::Generations: read 2, written 0
// Models::Lines: read 1, written 0
// Nfts::Item: read 49, written 0
// OpenStaking::Due: read 1, written 1
// OpenStaking::Held: read 1, written 1
// OpenStaking::Pools: read 2, written 2
// Periods::Periods: read 1, written 0
// Rewards::Credits: read 50, written 50
// Rewards::Escrowed: read 1, written 1
// Rewards::Owed: read 1, written 1
// System::Account: read 5, written 5
// At least 2727 µs.
fn end_request(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(2_883_315_000, 339279)
        .saturating_add(db.reads(122))
        .saturating_add(db.writes(68))
}

// Attribution::Batches: read 1, written 0
// Attribution::Samples: read 1, written 1
// Draws::Drawn: read 1, written 0
// Periods::Periods: read 1, written 0
// At least 83 µs.
fn draw(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(97_753_000, 8229)
        .saturating_add(db.reads(4))
        .saturating_add(db.writes(1))
}

// Attribution::Batches: read 1, written 1
// Attribution::Indexes: read 1, written 0
// Attribution::Samples: read 1, written 1
// Periods::Periods: read 1, written 0
// At least 113 µs.
fn answer_draws(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(127_168_000, 8872)
        .saturating_add(db.reads(4))
        .saturating_add(db.writes(2))
}

// Attribution::Batches: read 1, written 1
// Attribution::Samples: read 1, written 1
// Periods::Periods: read 1, written 0
// At least 90 µs.
fn forfeit_draws(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(99_396_000, 5706)
        .saturating_add(db.reads(3))
        .saturating_add(db.writes(2))
}

// Attribution::Asked: read 1, written 1
// Attribution::Batches: read 1, written 1
// Attribution::Challenges: read 1, written 1
// Attribution::Indexes: read 1, written 0
// Attribution::OpenCases: read 1, written 1
// Attribution::Questions: read 0, written 1
// Attribution::Samples: read 1, written 0
// Babe::EpochIndex: read 1, written 0
// Balances::Holds: read 1, written 1
// Channels::Channels: read 1, written 0
// Committees::Cases: read 0, written 1
// Committees::Claims: read 0, written 1
// Committees::NextCase: read 1, written 1
// OpenStaking::Frozen: read 1, written 1
// Parameters::Parameters: read 6, written 0
// Periods::Periods: read 1, written 0
// System::Account: read 1, written 1
// System::BlockHash: read 1, written 0
// At least 675 µs.
fn ask(db: RuntimeDbWeight, b: u32) -> Weight {
    Weight::from_parts(621_144_648, 44851)
        // ± 1_518
        .saturating_add(Weight::from_parts(12_464, 0).saturating_mul(b.into()))
        .saturating_add(db.reads(20))
        .saturating_add(db.writes(11))
}

// Attribution::Asked: read 1, written 1
// Attribution::IndexBonds: read 1, written 1
// Attribution::IndexChallenges: read 1, written 1
// Attribution::Indexes: read 1, written 0
// Attribution::OpenCases: read 1, written 1
// Attribution::Questions: read 0, written 1
// Babe::EpochIndex: read 1, written 0
// Balances::Holds: read 1, written 1
// Committees::Cases: read 0, written 1
// Committees::Claims: read 0, written 1
// Committees::NextCase: read 1, written 1
// OpenStaking::Frozen: read 1, written 1
// Parameters::Parameters: read 5, written 0
// Periods::Periods: read 1, written 0
// System::Account: read 1, written 1
// At least 308 µs.
fn ask_index(db: RuntimeDbWeight, b: u32) -> Weight {
    Weight::from_parts(559_509_739, 34115)
        // ± 1_151
        .saturating_add(Weight::from_parts(14_845, 0).saturating_mul(b.into()))
        .saturating_add(db.reads(16))
        .saturating_add(db.writes(11))
}

// Attribution::Audits: read 1, written 1
// Draws::Drawn: read 1, written 0
// Periods::Periods: read 1, written 0
// At least 43 µs.
fn draw_audit(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(47_139_000, 5079)
        .saturating_add(db.reads(3))
        .saturating_add(db.writes(1))
}

// Attribution::Asked: read 1, written 1
// Attribution::Audits: read 1, written 1
// Attribution::Batches: read 1, written 0
// Attribution::Indexes: read 1, written 0
// Attribution::OpenCases: read 1, written 1
// Attribution::Questions: read 0, written 1
// Attribution::Samples: read 1, written 0
// Channels::Channels: read 1, written 0
// Committees::Cases: read 0, written 1
// Committees::Claims: read 0, written 1
// Committees::NextCase: read 1, written 1
// OpenStaking::Frozen: read 1, written 1
// Parameters::Parameters: read 5, written 0
// Periods::Periods: read 1, written 0
// System::BlockHash: read 1, written 0
// At least 216 µs.
fn show_audit(db: RuntimeDbWeight, b: u32) -> Weight {
    Weight::from_parts(197_372_051, 38026)
        // ± 646
        .saturating_add(Weight::from_parts(24_667, 0).saturating_mul(b.into()))
        .saturating_add(db.reads(17))
        .saturating_add(db.writes(8))
}

// Attribution::Audits: read 1, written 1
// Attribution::Batches: read 1, written 1
// Balances::Holds: read 1, written 1
// Compute::Workers: read 1, written 1
// Models::Generations: read 2, written 0
// Models::Lines: read 1, written 0
// Nfts::Item: read 49, written 0
// OpenStaking::Due: read 1, written 1
// OpenStaking::Held: read 1, written 1
// OpenStaking::Pools: read 2, written 2
// Periods::Periods: read 1, written 0
// Rewards::Credits: read 50, written 50
// Rewards::Escrowed: read 1, written 1
// Rewards::Owed: read 1, written 1
// System::Account: read 4, written 4
// At least 2331 µs.
fn end_audit(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(2_737_301_000, 326041)
        .saturating_add(db.reads(117))
        .saturating_add(db.writes(64))
}

// Attribution::Asked: read 0, written 1
// Attribution::Audits: read 1, written 1
// Attribution::Batches: read 1, written 1
// Attribution::OpenCases: read 1, written 1
// Attribution::Questions: read 1, written 1
// Balances::Holds: read 2, written 2
// Compute::Workers: read 1, written 1
// Models::Generations: read 2, written 0
// Models::Lines: read 1, written 0
// Nfts::Item: read 49, written 0
// OpenStaking::Due: read 1, written 1
// OpenStaking::Frozen: read 1, written 1
// OpenStaking::Held: read 1, written 1
// OpenStaking::Pools: read 2, written 1
// Rewards::Credits: read 1, written 1
// Rewards::Escrowed: read 1, written 1
// Rewards::Owed: read 1, written 1
// System::Account: read 4, written 4
// At least 1149 µs.
fn ended(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(1_373_935_000, 212674)
        .saturating_add(db.reads(71))
        .saturating_add(db.writes(19))
}

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn submit_batch(c: u32) -> Weight {
        submit_batch(T::DbWeight::get(), c)
    }
    fn settle() -> Weight {
        settle(T::DbWeight::get())
    }
    fn credit(n: u32) -> Weight {
        credit(T::DbWeight::get(), n)
    }
    fn challenge() -> Weight {
        challenge(T::DbWeight::get())
    }
    fn prove(b: u32) -> Weight {
        prove(T::DbWeight::get(), b)
    }
    fn lapse() -> Weight {
        lapse(T::DbWeight::get())
    }
    fn forget() -> Weight {
        forget(T::DbWeight::get())
    }
    fn challenge_index() -> Weight {
        challenge_index(T::DbWeight::get())
    }
    fn prove_index(b: u32) -> Weight {
        prove_index(T::DbWeight::get(), b)
    }
    fn lapse_index() -> Weight {
        lapse_index(T::DbWeight::get())
    }
    fn review_index() -> Weight {
        review_index(T::DbWeight::get())
    }
    fn request_reveal() -> Weight {
        request_reveal(T::DbWeight::get())
    }
    fn reveal(b: u32) -> Weight {
        reveal(T::DbWeight::get(), b)
    }
    fn end_request() -> Weight {
        end_request(T::DbWeight::get())
    }
    fn draw() -> Weight {
        draw(T::DbWeight::get())
    }
    fn answer_draws() -> Weight {
        answer_draws(T::DbWeight::get())
    }
    fn forfeit_draws() -> Weight {
        forfeit_draws(T::DbWeight::get())
    }
    fn ask(b: u32) -> Weight {
        ask(T::DbWeight::get(), b)
    }
    fn ask_index(b: u32) -> Weight {
        ask_index(T::DbWeight::get(), b)
    }
    fn draw_audit() -> Weight {
        draw_audit(T::DbWeight::get())
    }
    fn show_audit(b: u32) -> Weight {
        show_audit(T::DbWeight::get(), b)
    }
    fn end_audit() -> Weight {
        end_audit(T::DbWeight::get())
    }
    fn ended() -> Weight {
        ended(T::DbWeight::get())
    }
}

impl WeightInfo for () {
    fn submit_batch(c: u32) -> Weight {
        submit_batch(RocksDbWeight::get(), c)
    }
    fn settle() -> Weight {
        settle(RocksDbWeight::get())
    }
    fn credit(n: u32) -> Weight {
        credit(RocksDbWeight::get(), n)
    }
    fn challenge() -> Weight {
        challenge(RocksDbWeight::get())
    }
    fn prove(b: u32) -> Weight {
        prove(RocksDbWeight::get(), b)
    }
    fn lapse() -> Weight {
        lapse(RocksDbWeight::get())
    }
    fn forget() -> Weight {
        forget(RocksDbWeight::get())
    }
    fn challenge_index() -> Weight {
        challenge_index(RocksDbWeight::get())
    }
    fn prove_index(b: u32) -> Weight {
        prove_index(RocksDbWeight::get(), b)
    }
    fn lapse_index() -> Weight {
        lapse_index(RocksDbWeight::get())
    }
    fn review_index() -> Weight {
        review_index(RocksDbWeight::get())
    }
    fn request_reveal() -> Weight {
        request_reveal(RocksDbWeight::get())
    }
    fn reveal(b: u32) -> Weight {
        reveal(RocksDbWeight::get(), b)
    }
    fn end_request() -> Weight {
        end_request(RocksDbWeight::get())
    }
    fn draw() -> Weight {
        draw(RocksDbWeight::get())
    }
    fn answer_draws() -> Weight {
        answer_draws(RocksDbWeight::get())
    }
    fn forfeit_draws() -> Weight {
        forfeit_draws(RocksDbWeight::get())
    }
    fn ask(b: u32) -> Weight {
        ask(RocksDbWeight::get(), b)
    }
    fn ask_index(b: u32) -> Weight {
        ask_index(RocksDbWeight::get(), b)
    }
    fn draw_audit() -> Weight {
        draw_audit(RocksDbWeight::get())
    }
    fn show_audit(b: u32) -> Weight {
        show_audit(RocksDbWeight::get(), b)
    }
    fn end_audit() -> Weight {
        end_audit(RocksDbWeight::get())
    }
    fn ended() -> Weight {
        ended(RocksDbWeight::get())
    }
}

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
    /// A challenge of an index made.
    fn challenge_index() -> Weight;
    /// `b` bytes of evidence judged, and an index void that it proves wrong.
    fn prove_index(b: u32) -> Weight;
    /// A challenge of an index ended.
    fn lapse_index() -> Weight;
    /// An index looked at.
    fn review_index() -> Weight;
    /// A request made.
    fn request_reveal() -> Weight;
    /// `b` bytes shown.
    fn reveal(b: u32) -> Weight;
    /// A request ended, and a batch paid that is condemned.
    fn end_request() -> Weight;
    /// A draw fixed.
    fn draw() -> Weight;
    /// Draws answered.
    fn answer_draws() -> Weight;
    /// Draws forfeited.
    fn forfeit_draws() -> Weight;
    /// `b` bytes of a question about a batch opened, without the case.
    fn ask(b: u32) -> Weight;
    /// `b` bytes of a question about an index opened, without the case.
    fn ask_index(b: u32) -> Weight;
    /// An audit drawn.
    fn draw_audit() -> Weight;
    /// `b` bytes of an audit opened, without the case.
    fn show_audit(b: u32) -> Weight;
    /// An audit ended and a batch paid that is condemned.
    fn end_audit() -> Weight;
    /// A verdict's consequences: a batch paid that is condemned.
    fn ended() -> Weight;
}

/// [`WeightInfo`] in terms of the database's costs.
pub struct SubstrateWeight<T>(PhantomData<T>);

// Members and their number for the audit, the index again; the index and what stands behind it, the generation and the model, the worker's bond, its account and holds, the next number,
// the epoch and what is drawn; for each channel what a
// charge costs: a signature of some 60 µs, the channel, two accounts, holds and the escrow.
fn submit_batch(db: RuntimeDbWeight, c: u32) -> Weight {
    Weight::from_parts(120_000_000, 20_000)
        .saturating_add(db.reads_writes(18, 8))
        .saturating_add(
            Weight::from_parts(140_000_000, 12_000)
                .saturating_add(db.reads_writes(7, 5))
                .saturating_mul(c.into()),
        )
}

// The batch, requests, what was drawn, the generation and the model; up to 16 Datanets' owners with a credit each; owner,
// worker and its bond, treasury, two sums. Two pools, their sums, freeze and account; the line, 15 owners and the root's with a
// credit each, the root's generation and its 16 Datanets' owners with a credit each.
fn settle(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(600_000_000, 130_000).saturating_add(db.reads_writes(138, 75))
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
    Weight::from_parts(60_000_000, 10_000).saturating_add(db.reads_writes(6, 5))
}

// Each byte is decoded and hashed at most three times, some 15 ns each in wasm; then as a settlement and a slash.
fn prove(db: RuntimeDbWeight, b: u32) -> Weight {
    Weight::from_parts(700_000_000, 150_000)
        .saturating_add(Weight::from_parts(60_000, 0).saturating_mul(b.into()))
        .saturating_add(db.reads_writes(150, 90))
}

fn lapse(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(60_000_000, 10_000).saturating_add(db.reads_writes(6, 6))
}

fn forget(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(50_000_000, 10_000).saturating_add(db.reads_writes(4, 4))
}

fn challenge_index(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(60_000_000, 10_000).saturating_add(db.reads_writes(6, 5))
}

// Each byte is decoded and hashed at most three times. Reads: what stands behind the index, challenge, index; of the order the
// generation, model, base, draw and 16 versions; a contribution. Reads and writes: bond of the builder, three accounts and
// their holds, generation; the pool behind the builder, what is held, its freeze.
fn prove_index(db: RuntimeDbWeight, b: u32) -> Weight {
    Weight::from_parts(400_000_000, 80_000)
        .saturating_add(Weight::from_parts(60_000, 0).saturating_mul(b.into()))
        .saturating_add(db.reads_writes(40, 17))
}

fn lapse_index(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(60_000_000, 10_000).saturating_add(db.reads_writes(6, 6))
}

// What stands behind it, the index, newest generation and model, requests, the builder's bond.
fn review_index(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(60_000_000, 14_000).saturating_add(db.reads_writes(9, 3))
}

// The batch or the index and what stands behind it, what is drawn, request and count, account and holds.
fn request_reveal(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(70_000_000, 12_000).saturating_add(db.reads_writes(8, 5))
}

// Each byte is decoded and hashed at most three times; then as a request that moves its price.
fn reveal(db: RuntimeDbWeight, b: u32) -> Weight {
    Weight::from_parts(250_000_000, 20_000)
        .saturating_add(Weight::from_parts(60_000, 0).saturating_mul(b.into()))
        .saturating_add(db.reads_writes(9, 6))
}

// As evidence that condemns a batch, beside the request.
fn end_request(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(750_000_000, 150_000).saturating_add(db.reads_writes(154, 94))
}

// The batch, what is drawn for it, epoch and draw.
fn draw(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(40_000_000, 8_000).saturating_add(db.reads_writes(4, 1))
}

fn answer_draws(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(70_000_000, 8_000).saturating_add(db.reads_writes(9, 3))
}

fn forfeit_draws(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(50_000_000, 8_000).saturating_add(db.reads_writes(2, 2))
}

// The batch, what was drawn, challenge, index, what it is before and how often, whose channel; account and holds; the freeze of
// the pool behind the worker.
fn ask(db: RuntimeDbWeight, b: u32) -> Weight {
    Weight::from_parts(400_000_000, 40_000)
        .saturating_add(Weight::from_parts(60_000, 0).saturating_mul(b.into()))
        .saturating_add(db.reads_writes(13, 9))
}

fn ask_index(db: RuntimeDbWeight, b: u32) -> Weight {
    Weight::from_parts(400_000_000, 40_000)
        .saturating_add(Weight::from_parts(60_000, 0).saturating_mul(b.into()))
        .saturating_add(db.reads_writes(11, 9))
}

fn draw_audit(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(40_000_000, 8_000).saturating_add(db.reads_writes(3, 1))
}

fn show_audit(db: RuntimeDbWeight, b: u32) -> Weight {
    Weight::from_parts(400_000_000, 40_000)
        .saturating_add(Weight::from_parts(60_000, 0).saturating_mul(b.into()))
        .saturating_add(db.reads_writes(13, 6))
}

// As evidence that condemns a batch.
fn end_audit(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(700_000_000, 150_000).saturating_add(db.reads_writes(150, 90))
}

fn ended(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(700_000_000, 150_000).saturating_add(db.reads_writes(157, 95))
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
    challenge_index();
    prove_index(b);
    lapse_index();
    review_index();
    request_reveal();
    reveal(b);
    end_request();
    draw();
    answer_draws();
    forfeit_draws();
    ask(b);
    ask_index(b);
    draw_audit();
    show_audit(b);
    end_audit();
    ended();
}

//! Proof of Attribution, from a quantised gradient to a payout, in integers.
//!
//! Which records shaped a paid answer, by how much, and who gets what: every number here is one that any
//! honest party recomputes to the same bit, in a runtime, a worker, a command line or a browser. And every
//! claim about them is committed so that a wrong one can be proved wrong with one small transaction.
//!
//! ```
//! use openledger_attribution::{
//!     attribution::Attribution,
//!     fee::Mix,
//!     index::{IndexLeaf, IndexRules},
//!     list::ListBuilder,
//!     record::RecordId,
//!     sketch::{Kind, Layout, Module, Rule, Sketch, SketchLeaf},
//!     tree::Tree,
//! };
//!
//! // One module of 2 × 4 lanes; up to three rows in a list, each two standard deviations above noise.
//! let layout = Layout { names: [0; 32], modules: vec![Module { kind: Kind::LoraA, rows: 2, columns: 4 }] };
//! let rules = IndexRules { projection: 4, top: 3, rho: 0, z: 200, floor: -8 };
//! let rule = Rule::new(&layout, &rules)?;
//!
//! // Alice's record pulls where the answer goes, Bob's half as hard, Carol's the other way.
//! let row = |contribution, account: u8, exponent: i8, lanes: [i8; 8]| IndexLeaf {
//!     source: 0,
//!     record: RecordId { contribution, index: 0 },
//!     unit: 0,
//!     contributor: [account; 32],
//!     sketch: Sketch { exponents: vec![exponent], lanes: lanes.to_vec() },
//! };
//! let rows = [
//!     row(1, 0xA1, -3, [100, -90, 80, -70, 60, -50, 40, -30]),
//!     row(2, 0xB0, -4, [100, -90, 80, -70, 60, -50, 40, -30]),
//!     row(3, 0xCA, -3, [-100, 90, -80, 70, -60, 50, -40, 30]),
//! ];
//! let index = Tree::new(&rows)?;
//!
//! // The answer's sketch scores every row; what stands out is listed, best first.
//! let query = Sketch { exponents: vec![-2], lanes: vec![110, -80, 70, -70, 60, -60, 30, -30] };
//! let mut list = ListBuilder::new(&rule, query.view());
//! for (position, row) in (0..).zip(&rows) {
//!     list.push(position, row);
//! }
//! let blocks: Vec<SketchLeaf> = query.leaves(&rule).unwrap();
//! let attribution = Attribution {
//!     query: Tree::new(&blocks)?.root().hash::<SketchLeaf>(),
//!     list: list.finish(),
//!     spans: vec![],
//!     retrieved: vec![],
//! };
//! assert_eq!(attribution.list_shares().unwrap(), [666_666_667, 333_333_333]);
//!
//! // 1,000 planck for the contributors; the last planck goes to the largest remainder.
//! let mix = Mix { influence: 1_000_000_000, verbatim: 0, retrieval: 0 };
//! assert_eq!(attribution.amounts(&mix, 1_000).unwrap(), [([0xA1; 32], 667), ([0xB0; 32], 333)]);
//!
//! // Anyone can check that the index commits to Bob's row in this place, and to nothing else there.
//! let opening = index.open(1, &rows[1]).unwrap();
//! assert!(opening.verify(&index.root()).is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Map
//!
//! From gradient to list: [`sketch`] has layouts, blocks and exact scores, [`list`] the eligible rows in
//! order. [`text`] cuts tokens into units and chunks, [`verbatim`] has spans, suffix arrays and the token
//! table. [`attribution`] mixes the three channels into amounts, with [`share`] dividing and [`fee`] pricing
//! and splitting.
//!
//! What is committed: [`tree`] is the one shape of all commitments, [`wire`] the canonical bytes,
//! [`mod@hash`] the prefixes. [`record`] has records, versions and the corpus, [`index`] the rows and header
//! of an index, [`bases`] what it is rotated into. [`voucher`] is what a consumer signs, [`receipt`] what a
//! worker answers, [`batch`] how receipts become money.
//!
//! What is judged: [`verdict`] has a function for every lie that integers can prove, [`committee`] the
//! comparisons for those that only recomputing can.
//!
//! # Promises
//!
//! No floating point, no `unsafe`, no panic: arithmetic is checked or bounded, and lints deny the rest. No
//! result depends on order, on how work is split, or on the machine. An honest object is never found guilty,
//! whatever the evidence.
//!
//! # Features
//!
//! `scale` gives every type its SCALE form, for pallets; `std` only passes itself on to the crates behind that.

#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::panic,
        clippy::unreachable,
        clippy::float_arithmetic
    )
)]

extern crate alloc;

pub mod attribution;
pub mod bases;
pub mod batch;
pub mod committee;
pub mod fee;
pub mod hash;
pub mod index;
pub mod list;
pub mod receipt;
pub mod record;
pub mod share;
pub mod sketch;
pub mod text;
pub mod tree;
pub mod verbatim;
pub mod verdict;
pub mod voucher;
pub mod wide;
pub mod wire;

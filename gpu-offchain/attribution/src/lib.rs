//! Influence: which rows of an index shaped an answer, from factors to evidence.
//!
//! A trainer or server gives per-token factors; [`Sketcher`] makes gradients of them, [`IndexBuilder`] an
//! index on disk, [`Index`] scores answers against it. Everything behind the quantiser is integers and
//! follows `openledger_attribution`; everything before it is f64 sums in one order, so that the bits depend
//! on no thread and no vector width.
//!
//! ```
//! use openledger_attribution::{hash::NONE, index::index_seed, record::{RecordId, VersionLeaf}, verbatim::Verbatim};
//! use openledger_influence::{
//!     cpu_backend, default_rules, IndexBuilder, IndexPlan, ModuleSpec, Sketcher, Source, SourceRecord, Weights,
//! };
//!
//! // One plain layer of 4 inputs and 3 outputs, and two records of one unit each.
//! let module = ModuleSpec { name: "layer".into(), d_in: 4, d_out: 3, weights: Weights::Linear };
//! let seed = index_seed(&[1; 32], &[2; 32]);
//! let mut rules = default_rules();
//! rules.z = 50;
//! let sketcher = Sketcher::new(vec![module], rules.projection, &seed)?;
//! let record = |contribution, account: u8| {
//!     let record = RecordId { contribution, index: 0 };
//!     let leaf = VersionLeaf { record, contributor: [account; 32], content: [account; 32], representative: record };
//!     SourceRecord { leaf, tokens: 5 }
//! };
//! let plan = IndexPlan {
//!     builder: [9; 32], model: 1, generation: 0, base: [3; 32], adapter: [1; 32], tokenizer: [4; 32],
//!     seed, rules, verbatim: Verbatim::NONE, retrieval: NONE,
//!     sources: vec![Source { datanet: 1, version: 0, records: vec![record(1, 0xA1), record(2, 0xB0)] }],
//! };
//!
//! // The model says what each record's tokens put into the layer and what came back.
//! let inputs = [[1.0, 0.0, 0.5, 0.0], [0.0, 1.0, 0.0, -0.5]];
//! let dir = tempfile::tempdir()?;
//! let mut builder = IndexBuilder::open(dir.path(), &plan, &sketcher)?;
//! builder.run(|unit, gradient| gradient.add(0, &inputs[unit.row as usize], &[0.2, -0.1, -0.1]))?;
//! let index = builder.finish(2)?;
//! index.verify(2)?;
//!
//! // An answer that moves the layer as the first record did.
//! let mut answer = sketcher.start();
//! answer.add(0, &[1.0, 0.1, 0.5, 0.0], &[0.3, -0.2, -0.1])?;
//! let query = index.query(&answer.finish())?;
//! let list = index.list(&query, cpu_backend(), 2)?;
//! assert_eq!(list[0].contributor, [0xA1; 32]);
//! assert!(index.open_row(list[0].row)?.verify(&index.header().rows).is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(missing_docs, unsafe_op_in_unsafe_fn)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod bases;
mod eigen;
mod error;
mod evidence;
mod examples;
mod factors;
mod gradient;
mod index;
mod judge;
mod module;
mod quantise;
mod query;
mod score;
mod threads;
pub mod valuation;

pub use bases::{Bases, RecomputedBases};
pub use error::{Error, Result};
pub use evidence::{audit, left_out, named_row, query_block, wrong_score};
pub use examples::{influence, suggested_rho, Options, Scores};
pub use factors::FactorsFile;
pub use gradient::{Gradient, GradientBuilder, Sketcher};
pub use index::{default_rules, Index, IndexBuilder, IndexPlan, RunError, Source, SourceRecord, Unit};
pub use judge::BasisFlaw;
pub use module::{ModuleSpec, Weights};
pub use quantise::Recomputed;
pub use query::Query;
pub use score::{cpu_backend, Avx2, Avx512, LaneMatrix, Scalar, ScoreBackend};
pub use threads::available_threads;

//! Verbatim: whose words an answer uses, from a corpus to evidence.
//!
//! [`Builder`] makes an index of the token ids of representatives: sharded suffix arrays on disk, committed
//! to as `openledger_attribution::verbatim` says. [`Index`] is that index, mapped: it finds an answer's spans
//! and opens every leaf. [`audit`] and [`audit_index`] turn a lie into what proves it on chain.
//! [`spans_in`] does it all for files.
//!
//! ```
//! use openledger_attribution::record::{CorpusLeaf, RecordId};
//! use openledger_verbatim::{byte_flags, Builder, Plan};
//!
//! let texts = ["The tide turns at noon. Boats wait.", "Bees wait for the sun. The tide turns at dusk."];
//! let dir = tempfile::tempdir()?;
//! let plan = Plan::new(byte_flags(), [0; 32]);
//! let mut builder = Builder::open(dir.path(), &plan)?;
//! for (contribution, text) in (1..).zip(texts) {
//!     let tokens: Vec<u32> = text.bytes().map(u32::from).collect();
//!     let leaf = CorpusLeaf {
//!         source: 0,
//!         record: RecordId { contribution, index: 0 },
//!         contributor: [contribution as u8; 32],
//!         content: [0; 32],
//!         tokens: tokens.len() as u32,
//!     };
//!     builder.push(&leaf, &tokens)?;
//! }
//! let index = builder.finish(2)?;
//!
//! let answer: Vec<u32> = "I think the tide turns at noon.".bytes().map(u32::from).collect();
//! let spans = index.spans(&answer)?;
//! // An answer of 31 tokens keeps two pieces at most: here " the" and " tide turns at noon.", which is in the
//! // first record alone.
//! assert_eq!((spans[1].start, spans[1].end), (11, 31));
//! assert_eq!(spans[1].records.len(), 1);
//! assert_eq!(spans[1].records[0].contributor, [1; 32]);
//! assert_eq!(index.count(&answer[11..24])?, 2);
//! assert!(index.open_record(0)?.verify(&index.corpus()).is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # On disk
//!
//! A folder with `tokens.bin` (the ids that occur, numbered in order, one, two or four bytes each),
//! `records.bin` (the corpus's leaves), per shard `suffixes-N.bin` (positions behind the shard's start, u32),
//! `keys-N.bin` (the first eight bytes of every 64th suffix) and `least-N.bin` (the least position of every
//! 64), and `verbatim.bin` (header, table, roots, one node per 1,024 leaves of each tree), written last. All
//! are written under another name, made durable and renamed.

#![deny(missing_docs, unsafe_op_in_unsafe_fn)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod blocks;
mod build;
mod check;
mod codes;
mod error;
mod evidence;
mod files;
mod flags;
mod head;
mod index;
mod keccak;
mod report;
mod search;
mod sort;
mod spans;
#[cfg(test)]
mod tests;
mod threads;

pub use build::{Builder, Plan, MAX_SHARD};
pub use check::{audit_index, suffix_gap, suffix_pair};
pub use error::{Error, Result};
pub use evidence::{
    audit, named_record, span_bounds, span_information, span_mismatch, span_occurrence, span_record_missing,
    Given,
};
pub use files::is_index_file;
pub use flags::{byte_flags, token_flags};
pub use index::Index;
pub use report::{spans_in, Bytes, Encode, FileRecord, FoundSpan, Options, Report};
pub use spans::Piece;
pub use threads::available_threads;

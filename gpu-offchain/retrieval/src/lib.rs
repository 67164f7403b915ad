//! Retrieval: which records' words to show in a prompt, ranked so that anybody recomputes the ranks.
//!
//! A small exact retriever: records are cut into chunks of equally many terms, chunks are scored by BM25 in
//! integers ([`score`]), ties go to the earlier chunk. Nothing is approximate and nothing is floating point,
//! so the same records and query give the same list on every machine. The [`Header`] commits to the index;
//! its hash is the `retrieval` of an index header.
//!
//! ```
//! use openledger_attribution::{attribution::Attribution, record::{CorpusLeaf, RecordId}};
//! use openledger_retrieval::{retrieved, Builder, Rules};
//!
//! let texts = ["The keeper reads the tide gauge at noon.", "Bees find home by the sun.", "A gauge for rain."];
//! let mut builder = Builder::new(Rules::default())?;
//! for text in texts {
//!     builder.push(text)?;
//! }
//! let index = builder.finish()?;
//!
//! // The tide gauge's record comes first, the other gauge second, the bees share only "the".
//! let shown = index.search("Who reads the tide gauge?", 8)?;
//! assert_eq!(shown.iter().map(|hit| hit.leaf.entry).collect::<Vec<_>>(), [0, 2, 1]);
//! let leaf = |entry| Ok::<_, ()>(CorpusLeaf {
//!     source: 0,
//!     record: RecordId { contribution: entry, index: 0 },
//!     contributor: [entry as u8; 32],
//!     content: [0; 32],
//!     tokens: 9,
//! });
//! let attribution = Attribution {
//!     query: [0; 32],
//!     list: vec![],
//!     spans: vec![],
//!     retrieved: retrieved(&shown[..2], leaf).unwrap(),
//! };
//! assert_eq!(attribution.retrieved_shares().unwrap(), [666_666_667, 333_333_333]);
//! index.verify(texts)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::float_arithmetic
    )
)]

mod error;
mod index;
mod leaf;
pub mod score;
mod terms;

pub use error::{Error, Result};
pub use index::{retrieved, Builder, Hit, Index, TermProof};
pub use leaf::{postings_hash, ChunkLeaf, Header, Posting, Rules, TermLeaf};
pub use terms::{terms, UNICODE};

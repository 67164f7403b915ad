//! Content: what contributors bring, from a file to a verified block.
//!
//! ```
//! use openledger_content::{version_leaves, Bundle, Contribution, Record, Store};
//!
//! // Two people bring texts; one of Bob's is Alice's with other spacing and one word changed.
//! let text = "The tide gauge at the old harbour was read twice a day, at noon and at dusk, by the keeper's \
//!             daughter, who wrote the numbers in a ledger that is kept in the town hall to this day.";
//! let alice = Bundle::new(vec![Record::new(text).unwrap()])?;
//! let bob = Bundle::new(vec![
//!     Record::new(&text.replace("old  harbour", "old harbour").replace("noon", "midday")).unwrap(),
//!     Record::new("Bees find their way home by the sun, and by a map of smells that they draw anew each spring.").unwrap(),
//! ])?;
//!
//! // What goes on chain is the root; what travels is one blob, known by its CID.
//! let dir = tempfile::tempdir()?;
//! let store = Store::open(dir.path())?;
//! let cid = store.put(&alice.encode())?;
//! let fetched = Bundle::decode(&store.get(&cid)?)?;
//! fetched.verify(&alice.root()?)?;
//!
//! // In a version each family of near-duplicates is represented by whoever reserved first.
//! let version = version_leaves(&[
//!     Contribution { id: 1, contributor: [0xA1; 32], reserved: 1, records: &alice.records },
//!     Contribution { id: 2, contributor: [0xB0; 32], reserved: 2, records: &bob.records },
//! ])?;
//! let represent: Vec<bool> = version.iter().map(|leaf| leaf.is_representative()).collect();
//! assert_eq!(represent, [true, false, true]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod bundle;
mod canonical;
mod cid;
mod dag;
pub mod durable;
mod error;
mod family;
mod keys;
mod marks;
mod parquet;
mod pdf;
mod proof;
pub mod protobuf;
mod read;
mod record;
pub mod sandbox;
mod seal;
mod shape;
mod store;
pub mod verbs;
mod version;

pub use bundle::{Bundle, MAX_RECORDS};
pub use canonical::{canonical, is_canonical};
pub use cid::{verify, Cid, Codec};
pub use dag::{blocks, parts, Blocks, Ingested, StoredFile, LEAF, MAX_BLOCK, WIDTH};
pub use error::{Error, Result};
pub use family::{Families, Signature, BANDS, LIKENESS, PERMUTATIONS, ROWS, SHORT};
pub use keys::{is_licensed, KeyRequest, Purpose};
pub use marks::Shared;
pub use proof::check_held;
pub use read::{read_file, read_file_with, read_folder, read_records, Format};
pub use record::{content_hash, split, Record, MAX_RECORD_BYTES};
pub use seal::{
    open_bytes, read_secret, seal_bytes, write_secret, ContentKey, Identity, Label, Recipient, SealedHead,
    SEALED_CHUNK, SEALED_HEAD,
};
pub use store::Store;
pub use version::{version_leaves, version_root, Contribution};

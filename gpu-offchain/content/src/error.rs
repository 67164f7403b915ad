//! What can go wrong, in words that say what to do.

use crate::Cid;
use std::path::{Path, PathBuf};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A stream could not be read.
    #[error("reading failed: {0}")]
    Stream(std::io::Error),
    /// A kind of file that is not read.
    #[error("{path} has an ending that is not known: bring .txt, .md, .jsonl, .csv, .parquet or .pdf")]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// Text that is not what its file's ending says.
    #[error("line {line}: {what}")]
    Input {
        /// The line, counted from 1.
        line: u64,
        /// What is wrong and what is expected.
        what: String,
    },
    /// A file that a child process could not parse.
    #[error("{0}")]
    Parse(String),
    /// The same, with the file.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<Error>,
    },
    /// A record over the limit.
    #[error(
        "a record of {bytes} bytes is over {}: cut it into parts",
        crate::MAX_RECORD_BYTES
    )]
    TooLong {
        /// Its bytes.
        bytes: usize,
    },
    /// A contribution without records.
    #[error("there is no record: bring at least one text that is not empty")]
    Empty,
    /// A contribution with too many records.
    #[error(
        "{records} records are over {}: split them over several contributions",
        crate::MAX_RECORDS
    )]
    TooMany {
        /// How many there are.
        records: usize,
    },
    /// Bytes that are not a contribution's.
    #[error("these bytes are no bundle: {0}; fetch it again")]
    Bundle(String),
    /// A bundle other than the one on chain.
    #[error("the bundle has {records} records and {bytes} bytes, which is not the contribution on chain ({expected_records} records, {expected_bytes} bytes, or another content): fetch the right one")]
    OtherContribution {
        /// Records of the bundle.
        records: u64,
        /// Bytes of its records.
        bytes: u128,
        /// Records on chain.
        expected_records: u64,
        /// Bytes on chain.
        expected_bytes: u128,
    },
    /// Text that is no CID, or one of a kind that is not used here.
    #[error("{text} is not a CID of version 1 of raw bytes or a file, with SHA-256: {what}")]
    Cid {
        /// What was given.
        text: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A block that is not in the store.
    #[error("block {0} is not in this store: fetch it from another worker")]
    Missing(Cid),
    /// A block whose bytes are not those of its CID.
    #[error("block {0} is corrupted and was refused: fetch it again")]
    Corrupt(Cid),
    /// A block that is no list of parts, or one that contradicts itself.
    #[error("block {cid} is not a file's: {what}; it was made wrongly, so get the file elsewhere")]
    Node {
        /// The block.
        cid: Cid,
        /// What is wrong with it.
        what: String,
    },
    /// A file over what is asked for.
    #[error("file {cid} has {bytes} bytes and {most} is the limit: it is not what was expected, or the limit is too low")]
    TooLarge {
        /// The file.
        cid: Cid,
        /// Its bytes.
        bytes: u64,
        /// The limit.
        most: u64,
    },
    /// A block that is on the block list.
    #[error("block {0} is on this store's block list: `content deny --undo` takes it off")]
    Denied(Cid),
    /// A list beside the blocks that is damaged.
    #[error("{path} is damaged: delete it, then publish or deny the file it names again")]
    Marks {
        /// The list.
        path: PathBuf,
    },
    /// Content that cannot be sealed or opened, or a key that cannot be used.
    #[error("{0}")]
    Sealed(String),
    /// Contributions that contradict each other.
    #[error("{0}")]
    Version(String),
    /// A tree cannot be built.
    #[error("{0}")]
    Tree(#[from] openledger_attribution::tree::BuildError),
}

impl Error {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io {
            path: path.to_path_buf(),
            source,
        }
    }

    pub(crate) fn in_file(self, path: &Path) -> Self {
        Self::File {
            path: path.to_path_buf(),
            source: Box::new(self),
        }
    }
}

/// The result of a call that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

//! What can go wrong, in words that say what to do.

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
    /// A file is not what its name says.
    #[error("{path} is damaged: {what}; restore it or build the index again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Rules that make no index.
    #[error("the rules of the retrieval index: {0}")]
    Rules(String),
    /// More than an index can hold.
    #[error("{0}: divide the corpus over several indexes")]
    TooMuch(String),
    /// An index of another Unicode version.
    #[error("the index was made with Unicode {index:?}, this program has {own:?}: use a program built with the same")]
    Unicode {
        /// The index's.
        index: [u8; 3],
        /// This program's.
        own: [u8; 3],
    },
    /// What the index commits to is not what the records give.
    #[error("the index is wrong: {0}; fetch or build it again")]
    Wrong(String),
    /// A position beyond the end.
    #[error("there is no {kind} {index}: the index has {count}")]
    NoSuch {
        /// What was asked for.
        kind: &'static str,
        /// Which.
        index: u64,
        /// How many there are.
        count: u64,
    },
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
}

/// The result of a call that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

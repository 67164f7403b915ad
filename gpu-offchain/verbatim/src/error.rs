//! What can go wrong, in words that say what to do.

use std::path::{Path, PathBuf};

/// Why a call failed. Nothing that was on disk is lost by it.
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
    /// The plan contradicts itself.
    #[error("the plan of the verbatim index: {0}")]
    Plan(String),
    /// A record that cannot be indexed.
    #[error("record {entry} of the corpus: {what}")]
    Record {
        /// Its position in the corpus.
        entry: u64,
        /// What is wrong and what is expected.
        what: String,
    },
    /// The folder holds another build.
    #[error("{0} holds the index of another corpus or plan: finish it with its own, or remove the folder")]
    OtherPlan(PathBuf),
    /// Records were pushed into a build that has them all.
    #[error("the folder already has all records of this plan: go on with finish")]
    Full,
    /// A tree cannot be built.
    #[error("{0}")]
    Tree(#[from] openledger_attribution::tree::BuildError),
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
    /// What the index commits to is not what its files hold.
    #[error("the index is wrong: {0}; fetch or build it again")]
    Wrong(String),
    /// A suffix array could not be built.
    #[error("the suffix array of shard {shard}: {what}")]
    Sort {
        /// The shard.
        shard: usize,
        /// What the library says.
        what: String,
    },
    /// An attribution or text that the evidence asked for does not fit.
    #[error("{0}")]
    Evidence(String),
    /// A corpus or query that cannot be read.
    #[error(transparent)]
    Content(#[from] openledger_content::Error),
}

impl Error {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io {
            path: path.to_path_buf(),
            source,
        }
    }

    pub(crate) fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_path_buf(),
            what: what.into(),
        }
    }
}

/// The result of a call that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

//! What can go wrong, for people.

use std::path::Path;

/// [`Result`](core::result::Result) with [`Error`].
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// What went wrong, with which value, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Of the chain.
    #[error(transparent)]
    Chain(Box<openledger_chain::Error>),
    /// Of records and blocks of content.
    #[error(transparent)]
    Content(#[from] openledger_content::Error),
    /// Of a model's files.
    #[error(transparent)]
    Model(#[from] openledger_model::Error),
    /// A worker does not answer.
    #[error("no worker answers at {url} ({reason}): start one there, or name another with --worker")]
    NoWorker {
        /// The address.
        url: String,
        /// What happened.
        reason: String,
    },
    /// A worker refused.
    #[error("the worker at {url} refused {path} ({status}): {message}")]
    Worker {
        /// The address.
        url: String,
        /// What was asked for.
        path: String,
        /// HTTP status.
        status: u16,
        /// What it said.
        message: String,
    },
    /// A worker's answer is not what it must be.
    #[error("the worker at {url} answered something else than {what}: {reason}")]
    Answer {
        /// The address.
        url: String,
        /// What was asked for.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file.
    #[error("{path}: {reason}")]
    File {
        /// Which.
        path: String,
        /// What happened, and what to do.
        reason: String,
    },
    /// There is no such thing on the chain.
    #[error("{0}")]
    Missing(String),
    /// A question to the proxy that cannot be asked as it is.
    #[error("{0}")]
    Request(String),
    /// A question that would cost more than was allowed.
    #[error("{0}")]
    Limit(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl From<openledger_chain::Error> for Error {
    fn from(error: openledger_chain::Error) -> Self {
        Self::Chain(Box::new(error))
    }
}

impl Error {
    /// Of a file.
    pub fn file(path: &Path, reason: impl ToString) -> Self {
        Self::File {
            path: path.display().to_string(),
            reason: reason.to_string(),
        }
    }

    /// In words.
    pub fn other(text: impl Into<String>) -> Self {
        Self::Other(text.into())
    }

    /// The HTTP status of a worker's refusal.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Worker { status, .. } => Some(*status),
            _ => None,
        }
    }
}

//! What can go wrong, in words for the person who runs or asks the worker.

use std::path::Path;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// An error, by whom it concerns.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request is wrong; sending it again changes nothing.
    #[error("{0}")]
    Request(String),
    /// A request does not pay for what it asks.
    #[error("{0}")]
    Payment(String),
    /// A request contradicts the state it meets: another answer runs, or the channel has moved on.
    #[error("{0}")]
    Conflict(String),
    /// There is no such thing here.
    #[error("{0}")]
    Missing(String),
    /// A request is not from the paired node.
    #[error("{0}")]
    Unauthorized(String),
    /// A request shows a secret that is not the right one.
    #[error("{0}")]
    Forbidden(String),
    /// More than the limit.
    #[error("{0}")]
    TooLarge(String),
    /// No room left for blocks.
    #[error("{0}")]
    Full(String),
    /// A path that is there and is not called so.
    #[error("{0}")]
    Method(String),
    /// Not answered in time.
    #[error("{0}")]
    Slow(String),
    /// Too many requests at once; after so many seconds there should be room.
    #[error("{0}")]
    Later(String, u64),
    /// Not ready: the chain or a file does not answer yet.
    #[error("{0}")]
    NotReady(String),
    /// A job cannot be done, and never will be: its input contradicts the chain.
    #[error("{0}")]
    Hopeless(String),
    /// The device that models are computed on is lost to this process.
    #[error("{0}")]
    Lost(String),
    /// What is configured or stored is wrong.
    #[error("{0}")]
    Setup(String),
    /// A part of the program failed.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// A failure of a part, named.
    pub fn part(what: &str, error: impl std::fmt::Display) -> Self {
        Self::Internal(format!("{what}: {error}"))
    }

    /// A file that cannot be read or written.
    pub fn file(what: &str, path: &Path, error: impl std::fmt::Display) -> Self {
        Self::Setup(format!("cannot {what} {}: {error}", path.display()))
    }
}

macro_rules! storage_errors {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Error {
            fn from(error: $kind) -> Self {
                Self::part("the worker's database", error)
            }
        }
    )*};
}

storage_errors!(
    redb::Error,
    redb::DatabaseError,
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError
);

impl From<openledger_chain::Error> for Error {
    fn from(error: openledger_chain::Error) -> Self {
        Self::NotReady(format!("chain: {error}"))
    }
}

impl From<openledger_model::Error> for Error {
    fn from(error: openledger_model::Error) -> Self {
        Self::part("model", error)
    }
}

impl From<openledger_engine::Error> for Error {
    fn from(error: openledger_engine::Error) -> Self {
        use openledger_engine::Error as Engine;
        let text = error.to_string();
        match error {
            Engine::Request(_) | Engine::Mismatch { .. } => Self::Request(text),
            Engine::UnknownAdapter(_) => Self::Missing(text),
            Engine::Queue { .. } | Engine::Busy { .. } => {
                let after = error.retry_after().map_or(1, |after| after.as_secs().max(1));
                Self::Later(text, after)
            }
            // The same works later, or once the worker has started again.
            Engine::Device(_) => Self::NotReady(text),
            _ => Self::part("engine", text),
        }
    }
}

impl From<openledger_trainer::Error> for Error {
    fn from(error: openledger_trainer::Error) -> Self {
        match error {
            openledger_trainer::Error::Engine(error) => error.into(),
            error => Self::part("trainer", error),
        }
    }
}

impl From<openledger_influence::Error> for Error {
    fn from(error: openledger_influence::Error) -> Self {
        Self::part("influence", error)
    }
}

impl From<openledger_content::Error> for Error {
    fn from(error: openledger_content::Error) -> Self {
        Self::part("content", error)
    }
}

impl From<openledger_exchange::Error> for Error {
    fn from(error: openledger_exchange::Error) -> Self {
        match error {
            openledger_exchange::Error::Content(error) => error.into(),
            openledger_exchange::Error::Setup(why) => Self::Setup(why),
            openledger_exchange::Error::NotFound { .. } => Self::NotReady(error.to_string()),
            openledger_exchange::Error::TooLarge { .. } => Self::Hopeless(error.to_string()),
            openledger_exchange::Error::Ended => Self::part("exchange", error),
        }
    }
}

impl From<openledger_verbatim::Error> for Error {
    fn from(error: openledger_verbatim::Error) -> Self {
        Self::part("verbatim", error)
    }
}

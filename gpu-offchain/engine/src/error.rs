//! What can go wrong while serving.

/// A refused request or a failed step.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No adapter of this name or hash is registered; the base never answers in its place.
    #[error("adapter {0:?} is not registered; register it first, or ask for the base by name")]
    UnknownAdapter(String),
    /// The adapter was not made for this base.
    #[error("adapter module {module}: {reason}")]
    Mismatch {
        /// The module's name.
        module: String,
        /// What does not fit.
        reason: String,
    },
    /// The request cannot be served as it is.
    #[error("request: {0}")]
    Request(String),
    /// No room for the request's keys and values now.
    #[error("the cache holds {capacity} tokens and {free} in a row are free, {wanted} are needed; try again later or ask for fewer tokens")]
    Busy {
        /// Tokens the request may grow to.
        wanted: usize,
        /// The longest free run.
        free: usize,
        /// All of them.
        capacity: usize,
    },
    /// The model lacks something.
    #[error(transparent)]
    Model(#[from] openledger_model::Error),
}

/// The result of serving.
pub type Result<T> = std::result::Result<T, Error>;

//! What can go wrong while serving.

use crate::backend::{Fault, FaultKind};

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
    /// As many requests wait as may.
    #[error("{waiting} requests wait already, {capacity} may; try again in {} s", retry_after.as_secs())]
    Queue {
        /// Those that wait.
        waiting: usize,
        /// How many may, in all or of one asker.
        capacity: usize,
        /// When there will be room, as far as can be told.
        retry_after: std::time::Duration,
    },
    /// The files of a registered adapter are not those that were registered.
    #[error("the adapter in {} is {found}, not {wanted}: put the registered files back or register it anew", folder.display())]
    Changed {
        /// The adapter's folder.
        folder: std::path::PathBuf,
        /// The hash that was registered.
        wanted: String,
        /// The hash of what is there.
        found: String,
    },
    /// The device failed; the base never answers in its place, nor does another device.
    #[error("the device failed: {0}")]
    Device(#[from] Fault),
    /// The scheduler has ended.
    #[error("serving has ended; start it again")]
    Ended,
    /// The model lacks something.
    #[error(transparent)]
    Model(#[from] openledger_model::Error),
}

impl Error {
    /// How long to wait before asking again, where waiting helps.
    pub fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Error::Queue { retry_after, .. } => Some(*retry_after),
            Error::Busy { wanted, capacity, .. } if wanted <= capacity => {
                Some(std::time::Duration::from_secs(1))
            }
            Error::Device(fault) if fault.kind == FaultKind::Memory => {
                Some(std::time::Duration::from_secs(1))
            }
            _ => None,
        }
    }
}

/// The result of serving.
pub type Result<T> = std::result::Result<T, Error>;

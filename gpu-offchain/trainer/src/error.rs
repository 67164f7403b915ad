//! What can go wrong while training.

use std::path::PathBuf;

/// A refused recipe or a run that ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The recipe cannot be followed.
    #[error("recipe: {0}")]
    Recipe(String),
    /// The data cannot be trained on.
    #[error("data: {0}")]
    Data(String),
    /// The loss is no longer a number.
    #[error("the loss became {loss} at step {step}; lower the learning rate")]
    Diverged {
        /// The step.
        step: usize,
        /// The loss there.
        loss: f64,
    },
    /// The progress callback asked to stop.
    #[error("stopped at step {step} of {of} as asked")]
    Stopped {
        /// The last step done.
        step: usize,
        /// All steps.
        of: usize,
    },
    /// A file could not be written.
    #[error("{path}: {reason}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A checkpoint cannot be continued.
    #[error("checkpoint {path}: {reason}; remove it to begin anew")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The model or adapter is wrong.
    #[error(transparent)]
    Model(#[from] openledger_model::Error),
    /// Model and adapter do not fit.
    #[error(transparent)]
    Engine(#[from] openledger_engine::Error),
}

/// The result of training.
pub type Result<T> = std::result::Result<T, Error>;

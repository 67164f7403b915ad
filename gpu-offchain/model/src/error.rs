//! What can be wrong with a model, an adapter or a tokenizer.

use std::path::{Path, PathBuf};

/// A failure while reading or writing a model, with what was read, what was found and what would do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file is not what its name promises.
    #[error("{path}: {reason}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong in it, and what would be right.
        reason: String,
    },
    /// A key of a configuration has a value this loader does not understand.
    #[error("{what}: key {key:?} is {value}; {remedy}")]
    Unsupported {
        /// The file or thing that holds the key.
        what: String,
        /// The key.
        key: String,
        /// The value found.
        value: String,
        /// What is understood.
        remedy: String,
    },
    /// A tensor is missing, left over, or has another shape or type.
    #[error("tensor {name:?}: {reason}")]
    Tensor {
        /// The tensor's name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The tokenizer refused a text or an id.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
    /// The chat template is missing or failed.
    #[error("chat template: {0}")]
    Template(String),
}

/// The result of reading or writing a model.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Error::Io {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn format(path: &Path, reason: impl std::fmt::Display) -> Self {
        Error::Format {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }

    pub(crate) fn tensor(name: &str, reason: impl Into<String>) -> Self {
        Error::Tensor {
            name: name.to_owned(),
            reason: reason.into(),
        }
    }

    pub(crate) fn unsupported(what: &str, key: &str, value: impl std::fmt::Display, remedy: &str) -> Self {
        Error::Unsupported {
            what: what.to_owned(),
            key: key.to_owned(),
            value: value.to_string(),
            remedy: remedy.to_owned(),
        }
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| Error::io(path, e))
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|e| Error::io(path, e))
}

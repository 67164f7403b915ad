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
    /// A factors file does not have the tensors it must have.
    #[error("{path}: {what}")]
    Factors {
        /// The file.
        path: PathBuf,
        /// What is wrong and what is expected.
        what: String,
    },
    /// Data of another size than the module's.
    #[error("module {module}: {what}")]
    Shape {
        /// The module's name.
        module: String,
        /// What was passed and what is expected.
        what: String,
    },
    /// A gradient has a lane that is no number.
    #[error("module {module} has a gradient that is not finite ({value}): train with a smaller step or look for a broken record")]
    NotFinite {
        /// The block's name.
        module: String,
        /// The lane.
        value: f32,
    },
    /// The layout and the rules do not go together.
    #[error("{0}")]
    Layout(openledger_attribution::sketch::LayoutFlaw),
    /// The plan contradicts itself.
    #[error("the plan of the index: {0}")]
    Plan(String),
    /// The folder holds another build.
    #[error("{0} holds the build of another index: finish it with its own plan, or remove the folder")]
    OtherPlan(PathBuf),
    /// Not all gradients were pushed.
    #[error("{done} of {rows} rows have a gradient: push the others before finishing")]
    Unfinished {
        /// Rows that have one.
        done: u64,
        /// Rows of the index.
        rows: u64,
    },
    /// More gradients than rows.
    #[error("the index has {0} rows and all have their gradient: push no more")]
    Full(u64),
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
    /// A basis that is not orthonormal enough in fixed point.
    #[error(
        "the {part} basis of block {block} is not orthonormal in fixed point: make the projection smaller"
    )]
    NotOrthonormal {
        /// Left or right.
        part: &'static str,
        /// The block's name.
        block: String,
    },
    /// What the index commits to is not what its files hold.
    #[error("the index is wrong: {0}; fetch or build it again")]
    Wrong(String),
    /// A sketch of another shape.
    #[error("the sketch has {exponents} exponents and {lanes} lanes; this index has {blocks} and {expected}: use a sketch of this index")]
    SketchShape {
        /// Exponents of the sketch.
        exponents: usize,
        /// Lanes of the sketch.
        lanes: usize,
        /// Blocks of the index.
        blocks: usize,
        /// Lanes of the index.
        expected: u32,
    },
    /// An attribution does not name this entry or sketch.
    #[error("{0}")]
    Evidence(String),
    /// A backend failed.
    #[error("the {backend} backend: {what}")]
    Backend {
        /// Its name.
        backend: &'static str,
        /// What it says.
        what: String,
    },
    /// A file that cannot be written.
    #[error(transparent)]
    Write(#[from] openledger_content::Error),
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

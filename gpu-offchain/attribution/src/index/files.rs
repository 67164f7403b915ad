//! The files of an index: a head that names kind and version, writes that are there whole or not at all.

use crate::{Error, Result};
use openledger_attribution::wire::{Field, Reader};
pub(crate) use openledger_content::durable::{sync_names, Draft};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// What every file starts with.
const MAGIC: [u8; 8] = *b"OLEDGIDX";

/// The version this code writes, and the only one it reads.
const VERSION: u32 = 1;

/// Bytes of a head: magic, kind, version.
pub(crate) const HEAD: usize = 16;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Names, layout and header; written last.
    Index,
    Sources,
    Corpus,
    Bases,
    /// Exponents of all rows.
    Exponents,
    /// Lanes of all rows.
    Lanes,
    /// Hashes of the rows' leaves.
    Leaves,
    /// Gradients of a build that is not finished.
    Spool,
}

impl Kind {
    pub(crate) fn path(self, dir: &Path) -> PathBuf {
        dir.join(match self {
            Self::Index => "index.bin",
            Self::Sources => "sources.bin",
            Self::Corpus => "corpus.bin",
            Self::Bases => "bases.bin",
            Self::Exponents => "exponents.bin",
            Self::Lanes => "lanes.bin",
            Self::Leaves => "leaves.bin",
            Self::Spool => "gradients.tmp",
        })
    }

    pub(crate) fn head(self) -> [u8; HEAD] {
        let kind = match self {
            Self::Index => *b"HEAD",
            Self::Sources => *b"SRCS",
            Self::Corpus => *b"CRPS",
            Self::Bases => *b"BASE",
            Self::Exponents => *b"EXPS",
            Self::Lanes => *b"LANE",
            Self::Leaves => *b"LEAF",
            Self::Spool => *b"GRAD",
        };
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(&MAGIC);
        head[8..12].copy_from_slice(&kind);
        head[12..].copy_from_slice(&VERSION.to_be_bytes());
        head
    }

    /// Checks a head that was read.
    pub(crate) fn check(self, path: &Path, head: &[u8]) -> Result<()> {
        let own = self.head();
        if head.get(..12) != Some(&own[..12]) {
            return Err(Error::damaged(path, "it does not start as such a file does"));
        }
        if head.get(12..HEAD) != Some(&own[12..]) {
            return Err(Error::damaged(
                path,
                "it has another format version than this program",
            ));
        }
        Ok(())
    }
}

/// Starts a file with its head.
pub(crate) fn draft(dir: &Path, kind: Kind) -> Result<Draft> {
    let mut draft = Draft::new(kind.path(dir))?;
    draft.write(&kind.head())?;
    Ok(draft)
}

/// Writes a file that holds one value.
pub(crate) fn write_value<T: Field>(dir: &Path, kind: Kind, value: &T) -> Result<()> {
    let mut bytes = Vec::new();
    value.write(&mut bytes);
    let mut draft = draft(dir, kind)?;
    draft.write(&bytes)?;
    Ok(draft.finish()?)
}

/// Reads a file that holds one value.
pub(crate) fn read_value<T: Field>(dir: &Path, kind: Kind) -> Result<T> {
    let path = kind.path(dir);
    let mut bytes = Vec::new();
    File::open(&path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(Error::io(&path))?;
    kind.check(&path, &bytes)?;
    let mut reader = Reader::new(bytes.get(HEAD..).unwrap_or_default());
    let value = T::read(&mut reader).and_then(|value| reader.finish().map(|()| value));
    value.map_err(|error| Error::damaged(&path, error.to_string()))
}

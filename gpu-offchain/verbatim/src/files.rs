//! The files of an index: a head that names kind and version, writes that are there whole or not at all.

use crate::{Error, Result};
use memmap2::Mmap;
use openledger_attribution::wire::{Field, Reader};
pub(crate) use openledger_content::durable::{sync_names, Draft};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

#[cfg(target_endian = "big")]
compile_error!("the files are little-endian and mapped as they are");

/// What every file starts with.
const MAGIC: [u8; 8] = *b"OLEDGVRB";

/// The version this code writes, and the only one it reads.
const VERSION: u32 = 1;

/// Bytes of a head: magic, kind, version. A multiple of every width that is mapped behind it.
pub(crate) const HEAD: usize = 16;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Header, table, shards, trees; written last.
    Index,
    /// What the corpus was read as: written when it is on disk.
    Read,
    /// Records, [`ROW`](crate::corpus::ROW) bytes each.
    Records,
    /// Codes of all tokens.
    Tokens,
    /// Token ids of a corpus that is still being read, u32.
    Spool,
    /// Suffix array of a shard: offsets from its start, u32.
    Suffixes(usize),
    /// First codes of every so many suffixes of a shard.
    Keys(usize),
    /// The smallest of every so many suffixes of a shard.
    Least(usize),
}

impl Kind {
    pub(crate) fn path(self, dir: &Path) -> PathBuf {
        match self {
            Self::Index => dir.join("verbatim.bin"),
            Self::Read => dir.join("read.bin"),
            Self::Records => dir.join("records.bin"),
            Self::Tokens => dir.join("tokens.bin"),
            Self::Spool => dir.join("tokens.tmp"),
            Self::Suffixes(shard) => dir.join(format!("suffixes-{shard:05}.bin")),
            Self::Keys(shard) => dir.join(format!("keys-{shard:05}.bin")),
            Self::Least(shard) => dir.join(format!("least-{shard:05}.bin")),
        }
    }

    /// Those of a finished index; of shards the first stands for all.
    const FINISHED: [Self; 6] = [
        Self::Index,
        Self::Records,
        Self::Tokens,
        Self::Suffixes(0),
        Self::Keys(0),
        Self::Least(0),
    ];

    pub(crate) fn head(self) -> [u8; HEAD] {
        let kind = match self {
            Self::Index => *b"HEAD",
            Self::Read => *b"READ",
            Self::Records => *b"RCDS",
            Self::Tokens => *b"TOKS",
            Self::Spool => *b"SPOO",
            Self::Suffixes(_) => *b"SUFS",
            Self::Keys(_) => *b"KEYS",
            Self::Least(_) => *b"LEAS",
        };
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(&MAGIC);
        head[8..12].copy_from_slice(&kind);
        head[12..].copy_from_slice(&VERSION.to_be_bytes());
        head
    }

    fn check(self, path: &Path, bytes: &[u8]) -> Result<()> {
        if bytes.get(..HEAD) == Some(self.head().as_slice()) {
            return Ok(());
        }
        Err(Error::damaged(
            path,
            "its head is not that of such a file in the version this program reads",
        ))
    }
}

/// Whether this is the name of a file of a finished index, which may lie among others in its folder.
pub fn is_index_file(name: &str) -> bool {
    let stem = |name: &str| {
        name.trim_end_matches(".bin")
            .trim_end_matches(|c: char| c.is_ascii_digit())
            .to_owned()
    };
    let is_plain = name.ends_with(".bin") && !name.contains(['/', '\\']);
    is_plain
        && Kind::FINISHED.iter().any(|kind| {
            let own = kind.path(Path::new("")).to_string_lossy().into_owned();
            let is_shard = matches!(kind, Kind::Suffixes(_) | Kind::Keys(_) | Kind::Least(_));
            own == name || is_shard && stem(&own) == stem(name)
        })
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

/// A finished file, mapped.
pub(crate) struct Mapped {
    map: Mmap,
}

impl Mapped {
    /// Maps a file of `bytes` bytes behind its head.
    pub(crate) fn open(dir: &Path, kind: Kind, bytes: u64) -> Result<Self> {
        let path = kind.path(dir);
        let file = File::open(&path).map_err(Error::io(&path))?;
        // SAFETY: finished files are never written again by this program: new ones are made under another
        // name and renamed. Who else changes them breaks the index, as with any file.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io(&path))?;
        kind.check(&path, &map)?;
        let found = (map.len() - HEAD) as u64;
        if found != bytes {
            return Err(Error::damaged(
                &path,
                format!("{found} bytes where {bytes} belong"),
            ));
        }
        Ok(Self { map })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.map.get(HEAD..).unwrap_or_default()
    }

    /// The bytes as numbers; the length was checked when it was opened, and a map starts on a page.
    pub(crate) fn cast<T: bytemuck::AnyBitPattern>(&self) -> &[T] {
        bytemuck::try_cast_slice(self.bytes()).unwrap_or_default()
    }
}

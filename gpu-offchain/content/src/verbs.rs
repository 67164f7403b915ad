//! What a person does with content, for programs to put a command line on: `add`, `get`, `ls`, `deny`. Each gives
//! back what to print, as text or as JSON.

use crate::{Cid, Error, Result, Store};
use serde::Serialize;
use std::{
    fs::{self, File},
    io::Write,
    ops::Range,
    path::Path,
};

/// What `content add` did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Added {
    /// The file's CID.
    pub cid: String,
    /// Its bytes.
    pub bytes: u64,
    /// Its blocks.
    pub blocks: u64,
    /// Whether it is shared.
    pub public: bool,
}

/// Takes a file into the store, and shares it if asked.
pub fn add(store: &Store, path: &Path, public: bool) -> Result<Added> {
    let file = File::open(path).map_err(Error::io(path))?;
    let made = store.ingest(file).map_err(|error| error.in_file(path))?;
    if public {
        store.publish(&made.cid)?;
    }
    Ok(Added {
        cid: made.cid.to_string(),
        bytes: made.bytes,
        blocks: made.blocks,
        public,
    })
}

/// What `content get` did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Got {
    /// The file's CID.
    pub cid: String,
    /// Bytes written.
    pub bytes: u64,
}

/// Writes a file that is here, or a range of it, to a path; every block is checked. A path that is there already
/// is replaced when all is written, and left alone if anything fails.
pub fn get(store: &Store, cid: &Cid, range: Option<Range<u64>>, to: &Path) -> Result<Got> {
    let mut file = store.file(cid)?;
    if let Some(range) = range {
        file = file.range(range);
    }
    let mut name = to.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.part", std::process::id()));
    let part = to.with_file_name(name);
    let written = (|| -> Result<u64> {
        let mut out = File::create(&part).map_err(Error::io(&part))?;
        let bytes = file.copy_to(&mut out)?;
        out.flush().map_err(Error::io(&part))?;
        out.sync_all().map_err(Error::io(&part))?;
        fs::rename(&part, to).map_err(Error::io(to))?;
        Ok(bytes)
    })();
    if written.is_err() {
        // The error that counts is the first.
        let _ = fs::remove_file(&part);
    }
    Ok(Got {
        cid: cid.to_string(),
        bytes: written?,
    })
}

/// A block or a shared file, as `content ls` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its CID.
    pub cid: String,
    /// Bytes of the block.
    pub bytes: u64,
    /// Whether it may be given to others.
    pub public: bool,
    /// Whether it is on the block list.
    pub denied: bool,
}

/// All blocks, and what is on the block list without being here (with 0 bytes).
pub fn ls(store: &Store) -> Result<Vec<Listed>> {
    let shared = store.shared()?;
    let blocks = store.list()?;
    let absent = store.denied()?.into_iter().filter(|cid| !store.has(cid));
    let all = blocks.into_iter().chain(absent.map(|cid| (cid, 0)));
    let listed = all.map(|(cid, bytes)| Listed {
        cid: cid.to_string(),
        bytes,
        public: shared.allows(&cid),
        denied: shared.denies(&cid),
    });
    Ok(listed.collect())
}

/// What `content deny` did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Denied {
    /// The file's or block's CID.
    pub cid: String,
    /// Whether it is on the block list now.
    pub denied: bool,
}

/// Puts a block or a file on the block list, or takes it off.
pub fn deny(store: &Store, cid: &Cid, undo: bool) -> Result<Denied> {
    if undo {
        store.undeny(cid)?;
    } else {
        store.deny(cid)?;
    }
    // Another file on the list may have it as its part.
    Ok(Denied {
        cid: cid.to_string(),
        denied: store.shared()?.denies(cid),
    })
}

//! Blocks on disk, each under its CID.
//!
//! A block is written under another name, made durable, renamed, and its folder made durable: after a kill at
//! any moment it is there whole or not at all. What a kill left behind goes when the store is next opened by
//! a program that has it alone. Every read checks the bytes against the CID.

use crate::{Cid, Codec, Error, Result};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// Bytes read or written at once.
const CHUNK: usize = 1 << 20;

/// A folder of blocks. Programs and threads may share it.
pub struct Store {
    blocks: PathBuf,
    drafts: PathBuf,
    /// Held shared while the store is open.
    _lock: File,
    next: AtomicU64,
}

impl Store {
    /// Opens a store, or makes one in a new folder.
    pub fn open(dir: &Path) -> Result<Self> {
        let (blocks, drafts) = (dir.join("blocks"), dir.join("drafts"));
        for folder in [&blocks, &drafts] {
            fs::create_dir_all(folder).map_err(Error::io(folder))?;
        }
        let path = dir.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(Error::io(&path))?;
        if lock.try_lock().is_ok() {
            // Nobody else is here, so every draft is left over.
            for entry in fs::read_dir(&drafts).map_err(Error::io(&drafts))? {
                let path = entry.map_err(Error::io(&drafts))?.path();
                fs::remove_file(&path).map_err(Error::io(&path))?;
            }
            lock.unlock().map_err(Error::io(&path))?;
        }
        lock.lock_shared().map_err(Error::io(&path))?;
        sync_folder(dir)?;
        Ok(Self {
            blocks,
            drafts,
            _lock: lock,
            next: AtomicU64::new(0),
        })
    }

    /// Keeps a block; durable when this returns. A corrupted one of the same CID is replaced.
    pub fn put(&self, bytes: &[u8]) -> Result<Cid> {
        self.put_reader(bytes)
    }

    /// Keeps a block of this kind; otherwise as [`put`](Self::put).
    pub fn put_as(&self, codec: Codec, bytes: &[u8]) -> Result<Cid> {
        self.keep(bytes, codec, None)
    }

    /// Keeps what a stream gives as one block, in bounded memory.
    pub fn put_reader(&self, from: impl Read) -> Result<Cid> {
        self.keep(from, Codec::Raw, None)
    }

    /// Keeps a block that came from elsewhere, refused unless it is the one with this CID.
    pub fn put_expected(&self, cid: &Cid, bytes: &[u8]) -> Result<()> {
        crate::verify(cid, bytes)?;
        self.put_as(cid.codec(), bytes).map(|_| ())
    }

    /// The same from a stream.
    pub fn put_expected_reader(&self, cid: &Cid, from: impl Read) -> Result<()> {
        self.keep(from, cid.codec(), Some(cid)).map(|_| ())
    }

    fn draft(&self) -> Draft {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", std::process::id());
        Draft(self.drafts.join(name))
    }

    fn keep(&self, mut from: impl Read, codec: Codec, expected: Option<&Cid>) -> Result<Cid> {
        let draft = self.draft();
        let mut file = File::create(&draft.0).map_err(Error::io(&draft.0))?;
        let mut digest = Sha256::new();
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = match from.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::Stream(error)),
            };
            let bytes = chunk.get(..read).unwrap_or_default();
            digest.update(bytes);
            file.write_all(bytes).map_err(Error::io(&draft.0))?;
        }
        let cid = Cid::from_parts(codec, digest.finalize().into());
        if let Some(expected) = expected.filter(|expected| **expected != cid) {
            return Err(Error::Corrupt(*expected));
        }
        file.sync_all().map_err(Error::io(&draft.0))?;
        let path = self.path(&cid);
        let folder = path.parent().unwrap_or(&self.blocks);
        fs::create_dir_all(folder).map_err(Error::io(folder))?;
        fs::rename(&draft.0, &path).map_err(Error::io(&path))?;
        sync_folder(folder)?;
        sync_folder(&self.blocks)?;
        Ok(cid)
    }

    /// Keeps a block whose bytes are durable when this returns, and whose name is after [`settle`](Self::settle)
    /// with the folder that this returns. A whole block that is there already is not written again.
    pub(crate) fn place(&self, cid: &Cid, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.path(cid);
        let folder = path.parent().unwrap_or(&self.blocks).to_path_buf();
        if self.has(cid) && self.get(cid).is_ok() {
            return Ok(folder);
        }
        let draft = self.draft();
        let mut file = File::create(&draft.0).map_err(Error::io(&draft.0))?;
        file.write_all(bytes).map_err(Error::io(&draft.0))?;
        file.sync_data().map_err(Error::io(&draft.0))?;
        fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        fs::rename(&draft.0, &path).map_err(Error::io(&path))?;
        Ok(folder)
    }

    /// Makes the names in these folders durable.
    pub(crate) fn settle<'a>(&self, folders: impl IntoIterator<Item = &'a PathBuf>) -> Result<()> {
        for folder in folders {
            sync_folder(folder)?;
        }
        sync_folder(&self.blocks)
    }

    /// Where the store is.
    pub(crate) fn dir(&self) -> &Path {
        self.blocks.parent().unwrap_or(&self.blocks)
    }

    /// Replaces a file of the store's own, durably and at once.
    pub(crate) fn replace(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let draft = self.draft();
        let mut file = File::create(&draft.0).map_err(Error::io(&draft.0))?;
        file.write_all(bytes).map_err(Error::io(&draft.0))?;
        file.sync_all().map_err(Error::io(&draft.0))?;
        let folder = path.parent().unwrap_or(&self.blocks);
        fs::create_dir_all(folder).map_err(Error::io(folder))?;
        fs::rename(&draft.0, path).map_err(Error::io(path))?;
        sync_folder(folder)?;
        sync_folder(self.dir())
    }

    /// The bytes of a block.
    ///
    /// Errors: [`Error::Missing`] or [`Error::Corrupt`], each with the CID.
    pub fn get(&self, cid: &Cid) -> Result<Vec<u8>> {
        let bytes = match fs::read(self.path(cid)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Error::Missing(*cid)),
            Err(error) => return Err(Error::io(&self.path(cid))(error)),
        };
        crate::verify(cid, &bytes)?;
        Ok(bytes)
    }

    /// Bytes of a block, as the disk has it.
    ///
    /// Errors: [`Error::Missing`] with the CID.
    pub fn size(&self, cid: &Cid) -> Result<u64> {
        let path = self.path(cid);
        match fs::metadata(&path) {
            Ok(about) => Ok(about.len()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::Missing(*cid)),
            Err(error) => Err(Error::io(&path)(error)),
        }
    }

    /// Whether there is a block with this CID; whether it is whole only reading tells.
    pub fn has(&self, cid: &Cid) -> bool {
        self.path(cid).is_file()
    }

    /// Removes a block; tells whether it was there.
    pub fn remove(&self, cid: &Cid) -> Result<bool> {
        let path = self.path(cid);
        match fs::remove_file(&path) {
            Ok(()) => {
                sync_folder(path.parent().unwrap_or(&self.blocks))?;
                Ok(true)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io(&path)(error)),
        }
    }

    /// All blocks with their sizes in bytes, sorted by CID.
    pub fn list(&self) -> Result<Vec<(Cid, u64)>> {
        let mut all = Vec::new();
        for folder in fs::read_dir(&self.blocks).map_err(Error::io(&self.blocks))? {
            let folder = folder.map_err(Error::io(&self.blocks))?.path();
            if !folder.is_dir() {
                continue;
            }
            for entry in fs::read_dir(&folder).map_err(Error::io(&folder))? {
                let entry = entry.map_err(Error::io(&folder))?;
                // Other files are none of ours.
                if let Some(cid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
                    let size = entry.metadata().map_err(Error::io(&entry.path()))?.len();
                    all.push((cid, size));
                }
            }
        }
        all.sort_unstable();
        Ok(all)
    }

    /// Reads all blocks and returns the corrupted ones.
    pub fn verify(&self) -> Result<Vec<Cid>> {
        let mut corrupted = Vec::new();
        for (cid, _) in self.list()? {
            let path = self.path(&cid);
            let mut file = File::open(&path).map_err(Error::io(&path))?;
            let mut digest = Sha256::new();
            let mut chunk = vec![0; CHUNK];
            loop {
                let read = file.read(&mut chunk).map_err(Error::io(&path))?;
                if read == 0 {
                    break;
                }
                digest.update(chunk.get(..read).unwrap_or_default());
            }
            if Cid::from_parts(cid.codec(), digest.finalize().into()) != cid {
                corrupted.push(cid);
            }
        }
        Ok(corrupted)
    }

    /// Blocks are spread over folders by the last two characters of their CIDs.
    fn path(&self, cid: &Cid) -> PathBuf {
        let name = cid.to_string();
        let folder = name.get(name.len().saturating_sub(2)..).unwrap_or_default();
        self.blocks.join(folder).join(&name)
    }
}

/// A file that goes when it was not renamed.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // Renamed already in the good case; else what stays goes at the next start.
        let _ = fs::remove_file(&self.0);
    }
}

pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    let file = File::open(folder).map_err(Error::io(folder))?;
    file.sync_all().map_err(Error::io(folder))
}

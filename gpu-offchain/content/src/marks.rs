//! What a store shares and what it does not: lists beside the blocks.
//!
//! `public/CID` and `denied/CID` each hold the CIDs of the blocks of one file: `OLBLOCKS`, version (u8, 1), then
//! 36 bytes a CID. The block list goes before what is public.

use crate::{Cid, Error, Result, Store};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    time::SystemTime,
};

const MAGIC: &[u8; 9] = b"OLBLOCKS\x01";
const CID_BYTES: usize = 36;

/// Lists by the file they stand for.
type Lists = BTreeMap<Cid, Vec<Cid>>;

/// What may leave a store: read once, then asked for each block.
#[derive(Clone, Debug, Default)]
pub struct Shared {
    public: BTreeSet<Cid>,
    denied: BTreeSet<Cid>,
    roots: Vec<Cid>,
}

impl Shared {
    /// Whether a block may be given to others: it is public and not on the block list.
    pub fn allows(&self, cid: &Cid) -> bool {
        self.public.contains(cid) && !self.denied.contains(cid)
    }

    /// Whether a block is on the block list: neither given nor fetched.
    pub fn denies(&self, cid: &Cid) -> bool {
        self.denied.contains(cid)
    }

    /// Public files that are not on the block list.
    pub fn roots(&self) -> &[Cid] {
        &self.roots
    }
}

impl Store {
    /// Shares a file that is here whole, as far as that shows without reading it: who reads a leaf checks it.
    ///
    /// Errors: [`Error::Denied`], and blocks that are missing.
    pub fn publish(&self, cid: &Cid) -> Result<()> {
        if self.shared()?.denies(cid) {
            return Err(Error::Denied(*cid));
        }
        let blocks = self.outline(cid)?;
        if let Some(wanted) = blocks.wanted.first() {
            return Err(Error::Missing(*wanted));
        }
        self.mark("public", cid, &blocks.here)
    }

    /// Shares a file no longer; tells whether it was shared.
    pub fn unpublish(&self, cid: &Cid) -> Result<bool> {
        self.unmark("public", cid)
    }

    /// Puts a block, and if it is a file's root all that are here of the file, on the block list. It need not be
    /// here. Blocks stay on the disk until they are removed.
    pub fn deny(&self, cid: &Cid) -> Result<()> {
        let blocks = self.blocks_of(cid).unwrap_or_default();
        // What is not here cannot be listed by its parts, but can be named.
        let mut denied: BTreeSet<Cid> = blocks.here.into_iter().chain(blocks.wanted).collect();
        denied.insert(*cid);
        self.mark("denied", cid, &denied.into_iter().collect::<Vec<_>>())
    }

    /// Takes it off the block list; tells whether it was on it.
    pub fn undeny(&self, cid: &Cid) -> Result<bool> {
        self.unmark("denied", cid)
    }

    /// What may leave the store now.
    pub fn shared(&self) -> Result<Shared> {
        let (public, denied) = (self.marks("public")?, self.marks("denied")?);
        let denied: BTreeSet<Cid> = denied.into_values().flatten().collect();
        let roots = public.keys().filter(|cid| !denied.contains(cid)).copied();
        Ok(Shared {
            roots: roots.collect(),
            public: public.into_values().flatten().collect(),
            denied,
        })
    }

    /// When what may leave the store changed last, none if nothing ever was listed. Two changes may have one time.
    pub fn shared_since(&self) -> Option<SystemTime> {
        let changed = |list| {
            fs::metadata(self.dir().join(list))
                .and_then(|about| about.modified())
                .ok()
        };
        changed("public").max(changed("denied"))
    }

    /// Files on the block list.
    pub fn denied(&self) -> Result<Vec<Cid>> {
        Ok(self.marks("denied")?.into_keys().collect())
    }

    /// Public files, those on the block list too.
    pub fn published(&self) -> Result<Vec<Cid>> {
        Ok(self.marks("public")?.into_keys().collect())
    }

    fn mark(&self, list: &str, cid: &Cid, blocks: &[Cid]) -> Result<()> {
        let mut bytes = MAGIC.to_vec();
        blocks.iter().for_each(|block| bytes.extend(block.to_bytes()));
        self.replace(&self.list_path(list, cid), &bytes)
    }

    fn unmark(&self, list: &str, cid: &Cid) -> Result<bool> {
        let path = self.list_path(list, cid);
        match fs::remove_file(&path) {
            Ok(()) => {
                crate::store::sync_folder(&self.dir().join(list))?;
                Ok(true)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io(&path)(error)),
        }
    }

    fn list_path(&self, list: &str, cid: &Cid) -> PathBuf {
        self.dir().join(list).join(cid.to_string())
    }

    fn marks(&self, list: &str) -> Result<Lists> {
        let folder = self.dir().join(list);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Lists::new()),
            Err(error) => return Err(Error::io(&folder)(error)),
        };
        let mut lists = Lists::new();
        for entry in entries {
            let entry = entry.map_err(Error::io(&folder))?;
            let path = entry.path();
            let Some(cid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let bytes = fs::read(&path).map_err(Error::io(&path))?;
            let damaged = || Error::Marks { path: path.clone() };
            let (blocks, rest) = bytes
                .strip_prefix(MAGIC)
                .ok_or_else(damaged)?
                .as_chunks::<CID_BYTES>();
            if !rest.is_empty() {
                return Err(damaged());
            }
            let blocks: Result<Vec<Cid>> = blocks.iter().map(|bytes| Cid::from_bytes(bytes)).collect();
            lists.insert(cid, blocks.map_err(|_| damaged())?);
        }
        Ok(lists)
    }
}

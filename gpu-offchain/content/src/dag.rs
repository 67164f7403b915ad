//! Files larger than a block: a tree of blocks, as IPFS has them.
//!
//! Leaves are raw blocks of [`LEAF`] bytes, the last one shorter; above them nodes list up to [`WIDTH`] parts each,
//! all leaves at one depth. A file of at most one leaf is that leaf. A node is dag-pb with a UnixFS file in it, so
//! that IPFS programs read such files; with their present defaults they give a file the same CID.
//! <https://specs.ipfs.tech/unixfs/>, <https://ipld.io/specs/codecs/dag-pb/spec/>

use crate::{
    protobuf::{field, number, Fields, Value},
    Cid, Codec, Error, Result, Store,
};
use std::{
    collections::{BTreeSet, VecDeque},
    io::{Read, Write},
    ops::Range,
    path::PathBuf,
    sync::{mpsc, Arc, Mutex},
};

/// Bytes of a leaf.
pub const LEAF: usize = 1 << 20;

/// Most parts that a node lists.
pub const WIDTH: usize = 1024;

/// Bytes of the largest block that is taken as a part of a file or exchanged: what IPFS programs take.
pub const MAX_BLOCK: usize = 2 << 20;

/// Nodes between a file and its leaves; more than any file needs.
pub(crate) const MAX_DEPTH: usize = 6;

/// Threads that hash and write; more than processors, as they wait for the disk.
const WRITERS: usize = 4;

/// Leaves in memory at once.
const WINDOW: usize = 12;

/// A file that was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ingested {
    /// Its CID.
    pub cid: Cid,
    /// Its bytes.
    pub bytes: u64,
    /// Its blocks, nodes included, one counted as often as it is used.
    pub blocks: u64,
}

/// A part as a node lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    cid: Cid,
    /// Bytes of the file below it.
    bytes: u64,
    /// Bytes of its block and those below it.
    weight: u64,
}

/// The block of a node with these parts.
fn encode(parts: &[Part]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in parts {
        let mut link = Vec::with_capacity(50);
        field(1, &part.cid.to_bytes(), &mut link);
        field(2, b"", &mut link);
        number(3, part.weight, &mut link);
        field(2, &link, &mut out);
    }
    let mut file = Vec::new();
    // A file.
    number(1, 2, &mut file);
    number(3, parts.iter().map(|part| part.bytes).sum(), &mut file);
    for part in parts {
        number(4, part.bytes, &mut file);
    }
    field(1, &file, &mut out);
    out
}

/// What a block says about a file: bytes in it, then parts.
pub(crate) struct Node {
    pub(crate) inline: Vec<u8>,
    pub(crate) parts: Vec<(Cid, u64)>,
    pub(crate) bytes: u64,
}

/// Reads a node. Other programs' are read too, if they are files of the same kind.
pub(crate) fn decode(cid: &Cid, block: &[u8]) -> Result<Node> {
    let flaw = |what: &str| Error::Node {
        cid: *cid,
        what: what.into(),
    };
    let damaged = || flaw("it is no dag-pb");
    let (mut links, mut data) = (Vec::new(), None);
    let mut node = Fields(block);
    while !node.0.is_empty() {
        match node.next().ok_or_else(damaged)? {
            (1, Value::Bytes(bytes)) if data.is_none() => data = Some(bytes),
            (2, Value::Bytes(bytes)) => {
                let (mut link, mut hash) = (Fields(bytes), None);
                while !link.0.is_empty() {
                    if let (1, Value::Bytes(bytes)) = link.next().ok_or_else(damaged)? {
                        hash = Some(Cid::from_bytes(bytes)?);
                    }
                }
                links.push(hash.ok_or_else(damaged)?);
            }
            _ => return Err(damaged()),
        }
    }
    let (mut inline, mut sizes, mut kind, mut bytes) = (&[][..], Vec::new(), None, None);
    let mut file = Fields(data.ok_or_else(|| flaw("it has no UnixFS data"))?);
    while !file.0.is_empty() {
        match file.next().ok_or_else(|| flaw("it is no UnixFS"))? {
            (1, Value::Number(value)) => kind = Some(value),
            (2, Value::Bytes(value)) => inline = value,
            (3, Value::Number(value)) => bytes = Some(value),
            (4, Value::Number(value)) => sizes.push(value),
            // Mode and time of a file, and numbers packed as some programs do.
            (4, Value::Bytes(packed)) => {
                let mut packed = Fields(packed);
                while !packed.0.is_empty() {
                    sizes.push(packed.varint().ok_or_else(|| flaw("it is no UnixFS"))?);
                }
            }
            _ => {}
        }
    }
    match kind {
        Some(0 | 2) => {}
        Some(1 | 5) => return Err(flaw("it is a folder: name a file in it")),
        _ => return Err(flaw("it is neither a file nor a part of one")),
    }
    if sizes.len() != links.len() || sizes.contains(&0) {
        return Err(flaw("its parts and their sizes do not fit"));
    }
    let sum = sizes
        .iter()
        .try_fold(inline.len() as u64, |sum, size| sum.checked_add(*size));
    let sum = sum.ok_or_else(|| flaw("its size is no number of bytes"))?;
    if bytes.is_some_and(|bytes| bytes != sum) {
        return Err(flaw("its size is not that of its parts"));
    }
    Ok(Node {
        inline: inline.to_vec(),
        parts: links.into_iter().zip(sizes).collect(),
        bytes: sum,
    })
}

/// The blocks that a node lists, in their order; a leaf lists none.
///
/// Errors: [`Error::Node`], if it is neither a leaf nor a node of a file.
pub fn parts(cid: &Cid, block: &[u8]) -> Result<Vec<Cid>> {
    match cid.codec() {
        Codec::Raw => Ok(Vec::new()),
        Codec::DagPb => Ok(decode(cid, block)?
            .parts
            .into_iter()
            .map(|(cid, _)| cid)
            .collect()),
    }
}

/// The blocks of a file in memory as [`Store::ingest`] makes them, each after what it lists: the last one is the
/// file's. What has at most [`LEAF`] bytes is one block.
pub fn blocks(bytes: &[u8]) -> Vec<(Cid, Vec<u8>)> {
    // An empty file has one empty leaf.
    let leaves: Vec<&[u8]> = if bytes.is_empty() {
        vec![bytes]
    } else {
        bytes.chunks(LEAF).collect()
    };
    let mut all: Vec<(Cid, Vec<u8>)> = leaves.iter().map(|leaf| (Cid::of(leaf), leaf.to_vec())).collect();
    let part = |(cid, leaf): &(Cid, Vec<u8>)| Part {
        cid: *cid,
        bytes: leaf.len() as u64,
        weight: leaf.len() as u64,
    };
    let mut level: Vec<Part> = all.iter().map(part).collect();
    while level.len() > 1 {
        let close = |parts: &[Part]| {
            let block = encode(parts);
            let part = Part {
                cid: Cid::with(Codec::DagPb, &block),
                bytes: parts.iter().map(|part| part.bytes).sum(),
                weight: parts.iter().map(|part| part.weight).sum::<u64>() + block.len() as u64,
            };
            all.push((part.cid, block));
            part
        };
        level = level.chunks(WIDTH).map(close).collect();
    }
    all
}

/// A leaf on its way to the disk, and where to tell its CID.
type Job = (Vec<u8>, mpsc::Sender<Result<(Cid, PathBuf)>>);

impl Store {
    /// Takes in what a stream gives, as leaves and nodes, in bounded memory; durable when this returns. After a
    /// kill, taking it in again writes only what is not there yet.
    ///
    /// Errors: what the stream or the disk says; blocks that were written until then stay.
    pub fn ingest(&self, mut from: impl Read) -> Result<Ingested> {
        let (jobs, queue) = mpsc::sync_channel::<Job>(WRITERS);
        let queue = Arc::new(Mutex::new(queue));
        // The queue's other end goes with this closure, however it ends, and the writers then end.
        std::thread::scope(move |scope| {
            for _ in 0..WRITERS {
                let queue = queue.clone();
                scope.spawn(move || loop {
                    // A thread that panicked had taken its job out already.
                    let job = queue.lock().unwrap_or_else(|held| held.into_inner()).recv();
                    let Ok((bytes, told)) = job else { break };
                    let cid = Cid::of(&bytes);
                    // None listens if the file was given up.
                    let _ = told.send(self.place(&cid, &bytes).map(|folder| (cid, folder)));
                });
            }
            // This one may go with the last writer.
            drop(queue);
            let mut tree = Growing {
                store: self,
                width: WIDTH,
                levels: vec![Vec::new()],
                folders: BTreeSet::new(),
                blocks: 0,
                bytes: 0,
            };
            let mut window = VecDeque::new();
            let mut is_first = true;
            loop {
                let mut leaf = Vec::with_capacity(LEAF);
                from.by_ref()
                    .take(LEAF as u64)
                    .read_to_end(&mut leaf)
                    .map_err(Error::Stream)?;
                let is_last = leaf.len() < LEAF;
                // An empty file has one empty leaf.
                if !leaf.is_empty() || is_first {
                    is_first = false;
                    let bytes = leaf.len() as u64;
                    let (told, tells) = mpsc::channel();
                    let gone = || Error::Stream(std::io::Error::other("a thread that writes blocks ended"));
                    jobs.send((leaf, told)).map_err(|_| gone())?;
                    window.push_back((tells, bytes));
                }
                while window.len() >= if is_last { 1 } else { WINDOW } {
                    let Some((tells, bytes)) = window.pop_front() else {
                        break;
                    };
                    let gone = |_| Error::Stream(std::io::Error::other("a thread that writes blocks ended"));
                    let (cid, folder) = tells.recv().map_err(gone)??;
                    tree.folders.insert(folder);
                    tree.bytes += bytes;
                    tree.push(
                        0,
                        Part {
                            cid,
                            bytes,
                            weight: bytes,
                        },
                    )?;
                }
                if is_last {
                    break;
                }
            }
            tree.finish()
        })
    }

    /// A file that is in the store, to be read from its start.
    pub fn file(&self, cid: &Cid) -> Result<StoredFile<'_>> {
        let bytes = match cid.codec() {
            Codec::Raw => self.size(cid)?,
            Codec::DagPb => decode(cid, &self.node(cid)?)?.bytes,
        };
        Ok(StoredFile {
            store: self,
            ahead: vec![(*cid, 0, bytes, 0)],
            range: 0..bytes,
            bytes,
            leaf: Vec::new(),
            at: 0,
        })
    }

    /// The bytes of a file that is here, if they are at most `most`.
    ///
    /// Errors: [`Error::TooLarge`]; blocks that are missing or corrupted.
    pub fn whole(&self, cid: &Cid, most: u64) -> Result<Vec<u8>> {
        let mut file = self.file(cid)?;
        if file.len() > most {
            return Err(Error::TooLarge {
                cid: *cid,
                bytes: file.len(),
                most,
            });
        }
        let mut bytes = Vec::new();
        file.copy_to(&mut bytes)?;
        Ok(bytes)
    }

    /// All blocks of a file that are here, each once, and those that are missing or corrupted. What lies below a
    /// missing node shows when it is here.
    pub fn blocks_of(&self, cid: &Cid) -> Result<Blocks> {
        self.blocks_below(cid, true)
    }

    /// The same, of leaves only whether they are here: they are not read, so a corrupted one counts as here.
    pub fn outline(&self, cid: &Cid) -> Result<Blocks> {
        self.blocks_below(cid, false)
    }

    fn blocks_below(&self, cid: &Cid, are_leaves_read: bool) -> Result<Blocks> {
        let mut seen = BTreeSet::new();
        let mut blocks = Blocks::default();
        let mut ahead = vec![(*cid, 0)];
        while let Some((cid, depth)) = ahead.pop() {
            if !seen.insert(cid) {
                continue;
            }
            if depth > MAX_DEPTH {
                return Err(too_deep(&cid));
            }
            if !are_leaves_read && cid.codec() == Codec::Raw {
                match self.has(&cid) {
                    true => blocks.here.push(cid),
                    false => blocks.wanted.push(cid),
                }
                continue;
            }
            match self.get(&cid) {
                Ok(block) => {
                    blocks.here.push(cid);
                    if cid.codec() == Codec::DagPb {
                        let parts = decode(&cid, &block)?.parts;
                        ahead.extend(parts.iter().rev().map(|(cid, _)| (*cid, depth + 1)));
                    }
                }
                Err(Error::Missing(_) | Error::Corrupt(_)) => blocks.wanted.push(cid),
                Err(error) => return Err(error),
            }
        }
        Ok(blocks)
    }

    fn node(&self, cid: &Cid) -> Result<Vec<u8>> {
        if self.size(cid)? > MAX_BLOCK as u64 {
            return Err(Error::Node {
                cid: *cid,
                what: format!("it is over {MAX_BLOCK} bytes"),
            });
        }
        self.get(cid)
    }
}

pub(crate) fn too_deep(cid: &Cid) -> Error {
    Error::Node {
        cid: *cid,
        what: format!("it lies {MAX_DEPTH} nodes deep, which no file needs"),
    }
}

/// The blocks of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocks {
    /// Here and whole, the file's first block first.
    pub here: Vec<Cid>,
    /// To be fetched.
    pub wanted: Vec<Cid>,
}

/// The nodes of a file that is coming in.
struct Growing<'a> {
    store: &'a Store,
    width: usize,
    /// Parts that no node lists yet, leaves first.
    levels: Vec<Vec<Part>>,
    folders: BTreeSet<PathBuf>,
    blocks: u64,
    bytes: u64,
}

impl Growing<'_> {
    fn push(&mut self, level: usize, part: Part) -> Result<()> {
        self.blocks += u64::from(level == 0);
        if self.levels.len() == level {
            self.levels.push(Vec::new());
        }
        let Some(parts) = self.levels.get_mut(level) else {
            return Ok(());
        };
        parts.push(part);
        if parts.len() == self.width {
            self.close(level)?;
        }
        Ok(())
    }

    /// Makes a node of a level's parts.
    fn close(&mut self, level: usize) -> Result<()> {
        let parts = self.levels.get_mut(level).map(std::mem::take).unwrap_or_default();
        let block = encode(&parts);
        let cid = Cid::with(Codec::DagPb, &block);
        // A node comes after what it lists.
        self.folders.insert(self.store.place(&cid, &block)?);
        self.blocks += 1;
        let part = Part {
            cid,
            bytes: parts.iter().map(|part| part.bytes).sum(),
            weight: parts.iter().map(|part| part.weight).sum::<u64>() + block.len() as u64,
        };
        self.push(level + 1, part)
    }

    fn finish(mut self) -> Result<Ingested> {
        let mut level = 0;
        let root = loop {
            let is_top = level + 1 == self.levels.len();
            match self.levels.get(level).map(Vec::as_slice) {
                Some([root]) if is_top => break *root,
                Some([]) => {}
                Some(_) => self.close(level)?,
                None => return Err(Error::Empty),
            }
            level += 1;
        };
        self.store.settle(&self.folders)?;
        Ok(Ingested {
            cid: root.cid,
            bytes: self.bytes,
            blocks: self.blocks,
        })
    }
}

/// A file in the store, each block checked as it is read. At most one leaf and the nodes above it are in memory.
pub struct StoredFile<'a> {
    store: &'a Store,
    /// What is to be read, last first: block, its place in the file, its bytes, its depth.
    ahead: Vec<(Cid, u64, u64, usize)>,
    range: Range<u64>,
    bytes: u64,
    leaf: Vec<u8>,
    at: usize,
}

impl StoredFile<'_> {
    /// Its bytes.
    pub fn len(&self) -> u64 {
        self.bytes
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Has only these bytes read, as far as the file has them; blocks beside them are not touched.
    pub fn range(mut self, range: Range<u64>) -> Self {
        let end = range.end.min(self.bytes);
        self.range = range.start.min(end)..end;
        self
    }

    /// Writes it out.
    pub fn copy_to(&mut self, to: &mut impl Write) -> Result<u64> {
        let mut copied = 0;
        while self.fill()? {
            let bytes = self.leaf.get(self.at..).unwrap_or_default();
            to.write_all(bytes).map_err(Error::Stream)?;
            copied += bytes.len() as u64;
            self.at = self.leaf.len();
        }
        Ok(copied)
    }

    /// Has a leaf with unread bytes at hand; tells if there is one.
    fn fill(&mut self) -> Result<bool> {
        while self.at >= self.leaf.len() {
            let Some((cid, start, bytes, depth)) = self.ahead.pop() else {
                return Ok(false);
            };
            let end = start.saturating_add(bytes);
            if end <= self.range.start || start >= self.range.end {
                continue;
            }
            if depth > MAX_DEPTH {
                return Err(too_deep(&cid));
            }
            let wrong = |has: u64| Error::Node {
                cid,
                what: format!("it has {has} bytes of the file where {bytes} are listed"),
            };
            let mut leaf;
            let mut parts = Vec::new();
            match cid.codec() {
                Codec::Raw => {
                    leaf = self.store.get(&cid)?;
                    if leaf.len() as u64 != bytes {
                        return Err(wrong(leaf.len() as u64));
                    }
                }
                Codec::DagPb => {
                    let node = decode(&cid, &self.store.node(&cid)?)?;
                    if node.bytes != bytes {
                        return Err(wrong(node.bytes));
                    }
                    let mut place = start + node.inline.len() as u64;
                    leaf = node.inline;
                    for (cid, bytes) in node.parts {
                        parts.push((cid, place, bytes, depth + 1));
                        place += bytes;
                    }
                }
            }
            self.ahead.extend(parts.into_iter().rev());
            // What lies outside of the range is left out.
            let keep = |place: u64| usize::try_from(place.saturating_sub(start)).unwrap_or(usize::MAX);
            leaf.truncate(keep(self.range.end));
            self.at = keep(self.range.start).min(leaf.len());
            self.leaf = leaf;
        }
        Ok(true)
    }
}

impl Read for StoredFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if !self.fill().map_err(std::io::Error::other)? {
            return Ok(0);
        }
        let bytes = self.leaf.get(self.at..).unwrap_or_default();
        let read = bytes.len().min(buffer.len());
        if let (Some(to), Some(bytes)) = (buffer.get_mut(..read), bytes.get(..read)) {
            to.copy_from_slice(bytes);
        }
        self.at += read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_in_memory_are_those_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        for size in [0, 1, LEAF, LEAF + 1, 3 * LEAF] {
            let bytes: Vec<u8> = (0..size).map(|n| (n / 7) as u8).collect();
            let made = store.ingest(bytes.as_slice()).unwrap();
            let chopped = blocks(&bytes);
            assert_eq!(chopped.last().unwrap().0, made.cid, "{size}");
            assert_eq!(chopped.len() as u64, made.blocks, "{size}");
            assert_eq!(store.whole(&made.cid, size as u64).unwrap(), bytes);
            for (cid, block) in &chopped {
                assert_eq!(store.get(cid).unwrap(), *block, "{size}");
                assert!(parts(cid, block).unwrap().iter().all(|part| store.has(part)));
            }
            if size > 0 {
                let refused = store.whole(&made.cid, size as u64 - 1);
                assert!(matches!(refused, Err(Error::TooLarge { .. })), "{size}");
            }
        }
    }

    /// With narrow nodes, as a file of terabytes has with wide ones.
    #[test]
    fn trees_of_any_height_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        for leaves in (1..=14).chain([27, 28, 81, 82]) {
            let mut tree = Growing {
                store: &store,
                width: 3,
                levels: vec![Vec::new()],
                folders: BTreeSet::new(),
                blocks: 0,
                bytes: 0,
            };
            let mut whole = Vec::new();
            for n in 0..leaves {
                let leaf = vec![n as u8; 1 + n % 4];
                whole.extend_from_slice(&leaf);
                let bytes = leaf.len() as u64;
                tree.push(
                    0,
                    Part {
                        cid: store.put(&leaf).unwrap(),
                        bytes,
                        weight: bytes,
                    },
                )
                .unwrap();
            }
            let made = tree.finish().unwrap();
            let mut read = Vec::new();
            store.file(&made.cid).unwrap().copy_to(&mut read).unwrap();
            assert_eq!(read, whole, "{leaves} leaves");
            for start in [0, 1, whole.len() / 2, whole.len()] {
                let mut part = Vec::new();
                let range = start as u64..start as u64 + 5;
                let mut file = store.file(&made.cid).unwrap().range(range);
                file.read_to_end(&mut part).unwrap();
                assert_eq!(part, whole[start..(start + 5).min(whole.len())]);
            }
            let (mut level, mut nodes) = (leaves, 0);
            while level > 1 {
                level = level.div_ceil(3);
                nodes += level;
            }
            assert_eq!(made.blocks as usize, leaves + nodes);
        }
    }
}

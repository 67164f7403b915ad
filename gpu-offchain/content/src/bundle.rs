//! A contribution as one blob.
//!
//! `OLBUNDLE`, version (u8, 1), number of records (u32), then per record its length (u32) and the bytes of its
//! canonical form. Numbers are big-endian. Reading is strict: equal contributions have equal bytes, hence
//! one CID.

use crate::{Cid, Error, Record, Result};
use openledger_attribution::{
    hash::Hash,
    record::RecordLeaf,
    tree::{Opening, Root, Tree},
    wire::{Field, Reader, WireError},
};
use std::collections::BTreeSet;

const MAGIC: [u8; 8] = *b"OLBUNDLE";
const VERSION: u8 = 1;

/// Most records of one contribution.
pub const MAX_RECORDS: usize = 1 << 20;

/// The records of a contribution, in order, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The records; their positions are their indices.
    pub records: Vec<Record>,
}

impl Bundle {
    /// A contribution of these records; one that stands there twice is kept in its first place.
    ///
    /// Errors: no record, or more than [`MAX_RECORDS`].
    pub fn new(records: Vec<Record>) -> Result<Self> {
        let mut seen = BTreeSet::new();
        let records: Vec<Record> = records
            .into_iter()
            .filter(|record| seen.insert(record.content()))
            .collect();
        if records.is_empty() {
            return Err(Error::Empty);
        }
        if records.len() > MAX_RECORDS {
            return Err(Error::TooMany {
                records: records.len(),
            });
        }
        Ok(Self { records })
    }

    /// The blob.
    pub fn encode(&self) -> Vec<u8> {
        let size: usize = self.records.iter().map(|record| record.text().len() + 4).sum();
        let mut out = Vec::with_capacity(MAGIC.len() + 5 + size);
        MAGIC.write(&mut out);
        VERSION.write(&mut out);
        // At most MAX_RECORDS records of MAX_RECORD_BYTES: both fit.
        (self.records.len() as u32).write(&mut out);
        for record in &self.records {
            (record.text().len() as u32).write(&mut out);
            out.extend_from_slice(record.text().as_bytes());
        }
        out
    }

    /// The contribution that a blob holds.
    ///
    /// Errors: anything but what [`encode`](Self::encode) gives.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let flaw = |what: &str| Error::Bundle(what.into());
        let short = |_: WireError| Error::Bundle("it ends too early".into());
        let mut reader = Reader::new(bytes);
        if <[u8; 8]>::read(&mut reader).map_err(short)? != MAGIC {
            return Err(flaw("it does not start as one"));
        }
        let version = u8::read(&mut reader).map_err(short)?;
        if version != VERSION {
            return Err(Error::Bundle(format!(
                "it has version {version} and this program reads {VERSION}, so one of them is to be updated"
            )));
        }
        let count = u32::read(&mut reader).map_err(short)?;
        // Not reserved ahead: the count is a claim.
        let mut records = Vec::new();
        for n in 0..count {
            let length = u32::read(&mut reader).map_err(short)?;
            let bytes = reader.take(length as usize).map_err(short)?;
            let text =
                std::str::from_utf8(bytes).map_err(|_| Error::Bundle(format!("record {n} is not UTF-8")))?;
            let record = Record::checked(text)?.filter(|record| record.text() == text);
            records.push(
                record
                    .ok_or_else(|| Error::Bundle(format!("record {n} is empty or not in canonical form")))?,
            );
        }
        reader
            .finish()
            .map_err(|_| flaw("bytes follow its last record"))?;
        let bundle = Self::new(records)?;
        if bundle.records.len() != count as usize {
            return Err(flaw("it has the same record twice"));
        }
        Ok(bundle)
    }

    /// The blob's CID.
    pub fn cid(&self) -> Cid {
        Cid::of(&self.encode())
    }

    /// The leaves of the contribution's tree.
    pub fn leaves(&self) -> Vec<RecordLeaf> {
        self.records.iter().map(Record::leaf).collect()
    }

    fn tree(&self) -> Result<Tree<RecordLeaf>> {
        Ok(Tree::new(&self.leaves())?)
    }

    /// The contribution's root; its sum is the size of the records in bytes.
    pub fn root(&self) -> Result<Root> {
        Ok(self.tree()?.root())
    }

    /// The root's hash, which a reservation commits to.
    pub fn root_hash(&self) -> Result<Hash> {
        Ok(self.root()?.hash::<RecordLeaf>())
    }

    /// A record with the way to the contribution's root; none if there is no such record.
    pub fn open(&self, index: u32) -> Result<Option<Opening<RecordLeaf>>> {
        let leaf = self.records.get(index as usize).map(Record::leaf);
        let tree = self.tree()?;
        Ok(leaf.and_then(|leaf| tree.open(u64::from(index), &leaf)))
    }

    /// Whether this is the contribution with that root.
    pub fn verify(&self, expected: &Root) -> Result<()> {
        let root = self.root()?;
        if root != *expected {
            return Err(Error::OtherContribution {
                records: root.count,
                bytes: root.sum,
                expected_records: expected.count,
                expected_bytes: expected.sum,
            });
        }
        Ok(())
    }
}

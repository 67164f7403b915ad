//! Records: what contributors bring, what versions hold, what an index is made of.

use crate::{
    hash::{keccak, Account, Hash, Tag},
    text::units,
    tree::{Keyed, Leaf, Root},
    wire::{fields, Field},
};
use alloc::vec::Vec;

/// A record: the contribution that brought it and its position there. Ids order records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct RecordId {
    /// The contribution.
    pub contribution: u64,
    /// Position of the record in it.
    pub index: u32,
}

fields!(RecordId { contribution, index });

/// A record of a contribution. The tree's sum is the contribution's size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct RecordLeaf {
    /// keccak of the record's canonical form.
    pub content: Hash,
    /// Bytes of the canonical form.
    pub bytes: u32,
}

fields!(RecordLeaf { content, bytes });

impl Leaf for RecordLeaf {
    const TAG: Tag = *b"REC1";

    fn payload(&self, out: &mut Vec<u8>) -> Option<u128> {
        self.write(out);
        Some(u128::from(self.bytes))
    }
}

/// A record of a Datanet version, sorted by id. The tree's sum is the number of representatives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct VersionLeaf {
    /// The record.
    pub record: RecordId,
    /// Whose contribution it is in.
    pub contributor: Account,
    /// keccak of its canonical form.
    pub content: Hash,
    /// The record that stands for its family of near-duplicates: itself, or another record of the version.
    pub representative: RecordId,
}

fields!(VersionLeaf {
    record,
    contributor,
    content,
    representative
});

impl VersionLeaf {
    /// Whether it stands for its family.
    pub fn is_representative(&self) -> bool {
        self.record == self.representative
    }
}

impl Leaf for VersionLeaf {
    const TAG: Tag = *b"VER1";

    fn payload(&self, out: &mut Vec<u8>) -> Option<u128> {
        self.write(out);
        Some(u128::from(self.is_representative()))
    }
}

impl Keyed for VersionLeaf {
    type Key = RecordId;

    fn key(&self) -> RecordId {
        self.record
    }
}

/// A Datanet version that an index is made of, in the order named at training. The tree's sum is the number
/// of representatives of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct SourceLeaf {
    /// The Datanet.
    pub datanet: u64,
    /// Its version.
    pub version: u32,
    /// The version's tree of [`VersionLeaf`]s.
    pub records: Root,
}

fields!(SourceLeaf {
    datanet,
    version,
    records
});

impl Leaf for SourceLeaf {
    const TAG: Tag = *b"SRC1";

    fn payload(&self, out: &mut Vec<u8>) -> Option<u128> {
        self.write(out);
        Some(self.records.sum)
    }
}

/// A representative as the index's model reads it: one leaf per representative of the sources, in their
/// order.
///
/// The tree's sum packs two numbers: units in the upper 64 bits, tokens with one separator per record in the
/// lower. So one path proves both the first row of a record and its place in the token stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct CorpusLeaf {
    /// Position of its version among the sources.
    pub source: u32,
    /// The record.
    pub record: RecordId,
    /// Its contributor.
    pub contributor: Account,
    /// keccak of its canonical form.
    pub content: Hash,
    /// Its tokens, the separator not counted.
    pub tokens: u32,
}

fields!(CorpusLeaf {
    source,
    record,
    contributor,
    content,
    tokens
});

impl Leaf for CorpusLeaf {
    const TAG: Tag = *b"CRP1";

    fn payload(&self, out: &mut Vec<u8>) -> Option<u128> {
        self.write(out);
        Some(pack(
            u64::from(units(self.tokens)),
            u64::from(self.tokens).saturating_add(1),
        ))
    }
}

/// Two counters in one sum.
fn pack(units: u64, tokens: u64) -> u128 {
    (u128::from(units) << 64) | u128::from(tokens)
}

/// The counters of a packed sum: (units, tokens with separators).
pub fn unpack(sum: u128) -> (u64, u64) {
    let [high @ .., _, _, _, _, _, _, _, _] = sum.to_be_bytes();
    let [_, _, _, _, _, _, _, _, low @ ..] = sum.to_be_bytes();
    (u64::from_be_bytes(high), u64::from_be_bytes(low))
}

/// What a contribution was reserved as: keccak(account ‖ datanet ‖ salt ‖ root hash), so that a pending one
/// can be neither copied nor squatted. `root` is the hash of the contribution's tree of [`RecordLeaf`]s.
pub fn reservation(account: &Account, datanet: u64, salt: &Hash, root: &Hash) -> Hash {
    keccak(&[account, &datanet.to_be_bytes(), salt, root])
}

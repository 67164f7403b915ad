//! Lies about Datanet versions, and duplicate records.

use super::{found, Doubt, Finding, Guilt, Neighbours, Verdict};
use crate::{
    hash::Account,
    record::{RecordLeaf, VersionLeaf},
    tree::{Gap, Keyed, Opening, Root},
    wire::{choices, fields, Object},
};

/// What the chain knows of a contribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct Contribution {
    /// Who brought it.
    pub contributor: Account,
    /// Tree of its [`RecordLeaf`]s.
    pub records: Root,
    /// Number of its reservation: the chain counts them, earlier ones are smaller.
    pub reserved: u64,
}

fields!(Contribution {
    contributor,
    records,
    reserved
});

/// Looks contributions up.
pub trait Registry {
    /// The contribution with this id.
    fn contribution(&self, id: u64) -> Option<Contribution>;
}

/// What the judge of a version trusts.
#[derive(Clone, Copy)]
pub struct VersionFacts<'a> {
    /// The version's tree.
    pub records: Root,
    /// Contributions by id.
    pub registry: &'a dyn Registry,
}

/// A lie about a version.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub enum VersionEvidence {
    /// Records out of order.
    Order(Neighbours<VersionLeaf>),
    /// A record that is not what its contribution says.
    Record(VersionRecord),
    /// A representative that has another representative.
    Representative(Representative),
    /// A representative that is not in the version.
    RepresentativeMissing(RepresentativeMissing),
}

choices!(VersionEvidence { 0 => Order, 1 => Record, 2 => Representative, 3 => RepresentativeMissing });

impl Object for VersionEvidence {
    const TAG: crate::hash::Tag = *b"EVV1";
}

/// A record of a version and what its contribution has there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct VersionRecord {
    /// The version's record.
    pub leaf: Opening<VersionLeaf>,
    /// The contribution's record; not needed if contribution, contributor or position already differ.
    pub record: Option<Opening<RecordLeaf>>,
}

fields!(VersionRecord { leaf, record });

/// A record and its representative.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct Representative {
    /// The record.
    pub leaf: Opening<VersionLeaf>,
    /// Its representative.
    pub representative: Opening<VersionLeaf>,
}

fields!(Representative { leaf, representative });

/// A record and the place where its representative is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct RepresentativeMissing {
    /// The record.
    pub leaf: Opening<VersionLeaf>,
    /// Where its representative would stand.
    pub gap: Gap<VersionLeaf>,
}

fields!(RepresentativeMissing { leaf, gap });

/// Judges a lie about a version. Guilty means its publisher.
pub fn judge_version(facts: &VersionFacts<'_>, evidence: &VersionEvidence) -> Verdict {
    Verdict::from_finding(match evidence {
        VersionEvidence::Order(pair) => order(facts, pair),
        VersionEvidence::Record(e) => record(facts, e),
        VersionEvidence::Representative(e) => representative(facts, e),
        VersionEvidence::RepresentativeMissing(e) => representative_missing(facts, e),
    })
}

fn order(facts: &VersionFacts<'_>, pair: &Neighbours<VersionLeaf>) -> Finding {
    let (left, right) = pair.open(&facts.records)?;
    found(left.key() >= right.key(), Guilt::VersionDisordered)
}

fn record(facts: &VersionFacts<'_>, evidence: &VersionRecord) -> Finding {
    evidence.leaf.verify(&facts.records).ok_or(Doubt::Proof)?;
    let leaf = &evidence.leaf.leaf;
    let Some(contribution) = facts.registry.contribution(leaf.record.contribution) else {
        return Ok(Guilt::WrongVersionRecord);
    };
    let index = u64::from(leaf.record.index);
    if contribution.contributor != leaf.contributor || index >= contribution.records.count {
        return Ok(Guilt::WrongVersionRecord);
    }
    let record = evidence.record.as_ref().ok_or(Doubt::Incomplete)?;
    record.verify(&contribution.records).ok_or(Doubt::Proof)?;
    if record.index != index {
        return Err(Doubt::Unrelated);
    }
    found(record.leaf.content != leaf.content, Guilt::WrongVersionRecord)
}

fn representative(facts: &VersionFacts<'_>, evidence: &Representative) -> Finding {
    evidence.leaf.verify(&facts.records).ok_or(Doubt::Proof)?;
    let other = &evidence.representative;
    other.verify(&facts.records).ok_or(Doubt::Proof)?;
    if evidence.leaf.leaf.representative != other.leaf.record {
        return Err(Doubt::Unrelated);
    }
    found(!other.leaf.is_representative(), Guilt::WrongRepresentative)
}

fn representative_missing(facts: &VersionFacts<'_>, evidence: &RepresentativeMissing) -> Finding {
    evidence.leaf.verify(&facts.records).ok_or(Doubt::Proof)?;
    if !evidence
        .gap
        .excludes(&evidence.leaf.leaf.representative, &facts.records)
    {
        return Err(Doubt::Unrelated);
    }
    Ok(Guilt::WrongRepresentative)
}

/// Two records with the same content: the later one is a duplicate of the earlier.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct Duplicate {
    /// The contribution that has it first.
    pub first: u64,
    /// Its record there.
    pub original: Opening<RecordLeaf>,
    /// The contribution accused; may be the same.
    pub second: u64,
    /// Its record there.
    pub copy: Opening<RecordLeaf>,
}

fields!(Duplicate {
    first,
    original,
    second,
    copy
});

impl Object for Duplicate {
    const TAG: crate::hash::Tag = *b"DUP1";
}

/// Judges a duplicate. Guilty means the second contribution: the record belongs to the first registrant.
pub fn judge_duplicate(registry: &dyn Registry, evidence: &Duplicate) -> Verdict {
    Verdict::from_finding(duplicate(registry, evidence))
}

fn duplicate(registry: &dyn Registry, evidence: &Duplicate) -> Finding {
    let first = registry.contribution(evidence.first).ok_or(Doubt::Facts)?;
    let second = registry.contribution(evidence.second).ok_or(Doubt::Facts)?;
    evidence.original.verify(&first.records).ok_or(Doubt::Proof)?;
    evidence.copy.verify(&second.records).ok_or(Doubt::Proof)?;
    if evidence.original.leaf.content != evidence.copy.leaf.content {
        return Err(Doubt::Unrelated);
    }
    let earlier = (first.reserved, evidence.original.index) < (second.reserved, evidence.copy.index);
    found(
        earlier && (evidence.first == evidence.second || first.reserved < second.reserved),
        Guilt::Duplicate,
    )
}

//! Disputes about indexes, versions and contributions, requests for data, and what is drawn for sampled batches.

use crate::Hash;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use openledger_attribution::{
    hash::{keccak, Account},
    verdict::{Duplicate, Guilt, IndexEvidence, VersionEvidence},
    wire::Object as _,
};
use scale_info::TypeInfo;

/// Where an index stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum IndexStage {
    /// Batches may name it, and anybody may challenge it.
    Standing,
    /// Its generation is out of use: soon no batch may name it, later nobody may challenge it.
    Retiring {
        /// The block in which the chain was told.
        since: u32,
    },
    /// It was proved wrong: no batch may name it any more. Batches that already do are judged by it as before.
    Void {
        /// Of what.
        guilt: Guilt,
    },
    /// It retired long enough ago; its builder's bond is free of it.
    Closed,
}

/// What stands behind an index.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct IndexBond<A> {
    /// Who built it.
    pub builder: A,
    /// Part of the builder's bond that stands behind it, in planck.
    pub exposure: u128,
    /// Challenges committed and not decided.
    pub challenges: u32,
    /// Where it stands.
    pub stage: IndexStage,
}

/// Whose data is asked for.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub enum Committed {
    /// A batch's: its worker holds it.
    Batch(u64),
    /// An index's, by the hash of its header: its builder holds it.
    Index(Hash),
}

/// A paid request for data that somebody committed to.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Request<A> {
    /// Who asks.
    pub who: A,
    /// Held from it: the holder's when it answers, its own again when not. In planck.
    pub price: u128,
    /// Last block in which the holder can answer.
    pub until: u32,
}

/// What is drawn for a sampled batch, and whether it was answered.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum Sample {
    /// The draw is not out.
    Waiting {
        /// The epoch that the batch was committed in.
        epoch: u64,
    },
    /// The draw is out and the worker has not answered.
    Drawn {
        /// What was drawn.
        randomness: Hash,
        /// Last block in which the worker can answer.
        until: u32,
    },
    /// The worker named what shaped the drawn answers; the batch's window began.
    Answered {
        /// What was drawn.
        randomness: Hash,
        /// The block of the answer.
        since: u32,
    },
    /// The worker did not: every draw is forfeited; the batch's window began.
    Forfeited {
        /// What was drawn.
        randomness: Hash,
        /// The block in which the chain was told.
        since: u32,
    },
}

/// What a dispute in `datanets` is about.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub enum Disputed {
    /// A version: its publisher answers for it.
    Version {
        /// The Datanet.
        datanet: u64,
        /// Its version.
        version: u32,
    },
    /// A contribution that is said to hold somebody else's record.
    Contribution(u64),
}

/// What stands behind a version.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct VersionBond<A> {
    /// Who published it.
    pub publisher: A,
    /// Held from the publisher, in planck; nothing once it went back or was lost.
    pub deposit: u128,
    /// First block in which nobody can challenge it any more.
    pub closes: u32,
    /// What it was proved guilty of: nothing new may be trained on it then.
    pub void: Option<Guilt>,
}

/// What a challenger of an index commits to: keccak(challenger ‖ index ‖ salt ‖ hash of the evidence).
pub fn index_commitment(challenger: &Account, index: &Hash, salt: &Hash, evidence: &IndexEvidence) -> Hash {
    keccak(&[challenger, index, salt, &evidence.hash()])
}

/// What a challenger of a version commits to: keccak(challenger ‖ Datanet ‖ version ‖ salt ‖ hash of the evidence).
pub fn version_commitment(
    challenger: &Account,
    datanet: u64,
    version: u32,
    salt: &Hash,
    evidence: &VersionEvidence,
) -> Hash {
    keccak(&[
        challenger,
        &datanet.to_be_bytes(),
        &version.to_be_bytes(),
        salt,
        &evidence.hash(),
    ])
}

/// What somebody who found a duplicate commits to: keccak(challenger ‖ contribution accused ‖ salt ‖ hash of the evidence).
pub fn duplicate_commitment(challenger: &Account, salt: &Hash, evidence: &Duplicate) -> Hash {
    keccak(&[challenger, &evidence.second.to_be_bytes(), salt, &evidence.hash()])
}

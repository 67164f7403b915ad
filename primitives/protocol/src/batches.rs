//! Batches of receipts on the chain, and what challenges them.

use crate::Hash;
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use openledger_attribution::{
    batch::{BatchHeader, CreditsHeader},
    fee::Parts,
    hash::{keccak, Account},
    index::IndexHeader,
    verdict::{BatchEvidence, Guilt},
    wire::Object,
};
use scale_info::TypeInfo;

/// A registered index.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Index {
    /// What it commits to.
    pub header: IndexHeader,
    /// The block it was registered in.
    pub since: u32,
}

/// Where a batch stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum BatchStage {
    /// Anybody may challenge it; its money is in escrow.
    Open,
    /// It stood: everyone but the contributors is paid, they are being credited.
    Settled {
        /// Credits paid so far, from the first.
        credited: u64,
    },
    /// It was proved wrong.
    Condemned {
        /// Of what.
        guilt: Guilt,
    },
}

/// Receipts that a worker committed to.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Batch<A> {
    /// Who answered.
    pub worker: A,
    /// The receipts.
    pub header: BatchHeader,
    /// Who is paid.
    pub credits: CreditsHeader,
    /// The block it came in.
    pub submitted: u32,
    /// First block in which nobody can challenge it any more.
    pub closes: u32,
    /// Part of the worker's bond that stands behind it, in planck.
    pub exposure: u128,
    /// Planck still in escrow.
    pub escrow: u128,
    /// Challenges committed and not decided.
    pub challenges: u32,
    /// Where it stands.
    pub stage: BatchStage,
}

/// A challenge, before anybody can see what it says.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Challenge {
    /// [`commitment`] to the evidence.
    pub commitment: Hash,
    /// The block it was made in: the evidence is shown in a later one.
    pub since: u32,
    /// Last block in which the evidence can be shown.
    pub until: u32,
    /// Held from the challenger, in planck.
    pub deposit: u128,
}

/// What a challenger commits to: keccak(challenger ‖ batch ‖ salt ‖ hash of the evidence).
pub fn commitment(challenger: &Account, batch: u64, salt: &Hash, evidence: &BatchEvidence) -> Hash {
    keccak(&[challenger, &batch.to_be_bytes(), salt, &evidence.hash()])
}

/// The one receipt that evidence is about, if it is about one: its fee and what of it goes where, and whose voucher paid it.
pub fn disputed(evidence: &BatchEvidence) -> Option<DisputedReceipt> {
    use BatchEvidence::*;
    let answer = match evidence {
        Score(e) => &e.answer,
        LeftOut(e) => &e.answer,
        Query(e) => &e.answer,
        Shape(e) => e,
        NamedRow(e) => &e.answer,
        NamedRecord(e) => &e.answer,
        Receipt(e) => {
            return Some(DisputedReceipt {
                channel: e.leaf.leaf.channel,
                fee: e.leaf.leaf.fee,
                index: e.leaf.index,
            })
        }
        _ => return None,
    };
    Some(DisputedReceipt {
        channel: answer.leaf.leaf.channel,
        fee: answer.leaf.leaf.fee,
        index: answer.leaf.index,
    })
}

/// A receipt whose fee goes back to its consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DisputedReceipt {
    /// Whose channel paid.
    pub channel: u64,
    /// Planck.
    pub fee: u128,
    /// Position in the batch.
    pub index: u64,
}

/// What is left of a batch's parts when `fee` of one receipt goes back: every part shrinks in proportion, so that nothing is
/// made or lost.
///
/// The receipt's own split cannot be believed when the receipt is proved wrong, so the batch's totals are scaled.
pub fn parts_without(totals: &Parts, fee: u128) -> Option<Parts> {
    let Parts {
        platform,
        owner,
        contributors,
        fallback,
        stakers,
        compute,
        lineage,
    } = *totals;
    let weights: Vec<u128> = [platform, owner, contributors, fallback, stakers, compute, lineage].into();
    let left = totals.total()?.checked_sub(fee)?;
    let scaled = openledger_attribution::share::apportion(left, &weights)?;
    match scaled.as_slice() {
        [platform, owner, contributors, fallback, stakers, compute, lineage] => Some(Parts {
            platform: *platform,
            owner: *owner,
            contributors: *contributors,
            fallback: *fallback,
            stakers: *stakers,
            compute: *compute,
            lineage: *lineage,
        }),
        _ => None,
    }
}

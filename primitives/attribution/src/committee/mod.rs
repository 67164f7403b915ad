//! What a committee does with what only floating point can tell: compare, commit, reveal, count.
//!
//! A member recomputes and compares with one of the functions here or in [`sketch`](crate::sketch) and
//! [`bases`](crate::bases); all take integers. Its vote is first committed as [`vote_hash`], then revealed.
//!
//! The chain does the same comparison again: it holds the [`Claim`] that a case is about, a member reveals what
//! it [`Computed`], and [`Claim::vote`] says whether that agrees. So a vote can never be other than a member's
//! own numbers say. Who sits is drawn by [`draw_seats`].

mod claim;
mod seats;

pub use claim::{Chosen, Claim, ClaimedSketch, ClaimedSpectra, Computed, OwnSpectra, Subject};
pub use seats::{draw_seats, rank, Candidate, BOND_UNIT};

use crate::{
    attribution::Retrieved,
    hash::{keccak, Account, Hash},
    sketch::Disagreement,
    verbatim::TableLeaf,
    wire::{Field, Reader, WireError},
};
use alloc::vec::Vec;

/// A member's answer to "is the committed object what it claims to be?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub enum Vote {
    /// It agrees with what the member computed.
    Right,
    /// It does not.
    Wrong,
}

impl Field for Vote {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Right => 0,
            Self::Wrong => 1,
        });
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        match u8::read(from)? {
            0 => Ok(Self::Right),
            1 => Ok(Self::Wrong),
            other => Err(WireError::Choice(other)),
        }
    }
}

/// What a member commits to: keccak(vote ‖ own bytes ‖ salt), the own bytes being its account, so that nobody
/// can copy another's commitment, and the keccak of what it computed, which it reveals.
pub fn vote_hash(vote: Vote, member: &Account, computed: &[u8], salt: &Hash) -> Hash {
    let mut first = Vec::new();
    vote.write(&mut first);
    keccak(&[&first, member, &keccak(&[computed]), salt])
}

/// What a committee decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub enum Outcome {
    /// A quorum says so.
    Decided(Vote),
    /// Neither side can reach the quorum any more.
    NoQuorum,
    /// Votes that are still out could decide.
    Open,
}

/// Counts votes; `None` is a seat that has not revealed. `closed` tells that no more can. A quorum of at most
/// half of the seats decides nothing.
pub fn tally(votes: &[Option<Vote>], quorum: usize, closed: bool) -> Outcome {
    let count = |vote: Option<Vote>| votes.iter().filter(|other| **other == vote).count();
    let (right, wrong) = (count(Some(Vote::Right)), count(Some(Vote::Wrong)));
    if quorum <= votes.len().div_euclid(2) {
        return Outcome::NoQuorum;
    }
    let out = if closed { 0 } else { count(None) };
    if right >= quorum {
        Outcome::Decided(Vote::Right)
    } else if wrong >= quorum {
        Outcome::Decided(Vote::Wrong)
    } else if right.saturating_add(out) < quorum && wrong.saturating_add(out) < quorum {
        Outcome::NoQuorum
    } else {
        Outcome::Open
    }
}

/// Whether two members' unclipped lanes of the same sketch agree: each within ±1, at most 1 in 256 (or one)
/// different. Lanes beyond ±128 are all alike: there the committed exponent is too small, and rounding errors
/// grow with the lane.
pub fn lanes_agree(a: &[i32], b: &[i32]) -> Result<(), Disagreement> {
    if a.len() != b.len() {
        return Err(Disagreement::Shape);
    }
    let mut differing = 0usize;
    for (x, y) in a.iter().zip(b) {
        match (*x).clamp(-129, 129).abs_diff((*y).clamp(-129, 129)) {
            0 => {}
            1 => differing = differing.saturating_add(1),
            _ => return Err(Disagreement::Lane),
        }
    }
    if differing > a.len().div_euclid(256).max(1) {
        return Err(Disagreement::TooMany);
    }
    Ok(())
}

/// Whether what the index says of a token id is what its tokenizer says; how often it occurs is the verdicts'
/// matter.
pub fn flags_agree(claimed: &TableLeaf, recomputed: u8) -> bool {
    claimed.flags == recomputed
}

/// Whether the corpus's tokens of a record are those that the tokenizer gives.
pub fn tokens_agree(claimed: &[u32], recomputed: &[u32]) -> bool {
    claimed == recomputed
}

/// Whether recomputed retrieval ranks are the claimed ones: the same records in the same order.
pub fn ranks_agree(claimed: &[Retrieved], recomputed: &[u64]) -> bool {
    claimed.len() == recomputed.len()
        && claimed
            .iter()
            .zip(recomputed)
            .all(|(claimed, entry)| claimed.entry == *entry)
}

/// Whether an answer in `verifiable` mode is the recomputed one: token for token.
pub fn verifiable_output_agrees(claimed: &[u32], recomputed: &[u32]) -> bool {
    claimed == recomputed
}

/// Whether an answer in `fast` mode is one the model could give: at 99.5% of positions or more the committed
/// token's score, with the seed's noise, is within `tau` of the best. `gaps` are the differences, in any
/// fixed point that `tau` shares.
pub fn fast_output_agrees(gaps: &[u32], tau: u32) -> bool {
    let within = gaps.iter().filter(|gap| **gap <= tau).count();
    let [within, all] = [within, gaps.len()].map(|n| u64::try_from(n).unwrap_or(u64::MAX));
    enough_within(within, all)
}

/// Whether so many of all positions are 99.5% or more.
pub fn enough_within(within: u64, all: u64) -> bool {
    u128::from(within).saturating_mul(1_000) >= u128::from(all).saturating_mul(995)
}

/// Whether a re-executed training segment ends in the committed state: the same hash of adapter and
/// optimiser.
pub fn training_agrees(committed: &Hash, recomputed: &Hash) -> bool {
    committed == recomputed
}

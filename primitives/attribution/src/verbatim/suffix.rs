//! Suffix arrays as commitments: entries, their order, and what two neighbours prove.

use super::JUDGED;
use crate::{
    hash::Tag,
    text::Window,
    tree::{Leaf, Root},
    wire::{fields, Field},
};
use alloc::vec::Vec;
use core::cmp::Ordering;

/// One entry of a shard's suffix array; the leaf's position is its rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct SuffixLeaf {
    /// Position in the corpus at which the suffix starts.
    pub position: u64,
}

fields!(SuffixLeaf { position });

impl Leaf for SuffixLeaf {
    const TAG: Tag = *b"SUF1";

    fn payload(&self, out: &mut Vec<u8>) -> Option<u128> {
        self.write(out);
        Some(0)
    }
}

/// How often a token id, the leaf's position, occurs in a shard. Suffixes that start with it stand in the
/// suffix array exactly from the sum of all smaller ids' counts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct CountLeaf {
    /// The count.
    pub count: u64,
}

fields!(CountLeaf { count });

impl Leaf for CountLeaf {
    const TAG: Tag = *b"CNT1";

    fn payload(&self, out: &mut Vec<u8>) -> Option<u128> {
        self.write(out);
        Some(u128::from(self.count))
    }
}

/// A part of the corpus with its own suffix array. The tree's sum is the number of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct ShardLeaf {
    /// First position of the corpus in it: the start of a record.
    pub from: u64,
    /// First position behind it.
    pub to: u64,
    /// Tree of [`SuffixLeaf`]s, as many as the shard has tokens.
    pub suffixes: Root,
    /// Tree of [`CountLeaf`]s, one per token id.
    pub counts: Root,
}

fields!(ShardLeaf {
    from,
    to,
    suffixes,
    counts
});

impl Leaf for ShardLeaf {
    const TAG: Tag = *b"SHD1";

    fn payload(&self, out: &mut Vec<u8>) -> Option<u128> {
        self.write(out);
        self.to.checked_sub(self.from).map(u128::from)
    }
}

impl ShardLeaf {
    /// Tokens in the shard.
    pub fn length(&self) -> u64 {
        self.to.saturating_sub(self.from)
    }

    /// Whether the shard holds this position.
    pub fn holds(&self, position: u64) -> bool {
        (self.from..self.to).contains(&position)
    }
}

/// A suffix as far as it is known: the judged tokens from its start that a window shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suffix<'a> {
    /// Its first tokens, at most [`JUDGED`].
    pub tokens: &'a [u32],
    /// Whether these are all that are judged: as many as are, or the shard ends.
    pub complete: bool,
}

impl<'a> Suffix<'a> {
    /// The suffix at `position` of a shard, as far as `window` shows it; nothing if it shows none of it.
    pub fn of(window: &'a Window, position: u64, shard: &ShardLeaf) -> Option<Self> {
        if !shard.holds(position) {
            return None;
        }
        let rest = usize::try_from(shard.to.checked_sub(position)?).unwrap_or(usize::MAX);
        let judged = rest.min(JUDGED);
        let shown = window.from(position)?;
        let tokens = shown.get(..judged.min(shown.len()))?;
        Some(Self {
            tokens,
            complete: tokens.len() == judged,
        })
    }
}

/// The order of two suffixes on their judged tokens: a suffix that ends is smaller than one that goes on.
/// Nothing if what is known does not decide it.
pub fn order(a: Suffix<'_>, b: Suffix<'_>) -> Option<Ordering> {
    for (x, y) in a.tokens.iter().zip(b.tokens) {
        match x.cmp(y) {
            Ordering::Equal => {}
            decided => return Some(decided),
        }
    }
    match a.tokens.len().cmp(&b.tokens.len()) {
        Ordering::Less => a.complete.then_some(Ordering::Less),
        Ordering::Greater => b.complete.then_some(Ordering::Greater),
        Ordering::Equal => (a.complete && b.complete).then_some(Ordering::Equal),
    }
}

/// How a suffix stands to a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versus {
    /// It is smaller and does not start with the pattern.
    Below,
    /// It starts with the pattern.
    Matches,
    /// It is larger and does not start with the pattern.
    Above,
}

/// Compares a suffix with a pattern of at most [`JUDGED`] tokens; nothing if what is known does not decide
/// it.
pub fn compare(suffix: Suffix<'_>, pattern: &[u32]) -> Option<Versus> {
    if pattern.len() > JUDGED {
        return None;
    }
    for (x, y) in suffix.tokens.iter().zip(pattern) {
        match x.cmp(y) {
            Ordering::Equal => {}
            Ordering::Less => return Some(Versus::Below),
            Ordering::Greater => return Some(Versus::Above),
        }
    }
    if suffix.tokens.len() >= pattern.len() {
        return Some(Versus::Matches);
    }
    suffix.complete.then_some(Versus::Below)
}

/// Whether a pattern occurs nowhere in a sorted suffix array, told by the neighbours between which it would
/// stand (at either end of the array only one).
pub fn absent(before: Option<Suffix<'_>>, after: Option<Suffix<'_>>, pattern: &[u32]) -> bool {
    let below = before.is_none_or(|suffix| compare(suffix, pattern) == Some(Versus::Below));
    let above = after.is_none_or(|suffix| compare(suffix, pattern) == Some(Versus::Above));
    below && above && !(before.is_none() && after.is_none())
}

//! Lies about the verbatim part of an index: chunks, tokens of records, shards, suffix arrays, counts.

use super::{found, Doubt, Finding, Guilt, IndexFacts};
use crate::{
    record::{unpack, CorpusLeaf},
    text::{TokenLeaf, Window, UNIT},
    tree::{Opening, Range},
    verbatim::{absent, order, CountLeaf, ShardLeaf, Suffix, SuffixLeaf, TableLeaf, JUDGED},
    wire::fields,
};
use alloc::vec::Vec;
use core::cmp::Ordering;

pub(super) fn judge_chunk(facts: &IndexFacts<'_>, chunk: &Opening<TokenLeaf>) -> Finding {
    let verbatim = &facts.header.verbatim;
    chunk.verify(&verbatim.tokens).ok_or(Doubt::Proof)?;
    let unit = u128::from(UNIT);
    let before = u128::from(chunk.index).saturating_mul(unit);
    let expected = verbatim.tokens.sum.saturating_sub(before).min(unit);
    let tokens = &chunk.leaf.tokens;
    let full = u128::try_from(tokens.len()).ok() == Some(expected);
    found(
        !full || tokens.iter().any(|token| *token >= verbatim.vocabulary),
        Guilt::InvalidChunk,
    )
}

/// A record and a chunk that holds its separator where there should be none, or something else where it
/// should be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct RecordTokens {
    /// The record.
    pub record: Opening<CorpusLeaf>,
    /// Chunks of the corpus.
    pub corpus: Range<TokenLeaf>,
}

fields!(RecordTokens { record, corpus });

impl RecordTokens {
    pub(super) fn judge(&self, facts: &IndexFacts<'_>) -> Finding {
        let header = facts.header;
        let before = self.record.verify(&header.corpus).ok_or(Doubt::Proof)?;
        let window = Window::open(&self.corpus, &header.verbatim.tokens).ok_or(Doubt::Proof)?;
        let (_, start) = unpack(before);
        let end = start.saturating_add(u64::from(self.record.leaf.tokens));
        let mut compared = false;
        for (position, token) in (window.start..).zip(&window.tokens) {
            if (start..=end).contains(&position) {
                compared = true;
                if (*token == header.verbatim.separator) != (position == end) {
                    return Ok(Guilt::WrongTokens);
                }
            }
        }
        Err(if compared { Doubt::Right } else { Doubt::Incomplete })
    }
}

/// A shard, and perhaps the record that its start cuts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct ShardShape {
    /// The shard.
    pub shard: Opening<ShardLeaf>,
    /// A record that starts before the shard and ends in it.
    pub record: Option<Opening<CorpusLeaf>>,
}

fields!(ShardShape { shard, record });

impl ShardShape {
    pub(super) fn judge(&self, facts: &IndexFacts<'_>) -> Finding {
        let header = facts.header;
        let before = self.shard.verify(&header.verbatim.shards).ok_or(Doubt::Proof)?;
        let ShardLeaf {
            from,
            to: _,
            suffixes,
            counts,
        } = self.shard.leaf;
        let length = self.shard.leaf.length();
        let fits = before == u128::from(from)
            && suffixes.is_possible()
            && counts.is_possible()
            && suffixes.count == length
            && suffixes.sum == 0
            && counts.count == u64::from(header.verbatim.vocabulary)
            && counts.sum == u128::from(length);
        if !fits {
            return Ok(Guilt::InvalidShard);
        }
        let record = self.record.as_ref().ok_or(Doubt::Right)?;
        let (_, start) = unpack(record.verify(&header.corpus).ok_or(Doubt::Proof)?);
        // The separator belongs to its record: a shard may start behind it.
        let last = start.saturating_add(u64::from(record.leaf.tokens));
        found(start < from && from <= last, Guilt::InvalidShard)
    }
}

/// A suffix that starts outside its shard.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct SuffixEntry {
    /// The shard.
    pub shard: Opening<ShardLeaf>,
    /// The entry of its suffix array.
    pub entry: Opening<SuffixLeaf>,
}

fields!(SuffixEntry { shard, entry });

impl SuffixEntry {
    pub(super) fn judge(&self, facts: &IndexFacts<'_>) -> Finding {
        let shard = open_shard(facts, &self.shard)?;
        self.entry.verify(&shard.suffixes).ok_or(Doubt::Proof)?;
        found(!shard.holds(self.entry.leaf.position), Guilt::SuffixRange)
    }
}

fn open_shard<'a>(facts: &IndexFacts<'_>, shard: &'a Opening<ShardLeaf>) -> Result<&'a ShardLeaf, Doubt> {
    shard.verify(&facts.header.verbatim.shards).ok_or(Doubt::Proof)?;
    Ok(&shard.leaf)
}

/// Two entries of one suffix array: equal ones, or neighbours with the tokens that show them out of order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct SuffixPair {
    /// The shard.
    pub shard: Opening<ShardLeaf>,
    /// The earlier entry.
    pub left: Opening<SuffixLeaf>,
    /// The later entry.
    pub right: Opening<SuffixLeaf>,
    /// Chunks of the corpus at the left suffix; not needed for equal entries.
    pub left_tokens: Option<Range<TokenLeaf>>,
    /// Chunks of the corpus at the right suffix; not needed for equal entries.
    pub right_tokens: Option<Range<TokenLeaf>>,
}

fields!(SuffixPair {
    shard,
    left,
    right,
    left_tokens,
    right_tokens
});

impl SuffixPair {
    pub(super) fn judge(&self, facts: &IndexFacts<'_>) -> Finding {
        let shard = open_shard(facts, &self.shard)?;
        self.left.verify(&shard.suffixes).ok_or(Doubt::Proof)?;
        self.right.verify(&shard.suffixes).ok_or(Doubt::Proof)?;
        if self.left.index == self.right.index {
            return Err(Doubt::Unrelated);
        }
        if self.left.leaf == self.right.leaf {
            return Ok(Guilt::SuffixTwice);
        }
        if !self.left.precedes(&self.right) {
            return Err(Doubt::Unrelated);
        }
        let left = tokens(facts, self.left_tokens.as_ref().ok_or(Doubt::Incomplete)?)?;
        let right = tokens(facts, self.right_tokens.as_ref().ok_or(Doubt::Incomplete)?)?;
        let left = Suffix::of(&left, self.left.leaf.position, shard).ok_or(Doubt::Incomplete)?;
        let right = Suffix::of(&right, self.right.leaf.position, shard).ok_or(Doubt::Incomplete)?;
        let order = order(left, right).ok_or(Doubt::Incomplete)?;
        found(order == Ordering::Greater, Guilt::SuffixOrder)
    }
}

fn tokens(facts: &IndexFacts<'_>, chunks: &Range<TokenLeaf>) -> Result<Window, Doubt> {
    Window::open(chunks, &facts.header.verbatim.tokens).ok_or(Doubt::Proof)
}

/// A text that stands in a shard, and the neighbours in the suffix array between which it is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct SuffixGap {
    /// The shard.
    pub shard: Opening<ShardLeaf>,
    /// Where the text stands.
    pub position: u64,
    /// How many tokens it has.
    pub length: u16,
    /// Chunks of the corpus there.
    pub tokens: Range<TokenLeaf>,
    /// The entry below the text and chunks of the corpus at its suffix; none if the text would come first.
    pub before: Option<ShownSuffix>,
    /// The entry above it; none if the text would come last.
    pub after: Option<ShownSuffix>,
}

fields!(SuffixGap {
    shard,
    position,
    length,
    tokens,
    before,
    after
});

/// An entry of a suffix array with the tokens its suffix starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct ShownSuffix {
    /// The entry.
    pub entry: Opening<SuffixLeaf>,
    /// Chunks of the corpus at its position.
    pub tokens: Range<TokenLeaf>,
}

fields!(ShownSuffix { entry, tokens });

impl SuffixGap {
    pub(super) fn judge(&self, facts: &IndexFacts<'_>) -> Finding {
        let shard = open_shard(facts, &self.shard)?;
        let window = tokens(facts, &self.tokens)?;
        let length = usize::from(self.length);
        let end = self.position.saturating_add(u64::from(self.length));
        if length == 0 || length > JUDGED || !shard.holds(self.position) || end > shard.to {
            return Err(Doubt::Unrelated);
        }
        let pattern = window.slice(self.position, end).ok_or(Doubt::Incomplete)?;

        let neighbours = match (&self.before, &self.after) {
            (Some(before), Some(after)) => before.entry.precedes(&after.entry),
            (Some(before), None) => before.entry.is_last(&shard.suffixes),
            (None, Some(after)) => after.entry.index == 0,
            (None, None) => false,
        };
        if !neighbours {
            return Err(Doubt::Unrelated);
        }
        let open = |shown: &Option<ShownSuffix>| -> Result<Option<Window>, Doubt> {
            let Some(shown) = shown else { return Ok(None) };
            shown.entry.verify(&shard.suffixes).ok_or(Doubt::Proof)?;
            tokens(facts, &shown.tokens).map(Some)
        };
        let (before, after) = (open(&self.before)?, open(&self.after)?);
        let below = suffix(&self.before, &before, shard)?;
        let above = suffix(&self.after, &after, shard)?;
        found(absent(below, above, pattern), Guilt::SuffixOrder)
    }
}

/// The suffix of an entry that is there, as far as its window shows it.
fn suffix<'a>(
    shown: &Option<ShownSuffix>,
    window: &'a Option<Window>,
    shard: &ShardLeaf,
) -> Result<Option<Suffix<'a>>, Doubt> {
    match (shown, window) {
        (Some(shown), Some(window)) => Suffix::of(window, shown.entry.leaf.position, shard)
            .map(Some)
            .ok_or(Doubt::Incomplete),
        _ => Ok(None),
    }
}

/// A token's count over the corpus, and its counts in all shards.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct TableCount {
    /// The token's table entry.
    pub entry: Opening<TableLeaf>,
    /// All shards.
    pub shards: Range<ShardLeaf>,
    /// The token's count in each of them.
    pub counts: Vec<Opening<CountLeaf>>,
}

fields!(TableCount {
    entry,
    shards,
    counts
});

impl TableCount {
    pub(super) fn judge(&self, facts: &IndexFacts<'_>) -> Finding {
        let verbatim = &facts.header.verbatim;
        self.entry.verify(&verbatim.table).ok_or(Doubt::Proof)?;
        self.shards.verify(&verbatim.shards).ok_or(Doubt::Proof)?;
        if self.shards.start != 0 || self.shards.end() != Some(verbatim.shards.count) {
            return Err(Doubt::Incomplete);
        }
        if self.counts.len() != self.shards.leaves.len() {
            return Err(Doubt::Incomplete);
        }
        let mut sum = 0u64;
        for (shard, count) in self.shards.leaves.iter().zip(&self.counts) {
            count.verify(&shard.counts).ok_or(Doubt::Proof)?;
            if count.index != self.entry.index {
                return Err(Doubt::Unrelated);
            }
            // A count that passes 64 bits is no honest shard's.
            sum = match sum.checked_add(count.leaf.count) {
                Some(sum) => sum,
                None => return Ok(Guilt::TokenCount),
            };
        }
        found(sum != self.entry.leaf.count, Guilt::TokenCount)
    }
}

/// A token's count in a shard, and an entry of the suffix array among those that should start with the token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct ShardCount {
    /// The shard.
    pub shard: Opening<ShardLeaf>,
    /// The token's count.
    pub count: Opening<CountLeaf>,
    /// The entry.
    pub entry: Opening<SuffixLeaf>,
    /// Chunks of the corpus at its position.
    pub tokens: Range<TokenLeaf>,
}

fields!(ShardCount {
    shard,
    count,
    entry,
    tokens
});

impl ShardCount {
    pub(super) fn judge(&self, facts: &IndexFacts<'_>) -> Finding {
        let shard = open_shard(facts, &self.shard)?;
        let before = self.count.verify(&shard.counts).ok_or(Doubt::Proof)?;
        self.entry.verify(&shard.suffixes).ok_or(Doubt::Proof)?;
        let rank = u128::from(self.entry.index);
        let counted = rank
            .checked_sub(before)
            .is_some_and(|offset| offset < u128::from(self.count.leaf.count));
        if !counted {
            return Err(Doubt::Unrelated);
        }
        let window = tokens(facts, &self.tokens)?;
        let token = window.get(self.entry.leaf.position).ok_or(Doubt::Incomplete)?;
        found(u64::from(token) != self.count.index, Guilt::TokenCount)
    }
}

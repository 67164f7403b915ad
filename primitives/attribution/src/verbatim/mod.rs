//! The verbatim channel: whose words an answer uses.
//!
//! The corpus is the tokens of all representatives of an index's sources in order, each record followed by a
//! separator that no text contains. Consecutive, record-aligned parts of it are *shards* with a suffix array
//! each. A [`Span`] is a piece of the answer that occurs in the corpus; see [`check_spans`] and [`select`]
//! for which pieces are kept.

mod span;
mod suffix;

pub use span::{
    canonical_end, check_spans, matched, select, span_limit, starts_span, Span, SpanFlaw, SpanRecord,
    MAX_SPAN, MAX_SPAN_RECORDS,
};
pub use suffix::{absent, compare, order, CountLeaf, ShardLeaf, Suffix, SuffixLeaf, Versus};

use crate::{
    hash::Tag,
    tree::{Leaf, Opening, Root},
    wire::{fields, Field},
};
use alloc::{collections::BTreeMap, vec::Vec};

/// Suffixes are ordered, and matches end, after this many tokens.
pub const JUDGED: usize = 512;

/// What an index commits to for this channel. All zero if it has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct Verbatim {
    /// Number of token ids, the separator among them.
    pub vocabulary: u32,
    /// The token that ends a record.
    pub separator: u32,
    /// Tree of [`TokenLeaf`](crate::text::TokenLeaf)s: the corpus.
    pub tokens: Root,
    /// Tree of [`ShardLeaf`]s.
    pub shards: Root,
    /// Tree of [`TableLeaf`]s, one per token id.
    pub table: Root,
}

fields!(Verbatim {
    vocabulary,
    separator,
    tokens,
    shards,
    table
});

impl Verbatim {
    /// An index without this channel.
    pub const NONE: Self = Self {
        vocabulary: 0,
        separator: 0,
        tokens: Root::EMPTY,
        shards: Root::EMPTY,
        table: Root::EMPTY,
    };
}

/// The token starts a word.
pub const STARTS_WORD: u8 = 1;

/// The token ends a sentence.
pub const ENDS_SENTENCE: u8 = 2;

/// What an index says of one token id; the leaf's position is the id. The tree's sum is the number of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct TableLeaf {
    /// [`STARTS_WORD`] and [`ENDS_SENTENCE`]; no other bits.
    pub flags: u8,
    /// How often it occurs in the corpus.
    pub count: u64,
}

fields!(TableLeaf { flags, count });

impl Leaf for TableLeaf {
    const TAG: Tag = *b"TAB1";

    fn payload(&self, out: &mut Vec<u8>) -> Option<u128> {
        self.write(out);
        (self.flags <= STARTS_WORD | ENDS_SENTENCE).then_some(u128::from(self.count))
    }
}

impl TableLeaf {
    /// Whether a word begins with this token.
    pub fn starts_word(&self) -> bool {
        self.flags & STARTS_WORD != 0
    }

    /// Whether a sentence is over after this token.
    pub fn ends_sentence(&self) -> bool {
        self.flags & ENDS_SENTENCE != 0
    }

    /// −log2 of the token's frequency in a corpus of `total` tokens, in 65,536ths of a bit.
    pub fn information(&self, total: u64) -> u64 {
        log2(total).saturating_sub(log2(self.count.max(1)))
    }
}

/// log2 in 65,536ths, rounded down; 0 for 0. Sixteen squarings of the mantissa, one bit of the result each.
pub fn log2(x: u64) -> u64 {
    let Some(whole) = x.checked_ilog2() else { return 0 };
    // The mantissa with 63 bits behind the point: from 2^63 up to 2^64.
    let mut mantissa = u128::from(x) << 63u32.saturating_sub(whole);
    let mut result = u64::from(whole);
    for _ in 0..16 {
        mantissa = mantissa.wrapping_mul(mantissa) >> 63;
        let bit = mantissa >> 64;
        mantissa >>= u32::from(bit != 0);
        result = (result << 1) | u64::from(bit != 0);
    }
    result
}

/// The part of a table that was proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    entries: BTreeMap<u32, TableLeaf>,
    total: u64,
}

impl Table {
    /// Opens table leaves; nothing if a proof fails.
    pub fn open(leaves: &[Opening<TableLeaf>], root: &Root) -> Option<Self> {
        let mut entries = BTreeMap::new();
        for opening in leaves {
            opening.verify(root)?;
            entries.insert(u32::try_from(opening.index).ok()?, opening.leaf);
        }
        Some(Self {
            entries,
            total: u64::try_from(root.sum).ok()?,
        })
    }

    /// The whole table, for whoever has it.
    pub fn whole(leaves: &[TableLeaf]) -> Option<Self> {
        let total = leaves
            .iter()
            .try_fold(0u64, |sum, leaf| sum.checked_add(leaf.count))?;
        Some(Self {
            entries: (0u32..).zip(leaves.iter().copied()).collect(),
            total,
        })
    }

    /// The entry of a token id, if it was proved.
    pub fn get(&self, token: u32) -> Option<&TableLeaf> {
        self.entries.get(&token)
    }

    /// Information content of some tokens, in 65,536ths of a bit; nothing unless all were proved.
    pub fn information(&self, tokens: &[u32]) -> Option<u64> {
        tokens.iter().try_fold(0u64, |sum, token| {
            sum.checked_add(self.get(*token)?.information(self.total))
        })
    }
}

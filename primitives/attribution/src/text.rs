//! Tokens: salted texts of prompts and answers, the corpus, and the chain's unit of 256 tokens.

use crate::{
    hash::Hash,
    tree::{Leaf, Range, Root},
    wire::{fields, Field},
};
use alloc::vec::Vec;
use core::ops::Range as Span;

/// Tokens of a unit and of a chunk.
pub const UNIT: u32 = 256;

/// How many rows a record of this many tokens has: its units, the last one as short as need be.
pub fn units(tokens: u32) -> u32 {
    tokens.div_ceil(UNIT)
}

/// The tokens of unit `unit` of a record, or nothing if it has no such unit.
pub fn unit_tokens(tokens: u32, unit: u32) -> Option<Span<u32>> {
    let start = unit.checked_mul(UNIT)?;
    (start < tokens).then(|| start..start.saturating_add(UNIT).min(tokens))
}

/// A piece of a prompt or answer. Its own salt keeps others from guessing short texts from hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct TextLeaf {
    /// 32 random bytes, never used again.
    pub salt: Hash,
    /// At most 256 token ids; exactly 256 in every chunk but the last.
    pub tokens: Vec<u32>,
}

fields!(TextLeaf { salt, tokens });

impl Leaf for TextLeaf {
    const TAG: crate::hash::Tag = *b"TXT1";

    fn payload(&self, out: &mut Vec<u8>) -> Option<u128> {
        self.salt.write(out);
        chunk(&self.tokens, out)
    }
}

/// A piece of the corpus: 256 consecutive tokens, fewer only in the last.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct TokenLeaf {
    /// At most 256 token ids.
    pub tokens: Vec<u32>,
}

fields!(TokenLeaf { tokens });

impl Leaf for TokenLeaf {
    const TAG: crate::hash::Tag = *b"TOK1";

    fn payload(&self, out: &mut Vec<u8>) -> Option<u128> {
        chunk(&self.tokens, out)
    }
}

/// Number of tokens (u16), the tokens, zeros up to 256 tokens.
fn chunk(tokens: &[u32], out: &mut Vec<u8>) -> Option<u128> {
    let count = u16::try_from(tokens.len()).ok()?;
    let padding = UNIT.checked_sub(u32::from(count))?;
    count.write(out);
    for token in tokens {
        token.write(out);
    }
    for _ in 0..padding {
        0u32.write(out);
    }
    Some(u128::from(count))
}

/// A leaf that holds tokens.
pub trait Tokens: Leaf {
    /// Its tokens.
    fn tokens(&self) -> &[u32];
}

impl Tokens for TextLeaf {
    fn tokens(&self) -> &[u32] {
        &self.tokens
    }
}

impl Tokens for TokenLeaf {
    fn tokens(&self) -> &[u32] {
        &self.tokens
    }
}

/// Cuts a text into salted chunks; `salt` gives chunk `n` its salt. An empty text has one empty chunk.
pub fn text_leaves(tokens: &[u32], mut salt: impl FnMut(u64) -> Hash) -> Vec<TextLeaf> {
    let unit = usize::try_from(UNIT).unwrap_or(usize::MAX);
    let mut leaves: Vec<TextLeaf> = (0u64..)
        .zip(tokens.chunks(unit))
        .map(|(n, tokens)| TextLeaf {
            salt: salt(n),
            tokens: tokens.to_vec(),
        })
        .collect();
    if leaves.is_empty() {
        leaves.push(TextLeaf {
            salt: salt(0),
            tokens: Vec::new(),
        });
    }
    leaves
}

/// Cuts a corpus into chunks.
pub fn token_leaves(tokens: &[u32]) -> Vec<TokenLeaf> {
    let unit = usize::try_from(UNIT).unwrap_or(usize::MAX);
    tokens
        .chunks(unit)
        .map(|tokens| TokenLeaf {
            tokens: tokens.to_vec(),
        })
        .collect()
}

/// Proven tokens: those at `start..` of a text or corpus of `total` tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Position of the first token.
    pub start: u64,
    /// The tokens.
    pub tokens: Vec<u32>,
    /// Tokens of the whole.
    pub total: u64,
}

impl Window {
    /// Opens consecutive chunks of `root`. Nothing if the proof fails or a chunk other than the last is not
    /// full (a tree with such a chunk has no positions; see the verdict on chunks).
    pub fn open<L: Tokens>(chunks: &Range<L>, root: &Root) -> Option<Self> {
        chunks.verify(root)?;
        let total = u64::try_from(root.sum).ok()?;
        if root.count != total.div_ceil(u64::from(UNIT)).max(1) {
            return None;
        }
        let start = chunks.start.checked_mul(u64::from(UNIT))?;
        let mut tokens = Vec::new();
        for (index, leaf) in (chunks.start..).zip(&chunks.leaves) {
            let expected = total
                .checked_sub(index.checked_mul(u64::from(UNIT))?)?
                .min(u64::from(UNIT));
            if u64::try_from(leaf.tokens().len()).ok()? != expected {
                return None;
            }
            tokens.extend_from_slice(leaf.tokens());
        }
        Some(Self { start, tokens, total })
    }

    /// The token at `position`, if it is in the window.
    pub fn get(&self, position: u64) -> Option<u32> {
        let at = usize::try_from(position.checked_sub(self.start)?).ok()?;
        self.tokens.get(at).copied()
    }

    /// The tokens of `start..end`, if they all are in the window.
    pub fn slice(&self, start: u64, end: u64) -> Option<&[u32]> {
        let from = usize::try_from(start.checked_sub(self.start)?).ok()?;
        let to = usize::try_from(end.checked_sub(self.start)?).ok()?;
        self.tokens.get(from..to)
    }

    /// The tokens from `start` to the end of the window, if `start` is in it.
    pub fn from(&self, start: u64) -> Option<&[u32]> {
        let at = usize::try_from(start.checked_sub(self.start)?).ok()?;
        self.tokens.get(at..).filter(|tokens| !tokens.is_empty())
    }
}

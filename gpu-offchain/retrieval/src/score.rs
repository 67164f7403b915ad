//! BM25 in integers.
//!
//! Of a term that occurs `count` times in a chunk of `length` terms, in an index of N chunks with T terms in
//! all, `chunks` of which have the term:
//!
//! ```text
//! idf    = log2(2N + 2) - log2(2 chunks + 1)                     65,536ths of a bit
//! part   = ⌊idf · count · (k1 + 1000) · 1000 · T / D⌋
//! D      = count · 10^6 · T + k1 · ((1000 - b) · T + b · length · N)
//! ```
//!
//! with k1 and b in thousandths: the usual formula with numerator and denominator made whole. A chunk's score
//! is the sum of the parts of the query's terms, a term counting as often as it stands in the query.

use crate::leaf::Rules;
use openledger_attribution::verbatim::log2;

/// Most terms of an index: products stay below 2^128.
pub const MAX_TERMS: u64 = 1 << 40;

/// What all parts of an index's scores have in common.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// The rules.
    pub rules: Rules,
    /// Chunks of the index.
    pub chunks: u64,
    /// Terms of all chunks.
    pub terms: u64,
}

impl Scale {
    /// Weight of a term that `chunks` chunks have, in 65,536ths of a bit.
    pub fn idf(&self, chunks: u64) -> u64 {
        let all = self.chunks.saturating_mul(2).saturating_add(2);
        log2(all).saturating_sub(log2(chunks.saturating_mul(2).saturating_add(1)))
    }

    /// What a term of weight `idf` that occurs `count` times adds to the score of a chunk of `length` terms.
    pub fn part(&self, idf: u64, count: u32, length: u32) -> u64 {
        let (terms, chunks, count) = (u128::from(self.terms), u128::from(self.chunks), u128::from(count));
        let (k1, b) = (u128::from(self.rules.k1), u128::from(self.rules.b));
        // idf < 2^22, count < 2^32, k1 + 1000 < 2^17, terms ≤ 2^40: below 2^121.
        let over = u128::from(idf) * count * (k1 + 1_000) * 1_000 * terms;
        let held = (1_000 - b.min(1_000)) * terms + b * u128::from(length) * chunks;
        let under = count * 1_000_000 * terms + k1 * held;
        u64::try_from(over.checked_div(under).unwrap_or(0)).unwrap_or(u64::MAX)
    }
}

//! Which pieces of an answer are spans.
//!
//! From every start at a word boundary the longest match in the corpus, of at most [`MAX_SPAN`] tokens, is
//! cut behind its first sentence end, or else backed off to a word boundary. Of these pieces those that lie
//! in no other are *maximal*; of the maximal ones with positive information the ⌈0.05 · L⌉ with most
//! information are kept (the earlier of equals), L being the answer's length. A span names the first ten
//! records, in the corpus's order, that contain it.

use super::{Table, JUDGED};
use crate::{hash::Account, record::RecordId, text::Window, wire::fields};
use alloc::vec::Vec;
use core::cmp::Reverse;

/// Longest span, in tokens.
pub const MAX_SPAN: u32 = JUDGED as u32;

/// Most records a span names.
pub const MAX_SPAN_RECORDS: usize = 10;

/// The least common multiple of 1…10: what a span's information is multiplied with so that it divides evenly.
const RECORD_WEIGHT: u128 = 2_520;

/// One span in 20 tokens of answer.
const TOKENS_PER_SPAN: u32 = 20;

/// A record in which a span occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct SpanRecord {
    /// Position of the record's leaf in the corpus tree.
    pub entry: u64,
    /// The record.
    pub record: RecordId,
    /// Its contributor.
    pub contributor: Account,
    /// Where in the corpus the span occurs: the position of its first token.
    pub position: u64,
}

fields!(SpanRecord {
    entry,
    record,
    contributor,
    position
});

/// A piece of the answer that is somebody's words.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct Span {
    /// First token of the answer that belongs to it.
    pub start: u32,
    /// First token behind it.
    pub end: u32,
    /// Its information content, in 65,536ths of a bit.
    pub information: u64,
    /// The records, in the corpus's order.
    pub records: Vec<SpanRecord>,
}

fields!(Span {
    start,
    end,
    information,
    records
});

impl Span {
    /// Weight of each record: the information content shared equally.
    pub fn record_weight(&self) -> u128 {
        let records = u128::try_from(self.records.len()).unwrap_or(u128::MAX);
        RECORD_WEIGHT
            .checked_div(records)
            .unwrap_or(0)
            .saturating_mul(u128::from(self.information))
    }

    /// Tokens of the span.
    pub fn length(&self) -> u32 {
        self.end.saturating_sub(self.start)
    }
}

/// Why spans break the rules of spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub enum SpanFlaw {
    /// More spans than the answer's length allows.
    Count,
    /// A span is empty, too long, or reaches beyond the answer.
    Bounds,
    /// Spans out of order, or one inside another.
    Order,
    /// A span without information content.
    Information,
    /// No record, too many, out of order, or beyond the corpus.
    Records,
}

/// How many spans an answer of `tokens` tokens may have: ⌈0.05 · tokens⌉.
pub fn span_limit(tokens: u32) -> usize {
    usize::try_from(tokens.div_ceil(TOKENS_PER_SPAN)).unwrap_or(usize::MAX)
}

/// Checks what spans show by themselves, for an answer of `output` tokens and a corpus of `corpus` tokens in
/// `records` records.
pub fn check_spans(spans: &[Span], output: u32, corpus: u64, records: u64) -> Result<(), SpanFlaw> {
    if spans.len() > span_limit(output) {
        return Err(SpanFlaw::Count);
    }
    for span in spans {
        if span.start >= span.end || span.end > output || span.length() > MAX_SPAN {
            return Err(SpanFlaw::Bounds);
        }
        if span.information == 0 {
            return Err(SpanFlaw::Information);
        }
        let named = span.records.as_slice();
        let ordered = named.is_sorted_by(|a, b| a.entry < b.entry && a.position < b.position);
        let inside = named.iter().all(|record| {
            let end = record.position.checked_add(u64::from(span.length()));
            record.entry < records && end.is_some_and(|end| end <= corpus)
        });
        if named.is_empty() || named.len() > MAX_SPAN_RECORDS || !ordered || !inside {
            return Err(SpanFlaw::Records);
        }
    }
    if !spans.is_sorted_by(|a, b| a.start < b.start && a.end < b.end) {
        return Err(SpanFlaw::Order);
    }
    Ok(())
}

/// Whether a span may start at token `start` of the answer; nothing if window or table do not tell.
pub fn starts_span(table: &Table, output: &Window, start: u64) -> Option<bool> {
    Some(start == 0 || table.get(output.get(start)?)?.starts_word())
}

/// Where a match of `matched` tokens from `start` ends as a span: behind its first sentence end, or at the
/// last word boundary in it; `Some(None)` if it has neither. Nothing if window or table do not tell.
///
/// A longer match never ends earlier, which lets a partial match prove a span too short.
pub fn canonical_end(table: &Table, output: &Window, start: u64, matched: u64) -> Option<Option<u64>> {
    let end = start.checked_add(matched)?;
    for (position, token) in (start..end).zip(output.slice(start, end)?) {
        if table.get(*token)?.ends_sentence() {
            return Some(position.checked_add(1));
        }
    }
    for boundary in (start.checked_add(1)?..=end).rev() {
        if boundary == output.total || table.get(output.get(boundary)?)?.starts_word() {
            return Some(Some(boundary));
        }
    }
    Some(None)
}

/// How many tokens of the answer from `start` occur at `position` of the corpus, as far as both windows show
/// them: at most [`MAX_SPAN`], never a separator.
pub fn matched(output: &Window, start: u64, corpus: &Window, position: u64, separator: u32) -> u64 {
    let answer = output.from(start).unwrap_or(&[]).iter();
    let words = corpus.from(position).unwrap_or(&[]).iter();
    let equal = answer
        .zip(words)
        .take(JUDGED)
        .take_while(|(a, b)| a == b && **a != separator)
        .count();
    u64::try_from(equal).unwrap_or(u64::MAX)
}

/// Of canonical pieces (start, end, information), sorted by start: the spans that are kept, sorted by start.
pub fn select(pieces: &[(u32, u32, u64)], output: u32) -> Vec<(u32, u32, u64)> {
    let mut maximal: Vec<(u32, u32, u64)> = Vec::new();
    let mut reach = 0;
    for piece in pieces {
        // Ends never fall as starts rise, so a piece lies in another exactly if an earlier one reaches as
        // far.
        if piece.1 > reach {
            reach = piece.1;
            maximal.push(*piece);
        }
    }
    maximal.retain(|piece| piece.2 > 0);
    maximal.sort_by_key(|piece| (Reverse(piece.2), piece.0));
    maximal.truncate(span_limit(output));
    maximal.sort_unstable();
    maximal
}

//! Lies about spans.
//!
//! A span names where in the corpus it occurs, so the tokens there decide whether it does; and any place
//! where a longer or another match stands decides whether a span is not maximal or missing. No lie about a
//! span needs the suffix array; that one is judged for itself, in [`suffix`](super::suffix).

use super::{found, AnswerProof, BatchFacts, Doubt, Finding, Guilt};
use crate::{
    attribution::Attribution,
    record::{unpack, CorpusLeaf},
    text::{TextLeaf, TokenLeaf, Window},
    tree::{Opening, Range, Root},
    verbatim::{
        canonical_end, matched, span_limit, starts_span, Span, Table, TableLeaf, MAX_SPAN, MAX_SPAN_RECORDS,
    },
    wire::fields,
};
use alloc::vec::Vec;

/// Chunks of the answer's text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct TextProof {
    /// Root of the text's tree.
    pub root: Root,
    /// The chunks.
    pub chunks: Range<TextLeaf>,
}

fields!(TextProof { root, chunks });

impl TextProof {
    /// The tokens, if they are of the answer.
    fn open(&self, answer: &AnswerProof) -> Result<Window, Doubt> {
        if self.root.hash::<TextLeaf>() != answer.receipt.output {
            return Err(Doubt::Object);
        }
        Window::open(&self.chunks, &self.root).ok_or(Doubt::Proof)
    }
}

fn corpus(facts: &BatchFacts<'_>, chunks: &Range<TokenLeaf>) -> Result<Window, Doubt> {
    Window::open(chunks, &facts.index.verbatim.tokens).ok_or(Doubt::Proof)
}

fn table(facts: &BatchFacts<'_>, leaves: &[Opening<TableLeaf>]) -> Result<Table, Doubt> {
    Table::open(leaves, &facts.index.verbatim.table).ok_or(Doubt::Proof)
}

fn listed(attribution: &Attribution, span: u16) -> Result<&Span, Doubt> {
    attribution.spans.get(usize::from(span)).ok_or(Doubt::Unrelated)
}

/// A span and a token of the corpus that contradicts it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct SpanMismatch {
    /// The answer.
    pub answer: AnswerProof,
    /// Which span.
    pub span: u16,
    /// Which of its records.
    pub record: u16,
    /// Chunks of the answer.
    pub text: TextProof,
    /// Chunks of the corpus.
    pub corpus: Range<TokenLeaf>,
}

fields!(SpanMismatch {
    answer,
    span,
    record,
    text,
    corpus
});

impl SpanMismatch {
    pub(super) fn judge(&self, facts: &BatchFacts<'_>) -> Finding {
        self.answer.open(facts)?;
        let span = listed(&self.answer.attribution, self.span)?;
        let record = span
            .records
            .get(usize::from(self.record))
            .ok_or(Doubt::Unrelated)?;
        // A longer one breaks the shape of spans, which has its own row.
        if span.length() > MAX_SPAN {
            return Err(Doubt::Unrelated);
        }
        let text = self.text.open(&self.answer)?;
        let corpus = corpus(facts, &self.corpus)?;
        let separator = facts.index.verbatim.separator;
        let mut compared = false;
        for (offset, position) in (0u64..).zip(span.start..span.end) {
            let Some(token) = text.get(u64::from(position)) else {
                continue;
            };
            let Some(other) = record.position.checked_add(offset).and_then(|at| corpus.get(at)) else {
                continue;
            };
            compared = true;
            if token != other || token == separator {
                return Ok(Guilt::SpanMismatch);
            }
        }
        Err(if compared { Doubt::Right } else { Doubt::Incomplete })
    }
}

/// A span and the table entries of its tokens and of the one behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct SpanBounds {
    /// The answer.
    pub answer: AnswerProof,
    /// Which span.
    pub span: u16,
    /// Chunks of the answer.
    pub text: TextProof,
    /// Table entries.
    pub table: Vec<Opening<TableLeaf>>,
}

fields!(SpanBounds {
    answer,
    span,
    text,
    table
});

impl SpanBounds {
    pub(super) fn judge(&self, facts: &BatchFacts<'_>) -> Finding {
        self.answer.open(facts)?;
        let span = listed(&self.answer.attribution, self.span)?;
        let text = self.text.open(&self.answer)?;
        let table = table(facts, &self.table)?;
        if starts_span(&table, &text, u64::from(span.start)) == Some(false) {
            return Ok(Guilt::SpanBounds);
        }
        // A match of exactly the span's length must end where the span does, whatever the longest one is: an
        // earlier sentence end would have cut it, and a longer match that backs off ends at a boundary all
        // the same.
        let end = canonical_end(&table, &text, u64::from(span.start), u64::from(span.length()))
            .ok_or(Doubt::Incomplete)?;
        found(end != Some(u64::from(span.end)), Guilt::SpanBounds)
    }
}

/// A span and the table entries of its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct SpanInformation {
    /// The answer.
    pub answer: AnswerProof,
    /// Which span.
    pub span: u16,
    /// Chunks of the answer.
    pub text: TextProof,
    /// Table entries.
    pub table: Vec<Opening<TableLeaf>>,
}

fields!(SpanInformation {
    answer,
    span,
    text,
    table
});

impl SpanInformation {
    pub(super) fn judge(&self, facts: &BatchFacts<'_>) -> Finding {
        self.answer.open(facts)?;
        let span = listed(&self.answer.attribution, self.span)?;
        let text = self.text.open(&self.answer)?;
        let tokens = text
            .slice(u64::from(span.start), u64::from(span.end))
            .ok_or(Doubt::Incomplete)?;
        let information = table(facts, &self.table)?
            .information(tokens)
            .ok_or(Doubt::Incomplete)?;
        found(information != span.information, Guilt::SpanInformation)
    }
}

/// A place in the corpus where the answer's words stand: proves a span not maximal, or one missing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct SpanOccurrence {
    /// The answer.
    pub answer: AnswerProof,
    /// First token of the answer that matches.
    pub start: u32,
    /// Where in the corpus.
    pub position: u64,
    /// Chunks of the answer.
    pub text: TextProof,
    /// Chunks of the corpus.
    pub corpus: Range<TokenLeaf>,
    /// Table entries of the matching tokens and the one behind them.
    pub table: Vec<Opening<TableLeaf>>,
}

fields!(SpanOccurrence {
    answer,
    start,
    position,
    text,
    corpus,
    table
});

impl SpanOccurrence {
    pub(super) fn judge(&self, facts: &BatchFacts<'_>) -> Finding {
        self.answer.open(facts)?;
        // A channel without weight moves no money; nobody has to fill it.
        if facts.batch.tariff.mix.verbatim == 0 {
            return Err(Doubt::Right);
        }
        let text = self.text.open(&self.answer)?;
        let corpus = corpus(facts, &self.corpus)?;
        let table = table(facts, &self.table)?;
        let start = u64::from(self.start);
        if !starts_span(&table, &text, start).ok_or(Doubt::Incomplete)? {
            return Err(Doubt::Unrelated);
        }
        let length = matched(
            &text,
            start,
            &corpus,
            self.position,
            facts.index.verbatim.separator,
        );
        let end = canonical_end(&table, &text, start, length)
            .ok_or(Doubt::Incomplete)?
            .ok_or(Doubt::Unrelated)?;

        // The whole piece from here ends no earlier, so a span inside this piece lies inside that one too.
        let spans = &self.answer.attribution.spans;
        let bounds = |span: &Span| (u64::from(span.start), u64::from(span.end));
        for (from, to) in spans.iter().map(bounds) {
            if start <= from && to <= end && (start, end) != (from, to) {
                return Ok(Guilt::SpanNotMaximal);
            }
        }
        if spans
            .iter()
            .map(bounds)
            .any(|(from, to)| from <= start && end <= to)
        {
            return Err(Doubt::Right);
        }
        // A maximal span that holds this piece has at least its information: with room in the list, or with
        // more than the least of the list, it must be listed, and then the piece would lie in a listed span.
        let tokens = text.slice(start, end).ok_or(Doubt::Incomplete)?;
        let information = table.information(tokens).ok_or(Doubt::Incomplete)?;
        let room = spans.len() < span_limit(self.answer.receipt.output_tokens);
        let least = spans.iter().map(|span| span.information).min().unwrap_or(0);
        found(
            if room {
                information > 0
            } else {
                information > least
            },
            Guilt::SpanMissing,
        )
    }
}

/// A record that contains a span and is not named, though it stands before the last one named or there is
/// room.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct SpanRecordMissing {
    /// The answer.
    pub answer: AnswerProof,
    /// Which span.
    pub span: u16,
    /// Where in the corpus the span occurs.
    pub position: u64,
    /// The record there.
    pub record: Opening<CorpusLeaf>,
    /// Chunks of the answer: the whole span.
    pub text: TextProof,
    /// Chunks of the corpus: the whole occurrence.
    pub corpus: Range<TokenLeaf>,
}

fields!(SpanRecordMissing {
    answer,
    span,
    position,
    record,
    text,
    corpus
});

impl SpanRecordMissing {
    pub(super) fn judge(&self, facts: &BatchFacts<'_>) -> Finding {
        self.answer.open(facts)?;
        let span = listed(&self.answer.attribution, self.span)?;
        let before = self.record.verify(&facts.index.corpus).ok_or(Doubt::Proof)?;
        let (_, start) = unpack(before);
        let length = u64::from(span.length());
        let end = self.position.checked_add(length).ok_or(Doubt::Unrelated)?;
        if self.position < start || end > start.saturating_add(u64::from(self.record.leaf.tokens)) {
            return Err(Doubt::Unrelated);
        }
        let text = self.text.open(&self.answer)?;
        let corpus = corpus(facts, &self.corpus)?;
        let separator = facts.index.verbatim.separator;
        if text.slice(u64::from(span.start), u64::from(span.end)).is_none()
            || corpus.slice(self.position, end).is_none()
        {
            return Err(Doubt::Incomplete);
        }
        if matched(&text, u64::from(span.start), &corpus, self.position, separator) < length {
            return Err(Doubt::Unrelated);
        }
        if span
            .records
            .iter()
            .any(|record| record.entry == self.record.index)
        {
            return Err(Doubt::Right);
        }
        let room = span.records.len() < MAX_SPAN_RECORDS;
        let precedes = span
            .records
            .last()
            .is_none_or(|last| self.record.index < last.entry);
        found(room || precedes, Guilt::SpanRecordMissing)
    }
}

//! From a lie about an answer's spans to what proves it on chain, with nothing but public data: the index,
//! the answer's attribution, its text.

use crate::{Error, Index, Piece, Result};
use openledger_attribution::{
    record::CorpusLeaf,
    text::{TextLeaf, UNIT},
    tree::{Opening, Tree},
    verbatim::{
        check_spans, select, span_limit, Span, SpanRecord, TableLeaf, JUDGED, MAX_SPAN, MAX_SPAN_RECORDS,
    },
    verdict::{
        AnswerProof, BatchEvidence, NamedRecord, SpanBounds, SpanInformation, SpanMismatch, SpanOccurrence,
        SpanRecordMissing, TextProof,
    },
};
use std::collections::BTreeSet;

/// A committed answer with its text.
pub struct Given<'a> {
    answer: &'a AnswerProof,
    leaves: &'a [TextLeaf],
    tree: Tree<TextLeaf>,
    tokens: Vec<u32>,
}

impl<'a> Given<'a> {
    /// Joins an answer and the chunks of its text.
    ///
    /// Errors: a text that is not the one committed to.
    pub fn new(answer: &'a AnswerProof, leaves: &'a [TextLeaf]) -> Result<Self> {
        let tree = Tree::new(leaves)?;
        if tree.root().hash::<TextLeaf>() != answer.receipt.output {
            return Err(Error::Evidence(
                "the text is not the one that the receipt names: ask the worker for the right one".into(),
            ));
        }
        Ok(Self {
            answer,
            leaves,
            tree,
            tokens: leaves
                .iter()
                .flat_map(|leaf| leaf.tokens.iter().copied())
                .collect(),
        })
    }

    /// The tokens of the answer.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    fn spans(&self) -> &[Span] {
        &self.answer.attribution.spans
    }

    fn span(&self, at: u16) -> Result<&Span> {
        let spans = self.spans();
        spans.get(usize::from(at)).ok_or(Error::NoSuch {
            kind: "span",
            index: u64::from(at),
            count: spans.len() as u64,
        })
    }

    /// The tokens of a span, as far as the answer has them.
    fn words(&self, span: &Span) -> &[u32] {
        let end = (span.end as usize).min(self.tokens.len());
        self.tokens.get(span.start as usize..end).unwrap_or_default()
    }

    /// The chunks that hold the tokens `from..to`, clipped to the text.
    fn proof(&self, from: u64, to: u64) -> Result<TextProof> {
        let unit = u64::from(UNIT);
        let last = (self.leaves.len() as u64).saturating_sub(1);
        let first = (from / unit).min(last);
        let end = (to.max(from + 1).div_ceil(unit)).clamp(first + 1, last + 1);
        let leaves = self.leaves.get(first as usize..end as usize).unwrap_or_default();
        let chunks = self.tree.open_range(first, leaves).ok_or_else(|| {
            Error::Evidence("a text without chunks: an empty text has one empty chunk".into())
        })?;
        Ok(TextProof {
            root: self.tree.root(),
            chunks,
        })
    }

    /// Table entries of the tokens `from..to` and of the one behind them, each once.
    fn table(&self, index: &Index, from: u64, to: u64) -> Result<Vec<Opening<TableLeaf>>> {
        let end = usize::try_from(to).unwrap_or(usize::MAX).saturating_add(1);
        let end = end.min(self.tokens.len());
        let tokens = self.tokens.get((from as usize).min(end)..end).unwrap_or_default();
        let ids: BTreeSet<u32> = tokens
            .iter()
            .copied()
            .filter(|id| *id < index.header().vocabulary)
            .collect();
        ids.into_iter().map(|id| index.open_table(id)).collect()
    }
}

/// A span and a token of the corpus that is another one than the answer's.
///
/// Errors: no such span or record.
pub fn span_mismatch(index: &Index, given: &Given<'_>, span: u16, record: u16) -> Result<SpanMismatch> {
    let claimed = given.span(span)?;
    let place = named(claimed, record)?.position;
    let differs = |at: &u64| {
        let own = given
            .tokens
            .get((u64::from(claimed.start) + at) as usize)
            .copied();
        own != index.token(place.saturating_add(*at)) || own == Some(index.header().separator)
    };
    let at = (0..u64::from(claimed.length())).find(differs).unwrap_or(0);
    let start = u64::from(claimed.start) + at;
    Ok(SpanMismatch {
        answer: given.answer.clone(),
        span,
        record,
        text: given.proof(start, start + 1)?,
        corpus: index.open_tokens(place.saturating_add(at), place.saturating_add(at + 1))?,
    })
}

/// A span with all that decides where it may start and end.
///
/// Errors: no such span.
pub fn span_bounds(index: &Index, given: &Given<'_>, span: u16) -> Result<SpanBounds> {
    let claimed = given.span(span)?;
    let (start, end) = (u64::from(claimed.start), u64::from(claimed.end));
    Ok(SpanBounds {
        answer: given.answer.clone(),
        span,
        text: given.proof(start, end + 1)?,
        table: given.table(index, start, end)?,
    })
}

/// A span with the counts that its information follows from.
///
/// Errors: no such span.
pub fn span_information(index: &Index, given: &Given<'_>, span: u16) -> Result<SpanInformation> {
    let claimed = given.span(span)?;
    let (start, end) = (u64::from(claimed.start), u64::from(claimed.end));
    Ok(SpanInformation {
        answer: given.answer.clone(),
        span,
        text: given.proof(start, end)?,
        table: given.table(index, start, end.saturating_sub(1))?,
    })
}

/// A place of the corpus where the answer's words from `start` on stand: proves that a span is missing or
/// lies in a longer one.
///
/// Errors: a place beyond the corpus.
pub fn span_occurrence(
    index: &Index,
    given: &Given<'_>,
    start: u32,
    position: u64,
) -> Result<SpanOccurrence> {
    let from = u64::from(start);
    let rest = given.tokens.get(start as usize..).unwrap_or_default();
    let separator = index.header().separator;
    let matched = rest
        .iter()
        .zip(position..)
        .take(JUDGED)
        .take_while(|(own, at)| **own != separator && index.token(*at) == Some(**own))
        .count();
    // Nothing behind a sentence's end is looked at.
    let cut = rest.iter().take(matched).position(|id| index.ends_sentence(*id));
    let shown = cut.unwrap_or(matched) as u64;
    Ok(SpanOccurrence {
        answer: given.answer.clone(),
        start,
        position,
        text: given.proof(from, from + shown + 1)?,
        corpus: index.open_tokens(
            position,
            (position + shown + 1).min(index.tokens()).max(position + 1),
        )?,
        table: given.table(index, from, from + shown)?,
    })
}

/// A record that contains a span, at a position, and should be named.
///
/// Errors: no such span, a position of no record.
pub fn span_record_missing(
    index: &Index,
    given: &Given<'_>,
    span: u16,
    position: u64,
) -> Result<SpanRecordMissing> {
    let claimed = given.span(span)?;
    let entry = index.entry_at(position).ok_or(Error::NoSuch {
        kind: "token",
        index: position,
        count: index.tokens(),
    })?;
    Ok(SpanRecordMissing {
        answer: given.answer.clone(),
        span,
        position,
        record: index.open_record(entry)?,
        text: given.proof(u64::from(claimed.start), u64::from(claimed.end))?,
        corpus: index.open_tokens(position, position.saturating_add(u64::from(claimed.length())))?,
    })
}

/// A record that a span names, and the entry of the corpus that it points to.
///
/// Errors: no such span, record or entry.
pub fn named_record(index: &Index, given: &Given<'_>, span: u16, record: u16) -> Result<NamedRecord> {
    let entry = named(given.span(span)?, record)?.entry;
    Ok(NamedRecord {
        answer: given.answer.clone(),
        span: Some(span),
        record,
        corpus: index.open_record(entry)?,
    })
}

/// What a watcher does with an answer: recomputes its spans and returns proof of the first lie it finds about
/// them, none if all is right.
///
/// Of spans with equal information an answer may keep another than the earliest: no evidence tells them
/// apart, and the chain judges neither guilty.
///
/// Errors: an index whose files are damaged.
pub fn audit(index: &Index, given: &Given<'_>) -> Result<Option<BatchEvidence>> {
    let answer = given.answer;
    let length = answer.receipt.output_tokens;
    // Shape first: spans that break their own rules need no corpus to fall.
    if check_spans(given.spans(), length, index.tokens(), index.corpus().count).is_err() {
        return Ok(Some(BatchEvidence::Shape(answer.clone())));
    }
    let pieces = index.pieces(&given.tokens);
    for (at, span) in (0u16..).zip(given.spans()) {
        if let Some(evidence) = audit_span(index, given, at, span)? {
            return Ok(Some(evidence));
        }
        let contains = |piece: &&Piece| piece.start <= span.start && span.end <= piece.end;
        let container = pieces.iter().find(contains);
        if let Some(piece) = container.filter(|piece| (piece.start, piece.end) != (span.start, span.end)) {
            if answer.receipt.terms.tariff.mix.verbatim > 0 {
                return missing(index, given, piece.start, piece.end).map(Some);
            }
        }
    }
    if answer.receipt.terms.tariff.mix.verbatim > 0 {
        let all: Vec<(u32, u32, u64)> = pieces.iter().map(|p| (p.start, p.end, p.information)).collect();
        let room = given.spans().len() < span_limit(length);
        let least = given
            .spans()
            .iter()
            .map(|span| span.information)
            .min()
            .unwrap_or(0);
        for (start, end, information) in select(&all, length) {
            let listed = given
                .spans()
                .iter()
                .any(|span| (span.start, span.end) == (start, end));
            if !listed && (room || information > least) {
                return missing(index, given, start, end).map(Some);
            }
        }
    }
    for (at, span) in (0u16..).zip(given.spans()) {
        for honest in index.records_with(given.words(span))? {
            let listed = span.records.iter().any(|record| record.entry == honest.entry);
            let room = span.records.len() < MAX_SPAN_RECORDS;
            let precedes = span.records.last().is_none_or(|last| honest.entry < last.entry);
            if !listed && (room || precedes) {
                let evidence = span_record_missing(index, given, at, honest.position)?;
                return Ok(Some(BatchEvidence::SpanRecord(evidence)));
            }
        }
    }
    Ok(None)
}

/// What a span shows about itself and its records.
fn audit_span(index: &Index, given: &Given<'_>, at: u16, span: &Span) -> Result<Option<BatchEvidence>> {
    let words = given.words(span);
    if words.len() != span.length() as usize || span.length() > MAX_SPAN {
        return Ok(Some(BatchEvidence::Shape(given.answer.clone())));
    }
    for (n, record) in (0u16..).zip(&span.records) {
        let matches = words
            .iter()
            .zip(record.position..)
            .all(|(own, place)| *own != index.header().separator && index.token(place) == Some(*own));
        if !matches {
            let evidence = span_mismatch(index, given, at, n)?;
            return Ok(Some(BatchEvidence::SpanMismatch(evidence)));
        }
        let (leaf, start) = index.record(record.entry)?;
        if !names(record, span.length(), &leaf, start) {
            let evidence = named_record(index, given, at, n)?;
            return Ok(Some(BatchEvidence::NamedRecord(evidence)));
        }
    }
    let starts = span.start == 0 || words.first().is_some_and(|id| index.starts_word(*id));
    let behind = given.tokens.get(span.end as usize);
    let early = words.iter().rev().skip(1).any(|id| index.ends_sentence(*id));
    let ends = words.last().is_some_and(|id| index.ends_sentence(*id))
        || behind.is_none_or(|id| index.starts_word(*id));
    if !starts || early || !ends {
        return Ok(Some(BatchEvidence::SpanBounds(span_bounds(index, given, at)?)));
    }
    let information: u64 = words
        .iter()
        .filter_map(|id| index.information.get(index.codes.code(*id)? as usize))
        .sum();
    if information != span.information {
        let evidence = span_information(index, given, at)?;
        return Ok(Some(BatchEvidence::SpanInformation(evidence)));
    }
    Ok(None)
}

fn names(record: &SpanRecord, length: u32, leaf: &CorpusLeaf, start: u64) -> bool {
    record.record == leaf.record
        && record.contributor == leaf.contributor
        && start <= record.position
        && record.position + u64::from(length) <= start.saturating_add(u64::from(leaf.tokens))
}

fn missing(index: &Index, given: &Given<'_>, start: u32, end: u32) -> Result<BatchEvidence> {
    let words = given.tokens.get(start as usize..end as usize).unwrap_or_default();
    let places = index.records_with(words)?;
    let place = places
        .first()
        .ok_or_else(|| Error::Wrong("a piece that it found has no place in it".into()))?;
    let evidence = span_occurrence(index, given, start, place.position)?;
    Ok(BatchEvidence::SpanOccurrence(evidence))
}

fn named(span: &Span, record: u16) -> Result<&SpanRecord> {
    span.records.get(usize::from(record)).ok_or(Error::NoSuch {
        kind: "record of the span",
        index: u64::from(record),
        count: span.records.len() as u64,
    })
}

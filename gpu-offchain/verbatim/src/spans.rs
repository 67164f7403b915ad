//! Which pieces of an answer are somebody's words, and whose.

use crate::{
    codes::{by_width, Code},
    search::{View, STEP},
    Index, Result,
};
use openledger_attribution::verbatim::{select, Span, SpanRecord, JUDGED, MAX_SPAN_RECORDS};
use std::collections::BTreeMap;

/// Occurrences in a shard from which on a run is first looked for in the first records.
const FREQUENT: usize = 256;

/// A maximal piece of an answer that occurs in the corpus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// First token of the answer that belongs to it.
    pub start: u32,
    /// First token behind it.
    pub end: u32,
    /// Its information content, in 65,536ths of a bit.
    pub information: u64,
}

/// An answer as the search reads it.
struct Answer<C> {
    /// Codes; tokens that do not occur in the corpus, and separators, have code 0.
    codes: Vec<C>,
    /// For each token where the run of tokens that can match ends.
    ends: Vec<usize>,
    /// For each token the first position from it at which a sentence is over.
    sentences: Vec<usize>,
    /// For each position, the end included, the last word boundary at or before it.
    boundaries: Vec<usize>,
}

impl<C: Code> Answer<C> {
    fn new(index: &Index, output: &[u32]) -> Self {
        let separator = index.header().separator;
        let code = |id: &u32| index.codes.code(*id).filter(|_| *id != separator);
        let codes: Vec<Option<u32>> = output.iter().map(code).collect();
        let (mut ends, mut sentences) = (vec![0; output.len()], vec![0; output.len()]);
        let (mut end, mut sentence) = (output.len(), usize::MAX);
        for (at, id) in output.iter().enumerate().rev() {
            if codes[at].is_none() {
                end = at;
            }
            if index.ends_sentence(*id) {
                sentence = at + 1;
            }
            ends[at] = end;
            sentences[at] = sentence;
        }
        let mut last = 0;
        let boundaries = (0..=output.len()).map(|at| {
            if output.get(at).is_none_or(|id| index.starts_word(*id)) {
                last = at;
            }
            last
        });
        Self {
            boundaries: boundaries.collect(),
            codes: codes.iter().map(|code| C::of(code.unwrap_or(0))).collect(),
            ends,
            sentences,
        }
    }

    /// What can match from `start`: no more than a span has, and nothing behind a sentence's end, which
    /// cuts.
    fn pattern(&self, start: usize) -> &[C] {
        let end = self.ends[start].min(self.sentences[start]).min(start + JUDGED);
        self.codes.get(start..end).unwrap_or_default()
    }

    /// Where a match of so many tokens ends as a span.
    fn end(&self, start: usize, matched: usize) -> Option<usize> {
        let end = start + matched;
        if self.sentences[start] <= end {
            return Some(self.sentences[start]);
        }
        Some(self.boundaries[end]).filter(|boundary| *boundary > start)
    }
}

impl Index {
    /// The maximal pieces of an answer that occur in the corpus, in order, before the least likely of them
    /// are selected; pieces without information are among them.
    pub fn pieces(&self, output: &[u32]) -> Vec<Piece> {
        by_width!(self.width, C => self.pieces_of::<C>(&Answer::new(self, output), output))
    }

    fn pieces_of<C: Code>(&self, answer: &Answer<C>, output: &[u32]) -> Vec<Piece> {
        let views: Vec<View<'_, C>> = (0..self.shards.len()).filter_map(|at| self.view(at)).collect();
        let mut pieces = Vec::new();
        let mut reach = 0;
        for (start, id) in output.iter().enumerate() {
            if start > 0 && !self.starts_word(*id) {
                continue;
            }
            let pattern = answer.pattern(start);
            // Ends never fall as starts rise: a piece that ends no later than another lies in it.
            if answer.end(start, pattern.len()).is_none_or(|end| end <= reach) {
                continue;
            }
            let matched = views
                .iter()
                .map(|view| view.longest(pattern).0)
                .max()
                .unwrap_or(0);
            let Some(end) = answer.end(start, matched).filter(|end| *end > reach) else {
                continue;
            };
            reach = end;
            let codes = &answer.codes[start..end];
            let information = codes
                .iter()
                .map(|code| self.information.get(code.wide() as usize).copied().unwrap_or(0));
            pieces.push(Piece {
                start: start as u32,
                end: end as u32,
                information: information.sum(),
            });
        }
        pieces
    }

    /// The spans of an answer, as a receipt names them.
    ///
    /// Errors: records that are damaged.
    pub fn spans(&self, output: &[u32]) -> Result<Vec<Span>> {
        let pieces: Vec<(u32, u32, u64)> = self
            .pieces(output)
            .iter()
            .map(|piece| (piece.start, piece.end, piece.information))
            .collect();
        let length = u32::try_from(output.len()).unwrap_or(u32::MAX);
        let span = |(start, end, information): (u32, u32, u64)| {
            let words = output.get(start as usize..end as usize).unwrap_or_default();
            Ok(Span {
                start,
                end,
                information,
                records: self.records_with(words)?,
            })
        };
        select(&pieces, length).into_iter().map(span).collect()
    }

    /// The first ten records that contain a run of at most 512 tokens without separator, each with the first
    /// place in it. Of frequent runs most places are passed over, 64 at a time: they lie behind ten records
    /// that are known already.
    ///
    /// Errors: records that are damaged.
    pub fn records_with(&self, words: &[u32]) -> Result<Vec<SpanRecord>> {
        let mut places = BTreeMap::new();
        for shard in 0..self.shards.len() {
            // Shards are in the corpus's order: later ones have later records.
            if places.len() >= MAX_SPAN_RECORDS {
                break;
            }
            by_width!(self.width, C => self.places_in::<C>(shard, words, &mut places));
        }
        let record = |(entry, position): (u64, u64)| {
            let (leaf, _) = self.record(entry)?;
            Ok(SpanRecord {
                entry,
                record: leaf.record,
                contributor: leaf.contributor,
                position,
            })
        };
        places.into_iter().map(record).collect()
    }

    fn places_in<C: Code>(&self, shard: usize, words: &[u32], places: &mut BTreeMap<u64, u64>) {
        let (Some(view), Some(head)) = (self.view::<C>(shard), self.shards().get(shard)) else {
            return;
        };
        let Some(pattern) = self.encode::<C>(words).filter(|pattern| !pattern.is_empty()) else {
            return;
        };
        let ranks = view.find(&pattern);
        // What stands everywhere stands in the first records: a look from the front ends soon.
        if ranks.len() > FREQUENT
            && self.places_from_front(&view, &pattern, head.leaf.from, ranks.len(), places)
        {
            return;
        }
        let least: &[u32] = self.shards.get(shard).map_or(&[], |shard| shard.least.cast());
        // What lies at or behind this offset is of no record that will be named.
        let mut limit = u32::MAX;
        let mut rank = ranks.start;
        while rank < ranks.end {
            if rank % STEP == 0 && least.get(rank / STEP).is_some_and(|least| *least >= limit) {
                rank += STEP;
                continue;
            }
            let Some(offset) = view.suffixes.get(rank) else {
                break;
            };
            rank += 1;
            if *offset >= limit {
                continue;
            }
            let position = head.leaf.from + u64::from(*offset);
            let Some(entry) = self.entry_at(position) else {
                continue;
            };
            places
                .entry(entry)
                .and_modify(|first| *first = position.min(*first))
                .or_insert(position);
            if places.len() > MAX_SPAN_RECORDS {
                places.pop_last();
            }
            if let Some((last, _)) = places
                .last_key_value()
                .filter(|_| places.len() == MAX_SPAN_RECORDS)
            {
                let behind = self.starts.get(*last as usize + 1);
                let behind = behind.map_or(u64::MAX, |behind| behind.saturating_sub(head.leaf.from));
                limit = u32::try_from(behind).unwrap_or(u32::MAX);
            }
        }
    }

    /// Reads a shard's records from the front until ten are known, or until that took as long as looking at
    /// every occurrence would; what was found by then is right.
    fn places_from_front<C: Code>(
        &self,
        view: &View<'_, C>,
        pattern: &[C],
        from: u64,
        occurrences: usize,
        places: &mut BTreeMap<u64, u64>,
    ) -> bool {
        let (Some(first), Some(code)) = (self.entry_at(from), pattern.first()) else {
            return false;
        };
        let mut left = occurrences;
        for (entry, start) in (first..).zip(self.starts.get(first as usize..).unwrap_or_default()) {
            if places.len() >= MAX_SPAN_RECORDS {
                return true;
            }
            let end = self
                .starts
                .get(entry as usize + 1)
                .copied()
                .unwrap_or(self.tokens());
            let (start, end) = ((start - from) as usize, (end.saturating_sub(from)) as usize);
            let Some(text) = view.text.get(start..end.min(view.text.len())) else {
                break;
            };
            let seen = text.get(..left.min(text.len())).unwrap_or_default();
            let starts_there = |at: &usize| text.get(*at..).is_some_and(|rest| rest.starts_with(pattern));
            let mut candidates = seen
                .iter()
                .enumerate()
                .filter(|(_, own)| *own == code)
                .map(|(at, _)| at);
            match candidates.find(starts_there) {
                Some(at) => {
                    places.insert(entry, from + (start + at) as u64);
                    left -= at;
                }
                None if seen.len() < text.len() => return false,
                None => left -= seen.len(),
            }
        }
        true
    }
}

//! Against a search that tries every place.

use super::{build, bytes, common::law, common::Rng, leaf, place};
use crate::{Index, Plan};
use openledger_attribution::{
    text::Window,
    verbatim::{
        canonical_end, check_spans, matched, select, starts_span, Span, SpanRecord, Table, TableLeaf,
        MAX_SPAN_RECORDS,
    },
};
use proptest::prelude::*;

/// A corpus and what it is read with.
struct Case {
    flags: Vec<u8>,
    records: Vec<Vec<u32>>,
}

impl Case {
    fn random(rng: &mut Rng, ids: u64, records: u64, longest: u64) -> Self {
        let flags = (0..ids)
            .map(|_| u8::from(rng.chance(40)) | if rng.chance(10) { 2 } else { 0 })
            .collect();
        let mut texts: Vec<Vec<u32>> = Vec::new();
        for _ in 0..records {
            let mut text = Vec::new();
            let length = rng.below(longest);
            while (text.len() as u64) < length {
                // Copies of earlier records make long matches.
                let from = rng.below(texts.len() as u64 + 2) as usize;
                match texts.get(from).filter(|other| !other.is_empty()) {
                    Some(other) => {
                        let at = rng.below(other.len() as u64) as usize;
                        let rest = &other[at..];
                        text.extend_from_slice(&rest[..rest.len().min(1 + rng.below(longest) as usize)]);
                    }
                    None => text.push(rng.below(ids) as u32),
                }
            }
            texts.push(text);
        }
        Self {
            flags,
            records: texts,
        }
    }

    fn separator(&self) -> u32 {
        self.flags.len() as u32
    }

    fn corpus(&self) -> Window {
        let mut tokens = Vec::new();
        for record in &self.records {
            tokens.extend_from_slice(record);
            tokens.push(self.separator());
        }
        Window {
            start: 0,
            total: tokens.len() as u64,
            tokens,
        }
    }

    fn answer(&self, rng: &mut Rng) -> Vec<u32> {
        let mut answer = Vec::new();
        for _ in 0..rng.below(5) {
            let record = &self.records[rng.below(self.records.len() as u64) as usize];
            if !record.is_empty() && rng.chance(75) {
                let at = rng.below(record.len() as u64) as usize;
                answer.extend(record[at..].iter().take(1 + rng.below(30) as usize));
            } else {
                // Beyond the vocabulary too, and separators.
                answer.extend((0..rng.below(6)).map(|_| rng.below(self.flags.len() as u64 + 3) as u32));
            }
        }
        answer
    }

    fn table(&self) -> Table {
        let corpus = self.corpus();
        // Enough entries for what answers hold beyond the vocabulary.
        let leaves: Vec<TableLeaf> = (0..self.separator() + 3)
            .map(|id| TableLeaf {
                flags: self.flags.get(id as usize).copied().unwrap_or(0),
                count: corpus.tokens.iter().filter(|other| **other == id).count() as u64,
            })
            .collect();
        Table::whole(&leaves).unwrap()
    }

    fn spans(&self, answer: &[u32]) -> Vec<Span> {
        let (corpus, table) = (self.corpus(), self.table());
        let text = Window {
            start: 0,
            tokens: answer.to_vec(),
            total: answer.len() as u64,
        };
        let mut pieces = Vec::new();
        for start in 0..text.total {
            if starts_span(&table, &text, start) != Some(true) {
                continue;
            }
            let longest = (0..corpus.total)
                .map(|at| matched(&text, start, &corpus, at, self.separator()))
                .max()
                .unwrap_or(0);
            if let Some(end) = canonical_end(&table, &text, start, longest).unwrap() {
                let tokens = text.slice(start, end).unwrap();
                pieces.push((start as u32, end as u32, table.information(tokens).unwrap()));
            }
        }
        let span = |(start, end, information): (u32, u32, u64)| {
            let (mut records, mut first) = (Vec::new(), 0u64);
            for (entry, record) in (0u64..).zip(&self.records) {
                let places = first..first + record.len() as u64;
                let found = places.into_iter().find(|at| {
                    matched(&text, u64::from(start), &corpus, *at, self.separator()) >= u64::from(end - start)
                });
                if let Some(position) = found {
                    let leaf = leaf(entry, record);
                    records.push(SpanRecord {
                        entry,
                        record: leaf.record,
                        contributor: leaf.contributor,
                        position,
                    });
                }
                first += record.len() as u64 + 1;
            }
            records.truncate(MAX_SPAN_RECORDS);
            Span {
                start,
                end,
                information,
                records,
            }
        };
        select(&pieces, answer.len() as u32)
            .into_iter()
            .map(span)
            .collect()
    }

    fn count(&self, pattern: &[u32]) -> u64 {
        let corpus = self.corpus().tokens;
        // A run that crosses shards would be cut; runs without separators cross none.
        corpus
            .windows(pattern.len().max(1))
            .filter(|w| *w == pattern)
            .count() as u64
    }

    fn check(&self, index: &Index, rng: &mut Rng) -> Result<(), TestCaseError> {
        let answer = self.answer(rng);
        let spans = index.spans(&answer).unwrap();
        prop_assert_eq!(&spans, &self.spans(&answer));
        let (output, records) = (answer.len() as u32, self.records.len() as u64);
        prop_assert_eq!(check_spans(&spans, output, index.tokens(), records), Ok(()));
        for _ in 0..10 {
            let from = rng.below(answer.len() as u64 + 1) as usize;
            let pattern: Vec<u32> = answer[from..]
                .iter()
                .copied()
                .take(1 + rng.below(12) as usize)
                .filter(|id| *id < self.separator())
                .collect();
            if !pattern.is_empty() {
                prop_assert_eq!(index.count(&pattern).unwrap(), self.count(&pattern));
            }
        }
        Ok(())
    }
}

#[test]
fn spans_and_counts_are_those_of_a_plain_search() {
    law(30, any::<u64>(), |seed| {
        let rng = &mut Rng(seed);
        let ids = [2, 5, 30, 400][rng.below(4) as usize];
        let records = 1 + rng.below(20);
        let case = Case::random(rng, ids, records, 80);
        let mut plan = Plan::new(case.flags.clone(), [7; 32]);
        let total = case.corpus().total;
        plan.shard_tokens = total.div_ceil(1 + rng.below(4)).max(1);
        let (one, two) = (place(), place());
        let index = build(one.path(), &plan, &case.records, 1);
        index.verify(2).unwrap();
        prop_assert_eq!(crate::audit_index(&index, 2).unwrap(), None);
        for _ in 0..4 {
            case.check(&index, rng)?;
        }
        build(two.path(), &plan, &case.records, 2);
        prop_assert_eq!(bytes(one.path()), bytes(two.path()));
        Ok(())
    });
}

#[test]
fn long_matches_end_after_512_tokens() {
    let rng = &mut Rng(super::common::seed());
    // One word over and over: every start matches as far as it may, and keys decide nothing.
    for step in [1, 3] {
        let case = Case {
            flags: vec![1, 0],
            records: vec![
                (0..1_500).map(|at| u32::from(at % step != 0)).collect(),
                vec![0; 700],
            ],
        };
        let dir = place();
        let index = build(
            dir.path(),
            &Plan::new(case.flags.clone(), [0; 32]),
            &case.records,
            2,
        );
        assert_eq!(crate::audit_index(&index, 2).unwrap(), None);
        let answer = case.records[0][..600].to_vec();
        assert_eq!(index.spans(&answer).unwrap(), case.spans(&answer));
        case.check(&index, rng).unwrap();
    }
    let dir = place();
    let index = build(dir.path(), &Plan::new(vec![1], [0; 32]), &[vec![0; 600]], 1);
    assert_eq!(index.count(&[0; 512]).unwrap(), 89);
    assert!(index.count(&[0; 513]).unwrap_err().to_string().contains("512"));
}

#[test]
fn tokens_of_every_width() {
    let rng = &mut Rng(super::common::seed());
    for ids in [255u32, 256, 257, 65_535, 65_537] {
        // Every id occurs, so that codes need the width; then some text over few of them.
        let mut records = vec![(0..ids).collect::<Vec<u32>>()];
        for _ in 0..6 {
            let few: Vec<u32> = (0..5).map(|_| rng.below(u64::from(ids)) as u32).collect();
            records.push((0..60).map(|_| few[rng.below(5) as usize]).collect());
        }
        let mut plan = Plan::new(vec![1; ids as usize], [0; 32]);
        plan.shard_tokens = u64::from(ids);
        let dir = place();
        let index = build(dir.path(), &plan, &records, 2);
        assert_eq!(
            index.width.bytes(),
            [1, 2, 2, 2, 4][[255, 256, 257, 65_535, 65_537]
                .iter()
                .position(|n| *n == ids)
                .unwrap()]
        );
        assert_eq!(crate::audit_index(&index, 2).unwrap(), None);
        let case = Case {
            flags: plan.flags,
            records,
        };
        for record in &case.records[1..] {
            for length in 1..6 {
                let from = rng.below(50) as usize;
                let pattern = &record[from..from + length];
                assert_eq!(index.count(pattern).unwrap(), case.count(pattern));
            }
        }
        let answer: Vec<u32> = case.records[2..4].concat();
        if ids < 1_000 {
            assert_eq!(index.spans(&answer).unwrap(), case.spans(&answer));
        }
    }
}

#[test]
fn nothing_is_in_an_empty_corpus() {
    for records in [vec![], vec![vec![]], vec![vec![], vec![]]] {
        let dir = place();
        let index = build(dir.path(), &Plan::new(vec![1; 4], [0; 32]), &records, 2);
        assert_eq!(index.tokens(), records.len() as u64);
        assert_eq!(index.spans(&[0, 1, 4, 2]).unwrap(), []);
        assert_eq!(index.spans(&[]).unwrap(), []);
        assert_eq!(index.count(&[1]).unwrap(), 0);
        assert_eq!(crate::audit_index(&index, 1).unwrap(), None);
    }
}

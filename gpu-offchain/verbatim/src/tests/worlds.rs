//! Honest worlds, and answers that lie about their spans.

use super::common::{
    law,
    watch::{assert_innocent, batch_facts, batch_guilt, index_facts, index_guilt, Grove},
    world::{flags, stream, World, TOKEN_IDS},
    Rng,
};
use super::place;
use crate::{
    audit, audit_index, named_record, span_bounds, span_information, span_mismatch, span_occurrence,
    span_record_missing, suffix_gap, suffix_pair, Builder, Given, Index, Plan,
};
use openledger_attribution::{
    record::{unpack, RecordId},
    verbatim::SuffixLeaf,
    verdict::*,
};
use proptest::prelude::*;
use std::path::Path;

/// The world's corpus indexed by this crate, shards cut where the world cuts them.
pub(super) fn indexed(world: &World, dir: &Path) -> Index {
    let corpus = stream(&world.index);
    let mut plan = Plan::new((0..TOKEN_IDS).map(flags).collect(), [1; 32]);
    plan.shard_tokens = match world.index.shards.len() {
        1 => corpus.len() as u64 + 1,
        _ => corpus.len() as u64 / 2 + 2,
    };
    let mut builder = Builder::open(dir, &plan).unwrap();
    let mut at = 0;
    for leaf in &world.index.corpus {
        let tokens = &corpus[at..at + leaf.tokens as usize];
        builder.push(leaf, tokens).unwrap();
        at += tokens.len() + 1;
    }
    builder.finish(2).unwrap()
}

/// Gives the world the order of this crate's suffixes. Those that are equal as far as they are judged may stand in any order, and
/// long runs of one token have such.
fn order_as(index: &Index, world: &mut World) {
    let entries = index.shards.iter().zip(index.shards());
    world.index.suffixes = entries
        .map(|(files, head)| {
            let position = |offset: &u32| SuffixLeaf {
                position: head.leaf.from + u64::from(*offset),
            };
            files.suffixes.cast::<u32>().iter().map(position).collect()
        })
        .collect();
    world.recommit_index();
}

fn proof(world: &World, at: usize) -> AnswerProof {
    AnswerProof {
        leaf: Grove::new(&world.settled.receipts).open(at).unwrap(),
        receipt: world.answers[at].receipt,
        attribution: world.answers[at].attribution.clone(),
        draw: None,
    }
}

#[test]
fn an_honest_world_gives_nothing_to_judge() {
    law(10, any::<u64>(), |seed| {
        let rng = &mut Rng(seed);
        let mut world = World::new(seed, false);
        let dir = place();
        let index = indexed(&world, dir.path());
        let is_same = *index.header() == world.index.header.verbatim;
        if !is_same || seed % 4 == 0 {
            let plain = world.index.header.verbatim;
            order_as(&index, &mut world);
            prop_assert_eq!(*index.header(), world.index.header.verbatim);
            prop_assert_eq!(index.header().tokens, plain.tokens);
            prop_assert_eq!(index.header().table, plain.table);
            assert_innocent(&index_guilt(&world))?;
        }
        prop_assert_eq!(index.corpus(), world.index.header.corpus);
        index.verify(2).unwrap();
        prop_assert_eq!(audit_index(&index, 2).unwrap(), None);
        for answer in &mut world.answers {
            let output: Vec<u32> = answer
                .output
                .iter()
                .flat_map(|leaf| leaf.tokens.clone())
                .collect();
            let spans = index.spans(&output).unwrap();
            prop_assert_eq!(&spans, &answer.attribution.spans);
        }
        // A batch names the index that it was made with.
        let answers = if is_same { world.answers.len() } else { 0 };
        for at in 0..answers {
            let proof = proof(&world, at);
            let given = Given::new(&proof, &world.answers[at].output).unwrap();
            prop_assert_eq!(audit(&index, &given).unwrap(), None);
            for evidence in all_about(&index, &given, &proof) {
                let verdict = judge_batch(&batch_facts(&world), &evidence, &world.keys());
                prop_assert_eq!(verdict, Verdict::NotProven(Doubt::Right), "{:?}", evidence);
            }
        }
        for (shard, head) in index.shards().iter().enumerate() {
            for _ in 0..5 {
                let rank = rng.below(head.leaf.length());
                let position = head.leaf.from + rng.below(head.leaf.length());
                let length = 1 + rng.below(20.min(head.leaf.to - position)) as u16;
                let gap = suffix_gap(&index, shard as u64, position, length).unwrap();
                let mut evidence = vec![IndexEvidence::SuffixGap(gap)];
                if rank + 1 < head.leaf.length() {
                    let pair = suffix_pair(&index, shard as u64, rank).unwrap();
                    evidence.push(IndexEvidence::SuffixPair(pair));
                }
                for evidence in evidence {
                    let verdict = judge_index(&index_facts(&world), &evidence);
                    prop_assert_eq!(verdict, Verdict::NotProven(Doubt::Right), "{:?}", evidence);
                }
            }
        }
        Ok(())
    });
}

/// Every piece of evidence about an answer's spans.
fn all_about(index: &Index, given: &Given<'_>, proof: &AnswerProof) -> Vec<BatchEvidence> {
    let mut all = Vec::new();
    for (at, span) in (0u16..).zip(&proof.attribution.spans) {
        all.push(BatchEvidence::SpanBounds(span_bounds(index, given, at).unwrap()));
        all.push(BatchEvidence::SpanInformation(
            span_information(index, given, at).unwrap(),
        ));
        for (n, record) in (0u16..).zip(&span.records) {
            all.push(BatchEvidence::SpanMismatch(
                span_mismatch(index, given, at, n).unwrap(),
            ));
            all.push(BatchEvidence::NamedRecord(
                named_record(index, given, at, n).unwrap(),
            ));
            let place = record.position;
            all.push(BatchEvidence::SpanRecord(
                span_record_missing(index, given, at, place).unwrap(),
            ));
            all.push(BatchEvidence::SpanOccurrence(
                span_occurrence(index, given, span.start, place).unwrap(),
            ));
        }
    }
    all
}

#[test]
fn the_chain_answers_requests_with_the_index() {
    law(10, any::<u64>(), |seed| {
        let mut world = World::new(seed, false);
        let dir = place();
        let index = indexed(&world, dir.path());
        order_as(&index, &mut world);
        prop_assert_eq!(*index.header(), world.index.header.verbatim);
        let facts = RevealFacts {
            index: Some(&world.index.header),
            ..RevealFacts::default()
        };
        let length = index.shards()[0].leaf.length();
        for wanted in [
            Wanted::Tokens(0),
            Wanted::Table(3),
            Wanted::Table(u64::from(TOKEN_IDS)),
            Wanted::Shard(0),
            Wanted::Corpus(0),
            Wanted::Suffixes((0, 0, 7)),
            Wanted::Suffixes((0, length - 1, 300)),
            Wanted::Suffixes((0, length + 5, 2)),
            Wanted::Count((0, 2)),
            Wanted::Count((0, u64::from(TOKEN_IDS) + 1)),
            Wanted::Count((0, 1 << 40)),
        ] {
            let reveal = index.reveal(&wanted).unwrap().unwrap();
            prop_assert!(facts.answers(&wanted, &reveal), "{:?}", wanted);
        }
        prop_assert_eq!(index.reveal(&Wanted::Row(0)).unwrap(), None);
        prop_assert!(index.reveal(&Wanted::Tokens(1 << 40)).is_err());
        Ok(())
    });
}

/// Changes the spans of an answer, or says that they have no place for this lie.
type Lie = fn(&mut World, usize, &mut Rng) -> bool;

fn spans_of(world: &mut World, at: usize) -> &mut Vec<openledger_attribution::verbatim::Span> {
    &mut world.answers[at].attribution.spans
}

fn any_span<'a>(
    world: &'a mut World,
    at: usize,
    rng: &mut Rng,
) -> Option<&'a mut openledger_attribution::verbatim::Span> {
    let spans = spans_of(world, at);
    let length = spans.len() as u64;
    spans.get_mut(rng.below(length.max(1)) as usize)
}

fn lies() -> Vec<(&'static str, Lie)> {
    vec![
        ("a span left out", |world, at, rng| {
            let spans = spans_of(world, at);
            if spans.is_empty() {
                return false;
            }
            let gone = rng.below(spans.len() as u64) as usize;
            spans.remove(gone);
            true
        }),
        ("another place", |world, at, rng| {
            let far = rng.below(40);
            any_span(world, at, rng).is_some_and(|span| {
                let record = span.records.last_mut().unwrap();
                record.position += 1 + far;
                true
            })
        }),
        ("more information", |world, at, rng| {
            any_span(world, at, rng).is_some_and(|span| {
                span.information += 1;
                true
            })
        }),
        ("a record left out", |world, at, rng| {
            any_span(world, at, rng).is_some_and(|span| {
                span.records.pop();
                true
            })
        }),
        ("another's record", |world, at, rng| {
            any_span(world, at, rng).is_some_and(|span| {
                span.records[0].contributor = [0x55; 32];
                true
            })
        }),
        ("another record's name", |world, at, rng| {
            any_span(world, at, rng).is_some_and(|span| {
                span.records[0].record = RecordId {
                    contribution: 99,
                    index: 0,
                };
                true
            })
        }),
        ("a shorter span", |world, at, rng| {
            any_span(world, at, rng).is_some_and(|span| {
                span.end -= 1;
                span.end > span.start
            })
        }),
        ("a longer span", |world, at, rng| {
            let length = world.answers[at].receipt.output_tokens;
            any_span(world, at, rng).is_some_and(|span| {
                span.end += 1;
                span.end <= length
            })
        }),
        ("a later start", |world, at, rng| {
            any_span(world, at, rng).is_some_and(|span| {
                span.start += 1;
                for record in &mut span.records {
                    record.position += 1;
                }
                span.end > span.start
            })
        }),
        ("a piece of a span that is one by itself", |world, at, rng| {
            let output: Vec<u32> = world.answers[at]
                .output
                .iter()
                .flat_map(|leaf| leaf.tokens.clone())
                .collect();
            let total: u64 = world.index.table.iter().map(|leaf| leaf.count).sum();
            let table = world.index.table.clone();
            any_span(world, at, rng).is_some_and(|span| {
                let word = |at: u32| flags(output[at as usize]) & 1 != 0;
                let Some(start) = (span.start + 1..span.end).find(|at| word(*at)) else {
                    return false;
                };
                for record in &mut span.records {
                    record.position += u64::from(start - span.start);
                }
                span.start = start;
                span.information = (start..span.end)
                    .map(|at| table[output[at as usize] as usize].information(total))
                    .sum();
                true
            })
        }),
    ]
}

fn is_about_spans(guilt: &Guilt) -> bool {
    matches!(
        guilt,
        Guilt::SpanMismatch
            | Guilt::SpanBounds
            | Guilt::SpanNotMaximal
            | Guilt::SpanMissing
            | Guilt::SpanInformation
            | Guilt::SpanRecordMissing
            | Guilt::WrongRecord
            | Guilt::Shape(_)
    )
}

#[test]
fn what_a_watcher_can_prove_the_audit_proves() {
    let planted = std::sync::Mutex::new(std::collections::BTreeMap::new());
    law(12, any::<u64>(), |seed| {
        let rng = &mut Rng(seed);
        let honest = World::new(seed, false);
        let dir = place();
        let index = indexed(&honest, dir.path());
        if *index.header() != honest.index.header.verbatim {
            return Ok(()); // its batches name an index of another order
        }
        for (name, lie) in lies() {
            let mut world = honest.clone();
            let at = rng.below(world.answers.len() as u64) as usize;
            if !lie(&mut world, at, rng) {
                continue;
            }
            world.recommit_answers(at);
            let provable = batch_guilt(&world).iter().any(is_about_spans);
            let proof = proof(&world, at);
            let given = Given::new(&proof, &world.answers[at].output).unwrap();
            match audit(&index, &given).unwrap() {
                None => prop_assert!(!provable, "{name} goes unseen"),
                Some(evidence) => {
                    let verdict = judge_batch(&batch_facts(&world), &evidence, &world.keys());
                    prop_assert!(verdict.is_guilty(), "{name}: {verdict:?} for {evidence:?}");
                    *planted.lock().unwrap().entry(name).or_insert(0) += 1;
                }
            }
        }
        Ok(())
    });
    // Every lie found its place at least once.
    assert_eq!(planted.lock().unwrap().len(), lies().len(), "{planted:?}");
}

#[test]
fn a_text_of_another_answer_is_refused() {
    let world = (0..)
        .map(|seed| World::new(seed, false))
        .find(|world| world.answers.len() > 1);
    let world = world.unwrap();
    assert_innocent(&batch_guilt(&world)).unwrap();
    let proof = proof(&world, 0);
    assert!(Given::new(&proof, &world.answers[1].output).is_err());
    let (before, _) = unpack(world.index.header.corpus.sum);
    assert!(before > 0);
}

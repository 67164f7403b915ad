//! Quoted words of the primitives' own honest world, found again; and every lie about them that is planted is told, with evidence
//! that convinces the chain's judge.

#[path = "../../primitives/attribution/tests/common/mod.rs"]
mod common;

use common::{
    seed,
    watch::batch_facts,
    world::{flags, stream, World, TOKEN_IDS},
    Rng,
};
use openledger_attribution::tree::{Leaf, Opening, Tree};
use openledger_cli::{
    evidence::batch::{Batch as Known, Published, Search, Shown},
    proof::{differences, recompute, span_differences, Answer, Index},
    words::Words,
};
use openledger_verbatim::{Builder, Plan};
use std::{collections::BTreeMap, sync::Arc};

/// Worlds whose suffix arrays stand in the same order as ours: equal suffixes may stand in any.
fn worlds() -> Vec<(u64, World, Arc<Words>)> {
    let mut rng = Rng(seed());
    let found = (0..40).map(|_| rng.next()).filter_map(|seed| {
        let world = World::new(seed, false);
        let corpus = stream(&world.index);
        let dir = tempfile::tempdir().unwrap();
        let mut plan = Plan::new((0..TOKEN_IDS).map(flags).collect(), [1; 32]);
        plan.shard_tokens = match world.index.shards.len() {
            1 => corpus.len() as u64 + 1,
            _ => corpus.len() as u64 / 2 + 2,
        };
        let mut builder = Builder::open(dir.path(), &plan).unwrap();
        let mut at = 0;
        for leaf in &world.index.corpus {
            builder
                .push(leaf, &corpus[at..at + leaf.tokens as usize])
                .unwrap();
            at += leaf.tokens as usize + 1;
        }
        let built = builder.finish(1).unwrap();
        if *built.header() != world.index.header.verbatim {
            let error = Words::of_folder(dir.path(), &world.index.header).unwrap_err();
            assert!(error.contains("not the one that the index commits to"), "{error}");
            return None;
        }
        let words = Words::of_folder(dir.path(), &world.index.header).unwrap();
        Some((seed, world, Arc::new(words)))
    });
    found.collect::<Vec<_>>()
}

fn opened<L: Leaf>(leaves: &[L]) -> Vec<Opening<L>> {
    let tree = Tree::new(leaves).unwrap();
    (0u64..)
        .zip(leaves)
        .map(|(n, leaf)| tree.open(n, leaf).unwrap())
        .collect()
}

fn index(world: &World, words: &Arc<Words>) -> Index {
    let rows = opened(&world.index.rows);
    let mut index = Index::new(world.index.header, world.index.layout.clone(), rows).unwrap();
    index.words = Some(words.clone());
    index
}

fn answers(world: &World, with_texts: bool) -> Vec<Answer> {
    let answers = world.answers.iter().map(|answer| Answer {
        receipt: answer.receipt,
        attribution: answer.attribution.clone(),
        query: answer.query.clone(),
        output: with_texts.then(|| answer.output.clone()),
    });
    answers.collect()
}

/// What is told about an answer's spans, and whether a watcher proves something of the batch.
fn look(world: &World, words: &Arc<Words>, at: usize, with_texts: bool) -> (Vec<String>, bool) {
    let (index, keys, corpus) = (index(world, words), world.keys(), opened(&world.index.corpus));
    let answers = answers(world, with_texts);
    let published = Published {
        channels: world.settled.channels.clone(),
        receipts: world.settled.receipts.clone(),
        draws: world.ledger.answers.clone(),
        parts: world.ledger.parts.clone(),
        credits: world.ledger.credits.clone(),
        answers: answers
            .iter()
            .map(|answer| Shown {
                receipt: Some(answer.receipt),
                attribution: Some(answer.attribution.clone()),
                query: Some(answer.query.clone()),
            })
            .collect(),
    };
    let known = Known::new(
        world.settled.header,
        Some(world.ledger.header),
        published,
        &world.rule,
    );
    let texts: BTreeMap<u64, _> = (0..)
        .zip(&answers)
        .filter_map(|(at, answer)| Some((at, answer.output.clone()?)))
        .collect();
    let search = Search {
        facts: batch_facts(world),
        keys: &keys,
        index: &index,
        corpus: &corpus,
        texts: &texts,
        chosen: &|_| true,
    };
    (
        span_differences(&index, &answers[at]),
        search.run(&known).is_some(),
    )
}

#[test]
fn honest_spans_are_found_again_and_nobody_is_accused() {
    let (mut spans, mut seen) = (0, 0);
    for (seed, world, words) in worlds() {
        let index = index(&world, &words);
        for (at, answer) in answers(&world, true).iter().enumerate() {
            let recomputed = recompute(&index, answer).unwrap();
            assert_eq!(
                recomputed.attribution, answer.attribution,
                "world {seed}, answer {at}"
            );
            assert_eq!(differences(&index, answer, &recomputed), Vec::<String>::new());
            for with_texts in [true, false] {
                let (told, condemned) = look(&world, &words, at, with_texts);
                assert_eq!((told, condemned), (vec![], false), "world {seed}, answer {at}");
            }
            spans += answer.attribution.spans.len();
            seen += 1;
        }
    }
    assert!(
        spans > 20,
        "{spans} spans in {seen} answers are too few to mean anything"
    );
}

/// Plants a lie in the first span of each world's first answer that has one; tells what was seen of it.
fn planted(with_texts: bool, lie: impl Fn(&mut World, usize) -> bool) -> usize {
    let mut seen = 0;
    for (seed, mut world, words) in worlds() {
        let pays = |world: &World, at: usize| world.answers[at].receipt.terms.tariff.mix.verbatim > 0;
        let with_spans = (0..world.answers.len())
            .find(|at| !world.answers[*at].attribution.spans.is_empty() && pays(&world, *at));
        let Some(at) = with_spans else { continue };
        if !lie(&mut world, at) {
            continue;
        }
        world.recommit_answers(at);
        let (told, condemned) = look(&world, &words, at, with_texts);
        assert!(!told.is_empty(), "world {seed}: the lie was not told");
        assert!(condemned, "world {seed}: told, and not proved: {told:?}");
        seen += 1;
    }
    seen
}

#[test]
fn a_span_for_somebody_else_is_proved_without_the_text() {
    let seen = planted(false, |world, at| {
        world.answers[at].attribution.spans[0].records[0].contributor[0] ^= 1;
        true
    });
    assert!(seen > 3, "{seen} worlds had a span");
}

#[test]
fn a_wrong_weight_is_told_by_everybody_and_proved_by_the_consumer() {
    let lie = |world: &mut World, at: usize| {
        world.answers[at].attribution.spans[0].information += 1;
        true
    };
    assert!(planted(true, lie) > 3);
}

#[test]
fn a_span_left_out_is_proved_by_the_consumer() {
    let seen = planted(true, |world, at| {
        world.answers[at].attribution.spans.remove(0);
        true
    });
    assert!(seen > 3, "{seen} worlds had a span");
}

#[test]
fn a_record_left_out_of_a_span_is_proved_by_the_consumer() {
    let seen = planted(true, |world, at| {
        let span = &mut world.answers[at].attribution.spans[0];
        span.records.len() > 1 && {
            span.records.pop();
            true
        }
    });
    assert!(seen > 0, "no world had a span in two records");
}

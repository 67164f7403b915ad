//! The dispute table, row by row: a lie of each kind is planted in honest worlds, committed to, and caught.
//! No verdict is left out: every kind of guilt is reached.

mod common;

use common::{
    plants::{plant_all, plant_numbers, repeat_suffix, About, Plant},
    scale, seed,
    watch::*,
    world::{random_sketch, root, World},
    Rng,
};
use openledger_attribution::{
    attribution::ShapeFlaw,
    list::ListFlaw,
    record::RecordLeaf,
    sketch::{Flaw, SketchLeaf},
    text::TextLeaf,
    tree::Tree,
    verdict::*,
};
use std::collections::{BTreeMap, BTreeSet};

/// Worlds in which each lie is planted.
fn rounds() -> usize {
    6 * scale() as usize
}

#[test]
fn every_lie_is_caught() {
    let (seed, rounds) = (seed(), rounds());
    for (name, about, plant, expected) in plant_all() {
        let mut planted = 0;
        for n in 0..80 * rounds as u64 {
            let mut rng = Rng(seed.wrapping_add(n << 24));
            let mut world = World::new(rng.next(), n % 2 == 0);
            if !plant(&mut world, &mut rng) {
                continue;
            }
            let found = match about {
                About::Batch => batch_guilt(&world),
                About::Index => index_guilt(&world),
                About::Version => version_guilt(&world),
            };
            let found: Vec<String> = found.iter().map(|guilt| format!("{guilt:?}")).collect();
            assert!(
                found
                    .iter()
                    .any(|guilt| expected.iter().any(|name| guilt.starts_with(name))),
                "with ATTRIBUTION_SEED={seed}: world {n}: {name} gave {found:?}"
            );
            planted += 1;
            if planted == rounds {
                break;
            }
        }
        println!("{name}: {planted} planted, all caught");
        assert_eq!(
            planted, rounds,
            "with ATTRIBUTION_SEED={seed}: too few worlds had a place for {name}"
        );
    }
}

#[test]
fn duplicates_belong_to_the_first() {
    let world = World::new(7, false);
    let mut chain = world.chain.clone();
    let ids: Vec<u64> = chain.0.keys().copied().collect();
    let (a, b) = (ids[0], ids[1]);
    let shared = RecordLeaf {
        content: [7; 32],
        bytes: 3,
    };
    for id in [a, b] {
        let (known, leaves) = chain.0.get_mut(&id).unwrap();
        leaves.push(shared);
        known.records = root(leaves);
    }
    let open = |id: u64| {
        let leaves = Grove::new(&chain.0[&id].1);
        leaves.open(leaves.leaves.len() - 1).unwrap()
    };
    let (first, second) = if chain.0[&a].0.reserved < chain.0[&b].0.reserved {
        (a, b)
    } else {
        (b, a)
    };
    let claim = Duplicate {
        first,
        original: open(first),
        second,
        copy: open(second),
    };
    assert_eq!(judge_duplicate(&chain, &claim), Verdict::Guilty(Guilt::Duplicate));
    let turned = Duplicate {
        first: second,
        original: open(second),
        second: first,
        copy: open(first),
    };
    assert!(!judge_duplicate(&chain, &turned).is_guilty());
    let same = Duplicate {
        first,
        original: open(first),
        second: first,
        copy: open(first),
    };
    assert!(!judge_duplicate(&chain, &same).is_guilty());
    let mut other = claim.clone();
    other.copy = Grove::new(&chain.0[&second].1).open(0).unwrap();
    assert!(!judge_duplicate(&chain, &other).is_guilty());
    let unknown = Duplicate { first: 999, ..claim };
    assert_eq!(
        judge_duplicate(&chain, &unknown),
        Verdict::NotProven(Doubt::Facts)
    );
}

#[test]
fn a_query_of_another_number_of_blocks_is_invalid() {
    let mut rng = Rng(3);
    let mut world = World::new(3, false);
    let rule = world.rule.clone();
    let mut blocks = world.answers[0].query.leaves(&rule).unwrap();
    blocks.push(SketchLeaf {
        exponent: 0,
        lanes: vec![100],
    });
    world.answers[0].attribution.query = root(&blocks).hash::<SketchLeaf>();
    world.recommit_answers(0);
    let receipts = Grove::new(&world.settled.receipts);
    let answer = AnswerProof {
        leaf: receipts.open(0).unwrap(),
        receipt: world.answers[0].receipt,
        attribution: world.answers[0].attribution.clone(),
        draw: None,
    };
    let layout = world.index.layout.clone();
    let evidence = BatchEvidence::Query(QueryBlock {
        answer,
        layout,
        root: root(&blocks),
        block: None,
    });
    let verdict = judge_batch(&batch_facts(&world), &evidence, &world.keys());
    assert_eq!(verdict, Verdict::Guilty(Guilt::InvalidQuery(Flaw::Shape)));
    assert!(random_sketch(&mut rng, &world.index.layout, rule.floor())
        .leaves(&rule)
        .is_some());
}

#[test]
fn a_missing_suffix_is_proved_by_its_neighbours() {
    // The entry of one suffix is replaced by another's: besides the repetition, the text that stands there is
    // missing.
    let seed = seed();
    let mut proved = 0;
    for n in 0..60 {
        let mut rng = Rng(seed.wrapping_add(n << 16));
        let mut world = World::new(rng.next(), false);
        if !repeat_suffix(&mut world, &mut rng) {
            continue;
        }
        let facts = index_facts(&world);
        proved += index_evidence(&world)
            .iter()
            .filter(|evidence| matches!(evidence, IndexEvidence::SuffixGap(_)))
            .filter(|evidence| judge_index(&facts, evidence) == Verdict::Guilty(Guilt::SuffixOrder))
            .count();
    }
    println!("{proved} gaps proved");
    assert!(proved > 0, "with ATTRIBUTION_SEED={seed}");
}

#[test]
fn what_is_asked_for_must_be_shown_in_time() {
    let mut world = World::new(11, true);
    let requests: Vec<Wanted> = requests(&world, false)
        .into_iter()
        .chain(requests(&world, true))
        .collect();
    let facts = reveal_facts(&world);
    let mut kinds = BTreeSet::new();
    for wanted in &requests {
        let shown = reveal(&world, wanted);
        assert!(shown.is_some(), "{wanted:?}");
        kinds.insert(format!("{wanted:?}").split('(').next().unwrap().to_string());
        let judge = |shown: Option<&Reveal>, now| judge_reveal(&facts, wanted, shown, 100, now);
        assert_eq!(
            judge(shown.as_ref(), 101),
            Verdict::NotProven(Doubt::Right),
            "{wanted:?}"
        );
        assert_eq!(judge(None, 100), Verdict::NotProven(Doubt::Incomplete));
        assert_eq!(judge(None, 101), Verdict::Guilty(Guilt::Withheld));
        // Another object's reveal is none.
        for other in &requests {
            if other != wanted {
                let shown = reveal(&world, other);
                let same = facts.answers(wanted, shown.as_ref().unwrap());
                assert!(!same, "{other:?} answered {wanted:?}");
            }
        }
    }
    println!("{kinds:?}");
    assert_eq!(kinds.len(), 14);
    // What does not exist cannot be asked for.
    let beyond = Wanted::Receipt(world.settled.header.receipts.count);
    assert_eq!(
        judge_reveal(&facts, &beyond, None, 1, 2),
        Verdict::NotProven(Doubt::Facts)
    );
    // A tree whose sums are made up cannot be opened.
    world.settled.header.receipts.sum += 1;
    let facts = reveal_facts(&world);
    let wanted = Wanted::Receipt(0);
    let shown = reveal(&world, &wanted);
    assert_eq!(
        judge_reveal(&facts, &wanted, shown.as_ref(), 1, 2),
        Verdict::Guilty(Guilt::Withheld)
    );
}

#[test]
fn records_are_revealed_in_canonical_form() {
    let body = b"the cat sat on the mat".to_vec();
    let leaf = RecordLeaf {
        content: openledger_attribution::hash::keccak(&[&body]),
        bytes: body.len() as u32,
    };
    let tree = Tree::new(&[leaf]).unwrap();
    let contribution = Contribution {
        contributor: [1; 32],
        records: tree.root(),
        reserved: 1,
    };
    let facts = RevealFacts {
        contribution: Some(&contribution),
        ..RevealFacts::default()
    };
    let opening = tree.open(0, &leaf).unwrap();
    assert!(facts.answers(
        &Wanted::Record(0),
        &Reveal::Record((opening.clone(), body.clone()))
    ));
    let mut other = body;
    other[0] ^= 1;
    assert!(!facts.answers(&Wanted::Record(0), &Reveal::Record((opening, other))));
}

#[test]
fn a_text_root_of_another_shape_is_a_wrong_count() {
    let mut world = World::new(5, false);
    // Two half-full chunks count right and are still no text.
    let halves: Vec<TextLeaf> = (0..2)
        .map(|n| TextLeaf {
            salt: [n; 32],
            tokens: vec![1, 2, 3],
        })
        .collect();
    let text = root(&halves);
    world.answers[0].receipt.output = text.hash::<TextLeaf>();
    world.answers[0].receipt.output_tokens = 6;
    world.recommit_answers(0);
    let leaf = Grove::new(&world.settled.receipts).open(0).unwrap();
    let receipt = world.answers[0].receipt;
    let evidence = BatchEvidence::Count(TextCount {
        leaf,
        receipt,
        output: Flag(true),
        root: text,
    });
    let verdict = judge_batch(&batch_facts(&world), &evidence, &world.keys());
    assert_eq!(verdict, Verdict::Guilty(Guilt::WrongCount));
}

/// A span that claims four thousand million tokens is a matter of shape, and costs no other judge anything.
#[test]
fn an_endless_span_is_judged_at_once() {
    let seed = seed();
    for n in 0..60 {
        let mut rng = Rng(seed.wrapping_add(n << 16));
        let mut world = World::new(rng.next(), false);
        let Some(at) = (0..world.answers.len()).find(|at| !world.answers[*at].attribution.spans.is_empty())
        else {
            continue;
        };
        let honest = batch_evidence(&world);
        let mismatch = honest.into_iter().find_map(|evidence| match evidence {
            BatchEvidence::SpanMismatch(evidence) if evidence.answer.leaf.index == at as u64 => {
                Some(evidence)
            }
            _ => None,
        });
        let mut mismatch = mismatch.unwrap();
        world.answers[at].attribution.spans[0].end = u32::MAX;
        world.recommit_answers(at);
        mismatch.answer = AnswerProof {
            leaf: Grove::new(&world.settled.receipts).open(at).unwrap(),
            receipt: world.answers[at].receipt,
            attribution: world.answers[at].attribution.clone(),
            draw: None,
        };
        mismatch.span = 0;
        let (facts, keys) = (batch_facts(&world), world.keys());
        let start = std::time::Instant::now();
        let shape = judge_batch(&facts, &BatchEvidence::Shape(mismatch.answer.clone()), &keys);
        assert!(matches!(shape, Verdict::Guilty(Guilt::Shape(_))));
        let verdict = judge_batch(&facts, &BatchEvidence::SpanMismatch(mismatch), &keys);
        assert_eq!(verdict, Verdict::NotProven(Doubt::Unrelated));
        assert!(start.elapsed().as_millis() < 500, "with ATTRIBUTION_SEED={seed}");
        return;
    }
    panic!("with ATTRIBUTION_SEED={seed}: no world had a span");
}

/// Number of a kind of guilt. A new kind does not compile until it is here.
fn number(guilt: &Guilt) -> usize {
    match guilt {
        Guilt::WrongScore => 0,
        Guilt::NotEligible => 1,
        Guilt::RowLeftOut => 2,
        Guilt::InvalidQuery(_) => 3,
        Guilt::Shape(ShapeFlaw::List(ListFlaw::Order)) => 4,
        Guilt::Shape(_) => 5,
        Guilt::WrongContributor => 6,
        Guilt::WrongRecord => 7,
        Guilt::Receipt(_) => 8,
        Guilt::Unsigned => 9,
        Guilt::OtherChain => 10,
        Guilt::Expired => 11,
        Guilt::OtherBatch => 12,
        Guilt::WrongLeaf => 13,
        Guilt::WrongKind => 14,
        Guilt::WrongCount => 15,
        Guilt::ReceiptsDisordered => 16,
        Guilt::ReceiptsBroken => 17,
        Guilt::NotChained => 18,
        Guilt::WrongCursor => 19,
        Guilt::ChannelsDisordered => 20,
        Guilt::ChannelMissing => 21,
        Guilt::WrongTotals => 22,
        Guilt::Batch(_) => 23,
        Guilt::WrongDraw => 24,
        Guilt::WrongForfeit => 25,
        Guilt::PartsDisordered => 26,
        Guilt::PartWithoutSource => 27,
        Guilt::WrongPart => 28,
        Guilt::PartMissing => 29,
        Guilt::CreditsDisordered => 30,
        Guilt::CreditShape => 31,
        Guilt::CreditRange => 32,
        Guilt::CreditSum => 33,
        Guilt::CreditMissing => 34,
        Guilt::SpanMismatch => 35,
        Guilt::SpanBounds => 36,
        Guilt::SpanNotMaximal => 37,
        Guilt::SpanMissing => 38,
        Guilt::SpanInformation => 39,
        Guilt::SpanRecordMissing => 40,
        Guilt::IndexOrder => 41,
        Guilt::Index(_) => 42,
        Guilt::WrongRow => 43,
        Guilt::RowsDisordered => 44,
        Guilt::InvalidRow(_) => 45,
        Guilt::WrongCorpus => 46,
        Guilt::InvalidChunk => 47,
        Guilt::WrongTokens => 48,
        Guilt::InvalidShard => 49,
        Guilt::SuffixRange => 50,
        Guilt::SuffixTwice => 51,
        Guilt::SuffixOrder => 52,
        Guilt::TokenCount => 53,
        Guilt::InvalidBasis => 54,
        Guilt::NotOrthonormal => 55,
        Guilt::VersionDisordered => 56,
        Guilt::WrongVersionRecord => 57,
        Guilt::WrongRepresentative => 58,
        Guilt::Duplicate => 59,
        Guilt::Withheld => 60,
        Guilt::Recomputed(_) => 61,
    }
}

#[test]
fn every_kind_of_guilt_is_reached() {
    let seed = seed();
    let mut seen: BTreeMap<usize, Guilt> = BTreeMap::new();
    // Found by a test of its own, above.
    seen.insert(number(&Guilt::Duplicate), Guilt::Duplicate);
    // By committees alone.
    let recomputed = Guilt::Recomputed(Asked::Query);
    seen.insert(number(&recomputed), recomputed);
    let all: Vec<(About, Plant)> = plant_all()
        .into_iter()
        .map(|(_, about, plant, _)| (about, plant))
        .chain(plant_numbers())
        .collect();
    for n in 0..60 {
        for (about, plant) in &all {
            let mut rng = Rng(seed.wrapping_add(n << 32));
            let mut world = World::new(rng.next(), n % 2 == 0);
            if !plant(&mut world, &mut rng) {
                continue;
            }
            let found = match about {
                About::Batch => batch_guilt(&world),
                About::Index => index_guilt(&world),
                About::Version => version_guilt(&world),
            };
            for guilt in found {
                assert!(!guilt.to_string().is_empty());
                seen.entry(number(&guilt)).or_insert(guilt);
            }
        }
        if seen.len() == 62 {
            break;
        }
    }
    let missing: Vec<usize> = (0..62).filter(|number| !seen.contains_key(number)).collect();
    assert!(
        missing.is_empty(),
        "with ATTRIBUTION_SEED={seed}: kinds of guilt never reached: {missing:?}"
    );
}

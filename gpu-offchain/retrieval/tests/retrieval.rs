//! The same ranks as a plain search that scores every chunk by the formula as it is written; commitments that
//! open; files that are whole or refused.

use openledger_attribution::{
    attribution::{Attribution, Bounds, MAX_RETRIEVED},
    hash::{keccak, NONE},
    record::{CorpusLeaf, RecordId},
    verbatim::log2,
};
use openledger_retrieval::{
    postings_hash, retrieved, score::Scale, terms, Builder, Error, Hit, Index, Rules, TermProof,
};
use proptest::{prelude::*, test_runner::*};
use std::collections::{BTreeMap, BTreeSet};

fn seed() -> u64 {
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = std::env::var("RETRIEVAL_SEED")
        .map_or_else(|_| clock.unwrap().as_nanos() as u64, |text| text.parse().unwrap());
    println!("seed {seed} (again with RETRIEVAL_SEED={seed})");
    seed
}

fn law<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let seed = seed();
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let key = keccak(&[&seed.to_be_bytes()]);
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &key));
    if let Err(error) = runner.run(&strategy, test) {
        panic!("with RETRIEVAL_SEED={seed}: {error}");
    }
}

fn words() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        4 => "[a-e]{1,2}",
        1 => "[A-Z][a-z]{0,3}",
        1 => Just("caf\u{E9}".to_owned()),
        1 => Just("\u{65E5}\u{672C}".to_owned()),
        1 => Just("\u{130}x".to_owned()),
    ];
    let gap = prop_oneof![Just(" "), Just(", "), Just("\n"), Just(".")];
    proptest::collection::vec((word, gap), 0..40)
        .prop_map(|pieces| pieces.into_iter().map(|(word, gap)| word + gap).collect())
}

fn build(rules: Rules, texts: &[String]) -> Index {
    let mut builder = Builder::new(rules).unwrap();
    for text in texts {
        builder.push(text).unwrap();
    }
    builder.finish().unwrap()
}

fn list(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    terms(text, |_, term| all.push(term.to_owned()));
    all
}

/// Scores of all chunks, from the formula and nothing of the index: (record, terms, score).
fn plain(rules: Rules, texts: &[String], query: &str) -> Vec<(u64, u64)> {
    let mut chunks: Vec<(u64, Vec<String>)> = Vec::new();
    for (entry, text) in (0u64..).zip(texts) {
        for chunk in list(text).chunks(usize::from(rules.chunk)) {
            chunks.push((entry, chunk.to_vec()));
        }
    }
    let n = chunks.len() as u128;
    let total: u128 = chunks.iter().map(|(_, terms)| terms.len() as u128).sum();
    let (k1, b) = (u128::from(rules.k1), u128::from(rules.b));
    let score = |terms: &Vec<String>| -> u64 {
        let mut sum = 0;
        for term in list(query) {
            let tf = terms.iter().filter(|other| **other == term).count() as u128;
            let df = chunks.iter().filter(|(_, terms)| terms.contains(&term)).count() as u64;
            if tf > 0 {
                let idf = u128::from(log2(2 * n as u64 + 2) - log2(2 * df + 1));
                let under = tf * 1_000_000 * total + k1 * ((1_000 - b) * total + b * terms.len() as u128 * n);
                sum += (idf * tf * (k1 + 1_000) * 1_000 * total / under) as u64;
            }
        }
        sum
    };
    chunks
        .iter()
        .map(|(entry, terms)| (*entry, score(terms)))
        .collect()
}

fn leaf(entry: u64) -> Result<CorpusLeaf, ()> {
    Ok(CorpusLeaf {
        source: 0,
        record: RecordId {
            contribution: entry,
            index: 1,
        },
        contributor: [(entry % 250) as u8; 32],
        content: NONE,
        tokens: 1,
    })
}

#[test]
fn ranks_are_those_of_the_formula() {
    let rules = (1u16..30, 0u16..3_000, 0u16..=1_000).prop_map(|(chunk, k1, b)| Rules { chunk, k1, b });
    let texts = proptest::collection::vec(words(), 0..12);
    law(
        400,
        (rules, texts, words(), 0usize..40),
        |(rules, texts, query, top)| {
            let index = build(rules, &texts);
            let shown = index.search(&query, top).unwrap();
            let mut expected: Vec<(u64, u32, u64)> = (0u32..)
                .zip(plain(rules, &texts, &query))
                .filter(|(_, (_, score))| *score > 0)
                .map(|(chunk, (entry, score))| (score, chunk, entry))
                .collect();
            expected.sort_by_key(|(score, chunk, _)| (std::cmp::Reverse(*score), *chunk));
            expected.truncate(top);
            let found: Vec<(u64, u32, u64)> = shown
                .iter()
                .map(|hit| (hit.score, hit.chunk, hit.leaf.entry))
                .collect();
            prop_assert_eq!(found, expected);

            // What is shown is the piece of the record that has these terms.
            for hit in &shown {
                let text = &texts[hit.leaf.entry as usize];
                let piece = &text[hit.leaf.start as usize..hit.leaf.end as usize];
                prop_assert_eq!(list(piece).len(), hit.leaf.terms as usize);
                let opening = index.open_chunk(u64::from(hit.chunk)).unwrap();
                prop_assert_eq!(opening.leaf, hit.leaf);
                prop_assert!(opening.verify(&index.header().chunks).is_some());
            }

            // An attribution takes the records as they are named, each once, best first.
            let named = retrieved(&shown, leaf).unwrap();
            let entries: BTreeSet<u64> = shown.iter().map(|hit| hit.leaf.entry).collect();
            prop_assert_eq!(named.len(), entries.len().min(MAX_RETRIEVED));
            let attribution = Attribution {
                query: NONE,
                list: vec![],
                spans: vec![],
                retrieved: named,
            };
            let bounds = Bounds {
                top: 1,
                rows: 0,
                records: texts.len() as u64,
                corpus: 0,
                output: 1,
            };
            prop_assert_eq!(attribution.check(&bounds), Ok(()));
            let shares = attribution.retrieved_shares().unwrap();
            prop_assert!(shares.is_sorted_by(|a, b| a >= b));
            index.verify(texts.iter().map(String::as_str)).unwrap();
            Ok(())
        },
    );
}

#[test]
fn terms_open_or_are_proved_missing() {
    law(150, proptest::collection::vec(words(), 1..8), |texts| {
        let index = build(Rules::default(), &texts);
        let mut all: BTreeMap<String, u64> = BTreeMap::new();
        for text in &texts {
            for term in list(text) {
                *all.entry(term).or_default() += 1;
            }
        }
        for (term, times) in &all {
            let TermProof::Known { opening, postings } = index.open_term(term).unwrap() else {
                return Err(TestCaseError::fail("a term of a text is missing"));
            };
            prop_assert!(opening.verify(&index.header().terms).is_some());
            prop_assert_eq!(opening.leaf.postings, postings_hash(postings));
            let sum: u64 = postings.iter().map(|posting| u64::from(posting.count)).sum();
            prop_assert_eq!(sum, *times);
        }
        for term in ["1zz", "a b", "", "2qq"] {
            let TermProof::Missing(gap) = index.open_term(term).unwrap() else {
                return Err(TestCaseError::fail("a term of no text is known"));
            };
            prop_assert!(gap.excludes(&keccak(&[term.as_bytes()]), &index.header().terms));
        }
        Ok(())
    });
}

#[test]
fn another_corpus_is_another_index() {
    let texts = ["one two three", "two three four", "five"].map(str::to_owned);
    let index = build(Rules::default(), &texts);
    let mut hashes = BTreeSet::from([index.hash()]);
    let mut other = texts.clone();
    other[1].push_str(" six");
    assert!(matches!(
        index.verify(other.iter().map(String::as_str)),
        Err(Error::Wrong(_))
    ));
    assert!(hashes.insert(build(Rules::default(), &other).hash()));
    other.swap(0, 1);
    assert!(hashes.insert(build(Rules::default(), &other).hash()));
    let rules = Rules {
        k1: 1_201,
        ..Rules::default()
    };
    assert!(hashes.insert(build(rules, &texts).hash()));
    // A record without a term still has its place.
    let padded = [String::new(), texts[0].clone()];
    let index = build(Rules::default(), &padded);
    assert!(hashes.insert(index.hash()));
    assert_eq!(index.search("one", 1).unwrap()[0].leaf.entry, 1);
    assert!(hashes.insert(build(Rules::default(), &texts[..1]).hash()));
}

#[test]
fn a_file_is_whole_or_refused() {
    let texts: Vec<String> = (0..30).map(|n| format!("word{n} shared term{}", n % 4)).collect();
    let index = build(Rules::default(), &texts);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("retrieval.bin");
    index.save(&path).unwrap();
    let again = Index::open(&path).unwrap();
    assert_eq!(again.header(), index.header());
    assert_eq!(
        again.search("shared term2", 9).unwrap(),
        index.search("shared term2", 9).unwrap()
    );
    let good = std::fs::read(&path).unwrap();
    for at in (0..good.len()).step_by(97).chain([good.len() - 1]) {
        let mut bad = good.clone();
        bad[at] ^= 4;
        std::fs::write(&path, &bad).unwrap();
        assert!(Index::open(&path).is_err(), "byte {at}");
    }
    std::fs::write(&path, &good[..good.len() - 1]).unwrap();
    assert!(Index::open(&path).is_err());
    assert!(matches!(
        Index::open(&dir.path().join("none")),
        Err(Error::Io { .. })
    ));
}

#[test]
fn terms_are_words_in_small_letters() {
    assert_eq!(
        list("The CAF\u{C9}s' 2nd_menu"),
        ["the", "caf\u{E9}s", "2nd", "menu"]
    );
    assert_eq!(
        list("\u{65E5}\u{672C}go \u{3042}"),
        ["\u{65E5}", "\u{672C}", "go", "\u{3042}"]
    );
    assert_eq!(list(" .,\n"), Vec::<String>::new());
    assert_eq!(list(&"x".repeat(200))[0].len(), 64);
    let mut places = Vec::new();
    terms("\u{E9}a, Bc", |at, _| places.push(at));
    assert_eq!(places, [0, 5]);
}

#[test]
fn scores_do_not_overflow() {
    let scale = Scale {
        rules: Rules {
            chunk: 1,
            k1: u16::MAX,
            b: 1_000,
        },
        chunks: 1 << 32,
        terms: 1 << 40,
    };
    let idf = scale.idf(0);
    assert!(scale.part(idf, u32::MAX, u32::MAX) > 0);
    assert!(scale.part(scale.idf(1 << 32), 1, 1) == 0);
    assert!(Builder::new(Rules {
        chunk: 0,
        ..Rules::default()
    })
    .is_err());
    assert!(Builder::new(Rules {
        b: 1_001,
        ..Rules::default()
    })
    .is_err());
    let none: Vec<Hit> = build(Rules::default(), &[]).search("a", 5).unwrap();
    assert!(none.is_empty());
}

//! Lists are those of the primitives, on every backend and any number of threads; and they find the topic.

mod common;

use common::{seed, Rng, World};
use openledger_attribution::{list::ListBuilder, sketch::SketchLeaf};
use openledger_influence::{cpu_backend, Avx2, Avx512, LaneMatrix, Scalar, ScoreBackend};

fn backends() -> Vec<Box<dyn ScoreBackend>> {
    let mut all: Vec<Box<dyn ScoreBackend>> = vec![Box::new(Scalar)];
    match Avx2::new() {
        Some(avx2) => all.push(Box::new(avx2)),
        None => println!("no AVX2 here: only the scalar backend is tested"),
    }
    match Avx512::new() {
        Some(avx512) => all.push(Box::new(avx512)),
        None => println!("no AVX-512 with VNNI here: it is not tested"),
    }
    all
}

#[test]
fn dot_products_are_the_same_integers_everywhere() {
    let mut rng = Rng(seed());
    for _ in 0..200 {
        let blocks: Vec<u32> = (0..1 + rng.below(5)).map(|_| 1 + rng.below(700) as u32).collect();
        let width: usize = blocks.iter().map(|lanes| *lanes as usize).sum();
        let rows = 1 + rng.below(20) as usize;
        // All bytes, −128 too, and now and then nothing but extremes.
        let extreme = rng.below(4) == 0;
        let mut bytes = |n: usize| -> Vec<i8> {
            let byte = |rng: &mut Rng| match extreme {
                true => [-128i8, 127][rng.below(2) as usize],
                false => rng.next() as i8,
            };
            (0..n).map(|_| byte(&mut rng)).collect()
        };
        let (query, lanes) = (bytes(width), bytes(width * rows));
        let matrix = LaneMatrix {
            id: [0; 32],
            lanes: &lanes,
            blocks: &blocks,
        };
        let from = rng.below(rows as u64) as usize;
        let mut expected = Vec::new();
        for row in lanes.chunks_exact(width).skip(from) {
            let mut at = 0;
            for count in &blocks {
                let block = at..at + *count as usize;
                at = block.end;
                let products = row[block.clone()].iter().zip(&query[block]);
                expected.push(products.map(|(a, b)| i32::from(*a) * i32::from(*b)).sum::<i32>());
            }
        }
        for backend in backends() {
            let mut found = vec![0; expected.len()];
            backend.dots(&matrix, from..rows, &query, &mut found).unwrap();
            assert_eq!(found, expected, "{}", backend.name());
            assert!(backend.dots(&matrix, from..rows + 1, &query, &mut found).is_err());
            assert!(backend
                .dots(&matrix, from..rows, &query[1..], &mut found)
                .is_err());
        }
    }
}

#[test]
fn lists_and_scores_are_those_of_the_primitives() {
    let world = World::new();
    let index = world.build();
    for answer in 0..12 {
        let query = index.query(&world.answer(1 + answer % 4, answer)).unwrap();
        assert_eq!(query.root().hash::<SketchLeaf>(), query.hash());
        assert!(query.open(0).unwrap().verify(&query.root()).is_some());
        let mut expected = ListBuilder::new(index.rule(), query.sketch.view());
        let mut scores = Vec::new();
        for row in 0..index.rows() {
            let leaf = index.row(row).unwrap();
            expected.push(row, &leaf);
            scores.push(
                index
                    .rule()
                    .score(query.sketch.view(), leaf.sketch.view())
                    .unwrap(),
            );
        }
        let expected = expected.finish();
        for backend in backends() {
            for threads in [1, 2, 7] {
                assert_eq!(index.list(&query, backend.as_ref(), threads).unwrap(), expected);
                assert_eq!(index.scores(&query, backend.as_ref(), threads).unwrap(), scores);
            }
        }
        let attribution = index.attribute(&query, cpu_backend(), 2).unwrap();
        assert_eq!((attribution.query, &attribution.list), (query.hash(), &expected));
    }
}

#[test]
fn an_answer_credits_those_whose_topic_it_has() {
    let world = World::new();
    let index = world.build();
    for contribution in 1..=3 {
        let query = index.query(&world.answer(contribution, 77)).unwrap();
        let list = index.list(&query, cpu_backend(), 2).unwrap();
        assert!(!list.is_empty(), "nobody stands out");
        assert!(list
            .iter()
            .all(|entry| entry.contributor == [0xA0 + contribution as u8; 32]));
    }
    // A topic nobody wrote about: at most by chance a row, never one that stands high.
    let query = index.query(&world.answer(1_000, 78)).unwrap();
    let strange = index.list(&query, cpu_backend(), 2).unwrap();
    println!("{} rows stand out for a strange topic", strange.len());
}

#[test]
fn a_published_sketch_is_used_as_it_is_or_refused() {
    let world = World::new();
    let index = world.build();
    let query = index.query(&world.answer(2, 5)).unwrap();
    let again = index.query_from_sketch(query.sketch.clone()).unwrap();
    assert_eq!(again.hash(), query.hash());

    let mut short = query.sketch.clone();
    short.lanes.pop();
    assert!(index.query_from_sketch(short).is_err());
    // Bytes that no gradient gives score with nothing, as the chain sees it.
    let mut invalid = query.sketch.clone();
    invalid.exponents[0] = i8::MAX;
    let invalid = index.query_from_sketch(invalid).unwrap();
    assert!(index.list(&invalid, cpu_backend(), 2).unwrap().is_empty());
    assert!(index
        .scores(&invalid, cpu_backend(), 2)
        .unwrap()
        .iter()
        .all(|score| *score == 0));
}

//! The same scores from an index on disk however the work is done: every backend, one and two threads, queries in any order. 10^6 pairs
//! of 1 KiB in each way, `INFLUENCE_SCALE` times; `make bits` does 10^8.

mod common;

use common::{seed, Rng};
use openledger_attribution::{
    hash::{keccak, Hash, NONE},
    index::IndexRules,
    record::{RecordId, VersionLeaf},
    verbatim::Verbatim,
};
use openledger_influence::{
    Avx2, Avx512, IndexBuilder, IndexPlan, ModuleSpec, Scalar, ScoreBackend, Sketcher, Source, SourceRecord,
    Weights,
};

/// Rows, and queries.
const SIDE: u32 = 1_000;
/// Each way of a layer; 32 × 32 lanes are 1 KiB.
const WIDTH: usize = 32;

fn backends() -> Vec<Box<dyn ScoreBackend>> {
    let mut all: Vec<Box<dyn ScoreBackend>> = vec![Box::new(Scalar)];
    all.extend(Avx2::new().map(|own| Box::new(own) as Box<dyn ScoreBackend>));
    all.extend(Avx512::new().map(|own| Box::new(own) as Box<dyn ScoreBackend>));
    all
}

fn scale() -> u64 {
    std::env::var("INFLUENCE_SCALE").map_or(1, |text| text.parse().expect("INFLUENCE_SCALE is a number"))
}

#[test]
fn scores_should_be_the_same_bits_however_they_are_computed() {
    let mut rng = Rng(seed());
    let mut pairs = 0u64;
    for _ in 0..scale() {
        let module = ModuleSpec {
            name: "layer".into(),
            d_in: WIDTH,
            d_out: WIDTH,
            weights: Weights::Linear,
        };
        let rules = IndexRules {
            projection: WIDTH as u16,
            top: 16,
            rho: 100_000_000,
            z: 100,
            floor: -40,
        };
        let key = rng.hash();
        let sketcher = Sketcher::new(vec![module], rules.projection, &key).unwrap();
        let record = |index: u32| {
            let record = RecordId {
                contribution: 1,
                index,
            };
            let leaf = VersionLeaf {
                record,
                contributor: [1; 32],
                content: [index as u8; 32],
                representative: record,
            };
            SourceRecord { leaf, tokens: 1 }
        };
        let plan = IndexPlan {
            builder: NONE,
            model: 0,
            generation: 0,
            base: NONE,
            adapter: NONE,
            tokenizer: NONE,
            seed: key,
            rules,
            sources: vec![Source {
                datanet: 0,
                version: 0,
                records: (0..SIDE).map(record).collect(),
            }],
            verbatim: Verbatim::NONE,
            retrieval: NONE,
        };
        // Two tokens each, of sizes that differ by orders of magnitude: exponents of all kinds.
        let random = |rng: &mut Rng| {
            let size = (-(rng.below(12) as f32)).exp2();
            let mut gradient = sketcher.start();
            let delta: Vec<f32> = rng
                .floats(2 * WIDTH)
                .into_iter()
                .map(|value| value * size)
                .collect();
            gradient.add(0, &rng.floats(2 * WIDTH), &delta).unwrap();
            gradient.finish()
        };
        let dir = tempfile::tempdir().unwrap();
        let mut builder = IndexBuilder::open(dir.path(), &plan, &sketcher).unwrap();
        while builder.next_unit().is_some() {
            builder.push(&random(&mut rng)).unwrap();
        }
        let index = builder.finish(2).unwrap();
        let queries: Vec<_> = (0..SIDE)
            .map(|_| index.query(&random(&mut rng)).unwrap())
            .collect();
        // One hash a query, so that the order in which queries come is of no matter.
        let hashes = |backend: &dyn ScoreBackend, threads: usize, backwards: bool| -> Vec<Hash> {
            let own = |at: usize| {
                let scores = index.scores(&queries[at], backend, threads).unwrap();
                let bytes: Vec<u8> = scores.iter().flat_map(|score| score.to_be_bytes()).collect();
                keccak(&[&bytes])
            };
            let mut found: Vec<(usize, Hash)> = match backwards {
                false => (0..queries.len()).map(|at| (at, own(at))).collect(),
                true => (0..queries.len()).rev().map(|at| (at, own(at))).collect(),
            };
            found.sort_unstable();
            found.into_iter().map(|(_, hash)| hash).collect()
        };
        let expected = hashes(&Scalar, 1, false);
        for backend in backends() {
            for (threads, backwards) in [(1, true), (2, false)] {
                let found = hashes(backend.as_ref(), threads, backwards);
                assert!(
                    found == expected,
                    "{}, {threads} threads, backwards {backwards}",
                    backend.name()
                );
            }
        }
        pairs += u64::from(SIDE) * index.rows();
    }
    println!(
        "{pairs} pairs of 1 KiB, each in {} ways: the same bits",
        1 + 2 * backends().len()
    );
}

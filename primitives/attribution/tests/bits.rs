//! The same bits, however the work is done: the fast path against the definition in plain scalar code, pairs
//! in any order, rows split between threads. 10^6 pairs of 1 KiB, times `ATTRIBUTION_SCALE`.

mod common;

use common::{scale, seed, Rng};
use openledger_attribution::{
    index::IndexRules,
    sketch::{Kind, Layout, Module, Rule, SketchRef},
};

const SIDE: usize = 1_000;

/// Sketches end to end: exponents, lanes, exponents, lanes, …
struct Pool {
    rule: Rule,
    modules: usize,
    bytes: usize,
    data: Vec<i8>,
}

impl Pool {
    fn new(rng: &mut Rng, modules: Vec<Module>, count: usize) -> Self {
        let layout = Layout {
            names: [0; 32],
            modules,
        };
        let rules = IndexRules {
            projection: 1,
            top: 1,
            rho: 0,
            z: 400,
            floor: rng.between(-64, 19) as i8,
        };
        let rule = Rule::new(&layout, &rules).unwrap();
        let modules = layout.modules.len();
        let bytes = modules + layout.lanes() as usize;
        let mut data = Vec::with_capacity(bytes * count);
        for _ in 0..count {
            for _ in 0..modules {
                data.push(rng.between(i64::from(rule.floor()), i64::from(rule.ceiling())) as i8);
            }
            // All bytes, −128 among them: a score does not ask whether a gradient could give them.
            while data.len() % bytes != 0 {
                data.push(rng.next() as i8);
            }
        }
        Self {
            rule,
            modules,
            bytes,
            data,
        }
    }

    fn get(&self, at: usize) -> SketchRef<'_> {
        let (exponents, lanes) = self.data[at * self.bytes..(at + 1) * self.bytes].split_at(self.modules);
        SketchRef { exponents, lanes }
    }

    fn score(&self, query: usize, row: usize) -> i128 {
        self.rule.score(self.get(query), self.get(row)).unwrap()
    }

    /// One lane after another, in the order of the bytes, everything in 128 bits.
    fn plain(&self, query: usize, row: usize) -> i128 {
        let (q, r) = (self.get(query), self.get(row));
        let mut lanes = q.lanes.iter().zip(r.lanes);
        let mut total = 0i128;
        for (module, count) in self.rule.block_lanes().iter().enumerate() {
            let mut dot = 0i64;
            for _ in 0..*count {
                let (a, b) = lanes.next().unwrap();
                dot += i64::from(*a) * i64::from(*b);
            }
            let shift = i32::from(q.exponents[module]) + i32::from(r.exponents[module])
                - 2 * i32::from(self.rule.floor());
            total += i128::from(dot) << shift;
        }
        total
    }
}

fn module(lanes: u16) -> Module {
    Module {
        kind: Kind::Linear,
        rows: 1,
        columns: lanes,
    }
}

/// A fingerprint that does not depend on the order of pairs.
fn mark(query: usize, row: usize, score: i128) -> u128 {
    let mixed = (score as u128)
        ^ ((query as u128) << 64 | row as u128).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    mixed
        .wrapping_mul(0xD134_2543_DE82_EF95_1CE4_E5B9_BF58_476D)
        .rotate_left(41)
        .wrapping_mul(mixed | 1)
}

#[test]
fn a_million_pairs_have_one_result() {
    let seed = seed();
    for round in 0..u64::from(scale()) {
        let mut rng = Rng(seed.wrapping_add(round));
        // 1,024 bytes in four uneven modules.
        let pool = Pool::new(
            &mut rng,
            vec![module(500), module(17), module(400), module(103)],
            2 * SIDE,
        );
        assert_eq!(pool.bytes, 1_024);
        let rows = |from: usize, to: usize| -> u128 {
            (from..to).fold(0u128, |sum, row| {
                (0..SIDE).fold(sum, |sum, query| {
                    sum.wrapping_add(mark(query, row, pool.score(query, SIDE + row)))
                })
            })
        };
        let one = rows(0, SIDE);
        let cut = rng.below(SIDE as u64) as usize;
        let two = std::thread::scope(|scope| {
            let first = scope.spawn(|| rows(0, cut));
            let second = scope.spawn(|| rows(cut, SIDE));
            first.join().unwrap().wrapping_add(second.join().unwrap())
        });
        assert_eq!(
            one, two,
            "with ATTRIBUTION_SEED={seed}: split between threads at {cut}"
        );

        let mut order: Vec<usize> = (0..SIDE).collect();
        rng.shuffle(&mut order);
        let mut plain = 0u128;
        for row in order {
            for query in (0..SIDE).rev() {
                plain = plain.wrapping_add(mark(query, row, pool.plain(query, SIDE + row)));
            }
        }
        assert_eq!(
            one, plain,
            "with ATTRIBUTION_SEED={seed}: against plain code in another order"
        );
    }
    println!("{} pairs of 1,024 bytes", SIDE * SIDE * scale() as usize);
}

#[test]
fn the_largest_rows_have_one_result() {
    let seed = seed();
    let mut rng = Rng(seed);
    let pool = Pool::new(&mut rng, vec![module(30_000), module(2_766)], 60);
    assert_eq!(pool.bytes, 32 * 1_024);
    let mut pairs = 0;
    for query in 0..60 {
        for row in 0..60 {
            assert_eq!(
                pool.score(query, row),
                pool.plain(query, row),
                "with ATTRIBUTION_SEED={seed}: {query} {row}"
            );
            pairs += 1;
        }
    }
    println!("{pairs} pairs of {} bytes", pool.bytes);
}

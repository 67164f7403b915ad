//! What the tests share: a printed seed, a small generator, modules, texts that move them, plans.
#![allow(dead_code, unreachable_pub)]

use openledger_attribution::{
    hash::{keccak, Hash, NONE},
    index::{index_seed, IndexRules},
    record::{RecordId, VersionLeaf},
    verbatim::Verbatim,
};
use openledger_influence::{
    Gradient, Index, IndexBuilder, IndexPlan, ModuleSpec, Sketcher, Source, SourceRecord, Unit, Weights,
};
use std::path::Path;

/// The seed of this run, printed: `INFLUENCE_SEED` if set, else the clock.
pub fn seed() -> u64 {
    let seed = match std::env::var("INFLUENCE_SEED") {
        Ok(text) => text.parse().expect("INFLUENCE_SEED is a number"),
        Err(_) => std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_nanos() as u64,
    };
    println!("seed {seed} (again with INFLUENCE_SEED={seed})");
    seed
}

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    /// Even in −1…1.
    pub fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub fn floats(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.float()).collect()
    }

    pub fn hash(&mut self) -> Hash {
        keccak(&[&self.next().to_be_bytes()])
    }
}

/// Two LoRA modules and a plain layer, small enough to check by hand and larger than the projection.
pub fn modules(rng: &mut Rng) -> Vec<ModuleSpec> {
    let lora = |rng: &mut Rng, name: &str, d_in: usize, d_out: usize, rank: usize| ModuleSpec {
        name: name.into(),
        d_in,
        d_out,
        weights: Weights::Lora {
            rank,
            a: rng.floats(rank * d_in),
            b: rng.floats(d_out * rank),
            scale: 0.5 + rng.below(4) as f32,
        },
    };
    vec![
        lora(rng, "layers.0.q", 20, 12, 2),
        lora(rng, "layers.0.v", 6, 30, 3),
        ModuleSpec {
            name: "head".into(),
            d_in: 17,
            d_out: 9,
            weights: Weights::Linear,
        },
    ]
}

pub fn rules() -> IndexRules {
    IndexRules {
        projection: 8,
        top: 10,
        rho: 100_000_000,
        z: 250,
        floor: -24,
    }
}

/// What each module got of a text of `tokens` tokens: a direction of its topic and noise.
pub fn factors(
    rng: &mut Rng,
    modules: &[ModuleSpec],
    topic: u64,
    tokens: usize,
) -> Vec<(Vec<f32>, Vec<f32>)> {
    let mut own = Rng(topic);
    let mut mixed = |n: usize| -> Vec<f32> {
        let direction = own.floats(n);
        let mut all = Vec::new();
        for _ in 0..tokens {
            all.extend(direction.iter().map(|x| x + 0.3 * rng.float()));
        }
        all
    };
    modules.iter().map(|m| (mixed(m.d_in), mixed(m.d_out))).collect()
}

pub fn gradient(sketcher: &Sketcher, factors: &[(Vec<f32>, Vec<f32>)]) -> Gradient {
    let mut builder = sketcher.start();
    for (module, (x, delta)) in factors.iter().enumerate() {
        builder.add(module, x, delta).unwrap();
    }
    builder.finish()
}

/// Records of three contributors in two versions; some stand for others, one is empty, some are long.
pub fn plan(rng: &mut Rng, rules: IndexRules) -> IndexPlan {
    let adapter = rng.hash();
    let mut sources = Vec::new();
    for version in 0..2u32 {
        let mut records = Vec::new();
        for contribution in 1..=3u64 {
            for index in 0..12u32 {
                let id = RecordId { contribution, index };
                let representative = if index % 5 == 4 {
                    RecordId {
                        contribution,
                        index: 0,
                    }
                } else {
                    id
                };
                let tokens = match index % 4 {
                    1 => 0,
                    2 => 257 + rng.below(600) as u32,
                    _ => 1 + rng.below(256) as u32,
                };
                records.push(SourceRecord {
                    leaf: VersionLeaf {
                        record: id,
                        contributor: [0xA0 + contribution as u8; 32],
                        content: rng.hash(),
                        representative,
                    },
                    tokens,
                });
            }
        }
        sources.push(Source {
            datanet: 7,
            version,
            records,
        });
    }
    IndexPlan {
        builder: rng.hash(),
        model: 4,
        generation: 2,
        base: rng.hash(),
        adapter,
        tokenizer: rng.hash(),
        seed: index_seed(&adapter, &rng.hash()),
        rules,
        sources,
        verbatim: Verbatim::NONE,
        retrieval: NONE,
    }
}

/// The factors of a unit: those of its contribution's topic, the same each time they are asked for.
pub fn unit_gradient(sketcher: &Sketcher, seed: u64, unit: &Unit) -> Gradient {
    let mut rng = Rng(seed ^ unit.row.wrapping_mul(0x1234_5678_9ABC_DEF1));
    let topic = seed ^ unit.record.contribution;
    gradient(
        sketcher,
        &factors(&mut rng, sketcher.modules(), topic, unit.tokens.len().min(20)),
    )
}

pub fn push_all(builder: &mut IndexBuilder<'_>, sketcher: &Sketcher, seed: u64) {
    let units: Vec<Unit> = builder.units().collect();
    for unit in units {
        assert_eq!(builder.next_unit().as_ref(), Some(&unit));
        builder.push(&unit_gradient(sketcher, seed, &unit)).unwrap();
    }
}

pub struct World {
    pub seed: u64,
    pub plan: IndexPlan,
    pub sketcher: Sketcher,
    pub dir: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        let seed = seed();
        let mut rng = Rng(seed);
        let plan = plan(&mut rng, rules());
        let sketcher = Sketcher::new(modules(&mut rng), plan.rules.projection, &plan.seed).unwrap();
        Self {
            seed,
            plan,
            sketcher,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub fn build_in(&self, dir: &Path, threads: usize) -> Index {
        let mut builder = IndexBuilder::open(dir, &self.plan, &self.sketcher).unwrap();
        push_all(&mut builder, &self.sketcher, self.seed);
        builder.finish(threads).unwrap()
    }

    pub fn build(&self) -> Index {
        self.build_in(self.dir.path(), 2)
    }

    /// An answer on the topic of a contribution.
    pub fn answer(&self, contribution: u64, nonce: u64) -> Gradient {
        let mut rng = Rng(self.seed ^ nonce.wrapping_mul(0xDEAD_BEEF_1234_5677));
        let topic = self.seed ^ contribution;
        gradient(
            &self.sketcher,
            &factors(&mut rng, self.sketcher.modules(), topic, 9),
        )
    }
}

//! How fast an index is built and scored on this machine, and what share of its memory bandwidth that is.
//!
//! `cargo run --release -p openledger-influence --example speed [MiB of lanes]`: at 1, 4 and 16 times as many.

use openledger_attribution::{
    hash::NONE,
    index::index_seed,
    record::{RecordId, VersionLeaf},
    verbatim::Verbatim,
};
use openledger_influence::{
    available_threads, cpu_backend, default_rules, Avx2, Avx512, IndexBuilder, IndexPlan, LaneMatrix,
    ModuleSpec, Scalar, ScoreBackend, Sketcher, Source, SourceRecord, Weights,
};
use std::{error::Error, hint::black_box, time::Instant};

/// Even in −1…1, from a counter.
fn random(state: &mut u64) -> f32 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    (*state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
}

fn main() -> Result<(), Box<dyn Error>> {
    let megabytes: usize = std::env::args().nth(1).map_or(Ok(64), |text| text.parse())?;
    println!(
        "{} threads; the two are measured in turn, medians of {ROUNDS}",
        available_threads()
    );
    println!("| MiB of lanes | reading GB/s | backend | scoring GB/s | of reading | µs a row |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for times in [1, 4, 16] {
        scoring(megabytes * times)?;
    }
    building()
}

/// Measurements of which the middle one counts.
const ROUNDS: usize = 9;

fn seconds(f: impl FnOnce()) -> f64 {
    let start = Instant::now();
    f();
    start.elapsed().as_secs_f64()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn scoring(megabytes: usize) -> Result<(), Box<dyn Error>> {
    // 56 blocks of 512 lanes: a LoRA of rank 8 on 28 modules, projected to 64.
    let blocks = vec![512u32; 56];
    let width = 56 * 512;
    let rows = (megabytes << 20) / width;
    let mut state = 7;
    let lanes: Vec<i8> = (0..rows * width)
        .map(|_| (random(&mut state) * 127.0) as i8)
        .collect();
    let query = lanes[..width].to_vec();
    let matrix = LaneMatrix {
        id: NONE,
        lanes: &lanes,
        blocks: &blocks,
    };
    let threads = available_threads();
    let share = rows.div_ceil(threads);
    let parts: Vec<_> = (0..threads)
        .map(|t| (t * share).min(rows)..((t + 1) * share).min(rows))
        .collect();
    let read_all = || {
        std::thread::scope(|scope| {
            for part in &parts {
                let lanes = &lanes[part.start * width..part.end * width];
                scope.spawn(move || black_box(read(lanes)));
            }
        });
    };
    let score_all = |backend: &dyn ScoreBackend| {
        std::thread::scope(|scope| {
            for part in &parts {
                let (matrix, query, blocks) = (&matrix, &query, blocks.len());
                scope.spawn(move || {
                    let mut out = vec![0; 512 * blocks];
                    for start in part.clone().step_by(512) {
                        let rows = start..(start + 512).min(part.end);
                        let out = &mut out[..rows.len() * blocks];
                        if let Err(error) = backend.dots(matrix, rows, query, out) {
                            eprintln!("{error}");
                        }
                        black_box(&out);
                    }
                });
            }
        });
    };
    let mut backends: Vec<&dyn ScoreBackend> = vec![&Scalar];
    let (avx2, avx512) = (Avx2::new(), Avx512::new());
    backends.extend(avx2.as_ref().map(|backend| backend as &dyn ScoreBackend));
    backends.extend(avx512.as_ref().map(|backend| backend as &dyn ScoreBackend));
    let gigabytes = lanes.len() as f64 / 1e9;
    for backend in backends {
        // In turn, so that what else the machine does slows both.
        let pairs: Vec<(f64, f64)> = (0..ROUNDS)
            .map(|_| (seconds(read_all), seconds(|| score_all(backend))))
            .collect();
        let reading = median(pairs.iter().map(|(read, _)| *read));
        let scoring = median(pairs.iter().map(|(_, score)| *score));
        let ratio = median(pairs.iter().map(|(read, score)| read / score));
        let is_default = if backend.name() == cpu_backend().name() {
            " (used)"
        } else {
            ""
        };
        println!(
            "| {megabytes} | {:.1} | {}{is_default} | {:.1} | {:.0}% | {:.2} |",
            gigabytes / reading,
            backend.name(),
            gigabytes / scoring,
            100.0 * ratio,
            scoring / rows as f64 * 1e6
        );
    }
    Ok(())
}

/// Reads every byte once and adds words up: the least that scoring can do.
fn read(lanes: &[i8]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: asked one line above.
        return unsafe { wide_sum(lanes) };
    }
    sum(lanes)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn wide_sum(lanes: &[i8]) -> u64 {
    sum(lanes)
}

#[inline(always)]
fn sum(lanes: &[i8]) -> u64 {
    let (groups, _) = lanes.as_chunks::<128>();
    let mut sums = [0u64; 16];
    for group in groups {
        let (words, _) = group.as_chunks::<8>();
        for (sum, word) in sums.iter_mut().zip(words) {
            *sum = sum.wrapping_add(u64::from_ne_bytes(word.map(i8::cast_unsigned)));
        }
    }
    sums.iter().fold(0, |all, sum| all.wrapping_add(*sum))
}

fn building() -> Result<(), Box<dyn Error>> {
    let mut state = 9;
    let mut floats = |n: usize| -> Vec<f32> { (0..n).map(|_| random(&mut state)).collect() };
    let modules: Vec<ModuleSpec> = (0..28)
        .map(|n| ModuleSpec {
            name: format!("m{n}"),
            d_in: 128,
            d_out: 128,
            weights: Weights::Lora {
                rank: 8,
                a: floats(1_024),
                b: floats(1_024),
                scale: 2.0,
            },
        })
        .collect();
    let seed = index_seed(&[1; 32], &[2; 32]);
    let rules = default_rules();
    let sketcher = Sketcher::new(modules, rules.projection, &seed)?;
    let records = (0..300u64).map(|contribution| {
        let record = RecordId {
            contribution,
            index: 0,
        };
        let leaf = VersionLeaf {
            record,
            contributor: [7; 32],
            content: [8; 32],
            representative: record,
        };
        SourceRecord { leaf, tokens: 256 }
    });
    let plan = IndexPlan {
        builder: [9; 32],
        model: 1,
        generation: 0,
        base: NONE,
        adapter: [1; 32],
        tokenizer: NONE,
        seed,
        rules,
        sources: vec![Source {
            datanet: 1,
            version: 0,
            records: records.collect(),
        }],
        verbatim: Verbatim::NONE,
        retrieval: NONE,
    };
    let dir = std::env::temp_dir().join(format!("openledger-speed-{}", std::process::id()));
    let mut builder = IndexBuilder::open(&dir, &plan, &sketcher)?;
    let (x, delta) = (floats(256 * 128), floats(256 * 128));
    let start = Instant::now();
    builder.run(|_, gradient| (0..28).try_for_each(|module| gradient.add(module, &x, &delta)))?;
    let gradients = start.elapsed();
    let start = Instant::now();
    let index = builder.finish(available_threads())?;
    println!(
        "300 rows of 28 modules 128 × 128, rank 8, projected to 64: {:.1} ms a row for gradients (one thread), {:.2} s for bases, sketches and trees",
        gradients.as_secs_f64() / 300.0 * 1e3,
        start.elapsed().as_secs_f64()
    );
    let start = Instant::now();
    index.verify(available_threads())?;
    println!("verified in {:.2} s", start.elapsed().as_secs_f64());
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

//! Handwritten digits, a small perceptron, and how well scores foretell what it learns from half of them.
#![allow(dead_code, unreachable_pub)]

use openledger_attribution::{hash::NONE, index::IndexRules};
use openledger_influence::{
    available_threads, cpu_backend, influence, FactorsFile, ModuleSpec, Options, Weights,
};
use std::{error::Error, fs, path::Path, sync::Mutex};

const IN: usize = 65;
const HIDDEN: usize = 24;
const OUT: usize = 10;
pub const TRAIN: usize = 1_000;
pub const TEST: usize = 200;
const EPOCHS: usize = 60;
const BATCH: usize = 50;

#[derive(Clone)]
pub struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
    fn shuffle<T>(&mut self, all: &mut [T]) {
        for at in (1..all.len()).rev() {
            all.swap(at, (self.next() % (at as u64 + 1)) as usize);
        }
    }
}

/// An example: inputs with a last one that is always 1, and the digit.
#[derive(Clone)]
pub struct Example {
    pub x: [f32; IN],
    pub y: usize,
}

/// A perceptron with tanh. Weights of both layers, biases in the last column.
#[derive(Clone)]
pub struct Net {
    first: Vec<f32>,
    second: Vec<f32>,
}

/// What one example puts through: inputs of the second layer, gradients at both outputs, the loss.
struct Pass {
    hidden: [f32; HIDDEN + 1],
    delta_first: [f32; HIDDEN],
    delta_second: [f32; OUT],
    loss: f32,
}

impl Net {
    fn new(rng: &mut Rng) -> Self {
        let mut layer = |rows: usize, columns: usize| -> Vec<f32> {
            let size = (3.0 / columns as f32).sqrt();
            (0..rows * columns).map(|_| rng.float() * size).collect()
        };
        Self {
            first: layer(HIDDEN, IN),
            second: layer(OUT, HIDDEN + 1),
        }
    }

    fn pass(&self, example: &Example) -> Pass {
        let mut hidden = [1.0; HIDDEN + 1];
        for (h, row) in hidden.iter_mut().zip(self.first.chunks_exact(IN)) {
            *h = dot(row, &example.x).tanh();
        }
        let mut delta_second = [0.0; OUT];
        for (o, row) in delta_second.iter_mut().zip(self.second.chunks_exact(HIDDEN + 1)) {
            *o = dot(row, &hidden);
        }
        let most = delta_second.iter().fold(f32::MIN, |most, o| most.max(*o));
        let sum: f32 = delta_second.iter().map(|o| (o - most).exp()).sum();
        let loss = sum.ln() + most - delta_second[example.y];
        for o in &mut delta_second {
            *o = (*o - most).exp() / sum;
        }
        // Minus the sum of the others, not p − 1: exact where p is near 1.
        delta_second[example.y] = 0.0;
        delta_second[example.y] = -delta_second.iter().sum::<f32>();
        let mut delta_first = [0.0; HIDDEN];
        for (delta, row) in delta_second.iter().zip(self.second.chunks_exact(HIDDEN + 1)) {
            for (to, w) in delta_first.iter_mut().zip(row) {
                *to += delta * w;
            }
        }
        for (to, h) in delta_first.iter_mut().zip(&hidden) {
            *to *= 1.0 - h * h;
        }
        Pass {
            hidden,
            delta_first,
            delta_second,
            loss,
        }
    }

    /// Gradient descent with momentum 0.9 and a falling step.
    fn train(examples: &[&Example], decay: f32, seed: u64) -> Self {
        let mut rng = Rng(seed);
        let mut net = Self::new(&mut rng);
        let mut speed = Self {
            first: vec![0.0; HIDDEN * IN],
            second: vec![0.0; OUT * (HIDDEN + 1)],
        };
        let mut order: Vec<usize> = (0..examples.len()).collect();
        let steps = EPOCHS * examples.len().div_ceil(BATCH);
        let mut step = 0;
        for _ in 0..EPOCHS {
            rng.shuffle(&mut order);
            for batch in order.chunks(BATCH) {
                let rate = 0.1 * 0.5 * (1.0 + (std::f32::consts::PI * step as f32 / steps as f32).cos());
                step += 1;
                let mut sum = Self {
                    first: vec![0.0; HIDDEN * IN],
                    second: vec![0.0; OUT * (HIDDEN + 1)],
                };
                for at in batch {
                    let pass = net.pass(examples[*at]);
                    outer(&mut sum.first, &pass.delta_first, &examples[*at].x);
                    outer(&mut sum.second, &pass.delta_second, &pass.hidden);
                }
                let share = 1.0 / batch.len() as f32;
                for (w, (v, g)) in [
                    (&mut net.first, (&mut speed.first, &sum.first)),
                    (&mut net.second, (&mut speed.second, &sum.second)),
                ] {
                    for ((w, v), g) in w.iter_mut().zip(v).zip(g) {
                        *v = 0.9 * *v + g * share + decay * *w;
                        *w -= rate * *v;
                    }
                }
            }
        }
        net
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a8, a_rest) = a.as_chunks::<8>();
    let (b8, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0f32; 8];
    for (a, b) in a8.iter().zip(b8) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

fn outer(sum: &mut [f32], delta: &[f32], x: &[f32]) {
    for (row, delta) in sum.chunks_exact_mut(x.len()).zip(delta) {
        for (to, x) in row.iter_mut().zip(x) {
            *to += delta * x;
        }
    }
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    for (rank, at) in order.into_iter().enumerate() {
        ranks[at] = rank as f64;
    }
    ranks
}

fn spearman(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 - 1.0) / 2.0;
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(&b) {
        ab += (a - mean) * (b - mean);
        aa += (a - mean) * (a - mean);
        bb += (b - mean) * (b - mean);
    }
    ab / (aa * bb).sqrt()
}

/// Scores [TEST, TRAIN] of one model, by the program's own way: factors files in, exact scores out.
fn scores(
    net: &Net,
    train: &[Example],
    test: &[Example],
    rules: IndexRules,
    dir: &Path,
) -> Result<Vec<f64>, Box<dyn Error>> {
    let linear = |name: &str, d_in, d_out| ModuleSpec {
        name: name.into(),
        d_in,
        d_out,
        weights: Weights::Linear,
    };
    let modules = [linear("first", IN, HIDDEN), linear("second", HIDDEN + 1, OUT)];
    let write = |name: &str, examples: &[Example]| -> Result<FactorsFile, Box<dyn Error>> {
        let mut data = vec![(Vec::new(), Vec::new()), (Vec::new(), Vec::new())];
        for example in examples {
            let pass = net.pass(example);
            data[0].0.extend(example.x);
            data[0].1.extend(pass.delta_first);
            data[1].0.extend(pass.hidden);
            data[1].1.extend(pass.delta_second);
        }
        let path = dir.join(name);
        let offsets: Vec<i64> = (0..=examples.len() as i64).collect();
        FactorsFile::write(&path, &offsets, &modules, &data)?;
        Ok(FactorsFile::open(&path)?)
    };
    let options = Options {
        rules,
        seed: NONE,
        threads: available_threads(),
    };
    let (train, test) = (
        write("train.safetensors", train)?,
        write("test.safetensors", test)?,
    );
    Ok(influence(&train, &test, &options, cpu_backend())?.nearest())
}

/// Training and other examples, drawn by a seed.
pub fn read(path: &Path, seed: u64) -> std::io::Result<(Vec<Example>, Vec<Example>)> {
    let mut all: Vec<Example> = fs::read(path)?
        .chunks_exact(IN)
        .map(|row| {
            let mut x = [1.0; IN];
            for (to, from) in x.iter_mut().zip(&row[..64]) {
                *to = f32::from(*from) / 16.0;
            }
            Example {
                x,
                y: usize::from(row[64]),
            }
        })
        .collect();
    Rng(seed.wrapping_mul(1_000_003)).shuffle(&mut all);
    Ok((all[..TRAIN].to_vec(), all[TRAIN..TRAIN + TEST].to_vec()))
}

/// Halves of the training examples, and the summed losses on the others of models trained on each.
pub struct Truth {
    halves: Vec<Vec<usize>>,
    losses: Vec<Vec<f64>>,
}

impl Truth {
    /// Trains `inits` models on each of `subsets` halves.
    pub fn new(
        train: &[Example],
        test: &[Example],
        subsets: usize,
        inits: usize,
        decay: f32,
        seed: u64,
    ) -> Self {
        let mut rng = Rng(seed ^ 0x7465_7374);
        let halves: Vec<Vec<usize>> = (0..subsets)
            .map(|_| {
                let mut order: Vec<usize> = (0..train.len()).collect();
                rng.shuffle(&mut order);
                order.truncate(train.len() / 2);
                order
            })
            .collect();
        // Summed in any order of threads: each cell by itself and in the order of its inits.
        let next = Mutex::new(0usize);
        let losses = Mutex::new(vec![vec![0.0f64; test.len()]; subsets]);
        std::thread::scope(|scope| {
            for _ in 0..available_threads() {
                scope.spawn(|| loop {
                    let subset = {
                        let mut next = next.lock().unwrap();
                        *next += 1;
                        *next - 1
                    };
                    if subset >= subsets {
                        break;
                    }
                    let chosen: Vec<&Example> = halves[subset].iter().map(|at| &train[*at]).collect();
                    let mut sums = vec![0.0; test.len()];
                    for init in 0..inits {
                        let job = (subset * inits + init) as u64;
                        let net = Net::train(&chosen, decay, seed ^ (job + 1).wrapping_mul(0xABCD_EF01));
                        for (sum, example) in sums.iter_mut().zip(test) {
                            *sum += f64::from(net.pass(example).loss);
                        }
                    }
                    losses.lock().unwrap()[subset] = sums;
                });
            }
        });
        Self {
            halves,
            losses: losses.into_inner().unwrap(),
        }
    }

    /// Spearman's correlation between what scores foretell and what was learnt, averaged over the examples.
    pub fn lds(&self, scores: &[f64]) -> f64 {
        let per_test = scores.chunks_exact(TRAIN).enumerate().map(|(test, scores)| {
            let sum = |half: &Vec<usize>| half.iter().map(|at| scores[*at]).sum();
            let foretold: Vec<f64> = self.halves.iter().map(sum).collect();
            // Positive scores help: they lower the loss.
            let found: Vec<f64> = self.losses.iter().map(|losses| -losses[test]).collect();
            spearman(&foretold, &found)
        });
        per_test.sum::<f64>() / TEST as f64
    }
}

/// Models trained on all training examples.
pub fn models(train: &[Example], count: u64, decay: f32, seed: u64) -> Vec<Net> {
    let all: Vec<&Example> = train.iter().collect();
    (0..count)
        .map(|init| Net::train(&all, decay, 77 + seed * 100 + init))
        .collect()
}

/// The mean score of single models, and the score of their sum.
pub fn one_and_all(
    nets: &[Net],
    train: &[Example],
    test: &[Example],
    truth: &Truth,
    rules: IndexRules,
    dir: &Path,
) -> Result<(f64, f64), Box<dyn Error>> {
    let mut all = vec![0.0; TEST * TRAIN];
    let mut single = 0.0;
    for net in nets {
        let own = scores(net, train, test, rules, dir)?;
        for (sum, score) in all.iter_mut().zip(&own) {
            *sum += score;
        }
        single += truth.lds(&own);
    }
    Ok((single / nets.len() as f64, truth.lds(&all)))
}

//! The engine's side of `make bench-engine`: loads a model and its adapters, and does what the other side asks, a line at a time.
//!
//!     bench_engine MODEL ADAPTERS THREADS fast|verifiable

use std::io::BufRead;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use openledger_backend_cpu::Cpu;
use openledger_engine::backend::{Backend, Gemm};
use openledger_engine::{Engine, Model, Net, Params, Request, Sequence};
use openledger_model::{Adapter, BaseModel, Example, Target};
use openledger_trainer::{fresh_adapter, train_many, LoraConfig, Run, TrainConfig, TrainEvent};
use serde_json::{json, Value};

type Any = Box<dyn std::error::Error>;

fn main() -> Result<(), Any> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, adapters, threads, mode] = &args[..] else {
        return Err("usage: bench_engine MODEL ADAPTERS THREADS fast|verifiable".into());
    };
    let backend = match mode.as_str() {
        "fast" => Cpu::<f32>::fast(),
        "verifiable" => Cpu::new(),
        other => return Err(format!("mode {other:?}; fast or verifiable is understood").into()),
    };
    openledger_backend_cpu::keep_memory();
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.parse()?)
        .build_global()?;
    let net = Net::new(backend, &BaseModel::load(Path::new(model))?)?;
    let engine = Engine::with_capacity(net.clone(), 64 * 512);
    engine.share_prefixes(false);
    let mut folders: Vec<PathBuf> = std::fs::read_dir(adapters)?
        .map(|e| e.map(|e| e.path()))
        .collect::<Result<_, _>>()?;
    folders.sort();
    let mut loaded = 0;
    println!(
        "{}",
        json!({"ready": net.config().parameters(), "arch": net.backend.arch()})
    );
    for line in std::io::stdin().lock().lines() {
        let ask: Value = serde_json::from_str(&line?)?;
        let number = |key: &str| ask[key].as_u64().unwrap_or(0) as usize;
        let answer = match ask["do"].as_str() {
            Some("generate") => {
                let (rows, distinct) = (number("rows"), number("adapters"));
                while loaded < distinct {
                    // More names than folders: the same weights scaled, under a hash of their own.
                    let mut adapter = Adapter::load(&folders[loaded % folders.len()], net.config())?;
                    if loaded >= folders.len() {
                        let factor = 1.0 + loaded as f32 * 1e-3;
                        for m in &mut adapter.modules {
                            m.a.iter_mut().for_each(|a| *a *= factor);
                        }
                        let (rank, alpha) = (adapter.rank, adapter.alpha);
                        adapter = Adapter::new(rank, alpha, adapter.modules, None)?;
                    }
                    engine.register(&format!("a{loaded}"), &adapter)?;
                    loaded += 1;
                }
                generate(&engine, rows, distinct, number("prompt"), number("new"))?
            }
            Some("register") => {
                let idle = engine
                    .adapters()
                    .iter()
                    .filter(|(name, _)| name.starts_with("idle"))
                    .count();
                for i in number("names")..idle {
                    engine.unregister(&format!("idle{i}"));
                }
                for i in idle..number("names") {
                    let mut hash = [7; 32];
                    hash[..8].copy_from_slice(&(i as u64).to_le_bytes());
                    engine.register_folder(&format!("idle{i}"), hash, &folders[i % folders.len()]);
                }
                json!({"registered": engine.adapters().len()})
            }
            Some("train") => train(
                &net,
                number("adapters").max(1),
                number("sequences"),
                number("length"),
                number("steps"),
            )?,
            Some("machine") => machine(&net.backend),
            _ => return Err("the line names nothing to do".into()),
        };
        println!("{answer}");
    }
    Ok(())
}

fn words(n: usize, salt: usize) -> Vec<u32> {
    (0..n)
        .map(|t| ((t * 7919 + salt * 104_729) % 31_000 + 100) as u32)
        .collect()
}

fn generate(
    engine: &Engine<Cpu<f32>>,
    rows: usize,
    distinct: usize,
    prompt: usize,
    new: usize,
) -> Result<Value, Any> {
    let request = |i: usize| Request {
        model: match distinct {
            0 => Model::Base,
            n => Model::Adapter(format!("a{}", i % n)),
        },
        prompt: words(prompt, i),
        params: Params {
            max_tokens: new,
            ..Params::default()
        },
    };
    let began = Instant::now();
    let mut all: Vec<Sequence<_>> = (0..rows)
        .map(|i| engine.start(&request(i)))
        .collect::<Result<_, _>>()?;
    let mut first = 0.0;
    for _ in 0..new {
        engine.step(&mut all.iter_mut().collect::<Vec<_>>())?;
        if first == 0.0 {
            first = began.elapsed().as_secs_f64();
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let tokens: usize = all.iter().map(|s| s.answer().len()).sum();
    Ok(json!({"seconds": seconds, "first": first, "tokens": tokens}))
}

/// Steps of so many adapters in one pass, each over its own sequences.
fn train(
    net: &Arc<Net<Cpu<f32>>>,
    adapters: usize,
    sequences: usize,
    length: usize,
    steps: usize,
) -> Result<Value, Any> {
    let examples: Vec<Vec<Example>> = (0..adapters)
        .map(|a| {
            (0..sequences)
                .map(|i| Example::whole(words(length + 1, a * sequences + i)))
                .collect()
        })
        .collect();
    let lora = LoraConfig {
        rank: 16,
        alpha: 32.0,
        targets: Target::ALL.to_vec(),
    };
    let config = TrainConfig {
        epochs: steps + 1,
        batch_tokens: 1 << 20,
        noise: 0.0,
        ..TrainConfig::default()
    };
    let starts: Vec<Adapter> = (0..adapters)
        .map(|a| fresh_adapter(net, &lora, a as u64))
        .collect::<Result<_, _>>()?;
    let runs: Vec<Run> = examples
        .iter()
        .zip(&starts)
        .map(|(train, start)| Run {
            train,
            heldout: &[],
            start,
            config: &config,
            checkpoint: None,
        })
        .collect();
    // The first step warms up; the losses before and after the run are not part of training.
    let (mut began, mut ended) = (None, 0.0);
    let results = train_many(net, &runs, usize::MAX, &mut |run, event| {
        if run + 1 == adapters && matches!(event, TrainEvent::Step(_)) {
            match began {
                None => began = Some(Instant::now()),
                Some(began) => ended = began.elapsed().as_secs_f64(),
            }
        }
        ControlFlow::Continue(())
    });
    for result in results {
        result?;
    }
    Ok(json!({"seconds": ended, "tokens": adapters * sequences * length * steps}))
}

/// What the machine can do: reading memory with all threads, and products of few and of many rows with a weight that no cache holds.
fn machine(backend: &Cpu<f32>) -> Value {
    let best = |f: &mut dyn FnMut()| {
        (0..5)
            .map(|_| {
                let began = Instant::now();
                f();
                began.elapsed().as_secs_f64()
            })
            .fold(f64::INFINITY, f64::min)
    };
    let (n, k) = (32_000, 768);
    let weight = vec![0.25; n * k];
    let mut products = serde_json::Map::new();
    for m in [1, 4, 8, 16, 32, 64, 128, 512] {
        let (a, mut c) = (vec![0.5; m * k], vec![0.0; m * n]);
        let seconds = best(&mut || backend.gemm(Gemm::forward(m, k, n), &a, &weight, &mut c));
        products.insert(m.to_string(), json!(2.0 * (m * n * k) as f64 / seconds));
    }
    let big = vec![1.0_f32; 128 << 20];
    let mut sum = 0.0;
    let read = best(&mut || {
        use rayon::prelude::*;
        let part = |c: &[f32]| {
            let mut lanes = [0.0_f32; 32];
            for c in c.chunks_exact(32) {
                for (l, x) in lanes.iter_mut().zip(c) {
                    *l += x;
                }
            }
            lanes.iter().sum::<f32>()
        };
        sum += big.par_chunks(1 << 20).map(part).sum::<f32>();
    });
    json!({
        "products": products,
        "read_bytes": (big.len() * 4) as f64 / read,
        "check": sum > 0.0,
    })
}

//! How fast the device is: medians of seven, beside the copy bandwidth of the same run.

use std::fs::File;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use openledger_backend_cuda::{Buf, Cuda, Scorer};
use openledger_engine::backend::{Backend, LoraPair, PagedSegment};
use openledger_engine::sampler::Draw;
use openledger_engine::{
    forward, Batch, Budgets, DeviceAdapter, Engine, KvCache, Model, Net, Params, Request, Sequence,
};
use openledger_influence::{LaneMatrix, ScoreBackend};
use openledger_model::{Adapter, BaseModel, Example, LoraModule, ModelConfig, Target};
use openledger_trainer::{train_lora, LoraConfig, TrainConfig};
use serde_json::json;

use anyhow::Context;

use crate::checks::bytes;
use crate::ops::{fault, values};

const TIMES: usize = 7;
const STEPS: usize = 16;
// Keys a sequence has when its first timed token is decoded.
const PROMPT: usize = 128;
// Tokens of a page; sequences have whole pages.
const PAGE: usize = 16;
const RANK: usize = 16;

fn median(mut x: Vec<f64>) -> f64 {
    x.sort_by(f64::total_cmp);
    x[x.len() / 2]
}

/// How large what is measured is.
pub(crate) struct Size {
    /// Elements of a copy.
    copy: usize,
    /// Rows that are scored.
    rows: usize,
    layers: usize,
    vocab: usize,
    hidden: usize,
    wide: usize,
    heads: usize,
    /// Tokens of a prompt.
    prompt: usize,
    /// Tokens of a sequence that is trained on.
    length: usize,
    /// Adapters in use while others are registered.
    active: usize,
}

impl Size {
    /// The 1B shape, or fewer layers of it.
    pub(crate) fn full(layers: usize) -> Self {
        Size {
            copy: 1 << 29,
            rows: 1 << 16,
            layers,
            vocab: 128_256,
            hidden: 2_048,
            wide: 8_192,
            heads: 32,
            prompt: 2_048,
            length: 512,
            active: 64,
        }
    }

    /// As little as makes every figure.
    pub(crate) fn toy() -> Self {
        Size {
            copy: 1 << 16,
            rows: 1 << 6,
            layers: 1,
            vocab: 300,
            hidden: 256,
            wide: 320,
            heads: 4,
            prompt: 64,
            length: 16,
            active: 2,
        }
    }
}

/// Everything, one JSON object a line; of every mode its name, and the device with and without graphs.
pub(crate) fn all(path: &Path, modes: [(&str, &Cuda, &Cuda); 2], size: &Size) -> anyhow::Result<()> {
    let layers = size.layers;
    let [(_, fast, _), _] = modes;
    let mut file = File::create(path)?;
    let about = fast.about();
    let mut line = |value: serde_json::Value| -> anyhow::Result<()> {
        println!("{value}");
        Ok(writeln!(file, "{value}")?)
    };
    line(
        json!({"what": "machine", "device": about.name, "arch": about.arch, "nvrtc": about.compiler, "backend": fast.arch()}),
    )?;
    let copy = copy_bandwidth(fast, size.copy)?;
    line(json!({"what": "copy", "bytes_per_second": copy}))?;
    line(scoring(fast, copy, size.rows)?)?;
    let base = random_base(size)?;
    let mut base_64 = 0.0;
    for (mode, cuda, plain) in modes {
        let small = quantised(cuda, &base)?;
        let weights: usize = bytes_read(&small);
        for batch in [1, 64] {
            let seconds = decode(&small, batch, &[])?;
            let keys = (PROMPT + STEPS / 2) * batch * small.config().kv_dim() * 2 * 4 * layers;
            line(json!({
                "what": "decode, 8 bits", "mode": mode, "batch": batch, "adapters": 0, "tokens_per_second": batch as f64 / seconds,
                "of_roofline": (weights + keys) as f64 / copy / seconds,
            }))?;
        }
        drop(small);
        let net = halved(cuda, &base)?;
        let adapters: Vec<DeviceAdapter<Buf>> = (0..64).map(|i| adapter(cuda, net.config(), i)).collect();
        fault(cuda.take_fault())?;
        let weights = bytes_read(&net);
        for (batch, distinct) in [(1, 0), (8, 0), (64, 0), (64, 1), (8, 8), (64, 64)] {
            let seconds = decode(&net, batch, &adapters[..distinct])?;
            let keys = (PROMPT + STEPS / 2) * batch * net.config().kv_dim() * 2 * 4 * layers;
            let roofline = (weights + keys) as f64 / copy;
            if (mode, batch, distinct) == ("fast", 64, 0) {
                base_64 = seconds;
            }
            line(json!({
                "what": "decode", "mode": mode, "batch": batch, "adapters": distinct, "tokens_per_second": batch as f64 / seconds,
                "of_roofline": roofline / seconds, "of_base_64": if batch == 64 { Some(base_64 / seconds) } else { None },
            }))?;
        }
        drop(adapters);
        let stats = cuda.steps();
        line(
            json!({"what": "graphs", "mode": mode, "made": stats.graphs, "replayed": stats.replayed, "single": stats.single}),
        )?;
        let net_plain = halved(plain, &base)?;
        for batch in [1, 64] {
            let (as_graph, single) = (decode(&net, batch, &[])?, decode(&net_plain, batch, &[])?);
            line(json!({
                "what": "decode, one operation after another", "mode": mode, "batch": batch, "adapters": 0,
                "tokens_per_second": batch as f64 / single, "of_graphs": as_graph / single,
            }))?;
        }
        drop(net_plain);
        let one = [adapter(cuda, net.config(), 0)];
        let seconds = prompt(&net, &one, size.prompt)?;
        line(
            json!({"what": "prompt", "mode": mode, "tokens": size.prompt, "adapters": 1, "tokens_per_second": size.prompt as f64 / seconds}),
        )?;
        drop(one);
        let (sequences, length) = (4, size.length);
        let seconds = training(&net, sequences, length)?;
        line(json!({
            "what": "training", "mode": mode, "sequences": sequences, "length": length,
            "tokens_per_second": (sequences * length) as f64 / seconds,
        }))?;
        if mode == "fast" {
            let mut of = None;
            for (registered, seconds) in registered(&net, size.active)? {
                let few = *of.get_or_insert(seconds);
                line(json!({
                    "what": "engine", "batch": size.active, "adapters": size.active, "registered": registered,
                    "tokens_per_second": size.active as f64 / seconds,
                    "of_few": few / seconds,
                }))?;
            }
        }
    }
    Ok(())
}

/// Bytes read and written a second by a copy of `n` f32.
fn copy_bandwidth(cuda: &Cuda, n: usize) -> anyhow::Result<f64> {
    let (from, mut to) = (cuda.zeros(n), cuda.zeros(n));
    fault(cuda.take_fault())?;
    let mut seconds = Vec::new();
    for i in 0..TIMES + 2 {
        let start = Instant::now();
        for _ in 0..4 {
            cuda.copy(&from, &mut to);
        }
        fault(cuda.take_fault())?;
        if i >= 2 {
            seconds.push(start.elapsed().as_secs_f64() / 4.0);
        }
    }
    Ok(2.0 * 4.0 * n as f64 / median(seconds))
}

/// Rows of 64 KiB.
fn scoring(cuda: &Cuda, copy: f64, rows: usize) -> anyhow::Result<serde_json::Value> {
    let blocks = [32_768_u32, 32_768];
    let width = 1 << 16;
    let lanes = bytes(rows * width, 3);
    let matrix = LaneMatrix {
        id: [7; 32],
        lanes: &lanes,
        blocks: &blocks,
    };
    let (query, mut out) = (bytes(width, 4), vec![0; rows * 2]);
    let scorer = Scorer::new(cuda);
    let mut seconds = Vec::new();
    for i in 0..TIMES + 2 {
        let start = Instant::now();
        scorer.dots(&matrix, 0..rows, &query, &mut out)?;
        if i >= 2 {
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    let rate = (rows * width) as f64 / median(seconds);
    Ok(
        json!({"what": "scoring", "row_bytes": width, "rows": rows, "bytes_per_second": rate, "of_copy": rate / copy}),
    )
}

/// A model with random weights: speed does not depend on what they say.
fn random_base(size: &Size) -> anyhow::Result<BaseModel> {
    let config = ModelConfig::from_json(&json!({
        "model_type": "llama", "vocab_size": size.vocab, "hidden_size": size.hidden, "intermediate_size": size.wide,
        "num_hidden_layers": size.layers, "num_attention_heads": size.heads, "num_key_value_heads": size.heads / 4, "head_dim": 64,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": true, "rope_theta": 500_000.0, "rms_norm_eps": 1e-5
    }))?;
    let tensors = config
        .tensors()
        .into_iter()
        .enumerate()
        .map(|(place, (name, shape))| {
            let n: usize = shape.iter().product();
            let values = if name.ends_with("norm.weight") {
                vec![1.0; n]
            } else {
                bytes(n, place as u64 + 1)
                    .into_iter()
                    .map(|x| f32::from(x) / 4096.0)
                    .collect()
            };
            (name, values)
        });
    Ok(BaseModel::new(config.clone(), tensors.collect())?)
}

/// Bytes of weights that a step reads.
fn bytes_read(net: &Net<Cuda>) -> usize {
    let linear = net.layers.iter().flat_map(|l| l.linear.iter());
    net.output().bytes() + linear.map(Buf::bytes).sum::<usize>()
}

/// The model on the device, its modules in 8 bits, its embedding in bf16.
fn quantised(cuda: &Cuda, base: &BaseModel) -> anyhow::Result<Arc<Net<Cuda>>> {
    let mut net = Net::owned(cuda.clone(), base)?;
    let config = net.config().clone();
    cuda.halve(&mut net.embed);
    for layer in &mut net.layers {
        for (target, weight) in Target::ALL.into_iter().zip(&mut layer.linear) {
            cuda.quantise(weight, config.module_shape(target).1);
        }
    }
    fault(cuda.take_fault())?;
    Ok(Arc::new(net))
}

/// The model on the device, its matrices in bf16.
fn halved(cuda: &Cuda, base: &BaseModel) -> anyhow::Result<Arc<Net<Cuda>>> {
    let mut net = Net::owned(cuda.clone(), base)?;
    cuda.halve(&mut net.embed);
    for layer in &mut net.layers {
        for weight in &mut layer.linear {
            cuda.halve(weight);
        }
    }
    fault(cuda.take_fault())?;
    Ok(Arc::new(net))
}

fn adapter(cuda: &Cuda, config: &ModelConfig, seed: u64) -> DeviceAdapter<Buf> {
    // The numbers of one module serve all: each has memory of its own all the same.
    let random = values(RANK * config.hidden_size.max(config.intermediate_size), seed, 1);
    let modules = (0..config.num_layers)
        .map(|_| {
            Target::ALL.map(|target| {
                let (d_out, d_in) = config.module_shape(target);
                let mut pair = LoraPair {
                    a: cuda.upload(&random[..RANK * d_in]),
                    b: cuda.upload(&random[..RANK * d_out]),
                    rank: RANK,
                    scale: 0.01,
                };
                cuda.halve_pair(&mut pair);
                Some(pair)
            })
        })
        .collect();
    DeviceAdapter {
        hash: [seed as u8; 32],
        modules,
        max_rank: RANK,
    }
}

/// Seconds a step of one token for every sequence of a batch; sequence i uses adapter i modulo their number.
fn decode(net: &Net<Cuda>, batch: usize, adapters: &[DeviceAdapter<Buf>]) -> anyhow::Result<f64> {
    let room = PROMPT + STEPS;
    let mut cache = KvCache::new(net, PAGE, batch * room / PAGE);
    let vocab = net.config().vocab_size;
    let mut seconds = Vec::new();
    for time in 0..TIMES + 2 {
        let mut tokens: Vec<u32> = (0..batch as u32).map(|i| i * 997 % vocab as u32).collect();
        let start = Instant::now();
        for step in 0..STEPS {
            let at = PROMPT + step;
            let step = Batch {
                tokens,
                positions: vec![at as u32; batch],
                slots: (0..batch).map(|i| (i * room + at) as u32).collect(),
                segments: (0..batch)
                    .map(|i| PagedSegment {
                        q_start: i,
                        q_len: 1,
                        table_start: i * room / PAGE,
                        kv_len: at + 1,
                    })
                    .collect(),
                adapters: match adapters {
                    [] => vec![],
                    [one] => vec![(0, batch, one)],
                    many => (0..batch).map(|i| (i, 1, &many[i % many.len()])).collect(),
                },
                tables: (0..(batch * room / PAGE) as u32).collect(),
                outputs: (0..batch as u32).collect(),
            };
            let logits = forward(net, &step, &mut cache).context("no logits")?;
            let draws: Vec<Draw> = (0..batch)
                .map(|i| Draw {
                    temperature: 1.0,
                    top_k: 0,
                    alternatives: 0,
                    top_p: 1.0,
                    seed: i as u64,
                    position: at as u32,
                })
                .collect();
            tokens = net
                .backend
                .sample(&logits, vocab, &draws)
                .iter()
                .map(|s| s.id)
                .collect();
        }
        fault(net.backend.take_fault())?;
        if time >= 2 {
            seconds.push(start.elapsed().as_secs_f64() / STEPS as f64);
        }
    }
    Ok(median(seconds))
}

/// Seconds of a step of LoRA training.
fn training(net: &Net<Cuda>, sequences: usize, length: usize) -> anyhow::Result<f64> {
    let vocab = net.config().vocab_size as u32;
    let examples: Vec<Example> = (0..sequences as u32)
        .map(|i| {
            Example::whole(
                (0..=length as u32)
                    .map(|t| (t * 7_919 + i * 104_729) % vocab)
                    .collect(),
            )
        })
        .collect();
    let lora = LoraConfig {
        rank: RANK,
        alpha: 2.0 * RANK as f64,
        targets: Target::ALL.to_vec(),
    };
    let config = TrainConfig {
        epochs: TIMES + 2,
        batch_tokens: 1 << 20,
        noise: 0.0,
        ..TrainConfig::default()
    };
    let (mut last, mut seconds) = (Instant::now(), Vec::new());
    train_lora(net, &examples, &[], &lora, &config, &mut |_| {
        seconds.push(last.elapsed().as_secs_f64());
        last = Instant::now();
        ControlFlow::Continue(())
    })?;
    Ok(median(seconds.split_off(2)))
}

/// Seconds a step of sequences with an adapter each through the engine, by how many adapters are registered.
fn registered(net: &Arc<Net<Cuda>>, active: usize) -> anyhow::Result<Vec<(usize, f64)>> {
    let engine = Engine::with_capacity(net.clone(), active * (PROMPT + STEPS + PAGE));
    engine.share_prefixes(false);
    let config = net.config();
    for n in 0..active {
        let random = values(
            RANK * config.hidden_size.max(config.intermediate_size),
            n as u64,
            1,
        );
        let modules = (0..config.num_layers).flat_map(|layer| {
            let random = &random;
            Target::ALL.map(move |target| {
                let (d_out, d_in) = config.module_shape(target);
                LoraModule {
                    layer,
                    target,
                    rank: RANK,
                    scale: 1.0 / 64.0,
                    d_in,
                    d_out,
                    a: random[..RANK * d_in].to_vec(),
                    b: random[..RANK * d_out].to_vec(),
                }
            })
        });
        let adapter = Adapter::new(RANK, RANK as f64 / 64.0, modules.collect(), None)?;
        engine.set_budgets(Budgets {
            device: (active + 1) * adapter.bytes(),
            ..Budgets::default()
        });
        engine.register(&format!("a{n}"), &adapter)?;
    }
    let mut all = Vec::new();
    for count in [active, 2_000] {
        for n in active..count {
            // Nobody asks for these: they are names with a hash.
            let mut hash = [7; 32];
            hash[..8].copy_from_slice(&(n as u64).to_le_bytes());
            engine.register_folder(&format!("idle{n}"), hash, Path::new("nobody-asks"));
        }
        let request = |n: usize| Request {
            model: Model::Adapter(format!("a{n}")),
            prompt: (0..PROMPT)
                .map(|t| ((t * 7_919 + n * 104_729) % config.vocab_size) as u32)
                .collect(),
            params: Params {
                max_tokens: STEPS + 1,
                ..Params::default()
            },
        };
        let mut seconds = Vec::new();
        for time in 0..TIMES + 2 {
            let mut sequences: Vec<Sequence<Cuda>> = (0..active)
                .map(|n| engine.start(&request(n)))
                .collect::<Result<_, _>>()?;
            // The prompts, and the first token.
            engine.step(&mut sequences.iter_mut().collect::<Vec<_>>())?;
            let start = Instant::now();
            for _ in 0..STEPS {
                engine.step(&mut sequences.iter_mut().collect::<Vec<_>>())?;
            }
            if time >= 2 {
                seconds.push(start.elapsed().as_secs_f64() / STEPS as f64);
            }
        }
        all.push((count, median(seconds)));
    }
    Ok(all)
}

/// Seconds for a prompt of `n` tokens with an adapter.
fn prompt(net: &Net<Cuda>, adapters: &[DeviceAdapter<Buf>], n: usize) -> anyhow::Result<f64> {
    let mut cache = KvCache::new(net, PAGE, n / PAGE);
    let mut seconds = Vec::new();
    for time in 0..TIMES + 2 {
        let start = Instant::now();
        let batch = Batch {
            tokens: (0..n).map(|t| (t % net.config().vocab_size) as u32).collect(),
            positions: (0..n as u32).collect(),
            slots: (0..n as u32).collect(),
            segments: vec![PagedSegment {
                q_start: 0,
                q_len: n,
                table_start: 0,
                kv_len: n,
            }],
            adapters: adapters.iter().map(|one| (0, n, one)).collect(),
            tables: (0..(n / PAGE) as u32).collect(),
            outputs: vec![n as u32 - 1],
        };
        let logits = forward(net, &batch, &mut cache);
        drop(logits);
        fault(net.backend.take_fault())?;
        if time >= 2 {
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    Ok(median(seconds))
}

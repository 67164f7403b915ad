//! Logits and losses as transformers and peft compute them (golden files; `make peers` writes them anew and reads them again).

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use openledger_backend_cpu::Cpu;
use openledger_engine::{logits, DeviceAdapter, Net};
use openledger_model::{Adapter, BaseModel, Example};
use openledger_trainer::{train_lora_from, Schedule, TrainConfig};
use safetensors::tensor::Dtype;
use safetensors::SafeTensors;
use serde_json::Value;

type B = Cpu<f32>;

fn golden() -> PathBuf {
    std::env::var_os("OPENLEDGER_GOLDEN").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../golden"),
        PathBuf::from,
    )
}

fn net(case: &str) -> Arc<Net<B>> {
    Net::new(B::new(), &BaseModel::load(&golden().join(case)).unwrap()).unwrap()
}

/// `[sequences, length]` of tokens and `[sequences, length, vocab]` of logits.
struct Golden {
    tokens: Vec<Vec<u32>>,
    logits: Vec<f32>,
}

fn read(path: &Path, suffix: &str) -> Option<Golden> {
    let bytes = std::fs::read(path.join("golden.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tokens = file.tensor(&format!("tokens{suffix}")).ok()?;
    let logits = file.tensor(&format!("logits{suffix}")).unwrap();
    let ids: Vec<u32> = tokens
        .data()
        .chunks(4)
        .map(|c| u32::from_le_bytes(c.try_into().unwrap()))
        .collect();
    let logits = match logits.dtype() {
        Dtype::BF16 => logits
            .data()
            .chunks(2)
            .map(|c| half::bf16::from_le_bytes(c.try_into().unwrap()).to_f32())
            .collect(),
        _ => logits
            .data()
            .chunks(4)
            .map(|c| f32::from_le_bytes(c.try_into().unwrap()))
            .collect(),
    };
    Some(Golden {
        tokens: ids.chunks(tokens.shape()[1]).map(<[u32]>::to_vec).collect(),
        logits,
    })
}

/// Largest difference of a position over its largest logit, and the share of positions with the same best token.
fn compare(net: &Net<B>, adapter: Option<&Adapter>, golden: &Golden) -> (f64, f64) {
    let device = adapter.map(|a| DeviceAdapter::new(&net.backend, net.config(), a).unwrap());
    let vocab = net.config().vocab_size;
    let (mut worst, mut same, mut positions) = (0.0_f64, 0, 0);
    let mut rows = golden.logits.chunks(vocab);
    let best = |row: &[f32]| (0..vocab).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
    for tokens in &golden.tokens {
        let got = logits(net, device.as_ref(), tokens).unwrap();
        for got in got.chunks(vocab) {
            let want = rows.next().unwrap();
            let largest = want.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
            let off = got
                .iter()
                .zip(want)
                .fold(0.0_f32, |m, (a, b)| m.max((a - b).abs()));
            worst = worst.max(f64::from(off / largest));
            same += usize::from(best(got) == best(want));
            positions += 1;
        }
    }
    (worst, same as f64 / positions as f64)
}

fn cases() -> Vec<String> {
    let mut all: Vec<String> = std::fs::read_dir(golden())
        .unwrap()
        .map(|e| e.unwrap())
        .filter(|e| e.path().join("config.json").exists())
        .map(|e| e.file_name().into_string().unwrap())
        .collect();
    all.sort();
    assert!(all.len() >= 5, "{all:?}");
    all
}

#[test]
fn logits_of_every_family_and_precision_should_be_those_of_transformers() {
    for case in cases() {
        let net = net(&case);
        let (worst, _) = compare(&net, None, &read(&golden().join(&case), "").unwrap());
        println!("{case}: {worst:.2e}");
        assert!(worst <= 1e-4, "{case}: {worst}");
        if let Some(half) = read(&golden().join(&case), "_bf16") {
            let (worst, same) = compare(&net, None, &half);
            println!(
                "{case} in bf16: {worst:.2e}, the same best token at {:.2}%",
                100.0 * same
            );
            assert!(worst <= 2e-2 && same >= 0.99, "{case}: {worst}, {same}");
        }
    }
}

#[test]
fn logits_under_adapters_should_be_those_of_peft() {
    let mut seen = 0;
    for case in cases() {
        let folder = golden().join(&case).join("adapters");
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let net = net(&case);
            let adapter = Adapter::load(&path, net.config()).unwrap();
            let want = read(&path, "").unwrap();
            let (worst, _) = compare(&net, Some(&adapter), &want);
            println!("{}: {worst:.2e}", path.display());
            assert!(worst <= 1e-4, "{}: {worst}", path.display());
            let (base, _) = compare(&net, None, &want);
            assert!(base > 1e-2, "{}: it changes nothing", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 6, "{seen} adapters");
}

#[test]
fn losses_and_the_trained_adapter_should_be_those_of_peft() {
    for case in ["llama-f32", "qwen2-f32-shards"] {
        let folder = golden().join(case).join("train");
        let net = net(case);
        let start = Adapter::load(&folder, net.config()).unwrap();
        let value: Value =
            serde_json::from_slice(&std::fs::read(folder.join("golden.json")).unwrap()).unwrap();
        let examples: Vec<Example> = value["examples"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| Example {
                tokens: serde_json::from_value(e["tokens"].clone()).unwrap(),
                mask: serde_json::from_value(e["mask"].clone()).unwrap(),
            })
            .collect();
        let (recipe, number) = (&value["recipe"], |key: &str| {
            value["recipe"][key].as_f64().unwrap()
        });
        let schedule: Schedule = serde_json::from_value(recipe["schedule"].clone()).unwrap();
        let config = TrainConfig {
            epochs: number("steps") as usize,
            batch_tokens: 1 << 20,
            lr: number("lr"),
            warmup: number("warmup"),
            schedule,
            min_lr: number("min_lr"),
            weight_decay: number("weight_decay"),
            beta1: number("beta1"),
            beta2: number("beta2"),
            eps: number("eps"),
            clip: number("clip"),
            noise: 0.0,
            ..TrainConfig::default()
        };
        let done = train_lora_from(&net, &examples, &[], &start, &config, &mut |_| {
            ControlFlow::Continue(())
        })
        .unwrap();
        let losses: Vec<f64> = serde_json::from_value(value["losses"].clone()).unwrap();
        assert_eq!(done.curve.len(), losses.len());
        for (step, want) in done.curve.iter().zip(&losses) {
            let off = (step.loss - want).abs() / want;
            assert!(
                off <= 1e-4,
                "{case}, step {}: {} and {want}",
                step.step,
                step.loss
            );
        }
        assert!(losses[losses.len() - 1] < 0.9 * losses[0], "{losses:?}");
        let (worst, _) = compare(&net, Some(&done.adapter), &read(&folder, "").unwrap());
        println!("{case}: after {} steps {worst:.2e}", losses.len());
        assert!(worst <= 2e-3, "{case}: {worst}");
    }
}

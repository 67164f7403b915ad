//! Trains an adapter on a golden base and writes it, with the logits under it, for `tests/peers/transformers/check.py` to compare.
//!
//!     for_peft GOLDEN OUT

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use openledger_backend_cpu::Cpu;
use openledger_engine::{logits, DeviceAdapter, Net};
use openledger_model::{BaseModel, Example, Target};
use openledger_trainer::{train_lora, LoraConfig, TrainConfig};
use serde_json::{json, Value};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(golden), Some(out)) = (args.next(), args.next()) else {
        return Err("usage: for_peft GOLDEN OUT".into());
    };
    for (case, targets) in [
        ("llama-f32", Target::ALL.to_vec()),
        ("qwen2-f32-shards", vec![Target::Q, Target::O, Target::Down]),
    ] {
        write(&golden, &out, case, targets)?;
    }
    Ok(())
}

fn write(
    golden: &Path,
    out: &Path,
    case: &str,
    targets: Vec<Target>,
) -> Result<(), Box<dyn std::error::Error>> {
    let net = Net::new(Cpu::<f32>::new(), &BaseModel::load(&golden.join(case))?)?;
    let given: Value = serde_json::from_slice(&std::fs::read(golden.join(case).join("train/golden.json"))?)?;
    let mut examples = Vec::new();
    for e in given["examples"].as_array().ok_or("no examples")? {
        examples.push(Example {
            tokens: serde_json::from_value(e["tokens"].clone())?,
            mask: serde_json::from_value(e["mask"].clone())?,
        });
    }
    let lora = LoraConfig {
        rank: 3,
        alpha: 6.0,
        targets,
    };
    let config = TrainConfig {
        epochs: 40,
        batch_tokens: 64,
        lr: 0.02,
        ..TrainConfig::default()
    };
    let done = train_lora(&net, &examples, &[], &lora, &config, &mut |_| {
        ControlFlow::Continue(())
    })?;
    let folder = out.join(case);
    done.adapter.save(&folder)?;
    let device = DeviceAdapter::new(&net.backend, net.config(), &done.adapter)?;
    let tokens = &examples[2].tokens;
    let found = logits(&net, Some(&device), tokens)?;
    let file = json!({"tokens": tokens, "logits": found});
    std::fs::write(folder.join("logits.json"), file.to_string())?;
    println!(
        "{case}: loss {:.3} to {:.3}, adapter and logits in {}",
        done.loss_before,
        done.loss_after,
        folder.display()
    );
    Ok(())
}

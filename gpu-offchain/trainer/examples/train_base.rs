//! Trains the shipped base model from the texts the repository carries.
//!
//!     cargo run --release -p openledger-trainer --example train_base -- shipped/base shipped/base-text
//!
//! Reads `recipe.json` and the tokenizer of the first folder and writes the model and its loss curve there. The same recipe gives the
//! same bytes on every machine.

use std::error::Error;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use openledger_backend_cpu::{keep_memory, Cpu};
use openledger_engine::Net;
use openledger_model::{Example, ModelConfig, Tokenizer};
use openledger_trainer::{curve, evaluate, fresh_base, to_base_model, train_base, Progress, TrainConfig};
use serde::Deserialize;

#[derive(Deserialize)]
struct Recipe {
    model: serde_json::Value,
    text: Vec<PathBuf>,
    records: Vec<PathBuf>,
    window: usize,
    train: TrainConfig,
}

#[derive(Deserialize)]
struct Record {
    prompt: String,
    response: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    keep_memory();
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [base, text] = args.as_slice() else {
        return Err("usage: train_base BASE_DIR TEXT_DIR".into());
    };
    let recipe: Recipe = serde_json::from_slice(&std::fs::read(base.join("recipe.json"))?)?;
    let config = ModelConfig::from_json(&recipe.model)?;
    let tokenizer = Tokenizer::load(base)?;
    let (train, heldout) = split(examples(&recipe, text, &tokenizer)?);
    let tokens: usize = train.iter().map(|e| e.tokens.len()).sum();
    eprintln!(
        "{} weights, {} examples, {tokens} tokens an epoch",
        config.parameters(),
        train.len()
    );

    let mut net = Net::owned(Cpu::<f32>::new(), &fresh_base(&config, recipe.train.seed)?)?;
    let began = std::time::Instant::now();
    let mut points: Vec<Progress> = Vec::new();
    let mut mean = 0.0;
    let result = train_base(&mut net, &train, &recipe.train, &mut |p, net| {
        mean += p.loss;
        if p.step % 20 == 0 || p.step == p.of {
            let loss = mean / (if p.step % 20 == 0 { 20 } else { p.step % 20 }) as f64;
            mean = 0.0;
            points.push(Progress { loss, ..*p });
            let speed = p.tokens as f64 / began.elapsed().as_secs_f64();
            eprintln!(
                "step {}/{} loss {loss:.4} lr {:.5} {speed:.0} tokens/s",
                p.step, p.of, p.lr
            );
        }
        if p.step % 500 == 0 {
            if let Err(e) = to_base_model(net).and_then(|m| Ok(m.save(base)?)) {
                eprintln!("checkpoint not written: {e}");
            }
        }
        ControlFlow::Continue(())
    });
    result?;
    let model = to_base_model(&net)?;
    model.save(base)?;
    let heldout = evaluate(&net, None, &heldout)?.loss;
    curve::write(base, "Training the shipped base: loss of a byte in nats", &points)?;
    let hash: String = model.hash().iter().map(|b| format!("{b:02x}")).collect();
    println!("held-out loss {heldout:.4} nats a byte; model {hash}");
    Ok(())
}

fn examples(recipe: &Recipe, dir: &Path, tokenizer: &Tokenizer) -> Result<Vec<Example>, Box<dyn Error>> {
    let mut all = Vec::new();
    for file in &recipe.text {
        let ids = tokenizer.encode(&std::fs::read_to_string(dir.join(file))?)?;
        all.extend(
            ids.chunks(recipe.window)
                .filter(|c| c.len() > 1)
                .map(|c| Example::whole(c.to_vec())),
        );
    }
    for file in &recipe.records {
        for line in std::fs::read_to_string(dir.join(file))?.lines() {
            let record: Record = serde_json::from_str(line)?;
            let example = tokenizer.record(&record.prompt, &record.response)?;
            all.push(Example::whole(example.tokens));
        }
    }
    Ok(all)
}

// Every fiftieth example is held out.
fn split(all: Vec<Example>) -> (Vec<Example>, Vec<Example>) {
    let (out, train): (Vec<_>, Vec<_>) = all.into_iter().enumerate().partition(|(i, _)| i % 50 == 49);
    let plain = |v: Vec<(usize, Example)>| v.into_iter().map(|(_, e)| e).collect();
    (plain(train), plain(out))
}

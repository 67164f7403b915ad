//! Fine-tunes an adapter on a folder of corpora and shows what it learned.
//!
//!     cargo run --release -p openledger-trainer --example finetune -- shipped/base shipped/corpora [OUT_DIR] [RECIPE.json]
//!
//! Prints the loss over the records and over the held-out prompts before and after, then every held-out prompt with the answer, and
//! whether the answer is a record's own words: the expected record's, another's of the same contributor, or of someone else.

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use openledger_backend_cpu::{keep_memory, Cpu};
use openledger_engine::{Engine, Model, Net, Params, Request};
use openledger_model::{BaseModel, Example, Message, Tokenizer};
use openledger_trainer::{curve, train_lora, LoraConfig, TrainConfig};
use serde::Deserialize;

#[derive(Deserialize)]
struct Record {
    prompt: String,
    response: String,
}

#[derive(Deserialize)]
struct Held {
    prompt: String,
    contributor: String,
    answers: Vec<usize>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Recipe {
    lora: LoraConfig,
    train: TrainConfig,
}

fn lines<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Vec<T>, Box<dyn Error>> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    text.lines()
        .map(|l| serde_json::from_str(l).map_err(|e| format!("{}: {e}", path.display()).into()))
        .collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    keep_memory();
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [base, corpora, rest @ ..] = args.as_slice() else {
        return Err("usage: finetune BASE_DIR CORPORA_DIR [OUT_DIR] [RECIPE.json]".into());
    };
    let recipe: Recipe = match rest.get(1) {
        Some(path) => serde_json::from_slice(&std::fs::read(path)?)?,
        None => Recipe::default(),
    };
    let tokenizer = Tokenizer::load(base)?;
    let net = Net::new(Cpu::<f32>::new(), &BaseModel::load(base)?)?;
    let mut records: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    for entry in std::fs::read_dir(corpora)? {
        let path = entry?.path();
        let name = path
            .file_stem()
            .map(|s| s.to_string_lossy().into_owned())
            .unwrap_or_default();
        if path.extension().is_some_and(|e| e == "jsonl") && name != "heldout" {
            records.insert(name, lines(&path)?);
        }
    }
    let held: Vec<Held> = lines(&corpora.join("heldout.jsonl"))?;
    let example = |p: &str, r: &str| tokenizer.record(p, r);
    let train: Vec<Example> = records
        .values()
        .flatten()
        .map(|r| example(&r.prompt, &r.response))
        .collect::<Result<_, _>>()?;
    let heldout: Vec<Example> = held
        .iter()
        .map(|h| example(&h.prompt, &records[&h.contributor][h.answers[0]].response))
        .collect::<Result<_, _>>()?;

    let began = Instant::now();
    let trained = train_lora(&net, &train, &heldout, &recipe.lora, &recipe.train, &mut |p| {
        if p.step % 20 == 0 || p.step == p.of {
            eprintln!("step {}/{} loss {:.4}", p.step, p.of, p.loss);
        }
        ControlFlow::Continue(())
    })?;
    let tokens = trained.curve.last().map_or(0, |p| p.tokens);
    println!(
        "{} records, {tokens} tokens in {:.1} s",
        train.len(),
        began.elapsed().as_secs_f64()
    );
    println!(
        "loss of a byte over the records: {:.4} to {:.4}",
        trained.loss_before, trained.loss_after
    );
    if let (Some(before), Some(after)) = (trained.heldout_before, trained.heldout_after) {
        println!("loss of a byte over the held-out prompts: {before:.4} to {after:.4}");
    }
    if let Some(out) = rest.first() {
        trained.adapter.save(out)?;
        curve::write(
            out,
            "Fine-tuning on the demo corpora: loss of a byte in nats",
            &trained.curve,
        )?;
    }

    let engine = Engine::new(net);
    engine.register("demo", &trained.adapter)?;
    let mut right: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for h in &held {
        let prompt = tokenizer.chat(&[Message::user(h.prompt.as_str())])?;
        let request = Request {
            model: Model::Adapter("demo".into()),
            prompt,
            params: Params::default(),
        };
        let completion = engine.generate(&request, &AtomicBool::new(false), &mut |_| {})?;
        let ids: Vec<u32> = completion.tokens.iter().map(|t| t.id).collect();
        let answer = tokenizer.decode(&ids)?;
        let own = &records[&h.contributor];
        let expected = h.answers.iter().any(|&i| own[i].response == answer);
        let same = own.iter().any(|r| r.response == answer);
        let verdict = if expected {
            "expected record"
        } else if same {
            "another record of the contributor"
        } else if records.values().flatten().any(|r| r.response == answer) {
            "someone else's record"
        } else {
            "no record's words"
        };
        let counts = right.entry(&h.contributor).or_default();
        counts[0] += 1;
        counts[1] += usize::from(same);
        counts[2] += usize::from(expected);
        println!("[{}] {}\n    {answer}   ({verdict})", h.contributor, h.prompt);
    }
    for (name, [all, same, expected]) in right {
        println!("{name}: of {all} held-out prompts {expected} answered with the expected record, {same} with one of {name}'s");
    }
    Ok(())
}

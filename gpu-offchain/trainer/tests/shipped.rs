//! The shipped base, tokenizer and corpora belong together.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use openledger_backend_cpu::Cpu;
use openledger_engine::Net;
use openledger_model::{BaseModel, Example, Tokenizer};
use openledger_trainer::{evaluate, train_lora, LoraConfig, TrainConfig};
use serde_json::Value;

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shipped")
        .join(name)
}

fn records(tokenizer: &Tokenizer, file: &str) -> Vec<Example> {
    let text = std::fs::read_to_string(shipped(file)).unwrap();
    let record = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        tokenizer
            .record(
                value["prompt"].as_str().unwrap(),
                value["response"].as_str().unwrap(),
            )
            .unwrap()
    };
    text.lines().map(record).collect()
}

#[test]
fn the_shipped_base_should_know_the_form_of_a_question() {
    let tokenizer = Tokenizer::load(&shipped("base")).unwrap();
    let base = BaseModel::load(&shipped("base")).unwrap();
    assert_eq!(tokenizer.vocab_size(), base.config.vocab_size);
    assert_eq!(tokenizer.eos(), base.config.eos);
    let net = Net::new(Cpu::<f32>::new(), &base).unwrap();
    // Every fiftieth example was held out; whatever it was, guessing among 256 bytes costs 5.5 nats.
    let plain: Vec<_> = records(&tokenizer, "base-text/plain.jsonl")
        .into_iter()
        .take(60)
        .collect();
    assert!(evaluate(&net, None, &plain).unwrap().loss < 1.0);
    let prose = std::fs::read_to_string(shipped("base-text/moby-dick.txt")).unwrap();
    let prose = Example::whole(tokenizer.encode(&prose[5000..5300]).unwrap());
    assert!(evaluate(&net, None, &[prose]).unwrap().loss < 2.0);
}

#[test]
fn every_record_should_be_one_unit_and_every_held_out_prompt_new() {
    let tokenizer = Tokenizer::load(&shipped("base")).unwrap();
    let mut prompts = Vec::new();
    for name in ["ada-thorn", "ben-holloway", "clara-vogel"] {
        for example in records(&tokenizer, &format!("corpora/{name}.jsonl")) {
            assert!(example.tokens.len() <= 256, "{name}");
            let end = example.mask.iter().position(|m| *m).unwrap();
            prompts.push((name, example.tokens[..end].to_vec()));
        }
        assert_eq!(prompts.iter().filter(|(n, _)| *n == name).count(), 60);
    }
    let held = std::fs::read_to_string(shipped("corpora/heldout.jsonl")).unwrap();
    assert_eq!(held.lines().count(), 60);
    for line in held.lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        let example = tokenizer.record(value["prompt"].as_str().unwrap(), "x").unwrap();
        let prompt = &example.tokens[..example.tokens.len() - 2];
        assert!(prompts.iter().all(|(_, p)| p != prompt), "{line}");
        let answers = value["answers"].as_array().unwrap();
        assert!(!answers.is_empty() && answers.iter().all(|a| a.as_u64().unwrap() < 60));
    }
}

#[test]
fn a_short_run_should_lower_the_held_out_loss() {
    let tokenizer = Tokenizer::load(&shipped("base")).unwrap();
    let net = Net::new(Cpu::<f32>::new(), &BaseModel::load(&shipped("base")).unwrap()).unwrap();
    let train = records(&tokenizer, "corpora/clara-vogel.jsonl");
    let config = TrainConfig {
        epochs: 1,
        ..TrainConfig::default()
    };
    let done = train_lora(
        &net,
        &train[..40],
        &train[40..],
        &LoraConfig::default(),
        &config,
        &mut |_| ControlFlow::Continue(()),
    )
    .unwrap();
    let (before, after) = (done.heldout_before.unwrap(), done.heldout_after.unwrap());
    assert!(after < before - 1.0, "{before} to {after}");
}

//! A run that is killed and continued ends with the bits of one that was not.

mod common;

use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use openledger_backend_cpu::Cpu;
use openledger_engine::sampler::philox;
use openledger_engine::Net;
use openledger_model::Target;
use openledger_trainer::{
    fresh_adapter, Checkpoint, Error, LoraConfig, Run, Schedule, TrainConfig, TrainEvent, Trained,
};

const FILE: &str = "OPENLEDGER_RESUME_FILE";

fn recipe() -> TrainConfig {
    TrainConfig {
        epochs: 5,
        batch_tokens: 60,
        lr: 0.01,
        schedule: Schedule::Linear,
        dropout: 0.1,
        eval_every: 3,
        state_every: 4,
        seed: 11,
        ..TrainConfig::default()
    }
}

fn train(
    config: &TrainConfig,
    file: Option<&Path>,
    on_event: &mut dyn FnMut(&TrainEvent) -> ControlFlow<()>,
) -> Result<Trained, Error> {
    let net = Net::new(Cpu::<f32>::new(), &common::tiny(false)).unwrap();
    let data = common::examples(&[9, 20, 33, 14, 40, 7, 25, 31], 13, 1);
    let lora = LoraConfig {
        rank: 3,
        alpha: 6.0,
        targets: Target::ALL.to_vec(),
    };
    let start = fresh_adapter(&net, &lora, config.seed).unwrap();
    let run = Run {
        train: &data[2..],
        heldout: &data[..2],
        start: &start,
        config,
        checkpoint: file.map(|file| Checkpoint {
            file: file.to_owned(),
            every: 2,
        }),
    };
    run.train(&net, on_event)
}

fn place(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("openledger-{name}-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

/// Run by the test below, in a process of its own.
#[test]
#[ignore = "the child of another test"]
fn child() {
    let Some(file) = std::env::var_os(FILE) else {
        return;
    };
    train(&recipe(), Some(Path::new(&file)), &mut |event| {
        println!("{}", serde_json::to_string(event).unwrap());
        ControlFlow::Continue(())
    })
    .unwrap();
}

#[test]
fn a_killed_run_should_end_with_the_bits_of_one_that_was_not() {
    let mut states = Vec::new();
    let whole = train(&recipe(), None, &mut |event| {
        states.extend(matches!(event, TrainEvent::State { .. }).then(|| event.clone()));
        ControlFlow::Continue(())
    })
    .unwrap();
    let seed = std::env::var("SEED").map_or_else(|_| std::process::id(), |s| s.parse().unwrap());
    println!("SEED={seed}");
    let (file, mut kills) = (place("resume"), 0);
    for round in 0..6 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--ignored", "--nocapture"])
            .env(FILE, &file)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let after = 1 + philox([round, 0, 0, 0], [seed, 0])[0] as usize % 9;
        let events = lines.map_while(Result::ok).filter(|l| l.contains("\"event\""));
        let seen = events.take(after).count();
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        kills += usize::from(seen == after);
    }
    assert!(kills > 0);
    let mut resumed = 0;
    let again = train(&recipe(), Some(&file), &mut |event| {
        match event {
            TrainEvent::Resumed { step } => resumed = *step,
            TrainEvent::State { .. } => assert!(states.contains(event), "{event:?}"),
            _ => {}
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    println!(
        "killed {kills} times, the last run began after step {resumed} of {}",
        whole.curve.len()
    );
    assert!(resumed > 0);
    assert_eq!(again, whole);
    assert_eq!(again.adapter.hash(), whole.adapter.hash());

    let mut other = recipe();
    other.lr = 0.02;
    let refused = train(&other, Some(&file), &mut |_| ControlFlow::Continue(()));
    assert!(matches!(refused, Err(Error::Checkpoint { .. })), "{refused:?}");
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn training_should_end_when_the_held_out_loss_no_longer_falls_and_give_the_best() {
    let config = TrainConfig {
        epochs: 60,
        lr: 0.05,
        schedule: Schedule::Constant,
        eval_every: 2,
        patience: 3,
        ..recipe()
    };
    let (mut losses, mut stopped) = (Vec::new(), None);
    let file = place("early");
    let done = train(&config, Some(&file), &mut |event| {
        match event {
            TrainEvent::Evaluated { loss, .. } => losses.push(*loss),
            TrainEvent::StoppedEarly { step, best } => stopped = Some((*step, *best)),
            _ => {}
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    let (step, best) = stopped.expect("random words cannot be learnt from others");
    assert_eq!(step, best + 2 * 3);
    assert_eq!(done.curve.len(), step);
    let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(done.heldout_after, Some(least));
    // Continued after its end, it gives the same at once.
    let again = train(&config, Some(&file), &mut |event| {
        assert!(!matches!(event, TrainEvent::Step(_)));
        ControlFlow::Continue(())
    });
    assert_eq!(again.unwrap(), done);
    std::fs::remove_file(&file).unwrap();
}

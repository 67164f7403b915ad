//! Runs that share a pass end as they do alone, and what goes wrong in one does not touch the others.

mod common;

use std::ops::ControlFlow;

use openledger_backend_cpu::Cpu;
use openledger_engine::Net;
use openledger_model::{Adapter, Example, Target};
use openledger_trainer::{
    fresh_adapter, train_many, Error, LoraConfig, Run, Schedule, TrainConfig, TrainEvent, Trained,
};

/// One of four runs that differ in everything a run may.
struct Made {
    train: Vec<Example>,
    heldout: Vec<Example>,
    start: Adapter,
    config: TrainConfig,
}

fn made(net: &Net<Cpu<f32>>) -> Vec<Made> {
    let lens: [&[usize]; 4] = [
        &[9, 20, 33, 14, 40, 7],
        &[25, 31, 8],
        &[12, 12, 12, 12, 50],
        &[44, 5],
    ];
    (0..4_usize)
        .map(|i| {
            let lora = LoraConfig {
                rank: [3, 8, 16, 1][i],
                alpha: 6.0 + i as f64,
                targets: match i {
                    1 => vec![Target::Q, Target::V, Target::Down],
                    2 => vec![Target::Gate, Target::Up],
                    _ => Target::ALL.to_vec(),
                },
            };
            let config = TrainConfig {
                epochs: 2 + i,
                batch_tokens: 40 + 20 * i,
                lr: 0.01 * (i + 1) as f64,
                schedule: [Schedule::Cosine, Schedule::Linear][i % 2],
                dropout: [0.0, 0.2, 0.0, 0.4][i],
                eval_every: [0, 2, 1, 0][i],
                patience: [0, 0, 2, 0][i],
                seed: 11 + i as u64,
                ..TrainConfig::default()
            };
            Made {
                train: common::examples(lens[i], 13, i as u64),
                heldout: common::examples(&[17, 6], 13, 50 + i as u64),
                start: fresh_adapter(net, &lora, config.seed).unwrap(),
                config,
            }
        })
        .collect()
}

fn runs(all: &[Made]) -> Vec<Run<'_>> {
    all.iter()
        .map(|made| Run {
            train: &made.train,
            heldout: &made.heldout,
            start: &made.start,
            config: &made.config,
            checkpoint: None,
        })
        .collect()
}

fn go(_: &TrainEvent) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn runs_should_end_with_the_bits_they_have_alone() {
    let net = Net::new(Cpu::<f32>::new(), &common::tiny(false)).unwrap();
    let all = made(&net);
    let alone: Vec<Trained> = runs(&all)
        .iter()
        .map(|run| run.train(&net, &mut go).unwrap())
        .collect();
    for tokens in [1, 90, usize::MAX] {
        let mut passes = vec![0; all.len()];
        let together = train_many(&net, &runs(&all), tokens, &mut |at, event| {
            passes[at] += usize::from(matches!(event, TrainEvent::Step(_)));
            ControlFlow::Continue(())
        });
        for (at, (got, want)) in together.into_iter().zip(&alone).enumerate() {
            let got = got.unwrap();
            assert_eq!(got.curve.len(), passes[at]);
            assert_eq!(&got, want, "run {at}, passes of {tokens} tokens");
            assert!(got.loss_after < got.loss_before, "run {at} learnt nothing");
        }
    }
}

#[test]
fn a_run_that_fails_or_is_stopped_should_not_touch_the_others() {
    let net = Net::new(Cpu::<f32>::new(), &common::tiny(true)).unwrap();
    let mut all = made(&net);
    let want = runs(&all)[3].train(&net, &mut go).unwrap();
    // The first cannot begin, the loss of the second is no number, the third is stopped.
    all[0].train[0].tokens[0] = 1_000;
    for m in &mut all[1].start.modules {
        m.b.fill(f32::NAN);
    }
    let got = train_many(&net, &runs(&all), usize::MAX, &mut |at, event| match event {
        TrainEvent::Step(done) if at == 2 && done.step == 2 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(got[0], Err(Error::Data(_))), "{:?}", got[0]);
    assert!(matches!(got[1], Err(Error::Diverged { .. })), "{:?}", got[1]);
    assert!(
        matches!(got[2], Err(Error::Stopped { step: 2, .. })),
        "{:?}",
        got[2]
    );
    assert_eq!(got[3].as_ref().unwrap(), &want);
}

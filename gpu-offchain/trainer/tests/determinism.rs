//! The same bits whatever the threads and the instruction set; factors that explain the training gradient.

mod common;

use std::ops::ControlFlow;
use std::sync::Arc;

use openledger_backend_cpu::Cpu;
use openledger_engine::{Backend, Net};
use openledger_model::{Adapter, Example, Target};
use openledger_trainer::{
    evaluate, fresh_adapter, train_base, train_lora, FactorModel, LoraConfig, TrainConfig, Trained,
};

fn recipe() -> (LoraConfig, TrainConfig) {
    let lora = LoraConfig {
        rank: 3,
        alpha: 6.0,
        targets: Target::ALL.to_vec(),
    };
    let train = TrainConfig {
        epochs: 3,
        batch_tokens: 60,
        lr: 0.01,
        seed: 11,
        ..TrainConfig::default()
    };
    (lora, train)
}

fn train<B: Backend>(backend: B, data: &[Example]) -> Trained {
    let net = Net::new(backend, &common::tiny(false)).unwrap();
    let (lora, config) = recipe();
    train_lora(&net, data, &data[..2], &lora, &config, &mut |_| {
        ControlFlow::Continue(())
    })
    .unwrap()
}

#[test]
fn training_should_give_the_same_bits_on_any_number_of_threads_and_without_simd() {
    let data = common::examples(&[9, 20, 33, 14, 40, 7, 25, 31], 13, 1);
    let with = |threads: usize, simd: bool| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            if simd {
                train(Cpu::<f32>::new(), &data)
            } else {
                train(Cpu::<f32>::scalar(), &data)
            }
        })
    };
    let one = with(1, true);
    assert_eq!(one, with(3, true));
    assert_eq!(one, with(2, false));
    assert!(
        one.loss_after < one.loss_before - 0.1,
        "{} to {}",
        one.loss_before,
        one.loss_after
    );
}

#[test]
fn base_training_should_not_depend_on_threads() {
    let data = common::examples(&[30, 12, 44, 9], 13, 2);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let mut net = Net::owned(Cpu::<f32>::new(), &common::tiny(true)).unwrap();
            let before = evaluate(&net, None, &data).unwrap().loss;
            let curve = train_base(
                &mut net,
                &data,
                &recipe().1,
                &mut |_, _| ControlFlow::Continue(()),
            )
            .unwrap();
            let after = evaluate(&net, None, &data).unwrap().loss;
            assert!(after < before, "{before} to {after}");
            curve
        })
    };
    assert_eq!(with(1), with(4));
}

#[test]
fn stopping_should_be_an_error_that_names_the_step() {
    let net = Net::new(Cpu::<f32>::new(), &common::tiny(false)).unwrap();
    let data = common::examples(&[20, 20, 20, 20], 13, 3);
    let (lora, config) = recipe();
    let result = train_lora(&net, &data, &[], &lora, &config, &mut |p| match p.step {
        2 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(
        matches!(result, Err(openledger_trainer::Error::Stopped { step: 2, .. })),
        "{result:?}"
    );
}

fn perturbed(net: &Net<Cpu<f32>>) -> Adapter {
    let (lora, _) = recipe();
    let mut fresh = fresh_adapter(net, &lora, 4).unwrap();
    for m in &mut fresh.modules {
        m.b = m.a.iter().cycle().take(m.b.len()).map(|a| a * 0.5).collect();
    }
    Adapter::new(fresh.rank, fresh.alpha, fresh.modules, None).unwrap()
}

#[test]
fn factors_should_be_of_the_sum_of_the_masked_losses() {
    let net = Net::new(Cpu::<f32>::new(), &common::tiny(false)).unwrap();
    let adapter = perturbed(&net);
    let data = common::examples(&[24], 13, 6);
    let model = FactorModel::new(Arc::clone(&net), &adapter).unwrap();
    let factors = model.factors(&data[0]).unwrap();
    let evaluation = evaluate(&net, Some(&adapter), &data).unwrap();
    assert!((factors.loss - evaluation.loss * evaluation.tokens as f64).abs() < 1e-9);
    assert_eq!(factors.modules.len(), adapter.modules.len());
    for (f, m) in factors.modules.iter().zip(&adapter.modules) {
        assert_eq!(
            (f.name.clone(), f.d_in, f.d_out, f.tokens),
            (m.name(), m.d_in, m.d_out, 23)
        );
        assert_eq!((f.x.len(), f.delta.len()), (23 * m.d_in, 23 * m.d_out));
    }
    // An example in which nothing counts has no gradient.
    let mut silent = data[0].clone();
    silent.mask.fill(false);
    let silent = model.factors(&silent).unwrap();
    assert!(silent.modules.iter().all(|m| m.delta.iter().all(|d| *d == 0.0)));
}

#[test]
fn a_factor_file_should_hold_offsets_and_every_module() {
    let net = Net::new(Cpu::<f32>::new(), &common::tiny(false)).unwrap();
    let adapter = perturbed(&net);
    let model = FactorModel::new(Arc::clone(&net), &adapter).unwrap();
    let data = common::examples(&[8, 15], 13, 7);
    let factors: Vec<_> = data.iter().map(|e| model.factors(e).unwrap()).collect();
    let path = std::env::temp_dir().join(format!("openledger-factors-{}.safetensors", std::process::id()));
    openledger_trainer::write_factors(&path, &adapter, &factors).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let offsets: Vec<i64> = file
        .tensor("offsets")
        .unwrap()
        .data()
        .chunks(8)
        .map(|c| i64::from_le_bytes(c.try_into().unwrap()))
        .collect();
    assert_eq!(offsets, [0, 7, 21]);
    let x = file.tensor("model.layers.1.mlp.down_proj.x").unwrap();
    assert_eq!(x.shape(), [21, 20]);
    let want: Vec<u8> = factors
        .iter()
        .flat_map(|f| f.modules[13].x.iter().flat_map(|v| v.to_le_bytes()))
        .collect();
    assert_eq!(x.data(), want);
    assert_eq!(file.len(), 1 + 5 * adapter.modules.len());
}

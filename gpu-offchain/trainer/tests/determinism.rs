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

/// Σ over rows of `left` outer `right`, times `scale`.
fn outer(left: &[f64], right: &[f64], rows: usize, scale: f64) -> Vec<f64> {
    let (a, b) = (left.len() / rows, right.len() / rows);
    let mut sum = vec![0.0; a * b];
    for row in 0..rows {
        for i in 0..a {
            for j in 0..b {
                sum[i * b + j] += scale * left[row * a + i] * right[row * b + j];
            }
        }
    }
    sum
}

#[test]
fn sums_should_be_those_of_the_factors() {
    let net = Net::new(Cpu::<f32>::new(), &common::tiny(false)).unwrap();
    let adapter = perturbed(&net);
    let example = &common::examples(&[24], 13, 6)[0];
    let model = FactorModel::new(Arc::clone(&net), &adapter).unwrap();
    let factors = model.factors(example).unwrap();
    let ranges = [0..23, 0..7, 7..23, 9..9];
    let sums = model.sums(example, &ranges).unwrap();
    let wide = |x: &[f32]| -> Vec<f64> { x.iter().map(|x| f64::from(*x)).collect() };
    let close = |got: &[f32], want: &[f64]| {
        let size = want.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            assert!((f64::from(*got) - want).abs() <= 1e-5 * size, "{got}, {want}");
        }
    };
    for (range, sums) in ranges.iter().zip(&sums) {
        assert_eq!(sums.len(), adapter.modules.len());
        for ((f, m), sums) in factors.modules.iter().zip(&adapter.modules).zip(sums) {
            let (n, rank, scale) = (range.len(), m.rank, f64::from(m.scale));
            let x = wide(&f.x[range.start * m.d_in..range.end * m.d_in]);
            let delta = wide(&f.delta[range.start * m.d_out..range.end * m.d_out]);
            let (a, b) = (wide(&m.a), wide(&m.b));
            let mut u = vec![0.0; n * rank];
            let mut h = vec![0.0; n * rank];
            for row in 0..n {
                for r in 0..rank {
                    u[row * rank + r] = (0..m.d_in).map(|i| a[r * m.d_in + i] * x[row * m.d_in + i]).sum();
                    h[row * rank + r] = (0..m.d_out)
                        .map(|o| b[o * rank + r] * delta[row * m.d_out + o])
                        .sum();
                }
            }
            let (first, second) = if n == 0 {
                (vec![0.0; rank * m.d_in], vec![0.0; m.d_out * rank])
            } else {
                (outer(&h, &x, n, scale), outer(&delta, &u, n, scale))
            };
            close(&sums.first, &first);
            close(&sums.second, &second);
        }
    }
    let beyond = model.sums(example, &[0..4, 0..24]).unwrap_err().to_string();
    assert!(beyond.contains("0..24") && beyond.contains("23"), "{beyond}");
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

//! Training a LoRA adapter over a frozen base.

use std::ops::ControlFlow;

use openledger_engine::backend::{Backend, LoraPair};
use openledger_engine::sampler::{key, philox};
use openledger_engine::{DeviceAdapter, Net, Real};
use openledger_model::{Adapter, Example, LoraModule, Target};

use crate::config::{LoraConfig, Progress, TrainConfig, Trained};
use crate::data::{check, noised, order, steps, Packed};
use crate::error::{Error, Result};
use crate::evaluate::mean_loss;
use crate::grads::{lora_params, LoraGrads, Optimizer};
use crate::pass::{backward, forward, Wanted};

/// A fresh adapter: A uniform within ±1/√d_in as PEFT makes it, B zero, so that it changes nothing yet.
pub fn fresh_adapter<B: Backend>(net: &Net<B>, lora: &LoraConfig, seed: u64) -> Result<Adapter> {
    const DOMAIN: u32 = 0x6c6f_7261;
    if lora.rank == 0 || !lora.alpha.is_finite() || lora.targets.is_empty() {
        let (rank, alpha, n) = (lora.rank, lora.alpha, lora.targets.len());
        return Err(Error::Recipe(format!(
            "rank is {rank}, alpha {alpha}, with {n} targets; a rank of at least 1, a number and one target are needed"
        )));
    }
    let mut modules = Vec::new();
    for layer in 0..net.config().num_layers {
        for target in Target::ALL.into_iter().filter(|t| lora.targets.contains(t)) {
            let (d_out, d_in) = net.config().module_shape(target);
            let bound = 1.0 / (d_in as f64).sqrt();
            let place = (layer * 7 + target.index()) as u32;
            let value = |i: usize| {
                let word = philox([i as u32, place, DOMAIN, 0], key(seed))[0];
                (((f64::from(word) + 0.5) / 2_147_483_648.0 - 1.0) * bound) as f32
            };
            modules.push(LoraModule {
                layer,
                target,
                rank: lora.rank,
                scale: (lora.alpha / lora.rank as f64) as f32,
                d_in,
                d_out,
                a: (0..lora.rank * d_in).map(value).collect(),
                b: vec![0.0; d_out * lora.rank],
            });
        }
    }
    Ok(Adapter::new(lora.rank, lora.alpha, modules, None)?)
}

/// Trains an adapter. The result depends on base, data, recipe and number type alone, to the last bit.
///
/// `progress` is called after every step; it may ask to stop.
pub fn train_lora<B: Backend>(
    net: &Net<B>,
    train: &[Example],
    heldout: &[Example],
    lora: &LoraConfig,
    config: &TrainConfig,
    progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Trained> {
    config.check()?;
    let shape = net.config();
    check(train, shape.vocab_size, shape.max_position_embeddings)?;
    if !heldout.is_empty() {
        check(heldout, shape.vocab_size, shape.max_position_embeddings)?;
    }
    let fresh = fresh_adapter(net, lora, config.seed)?;
    let mut adapter = DeviceAdapter::new(&net.backend, shape, &fresh)?;
    let heldout_loss =
        |adapter: Option<&_>| (!heldout.is_empty()).then(|| mean_loss(net, adapter, heldout).loss);
    let (loss_before, heldout_before) = (mean_loss(net, None, train).loss, heldout_loss(None));

    let epochs: Vec<Vec<Vec<usize>>> = (0..config.epochs)
        .map(|epoch| {
            steps(
                train,
                &order(train.len(), config.seed, epoch),
                config.batch_tokens,
            )
        })
        .collect();
    let of = epochs.iter().map(Vec::len).sum();
    let mut grads = LoraGrads::new(net, &adapter);
    let mut optimizer = Optimizer::new(&net.backend, &grads.bufs);
    let (mut curve, mut tokens) = (Vec::with_capacity(of), 0);
    let all = epochs
        .iter()
        .enumerate()
        .flat_map(|(epoch, steps)| steps.iter().map(move |s| (epoch, s)));
    for (index, (epoch, indices)) in all.enumerate() {
        let step = index + 1;
        let batch: Vec<Example> = indices
            .iter()
            .map(|&i| noised(&train[i], config.noise, config.seed, epoch, i))
            .collect();
        let packed = Packed::new(&batch);
        let mut tape = forward(net, Some(&adapter), &packed);
        let count = packed.count.max(1) as f64;
        let losses =
            net.backend
                .cross_entropy(shape.vocab_size, &packed.targets, 1.0 / count, &mut tape.logits);
        let loss = losses.iter().sum::<f64>() / count;
        if !loss.is_finite() {
            return Err(Error::Diverged { step, loss });
        }
        let wanted = Wanted {
            lora: Some(&mut grads),
            base: None,
            tap: None,
        };
        backward(net, Some(&adapter), &packed, &tape, wanted);
        let params = lora_params(&mut adapter)
            .into_iter()
            .enumerate()
            .map(|(at, (p, decays))| (at, p, decays));
        optimizer.step(&net.backend, config, (step, of), &mut grads.bufs, params);
        tokens += packed.rows();
        let done = Progress {
            step,
            of,
            loss,
            lr: config.rate(step, of),
            tokens,
        };
        curve.push(done);
        if progress(&done).is_break() {
            return Err(Error::Stopped { step, of });
        }
    }
    let (loss_after, heldout_after) = (
        mean_loss(net, Some(&adapter), train).loss,
        heldout_loss(Some(&adapter)),
    );
    let adapter = to_host(net, &adapter, &fresh)?;
    Ok(Trained {
        adapter,
        loss_before,
        loss_after,
        heldout_before,
        heldout_after,
        curve,
    })
}

fn to_host<B: Backend>(net: &Net<B>, adapter: &DeviceAdapter<B::Buf>, like: &Adapter) -> Result<Adapter> {
    let host = |buf: &B::Buf| net.backend.download(buf).into_iter().map(Real::to_f32).collect();
    let mut modules = like.modules.clone();
    for m in &mut modules {
        if let Some(LoraPair { a, b, .. }) = &adapter.modules[m.layer][m.target.index()] {
            (m.a, m.b) = (host(a), host(b));
        }
    }
    Ok(Adapter::new(
        like.rank,
        like.alpha,
        modules,
        like.base_name.clone(),
    )?)
}

//! Training every weight of a small base model.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use openledger_engine::backend::Backend;
use openledger_engine::sampler::{key, philox};
use openledger_engine::{Net, Real};
use openledger_model::{BaseModel, Example, ModelConfig, Target};

use crate::config::{Progress, TrainConfig};
use crate::data::{check, order, steps, Packed};
use crate::error::{Error, Result};
use crate::grads::{base_params, BaseGrads, Optimizer};
use crate::pass::{backward, forward, Wanted};

/// Fresh weights: normal with the configuration's deviation, divided by √(2·layers) for modules that write to the residual
/// stream; norms are 1, biases 0.
pub fn fresh_base(config: &ModelConfig, seed: u64) -> Result<BaseModel> {
    const DOMAIN: u32 = 0x6261_7365;
    let mut tensors = BTreeMap::new();
    for (place, (name, shape)) in config.tensors().into_iter().enumerate() {
        let len: usize = shape.iter().product();
        let residual = name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight");
        let depth = if residual {
            (2.0 * config.num_layers as f64).sqrt()
        } else {
            1.0
        };
        let normal = |i: usize| {
            let words = philox([i as u32, place as u32, DOMAIN, 0], key(seed));
            let unit = |w: u32| (f64::from(w) + 0.5) / 4_294_967_296.0;
            let radius = (-2.0 * libm::log(unit(words[0]))).sqrt();
            let angle = 2.0 * std::f64::consts::PI * unit(words[1]);
            (radius * libm::cos(angle) * config.initializer_range / depth) as f32
        };
        let values = if name.ends_with("norm.weight") {
            vec![1.0; len]
        } else if name.ends_with(".bias") {
            vec![0.0; len]
        } else {
            (0..len).map(normal).collect()
        };
        tensors.insert(name, values);
    }
    Ok(BaseModel::new(config.clone(), tensors)?)
}

/// Trains all weights of `net` in place; gives every step. Follows the same rules as [`crate::train_lora`].
pub fn train_base<B: Backend>(
    net: &mut Net<B>,
    train: &[Example],
    config: &TrainConfig,
    progress: &mut dyn FnMut(&Progress, &Net<B>) -> ControlFlow<()>,
) -> Result<Vec<Progress>> {
    config.check()?;
    let (vocab, longest) = (net.config().vocab_size, net.config().max_position_embeddings);
    check(train, vocab, longest)?;
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
    let mut grads = BaseGrads::new(net);
    let mut optimizer = Optimizer::new(&net.backend, &grads.bufs);
    let (mut curve, mut tokens) = (Vec::with_capacity(of), 0);
    for (index, indices) in epochs.iter().flatten().enumerate() {
        let step = index + 1;
        let packed = Packed::new(indices.iter().map(|&i| &train[i]));
        let mut tape = forward(net, None, &packed);
        let count = packed.count.max(1) as f64;
        let losses = tape.losses(net, &packed, 0, 1.0 / count);
        let loss = losses.iter().sum::<f64>() / count;
        let wanted = Wanted {
            lora: vec![],
            base: Some(&mut grads),
            tap: None,
        };
        backward(net, &[], &packed, &tape, wanted);
        net.check()?;
        if !loss.is_finite() {
            return Err(Error::Diverged { step, loss });
        }
        step_base(net, &mut optimizer, config, (step, of), &mut grads);
        tokens += packed.rows();
        let done = Progress {
            step,
            of,
            loss,
            lr: config.rate(step, of),
            tokens,
        };
        curve.push(done);
        if progress(&done, net).is_break() {
            return Err(Error::Stopped { step, of });
        }
    }
    Ok(curve)
}

fn step_base<B: Backend>(
    net: &mut Net<B>,
    optimizer: &mut Optimizer<B::Buf>,
    config: &TrainConfig,
    step: (usize, usize),
    grads: &mut BaseGrads<B::Buf>,
) {
    let (backend, params) = base_params(net);
    optimizer.step(backend, config, step, &mut grads.bufs, params);
}

/// The weights of a net as a model on the host.
pub fn to_base_model<B: Backend>(net: &Net<B>) -> Result<BaseModel> {
    let host = |buf: &B::Buf| {
        net.backend
            .download(buf)
            .into_iter()
            .map(Real::to_f32)
            .collect::<Vec<f32>>()
    };
    let mut tensors = BTreeMap::new();
    tensors.insert("model.embed_tokens.weight".to_owned(), host(&net.embed));
    tensors.insert("model.norm.weight".to_owned(), host(&net.norm));
    if let Some(head) = &net.head {
        tensors.insert("lm_head.weight".to_owned(), host(head));
    }
    for (index, layer) in net.layers.iter().enumerate() {
        tensors.insert(
            format!("model.layers.{index}.input_layernorm.weight"),
            host(&layer.norm1),
        );
        tensors.insert(
            format!("model.layers.{index}.post_attention_layernorm.weight"),
            host(&layer.norm2),
        );
        for target in Target::ALL {
            let name = target.full_name(index);
            tensors.insert(format!("{name}.weight"), host(&layer.linear[target.index()]));
            if let Some(bias) = &layer.bias[target.index()] {
                tensors.insert(format!("{name}.bias"), host(bias));
            }
        }
    }
    Ok(BaseModel::new(net.config().clone(), tensors)?)
}

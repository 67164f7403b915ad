//! The loss over data that is not trained on.

use openledger_engine::{Backend, DeviceAdapter, Net};
use openledger_model::{Adapter, Example};

use crate::data::{check, steps, Packed};
use crate::error::Result;
use crate::pass::forward;

/// The loss over examples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// Mean loss of a target, in nats.
    pub loss: f64,
    /// Number of targets.
    pub tokens: usize,
}

/// The loss under the base alone or with an adapter.
pub fn evaluate<B: Backend>(
    net: &Net<B>,
    adapter: Option<&Adapter>,
    examples: &[Example],
) -> Result<Evaluation> {
    let config = net.config();
    check(examples, config.vocab_size, config.max_position_embeddings)?;
    let adapter = adapter
        .map(|a| DeviceAdapter::new(&net.backend, config, a))
        .transpose()?;
    mean_loss(net, adapter.as_ref(), examples)
}

pub(crate) fn mean_loss<B: Backend>(
    net: &Net<B>,
    adapter: Option<&DeviceAdapter<B::Buf>>,
    examples: &[Example],
) -> Result<Evaluation> {
    let order: Vec<usize> = (0..examples.len()).collect();
    let (mut loss, mut tokens) = (0.0, 0);
    for step in steps(examples, &order, 2048) {
        let packed = Packed::new(step.iter().map(|&i| &examples[i]));
        let mut tape = forward(net, adapter, &packed);
        loss += tape.losses(net, &packed, 0, 1.0).iter().sum::<f64>();
        tokens += packed.count;
    }
    net.check()?;
    Ok(Evaluation {
        loss: loss / tokens.max(1) as f64,
        tokens,
    })
}

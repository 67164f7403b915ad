//! Gradients and their parameters, in one fixed order, and the optimiser over them.

use openledger_engine::backend::{AdamStep, Backend};
use openledger_engine::{DeviceAdapter, Net};
use openledger_model::Target;

use crate::config::TrainConfig;

/// Gradients of an adapter: A and B of every module.
pub(crate) struct LoraGrads<T> {
    places: Vec<[Option<usize>; 7]>,
    pub(crate) bufs: Vec<T>,
}

impl<T> LoraGrads<T> {
    pub(crate) fn new<B: Backend<Buf = T>>(net: &Net<B>, adapter: &DeviceAdapter<T>) -> Self {
        let (mut places, mut bufs) = (Vec::new(), Vec::new());
        for layer in &adapter.modules {
            let mut row = [None; 7];
            for target in Target::ALL {
                if let Some(pair) = &layer[target.index()] {
                    let (d_out, d_in) = net.config().module_shape(target);
                    row[target.index()] = Some(bufs.len());
                    bufs.push(net.backend.zeros(pair.rank * d_in));
                    bufs.push(net.backend.zeros(d_out * pair.rank));
                }
            }
            places.push(row);
        }
        LoraGrads { places, bufs }
    }

    pub(crate) fn pair(&mut self, layer: usize, target: Target) -> Option<(&mut T, &mut T)> {
        let at = self.places[layer][target.index()]?;
        match &mut self.bufs[at..at + 2] {
            [a, b] => Some((a, b)),
            _ => None,
        }
    }
}

/// The adapter's parameters in the order of [`LoraGrads`]; all decay.
pub(crate) fn lora_params<T>(adapter: &mut DeviceAdapter<T>) -> Vec<(&mut T, bool)> {
    let pairs = adapter.modules.iter_mut().flatten().flatten();
    pairs
        .flat_map(|pair| [(&mut pair.a, true), (&mut pair.b, true)])
        .collect()
}

const PER_LAYER: usize = 2 + 7 + 7;

/// Gradients of every weight of a base model.
pub(crate) struct BaseGrads<T> {
    layers: usize,
    tied: bool,
    pub(crate) bufs: Vec<T>,
}

impl<T> BaseGrads<T> {
    pub(crate) fn new<B: Backend<Buf = T>>(net: &Net<B>) -> Self {
        let (c, be) = (net.config(), &net.backend);
        let mut bufs = vec![be.zeros(c.vocab_size * c.hidden_size)];
        for layer in &net.layers {
            bufs.push(be.zeros(c.hidden_size));
            bufs.push(be.zeros(c.hidden_size));
            for target in Target::ALL {
                let (d_out, d_in) = c.module_shape(target);
                bufs.push(be.zeros(d_out * d_in));
            }
            for target in Target::ALL {
                let there = layer.bias[target.index()].is_some();
                bufs.push(be.zeros(if there { c.module_shape(target).0 } else { 0 }));
            }
        }
        bufs.push(be.zeros(c.hidden_size));
        if net.head.is_some() {
            bufs.push(be.zeros(c.vocab_size * c.hidden_size));
        }
        BaseGrads {
            layers: net.layers.len(),
            tied: net.head.is_none(),
            bufs,
        }
    }

    pub(crate) fn embed(&mut self) -> &mut T {
        &mut self.bufs[0]
    }

    pub(crate) fn norm1(&mut self, layer: usize) -> &mut T {
        &mut self.bufs[1 + layer * PER_LAYER]
    }

    pub(crate) fn norm2(&mut self, layer: usize) -> &mut T {
        &mut self.bufs[2 + layer * PER_LAYER]
    }

    pub(crate) fn linear(&mut self, layer: usize, target: Target) -> &mut T {
        &mut self.bufs[3 + layer * PER_LAYER + target.index()]
    }

    pub(crate) fn bias(&mut self, layer: usize, target: Target) -> &mut T {
        &mut self.bufs[10 + layer * PER_LAYER + target.index()]
    }

    pub(crate) fn norm(&mut self) -> &mut T {
        &mut self.bufs[1 + self.layers * PER_LAYER]
    }

    pub(crate) fn head(&mut self) -> &mut T {
        let at = if self.tied { 0 } else { 2 + self.layers * PER_LAYER };
        &mut self.bufs[at]
    }
}

/// A parameter: the place of its gradient, its values, and whether it decays.
pub(crate) type Param<'a, T> = (usize, &'a mut T, bool);

/// The device, and the model's parameters in the order of [`BaseGrads`], those that are absent left out; matrices decay.
pub(crate) fn base_params<B: Backend>(net: &mut Net<B>) -> (&B, Vec<Param<'_, B::Buf>>) {
    let mut all = vec![(0, &mut net.embed, true)];
    let layers = net.layers.len();
    for (i, layer) in net.layers.iter_mut().enumerate() {
        let at = 1 + i * PER_LAYER;
        all.push((at, &mut layer.norm1, false));
        all.push((at + 1, &mut layer.norm2, false));
        all.extend(
            layer
                .linear
                .iter_mut()
                .enumerate()
                .map(|(j, w)| (at + 2 + j, w, true)),
        );
        all.extend(
            layer
                .bias
                .iter_mut()
                .enumerate()
                .filter_map(|(j, b)| Some((at + 9 + j, b.as_mut()?, false))),
        );
    }
    all.push((1 + layers * PER_LAYER, &mut net.norm, false));
    all.extend(net.head.as_mut().map(|head| (2 + layers * PER_LAYER, head, true)));
    (&net.backend, all)
}

/// AdamW over a list of gradients.
pub(crate) struct Optimizer<T> {
    pub(crate) m: Vec<T>,
    pub(crate) v: Vec<T>,
}

impl<T> Optimizer<T> {
    /// Zero moments for gradients of these lengths.
    pub(crate) fn new<B: Backend<Buf = T>>(backend: &B, grads: &[T]) -> Self {
        let zeros = || {
            grads
                .iter()
                .map(|g| backend.zeros(backend.download(g).len()))
                .collect()
        };
        Optimizer {
            m: zeros(),
            v: zeros(),
        }
    }

    /// Clips all gradients together, steps, and clears them. `params` name the place of their gradient and whether they decay.
    pub(crate) fn step<'p, B: Backend<Buf = T>>(
        &mut self,
        backend: &B,
        config: &TrainConfig,
        (step, of): (usize, usize),
        grads: &mut [T],
        params: impl IntoIterator<Item = Param<'p, T>>,
    ) where
        T: 'p,
    {
        let squares: f64 = grads.iter().map(|g| backend.sum_squares(g)).sum();
        let norm = squares.sqrt();
        let grad_scale = if norm > config.clip {
            config.clip / norm
        } else {
            1.0
        };
        for (at, param, decays) in params {
            let adam = AdamStep {
                lr: config.rate(step, of),
                beta1: config.beta1,
                beta2: config.beta2,
                eps: config.eps,
                weight_decay: if decays { config.weight_decay } else { 0.0 },
                step,
                grad_scale,
            };
            backend.adamw(adam, &grads[at], &mut self.m[at], &mut self.v[at], param);
        }
        grads.iter_mut().for_each(|g| backend.clear(g));
    }
}

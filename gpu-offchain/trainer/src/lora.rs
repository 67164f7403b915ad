//! Training a LoRA adapter over a frozen base.

use std::ops::ControlFlow;
use std::path::PathBuf;

use openledger_attribution::hash::{keccak, Hash};
use openledger_engine::backend::{Backend, LoraPair};
use openledger_engine::sampler::{key, philox};
use openledger_engine::{DeviceAdapter, Net, Real};
use openledger_model::{Adapter, Example, LoraModule, Target};

use crate::checkpoint::{params_of, upload, State};
use crate::config::{LoraConfig, Progress, TrainConfig, TrainEvent, Trained};
use crate::data::{check, noised, order, steps, Packed};
use crate::error::{Error, Result};
use crate::evaluate::mean_loss;
use crate::grads::{lora_params, LoraGrads, Optimizer};
use crate::pass::{backward, forward_with, Dropout, Wanted};

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
    let start = fresh_adapter(net, lora, config.seed)?;
    train_lora_from(net, train, heldout, &start, config, progress)
}

/// The same from an adapter that is there already: one of an earlier run, or one made elsewhere.
pub fn train_lora_from<B: Backend>(
    net: &Net<B>,
    train: &[Example],
    heldout: &[Example],
    start: &Adapter,
    config: &TrainConfig,
    progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Trained> {
    let run = Run {
        train,
        heldout,
        start,
        config,
        checkpoint: None,
    };
    run.train(net, &mut |event| match event {
        TrainEvent::Step(done) => progress(done),
        _ => ControlFlow::Continue(()),
    })
}

/// Where and how often a run saves itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The file; its folder is there. A run that finds its own there continues it.
    pub file: PathBuf,
    /// Steps between saves, at least 1.
    pub every: usize,
}

/// A training run with all that may be asked of one.
#[derive(Debug, Clone)]
pub struct Run<'a> {
    /// What is learnt from.
    pub train: &'a [Example],
    /// What is looked at but not learnt from; may be empty.
    pub heldout: &'a [Example],
    /// The adapter to begin with.
    pub start: &'a Adapter,
    /// The recipe.
    pub config: &'a TrainConfig,
    /// Saves, so that a killed run continues and ends with the bits of one that was not.
    pub checkpoint: Option<Checkpoint>,
}

impl Run<'_> {
    /// Names everything the run's result depends on.
    fn identity<B: Backend>(&self, net: &Net<B>) -> Result<Hash> {
        let config = serde_json::to_vec(self.config).map_err(|e| Error::Recipe(e.to_string()))?;
        let digest = |examples: &[Example]| {
            let mut bytes = Vec::new();
            for e in examples {
                bytes.extend((e.tokens.len() as u64).to_le_bytes());
                bytes.extend(e.tokens.iter().flat_map(|t| t.to_le_bytes()));
                bytes.extend(e.mask.iter().map(|m| u8::from(*m)));
            }
            keccak(&[&bytes])
        };
        Ok(keccak(&[
            b"OLR1",
            &net.base_hash(),
            &self.start.hash(),
            net.backend.arch().as_bytes(),
            &config,
            &digest(self.train),
            &digest(self.heldout),
        ]))
    }

    /// Trains, or continues from the checkpoint. `on_event` hears of every step and whatever else was asked for; it may ask to stop.
    pub fn train<B: Backend>(
        &self,
        net: &Net<B>,
        on_event: &mut dyn FnMut(&TrainEvent) -> ControlFlow<()>,
    ) -> Result<Trained> {
        let (config, train, heldout) = (self.config, self.train, self.heldout);
        config.check()?;
        let shape = net.config();
        check(train, shape.vocab_size, shape.max_position_embeddings)?;
        if !heldout.is_empty() {
            check(heldout, shape.vocab_size, shape.max_position_embeddings)?;
        }
        if config.patience > 0 && heldout.is_empty() {
            return Err(Error::Recipe(
                "patience asks for the held-out loss but nothing is held out".into(),
            ));
        }
        let mut adapter = DeviceAdapter::new(&net.backend, shape, self.start)?;
        let mut grads = LoraGrads::new(net, &adapter);
        let mut optimizer = Optimizer::new(&net.backend, &grads.bufs);
        let heldout_loss =
            |adapter: Option<&_>| (!heldout.is_empty()).then(|| mean_loss(net, adapter, heldout).loss);
        let saves = match &self.checkpoint {
            Some(at) if at.every == 0 => {
                return Err(Error::Recipe(
                    "a checkpoint every 0 steps; at least 1 is needed".into(),
                ))
            }
            Some(at) => Some((at, self.identity(net)?)),
            None => None,
        };
        let found = match &saves {
            Some((at, identity)) => State::load(&at.file, identity)?,
            None => None,
        };
        let mut state = match found {
            Some(state) => {
                state.put(net, &mut adapter, &mut optimizer)?;
                let _ = on_event(&TrainEvent::Resumed { step: state.step });
                state
            }
            None => State {
                loss_before: mean_loss(net, None, train).loss,
                heldout_before: heldout_loss(None),
                ..State::default()
            },
        };
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
        let all = epochs
            .iter()
            .enumerate()
            .flat_map(|(epoch, steps)| steps.iter().map(move |s| (epoch, s)));
        for (index, (epoch, indices)) in all.enumerate() {
            let step = index + 1;
            if step <= state.step || state.ended {
                continue;
            }
            let batch: Vec<Example> = indices
                .iter()
                .map(|&i| noised(&train[i], config.noise, config.seed, epoch, i))
                .collect();
            let packed = Packed::new(&batch);
            let dropout = (config.dropout > 0.0).then(|| Dropout {
                share: config.dropout,
                seed: config.seed ^ (epoch as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15),
                rows: indices
                    .iter()
                    .zip(&batch)
                    .flat_map(|(&i, e)| (1..e.tokens.len()).map(move |t| [i as u32, t as u32]))
                    .collect(),
            });
            let mut tape = forward_with(net, Some(&adapter), &packed, dropout);
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
            state.step = step;
            let done = Progress {
                step,
                of,
                loss,
                lr: config.rate(step, of),
                tokens: state.curve.last().map_or(0, |p| p.tokens) + packed.rows(),
            };
            state.curve.push(done);
            let mut go_on = on_event(&TrainEvent::Step(done));
            let mut say = |event: TrainEvent| {
                if on_event(&event).is_break() {
                    go_on = ControlFlow::Break(());
                }
            };
            if config.eval_every > 0 && step % config.eval_every == 0 && !heldout.is_empty() {
                let loss = mean_loss(net, Some(&adapter), heldout).loss;
                let best = loss < state.best_loss;
                if best {
                    state.best_loss = loss;
                    state.best_step = step;
                    state.best = if config.patience > 0 {
                        params_of(net, &mut adapter)
                    } else {
                        Vec::new()
                    };
                    state.worse = 0;
                } else {
                    state.worse += 1;
                }
                say(TrainEvent::Evaluated { step, loss, best });
                if config.patience > 0 && state.worse >= config.patience {
                    state.ended = true;
                    say(TrainEvent::StoppedEarly {
                        step,
                        best: state.best_step,
                    });
                }
            }
            let saving = saves
                .as_ref()
                .filter(|(at, _)| step % at.every == 0 || step == of || state.ended);
            let hashing = config.state_every > 0 && step % config.state_every == 0;
            if saving.is_some() || hashing {
                state.take(net, &mut adapter, &optimizer);
            }
            if hashing {
                say(TrainEvent::State {
                    step,
                    hash: state.hash().iter().map(|b| format!("{b:02x}")).collect(),
                });
            }
            if let Some((at, identity)) = saving {
                state.save(&at.file, identity)?;
                say(TrainEvent::Saved { step });
            }
            if go_on.is_break() {
                return Err(Error::Stopped { step, of });
            }
        }
        if !state.best.is_empty() {
            for ((param, _), best) in lora_params(&mut adapter).into_iter().zip(&state.best) {
                *param = upload(net, best);
            }
        }
        let (loss_after, heldout_after) = (
            mean_loss(net, Some(&adapter), train).loss,
            heldout_loss(Some(&adapter)),
        );
        Ok(Trained {
            adapter: to_host(net, &adapter, self.start)?,
            loss_before: state.loss_before,
            loss_after,
            heldout_before: state.heldout_before,
            heldout_after,
            curve: state.curve,
        })
    }
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

//! Training LoRA adapters over a frozen base, one or many in a pass.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::PathBuf;

use openledger_attribution::hash::{keccak, Hash};
use openledger_engine::backend::{Backend, Fault, FaultKind, LoraPair, IGNORE};
use openledger_engine::sampler::{key, philox};
use openledger_engine::{DeviceAdapter, Net, Real};
use openledger_model::{Adapter, Example, LoraModule, Target};

use crate::checkpoint::{params_of, upload, State};
use crate::config::{LoraConfig, Progress, TrainConfig, TrainEvent, Trained};
use crate::data::{check, noised, order, steps, Packed};
use crate::error::{Error, Result};
use crate::evaluate::mean_loss;
use crate::grads::{lora_params, LoraGrads, Optimizer};
use crate::pass::{backward, forward_parts, Dropout, Part, Wanted};

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
    fn heldout_loss<B: Backend>(
        &self,
        net: &Net<B>,
        adapter: Option<&DeviceAdapter<B::Buf>>,
    ) -> Result<Option<f64>> {
        match self.heldout {
            [] => Ok(None),
            heldout => Ok(Some(mean_loss(net, adapter, heldout)?.loss)),
        }
    }

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
        let results = train_many(net, std::slice::from_ref(self), usize::MAX, &mut |_, event| {
            on_event(event)
        });
        let none = || Error::Data("the run gave no result".into());
        results.into_iter().next().ok_or_else(none)?
    }
}

/// Trains many adapters over one base, those of a pass together: the base is read once for all of them. A pass takes the next step of as many
/// runs as have at most `tokens` tokens together, in turns, and of one in any case.
///
/// Each run ends as it does alone, to the last bit where the backend promises the same bits for any batch; what goes wrong in one does not
/// touch the others. `on_event` hears which run, and what; it may ask to stop that run. Results are in the order of the runs.
pub fn train_many<B: Backend>(
    net: &Net<B>,
    runs: &[Run<'_>],
    tokens: usize,
    on_event: &mut dyn FnMut(usize, &TrainEvent) -> ControlFlow<()>,
) -> Vec<Result<Trained>> {
    let mut results: Vec<Option<Result<Trained>>> = Vec::new();
    let mut under_way: VecDeque<(usize, Course<'_, B>)> = VecDeque::new();
    for (at, run) in runs.iter().enumerate() {
        results.push(match Course::begin(net, run, &mut |event| on_event(at, event)) {
            Ok(course) => {
                under_way.push_back((at, course));
                None
            }
            Err(error) => Some(Err(error)),
        });
    }
    let mut most = usize::MAX;
    while !under_way.is_empty() {
        let mut pass: Vec<(usize, Course<'_, B>, Step)> = Vec::new();
        let mut taken = 0;
        while let Some((at, course)) = under_way.pop_front() {
            let Some(step) = course.next() else {
                results[at] = Some(course.finish(net));
                continue;
            };
            let rows = step.rows();
            if !pass.is_empty() && (taken + rows > tokens || pass.len() >= most) {
                under_way.push_front((at, course));
                break;
            }
            taken += rows;
            pass.push((at, course, step));
        }
        if pass.is_empty() {
            break;
        }
        match together(net, &mut pass) {
            Ok(losses) => {
                for ((at, mut course, step), loss) in pass.into_iter().zip(losses) {
                    match course.after(net, &step, loss, &mut |event| on_event(at, event)) {
                        Ok(()) => under_way.push_back((at, course)),
                        Err(error) => results[at] = Some(Err(error)),
                    }
                }
            }
            // What does not fit may fit in smaller passes.
            Err(fault) if fault.kind == FaultKind::Memory && pass.len() > 1 => {
                most = pass.len() / 2;
                for (at, mut course, _) in pass.into_iter().rev() {
                    course.forget(net);
                    under_way.push_front((at, course));
                }
            }
            Err(fault) => {
                for (at, _, _) in pass {
                    results[at] = Some(Err(openledger_engine::Error::Device(fault.clone()).into()));
                }
            }
        }
    }
    let none = || Err(Error::Data("the run gave no result".into()));
    results
        .into_iter()
        .map(|result| result.unwrap_or_else(none))
        .collect()
}

/// One pass forward and backward through a step of each; the mean losses, and the gradients in the runs' own buffers.
fn together<B: Backend>(
    net: &Net<B>,
    pass: &mut [(usize, Course<'_, B>, Step)],
) -> std::result::Result<Vec<f64>, Fault> {
    let packed = Packed::new(pass.iter().flat_map(|(_, _, step)| &step.examples));
    let (mut parts, mut grads, mut start) = (Vec::new(), Vec::new(), 0);
    for (_, course, step) in pass {
        let rows = step.rows();
        parts.push(Part {
            start,
            rows,
            adapter: &course.adapter,
            dropout: course.dropout(step),
        });
        grads.push(&mut course.grads);
        start += rows;
    }
    let mut tape = forward_parts(net, &parts, &packed);
    let mut losses = Vec::with_capacity(parts.len());
    for (place, part) in parts.iter().enumerate() {
        let targets = &packed.targets[part.start..part.start + part.rows];
        let count = targets.iter().filter(|t| **t != IGNORE).count().max(1) as f64;
        let all = tape.losses(net, &packed, place, 1.0 / count);
        losses.push(all.iter().sum::<f64>() / count);
    }
    let wanted = Wanted {
        lora: grads,
        base: None,
        tap: None,
    };
    backward(net, &parts, &packed, &tape, wanted);
    net.backend.take_fault().map_or(Ok(losses), Err)
}

/// What a run does next.
struct Step {
    /// Its number, from 1.
    number: usize,
    epoch: usize,
    indices: Vec<usize>,
    examples: Vec<Example>,
}

impl Step {
    fn rows(&self) -> usize {
        self.examples.iter().map(|e| e.tokens.len() - 1).sum()
    }
}

/// A run under way.
struct Course<'a, B: Backend> {
    run: &'a Run<'a>,
    adapter: DeviceAdapter<B::Buf>,
    grads: LoraGrads<B::Buf>,
    optimizer: Optimizer<B::Buf>,
    state: State,
    /// Epoch and examples of every step.
    steps: Vec<(usize, Vec<usize>)>,
    saves: Option<(&'a Checkpoint, Hash)>,
}

impl<'a, B: Backend> Course<'a, B> {
    fn begin(
        net: &Net<B>,
        run: &'a Run<'a>,
        on_event: &mut dyn FnMut(&TrainEvent) -> ControlFlow<()>,
    ) -> Result<Self> {
        let (config, train, heldout) = (run.config, run.train, run.heldout);
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
        let mut adapter = DeviceAdapter::new(&net.backend, shape, run.start)?;
        let grads = LoraGrads::new(net, &adapter);
        let mut optimizer = Optimizer::new(&net.backend, &grads.bufs);
        let saves = match &run.checkpoint {
            Some(at) if at.every == 0 => {
                return Err(Error::Recipe(
                    "a checkpoint every 0 steps; at least 1 is needed".into(),
                ))
            }
            Some(at) => Some((at, run.identity(net)?)),
            None => None,
        };
        let found = match &saves {
            Some((at, identity)) => State::load(&at.file, identity)?,
            None => None,
        };
        let state = match found {
            Some(state) => {
                state.put(net, &mut adapter, &mut optimizer)?;
                let _ = on_event(&TrainEvent::Resumed { step: state.step });
                state
            }
            None => State {
                loss_before: mean_loss(net, Some(&adapter), train)?.loss,
                heldout_before: run.heldout_loss(net, Some(&adapter))?,
                ..State::default()
            },
        };
        net.check()?;
        let steps = (0..config.epochs)
            .flat_map(|epoch| {
                let order = order(train.len(), config.seed, epoch);
                let all = steps(train, &order, config.batch_tokens);
                all.into_iter().map(move |step| (epoch, step))
            })
            .collect();
        Ok(Course {
            run,
            adapter,
            grads,
            optimizer,
            state,
            steps,
            saves,
        })
    }

    /// The next step, unless the run is at its end.
    fn next(&self) -> Option<Step> {
        let at = self.state.step;
        let (epoch, indices) = self.steps.get(at).filter(|_| !self.state.ended)?;
        let Run { config, train, .. } = self.run;
        let noisy = |&i: &usize| noised(&train[i], config.noise, config.seed, *epoch, i);
        Some(Step {
            number: at + 1,
            epoch: *epoch,
            indices: indices.clone(),
            examples: indices.iter().map(noisy).collect(),
        })
    }

    fn dropout(&self, step: &Step) -> Option<Dropout> {
        let config = self.run.config;
        (config.dropout > 0.0).then(|| Dropout {
            share: config.dropout,
            seed: config.seed ^ (step.epoch as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15),
            rows: step
                .indices
                .iter()
                .zip(&step.examples)
                .flat_map(|(&i, e)| (1..e.tokens.len()).map(move |t| [i as u32, t as u32]))
                .collect(),
        })
    }

    /// Forgets the gradients of a pass that failed.
    fn forget(&mut self, net: &Net<B>) {
        self.grads.bufs.iter_mut().for_each(|g| net.backend.clear(g));
    }

    /// Takes a step with the gradients at hand, then looks, hashes and saves as asked.
    fn after(
        &mut self,
        net: &Net<B>,
        step: &Step,
        loss: f64,
        on_event: &mut dyn FnMut(&TrainEvent) -> ControlFlow<()>,
    ) -> Result<()> {
        let (config, state, of) = (self.run.config, &mut self.state, self.steps.len());
        let rows = step.rows();
        let step = step.number;
        if !loss.is_finite() {
            return Err(Error::Diverged { step, loss });
        }
        let params = lora_params(&mut self.adapter)
            .into_iter()
            .enumerate()
            .map(|(at, (p, decays))| (at, p, decays));
        self.optimizer
            .step(&net.backend, config, (step, of), &mut self.grads.bufs, params);
        net.check()?;
        state.step = step;
        let done = Progress {
            step,
            of,
            loss,
            lr: config.rate(step, of),
            tokens: state.curve.last().map_or(0, |p| p.tokens) + rows,
        };
        state.curve.push(done);
        let mut go_on = on_event(&TrainEvent::Step(done));
        let mut say = |event: TrainEvent| {
            if on_event(&event).is_break() {
                go_on = ControlFlow::Break(());
            }
        };
        if config.eval_every > 0 && step.is_multiple_of(config.eval_every) {
            if let Some(loss) = self.run.heldout_loss(net, Some(&self.adapter))? {
                let best = loss < state.best_loss;
                if best {
                    state.best_loss = loss;
                    state.best_step = step;
                    state.best = if config.patience > 0 {
                        params_of(net, &mut self.adapter)
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
        }
        let saving = self
            .saves
            .as_ref()
            .filter(|(at, _)| step.is_multiple_of(at.every) || step == of || state.ended);
        let hashing = config.state_every > 0 && step.is_multiple_of(config.state_every);
        if saving.is_some() || hashing {
            state.take(net, &mut self.adapter, &self.optimizer);
            net.check()?;
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
        match go_on {
            ControlFlow::Break(()) => Err(Error::Stopped { step, of }),
            ControlFlow::Continue(()) => Ok(()),
        }
    }

    fn finish(mut self, net: &Net<B>) -> Result<Trained> {
        if !self.state.best.is_empty() {
            for ((param, _), best) in lora_params(&mut self.adapter).into_iter().zip(&self.state.best) {
                *param = upload(net, best);
            }
        }
        let loss_after = mean_loss(net, Some(&self.adapter), self.run.train)?.loss;
        let heldout_after = self.run.heldout_loss(net, Some(&self.adapter))?;
        let adapter = to_host(net, &self.adapter, self.run.start)?;
        net.check()?;
        Ok(Trained {
            adapter,
            loss_before: self.state.loss_before,
            loss_after,
            heldout_before: self.state.heldout_before,
            heldout_after,
            curve: self.state.curve,
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

//! Recipes and what a run reports.

use openledger_model::{Adapter, Target};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The shape of a LoRA adapter to train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoraConfig {
    /// The inner width.
    pub rank: usize,
    /// The module's output is scaled by alpha / rank.
    pub alpha: f64,
    /// The adapted modules, in every layer.
    pub targets: Vec<Target>,
}

impl Default for LoraConfig {
    fn default() -> Self {
        LoraConfig {
            rank: 16,
            alpha: 32.0,
            targets: Target::ALL.to_vec(),
        }
    }
}

/// How the learning rate falls after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Half a cosine.
    #[default]
    Cosine,
    /// A straight line.
    Linear,
    /// It does not.
    Constant,
}

/// How to train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the data.
    pub epochs: usize,
    /// Examples are put into a step until it has this many tokens.
    pub batch_tokens: usize,
    /// The highest learning rate.
    pub lr: f64,
    /// Share of the steps in which the rate rises to it.
    pub warmup: f64,
    /// How it falls afterwards.
    pub schedule: Schedule,
    /// Share of the highest rate at which it ends.
    pub min_lr: f64,
    /// Decoupled decay of matrices.
    pub weight_decay: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Largest norm of all gradients together.
    pub clip: f64,
    /// Share of a prompt's tokens replaced, anew in every epoch, by others of the same prompt, so that an adapter learns what a prompt is
    /// about and not its exact words. Targets, and the two tokens at either end of a prompt, stay. Only for adapters.
    pub noise: f64,
    /// Share of the inputs of an adapter's A that are left out, anew in every step, the others scaled up. Only for adapters.
    pub dropout: f64,
    /// Steps between looks at the held-out loss; 0 for none.
    pub eval_every: usize,
    /// Looks without a lower held-out loss after which training ends; the best adapter is given. 0 to train to the end.
    pub patience: usize,
    /// Steps between hashes of the state; 0 for none.
    pub state_every: usize,
    /// Seed of the order of the data and of fresh weights.
    pub seed: u64,
}

impl Default for TrainConfig {
    fn default() -> Self {
        TrainConfig {
            epochs: 16,
            batch_tokens: 512,
            lr: 4e-3,
            warmup: 0.05,
            schedule: Schedule::Cosine,
            min_lr: 0.05,
            weight_decay: 0.0,
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
            clip: 1.0,
            noise: 0.1,
            dropout: 0.0,
            eval_every: 0,
            patience: 0,
            state_every: 0,
            seed: 0,
        }
    }
}

impl TrainConfig {
    /// Refuses values that cannot be trained with.
    pub fn check(&self) -> Result<()> {
        let refuse = |name: &str, value: f64, need: &str| {
            Err(Error::Recipe(format!("{name} is {value}; {need} is needed")))
        };
        if self.epochs == 0 || self.batch_tokens == 0 {
            return Err(Error::Recipe("epochs and batch_tokens must be at least 1".into()));
        }
        for (name, value) in [("lr", self.lr), ("eps", self.eps), ("clip", self.clip)] {
            if !(value > 0.0 && value.is_finite()) {
                return refuse(name, value, "a positive number");
            }
        }
        for (name, value) in [
            ("warmup", self.warmup),
            ("min_lr", self.min_lr),
            ("weight_decay", self.weight_decay),
            ("noise", self.noise),
        ] {
            if !(0.0..=1.0).contains(&value) {
                return refuse(name, value, "a number from 0 to 1");
            }
        }
        if self.patience > 0 && self.eval_every == 0 {
            return Err(Error::Recipe(format!(
                "patience is {} but eval_every is 0; say how often to look at the held-out loss",
                self.patience
            )));
        }
        for (name, value) in [
            ("beta1", self.beta1),
            ("beta2", self.beta2),
            ("dropout", self.dropout),
        ] {
            if !(0.0..1.0).contains(&value) {
                return refuse(name, value, "a number from 0 to below 1");
            }
        }
        Ok(())
    }

    /// The learning rate of a step, counted from 1: a linear rise, then the schedule.
    pub fn rate(&self, step: usize, of: usize) -> f64 {
        let warm = (self.warmup * of as f64).max(1.0);
        let step = step as f64;
        if step <= warm {
            return self.lr * step / warm;
        }
        let done = (step - warm) / (of as f64 - warm).max(1.0);
        let left = match self.schedule {
            Schedule::Cosine => 0.5 * (1.0 + libm::cos(std::f64::consts::PI * done)),
            Schedule::Linear => 1.0 - done,
            Schedule::Constant => return self.lr,
        };
        self.lr * (self.min_lr + (1.0 - self.min_lr) * left)
    }
}

/// A step that was done.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Its number, from 1.
    pub step: usize,
    /// All steps.
    pub of: usize,
    /// Mean loss of a target in it, in nats.
    pub loss: f64,
    /// The learning rate.
    pub lr: f64,
    /// Tokens read so far.
    pub tokens: usize,
}

/// What happens in a run, in a form that can be sent as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum TrainEvent {
    /// A step was done.
    Step(Progress),
    /// The held-out loss after a step.
    Evaluated {
        /// The step.
        step: usize,
        /// Mean loss of a held-out target, in nats.
        loss: f64,
        /// Whether it is the lowest so far.
        best: bool,
    },
    /// The hash of everything the steps to come depend on.
    State {
        /// The step after which it holds.
        step: usize,
        /// In hexadecimal.
        hash: String,
    },
    /// A checkpoint is on disk.
    Saved {
        /// The step after which it holds.
        step: usize,
    },
    /// The run continues a checkpoint.
    Resumed {
        /// The last step that need not be done again.
        step: usize,
    },
    /// The held-out loss no longer falls.
    StoppedEarly {
        /// The last step done.
        step: usize,
        /// The step whose adapter is given.
        best: usize,
    },
}

/// A trained adapter.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The adapter.
    pub adapter: Adapter,
    /// Mean loss of a target over the training data under the base alone.
    pub loss_before: f64,
    /// The same under the adapter.
    pub loss_after: f64,
    /// Mean loss of a target over the held-out data under the base alone, if there are any.
    pub heldout_before: Option<f64>,
    /// The same under the adapter.
    pub heldout_after: Option<f64>,
    /// Every step.
    pub curve: Vec<Progress>,
}

//! Training by explicit forward and backward passes over a [`openledger_engine::Backend`].
//!
//! - [`train_lora`]: a LoRA adapter over a frozen base, exported as PEFT reads it; [`Run`] with checkpoints, early stop and state hashes,
//!   [`train_many`] for many of them in one pass over the base.
//! - [`train_base`]: every weight of a small base.
//! - [`curve`]: their losses as pictures.
//! - [`FactorModel`]: the per-example factors that attribution is computed from.
//!
//! Results depend on model, data and recipe alone: the order of the data comes from the recipe's seed, sums run in one order, and the
//! number of threads changes nothing.

mod base;
#[cfg(test)]
mod check;
mod checkpoint;
mod config;
pub mod curve;
mod data;
mod error;
mod evaluate;
mod factors;
mod grads;
mod lora;
mod pass;

pub use base::{fresh_base, to_base_model, train_base};
pub use config::{LoraConfig, Progress, Schedule, TrainConfig, TrainEvent, Trained};
pub use error::{Error, Result};
pub use evaluate::{evaluate, Evaluation};
pub use factors::{write_factors, FactorModel, Factors, ModuleFactors, ModuleSums};
pub use lora::{fresh_adapter, train_lora, train_lora_from, train_many, Checkpoint, Run};

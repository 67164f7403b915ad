//! Models in Hugging Face layout, read strictly: what is not understood is refused with its key and the reason.
//!
//! - [`BaseModel`] and [`ModelConfig`]: `config.json` and safetensors of the Llama and Qwen2 families.
//! - [`Adapter`]: LoRA in PEFT's layout.
//! - [`Tokenizer`]: `tokenizer.json` and the chat template.
//!
//! Every one of them has a content hash that anyone computes from the files with keccak-256 alone.

mod adapter;
mod config;
mod error;
mod example;
mod plan;
mod target;
mod tokenizer;
mod weights;

pub use adapter::{Adapter, LoraModule};
pub use config::{Family, ModelConfig, RopeScaling};
pub use error::{Error, Result};
pub use example::Example;
pub use openledger_attribution::hash::Hash;
pub use target::Target;
pub use tokenizer::{DecodeStream, Message, Pieces, Tokenizer};
pub use weights::BaseModel;

//! Small models and texts for tests.
#![allow(dead_code)]

use openledger_engine::sampler::{key, philox};
use openledger_model::{BaseModel, Example, ModelConfig};
use openledger_trainer::fresh_base;
use serde_json::json;

/// A model of one or two thousand weights; biased and untied when `qwen`.
pub(crate) fn tiny(qwen: bool) -> BaseModel {
    let config = json!({
        "model_type": if qwen { "qwen2" } else { "llama" },
        "vocab_size": 13, "hidden_size": 12, "intermediate_size": 20, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 6, "max_position_embeddings": 64,
        "tie_word_embeddings": !qwen, "initializer_range": 0.3, "eos_token_id": 12
    });
    fresh_base(&ModelConfig::from_json(&config).unwrap(), 5).unwrap()
}

/// Examples of `lengths` tokens; every third token does not count.
pub(crate) fn examples(lengths: &[usize], vocab: u32, seed: u64) -> Vec<Example> {
    let word = |i: usize, t: usize| philox([i as u32, t as u32, 0, 9], key(seed))[0];
    let one = |(i, len): (usize, &usize)| Example {
        tokens: (0..*len).map(|t| word(i, t) % vocab).collect(),
        mask: (0..*len).map(|t| t % 3 != 1).collect(),
    };
    lengths.iter().enumerate().map(one).collect()
}

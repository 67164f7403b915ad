//! `config.json`: the shape of a Llama- or Qwen2-family model.

use std::path::Path;

use serde_json::{json, Map, Value};

use crate::error::{read, Error, Result};
use crate::target::Target;

/// The model families that are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `LlamaForCausalLM`.
    Llama,
    /// `Qwen2ForCausalLM`: Llama with a bias on q, k and v.
    Qwen2,
}

/// How rotary frequencies are stretched for long contexts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RopeScaling {
    /// All positions divided by the factor.
    Linear {
        /// The divisor, at least 1.
        factor: f64,
    },
    /// Llama 3: long wavelengths divided, short ones kept, smooth in between.
    Llama3 {
        /// The divisor of long wavelengths.
        factor: f64,
        /// Wavelengths above `original / low` are divided.
        low_freq_factor: f64,
        /// Wavelengths below `original / high` are kept.
        high_freq_factor: f64,
        /// The context length of pre-training, in tokens.
        original: f64,
    },
}

/// The shape of a model; sizes in elements, lengths in tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// The family, which decides on biases and names.
    pub family: Family,
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the gated hidden layer.
    pub intermediate_size: usize,
    /// Number of decoder layers.
    pub num_layers: usize,
    /// Number of query heads.
    pub num_heads: usize,
    /// Number of key and value heads; divides `num_heads`.
    pub num_kv_heads: usize,
    /// Width of one head; even.
    pub head_dim: usize,
    /// Longest sequence.
    pub max_position_embeddings: usize,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Stretching of the rotary frequencies.
    pub rope_scaling: Option<RopeScaling>,
    /// Added under the root of each RMS norm.
    pub rms_norm_eps: f64,
    /// Whether the output layer is the embedding.
    pub tie_word_embeddings: bool,
    /// Whether q, k and v have a bias.
    pub qkv_bias: bool,
    /// The token a text begins with, if any.
    pub bos: Option<u32>,
    /// Tokens that end an answer.
    pub eos: Vec<u32>,
    /// Deviation of fresh weights.
    pub initializer_range: f64,
}

const WHAT: &str = "config.json";

impl ModelConfig {
    /// Reads `config.json` of a folder, and `generation_config.json` for further end tokens.
    pub fn load(dir: &Path) -> Result<Self> {
        let path = dir.join("config.json");
        let value = serde_json::from_slice(&read(&path)?).map_err(|e| Error::format(&path, e))?;
        let mut config = Self::from_json(&value)?;
        let path = dir.join("generation_config.json");
        if path.exists() {
            let value: Value = serde_json::from_slice(&read(&path)?).map_err(|e| Error::format(&path, e))?;
            for id in token_ids(value.get("eos_token_id"))? {
                if !config.eos.contains(&id) {
                    config.eos.push(id);
                }
            }
        }
        Ok(config)
    }

    /// Reads the parsed `config.json`; refuses what it does not understand with key and value.
    pub fn from_json(value: &Value) -> Result<Self> {
        let family = match value.get("model_type").and_then(Value::as_str) {
            Some("llama") => Family::Llama,
            Some("qwen2") => Family::Qwen2,
            other => {
                return Err(Error::unsupported(
                    WHAT,
                    "model_type",
                    show(other),
                    "llama and qwen2 are understood",
                ))
            }
        };
        match value.get("hidden_act").and_then(Value::as_str) {
            None | Some("silu") => {}
            other => {
                return Err(Error::unsupported(
                    WHAT,
                    "hidden_act",
                    show(other),
                    "only silu is understood",
                ))
            }
        }
        for key in ["mlp_bias", "use_sliding_window", "quantization_config"] {
            match value.get(key) {
                None | Some(Value::Null) | Some(Value::Bool(false)) => {}
                Some(other) => {
                    return Err(Error::unsupported(
                        WHAT,
                        key,
                        other,
                        "leave it out or set it to false",
                    ))
                }
            }
        }
        if family == Family::Llama && flag(value, "attention_bias", false)? {
            return Err(Error::unsupported(
                WHAT,
                "attention_bias",
                true,
                "it puts a bias on o_proj; use false",
            ));
        }
        let hidden_size = size(value, "hidden_size", None)?;
        let num_heads = size(value, "num_attention_heads", None)?;
        let config = ModelConfig {
            family,
            vocab_size: size(value, "vocab_size", None)?,
            hidden_size,
            intermediate_size: size(value, "intermediate_size", None)?,
            num_layers: size(value, "num_hidden_layers", None)?,
            num_heads,
            num_kv_heads: size(value, "num_key_value_heads", Some(num_heads))?,
            head_dim: size(value, "head_dim", Some(hidden_size / num_heads))?,
            max_position_embeddings: size(value, "max_position_embeddings", Some(2048))?,
            rope_theta: rope_theta(value)?,
            rope_scaling: rope_scaling(value)?,
            rms_norm_eps: number(value, "rms_norm_eps", Some(1e-6))?,
            tie_word_embeddings: flag(value, "tie_word_embeddings", false)?,
            qkv_bias: family == Family::Qwen2,
            bos: token_ids(value.get("bos_token_id"))?.first().copied(),
            eos: token_ids(value.get("eos_token_id"))?,
            initializer_range: number(value, "initializer_range", Some(0.02))?,
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        let bad = |key: &str, value: usize, remedy: &str| Err(Error::unsupported(WHAT, key, value, remedy));
        if !self.num_heads.is_multiple_of(self.num_kv_heads) {
            return bad(
                "num_key_value_heads",
                self.num_kv_heads,
                "it must divide num_attention_heads",
            );
        }
        if !self.head_dim.is_multiple_of(2) {
            return bad("head_dim", self.head_dim, "it must be even for rotary positions");
        }
        for &id in self.eos.iter().chain(&self.bos) {
            if id as usize >= self.vocab_size {
                return bad(
                    "eos_token_id",
                    id as usize,
                    "special tokens must be below vocab_size",
                );
            }
        }
        Ok(())
    }

    /// The parsed `config.json` that describes this model to every loader of the Hugging Face layout.
    pub fn to_json(&self) -> Value {
        let (architecture, model_type) = match self.family {
            Family::Llama => ("LlamaForCausalLM", "llama"),
            Family::Qwen2 => ("Qwen2ForCausalLM", "qwen2"),
        };
        let mut value = json!({
            "architectures": [architecture],
            "model_type": model_type,
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.num_layers,
            "num_attention_heads": self.num_heads,
            "num_key_value_heads": self.num_kv_heads,
            "head_dim": self.head_dim,
            "max_position_embeddings": self.max_position_embeddings,
            "rope_theta": self.rope_theta,
            "rms_norm_eps": self.rms_norm_eps,
            "hidden_act": "silu",
            "tie_word_embeddings": self.tie_word_embeddings,
            "initializer_range": self.initializer_range,
            "torch_dtype": "float32",
            "use_cache": true,
        });
        if let Some(map) = value.as_object_mut() {
            if self.family == Family::Llama {
                map.insert("attention_bias".into(), json!(false));
                map.insert("mlp_bias".into(), json!(false));
            }
            if let Some(bos) = self.bos {
                map.insert("bos_token_id".into(), json!(bos));
            }
            match self.eos.as_slice() {
                [] => {}
                [one] => drop(map.insert("eos_token_id".into(), json!(one))),
                many => drop(map.insert("eos_token_id".into(), json!(many))),
            }
            match self.rope_scaling {
                None => {}
                Some(RopeScaling::Linear { factor }) => {
                    map.insert(
                        "rope_scaling".into(),
                        json!({"rope_type": "linear", "factor": factor}),
                    );
                }
                Some(RopeScaling::Llama3 {
                    factor,
                    low_freq_factor,
                    high_freq_factor,
                    original,
                }) => {
                    map.insert(
                        "rope_scaling".into(),
                        json!({"rope_type": "llama3", "factor": factor, "low_freq_factor": low_freq_factor,
                               "high_freq_factor": high_freq_factor, "original_max_position_embeddings": original}),
                    );
                }
            }
        }
        value
    }

    /// Width of all query heads together.
    pub fn q_dim(&self) -> usize {
        self.num_heads * self.head_dim
    }

    /// Width of all key (or value) heads together.
    pub fn kv_dim(&self) -> usize {
        self.num_kv_heads * self.head_dim
    }

    /// `(d_out, d_in)` of a linear module.
    pub fn module_shape(&self, target: Target) -> (usize, usize) {
        match target {
            Target::Q => (self.q_dim(), self.hidden_size),
            Target::K | Target::V => (self.kv_dim(), self.hidden_size),
            Target::O => (self.hidden_size, self.q_dim()),
            Target::Gate | Target::Up => (self.intermediate_size, self.hidden_size),
            Target::Down => (self.hidden_size, self.intermediate_size),
        }
    }

    /// Name and shape of every tensor the model needs, in layer order.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let hidden = self.hidden_size;
        let mut all = vec![(
            "model.embed_tokens.weight".to_owned(),
            vec![self.vocab_size, hidden],
        )];
        for layer in 0..self.num_layers {
            all.push((
                format!("model.layers.{layer}.input_layernorm.weight"),
                vec![hidden],
            ));
            all.push((
                format!("model.layers.{layer}.post_attention_layernorm.weight"),
                vec![hidden],
            ));
            for target in Target::ALL {
                let (d_out, d_in) = self.module_shape(target);
                let name = target.full_name(layer);
                all.push((format!("{name}.weight"), vec![d_out, d_in]));
                if self.qkv_bias && target.has_qkv_bias() {
                    all.push((format!("{name}.bias"), vec![d_out]));
                }
            }
        }
        all.push(("model.norm.weight".to_owned(), vec![hidden]));
        if !self.tie_word_embeddings {
            all.push(("lm_head.weight".to_owned(), vec![self.vocab_size, hidden]));
        }
        all
    }

    /// Number of weights.
    pub fn parameters(&self) -> usize {
        self.tensors()
            .iter()
            .map(|(_, shape)| shape.iter().product::<usize>())
            .sum()
    }

    /// The inverse frequency of every pair of a head's elements, in radians per position: `head_dim / 2` values.
    pub fn rope_frequencies(&self) -> Vec<f64> {
        let half = self.head_dim / 2;
        (0..half)
            .map(|i| {
                let plain = 1.0 / libm::pow(self.rope_theta, 2.0 * i as f64 / self.head_dim as f64);
                match self.rope_scaling {
                    None => plain,
                    Some(RopeScaling::Linear { factor }) => plain / factor,
                    Some(RopeScaling::Llama3 {
                        factor,
                        low_freq_factor,
                        high_freq_factor,
                        original,
                    }) => {
                        let length = 2.0 * std::f64::consts::PI / plain;
                        if length < original / high_freq_factor {
                            plain
                        } else if length > original / low_freq_factor {
                            plain / factor
                        } else {
                            let smooth =
                                (original / length - low_freq_factor) / (high_freq_factor - low_freq_factor);
                            (1.0 - smooth) * plain / factor + smooth * plain
                        }
                    }
                }
            })
            .collect()
    }
}

fn show(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "missing".to_owned(), |v| v.to_string())
}

fn size(value: &Value, key: &str, default: Option<usize>) -> Result<usize> {
    match (value.get(key), default) {
        (None | Some(Value::Null), Some(default)) => Ok(default),
        (Some(found), _) => match found.as_u64() {
            Some(n) if n > 0 && n < 1 << 32 => Ok(n as usize),
            _ => Err(Error::unsupported(
                WHAT,
                key,
                found,
                "a positive whole number is needed",
            )),
        },
        (None, None) => Err(Error::unsupported(
            WHAT,
            key,
            "missing",
            "a positive whole number is needed",
        )),
    }
}

fn number(value: &Value, key: &str, default: Option<f64>) -> Result<f64> {
    match (value.get(key), default) {
        (None | Some(Value::Null), Some(default)) => Ok(default),
        (found, _) => match found.and_then(Value::as_f64) {
            Some(x) if x.is_finite() && x > 0.0 => Ok(x),
            _ => Err(Error::unsupported(
                WHAT,
                key,
                show(found),
                "a positive number is needed",
            )),
        },
    }
}

fn flag(value: &Value, key: &str, default: bool) -> Result<bool> {
    match value.get(key) {
        None | Some(Value::Null) => Ok(default),
        Some(Value::Bool(b)) => Ok(*b),
        Some(other) => Err(Error::unsupported(WHAT, key, other, "true or false is needed")),
    }
}

fn token_ids(value: Option<&Value>) -> Result<Vec<u32>> {
    let one = |v: &Value| {
        v.as_u64().and_then(|n| u32::try_from(n).ok()).ok_or_else(|| {
            Error::unsupported(
                WHAT,
                "eos_token_id or bos_token_id",
                v,
                "token ids are whole numbers",
            )
        })
    };
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(many)) => many.iter().map(one).collect(),
        Some(v) => Ok(vec![one(v)?]),
    }
}

// Newer files keep both in `rope_parameters`.
fn rope_map(value: &Value) -> Option<&Map<String, Value>> {
    ["rope_scaling", "rope_parameters"]
        .iter()
        .find_map(|key| value.get(key).and_then(Value::as_object))
}

fn rope_theta(value: &Value) -> Result<f64> {
    let holder = match (value.get("rope_theta"), rope_map(value)) {
        (None, Some(map)) if map.contains_key("rope_theta") => Value::Object(map.clone()),
        _ => value.clone(),
    };
    number(&holder, "rope_theta", Some(10_000.0))
}

fn rope_scaling(value: &Value) -> Result<Option<RopeScaling>> {
    let Some(map) = rope_map(value) else {
        return Ok(None);
    };
    let kind = map
        .get("rope_type")
        .or_else(|| map.get("type"))
        .and_then(Value::as_str);
    let holder = Value::Object(map.clone());
    let get = |key: &str| number(&holder, key, None);
    match kind {
        None | Some("default") => Ok(None),
        Some("linear") => Ok(Some(RopeScaling::Linear {
            factor: get("factor")?,
        })),
        Some("llama3") => Ok(Some(RopeScaling::Llama3 {
            factor: get("factor")?,
            low_freq_factor: get("low_freq_factor")?,
            high_freq_factor: get("high_freq_factor")?,
            original: get("original_max_position_embeddings")?,
        })),
        other => Err(Error::unsupported(
            WHAT,
            "rope_scaling.rope_type",
            show(other),
            "default, linear and llama3 are understood",
        )),
    }
}

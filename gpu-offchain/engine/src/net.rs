//! Weights on a device: the base model and adapters.

use std::sync::Arc;

use openledger_model::{Adapter, BaseModel, Hash, ModelConfig, Target};

use crate::backend::{Backend, Heads, LoraPair};
use crate::error::{Error, Result};
use crate::real::Real;

/// One decoder layer.
pub struct Layer<T> {
    /// Scale of the norm before attention.
    pub norm1: T,
    /// Scale of the norm before the hidden layer.
    pub norm2: T,
    /// The seven modules in the order of [`Target::ALL`].
    pub linear: [T; 7],
    /// Their biases.
    pub bias: [Option<T>; 7],
}

/// A base model on a backend.
pub struct Net<B: Backend> {
    /// The device.
    pub backend: B,
    config: ModelConfig,
    hash: Hash,
    /// `[vocab, hidden]`.
    pub embed: B::Buf,
    /// The layers.
    pub layers: Vec<Layer<B::Buf>>,
    /// Scale of the last norm.
    pub norm: B::Buf,
    /// `[vocab, hidden]`, unless the embedding serves.
    pub head: Option<B::Buf>,
    rope: B::Buf,
}

impl<B: Backend> Net<B> {
    /// Uploads a model.
    pub fn new(backend: B, base: &BaseModel) -> Result<Arc<Self>> {
        Self::owned(backend, base).map(Arc::new)
    }

    /// The same, not shared: for training the weights themselves.
    pub fn owned(backend: B, base: &BaseModel) -> Result<Self> {
        let config = base.config.clone();
        let upload = |name: &str| -> Result<B::Buf> { Ok(upload(&backend, base.tensor(name)?)) };
        let mut layers = Vec::with_capacity(config.num_layers);
        for layer in 0..config.num_layers {
            let mut linear = Vec::new();
            let mut bias = Vec::new();
            for target in Target::ALL {
                let name = target.full_name(layer);
                linear.push(upload(&format!("{name}.weight"))?);
                let name = format!("{name}.bias");
                bias.push(if base.tensors().contains_key(&name) {
                    Some(upload(&name)?)
                } else {
                    None
                });
            }
            let seven = |_| Error::Request(format!("layer {layer} does not have seven modules"));
            layers.push(Layer {
                norm1: upload(&format!("model.layers.{layer}.input_layernorm.weight"))?,
                norm2: upload(&format!("model.layers.{layer}.post_attention_layernorm.weight"))?,
                linear: linear.try_into().map_err(seven)?,
                bias: bias
                    .try_into()
                    .map_err(|_| Error::Request(format!("layer {layer} does not have seven modules")))?,
            });
        }
        let head = if config.tie_word_embeddings {
            None
        } else {
            Some(upload("lm_head.weight")?)
        };
        let (embed, norm) = (upload("model.embed_tokens.weight")?, upload("model.norm.weight")?);
        let rope = backend.upload(&rope_table::<B::Elem>(&config));
        check(&backend)?;
        Ok(Net {
            backend,
            config,
            hash: base.hash(),
            embed,
            layers,
            norm,
            head,
            rope,
        })
    }

    /// Refuses what this thread computed since it last asked, if the device failed meanwhile.
    pub fn check(&self) -> Result<()> {
        check(&self.backend)
    }

    /// The shape.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The content hash of the base model it was made from.
    pub fn base_hash(&self) -> Hash {
        self.hash
    }

    /// The shape of attention.
    pub fn heads(&self) -> Heads {
        Heads {
            q: self.config.num_heads,
            kv: self.config.num_kv_heads,
            dim: self.config.head_dim,
        }
    }

    /// Cosines and sines of every position: `[positions, head_dim]`.
    pub fn rope(&self) -> &B::Buf {
        &self.rope
    }

    /// The output layer's weight.
    pub fn output(&self) -> &B::Buf {
        self.head.as_ref().unwrap_or(&self.embed)
    }
}

fn check<B: Backend>(backend: &B) -> Result<()> {
    backend.take_fault().map_or(Ok(()), |fault| Err(fault.into()))
}

fn wide<F: Real>(values: &[f32]) -> Vec<F> {
    values.iter().map(|&v| F::from_f32(v)).collect()
}

pub(crate) fn upload<B: Backend>(backend: &B, values: &[f32]) -> B::Buf {
    backend.upload(&wide(values))
}

fn rope_table<F: Real>(config: &ModelConfig) -> Vec<F> {
    let frequencies = config.rope_frequencies();
    let mut table = Vec::with_capacity(config.max_position_embeddings * config.head_dim);
    for position in 0..config.max_position_embeddings {
        let angles = frequencies.iter().map(|f| position as f64 * f);
        table.extend(angles.clone().map(|a| F::from_f64(libm::cos(a))));
        table.extend(angles.map(|a| F::from_f64(libm::sin(a))));
    }
    table
}

/// An adapter on a device.
pub struct DeviceAdapter<T> {
    /// The content hash.
    pub hash: Hash,
    /// By layer, then in the order of [`Target::ALL`].
    pub modules: Vec<[Option<LoraPair<T>>; 7]>,
    /// The largest rank.
    pub max_rank: usize,
}

impl<T> DeviceAdapter<T> {
    /// Uploads an adapter after checking every module against the base's shape. Computing on other threads goes on meanwhile.
    pub fn new<B: Backend<Buf = T>>(backend: &B, config: &ModelConfig, adapter: &Adapter) -> Result<Self> {
        for m in &adapter.modules {
            let mismatch = |reason: String| {
                Err(Error::Mismatch {
                    module: m.name(),
                    reason,
                })
            };
            if m.layer >= config.num_layers {
                return mismatch(format!("the base has only {} layers", config.num_layers));
            }
            let (d_out, d_in) = config.module_shape(m.target);
            if (m.d_out, m.d_in) != (d_out, d_in) {
                return mismatch(format!(
                    "is [{}, {}], the base's is [{d_out}, {d_in}]",
                    m.d_out, m.d_in
                ));
            }
            if m.a.len() != m.rank * d_in || m.b.len() != d_out * m.rank || m.rank == 0 {
                return mismatch(format!(
                    "A has {} and B {} elements at rank {}",
                    m.a.len(),
                    m.b.len(),
                    m.rank
                ));
            }
        }
        let values: Vec<Vec<B::Elem>> = adapter
            .modules
            .iter()
            .flat_map(|m| [wide(&m.a), wide(&m.b)])
            .collect();
        let values: Vec<&[B::Elem]> = values.iter().map(Vec::as_slice).collect();
        let mut buffers = backend.upload_beside(&values).into_iter();
        let mut modules: Vec<[Option<LoraPair<T>>; 7]> = Vec::new();
        modules.resize_with(config.num_layers, Default::default);
        for m in &adapter.modules {
            if let (Some(layer), Some(a), Some(b)) =
                (modules.get_mut(m.layer), buffers.next(), buffers.next())
            {
                layer[m.target.index()] = Some(LoraPair {
                    a,
                    b,
                    rank: m.rank,
                    scale: f64::from(m.scale),
                });
            }
        }
        check(backend)?;
        let max_rank = adapter.modules.iter().map(|m| m.rank).max().unwrap_or(0);
        Ok(DeviceAdapter {
            hash: adapter.hash(),
            modules,
            max_rank,
        })
    }
}

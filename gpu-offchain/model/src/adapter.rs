//! LoRA adapters in PEFT's layout: `adapter_config.json` and `adapter_model.safetensors`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use openledger_attribution::hash::{keccak, Hash};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{json, Value};

use crate::config::ModelConfig;
use crate::error::{read, write, Error, Result};
use crate::plan::Plan;
use crate::target::Target;
use crate::weights::{combine, le_bytes, pretty, to_f32};

pub(crate) const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
const PREFIX: &str = "base_model.model.";

/// One adapted linear module: y = W·x + scale · B·A·x.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraModule {
    /// The decoder layer.
    pub layer: usize,
    /// The module in it.
    pub target: Target,
    /// The inner width r.
    pub rank: usize,
    /// Alpha divided by the rank, or by its root for rsLoRA.
    pub scale: f32,
    /// Width of the input.
    pub d_in: usize,
    /// Width of the output.
    pub d_out: usize,
    /// `[rank, d_in]`, row by row.
    pub a: Vec<f32>,
    /// `[d_out, rank]`, row by row.
    pub b: Vec<f32>,
}

impl LoraModule {
    /// The module's full name, such as `model.layers.0.self_attn.q_proj`.
    pub fn name(&self) -> String {
        self.target.full_name(self.layer)
    }
}

/// A LoRA adapter on the host, modules in layer order and within a layer in the order of [`Target::ALL`].
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    /// The rank of every module without a pattern of its own.
    pub rank: usize,
    /// The numerator of the scale.
    pub alpha: f64,
    /// The adapted modules.
    pub modules: Vec<LoraModule>,
    /// The base model it says it belongs to (a name or path; not checked).
    pub base_name: Option<String>,
    hash: Hash,
}

impl Adapter {
    /// An adapter of one rank from its modules; sorts them and computes the hash of what [`Adapter::save`] writes.
    pub fn new(
        rank: usize,
        alpha: f64,
        mut modules: Vec<LoraModule>,
        base_name: Option<String>,
    ) -> Result<Self> {
        modules.sort_by_key(|m| (m.layer, m.target));
        for pair in modules.windows(2) {
            if (pair[0].layer, pair[0].target) == (pair[1].layer, pair[1].target) {
                return Err(Error::tensor(
                    &pair[1].name(),
                    "the adapter holds this module twice",
                ));
            }
        }
        for m in &modules {
            if m.rank != rank || m.a.len() != rank * m.d_in || m.b.len() != m.d_out * rank {
                let found = format!(
                    "rank {}, A of {} and B of {} elements",
                    m.rank,
                    m.a.len(),
                    m.b.len()
                );
                let (d_in, d_out) = (m.d_in, m.d_out);
                let wanted = format!("rank {rank}, A [{rank}, {d_in}] and B [{d_out}, {rank}] are needed");
                return Err(Error::tensor(&m.name(), format!("{found}; {wanted}")));
            }
        }
        if modules.is_empty() {
            return Err(Error::tensor(
                WEIGHTS,
                "the adapter adapts no module; name at least one target",
            ));
        }
        let mut adapter = Adapter {
            rank,
            alpha,
            modules,
            base_name,
            hash: [0; 32],
        };
        let (config, weights) = adapter.files()?;
        adapter.hash = combine(b"OLA1", &[keccak(&[&config]), keccak(&[&weights])]);
        Ok(adapter)
    }

    /// Reads a PEFT folder for a base of this shape. What is not understood, left over or missing is refused.
    pub fn load(dir: &Path, config: &ModelConfig) -> Result<Self> {
        let config_bytes = read(&dir.join(CONFIG))?;
        let value: Value =
            serde_json::from_slice(&config_bytes).map_err(|e| Error::format(&dir.join(CONFIG), e))?;
        let plan = Plan::read(&config_bytes, &value, config)?;
        let path = dir.join(WEIGHTS);
        let bytes = read(&path)?;
        let all = SafeTensors::deserialize(&bytes).map_err(|e| Error::format(&path, e))?;
        let mut found = BTreeMap::new();
        for (name, view) in all.tensors() {
            let (layer, target, which) = parse_name(&name)?;
            if !plan.modules.contains(&(layer, target)) {
                return Err(Error::tensor(
                    &name,
                    format!("{CONFIG} does not target this module in this base"),
                ));
            }
            found.insert(
                (layer, target, which),
                (to_f32(&name, &view)?, view.shape().to_vec(), name),
            );
        }
        let mut modules = Vec::new();
        for (layer, target) in &plan.modules {
            let name = target.full_name(*layer);
            let (rank, alpha) = plan.rank_alpha(&name)?;
            let (d_out, d_in) = config.module_shape(*target);
            let mut take = |which: char, shape: [usize; 2]| match found.remove(&(*layer, *target, which)) {
                Some((values, found, _)) if found == shape => Ok(values),
                Some((_, found, full)) => Err(Error::tensor(
                    &full,
                    format!("shape is {found:?}, the base and the rank ask for {shape:?}"),
                )),
                None => Err(Error::tensor(
                    &tensor_name(&name, which),
                    format!("{CONFIG} targets the module but {WEIGHTS} has no such tensor"),
                )),
            };
            let a = take('A', [rank, d_in])?;
            let b = take('B', [d_out, rank])?;
            let divisor = if plan.rslora {
                libm::sqrt(rank as f64)
            } else {
                rank as f64
            };
            let scale = (alpha / divisor) as f32;
            modules.push(LoraModule {
                layer: *layer,
                target: *target,
                rank,
                scale,
                d_in,
                d_out,
                a,
                b,
            });
        }
        let hash = combine(b"OLA1", &[keccak(&[&config_bytes]), keccak(&[&bytes])]);
        let base_name = value
            .get("base_model_name_or_path")
            .and_then(Value::as_str)
            .map(str::to_owned);
        Ok(Adapter {
            rank: plan.rank,
            alpha: plan.alpha,
            modules,
            base_name,
            hash,
        })
    }

    /// Writes both files; the folder is made if missing. An adapter with mixed ranks or scales is refused.
    pub fn save(&self, dir: &Path) -> Result<()> {
        std::fs::create_dir_all(dir).map_err(|e| Error::io(dir, e))?;
        let (config, weights) = self.files()?;
        write(&dir.join(CONFIG), &config)?;
        write(&dir.join(WEIGHTS), &weights)
    }

    /// Keccak of `OLA1`, the hash of `adapter_config.json` and the hash of `adapter_model.safetensors`.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The module of a layer, if it is adapted.
    pub fn module(&self, layer: usize, target: Target) -> Option<&LoraModule> {
        self.modules
            .iter()
            .find(|m| m.layer == layer && m.target == target)
    }

    /// Size of its weights in f32, in bytes.
    pub fn bytes(&self) -> usize {
        self.modules.iter().map(|m| 4 * (m.a.len() + m.b.len())).sum()
    }

    fn files(&self) -> Result<(Vec<u8>, Vec<u8>)> {
        let scale = (self.alpha / self.rank as f64) as f32;
        for m in &self.modules {
            if m.rank != self.rank || m.scale.to_bits() != scale.to_bits() {
                return Err(Error::tensor(
                    &m.name(),
                    format!(
                        "rank {} and scale {}: only one rank and alpha per adapter is written",
                        m.rank, m.scale
                    ),
                ));
            }
        }
        let targets: BTreeSet<&str> = self.modules.iter().map(|m| m.target.hf_name()).collect();
        let layers: BTreeSet<usize> = self.modules.iter().map(|m| m.layer).collect();
        if targets.len() * layers.len() != self.modules.len() {
            return Err(Error::tensor(
                WEIGHTS,
                "the same modules must be adapted in every adapted layer",
            ));
        }
        let config = json!({
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": self.base_name,
            "r": self.rank,
            "lora_alpha": self.alpha,
            "lora_dropout": 0.0,
            "target_modules": targets,
            "layers_to_transform": layers,
            "layers_pattern": "layers",
            "bias": "none",
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "modules_to_save": null,
            "use_dora": false,
            "use_rslora": false,
            "rank_pattern": {},
            "alpha_pattern": {},
        });
        let mut tensors = Vec::new();
        for m in &self.modules {
            let name = m.name();
            tensors.push((tensor_name(&name, 'A'), vec![m.rank, m.d_in], le_bytes(&m.a)));
            tensors.push((tensor_name(&name, 'B'), vec![m.d_out, m.rank], le_bytes(&m.b)));
        }
        let views = tensors
            .iter()
            .map(|(name, shape, data)| {
                TensorView::new(Dtype::F32, shape.clone(), data)
                    .map(|view| (name.as_str(), view))
                    .map_err(|e| Error::tensor(name, e.to_string()))
            })
            .collect::<Result<Vec<_>>>()?;
        let weights = safetensors::serialize(views, Some([("format".to_owned(), "pt".to_owned())].into()))
            .map_err(|e| Error::tensor(WEIGHTS, e.to_string()))?;
        Ok((pretty(&config), weights))
    }
}

fn tensor_name(module: &str, which: char) -> String {
    format!("{PREFIX}{module}.lora_{which}.weight")
}

fn parse_name(name: &str) -> Result<(usize, Target, char)> {
    let refuse = |reason: &str| Err(Error::tensor(name, reason));
    if name.contains("lora_magnitude_vector") {
        return refuse("DoRA is not understood; train with use_dora = false");
    }
    if name.contains("modules_to_save") {
        return refuse("modules_to_save is not understood; train low-rank modules only");
    }
    if name.contains("lora_embedding") {
        return refuse("adapted embeddings are not understood");
    }
    if name.ends_with(".bias") {
        return refuse("trained biases are not understood; train with bias = \"none\"");
    }
    let parsed = name.strip_prefix(PREFIX).and_then(|rest| {
        let (module, which) = match rest.strip_suffix(".lora_A.weight") {
            Some(module) => (module, 'A'),
            None => (rest.strip_suffix(".lora_B.weight")?, 'B'),
        };
        Target::parse_full_name(module).map(|(layer, target)| (layer, target, which))
    });
    match parsed {
        Some(found) => Ok(found),
        None => refuse(
            "not one of the seven linear modules of a layer, as base_model.model.model.layers.N.….lora_A.weight",
        ),
    }
}

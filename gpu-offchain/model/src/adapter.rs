//! LoRA adapters in PEFT's layout: `adapter_config.json` and `adapter_model.safetensors`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use openledger_attribution::hash::{keccak, Hash};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{json, Value};

use crate::config::ModelConfig;
use crate::error::{read, write, Error, Result};
use crate::target::Target;
use crate::weights::{combine, le_bytes, pretty, to_f32};

const CONFIG: &str = "adapter_config.json";
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
        let plan = Plan::read(&value, config)?;
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
            let (rank, alpha) = plan.rank_alpha(&name);
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

/// What `adapter_config.json` asks for.
struct Plan {
    rank: usize,
    alpha: f64,
    rslora: bool,
    ranks: BTreeMap<String, usize>,
    alphas: BTreeMap<String, f64>,
    modules: Vec<(usize, Target)>,
}

impl Plan {
    fn read(value: &Value, config: &ModelConfig) -> Result<Self> {
        let refuse =
            |key: &str, value: &Value, remedy: &str| Err(Error::unsupported(CONFIG, key, value, remedy));
        let get = |key: &str| value.get(key).unwrap_or(&Value::Null);
        match get("peft_type").as_str() {
            Some("LORA") => {}
            _ => return refuse("peft_type", get("peft_type"), "only \"LORA\" is understood"),
        }
        let off = |v: &Value| match v {
            Value::Null | Value::Bool(false) => true,
            Value::Array(a) => a.is_empty(),
            Value::Object(o) => o.is_empty(),
            _ => false,
        };
        for (key, remedy) in [
            ("use_dora", "DoRA is not understood; train with use_dora = false"),
            ("modules_to_save", "train low-rank modules only"),
            (
                "fan_in_fan_out",
                "the families understood keep weights as [out, in]; use false",
            ),
            ("lora_bias", "biases in LoRA layers are not understood; use false"),
            ("layer_replication", "layers cannot be repeated; leave it out"),
            (
                "trainable_token_indices",
                "trained tokens are not understood; leave it out",
            ),
            ("target_parameters", "name target_modules instead"),
            (
                "exclude_modules",
                "name only the modules to adapt in target_modules",
            ),
            ("megatron_config", "leave it out"),
            ("use_qalora", "leave it out"),
            (
                "alora_invocation_tokens",
                "activated LoRA is not understood; leave it out",
            ),
            ("corda_config", "leave it out"),
            ("eva_config", "leave it out"),
        ] {
            if !off(get(key)) {
                return refuse(key, get(key), remedy);
            }
        }
        match get("bias") {
            Value::Null => {}
            Value::String(s) if s == "none" => {}
            other => return refuse("bias", other, "only \"none\" is understood"),
        }
        let rank = match get("r").as_u64() {
            Some(r) if (1..=4096).contains(&r) => r as usize,
            _ => return refuse("r", get("r"), "a rank from 1 to 4096 is needed"),
        };
        let alpha = match get("lora_alpha").as_f64() {
            Some(a) if a.is_finite() => a,
            _ => return refuse("lora_alpha", get("lora_alpha"), "a number is needed"),
        };
        let rslora = get("use_rslora").as_bool().unwrap_or(false);
        let targets = Self::targets(get("target_modules"))?;
        let layers = match get("layers_to_transform") {
            Value::Null => (0..config.num_layers).collect(),
            Value::Array(a) if a.is_empty() => (0..config.num_layers).collect(),
            Value::Number(n) => vec![n.as_u64().unwrap_or(u64::MAX) as usize],
            Value::Array(a) => a
                .iter()
                .map(|v| v.as_u64().unwrap_or(u64::MAX) as usize)
                .collect::<Vec<_>>(),
            other => return refuse("layers_to_transform", other, "a list of layer numbers is needed"),
        };
        if layers.iter().any(|&l| l >= config.num_layers) {
            let remedy = format!("the base has the layers 0 to {}", config.num_layers - 1);
            return refuse("layers_to_transform", get("layers_to_transform"), &remedy);
        }
        let layers: BTreeSet<usize> = layers.into_iter().collect();
        let modules: Vec<_> = layers
            .iter()
            .flat_map(|&l| {
                Target::ALL
                    .into_iter()
                    .filter(|t| targets.contains(t))
                    .map(move |t| (l, t))
            })
            .collect();
        if modules.is_empty() {
            return refuse(
                "target_modules",
                get("target_modules"),
                "it matches no module of the base",
            );
        }
        let (ranks, alphas) = (
            pattern(get("rank_pattern"), "rank_pattern")?,
            pattern(get("alpha_pattern"), "alpha_pattern")?,
        );
        let ranks = ranks.into_iter().map(|(k, v)| (k, v as usize)).collect();
        Ok(Plan {
            rank,
            alpha,
            rslora,
            ranks,
            alphas,
            modules,
        })
    }

    fn targets(value: &Value) -> Result<BTreeSet<Target>> {
        match value {
            Value::String(s) if s == "all-linear" => Ok(Target::ALL.into()),
            Value::Array(names) => names
                .iter()
                .map(|name| {
                    name.as_str().and_then(Target::from_hf_name).ok_or_else(|| {
                        Error::unsupported(
                            CONFIG,
                            "target_modules",
                            name,
                            "q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj and down_proj can be adapted",
                        )
                    })
                })
                .collect(),
            other => Err(Error::unsupported(
                CONFIG,
                "target_modules",
                other,
                "a list of module names or \"all-linear\" is understood, regular expressions are not",
            )),
        }
    }

    fn rank_alpha(&self, module: &str) -> (usize, f64) {
        (
            matching(&self.ranks, module).unwrap_or(self.rank),
            matching(&self.alphas, module).unwrap_or(self.alpha),
        )
    }
}

fn pattern(value: &Value, key: &str) -> Result<BTreeMap<String, f64>> {
    let map = match value {
        Value::Null => return Ok(BTreeMap::new()),
        Value::Object(map) => map,
        other => {
            return Err(Error::unsupported(
                CONFIG,
                key,
                other,
                "an object of module names is needed",
            ))
        }
    };
    map.iter()
        .map(|(name, v)| {
            let plain = name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.');
            match v.as_f64() {
                Some(x) if plain && x.is_finite() && x >= 1.0 => Ok((name.clone(), x)),
                _ => Err(Error::unsupported(
                    CONFIG,
                    key,
                    format!("{name}: {v}"),
                    "plain module names (no regular expressions) with a number of at least 1 are understood",
                )),
            }
        })
        .collect()
}

// A key names a module when it is the module's name or the end of it, cut at a dot.
fn matching<T: Copy>(patterns: &BTreeMap<String, T>, module: &str) -> Option<T> {
    let full = format!("model.{module}");
    let hit = |key: &str| {
        full.strip_suffix(key)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    patterns.iter().find(|(key, _)| hit(key)).map(|(_, v)| *v)
}

//! What a PEFT `adapter_config.json` asks for: which modules, with which rank and scale.
//!
//! Names are matched as PEFT matches them: a list entry is a module's name or the end of it cut at a dot; a string is a regular expression
//! that must match the whole name; keys of the patterns are regular expressions that must match the name or the end of it cut at a dot, the
//! first in the file that does.

use std::collections::BTreeSet;

use fancy_regex::Regex;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::Deserialize;
use serde_json::Value;

use crate::adapter::CONFIG;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::target::Target;

const TARGETS: &str = "target_modules";

/// Keys that must be off, and what to do where they are not.
const MUST_BE_OFF: [(&str, &str); 19] = [
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
    ("megatron_config", "leave it out"),
    ("use_qalora", "leave it out"),
    ("use_bdlora", "leave it out"),
    (
        "alora_invocation_tokens",
        "activated LoRA is not understood; leave it out",
    ),
    ("corda_config", "leave it out"),
    ("eva_config", "leave it out"),
    ("lora_ga_config", "leave it out"),
    ("arrow_config", "leave it out"),
    ("monteclora_config", "leave it out"),
    ("velora_config", "leave it out"),
    ("ensure_weight_tying", "leave it out or set it to false"),
    ("kasa_config", "leave it out"),
];

/// Keys that are read, and those that say how an adapter was made and change nothing in what it computes.
const UNDERSTOOD: [&str; 26] = [
    "peft_type",
    "bias",
    "r",
    "lora_alpha",
    "use_rslora",
    TARGETS,
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
    "rank_pattern",
    "alpha_pattern",
    "base_model_name_or_path",
    "auto_mapping",
    "task_type",
    "inference_mode",
    "revision",
    "peft_version",
    "lora_dropout",
    "init_lora_weights",
    "loftq_config",
    "megatron_core",
    "qalora_group_size",
    "runtime_config",
    "tokenizer_class",
    "hub_revision",
    "adapter_name",
];

/// The modules an adapter has, and their ranks and scales.
pub(crate) struct Plan {
    pub(crate) rank: usize,
    pub(crate) alpha: f64,
    pub(crate) rslora: bool,
    /// In layer order, within a layer in the order of [`Target::ALL`].
    pub(crate) modules: Vec<(usize, Target)>,
    ranks: Vec<(Regex, f64)>,
    alphas: Vec<(Regex, f64)>,
}

fn refuse<T>(key: &str, value: impl std::fmt::Display, remedy: &str) -> Result<T> {
    Err(Error::unsupported(CONFIG, key, value, remedy))
}

fn off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.is_empty(),
        _ => false,
    }
}

impl Plan {
    /// Reads the file's bytes, which keep the order of the patterns, and their parsed form.
    pub(crate) fn read(bytes: &[u8], value: &Value, config: &ModelConfig) -> Result<Self> {
        let get = |key: &str| value.get(key).unwrap_or(&Value::Null);
        match get("peft_type").as_str() {
            Some("LORA") => {}
            _ => return refuse("peft_type", get("peft_type"), "only \"LORA\" is understood"),
        }
        for (key, remedy) in MUST_BE_OFF {
            if !off(get(key)) {
                return refuse(key, get(key), remedy);
            }
        }
        for (key, found) in value.as_object().into_iter().flatten() {
            if !off(found) && !UNDERSTOOD.contains(&key.as_str()) {
                return refuse(
                    key,
                    found,
                    "the key is not understood; leave it out if it changes nothing in what the adapter computes",
                );
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
        let rslora = match get("use_rslora") {
            Value::Null => false,
            Value::Bool(b) => *b,
            other => return refuse("use_rslora", other, "true or false is needed"),
        };
        let layers = layers(get("layers_to_transform"), config)?;
        match get("layers_pattern") {
            Value::Null => {}
            Value::String(s) if s == "layers" => {}
            Value::Array(a) if a.iter().all(|v| v == "layers") => {}
            other => {
                return refuse(
                    "layers_pattern",
                    other,
                    "the layers of these families are called \"layers\"",
                )
            }
        }
        let wanted = Names::read(TARGETS, get(TARGETS))?;
        if matches!(wanted, Names::Whole(_)) && !off(get("layers_to_transform")) {
            return refuse(
                "layers_to_transform",
                get("layers_to_transform"),
                "a regular expression in target_modules already names the layers; use one of the two",
            );
        }
        let unwanted = match get("exclude_modules") {
            v if off(v) => None,
            v => Some(Names::read("exclude_modules", v)?),
        };
        let mut modules = Vec::new();
        for layer in 0..config.num_layers {
            for target in Target::ALL {
                let name = target.full_name(layer);
                let out = match &unwanted {
                    Some(names) => names.hold("exclude_modules", &name)?,
                    None => false,
                };
                if !out && layers.contains(&layer) && wanted.hold(TARGETS, &name)? {
                    modules.push((layer, target));
                }
            }
        }
        if modules.is_empty() {
            return refuse(TARGETS, get(TARGETS), "it matches no module of the base");
        }
        wanted.all_used(&modules, config)?;
        let ordered: Ordered = serde_json::from_slice(bytes).map_err(|e| {
            Error::unsupported(
                CONFIG,
                "rank_pattern or alpha_pattern",
                e,
                "an object of module names with numbers is needed",
            )
        })?;
        Ok(Plan {
            rank,
            alpha,
            rslora,
            modules,
            ranks: patterns("rank_pattern", ordered.rank_pattern, true)?,
            alphas: patterns("alpha_pattern", ordered.alpha_pattern, false)?,
        })
    }

    /// Rank and alpha of a module by its full name.
    pub(crate) fn rank_alpha(&self, module: &str) -> Result<(usize, f64)> {
        let rank = first(&self.ranks, "rank_pattern", module)?;
        let alpha = first(&self.alphas, "alpha_pattern", module)?;
        Ok((
            rank.map_or(self.rank, |r| r as usize),
            alpha.unwrap_or(self.alpha),
        ))
    }
}

fn layers(value: &Value, config: &ModelConfig) -> Result<BTreeSet<usize>> {
    const KEY: &str = "layers_to_transform";
    let number = |v: &Value| match v.as_u64() {
        Some(n) => Ok(n as usize),
        None => refuse(KEY, v, "a list of layer numbers is needed"),
    };
    let found: BTreeSet<usize> = match value {
        Value::Null => (0..config.num_layers).collect(),
        Value::Array(a) if a.is_empty() => (0..config.num_layers).collect(),
        Value::Array(a) => a.iter().map(number).collect::<Result<_>>()?,
        other => [number(other)?].into(),
    };
    if found.iter().any(|&l| l >= config.num_layers) {
        let remedy = format!("the base has the layers 0 to {}", config.num_layers - 1);
        return refuse(KEY, value, &remedy);
    }
    Ok(found)
}

/// Module names as a configuration gives them.
enum Names {
    /// Every linear module but the output layer.
    AllLinear,
    /// Names or ends of names.
    Ends(Vec<String>),
    /// One regular expression for the whole name.
    Whole(Regex),
}

impl Names {
    fn read(key: &str, value: &Value) -> Result<Self> {
        let help = "a list of module names, a regular expression or \"all-linear\" is understood";
        match value {
            Value::String(s) if s == "all-linear" => Ok(Names::AllLinear),
            Value::String(s) => compile(key, s, &format!(r"\A(?:{s})\z")).map(Names::Whole),
            Value::Array(names) => names
                .iter()
                .map(|name| match name.as_str() {
                    Some(s) if !s.is_empty() => Ok(s.to_owned()),
                    _ => refuse(key, name, help),
                })
                .collect::<Result<_>>()
                .map(Names::Ends),
            other => refuse(key, other, help),
        }
    }

    fn hold(&self, key: &str, module: &str) -> Result<bool> {
        match self {
            Names::AllLinear => Ok(true),
            Names::Ends(ends) => Ok(ends.iter().any(|end| ends_at_dot(module, end))),
            Names::Whole(regex) => matches(regex, key, module),
        }
    }

    /// Refuses a list with a name that no module of the base bears.
    fn all_used(&self, modules: &[(usize, Target)], config: &ModelConfig) -> Result<()> {
        let Names::Ends(ends) = self else { return Ok(()) };
        let all = || (0..config.num_layers).flat_map(|l| Target::ALL.map(|t| t.full_name(l)));
        match ends.iter().find(|end| !all().any(|m| ends_at_dot(&m, end))) {
            Some(end) => refuse(
                TARGETS,
                format!("{end:?}"),
                "q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj and down_proj can be adapted",
            ),
            None => {
                debug_assert!(!modules.is_empty());
                Ok(())
            }
        }
    }
}

fn ends_at_dot(module: &str, end: &str) -> bool {
    module
        .strip_suffix(end)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn compile(key: &str, shown: &str, pattern: &str) -> Result<Regex> {
    if shown.len() > 4096 {
        return refuse(
            key,
            format!("{} bytes long", shown.len()),
            "at most 4,096 bytes are read",
        );
    }
    Regex::new(pattern).or_else(|e| {
        refuse(
            key,
            format!("{shown:?}"),
            &format!("it is no regular expression ({e}); correct it or give a list of names"),
        )
    })
}

// The engine gives up after a million steps back, so that a hostile expression costs little.
fn matches(regex: &Regex, key: &str, module: &str) -> Result<bool> {
    regex.is_match(module).or_else(|e| {
        refuse(
            key,
            format!("{:?}", regex.as_str()),
            &format!("matching it took too long ({e}); write it simpler"),
        )
    })
}

fn first(patterns: &[(Regex, f64)], key: &str, module: &str) -> Result<Option<f64>> {
    for (regex, value) in patterns {
        if matches(regex, key, module)? {
            return Ok(Some(*value));
        }
    }
    Ok(None)
}

fn patterns(key: &str, found: Pairs, whole: bool) -> Result<Vec<(Regex, f64)>> {
    let read = |(name, value): (String, f64)| {
        let rank = (1.0..=4096.0).contains(&value) && value.fract() == 0.0;
        if !value.is_finite() || (whole && !rank) {
            let need = if whole {
                "a whole number from 1 to 4096"
            } else {
                "a number"
            };
            return refuse(key, format!("{name}: {value}"), &format!("{need} is needed"));
        }
        Ok((compile(key, &name, &format!(r"\A(?:.*\.)?(?:{name})\z"))?, value))
    };
    found.0.into_iter().map(read).collect()
}

/// The patterns in the order of the file, which decides which of two that match counts.
#[derive(Deserialize)]
struct Ordered {
    #[serde(default)]
    rank_pattern: Pairs,
    #[serde(default)]
    alpha_pattern: Pairs,
}

#[derive(Default)]
struct Pairs(Vec<(String, f64)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Pairs;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of module names with numbers")
            }

            fn visit_unit<E>(self) -> std::result::Result<Pairs, E> {
                Ok(Pairs::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Pairs, A::Error> {
                let mut pairs = Pairs::default();
                while let Some(pair) = map.next_entry()? {
                    if pairs.0.len() == 4096 {
                        return Err(serde::de::Error::custom("more than 4,096 patterns"));
                    }
                    pairs.0.push(pair);
                }
                Ok(pairs)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

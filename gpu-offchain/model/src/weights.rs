//! Base models: `config.json` and safetensors, one file or many with an index.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use openledger_attribution::hash::{keccak, Hash};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::Value;

use crate::config::ModelConfig;
use crate::error::{read, write, Error, Result};

/// A base model on the host: its shape and its weights as f32, by Hugging Face name.
#[derive(Debug, Clone)]
pub struct BaseModel {
    /// The shape.
    pub config: ModelConfig,
    tensors: BTreeMap<String, Vec<f32>>,
    hash: Hash,
}

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

impl BaseModel {
    /// Reads a folder in Hugging Face layout; every tensor the shape needs must be there, and no other.
    pub fn load(dir: &Path) -> Result<Self> {
        let config = ModelConfig::load(dir)?;
        let wanted: BTreeMap<_, _> = config.tensors().into_iter().collect();
        let mut tensors = BTreeMap::new();
        let mut parts = vec![keccak(&[&read(&dir.join("config.json"))?])];
        for file in shards(dir)? {
            let path = dir.join(file);
            let handle = File::open(&path).map_err(|e| Error::io(&path, e))?;
            // SAFETY: the map is read only; a file changed by another process while it is read gives wrong values, as
            // reading it would, and the hash below names what was read.
            let map = unsafe { memmap2::Mmap::map(&handle) }.map_err(|e| Error::io(&path, e))?;
            parts.push(keccak(&[&map]));
            let all = SafeTensors::deserialize(&map).map_err(|e| Error::format(&path, e))?;
            for (name, view) in all.tensors() {
                if name.ends_with("rotary_emb.inv_freq")
                    || (name == "lm_head.weight" && config.tie_word_embeddings)
                {
                    continue; // written by old exporters; follows from the configuration
                }
                let Some(shape) = wanted.get(&name) else {
                    return Err(Error::tensor(
                        &name,
                        format!("{} holds it but config.json has no place for it", path.display()),
                    ));
                };
                if view.shape() != shape.as_slice() {
                    return Err(Error::tensor(
                        &name,
                        format!("shape is {:?}, config.json asks for {shape:?}", view.shape()),
                    ));
                }
                let values = to_f32(&name, &view)?;
                if tensors.insert(name.clone(), values).is_some() {
                    return Err(Error::tensor(&name, "two shards hold it"));
                }
            }
        }
        let model = BaseModel {
            config,
            tensors,
            hash: combine(b"OLB1", &parts),
        };
        model.check_complete()?;
        Ok(model)
    }

    /// A model from its weights; names and lengths must be exactly those of the shape.
    pub fn new(config: ModelConfig, tensors: BTreeMap<String, Vec<f32>>) -> Result<Self> {
        let mut model = BaseModel {
            config,
            tensors,
            hash: [0; 32],
        };
        model.check_complete()?;
        let (config, weights) = model.files()?;
        model.hash = combine(b"OLB1", &[keccak(&[&config]), keccak(&[&weights])]);
        Ok(model)
    }

    fn check_complete(&self) -> Result<()> {
        let wanted = self.config.tensors();
        for (name, shape) in &wanted {
            let length: usize = shape.iter().product();
            match self.tensors.get(name) {
                None => return Err(Error::tensor(name, format!("missing; shape {shape:?} is needed"))),
                Some(v) if v.len() != length => {
                    return Err(Error::tensor(
                        name,
                        format!("has {} elements, shape {shape:?} is needed", v.len()),
                    ))
                }
                Some(_) => {}
            }
        }
        if self.tensors.len() != wanted.len() {
            let names: BTreeSet<_> = wanted.iter().map(|(n, _)| n.as_str()).collect();
            let extra = self.tensors.keys().find(|n| !names.contains(n.as_str()));
            return Err(Error::tensor(
                extra.map_or("?", |n| n),
                "the configuration has no place for it",
            ));
        }
        Ok(())
    }

    /// The values of a tensor, row by row.
    pub fn tensor(&self, name: &str) -> Result<&[f32]> {
        self.tensors
            .get(name)
            .map(Vec::as_slice)
            .ok_or_else(|| Error::tensor(name, "the model has none of this name"))
    }

    /// All tensors by name.
    pub fn tensors(&self) -> &BTreeMap<String, Vec<f32>> {
        &self.tensors
    }

    /// Writes `config.json`, `generation_config.json` and `model.safetensors` (f32); the folder is made if missing.
    pub fn save(&self, dir: &Path) -> Result<()> {
        std::fs::create_dir_all(dir).map_err(|e| Error::io(dir, e))?;
        let (config, weights) = self.files()?;
        write(&dir.join("config.json"), &config)?;
        write(&dir.join(SINGLE), &weights)?;
        let generation = serde_json::json!({"eos_token_id": self.config.eos, "do_sample": false});
        write(&dir.join("generation_config.json"), &pretty(&generation))
    }

    /// Keccak of `OLB1`, the hash of `config.json` and the hash of every safetensors file in name order.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    fn files(&self) -> Result<(Vec<u8>, Vec<u8>)> {
        let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = self
            .config
            .tensors()
            .into_iter()
            .map(|(name, shape)| {
                let values = self.tensor(&name)?;
                Ok((name, shape, le_bytes(values)))
            })
            .collect::<Result<_>>()?;
        let views = bytes
            .iter()
            .map(|(name, shape, data)| {
                TensorView::new(Dtype::F32, shape.clone(), data)
                    .map(|view| (name.as_str(), view))
                    .map_err(|e| Error::tensor(name, e.to_string()))
            })
            .collect::<Result<Vec<_>>>()?;
        let weights = safetensors::serialize(views, Some([("format".to_owned(), "pt".to_owned())].into()))
            .map_err(|e| Error::tensor(SINGLE, e.to_string()))?;
        Ok((pretty(&self.config.to_json()), weights))
    }
}

fn shards(dir: &Path) -> Result<Vec<PathBuf>> {
    let index = dir.join(INDEX);
    if dir.join(SINGLE).exists() || !index.exists() {
        return Ok(vec![SINGLE.into()]);
    }
    let value: Value = serde_json::from_slice(&read(&index)?).map_err(|e| Error::format(&index, e))?;
    let map = value
        .get("weight_map")
        .and_then(Value::as_object)
        .ok_or_else(|| Error::format(&index, "weight_map is missing; it names the file of every tensor"))?;
    let mut files = BTreeSet::new();
    for file in map.values() {
        match file.as_str() {
            Some(f) if !f.contains(['/', '\\']) && f.ends_with(".safetensors") => {
                files.insert(PathBuf::from(f))
            }
            _ => {
                return Err(Error::format(
                    &index,
                    format!("weight_map names {file}, not a safetensors file here"),
                ))
            }
        };
    }
    Ok(files.into_iter().collect())
}

pub(crate) fn combine(tag: &[u8; 4], parts: &[Hash]) -> Hash {
    let mut all: Vec<&[u8]> = vec![tag];
    all.extend(parts.iter().map(|p| p.as_slice()));
    keccak(&all)
}

pub(crate) fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

pub(crate) fn le_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// The values of an f32, f16 or bf16 tensor as f32.
pub(crate) fn to_f32(name: &str, view: &TensorView<'_>) -> Result<Vec<f32>> {
    let data = view.data();
    let values: Vec<f32> = match view.dtype() {
        Dtype::F32 => data
            .chunks_exact(4)
            .map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]]))
            .collect(),
        Dtype::F16 => data
            .chunks_exact(2)
            .map(|c| half::f16::from_le_bytes([c[0], c[1]]).to_f32())
            .collect(),
        Dtype::BF16 => data
            .chunks_exact(2)
            .map(|c| half::bf16::from_le_bytes([c[0], c[1]]).to_f32())
            .collect(),
        other => {
            return Err(Error::tensor(
                name,
                format!("type is {other:?}; F32, F16 and BF16 are understood"),
            ))
        }
    };
    if let Some(at) = values.iter().position(|v| !v.is_finite()) {
        return Err(Error::tensor(
            name,
            format!("element {at} is {}, not a finite number", values[at]),
        ));
    }
    Ok(values)
}

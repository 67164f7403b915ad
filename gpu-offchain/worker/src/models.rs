//! The base and the generations that this worker answers with.

use crate::{
    channels,
    device::{self, Device},
    error::{Error, Result},
    formats::hex0x,
    state::lock,
    turns::behind_answers,
};
use openledger_attribution::{index::IndexRules, sketch::Rule, voucher::Mode};
use openledger_backend_cuda::Scorer;
use openledger_engine::{Engine, Net};
use openledger_influence::{Index, ModuleSpec, Sketcher, Weights};
use openledger_model::{Adapter, BaseModel, Tokenizer};
use openledger_protocol::Hash;
use openledger_trainer::FactorModel;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{atomic::AtomicUsize, Arc, Mutex, RwLock},
};

/// Files of a base's folder that make its tokenizer; anybody may fetch them.
pub const TOKENIZER_FILES: [&str; 5] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
];

/// The base model, resident.
pub struct Base {
    /// Its folder, in Hugging Face layout.
    pub dir: PathBuf,
    /// Its weights on the device.
    pub net: Arc<Net<Device>>,
    /// What answers.
    pub engine: Arc<Engine<Device>>,
    /// Its tokenizer.
    pub tokenizer: Arc<Tokenizer>,
    /// Hash of its configuration and weights.
    pub hash: Hash,
    /// How its answers are computed, which every answer's terms say.
    pub mode: Mode,
    /// Computes scores, if the processor does not.
    pub scorer: Option<Arc<Scorer>>,
    /// Answers that wait for their receipt.
    pub due: Arc<AtomicUsize>,
}

impl Base {
    /// Loads the base in `dir` onto the device of these options.
    pub fn load(dir: &Path, device: &device::Options) -> Result<Self> {
        let named = |error| Error::Setup(format!("base model {}: {error}", dir.display()));
        let model = BaseModel::load(dir).map_err(named)?;
        let tokenizer = Tokenizer::load(dir).map_err(named)?;
        let engine = device.load(&model)?;
        Ok(Self {
            dir: dir.to_owned(),
            net: engine.net().clone(),
            scorer: device::scorer(&engine.net().backend),
            engine: Arc::new(engine),
            tokenizer: Arc::new(tokenizer),
            hash: model.hash(),
            mode: device.mode.into(),
            due: Arc::default(),
        })
    }

    /// Most tokens of prompt and answer together.
    pub fn context(&self) -> usize {
        self.net.config().max_position_embeddings
    }
}

/// Loads the adapter whose hash is `hash` from `dir`.
pub fn load_adapter(base: &Base, dir: &Path, hash: &Hash) -> Result<Adapter> {
    let adapter = Adapter::load(dir, base.net.config())?;
    if adapter.hash() != *hash {
        return Err(Error::Hopeless(format!(
            "the adapter in {} is {}, not {}: remove the folder and fetch or train it again",
            dir.display(),
            hex0x(adapter.hash()),
            hex0x(hash)
        )));
    }
    Ok(adapter)
}

/// An adapter's modules as gradients are made of them, in the adapter's order.
pub fn modules(adapter: &Adapter) -> Vec<ModuleSpec> {
    let modules = adapter.modules.iter().map(|module| ModuleSpec {
        name: module.name(),
        d_in: module.d_in,
        d_out: module.d_out,
        weights: Weights::Lora {
            rank: module.rank,
            a: module.a.clone(),
            b: module.b.clone(),
            scale: module.scale,
        },
    });
    modules.collect()
}

/// The sketcher of an adapter's gradients under these rules: its modules in the adapter's order. An order whose rows are too
/// large for the chain is hopeless.
pub fn sketcher(adapter: &Adapter, rules: &IndexRules, seed: &Hash) -> Result<Sketcher> {
    let hopeless =
        |error: &dyn std::fmt::Display| Error::Hopeless(format!("the index cannot be laid out: {error}"));
    let sketcher =
        Sketcher::new(modules(adapter), rules.projection, seed).map_err(|error| hopeless(&error))?;
    Rule::new(sketcher.layout(), rules).map_err(|flaw| hopeless(&flaw))?;
    Ok(sketcher)
}

/// A generation that can answer.
pub struct Served {
    /// The model.
    pub model: u64,
    /// Its generation.
    pub generation: u32,
    /// What people call the model.
    pub name: String,
    /// Hash of its adapter.
    pub adapter: Hash,
    /// Hash of its index's header.
    pub index_hash: Hash,
    /// Its index.
    pub index: Index,
    /// The index's verbatim channel, if it has one.
    pub words: Option<openledger_verbatim::Index>,
    /// Where the index's files are.
    pub index_dir: PathBuf,
    /// Makes gradients of its answers.
    pub sketcher: Sketcher,
    /// Makes factors of its answers.
    pub factors: FactorModel<Device>,
    /// Computes the rows' scores, if the processor does not.
    pub scorer: Option<Arc<Scorer>>,
}

impl Served {
    /// `model:generation`, the name it is registered under.
    pub fn id(&self) -> String {
        format!("{}:{}", self.model, self.generation)
    }

    /// Makes a generation ready to answer: its adapter checked and registered with the engine, which reads it anew when a request first
    /// asks for it; its index open.
    pub fn load(
        base: &Base,
        (model, generation): (u64, u32),
        name: String,
        adapter: (&Path, &Hash),
        index: (&Path, &Hash),
    ) -> Result<Self> {
        let (adapter_dir, adapter_hash) = adapter;
        let (index_dir, index_hash) = index;
        let adapter = load_adapter(base, adapter_dir, adapter_hash)?;
        let index = Index::open(index_dir)?;
        let header = index.header();
        let own = openledger_attribution::wire::Object::hash(header);
        if own != *index_hash {
            return Err(Error::Hopeless(format!(
                "the index in {} is {}, not {}: remove the folder and fetch or build it again",
                index_dir.display(),
                hex0x(own),
                hex0x(index_hash)
            )));
        }
        if header.base != base.hash
            || header.adapter != *adapter_hash
            || header.tokenizer != base.tokenizer.hash()
        {
            return Err(Error::Hopeless(format!(
                "index {} is of base {}, adapter {}, tokenizer {}: start the worker with that base",
                hex0x(index_hash),
                hex0x(header.base),
                hex0x(header.adapter),
                hex0x(header.tokenizer)
            )));
        }
        let sketcher = sketcher(&adapter, &header.rules, &header.seed)?;
        let words = channels::open(index_dir, header)?;
        let served = Self {
            model,
            generation,
            name,
            adapter: *adapter_hash,
            index_hash: *index_hash,
            factors: FactorModel::new(base.net.clone(), &adapter)?.pausing(behind_answers(base)),
            scorer: base.scorer.clone(),
            sketcher,
            index_dir: index_dir.to_owned(),
            index,
            words,
        };
        base.engine
            .register_folder(&served.id(), *adapter_hash, adapter_dir);
        Ok(served)
    }
}

/// All generations that can answer.
#[derive(Default)]
pub struct Serving {
    all: RwLock<BTreeMap<(u64, u32), Arc<Served>>>,
    /// What the operator took out of service.
    withdrawn: Mutex<BTreeSet<(u64, u32)>>,
}

impl Serving {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<(u64, u32), Arc<Served>>> {
        self.all.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Adds one.
    pub fn add(&self, served: Served) {
        let key = (served.model, served.generation);
        self.all
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .insert(key, Arc::new(served));
    }

    /// Takes one out of service until it is [`allow`](Self::allow)ed again; what was asked of it is still attributed. `false` if it
    /// was not in service.
    pub fn withdraw(&self, model: u64, generation: u32) -> bool {
        let there = self.get(model, generation).is_some();
        if there {
            lock(&self.withdrawn).insert((model, generation));
        }
        there
    }

    /// Lets one answer again.
    pub fn allow(&self, model: u64, generation: u32) {
        lock(&self.withdrawn).remove(&(model, generation));
    }

    fn is_withdrawn(&self, key: (u64, u32)) -> bool {
        lock(&self.withdrawn).contains(&key)
    }

    /// One that is here.
    pub fn get(&self, model: u64, generation: u32) -> Option<Arc<Served>> {
        self.read().get(&(model, generation)).cloned()
    }

    /// All that can answer.
    pub fn list(&self) -> Vec<Arc<Served>> {
        let all: Vec<Arc<Served>> = self.read().values().cloned().collect();
        all.into_iter()
            .filter(|served| !self.is_withdrawn((served.model, served.generation)))
            .collect()
    }

    /// The one with this index.
    pub fn by_index(&self, index: &Hash) -> Option<Arc<Served>> {
        self.read()
            .values()
            .find(|served| served.index_hash == *index)
            .cloned()
    }

    /// The one that a request names: `model:generation`, or a model's name for its newest generation here.
    pub fn named(&self, name: &str) -> Result<Arc<Served>> {
        let id = name
            .split_once(':')
            .and_then(|(model, generation)| Some((model.parse().ok()?, generation.parse().ok()?)));
        if let Some((model, generation)) = id {
            if let Some(found) = self
                .get(model, generation)
                .filter(|_| !self.is_withdrawn((model, generation)))
            {
                return Ok(found);
            }
        }
        let all = self.list();
        let mut found: Option<&Arc<Served>> = None;
        for served in all.iter().filter(|served| served.name == name) {
            if let Some(other) = found.filter(|other| other.model != served.model) {
                return Err(Error::Request(format!(
                    "models {} and {} are both called {name:?}: ask for \"{}\" or \"{}\"",
                    other.model,
                    served.model,
                    other.id(),
                    served.id()
                )));
            }
            found = Some(served);
        }
        found.cloned().ok_or_else(|| {
            let known: Vec<String> = all
                .iter()
                .map(|served| format!("{} ({})", served.name, served.id()))
                .collect();
            Error::Missing(format!(
                "this worker does not serve {name:?}: ask for one of [{}]",
                known.join(", ")
            ))
        })
    }
}

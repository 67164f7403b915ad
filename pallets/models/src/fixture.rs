//! Good input, for tests and benchmarks: a recipe, rules, and the header of an index that fits what was ordered.

use crate::{
    pallet::{Bases, Config, Generations, Models, Pallet},
    MAX_MODULES,
};
use openledger_attribution::{
    hash::{Hash, NONE},
    index::{IndexHeader, IndexRules},
    sketch::{Kind, Layout, Module},
    tree::Root,
    verbatim::Verbatim,
    wire::Object,
};
use openledger_protocol::models::{Recipe, Stage};

pub(crate) const WEIGHTS: Hash = [0xBA; 32];
pub(crate) const TOKENIZER: Hash = [0x70; 32];
pub(crate) const ADAPTER: Hash = [0xAD; 32];

pub(crate) fn recipe() -> Recipe {
    Recipe {
        rank: 8,
        alpha: 16,
        targets: 0b1111,
        learning_rate: 1_000_000,
        epochs: 3,
        batch: 8,
        context: 512,
        held_out: 10,
    }
}

pub(crate) fn rules() -> IndexRules {
    IndexRules {
        projection: 8,
        top: 64,
        rho: 100_000_000,
        z: 200,
        floor: -40,
    }
}

/// A root that some tree could have.
pub(crate) fn root(count: u64, sum: u128) -> Root {
    if count == 0 {
        return Root::EMPTY;
    }
    Root {
        count,
        sum,
        top: [0x11; 32],
    }
}

/// A layout of so many modules, or as many as there may be.
pub(crate) fn layout(modules: u32) -> Layout {
    let module = Module {
        kind: Kind::LoraA,
        rows: 1,
        columns: 1,
    };
    let count = usize::try_from(modules.min(MAX_MODULES)).unwrap_or(1);
    Layout {
        names: [0x4E; 32],
        modules: alloc::vec![module; count],
    }
}

/// The header that the generation's trainer has to deliver, and its layout. Every representative has two units and 100
/// tokens.
pub(crate) fn index<T: Config>(model: u64, generation: u32, modules: u32) -> Option<(IndexHeader, Layout)> {
    let entry = Generations::<T>::get(model, generation)?;
    let base = Models::<T>::get(model).and_then(|model| Bases::<T>::get(model.base))?;
    let seed = match entry.stage {
        Stage::Indexing { seed } => seed,
        _ => NONE,
    };
    let layout = layout(modules);
    let sources = Pallet::<T>::sources_root(&entry.sources)?;
    let records = u64::try_from(sources.sum).ok()?;
    let units = records.checked_mul(2)?;
    let tokens = records.checked_mul(100)?;
    let header = IndexHeader {
        builder: entry.trainer?.into(),
        model,
        generation,
        base: base.weights,
        adapter: entry.adapter,
        tokenizer: base.tokenizer,
        seed,
        layout: layout.hash(),
        rules: entry.rules,
        bases: root(layout.basis_leaves(), 0),
        sources,
        corpus: root(records, (u128::from(units) << 64) | u128::from(tokens)),
        rows: root(units, 0),
        verbatim: Verbatim::NONE,
        retrieval: NONE,
    };
    Some((header, layout))
}

//! Descent: what a generation starts from, and who its lineage part is for.

use crate::pallet::{Bases, Config, Error, Generations, Lines, Models, Pallet};
use alloc::{collections::BTreeMap, vec::Vec};
use frame_support::ensure;
use openledger_protocol::models::{Generation, Line, Place, Recipe, Source, Stage};
use openledger_traits::{Ancestors, Asset, Ownership};

impl<T: Config> Pallet<T> {
    /// The line of a generation that is to start from the adapter of `parent`.
    ///
    /// The adapter has to fit: same base, same shape. It has to be one that can answer, so that its index was looked at.
    pub(crate) fn line_from(
        parent: Place,
        base: u64,
        recipe: &Recipe,
        sources: &[Source],
    ) -> Result<Line, Error<T>> {
        let model = Models::<T>::get(parent.0).ok_or(Error::<T>::NoParent)?;
        let entry = Generations::<T>::get(parent.0, parent.1).ok_or(Error::<T>::NoParent)?;
        ensure!(
            matches!(entry.stage, Stage::Ready { .. }),
            Error::<T>::ParentNotReady
        );
        let is_same_base = |one: u64, other: u64| {
            one == other
                || Bases::<T>::get(one)
                    .zip(Bases::<T>::get(other))
                    .is_some_and(|(one, other)| {
                        (one.weights, one.tokenizer) == (other.weights, other.tokenizer)
                    })
        };
        ensure!(is_same_base(model.base, base), Error::<T>::ParentBase);
        let shape = |recipe: &Recipe| (recipe.rank, recipe.alpha, recipe.targets);
        ensure!(shape(&entry.recipe) == shape(recipe), Error::<T>::ParentShape);
        let before = Lines::<T>::get(parent.0, parent.1);
        // A Datanet's versions are published in order: only one that is later than those trained on can have more accepted data.
        let mut known = BTreeMap::<u64, u32>::new();
        let mut learn = |entry: &Generation<T::AccountId>| {
            for source in &entry.sources {
                let newest = known.entry(source.datanet).or_default();
                *newest = (*newest).max(source.version);
            }
        };
        learn(&entry);
        for (model, generation) in before.iter().flat_map(|line| line.ancestors()) {
            if let Some(entry) = Generations::<T>::get(model, generation) {
                learn(&entry);
            }
        }
        let adds = sources.iter().any(|source| {
            known
                .get(&source.datanet)
                .is_none_or(|newest| source.version > *newest)
        });
        Ok(Line::from(parent, before.as_ref(), adds))
    }

    /// Who the lineage part of a generation is for.
    pub(crate) fn ancestors_of(model: u64, generation: u32) -> Option<Ancestors<T::AccountId>> {
        let line = Lines::<T>::get(model, generation)?;
        let owner = |model: u64| T::Ownership::owner(Asset::Model(model));
        let root = Generations::<T>::get(line.root.0, line.root.1)?;
        Some(Ancestors {
            nearer: line.nearer.iter().map(|(model, _)| owner(*model)).collect(),
            root_owner: owner(line.root.0),
            root_sources: Vec::from(root.sources),
        })
    }
}

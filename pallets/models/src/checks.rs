//! Whether what is ordered can be made, and what is delivered is what was ordered.

use crate::{
    pallet::{Config, Error, Pallet},
    MAX_MODULES,
};
use frame_support::ensure;
use openledger_attribution::{
    hash::{Hash, NONE},
    index::{HeaderFlaw, IndexHeader, IndexRules},
    record::SourceLeaf,
    sketch::{Kind, Layout, LayoutFlaw, Module, Rule},
    tree::{Root, RootBuilder},
};
use openledger_protocol::models::{Base, Generation, Recipe, Source};
use openledger_traits::Datanets;

impl<T: Config> Pallet<T> {
    /// Sources are published versions, each named once and with a weight.
    pub(crate) fn check_sources(sources: &[Source]) -> Result<(), Error<T>> {
        ensure!(!sources.is_empty(), Error::<T>::NoSources);
        let mut rest = sources.iter();
        while let Some(source) = rest.next() {
            ensure!(source.weight > 0, Error::<T>::SourceWithoutWeight);
            let is_named_again = rest
                .as_slice()
                .iter()
                .any(|other| (other.datanet, other.version) == (source.datanet, source.version));
            ensure!(!is_named_again, Error::<T>::SourceTwice);
            ensure!(
                T::Datanets::version(source.datanet, source.version).is_some(),
                Error::<T>::UnknownSource
            );
            ensure!(
                T::Datanets::is_usable(source.datanet, source.version),
                Error::<T>::SourceVoid
            );
        }
        Ok(())
    }

    /// Every number of the recipe is in the range that [`Recipe`] gives.
    pub(crate) fn check_recipe(recipe: &Recipe) -> Result<(), Error<T>> {
        let Recipe {
            rank,
            alpha,
            targets,
            learning_rate,
            epochs,
            batch,
            context,
            held_out,
        } = *recipe;
        ensure!((1..=256).contains(&rank), Error::<T>::BadRank);
        ensure!((1..=1_024).contains(&alpha), Error::<T>::BadAlpha);
        ensure!((1..=0x7F).contains(&targets), Error::<T>::BadTargets);
        ensure!(
            (1..=100_000_000).contains(&learning_rate),
            Error::<T>::BadLearningRate
        );
        ensure!((1..=1_000).contains(&epochs), Error::<T>::BadEpochs);
        ensure!((1..=1_024).contains(&batch), Error::<T>::BadBatch);
        ensure!((16..=32_768).contains(&context), Error::<T>::BadContext);
        ensure!(held_out <= 50, Error::<T>::BadHeldOut);
        Ok(())
    }

    /// Some layout can be used with these rules. How large a row becomes depends on the base, which the chain does not know;
    /// what it would be with one module and a rank of 1 is the least.
    pub(crate) fn check_rules(rules: &IndexRules) -> Result<(), Error<T>> {
        let least = Layout {
            names: NONE,
            modules: [Module {
                kind: Kind::LoraA,
                rows: 1,
                columns: rules.projection.max(1),
            }]
            .into(),
        };
        Rule::new(&least, rules).map(drop).map_err(|flaw| match flaw {
            LayoutFlaw::Empty | LayoutFlaw::TooLarge(_) | LayoutFlaw::Projection => Error::<T>::BadProjection,
            LayoutFlaw::Floor(_) => Error::<T>::BadFloor,
            LayoutFlaw::Z => Error::<T>::BadZ,
            LayoutFlaw::Top(_) => Error::<T>::BadTop,
        })
    }

    /// Root of the tree of versions that a generation is trained on; nothing if one of them is not published.
    pub(crate) fn sources_root(sources: &[Source]) -> Option<Root> {
        let mut tree = RootBuilder::<SourceLeaf>::default();
        for source in sources {
            tree.push(&SourceLeaf {
                datanet: source.datanet,
                version: source.version,
                records: T::Datanets::version(source.datanet, source.version)?,
            })
            .ok()?;
        }
        tree.finish().ok()
    }

    /// Every field of the header that the chain knows is what was ordered, and the rest does not contradict it.
    ///
    /// What is left, that bases, rows and tokens are those of the data, only whoever has the data can tell: that is what
    /// challenges are for.
    pub(crate) fn check_index(
        place: (u64, u32),
        entry: &Generation<T::AccountId>,
        base: &Base<T::AccountId>,
        seed: &Hash,
        worker: &T::AccountId,
        (header, layout): (&IndexHeader, &Layout),
    ) -> Result<(), Error<T>> {
        ensure!(header.builder == worker.clone().into(), Error::<T>::WrongBuilder);
        ensure!(
            (header.model, header.generation) == place,
            Error::<T>::WrongGeneration
        );
        ensure!(header.base == base.weights, Error::<T>::WrongBase);
        ensure!(header.adapter == entry.adapter, Error::<T>::WrongAdapter);
        ensure!(header.tokenizer == base.tokenizer, Error::<T>::WrongTokenizer);
        ensure!(header.seed == *seed, Error::<T>::WrongSeed);
        ensure!(header.rules == entry.rules, Error::<T>::WrongRules);
        ensure!(header.retrieval == NONE, Error::<T>::WrongRetrieval);
        ensure!(
            Some(header.sources) == Self::sources_root(&entry.sources),
            Error::<T>::WrongSources
        );
        let modules = u32::try_from(layout.modules.len()).unwrap_or(u32::MAX);
        ensure!(modules <= MAX_MODULES, Error::<T>::TooManyModules);
        header.check(layout).map_err(|flaw| match flaw {
            HeaderFlaw::Root => Error::<T>::HeaderRoot,
            HeaderFlaw::Layout => Error::<T>::HeaderLayout,
            HeaderFlaw::Bases => Error::<T>::HeaderBases,
            HeaderFlaw::Corpus => Error::<T>::HeaderCorpus,
            HeaderFlaw::Rows => Error::<T>::HeaderRows,
            HeaderFlaw::Verbatim => Error::<T>::HeaderVerbatim,
        })
    }
}

//! Models: bases, fine-tunes and their generations.

use crate::{Cid, Hash, Name};
use bounded_collections::{BoundedVec, ConstU32};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use openledger_attribution::{
    fee::{Missing, Tariff, MAX_ANCESTORS},
    index::IndexRules,
};
use scale_info::TypeInfo;

/// Most Datanet versions that a generation is trained on.
pub type MaxSources = ConstU32<16>;

/// Most ancestors that are kept beside the root.
pub type MaxNearer = ConstU32<{ MAX_ANCESTORS as u32 - 1 }>;

/// A generation of a model.
pub type Place = (u64, u32);

/// A base model that adapters are trained on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Base<A> {
    /// Who registered it.
    pub registrant: A,
    /// What people call it.
    pub name: Name,
    /// SPDX identifier of its licence.
    pub licence: Name,
    /// Hash of its configuration and weights.
    pub weights: Hash,
    /// Hash of its tokenizer.
    pub tokenizer: Hash,
    /// Held for its place in the state, in planck.
    pub deposit: u128,
}

/// A Datanet version that a generation is trained on.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Source {
    /// The Datanet.
    pub datanet: u64,
    /// Its version.
    pub version: u32,
    /// Its part, relative to the others, of what the contributors earn from answers that no record shaped; not 0.
    pub weight: u32,
}

/// How an adapter is trained. Everything else follows from the seed that the chain draws.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Recipe {
    /// Rank of the adapter's matrices, 1 to 256.
    pub rank: u16,
    /// Scale of the adapter times its rank, 1 to 1,024.
    pub alpha: u16,
    /// Modules with an adapter, one bit each from the lowest: q, k, v, o, gate, up, down.
    pub targets: u8,
    /// Peak learning rate in 10⁻⁹, 1 to 10⁸.
    pub learning_rate: u32,
    /// Passes over the data, 1 to 1,000.
    pub epochs: u16,
    /// Examples per step, 1 to 1,024.
    pub batch: u16,
    /// Most tokens of an example, 16 to 32,768.
    pub context: u16,
    /// Percent of the records held out to measure the loss, 0 to 50.
    pub held_out: u8,
}

/// A fine-tune. Its owner is whoever holds its item.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Model<A> {
    /// What people call it and what requests name.
    pub name: Name,
    /// Its base.
    pub base: u64,
    /// Who created it and gets its deposit back.
    pub creator: A,
    /// Held for its place in the state, in planck.
    pub deposit: u128,
    /// Generations ordered so far; they count from 1.
    pub generations: u32,
    /// What an answer costs now, with the chain's split; [`tariff_of`] has that of one generation.
    pub tariff: Tariff,
    /// What it cost before, and the last block in which that is still good.
    pub previous: Option<(Tariff, u32)>,
    /// Whether its owner lets it answer.
    pub serving: bool,
}

/// Where a generation stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum Stage {
    /// A worker is to train it.
    Training,
    /// Its adapter is committed; the index waits for the seed that is drawn after that.
    AwaitingSeed {
        /// The epoch the adapter was committed in.
        epoch: u64,
    },
    /// A worker is to write its index.
    Indexing {
        /// Seed of the index: keccak(adapter ‖ what was drawn).
        seed: Hash,
    },
    /// It can answer.
    Ready {
        /// Hash of its index's header.
        index: Hash,
    },
    /// It cannot answer: its job failed and the price went back, or its index was proved wrong.
    Failed,
}

/// One training of a model.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Generation<A> {
    /// Who ordered and pays it.
    pub requester: A,
    /// What it is trained on.
    pub sources: BoundedVec<Source, MaxSources>,
    /// How.
    pub recipe: Recipe,
    /// The numbers its index is made with.
    pub rules: IndexRules,
    /// Held from the requester until it is ready, in planck.
    pub price: u128,
    /// The job it waits for, or the last one.
    pub job: u64,
    /// The last block in which the work is accepted.
    pub deadline: u32,
    /// Who trained it, once somebody did.
    pub trainer: Option<A>,
    /// What its training started from, drawn with its trainer: who repeats it needs nothing else. Zero until it is trained.
    pub seed: Hash,
    /// Hash of its adapter.
    pub adapter: Hash,
    /// Where its adapter can be fetched.
    pub adapter_cid: Cid,
    /// Loss on the held-out records before training, in 10⁻⁶ nats per token.
    pub loss_before: u32,
    /// The same after training.
    pub loss_after: u32,
    /// Where it stands.
    pub stage: Stage,
}

/// What a generation descends from, if its training started from the adapter of another: who its lineage part is for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Line {
    /// The generation whose adapter the training starts from.
    pub parent: Place,
    /// Ancestors that added accepted data, nearest first, without the root. Of more than there is room for the furthest are
    /// dropped: they are the middle of the line.
    pub nearer: BoundedVec<Place, MaxNearer>,
    /// The first of the line, which started from its base alone.
    pub root: Place,
    /// Whether the generation itself is trained on data that no ancestor was.
    pub adds: bool,
}

impl Line {
    /// The line of a generation that starts from `parent`, whose own is `before` if it has one.
    pub fn from(parent: Place, before: Option<&Self>, adds: bool) -> Self {
        let Some(before) = before else {
            return Self {
                parent,
                nearer: BoundedVec::new(),
                root: parent,
                adds,
            };
        };
        let own = before.adds.then_some(parent);
        Self {
            parent,
            nearer: BoundedVec::truncate_from(own.into_iter().chain(before.nearer.iter().copied()).collect()),
            root: before.root,
            adds,
        }
    }

    /// Everybody in it that is kept, the parent too.
    pub fn ancestors(&self) -> impl Iterator<Item = Place> + '_ {
        let is_apart = *self.nearer.first().unwrap_or(&self.root) != self.parent;
        let parent = is_apart.then_some(self.parent);
        parent
            .into_iter()
            .chain(self.nearer.iter().copied())
            .chain([self.root])
    }
}

/// What answers of one generation are charged by, of its model's tariff and its line: without ancestors the lineage part is
/// the contributors'.
pub fn tariff_of(model: &Tariff, line: Option<&Line>) -> Tariff {
    let missing = Missing {
        owner: false,
        lineage: line.is_none(),
    };
    Tariff {
        split: model.split.without(missing),
        ..*model
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn a_line_keeps_its_root_and_drops_the_middle() {
        let mut line = Line::from((0, 1), None, true);
        assert_eq!((line.root, line.nearer.len()), ((0, 1), 0));
        for generation in 2..40 {
            // Every third adds nothing.
            let adds = generation % 3 != 0;
            line = Line::from((0, generation), Some(&line), adds);
            assert_eq!(line.root, (0, 1));
            assert_eq!(line.parent, (0, generation));
            let shown: Vec<_> = line.ancestors().collect();
            assert_eq!(shown.first(), Some(&(0, generation)));
            assert_eq!(shown.last(), Some(&(0, 1)));
            assert!(shown.windows(2).all(|pair| pair[0] > pair[1]), "{shown:?}");
        }
        // Whether an ancestor is kept was said when it was made: the line of generation g + 1 was made with flag of g + 1.
        assert_eq!(line.nearer.len(), 15);
        assert_eq!(line.nearer[0], (0, 39));
        assert!(line
            .nearer
            .iter()
            .all(|(_, generation)| (generation - 1) % 3 != 0));
    }

    #[test]
    fn without_ancestors_contributors_get_the_lineage_part() {
        let split = openledger_attribution::fee::Split {
            platform: 500,
            owner: 4_000,
            contributors: 3_000,
            stakers: 1_000,
            compute: 1_500,
            lineage: 500,
        };
        let tariff = Tariff {
            price_in: 1,
            price_out: 2,
            split,
            mix: openledger_attribution::fee::Mix {
                influence: 1_000_000_000,
                verbatim: 0,
                retrieval: 0,
            },
        };
        let alone = tariff_of(&tariff, None);
        assert_eq!((alone.split.contributors, alone.split.lineage), (3_500, 0));
        assert!(alone.is_whole());
        let line = Line::from((0, 1), None, true);
        assert_eq!(tariff_of(&tariff, Some(&line)), tariff);
    }
}

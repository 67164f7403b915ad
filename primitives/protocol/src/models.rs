//! Models: bases, fine-tunes and their generations.

use crate::{Cid, Hash, Name};
use bounded_collections::{BoundedVec, ConstU32};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use openledger_attribution::{fee::Tariff, index::IndexRules};
use scale_info::TypeInfo;

/// Most Datanet versions that a generation is trained on.
pub type MaxSources = ConstU32<16>;

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
    /// What an answer costs now. The split is the chain's, without the parties that this model lacks.
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

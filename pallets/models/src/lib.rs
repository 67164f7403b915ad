//! Models: bases, fine-tunes, and each generation from its order to its index.
//!
//! A generation is one training. Its owner names versions of Datanets, a recipe, the numbers of its index and a price:
//! [`Pallet::request_training`]. A worker trains the adapter and commits to it ([`Stage::Training`]); two epochs later a seed
//! is drawn that nobody could know before ([`Stage::AwaitingSeed`]); with it the same worker writes the index
//! ([`Stage::Indexing`]). Everything of the index's header that the chain knows is checked here; when it fits, the index is
//! registered, the trainer paid, and the generation can answer ([`Stage::Ready`]).
//!
//! # Money
//!
//! The price is held from whoever ordered: it becomes the trainer's when the generation is ready, and goes back when its job
//! fails. Deposits for bases and models are held for as long as those are in the state.
//!
//! # Descent
//!
//! A training may start from the adapter of a generation that is ready, of this model or another on the same base. Its line
//! ([`Line`](openledger_protocol::models::Line)) says which ancestors share in what its answers earn, and is kept for good.
//! A generation that starts from its base has none, and [`tariff_of`](openledger_protocol::models::tariff_of) gives the part
//! to the contributors. Adapters that were not trained here cannot be parents.
//!
//! # Prices
//!
//! Answers are charged some time after they were given. What they cost then stays good for [`Config::PriceHold`] blocks after
//! the owner changes prices or stops serving, so that no worker loses what it has earned; prices cannot change again before.
//!
//! [`Stage::Training`]: openledger_protocol::models::Stage::Training
//! [`Stage::AwaitingSeed`]: openledger_protocol::models::Stage::AwaitingSeed
//! [`Stage::Indexing`]: openledger_protocol::models::Stage::Indexing
//! [`Stage::Ready`]: openledger_protocol::models::Stage::Ready

#![cfg_attr(not(feature = "std"), no_std)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

extern crate alloc;

pub use pallet::*;
pub use weights::WeightInfo;

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod checks;
#[cfg(any(test, feature = "runtime-benchmarks"))]
mod fixture;
mod impls;
mod lines;
#[cfg(test)]
mod mock;
mod outcome;
#[cfg(test)]
mod tests;
mod try_state;
pub mod weights;

#[cfg(feature = "runtime-benchmarks")]
pub use benchmarking::BenchmarkHelper;
pub use outcome::OutcomeWeight;

/// What the seed of an index is drawn as: subject is the job that trained the adapter.
pub const DRAW_DOMAIN: &[u8] = b"index";

/// Generations whose seed one block looks at.
pub const SEEDS_PER_BLOCK: u32 = 4;

/// Most modules of an index's layout.
pub const MAX_MODULES: u32 = 4_096;

// The macro's own code expects what it has just checked.
#[allow(clippy::expect_used)]
#[frame_support::pallet]
pub mod pallet {
    use super::WeightInfo;
    use frame_support::{pallet_prelude::*, traits::fungible::MutateHold};
    use frame_system::pallet_prelude::*;
    use openledger_attribution::{
        fee::{Mix, Split},
        hash::{Account, Hash},
        index::IndexRules,
    };
    use openledger_protocol::{
        models::{Base, Generation, Line, MaxSources, Model, Place, Recipe, Source},
        Name,
    };
    use openledger_traits::{Datanets, Draws, Indexes, Jobs, Ownership};

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config:
        frame_system::Config<RuntimeEvent: From<Event<Self>>, AccountId: Into<Account> + From<Account>>
    {
        /// The native currency.
        type Currency: MutateHold<Self::AccountId, Balance = u128, Reason = Self::RuntimeHoldReason>;
        /// What amounts are held for.
        type RuntimeHoldReason: From<HoldReason>;
        /// Who owns a model.
        type Ownership: Ownership<Self::AccountId>;
        /// What generations are trained on.
        type Datanets: Datanets;
        /// Who trains them.
        type Jobs: Jobs<Self::AccountId>;
        /// What the seed of an index is drawn from.
        type Draws: Draws;
        /// Where indexes are registered.
        type Indexes: Indexes;
        /// How a fee is split, before the parties that a generation lacks are taken out. Governed.
        type Split: Get<Split>;
        /// Blocks that a price stays good after it was changed, and any price after serving was stopped: longer than a worker
        /// takes from an answer to its batch.
        type PriceHold: Get<BlockNumberFor<Self>>;
        /// Held for a base, in planck.
        type BaseDeposit: Get<u128>;
        /// Held for a model, in planck.
        type ModelDeposit: Get<u128>;
        /// Least price of a generation, in planck: a worker that is drawn has to train it or pay.
        type LeastPrice: Get<u128>;
        /// Least blocks until a training's deadline: its worker is drawn two epochs after the order.
        type ShortestTraining: Get<BlockNumberFor<Self>>;
        /// Most blocks until a training's deadline.
        type LongestTraining: Get<BlockNumberFor<Self>>;
        /// Blocks that a trainer has for the index in any case, even if the deadline is sooner: it trained in time, and when
        /// the seed is drawn is not its choice.
        type IndexTime: Get<BlockNumberFor<Self>>;
        /// Most generations that wait for their seed.
        #[pallet::constant]
        type MaxAwaiting: Get<u32>;
        /// Weights of this pallet.
        type WeightInfo: WeightInfo;
        /// Prepares what benchmarks need of other pallets.
        #[cfg(feature = "runtime-benchmarks")]
        type BenchmarkHelper: crate::BenchmarkHelper<Self::AccountId>;
    }

    /// The next base.
    #[pallet::storage]
    pub type NextBase<T: Config> = StorageValue<_, u64, ValueQuery>;

    /// Bases.
    #[pallet::storage]
    pub type Bases<T: Config> = StorageMap<_, Twox64Concat, u64, Base<T::AccountId>>;

    /// The next model.
    #[pallet::storage]
    pub type NextModel<T: Config> = StorageValue<_, u64, ValueQuery>;

    /// Models.
    #[pallet::storage]
    pub type Models<T: Config> = StorageMap<_, Twox64Concat, u64, Model<T::AccountId>>;

    /// Generations of a model; the first is 1.
    #[pallet::storage]
    pub type Generations<T: Config> =
        StorageDoubleMap<_, Twox64Concat, u64, Twox64Concat, u32, Generation<T::AccountId>>;

    /// Generations whose adapter is committed and whose seed is not drawn: model and generation, the longest waiting first.
    #[pallet::storage]
    pub type AwaitingSeed<T: Config> = StorageValue<_, BoundedVec<(u64, u32), T::MaxAwaiting>, ValueQuery>;

    /// The last block in which answers of a model that serves no more can be charged.
    #[pallet::storage]
    pub type StoppedUntil<T: Config> = StorageMap<_, Twox64Concat, u64, u32>;

    /// What was drawn for a generation's index: with the adapter it gives the seed.
    #[pallet::storage]
    pub type Drawn<T: Config> = StorageDoubleMap<_, Twox64Concat, u64, Twox64Concat, u32, Hash>;

    /// The latest generation of a model that became ready.
    #[pallet::storage]
    pub type Newest<T: Config> = StorageMap<_, Twox64Concat, u64, u32>;

    /// Indexes of generations that were ready until those were proved wrong.
    #[pallet::storage]
    pub type Voided<T: Config> = StorageDoubleMap<_, Twox64Concat, u64, Twox64Concat, u32, Hash>;

    /// What generations descend from that did not start from their base.
    #[pallet::storage]
    pub type Lines<T: Config> = StorageDoubleMap<_, Twox64Concat, u64, Twox64Concat, u32, Line>;

    /// What amounts are held for.
    #[pallet::composite_enum]
    pub enum HoldReason {
        /// A base's place in the state.
        Base,
        /// A model's place in the state.
        Model,
        /// The price of a generation that is not ready yet.
        Price,
    }

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A base was registered.
        BaseRegistered {
            /// The base.
            base: u64,
            /// Who registered it.
            who: T::AccountId,
        },
        /// A model was created.
        Created {
            /// The model.
            model: u64,
            /// Its creator and first owner.
            who: T::AccountId,
        },
        /// A generation was ordered.
        TrainingRequested {
            /// The model.
            model: u64,
            /// The generation.
            generation: u32,
            /// Who ordered it.
            who: T::AccountId,
            /// Planck held for it.
            price: u128,
            /// The job that trains it.
            job: u64,
        },
        /// An adapter was committed.
        Trained {
            /// The model.
            model: u64,
            /// The generation.
            generation: u32,
            /// Who trained it.
            trainer: T::AccountId,
            /// Hash of the adapter.
            adapter: Hash,
            /// The epoch whose draw decides the index's seed.
            epoch: u64,
        },
        /// The seed is drawn and the index ordered.
        IndexOrdered {
            /// The model.
            model: u64,
            /// The generation.
            generation: u32,
            /// Seed of the index.
            seed: Hash,
            /// The job that writes it.
            job: u64,
        },
        /// A generation can answer; its trainer is paid.
        Ready {
            /// The model.
            model: u64,
            /// The generation.
            generation: u32,
            /// Hash of its index's header.
            index: Hash,
            /// Who is paid.
            trainer: T::AccountId,
            /// Planck.
            price: u128,
        },
        /// A generation failed; its price went back.
        Failed {
            /// The model.
            model: u64,
            /// The generation.
            generation: u32,
            /// Who ordered it.
            who: T::AccountId,
            /// Planck that went back.
            price: u128,
        },
        /// A model's prices changed.
        PricesSet {
            /// The model.
            model: u64,
            /// Planck per 1,000 tokens of prompt.
            price_in: u128,
            /// Planck per 1,000 tokens of answer.
            price_out: u128,
            /// Last block in which the prices before are good.
            previous_until: u32,
        },
        /// A model's owner lets it answer, or not.
        ServingSet {
            /// The model.
            model: u64,
            /// Whether it answers.
            serving: bool,
        },
        /// A generation's index was proved wrong: it answers no more.
        Voided {
            /// The model.
            model: u64,
            /// The generation.
            generation: u32,
            /// Hash of the index's header.
            index: Hash,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// The name is empty, not UTF-8 or has control characters: choose one that can be shown.
        BadName,
        /// The licence is empty, not UTF-8 or has control characters: give its SPDX identifier.
        BadLicence,
        /// No base has this number: see `NextBase` for how many there are.
        UnknownBase,
        /// No model has this number: see `NextModel` for how many there are.
        UnknownModel,
        /// Only the model's owner may: ask the holder of its item.
        NotOwner,
        /// No number is left: the chain cannot hold more of these.
        NoNumberLeft,
        /// The weights of the attribution channels do not add up to 1,000,000,000: correct one of them.
        MixNotWhole,
        /// The governed split does not add up to 10,000: a referendum has to correct it.
        SplitNotWhole,
        /// At this price a long answer would cost more than can be counted: choose a lower one.
        PriceTooHigh,
        /// The prices before these are still good: change them after the block that `previous` names.
        PricesHeld,
        /// A generation needs a source: name at least one Datanet version.
        NoSources,
        /// A source is named twice: name it once, with the sum of the weights.
        SourceTwice,
        /// A source has weight 0: give it one, or leave it out.
        SourceWithoutWeight,
        /// A source is no published version: publish it, or name another.
        UnknownSource,
        /// The rank is not from 1 to 256.
        BadRank,
        /// Alpha is not from 1 to 1,024.
        BadAlpha,
        /// The targets name no module, or more than the seven there are: use bits 0 to 6.
        BadTargets,
        /// The learning rate is not from 1 to 100,000,000 (10⁻⁹ to 0.1).
        BadLearningRate,
        /// The number of epochs is not from 1 to 1,000.
        BadEpochs,
        /// The batch is not from 1 to 1,024.
        BadBatch,
        /// The context is not from 16 to 32,768.
        BadContext,
        /// More than 50 percent are held out: the rest is trained on.
        BadHeldOut,
        /// The index projects to no dimension, or to so many that a row is over 32,768 bytes: choose others.
        BadProjection,
        /// A list of the index has no entry or more than 256: choose a number between.
        BadTop,
        /// z is 0, so that noise would be paid: choose at least 1 (a hundredth).
        BadZ,
        /// The floor exponent is not from −64 to 63.
        BadFloor,
        /// The price is under `LeastPrice`: offer at least that.
        PriceTooLow,
        /// The deadline is sooner than `ShortestTraining` blocks: choose a later one.
        DeadlineTooSoon,
        /// The deadline is later than `LongestTraining` blocks: choose a sooner one.
        DeadlineTooLate,
        /// The result is for a job that this generation does not wait for: it was done by another, or failed.
        NotAwaited,
        /// The result is of another kind than the job: a training gives an adapter, an index job an index.
        WrongOutcome,
        /// The adapter's hash is zero: give the hash of the adapter.
        NoAdapter,
        /// As many generations as the chain can remember wait for their seed: deliver again in some blocks.
        TooManyAwaiting,
        /// Only whoever trained the adapter may write its index.
        NotTrainer,
        /// The header's builder is not the worker that delivers it.
        WrongBuilder,
        /// The header is of another model or generation.
        WrongGeneration,
        /// The header's base is not the hash of the model's base.
        WrongBase,
        /// The header's adapter is not the one that was committed.
        WrongAdapter,
        /// The header's tokenizer is not the base's.
        WrongTokenizer,
        /// The header's seed is not the one that was drawn: read it from the generation.
        WrongSeed,
        /// The header's rules are not those that were ordered.
        WrongRules,
        /// The header's sources are not the versions that were ordered, in their order.
        WrongSources,
        /// The header has a retrieval index, and none was ordered.
        WrongRetrieval,
        /// The layout has more than 4,096 modules.
        TooManyModules,
        /// A root of the header is one that no tree has.
        HeaderRoot,
        /// The header names another layout, or the layout cannot be used with these rules.
        HeaderLayout,
        /// The number of bases does not follow from the layout.
        HeaderBases,
        /// The corpus does not have one record for each representative of the sources.
        HeaderCorpus,
        /// The index does not have one row for each unit of the corpus.
        HeaderRows,
        /// Tokens, shards and table of the verbatim channel do not fit the corpus or each other.
        HeaderVerbatim,
        /// A source was proved wrong: publish another version, or name an earlier one.
        SourceVoid,
        /// There is no such generation to start from.
        NoParent,
        /// The generation to start from cannot answer: it is not ready yet, or its index was proved wrong.
        ParentNotReady,
        /// The generation to start from is on another base.
        ParentBase,
        /// The adapter to start from has another rank, alpha or targets: order the same ones.
        ParentShape,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn on_initialize(_: BlockNumberFor<T>) -> Weight {
            T::WeightInfo::order_indexes(Self::order_indexes())
        }

        fn integrity_test() {
            assert!(
                T::MaxAwaiting::get() > 0,
                "models: with no place to wait for a seed no generation can become ready"
            );
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Registers a base by the hash of its configuration and weights and of its tokenizer.
        ///
        /// `licence` is an SPDX identifier. [`Config::BaseDeposit`] is held from the sender. Event:
        /// [`Event::BaseRegistered`]. Fails with [`Error::BadName`], [`Error::BadLicence`], or if the sender has too little.
        #[pallet::call_index(0)]
        #[pallet::weight(T::WeightInfo::register_base())]
        pub fn register_base(
            origin: OriginFor<T>,
            name: Name,
            licence: Name,
            weights: Hash,
            tokenizer: Hash,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_register_base(who, name, licence, weights, tokenizer)
        }

        /// Creates a model owned by the sender, which serves as soon as it has a generation that is ready.
        ///
        /// Prices are planck per 1,000 tokens of prompt and of answer; `mix` weighs the attribution channels.
        /// [`Config::ModelDeposit`] is held from the sender. Event: [`Event::Created`]. Fails with [`Error::BadName`],
        /// [`Error::UnknownBase`], [`Error::MixNotWhole`], [`Error::PriceTooHigh`], or if the sender has too little.
        #[pallet::call_index(1)]
        #[pallet::weight(T::WeightInfo::create())]
        pub fn create(
            origin: OriginFor<T>,
            name: Name,
            base: u64,
            price_in: u128,
            price_out: u128,
            mix: Mix,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_create(who, name, base, price_in, price_out, mix)
        }

        /// The owner orders a generation; `price` planck are held for whoever trains it until block `deadline`.
        ///
        /// Training starts from the adapter of `parent`, a generation that is ready, or without one from the model's base.
        /// Event: [`Event::TrainingRequested`]. Fails with [`Error::UnknownModel`], [`Error::NotOwner`], if a source, the
        /// recipe or a rule is out of its range, with [`Error::PriceTooLow`], [`Error::DeadlineTooSoon`],
        /// [`Error::DeadlineTooLate`], if the parent's adapter does not fit, or if the sender has too little.
        #[pallet::call_index(2)]
        #[pallet::weight(T::WeightInfo::request_training(sources.len() as u32))]
        #[allow(clippy::too_many_arguments)]
        pub fn request_training(
            origin: OriginFor<T>,
            model: u64,
            sources: BoundedVec<Source, MaxSources>,
            recipe: Recipe,
            rules: IndexRules,
            price: u128,
            deadline: u32,
            parent: Option<Place>,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_request_training(who, model, sources, recipe, rules, price, deadline, parent)
        }

        /// The owner changes prices. Those before stay good for [`Config::PriceHold`] blocks.
        ///
        /// Event: [`Event::PricesSet`]. Fails with [`Error::UnknownModel`], [`Error::NotOwner`], [`Error::PriceTooHigh`],
        /// [`Error::PricesHeld`].
        #[pallet::call_index(3)]
        #[pallet::weight(T::WeightInfo::set_prices())]
        pub fn set_prices(
            origin: OriginFor<T>,
            model: u64,
            price_in: u128,
            price_out: u128,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_set_prices(who, model, price_in, price_out)
        }

        /// The owner lets the model answer, or not. What it has answered can be charged for [`Config::PriceHold`] blocks more.
        ///
        /// Event: [`Event::ServingSet`]. Fails with [`Error::UnknownModel`], [`Error::NotOwner`].
        #[pallet::call_index(4)]
        #[pallet::weight(T::WeightInfo::set_serving())]
        pub fn set_serving(origin: OriginFor<T>, model: u64, serving: bool) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_set_serving(who, model, serving)
        }
    }
}

//! Proof of Attribution on the chain: indexes, batches of receipts, challenges, verdicts.
//!
//! A worker answers for hours and commits to everything at once: [`Pallet::submit_batch`] takes two headers (a few hundred
//! bytes whatever the number of receipts) and moves exactly the money they name out of the consumers' channels. For
//! [`Config::Window`] blocks anyone may recompute any receipt. Who finds a lie first commits to the evidence
//! ([`Pallet::challenge`]), so that nobody can take it from the pool and run ahead, and shows it in a later block
//! ([`Pallet::prove`]); the verdict is `openledger_attribution`'s, in integers. After the window [`Pallet::settle`] pays everyone
//! but the contributors, and [`Pallet::credit`] credits those, up to [`MaxCredits`] a call.
//!
//! A batch that stood:
//!
//! ```text
//! platform → treasury    owner → the model's owner    compute → the worker    contributors → credits, each with its proof
//! stakers → half to the model's pool, half to the worker's    lineage → the root generation and ancestors that added data
//! fallback, uncredited, and every part without recipient → Datanets by weight
//! ```
//!
//! A batch proved wrong: the disputed receipt's fee goes back to its consumer, every other part shrinks in proportion
//! ([`parts_without`]), what was the contributors' takes the fallback, and the worker loses the largest of
//! [`Config::SlashFloor`], ten times what was disputed and twice the contributors' part, a quarter of it to the challenger.
//!
//! # Sampled batches
//!
//! With `draws` in its header a batch commits to receipts alone. What is drawn for it two epochs later picks receipts in
//! proportion to their fees ([`Pallet::draw`]); the worker names what shaped those ([`Pallet::answer_draws`]), each carrying an
//! equal part of the contributors' money, and the window begins. For a draw without an answer the worker's bond owes the
//! fallback what the draw carries; for a batch without one, all of it ([`Pallet::forfeit_draws`]).
//!
//! # Indexes
//!
//! A part of its builder's bond stands behind an index from its registration until it is out of use for
//! [`Config::IndexRetention`] blocks ([`Pallet::review_index`]). It is challenged as a batch is ([`Pallet::challenge_index`],
//! [`Pallet::prove_index`]). One proved wrong costs that part, and no batch may name it any more. Batches that named it before
//! are judged by it as it stands: whose scores are right against the index it names has not lied.
//!
//! # Data
//!
//! Who commits to something has to show it: anybody asks for a leaf and pays ([`Pallet::request_reveal`]); the holder shows it
//! and is paid ([`Pallet::reveal`]), or loses as for a lie ([`Pallet::end_request`]). A request keeps a batch's window open for
//! as long as the answer, and a challenge of it, can take.
//!
//! # What only recomputing can tell
//!
//! A sketch, an adapter, an answer: whoever doubts one commits to its question as to evidence and shows it ([`Pallet::ask`],
//! [`Pallet::ask_index`]); the question is opened as far as integers go and put before a committee
//! ([`openledger_traits::Committees`]). The batch or the index is frozen until the committee is done, and what it says has the
//! consequences of evidence. Of every batch the chain also draws one listed row in proportion to its amount
//! ([`Pallet::draw_audit`]); the worker shows it ([`Pallet::show_audit`]), or loses as for withholding ([`Pallet::end_audit`]), and a
//! committee recomputes it. A batch that credits nobody has no audit, nor has one while there are too few members.
//!
//! The pallet moves no money itself: [`Charge`] brings it into the pot, [`PayOut`] promises it.

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

#[cfg(feature = "runtime-benchmarks")]
pub use benchmarking::BenchmarkHelper;
pub use pallet::*;
pub use weights::WeightInfo;

mod ask;
mod audit;
#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod impls;
mod index;
#[cfg(test)]
mod mock;
mod payout;
mod reveal;
mod sampled;
mod stakes;
#[cfg(test)]
mod tests;
mod try_state;
pub mod weights;

use alloc::boxed::Box;
use frame_support::{
    traits::{
        fungible::{Inspect, MutateHold},
        ConstU32, Get,
    },
    BoundedVec,
};
use openledger_attribution::{
    batch::{BatchHeader, CreditLeaf, CreditsHeader},
    hash::{Account, Hash},
    tree::Range,
    verdict::{
        Audit as AuditProof, BatchEvidence, BatchQuestion, Doubt, Guilt, IndexEvidence, IndexQuestion,
        Reveal, Wanted,
    },
};
use openledger_protocol::{
    batches::{Batch, BatchStage, Challenge, Index},
    channels::ChannelClaim,
    committees::{Audit, Question, Subject},
    disputes::{Committed, IndexBond, IndexStage, Request, Sample},
};
use openledger_traits::{Bonds, Charge, Committees, Contributions, Draws, Models, Ownership, PayOut, Stakes};

/// Most channels that one batch settles.
pub type MaxClaims = ConstU32<64>;

/// Most credits in one call.
pub const MAX_CREDITS: u32 = 256;

/// Most challenges of one batch, or of one index, that are not decided.
pub const MAX_CHALLENGES: u32 = 16;

/// Most requests for data of one batch, or of one index, that are not answered.
pub const MAX_REQUESTS: u32 = 16;

/// Most suffix entries that one request asks for.
pub const MAX_SUFFIXES: u16 = 1_024;

/// What the draws of sampled batches are drawn as: subject is the batch.
pub const DRAW_DOMAIN: &[u8] = b"batch";

/// The worker's bond stands behind this many times what is disputed.
pub const SLASH_FACTOR: u128 = 10;

/// What a lie costs at least of the contributors' part of its batch. That part takes the fallback, to the owners of Datanets,
/// and a quarter of what is lost goes to the challenger: whoever is worker, owner and challenger in one gains the one and pays
/// three quarters of the other, so this has to be more than four thirds.
pub const CONTRIBUTORS_FACTOR: u128 = 2;

// The macro's own code expects what it has just checked.
#[allow(clippy::expect_used)]
#[frame_support::pallet]
pub mod pallet {
    use super::*;
    use frame_support::pallet_prelude::*;
    use frame_system::pallet_prelude::*;

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config:
        frame_system::Config<RuntimeEvent: From<Event<Self>>, AccountId: Into<Account> + From<Account>>
    {
        /// OPEN, for challengers' deposits.
        type Currency: Inspect<Self::AccountId, Balance = u128>
            + MutateHold<Self::AccountId, Reason = Self::RuntimeHoldReason>;
        /// Why something is held.
        type RuntimeHoldReason: From<HoldReason>;
        /// What was answered with.
        type Models: Models<Self::AccountId>;
        /// Who owns the Datanets that the fallback pays.
        type Ownership: Ownership<Self::AccountId>;
        /// The workers' bonds.
        type Bonds: Bonds<Self::AccountId>;
        /// The consumers' channels.
        type Charge: Charge<Self::AccountId>;
        /// The pot that fees wait in.
        type PayOut: PayOut<Self::AccountId>;
        /// OPEN behind workers and models, which earns from answers and is frozen while they are disputed.
        type Stakes: Stakes<Self::AccountId>;
        /// Who contributed what is in an index.
        type Contributions: Contributions;
        /// What picks the receipts of sampled batches, and what is audited.
        type Draws: Draws;
        /// Who recomputes.
        type Committees: Committees<Self::AccountId>;
        /// What opening a case costs.
        type HearingWeight: Get<Weight>;
        /// How far a token of an answer in `fast` mode may be from the best, in millionths of a logit.
        type FastTolerance: Get<u32>;
        /// EIP-155 id, which Ethereum signatures cover.
        type ChainId: Get<u64>;
        /// Gets what challengers lose.
        type Treasury: Get<Self::AccountId>;
        /// Blocks in which a batch can be challenged.
        type Window: Get<BlockNumberFor<Self>>;
        /// Blocks from a challenge to the last in which its evidence can be shown.
        type ProvePeriod: Get<BlockNumberFor<Self>>;
        /// Blocks for which a finished batch can still be read, after its window.
        type Retention: Get<BlockNumberFor<Self>>;
        /// Least credit of a batch, in planck.
        type MinCredit: Get<u128>;
        /// Held from a challenger until its evidence is judged, in planck.
        type ChallengeDeposit: Get<u128>;
        /// Held from a worker for a batch's place in the state, in planck.
        type BatchDeposit: Get<u128>;
        /// The least a lie costs, in planck.
        type SlashFloor: Get<u128>;
        /// Part of a builder's bond that stands behind each of its indexes, and what a lie about one costs. In planck.
        type IndexStake: Get<u128>;
        /// Blocks that an index can still be challenged after it went out of use: longer than a window.
        type IndexRetention: Get<BlockNumberFor<Self>>;
        /// Blocks in which a request for data has to be answered.
        type RevealPeriod: Get<BlockNumberFor<Self>>;
        /// What a request for data pays its holder, in planck: more than showing the largest piece costs.
        type RevealPrice: Get<u128>;
        /// Blocks in which a worker answers the draws of a sampled batch, once they are out.
        type AnswerPeriod: Get<BlockNumberFor<Self>>;
        /// Weights of this pallet.
        type WeightInfo: WeightInfo;
        /// What the benchmarks need of other pallets.
        #[cfg(feature = "runtime-benchmarks")]
        type BenchmarkHelper: crate::BenchmarkHelper<Self::AccountId>;
    }

    /// Why the pallet holds money.
    #[pallet::composite_enum]
    pub enum HoldReason {
        /// Challenges that are not decided.
        Challenge,
        /// The place of batches in the state.
        Batch,
        /// Requests for data that are not answered.
        Request,
    }

    /// Indexes by the hash of their header.
    #[pallet::storage]
    pub type Indexes<T: Config> = StorageMap<_, Twox64Concat, Hash, Index>;

    /// The number of the next batch.
    #[pallet::storage]
    pub type NextBatch<T: Config> = StorageValue<_, u64, ValueQuery>;

    /// The batches.
    #[pallet::storage]
    pub type Batches<T: Config> = StorageMap<_, Twox64Concat, u64, Batch<T::AccountId>>;

    /// Challenges that are not decided, by batch and challenger.
    #[pallet::storage]
    pub type Challenges<T: Config> =
        StorageDoubleMap<_, Twox64Concat, u64, Twox64Concat, T::AccountId, Challenge>;

    /// What stands behind indexes, by the hash of their header.
    #[pallet::storage]
    pub type IndexBonds<T: Config> = StorageMap<_, Twox64Concat, Hash, IndexBond<T::AccountId>>;

    /// Challenges that are not decided, by index and challenger.
    #[pallet::storage]
    pub type IndexChallenges<T: Config> =
        StorageDoubleMap<_, Twox64Concat, Hash, Twox64Concat, T::AccountId, Challenge>;

    /// Requests for data that are not answered.
    #[pallet::storage]
    pub type Requests<T: Config> =
        StorageDoubleMap<_, Twox64Concat, Committed, Twox64Concat, Wanted, Request<T::AccountId>>;

    /// How many requests for a batch's or an index's data are not answered.
    #[pallet::storage]
    pub type OpenRequests<T: Config> = StorageMap<_, Twox64Concat, Committed, u32, ValueQuery>;

    /// What is drawn for sampled batches.
    #[pallet::storage]
    pub type Samples<T: Config> = StorageMap<_, Twox64Concat, u64, Sample>;

    /// What committees were asked, by case.
    #[pallet::storage]
    pub type Questions<T: Config> = StorageMap<_, Twox64Concat, u64, Question<T::AccountId>>;

    /// The case that something is before.
    #[pallet::storage]
    pub type Asked<T: Config> = StorageMap<_, Twox64Concat, Subject, u64>;

    /// How many cases about a batch or an index are open.
    #[pallet::storage]
    pub type OpenCases<T: Config> = StorageMap<_, Twox64Concat, Committed, u32, ValueQuery>;

    /// The audits of batches.
    #[pallet::storage]
    pub type Audits<T: Config> = StorageMap<_, Twox64Concat, u64, Audit>;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// An index was registered.
        IndexRegistered {
            /// Hash of its header.
            index: Hash,
            /// The model.
            model: u64,
            /// Its generation.
            generation: u32,
        },
        /// A worker submitted a batch; its money is in escrow.
        Submitted {
            /// The batch.
            batch: u64,
            /// The worker.
            worker: T::AccountId,
            /// Hash of its header.
            header: Hash,
            /// Planck in escrow.
            amount: u128,
            /// First block in which nobody can challenge it any more.
            closes: u32,
        },
        /// A batch stood; everyone but its contributors was paid.
        Settled {
            /// The batch.
            batch: u64,
            /// To the treasury, in planck.
            platform: u128,
            /// To the model's owner.
            owner: u128,
            /// To the worker.
            compute: u128,
            /// To the pools behind the model and the worker.
            stakers: u128,
            /// To the generation's ancestors.
            lineage: u128,
            /// To the Datanets.
            fallback: u128,
            /// Waiting to be credited to contributors.
            contributors: u128,
        },
        /// Credits of a batch were paid.
        Credited {
            /// The batch.
            batch: u64,
            /// Position of the first.
            start: u64,
            /// Position behind the last.
            end: u64,
            /// Planck.
            amount: u128,
        },
        /// Somebody says that a batch is wrong and will show it.
        Challenged {
            /// The batch.
            batch: u64,
            /// Who.
            challenger: T::AccountId,
            /// Last block in which the evidence can be shown.
            until: u32,
        },
        /// A batch was proved wrong.
        Condemned {
            /// The batch.
            batch: u64,
            /// Of what.
            guilt: Guilt,
            /// Who proved it; nobody where the chain found it by itself.
            challenger: Option<T::AccountId>,
            /// Who lied.
            worker: T::AccountId,
            /// What the worker's bond lost, in planck.
            slashed: u128,
            /// What went back to the consumer of the disputed receipt, in planck.
            returned: u128,
        },
        /// Evidence proved nothing; its challenger lost the deposit.
        NotProven {
            /// The batch.
            batch: u64,
            /// Who.
            challenger: T::AccountId,
            /// Why.
            doubt: Doubt,
            /// Planck lost.
            lost: u128,
        },
        /// A challenge ended without evidence.
        Lapsed {
            /// The batch.
            batch: u64,
            /// Whose.
            challenger: T::AccountId,
            /// Planck lost: none if somebody else proved the batch wrong first.
            lost: u128,
        },
        /// A finished batch left the state.
        Forgotten {
            /// The batch.
            batch: u64,
        },
        /// Somebody says that an index is wrong and will show it.
        IndexChallenged {
            /// The index.
            index: Hash,
            /// Who.
            challenger: T::AccountId,
            /// Last block in which the evidence can be shown.
            until: u32,
        },
        /// An index was proved wrong.
        IndexVoided {
            /// The index.
            index: Hash,
            /// Of what.
            guilt: Guilt,
            /// Who proved it; nobody where the chain found it by itself.
            challenger: Option<T::AccountId>,
            /// Who built it.
            builder: T::AccountId,
            /// What the builder's bond lost, in planck.
            slashed: u128,
        },
        /// Evidence about an index proved nothing; its challenger lost the deposit.
        IndexNotProven {
            /// The index.
            index: Hash,
            /// Who.
            challenger: T::AccountId,
            /// Why.
            doubt: Doubt,
            /// Planck lost.
            lost: u128,
        },
        /// A challenge of an index ended without evidence.
        IndexLapsed {
            /// The index.
            index: Hash,
            /// Whose.
            challenger: T::AccountId,
            /// Planck lost: none if somebody else proved the index wrong first.
            lost: u128,
        },
        /// The chain looked whether an index is in use.
        IndexReviewed {
            /// The index.
            index: Hash,
            /// Where it stands now.
            stage: IndexStage,
        },
        /// Somebody asked for data.
        Requested {
            /// Whose.
            source: Committed,
            /// What.
            wanted: Wanted,
            /// Who asks.
            who: T::AccountId,
            /// Last block in which it can be shown.
            until: u32,
        },
        /// Data was shown; it is in this block.
        Revealed {
            /// Whose.
            source: Committed,
            /// What.
            wanted: Wanted,
            /// Who was paid.
            holder: T::AccountId,
            /// Planck.
            price: u128,
        },
        /// A request ended without an answer; its price went back.
        RequestEnded {
            /// Whose data.
            source: Committed,
            /// What.
            wanted: Wanted,
            /// Who had asked.
            who: T::AccountId,
            /// Planck that went back.
            price: u128,
        },
        /// The receipts of a sampled batch were drawn.
        Drawn {
            /// The batch.
            batch: u64,
            /// What was drawn.
            randomness: Hash,
            /// Last block in which the worker can answer.
            until: u32,
        },
        /// A draw was out and is forgotten: the batch is drawn for again.
        DrawnAgain {
            /// The batch.
            batch: u64,
            /// The epoch that it counts as committed in.
            epoch: u64,
        },
        /// The draws of a sampled batch were answered, or the time for it passed; its window began.
        DrawsAnswered {
            /// The batch.
            batch: u64,
            /// Planck that the worker's bond owes the fallback.
            forfeit: u128,
            /// First block in which nobody can challenge it any more.
            closes: u32,
        },
        /// Something was put before a committee.
        Asked {
            /// The case.
            case: u64,
            /// What is asked.
            subject: Subject,
            /// Who asks; nobody in an audit.
            challenger: Option<T::AccountId>,
        },
        /// A question was no question; who asked it lost the deposit.
        NotAsked {
            /// About what.
            of: Committed,
            /// Who asked.
            challenger: T::AccountId,
            /// Why.
            doubt: Doubt,
            /// Planck lost.
            lost: u128,
        },
        /// The same is before a committee already: who asked got the deposit back.
        AskedAlready {
            /// The case.
            case: u64,
            /// Who asked.
            challenger: T::AccountId,
        },
        /// A committee's case ended and condemned nobody: what was asked about is right, condemned already, or could not be
        /// recomputed by anybody.
        Answered {
            /// The case.
            case: u64,
            /// What was asked.
            subject: Subject,
            /// Who had asked.
            challenger: Option<T::AccountId>,
            /// Planck that it lost.
            lost: u128,
        },
        /// What is audited of a batch was drawn.
        AuditDrawn {
            /// The batch.
            batch: u64,
            /// What was drawn.
            randomness: Hash,
            /// Last block in which it can be shown.
            until: u32,
        },
        /// What is audited of a batch was shown. There may be nothing to recompute.
        AuditShown {
            /// The batch.
            batch: u64,
            /// The case, if there is one.
            case: Option<u64>,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// There is no such batch, or it was forgotten.
        NoBatch,
        /// There is no such index: it is registered when its job is delivered.
        NoIndex,
        /// There is an index with this header already.
        IndexExists,
        /// The index's header contradicts itself or its layout.
        BadIndex,
        /// The header names another worker than the sender.
        NotYours,
        /// The headers contradict themselves or each other.
        BadHeaders,
        /// A sampled batch came with credits: leave them empty, and answer when the draw is out.
        Sampled,
        /// The least credit is another: `MinCredit` says which.
        Minimum,
        /// The model has no such generation ready, or it has another index.
        NotServed,
        /// The tariff is not in force and was not long enough ago.
        Tariff,
        /// The claims are not the leaves of the header's channel tree, in its order.
        Claims,
        /// The batch is not at the point where this can be done.
        WrongStage,
        /// The window is still open; `closes` says until when.
        TooEarly,
        /// The window has passed, or the time for evidence has.
        TooLate,
        /// A challenge waits to be decided.
        Disputed,
        /// This account has a challenge of this batch already.
        ChallengeExists,
        /// This batch has as many undecided challenges as it may have.
        TooManyChallenges,
        /// There is no such challenge.
        NoChallenge,
        /// Evidence is shown in a later block than its challenge was made in.
        SameBlock,
        /// The evidence is not what was committed to.
        OtherEvidence,
        /// The credits are not the next ones, are too many, or do not lead to the committed root.
        BadCredits,
        /// A sum does not fit.
        Overflow,
        /// The index was proved wrong: no batch may name it.
        IndexVoid,
        /// The index is out of use: no batch may name it any more, or nobody may challenge it.
        IndexRetired,
        /// Nothing about the index has changed since the chain last looked.
        NothingToReview,
        /// The chain does not know what this index was ordered to be.
        NoOrder,
        /// There is no such thing in the batch or index, or it asks for more suffix entries than `MAX_SUFFIXES`.
        CannotAsk,
        /// The same was asked for already: wait for the answer.
        AlreadyAsked,
        /// As many requests as there may be are not answered: wait for one.
        TooManyRequests,
        /// Nobody asked for this, or it was answered.
        NoRequest,
        /// What is shown is not what was asked for.
        NotAnswered,
        /// The batch is not sampled, or its draws were answered.
        NoDraw,
        /// The draw is not out yet.
        NotDrawn,
        /// The batch has no audit, or it is not at this point.
        NoAudit,
        /// What is shown is not what was drawn of the batch.
        NotAudited,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn integrity_test() {
            use sp_runtime::SaturatedConversion;
            let least: u128 = T::Currency::minimum_balance();
            assert!(
                T::RevealPrice::get() >= least,
                "attribution: the price of a request is too small for an account to be paid it"
            );
            let blocks = |period: BlockNumberFor<T>| -> u64 { period.saturated_into() };
            assert!(
                blocks(T::IndexRetention::get()) > blocks(T::Window::get()),
                "attribution: an index cannot be challenged for as long as batches name it"
            );
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Submits a batch of the sender's receipts and moves their money from the channels into escrow.
        ///
        /// `claims` are the leaves of the header's channel tree in order, each with the newest voucher of its channel. The part
        /// of the sender's bond that stands behind the batch is ten times its sum, at least [`Config::SlashFloor`].
        ///
        /// Origin: signed by the worker. Event: [`Event::Submitted`].
        #[pallet::call_index(0)]
        #[pallet::weight(T::WeightInfo::submit_batch(claims.len() as u32))]
        pub fn submit_batch(
            origin: OriginFor<T>,
            header: Box<BatchHeader>,
            credits: Box<CreditsHeader>,
            claims: BoundedVec<ChannelClaim, MaxClaims>,
        ) -> DispatchResult {
            let worker = ensure_signed(origin)?;
            Self::do_submit(worker, *header, *credits, claims.into_inner())
        }

        /// Pays everyone but the contributors of a batch whose window has passed.
        ///
        /// Origin: signed by anyone. Event: [`Event::Settled`].
        #[pallet::call_index(1)]
        #[pallet::weight(T::WeightInfo::settle())]
        pub fn settle(origin: OriginFor<T>, batch: u64) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_settle(batch)
        }

        /// Credits the next contributors of a settled batch.
        ///
        /// Origin: signed by anyone. Event: [`Event::Credited`].
        #[pallet::call_index(2)]
        #[pallet::weight(T::WeightInfo::credit(credits.leaves.len() as u32))]
        pub fn credit(origin: OriginFor<T>, batch: u64, credits: Range<CreditLeaf>) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_credit(batch, credits)
        }

        /// Commits to evidence against a batch; [`Config::ChallengeDeposit`] is held until it is judged.
        ///
        /// `commitment` is [`openledger_protocol::batches::commitment`].
        ///
        /// Origin: signed. Event: [`Event::Challenged`].
        #[pallet::call_index(3)]
        #[pallet::weight(T::WeightInfo::challenge())]
        pub fn challenge(origin: OriginFor<T>, batch: u64, commitment: Hash) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_challenge(who, batch, commitment)
        }

        /// Shows the evidence of a challenge and has it judged.
        ///
        /// Evidence that proves nothing costs the deposit.
        ///
        /// Origin: signed by the challenger. Event: [`Event::Condemned`] or [`Event::NotProven`].
        #[pallet::call_index(4)]
        #[pallet::weight(T::WeightInfo::prove(evidence.encoded_size() as u32))]
        pub fn prove(
            origin: OriginFor<T>,
            batch: u64,
            salt: Hash,
            evidence: Box<BatchEvidence>,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_prove(who, batch, salt, &evidence)
        }

        /// Ends a challenge whose evidence never came: its deposit is lost, unless the batch was proved wrong meanwhile.
        ///
        /// Origin: signed by anyone. Event: [`Event::Lapsed`].
        #[pallet::call_index(5)]
        #[pallet::weight(T::WeightInfo::lapse())]
        pub fn lapse(origin: OriginFor<T>, batch: u64, challenger: T::AccountId) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_lapse(batch, challenger)
        }

        /// Removes a finished batch that has been readable long enough; its worker gets the deposit back.
        ///
        /// Origin: signed by anyone. Event: [`Event::Forgotten`].
        #[pallet::call_index(6)]
        #[pallet::weight(T::WeightInfo::forget())]
        pub fn forget(origin: OriginFor<T>, batch: u64) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_forget(batch)
        }

        /// Commits to evidence against an index; [`Config::ChallengeDeposit`] is held until it is judged.
        ///
        /// `commitment` is [`openledger_protocol::disputes::index_commitment`].
        ///
        /// Origin: signed. Event: [`Event::IndexChallenged`].
        #[pallet::call_index(7)]
        #[pallet::weight(T::WeightInfo::challenge_index())]
        pub fn challenge_index(origin: OriginFor<T>, index: Hash, commitment: Hash) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_challenge_index(who, index, commitment)
        }

        /// Shows the evidence of a challenge of an index and has it judged.
        ///
        /// An index proved wrong costs its builder [`Config::IndexStake`], a quarter of it to the challenger; evidence that
        /// proves nothing costs the deposit.
        ///
        /// Origin: signed by the challenger. Event: [`Event::IndexVoided`] or [`Event::IndexNotProven`].
        #[pallet::call_index(8)]
        #[pallet::weight(T::WeightInfo::prove_index(evidence.encoded_size() as u32))]
        pub fn prove_index(
            origin: OriginFor<T>,
            index: Hash,
            salt: Hash,
            evidence: Box<IndexEvidence>,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_prove_index(who, index, &salt, &evidence)
        }

        /// Ends a challenge of an index whose evidence never came: its deposit is lost, unless the index was proved wrong
        /// meanwhile.
        ///
        /// Origin: signed by anyone. Event: [`Event::IndexLapsed`].
        #[pallet::call_index(9)]
        #[pallet::weight(T::WeightInfo::lapse_index())]
        pub fn lapse_index(origin: OriginFor<T>, index: Hash, challenger: T::AccountId) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_lapse_index(index, challenger)
        }

        /// Has the chain look whether an index is in use: one that is not retires, one that is again does not, and one that
        /// retired [`Config::IndexRetention`] blocks ago is closed and its builder's bond free of it.
        ///
        /// Origin: signed by anyone. Event: [`Event::IndexReviewed`]. Fails with [`Error::NothingToReview`].
        #[pallet::call_index(10)]
        #[pallet::weight(T::WeightInfo::review_index())]
        pub fn review_index(origin: OriginFor<T>, index: Hash) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_review_index(index)
        }

        /// Asks for a piece of what a worker or a builder committed to. [`Config::RevealPrice`] is held: the holder's when it
        /// answers within [`Config::RevealPeriod`] blocks, the sender's again when not.
        ///
        /// A batch can be asked about within its window; it then stays open until the answer and a challenge of it have had
        /// their time.
        ///
        /// Origin: signed. Event: [`Event::Requested`].
        #[pallet::call_index(11)]
        #[pallet::weight(T::WeightInfo::request_reveal())]
        pub fn request_reveal(origin: OriginFor<T>, source: Committed, wanted: Wanted) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_request_reveal(who, source, wanted)
        }

        /// Shows what was asked for; the price goes to the holder, whoever shows it.
        ///
        /// Origin: signed by anyone. Event: [`Event::Revealed`].
        #[pallet::call_index(12)]
        #[pallet::weight(T::WeightInfo::reveal(shown.encoded_size() as u32))]
        pub fn reveal(
            origin: OriginFor<T>,
            source: Committed,
            wanted: Wanted,
            shown: Box<Reveal>,
        ) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_reveal(source, wanted, &shown)
        }

        /// Ends a request whose time has passed: its price goes back, and what was withheld is condemned. If the batch or index
        /// was condemned for something else, a request ends at once.
        ///
        /// Origin: signed by anyone. Event: [`Event::RequestEnded`], and [`Event::Condemned`] or [`Event::IndexVoided`].
        #[pallet::call_index(13)]
        #[pallet::weight(T::WeightInfo::end_request())]
        pub fn end_request(origin: OriginFor<T>, source: Committed, wanted: Wanted) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_end_request(source, wanted)
        }

        /// Fixes what is drawn for a sampled batch, once it is out; from then the worker has [`Config::AnswerPeriod`] blocks.
        ///
        /// Origin: signed by anyone. Event: [`Event::Drawn`]. Fails with [`Error::NoDraw`], [`Error::NotDrawn`].
        #[pallet::call_index(14)]
        #[pallet::weight(T::WeightInfo::draw())]
        pub fn draw(origin: OriginFor<T>, batch: u64) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_draw(batch)
        }

        /// Answers the draws of a sampled batch; its window begins.
        ///
        /// Origin: signed by the batch's worker. Event: [`Event::DrawsAnswered`].
        #[pallet::call_index(15)]
        #[pallet::weight(T::WeightInfo::answer_draws())]
        pub fn answer_draws(origin: OriginFor<T>, batch: u64, credits: Box<CreditsHeader>) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_answer_draws(who, batch, *credits)
        }

        /// Ends the time for an answer that did not come: every draw is forfeited, and the batch's window begins.
        ///
        /// Origin: signed by anyone. Event: [`Event::DrawsAnswered`].
        #[pallet::call_index(16)]
        #[pallet::weight(T::WeightInfo::forfeit_draws())]
        pub fn forfeit_draws(origin: OriginFor<T>, batch: u64) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_forfeit_draws(batch)
        }

        /// Shows the question that was committed to with [`Pallet::challenge`] and puts it before a committee, whose members cost
        /// the sender if it is wrong. The batch is frozen until the committee is done; if that finds against the batch, it is
        /// condemned as by evidence.
        ///
        /// The commitment is [`openledger_protocol::committees::question_commitment`]. A question that the batch does not pose,
        /// or that the chain can judge by itself, costs the deposit.
        ///
        /// Origin: signed by the challenger. Event: [`Event::Asked`], [`Event::NotAsked`] or [`Event::AskedAlready`].
        #[pallet::call_index(17)]
        #[pallet::weight(T::WeightInfo::ask(question.encoded_size() as u32).saturating_add(T::HearingWeight::get()))]
        pub fn ask(
            origin: OriginFor<T>,
            batch: u64,
            salt: Hash,
            question: Box<BatchQuestion>,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_ask(who, batch, &salt, &question)
        }

        /// The same about an index, committed to with [`Pallet::challenge_index`]; the commitment is
        /// [`openledger_protocol::committees::index_question_commitment`].
        ///
        /// Origin: signed by the challenger. Event: [`Event::Asked`], [`Event::NotAsked`] or [`Event::AskedAlready`].
        #[pallet::call_index(18)]
        #[pallet::weight(T::WeightInfo::ask_index(question.encoded_size() as u32).saturating_add(T::HearingWeight::get()))]
        pub fn ask_index(
            origin: OriginFor<T>,
            index: Hash,
            salt: Hash,
            question: Box<IndexQuestion>,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_ask_index(who, index, &salt, &question)
        }

        /// Fixes what is drawn for a batch's audit, once it is out; from then there are [`Config::RevealPeriod`] blocks to show it.
        ///
        /// Origin: signed by anyone. Event: [`Event::AuditDrawn`]. Fails with [`Error::NoAudit`], [`Error::NotDrawn`].
        #[pallet::call_index(19)]
        #[pallet::weight(T::WeightInfo::draw_audit())]
        pub fn draw_audit(origin: OriginFor<T>, batch: u64) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_draw_audit(batch)
        }

        /// Shows what was drawn for a batch's audit; a committee recomputes it. Its members cost the worker's bond.
        ///
        /// Origin: signed by anyone. Event: [`Event::AuditShown`].
        #[pallet::call_index(20)]
        #[pallet::weight(T::WeightInfo::show_audit(audit.encoded_size() as u32).saturating_add(T::HearingWeight::get()))]
        pub fn show_audit(origin: OriginFor<T>, batch: u64, audit: Box<AuditProof>) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_show_audit(batch, &audit)
        }

        /// Ends an audit that was not shown in time: the batch is condemned.
        ///
        /// Origin: signed by anyone. Event: [`Event::Condemned`].
        #[pallet::call_index(21)]
        #[pallet::weight(T::WeightInfo::end_audit())]
        pub fn end_audit(origin: OriginFor<T>, batch: u64) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_end_audit(batch)
        }
    }
}

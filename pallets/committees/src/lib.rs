//! Workers that the chain draws to recompute what integers cannot judge.
//!
//! Whether a sketch is that of its text, or a model gives an answer, only floating point can tell. Whoever judges puts such a
//! question here ([`openledger_traits::Committees`]) and is told how it ended ([`openledger_traits::OnVerdict`]). What members do is
//! said in [`openledger_protocol::committees`]; this is what the chain does.
//!
//! **Seats.** [`Config::Size`] members are drawn by bond ([`draw_seats`]), one an owner, never a party of the dispute, from workers
//! that were members with that bond before it began. The draw reads at most [`Config::MaxMembers`]. A seat puts
//! [`Config::SeatStake`] of its worker's bond behind it, so nobody leaves one.
//!
//! **Votes.** A member commits to its vote and to what it computed before anybody shows anything, and the commitment names its
//! account. When it reveals, the chain compares what it computed with the claim by itself: a vote is what the numbers say. Votes
//! against the claim count together only if they computed the same, by the same tolerances. So a verdict against somebody needs a
//! quorum that agrees on what would have been right.
//!
//! **Two rounds.** Without a quorum twice as many others are drawn, who decide by twice the quorum. If they do not either, or there
//! are too few, the case is frozen, with everything that waits for it, until a referendum decides. Only an audit that nobody
//! disputes ends without a verdict when there are too few for its first round.
//!
//! **Money.** The payer's deposit covers every seat of both rounds; what is not needed goes back, and the accused that loses pays
//! back the rest. For an audit the payer's bond pays. Members on the side that won get [`Config::SeatPrice`]. Silence costs
//! [`Config::Silence`], a vote against what was decided or bytes that contradict it the stake. All of that goes to the treasury:
//! nobody gains by another's slash.

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
mod impls;
mod invariants;
#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;
pub mod weights;

use alloc::{boxed::Box, vec::Vec};
use frame_support::{
    traits::{
        fungible::{Inspect, Mutate, MutateHold},
        Get,
    },
    BoundedVec,
};
use openledger_attribution::{
    committee::{Computed, Vote},
    hash::{Account, Hash},
};
use openledger_protocol::committees::{
    Case, CaseStage, Ending, MaxBytes, MaxSeatsOf, Membership, Progress, Subject,
};
use openledger_traits::{Attesters, Bonds, Draws, OnVerdict};

/// What the benchmarks need of the chain around them.
#[cfg(feature = "runtime-benchmarks")]
pub trait BenchmarkHelper<AccountId> {
    /// Worker number `n`, which attests and has much bond.
    fn attester(n: u32) -> AccountId;
    /// What is committed in this epoch is drawn for.
    fn draw(epoch: u64);
}

// The macro's own code expects what it has just checked.
#[allow(clippy::expect_used)]
#[frame_support::pallet]
pub mod pallet {
    use super::*;
    use frame_support::{pallet_prelude::*, traits::EnsureOrigin};
    use frame_system::pallet_prelude::*;
    use sp_runtime::traits::Convert;

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config:
        frame_system::Config<RuntimeEvent: From<Event<Self>>, AccountId: Into<Account> + From<Account>>
    {
        /// OPEN, for what members cost.
        type Currency: Mutate<Self::AccountId, Balance = u128>
            + MutateHold<Self::AccountId, Reason = Self::RuntimeHoldReason>;
        /// The runtime's reasons to hold money.
        type RuntimeHoldReason: From<HoldReason>;
        /// The workers that can be members.
        type Attesters: Attesters<Self::AccountId>;
        /// Their bonds.
        type Bonds: Bonds<Self::AccountId>;
        /// Who is behind an account: of these nobody has two seats.
        type Owner: Convert<Self::AccountId, Self::AccountId>;
        /// What draws the seats.
        type Draws: Draws;
        /// Who is told how a case ended.
        type OnVerdict: OnVerdict<Self::AccountId>;
        /// What that costs at most.
        type VerdictWeight: Get<Weight>;
        /// Decides frozen cases.
        type DecideOrigin: EnsureOrigin<Self::RuntimeOrigin>;
        /// Seats of a first round; at most [`MAX_SIZE`](openledger_protocol::committees::MAX_SIZE) count.
        type Size: Get<u32>;
        /// Votes that decide a first round; more than half of the seats in any case.
        type Quorum: Get<u32>;
        /// Planck that a member on the side that won is paid.
        type SeatPrice: Get<u128>;
        /// Planck of a member's bond that stand behind its seat, and what a vote against the verdict costs.
        type SeatStake: Get<u128>;
        /// Planck that silence costs; at most the stake.
        type Silence: Get<u128>;
        /// Blocks to recompute a sketch, ranks or an answer.
        type CommitPeriod: Get<BlockNumberFor<Self>>;
        /// Blocks to recompute bases or a training.
        type LongCommitPeriod: Get<BlockNumberFor<Self>>;
        /// Blocks to reveal.
        type RevealPeriod: Get<BlockNumberFor<Self>>;
        /// Most members: a draw reads all of them.
        #[pallet::constant]
        type MaxMembers: Get<u32>;
        /// Weights of this pallet.
        type WeightInfo: WeightInfo;
        /// What benchmarks need.
        #[cfg(feature = "runtime-benchmarks")]
        type BenchmarkHelper: crate::BenchmarkHelper<Self::AccountId>;
    }

    /// Why money is held.
    #[pallet::composite_enum]
    pub enum HoldReason {
        /// What the members of a case cost.
        Seats,
    }

    /// The workers that may be drawn.
    #[pallet::storage]
    pub type Members<T: Config> = CountedStorageMap<_, Twox64Concat, T::AccountId, Membership>;

    /// The cases that members sit in.
    #[pallet::storage]
    pub type SeatsOf<T: Config> =
        StorageMap<_, Twox64Concat, T::AccountId, BoundedVec<u64, MaxSeatsOf>, ValueQuery>;

    /// The next case.
    #[pallet::storage]
    pub type NextCase<T: Config> = StorageValue<_, u64, ValueQuery>;

    /// The cases that have not ended.
    #[pallet::storage]
    pub type Cases<T: Config> = StorageMap<_, Twox64Concat, u64, Case<T::AccountId>>;

    /// What is claimed in them: SCALE of a [`Claim`](openledger_attribution::committee::Claim).
    #[pallet::storage]
    pub type Claims<T: Config> = StorageMap<_, Twox64Concat, u64, BoundedVec<u8, MaxBytes>>;

    /// What members computed that is not what is claimed: SCALE of a [`Computed`], numbered from 1.
    #[pallet::storage]
    pub type Answers<T: Config> =
        StorageDoubleMap<_, Twox64Concat, u64, Twox64Concat, u8, BoundedVec<u8, MaxBytes>>;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A worker may be drawn from now on, or changed its key.
        Joined {
            /// The worker.
            member: T::AccountId,
            /// X25519 key that private text is sealed for.
            key: [u8; 32],
        },
        /// A worker is drawn no more.
        Left {
            /// Who it was.
            member: T::AccountId,
        },
        /// Something was put before a committee.
        Opened {
            /// The case.
            case: u64,
            /// What is asked.
            subject: Subject,
            /// Whose claim it is.
            accused: T::AccountId,
            /// Planck held for its members.
            held: u128,
        },
        /// The seats of a round were drawn.
        Seated {
            /// The case.
            case: u64,
            /// The round.
            round: u8,
            /// Who sits.
            members: Vec<T::AccountId>,
            /// Last block to commit.
            until: u32,
        },
        /// What was drawn for a case is forgotten: it waits for another draw.
        DrawnAgain {
            /// The case.
            case: u64,
            /// The epoch that it waits for.
            epoch: u64,
        },
        /// A member committed.
        Committed {
            /// The case.
            case: u64,
            /// Who.
            member: T::AccountId,
        },
        /// A member revealed.
        Revealed {
            /// The case.
            case: u64,
            /// Who.
            member: T::AccountId,
            /// What came of it.
            progress: Progress,
        },
        /// A round had no quorum: twice as many will be drawn.
        NoQuorum {
            /// The case.
            case: u64,
            /// The next round.
            round: u8,
        },
        /// A referendum has to decide: there are too few members, or they did not agree twice.
        Frozen {
            /// The case.
            case: u64,
            /// What is asked.
            subject: Subject,
        },
        /// A case ended.
        Ended {
            /// The case.
            case: u64,
            /// What is asked.
            subject: Subject,
            /// How.
            ending: Ending,
            /// Planck that members were paid.
            paid: u128,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// This account is no worker that attests: register one with `compute.register`, with that capability.
        NotAttester,
        /// This account is no member; a worker becomes one with `join`.
        NotMember,
        /// As many members as there can be have joined; try again when one has left.
        TooManyMembers,
        /// It sits in a case: that has to end first.
        Sits,
        /// It is a worker that attests: only itself can leave.
        StillAttester,
        /// There is no such case, or it has ended.
        NoCase,
        /// The case is not at the point where this can be done.
        WrongStage,
        /// What draws the seats is not out yet.
        NotDrawn,
        /// This account has no seat in this round of the case.
        NotSeated,
        /// It has committed already.
        CommittedAlready,
        /// It has not committed, or revealed already.
        NothingToReveal,
        /// Vote, computed bytes and salt are not what was committed to.
        OtherCommitment,
        /// The time to commit or to reveal has passed.
        TooLate,
        /// Members can still reveal.
        TooEarly,
        /// A claim, or what a member computed, has more bytes than a case keeps.
        TooLong,
        /// A sum or a number does not fit.
        Overflow,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn integrity_test() {
            assert!(
                Self::measure() == (T::Size::get(), T::Quorum::get()),
                "committees: there are no such committees; a quorum is more than half of at most `MAX_SIZE` seats"
            );
            assert!(
                T::Silence::get() <= T::SeatStake::get(),
                "committees: silence costs more than stands behind a seat"
            );
            assert!(
                T::SeatPrice::get() >= T::Currency::minimum_balance(),
                "committees: the price of a seat is too small for an account to be paid it"
            );
            assert!(T::MaxMembers::get() > 0, "committees: nobody can be a member");
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Lets the sender be drawn for committees from now on; `key` is the X25519 key that private text is sealed for. A
        /// member changes its key with it.
        ///
        /// Origin: signed by a worker that attests. Event: [`Event::Joined`].
        #[pallet::call_index(0)]
        #[pallet::weight(T::WeightInfo::join())]
        pub fn join(origin: OriginFor<T>, key: [u8; 32]) -> DispatchResult {
            let member = ensure_signed(origin)?;
            Self::do_join(member, key)
        }

        /// Lets the sender be drawn no more. It must sit in no case.
        ///
        /// Origin: signed by a member. Event: [`Event::Left`].
        #[pallet::call_index(1)]
        #[pallet::weight(T::WeightInfo::leave())]
        pub fn leave(origin: OriginFor<T>) -> DispatchResult {
            let member = ensure_signed(origin)?;
            Self::remove(member)
        }

        /// Strikes out a member that is no worker any more, or attests no more.
        ///
        /// Origin: signed by anyone. Event: [`Event::Left`].
        #[pallet::call_index(2)]
        #[pallet::weight(T::WeightInfo::strike())]
        pub fn strike(origin: OriginFor<T>, member: T::AccountId) -> DispatchResult {
            ensure_signed(origin)?;
            ensure!(!T::Attesters::attests(&member), Error::<T>::StillAttester);
            Self::remove(member)
        }

        /// Fills the seats of a case once they are drawn. With too few members the case is frozen; an audit ends.
        ///
        /// Origin: signed by anyone. Event: [`Event::Seated`], [`Event::Frozen`] or [`Event::Ended`]. Fails with
        /// [`Error::NotDrawn`].
        #[pallet::call_index(3)]
        #[pallet::weight(T::WeightInfo::seat(T::MaxMembers::get()).saturating_add(T::VerdictWeight::get()))]
        pub fn seat(origin: OriginFor<T>, case: u64) -> DispatchResultWithPostInfo {
            ensure_signed(origin)?;
            let members = Members::<T>::count();
            let has_ended = Self::do_seat(case)?;
            let weight = T::WeightInfo::seat(members);
            let told = if has_ended {
                T::VerdictWeight::get()
            } else {
                Weight::zero()
            };
            Ok(Some(weight.saturating_add(told)).into())
        }

        /// Commits to a vote and to what the sender computed: [`vote_hash`](openledger_attribution::committee::vote_hash).
        ///
        /// Origin: signed by a member with a seat. Event: [`Event::Committed`].
        #[pallet::call_index(4)]
        #[pallet::weight(T::WeightInfo::commit())]
        pub fn commit(origin: OriginFor<T>, case: u64, commitment: Hash) -> DispatchResult {
            let member = ensure_signed(origin)?;
            Self::do_commit(member, case, commitment)
        }

        /// Reveals what the sender committed to.
        ///
        /// Origin: signed by a member that committed. Event: [`Event::Revealed`].
        #[pallet::call_index(5)]
        #[pallet::weight(T::WeightInfo::reveal(computed.encoded_size() as u32))]
        pub fn reveal(
            origin: OriginFor<T>,
            case: u64,
            vote: Vote,
            computed: Box<Computed>,
            salt: Hash,
        ) -> DispatchResult {
            let member = ensure_signed(origin)?;
            Self::do_reveal(member, case, vote, &computed, &salt)
        }

        /// Ends a round whose members have all revealed, or whose time has passed: a verdict, another round, or a frozen case.
        ///
        /// Origin: signed by anyone. Event: [`Event::Ended`], [`Event::NoQuorum`] or [`Event::Frozen`].
        #[pallet::call_index(6)]
        #[pallet::weight(T::WeightInfo::close().saturating_add(T::VerdictWeight::get()))]
        pub fn close(origin: OriginFor<T>, case: u64) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_close(case)
        }

        /// Decides a frozen case.
        ///
        /// Origin: [`Config::DecideOrigin`], a referendum's. Event: [`Event::Ended`].
        #[pallet::call_index(7)]
        #[pallet::weight(T::WeightInfo::decide().saturating_add(T::VerdictWeight::get()))]
        pub fn decide(origin: OriginFor<T>, case: u64, vote: Vote) -> DispatchResult {
            T::DecideOrigin::ensure_origin(origin)?;
            Self::do_decide(case, vote)
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// The cases that a worker sits in: number, what is asked, where it stands, how far the worker is.
        pub fn seats(worker: T::AccountId) -> Vec<(u64, Subject, CaseStage, Progress)> {
            SeatsOf::<T>::get(&worker)
                .into_iter()
                .filter_map(|id| {
                    let case = Cases::<T>::get(id)?;
                    let seat = case.seats.iter().find(|seat| seat.member == worker)?;
                    Some((id, case.subject, case.stage, seat.progress))
                })
                .collect()
        }
    }
}

//! Datanets: pools of records, held as roots.
//!
//! No record is on the chain. A contributor reserves a contribution with a salted hash, so that nobody can copy what is still
//! pending or take its place, then shows its root: [`Pallet::reserve`], [`Pallet::contribute`]. Curators accept or reject it,
//! or, where nobody curates, a window passes: [`Pallet::accept`], [`Pallet::reject`], [`Pallet::mature`]. The owner publishes
//! versions, which never change: [`Pallet::publish`]. That a version holds only accepted records, all of them in order and each
//! under its contributor's name, is not checked here; anybody can prove the opposite with two paths in a tree.
//!
//! # Disputes
//!
//! Who can show that a version is out of order, holds a record that no accepted contribution has there, or names a
//! representative that is none, or that a contribution holds a record that somebody reserved earlier, first commits to the
//! evidence ([`Pallet::challenge`]) and shows it in a later block ([`Pallet::prove_version`], [`Pallet::prove_duplicate`]); the
//! verdict is `openledger_attribution`'s. Nothing new is trained on a version proved wrong. A duplicate is marked: a version
//! published later that holds a record of it is wrong by that.
//!
//! # Money
//!
//! Deposits are held: a Datanet's from its creator for as long as it is in the state, a reservation's from the contributor until
//! it is used or has run out, a contribution's until it is decided, a version's from its publisher until nobody can challenge it
//! any more. Only a lie that was proved costs a deposit, a quarter of it to the challenger and the rest to the treasury; and
//! evidence that proves nothing, or was never shown, costs the challenger's.

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

pub use disputes::MAX_CHALLENGES;
pub use pallet::*;
pub use weights::WeightInfo;

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod disputes;
mod impls;
#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;
mod try_state;
pub mod weights;

/// Largest weight that a curator gives a contribution, and what an open Datanet gives all.
pub const MAX_WEIGHT: u16 = 10_000;

// The macro's own code expects what it has just checked.
#[allow(clippy::expect_used)]
#[frame_support::pallet]
pub mod pallet {
    use super::WeightInfo;
    use alloc::boxed::Box;
    use frame_support::{pallet_prelude::*, traits::fungible::MutateHold};
    use frame_system::pallet_prelude::*;
    use openledger_attribution::{
        hash::{Account, Hash},
        tree::Root,
        verdict::{Doubt, Duplicate, Guilt, VersionEvidence},
    };
    use openledger_protocol::{
        batches::Challenge,
        datanets::{Contribution, Curation, Datanet, MaxCurators, Reservation, Version},
        disputes::{Disputed, VersionBond},
        Cid, Name,
    };
    use openledger_traits::{Ownership, Stakes};
    use sp_runtime::Perbill;

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
        /// Who owns a Datanet.
        type Ownership: Ownership<Self::AccountId>;
        /// Held for a Datanet, in planck.
        type DatanetDeposit: Get<u128>;
        /// Held for a reservation, in planck.
        type ReservationDeposit: Get<u128>;
        /// Held for a contribution until it is decided, in planck.
        type ContributionDeposit: Get<u128>;
        /// Blocks in which a reservation can be used.
        type ReservationPeriod: Get<BlockNumberFor<Self>>;
        /// Blocks after which anybody can have a contribution to an open Datanet accepted.
        type CurationWindow: Get<BlockNumberFor<Self>>;
        /// Held from the publisher of a version until it can be challenged no more, in planck; what a lie about it costs.
        type VersionDeposit: Get<u128>;
        /// Blocks in which a version can be challenged.
        type VersionWindow: Get<BlockNumberFor<Self>>;
        /// Held from a challenger until its evidence is judged, in planck.
        type ChallengeDeposit: Get<u128>;
        /// Blocks from a challenge to the last in which its evidence can be shown.
        type ProvePeriod: Get<BlockNumberFor<Self>>;
        /// Gets what is lost.
        type Treasury: Get<Self::AccountId>;
        /// OPEN behind Datanets, which is frozen while a version is disputed.
        type Stakes: Stakes<Self::AccountId>;
        /// Part of what is staked behind a Datanet that a version proved wrong costs.
        type StakeSlash: Get<Perbill>;
        /// Most records of a contribution.
        #[pallet::constant]
        type MaxRecords: Get<u32>;
        /// Most bytes of a record on average.
        #[pallet::constant]
        type MaxRecordBytes: Get<u32>;
        /// Weights of this pallet.
        type WeightInfo: WeightInfo;
    }

    /// The next Datanet.
    #[pallet::storage]
    pub type NextDatanet<T: Config> = StorageValue<_, u64, ValueQuery>;

    /// Datanets.
    #[pallet::storage]
    pub type Datanets<T: Config> = StorageMap<_, Twox64Concat, u64, Datanet<T::AccountId>>;

    /// Reservations by what was committed to: keccak(account ‖ Datanet ‖ salt ‖ hash of the root).
    #[pallet::storage]
    pub type Reservations<T: Config> = StorageMap<_, Twox64Concat, Hash, Reservation<T::AccountId>>;

    /// The next contribution.
    #[pallet::storage]
    pub type NextContribution<T: Config> = StorageValue<_, u64, ValueQuery>;

    /// Contributions.
    #[pallet::storage]
    pub type Contributions<T: Config> = StorageMap<_, Twox64Concat, u64, Contribution<T::AccountId>>;

    /// Versions of a Datanet.
    #[pallet::storage]
    pub type Versions<T: Config> = StorageDoubleMap<_, Twox64Concat, u64, Twox64Concat, u32, Version>;

    /// What stands behind versions.
    #[pallet::storage]
    pub type VersionBonds<T: Config> =
        StorageDoubleMap<_, Twox64Concat, u64, Twox64Concat, u32, VersionBond<T::AccountId>>;

    /// Contributions proved to hold a record that was reserved earlier, and since which block that is known.
    #[pallet::storage]
    pub type Duplicates<T: Config> = StorageMap<_, Twox64Concat, u64, u32>;

    /// Challenges that are not decided, by what they are about and challenger.
    #[pallet::storage]
    pub type Challenges<T: Config> =
        StorageDoubleMap<_, Twox64Concat, Disputed, Twox64Concat, T::AccountId, Challenge>;

    /// How many challenges are not decided.
    #[pallet::storage]
    pub type ChallengeCounts<T: Config> = StorageMap<_, Twox64Concat, Disputed, u32, ValueQuery>;

    /// What amounts are held for.
    #[pallet::composite_enum]
    pub enum HoldReason {
        /// A Datanet's place in the state.
        Datanet,
        /// A reservation that is not used yet.
        Reservation,
        /// A contribution that is not decided yet.
        Contribution,
        /// A version that can be challenged.
        Version,
        /// Challenges that are not decided.
        Challenge,
    }

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A Datanet was created.
        Created {
            /// The Datanet.
            datanet: u64,
            /// Its creator and first owner.
            who: T::AccountId,
        },
        /// A contribution was reserved.
        Reserved {
            /// What was committed to.
            commitment: Hash,
            /// Who reserved.
            who: T::AccountId,
            /// Last block in which it can be used.
            expires: u32,
        },
        /// A contribution came in.
        Contributed {
            /// The contribution.
            contribution: u64,
            /// Its Datanet.
            datanet: u64,
            /// Who brought it.
            who: T::AccountId,
            /// How many records.
            records: u64,
            /// How many bytes in all.
            bytes: u128,
        },
        /// A contribution was accepted.
        Accepted {
            /// The contribution.
            contribution: u64,
            /// The curator; nobody, if its window passed.
            curator: Option<T::AccountId>,
            /// Its weight, from 1 to [`MAX_WEIGHT`](crate::MAX_WEIGHT).
            weight: u16,
        },
        /// A contribution was rejected.
        Rejected {
            /// The contribution.
            contribution: u64,
            /// The curator.
            curator: T::AccountId,
        },
        /// A version was published.
        Published {
            /// The Datanet.
            datanet: u64,
            /// The version.
            version: u32,
            /// Who published it.
            who: T::AccountId,
            /// Hash of its root.
            records: Hash,
        },
        /// A reservation ran out; its deposit went back.
        Released {
            /// What was committed to.
            commitment: Hash,
            /// Who had reserved.
            who: T::AccountId,
            /// Planck.
            deposit: u128,
        },
        /// Somebody says that a version or a contribution is wrong and will show it.
        Challenged {
            /// Which.
            about: Disputed,
            /// Who.
            challenger: T::AccountId,
            /// Last block in which the evidence can be shown.
            until: u32,
        },
        /// A version or a contribution was proved wrong.
        Proved {
            /// Which.
            about: Disputed,
            /// Of what.
            guilt: Guilt,
            /// Who proved it.
            challenger: T::AccountId,
            /// Its publisher or contributor.
            guilty: T::AccountId,
            /// What the guilty lost, in planck.
            lost: u128,
        },
        /// Evidence proved nothing; its challenger lost the deposit.
        NotProven {
            /// About what.
            about: Disputed,
            /// Who.
            challenger: T::AccountId,
            /// Why.
            doubt: Doubt,
            /// Planck lost.
            lost: u128,
        },
        /// A challenge ended without evidence.
        Lapsed {
            /// About what.
            about: Disputed,
            /// Whose.
            challenger: T::AccountId,
            /// Planck lost: none if somebody else proved the same wrong first.
            lost: u128,
        },
        /// Nobody can challenge a version any more; its deposit went back.
        VersionFreed {
            /// The Datanet.
            datanet: u64,
            /// The version.
            version: u32,
            /// Its publisher.
            who: T::AccountId,
            /// Planck.
            deposit: u128,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// The name is empty, not UTF-8 or has control characters: choose one that can be shown.
        BadName,
        /// The licence is empty, not UTF-8 or has control characters: give its SPDX identifier.
        BadLicence,
        /// The list of curators is empty or names one twice: name each once, or let curation be open.
        BadCurators,
        /// No Datanet has this number: see `NextDatanet` for how many there are.
        UnknownDatanet,
        /// This commitment is reserved already: use it, or choose another salt.
        AlreadyReserved,
        /// Nothing is reserved for this account, Datanet, salt and root: reserve their hash first, or correct one of them.
        NotReserved,
        /// Somebody else reserved this commitment, by copying it: choose another salt and reserve again.
        ReservedByAnother,
        /// The reservation has run out: release it and reserve again.
        ReservationExpired,
        /// The reservation can still be used: release it after the block in which it runs out.
        ReservationLive,
        /// There is no such reservation: it was used or released, or the commitment is another.
        UnknownReservation,
        /// The root is empty, or no tree of records has it: it needs at least one record, and in a contribution every record
        /// at least one byte.
        ImpossibleRoot,
        /// The contribution has more than `MaxRecords` records: cut it in several.
        TooManyRecords,
        /// The records are longer on average than `MaxRecordBytes`: cut them.
        RecordsTooLong,
        /// Without a CID nobody can fetch the records: give one.
        NoCid,
        /// No contribution has this number: see `NextContribution` for how many there are.
        UnknownContribution,
        /// The contribution was accepted or rejected before: nothing is left to decide.
        AlreadyDecided,
        /// Only a curator of the Datanet decides; if it has none, `mature` accepts when the window has passed.
        NotCurator,
        /// The weight is 0 or more than 10,000: choose one between.
        BadWeight,
        /// The Datanet has curators: one of them has to accept.
        Curated,
        /// The window has not passed: wait until `CurationWindow` blocks after the contribution came in.
        WindowOpen,
        /// Only the Datanet's owner publishes: ask the holder of its item.
        NotOwner,
        /// The parent is no version of this Datanet: name one below `versions`, or none.
        UnknownParent,
        /// No number is left: the chain cannot hold more of these.
        NoNumberLeft,
        /// The Datanet has no such version, or it was published when versions could not be challenged.
        UnknownVersion,
        /// It was proved wrong before: nothing is left to dispute.
        AlreadyProved,
        /// The version's deposit went back: nobody answers for it any more.
        NothingBehind,
        /// This account has a challenge of it already: show its evidence, or let it lapse.
        ChallengeExists,
        /// As many challenges of it as there may be are not decided: wait for one.
        TooManyChallenges,
        /// There is no such challenge: make one first.
        NoChallenge,
        /// Evidence is shown in a later block than its challenge was made in.
        SameBlock,
        /// The evidence is not what was committed to.
        OtherEvidence,
        /// The window, or the time for evidence, has not passed, or a challenge is not decided.
        TooEarly,
        /// The window, or the time for evidence, has passed.
        TooLate,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn integrity_test() {
            assert!(
                T::MaxRecords::get() > 0 && T::MaxRecordBytes::get() > 0,
                "datanets: a contribution of no record, or records of no byte, are all that could be contributed"
            );
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Creates a Datanet owned by the sender.
        ///
        /// `licence` is an SPDX identifier. [`Config::DatanetDeposit`] is held from the sender. Event: [`Event::Created`].
        /// Fails with [`Error::BadName`], [`Error::BadLicence`], [`Error::BadCurators`], or if the sender has too little.
        #[pallet::call_index(0)]
        #[pallet::weight(T::WeightInfo::create(<MaxCurators as Get<u32>>::get()))]
        pub fn create(
            origin: OriginFor<T>,
            name: Name,
            licence: Name,
            curation: Curation<T::AccountId>,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_create(who, name, licence, curation)
        }

        /// Reserves a contribution by the hash that
        /// [`reservation`](openledger_attribution::record::reservation) makes of it.
        ///
        /// [`Config::ReservationDeposit`] is held until the reservation is used or released. Event: [`Event::Reserved`]. Fails
        /// with [`Error::AlreadyReserved`], or if the sender has too little.
        #[pallet::call_index(1)]
        #[pallet::weight(T::WeightInfo::reserve())]
        pub fn reserve(origin: OriginFor<T>, commitment: Hash) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_reserve(who, commitment)
        }

        /// Contributes what the sender reserved with this salt: the root of a tree of
        /// [`RecordLeaf`](openledger_attribution::record::RecordLeaf)s, and where the records are.
        ///
        /// The reservation's deposit becomes the contribution's. Event: [`Event::Contributed`]. Fails with
        /// [`Error::UnknownDatanet`], [`Error::NotReserved`], [`Error::ReservedByAnother`], [`Error::ReservationExpired`],
        /// [`Error::ImpossibleRoot`], [`Error::TooManyRecords`], [`Error::RecordsTooLong`], [`Error::NoCid`].
        #[pallet::call_index(2)]
        #[pallet::weight(T::WeightInfo::contribute())]
        pub fn contribute(
            origin: OriginFor<T>,
            datanet: u64,
            salt: Hash,
            records: Root,
            cid: Cid,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_contribute(who, datanet, &salt, records, cid)
        }

        /// A curator accepts a contribution with a weight from 1 to 10,000; its deposit goes back.
        ///
        /// Event: [`Event::Accepted`]. Fails with [`Error::UnknownContribution`], [`Error::NotCurator`],
        /// [`Error::AlreadyDecided`], [`Error::BadWeight`].
        #[pallet::call_index(3)]
        #[pallet::weight(T::WeightInfo::accept())]
        pub fn accept(origin: OriginFor<T>, contribution: u64, weight: u16) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_accept(who, contribution, weight)
        }

        /// A curator rejects a contribution; its deposit goes back.
        ///
        /// Event: [`Event::Rejected`]. Fails with [`Error::UnknownContribution`], [`Error::NotCurator`],
        /// [`Error::AlreadyDecided`].
        #[pallet::call_index(4)]
        #[pallet::weight(T::WeightInfo::reject())]
        pub fn reject(origin: OriginFor<T>, contribution: u64) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_reject(who, contribution)
        }

        /// Anyone has a contribution to an open Datanet accepted, with the whole weight, once its window has passed.
        ///
        /// Event: [`Event::Accepted`]. Fails with [`Error::UnknownContribution`], [`Error::Curated`],
        /// [`Error::AlreadyDecided`], [`Error::WindowOpen`].
        #[pallet::call_index(5)]
        #[pallet::weight(T::WeightInfo::mature())]
        pub fn mature(origin: OriginFor<T>, contribution: u64) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_mature(contribution)
        }

        /// The owner publishes a version: the root of a tree of
        /// [`VersionLeaf`](openledger_attribution::record::VersionLeaf)s, and where its list is.
        ///
        /// Event: [`Event::Published`]. Fails with [`Error::UnknownDatanet`], [`Error::NotOwner`], [`Error::UnknownParent`],
        /// [`Error::ImpossibleRoot`], [`Error::NoCid`].
        #[pallet::call_index(6)]
        #[pallet::weight(T::WeightInfo::publish())]
        pub fn publish(
            origin: OriginFor<T>,
            datanet: u64,
            parent: Option<u32>,
            records: Root,
            cid: Cid,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_publish(who, datanet, parent, records, cid)
        }

        /// Anyone removes a reservation that has run out; its deposit goes back to whoever made it.
        ///
        /// Event: [`Event::Released`]. Fails with [`Error::UnknownReservation`], [`Error::ReservationLive`].
        #[pallet::call_index(7)]
        #[pallet::weight(T::WeightInfo::release())]
        pub fn release(origin: OriginFor<T>, commitment: Hash) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_release(commitment)
        }

        /// Commits to evidence about a version or a contribution; [`Config::ChallengeDeposit`] is held until it is judged.
        ///
        /// `commitment` is [`version_commitment`](openledger_protocol::disputes::version_commitment) or
        /// [`duplicate_commitment`](openledger_protocol::disputes::duplicate_commitment). Event: [`Event::Challenged`]. Fails
        /// with [`Error::UnknownVersion`], [`Error::UnknownContribution`], [`Error::AlreadyProved`], [`Error::TooLate`],
        /// [`Error::ChallengeExists`], [`Error::TooManyChallenges`], or if the sender has too little.
        #[pallet::call_index(8)]
        #[pallet::weight(T::WeightInfo::challenge())]
        pub fn challenge(origin: OriginFor<T>, about: Disputed, commitment: Hash) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_challenge(who, about, commitment)
        }

        /// Shows the evidence of a challenge of a version and has it judged.
        ///
        /// A version proved wrong costs its publisher the deposit, evidence that proves nothing the challenger's. Event:
        /// [`Event::Proved`] or [`Event::NotProven`]. Fails with [`Error::NoChallenge`], [`Error::SameBlock`],
        /// [`Error::TooLate`], [`Error::OtherEvidence`], [`Error::AlreadyProved`].
        #[pallet::call_index(9)]
        #[pallet::weight(T::WeightInfo::prove_version(evidence.encoded_size() as u32))]
        pub fn prove_version(
            origin: OriginFor<T>,
            datanet: u64,
            version: u32,
            salt: Hash,
            evidence: Box<VersionEvidence>,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_prove_version(who, (datanet, version), &salt, &evidence)
        }

        /// Shows the evidence of a challenge of a contribution and has it judged: two records with the same content, the other
        /// reserved earlier.
        ///
        /// A duplicate that is not decided yet costs its deposit and is rejected; any is marked. Event: [`Event::Proved`] or
        /// [`Event::NotProven`]. Fails as [`Self::prove_version`] does.
        #[pallet::call_index(10)]
        #[pallet::weight(T::WeightInfo::prove_duplicate(evidence.encoded_size() as u32))]
        pub fn prove_duplicate(origin: OriginFor<T>, salt: Hash, evidence: Box<Duplicate>) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_prove_duplicate(who, &salt, &evidence)
        }

        /// Ends a challenge whose evidence never came: its deposit is lost, unless the same was proved wrong meanwhile.
        ///
        /// Event: [`Event::Lapsed`]. Fails with [`Error::NoChallenge`], [`Error::TooEarly`].
        #[pallet::call_index(11)]
        #[pallet::weight(T::WeightInfo::lapse())]
        pub fn lapse(origin: OriginFor<T>, about: Disputed, challenger: T::AccountId) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_lapse(about, challenger)
        }

        /// Gives back the deposit of a version whose window has passed.
        ///
        /// Event: [`Event::VersionFreed`]. Fails with [`Error::UnknownVersion`], [`Error::AlreadyProved`],
        /// [`Error::NothingBehind`], [`Error::TooEarly`].
        #[pallet::call_index(12)]
        #[pallet::weight(T::WeightInfo::free_version())]
        pub fn free_version(origin: OriginFor<T>, datanet: u64, version: u32) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_free_version(datanet, version)
        }
    }
}

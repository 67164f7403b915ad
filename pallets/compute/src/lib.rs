//! Workers, the bonds that make their word worth something, and the jobs that the chain gives them.
//!
//! | module | subject |
//! | --- | --- |
//! | [`jobs`] | ordering, drawing, delivering, being late |
//! | [`beats`] | signs of life |
//! | [`bonds`] | what stands behind what, and who gets what is taken |
//! | [`attesters`] | whose bond counts when a committee is drawn |
//! | [`hook`] | the off-chain side: asks the paired worker for results, signs and submits them |
//!
//! **Bonds.** A bond is held in its worker's account. Part of it can be *open*: behind work that is not closed yet, a batch in
//! its window or a job that runs. Another part can be on its way out. What is open cannot leave; everything can be slashed
//! until it is withdrawn. Whoever stakes behind a worker shares its fate: of what is staked a slash takes the same part as of
//! the bond.
//!
//! **Jobs.** Other pallets order work through [`openledger_traits::Jobs`]. Where no worker is named, one is drawn among the
//! capable, each as likely as its bond is large, by randomness that nobody knew when the work was ordered:
//!
//! ```text
//! workers    registered for the task, of the machine it asks for, seen within the silence that is allowed; the bond that is
//!            not on its way out reaches the minimum and has room for the stake
//! order      by account, each as wide as that bond
//! position   draw_position(drawn, "WRKR", keccak("job" ‖ id), attempt, sum of those bonds)
//! seed       keccak("seed" ‖ drawn)                      of a training, so that nobody chose it
//! ```
//!
//! `drawn` is [`Draws::drawn`](openledger_traits::Draws::drawn) for `b"job"`, the job and the epoch it waited in; numbers are
//! big-endian. While a worker is at it, [`Config::LateSlash`] of its bond is open. Is it late, it loses that, and a drawn job
//! goes to another if [`Config::MaxAttempts`] allows: every attempt but the last has half of the time that is left.
//!
//! **Heartbeats.** A worker that was not seen for [`Config::Silence`] blocks is given no job. Registering and delivering are
//! signs of life; in between the hook sends heartbeats, signed by the result key, as long as the worker's program answers it.
//! They are free: one for each worker in [`Config::BeatPeriod`] blocks, at most [`BEATS_PER_BLOCK`] in a block.
//!
//! **Results** come as general transactions without a fee, signed by the key that the worker registered. They may be sent
//! twice and count once: a job that was delivered is forgotten. A result that whoever ordered it refuses leaves the job as it
//! was, and the job takes no other for [`PAUSE`] blocks, so that free transactions cannot fill blocks.

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
pub use types::{Raise, Terms};
pub use weights::WeightInfo;

pub mod attesters;
pub mod beats;
#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
pub mod bonds;
pub mod hook;
mod invariants;
pub mod jobs;
#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;
mod types;
pub mod weights;

use frame_support::traits::{fungible, Get};
use frame_system::offchain::CreateAuthorizedTransaction;
use openledger_protocol::{
    compute::{Backend, Delivery, Heartbeat, Job, Worker},
    Endpoint, Name,
};
use openledger_traits::{Draws, OnOutcome, Stakes};
use sp_core::crypto::KeyTypeId;

/// What a node's keystore keeps result keys under; they are sr25519.
pub const RESULT_KEY: KeyTypeId = KeyTypeId(*b"olwk");

/// Jobs that are given out, and jobs that end late, in one block. The rest waits for the next.
pub const JOBS_PER_BLOCK: u32 = 4;

/// Heartbeats in one block; whose finds no room sends another.
pub const BEATS_PER_BLOCK: u32 = 50;

/// Blocks for which a job whose result was refused takes no other.
pub const PAUSE: u32 = 10;

/// Most bytes of a delivery. An index of a few hundred modules needs a tenth of it.
pub const MAX_DELIVERY: usize = 64 * 1024;

// The macro's own code expects what it has just checked.
#[allow(clippy::expect_used)]
#[frame_support::pallet]
pub mod pallet {
    use super::*;
    use frame_support::pallet_prelude::*;
    use frame_system::pallet_prelude::*;
    use openledger_protocol::compute::Task;
    use sp_runtime::SaturatedConversion;

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    /// The runtime's transactions must carry `frame_system::AuthorizeCall`.
    #[pallet::config]
    pub trait Config:
        frame_system::Config<RuntimeEvent: From<Event<Self>>, AccountId: From<[u8; 32]> + Into<[u8; 32]>>
        + CreateAuthorizedTransaction<Call<Self>>
    {
        /// The native currency.
        type Currency: fungible::Inspect<Self::AccountId, Balance = u128>
            + fungible::Mutate<Self::AccountId>
            + fungible::hold::Inspect<Self::AccountId, Reason = Self::RuntimeHoldReason>
            + fungible::hold::Mutate<Self::AccountId>;
        /// The runtime's reasons to hold money.
        type RuntimeHoldReason: From<HoldReason>;
        /// Gets what is slashed and no challenger's.
        type Treasury: Get<Self::AccountId>;
        /// OPEN behind workers, which shares their slashes.
        type Stakes: Stakes<Self::AccountId>;
        /// Randomness that draws workers.
        type Draws: Draws;
        /// Who ordered the work.
        type OnOutcome: OnOutcome<Self::AccountId>;
        /// What [`Config::OnOutcome`] costs at most, for one job.
        type OutcomeWeight: Get<Weight>;
        /// Planck that a bond must have to register and to be drawn.
        type MinBond: Get<u128>;
        /// Blocks that a part of a bond stays slashable after it was asked back; longer than a batch's window and the longest
        /// dispute together.
        type UnbondingPeriod: Get<u32>;
        /// Planck that being late with a job costs. A worker whose bond has no room for it is not drawn; one that is named
        /// stakes what room there is.
        type LateSlash: Get<u128>;
        /// Workers that a drawn job is given to, one after the other, before it fails; at least 1.
        #[pallet::constant]
        type MaxAttempts: Get<u32>;
        /// Most workers: a draw reads all of them.
        #[pallet::constant]
        type MaxWorkers: Get<u32>;
        /// Most jobs that are not delivered yet.
        #[pallet::constant]
        type MaxJobs: Get<u32>;
        /// Blocks from a sign of life to the next heartbeat.
        type BeatPeriod: Get<u32>;
        /// Blocks after its last sign of life for which a worker is still drawn; more than [`Config::BeatPeriod`].
        type Silence: Get<u32>;
        /// Priority of results in the pool.
        #[pallet::constant]
        type DeliveryPriority: Get<TransactionPriority>;
        /// Weights of this pallet.
        type WeightInfo: WeightInfo;
    }

    /// Why money is held.
    #[pallet::composite_enum]
    pub enum HoldReason {
        /// A worker's bond.
        Bond,
    }

    /// The workers.
    #[pallet::storage]
    pub type Workers<T: Config> = CountedStorageMap<_, Twox64Concat, T::AccountId, Worker>;

    /// What workers added to their bonds lately.
    #[pallet::storage]
    pub type Raised<T: Config> = StorageMap<_, Twox64Concat, T::AccountId, Raise>;

    /// The next job.
    #[pallet::storage]
    pub type NextJob<T: Config> = StorageValue<_, u64, ValueQuery>;

    /// Jobs that are not delivered yet.
    #[pallet::storage]
    pub type Jobs<T: Config> = StorageMap<_, Twox64Concat, u64, Job<T::AccountId>>;

    /// What each of them was ordered under.
    #[pallet::storage]
    pub type JobTerms<T: Config> = StorageMap<_, Twox64Concat, u64, Terms<T::AccountId>>;

    /// Jobs that wait for a worker to be drawn, in the order of their epochs.
    #[pallet::storage]
    pub type Waiting<T: Config> = StorageValue<_, BoundedVec<u64, T::MaxJobs>, ValueQuery>;

    /// The deadline of every job's running attempt, and the job, in ascending order.
    #[pallet::storage]
    pub type Deadlines<T: Config> = StorageValue<_, BoundedVec<(u32, u64), T::MaxJobs>, ValueQuery>;

    /// The last block that had heartbeats, and how many.
    #[pallet::storage]
    pub type Beats<T: Config> = StorageValue<_, (u32, u32), ValueQuery>;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A worker registered with a bond of `bond` planck.
        Registered {
            /// The worker.
            worker: T::AccountId,
            /// Planck.
            bond: u128,
        },
        /// A worker added `amount` planck to its bond.
        Bonded {
            /// The worker.
            worker: T::AccountId,
            /// Planck.
            amount: u128,
        },
        /// `amount` planck of a bond can be withdrawn from block `until` on.
        Unbonding {
            /// The worker.
            worker: T::AccountId,
            /// Planck.
            amount: u128,
            /// Block.
            until: u32,
        },
        /// `amount` planck of a bond went back.
        Withdrawn {
            /// The worker.
            worker: T::AccountId,
            /// Planck.
            amount: u128,
        },
        /// Nothing is left of a bond, and no work is open: the worker is one no more.
        Left {
            /// Who it was.
            worker: T::AccountId,
        },
        /// A worker signs with other keys from now on.
        KeysChanged {
            /// The worker.
            worker: T::AccountId,
        },
        /// A worker is there.
        Seen {
            /// The worker.
            worker: T::AccountId,
        },
        /// A worker moved.
        EndpointChanged {
            /// The worker.
            worker: T::AccountId,
        },
        /// Work was ordered.
        Ordered {
            /// The job.
            job: u64,
            /// What is to be done.
            task: Task,
        },
        /// A job was given to a worker.
        Assigned {
            /// The job.
            job: u64,
            /// Its attempt.
            attempt: u32,
            /// The worker.
            worker: T::AccountId,
            /// Last block in which the result is accepted.
            deadline: u32,
        },
        /// A worker delivered, and the result was accepted.
        Delivered {
            /// The job, which is forgotten now.
            job: u64,
            /// Its attempt.
            attempt: u32,
            /// The worker.
            worker: T::AccountId,
        },
        /// A worker delivered, and whoever ordered the work refused the result. The job stays open.
        Refused {
            /// The job.
            job: u64,
            /// Its attempt.
            attempt: u32,
            /// What was wrong.
            error: DispatchError,
        },
        /// A worker did not deliver in time.
        Late {
            /// The job.
            job: u64,
            /// Its attempt.
            attempt: u32,
            /// The worker.
            worker: T::AccountId,
        },
        /// Nobody will deliver: the time is up, or no worker is capable.
        Failed {
            /// The job, which is forgotten now.
            job: u64,
        },
        /// A worker lost `amount` planck of its bond.
        Slashed {
            /// The worker.
            worker: T::AccountId,
            /// Planck.
            amount: u128,
            /// Planck of it that the challenger got; the treasury got the rest.
            rewarded: u128,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// This account is no worker; it can become one with `register`.
        NotWorker,
        /// This account is a worker already; add to its bond with `bondMore`, change its keys with `setKeys`.
        AlreadyWorker,
        /// The bond would be smaller than the least that a worker has: `MinBond`. A worker that wants to leave takes out all
        /// of it.
        BondTooSmall,
        /// As many workers as there can be are registered; try again when one has left.
        TooManyWorkers,
        /// The amount is 0.
        NothingToDo,
        /// That much of the bond is not free: part of it is open behind work that is not closed yet.
        BondInUse,
        /// Part of the bond is on its way out already; withdraw that first.
        AlreadyUnbonding,
        /// No part of the bond is on its way out; ask for it with `unbond`.
        NotUnbonding,
        /// The part of the bond that is on its way out can not be withdrawn yet.
        TooEarly,
        /// The kind of machine is not a text of printable ASCII characters.
        BadArch,
        /// The endpoint is not a URL that starts with `http://` or `https://`, has no spaces and does not end in a slash.
        BadEndpoint,
        /// The capabilities are 0 or hold bits that stand for nothing.
        BadCapabilities,
        /// As many jobs as there can be are open; try again when some are delivered.
        TooManyJobs,
        /// The deadline is not after this block.
        DeadlinePassed,
        /// The worker is not registered for this kind of work.
        NotCapable,
        /// There is no such job: it was delivered, it failed, or it never was.
        NoSuchJob,
        /// The job is not assigned to this worker in this attempt.
        NotAssigned,
        /// A result of this job was refused a moment ago; send another a few blocks later.
        Paused,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn on_initialize(now: BlockNumberFor<T>) -> Weight {
            Self::work(now.saturated_into())
        }

        fn offchain_worker(now: BlockNumberFor<T>) {
            hook::run::<T>(now.saturated_into());
        }

        fn integrity_test() {
            assert!(
                T::MaxAttempts::get() > 0 && T::MaxWorkers::get() > 0 && T::MaxJobs::get() > 0,
                "compute: with no attempt, no worker or no job there is no work"
            );
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Registers the sender as a worker with `bond` planck held from its account.
        ///
        /// `result_key` is in the keystore of the worker's node and signs results, `receipt_key` is the worker program's own
        /// and signs receipts; both are sr25519. `arch` says which kind of `backend` it is, `endpoint` where its public API
        /// is, `capabilities` what it does.
        ///
        /// Origin: signed. Event: [`Event::Registered`].
        #[pallet::call_index(0)]
        #[pallet::weight(T::WeightInfo::register())]
        #[allow(clippy::too_many_arguments)]
        pub fn register(
            origin: OriginFor<T>,
            bond: u128,
            result_key: [u8; 32],
            receipt_key: [u8; 32],
            backend: Backend,
            arch: Name,
            endpoint: Endpoint,
            capabilities: u8,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_register(
                &who,
                Worker {
                    bond,
                    open: 0,
                    unbonding: None,
                    result_key,
                    receipt_key,
                    backend,
                    arch,
                    endpoint,
                    capabilities,
                    seen: Self::now(),
                },
            )
        }

        /// Adds `amount` planck to the sender's bond.
        ///
        /// Origin: signed by a worker. Event: [`Event::Bonded`].
        #[pallet::call_index(1)]
        #[pallet::weight(T::WeightInfo::bond_more())]
        pub fn bond_more(origin: OriginFor<T>, amount: u128) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_bond_more(&who, amount)
        }

        /// Starts to take `amount` planck out of the sender's bond: it can be withdrawn [`Config::UnbondingPeriod`] blocks
        /// later and slashed until then. What is open stays; what is left is nothing or at least [`Config::MinBond`].
        ///
        /// Origin: signed by a worker. Event: [`Event::Unbonding`].
        #[pallet::call_index(2)]
        #[pallet::weight(T::WeightInfo::unbond())]
        pub fn unbond(origin: OriginFor<T>, amount: u128) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_unbond(&who, amount)
        }

        /// Takes out what has waited long enough. A worker of whose bond nothing is left is one no more.
        ///
        /// Origin: signed by a worker. Events: [`Event::Withdrawn`], [`Event::Left`].
        #[pallet::call_index(3)]
        #[pallet::weight(T::WeightInfo::withdraw())]
        pub fn withdraw(origin: OriginFor<T>) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_withdraw(&who)
        }

        /// Changes the keys that sign the sender's results and receipts. A result on its way that the old key signed is
        /// refused from now on.
        ///
        /// Origin: signed by a worker. Event: [`Event::KeysChanged`].
        #[pallet::call_index(4)]
        #[pallet::weight(T::WeightInfo::set_keys())]
        pub fn set_keys(origin: OriginFor<T>, result_key: [u8; 32], receipt_key: [u8; 32]) -> DispatchResult {
            let worker = ensure_signed(origin)?;
            Workers::<T>::try_mutate(&worker, |record| {
                let record = record.as_mut().ok_or(Error::<T>::NotWorker)?;
                record.result_key = result_key;
                record.receipt_key = receipt_key;
                Ok::<_, Error<T>>(())
            })?;
            Self::deposit_event(Event::KeysChanged { worker });
            Ok(())
        }

        /// Delivers a result.
        ///
        /// `signature` is by the worker's result key over [`Delivery::signing_message`]. A result that whoever ordered the
        /// work refuses leaves the job open.
        ///
        /// Origin: a general transaction, which needs no account and pays no fee; the pool has one for a job's attempt.
        /// Events: [`Event::Delivered`] or [`Event::Refused`].
        #[pallet::call_index(5)]
        #[pallet::weight(T::WeightInfo::deliver().saturating_add(T::OutcomeWeight::get()))]
        #[pallet::weight_of_authorize(T::WeightInfo::authorize_deliver())]
        #[pallet::authorize(Self::authorize_deliver)]
        pub fn deliver(
            origin: OriginFor<T>,
            delivery: Delivery,
            // Checked by `authorize` in the very state that this runs in.
            _signature: [u8; 64],
        ) -> DispatchResult {
            ensure_authorized(origin)?;
            Self::do_deliver(&delivery)
        }

        /// Says that a worker is there.
        ///
        /// `signature` is by the worker's result key over [`Heartbeat::signing_message`].
        ///
        /// Origin: a general transaction, which needs no account and pays no fee; the pool has one for a worker. Event:
        /// [`Event::Seen`].
        #[pallet::call_index(7)]
        #[pallet::weight(T::WeightInfo::heartbeat())]
        #[pallet::weight_of_authorize(T::WeightInfo::authorize_heartbeat())]
        #[pallet::authorize(Self::authorize_heartbeat)]
        pub fn heartbeat(
            origin: OriginFor<T>,
            beat: Heartbeat,
            // Checked by `authorize` in the very state that this runs in.
            _signature: [u8; 64],
        ) -> DispatchResult {
            ensure_authorized(origin)?;
            Self::do_heartbeat(&beat)
        }

        /// Changes where the sender's public API is.
        ///
        /// Origin: signed by a worker. Event: [`Event::EndpointChanged`].
        #[pallet::call_index(6)]
        #[pallet::weight(T::WeightInfo::set_endpoint())]
        pub fn set_endpoint(origin: OriginFor<T>, endpoint: Endpoint) -> DispatchResult {
            let worker = ensure_signed(origin)?;
            ensure!(bonds::is_url(&endpoint), Error::<T>::BadEndpoint);
            Workers::<T>::try_mutate(&worker, |record| {
                record.as_mut().ok_or(Error::<T>::NotWorker)?.endpoint = endpoint;
                Ok::<_, Error<T>>(())
            })?;
            Self::deposit_event(Event::EndpointChanged { worker });
            Ok(())
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// Planck of a worker's bond that can stand behind more work; nothing for who is no worker.
        pub fn room(worker: T::AccountId) -> Option<u128> {
            Workers::<T>::get(worker).map(|record| bonds::room(&record))
        }

        /// Whether a worker was seen recently enough to be given jobs.
        pub fn is_present(worker: T::AccountId) -> bool {
            Workers::<T>::get(worker).is_some_and(|record| record.seen >= Self::seen_since())
        }
    }
}

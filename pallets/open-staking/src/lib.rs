//! OPEN staked behind a worker, a model, a Datanet or an agent.
//!
//! Whoever stakes holds shares of that asset's pool. The pool's part of fees makes a share worth more, a slash makes it worth
//! less; both change one value, however many stake. The arithmetic, and what holds after every step of it, is in
//! [`openledger_protocol::staking`].
//!
//! All money is in one account, the *pot*: money that waited on hold in the stakers' accounts could not be slashed without
//! visiting each of them. The pot's balance is
//!
//! ```text
//! existential deposit + Σ (staked + leaving + streaming) over all pools + what the treasury has not taken yet
//!                       └────────────────── Held ───────────────────┘   └──────────── Due ────────────┘
//! ```
//!
//! and whatever strangers send there. Rounding favours the pool, so that a pool always holds a few planck more than its shares
//! are worth; they and what the virtual shares earned go to the treasury when its last staker has left.
//!
//! | from | to | by |
//! | --- | --- | --- |
//! | nothing | staked: earns, is slashed | [`Pallet::stake`] |
//! | staked | leaving: earns nothing, is slashed | [`Pallet::unstake`] |
//! | leaving, after [`Config::UnbondingPeriod`] | the staker's account | [`Pallet::withdraw`] |
//!
//! A pool is an entry of the state while somebody holds something of it. One that is slashed to zero ends at once; what is left
//! with its stakers is of an epoch that will not come again, worth nothing, and removed when they stake anew or by
//! [`Pallet::withdraw_for`]. The next stake opens the pool with another epoch.
//!
//! The pallet has no hooks. Other pallets pay and punish through [`openledger_traits::Stakes`].

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
mod stakes;
#[cfg(test)]
mod tests;
pub mod weights;

use frame_support::{
    traits::{
        fungible::{Inspect, Mutate},
        Contains, Get,
    },
    PalletId,
};
use openledger_protocol::staking::{Pool, PoolState, Staker, Worth};

/// Derives the pot.
pub const PALLET_ID: PalletId = PalletId(*b"op/stake");

/// What the benchmarks need of the chain around them.
#[cfg(feature = "runtime-benchmarks")]
pub trait BenchmarkHelper<AccountId> {
    /// A pool that [`Config::Exists`] knows. The dearest to look up.
    fn pool() -> Pool<AccountId>;
}

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
    pub trait Config: frame_system::Config<RuntimeEvent: From<Event<Self>>> {
        /// OPEN.
        type Currency: Mutate<Self::AccountId, Balance = u128>;
        /// Gets what is slashed, and income that nobody is staked for.
        type Treasury: Get<Self::AccountId>;
        /// Whether there is such a worker, model, Datanet or agent. Only new stakes ask.
        type Exists: Contains<Pool<Self::AccountId>>;
        /// Planck that must be staked at once at least, and that must stay unless all goes.
        type MinStake: Get<u128>;
        /// Blocks over which income is paid out.
        type IncomePeriod: Get<u32>;
        /// Blocks that stake stays slashable after it was asked back. Longer than any lie can stay undisputed and any dispute
        /// undecided, or whoever lies leaves first.
        type UnbondingPeriod: Get<u32>;
        /// Weights of this pallet.
        type WeightInfo: WeightInfo;
        /// What benchmarks need.
        #[cfg(feature = "runtime-benchmarks")]
        type BenchmarkHelper: BenchmarkHelper<Self::AccountId>;
    }

    /// The next opening of a pool.
    #[pallet::storage]
    pub type NextEpoch<T: Config> = StorageValue<_, u64, ValueQuery>;

    /// The pools that somebody holds something of.
    #[pallet::storage]
    pub type Pools<T: Config> = StorageMap<_, Twox64Concat, Pool<T::AccountId>, PoolState>;

    /// What an account holds of a pool.
    #[pallet::storage]
    pub type Stakers<T: Config> =
        StorageDoubleMap<_, Twox64Concat, Pool<T::AccountId>, Twox64Concat, T::AccountId, Staker>;

    /// How many disputes are open against a pool, whether it has stakers or not; no entry if none is.
    #[pallet::storage]
    pub type Frozen<T: Config> = StorageMap<_, Twox64Concat, Pool<T::AccountId>, u32>;

    /// Planck of the pot that are the pools'.
    #[pallet::storage]
    pub type Held<T: Config> = StorageValue<_, u128, ValueQuery>;

    /// Planck of the pot that are the treasury's and could not be paid to it: what an account cannot live on, while there is
    /// none.
    #[pallet::storage]
    pub type Due<T: Config> = StorageValue<_, u128, ValueQuery>;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// `who` staked.
        Staked {
            /// Where.
            pool: Pool<T::AccountId>,
            /// Whose stake.
            who: T::AccountId,
            /// Planck.
            amount: u128,
            /// Shares bought.
            shares: u128,
        },
        /// `who` asked for stake back.
        Unstaked {
            /// From where.
            pool: Pool<T::AccountId>,
            /// Whose stake.
            who: T::AccountId,
            /// Planck it is worth now.
            amount: u128,
            /// Shares given up.
            shares: u128,
            /// First block in which it can be withdrawn.
            until: u32,
        },
        /// `who` was paid stake that it had asked back.
        Withdrawn {
            /// From where.
            pool: Pool<T::AccountId>,
            /// Who got it.
            who: T::AccountId,
            /// Planck; zero if all of it was slashed.
            amount: u128,
        },
        /// A pool got income, for its stakers to earn.
        Earned {
            /// The pool.
            pool: Pool<T::AccountId>,
            /// Planck.
            amount: u128,
            /// First block in which all of what streams is the stakers'.
            end: u32,
        },
        /// A pool was slashed.
        Slashed {
            /// The pool.
            pool: Pool<T::AccountId>,
            /// Planck taken.
            amount: u128,
        },
        /// A pool has its first staker.
        Opened {
            /// The pool.
            pool: Pool<T::AccountId>,
            /// What all stakes in it are of until it ends.
            epoch: u64,
        },
        /// A pool ended: its last staker left, or it was slashed to zero and what anybody held of it is worth nothing.
        Closed {
            /// The pool.
            pool: Pool<T::AccountId>,
            /// The epoch that ended.
            epoch: u64,
        },
        /// A dispute against a pool began.
        Froze {
            /// The pool.
            pool: Pool<T::AccountId>,
            /// Open disputes.
            disputes: u32,
        },
        /// A dispute against a pool ended.
        Thawed {
            /// The pool.
            pool: Pool<T::AccountId>,
            /// Disputes still open.
            disputes: u32,
        },
        /// The treasury was paid what was slashed, and what nobody has a right to.
        Forfeited {
            /// Planck.
            amount: u128,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// There is no such worker, model, Datanet or agent to stake behind.
        NoSuchAsset,
        /// At least `MinStake` must be staked at once.
        TooLittle,
        /// What is left must be worth at least `MinStake`: take less, or all.
        LeavesTooLittle,
        /// The amount buys fewer shares than asked for: the price rose, or it is less than a share.
        TooFewShares,
        /// A dispute against the pool is open: wait until it has ended.
        Frozen,
        /// Slashes left less than a planck for a share: nobody can join until its stakers have left or it has earned.
        Spent,
        /// The account holds nothing of this pool, or only what ended with a former epoch of it; `withdraw` removes that.
        NotStaker,
        /// The account holds fewer shares; `stake_of` says how many.
        TooManyShares,
        /// Zero was asked for.
        NothingToDo,
        /// Too much is on its way out already: withdraw some first.
        TooManyLeaving,
        /// Nothing that was asked back has waited long enough; `until` says from which block on.
        NotYet,
        /// The income is not in the pot, or the ledger does not add up; nothing was changed.
        Ledger,
        /// A number would not fit; nothing was changed.
        Overflow,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        // Periods may be read from the state, which there is none of here: `try_state` looks at them.
        fn integrity_test() {
            assert!(
                T::MinStake::get() >= T::Currency::minimum_balance() && T::MinStake::get() > 0,
                "open-staking: the least stake is less than an account can live on, so it could not be paid back"
            );
            assert!(
                Self::pot_account() != T::Treasury::get(),
                "open-staking: the treasury is the pot, so what is slashed would stay in it"
            );
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Stakes in `pool`: buys as many whole shares as `amount` planck pay for, and takes what they cost, which is less than
        /// a share below it. Fails if they are fewer than `min_shares`, so that a price that moved costs nothing.
        ///
        /// Origin: signed. Event: [`Event::Staked`].
        #[pallet::call_index(0)]
        #[pallet::weight(T::WeightInfo::stake())]
        pub fn stake(
            origin: OriginFor<T>,
            pool: Pool<T::AccountId>,
            amount: u128,
            min_shares: u128,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_stake(who, pool, amount, min_shares)
        }

        /// Asks for what `shares` of `pool` are worth now. It stops earning at once, can be slashed until it is withdrawn, and can
        /// be withdrawn after [`Config::UnbondingPeriod`]. Also while the pool is frozen.
        ///
        /// Origin: signed. Event: [`Event::Unstaked`].
        #[pallet::call_index(1)]
        #[pallet::weight(T::WeightInfo::unstake())]
        pub fn unstake(origin: OriginFor<T>, pool: Pool<T::AccountId>, shares: u128) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_unstake(who, pool, shares)
        }

        /// Pays the sender what it asked back from `pool` and has waited long enough, and removes what is worth nothing because
        /// the pool was slashed to zero.
        ///
        /// Origin: signed. Event: [`Event::Withdrawn`]. Fails while the pool is frozen, or when the amount is below what an
        /// account can live on and the account does not exist.
        #[pallet::call_index(2)]
        #[pallet::weight(T::WeightInfo::withdraw())]
        pub fn withdraw(origin: OriginFor<T>, pool: Pool<T::AccountId>) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_withdraw(who, pool)
        }

        /// Does for `who` what [`Pallet::withdraw`] would.
        ///
        /// Origin: signed by anyone. Event and errors as there.
        #[pallet::call_index(3)]
        #[pallet::weight(T::WeightInfo::withdraw_for())]
        pub fn withdraw_for(
            origin: OriginFor<T>,
            pool: Pool<T::AccountId>,
            who: T::AccountId,
        ) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_withdraw(who, pool)
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// What `who` holds of `pool` and what that is worth in this block.
        pub fn stake_of(pool: Pool<T::AccountId>, who: T::AccountId) -> Worth {
            Stakers::<T>::get(&pool, who).map_or_else(Worth::default, |staker| {
                staker.worth(Pools::<T>::get(&pool), Self::now())
            })
        }

        /// Shares that `amount` planck would buy now and what they would cost; nothing if none can be bought.
        pub fn quote(pool: Pool<T::AccountId>, amount: u128) -> Option<(u128, u128)> {
            let mut state = Pools::<T>::get(&pool).unwrap_or_else(|| PoolState::new(0));
            state.accrue(Self::now());
            if Frozen::<T>::contains_key(&pool) || amount < T::MinStake::get() || state.is_spent() {
                return None;
            }
            let entered = state.enter(amount)?;
            (entered.shares > 0).then_some((entered.shares, entered.cost))
        }
    }
}

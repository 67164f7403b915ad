//! What is paid out: validators' eras and voted grants from the emission pot, without a planck being minted, and the fees of
//! answers to those who earned them.
//!
//! `pallet-staking` mints what it pays. This pallet takes its two hooks so that the supply stays fixed:
//!
//! 1. At the end of an era [`sp_staking::EraPayout`] asks how much the era earns. The pallet moves that much from the *pot*
//!    to the *payable* account and answers with it; the schedule is in [`schedule`].
//! 2. When somebody claims, `pallet-staking` mints the payment and hands over the debt. [`SettleFromPayable`] pays it out of
//!    the payable account, so that issuance is what it was. A debt that were dropped would be inflation for good, so the pot
//!    and then the treasury stand behind the payable account, and what not even they can pay is recorded.
//! 3. When an era leaves the history, nobody can claim it any more. [`staking::ReturnExpired`] moves what nobody claimed back
//!    to the pot.
//! 4. Some of what was claimed is never minted: a staker may have asked for no reward, or a share be too small to open an
//!    account. The payable account keeps it, together with each era's reserve for rounding. With every session
//!    [`staking::ReturnExpired`] also counts some of the eras that can still be claimed, and after a whole round
//!    whatever the payable account holds beyond them goes back to the pot.
//!
//! The pot pays nothing else but [`Pallet::grant`], by referendum.
//!
//! The pallet also keeps what answers earn, in an account of its own. Fees come in as escrow from the consumers' channels, who
//! earned them is decided elsewhere ([`openledger_traits::PayOut`]), and what is credited waits until somebody claims it: a
//! payout touches no account that may not exist.

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
mod credits;
mod impls;
#[cfg(test)]
mod mock;
pub mod schedule;
pub mod staking;
#[cfg(test)]
mod tests;
mod types;
pub mod weights;

use frame_support::{
    traits::{
        fungible::{Balanced, Inspect, Mutate},
        Get,
    },
    PalletId,
};

pub use impls::SettleFromPayable;
pub use types::{Audit, Eras};

/// Derives the pot and the payable account.
pub const PALLET_ID: PalletId = PalletId(*b"op/emiss");

/// Planck that every era adds beside its budget. Claims multiply by billionths and round to the nearest planck, so the
/// payments of an era can exceed its budget by less than one planck each; this covers a billion of them.
///
/// The bound, from `pallet-staking`: every fraction is a `Perbill` rounded down, every product of one with an amount is
/// rounded to the nearest planck and so at most half a planck too large. A validator with `p` pages and `n` nominators takes
/// `1 + 2p + n` products: its share of the era, on each page its own part and its part of the commission, and one for each
/// nominator. An era with `v` validators pays at most `(v + 2Σp + Σn) / 2` planck too much, all of them exposed at once.
pub const ROUNDING_RESERVE: u32 = 1_000_000_000;

/// Validators, and eras, that one session looks at while it counts what can still be claimed.
pub const AUDIT_LOOKUPS: u32 = 500;

/// A balance of the configured currency.
pub type BalanceOf<T> = <<T as Config>::Currency as Inspect<<T as frame_system::Config>::AccountId>>::Balance;

// The macro's own code expects what it has just checked.
#[allow(clippy::expect_used)]
#[frame_support::pallet]
pub mod pallet {
    use super::*;
    use frame_support::{pallet_prelude::*, traits::tokens::Preservation};
    use frame_system::pallet_prelude::*;
    use sp_runtime::{SaturatedConversion, Saturating};

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: frame_system::Config<RuntimeEvent: From<Event<Self>>> {
        /// The native currency.
        type Currency: Mutate<Self::AccountId> + Balanced<Self::AccountId>;
        /// Who may grant from the pot.
        type GrantOrigin: EnsureOrigin<Self::RuntimeOrigin>;
        /// Stands behind the pot when a debt cannot be paid: the treasury.
        type Fallback: Get<Self::AccountId>;
        /// Milliseconds that an era is planned to last. An era that lasted longer than twice this, because the chain stood
        /// still, is paid for twice this.
        type NominalEra: Get<u64>;
        /// The staking system's eras.
        type Eras: Eras<BalanceOf<Self>>;
        /// Weights of this pallet.
        type WeightInfo: WeightInfo;
    }

    /// Planck in the pot at genesis: what the schedule divides.
    #[pallet::storage]
    pub type InitialPot<T: Config> = StorageValue<_, BalanceOf<T>, ValueQuery>;

    /// Milliseconds of eras paid for so far.
    #[pallet::storage]
    pub type EmissionTime<T: Config> = StorageValue<_, u64, ValueQuery>;

    /// The count of what can still be claimed, while it is going on.
    #[pallet::storage]
    pub type Auditing<T: Config> = StorageValue<_, Audit<BalanceOf<T>>>;

    /// Planck that left the pot for the payable account, less what came back.
    #[pallet::storage]
    pub type Released<T: Config> = StorageValue<_, BalanceOf<T>, ValueQuery>;

    /// Planck that left the pot otherwise: granted, or taken because the payable account was short.
    #[pallet::storage]
    pub type Granted<T: Config> = StorageValue<_, BalanceOf<T>, ValueQuery>;

    /// Planck of debts that nobody could pay: minted and not taken back. Zero, or a bug.
    #[pallet::storage]
    pub type Deficit<T: Config> = StorageValue<_, BalanceOf<T>, ValueQuery>;

    /// Planck of fees whose receipts can still be disputed, or whose credits were not paid yet.
    #[pallet::storage]
    pub type Escrowed<T: Config> = StorageValue<_, BalanceOf<T>, ValueQuery>;

    /// Planck credited to an account and not claimed.
    #[pallet::storage]
    pub type Credits<T: Config> = StorageMap<_, Twox64Concat, T::AccountId, BalanceOf<T>, ValueQuery>;

    /// The sum of [`Credits`].
    #[pallet::storage]
    pub type Owed<T: Config> = StorageValue<_, BalanceOf<T>, ValueQuery>;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// An era of `millis` earned `amount`, which moved to the payable account with `reserve` for rounding.
        EraFunded {
            /// Length of the era that was paid for.
            millis: u64,
            /// Planck that stakers can claim.
            amount: BalanceOf<T>,
            /// Planck beside it.
            reserve: BalanceOf<T>,
        },
        /// `era` left the history; `amount` that nobody claimed went back to the pot.
        EraExpired {
            /// The era.
            era: sp_staking::EraIndex,
            /// Planck.
            amount: BalanceOf<T>,
        },
        /// The payable account held `amount` more than anybody can claim, which went back to the pot.
        SpareReturned {
            /// Planck.
            amount: BalanceOf<T>,
        },
        /// The pot gave `amount` to be destroyed, because as much had been minted when a debt could not be paid.
        DeficitRepaid {
            /// Planck.
            amount: BalanceOf<T>,
        },
        /// The pot paid a voted grant.
        Granted {
            /// Who got it.
            to: T::AccountId,
            /// Planck.
            amount: BalanceOf<T>,
        },
        /// `who` earned `amount`, to be claimed.
        Credited {
            /// Who earned it.
            who: T::AccountId,
            /// Planck.
            amount: BalanceOf<T>,
        },
        /// `who` was paid what was credited to it.
        Claimed {
            /// Who got it.
            who: T::AccountId,
            /// Planck.
            amount: BalanceOf<T>,
        },
        /// The payable account could not pay a debt: the rest came from elsewhere.
        PayableShort {
            /// Planck that it lacked.
            missing: BalanceOf<T>,
            /// Planck of it that nobody could pay.
            unpaid: BalanceOf<T>,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// The pot holds less than this grant; ask for what `pot` returns, or less.
        PotTooSmall,
        /// Nothing is credited to this account.
        NothingCredited,
        /// More would be promised than came in; nothing was changed.
        Ledger,
    }

    /// Genesis: how much the pot holds, which the balances must give it.
    #[pallet::genesis_config]
    #[derive(frame_support::DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        /// Planck in the pot.
        pub pot: BalanceOf<T>,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            let held = T::Currency::total_balance(&Pallet::<T>::pot_account());
            assert!(
                held == self.pot,
                "genesis rewards: the pot account holds {held:?} planck and `pot` says {:?}; make the balances agree",
                self.pot
            );
            InitialPot::<T>::put(self.pot);
        }
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        // `NominalEra` may be read from the state, which there is none of here: `try_state` looks at it.
        fn integrity_test() {
            assert!(
                Self::pot_account() != Self::payable_account()
                    && Self::payable_account() != Self::fees_account(),
                "rewards: the account identifier is too short to tell the pot from the payable account and the fees"
            );
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Pays `amount` planck from the pot to `to`.
        ///
        /// Origin: [`Config::GrantOrigin`]. Event: [`Event::Granted`]. Fails with [`Error::PotTooSmall`] when the pot would
        /// have to die for it.
        #[pallet::call_index(0)]
        #[pallet::weight(T::WeightInfo::grant())]
        pub fn grant(
            origin: OriginFor<T>,
            to: T::AccountId,
            #[pallet::compact] amount: BalanceOf<T>,
        ) -> DispatchResult {
            T::GrantOrigin::ensure_origin(origin)?;
            ensure!(amount <= Self::pot(), Error::<T>::PotTooSmall);
            T::Currency::transfer(&Self::pot_account(), &to, amount, Preservation::Preserve)?;
            Granted::<T>::mutate(|sum| sum.saturating_accrue(amount));
            Self::deposit_event(Event::Granted { to, amount });
            Ok(())
        }

        /// Pays the sender all that is credited to it.
        ///
        /// Origin: signed. Event: [`Event::Claimed`]. Fails with [`Error::NothingCredited`], or when the amount is below what
        /// an account can live on and the account does not exist: it stays credited.
        #[pallet::call_index(1)]
        #[pallet::weight(T::WeightInfo::claim())]
        pub fn claim(origin: OriginFor<T>) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::pay_credits(who)
        }

        /// Pays `who` all that is credited to it.
        ///
        /// Origin: signed by anyone. Event and errors as for [`Pallet::claim`].
        #[pallet::call_index(2)]
        #[pallet::weight(T::WeightInfo::claim())]
        pub fn claim_for(origin: OriginFor<T>, who: T::AccountId) -> DispatchResult {
            ensure_signed(origin)?;
            Self::pay_credits(who)
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// Planck in the pot that can still be paid out.
        pub fn pot() -> BalanceOf<T> {
            T::Currency::reducible_balance(
                &Self::pot_account(),
                Preservation::Preserve,
                frame_support::traits::tokens::Fortitude::Polite,
            )
        }

        /// Planck set aside for claims.
        pub fn payable() -> BalanceOf<T> {
            T::Currency::balance(&Self::payable_account())
        }

        /// Planck the schedule has emitted until now.
        pub fn emitted() -> BalanceOf<T> {
            Self::scheduled(EmissionTime::<T>::get())
        }

        /// Planck the schedule has emitted after `millis` of eras.
        pub fn scheduled(millis: u64) -> BalanceOf<T> {
            let initial: u128 = InitialPot::<T>::get().saturated_into();
            schedule::emitted(initial, millis).saturated_into()
        }
    }

    impl<T: Config> Pallet<T> {
        /// Checks the ledger against the accounts.
        #[cfg(any(feature = "std", feature = "try-runtime", test))]
        pub fn do_try_state() -> Result<(), sp_runtime::TryRuntimeError> {
            Self::try_state_pot_matches_ledger()?;
            Self::try_state_payable_covers_claims()?;
            Self::try_state_eras_last()?;
            Self::try_state_nothing_is_unpaid()?;
            Self::try_state_fees_cover_credits()
        }

        /// The pot holds what it started with less what left it. Anyone may send it more.
        #[cfg(any(feature = "std", feature = "try-runtime", test))]
        fn try_state_pot_matches_ledger() -> Result<(), sp_runtime::TryRuntimeError> {
            let gone = Released::<T>::get().saturating_add(Granted::<T>::get());
            let held = T::Currency::total_balance(&Self::pot_account());
            ensure!(
                held.saturating_add(gone) >= InitialPot::<T>::get(),
                "rewards: the pot holds less than its ledger says"
            );
            Ok(())
        }

        /// Whoever claims what can still be claimed is paid from the payable account.
        #[cfg(any(feature = "std", feature = "try-runtime", test))]
        fn try_state_payable_covers_claims() -> Result<(), sp_runtime::TryRuntimeError> {
            let claims = T::Eras::claimable().map_or(BalanceOf::<T>::default(), |eras| {
                eras.fold(BalanceOf::<T>::default(), |sum, era| {
                    sum.saturating_add(T::Eras::unclaimed(era).0)
                })
            });
            ensure!(
                Self::spendable() >= claims,
                "rewards: the payable account holds less than can still be claimed"
            );
            Ok(())
        }

        /// An era of no length would be paid nothing.
        #[cfg(any(feature = "std", feature = "try-runtime", test))]
        fn try_state_eras_last() -> Result<(), sp_runtime::TryRuntimeError> {
            ensure!(
                T::NominalEra::get() > 0,
                "rewards: an era is planned to last no time, so it is paid nothing"
            );
            Ok(())
        }

        /// Every debt was paid.
        #[cfg(any(feature = "std", feature = "try-runtime", test))]
        fn try_state_nothing_is_unpaid() -> Result<(), sp_runtime::TryRuntimeError> {
            ensure!(
                Deficit::<T>::get() == BalanceOf::<T>::default(),
                "rewards: a staking payment was minted and never paid"
            );
            Ok(())
        }
    }
}

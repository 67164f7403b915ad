//! Moving money: funding an era, settling a payment, returning what expired.

use crate::{
    pallet::{Auditing, Config, Deficit, EmissionTime, Event, Granted, Pallet, Released},
    BalanceOf, Eras, WeightInfo, AUDIT_LOOKUPS, PALLET_ID, ROUNDING_RESERVE,
};
use core::marker::PhantomData;
use frame_support::{
    defensive,
    dispatch::DispatchClass,
    traits::{
        fungible::{Balanced, Debt, Inspect, Mutate},
        tokens::{Fortitude, Precision, Preservation},
        Get, Imbalance, OnUnbalanced,
    },
    weights::Weight,
};
use sp_runtime::{
    traits::{AccountIdConversion, Zero},
    Saturating,
};
use sp_staking::EraIndex;

impl<T: Config> Pallet<T> {
    /// Holds the emission that is still to come.
    pub fn pot_account() -> T::AccountId {
        PALLET_ID.into_account_truncating()
    }

    /// Holds what eras have earned and nobody has claimed yet.
    pub fn payable_account() -> T::AccountId {
        PALLET_ID.into_sub_account_truncating(b"payable")
    }

    /// Planck that the payable account can pay and live on.
    pub(crate) fn spendable() -> BalanceOf<T> {
        T::Currency::reducible_balance(
            &Self::payable_account(),
            Preservation::Preserve,
            Fortitude::Polite,
        )
    }

    /// What an era's funding carries beside its budget: room for rounding, and what opens the account the first time.
    fn reserve() -> BalanceOf<T> {
        let rounding: BalanceOf<T> = ROUNDING_RESERVE.into();
        if Self::payable().is_zero() {
            rounding.saturating_add(T::Currency::minimum_balance())
        } else {
            rounding
        }
    }

    /// Moves the budget of an era of `millis` to the payable account and returns it. Nothing is promised that did not move.
    pub(crate) fn fund_era(millis: u64) -> BalanceOf<T> {
        Self::repay_deficit();
        let millis = millis.min(T::NominalEra::get().saturating_mul(2));
        let before = EmissionTime::<T>::get();
        let after = before.saturating_add(millis);
        let due = Self::scheduled(after).saturating_sub(Self::scheduled(before));
        let available = Self::pot();
        let reserve = Self::reserve().min(available);
        let amount = due.min(available.saturating_sub(reserve));
        let moved = amount.saturating_add(reserve);
        if T::Currency::transfer(
            &Self::pot_account(),
            &Self::payable_account(),
            moved,
            Preservation::Preserve,
        )
        .is_err()
        {
            // Too little is left to open the account with. The time is not counted: it can be paid for later.
            return Zero::zero();
        }
        EmissionTime::<T>::put(after);
        Released::<T>::mutate(|sum| sum.saturating_accrue(moved));
        Self::deposit_event(Event::EraFunded {
            millis,
            amount,
            reserve,
        });
        amount
    }

    /// Destroys as much of the pot as was minted by debts that nobody could pay.
    fn repay_deficit() {
        let amount = Deficit::<T>::get().min(Self::pot());
        if amount.is_zero() {
            return;
        }
        let withdrawn = T::Currency::withdraw(
            &Self::pot_account(),
            amount,
            Precision::Exact,
            Preservation::Preserve,
            Fortitude::Polite,
        );
        if let Ok(credit) = withdrawn {
            // A credit that nobody resolves takes its amount out of the issuance.
            drop(credit);
            Deficit::<T>::mutate(|sum| sum.saturating_reduce(amount));
            Granted::<T>::mutate(|sum| sum.saturating_accrue(amount));
            Self::deposit_event(Event::DeficitRepaid { amount });
        }
    }

    /// Moves up to `amount` from the payable account back to the pot and returns how much it was.
    fn return_to_pot(amount: BalanceOf<T>) -> BalanceOf<T> {
        let moved = T::Currency::transfer(
            &Self::payable_account(),
            &Self::pot_account(),
            amount.min(Self::spendable()),
            Preservation::Preserve,
        )
        .unwrap_or_else(|_| Zero::zero());
        Released::<T>::mutate(|sum| sum.saturating_reduce(moved));
        moved
    }

    /// Returns the `unclaimed` planck of `era` to the pot; they were counted just before the era was dropped.
    pub(crate) fn return_expired(era: EraIndex, unclaimed: BalanceOf<T>) {
        let amount = Self::return_to_pot(unclaimed);
        Self::deposit_event(Event::EraExpired { era, amount });
    }

    /// Counts on what can still be claimed, for as many lookups as a session may make. When all of it has been counted, what
    /// the payable account holds beyond it goes back to the pot. Returns the lookups made.
    pub(crate) fn audit() -> u32 {
        let Some(eras) = T::Eras::claimable() else {
            return 0;
        };
        let mut audit = Auditing::<T>::take().unwrap_or_default();
        let mut lookups = 0u32;
        while lookups < AUDIT_LOOKUPS {
            // Eras that expired since the last session are past; those counted before they did only add to `owed`.
            let era = audit.next.max(*eras.start());
            if era > *eras.end() {
                let amount = Self::return_to_pot(Self::spendable().saturating_sub(audit.owed));
                if !amount.is_zero() {
                    Self::deposit_event(Event::SpareReturned { amount });
                }
                return lookups;
            }
            let (unclaimed, validators) = T::Eras::unclaimed(era);
            audit.owed = audit
                .owed
                .saturating_add(unclaimed)
                .saturating_add(ROUNDING_RESERVE.into());
            audit.next = era.saturating_add(1);
            lookups = lookups.saturating_add(validators).saturating_add(1);
        }
        Auditing::<T>::put(audit);
        lookups
    }

    /// Counts work done in the hooks of other pallets, which do not know of it.
    pub(crate) fn charge(weight: Weight) {
        frame_system::Pallet::<T>::register_extra_weight_unchecked(weight, DispatchClass::Mandatory);
    }

    /// Takes up to all of `debt` out of `from` and returns what is left of it.
    fn settle_from(
        from: &T::AccountId,
        debt: Debt<T::AccountId, T::Currency>,
        preservation: Preservation,
    ) -> Debt<T::AccountId, T::Currency> {
        let can = T::Currency::reducible_balance(from, preservation, Fortitude::Polite);
        let (now, later) = debt.split(can);
        if now.peek().is_zero() {
            return later;
        }
        match T::Currency::settle(from, now, preservation) {
            // Anything settled beyond the debt would come back as credit; `reducible_balance` was exact, so there is none.
            Ok(credit) => {
                let _ = T::Currency::resolve(from, credit).map_err(drop);
                later
            }
            Err(now) => now.merge(later),
        }
    }
}

impl<T: Config> sp_staking::EraPayout<BalanceOf<T>> for Pallet<T> {
    fn era_payout(_: BalanceOf<T>, _: BalanceOf<T>, millis: u64) -> (BalanceOf<T>, BalanceOf<T>) {
        Self::charge(T::WeightInfo::fund_era());
        (Self::fund_era(millis), Zero::zero())
    }
}

/// Pays what the staking system minted out of the payable account, then the pot, then the fallback.
pub struct SettleFromPayable<T>(PhantomData<T>);

impl<T: Config> OnUnbalanced<Debt<T::AccountId, T::Currency>> for SettleFromPayable<T> {
    fn on_nonzero_unbalanced(debt: Debt<T::AccountId, T::Currency>) {
        let debt = Pallet::<T>::settle_from(&Pallet::<T>::payable_account(), debt, Preservation::Preserve);
        let missing = debt.peek();
        if missing.is_zero() {
            return;
        }
        defensive!("rewards: the payable account is short of a staking payment");
        let debt = Pallet::<T>::settle_from(&Pallet::<T>::pot_account(), debt, Preservation::Preserve);
        Granted::<T>::mutate(|sum| sum.saturating_accrue(missing.saturating_sub(debt.peek())));
        let debt = Pallet::<T>::settle_from(&T::Fallback::get(), debt, Preservation::Preserve);
        let unpaid = debt.peek();
        Deficit::<T>::mutate(|sum| sum.saturating_accrue(unpaid));
        Pallet::<T>::deposit_event(Event::PayableShort { missing, unpaid });
        // Dropping what is left leaves the supply larger by `unpaid`; `Deficit` says so and `try_state` fails.
        drop(debt);
    }
}

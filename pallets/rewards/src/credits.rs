//! Money that fees brought in: what waits in escrow, what is credited, and claiming it.

use crate::pallet::{Config, Credits, Error, Escrowed, Event, Owed, Pallet};
use crate::{BalanceOf, PALLET_ID};
use frame_support::{
    dispatch::DispatchResult,
    ensure,
    traits::{
        fungible::{Inspect, Mutate},
        tokens::{Fortitude, Preservation},
        Get,
    },
};
use openledger_traits::PayOut;
use sp_runtime::traits::{AccountIdConversion, CheckedSub, Zero};

impl<T: Config> Pallet<T> {
    /// Holds the fees of answers from the moment they leave a channel until they are claimed.
    pub fn fees_account() -> T::AccountId {
        PALLET_ID.into_sub_account_truncating(b"fees")
    }

    /// Pays `who` what is credited to it.
    pub(crate) fn pay_credits(who: T::AccountId) -> DispatchResult {
        let amount = Credits::<T>::take(&who);
        ensure!(!amount.is_zero(), Error::<T>::NothingCredited);
        let owed = Owed::<T>::get().checked_sub(&amount).ok_or(Error::<T>::Ledger)?;
        Owed::<T>::put(owed);
        // Less than an account can live on waits until there is more, or until the account exists.
        T::Currency::transfer(&Self::fees_account(), &who, amount, Preservation::Preserve)?;
        Self::deposit_event(Event::Claimed { who, amount });
        Ok(())
    }

    /// Planck in the fees account that can be paid out.
    pub(crate) fn fees() -> BalanceOf<T> {
        T::Currency::reducible_balance(&Self::fees_account(), Preservation::Preserve, Fortitude::Polite)
    }

    /// The fees account holds what is escrowed and owed, and what is owed is what is credited.
    #[cfg(any(feature = "std", feature = "try-runtime", test))]
    pub(crate) fn try_state_fees_cover_credits() -> Result<(), sp_runtime::TryRuntimeError> {
        use sp_runtime::Saturating;
        let credited = Credits::<T>::iter_values().fold(BalanceOf::<T>::default(), |sum, amount| {
            sum.saturating_add(amount)
        });
        ensure!(
            credited == Owed::<T>::get(),
            "rewards: what is owed is not the sum of what is credited"
        );
        ensure!(
            Self::fees() >= Owed::<T>::get().saturating_add(Escrowed::<T>::get()),
            "rewards: the fees account holds less than is escrowed and owed"
        );
        Ok(())
    }
}

impl<T: Config> PayOut<T::AccountId> for Pallet<T>
where
    T::Currency: Inspect<T::AccountId, Balance = u128>,
{
    fn pot() -> T::AccountId {
        Self::fees_account()
    }

    fn escrowed(amount: u128) -> DispatchResult {
        let escrowed = Escrowed::<T>::get()
            .checked_add(amount)
            .ok_or(Error::<T>::Ledger)?;
        let promised = escrowed.checked_add(Owed::<T>::get()).ok_or(Error::<T>::Ledger)?;
        ensure!(Self::fees() >= promised, Error::<T>::Ledger);
        Escrowed::<T>::put(escrowed);
        Ok(())
    }

    fn credit(who: &T::AccountId, amount: u128) -> DispatchResult {
        if amount == 0 {
            return Ok(());
        }
        let escrowed = Escrowed::<T>::get()
            .checked_sub(amount)
            .ok_or(Error::<T>::Ledger)?;
        let owed = Owed::<T>::get().checked_add(amount).ok_or(Error::<T>::Ledger)?;
        let credits = Credits::<T>::get(who)
            .checked_add(amount)
            .ok_or(Error::<T>::Ledger)?;
        Escrowed::<T>::put(escrowed);
        Owed::<T>::put(owed);
        Credits::<T>::insert(who, credits);
        Self::deposit_event(Event::Credited {
            who: who.clone(),
            amount,
        });
        Ok(())
    }

    fn to_treasury(amount: u128) -> DispatchResult {
        Self::move_to(&T::Fallback::get(), amount)
    }

    fn move_to(pot: &T::AccountId, amount: u128) -> DispatchResult {
        if amount == 0 {
            return Ok(());
        }
        let escrowed = Escrowed::<T>::get()
            .checked_sub(amount)
            .ok_or(Error::<T>::Ledger)?;
        Escrowed::<T>::put(escrowed);
        T::Currency::transfer(&Self::fees_account(), pot, amount, Preservation::Preserve)?;
        Ok(())
    }
}

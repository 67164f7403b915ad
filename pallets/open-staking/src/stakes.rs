//! What other pallets do to a pool: pay it, slash it, freeze it.

use crate::pallet::{Config, Error, Event, Frozen, Held, Pallet, Pools};
use frame_support::{defensive, dispatch::DispatchResult, ensure, traits::Get};
use openledger_protocol::staking::Pool;
use openledger_traits::Stakes;

impl<T: Config> Stakes<T::AccountId> for Pallet<T> {
    fn pot() -> T::AccountId {
        Self::pot_account()
    }

    fn income(pool: &Pool<T::AccountId>, amount: u128) -> DispatchResult {
        if amount == 0 {
            return Ok(());
        }
        ensure!(Self::unassigned() >= amount, Error::<T>::Ledger);
        let Some((mut state, before)) = Self::current(pool).filter(|(state, _)| state.shares > 0) else {
            Self::forfeit(amount);
            return Ok(());
        };
        state
            .earn(amount, Self::now(), T::IncomePeriod::get())
            .ok_or(Error::<T>::Overflow)?;
        let end = state.stream.end;
        Self::keep(pool, before, state)?;
        Self::deposit_event(Event::Earned {
            pool: pool.clone(),
            amount,
            end,
        });
        Ok(())
    }

    fn slash(pool: &Pool<T::AccountId>, amount: u128) -> u128 {
        let Some((mut state, before)) = Self::current(pool) else {
            return 0;
        };
        let Some(slashed) = state.slash(amount) else {
            defensive!("open-staking: a pool is too large to be slashed");
            return 0;
        };
        if slashed.taken == 0 {
            return 0;
        }
        // Amounts of one pool, part of what is held: neither of these can go below zero.
        let (after, spare) = match slashed.closed {
            Some(spare) => (0, spare),
            None => (state.owes(), 0),
        };
        Held::<T>::mutate(|held| *held = held.saturating_sub(before).saturating_add(after));
        Self::deposit_event(Event::Slashed {
            pool: pool.clone(),
            amount: slashed.taken,
        });
        if slashed.closed.is_some() {
            Self::end(pool, state.epoch);
        } else {
            Pools::<T>::insert(pool, state);
        }
        Self::forfeit(slashed.taken.saturating_add(spare));
        slashed.taken
    }

    fn has_stakers(pool: &Pool<T::AccountId>) -> bool {
        Pools::<T>::get(pool).is_some_and(|state| state.shares > 0)
    }

    fn total(pool: &Pool<T::AccountId>) -> u128 {
        Self::current(pool).map_or(0, |(state, _)| state.slashable())
    }

    fn freeze(pool: &Pool<T::AccountId>) -> DispatchResult {
        let disputes = Frozen::<T>::get(pool)
            .unwrap_or(0)
            .checked_add(1)
            .ok_or(Error::<T>::Overflow)?;
        Frozen::<T>::insert(pool, disputes);
        Self::deposit_event(Event::Froze {
            pool: pool.clone(),
            disputes,
        });
        Ok(())
    }

    fn thaw(pool: &Pool<T::AccountId>) {
        let Some(disputes) = Frozen::<T>::get(pool) else {
            defensive!("open-staking: a pool is thawed that was not frozen");
            return;
        };
        let disputes = disputes.saturating_sub(1);
        if disputes == 0 {
            Frozen::<T>::remove(pool);
        } else {
            Frozen::<T>::insert(pool, disputes);
        }
        Self::deposit_event(Event::Thawed {
            pool: pool.clone(),
            disputes,
        });
    }
}

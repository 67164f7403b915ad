//! What the calls do, and the pot's ledger.

use crate::{
    pallet::{Config, Due, Error, Event, Frozen, Held, NextEpoch, Pallet, Pools, Stakers},
    PALLET_ID,
};
use frame_support::{
    dispatch::DispatchResult,
    ensure,
    traits::{
        fungible::{Inspect, Mutate},
        tokens::{Fortitude, Preservation},
        Contains, Get,
    },
};
use openledger_protocol::staking::{Entered, Leaving, Pool, PoolState, Staker};
use sp_runtime::{traits::AccountIdConversion, SaturatedConversion};

impl<T: Config> Pallet<T> {
    /// Holds all stakes, and income on its way to them. It lives on an existential deposit of its own.
    pub fn pot_account() -> T::AccountId {
        PALLET_ID.into_account_truncating()
    }

    /// The current block.
    pub(crate) fn now() -> u32 {
        frame_system::Pallet::<T>::block_number().saturated_into()
    }

    /// Planck in the pot that are neither a pool's nor the treasury's.
    pub(crate) fn unassigned() -> u128 {
        T::Currency::reducible_balance(&Self::pot_account(), Preservation::Preserve, Fortitude::Polite)
            .saturating_sub(Held::<T>::get())
            .saturating_sub(Due::<T>::get())
    }

    /// Stores what a pool came to, which owed `before`; a pool that nobody holds anything of ends.
    pub(crate) fn keep(pool: &Pool<T::AccountId>, before: u128, state: PoolState) -> DispatchResult {
        let spare = if state.members == 0 { state.owes() } else { 0 };
        let after = state.owes().saturating_sub(spare);
        let held = Held::<T>::get()
            .checked_sub(before)
            .and_then(|held| held.checked_add(after))
            .ok_or(Error::<T>::Ledger)?;
        Held::<T>::put(held);
        if state.members == 0 {
            Self::end(pool, state.epoch);
            Self::forfeit(spare);
        } else {
            Pools::<T>::insert(pool, state);
        }
        Ok(())
    }

    /// Removes a pool.
    pub(crate) fn end(pool: &Pool<T::AccountId>, epoch: u64) {
        Pools::<T>::remove(pool);
        Self::deposit_event(Event::Closed {
            pool: pool.clone(),
            epoch,
        });
    }

    /// Pays the treasury `amount` planck of the pot that are nobody's any more, and what it could not be paid before. This
    /// never stops anything else: what cannot be paid waits.
    pub(crate) fn forfeit(amount: u128) {
        let due = Due::<T>::get().saturating_add(amount);
        if due == 0 {
            return;
        }
        let paid = T::Currency::transfer(
            &Self::pot_account(),
            &T::Treasury::get(),
            due,
            Preservation::Preserve,
        );
        if paid.is_ok() {
            Due::<T>::kill();
            Self::deposit_event(Event::Forfeited { amount: due });
        } else {
            Due::<T>::put(due);
        }
    }

    /// The pool as it is now, and what it owed when it was stored.
    pub(crate) fn current(pool: &Pool<T::AccountId>) -> Option<(PoolState, u128)> {
        let mut state = Pools::<T>::get(pool)?;
        let before = state.owes();
        state.accrue(Self::now());
        Some((state, before))
    }

    pub(crate) fn do_stake(
        who: T::AccountId,
        pool: Pool<T::AccountId>,
        amount: u128,
        min_shares: u128,
    ) -> DispatchResult {
        ensure!(amount >= T::MinStake::get(), Error::<T>::TooLittle);
        ensure!(!Frozen::<T>::contains_key(&pool), Error::<T>::Frozen);
        ensure!(T::Exists::contains(&pool), Error::<T>::NoSuchAsset);
        let known = Self::current(&pool);
        let opens = known.is_none();
        let (mut state, before) = known.unwrap_or_else(|| (PoolState::new(NextEpoch::<T>::get()), 0));
        ensure!(!state.is_spent(), Error::<T>::Spent);
        let Entered { shares, cost } = state.enter(amount).ok_or(Error::<T>::Overflow)?;
        ensure!(shares > 0 && shares >= min_shares, Error::<T>::TooFewShares);
        // What is of another epoch is worth nothing and makes way.
        let known = Stakers::<T>::get(&pool, &who).filter(|staker| staker.epoch == state.epoch);
        let mut staker = match known {
            Some(staker) => staker,
            None => {
                state.members = state.members.checked_add(1).ok_or(Error::<T>::Overflow)?;
                Staker {
                    epoch: state.epoch,
                    shares: 0,
                    leaving: Default::default(),
                }
            }
        };
        staker.shares = staker.shares.checked_add(shares).ok_or(Error::<T>::Overflow)?;
        T::Currency::transfer(&who, &Self::pot_account(), cost, Preservation::Preserve)?;
        if opens {
            let epoch = state.epoch;
            NextEpoch::<T>::put(epoch.checked_add(1).ok_or(Error::<T>::Overflow)?);
            Self::deposit_event(Event::Opened {
                pool: pool.clone(),
                epoch,
            });
        }
        Stakers::<T>::insert(&pool, &who, staker);
        Self::keep(&pool, before, state)?;
        Self::deposit_event(Event::Staked {
            pool,
            who,
            amount: cost,
            shares,
        });
        Ok(())
    }

    pub(crate) fn do_unstake(who: T::AccountId, pool: Pool<T::AccountId>, shares: u128) -> DispatchResult {
        ensure!(shares > 0, Error::<T>::NothingToDo);
        let (mut state, before) = Self::current(&pool).ok_or(Error::<T>::NotStaker)?;
        let mut staker = Stakers::<T>::get(&pool, &who)
            .filter(|staker| staker.epoch == state.epoch && staker.shares > 0)
            .ok_or(Error::<T>::NotStaker)?;
        let rest = staker
            .shares
            .checked_sub(shares)
            .ok_or(Error::<T>::TooManyShares)?;
        let stays = state.worth(rest).ok_or(Error::<T>::Overflow)?;
        ensure!(
            rest == 0 || stays >= T::MinStake::get(),
            Error::<T>::LeavesTooLittle
        );
        let exited = state.exit(shares).ok_or(Error::<T>::Overflow)?;
        let until = Self::now().saturating_add(T::UnbondingPeriod::get());
        staker.shares = rest;
        if exited.shares > 0 {
            staker
                .leaving
                .try_push(Leaving {
                    shares: exited.shares,
                    scale: state.scale,
                    until,
                })
                .map_err(|_| Error::<T>::TooManyLeaving)?;
        }
        Self::keep_staker(&pool, &who, staker, &mut state);
        Self::keep(&pool, before, state)?;
        Self::forfeit(exited.spare);
        Self::deposit_event(Event::Unstaked {
            pool,
            who,
            amount: exited.amount,
            shares,
            until,
        });
        Ok(())
    }

    pub(crate) fn do_withdraw(who: T::AccountId, pool: Pool<T::AccountId>) -> DispatchResult {
        let mut staker = Stakers::<T>::get(&pool, &who).ok_or(Error::<T>::NotStaker)?;
        let Some((mut state, before)) = Self::current(&pool).filter(|(state, _)| state.epoch == staker.epoch)
        else {
            Stakers::<T>::remove(&pool, &who);
            Self::deposit_event(Event::Withdrawn { pool, who, amount: 0 });
            return Ok(());
        };
        ensure!(!Frozen::<T>::contains_key(&pool), Error::<T>::Frozen);
        let now = Self::now();
        let waiting = staker.leaving.iter().filter(|part| part.until > now).count();
        ensure!(waiting < staker.leaving.len(), Error::<T>::NotYet);
        let mut amount = 0u128;
        for part in staker.leaving.iter().filter(|part| part.until <= now) {
            let paid = state.pay(part).ok_or(Error::<T>::Overflow)?;
            amount = amount.saturating_add(paid);
        }
        staker.leaving.retain(|part| part.until > now);
        if amount > 0 {
            T::Currency::transfer(&Self::pot_account(), &who, amount, Preservation::Preserve)?;
        }
        Self::keep_staker(&pool, &who, staker, &mut state);
        Self::keep(&pool, before, state)?;
        Self::deposit_event(Event::Withdrawn { pool, who, amount });
        Ok(())
    }

    /// Stores what an account holds; one that holds nothing is no member any more.
    fn keep_staker(pool: &Pool<T::AccountId>, who: &T::AccountId, staker: Staker, state: &mut PoolState) {
        if staker.shares == 0 && staker.leaving.is_empty() {
            Stakers::<T>::remove(pool, who);
            state.members = state.members.saturating_sub(1);
        } else {
            Stakers::<T>::insert(pool, who, staker);
        }
    }
}

//! What holds after every block, to the planck.

#![cfg(any(feature = "std", feature = "try-runtime", test))]

use crate::pallet::{Config, Due, Frozen, Held, NextEpoch, Pallet, Pools, Stakers};
use alloc::vec::Vec;
use frame_support::{
    ensure,
    traits::{fungible::Inspect, Get},
};
use openledger_protocol::staking::{Pool, PoolState, Staker, STEP, VIRTUAL_STAKE};
use sp_runtime::TryRuntimeError;

/// What the holders of a pool have together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    /// Accounts.
    pub(crate) members: u32,
    /// Shares.
    pub(crate) shares: u128,
    /// Planck that each one's shares are worth.
    pub(crate) staked: u128,
    /// Planck that each part asked back is worth.
    pub(crate) leaving: u128,
}

impl Sum {
    fn add(&mut self, state: &PoolState, staker: &Staker) {
        self.members = self.members.saturating_add(1);
        self.shares = self.shares.saturating_add(staker.shares);
        let staked = state.worth(staker.shares).unwrap_or(0);
        self.staked = self.staked.saturating_add(staked);
        for part in &staker.leaving {
            let leaving = state.worth_leaving(part).unwrap_or(0);
            self.leaving = self.leaving.saturating_add(leaving);
        }
    }
}

impl<T: Config> Pallet<T> {
    /// Checks all of it.
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        Self::try_state_pot_is_what_it_owes()?;
        Self::try_state_pools_are_their_holders()?;
        Self::try_state_stakers_hold_something()?;
        Self::try_state_freezes_count()?;
        Self::try_state_periods_last()
    }

    /// The pot holds what the pools have and the treasury is due, and lives on its own. Anyone may send it more.
    fn try_state_pot_is_what_it_owes() -> Result<(), TryRuntimeError> {
        let owed = Pools::<T>::iter_values().fold(0, |sum: u128, state| sum.saturating_add(state.owes()));
        ensure!(
            owed == Held::<T>::get(),
            "open-staking: what is held is not the sum of the pools"
        );
        let promised = owed
            .saturating_add(Due::<T>::get())
            .saturating_add(T::Currency::minimum_balance());
        ensure!(
            T::Currency::total_balance(&Self::pot_account()) >= promised,
            "open-staking: the pot holds less than the pools have and the treasury is due"
        );
        Ok(())
    }

    /// What the stakers of a pool have together.
    pub(crate) fn sum(pool: &Pool<T::AccountId>, state: &PoolState) -> Sum {
        let mut sum = Sum::default();
        Stakers::<T>::iter_prefix_values(pool)
            .filter(|staker| staker.epoch == state.epoch)
            .for_each(|staker| sum.add(state, &staker));
        sum
    }

    /// A pool has the members and shares of its stakers, and they are worth no more than it has.
    fn try_state_pools_are_their_holders() -> Result<(), TryRuntimeError> {
        let mut epochs = Vec::new();
        for (pool, mut state) in Pools::<T>::iter() {
            state.accrue(Self::now());
            let sum = Self::sum(&pool, &state);
            ensure!(
                sum.members == state.members && state.members > 0,
                "open-staking: a pool's members are not those that hold something of it, or it has none"
            );
            ensure!(
                sum.shares == state.shares,
                "open-staking: a pool's shares are not those of its stakers"
            );
            ensure!(
                sum.staked <= state.staked && sum.leaving <= state.leaving,
                "open-staking: a pool owes more than it has"
            );
            ensure!(
                state.is_covered(),
                "open-staking: a pool's virtual stake is worth more than there is"
            );
            ensure!(
                (state.leaving == 0) == (state.leaving_shares == 0)
                    && state.leaving_shares <= state.leaving.saturating_mul(STEP),
                "open-staking: leaving shares are out of proportion"
            );
            ensure!(
                if state.shares > 0 {
                    state.staked > 0
                } else {
                    state.staked == 0 && state.stream.rest == 0 && state.virtual_stake == VIRTUAL_STAKE
                },
                "open-staking: stake without stakers, or stakers without stake"
            );
            ensure!(
                state.epoch < NextEpoch::<T>::get(),
                "open-staking: a pool has an epoch that was not opened yet"
            );
            epochs.push(state.epoch);
        }
        epochs.sort_unstable();
        ensure!(
            epochs.windows(2).all(|pair| pair.first() < pair.last()),
            "open-staking: two pools have one epoch"
        );
        Ok(())
    }

    /// Who holds nothing has no entry; nobody holds anything of an epoch to come.
    fn try_state_stakers_hold_something() -> Result<(), TryRuntimeError> {
        ensure!(
            Stakers::<T>::iter_values().all(|staker| {
                (staker.shares > 0 || !staker.leaving.is_empty()) && staker.epoch < NextEpoch::<T>::get()
            }),
            "open-staking: somebody holds nothing, or of an epoch to come"
        );
        Ok(())
    }

    /// A pool that is not frozen has no count.
    fn try_state_freezes_count() -> Result<(), TryRuntimeError> {
        ensure!(
            Frozen::<T>::iter_values().all(|disputes| disputes > 0),
            "open-staking: a pool is frozen by no dispute"
        );
        Ok(())
    }

    /// Income that is paid at once could be skimmed, and who lies could leave at once.
    fn try_state_periods_last() -> Result<(), TryRuntimeError> {
        ensure!(
            T::IncomePeriod::get() > 0 && T::UnbondingPeriod::get() > 0,
            "open-staking: a period is no blocks long"
        );
        Ok(())
    }
}

//! Bonds: registering, adding, taking out, standing behind work, being slashed.

use crate::{Config, Error, Event, HoldReason, Pallet, Raised, Workers};
use frame_support::{
    dispatch::DispatchResult,
    ensure,
    traits::{
        fungible::hold::Mutate,
        tokens::{Fortitude, Precision, Restriction},
        Get,
    },
};
use openledger_attribution::wide::multiply_divide;
use openledger_protocol::{
    compute::{capability, Unbonding, Worker},
    staking::Pool,
};
use openledger_traits::{Bonds, Stakes};
use sp_runtime::traits::Zero;

/// Part of what is slashed that its challenger gets: one in this many.
pub const CHALLENGER_PART: u128 = 4;

/// Planck of a bond that are not on their way out.
pub fn active(worker: &Worker) -> u128 {
    worker
        .bond
        .saturating_sub(worker.unbonding.map_or(0, |unbonding| unbonding.amount))
}

/// Planck of a bond that can stand behind more work.
pub fn room(worker: &Worker) -> u128 {
    active(worker).saturating_sub(worker.open)
}

/// Whether `text` is a URL as an endpoint must be.
pub(crate) fn is_url(text: &[u8]) -> bool {
    let host = text
        .strip_prefix(b"http://")
        .or_else(|| text.strip_prefix(b"https://"));
    host.is_some_and(|rest| {
        !rest.is_empty() && rest.last() != Some(&b'/') && core::str::from_utf8(rest).is_ok_and(is_printable)
    })
}

/// Whether `text` has neither blanks nor control characters.
fn is_printable(text: &str) -> bool {
    !text
        .chars()
        .any(|character| character.is_whitespace() || character.is_control())
}

impl<T: Config> Pallet<T> {
    pub(crate) fn do_register(who: &T::AccountId, worker: Worker) -> DispatchResult {
        ensure!(!Workers::<T>::contains_key(who), Error::<T>::AlreadyWorker);
        ensure!(
            Workers::<T>::count() < T::MaxWorkers::get(),
            Error::<T>::TooManyWorkers
        );
        ensure!(worker.bond >= T::MinBond::get(), Error::<T>::BondTooSmall);
        let known = worker.capabilities & !capability::ALL == 0;
        ensure!(known && worker.capabilities != 0, Error::<T>::BadCapabilities);
        ensure!(
            !worker.arch.is_empty() && worker.arch.iter().all(u8::is_ascii_graphic),
            Error::<T>::BadArch
        );
        ensure!(is_url(&worker.endpoint), Error::<T>::BadEndpoint);
        let bond = worker.bond;
        T::Currency::hold(&HoldReason::Bond.into(), who, bond)?;
        Workers::<T>::insert(who, worker);
        Self::raised(who, bond);
        Self::deposit_event(Event::Registered {
            worker: who.clone(),
            bond,
        });
        Ok(())
    }

    pub(crate) fn do_bond_more(who: &T::AccountId, amount: u128) -> DispatchResult {
        ensure!(!amount.is_zero(), Error::<T>::NothingToDo);
        let mut worker = Workers::<T>::get(who).ok_or(Error::<T>::NotWorker)?;
        T::Currency::hold(&HoldReason::Bond.into(), who, amount)?;
        worker.bond = worker.bond.saturating_add(amount);
        Workers::<T>::insert(who, worker);
        Self::raised(who, amount);
        Self::deposit_event(Event::Bonded {
            worker: who.clone(),
            amount,
        });
        Ok(())
    }

    pub(crate) fn do_unbond(who: &T::AccountId, amount: u128) -> DispatchResult {
        ensure!(!amount.is_zero(), Error::<T>::NothingToDo);
        let mut worker = Workers::<T>::get(who).ok_or(Error::<T>::NotWorker)?;
        ensure!(worker.unbonding.is_none(), Error::<T>::AlreadyUnbonding);
        ensure!(amount <= room(&worker), Error::<T>::BondInUse);
        let rest = worker.bond.saturating_sub(amount);
        ensure!(
            rest.is_zero() || rest >= T::MinBond::get(),
            Error::<T>::BondTooSmall
        );
        let until = Self::now().saturating_add(T::UnbondingPeriod::get());
        worker.unbonding = Some(Unbonding { amount, until });
        Workers::<T>::insert(who, worker);
        Self::deposit_event(Event::Unbonding {
            worker: who.clone(),
            amount,
            until,
        });
        Ok(())
    }

    pub(crate) fn do_withdraw(who: &T::AccountId) -> DispatchResult {
        let mut worker = Workers::<T>::get(who).ok_or(Error::<T>::NotWorker)?;
        let Unbonding { amount, until } = worker.unbonding.take().ok_or(Error::<T>::NotUnbonding)?;
        ensure!(until <= Self::now(), Error::<T>::TooEarly);
        T::Currency::release(&HoldReason::Bond.into(), who, amount, Precision::Exact)?;
        worker.bond = worker.bond.saturating_sub(amount);
        Self::deposit_event(Event::Withdrawn {
            worker: who.clone(),
            amount,
        });
        Self::keep(who, worker);
        Ok(())
    }

    /// Stores a worker, unless nothing is left of its bond and no work is open.
    fn keep(who: &T::AccountId, worker: Worker) {
        if worker.bond.is_zero() && worker.open.is_zero() {
            Workers::<T>::remove(who);
            Raised::<T>::remove(who);
            Self::deposit_event(Event::Left { worker: who.clone() });
        } else {
            Workers::<T>::insert(who, worker);
        }
    }

    /// Moves up to `amount` of what is held from `from` to `to` and returns how much it was.
    fn seize(from: &T::AccountId, to: &T::AccountId, amount: u128) -> u128 {
        if amount.is_zero() {
            return 0;
        }
        // Fails where `to` would not come to exist: then nothing has moved.
        T::Currency::transfer_on_hold(
            &HoldReason::Bond.into(),
            from,
            to,
            amount,
            Precision::BestEffort,
            Restriction::Free,
            Fortitude::Force,
        )
        .unwrap_or(0)
    }

    /// Takes off `opened` and slashes `amount`, in this order: so what stood behind work is not counted against what is on its
    /// way out.
    pub(crate) fn close_and_slash(
        who: &T::AccountId,
        opened: u128,
        amount: u128,
        challenger: Option<&T::AccountId>,
    ) -> u128 {
        let bond = Workers::<T>::get(who).map_or(0, |worker| worker.bond);
        let taken = Self::close_and_take(who, opened, amount, challenger, &T::Treasury::get());
        if amount > 0 {
            Self::share_slash(who, bond, taken);
        }
        taken
    }

    /// The pool behind a worker loses what its bond lost, in proportion and rounded up: all of it with the whole bond. Every
    /// slash of a bond comes by here, and nothing else that a worker pays does.
    fn share_slash(who: &T::AccountId, bond: u128, taken: u128) {
        let pool = Pool::Worker(who.clone());
        let staked = T::Stakes::total(&pool);
        if staked.is_zero() {
            return;
        }
        // A worker whose bond is gone already has nothing left to lose but this.
        let share = match multiply_divide(staked, taken, bond) {
            Some((share, rest)) => share.saturating_add(u128::from(rest > 0)),
            None => staked,
        };
        T::Stakes::slash(&pool, share);
    }

    /// As [`Self::close_and_slash`], with what is not the challenger's going to `to`.
    fn close_and_take(
        who: &T::AccountId,
        opened: u128,
        amount: u128,
        challenger: Option<&T::AccountId>,
        to: &T::AccountId,
    ) -> u128 {
        let Some(mut worker) = Workers::<T>::get(who) else {
            return 0;
        };
        worker.open = worker.open.saturating_sub(opened);
        let amount = amount.min(worker.bond);
        // Nobody is rewarded for its own guilt.
        let rewarded = challenger
            .filter(|challenger| *challenger != who)
            .map_or(0, |to| {
                Self::seize(who, to, amount.checked_div(CHALLENGER_PART).unwrap_or(0))
            });
        let rest = Self::seize(who, to, amount.saturating_sub(rewarded));
        let taken = rewarded.saturating_add(rest);
        worker.bond = worker.bond.saturating_sub(taken);
        // What is open comes before what wants to leave.
        let leaving = worker.bond.saturating_sub(worker.open);
        worker.unbonding = worker
            .unbonding
            .map(|unbonding| Unbonding {
                amount: unbonding.amount.min(leaving),
                ..unbonding
            })
            .filter(|unbonding| !unbonding.amount.is_zero());
        if !taken.is_zero() {
            Self::deposit_event(Event::Slashed {
                worker: who.clone(),
                amount: taken,
                rewarded,
            });
        }
        Self::keep(who, worker);
        taken
    }
}

impl<T: Config> Bonds<T::AccountId> for Pallet<T> {
    fn open(worker: &T::AccountId, value: u128) -> DispatchResult {
        Workers::<T>::try_mutate(worker, |record| {
            let record = record.as_mut().ok_or(Error::<T>::NotWorker)?;
            ensure!(value <= room(record), Error::<T>::BondInUse);
            record.open = record.open.saturating_add(value);
            Ok(())
        })
    }

    fn close(worker: &T::AccountId, value: u128) {
        Self::close_and_slash(worker, value, 0, None);
    }

    fn slash(worker: &T::AccountId, amount: u128, challenger: Option<&T::AccountId>) -> u128 {
        Self::close_and_slash(worker, 0, amount, challenger)
    }

    fn pay(worker: &T::AccountId, amount: u128, to: &T::AccountId) -> u128 {
        Self::close_and_take(worker, 0, amount, None, to)
    }
}

//! Whose bond counts when a committee is drawn.
//!
//! Bond that came after a dispute began does not: else whoever knows what was drawn could bond its way into a seat. A worker's
//! raises are kept as one sum with the block of the newest, so a dispute from before that block misses all of them, also those
//! that were there: a worker that adds to its bond is a little less likely to sit for a while, and never more. A sum as old as a
//! bond takes to leave is older than any dispute whose seats are still to be drawn, and is forgotten with the next raise.

use crate::{bonds::active, Config, Pallet, Raise, Raised, Workers};
use frame_support::traits::Get;
use openledger_protocol::{
    committees::Need,
    compute::{capability, Worker},
};
use openledger_traits::Attesters;

impl<T: Config> Pallet<T> {
    /// A worker added `amount` planck to its bond.
    pub(crate) fn raised(who: &T::AccountId, amount: u128) {
        let now = Self::now();
        let recent = Raised::<T>::get(who)
            .filter(|raise| now < raise.since.saturating_add(T::UnbondingPeriod::get()))
            .map_or(0, |raise| raise.amount);
        Raised::<T>::insert(
            who,
            Raise {
                since: now,
                amount: recent.saturating_add(amount),
            },
        );
    }
}

fn does_attest(worker: &Worker) -> bool {
    worker.capabilities & capability::ATTEST != 0
}

fn has(worker: &Worker, need: &Need) -> bool {
    need.machine
        .as_ref()
        .is_none_or(|(backend, arch)| worker.backend == *backend && worker.arch == *arch)
}

impl<T: Config> Attesters<T::AccountId> for Pallet<T> {
    fn bond(who: &T::AccountId, need: &Need, since: u32) -> Option<u128> {
        let worker = Workers::<T>::get(who)?;
        if !does_attest(&worker) || !has(&worker, need) {
            return None;
        }
        let later = Raised::<T>::get(who)
            .filter(|raise| raise.since >= since)
            .map_or(0, |raise| raise.amount);
        Some(active(&worker).saturating_sub(later)).filter(|bond| *bond >= T::MinBond::get())
    }

    fn attests(who: &T::AccountId) -> bool {
        Workers::<T>::get(who).is_some_and(|worker| does_attest(&worker))
    }

    fn machine(who: &T::AccountId) -> Need {
        Need {
            machine: Workers::<T>::get(who).map(|worker| (worker.backend, worker.arch)),
        }
    }
}

//! Stake behind whoever is accused. A challenge freezes the pool behind the accused worker, and so does a case before a
//! committee; the end of either, whatever it is, thaws it: once each. A challenge ends when its question is asked, and the case
//! that this opens goes on. What the worker's bond loses in between its pool loses in the same proportion, where the bond is kept
//! ([`openledger_traits::Bonds::slash`]).
//!
//! A request for data freezes nothing: it costs so little that anybody could keep a pool frozen, and stake that is asked back
//! waits longer than a batch's window and its longest dispute together.

use crate::pallet::{Config, Pallet};
use frame_support::dispatch::DispatchResult;
use openledger_protocol::staking::Pool;
use openledger_traits::Stakes;

impl<T: Config> Pallet<T> {
    /// A dispute about what `worker` did began.
    pub(crate) fn freeze(worker: &T::AccountId) -> DispatchResult {
        T::Stakes::freeze(&Pool::Worker(worker.clone()))
    }

    /// It ended, and what it costs was taken.
    pub(crate) fn thaw(worker: &T::AccountId) {
        T::Stakes::thaw(&Pool::Worker(worker.clone()));
    }
}

//! The order of each account's transactions.
//!
//! The node's own count lags: right after a block it may not see transactions that are still in its pool, and handing out a
//! number twice makes one transaction replace the other. So what this process has under way counts too.

use openledger_protocol::Account;
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

/// What this process knows of one account's numbers.
#[derive(Debug, Default)]
struct Known {
    /// Numbers of transactions that are neither included nor given up.
    under_way: BTreeSet<u64>,
    /// The first number after all included ones, and the block that showed it.
    included: Option<(u64, u32)>,
}

impl Known {
    /// The next number, given the node's count at block `head`.
    fn next(&self, node: u64, head: u32) -> u64 {
        let under_way = self.under_way.last().map_or(0, |last| last + 1);
        // A chain that is shorter now than when a number was included is another chain: a development node was restarted.
        let included = self
            .included
            .filter(|(_, block)| *block <= head)
            .map_or(0, |(next, _)| next);
        node.max(under_way).max(included)
    }
}

/// All accounts'.
#[derive(Debug, Default)]
pub(crate) struct Nonces {
    locks: Mutex<HashMap<Account, Arc<tokio::sync::Mutex<()>>>>,
    known: Mutex<HashMap<Account, Known>>,
}

impl Nonces {
    /// The lock under which an account's transactions are numbered and handed to the pool.
    pub(crate) fn lock(&self, account: &Account) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        locks.entry(*account).or_default().clone()
    }

    pub(crate) fn next(&self, account: &Account, node: u64, head: u32) -> u64 {
        self.with(account, |known| known.next(node, head))
    }

    pub(crate) fn start(&self, account: &Account, nonce: u64) {
        self.with(account, |known| {
            known.under_way.insert(nonce);
        });
    }

    /// It is in this block.
    pub(crate) fn included(&self, account: &Account, nonce: u64, block: u32) {
        self.with(account, |known| {
            known.under_way.remove(&nonce);
            let next = nonce + 1;
            known.included = Some(match known.included {
                Some((other, at)) if other > next && at <= block => (other, at),
                _ => (next, block),
            });
        });
    }

    /// It will not be included.
    pub(crate) fn given_up(&self, account: &Account, nonce: u64) {
        self.with(account, |known| {
            known.under_way.remove(&nonce);
        });
    }

    fn with<T>(&self, account: &Account, f: impl FnOnce(&mut Known) -> T) -> T {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        f(known.entry(*account).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHO: Account = [1; 32];

    #[test]
    fn what_is_under_way_is_not_handed_out_again() {
        let nonces = Nonces::default();
        assert_eq!(nonces.next(&WHO, 5, 10), 5);
        nonces.start(&WHO, 5);
        nonces.start(&WHO, 6);
        // The node has not seen them yet.
        assert_eq!(nonces.next(&WHO, 5, 10), 7);
        nonces.included(&WHO, 6, 11);
        nonces.included(&WHO, 5, 11);
        // It still lags.
        assert_eq!(nonces.next(&WHO, 5, 11), 7);
        // Another program sent more.
        assert_eq!(nonces.next(&WHO, 9, 12), 9);
    }

    #[test]
    fn a_number_that_was_given_up_is_used_again() {
        let nonces = Nonces::default();
        nonces.start(&WHO, 3);
        nonces.given_up(&WHO, 3);
        assert_eq!(nonces.next(&WHO, 3, 1), 3);
    }

    #[test]
    fn a_chain_that_started_again_starts_the_numbers_again() {
        let nonces = Nonces::default();
        nonces.start(&WHO, 3);
        nonces.included(&WHO, 3, 100);
        assert_eq!(nonces.next(&WHO, 0, 2), 0);
    }
}

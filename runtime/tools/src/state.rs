//! A state in memory that counts which keys are read and written, and can be put back to how it began: what the runtime's
//! side of a benchmark asks of its host.

use sp_core::storage::{ChildInfo, TrackedStorageKey};
use sp_runtime::traits::BlakeTwo256;
use sp_state_machine::{
    backend::StorageIterator, Backend, BackendTransaction, ChildStorageCollection, InMemoryBackend, IterArgs,
    StateMachineStats, StorageCollection, StorageKey, StorageValue, UsageInfo,
};
use sp_storage::{StateVersion, Storage};
use sp_trie::MerkleValue;
use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap, HashSet},
};

type Memory = InMemoryBackend<BlakeTwo256>;
type Key = (Option<Vec<u8>>, Vec<u8>);
type HashOut = sp_core::H256;

/// A state that begins as a genesis.
pub(crate) struct State {
    genesis: Memory,
    now: RefCell<Memory>,
    /// Reads and writes of each key since the last reset.
    seen: RefCell<HashMap<Key, (u32, u32)>>,
    whitelist: RefCell<Vec<TrackedStorageKey>>,
    counts: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a state in memory")
    }
}

impl State {
    /// The state of `genesis`; it counts when `counts`, which takes time.
    pub(crate) fn new(genesis: Storage, counts: bool) -> Self {
        let genesis = Memory::from((genesis, StateVersion::V1));
        State {
            now: RefCell::new(genesis.clone()),
            genesis,
            seen: RefCell::default(),
            whitelist: RefCell::default(),
            counts,
        }
    }

    fn count(&self, child: Option<&ChildInfo>, key: &[u8], writes: bool) {
        if self.counts {
            let mut seen = self.seen.borrow_mut();
            let (read, written) = seen
                .entry((child.map(|child| child.storage_key().to_vec()), key.to_vec()))
                .or_default();
            *(if writes { written } else { read }) += 1;
        }
    }

    /// Every key that is not on the whitelist, with its reads and writes.
    fn counted(&self) -> Vec<(Key, (u32, u32))> {
        let whitelist = self.whitelist.borrow();
        let free: HashSet<_> = whitelist
            .iter()
            .map(|key| (key.child_trie_key.clone(), key.key.clone()))
            .collect();
        let seen = self.seen.borrow();
        seen.iter()
            .filter(|(key, _)| !free.contains(key))
            .map(|(key, counts)| (key.clone(), *counts))
            .collect()
    }
}

/// Iterates over keys, each a read.
pub(crate) struct Iter {
    inner: <Memory as Backend<BlakeTwo256>>::RawIter,
    child: Option<ChildInfo>,
}

impl StorageIterator<BlakeTwo256> for Iter {
    type Backend = State;
    type Error = String;

    fn next_key(&mut self, backend: &State) -> Option<Result<StorageKey, String>> {
        let next = self.inner.next_key(&backend.now.borrow());
        if let Some(Ok(key)) = &next {
            backend.count(self.child.as_ref(), key, false);
        }
        next
    }

    fn next_pair(&mut self, backend: &State) -> Option<Result<(StorageKey, StorageValue), String>> {
        let next = self.inner.next_pair(&backend.now.borrow());
        if let Some(Ok((key, _))) = &next {
            backend.count(self.child.as_ref(), key, false);
        }
        next
    }

    fn was_complete(&self) -> bool {
        self.inner.was_complete()
    }
}

impl Backend<BlakeTwo256> for State {
    type Error = String;
    type TrieBackendStorage = BackendTransaction<BlakeTwo256>;
    type RawIter = Iter;

    fn storage(&self, key: &[u8]) -> Result<Option<StorageValue>, String> {
        self.count(None, key, false);
        self.now.borrow().storage(key)
    }

    fn storage_hash(&self, key: &[u8]) -> Result<Option<HashOut>, String> {
        self.count(None, key, false);
        self.now.borrow().storage_hash(key)
    }

    fn closest_merkle_value(&self, key: &[u8]) -> Result<Option<MerkleValue<HashOut>>, String> {
        self.count(None, key, false);
        self.now.borrow().closest_merkle_value(key)
    }

    fn child_closest_merkle_value(
        &self,
        child: &ChildInfo,
        key: &[u8],
    ) -> Result<Option<MerkleValue<HashOut>>, String> {
        self.count(Some(child), key, false);
        self.now.borrow().child_closest_merkle_value(child, key)
    }

    fn child_storage(&self, child: &ChildInfo, key: &[u8]) -> Result<Option<StorageValue>, String> {
        self.count(Some(child), key, false);
        self.now.borrow().child_storage(child, key)
    }

    fn child_storage_hash(&self, child: &ChildInfo, key: &[u8]) -> Result<Option<HashOut>, String> {
        self.count(Some(child), key, false);
        self.now.borrow().child_storage_hash(child, key)
    }

    fn next_storage_key(&self, key: &[u8]) -> Result<Option<StorageKey>, String> {
        self.count(None, key, false);
        self.now.borrow().next_storage_key(key)
    }

    fn next_child_storage_key(&self, child: &ChildInfo, key: &[u8]) -> Result<Option<StorageKey>, String> {
        self.count(Some(child), key, false);
        self.now.borrow().next_child_storage_key(child, key)
    }

    fn storage_root<'a>(
        &self,
        delta: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
        version: StateVersion,
    ) -> (HashOut, BackendTransaction<BlakeTwo256>) {
        self.now.borrow().storage_root(delta, version)
    }

    fn child_storage_root<'a>(
        &self,
        child: &ChildInfo,
        delta: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
        version: StateVersion,
    ) -> (HashOut, bool, BackendTransaction<BlakeTwo256>) {
        self.now.borrow().child_storage_root(child, delta, version)
    }

    fn raw_iter(&self, args: IterArgs) -> Result<Iter, String> {
        let child = args.child_info.clone();
        Ok(Iter {
            inner: self.now.borrow().raw_iter(args)?,
            child,
        })
    }

    fn register_overlay_stats(&self, _: &StateMachineStats) {}

    fn usage_info(&self) -> UsageInfo {
        UsageInfo::empty()
    }

    fn wipe(&self) -> Result<(), String> {
        *self.now.borrow_mut() = self.genesis.clone();
        self.reset_read_write_count();
        Ok(())
    }

    fn commit(
        &self,
        root: HashOut,
        transaction: BackendTransaction<BlakeTwo256>,
        main: StorageCollection,
        children: ChildStorageCollection,
    ) -> Result<(), String> {
        self.now.borrow_mut().apply_transaction(root, transaction);
        for (key, _) in &main {
            self.count(None, key, true);
        }
        for (child, changes) in &children {
            let child = ChildInfo::new_default(child);
            for (key, _) in changes {
                self.count(Some(&child), key, true);
            }
        }
        Ok(())
    }

    /// Keys read, further reads of them, keys written, further writes of them.
    fn read_write_count(&self) -> (u32, u32, u32, u32) {
        self.counted()
            .iter()
            .fold((0, 0, 0, 0), |sum, (_, (reads, writes))| {
                (
                    sum.0 + (*reads).min(1),
                    sum.1 + reads.saturating_sub(1),
                    sum.2 + (*writes).min(1),
                    sum.3 + writes.saturating_sub(1),
                )
            })
    }

    fn reset_read_write_count(&self) {
        self.seen.borrow_mut().clear();
    }

    fn get_whitelist(&self) -> Vec<TrackedStorageKey> {
        self.whitelist.borrow().clone()
    }

    fn set_whitelist(&self, new: Vec<TrackedStorageKey>) {
        *self.whitelist.borrow_mut() = new;
    }

    fn proof_size(&self) -> Option<u32> {
        // No block of this chain carries a proof; what one would weigh is computed from the keys.
        None
    }

    /// Keys read and written by the item they belong to, which their first 32 bytes name.
    fn get_read_and_written_keys(&self) -> Vec<(Vec<u8>, u32, u32, bool)> {
        let mut items = BTreeMap::<Vec<u8>, (u32, u32)>::new();
        for ((_, key), (reads, writes)) in self.counted() {
            let item = items.entry(key.iter().take(32).copied().collect()).or_default();
            item.0 += reads.min(1);
            item.1 += writes.min(1);
        }
        items
            .into_iter()
            .map(|(key, (reads, writes))| (key, reads, writes, false))
            .collect()
    }
}

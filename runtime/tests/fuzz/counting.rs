//! Externalities that count which keys of the state are touched, whatever the overlay already knows of them.
//!
//! A key counts as read the first time it is asked for and as written the first time it is changed since the last
//! [`start`]: what a weight has to pay for. The values' lengths are summed as well: what a proof would have to carry.

use sp_externalities::{Extension, ExtensionStore, Externalities, MultiRemovalResults};
use sp_storage::{ChildInfo, StateVersion, TrackedStorageKey};
use std::{
    any::{Any, TypeId},
    cell::RefCell,
    collections::HashMap,
};

/// What was touched since the last [`start`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Touched {
    keys: HashMap<Vec<u8>, (bool, bool)>,
    /// Bytes of the values read.
    pub(crate) bytes: u64,
}

impl Touched {
    /// Keys read and keys written that `counts` does not leave out.
    pub(crate) fn counts(&self, counts: impl Fn(&[u8]) -> bool) -> (u64, u64) {
        let kept = self.keys.iter().filter(|(key, _)| counts(key));
        kept.fold((0, 0), |sum, (_, (read, written))| {
            (sum.0 + u64::from(*read), sum.1 + u64::from(*written))
        })
    }
}

thread_local! {
    static TOUCHED: RefCell<Touched> = RefCell::default();
}

/// Counts anew.
pub(crate) fn start() {
    TOUCHED.with_borrow_mut(|touched| *touched = Touched::default());
}

/// What was touched since.
pub(crate) fn stop() -> Touched {
    TOUCHED.take()
}

fn read(key: &[u8], length: usize) {
    TOUCHED.with_borrow_mut(|touched| {
        let entry = touched.keys.entry(key.to_vec()).or_default();
        if !entry.0 && !entry.1 {
            entry.0 = true;
            touched.bytes += length as u64;
        }
    });
}

fn written(key: &[u8]) {
    TOUCHED.with_borrow_mut(|touched| touched.keys.entry(key.to_vec()).or_default().1 = true);
}

fn child(info: &ChildInfo, key: &[u8]) -> Vec<u8> {
    [info.storage_key(), key].concat()
}

/// Counts around `inner`.
pub(crate) struct Counting<'a>(pub(crate) &'a mut dyn Externalities);

impl ExtensionStore for Counting<'_> {
    fn extension_by_type_id(&mut self, id: TypeId) -> Option<&mut dyn Any> {
        self.0.extension_by_type_id(id)
    }
    fn register_extension_with_type_id(
        &mut self,
        id: TypeId,
        extension: Box<dyn Extension>,
    ) -> Result<(), sp_externalities::Error> {
        self.0.register_extension_with_type_id(id, extension)
    }
    fn deregister_extension_by_type_id(&mut self, id: TypeId) -> Result<(), sp_externalities::Error> {
        self.0.deregister_extension_by_type_id(id)
    }
}

impl Externalities for Counting<'_> {
    fn set_offchain_storage(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.0.set_offchain_storage(key, value)
    }
    fn storage(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        let value = self.0.storage(key);
        read(key, value.as_ref().map_or(0, Vec::len));
        value
    }
    fn storage_hash(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        read(key, 32);
        self.0.storage_hash(key)
    }
    fn child_storage_hash(&mut self, info: &ChildInfo, key: &[u8]) -> Option<Vec<u8>> {
        read(&child(info, key), 32);
        self.0.child_storage_hash(info, key)
    }
    fn child_storage(&mut self, info: &ChildInfo, key: &[u8]) -> Option<Vec<u8>> {
        let value = self.0.child_storage(info, key);
        read(&child(info, key), value.as_ref().map_or(0, Vec::len));
        value
    }
    fn exists_storage(&mut self, key: &[u8]) -> bool {
        read(key, 0);
        self.0.exists_storage(key)
    }
    fn exists_child_storage(&mut self, info: &ChildInfo, key: &[u8]) -> bool {
        read(&child(info, key), 0);
        self.0.exists_child_storage(info, key)
    }
    fn next_storage_key(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        let next = self.0.next_storage_key(key);
        if let Some(next) = &next {
            read(next, next.len());
        }
        next
    }
    fn next_child_storage_key(&mut self, info: &ChildInfo, key: &[u8]) -> Option<Vec<u8>> {
        let next = self.0.next_child_storage_key(info, key);
        if let Some(next) = &next {
            read(&child(info, next), next.len());
        }
        next
    }
    fn kill_child_storage(
        &mut self,
        info: &ChildInfo,
        limit: Option<u32>,
        cursor: Option<&[u8]>,
    ) -> MultiRemovalResults {
        self.0.kill_child_storage(info, limit, cursor)
    }
    fn clear_prefix(
        &mut self,
        prefix: &[u8],
        limit: Option<u32>,
        cursor: Option<&[u8]>,
    ) -> MultiRemovalResults {
        self.0.clear_prefix(prefix, limit, cursor)
    }
    fn clear_child_prefix(
        &mut self,
        info: &ChildInfo,
        prefix: &[u8],
        limit: Option<u32>,
        cursor: Option<&[u8]>,
    ) -> MultiRemovalResults {
        self.0.clear_child_prefix(info, prefix, limit, cursor)
    }
    fn place_storage(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        written(&key);
        self.0.place_storage(key, value)
    }
    fn place_child_storage(&mut self, info: &ChildInfo, key: Vec<u8>, value: Option<Vec<u8>>) {
        written(&child(info, &key));
        self.0.place_child_storage(info, key, value)
    }
    fn storage_root(&mut self, version: StateVersion) -> Vec<u8> {
        self.0.storage_root(version)
    }
    fn child_storage_root(&mut self, info: &ChildInfo, version: StateVersion) -> Vec<u8> {
        self.0.child_storage_root(info, version)
    }
    fn storage_append(&mut self, key: Vec<u8>, value: Vec<u8>) {
        written(&key);
        self.0.storage_append(key, value)
    }
    fn storage_start_transaction(&mut self) {
        self.0.storage_start_transaction()
    }
    fn storage_rollback_transaction(&mut self) -> Result<(), ()> {
        self.0.storage_rollback_transaction()
    }
    fn storage_commit_transaction(&mut self) -> Result<(), ()> {
        self.0.storage_commit_transaction()
    }
    fn wipe(&mut self) {
        self.0.wipe()
    }
    fn commit(&mut self) {
        self.0.commit()
    }
    fn read_write_count(&self) -> (u32, u32, u32, u32) {
        self.0.read_write_count()
    }
    fn reset_read_write_count(&mut self) {
        self.0.reset_read_write_count()
    }
    fn get_whitelist(&self) -> Vec<TrackedStorageKey> {
        self.0.get_whitelist()
    }
    fn set_whitelist(&mut self, new: Vec<TrackedStorageKey>) {
        self.0.set_whitelist(new)
    }
    fn get_read_and_written_keys(&self) -> Vec<(Vec<u8>, u32, u32, bool)> {
        self.0.get_read_and_written_keys()
    }
}

//! Where adapters are: on disk under their hash, on the host, on the device. Each faster place holds what fits its budget, the least
//! recently used leave first; what a request under way reads, or what is pinned, stays on the device.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openledger_model::{Adapter, Hash};

use crate::backend::{Backend, FaultKind};
use crate::engine::Model;
use crate::error::{Error, Result};
use crate::net::{DeviceAdapter, Net};

/// How much of each place adapters may take, in bytes of their weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budgets {
    /// On the host, for adapters that are also on disk; those given from memory are kept and not counted.
    pub host: usize,
    /// On the device.
    pub device: usize,
}

impl Default for Budgets {
    fn default() -> Self {
        Budgets {
            host: 4 << 30,
            device: 2 << 30,
        }
    }
}

/// What the cache did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AdapterStats {
    /// Names that are registered.
    pub registered: usize,
    /// Adapters on the device.
    pub on_device: usize,
    /// Bytes on the device.
    pub device_bytes: usize,
    /// Bytes on the host that could leave it.
    pub host_bytes: usize,
    /// Copies from the host to the device.
    pub uploads: u64,
    /// Reads from disk.
    pub reads: u64,
}

#[derive(Clone)]
struct Registered {
    hash: Hash,
    pinned: bool,
}

struct Held<T> {
    value: T,
    bytes: usize,
    used: u64,
}

/// Where an adapter comes from when the host does not have it.
#[derive(Clone)]
enum Source {
    Memory(Arc<Adapter>),
    Folder(PathBuf),
}

struct Inner<T> {
    names: BTreeMap<String, Registered>,
    sources: BTreeMap<Hash, Source>,
    host: BTreeMap<Hash, Held<Arc<Adapter>>>,
    device: BTreeMap<Hash, Held<Arc<DeviceAdapter<T>>>>,
    budgets: Budgets,
    clock: u64,
    uploads: u64,
    reads: u64,
}

/// The adapters of one engine.
pub(crate) struct Adapters<B: Backend> {
    net: Arc<Net<B>>,
    inner: Mutex<Inner<B::Buf>>,
}

/// What a request will read.
pub(crate) struct Found<T> {
    pub(crate) name: String,
    pub(crate) hash: Hash,
    /// The adapter, if it is on the device.
    pub(crate) ready: Option<Arc<DeviceAdapter<T>>>,
}

impl<B: Backend> Adapters<B> {
    pub(crate) fn new(net: Arc<Net<B>>, budgets: Budgets) -> Self {
        let inner = Inner {
            names: BTreeMap::new(),
            sources: BTreeMap::new(),
            host: BTreeMap::new(),
            device: BTreeMap::new(),
            budgets,
            clock: 0,
            uploads: 0,
            reads: 0,
        };
        Adapters {
            net,
            inner: Mutex::new(inner),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<B::Buf>> {
        // Every change is whole before anything in it can panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers an adapter from memory, in place of one of the same name, and puts it on the device.
    pub(crate) fn register(&self, name: &str, adapter: &Adapter) -> Result<Hash> {
        let ready = DeviceAdapter::new(&self.net.backend, self.net.config(), adapter)?;
        let hash = ready.hash;
        let mut inner = self.lock();
        inner.name(name, hash, Source::Memory(Arc::new(adapter.clone())));
        if !inner.device.contains_key(&hash) {
            inner.keep(Arc::new(ready), adapter.bytes());
        }
        Ok(hash)
    }

    /// Registers an adapter by its folder; it is read when a request first asks for it, and must then have this hash.
    pub(crate) fn register_folder(&self, name: &str, hash: Hash, folder: &Path) {
        self.lock().name(name, hash, Source::Folder(folder.to_owned()));
    }

    pub(crate) fn unregister(&self, name: &str) -> bool {
        let mut inner = self.lock();
        let Some(gone) = inner.names.remove(name) else {
            return false;
        };
        inner.forget_if_unnamed(gone.hash);
        true
    }

    pub(crate) fn pin(&self, name: &str, pinned: bool) -> Result<()> {
        match self.lock().names.get_mut(name) {
            Some(entry) => {
                entry.pinned = pinned;
                Ok(())
            }
            None => Err(Error::UnknownAdapter(name.to_owned())),
        }
    }

    pub(crate) fn list(&self) -> Vec<(String, Hash)> {
        self.lock()
            .names
            .iter()
            .map(|(name, r)| (name.clone(), r.hash))
            .collect()
    }

    pub(crate) fn set_budgets(&self, budgets: Budgets) {
        let mut inner = self.lock();
        inner.budgets = budgets;
        inner.shrink_device(0);
        inner.shrink_host();
    }

    pub(crate) fn stats(&self) -> AdapterStats {
        let inner = self.lock();
        AdapterStats {
            registered: inner.names.len(),
            on_device: inner.device.len(),
            device_bytes: inner.device.values().map(|h| h.bytes).sum(),
            host_bytes: inner.host.values().map(|h| h.bytes).sum(),
            uploads: inner.uploads,
            reads: inner.reads,
        }
    }

    /// Lets go of every adapter on the device that may leave it; false if there was none.
    pub(crate) fn release(&self) -> bool {
        let mut inner = self.lock();
        let leaving = inner.leaving();
        for (_, hash, _) in &leaving {
            inner.device.remove(hash);
        }
        !leaving.is_empty()
    }

    /// Looks a model up; never waits. The base is `None`.
    pub(crate) fn find(&self, model: &Model) -> Result<Option<Found<B::Buf>>> {
        let mut inner = self.lock();
        let (name, hash) = match model {
            Model::Base => return Ok(None),
            Model::Adapter(name) => match inner.names.get(name) {
                Some(r) => (name.clone(), r.hash),
                None => return Err(Error::UnknownAdapter(name.clone())),
            },
            Model::AdapterHash(hash) => match inner.names.iter().find(|(_, r)| r.hash == *hash) {
                Some((name, r)) => (name.clone(), r.hash),
                None => {
                    let hex: String = hash.iter().map(|b| format!("{b:02x}")).collect();
                    return Err(Error::UnknownAdapter(hex));
                }
            },
        };
        let now = inner.tick();
        let ready = inner.device.get_mut(&hash).map(|held| {
            held.used = now;
            held.value.clone()
        });
        Ok(Some(Found { name, hash, ready }))
    }

    /// Brings an adapter to the device, from wherever it is. Waits for disk and copy, holding up nobody else.
    pub(crate) fn load(&self, hash: &Hash) -> Result<Arc<DeviceAdapter<B::Buf>>> {
        let (on_host, source) = {
            let mut inner = self.lock();
            let now = inner.tick();
            if let Some(held) = inner.device.get_mut(hash) {
                held.used = now;
                return Ok(held.value.clone());
            }
            let on_host = inner.host.get_mut(hash).map(|held| {
                held.used = now;
                held.value.clone()
            });
            (on_host, inner.sources.get(hash).cloned())
        };
        let adapter = match (on_host, source) {
            (Some(adapter), _) | (None, Some(Source::Memory(adapter))) => adapter,
            (None, Some(Source::Folder(folder))) => {
                let adapter = Arc::new(Adapter::load(&folder, self.net.config())?);
                if adapter.hash() != *hash {
                    let hex = |h: &Hash| h.iter().map(|b| format!("{b:02x}")).collect::<String>();
                    return Err(Error::Changed {
                        folder,
                        wanted: hex(hash),
                        found: hex(&adapter.hash()),
                    });
                }
                let mut inner = self.lock();
                inner.reads += 1;
                let used = inner.tick();
                let held = Held {
                    bytes: adapter.bytes(),
                    value: adapter.clone(),
                    used,
                };
                inner.host.insert(*hash, held);
                inner.shrink_host();
                adapter
            }
            (None, None) => {
                let hex: String = hash.iter().map(|b| format!("{b:02x}")).collect();
                return Err(Error::UnknownAdapter(hex));
            }
        };
        // Others leave before it comes, so that the budget is never exceeded by what may leave.
        self.lock().shrink_device(adapter.bytes());
        let upload = || DeviceAdapter::new(&self.net.backend, self.net.config(), &adapter);
        let ready = Arc::new(match upload() {
            Err(Error::Device(fault)) if fault.kind == FaultKind::Memory && self.release() => upload()?,
            other => other?,
        });
        let mut inner = self.lock();
        inner.uploads += 1;
        Ok(inner.keep(ready, adapter.bytes()))
    }
}

impl<T> Inner<T> {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn name(&mut self, name: &str, hash: Hash, source: Source) {
        let pinned = self.names.get(name).is_some_and(|r| r.pinned);
        let before = self.names.insert(name.to_owned(), Registered { hash, pinned });
        self.sources.insert(hash, source);
        if let Some(before) = before.filter(|b| b.hash != hash) {
            self.forget_if_unnamed(before.hash);
        }
    }

    fn forget_if_unnamed(&mut self, hash: Hash) {
        if self.names.values().all(|r| r.hash != hash) {
            self.sources.remove(&hash);
            self.host.remove(&hash);
            self.device.remove(&hash);
        }
    }

    /// Puts an adapter on the device's list, or gives the one that came first.
    fn keep(&mut self, ready: Arc<DeviceAdapter<T>>, bytes: usize) -> Arc<DeviceAdapter<T>> {
        let used = self.tick();
        self.shrink_device(bytes);
        let held = self.device.entry(ready.hash).or_insert(Held {
            value: ready,
            bytes,
            used,
        });
        held.value.clone()
    }

    /// Makes room on the device for `coming` bytes as far as adapters may leave.
    fn shrink_device(&mut self, coming: usize) {
        let mut total: usize = coming + self.device.values().map(|h| h.bytes).sum::<usize>();
        if total <= self.budgets.device {
            return;
        }
        for (_, hash, bytes) in self.leaving() {
            if total <= self.budgets.device {
                break;
            }
            self.device.remove(&hash);
            total -= bytes;
        }
    }

    /// What may leave the device: when it was used last, hash and bytes, the least recently used first.
    fn leaving(&self) -> Vec<(u64, Hash, usize)> {
        let pinned = |hash: &Hash| self.names.values().any(|r| r.pinned && r.hash == *hash);
        let mut leaving: Vec<(u64, Hash, usize)> = self
            .device
            .iter()
            .filter(|(hash, held)| Arc::strong_count(&held.value) == 1 && !pinned(hash))
            .map(|(hash, held)| (held.used, *hash, held.bytes))
            .collect();
        leaving.sort_unstable();
        leaving
    }

    fn shrink_host(&mut self) {
        let mut total: usize = self.host.values().map(|h| h.bytes).sum();
        while total > self.budgets.host {
            let Some(hash) = self.host.iter().min_by_key(|(_, h)| h.used).map(|(h, _)| *h) else {
                break;
            };
            if let Some(held) = self.host.remove(&hash) {
                total -= held.bytes;
            }
        }
    }
}

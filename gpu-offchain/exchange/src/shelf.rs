//! What is given to others: what a store publishes and does not deny.

use openledger_content::{Cid, Error, Result, Shared, Store, MAX_BLOCK};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

/// Where blocks for others come from.
pub trait Source: Send + Sync + 'static {
    /// A block, none if it is not here or not for others.
    fn block(&self, cid: &Cid) -> Option<Vec<u8>>;

    /// Whether a block is here for others.
    fn has(&self, cid: &Cid) -> bool;

    /// Whether a block is not even to be fetched.
    fn denies(&self, cid: &Cid) -> bool;

    /// Files to be announced.
    fn roots(&self) -> Vec<Cid>;

    /// The blocks that show that a file is held, as [`Store::prove_held`] gives them.
    ///
    /// Errors: it is not held, or not for others.
    fn prove(&self, root: &Cid, seed: &[u8; 32]) -> Result<Vec<Vec<u8>>>;
}

/// A store's published content.
pub struct Shelf {
    store: Arc<Store>,
    lists: Mutex<Option<Lists>>,
}

struct Lists {
    shared: Arc<Shared>,
    /// When the lists changed last, as far as the disk tells.
    changed: Option<SystemTime>,
    read: SystemTime,
}

/// A change this shortly before reading may have a second one behind it with the same time.
const TICK: Duration = Duration::from_millis(50);

impl Shelf {
    /// Of this store.
    pub fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            lists: Mutex::new(None),
        }
    }

    /// The lists as they are now. Read again only after they changed, for there is a file for each file.
    fn shared(&self) -> Result<Arc<Shared>> {
        let changed = self.store.shared_since();
        let mut lists = self.lists.lock().unwrap_or_else(|held| held.into_inner());
        if let Some(lists) = &*lists {
            let settled = changed.is_none_or(|changed| changed + TICK < lists.read);
            if lists.changed == changed && settled {
                return Ok(lists.shared.clone());
            }
        }
        let read = SystemTime::now();
        let shared = Arc::new(self.store.shared()?);
        *lists = Some(Lists {
            shared: shared.clone(),
            changed,
            read,
        });
        Ok(shared)
    }

    fn allows(&self, cid: &Cid) -> bool {
        match self.shared() {
            Ok(shared) => shared.allows(cid),
            Err(error) => {
                tracing::warn!(%error, "nothing is given while the lists cannot be read");
                false
            }
        }
    }
}

impl Source for Shelf {
    fn block(&self, cid: &Cid) -> Option<Vec<u8>> {
        if !self.allows(cid) || self.store.size(cid).ok()? > MAX_BLOCK as u64 {
            return None;
        }
        match self.store.get(cid) {
            Ok(block) => Some(block),
            Err(error) => {
                tracing::warn!(%error, "a published block cannot be given");
                None
            }
        }
    }

    fn has(&self, cid: &Cid) -> bool {
        self.allows(cid) && self.store.has(cid)
    }

    fn denies(&self, cid: &Cid) -> bool {
        // If the lists cannot be read, nothing is fetched.
        self.shared().map_or(true, |shared| shared.denies(cid))
    }

    fn roots(&self) -> Vec<Cid> {
        self.shared().map_or(Vec::new(), |shared| shared.roots().to_vec())
    }

    fn prove(&self, root: &Cid, seed: &[u8; 32]) -> Result<Vec<Vec<u8>>> {
        if !self.allows(root) {
            return Err(Error::Missing(*root));
        }
        self.store.prove_held(root, seed)
    }
}

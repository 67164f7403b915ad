//! A whole file: its tree walked from the root, each block from whoever has it, in bounded memory.
//!
//! A node is kept after all that it lists: a fetch that was cut off leaves no file that looks whole, and the next one
//! takes what is here already. At most a window of blocks is in memory, and the unfinished nodes.

use crate::{bitswap::Refusal, Error, Exchange, Result};
use futures::{stream::FuturesUnordered, StreamExt};
use libp2p::PeerId;
use openledger_content::{parts, Cid, Codec, Store, MAX_BLOCK};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::sync::watch;

/// Nodes between a file and its leaves; more than any file needs.
const MAX_DEPTH: usize = 6;

/// Waited before providers are looked up again, doubled each time.
const PAUSE: Duration = Duration::from_millis(250);

/// Reasons that an error lists.
const REASONS: usize = 8;

/// How far a fetch has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Blocks that came and were kept.
    pub fetched_blocks: u64,
    /// Their bytes.
    pub fetched_bytes: u64,
    /// Blocks that were here already.
    pub here_blocks: u64,
}

/// How a file is fetched.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// Peers to ask first. If none of them has a block, those that announce it are looked up.
    pub peers: Vec<PeerId>,
    /// Most bytes of all blocks.
    pub most: u64,
    /// Told how far it has come.
    pub progress: Option<watch::Sender<Progress>>,
}

impl Default for Fetch {
    fn default() -> Self {
        Self {
            peers: Vec::new(),
            most: 16 << 30,
            progress: None,
        }
    }
}

/// A file that was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Bytes of its blocks, those that were here already too; each counted once.
    pub bytes: u64,
    /// How many blocks came, and how many were here.
    pub progress: Progress,
    /// Blocks that each peer gave.
    pub from: BTreeMap<PeerId, u64>,
}

/// Peers that may have the file.
struct Crowd {
    exchange: Exchange,
    root: Cid,
    peers: Mutex<Vec<PeerId>>,
    /// How often providers were looked up.
    looked: tokio::sync::Mutex<u32>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|held| held.into_inner())
}

impl Crowd {
    /// Those not asked yet of which the least is expected, the first first.
    fn next(&self, asked: &[PeerId]) -> Option<PeerId> {
        let peers = lock(&self.peers).clone();
        let usable = peers
            .into_iter()
            .filter(|peer| !asked.contains(peer) && !self.exchange.bitswap.shuns(peer));
        usable.min_by_key(|peer| self.exchange.bitswap.load(peer))
    }

    /// Looks up who announces the file, for a caller that has seen `round` look-ups fail; many may wait for one.
    async fn look_up(&self, round: u32) -> Result<()> {
        let mut looked = self.looked.lock().await;
        if *looked > round {
            return Ok(());
        }
        if round > 0 {
            tokio::time::sleep(PAUSE * 2u32.saturating_pow(round.min(6) - 1)).await;
        }
        let found = self.exchange.network.providers(&self.root).await?;
        // Whoever is connected may have it without saying so, as IPFS programs do that are not in our Kademlia.
        let connected = self.exchange.network.connected().await?;
        let mut peers = lock(&self.peers);
        for peer in found.into_iter().chain(connected) {
            if !peers.contains(&peer) {
                peers.push(peer);
            }
        }
        *looked = round + 1;
        Ok(())
    }

    /// A block from somebody; in later rounds those who had it not are asked again.
    async fn block(&self, cid: Cid) -> Result<(Vec<u8>, PeerId)> {
        let mut reasons: Vec<String> = Vec::new();
        // Peers named by the caller come before the first look-up.
        let mut round = 0;
        loop {
            let mut asked = Vec::new();
            while let Some(peer) = self.next(&asked) {
                asked.push(peer);
                match self.exchange.bitswap.want(peer, cid).await {
                    Ok(block) => return Ok((block, peer)),
                    Err(refusal) => {
                        let again = matches!(refusal, Refusal::Corrupt);
                        tracing::debug!(%cid, %peer, %refusal, again, "asking the next peer");
                        if reasons.len() < REASONS {
                            reasons.push(format!("{peer} {refusal}"));
                        }
                    }
                }
            }
            if round >= self.exchange.limits.rounds {
                reasons.dedup();
                let why = if reasons.is_empty() {
                    "nobody is known to have it".into()
                } else {
                    reasons.join("; ")
                };
                return Err(Error::NotFound { cid, why });
            }
            self.look_up(round).await?;
            round += 1;
        }
    }
}

/// A node whose parts are not all here.
struct Node {
    cid: Cid,
    block: Vec<u8>,
    /// Whether it is to be written.
    is_new: bool,
    /// Parts that are missing.
    left: usize,
    /// Nodes that list it.
    parents: Vec<usize>,
}

/// A block with where it belongs.
struct Wanted {
    cid: Cid,
    parent: Option<usize>,
    depth: usize,
}

/// What became of a wanted block: its bytes, unless it is a leaf, which is kept already.
struct Arrived {
    wanted: Wanted,
    bytes: u64,
    node: Option<Vec<u8>>,
    from: Option<PeerId>,
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Ended)
}

/// A block that is here and whole.
fn here(store: &Store, cid: &Cid) -> Result<Option<Vec<u8>>> {
    use openledger_content::Error::{Corrupt, Missing};
    if store.size(cid).unwrap_or(0) > MAX_BLOCK as u64 {
        return Ok(None);
    }
    match store.get(cid) {
        Ok(block) => Ok(Some(block)),
        Err(Missing(_) | Corrupt(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn arrive(crowd: Arc<Crowd>, wanted: Wanted) -> Result<Arrived> {
    let cid = wanted.cid;
    let (source, store) = (crowd.exchange.source.clone(), crowd.exchange.store.clone());
    let found = blocking(move || match source.denies(&cid) {
        true => Err(openledger_content::Error::Denied(cid).into()),
        false => here(&store, &cid),
    });
    let (block, from) = match found.await?? {
        Some(block) => (block, None),
        None => {
            let (block, from) = crowd.block(cid).await?;
            (block, Some(from))
        }
    };
    let bytes = block.len() as u64;
    let node = match cid.codec() {
        Codec::DagPb => Some(block),
        Codec::Raw => {
            if from.is_some() {
                let store = crowd.exchange.store.clone();
                blocking(move || store.put_expected(&cid, &block)).await??;
            }
            None
        }
    };
    Ok(Arrived {
        wanted,
        bytes,
        node,
        from,
    })
}

impl Exchange {
    /// Fetches a file into the store, whole: what is here already is checked and kept, the rest is asked of others.
    ///
    /// Errors: nobody has a block, after asking and looking up several times; a block is on the block list; the file
    /// is over the limit, or is none. What came until then stays.
    pub async fn fetch(&self, cid: &Cid, how: &Fetch) -> Result<Fetched> {
        let crowd = Arc::new(Crowd {
            exchange: self.clone(),
            root: *cid,
            peers: Mutex::new(how.peers.clone()),
            looked: tokio::sync::Mutex::new(0),
        });
        let mut progress = Progress::default();
        let mut from = BTreeMap::new();
        let mut total = 0u64;
        let mut ahead = vec![Wanted {
            cid: *cid,
            parent: None,
            depth: 0,
        }];
        let mut coming = FuturesUnordered::new();
        // Blocks on their way, with the other nodes that list them.
        let mut under_way: HashMap<Cid, Vec<usize>> = HashMap::new();
        let mut nodes: HashMap<usize, Node> = HashMap::new();
        let mut unfinished: HashMap<Cid, usize> = HashMap::new();
        let mut next_node = 0;
        loop {
            while coming.len() < self.limits.window.max(1) {
                let Some(wanted) = ahead.pop() else { break };
                if let Some(others) = under_way.get_mut(&wanted.cid) {
                    others.extend(wanted.parent);
                } else if let Some(node) = unfinished.get(&wanted.cid).and_then(|at| nodes.get_mut(at)) {
                    node.parents.extend(wanted.parent);
                } else {
                    under_way.insert(wanted.cid, Vec::new());
                    coming.push(arrive(crowd.clone(), wanted));
                }
            }
            let Some(arrived) = coming.next().await else { break };
            let Arrived {
                wanted,
                bytes,
                node,
                from: peer,
            } = arrived?;
            total = total.saturating_add(bytes);
            if total > how.most {
                return Err(Error::TooLarge {
                    cid: *cid,
                    most: how.most,
                });
            }
            match peer {
                Some(peer) => {
                    progress.fetched_blocks += 1;
                    progress.fetched_bytes += bytes;
                    *from.entry(peer).or_default() += 1;
                }
                None => progress.here_blocks += 1,
            }
            if let Some(tell) = &how.progress {
                tell.send_replace(progress);
            }
            let mut parents = under_way.remove(&wanted.cid).unwrap_or_default();
            parents.extend(wanted.parent);
            let mut finished = parents;
            if let Some(block) = node {
                let listed = parts(&wanted.cid, &block)?;
                if wanted.depth >= MAX_DEPTH {
                    return Err(openledger_content::Error::Node {
                        cid: wanted.cid,
                        what: format!("it lies {MAX_DEPTH} nodes deep, which no file needs"),
                    }
                    .into());
                }
                let at = next_node;
                next_node += 1;
                let left = listed.len();
                ahead.extend(listed.into_iter().rev().map(|cid| Wanted {
                    cid,
                    parent: Some(at),
                    depth: wanted.depth + 1,
                }));
                let node = Node {
                    cid: wanted.cid,
                    block,
                    is_new: peer.is_some(),
                    left,
                    parents: std::mem::take(&mut finished),
                };
                if left > 0 {
                    unfinished.insert(node.cid, at);
                    nodes.insert(at, node);
                } else {
                    finished = self.keep(node).await?;
                }
            }
            // A part of these came, and of those that it finishes.
            while let Some(at) = finished.pop() {
                let Some(node) = nodes.get_mut(&at) else { continue };
                node.left = node.left.saturating_sub(1);
                if node.left > 0 {
                    continue;
                }
                if let Some(node) = nodes.remove(&at) {
                    unfinished.remove(&node.cid);
                    finished.extend(self.keep(node).await?);
                }
            }
        }
        Ok(Fetched {
            bytes: total,
            progress,
            from,
        })
    }

    /// Keeps a node after its parts; gives the nodes that list it.
    async fn keep(&self, node: Node) -> Result<Vec<usize>> {
        if node.is_new {
            let store = self.store.clone();
            blocking(move || store.put_expected(&node.cid, &node.block)).await??;
        }
        Ok(node.parents)
    }
}

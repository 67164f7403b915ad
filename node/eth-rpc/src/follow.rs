//! Keeps the index on the node's best chain: takes back blocks that a reorganisation or a crash removed, adds new ones
//! as they come, and fills in older ones behind while their state is there.

use crate::{
    chain::Chain,
    error::CallError,
    extract::extract,
    feed::{Change, Feed},
    index::{Entry, Index},
    metrics::Metrics,
};
use futures::StreamExt;
use pallet_revive::evm::H256;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::watch;

const TARGET: &str = "eth-rpc";
/// How often the chain is looked at even when the node announces nothing, as it does while it syncs.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long to wait after a failure.
const RETRY_AFTER: Duration = Duration::from_secs(3);
/// Attempts at a block before it is passed over.
const ATTEMPTS: u32 = 3;
/// Blocks indexed in a row before other work gets a chance.
const BATCH: u32 = 64;

/// The index with the news about it.
pub(crate) struct Follower {
    chain: Arc<dyn Chain>,
    index: Arc<Index>,
    feed: Arc<Feed<Change>>,
    head: watch::Sender<Option<Entry>>,
    /// Blocks to keep below the head; `None` for all.
    keep: Option<u32>,
    /// Failed attempts by the node's block hash.
    failures: Mutex<HashMap<H256, u32>>,
    metrics: Option<Metrics>,
}

/// Whether there is more to do at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    More,
    Done,
}

impl Follower {
    pub(crate) fn new(
        chain: Arc<dyn Chain>,
        index: Arc<Index>,
        feed: Arc<Feed<Change>>,
        keep: Option<u32>,
        metrics: Option<Metrics>,
    ) -> Self {
        Self {
            chain,
            index,
            feed,
            head: watch::Sender::new(None),
            keep,
            failures: Mutex::default(),
            metrics,
        }
    }

    /// The newest indexed block, as it changes.
    pub(crate) fn head(&self) -> watch::Receiver<Option<Entry>> {
        self.head.subscribe()
    }

    /// Takes out of the index what is not on the node's best chain, and gives an empty index the best block if its state
    /// is there: afterwards nothing in it is wrong. To be called before the first question is answered.
    pub(crate) fn start(&self) -> Result<(), CallError> {
        self.take_back()?;
        if self.head.borrow().is_none() {
            self.advance(1)?;
        }
        Ok(())
    }

    /// Follows the chain until the task is dropped.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut changes = self.chain.changes().fuse();
        let mut filled = false;
        loop {
            let this = self.clone();
            let step = tokio::task::spawn_blocking(move || -> Result<Progress, CallError> {
                this.take_back()?;
                match this.advance(BATCH)? {
                    Progress::More => Ok(Progress::More),
                    Progress::Done if filled => Ok(Progress::Done),
                    // The new comes before the old.
                    Progress::Done => this.fill(BATCH),
                }
            });
            let wait = match step.await {
                Ok(Ok(Progress::More)) => continue,
                Ok(Ok(Progress::Done)) => {
                    filled = true;
                    LOOK_EVERY
                }
                Ok(Err(error)) => {
                    log::warn!(target: TARGET, "The Ethereum index is stuck and tries again: {error:?}");
                    RETRY_AFTER
                }
                // The node is stopping.
                Err(error) if error.is_cancelled() => return,
                // A panic below; the index is transactional, so trying again is safe.
                Err(error) => {
                    log::error!(target: TARGET, "The Ethereum index failed and starts over: {error}");
                    RETRY_AFTER
                }
            };
            tokio::select! {
                // A stream that ended means that the node stops; the timer goes on until it does.
                Some(()) = changes.next() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Takes out blocks that are not on the best chain any more.
    fn take_back(&self) -> Result<(), CallError> {
        let head = self.index.head()?;
        let mut keep = head;
        let mut removed = Vec::new();
        while let Some(entry) = keep {
            let best = self.chain.tips().best_number;
            if entry.number <= best && self.chain.canonical(entry.number)? == Some(entry.hash) {
                break;
            }
            removed.push(entry);
            keep = self.index.below(entry.number)?;
        }
        if !removed.is_empty() {
            let mut changes = Vec::with_capacity(removed.len());
            for entry in &removed {
                let logs = self
                    .index
                    .block(entry.number)?
                    .map(|block| block.placed_logs().collect::<Vec<_>>());
                let logs = logs
                    .unwrap_or_default()
                    .into_iter()
                    .map(|log| crate::types::Log { removed: true, ..log });
                changes.push(Change::Removed(*entry, Arc::new(logs.collect())));
            }
            self.index.rewind(keep.map(|entry| entry.number))?;
            log::debug!(
                target: TARGET,
                "{} blocks above {:?} left the best chain and the Ethereum index",
                removed.len(),
                keep.map(|entry| entry.number)
            );
            if let Some(metrics) = &self.metrics {
                metrics.reorganised.inc_by(removed.len() as u64);
            }
            changes.into_iter().for_each(|change| self.feed.push(change));
        }
        self.set_head(keep);
        Ok(())
    }

    /// Adds up to `most` blocks on top.
    fn advance(&self, most: u32) -> Result<Progress, CallError> {
        let mut at = self.index.head()?;
        let mut next = match at {
            Some(entry) => entry.number + 1,
            // An empty index starts at the tip, so that what is asked for most is there first.
            None => self.chain.tips().best_number,
        };
        for _ in 0..most {
            if next > self.chain.tips().best_number {
                return Ok(Progress::Done);
            }
            let Some(hash) = self.chain.canonical(next)? else {
                return Ok(Progress::Done);
            };
            if self.given_up(hash) {
                next += 1;
                continue;
            }
            let Some((_, parent)) = self.chain.parent(hash)? else {
                return Ok(Progress::Done);
            };
            if at.is_some_and(|entry| entry.number + 1 == next && entry.hash != parent) {
                // The best chain changed under our feet.
                return Ok(Progress::More);
            }
            if !self.readable(next, hash, parent) {
                let from = self.first_with_state(next, self.chain.tips().best_number)?;
                if from <= next {
                    // Nothing up to the tip is readable yet: the node has not finished its own sync.
                    return Ok(Progress::Done);
                }
                log::warn!(
                    target: TARGET,
                    "Blocks {next} to {} have no state on this node and are left out of the Ethereum index",
                    from - 1
                );
                next = from;
                continue;
            }
            match extract(&*self.chain, hash).and_then(|block| self.index.insert(&block).map(|()| block)) {
                Ok(block) => {
                    let entry = Entry {
                        number: next,
                        hash,
                        eth_hash: block.block.hash,
                    };
                    at = Some(entry);
                    self.set_head(at);
                    self.feed.push(Change::Added(entry));
                }
                Err(error) => {
                    self.failed(next, hash, &error);
                    return Err(error);
                }
            }
            if let (Some(keep), Some(entry)) = (self.keep, at) {
                self.index.prune((entry.number + 1).saturating_sub(keep.max(1)))?;
            }
            next += 1;
        }
        Ok(Progress::More)
    }

    /// Adds up to `most` blocks below the lowest one.
    fn fill(&self, most: u32) -> Result<Progress, CallError> {
        let floor = match (self.keep, self.index.head()?) {
            (Some(keep), Some(head)) => (head.number + 1).saturating_sub(keep.max(1)),
            _ => 0,
        };
        for _ in 0..most {
            let Some(tail) = self.index.tail()? else {
                return Ok(Progress::Done);
            };
            if tail.number <= floor {
                return Ok(Progress::Done);
            }
            let Some((_, hash)) = self.chain.parent(tail.hash)? else {
                return Ok(Progress::Done);
            };
            let number = tail.number - 1;
            let Some((_, parent)) = self.chain.parent(hash)? else {
                return Ok(Progress::Done);
            };
            if !self.readable(number, hash, parent) {
                log::info!(
                    target: TARGET,
                    "The Ethereum index starts at block {}: the state of older blocks is not on this node",
                    tail.number
                );
                return Ok(Progress::Done);
            }
            if self.given_up(hash) {
                return Ok(Progress::Done);
            }
            extract(&*self.chain, hash)
                .and_then(|block| self.index.insert(&block))
                .inspect_err(|error| self.failed(number, hash, error))?;
            if let Some(metrics) = &self.metrics {
                metrics.tail.set(number.into());
            }
        }
        Ok(Progress::More)
    }

    /// Whether the block can be taken apart: its own state and that of its parent are needed, genesis has no parent.
    fn readable(&self, number: u32, hash: H256, parent: H256) -> bool {
        self.chain.has_state(hash) && (number == 0 || self.chain.has_state(parent))
    }

    /// The lowest block from `from` to `to` that can be taken apart, `to` if none. States are pruned from below, so the
    /// readable ones are the newest.
    fn first_with_state(&self, from: u32, to: u32) -> Result<u32, CallError> {
        let readable = |number: u32| -> Result<bool, CallError> {
            let Some(hash) = self.chain.canonical(number)? else {
                return Ok(false);
            };
            let Some((_, parent)) = self.chain.parent(hash)? else {
                return Ok(false);
            };
            Ok(self.readable(number, hash, parent))
        };
        let (mut low, mut high) = (from, to);
        while low < high {
            let middle = low + (high - low) / 2;
            match readable(middle)? {
                true => high = middle,
                false => low = middle + 1,
            }
        }
        Ok(low)
    }

    fn set_head(&self, head: Option<Entry>) {
        self.head.send_if_modified(|current| {
            let changed = *current != head;
            *current = head;
            changed
        });
        if let (Some(metrics), Some(entry)) = (&self.metrics, head) {
            metrics.head.set(entry.number.into());
        }
    }

    /// Indexes everything up to the best block, then what is behind.
    #[cfg(test)]
    pub(crate) fn catch_up(&self) {
        loop {
            self.take_back().unwrap();
            if self.advance(BATCH).unwrap() == Progress::Done && self.fill(BATCH).unwrap() == Progress::Done {
                break;
            }
        }
    }

    fn failed(&self, number: u32, hash: H256, error: &CallError) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(hash).or_default();
        *count += 1;
        if *count == ATTEMPTS {
            log::error!(
                target: TARGET,
                "Block {number} cannot be indexed for Ethereum clients and is passed over; queries that need it say so: \
                 {error:?}"
            );
        }
    }

    fn given_up(&self, hash: H256) -> bool {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.get(&hash).is_some_and(|count| *count >= ATTEMPTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{transfer, TestChain};
    use pallet_revive::evm::H160;

    struct Setup {
        _dir: tempfile::TempDir,
        chain: Arc<TestChain>,
        index: Arc<Index>,
        feed: Arc<Feed<Change>>,
        follower: Follower,
    }

    fn setup(chain: Arc<TestChain>, keep: Option<u32>) -> Setup {
        let dir = tempfile::tempdir().unwrap();
        let index = Arc::new(Index::open(dir.path(), H256::zero()).unwrap());
        let feed = Arc::new(Feed::new(1_000));
        let follower = Follower::new(chain.clone(), index.clone(), feed.clone(), keep, None);
        Setup {
            _dir: dir,
            chain,
            index,
            feed,
            follower,
        }
    }

    fn numbers(index: &Index) -> Vec<u32> {
        index
            .headers(0, u32::MAX)
            .unwrap()
            .into_iter()
            .map(|(number, _)| number)
            .collect()
    }

    fn head(follower: &Follower) -> Entry {
        follower.head().borrow().unwrap()
    }

    #[test]
    fn start_should_index_the_tip_first_and_fill_should_reach_genesis() {
        let chain = Arc::new(TestChain::new());
        chain.add_empty(200);
        let s = setup(chain, None);
        s.follower.start().unwrap();
        assert_eq!(numbers(&s.index), [200]);
        while s.follower.fill(BATCH).unwrap() == Progress::More {}
        assert_eq!(numbers(&s.index), (0..=200).collect::<Vec<_>>());
    }

    #[test]
    fn start_should_take_out_the_tip_that_the_node_lost() {
        let chain = Arc::new(TestChain::new());
        let s = setup(chain, None);
        s.follower.start().unwrap();
        let lost = transfer(0, H160::repeat_byte(1));
        for nonce in 0..5 {
            s.chain
                .add(vec![(transfer(nonce, H160::repeat_byte(1)), true, vec![])]);
        }
        s.follower.catch_up();
        assert_eq!(head(&s.follower).number, 5);
        assert!(s
            .index
            .transaction(crate::extract::transaction_hash(&lost))
            .unwrap()
            .is_some());
        // The node comes back with genesis only, as after a crash that lost its unflushed tip.
        s.chain.truncate(0);
        let again = Follower::new(s.chain.clone(), s.index.clone(), s.feed.clone(), None, None);
        again.start().unwrap();
        assert_eq!(head(&again).number, 0);
        assert_eq!(numbers(&s.index), [0]);
        assert_eq!(
            s.index
                .transaction(crate::extract::transaction_hash(&lost))
                .unwrap(),
            None
        );
        // The same transaction is mined again, later.
        s.chain.add(vec![]);
        s.chain.add(vec![(lost.clone(), true, vec![])]);
        again.catch_up();
        let mined = s
            .index
            .transaction(crate::extract::transaction_hash(&lost))
            .unwrap()
            .unwrap();
        assert_eq!(mined.block.number, 2);
    }

    #[test]
    fn reorganisation_should_replace_blocks_and_be_told_with_their_logs() {
        let chain = Arc::new(TestChain::new());
        let s = setup(chain, None);
        s.follower.start().unwrap();
        let emitter = H160::repeat_byte(9);
        (0..4).for_each(|nonce| {
            let bytes = transfer(nonce, H160::repeat_byte(1));
            s.chain
                .add(vec![(bytes, true, vec![(emitter, vec![], vec![nonce as u8])])]);
        });
        s.follower.catch_up();
        let position = s.feed.position();
        let old = s.index.at(3).unwrap().unwrap();
        s.chain.truncate(2);
        s.chain.add(vec![]);
        s.chain.add(vec![]);
        s.chain.add(vec![]);
        s.follower.catch_up();
        assert_eq!(head(&s.follower).number, 5);
        assert_ne!(s.index.at(3).unwrap().unwrap(), old);
        let news = s.feed.since(position).items;
        let told: Vec<(u32, bool)> = news
            .iter()
            .map(|change| match change {
                Change::Removed(entry, logs) => {
                    assert!(logs.len() == 1 && logs[0].removed && logs[0].block_hash == entry.eth_hash);
                    (entry.number, false)
                }
                Change::Added(entry) => (entry.number, true),
            })
            .collect();
        assert_eq!(told, [(4, false), (3, false), (3, true), (4, true), (5, true)]);
    }

    #[test]
    fn blocks_without_state_should_be_left_out_and_the_rest_indexed() {
        let chain = Arc::new(TestChain::new());
        let s = setup(chain, None);
        s.follower.start().unwrap();
        s.chain.add_empty(100);
        // A warp sync: bodies and headers are there, states only from block 80 on.
        s.chain.prune_states_below(80);
        s.follower.catch_up();
        assert_eq!(
            numbers(&s.index),
            std::iter::once(0).chain(81..=100).collect::<Vec<_>>()
        );
        assert_eq!(s.index.first_missing(0, 100).unwrap(), Some(1));
    }

    #[test]
    fn a_block_that_cannot_be_read_should_be_passed_over_after_a_few_attempts() {
        let chain = Arc::new(TestChain::new());
        let s = setup(chain, None);
        s.follower.start().unwrap();
        let bad = s.chain.add(vec![(transfer(0, H160::zero()), true, vec![])]);
        s.chain.add(vec![]);
        s.chain.drop_body(bad);
        for _ in 0..ATTEMPTS {
            assert!(s.follower.advance(BATCH).is_err());
        }
        s.follower.catch_up();
        assert_eq!(numbers(&s.index), [0, 2]);
        assert_eq!(s.index.first_missing(0, 2).unwrap(), Some(1));
    }

    #[test]
    fn only_the_blocks_to_keep_should_stay() {
        let chain = Arc::new(TestChain::new());
        chain.add_empty(30);
        let s = setup(chain, Some(10));
        s.follower.start().unwrap();
        while s.follower.fill(BATCH).unwrap() == Progress::More {}
        assert_eq!(numbers(&s.index), (21..=30).collect::<Vec<_>>());
        s.chain.add(vec![]);
        s.follower.catch_up();
        assert_eq!(numbers(&s.index), (22..=31).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn run_should_follow_announced_blocks() {
        let chain = Arc::new(TestChain::new());
        let s = setup(chain, None);
        s.follower.start().unwrap();
        let follower = Arc::new(s.follower);
        let mut watched = follower.head();
        let task = tokio::spawn(follower.run());
        for _ in 0..3 {
            s.chain.add(vec![]);
        }
        let reached = tokio::time::timeout(
            Duration::from_secs(30),
            watched.wait_for(|h| h.is_some_and(|h| h.number == 3)),
        );
        reached.await.unwrap().unwrap();
        task.abort();
    }
}

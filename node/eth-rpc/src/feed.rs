//! News in order, for any number of readers at their own pace: filters that are polled and subscriptions that are pushed
//! read the same bounded list, each from its own position.

use crate::{index::Entry, types::Log};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::watch;

/// What happened to the indexed chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A block came on top.
    Added(Entry),
    /// The top block was taken back, with these logs, already marked as removed.
    Removed(Entry, Arc<Vec<Log>>),
}

/// A bounded list of numbered items.
#[derive(Debug)]
pub(crate) struct Feed<T> {
    ring: Mutex<Ring<T>>,
    tick: watch::Sender<u64>,
    capacity: usize,
}

#[derive(Debug)]
struct Ring<T> {
    /// Number of the first item that is kept.
    first: u64,
    items: VecDeque<T>,
}

/// What a reader missed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct News<T> {
    /// Whether items between the reader's position and these were dropped for want of room.
    pub(crate) lost: bool,
    pub(crate) items: Vec<T>,
    /// Position to read from next.
    pub(crate) next: u64,
}

impl<T: Clone> Feed<T> {
    /// A feed that keeps the newest `capacity` items.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            ring: Mutex::new(Ring {
                first: 0,
                items: VecDeque::new(),
            }),
            tick: watch::Sender::new(0),
            capacity: capacity.max(1),
        }
    }

    /// Appends an item and wakes the readers.
    pub(crate) fn push(&self, item: T) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.items.push_back(item);
        if ring.items.len() > self.capacity {
            ring.items.pop_front();
            ring.first += 1;
        }
        let next = ring.first + ring.items.len() as u64;
        drop(ring);
        self.tick.send_replace(next);
    }

    /// The position behind the newest item.
    pub(crate) fn position(&self) -> u64 {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.first + ring.items.len() as u64
    }

    /// The items from `position` on.
    pub(crate) fn since(&self, position: u64) -> News<T> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let skip = usize::try_from(position.saturating_sub(ring.first)).unwrap_or(usize::MAX);
        News {
            lost: position < ring.first,
            items: ring.items.iter().skip(skip).cloned().collect(),
            next: ring.first + ring.items.len() as u64,
        }
    }

    /// Changes whenever there is news.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.tick.subscribe()
    }
}

/// A block that was taken back, with its logs.
type Removed = (Entry, Arc<Vec<Log>>);

/// What is left of a list of changes when blocks that came and went within it are forgotten: the blocks taken back,
/// newest first, then the blocks that came, oldest first.
pub(crate) fn settle(changes: Vec<Change>) -> (Vec<Removed>, Vec<Entry>) {
    let mut removed = Vec::new();
    let mut added: Vec<Entry> = Vec::new();
    for change in changes {
        match change {
            Change::Added(entry) => added.push(entry),
            Change::Removed(entry, logs) => {
                if added.last() == Some(&entry) {
                    added.pop();
                } else {
                    removed.push((entry, logs));
                }
            }
        }
    }
    (removed, added)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pallet_revive::evm::H256;

    fn entry(number: u32, fork: u8) -> Entry {
        Entry {
            number,
            hash: H256::repeat_byte(fork),
            eth_hash: H256::repeat_byte(fork),
        }
    }

    fn removed(number: u32, fork: u8) -> Change {
        Change::Removed(entry(number, fork), Arc::default())
    }

    #[test]
    fn reader_should_get_each_item_once_in_order() {
        let feed = Feed::new(10);
        let start = feed.position();
        feed.push("a");
        feed.push("b");
        let news = feed.since(start);
        assert_eq!((news.lost, news.items), (false, vec!["a", "b"]));
        feed.push("c");
        assert_eq!(feed.since(news.next).items, ["c"]);
        assert_eq!(
            feed.since(feed.position()),
            News {
                lost: false,
                items: vec![],
                next: 3
            }
        );
    }

    #[test]
    fn slow_reader_should_be_told_that_it_lost_something() {
        let feed = Feed::new(3);
        (0..10).for_each(|item| feed.push(item));
        let news = feed.since(2);
        assert_eq!((news.lost, news.items, news.next), (true, vec![7, 8, 9], 10));
        assert!(!feed.since(7).lost);
    }

    #[tokio::test]
    async fn watcher_should_wake_on_news() {
        let feed = Feed::new(3);
        let mut watcher = feed.watch();
        feed.push(1);
        tokio::time::timeout(std::time::Duration::from_secs(5), watcher.changed())
            .await
            .unwrap()
            .unwrap();
    }

    #[test]
    fn settle_should_forget_blocks_that_came_and_went() {
        let (gone, came) = settle(vec![
            removed(5, 1),
            removed(4, 1),
            Change::Added(entry(4, 2)),
            Change::Added(entry(5, 2)),
            removed(5, 2),
            Change::Added(entry(5, 3)),
            Change::Added(entry(6, 3)),
        ]);
        assert_eq!(
            gone.iter().map(|(entry, _)| entry.number).collect::<Vec<_>>(),
            [5, 4]
        );
        assert_eq!(came, [entry(4, 2), entry(5, 3), entry(6, 3)]);
    }
}

//! Pages of keys and values: who holds which, and which finished ones a later request may read again.
//!
//! A page that is full never changes. It is found again by a hash of everything its keys and values depend on: base, adapter, the name the
//! adapter is registered under, and every token up to its end. A page may be read by many sequences and is counted; when nobody reads it,
//! it stays until room is needed, the longest unused first.

use std::collections::{BTreeSet, HashMap};

use openledger_model::Hash;

use crate::error::{Error, Result};

#[derive(Default)]
struct Page {
    readers: u32,
    key: Option<Hash>,
    /// When it was last let go, in lettings go.
    idle_since: u64,
}

/// The pages of one cache.
pub(crate) struct Pager {
    size: usize,
    pages: Vec<Page>,
    free: Vec<u32>,
    known: HashMap<Hash, u32>,
    /// Known pages nobody reads, the longest unused first.
    idle: BTreeSet<(u64, u32)>,
    clock: u64,
    sharing: bool,
    /// Tokens that sequences read again instead of computing, and all tokens of their prompts.
    pub(crate) reused: u64,
    pub(crate) asked: u64,
}

impl Pager {
    /// `count` pages of `size` tokens.
    pub(crate) fn new(size: usize, count: usize) -> Self {
        let mut pages = Vec::new();
        pages.resize_with(count, Page::default);
        Pager {
            size,
            pages,
            free: (0..count as u32).rev().collect(),
            known: HashMap::new(),
            idle: BTreeSet::new(),
            clock: 0,
            sharing: true,
            reused: 0,
            asked: 0,
        }
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Whether finished pages are read again.
    pub(crate) fn share(&mut self, on: bool) {
        self.sharing = on;
    }

    /// Tokens for which there is room.
    pub(crate) fn room(&self) -> usize {
        (self.free.len() + self.idle.len()) * self.size
    }

    /// Tokens that fit in all.
    pub(crate) fn capacity(&self) -> usize {
        self.pages.len() * self.size
    }

    /// Pages for `tokens` tokens, the first of them found by `keys`; gives them and how many of them hold what was asked for.
    pub(crate) fn take(&mut self, tokens: usize, keys: &[Hash], prompt: usize) -> Result<(Vec<u32>, usize)> {
        let wanted = tokens.div_ceil(self.size);
        let found: Vec<u32> = if self.sharing {
            keys.iter()
                .map_while(|key| self.known.get(key).copied())
                .collect()
        } else {
            Vec::new()
        };
        let idle = found
            .iter()
            .filter(|&&p| self.pages[p as usize].readers == 0)
            .count();
        if wanted - found.len() > self.free.len() + self.idle.len() - idle {
            return Err(Error::Busy {
                wanted: tokens,
                free: self.room(),
                capacity: self.capacity(),
            });
        }
        for &page in &found {
            let entry = &mut self.pages[page as usize];
            if entry.readers == 0 {
                self.idle.remove(&(entry.idle_since, page));
            }
            entry.readers += 1;
        }
        let hits = found.len();
        let mut all = found;
        while all.len() < wanted {
            let page = match self.free.pop() {
                Some(page) => page,
                None => match self.idle.pop_first() {
                    Some((_, page)) => {
                        if let Some(key) = self.pages[page as usize].key.take() {
                            self.known.remove(&key);
                        }
                        page
                    }
                    None => break, // counted above
                },
            };
            self.pages[page as usize].readers = 1;
            all.push(page);
        }
        self.reused += (hits * self.size) as u64;
        self.asked += prompt as u64;
        Ok((all, hits))
    }

    /// Says that a page is full and what it holds. Where another page holds the same, that one stays the known one.
    pub(crate) fn publish(&mut self, page: u32, key: Hash) {
        if self.sharing && !self.known.contains_key(&key) && self.pages[page as usize].key.is_none() {
            self.pages[page as usize].key = Some(key);
            self.known.insert(key, page);
        }
    }

    /// Lets pages go; the last of a sequence are forgotten first.
    pub(crate) fn give_back(&mut self, pages: &[u32]) {
        for &page in pages.iter().rev() {
            self.clock += 1;
            let entry = &mut self.pages[page as usize];
            entry.readers -= 1;
            if entry.readers > 0 {
                continue;
            }
            if entry.key.is_some() {
                entry.idle_since = self.clock;
                self.idle.insert((self.clock, page));
            } else {
                self.free.push(page);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> Hash {
        [n; 32]
    }

    #[test]
    fn pages_should_be_found_again_counted_and_the_longest_unused_go_first() {
        let mut pager = Pager::new(4, 4);
        let (a, hits) = pager.take(8, &[key(1), key(2)], 8).unwrap();
        assert_eq!((a.len(), hits), (2, 0));
        pager.publish(a[0], key(1));
        pager.publish(a[1], key(2));
        let (b, hits) = pager.take(9, &[key(1), key(2)], 8).unwrap();
        assert_eq!((&b[..2], hits, b.len()), (&a[..], 2, 3));
        assert!(matches!(
            pager.take(8, &[], 8),
            Err(Error::Busy {
                wanted: 8,
                free: 4,
                capacity: 16
            })
        ));
        pager.give_back(&a);
        assert_eq!(pager.room(), 4, "still read by the second");
        pager.give_back(&b);
        assert_eq!(pager.room(), 16);
        // Two fresh pages take the free ones; a third takes the end of the known text, not its beginning.
        let (c, _) = pager.take(12, &[], 12).unwrap();
        let (d, hits) = pager.take(4, &[key(1), key(2)][..1], 4).unwrap();
        assert_eq!((d[0], hits), (a[0], 1));
        pager.give_back(&c);
        pager.give_back(&d);
        let (_, hits) = pager.take(16, &[key(9)], 16).unwrap();
        assert_eq!(hits, 0);
        assert!(pager.known.is_empty());
    }

    #[test]
    fn nothing_should_be_lost_or_read_twice_whatever_happens() {
        use crate::sampler::philox;
        let mut pager = Pager::new(2, 9);
        let mut held: Vec<Vec<u32>> = Vec::new();
        for step in 0..4_000_u32 {
            let w = philox([step, 0, 0, 0], [5, 6]);
            if w[0].is_multiple_of(2) || held.is_empty() {
                let n = 1 + w[1] as usize % 9;
                let keys: Vec<Hash> = (0..n / 2).map(|i| key((w[2] % 3) as u8 * 16 + i as u8)).collect();
                if let Ok((pages, hits)) = pager.take(n, &keys, n) {
                    for (page, key) in pages.iter().zip(keys).skip(hits) {
                        pager.publish(*page, key);
                    }
                    held.push(pages);
                }
            } else {
                let pages = held.swap_remove(w[1] as usize % held.len());
                pager.give_back(&pages);
            }
            let mut readers = [0; 9];
            held.iter().flatten().for_each(|&p| readers[p as usize] += 1);
            for (page, n) in readers.iter().enumerate() {
                assert_eq!(pager.pages[page].readers, *n);
            }
            let unread = readers.iter().filter(|n| **n == 0).count();
            assert_eq!(pager.room(), 2 * unread);
        }
    }
}

//! Looking up patterns in one shard's suffix array.
//!
//! The first codes of every 64th suffix stand in a small array of their own that stays in the caches; only
//! what they leave open is decided in the text.

use crate::codes::Code;
use std::ops::Range;

/// Suffixes between two keys.
pub(crate) const STEP: usize = 64;

/// The first codes of a suffix, most significant first; what is missing is filled with zeros or ones.
pub(crate) fn key<C: Code>(suffix: &[C], fill: u64) -> u64 {
    let mut key = 0u64;
    for at in 0..C::PER_KEY {
        let code = suffix.get(at).map_or(fill, |code| u64::from(code.wide()));
        key = match C::BITS {
            64.. => code,
            bits => (key << bits) | (code & ((1 << bits) - 1)),
        };
    }
    key
}

/// A shard's text and suffix array.
#[derive(Clone, Copy)]
pub(crate) struct View<'a, C> {
    pub(crate) text: &'a [C],
    pub(crate) suffixes: &'a [u32],
    pub(crate) keys: &'a [u64],
}

impl<C: Code> View<'_, C> {
    fn suffix(&self, rank: usize) -> &[C] {
        let at = self.suffixes.get(rank).map_or(usize::MAX, |at| *at as usize);
        self.text.get(at..).unwrap_or_default()
    }

    /// The ranks between the samples `below` and `above`, both counted: what the keys leave open.
    fn open(&self, below: usize, above: usize) -> Range<usize> {
        let from = below.checked_sub(1).map_or(0, |at| at * STEP + 1);
        from..(above * STEP).min(self.suffixes.len())
    }

    /// The first rank whose suffix is not smaller than the pattern.
    pub(crate) fn lower(&self, pattern: &[C]) -> usize {
        let low = key(pattern, 0);
        let below = self.keys.partition_point(|key| *key < low);
        let above = below + gallop(self.keys.get(below..).unwrap_or_default(), |key| *key <= low);
        self.partition(self.open(below, above), |suffix| suffix < pattern)
    }

    /// The first rank behind `from`, itself counted, whose suffix does not start with the pattern; `from`
    /// is the pattern's lower bound.
    pub(crate) fn upper(&self, pattern: &[C], from: usize) -> usize {
        let high = key(pattern, u64::MAX);
        let first = from.div_ceil(STEP);
        let keys = self.keys.get(first..).unwrap_or_default();
        let above = first + gallop(keys, |key| *key <= high);
        let below = if pattern.len() <= C::PER_KEY {
            above
        } else {
            first + gallop(keys, |key| *key < high)
        };
        let open = self.open(below, above);
        self.partition(open.start.max(from)..open.end.max(from), |suffix| {
            suffix.starts_with(pattern)
        })
    }

    /// The ranks whose suffixes start with the pattern.
    pub(crate) fn find(&self, pattern: &[C]) -> Range<usize> {
        let from = self.lower(pattern);
        if !self.suffix(from).starts_with(pattern) {
            return from..from;
        }
        from..self.upper(pattern, from)
    }

    /// How many codes of the pattern stand somewhere in the text, and the rank of a suffix with them.
    pub(crate) fn longest(&self, pattern: &[C]) -> (usize, usize) {
        let at = self.lower(pattern);
        let above = common(self.suffix(at), pattern);
        let below = at
            .checked_sub(1)
            .map_or(0, |before| common(self.suffix(before), pattern));
        if below > above {
            (below, at - 1)
        } else {
            (above, at)
        }
    }

    fn partition(&self, ranks: Range<usize>, is_before: impl Fn(&[C]) -> bool) -> usize {
        let (mut from, mut to) = (ranks.start, ranks.end);
        while from < to {
            let middle = from + (to - from) / 2;
            if is_before(self.suffix(middle)) {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        from
    }
}

/// How many items at the start satisfy `is_before`, which no later one does: quick if they are few.
fn gallop<T>(items: &[T], is_before: impl Fn(&T) -> bool) -> usize {
    let mut reach = 1;
    while items.get(reach - 1).is_some_and(&is_before) {
        reach *= 2;
    }
    let from = reach / 2;
    let to = reach.min(items.len());
    from + items
        .get(from..to)
        .map_or(0, |rest| rest.partition_point(&is_before))
}

/// Length of the common start.
pub(crate) fn common<C: Code>(a: &[C], b: &[C]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

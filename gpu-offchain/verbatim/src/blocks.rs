//! Trees over leaves that are on disk: of every 1,024 leaves only their common node is kept, the rest is
//! hashed again when a path needs it.

use crate::{
    keccak::{permutation, suffix_top},
    threads::in_order,
    Result,
};
use openledger_attribution::{
    hash::Hash,
    tree::{BuildError, Leaf, Node, Opening, Range, Root},
    verbatim::SuffixLeaf,
};

/// Levels below the lowest that is kept.
const HEIGHT: u32 = 10;

/// Leaves under one kept node.
pub(crate) const BLOCK: u64 = 1 << HEIGHT;

/// A tree without its lowest levels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blocks {
    root: Root,
    /// From the kept level up to the top.
    levels: Vec<Vec<Node>>,
}

impl Blocks {
    /// Hashes `count` leaves. `leaf` is asked for each of them once, in any order.
    pub(crate) fn build<L: Leaf>(
        count: u64,
        threads: usize,
        leaf: impl Fn(u64) -> Result<L> + Sync,
    ) -> Result<Self> {
        let blocks = count.div_ceil(BLOCK) as usize;
        let tops = in_order(blocks, threads, |block| {
            let from = block as u64 * BLOCK;
            top(from, (from + BLOCK).min(count), &leaf)
        })?;
        Self::from_tops(count, tops)
    }

    /// The tree of a suffix array: offsets behind the position `from`.
    pub(crate) fn of_suffixes(from: u64, offsets: &[u32], threads: usize) -> Result<Self> {
        let count = offsets.len() as u64;
        let quick = permutation();
        let tops = in_order(offsets.len().div_ceil(BLOCK as usize), threads, |block| {
            let first = block as u64 * BLOCK;
            let own = offsets.get(first as usize..).unwrap_or_default();
            if let (Some(permute), Some(whole)) = (quick, own.get(..BLOCK as usize)) {
                return Ok(suffix_top(permute, first, from, whole));
            }
            top(first, (first + BLOCK).min(count), &|at| {
                let offset = offsets.get(at as usize).copied().unwrap_or(u32::MAX);
                Ok(SuffixLeaf {
                    position: from + u64::from(offset),
                })
            })
        })?;
        Self::from_tops(count, tops)
    }

    /// From the kept level.
    pub(crate) fn from_tops(count: u64, tops: Vec<Node>) -> Result<Self> {
        let mut levels = vec![tops];
        while let Some(last) = levels.last().filter(|level| level.len() > 1) {
            levels.push(join(last)?);
        }
        let root = match levels.last().and_then(|level| level.first()) {
            None => Root::EMPTY,
            Some(top) => Root {
                count,
                sum: top.sum,
                top: top.hash,
            },
        };
        Ok(Self { root, levels })
    }

    /// The kept level.
    pub(crate) fn tops(&self) -> &[Node] {
        self.levels.first().map_or(&[], Vec::as_slice)
    }

    pub(crate) fn root(&self) -> Root {
        self.root
    }

    /// One leaf with its way to the root; none if there is no such leaf.
    pub(crate) fn open<L: Leaf>(
        &self,
        index: u64,
        leaf: impl Fn(u64) -> Result<L>,
    ) -> Result<Option<Opening<L>>> {
        let Some(path) = self.path(index, 1, &leaf)? else {
            return Ok(None);
        };
        Ok(Some(Opening {
            index,
            leaf: leaf(index)?,
            path,
        }))
    }

    /// `length` leaves from `start` with their way to the root; none if there are no such leaves.
    pub(crate) fn open_range<L: Leaf>(
        &self,
        start: u64,
        length: u64,
        leaf: impl Fn(u64) -> Result<L>,
    ) -> Result<Option<Range<L>>> {
        let Some(path) = self.path(start, length, &leaf)? else {
            return Ok(None);
        };
        let leaves = (start..start + length).map(&leaf).collect::<Result<_>>()?;
        Ok(Some(Range { start, leaves, path }))
    }

    fn path<L: Leaf>(
        &self,
        start: u64,
        length: u64,
        leaf: &impl Fn(u64) -> Result<L>,
    ) -> Result<Option<Vec<Node>>> {
        let Some(mut end) = start
            .checked_add(length)
            .filter(|end| length > 0 && *end <= self.root.count)
        else {
            return Ok(None);
        };
        let (mut start, mut width, mut path) = (start, self.root.count, Vec::new());
        for level in 0.. {
            if width <= 1 {
                break;
            }
            if start & 1 == 1 {
                path.push(self.node(level, start - 1, leaf)?);
            }
            if end & 1 == 1 && end < width {
                path.push(self.node(level, end, leaf)?);
            }
            start >>= 1;
            end = end.div_ceil(2);
            width = width.div_ceil(2);
        }
        Ok(Some(path))
    }

    fn node<L: Leaf>(&self, level: u32, at: u64, leaf: &impl Fn(u64) -> Result<L>) -> Result<Node> {
        if let Some(kept) = level.checked_sub(HEIGHT) {
            let node = self
                .levels
                .get(kept as usize)
                .and_then(|level| level.get(at as usize));
            return Ok(*node.ok_or(BuildError::Sum)?);
        }
        top(at << level, ((at + 1) << level).min(self.root.count), leaf)
    }
}

/// The common node of the leaves `from..to`, which are all that a node of the tree has.
fn top<L: Leaf>(from: u64, to: u64, leaf: &impl Fn(u64) -> Result<L>) -> Result<Node> {
    let mut level = Vec::with_capacity((to - from) as usize);
    for index in from..to {
        level.push(leaf(index)?.node(index).ok_or(BuildError::Leaf(index))?);
    }
    while level.len() > 1 {
        level = join(&level)?;
    }
    Ok(level.first().copied().unwrap_or(Node {
        sum: 0,
        hash: Hash::default(),
    }))
}

fn join(level: &[Node]) -> Result<Vec<Node>> {
    let pair = |pair: &[Node]| match pair {
        [left, right] => Node::join(left, right),
        [alone] => Some(*alone),
        _ => None,
    };
    let next: Option<Vec<Node>> = level.chunks(2).map(pair).collect();
    Ok(next.ok_or(BuildError::Sum)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use openledger_attribution::{tree::Tree, verbatim::CountLeaf};

    #[test]
    fn trees_of_suffixes_are_like_others() {
        for count in [0u64, 5, 1_024, 3_000] {
            let offsets: Vec<u32> = (0..count as u32).rev().collect();
            let leaf = |at: u64| {
                Ok(SuffixLeaf {
                    position: 9 + u64::from(offsets[at as usize]),
                })
            };
            let quick = Blocks::of_suffixes(9, &offsets, 2).unwrap();
            assert_eq!(quick, Blocks::build(count, 1, leaf).unwrap());
        }
    }

    #[test]
    fn paths_are_those_of_the_whole_tree() {
        for count in [0u64, 1, 2, 1_023, 1_024, 1_025, 2_049, 5_000] {
            let leaves: Vec<CountLeaf> = (0..count).map(|n| CountLeaf { count: n * 7 % 13 }).collect();
            let leaf = |at: u64| Ok(leaves[at as usize]);
            let tree = Tree::new(&leaves).unwrap();
            let blocks = Blocks::build(count, 2, leaf).unwrap();
            assert_eq!(blocks.root(), tree.root());
            assert_eq!(
                Blocks::from_tops(count, blocks.tops().to_vec()).unwrap(),
                Blocks::build(count, 1, leaf).unwrap()
            );
            for at in [0, 1, 512, 1_022, 1_023, 1_024, 2_048, 4_999] {
                assert_eq!(
                    blocks.open(at, leaf).unwrap(),
                    leaves.get(at as usize).and_then(|leaf| tree.open(at, leaf))
                );
                for length in [0, 1, 2, 700, 1_500] {
                    let range = leaves.get(at as usize..(at + length) as usize);
                    assert_eq!(
                        blocks.open_range(at, length, leaf).unwrap(),
                        range.and_then(|range| tree.open_range(at, range))
                    );
                }
            }
        }
    }
}

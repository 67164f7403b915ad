//! Building trees, in memory with all levels or streaming with a logarithm of them.

use super::{path::level_widths, Leaf, Node, Opening, Range, Root};
use alloc::vec::Vec;
use core::{fmt, marker::PhantomData};

/// Why a tree cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildError {
    /// The leaf at this position has no payload: its own documentation says what it must satisfy.
    Leaf(u64),
    /// The sum of the leaves passes 2^128.
    Sum,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leaf(at) => write!(
                f,
                "leaf {at} breaks the rules of its kind and cannot be committed: correct it"
            ),
            Self::Sum => write!(
                f,
                "the leaves add up to more than 2^128 - 1: split them over several trees"
            ),
        }
    }
}

impl core::error::Error for BuildError {}

/// A tree with all its levels in memory: 48 bytes a node, about twice as many nodes as leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree<L> {
    levels: Vec<Vec<Node>>,
    root: Root,
    kind: PhantomData<L>,
}

impl<L: Leaf> Tree<L> {
    /// Builds the tree of `leaves`.
    pub fn new(leaves: &[L]) -> Result<Self, BuildError> {
        let mut nodes = Vec::with_capacity(leaves.len());
        for (index, leaf) in (0u64..).zip(leaves) {
            nodes.push(leaf.node(index).ok_or(BuildError::Leaf(index))?);
        }
        Self::from_nodes(nodes)
    }

    /// Builds the tree over leaf nodes that were hashed elsewhere, in order.
    pub fn from_nodes(nodes: Vec<Node>) -> Result<Self, BuildError> {
        let count = u64::try_from(nodes.len()).map_err(|_| BuildError::Sum)?;
        let mut levels = Vec::new();
        let mut level = nodes;
        while level.len() > 1 {
            let mut next = Vec::with_capacity(level.len().div_ceil(2));
            for pair in level.chunks(2) {
                match pair {
                    [left, right] => next.push(Node::join(left, right).ok_or(BuildError::Sum)?),
                    [alone] => next.push(*alone),
                    _ => {}
                }
            }
            levels.push(level);
            level = next;
        }
        let root = level.first().map_or(Root::EMPTY, |top| Root {
            count,
            sum: top.sum,
            top: top.hash,
        });
        levels.push(level);
        Ok(Self {
            levels,
            root,
            kind: PhantomData,
        })
    }

    /// What commits to the tree.
    pub fn root(&self) -> Root {
        self.root
    }

    /// The siblings that lead from leaf `index` to the top; nothing if there is no such leaf.
    pub fn path(&self, index: u64) -> Option<Vec<Node>> {
        self.range_path(index, 1)
    }

    /// Shows `leaf` at `index`. The caller passes the leaf it built the tree from.
    pub fn open(&self, index: u64, leaf: &L) -> Option<Opening<L>> {
        Some(Opening {
            index,
            leaf: leaf.clone(),
            path: self.path(index)?,
        })
    }

    /// The siblings that lead from the `length` leaves at `start` to the top.
    pub fn range_path(&self, start: u64, length: u64) -> Option<Vec<Node>> {
        let mut end = start.checked_add(length)?;
        if length == 0 || end > self.root.count {
            return None;
        }
        let mut start = start;
        let mut path = Vec::new();
        for (level, width) in self.levels.iter().zip(level_widths(self.root.count)) {
            let node = |at: u64| usize::try_from(at).ok().and_then(|at| level.get(at)).copied();
            if start & 1 == 1 {
                path.push(node(start.checked_sub(1)?)?);
            }
            if end & 1 == 1 && end < width {
                path.push(node(end)?);
            }
            start >>= 1;
            end = end.div_ceil(2);
        }
        Some(path)
    }

    /// Shows the leaves `leaves` at `start`, which the caller built the tree from.
    pub fn open_range(&self, start: u64, leaves: &[L]) -> Option<Range<L>> {
        let length = u64::try_from(leaves.len()).ok()?;
        Some(Range {
            start,
            leaves: leaves.to_vec(),
            path: self.range_path(start, length)?,
        })
    }

    /// The sum of all leaves before `index`.
    pub fn prefix(&self, index: u64) -> Option<u128> {
        let leaves = self.levels.first()?;
        let before = leaves.get(..usize::try_from(index).ok()?)?;
        before
            .iter()
            .try_fold(0u128, |sum, node| sum.checked_add(node.sum))
    }
}

/// Computes a root from a stream of leaves, keeping one node per level.
#[derive(Clone, Debug)]
pub struct RootBuilder<L> {
    // Complete subtrees, largest first; bit b of `count` says whether one of 2^b leaves is among them.
    stack: Vec<Node>,
    count: u64,
    kind: PhantomData<L>,
}

impl<L: Leaf> Default for RootBuilder<L> {
    fn default() -> Self {
        Self {
            stack: Vec::new(),
            count: 0,
            kind: PhantomData,
        }
    }
}

impl<L: Leaf> RootBuilder<L> {
    /// Adds the next leaf.
    pub fn push(&mut self, leaf: &L) -> Result<(), BuildError> {
        let mut node = leaf.node(self.count).ok_or(BuildError::Leaf(self.count))?;
        let mut filled = self.count;
        while filled & 1 == 1 {
            let Some(left) = self.stack.pop() else { break };
            node = Node::join(&left, &node).ok_or(BuildError::Sum)?;
            filled >>= 1;
        }
        self.stack.push(node);
        self.count = self.count.checked_add(1).ok_or(BuildError::Sum)?;
        Ok(())
    }

    /// The root of what was added.
    pub fn finish(mut self) -> Result<Root, BuildError> {
        let Some(mut top) = self.stack.pop() else {
            return Ok(Root::EMPTY);
        };
        while let Some(left) = self.stack.pop() {
            top = Node::join(&left, &top).ok_or(BuildError::Sum)?;
        }
        Ok(Root {
            count: self.count,
            sum: top.sum,
            top: top.hash,
        })
    }
}

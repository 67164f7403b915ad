//! Verifying: one leaf, a run of leaves, the place where a leaf is not. Each also proves the sum of all
//! leaves before it.

use super::{Leaf, Node, Root};
use crate::wire::{fields, Field, Reader, WireError};
use alloc::{vec, vec::Vec};

/// Widths of the levels that have siblings, from the leaves up.
pub(super) fn level_widths(count: u64) -> impl Iterator<Item = u64> {
    core::iter::successors(Some(count), |width| Some(width.div_ceil(2))).take_while(|width| *width > 1)
}

/// How many siblings the path of leaf `index` has in a tree of `count`; nothing if there is no such leaf.
pub fn path_length(index: u64, count: u64) -> Option<usize> {
    range_length(index, 1, count)
}

/// How many siblings the path of `length` leaves at `start` has in a tree of `count`.
pub fn range_length(start: u64, length: u64, count: u64) -> Option<usize> {
    let mut end = start.checked_add(length)?;
    if length == 0 || end > count {
        return None;
    }
    let (mut start, mut total) = (start, 0usize);
    for width in level_widths(count) {
        let left = usize::from(start & 1 == 1);
        let right = usize::from(end & 1 == 1 && end < width);
        total = total.checked_add(left)?.checked_add(right)?;
        start >>= 1;
        end = end.div_ceil(2);
    }
    Some(total)
}

/// A run of leaf nodes is what `root` commits to at `start`: returns the sum of all leaves before it.
fn verify(start: u64, mut nodes: Vec<Node>, path: &[Node], root: &Root) -> Option<u128> {
    let length = u64::try_from(nodes.len()).ok()?;
    if path.len() != range_length(start, length, root.count)? {
        return None;
    }
    let mut siblings = path.iter();
    let (mut start, mut prefix) = (start, 0u128);
    for width in level_widths(root.count) {
        let end = start.checked_add(u64::try_from(nodes.len()).ok()?)?;
        let mut level = Vec::with_capacity(nodes.len().saturating_add(2));
        if start & 1 == 1 {
            let left = siblings.next()?;
            prefix = prefix.checked_add(left.sum)?;
            level.push(*left);
        }
        level.append(&mut nodes);
        if end & 1 == 1 && end < width {
            level.push(*siblings.next()?);
        }
        for pair in level.chunks(2) {
            match pair {
                [left, right] => nodes.push(Node::join(left, right)?),
                [alone] => nodes.push(*alone),
                _ => return None,
            }
        }
        start >>= 1;
    }
    match nodes.as_slice() {
        [top] if siblings.next().is_none() && top.sum == root.sum && top.hash == root.top => Some(prefix),
        _ => None,
    }
}

/// One leaf with the way to its root.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct Opening<L> {
    /// Position of the leaf.
    pub index: u64,
    /// The leaf.
    pub leaf: L,
    /// Siblings from the leaf to the top; levels at which the node rises alone have none.
    pub path: Vec<Node>,
}

fields!(Opening<L> { index, leaf, path });

impl<L: Leaf> Opening<L> {
    /// If `root` commits to this leaf at this index, the sum of all leaves before it.
    pub fn verify(&self, root: &Root) -> Option<u128> {
        // The length first: it is cheap, and hashing a large leaf for a path that cannot fit is not.
        if self.path.len() != path_length(self.index, root.count)? {
            return None;
        }
        verify(self.index, vec![self.leaf.node(self.index)?], &self.path, root)
    }

    /// Whether it is the last leaf of `root`.
    pub fn is_last(&self, root: &Root) -> bool {
        self.index.checked_add(1) == Some(root.count)
    }

    /// Whether `next` stands right behind it.
    pub fn precedes<M>(&self, next: &Opening<M>) -> bool {
        self.index.checked_add(1) == Some(next.index)
    }
}

/// Consecutive leaves with the way to their root. Per level, the sibling on the left comes before the one on
/// the right.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct Range<L> {
    /// Position of the first leaf.
    pub start: u64,
    /// The leaves, at least one.
    pub leaves: Vec<L>,
    /// Siblings.
    pub path: Vec<Node>,
}

fields!(Range<L> { start, leaves, path });

impl<L: Leaf> Range<L> {
    /// If `root` commits to these leaves at this place, the sum of all leaves before them.
    pub fn verify(&self, root: &Root) -> Option<u128> {
        let length = u64::try_from(self.leaves.len()).ok()?;
        if self.path.len() != range_length(self.start, length, root.count)? {
            return None;
        }
        let mut nodes = Vec::with_capacity(self.leaves.len());
        for (index, leaf) in (self.start..).zip(&self.leaves) {
            nodes.push(leaf.node(index)?);
        }
        verify(self.start, nodes, &self.path, root)
    }

    /// The position right behind the last leaf.
    pub fn end(&self) -> Option<u64> {
        self.start.checked_add(u64::try_from(self.leaves.len()).ok()?)
    }
}

/// A leaf of a tree sorted by key.
pub trait Keyed: Leaf {
    /// What the tree is sorted by.
    type Key: Ord;

    /// The leaf's key.
    fn key(&self) -> Self::Key;
}

/// Two neighbouring leaves between which a key is missing. At either end of the tree only one is there; in an
/// empty tree none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct Gap<L> {
    /// The last leaf below the key.
    pub before: Option<Opening<L>>,
    /// The first leaf above the key.
    pub after: Option<Opening<L>>,
}

impl<L: Field> Field for Gap<L> {
    fn write(&self, out: &mut Vec<u8>) {
        let Self { before, after } = self;
        before.write(out);
        after.write(out);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            before: Field::read(from)?,
            after: Field::read(from)?,
        })
    }
}

impl<L: Keyed> Gap<L> {
    /// Whether the leaves are neighbours in `root` and `key` would stand between them.
    pub fn excludes(&self, key: &L::Key, root: &Root) -> bool {
        let verified = |opening: &Option<Opening<L>>| {
            opening
                .as_ref()
                .is_none_or(|opening| opening.verify(root).is_some())
        };
        if !verified(&self.before) || !verified(&self.after) {
            return false;
        }
        match (&self.before, &self.after) {
            (None, None) => root.count == 0,
            (Some(before), None) => before.is_last(root) && before.leaf.key() < *key,
            (None, Some(after)) => after.index == 0 && *key < after.leaf.key(),
            (Some(before), Some(after)) => {
                before.precedes(after) && before.leaf.key() < *key && *key < after.leaf.key()
            }
        }
    }
}

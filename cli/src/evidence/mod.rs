//! What is wrong with what somebody committed to, as evidence that convinces the chain's judge. No network, no files: what was
//! published in, evidence out.
//!
//! Nothing published is believed. What is not what the chain has the hash of counts as not published: [`batch::missing`] says
//! what is to be asked for then.

pub mod batch;
pub mod index;
pub mod version;

use openledger_attribution::{
    tree::{Gap, Keyed, Leaf, Opening, Root, Tree},
    verdict::Neighbours,
};

/// Leaves and the tree that they are committed to by.
#[derive(Clone, Debug)]
pub struct Grove<L> {
    leaves: Vec<L>,
    tree: Tree<L>,
}

impl<L: Leaf + Clone> Grove<L> {
    /// The leaves, if they are those of `root`.
    pub fn of(leaves: Vec<L>, root: &Root) -> Option<Self> {
        let tree = Tree::new(&leaves).ok().filter(|tree| tree.root() == *root)?;
        Some(Self { leaves, tree })
    }

    /// The leaves.
    pub fn leaves(&self) -> &[L] {
        &self.leaves
    }

    /// The leaves with their positions.
    pub fn each(&self) -> impl Iterator<Item = (u64, &L)> {
        (0u64..).zip(&self.leaves)
    }

    /// A leaf with the way to the root.
    pub fn open(&self, at: u64) -> Option<Opening<L>> {
        self.tree.open(at, self.leaves.get(usize::try_from(at).ok()?)?)
    }

    /// The leaf before this one.
    fn before(&self, at: u64) -> Option<Opening<L>> {
        self.open(at.checked_sub(1)?)
    }

    /// All leaves with the one behind each.
    fn neighbours(&self) -> impl Iterator<Item = Neighbours<L>> + '_ {
        self.each().filter_map(|(at, _)| {
            Some(Neighbours {
                left: self.open(at)?,
                right: self.open(at.checked_add(1)?)?,
            })
        })
    }
}

impl<L: Keyed + Clone> Grove<L> {
    /// Where `key` would stand, if it does not. Only of use where the leaves are sorted: who has them unsorted falls by that.
    fn gap(&self, key: &L::Key) -> Option<Gap<L>> {
        let at = self.leaves.partition_point(|leaf| leaf.key() < *key) as u64;
        let gap = Gap {
            before: self.before(at),
            after: self.open(at),
        };
        gap.excludes(key, &self.tree.root()).then_some(gap)
    }
}

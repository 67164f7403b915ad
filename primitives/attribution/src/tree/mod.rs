//! Sum trees: one shape for every commitment.
//!
//! ```text
//! leaf = keccak(00 ‖ tag ‖ index ‖ payload)          index: u64, the leaf's position
//! node = keccak(01 ‖ sumL ‖ L ‖ sumR ‖ R)            sums: u128
//! root = keccak(02 ‖ tag ‖ count ‖ sum ‖ top)        count: u64, the number of leaves
//! ```
//!
//! Level 0 holds the leaves in order. Neighbours 0 and 1, 2 and 3, … join into the next level; a last node
//! without a partner rises unchanged. The top is the one node that remains, or 32 zero bytes with sum 0 when
//! there is no leaf. What a leaf adds to the sum is a function of its payload, so a sum cannot be claimed
//! that the payload does not carry. All additions are checked: a tree whose sum would pass 2^128 cannot be
//! built or verified.
//!
//! Tag, index and count make every node mean one thing in one place: an inner node cannot pose as a leaf, a
//! leaf cannot be shown at another position, a tree cannot be shown as one of another size. A verifier takes
//! the count from the root, derives from it how many siblings a path must have, and refuses any other number.

mod build;
mod path;

pub use build::{BuildError, RootBuilder, Tree};
pub use path::{path_length, range_length, Gap, Keyed, Opening, Range};

use crate::{
    hash::{keccak, Hash, Tag, LEAF, NODE, NONE, ROOT},
    wire::fields,
};
use alloc::vec::Vec;

/// Something that can be a leaf.
pub trait Leaf: Clone {
    /// Names the kind of leaf and the version of its layout.
    const TAG: Tag;

    /// Appends the payload and returns what the leaf adds to the sum; nothing if no such leaf can exist.
    /// Different leaves have different payloads.
    fn payload(&self, out: &mut Vec<u8>) -> Option<u128>;

    /// The leaf as a node at position `index`.
    fn node(&self, index: u64) -> Option<Node> {
        let mut payload = Vec::new();
        let sum = self.payload(&mut payload)?;
        Some(Node {
            sum,
            hash: keccak(&[&[LEAF], &Self::TAG, &index.to_be_bytes(), &payload]),
        })
    }

    /// What the leaf adds to the sum.
    fn sum(&self) -> Option<u128> {
        self.payload(&mut Vec::new())
    }
}

/// A subtree: what its leaves add up to, and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct Node {
    /// Sum of the leaves below.
    pub sum: u128,
    /// Hash of the subtree.
    pub hash: Hash,
}

fields!(Node { sum, hash });

impl Node {
    /// The parent of two nodes, or nothing if their sums do not fit.
    pub fn join(left: &Self, right: &Self) -> Option<Self> {
        let sum = left.sum.checked_add(right.sum)?;
        let hash = keccak(&[
            &[NODE],
            &left.sum.to_be_bytes(),
            &left.hash,
            &right.sum.to_be_bytes(),
            &right.hash,
        ]);
        Some(Self { sum, hash })
    }
}

/// A commitment to a tree: what a verifier must already trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct Root {
    /// Number of leaves.
    pub count: u64,
    /// Sum of all leaves.
    pub sum: u128,
    /// Hash of the top node.
    pub top: Hash,
}

fields!(Root { count, sum, top });

impl Root {
    /// The tree without leaves.
    pub const EMPTY: Self = Self {
        count: 0,
        sum: 0,
        top: NONE,
    };

    /// Whether a tree can have this root: without leaves there is only [`EMPTY`](Self::EMPTY).
    pub fn is_possible(&self) -> bool {
        self.count > 0 || *self == Self::EMPTY
    }

    /// The root hash of a tree of `L`.
    pub fn hash<L: Leaf>(&self) -> Hash {
        keccak(&[
            &[ROOT],
            &L::TAG,
            &self.count.to_be_bytes(),
            &self.sum.to_be_bytes(),
            &self.top,
        ])
    }
}

//! Laws of sum trees: what is built is what the definition says, what is shown is verified with the sum
//! before it, and nothing else is.

mod common;

use common::{law, Rng};
use openledger_attribution::{
    batch::{CreditLeaf, PartLeaf},
    hash::{keccak, Hash, Tag},
    tree::{path_length, range_length, Gap, Leaf, Node, Opening, Range, Root, RootBuilder, Tree},
    verbatim::{CountLeaf, SuffixLeaf},
};
use proptest::prelude::*;

/// A leaf with a free payload, to pose as other things.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Raw {
    bytes: Vec<u8>,
    sum: u128,
}

impl Leaf for Raw {
    const TAG: Tag = *b"TST1";

    fn payload(&self, out: &mut Vec<u8>) -> Option<u128> {
        out.extend_from_slice(&self.bytes);
        Some(self.sum)
    }
}

/// The same bytes under another tag.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Other(Raw);

impl Leaf for Other {
    const TAG: Tag = *b"TST2";

    fn payload(&self, out: &mut Vec<u8>) -> Option<u128> {
        self.0.payload(out)
    }
}

fn leaves(rng: &mut Rng, count: u64) -> Vec<Raw> {
    let leaf = |rng: &mut Rng| {
        let sum = match rng.below(4) {
            0 => 0,
            1 => 1,
            _ => u128::from(rng.next()),
        };
        let mut bytes = sum.to_be_bytes().to_vec();
        bytes.extend_from_slice(&rng.next().to_be_bytes());
        Raw { bytes, sum }
    };
    (0..count).map(|_| leaf(rng)).collect()
}

/// The tree as the documentation tells it, written down once more: hash by hash, level by level.
fn by_the_book(leaves: &[Raw]) -> (u128, Hash, Hash) {
    let mut level: Vec<(u128, Hash)> = (0u64..)
        .zip(leaves)
        .map(|(index, leaf)| {
            (
                leaf.sum,
                keccak(&[&[0], b"TST1", &index.to_be_bytes(), &leaf.bytes]),
            )
        })
        .collect();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [(ls, l), (rs, r)] => (
                    ls + rs,
                    keccak(&[&[1], &ls.to_be_bytes(), l, &rs.to_be_bytes(), r]),
                ),
                [alone] => *alone,
                _ => unreachable!(),
            })
            .collect();
    }
    let (sum, top) = level.first().copied().unwrap_or((0, [0; 32]));
    let count = leaves.len() as u64;
    (
        sum,
        top,
        keccak(&[&[2], b"TST1", &count.to_be_bytes(), &sum.to_be_bytes(), &top]),
    )
}

#[test]
fn trees_are_what_the_book_says() {
    law(400, (any::<u64>(), 0u64..130), |(seed, count)| {
        let leaves = leaves(&mut Rng(seed), count);
        let tree = Tree::new(&leaves).unwrap();
        let (sum, top, hash) = by_the_book(&leaves);
        prop_assert_eq!(tree.root(), Root { count, sum, top });
        prop_assert_eq!(tree.root().hash::<Raw>(), hash);
        let mut builder = RootBuilder::default();
        leaves.iter().for_each(|leaf| builder.push(leaf).unwrap());
        prop_assert_eq!(builder.finish().unwrap(), tree.root());
        let nodes: Vec<Node> = (0u64..)
            .zip(&leaves)
            .map(|(at, leaf)| leaf.node(at).unwrap())
            .collect();
        prop_assert_eq!(Tree::<Raw>::from_nodes(nodes).unwrap(), tree);
        Ok(())
    });
    assert_eq!(Tree::<Raw>::new(&[]).unwrap().root(), Root::EMPTY);
    assert_eq!(RootBuilder::<Raw>::default().finish(), Ok(Root::EMPTY));
}

#[test]
fn every_leaf_is_shown_with_the_sum_before_it() {
    law(200, (any::<u64>(), 1u64..80), |(seed, count)| {
        let leaves = leaves(&mut Rng(seed), count);
        let tree = Tree::new(&leaves).unwrap();
        let mut before = 0u128;
        for (index, leaf) in (0u64..).zip(&leaves) {
            let opening = tree.open(index, leaf).unwrap();
            prop_assert_eq!(opening.path.len(), path_length(index, count).unwrap());
            prop_assert_eq!(opening.verify(&tree.root()), Some(before));
            prop_assert_eq!(tree.prefix(index), Some(before));
            before += leaf.sum;
        }
        prop_assert_eq!(tree.prefix(count), Some(before));
        prop_assert!(tree.path(count).is_none());
        prop_assert_eq!(path_length(count, count), None);
        Ok(())
    });
}

#[test]
fn every_range_is_shown_with_the_sum_before_it() {
    law(60, (any::<u64>(), 1usize..40), |(seed, count)| {
        let leaves = leaves(&mut Rng(seed), count as u64);
        let tree = Tree::new(&leaves).unwrap();
        for start in 0..count {
            for end in start + 1..=count {
                let range = tree.open_range(start as u64, &leaves[start..end]).unwrap();
                let length = (end - start) as u64;
                prop_assert_eq!(
                    range.path.len(),
                    range_length(start as u64, length, count as u64).unwrap()
                );
                let before: u128 = leaves[..start].iter().map(|leaf| leaf.sum).sum();
                prop_assert_eq!(range.verify(&tree.root()), Some(before));
                let moved = Range {
                    start: start as u64 + 1,
                    ..range.clone()
                };
                prop_assert_eq!(moved.verify(&tree.root()), None);
                let mut shorter = range;
                shorter.leaves.pop();
                prop_assert_eq!(shorter.verify(&tree.root()), None);
            }
        }
        let none: Range<Raw> = Range {
            start: 0,
            leaves: vec![],
            path: vec![],
        };
        prop_assert_eq!(none.verify(&tree.root()), None);
        Ok(())
    });
}

/// Every bit of an opening that is not the tree's own.
fn mutations(opening: &Opening<Raw>) -> Vec<Opening<Raw>> {
    let mut all = Vec::new();
    let Opening { index, leaf, path } = opening;
    for bit in 0..64 {
        all.push(Opening {
            index: index ^ (1 << bit),
            ..opening.clone()
        });
    }
    for bit in 0..128 {
        let mut other = leaf.clone();
        other.sum ^= 1 << bit;
        all.push(Opening {
            leaf: other,
            ..opening.clone()
        });
    }
    for bit in 0..leaf.bytes.len() * 8 {
        let mut other = leaf.clone();
        other.bytes[bit / 8] ^= 1 << (bit % 8);
        all.push(Opening {
            leaf: other,
            ..opening.clone()
        });
    }
    for at in 0..path.len() {
        for bit in 0..128 {
            let mut other = opening.clone();
            other.path[at].sum ^= 1 << bit;
            all.push(other);
        }
        for bit in 0..256 {
            let mut other = opening.clone();
            other.path[at].hash[bit / 8] ^= 1 << (bit % 8);
            all.push(other);
        }
    }
    all
}

#[test]
fn every_bit_of_a_proof_counts() {
    law(25, (any::<u64>(), 1u64..40), |(seed, count)| {
        let mut rng = Rng(seed);
        let leaves = leaves(&mut rng, count);
        let tree = Tree::new(&leaves).unwrap();
        let root = tree.root();
        let index = rng.below(count);
        let opening = tree.open(index, &leaves[index as usize]).unwrap();
        prop_assert!(opening.verify(&root).is_some());
        for other in mutations(&opening) {
            prop_assert_eq!(other.verify(&root), None);
        }
        // Cut, stretched, doubled, turned round.
        for at in 0..opening.path.len() {
            let mut other = opening.clone();
            other.path.remove(at);
            prop_assert_eq!(other.verify(&root), None);
            let mut other = opening.clone();
            let copy = other.path[at];
            other.path.insert(at, copy);
            prop_assert_eq!(other.verify(&root), None);
        }
        let mut other = opening.clone();
        other.path.push(Node {
            sum: 0,
            hash: [0; 32],
        });
        prop_assert_eq!(other.verify(&root), None);
        if opening.path.len() > 1 {
            let mut other = opening.clone();
            other.path.reverse();
            prop_assert_eq!(other.verify(&root), None);
        }
        // Another root: its sum, its top.
        for bit in 0..128 {
            prop_assert_eq!(
                opening.verify(&Root {
                    sum: root.sum ^ (1 << bit),
                    ..root
                }),
                None
            );
        }
        for bit in 0..256 {
            let mut other = root;
            other.top[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(opening.verify(&other), None);
        }
        Ok(())
    });
}

#[test]
fn a_wrong_count_makes_some_leaf_impossible_to_show() {
    law(
        200,
        (any::<u64>(), 1u64..70, 0u64..140),
        |(seed, count, claimed)| {
            let leaves = leaves(&mut Rng(seed), count);
            let tree = Tree::new(&leaves).unwrap();
            let root = Root {
                count: claimed,
                ..tree.root()
            };
            prop_assert_ne!(root.hash::<Raw>() == tree.root().hash::<Raw>(), claimed != count);
            if claimed == count || claimed == 0 {
                prop_assert_eq!(root.is_possible(), claimed > 0);
                return Ok(());
            }
            // Whoever claims another number must be able to show each of those leaves; of at least one that
            // is impossible, even with all nodes of the tree at hand.
            let shown = |index: u64| -> bool {
                let Some(length) = path_length(index, claimed) else {
                    return false;
                };
                let Some(leaf) = leaves.get(index as usize) else {
                    return false;
                };
                let Some(path) = tree.path(index) else {
                    return false;
                };
                path.len() == length
                    && Opening {
                        index,
                        leaf: leaf.clone(),
                        path,
                    }
                    .verify(&root)
                    .is_some()
            };
            prop_assert!((0..claimed).any(|index| !shown(index)));
            Ok(())
        },
    );
}

#[test]
fn a_node_cannot_pose_as_a_leaf_nor_a_leaf_as_a_node() {
    law(100, (any::<u64>(), 2u64..40), |(seed, count)| {
        let leaves = leaves(&mut Rng(seed), count);
        let tree = Tree::new(&leaves).unwrap();
        let (left, right) = (leaves[0].node(0).unwrap(), leaves[1].node(1).unwrap());
        // The bytes that an inner node hashes, offered as a leaf's payload in a tree of half the size.
        let mut bytes = Vec::new();
        for node in [left, right] {
            bytes.extend_from_slice(&node.sum.to_be_bytes());
            bytes.extend_from_slice(&node.hash);
        }
        let posing = Raw {
            bytes,
            sum: left.sum + right.sum,
        };
        let half = Root {
            count: count.div_ceil(2),
            ..tree.root()
        };
        let path: Vec<Node> = tree.path(0).unwrap().into_iter().skip(1).collect();
        prop_assert_eq!(
            Opening {
                index: 0,
                leaf: posing.clone(),
                path
            }
            .verify(&half),
            None
        );
        prop_assert_ne!(posing.node(0), Node::join(&left, &right));

        // A leaf is no leaf of another kind of tree, nor at another place.
        let path = tree.path(0).unwrap();
        let other = Opening {
            index: 0,
            leaf: Other(leaves[0].clone()),
            path: path.clone(),
        };
        prop_assert_eq!(other.verify(&tree.root()), None);
        if let Some(at) = (1..count).find(|at| path_length(*at, count) == path_length(0, count)) {
            let moved = Opening {
                index: at,
                leaf: leaves[0].clone(),
                path,
            };
            prop_assert_eq!(moved.verify(&tree.root()), None);
        }
        Ok(())
    });
}

#[test]
fn sums_that_do_not_fit_are_refused() {
    let big = |n: u8| Raw {
        bytes: vec![n],
        sum: u128::MAX - 5,
    };
    let small = Raw {
        bytes: vec![9],
        sum: 5,
    };
    assert!(Tree::new(&[big(1), small.clone()]).is_ok());
    assert!(Tree::new(&[big(1), small, big(2)]).is_err());
    let mut builder = RootBuilder::default();
    builder.push(&big(1)).unwrap();
    assert!(builder.push(&big(2)).is_err());
    // A path whose sums wrap round to the right total.
    let node = Node {
        sum: u128::MAX,
        hash: [1; 32],
    };
    assert_eq!(
        Node::join(
            &node,
            &Node {
                sum: 1,
                hash: [2; 32]
            }
        ),
        None
    );
    // A leaf that cannot exist has no place in a tree.
    assert!(Tree::new(&[PartLeaf {
        contributor: [1; 32],
        source: 0,
        amount: 0
    }])
    .is_err());
    let error = Tree::new(&[PartLeaf {
        contributor: [1; 32],
        source: 0,
        amount: 0,
    }])
    .unwrap_err();
    assert!(error.to_string().contains("leaf 0"));
}

#[test]
fn gaps_are_where_keys_are_not() {
    law(150, proptest::collection::btree_set(0u8..60, 0..12), |keys| {
        let credit = |key: u8| CreditLeaf {
            contributor: [key; 32],
            first: 0,
            end: 1,
            amount: 1,
        };
        let leaves: Vec<CreditLeaf> = keys.iter().map(|key| credit(*key)).collect();
        let tree = Tree::new(&leaves).unwrap();
        let root = tree.root();
        let open = |at: usize| tree.open(at as u64, leaves.get(at)?);
        for key in 0u8..60 {
            for at in 0..=leaves.len() {
                let gap = Gap {
                    before: at.checked_sub(1).and_then(open),
                    after: open(at),
                };
                let fits = !keys.contains(&key)
                    && leaves[..at].iter().all(|leaf| leaf.contributor[0] < key)
                    && leaves[at..].iter().all(|leaf| leaf.contributor[0] > key);
                prop_assert_eq!(gap.excludes(&[key; 32], &root), fits);
                // One neighbour is not enough, except at an end.
                let halves = [
                    Gap {
                        before: gap.before.clone(),
                        after: None,
                    },
                    Gap {
                        before: None,
                        after: gap.after.clone(),
                    },
                    Gap {
                        before: None,
                        after: None,
                    },
                ];
                for half in halves {
                    if half != gap {
                        prop_assert!(!half.excludes(&[key; 32], &root));
                    }
                }
            }
        }
        Ok(())
    });
}

#[test]
fn leaves_of_different_kinds_never_share_a_hash() {
    // The same eight bytes as a suffix and as a count.
    let (suffix, count) = (SuffixLeaf { position: 7 }, CountLeaf { count: 7 });
    assert_ne!(suffix.node(0).unwrap().hash, count.node(0).unwrap().hash);
    assert_ne!(Root::EMPTY.hash::<SuffixLeaf>(), Root::EMPTY.hash::<CountLeaf>());
    assert_eq!((suffix.sum(), count.sum()), (Some(0), Some(7)));
}

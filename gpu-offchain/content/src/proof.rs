//! Showing that a file is held, by a piece of it that nobody could foresee.
//!
//! A seed that was drawn after the file was named picks one leaf; the answer is the nodes from the root down to it,
//! and the leaf. Each block is checked against the CID that names it, so the root's CID is all that the asker needs.
//! Sealed content is shown sealed: neither side needs the key. (A record of an open contribution is shown by
//! [`Bundle::open`](crate::Bundle::open), against the root on the chain.)

use crate::{dag, Cid, Codec, Error, Result, Store};
use openledger_attribution::hash::{keccak, Hash};

/// The byte that a seed picks of a file of so many, none of an empty one.
fn drawn(root: &Cid, seed: &Hash, bytes: u64) -> u64 {
    let hash = keccak(&[b"openledger held", &root.to_bytes(), seed]);
    let number = hash
        .iter()
        .take(16)
        .fold(0u128, |number, byte| number << 8 | u128::from(*byte));
    // Of 2^128 numbers, so none is noticeably likelier than another.
    u64::try_from(number % u128::from(bytes.max(1))).unwrap_or_default()
}

impl Store {
    /// The blocks that show that a file is held: root first, the drawn leaf last.
    ///
    /// Errors: [`Error::Missing`] and [`Error::Corrupt`], when it is not.
    pub fn prove_held(&self, root: &Cid, seed: &Hash) -> Result<Vec<Vec<u8>>> {
        let mut blocks = Vec::new();
        walk(root, seed, |cid| {
            if self.size(cid)? > dag::MAX_BLOCK as u64 {
                return Err(Error::Node {
                    cid: *cid,
                    what: format!("it is over {} bytes, so it is no part of a file", dag::MAX_BLOCK),
                });
            }
            let block = self.get(cid)?;
            blocks.push(block.clone());
            Ok(block)
        })?;
        Ok(blocks)
    }
}

/// Checks an answer to a challenge; gives the size of the file in bytes.
///
/// Errors: a block is missing, not the one that is asked for, or one too many.
pub fn check_held(root: &Cid, seed: &Hash, blocks: &[Vec<u8>]) -> Result<u64> {
    let mut left = blocks.iter();
    let bytes = walk(root, seed, |cid| {
        let block = left.next().ok_or(Error::Missing(*cid))?;
        crate::verify(cid, block)?;
        Ok(block.clone())
    })?;
    match left.next() {
        Some(_) => Err(Error::Node {
            cid: *root,
            what: "more blocks came than lead to the drawn one".into(),
        }),
        None => Ok(bytes),
    }
}

/// Goes from the root to the drawn leaf over blocks that `get` gives; tells the size of the file in bytes.
fn walk(root: &Cid, seed: &Hash, mut get: impl FnMut(&Cid) -> Result<Vec<u8>>) -> Result<u64> {
    let block = get(root)?;
    if root.codec() == Codec::Raw {
        return Ok(block.len() as u64);
    }
    let mut node = dag::decode(root, &block)?;
    let bytes = node.bytes;
    let mut place = drawn(root, seed, bytes);
    for _ in 0..dag::MAX_DEPTH {
        // Other programs keep bytes in nodes; then the node is the piece.
        let Some(mut past) = place.checked_sub(node.inline.len() as u64) else {
            return Ok(bytes);
        };
        let part = node.parts.iter().find(|(_, size)| match past.checked_sub(*size) {
            Some(rest) => {
                past = rest;
                false
            }
            None => true,
        });
        let Some((cid, size)) = part.copied() else {
            return Ok(bytes);
        };
        let block = get(&cid)?;
        let has = match cid.codec() {
            Codec::Raw => block.len() as u64,
            Codec::DagPb => {
                node = dag::decode(&cid, &block)?;
                node.bytes
            }
        };
        if has != size {
            return Err(Error::Node {
                cid,
                what: format!("it has {has} bytes of the file where {size} are listed"),
            });
        }
        if cid.codec() == Codec::Raw {
            return Ok(bytes);
        }
        place = past;
    }
    Err(dag::too_deep(root))
}

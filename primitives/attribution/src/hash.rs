//! Keccak-256 with the prefixes that keep leaves, nodes, roots and whole objects apart.

use tiny_keccak::{Hasher, Keccak};

/// A keccak-256 digest.
pub type Hash = [u8; 32];

/// A 32-byte account id. An Ethereum address `a` is the account `a ‖ 0xEE × 12`.
pub type Account = [u8; 32];

/// Four ASCII characters that name what is hashed and the version of its layout.
pub type Tag = [u8; 4];

/// The hash that stands for "none": no previous receipt, no deferred attribution, no top of an empty tree.
pub const NONE: Hash = [0; 32];

pub(crate) const LEAF: u8 = 0;
pub(crate) const NODE: u8 = 1;
pub(crate) const ROOT: u8 = 2;
pub(crate) const OBJECT: u8 = 3;

/// Keccak-256 of the concatenation of `parts`.
pub fn keccak(parts: &[&[u8]]) -> Hash {
    let mut hasher = Keccak::v256();
    for part in parts {
        hasher.update(part);
    }
    let mut digest = [0; 32];
    hasher.finalize(&mut digest);
    digest
}

/// The account of an Ethereum address.
pub fn account_of_address(address: &[u8; 20]) -> Account {
    let mut account = [0xEE; 32];
    for (to, from) in account.iter_mut().zip(address) {
        *to = *from;
    }
    account
}

/// The Ethereum address of an uncompressed secp256k1 public key without its leading `04`.
pub fn address_of_key(key: &[u8; 64]) -> [u8; 20] {
    let digest = keccak(&[key]);
    let mut address = [0; 20];
    for (to, from) in address.iter_mut().zip(digest.iter().skip(12)) {
        *to = *from;
    }
    address
}

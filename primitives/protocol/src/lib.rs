//! What the chain stores and is told, in the types that its pallets, the worker, the command line and the tests share.
//!
//! The pallets store these very types, so a client that reads a storage value decodes it with the code that wrote it, and no
//! second description of the chain can drift from the first. Everything is SCALE. `A` is an account: the runtime's own type
//! in a pallet, [`Account`] elsewhere; both are 32 bytes.
//!
//! Amounts are planck (10⁻¹⁸ OPEN), heights are blocks, and ids count from 0 and are never reused.

#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

extern crate alloc;

pub mod batches;
pub mod calls;
pub mod channels;
pub mod committees;
pub mod compute;
pub mod datanets;
pub mod disputes;
pub mod inference;
pub mod models;
pub mod staking;
pub mod storage;

pub use openledger_attribution::hash::{Account, Hash};

use bounded_collections::{BoundedVec, ConstU32};

/// A short text: the name of a thing, or an SPDX licence identifier. UTF-8, at most 64 bytes.
pub type Name = BoundedVec<u8, ConstU32<64>>;

/// A binary content identifier (CIDv1).
pub type Cid = BoundedVec<u8, ConstU32<64>>;

/// Where a worker's public API is, as a URL without a trailing slash. UTF-8.
pub type Endpoint = BoundedVec<u8, ConstU32<128>>;

/// Whether a text can be shown as a name: not empty, UTF-8, no control characters.
pub fn is_name(text: &Name) -> bool {
    core::str::from_utf8(text).is_ok_and(|text| !text.is_empty() && !text.chars().any(char::is_control))
}

//! What can go wrong between this program and the chain.

use crate::Block;
use openledger_protocol::Hash;

/// [`Result`](core::result::Result) with [`Error`].
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// What went wrong, with which value, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody answers.
    #[error("no node answers at {url} ({reason}): start one there, or name another address")]
    Unreachable {
        /// The address.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The address is not one of a node.
    #[error("{url} is not the address of a node ({reason}): write it like ws://127.0.0.1:9944")]
    Address {
        /// The address.
        url: String,
        /// Why.
        reason: String,
    },
    /// The node runs another chain.
    #[error(
        "the node at {url} runs the chain with genesis 0x{}, not 0x{}: connect to a node of the right chain",
        hex::encode(found),
        hex::encode(expected)
    )]
    OtherGenesis {
        /// The address.
        url: String,
        /// The genesis asked for.
        expected: Hash,
        /// The genesis of the node's chain.
        found: Hash,
    },
    /// The node refused a request.
    #[error("the node refused {method}: {reason}")]
    Node {
        /// The method of its JSON-RPC interface.
        method: String,
        /// What it said.
        reason: String,
    },
    /// Bytes that are not what they should be.
    #[error("{what} does not decode ({reason}): this program and the chain's runtime differ in version; update the older one")]
    Decode {
        /// Where the bytes come from.
        what: String,
        /// What the decoder said.
        reason: String,
    },
    /// Something that should be on the chain is not.
    #[error("there is no {what} at block {block}: check its number, or wait for the block it is made in")]
    Missing {
        /// What.
        what: String,
        /// Where it was looked for.
        block: Block,
    },
    /// The runtime does not know a call.
    #[error("the chain's runtime does not take this call ({reason}): this program and the runtime differ in version; update the older one")]
    Call {
        /// What does not fit.
        reason: String,
    },
    /// A transaction ran and failed.
    #[error("the chain refused the call in block {block}: {pallet}::{error} ({docs})")]
    Dispatch {
        /// The pallet, or the family of an error that is of no pallet.
        pallet: String,
        /// The name of the error.
        error: String,
        /// What its documentation says.
        docs: String,
        /// The block it failed in.
        block: Block,
    },
    /// The pool did not take a transaction.
    #[error("the node did not take the transaction: {reason}; check that {account} can pay its fee")]
    Refused {
        /// What the pool said.
        reason: String,
        /// Whose transaction it is.
        account: String,
    },
    /// A transaction did not get into a block.
    #[error(
        "the transaction 0x{} did not get into a block ({reason}): submit it again",
        hex::encode(hash)
    )]
    NotIncluded {
        /// Hash of the transaction.
        hash: Hash,
        /// What is known about it.
        reason: String,
    },
    /// An event that a successful call should have emitted is not there.
    #[error("block {block} has no event {pallet}::{name} of the transaction: this program and the runtime differ in version; update the older one")]
    NoEvent {
        /// The pallet.
        pallet: String,
        /// The event.
        name: String,
        /// The block.
        block: Block,
    },
    /// A key file or URI that cannot be used.
    #[error("the key {what} cannot be used: {reason}")]
    Key {
        /// The file or name.
        what: String,
        /// Why, and what to do.
        reason: String,
    },
    /// A text that is not what it should be.
    #[error("`{text}` is not {wanted}")]
    Text {
        /// The text.
        text: String,
        /// What was wanted, with an example.
        wanted: &'static str,
    },
}

impl Error {
    /// Whether the same attempt may work later without anybody doing anything: the node is away.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::NotIncluded { .. })
    }

    /// Whether a call failed with this error of this pallet.
    pub fn is_dispatch(&self, pallet: &str, error: &str) -> bool {
        matches!(self, Self::Dispatch { pallet: p, error: e, .. } if p == pallet && e == error)
    }
}

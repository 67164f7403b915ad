//! A client of the chain, for the worker and the command line.
//!
//! ```no_run
//! use openledger_chain::{Chain, Head, Key};
//! use openledger_protocol::{calls, channels::Channel, storage, Account};
//!
//! # async fn example(worker: Account) -> openledger_chain::Result<()> {
//! let chain = Chain::connect("ws://127.0.0.1:9944").await?;
//! let key = Key::load("consumer.key".as_ref())?;
//! let deposit = openledger_chain::parse_open("20 OPEN")?;
//! let included = chain.submit(&calls::channels::open(&worker, deposit), &key).await?;
//! println!("opened in block {}", included.block);
//!
//! let channel = chain.read::<Channel<Account>>(storage::channel(0), Head::Best).await?.found("channel 0")?;
//! println!("deposit {} ({})", openledger_chain::open(channel.value.deposit), channel.place());
//! # Ok(())
//! # }
//! ```
//!
//! Values are read under full storage keys and decoded with the types that the pallets store, so nothing here describes the
//! chain a second time; metadata is used for what only it knows: how a transaction is signed, and what events and errors are
//! called. A [`Read`] carries the block and the key it came from, so whoever prints an amount can print where it is.
//!
//! # Map
//!
//! [`Chain`] connects, reads, follows blocks and submits; [`Key`] signs. [`Error`] says what went wrong, with which value, and
//! what to do. [`open`] and [`parse_open`], [`ss58`] and [`parse_account`] are how amounts and accounts are written.
//!
//! # Promises
//!
//! The connection heals itself when the node restarts. Several submissions of one account in a row get consecutive nonces. A
//! transaction that the pool drops is submitted again as the very same bytes, so it can never run twice.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod blocks;
mod connection;
mod error;
mod events;
mod items;
mod key;
mod nonce;
mod payload;
mod read;
mod submit;
mod supply;
mod text;

pub use blocks::Blocks;
pub use connection::{Chain, DEV_CHAIN_ID};
pub use error::{Error, Result};
pub use events::{Event, Included};
pub use items::{datanet_item, item_owner};
pub use key::{Key, SignatureChecks};
pub use read::{requested, At, Block, Head, MapKey, Read};
pub use supply::{Balance, Supply};
pub use text::{open, parse_account, parse_open, ss58};

#[cfg(test)]
mod tests {
    use super::*;

    fn is_send<T: Send>(_: &T) {}

    /// A worker spawns these on any thread. Checked by compiling.
    #[allow(dead_code)]
    fn futures_can_be_spawned(chain: &Chain, key: &Key, blocks: &mut Blocks) {
        is_send(&chain.submit(&[], key));
        is_send(&chain.submit_final(&[], key));
        is_send(&chain.submit_all(&[], key));
        is_send(&chain.blocks(Head::Best));
        is_send(&blocks.next());
        is_send(&chain.read::<u64>(vec![], Head::Best));
        is_send(&chain.entries::<u64, u64>("", "", Head::Best));
        is_send(&chain.supply(Head::Best));
        is_send(&Chain::connect(""));
    }
}

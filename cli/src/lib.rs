//! The command line, as a library so that its parts can be tested.
//!
//! [`args`] says what can be typed, [`context`] is what every command has: the chain, a worker, a key, a place for its files.
//! [`proof`] and [`words`] recompute answers from public data, [`explain`] compares them with what was claimed and paid.
//! [`evidence`] finds in what was published whatever is wrong, and [`watch`] brings it to the chain.
//! [`request`] has the chain demand what nobody publishes, [`question`] puts before a committee what no integer proves.
//! [`pay`] pays for an answer, for [`chat`] and for the [`proxy`] that pays for OpenAI's SDKs; [`book`] keeps what a consumer must
//! never forget, [`spending`] the limits.
//!
//! Every amount is printed in OPEN with the place it was read: a block and a storage key, or the receipt that says it.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod args;
pub mod book;
pub mod channels;
pub mod chat;
pub mod context;
pub mod datanets;
pub mod error;
pub mod evidence;
pub mod explain;
pub mod files;
pub mod keys;
pub mod models;
pub mod pay;
pub mod proof;
pub mod proxy;
pub mod public;
pub mod question;
pub mod request;
mod review;
pub mod rewards;
pub mod send;
pub mod spending;
pub mod texts;
pub mod train;
pub mod watch;
pub mod wire;
pub mod words;
pub mod worker;

pub use error::{Error, Result};

use args::{Args, Command};
use context::Context;

/// Runs a command. `Ok(false)` means that a check found a difference.
pub async fn run(args: Args) -> Result<bool> {
    let context = Context::new(&args)?;
    match args.command {
        Command::Key(command) => context::key(&context, command).map(|()| true),
        Command::Send(command) => send::run(&context, command).await.map(|()| true),
        Command::Datanet(command) => datanets::run(&context, command).await.map(|()| true),
        Command::Contribute(command) => datanets::contribute(&context, command).await.map(|()| true),
        Command::Base(command) => models::base(&context, command).await.map(|()| true),
        Command::Model(command) => models::run(&context, command).await.map(|()| true),
        Command::Train(command) => train::run(&context, command).await.map(|()| true),
        Command::Channel(command) => channels::run(&context, command).await.map(|()| true),
        Command::Chat(command) => chat::run(&context, command).await.map(|()| true),
        Command::Proxy(command) => proxy::run(context, command).await.map(|()| true),
        Command::Rewards(command) => rewards::run(&context, command).await.map(|()| true),
        Command::Explain(command) => explain::run(&context, command).await,
        Command::Watch(command) => watch::watch(&context, command).await,
        Command::Dispute(command) => watch::dispute(&context, command).await,
        Command::Question(command) => question::run(&context, command).await,
        Command::Request(command) => request::run(&context, command).await,
        Command::Supply(command) => rewards::supply(&context, command).await,
    }
}

//! The worker: trains adapters and writes indexes when the chain asks for it, answers for money, says which records shaped
//! each answer, and settles what it earned.
//!
//! ```text
//! node's hook ──▶ http::hook ──▶ jobs ──▶ trainer, index ──▶ outcome ──▶ hook signs and delivers it
//! consumer ──▶ http::chat ──▶ payment ──▶ answer ──▶ attribute ──▶ receipt ──▶ batch ──▶ chain
//! watcher ──▶ http::public ──▶ receipts, batches, indexes: scores and hashes, never text
//! whoever pays ──▶ chain ──▶ reveal ──▶ chain: a piece of what was committed to
//! ```
//!
//! Everything that must survive a kill is in [`db`]; everything the worker wants from a chain is in [`ledger`]. How an
//! answer is attributed is a [`attribute::Attribute`], so that tests can run a worker that lies.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

/// Where a test can have the program killed; nothing at all without the feature `kill-points`.
macro_rules! kill_point {
    ($name:literal) => {
        #[cfg(feature = "kill-points")]
        $crate::kill::point($name);
    };
}

pub mod answer;
pub mod attribute;
mod audit;
mod bar;
pub mod batch;
pub mod channels;
pub mod cli;
pub mod committee;
pub mod dataset;
pub mod db;
pub mod device;
pub mod draws;
mod error;
pub mod fetch;
pub mod formats;
pub mod hook;
pub mod http;
pub mod jobs;
pub mod keys;
#[cfg(feature = "kill-points")]
mod kill;
pub mod ledger;
mod metrics;
pub mod models;
pub mod payment;
pub mod records;
pub mod reveal;
mod state;
pub mod turns;
pub mod units;

pub use error::{Error, Result};
pub use state::{Claim, Config, Parts, Worker};

use std::{future::Future, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch, Notify},
};

/// Folder of the content store in the data folder.
const CONTENT: &str = "content";

/// Time that requests under way have to finish.
const LAST_REQUESTS: Duration = Duration::from_secs(10);

/// Where the worker is reached.
pub struct Listeners {
    /// By everybody.
    pub public: TcpListener,
    /// By its operator, on loopback: metrics, and adapters for who has the key in DATA/admin.key.
    pub admin: Option<TcpListener>,
}

/// Does `round` for ever: at every poll and when it is woken, less often while it fails.
async fn repeat<R: Future<Output = Result<()>>>(
    worker: &Worker,
    what: &'static str,
    wake: &Notify,
    round: impl Fn() -> R,
) {
    let mut failures = 0u32;
    loop {
        match round().await {
            Ok(()) => failures = 0,
            Err(error) => {
                failures += 1;
                tracing::warn!(%error, failures, "{what} wait");
                // What failed may fail again at once, and a transaction that fails in its block costs its fee.
                tokio::time::sleep(worker.config.poll * (1 << failures.min(6))).await;
            }
        }
        tokio::select! {
            () = wake.notified() => {}
            () = tokio::time::sleep(worker.config.poll) => {}
        }
    }
}

/// Runs everything until `stop` resolves. Requests under way get ten seconds to finish.
pub async fn run(
    worker: Arc<Worker>,
    queue: mpsc::UnboundedReceiver<answer::Given>,
    listeners: Listeners,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let admin = match listeners.admin {
        Some(listener) => {
            let key = http::admin::key(&worker.config.data)?;
            Some((listener, http::admin::router(&worker, &key)))
        }
        None => None,
    };
    // Those that can answer already do so from the first request on. Without a chain yet, they follow.
    if let Err(error) = jobs::activate(&worker).await {
        tracing::warn!(%error, "starting without a generation");
    }
    answer::resume(&worker)?;
    let tasks = [
        tokio::spawn(answer::attribute_all(worker.clone(), queue)),
        tokio::spawn(jobs::run(worker.clone())),
        tokio::spawn(jobs::serve(worker.clone())),
        tokio::spawn(batch::run(worker.clone())),
        tokio::spawn(reveal::run(worker.clone())),
        tokio::spawn(committee::run(worker.clone())),
    ];
    let (tell, told) = watch::channel(false);
    let public = http::serve::serve(listeners.public, http::router(worker), told.clone());
    let admin = async {
        if let Some((listener, router)) = admin {
            http::serve::serve(listener, router, told).await;
        }
    };
    let serving = async { tokio::join!(public, admin) };
    let last = async {
        stop.await;
        let _ = tell.send(true);
        tokio::time::sleep(LAST_REQUESTS).await;
    };
    tokio::select! {
        _ = serving => {}
        () = last => {}
    }
    for task in tasks {
        task.abort();
    }
    Ok(())
}

//! The worker: what all its parts share.

use crate::{
    attribute::Attribute,
    db::{ChannelRow, Db},
    device::Device,
    error::{Error, Result},
    hook::Gate,
    http::limits::RateLimits,
    jobs::Board,
    keys::Keeper,
    ledger::{self, Head, Ledger},
    metrics::Metrics,
    models::{Base, Serving},
    records::Library,
};
use openledger_chain::Key;
use openledger_content::{Cid, Store};
use openledger_engine::{Limits, Scheduler};
use openledger_exchange::{Exchange, Shelf};
use openledger_protocol::{channels::Channel, Account, Hash};
use rayon::ThreadPool;
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};
use tokio::sync::{mpsc, watch, Notify};

/// What the person who runs it decides.
#[derive(Clone, Debug)]
pub struct Config {
    /// Folder of everything the worker keeps.
    pub data: PathBuf,
    /// Receipts that make a batch.
    pub batch_receipts: usize,
    /// Age of the oldest receipt that makes one.
    pub batch_after: Duration,
    /// Receipts drawn of a batch; only they are attributed. 0: every answer is, at once.
    pub sample: u16,
    /// Most bytes of content kept for others.
    pub content_limit: u64,
    /// Choices computed at once.
    pub parallel: usize,
    /// Answers that may wait for their turn.
    pub queue: usize,
    /// Answers of one consumer that may wait.
    pub queue_each: usize,
    /// Calls that one address may make in a minute; 0 for as many as it likes.
    pub calls_a_minute: u32,
    /// Questions that one consumer may ask in a minute; 0 for as many as it likes.
    pub asks_a_minute: u32,
    /// Whether a proxy in front says whose the calls are.
    pub behind_proxy: bool,
    /// A voucher must be good for this many blocks, so that it can be settled.
    pub expiry_margin: u32,
    /// Least credit of a batch, in planck: the chain's.
    pub min_credit: u128,
    /// Least bond behind a batch, in planck: the chain's.
    pub slash_floor: u128,
    /// How often the chain is looked at.
    pub poll: Duration,
    /// Whether progress is drawn on the terminal.
    pub progress_bar: bool,
    /// Whether keys of licensed Datanets are kept here, for who may have them.
    pub keep_keys: bool,
}

impl Config {
    /// The defaults, for a data folder.
    pub fn new(data: &Path) -> Self {
        Self {
            data: data.to_owned(),
            batch_receipts: 16,
            batch_after: Duration::from_secs(60),
            sample: 0,
            content_limit: 8 << 30,
            parallel: 16,
            queue: 256,
            queue_each: 16,
            calls_a_minute: 600,
            asks_a_minute: 600,
            behind_proxy: false,
            expiry_margin: 60,
            min_credit: 1_000_000_000_000_000,
            slash_floor: 100_000_000_000_000_000_000,
            poll: Duration::from_secs(1),
            progress_bar: false,
            keep_keys: false,
        }
    }

    /// Folder of an adapter.
    pub fn adapter_dir(&self, adapter: &Hash) -> PathBuf {
        self.data.join("adapters").join(hex::encode(adapter))
    }

    /// Folder of a finished index.
    pub fn index_dir(&self, index: &Hash) -> PathBuf {
        self.data.join("indexes").join(hex::encode(index))
    }

    /// Folder of an index under construction.
    pub fn build_dir(&self, model: u64, generation: u32, seed: &Hash) -> PathBuf {
        let name = format!("{model}-{generation}-{}", hex::encode(&seed[..8]));
        self.data.join("building").join(name)
    }
}

/// What a worker is made of.
pub struct Parts {
    /// What was decided.
    pub config: Config,
    /// The chain and the worker's account on it.
    pub ledger: Arc<dyn Ledger>,
    /// Signs receipts.
    pub receipt_key: Key,
    /// Shared with the paired node.
    pub secret: Vec<u8>,
    /// The base model.
    pub base: Base,
    /// Attributes answers.
    pub attribute: Box<dyn Attribute>,
}

/// The shared state.
pub struct Worker {
    /// What was decided.
    pub config: Config,
    /// The chain.
    pub ledger: Arc<dyn Ledger>,
    /// Signs receipts.
    pub receipt_key: Key,
    /// What survives a kill.
    pub db: Db,
    /// Blocks of content.
    pub store: Arc<Store>,
    /// Exchanges it with other workers, if it was [started](Self::exchange_with).
    exchange: OnceLock<Exchange>,
    /// Keys of licensed Datanets.
    pub(crate) keeper: Keeper,
    /// The base model.
    pub base: Base,
    /// Answers with it.
    pub scheduler: Scheduler<Device>,
    /// The generations that can answer.
    pub serving: Serving,
    /// The paired node's door.
    pub gate: Gate,
    /// How jobs get on.
    pub board: Board,
    /// Attributes answers, behind those that are being given.
    pub(crate) attributing: ThreadPool,
    /// Does the chain's jobs, behind both.
    pub(crate) working: ThreadPool,
    /// How often who may call.
    pub(crate) limits: RateLimits,
    /// What is counted.
    pub(crate) metrics: Metrics,
    pub(crate) attribute: Box<dyn Attribute>,
    pub(crate) library: Library,
    /// Channels with an answer under way or without its receipt.
    busy: Mutex<HashSet<u64>>,
    /// Vouchers being answered.
    pub(crate) answering: Mutex<HashSet<Hash>>,
    /// Counts receipts, for those who wait for one.
    pub(crate) signed: watch::Sender<u64>,
    /// Wakes the jobs.
    pub(crate) jobs_changed: Notify,
    /// Wakes the batches.
    pub(crate) batches_changed: Notify,
    pub(crate) to_attribute: mpsc::UnboundedSender<crate::answer::Given>,
}

/// A channel that one answer holds until its receipt is signed.
pub struct Claim {
    worker: Arc<Worker>,
    /// The channel.
    pub channel: u64,
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.worker.busy).remove(&self.channel);
    }
}

/// Locks, whoever panicked holding it: every critical section here leaves its data whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Threads that compute when those of the engine leave time: `nice` is what the system subtracts from their priority.
fn background(name: &'static str, nice: i32) -> Result<ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(rayon::current_num_threads())
        .thread_name(move |n| format!("{name}-{n}"))
        // Of the calling thread alone, and of those it starts. Where that is refused it only delays somebody.
        .start_handler(move |_| {
            let _ = rustix::process::setpriority_process(None, nice);
        })
        .build()
        .map_err(|error| Error::part("threads", error))
}

impl Worker {
    /// Opens the data folder. The receiver is for [`crate::answer::attribute_all`].
    pub fn open(parts: Parts) -> Result<(Arc<Self>, mpsc::UnboundedReceiver<crate::answer::Given>)> {
        let Parts {
            config,
            ledger,
            receipt_key,
            secret,
            base,
            attribute,
        } = parts;
        std::fs::create_dir_all(&config.data).map_err(|error| Error::file("make", &config.data, error))?;
        let db = Db::open(
            &config.data.join("worker.redb"),
            &ledger.genesis(),
            &ledger.account(),
        )?;
        let store = Arc::new(Store::open(&config.data.join(crate::CONTENT))?);
        let keeper = Keeper::new(&config);
        let (to_attribute, queue) = mpsc::unbounded_channel();
        let limits = Limits {
            answers: config.parallel.max(1),
            queue: config.queue,
            queue_each: config.queue_each,
            ..Limits::default()
        };
        let rates = RateLimits::new(config.calls_a_minute, config.asks_a_minute, config.behind_proxy);
        let worker = Self {
            scheduler: Scheduler::start(base.engine.clone(), Some(base.tokenizer.clone()), limits),
            gate: Gate::new(secret)?,
            config,
            ledger,
            receipt_key,
            db,
            store,
            exchange: OnceLock::new(),
            keeper,
            base,
            attribute,
            serving: Serving::default(),
            board: Board::default(),
            attributing: background("attribute", 15)?,
            working: background("job", 19)?,
            limits: rates,
            metrics: Metrics::default(),
            library: Library::default(),
            busy: Mutex::default(),
            answering: Mutex::default(),
            signed: watch::Sender::new(0),
            jobs_changed: Notify::new(),
            batches_changed: Notify::new(),
            to_attribute,
        };
        Ok((Arc::new(worker), queue))
    }

    /// Exchanges content with other workers from now on. To be called once, in the runtime that the worker runs in.
    pub fn exchange_with(&self, config: openledger_exchange::Config) -> Result<Exchange> {
        let shelf = Arc::new(Shelf::new(self.store.clone()));
        let exchange = Exchange::start(config, self.store.clone(), shelf)?;
        match self.exchange.set(exchange.clone()) {
            Ok(()) => Ok(exchange),
            Err(_) => Err(Error::Setup("content is exchanged already".into())),
        }
    }

    /// Lets others have a file that is here, if all of it is.
    pub(crate) fn publish(&self, cid: &Cid) -> Result<()> {
        match self.store.publish(cid) {
            // A file whose other blocks are still to come, and one that is for nobody.
            Ok(()) | Err(openledger_content::Error::Missing(_) | openledger_content::Error::Denied(_)) => {
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The exchange, if it runs.
    pub fn exchange(&self) -> Option<&Exchange> {
        self.exchange.get()
    }

    /// The worker's account.
    pub fn account(&self) -> Account {
        self.ledger.account()
    }

    /// Takes a channel for one answer, unless another holds it.
    pub fn claim(self: &Arc<Self>, channel: u64) -> Option<Claim> {
        lock(&self.busy).insert(channel).then(|| Claim {
            worker: self.clone(),
            channel,
        })
    }

    /// Whether an answer holds the channel.
    pub fn is_busy(&self, channel: u64) -> bool {
        lock(&self.busy).contains(&channel)
    }

    /// A channel on the chain, and how far its answers have come here. The chain is ahead only of a restored backup.
    pub async fn channel(&self, id: u64) -> Result<(Channel<Account>, ChannelRow)> {
        let channel = ledger::channel(&*self.ledger, id, Head::Best).await?;
        if channel.worker != self.account() {
            return Err(Error::Payment(format!(
                "channel {id} pays worker 0x{}, this is 0x{}: open a channel to this one",
                hex::encode(channel.worker),
                hex::encode(self.account())
            )));
        }
        let settled = ChannelRow {
            accepted: channel.cursor,
            previous: channel.last,
        };
        let here = self.db.channel(id)?;
        let state = here
            .filter(|state| state.accepted >= settled.accepted)
            .unwrap_or(settled);
        Ok((channel, state))
    }
}

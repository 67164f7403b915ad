//! The methods, by theme. All of them work on [`Eth`]: questions about state and history run on blocking threads, a
//! bounded number at once, because a simulated call may take as long as a block.

mod blocks;
mod debug;
mod fees;
mod logs;
mod net;
mod state;
mod subscribe;
mod transactions;

use crate::{
    chain::{Chain, Network, Pool},
    error::CallError,
    extract::{self, EthBlock, EthTransaction},
    feed::{Change, Feed},
    filters::Filters,
    index::{Entry, Index},
    layout::Layout,
    types::BlockRef,
};
use jsonrpsee::{core::RpcResult, types::ErrorObjectOwned, RpcModule};
use pallet_revive::evm::{Account, TransactionSigned, H160, H256};
use std::sync::{Arc, OnceLock};
use tokio::sync::{watch, Mutex, Semaphore};

/// Simulations and index queries that run at once; as many as the executor keeps instances of the runtime.
const PARALLEL_CALLS: usize = 8;

/// Everything the methods work on.
#[derive(Clone)]
pub(crate) struct Eth {
    inner: Arc<Inner>,
    gate: Arc<Semaphore>,
    /// Held from choosing a nonce to entering the pool, so that two unsigned transactions never share one.
    signing: Arc<Mutex<()>>,
}

/// The parts of [`Eth`].
pub(crate) struct Inner {
    pub(crate) chain: Arc<dyn Chain>,
    pub(crate) pool: Arc<dyn Pool>,
    pub(crate) network: Arc<dyn Network>,
    pub(crate) index: Arc<Index>,
    /// What happens to the indexed chain.
    pub(crate) changes: Arc<Feed<Change>>,
    /// Hashes of Ethereum transactions that entered the pool.
    pub(crate) arrivals: Arc<Feed<H256>>,
    pub(crate) head: watch::Receiver<Option<Entry>>,
    pub(crate) filters: Filters,
    /// Accounts the node signs for; empty outside development.
    pub(crate) accounts: Vec<Account>,
    pub(crate) max_log_blocks: u32,
    pub(crate) max_logs: u32,
    pub(crate) client_version: String,
    chain_id: OnceLock<u64>,
}

/// A block whose state is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) number: u32,
    /// The node's hash.
    pub(crate) hash: H256,
    /// Whether the caller asked for what comes next rather than for what was.
    pub(crate) pending: bool,
}

/// What [`Inner`] is made of.
pub(crate) struct Parts {
    pub(crate) chain: Arc<dyn Chain>,
    pub(crate) pool: Arc<dyn Pool>,
    pub(crate) network: Arc<dyn Network>,
    pub(crate) index: Arc<Index>,
    pub(crate) changes: Arc<Feed<Change>>,
    pub(crate) arrivals: Arc<Feed<H256>>,
    pub(crate) head: watch::Receiver<Option<Entry>>,
    pub(crate) accounts: Vec<Account>,
    pub(crate) max_log_blocks: u32,
    pub(crate) max_logs: u32,
    pub(crate) max_filters: u32,
    pub(crate) client_version: String,
}

impl Eth {
    pub(crate) fn new(parts: Parts) -> Self {
        let inner = Inner {
            chain: parts.chain,
            pool: parts.pool,
            network: parts.network,
            index: parts.index,
            changes: parts.changes,
            arrivals: parts.arrivals,
            head: parts.head,
            filters: Filters::new(parts.max_filters),
            accounts: parts.accounts,
            max_log_blocks: parts.max_log_blocks.max(1),
            max_logs: parts.max_logs.max(1),
            client_version: parts.client_version,
            chain_id: OnceLock::new(),
        };
        Self {
            inner: Arc::new(inner),
            gate: Arc::new(Semaphore::new(PARALLEL_CALLS)),
            signing: Arc::default(),
        }
    }

    /// All methods, ready to be served.
    pub(crate) fn module(self) -> Result<RpcModule<()>, jsonrpsee::core::RegisterMethodError> {
        let mut module = RpcModule::new(());
        module.merge(state::StateApiServer::into_rpc(self.clone()))?;
        module.merge(blocks::BlocksApiServer::into_rpc(self.clone()))?;
        module.merge(transactions::TransactionsApiServer::into_rpc(self.clone()))?;
        module.merge(fees::FeesApiServer::into_rpc(self.clone()))?;
        module.merge(logs::LogsApiServer::into_rpc(self.clone()))?;
        module.merge(subscribe::SubscribeApiServer::into_rpc(self.clone()))?;
        module.merge(debug::DebugApiServer::into_rpc(self.clone()))?;
        module.merge(net::NetApiServer::into_rpc(self))?;
        Ok(module)
    }

    /// Runs `question` on a blocking thread.
    async fn run<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Inner) -> Result<T, CallError> + Send + 'static,
    ) -> RpcResult<T> {
        let stopping = || ErrorObjectOwned::from(CallError::internal("the node is stopping"));
        let permit = self.gate.clone().acquire_owned().await.map_err(|_| stopping())?;
        let inner = self.inner.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let answer = question(&inner);
            drop(permit);
            answer
        });
        match answer.await {
            Ok(answer) => Ok(answer?),
            Err(error) if error.is_panic() => {
                Err(CallError::internal("answering the call failed; the node's log says more").into())
            }
            Err(_) => Err(stopping()),
        }
    }
}

impl Inner {
    /// The newest indexed block.
    fn latest(&self) -> Result<Entry, CallError> {
        let head = *self.head.borrow();
        head.ok_or_else(|| {
            CallError::server("this node has not synced far enough to answer; see eth_syncing")
        })
    }

    /// The block a caller means, if there is one.
    fn find(&self, at: BlockRef) -> Result<Option<Point>, CallError> {
        let point = |number, hash| {
            Some(Point {
                number,
                hash,
                pending: false,
            })
        };
        let latest = self.latest()?;
        Ok(match at {
            BlockRef::Latest => point(latest.number, latest.hash),
            BlockRef::Pending => {
                let tips = self.chain.tips();
                Some(Point {
                    number: tips.best_number,
                    hash: tips.best_hash,
                    pending: true,
                })
            }
            BlockRef::Earliest => self.canonical(0, latest)?,
            BlockRef::Finalized => {
                let tips = self.chain.tips();
                // What is final but not indexed yet is not known here.
                match tips.finalized_number <= latest.number {
                    true => point(tips.finalized_number, tips.finalized_hash),
                    false => point(latest.number, latest.hash),
                }
            }
            BlockRef::Number(number) => match u32::try_from(number) {
                Ok(number) => self.canonical(number, latest)?,
                Err(_) => None,
            },
            BlockRef::Hash(hash) => self
                .index
                .by_eth_hash(hash)?
                .and_then(|entry| point(entry.number, entry.hash)),
        })
    }

    fn canonical(&self, number: u32, latest: Entry) -> Result<Option<Point>, CallError> {
        if number > latest.number {
            return Ok(None);
        }
        let hash = match self.index.at(number)? {
            Some(entry) => Some(entry.hash),
            None => self.chain.canonical(number)?,
        };
        Ok(hash.map(|hash| Point {
            number,
            hash,
            pending: false,
        }))
    }

    /// The block a caller means, `latest` if none is named; it must exist and its state be there.
    fn with_state(&self, at: Option<BlockRef>) -> Result<Point, CallError> {
        let point = self
            .find(at.unwrap_or(BlockRef::Latest))?
            .ok_or_else(CallError::unknown_block)?;
        match self.chain.has_state(point.hash) {
            true => Ok(point),
            false => Err(CallError::pruned(point.number)),
        }
    }

    /// Everything about a block: from the index, or from its state when it is not indexed.
    fn load(&self, point: Point) -> Result<Option<EthBlock>, CallError> {
        if let Some(block) = self
            .index
            .block(point.number)?
            .filter(|block| block.hash == point.hash)
        {
            return Ok(Some(block));
        }
        let Some((number, parent)) = self.chain.parent(point.hash)? else {
            return Ok(None);
        };
        if !self.chain.has_state(point.hash) || (number > 0 && !self.chain.has_state(parent)) {
            return Err(CallError::pruned(number));
        }
        extract::extract(&*self.chain, point.hash).map(Some)
    }

    /// How the runtime at the tip lays its data out.
    fn layout(&self) -> Result<Arc<Layout>, CallError> {
        let best = self.chain.tips().best_hash;
        match self.chain.has_state(best) {
            true => self.chain.layout(best),
            false => self.chain.layout(self.latest()?.hash),
        }
    }

    /// EIP-155 chain id.
    fn chain_id(&self) -> Result<u64, CallError> {
        match self.chain_id.get() {
            Some(id) => Ok(*id),
            None => {
                let id = self.layout()?.chain_id;
                Ok(*self.chain_id.get_or_init(|| id))
            }
        }
    }

    /// The signed transactions, with who signed them, of a block or some of it.
    fn signed(
        &self,
        block: H256,
        transactions: &[EthTransaction],
    ) -> Result<Vec<(TransactionSigned, H160)>, CallError> {
        if transactions.is_empty() {
            return Ok(vec![]);
        }
        let gone = || CallError::server("the block's transactions are not on this node (pruned)");
        let body = self.chain.body(block)?.ok_or_else(gone)?;
        // Pallet and call keep their places across upgrades; the parent's runtime is asked if they did not.
        let now = self.layout()?;
        let mut then = None;
        transactions
            .iter()
            .map(|transaction| {
                if let Some(payload) = extract::payload(&now, &body, transaction) {
                    return extract::decode(payload);
                }
                if then.is_none() {
                    let (_, parent) = self.chain.parent(block)?.ok_or_else(gone)?;
                    then = Some(self.chain.layout(parent)?);
                }
                let payload = then
                    .as_deref()
                    .and_then(|layout| extract::payload(layout, &body, transaction));
                extract::decode(payload.ok_or_else(gone)?)
            })
            .collect()
    }
}

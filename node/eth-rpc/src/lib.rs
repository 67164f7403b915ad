//! The Ethereum JSON-RPC of an OpenLedger node.
//!
//! It runs as tasks inside the node and asks the node's own client, transaction pool and network service in memory: no
//! second process, no second connection, nothing to configure twice. [`start`] takes the port, checks the index and
//! returns; the tasks end with the node.
//!
//! | Part | Does |
//! | --- | --- |
//! | `chain`, `layout` | ask the node; read extrinsics and events by the metadata of the runtime that made them |
//! | `extract` | takes a block apart into Ethereum block, transactions, receipts, logs |
//! | `index`, `follow` | keep that findable in SQLite, on the node's best chain, through reorganisations and crashes |
//! | `feed`, `filters` | tell clients what is new: polled filters and pushed subscriptions read the same list |
//! | `api` | the methods |
//! | `server`, `limits` | HTTP and WebSocket, origins, rates |
//!
//! A block is `latest` once it is indexed, shortly after the node imported it: so whoever sees a block also finds its
//! receipts and logs. `pending` means the node's best block and the transactions in its pool.
//!
//! The registry's `pallet-revive-eth-rpc` is a program rather than a library: its server takes over process, logger and
//! signals, and the types it is made of are private. This crate uses the same runtime API and shares no code with it.

#![deny(unsafe_code)]

mod accounts;
mod api;
mod chain;
mod error;
mod extract;
mod feed;
mod filters;
mod follow;
mod index;
mod layout;
mod limits;
mod metrics;
mod pending;
mod server;
#[cfg(test)]
mod testing;
mod types;

pub use chain::{Block, Header};
pub use error::Error;

use chain::{Chain, ClientChain, Network, NodePool, Pool};
use feed::Feed;
use follow::Follower;
use futures::StreamExt;
use index::Index;
use jsonrpsee::server::ServerHandle;
use metrics::Metrics;
use pallet_revive::{evm::H256, ReviveApi};
use sc_client_api::{BlockBackend, BlockchainEvents};
use sc_network_sync::SyncingService;
use sc_service::SpawnTaskHandle;
use sc_transaction_pool_api::TransactionPool;
use sp_api::{CallApiAt, Metadata, ProvideRuntimeApi};
use sp_blockchain::HeaderBackend;
use sp_runtime::AccountId32;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use substrate_prometheus_endpoint::Registry;

const TARGET: &str = "eth-rpc";
/// Group of the tasks in the node's metrics.
const GROUP: Option<&str> = Some("eth-rpc");
/// Changes of the chain remembered for filters and subscriptions; older ones are looked up in the index.
const REMEMBERED_CHANGES: usize = 4_096;
/// Arrivals in the pool remembered for filters and subscriptions.
const REMEMBERED_ARRIVALS: usize = 16_384;
/// How long the layout of pool transactions is taken for unchanged.
const LAYOUT_FRESH: Duration = Duration::from_secs(6);

/// How the Ethereum RPC is served. The default is safe on a machine with other users and other networks: loopback only,
/// no browser pages, no accounts.
#[derive(Clone, Debug)]
pub struct EthRpcConfig {
    /// Address of HTTP and WebSocket.
    pub listen: SocketAddr,
    /// Directory of the index; made if need be, may be deleted while the node does not run.
    pub db_dir: PathBuf,
    /// Browser origins that may call, as the SDK's flag gives them: these, or all for `None`.
    pub cors: Option<Vec<String>>,
    /// Connections at once.
    pub max_connections: u32,
    /// Largest request, in MiB.
    pub max_request_size_mb: u32,
    /// Largest response, in MiB.
    pub max_response_size_mb: u32,
    /// Calls in one batch; 0 refuses batches.
    pub max_batch: u32,
    /// Subscriptions on one WebSocket connection.
    pub max_subscriptions_per_connection: u32,
    /// Calls a minute from one client address; `None` for no limit.
    pub rate_limit_per_minute: Option<NonZeroU32>,
    /// Whether the node signs for the well-known development accounts (`eth_accounts`, `eth_sendTransaction`).
    pub dev_accounts: bool,
    /// Newest blocks to keep in the index; `None` for all.
    pub pruning: Option<usize>,
    /// Blocks one `eth_getLogs` may span.
    pub max_log_blocks: u32,
    /// Logs one answer may hold.
    pub max_logs: u32,
    /// Filters one client address may keep.
    pub max_filters: u32,
}

impl Default for EthRpcConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8545),
            db_dir: PathBuf::from("eth-rpc"),
            cors: Some(vec![]),
            max_connections: 100,
            max_request_size_mb: 5,
            max_response_size_mb: 15,
            max_batch: 100,
            max_subscriptions_per_connection: 128,
            rate_limit_per_minute: None,
            dev_accounts: false,
            pruning: None,
            max_log_blocks: 10_000,
            max_logs: 10_000,
            max_filters: 100,
        }
    }
}

/// What the Ethereum RPC uses of the node.
pub struct NodeParts<C, P> {
    /// The node's client.
    pub client: Arc<C>,
    /// Its transaction pool.
    pub pool: Arc<P>,
    /// Its syncing service.
    pub sync: Arc<SyncingService<Block>>,
    /// Spawns the tasks, which end when the node's task manager does.
    pub spawn: SpawnTaskHandle,
    /// Where metrics go.
    pub registry: Option<Registry>,
    /// Answer to `web3_clientVersion`: `openledger-node/v…`.
    pub client_version: String,
}

/// The running server. Dropping it stops answering; the node's task manager keeps it with `keep_alive`.
#[derive(Debug)]
pub struct RunningServer {
    handle: ServerHandle,
    address: SocketAddr,
}

impl RunningServer {
    /// Where it listens; tells the port when the configured one was 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        // Fails only if it has stopped already.
        let _ = self.handle.stop();
    }
}

/// Starts the Ethereum RPC. To be called within the node's tokio runtime, before or after its other services start.
///
/// Returns once the port is taken and the index holds nothing that is not on the node's best chain, so what is answered
/// from the first call on is right. Errors leave nothing running.
pub async fn start<C, P>(config: EthRpcConfig, node: NodeParts<C, P>) -> Result<RunningServer, Error>
where
    C: ProvideRuntimeApi<Block>
        + CallApiAt<Block>
        + HeaderBackend<Block>
        + BlockBackend<Block>
        + BlockchainEvents<Block>
        + Send
        + Sync
        + 'static,
    C::Api: Metadata<Block> + ReviveApi<Block, AccountId32, u128, u32, u32, u64>,
    P: TransactionPool<Block = Block, Hash = H256> + 'static,
{
    let NodeParts {
        client,
        pool,
        sync,
        spawn,
        registry,
        client_version,
    } = node;
    let listener = server::listen(config.listen).await?;
    let address = listener.local_addr().unwrap_or(config.listen);
    let metrics = registry
        .as_ref()
        .map(Metrics::register)
        .transpose()
        .map_err(|error| Error::Metrics(error.to_string()))?;

    let genesis = client.info().genesis_hash;
    let chain: Arc<dyn Chain> = Arc::new(ClientChain::new(client));
    let pool: Arc<dyn Pool> = Arc::new(NodePool(pool));
    let network: Arc<dyn Network> = sync;
    let changes = Arc::new(Feed::new(REMEMBERED_CHANGES));
    let arrivals = Arc::new(Feed::new(REMEMBERED_ARRIVALS));
    let keep = config
        .pruning
        .map(|blocks| u32::try_from(blocks).unwrap_or(u32::MAX));

    let opening = {
        let (chain, changes, dir, metrics) = (
            chain.clone(),
            changes.clone(),
            config.db_dir.clone(),
            metrics.clone(),
        );
        tokio::task::spawn_blocking(move || -> Result<_, Error> {
            let index = Arc::new(Index::open(&dir, genesis)?);
            let follower = Follower::new(chain, index.clone(), changes, keep, metrics);
            follower
                .start()
                .map_err(|error| Error::Chain(format!("{error:?}")))?;
            Ok((index, Arc::new(follower)))
        })
    };
    let (index, follower) = opening.await.map_err(|error| Error::Chain(error.to_string()))??;

    let eth = api::Eth::new(api::Parts {
        chain: chain.clone(),
        pool: pool.clone(),
        network,
        index,
        changes,
        arrivals: arrivals.clone(),
        head: follower.head(),
        accounts: if config.dev_accounts {
            accounts::development()
        } else {
            vec![]
        },
        max_log_blocks: config.max_log_blocks,
        max_logs: config.max_logs,
        max_filters: config.max_filters,
        client_version,
    });
    let methods = eth.module().map_err(|error| Error::Chain(error.to_string()))?;
    let (serving, handle) = server::serve(listener, &config, methods, metrics)?;

    spawn.spawn("eth-rpc-server", GROUP, serving);
    spawn.spawn("eth-rpc-index", GROUP, follower.run());
    spawn.spawn("eth-rpc-arrivals", GROUP, watch_pool(chain, pool, arrivals));
    log::info!(target: TARGET, "⟠ Ethereum JSON-RPC on http://{address} and ws://{address}");
    Ok(RunningServer { handle, address })
}

/// Notes the hashes of Ethereum transactions that enter the pool.
async fn watch_pool(chain: Arc<dyn Chain>, pool: Arc<dyn Pool>, arrivals: Arc<Feed<H256>>) {
    let mut stream = pool.arrivals();
    let mut layout = None;
    while let Some(bytes) = stream.next().await {
        if layout
            .as_ref()
            .is_none_or(|(_, read): &(_, Instant)| read.elapsed() > LAYOUT_FRESH)
        {
            let chain = chain.clone();
            let read = tokio::task::spawn_blocking(move || chain.layout(chain.tips().best_hash)).await;
            match read {
                Ok(Ok(read)) => layout = Some((read, Instant::now())),
                Ok(Err(error)) => {
                    log::debug!(target: TARGET, "Pool transactions cannot be read now: {error:?}")
                }
                // The node is stopping.
                Err(_) => return,
            }
        }
        let payload = layout.as_ref().and_then(|(layout, _)| layout.eth_payload(&bytes));
        if let Some(payload) = payload {
            arrivals.push(extract::transaction_hash(payload));
        }
    }
}

//! The parts of a node, joined: client, pool, BABE, GRANDPA, network, RPC.

use crate::{
    checks, dev_keys,
    eth::{EthRpcConfig, NodeParts},
    rpc, sealing,
    sealing::{Clock, Sealing},
    worker,
};
use futures::{channel::mpsc, FutureExt, StreamExt};
use jsonrpsee::core::async_trait;
use openledger_runtime::{Hash, Header, RuntimeApi};
use sc_client_api::{Backend as _, BlockBackend, HeaderBackend};
use sc_consensus::{BlockCheckParams, BlockImport, BlockImportParams, ImportResult};
use sc_consensus_babe::{BabeLink, BabeWorkerHandle, SlotProportion};
use sc_consensus_grandpa::{GrandpaPruningFilter, SharedVoterState};
use sc_executor::{HeapAllocStrategy, DEFAULT_HEAP_ALLOC_STRATEGY};
use sc_network::{event::Event, NetworkBackend, NetworkEventStream};
use sc_service::{
    error::Error, BuildNetworkParams, ChainType, Configuration, GenesisBlockBuilder, PartialComponents,
    SpawnTasksParams, TaskManager, WarpSyncConfig,
};
use sc_storage_monitor::{StorageMonitorParams, StorageMonitorService};
use sc_telemetry::{Telemetry, TelemetryWorker};
use sc_transaction_pool_api::OffchainTransactionPoolFactory;
use sp_api::ProvideRuntimeApi;
use sp_consensus_babe::{inherents::BabeCreateInherentDataProviders, SlotDuration};
use sp_consensus_grandpa::GrandpaApi;
use sp_core::hexdisplay::HexDisplay;
use sp_runtime::{generic, OpaqueExtrinsic};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// A block as the node handles it. Transactions stay bytes here: only the runtime on chain knows how to read them, and it
/// may be newer than this binary.
pub(crate) type Block = generic::Block<Header, OpaqueExtrinsic>;
/// Runs the runtime.
pub(crate) type Executor = sc_executor::WasmExecutor<sp_io::SubstrateHostFunctions>;
/// Holds the chain and calls the runtime.
pub(crate) type Client = sc_service::TFullClient<Block, RuntimeApi, Executor>;
/// The chain's database.
pub(crate) type Backend = sc_service::TFullBackend<Block>;
/// Picks the block to build on.
pub(crate) type SelectChain = sc_consensus::LongestChain<Backend, Block>;
/// Transactions waiting for a block.
pub(crate) type Pool = sc_transaction_pool::TransactionPoolHandle<Block, Client>;
/// Block import that follows GRANDPA's authorities and justifications.
pub(crate) type GrandpaImport = sc_consensus_grandpa::GrandpaBlockImport<Backend, Block, Client, SelectChain>;
/// Block import that checks BABE's rules.
pub(crate) type BabeImport = sc_consensus_babe::BabeBlockImport<
    Block,
    Client,
    FinalityImport,
    BabeCreateInherentDataProviders<Block>,
    SelectChain,
>;
/// GRANDPA's side of block import.
pub(crate) type GrandpaLink = sc_consensus_grandpa::LinkHalf<Block, Client, SelectChain>;

/// Blocks between justifications that are stored and served whatever happens.
const JUSTIFICATION_PERIOD: u32 = 512;
/// Time a GRANDPA message is given to reach everybody.
const GOSSIP_DURATION: Duration = Duration::from_millis(333);
/// Requests for blocks that may wait at once.
const COMMAND_BUFFER: usize = 1024;

/// What BABE's import hands a block to once it passed.
// One value a node: its size costs nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Clone)]
pub(crate) enum FinalityImport {
    /// GRANDPA votes on it later.
    Grandpa(GrandpaImport),
    /// On a sealed chain nobody votes: finality, if asked for, comes with the block.
    WithBlock(Arc<Client>),
}

#[async_trait]
impl BlockImport<Block> for FinalityImport {
    type Error = sp_consensus::Error;

    async fn check_block(&self, block: BlockCheckParams<Block>) -> Result<ImportResult, Self::Error> {
        match self {
            Self::Grandpa(import) => import.check_block(block).await,
            Self::WithBlock(client) => client.check_block(block).await,
        }
    }

    async fn import_block(&self, block: BlockImportParams<Block>) -> Result<ImportResult, Self::Error> {
        match self {
            Self::Grandpa(import) => import.import_block(block).await,
            Self::WithBlock(client) => client.import_block(block).await,
        }
    }
}

/// What [`partial`] returns beside the SDK's own components.
pub(crate) struct Consensus {
    /// Where made blocks go.
    pub(crate) block_import: BabeImport,
    /// Given to the GRANDPA voter.
    pub(crate) grandpa: GrandpaLink,
    /// BABE's epochs.
    pub(crate) babe: BabeLink<Block>,
    /// Answers questions about BABE's epochs.
    pub(crate) babe_worker: BabeWorkerHandle<Block>,
    /// The clock of a sealed chain.
    pub(crate) clock: Option<Arc<Clock>>,
    /// Telemetry, if asked for.
    pub(crate) telemetry: Option<Telemetry>,
}

/// The parts that work without a network.
pub(crate) type Partial =
    PartialComponents<Client, Backend, SelectChain, sc_consensus::DefaultImportQueue<Block>, Pool, Consensus>;

/// Timestamp and slot that block import compares a block with.
fn present(slot_duration: SlotDuration, clock: Option<Arc<Clock>>) -> BabeCreateInherentDataProviders<Block> {
    Arc::new(move |_parent: Hash, ()| {
        let timestamp = match &clock {
            None => sp_timestamp::InherentDataProvider::from_system_time(),
            Some(clock) => sp_timestamp::InherentDataProvider::new(clock.now()),
        };
        let slot = sp_consensus_babe::inherents::InherentDataProvider::from_timestamp_and_slot_duration(
            *timestamp,
            slot_duration,
        );
        async move { Ok::<_, Box<dyn std::error::Error + Send + Sync>>((slot, timestamp)) }
    })
}

/// Runs the runtime as the SDK's own executor does. On chains of one machine the compiled runtime is also kept between
/// starts, which take seconds less; where a validator's money is at stake it is compiled afresh, so that a damaged file
/// cannot reach consensus.
fn executor(config: &Configuration) -> Executor {
    let heap = config
        .executor
        .default_heap_pages
        .map_or(DEFAULT_HEAP_ALLOC_STRATEGY, |pages| HeapAllocStrategy::Static {
            extra_pages: pages as u32,
        });
    let builder = Executor::builder()
        .with_execution_method(config.executor.wasm_method)
        .with_onchain_heap_alloc_strategy(heap)
        .with_offchain_heap_alloc_strategy(heap)
        .with_max_runtime_instances(config.executor.max_runtime_instances)
        .with_runtime_cache_size(config.executor.runtime_cache_size);
    let cache = dev_keys::allowed(&config.chain_spec.chain_type())
        .then(cache_directory)
        .flatten();
    match cache {
        Some(directory) => builder.with_cache_path(directory).build(),
        None => builder.build(),
    }
}

/// Where programs keep what they can make again.
fn cache_directory() -> Option<PathBuf> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .map(|caches| caches.join("openledger-node"))
}

fn application(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Application(error.into())
}

/// Opens the database and builds everything that works without a network. Commands on a stored chain need no more.
///
/// # Errors
///
/// What opening the database, the keystore or the chain spec says; also if the database holds another chain.
pub(crate) fn partial(config: &Configuration, sealed: bool) -> Result<Partial, Error> {
    let telemetry = config
        .telemetry_endpoints
        .clone()
        .filter(|endpoints| !endpoints.is_empty())
        .map(|endpoints| -> Result<_, sc_telemetry::Error> {
            let worker = TelemetryWorker::new(16)?;
            let telemetry = worker.handle().new_telemetry(endpoints);
            Ok((worker, telemetry))
        })
        .transpose()?;
    let handle = |telemetry: &Option<Telemetry>| telemetry.as_ref().map(Telemetry::handle);

    let executor = executor(config);
    let genesis_state = config
        .chain_spec
        .as_storage_builder()
        .build_storage()
        .map_err(Error::Other)?;
    if !config.database.path().is_some_and(Path::exists) {
        checks::has_validators(&executor, &genesis_state, config.chain_spec.name()).map_err(Error::Other)?;
    }
    let mut database = config.db_config();
    // A pruned node keeps the justified blocks that warp sync proofs are made of.
    database.pruning_filters = vec![Arc::new(GrandpaPruningFilter)];
    let backend = sc_service::new_db_backend::<Block>(database)?;
    checks::same_genesis(
        &backend,
        &*config.chain_spec,
        &genesis_state,
        &executor,
        config.database.path(),
    )?;
    let genesis = GenesisBlockBuilder::new_with_storage(
        genesis_state,
        !config.no_genesis(),
        backend.clone(),
        executor.clone(),
    )?;
    let (client, backend, keystore_container, task_manager) =
        sc_service::new_full_parts_with_genesis_builder::<Block, RuntimeApi, _, _>(
            config,
            telemetry.as_ref().map(|(_, telemetry)| telemetry.handle()),
            executor,
            backend,
            genesis,
            false,
        )?;
    let client = Arc::new(client);
    let telemetry = telemetry.map(|(worker, telemetry)| {
        task_manager.spawn_handle().spawn("telemetry", None, worker.run());
        telemetry
    });

    let select_chain = SelectChain::new(backend.clone());
    let transaction_pool = Arc::new(
        sc_transaction_pool::Builder::new(
            task_manager.spawn_essential_handle(),
            client.clone(),
            config.role.is_authority().into(),
        )
        .with_options(config.transaction_pool.clone())
        .with_prometheus(config.prometheus_registry())
        .build(),
    );

    let (grandpa_import, grandpa) = sc_consensus_grandpa::block_import(
        client.clone(),
        JUSTIFICATION_PERIOD,
        &client,
        select_chain.clone(),
        handle(&telemetry),
    )?;
    let babe_config = sc_consensus_babe::configuration(&*client)?;
    let slot_duration = babe_config.slot_duration();
    let clock = sealed.then(|| Clock::new(slot_duration));
    let finality = if sealed {
        FinalityImport::WithBlock(client.clone())
    } else {
        FinalityImport::Grandpa(grandpa_import.clone())
    };
    let (block_import, babe) = sc_consensus_babe::block_import(
        babe_config,
        finality,
        client.clone(),
        present(slot_duration, clock.clone()),
        select_chain.clone(),
        OffchainTransactionPoolFactory::new(transaction_pool.clone()),
    )?;
    let (import_queue, babe_worker) =
        sc_consensus_babe::import_queue(sc_consensus_babe::ImportQueueParams {
            link: babe.clone(),
            block_import: block_import.clone(),
            justification_import: Some(Box::new(grandpa_import)),
            client: client.clone(),
            slot_duration,
            spawner: &task_manager.spawn_essential_handle(),
            registry: config.prometheus_registry(),
            telemetry: handle(&telemetry),
        })?;

    Ok(PartialComponents {
        client,
        backend,
        task_manager,
        import_queue,
        keystore_container,
        select_chain,
        transaction_pool,
        other: Consensus {
            block_import,
            grandpa,
            babe,
            babe_worker,
            clock,
            telemetry,
        },
    })
}

/// What a running node is told beside the SDK's configuration.
pub(crate) struct Options {
    /// Who decides when a block is made.
    pub(crate) sealing: Sealing,
    /// The Ethereum JSON-RPC, if it is to be served.
    pub(crate) eth: Option<EthRpcConfig>,
    /// The worker this node is paired with.
    pub(crate) worker: Option<worker::Pairing>,
    /// When to stop for want of disk space.
    pub(crate) storage_monitor: StorageMonitorParams,
}

/// Starts the node.
///
/// # Errors
///
/// Whatever keeps a part from starting, as one line.
pub(crate) async fn full(config: Configuration, options: Options) -> Result<TaskManager, Error> {
    match config.network.network_backend {
        sc_network::config::NetworkBackendType::Libp2p => {
            start::<sc_network::NetworkWorker<Block, Hash>>(config, options).await
        }
        sc_network::config::NetworkBackendType::Litep2p => {
            start::<sc_network::Litep2pNetworkBackend>(config, options).await
        }
    }
}

async fn start<N: NetworkBackend<Block, Hash>>(
    config: Configuration,
    options: Options,
) -> Result<TaskManager, Error> {
    let sealed = options.sealing != Sealing::None;
    let role = config.role;
    let chain_type = config.chain_spec.chain_type();
    let chain_name = config.chain_spec.name().to_string();
    let node_name = config.network.node_name.clone();
    let client_version = config.network.client_version.clone();
    let force_authoring = config.force_authoring;
    let votes = !config.disable_grandpa && !sealed;
    let paired = options.worker.is_some();
    // The SDK's default runs them for authorities only; whoever has a worker may be none.
    let run_offchain_workers = config.offchain_worker.enabled || paired;
    let prometheus = config.prometheus_registry().cloned();
    let database_path = config.database.path().map(Path::to_path_buf);
    let discovery = sc_authority_discovery::WorkerConfig {
        publish_non_global_ips: config.network.allow_non_globals_in_dht,
        public_addresses: config.network.public_addresses.clone(),
        persisted_cache_directory: config.network.net_config_path.clone(),
        ..Default::default()
    };

    let PartialComponents {
        client,
        backend,
        mut task_manager,
        import_queue,
        keystore_container,
        select_chain,
        transaction_pool,
        other:
            Consensus {
                block_import,
                grandpa,
                babe,
                babe_worker,
                clock,
                mut telemetry,
            },
    } = partial(&config, sealed)?;

    // Dropped (and so undone) with the task manager if a later step fails.
    if let Some(path) = database_path {
        StorageMonitorService::try_spawn(
            options.storage_monitor,
            path,
            &task_manager.spawn_essential_handle(),
        )
        .map_err(application)?;
    }
    let keystore = keystore_container.keystore();
    worker::store(backend.offchain_storage(), options.worker.as_ref()).map_err(Error::Other)?;
    if let Some(pairing) = &options.worker {
        let key = worker::result_key(&keystore).map_err(Error::Other)?;
        log::info!(
            "🔧 Paired with the worker at {}; register it with the result key 0x{}",
            pairing.url(),
            HexDisplay::from(&key.0)
        );
    }
    if role.is_authority() && !dev_keys::allowed(&chain_type) {
        dev_keys::refuse(&keystore, &chain_name).map_err(Error::Other)?;
        task_manager.spawn_essential_handle().spawn(
            "well-known-key-guard",
            None,
            dev_keys::guard(keystore.clone(), chain_name),
        );
    }
    if !sealed && chain_type == ChainType::Development {
        let finalized = client.info().finalized_hash;
        // Where the state is gone (warp sync has not brought it yet) there is nothing to compare.
        if let Ok(chain_set) = client.runtime_api().current_set_id(finalized) {
            sealing::can_vote(grandpa.shared_authority_set().set_id(), chain_set).map_err(Error::Other)?;
        }
    }

    let metrics = N::register_notification_metrics(prometheus.as_ref());
    let mut network_config = sc_network::config::FullNetworkConfiguration::<Block, Hash, N>::new(
        &config.network,
        prometheus.clone(),
    );
    let genesis_hash = client
        .block_hash(0)?
        .ok_or_else(|| Error::Other("the database has no genesis block".into()))?;
    let grandpa_protocol = sc_consensus_grandpa::protocol_standard_name(&genesis_hash, &config.chain_spec);
    let grandpa_notifications = votes.then(|| {
        let (protocol, notifications) = sc_consensus_grandpa::grandpa_peers_set_config::<Block, N>(
            grandpa_protocol.clone(),
            metrics.clone(),
            network_config.peer_store_handle(),
        );
        network_config.add_notification_protocol(protocol);
        notifications
    });
    let warp_sync = Arc::new(sc_consensus_grandpa::warp_proof::NetworkProvider::new(
        backend.clone(),
        grandpa.shared_authority_set().clone(),
        Vec::new(),
    ));
    let (network, system_rpc_tx, tx_handler_controller, sync_service, _bitswap) =
        sc_service::build_network(BuildNetworkParams {
            config: &config,
            net_config: network_config,
            client: client.clone(),
            transaction_pool: transaction_pool.clone(),
            spawn_handle: task_manager.spawn_handle(),
            spawn_essential_handle: task_manager.spawn_essential_handle(),
            import_queue,
            block_announce_validator_builder: None,
            warp_sync_config: Some(WarpSyncConfig::WithProvider(warp_sync)),
            block_relay: None,
            metrics,
            gap_sync_body_policy: None,
        })?;

    let voter_state = SharedVoterState::empty();
    let commands = sealed.then(|| mpsc::channel(COMMAND_BUFFER));
    let rpc_builder = {
        let client = client.clone();
        let pool = transaction_pool.clone();
        let select_chain = select_chain.clone();
        let chain_spec = config.chain_spec.cloned_box();
        let keystore = keystore.clone();
        let voter_state = voter_state.clone();
        let authority_set = grandpa.shared_authority_set().clone();
        let justifications = grandpa.justification_stream();
        let finality_proofs = sc_consensus_grandpa::FinalityProofProvider::new_for_service(
            backend.clone(),
            Some(authority_set.clone()),
        );
        let development = chain_type == ChainType::Development;
        let requests = match options.sealing {
            Sealing::Manual => commands.as_ref().map(|(sender, _)| sender.clone()),
            _ => None,
        };
        Box::new(move |executor| {
            rpc::module(rpc::Parts {
                client: client.clone(),
                pool: pool.clone(),
                select_chain: select_chain.clone(),
                chain_spec: chain_spec.cloned_box(),
                keystore: keystore.clone(),
                babe_worker: babe_worker.clone(),
                voter_state: voter_state.clone(),
                authority_set: authority_set.clone(),
                justifications: justifications.clone(),
                finality_proofs: finality_proofs.clone(),
                requests: requests.clone(),
                paired,
                development,
                executor,
            })
            .map_err(application)
        })
    };
    sc_service::spawn_tasks(SpawnTasksParams {
        config,
        client: client.clone(),
        backend: backend.clone(),
        task_manager: &mut task_manager,
        keystore: keystore.clone(),
        transaction_pool: transaction_pool.clone(),
        rpc_builder,
        network: network.clone(),
        system_rpc_tx,
        tx_handler_controller,
        sync_service: sync_service.clone(),
        telemetry: telemetry.as_mut(),
        tracing_execute_block: None,
    })?;
    let telemetry = telemetry.as_ref().map(Telemetry::handle);

    if run_offchain_workers {
        let workers = sc_offchain::OffchainWorkers::new(sc_offchain::OffchainWorkerOptions {
            runtime_api_provider: client.clone(),
            keystore: Some(keystore.clone()),
            offchain_db: backend.offchain_storage(),
            transaction_pool: Some(OffchainTransactionPoolFactory::new(transaction_pool.clone())),
            network_provider: Arc::new(network.clone()),
            is_validator: role.is_authority(),
            enable_http_requests: true,
            custom_extensions: |_| vec![],
        })?;
        task_manager.spawn_handle().spawn(
            "offchain-workers-runner",
            "offchain-worker",
            workers.run(client.clone(), task_manager.spawn_handle()).boxed(),
        );
    }

    match (commands, clock) {
        (Some(commands), Some(clock)) => sealing::start(
            sealing::Parts {
                sealing: options.sealing,
                commands,
                clock,
                client: client.clone(),
                keystore: keystore.clone(),
                pool: transaction_pool.clone(),
                block_import,
                link: babe,
                select_chain,
                prometheus: prometheus.as_ref(),
            },
            &task_manager,
        ),
        _ if role.is_authority() => {
            let env = sc_basic_authorship::ProposerFactory::new(
                task_manager.spawn_handle(),
                client.clone(),
                transaction_pool.clone(),
                prometheus.as_ref(),
                telemetry.clone(),
            );
            let slot_duration = babe.config().slot_duration();
            let author = sc_consensus_babe::start_babe(sc_consensus_babe::BabeParams {
                keystore: keystore.clone(),
                client: client.clone(),
                select_chain,
                env,
                block_import,
                sync_oracle: sync_service.clone(),
                justification_sync_link: sync_service.clone(),
                create_inherent_data_providers: present(slot_duration, None),
                force_authoring,
                backoff_authoring_blocks: Some(
                    sc_consensus_slots::BackoffAuthoringOnFinalizedHeadLagging::default(),
                ),
                babe_link: babe,
                block_proposal_slot_portion: SlotProportion::new(0.5),
                max_block_proposal_slot_portion: None,
                telemetry: telemetry.clone(),
            })?;
            task_manager.spawn_essential_handle().spawn_blocking(
                "babe-proposer",
                Some("block-authoring"),
                author,
            );
            let dht_events = network
                .event_stream("authority-discovery")
                .filter_map(|event| async move {
                    match event {
                        Event::Dht(event) => Some(event),
                        _ => None,
                    }
                });
            let (worker, _service) = sc_authority_discovery::new_worker_and_service_with_config(
                discovery,
                client.clone(),
                Arc::new(network.clone()),
                Box::pin(dht_events),
                sc_authority_discovery::Role::PublishAndDiscover(keystore.clone()),
                prometheus.clone(),
                task_manager.spawn_handle(),
            );
            task_manager
                .spawn_handle()
                .spawn("authority-discovery-worker", Some("networking"), worker.run());
        }
        _ => {}
    }

    if let Some(notification_service) = grandpa_notifications {
        let voter = sc_consensus_grandpa::run_grandpa_voter(sc_consensus_grandpa::GrandpaParams {
            config: sc_consensus_grandpa::Config {
                gossip_duration: GOSSIP_DURATION,
                justification_generation_period: JUSTIFICATION_PERIOD,
                observer_enabled: false,
                local_role: role,
                name: Some(node_name),
                // A full node listens to votes and casts none, whatever its keystore holds.
                keystore: role.is_authority().then_some(keystore),
                telemetry: telemetry.clone(),
                protocol_name: grandpa_protocol,
            },
            link: grandpa,
            network: network.clone(),
            sync: sync_service.clone(),
            notification_service,
            voting_rule: sc_consensus_grandpa::VotingRulesBuilder::default().build(),
            prometheus_registry: prometheus.clone(),
            shared_voter_state: voter_state,
            telemetry,
            offchain_tx_pool_factory: OffchainTransactionPoolFactory::new(transaction_pool.clone()),
        })?;
        task_manager
            .spawn_essential_handle()
            .spawn_blocking("grandpa-voter", None, voter);
    }

    if let Some(config) = options.eth {
        let parts = NodeParts {
            client,
            pool: transaction_pool,
            sync: sync_service,
            spawn: task_manager.spawn_handle(),
            registry: prometheus,
            client_version,
        };
        let server = openledger_eth_rpc::start(config, parts)
            .await
            .map_err(application)?;
        task_manager.keep_alive(server);
    }
    Ok(task_manager)
}

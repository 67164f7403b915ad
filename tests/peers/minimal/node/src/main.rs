//! `minimal-peer-node`: what openledger-node is measured beside. What is the same and what differs: ../README.md.

use futures::{
    channel::{mpsc, oneshot},
    FutureExt, SinkExt,
};
use jsonrpsee::RpcModule;
use minimal_peer_runtime::{AccountId32, Hash, Header, Nonce, RuntimeApi};
use sc_client_api::Backend as _;
use sc_consensus_manual_seal::{run_manual_seal, EngineCommand, ManualSealParams};
use sc_network::{
    config::{FullNetworkConfiguration, NetworkBackendType},
    Litep2pNetworkBackend, NetworkBackend, NetworkWorker,
};
use sc_service::{
    error::Error, BuildNetworkParams, ChainType, Configuration, DatabaseSource, PruningMode,
    SpawnTasksParams, TaskManager,
};
use sc_transaction_pool_api::OffchainTransactionPoolFactory;
use sp_runtime::{generic, OpaqueExtrinsic};
use std::{sync::Arc, time::Duration};
use substrate_frame_rpc_system::{System, SystemApiServer};

type Block = generic::Block<Header, OpaqueExtrinsic>;
type Executor = sc_executor::WasmExecutor<sp_io::SubstrateHostFunctions>;
type Client = sc_service::TFullClient<Block, RuntimeApi, Executor>;
type Pool = sc_transaction_pool::TransactionPoolHandle<Block, Client>;
type Command = EngineCommand<Hash>;

/// What was typed.
#[derive(Debug, clap::Parser)]
struct Cli {
    /// The SDK's own flags.
    #[command(flatten)]
    run: sc_cli::RunCmd,

    /// Pace of blocks: interval=MILLISECONDS, as openledger-node takes it.
    #[arg(long, value_name = "MODE", value_parser = interval)]
    sealing: Duration,
}

fn interval(text: &str) -> Result<Duration, String> {
    text.strip_prefix("interval=")
        .and_then(|millis| millis.parse().ok())
        .filter(|millis| *millis > 0)
        .map(Duration::from_millis)
        .ok_or_else(|| "expected interval=MILLISECONDS".into())
}

impl sc_cli::SubstrateCli for Cli {
    fn impl_name() -> String {
        "Minimal Peer".into()
    }

    fn impl_version() -> String {
        env!("CARGO_PKG_VERSION").into()
    }

    fn description() -> String {
        env!("CARGO_PKG_DESCRIPTION").into()
    }

    fn author() -> String {
        env!("CARGO_PKG_AUTHORS").into()
    }

    fn support_url() -> String {
        "the issue tracker of the OpenLedger repository".into()
    }

    fn copyright_start_year() -> i32 {
        2026
    }

    fn load_spec(&self, id: &str) -> Result<Box<dyn sc_service::ChainSpec>, String> {
        if id != "dev" {
            return Err(format!("there is no chain {id:?} here; start with --dev"));
        }
        let wasm = minimal_peer_runtime::WASM_BINARY
            .ok_or("built without the runtime's wasm (SKIP_WASM_BUILD was set); build it again")?;
        let spec = sc_chain_spec::GenericChainSpec::<sc_chain_spec::NoExtension>::builder(wasm, None)
            .with_name("Minimal Peer")
            .with_id("minimal_peer")
            .with_chain_type(ChainType::Development)
            .with_genesis_config_preset_name("development")
            .build();
        Ok(Box::new(spec))
    }
}

fn main() -> sc_cli::Result<()> {
    let cli = <Cli as sc_cli::SubstrateCli>::from_args();
    let mut runner = sc_cli::SubstrateCli::create_runner(&cli, &cli.run)?;
    let config = runner.config_mut();
    // As openledger-node sets its development chain up.
    config.database = DatabaseSource::ParityDb {
        path: config.data_path.join("paritydb").join("full"),
    };
    config.state_pruning = Some(PruningMode::ArchiveAll);
    // No peer is expected: any free port, on loopback.
    let loopback = "/ip4/127.0.0.1/tcp/0";
    config.network.listen_addresses = vec![loopback.parse().expect("a valid address")];
    runner.run_node_until_exit(|config| async move {
        let started = match config.network.network_backend {
            NetworkBackendType::Libp2p => start::<NetworkWorker<Block, Hash>>(config, cli.sealing),
            NetworkBackendType::Litep2p => start::<Litep2pNetworkBackend>(config, cli.sealing),
        };
        started.map_err(sc_cli::Error::Service)
    })
}

/// The parts of openledger-node's service that remain when nobody votes and nobody claims slots.
fn start<N: NetworkBackend<Block, Hash>>(
    config: Configuration,
    period: Duration,
) -> Result<TaskManager, Error> {
    let executor = sc_service::new_wasm_executor(&config.executor);
    let (client, backend, keystore_container, mut task_manager) =
        sc_service::new_full_parts::<Block, RuntimeApi, Executor>(&config, None, executor, vec![])?;
    let client = Arc::new(client);
    let keystore = keystore_container.keystore();
    let prometheus = config.prometheus_registry().cloned();
    let pool: Arc<Pool> = Arc::new(
        sc_transaction_pool::Builder::new(
            task_manager.spawn_essential_handle(),
            client.clone(),
            config.role.is_authority().into(),
        )
        .with_options(config.transaction_pool.clone())
        .with_prometheus(prometheus.as_ref())
        .build(),
    );

    let net_config = FullNetworkConfiguration::<Block, Hash, N>::new(&config.network, prometheus.clone());
    let (network, system_rpc_tx, tx_handler_controller, sync_service, _bitswap) =
        sc_service::build_network(BuildNetworkParams {
            config: &config,
            net_config,
            client: client.clone(),
            transaction_pool: pool.clone(),
            spawn_handle: task_manager.spawn_handle(),
            spawn_essential_handle: task_manager.spawn_essential_handle(),
            import_queue: sc_consensus_manual_seal::import_queue(
                Box::new(client.clone()),
                &task_manager.spawn_essential_handle(),
                prometheus.as_ref(),
            ),
            block_announce_validator_builder: None,
            warp_sync_config: None,
            block_relay: None,
            metrics: N::register_notification_metrics(prometheus.as_ref()),
            gap_sync_body_policy: None,
        })?;

    if config.offchain_worker.enabled {
        let workers = sc_offchain::OffchainWorkers::new(sc_offchain::OffchainWorkerOptions {
            runtime_api_provider: client.clone(),
            keystore: Some(keystore.clone()),
            offchain_db: backend.offchain_storage(),
            transaction_pool: Some(OffchainTransactionPoolFactory::new(pool.clone())),
            network_provider: Arc::new(network.clone()),
            is_validator: config.role.is_authority(),
            enable_http_requests: true,
            custom_extensions: |_| vec![],
        })?;
        task_manager.spawn_handle().spawn(
            "offchain-workers-runner",
            "offchain-worker",
            workers.run(client.clone(), task_manager.spawn_handle()).boxed(),
        );
    }

    let rpc_builder = {
        let (client, pool) = (client.clone(), pool.clone());
        Box::new(move |_executor| {
            let mut module = RpcModule::new(());
            let system = System::<Pool, Client, Block>::new(client.clone(), pool.clone());
            module
                .merge(SystemApiServer::<_, AccountId32, Nonce>::into_rpc(system))
                .map_err(|error| Error::Application(error.into()))?;
            Ok(module)
        })
    };
    sc_service::spawn_tasks(SpawnTasksParams {
        config,
        client: client.clone(),
        backend: backend.clone(),
        task_manager: &mut task_manager,
        keystore,
        transaction_pool: pool.clone(),
        rpc_builder,
        network,
        system_rpc_tx,
        tx_handler_controller,
        sync_service,
        telemetry: None,
        tracing_execute_block: None,
    })?;

    let (sender, commands_stream) = mpsc::channel(1024);
    let sealer = run_manual_seal(ManualSealParams {
        block_import: client.clone(),
        env: sc_basic_authorship::ProposerFactory::new(
            task_manager.spawn_handle(),
            client.clone(),
            pool.clone(),
            prometheus.as_ref(),
            None,
        ),
        client,
        pool,
        commands_stream,
        select_chain: sc_consensus::LongestChain::new(backend),
        consensus_data_provider: None,
        create_inherent_data_providers: |_parent: Hash, ()| async {
            Ok(sp_timestamp::InherentDataProvider::from_system_time())
        },
    });
    let tasks = task_manager.spawn_essential_handle();
    tasks.spawn_blocking("sealing", Some("block-authoring"), sealer);
    tasks.spawn("seal-by-interval", Some("block-authoring"), seal(period, sender));
    Ok(task_manager)
}

/// Asks for a final block every `period`, empty or not; after a long block the next comes a period later, as in openledger-node.
async fn seal(period: Duration, mut commands: mpsc::Sender<Command>) {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (sender, answer) = oneshot::channel();
        let request = Command::SealNewBlock {
            create_empty: true,
            finalize: true,
            parent_hash: None,
            sender: Some(sender),
        };
        if commands.send(request).await.is_err() {
            return;
        }
        if let Ok(Err(error)) = answer.await {
            log::warn!(target: "sealing", "no block: {error}");
        }
    }
}

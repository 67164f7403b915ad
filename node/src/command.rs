//! What each subcommand, and no subcommand, runs.

use crate::{
    chain_spec, checks,
    cli::{Cli, Run, Subcommand},
    dev_keys, eth, report,
    sealing::Sealing,
    service::{self, Block, Options},
    worker::Pairing,
};
use sc_cli::{CliConfiguration, Error, KeySubcommand, OffchainWorkerEnabled, Result, Runner, SubstrateCli};
use sc_network::config::{NodeKeyConfig, Secret};
use sc_service::{ChainType, Configuration, DatabaseSource, PartialComponents, PruningMode};
use std::path::{Path, PathBuf};

impl SubstrateCli for Cli {
    fn impl_name() -> String {
        "openledger-node".into()
    }

    fn impl_version() -> String {
        env!("CARGO_PKG_VERSION").into()
    }

    // Fixed, so that a renamed binary finds its data.
    fn executable_name() -> String {
        "openledger-node".into()
    }

    fn description() -> String {
        "Validator and full node of OpenLedger: a chain for payable AI, with an EVM inside.".into()
    }

    fn author() -> String {
        env!("CARGO_PKG_AUTHORS").into()
    }

    fn support_url() -> String {
        "the issue tracker of the OpenLedger repository".into()
    }

    fn copyright_start_year() -> i32 {
        2025
    }

    fn load_spec(&self, id: &str) -> std::result::Result<Box<dyn sc_service::ChainSpec>, String> {
        chain_spec::load(id)
    }
}

/// An error that is printed as it is.
fn text(message: impl Into<String>) -> Error {
    Error::Application(message.into().into())
}

/// Runs what was asked for.
///
/// # Errors
///
/// Whatever the command says; `report::describe` makes one line of it.
pub(crate) fn run(mut cli: Cli) -> Result<()> {
    match cli.subcommand.take() {
        None => run_node(cli),
        Some(command) => run_command(&cli, command),
    }
}

fn run_command(cli: &Cli, command: Subcommand) -> Result<()> {
    match command {
        Subcommand::Key(command) => run_key(cli, &command),
        Subcommand::SessionKeys(command) => command.run(cli),
        Subcommand::Sign(command) => command.run(),
        Subcommand::Verify(command) => command.run(),
        Subcommand::Vanity(command) => command.run(),
        Subcommand::ExportChainSpec(command) => {
            let mut spec = cli.load_spec(&command.chain)?;
            if let Some(genesis) = chain_spec::genesis_state(&command.chain)
                .map_err(text)?
                .filter(|_| command.raw)
            {
                spec.set_storage(genesis);
            }
            command.run(spec)
        }
        Subcommand::BuildSpec(command) => {
            let runner = cli.create_runner(&command)?;
            runner.sync_run(|config| command.run(config.chain_spec, config.network))
        }
        Subcommand::CheckBlock(command) => runner(cli, &command)?.async_run(|config| {
            let PartialComponents {
                client,
                task_manager,
                import_queue,
                ..
            } = open(&config)?;
            Ok((command.run(client, import_queue), task_manager))
        }),
        Subcommand::ExportBlocks(command) => runner(cli, &command)?.async_run(|config| {
            let PartialComponents {
                client, task_manager, ..
            } = open(&config)?;
            Ok((command.run(client, config.database), task_manager))
        }),
        Subcommand::ExportState(command) => runner(cli, &command)?.async_run(|config| {
            let PartialComponents {
                client, task_manager, ..
            } = open(&config)?;
            Ok((command.run(client, config.chain_spec), task_manager))
        }),
        Subcommand::ImportBlocks(command) => runner(cli, &command)?.async_run(|config| {
            let PartialComponents {
                client,
                task_manager,
                import_queue,
                ..
            } = open(&config)?;
            Ok((command.run(client, import_queue), task_manager))
        }),
        Subcommand::Revert(command) => runner(cli, &command)?.async_run(|config| {
            let PartialComponents {
                client,
                task_manager,
                backend,
                ..
            } = open(&config)?;
            let revert_consensus = Box::new(|client: std::sync::Arc<service::Client>, backend, blocks| {
                sc_consensus_babe::revert(client.clone(), backend, blocks)?;
                sc_consensus_grandpa::revert(client, blocks)?;
                Ok(())
            });
            Ok((command.run(client, backend, Some(revert_consensus)), task_manager))
        }),
        Subcommand::PurgeChain(command) => {
            let runner = runner(cli, &command)?;
            runner.sync_run(|config| purge(&command, config))
        }
        Subcommand::ChainInfo(command) => {
            let runner = runner(cli, &command)?;
            runner.sync_run(|config| command.run::<Block>(&config))
        }
    }
}

fn run_key(cli: &Cli, command: &KeySubcommand) -> Result<()> {
    match command {
        // The SDK wants a chain even where the key goes to a file or the screen.
        KeySubcommand::GenerateNodeKey(node_key) if node_key.chain.is_none() => {
            let into_directory = std::env::args()
                .any(|arg| arg.starts_with("--base-path") || arg.starts_with("--default-base-path"));
            if into_directory {
                return Err(text(
                    "say which chain the node key is for: --chain NAME, as when the node is started",
                ));
            }
            node_key.run("", &Cli::executable_name())
        }
        other => other.run(cli),
    }
}

/// The parts a command on a stored chain needs.
fn open(config: &Configuration) -> Result<service::Partial> {
    Ok(service::partial(config, false)?)
}

/// Deletes the database and, with it, the Ethereum index, which is of no use alone.
fn purge(command: &sc_cli::PurgeChainCmd, config: Configuration) -> Result<()> {
    let database = config.database.path().map(Path::to_path_buf);
    command.run(config.database)?;
    // The person may have said no.
    if database.is_some_and(|path| !path.exists()) {
        let index = config.data_path.join(eth::DIRECTORY);
        if index.exists() {
            std::fs::remove_dir_all(&index)?;
            println!("{index:?} removed.");
        }
    }
    Ok(())
}

/// The SDK's runner, with this node's database.
fn runner<C: CliConfiguration>(cli: &Cli, command: &C) -> Result<Runner<Cli>> {
    // By name: the SDK has the variant only when it is built with RocksDB.
    if command
        .database()?
        .is_some_and(|database| format!("{database:?}") == "RocksDb")
    {
        return Err(text("--database rocksdb is not built into this node; leave the flag out, the chain is kept in ParityDB"));
    }
    let mut runner = cli.create_runner(command)?;
    report::install_panic_hook();
    let config = runner.config_mut();
    config.database = DatabaseSource::ParityDb {
        path: database_path(&config.data_path),
    };
    checks::no_rocksdb(&config.data_path).map_err(text)?;
    let chain = command.chain_id(command.is_dev()?)?;
    if let Some(genesis) = chain_spec::genesis_state(&chain).map_err(text)? {
        config.chain_spec.set_storage(genesis);
    }
    Ok(runner)
}

/// Where the SDK puts a ParityDB inside the chain's directory.
fn database_path(chain_directory: &Path) -> PathBuf {
    chain_directory.join("paritydb").join("full")
}

fn run_node(mut cli: Cli) -> Result<()> {
    let chain = cli
        .run
        .base
        .shared_params
        .chain_id(cli.run.base.shared_params.is_dev());
    let spec = cli.load_spec(&chain)?;
    let seed = cli.run.base.dev_key_seed(cli.run.base.shared_params.is_dev())?;
    if let Some(seed) = seed.filter(|_| !dev_keys::allowed(&spec.chain_type())) {
        return Err(text(format!(
            "{seed} is a key everybody knows, so this node will not author on {} with it; leave out --dev, --alice and the like, \
             and make keys of your own with `openledger-node session-keys`",
            spec.name()
        )));
    }
    if at_home(&spec.chain_type()) {
        // A stable identity matters to a network of strangers only.
        cli.run
            .base
            .network_params
            .node_key_params
            .unsafe_force_node_key_generation = true;
    }
    if cli.run.sealing != Sealing::None {
        // A sealed chain has no forks, and its blocks are final the moment they exist: the fork-aware pool, which learns of
        // blocks one by one, loses transactions that arrive in between.
        cli.run.base.pool_config.pool_type = sc_cli::TransactionPoolType::SingleState;
    }
    let mut runner = runner(&cli, &cli.run.base)?;
    adjust(runner.config_mut(), &cli.run);
    let options = options(runner.config(), &cli.run)?;
    let database = runner.config().database.path().map(Path::to_path_buf);
    let threshold = cli.run.storage_monitor.threshold;
    let stopped = runner.run_node_until_exit(|config| async move {
        service::full(config, options).await.map_err(Error::Service)
    });
    // A task that ends the node cannot say why; the disk can.
    match (stopped, database) {
        (Err(error), Some(path)) => Err(checks::disk_has_room(&path, threshold)
            .map_err(text)
            .err()
            .unwrap_or(error)),
        (stopped, path) => {
            if stopped.is_ok() {
                report::after_the_log();
                let place = path.map_or(String::new(), |path| {
                    format!("; the chain is whole in {}", path.display())
                });
                // The SDK's tasks end in any order, and some log the end of another as a failure.
                eprintln!("Stopped, as asked{place}. Tasks that the log's last lines call failed were stopped with the node.");
            }
            stopped
        }
    }
}

/// Chains whose nodes are all on one machine.
fn at_home(chain_type: &ChainType) -> bool {
    matches!(chain_type, ChainType::Development | ChainType::Local)
}

/// Where this node's defaults differ from the SDK's.
fn adjust(config: &mut Configuration, run: &Run) {
    if run.base.rpc_params.experimental_rpc_endpoint.is_empty() {
        // The SDK would take any free port in silence, and clients would talk to whoever has the known one.
        for endpoint in config.rpc.addr.iter_mut().flatten() {
            endpoint.retry_random_port = false;
        }
    }
    if at_home(&config.chain_spec.chain_type()) && run.base.network_params.listen_addr.is_empty() {
        for address in &mut config.network.listen_addresses {
            *address = checks::on_loopback(address);
        }
    }
    if at_home(&config.chain_spec.chain_type()) {
        // The SDK waits for three peers, which a network on one machine may never have; proofs are verified all the same.
        config.network.min_peers_to_start_warp_sync = Some(1);
    }
    if run.base.shared_params.dev && config.state_pruning.is_none() {
        // Developers ask about old blocks, and a development chain is small.
        config.state_pruning = Some(PruningMode::ArchiveAll);
    }
}

/// What the node is told beside the SDK's configuration, once everything that can be checked without touching the disk holds.
fn options(config: &Configuration, run: &Run) -> Result<Options> {
    let chain_type = config.chain_spec.chain_type();
    if run.sealing != Sealing::None {
        if chain_type != ChainType::Development {
            return Err(text(format!(
                "--sealing works on the development chain only, not on {}; start with --dev",
                config.chain_spec.name()
            )));
        }
        if !config.role.is_authority() {
            return Err(text(
                "--sealing needs a node that makes blocks; add --dev, --alice or --validator",
            ));
        }
    }
    let worker = run
        .worker
        .worker
        .as_deref()
        .zip(run.worker.worker_secret_file.as_deref())
        .map(|(url, file)| Pairing::read(url, file))
        .transpose()
        .map_err(text)?;
    if worker.is_some()
        && matches!(
            run.base.offchain_worker_params.enabled,
            OffchainWorkerEnabled::Never
        )
    {
        return Err(text(
            "--worker needs the off-chain hook that --offchain-worker never switches off; leave one of the two out",
        ));
    }
    let eth = run
        .eth
        .enabled(run.base.shared_params.dev)
        .then(|| eth::config(&run.eth, &config.data_path, chain_type == ChainType::Development));
    checks::ports_are_free(&checks::ports_of(config, eth.as_ref().map(|eth| eth.listen))).map_err(text)?;
    if let Some(path) = config.database.path() {
        checks::disk_has_room(path, run.storage_monitor.threshold).map_err(text)?;
    }
    // Reads the key file, or writes a new one; a bad one is told from here, before there is a database.
    let NodeKeyConfig::Ed25519(secret) = &config.network.node_key;
    let place = match secret {
        Secret::File(path) => format!(" in {}", path.display()),
        _ => String::new(),
    };
    config.network.node_key.clone().into_keypair().map_err(|error| {
        text(format!(
            "bad node key{place} ({error}); expected 64 hex digits or 32 bytes"
        ))
    })?;
    Ok(Options {
        sealing: run.sealing,
        eth,
        worker,
        storage_monitor: run.storage_monitor.clone(),
    })
}

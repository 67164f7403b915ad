//! Flags and subcommands.

use crate::{report, sealing::Sealing, session_keys::SessionKeysCmd};
use sc_cli::SubstrateCli;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    path::PathBuf,
    process::ExitCode,
};

/// What was typed.
#[derive(Debug, clap::Parser)]
pub(crate) struct Cli {
    /// A task other than running the node.
    #[command(subcommand)]
    pub(crate) subcommand: Option<Subcommand>,

    /// Flags of a running node.
    #[command(flatten)]
    pub(crate) run: Run,
}

/// Flags of a running node.
#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    /// The SDK's own flags.
    #[command(flatten)]
    pub(crate) base: sc_cli::RunCmd,

    /// Who decides when a block is made; anything but `none` only on the development chain.
    ///
    /// none: BABE, a block every two seconds. instant: a block for every transaction, final at once. manual: a block
    /// when the RPC `engine_createBlock` asks. interval=MILLISECONDS: a block every so often, final at once.
    #[arg(long, value_name = "MODE", default_value = "none")]
    pub(crate) sealing: Sealing,

    /// Flags of the Ethereum JSON-RPC.
    #[command(flatten)]
    pub(crate) eth: EthParams,

    /// The worker this node is paired with.
    #[command(flatten)]
    pub(crate) worker: WorkerParams,

    /// When to stop for want of disk space.
    #[command(flatten)]
    pub(crate) storage_monitor: sc_storage_monitor::StorageMonitorParams,
}

/// Flags of the worker this node is paired with.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct WorkerParams {
    /// Pair this node with the worker whose API is at this URL, http://HOST:PORT: the node asks it for results of its jobs
    /// once a block, signs them with the key `olwk` of its keystore and submits them, whatever the node's role.
    #[arg(long, value_name = "URL", requires = "worker_secret_file")]
    pub(crate) worker: Option<String>,

    /// The file with the secret that node and worker share: 0x and hexadecimal digits, mode 0600. `openledger-worker init`
    /// writes it.
    #[arg(long, value_name = "FILE", requires = "worker")]
    pub(crate) worker_secret_file: Option<PathBuf>,
}

/// Flags of the Ethereum JSON-RPC.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct EthParams {
    /// Serve the Ethereum JSON-RPC. On with --dev, off otherwise.
    #[arg(long, conflicts_with = "no_eth_rpc")]
    pub(crate) eth_rpc: bool,

    /// Do not serve the Ethereum JSON-RPC, even with --dev.
    #[arg(long)]
    pub(crate) no_eth_rpc: bool,

    /// Port of the Ethereum JSON-RPC (HTTP and WebSocket).
    #[arg(long, value_name = "PORT", default_value_t = 8545)]
    pub(crate) eth_rpc_port: u16,

    /// Serve the Ethereum JSON-RPC on all interfaces instead of loopback.
    #[arg(long)]
    pub(crate) eth_rpc_external: bool,

    /// Browser origins that may call the Ethereum JSON-RPC: a comma-separated list, or `all`. None by default.
    #[arg(long, value_name = "ORIGINS")]
    pub(crate) eth_rpc_cors: Option<sc_cli::Cors>,

    /// Connections to the Ethereum JSON-RPC at once.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub(crate) eth_rpc_max_connections: u32,

    /// Largest request of the Ethereum JSON-RPC, in megabytes.
    #[arg(long, value_name = "MB", default_value_t = 5)]
    pub(crate) eth_rpc_max_request_size: u32,

    /// Largest response of the Ethereum JSON-RPC, in megabytes.
    #[arg(long, value_name = "MB", default_value_t = 15)]
    pub(crate) eth_rpc_max_response_size: u32,

    /// Calls in one batch request of the Ethereum JSON-RPC.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub(crate) eth_rpc_max_batch: u32,

    /// Calls per minute from one client address. Unlimited on loopback, 6,000 with --eth-rpc-external, unless given.
    #[arg(long, value_name = "COUNT")]
    pub(crate) eth_rpc_rate_limit: Option<NonZeroU32>,

    /// Blocks an `eth_getLogs` range may span; a larger one is refused.
    #[arg(long, value_name = "BLOCKS", default_value_t = 10_000)]
    pub(crate) eth_rpc_max_log_blocks: u32,

    /// Logs an answer may hold; a query that matches more is refused, never cut.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    pub(crate) eth_rpc_max_logs: u32,

    /// Filters one client address may keep.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub(crate) eth_rpc_max_filters: u32,

    /// Blocks for which Ethereum receipts and logs are kept. All by default.
    #[arg(long, value_name = "BLOCKS")]
    pub(crate) eth_rpc_keep_blocks: Option<usize>,
}

/// Calls per minute and client address when the Ethereum JSON-RPC is open to other machines and no limit is given.
const EXTERNAL_RATE_LIMIT: NonZeroU32 = NonZeroU32::new(6_000).expect("not zero");

impl EthParams {
    /// Whether to serve it.
    pub(crate) fn enabled(&self, dev: bool) -> bool {
        self.eth_rpc || (dev && !self.no_eth_rpc)
    }

    /// Where to listen.
    pub(crate) fn listen(&self) -> SocketAddr {
        let ip = if self.eth_rpc_external {
            Ipv4Addr::UNSPECIFIED
        } else {
            Ipv4Addr::LOCALHOST
        };
        SocketAddr::new(IpAddr::V4(ip), self.eth_rpc_port)
    }

    /// Calls per minute from one client address, `None` for no limit.
    pub(crate) fn rate_limit(&self) -> Option<NonZeroU32> {
        self.eth_rpc_rate_limit
            .or(self.eth_rpc_external.then_some(EXTERNAL_RATE_LIMIT))
    }
}

/// Tasks other than running the node.
#[derive(Debug, clap::Subcommand)]
#[allow(clippy::large_enum_variant)] // parsed once
pub(crate) enum Subcommand {
    /// Make, look at and insert single keys.
    #[command(subcommand)]
    Key(sc_cli::KeySubcommand),

    /// Make a validator's session keys and the transaction that registers them.
    SessionKeys(SessionKeysCmd),

    /// Write a chain spec to a file or standard output.
    ExportChainSpec(sc_cli::ExportChainSpecCmd),

    /// Write a chain spec to standard output (older form of export-chain-spec).
    BuildSpec(sc_cli::BuildSpecCmd),

    /// Execute a stored block again.
    CheckBlock(sc_cli::CheckBlockCmd),

    /// Write blocks to a file.
    ExportBlocks(sc_cli::ExportBlocksCmd),

    /// Write the state at a block as a chain spec.
    ExportState(sc_cli::ExportStateCmd),

    /// Read blocks from a file and import them.
    ImportBlocks(sc_cli::ImportBlocksCmd),

    /// Take back blocks that are not final.
    Revert(sc_cli::RevertCmd),

    /// Delete the chain's database, the Ethereum index included; keys stay.
    PurgeChain(sc_cli::PurgeChainCmd),

    /// Print best, final and genesis block of the database.
    ChainInfo(sc_cli::ChainInfoCmd),

    /// Sign a message from standard input with a secret key.
    Sign(sc_cli::SignCmd),

    /// Verify a signature of a message from standard input.
    Verify(sc_cli::VerifyCmd),

    /// Search a key whose address contains a text.
    Vanity(sc_cli::VanityCmd),
}

/// Reads the command line; on failure, help or version prints and says how to exit.
pub(crate) fn parse() -> Result<Cli, ExitCode> {
    use clap::error::ErrorKind;
    Cli::try_from_iter(std::env::args_os()).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A closed pipe (`--help | head`) is not worth a word.
            let _ = error.print();
            ExitCode::SUCCESS
        }
        // `openledger-node key` alone: the list of what could follow is the answer.
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(2)
        }
        _ => {
            eprintln!("Error: {}", report::usage(&error.to_string()));
            ExitCode::from(2)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse_run(args: &[&str]) -> clap::error::Result<Cli> {
        Cli::try_from_iter(std::iter::once("openledger-node").chain(args.iter().copied()))
    }

    #[test]
    fn flags_should_not_clash() {
        Cli::setup_command(Cli::command()).debug_assert();
    }

    #[test]
    fn a_worker_should_be_named_together_with_its_secret() {
        let both = ["--dev", "--worker", "http://a", "--worker-secret-file", "b"];
        let run = parse_run(&both).unwrap().run.worker;
        assert_eq!(run.worker.as_deref(), Some("http://a"));
        assert_eq!(run.worker_secret_file, Some("b".into()));
        assert!(parse_run(&both[..3]).is_err());
        assert!(parse_run(&["--dev", "--worker-secret-file", "b"]).is_err());
        assert!(parse_run(&["--dev"]).unwrap().run.worker.worker.is_none());
    }

    #[test]
    fn eth_rpc_should_be_on_in_dev_only() {
        let eth = |args: &[&str]| parse_run(args).unwrap().run;
        let dev = eth(&["--dev"]);
        assert!(dev.eth.enabled(dev.base.shared_params.dev));
        assert!(!eth(&["--dev", "--no-eth-rpc"]).eth.enabled(true));
        assert!(!eth(&["--chain", "main"]).eth.enabled(false));
        assert!(eth(&["--chain", "main", "--eth-rpc"]).eth.enabled(false));
        assert!(parse_run(&["--eth-rpc", "--no-eth-rpc"]).is_err());
    }

    #[test]
    fn eth_rpc_should_stay_on_loopback_and_be_limited_when_it_does_not() {
        let at_home = parse_run(&["--dev"]).unwrap().run.eth;
        assert!(at_home.listen().ip().is_loopback());
        assert_eq!(at_home.rate_limit(), None);
        let abroad = parse_run(&["--dev", "--eth-rpc-external"]).unwrap().run.eth;
        assert!(!abroad.listen().ip().is_loopback());
        assert!(abroad.rate_limit().is_some());
    }
}

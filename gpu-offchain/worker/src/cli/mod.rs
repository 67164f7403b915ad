//! The command line, for any way to attribute.

mod attribute;
mod content;
mod index;
mod proof;
mod rules;
mod spans;

use crate::{
    attribute::Attribute,
    device, fetch,
    formats::hex0x,
    hook::LEAST_SECRET,
    ledger::{Ledger, Signer},
    models::Base,
    Config, Error, Listeners, Parts, Result, Worker,
};
use clap::{Args, Parser, Subcommand};
use openledger_chain::{parse_account, parse_open, Chain, Key};
use openledger_content::Identity;
use openledger_engine::Backend as _;
use openledger_exchange::{Multiaddr, PeerKey};
use openledger_protocol::{calls, compute, Hash, Name};
use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The key by which other workers know this one, in the data folder.
const PEER_KEY: &str = "peer.key";

/// Trains adapters and writes indexes for the chain, answers for money, and settles what it earned.
#[derive(Parser)]
#[command(name = "openledger-worker", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes the data folder with keys and secret, unless they are there, and prints whose they are.
    Init(Keys),
    /// Registers this worker on the chain.
    Register(Register),
    /// Runs the worker.
    Run(Box<Run>),
    /// Gets a generation that another worker serves, so that this one serves it too. Not while `run` runs.
    Fetch(Fetch),
    /// Files in the worker's content store, without a chain.
    #[command(subcommand)]
    Content(content::Verb),
    /// Writes and checks indexes, without a chain.
    #[command(subcommand)]
    Index(index::Verb),
    /// Says what shaped an answer, without a chain.
    #[command(subcommand)]
    Attribute(attribute::Verb),
    /// Writes a proof of one row of an index, and of its score for a query.
    Prove(proof::Prove),
    /// Checks such a proof; the index is not needed.
    CheckProof(proof::Check),
}

#[derive(Args)]
struct Keys {
    /// Folder of everything the worker keeps.
    #[arg(long)]
    data: PathBuf,
    /// File with the key of the worker's account [default: DATA/account.key].
    #[arg(long)]
    key: Option<PathBuf>,
    /// File with the key that signs receipts [default: DATA/receipt.key].
    #[arg(long)]
    receipt_key: Option<PathBuf>,
    /// File with the secret shared with the paired node [default: DATA/secret].
    #[arg(long)]
    secret_file: Option<PathBuf>,
}

impl Keys {
    fn path(&self, given: &Option<PathBuf>, name: &str) -> PathBuf {
        given.clone().unwrap_or_else(|| self.data.join(name))
    }

    fn account(&self) -> PathBuf {
        self.path(&self.key, "account.key")
    }

    fn receipt(&self) -> PathBuf {
        self.path(&self.receipt_key, "receipt.key")
    }

    fn secret(&self) -> PathBuf {
        self.path(&self.secret_file, "secret")
    }
}

#[derive(Args)]
struct Register {
    #[command(flatten)]
    keys: Keys,
    /// The node's WebSocket.
    #[arg(long, default_value = "ws://127.0.0.1:9944")]
    node: String,
    /// Bond in OPEN, as "1000" or "1000.5".
    #[arg(long)]
    bond: String,
    /// Public key in the node's keystore that signs results (`olwk`), in hexadecimal [default: asked of the node].
    #[arg(long)]
    result_key: Option<String>,
    /// Where consumers reach this worker's API.
    #[arg(long)]
    endpoint: String,
    /// Sit in committees too: recompute what others claim, when drawn, and be paid for it.
    #[arg(long)]
    attest: bool,
    #[command(flatten)]
    device: device::Place,
}

#[derive(Args)]
struct Run {
    #[command(flatten)]
    keys: Keys,
    /// Folder of the base model in Hugging Face layout.
    #[arg(long)]
    base: PathBuf,
    /// The node's WebSocket.
    #[arg(long, default_value = "ws://127.0.0.1:9944")]
    node: String,
    /// Where the public API listens.
    #[arg(long, default_value = "127.0.0.1:8700")]
    listen: SocketAddr,
    /// Where the operator's API listens, metrics and adapters: loopback only.
    #[arg(long, default_value = "127.0.0.1:8710")]
    admin: SocketAddr,
    /// Receipts that make a batch.
    #[arg(long, default_value_t = 16)]
    batch_receipts: usize,
    /// Seconds after which the oldest receipt makes one.
    #[arg(long, default_value_t = 60)]
    batch_seconds: u64,
    /// Attribute only this many answers of each batch, drawn by the chain; 0 attributes every answer at once.
    #[arg(long, default_value_t = 0)]
    sample: u16,
    /// Most bytes of content kept.
    #[arg(long, default_value_t = 8 << 30)]
    content_limit: u64,
    /// Choices computed at once.
    #[arg(long, default_value_t = 16)]
    parallel: usize,
    /// Answers that may wait for their turn.
    #[arg(long, default_value_t = 256)]
    queue: usize,
    /// Answers of one consumer that may wait.
    #[arg(long, default_value_t = 16)]
    queue_each: usize,
    /// Calls that one address may make in a minute, this machine's apart; 0 for as many as it likes.
    #[arg(long, default_value_t = 600)]
    calls_a_minute: u32,
    /// Questions that one consumer may ask in a minute; 0 for as many as it likes.
    #[arg(long, default_value_t = 600)]
    asks_a_minute: u32,
    /// A proxy on this machine is in front: the caller's address is the last in x-forwarded-for.
    #[arg(long)]
    behind_proxy: bool,
    /// Blocks that a voucher must be good for.
    #[arg(long, default_value_t = 60)]
    expiry_margin: u32,
    /// Least credit of a batch in OPEN: the chain's.
    #[arg(long, default_value = "0.001")]
    min_credit: String,
    /// Least bond behind a batch in OPEN: the chain's.
    #[arg(long, default_value = "100")]
    slash_floor: String,
    /// Threads for training and attribution [default: all cores].
    #[arg(long)]
    threads: Option<usize>,
    #[command(flatten)]
    device: device::Options,
    #[command(flatten)]
    p2p: P2p,
    /// Keeps the keys of licensed Datanets in DATA/keys and gives them to those who may have them.
    #[arg(long)]
    keep_keys: bool,
}

/// How content is exchanged with other workers.
#[derive(Args)]
struct P2p {
    /// Where other workers reach this one, TCP and QUIC [default: with --p2p-peer a free port of the loopback interface;
    /// without, content is not exchanged].
    #[arg(long)]
    p2p_listen: Option<SocketAddr>,
    /// A worker to stay connected to, as /ip4/ADDRESS/tcp/PORT/p2p/PEER; may be given several times.
    #[arg(long)]
    p2p_peer: Vec<Multiaddr>,
}

impl P2p {
    /// Starts the exchange, if it is asked for.
    fn start(&self, worker: &Worker, data: &Path) -> Result<()> {
        if self.p2p_listen.is_none() && self.p2p_peer.is_empty() {
            return Ok(());
        }
        let mut config = openledger_exchange::Config::new(PeerKey::load_or_create(&data.join(PEER_KEY))?);
        config.listen_on(
            self.p2p_listen
                .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))),
        );
        config.peers.clone_from(&self.p2p_peer);
        worker.exchange_with(config)?;
        Ok(())
    }
}

#[derive(Args)]
struct Fetch {
    #[command(flatten)]
    keys: Keys,
    /// Folder of the base model in Hugging Face layout.
    #[arg(long)]
    base: PathBuf,
    /// The node's WebSocket.
    #[arg(long, default_value = "ws://127.0.0.1:9944")]
    node: String,
    /// The other worker's URL.
    #[arg(long)]
    from: String,
    #[command(flatten)]
    p2p: P2p,
    /// The model.
    #[arg(long)]
    model: u64,
    /// Its generation.
    #[arg(long)]
    generation: u32,
}

/// Does what the program's arguments say, the first of which is its name. `attribute` decides what shaped an answer; the shipped
/// program passes [`ByInfluence`](crate::attribute::ByInfluence).
pub fn main(
    arguments: impl IntoIterator<Item = OsString>,
    attribute: impl Attribute,
) -> std::process::ExitCode {
    openledger_backend_cpu::keep_memory();
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| "warn,openledger_worker=info".into()),
        )
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_target(false)
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("openledger-worker: cannot start threads: {error}");
            return std::process::ExitCode::FAILURE;
        }
    };
    let command = Cli::parse_from(arguments).command;
    let done = runtime.block_on(async {
        match command {
            Command::Init(keys) => init(&keys),
            Command::Register(register) => self::register(&register).await,
            Command::Run(run) => self::run(*run, Box::new(attribute)).await,
            Command::Fetch(fetch) => self::fetch(&fetch, Box::new(attribute)).await,
            Command::Content(verb) => content::run(&verb).await,
            Command::Index(verb) => index::run(&verb),
            Command::Attribute(verb) => attribute::run(&verb),
            Command::Prove(args) => proof::prove(&args),
            Command::CheckProof(args) => proof::check_proof(&args),
        }
    });
    // A job under way is done again at the next start: nobody waits for it now.
    runtime.shutdown_timeout(Duration::from_secs(2));
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        // A GPU that is lost to a process may be there for the next one; what is in the data folder is done again or resumed by it.
        Err(Error::Lost(_)) => again(),
        Err(error) => {
            eprintln!("openledger-worker: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

/// Replaces this process by a new one of the same program with the same arguments.
fn again() -> std::process::ExitCode {
    let start = |program| replace(std::process::Command::new(program).args(std::env::args_os().skip(1)));
    let error = std::env::current_exe().map_or_else(|error| error, start);
    eprintln!("openledger-worker: the device is lost and the program cannot start itself again ({error}): start it again");
    std::process::ExitCode::FAILURE
}

/// Returns only if it fails.
#[cfg(unix)]
fn replace(program: &mut std::process::Command) -> std::io::Error {
    std::os::unix::process::CommandExt::exec(program)
}

#[cfg(not(unix))]
fn replace(_: &mut std::process::Command) -> std::io::Error {
    std::io::ErrorKind::Unsupported.into()
}

fn init(keys: &Keys) -> Result<()> {
    std::fs::create_dir_all(&keys.data).map_err(|error| Error::file("make", &keys.data, error))?;
    let account = Key::load_or_create(&keys.account())?;
    let receipt = Key::load_or_create(&keys.receipt())?;
    let path = keys.secret();
    if path.exists() {
        read_secret(&path)?;
    } else {
        let mut secret = [0; LEAST_SECRET];
        getrandom::fill(&mut secret).map_err(|error| Error::part("random numbers", error))?;
        write_secret(&path, &secret).map_err(|error| Error::file("write", &path, error))?;
    }
    println!(
        "{}",
        serde_json::json!({
            "account": hex0x(account.account()),
            "ss58": openledger_chain::ss58(&account.account()),
            "receipt_key": hex0x(receipt.account()),
            "secret_file": path,
        })
    );
    Ok(())
}

fn write_secret(path: &Path, secret: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{}", hex0x(secret))?;
    file.sync_all()
}

/// The secret in a file of one line: `0x` and at least 64 hexadecimal digits.
fn read_secret(path: &Path) -> Result<Vec<u8>> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path)
            .map_err(|error| Error::file("read", path, error))?
            .permissions()
            .mode();
        if mode & 0o077 != 0 {
            return Err(Error::Setup(format!(
                "others may read {0}: run chmod 600 {0}",
                path.display()
            )));
        }
    }
    let text = std::fs::read_to_string(path).map_err(|error| Error::file("read", path, error))?;
    let digits = text.trim().strip_prefix("0x");
    digits
        .and_then(|digits| hex::decode(digits).ok())
        .filter(|secret| secret.len() >= LEAST_SECRET)
        .ok_or_else(|| {
            Error::Setup(format!(
                "{} is no secret: it must be one line of 0x and at least {} hexadecimal digits, as `init` writes it",
                path.display(),
                2 * LEAST_SECRET
            ))
        })
}

async fn register(register: &Register) -> Result<()> {
    let account = Key::load(&register.keys.account())?;
    let receipt = Key::load(&register.keys.receipt())?;
    let bond = parse_open(&register.bond)?;
    let result_key = match &register.result_key {
        Some(text) => text.clone(),
        None => ask_result_key(&register.node).await?,
    };
    let result_key: Hash = parse_account(&result_key)?;
    let text = |what: &str, value: &str| {
        Error::Setup(format!("{what} {value:?} is too long for the chain: shorten it"))
    };
    let endpoint = register.endpoint.trim_end_matches('/');
    let (backend, arch) = register.device.machine()?;
    let call = calls::compute::register(
        bond,
        &result_key,
        &receipt.account(),
        &backend,
        &Name::try_from(arch.clone().into_bytes()).map_err(|_| text("arch", &arch))?,
        &endpoint
            .as_bytes()
            .to_vec()
            .try_into()
            .map_err(|_| text("endpoint", endpoint))?,
        if register.attest {
            compute::capability::ALL
        } else {
            compute::capability::ALL & !compute::capability::ATTEST
        },
    );
    let chain = Chain::connect(&register.node).await?;
    let signer = Signer { chain, key: account };
    let mut block = signer.submit(&call).await?;
    if register.attest {
        let key = committee_key(&register.keys.data)?;
        block = signer.submit(&calls::committees::join(&key)).await?;
    }
    println!(
        "{}",
        serde_json::json!({
            "account": hex0x(signer.account()),
            "bond": bond.to_string(),
            "result_key": hex0x(result_key),
            "receipt_key": hex0x(receipt.account()),
            "endpoint": endpoint,
            "machine": arch,
            "block": block.number,
            "block_hash": hex0x(block.hash),
        })
    );
    Ok(())
}

/// The key that private text is sealed for, made unless it is there.
fn committee_key(data: &Path) -> Result<Hash> {
    let path = data.join(crate::committee::KEY);
    if !path.exists() {
        Identity::random()?.save(&path)?;
    }
    Ok(Identity::load(&path)?.recipient().0)
}

/// The key that the node signs results with.
async fn ask_result_key(node: &str) -> Result<String> {
    let failed = |error: &dyn std::fmt::Display| {
        Error::NotReady(format!(
            "the node at {node} does not tell its result key ({error}): start it with --worker, or give --result-key"
        ))
    };
    let client = subxt_rpcs::RpcClient::from_insecure_url(node)
        .await
        .map_err(|error| failed(&error))?;
    let key: Option<String> = client
        .request("worker_resultKey", subxt_rpcs::rpc_params![])
        .await
        .map_err(|error| failed(&error))?;
    key.ok_or_else(|| failed(&"it has none"))
}

/// The worker's parts, once the chain answers.
async fn open(
    keys: &Keys,
    (base, device): (&Path, &device::Options),
    node: &str,
    config: Config,
    attribute: Box<dyn Attribute>,
) -> Result<Parts> {
    let key = Key::load(&keys.account())?;
    let receipt_key = Key::load(&keys.receipt())?;
    let secret = read_secret(&keys.secret())?;
    let base = Base::load(base, device)?;
    tracing::info!(
        base = hex0x(base.hash),
        tokenizer = hex0x(base.tokenizer.hash()),
        "loaded the base model"
    );
    let mut told = false;
    let chain = loop {
        match Chain::connect(node).await {
            Ok(chain) => break chain,
            Err(error) => {
                if !told {
                    tracing::warn!(%error, "waiting for the node");
                }
                told = true;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    };
    Ok(Parts {
        config,
        ledger: Arc::new(Signer { chain, key }),
        receipt_key,
        secret,
        base,
        attribute,
    })
}

async fn run(run: Run, attribute: Box<dyn Attribute>) -> Result<()> {
    if let Some(threads) = run.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global()
            .map_err(|error| Error::part("threads", error))?;
    }
    let config = Config {
        batch_receipts: run.batch_receipts,
        batch_after: Duration::from_secs(run.batch_seconds),
        sample: run.sample,
        content_limit: run.content_limit,
        parallel: run.parallel,
        queue: run.queue,
        queue_each: run.queue_each,
        calls_a_minute: run.calls_a_minute,
        asks_a_minute: run.asks_a_minute,
        behind_proxy: run.behind_proxy,
        expiry_margin: run.expiry_margin,
        min_credit: parse_open(&run.min_credit)?,
        slash_floor: parse_open(&run.slash_floor)?,
        progress_bar: true,
        keep_keys: run.keep_keys,
        ..Config::new(&run.keys.data)
    };
    if !run.admin.ip().is_loopback() {
        return Err(Error::Setup(format!(
            "--admin {} is reached from outside: give an address of loopback, and a tunnel to who must reach it",
            run.admin
        )));
    }
    // Before the slow parts, so that a port in use is told at once.
    let listeners = Listeners {
        public: listen(run.listen, "--listen").await?,
        admin: Some(listen(run.admin, "--admin").await?),
    };
    let parts = open(&run.keys, (&run.base, &run.device), &run.node, config, attribute).await?;
    let (worker, queue) = Worker::open(parts)?;
    run.p2p.start(&worker, &run.keys.data)?;
    tracing::info!(account = hex0x(worker.account()), listen = %run.listen, admin = %run.admin, "the worker runs");
    let net = worker.base.net.clone();
    let lost = device::lost(net.clone());
    let stop = async move {
        tokio::select! {
            () = stopped() => {}
            fault = lost => tracing::error!("ending to start again: {fault}"),
        }
    };
    crate::run(worker, queue, listeners, stop).await?;
    net.backend
        .lost()
        .map_or(Ok(()), |fault| Err(Error::Lost(fault.to_string())))
}

async fn listen(address: SocketAddr, flag: &str) -> Result<tokio::net::TcpListener> {
    tokio::net::TcpListener::bind(address).await.map_err(|error| {
        Error::Setup(format!(
            "cannot listen on {address}: {error}; choose another {flag}"
        ))
    })
}

/// Resolves when somebody asks the program to end.
async fn stopped() {
    #[cfg(unix)]
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
    tracing::info!("ending; what is under way is finished or done again at the next start");
}

/// Fetching checks files and computes nothing: the processor will do, and leaves a GPU to whom it serves.
const FETCH_ON: device::Options = device::Options {
    place: device::Place {
        backend: device::Backend::Cpu,
        device: 0,
        no_graphs: false,
    },
    device_memory: None,
    mode: device::Order::Verifiable,
};

async fn fetch(fetch: &Fetch, attribute: Box<dyn Attribute>) -> Result<()> {
    let parts = open(
        &fetch.keys,
        (&fetch.base, &FETCH_ON),
        &fetch.node,
        Config::new(&fetch.keys.data),
        attribute,
    )
    .await?;
    let (worker, _) = Worker::open(parts)?;
    fetch.p2p.start(&worker, &fetch.keys.data)?;
    let row = fetch::generation(&worker, &fetch.from, fetch.model, fetch.generation).await?;
    println!(
        "{}",
        serde_json::json!({
            "model": fetch.model,
            "generation": fetch.generation,
            "adapter": hex0x(row.adapter),
            "index": hex0x(row.index),
        })
    );
    Ok(())
}

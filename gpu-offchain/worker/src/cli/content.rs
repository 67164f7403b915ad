//! `content`: files in the worker's content store and in others', without a chain.

use super::{stopped, PEER_KEY};
use crate::{Error, Result};
use clap::{Args, Subcommand};
use openledger_content::{verbs, Cid, Store};
use openledger_exchange::{
    Check, Checks, Config, Counts, Exchange, Fetch, Multiaddr, PeerKey, Progress, Shelf, Verdict,
};
use serde::Serialize;
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::watch;

/// How often progress is told.
const TELL: Duration = Duration::from_secs(1);

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Takes a file in and prints its CID, under which a running worker gives it to whoever asks.
    Add(Add),
    /// Writes a file, every block checked; one that is not in the store is fetched from peers first.
    Get(Get),
    /// Shows all blocks, which are for others and which are denied.
    Ls(Ls),
    /// Puts a block or a file on the block list: it is neither given nor taken any more.
    Deny(Deny),
    /// Gives what the store has for others until the program is stopped, as `run` with --p2p-listen does.
    Serve(Serve),
    /// Asks a peer to show random pieces of a file that it claims to have, and keeps what came of it in DATA/checks.jsonl.
    /// Exit code 1 unless every piece came.
    Check(Challenge),
}

#[derive(Args)]
pub(super) struct Place {
    /// Folder of everything the worker keeps.
    #[arg(long)]
    data: PathBuf,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Add {
    #[command(flatten)]
    place: Place,
    /// The file.
    file: PathBuf,
    /// Keeps it from others.
    #[arg(long)]
    private: bool,
}

#[derive(Args)]
pub(super) struct Get {
    #[command(flatten)]
    place: Place,
    /// The file's CID.
    cid: String,
    /// Where to write it.
    #[arg(long)]
    out: PathBuf,
    /// A peer that has it or knows who does, as /ip4/ADDRESS/tcp/PORT/p2p/PEER; may be given several times.
    #[arg(long)]
    peer: Vec<Multiaddr>,
    /// Most bytes that are fetched.
    #[arg(long, default_value_t = 16 << 30)]
    most: u64,
}

#[derive(Args)]
pub(super) struct Ls {
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
pub(super) struct Deny {
    #[command(flatten)]
    place: Place,
    /// The CID of the block or file.
    cid: String,
    /// Takes it off the list again.
    #[arg(long)]
    undo: bool,
}

#[derive(Args)]
pub(super) struct Serve {
    #[command(flatten)]
    place: Place,
    /// Where peers reach it, TCP and QUIC.
    #[arg(long, default_value = "127.0.0.1:8701")]
    listen: SocketAddr,
    /// A peer to stay connected to, as /ip4/ADDRESS/tcp/PORT/p2p/PEER; may be given several times.
    #[arg(long)]
    peer: Vec<Multiaddr>,
    /// Bytes a second that one peer is given; 0 sets no limit.
    #[arg(long, default_value_t = 64 << 20)]
    upload: u64,
}

#[derive(Args)]
pub(super) struct Challenge {
    #[command(flatten)]
    place: Place,
    /// The file's CID. It need not be here.
    cid: String,
    /// The peer, as /ip4/ADDRESS/tcp/PORT/p2p/PEER.
    peer: Multiaddr,
    /// How many pieces.
    #[arg(long, default_value_t = 3)]
    count: u32,
}

/// What `content get` did.
#[derive(Serialize)]
struct Got {
    cid: String,
    bytes: u64,
    fetched_blocks: u64,
    fetched_bytes: u64,
    here_blocks: u64,
    peers: Vec<String>,
}

/// What `content serve` says first.
#[derive(Serialize)]
struct Serving {
    peer: String,
    addresses: Vec<String>,
}

/// What `content check` found.
#[derive(Serialize)]
struct Checked {
    checks: Vec<Check>,
    /// All challenges to the peer that are on record.
    on_record: Counts,
}

impl Place {
    fn store(&self) -> Result<Store> {
        Ok(Store::open(&self.data.join(crate::CONTENT))?)
    }

    fn show(&self, what: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
        if self.json {
            let json = serde_json::to_string(what).map_err(|error| Error::part("JSON", error))?;
            println!("{json}");
        } else {
            println!("{}", text());
        }
        Ok(())
    }

    /// An exchange for as long as the command runs, that nobody needs to find.
    fn visit(&self, store: Arc<Store>) -> Result<Exchange> {
        let config = Config::new(PeerKey::random());
        Ok(Exchange::start(
            config,
            store.clone(),
            Arc::new(Shelf::new(store)),
        )?)
    }
}

pub(super) async fn run(verb: &Verb) -> Result<()> {
    match verb {
        Verb::Add(args) => {
            let added = verbs::add(&args.place.store()?, &args.file, !args.private)?;
            args.place.show(&added, || {
                format!("{}  {} bytes in {} blocks", added.cid, added.bytes, added.blocks)
            })
        }
        Verb::Get(args) => get(args).await,
        Verb::Ls(args) => {
            let listed = verbs::ls(&args.place.store()?)?;
            args.place.show(&listed, || {
                let line = |block: &verbs::Listed| {
                    let public = if block.public { "  public" } else { "" };
                    let denied = if block.denied { "  denied" } else { "" };
                    format!("{}  {} bytes{public}{denied}", block.cid, block.bytes)
                };
                listed.iter().map(line).collect::<Vec<_>>().join("\n")
            })
        }
        Verb::Deny(args) => {
            let denied = verbs::deny(&args.place.store()?, &cid(&args.cid)?, args.undo)?;
            args.place.show(&denied, || {
                let state = if denied.denied {
                    "is denied"
                } else {
                    "is not denied"
                };
                format!("{} {state}", denied.cid)
            })
        }
        Verb::Serve(args) => serve(args).await,
        Verb::Check(args) => check(args).await,
    }
}

async fn get(args: &Get) -> Result<()> {
    let cid = cid(&args.cid)?;
    let store = Arc::new(args.place.store()?);
    let mut progress = Progress::default();
    let mut peers = Vec::new();
    if !args.peer.is_empty() {
        let exchange = args.place.visit(store.clone())?;
        let mut first = Vec::new();
        let mut failed = None;
        for address in &args.peer {
            match exchange.connect(address.clone()).await {
                Ok(peer) => first.push(peer),
                Err(error) => {
                    tracing::warn!(%address, %error, "not reached");
                    failed = Some(error);
                }
            }
        }
        if let (true, Some(error)) = (first.is_empty(), failed) {
            return Err(error.into());
        }
        let (tell, told) = watch::channel(Progress::default());
        let telling = tokio::spawn(say_progress(told));
        let how = Fetch {
            peers: first,
            most: args.most,
            progress: Some(tell),
        };
        let fetched = exchange.fetch(&cid, &how).await;
        telling.abort();
        let fetched = fetched?;
        progress = fetched.progress;
        peers = fetched.from.keys().map(ToString::to_string).collect();
        store.publish(&cid)?;
    }
    let got = verbs::get(&store, &cid, None, &args.out)?;
    let got = Got {
        cid: got.cid,
        bytes: got.bytes,
        fetched_blocks: progress.fetched_blocks,
        fetched_bytes: progress.fetched_bytes,
        here_blocks: progress.here_blocks,
        peers,
    };
    args.place.show(&got, || {
        let from = match got.fetched_blocks {
            0 => String::new(),
            blocks => format!(", {blocks} blocks of it from {} peers", got.peers.len()),
        };
        format!("{} bytes in {}{from}", got.bytes, args.out.display())
    })
}

/// Tells on the error stream how far a fetch has come, while it comes further.
async fn say_progress(mut told: watch::Receiver<Progress>) {
    while told.changed().await.is_ok() {
        let Progress {
            fetched_blocks,
            fetched_bytes,
            here_blocks,
        } = *told.borrow_and_update();
        eprintln!("{fetched_blocks} blocks, {fetched_bytes} bytes fetched; {here_blocks} blocks were here");
        tokio::time::sleep(TELL).await;
    }
}

async fn serve(args: &Serve) -> Result<()> {
    let store = Arc::new(args.place.store()?);
    let mut config = Config::new(PeerKey::load_or_create(&args.place.data.join(PEER_KEY))?);
    config.listen_on(args.listen);
    config.peers.clone_from(&args.peer);
    config.limits.upload = args.upload;
    let exchange = Exchange::start(config, store.clone(), Arc::new(Shelf::new(store)))?;
    let addresses = loop {
        let addresses = exchange.addresses().await?;
        // TCP and QUIC, of each interface if all are listened at.
        if addresses.len() >= 2 {
            break addresses;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let serving = Serving {
        peer: exchange.peer().to_string(),
        addresses: addresses.iter().map(ToString::to_string).collect(),
    };
    args.place.show(&serving, || serving.addresses.join("\n"))?;
    stopped().await;
    Ok(())
}

async fn check(args: &Challenge) -> Result<()> {
    let cid = cid(&args.cid)?;
    let store = Arc::new(args.place.store()?);
    let exchange = args.place.visit(store)?;
    let record = Checks::at(&args.place.data.join("checks.jsonl"));
    let mut checks = Vec::new();
    for _ in 0..args.count.max(1) {
        let check = exchange.check_at(args.peer.clone(), &cid).await?;
        record.add(&check)?;
        checks.push(check);
    }
    let name = openledger_exchange::peer_of(&args.peer)?.to_string();
    let held = checks
        .iter()
        .filter(|check| check.verdict == Verdict::Held)
        .count();
    let checked = Checked {
        on_record: record.counts()?.get(&name).copied().unwrap_or_default(),
        checks,
    };
    args.place.show(&checked, || {
        let line = |check: &Check| match check.verdict {
            Verdict::Held => format!("held, {} ms", check.milliseconds),
            _ => check.why.clone(),
        };
        let lines: Vec<String> = checked.checks.iter().map(line).collect();
        let Counts { asked, held, .. } = checked.on_record;
        format!(
            "{}\n{held} of {asked} challenges to {name} on record were met",
            lines.join("\n")
        )
    })?;
    if held < checked.checks.len() {
        return Err(Error::Missing(format!(
            "{name} showed {held} of {} pieces of {cid}",
            checked.checks.len()
        )));
    }
    Ok(())
}

fn cid(text: &str) -> Result<Cid> {
    Ok(text.parse()?)
}

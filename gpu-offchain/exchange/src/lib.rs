//! Content between workers: found by its CID, fetched block by block from whoever has it, checked before it is kept.
//!
//! ```no_run
//! use openledger_exchange::{Config, Exchange, Fetch, PeerKey, Shelf};
//! use openledger_content::Store;
//! use std::{path::Path, sync::Arc};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Arc::new(Store::open(Path::new("data/content"))?);
//! let key = PeerKey::load_or_create(Path::new("data/peer.key"))?;
//! let mut config = Config::new(key);
//! config.listen_on("127.0.0.1:8701".parse()?);
//! config.peers.push("/ip4/192.0.2.7/tcp/8701/p2p/12D3KooWQnwEGNqcM2nAcPtRR9rAX8Hrg4k9kJLCHoTR5chJfz6d".parse()?);
//! let exchange = Exchange::start(config, store.clone(), Arc::new(Shelf::new(store)))?;
//! let cid = "bafkreidon73zkcrwdb5iafqtijxildoonbwnpv7dyd6ef3qdgads2jc4su".parse()?;
//! let fetched = exchange.fetch(&cid, &Fetch::default()).await?;
//! println!("{} bytes from {} peers", fetched.bytes, fetched.from.len());
//! # Ok(()) }
//! ```
//!
//! Peers speak libp2p over TCP (noise, yamux) and QUIC. Who has a file is found in a Kademlia of this project's own
//! (`/openledger/kad/1`), whose records name a file by its multihash as IPFS does; blocks travel by bitswap 1.2, so
//! that IPFS programs which are given our address can fetch from us and we from them. A third protocol,
//! `/openledger/held/1`, asks a peer to show a piece of a file that nobody could foresee.
//!
//! What is given away is what the store publishes and does not deny; what is denied is not fetched either. Every
//! block is checked against its CID before anything else is done with it. A peer that sends another block than was
//! asked for is asked no more for ten minutes, and the block is asked of the next one.
//!
//! | file | |
//! | --- | --- |
//! | `streams` | streams of our protocols, opened on demand |
//! | `node` | the task that owns the swarm: connections, Kademlia, what is announced |
//! | `message`, `bitswap` | blocks, asked for and given |
//! | `fetch` | a whole file: its tree walked, in bounded memory |
//! | `held` | challenges, and what came of them |

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod bitswap;
mod fetch;
mod held;
mod message;
mod node;
mod shelf;
mod streams;

pub use bitswap::PeerStats;
pub use fetch::{Fetch, Fetched, Progress};
pub use held::{Check, Checks, Counts, Verdict};
pub use libp2p::{Multiaddr, PeerId};
pub use shelf::{Shelf, Source};

use bitswap::Bitswap;
use held::Held;
use libp2p::identity::Keypair;
use node::Network;
use openledger_content::{Cid, Store};
use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store, a file or a block.
    #[error(transparent)]
    Content(#[from] openledger_content::Error),
    /// An address or a port.
    #[error("{0}")]
    Setup(String),
    /// Nobody gave a block.
    #[error("block {cid} was not to be had: {why}; connect to a peer that has it")]
    NotFound {
        /// The block.
        cid: Cid,
        /// Who was asked and what came of it.
        why: String,
    },
    /// A file is larger than the limit.
    #[error("file {cid} is over {most} bytes: raise the limit if it is meant to be")]
    TooLarge {
        /// The file.
        cid: Cid,
        /// The limit.
        most: u64,
    },
    /// The exchange has ended.
    #[error("the exchange has ended: start it again")]
    Ended,
}

/// The result of a call that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The key by which peers know each other: Ed25519, used for nothing else.
#[derive(Clone)]
pub struct PeerKey(Keypair);

impl PeerKey {
    /// A new one, for a program that nobody needs to find again.
    pub fn random() -> Self {
        Self(Keypair::generate_ed25519())
    }

    /// From a file that its owner alone may read; made if there is none.
    ///
    /// Errors: others may read it, or it holds no key.
    pub fn load_or_create(path: &Path) -> Result<Self> {
        if !path.exists() {
            let mut secret = [0; 32];
            getrandom::fill(&mut secret)
                .map_err(|error| Error::Setup(format!("the system gives no random bytes: {error}")))?;
            openledger_content::write_secret(path, &secret)?;
        }
        let mut secret = *openledger_content::read_secret(path)?;
        let key = Keypair::ed25519_from_bytes(&mut secret[..])
            .map_err(|error| Error::Setup(format!("{} holds no key: {error}", path.display())))?;
        Ok(Self(key))
    }

    /// What others know the peer by.
    pub fn peer(&self) -> PeerId {
        self.0.public().to_peer_id()
    }
}

/// What bounds memory, connections and work done for others.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections in all.
    pub connections: u32,
    /// Connections of one peer.
    pub connections_per_peer: u32,
    /// Blocks asked for and not here yet, of one fetch. Each has at most 2 MiB.
    pub window: usize,
    /// Answers that one peer may wait for; what it asks beyond is not answered.
    pub answers: usize,
    /// Bytes of blocks a second that one peer is given.
    pub upload: u64,
    /// Challenges a minute that one peer is answered.
    pub challenges: u32,
    /// How long a peer that sends nothing is waited for.
    pub silence: Duration,
    /// How often providers are looked up again before a block is given up.
    pub rounds: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 128,
            connections_per_peer: 4,
            window: 16,
            answers: 1024,
            upload: 64 << 20,
            challenges: 60,
            silence: Duration::from_secs(15),
            rounds: 4,
        }
    }
}

/// What an exchange is started with.
pub struct Config {
    /// Who it is.
    pub key: PeerKey,
    /// Where it listens; nowhere if empty, and then it answers only those it connected to.
    pub listen: Vec<Multiaddr>,
    /// Peers that are kept connected, each with its `/p2p/` part.
    pub peers: Vec<Multiaddr>,
    /// Limits.
    pub limits: Limits,
}

impl Config {
    /// Without peers or places to listen at.
    pub fn new(key: PeerKey) -> Self {
        Self {
            key,
            listen: Vec::new(),
            peers: Vec::new(),
            limits: Limits::default(),
        }
    }

    /// Listens at this address, TCP and QUIC.
    pub fn listen_on(&mut self, at: SocketAddr) {
        let address = Multiaddr::from(at.ip());
        let tcp = libp2p::multiaddr::Protocol::Tcp(at.port());
        let udp = libp2p::multiaddr::Protocol::Udp(at.port());
        self.listen.push(address.clone().with(tcp));
        self.listen
            .push(address.with(udp).with(libp2p::multiaddr::Protocol::QuicV1));
    }
}

/// The peer that an address names.
///
/// Errors: it names none.
pub fn peer_of(address: &Multiaddr) -> Result<PeerId> {
    match address.iter().last() {
        Some(libp2p::multiaddr::Protocol::P2p(peer)) => Ok(peer),
        _ => Err(Error::Setup(format!(
            "{address} does not say which peer is there: end it with /p2p/ and the peer's id, as its log has it"
        ))),
    }
}

/// A running exchange. Ends when the last clone is dropped.
#[derive(Clone)]
pub struct Exchange {
    peer: PeerId,
    network: Network,
    bitswap: Arc<Bitswap>,
    held: Arc<Held>,
    store: Arc<Store>,
    source: Arc<dyn Source>,
    limits: Arc<Limits>,
}

impl Exchange {
    /// Starts it, in the tokio runtime that this is called from. What is fetched goes to `store`; what is given comes
    /// from `source`, usually a [`Shelf`] of the same store.
    ///
    /// Errors: an address that cannot be listened at or that names no peer.
    pub fn start(config: Config, store: Arc<Store>, source: Arc<dyn Source>) -> Result<Self> {
        let peer = config.key.peer();
        let limits = Arc::new(config.limits.clone());
        let (network, task) = node::open(config, source.clone())?;
        let bitswap = Arc::new(Bitswap::new(network.clone(), source.clone(), limits.clone()));
        let held = Arc::new(Held::new(network.clone(), source.clone(), limits.clone()));
        tokio::spawn(task.run(bitswap.clone(), held.clone()));
        Ok(Self {
            peer,
            network,
            bitswap,
            held,
            store,
            source,
            limits,
        })
    }

    /// Who this is.
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// Where it is reached, each address with the peer's id.
    pub async fn addresses(&self) -> Result<Vec<Multiaddr>> {
        let addresses = self.network.listening().await?;
        let own = libp2p::multiaddr::Protocol::P2p(self.peer);
        Ok(addresses
            .into_iter()
            .map(|address| address.with(own.clone()))
            .collect())
    }

    /// Connects to a peer, and gives its id.
    pub async fn connect(&self, address: Multiaddr) -> Result<PeerId> {
        let peer = peer_of(&address)?;
        self.network.connect(address).await?;
        Ok(peer)
    }

    /// Who is connected.
    pub async fn connected(&self) -> Result<Vec<PeerId>> {
        self.network.connected().await
    }

    /// Announces what the source has, now; it is looked at every few seconds anyway.
    pub async fn announce(&self) -> Result<()> {
        self.network.announce().await
    }

    /// Who says that it has a file.
    pub async fn providers(&self, cid: &Cid) -> Result<Vec<PeerId>> {
        self.network.providers(cid).await
    }

    /// What peers did, for those that gave or refused something lately.
    pub fn stats(&self) -> Vec<(PeerId, PeerStats)> {
        self.bitswap.stats()
    }
}

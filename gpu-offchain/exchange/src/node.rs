//! The task that owns the swarm: connections, Kademlia, and what is announced.

use crate::{
    bitswap::Bitswap,
    held::{self, Held},
    message, peer_of,
    streams::{self, Incoming, Open},
    Config, Error, Result, Source,
};
use futures::StreamExt;
use libp2p::{
    connection_limits::{self, ConnectionLimits},
    core::ConnectedPoint,
    identify,
    kad::{
        self, store::MemoryStore, store::MemoryStoreConfig, store::RecordStore, GetProvidersOk, QueryId,
        QueryResult, RecordKey,
    },
    multiaddr::Protocol,
    noise, ping,
    swarm::{dial_opts::DialOpts, ConnectionId, NetworkBehaviour, SwarmEvent},
    tcp, yamux, Multiaddr, PeerId, Stream, StreamProtocol, Swarm, SwarmBuilder,
};
use openledger_content::Cid;
use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};

/// Kademlia among workers; nothing of the public network's is taken or given.
const KAD: StreamProtocol = StreamProtocol::new("/openledger/kad/1");

/// What identify calls the protocols together.
const IDENTITY: &str = "openledger/1";

/// How long a look-up may take.
const LOOK_UP: Duration = Duration::from_secs(10);

/// As many providers end a look-up.
const ENOUGH: usize = 8;

/// How often the task looks after itself.
const TICK: Duration = Duration::from_millis(250);

/// How often the source is asked what it has, and how often lost peers are dialled again.
const LOOK_AFTER: Duration = Duration::from_secs(5);

/// Announcements begun in a tick.
const ANNOUNCE: usize = 32;

/// Announcements under way at once.
const ANNOUNCING: usize = 64;

/// Files announced at most; those that come later are not.
const MOST_ANNOUNCED: usize = 1 << 16;

/// How long a connection without a stream is kept.
const IDLE: Duration = Duration::from_secs(120);

/// Addresses taken from what a peer says about itself.
const ADDRESSES: usize = 8;

/// Commands that wait for the task.
const COMMANDS: usize = 256;

#[derive(NetworkBehaviour)]
struct Behaviour {
    limits: connection_limits::Behaviour,
    identify: identify::Behaviour,
    kad: kad::Behaviour<MemoryStore>,
    ping: ping::Behaviour,
    streams: streams::Behaviour,
}

enum Command {
    Open(PeerId, Open),
    Connect(Multiaddr, oneshot::Sender<Result<()>>),
    Connected(oneshot::Sender<Vec<PeerId>>),
    Listening(oneshot::Sender<Vec<Multiaddr>>),
    Providers(Cid, oneshot::Sender<Vec<PeerId>>),
    Announce(oneshot::Sender<()>),
}

/// A way to the task.
#[derive(Clone)]
pub(crate) struct Network(mpsc::Sender<Command>);

impl Network {
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T> {
        let (tell, told) = oneshot::channel();
        self.0.send(command(tell)).await.map_err(|_| Error::Ended)?;
        told.await.map_err(|_| Error::Ended)
    }

    /// A stream to a peer, or why there is none.
    pub(crate) async fn open(&self, peer: PeerId, protocol: StreamProtocol) -> Result<Stream, String> {
        let opened = self
            .ask(|reply| Command::Open(peer, Open { protocol, reply }))
            .await;
        opened.unwrap_or_else(|_| Err("the connection closed".into()))
    }

    pub(crate) async fn connect(&self, address: Multiaddr) -> Result<()> {
        self.ask(|reply| Command::Connect(address, reply)).await?
    }

    pub(crate) async fn connected(&self) -> Result<Vec<PeerId>> {
        self.ask(Command::Connected).await
    }

    pub(crate) async fn listening(&self) -> Result<Vec<Multiaddr>> {
        self.ask(Command::Listening).await
    }

    pub(crate) async fn providers(&self, cid: &Cid) -> Result<Vec<PeerId>> {
        self.ask(|reply| Command::Providers(*cid, reply)).await
    }

    pub(crate) async fn announce(&self) -> Result<()> {
        self.ask(Command::Announce).await
    }
}

/// A file is found under its multihash, whatever the kind of its root.
fn key(cid: &Cid) -> RecordKey {
    RecordKey::new(&cid.to_bytes().get(2..).unwrap_or_default())
}

/// A look-up under way.
struct LookUp {
    found: HashSet<PeerId>,
    reply: oneshot::Sender<Vec<PeerId>>,
}

/// The task.
pub(crate) struct Task {
    swarm: Swarm<Behaviour>,
    commands: mpsc::Receiver<Command>,
    incoming: mpsc::UnboundedReceiver<Incoming>,
    source: Arc<dyn Source>,
    /// Peers to stay connected to.
    peers: Vec<(PeerId, Multiaddr)>,
    /// Connections over the loopback interface: only they may name loopback addresses.
    loopback: HashSet<ConnectionId>,
    look_ups: HashMap<QueryId, LookUp>,
    connecting: HashMap<ConnectionId, oneshot::Sender<Result<()>>>,
    announced: BTreeSet<Cid>,
    to_announce: VecDeque<Cid>,
    announcing: HashSet<QueryId>,
    /// Somebody new may take records.
    is_wider: bool,
    looked_after: Instant,
}

fn setup(what: &str) -> impl FnOnce(&dyn std::fmt::Display) -> Error + '_ {
    move |error| Error::Setup(format!("{what}: {error}"))
}

/// Opens the swarm and listens.
pub(crate) fn open(config: Config, source: Arc<dyn Source>) -> Result<(Network, Task)> {
    let Config {
        key,
        listen,
        peers,
        limits,
    } = config;
    let (incoming_send, incoming) = mpsc::unbounded_channel();
    let id = key.peer();
    let store = MemoryStore::with_config(
        id,
        MemoryStoreConfig {
            // Providers are all that is kept.
            max_records: 0,
            max_value_bytes: 0,
            max_providers_per_key: 20,
            max_provided_keys: MOST_ANNOUNCED,
        },
    );
    let mut kad_config = kad::Config::new(KAD);
    kad_config.set_query_timeout(LOOK_UP);
    let mut kad = kad::Behaviour::with_config(id, store, kad_config);
    let is_server = !listen.is_empty();
    kad.set_mode(Some(if is_server {
        kad::Mode::Server
    } else {
        kad::Mode::Client
    }));
    let bounds = ConnectionLimits::default()
        .with_max_pending_incoming(Some(limits.connections / 2))
        .with_max_pending_outgoing(Some(limits.connections / 2))
        .with_max_established(Some(limits.connections))
        .with_max_established_per_peer(Some(limits.connections_per_peer));
    let identity = identify::Config::new(IDENTITY.into(), key.0.public())
        .with_agent_version(concat!("openledger/", env!("CARGO_PKG_VERSION")).into());
    let protocols = vec![
        StreamProtocol::new(message::PROTOCOL),
        StreamProtocol::new(held::PROTOCOL),
    ];
    let behaviour = Behaviour {
        limits: connection_limits::Behaviour::new(bounds),
        identify: identify::Behaviour::new(identity),
        kad,
        ping: ping::Behaviour::default(),
        streams: streams::Behaviour::new(protocols, incoming_send),
    };
    let swarm = SwarmBuilder::with_existing_identity(key.0)
        .with_tokio()
        .with_tcp(
            tcp::Config::default().nodelay(true),
            noise::Config::new,
            yamux::Config::default,
        )
        .map_err(|error| setup("the encryption of connections")(&error))?
        .with_quic()
        .with_behaviour(|_| behaviour)
        .map_err(|never| -> Error { match never {} })?
        .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE));
    let mut swarm = swarm.build();
    for address in listen {
        let what = format!("cannot listen on {address}");
        swarm.listen_on(address).map_err(|error| setup(&what)(&error))?;
    }
    let mut known = Vec::with_capacity(peers.len());
    for address in peers {
        let peer = peer_of(&address)?;
        swarm.behaviour_mut().kad.add_address(&peer, address.clone());
        known.push((peer, address));
    }
    let (send, commands) = mpsc::channel(COMMANDS);
    let mut task = Task {
        swarm,
        commands,
        incoming,
        source,
        peers: known,
        loopback: HashSet::new(),
        look_ups: HashMap::new(),
        connecting: HashMap::new(),
        announced: BTreeSet::new(),
        to_announce: VecDeque::new(),
        announcing: HashSet::new(),
        is_wider: false,
        looked_after: Instant::now(),
    };
    task.look_after();
    Ok((Network(send), task))
}

impl Task {
    /// Runs until nobody can command it any more.
    pub(crate) async fn run(mut self, bitswap: Arc<Bitswap>, held: Arc<Held>) {
        // Their tasks hold ways to this one, so it would never see the last one go.
        let (bitswap, held) = (Arc::downgrade(&bitswap), Arc::downgrade(&held));
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event, &bitswap),
                command = self.commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => return,
                },
                Some(incoming) = self.incoming.recv() => {
                    let (Some(bitswap), Some(held)) = (bitswap.upgrade(), held.upgrade()) else { return };
                    if incoming.protocol == held::PROTOCOL {
                        tokio::spawn(held.answer(incoming));
                    } else {
                        tokio::spawn(bitswap.read(incoming));
                    }
                }
                _ = tick.tick() => {
                    if bitswap.strong_count() == 0 {
                        return;
                    }
                    if self.looked_after.elapsed() >= LOOK_AFTER {
                        self.look_after();
                    }
                    self.announce();
                }
            }
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Open(peer, open) => self.swarm.behaviour_mut().streams.open(peer, open),
            Command::Connect(address, reply) => {
                let connected = peer_of(&address).is_ok_and(|peer| self.swarm.is_connected(&peer));
                if connected {
                    let _ = reply.send(Ok(()));
                    return;
                }
                let dial = DialOpts::from(address.clone());
                let id = dial.connection_id();
                match self.swarm.dial(dial) {
                    Ok(()) => {
                        self.connecting.insert(id, reply);
                    }
                    Err(error) => {
                        let _ = reply.send(Err(Error::Setup(format!("cannot reach {address}: {error}"))));
                    }
                }
            }
            Command::Connected(reply) => {
                let connected = self.swarm.behaviour().streams.connected();
                let _ = reply.send(connected.collect());
            }
            Command::Listening(reply) => {
                let _ = reply.send(self.swarm.listeners().cloned().collect());
            }
            Command::Providers(cid, reply) => {
                // Addresses in records that others left here are not in the query's answer.
                let kad = &mut self.swarm.behaviour_mut().kad;
                let here = kad.store_mut().providers(&key(&cid));
                let query = kad.get_providers(key(&cid));
                for record in here.into_iter().take(ENOUGH) {
                    self.reach(record.provider, record.addresses);
                }
                let found = HashSet::new();
                self.look_ups.insert(query, LookUp { found, reply });
            }
            Command::Announce(reply) => {
                self.look_after();
                self.announce();
                let _ = reply.send(());
            }
        }
    }

    /// Begins to connect, at these addresses and those that are known.
    fn reach(&mut self, peer: PeerId, addresses: Vec<Multiaddr>) {
        if peer == *self.swarm.local_peer_id() || self.swarm.is_connected(&peer) {
            return;
        }
        let dial = DialOpts::peer_id(peer)
            .addresses(addresses)
            .extend_addresses_through_behaviour();
        if let Err(error) = self.swarm.dial(dial.build()) {
            tracing::debug!(%peer, %error, "not dialled");
        }
    }

    /// Dials peers that were lost, and sees what is new in the source and what is gone.
    fn look_after(&mut self) {
        self.looked_after = Instant::now();
        for (peer, address) in self.peers.clone() {
            self.reach(peer, vec![address]);
        }
        let roots: BTreeSet<Cid> = self.source.roots().into_iter().take(MOST_ANNOUNCED).collect();
        for gone in self.announced.difference(&roots) {
            self.swarm.behaviour_mut().kad.stop_providing(&key(gone));
        }
        self.announced.retain(|cid| roots.contains(cid));
        self.to_announce.retain(|cid| roots.contains(cid));
        for cid in roots {
            if self.announced.insert(cid) {
                self.to_announce.push_back(cid);
            }
        }
        if std::mem::take(&mut self.is_wider) {
            // Those who came since have no records of ours.
            self.to_announce = self.announced.iter().copied().collect();
        }
    }

    /// Begins some of the announcements that are due.
    fn announce(&mut self) {
        for _ in 0..ANNOUNCE {
            if self.announcing.len() >= ANNOUNCING {
                return;
            }
            let Some(cid) = self.to_announce.pop_front() else {
                return;
            };
            match self.swarm.behaviour_mut().kad.start_providing(key(&cid)) {
                Ok(query) => {
                    self.announcing.insert(query);
                }
                Err(error) => tracing::warn!(%cid, %error, "not announced"),
            }
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>, bitswap: &std::sync::Weak<Bitswap>) {
        match event {
            SwarmEvent::NewListenAddr { address, .. } => {
                // What is announced names the addresses that are known to be reached; for all that is known, these are.
                self.swarm.add_external_address(address.clone());
                let own = Protocol::P2p(*self.swarm.local_peer_id());
                tracing::info!(address = %address.with(own), "exchanging content at");
            }
            SwarmEvent::ConnectionEstablished {
                connection_id,
                endpoint,
                ..
            } => {
                let remote = match &endpoint {
                    ConnectedPoint::Dialer { address, .. } => address,
                    ConnectedPoint::Listener { send_back_addr, .. } => send_back_addr,
                };
                if is_loopback(remote) {
                    self.loopback.insert(connection_id);
                }
                if let Some(reply) = self.connecting.remove(&connection_id) {
                    let _ = reply.send(Ok(()));
                }
            }
            SwarmEvent::ConnectionClosed {
                connection_id,
                peer_id,
                num_established,
                ..
            } => {
                self.loopback.remove(&connection_id);
                if num_established == 0 {
                    if let Some(bitswap) = bitswap.upgrade() {
                        bitswap.gone(&peer_id);
                    }
                }
            }
            SwarmEvent::OutgoingConnectionError {
                connection_id, error, ..
            } => {
                if let Some(reply) = self.connecting.remove(&connection_id) {
                    let _ = reply.send(Err(Error::Setup(format!("cannot reach the peer: {error}"))));
                }
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "a listener failed"),
            SwarmEvent::ListenerClosed { reason, .. } => tracing::warn!(?reason, "a listener closed"),
            SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received {
                connection_id,
                peer_id,
                info,
                ..
            })) if info.protocols.contains(&KAD) => {
                let is_near = self.loopback.contains(&connection_id);
                let own = info
                    .listen_addrs
                    .into_iter()
                    .filter(|address| is_near || !is_loopback(address));
                for address in own.take(ADDRESSES) {
                    self.swarm.behaviour_mut().kad.add_address(&peer_id, address);
                }
            }
            SwarmEvent::Behaviour(BehaviourEvent::Kad(event)) => self.on_kad(event),
            _ => {}
        }
    }

    fn on_kad(&mut self, event: kad::Event) {
        match event {
            kad::Event::RoutingUpdated {
                is_new_peer: true, ..
            } => self.is_wider = true,
            kad::Event::OutboundQueryProgressed { id, result, step, .. } => {
                if let QueryResult::GetProviders(Ok(GetProvidersOk::FoundProviders { providers, .. })) =
                    result
                {
                    if let Some(look_up) = self.look_ups.get_mut(&id) {
                        look_up.found.extend(&providers);
                        let is_enough = look_up.found.len() >= ENOUGH;
                        // Now, while the query knows their addresses: it forgets them when it ends.
                        for peer in providers.into_iter().take(ENOUGH) {
                            self.reach(peer, Vec::new());
                        }
                        if is_enough {
                            if let Some(mut query) = self.swarm.behaviour_mut().kad.query_mut(&id) {
                                query.finish();
                            }
                        }
                    }
                }
                if step.last {
                    self.announcing.remove(&id);
                    if let Some(LookUp { found, reply }) = self.look_ups.remove(&id) {
                        let own = *self.swarm.local_peer_id();
                        let found = found.into_iter().filter(|peer| *peer != own);
                        let _ = reply.send(found.take(ENOUGH * 2).collect());
                    }
                }
            }
            _ => {}
        }
    }
}

fn is_loopback(address: &Multiaddr) -> bool {
    address.iter().any(|part| match part {
        Protocol::Ip4(ip) => ip.is_loopback(),
        Protocol::Ip6(ip) => ip.is_loopback(),
        _ => false,
    })
}

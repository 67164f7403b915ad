//! Streams of our own protocols to peers: opened on demand, and handed over as they come in.

use libp2p::{
    core::{transport::PortUse, Endpoint, InboundUpgrade, OutboundUpgrade, UpgradeInfo},
    swarm::{
        dial_opts::{DialOpts, PeerCondition},
        handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound},
        ConnectionClosed, ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId,
        DialError, DialFailure, FromSwarm, NetworkBehaviour, NotifyHandler, StreamUpgradeError,
        SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
    },
    Multiaddr, PeerId, Stream, StreamProtocol,
};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    convert::Infallible,
    future::{ready, Ready},
    sync::Arc,
    task::{Context, Poll},
};
use tokio::sync::{mpsc, oneshot};

/// Streams of one connection that a peer may have open to us at once.
const MOST_INCOMING: usize = 16;

/// Streams that may wait for one peer to be reached.
const MOST_WAITING: usize = 64;

/// Where an opened stream goes, or why there is none.
pub(crate) type Reply = oneshot::Sender<Result<Stream, String>>;

/// A stream to be opened.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) protocol: StreamProtocol,
    pub(crate) reply: Reply,
}

/// A stream that a peer opened.
pub(crate) struct Incoming {
    pub(crate) peer: PeerId,
    pub(crate) protocol: StreamProtocol,
    pub(crate) stream: Stream,
    /// Counts among those of its connection until it is dropped.
    pub(crate) counted: Arc<()>,
}

/// What has streams opened.
pub(crate) struct Behaviour {
    protocols: Vec<StreamProtocol>,
    incoming: mpsc::UnboundedSender<Incoming>,
    connections: HashMap<PeerId, HashSet<ConnectionId>>,
    waiting: HashMap<PeerId, Vec<Open>>,
    todo: VecDeque<ToSwarm<Infallible, Open>>,
}

impl Behaviour {
    /// For these protocols; what comes in goes to `incoming`, whose length the limits on connections and their
    /// streams bound.
    pub(crate) fn new(protocols: Vec<StreamProtocol>, incoming: mpsc::UnboundedSender<Incoming>) -> Self {
        Self {
            protocols,
            incoming,
            connections: HashMap::new(),
            waiting: HashMap::new(),
            todo: VecDeque::new(),
        }
    }

    /// Opens a stream, connecting first if needed. To be called between two polls of the swarm.
    pub(crate) fn open(&mut self, peer: PeerId, open: Open) {
        if self.connections.contains_key(&peer) {
            self.todo.push_back(ToSwarm::NotifyHandler {
                peer_id: peer,
                handler: NotifyHandler::Any,
                event: open,
            });
            return;
        }
        let waiting = self.waiting.entry(peer).or_default();
        if waiting.len() >= MOST_WAITING {
            let _ = open.reply.send(Err("too many streams wait for it".into()));
            return;
        }
        waiting.push(open);
        let opts = DialOpts::peer_id(peer).condition(PeerCondition::DisconnectedAndNotDialing);
        self.todo.push_back(ToSwarm::Dial { opts: opts.build() });
    }

    /// Who is connected.
    pub(crate) fn connected(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.connections.keys().copied()
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::new(self, peer))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::new(self, peer))
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionEstablished(made) => {
                let peer = made.peer_id;
                self.connections
                    .entry(peer)
                    .or_default()
                    .insert(made.connection_id);
                for open in self.waiting.remove(&peer).unwrap_or_default() {
                    self.open(peer, open);
                }
            }
            FromSwarm::ConnectionClosed(ConnectionClosed {
                peer_id,
                connection_id,
                ..
            }) => {
                if let Some(connections) = self.connections.get_mut(&peer_id) {
                    connections.remove(&connection_id);
                    if connections.is_empty() {
                        self.connections.remove(&peer_id);
                    }
                }
            }
            FromSwarm::DialFailure(DialFailure {
                peer_id: Some(peer),
                error,
                ..
            }) if !matches!(error, DialError::DialPeerConditionFalse(_)) => {
                for open in self.waiting.remove(&peer).unwrap_or_default() {
                    let _ = open.reply.send(Err(error.to_string()));
                }
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        match self.todo.pop_front() {
            Some(todo) => Poll::Ready(todo),
            None => Poll::Pending,
        }
    }
}

/// One connection's streams.
pub(crate) struct Handler {
    peer: PeerId,
    protocols: Vec<StreamProtocol>,
    incoming: mpsc::UnboundedSender<Incoming>,
    count: Arc<()>,
    todo: VecDeque<Open>,
}

impl Handler {
    fn new(of: &Behaviour, peer: PeerId) -> Self {
        Self {
            peer,
            protocols: of.protocols.clone(),
            incoming: of.incoming.clone(),
            count: Arc::new(()),
            todo: VecDeque::new(),
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = Infallible;
    type InboundProtocol = Names;
    type OutboundProtocol = Names;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Reply;

    fn listen_protocol(&self) -> SubstreamProtocol<Names> {
        SubstreamProtocol::new(Names(self.protocols.clone()), ())
    }

    fn on_behaviour_event(&mut self, open: Open) {
        self.todo.push_back(open);
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Names, Reply, Infallible>> {
        match self.todo.pop_front() {
            Some(Open { protocol, reply }) => Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
                protocol: SubstreamProtocol::new(Names(vec![protocol]), reply),
            }),
            None => Poll::Pending,
        }
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Names, Names, (), Reply>) {
        match event {
            // One is the handler's own.
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (stream, protocol),
                ..
            }) if Arc::strong_count(&self.count) <= MOST_INCOMING => {
                let _ = self.incoming.send(Incoming {
                    peer: self.peer,
                    protocol,
                    stream,
                    counted: self.count.clone(),
                });
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: (stream, _),
                info: reply,
            }) => {
                let _ = reply.send(Ok(stream));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info: reply, error }) => {
                let why = match error {
                    StreamUpgradeError::Timeout => "it took too long to answer".into(),
                    StreamUpgradeError::NegotiationFailed => "it does not speak the protocol".into(),
                    StreamUpgradeError::Io(error) => error.to_string(),
                    StreamUpgradeError::Apply(never) => match never {},
                };
                let _ = reply.send(Err(why));
            }
            _ => {}
        }
    }
}

/// Protocols to choose one of.
#[derive(Debug)]
pub(crate) struct Names(Vec<StreamProtocol>);

impl UpgradeInfo for Names {
    type Info = StreamProtocol;
    type InfoIter = std::vec::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.clone().into_iter()
    }
}

impl InboundUpgrade<Stream> for Names {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}

impl OutboundUpgrade<Stream> for Names {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}

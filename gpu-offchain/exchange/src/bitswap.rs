//! Blocks, asked for and given.
//!
//! A peer has a link while there is something to say to it: a task that writes messages on a stream of ours and ends
//! after a second of silence, before others close such streams for being idle. Messages to us come on streams that the
//! peer opens; each is read by a task of its own.

use crate::{
    message::{Entry, Kind, Message, MAX_MESSAGE, PROTOCOL},
    node::Network,
    streams::Incoming,
    Limits, Source,
};
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::{PeerId, Stream, StreamProtocol};
use openledger_content::Cid;
use serde::Serialize;
use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};
use tokio::{
    sync::{oneshot, Notify},
    time::timeout,
};

/// How long a link waits for something to say.
const QUIET: Duration = Duration::from_secs(1);

/// How long a peer may take to take a message or part of one.
const STALLED: Duration = Duration::from_secs(30);

/// How long a stream of a peer's may be silent before it is closed.
const SILENT: Duration = Duration::from_secs(120);

/// How long a peer that sent what was not asked for is asked no more.
const SHUNNED: Duration = Duration::from_secs(600);

/// Longest that one block is waited for, however slowly it comes.
const LONGEST: Duration = Duration::from_secs(300);

/// Bytes of a message from a peer that was asked for nothing: a list of wants.
const MAX_WANTS: usize = 128 << 10;

/// What was asked of a peer lately: a block that comes twice or late is no lie.
const RECENT: usize = 4096;

/// Wants in one message.
const WANTS: usize = 256;

/// Yes and no in one message.
const PRESENCES: usize = 256;

/// Bytes of small blocks put into one message.
const MESSAGE: usize = 1 << 20;

/// Bytes taken from a stream at once.
const PIECE: usize = 1 << 16;

/// Peers remembered with what they did.
const REMEMBERED: usize = 1024;

/// Why a peer did not give a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It says that it has it not.
    Lacks,
    /// It sent something else, or a block over the limit.
    Corrupt,
    /// It sent nothing for too long.
    Silent,
    /// It could not be reached, or went.
    Lost(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Lacks => f.write_str("does not have it"),
            Self::Corrupt => f.write_str("sent another block than was asked for, or one over 2 MiB"),
            Self::Silent => f.write_str("sent nothing for too long"),
            Self::Lost(why) => write!(f, "is out of reach ({why})"),
        }
    }
}

/// What a peer did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PeerStats {
    /// Blocks it gave.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blocks that it sent and that nobody had asked it for: corrupted ones.
    pub corrupted: u64,
    /// Blocks it was asked for and had not.
    pub lacked: u64,
    /// Blocks it was asked for and sent nothing.
    pub failed: u64,
    /// Blocks it was given.
    pub given: u64,
    /// Their bytes.
    pub given_bytes: u64,
}

/// An answer that is due.
struct Due {
    cid: Vec<u8>,
    kind: Kind,
    send_dont_have: bool,
}

type Told = oneshot::Sender<Result<Vec<u8>, Refusal>>;

#[derive(Default)]
struct State {
    is_running: bool,
    wants: VecDeque<Entry>,
    due: VecDeque<Due>,
    waiting: HashMap<Cid, Vec<Told>>,
    recent: VecDeque<Cid>,
    /// When the peer sent something last.
    heard: Option<Instant>,
}

/// What there is to say to a peer, and what is expected of it.
struct Link {
    peer: PeerId,
    state: Mutex<State>,
    wake: Notify,
}

/// Locks, whoever panicked holding it: every critical section here leaves its data whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|held| held.into_inner())
}

impl Link {
    fn fail(&self, refusal: &Refusal) {
        let mut state = lock(&self.state);
        state.wants.clear();
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for told in waiting.into_values().flatten() {
            let _ = told.send(Err(refusal.clone()));
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Known {
    stats: PeerStats,
    shunned: Option<Instant>,
}

/// All links.
pub(crate) struct Bitswap {
    network: Network,
    source: Arc<dyn Source>,
    limits: Arc<Limits>,
    /// Wants are withdrawn wherever they are dropped, also outside of the runtime.
    runtime: tokio::runtime::Handle,
    links: Mutex<HashMap<PeerId, Arc<Link>>>,
    known: Mutex<HashMap<PeerId, Known>>,
}

/// A want that is withdrawn when nobody waits any more.
struct Wanted<'a> {
    bitswap: &'a Arc<Bitswap>,
    link: Arc<Link>,
    cid: Cid,
    is_answered: bool,
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        let mut state = lock(&self.link.state);
        let is_last = match state.waiting.get_mut(&self.cid) {
            Some(waiting) => {
                waiting.retain(|told| !told.is_closed());
                waiting.is_empty()
            }
            None => return,
        };
        if is_last {
            state.waiting.remove(&self.cid);
            state.wants.push_back(Entry {
                cid: self.cid.to_bytes(),
                cancel: true,
                kind: Kind::Block,
                send_dont_have: false,
            });
            drop(state);
            self.bitswap.write_soon(&self.link);
        }
    }
}

impl Bitswap {
    pub(crate) fn new(network: Network, source: Arc<dyn Source>, limits: Arc<Limits>) -> Self {
        Self {
            network,
            source,
            limits,
            runtime: tokio::runtime::Handle::current(),
            links: Mutex::default(),
            known: Mutex::default(),
        }
    }

    pub(crate) fn stats(&self) -> Vec<(PeerId, PeerStats)> {
        let known = lock(&self.known);
        known.iter().map(|(peer, known)| (*peer, known.stats)).collect()
    }

    fn note(&self, peer: PeerId, note: impl FnOnce(&mut Known)) {
        let mut known = lock(&self.known);
        if known.len() >= REMEMBERED && !known.contains_key(&peer) {
            // Whoever is shunned stays so.
            let out = known.iter().find(|(_, known)| known.shunned.is_none());
            let out = out.or_else(|| known.iter().next()).map(|(peer, _)| *peer);
            if let Some(out) = out {
                known.remove(&out);
            }
        }
        note(known.entry(peer).or_default());
    }

    /// Whether a peer lied lately.
    pub(crate) fn shuns(&self, peer: &PeerId) -> bool {
        let known = lock(&self.known);
        let shunned = known.get(peer).and_then(|known| known.shunned);
        shunned.is_some_and(|since| since.elapsed() < SHUNNED)
    }

    /// Blocks that a peer owes us.
    pub(crate) fn load(&self, peer: &PeerId) -> usize {
        let links = lock(&self.links);
        links.get(peer).map_or(0, |link| lock(&link.state).waiting.len())
    }

    fn link(&self, peer: PeerId) -> Arc<Link> {
        let mut links = lock(&self.links);
        let link = links.entry(peer).or_insert_with(|| {
            Arc::new(Link {
                peer,
                state: Mutex::default(),
                wake: Notify::new(),
            })
        });
        link.clone()
    }

    /// The last connection to a peer closed.
    pub(crate) fn gone(&self, peer: &PeerId) {
        let link = lock(&self.links).remove(peer);
        if let Some(link) = link {
            link.fail(&Refusal::Lost("the connection closed".into()));
        }
    }

    fn write_soon(self: &Arc<Self>, link: &Arc<Link>) {
        let mut state = lock(&link.state);
        if state.is_running {
            drop(state);
            link.wake.notify_one();
        } else {
            state.is_running = true;
            drop(state);
            self.runtime.spawn(self.clone().write(link.clone()));
        }
    }

    /// A block from this peer.
    pub(crate) async fn want(self: &Arc<Self>, peer: PeerId, cid: Cid) -> Result<Vec<u8>, Refusal> {
        let link = self.link(peer);
        // Dropped after the channel's end, so that it sees that nobody waits.
        let mut wanted = Wanted {
            bitswap: self,
            link: link.clone(),
            cid,
            is_answered: false,
        };
        let (tell, mut told) = oneshot::channel();
        {
            let mut state = lock(&link.state);
            state.waiting.entry(cid).or_default().push(tell);
            state.wants.push_back(Entry {
                cid: cid.to_bytes(),
                cancel: false,
                kind: Kind::Block,
                send_dont_have: true,
            });
            state.recent.push_back(cid);
            if state.recent.len() > RECENT {
                state.recent.pop_front();
            }
        }
        self.write_soon(&link);
        let since = Instant::now();
        let answer = loop {
            // A slow peer that sends is better than none.
            let heard = lock(&link.state)
                .heard
                .filter(|heard| *heard > since)
                .unwrap_or(since);
            let until = (heard + self.limits.silence).min(since + LONGEST);
            match timeout(until.saturating_duration_since(Instant::now()), &mut told).await {
                Ok(answer) => break answer.unwrap_or_else(|_| Err(Refusal::Lost("the link ended".into()))),
                Err(_) => {
                    let heard = lock(&link.state).heard.unwrap_or(since).max(since);
                    if heard.elapsed() >= self.limits.silence || since.elapsed() >= LONGEST {
                        break Err(Refusal::Silent);
                    }
                }
            }
        };
        wanted.is_answered = answer != Err(Refusal::Silent);
        if !wanted.is_answered {
            told.close();
        }
        self.note(peer, |known| match &answer {
            Ok(block) => {
                known.stats.blocks += 1;
                known.stats.bytes += block.len() as u64;
            }
            Err(Refusal::Lacks) => known.stats.lacked += 1,
            // Counted when it came.
            Err(Refusal::Corrupt) => {}
            Err(Refusal::Silent | Refusal::Lost(_)) => known.stats.failed += 1,
        });
        answer
    }

    /// Writes what there is to say to a peer until there is nothing for a while.
    async fn write(self: Arc<Self>, link: Arc<Link>) {
        let mut stream = None;
        loop {
            let (mut message, due) = {
                let mut state = lock(&link.state);
                let wants = state.wants.len().min(WANTS);
                let message = Message {
                    wants: state.wants.drain(..wants).collect(),
                    ..Message::default()
                };
                let due = state.due.len().min(PRESENCES);
                (message, state.due.drain(..due).collect::<VecDeque<Due>>())
            };
            if message.is_empty() && due.is_empty() {
                if timeout(QUIET, link.wake.notified()).await.is_err() {
                    let mut state = lock(&link.state);
                    if state.wants.is_empty() && state.due.is_empty() {
                        state.is_running = false;
                        break;
                    }
                }
                continue;
            }
            let given = match self.answer(&mut message, due, &link).await {
                Ok(given) => given,
                Err(error) => {
                    tracing::error!(%error, "blocks cannot be read");
                    0
                }
            };
            if message.is_empty() {
                continue;
            }
            if let Err(why) = self.send(&link, &mut stream, &message.encode()).await {
                {
                    let mut state = lock(&link.state);
                    state.due.clear();
                    state.is_running = false;
                }
                tracing::debug!(peer = %link.peer, why, "a peer is out of reach");
                // It may never have been connected, and then nothing else forgets it.
                let mut links = lock(&self.links);
                if links
                    .get(&link.peer)
                    .is_some_and(|known| Arc::ptr_eq(known, &link))
                {
                    links.remove(&link.peer);
                }
                drop(links);
                link.fail(&Refusal::Lost(why));
                return;
            }
            if given > 0 && self.limits.upload > 0 {
                tokio::time::sleep(Duration::from_secs_f64(given as f64 / self.limits.upload as f64)).await;
            }
        }
        if let Some(mut stream) = stream {
            let _ = timeout(STALLED, stream.close()).await;
        }
    }

    /// Puts answers into a message, as many as are to go into one; tells the bytes of their blocks. The others stay due.
    async fn answer(
        &self,
        message: &mut Message,
        mut due: VecDeque<Due>,
        link: &Link,
    ) -> Result<u64, tokio::task::JoinError> {
        let mut given = 0;
        let mut count = 0;
        while let Some(next) = due.pop_front() {
            let source = self.source.clone();
            let Due {
                cid: name,
                kind,
                send_dont_have,
            } = next;
            let cid = Cid::from_bytes(&name).ok();
            let (block, has) = match (cid, kind) {
                (None, _) => (None, false),
                (Some(cid), Kind::Block) => {
                    let block = tokio::task::spawn_blocking(move || source.block(&cid)).await?;
                    let has = block.is_some();
                    (block, has)
                }
                (Some(cid), Kind::Have) => {
                    (None, tokio::task::spawn_blocking(move || source.has(&cid)).await?)
                }
            };
            match block {
                Some(block) => {
                    given += block.len();
                    count += 1;
                    message.blocks.push((cid, block));
                    if given >= MESSAGE {
                        break;
                    }
                }
                None if has => message.presences.push((name, true)),
                None if send_dont_have => message.presences.push((name, false)),
                None => {}
            }
        }
        if !due.is_empty() {
            let mut state = lock(&link.state);
            for late in due.into_iter().rev() {
                state.due.push_front(late);
            }
        }
        if count > 0 {
            self.note(link.peer, |known| {
                known.stats.given += count;
                known.stats.given_bytes += given as u64;
            });
        }
        Ok(given as u64)
    }

    /// Sends a message; on a new stream, if the old one is gone.
    async fn send(&self, link: &Link, stream: &mut Option<Stream>, bytes: &[u8]) -> Result<(), String> {
        let mut is_fresh = false;
        loop {
            let open = match stream {
                Some(open) => open,
                None => {
                    is_fresh = true;
                    let opened = timeout(
                        STALLED,
                        self.network.open(link.peer, StreamProtocol::new(PROTOCOL)),
                    );
                    let opened = opened.await.map_err(|_| "no stream in time".to_owned())??;
                    stream.insert(opened)
                }
            };
            match write_all(open, bytes).await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    *stream = None;
                    if is_fresh {
                        return Err(error.to_string());
                    }
                }
            }
        }
    }

    /// Reads the messages on a stream of a peer's.
    pub(crate) async fn read(self: Arc<Self>, incoming: Incoming) {
        let Incoming {
            peer,
            mut stream,
            counted,
            ..
        } = incoming;
        if let Err(error) = self.read_messages(peer, &mut stream).await {
            tracing::debug!(%peer, %error, "closed a stream");
        }
        drop(counted);
    }

    async fn read_messages(self: &Arc<Self>, peer: PeerId, stream: &mut Stream) -> io::Result<()> {
        while let Some(length) = timeout(SILENT, read_length(stream)).await?? {
            let link = self.link(peer);
            let is_asked = !lock(&link.state).recent.is_empty();
            let most = if is_asked { MAX_MESSAGE } else { MAX_WANTS };
            if length > most {
                return Err(io::Error::other(format!(
                    "a message of {length} bytes, {most} is the limit"
                )));
            }
            let mut bytes = Vec::new();
            while bytes.len() < length {
                let at = bytes.len();
                bytes.resize((at + PIECE).min(length), 0);
                let piece = bytes.get_mut(at..).unwrap_or_default();
                timeout(STALLED, stream.read_exact(piece)).await??;
                lock(&link.state).heard = Some(Instant::now());
            }
            let message = Message::decode(&bytes).ok_or_else(|| io::Error::other("no message"))?;
            drop(bytes);
            self.take(&link, message);
        }
        Ok(())
    }

    fn take(self: &Arc<Self>, link: &Arc<Link>, message: Message) {
        let mut is_due = false;
        {
            let mut state = lock(&link.state);
            if message.full {
                state.due.clear();
            }
            for want in message.wants {
                if want.cancel {
                    state.due.retain(|due| due.cid != want.cid);
                } else if state.due.len() < self.limits.answers && want.cid.len() <= 128 {
                    is_due = true;
                    state.due.push_back(Due {
                        cid: want.cid,
                        kind: want.kind,
                        send_dont_have: want.send_dont_have,
                    });
                }
            }
        }
        if is_due {
            self.write_soon(link);
        }
        for (cid, block) in message.blocks {
            let mut state = lock(&link.state);
            let waiting = cid.and_then(|cid| state.waiting.remove(&cid));
            let was_asked = cid.is_some_and(|cid| state.recent.contains(&cid));
            drop(state);
            match waiting {
                Some(waiting) => {
                    for told in waiting {
                        let _ = told.send(Ok(block.clone()));
                    }
                }
                None if was_asked => {}
                None => {
                    // Not what was asked for: which of the wants it was to answer is not known, so none is trusted.
                    tracing::warn!(peer = %link.peer, "a peer sent a block that it was not asked for: it is asked no more");
                    self.note(link.peer, |known| {
                        known.stats.corrupted += 1;
                        known.shunned = Some(Instant::now());
                    });
                    link.fail(&Refusal::Corrupt);
                }
            }
        }
        for (name, has) in message.presences {
            let Ok(cid) = Cid::from_bytes(&name) else { continue };
            if !has {
                let waiting = lock(&link.state).waiting.remove(&cid);
                for told in waiting.into_iter().flatten() {
                    let _ = told.send(Err(Refusal::Lacks));
                }
            }
        }
    }
}

/// Writes all, as long as the peer keeps taking.
pub(crate) async fn write_all(stream: &mut Stream, bytes: &[u8]) -> io::Result<()> {
    for piece in bytes.chunks(PIECE) {
        timeout(STALLED, stream.write_all(piece)).await??;
    }
    timeout(STALLED, stream.flush()).await?
}

/// The length of the message that follows, none at the end of the stream.
pub(crate) async fn read_length(stream: &mut Stream) -> io::Result<Option<usize>> {
    let mut length = 0usize;
    for at in 0..4 {
        let mut byte = [0];
        match stream.read_exact(&mut byte).await {
            Ok(()) => {}
            Err(error) if at == 0 && error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let [byte] = byte;
        length |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok(Some(length));
        }
    }
    Err(io::Error::other(
        "the length of a message has more than four bytes",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Error, Exchange, Fetch, PeerKey, Shelf};
    use openledger_content::{Store, MAX_BLOCK};
    use std::path::Path;

    /// Gives one block, whatever its size.
    struct One(Vec<u8>);

    impl Source for One {
        fn block(&self, cid: &Cid) -> Option<Vec<u8>> {
            self.has(cid).then(|| self.0.clone())
        }
        fn has(&self, cid: &Cid) -> bool {
            *cid == Cid::of(&self.0)
        }
        fn denies(&self, _: &Cid) -> bool {
            false
        }
        fn roots(&self) -> Vec<Cid> {
            Vec::new()
        }
        fn prove(&self, root: &Cid, _: &[u8; 32]) -> openledger_content::Result<Vec<Vec<u8>>> {
            Err(openledger_content::Error::Missing(*root))
        }
    }

    fn start(dir: &Path, source: Option<One>) -> Exchange {
        let store = Arc::new(Store::open(dir).unwrap());
        let mut config = Config::new(PeerKey::random());
        config.listen_on("127.0.0.1:0".parse().unwrap());
        config.limits.silence = Duration::from_secs(2);
        config.limits.rounds = 1;
        let source: Arc<dyn Source> = match source {
            Some(one) => Arc::new(one),
            None => Arc::new(Shelf::new(store.clone())),
        };
        Exchange::start(config, store, source).unwrap()
    }

    /// Connects, and gives the peer.
    async fn connect(from: &Exchange, to: &Exchange) -> PeerId {
        loop {
            if let Some(address) = to.addresses().await.unwrap().pop() {
                return from.connect(address).await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn blocks_over_the_limit_should_not_be_taken() {
        let dir = tempfile::tempdir().unwrap();
        // One that fits into a message, and one that does not.
        for size in [MAX_BLOCK + 1, MAX_MESSAGE + 1] {
            let block = vec![7; size];
            let cid = Cid::of(&block);
            let giver = start(&dir.path().join(format!("giver-{size}")), Some(One(block)));
            let asker = start(&dir.path().join(format!("asker-{size}")), None);
            let how = Fetch {
                peers: vec![connect(&asker, &giver).await],
                ..Fetch::default()
            };
            let refused = asker.fetch(&cid, &how).await;
            assert!(matches!(refused, Err(Error::NotFound { .. })), "{refused:?}");
            assert!(!asker.store.has(&cid));
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_no_message_should_cost_its_sender_the_stream_and_nobody_else_anything() {
        let dir = tempfile::tempdir().unwrap();
        let giver = start(&dir.path().join("giver"), None);
        let hostile = start(&dir.path().join("hostile"), None);
        let cid = giver.store.ingest(&b"for everyone"[..]).unwrap().cid;
        giver.store.publish(&cid).unwrap();
        let peer = connect(&hostile, &giver).await;
        let mut long = Vec::new();
        openledger_content::protobuf::varint(MAX_WANTS as u64 + 1, &mut long);
        let cases: [(&str, &[u8]); 4] = [
            ("longer than a list of wants", &long),
            ("a length without an end", &[0xFF; 5]),
            ("as long as it may be said to be", &[0xFF, 0xFF, 0xFF, 0x7F]),
            ("fields that are none", &[3, 0xFF, 0xFF, 0xFF]),
        ];
        for (what, bytes) in cases {
            let protocol = StreamProtocol::new(PROTOCOL);
            let mut stream = hostile.network.open(peer, protocol).await.unwrap();
            write_all(&mut stream, bytes).await.unwrap();
            let read = timeout(Duration::from_secs(30), stream.read(&mut [0])).await;
            let read = read.unwrap_or_else(|_| panic!("{what}: the stream is open yet"));
            assert!(matches!(read, Ok(0) | Err(_)), "{what}: {read:?}");
        }
        // A message of wants that are none is one, and is not answered.
        let want = Entry {
            cid: vec![7; 200],
            cancel: false,
            kind: Kind::Block,
            send_dont_have: true,
        };
        let message = Message {
            wants: vec![want; 500],
            ..Message::default()
        };
        let mut stream = hostile
            .network
            .open(peer, StreamProtocol::new(PROTOCOL))
            .await
            .unwrap();
        write_all(&mut stream, &message.encode()).await.unwrap();
        // The giver goes on giving.
        let how = Fetch {
            peers: vec![peer],
            ..Fetch::default()
        };
        let fetched = hostile.fetch(&cid, &how).await.unwrap();
        assert_eq!(fetched.progress.fetched_blocks, 1);
    }
}

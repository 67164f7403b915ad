//! Challenges: a peer shows a piece of a file that nobody could foresee, and what came of it is written down.
//!
//! A challenge is 36 bytes of CID and 32 random ones, which pick the piece. The answer is a byte that counts blocks, or
//! 0 if the file is not held, then each block behind its length (u32, big-endian): the nodes from the root to the piece,
//! as [`Store::prove_held`](openledger_content::Store::prove_held) gives them. Sealed content is shown sealed.

use crate::{
    bitswap::write_all, node::Network, streams::Incoming, Error, Exchange, Limits, Multiaddr, Result, Source,
};
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::{PeerId, Stream, StreamProtocol};
use openledger_content::{check_held, Cid, MAX_BLOCK};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    fs::OpenOptions,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};
use tokio::time::timeout;

/// The protocol's name.
pub(crate) const PROTOCOL: &str = "/openledger/held/1";

/// Bytes of a challenge.
const CHALLENGE: usize = 36 + 32;

/// Blocks from a root to a leaf at most.
const MAX_BLOCKS: usize = 8;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Peers whose challenges are counted at once.
const COUNTED: usize = 1024;

/// Answers to others' challenges.
pub(crate) struct Held {
    network: Network,
    source: Arc<dyn Source>,
    limits: Arc<Limits>,
    /// Challenges of a peer since when.
    counts: Mutex<HashMap<PeerId, (Instant, u32)>>,
}

impl Held {
    pub(crate) fn new(network: Network, source: Arc<dyn Source>, limits: Arc<Limits>) -> Self {
        Self {
            network,
            source,
            limits,
            counts: Mutex::default(),
        }
    }

    fn admits(&self, peer: PeerId) -> bool {
        let mut counts = self.counts.lock().unwrap_or_else(|held| held.into_inner());
        let minute = Duration::from_secs(60);
        if counts.len() >= COUNTED {
            counts.retain(|_, (since, _)| since.elapsed() < minute);
        }
        if counts.len() >= COUNTED && !counts.contains_key(&peer) {
            return false;
        }
        let (since, count) = counts.entry(peer).or_insert((Instant::now(), 0));
        if since.elapsed() >= minute {
            (*since, *count) = (Instant::now(), 0);
        }
        *count += 1;
        *count <= self.limits.challenges
    }

    /// Answers a challenge.
    pub(crate) async fn answer(self: Arc<Self>, incoming: Incoming) {
        let Incoming {
            peer,
            mut stream,
            counted,
            ..
        } = incoming;
        if self.admits(peer) {
            if let Err(error) = self.answer_on(&mut stream).await {
                tracing::debug!(%peer, %error, "a challenge was not answered");
            }
        }
        drop(counted);
    }

    async fn answer_on(&self, stream: &mut Stream) -> io::Result<()> {
        let mut challenge = [0; CHALLENGE];
        timeout(PATIENCE, stream.read_exact(&mut challenge)).await??;
        let (cid, seed) = challenge.split_at(36);
        let seed: [u8; 32] = seed.try_into().unwrap_or_default();
        let blocks = match Cid::from_bytes(cid) {
            Ok(cid) => {
                let source = self.source.clone();
                let proved = tokio::task::spawn_blocking(move || source.prove(&cid, &seed)).await?;
                proved.unwrap_or_default()
            }
            Err(_) => Vec::new(),
        };
        let mut bytes = vec![u8::try_from(blocks.len()).unwrap_or(0)];
        for block in &blocks {
            // Under 4 GiB, as all blocks that are given.
            bytes.extend((block.len() as u32).to_be_bytes());
            bytes.extend_from_slice(block);
        }
        write_all(stream, &bytes).await?;
        timeout(PATIENCE, stream.close()).await?
    }

    async fn ask(&self, peer: PeerId, cid: &Cid, seed: &[u8; 32]) -> Result<Vec<Vec<u8>>, String> {
        let mut stream = self.network.open(peer, StreamProtocol::new(PROTOCOL)).await?;
        let read = async {
            write_all(&mut stream, &[&cid.to_bytes()[..], seed].concat()).await?;
            let mut count = [0];
            stream.read_exact(&mut count).await?;
            let [count] = count;
            if usize::from(count) > MAX_BLOCKS {
                return Err(io::Error::other(format!(
                    "{count} blocks where {MAX_BLOCKS} suffice"
                )));
            }
            let mut blocks = Vec::new();
            for _ in 0..count {
                let mut length = [0; 4];
                stream.read_exact(&mut length).await?;
                let length = u32::from_be_bytes(length) as usize;
                if length > MAX_BLOCK {
                    return Err(io::Error::other(format!("a block of {length} bytes")));
                }
                let mut block = vec![0; length];
                stream.read_exact(&mut block).await?;
                blocks.push(block);
            }
            Ok(blocks)
        };
        match timeout(PATIENCE, read).await {
            Ok(Ok(blocks)) => Ok(blocks),
            Ok(Err(error)) => Err(format!("no answer came: {error}")),
            Err(_) => Err(format!("no answer came in {} s", PATIENCE.as_secs())),
        }
    }
}

/// What a challenge showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The piece came and is right.
    Held,
    /// The peer says that it does not hold the file.
    Absent,
    /// What came is not the piece.
    Wrong,
    /// Nothing came.
    Silent,
}

/// A challenge and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Seconds since 1970.
    pub time: u64,
    /// Who was asked.
    pub peer: String,
    /// For which file.
    pub cid: String,
    /// The 32 bytes that picked the piece, in hexadecimal: anybody who has the file can see which it was.
    pub seed: String,
    /// What came.
    pub verdict: Verdict,
    /// Why it is not held, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// Bytes of the file, if it is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// From the question to the answer.
    pub milliseconds: u64,
}

impl Exchange {
    /// Asks a peer to show that it holds a file, by a piece that is drawn now.
    ///
    /// Errors: only this side's; what the peer does is in the verdict.
    pub async fn check(&self, peer: PeerId, cid: &Cid) -> Result<Check> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)
            .map_err(|error| Error::Setup(format!("the system gives no random bytes: {error}")))?;
        let since = Instant::now();
        let answer = self.held.ask(peer, cid, &seed).await;
        let (verdict, why, bytes) = match answer {
            Err(why) => (Verdict::Silent, why, None),
            Ok(blocks) if blocks.is_empty() => {
                (Verdict::Absent, "it says that it does not hold it".into(), None)
            }
            Ok(blocks) => match check_held(cid, &seed, &blocks) {
                Ok(bytes) => (Verdict::Held, String::new(), Some(bytes)),
                Err(error) => (Verdict::Wrong, error.to_string(), None),
            },
        };
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Ok(Check {
            time: time.map_or(0, |time| time.as_secs()),
            peer: peer.to_string(),
            cid: cid.to_string(),
            seed: seed.iter().map(|byte| format!("{byte:02x}")).collect(),
            verdict,
            why,
            bytes,
            milliseconds: u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// The same at an address.
    pub async fn check_at(&self, address: Multiaddr, cid: &Cid) -> Result<Check> {
        let peer = self.connect(address).await?;
        self.check(peer, cid).await
    }
}

/// A peer's challenges, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Challenges.
    pub asked: u64,
    /// Answered rightly.
    pub held: u64,
    /// The peer did not hold the file.
    pub absent: u64,
    /// The answer was wrong.
    pub wrong: u64,
    /// There was none.
    pub silent: u64,
    /// Milliseconds of the right answers, in all.
    pub milliseconds: u64,
}

/// The file of all challenges, one JSON object a line.
pub struct Checks(PathBuf);

impl Checks {
    /// At this path; the file need not be there.
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> Error {
        Error::Setup(format!("{}: {error}", self.0.display()))
    }

    /// Adds one.
    pub fn add(&self, check: &Check) -> Result<()> {
        let mut line = serde_json::to_vec(check).map_err(|error| self.failed(&error))?;
        line.push(b'\n');
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).open(&self.0);
        // One write, so that two programs' lines do not mix.
        let written = file.and_then(|mut file| file.write_all(&line).and_then(|()| file.sync_data()));
        written.map_err(|error| self.failed(&error))
    }

    /// What each peer did. A line that was cut off by a kill does not count.
    pub fn counts(&self) -> Result<BTreeMap<String, Counts>> {
        let mut all: BTreeMap<String, Counts> = BTreeMap::new();
        let file = match std::fs::File::open(&self.0) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(all),
            Err(error) => return Err(self.failed(&error)),
        };
        for line in BufReader::new(file).lines() {
            let line = line.map_err(|error| self.failed(&error))?;
            let Ok(check) = serde_json::from_str::<Check>(&line) else {
                continue;
            };
            let counts = all.entry(check.peer).or_default();
            counts.asked += 1;
            match check.verdict {
                Verdict::Held => {
                    counts.held += 1;
                    counts.milliseconds += check.milliseconds;
                }
                Verdict::Absent => counts.absent += 1,
                Verdict::Wrong => counts.wrong += 1,
                Verdict::Silent => counts.silent += 1,
            }
        }
        Ok(all)
    }
}

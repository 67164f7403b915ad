//! The off-chain side: once a block, the node asks the worker it is paired with for results, signs and submits them.
//!
//! The worker is paired by its URL and a shared secret in the node's offchain database; without them, or without a registered
//! worker whose result key is in the keystore, nothing happens. What travels is described at
//! [`openledger_protocol::compute::hook`]. The runtime cannot see what is final, so every job is forwarded at once: the worker
//! waits until its assignment is.

use crate::{Call, Config, JobTerms, Jobs, Pallet, Workers, RESULT_KEY};
use alloc::{format, string::String, vec::Vec};
use codec::{Decode, DecodeAll, Encode};
use core::fmt;
use frame_system::{offchain::SubmitTransaction, pallet_prelude::BlockNumberFor};
use openledger_protocol::{
    compute::{
        hook::{Answer, Assigned, Finished, Request, PROTOCOL, SECRET_KEY, URL_KEY},
        Delivery, Heartbeat, JobStage,
    },
    Account, Hash,
};
use sp_core::{offchain::Duration, sr25519};
use sp_io::hashing::sha2_256;
use sp_runtime::offchain::{
    http,
    storage::StorageValueRef,
    storage_lock::{StorageLock, Time},
    StorageKind,
};

/// Target of what is logged.
const LOG: &str = "openledger::worker";

/// Milliseconds that the worker has to answer: less than a slot.
const PATIENCE: u64 = 1_500;

/// Milliseconds after which a hook that never came back is given up on.
const LOCK_EXPIRY: u64 = 10_000;

/// Most bytes of an answer.
const MAX_ANSWER: usize = 1024 * 1024;

/// Blocks after which a result that is still wanted is submitted again.
const RESEND: u32 = 8;

/// Blocks between two complaints about the same thing.
const REPEAT: u32 = 50;

/// One hook at a time.
const LOCK_KEY: &[u8] = b"openledger::worker::lock";
/// Results submitted: job, attempt, block.
const SENT_KEY: &[u8] = b"openledger::worker::sent";
/// What was complained about last, hashed, and the block.
const TROUBLE_KEY: &[u8] = b"openledger::worker::trouble";

/// HMAC-SHA256 (RFC 2104) of the concatenation of `parts`.
pub fn hmac(secret: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    const BLOCK: usize = 64;
    let mut key = [0u8; BLOCK];
    let hashed;
    let short = if secret.len() > BLOCK {
        hashed = sha2_256(secret);
        hashed.as_slice()
    } else {
        secret
    };
    for (to, from) in key.iter_mut().zip(short) {
        *to = *from;
    }
    let padded = |with: u8| key.map(|byte| byte ^ with);
    let inner = sha2_256(&[&[padded(0x36).as_slice()], parts].concat().concat());
    sha2_256(&[padded(0x5c).as_slice(), &inner].concat())
}

/// Whether both are the same, in a time that does not tell where they differ.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .fold(0, |difference, (a, b)| difference | (a ^ b))
            == 0
}

/// Lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Why there are no results.
#[derive(Debug, PartialEq, Eq)]
enum Trouble {
    /// A URL, and no secret, or one that is no text.
    HalfPaired,
    /// Nobody answered.
    Unreachable(String),
    /// Somebody answered with this status.
    Status(String, u16),
    /// An answer of more than [`MAX_ANSWER`] bytes.
    TooLong,
    /// The answer is not by who holds the secret.
    Forged,
    /// The worker speaks this other protocol.
    Protocol(u16),
    /// The answer cannot be read.
    Unreadable,
    /// A job that this node has not asked about, and its attempt.
    Unasked(u64, u32),
    /// The keystore has the key of this account's worker no more.
    Unsigned(Account),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HalfPaired => write!(
                f,
                "the offchain database holds a worker's URL and not its secret, or the URL is no text; start the node with \
                 --worker and --worker-secret-file"
            ),
            Self::Unreachable(url) => write!(
                f,
                "the worker at {url} did not answer within {PATIENCE} ms; is it running there?"
            ),
            Self::Status(url, code) => write!(
                f,
                "the worker at {url} refused the request with HTTP status {code}; its log says why (401: the secrets or the \
                 clocks differ)"
            ),
            Self::TooLong => write!(
                f,
                "the worker's answer is longer than {MAX_ANSWER} bytes and was not read"
            ),
            Self::Forged => write!(
                f,
                "the answer does not carry the mac of the shared secret; give node and worker the same secret file, and see who \
                 else listens at the worker's URL"
            ),
            Self::Protocol(theirs) => write!(
                f,
                "the worker speaks hook protocol {theirs} and this chain {PROTOCOL}; update the older one"
            ),
            Self::Unreadable => write!(
                f,
                "the worker's answer cannot be read, although it speaks hook protocol {PROTOCOL}; update the worker"
            ),
            Self::Unasked(job, attempt) => write!(
                f,
                "the worker answered for job {job}, attempt {attempt}, which is not one of this node's; ignored"
            ),
            Self::Unsigned(worker) => write!(
                f,
                "the result key of worker 0x{} has gone from the keystore; its results cannot be signed",
                hex(worker)
            ),
        }
    }
}

/// Says what is wrong: at once when it is new, now and then while it lasts.
fn complain(trouble: &Trouble, now: u32) {
    let text = format!("{trouble}");
    let digest = sha2_256(text.as_bytes());
    let store = StorageValueRef::persistent(TROUBLE_KEY);
    let last: Option<([u8; 32], u32)> = store.get().ok().flatten();
    // A reorganisation can take a block to before the last complaint.
    let is_old = |since: u32| now.abs_diff(since) >= REPEAT;
    if last.is_none_or(|(what, since)| what != digest || is_old(since)) {
        log::error!(target: LOG, "{text}");
        store.set(&(digest, now));
    }
}

/// Says that all is well again, if it was not.
fn recover() {
    let mut store = StorageValueRef::persistent(TROUBLE_KEY);
    if store.get::<([u8; 32], u32)>().ok().flatten().is_some() {
        log::info!(target: LOG, "the worker answers as it should again");
        store.clear();
    }
}

/// The worker this node is paired with.
struct Pairing {
    url: String,
    secret: Vec<u8>,
}

impl Pairing {
    /// Reads it from the offchain database.
    fn read() -> Option<Result<Self, Trouble>> {
        let get = |key| sp_io::offchain::local_storage_get(StorageKind::PERSISTENT, key);
        let url = get(URL_KEY)?;
        let secret = get(SECRET_KEY).filter(|secret| !secret.is_empty());
        Some(match (String::from_utf8(url), secret) {
            (Ok(url), Some(secret)) => Ok(Self { url, secret }),
            _ => Err(Trouble::HalfPaired),
        })
    }

    /// Sends a request and returns the worker's answer.
    fn ask(&self, request: &Request) -> Result<Answer, Trouble> {
        let body = request.encode();
        let time = format!("{}", sp_io::offchain::timestamp().unix_millis() / 1_000);
        let seed = sp_io::offchain::random_seed();
        let nonce = hex(seed.first_chunk::<16>().map_or(&seed, |half| half.as_slice()));
        let mac = hmac(
            &self.secret,
            &[
                b"request\n",
                time.as_bytes(),
                b"\n",
                nonce.as_bytes(),
                b"\n",
                &body,
            ],
        );
        let url = format!("{}/hook/v1", self.url);
        let deadline = sp_io::offchain::timestamp().add(Duration::from_millis(PATIENCE));
        let unreachable = || Trouble::Unreachable(self.url.clone());
        let mut response = http::Request::post(&url, [body])
            .add_header("content-type", "application/octet-stream")
            .add_header("x-openledger-time", &time)
            .add_header("x-openledger-nonce", &nonce)
            .add_header("x-openledger-mac", &hex(&mac))
            .deadline(deadline)
            .send()
            .map_err(|_| unreachable())?
            .try_wait(deadline)
            .map_err(|_| unreachable())?
            .map_err(|_| unreachable())?;
        if response.code != 200 {
            return Err(Trouble::Status(self.url.clone(), response.code));
        }
        let theirs = response
            .headers()
            .raw
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(b"x-openledger-mac"))
            .map(|(_, value)| value.to_ascii_lowercase());
        let mut stream = response.body();
        stream.deadline(deadline);
        let answer: Vec<u8> = stream.by_ref().take(MAX_ANSWER.saturating_add(1)).collect();
        if stream.error().is_some() {
            return Err(unreachable());
        }
        if answer.len() > MAX_ANSWER {
            return Err(Trouble::TooLong);
        }
        let ours = hmac(&self.secret, &[b"answer\n", nonce.as_bytes(), b"\n", &answer]);
        if !theirs.is_some_and(|theirs| same(&theirs, hex(&ours).as_bytes())) {
            return Err(Trouble::Forged);
        }
        // The number comes first in every version.
        match u16::decode(&mut answer.as_slice()) {
            Ok(PROTOCOL) => Answer::decode_all(&mut answer.as_slice()).map_err(|_| Trouble::Unreadable),
            Ok(theirs) => Err(Trouble::Protocol(theirs)),
            Err(_) => Err(Trouble::Unreadable),
        }
    }
}

/// A worker whose key is in this node's keystore.
struct Local {
    account: Account,
    key: sr25519::Public,
    /// Whether it is time for a heartbeat.
    is_due: bool,
}

/// The workers of this node.
fn local_workers<T: Config>(now: u32) -> Vec<Local> {
    let keys = sp_io::crypto::sr25519_public_keys(RESULT_KEY);
    if keys.is_empty() {
        return Vec::new();
    }
    Workers::<T>::iter()
        .map(|(who, worker)| Local {
            is_due: Pallet::<T>::is_due(&worker, now),
            account: who.into(),
            key: sr25519::Public::from_raw(worker.result_key),
        })
        .filter(|worker| keys.contains(&worker.key))
        .collect()
}

/// Jobs assigned to `workers`, by their ids.
fn assigned_jobs<T: Config>(workers: &[Local]) -> Vec<Assigned> {
    let mut jobs: Vec<_> = Jobs::<T>::iter()
        .filter_map(|(id, job)| match job.stage {
            JobStage::Assigned { worker, since } => Some(Assigned {
                worker: worker.into(),
                job: id,
                attempt: job.attempt,
                task: job.task,
                since,
                deadline: job.deadline,
            }),
            JobStage::Waiting { .. } => None,
        })
        .filter(|job| workers.iter().any(|worker| worker.account == job.worker))
        .collect();
    jobs.sort_unstable_by_key(|job| job.job);
    jobs
}

/// Signs a result and hands it to the transaction pool; `None` if the key is gone.
fn submit<T: Config>(genesis: Hash, job: &Assigned, key: &sr25519::Public, result: &Finished) -> Option<()> {
    let delivery = Delivery {
        genesis,
        job: job.job,
        attempt: job.attempt,
        worker: job.worker,
        outcome: result.outcome.clone(),
    };
    let signature = sp_io::crypto::sr25519_sign(RESULT_KEY, key, &delivery.signing_message())?;
    let call = Call::<T>::deliver {
        delivery,
        signature: signature.0,
    };
    let transaction = T::create_authorized_transaction(call.into());
    let (id, attempt) = (job.job, job.attempt);
    match SubmitTransaction::<T, Call<T>>::submit_transaction(transaction) {
        Ok(()) => log::info!(target: LOG, "submitted the result of job {id}, attempt {attempt}"),
        // It waits there already, as a rule: it is tried again if it does not come into a block.
        Err(()) => log::debug!(
            target: LOG,
            "the pool did not take the result of job {id}, attempt {attempt}"
        ),
    }
    Some(())
}

/// Submits what of `answer` was asked for and not submitted of late.
fn submit_all<T: Config>(
    now: u32,
    workers: &[Local],
    request: &Request,
    answer: &Answer,
) -> Result<(), Trouble> {
    let store = StorageValueRef::persistent(SENT_KEY);
    let mut sent: Vec<(u64, u32, u32)> = store.get().ok().flatten().unwrap_or_default();
    let before = sent.clone();
    sent.retain(|(id, attempt, at)| {
        now.abs_diff(*at) < RESEND
            && request
                .jobs
                .iter()
                .any(|job| job.job == *id && job.attempt == *attempt)
    });
    let mut trouble = None;
    for result in &answer.finished {
        let asked = request
            .jobs
            .iter()
            .find(|job| job.job == result.job && job.attempt == result.attempt);
        let Some(job) = asked else {
            trouble = Some(Trouble::Unasked(result.job, result.attempt));
            continue;
        };
        if sent
            .iter()
            .any(|(id, attempt, _)| *id == job.job && *attempt == job.attempt)
        {
            continue;
        }
        if JobTerms::<T>::get(job.job).is_some_and(|terms| now < terms.paused) {
            log::warn!(
                target: LOG,
                "the chain refused a result of job {}; the event compute.Refused says why",
                job.job
            );
            continue;
        }
        let key = workers.iter().find(|worker| worker.account == job.worker);
        match key.and_then(|worker| submit::<T>(request.genesis, job, &worker.key, result)) {
            Some(()) => sent.push((job.job, job.attempt, now)),
            None => trouble = Some(Trouble::Unsigned(job.worker)),
        }
    }
    if sent != before {
        store.set(&sent);
    }
    trouble.map_or(Ok(()), Err)
}

/// Sends the heartbeats that are due. One that is on its way already is refused by the pool.
fn beat_all<T: Config>(now: u32, genesis: Hash, workers: &[Local]) {
    for worker in workers.iter().filter(|worker| worker.is_due) {
        let beat = Heartbeat {
            genesis,
            worker: worker.account,
            number: now,
        };
        let signed = sp_io::crypto::sr25519_sign(RESULT_KEY, &worker.key, &beat.signing_message());
        let Some(signature) = signed else {
            continue;
        };
        let call = Call::<T>::heartbeat {
            beat,
            signature: signature.0,
        };
        let transaction = T::create_authorized_transaction(call.into());
        if SubmitTransaction::<T, Call<T>>::submit_transaction(transaction).is_ok() {
            log::debug!(target: LOG, "sent a heartbeat of worker 0x{}", hex(&worker.account));
        }
    }
}

/// What the node does after each block.
pub(crate) fn run<T: Config>(now: u32) {
    let Some(pairing) = Pairing::read() else {
        return;
    };
    // A slow answer must not let hooks pile up.
    let mut lock = StorageLock::<Time>::with_deadline(LOCK_KEY, Duration::from_millis(LOCK_EXPIRY));
    let Ok(_guard) = lock.try_lock() else {
        log::debug!(target: LOG, "the hook of an earlier block is still at it");
        return;
    };
    let done = pairing.and_then(|pairing| {
        let workers = local_workers::<T>(now);
        if workers.is_empty() {
            return Ok(());
        }
        let genesis = frame_system::Pallet::<T>::block_hash(BlockNumberFor::<T>::from(0u32));
        let request = Request {
            protocol: PROTOCOL,
            genesis: genesis.as_ref().first_chunk::<32>().copied().unwrap_or_default(),
            jobs: assigned_jobs::<T>(&workers),
        };
        let answer = pairing.ask(&request)?;
        // Only while its program answers is a worker there.
        beat_all::<T>(now, request.genesis, &workers);
        submit_all::<T>(now, &workers, &request, &answer)
    });
    match done {
        Ok(()) => recover(),
        Err(trouble) => complain(&trouble, now),
    }
}

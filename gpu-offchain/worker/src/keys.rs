//! Keys of licensed Datanets: kept for those who may have them, and asked of other keepers.
//!
//! The keeper of a Datanet version has one random key in `DATA/keys`, made when the first contribution to that version is
//! sealed. Who brings a contribution gets that contribution's own key, which opens nothing else. The version's key goes to
//! the Datanet's owner, its curators, and a worker that the chain gave a job on the version or a later one: there are no
//! licences on the chain yet that could be asked about. Whoever has a key can pass it on, and the text with it.

use crate::{
    answer::now,
    error::{Error, Result},
    formats::hex0x,
    ledger::{self, Head},
    state::{lock, Config, Worker},
};
use openledger_attribution::voucher::CheckSignature;
use openledger_chain::{ss58, SignatureChecks};
use openledger_content::{is_licensed, ContentKey, KeyRequest, Label, Purpose};
use openledger_protocol::{
    compute::{JobStage, Task},
    datanets::{Curation, Datanet},
    Account,
};
use serde::Deserialize;
use serde_json::json;
use std::{
    collections::{BTreeMap, HashMap},
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

/// Seconds that a request's clock may differ from this machine's.
const WINDOW: u64 = 120;

/// Nonces remembered at once; beyond it the oldest is forgotten, so that nobody can keep others from asking. Who sends a forgotten
/// request again gets what it got: a key in a box that only its maker can open.
const MOST_NONCES: usize = 1 << 16;

/// Longest answer of a keeper, in bytes.
const MOST_ANSWER: u64 = 1 << 16;

/// The keys kept here.
pub(crate) struct Keeper {
    /// The folder, if keys are kept at all.
    dir: Option<PathBuf>,
    /// Nonces seen and when they can be forgotten.
    seen: Mutex<HashMap<[u8; 16], u64>>,
    /// Held while a key is made or the list of given keys is written.
    files: Mutex<()>,
}

impl Keeper {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            dir: config.keep_keys.then(|| config.data.join("keys")),
            seen: Mutex::default(),
            files: Mutex::default(),
        }
    }

    fn path(dir: &Path, datanet: u64, version: u32) -> PathBuf {
        dir.join(format!("{datanet}-{version}.key"))
    }

    fn dir(&self) -> Result<&Path> {
        self.dir.as_deref().ok_or_else(|| {
            Error::Missing("this worker keeps no keys: its operator can start it with --keep-keys".into())
        })
    }

    /// A version's key.
    fn load(&self, datanet: u64, version: u32) -> Result<ContentKey> {
        let path = Self::path(self.dir()?, datanet, version);
        if !path.exists() {
            return Err(Error::Missing(format!(
                "no key of version {version} of Datanet {datanet} is kept here: nothing was sealed under one"
            )));
        }
        Ok(ContentKey::load(&path)?)
    }

    /// The same, made if there is none.
    fn load_or_create(&self, datanet: u64, version: u32) -> Result<ContentKey> {
        let dir = self.dir()?;
        let _held = lock(&self.files);
        std::fs::create_dir_all(dir).map_err(|error| Error::file("make", dir, error))?;
        let path = Self::path(dir, datanet, version);
        if !path.exists() {
            ContentKey::random()?.save(&path)?;
            tracing::info!(datanet, version, path = %path.display(), "made a key: back it up, what is sealed under it is lost without it");
        }
        Ok(ContentKey::load(&path)?)
    }

    /// Writes down who was given what.
    fn note(&self, request: &KeyRequest) -> Result<()> {
        let path = self.dir()?.join("given.jsonl");
        let job = match request.purpose {
            Purpose::Contribute(_) => None,
            Purpose::Read { job } => job,
        };
        let line = json!({
            "time": request.time,
            "account": hex0x(request.account),
            "datanet": request.datanet,
            "version": request.version,
            "whole_version": matches!(request.purpose, Purpose::Read { .. }),
            "job": job,
        });
        let _held = lock(&self.files);
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
        file.and_then(|mut file| {
            file.write_all(format!("{line}\n").as_bytes())?;
            file.sync_data()
        })
        .map_err(|error| Error::file("write", &path, error))
    }

    /// Takes a nonce that was not taken before.
    fn admit(&self, request: &KeyRequest) -> Result<()> {
        let now = now();
        if request.time.abs_diff(now) > WINDOW {
            return Err(Error::Request(format!(
                "the request's time is {}, this clock says {now}: set the clock that is wrong, {WINDOW} s are allowed",
                request.time
            )));
        }
        let mut seen = lock(&self.seen);
        seen.retain(|_, until| *until >= now);
        if seen.len() >= MOST_NONCES {
            let oldest = seen.iter().min_by_key(|(_, until)| **until);
            if let Some(oldest) = oldest.map(|(nonce, _)| *nonce) {
                seen.remove(&oldest);
            }
        }
        // As long as its time would be accepted, whichever clock is ahead.
        if seen.insert(request.nonce, now + 2 * WINDOW).is_some() {
            return Err(Error::Request(
                "the request's nonce was used before: make each request anew".into(),
            ));
        }
        Ok(())
    }
}

/// Answers a request, signed by the account that it names: the key in a box for its recipient.
pub async fn give(worker: &Worker, request: &KeyRequest, signature: &[u8; 64]) -> Result<Vec<u8>> {
    worker.keeper.dir()?;
    let KeyRequest {
        account,
        datanet,
        version,
        ..
    } = *request;
    if (request.genesis, request.keeper) != (worker.ledger.genesis(), worker.account()) {
        return Err(Error::Request(format!(
            "the request is for keeper {} on the chain {}: this is {} on {}",
            hex0x(request.keeper),
            hex0x(request.genesis),
            hex0x(worker.account()),
            hex0x(worker.ledger.genesis())
        )));
    }
    if !SignatureChecks.sr25519(signature, &request.message(), &account) {
        return Err(Error::Unauthorized(format!(
            "the signature is not that of {}: sign with its key",
            ss58(&account)
        )));
    }
    worker.keeper.admit(request)?;
    let head = Head::Best;
    if ledger::worker(&*worker.ledger, worker.account(), head)
        .await?
        .bond
        == 0
    {
        return Err(Error::NotReady(
            "this worker has no bond, and only a bonded one keeps keys: its operator can register it".into(),
        ));
    }
    let on_chain = ledger::datanet(&*worker.ledger, datanet, head).await?;
    if !is_licensed(&on_chain.licence) {
        return Err(Error::Request(format!(
            "Datanet {datanet} is under {}, so its content is not encrypted and has no key",
            String::from_utf8_lossy(&on_chain.licence)
        )));
    }
    let key = match request.purpose {
        Purpose::Contribute(records) => {
            if version != on_chain.versions {
                return Err(Error::Conflict(format!(
                    "version {version} is not the next of Datanet {datanet}, {} is: ask for that one's key",
                    on_chain.versions
                )));
            }
            let key = worker.keeper.load_or_create(datanet, version)?;
            key.for_contribution(&account, &records)
        }
        Purpose::Read { job } => {
            may_read(worker, &on_chain, request, job, head).await?;
            worker.keeper.load(datanet, version)?
        }
    };
    worker.keeper.note(request)?;
    Ok(key.wrap(&request.recipient())?)
}

/// Whether an account may have a version's key.
async fn may_read(
    worker: &Worker,
    datanet: &Datanet<Account>,
    request: &KeyRequest,
    job: Option<u64>,
    head: Head,
) -> Result<()> {
    if ledger::datanet_owner(&*worker.ledger, request.datanet, head).await? == Some(request.account) {
        return Ok(());
    }
    if let Curation::Curators(curators) = &datanet.curation {
        if curators.contains(&request.account) {
            return Ok(());
        }
    }
    if let Some(id) = job {
        let job = ledger::job(&*worker.ledger, id, head).await?;
        let is_theirs = matches!(job.stage, JobStage::Assigned { worker, .. } if worker == request.account);
        let of = match job.task {
            Task::Train {
                model, generation, ..
            }
            | Task::Index {
                model, generation, ..
            } => Some((model, generation)),
            Task::Infer { .. } => None,
        };
        if let Some((model, generation)) = of.filter(|_| is_theirs) {
            let ordered = ledger::generation(&*worker.ledger, model, generation, head).await?;
            let is_about = |source: &openledger_protocol::models::Source| {
                source.datanet == request.datanet && source.version >= request.version
            };
            if ordered.sources.iter().any(is_about) {
                return Ok(());
            }
        }
    }
    Err(Error::Forbidden(format!(
        "{} may not read Datanet {}: its owner and curators may, and a worker while it has a job on it",
        ss58(&request.account),
        request.datanet
    )))
}

/// Keys that a worker uses itself, in memory for as long as they are needed.
pub struct Keyring<'a> {
    worker: Option<&'a Worker>,
    job: Option<u64>,
    kept: tokio::sync::Mutex<BTreeMap<(Account, u64, u32), ContentKey>>,
}

impl<'a> Keyring<'a> {
    /// Without keys: sealed content stays closed.
    pub fn none() -> Self {
        Self {
            worker: None,
            job: None,
            kept: Default::default(),
        }
    }

    /// For a job of this worker's.
    pub fn for_job(worker: &'a Worker, job: u64) -> Self {
        Self {
            worker: Some(worker),
            job: Some(job),
            kept: Default::default(),
        }
    }

    /// A version's key: this worker's own, or asked of its keeper.
    pub async fn key(&self, label: &Label) -> Result<ContentKey> {
        let Some(worker) = self.worker else {
            return Err(Error::Forbidden(format!(
                "Datanet {} is licensed: its text is for its owner, its curators, and workers with a job on it",
                label.datanet
            )));
        };
        let mut kept = self.kept.lock().await;
        let name = (label.keeper, label.datanet, label.version);
        if let Some(key) = kept.get(&name) {
            return Ok(key.clone());
        }
        let key = if label.keeper == worker.account() {
            worker.keeper.load(label.datanet, label.version)?
        } else {
            self.ask(worker, label).await?
        };
        kept.insert(name, key.clone());
        Ok(key)
    }

    async fn ask(&self, worker: &Worker, label: &Label) -> Result<ContentKey> {
        let keeper = ledger::worker(&*worker.ledger, label.keeper, Head::Best).await?;
        let url = String::from_utf8_lossy(&keeper.endpoint)
            .trim_end_matches('/')
            .to_owned();
        let purpose = Purpose::Read { job: self.job };
        let (request, identity) = KeyRequest::new(worker.ledger.genesis(), worker.account(), label, purpose)?;
        let body = json!({
            "request": hex0x(request.encode()),
            "signature": hex0x(worker.ledger.sign(&request.message())),
        });
        let sealed = tokio::task::spawn_blocking(move || post(&url, &body.to_string()))
            .await
            .map_err(|error| Error::part("asking for a key", error))??;
        Ok(identity.unwrap_key(&sealed)?)
    }
}

#[derive(Deserialize)]
struct Given {
    #[serde(rename = "box")]
    sealed: String,
}

/// Sends a request to a keeper.
fn post(url: &str, body: &str) -> Result<Vec<u8>> {
    let failed = |why: &dyn std::fmt::Display| {
        Error::NotReady(format!(
            "the keeper of the key at {url:?} does not give it: {why}"
        ))
    };
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into();
    let response = agent
        .post(format!("{url}/v1/keys"))
        .header("content-type", "application/json")
        .send(body)
        .map_err(|error| failed(&error))?;
    let status = response.status();
    let mut text = String::new();
    response
        .into_body()
        .into_with_config()
        .limit(MOST_ANSWER)
        .reader()
        .read_to_string(&mut text)
        .map_err(|error| failed(&error))?;
    if !status.is_success() {
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let why = answer["error"]["message"].as_str().unwrap_or(&text);
        return Err(failed(&why));
    }
    let given: Given = serde_json::from_str(&text).map_err(|error| failed(&error))?;
    let digits = given.sealed.strip_prefix("0x").unwrap_or(&given.sealed);
    hex::decode(digits).map_err(|error| failed(&error))
}

//! Getting what the chain names and is not here: blocks from any worker that has them, a generation's index from the one
//! that serves it; each checked against the chain.

use crate::{
    channels,
    dataset::file,
    db::ModelRow,
    error::{Error, Result},
    formats::{decode_adapter, decode_version_list, hex0x},
    jobs::store_adapter,
    ledger::{self, Head},
    state::Worker,
};
use openledger_attribution::wire::Object;
use openledger_content::{parts, Cid};
use openledger_exchange::Fetch;
use openledger_influence::{available_threads, Index};
use openledger_protocol::{
    models::{Generation, Stage},
    Account, Hash,
};
use serde::Deserialize;
use std::{collections::BTreeSet, io::Read, path::Path, time::Duration};

/// Largest file taken from another worker, in bytes.
const MOST: u64 = 4 << 30;

struct Peer {
    agent: ureq::Agent,
    url: String,
}

#[derive(Deserialize)]
struct Listed {
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    name: String,
    bytes: u64,
}

impl Peer {
    fn new(url: &str) -> Self {
        let agent = ureq::Agent::config_builder()
            .timeout_connect(Some(Duration::from_secs(10)))
            // Long enough for any file, so that who says nothing keeps nobody for ever.
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .timeout_recv_body(Some(Duration::from_secs(3_600)))
            .build()
            .into();
        Self {
            agent,
            url: url.trim_end_matches('/').to_owned(),
        }
    }

    fn get(&self, path: &str) -> Result<impl Read> {
        let url = format!("{}{path}", self.url);
        let response = self.agent.get(&url).call();
        let body = response.map_err(|error| {
            Error::NotReady(format!("{url}: {error}; is that worker running and serving it?"))
        })?;
        Ok(body.into_body().into_with_config().limit(MOST).reader())
    }

    fn bytes(&self, path: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.get(path)?
            .read_to_end(&mut bytes)
            .map_err(|error| Error::NotReady(format!("{}{path}: {error}", self.url)))?;
        Ok(bytes)
    }

    /// The missing blocks of a file into the worker's own store, each node after what it lists.
    fn file(&self, worker: &Worker, root: &Cid) -> Result<()> {
        let mut nodes = Vec::new();
        let mut ahead = vec![*root];
        let mut taken = 0u64;
        while let Some(cid) = ahead.pop() {
            let (block, is_new) = match worker.store.get(&cid) {
                Ok(block) => (block, false),
                Err(_) => (self.bytes(&format!("/v1/content/{cid}"))?, true),
            };
            openledger_content::verify(&cid, &block)?;
            taken = taken.saturating_add(block.len() as u64);
            if taken > MOST {
                return Err(Error::Hopeless(format!("file {root} is over {MOST} bytes")));
            }
            let listed = parts(&cid, &block)?;
            match (is_new, listed.is_empty()) {
                (true, true) => worker.store.put_expected(&cid, &block)?,
                (true, false) => nodes.push((cid, block)),
                (false, _) => {}
            }
            ahead.extend(listed);
        }
        for (cid, block) in nodes.iter().rev() {
            worker.store.put_expected(cid, block)?;
        }
        Ok(())
    }

    /// Every file of an index, into a new folder.
    fn index(&self, hash: &Hash, dir: &Path) -> Result<()> {
        let path = format!("/v1/indexes/{}", hex0x(hash));
        let listed: Listed = serde_json::from_slice(&self.bytes(&path)?)
            .map_err(|error| Error::NotReady(format!("{}{path}: {error}", self.url)))?;
        let failed = |error| Error::file("write into", dir, error);
        if dir.is_dir() {
            std::fs::remove_dir_all(dir).map_err(failed)?;
        }
        std::fs::create_dir_all(dir).map_err(failed)?;
        for File { name, bytes } in listed.files {
            // A peer's word is no path.
            let is_plain = Path::new(&name)
                .file_name()
                .is_some_and(|own| own == name.as_str());
            if !is_plain {
                return Err(Error::Hopeless(format!(
                    "{} lists a file {name:?}, which is no plain name",
                    self.url
                )));
            }
            let mut file = std::fs::File::create(dir.join(&name)).map_err(failed)?;
            let copied =
                std::io::copy(&mut self.get(&format!("{path}/files/{name}"))?, &mut file).map_err(failed)?;
            if copied != bytes {
                return Err(Error::NotReady(format!(
                    "{name} has {copied} bytes, {bytes} were promised: fetch again"
                )));
            }
            file.sync_all().map_err(failed)?;
        }
        Ok(())
    }
}

/// Has a file that the chain names here whole: from other workers, if content is exchanged and it is not here yet.
///
/// Errors: [`Error::NotReady`], if nobody gives it.
pub async fn content(worker: &Worker, cid: &[u8], what: &str) -> Result<()> {
    let cid = Cid::from_bytes(cid)
        .map_err(|error| Error::Hopeless(format!("{what} has a CID that is none: {error}")))?;
    let store = worker.store.clone();
    let blocks = tokio::task::spawn_blocking(move || store.outline(&cid))
        .await
        .map_err(|error| Error::part("content", error))??;
    if blocks.wanted.is_empty() {
        return Ok(());
    }
    let Some(exchange) = worker.exchange() else {
        return Err(Error::NotReady(format!(
            "{what} is not here: send its block with PUT /v1/content/{cid}, or connect to a worker that has it with --p2p-peer"
        )));
    };
    let how = Fetch {
        most: MOST,
        ..Fetch::default()
    };
    let fetched = exchange.fetch(&cid, &how).await.map_err(|error| match error {
        openledger_exchange::Error::NotFound { .. } => Error::NotReady(format!(
            "{what} is not here: {error}, or send it with PUT /v1/content/{cid}"
        )),
        other => other.into(),
    })?;
    tracing::info!(%cid, bytes = fetched.bytes, from = fetched.from.len(), "fetched {what}");
    // Who has it gives it on.
    worker.publish(&cid)
}

/// Has everything here that a generation is made of.
pub async fn sources(worker: &Worker, generation: &Generation<Account>) -> Result<()> {
    let mut contributions = BTreeSet::new();
    for source in &generation.sources {
        let version =
            ledger::version(&*worker.ledger, source.datanet, source.version, Head::Finalized).await?;
        let name = format!("version {} of Datanet {}", source.version, source.datanet);
        content(worker, &version.cid, &name).await?;
        let list = decode_version_list(&file(&worker.store, &version.cid, &name)?, &version.records)?;
        contributions.extend(list.iter().map(|leaf| leaf.record.contribution));
    }
    for id in contributions {
        let contribution = ledger::contribution(&*worker.ledger, id, Head::Finalized).await?;
        content(worker, &contribution.cid, &format!("contribution {id}")).await?;
    }
    let is_trained = !generation.adapter_cid.is_empty();
    if is_trained && !worker.config.adapter_dir(&generation.adapter).is_dir() {
        let name = format!("adapter {}", hex0x(generation.adapter));
        content(worker, &generation.adapter_cid, &name).await?;
    }
    Ok(())
}

/// Fetches a generation from the worker at `url`, and its content from any worker if content is exchanged; [`run`](crate::run) then answers with it.
///
/// The adapter must have the chain's hash, the index must be the registered one in every leaf, and each block its CID.
pub async fn generation(worker: &Worker, url: &str, model: u64, generation: u32) -> Result<ModelRow> {
    let peer = Peer::new(url);
    let ordered = ledger::generation(&*worker.ledger, model, generation, Head::Finalized).await?;
    let Stage::Ready { index: hash } = ordered.stage else {
        return Err(Error::NotReady(format!(
            "generation {model}:{generation} is at {:?}: wait until it is ready",
            ordered.stage
        )));
    };

    if worker.exchange().is_some() {
        sources(worker, &ordered).await?;
    } else {
        records_of(worker, &peer, &ordered).await?;
    }
    adapter(worker, url, &ordered).await?;

    let place = worker.config.index_dir(&hash);
    if !Index::exists(&place) {
        let unfinished = place.with_extension("unfinished");
        peer.index(&hash, &unfinished)?;
        let index = Index::open(&unfinished)?;
        if index.header().hash() != hash {
            return Err(Error::Hopeless(format!(
                "{url} gave index {}, the chain has {}: fetch from another worker",
                hex0x(index.header().hash()),
                hex0x(hash)
            )));
        }
        index.verify(available_threads())?;
        if let Some(words) = channels::open(&unfinished, index.header())? {
            channels::verify(&words, available_threads())?;
        }
        drop(index);
        std::fs::rename(&unfinished, &place)
            .map_err(|error| Error::file("move an index to", &place, error))?;
    }
    let row = ModelRow {
        adapter: ordered.adapter,
        index: hash,
    };
    worker.db.set_model(model, generation, &row)?;
    Ok(row)
}

/// Fetches the records that a generation is of from any worker if content is exchanged, else from the one at `url`; each block checked by
/// its CID.
pub async fn records(worker: &Worker, url: &str, ordered: &Generation<Account>) -> Result<()> {
    if worker.exchange().is_some() {
        return sources(worker, ordered).await;
    }
    records_of(worker, &Peer::new(url), ordered).await
}

/// Fetches the adapter of a generation likewise, unless it is here.
pub async fn adapter(worker: &Worker, url: &str, ordered: &Generation<Account>) -> Result<()> {
    let hash = ordered.adapter;
    if worker.config.adapter_dir(&hash).is_dir() {
        return Ok(());
    }
    let name = format!("adapter {}", hex0x(hash));
    if worker.exchange().is_some() {
        content(worker, &ordered.adapter_cid, &name).await?;
    } else {
        Peer::new(url).file(worker, &Cid::from_bytes(&ordered.adapter_cid)?)?;
    }
    let (config, weights) = decode_adapter(&file(&worker.store, &ordered.adapter_cid, &name)?)?;
    store_adapter(worker, &hash, &config, &weights)
}

async fn records_of(worker: &Worker, peer: &Peer, ordered: &Generation<Account>) -> Result<()> {
    let mut contributions = BTreeSet::new();
    for source in &ordered.sources {
        let version =
            ledger::version(&*worker.ledger, source.datanet, source.version, Head::Finalized).await?;
        peer.file(worker, &Cid::from_bytes(&version.cid)?)?;
        let list = file(&worker.store, &version.cid, "the version's list")?;
        let list = decode_version_list(&list, &version.records)?;
        contributions.extend(list.iter().map(|leaf| leaf.record.contribution));
    }
    for id in contributions {
        let contribution = ledger::contribution(&*worker.ledger, id, Head::Finalized).await?;
        peer.file(worker, &Cid::from_bytes(&contribution.cid)?)?;
    }
    Ok(())
}

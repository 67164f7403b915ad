//! Getting a generation that another worker trained: adapter, index and records, each checked against the chain.

use crate::{
    channels,
    db::ModelRow,
    error::{Error, Result},
    formats::{decode_adapter, decode_version_list, hex0x},
    jobs::store_adapter,
    ledger::{self, Head},
    state::Worker,
};
use openledger_attribution::wire::Object;
use openledger_content::Cid;
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

    /// A block into the worker's own store, unless it is there.
    fn block(&self, worker: &Worker, cid: &[u8]) -> Result<Vec<u8>> {
        let cid = Cid::from_bytes(cid)?;
        if !worker.store.has(&cid) {
            worker
                .store
                .put_expected(&cid, &self.bytes(&format!("/v1/content/{cid}"))?)?;
        }
        Ok(worker.store.get(&cid)?)
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

/// Fetches a generation from the worker at `url`; [`run`](crate::run) then answers with it.
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

    records_of(worker, &peer, &ordered).await?;
    let (config, weights) = decode_adapter(&peer.block(worker, &ordered.adapter_cid)?)?;
    store_adapter(worker, &ordered.adapter, &config, &weights)?;

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

/// Fetches the records that a generation is of from the worker at `url`, each block checked by its CID.
pub async fn records(worker: &Worker, url: &str, ordered: &Generation<Account>) -> Result<()> {
    records_of(worker, &Peer::new(url), ordered).await
}

async fn records_of(worker: &Worker, peer: &Peer, ordered: &Generation<Account>) -> Result<()> {
    let mut contributions = BTreeSet::new();
    for source in &ordered.sources {
        let version =
            ledger::version(&*worker.ledger, source.datanet, source.version, Head::Finalized).await?;
        let list = decode_version_list(&peer.block(worker, &version.cid)?, &version.records)?;
        contributions.extend(list.iter().map(|leaf| leaf.record.contribution));
    }
    for id in contributions {
        let contribution = ledger::contribution(&*worker.ledger, id, Head::Finalized).await?;
        peer.block(worker, &contribution.cid)?;
    }
    Ok(())
}

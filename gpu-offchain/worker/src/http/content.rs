//! Blocks: what contributors bring and trainers publish.

use super::{
    body::{Octets, Path, Query},
    octets, Answer, Shared,
};
use crate::{error::Error, Worker};
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use openledger_content::Cid;
use serde::Deserialize;

fn parse(cid: &str) -> Answer<Cid> {
    cid.parse().map_err(|error| {
        Error::Request(format!(
            "{cid:?} is no CID ({error}): give a CIDv1 under sha2-256"
        ))
    })
}

/// Refuses what the operator put on the block list.
fn allowed(worker: &Worker, cid: &Cid) -> Answer<()> {
    if worker.store.shared()?.denies(cid) {
        return Err(Error::Forbidden(format!(
            "block {cid} is on this worker's block list: ask another worker"
        )));
    }
    Ok(())
}

/// How a block is brought.
#[derive(Deserialize)]
pub(super) struct Put {
    /// Not 0: a part of a file whose root follows, not to be announced by itself.
    #[serde(default)]
    part: u8,
}

/// Takes a block, and announces the file that it completes.
pub(super) async fn put(
    State(worker): Shared,
    Path(cid): Path<String>,
    Query(put): Query<Put>,
    Octets(body): Octets,
) -> Answer<Response> {
    let cid = parse(&cid)?;
    let done = move || {
        allowed(&worker, &cid)?;
        if worker.store.has(&cid) {
            return Ok(StatusCode::OK);
        }
        openledger_content::verify(&cid, &body).map_err(|error| {
            Error::Request(format!(
                "the body is not the block {cid} ({error}): send the right bytes"
            ))
        })?;
        let kept: u64 = worker.store.list()?.iter().map(|(_, bytes)| bytes).sum();
        if kept.saturating_add(body.len() as u64) > worker.config.content_limit {
            return Err(Error::Full(format!(
                "{kept} bytes of content are kept and {} is the limit: its operator can raise --content-limit",
                worker.config.content_limit
            )));
        }
        worker.store.put_expected(&cid, &body)?;
        if put.part == 0 {
            worker.publish(&cid)?;
        }
        worker.jobs_changed.notify_one();
        Ok(StatusCode::CREATED)
    };
    let status = tokio::task::spawn_blocking(done)
        .await
        .map_err(|error| Error::part("content", error))??;
    Ok(status.into_response())
}

/// Gives a block.
pub(super) async fn get(State(worker): Shared, Path(cid): Path<String>) -> Answer<Response> {
    let cid = parse(&cid)?;
    let read = move || {
        allowed(&worker, &cid)?;
        if !worker.store.has(&cid) {
            return Err(Error::Missing(format!("block {cid} is not here")));
        }
        Ok(worker.store.get(&cid)?)
    };
    let bytes = tokio::task::spawn_blocking(read)
        .await
        .map_err(|error| Error::part("content", error))??;
    Ok(octets(bytes))
}

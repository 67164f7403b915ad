//! Indexes and the records behind them.

use super::{
    body::{Path, Query},
    files, hash, octets, send_file, Answer, Shared,
};
use crate::{
    error::Error,
    formats::{hex0x, wire},
    models::Served,
    records,
    state::Worker,
};
use axum::{extract::State, response::Response, Json};
use openledger_attribution::{
    tree::Opening,
    wire::{Field, Object},
};
use serde::Deserialize;
use serde_json::{json, Value};
use std::sync::Arc;

const MOST_ROWS: u64 = 256;
const MOST_RECORDS: u64 = 4_096;

fn find(worker: &Worker, text: &str) -> Answer<Arc<Served>> {
    let index = hash(text)?;
    worker
        .serving
        .by_index(&index)
        .ok_or_else(|| Error::Missing(format!("index {text} is not served here")))
}

/// Header, layout and files.
pub(super) async fn index(State(worker): Shared, Path(text): Path<String>) -> Answer<Json<Value>> {
    let served = find(&worker, &text)?;
    let files: Vec<Value> = files(&served.index_dir)?
        .into_iter()
        .map(|(name, bytes)| json!({ "name": name, "bytes": bytes }))
        .collect();
    Ok(Json(json!({
        "header": hex0x(Object::encode(served.index.header())),
        "layout": hex0x(Object::encode(served.index.layout())),
        "rows": served.index.rows(),
        "corpus": served.index.corpus().len(),
        "blocks": served.index.names(),
        "files": files,
    })))
}

/// A file of the index.
pub(super) async fn file(
    State(worker): Shared,
    Path((text, name)): Path<(String, String)>,
) -> Answer<Response> {
    let served = find(&worker, &text)?;
    // Only what the folder itself lists: no path can lead out of it.
    if !files(&served.index_dir)?.iter().any(|(known, _)| *known == name) {
        return Err(Error::Missing(format!("index {text} has no file {name:?}")));
    }
    send_file(&served.index_dir.join(name)).await
}

/// Which leaves.
#[derive(Deserialize)]
pub(super) struct Part {
    #[serde(default)]
    from: u64,
    count: Option<u64>,
}

fn openings<L>(
    part: &Part,
    most: u64,
    total: u64,
    open: impl Fn(u64) -> Answer<Opening<L>>,
) -> Answer<Response>
where
    Opening<L>: Field,
{
    let end = part
        .from
        .saturating_add(part.count.unwrap_or(most).min(most))
        .min(total);
    let leaves: Vec<Opening<L>> = (part.from..end).map(open).collect::<Answer<_>>()?;
    Ok(octets(wire(&leaves)))
}

/// Rows, each with its way to the root.
pub(super) async fn rows(
    State(worker): Shared,
    Path(text): Path<String>,
    Query(part): Query<Part>,
) -> Answer<Response> {
    let served = find(&worker, &text)?;
    let work = move || {
        openings(&part, MOST_ROWS, served.index.rows(), |row| {
            Ok(served.index.open_row(row)?)
        })
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::part("rows", error))?
}

/// Records of the corpus, each with its way to the root.
pub(super) async fn corpus(
    State(worker): Shared,
    Path(text): Path<String>,
    Query(part): Query<Part>,
) -> Answer<Response> {
    let served = find(&worker, &text)?;
    let total = served.index.corpus().len() as u64;
    let work = move || {
        openings(&part, MOST_RECORDS, total, |entry| {
            Ok(served.index.open_corpus(entry)?)
        })
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::part("corpus", error))?
}

/// A record of an open Datanet, with its way to its contribution's root.
pub(super) async fn record(
    State(worker): Shared,
    Path((contribution, index)): Path<(u64, u32)>,
) -> Answer<Json<Value>> {
    let kept = records::contribution(&worker, contribution).await?;
    let missing = || {
        Error::Missing(format!(
            "contribution {contribution} has {} records, no {index}",
            kept.bundle.records.len()
        ))
    };
    let record = usize::try_from(index)
        .ok()
        .and_then(|at| kept.bundle.records.get(at))
        .ok_or_else(missing)?;
    let opening = kept.bundle.open(index)?.ok_or_else(missing)?;
    Ok(Json(json!({
        "contribution": contribution,
        "index": index,
        "contributor": hex0x(kept.contributor),
        "datanet": kept.datanet,
        "text": record.text(),
        "content": hex0x(record.content()),
        "opening": hex0x(wire(&opening)),
    })))
}

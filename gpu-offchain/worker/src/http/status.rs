//! What the worker is, serves and does.

use super::{body::Path, files, hash, send_file, Answer, Shared};
use crate::{
    device,
    error::Error,
    formats::hex0x,
    jobs::Progress,
    ledger::{self, Head},
    models::{Served, TOKENIZER_FILES},
    payment,
    state::Worker,
};
use axum::{
    extract::State,
    http::{header, HeaderMap, StatusCode},
    response::{
        sse::{Event, KeepAlive, Sse},
        IntoResponse, Response,
    },
    Json,
};
use openledger_attribution::wire::Object;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{json, Value};
use std::{convert::Infallible, sync::Arc};

/// Whether it works, and who it is.
#[derive(Serialize, JsonSchema)]
pub(super) struct Health {
    /// `ok` or `no chain`.
    status: &'static str,
    account: String,
    receipt_key: String,
    genesis: String,
    base: String,
    tokenizer: String,
    /// How its answers are computed, which terms must say: `verifiable` or `fast`.
    mode: &'static str,
    /// The generations that can answer.
    serving: Vec<String>,
    version: &'static str,
    /// The best block.
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<u32>,
    /// The last final block.
    #[serde(skip_serializing_if = "Option::is_none")]
    finalized: Option<u32>,
    /// Why there is no chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// Whether it works, and who it is.
pub(super) async fn health(State(worker): Shared) -> Response {
    let head = worker.ledger.head(Head::Best).await;
    let last = worker.ledger.head(Head::Finalized).await;
    let mut body = Health {
        status: "ok",
        account: hex0x(worker.account()),
        receipt_key: hex0x(worker.receipt_key.account()),
        genesis: hex0x(worker.ledger.genesis()),
        base: hex0x(worker.base.hash),
        tokenizer: hex0x(worker.base.tokenizer.hash()),
        mode: device::named(worker.base.mode),
        serving: worker.serving.list().iter().map(|served| served.id()).collect(),
        version: env!("CARGO_PKG_VERSION"),
        head: None,
        finalized: None,
        message: None,
    };
    match (head, last) {
        (Ok(head), Ok(last)) => {
            (body.head, body.finalized) = (Some(head.number), Some(last.number));
            Json(body).into_response()
        }
        (Err(error), _) | (_, Err(error)) => {
            body.status = "no chain";
            body.message = Some(error.to_string());
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}

/// A generation that can answer.
#[derive(Serialize, JsonSchema)]
pub(super) struct Model {
    /// `model:generation`.
    id: String,
    /// `model`.
    object: &'static str,
    /// Not known here: 0.
    created: u64,
    /// The account of the model's creator.
    owned_by: String,
    /// What people call it; asking for it asks its newest generation.
    name: String,
    model: u64,
    generation: u32,
    /// Hash of the base it is a fine-tune of.
    parent: String,
    adapter: String,
    index: String,
    base: String,
    tokenizer: String,
    /// Canonical bytes.
    tariff: String,
    /// Planck for 1,000 tokens of prompt.
    price_in: String,
    /// Planck for 1,000 tokens of answer.
    price_out: String,
}

/// All of them.
#[derive(Serialize, JsonSchema)]
pub(super) struct Models {
    /// `list`.
    object: &'static str,
    data: Vec<Model>,
}

/// A generation as it is shown; nothing if its owner does not let it answer.
async fn shown(worker: &Worker, served: &Served) -> Answer<Option<Model>> {
    let on_chain = ledger::model(&*worker.ledger, served.model, Head::Best).await?;
    if !on_chain.serving {
        return Ok(None);
    }
    let place = (served.model, served.generation);
    let tariff = ledger::tariff(&*worker.ledger, &on_chain, place, Head::Best).await?;
    Ok(Some(Model {
        id: served.id(),
        object: "model",
        created: 0,
        owned_by: hex0x(on_chain.creator),
        name: served.name.clone(),
        model: served.model,
        generation: served.generation,
        parent: hex0x(worker.base.hash),
        adapter: hex0x(served.adapter),
        index: hex0x(served.index_hash),
        base: hex0x(worker.base.hash),
        tokenizer: hex0x(worker.base.tokenizer.hash()),
        tariff: hex0x(Object::encode(&tariff)),
        price_in: tariff.price_in.to_string(),
        price_out: tariff.price_out.to_string(),
    }))
}

/// The generations that can answer.
pub(super) async fn models(State(worker): Shared) -> Answer<Json<Models>> {
    let mut data = Vec::new();
    for served in worker.serving.list() {
        data.extend(shown(&worker, &served).await?);
    }
    Ok(Json(Models { object: "list", data }))
}

/// One of them.
pub(super) async fn model(State(worker): Shared, Path(id): Path<String>) -> Answer<Json<Model>> {
    let served = worker.serving.named(&id)?;
    let model = shown(&worker, &served).await?;
    model
        .map(Json)
        .ok_or_else(|| Error::Missing(format!("the owner of {id:?} does not let it answer now")))
}

fn own_tokenizer(worker: &Worker, text: &str) -> Answer<()> {
    if hash(text)? == worker.base.tokenizer.hash() {
        return Ok(());
    }
    Err(Error::Missing(format!(
        "tokenizer {text} is not here: this worker's is {}",
        hex0x(worker.base.tokenizer.hash())
    )))
}

/// The tokenizer's files.
pub(super) async fn tokenizer(State(worker): Shared, Path(text): Path<String>) -> Answer<Json<Value>> {
    own_tokenizer(&worker, &text)?;
    let files = files(&worker.base.dir)?
        .into_iter()
        .filter(|(name, _)| TOKENIZER_FILES.contains(&name.as_str()));
    let files: Vec<Value> = files
        .map(|(name, bytes)| json!({ "name": name, "bytes": bytes }))
        .collect();
    Ok(Json(json!({ "files": files })))
}

/// One of them.
pub(super) async fn tokenizer_file(
    State(worker): Shared,
    Path((text, name)): Path<(String, String)>,
) -> Answer<Response> {
    own_tokenizer(&worker, &text)?;
    let Some(name) = TOKENIZER_FILES.iter().find(|known| **known == name) else {
        return Err(Error::Missing(format!("a tokenizer has no file {name:?}")));
    };
    send_file(&worker.base.dir.join(name)).await
}

/// A channel, and how far its answers have come.
pub(super) async fn channel(State(worker): Shared, Path(id): Path<u64>) -> Answer<Json<Value>> {
    Ok(Json(payment::channel_state(&worker, id).await?))
}

/// All jobs.
#[derive(Serialize, JsonSchema)]
pub(super) struct Jobs {
    jobs: Vec<Progress>,
}

/// All jobs.
pub(super) async fn jobs(State(worker): Shared) -> Answer<Json<Jobs>> {
    let jobs: Vec<Progress> = worker
        .db
        .jobs()?
        .iter()
        .map(|row| worker.board.show(row))
        .collect();
    Ok(Json(Jobs { jobs }))
}

/// The latest attempt at a job.
fn latest(worker: &Worker, id: u64) -> Answer<Progress> {
    let jobs = worker.db.jobs()?;
    let row = jobs.iter().rfind(|row| row.assigned.job == id);
    let row = row.ok_or_else(|| Error::Missing(format!("job {id} was never assigned to this worker")))?;
    Ok(worker.board.show(row))
}

/// The losses of a training job that is done, as a picture.
pub(super) async fn loss(State(worker): Shared, Path(id): Path<u64>) -> Answer<Response> {
    let path = crate::jobs::curves(&worker, id).join("loss.svg");
    let picture = std::fs::read(path).map_err(|_| {
        Error::Missing(format!(
            "job {id} has no loss curve here: this worker did not train it, or not to the end; /v1/jobs/{id} tells its last loss"
        ))
    })?;
    Ok(([(header::CONTENT_TYPE, "image/svg+xml")], picture).into_response())
}

/// One job: once, or every change until it ends.
pub(super) async fn job(State(worker): Shared, Path(id): Path<u64>, headers: HeaderMap) -> Answer<Response> {
    let first = latest(&worker, id)?;
    let streams = super::text(&headers, header::ACCEPT.as_str())
        .is_some_and(|accept| accept.contains("text/event-stream"));
    if !streams {
        return Ok(Json(first).into_response());
    }
    let changes = worker.board.watch();
    let stream = futures_util::stream::unfold(
        (worker, changes, Some(first), false),
        move |(worker, mut changes, given, ended): (Arc<Worker>, _, Option<Progress>, bool)| async move {
            if ended {
                return None;
            }
            let progress = match given {
                Some(first) => first,
                None => {
                    changes.changed().await.ok()?;
                    // Faster than a person reads would only cost.
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    latest(&worker, id).ok()?
                }
            };
            let ended = progress.is_final();
            let event = Event::default().json_data(&progress).ok()?;
            Some((Ok::<_, Infallible>(event), (worker, changes, None, ended)))
        },
    );
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()).into_response())
}

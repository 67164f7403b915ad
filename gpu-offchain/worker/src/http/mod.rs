//! The public API. Its paths and bodies are described in `docs/worker-api.md`.

mod batches;
mod chat;
mod committees;
mod content;
mod indexes;
mod page;
mod receipts;
mod status;

use crate::{error::Error, formats::parse_hash, hook, jobs, payment, state::Worker};
use axum::{
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{header, HeaderMap, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post, put},
    Json, Router,
};
use codec::{Decode, DecodeAll, Encode};
use openledger_protocol::{compute::hook as protocol, Hash};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tower_http::timeout::TimeoutLayer;

/// Largest body of a request that is no block of content, in bytes.
const MOST_BODY: usize = 1 << 20;
/// Longest time until a response begins.
const LONGEST: Duration = Duration::from_secs(120);

type Shared = State<Arc<Worker>>;
type Answer<T> = Result<T, Error>;

/// All routes.
pub fn router(worker: Arc<Worker>) -> Router {
    let blocks = Router::new()
        .route("/v1/content/{cid}", put(content::put).get(content::get))
        .layer(DefaultBodyLimit::max(worker.config.max_block));
    Router::new()
        .route("/", get(page::page))
        .route("/health", get(status::health))
        .route("/hook/v1", post(hook_v1))
        .route("/v1/chat/completions", post(chat::completions))
        .route("/v1/tokenize", post(chat::tokenize))
        .route("/v1/models", get(status::models))
        .route("/v1/tokenizers/{hash}", get(status::tokenizer))
        .route("/v1/tokenizers/{hash}/{name}", get(status::tokenizer_file))
        .route("/v1/channels/{id}", get(status::channel))
        .route("/v1/jobs", get(status::jobs))
        .route("/v1/jobs/{id}", get(status::job))
        .route("/v1/answers/{voucher}", get(receipts::answer))
        .route("/v1/receipts", get(receipts::list))
        .route("/v1/receipts/{hash}", get(receipts::receipt))
        .route("/v1/attributions/{receipt}", get(receipts::attribution))
        .route("/v1/payouts/{receipt}", get(receipts::payouts))
        .route("/v1/batches", get(batches::list))
        .route("/v1/batches/{id}", get(batches::batch))
        .route("/v1/indexes/{hash}", get(indexes::index))
        .route("/v1/indexes/{hash}/files/{name}", get(indexes::file))
        .route("/v1/indexes/{hash}/rows", get(indexes::rows))
        .route("/v1/indexes/{hash}/corpus", get(indexes::corpus))
        .route("/v1/indexes/{hash}/bases", get(indexes::bases))
        .route("/v1/indexes/{hash}/sources", get(indexes::sources))
        .route("/v1/committees/{case}", get(committees::handed))
        .route("/v1/records/{contribution}/{index}", get(indexes::record))
        .layer(DefaultBodyLimit::max(MOST_BODY))
        .merge(blocks)
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            LONGEST,
        ))
        .fallback(unknown)
        .with_state(worker)
}

async fn unknown() -> Error {
    Error::Missing("there is nothing at this path: see docs/worker-api.md".into())
}

/// OpenAI's error object.
fn error_body(error: &Error) -> (StatusCode, serde_json::Value) {
    let (status, kind) = match error {
        Error::Request(_) | Error::Hopeless(_) => (StatusCode::BAD_REQUEST, "invalid_request_error"),
        Error::Payment(_) => (StatusCode::PAYMENT_REQUIRED, "payment_required"),
        Error::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
        Error::Missing(_) => (StatusCode::NOT_FOUND, "not_found"),
        Error::Unauthorized(_) => (StatusCode::UNAUTHORIZED, "unauthorized"),
        Error::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden"),
        Error::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "invalid_request_error"),
        Error::Full(_) => (StatusCode::INSUFFICIENT_STORAGE, "full"),
        Error::Busy(_) => (StatusCode::TOO_MANY_REQUESTS, "busy"),
        Error::NotReady(_) => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
        Error::Setup(_) | Error::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
    };
    // What went wrong inside is the operator's, not the world's.
    let message = if status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(%error, "a request failed");
        "the worker failed; its log says why".into()
    } else {
        error.to_string()
    };
    (
        status,
        json!({ "error": { "message": message, "type": kind, "code": kind } }),
    )
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, body) = error_body(&self);
        let mut response = (status, Json(body)).into_response();
        if matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        ) {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A hash in a path.
fn hash(text: &str) -> Answer<Hash> {
    parse_hash(text)
}

/// The salt a consumer shows to see its own texts.
fn shown_salt(headers: &HeaderMap) -> Answer<Option<Hash>> {
    text(headers, payment::SALT).map(parse_hash).transpose()
}

/// Whether a shown salt is the stored one, in constant time; a wrong one is refused.
fn opens(shown: Option<Hash>, salt: &Hash) -> Answer<bool> {
    use subtle::ConstantTimeEq;
    match shown {
        None => Ok(false),
        Some(shown) if bool::from(shown.ct_eq(salt)) => Ok(true),
        Some(_) => Err(Error::Forbidden(format!(
            "{} is not this answer's: only its consumer has it",
            payment::SALT
        ))),
    }
}

fn octets(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response()
}

/// A file as it is, streamed.
async fn send_file(path: &std::path::Path) -> Answer<Response> {
    let missing = |_| {
        Error::Missing(format!(
            "{} is not there",
            path.file_name().unwrap_or_default().to_string_lossy()
        ))
    };
    let file = tokio::fs::File::open(path).await.map_err(missing)?;
    let length = file.metadata().await.map_err(missing)?.len();
    let body = axum::body::Body::from_stream(tokio_util::io::ReaderStream::new(file));
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
    ];
    Ok((headers, body).into_response())
}

/// Names and sizes of the plain files of a folder, sorted.
fn files(dir: &std::path::Path) -> Answer<Vec<(String, u64)>> {
    let list = || -> std::io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let meta = entry.metadata()?;
            if let (true, Ok(name)) = (meta.is_file(), entry.file_name().into_string()) {
                files.push((name, meta.len()));
            }
        }
        files.sort();
        Ok(files)
    };
    list().map_err(|error| Error::part("reading a folder", error))
}

/// The paired node's request. Who is refused is told why in the log as well: the node shows the status only.
async fn hook_v1(State(worker): Shared, headers: HeaderMap, body: Bytes) -> Answer<Response> {
    let answer = hook_answer(&worker, &headers, &body).await;
    if let Err(error) = &answer {
        tracing::warn!(%error, "refused a request to /hook/v1");
    }
    answer
}

async fn hook_answer(worker: &Arc<Worker>, headers: &HeaderMap, body: &[u8]) -> Answer<Response> {
    let get = |name: &str| {
        let missing = || {
            Error::Request(format!(
                "the header {name} is missing: only the paired node calls this"
            ))
        };
        text(headers, name).ok_or_else(missing)
    };
    let nonce = get(hook::NONCE)?;
    worker.gate.admit(
        crate::answer::now(),
        get(hook::TIME)?,
        nonce,
        get(hook::MAC)?,
        body,
    )?;
    // The number comes first in every version.
    match u16::decode(&mut &*body) {
        Ok(theirs) if theirs != protocol::PROTOCOL => {
            return Err(Error::Request(format!(
                "the node speaks hook protocol {theirs}, this worker {}: update the older of the two",
                protocol::PROTOCOL
            )))
        }
        _ => {}
    }
    let request = protocol::Request::decode_all(&mut &*body).map_err(|error| {
        Error::Request(format!(
            "the node's request cannot be read ({error}): update the worker"
        ))
    })?;
    let own = worker.clone();
    let answer = tokio::task::spawn_blocking(move || jobs::answer_hook(&own, &request))
        .await
        .map_err(|error| Error::part("hook", error))??
        .encode();
    let mac = worker.gate.sign_answer(nonce, &answer);
    Ok(([(hook::MAC, mac)], octets(answer)).into_response())
}

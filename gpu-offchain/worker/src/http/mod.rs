//! The public API and the operator's. Their paths and bodies are described in `docs/worker-api.md`, and for programs in
//! `/openapi.json`, which is made of the same table as the routes.

pub(crate) mod admin;
mod api;
mod ask;
mod batches;
mod body;
mod chat;
mod committees;
mod content;
mod indexes;
mod keys;
pub mod limits;
mod page;
mod receipts;
mod say;
pub(crate) mod serve;
mod status;
mod x402;

use crate::{error::Error, formats::parse_hash, hook, jobs, payment, state::Worker};
use api::{any_text, hex, list, number, object, or_null, planck, yes_or_no, Api, Op};
use axum::{
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{header, HeaderMap, HeaderValue, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    Extension, Json, Router,
};
use body::Octets;
use codec::{Decode, DecodeAll, Encode};
use openledger_protocol::{compute::hook as protocol, Hash};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{json, Value};
use std::{sync::Arc, time::Duration};
use tower_http::timeout::RequestBodyTimeoutLayer;

/// Largest body of a request that is no block of content, in bytes.
const MOST_BODY: usize = 1 << 20;
/// Longest time until a response begins.
const LONGEST: Duration = Duration::from_secs(120);
/// The same where a whole answer is the response.
const LONGEST_ANSWER: Duration = Duration::from_secs(1_200);
/// Longest time between two parts of a request's body.
const BODY_PAUSE: Duration = Duration::from_secs(20);

type Shared = State<Arc<Worker>>;
type Answer<T> = Result<T, Error>;

fn asking(op: Op) -> Op {
    op.header(
        payment::VOUCHER,
        "base64 of the canonical voucher and its signature",
    )
    .header(payment::TERMS, "base64 of the canonical terms")
    .header(payment::SALT, "32 random bytes in hexadecimal")
    .header(
        payment::CHANNEL,
        "a channel's number, in a request without voucher that asks for its state",
    )
    .header(
        x402::SIGNATURE,
        "or instead of these: base64 of an x402 payment of version 2 with the scheme `upto`",
    )
    .gives_like(402, object(&[("error", object(&[("message", any_text())]))]))
    .fails(&[403, 404, 409])
}

fn shown(op: Op) -> Op {
    op.header(payment::SALT, "the answer's salt, to see its texts")
        .fails(&[403, 404])
}

fn files_list() -> Value {
    list(object(&[("name", any_text()), ("bytes", number())]))
}

/// All routes, as they are described.
fn table() -> Api {
    let published = [
        ("receipt", hex()),
        ("signature", hex()),
        ("attribution", hex()),
        ("query", hex()),
    ];
    let job = Op::new("A job; every change of it to who accepts text/event-stream")
        .gives::<jobs::Progress>(200)
        .streams::<jobs::Progress>()
        .fails(&[404]);
    Api::default()
        .get(
            "/",
            page::page,
            Op::new("A page that shows an answer with its sources").gives_text(200, "text/html"),
        )
        .get(
            "/openapi.json",
            document,
            Op::new("This document").gives_like(200, object(&[("openapi", any_text())])),
        )
        .get(
            "/health",
            status::health,
            Op::new("Whether it works, and who it is")
                .gives::<status::Health>(200)
                .gives::<status::Health>(503),
        )
        .post(
            "/hook/v1",
            hook_v1,
            Op::new("For the paired node alone")
                .takes_bytes(MOST_BODY)
                .gives_bytes(200)
                .fails(&[401]),
        )
        .post(
            "/v1/chat/completions",
            chat::chat,
            asking(Op::new(
                "Answers a conversation; without payment, says what it costs",
            ))
            .takes::<ask::ChatRequest>()
            .gives::<say::ChatCompletion>(200)
            .streams::<say::ChatChunk>(),
        )
        .post(
            "/v1/completions",
            chat::completion,
            asking(Op::new("Continues a text; without payment, says what it costs"))
                .takes::<ask::TextRequest>()
                .gives::<say::TextCompletion>(200)
                .streams::<say::TextCompletion>(),
        )
        .post(
            "/v1/tokenize",
            chat::tokenize,
            Op::new("The tokens of a conversation or text")
                .takes::<ask::TokenizeRequest>()
                .gives::<chat::Tokens>(200),
        )
        .get(
            "/v1/models",
            status::models,
            Op::new("What can answer now").gives::<status::Models>(200),
        )
        .get(
            "/v1/models/{id}",
            status::model,
            Op::new("One of them, by `model:generation` or name")
                .gives::<status::Model>(200)
                .fails(&[404]),
        )
        .get(
            "/v1/tokenizers/{hash}",
            status::tokenizer,
            Op::new("The tokenizer's files")
                .gives_like(200, object(&[("files", files_list())]))
                .fails(&[404]),
        )
        .get(
            "/v1/tokenizers/{hash}/{name}",
            status::tokenizer_file,
            Op::new("One of them").gives_bytes(200).fails(&[404]),
        )
        .get(
            "/v1/channels/{id}",
            status::channel,
            Op::new("A channel, and how far its answers have come")
                .gives_like(
                    200,
                    object(&[
                        ("channel", number()),
                        ("consumer", hex()),
                        ("worker", hex()),
                        ("deposit", planck()),
                        ("cursor", planck()),
                        ("accepted", planck()),
                        ("previous", hex()),
                        ("closing", or_null(number())),
                        ("busy", yes_or_no()),
                    ]),
                )
                .fails(&[402, 404]),
        )
        .get(
            "/v1/jobs",
            status::jobs,
            Op::new("All jobs").gives::<status::Jobs>(200),
        )
        .get("/v1/jobs/{id}", status::job, job)
        .get(
            "/v1/jobs/{id}/loss.svg",
            status::loss,
            Op::new("The losses of a training job that was done here, as a picture")
                .gives_text(200, "image/svg+xml")
                .fails(&[404]),
        )
        .get(
            "/v1/answers/{voucher}",
            receipts::answer,
            Op::new("How far an answer has come, by its voucher's hash")
                .query("wait", "seconds to wait for the receipt, at most 30")
                .gives_like(200, object(&[("state", any_text()), ("receipt", hex())]))
                .gives_like(202, object(&[("state", any_text()), ("receipt", or_null(hex()))]))
                .fails(&[404]),
        )
        .get(
            "/v1/receipts",
            receipts::list,
            Op::new("The newest receipts")
                .query("limit", "how many, at most 1,000")
                .gives_like(
                    200,
                    object(&[(
                        "receipts",
                        list(object(&[
                            ("receipt", hex()),
                            ("model", number()),
                            ("generation", number()),
                            ("fee", planck()),
                            ("channel", number()),
                            ("batch", or_null(number())),
                            ("signed", number()),
                        ])),
                    )]),
                ),
        )
        .get(
            "/v1/receipts/{hash}",
            receipts::receipt,
            shown(Op::new("A receipt with what it rests on")).gives_like(200, object(&published)),
        )
        .get(
            "/v1/attributions/{receipt}",
            receipts::attribution,
            shown(Op::new("What shaped an answer, for people")).gives_like(
                200,
                object(&[
                    ("receipt", hex()),
                    ("fee", planck()),
                    ("contributors_part", planck()),
                    ("credited", yes_or_no()),
                    (
                        "sources",
                        list(object(&[
                            ("row", number()),
                            ("share", number()),
                            ("contributor", hex()),
                        ])),
                    ),
                    (
                        "contributors",
                        list(object(&[("contributor", hex()), ("amount", planck())])),
                    ),
                ]),
            ),
        )
        .get(
            "/v1/payouts/{receipt}",
            receipts::payouts,
            Op::new("Who was paid what for an answer, and where that was read")
                .gives_like(
                    200,
                    object(&[
                        ("receipt", hex()),
                        ("block", number()),
                        ("block_hash", hex()),
                        (
                            "contributors",
                            list(object(&[("contributor", hex()), ("amount", planck())])),
                        ),
                        ("parts", object(&[("compute", planck())])),
                    ]),
                )
                .fails(&[404]),
        )
        .get(
            "/v1/batches",
            batches::list,
            Op::new("The newest batches").gives_like(
                200,
                object(&[(
                    "batches",
                    list(object(&[
                        ("id", or_null(number())),
                        ("state", any_text()),
                        ("receipts", number()),
                        ("fee", planck()),
                    ])),
                )]),
            ),
        )
        .get(
            "/v1/batches/{id}",
            batches::batch,
            Op::new("A batch with everything a watcher needs")
                .gives_like(
                    200,
                    object(&[
                        ("id", number()),
                        ("header", hex()),
                        ("credits_header", hex()),
                        ("channels", hex()),
                        ("receipts", hex()),
                        ("parts", hex()),
                        ("credits", hex()),
                        ("answers", list(object(&published))),
                    ]),
                )
                .fails(&[404]),
        )
        .get(
            "/v1/committees/{case}/{member}",
            committees::handed,
            Op::new("For a member with a seat in a case about an answer: what is behind it, sealed for that member")
                .gives_bytes(200)
                .fails(&[403, 404]),
        )
        .get(
            "/v1/indexes/{hash}",
            indexes::index,
            Op::new("An index: header, layout, files")
                .gives_like(
                    200,
                    object(&[
                        ("header", hex()),
                        ("layout", hex()),
                        ("rows", number()),
                        ("corpus", number()),
                        ("blocks", list(any_text())),
                        ("files", files_list()),
                    ]),
                )
                .fails(&[404]),
        )
        .get(
            "/v1/indexes/{hash}/files/{name}",
            indexes::file,
            Op::new("A file of it").gives_bytes(200).fails(&[404]),
        )
        .get(
            "/v1/indexes/{hash}/rows",
            indexes::rows,
            leaves("Canonical list of opened rows"),
        )
        .get(
            "/v1/indexes/{hash}/corpus",
            indexes::corpus,
            leaves("Canonical list of opened corpus entries"),
        )
        .get(
            "/v1/indexes/{hash}/bases",
            indexes::bases,
            leaves("Canonical list of opened bases"),
        )
        .get(
            "/v1/indexes/{hash}/sources",
            indexes::sources,
            leaves("Canonical list of the opened leaves behind its rows"),
        )
        .get(
            "/v1/records/{contribution}/{index}",
            indexes::record,
            Op::new("A record's text and its place in its contribution")
                .gives_like(200, object(&[("text", any_text()), ("opening", hex())]))
                .fails(&[403, 404]),
        )
        .post(
            "/v1/keys",
            keys::give,
            Op::new("A key of licensed content, in a box, for who may have it")
                .takes::<keys::Signed>()
                .gives_like(200, object(&[("box", hex())]))
                .fails(&[401, 403, 404, 409]),
        )
        .put(
            "/v1/content/{cid}",
            content::put,
            Op::new("Takes a block of content")
                .query("part", "1 for a block of a file whose root follows")
                .takes_bytes(openledger_content::MAX_BLOCK)
                .gives_bytes(200)
                .gives_bytes(201)
                .fails(&[403, 507]),
        )
        .get(
            "/v1/content/{cid}",
            content::get,
            Op::new("Gives a block of content")
                .gives_bytes(200)
                .fails(&[403, 404]),
        )
}

fn leaves(summary: &'static str) -> Op {
    Op::new(summary)
        .query("from", "the first")
        .query("count", "how many")
        .gives_bytes(200)
        .fails(&[404])
}

/// All public routes.
pub fn router(worker: Arc<Worker>) -> Router {
    let (router, paths) = table().finish();
    let document = paths.document("An OpenLedger worker");
    finish(&worker, "public", router, document)
}

/// What every route has: limits, counters, this API's errors.
fn finish(worker: &Arc<Worker>, port: &'static str, router: Router<Arc<Worker>>, document: Value) -> Router {
    router
        .fallback(unknown)
        .method_not_allowed_fallback(not_so)
        .layer(DefaultBodyLimit::max(MOST_BODY))
        .layer(Extension(Document(Arc::new(document))))
        .layer(middleware::from_fn(in_time))
        .layer(RequestBodyTimeoutLayer::new(BODY_PAUSE))
        .layer(middleware::from_fn_with_state(worker.clone(), limits::limit))
        .layer(middleware::from_fn_with_state((worker.clone(), port), count))
        .with_state(worker.clone())
}

#[derive(Clone)]
struct Document(Arc<Value>);

async fn document(Extension(Document(document)): Extension<Document>) -> Json<Value> {
    Json(Value::clone(&document))
}

async fn unknown() -> Error {
    Error::Missing("there is nothing at this path: see docs/worker-api.md".into())
}

async fn not_so() -> Error {
    Error::Method("this path is not called so: see docs/worker-api.md".into())
}

async fn in_time(request: Request, next: Next) -> Response {
    let asks = request.uri().path().ends_with("completions");
    let longest = if asks { LONGEST_ANSWER } else { LONGEST };
    match tokio::time::timeout(longest, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            Error::Slow(format!("no answer within {} s: ask for less", longest.as_secs())).into_response()
        }
    }
}

async fn count(
    State((worker, port)): State<(Arc<Worker>, &'static str)>,
    request: Request,
    next: Next,
) -> Response {
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = path.as_ref().map_or("none", MatchedPath::as_str);
    // Others can be made up without end.
    let method = match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH") => known,
        _ => "other",
    };
    worker
        .metrics
        .answered(port, method, route, response.status().as_u16());
    response
}

/// OpenAI's error object.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ErrorBody {
    error: ErrorObject,
}

#[derive(Serialize, JsonSchema)]
struct ErrorObject {
    /// What was wrong and what to do.
    message: String,
    r#type: &'static str,
    /// Which field is wrong; not told apart here.
    param: Option<String>,
    code: &'static str,
}

/// An error's status and body.
fn error_body(error: &Error) -> (StatusCode, Value) {
    let (status, kind) = match error {
        Error::Request(_) | Error::Hopeless(_) => (StatusCode::BAD_REQUEST, "invalid_request_error"),
        Error::Payment(_) => (StatusCode::PAYMENT_REQUIRED, "payment_required"),
        Error::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
        Error::Missing(_) => (StatusCode::NOT_FOUND, "not_found"),
        Error::Unauthorized(_) => (StatusCode::UNAUTHORIZED, "unauthorized"),
        Error::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden"),
        Error::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "invalid_request_error"),
        Error::Full(_) => (StatusCode::INSUFFICIENT_STORAGE, "full"),
        Error::Later(..) => (StatusCode::TOO_MANY_REQUESTS, "busy"),
        Error::Method(_) => (StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error"),
        Error::Slow(_) => (StatusCode::REQUEST_TIMEOUT, "timeout"),
        Error::NotReady(_) | Error::Lost(_) => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
        Error::Setup(_) | Error::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
    };
    // What went wrong inside is the operator's, not the world's.
    let message = if status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(%error, "a request failed");
        "the worker failed; its log says why".into()
    } else {
        error.to_string()
    };
    let body = ErrorBody {
        error: ErrorObject {
            message,
            r#type: kind,
            param: None,
            code: kind,
        },
    };
    (status, json!(body))
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, body) = error_body(&self);
        let mut response = (status, Json(body)).into_response();
        let after = match self {
            Error::Later(_, after) => Some(after),
            Error::NotReady(_) => Some(2),
            _ => None,
        };
        if let Some(after) = after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(after));
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
async fn hook_v1(State(worker): Shared, headers: HeaderMap, Octets(body): Octets) -> Answer<Response> {
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

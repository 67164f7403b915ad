//! `proxy`: an OpenAI-compatible endpoint on this machine that pays. It holds the key and the channels, signs a voucher for each
//! question, keeps to spending limits, and checks every receipt; OpenAI's own SDKs work through it as they are.

use crate::{
    args,
    book::Page,
    channels,
    context::Context,
    files,
    pay::{self, excerpt, Order, Question, Wish},
    spending::{today, Limits, Spending},
    texts::Parameters,
    wire::hex_of,
    Error, Result,
};
use axum::{
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Path, State},
    http::{header, HeaderMap, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
    Json, Router,
};
use openledger_attribution::wire::Object;
use openledger_chain::{open, Chain, Head};
use openledger_model::{Message, Tokenizer};
use serde_json::{json, Value};
use std::{
    collections::VecDeque,
    io::{BufRead, BufReader},
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot, Semaphore};

/// Questions at once; more are told to come again.
const MOST: usize = 64;
/// How long a question waits for a free channel.
const WAIT: Duration = Duration::from_secs(120);
/// How often a question is sent before its failure is told.
const TRIES: u32 = 4;
/// The longest that a worker's `retry-after` is waited for; longer ones are passed on.
const LONGEST_PAUSE: u64 = 5;
/// Largest request, in bytes.
const MOST_BODY: usize = 1 << 20;

struct Proxy {
    context: Context,
    chain: Chain,
    runtime: tokio::runtime::Handle,
    data: PathBuf,
    api_key: String,
    expiry: u64,
    spending: Spending,
    free: Mutex<VecDeque<u64>>,
    freed: Condvar,
    places: Semaphore,
    tokenizer: Mutex<Option<Arc<Tokenizer>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs the command.
pub async fn run(context: Context, command: args::Proxy) -> Result<()> {
    if !command.listen.ip().is_loopback() {
        return Err(Error::other(format!(
            "--listen {} is reached from outside, and who reaches it spends your OPEN: give an address of loopback",
            command.listen
        )));
    }
    let chain = context.chain().await?;
    let key = context.key(&chain)?;
    let worker = channels::worker_account(&context)?;
    let block = chain.head(Head::Best).await?;
    let own = pay::own_channels(&chain, &key, &worker, block).await?;
    let used: VecDeque<u64> = match command.channels.as_slice() {
        [] => own.iter().copied().collect(),
        named => named.iter().copied().collect(),
    };
    if used.is_empty() {
        return Err(pay::no_channel(&key, &worker, block));
    }
    if let Some(other) = used.iter().find(|id| !own.contains(id)) {
        return Err(Error::other(format!(
            "channel {other} is none of {own:?}, your open channels to this worker at block {block}"
        )));
    }
    let data = context.data(&chain.genesis());
    let limits = Limits {
        answer: command.most_per_answer,
        day: command.most_per_day,
    };
    let spending = Spending::open(&data, limits)?;
    let api_key = api_key(&data)?;
    let listener = tokio::net::TcpListener::bind(command.listen).await.map_err(|e| {
        Error::other(format!(
            "nothing can listen on {}: {e}; choose another --listen",
            command.listen
        ))
    })?;
    let address = listener
        .local_addr()
        .map_err(|e| Error::other(format!("the proxy has no address: {e}")))?;
    let spent = spending.today(today()).0;
    context.say(format!(
        "OPENAI_BASE_URL=http://{address}/v1\nOPENAI_API_KEY={api_key}\nchannels {used:?}, at most {} an answer and {} a day, {} of today's spent",
        open(limits.answer),
        open(limits.day),
        open(spent)
    ));
    context.give(&json!({
        "base_url": format!("http://{address}/v1"),
        "api_key": api_key,
        "channels": used,
        "most_per_answer": limits.answer.to_string(),
        "most_per_day": limits.day.to_string(),
        "spent_today": spent.to_string(),
    }));
    let proxy = Arc::new(Proxy {
        context,
        chain,
        runtime: tokio::runtime::Handle::current(),
        data,
        api_key,
        expiry: command.expiry,
        spending,
        free: Mutex::new(used),
        freed: Condvar::new(),
        places: Semaphore::new(MOST),
        tokenizer: Mutex::new(None),
    });
    let router = Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/v1/completions", post(completion))
        .route("/v1/models", get(models))
        .route("/v1/models/{id}", get(model))
        .route("/spending", get(spending_now))
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(MOST_BODY))
        .with_state(proxy);
    let stopped = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    axum::serve(listener, router)
        .with_graceful_shutdown(stopped)
        .await
        .map_err(|e| Error::other(format!("the proxy ended: {e}")))
}

/// What callers on this machine must show: another user of it, or a page in a browser, must not spend.
fn api_key(data: &std::path::Path) -> Result<String> {
    let path = data.join("proxy.key");
    if let Ok(text) = std::fs::read_to_string(&path) {
        let key = text.trim();
        if key.len() >= 32 {
            return Ok(key.to_owned());
        }
        return Err(Error::file(
            &path,
            "it has no key of 32 characters: move it away, and another is made",
        ));
    }
    let key = format!("sk-{}", hex::encode(crate::context::random()?));
    files::replace(&path, format!("{key}\n").as_bytes())?;
    Ok(key)
}

/// What goes back to the SDK.
enum Reply {
    /// In OpenAI's shape.
    Refusal(u16, Value, Option<u64>),
    /// A whole answer.
    Whole(Value),
    /// Server-sent events.
    Events(mpsc::Receiver<Bytes>),
}

fn refusal(status: u16, code: &str, message: impl ToString) -> Reply {
    let error = json!({ "message": message.to_string(), "type": code, "param": null, "code": code });
    Reply::Refusal(status, json!({ "error": error }), None)
}

impl From<Error> for Reply {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match &error {
            Error::Limit(_) => refusal(402, "spending_limit", text),
            Error::Request(_) => refusal(400, "invalid_request_error", text),
            Error::Missing(_) => refusal(404, "model_not_found", text),
            Error::Worker { status, .. } => refusal(*status, "worker", text),
            Error::NoWorker { .. } | Error::Chain(_) => refusal(503, "not_ready", text),
            _ => refusal(502, "proxy", text),
        }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        match self {
            Self::Whole(body) => Json(body).into_response(),
            Self::Refusal(status, body, after) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
                let mut response = (status, Json(body)).into_response();
                if let Some(after) = after {
                    response
                        .headers_mut()
                        .insert(header::RETRY_AFTER, HeaderValue::from(after));
                }
                response
            }
            Self::Events(events) => {
                let events = futures_util::stream::unfold(events, |mut events| async move {
                    let event = events.recv().await?;
                    Some((Ok::<_, std::convert::Infallible>(event), events))
                });
                let headers = [
                    (header::CONTENT_TYPE, "text/event-stream"),
                    (header::CACHE_CONTROL, "no-cache"),
                ];
                (headers, Body::from_stream(events)).into_response()
            }
        }
    }
}

async fn unknown() -> Reply {
    refusal(
        404,
        "not_found",
        "the proxy has chat completions, completions and models",
    )
}

async fn spending_now(State(proxy): State<Arc<Proxy>>, headers: HeaderMap) -> Reply {
    if let Err(reply) = proxy.admits(&headers) {
        return reply;
    }
    let (spent, limits) = proxy.spending.today(today());
    Reply::Whole(json!({
        "spent_today": spent.to_string(),
        "most_per_day": limits.day.to_string(),
        "most_per_answer": limits.answer.to_string(),
    }))
}

async fn models(State(proxy): State<Arc<Proxy>>, headers: HeaderMap) -> Reply {
    proxy.pass("/v1/models".into(), headers).await
}

async fn model(State(proxy): State<Arc<Proxy>>, Path(id): Path<String>, headers: HeaderMap) -> Reply {
    // Names are as people wrote them; in a path they are bytes in hexadecimal.
    let id: String = id.bytes().map(|byte| format!("%{byte:02X}")).collect();
    proxy.pass(format!("/v1/models/{id}"), headers).await
}

async fn chat(State(proxy): State<Arc<Proxy>>, headers: HeaderMap, body: Bytes) -> Reply {
    ask(proxy, "/v1/chat/completions", headers, body).await
}

async fn completion(State(proxy): State<Arc<Proxy>>, headers: HeaderMap, body: Bytes) -> Reply {
    ask(proxy, "/v1/completions", headers, body).await
}

async fn ask(proxy: Arc<Proxy>, path: &'static str, headers: HeaderMap, body: Bytes) -> Reply {
    if let Err(reply) = proxy.admits(&headers) {
        return reply;
    }
    let body: Value = match serde_json::from_slice(&body) {
        Ok(body) => body,
        Err(e) => return Error::Request(format!("the body cannot be read: {e}")).into(),
    };
    let (send, first) = oneshot::channel();
    let own = proxy.clone();
    tokio::task::spawn_blocking(move || {
        let Ok(_place) = own.places.try_acquire() else {
            let Reply::Refusal(status, body, _) =
                refusal(429, "busy", format!("{MOST} questions are under way: ask again"))
            else {
                return;
            };
            let _ = send.send(Reply::Refusal(status, body, Some(1)));
            return;
        };
        let mut reply = Some(send);
        if let Err(error) = own.answer(path, body, &mut reply) {
            match reply.take() {
                Some(reply) => {
                    let _ = reply.send(error.into());
                }
                // The SDK has its answer already; what went wrong after it is the person's to know.
                None => eprintln!("error: {error}"),
            }
        }
    });
    first
        .await
        .unwrap_or_else(|_| refusal(500, "proxy", "the question was lost: see what the proxy printed"))
}

/// A channel that one question holds.
struct Held<'a> {
    proxy: &'a Proxy,
    channel: u64,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        lock(&self.proxy.free).push_back(self.channel);
        self.proxy.freed.notify_one();
    }
}

/// What the worker said.
enum Said {
    /// It answers.
    Answers(ureq::http::Response<ureq::Body>),
    /// It refuses this voucher for now; another look may help.
    Anew(u16, Value),
    /// It refuses.
    Refuses(u16, Value, Option<u64>),
}

impl Proxy {
    fn admits(&self, headers: &HeaderMap) -> Result<(), Reply> {
        let shown = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
            .unwrap_or_default();
        // Compared by their hashes, so that the time says nothing of the key.
        let hash = |text: &str| openledger_attribution::hash::keccak(&[text.trim().as_bytes()]);
        if hash(shown) == hash(&self.api_key) {
            return Ok(());
        }
        Err(refusal(
            401,
            "invalid_api_key",
            "the API key is not the proxy's: use the one it printed when it started",
        ))
    }

    async fn pass(self: &Arc<Self>, path: String, headers: HeaderMap) -> Reply {
        if let Err(reply) = self.admits(&headers) {
            return reply;
        }
        let own = self.clone();
        let got =
            tokio::task::spawn_blocking(move || own.context.worker().send("GET", &path, &[], None)).await;
        match got {
            Ok(Ok(response)) => match response.status().as_u16() {
                200 => Reply::Whole(said_by(response).unwrap_or_default()),
                status => Reply::Refusal(status, said_by(response).unwrap_or_default(), None),
            },
            Ok(Err(error)) => error.into(),
            Err(error) => refusal(500, "proxy", error),
        }
    }

    fn take(&self) -> Result<Held<'_>> {
        let free = lock(&self.free);
        let (mut free, late) = self
            .freed
            .wait_timeout_while(free, WAIT, |free| free.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        let channel = free.pop_front().filter(|_| !late.timed_out());
        channel
            .map(|channel| Held {
                proxy: self,
                channel,
            })
            .ok_or_else(|| {
                Error::other(format!(
                    "no channel was free for {} s: open more with `openledger channel open OPEN` and start the proxy again",
                    WAIT.as_secs()
                ))
            })
    }

    /// Pays for one question and hands its answer to `reply`; returns once the receipt is checked.
    fn answer(&self, path: &str, body: Value, reply: &mut Option<oneshot::Sender<Reply>>) -> Result<()> {
        let held = self.take()?;
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_answer(path, &body, held.channel, reply)? {
                // Prices or the channel have moved: looked up anew.
                Some(_) if tries < 2 => {}
                Some((status, said)) => {
                    if let Some(reply) = reply.take() {
                        let _ = reply.send(Reply::Refusal(status, said, None));
                    }
                    return Ok(());
                }
                None => return Ok(()),
            }
        }
    }

    fn order(&self, model: &str, channel: u64) -> Result<Order> {
        let wish = Wish {
            model: model.to_owned(),
            generation: None,
            channel: Some(channel),
        };
        let known = lock(&self.tokenizer).clone();
        let order = self
            .runtime
            .block_on(pay::look_up(&self.context, self.chain.clone(), &wish, known))?;
        *lock(&self.tokenizer) = Some(order.tokenizer.clone());
        Ok(order)
    }

    /// One try: `Some` is a refusal that another look may mend.
    fn try_answer(
        &self,
        path: &str,
        body: &Value,
        channel: u64,
        reply: &mut Option<oneshot::Sender<Reply>>,
    ) -> Result<Option<(u16, Value)>> {
        let model = body["model"]
            .as_str()
            .ok_or_else(|| Error::Request("model is missing: name one of /v1/models".into()))?;
        let order = self.order(model, channel)?;
        let mut page = Page::open(&self.data, channel)?;
        self.conclude(&order, &mut page)?;
        self.runtime
            .block_on(pay::settle_page(&self.context, &order, &mut page, &self.data))?;

        let parameters = Parameters::of_request(body).map_err(Error::Request)?;
        let (prompt, shown) = prompt(path, body, &order.tokenizer)?;
        let question = Question {
            prompt,
            parameters: parameters.clone(),
            seed: body["seed"].as_u64(),
            expiry: self.expiry,
            shown,
        };
        self.spending.check(pay::most(&order, &question)?, today())?;
        let pending = pay::sign(&order, &page, &question)?;
        let voucher = pending.voucher.hash();
        // Both are on the disk before the voucher leaves.
        self.spending.reserve(&voucher, pending.voucher.most, today())?;
        page.begin(&pending)?;
        let mut sent = body.clone();
        sent["model"] = format!("{}:{}", order.model, order.generation).into();
        sent["seed"] = pending.terms.seed.into();
        let response = match self.send(&order, path, &pay::headers(&pending), &sent)? {
            Said::Answers(response) => response,
            Said::Anew(status, said) => {
                self.conclude(&order, &mut page)?;
                return Ok(Some((status, said)));
            }
            Said::Refuses(status, said, after) => {
                self.conclude(&order, &mut page)?;
                if let Some(reply) = reply.take() {
                    let _ = reply.send(Reply::Refusal(status, said, after));
                }
                return Ok(None);
            }
        };
        let n = usize::try_from(parameters.n).unwrap_or(1);
        let texts = match body["stream"].as_bool() {
            Some(true) => self.stream(response, n, reply),
            _ => whole(&order, response, n, reply)?,
        };
        let hash = pay::receipt_of(&order.worker, &pending)?;
        let Some(hash) = hash else {
            // Left before anything was made.
            page.forget()?;
            self.spending.release(&voucher)?;
            return Ok(None);
        };
        let published = self
            .runtime
            .block_on(pay::take_receipt(&order, &pending, &hash))?;
        let seen = texts.as_deref().map(|texts| (&parameters, texts));
        pay::check_output(&order, &pending, &published, seen)?;
        let receipt = &published.answer.receipt;
        page.finish(&self.data, receipt, &published.signature)?;
        self.spending.settle(&voucher, receipt.fee)?;
        let (spent, limits) = self.spending.today(today());
        self.context.say(format!(
            "\"{}\": {} (receipt {}), today {} of {}",
            excerpt(&pending.prompt, 40),
            open(receipt.fee),
            hex_of(hash),
            open(spent),
            open(limits.day)
        ));
        self.context.give(&json!({
            "receipt": hex_of(hash),
            "fee": receipt.fee.to_string(),
            "channel": channel,
            "spent_today": spent.to_string(),
        }));
        Ok(None)
    }

    /// Finds out what became of a channel's open voucher and writes it into both books.
    fn conclude(&self, order: &Order, page: &mut Page) -> Result<()> {
        let Some(pending) = page.pending()? else {
            return Ok(());
        };
        let voucher = pending.voucher.hash();
        match self.runtime.block_on(pay::conclude(order, page, &self.data))? {
            Some((_, published)) => self.spending.settle(&voucher, published.answer.receipt.fee),
            None => self.spending.release(&voucher),
        }
    }

    /// Sends a paid question. The same voucher is answered once however often it is sent, so a broken connection is tried again.
    fn send(&self, order: &Order, path: &str, headers: &[(&str, String)], body: &Value) -> Result<Said> {
        let mut tries = 0;
        loop {
            tries += 1;
            let response = match order.worker.send("POST", path, headers, Some(body)) {
                Ok(response) => response,
                Err(_) if tries < TRIES => {
                    std::thread::sleep(Duration::from_millis(500));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let status = response.status().as_u16();
            if response.status().is_success() {
                return Ok(Said::Answers(response));
            }
            let after: Option<u64> = response
                .headers()
                .get("retry-after")
                .and_then(|value| value.to_str().ok()?.parse().ok());
            let said = said_by(response).unwrap_or_default();
            match (status, after) {
                (429 | 503, Some(after)) if after <= LONGEST_PAUSE && tries < TRIES => {
                    std::thread::sleep(Duration::from_secs(after));
                }
                (402 | 409, _) => return Ok(Said::Anew(status, said)),
                _ => return Ok(Said::Refuses(status, said, after)),
            }
        }
    }

    /// Hands events on as they come. Gives the text of each choice, or nothing if the SDK left or the stream broke.
    fn stream(
        &self,
        response: ureq::http::Response<ureq::Body>,
        n: usize,
        reply: &mut Option<oneshot::Sender<Reply>>,
    ) -> Option<Vec<String>> {
        // Small: an SDK that does not read holds the worker's stream back, not this program's memory.
        let (send, events) = mpsc::channel(64);
        reply.take()?.send(Reply::Events(events)).ok()?;
        let mut texts = vec![String::new(); n];
        let mut is_whole = false;
        for line in BufReader::new(response.into_body().into_reader()).lines() {
            let line = line.ok()?;
            if let Some(data) = line.strip_prefix("data:").map(str::trim) {
                is_whole |= data == "[DONE]";
                if let Ok(event) = serde_json::from_str::<Value>(data) {
                    add(&mut texts, &event);
                }
            }
            send.blocking_send(Bytes::from(format!("{line}\n"))).ok()?;
        }
        is_whole.then_some(texts)
    }
}

/// A body of JSON.
fn said_by(mut response: ureq::http::Response<ureq::Body>) -> Result<Value, String> {
    let bytes = response.body_mut().read_to_vec().map_err(|e| e.to_string())?;
    serde_json::from_slice(&bytes).map_err(|e| e.to_string())
}

/// Adds what an event or a whole answer says to the choices' texts.
fn add(texts: &mut [String], said: &Value) {
    for choice in said["choices"].as_array().into_iter().flatten() {
        let text = choice["delta"]["content"]
            .as_str()
            .or_else(|| choice["message"]["content"].as_str())
            .or_else(|| choice["text"].as_str());
        let index = choice["index"]
            .as_u64()
            .and_then(|index| usize::try_from(index).ok());
        if let (Some(text), Some(to)) = (text, index.and_then(|index| texts.get_mut(index))) {
            to.push_str(text);
        }
    }
}

fn whole(
    order: &Order,
    response: ureq::http::Response<ureq::Body>,
    n: usize,
    reply: &mut Option<oneshot::Sender<Reply>>,
) -> Result<Option<Vec<String>>> {
    let body = said_by(response).map_err(|e| order.worker.wrong("an answer", e))?;
    let mut texts = vec![String::new(); n];
    add(&mut texts, &body);
    if let Some(reply) = reply.take() {
        let _ = reply.send(Reply::Whole(body));
    }
    Ok(Some(texts))
}

/// The tokens that a request asks for, and the question for people.
fn prompt(path: &str, body: &Value, tokenizer: &Tokenizer) -> Result<(Vec<u32>, String)> {
    let unread = |e: openledger_model::Error| Error::Request(format!("the question cannot be read: {e}"));
    if path.ends_with("chat/completions") {
        let messages = messages(&body["messages"]).map_err(Error::Request)?;
        let shown = messages
            .last()
            .map(|last| last.content.clone())
            .unwrap_or_default();
        return Ok((tokenizer.chat(&messages).map_err(unread)?, shown));
    }
    let prompt = match &body["prompt"] {
        Value::Array(texts) if matches!(texts.as_slice(), [Value::String(_)]) => &body["prompt"][0],
        other => other,
    };
    match prompt {
        Value::String(text) => Ok((tokenizer.text_prompt(text).map_err(unread)?, text.clone())),
        tokens => {
            let tokens: Vec<u32> = serde_json::from_value(tokens.clone())
                .map_err(|e| Error::Request(format!("prompt is neither a text nor a list of tokens: {e}")))?;
            let shown = tokenizer.decode(&tokens).map_err(unread)?;
            Ok((tokens, shown))
        }
    }
}

/// Messages as the worker reads them.
fn messages(list: &Value) -> Result<Vec<Message>, String> {
    let list = list
        .as_array()
        .ok_or("messages is no list: send at least one message")?;
    let read = |message: &Value| {
        let role = match message["role"].as_str() {
            Some("system" | "developer") => "system",
            Some("user") => "user",
            Some("assistant") => "assistant",
            _ => {
                return Err(format!(
                    "role {} is unknown: use system, user or assistant",
                    message["role"]
                ))
            }
        };
        let content = match &message["content"] {
            Value::String(text) => text.clone(),
            Value::Array(parts) => parts
                .iter()
                .map(|part| match (part["type"].as_str(), part["text"].as_str()) {
                    (Some("text"), Some(text)) => Ok(text),
                    _ => Err("a message part cannot be read: send text".to_owned()),
                })
                .collect::<Result<Vec<_>, _>>()?
                .concat(),
            other => return Err(format!("content is {other}: send a text")),
        };
        Ok(Message {
            role: role.into(),
            content,
        })
    };
    if list.is_empty() {
        return Err("there is no message: send at least one".into());
    }
    list.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_the_worker_reads_them() {
        let read = messages(&json!([
            { "role": "developer", "content": "Be brief." },
            { "role": "user", "content": [{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }], "name": "x" },
        ]))
        .unwrap();
        assert_eq!(
            (read[0].role.as_str(), read[1].content.as_str()),
            ("system", "ab")
        );
        for wrong in [
            json!(null),
            json!([]),
            json!([{ "role": "tool", "content": "x" }]),
            json!([{ "role": "user", "content": [{ "type": "image_url" }] }]),
            json!([{ "role": "user", "content": null }]),
        ] {
            assert!(messages(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn texts_of_all_forms_of_answers_are_collected() {
        let mut texts = vec![String::new(); 2];
        for said in [
            json!({ "choices": [{ "index": 1, "delta": { "role": "assistant", "content": "" } }] }),
            json!({ "choices": [{ "index": 1, "delta": { "content": "b" } }] }),
            json!({ "choices": [{ "index": 0, "text": "a" }] }),
            json!({ "choices": [{ "index": 1, "message": { "content": "c" } }] }),
            json!({ "choices": [{ "index": 9, "text": "lost" }], "usage": {} }),
        ] {
            add(&mut texts, &said);
        }
        assert_eq!(texts, ["a", "bc"]);
    }
}

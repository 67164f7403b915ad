//! `/v1/chat/completions`, as OpenAI's clients speak it; what is paid travels in headers.

use super::{opens, text, Answer, Shared};
use crate::{
    answer::{self, now, Piece},
    db::AnswerRow,
    error::Error,
    formats::{hex0x, Parameters},
    payment::{self, Asked, Payment},
    state::{lock, Worker},
};
use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::{
        sse::{Event, KeepAlive, Sse},
        IntoResponse, Response,
    },
    Json,
};
use openledger_attribution::wire::Object;
use openledger_model::Message;
use openledger_protocol::Hash;
use serde::Deserialize;
use serde_json::{json, Value};
use std::{convert::Infallible, sync::Arc};
use tokio::sync::mpsc;

/// Tokens of an answer if the request names no number.
const DEFAULT_TOKENS: u32 = 128;

/// What this worker reads of a request. Fields it does not know are ignored, those it knows and cannot serve refused.
#[derive(Deserialize)]
struct Body {
    model: String,
    messages: Vec<BodyMessage>,
    #[serde(default)]
    stream: bool,
    max_tokens: Option<u32>,
    max_completion_tokens: Option<u32>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    seed: Option<u64>,
    #[serde(default)]
    stop_token_ids: Vec<u32>,
    stop: Option<Value>,
    n: Option<u32>,
    tools: Option<Value>,
    functions: Option<Value>,
    logprobs: Option<Value>,
    response_format: Option<Value>,
}

#[derive(Deserialize)]
struct BodyMessage {
    role: String,
    content: Content,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
}

fn messages(body: Vec<BodyMessage>) -> Answer<Vec<Message>> {
    let read = |message: BodyMessage| {
        if !matches!(message.role.as_str(), "system" | "user" | "assistant") {
            return Err(Error::Request(format!(
                "role {:?} is unknown: use system, user or assistant",
                message.role
            )));
        }
        let content = match message.content {
            Content::Text(text) => text,
            Content::Parts(parts) => {
                let text = |part: Part| match (part.kind.as_str(), part.text) {
                    ("text", Some(text)) => Ok(text),
                    (kind, _) => Err(Error::Request(format!(
                        "a message part of type {kind:?} cannot be read: send text"
                    ))),
                };
                parts.into_iter().map(text).collect::<Answer<Vec<_>>>()?.concat()
            }
        };
        Ok(Message {
            role: message.role,
            content,
        })
    };
    let messages: Vec<Message> = body.into_iter().map(read).collect::<Answer<_>>()?;
    match messages.last() {
        None => Err(Error::Request("there is no message: send at least one".into())),
        Some(_) => Ok(messages),
    }
}

fn parse<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Answer<T> {
    serde_json::from_slice(body).map_err(|error| Error::Request(format!("the body cannot be read: {error}")))
}

/// Reads a request into what it asks for.
fn read(worker: &Worker, body: &[u8]) -> Answer<(Asked, bool)> {
    let body: Body = parse(body)?;
    let refused = [
        (
            "stop",
            body.stop.is_some_and(|stop| !stop.is_null()),
            "use stop_token_ids",
        ),
        ("n", body.n.is_some_and(|n| n != 1), "ask once for each answer"),
        (
            "tools",
            body.tools.is_some_and(|tools| !tools.is_null()),
            "leave it out",
        ),
        (
            "functions",
            body.functions.is_some_and(|functions| !functions.is_null()),
            "leave it out",
        ),
        (
            "logprobs",
            body.logprobs.is_some_and(|wanted| wanted == Value::Bool(true)),
            "leave it out",
        ),
        (
            "response_format",
            body.response_format
                .is_some_and(|format| format["type"].as_str().is_some_and(|kind| kind != "text")),
            "ask for text",
        ),
    ];
    if let Some((field, _, remedy)) = refused.iter().find(|(_, is_set, _)| *is_set) {
        return Err(Error::Request(format!("{field} is not served here: {remedy}")));
    }
    let served = worker.serving.named(&body.model)?;
    let prompt = worker
        .base
        .tokenizer
        .chat(&messages(body.messages)?)
        .map_err(|error| Error::Request(format!("the messages cannot be read: {error}")))?;

    let (temperature, top_p) = (body.temperature.unwrap_or(1.0), body.top_p.unwrap_or(1.0));
    let is_sampled = (0.0..=2.0).contains(&temperature) && top_p > 0.0 && top_p <= 1.0;
    if !is_sampled {
        return Err(Error::Request(format!(
            "temperature {temperature} and top_p {top_p}: the first is from 0 to 2, the second above 0 up to 1"
        )));
    }
    let max_tokens = body
        .max_completion_tokens
        .or(body.max_tokens)
        .unwrap_or(DEFAULT_TOKENS);
    let room = worker.base.context().saturating_sub(prompt.len());
    if max_tokens == 0 || usize::try_from(max_tokens).is_ok_and(|tokens| tokens > room) {
        return Err(Error::Request(format!(
            "max_tokens is {max_tokens}: with {} tokens of prompt this model has room for 1 to {room}",
            prompt.len()
        )));
    }
    let mut stop = body.stop_token_ids;
    stop.sort_unstable();
    stop.dedup();
    let vocabulary = worker.base.tokenizer.vocab_size();
    if let Some(id) = stop
        .iter()
        .find(|id| usize::try_from(**id).is_ok_and(|id| id >= vocabulary))
    {
        return Err(Error::Request(format!(
            "stop token {id} is none of the model's {vocabulary}"
        )));
    }
    // −0 and 0 sample alike and hash differently.
    let parameters = Parameters {
        max_tokens,
        temperature: temperature + 0.0,
        top_p,
        stop,
    };
    Ok((
        Asked {
            served,
            prompt,
            parameters,
            seed: body.seed,
        },
        body.stream,
    ))
}

/// The tokens of a conversation, as the worker reads it.
pub(super) async fn tokenize(State(worker): Shared, body: Bytes) -> Answer<Json<Value>> {
    #[derive(Deserialize)]
    struct Request {
        messages: Vec<BodyMessage>,
    }
    let request: Request = parse(&body)?;
    let tokens = worker
        .base
        .tokenizer
        .chat(&messages(request.messages)?)
        .map_err(|error| Error::Request(format!("the messages cannot be read: {error}")))?;
    Ok(Json(json!({ "tokens": tokens })))
}

/// An answer's name in responses.
struct Name {
    voucher: Hash,
    model: String,
    created: u64,
}

impl Name {
    fn id(&self) -> String {
        format!("chatcmpl-{}", hex::encode(self.voucher))
    }

    fn chunk(&self, delta: Value, finish: Option<&str>) -> Value {
        json!({
            "id": self.id(),
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }],
        })
    }

    fn with_end(&self, mut body: Value, answer: &AnswerRow) -> Value {
        body["usage"] = json!({
            "prompt_tokens": answer.prompt.len(),
            "completion_tokens": answer.output.len(),
            "total_tokens": answer.prompt.len() + answer.output.len(),
        });
        body["openledger"] = json!({
            "voucher": hex0x(self.voucher),
            "receipt": answer.receipt.map(hex0x),
        });
        body
    }
}

fn finish_reason(answer: &AnswerRow) -> &'static str {
    if answer.finish == "length" {
        "length"
    } else {
        "stop"
    }
}

/// Answers a paid request, or says what it costs.
pub(super) async fn completions(State(worker): Shared, headers: HeaderMap, body: Bytes) -> Answer<Response> {
    let (asked, stream) = read(&worker, &body)?;
    let Some(voucher) = text(&headers, payment::VOUCHER) else {
        return unpaid(&worker, &asked, &headers).await;
    };
    let payment = Payment::read(
        voucher,
        text(&headers, payment::TERMS),
        text(&headers, payment::SALT),
    )?;
    let name = Name {
        voucher: payment.voucher.hash(),
        model: asked.served.id(),
        created: now(),
    };

    // The same voucher again: the same answer, paid once. Vouchers become public with their receipts; the salt does not.
    let pieces = if let Some(stored) = worker.db.answer(&name.voucher)? {
        opens(Some(payment.salt), &stored.salt)?;
        let (send, receive) = mpsc::unbounded_channel();
        let whole = worker.base.tokenizer.decode(&stored.output)?;
        let _ = send.send(Piece::Text(whole));
        let _ = send.send(Piece::Done(Box::new(stored)));
        receive
    } else {
        if lock(&worker.answering).contains(&name.voucher) {
            return Err(Error::Conflict(
                "this voucher is being answered: wait for that answer".into(),
            ));
        }
        let order = payment::accept(&worker, asked, payment).await?;
        answer::start(&worker, order).await?
    };
    let voucher = hex0x(name.voucher);
    let mut response = if stream {
        streamed(name, pieces)
    } else {
        whole(&name, pieces).await?
    };
    if let Ok(value) = HeaderValue::from_str(&voucher) {
        response
            .headers_mut()
            .insert(HeaderName::from_static("x-openledger-answer"), value);
    }
    Ok(response)
}

async fn unpaid(worker: &Arc<Worker>, asked: &Asked, headers: &HeaderMap) -> Answer<Response> {
    let channel = text(headers, payment::CHANNEL)
        .map(|id| {
            id.parse().map_err(|_| {
                Error::Request(format!("{} is {id:?}: give a channel's number", payment::CHANNEL))
            })
        })
        .transpose()?;
    let quote = payment::quote(worker, asked, channel).await?;
    let (status, mut body) = super::error_body(&Error::Payment(
        "answers are paid for: sign a voucher for what stands under `payment`".into(),
    ));
    debug_assert_eq!(status, StatusCode::PAYMENT_REQUIRED);
    body["payment"] = quote;
    Ok((status, Json(body)).into_response())
}

async fn whole(name: &Name, mut pieces: mpsc::UnboundedReceiver<Piece>) -> Answer<Response> {
    let mut content = String::new();
    while let Some(piece) = pieces.recv().await {
        match piece {
            Piece::Text(text) => content.push_str(&text),
            Piece::Failed(error) => return Err(error),
            Piece::Done(answer) => {
                let body = json!({
                    "id": name.id(),
                    "object": "chat.completion",
                    "created": name.created,
                    "model": name.model,
                    "choices": [{
                        "index": 0,
                        "message": { "role": "assistant", "content": content },
                        "finish_reason": finish_reason(&answer),
                    }],
                });
                return Ok(Json(name.with_end(body, &answer)).into_response());
            }
        }
    }
    Err(Error::Internal("an answer ended without its end".into()))
}

/// What a stream has sent.
enum At {
    Start,
    Middle,
    End,
    Over,
}

fn streamed(name: Name, pieces: mpsc::UnboundedReceiver<Piece>) -> Response {
    let stream =
        futures_util::stream::unfold((name, pieces, At::Start), |(name, mut pieces, at)| async move {
            let (data, at) = match at {
                At::Start => (
                    name.chunk(json!({ "role": "assistant", "content": "" }), None)
                        .to_string(),
                    At::Middle,
                ),
                At::Middle => match pieces.recv().await {
                    Some(Piece::Text(text)) => (
                        name.chunk(json!({ "content": text }), None).to_string(),
                        At::Middle,
                    ),
                    Some(Piece::Done(answer)) => {
                        let last = name.chunk(json!({}), Some(finish_reason(&answer)));
                        (name.with_end(last, &answer).to_string(), At::End)
                    }
                    Some(Piece::Failed(error)) => (super::error_body(&error).1.to_string(), At::Over),
                    None => return None,
                },
                At::End => ("[DONE]".into(), At::Over),
                At::Over => return None,
            };
            Some((
                Ok::<_, Infallible>(Event::default().data(data)),
                (name, pieces, at),
            ))
        });
    Sse::new(stream).keep_alive(KeepAlive::default()).into_response()
}

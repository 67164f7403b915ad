//! `/v1/chat/completions` and `/v1/completions`, as OpenAI's clients speak them; what is paid travels in headers.

use super::{
    ask::{self, Read},
    body::Octets,
    opens,
    say::{self, Kind, Name},
    text, x402, Answer, Shared,
};
use crate::{
    answer::{self, now, Ended, Piece},
    db::AnswerRow,
    error::Error,
    formats::hex0x,
    payment::{self, Asked, Payment},
    state::{lock, Worker},
};
use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
    Json,
};
use openledger_attribution::wire::Object;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;
use tokio::{sync::mpsc, task::block_in_place};

/// The tokens of a conversation or text.
#[derive(Serialize, JsonSchema)]
pub(super) struct Tokens {
    tokens: Vec<u32>,
}

/// The tokens of a conversation or text, as the worker reads it.
pub(super) async fn tokenize(State(worker): Shared, Octets(body): Octets) -> Answer<Json<Tokens>> {
    let tokens = block_in_place(|| ask::tokens(&worker, &body))?;
    Ok(Json(Tokens { tokens }))
}

/// Answers a conversation.
pub(super) async fn chat(
    State(worker): Shared,
    headers: HeaderMap,
    Octets(body): Octets,
) -> Answer<Response> {
    // A long text takes a while; others are not held up.
    let read = block_in_place(|| ask::chat(&worker, &body))?;
    answer(&worker, &headers, Kind::Chat, read).await
}

/// Continues a text.
pub(super) async fn completion(
    State(worker): Shared,
    headers: HeaderMap,
    Octets(body): Octets,
) -> Answer<Response> {
    let read = block_in_place(|| ask::completion(&worker, &body))?;
    answer(&worker, &headers, Kind::Text, read).await
}

/// Answers a paid request, or says what it costs.
async fn answer(worker: &Arc<Worker>, headers: &HeaderMap, kind: Kind, read: Read) -> Answer<Response> {
    let asked = Asked {
        served: worker.serving.named(&read.model)?,
        wanted: read.wanted,
    };
    let by_x402 = x402::payment(headers)?;
    let is_x402 = by_x402.is_some();
    let paid = match (by_x402, text(headers, payment::VOUCHER)) {
        (Some(paid), None) => paid,
        (None, Some(voucher)) => Payment::read(
            voucher,
            text(headers, payment::TERMS),
            text(headers, payment::SALT),
        )?,
        (Some(_), Some(_)) => {
            return Err(Error::Request(format!(
                "the request is paid twice, by {} and {}: send one of them",
                payment::VOUCHER,
                x402::SIGNATURE
            )))
        }
        (None, None) => return unpaid(worker, &asked, headers, kind).await,
    };
    let voucher = paid.voucher.hash();
    let name = Name {
        kind,
        id: hex::encode(voucher),
        voucher: Some(voucher),
        model: asked.served.id(),
        created: now(),
        n: usize::try_from(asked.wanted.parameters.n).unwrap_or(1),
        include_usage: read.include_usage,
        tokenizer: worker.base.tokenizer.clone(),
    };
    // The same voucher again: the same answer, paid once. Vouchers become public with their receipts; the salt does not.
    let pieces = if let Some(stored) = worker.db.answer(&voucher)? {
        opens(Some(paid.salt), &stored.salt)?;
        again(worker, &asked, &stored)?
    } else {
        if lock(&worker.answering).contains(&voucher) {
            return Err(Error::Conflict(
                "this voucher is being answered: wait for that answer".into(),
            ));
        }
        let order = payment::accept(worker, asked, paid).await?;
        worker.limits.asks(&order.consumer)?;
        answer::start(worker, order)?
    };
    let mut response = if read.stream {
        say::streamed(name, pieces)
    } else {
        say::whole(&name, pieces).await?
    };
    let add = |response: &mut Response, name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            response
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
    };
    add(&mut response, "x-openledger-answer", &hex0x(voucher));
    if is_x402 {
        let settled = x402::accepted(&worker.ledger.genesis(), &voucher);
        add(&mut response, x402::RESPONSE, &settled);
    }
    Ok(response)
}

/// A stored answer in pieces.
fn again(worker: &Worker, asked: &Asked, stored: &AnswerRow) -> Answer<mpsc::UnboundedReceiver<Piece>> {
    let parameters = &asked.wanted.parameters;
    if parameters.hash() != stored.terms.parameters {
        return Err(Error::Payment(
            "the voucher was for other parameters: send the request that it was signed for".into(),
        ));
    }
    let (send, receive) = mpsc::unbounded_channel();
    for (choice, (row, tokens)) in stored.choices.iter().zip(stored.outputs()).enumerate() {
        let whole = worker.base.tokenizer.decode(tokens)?;
        let _ = send.send(Piece::More {
            choice,
            text: parameters.cut(&whole).to_owned(),
            probabilities: match asked.wanted.likeliest {
                Some(_) => row.probabilities.clone().unwrap_or_default(),
                None => Vec::new(),
            },
        });
        let finish = if row.finish == "length" { "length" } else { "stop" };
        let _ = send.send(Piece::End { choice, finish });
    }
    let _ = send.send(Piece::Done(Ended::from(stored)));
    Ok(receive)
}

async fn unpaid(worker: &Arc<Worker>, asked: &Asked, headers: &HeaderMap, kind: Kind) -> Answer<Response> {
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
    let path = match kind {
        Kind::Chat => "/v1/chat/completions",
        Kind::Text => "/v1/completions",
    };
    let required = x402::required(&quote, path);
    body["payment"] = quote;
    debug_assert_eq!(status, StatusCode::PAYMENT_REQUIRED);
    let mut response = (status, Json(body)).into_response();
    if let Ok(value) = HeaderValue::from_str(&required) {
        response
            .headers_mut()
            .insert(HeaderName::from_static(x402::REQUIRED), value);
    }
    Ok(response)
}

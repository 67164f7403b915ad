//! Payment by x402, version 2: a channel voucher under the scheme `upto`.
//!
//! A 402 carries `PAYMENT-REQUIRED`, the request is sent again with `PAYMENT-SIGNATURE`, its answer carries `PAYMENT-RESPONSE`; each
//! is base64 of JSON. The payload is what the headers `x-openledger-*` carry.

use crate::{
    error::{Error, Result},
    formats::hex0x,
    payment::{Payment, SALT, TERMS, VOUCHER},
};
use axum::http::HeaderMap;
use base64::{engine::general_purpose::STANDARD, Engine as _};
use openledger_protocol::Hash;
use serde::Deserialize;
use serde_json::{json, Value};

/// Of a 402: what is to be paid and how.
pub(super) const REQUIRED: &str = "payment-required";
/// Of a request: what pays it.
pub(super) const SIGNATURE: &str = "payment-signature";
/// Of an answer: that the payment was accepted.
pub(super) const RESPONSE: &str = "payment-response";

const VERSION: u32 = 2;
const SCHEME: &str = "upto";
/// Seconds within which a payment is to be sent: a block's price can change with any block.
const MAX_TIMEOUT: u32 = 60;

/// CAIP-2 name of a chain of this kind: the first 32 digits of its genesis hash.
fn network(genesis: &str) -> String {
    let digits = genesis.trim_start_matches("0x");
    format!("polkadot:{}", digits.get(..32).unwrap_or(digits))
}

/// The value of `PAYMENT-REQUIRED` for a quote.
pub(super) fn required(quote: &Value, path: &str) -> String {
    let required = json!({
        "x402Version": VERSION,
        "error": "answers are paid for",
        "resource": { "url": path, "description": "An answer, paid by its tokens", "mimeType": "application/json" },
        "accepts": [{
            "scheme": SCHEME,
            "network": network(quote["genesis"].as_str().unwrap_or_default()),
            "asset": "native",
            "amount": quote["most"],
            "payTo": quote["worker"],
            "maxTimeoutSeconds": MAX_TIMEOUT,
            "extra": quote,
        }],
    });
    STANDARD.encode(required.to_string())
}

#[derive(Deserialize)]
struct Sent {
    #[serde(rename = "x402Version")]
    version: u32,
    accepted: Accepted,
    payload: Payload,
}

#[derive(Deserialize)]
struct Accepted {
    scheme: String,
}

#[derive(Deserialize)]
struct Payload {
    voucher: String,
    terms: String,
    salt: String,
}

/// What `PAYMENT-SIGNATURE` pays, if it is there.
pub(super) fn payment(headers: &HeaderMap) -> Result<Option<Payment>> {
    let Some(value) = headers.get(SIGNATURE) else {
        return Ok(None);
    };
    let wrong = |why: String| Error::Request(format!("{SIGNATURE} cannot be read: {why}"));
    let bytes = STANDARD
        .decode(value.as_bytes())
        .map_err(|error| wrong(error.to_string()))?;
    let sent: Sent = serde_json::from_slice(&bytes).map_err(|error| {
        wrong(format!(
            "{error}; its payload is voucher, terms and salt, as in {VOUCHER}, {TERMS} and {SALT}"
        ))
    })?;
    if sent.version != VERSION || sent.accepted.scheme != SCHEME {
        return Err(wrong(format!(
            "it is of version {} and scheme {:?}, this is {VERSION} and {SCHEME:?}",
            sent.version, sent.accepted.scheme
        )));
    }
    Payment::read(
        &sent.payload.voucher,
        Some(&sent.payload.terms),
        Some(&sent.payload.salt),
    )
    .map(Some)
}

/// The value of `PAYMENT-RESPONSE`: accepted, and settled with a batch once the receipt is signed.
pub(super) fn accepted(genesis: &Hash, voucher: &Hash) -> String {
    let response = json!({
        "success": true,
        "transaction": hex0x(voucher),
        "network": network(&hex0x(genesis)),
    });
    STANDARD.encode(response.to_string())
}

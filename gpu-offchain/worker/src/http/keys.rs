//! Keys of licensed Datanets.

use super::{body::Octets, Answer, Shared};
use crate::{error::Error, formats::hex0x, keys};
use axum::{extract::State, Json};
use openledger_content::KeyRequest;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{json, Value};

/// A request with the signature of the account that it names, each in hexadecimal.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Signed {
    request: String,
    signature: String,
}

fn bytes(what: &str, text: &str) -> Answer<Vec<u8>> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    hex::decode(digits).map_err(|error| {
        Error::Request(format!(
            "{what} is not hexadecimal ({error}): send 0x and its bytes"
        ))
    })
}

/// Gives a key, in a box for the recipient that the request names.
pub(super) async fn give(State(worker): Shared, Octets(body): Octets) -> Answer<Json<Value>> {
    let signed: Signed = serde_json::from_slice(&body)
        .map_err(|error| Error::Request(format!("the body is no request for a key: {error}")))?;
    let request = KeyRequest::decode(&bytes("request", &signed.request)?)
        .map_err(|error| Error::Request(error.to_string()))?;
    let signature = bytes("signature", &signed.signature)?;
    let signature = signature
        .as_slice()
        .try_into()
        .map_err(|_| Error::Request(format!("the signature has {} bytes: send 64", signature.len())))?;
    let sealed = keys::give(&worker, &request, &signature).await?;
    Ok(Json(json!({ "box": hex0x(sealed) })))
}

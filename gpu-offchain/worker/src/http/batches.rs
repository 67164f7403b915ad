//! Batches: everything a watcher needs beside the index.

use super::{body::Path, Answer, Shared};
use crate::{
    db::{BatchState, ReceiptRow},
    error::Error,
    formats::{hex0x, wire},
};
use axum::{extract::State, Json};
use openledger_attribution::wire::Object;
use serde_json::{json, Value};

/// Batches that a list shows.
const MOST: usize = 256;

/// A receipt with what a watcher recomputes it from. No text, nothing of the prompt.
pub(super) fn answer(row: &ReceiptRow) -> Value {
    json!({
        "receipt": hex0x(Object::encode(&row.receipt)),
        "signature": hex0x(row.signature),
        "attribution": hex0x(Object::encode(&row.attribution)),
        "query": hex0x(wire(&row.query)),
    })
}

/// The newest batches.
pub(super) async fn list(State(worker): Shared) -> Answer<Json<Value>> {
    let batches = worker.db.batches(MOST)?.into_iter().map(|(_, row)| {
        let state = match row.state {
            BatchState::Prepared => "prepared",
            BatchState::Submitted(_) => "submitted",
            BatchState::Open(_) => "open",
            BatchState::Credited(_) => "credited",
            BatchState::Condemned(_) => "condemned",
        };
        json!({
            "id": row.state.id(),
            "state": state,
            "receipts": row.receipts.len(),
            "fee": row.header.receipts.sum.to_string(),
        })
    });
    Ok(Json(json!({ "batches": batches.collect::<Vec<_>>() })))
}

/// One batch, by its number on the chain.
pub(super) async fn batch(State(worker): Shared, Path(id): Path<u64>) -> Answer<Json<Value>> {
    let missing = || Error::Missing(format!("batch {id} is not this worker's"));
    let number = worker.db.batch_on_chain(id)?.ok_or_else(missing)?;
    // A batch that a reorganisation moved leaves its old number behind.
    let row = worker
        .db
        .batch(number)?
        .filter(|row| row.state.id() == Some(id))
        .ok_or_else(missing)?;
    let mut answers = Vec::with_capacity(row.receipts.len());
    for leaf in &row.receipts {
        let receipt = worker.db.receipt(&leaf.receipt)?;
        let receipt = receipt.ok_or_else(|| {
            Error::Internal(format!("receipt {} of batch {id} is lost", hex0x(leaf.receipt)))
        })?;
        answers.push(answer(&receipt));
    }
    Ok(Json(json!({
        "id": id,
        "header": hex0x(Object::encode(&row.header)),
        "credits_header": hex0x(Object::encode(&row.credits_header)),
        "channels": hex0x(wire(&row.channels)),
        "receipts": hex0x(wire(&row.receipts)),
        "parts": hex0x(wire(&row.parts)),
        "credits": hex0x(wire(&row.credits)),
        "answers": answers,
    })))
}

//! Receipts: what was answered for how much, what shaped it, who gets what. Scores and hashes for everybody, texts for
//! those who show the salt.

use super::{
    batches,
    body::{Path, Query},
    hash, opens, shown_salt, Answer, Shared,
};
use crate::{
    db::{AnswerRow, ReceiptRow},
    error::{Error, Result},
    formats::{hex0x, output_leaves, prompt_leaves, wire},
    ledger::{self, Head},
    records,
    state::{lock, Worker},
};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    Json,
};
use openledger_attribution::{
    batch::CreditLeaf, hash::Account, list::ListEntry, receipt::Receipt, share::BILLION, verbatim::Span,
    wire::Object,
};
use openledger_protocol::{
    batches::{Batch, BatchStage},
    storage, Hash,
};
use serde::Deserialize;
use serde_json::{json, Value};
use std::time::Duration;

const MOST_RECEIPTS: usize = 1_000;
const LONGEST_WAIT: u64 = 30;

fn stored(worker: &Worker, text: &str) -> Result<(Hash, ReceiptRow)> {
    let receipt = hash(text)?;
    let row = worker.db.receipt(&receipt)?;
    row.map(|row| (receipt, row))
        .ok_or_else(|| Error::Missing(format!("receipt {text} is not this worker's")))
}

fn answer_of(worker: &Worker, row: &ReceiptRow) -> Result<AnswerRow> {
    let voucher = row.receipt.voucher.hash();
    worker
        .db
        .answer(&voucher)?
        .ok_or_else(|| Error::Missing("the texts of this answer are no longer kept".into()))
}

/// The number on the chain of a receipt's batch, and the receipt's position in it.
fn place(worker: &Worker, receipt: &Hash, row: &ReceiptRow) -> Result<(Option<u64>, Option<usize>)> {
    let Some(number) = row.batch else {
        return Ok((None, None));
    };
    let batch = worker.db.batch(number)?;
    Ok(batch.map_or((None, None), |batch| {
        (
            batch.state.id(),
            batch.receipts.iter().position(|leaf| leaf.receipt == *receipt),
        )
    }))
}

#[derive(Deserialize)]
pub(super) struct Wait {
    #[serde(default)]
    wait: u64,
}

/// How far an answer has come, by its voucher.
pub(super) async fn answer(
    State(worker): Shared,
    Path(text): Path<String>,
    Query(query): Query<Wait>,
) -> Answer<Response> {
    let voucher = hash(&text)?;
    let mut signed = worker.signed.subscribe();
    let until = tokio::time::Instant::now() + Duration::from_secs(query.wait.min(LONGEST_WAIT));
    loop {
        // In this order: an answer is stored before it is no longer under way.
        let is_answering = lock(&worker.answering).contains(&voucher);
        let stored = worker.db.answer(&voucher)?;
        let (state, receipt) = match stored {
            Some(AnswerRow {
                receipt: Some(receipt),
                ..
            }) => ("done", Some(receipt)),
            Some(_) => ("attributing", None),
            None if is_answering => ("answering", None),
            None => {
                return Err(Error::Missing(
                    "this voucher was never answered to its end: send it again".into(),
                ))
            }
        };
        if receipt.is_some() || tokio::time::Instant::now() >= until {
            let body = json!({ "state": state, "receipt": receipt.map(hex0x) });
            let status = if receipt.is_some() {
                StatusCode::OK
            } else {
                StatusCode::ACCEPTED
            };
            return Ok((status, Json(body)).into_response());
        }
        let _ = tokio::time::timeout_at(until, signed.changed()).await;
    }
}

#[derive(Deserialize)]
pub(super) struct Limit {
    limit: Option<usize>,
}

/// The newest receipts.
pub(super) async fn list(State(worker): Shared, Query(query): Query<Limit>) -> Answer<Json<Value>> {
    let mut receipts = Vec::new();
    for (receipt, row) in worker
        .db
        .newest_receipts(query.limit.unwrap_or(20).min(MOST_RECEIPTS))?
    {
        receipts.push(json!({
            "receipt": hex0x(receipt),
            "model": row.receipt.terms.model,
            "generation": row.receipt.terms.generation,
            "fee": row.receipt.fee.to_string(),
            "channel": row.receipt.voucher.channel,
            "batch": place(&worker, &receipt, &row)?.0,
            "signed": row.signed,
        }));
    }
    Ok(Json(json!({ "receipts": receipts })))
}

/// One receipt with what it rests on; its texts for those who show the salt.
pub(super) async fn receipt(
    State(worker): Shared,
    Path(text): Path<String>,
    headers: HeaderMap,
) -> Answer<Json<Value>> {
    let (receipt, row) = stored(&worker, &text)?;
    let (batch, position) = place(&worker, &receipt, &row)?;
    let mut body = batches::answer(&row);
    body["receipt_key"] = hex0x(worker.receipt_key.account()).into();
    body["batch"] = json!(batch);
    body["position"] = json!(position);
    body["fee"] = row.receipt.fee.to_string().into();
    body["input_tokens"] = row.receipt.input_tokens.into();
    body["output_tokens"] = row.receipt.output_tokens.into();
    if let Some(shown) = shown_salt(&headers)? {
        let answer = answer_of(&worker, &row)?;
        opens(Some(shown), &answer.salt)?;
        body["texts"] = json!({
            "prompt": hex0x(wire(&prompt_leaves(&answer.prompt, &answer.salt))),
            "output": hex0x(wire(&output_leaves(&answer.output, &answer.salt))),
            "answer": worker.base.tokenizer.decode(&answer.output)?,
            "choices": answer.choices.iter().map(|choice| choice.tokens).collect::<Vec<_>>(),
        });
    }
    Ok(Json(body))
}

/// The contributors' part of a receipt.
struct Divided {
    /// Planck, whoever gets them.
    part: u128,
    /// Whether contributors do, or the fallback.
    credited: bool,
    /// Each contributor with its share in parts per billion and its planck, the largest share first.
    each: Vec<(Account, u128, u128)>,
}

fn divided(receipt: &Receipt, row: &ReceiptRow) -> Result<Divided> {
    let wrong = || Error::Internal("a stored receipt or attribution breaks a rule".into());
    let mix = &receipt.terms.tariff.mix;
    let weights = row.attribution.weights(mix).ok_or_else(wrong)?;
    // What a draw will credit is not known before it is out.
    let credited = row.receipt.is_deferred() || !weights.is_empty();
    let parts = receipt.parts(credited).ok_or_else(wrong)?;
    let amounts = row
        .attribution
        .amounts(mix, parts.contributors)
        .ok_or_else(wrong)?;
    let total: u128 = weights.iter().map(|(_, weight)| weight).sum();
    let each = weights.into_iter().map(|(contributor, weight)| {
        let amount = amounts
            .iter()
            .find(|(other, _)| *other == contributor)
            .map_or(0, |(_, amount)| *amount);
        (
            contributor,
            weight.saturating_mul(u128::from(BILLION)) / total.max(1),
            amount,
        )
    });
    let mut each: Vec<_> = each.collect();
    each.sort_by_key(|(contributor, share, _)| (std::cmp::Reverse(*share), *contributor));
    Ok(Divided {
        part: parts.contributors + parts.fallback,
        credited,
        each,
    })
}

async fn source(worker: &Worker, row: &ReceiptRow, entry: &ListEntry, share: u32) -> Result<Value> {
    let terms = &row.receipt.terms;
    let mut source = json!({
        "row": entry.row,
        "score": entry.score.to_string(),
        "share": share,
        "contributor": hex0x(entry.contributor),
        "text": null,
    });
    let Some(served) = worker.serving.by_index(&terms.index) else {
        return Ok(source);
    };
    let unit = served.index.unit(entry.row)?;
    let record = unit.record;
    source["record"] = json!({ "contribution": record.contribution, "index": record.index });
    source["unit"] = unit.unit.into();
    let kept = match records::contribution(worker, record.contribution).await {
        Ok(kept) => kept,
        // The attribution stands without the words.
        Err(Error::Missing(_) | Error::NotReady(_)) => return Ok(source),
        Err(error) => return Err(error),
    };
    source["datanet"] = kept.datanet.into();
    let text = usize::try_from(record.index)
        .ok()
        .and_then(|at| kept.bundle.records.get(at))
        .map(|record| record.text());
    if let Some(text) = text {
        let span = records::characters(&worker.base.tokenizer, text, &unit.tokens)?;
        source["text"] = text.into();
        source["span"] = json!([span.start, span.end]);
    }
    Ok(source)
}

/// Tokens of a record shown before and after a span.
const AROUND: u64 = 60;

/// A span with its words, which are the records' and so nobody's secret, and the records that have them.
fn words(worker: &Worker, row: &ReceiptRow, span: &Span, shares: &[u32]) -> Result<Value> {
    let served = worker.serving.by_index(&row.receipt.terms.index);
    let known = served.as_ref().and_then(|served| served.words.as_ref());
    let text = |from: u64, to: u64| -> Result<Option<String>> {
        let Some(words) = known else { return Ok(None) };
        let tokens: Vec<u32> = (from..to).filter_map(|at| words.token(at)).collect();
        Ok(Some(worker.base.tokenizer.decode(&tokens)?))
    };
    let length = u64::from(span.length());
    let mut records = Vec::new();
    for (record, share) in span.records.iter().zip(shares) {
        let (from, to) = (record.position, record.position.saturating_add(length));
        // Records end in separators: a neighbour's words are not shown as this one's.
        let bounds = known.map(|words| words.record(record.entry)).transpose()?;
        let bounds = bounds.map(|(leaf, start)| (start, start.saturating_add(u64::from(leaf.tokens))));
        let (first, last) = bounds.unwrap_or((from, to));
        records.push(json!({
            "contribution": record.record.contribution,
            "index": record.record.index,
            "contributor": hex0x(record.contributor),
            "share": share,
            "before": text(from.saturating_sub(AROUND).max(first), from)?,
            "after": text(to, to.saturating_add(AROUND).min(last))?,
        }));
    }
    let first = span.records.first().map_or(0, |record| record.position);
    Ok(json!({
        "start": span.start,
        "end": span.end,
        "information": span.information,
        "share": shares.iter().map(|share| u64::from(*share)).sum::<u64>(),
        "text": text(first, first.saturating_add(length))?,
        "records": records,
    }))
}

/// What shaped an answer, for people.
pub(super) async fn attribution(
    State(worker): Shared,
    Path(text): Path<String>,
    headers: HeaderMap,
) -> Answer<Json<Value>> {
    let (receipt, row) = stored(&worker, &text)?;
    let Divided { part, credited, each } = divided(&row.receipt, &row)?;
    let shares = row.attribution.list_shares().unwrap_or_default();
    let mut sources = Vec::new();
    for (entry, share) in row.attribution.list.iter().zip(shares) {
        sources.push(source(&worker, &row, entry, share).await?);
    }
    let shares = row.attribution.span_shares().unwrap_or_default();
    let mut shares = shares.as_slice();
    let mut spans = Vec::new();
    for span in &row.attribution.spans {
        let (own, rest) = shares.split_at(span.records.len().min(shares.len()));
        shares = rest;
        spans.push(words(&worker, &row, span, own)?);
    }
    let contributors: Vec<Value> = each
        .iter()
        .map(|(contributor, share, amount)| {
            json!({ "contributor": hex0x(contributor), "share": share, "amount": amount.to_string() })
        })
        .collect();
    let terms = &row.receipt.terms;
    let served = worker.serving.get(terms.model, terms.generation);
    let mut body = json!({
        "receipt": hex0x(receipt),
        "model": terms.model,
        "generation": terms.generation,
        "model_name": served.map(|served| served.name.clone()),
        "fee": row.receipt.fee.to_string(),
        "contributors_part": part.to_string(),
        "credited": credited,
        "deferred": row.receipt.is_deferred(),
        "mix": [terms.tariff.mix.influence, terms.tariff.mix.verbatim, terms.tariff.mix.retrieval],
        "sources": sources,
        "spans": spans,
        "contributors": contributors,
    });
    if let Some(shown) = shown_salt(&headers)? {
        let answer = answer_of(&worker, &row)?;
        opens(Some(shown), &answer.salt)?;
        body["answer"] = worker.base.tokenizer.decode(&answer.output)?.into();
        for (span, shown) in row
            .attribution
            .spans
            .iter()
            .zip(body["spans"].as_array_mut().into_iter().flatten())
        {
            let place = |end: u32| -> Result<usize> {
                let end = usize::try_from(end)
                    .unwrap_or(usize::MAX)
                    .min(answer.output.len());
                Ok(worker
                    .base
                    .tokenizer
                    .decode(&answer.output[..end])?
                    .chars()
                    .count())
            };
            shown["characters"] = json!([place(span.start)?, place(span.end)?]);
        }
    }
    Ok(Json(body))
}

/// Who was paid what for an answer, each amount with the block and storage key it was read from.
pub(super) async fn payouts(State(worker): Shared, Path(text): Path<String>) -> Answer<Json<Value>> {
    let (receipt, row) = stored(&worker, &text)?;
    let Divided { credited, each, .. } = divided(&row.receipt, &row)?;
    let here = row
        .batch
        .map(|number| worker.db.batch(number))
        .transpose()?
        .flatten();
    let mut batch = Value::Null;
    let mut done: u64 = 0;
    if let Some(id) = here.as_ref().and_then(|here| here.state.id()) {
        let read = ledger::read::<Batch<Account>>(&*worker.ledger, storage::batch(id), Head::Best).await?;
        let stage = match read.value.as_ref().map(|batch| batch.stage) {
            Some(BatchStage::Open) => "open",
            Some(BatchStage::Settled { credited }) => {
                done = credited;
                "settled"
            }
            Some(BatchStage::Condemned { .. }) => "condemned",
            // The chain forgets a finished batch after a while.
            None => {
                done = u64::MAX;
                "settled"
            }
        };
        batch = json!({
            "id": id,
            "stage": stage,
            "submitted": read.value.as_ref().map(|batch| batch.submitted),
            "closes": read.value.as_ref().map(|batch| batch.closes),
            "key": hex0x(&read.key),
            "block": read.block.number,
        });
    }
    let mut contributors = Vec::new();
    let mut last = None;
    for (contributor, _, amount) in each {
        let unclaimed = ledger::credits(&*worker.ledger, contributor, Head::Best).await?;
        let credits: &[CreditLeaf] = here.as_ref().map_or(&[], |here| &here.credits);
        let position = credits
            .iter()
            .position(|credit| credit.contributor == contributor);
        contributors.push(json!({
            "contributor": hex0x(contributor),
            "amount": amount.to_string(),
            "credit": position.map(|at| credits[at].amount.to_string()),
            "credited": position.is_some_and(|at| (at as u64) < done),
            "unclaimed": unclaimed.value.to_string(),
            "key": hex0x(&unclaimed.key),
            "block": unclaimed.block.number,
        }));
        last = Some(unclaimed.block);
    }
    let block = match last {
        Some(block) => block,
        None => worker.ledger.head(Head::Best).await?,
    };
    let parts = row
        .receipt
        .parts(credited)
        .ok_or_else(|| Error::Internal("a stored receipt breaks a rule".into()))?;
    Ok(Json(json!({
        "receipt": hex0x(receipt),
        "batch": batch,
        "block": block.number,
        "block_hash": hex0x(block.hash),
        "contributors": contributors,
        "parts": {
            "platform": parts.platform.to_string(),
            "owner": parts.owner.to_string(),
            "contributors": parts.contributors.to_string(),
            "fallback": parts.fallback.to_string(),
            "stakers": parts.stakers.to_string(),
            "compute": parts.compute.to_string(),
            "lineage": parts.lineage.to_string(),
        },
    })))
}

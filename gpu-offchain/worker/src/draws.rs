//! Sampled batches: receipts are committed first, and only what is drawn two epochs later is attributed.
//!
//! ```text
//! deferred receipts ─▶ batch ─▶ the draw is out ─▶ drawn answers attributed, stored ─▶ answered ─▶ window
//! ```
//!
//! What a draw asks for follows from the chain and from what is stored, so a kill only has it computed again.

use crate::{
    answer,
    db::BatchRow,
    error::{Error, Result},
    formats::hex0x,
    ledger::{self, Head},
    state::Worker,
};
use openledger_attribution::{
    attribution::Attribution,
    batch::{settle_draws, BatchHeader, CreditsHeader, Ledger as Credits, ReceiptLeaf},
    hash::NONE,
    sketch::Sketch,
    tree::Root,
    wire::Object,
};
use openledger_protocol::{calls, disputes::Sample, storage, Hash};
use std::sync::Arc;

/// Draws of a batch whose receipts were deferred before sampling was switched off.
const LEFT_OVER: u16 = 16;
/// Epochs after which what was drawn for one is out.
const DELAY: u64 = 2;

/// How many receipts are drawn of a batch of deferred ones.
pub(crate) fn count(worker: &Worker) -> u16 {
    match worker.config.sample {
        0 => LEFT_OVER,
        sample => sample,
    }
}

/// What a receipt is stored with until it is drawn: nothing that shaped it.
pub(crate) fn nothing() -> (Attribution, Sketch) {
    let attribution = Attribution {
        query: NONE,
        list: Vec::new(),
        spans: Vec::new(),
        retrieved: Vec::new(),
    };
    let query = Sketch {
        exponents: Vec::new(),
        lanes: Vec::new(),
    };
    (attribution, query)
}

/// What a sampled batch is submitted with: who is paid is not known before the draw.
pub(crate) fn no_credits(header: &BatchHeader) -> CreditsHeader {
    CreditsHeader {
        batch: header.hash(),
        answers: Root::EMPTY,
        parts: Root::EMPTY,
        credits: Root::EMPTY,
    }
}

/// Position of the receipt that draw `n` picks: the one whose fee covers the place that is drawn.
pub fn drawn(header: &BatchHeader, receipts: &[ReceiptLeaf], randomness: &Hash, n: u16) -> Option<usize> {
    let place = header.draw(randomness, n);
    let mut sum = 0u128;
    receipts.iter().position(|leaf| {
        sum = sum.saturating_add(leaf.fee);
        place < sum
    })
}

/// Moves a sampled batch on. True once its window has begun.
pub(crate) async fn advance(worker: &Arc<Worker>, number: u64, id: u64, row: &BatchRow) -> Result<bool> {
    let ledger = &*worker.ledger;
    let sample = ledger::read::<Sample>(ledger, storage::sample(id), Head::Best).await?;
    match sample.value {
        None | Some(Sample::Answered { .. } | Sample::Forfeited { .. }) => return Ok(true),
        Some(Sample::Waiting { epoch }) => {
            if is_out(worker, epoch).await? {
                ledger.submit(&calls::attribution::draw(id)).await?;
                kill_point!("batch-drawn");
                tracing::info!(batch = id, "the draw of a batch is out");
                worker.batches_changed.notify_one();
            }
        }
        Some(Sample::Drawn { until, .. }) if sample.block.number > until => {
            tracing::error!(
                batch = id,
                until,
                "the draws of a batch were not answered in time"
            );
            ledger.submit(&calls::attribution::forfeit_draws(id)).await?;
        }
        Some(Sample::Drawn { randomness, .. }) => {
            let (own, batch) = (worker.clone(), row.clone());
            let credits = tokio::task::spawn_blocking(move || answers(&own, &batch, &randomness)).await;
            let mut credits = credits.map_err(|error| Error::part("answering draws", error))??;
            worker.attribute.answer_draws(&row.header, &mut credits);
            worker.db.set_credits(number, &credits)?;
            kill_point!("draws-attributed");
            let call = calls::attribution::answer_draws(id, Box::new(credits.header));
            ledger.submit(&call).await?;
            kill_point!("draws-answered");
            tracing::info!(
                batch = id,
                draws = credits.answers.len(),
                "answered the draws of a batch"
            );
        }
    }
    Ok(false)
}

/// Whether what is drawn for an epoch is out, or was and is forgotten: the chain then draws again.
pub(crate) async fn is_out(worker: &Worker, epoch: u64) -> Result<bool> {
    let last = storage::value("Draws", "Last");
    let last = ledger::read::<u64>(&*worker.ledger, last, Head::Best).await?;
    Ok(last.value.is_some_and(|last| last >= epoch.saturating_add(DELAY)))
}

/// Attributes what was drawn.
fn answers(worker: &Worker, row: &BatchRow, randomness: &Hash) -> Result<Credits> {
    let mut draws = Vec::new();
    for n in 0..row.header.draws {
        let at = drawn(&row.header, &row.receipts, randomness, n)
            .ok_or_else(|| Error::Internal("a draw beyond the batch".into()))?;
        draws.push((at as u64, Some(attribution(worker, &row.receipts[at].receipt)?)));
    }
    settle_draws(&row.header, &draws).map_err(|error| Error::part("settling draws", error))
}

/// What shaped a drawn answer, computed at its first draw.
fn attribution(worker: &Worker, receipt: &Hash) -> Result<Attribution> {
    let lost = || Error::Internal(format!("receipt {} is lost", hex0x(receipt)));
    let stored = worker.db.receipt(receipt)?.ok_or_else(lost)?;
    if stored.is_attributed() {
        return Ok(stored.attribution);
    }
    let answer = worker
        .db
        .answer(&stored.receipt.voucher.hash())?
        .ok_or_else(lost)?;
    let shaped = answer::shaped(worker, &answer)?;
    worker
        .db
        .set_attribution(receipt, &shaped.attribution, &shaped.query)?;
    Ok(shaped.attribution)
}

//! Batches: receipts become money.
//!
//! ```text
//! receipts ─▶ prepared (stored, with the chain's next batch number) ─▶ in a block ─▶ in a final block ─▶ settled, credited
//! ```
//!
//! A sampled batch's draws are answered before its window begins ([`draws`](crate::draws)).
//!
//! One batch is on its way at a time, so that the next one's cursors are those it leaves. Before a prepared batch is
//! submitted, again or for the first time, the chain is searched for it: a kill between submitting and noting it costs at
//! most a refused transaction, never a second payment, since a channel's cursor moves once.

use crate::{
    answer::now,
    attribute::Made,
    audit,
    db::{BatchRow, BatchState, ReceiptRow},
    draws,
    error::{Error, Result},
    formats::hex0x,
    ledger::{self, Head},
    state::Worker,
};
use openledger_attribution::{
    attribution::Attribution,
    batch::{settle, BatchHeader, ChannelLeaf, Ledger as Credits},
    fee::{Parts, Tariff},
    receipt::Receipt,
    tree::{Root, Tree},
};
use openledger_protocol::{
    batches::{Batch, BatchStage},
    calls,
    channels::ChannelClaim,
    disputes::Committed,
    storage, Account, Hash,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Most channels the chain takes in one batch.
const MOST_CHANNELS: usize = 64;
/// Most receipts of one batch: what a watcher must fetch stays small.
const MOST_RECEIPTS: usize = 256;
/// Receipts looked at to make one.
const LOOK_AHEAD: usize = 4 * MOST_RECEIPTS;
/// Most credits of one call.
const MOST_CREDITS: u64 = 256;
/// What stands behind a batch is this many times its money.
const EXPOSURE: u128 = 10;
/// A voucher this near its last block makes a batch.
const EXPIRY_NEAR: u64 = 30;

/// Makes, submits, settles and credits batches. Never returns.
pub async fn run(worker: Arc<Worker>) {
    crate::repeat(&worker, "batches", &worker.batches_changed, || round(&worker)).await;
}

/// One look at everything that can move.
pub async fn round(worker: &Arc<Worker>) -> Result<()> {
    let mut is_under_way = false;
    let mut failed = None;
    for (number, row) in worker.db.active_batches()? {
        let moved = match row.state {
            BatchState::Prepared | BatchState::Submitted(_) => {
                is_under_way = true;
                submit(worker, number, &row)
                    .await
                    .map(|open| is_under_way = !open)
            }
            BatchState::Open(id) => close(worker, number, id, &row).await,
            BatchState::Credited(_) | BatchState::Condemned(_) => Ok(()),
        };
        // One batch that cannot move holds up no other.
        if let Err(error) = moved {
            tracing::warn!(batch = number, %error, "a batch waits");
            failed = Some(error);
        }
    }
    if !is_under_way {
        prepare(worker).await?;
    }
    failed.map_or(Ok(()), Err)
}

/// What all receipts of a batch share: model, generation, index, tariff, and whether they wait for a draw.
fn kind(receipt: &Receipt) -> (u64, u32, Hash, Tariff, bool) {
    let terms = &receipt.terms;
    (
        terms.model,
        terms.generation,
        terms.index,
        terms.tariff,
        receipt.is_deferred(),
    )
}

/// The receipts that can be batched with the first one: of its kind, and each channel's without a gap from its cursor.
fn choose(waiting: &[(Hash, ReceiptRow)], most: u128) -> Vec<usize> {
    let Some((_, first)) = waiting.first() else {
        return Vec::new();
    };
    let mut closed: BTreeSet<u64> = BTreeSet::new();
    let mut channels: BTreeMap<u64, Vec<(usize, u128)>> = BTreeMap::new();
    let (mut count, mut sum) = (0usize, 0u128);
    for (n, (_, row)) in waiting.iter().enumerate() {
        let channel = row.receipt.voucher.channel;
        if closed.contains(&channel) {
            continue;
        }
        let is_new = !channels.contains_key(&channel);
        let total = sum.saturating_add(row.receipt.fee);
        let fits = kind(&row.receipt) == kind(&first.receipt)
            && count < MOST_RECEIPTS
            && total <= most
            && !(is_new && channels.len() >= MOST_CHANNELS);
        if !fits {
            closed.insert(channel);
            continue;
        }
        (count, sum) = (count + 1, total);
        channels.entry(channel).or_default().push((n, row.receipt.fee));
    }
    // The chain takes nothing from a channel that moves nothing: its free answers wait for one that costs something.
    let mut chosen: Vec<usize> = channels
        .into_values()
        .filter(|receipts| receipts.iter().any(|(_, fee)| *fee > 0))
        .flatten()
        .map(|(n, _)| n)
        .collect();
    chosen.sort_unstable();
    chosen
}

/// Makes a batch if it is time.
async fn prepare(worker: &Worker) -> Result<()> {
    let waiting = worker.db.unbatched(LOOK_AHEAD)?;
    let (Some((_, oldest)), head) = (waiting.first(), worker.ledger.head(Head::Best).await?) else {
        return Ok(());
    };
    let expires = waiting
        .iter()
        .map(|(_, row)| row.receipt.voucher.expiry)
        .min()
        .unwrap_or(u64::MAX);
    let is_time = waiting.len() >= worker.config.batch_receipts
        || now().saturating_sub(oldest.signed) >= worker.config.batch_after.as_secs()
        || expires.saturating_sub(head.number.into()) <= EXPIRY_NEAR;
    if !is_time {
        return Ok(());
    }

    let bond = ledger::worker(&*worker.ledger, worker.account(), Head::Finalized).await?;
    let leaving = bond.unbonding.map_or(0, |unbonding| unbonding.amount);
    let free = bond.bond.saturating_sub(leaving).saturating_sub(bond.open);
    // A channel's answers may be of several kinds; the oldest receipt of all is at its channel's cursor.
    let needed = oldest
        .receipt
        .fee
        .saturating_mul(EXPOSURE)
        .max(worker.config.slash_floor);
    if needed > free {
        return Err(Error::NotReady(format!(
            "{free} planck of the bond are free and the next batch needs {needed} behind it: wait for open batches to close, \
             or add to the bond"
        )));
    }
    let chosen = choose(&waiting, free / EXPOSURE);
    if chosen.is_empty() {
        return Ok(());
    }
    let mut cursors = Vec::new();
    let mut answers: Vec<(Receipt, Option<Attribution>)> = Vec::new();
    let mut last: BTreeMap<u64, &ReceiptRow> = BTreeMap::new();
    for n in &chosen {
        let row = &waiting[*n].1;
        let channel = row.receipt.voucher.channel;
        if last.insert(channel, row).is_none() {
            let on_chain = ledger::channel(&*worker.ledger, channel, Head::Finalized).await?;
            if on_chain.cursor != row.receipt.voucher.accepted {
                return Err(Error::NotReady(format!(
                    "channel {channel} is at {} planck on the chain and its oldest receipt here begins at {}: waiting for the \
                     batch between them",
                    on_chain.cursor, row.receipt.voucher.accepted
                )));
            }
            cursors.push(ChannelLeaf {
                channel,
                consumer: on_chain.consumer,
                from: on_chain.cursor,
                to: on_chain.cursor,
            });
        }
        let attribution = (!row.receipt.is_deferred()).then(|| row.attribution.clone());
        answers.push((row.receipt, attribution));
    }
    let (model, generation, index, tariff, is_sampled) = kind(&answers[0].0);
    let order = BatchHeader {
        worker: worker.account(),
        model,
        generation,
        index,
        tariff,
        draws: if is_sampled { draws::count(worker) } else { 0 },
        minimum: worker.config.min_credit,
        channels: Root::EMPTY,
        receipts: Root::EMPTY,
        totals: Parts::default(),
    };
    let (settled, ledger) =
        settle(&order, &cursors, &answers).map_err(|error| Error::part("settling", error))?;
    // A sampled batch's are known when its draws are.
    let ledger = ledger.unwrap_or_else(|| Credits {
        header: draws::no_credits(&settled.header),
        answers: Vec::new(),
        parts: Vec::new(),
        credits: Vec::new(),
    });
    let claims = settled.channels.iter().filter_map(|leaf| {
        let row = last.get(&leaf.channel)?;
        Some(ChannelClaim {
            leaf: *leaf,
            voucher: row.receipt.voucher,
            signature: row.receipt.signature,
            receipt: openledger_attribution::wire::Object::hash(&row.receipt),
        })
    });
    let mut row = BatchRow {
        from: ledger::next_batch(&*worker.ledger, Head::Finalized).await?,
        header: settled.header,
        credits_header: ledger.header,
        claims: claims.collect(),
        channels: settled.channels,
        receipts: settled.receipts,
        parts: ledger.parts,
        credits: ledger.credits,
        state: BatchState::Prepared,
    };
    let mut receipts = Vec::with_capacity(row.receipts.len());
    for leaf in &row.receipts {
        let stored = worker.db.receipt(&leaf.receipt)?;
        receipts
            .push(stored.ok_or_else(|| Error::Internal("a batch of a receipt that is not stored".into()))?);
    }
    worker.attribute.commit(Made {
        batch: &mut row,
        receipts: &mut receipts,
    });
    let number = worker.db.add_batch(&row, &receipts)?;
    kill_point!("batch-prepared");
    tracing::info!(
        batch = number,
        receipts = row.receipts.len(),
        planck = row.header.receipts.sum,
        "made a batch"
    );
    worker.batches_changed.notify_one();
    Ok(())
}

/// Looks for a batch among those that came since it was made.
async fn find(worker: &Worker, row: &BatchRow, head: Head) -> Result<Option<u64>> {
    for id in row.from..ledger::next_batch(&*worker.ledger, head).await? {
        let found = ledger::read::<Batch<Account>>(&*worker.ledger, storage::batch(id), head).await?;
        if found.value.is_some_and(|batch| batch.header == row.header) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// Brings a prepared batch into a final block. True once it is there.
async fn submit(worker: &Worker, number: u64, row: &BatchRow) -> Result<bool> {
    if let Some(id) = find(worker, row, Head::Finalized).await? {
        worker.db.set_batch(number, BatchState::Open(id))?;
        tracing::info!(batch = id, "a batch is final");
        return Ok(true);
    }
    let mut found = find(worker, row, Head::Best).await?;
    if found.is_none() {
        let call =
            calls::attribution::submit_batch(Box::new(row.header), Box::new(row.credits_header), &row.claims);
        worker.ledger.submit(&call).await?;
        kill_point!("batch-submitted");
        found = find(worker, row, Head::Best).await?;
    }
    // In no block (any more): the next round submits it again.
    let state = found.map_or(BatchState::Prepared, BatchState::Submitted);
    if state != row.state {
        worker.db.set_batch(number, state)?;
        kill_point!("batch-noted");
        if let Some(id) = found {
            tracing::info!(batch = id, "a batch is in a block");
        }
    }
    Ok(false)
}

/// Settles a batch whose window has passed and credits its contributors.
async fn close(worker: &Arc<Worker>, number: u64, id: u64, row: &BatchRow) -> Result<()> {
    let on_chain = ledger::batch(&*worker.ledger, id, Head::Best).await?;
    let is_waiting = row.header.is_sampled() && on_chain.stage == BatchStage::Open;
    if is_waiting && !draws::advance(worker, number, id, row).await? {
        return Ok(());
    }
    if on_chain.stage == BatchStage::Open && !audit::advance(worker, number, id, row).await? {
        return Ok(());
    }
    let credited = match on_chain.stage {
        BatchStage::Condemned { guilt } => {
            tracing::error!(batch = id, ?guilt, "a batch was proved wrong");
            return worker.db.set_batch(number, BatchState::Condemned(id));
        }
        BatchStage::Open => {
            let head = worker.ledger.head(Head::Best).await?;
            if head.number < on_chain.closes || on_chain.challenges > 0 {
                return Ok(());
            }
            if ledger::open_requests(&*worker.ledger, Committed::Batch(id), Head::Best).await? > 0 {
                return Ok(());
            }
            worker.ledger.submit(&calls::attribution::settle(id)).await?;
            kill_point!("batch-settled");
            tracing::info!(batch = id, "settled a batch");
            0
        }
        BatchStage::Settled { credited } => credited,
    };
    // Draws that were not answered in time credit nobody, whatever is stored here.
    let count = on_chain.credits.credits.count;
    if credited < count {
        let end = count.min(credited + MOST_CREDITS);
        let part = usize::try_from(credited).ok().zip(usize::try_from(end).ok());
        let leaves = part.and_then(|(from, to)| row.credits.get(from..to));
        let tree = Tree::new(&row.credits).map_err(|error| Error::part("credits", error))?;
        let range = leaves.and_then(|leaves| tree.open_range(credited, leaves));
        let range =
            range.ok_or_else(|| Error::Internal(format!("batch {id} has no credits {credited} to {end}")))?;
        worker
            .ledger
            .submit(&calls::attribution::credit(id, &range))
            .await?;
        kill_point!("batch-credited");
        tracing::info!(batch = id, from = credited, to = end, "credited contributors");
        worker.batches_changed.notify_one();
        return Ok(());
    }
    // A settlement that is not final could still be undone.
    let last = ledger::read::<Batch<Account>>(&*worker.ledger, storage::batch(id), Head::Finalized).await?;
    if last
        .value
        .is_none_or(|batch| batch.stage == BatchStage::Settled { credited: count })
    {
        worker.db.set_batch(number, BatchState::Credited(id))?;
        tracing::info!(
            batch = id,
            header = hex0x(openledger_attribution::wire::Object::hash(&row.header)),
            "a batch is closed"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests;

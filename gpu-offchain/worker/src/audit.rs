//! Audits: of every batch the chain draws one listed row, and the worker shows it, for a committee to recompute.
//!
//! Who does not show it in time loses as for withholding. The chain says where an audit stands, so nothing is remembered here.

use crate::{
    db::{BatchRow, ReceiptRow},
    draws,
    error::{Error, Result},
    formats::hex0x,
    ledger::{self, Head},
    reveal::{index_of, open},
    state::Worker,
};
use openledger_attribution::{
    attribution::Piece,
    tree::Tree,
    verdict::{AnswerProof, AskedRow, Audit, AuditDraw, AuditShown, AuditedQuery, BatchFacts, Wanted},
};
use openledger_protocol::{
    batches::{Batch, BatchStage},
    calls,
    committees::{Audit as Stage, Case, CaseStage, Progress, Subject},
    disputes::Sample,
    storage, Account, Hash,
};
use std::sync::Arc;

/// Blocks of a turn: whoever looks once a second misses none.
const TURN: u32 = 4;

/// Moves the audit of a batch on. True once nothing of it is left to be done.
pub(crate) async fn advance(worker: &Arc<Worker>, number: u64, id: u64, row: &BatchRow) -> Result<bool> {
    let ledger = &*worker.ledger;
    let stage = ledger::read::<Stage>(ledger, storage::audit(id), Head::Best).await?;
    match stage.value {
        None | Some(Stage::Done) => return Ok(true),
        Some(Stage::Waiting { epoch }) => {
            if draws::is_out(worker, epoch).await? {
                ledger.submit(&calls::attribution::draw_audit(id)).await?;
                kill_point!("audit-drawn");
                worker.batches_changed.notify_one();
            }
        }
        Some(Stage::Drawn { until, .. }) if stage.block.number > until => {
            tracing::error!(
                batch = id,
                until,
                "what was drawn of a batch was not shown in time"
            );
        }
        Some(Stage::Drawn { randomness, .. }) => {
            let on_chain = ledger::batch(ledger, id, Head::Best).await?;
            if on_chain.stage != BatchStage::Open {
                return Ok(true);
            }
            let (own, batch) = (worker.clone(), row.clone());
            let facts = Facts {
                genesis: ledger.genesis(),
                chain_id: ledger.chain_id(),
                drawn: ledger::read(ledger, storage::sample(id), Head::Best).await?.value,
            };
            let shown = tokio::task::spawn_blocking(move || {
                show(&own, (number, id), &batch, &on_chain, &facts, &randomness)
            });
            let (shown, subject) = shown.await.map_err(|error| Error::part("an audit", error))??;
            if !worker.attribute.shows(&Wanted::Receipt(shown.answer.leaf.index)) {
                return Ok(false);
            }
            let call = calls::attribution::show_audit(id, Box::new(shown));
            ledger.submit(&call).await?;
            kill_point!("audit-shown");
            tracing::info!(batch = id, "showed what was drawn of a batch");
            worker.batches_changed.notify_one();
            // What is asked about a row holds up no batch, so this is the last time that it is looked at here.
            let asked =
                subject.map(|subject| ledger::read::<u64>(ledger, storage::asked(subject), Head::Best));
            if let Some(asked) = asked {
                if let Some(case) = asked.await?.value {
                    push(worker, case, Turn::Audited).await?;
                }
            }
        }
        Some(Stage::Open { case }) => push(worker, case, Turn::Audited).await?,
    }
    Ok(false)
}

/// Whose turn it is to do what anybody may do, so that not everybody does at once and pays for nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Turn {
    /// The member in this seat, of whatever round.
    Member(usize),
    /// The worker of the batch.
    Audited,
}

/// Does what anybody may do for a case to go on, when it is this one's turn: fills its seats once they are drawn, and ends a round
/// that is over.
pub(crate) async fn push(worker: &Worker, id: u64, turn: Turn) -> Result<()> {
    let ledger = &*worker.ledger;
    let read = ledger::read::<Case<Account>>(ledger, storage::case(id), Head::Best).await?;
    let now = read.block.number;
    let Some(case) = read.value else {
        return Ok(());
    };
    let all = case.seats.len();
    let own = match turn {
        Turn::Member(place) => place,
        Turn::Audited => all,
    };
    if (now / TURN) as usize % (all + 1) != own {
        return Ok(());
    }
    let is_waiting = case
        .seats
        .iter()
        .any(|seat| seat.round == case.round && matches!(seat.progress, Progress::Committed(_)));
    let call = match case.stage {
        CaseStage::Waiting { epoch } if draws::is_out(worker, epoch).await? => calls::committees::seat(id),
        CaseStage::Drawn { .. } => calls::committees::seat(id),
        CaseStage::Committing { until } if now > until && !is_waiting => calls::committees::close(id),
        CaseStage::Revealing { until } if now > until || !is_waiting => calls::committees::close(id),
        _ => return Ok(()),
    };
    match ledger.submit(&call).await {
        Ok(_) => Ok(()),
        // Somebody else did it in the same block.
        Err(error) => {
            let again = ledger::read::<Case<Account>>(ledger, storage::case(id), Head::Best).await?;
            match again.value {
                Some(again) if again.stage == case.stage => Err(error),
                _ => Ok(()),
            }
        }
    }
}

struct Facts {
    genesis: Hash,
    chain_id: u64,
    drawn: Option<Sample>,
}

/// What the draw fell on: a part, its answer, and of that a listed row from one of its two sides; and what is asked about it.
fn show(
    worker: &Worker,
    (number, id): (u64, u64),
    row: &BatchRow,
    on_chain: &Batch<Account>,
    chain: &Facts,
    randomness: &Hash,
) -> Result<(Audit, Option<Subject>)> {
    let held = index_of(worker, &row.header.index)?;
    let index = held.index();
    let facts = BatchFacts {
        genesis: chain.genesis,
        chain_id: chain.chain_id,
        submitted: on_chain.submitted.into(),
        minimum: on_chain.header.minimum,
        randomness: match chain.drawn {
            Some(Sample::Answered { randomness, .. }) => Some(randomness),
            _ => None,
        },
        batch: &on_chain.header,
        credits: Some(&on_chain.credits),
        index: index.header(),
    };
    let wrong = |what: &str| Error::Internal(format!("a batch cannot be audited: {what}"));
    let draw = AuditDraw::new(&facts, randomness).ok_or_else(|| wrong("it attributes nothing"))?;
    let parts = Tree::new(&row.parts).map_err(|error| Error::part("parts", error))?;
    let covers = |at: &u64| {
        let amount = usize::try_from(*at)
            .ok()
            .and_then(|at| row.parts.get(at))
            .map(|part| part.amount);
        let before = parts.prefix(*at);
        before.zip(amount).is_some_and(|(before, amount)| {
            draw.position
                .checked_sub(before)
                .is_some_and(|offset| offset < amount)
        })
    };
    let at = (0..row.parts.len() as u64)
        .find(covers)
        .ok_or_else(|| wrong("no part covers the drawn planck"))?;
    let part = open(&row.parts, at)?;
    let (receipt, drawn) = if row.header.is_sampled() {
        let drawn = open(&worker.db.draws(number)?, part.leaf.source)?;
        (drawn.leaf.receipt, Some(drawn))
    } else {
        (part.leaf.source, None)
    };
    let leaf = open(&row.receipts, receipt)?;
    let stored: ReceiptRow = worker
        .db
        .receipt(&leaf.leaf.receipt)?
        .ok_or_else(|| Error::Internal(format!("receipt {} is lost", hex0x(leaf.leaf.receipt))))?;
    let mut audit = Audit {
        part,
        answer: AnswerProof {
            leaf,
            receipt: stored.receipt,
            attribution: stored.attribution.clone(),
            draw: drawn,
        },
        shown: AuditShown::Nothing([]),
    };
    let piece = audit
        .piece(&facts, &draw)
        .map_err(|doubt| wrong(&doubt.to_string()))?;
    if let Piece::Listed(entry) = piece {
        let layout = index.layout().clone();
        audit.shown = if draw.of_row {
            let listed = stored
                .attribution
                .list
                .get(entry)
                .ok_or_else(|| wrong("no such entry"))?;
            AuditShown::Row(AskedRow {
                layout,
                row: index.open_row(listed.row)?,
            })
        } else {
            AuditShown::Query(AuditedQuery {
                layout,
                query: stored.query,
            })
        };
    }
    let audited = audit
        .judge(&facts, &draw)
        .map_err(|doubt| wrong(&doubt.to_string()))?;
    let subject = audit.subject(&audited, id, row.header.index);
    Ok((audit, subject))
}

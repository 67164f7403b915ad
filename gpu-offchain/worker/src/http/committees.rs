//! Committees: the texts behind a disputed answer, for its members alone.

use super::{hash, octets, Answer, Shared};
use crate::{
    db::AnswerRow,
    error::Error,
    formats::{output_leaves, prompt_leaves},
    ledger::{self, Head},
    state::Worker,
};
use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use codec::Encode;
use openledger_attribution::{committee::Subject, wire::Object};
use openledger_content::Recipient;
use openledger_protocol::{
    committees::{Case, Handed, Membership},
    storage, Account,
};
use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Asks {
    member: String,
}

/// What a member of a committee needs of an answer, in a box that only it opens.
pub(super) async fn handed(
    State(worker): Shared,
    Path(id): Path<u64>,
    Query(asks): Query<Asks>,
) -> Answer<Response> {
    let member = hash(&asks.member)?;
    let missing = || Error::Missing(format!("case {id} is no question about an answer of this worker"));
    let chain = &*worker.ledger;
    let case = ledger::read::<Case<Account>>(chain, storage::case(id), Head::Best).await?.value;
    let case = case
        .filter(|case| case.accused == worker.account() && case.subject.is_private())
        .ok_or_else(missing)?;
    if !case.seats.iter().any(|seat| seat.member == member) {
        return Err(Error::Forbidden(format!("{} has no seat in case {id}", asks.member)));
    }
    let membership = ledger::read::<Membership>(chain, storage::member(member), Head::Best).await?.value;
    let membership = membership
        .ok_or_else(|| Error::Forbidden(format!("{} is no member of any committee", asks.member)))?;
    let answer = answer(&worker, &case.subject)?.ok_or_else(missing)?;
    let handed = Handed {
        prompt: prompt_leaves(&answer.prompt, &answer.salt),
        output: output_leaves(&answer.output, &answer.salt),
        parameters: worker.db.parameters(&answer.voucher.hash())?,
    };
    Ok(octets(Recipient(membership.key).seal(&handed.encode())?))
}

fn answer(worker: &Worker, subject: &Subject) -> Answer<Option<AnswerRow>> {
    let (batch, source, is_position) = match *subject {
        Subject::Query { batch, source } | Subject::Ranks { batch, source } => (batch, source, false),
        Subject::Output { batch, receipt } => (batch, receipt, true),
        Subject::Row { .. } | Subject::Basis { .. } | Subject::Training { .. } => return Ok(None),
    };
    let Some((number, row)) = worker.db.batch_on_chain(batch)? else {
        return Ok(None);
    };
    let draws = worker.db.draws(number)?;
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
    let at = if row.header.is_sampled() && !is_position {
        draws.get(place(source)).map(|draw| draw.receipt)
    } else {
        Some(source)
    };
    let Some(leaf) = at.and_then(|at| row.receipts.get(place(at))) else {
        return Ok(None);
    };
    let Some(receipt) = worker.db.receipt(&leaf.receipt)? else {
        return Ok(None);
    };
    worker.db.answer(&receipt.receipt.voucher.hash())
}

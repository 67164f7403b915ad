//! Committees: the texts behind a disputed answer, for its members alone.

use super::{body::Path, hash, octets, Answer, Shared};
use crate::{
    db::AnswerRow,
    error::Error,
    formats::{output_leaves, prompt_leaves},
    ledger::{self, Head},
    state::Worker,
};
use axum::{extract::State, response::Response};
use codec::Encode;
use openledger_attribution::{committee::Subject, wire::Object};
use openledger_content::Recipient;
use openledger_protocol::{
    committees::{Case, Handed, Membership},
    storage, Account,
};

/// What a member of a committee needs of an answer, in a box that only it opens.
pub(super) async fn handed(State(worker): Shared, Path((id, text)): Path<(u64, String)>) -> Answer<Response> {
    let member = hash(&text)?;
    let missing = || Error::Missing(format!("case {id} is no question about an answer of this worker"));
    let chain = &*worker.ledger;
    let case = ledger::read::<Case<Account>>(chain, storage::case(id), Head::Best).await?;
    let case = case
        .value
        .filter(|case| case.accused == worker.account() && case.subject.is_private())
        .ok_or_else(missing)?;
    if !case.seats.iter().any(|seat| seat.member == member) {
        return Err(Error::Forbidden(format!("{text} has no seat in case {id}")));
    }
    let membership = ledger::read::<Membership>(chain, storage::member(member), Head::Best).await?;
    let membership = membership
        .value
        .ok_or_else(|| Error::Forbidden(format!("{text} is no member of any committee")))?;
    let answer = answer(&worker, &case.subject)?.ok_or_else(missing)?;
    let handed = Handed {
        prompt: prompt_leaves(&answer.prompt, &answer.salt),
        output: output_leaves(&answer.output, &answer.salt),
        choices: answer.choices.iter().map(|choice| choice.tokens).collect(),
        parameters: worker.db.parameters(&answer.voucher.hash())?,
    };
    Ok(octets(Recipient(membership.key).seal(&handed.encode())?))
}

/// The answer that a question is about, if this worker gave it.
fn answer(worker: &Worker, subject: &Subject) -> Answer<Option<AnswerRow>> {
    let (batch, source, is_position) = match *subject {
        Subject::Query { batch, source } | Subject::Ranks { batch, source } => (batch, source, false),
        Subject::Output { batch, receipt } => (batch, receipt, true),
        Subject::Row { .. } | Subject::Basis { .. } | Subject::Training { .. } => return Ok(None),
    };
    let Some((number, row)) = worker.db.batch_on_chain(batch)? else {
        return Ok(None);
    };
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
    let at = if row.header.is_sampled() && !is_position {
        let draws = worker.db.draws(number)?;
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

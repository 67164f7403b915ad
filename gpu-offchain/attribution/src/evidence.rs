//! From a lie about channel 1 to what proves it on chain, with nothing but public data: the index, the
//! answer's attribution, its query sketch.

use crate::{index::Index, query::Query, score::ScoreBackend, Error, Result};
use openledger_attribution::{
    list::ListEntry,
    sketch::{Sketch, SketchLeaf},
    tree::Tree,
    verdict::{AnswerProof, BatchEvidence, LeftOut, NamedRow, QueryBlock, WrongScore},
};
use std::collections::BTreeMap;

/// A listed row, to be recomputed by the chain.
///
/// Errors: no such entry, a row that the index does not have, a sketch that the answer does not name.
pub fn wrong_score(index: &Index, answer: AnswerProof, entry: u16, query: &Sketch) -> Result<WrongScore> {
    let row = listed(&answer, entry)?.row;
    check_query(index, &answer, query)?;
    Ok(WrongScore {
        row: index.open_row(row)?,
        answer,
        entry,
        layout: index.layout().clone(),
        query: query.clone(),
    })
}

/// A row that belongs in the list and is not there.
///
/// Errors: a row that is listed or that the index does not have, a sketch that the answer does not name.
pub fn left_out(index: &Index, answer: AnswerProof, row: u64, query: &Sketch) -> Result<LeftOut> {
    if answer.attribution.list.iter().any(|entry| entry.row == row) {
        return Err(Error::Evidence(format!(
            "row {row} is in the list: only one that is not can have been left out"
        )));
    }
    check_query(index, &answer, query)?;
    Ok(LeftOut {
        row: index.open_row(row)?,
        answer,
        layout: index.layout().clone(),
        query: query.clone(),
    })
}

/// A block of the query sketch that no gradient gives.
///
/// Errors: no such block, a sketch that the answer does not name.
pub fn query_block(index: &Index, answer: AnswerProof, block: u64, query: &Query) -> Result<QueryBlock> {
    if query.hash() != answer.attribution.query {
        return Err(other_query());
    }
    Ok(QueryBlock {
        block: Some(query.open(block)?),
        answer,
        layout: index.layout().clone(),
        root: query.root(),
    })
}

/// A listed row and whom the index names for it.
///
/// Errors: no such entry, or a row that the index does not have.
pub fn named_row(index: &Index, answer: AnswerProof, entry: u16) -> Result<NamedRow> {
    let row = listed(&answer, entry)?.row;
    Ok(NamedRow {
        row: index.open_row(row)?,
        answer,
        entry,
    })
}

/// What a watcher does with an answer: recomputes the list and returns proof of the first lie it finds about
/// the first channel, none if all is right.
///
/// Errors: a sketch that the answer does not name (ask for the right one), a failing backend.
pub fn audit(
    index: &Index,
    answer: &AnswerProof,
    query: &Sketch,
    backend: &dyn ScoreBackend,
    threads: usize,
) -> Result<Option<BatchEvidence>> {
    let committed = index.query_from_sketch(query.clone())?;
    if committed.hash() != answer.attribution.query {
        return Err(other_query());
    }
    let rule = index.rule();
    for (block, leaf) in (0u64..).zip(committed.leaves()) {
        if rule.check_block(leaf.exponent, &leaf.lanes).is_err() {
            let evidence = query_block(index, answer.clone(), block, &committed)?;
            return Ok(Some(BatchEvidence::Query(evidence)));
        }
    }
    // Shape first: a list that breaks its own rules needs no row to fall.
    let list = &answer.attribution.list;
    if openledger_attribution::list::check_list(list, index.header().rules.top, index.rows()).is_err() {
        return Ok(Some(BatchEvidence::Shape(answer.clone())));
    }
    for (entry, listed) in (0u16..).zip(list) {
        let row = index.row(listed.row)?;
        let score = rule.evaluate(query.view(), row.sketch.view());
        let is_right = score.is_some_and(|score| {
            score.eligible && u128::try_from(score.value).is_ok_and(|value| value == listed.score)
        });
        if !is_right {
            let evidence = wrong_score(index, answer.clone(), entry, query)?;
            return Ok(Some(BatchEvidence::Score(evidence)));
        }
        if row.contributor != listed.contributor {
            return Ok(Some(BatchEvidence::NamedRow(named_row(
                index,
                answer.clone(),
                entry,
            )?)));
        }
    }
    let listed: BTreeMap<u64, &ListEntry> = list.iter().map(|entry| (entry.row, entry)).collect();
    let honest = index.list(&committed, backend, threads)?;
    match honest.iter().find(|entry| !listed.contains_key(&entry.row)) {
        None => Ok(None),
        Some(missing) => {
            let evidence = left_out(index, answer.clone(), missing.row, query)?;
            Ok(Some(BatchEvidence::LeftOut(evidence)))
        }
    }
}

fn listed(answer: &AnswerProof, entry: u16) -> Result<&ListEntry> {
    let list = &answer.attribution.list;
    list.get(usize::from(entry)).ok_or(Error::NoSuch {
        kind: "list entry",
        index: u64::from(entry),
        count: list.len() as u64,
    })
}

fn check_query(index: &Index, answer: &AnswerProof, query: &Sketch) -> Result<()> {
    let leaves = query.leaves(index.rule()).ok_or_else(other_query)?;
    if Tree::new(&leaves)?.root().hash::<SketchLeaf>() != answer.attribution.query {
        return Err(other_query());
    }
    Ok(())
}

fn other_query() -> Error {
    Error::Evidence(
        "the sketch is not the one that the answer names: ask its worker for the right one".into(),
    )
}

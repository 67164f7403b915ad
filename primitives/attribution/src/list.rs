//! The list of an answer: its eligible rows, best first.

use crate::{
    hash::Account,
    index::IndexLeaf,
    sketch::{Rule, SketchRef},
    wire::fields,
};
use alloc::{collections::BinaryHeap, vec::Vec};
use core::cmp::Ordering;

/// No two valid sketches have a larger score; so a list's total always fits.
pub const MAX_SCORE: u128 = 1 << 117;

/// One row that shaped the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct ListEntry {
    /// The row's position in the index.
    pub row: u64,
    /// Its exact score; entries are positive.
    pub score: u128,
    /// Whom the index names as contributor of the row.
    pub contributor: Account,
}

fields!(ListEntry {
    row,
    score,
    contributor
});

impl ListEntry {
    /// The order of a list: score descending, then row ascending. `Less` comes first.
    pub fn order(&self, other: &Self) -> Ordering {
        place(self.score, self.row).cmp(&place(other.score, other.row))
    }

    /// Whether an eligible row with this score would stand before this entry.
    pub fn follows(&self, score: u128, row: u64) -> bool {
        place(score, row) < place(self.score, self.row)
    }
}

fn place(score: u128, row: u64) -> (core::cmp::Reverse<u128>, u64) {
    (core::cmp::Reverse(score), row)
}

/// Why a list breaks the rules of lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub enum ListFlaw {
    /// More entries than the index allows.
    Length,
    /// A score of zero, or one that no two sketches can have.
    Score,
    /// A row the index does not have.
    Row,
    /// Entries out of order, or one row twice.
    Order,
}

/// Checks what a list shows by itself.
pub fn check_list(list: &[ListEntry], top: u16, rows: u64) -> Result<(), ListFlaw> {
    if list.len() > usize::from(top) {
        return Err(ListFlaw::Length);
    }
    if list
        .iter()
        .any(|entry| entry.score == 0 || entry.score > MAX_SCORE)
    {
        return Err(ListFlaw::Score);
    }
    if list.iter().any(|entry| entry.row >= rows) {
        return Err(ListFlaw::Row);
    }
    if !list.is_sorted_by(|a, b| a.order(b) == Ordering::Less) {
        return Err(ListFlaw::Order);
    }
    let mut rows: Vec<u64> = list.iter().map(|entry| entry.row).collect();
    rows.sort_unstable();
    if !rows.is_sorted_by(|a, b| a < b) {
        return Err(ListFlaw::Order);
    }
    Ok(())
}

/// Collects the list of one query over rows that come in any order.
///
/// Rows may be pushed from several collectors and merged: the result does not depend on how.
#[derive(Clone, Debug)]
pub struct ListBuilder<'a> {
    rule: &'a Rule,
    query: SketchRef<'a>,
    // Nothing for an invalid query: it scores with no row.
    query_norm: Option<u128>,
    // The last of the best so far on top.
    best: BinaryHeap<Placed>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Placed(ListEntry);

impl Ord for Placed {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.order(&other.0)
    }
}

impl PartialOrd for Placed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<'a> ListBuilder<'a> {
    /// A list for `query`, a valid sketch of the rule's layout.
    pub fn new(rule: &'a Rule, query: SketchRef<'a>) -> Self {
        let query_norm = rule.check(query).ok().and_then(|()| rule.norm(query));
        Self {
            rule,
            query,
            query_norm,
            best: BinaryHeap::new(),
        }
    }

    /// Scores a row and keeps it if it is eligible and among the best.
    pub fn push(&mut self, row: u64, leaf: &IndexLeaf) {
        if let Some(score) = self.eligible_score(leaf.sketch.view()) {
            self.keep(ListEntry {
                row,
                score,
                contributor: leaf.contributor,
            });
        }
    }

    /// What [`Rule::evaluate`] says of a row if it is eligible; most rows are told by their score alone.
    fn eligible_score(&self, row: SketchRef<'_>) -> Option<u128> {
        let query_norm = self.query_norm?;
        let score = self.rule.score(self.query, row)?;
        if score <= 0 {
            return None;
        }
        self.rule.check(row).ok()?;
        let eligible = self.rule.judge(score, query_norm, self.rule.norm(row)?)?;
        eligible.then_some(score.unsigned_abs())
    }

    /// Keeps an entry that was scored elsewhere if it is among the best.
    pub fn keep(&mut self, entry: ListEntry) {
        self.best.push(Placed(entry));
        if self.best.len() > self.rule.top() {
            self.best.pop();
        }
    }

    /// The list.
    pub fn finish(self) -> Vec<ListEntry> {
        self.best
            .into_sorted_vec()
            .into_iter()
            .map(|placed| placed.0)
            .collect()
    }
}

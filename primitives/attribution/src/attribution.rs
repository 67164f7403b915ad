//! What shaped one answer: three channels of evidence and the amounts that follow from them.

use crate::{
    fee::Mix,
    hash::{Account, Hash, Tag},
    list::{check_list, ListEntry, ListFlaw},
    record::RecordId,
    share::{apportion, gather, shares},
    verbatim::{check_spans, Span, SpanFlaw, SpanRecord},
    wire::{fields, Object},
};
use alloc::vec::Vec;

/// Most records the retrieval channel can name.
pub const MAX_RETRIEVED: usize = 32;

/// The least common multiple of 1…32: divided by a rank it is that rank's exact weight.
const RANK_WEIGHT: u128 = 144_403_552_893_600;

/// A record shown in the prompt. Its rank is its position in the list, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct Retrieved {
    /// Position of the record's leaf in the corpus tree.
    pub entry: u64,
    /// The record.
    pub record: RecordId,
    /// Its contributor.
    pub contributor: Account,
}

fields!(Retrieved {
    entry,
    record,
    contributor
});

/// The attribution of one answer. Everything paid to contributors follows from it by integer arithmetic.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct Attribution {
    /// Root hash of the query sketch's tree, see [`SketchLeaf`](crate::sketch::SketchLeaf).
    pub query: Hash,
    /// Channel 1: the rows that shaped the answer, best first.
    pub list: Vec<ListEntry>,
    /// Channel 2: the spans of the answer that are somebody's words, in the order of the answer.
    pub spans: Vec<Span>,
    /// Channel 3: records shown in the prompt, best first.
    pub retrieved: Vec<Retrieved>,
}

fields!(Attribution {
    query,
    list,
    spans,
    retrieved
});

impl Object for Attribution {
    const TAG: Tag = *b"ATT1";
}

/// Why an attribution falls by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub enum ShapeFlaw {
    /// The list breaks a rule.
    List(ListFlaw),
    /// The spans break a rule.
    Spans(SpanFlaw),
    /// More than [`MAX_RETRIEVED`] records, one twice, or one the corpus does not have.
    Retrieved,
}

/// Something in an attribution that its contributor is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Entry of the list.
    Listed(usize),
    /// A record of a span.
    Span,
    /// A retrieved record.
    Retrieved,
}

/// What the shape of an attribution is measured against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Entries the list may have.
    pub top: u16,
    /// Rows of the index.
    pub rows: u64,
    /// Records of the corpus.
    pub records: u64,
    /// Tokens of the corpus, separators included; 0 without a verbatim index.
    pub corpus: u64,
    /// Tokens of the answer.
    pub output: u32,
}

impl Attribution {
    /// Checks everything the attribution shows by itself.
    pub fn check(&self, bounds: &Bounds) -> Result<(), ShapeFlaw> {
        check_list(&self.list, bounds.top, bounds.rows).map_err(ShapeFlaw::List)?;
        check_spans(&self.spans, bounds.output, bounds.corpus, bounds.records).map_err(ShapeFlaw::Spans)?;
        let mut entries: Vec<u64> = self.retrieved.iter().map(|record| record.entry).collect();
        entries.sort_unstable();
        let distinct = entries.is_sorted_by(|a, b| a < b);
        if entries.len() > MAX_RETRIEVED || !distinct || entries.iter().any(|entry| *entry >= bounds.records)
        {
            return Err(ShapeFlaw::Retrieved);
        }
        Ok(())
    }

    /// Shares of the list's entries in parts per billion of the list's total, none for an empty list.
    pub fn list_shares(&self) -> Option<Vec<u32>> {
        channel(self.list.iter().map(|entry| entry.score))
    }

    /// Shares of the spans' records, span by span and record by record.
    pub fn span_shares(&self) -> Option<Vec<u32>> {
        channel(self.span_records().map(|(weight, _)| weight))
    }

    /// Shares of the retrieved records.
    pub fn retrieved_shares(&self) -> Option<Vec<u32>> {
        let ranks = 1u128..;
        channel(
            ranks
                .zip(&self.retrieved)
                .map(|(rank, _)| RANK_WEIGHT.checked_div(rank).unwrap_or(0)),
        )
    }

    /// Weights of the contributors, sorted by account: the channels' shares mixed, an empty channel's weight
    /// going to the others pro rata. Empty if there is nobody to credit; nothing if the attribution is not
    /// well shaped.
    pub fn weights(&self, mix: &Mix) -> Option<Vec<(Account, u128)>> {
        let list = self.list.iter().map(|entry| entry.contributor);
        let spans = self.span_records().map(|(_, record)| record.contributor);
        let retrieved = self.retrieved.iter().map(|record| record.contributor);
        let mut all = Vec::new();
        mixed(&mut all, mix.influence, self.list_shares()?, list);
        mixed(&mut all, mix.verbatim, self.span_shares()?, spans);
        mixed(&mut all, mix.retrieval, self.retrieved_shares()?, retrieved);
        gather(all)
    }

    /// Whether anybody is credited: if not, the contributors' part takes the fallback.
    pub fn credits_anyone(&self, mix: &Mix) -> Option<bool> {
        Some(!self.weights(mix)?.is_empty())
    }

    /// Divides `amount` planck among the contributors: largest remainder over their weights, ties by account;
    /// sorted by account, zeros left out. Empty if there is nobody to credit.
    pub fn amounts(&self, mix: &Mix, amount: u128) -> Option<Vec<(Account, u128)>> {
        let weights = self.weights(mix)?;
        if weights.is_empty() {
            return Some(Vec::new());
        }
        let numbers: Vec<u128> = weights.iter().map(|(_, weight)| *weight).collect();
        let parts = apportion(amount, &numbers)?;
        Some(
            weights
                .into_iter()
                .map(|(account, _)| account)
                .zip(parts)
                .filter(|(_, part)| *part > 0)
                .collect(),
        )
    }

    /// What of this answer a contributor is paid for, with weights as in [`weights`](Self::weights): first listed
    /// rows, then records of spans, then retrieved records, each in its order. Nothing if the attribution is
    /// not well shaped.
    pub fn pieces(&self, mix: &Mix, contributor: &Account) -> Option<Vec<(Piece, u128)>> {
        let mut all = Vec::new();
        let mut push = |piece: Piece, share: u32, weight: u32, of: &Account| {
            let weight = u128::from(share).saturating_mul(u128::from(weight));
            if of == contributor && weight > 0 {
                all.push((piece, weight));
            }
        };
        for (at, (share, entry)) in self.list_shares()?.into_iter().zip(&self.list).enumerate() {
            push(Piece::Listed(at), share, mix.influence, &entry.contributor);
        }
        for (share, (_, record)) in self.span_shares()?.into_iter().zip(self.span_records()) {
            push(Piece::Span, share, mix.verbatim, &record.contributor);
        }
        for (share, record) in self.retrieved_shares()?.into_iter().zip(&self.retrieved) {
            push(Piece::Retrieved, share, mix.retrieval, &record.contributor);
        }
        Some(all)
    }

    fn span_records(&self) -> impl Iterator<Item = (u128, &SpanRecord)> {
        self.spans
            .iter()
            .flat_map(|span| span.records.iter().map(|record| (span.record_weight(), record)))
    }
}

/// Shares of one channel, empty for an empty channel.
fn channel(weights: impl Iterator<Item = u128>) -> Option<Vec<u32>> {
    let weights: Vec<u128> = weights.collect();
    if weights.is_empty() {
        return Some(Vec::new());
    }
    shares(&weights)
}

fn mixed(
    all: &mut Vec<(Account, u128)>,
    weight: u32,
    shares: Vec<u32>,
    contributors: impl Iterator<Item = Account>,
) {
    // Below 2^60 each, and a channel's shares add up to 10^9: the sums of all channels stay below 2^62.
    all.extend(
        shares
            .into_iter()
            .zip(contributors)
            .map(|(share, contributor)| (contributor, u128::from(share).saturating_mul(u128::from(weight)))),
    );
}

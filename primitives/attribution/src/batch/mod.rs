//! Batches: the receipts of one worker, one generation, one index and one tariff, and the money they move.
//!
//! ```text
//! channels   (channel, consumer, from, to)                 sorted by channel, sum = planck moved into escrow
//! receipts   (channel, cumulative, fee, hash, running)     sorted by channel and cumulative, sum = the same planck
//! answers    (receipt, attribution, forfeit)               sampled batches only, one leaf a draw
//! parts      (contributor, source, amount)                 sorted by both, sum = planck attributed
//! credits    (contributor, first, end, amount)             sorted by contributor, sum = planck credited
//! ```
//!
//! A receipt's fee is the difference of two neighbours of its channel, so nothing can be left out, repeated
//! or overlap. `running` adds up the receipts' [`Parts`], each split once per receipt: the last leaf's are
//! the batch's.
//!
//! In a full batch a part's source is the receipt. In a sampled one the receipts are committed first, then
//! `draws` positions of the receipts' sum are drawn, each carries an equal part of the contributors' money,
//! and the source is the draw. A contributor's parts stand together; their sum is its credit if it reaches
//! the batch's minimum. What is attributed but not credited goes the fallback's way.

mod settle;

pub use settle::{settle, settle_draws, Ledger, SettleError, Settled};

use crate::{
    fee::{Parts, Tariff},
    hash::{keccak, Account, Hash, Tag, NONE},
    tree::{Keyed, Leaf, Root},
    wide::scale,
    wire::{fields, Field, Object},
};
use alloc::vec::Vec;

/// What a batch takes out of one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct ChannelLeaf {
    /// The channel.
    pub channel: u64,
    /// Whose channel it is.
    pub consumer: Account,
    /// Cumulative planck before the batch: the channel's cursor.
    pub from: u128,
    /// Cumulative planck after it.
    pub to: u128,
}

fields!(ChannelLeaf {
    channel,
    consumer,
    from,
    to
});

impl Leaf for ChannelLeaf {
    const TAG: Tag = *b"CHN1";

    fn payload(&self, out: &mut Vec<u8>) -> Option<u128> {
        self.write(out);
        self.to.checked_sub(self.from)
    }
}

impl Keyed for ChannelLeaf {
    type Key = u64;

    fn key(&self) -> u64 {
        self.channel
    }
}

/// A receipt's place in its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct ReceiptLeaf {
    /// The channel.
    pub channel: u64,
    /// The channel's cumulative planck after the answer.
    pub cumulative: u128,
    /// What the answer cost.
    pub fee: u128,
    /// Hash of the receipt.
    pub receipt: Hash,
    /// Money by destination, added up over this leaf and all before it.
    pub running: Parts,
}

fields!(ReceiptLeaf {
    channel,
    cumulative,
    fee,
    receipt,
    running
});

impl Leaf for ReceiptLeaf {
    const TAG: Tag = *b"RCP1";

    fn payload(&self, out: &mut Vec<u8>) -> Option<u128> {
        self.write(out);
        Some(self.fee)
    }
}

impl Keyed for ReceiptLeaf {
    type Key = u64;

    /// The channel alone: several receipts of a batch may share it.
    fn key(&self) -> u64 {
        self.channel
    }
}

impl ReceiptLeaf {
    /// The channel's cumulative planck before the answer.
    pub fn from(&self) -> Option<u128> {
        self.cumulative.checked_sub(self.fee)
    }
}

/// Planck that one answer (or one draw) gives one contributor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct PartLeaf {
    /// The contributor.
    pub contributor: Account,
    /// Position of the receipt; in a sampled batch, number of the draw.
    pub source: u64,
    /// Planck, never zero.
    pub amount: u128,
}

fields!(PartLeaf {
    contributor,
    source,
    amount
});

impl Leaf for PartLeaf {
    const TAG: Tag = *b"PRT1";

    fn payload(&self, out: &mut Vec<u8>) -> Option<u128> {
        self.write(out);
        (self.amount > 0).then_some(self.amount)
    }
}

impl Keyed for PartLeaf {
    type Key = (Account, u64);

    fn key(&self) -> (Account, u64) {
        (self.contributor, self.source)
    }
}

/// What a contributor gets from a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct CreditLeaf {
    /// The contributor.
    pub contributor: Account,
    /// Its first part.
    pub first: u64,
    /// The first part behind its own.
    pub end: u64,
    /// The sum of its parts, in planck.
    pub amount: u128,
}

fields!(CreditLeaf {
    contributor,
    first,
    end,
    amount
});

impl Leaf for CreditLeaf {
    const TAG: Tag = *b"CRD1";

    fn payload(&self, out: &mut Vec<u8>) -> Option<u128> {
        self.write(out);
        Some(self.amount)
    }
}

impl Keyed for CreditLeaf {
    type Key = Account;

    fn key(&self) -> Account {
        self.contributor
    }
}

/// The answer to one draw of a sampled batch; the leaf's position is the draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct DrawLeaf {
    /// Position of the drawn receipt.
    pub receipt: u64,
    /// Hash of its attribution, zero if the worker cannot give it.
    pub attribution: Hash,
    /// What the worker's bond owes the fallback for a draw without attribution, in planck.
    pub forfeit: u128,
}

fields!(DrawLeaf {
    receipt,
    attribution,
    forfeit
});

impl Leaf for DrawLeaf {
    const TAG: Tag = *b"DRW1";

    fn payload(&self, out: &mut Vec<u8>) -> Option<u128> {
        self.write(out);
        Some(self.forfeit)
    }
}

/// The commitment to a batch's receipts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct BatchHeader {
    /// Who answered.
    pub worker: Account,
    /// The model.
    pub model: u64,
    /// Its generation.
    pub generation: u32,
    /// Hash of the index header.
    pub index: Hash,
    /// The tariff of every receipt.
    pub tariff: Tariff,
    /// How many receipts are drawn for attribution; 0 if all have theirs.
    pub draws: u16,
    /// Least credit, in planck.
    pub minimum: u128,
    /// Tree of [`ChannelLeaf`]s.
    pub channels: Root,
    /// Tree of [`ReceiptLeaf`]s.
    pub receipts: Root,
    /// Money by destination.
    pub totals: Parts,
}

fields!(BatchHeader {
    worker,
    model,
    generation,
    index,
    tariff,
    draws,
    minimum,
    channels,
    receipts,
    totals,
});

impl Object for BatchHeader {
    const TAG: Tag = *b"BAT1";
}

/// Why the headers of a batch contradict themselves or each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub enum BatchFlaw {
    /// Split or mix do not add up.
    Tariff,
    /// A root that no tree has.
    Root,
    /// There is no receipt, or no receipt that costs anything.
    Empty,
    /// The receipts, the channels and the destinations do not move the same planck.
    Sums,
    /// A sampled batch that already claims a fallback, or credits that answer another number of draws.
    Draws,
    /// Another least credit than the chain's.
    Minimum,
    /// The credits are for another batch.
    Batch,
    /// Parts or credits hand out more, or in a full batch less, than there is.
    Credits,
}

impl BatchHeader {
    /// Whether only drawn receipts are attributed.
    pub fn is_sampled(&self) -> bool {
        self.draws > 0
    }

    /// Checks everything the header shows by itself.
    pub fn check(&self) -> Result<(), BatchFlaw> {
        if !self.tariff.is_whole() {
            return Err(BatchFlaw::Tariff);
        }
        if !self.channels.is_possible() || !self.receipts.is_possible() {
            return Err(BatchFlaw::Root);
        }
        if self.receipts.sum == 0 {
            return Err(BatchFlaw::Empty);
        }
        if self.receipts.sum != self.channels.sum || self.totals.total() != Some(self.receipts.sum) {
            return Err(BatchFlaw::Sums);
        }
        if self.is_sampled() && self.totals.fallback != 0 {
            return Err(BatchFlaw::Draws);
        }
        Ok(())
    }

    /// The position of the receipts' sum that draw `draw` picks: the drawn receipt is the one whose fee
    /// covers it.
    pub fn draw(&self, randomness: &Hash, draw: u16) -> u128 {
        draw_position(
            randomness,
            b"draw",
            &self.hash(),
            u64::from(draw),
            self.receipts.sum,
        )
    }

    /// The contributors' planck that draw `draw` carries: equal parts, the earlier draws one planck more if
    /// it does not come out even. Nothing if there is no such draw.
    pub fn draw_amount(&self, draw: u64) -> Option<u128> {
        let draws = u128::from(self.draws);
        if u128::from(draw) >= draws {
            return None;
        }
        let part = self.totals.contributors.checked_div(draws)?;
        let more = u128::from(draw) < self.totals.contributors.checked_rem(draws)?;
        part.checked_add(u128::from(more))
    }
}

/// A position below `total`, drawn by `randomness` for the `number`th time for `object` and `purpose`: even
/// up to one part in 2^128.
pub fn draw_position(randomness: &Hash, purpose: &Tag, object: &Hash, number: u64, total: u128) -> u128 {
    scale(
        &keccak(&[randomness, purpose, object, &number.to_be_bytes()]),
        total,
    )
}

/// The commitment to who is paid; with the receipts in a full batch, after the draws in a sampled one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct CreditsHeader {
    /// Hash of the batch header.
    pub batch: Hash,
    /// Tree of [`DrawLeaf`]s, empty for a full batch. Its sum is what the bond owes the fallback.
    pub answers: Root,
    /// Tree of [`PartLeaf`]s.
    pub parts: Root,
    /// Tree of [`CreditLeaf`]s.
    pub credits: Root,
}

fields!(CreditsHeader {
    batch,
    answers,
    parts,
    credits
});

impl Object for CreditsHeader {
    const TAG: Tag = *b"CRE1";
}

impl CreditsHeader {
    /// Checks everything the header shows beside its batch.
    pub fn check(&self, batch: &BatchHeader) -> Result<(), BatchFlaw> {
        if self.batch != batch.hash() {
            return Err(BatchFlaw::Batch);
        }
        if ![self.answers, self.parts, self.credits]
            .iter()
            .all(Root::is_possible)
        {
            return Err(BatchFlaw::Root);
        }
        let answered = if batch.is_sampled() {
            self.answers.count == u64::from(batch.draws)
        } else {
            self.answers == Root::EMPTY
        };
        if !answered {
            return Err(BatchFlaw::Draws);
        }
        let attributed = self.parts.sum.checked_add(self.answers.sum);
        let fits = if batch.is_sampled() {
            attributed.is_some_and(|sum| sum <= batch.totals.contributors)
        } else {
            attributed == Some(batch.totals.contributors)
        };
        if !fits || self.credits.sum > self.parts.sum || self.credits.count > self.parts.count {
            return Err(BatchFlaw::Credits);
        }
        Ok(())
    }

    /// The contributors' money in escrow that is credited to nobody: unanswered draws, draws without
    /// contributors and parts too small to credit. It goes the fallback's way.
    pub fn uncredited(&self, batch: &BatchHeader) -> Option<u128> {
        batch.totals.contributors.checked_sub(self.credits.sum)
    }
}

impl DrawLeaf {
    /// Whether the worker gave no attribution.
    pub fn is_forfeited(&self) -> bool {
        self.attribution == NONE
    }
}

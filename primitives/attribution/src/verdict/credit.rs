//! Lies about draws, parts and credits.

use super::{found, AnswerProof, BatchFacts, Doubt, Finding, Guilt, Neighbours};
use crate::{
    batch::{CreditLeaf, DrawLeaf, PartLeaf, ReceiptLeaf},
    hash::Account,
    tree::{Gap, Keyed, Opening},
    wire::fields,
};

/// A draw and the receipt it names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct DrawnReceipt {
    /// The draw.
    pub draw: Opening<DrawLeaf>,
    /// The receipt it names; not needed if there is no such receipt.
    pub receipt: Option<Opening<ReceiptLeaf>>,
}

fields!(DrawnReceipt { draw, receipt });

impl DrawnReceipt {
    pub(super) fn judge(&self, facts: &BatchFacts<'_>) -> Finding {
        let batch = facts.batch;
        self.draw.verify(&facts.credits()?.answers).ok_or(Doubt::Proof)?;
        if self.draw.leaf.receipt >= batch.receipts.count {
            return Ok(Guilt::WrongDraw);
        }
        let receipt = self.receipt.as_ref().ok_or(Doubt::Incomplete)?;
        if receipt.index != self.draw.leaf.receipt {
            return Err(Doubt::Unrelated);
        }
        let before = receipt.verify(&batch.receipts).ok_or(Doubt::Proof)?;
        let randomness = facts.randomness.ok_or(Doubt::Facts)?;
        let draw = u16::try_from(self.draw.index).map_err(|_| Doubt::Unrelated)?;
        let drawn = batch.draw(&randomness, draw);
        let covers = drawn
            .checked_sub(before)
            .is_some_and(|offset| offset < receipt.leaf.fee);
        found(!covers, Guilt::WrongDraw)
    }
}

/// A draw and what its forfeit must be: what it carries if it has no attribution, else nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct DrawForfeit {
    /// The draw.
    pub draw: Opening<DrawLeaf>,
}

fields!(DrawForfeit { draw });

impl DrawForfeit {
    pub(super) fn judge(&self, facts: &BatchFacts<'_>) -> Finding {
        self.draw.verify(&facts.credits()?.answers).ok_or(Doubt::Proof)?;
        let leaf = &self.draw.leaf;
        let owed = if leaf.is_forfeited() {
            facts.batch.draw_amount(self.draw.index).ok_or(Doubt::Unrelated)?
        } else {
            0
        };
        found(leaf.forfeit != owed, Guilt::WrongForfeit)
    }
}

pub(super) fn judge_parts(facts: &BatchFacts<'_>, pair: &Neighbours<PartLeaf>) -> Finding {
    let (left, right) = pair.open(&facts.credits()?.parts)?;
    found(left.key() >= right.key(), Guilt::PartsDisordered)
}

/// A part and the answer it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct PartOfAnswer {
    /// The part.
    pub part: Opening<PartLeaf>,
    /// The answer it names as its source.
    pub answer: AnswerProof,
}

fields!(PartOfAnswer { part, answer });

impl PartOfAnswer {
    pub(super) fn judge(&self, facts: &BatchFacts<'_>) -> Finding {
        self.part.verify(&facts.credits()?.parts).ok_or(Doubt::Proof)?;
        self.answer.open(facts)?;
        let part = &self.part.leaf;
        if part.source != self.answer.source() {
            return Err(Doubt::Unrelated);
        }
        let owed = owed(facts, &self.answer, &part.contributor)?;
        found(owed != part.amount, Guilt::WrongPart)
    }
}

/// A part that names a draw without attribution, or a source that the batch does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct PartOfForfeit {
    /// The part.
    pub part: Opening<PartLeaf>,
    /// The draw it names; not needed if there is no such source.
    pub draw: Option<Opening<DrawLeaf>>,
}

fields!(PartOfForfeit { part, draw });

impl PartOfForfeit {
    pub(super) fn judge(&self, facts: &BatchFacts<'_>) -> Finding {
        let credits = facts.credits()?;
        self.part.verify(&credits.parts).ok_or(Doubt::Proof)?;
        let source = self.part.leaf.source;
        let sources = if facts.batch.is_sampled() {
            u64::from(facts.batch.draws)
        } else {
            facts.batch.receipts.count
        };
        if source >= sources {
            return Ok(Guilt::PartWithoutSource);
        }
        let draw = self.draw.as_ref().ok_or(Doubt::Incomplete)?;
        draw.verify(&credits.answers).ok_or(Doubt::Proof)?;
        if draw.index != source {
            return Err(Doubt::Unrelated);
        }
        found(draw.leaf.is_forfeited(), Guilt::PartWithoutSource)
    }
}

/// A contributor whom an answer credits, and the place where its part is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct PartMissing {
    /// The answer.
    pub answer: AnswerProof,
    /// The contributor.
    pub contributor: Account,
    /// Where the part would stand.
    pub gap: Gap<PartLeaf>,
}

fields!(PartMissing {
    answer,
    contributor,
    gap
});

impl PartMissing {
    pub(super) fn judge(&self, facts: &BatchFacts<'_>) -> Finding {
        let parts = &facts.credits()?.parts;
        self.answer.open(facts)?;
        if !self
            .gap
            .excludes(&(self.contributor, self.answer.source()), parts)
        {
            return Err(Doubt::Unrelated);
        }
        found(
            owed(facts, &self.answer, &self.contributor)? > 0,
            Guilt::PartMissing,
        )
    }
}

/// What an opened answer owes a contributor.
fn owed(facts: &BatchFacts<'_>, answer: &AnswerProof, contributor: &Account) -> Result<u128, Doubt> {
    // Only a receipt or attribution that falls by itself cannot be divided, and that is another row's.
    let amount = answer.contributors(facts).ok_or(Doubt::Incomplete)?;
    let amounts = answer
        .attribution
        .amounts(&facts.batch.tariff.mix, amount)
        .ok_or(Doubt::Incomplete)?;
    let own = amounts.iter().find(|(account, _)| account == contributor);
    Ok(own.map_or(0, |(_, amount)| *amount))
}

pub(super) fn judge_credits(facts: &BatchFacts<'_>, pair: &Neighbours<CreditLeaf>) -> Finding {
    let (left, right) = pair.open(&facts.credits()?.credits)?;
    found(left.contributor >= right.contributor, Guilt::CreditsDisordered)
}

pub(super) fn judge_shape(facts: &BatchFacts<'_>, credit: &Opening<CreditLeaf>) -> Finding {
    let credits = facts.credits()?;
    credit.verify(&credits.credits).ok_or(Doubt::Proof)?;
    let CreditLeaf {
        contributor: _,
        first,
        end,
        amount,
    } = credit.leaf;
    let holds = first < end && end <= credits.parts.count && amount >= facts.batch.minimum;
    found(!holds, Guilt::CreditShape)
}

/// A credit and a part it should count and does not, or the other way round.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct CreditRange {
    /// The credit.
    pub credit: Opening<CreditLeaf>,
    /// The part.
    pub part: Opening<PartLeaf>,
}

fields!(CreditRange { credit, part });

impl CreditRange {
    pub(super) fn judge(&self, facts: &BatchFacts<'_>) -> Finding {
        let credits = facts.credits()?;
        self.credit.verify(&credits.credits).ok_or(Doubt::Proof)?;
        self.part.verify(&credits.parts).ok_or(Doubt::Proof)?;
        let credit = &self.credit.leaf;
        let counted = (credit.first..credit.end).contains(&self.part.index);
        let own = credit.contributor == self.part.leaf.contributor;
        found(counted != own, Guilt::CreditRange)
    }
}

/// A credit with the first and the last of its parts, whose paths tell the sum of all between.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct CreditSum {
    /// The credit.
    pub credit: Opening<CreditLeaf>,
    /// Its first part.
    pub first: Opening<PartLeaf>,
    /// Its last part.
    pub last: Opening<PartLeaf>,
}

fields!(CreditSum { credit, first, last });

impl CreditSum {
    pub(super) fn judge(&self, facts: &BatchFacts<'_>) -> Finding {
        let credits = facts.credits()?;
        self.credit.verify(&credits.credits).ok_or(Doubt::Proof)?;
        let credit = &self.credit.leaf;
        if self.first.index != credit.first || self.last.index.checked_add(1) != Some(credit.end) {
            return Err(Doubt::Unrelated);
        }
        let sum = sum_between(&self.first, &self.last, &credits.parts)?;
        found(sum != credit.amount, Guilt::CreditSum)
    }
}

/// Parts of a contributor that add up to the minimum or more, and the place where its credit is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct CreditMissing {
    /// A part of the contributor.
    pub first: Opening<PartLeaf>,
    /// The same part or a later one of the contributor.
    pub last: Opening<PartLeaf>,
    /// Where the credit would stand.
    pub gap: Gap<CreditLeaf>,
}

fields!(CreditMissing { first, last, gap });

impl CreditMissing {
    pub(super) fn judge(&self, facts: &BatchFacts<'_>) -> Finding {
        let credits = facts.credits()?;
        let contributor = self.first.leaf.contributor;
        // Between two parts of one contributor an honest, sorted tree has no one else's.
        if self.last.leaf.contributor != contributor {
            return Err(Doubt::Unrelated);
        }
        let sum = sum_between(&self.first, &self.last, &credits.parts)?;
        if !self.gap.excludes(&contributor, &credits.credits) {
            return Err(Doubt::Unrelated);
        }
        found(sum >= facts.batch.minimum, Guilt::CreditMissing)
    }
}

/// The sum of all parts from `first` to `last`, both included.
fn sum_between(
    first: &Opening<PartLeaf>,
    last: &Opening<PartLeaf>,
    parts: &crate::tree::Root,
) -> Result<u128, Doubt> {
    let before = first.verify(parts).ok_or(Doubt::Proof)?;
    let until = last.verify(parts).ok_or(Doubt::Proof)?;
    if first.index > last.index {
        return Err(Doubt::Unrelated);
    }
    until
        .checked_add(last.leaf.amount)
        .and_then(|sum| sum.checked_sub(before))
        .ok_or(Doubt::Proof)
}

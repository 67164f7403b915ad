//! Lies about what shaped an answer: scores, lists, the query sketch, names.

use super::{found, BatchFacts, Doubt, Finding, Guilt};
use crate::{
    attribution::{Attribution, Bounds},
    batch::{DrawLeaf, ReceiptLeaf},
    index::IndexLeaf,
    receipt::Receipt,
    record::{unpack, CorpusLeaf},
    sketch::{Flaw, Layout, Rule, Sketch, SketchLeaf},
    text::units,
    tree::{Opening, Root, Tree},
    wire::{fields, Object},
};

/// One answer of the batch, opened from its leaf to its attribution.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct AnswerProof {
    /// The receipt's leaf.
    pub leaf: Opening<ReceiptLeaf>,
    /// The receipt.
    pub receipt: Receipt,
    /// The attribution.
    pub attribution: Attribution,
    /// In a sampled batch, the draw that the attribution answers.
    pub draw: Option<Opening<DrawLeaf>>,
}

fields!(AnswerProof {
    leaf,
    receipt,
    attribution,
    draw
});

impl AnswerProof {
    /// Checks that all of it is what the batch commits to.
    pub(super) fn open(&self, facts: &BatchFacts<'_>) -> Result<(), Doubt> {
        self.leaf.verify(&facts.batch.receipts).ok_or(Doubt::Proof)?;
        if self.receipt.hash() != self.leaf.leaf.receipt {
            return Err(Doubt::Object);
        }
        let committed = match (&self.draw, facts.batch.is_sampled()) {
            (None, false) => self.receipt.attribution,
            (Some(draw), true) => {
                draw.verify(&facts.credits()?.answers).ok_or(Doubt::Proof)?;
                if draw.leaf.receipt != self.leaf.index {
                    return Err(Doubt::Unrelated);
                }
                draw.leaf.attribution
            }
            _ => return Err(Doubt::Unrelated),
        };
        if self.attribution.hash() != committed {
            return Err(Doubt::Object);
        }
        Ok(())
    }

    /// The number under which parts name this answer: its receipt's position, or its draw.
    pub(super) fn source(&self) -> u64 {
        self.draw.as_ref().map_or(self.leaf.index, |draw| draw.index)
    }

    /// The contributors' planck of this answer: the receipt's part, or what its draw carries.
    pub(super) fn contributors(&self, facts: &BatchFacts<'_>) -> Option<u128> {
        match &self.draw {
            Some(draw) => facts.batch.draw_amount(draw.index),
            None => {
                let credited = self.attribution.credits_anyone(&facts.batch.tariff.mix)?;
                Some(self.receipt.parts(credited)?.contributors)
            }
        }
    }

    pub(super) fn judge_shape(&self, facts: &BatchFacts<'_>) -> Finding {
        self.open(facts)?;
        let bounds = Bounds {
            top: facts.index.rules.top,
            rows: facts.index.rows.count,
            records: facts.index.corpus.count,
            corpus: u64::try_from(facts.index.verbatim.tokens.sum).unwrap_or(u64::MAX),
            output: self.receipt.output_tokens,
        };
        match self.attribution.check(&bounds) {
            Err(flaw) => Ok(Guilt::Shape(flaw)),
            Ok(()) => Err(Doubt::Right),
        }
    }

    /// The query sketch, checked against its root; or the finding that it cannot be one.
    pub(super) fn query(&self, rule: &Rule, query: &Sketch) -> Result<Option<Flaw>, Doubt> {
        let leaves = query.leaves(rule).ok_or(Doubt::Object)?;
        let root = Tree::new(&leaves).map_err(|_| Doubt::Object)?.root();
        if root.hash::<SketchLeaf>() != self.attribution.query {
            return Err(Doubt::Object);
        }
        Ok(rule.check(query.view()).err())
    }
}

fn rule(facts: &BatchFacts<'_>, layout: &Layout) -> Result<Rule, Doubt> {
    facts.index.rule(layout).ok_or(Doubt::Object)
}

/// A listed row recomputed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct WrongScore {
    /// The answer.
    pub answer: AnswerProof,
    /// Which entry of its list.
    pub entry: u16,
    /// The index's layout.
    pub layout: Layout,
    /// The query sketch.
    pub query: Sketch,
    /// The row.
    pub row: Opening<IndexLeaf>,
}

fields!(WrongScore {
    answer,
    entry,
    layout,
    query,
    row
});

impl WrongScore {
    pub(super) fn judge(&self, facts: &BatchFacts<'_>) -> Finding {
        self.answer.open(facts)?;
        let entry = self
            .answer
            .attribution
            .list
            .get(usize::from(self.entry))
            .ok_or(Doubt::Unrelated)?;
        if self.row.index != entry.row {
            return Err(Doubt::Unrelated);
        }
        self.row.verify(&facts.index.rows).ok_or(Doubt::Proof)?;
        let rule = rule(facts, &self.layout)?;
        if let Some(flaw) = self.answer.query(&rule, &self.query)? {
            return Ok(Guilt::InvalidQuery(flaw));
        }
        // A row without a score belongs in no list, whoever made it.
        let Some(score) = rule.evaluate(self.query.view(), self.row.leaf.sketch.view()) else {
            return Ok(Guilt::WrongScore);
        };
        if u128::try_from(score.value).ok() != Some(entry.score) {
            return Ok(Guilt::WrongScore);
        }
        found(!score.eligible, Guilt::NotEligible)
    }
}

/// An eligible row that precedes the last of the list, or any if the list is shorter than it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct LeftOut {
    /// The answer.
    pub answer: AnswerProof,
    /// The index's layout.
    pub layout: Layout,
    /// The query sketch.
    pub query: Sketch,
    /// The row.
    pub row: Opening<IndexLeaf>,
}

fields!(LeftOut {
    answer,
    layout,
    query,
    row
});

impl LeftOut {
    pub(super) fn judge(&self, facts: &BatchFacts<'_>) -> Finding {
        self.answer.open(facts)?;
        // A channel without weight moves no money; nobody has to fill it.
        if facts.batch.tariff.mix.influence == 0 {
            return Err(Doubt::Right);
        }
        self.row.verify(&facts.index.rows).ok_or(Doubt::Proof)?;
        let list = &self.answer.attribution.list;
        if list.iter().any(|entry| entry.row == self.row.index) {
            return Err(Doubt::Unrelated);
        }
        let rule = rule(facts, &self.layout)?;
        if let Some(flaw) = self.answer.query(&rule, &self.query)? {
            return Ok(Guilt::InvalidQuery(flaw));
        }
        let score = rule
            .evaluate(self.query.view(), self.row.leaf.sketch.view())
            .filter(|score| score.eligible)
            .ok_or(Doubt::Right)?;
        let score = u128::try_from(score.value).map_err(|_| Doubt::Right)?;
        let belongs =
            list.len() < rule.top() || list.last().is_none_or(|last| last.follows(score, self.row.index));
        found(belongs, Guilt::RowLeftOut)
    }
}

/// A query sketch that no gradient gives: another number of blocks than the layout, or one block invalid by
/// its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct QueryBlock {
    /// The answer.
    pub answer: AnswerProof,
    /// The index's layout.
    pub layout: Layout,
    /// Root of the query sketch's tree.
    pub root: Root,
    /// The block; not needed if the root already has the wrong number of them.
    pub block: Option<Opening<SketchLeaf>>,
}

fields!(QueryBlock {
    answer,
    layout,
    root,
    block
});

impl QueryBlock {
    pub(super) fn judge(&self, facts: &BatchFacts<'_>) -> Finding {
        self.answer.open(facts)?;
        if self.root.hash::<SketchLeaf>() != self.answer.attribution.query {
            return Err(Doubt::Object);
        }
        let rule = rule(facts, &self.layout)?;
        let blocks = rule.block_lanes();
        if u64::try_from(blocks.len()).ok() != Some(self.root.count) || self.root.sum != 0 {
            return Ok(Guilt::InvalidQuery(Flaw::Shape));
        }
        let block = self.block.as_ref().ok_or(Doubt::Incomplete)?;
        block.verify(&self.root).ok_or(Doubt::Proof)?;
        let position = usize::try_from(block.index).map_err(|_| Doubt::Unrelated)?;
        let lanes = blocks.get(position).ok_or(Doubt::Unrelated)?;
        if u32::try_from(block.leaf.lanes.len()).ok() != Some(*lanes) {
            return Ok(Guilt::InvalidQuery(Flaw::Shape));
        }
        match rule.check_block(block.leaf.exponent, &block.leaf.lanes) {
            Err(flaw) => Ok(Guilt::InvalidQuery(flaw)),
            Ok(()) => Err(Doubt::Right),
        }
    }
}

/// A listed row and the contributor that the index names for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct NamedRow {
    /// The answer.
    pub answer: AnswerProof,
    /// Which entry of its list.
    pub entry: u16,
    /// The row.
    pub row: Opening<IndexLeaf>,
}

fields!(NamedRow { answer, entry, row });

impl NamedRow {
    pub(super) fn judge(&self, facts: &BatchFacts<'_>) -> Finding {
        self.answer.open(facts)?;
        let entry = self
            .answer
            .attribution
            .list
            .get(usize::from(self.entry))
            .ok_or(Doubt::Unrelated)?;
        if self.row.index != entry.row {
            return Err(Doubt::Unrelated);
        }
        self.row.verify(&facts.index.rows).ok_or(Doubt::Proof)?;
        found(
            self.row.leaf.contributor != entry.contributor,
            Guilt::WrongContributor,
        )
    }
}

/// A record named by a span or by the retrieval channel, and the corpus entry it points to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct NamedRecord {
    /// The answer.
    pub answer: AnswerProof,
    /// Which span; none for a retrieved record.
    pub span: Option<u16>,
    /// Which record of the span, or which retrieved record.
    pub record: u16,
    /// The corpus entry.
    pub corpus: Opening<CorpusLeaf>,
}

fields!(NamedRecord {
    answer,
    span,
    record,
    corpus
});

impl NamedRecord {
    pub(super) fn judge(&self, facts: &BatchFacts<'_>) -> Finding {
        self.answer.open(facts)?;
        let before = self.corpus.verify(&facts.index.corpus).ok_or(Doubt::Proof)?;
        let attribution = &self.answer.attribution;
        let leaf = &self.corpus.leaf;
        let at = usize::from(self.record);
        let (entry, names_it) = match self.span {
            None => {
                let named = attribution.retrieved.get(at).ok_or(Doubt::Unrelated)?;
                (
                    named.entry,
                    named.record == leaf.record && named.contributor == leaf.contributor,
                )
            }
            Some(span) => {
                let span = attribution.spans.get(usize::from(span)).ok_or(Doubt::Unrelated)?;
                let named = span.records.get(at).ok_or(Doubt::Unrelated)?;
                let (_, start) = unpack(before);
                let inside = start <= named.position
                    && named.position.saturating_add(u64::from(span.length()))
                        <= start.saturating_add(u64::from(leaf.tokens));
                (
                    named.entry,
                    inside && named.record == leaf.record && named.contributor == leaf.contributor,
                )
            }
        };
        if entry != self.corpus.index {
            return Err(Doubt::Unrelated);
        }
        found(!names_it, Guilt::WrongRecord)
    }
}

/// The rows that a corpus entry has, given the units before it.
pub(super) fn rows_of(before: u64, tokens: u32) -> core::ops::Range<u64> {
    before..before.saturating_add(u64::from(units(tokens)))
}

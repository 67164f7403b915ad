//! Lies about an index: its header, rows, corpus and bases.

use super::{answer::rows_of, found, Doubt, Finding, Guilt, IndexFacts, Neighbours};
use crate::{
    bases::{orthonormal, BasisLeaf, Part, Place},
    hash::{Account, Hash},
    index::{index_seed, IndexLeaf, IndexRules},
    record::{unpack, CorpusLeaf, SourceLeaf, VersionLeaf},
    sketch::Layout,
    tree::{Opening, Root},
    verbatim::Verbatim,
    wire::{fields, Object},
};

/// What the chain ordered an index to be: model, generation and data of the job, governed numbers, drawn
/// randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct IndexOrder {
    /// Who was to build it.
    pub builder: Account,
    /// The model.
    pub model: u64,
    /// Its generation.
    pub generation: u32,
    /// Hash of the base model.
    pub base: Hash,
    /// Hash of the adapter.
    pub adapter: Hash,
    /// Hash of the tokenizer.
    pub tokenizer: Hash,
    /// Ids that the tokenizer has: the separator is the next one.
    pub token_ids: u32,
    /// Randomness drawn after the adapter was committed.
    pub randomness: Hash,
    /// The numbers.
    pub rules: IndexRules,
    /// Tree of the versions named.
    pub sources: Root,
    /// Hash of the retrieval index, zero if none was ordered.
    pub retrieval: Hash,
}

fields!(IndexOrder {
    builder,
    model,
    generation,
    base,
    adapter,
    tokenizer,
    token_ids,
    randomness,
    rules,
    sources,
    retrieval,
});

pub(super) fn judge_header(facts: &IndexFacts<'_>, layout: &Layout) -> Finding {
    let (header, order) = (facts.header, facts.order);
    let kept = header.builder == order.builder
        && header.model == order.model
        && header.generation == order.generation
        && header.base == order.base
        && header.adapter == order.adapter
        && header.tokenizer == order.tokenizer
        && header.rules == order.rules
        && header.sources == order.sources
        && header.retrieval == order.retrieval
        && header.seed == index_seed(&order.adapter, &order.randomness)
        && (header.verbatim == Verbatim::NONE
            || (header.verbatim.separator == order.token_ids
                && Some(header.verbatim.vocabulary) == order.token_ids.checked_add(1)));
    if !kept {
        return Ok(Guilt::IndexOrder);
    }
    // Anyone can show another layout; only the committed one counts.
    if layout.hash() != header.layout {
        return Err(Doubt::Object);
    }
    match header.check(layout) {
        Err(flaw) => Ok(Guilt::Index(flaw)),
        Ok(()) => Err(Doubt::Right),
    }
}

/// A row and the corpus entry whose unit belongs at its place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct RowPlace {
    /// The row.
    pub row: Opening<IndexLeaf>,
    /// The corpus entry.
    pub corpus: Opening<CorpusLeaf>,
}

fields!(RowPlace { row, corpus });

impl RowPlace {
    pub(super) fn judge(&self, facts: &IndexFacts<'_>) -> Finding {
        self.row.verify(&facts.header.rows).ok_or(Doubt::Proof)?;
        let (before, _) = unpack(self.corpus.verify(&facts.header.corpus).ok_or(Doubt::Proof)?);
        let (row, entry) = (&self.row.leaf, &self.corpus.leaf);
        let rows = rows_of(before, entry.tokens);
        if !rows.contains(&self.row.index) {
            return Err(Doubt::Unrelated);
        }
        let unit = self.row.index.checked_sub(before);
        let belongs = row.source == entry.source
            && row.record == entry.record
            && row.contributor == entry.contributor
            && Some(u64::from(row.unit)) == unit;
        found(!belongs, Guilt::WrongRow)
    }
}

pub(super) fn judge_rows(facts: &IndexFacts<'_>, pair: &Neighbours<IndexLeaf>) -> Finding {
    let (left, right) = pair.open(&facts.header.rows)?;
    found(!left.may_precede(right), Guilt::RowsDisordered)
}

pub(super) fn judge_contributor(facts: &IndexFacts<'_>, row: &Opening<IndexLeaf>) -> Finding {
    row.verify(&facts.header.rows).ok_or(Doubt::Proof)?;
    // A contribution that the chain does not know cannot be in an index.
    let Some(contribution) = facts.registry.contribution(row.leaf.record.contribution) else {
        return Ok(Guilt::WrongRow);
    };
    let belongs = contribution.contributor == row.leaf.contributor
        && u64::from(row.leaf.record.index) < contribution.records.count;
    found(!belongs, Guilt::WrongRow)
}

/// A row whose bytes are judged against the layout.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct RowBytes {
    /// The row.
    pub row: Opening<IndexLeaf>,
    /// The layout.
    pub layout: Layout,
}

fields!(RowBytes { row, layout });

impl RowBytes {
    pub(super) fn judge(&self, facts: &IndexFacts<'_>) -> Finding {
        self.row.verify(&facts.header.rows).ok_or(Doubt::Proof)?;
        let rule = facts.header.rule(&self.layout).ok_or(Doubt::Object)?;
        match rule.check(self.row.leaf.sketch.view()) {
            Err(flaw) => Ok(Guilt::InvalidRow(flaw)),
            Ok(()) => Err(Doubt::Right),
        }
    }
}

/// A representative, found in its version, and the corpus entry at its place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct CorpusRecord {
    /// The version.
    pub source: Opening<SourceLeaf>,
    /// The representative in it.
    pub record: Opening<VersionLeaf>,
    /// The corpus entry.
    pub corpus: Opening<CorpusLeaf>,
}

fields!(CorpusRecord {
    source,
    record,
    corpus
});

impl CorpusRecord {
    pub(super) fn judge(&self, facts: &IndexFacts<'_>) -> Finding {
        let earlier = self.source.verify(&facts.header.sources).ok_or(Doubt::Proof)?;
        let before = self
            .record
            .verify(&self.source.leaf.records)
            .ok_or(Doubt::Proof)?;
        self.corpus.verify(&facts.header.corpus).ok_or(Doubt::Proof)?;
        let place = earlier.checked_add(before).ok_or(Doubt::Unrelated)?;
        if !self.record.leaf.is_representative() || place != u128::from(self.corpus.index) {
            return Err(Doubt::Unrelated);
        }
        let (entry, record) = (&self.corpus.leaf, &self.record.leaf);
        let belongs = u64::from(entry.source) == self.source.index
            && entry.record == record.record
            && entry.contributor == record.contributor
            && entry.content == record.content;
        found(!belongs, Guilt::WrongCorpus)
    }
}

/// A leaf of the tree of bases.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct BasisShape {
    /// The leaf.
    pub leaf: Opening<BasisLeaf>,
    /// The layout.
    pub layout: Layout,
}

fields!(BasisShape { leaf, layout });

fn place(facts: &IndexFacts<'_>, leaf: &Opening<BasisLeaf>, layout: &Layout) -> Result<Place, Doubt> {
    leaf.verify(&facts.header.bases).ok_or(Doubt::Proof)?;
    if layout.hash() != facts.header.layout {
        return Err(Doubt::Object);
    }
    Place::of(leaf.index, layout).ok_or(Doubt::Unrelated)
}

impl BasisShape {
    pub(super) fn judge(&self, facts: &IndexFacts<'_>) -> Finding {
        let place = place(facts, &self.leaf, &self.layout)?;
        found(!place.fits(&self.leaf.leaf), Guilt::InvalidBasis)
    }
}

/// Two vectors of one basis, or one twice.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct BasisPair {
    /// The one.
    pub one: Opening<BasisLeaf>,
    /// The other.
    pub other: Opening<BasisLeaf>,
    /// The layout.
    pub layout: Layout,
}

fields!(BasisPair { one, other, layout });

impl BasisPair {
    pub(super) fn judge(&self, facts: &IndexFacts<'_>) -> Finding {
        let one = place(facts, &self.one, &self.layout)?;
        let other = place(facts, &self.other, &self.layout)?;
        if one.part == Part::Spectrum || (one.part, one.module) != (other.part, other.module) {
            return Err(Doubt::Unrelated);
        }
        let (BasisLeaf::Vector(a), BasisLeaf::Vector(b)) = (&self.one.leaf, &self.other.leaf) else {
            return Ok(Guilt::InvalidBasis);
        };
        found(!orthonormal(a, b, one.row == other.row), Guilt::NotOrthonormal)
    }
}

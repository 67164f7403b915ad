//! Indexes: what a generation's builder commits to, once.

use crate::{
    hash::{keccak, Account, Hash, Tag},
    record::{unpack, RecordId},
    sketch::{Layout, LayoutFlaw, Rule, Sketch},
    text::UNIT,
    tree::{Leaf, Root},
    verbatim::Verbatim,
    wire::{fields, Field, Object},
};
use alloc::vec::Vec;

/// The numbers an index is made with; fixed by whoever ordered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct IndexRules {
    /// k: dimensions that each side of a gradient is projected to.
    pub projection: u16,
    /// Entries an answer's list may have.
    pub top: u16,
    /// ρ: damping in parts per billion of the mean eigenvalue.
    pub rho: u32,
    /// z of the eligibility bound, in hundredths.
    pub z: u16,
    /// Exponent under which a gradient is zero.
    pub floor: i8,
}

fields!(IndexRules {
    projection,
    top,
    rho,
    z,
    floor
});

/// The commitment to an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct IndexHeader {
    /// Who built it.
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
    /// Seed of the projections, see [`index_seed`].
    pub seed: Hash,
    /// Hash of the [`Layout`].
    pub layout: Hash,
    /// The numbers it was ordered with.
    pub rules: IndexRules,
    /// Tree of [`BasisLeaf`](crate::bases::BasisLeaf)s.
    pub bases: Root,
    /// Tree of [`SourceLeaf`](crate::record::SourceLeaf)s: the versions it is made of.
    pub sources: Root,
    /// Tree of [`CorpusLeaf`](crate::record::CorpusLeaf)s: the representatives.
    pub corpus: Root,
    /// Tree of [`IndexLeaf`]s: the rows.
    pub rows: Root,
    /// The verbatim channel.
    pub verbatim: Verbatim,
    /// Hash of the retrieval index, zero if there is none.
    pub retrieval: Hash,
}

fields!(IndexHeader {
    builder,
    model,
    generation,
    base,
    adapter,
    tokenizer,
    seed,
    layout,
    rules,
    bases,
    sources,
    corpus,
    rows,
    verbatim,
    retrieval,
});

impl Object for IndexHeader {
    const TAG: Tag = *b"IDX1";
}

/// seed = keccak(adapter hash ‖ randomness drawn after the adapter was committed).
pub fn index_seed(adapter: &Hash, randomness: &Hash) -> Hash {
    keccak(&[adapter, randomness])
}

/// Why a header contradicts itself or its layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub enum HeaderFlaw {
    /// A root that no tree has.
    Root,
    /// The layout is another one, or it cannot be used with these rules.
    Layout,
    /// The number of bases does not follow from the layout.
    Bases,
    /// The number of records in the corpus is not the number of representatives of the sources.
    Corpus,
    /// The number of rows is not the number of units of the corpus.
    Rows,
    /// Tokens, shards and table of the verbatim channel do not fit the corpus or each other.
    Verbatim,
}

impl IndexHeader {
    /// Units of the corpus: the number of rows.
    pub fn units(&self) -> u64 {
        unpack(self.corpus.sum).0
    }

    /// Tokens of the corpus, separators included.
    pub fn tokens(&self) -> u64 {
        unpack(self.corpus.sum).1
    }

    /// The rule for sketches, if `layout` is the header's and fits its rules.
    pub fn rule(&self, layout: &Layout) -> Option<Rule> {
        self.checked_rule(layout)?.ok()
    }

    /// Checks everything the header shows by itself, given its layout.
    pub fn check(&self, layout: &Layout) -> Result<(), HeaderFlaw> {
        let Verbatim {
            vocabulary,
            separator,
            tokens,
            shards,
            table,
        } = self.verbatim;
        let roots = [
            self.bases,
            self.sources,
            self.corpus,
            self.rows,
            tokens,
            shards,
            table,
        ];
        if !roots.iter().all(Root::is_possible) {
            return Err(HeaderFlaw::Root);
        }
        if !matches!(self.checked_rule(layout), Some(Ok(_))) {
            return Err(HeaderFlaw::Layout);
        }
        if self.bases.count != layout.basis_leaves() || self.bases.sum != 0 {
            return Err(HeaderFlaw::Bases);
        }
        if u128::from(self.corpus.count) != self.sources.sum {
            return Err(HeaderFlaw::Corpus);
        }
        if self.rows.count != self.units() || self.rows.sum != 0 {
            return Err(HeaderFlaw::Rows);
        }
        let total = u128::from(self.tokens());
        let is_whole = separator < vocabulary
            && tokens.sum == total
            && tokens.count == self.tokens().div_ceil(u64::from(UNIT))
            && shards.sum == total
            && table.count == u64::from(vocabulary)
            && table.sum == total;
        if self.verbatim != Verbatim::NONE && !is_whole {
            return Err(HeaderFlaw::Verbatim);
        }
        Ok(())
    }

    fn checked_rule(&self, layout: &Layout) -> Option<Result<Rule, LayoutFlaw>> {
        (layout.hash() == self.layout).then(|| Rule::new(layout, &self.rules))
    }
}

/// A row of an index: one unit of a representative, and its sketch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct IndexLeaf {
    /// Position of the record's version among the sources.
    pub source: u32,
    /// The record.
    pub record: RecordId,
    /// Which unit of the record.
    pub unit: u32,
    /// Its contributor.
    pub contributor: Account,
    /// The sketch.
    pub sketch: Sketch,
}

fields!(IndexLeaf {
    source,
    record,
    unit,
    contributor,
    sketch
});

impl IndexLeaf {
    /// Whether `next` may stand right behind this row: the record's next unit, or the first unit of a later
    /// record.
    pub fn may_precede(&self, next: &Self) -> bool {
        let (own, other) = ((self.source, self.record), (next.source, next.record));
        if own == other {
            return self.unit.checked_add(1) == Some(next.unit) && self.contributor == next.contributor;
        }
        own < other && next.unit == 0
    }
}

impl Leaf for IndexLeaf {
    const TAG: Tag = *b"ROW1";

    fn payload(&self, out: &mut Vec<u8>) -> Option<u128> {
        self.write(out);
        Some(0)
    }
}

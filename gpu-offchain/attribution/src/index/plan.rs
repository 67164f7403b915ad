//! What an index is to be made of, known before the first gradient: which rows, in which order, for whom.

use crate::{Error, Result};
use openledger_attribution::{
    hash::{keccak, Account, Hash},
    index::IndexRules,
    record::{unpack, CorpusLeaf, RecordId, SourceLeaf, VersionLeaf},
    text::{unit_tokens, units},
    tree::{Leaf, Root, RootBuilder},
    verbatim::Verbatim,
    wire::Field,
};
use std::{collections::BTreeSet, ops::Range};

/// A Datanet version that the model was trained on.
#[derive(Clone, Debug)]
pub struct Source {
    /// The Datanet.
    pub datanet: u64,
    /// Its version.
    pub version: u32,
    /// All records of the version, sorted by id.
    pub records: Vec<SourceRecord>,
}

/// A record of a version.
#[derive(Clone, Debug)]
pub struct SourceRecord {
    /// What the version says of it.
    pub leaf: VersionLeaf,
    /// Tokens of its canonical form; of no matter unless it is a representative.
    pub tokens: u32,
}

/// Everything an index is made of, but for the gradients.
#[derive(Clone, Debug)]
pub struct IndexPlan {
    /// Who builds it.
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
    /// See [`index_seed`](openledger_attribution::index::index_seed).
    pub seed: Hash,
    /// The numbers, fixed by whoever ordered the index.
    pub rules: IndexRules,
    /// The versions, in the order named at training.
    pub sources: Vec<Source>,
    /// The verbatim channel, [`Verbatim::NONE`] without one.
    pub verbatim: Verbatim,
    /// Hash of the retrieval index, zero without one.
    pub retrieval: Hash,
}

/// Numbers that suit adapters of rank 4 to 16; whoever orders an index may fix others.
pub fn default_rules() -> IndexRules {
    IndexRules {
        projection: 64,
        top: 64,
        rho: 100_000_000,
        z: 400,
        floor: -24,
    }
}

/// One row: 256 tokens of a representative, fewer at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Position of the row.
    pub row: u64,
    /// Position of the record in the corpus.
    pub entry: u64,
    /// Position of its version among the sources.
    pub source: u32,
    /// The record.
    pub record: RecordId,
    /// Its contributor.
    pub contributor: Account,
    /// Which unit of the record.
    pub unit: u32,
    /// Which tokens of the record.
    pub tokens: Range<u32>,
}

impl IndexPlan {
    /// The leaves of the versions.
    ///
    /// Errors: records out of order, a representative that is missing or not one itself.
    pub fn source_leaves(&self) -> Result<Vec<SourceLeaf>> {
        let leaf = |source: &Source| {
            check_version(source)?;
            Ok(SourceLeaf {
                datanet: source.datanet,
                version: source.version,
                records: root_of(source.records.iter().map(|record| record.leaf))?,
            })
        };
        self.sources.iter().map(leaf).collect()
    }

    /// The tree of the versions, which the chain's order names.
    pub fn sources_root(&self) -> Result<Root> {
        root_of(self.source_leaves()?.into_iter())
    }

    /// The representatives in order.
    pub fn corpus_leaves(&self) -> Vec<CorpusLeaf> {
        let all = (0u32..)
            .zip(&self.sources)
            .flat_map(|(source, version)| version.records.iter().map(move |record| (source, record)));
        all.filter(|(_, record)| record.leaf.is_representative())
            .map(|(source, record)| CorpusLeaf {
                source,
                record: record.leaf.record,
                contributor: record.leaf.contributor,
                content: record.leaf.content,
                tokens: record.tokens,
            })
            .collect()
    }

    /// Rows of the index.
    pub fn rows(&self) -> u64 {
        self.corpus_leaves()
            .iter()
            .map(|leaf| u64::from(units(leaf.tokens)))
            .sum()
    }

    /// Tells this plan, with this layout, from others.
    pub(crate) fn identity(&self, layout: &Hash) -> Result<Hash> {
        let mut bytes = Vec::new();
        self.builder.write(&mut bytes);
        self.model.write(&mut bytes);
        self.generation.write(&mut bytes);
        self.base.write(&mut bytes);
        self.adapter.write(&mut bytes);
        self.tokenizer.write(&mut bytes);
        self.seed.write(&mut bytes);
        self.rules.write(&mut bytes);
        self.verbatim.write(&mut bytes);
        self.retrieval.write(&mut bytes);
        self.source_leaves()?.write(&mut bytes);
        self.corpus_leaves().write(&mut bytes);
        layout.write(&mut bytes);
        Ok(keccak(&[&bytes]))
    }
}

fn check_version(source: &Source) -> Result<()> {
    let flaw = |record: RecordId, what: &str| {
        Err(Error::Plan(format!(
            "record {} of contribution {} in version {} of Datanet {} {what}",
            record.index, record.contribution, source.version, source.datanet
        )))
    };
    for pair in source.records.windows(2) {
        if pair[0].leaf.record >= pair[1].leaf.record {
            return flaw(
                pair[1].leaf.record,
                "is not after the one before it: sort the records by id, each once",
            );
        }
    }
    let representatives: BTreeSet<RecordId> = source
        .records
        .iter()
        .filter(|record| record.leaf.is_representative())
        .map(|record| record.leaf.record)
        .collect();
    for record in &source.records {
        if !representatives.contains(&record.leaf.representative) {
            return flaw(
                record.leaf.record,
                "has a representative that is not one in this version: name one that stands for itself",
            );
        }
    }
    Ok(())
}

/// The root of leaves in order.
pub(crate) fn root_of<L: Leaf>(leaves: impl Iterator<Item = L>) -> Result<Root> {
    let mut builder = RootBuilder::default();
    for leaf in leaves {
        builder.push(&leaf)?;
    }
    Ok(builder.finish()?)
}

/// Where the rows of a corpus stand.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// Rows before each entry, and all rows behind the last.
    before: Vec<u64>,
}

impl Places {
    pub(crate) fn new(corpus: &[CorpusLeaf]) -> Result<Self> {
        let mut before = vec![0];
        let mut sum = 0u128;
        for leaf in corpus {
            let own = leaf
                .sum()
                .ok_or_else(|| Error::Plan("a corpus entry that cannot be committed".into()))?;
            sum = sum
                .checked_add(own)
                .ok_or_else(|| Error::Plan("more tokens than can be counted".into()))?;
            before.push(unpack(sum).0);
        }
        Ok(Self { before })
    }

    pub(crate) fn rows(&self) -> u64 {
        self.before.last().copied().unwrap_or(0)
    }

    /// What stands at a row.
    pub(crate) fn unit(&self, corpus: &[CorpusLeaf], row: u64) -> Option<Unit> {
        if row >= self.rows() {
            return None;
        }
        // Entries without tokens have no row: the last one that starts at or before `row` is meant.
        let entry = self
            .before
            .partition_point(|before| *before <= row)
            .checked_sub(1)?;
        let leaf = corpus.get(entry)?;
        let unit = u32::try_from(row - self.before.get(entry)?).ok()?;
        Some(Unit {
            row,
            entry: entry as u64,
            source: leaf.source,
            record: leaf.record,
            contributor: leaf.contributor,
            unit,
            tokens: unit_tokens(leaf.tokens, unit)?,
        })
    }
}

//! An index: its rows, its corpus, its bases.

use super::Grove;
use openledger_attribution::{
    bases::{orthonormal, BasisLeaf, Part, Place},
    hash::{Hash, NONE},
    index::{IndexHeader, IndexLeaf},
    record::{unpack, CorpusLeaf, SourceLeaf, VersionLeaf},
    sketch::Layout,
    text::units,
    tree::{Leaf, Opening, Root},
    verdict::{
        judge_index, BasisPair, BasisShape, Contribution, CorpusRecord, Guilt, IndexEvidence, IndexFacts,
        IndexOrder, Neighbours, Registry, RowBytes, RowPlace, Verdict, Wanted,
    },
};
use std::collections::BTreeMap;

/// Contributions by id, read off the chain.
#[derive(Clone, Debug, Default)]
pub struct Contributions(pub BTreeMap<u64, Contribution>);

impl Registry for Contributions {
    fn contribution(&self, id: u64) -> Option<Contribution> {
        self.0.get(&id).copied()
    }
}

/// What was published of an index: leaves with the way to the root, only those that lead there.
#[derive(Clone, Debug)]
pub struct Index {
    /// What the chain commits to.
    pub header: IndexHeader,
    /// How rows are laid out.
    pub layout: Layout,
    /// Rows by position.
    pub rows: BTreeMap<u64, Opening<IndexLeaf>>,
    /// Records by position.
    pub corpus: BTreeMap<u64, Opening<CorpusLeaf>>,
    /// Leaves of the bases by position.
    pub bases: BTreeMap<u64, Opening<BasisLeaf>>,
    /// Versions that it is made of, by position, each with its records as far as they are there.
    pub sources: BTreeMap<u64, (Opening<SourceLeaf>, Option<Grove<VersionLeaf>>)>,
}

/// Those of `shown` that lead to `root`, by position.
pub fn rooted<L: Leaf>(shown: Vec<Opening<L>>, root: &Root) -> BTreeMap<u64, Opening<L>> {
    let good = shown.into_iter().filter(|opening| opening.verify(root).is_some());
    good.map(|opening| (opening.index, opening)).collect()
}

/// What the chain has to demand because nobody published it: of each tree the first leaf that is not there.
pub fn missing(index: &Index) -> Vec<Wanted> {
    fn first<L>(known: &BTreeMap<u64, Opening<L>>, count: u64) -> Option<u64> {
        (0..count).find(|at| !known.contains_key(at))
    }
    let header = &index.header;
    [
        first(&index.rows, header.rows.count).map(Wanted::Row),
        first(&index.corpus, header.corpus.count).map(Wanted::Corpus),
        first(&index.bases, header.bases.count).map(Wanted::Basis),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The first lie that is found, as the chain will judge it.
pub fn search(index: &Index, contributions: &Contributions) -> Option<(IndexEvidence, Guilt)> {
    let sections: [fn(&Index) -> Vec<IndexEvidence>; 4] = [rows, places, corpus, bases];
    sections.iter().find_map(|section| {
        section(index)
            .into_iter()
            .find_map(|evidence| judged(index, contributions, evidence))
    })
}

/// Evidence that was found elsewhere, if the chain will judge it so.
pub fn judged(
    index: &Index,
    contributions: &Contributions,
    evidence: IndexEvidence,
) -> Option<(IndexEvidence, Guilt)> {
    // The chain compared the header with its order when the index was delivered, and judges nothing else by it.
    let order = ordered(&index.header);
    let facts = IndexFacts {
        header: &index.header,
        order: &order,
        registry: contributions,
    };
    match judge_index(&facts, &evidence) {
        Verdict::Guilty(guilt) => Some((evidence, guilt)),
        Verdict::NotProven(_) => None,
    }
}

fn ordered(header: &IndexHeader) -> IndexOrder {
    let randomness: Hash = NONE;
    IndexOrder {
        builder: header.builder,
        model: header.model,
        generation: header.generation,
        base: header.base,
        adapter: header.adapter,
        tokenizer: header.tokenizer,
        token_ids: header.verbatim.separator,
        randomness,
        rules: header.rules,
        sources: header.sources,
        retrieval: header.retrieval,
    }
}

fn rows(index: &Index) -> Vec<IndexEvidence> {
    let mut all = Vec::new();
    let rule = index.header.rule(&index.layout);
    for (at, row) in &index.rows {
        let behind = at.checked_add(1).and_then(|next| index.rows.get(&next));
        if let Some(right) = behind.filter(|right| !row.leaf.may_precede(&right.leaf)) {
            all.push(IndexEvidence::Rows(Neighbours {
                left: row.clone(),
                right: right.clone(),
            }));
        }
        let is_possible = rule
            .as_ref()
            .is_none_or(|rule| rule.check(row.leaf.sketch.view()).is_ok());
        if !is_possible {
            all.push(IndexEvidence::RowBytes(RowBytes {
                row: row.clone(),
                layout: index.layout.clone(),
            }));
        }
        all.push(IndexEvidence::RowContributor(row.clone()));
    }
    all
}

/// Rows that are not the units which the corpus has at their places.
fn places(index: &Index) -> Vec<IndexEvidence> {
    let mut all = Vec::new();
    for corpus in index.corpus.values() {
        let Some(before) = corpus.verify(&index.header.corpus) else {
            continue;
        };
        let ((first, _), entry) = (unpack(before), &corpus.leaf);
        for unit in 0..units(entry.tokens) {
            let row = first.checked_add(unit.into()).and_then(|at| index.rows.get(&at));
            let is_wrong = |row: &&Opening<IndexLeaf>| {
                let leaf = &row.leaf;
                (leaf.source, leaf.record, leaf.contributor, u64::from(leaf.unit))
                    != (entry.source, entry.record, entry.contributor, u64::from(unit))
            };
            all.extend(row.filter(is_wrong).map(|row| {
                IndexEvidence::Row(RowPlace {
                    row: row.clone(),
                    corpus: corpus.clone(),
                })
            }));
        }
    }
    all
}

/// Entries of the corpus that are not the representatives which the versions have at their places.
fn corpus(index: &Index) -> Vec<IndexEvidence> {
    let mut all = Vec::new();
    let mut place = 0u64;
    for (source, records) in index.sources.values() {
        let Some(records) = records else {
            // What stands behind it has an unknown place.
            break;
        };
        for (at, record) in records.each().filter(|(_, record)| record.is_representative()) {
            let corpus = index.corpus.get(&place);
            place = place.saturating_add(1);
            let is_wrong = |corpus: &&Opening<CorpusLeaf>| {
                let entry = &corpus.leaf;
                (
                    u64::from(entry.source),
                    entry.record,
                    entry.contributor,
                    entry.content,
                ) != (source.index, record.record, record.contributor, record.content)
            };
            let shown = corpus.filter(is_wrong).zip(records.open(at));
            all.extend(shown.map(|(corpus, record)| {
                IndexEvidence::Corpus(CorpusRecord {
                    source: source.clone(),
                    record,
                    corpus: corpus.clone(),
                })
            }));
        }
    }
    all
}

fn bases(index: &Index) -> Vec<IndexEvidence> {
    let mut all = Vec::new();
    let layout = &index.layout;
    // Vectors of one basis.
    let mut together: Vec<(Place, &Opening<BasisLeaf>)> = Vec::new();
    for leaf in index.bases.values() {
        let Some(place) = Place::of(leaf.index, layout) else {
            continue;
        };
        if !place.fits(&leaf.leaf) {
            all.push(IndexEvidence::Basis(BasisShape {
                leaf: leaf.clone(),
                layout: layout.clone(),
            }));
            continue;
        }
        if place.part == Part::Spectrum {
            continue;
        }
        together.retain(|(other, _)| (other.part, other.module) == (place.part, place.module));
        together.push((place, leaf));
        for (other_place, other) in &together {
            let (BasisLeaf::Vector(a), BasisLeaf::Vector(b)) = (&leaf.leaf, &other.leaf) else {
                continue;
            };
            if !orthonormal(a, b, place.row == other_place.row) {
                all.push(IndexEvidence::BasisPair(BasisPair {
                    one: leaf.clone(),
                    other: (*other).clone(),
                    layout: layout.clone(),
                }));
            }
        }
    }
    all
}

//! Versions of a Datanet, and records that are somebody else's.

use super::{index::Contributions, Grove};
use openledger_attribution::{
    hash::Hash,
    record::{RecordLeaf, VersionLeaf},
    tree::{Keyed, Root},
    verdict::{
        judge_duplicate, judge_version, Duplicate, Guilt, Registry, Representative, RepresentativeMissing,
        Verdict, VersionEvidence, VersionFacts, VersionRecord,
    },
};
use std::collections::BTreeMap;

/// Records of contributions, as far as they are there.
pub type Records = BTreeMap<u64, Grove<RecordLeaf>>;

/// The first lie that is found in a version, as the chain will judge it. `contributions` are those that it may hold.
pub fn search(
    root: Root,
    version: &Grove<VersionLeaf>,
    contributions: &Contributions,
    records: &Records,
) -> Option<(VersionEvidence, Guilt)> {
    let facts = VersionFacts {
        records: root,
        registry: contributions,
    };
    evidence(version, contributions, records)
        .into_iter()
        .find_map(|evidence| match judge_version(&facts, &evidence) {
            Verdict::Guilty(guilt) => Some((evidence, guilt)),
            Verdict::NotProven(_) => None,
        })
}

fn evidence(
    version: &Grove<VersionLeaf>,
    contributions: &Contributions,
    records: &Records,
) -> Vec<VersionEvidence> {
    let mut all: Vec<VersionEvidence> = version
        .neighbours()
        .filter(|pair| pair.left.leaf.key() >= pair.right.leaf.key())
        .map(VersionEvidence::Order)
        .collect();
    let places: BTreeMap<_, u64> = version.each().map(|(at, leaf)| (leaf.key(), at)).collect();
    for (at, entry) in version.each() {
        let Some(leaf) = version.open(at) else {
            continue;
        };
        let record = records
            .get(&entry.record.contribution)
            .and_then(|records| records.open(entry.record.index.into()));
        let known = contributions.contribution(entry.record.contribution);
        let is_right = known.is_some_and(|known| known.contributor == entry.contributor)
            && record
                .as_ref()
                .is_some_and(|record| record.leaf.content == entry.content);
        if !is_right {
            all.push(VersionEvidence::Record(VersionRecord {
                leaf: leaf.clone(),
                record,
            }));
        }
        match places.get(&entry.representative) {
            Some(place) => all.extend(version.open(*place).map(|representative| {
                VersionEvidence::Representative(Representative { leaf, representative })
            })),
            None => all.extend(
                version
                    .gap(&entry.representative)
                    .map(|gap| VersionEvidence::RepresentativeMissing(RepresentativeMissing { leaf, gap })),
            ),
        }
    }
    all
}

/// Contributions with a record that another has from earlier, each with the evidence.
pub fn duplicates(contributions: &Contributions, records: &Records) -> Vec<(u64, Duplicate)> {
    // Where each content was first.
    let mut first: BTreeMap<Hash, (u64, u64, u64)> = BTreeMap::new();
    let each = || {
        records.iter().flat_map(|(id, records)| {
            let reserved = contributions.contribution(*id).map(|known| known.reserved);
            let leaves = reserved.into_iter().flat_map(move |reserved| {
                records
                    .each()
                    .map(move |(at, leaf)| (leaf.content, (reserved, at, *id)))
            });
            leaves
        })
    };
    for (content, place) in each() {
        let known = first.entry(content).or_insert(place);
        *known = place.min(*known);
    }
    let mut accused: BTreeMap<u64, Duplicate> = BTreeMap::new();
    for (content, (_, at, second)) in each() {
        let Some((_, original, first)) = first.get(&content).copied() else {
            continue;
        };
        // One copy is enough, and who has its own record twice takes it from nobody.
        let owner = |id: u64| contributions.contribution(id).map(|known| known.contributor);
        if owner(first) == owner(second) || accused.contains_key(&second) {
            continue;
        }
        let open = |id: u64, at: u64| records.get(&id).and_then(|records| records.open(at));
        let (Some(original), Some(copy)) = (open(first, original), open(second, at)) else {
            continue;
        };
        let evidence = Duplicate {
            first,
            original,
            second,
            copy,
        };
        if judge_duplicate(contributions, &evidence).is_guilty() {
            accused.insert(second, evidence);
        }
    }
    accused.into_iter().collect()
}

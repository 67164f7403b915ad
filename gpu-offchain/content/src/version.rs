//! A Datanet version: the records of its contributions, and who stands for whom.

use crate::{family::Families, Error, Record, Result, Signature};
use openledger_attribution::{
    hash::Account,
    record::{RecordId, VersionLeaf},
    tree::{Root, RootBuilder},
};
use std::collections::BTreeMap;

/// A contribution that a version takes in.
#[derive(Clone, Copy, Debug)]
pub struct Contribution<'a> {
    /// Its id on chain.
    pub id: u64,
    /// Who brought it.
    pub contributor: Account,
    /// Number of its reservation: of two the smaller was first.
    pub reserved: u64,
    /// Its records, in their order.
    pub records: &'a [Record],
}

/// All records of the contributions, sorted by id, each with its representative: of each family of
/// near-duplicates the record that was reserved first, in a contribution the one with the smaller index.
///
/// Errors: one contribution or reservation twice, more records than ids.
pub fn version_leaves(contributions: &[Contribution<'_>]) -> Result<Vec<VersionLeaf>> {
    let mut order: Vec<&Contribution<'_>> = contributions.iter().collect();
    order.sort_by_key(|contribution| contribution.reserved);
    for pair in order.windows(2) {
        if let [a, b] = pair {
            if a.reserved == b.reserved {
                return Err(Error::Version(format!(
                    "contributions {} and {} both have reservation {}: each has its own",
                    a.id, b.id, a.reserved
                )));
            }
        }
    }
    let mut families = Families::default();
    let mut heads: Vec<RecordId> = Vec::new();
    let mut leaves = BTreeMap::new();
    for contribution in order {
        for (at, record) in contribution.records.iter().enumerate() {
            let index = u32::try_from(at).map_err(|_| Error::TooMany {
                records: contribution.records.len(),
            })?;
            let id = RecordId {
                contribution: contribution.id,
                index,
            };
            let family = families.add(Signature::of(record.text()));
            let representative = match heads.get(family) {
                Some(head) => *head,
                None => {
                    heads.push(id);
                    id
                }
            };
            let leaf = VersionLeaf {
                record: id,
                contributor: contribution.contributor,
                content: record.content(),
                representative,
            };
            if leaves.insert(id, leaf).is_some() {
                return Err(Error::Version(format!(
                    "contribution {} is named twice: name it once",
                    contribution.id
                )));
            }
        }
    }
    Ok(leaves.into_values().collect())
}

/// The root of a version; its sum is the number of representatives.
pub fn version_root(leaves: &[VersionLeaf]) -> Result<Root> {
    let mut builder = RootBuilder::default();
    for leaf in leaves {
        builder.push(leaf)?;
    }
    Ok(builder.finish()?)
}

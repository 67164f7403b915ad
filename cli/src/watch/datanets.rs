//! Watching Datanets: versions that can still be challenged, and contributions with a record that somebody else has from earlier.

use super::{case::Accused, case::Evidence, Progress, Watcher};
use crate::{
    evidence::{
        index::Contributions,
        version::{duplicates, search, Records},
        Grove,
    },
    wire::field_of,
    worker::Worker,
    Result,
};
use openledger_attribution::{record::VersionLeaf, verdict};
use openledger_chain::{ss58, Block};
use openledger_content::{Bundle, Cid};
use openledger_protocol::{
    datanets::{Contribution, Standing, Version},
    disputes::VersionBond,
    storage, Account,
};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// What a version's list starts with.
const VERSION_LIST: &[u8] = b"OLLEAVES\x01";
/// Bits of a reservation's number for what tells reservations of one block apart, as in the pallet.
const WITHIN_BLOCK: u32 = 32;

/// What was looked at.
#[derive(Default)]
pub(super) struct Seen {
    versions: BTreeSet<(u64, u32)>,
    accused: BTreeSet<u64>,
    /// Records of contributions that were fetched.
    records: Records,
    /// Contributions whose records nobody had when they were last looked for.
    absent: BTreeMap<u64, u32>,
}

/// Blocks after which records that nobody had are looked for again.
const AGAIN: u32 = 10;

/// What verdicts know of a contribution.
pub(super) fn known(id: u64, stored: &Contribution<Account>) -> verdict::Contribution {
    verdict::Contribution {
        contributor: stored.contributor,
        records: stored.records,
        reserved: (u64::from(stored.reserved) << WITHIN_BLOCK) | id.min(u64::from(u32::MAX)),
    }
}

/// The leaves of a version, from whoever has its list.
pub(super) fn version_list(servers: &[Worker], version: &Version) -> Option<Vec<VersionLeaf>> {
    let cid = Cid::from_bytes(&version.cid).ok()?;
    servers.iter().find_map(|server| {
        let bytes = server.content(&cid).ok()?;
        field_of(bytes.strip_prefix(VERSION_LIST)?).ok()
    })
}

impl Watcher<'_> {
    /// Looks at versions (if the first flag says so) and for duplicates (if the second does). False if something was wrong.
    pub(super) async fn watch_datanets(
        &mut self,
        seen: &mut Seen,
        (versions, copies): (bool, bool),
        block: Block,
    ) -> Result<bool> {
        let stored = self
            .chain
            .entries::<u64, Contribution<Account>>("Datanets", "Contributions", block)
            .await?;
        let stored: BTreeMap<u64, Contribution<Account>> =
            stored.into_iter().map(|(id, read)| (id, read.value)).collect();
        let servers = self.servers(block).await?;
        for (id, contribution) in &stored {
            let waits = seen
                .absent
                .get(id)
                .is_some_and(|last| block.number.saturating_sub(*last) < AGAIN);
            if seen.records.contains_key(id) || waits {
                continue;
            }
            match records(&servers, contribution) {
                Some(records) => {
                    seen.records.insert(*id, records);
                    seen.absent.remove(id);
                }
                None => {
                    seen.absent.insert(*id, block.number);
                }
            }
        }
        let mut right = true;
        if copies {
            right &= self.watch_duplicates(seen, &stored, block).await?;
        }
        if versions {
            right &= self.watch_versions(seen, &stored, &servers, block).await?;
        }
        Ok(right)
    }

    async fn watch_duplicates(
        &mut self,
        seen: &mut Seen,
        stored: &BTreeMap<u64, Contribution<Account>>,
        block: Block,
    ) -> Result<bool> {
        let all = Contributions(stored.iter().map(|(id, c)| (*id, known(*id, c))).collect());
        let mut right = true;
        for (id, evidence) in duplicates(&all, &seen.records) {
            let accused = Accused::Contribution(id);
            if seen.accused.contains(&id) || !accused.standing(&self.chain, block).await?.open {
                continue;
            }
            // A rejected one is in no version: there is nothing to take from it.
            if stored.get(&id).is_none_or(|c| c.standing == Standing::Rejected) {
                continue;
            }
            let guilt = verdict::Guilt::Duplicate;
            self.context.say(format!(
                "{accused}: record {} is record {} of contribution {}\n  provable: {guilt}",
                evidence.copy.index, evidence.original.index, evidence.first
            ));
            let done = self
                .prosecute(accused, Evidence::Duplicate(Box::new(evidence)), guilt)
                .await;
            right = false;
            if matches!(self.settle(accused, done)?, Progress::Looked(_)) {
                seen.accused.insert(id);
            }
        }
        Ok(right)
    }

    async fn watch_versions(
        &mut self,
        seen: &mut Seen,
        stored: &BTreeMap<u64, Contribution<Account>>,
        servers: &[Worker],
        block: Block,
    ) -> Result<bool> {
        let bonds = self
            .chain
            .entries::<(u64, u32), VersionBond<Account>>("Datanets", "VersionBonds", block)
            .await?;
        let mut right = true;
        for ((datanet, version), bond) in bonds {
            let bond = bond.value;
            let open = bond.void.is_none() && bond.deposit > 0 && block.number < bond.closes;
            if !open || seen.versions.contains(&(datanet, version)) {
                continue;
            }
            let accused = Accused::Version(datanet, version);
            let done = self
                .one_version(seen, stored, servers, (datanet, version), &bond, block)
                .await;
            match self.settle(accused, done)? {
                Progress::Looked(good) => {
                    right &= good;
                    seen.versions.insert((datanet, version));
                }
                Progress::Later | Progress::Gone => {}
            }
        }
        Ok(right)
    }

    async fn one_version(
        &mut self,
        seen: &Seen,
        stored: &BTreeMap<u64, Contribution<Account>>,
        servers: &[Worker],
        (datanet, number): (u64, u32),
        bond: &VersionBond<Account>,
        block: Block,
    ) -> Result<Progress> {
        let accused = Accused::Version(datanet, number);
        let key = storage::version(datanet, number);
        let version = self
            .chain
            .read::<Version>(key, block)
            .await?
            .found(accused)?
            .value;
        let leaves = version_list(servers, &version).and_then(|leaves| Grove::of(leaves, &version.records));
        let Some(leaves) = leaves else {
            self.say_once(
                accused,
                format!("{accused} cannot be checked: nobody publishes its list"),
            );
            return Ok(Progress::Later);
        };
        // What it may hold: accepted contributions that were not known for duplicates when it was published.
        let mut admitted = BTreeMap::new();
        for (id, contribution) in stored {
            let proved = self.chain.read::<u32>(storage::duplicate(*id), block).await?;
            let is_original = proved.value.is_none_or(|since| since >= version.published);
            if matches!(contribution.standing, Standing::Accepted { .. }) && is_original {
                admitted.insert(*id, known(*id, contribution));
            }
        }
        let admitted = Contributions(admitted);
        if let Some((evidence, guilt)) = search(version.records, &leaves, &admitted, &seen.records) {
            let publisher = ss58(&bond.publisher);
            self.context.say(format!(
                "{accused}, published by {publisher}\n  provable: {guilt}"
            ));
            let evidence = Evidence::Version(Box::new(evidence));
            return self.prosecute(accused, evidence, guilt).await;
        }
        let absent: BTreeSet<u64> = leaves
            .leaves()
            .iter()
            .map(|leaf| leaf.record.contribution)
            .filter(|id| !seen.records.contains_key(id))
            .collect();
        if !absent.is_empty() {
            let text = format!(
                "{accused} cannot be checked whole: nobody publishes the records of contributions {absent:?}"
            );
            self.say_once(accused, text);
            return Ok(Progress::Later);
        }
        self.context.say(format!(
            "{accused}: {} records are what their contributions say",
            version.records.count
        ));
        self.context
            .give(&json!({ "version": [datanet, u64::from(number)], "records": version.records.count, "guilt": null }));
        Ok(Progress::Looked(true))
    }
}

/// A contribution's records, from whoever has them.
fn records(
    servers: &[Worker],
    contribution: &Contribution<Account>,
) -> Option<Grove<openledger_attribution::record::RecordLeaf>> {
    let cid = Cid::from_bytes(&contribution.cid).ok()?;
    servers.iter().find_map(|server| {
        let bundle = Bundle::decode(&server.content(&cid).ok()?).ok()?;
        Grove::of(bundle.leaves(), &contribution.records)
    })
}

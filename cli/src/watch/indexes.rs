//! Watching indexes: each is looked at once, and again until all of it was there.

use super::{case::Accused, case::Evidence, Progress, Watcher};
use crate::{
    evidence::{
        index::{judged, missing, rooted, search, Contributions, Index},
        Grove,
    },
    public, request,
    wire::hex_of,
    words::Words,
    worker::Worker,
    Result,
};
use openledger_attribution::{
    index::IndexHeader,
    record::SourceLeaf,
    tree::Opening,
    verdict::{Reveal, Wanted},
};
use openledger_chain::{ss58, Block};
use openledger_protocol::{
    datanets::Version,
    disputes::{Committed, IndexBond, IndexStage},
    storage, Account, Hash,
};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Indexes that were looked at.
#[derive(Default)]
pub(super) struct Seen(BTreeSet<Hash>);

impl Watcher<'_> {
    /// Looks at indexes that are new. False if one was wrong.
    pub(super) async fn watch_indexes(&mut self, seen: &mut Seen, block: Block) -> Result<bool> {
        let bonds = self
            .chain
            .entries::<Hash, IndexBond<Account>>("Attribution", "IndexBonds", block)
            .await?;
        let mut right = true;
        for (hash, bond) in bonds {
            let open = matches!(
                bond.value.stage,
                IndexStage::Standing | IndexStage::Retiring { .. }
            );
            if !open || seen.0.contains(&hash) {
                continue;
            }
            let done = self.one_index(hash, bond.value.builder, block).await;
            match self.settle(Accused::Index(hash), done)? {
                Progress::Looked(good) => {
                    right &= good;
                    seen.0.insert(hash);
                }
                Progress::Later => {}
                Progress::Gone => {
                    seen.0.insert(hash);
                }
            }
        }
        Ok(right)
    }

    async fn one_index(&mut self, hash: Hash, builder: Account, block: Block) -> Result<Progress> {
        let accused = Accused::Index(hash);
        if let Some(key) = self
            .key
            .as_ref()
            .filter(|_| accused.is_begun(self.context, &self.chain))
        {
            return Ok(Progress::Looked(self.resume(accused, key).await?));
        }
        let source = Committed::Index(hash);
        if let Some(progress) = self.demanded(accused, source, block).await? {
            return Ok(progress);
        }
        let own = public::worker_of(&self.chain, &builder, block).await;
        let servers: Vec<Worker> = own.into_iter().chain(self.servers(block).await?).collect();
        let (header, layout) = match self.layout(&servers, &hash, block).await {
            Ok(found) => found,
            // Without the layout only that the data is there can be demanded.
            Err(error) => {
                let stored = request::Source::read(&self.chain, &source, block).await?;
                let header = stored.facts().index.copied();
                let rows = header.map_or(0, |header| header.rows.count);
                let absent = [Wanted::Row(self.place(rows))];
                return match self.demand(accused, source, &absent, block).await? {
                    true => Ok(Progress::Later),
                    false => Err(error),
                };
            }
        };
        let mut index = Index {
            header,
            layout,
            rows: BTreeMap::new(),
            corpus: BTreeMap::new(),
            bases: BTreeMap::new(),
            sources: BTreeMap::new(),
        };
        for server in &servers {
            take(&mut index, server, &hash);
            if missing(&index).is_empty() {
                break;
            }
        }
        for reveal in self
            .demands
            .get(&source)
            .iter()
            .flat_map(|demands| &demands.shown)
        {
            fill(&mut index, reveal);
        }
        self.take_sources(&mut index, &servers, &hash, block).await?;
        let contributions = self.contributions_of(&index, block).await?;
        let mut absent = missing(&index);
        let mut proven = search(&index, &contributions);
        if proven.is_none() {
            match words(&servers, &hash, &header) {
                Ok(None) => {}
                Ok(Some(words)) => {
                    let lie = words.lie().map_err(crate::Error::other)?;
                    proven = lie.and_then(|evidence| judged(&index, &contributions, evidence));
                }
                // Nobody publishes it: a place of it that nobody can foresee is demanded.
                Err(_) => absent.push(Wanted::Tokens(self.place(header.verbatim.tokens.count))),
            }
        }
        let Some((evidence, guilt)) = proven else {
            if absent.is_empty() {
                self.context.say(format!(
                    "index {} of {}: {} rows of {} records are what they must be",
                    hex_of(hash),
                    ss58(&builder),
                    header.rows.count,
                    header.corpus.count
                ));
                self.context
                    .give(&json!({ "index": hex_of(hash), "rows": header.rows.count, "guilt": null }));
                return Ok(Progress::Looked(true));
            }
            self.demand(accused, source, &absent, block).await?;
            return Ok(Progress::Later);
        };
        self.context.say(format!(
            "index {} of {}\n  provable: {guilt}",
            hex_of(hash),
            ss58(&builder)
        ));
        let evidence = Evidence::Index(Box::new(evidence));
        self.prosecute(accused, evidence, guilt).await
    }

    async fn layout(
        &self,
        servers: &[Worker],
        hash: &Hash,
        block: Block,
    ) -> Result<(IndexHeader, openledger_attribution::sketch::Layout)> {
        let mut failed = None;
        for server in servers {
            match public::index_header(&self.chain, server, hash, block).await {
                Ok((header, layout)) => return Ok((header.value, layout)),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        Err(failed.unwrap_or_else(|| crate::Error::other(format!("nobody serves index {}", hex_of(hash)))))
    }

    /// The versions that an index names, with their lists as far as anybody has them.
    async fn take_sources(
        &self,
        index: &mut Index,
        servers: &[Worker],
        hash: &Hash,
        block: Block,
    ) -> Result<()> {
        let count = index.header.sources.count;
        let shown = servers.iter().find_map(|server| {
            let shown: Vec<Opening<SourceLeaf>> = public::openings(server, hash, "sources", count).ok()?;
            let sources = rooted(shown, &index.header.sources);
            (sources.len() as u64 == count).then_some(sources)
        });
        for (at, source) in shown.unwrap_or_default() {
            let (datanet, version) = (source.leaf.datanet, source.leaf.version);
            let stored = self
                .chain
                .read::<Version>(storage::version(datanet, version), block)
                .await?;
            let list = match stored.value {
                Some(stored) => super::datanets::version_list(servers, &stored)
                    .and_then(|leaves| Grove::of(leaves, &source.leaf.records)),
                None => None,
            };
            index.sources.insert(at, (source, list));
        }
        Ok(())
    }

    /// The contributions that an index's rows name.
    async fn contributions_of(&self, index: &Index, block: Block) -> Result<Contributions> {
        let ids: BTreeSet<u64> = index
            .rows
            .values()
            .map(|row| row.leaf.record.contribution)
            .collect();
        let mut known = BTreeMap::new();
        for id in ids {
            let stored = self.chain.read(storage::contribution(id), block).await?;
            if let Some(stored) = stored.value {
                known.insert(id, super::datanets::known(id, &stored));
            }
        }
        Ok(Contributions(known))
    }
}

/// Takes what a worker publishes of an index and what leads to its roots; what it does not publish stays missing.
fn take(index: &mut Index, server: &Worker, hash: &Hash) {
    let header = index.header;
    if let Ok(rows) = public::openings(server, hash, "rows", header.rows.count) {
        index.rows.extend(rooted(rows, &header.rows));
    }
    if let Ok(corpus) = public::openings(server, hash, "corpus", header.corpus.count) {
        index.corpus.extend(rooted(corpus, &header.corpus));
    }
    if let Ok(bases) = public::openings(server, hash, "bases", header.bases.count) {
        index.bases.extend(rooted(bases, &header.bases));
    }
}

/// The verbatim channel of an index from whoever publishes it, none if it has none.
pub(super) fn words(servers: &[Worker], hash: &Hash, header: &IndexHeader) -> Result<Option<Words>> {
    let mut failed = None;
    for server in servers {
        match Words::committed(server, hash, header) {
            Ok(found) => return Ok(found),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    Err(failed.unwrap_or_else(|| crate::Error::other(format!("nobody serves index {}", hex_of(hash)))))
}

/// Takes what was shown on the chain.
fn fill(index: &mut Index, reveal: &Reveal) {
    let header = index.header;
    match reveal {
        Reveal::Row(row) => index.rows.extend(rooted(vec![row.clone()], &header.rows)),
        Reveal::Corpus(entry) => index.corpus.extend(rooted(vec![entry.clone()], &header.corpus)),
        Reveal::Basis(leaf) => index.bases.extend(rooted(vec![leaf.clone()], &header.bases)),
        _ => {}
    }
}

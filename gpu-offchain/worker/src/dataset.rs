//! From what the chain names to what a model is trained on: versions, contributions, records, examples.

use crate::{
    error::{Error, Result},
    formats::decode_version_list,
    keys::Keyring,
    ledger::{self, Head, Ledger},
    units::Key,
};
use openledger_attribution::{
    hash::{keccak, Hash},
    record::{RecordId, VersionLeaf},
};
pub use openledger_content::split;
use openledger_content::{Bundle, Cid, SealedHead, Store};
use openledger_influence::{Source, SourceRecord};
use openledger_model::{Example, Tokenizer};
use openledger_protocol::{datanets::Contribution, models::Generation, Account};
use std::collections::BTreeMap;

/// A version's records as the model reads them.
pub struct VersionData {
    /// The Datanet.
    pub datanet: u64,
    /// Its version.
    pub version: u32,
    /// Its records, all of them, by id, each representative with its example.
    pub records: Vec<(VersionLeaf, Option<Example>)>,
}

/// What a generation is trained on and what its index is made of.
pub struct Dataset {
    /// The versions in the order named.
    pub versions: Vec<VersionData>,
}

/// Most bytes of a file that is read whole: a contribution, a version's list, an adapter.
const MOST: u64 = 4 << 30;

/// The file behind a binary CID; a missing block is an error that says how to bring it.
pub fn file(store: &Store, cid: &[u8], what: &str) -> Result<Vec<u8>> {
    let cid = Cid::from_bytes(cid)
        .map_err(|error| Error::Hopeless(format!("{what} has a CID that is none: {error}")))?;
    match store.whole(&cid, MOST) {
        Ok(bytes) => Ok(bytes),
        Err(openledger_content::Error::Missing(block)) => Err(Error::NotReady(format!(
            "{what} is not here: send its block with PUT /v1/content/{block}, or connect to a worker that has it with --p2p-peer"
        ))),
        Err(openledger_content::Error::Corrupt(block)) => {
            store.remove(&block)?;
            Err(Error::NotReady(format!(
                "block {block} of {what} was corrupted here and is gone: it is fetched again, or can be sent with PUT /v1/content/{block}"
            )))
        }
        Err(error) => Err(error.into()),
    }
}

/// A contribution's records, decrypted if need be and checked against its root on the chain.
pub async fn contribution(
    ledger: &dyn Ledger,
    store: &Store,
    keys: &Keyring<'_>,
    id: u64,
    head: Head,
) -> Result<(Bundle, Contribution<Account>)> {
    let on_chain = ledger::contribution(ledger, id, head).await?;
    let bytes = file(store, &on_chain.cid, &format!("contribution {id}"))?;
    let opened = if SealedHead::is_sealed(&bytes) {
        let label = *SealedHead::read(&bytes)?.label();
        if label.datanet != on_chain.datanet {
            return Err(Error::Hopeless(format!(
                "contribution {id} to Datanet {} is sealed for Datanet {}: reject it",
                on_chain.datanet, label.datanet
            )));
        }
        let key = keys.key(&label).await?;
        Bundle::unseal(&key, &on_chain.contributor, &bytes, &on_chain.records)
    } else {
        Bundle::decode(&bytes).and_then(|bundle| bundle.verify(&on_chain.records).map(|()| bundle))
    };
    let bundle = opened.map_err(|error| {
        Error::Hopeless(format!(
            "contribution {id} is not what its contributor registered: {error}"
        ))
    })?;
    Ok((bundle, on_chain))
}

impl Dataset {
    /// Reads everything that `generation` names from the chain and the content store, and checks each against the other.
    pub async fn load(
        ledger: &dyn Ledger,
        store: &Store,
        keys: &Keyring<'_>,
        tokenizer: &Tokenizer,
        generation: &Generation<Account>,
    ) -> Result<Self> {
        let head = Head::Finalized;
        let mut bundles: BTreeMap<u64, (Bundle, Contribution<Account>)> = BTreeMap::new();
        let mut versions = Vec::new();
        for source in &generation.sources {
            let name = format!("version {} of Datanet {}", source.version, source.datanet);
            let on_chain = ledger::version(ledger, source.datanet, source.version, head).await?;
            let leaves = decode_version_list(&file(store, &on_chain.cid, &name)?, &on_chain.records)?;
            let mut records = Vec::with_capacity(leaves.len());
            for leaf in leaves {
                let RecordId {
                    contribution: id,
                    index,
                } = leaf.record;
                if let std::collections::btree_map::Entry::Vacant(entry) = bundles.entry(id) {
                    entry.insert(contribution(ledger, store, keys, id, head).await?);
                }
                let (bundle, on_chain) = &bundles[&id];
                let record = usize::try_from(index).ok().and_then(|at| bundle.records.get(at));
                let record = record.filter(|record| {
                    record.content() == leaf.content
                        && on_chain.contributor == leaf.contributor
                        && on_chain.datanet == source.datanet
                });
                let record = record.ok_or_else(|| {
                    Error::Hopeless(format!(
                        "{name} lists record {index} of contribution {id} otherwise than the contribution has it: publish another version"
                    ))
                })?;
                let text = leaf.is_representative().then_some(record.text());
                records.push((leaf, text.map(|text| example(tokenizer, text)).transpose()?));
            }
            versions.push(VersionData {
                datanet: source.datanet,
                version: source.version,
                records,
            });
        }
        Ok(Self { versions })
    }

    /// The representatives with their examples, in the order of the index.
    pub fn examples(&self) -> impl Iterator<Item = (&VersionLeaf, &Example)> {
        self.versions
            .iter()
            .flat_map(|version| &version.records)
            .filter_map(|(leaf, example)| example.as_ref().map(|example| (leaf, example)))
    }

    /// The examples by the positions of their versions and their records.
    pub fn by_record(&self) -> BTreeMap<Key, &Example> {
        let mut examples = BTreeMap::new();
        for (source, version) in (0u32..).zip(&self.versions) {
            for (leaf, example) in &version.records {
                if let Some(example) = example {
                    examples.insert((source, leaf.record), example);
                }
            }
        }
        examples
    }

    /// What an index plan names.
    pub fn sources(&self) -> Vec<Source> {
        let record = |(leaf, example): &(VersionLeaf, Option<Example>)| SourceRecord {
            leaf: *leaf,
            tokens: example.as_ref().map_or(0, |example| {
                u32::try_from(example.tokens.len()).unwrap_or(u32::MAX)
            }),
        };
        let versions = self.versions.iter().map(|version| Source {
            datanet: version.datanet,
            version: version.version,
            records: version.records.iter().map(record).collect(),
        });
        versions.collect()
    }

    /// Divides the representatives into training and held-out windows of at most `context` tokens. `percent` of the
    /// records, rounded down, are held out: those with the least keccak(seed ‖ contribution ‖ index).
    pub fn divide(&self, seed: &Hash, percent: u8, context: usize) -> (Vec<Example>, Vec<Example>) {
        let mut drawn: Vec<(Hash, usize)> = Vec::new();
        for (n, (leaf, _)) in self.examples().enumerate() {
            let RecordId { contribution, index } = leaf.record;
            drawn.push((
                keccak(&[seed, &contribution.to_be_bytes(), &index.to_be_bytes()]),
                n,
            ));
        }
        drawn.sort_unstable();
        let held = drawn.len() * usize::from(percent.min(100)) / 100;
        let mut is_held = vec![false; drawn.len()];
        for (_, n) in &drawn[..held] {
            is_held[*n] = true;
        }
        let (mut train, mut held_out) = (Vec::new(), Vec::new());
        for ((_, example), held) in self.examples().zip(is_held) {
            let to = if held { &mut held_out } else { &mut train };
            to.extend(
                windows(example, context)
                    .into_iter()
                    .map(|(_, window)| window)
                    .filter(|w| w.targets() > 0),
            );
        }
        (train, held_out)
    }
}

/// A record's text as an example.
pub fn example(tokenizer: &Tokenizer, text: &str) -> Result<Example> {
    let (prompt, response) = split(text);
    Ok(tokenizer.record(prompt, response)?)
}

/// Cuts an example into windows of at most `context` tokens, each with the position it starts at. A window's last token is
/// the next one's first, so that every token but the example's first is predicted once.
pub fn windows(example: &Example, context: usize) -> Vec<(usize, Example)> {
    let step = context.max(2) - 1;
    let mut cut = Vec::new();
    let mut start = 0;
    while start + 1 < example.tokens.len() {
        let end = (start + step + 1).min(example.tokens.len());
        let window = Example {
            tokens: example.tokens[start..end].to_vec(),
            mask: example.mask[start..end].to_vec(),
        };
        cut.push((start, window));
        start += step;
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(n: u32) -> Example {
        Example::whole((0..n).collect())
    }

    #[test]
    fn windows_predict_every_token_once() {
        for (length, context) in [(2, 16), (16, 16), (17, 16), (31, 16), (32, 16), (100, 7), (5, 2)] {
            let mut predicted = Vec::new();
            for (start, window) in windows(&whole(length), context) {
                assert!((2..=context).contains(&window.tokens.len()), "{length} {context}");
                assert_eq!(window.tokens[0] as usize, start);
                predicted.extend(window.tokens[1..].iter().copied());
            }
            assert_eq!(predicted, (1..length).collect::<Vec<_>>(), "{length} {context}");
        }
        assert!(windows(&whole(1), 16).is_empty());
    }

    fn dataset(records: u32) -> Dataset {
        let record = |index| {
            let record = RecordId {
                contribution: 3,
                index,
            };
            let leaf = VersionLeaf {
                record,
                contributor: [1; 32],
                content: [2; 32],
                representative: record,
            };
            (leaf, Some(Example::whole(vec![index, 1, 2])))
        };
        Dataset {
            versions: vec![VersionData {
                datanet: 0,
                version: 0,
                records: (0..records).map(record).collect(),
            }],
        }
    }

    #[test]
    fn held_out_records_follow_the_seed() {
        let data = dataset(50);
        let firsts = |examples: &[Example]| examples.iter().map(|e| e.tokens[0]).collect::<Vec<_>>();
        let (train, held) = data.divide(&[1; 32], 10, 64);
        assert_eq!((train.len(), held.len()), (45, 5));
        assert!(firsts(&train).iter().all(|n| !firsts(&held).contains(n)));
        assert_eq!(firsts(&data.divide(&[1; 32], 10, 64).1), firsts(&held));
        assert_ne!(firsts(&data.divide(&[2; 32], 10, 64).1), firsts(&held));
        assert_eq!(data.divide(&[1; 32], 0, 64).1.len(), 0);
    }
}

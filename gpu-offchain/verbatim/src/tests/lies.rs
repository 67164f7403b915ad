//! Indexes whose builder lied: the files hold the lie and are committed to.

use super::{
    common::{law, watch::index_facts, world::World, Rng},
    place,
    worlds::indexed,
};
use crate::{
    audit_index,
    blocks::Blocks,
    build::of_id,
    codes::{Code, Codes},
    files::{draft, read_value, write_value, Kind},
    head::Head,
    search::{key, STEP},
    suffix_gap, Index,
};
use openledger_attribution::{
    record::CorpusLeaf,
    text::token_leaves,
    verbatim::{CountLeaf, ShardLeaf, SuffixLeaf, TableLeaf},
    verdict::{judge_index, Guilt, IndexEvidence, Verdict},
    wire::Field,
};
use proptest::prelude::*;
use std::path::Path;

/// What a builder publishes, in memory.
struct Published {
    head: Head,
    corpus: Vec<CorpusLeaf>,
    tokens: Vec<u32>,
    suffixes: Vec<Vec<u32>>,
}

impl Published {
    fn read(dir: &Path) -> Self {
        let index = Index::open(dir).unwrap();
        let shards = index.shards.iter();
        Self {
            head: read_value(dir, Kind::Index).unwrap(),
            corpus: (0..index.corpus().count)
                .map(|entry| index.record(entry).unwrap().0)
                .collect(),
            tokens: (0..index.tokens()).map(|at| index.token(at).unwrap()).collect(),
            suffixes: shards
                .map(|shard| shard.suffixes.cast::<u32>().to_vec())
                .collect(),
        }
    }

    /// Commits to everything as it now is.
    fn write(mut self, dir: &Path) -> Index {
        let mut ids = self.tokens.clone();
        ids.sort_unstable();
        ids.dedup();
        if !ids.iter().all(|id| self.head.ids.contains(id)) {
            // A new id: counts are kept by code, so they move.
            let old = self.head.ids.clone();
            let moved = |counts: &[u64]| {
                ids.iter()
                    .map(|id| {
                        old.iter()
                            .position(|other| other == id)
                            .map_or(1, |at| counts[at])
                    })
                    .collect::<Vec<u64>>()
            };
            self.head.counts = moved(&self.head.counts);
            for shard in &mut self.head.shards {
                shard.counts = moved(&shard.counts);
            }
            self.head.ids = ids;
        }
        let codes = Codes::new(self.head.ids.clone()).unwrap();
        let text: Vec<u8> = self
            .tokens
            .iter()
            .map(|id| u8::of(codes.code(*id).unwrap()))
            .collect();
        let mut file = draft(dir, Kind::Tokens).unwrap();
        file.write(&text).unwrap();
        file.finish().unwrap();
        let mut file = draft(dir, Kind::Records).unwrap();
        for leaf in &self.corpus {
            let mut row = Vec::new();
            leaf.write(&mut row);
            file.write(&row).unwrap();
        }
        file.finish().unwrap();

        let head = &mut self.head;
        let vocabulary = u64::from(head.header.vocabulary);
        for (at, (shard, suffixes)) in head.shards.iter_mut().zip(&self.suffixes).enumerate() {
            let mut file = draft(dir, Kind::Suffixes(at)).unwrap();
            file.write(bytemuck::cast_slice(suffixes)).unwrap();
            file.finish().unwrap();
            let (from, to) = (shard.leaf.from, shard.leaf.to);
            let own = &text[from as usize..to as usize];
            let mut file = draft(dir, Kind::Keys(at)).unwrap();
            for offset in suffixes.iter().step_by(STEP) {
                let suffix = own.get(*offset as usize..).unwrap_or_default();
                file.write(&key(suffix, 0).to_le_bytes()).unwrap();
            }
            file.finish().unwrap();
            let mut file = draft(dir, Kind::Least(at)).unwrap();
            for piece in suffixes.chunks(STEP) {
                file.write(&piece.iter().min().unwrap().to_le_bytes()).unwrap();
            }
            file.finish().unwrap();
            let tree = Blocks::build(to - from, 1, |rank| {
                Ok(SuffixLeaf {
                    position: from + u64::from(suffixes[rank as usize]),
                })
            });
            let tree = tree.unwrap();
            shard.suffix_tops = tree.tops().to_vec();
            shard.leaf.suffixes = tree.root();
            let tree = Blocks::build(vocabulary, 1, |id| {
                Ok(CountLeaf {
                    count: of_id(&codes, &shard.counts, id),
                })
            });
            let tree = tree.unwrap();
            shard.count_tops = tree.tops().to_vec();
            shard.leaf.counts = tree.root();
        }
        let leaves: Vec<ShardLeaf> = head.shards.iter().map(|shard| shard.leaf).collect();
        let tree = Blocks::build(leaves.len() as u64, 1, |at| Ok(leaves[at as usize])).unwrap();
        head.header.shards = tree.root();
        let tree = Blocks::build(vocabulary, 1, |id| {
            Ok(TableLeaf {
                flags: head.flags[id as usize],
                count: of_id(&codes, &head.counts, id),
            })
        });
        let tree = tree.unwrap();
        (head.header.table, head.table_tops) = (tree.root(), tree.tops().to_vec());
        let chunks = token_leaves(&self.tokens);
        let tree = Blocks::build(chunks.len() as u64, 1, |at| Ok(chunks[at as usize].clone())).unwrap();
        (head.header.tokens, head.token_tops) = (tree.root(), tree.tops().to_vec());
        let tree = Blocks::build(self.corpus.len() as u64, 1, |at| Ok(self.corpus[at as usize])).unwrap();
        (head.corpus, head.corpus_tops) = (tree.root(), tree.tops().to_vec());
        write_value(dir, Kind::Index, head).unwrap();
        Index::open(dir).unwrap()
    }
}

type Plant = fn(&mut Published, &mut Rng) -> bool;

fn plants() -> Vec<(&'static str, Plant, &'static [Guilt])> {
    vec![
        (
            "two neighbours swapped",
            |world, rng| {
                let suffixes = &mut world.suffixes[0];
                let rank = rng.below(suffixes.len() as u64 - 1) as usize;
                suffixes.swap(rank, rank + 1);
                true
            },
            &[Guilt::SuffixOrder],
        ),
        (
            "a suffix twice, another missing",
            |world, rng| {
                let suffixes = &mut world.suffixes[0];
                let rank = rng.below(suffixes.len() as u64 - 1) as usize;
                suffixes[rank] = suffixes[rank + 1];
                true
            },
            &[Guilt::SuffixTwice],
        ),
        (
            "a suffix beyond its shard",
            |world, rng| {
                let suffixes = &mut world.suffixes[0];
                let rank = rng.below(suffixes.len() as u64) as usize;
                suffixes[rank] = suffixes.len() as u32 + rng.below(50) as u32;
                true
            },
            &[Guilt::SuffixRange],
        ),
        (
            "a count moved to another token",
            |world, rng| {
                let counts = &mut world.head.shards[0].counts;
                let from = rng.below(counts.len() as u64) as usize;
                let to = rng.below(counts.len() as u64) as usize;
                if counts[from] == 0 || from == to {
                    return false;
                }
                counts[from] -= 1;
                counts[to] += 1;
                true
            },
            &[Guilt::TokenCount],
        ),
        (
            "a count too high in a shard",
            |world, rng| {
                let counts = &mut world.head.shards[0].counts;
                let at = rng.below(counts.len() as u64) as usize;
                counts[at] += 1;
                true
            },
            &[Guilt::InvalidShard],
        ),
        (
            "counts moved in the table",
            |world, rng| {
                let counts = &mut world.head.counts;
                let from = rng.below(counts.len() as u64) as usize;
                let to = rng.below(counts.len() as u64) as usize;
                if counts[from] == 0 || from == to {
                    return false;
                }
                counts[from] -= 1;
                counts[to] += 1;
                true
            },
            &[Guilt::TokenCount],
        ),
        (
            "a separator inside a record",
            |world, rng| {
                let at = rng.below(world.tokens.len() as u64) as usize;
                let separator = world.head.header.separator;
                if world.tokens[at] == separator {
                    return false;
                }
                world.tokens[at] = separator;
                true
            },
            &[Guilt::WrongTokens],
        ),
        (
            "a record without its separator",
            |world, _| {
                let separator = world.head.header.separator;
                let at = world.tokens.iter().position(|id| *id == separator).unwrap();
                world.tokens[at] = world.head.ids[0];
                world.head.ids[0] != separator
            },
            &[Guilt::WrongTokens],
        ),
        (
            "a token that the vocabulary does not have",
            |world, _| {
                let separator = world.head.header.separator;
                let at = world.tokens.iter().position(|id| *id != separator);
                at.is_some_and(|at| {
                    world.tokens[at] = separator + 1;
                    true
                })
            },
            &[Guilt::InvalidChunk],
        ),
        (
            "a shard that cuts a record",
            |world, _| {
                let shards = &mut world.head.shards;
                if shards.len() < 2
                    || world.tokens[shards[1].leaf.from as usize] == world.head.header.separator
                {
                    return false;
                }
                shards[0].leaf.to += 1;
                shards[1].leaf.from += 1;
                // The arrays follow, so that only the cut is wrong.
                let to = shards[0].leaf.to;
                let last = world.suffixes[0].len() as u32;
                world.suffixes[0].push(last);
                world.suffixes[1].retain(|offset| *offset > 0);
                for offset in &mut world.suffixes[1] {
                    *offset -= 1;
                }
                let moved = world.tokens[to as usize - 1];
                let code = world.head.ids.iter().position(|id| *id == moved).unwrap();
                shards[0].counts[code] += 1;
                shards[1].counts[code] -= 1;
                let tokens = &world.tokens[..to as usize];
                world.suffixes[0].sort_by_key(|offset| tokens[*offset as usize..].to_vec());
                true
            },
            &[Guilt::InvalidShard],
        ),
    ]
}

#[test]
fn every_lie_about_an_index_is_proved_with_its_files() {
    let planted = std::sync::Mutex::new(std::collections::BTreeMap::new());
    law(12, any::<u64>(), |seed| {
        let rng = &mut Rng(seed);
        for (name, plant, expected) in plants() {
            let mut world = World::new(seed, false);
            let dir = place();
            let index = indexed(&world, dir.path());
            if index.shards()[0].leaf.length() < 4 {
                continue;
            }
            drop(index);
            let mut published = Published::read(dir.path());
            if !plant(&mut published, rng) {
                continue;
            }
            let index = published.write(dir.path());
            world.index.header.verbatim = *index.header();
            let evidence = audit_index(&index, 2).unwrap();
            let verdict = evidence.map(|evidence| judge_index(&index_facts(&world), &evidence));
            let found = match verdict {
                Some(Verdict::Guilty(guilt)) => expected.contains(&guilt),
                _ => false,
            };
            prop_assert!(found, "{name}: {verdict:?}");
            *planted.lock().unwrap().entry(name).or_insert(0) += 1;
        }
        Ok(())
    });
    assert_eq!(planted.lock().unwrap().len(), plants().len(), "{planted:?}");
}

#[test]
fn a_text_that_an_array_lost_is_proved_missing() {
    law(12, any::<u64>(), |seed| {
        let rng = &mut Rng(seed);
        let mut world = World::new(seed, false);
        let dir = place();
        drop(indexed(&world, dir.path()));
        let mut published = Published::read(dir.path());
        // A suffix is replaced by the one before it: nothing is out of order, but one text cannot be found.
        let suffixes = &mut published.suffixes[0];
        let rank = 1 + rng.below(suffixes.len() as u64 - 1) as usize;
        let position = suffixes[rank] as usize;
        suffixes[rank] = suffixes[rank - 1];
        let shard = &published.tokens[..suffixes.len()];
        let length = 512.min(shard.len() - position);
        let text = &shard[position..position + length];
        if shard.windows(length).filter(|other| *other == text).count() > 1 {
            return Ok(()); // it is found where it stands again
        }
        let index = published.write(dir.path());
        world.index.header.verbatim = *index.header();
        let gap = suffix_gap(&index, 0, position as u64, length as u16).unwrap();
        let verdict = judge_index(&index_facts(&world), &IndexEvidence::SuffixGap(gap));
        prop_assert_eq!(verdict, Verdict::Guilty(Guilt::SuffixOrder));
        Ok(())
    });
}

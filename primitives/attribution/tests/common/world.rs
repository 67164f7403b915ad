//! A small honest world: contributions, versions, an index with all three channels, paid answers, a settled
//! batch. All of it is what parties publish, so that a test can change one number and commit to it.

use super::{Consumer, Keys, Rng};
use openledger_attribution::{
    attribution::{Attribution, Retrieved},
    bases::{BasisLeaf, Spectrum},
    batch::{settle, settle_draws, BatchHeader, ChannelLeaf, Ledger, Settled},
    fee::{Mix, Parts, Split, Tariff},
    hash::{keccak, Account, Hash, NONE},
    index::{index_seed, IndexHeader, IndexLeaf, IndexRules},
    list::ListBuilder,
    receipt::Receipt,
    record::{unpack, CorpusLeaf, RecordId, RecordLeaf, SourceLeaf, VersionLeaf},
    sketch::{Kind, Layout, Module, Rule, Sketch, SketchLeaf, SPAN},
    text::{text_leaves, token_leaves, unit_tokens, units, TextLeaf, TokenLeaf, Window},
    tree::{Leaf, Root, Tree},
    verbatim::{
        canonical_end, matched, select, starts_span, CountLeaf, ShardLeaf, Span, SpanRecord, SuffixLeaf,
        Table, TableLeaf, Verbatim, ENDS_SENTENCE, JUDGED, MAX_SPAN_RECORDS, STARTS_WORD,
    },
    verdict::{Contribution, IndexOrder, Registry},
    voucher::{Mode, Terms, Voucher},
    wire::Object,
};
use std::collections::BTreeMap;

pub const TOKEN_IDS: u32 = 14;

/// One answer and everything behind it.
#[derive(Clone, Debug)]
pub struct Answer {
    pub receipt: Receipt,
    pub consumer: Consumer,
    pub attribution: Attribution,
    pub query: Sketch,
    pub prompt: Vec<TextLeaf>,
    pub output: Vec<TextLeaf>,
}

#[derive(Clone, Debug, Default)]
pub struct Chain(pub BTreeMap<u64, (Contribution, Vec<RecordLeaf>)>);

impl Registry for Chain {
    fn contribution(&self, id: u64) -> Option<Contribution> {
        self.0.get(&id).map(|(contribution, _)| *contribution)
    }
}

/// What an index's builder published.
#[derive(Clone, Debug)]
pub struct Index {
    pub header: IndexHeader,
    pub layout: Layout,
    pub sources: Vec<SourceLeaf>,
    pub versions: Vec<Vec<VersionLeaf>>,
    pub corpus: Vec<CorpusLeaf>,
    pub rows: Vec<IndexLeaf>,
    pub bases: Vec<BasisLeaf>,
    pub tokens: Vec<TokenLeaf>,
    pub shards: Vec<ShardLeaf>,
    pub suffixes: Vec<Vec<SuffixLeaf>>,
    pub counts: Vec<Vec<CountLeaf>>,
    pub table: Vec<TableLeaf>,
}

#[derive(Clone, Debug)]
pub struct World {
    pub genesis: Hash,
    pub chain_id: u64,
    pub submitted: u64,
    pub minimum: u128,
    pub randomness: Hash,
    pub chain: Chain,
    pub order: IndexOrder,
    pub index: Index,
    pub rule: Rule,
    pub keys: Vec<Consumer>,
    /// In the order of the receipt leaves.
    pub answers: Vec<Answer>,
    pub settled: Settled,
    pub ledger: Ledger,
}

pub fn root<L: Leaf>(leaves: &[L]) -> Root {
    Tree::new(leaves).unwrap().root()
}

pub fn random_sketch(rng: &mut Rng, layout: &Layout, floor: i8) -> Sketch {
    let mut sketch = Sketch {
        exponents: vec![],
        lanes: vec![],
    };
    for module in &layout.modules {
        if rng.chance(10) {
            sketch.exponents.push(floor);
            sketch.lanes.extend(vec![0; module.lanes() as usize]);
            continue;
        }
        let reach = if rng.chance(5) { SPAN as i64 } else { 3 };
        let exponent = (i64::from(floor) + rng.between(0, reach)).min(63);
        sketch.exponents.push(exponent as i8);
        let start = sketch.lanes.len();
        for _ in 0..module.lanes() {
            sketch.lanes.push(rng.between(-127, 127) as i8);
        }
        let peak = start + rng.below(u64::from(module.lanes())) as usize;
        let size = rng.between(64, 127) as i8;
        sketch.lanes[peak] = if rng.chance(50) { size } else { -size };
    }
    sketch
}

/// A sketch near another one, so that some rows are eligible.
fn near(rng: &mut Rng, sketch: &Sketch) -> Sketch {
    let lanes = sketch.lanes.iter().map(|lane| {
        if *lane == 0 || lane.unsigned_abs() >= 64 && rng.chance(70) {
            *lane
        } else if lane.unsigned_abs() >= 64 {
            (i64::from(*lane) + rng.between(-10, 10)).clamp(-127, 127) as i8
        } else {
            (i64::from(*lane) + rng.between(-30, 30)).clamp(-127, 127) as i8
        }
    });
    let mut near = Sketch {
        exponents: sketch.exponents.clone(),
        lanes: lanes.collect(),
    };
    for (lane, original) in near.lanes.iter_mut().zip(&sketch.lanes) {
        // Keep every block's peak at 64 or more.
        if original.unsigned_abs() >= 64 && lane.unsigned_abs() < 64 {
            *lane = *original;
        }
    }
    near
}

pub fn random_split(rng: &mut Rng) -> Split {
    let mut cuts: Vec<u16> = (0..4).map(|_| rng.below(10_001) as u16).collect();
    cuts.sort_unstable();
    Split {
        platform: rng.below(1_000) as u16,
        owner: cuts[0],
        contributors: cuts[1] - cuts[0],
        stakers: cuts[2] - cuts[1],
        compute: cuts[3] - cuts[2],
        lineage: 10_000 - cuts[3],
    }
}

pub fn random_mix(rng: &mut Rng) -> Mix {
    let influence = if rng.chance(20) {
        0
    } else {
        rng.below(800_000_000) as u32
    };
    let verbatim = if rng.chance(20) {
        0
    } else {
        rng.below(u64::from(1_000_000_000 - influence)) as u32
    };
    Mix {
        influence,
        verbatim,
        retrieval: 1_000_000_000 - influence - verbatim,
    }
}

impl World {
    pub fn new(seed: u64, sampled: bool) -> Self {
        let mut rng = Rng(seed);
        let rng = &mut rng;
        let (chain, contents) = contributions(rng);
        let (index, order) = index(rng, &chain, &contents);
        let rule = Rule::new(&index.layout, &index.header.rules).unwrap();
        let keys: Vec<Consumer> = (0..3)
            .map(|_| {
                if rng.chance(50) {
                    Consumer::Substrate(rng.hash())
                } else {
                    let mut key = [0; 64];
                    key[..32].copy_from_slice(&rng.hash());
                    Consumer::Ethereum(key)
                }
            })
            .collect();
        let (genesis, chain_id, submitted, randomness) = (rng.hash(), 161_299, 1_000, rng.hash());
        let tariff = Tariff {
            price_in: 1_000 + u128::from(rng.below(1 << 40)),
            price_out: u128::from(rng.below(1 << 50)),
            split: random_split(rng),
            mix: random_mix(rng),
        };
        let order_of_batch = BatchHeader {
            worker: rng.hash(),
            model: order.model,
            generation: order.generation,
            index: index.header.hash(),
            tariff,
            draws: if sampled { 1 + rng.below(5) as u16 } else { 0 },
            minimum: [0, 1, u128::from(rng.below(1 << 30)), 1 << 50][rng.below(4) as usize],
            channels: Root::EMPTY,
            receipts: Root::EMPTY,
            totals: Parts::default(),
        };
        let table = Table::whole(&index.table).unwrap();

        let mut answers = Vec::new();
        let mut cursors = Vec::new();
        for channel in 0..1 + rng.below(3) {
            let consumer = keys[rng.below(3) as usize];
            let from = u128::from(rng.below(1 << 60));
            let channel = 5 + channel * 3;
            cursors.push(ChannelLeaf {
                channel,
                consumer: consumer.account(),
                from,
                to: from,
            });
            let (mut accepted, mut previous) = (from, if rng.chance(50) { NONE } else { rng.hash() });
            for _ in 0..1 + rng.below(3) {
                let answer = answer(
                    rng,
                    &index,
                    &rule,
                    &table,
                    &order_of_batch,
                    consumer,
                    genesis,
                    chain_id,
                    channel,
                    accepted,
                    previous,
                    submitted,
                );
                accepted = answer.receipt.cumulative().unwrap();
                previous = answer.receipt.hash();
                answers.push(answer);
            }
        }

        let mut passed: Vec<(Receipt, Option<Attribution>)> = answers
            .iter()
            .map(|answer| (answer.receipt, (!sampled).then(|| answer.attribution.clone())))
            .collect();
        let mut permutation: Vec<usize> = (0..passed.len()).collect();
        rng.shuffle(&mut permutation);
        passed = permutation.iter().map(|at| passed[*at].clone()).collect();
        let (settled, ledger) = settle(&order_of_batch, &cursors, &passed).unwrap();
        let answers: Vec<Answer> = settled
            .order
            .iter()
            .map(|at| answers[permutation[*at]].clone())
            .collect();

        let ledger = ledger.unwrap_or_else(|| {
            let header = &settled.header;
            let draws: Vec<(u64, Option<Attribution>)> = (0..header.draws)
                .map(|draw| {
                    let at = header.draw(&randomness, draw);
                    let mut before = 0;
                    let receipt = settled.receipts.iter().position(|leaf| {
                        before += leaf.fee;
                        at < before
                    });
                    let receipt = receipt.unwrap();
                    let attribution = (!rng.chance(15)).then(|| answers[receipt].attribution.clone());
                    (receipt as u64, attribution)
                })
                .collect();
            settle_draws(header, &draws).unwrap()
        });

        Self {
            genesis,
            chain_id,
            submitted,
            minimum: settled.header.minimum,
            randomness,
            chain,
            order,
            index,
            rule,
            keys,
            answers,
            settled,
            ledger,
        }
    }

    pub fn keys(&self) -> Keys {
        Keys(self.keys.clone())
    }

    pub fn is_sampled(&self) -> bool {
        self.settled.header.is_sampled()
    }

    /// Tells all contributors and one stranger.
    pub fn accounts(&self) -> Vec<Account> {
        let mut accounts: Vec<Account> = self
            .chain
            .0
            .values()
            .map(|(known, _)| known.contributor)
            .collect();
        accounts.push([0x55; 32]);
        accounts.sort_unstable();
        accounts.dedup();
        accounts
    }

    /// Commits to the answers as they now are, from `first` on: consumers saw these receipts, so later
    /// vouchers name them. Leaf fields, roots and headers follow; nothing else is made right.
    pub fn recommit_answers(&mut self, first: usize) {
        for at in 0..self.answers.len() {
            if at >= first && !self.is_sampled() {
                self.answers[at].receipt.attribution = self.answers[at].attribution.hash();
            }
            let hash = self.answers[at].receipt.hash();
            self.settled.receipts[at].receipt = hash;
            if let Some(next) = self.answers.get_mut(at + 1) {
                let follows = self.settled.receipts[at + 1].channel == self.settled.receipts[at].channel;
                if at >= first && follows {
                    next.receipt.voucher.previous = hash;
                    next.receipt.signature = next.consumer.sign(&next.receipt.voucher, self.chain_id);
                }
            }
        }
        if self.is_sampled() {
            for leaf in &mut self.ledger.answers {
                if !leaf.is_forfeited() {
                    leaf.attribution = self.answers[leaf.receipt as usize].attribution.hash();
                }
            }
        }
        self.recommit_batch();
    }

    /// Commits to the leaves of the batch as they now are.
    pub fn recommit_batch(&mut self) {
        self.settled.header.channels = root(&self.settled.channels);
        self.settled.header.receipts = root(&self.settled.receipts);
        self.recommit_credits();
    }

    /// Commits to the leaves of the credits as they now are.
    pub fn recommit_credits(&mut self) {
        self.ledger.header.batch = self.settled.header.hash();
        self.ledger.header.answers = root(&self.ledger.answers);
        self.ledger.header.parts = root(&self.ledger.parts);
        self.ledger.header.credits = root(&self.ledger.credits);
    }

    /// Commits to the leaves of the index as they now are.
    pub fn recommit_index(&mut self) {
        let index = &mut self.index;
        index.header.corpus = root(&index.corpus);
        index.header.rows = root(&index.rows);
        index.header.bases = root(&index.bases);
        for ((shard, suffixes), counts) in index.shards.iter_mut().zip(&index.suffixes).zip(&index.counts) {
            shard.suffixes = root(suffixes);
            shard.counts = root(counts);
        }
        index.header.verbatim.tokens = root(&index.tokens);
        index.header.verbatim.shards = root(&index.shards);
        index.header.verbatim.table = root(&index.table);
    }
}

/// Contributions with their records' tokens.
fn contributions(rng: &mut Rng) -> (Chain, BTreeMap<RecordId, Vec<u32>>) {
    let mut chain = Chain::default();
    let mut contents = BTreeMap::new();
    let mut reservations: Vec<u64> = (10..20).collect();
    rng.shuffle(&mut reservations);
    for n in 0..2 + rng.below(3) {
        let contribution = 3 + 4 * n;
        let contributor = if n > 1 && rng.chance(30) {
            [0xA0; 32]
        } else {
            [0xA0 + n as u8; 32]
        };
        let mut leaves = Vec::new();
        for record in 0..1 + rng.below(4) {
            let length = match rng.below(20) {
                0 => 0,
                1 => 200 + rng.below(400),
                _ => 4 + rng.below(40),
            };
            let tokens: Vec<u32> = (0..length)
                .map(|_| rng.below(u64::from(TOKEN_IDS)) as u32)
                .collect();
            let bytes: Vec<u8> = tokens.iter().map(|token| *token as u8).collect();
            // Records are told apart by their content; equal ones are tested on their own.
            let content = keccak(&[&contribution.to_be_bytes(), &record.to_be_bytes(), &bytes]);
            leaves.push(RecordLeaf {
                content,
                bytes: bytes.len() as u32,
            });
            contents.insert(
                RecordId {
                    contribution,
                    index: record as u32,
                },
                tokens,
            );
        }
        let known = Contribution {
            contributor,
            records: root(&leaves),
            reserved: reservations[n as usize],
        };
        chain.0.insert(contribution, (known, leaves));
    }
    (chain, contents)
}

fn index(rng: &mut Rng, chain: &Chain, contents: &BTreeMap<RecordId, Vec<u32>>) -> (Index, IndexOrder) {
    let layout = Layout {
        names: rng.hash(),
        modules: (0..1 + rng.below(3))
            .map(|n| Module {
                kind: [Kind::LoraA, Kind::LoraB, Kind::Linear][n as usize],
                rows: 1 + rng.below(4) as u16,
                columns: 2 + rng.below(5) as u16,
            })
            .collect(),
    };
    let rules = IndexRules {
        projection: 4,
        top: 1 + rng.below(5) as u16,
        rho: rng.below(1 << 30) as u32,
        z: rng.between(30, 250) as u16,
        floor: rng.between(-64, 15) as i8,
    };

    let mut versions = Vec::new();
    let mut sources = Vec::new();
    for version in 0..1 + rng.below(2) {
        let mut leaves: Vec<VersionLeaf> = Vec::new();
        for (contribution, (known, records)) in &chain.0 {
            if version > 0 && rng.chance(40) {
                continue;
            }
            for (at, record) in (0u32..).zip(records) {
                let id = RecordId {
                    contribution: *contribution,
                    index: at,
                };
                let others: Vec<RecordId> = leaves
                    .iter()
                    .filter(|leaf| leaf.is_representative())
                    .map(|leaf| leaf.record)
                    .collect();
                let representative = if !others.is_empty() && rng.chance(15) {
                    others[rng.below(others.len() as u64) as usize]
                } else {
                    id
                };
                leaves.push(VersionLeaf {
                    record: id,
                    contributor: known.contributor,
                    content: record.content,
                    representative,
                });
            }
        }
        sources.push(SourceLeaf {
            datanet: 1,
            version: version as u32,
            records: root(&leaves),
        });
        versions.push(leaves);
    }

    let (mut corpus, mut rows, mut stream) = (Vec::new(), Vec::new(), Vec::new());
    for (source, leaves) in (0u32..).zip(&versions) {
        for leaf in leaves.iter().filter(|leaf| leaf.is_representative()) {
            let tokens = &contents[&leaf.record];
            let length = tokens.len() as u32;
            corpus.push(CorpusLeaf {
                source,
                record: leaf.record,
                contributor: leaf.contributor,
                content: leaf.content,
                tokens: length,
            });
            for unit in 0..units(length) {
                assert!(unit_tokens(length, unit).is_some());
                rows.push(IndexLeaf {
                    source,
                    record: leaf.record,
                    unit,
                    contributor: leaf.contributor,
                    sketch: random_sketch(rng, &layout, rules.floor),
                });
            }
            stream.extend_from_slice(tokens);
            stream.push(TOKEN_IDS);
        }
    }

    let mut bases = Vec::new();
    for module in &layout.modules {
        for size in [module.rows, module.columns] {
            for row in 0..size {
                bases.push(BasisLeaf::Vector(
                    (0..size).map(|at| if at == row { 1 << 14 } else { 0 }).collect(),
                ));
            }
        }
        for _ in 0..module.rows {
            let values = (0..module.columns)
                .map(|_| 1 + rng.below(1 << 31) as u32)
                .collect();
            bases.push(BasisLeaf::Spectrum(Spectrum {
                exponent: rng.between(-40, 40) as i16,
                values,
            }));
        }
    }

    // One or two shards, cut between records.
    let mut starts: Vec<u64> = vec![0];
    let cut = stream
        .iter()
        .enumerate()
        .position(|(at, token)| at > stream.len() / 2 && *token == TOKEN_IDS);
    if let Some(cut) = cut.filter(|cut| cut + 1 < stream.len() && rng.chance(60)) {
        starts.push(cut as u64 + 1);
    }
    let (mut shards, mut suffixes, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    for (at, from) in starts.iter().enumerate() {
        let to = starts.get(at + 1).copied().unwrap_or(stream.len() as u64);
        let mut entries: Vec<u64> = (*from..to).collect();
        let judged =
            |position: u64| &stream[position as usize..(position as usize + JUDGED).min(to as usize)];
        entries.sort_by(|a, b| judged(*a).cmp(judged(*b)));
        let entries: Vec<SuffixLeaf> = entries
            .into_iter()
            .map(|position| SuffixLeaf { position })
            .collect();
        let own = &stream[*from as usize..to as usize];
        let tally: Vec<CountLeaf> = (0..=TOKEN_IDS)
            .map(|token| CountLeaf {
                count: own.iter().filter(|other| **other == token).count() as u64,
            })
            .collect();
        shards.push(ShardLeaf {
            from: *from,
            to,
            suffixes: root(&entries),
            counts: root(&tally),
        });
        suffixes.push(entries);
        counts.push(tally);
    }
    let table: Vec<TableLeaf> = (0..=TOKEN_IDS)
        .map(|token| TableLeaf {
            flags: flags(token),
            count: stream.iter().filter(|other| **other == token).count() as u64,
        })
        .collect();
    let tokens = token_leaves(&stream);

    let order = IndexOrder {
        builder: rng.hash(),
        model: 4,
        generation: 2,
        base: rng.hash(),
        adapter: rng.hash(),
        tokenizer: rng.hash(),
        token_ids: TOKEN_IDS,
        randomness: rng.hash(),
        rules,
        sources: root(&sources),
        retrieval: rng.hash(),
    };
    let header = IndexHeader {
        builder: order.builder,
        model: order.model,
        generation: order.generation,
        base: order.base,
        adapter: order.adapter,
        tokenizer: order.tokenizer,
        seed: index_seed(&order.adapter, &order.randomness),
        layout: layout.hash(),
        rules,
        bases: root(&bases),
        sources: order.sources,
        corpus: root(&corpus),
        rows: root(&rows),
        verbatim: Verbatim {
            vocabulary: TOKEN_IDS + 1,
            separator: TOKEN_IDS,
            tokens: root(&tokens),
            shards: root(&shards),
            table: root(&table),
        },
        retrieval: order.retrieval,
    };
    header.check(&layout).unwrap();
    let index = Index {
        header,
        layout,
        sources,
        versions,
        corpus,
        rows,
        bases,
        tokens,
        shards,
        suffixes,
        counts,
        table,
    };
    (index, order)
}

/// What the tokenizer says of a token.
pub fn flags(token: u32) -> u8 {
    let starts = if token % 3 != 2 { STARTS_WORD } else { 0 };
    starts | if token == TOKEN_IDS - 1 { ENDS_SENTENCE } else { 0 }
}

pub fn stream(index: &Index) -> Vec<u32> {
    index
        .tokens
        .iter()
        .flat_map(|leaf| leaf.tokens.iter().copied())
        .collect()
}

/// The spans of an answer by trying every start at every place: slow and plain.
pub fn spans(index: &Index, table: &Table, output: &[u32]) -> Vec<Span> {
    let corpus = stream(index);
    let total = corpus.len() as u64;
    let corpus = Window {
        start: 0,
        tokens: corpus,
        total,
    };
    let text = Window {
        start: 0,
        tokens: output.to_vec(),
        total: output.len() as u64,
    };
    let separator = index.header.verbatim.separator;
    let longest = |start: u64| {
        (0..total)
            .map(|at| matched(&text, start, &corpus, at, separator))
            .max()
            .unwrap_or(0)
    };
    let mut pieces = Vec::new();
    for start in 0..text.total {
        if starts_span(table, &text, start) == Some(true) {
            if let Some(end) = canonical_end(table, &text, start, longest(start)).unwrap() {
                let tokens = text.slice(start, end).unwrap();
                pieces.push((start as u32, end as u32, table.information(tokens).unwrap()));
            }
        }
    }
    let kept = select(&pieces, output.len() as u32);
    let names = |(start, end, information): (u32, u32, u64)| {
        let length = u64::from(end - start);
        let mut records = Vec::new();
        let mut before = 0u128;
        for (entry, leaf) in (0u64..).zip(&index.corpus) {
            let (_, first) = unpack(before);
            before += leaf.sum().unwrap();
            let last = (first + u64::from(leaf.tokens)).saturating_sub(length);
            let found =
                (first..=last).find(|at| matched(&text, u64::from(start), &corpus, *at, separator) >= length);
            if let Some(position) = found.filter(|at| at + length <= first + u64::from(leaf.tokens)) {
                let (record, contributor) = (leaf.record, leaf.contributor);
                records.push(SpanRecord {
                    entry,
                    record,
                    contributor,
                    position,
                });
            }
        }
        records.truncate(MAX_SPAN_RECORDS);
        Span {
            start,
            end,
            information,
            records,
        }
    };
    kept.into_iter().map(names).collect()
}

#[allow(clippy::too_many_arguments)]
fn answer(
    rng: &mut Rng,
    index: &Index,
    rule: &Rule,
    table: &Table,
    batch: &BatchHeader,
    consumer: Consumer,
    genesis: Hash,
    chain_id: u64,
    channel: u64,
    accepted: u128,
    previous: Hash,
    submitted: u64,
) -> Answer {
    let query = if index.rows.is_empty() || rng.chance(15) {
        random_sketch(rng, &index.layout, index.header.rules.floor)
    } else {
        let row = rng.below(index.rows.len() as u64) as usize;
        near(rng, &index.rows[row].sketch)
    };
    let mut list = ListBuilder::new(rule, query.view());
    for (position, row) in (0u64..).zip(&index.rows) {
        list.push(position, row);
    }

    let corpus = stream(index);
    let mut output: Vec<u32> = Vec::new();
    for _ in 0..rng.below(6) {
        if rng.chance(60) {
            let from = rng.below(corpus.len() as u64) as usize;
            let length = rng.below(25) as usize;
            output.extend(
                corpus[from..]
                    .iter()
                    .take(length)
                    .take_while(|token| **token != TOKEN_IDS),
            );
        } else {
            output.extend((0..rng.below(10)).map(|_| rng.below(u64::from(TOKEN_IDS)) as u32));
        }
    }
    if rng.chance(5) {
        output.extend((0..300).map(|_| rng.below(u64::from(TOKEN_IDS)) as u32));
    }
    let prompt: Vec<u32> = (0..1 + rng.below(300))
        .map(|_| rng.below(u64::from(TOKEN_IDS)) as u32)
        .collect();

    let mut retrieved: Vec<Retrieved> = (0u64..)
        .zip(&index.corpus)
        .filter(|_| rng.chance(20))
        .map(|(entry, leaf)| Retrieved {
            entry,
            record: leaf.record,
            contributor: leaf.contributor,
        })
        .collect();
    rng.shuffle(&mut retrieved);

    let attribution = Attribution {
        query: root(&query.leaves(rule).unwrap()).hash::<SketchLeaf>(),
        list: list.finish(),
        spans: spans(index, table, &output),
        retrieved,
    };
    let (input_tokens, output_tokens) = (prompt.len() as u32, output.len() as u32);
    let salt = rng.hash();
    let prompt = text_leaves(&prompt, |n| keccak(&[&salt, b"prompt", &n.to_be_bytes()]));
    let output = text_leaves(&output, |n| keccak(&[&salt, b"output", &n.to_be_bytes()]));
    let terms = Terms {
        model: batch.model,
        generation: batch.generation,
        index: batch.index,
        tariff: batch.tariff,
        mode: if rng.chance(50) {
            Mode::Verifiable
        } else {
            Mode::Fast
        },
        prompt: root(&prompt).hash::<TextLeaf>(),
        parameters: rng.hash(),
        seed: rng.next(),
    };
    let fee = batch
        .tariff
        .fee(input_tokens, output_tokens)
        .unwrap()
        .total()
        .unwrap();
    let voucher = Voucher {
        genesis,
        channel,
        accepted,
        previous,
        most: fee + u128::from(rng.below(1_000)),
        expiry: submitted + rng.below(100),
        terms: terms.hash(),
    };
    let receipt = Receipt {
        worker: batch.worker,
        voucher,
        signature: consumer.sign(&voucher, chain_id),
        terms,
        input_tokens,
        output_tokens,
        fee,
        output: root(&output).hash::<TextLeaf>(),
        attribution: if batch.is_sampled() {
            NONE
        } else {
            attribution.hash()
        },
    };
    Answer {
        receipt,
        consumer,
        attribution,
        query,
        prompt,
        output,
    }
}

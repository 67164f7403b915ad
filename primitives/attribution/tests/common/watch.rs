//! A watcher: builds from published data every piece of evidence it can think of, and has it judged.

use super::world::{stream, World};
use openledger_attribution::{
    batch::{PartLeaf, ReceiptLeaf},
    hash::Account,
    record::unpack,
    text::{TextLeaf, TokenLeaf, Window},
    tree::{Gap, Keyed, Leaf, Opening, Range, Root, Tree},
    verbatim::{matched, CountLeaf, SuffixLeaf, TableLeaf},
    verdict::*,
    wire::Field,
};
use proptest::prelude::TestCaseError;

/// Leaves with their tree.
pub struct Grove<L> {
    pub leaves: Vec<L>,
    pub tree: Tree<L>,
}

impl<L: Leaf> Grove<L> {
    pub fn new(leaves: &[L]) -> Self {
        Self {
            leaves: leaves.to_vec(),
            tree: Tree::new(leaves).unwrap(),
        }
    }

    pub fn open(&self, at: usize) -> Option<Opening<L>> {
        self.tree.open(at as u64, self.leaves.get(at)?)
    }

    pub fn all(&self) -> Vec<Opening<L>> {
        (0..self.leaves.len()).map(|at| self.open(at).unwrap()).collect()
    }

    pub fn range(&self, start: usize, end: usize) -> Range<L> {
        self.tree
            .open_range(start as u64, &self.leaves[start..end])
            .unwrap()
    }

    pub fn neighbours(&self) -> Vec<Neighbours<L>> {
        let all = self.all();
        all.windows(2)
            .map(|pair| Neighbours {
                left: pair[0].clone(),
                right: pair[1].clone(),
            })
            .collect()
    }
}

impl<L: Keyed> Grove<L> {
    /// Every place where `key` seems to be missing: in an unsorted tree there may be several.
    pub fn gaps(&self, key: &L::Key) -> Vec<Gap<L>> {
        let mut gaps = Vec::new();
        for at in 0..=self.leaves.len() {
            let before = at.checked_sub(1).and_then(|at| self.open(at));
            let after = self.open(at);
            let gap = Gap { before, after };
            if gap.excludes(key, &self.tree.root()) {
                gaps.push(gap);
            }
        }
        gaps
    }
}

pub fn batch_facts(world: &World) -> BatchFacts<'_> {
    BatchFacts {
        genesis: world.genesis,
        chain_id: world.chain_id,
        submitted: world.submitted,
        minimum: world.minimum,
        randomness: Some(world.randomness),
        batch: &world.settled.header,
        credits: Some(&world.ledger.header),
        index: &world.index.header,
    }
}

pub fn index_facts(world: &World) -> IndexFacts<'_> {
    IndexFacts {
        header: &world.index.header,
        order: &world.order,
        registry: &world.chain,
    }
}

/// All evidence about the batch.
pub fn batch_evidence(world: &World) -> Vec<BatchEvidence> {
    let mut evidence = vec![BatchEvidence::Headers([])];
    let receipts = Grove::new(&world.settled.receipts);
    let channels = Grove::new(&world.settled.channels);
    let draws = Grove::new(&world.ledger.answers);
    let parts = Grove::new(&world.ledger.parts);
    let credits = Grove::new(&world.ledger.credits);

    evidence.extend(receipts.neighbours().into_iter().map(BatchEvidence::Receipts));
    evidence.extend(channels.neighbours().into_iter().map(BatchEvidence::Channels));
    evidence.extend(parts.neighbours().into_iter().map(BatchEvidence::Parts));
    evidence.extend(credits.neighbours().into_iter().map(BatchEvidence::Credits));
    for (at, pair) in receipts.neighbours().into_iter().enumerate() {
        let receipt = world.answers[at + 1].receipt;
        evidence.push(BatchEvidence::Chain(ReceiptProof {
            leaves: pair,
            receipt,
        }));
    }

    for (at, leaf) in receipts.all().into_iter().enumerate() {
        let receipt = world.answers[at].receipt;
        for channel in channels.all() {
            let rules = ReceiptRules {
                leaf: leaf.clone(),
                receipt,
                channel: channel.clone(),
            };
            evidence.push(BatchEvidence::Receipt(rules));
            for last in [false, true] {
                let beyond = if last {
                    receipts.open(at + 1)
                } else {
                    at.checked_sub(1).and_then(|at| receipts.open(at))
                };
                evidence.push(BatchEvidence::ChannelEnd(ChannelEnd {
                    channel: channel.clone(),
                    receipt: leaf.clone(),
                    last: Flag(last),
                    beyond,
                }));
            }
        }
        for gap in channels.gaps(&leaf.leaf.channel) {
            evidence.push(BatchEvidence::ChannelMissing(ChannelMissing {
                receipt: leaf.clone(),
                gap,
            }));
        }
        for (output, text) in [
            (false, &world.answers[at].prompt),
            (true, &world.answers[at].output),
        ] {
            let root = Tree::new(text).unwrap().root();
            evidence.push(BatchEvidence::Count(TextCount {
                leaf: leaf.clone(),
                receipt,
                output: Flag(output),
                root,
            }));
        }
        let before = at.checked_sub(1).and_then(|at| receipts.open(at));
        let attribution = Some(world.answers[at].attribution.clone());
        evidence.push(BatchEvidence::Totals(RunningTotals {
            before,
            leaf,
            receipt,
            attribution,
        }));
    }
    for channel in channels.all() {
        for gap in receipts.gaps(&channel.leaf.channel) {
            evidence.push(BatchEvidence::ChannelUnused(ChannelUnused {
                channel: channel.clone(),
                gap,
            }));
        }
    }

    for answer in answer_proofs(world, &receipts, &draws) {
        answer_evidence(world, &answer, &parts, &mut evidence);
    }

    for draw in draws.all() {
        evidence.push(BatchEvidence::Forfeit(DrawForfeit { draw: draw.clone() }));
        let receipt = receipts.open(draw.leaf.receipt as usize);
        evidence.push(BatchEvidence::Draw(DrawnReceipt { draw, receipt }));
    }
    for part in parts.all() {
        let draw = draws.open(part.leaf.source as usize);
        evidence.push(BatchEvidence::PartOfForfeit(PartOfForfeit {
            part: part.clone(),
            draw,
        }));
        for credit in credits.all() {
            evidence.push(BatchEvidence::CreditRange(CreditRange {
                credit,
                part: part.clone(),
            }));
        }
    }
    for credit in credits.all() {
        evidence.push(BatchEvidence::CreditShape(credit.clone()));
        let first = parts.open(credit.leaf.first as usize);
        let last = (credit.leaf.end as usize)
            .checked_sub(1)
            .and_then(|at| parts.open(at));
        if let (Some(first), Some(last)) = (first, last) {
            evidence.push(BatchEvidence::CreditSum(CreditSum { credit, first, last }));
        }
    }
    for (start, part) in parts.leaves.iter().enumerate() {
        for (end, other) in parts.leaves.iter().enumerate().skip(start) {
            if other.contributor != part.contributor {
                break;
            }
            for gap in credits.gaps(&part.contributor) {
                let (first, last) = (parts.open(start).unwrap(), parts.open(end).unwrap());
                evidence.push(BatchEvidence::CreditMissing(CreditMissing { first, last, gap }));
            }
        }
    }
    evidence
}

fn answer_proofs(
    world: &World,
    receipts: &Grove<ReceiptLeaf>,
    draws: &Grove<openledger_attribution::batch::DrawLeaf>,
) -> Vec<AnswerProof> {
    let proof = |at: usize, draw| {
        let answer = &world.answers[at];
        let attribution = answer.attribution.clone();
        Some(AnswerProof {
            leaf: receipts.open(at)?,
            receipt: answer.receipt,
            attribution,
            draw,
        })
    };
    if world.is_sampled() {
        let open = |draw: Opening<openledger_attribution::batch::DrawLeaf>| {
            let at = draw.leaf.receipt as usize;
            (at < world.answers.len())
                .then(|| proof(at, Some(draw)))
                .flatten()
        };
        draws.all().into_iter().filter_map(open).collect()
    } else {
        (0..world.answers.len())
            .filter_map(|at| proof(at, None))
            .collect()
    }
}

fn answer_evidence(
    world: &World,
    proof: &AnswerProof,
    parts: &Grove<PartLeaf>,
    evidence: &mut Vec<BatchEvidence>,
) {
    let index = &world.index;
    let answer = &world.answers[proof.leaf.index as usize];
    let rows = Grove::new(&index.rows);
    let corpus = Grove::new(&index.corpus);
    let layout = || index.layout.clone();
    let boxed = || proof.clone();

    evidence.push(BatchEvidence::Shape(boxed()));
    if let Some(blocks) = answer.query.leaves(&world.rule) {
        let blocks = Grove::new(&blocks);
        let root = blocks.tree.root();
        for block in blocks.all() {
            let block = Some(block);
            evidence.push(BatchEvidence::Query(QueryBlock {
                answer: boxed(),
                layout: layout(),
                root,
                block,
            }));
        }
    }
    for (at, entry) in (0u16..).zip(&proof.attribution.list) {
        if let Some(row) = rows.open(entry.row as usize) {
            evidence.push(BatchEvidence::NamedRow(NamedRow {
                answer: boxed(),
                entry: at,
                row: row.clone(),
            }));
            let query = answer.query.clone();
            evidence.push(BatchEvidence::Score(WrongScore {
                answer: boxed(),
                entry: at,
                layout: layout(),
                query,
                row,
            }));
        }
    }
    for row in rows.all() {
        let query = answer.query.clone();
        evidence.push(BatchEvidence::LeftOut(LeftOut {
            answer: boxed(),
            layout: layout(),
            query,
            row,
        }));
    }

    for contributor in world.accounts() {
        part_evidence(proof, parts, contributor, evidence);
    }
    for part in parts.all() {
        if part.leaf.source == proof.draw.as_ref().map_or(proof.leaf.index, |draw| draw.index) {
            evidence.push(BatchEvidence::Part(PartOfAnswer {
                part,
                answer: boxed(),
            }));
        }
    }

    for record in 0..proof.attribution.retrieved.len() as u16 {
        let entry = proof.attribution.retrieved[usize::from(record)].entry as usize;
        if let Some(corpus) = corpus.open(entry) {
            evidence.push(BatchEvidence::NamedRecord(NamedRecord {
                answer: boxed(),
                span: None,
                record,
                corpus,
            }));
        }
    }
    span_evidence(world, proof, &corpus, evidence);
}

fn part_evidence(
    proof: &AnswerProof,
    parts: &Grove<PartLeaf>,
    contributor: Account,
    evidence: &mut Vec<BatchEvidence>,
) {
    let source = proof.draw.as_ref().map_or(proof.leaf.index, |draw| draw.index);
    for gap in parts.gaps(&(contributor, source)) {
        evidence.push(BatchEvidence::PartMissing(PartMissing {
            answer: proof.clone(),
            contributor,
            gap,
        }));
    }
}

/// The chunks that hold `start..end`.
fn chunks<L: Leaf>(grove: &Grove<L>, start: u64, end: u64) -> Option<Range<L>> {
    let (first, last) = ((start / 256) as usize, (end.max(start + 1) - 1) as usize / 256);
    let last = last.min(grove.leaves.len().checked_sub(1)?);
    (first <= last).then(|| grove.range(first, last + 1))
}

fn span_evidence(
    world: &World,
    proof: &AnswerProof,
    corpus: &Grove<openledger_attribution::record::CorpusLeaf>,
    evidence: &mut Vec<BatchEvidence>,
) {
    let index = &world.index;
    let answer = &world.answers[proof.leaf.index as usize];
    let text = Grove::<TextLeaf>::new(&answer.output);
    let tokens = Grove::<TokenLeaf>::new(&index.tokens);
    let table = Grove::<TableLeaf>::new(&index.table);
    let all_table = table.all();
    let whole_text = || TextProof {
        root: text.tree.root(),
        chunks: text.range(0, text.leaves.len()),
    };
    let words: Vec<u32> = answer
        .output
        .iter()
        .flat_map(|leaf| leaf.tokens.iter().copied())
        .collect();
    let total = words.len() as u64;
    let output = Window {
        start: 0,
        tokens: words,
        total,
    };
    let stream = stream(index);
    let size = stream.len() as u64;
    let stream = Window {
        start: 0,
        tokens: stream,
        total: size,
    };
    let separator = index.header.verbatim.separator;

    for (at, span) in (0u16..).zip(&proof.attribution.spans) {
        let (start, end) = (u64::from(span.start), u64::from(span.end));
        for (n, record) in (0u16..).zip(&span.records) {
            if let Some(corpus) = chunks(
                &tokens,
                record.position,
                record.position.saturating_add(end.saturating_sub(start)),
            ) {
                evidence.push(BatchEvidence::SpanMismatch(SpanMismatch {
                    answer: proof.clone(),
                    span: at,
                    record: n,
                    text: whole_text(),
                    corpus,
                }));
            }
            if let Some(corpus) = corpus.open(record.entry as usize) {
                let answer = proof.clone();
                evidence.push(BatchEvidence::NamedRecord(NamedRecord {
                    answer,
                    span: Some(at),
                    record: n,
                    corpus,
                }));
            }
        }
        let bounds = SpanBounds {
            answer: proof.clone(),
            span: at,
            text: whole_text(),
            table: all_table.clone(),
        };
        evidence.push(BatchEvidence::SpanBounds(bounds));
        evidence.push(BatchEvidence::SpanInformation(SpanInformation {
            answer: proof.clone(),
            span: at,
            text: whole_text(),
            table: all_table.clone(),
        }));
        for record in corpus.all() {
            let (_, first) = unpack(record.verify(&corpus.tree.root()).unwrap());
            for position in first..first + u64::from(record.leaf.tokens) {
                let length = end.saturating_sub(start);
                if matched(&output, start, &stream, position, separator) < length || length == 0 {
                    continue;
                }
                if let Some(corpus) = chunks(&tokens, position, position + length) {
                    evidence.push(BatchEvidence::SpanRecord(SpanRecordMissing {
                        answer: proof.clone(),
                        span: at,
                        position,
                        record: record.clone(),
                        text: whole_text(),
                        corpus,
                    }));
                }
                break;
            }
        }
    }
    for start in 0..output.total {
        let best = (0..size).max_by_key(|at| matched(&output, start, &stream, *at, separator));
        let Some(position) = best else { continue };
        let length = matched(&output, start, &stream, position, separator);
        if let Some(corpus) = chunks(&tokens, position, position + length) {
            evidence.push(BatchEvidence::SpanOccurrence(SpanOccurrence {
                answer: proof.clone(),
                start: start as u32,
                position,
                text: whole_text(),
                corpus,
                table: all_table.clone(),
            }));
        }
    }
}

/// All evidence about the index.
pub fn index_evidence(world: &World) -> Vec<IndexEvidence> {
    let index = &world.index;
    let mut evidence = vec![IndexEvidence::Header(index.layout.clone())];
    let rows = Grove::new(&index.rows);
    let corpus = Grove::new(&index.corpus);
    let sources = Grove::new(&index.sources);
    let bases = Grove::new(&index.bases);
    let tokens = Grove::new(&index.tokens);
    let shards = Grove::new(&index.shards);
    let table = Grove::new(&index.table);

    evidence.extend(rows.neighbours().into_iter().map(IndexEvidence::Rows));
    for row in rows.all() {
        evidence.push(IndexEvidence::RowContributor(row.clone()));
        evidence.push(IndexEvidence::RowBytes(RowBytes {
            row: row.clone(),
            layout: index.layout.clone(),
        }));
        for corpus in corpus.all() {
            evidence.push(IndexEvidence::Row(RowPlace {
                row: row.clone(),
                corpus,
            }));
        }
    }
    for (source, leaves) in sources.all().into_iter().zip(&index.versions) {
        for record in Grove::new(leaves).all() {
            for corpus in corpus.all() {
                let (source, record) = (source.clone(), record.clone());
                evidence.push(IndexEvidence::Corpus(CorpusRecord {
                    source,
                    record,
                    corpus,
                }));
            }
        }
    }
    evidence.extend(tokens.all().into_iter().map(IndexEvidence::Chunk));
    if !tokens.leaves.is_empty() {
        for record in corpus.all() {
            let corpus = tokens.range(0, tokens.leaves.len());
            evidence.push(IndexEvidence::Tokens(RecordTokens { record, corpus }));
        }
    }
    for leaf in bases.all() {
        for other in bases.all() {
            let layout = index.layout.clone();
            evidence.push(IndexEvidence::BasisPair(BasisPair {
                one: leaf.clone(),
                other,
                layout,
            }));
        }
        evidence.push(IndexEvidence::Basis(BasisShape {
            leaf,
            layout: index.layout.clone(),
        }));
    }

    let counts: Vec<Grove<CountLeaf>> = index.counts.iter().map(|leaves| Grove::new(leaves)).collect();
    for entry in table.all() {
        let counts = counts
            .iter()
            .filter_map(|grove| grove.open(entry.index as usize))
            .collect();
        let shards = shards.range(0, shards.leaves.len());
        evidence.push(IndexEvidence::TableCount(TableCount {
            entry,
            shards,
            counts,
        }));
    }
    for (at, shard) in shards.all().into_iter().enumerate() {
        evidence.push(IndexEvidence::Shard(ShardShape {
            shard: shard.clone(),
            record: None,
        }));
        for record in corpus.all() {
            evidence.push(IndexEvidence::Shard(ShardShape {
                shard: shard.clone(),
                record: Some(record),
            }));
        }
        let suffixes = Grove::new(&index.suffixes[at]);
        suffix_evidence(world, &shard, &suffixes, &counts[at], &tokens, &mut evidence);
    }
    evidence
}

fn suffix_evidence(
    world: &World,
    shard: &Opening<openledger_attribution::verbatim::ShardLeaf>,
    suffixes: &Grove<SuffixLeaf>,
    counts: &Grove<CountLeaf>,
    tokens: &Grove<TokenLeaf>,
    evidence: &mut Vec<IndexEvidence>,
) {
    let at = |position: u64| chunks(tokens, position, position.saturating_add(40).min(shard.leaf.to));
    let entries = suffixes.all();
    for entry in &entries {
        evidence.push(IndexEvidence::SuffixRange(SuffixEntry {
            shard: shard.clone(),
            entry: entry.clone(),
        }));
    }
    for pair in entries.windows(2) {
        let (left, right) = (pair[0].clone(), pair[1].clone());
        let (left_tokens, right_tokens) = (at(left.leaf.position), at(right.leaf.position));
        let shard = shard.clone();
        evidence.push(IndexEvidence::SuffixPair(SuffixPair {
            shard,
            left,
            right,
            left_tokens,
            right_tokens,
        }));
    }
    let mut seen = std::collections::BTreeMap::new();
    for entry in &entries {
        if let Some(left) = seen.insert(entry.leaf.position, entry.clone()) {
            evidence.push(IndexEvidence::SuffixPair(SuffixPair {
                shard: shard.clone(),
                left,
                right: entry.clone(),
                left_tokens: None,
                right_tokens: None,
            }));
        }
    }
    // Entries at either end of every token's run, and in the middle.
    let mut before = 0u64;
    for (token, count) in counts.leaves.iter().enumerate() {
        for rank in [
            before,
            before + count.count / 2,
            before.saturating_add(count.count).saturating_sub(1),
        ] {
            let (Some(count), Some(entry)) = (counts.open(token), suffixes.open(rank as usize)) else {
                continue;
            };
            if let Some(tokens) = at(entry.leaf.position) {
                evidence.push(IndexEvidence::ShardCount(ShardCount {
                    shard: shard.clone(),
                    count,
                    entry,
                    tokens,
                }));
            }
        }
        before = before.saturating_add(count.count);
    }
    // Texts of a few tokens, looked up where a sorted array would have them.
    let stream = stream(&world.index);
    let end = (shard.leaf.to as usize).min(stream.len());
    let step = 1 + (end.saturating_sub(shard.leaf.from as usize)) / 40;
    for position in (shard.leaf.from as usize..end).step_by(step) {
        for length in [1usize, 3, 9] {
            let Some(pattern) = stream.get(position..(position + length).min(end)) else {
                continue;
            };
            let below = |entry: &SuffixLeaf| {
                stream
                    .get(entry.position as usize..end)
                    .is_some_and(|suffix| suffix < pattern)
            };
            let rank = suffixes.leaves.partition_point(below);
            let shown = |at: Option<usize>| -> Option<ShownSuffix> {
                let entry = suffixes.open(at?)?;
                let tokens = chunks(
                    tokens,
                    entry.leaf.position,
                    (entry.leaf.position + 20).min(shard.leaf.to),
                )?;
                Some(ShownSuffix { entry, tokens })
            };
            if let Some(tokens) = at(position as u64) {
                evidence.push(IndexEvidence::SuffixGap(SuffixGap {
                    shard: shard.clone(),
                    position: position as u64,
                    length: pattern.len() as u16,
                    tokens,
                    before: shown(rank.checked_sub(1)),
                    after: shown(Some(rank)),
                }));
            }
        }
    }
}

/// All evidence about a version.
pub fn version_evidence(world: &World, version: usize) -> Vec<VersionEvidence> {
    let leaves = Grove::new(&world.index.versions[version]);
    let mut evidence: Vec<VersionEvidence> = leaves
        .neighbours()
        .into_iter()
        .map(VersionEvidence::Order)
        .collect();
    for leaf in leaves.all() {
        let records = world
            .chain
            .0
            .get(&leaf.leaf.record.contribution)
            .map(|(_, records)| Grove::new(records));
        let record = records.and_then(|records| records.open(leaf.leaf.record.index as usize));
        evidence.push(VersionEvidence::Record(VersionRecord {
            leaf: leaf.clone(),
            record,
        }));
        for representative in leaves.all() {
            let leaf = leaf.clone();
            evidence.push(VersionEvidence::Representative(Representative {
                leaf,
                representative,
            }));
        }
        for gap in leaves.gaps(&leaf.leaf.representative) {
            let leaf = leaf.clone();
            evidence.push(VersionEvidence::RepresentativeMissing(RepresentativeMissing {
                leaf,
                gap,
            }));
        }
    }
    evidence
}

/// What the world's data answers to a request, as well as it can.
pub fn reveal(world: &World, wanted: &Wanted) -> Option<Reveal> {
    let receipts = Grove::new(&world.settled.receipts);
    let draws = Grove::new(&world.ledger.answers);
    let index = &world.index;
    let receipt = |n: u64| {
        let receipt = world.answers.get(n as usize)?.receipt;
        Some(RevealedReceipt {
            leaf: receipts.open(n as usize)?,
            receipt,
        })
    };
    let attribution = |n: u64| {
        let attribution = world.answers.get(n as usize)?.attribution.clone();
        Some(RevealedAttribution {
            receipt: receipt(n)?,
            attribution,
        })
    };
    let draw = |n: u64| {
        let draw = draws.open(n as usize)?;
        let answer = world.answers.get(draw.leaf.receipt as usize)?;
        let attribution = (!draw.leaf.is_forfeited()).then(|| answer.attribution.clone());
        Some(RevealedDraw { draw, attribution })
    };
    Some(match *wanted {
        Wanted::Receipt(n) => Reveal::Receipt(receipt(n)?),
        Wanted::Attribution(n) => Reveal::Attribution(attribution(n)?),
        Wanted::Draw(n) => Reveal::Draw(draw(n)?),
        Wanted::Query(n) => Reveal::Query((
            attribution(n)?,
            world.answers.get(n as usize)?.query.leaves(&world.rule)?,
        )),
        Wanted::DrawQuery(n) => {
            let draw = draw(n)?;
            let answer = world.answers.get(draw.draw.leaf.receipt as usize)?;
            // A forfeited draw has none.
            let blocks = draw
                .attribution
                .as_ref()
                .map_or(Some(vec![]), |_| answer.query.leaves(&world.rule))?;
            Reveal::DrawQuery((draw, blocks))
        }
        Wanted::Channel(n) => Reveal::Channel(Grove::new(&world.settled.channels).open(n as usize)?),
        Wanted::Part(n) => Reveal::Part(Grove::new(&world.ledger.parts).open(n as usize)?),
        Wanted::Credit(n) => Reveal::Credit(Grove::new(&world.ledger.credits).open(n as usize)?),
        Wanted::Row(n) => Reveal::Row(Grove::new(&index.rows).open(n as usize)?),
        Wanted::Basis(n) => Reveal::Basis(Grove::new(&index.bases).open(n as usize)?),
        Wanted::Corpus(n) => Reveal::Corpus(Grove::new(&index.corpus).open(n as usize)?),
        Wanted::Tokens(n) => Reveal::Tokens(Grove::new(&index.tokens).open(n as usize)?),
        Wanted::Table(n) => Reveal::Table(Grove::new(&index.table).open(n as usize)?),
        Wanted::Shard(n) => Reveal::Shard(Grove::new(&index.shards).open(n as usize)?),
        Wanted::Suffixes((shard, start, length)) => {
            let suffixes = Grove::new(index.suffixes.get(shard as usize)?);
            let end = (start as usize + usize::from(length)).min(suffixes.leaves.len());
            let shard = Grove::new(&index.shards).open(shard as usize)?;
            let none = || Range {
                start,
                leaves: vec![],
                path: vec![],
            };
            let entries = if (start as usize) < end {
                suffixes.range(start as usize, end)
            } else {
                none()
            };
            Reveal::Suffixes((shard, entries))
        }
        Wanted::Count((shard, token)) => {
            let count = Grove::new(index.counts.get(shard as usize)?).open(token as usize)?;
            Reveal::Count((Grove::new(&index.shards).open(shard as usize)?, count))
        }
        Wanted::Record(_) => return None,
    })
}

/// Everything that a committee can be asked about the batch.
pub fn batch_questions(world: &World) -> Vec<BatchQuestion> {
    let receipts = Grove::new(&world.settled.receipts);
    let draws = Grove::new(&world.ledger.answers);
    let mut questions = Vec::new();
    for answer in answer_proofs(world, &receipts, &draws) {
        // Of a draw that was forfeited nothing is committed to.
        if answer.draw.as_ref().is_some_and(|draw| draw.leaf.is_forfeited()) {
            continue;
        }
        let at = answer.leaf.index as usize;
        questions.push(BatchQuestion::Ranks(answer.clone()));
        questions.push(BatchQuestion::Query(AskedQuery {
            answer,
            layout: world.index.layout.clone(),
            query: world.answers[at].query.clone(),
        }));
    }
    for (at, leaf) in receipts.all().into_iter().enumerate() {
        let receipt = world.answers[at].receipt;
        questions.push(BatchQuestion::Output(RevealedReceipt { leaf, receipt }));
    }
    questions
}

/// Everything that a committee can be asked about the index.
pub fn index_questions(world: &World) -> Vec<IndexQuestion> {
    let index = &world.index;
    let layout = || index.layout.clone();
    let mut questions = vec![IndexQuestion::Training([])];
    for row in Grove::new(&index.rows).all() {
        let layout = layout();
        questions.push(IndexQuestion::Row(AskedRow { layout, row }));
    }
    let bases = Grove::new(&index.bases);
    let mut start = 0;
    for (module, shape) in index.layout.modules.iter().enumerate() {
        let (rows, columns) = (usize::from(shape.rows), usize::from(shape.columns));
        start += rows + columns;
        if start + rows <= bases.leaves.len() {
            questions.push(IndexQuestion::Basis(AskedBasis {
                layout: layout(),
                module: module as u16,
                spectra: bases.range(start, start + rows),
            }));
        }
        start += rows;
    }
    questions
}

/// What the worker shows for the audit of its batch, whatever that draws.
pub fn audit(world: &World, randomness: &openledger_attribution::hash::Hash) -> Option<Audit> {
    let facts = batch_facts(world);
    let draw = AuditDraw::new(&facts, randomness)?;
    let mut before = 0;
    let at = world.ledger.parts.iter().position(|part| {
        before += part.amount;
        draw.position < before
    })?;
    let part = Grove::new(&world.ledger.parts).open(at)?;
    let receipts = Grove::new(&world.settled.receipts);
    let draws = Grove::new(&world.ledger.answers);
    let answer = answer_proofs(world, &receipts, &draws)
        .into_iter()
        .find(|answer| match &answer.draw {
            Some(draw) => draw.index == part.leaf.source,
            None => answer.leaf.index == part.leaf.source,
        })?;
    let mut audit = Audit {
        part,
        answer,
        shown: AuditShown::Nothing([]),
    };
    use openledger_attribution::attribution::Piece;
    if let Piece::Listed(entry) = audit.piece(&facts, &draw).ok()? {
        let layout = world.index.layout.clone();
        audit.shown = if draw.of_row {
            let row = audit.answer.attribution.list[entry].row as usize;
            let row = Grove::new(&world.index.rows).open(row)?;
            AuditShown::Row(AskedRow { layout, row })
        } else {
            let query = world.answers[audit.answer.leaf.index as usize].query.clone();
            AuditShown::Query(AuditedQuery { layout, query })
        };
    }
    Some(audit)
}

/// Requests for everything that the batch's headers (or the index's) claim to have; of long trees the ends
/// and the middle.
pub fn requests(world: &World, of_index: bool) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    let mut ask = |count: u64, make: &dyn Fn(u64) -> Wanted| {
        let mut places: Vec<u64> = (0..count.min(6)).collect();
        places.extend([count / 2, count.saturating_sub(2), count.saturating_sub(1)]);
        wanted.extend(places.into_iter().filter(|n| *n < count).map(make));
    };
    let (batch, credits, index) = (&world.settled.header, &world.ledger.header, &world.index.header);
    if of_index {
        ask(index.rows.count, &Wanted::Row);
        ask(index.bases.count, &Wanted::Basis);
        ask(index.corpus.count, &Wanted::Corpus);
        ask(index.verbatim.tokens.count, &Wanted::Tokens);
        ask(index.verbatim.table.count, &Wanted::Table);
        ask(index.verbatim.shards.count, &Wanted::Shard);
        for (n, shard) in (0u64..).zip(&world.index.shards) {
            ask(shard.suffixes.count, &|at| Wanted::Suffixes((n, at, 2)));
            ask(shard.counts.count, &|at| Wanted::Count((n, at)));
        }
    } else {
        ask(batch.receipts.count, &Wanted::Receipt);
        ask(batch.channels.count, &Wanted::Channel);
        ask(credits.answers.count, &Wanted::Draw);
        ask(credits.answers.count, &Wanted::DrawQuery);
        ask(credits.parts.count, &Wanted::Part);
        ask(credits.credits.count, &Wanted::Credit);
        if !batch.is_sampled() {
            ask(batch.receipts.count, &Wanted::Attribution);
            ask(batch.receipts.count, &Wanted::Query);
        }
    }
    wanted
}

pub fn reveal_facts(world: &World) -> RevealFacts<'_> {
    RevealFacts {
        batch: Some(&world.settled.header),
        credits: Some(&world.ledger.header),
        index: Some(&world.index.header),
        contribution: None,
    }
}

/// What a watcher finds wrong with the batch.
pub fn batch_guilt(world: &World) -> Vec<Guilt> {
    let (facts, keys) = (batch_facts(world), world.keys());
    let mut guilt: Vec<Guilt> = batch_evidence(world)
        .iter()
        .filter_map(|evidence| guilt_of(judge_batch(&facts, evidence, &keys)))
        .collect();
    guilt.extend(withheld(world, false));
    guilt
}

/// What a watcher finds wrong with the index.
pub fn index_guilt(world: &World) -> Vec<Guilt> {
    let facts = index_facts(world);
    let mut guilt: Vec<Guilt> = index_evidence(world)
        .iter()
        .filter_map(|evidence| guilt_of(judge_index(&facts, evidence)))
        .collect();
    guilt.extend(withheld(world, true));
    guilt
}

/// What a watcher finds wrong with the versions.
pub fn version_guilt(world: &World) -> Vec<Guilt> {
    let mut guilt = Vec::new();
    for (at, source) in world.index.sources.iter().enumerate() {
        let facts = VersionFacts {
            records: source.records,
            registry: &world.chain,
        };
        guilt.extend(
            version_evidence(world, at)
                .iter()
                .filter_map(|evidence| guilt_of(judge_version(&facts, evidence))),
        );
    }
    guilt
}

fn withheld(world: &World, of_index: bool) -> Vec<Guilt> {
    let facts = reveal_facts(world);
    let judge = |wanted: &Wanted| {
        guilt_of(judge_reveal(
            &facts,
            wanted,
            reveal(world, wanted).as_ref(),
            10,
            11,
        ))
    };
    requests(world, of_index).iter().filter_map(judge).collect()
}

pub fn guilt_of(verdict: Verdict) -> Option<Guilt> {
    match verdict {
        Verdict::Guilty(guilt) => Some(guilt),
        Verdict::NotProven(_) => None,
    }
}

/// Fails a property unless the watcher finds nothing.
pub fn assert_innocent(guilt: &[Guilt]) -> Result<(), TestCaseError> {
    if guilt.is_empty() {
        return Ok(());
    }
    Err(TestCaseError::fail(format!(
        "an honest world was found guilty: {guilt:?}"
    )))
}

/// The canonical bytes of evidence with one bit flipped.
pub fn flipped<E: Field>(evidence: &E, bit: u64) -> Option<E> {
    use openledger_attribution::wire::Reader;
    let mut bytes = Vec::new();
    evidence.write(&mut bytes);
    let bit = bit % (bytes.len() as u64 * 8);
    bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
    let mut reader = Reader::new(&bytes);
    let value = E::read(&mut reader).ok()?;
    reader.finish().ok()?;
    Some(value)
}

pub fn root_of<L: Leaf>(leaves: &[L]) -> Root {
    Tree::new(leaves).unwrap().root()
}

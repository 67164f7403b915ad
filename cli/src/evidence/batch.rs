//! A batch: receipts, channels, draws, parts, credits, and what is said to have shaped each answer.

use super::Grove;
use crate::proof::{bounds, recompute, Answer, Index};
use openledger_attribution::{
    attribution::Attribution,
    batch::{BatchHeader, ChannelLeaf, CreditLeaf, CreditsHeader, DrawLeaf, PartLeaf, ReceiptLeaf},
    hash::Hash,
    receipt::Receipt,
    record::CorpusLeaf,
    sketch::{Rule, Sketch, SketchLeaf},
    text::TextLeaf,
    tree::{Opening, Root, Tree},
    verdict::{
        judge_batch, AnswerProof, BatchEvidence, BatchFacts, ChannelEnd, ChannelMissing, ChannelUnused,
        CreditMissing, CreditRange, CreditSum, DrawForfeit, DrawnReceipt, Flag, Guilt, LeftOut, NamedRecord,
        NamedRow, Neighbours, PartMissing, PartOfAnswer, PartOfForfeit, QueryBlock, ReceiptProof,
        ReceiptRules, Reveal, RevealedReceipt, RunningTotals, Verdict, Wanted, WrongScore,
    },
    voucher::CheckSignature,
    wire::Object,
};
use std::collections::BTreeMap;

/// What was published of an answer. Each part may be missing.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// The receipt.
    pub receipt: Option<Receipt>,
    /// What is said to have shaped it.
    pub attribution: Option<Attribution>,
    /// The answer's sketch.
    pub query: Option<Sketch>,
}

/// Leaves and objects as somebody published them.
#[derive(Clone, Debug, Default)]
pub struct Published {
    /// Leaves of the channels' tree.
    pub channels: Vec<ChannelLeaf>,
    /// Leaves of the receipts' tree.
    pub receipts: Vec<ReceiptLeaf>,
    /// Leaves of the draws' tree.
    pub draws: Vec<DrawLeaf>,
    /// Leaves of the parts' tree.
    pub parts: Vec<PartLeaf>,
    /// Leaves of the credits' tree.
    pub credits: Vec<CreditLeaf>,
    /// In the order of the receipts' leaves.
    pub answers: Vec<Shown>,
}

/// An attribution and what is known of the sketch that it names.
#[derive(Clone, Debug)]
struct Shaped {
    attribution: Attribution,
    query: Option<Sketch>,
    /// The root of a sketch that is not of the index's layout.
    odd: Option<Root>,
}

impl Shaped {
    fn has_query(&self) -> bool {
        self.query.is_some() || self.odd.is_some()
    }
}

/// What was published of a batch; only what is committed to.
#[derive(Clone, Debug)]
pub struct Batch {
    header: BatchHeader,
    credits_header: Option<CreditsHeader>,
    channels: Option<Grove<ChannelLeaf>>,
    receipts: Option<Grove<ReceiptLeaf>>,
    draws: Option<Grove<DrawLeaf>>,
    parts: Option<Grove<PartLeaf>>,
    credits: Option<Grove<CreditLeaf>>,
    /// By position.
    bodies: Vec<Option<Receipt>>,
    /// By the hash of the attribution, which receipts or draws name.
    shaped: BTreeMap<Hash, Shaped>,
}

impl Batch {
    /// Keeps of what was published what the headers commit to. `credits` are the chain's, once it has them; `rule` is the
    /// index's.
    pub fn new(
        header: BatchHeader,
        credits: Option<CreditsHeader>,
        published: Published,
        rule: &Rule,
    ) -> Self {
        let Published {
            channels,
            receipts,
            draws,
            parts,
            credits: leaves,
            answers,
        } = published;
        let receipts = Grove::of(receipts, &header.receipts);
        let count = receipts.as_ref().map_or(0, |receipts| receipts.leaves().len());
        let mut batch = Self {
            channels: Grove::of(channels, &header.channels),
            receipts,
            draws: credits.and_then(|credits| Grove::of(draws, &credits.answers)),
            parts: credits.and_then(|credits| Grove::of(parts, &credits.parts)),
            credits: credits.and_then(|credits| Grove::of(leaves, &credits.credits)),
            header,
            credits_header: credits,
            bodies: vec![None; count],
            shaped: BTreeMap::new(),
        };
        for (at, shown) in answers.into_iter().enumerate() {
            if let Some(receipt) = shown.receipt {
                batch.take_receipt(at, receipt);
            }
            if let Some(attribution) = shown.attribution {
                let blocks = shown.query.and_then(|query| query.leaves(rule));
                batch.take_shaped(attribution, blocks.as_deref(), rule);
            }
        }
        batch
    }

    /// How many answers it has.
    pub fn count(&self) -> u64 {
        self.header.receipts.count
    }

    fn take_receipt(&mut self, at: usize, receipt: Receipt) {
        let leaves = self
            .receipts
            .as_ref()
            .map_or(&[][..], |receipts| receipts.leaves());
        let committed = leaves.get(at).is_some_and(|leaf| leaf.receipt == receipt.hash());
        if let Some(body) = self.bodies.get_mut(at).filter(|_| committed) {
            *body = Some(receipt);
        }
    }

    fn take_shaped(&mut self, attribution: Attribution, blocks: Option<&[SketchLeaf]>, rule: &Rule) {
        let root = blocks
            .and_then(|blocks| Tree::new(blocks).ok())
            .map(|tree| tree.root());
        let root = root.filter(|root| root.hash::<SketchLeaf>() == attribution.query);
        let known = self.shaped.entry(attribution.hash()).or_insert(Shaped {
            attribution,
            query: None,
            odd: None,
        });
        if let (Some(root), Some(blocks)) = (root, blocks) {
            let query = Sketch {
                exponents: blocks.iter().map(|block| block.exponent).collect(),
                lanes: blocks
                    .iter()
                    .flat_map(|block| block.lanes.iter().copied())
                    .collect(),
            };
            if query.leaves(rule).as_deref() == Some(blocks) {
                known.query = Some(query);
            } else {
                known.odd = Some(root);
            }
        }
    }

    /// Takes what was shown on the chain.
    pub fn fill(&mut self, reveal: &Reveal, rule: &Rule) {
        let mut receipt = |shown: &RevealedReceipt| {
            if let Ok(at) = usize::try_from(shown.leaf.index) {
                self.take_receipt(at, shown.receipt);
            }
        };
        let (shaped, blocks) = match reveal {
            Reveal::Receipt(shown) => return receipt(shown),
            Reveal::Attribution(shown) => {
                receipt(&shown.receipt);
                (Some(&shown.attribution), None)
            }
            Reveal::Query((shown, blocks)) => {
                receipt(&shown.receipt);
                (Some(&shown.attribution), Some(blocks))
            }
            Reveal::Draw(shown) => (shown.attribution.as_ref(), None),
            Reveal::DrawQuery((shown, blocks)) => (shown.attribution.as_ref(), Some(blocks)),
            // A leaf alone makes no tree.
            _ => (None, None),
        };
        if let Some(attribution) = shaped {
            self.take_shaped(attribution.clone(), blocks.map(Vec::as_slice), rule);
        }
    }

    /// Answers of which everything is there, with their positions.
    pub fn answers(&self) -> Vec<(u64, Answer)> {
        let each = self.proofs().into_iter().filter_map(|proof| {
            let query = self.shaped.get(&proof.attribution.hash())?.query.clone()?;
            let answer = Answer {
                receipt: proof.receipt,
                attribution: proof.attribution,
                query,
                output: None,
            };
            Some((proof.leaf.index, answer))
        });
        each.collect()
    }

    /// The receipt of this hash with the way to the batch's root.
    pub fn revealed(&self, receipt: &Hash) -> Option<RevealedReceipt> {
        let receipts = self.receipts.as_ref()?;
        let (at, _) = receipts.each().find(|(_, leaf)| leaf.receipt == *receipt)?;
        Some(RevealedReceipt {
            leaf: receipts.open(at)?,
            receipt: self.body(at)?,
        })
    }

    /// The answer behind the receipt of this hash with the way to the batch's root, and its sketch; of a sampled batch under the first of its
    /// draws.
    pub fn shown(&self, receipt: &Hash) -> Option<(AnswerProof, Sketch)> {
        let proof = self
            .proofs()
            .into_iter()
            .find(|proof| proof.leaf.leaf.receipt == *receipt)?;
        let query = self.shaped.get(&proof.attribution.hash())?.query.clone()?;
        Some((proof, query))
    }

    fn body(&self, at: u64) -> Option<Receipt> {
        self.bodies.get(usize::try_from(at).ok()?).copied().flatten()
    }

    /// One answer with the way to the batch's root; of a sampled batch under one of its draws.
    fn proof(&self, at: u64, draw: Option<Opening<DrawLeaf>>) -> Option<AnswerProof> {
        let receipt = self.body(at)?;
        let named = draw
            .as_ref()
            .map_or(receipt.attribution, |draw| draw.leaf.attribution);
        Some(AnswerProof {
            leaf: self.receipts.as_ref()?.open(at)?,
            receipt,
            attribution: self.shaped.get(&named)?.attribution.clone(),
            draw,
        })
    }

    /// Every answer that somebody is paid for.
    fn proofs(&self) -> Vec<AnswerProof> {
        if !self.header.is_sampled() {
            return (0..self.count()).filter_map(|at| self.proof(at, None)).collect();
        }
        let Some(draws) = &self.draws else {
            return Vec::new();
        };
        let drawn = draws.each().filter(|(_, draw)| !draw.is_forfeited());
        drawn
            .filter_map(|(n, draw)| self.proof(draw.receipt, Some(draws.open(n)?)))
            .collect()
    }
}

/// What the chain has to demand because nobody published it, the most useful first. `pick` chooses a place below a count, so that
/// nobody knows which leaf of a tree will be asked for.
pub fn missing(batch: &Batch, pick: impl Fn(u64) -> u64) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    let mut tree = |is_there: bool, count: u64, what: fn(u64) -> Wanted| {
        if !is_there && count > 0 {
            wanted.push(what(pick(count)));
        }
    };
    let header = &batch.header;
    tree(batch.receipts.is_some(), header.receipts.count, Wanted::Receipt);
    tree(batch.channels.is_some(), header.channels.count, Wanted::Channel);
    if let Some(credits) = &batch.credits_header {
        tree(batch.draws.is_some(), credits.answers.count, Wanted::Draw);
        tree(batch.parts.is_some(), credits.parts.count, Wanted::Part);
        tree(batch.credits.is_some(), credits.credits.count, Wanted::Credit);
    }
    for (at, body) in (0u64..).zip(&batch.bodies) {
        let Some(receipt) = body else {
            wanted.push(Wanted::Receipt(at));
            continue;
        };
        if header.is_sampled() {
            continue;
        }
        match batch.shaped.get(&receipt.attribution) {
            None => wanted.push(Wanted::Attribution(at)),
            Some(shaped) if !shaped.has_query() => wanted.push(Wanted::Query(at)),
            Some(_) => {}
        }
    }
    let draws = batch.draws.iter().flat_map(Grove::each);
    for (n, draw) in draws.filter(|(_, draw)| !draw.is_forfeited()) {
        match batch.shaped.get(&draw.attribution) {
            None => wanted.push(Wanted::Draw(n)),
            Some(shaped) if !shaped.has_query() => wanted.push(Wanted::DrawQuery(n)),
            Some(_) => {}
        }
    }
    wanted
}

/// Evidence of one kind, to be judged.
type Section<S> = fn(&S, &Batch) -> Vec<BatchEvidence>;

/// What a search through a batch may use beside it.
pub struct Search<'a, K> {
    /// What the judge trusts.
    pub facts: BatchFacts<'a>,
    /// Checks signatures.
    pub keys: &'a K,
    /// The index, every row checked.
    pub index: &'a Index,
    /// Records of the index's corpus, as far as they are there.
    pub corpus: &'a [Opening<CorpusLeaf>],
    /// Texts of answers by position, as far as they are known: whether a span is missing, or is more than it should be, they tell.
    pub texts: &'a BTreeMap<u64, Vec<TextLeaf>>,
    /// Which answers have their whole list recomputed; everything else is checked of every answer.
    pub chosen: &'a dyn Fn(u64) -> bool,
}

impl<K: CheckSignature> Search<'_, K> {
    /// The first lie that is found, as the chain will judge it; the cheapest are looked for first.
    pub fn run(&self, batch: &Batch) -> Option<(BatchEvidence, Guilt)> {
        let mut sections = Self::sections().into_iter();
        sections.find_map(|section| {
            section(self, batch)
                .into_iter()
                .find_map(|evidence| self.judge(evidence))
        })
    }

    /// All that is found. What is behind the first was found in something that is wrong already.
    pub fn all(&self, batch: &Batch) -> Vec<(BatchEvidence, Guilt)> {
        let each = Self::sections()
            .into_iter()
            .flat_map(|section| section(self, batch));
        each.filter_map(|evidence| self.judge(evidence)).collect()
    }

    fn sections() -> [Section<Self>; 6] {
        [
            |_, _| vec![BatchEvidence::Headers([])],
            |_, batch| order(batch),
            |_, batch| receipts(batch),
            |_, batch| draws(batch),
            |search, batch| {
                let each = batch.proofs();
                each.iter()
                    .flat_map(|proof| search.answer(batch, proof))
                    .collect()
            },
            |_, batch| credits(batch),
        ]
    }

    fn judge(&self, evidence: BatchEvidence) -> Option<(BatchEvidence, Guilt)> {
        match judge_batch(&self.facts, &evidence, self.keys) {
            Verdict::Guilty(guilt) => Some((evidence, guilt)),
            Verdict::NotProven(_) => None,
        }
    }

    /// What may be wrong with what is said to have shaped one answer, and with who is paid for it.
    fn answer(&self, batch: &Batch, proof: &AnswerProof) -> Vec<BatchEvidence> {
        let mut all = Vec::new();
        let claimed = &proof.attribution;
        if claimed.check(&bounds(self.index, &proof.receipt)).is_err() {
            all.push(BatchEvidence::Shape(proof.clone()));
        }
        let shaped = batch.shaped.get(&claimed.hash());
        if let Some(root) = shaped.and_then(|shaped| shaped.odd) {
            all.push(BatchEvidence::Query(QueryBlock {
                answer: proof.clone(),
                layout: self.index.layout.clone(),
                root,
                block: None,
            }));
        }
        if let Some(query) = shaped.and_then(|shaped| shaped.query.as_ref()) {
            self.query(proof, query, &mut all);
        }
        for (entry, listed) in (0u16..).zip(&claimed.list) {
            let row = self.index.row(listed.row);
            if let Some(row) = row.filter(|row| row.leaf.contributor != listed.contributor) {
                all.push(BatchEvidence::NamedRow(NamedRow {
                    answer: proof.clone(),
                    entry,
                    row: row.clone(),
                }));
            }
        }
        self.records(proof, &mut all);
        let text = self.texts.get(&proof.leaf.index);
        if let (Some(words), Some(text)) = (&self.index.words, text) {
            all.extend(words.evidence(proof, text));
        }
        parts(batch, proof, &mut all);
        all
    }

    fn query(&self, proof: &AnswerProof, query: &Sketch, all: &mut Vec<BatchEvidence>) {
        let (rule, layout) = (&self.index.rule, &self.index.layout);
        let leaves = query.leaves(rule).unwrap_or_default();
        if let Ok(tree) = Tree::new(&leaves) {
            let bad = (0u64..)
                .zip(&leaves)
                .find(|(_, leaf)| rule.check_block(leaf.exponent, &leaf.lanes).is_err());
            if let Some((n, leaf)) = bad {
                all.push(BatchEvidence::Query(QueryBlock {
                    answer: proof.clone(),
                    layout: layout.clone(),
                    root: tree.root(),
                    block: tree.open(n, leaf),
                }));
            }
        }
        for (entry, listed) in (0u16..).zip(&proof.attribution.list) {
            let Some(row) = self.index.row(listed.row) else {
                continue;
            };
            let score = rule.evaluate(query.view(), row.leaf.sketch.view());
            let is_right =
                score.is_some_and(|s| s.eligible && u128::try_from(s.value).ok() == Some(listed.score));
            if !is_right {
                all.push(BatchEvidence::Score(WrongScore {
                    answer: proof.clone(),
                    entry,
                    layout: layout.clone(),
                    query: query.clone(),
                    row: row.clone(),
                }));
            }
        }
        if !(self.chosen)(proof.leaf.index) {
            return;
        }
        let answer = Answer {
            receipt: proof.receipt,
            attribution: proof.attribution.clone(),
            query: query.clone(),
            output: None,
        };
        let right = recompute(self.index, &answer).map(|right| right.attribution.list);
        let listed = |row: u64| proof.attribution.list.iter().any(|listed| listed.row == row);
        let absent = right
            .iter()
            .flatten()
            .find(|entry| !listed(entry.row))
            .and_then(|entry| self.index.row(entry.row));
        if let Some(row) = absent {
            all.push(BatchEvidence::LeftOut(LeftOut {
                answer: proof.clone(),
                layout: layout.clone(),
                query: query.clone(),
                row: row.clone(),
            }));
        }
    }

    /// Records that spans and the retrieval channel name.
    fn records(&self, proof: &AnswerProof, all: &mut Vec<BatchEvidence>) {
        let attribution = &proof.attribution;
        let retrieved = (0u16..)
            .zip(&attribution.retrieved)
            .map(|(record, named)| (None, record, named.entry));
        let spans = (0u16..).zip(&attribution.spans).flat_map(|(span, named)| {
            (0u16..)
                .zip(&named.records)
                .map(move |(record, named)| (Some(span), record, named.entry))
        });
        for (span, record, entry) in retrieved.chain(spans) {
            let corpus = usize::try_from(entry)
                .ok()
                .and_then(|entry| self.corpus.get(entry));
            all.extend(corpus.map(|corpus| {
                BatchEvidence::NamedRecord(NamedRecord {
                    answer: proof.clone(),
                    span,
                    record,
                    corpus: corpus.clone(),
                })
            }));
        }
    }
}

/// Leaves that are out of order.
fn order(batch: &Batch) -> Vec<BatchEvidence> {
    let mut all = Vec::new();
    all.extend(
        batch
            .receipts
            .iter()
            .flat_map(Grove::neighbours)
            .map(BatchEvidence::Receipts),
    );
    all.extend(
        batch
            .channels
            .iter()
            .flat_map(Grove::neighbours)
            .map(BatchEvidence::Channels),
    );
    all.extend(
        batch
            .parts
            .iter()
            .flat_map(Grove::neighbours)
            .map(BatchEvidence::Parts),
    );
    all.extend(
        batch
            .credits
            .iter()
            .flat_map(Grove::neighbours)
            .map(BatchEvidence::Credits),
    );
    all
}

/// Receipts against their channels, their neighbours and the totals.
fn receipts(batch: &Batch) -> Vec<BatchEvidence> {
    let mut all = Vec::new();
    let Some(receipts) = &batch.receipts else {
        return all;
    };
    let channel_of = |channel: u64| {
        let channels = batch.channels.as_ref()?;
        let (at, _) = channels.each().find(|(_, leaf)| leaf.channel == channel)?;
        channels.open(at)
    };
    for (at, leaf) in receipts.each() {
        let Some(own) = receipts.open(at) else {
            continue;
        };
        let (before, behind) = (receipts.before(at), receipts.open(at.saturating_add(1)));
        let channel = channel_of(leaf.channel);
        if let Some(channel) = &channel {
            let is_other = |next: &Option<Opening<ReceiptLeaf>>| {
                next.as_ref().is_none_or(|next| next.leaf.channel != leaf.channel)
            };
            for (last, beyond) in [(false, &before), (true, &behind)] {
                if is_other(beyond) {
                    all.push(BatchEvidence::ChannelEnd(ChannelEnd {
                        channel: channel.clone(),
                        receipt: own.clone(),
                        last: Flag(last),
                        beyond: beyond.clone(),
                    }));
                }
            }
        } else if let Some(gap) = batch
            .channels
            .as_ref()
            .and_then(|channels| channels.gap(&leaf.channel))
        {
            all.push(BatchEvidence::ChannelMissing(ChannelMissing {
                receipt: own.clone(),
                gap,
            }));
        }
        let Some(receipt) = batch.body(at) else {
            continue;
        };
        if let Some(channel) = channel {
            all.push(BatchEvidence::Receipt(ReceiptRules {
                leaf: own.clone(),
                receipt,
                channel,
            }));
        }
        if let Some(before) = before
            .clone()
            .filter(|before| before.leaf.channel == leaf.channel)
        {
            all.push(BatchEvidence::Chain(ReceiptProof {
                leaves: Neighbours {
                    left: before,
                    right: own.clone(),
                },
                receipt,
            }));
        }
        all.push(BatchEvidence::Totals(RunningTotals {
            before,
            leaf: own,
            receipt,
            attribution: batch
                .shaped
                .get(&receipt.attribution)
                .map(|shaped| shaped.attribution.clone()),
        }));
    }
    for (at, channel) in batch.channels.iter().flat_map(Grove::each) {
        let unused = batch.channels.as_ref().and_then(|channels| channels.open(at));
        if let (Some(channel), Some(gap)) = (unused, receipts.gap(&channel.channel)) {
            all.push(BatchEvidence::ChannelUnused(ChannelUnused { channel, gap }));
        }
    }
    all
}

/// Draws, and parts that come from none.
fn draws(batch: &Batch) -> Vec<BatchEvidence> {
    let mut all = Vec::new();
    for (n, leaf) in batch.draws.iter().flat_map(Grove::each) {
        let Some(draw) = batch.draws.as_ref().and_then(|draws| draws.open(n)) else {
            continue;
        };
        let receipt = batch
            .receipts
            .as_ref()
            .and_then(|receipts| receipts.open(leaf.receipt));
        all.push(BatchEvidence::Forfeit(DrawForfeit { draw: draw.clone() }));
        all.push(BatchEvidence::Draw(DrawnReceipt { draw, receipt }));
    }
    for (n, leaf) in batch.parts.iter().flat_map(Grove::each) {
        let draw = batch.draws.as_ref().and_then(|draws| draws.open(leaf.source));
        let has_source = if batch.header.is_sampled() {
            draw.as_ref().is_some_and(|draw| !draw.leaf.is_forfeited())
        } else {
            leaf.source < batch.count()
        };
        let part = batch.parts.as_ref().and_then(|parts| parts.open(n));
        if let Some(part) = part.filter(|_| !has_source) {
            all.push(BatchEvidence::PartOfForfeit(PartOfForfeit { part, draw }));
        }
    }
    all
}

/// What an answer's contributors get of it against what they are owed.
fn parts(batch: &Batch, proof: &AnswerProof, all: &mut Vec<BatchEvidence>) {
    let Some(parts) = &batch.parts else {
        return;
    };
    let (source, carried) = match &proof.draw {
        Some(draw) => (draw.index, batch.header.draw_amount(draw.index)),
        None => {
            let credited = proof.attribution.credits_anyone(&batch.header.tariff.mix);
            let own = credited.and_then(|credited| proof.receipt.parts(credited));
            (proof.leaf.index, own.map(|own| own.contributors))
        }
    };
    let owed = carried.and_then(|carried| proof.attribution.amounts(&batch.header.tariff.mix, carried));
    let Some(owed) = owed else {
        return;
    };
    for (n, part) in parts.each().filter(|(_, part)| part.source == source) {
        let is_right = owed
            .iter()
            .any(|(who, amount)| *who == part.contributor && *amount == part.amount);
        if !is_right {
            all.extend(parts.open(n).map(|part| {
                BatchEvidence::Part(PartOfAnswer {
                    part,
                    answer: proof.clone(),
                })
            }));
        }
    }
    for (contributor, _) in owed {
        all.extend(parts.gap(&(contributor, source)).map(|gap| {
            BatchEvidence::PartMissing(PartMissing {
                answer: proof.clone(),
                contributor,
                gap,
            })
        }));
    }
}

/// Credits against the parts they stand for.
fn credits(batch: &Batch) -> Vec<BatchEvidence> {
    let mut all = Vec::new();
    let (Some(parts), Some(credits)) = (&batch.parts, &batch.credits) else {
        return all;
    };
    for (n, leaf) in credits.each() {
        let Some(credit) = credits.open(n) else {
            continue;
        };
        all.push(BatchEvidence::CreditShape(credit.clone()));
        let strange = parts
            .each()
            .find(|(at, part)| (leaf.first..leaf.end).contains(at) != (part.contributor == leaf.contributor));
        if let Some(part) = strange.and_then(|(at, _)| parts.open(at)) {
            let credit = credit.clone();
            all.push(BatchEvidence::CreditRange(CreditRange { credit, part }));
        }
        let last = leaf.end.checked_sub(1).and_then(|last| parts.open(last));
        if let (Some(first), Some(last)) = (parts.open(leaf.first), last) {
            all.push(BatchEvidence::CreditSum(CreditSum { credit, first, last }));
        }
    }
    let mut start = 0u64;
    for some in parts.leaves().chunk_by(|a, b| a.contributor == b.contributor) {
        let end = start.saturating_add(some.len() as u64);
        let ends = parts.open(start).zip(parts.before(end));
        let gap = some.first().and_then(|part| credits.gap(&part.contributor));
        if let (Some((first, last)), Some(gap)) = (ends, gap) {
            all.push(BatchEvidence::CreditMissing(CreditMissing { first, last, gap }));
        }
        start = end;
    }
    all
}

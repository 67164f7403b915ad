//! Recomputing answers from public data, and evidence of what is wrong. No network, no files: bytes in, findings out.

use crate::words::Words;
use openledger_attribution::{
    attribution::{Attribution, Bounds},
    batch::{BatchHeader, ChannelLeaf, CreditLeaf, CreditsHeader, PartLeaf, ReceiptLeaf},
    fee::{Mix, Parts},
    hash::{Account, Hash, NONE},
    index::{IndexHeader, IndexLeaf},
    list::{ListBuilder, ListEntry},
    receipt::Receipt,
    share::apportion,
    sketch::{Layout, Rule, Sketch, SketchLeaf},
    text::TextLeaf,
    tree::{Leaf, Opening, Root, Tree},
    wire::Object,
};
use std::sync::Arc;

/// An index of which every row was checked.
#[derive(Clone, Debug)]
pub struct Index {
    /// What the chain commits to.
    pub header: IndexHeader,
    /// How rows are laid out.
    pub layout: Layout,
    /// Checked together with the header.
    pub rule: Rule,
    /// All rows, in order, with the way to the root.
    pub rows: Vec<Opening<IndexLeaf>>,
    /// The verbatim channel, if the index has one and it is here.
    pub words: Option<Arc<Words>>,
}

impl Index {
    /// Checks layout and every row against the header. The error says which row is wrong.
    pub fn new(header: IndexHeader, layout: Layout, rows: Vec<Opening<IndexLeaf>>) -> Result<Self, String> {
        let rule = header.rule(&layout).ok_or("its layout is not the header's")?;
        if rows.len() as u64 != header.rows.count {
            return Err(format!("{} rows of {} are there", rows.len(), header.rows.count));
        }
        for (position, row) in (0u64..).zip(&rows) {
            if row.index != position || row.verify(&header.rows).is_none() {
                return Err(format!("row {position} is not the one that the index commits to"));
            }
        }
        Ok(Self {
            header,
            layout,
            rule,
            rows,
            words: None,
        })
    }

    /// A row with the way to the root.
    pub fn row(&self, position: u64) -> Option<&Opening<IndexLeaf>> {
        self.rows.get(usize::try_from(position).ok()?)
    }
}

/// A paid answer as its worker published it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The receipt.
    pub receipt: Receipt,
    /// What the worker says shaped it.
    pub attribution: Attribution,
    /// The answer's sketch.
    pub query: Sketch,
    /// The chunks of its text, for whoever has the salt.
    pub output: Option<Vec<TextLeaf>>,
}

impl Answer {
    /// The tokens of its text, if that is known and the one that the receipt commits to.
    pub fn output_tokens(&self) -> Option<Vec<u32>> {
        let leaves = self.output.as_ref()?;
        (crate::texts::text_root(leaves)? == self.receipt.output).then(|| {
            leaves
                .iter()
                .flat_map(|leaf| leaf.tokens.iter().copied())
                .collect()
        })
    }

    /// Whether anybody said what shaped it: of a sampled batch only what is drawn.
    pub fn is_attributed(&self) -> bool {
        self.attribution.query != NONE
    }
}

/// What follows from an answer's sketch and an index by integer arithmetic alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recomputed {
    /// Rows that were scored: all of the index.
    pub rows: u64,
    /// The attribution with the list that belongs there, and the spans as far as the answer's text is known.
    pub attribution: Attribution,
    /// Shares of the list's entries, parts per billion.
    pub shares: Vec<u32>,
    /// The fee by destination.
    pub parts: Parts,
    /// Planck by contributor, sorted by account.
    pub amounts: Vec<(Account, u128)>,
}

/// Scores every row and divides the fee. Fails on objects that no honest worker publishes.
pub fn recompute(index: &Index, answer: &Answer) -> Result<Recomputed, String> {
    let mut list = ListBuilder::new(&index.rule, answer.query.view());
    for row in &index.rows {
        list.push(row.index, &row.leaf);
    }
    let spans = match (&index.words, answer.output_tokens()) {
        (Some(words), Some(output)) => words.spans(&output)?,
        // Without the text spans are as claimed: that they stand where they say is checked.
        _ => answer.attribution.spans.clone(),
    };
    let attribution = Attribution {
        query: query_hash(index, &answer.query)
            .ok_or("the answer's sketch has another shape than the index's layout")?,
        list: list.finish(),
        spans,
        retrieved: answer.attribution.retrieved.clone(),
    };
    let mix = &answer.receipt.terms.tariff.mix;
    let unsound = || "the attribution is not well shaped".to_owned();
    let shares = attribution.list_shares().ok_or_else(unsound)?;
    let credited = attribution.credits_anyone(mix).ok_or_else(unsound)?;
    let parts = answer
        .receipt
        .parts(credited)
        .ok_or("the receipt's split is not whole")?;
    let amounts = attribution.amounts(mix, parts.contributors).ok_or_else(unsound)?;
    Ok(Recomputed {
        rows: index.rows.len() as u64,
        attribution,
        shares,
        parts,
        amounts,
    })
}

fn query_hash(index: &Index, query: &Sketch) -> Option<Hash> {
    let leaves = query.leaves(&index.rule)?;
    Some(Tree::new(&leaves).ok()?.root().hash::<SketchLeaf>())
}

/// What an answer's attribution may name.
pub fn bounds(index: &Index, receipt: &Receipt) -> Bounds {
    Bounds {
        top: index.header.rules.top,
        rows: index.header.rows.count,
        records: index.header.corpus.count,
        corpus: u64::try_from(index.header.verbatim.tokens.sum).unwrap_or(u64::MAX),
        output: receipt.output_tokens,
    }
}

/// What is wrong with an answer, in words; nothing if all of it is what it must be.
pub fn differences(index: &Index, answer: &Answer, recomputed: &Recomputed) -> Vec<String> {
    let mut found = Vec::new();
    let (receipt, claimed) = (&answer.receipt, &answer.attribution);
    if let Err(flaw) = receipt.check() {
        found.push(format!("the receipt breaks a rule: {flaw:?}"));
    }
    if receipt.terms.index != index.header.hash() {
        found.push("the receipt names another index".into());
    }
    if !receipt.is_deferred() && claimed.hash() != receipt.attribution {
        found.push("the attribution is not the one that the receipt commits to".into());
    }
    if claimed.query != recomputed.attribution.query {
        found.push("the sketch is not the one that the attribution commits to".into());
    }
    if let Err(flaw) = index.rule.check(answer.query.view()) {
        found.push(format!("the sketch can come from no gradient: {flaw:?}"));
    }
    if let Err(flaw) = claimed.check(&bounds(index, receipt)) {
        found.push(format!("the attribution breaks a rule: {flaw:?}"));
    }
    found.extend(list_differences(&claimed.list, &recomputed.attribution.list));
    found
}

/// What is wrong with an answer's quoted words, as far as whoever asks can tell: all of it with the answer's text, and without it
/// whether each span stands where it says.
pub fn span_differences(index: &Index, answer: &Answer) -> Vec<String> {
    match &index.words {
        Some(words) => words.differences(answer).unwrap_or_else(|reason| vec![reason]),
        // An index without corpus has no room for spans: their shape is wrong.
        None => Vec::new(),
    }
}

fn list_differences(claimed: &[ListEntry], right: &[ListEntry]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in claimed {
        match right.iter().find(|other| other.row == entry.row) {
            None => found.push(format!("row {} is listed and does not belong there", entry.row)),
            Some(other) if other.score != entry.score => found.push(format!(
                "row {} is listed with score {}; it is {}",
                entry.row, entry.score, other.score
            )),
            Some(other) if other.contributor != entry.contributor => found.push(format!(
                "row {} is listed for {}; it is {}'s",
                entry.row,
                openledger_chain::ss58(&entry.contributor),
                openledger_chain::ss58(&other.contributor)
            )),
            Some(_) => {}
        }
    }
    for entry in right {
        if !claimed.iter().any(|other| other.row == entry.row) {
            found.push(format!(
                "row {} with score {} is left out",
                entry.row, entry.score
            ));
        }
    }
    if found.is_empty() && claimed != right {
        found.push("the list is out of order".into());
    }
    found
}

/// Everything published about a batch.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What the chain commits to.
    pub header: BatchHeader,
    /// And who is paid.
    pub credits_header: CreditsHeader,
    /// Leaves of its trees.
    pub channels: Vec<ChannelLeaf>,
    /// Leaves of its trees.
    pub receipts: Vec<ReceiptLeaf>,
    /// Leaves of its trees.
    pub parts: Vec<PartLeaf>,
    /// Leaves of its trees.
    pub credits: Vec<CreditLeaf>,
    /// In the order of the receipt leaves.
    pub answers: Vec<Answer>,
}

impl Batch {
    /// Whether the leaves are what the headers commit to, and the answers are the leaves'.
    pub fn check(&self) -> Result<(), String> {
        check_root("channels", &self.channels, &self.header.channels)?;
        check_root("receipts", &self.receipts, &self.header.receipts)?;
        check_root("parts", &self.parts, &self.credits_header.parts)?;
        check_root("credits", &self.credits, &self.credits_header.credits)?;
        if self.answers.len() != self.receipts.len() {
            return Err(format!(
                "{} answers for {} receipts",
                self.answers.len(),
                self.receipts.len()
            ));
        }
        for (n, (leaf, answer)) in self.receipts.iter().zip(&self.answers).enumerate() {
            if answer.receipt.hash() != leaf.receipt {
                return Err(format!("answer {n} is not the one that the batch commits to"));
            }
            if !answer.receipt.is_deferred() && answer.attribution.hash() != answer.receipt.attribution {
                return Err(format!(
                    "the attribution of answer {n} is not the one that its receipt commits to"
                ));
            }
        }
        Ok(())
    }

    /// Where in the batch a receipt is.
    pub fn position(&self, receipt: &Hash) -> Option<u64> {
        (0u64..)
            .zip(&self.receipts)
            .find(|(_, leaf)| leaf.receipt == *receipt)
            .map(|(n, _)| n)
    }

    /// The contributors' parts of one answer as the batch pays them.
    pub fn parts_of(&self, position: u64) -> Vec<(Account, u128)> {
        let own = self.parts.iter().filter(|part| part.source == position);
        own.map(|part| (part.contributor, part.amount)).collect()
    }

    /// What is wrong with how the batch pays an answer.
    pub fn payment_differences(&self, position: u64, amounts: &[(Account, u128)]) -> Vec<String> {
        let paid = self.parts_of(position);
        let mut found = Vec::new();
        for (who, amount) in amounts {
            let own = paid
                .iter()
                .find(|(other, _)| other == who)
                .map_or(0, |(_, amount)| *amount);
            if own != *amount {
                found.push(format!(
                    "{} is owed {amount} planck of this answer and gets {own}",
                    openledger_chain::ss58(who)
                ));
            }
        }
        for (who, amount) in &paid {
            if !amounts.iter().any(|(other, _)| other == who) {
                found.push(format!(
                    "{} gets {amount} planck of this answer and is owed nothing",
                    openledger_chain::ss58(who)
                ));
            }
        }
        found
    }
}

fn check_root<L: Leaf>(what: &str, leaves: &[L], root: &Root) -> Result<(), String> {
    match Tree::new(leaves) {
        Ok(tree) if tree.root() == *root => Ok(()),
        _ => Err(format!("the {what} are not what the chain commits to")),
    }
}

/// What each thing that an attribution names brings its contributor, to the planck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Itemised {
    /// Of the list's rows.
    pub rows: Vec<u128>,
    /// Of the spans' records, span by span.
    pub spans: Vec<Vec<u128>>,
    /// Of the retrieved records.
    pub retrieved: Vec<u128>,
}

/// Divides each contributor's amount among what it is paid for, by the channels' shares as they are mixed. What has a share that
/// rounds to nothing, or stands in a channel without weight, brings nothing. None for an attribution that is not well shaped.
pub fn itemise(attribution: &Attribution, mix: &Mix, amounts: &[(Account, u128)]) -> Option<Itemised> {
    let weigh = |weight: u32, shares: Vec<u32>| {
        let weight = u128::from(weight);
        shares
            .into_iter()
            .map(move |share| u128::from(share).saturating_mul(weight))
    };
    let list = attribution.list.iter().map(|entry| entry.contributor);
    let spans = attribution.spans.iter().flat_map(|span| span.records.iter());
    let spans = spans.map(|record| record.contributor);
    let retrieved = attribution.retrieved.iter().map(|record| record.contributor);
    let items: Vec<(Account, u128)> = list
        .zip(weigh(mix.influence, attribution.list_shares()?))
        .chain(spans.zip(weigh(mix.verbatim, attribution.span_shares()?)))
        .chain(retrieved.zip(weigh(mix.retrieval, attribution.retrieved_shares()?)))
        .collect();
    let mut parts = vec![0; items.len()];
    for (who, amount) in amounts {
        let own: Vec<usize> = (0..)
            .zip(&items)
            .filter(|(_, (other, _))| other == who)
            .map(|(n, _)| n)
            .collect();
        let weights: Vec<u128> = own
            .iter()
            .filter_map(|n| items.get(*n))
            .map(|(_, weight)| *weight)
            .collect();
        for (n, part) in own
            .into_iter()
            .zip(apportion(*amount, &weights).unwrap_or_default())
        {
            if let Some(slot) = parts.get_mut(n) {
                *slot = part;
            }
        }
    }
    let mut parts = parts.into_iter();
    let mut next = |count: usize| parts.by_ref().take(count).collect::<Vec<u128>>();
    Some(Itemised {
        rows: next(attribution.list.len()),
        spans: attribution
            .spans
            .iter()
            .map(|span| next(span.records.len()))
            .collect(),
        retrieved: next(attribution.retrieved.len()),
    })
}

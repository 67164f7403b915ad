//! `watch` and `dispute`: recompute from public data what is committed to on the chain, demand what nobody publishes, and challenge
//! what is wrong.
//!
//! ```text
//! chain, what workers publish ─▶ evidence ─▶ committed to ─▶ shown in a later block ─▶ verdict
//!                      missing ─▶ demanded on the chain ─▶ shown there, and looked at ─▶ or withheld, and condemned
//! ```
//!
//! What must survive a stop is on disk (challenges, see [`case`]) or on the chain (demands for data); everything else is
//! looked at again.

pub mod case;
mod datanets;
mod indexes;

use crate::{
    args::{self, Kind},
    book,
    context::{money, money_json, random, Context},
    evidence::batch::{missing, Batch as Known, Search},
    explain::stage,
    proof::{differences, recompute, span_differences, Answer, Index},
    public, request,
    wire::hex_of,
    words::Words,
    worker::Worker,
    Error, Result,
};
use case::{Accused, Evidence};
use openledger_attribution::{
    hash::{keccak, Hash},
    record::CorpusLeaf,
    text::TextLeaf,
    tree::Opening,
    verbatim::Verbatim,
    verdict::{BatchFacts, Guilt, Reveal, Wanted},
    wire::Object,
};
use openledger_chain::{requested, ss58, Block, Chain, Head, Key, Read, SignatureChecks};
use openledger_protocol::{
    batches::{Batch, BatchStage},
    calls,
    disputes::{Committed, Sample},
    storage, Account,
};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};

/// Blocks after which indexes and Datanets are looked at again.
const SELDOM: u32 = 4;

/// What a watcher does about one thing it looks at.
enum Progress {
    /// It was looked at; whether it is right.
    Looked(bool),
    /// It has to be looked at again in a later block.
    Later,
    /// There is nothing to look at any more.
    Gone,
}

/// A demand for data, or what became of it.
#[derive(Default)]
struct Demands {
    /// What is being waited for, and the last block in which it was not shown.
    open: Option<(Wanted, u32)>,
    /// Everything demanded so far.
    made: Vec<Wanted>,
    /// What was shown.
    shown: Vec<Reveal>,
    /// The first block in which something was missing.
    since: Option<u32>,
}

/// An index as it is needed to check batches.
#[derive(Clone)]
struct IndexAtHand {
    index: Index,
    corpus: Vec<Opening<CorpusLeaf>>,
    /// In which block its verbatim channel was last looked for in vain.
    silent: Option<u32>,
}

/// Everything a watcher knows.
struct Watcher<'a> {
    context: &'a Context,
    chain: Chain,
    key: Option<Key>,
    /// Which answers are recomputed follows from it, so nobody else knows.
    secret: Hash,
    share: f64,
    patience: u32,
    requests: usize,
    indexes: BTreeMap<Hash, Arc<IndexAtHand>>,
    demands: BTreeMap<Committed, Demands>,
    /// What was said already.
    said: BTreeMap<Accused, String>,
}

/// `watch`. `Ok(false)` if something was wrong.
pub async fn watch(context: &Context, command: args::Watch) -> Result<bool> {
    let chain = context.chain().await?;
    let key = (!command.dry_run).then(|| context.key(&chain)).transpose()?;
    let mut blocks = chain.blocks(Head::Best).await?;
    let mut next = match command.from {
        Some(first) => first,
        None => first_open(&chain).await?,
    };
    let watches = |kind: Kind| command.only.contains(&kind);
    let mut watcher = Watcher::new(context, chain, key, &command)?;
    let mut right = watcher.go_on().await?;
    watcher.adopt().await?;
    let mut batches: Vec<u64> = Vec::new();
    let mut indexes = indexes::Seen::default();
    let mut datanets = datanets::Seen::default();
    let (mut looked, mut is_due) = (0u64, true);
    context.say(format!("watching from batch {next} on"));
    loop {
        let block = match blocks.next().await {
            Ok(block) => block,
            // The node is away: the connection heals itself, and nothing is skipped.
            Err(e) if e.is_transient() => {
                context.say(format!("{e}"));
                continue;
            }
            Err(e) => return Err(e.into()),
        };
        if watches(Kind::Batches) {
            match watcher.chain.read::<u64>(storage::next_batch(), block).await {
                Ok(end) => {
                    let end = end.value.unwrap_or(0);
                    batches.extend(next..end);
                    next = next.max(end);
                }
                Err(e) if e.is_transient() => continue,
                Err(e) => return Err(e.into()),
            }
            let mut later = Vec::new();
            for id in std::mem::take(&mut batches) {
                let done = watcher.batch(id, block).await;
                match watcher.settle(Accused::Batch(id), done)? {
                    Progress::Looked(good) => {
                        right &= good;
                        looked += 1;
                    }
                    Progress::Later => later.push(id),
                    Progress::Gone => {}
                }
                if command.batches.is_some_and(|most| looked >= most) {
                    return Ok(right);
                }
            }
            batches = later;
        }
        // These can be challenged for days: they need not be listed anew in every block.
        if !is_due && block.number % SELDOM != 0 {
            continue;
        }
        is_due = false;
        if watches(Kind::Indexes) {
            let seen = watcher.watch_indexes(&mut indexes, block).await;
            right &= unless_away(seen, &mut is_due)?;
        }
        if watches(Kind::Versions) || watches(Kind::Duplicates) {
            let only = (watches(Kind::Versions), watches(Kind::Duplicates));
            let seen = watcher.watch_datanets(&mut datanets, only, block).await;
            right &= unless_away(seen, &mut is_due)?;
        }
    }
}

/// Whether all was right; what the node could not answer is asked again in the next block.
fn unless_away(looked: Result<bool>, again: &mut bool) -> Result<bool> {
    match looked {
        Err(Error::Chain(e)) if e.is_transient() => {
            *again = true;
            Ok(true)
        }
        looked => looked,
    }
}

/// The oldest batch that can still be challenged.
async fn first_open(chain: &Chain) -> Result<u64> {
    let block = chain.head(Head::Best).await?;
    let all = chain
        .entries::<u64, Batch<Account>>("Attribution", "Batches", block)
        .await?;
    let end: u64 = chain.read(storage::next_batch(), block).await?.value.unwrap_or(0);
    let open = all.iter().filter(|(_, batch)| {
        matches!(batch.value.stage, BatchStage::Open) && block.number < batch.value.closes
    });
    Ok(open.map(|(id, _)| *id).min().unwrap_or(end))
}

/// `dispute`. `Ok(false)` if something is wrong.
pub async fn dispute(context: &Context, command: args::Dispute) -> Result<bool> {
    let chain = context.chain().await?;
    let key = (!command.dry_run).then(|| context.key(&chain)).transpose()?;
    let options = args::Watch {
        from: None,
        batches: None,
        dry_run: command.dry_run,
        share: 1.0,
        only: Vec::new(),
        patience: 0,
        requests: 4,
    };
    let mut blocks = chain.blocks(Head::Best).await?;
    let mut watcher = Watcher::new(context, chain, key, &options)?;
    loop {
        let block = blocks.next().await?;
        match watcher.batch(command.batch, block).await? {
            Progress::Looked(right) => return Ok(right),
            Progress::Gone => return Err(Error::other(format!("there is no batch {}", command.batch))),
            // Only what was demanded on the chain is waited for.
            Progress::Later if watcher.is_demanding() => {}
            Progress::Later => {
                return Err(Error::other(format!(
                    "batch {} cannot be checked now: its draws are not answered, or its data is not published and nobody is there \
                     to demand it",
                    command.batch
                )))
            }
        }
    }
}

impl<'a> Watcher<'a> {
    fn new(context: &'a Context, chain: Chain, key: Option<Key>, options: &args::Watch) -> Result<Self> {
        Ok(Self {
            context,
            chain,
            key,
            secret: random()?,
            share: options.share,
            patience: options.patience,
            requests: options.requests,
            indexes: BTreeMap::new(),
            demands: BTreeMap::new(),
            said: BTreeMap::new(),
        })
    }

    /// Goes on with challenges that an earlier run began. False if one of them proved something.
    async fn go_on(&self) -> Result<bool> {
        let Some(key) = &self.key else {
            return Ok(true);
        };
        let mut right = true;
        for accused in case::begun(self.context, &self.chain) {
            self.context
                .say(format!("{accused}: going on with the challenge that was begun"));
            right &= self.resume(accused, key).await?;
        }
        Ok(right)
    }

    /// Goes on with a challenge that was begun and tells what became of it. A reorganisation may have shown the evidence already, so that
    /// nothing is left but to say so. False if it proved something.
    async fn resume(&self, accused: Accused, key: &Key) -> Result<bool> {
        let verdict = accused.go_on(self.context, &self.chain, key).await?;
        self.context.give(&json!({
            "accused": accused.to_string(),
            "kind": verdict["kind"],
            "verdict": verdict,
        }));
        Ok(verdict["condemned"] != true)
    }

    /// Waits again for what an earlier run demanded: the chain knows what that was.
    async fn adopt(&mut self) -> Result<()> {
        let Some(account) = self.key.as_ref().map(Key::account) else {
            return Ok(());
        };
        let block = self.chain.head(Head::Best).await?;
        let prefix = storage::value("Attribution", "Requests");
        for key in self.chain.keys(&prefix, block).await? {
            let Some((source, wanted)) = requested(&key) else {
                continue;
            };
            let waiting = request::waiting(&self.chain, &source, &wanted, block).await?;
            if waiting.is_some_and(|request| request.who == account) {
                let demands = self.demands.entry(source).or_default();
                demands.made.push(wanted);
                demands.open = Some((wanted, block.number));
            }
        }
        Ok(())
    }

    /// What could not be done now is tried again in the next block; only what is wrong here ends the program.
    fn settle(&mut self, what: Accused, done: Result<Progress>) -> Result<Progress> {
        match done {
            Err(Error::File { path, reason }) => Err(Error::File { path, reason }),
            Err(error) => {
                self.say_once(what, format!("{what} cannot be checked yet: {error}"));
                Ok(Progress::Later)
            }
            Ok(progress) => Ok(progress),
        }
    }

    fn say_once(&mut self, what: Accused, text: String) {
        if self.said.get(&what) != Some(&text) {
            self.context.say(&text);
            self.context
                .give(&json!({ "unchecked": what.to_string(), "reason": text }));
            self.said.insert(what, text);
        }
    }

    /// Whether this answer's whole list is recomputed.
    fn is_chosen(&self, batch: u64, position: u64) -> bool {
        let drawn = keccak(&[&self.secret, &batch.to_be_bytes(), &position.to_be_bytes()]);
        let [a, b, c, d, ..] = drawn;
        f64::from(u32::from_be_bytes([a, b, c, d])) < self.share * (f64::from(u32::MAX) + 1.0)
    }

    /// A place below `count` that nobody else knows.
    fn place(&self, count: u64) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = keccak(&[&self.secret, &count.to_be_bytes()]);
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
            .checked_rem(count)
            .unwrap_or(0)
    }

    fn is_demanding(&self) -> bool {
        self.demands.values().any(|demands| demands.open.is_some())
    }

    /// Looks whether a demand was answered. `Some` if there is nothing else to be done about `what` in this block.
    async fn demanded(&mut self, what: Accused, source: Committed, block: Block) -> Result<Option<Progress>> {
        let Some((wanted, since)) = self.demands.get(&source).and_then(|demands| demands.open) else {
            return Ok(None);
        };
        let waiting = request::waiting(&self.chain, &source, &wanted, block).await?;
        let demands = self.demands.entry(source).or_default();
        if let Some(request) = waiting {
            demands.open = Some((wanted, block.number));
            let Some(key) = self.key.as_ref().filter(|_| block.number > request.until) else {
                return Ok(Some(Progress::Later));
            };
            let call = calls::attribution::end_request(&source, &wanted);
            let included = self.chain.submit(&call, key).await?;
            let now = what.standing(&self.chain, included.block).await?;
            self.context
                .say_included(&format!("{what}: {wanted:?} was withheld"), &included);
            self.context.say(format!("  {} ({})", now.words, now.place));
            self.context.give(&json!({
                "accused": what.to_string(),
                "withheld": format!("{wanted:?}"),
                "stage": now.words,
                "condemned": now.condemned,
                "block": included.block.number,
            }));
            self.demands.remove(&source);
            return Ok(Some(Progress::Looked(!now.condemned)));
        }
        let stored = request::Source::read(&self.chain, &source, block).await?;
        let blocks = (
            since.min(block.number).saturating_sub(request::REORGANISED),
            block.number,
        );
        let shown = request::shown(&self.chain, &stored.facts(), &source, &wanted, blocks).await?;
        let demands = self.demands.entry(source).or_default();
        demands.open = None;
        if let Some((reveal, at)) = shown {
            self.context
                .say(format!("{what}: {wanted:?} was shown in block {at}"));
            demands.shown.push(reveal);
        }
        Ok(None)
    }

    /// Has the chain demand something that is missing, once it has been missing for long enough. True if something is waited for.
    async fn demand(
        &mut self,
        what: Accused,
        source: Committed,
        missing: &[Wanted],
        block: Block,
    ) -> Result<bool> {
        let (patience, most) = (self.patience, self.requests);
        let demands = self.demands.entry(source).or_default();
        let since = *demands.since.get_or_insert(block.number);
        let Some(wanted) = missing
            .iter()
            .find(|wanted| !demands.made.contains(wanted))
            .copied()
        else {
            return Ok(false);
        };
        if demands.made.len() >= most {
            return Ok(false);
        }
        let Some(key) = self.key.clone() else {
            return Ok(false);
        };
        if block.number.saturating_sub(since) < patience {
            return Ok(true);
        }
        self.context.say(format!(
            "{what}: {wanted:?} is not published; the chain is paid to demand it"
        ));
        request::ask(self.context, &self.chain, &key, &source, &wanted).await?;
        let demands = self.demands.entry(source).or_default();
        demands.made.push(wanted);
        demands.open = Some((wanted, block.number));
        Ok(true)
    }

    /// Looks at one batch and challenges it if it is wrong.
    async fn batch(&mut self, id: u64, block: Block) -> Result<Progress> {
        let accused = Accused::Batch(id);
        let stored = self
            .chain
            .read::<Batch<Account>>(storage::batch(id), block)
            .await?;
        let place = stored.clone();
        let Some(batch) = stored.value else {
            return Ok(Progress::Gone);
        };
        let place = place.map(|_| ());
        if let Some(key) = self
            .key
            .as_ref()
            .filter(|_| accused.is_begun(self.context, &self.chain))
        {
            self.context
                .say(format!("{accused}: going on with the challenge that was begun"));
            return Ok(Progress::Looked(self.resume(accused, key).await?));
        }
        let source = Committed::Batch(id);
        if let Some(progress) = self.demanded(accused, source, block).await? {
            return Ok(progress);
        }
        let sample = self.chain.read::<Sample>(storage::sample(id), block).await?.value;
        if matches!(sample, Some(Sample::Waiting { .. } | Sample::Drawn { .. }))
            && batch.stage == BatchStage::Open
        {
            return Ok(Progress::Later);
        }
        let worker = public::worker_of(&self.chain, &batch.worker, block).await?;
        let published = public::published(&worker, id);
        let silent = published.as_ref().err().map(Error::to_string);
        let index = self.index(&worker, &batch.header.index, block).await?;
        let credited = matches!(sample, None | Some(Sample::Answered { .. }));
        let credits = credited.then_some(batch.credits);
        let rule = &index.index.rule;
        let mut known = Known::new(batch.header, credits, published.unwrap_or_default(), rule);
        for reveal in self
            .demands
            .get(&source)
            .iter()
            .flat_map(|demands| &demands.shown)
        {
            known.fill(reveal, rule);
        }
        let facts = BatchFacts {
            genesis: self.chain.genesis(),
            chain_id: self.chain.chain_id(),
            submitted: batch.submitted.into(),
            minimum: batch.header.minimum,
            randomness: match sample {
                Some(
                    Sample::Drawn { randomness, .. }
                    | Sample::Answered { randomness, .. }
                    | Sample::Forfeited { randomness, .. },
                ) => Some(randomness),
                Some(Sample::Waiting { .. }) | None => None,
            },
            batch: &batch.header,
            credits: credits.as_ref(),
            index: &index.index.header,
        };
        let texts = self.own_texts(&worker, &known)?;
        let search = Search {
            facts,
            keys: &SignatureChecks,
            index: &index.index,
            corpus: &index.corpus,
            texts: &texts,
            chosen: &|position| self.is_chosen(id, position),
        };
        let proven = search.run(&known);
        let absent = missing(&known, |count| self.place(count));
        let open = batch.stage == BatchStage::Open && block.number < batch.closes;
        let Some((evidence, guilt)) = proven else {
            if absent.is_empty() {
                self.report(id, &batch, &place, &[], None);
                return Ok(Progress::Looked(true));
            }
            if open && self.demand(accused, source, &absent, block).await? {
                return Ok(Progress::Later);
            }
            let reason = silent.unwrap_or_else(|| format!("{} pieces are not published", absent.len()));
            if open {
                self.say_once(
                    accused,
                    format!(
                        "{accused} cannot be checked: {reason}; looked at again until block {}",
                        batch.closes
                    ),
                );
                return Ok(Progress::Later);
            }
            return Ok(Progress::Gone);
        };
        let wrong = told(&index.index, known.answers(), &texts, guilt.to_string());
        self.report(id, &batch, &place, &wrong, Some(guilt.to_string()));
        if !open {
            self.context
                .say(format!("  too late or decided already: {}", stage(&batch)));
            return Ok(Progress::Looked(false));
        }
        self.prosecute(accused, Evidence::Batch(Box::new(evidence)), guilt)
            .await
    }

    /// Brings evidence to the chain.
    async fn prosecute(&self, accused: Accused, evidence: Evidence, guilt: Guilt) -> Result<Progress> {
        let Some(key) = &self.key else {
            self.context.say("  not challenged: --dry-run");
            return Ok(Progress::Looked(false));
        };
        let verdict = accused.accuse(self.context, &self.chain, key, &evidence).await?;
        self.context.give(&json!({
            "accused": accused.to_string(),
            "kind": format!("{guilt:?}"),
            "guilt": guilt.to_string(),
            "verdict": verdict,
        }));
        Ok(Progress::Looked(false))
    }

    fn report(
        &self,
        id: u64,
        batch: &Batch<Account>,
        place: &Read<()>,
        wrong: &[String],
        guilt: Option<String>,
    ) {
        let total = place.clone().map(|()| batch.header.receipts.sum);
        self.context.say(format!(
            "batch {id} of worker {}: {} answers for {}, {}",
            ss58(&batch.worker),
            batch.header.receipts.count,
            money(&total),
            stage(batch)
        ));
        for difference in wrong {
            self.context.say(format!("  WRONG {difference}"));
        }
        match &guilt {
            Some(guilt) => self.context.say(format!("  provable: {guilt}")),
            None => self
                .context
                .say("  every list, part and credit is what it must be"),
        }
        self.context.give(&json!({
            "batch": id,
            "worker": hex_of(batch.worker),
            "answers": batch.header.receipts.count,
            "total": money_json(&total),
            "stage": stage(batch),
            "differences": wrong,
            "guilt": guilt,
        }));
    }

    /// An index that batches name, from its worker or from whoever serves it.
    async fn index(&mut self, worker: &Worker, hash: &Hash, block: Block) -> Result<Arc<IndexAtHand>> {
        let due = |silent: u32| block.number >= silent.saturating_add(SELDOM);
        if let Some(known) = self.indexes.get(hash).cloned() {
            if !known.silent.is_some_and(due) {
                return Ok(known);
            }
            let mut known = IndexAtHand::clone(&known);
            let servers = std::iter::once(worker.clone()).chain(self.servers(block).await?);
            self.take_words(&mut known, servers, block);
            let known = Arc::new(known);
            self.indexes.insert(*hash, known.clone());
            return Ok(known);
        }
        let mut failed = None;
        let servers: Vec<Worker> = std::iter::once(worker.clone())
            .chain(self.servers(block).await?)
            .collect();
        for server in &servers {
            match public::index(&self.chain, server, hash, block).await {
                Ok((_, index)) => {
                    let count = index.header.corpus.count;
                    let corpus = public::openings(server, hash, "corpus", count).unwrap_or_default();
                    let whole = corpus.len() as u64 == count;
                    let mut known = IndexAtHand {
                        index,
                        corpus: if whole { corpus } else { Vec::new() },
                        silent: None,
                    };
                    self.take_words(&mut known, servers, block);
                    let known = Arc::new(known);
                    self.indexes.insert(*hash, known.clone());
                    return Ok(known);
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        Err(failed.unwrap_or_else(|| Error::other(format!("nobody serves index {}", hex_of(hash)))))
    }

    /// Takes an index's verbatim channel from whoever publishes it. Without it everything else is checked all the same.
    fn take_words(
        &mut self,
        known: &mut IndexAtHand,
        servers: impl IntoIterator<Item = Worker>,
        block: Block,
    ) {
        let header = known.index.header;
        if header.verbatim == Verbatim::NONE {
            return;
        }
        let hash = header.hash();
        let mut failed = None;
        for server in servers {
            match Words::fetch(&server, &hash, &header) {
                Ok(words) => {
                    known.index.words = words.map(Arc::new);
                    known.silent = None;
                    return;
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        known.silent = Some(block.number);
        if let Some(error) = failed {
            let what = Accused::Index(hash);
            self.say_once(
                what,
                format!("{what}: quoted words cannot be checked yet: {error}"),
            );
        }
    }

    /// Texts of those answers that were paid for from here, by position: which words are quoted follows from them.
    fn own_texts(&self, worker: &Worker, known: &Known) -> Result<BTreeMap<u64, Vec<TextLeaf>>> {
        let data = self.context.data(&self.chain.genesis());
        let mut texts = BTreeMap::new();
        for (position, answer) in known.answers() {
            let hash = answer.receipt.hash();
            let kept = book::kept(&data, &hash)?;
            let Some(salt) = kept.and_then(|kept| args::parse_hash(&kept.salt).ok()) else {
                continue;
            };
            // A worker that does not show it is looked at without.
            let shown = public::receipt(worker, &hash, Some(&salt)).ok();
            if let Some(text) = shown.and_then(|shown| shown.answer.output) {
                texts.insert(position, text);
            }
        }
        Ok(texts)
    }

    /// Whoever may serve what one worker does not: the one named with --worker, and all that are registered.
    async fn servers(&self, block: Block) -> Result<Vec<Worker>> {
        let registered = self
            .chain
            .entries::<Hash, openledger_protocol::compute::Worker>("Compute", "Workers", block)
            .await?;
        let endpoints = registered
            .iter()
            .map(|(_, worker)| Worker::new(&crate::context::text_of(&worker.value.endpoint)));
        Ok(std::iter::once(self.context.worker()).chain(endpoints).collect())
    }
}

/// What is wrong with the answers' lists and spans, in words for people.
fn told(
    index: &Index,
    answers: Vec<(u64, Answer)>,
    texts: &BTreeMap<u64, Vec<TextLeaf>>,
    guilt: String,
) -> Vec<String> {
    let mut wrong: Vec<String> = Vec::new();
    for (position, mut answer) in answers {
        answer.output = texts.get(&position).cloned();
        let mut found = match recompute(index, &answer) {
            Ok(recomputed) => differences(index, &answer, &recomputed),
            Err(reason) => vec![reason],
        };
        found.extend(span_differences(index, &answer));
        wrong.extend(found.into_iter().map(|text| format!("answer {position}: {text}")));
    }
    if wrong.is_empty() {
        wrong.push(guilt);
    }
    wrong
}

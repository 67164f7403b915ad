//! Requests for data, answered.
//!
//! Anybody may pay the chain to have a piece shown of what a batch or an index commits to, and whoever committed to it and does
//! not show it in time is condemned as for a lie. The chain is the list of what is to be done: a request is there until it is
//! answered, so nothing has to be remembered here, and a kill at any moment costs at most a transaction that finds its request
//! answered. What can be asked for is kept as long as it can be: batches with their receipts for ever, indexes in their
//! folders.

use crate::{
    channels,
    db::{BatchRow, ReceiptRow},
    error::{Error, Result},
    formats::hex0x,
    ledger::{self, Head},
    state::Worker,
};
use futures_util::future::join_all;
use openledger_attribution::{
    batch::DrawLeaf,
    sketch::SketchLeaf,
    tree::{Leaf, Opening, Tree},
    verdict::{Reveal, RevealFacts, RevealedAttribution, RevealedDraw, RevealedReceipt, Wanted},
    wire::Object,
};
use openledger_influence::Index;
use openledger_protocol::{
    batches::{Batch, BatchStage},
    calls,
    disputes::{Committed, IndexStage, Request, Sample},
    storage, Account, Hash,
};
use std::sync::Arc;
use tokio::sync::Notify;

/// A request with fewer blocks left than this is answered before its block is final.
const SOON: u32 = 30;
/// Answers on their way at once.
const AT_ONCE: usize = 16;

/// Answers requests for what this worker committed to. Never returns.
pub async fn run(worker: Arc<Worker>) {
    crate::repeat(&worker, "requests for data", &Notify::new(), || round(&worker)).await;
}

/// Answers everything that is asked for now.
pub async fn round(worker: &Arc<Worker>) -> Result<()> {
    let mut asked = Vec::new();
    for (source, wanted) in ledger::requests(&*worker.ledger, Head::Best).await? {
        if is_own(worker, &source)? {
            asked.push((source, wanted));
        }
    }
    let mut failed = None;
    for some in asked.chunks(AT_ONCE) {
        let answers = some
            .iter()
            .map(|(source, wanted)| answer(worker, *source, *wanted));
        for ((source, wanted), done) in some.iter().zip(join_all(answers).await) {
            // One that cannot be answered holds up no other.
            if let Err(error) = done {
                tracing::error!(?source, ?wanted, %error, "a request for data is not answered yet");
                failed = Some(error);
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Whether this worker has to answer for `source`.
fn is_own(worker: &Worker, source: &Committed) -> Result<bool> {
    Ok(match source {
        Committed::Batch(id) => worker.db.batch_on_chain(*id)?.is_some(),
        // Who fetched another's index does not answer for it.
        Committed::Index(index) => {
            Index::exists(&worker.config.index_dir(index))
                && index_of(worker, index)?.index().header().builder == worker.account()
        }
    })
}

/// Answers one request, unless it was answered meanwhile, is not final yet and has time, or can harm nobody any more.
async fn answer(worker: &Arc<Worker>, source: Committed, wanted: Wanted) -> Result<()> {
    let key = storage::request(source, wanted);
    let ledger = &*worker.ledger;
    let request = ledger::read::<Request<Account>>(ledger, key.clone(), Head::Best).await?;
    let (Some(found), now) = (request.value, request.block.number) else {
        return Ok(());
    };
    if now >= found.until {
        return Err(Error::Internal(format!(
            "the time for it was over in block {}, and this is {now}",
            found.until
        )));
    }
    if found.until - now > SOON {
        let last = ledger::read::<Request<Account>>(ledger, key, Head::Finalized).await?;
        if last.value.is_none() {
            return Ok(());
        }
    }
    let Some(facts) = facts(worker, &source).await? else {
        return Ok(());
    };
    let own = worker.clone();
    let shown = tokio::task::spawn_blocking(move || {
        let shown = show(&own, &facts, &wanted)?;
        // A wrong one costs its fee and answers nothing.
        if !facts.trusted().answers(&wanted, &shown) {
            return Err(Error::Internal(
                "what is stored is not what the chain has: restore the newest backup of the data folder"
                    .into(),
            ));
        }
        Ok(shown)
    });
    let shown = shown
        .await
        .map_err(|error| Error::part("showing data", error))??;
    if !worker.attribute.shows(&wanted) {
        return Ok(());
    }
    kill_point!("reveal-built");
    ledger
        .submit(&calls::attribution::reveal(&source, &wanted, Box::new(shown)))
        .await?;
    kill_point!("reveal-submitted");
    tracing::info!(?source, ?wanted, "showed what was asked for");
    Ok(())
}

/// What is asked about, as the chain has it and as it is stored here.
enum Facts {
    Batch {
        on_chain: Box<Batch<Account>>,
        /// Whether the chain knows whom the batch pays.
        credited: bool,
        row: Box<BatchRow>,
        draws: Vec<DrawLeaf>,
    },
    Index(Held),
}

impl Facts {
    fn trusted(&self) -> RevealFacts<'_> {
        match self {
            Self::Batch {
                on_chain, credited, ..
            } => RevealFacts {
                batch: Some(&on_chain.header),
                credits: credited.then_some(&on_chain.credits),
                ..Default::default()
            },
            Self::Index(index) => RevealFacts {
                index: Some(index.index().header()),
                ..Default::default()
            },
        }
    }
}

/// An index in use here, or opened to be shown.
pub(crate) enum Held {
    Served(Arc<crate::models::Served>),
    Opened(Box<Index>),
}

impl Held {
    pub(crate) fn index(&self) -> &Index {
        match self {
            Self::Served(served) => &served.index,
            Self::Opened(index) => index,
        }
    }
}

pub(crate) fn index_of(worker: &Worker, hash: &Hash) -> Result<Held> {
    Ok(match worker.serving.by_index(hash) {
        Some(served) => Held::Served(served),
        None => Held::Opened(Box::new(Index::open(&worker.config.index_dir(hash))?)),
    })
}

/// What the chain judges an answer by; nothing if nobody can be condemned for this any more.
async fn facts(worker: &Worker, source: &Committed) -> Result<Option<Facts>> {
    let ledger = &*worker.ledger;
    match source {
        Committed::Batch(id) => {
            let on_chain = ledger::batch(ledger, *id, Head::Best).await?;
            let Some((number, row)) = worker.db.batch_on_chain(*id)? else {
                return Ok(None);
            };
            let draws = worker.db.draws(number)?;
            let sample = ledger::read::<Sample>(ledger, storage::sample(*id), Head::Best).await?;
            let credited = matches!(sample.value, None | Some(Sample::Answered { .. }));
            Ok((on_chain.stage == BatchStage::Open).then(|| Facts::Batch {
                on_chain: Box::new(on_chain),
                credited,
                row: Box::new(row),
                draws,
            }))
        }
        Committed::Index(hash) => {
            let bond = ledger::index_bond(ledger, *hash, Head::Best).await?;
            if !matches!(bond.stage, IndexStage::Standing | IndexStage::Retiring { .. }) {
                return Ok(None);
            }
            Ok(Some(Facts::Index(index_of(worker, hash)?)))
        }
    }
}

fn show(worker: &Worker, facts: &Facts, wanted: &Wanted) -> Result<Reveal> {
    match facts {
        Facts::Batch { row, draws, .. } => show_of_batch(worker, row, draws, wanted),
        Facts::Index(index) => show_of_index(worker, index, wanted),
    }
}

fn show_of_batch(worker: &Worker, row: &BatchRow, draws: &[DrawLeaf], wanted: &Wanted) -> Result<Reveal> {
    let receipt = |n: u64| -> Result<(RevealedReceipt, ReceiptRow)> {
        let leaf = open(&row.receipts, n)?;
        let stored = worker.db.receipt(&leaf.leaf.receipt)?;
        let stored =
            stored.ok_or_else(|| Error::Internal(format!("receipt {} is lost", hex0x(leaf.leaf.receipt))))?;
        let receipt = stored.receipt;
        Ok((RevealedReceipt { leaf, receipt }, stored))
    };
    let attribution = |n: u64| -> Result<(RevealedAttribution, ReceiptRow)> {
        let (receipt, stored) = receipt(n)?;
        let attribution = stored.attribution.clone();
        Ok((RevealedAttribution { receipt, attribution }, stored))
    };
    let draw = |n: u64| -> Result<(RevealedDraw, Option<ReceiptRow>)> {
        let draw = open(draws, n)?;
        if draw.leaf.is_forfeited() {
            let attribution = None;
            return Ok((RevealedDraw { draw, attribution }, None));
        }
        let stored = receipt(draw.leaf.receipt)?.1;
        let attribution = Some(stored.attribution.clone());
        Ok((RevealedDraw { draw, attribution }, Some(stored)))
    };
    let blocks = |stored: &ReceiptRow| -> Result<Vec<SketchLeaf>> {
        let index = index_of(worker, &row.header.index)?;
        let leaves = stored.query.leaves(index.index().rule());
        leaves.ok_or_else(|| Error::Internal("a stored sketch is not of its index's layout".into()))
    };
    Ok(match wanted {
        Wanted::Receipt(n) => Reveal::Receipt(receipt(*n)?.0),
        Wanted::Attribution(n) => Reveal::Attribution(attribution(*n)?.0),
        Wanted::Query(n) => {
            let (shown, stored) = attribution(*n)?;
            Reveal::Query((shown, blocks(&stored)?))
        }
        Wanted::Draw(n) => Reveal::Draw(draw(*n)?.0),
        Wanted::DrawQuery(n) => {
            let (shown, stored) = draw(*n)?;
            Reveal::DrawQuery((
                shown,
                stored.as_ref().map(blocks).transpose()?.unwrap_or_default(),
            ))
        }
        Wanted::Channel(n) => Reveal::Channel(open(&row.channels, *n)?),
        Wanted::Part(n) => Reveal::Part(open(&row.parts, *n)?),
        Wanted::Credit(n) => Reveal::Credit(open(&row.credits, *n)?),
        other => return Err(unknown(other)),
    })
}

fn show_of_index(worker: &Worker, held: &Held, wanted: &Wanted) -> Result<Reveal> {
    let index = held.index();
    Ok(match wanted {
        Wanted::Row(n) => Reveal::Row(index.open_row(*n)?),
        Wanted::Basis(n) => Reveal::Basis(index.open_basis(*n)?),
        Wanted::Corpus(n) => Reveal::Corpus(index.open_corpus(*n)?),
        // All else that an index has is of its verbatim channel.
        other => {
            let opened;
            let words = match held {
                Held::Served(served) => served.words.as_ref(),
                Held::Opened(index) => {
                    let dir = worker.config.index_dir(&index.header().hash());
                    opened = channels::open(&dir, index.header())?;
                    opened.as_ref()
                }
            };
            let shown = words.map(|words| words.reveal(other)).transpose()?;
            shown.flatten().ok_or_else(|| unknown(other))?
        }
    })
}

fn unknown(wanted: &Wanted) -> Error {
    Error::Internal(format!(
        "{wanted:?} is nothing that this program has ever committed to: update the worker"
    ))
}

/// A leaf with the way to its tree's root.
pub(crate) fn open<L: Leaf + Clone>(leaves: &[L], n: u64) -> Result<Opening<L>> {
    let leaf = usize::try_from(n).ok().and_then(|at| leaves.get(at));
    let tree = Tree::new(leaves).map_err(|error| Error::part("a stored tree", error))?;
    leaf.and_then(|leaf| tree.open(n, leaf))
        .ok_or_else(|| Error::Internal(format!("there is no leaf {n} of {}", leaves.len())))
}

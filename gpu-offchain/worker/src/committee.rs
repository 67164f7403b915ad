//! Seats in committees: what only floating point can tell is recomputed, committed to, revealed.
//!
//! ```text
//! seated ─▶ recomputed from public data, or from what the accused hands over ─▶ stored ─▶ committed ─▶ revealed
//! ```
//!
//! A member's vote, numbers and salt are stored before they are committed to, so that a kill in between changes nothing: without
//! them it could not reveal, and silence costs bond. Text that an accused hands over is in memory while it is needed and
//! nowhere else.

use crate::{
    attribute::gradient,
    audit,
    db::SeatRow,
    error::{Error, Result},
    fetch,
    formats::{hex0x, root_hash, unwire},
    jobs,
    ledger::{self, Head},
    models::Served,
    state::Worker,
};
use codec::DecodeAll;
use openledger_attribution::{
    batch::{DrawLeaf, ReceiptLeaf},
    committee::{vote_hash, Claim, Computed, OwnSpectra, Subject, Vote},
    receipt::Receipt,
    text::TextLeaf,
    tree::{Leaf, Root, Tree},
    wire::{Field, Object},
};
use openledger_content::Identity;
use openledger_influence::available_threads;
use openledger_protocol::{
    batches::Batch,
    calls,
    committees::{Case, CaseStage, Handed, Progress},
    storage, Account, Hash,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::Notify;

/// Blocks before the end of a round in which what could not be had counts as missing.
const LAST: u32 = 2;
/// How long an accused may take to hand text over.
const PATIENCE: Duration = Duration::from_secs(20);
/// Most bytes of what an accused publishes of a batch or hands over.
const MOST: u64 = 64 << 20;

/// File of the key that private text is sealed for.
pub const KEY: &str = "committee.key";

/// Serves this worker's seats. Never returns.
pub async fn run(worker: Arc<Worker>) {
    crate::repeat(&worker, "seats", &Notify::new(), || round(&worker)).await;
}

/// One look at every seat.
pub async fn round(worker: &Arc<Worker>) -> Result<()> {
    let key = storage::seats_of(worker.account());
    let seats: Vec<u64> = ledger::read(&*worker.ledger, key, Head::Best)
        .await?
        .value
        .unwrap_or_default();
    worker.db.keep_seats(&seats)?;
    let mut failed = None;
    for case in seats {
        if let Err(error) = sit(worker, case).await {
            tracing::warn!(case, %error, "a seat waits");
            failed = Some(error);
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Does what is due for one seat.
async fn sit(worker: &Arc<Worker>, id: u64) -> Result<()> {
    let ledger = &*worker.ledger;
    let account = worker.account();
    let read = ledger::read::<Case<Account>>(ledger, storage::case(id), Head::Best).await?;
    let now = read.block.number;
    let Some(case) = read.value else {
        return Ok(());
    };
    let seat = case.seats.iter().rfind(|seat| seat.member == account);
    match (case.stage, seat.map(|seat| seat.progress)) {
        (CaseStage::Committing { until }, Some(Progress::Seated)) if now <= until => {
            let row = match worker.db.seat(id)? {
                Some(row) => row,
                None => {
                    let Some(row) = decide(worker, id, &case, until.saturating_sub(now)).await? else {
                        return Ok(());
                    };
                    worker.db.set_seat(id, &row)?;
                    row
                }
            };
            kill_point!("seat-computed");
            let hash = vote_hash(row.vote, &account, &Object::encode(&row.computed), &row.salt);
            ledger.submit(&calls::committees::commit(id, &hash)).await?;
            kill_point!("seat-committed");
            tracing::info!(case = id, subject = ?case.subject, "committed to what was recomputed");
        }
        (CaseStage::Revealing { until }, Some(Progress::Committed(hash))) if now <= until => {
            let row = worker.db.seat(id)?;
            let row = row.filter(|row| {
                vote_hash(row.vote, &account, &Object::encode(&row.computed), &row.salt) == hash
            });
            let Some(row) = row else {
                return Err(Error::Internal(format!(
                    "what was committed to in case {id} is not stored here: it cannot be revealed"
                )));
            };
            let call = calls::committees::reveal(id, row.vote, Box::new(row.computed), &row.salt);
            ledger.submit(&call).await?;
            kill_point!("seat-revealed");
            tracing::info!(case = id, vote = ?row.vote, "revealed what was recomputed");
        }
        _ => audit::push(worker, id).await?,
    }
    Ok(())
}

/// Recomputes what a case is about. Nothing if that was not possible yet and there is time to try again.
async fn decide(worker: &Arc<Worker>, id: u64, case: &Case<Account>, left: u32) -> Result<Option<SeatRow>> {
    let claim: Vec<u8> = ledger::read(&*worker.ledger, storage::claim(id), Head::Best)
        .await?
        .value
        .ok_or_else(|| Error::Missing(format!("the chain has no claim of case {id}")))?;
    let claim = Claim::decode_all(&mut claim.as_slice())
        .map_err(|error| Error::Setup(format!("the claim of case {id} does not read ({error}): update the worker")))?;
    let mut salt = [0; 32];
    getrandom::fill(&mut salt).map_err(|error| Error::part("random numbers", error))?;
    let computed = match compute(worker, id, case, &claim).await {
        Ok(computed) => computed,
        Err(error @ (Error::NotReady(_) | Error::Missing(_) | Error::Hopeless(_))) => {
            tracing::warn!(case = id, %error, left, "what a seat takes is not to be had");
            if left > LAST {
                return Ok(None);
            }
            Computed::Missing([])
        }
        Err(error) => return Err(error),
    };
    let vote = match &computed {
        // Who is accused of something private has to hand it over; what is public says nothing when nobody has it.
        Computed::Missing(_) if case.subject.is_private() => Vote::Wrong,
        Computed::Missing(_) => Vote::Right,
        computed => claim
            .vote(computed)
            .ok_or_else(|| Error::Internal(format!("what was computed is no answer to case {id}")))?,
    };
    Ok(Some(SeatRow { vote, computed, salt }))
}

async fn compute(worker: &Arc<Worker>, id: u64, case: &Case<Account>, claim: &Claim) -> Result<Computed> {
    let accused = ledger::worker(&*worker.ledger, case.accused, Head::Best).await?;
    let url = String::from_utf8_lossy(&accused.endpoint).into_owned();
    match case.subject {
        Subject::Row { index, row } => {
            let served = served(worker, &url, &index).await?;
            let Claim::Sketch(claim) = claim else {
                return Err(unfit(id));
            };
            let sketch = claim.sketch.clone();
            rows(worker, &url, served, move |served, gradient| {
                let unit = served.index.unit(row)?;
                let found = served.index.recomputed(&sketch, &gradient(&unit)?)?;
                Ok(lanes(&found.lanes))
            })
            .await
        }
        Subject::Basis { index, module } => {
            let served = served(worker, &url, &index).await?;
            rows(worker, &url, served, move |served, gradient| {
                let gradient = std::sync::Mutex::new(gradient);
                let read = |row: u64| {
                    let unit = served.index.unit(row)?;
                    let mut gradient = gradient.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                    (*gradient)(&unit).map_err(|error| openledger_influence::Error::Wrong(error.to_string()))
                };
                let found = served.index.recompute_bases(read, available_threads())?;
                let own = found.into_iter().nth(usize::from(module));
                let own = own.ok_or_else(|| Error::Hopeless(format!("the index has no module {module}")))?;
                Ok(Computed::Spectra(OwnSpectra {
                    diagonal: own.left && own.right,
                    spectra: own.spectra,
                }))
            })
            .await
        }
        Subject::Query { batch, source } => {
            let Claim::Sketch(claim) = claim else {
                return Err(unfit(id));
            };
            let (receipt, handed) = handed(worker, id, &url, batch, source).await?;
            let served = served(worker, &url, &receipt.terms.index).await?;
            let sketch = claim.sketch.clone();
            let work = move || {
                let (prompt, output) = (tokens(&handed.prompt), tokens(&handed.output));
                let found = served
                    .index
                    .recomputed(&sketch, &gradient(&served, &prompt, &output)?)?;
                Ok(lanes(&found.lanes))
            };
            tokio::task::spawn_blocking(work)
                .await
                .map_err(|error| Error::part("recomputing", error))?
        }
        Subject::Training { .. } | Subject::Ranks { .. } | Subject::Output { .. } => Err(Error::Setup(format!(
            "this program cannot recompute {:?}: it takes no part in case {id}",
            case.subject
        ))),
    }
}

fn unfit(id: u64) -> Error {
    Error::Setup(format!("the claim of case {id} is of another kind than its subject: update the worker"))
}

/// Lanes as they are revealed. Beyond 128 all are alike, so nothing is lost.
fn lanes(found: &[i32]) -> Computed {
    let narrow = |lane: &i32| i16::try_from(*lane).unwrap_or(if *lane < 0 { i16::MIN } else { i16::MAX });
    Computed::Lanes(found.iter().map(narrow).collect())
}

fn tokens(chunks: &[TextLeaf]) -> Vec<u32> {
    chunks.iter().flat_map(|chunk| chunk.tokens.iter().copied()).collect()
}

/// The generation behind an index, fetched from the accused if it is not here.
async fn served(worker: &Arc<Worker>, url: &str, index: &Hash) -> Result<Arc<Served>> {
    if let Some(served) = worker.serving.by_index(index) {
        return Ok(served);
    }
    let header = ledger::index(&*worker.ledger, *index, Head::Best).await?.header;
    fetch::generation(worker, url, header.model, header.generation).await?;
    jobs::activate(worker).await?;
    worker
        .serving
        .by_index(index)
        .ok_or_else(|| Error::NotReady(format!("index {} is not served here", hex0x(index))))
}

/// Gives `work` the gradients of an index's units, from the records on the chain.
async fn rows<F>(worker: &Arc<Worker>, url: &str, served: Arc<Served>, work: F) -> Result<Computed>
where
    F: FnOnce(&Served, &mut (dyn FnMut(&openledger_influence::Unit) -> Result<openledger_influence::Gradient> + Send)) -> Result<Computed>
        + Send
        + 'static,
{
    let (model, number) = (served.model, served.generation);
    let generation = ledger::generation(&*worker.ledger, model, number, Head::Finalized).await?;
    let data = jobs::index::records(worker, &generation, url).await?;
    let worker = worker.clone();
    let work = move || {
        let adapter = jobs::adapter(&worker, &generation)?;
        let mut units = jobs::index::Units::new(&worker, &generation, &adapter, &served.sketcher, &data)?;
        work(&served, &mut |unit| units.gradient(unit))
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::part("recomputing", error))?
}

/// The receipt that a question is about, and the texts behind it, as its worker publishes the one and hands over the others. Both
/// are checked: the receipt by the batch on the chain, the texts by the receipt.
async fn handed(worker: &Arc<Worker>, id: u64, url: &str, batch: u64, source: u64) -> Result<(Receipt, Handed)> {
    let on_chain = ledger::batch(&*worker.ledger, batch, Head::Best).await?;
    let own = worker.clone();
    let url = url.trim_end_matches('/').to_owned();
    let work = move || {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .build()
            .into();
        let get = |path: String| -> Result<Vec<u8>> {
            let failed = |error: &dyn std::fmt::Display| Error::NotReady(format!("{url}{path}: {error}"));
            let response = agent.get(format!("{url}{path}")).call().map_err(|error| failed(&error))?;
            let body = response.into_body().into_with_config().limit(MOST).read_to_vec();
            body.map_err(|error| failed(&error))
        };
        let receipt = published(&get(format!("/v1/batches/{batch}"))?, &on_chain, source)
            .ok_or_else(|| Error::NotReady(format!("{url} does not publish answer {source} of batch {batch}")))?;
        let path = format!("/v1/committees/{id}?member={}", hex0x(own.account()));
        let identity = Identity::load(&own.config.data.join(KEY))?;
        let sealed = get(path)?;
        let handed = identity
            .open(&sealed)
            .map_err(|error| Error::NotReady(format!("what {url} hands over does not open: {error}")))?;
        let handed = Handed::decode_all(&mut handed.as_slice())
            .map_err(|error| Error::NotReady(format!("what {url} hands over does not read: {error}")))?;
        let is_right = root_hash(&handed.prompt)? == receipt.terms.prompt
            && root_hash(&handed.output)? == receipt.output;
        if !is_right {
            return Err(Error::NotReady(format!(
                "what {url} hands over is not what receipt {} commits to",
                hex0x(receipt.hash())
            )));
        }
        Ok((receipt, handed))
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::part("fetching texts", error))?
}

/// The receipt behind a source of a batch, if it is what the chain commits to.
fn published(json: &[u8], batch: &Batch<Account>, source: u64) -> Option<Receipt> {
    let json: serde_json::Value = serde_json::from_slice(json).ok()?;
    let bytes = |value: &serde_json::Value| hex::decode(value.as_str()?.strip_prefix("0x")?).ok();
    fn tree<L: Leaf + Field>(bytes: Vec<u8>, root: &Root) -> Option<Vec<L>> {
        let leaves: Vec<L> = unwire(&bytes).ok()?;
        let own = Tree::new(&leaves).ok()?.root();
        (own == *root).then_some(leaves)
    }
    let receipts: Vec<ReceiptLeaf> = tree(bytes(&json["receipts"])?, &batch.header.receipts)?;
    let at = if batch.header.is_sampled() {
        let draws: Vec<DrawLeaf> = tree(bytes(&json["draws"])?, &batch.credits.answers)?;
        draws.get(usize::try_from(source).ok()?)?.receipt
    } else {
        source
    };
    let at = usize::try_from(at).ok()?;
    let receipt: Receipt = Object::decode(&bytes(&json["answers"][at]["receipt"])?).ok()?;
    (receipts.get(at)?.receipt == receipt.hash()).then_some(receipt)
}

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
    audit::{push, Turn},
    dataset::Dataset,
    db::SeatRow,
    error::{Error, Result},
    fetch,
    formats::{hex0x, root_hash, unwire, Parameters},
    jobs,
    keys::Keyring,
    ledger::{self, Head},
    models::Served,
    state::Worker,
    units::Units,
};
use codec::DecodeAll;
use openledger_attribution::{
    bases::drawn_rows,
    batch::{DrawLeaf, ReceiptLeaf},
    committee::{vote_hash, Claim, Computed, OwnSpectra, Subject, Vote},
    hash::keccak,
    receipt::Receipt,
    text::TextLeaf,
    tree::{Leaf, Root, Tree},
    wire::{Field, Object},
};
use openledger_content::Identity;
use openledger_influence::{available_threads, Gradient};
use openledger_protocol::{
    batches::Batch,
    calls,
    committees::{Case, CaseStage, Handed, Progress, Seat},
    models::{Generation, Stage},
    storage, Account, Hash,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    runtime::Handle,
    sync::{Mutex, Notify},
    task::JoinHandle,
};

/// Blocks before the end of a round in which what could not be had counts as missing.
const LAST: u32 = 4;
/// How long an accused may take to hand text over.
const PATIENCE: Duration = Duration::from_secs(20);
/// Most bytes of what an accused publishes of a batch or hands over.
const MOST: u64 = 64 << 20;
/// Longest time between two tries, as a power of two in seconds.
const LONGEST: u32 = 6;

/// File of the key that private text is sealed for.
pub const KEY: &str = "committee.key";

/// Serves this worker's seats. Never returns.
pub async fn run(worker: Arc<Worker>) {
    let seats = Seats {
        worker: worker.clone(),
        attempts: Mutex::default(),
        pauses: Mutex::default(),
        fetching: Arc::default(),
        computing: Arc::default(),
    };
    crate::repeat(&worker, "seats", &Notify::new(), || seats.round()).await;
}

/// Why something could not be computed.
enum Lack {
    /// The accused did not publish or hand over what it takes.
    Accused(Error),
    /// Anything else, which says nothing of the accused.
    Own(Error),
}

impl From<Error> for Lack {
    fn from(error: Error) -> Self {
        Self::Own(error)
    }
}

impl From<openledger_influence::Error> for Lack {
    fn from(error: openledger_influence::Error) -> Self {
        Self::Own(error.into())
    }
}

type Tried<T> = std::result::Result<T, Lack>;

/// What is tried for a seat that has nothing to commit to yet.
#[derive(Default)]
struct Attempt {
    task: Option<JoinHandle<Tried<SeatRow>>>,
    failures: u32,
    next: Option<Instant>,
    /// Whether the last one failed for the accused.
    is_theirs: bool,
    /// What was said of it.
    said: String,
}

/// The seats, and what is being recomputed for them.
struct Seats {
    worker: Arc<Worker>,
    attempts: Mutex<BTreeMap<u64, Attempt>>,
    /// How often in a row a seat failed, and when it is its turn again: what fails in its block costs its fee.
    pauses: Mutex<BTreeMap<u64, (u32, Instant)>>,
    /// One generation is fetched at a time: two seats may want the same.
    fetching: Arc<Mutex<()>>,
    /// One question is computed at a time.
    computing: Arc<Mutex<()>>,
}

impl Seats {
    /// One look at every seat.
    async fn round(&self) -> Result<()> {
        let key = storage::seats_of(self.worker.account());
        let seats: Vec<u64> = ledger::read(&*self.worker.ledger, key, Head::Best)
            .await?
            .value
            .unwrap_or_default();
        self.attempts.lock().await.retain(|case, _| seats.contains(case));
        let mut pauses = self.pauses.lock().await;
        pauses.retain(|case, _| seats.contains(case));
        for case in seats {
            let (failures, next) = pauses.get(&case).copied().unwrap_or((0, Instant::now()));
            if next > Instant::now() {
                continue;
            }
            // One that cannot go on holds up no other.
            if let Err(error) = self.sit(case).await {
                tracing::warn!(case, %error, failures, "a seat waits");
                pauses.insert(
                    case,
                    (failures.saturating_add(1), Instant::now() + pause(failures)),
                );
            } else {
                pauses.remove(&case);
            }
        }
        drop(pauses);
        self.forget().await
    }

    /// Forgets what was to be revealed in cases that have ended for good.
    async fn forget(&self) -> Result<()> {
        let ledger = &*self.worker.ledger;
        for id in self.worker.db.seats()? {
            let next = ledger::read::<u64>(ledger, storage::next_case(), Head::Finalized).await?;
            let case = ledger::read::<Case<Account>>(ledger, storage::case(id), Head::Finalized).await?;
            if case.value.is_none() && next.value.is_some_and(|next| next > id) {
                self.worker.db.forget_seat(id)?;
            }
        }
        Ok(())
    }

    /// Does what is due for one seat.
    async fn sit(&self, id: u64) -> Result<()> {
        let ledger = &*self.worker.ledger;
        let account = self.worker.account();
        let read = ledger::read::<Case<Account>>(ledger, storage::case(id), Head::Best).await?;
        let now = read.block.number;
        let Some(case) = read.value else {
            return Ok(());
        };
        let is_own = |seat: &&Seat<Account>| seat.member == account && seat.round == case.round;
        let progress = case.seats.iter().find(is_own).map(|seat| seat.progress);
        match (case.stage, progress) {
            (CaseStage::Committing { until }, Some(Progress::Seated)) if now <= until => {
                let Some(row) = self.row(id, &case, until - now).await? else {
                    return Ok(());
                };
                kill_point!("seat-computed");
                let hash = vote_hash(row.vote, &account, &Object::encode(&row.computed), &row.salt);
                ledger.submit(&calls::committees::commit(id, &hash)).await?;
                kill_point!("seat-committed");
                tracing::info!(case = id, subject = ?case.subject, "committed to what was recomputed");
                Ok(())
            }
            // The chain writes down that a round's second half has begun when somebody reveals.
            (CaseStage::Committing { until }, Some(Progress::Committed(hash))) if now > until => {
                match self.reveal(id, &hash).await {
                    // Nobody did, and it is over.
                    Err(error) => ledger
                        .submit(&calls::committees::close(id))
                        .await
                        .map(|_| ())
                        .map_err(|_| error),
                    done => done,
                }
            }
            (CaseStage::Revealing { until }, Some(Progress::Committed(hash))) if now <= until => {
                self.reveal(id, &hash).await
            }
            _ => {
                let place = case.seats.iter().position(|seat| seat.member == account);
                push(&self.worker, id, Turn::Member(place.unwrap_or(0))).await
            }
        }
    }

    async fn reveal(&self, id: u64, hash: &Hash) -> Result<()> {
        let account = self.worker.account();
        let row =
            self.worker.db.seat(id)?.filter(|row| {
                vote_hash(row.vote, &account, &Object::encode(&row.computed), &row.salt) == *hash
            });
        let Some(row) = row else {
            return Err(Error::Internal(format!(
                "what was committed to in case {id} is not stored here: it cannot be revealed"
            )));
        };
        let call = calls::committees::reveal(id, row.vote, Box::new(row.computed), &row.salt);
        self.worker.ledger.submit(&call).await?;
        kill_point!("seat-revealed");
        tracing::info!(case = id, vote = ?row.vote, "revealed what was recomputed");
        Ok(())
    }

    /// What a seat commits to, stored. Nothing yet if it is still computed, or could not be and there is time to try again.
    async fn row(&self, id: u64, case: &Case<Account>, left: u32) -> Result<Option<SeatRow>> {
        if let Some(row) = self.worker.db.seat(id)? {
            return Ok(Some(row));
        }
        let mut attempts = self.attempts.lock().await;
        let attempt = attempts.entry(id).or_default();
        let mut row = None;
        if attempt.task.as_ref().is_some_and(JoinHandle::is_finished) {
            if let Some(task) = attempt.task.take() {
                row = attempt.ended(id, task.await);
            }
        }
        if row.is_none() && left <= LAST {
            // Who is accused of something private has to hand it over. What is public says nothing when it is not to be had.
            let vote = match (case.subject.is_private(), attempt.is_theirs) {
                (true, true) => Some(Vote::Wrong),
                (true, false) => None,
                (false, _) => Some(Vote::Right),
            };
            if let Some(vote) = vote {
                row = Some(seat_row(vote, Computed::Missing([]))?);
            }
        }
        if row.is_none() && attempt.task.is_none() && attempt.next.is_none_or(|next| next <= Instant::now()) {
            let question = Question {
                worker: self.worker.clone(),
                id,
                case: case.clone(),
                fetching: self.fetching.clone(),
                computing: self.computing.clone(),
            };
            attempt.task = Some(tokio::spawn(async move { question.decide().await }));
        }
        if let Some(row) = &row {
            self.worker.db.set_seat(id, row)?;
            attempts.remove(&id);
        }
        Ok(row)
    }
}

impl Attempt {
    fn ended(
        &mut self,
        id: u64,
        done: std::result::Result<Tried<SeatRow>, tokio::task::JoinError>,
    ) -> Option<SeatRow> {
        let lack = match done {
            Ok(Ok(row)) => return Some(row),
            Ok(Err(lack)) => lack,
            Err(panic) => Lack::Own(Error::part("recomputing", panic)),
        };
        self.next = Some(Instant::now() + pause(self.failures));
        self.failures = self.failures.saturating_add(1);
        let error = match lack {
            Lack::Accused(error) => {
                self.is_theirs = true;
                error
            }
            Lack::Own(error) => {
                self.is_theirs = false;
                error
            }
        };
        let said = error.to_string();
        if said != self.said {
            tracing::warn!(case = id, error = said, "what a seat takes is not to be had");
            self.said = said;
        }
        None
    }
}

/// How long to wait after so many failures in a row before.
fn pause(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.min(LONGEST))
}

fn seat_row(vote: Vote, computed: Computed) -> Result<SeatRow> {
    let mut salt = [0; 32];
    getrandom::fill(&mut salt).map_err(|error| Error::part("random numbers", error))?;
    Ok(SeatRow { vote, computed, salt })
}

/// What one seat has to answer.
struct Question {
    worker: Arc<Worker>,
    id: u64,
    case: Case<Account>,
    fetching: Arc<Mutex<()>>,
    computing: Arc<Mutex<()>>,
}

impl Question {
    async fn decide(&self) -> Tried<SeatRow> {
        let id = self.id;
        let claim: Vec<u8> = ledger::read(&*self.worker.ledger, storage::claim(id), Head::Best)
            .await?
            .value
            .ok_or_else(|| Error::Missing(format!("the chain has no claim of case {id}")))?;
        let claim = Claim::decode_all(&mut claim.as_slice()).map_err(|error| {
            Error::Setup(format!(
                "the claim of case {id} does not read ({error}): update the worker"
            ))
        })?;
        let computed = self.compute(&claim).await?;
        let vote = claim
            .vote(&computed)
            .ok_or_else(|| Error::Internal(format!("what was computed is no answer to case {id}")))?;
        Ok(seat_row(vote, computed)?)
    }

    async fn compute(&self, claim: &Claim) -> Tried<Computed> {
        let unfit = || {
            Error::Setup(format!(
                "the claim of case {} is of another kind than its subject: update the worker",
                self.id
            ))
        };
        let accused = ledger::worker(&*self.worker.ledger, self.case.accused, Head::Best).await?;
        let url = String::from_utf8_lossy(&accused.endpoint).into_owned();
        match (self.case.subject, claim) {
            (Subject::Row { index, row }, Claim::Sketch(claim)) => {
                let served = self.served(&url, &index).await?;
                let gradients = self.rows(&url, &served, BTreeSet::from([row])).await?;
                let gradient = gradients.get(&row).ok_or_else(unfit)?;
                Ok(lanes(&served.index.recomputed(&claim.sketch, gradient)?.lanes))
            }
            (Subject::Basis { index, module }, Claim::Spectra(_)) => {
                let served = self.served(&url, &index).await?;
                let drawn = drawn_rows(&served.index.header().seed, served.index.rows());
                // At most 4,096 rows of 32 KiB lanes: half a gigabyte.
                let gradients = self.rows(&url, &served, drawn).await?;
                let own = self.compute_on(move || {
                    let read = |row: u64| {
                        let gradient = gradients.get(&row).cloned();
                        gradient.ok_or_else(|| {
                            openledger_influence::Error::Wrong(format!("row {row} was not drawn"))
                        })
                    };
                    Ok(served.index.recompute_bases(read, available_threads())?)
                });
                let own = own
                    .await?
                    .into_iter()
                    .nth(usize::from(module))
                    .ok_or_else(unfit)?;
                Ok(Computed::Spectra(OwnSpectra {
                    diagonal: own.left && own.right,
                    spectra: own.spectra,
                }))
            }
            (Subject::Query { batch, source }, Claim::Sketch(claim)) => {
                let (receipt, texts) = self.handed(&url, batch, source).await?;
                let served = self.served(&url, &receipt.terms.index).await?;
                let sketch = claim.sketch.clone();
                let work = move || {
                    let gradient = gradient(&served, &texts.prompt, &texts.outputs())?;
                    Ok(lanes(&served.index.recomputed(&sketch, &gradient)?.lanes))
                };
                self.compute_on(work).await
            }
            (Subject::Row { .. } | Subject::Basis { .. } | Subject::Query { .. }, _) => Err(unfit().into()),
            (subject @ (Subject::Training { .. } | Subject::Ranks { .. } | Subject::Output { .. }), _) => {
                Err(Lack::Own(Error::Setup(format!(
                    "this program cannot recompute {subject:?}: it has nothing to say in case {}",
                    self.id
                ))))
            }
        }
    }

    /// Computes behind answers and attributions.
    async fn compute_on<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Tried<T> {
        let _alone = self.computing.lock().await;
        let own = self.worker.clone();
        let done = tokio::task::spawn_blocking(move || own.working.install(work)).await;
        Ok(done.map_err(|error| Error::part("recomputing", error))??)
    }

    /// Fetches on a thread of its own: fetching blocks.
    async fn fetch<F, T>(&self, fetch: F) -> Tried<T>
    where
        F: AsyncFnOnce() -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let runtime = Handle::current();
        let done = tokio::task::spawn_blocking(move || runtime.block_on(fetch())).await;
        done.map_err(|error| Error::part("fetching", error))?
            .map_err(Lack::Accused)
    }

    /// The generation behind an index, fetched from the accused if it is not here.
    async fn served(&self, url: &str, index: &Hash) -> Tried<Arc<Served>> {
        let worker = &self.worker;
        if let Some(served) = worker.serving.by_index(index) {
            return Ok(served);
        }
        let _alone = self.fetching.lock().await;
        let header = ledger::index(&*worker.ledger, *index, Head::Best).await?.header;
        let which = (header.model, header.generation);
        let ordered = jobs::ordered(worker, which).await?;
        let is_of_it = |model: &crate::db::ModelRow| model.index == *index;
        let is_here = worker.db.models()?.iter().any(|(_, model)| is_of_it(model));
        if !is_here {
            if ordered.stage != (Stage::Ready { index: *index }) {
                return Err(Lack::Own(Error::NotReady(format!(
                    "generation {}:{} is at {:?} and not at index {}",
                    which.0,
                    which.1,
                    ordered.stage,
                    hex0x(index)
                ))));
            }
            let (own, url) = (worker.clone(), url.to_owned());
            self.fetch(async move || fetch::generation(&own, &url, which.0, which.1).await)
                .await?;
        }
        jobs::activate(worker).await?;
        worker
            .serving
            .by_index(index)
            .ok_or_else(|| Error::NotReady(format!("index {} cannot be used here yet", hex0x(index))).into())
    }

    /// The gradients of an index's rows, from the records on the chain.
    async fn rows(
        &self,
        url: &str,
        served: &Arc<Served>,
        rows: BTreeSet<u64>,
    ) -> Tried<BTreeMap<u64, Gradient>> {
        let generation = jobs::ordered(&self.worker, (served.model, served.generation)).await?;
        let data = self.records(url, &generation).await?;
        let (own, served) = (self.worker.clone(), served.clone());
        self.compute_on(move || {
            let context = jobs::context(&own, &generation);
            let mut units = Units::new(&served.factors, &served.sketcher, data.by_record(), context);
            let gradient = |row: u64| Ok((row, units.gradient(&served.index.unit(row)?)?));
            rows.into_iter().map(gradient).collect()
        })
        .await
    }

    /// The records of a generation, those that are not here fetched from the accused.
    async fn records(&self, url: &str, generation: &Generation<Account>) -> Tried<Dataset> {
        let worker = &self.worker;
        // A seat opens no licensed text: what cannot be read says nothing against anybody.
        let keys = Keyring::none();
        let load = || {
            Dataset::load(
                &*worker.ledger,
                &worker.store,
                &keys,
                &worker.base.tokenizer,
                generation,
            )
        };
        match load().await {
            Err(Error::NotReady(_)) => {
                let _alone = self.fetching.lock().await;
                let (own, url, generation) = (worker.clone(), url.to_owned(), generation.clone());
                self.fetch(async move || fetch::records(&own, &url, &generation).await)
                    .await?;
                Ok(load().await?)
            }
            loaded => Ok(loaded?),
        }
    }

    /// The receipt that a question is about, and the texts behind it, as its worker publishes the one and hands over the others.
    /// Both are checked: the receipt by the batch on the chain, the texts by the receipt.
    async fn handed(&self, url: &str, batch: u64, source: u64) -> Tried<(Receipt, Texts)> {
        let on_chain = ledger::batch(&*self.worker.ledger, batch, Head::Best).await?;
        let (own, id) = (self.worker.clone(), self.id);
        let url = url.trim_end_matches('/').to_owned();
        let work = move || {
            let identity =
                Identity::load(&own.config.data.join(KEY)).map_err(|error| Lack::Own(error.into()))?;
            let not = |what: String| Lack::Accused(Error::NotReady(format!("{url}: {what}")));
            let agent: ureq::Agent = ureq::Agent::config_builder()
                .timeout_global(Some(PATIENCE))
                .build()
                .into();
            let get = |path: String| -> Tried<Vec<u8>> {
                let failed = |error: ureq::Error| not(format!("{path}: {error}"));
                let response = agent.get(format!("{url}{path}")).call().map_err(failed)?;
                let body = response.into_body().into_with_config().limit(MOST).read_to_vec();
                body.map_err(failed)
            };
            let receipt = published(&get(format!("/v1/batches/{batch}"))?, &on_chain, source)
                .ok_or_else(|| not(format!("answer {source} of batch {batch} is not published")))?;
            let sealed = get(format!("/v1/committees/{id}/{}", hex0x(own.account())))?;
            let handed = identity
                .open(&sealed)
                .map_err(|error| not(format!("what is handed over does not open: {error}")))?;
            let handed = Handed::decode_all(&mut handed.as_slice())
                .map_err(|error| not(format!("what is handed over does not read: {error}")))?;
            let config = own.base.net.config();
            let bounds = (config.vocab_size, config.max_position_embeddings);
            let texts = Texts::of(&handed, &receipt, bounds).ok_or_else(|| {
                not(format!(
                    "what is handed over is not what receipt {} commits to",
                    hex0x(receipt.hash())
                ))
            })?;
            Ok((receipt, texts))
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Error::part("fetching texts", error))?
    }
}

/// Lanes as they are revealed. Beyond 128 all are alike, so nothing is lost.
fn lanes(found: &[i32]) -> Computed {
    let narrow = |lane: &i32| i16::try_from(*lane).unwrap_or(if *lane < 0 { i16::MIN } else { i16::MAX });
    Computed::Lanes(found.iter().map(narrow).collect())
}

/// The texts behind an answer.
#[derive(Debug, PartialEq)]
struct Texts {
    prompt: Vec<u32>,
    /// Of all choices, one after the other.
    output: Vec<u32>,
    choices: Vec<usize>,
}

impl Texts {
    /// What was handed over, if that is what the receipt commits to and a model with so many tokens and positions can have read and
    /// given it.
    fn of(handed: &Handed, receipt: &Receipt, (vocabulary, context): (usize, usize)) -> Option<Self> {
        let terms = &receipt.terms;
        let is_right = root_hash(&handed.prompt).ok()? == terms.prompt
            && root_hash(&handed.output).ok()? == receipt.output
            && keccak(&[&handed.parameters]) == terms.parameters;
        let parameters = Parameters::parse(&handed.parameters).ok().filter(|_| is_right)?;
        let tokens = |chunks: &[TextLeaf]| -> Vec<u32> {
            chunks
                .iter()
                .flat_map(|chunk| chunk.tokens.iter().copied())
                .collect()
        };
        let texts = Self {
            prompt: tokens(&handed.prompt),
            output: tokens(&handed.output),
            choices: handed.choices.iter().map(|tokens| *tokens as usize).collect(),
        };
        let longest = texts.choices.iter().copied().max()?;
        let all = texts
            .choices
            .iter()
            .try_fold(0usize, |sum, tokens| sum.checked_add(*tokens))?;
        let is_possible = texts.choices.len() == parameters.n as usize
            && longest <= parameters.max_tokens as usize
            && all == texts.output.len()
            && texts.prompt.len().checked_add(longest)? <= context
            && texts
                .prompt
                .iter()
                .chain(&texts.output)
                .all(|token| (*token as usize) < vocabulary);
        is_possible.then_some(texts)
    }

    /// The tokens of each choice.
    fn outputs(&self) -> Vec<&[u32]> {
        let mut rest = self.output.as_slice();
        let own = |tokens: &usize| {
            let (own, further) = rest.split_at(*tokens);
            rest = further;
            own
        };
        self.choices.iter().map(own).collect()
    }
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

#[cfg(test)]
mod tests;

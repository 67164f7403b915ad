//! Seats in committees: what only floating point can tell is recomputed, committed to, revealed.
//!
//! ```text
//! seated ─▶ recomputed from public data, or from what the accused hands over ─▶ stored ─▶ committed ─▶ revealed
//! ```
//!
//! A member's vote, numbers and salt are stored before they are committed to, so that a kill in between changes nothing: without
//! them it could not reveal, and silence costs bond. Text that an accused hands over is in memory while it is needed and
//! nowhere else.

mod question;
mod texts;

use crate::{
    audit::{push, Turn},
    db::SeatRow,
    error::{Error, Result},
    ledger::{self, Head},
    state::Worker,
};
use openledger_attribution::{
    committee::{vote_hash, Computed, Vote},
    wire::Object,
};
use openledger_protocol::{
    calls,
    committees::{Case, CaseStage, Progress, Seat},
    storage, Account, Hash,
};
use question::Question;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
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

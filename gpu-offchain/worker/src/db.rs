//! What must survive a kill: one redb file. A write is on disk when its function returns.
//!
//! Rows are a version byte and SCALE. What belongs together (a receipt and the state of its channel, a batch and the
//! receipts it takes) is written in one transaction, so that no kill can part it.

use crate::error::{Error, Result};
use codec::{Decode, DecodeAll, Encode};
use openledger_attribution::{
    attribution::Attribution,
    batch::{
        BatchHeader, ChannelLeaf, CreditLeaf, CreditsHeader, DrawLeaf, Ledger as Credits, PartLeaf,
        ReceiptLeaf,
    },
    committee::{Computed, Vote},
    hash::NONE,
    receipt::Receipt,
    sketch::Sketch,
    voucher::{Signature, Terms, Voucher},
};
use openledger_protocol::{
    channels::ChannelClaim,
    compute::{hook::Assigned, Outcome},
    Account, Hash,
};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use std::path::Path;

const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const JOBS: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("jobs");
const MODELS: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("models");
const ANSWERS: TableDefinition<[u8; 32], &[u8]> = TableDefinition::new("answers");
/// Vouchers of answers without a receipt yet.
const UNATTRIBUTED: TableDefinition<[u8; 32], ()> = TableDefinition::new("unattributed");
const RECEIPTS: TableDefinition<[u8; 32], &[u8]> = TableDefinition::new("receipts");
/// Receipts in the order they were signed.
const ORDER: TableDefinition<u64, [u8; 32]> = TableDefinition::new("order");
/// Numbers (of [`ORDER`]) of receipts that no batch has.
const UNBATCHED: TableDefinition<u64, ()> = TableDefinition::new("unbatched");
const CHANNELS: TableDefinition<u64, &[u8]> = TableDefinition::new("channels");
const BATCHES: TableDefinition<u64, &[u8]> = TableDefinition::new("batches");
/// Batches that are not closed.
const ACTIVE: TableDefinition<u64, ()> = TableDefinition::new("active");
/// Number of a batch on the chain, to its number here.
const ON_CHAIN: TableDefinition<u64, u64> = TableDefinition::new("on_chain");

/// What the draws of a sampled batch were answered with, by the batch's number here.
const DRAWS: TableDefinition<u64, &[u8]> = TableDefinition::new("draws");

/// Sampling parameters of answers, by voucher, as they are hashed.
const PARAMETERS: TableDefinition<[u8; 32], &[u8]> = TableDefinition::new("parameters");
/// What this worker has to reveal in committees, by case.
const SEATS: TableDefinition<u64, &[u8]> = TableDefinition::new("seats");

/// Layout of this file. An older one is migrated or refused.
const FORMAT: u32 = 1;
const ROW: u8 = 1;
/// Version of an answer's row.
const ANSWER: u8 = 2;

/// A job that was assigned to this worker.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct JobRow {
    /// What to do.
    pub assigned: Assigned,
    /// Where it stands.
    pub state: JobState,
}

/// Where a job stands.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum JobState {
    /// To be done, or being done: a kill does not matter.
    Waiting,
    /// Done; the hook delivers it.
    Done(Box<Outcome>),
    /// Cannot be done.
    Failed(String),
    /// The chain no longer wants it from this worker.
    Dropped,
}

/// A generation whose adapter and index are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ModelRow {
    /// Hash of the adapter, and name of its folder.
    pub adapter: Hash,
    /// Hash of the index header, and name of its folder.
    pub index: Hash,
}

/// An answer that was given, perhaps without its receipt yet.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct AnswerRow {
    /// What the consumer signed.
    pub voucher: Voucher,
    /// Its signature.
    pub signature: Signature,
    /// What was ordered.
    pub terms: Terms,
    /// The consumer's secret that salts the texts.
    pub salt: Hash,
    /// Tokens of the prompt.
    pub prompt: Vec<u32>,
    /// Tokens of the answer: those of its choices, one choice after the other.
    pub output: Vec<u32>,
    /// Its choices.
    pub choices: Vec<ChoiceRow>,
    /// Its receipt, once there is one.
    pub receipt: Option<Hash>,
}

/// One choice of an answer.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct ChoiceRow {
    /// How many tokens of the answer it has.
    pub tokens: u32,
    /// Why it ended: `stop`, `length` or `cancelled`.
    pub finish: String,
    /// Its tokens' probabilities, if they were asked for.
    pub probabilities: Option<Vec<Probability>>,
}

/// How likely a token was.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Probability {
    /// The token.
    pub token: u32,
    /// Logarithm of its probability under the model.
    pub logprob: f32,
    /// The likeliest tokens in its place, the likeliest first.
    pub top: Vec<(u32, f32)>,
}

impl AnswerRow {
    /// The tokens of each choice.
    pub fn outputs(&self) -> Vec<&[u32]> {
        let mut rest = self.output.as_slice();
        let mut outputs = Vec::with_capacity(self.choices.len());
        for choice in &self.choices {
            let length = usize::try_from(choice.tokens)
                .unwrap_or(usize::MAX)
                .min(rest.len());
            let (own, further) = rest.split_at(length);
            outputs.push(own);
            rest = further;
        }
        outputs
    }

    /// Reads a row, also of the version before answers had choices.
    fn parse(bytes: &[u8]) -> Result<Self> {
        let [1, rest @ ..] = bytes else {
            return parse_version(bytes, ANSWER);
        };
        let old = AnswerRow1::decode_all(&mut &*rest).map_err(|error| damaged(&error.to_string()))?;
        let choice = ChoiceRow {
            tokens: u32::try_from(old.output.len()).unwrap_or(u32::MAX),
            finish: old.finish,
            probabilities: None,
        };
        Ok(Self {
            voucher: old.voucher,
            signature: old.signature,
            terms: old.terms,
            salt: old.salt,
            prompt: old.prompt,
            output: old.output,
            choices: vec![choice],
            receipt: old.receipt,
        })
    }
}

/// [`AnswerRow`] in version 1.
#[derive(Encode, Decode)]
struct AnswerRow1 {
    voucher: Voucher,
    signature: Signature,
    terms: Terms,
    salt: Hash,
    prompt: Vec<u32>,
    output: Vec<u32>,
    finish: String,
    receipt: Option<Hash>,
}

/// A signed receipt and what it rests on.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct ReceiptRow {
    /// Its number, from 0.
    pub number: u64,
    /// Unix seconds when it was signed.
    pub signed: u64,
    /// The receipt.
    pub receipt: Receipt,
    /// The worker's signature.
    pub signature: [u8; 64],
    /// Its attribution; names no query until a deferred receipt is drawn.
    pub attribution: Attribution,
    /// The query sketch behind it.
    pub query: Sketch,
    /// The batch here that took it.
    pub batch: Option<u64>,
}

impl ReceiptRow {
    /// Whether what shaped the answer was computed.
    pub fn is_attributed(&self) -> bool {
        self.attribution.query != NONE
    }
}

/// What a committee's member computed, to be committed to and then revealed.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct SeatRow {
    /// Its vote.
    pub vote: Vote,
    /// What it computed.
    pub computed: Computed,
    /// Hides both until they are revealed.
    pub salt: Hash,
}

/// How far a channel's answers have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ChannelRow {
    /// Cumulative planck of its receipts.
    pub accepted: u128,
    /// The last receipt.
    pub previous: Hash,
}

/// Where a batch stands, as far as this worker knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum BatchState {
    /// Made, and perhaps submitted: the chain is looked at before it is submitted (again).
    Prepared,
    /// In a block, under this number.
    Submitted(u64),
    /// In a final block.
    Open(u64),
    /// Settled and everybody credited.
    Credited(u64),
    /// Proved wrong.
    Condemned(u64),
}

impl BatchState {
    /// The batch's number on the chain.
    pub fn id(&self) -> Option<u64> {
        match self {
            Self::Prepared => None,
            Self::Submitted(id) | Self::Open(id) | Self::Credited(id) | Self::Condemned(id) => Some(*id),
        }
    }
}

/// A batch: everything that is submitted and everything a watcher needs.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct BatchRow {
    /// The chain's next batch when it was made: it can only be there or later.
    pub from: u64,
    /// The receipts' commitment.
    pub header: BatchHeader,
    /// The credits' commitment.
    pub credits_header: CreditsHeader,
    /// What each channel pays.
    pub claims: Vec<ChannelClaim>,
    /// Leaves of the channels.
    pub channels: Vec<ChannelLeaf>,
    /// Leaves of the receipts.
    pub receipts: Vec<ReceiptLeaf>,
    /// Leaves of the parts.
    pub parts: Vec<PartLeaf>,
    /// Leaves of the credits.
    pub credits: Vec<CreditLeaf>,
    /// Where it stands.
    pub state: BatchState,
}

/// The database.
pub struct Db {
    inner: Database,
}

fn row(value: &impl Encode) -> Vec<u8> {
    row_version(value, ROW)
}

fn row_version(value: &impl Encode, version: u8) -> Vec<u8> {
    let mut bytes = vec![version];
    value.encode_to(&mut bytes);
    bytes
}

fn damaged(why: &str) -> Error {
    Error::Setup(format!(
        "a row of the worker's database is damaged ({why}): restore a backup"
    ))
}

fn parse<T: Decode>(bytes: &[u8]) -> Result<T> {
    parse_version(bytes, ROW)
}

fn parse_version<T: Decode>(bytes: &[u8], version: u8) -> Result<T> {
    match bytes.split_first() {
        Some((first, mut rest)) if *first == version => {
            T::decode_all(&mut rest).map_err(|error| damaged(&error.to_string()))
        }
        Some((other, _)) => Err(damaged(&format!("version {other}"))),
        None => Err(damaged("empty")),
    }
}

fn numbered<V: redb::Value + 'static>(table: &impl ReadableTable<u64, V>) -> Result<u64> {
    Ok(table.last()?.map_or(0, |(last, _)| last.value() + 1))
}

impl Db {
    /// Opens or makes the file. It belongs to one chain and one account: another's is refused.
    pub fn open(path: &Path, genesis: &Hash, account: &Account) -> Result<Self> {
        let inner = Database::create(path).map_err(|error| Error::file("open", path, error))?;
        let db = Self { inner };
        db.write(|tx| {
            // All tables exist from the start, so that reading never meets a missing one.
            tx.open_table(JOBS)?;
            tx.open_table(MODELS)?;
            tx.open_table(ANSWERS)?;
            tx.open_table(UNATTRIBUTED)?;
            tx.open_table(RECEIPTS)?;
            tx.open_table(ORDER)?;
            tx.open_table(UNBATCHED)?;
            tx.open_table(CHANNELS)?;
            tx.open_table(BATCHES)?;
            tx.open_table(ACTIVE)?;
            tx.open_table(ON_CHAIN)?;
            tx.open_table(DRAWS)?;
            tx.open_table(PARAMETERS)?;
            tx.open_table(SEATS)?;
            let mut meta = tx.open_table(META)?;
            let expected: [(&str, &[u8], &str); 3] = [
                ("format", &FORMAT.to_be_bytes(), "another version of this program"),
                ("genesis", genesis, "another chain"),
                ("account", account, "another worker account"),
            ];
            for (key, value, whose) in expected {
                let stored = meta.get(key)?.map(|stored| stored.value().to_vec());
                match stored {
                    None => {
                        meta.insert(key, value)?;
                    }
                    Some(stored) if stored == value => {}
                    Some(stored) => {
                        return Err(Error::Setup(format!(
                            "{} belongs to {whose}: its {key} is 0x{}, not 0x{}; use another --data folder",
                            path.display(),
                            hex::encode(stored),
                            hex::encode(value)
                        )))
                    }
                }
            }
            Ok(())
        })?;
        Ok(db)
    }

    /// One durable transaction; nothing of it happens if `work` fails.
    fn write<T>(&self, work: impl FnOnce(&WriteTransaction) -> Result<T>) -> Result<T> {
        let tx = self.inner.begin_write()?;
        let result = work(&tx)?;
        tx.commit()?;
        Ok(result)
    }

    fn get<K: redb::Key + 'static, T: Decode>(
        &self,
        table: TableDefinition<K, &[u8]>,
        key: K::SelfType<'_>,
    ) -> Result<Option<T>> {
        let table = self.inner.begin_read()?.open_table(table)?;
        let found = table.get(key)?;
        found.map(|bytes| parse(bytes.value())).transpose()
    }

    // ---- jobs

    /// Stores a job unless it is there as it is. One that was assigned again otherwise (after a reorganisation) is to be
    /// done again, and a result of the same task, of this or an earlier attempt, is kept.
    pub fn add_job(&self, assigned: &Assigned) -> Result<bool> {
        self.write(|tx| {
            let mut jobs = tx.open_table(JOBS)?;
            let mut state = JobState::Waiting;
            for earlier in jobs.range((assigned.job, 0)..=(assigned.job, assigned.attempt))? {
                let earlier: JobRow = parse(earlier?.1.value())?;
                if earlier.assigned == *assigned {
                    return Ok(false);
                }
                if earlier.assigned.task == assigned.task && matches!(earlier.state, JobState::Done(_)) {
                    state = earlier.state;
                }
            }
            let key = (assigned.job, assigned.attempt);
            jobs.insert(
                key,
                row(&JobRow {
                    assigned: assigned.clone(),
                    state,
                })
                .as_slice(),
            )?;
            Ok(true)
        })
    }

    /// Stores where a job stands.
    pub fn set_job(&self, job: &JobRow) -> Result<()> {
        self.write(|tx| {
            let key = (job.assigned.job, job.assigned.attempt);
            tx.open_table(JOBS)?.insert(key, row(job).as_slice())?;
            Ok(())
        })
    }

    /// A job's attempt.
    pub fn job(&self, job: u64, attempt: u32) -> Result<Option<JobRow>> {
        self.get(JOBS, (job, attempt))
    }

    /// All jobs, by number and attempt.
    pub fn jobs(&self) -> Result<Vec<JobRow>> {
        let table = self.inner.begin_read()?.open_table(JOBS)?;
        let rows = table.iter()?.map(|entry| parse(entry?.1.value()));
        rows.collect()
    }

    // ---- models

    /// Stores that a generation's adapter and index are here.
    pub fn set_model(&self, model: u64, generation: u32, entry: &ModelRow) -> Result<()> {
        self.write(|tx| {
            tx.open_table(MODELS)?
                .insert((model, generation), row(entry).as_slice())?;
            Ok(())
        })
    }

    /// All of them.
    pub fn models(&self) -> Result<Vec<((u64, u32), ModelRow)>> {
        let table = self.inner.begin_read()?.open_table(MODELS)?;
        let rows = table.iter()?.map(|entry| {
            let (key, value) = entry?;
            Ok((key.value(), parse(value.value())?))
        });
        rows.collect()
    }

    // ---- answers and receipts

    /// Stores an answer that was given and waits for its receipt, and how it was sampled, as that is hashed into its terms.
    pub fn add_answer(&self, voucher: &Hash, answer: &AnswerRow, parameters: &[u8]) -> Result<()> {
        self.write(|tx| {
            tx.open_table(PARAMETERS)?.insert(*voucher, parameters)?;
            tx.open_table(ANSWERS)?
                .insert(*voucher, row_version(answer, ANSWER).as_slice())?;
            tx.open_table(UNATTRIBUTED)?.insert(*voucher, ())?;
            Ok(())
        })
    }

    /// An answer by the hash of its voucher.
    pub fn answer(&self, voucher: &Hash) -> Result<Option<AnswerRow>> {
        let table = self.inner.begin_read()?.open_table(ANSWERS)?;
        let found = table.get(*voucher)?;
        found.map(|bytes| AnswerRow::parse(bytes.value())).transpose()
    }

    /// Vouchers of the answers that wait for their receipts.
    pub fn unattributed(&self) -> Result<Vec<Hash>> {
        let table = self.inner.begin_read()?.open_table(UNATTRIBUTED)?;
        let vouchers = table.iter()?.map(|entry| Ok(entry?.0.value()));
        vouchers.collect()
    }

    /// Stores a receipt, gives its answer and its channel to it, and numbers it, all at once. A second receipt for an
    /// answer, or one that does not continue its channel, is refused.
    pub fn add_receipt(&self, voucher: &Hash, mut receipt: ReceiptRow) -> Result<Hash> {
        use openledger_attribution::wire::Object;
        let hash = receipt.receipt.hash();
        let channel = receipt.receipt.voucher.channel;
        self.write(|tx| {
            let mut answers = tx.open_table(ANSWERS)?;
            let stored = answers
                .get(*voucher)?
                .map(|bytes| AnswerRow::parse(bytes.value()))
                .transpose()?;
            let mut answer = stored
                .ok_or_else(|| Error::Internal("a receipt for an answer that was not stored".into()))?;
            if let Some(other) = answer.receipt {
                return Err(Error::Conflict(format!(
                    "the answer has the receipt 0x{} already",
                    hex::encode(other)
                )));
            }
            let mut channels = tx.open_table(CHANNELS)?;
            let state = channels
                .get(channel)?
                .map(|bytes| parse::<ChannelRow>(bytes.value()))
                .transpose()?;
            let own = &receipt.receipt.voucher;
            // The voucher was checked against this row, or against the chain where that is ahead of a restored backup.
            let stale = |state: ChannelRow| {
                state.accepted > own.accepted
                    || state.accepted == own.accepted && state.previous != own.previous
            };
            if state.is_some_and(stale) {
                return Err(Error::Conflict(format!(
                    "channel {channel} has moved on since the voucher was accepted"
                )));
            }
            let accepted = receipt
                .receipt
                .cumulative()
                .ok_or_else(|| Error::Internal("a channel's sum passes 2^128 planck".into()))?;
            channels.insert(
                channel,
                row(&ChannelRow {
                    accepted,
                    previous: hash,
                })
                .as_slice(),
            )?;

            answer.receipt = Some(hash);
            answers.insert(*voucher, row_version(&answer, ANSWER).as_slice())?;
            tx.open_table(UNATTRIBUTED)?.remove(*voucher)?;

            let mut order = tx.open_table(ORDER)?;
            receipt.number = numbered(&order)?;
            receipt.batch = None;
            order.insert(receipt.number, hash)?;
            tx.open_table(UNBATCHED)?.insert(receipt.number, ())?;
            tx.open_table(RECEIPTS)?.insert(hash, row(&receipt).as_slice())?;
            Ok(hash)
        })
    }

    /// A receipt by its hash.
    pub fn receipt(&self, hash: &Hash) -> Result<Option<ReceiptRow>> {
        self.get(RECEIPTS, *hash)
    }

    /// The newest receipts, newest first.
    pub fn newest_receipts(&self, limit: usize) -> Result<Vec<(Hash, ReceiptRow)>> {
        let tx = self.inner.begin_read()?;
        let (order, receipts) = (tx.open_table(ORDER)?, tx.open_table(RECEIPTS)?);
        let mut found = Vec::new();
        for entry in order.iter()?.rev().take(limit) {
            let hash = entry?.1.value();
            if let Some(bytes) = receipts.get(hash)? {
                found.push((hash, parse(bytes.value())?));
            }
        }
        Ok(found)
    }

    /// Receipts that no batch has, oldest first, at most `limit`.
    pub fn unbatched(&self, limit: usize) -> Result<Vec<(Hash, ReceiptRow)>> {
        let tx = self.inner.begin_read()?;
        let (order, receipts) = (tx.open_table(ORDER)?, tx.open_table(RECEIPTS)?);
        let mut found = Vec::new();
        for entry in tx.open_table(UNBATCHED)?.iter()?.take(limit) {
            let Some(hash) = order.get(entry?.0.value())?.map(|hash| hash.value()) else {
                continue;
            };
            if let Some(bytes) = receipts.get(hash)? {
                found.push((hash, parse(bytes.value())?));
            }
        }
        Ok(found)
    }

    /// Stores what shaped a drawn answer.
    pub fn set_attribution(&self, receipt: &Hash, attribution: &Attribution, query: &Sketch) -> Result<()> {
        self.write(|tx| {
            let mut receipts = tx.open_table(RECEIPTS)?;
            let stored = receipts
                .get(*receipt)?
                .map(|bytes| parse::<ReceiptRow>(bytes.value()))
                .transpose()?;
            let mut stored = stored
                .ok_or_else(|| Error::Internal("an attribution of a receipt that is not stored".into()))?;
            (stored.attribution, stored.query) = (attribution.clone(), query.clone());
            receipts.insert(*receipt, row(&stored).as_slice())?;
            Ok(())
        })
    }

    /// How far a channel's answers have come; nothing before its first.
    pub fn channel(&self, channel: u64) -> Result<Option<ChannelRow>> {
        self.get(CHANNELS, channel)
    }

    // ---- batches

    /// Stores a batch and its receipts, in one go: they are those of its leaves, and belong to it from then on. Returns its
    /// number here.
    pub fn add_batch(&self, batch: &BatchRow, receipts: &[ReceiptRow]) -> Result<u64> {
        use openledger_attribution::wire::Object;
        self.write(|tx| {
            let mut batches = tx.open_table(BATCHES)?;
            let number = numbered(&batches)?;
            let mut table = tx.open_table(RECEIPTS)?;
            let mut unbatched = tx.open_table(UNBATCHED)?;
            for receipt in receipts {
                let hash = receipt.receipt.hash();
                if unbatched.remove(receipt.number)?.is_none() {
                    return Err(Error::Internal(format!(
                        "receipt 0x{} is in a batch already",
                        hex::encode(hash)
                    )));
                }
                let mut receipt = receipt.clone();
                receipt.batch = Some(number);
                table.insert(hash, row(&receipt).as_slice())?;
            }
            batches.insert(number, row(batch).as_slice())?;
            tx.open_table(ACTIVE)?.insert(number, ())?;
            Ok(number)
        })
    }

    /// Stores what the draws of a sampled batch are answered with.
    pub fn set_credits(&self, number: u64, credits: &Credits) -> Result<()> {
        self.write(|tx| {
            let mut batches = tx.open_table(BATCHES)?;
            let stored = batches
                .get(number)?
                .map(|bytes| parse::<BatchRow>(bytes.value()))
                .transpose()?;
            let mut batch = stored.ok_or_else(|| Error::Internal(format!("batch {number} is not stored")))?;
            batch.credits_header = credits.header;
            batch.parts = credits.parts.clone();
            batch.credits = credits.credits.clone();
            batches.insert(number, row(&batch).as_slice())?;
            tx.open_table(DRAWS)?
                .insert(number, row(&credits.answers).as_slice())?;
            Ok(())
        })
    }

    /// What the draws of a sampled batch were answered with; nothing for others.
    pub fn draws(&self, number: u64) -> Result<Vec<DrawLeaf>> {
        Ok(self.get(DRAWS, number)?.unwrap_or_default())
    }

    /// Stores where a batch stands.
    pub fn set_batch(&self, number: u64, state: BatchState) -> Result<()> {
        self.write(|tx| {
            let mut batches = tx.open_table(BATCHES)?;
            let stored = batches
                .get(number)?
                .map(|bytes| parse::<BatchRow>(bytes.value()))
                .transpose()?;
            let mut batch = stored.ok_or_else(|| Error::Internal(format!("batch {number} is not stored")))?;
            batch.state = state;
            batches.insert(number, row(&batch).as_slice())?;
            if matches!(state, BatchState::Credited(_) | BatchState::Condemned(_)) {
                tx.open_table(ACTIVE)?.remove(number)?;
            }
            if let Some(id) = state.id() {
                tx.open_table(ON_CHAIN)?.insert(id, number)?;
            }
            Ok(())
        })
    }

    /// A batch by its number here.
    pub fn batch(&self, number: u64) -> Result<Option<BatchRow>> {
        self.get(BATCHES, number)
    }

    /// All batches by their numbers here, newest first, at most `limit`.
    pub fn batches(&self, limit: usize) -> Result<Vec<(u64, BatchRow)>> {
        let table = self.inner.begin_read()?.open_table(BATCHES)?;
        let rows = table.iter()?.rev().take(limit).map(|entry| {
            let (key, value) = entry?;
            Ok((key.value(), parse(value.value())?))
        });
        rows.collect()
    }

    /// The batches that are not closed, oldest first.
    pub fn active_batches(&self) -> Result<Vec<(u64, BatchRow)>> {
        let tx = self.inner.begin_read()?;
        let batches = tx.open_table(BATCHES)?;
        let mut found = Vec::new();
        for entry in tx.open_table(ACTIVE)?.iter()? {
            let number = entry?.0.value();
            if let Some(bytes) = batches.get(number)? {
                found.push((number, parse(bytes.value())?));
            }
        }
        Ok(found)
    }

    /// A batch by its number on the chain, with its number here.
    pub fn batch_on_chain(&self, id: u64) -> Result<Option<(u64, BatchRow)>> {
        let table = self.inner.begin_read()?.open_table(ON_CHAIN)?;
        let Some(number) = table.get(id)?.map(|number| number.value()) else {
            return Ok(None);
        };
        // A batch that a reorganisation moved leaves its old number behind.
        let row = self.batch(number)?.filter(|row| row.state.id() == Some(id));
        Ok(row.map(|row| (number, row)))
    }

    // ---- committees

    /// Stores what a seat has to reveal.
    pub fn set_seat(&self, case: u64, seat: &SeatRow) -> Result<()> {
        self.write(|tx| {
            tx.open_table(SEATS)?.insert(case, row(seat).as_slice())?;
            Ok(())
        })
    }

    /// What a seat has to reveal, once it was computed.
    pub fn seat(&self, case: u64) -> Result<Option<SeatRow>> {
        self.get(SEATS, case)
    }

    /// Every case in which there is something to reveal.
    pub fn seats(&self) -> Result<Vec<u64>> {
        let table = self.inner.begin_read()?.open_table(SEATS)?;
        let cases = table.iter()?.map(|entry| Ok(entry?.0.value()));
        cases.collect()
    }

    /// Forgets what a seat had to reveal.
    pub fn forget_seat(&self, case: u64) -> Result<()> {
        self.write(|tx| {
            tx.open_table(SEATS)?.remove(case)?;
            Ok(())
        })
    }

    /// How an answer was sampled; empty for one of before this was kept.
    pub fn parameters(&self, voucher: &Hash) -> Result<Vec<u8>> {
        let table = self.inner.begin_read()?.open_table(PARAMETERS)?;
        Ok(table
            .get(*voucher)?
            .map_or(Vec::new(), |bytes| bytes.value().to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openledger_attribution::{
        fee::{Mix, Split, Tariff},
        voucher::Mode,
    };

    #[test]
    fn an_answer_of_the_version_before_should_read_as_one_choice() {
        let split = Split {
            platform: 0,
            owner: 0,
            contributors: 10_000,
            stakers: 0,
            compute: 0,
            lineage: 0,
        };
        let mix = Mix {
            influence: 1_000_000_000,
            verbatim: 0,
            retrieval: 0,
        };
        let terms = Terms {
            model: 1,
            generation: 2,
            index: [3; 32],
            tariff: Tariff {
                price_in: 4,
                price_out: 5,
                split,
                mix,
            },
            mode: Mode::Verifiable,
            prompt: [6; 32],
            parameters: [7; 32],
            seed: 8,
        };
        let voucher = Voucher {
            genesis: [9; 32],
            channel: 10,
            accepted: 11,
            previous: [12; 32],
            most: 13,
            expiry: 14,
            terms: [15; 32],
        };
        let old = AnswerRow1 {
            voucher,
            signature: Signature::Sr25519([16; 64]),
            terms,
            salt: [17; 32],
            prompt: vec![18, 19],
            output: vec![20, 21, 22],
            finish: "length".into(),
            receipt: Some([23; 32]),
        };
        let read = AnswerRow::parse(&row(&old)).unwrap();
        assert_eq!(read.outputs(), [&[20, 21, 22]]);
        assert_eq!(
            (read.choices[0].finish.as_str(), read.receipt),
            ("length", Some([23; 32]))
        );
        assert_eq!(AnswerRow::parse(&row_version(&read, ANSWER)).unwrap(), read);
        let newer = AnswerRow::parse(&row_version(&read, 3)).unwrap_err();
        assert!(newer.to_string().contains("version 3"), "{newer}");

        let two = AnswerRow {
            choices: vec![
                ChoiceRow {
                    tokens: 1,
                    ..read.choices[0].clone()
                },
                ChoiceRow {
                    tokens: 2,
                    ..read.choices[0].clone()
                },
            ],
            ..read
        };
        assert_eq!(two.outputs(), [&[20][..], &[21, 22]]);
    }
}

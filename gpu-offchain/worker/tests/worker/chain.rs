//! A chain in a map. It checks of a batch, a settlement and a credit what the pallets check, so that paying twice fails
//! here as it does there, and it can live in a file, so that it outlives a killed worker.

use async_trait::async_trait;
use codec::{Decode, Encode};
use openledger_attribution::{
    batch::{BatchHeader, ChannelLeaf, CreditLeaf, CreditsHeader},
    committee::{vote_hash, Claim, Computed, Subject, Vote},
    hash::keccak,
    tree::{Range, Root, Tree},
    verdict::{self, AuditDraw, BatchFacts, Reveal, RevealFacts, Wanted},
    wire::Object,
};
use openledger_chain::{Key, SignatureChecks};
use openledger_protocol::{
    batches::{Batch, BatchStage, Index},
    channels::{Channel, ChannelClaim},
    committees::{Audit, Case, CaseStage, Progress, Seat},
    disputes::{Committed, Request, Sample},
    storage, Account, Hash,
};
use openledger_worker::{
    ledger::{Block, Head, Ledger},
    Error, Result,
};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        atomic::{AtomicU32, Ordering},
        Mutex, MutexGuard,
    },
};

pub(crate) const GENESIS: Hash = [0x67; 32];
pub(crate) const CHAIN_ID: u64 = 161_299;
const WINDOW: u32 = 5;
/// Blocks of an epoch.
const EPOCH: u32 = 8;
pub(crate) const MIN_CREDIT: u128 = 1_000;
/// What is drawn for every audit.
pub(crate) const RANDOMNESS: Hash = [0x3d; 32];

#[derive(Clone, Default, Encode, Decode)]
struct State {
    number: u32,
    map: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Every call that succeeded, as pallet and call.
    done: Vec<(u8, u8)>,
    refused: u32,
    /// Whether a call is being applied: what it wrote so far is not kept alone.
    #[codec(skip)]
    is_applying: bool,
}

pub(crate) struct FakeChain {
    account: Account,
    file: Option<PathBuf>,
    /// Blocks of a batch's window.
    pub(crate) window: AtomicU32,
    /// Held by the call that is being applied.
    calls: Mutex<()>,
    state: Mutex<State>,
}

/// What is drawn for a sampled batch: its even draws fall near the beginning, its odd ones near the end. A header's hash is random
/// by the signatures in it, so one draw for all would pick other answers each time.
pub(crate) fn alternating(header: &BatchHeader) -> Hash {
    let fifth = header.receipts.sum / 5;
    let falls = |randomness: &Hash| {
        (0..header.draws).all(|n| match (n % 2, header.draw(randomness, n)) {
            (0, place) => place < fifth,
            (_, place) => place >= header.receipts.sum - fifth,
        })
    };
    (0u64..)
        .map(|n| keccak(&[&RANDOMNESS, &n.to_be_bytes()]))
        .find(falls)
        .unwrap()
}

fn refuse<T>(why: &str) -> Result<T> {
    Err(Error::NotReady(format!("dispatch: {why}")))
}

impl FakeChain {
    /// A chain for a worker with this account, kept in `file` if there is one.
    pub(crate) fn new(account: Account, file: Option<PathBuf>) -> Self {
        let stored = file.as_ref().and_then(|file| std::fs::read(file).ok());
        let state = match stored {
            Some(bytes) => State::decode(&mut bytes.as_slice()).unwrap(),
            None => State {
                number: 10,
                ..State::default()
            },
        };
        Self {
            account,
            file,
            window: AtomicU32::new(WINDOW),
            calls: Mutex::new(()),
            state: Mutex::new(state),
        }
    }

    pub(crate) fn is_new(&self) -> bool {
        self.lock().map.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn save(&self, state: &State) {
        if let (Some(file), false) = (&self.file, state.is_applying) {
            let new = file.with_extension("new");
            std::fs::write(&new, state.encode()).unwrap();
            std::fs::rename(&new, file).unwrap();
        }
    }

    pub(crate) fn put(&self, key: Vec<u8>, value: &impl Encode) {
        let mut state = self.lock();
        state.map.insert(key, value.encode());
        self.save(&state);
    }

    pub(crate) fn remove(&self, key: &[u8]) {
        let mut state = self.lock();
        state.map.remove(key);
        self.save(&state);
    }

    pub(crate) fn get<T: Decode>(&self, key: Vec<u8>) -> Option<T> {
        self.lock()
            .map
            .get(&key)
            .map(|bytes| T::decode(&mut bytes.as_slice()).unwrap())
    }

    pub(crate) fn number(&self) -> u32 {
        self.lock().number
    }

    pub(crate) fn advance(&self, blocks: u32) {
        let mut state = self.lock();
        state.number += blocks;
        let epoch = u64::from(state.number / EPOCH);
        state.map.insert(last_epoch(), epoch.encode());
        self.save(&state);
    }

    /// Calls that failed in their block, which cost their fee for nothing.
    pub(crate) fn refused(&self) -> u32 {
        self.lock().refused
    }

    pub(crate) fn calls(&self, pallet: u8, call: u8) -> usize {
        self.lock()
            .done
            .iter()
            .filter(|done| **done == (pallet, call))
            .count()
    }

    /// Applies a call as a whole, also for a process that is killed meanwhile.
    fn apply(&self, call: &[u8]) -> Result<()> {
        let _alone = self.calls.lock().unwrap();
        self.lock().is_applying = true;
        let mut args = &call[2..];
        let done = match (call[0], call[1]) {
            (95, 0) => {
                let header: BatchHeader = Decode::decode(&mut args).unwrap();
                let credits: CreditsHeader = Decode::decode(&mut args).unwrap();
                self.submit_batch(header, credits, Vec::decode(&mut args).unwrap())
            }
            (95, 1) => self.settle(Decode::decode(&mut args).unwrap()),
            (95, 2) => {
                let id = Decode::decode(&mut args).unwrap();
                self.credit(id, Decode::decode(&mut args).unwrap())
            }
            (95, 12) => {
                let source = Decode::decode(&mut args).unwrap();
                let wanted = Decode::decode(&mut args).unwrap();
                self.reveal(source, wanted, Decode::decode(&mut args).unwrap())
            }
            (95, 14) => self.draw(Decode::decode(&mut args).unwrap()),
            (95, 15) => {
                let id = Decode::decode(&mut args).unwrap();
                self.answer_draws(id, Decode::decode(&mut args).unwrap())
            }
            (95, 19) => self.draw_audit(Decode::decode(&mut args).unwrap()),
            (95, 20) => {
                let id = Decode::decode(&mut args).unwrap();
                self.show_audit(id, &Decode::decode(&mut args).unwrap())
            }
            (97, 4) => {
                let case = Decode::decode(&mut args).unwrap();
                self.commit(case, Decode::decode(&mut args).unwrap())
            }
            (97, 5) => {
                let case = Decode::decode(&mut args).unwrap();
                let vote = Decode::decode(&mut args).unwrap();
                let computed = Decode::decode(&mut args).unwrap();
                self.reveal_seat(case, vote, &computed, Decode::decode(&mut args).unwrap())
            }
            (97, 6) => self.close(Decode::decode(&mut args).unwrap()),
            other => panic!("the worker called {other:?}"),
        };
        let mut state = self.lock();
        state.is_applying = false;
        state.number += 1;
        match done {
            Ok(()) => state.done.push((call[0], call[1])),
            Err(_) => state.refused += 1,
        }
        self.save(&state);
        drop(state);
        assert!(args.is_empty() || done.is_err());
        done
    }

    fn submit_batch(
        &self,
        header: BatchHeader,
        credits: CreditsHeader,
        claims: Vec<ChannelClaim>,
    ) -> Result<()> {
        let is_good = if header.is_sampled() {
            credits == no_credits(&header)
        } else {
            credits.check(&header).is_ok()
        };
        if header.worker != self.account
            || header.minimum != MIN_CREDIT
            || header.check().is_err()
            || !is_good
        {
            return refuse("headers");
        }
        let leaves: Vec<ChannelLeaf> = claims.iter().map(|claim| claim.leaf).collect();
        if !leaves.is_sorted_by(|a, b| a.channel < b.channel)
            || Tree::new(&leaves).unwrap().root() != header.channels
        {
            return refuse("claims");
        }
        let mut charged = Vec::new();
        for claim in &claims {
            let leaf = claim.leaf;
            let mut channel: Channel<Account> = self.get(storage::channel(leaf.channel)).unwrap();
            let voucher = &claim.voucher;
            let good = channel.worker == self.account
                && leaf.consumer == channel.consumer
                && voucher.channel == leaf.channel
                && leaf.from == channel.cursor
                && leaf.to > leaf.from
                && leaf.to <= channel.deposit
                && leaf.to >= voucher.accepted
                && leaf.to <= voucher.accepted + voucher.most
                && voucher.genesis == GENESIS
                && voucher.expiry >= u64::from(self.number())
                && voucher.is_signed(&claim.signature, &channel.consumer, CHAIN_ID, &SignatureChecks);
            if !good {
                return refuse("claim");
            }
            channel.cursor = leaf.to;
            channel.last = claim.receipt;
            charged.push((leaf.channel, channel));
        }
        for (id, channel) in charged {
            self.put(storage::channel(id), &channel);
        }
        let id: u64 = self.get(storage::next_batch()).unwrap_or(0);
        self.put(storage::next_batch(), &(id + 1));
        let number = self.number();
        let window = self.window.load(Ordering::Relaxed);
        if header.is_sampled() {
            let epoch = self.get::<u64>(last_epoch()).unwrap_or(0);
            self.put(storage::sample(id), &Sample::Waiting { epoch });
        }
        let batch = Batch {
            worker: self.account,
            header,
            credits,
            submitted: number,
            closes: if header.is_sampled() {
                u32::MAX
            } else {
                number + window
            },
            exposure: 0,
            escrow: header.receipts.sum,
            challenges: 0,
            stage: BatchStage::Open,
        };
        self.put(storage::batch(id), &batch);
        // Somebody asks at once, and a row is drawn for a committee.
        if !header.is_sampled() {
            self.wait_for_audit(id);
            self.ask(Committed::Batch(id), Wanted::Query(0));
        }
        Ok(())
    }

    fn draw(&self, id: u64) -> Result<()> {
        let Some(Sample::Waiting { epoch }) = self.get(storage::sample(id)) else {
            return refuse("no draw");
        };
        if self.get::<u64>(last_epoch()).unwrap_or(0) < epoch + 2 {
            return refuse("not drawn");
        }
        let batch: Batch<Account> = self.get(storage::batch(id)).unwrap();
        let drawn = Sample::Drawn {
            randomness: alternating(&batch.header),
            until: self.number() + 1_000,
        };
        self.put(storage::sample(id), &drawn);
        Ok(())
    }

    fn answer_draws(&self, id: u64, credits: CreditsHeader) -> Result<()> {
        let mut batch: Batch<Account> = self.get(storage::batch(id)).unwrap();
        let Some(Sample::Drawn { randomness, until }) = self.get(storage::sample(id)) else {
            return refuse("not drawn");
        };
        let since = self.number();
        if since > until || credits.check(&batch.header).is_err() {
            return refuse("answer");
        }
        batch.credits = credits;
        batch.closes = since + self.window.load(Ordering::Relaxed);
        self.put(storage::batch(id), &batch);
        self.put(storage::sample(id), &Sample::Answered { randomness, since });
        self.ask(Committed::Batch(id), Wanted::DrawQuery(0));
        self.wait_for_audit(id);
        Ok(())
    }

    fn wait_for_audit(&self, id: u64) {
        let epoch = self.get::<u64>(last_epoch()).unwrap_or(0);
        self.put(storage::audit(id), &Audit::Waiting { epoch });
    }

    fn draw_audit(&self, id: u64) -> Result<()> {
        let Some(Audit::Waiting { epoch }) = self.get(storage::audit(id)) else {
            return refuse("no audit");
        };
        if self.get::<u64>(last_epoch()).unwrap_or(0) < epoch + 2 {
            return refuse("not drawn");
        }
        let drawn = Audit::Drawn {
            randomness: RANDOMNESS,
            until: self.number() + 1_000,
        };
        self.put(storage::audit(id), &drawn);
        Ok(())
    }

    fn show_audit(&self, id: u64, shown: &verdict::Audit) -> Result<()> {
        let Some(Audit::Drawn { randomness, .. }) = self.get(storage::audit(id)) else {
            return refuse("no audit");
        };
        let batch: Batch<Account> = self.get(storage::batch(id)).unwrap();
        let index: Index = self.get(storage::index(batch.header.index)).unwrap();
        let facts = BatchFacts {
            genesis: GENESIS,
            chain_id: CHAIN_ID,
            submitted: batch.submitted.into(),
            minimum: MIN_CREDIT,
            randomness: match self.get(storage::sample(id)) {
                Some(Sample::Answered { randomness, .. }) => Some(randomness),
                _ => None,
            },
            batch: &batch.header,
            credits: Some(&batch.credits),
            index: &index.header,
        };
        let draw = AuditDraw::new(&facts, &randomness).unwrap();
        let audited = match shown.judge(&facts, &draw) {
            Ok(audited) => audited,
            Err(doubt) => return refuse(&doubt.to_string()),
        };
        self.put(audited_key(id), &shown.subject(&audited, id, batch.header.index));
        self.put(storage::audit(id), &Audit::Done);
        Ok(())
    }

    fn commit(&self, id: u64, commitment: Hash) -> Result<()> {
        let mut case: Case<Account> = self.get(storage::case(id)).unwrap();
        let (CaseStage::Committing { until }, Progress::Seated) = (case.stage, case.seats[0].progress) else {
            return refuse("commit");
        };
        case.seats[0].progress = Progress::Committed(commitment);
        case.stage = CaseStage::Revealing { until };
        self.put(storage::case(id), &case);
        Ok(())
    }

    /// Takes a reveal as the pallet does, and keeps the vote in the place of the case.
    fn reveal_seat(&self, id: u64, vote: Vote, computed: &Computed, salt: Hash) -> Result<()> {
        let case: Case<Account> = self.get(storage::case(id)).unwrap();
        let claim: Vec<u8> = self.get(storage::claim(id)).unwrap();
        let claim = <Claim as Decode>::decode(&mut claim.as_slice()).unwrap();
        let seat = case.seats[0];
        let hash = vote_hash(vote, &seat.member, &Object::encode(computed), &salt);
        let is_missing = matches!(computed, Computed::Missing(_));
        if seat.progress != Progress::Committed(hash) || !(is_missing || claim.vote(computed) == Some(vote)) {
            return refuse("reveal");
        }
        self.end_case(id);
        self.put(voted(id), &(vote, is_missing));
        Ok(())
    }

    fn close(&self, id: u64) -> Result<()> {
        let case: Case<Account> = self.get(storage::case(id)).unwrap();
        match case.stage {
            CaseStage::Committing { until } if self.number() > until => {
                self.end_case(id);
                Ok(())
            }
            _ => refuse("close"),
        }
    }

    fn end_case(&self, id: u64) {
        let mut seats: Vec<u64> = self.get(storage::seats_of(self.account)).unwrap();
        seats.retain(|other| *other != id);
        self.put(storage::seats_of(self.account), &seats);
        self.remove(&storage::case(id));
    }

    /// What a committee would be asked about what was shown of a batch.
    pub(crate) fn shown_of(&self, batch: u64) -> Option<Subject> {
        self.get::<Option<Subject>>(audited_key(batch)).flatten()
    }

    /// What was revealed of a case: the vote, and whether nothing could be computed.
    pub(crate) fn vote(&self, id: u64) -> Option<(Vote, bool)> {
        self.get(voted(id))
    }

    /// Puts a case before a committee of this chain's one worker, which is also accused.
    pub(crate) fn open_case(
        &self,
        id: u64,
        subject: Subject,
        claim: &Claim,
        change: impl FnOnce(&mut Case<Account>),
    ) {
        let mut case = Case::<Account> {
            subject,
            accused: self.account,
            payer: self.account,
            parties: Default::default(),
            need: Default::default(),
            since: 1,
            is_audit: false,
            size: 1,
            quorum: 1,
            round: 0,
            price: 0,
            stake: 0,
            silence: 0,
            held: 0,
            answers: 0,
            seats: vec![Seat {
                member: self.account,
                round: 0,
                progress: Progress::Seated,
            }]
            .try_into()
            .unwrap(),
            stage: CaseStage::Committing {
                until: self.number() + 10_000,
            },
        };
        change(&mut case);
        let next: u64 = self.get(storage::next_case()).unwrap_or(0);
        self.put(storage::next_case(), &next.max(id + 1));
        self.put(storage::claim(id), &Encode::encode(claim));
        self.put(storage::case(id), &case);
        let mut seats: Vec<u64> = self.get(storage::seats_of(self.account)).unwrap_or_default();
        seats.push(id);
        self.put(storage::seats_of(self.account), &seats);
    }

    /// Somebody asks for data and has plenty of time.
    pub(crate) fn ask(&self, source: Committed, wanted: Wanted) {
        let request = Request::<Account> {
            who: [0xA5; 32],
            price: 1,
            until: self.number() + 10_000,
        };
        self.put(storage::request(source, wanted), &request);
        let open = self.asked(&source);
        self.put(open_requests(&source), &(open + 1));
    }

    fn asked(&self, source: &Committed) -> u32 {
        self.get(open_requests(source)).unwrap_or(0)
    }

    fn reveal(&self, source: Committed, wanted: Wanted, shown: Reveal) -> Result<()> {
        let key = storage::request(source, wanted);
        if self.get::<Request<Account>>(key.clone()).is_none() {
            return refuse("no request");
        }
        let (mut batch, mut index) = (None, None);
        match source {
            Committed::Batch(id) => batch = self.get::<Batch<Account>>(storage::batch(id)),
            Committed::Index(hash) => index = self.get::<Index>(storage::index(hash)),
        }
        let facts = RevealFacts {
            batch: batch.as_ref().map(|batch| &batch.header),
            credits: batch.as_ref().map(|batch| &batch.credits),
            index: index.as_ref().map(|index| &index.header),
            contribution: None,
        };
        if !facts.can_ask(&wanted) || !facts.answers(&wanted, &shown) {
            return refuse("not answered");
        }
        self.remove(&key);
        self.put(open_requests(&source), &(self.asked(&source) - 1));
        Ok(())
    }

    fn settle(&self, id: u64) -> Result<()> {
        let mut batch: Batch<Account> = self.get(storage::batch(id)).unwrap();
        let is_audited = self.get(storage::audit(id)) == Some(Audit::Done);
        let is_asked = self.asked(&Committed::Batch(id)) > 0 || !is_audited;
        if batch.stage != BatchStage::Open || self.number() < batch.closes || is_asked {
            return refuse("settle");
        }
        batch.stage = BatchStage::Settled { credited: 0 };
        self.put(storage::batch(id), &batch);
        Ok(())
    }

    fn credit(&self, id: u64, range: Range<CreditLeaf>) -> Result<()> {
        let mut batch: Batch<Account> = self.get(storage::batch(id)).unwrap();
        let good = batch.stage
            == BatchStage::Settled {
                credited: range.start,
            }
            && range.verify(&batch.credits.credits).is_some();
        if !good || range.leaves.len() > 256 {
            return refuse("credit");
        }
        for leaf in &range.leaves {
            let had: u128 = self.get(storage::credits(leaf.contributor)).unwrap_or(0);
            self.put(storage::credits(leaf.contributor), &(had + leaf.amount));
        }
        batch.stage = BatchStage::Settled {
            credited: range.end().unwrap(),
        };
        self.put(storage::batch(id), &batch);
        Ok(())
    }
}

#[async_trait]
impl Ledger for FakeChain {
    fn genesis(&self) -> Hash {
        GENESIS
    }

    fn chain_id(&self) -> u64 {
        CHAIN_ID
    }

    fn account(&self) -> Account {
        self.account
    }

    async fn head(&self, head: Head) -> Result<Block> {
        let best = self.number();
        let number = match head {
            Head::Best => best,
            Head::Finalized => best - 1,
        };
        Ok(Block {
            number,
            hash: [u8::try_from(number % 256).unwrap(); 32],
        })
    }

    async fn bytes(&self, key: &[u8], head: Head) -> Result<(Option<Vec<u8>>, Block)> {
        let value = self.lock().map.get(key).cloned();
        Ok((value, self.head(head).await?))
    }

    async fn keys(&self, prefix: &[u8], _: Head) -> Result<Vec<Vec<u8>>> {
        let state = self.lock();
        let keys = state.map.keys().filter(|key| key.starts_with(prefix));
        Ok(keys.cloned().collect())
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        let key = ["//Worker", "//Keeper"].map(|uri| Key::from_uri(uri).unwrap());
        let key = key.iter().find(|key| key.account() == self.account);
        key.expect("a worker of the tests").sign(message)
    }

    async fn submit(&self, call: &[u8]) -> Result<Block> {
        self.apply(call)?;
        self.head(Head::Best).await
    }
}

fn voted(case: u64) -> Vec<u8> {
    storage::entry("Test", "Votes", &[&case])
}

fn audited_key(batch: u64) -> Vec<u8> {
    storage::entry("Test", "Audited", &[&batch])
}

fn last_epoch() -> Vec<u8> {
    storage::value("Draws", "Last")
}

fn no_credits(header: &BatchHeader) -> CreditsHeader {
    CreditsHeader {
        batch: header.hash(),
        answers: Root::EMPTY,
        parts: Root::EMPTY,
        credits: Root::EMPTY,
    }
}

fn open_requests(source: &Committed) -> Vec<u8> {
    storage::entry("Attribution", "OpenRequests", &[source])
}

/// The hash of what an index job delivered, as the pallet stores it.
pub(crate) fn hash_of(object: &impl Object) -> Hash {
    object.hash()
}

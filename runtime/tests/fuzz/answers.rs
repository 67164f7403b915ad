//! Moves of workers, model owners, consumers and watchers: training, indexes, answers, batches and what disputes them.

use crate::play::{actor, name, Move, Play, Sender, Try};
use frame_support::{traits::Get, BoundedVec};
use openledger_attribution::{
    attribution::Attribution,
    batch::{settle, settle_draws, BatchHeader, ChannelLeaf, CreditsHeader, Ledger, Settled},
    fee::{Mix, Parts},
    hash::{Hash, NONE},
    index::{IndexHeader, IndexLeaf, IndexRules},
    list::ListEntry,
    receipt::Receipt,
    record::{RecordId, SourceLeaf},
    sketch::{Kind, Layout, Module, Rule, Sketch, SketchLeaf},
    tree::{Root, Tree},
    verbatim::Verbatim,
    verdict::{AnswerProof, BatchEvidence, IndexEvidence, Reveal, RowBytes, Wanted, WrongScore},
    voucher::{Mode, Signature, Terms, Voucher},
    wire::Object,
};
use openledger_protocol::{
    batches::{commitment, Batch, BatchStage},
    channels::ChannelClaim,
    compute::{capability, Backend, Delivery, Heartbeat, Job, JobStage, Outcome, Task, Worker},
    disputes::{index_commitment, Committed, Sample},
    models::{Recipe, Source, Stage},
    Endpoint,
};
use openledger_runtime::{currency::OPEN, *};
use openledger_traits::{Asset, Ownership};
use pallet_openledger_attribution as attribution;
use pallet_openledger_committees as committees;
use pallet_openledger_compute as compute;
use pallet_openledger_inference as inference;
use pallet_openledger_models as models;
use sp_keyring::Sr25519Keyring;
use std::collections::HashMap;

pub(crate) const MOVES: &[(u64, Move)] = &[
    (3, register),
    (2, bond_more),
    (1, unbond),
    (2, withdraw),
    (1, set_keys),
    (1, set_endpoint),
    (8, deliver),
    (1, register_base),
    (2, create),
    (5, request_training),
    (1, set_prices),
    (1, set_serving),
    (10, submit_batch),
    (6, settle_batch),
    (6, credit),
    (3, forget),
    (3, challenge),
    (4, prove),
    (2, lapse),
    (2, draw),
    (4, answer_draws),
    (1, forfeit_draws),
    (2, challenge_index),
    (3, prove_index),
    (1, lapse_index),
    (2, review_index),
    (4, request_reveal),
    (4, reveal),
    (2, end_request),
    (2, heartbeat),
    // Mostly too few to be drawn from: every batch of a chain with a committee waits for an audit that nobody shows here.
    (1, join),
    (2, leave),
    (1, draw_audit),
    (1, end_audit),
    (4, request_inference),
    (2, forget_request),
];

/// What a worker keeps of a batch.
#[derive(Clone)]
struct Made {
    settled: Settled,
    ledger: Option<Ledger>,
    /// In the order of the receipts' leaves.
    answers: Vec<(Receipt, Attribution)>,
}

#[derive(Default)]
pub(crate) struct Memory {
    batches: HashMap<Hash, Made>,
    /// Rows by the index's hash.
    rows: HashMap<Hash, Vec<IndexLeaf>>,
    challenges: Vec<(Sr25519Keyring, u64, Hash, Box<BatchEvidence>)>,
    index_challenges: Vec<(Sr25519Keyring, Hash, Hash, Box<IndexEvidence>)>,
}

fn rules() -> IndexRules {
    IndexRules {
        projection: 8,
        top: 64,
        rho: 100_000_000,
        z: 200,
        floor: -40,
    }
}

/// One module of 64 columns.
fn layout() -> Layout {
    Layout {
        names: [0x4E; 32],
        modules: vec![Module {
            kind: Kind::LoraA,
            rows: 1,
            columns: 64,
        }],
    }
}

/// What every honest row and every query is.
fn sketch() -> Sketch {
    let lanes = layout().lanes() as usize;
    Sketch {
        exponents: vec![0],
        lanes: vec![127; lanes],
    }
}

fn query() -> Option<Hash> {
    let rule = Rule::new(&layout(), &rules()).ok()?;
    Some(
        Tree::new(&sketch().leaves(&rule)?)
            .ok()?
            .root()
            .hash::<SketchLeaf>(),
    )
}

/// A root that some tree could have.
fn root(count: u64, sum: u128) -> Root {
    if count == 0 {
        Root::EMPTY
    } else {
        Root {
            count,
            sum,
            top: [0x11; 32],
        }
    }
}

fn genesis() -> Hash {
    System::block_hash(0).into()
}

// --- workers

fn register(play: &mut Play) -> Option<Try> {
    let who = play.anyone();
    let call = compute::Call::register {
        bond: OPEN * u128::from(1_000 + play.rng.below(50_000)),
        result_key: who.public().0,
        receipt_key: who.public().0,
        backend: Backend::Cpu,
        arch: name("fuzz"),
        endpoint: Endpoint::truncate_from(b"http://127.0.0.1:1".to_vec()),
        capabilities: if play.rng.chance(80) {
            capability::ALL
        } else {
            play.rng.next() as u8
        },
    };
    Some(Try::signed(who, call))
}

fn worker(play: &mut Play) -> Option<(Sr25519Keyring, Worker)> {
    let all: Vec<_> = compute::Workers::<Runtime>::iter().collect();
    let (who, worker) = play.rng.pick(&all)?.clone();
    Some((actor(&who)?, worker))
}

fn bond_more(play: &mut Play) -> Option<Try> {
    let (who, _) = worker(play)?;
    Some(Try::signed(
        who,
        compute::Call::bond_more {
            amount: OPEN * u128::from(play.rng.below(10_000)),
        },
    ))
}

fn unbond(play: &mut Play) -> Option<Try> {
    let (who, worker) = worker(play)?;
    let room = worker.bond.saturating_sub(worker.open);
    let amount = if play.rng.chance(20) {
        worker.bond
    } else {
        room / u128::from(1 + play.rng.below(10))
    };
    Some(Try::signed(who, compute::Call::unbond { amount }))
}

fn withdraw(play: &mut Play) -> Option<Try> {
    let all: Vec<_> = compute::Workers::<Runtime>::iter()
        .filter(|(_, worker)| worker.unbonding.is_some())
        .collect();
    let who = actor(&play.rng.pick(&all)?.0)?;
    Some(Try::signed(who, compute::Call::withdraw {}))
}

fn set_keys(play: &mut Play) -> Option<Try> {
    let (who, _) = worker(play)?;
    let result_key = who.public().0;
    let receipt_key = play.rng.hash();
    Some(Try::signed(
        who,
        compute::Call::set_keys {
            result_key,
            receipt_key,
        },
    ))
}

fn set_endpoint(play: &mut Play) -> Option<Try> {
    let (who, _) = worker(play)?;
    let text: &[u8] = if play.rng.chance(80) {
        b"https://worker.example"
    } else {
        b"nowhere"
    };
    Some(Try::signed(
        who,
        compute::Call::set_endpoint {
            endpoint: Endpoint::truncate_from(text.to_vec()),
        },
    ))
}

/// The result of a job that somebody was given.
fn deliver(play: &mut Play) -> Option<Try> {
    let given: Vec<_> = compute::Jobs::<Runtime>::iter()
        .filter_map(|(id, job)| match &job.stage {
            JobStage::Assigned { worker, .. } => Some((id, worker.clone(), job.clone())),
            JobStage::Waiting { .. } => None,
        })
        .collect();
    let (id, who, job): (u64, AccountId, Job<AccountId>) = play.rng.pick(&given)?.clone();
    let key = actor(&AccountId::from(
        compute::Workers::<Runtime>::get(&who)?.result_key,
    ))?;
    let outcome = match job.task {
        Task::Train { .. } => Outcome::Trained {
            adapter: if play.rng.chance(95) {
                play.rng.hash()
            } else {
                NONE
            },
            cid: name("cid").into_inner().try_into().ok()?,
            loss_before: 2_000,
            loss_after: 1_000,
        },
        Task::Index {
            model, generation, ..
        } => {
            let (header, rows) = index(play, model, generation)?;
            play.answers.rows.insert(header.hash(), rows);
            play.stock.hashes.push(header.hash());
            Outcome::Indexed {
                header: Box::new(header),
                layout: layout(),
            }
        }
        Task::Infer { .. } => Outcome::Inferred {
            output: BoundedVec::truncate_from(if play.rng.chance(90) {
                b"An answer.".to_vec()
            } else {
                vec![0xFF]
            }),
        },
    };
    let delivery = Delivery {
        genesis: genesis(),
        job: id,
        attempt: job.attempt,
        worker: who.into(),
        outcome,
    };
    let signature = key.sign(&delivery.signing_message()).0;
    let call = compute::Call::deliver { delivery, signature }.into();
    Some(Try {
        sender: Sender::Authorized,
        call,
    })
}

/// A sign of life, now and then of a block that is not yet or long gone.
fn heartbeat(play: &mut Play) -> Option<Try> {
    let (who, worker) = worker(play)?;
    let key = actor(&AccountId::from(worker.result_key))?;
    let now = System::block_number();
    let beat = Heartbeat {
        genesis: genesis(),
        worker: who.to_account_id().into(),
        number: match play.rng.below(10) {
            0 => now + 1,
            1 => now.saturating_sub(100),
            _ => now,
        },
    };
    let signature = key.sign(&beat.signing_message()).0;
    let call = compute::Call::heartbeat { beat, signature }.into();
    Some(Try {
        sender: Sender::Authorized,
        call,
    })
}

// --- committees

fn join(play: &mut Play) -> Option<Try> {
    let (who, _) = worker(play)?;
    let key = play.rng.hash();
    Some(Try::signed(who, committees::Call::join { key }))
}

fn leave(play: &mut Play) -> Option<Try> {
    let all: Vec<_> = committees::Members::<Runtime>::iter_keys().collect();
    let who = actor(play.rng.pick(&all)?)?;
    Some(Try::signed(who, committees::Call::leave {}))
}

// --- questions on the chain

fn request_inference(play: &mut Play) -> Option<Try> {
    let all: Vec<_> = models::Generations::<Runtime>::iter_keys().collect();
    let (model, generation) = *play.rng.pick(&all)?;
    let call = inference::Call::request_inference {
        model,
        generation,
        prompt: BoundedVec::truncate_from(if play.rng.chance(95) {
            b"What is it?".to_vec()
        } else {
            vec![0xC0]
        }),
        max_tokens: 1 + play.rng.below(200) as u32,
        machine: None,
        most: OPEN * u128::from(1 + play.rng.below(10_000)),
        deadline: System::block_number() + 80 + play.rng.below(400) as u32,
    };
    Some(Try::any(play, call))
}

fn forget_request(play: &mut Play) -> Option<Try> {
    let all: Vec<_> = inference::Requests::<Runtime>::iter().collect();
    let (request, of) = play.rng.pick(&all)?.clone();
    let who = if play.rng.chance(80) {
        actor(&of.who)?
    } else {
        play.anyone()
    };
    Some(Try::signed(who, inference::Call::forget { request }))
}

// --- models

fn register_base(play: &mut Play) -> Option<Try> {
    let (weights, tokenizer) = (play.rng.hash(), play.rng.hash());
    let call = models::Call::register_base {
        name: name("base"),
        licence: name("MIT"),
        weights,
        tokenizer,
    };
    Some(Try::any(play, call))
}

fn create(play: &mut Play) -> Option<Try> {
    let base = play.some(models::NextBase::<Runtime>::get())?;
    let call = models::Call::create {
        name: name("model"),
        base,
        price_in: u128::from(play.rng.below(1_000_000_000_000_000)),
        price_out: u128::from(1 + play.rng.below(10_000_000_000_000_000)),
        mix: Mix {
            influence: 1_000_000_000,
            verbatim: 0,
            retrieval: 0,
        },
    };
    Some(Try::any(play, call))
}

/// A model and who owns it.
fn model(play: &mut Play) -> Option<(u64, Sr25519Keyring)> {
    let model = play.some(models::NextModel::<Runtime>::get())?;
    Some((
        model,
        actor(&config::ownership::Items::owner(Asset::Model(model))?)?,
    ))
}

fn request_training(play: &mut Play) -> Option<Try> {
    let (model, owner) = model(play)?;
    let mut versions: Vec<_> = pallet_openledger_datanets::Versions::<Runtime>::iter()
        .filter(|(_, _, version)| version.records.count <= 64)
        .map(|(datanet, version, _)| Source {
            datanet,
            version,
            weight: 1,
        })
        .collect();
    let mut sources = Vec::new();
    for _ in 0..1 + play.rng.below(3) {
        let at = play.some(versions.len() as u64)?;
        sources.push(versions.swap_remove(at as usize));
        if versions.is_empty() {
            break;
        }
    }
    // Some start where another ended, if that is ready.
    let all: Vec<_> = models::Generations::<Runtime>::iter_keys().collect();
    let parent = if play.rng.chance(40) {
        play.rng.pick(&all).copied()
    } else {
        None
    };
    let call = models::Call::request_training {
        model,
        sources: BoundedVec::truncate_from(sources),
        recipe: Recipe {
            rank: 8,
            alpha: 16,
            targets: 0b1111,
            learning_rate: 1_000_000,
            epochs: 3,
            batch: 8,
            context: 512,
            held_out: 10,
        },
        rules: rules(),
        price: OPEN * u128::from(1 + play.rng.below(20)),
        deadline: System::block_number() + 80 + play.rng.below(400) as u32,
        parent,
    };
    Some(Try::signed(owner, call))
}

fn set_prices(play: &mut Play) -> Option<Try> {
    let (model, owner) = model(play)?;
    let price_out = u128::from(1 + play.rng.below(10_000_000_000_000_000));
    Some(Try::signed(
        owner,
        models::Call::set_prices {
            model,
            price_in: 0,
            price_out,
        },
    ))
}

fn set_serving(play: &mut Play) -> Option<Try> {
    let (model, owner) = model(play)?;
    let serving = play.rng.chance(70);
    Some(Try::signed(owner, models::Call::set_serving { model, serving }))
}

/// The index that a generation's trainer has to deliver, and its rows: a unit for each representative. Now and then one that
/// no gradient gives.
fn index(play: &mut Play, model: u64, generation: u32) -> Option<(IndexHeader, Vec<IndexLeaf>)> {
    let entry = models::Generations::<Runtime>::get(model, generation)?;
    let base = models::Models::<Runtime>::get(model).and_then(|of| models::Bases::<Runtime>::get(of.base))?;
    let Stage::Indexing { seed } = entry.stage else {
        return None;
    };
    let mut sources = Vec::new();
    let mut rows = Vec::new();
    for (at, source) in (0u32..).zip(&entry.sources) {
        let version = pallet_openledger_datanets::Versions::<Runtime>::get(source.datanet, source.version)?;
        sources.push(SourceLeaf {
            datanet: source.datanet,
            version: source.version,
            records: version.records,
        });
        let known = play.versions.get(&version.records.top);
        for n in 0..u64::try_from(version.records.sum).ok()? {
            let leaf = known.and_then(|leaves| leaves.get(n as usize));
            rows.push(IndexLeaf {
                source: at,
                record: leaf.map_or(
                    RecordId {
                        contribution: n,
                        index: 0,
                    },
                    |leaf| leaf.record,
                ),
                unit: 0,
                contributor: leaf.map_or([0xA1; 32], |leaf| leaf.contributor),
                sketch: sketch(),
            });
        }
    }
    if play.rng.chance(25) {
        rows.first_mut()?.sketch.lanes[0] = i8::MIN;
    }
    let count = rows.len() as u64;
    let header = IndexHeader {
        builder: entry.trainer?.into(),
        model,
        generation,
        base: base.weights,
        adapter: entry.adapter,
        tokenizer: base.tokenizer,
        seed,
        layout: layout().hash(),
        rules: entry.rules,
        bases: root(layout().basis_leaves(), 0),
        sources: Tree::new(&sources).ok()?.root(),
        corpus: root(count, (u128::from(count) << 64) | u128::from(count * 100)),
        rows: Tree::new(&rows).ok()?.root(),
        verbatim: Verbatim::NONE,
        retrieval: NONE,
    };
    Some((header, rows))
}

// --- answers

/// A generation that answers.
fn ready(play: &mut Play) -> Option<(u64, u32, Hash)> {
    let all: Vec<_> = models::Generations::<Runtime>::iter()
        .filter_map(|(model, generation, entry)| match entry.stage {
            Stage::Ready { index } => Some((model, generation, index)),
            _ => None,
        })
        .collect();
    play.rng.pick(&all).copied()
}

/// Whom the rows name, with a score each that nobody computed.
fn credited(play: &mut Play, index: &Hash) -> Option<Attribution> {
    let rows = play.answers.rows.get(index)?;
    let entries = rows.iter().enumerate().take(3).map(|(row, leaf)| ListEntry {
        row: row as u64,
        score: 1_000,
        contributor: leaf.contributor,
    });
    Some(Attribution {
        query: query()?,
        list: entries.collect(),
        spans: vec![],
        retrieved: vec![],
    })
}

/// A batch of a worker's answers to vouchers of the consumers of its channels; sampled now and then.
fn submit_batch(play: &mut Play) -> Option<Try> {
    let (model, generation, index) = ready(play)?;
    let (who, _) = worker(play)?;
    let account: Hash = who.to_account_id().into();
    let tariff = <Models as openledger_traits::Models<AccountId>>::tariff(model, generation)?;
    let list = credited(play, &index)?;
    let draws = if play.rng.chance(30) {
        1 + play.rng.below(3) as u16
    } else {
        0
    };
    let terms = Terms {
        model,
        generation,
        index,
        tariff,
        mode: Mode::Verifiable,
        prompt: NONE,
        parameters: NONE,
        seed: 0,
    };
    let (mut answers, mut cursors) = (Vec::new(), Vec::new());
    let open: Vec<_> = pallet_openledger_channels::Channels::<Runtime>::iter()
        .filter(|(_, open)| open.worker == who.to_account_id())
        .take(4)
        .collect();
    for (channel, open) in open {
        let consumer = actor(&open.consumer)?;
        let leaf = ChannelLeaf {
            channel,
            consumer: open.consumer.into(),
            from: open.cursor,
            to: open.cursor,
        };
        let (mut accepted, mut previous) = (open.cursor, open.last);
        let before = answers.len();
        for _ in 0..1 + play.rng.below(3) {
            let (input_tokens, output_tokens) = (play.rng.below(50) as u32, 1 + play.rng.below(50) as u32);
            let fee = tariff.fee(input_tokens, output_tokens)?.total()?;
            if accepted.saturating_add(fee) > open.deposit {
                continue;
            }
            let voucher = Voucher {
                genesis: genesis(),
                channel,
                accepted,
                previous,
                most: fee,
                expiry: u64::MAX,
                terms: terms.hash(),
            };
            let signer = if play.rng.chance(98) {
                consumer
            } else {
                play.anyone()
            };
            let receipt = Receipt {
                worker: account,
                voucher,
                signature: Signature::Sr25519(signer.sign(&voucher.sr25519_message()).0),
                terms,
                input_tokens,
                output_tokens,
                fee,
                output: NONE,
                attribution: if draws > 0 { NONE } else { list.hash() },
            };
            (accepted, previous) = (accepted.saturating_add(fee), receipt.hash());
            answers.push((receipt, list.clone()));
        }
        if answers.len() > before {
            cursors.push(leaf);
        }
    }
    let order = BatchHeader {
        worker: account,
        model,
        generation,
        index,
        tariff,
        draws,
        minimum: <Runtime as attribution::Config>::MinCredit::get(),
        channels: Root::EMPTY,
        receipts: Root::EMPTY,
        totals: Parts::default(),
    };
    let given: Vec<_> = answers
        .iter()
        .map(|(receipt, list)| (*receipt, (draws == 0).then(|| list.clone())))
        .collect();
    let (settled, ledger) = settle(&order, &cursors, &given).ok()?;
    let answers: Vec<_> = settled.order.iter().map(|at| answers[*at].clone()).collect();
    let claims = settled.channels.iter().filter_map(|leaf| {
        let (last, _) = answers
            .iter()
            .rfind(|(receipt, _)| receipt.voucher.channel == leaf.channel)?;
        Some(ChannelClaim {
            leaf: *leaf,
            voucher: last.voucher,
            signature: last.signature,
            receipt: last.hash(),
        })
    });
    let claims = BoundedVec::truncate_from(claims.collect());
    let header = settled.header;
    let credits = ledger
        .as_ref()
        .map_or_else(|| no_credits(&header), |ledger| ledger.header);
    play.answers.batches.insert(
        header.hash(),
        Made {
            settled,
            ledger,
            answers,
        },
    );
    let call = attribution::Call::submit_batch {
        header: Box::new(header),
        credits: Box::new(credits),
        claims,
    };
    Some(Try::signed(who, call))
}

fn no_credits(header: &BatchHeader) -> CreditsHeader {
    CreditsHeader {
        batch: header.hash(),
        answers: Root::EMPTY,
        parts: Root::EMPTY,
        credits: Root::EMPTY,
    }
}

/// A batch in such a stage, with what its worker keeps of it.
fn batch(play: &mut Play, is_stage: impl Fn(&BatchStage) -> bool) -> Option<(u64, BatchStage, Made)> {
    batch_that(play, |batch| is_stage(&batch.stage))
}

/// A batch that is so, with what its worker keeps of it.
fn batch_that(play: &mut Play, is_so: impl Fn(&Batch<AccountId>) -> bool) -> Option<(u64, BatchStage, Made)> {
    let all: Vec<_> = attribution::Batches::<Runtime>::iter()
        .filter(|(_, batch)| is_so(batch))
        .map(|(id, batch)| (id, batch.stage, batch.header.hash()))
        .collect();
    let (id, stage, hash) = *play.rng.pick(&all)?;
    Some((id, stage, play.answers.batches.get(&hash)?.clone()))
}

fn settle_batch(play: &mut Play) -> Option<Try> {
    let (batch, ..) = batch(play, |stage| *stage == BatchStage::Open)?;
    Some(Try::any(play, attribution::Call::settle { batch }))
}

fn credit(play: &mut Play) -> Option<Try> {
    // Most settled batches have credited everybody, or have nobody to credit.
    let (batch, stage, made) = batch_that(play, |batch| match batch.stage {
        BatchStage::Settled { credited } => credited < batch.credits.credits.count,
        _ => false,
    })?;
    let BatchStage::Settled { credited } = stage else {
        return None;
    };
    let all = made.ledger?.credits;
    let left = all.get(credited as usize..)?;
    let most = 1 + play.some(left.len() as u64)? as usize;
    let credits = Tree::new(&all).ok()?.open_range(credited, left.get(..most)?)?;
    Some(Try::any(play, attribution::Call::credit { batch, credits }))
}

fn forget(play: &mut Play) -> Option<Try> {
    let (batch, ..) = batch(play, |stage| *stage != BatchStage::Open)?;
    Some(Try::any(play, attribution::Call::forget { batch }))
}

/// That a score is wrong, which is so, or that the headers are, which is not.
fn challenge(play: &mut Play) -> Option<Try> {
    let (batch, _, made) = batch(play, |stage| *stage == BatchStage::Open)?;
    let index = made.settled.header.index;
    let wrong = || {
        let (receipt, attribution) = made.answers.first()?.clone();
        let rows = play.answers.rows.get(&index)?;
        Some(BatchEvidence::Score(WrongScore {
            answer: AnswerProof {
                leaf: Tree::new(&made.settled.receipts)
                    .ok()?
                    .open(0, made.settled.receipts.first()?)?,
                receipt,
                attribution,
                draw: None,
            },
            entry: 0,
            layout: layout(),
            query: sketch(),
            row: Tree::new(rows).ok()?.open(0, rows.first()?)?,
        }))
    };
    let wrong = wrong();
    let evidence = wrong
        .filter(|_| play.rng.chance(30))
        .unwrap_or(BatchEvidence::Headers([]));
    let (who, salt) = (play.anyone(), play.rng.hash());
    let commitment = commitment(&who.to_account_id().into(), batch, &salt, &evidence);
    play.answers
        .challenges
        .push((who, batch, salt, Box::new(evidence)));
    Some(Try::signed(
        who,
        attribution::Call::challenge { batch, commitment },
    ))
}

fn prove(play: &mut Play) -> Option<Try> {
    let at = play.some(play.answers.challenges.len() as u64)? as usize;
    let (who, batch, salt, evidence) = play.answers.challenges.swap_remove(at);
    Some(Try::signed(
        who,
        attribution::Call::prove {
            batch,
            salt,
            evidence,
        },
    ))
}

fn lapse(play: &mut Play) -> Option<Try> {
    let all: Vec<_> = attribution::Challenges::<Runtime>::iter_keys().collect();
    let (batch, challenger) = play.rng.pick(&all)?.clone();
    Some(Try::any(play, attribution::Call::lapse { batch, challenger }))
}

/// A sampled batch whose draw is in such a state.
fn sample(play: &mut Play, is: impl Fn(&Sample) -> bool) -> Option<(u64, Sample)> {
    let all: Vec<_> = attribution::Samples::<Runtime>::iter()
        .filter(|(_, sample)| is(sample))
        .collect();
    play.rng.pick(&all).cloned()
}

fn draw(play: &mut Play) -> Option<Try> {
    let (batch, _) = sample(play, |sample| matches!(sample, Sample::Waiting { .. }))?;
    Some(Try::any(play, attribution::Call::draw { batch }))
}

fn answer_draws(play: &mut Play) -> Option<Try> {
    let (batch, sample) = sample(play, |sample| matches!(sample, Sample::Drawn { .. }))?;
    let Sample::Drawn { randomness, .. } = sample else {
        return None;
    };
    let entry = attribution::Batches::<Runtime>::get(batch)?;
    let made = play.answers.batches.get(&entry.header.hash())?.clone();
    let mut draws = Vec::new();
    for draw in 0..entry.header.draws {
        let at = entry.header.draw(&randomness, draw);
        let mut before = 0;
        let receipt = made.settled.receipts.iter().position(|leaf| {
            before += leaf.fee;
            at < before
        })?;
        let attribution = play.rng.chance(85).then(|| made.answers[receipt].1.clone());
        draws.push((receipt as u64, attribution));
    }
    let ledger = settle_draws(&entry.header, &draws).ok()?;
    let credits = Box::new(ledger.header);
    play.answers.batches.insert(
        entry.header.hash(),
        Made {
            ledger: Some(ledger),
            ..made
        },
    );
    Some(Try::signed(
        actor(&entry.worker)?,
        attribution::Call::answer_draws { batch, credits },
    ))
}

fn forfeit_draws(play: &mut Play) -> Option<Try> {
    let (batch, _) = sample(play, |sample| matches!(sample, Sample::Drawn { .. }))?;
    Some(Try::any(play, attribution::Call::forfeit_draws { batch }))
}

fn draw_audit(play: &mut Play) -> Option<Try> {
    let all: Vec<_> = attribution::Audits::<Runtime>::iter_keys().collect();
    let batch = *play.rng.pick(&all)?;
    Some(Try::any(play, attribution::Call::draw_audit { batch }))
}

fn end_audit(play: &mut Play) -> Option<Try> {
    let all: Vec<_> = attribution::Audits::<Runtime>::iter_keys().collect();
    let batch = *play.rng.pick(&all)?;
    Some(Try::any(play, attribution::Call::end_audit { batch }))
}

// --- indexes and requests

fn any_index(play: &mut Play) -> Option<Hash> {
    let all: Vec<_> = attribution::IndexBonds::<Runtime>::iter_keys().collect();
    play.rng.pick(&all).copied()
}

/// That a row comes from no gradient, or that the header is wrong.
fn challenge_index(play: &mut Play) -> Option<Try> {
    let index = any_index(play)?;
    let rows = play.answers.rows.get(&index)?;
    let evidence = if play.rng.chance(60) {
        IndexEvidence::RowBytes(RowBytes {
            row: Tree::new(rows).ok()?.open(0, rows.first()?)?,
            layout: layout(),
        })
    } else {
        IndexEvidence::Header(layout())
    };
    let (who, salt) = (play.anyone(), play.rng.hash());
    let commitment = index_commitment(&who.to_account_id().into(), &index, &salt, &evidence);
    play.answers
        .index_challenges
        .push((who, index, salt, Box::new(evidence)));
    Some(Try::signed(
        who,
        attribution::Call::challenge_index { index, commitment },
    ))
}

fn prove_index(play: &mut Play) -> Option<Try> {
    let at = play.some(play.answers.index_challenges.len() as u64)? as usize;
    let (who, index, salt, evidence) = play.answers.index_challenges.swap_remove(at);
    Some(Try::signed(
        who,
        attribution::Call::prove_index {
            index,
            salt,
            evidence,
        },
    ))
}

fn lapse_index(play: &mut Play) -> Option<Try> {
    let all: Vec<_> = attribution::IndexChallenges::<Runtime>::iter_keys().collect();
    let (index, challenger) = play.rng.pick(&all)?.clone();
    Some(Try::any(
        play,
        attribution::Call::lapse_index { index, challenger },
    ))
}

fn review_index(play: &mut Play) -> Option<Try> {
    let index = any_index(play)?;
    Some(Try::any(play, attribution::Call::review_index { index }))
}

fn request_reveal(play: &mut Play) -> Option<Try> {
    let (source, wanted) = if play.rng.chance(40) {
        (Committed::Index(any_index(play)?), Wanted::Row(play.rng.below(3)))
    } else {
        let (id, ..) = batch(play, |stage| *stage == BatchStage::Open)?;
        let at = play.rng.below(3);
        (
            Committed::Batch(id),
            if play.rng.chance(50) {
                Wanted::Channel(at)
            } else {
                Wanted::Credit(at)
            },
        )
    };
    Some(Try::any(
        play,
        attribution::Call::request_reveal { source, wanted },
    ))
}

fn request(play: &mut Play) -> Option<(Committed, Wanted)> {
    let all: Vec<_> = attribution::Requests::<Runtime>::iter_keys().collect();
    play.rng.pick(&all).copied()
}

fn reveal(play: &mut Play) -> Option<Try> {
    let (source, wanted) = request(play)?;
    let made = |id| {
        let entry = attribution::Batches::<Runtime>::get(id)?;
        play.answers.batches.get(&entry.header.hash()).cloned()
    };
    let shown = match (source, wanted) {
        (Committed::Batch(id), Wanted::Channel(at)) => {
            let channels = made(id)?.settled.channels;
            Reveal::Channel(Tree::new(&channels).ok()?.open(at, channels.get(at as usize)?)?)
        }
        (Committed::Batch(id), Wanted::Credit(at)) => {
            let credits = made(id)?.ledger?.credits;
            Reveal::Credit(Tree::new(&credits).ok()?.open(at, credits.get(at as usize)?)?)
        }
        (Committed::Index(index), Wanted::Row(at)) => {
            let rows = play.answers.rows.get(&index)?;
            Reveal::Row(Tree::new(rows).ok()?.open(at, rows.get(at as usize)?)?)
        }
        _ => return None,
    };
    Some(Try::any(
        play,
        attribution::Call::reveal {
            source,
            wanted,
            shown: Box::new(shown),
        },
    ))
}

fn end_request(play: &mut Play) -> Option<Try> {
    let (source, wanted) = request(play)?;
    Some(Try::any(play, attribution::Call::end_request { source, wanted }))
}

//! Benchmarks of every call, each on the largest input that the chain takes.

use crate::{
    pallet::{
        Audits, Batches, Call, Challenges, Config, IndexBonds, IndexChallenges, Indexes, Pallet, Questions,
        Requests, Samples,
    },
    Audit, AuditProof, BatchStage, Committed, Index, IndexBond, IndexStage, MaxClaims, Sample, MAX_CREDITS,
};
use alloc::{boxed::Box, vec, vec::Vec};
use frame_benchmarking::v2::*;
use frame_support::{
    traits::{fungible::Mutate, Get},
    BoundedVec,
};
use frame_system::{pallet_prelude::BlockNumberFor, RawOrigin};
use openledger_attribution::{
    attribution::Attribution,
    batch::{settle, BatchHeader, ChannelLeaf, CreditsHeader, DrawLeaf, Ledger, Settled},
    committee::Vote,
    fee::{Mix, Parts, Split, Tariff},
    hash::{keccak, Account, Hash, NONE},
    index::{IndexHeader, IndexLeaf, IndexRules},
    list::ListEntry,
    receipt::Receipt,
    record::RecordId,
    sketch::{Kind, Layout, Module, Rule, Sketch, SketchLeaf},
    tree::{Range, Root, Tree},
    verbatim::Verbatim,
    verdict::{
        AnswerProof, AskedQuery, AskedRow, AuditDraw, AuditShown, AuditedQuery, BatchEvidence, BatchQuestion,
        IndexEvidence, IndexQuestion, Reveal, RowBytes, Wanted, WrongScore,
    },
    voucher::{Mode, Signature, Terms, Voucher},
    wire::Object,
};
use openledger_protocol::{
    batches::commitment,
    channels::ChannelClaim,
    committees::{index_question_commitment, question_commitment, Ending},
    disputes::index_commitment,
};
use openledger_traits::{Bonds, Draws, OnVerdict};

/// What the benchmarks need of other pallets.
pub trait BenchmarkHelper<AccountId> {
    /// Makes generation 1 of model 0 answer with this index and tariff, trained on as many Datanets as there may be, all of
    /// them owned.
    fn serve(index: Hash, tariff: Tariff);
    /// A worker with this much bond, in planck.
    fn worker(bond: u128) -> AccountId;
    /// A channel to the worker with this deposit, in planck: its number, and its consumer.
    fn open(worker: &AccountId, deposit: u128) -> (u64, Account);
    /// The consumer's sr25519 signature.
    fn sign(consumer: &Account, message: &[u8]) -> [u8; 64];
    /// Makes generation 1 of model 0, which answers, one that the builder of this index trained, and every version it is of
    /// published.
    fn order(header: &IndexHeader);
    /// What is committed in this epoch is drawn for.
    fn draw(epoch: u64);
}

const OPEN: u128 = 1_000_000_000_000_000_000;
const PRICE: u128 = 1_000 * OPEN;
const OUTPUT_TOKENS: u32 = 10;
const SALT: Hash = [0x5A; 32];

fn rules() -> IndexRules {
    IndexRules {
        projection: 8,
        top: 256,
        rho: 100_000_000,
        z: 200,
        floor: -20,
    }
}

fn tariff() -> Tariff {
    Tariff {
        price_in: PRICE,
        price_out: PRICE,
        split: Split {
            platform: 500,
            owner: 2_500,
            contributors: 3_000,
            stakers: 1_000,
            compute: 3_000,
            lineage: 500,
        },
        mix: Mix {
            influence: 1_000_000_000,
            verbatim: 0,
            retrieval: 0,
        },
    }
}

/// An index of one row that equals every query.
struct Book {
    header: IndexHeader,
    layout: Layout,
    sketch: Sketch,
    row: IndexLeaf,
    query: Hash,
}

/// `lanes` is rounded down to whole rows of the module.
fn book(worker: Account, lanes: u32) -> Option<Book> {
    const COLUMNS: u16 = 64;
    let rows = u16::try_from(lanes.checked_div(u32::from(COLUMNS))?).ok()?.max(1);
    let module = Module {
        kind: Kind::LoraA,
        rows,
        columns: COLUMNS,
    };
    let layout = Layout {
        names: [0x4E; 32],
        modules: vec![module],
    };
    let rule = Rule::new(&layout, &rules()).ok()?;
    let lanes = usize::try_from(layout.lanes()).ok()?;
    let sketch = Sketch {
        exponents: vec![0],
        lanes: vec![127; lanes],
    };
    let query = Tree::new(&sketch.leaves(&rule)?)
        .ok()?
        .root()
        .hash::<SketchLeaf>();
    let row = IndexLeaf {
        source: 0,
        record: RecordId {
            contribution: 0,
            index: 0,
        },
        unit: 0,
        contributor: [1; 32],
        sketch: sketch.clone(),
    };
    let header = IndexHeader {
        builder: worker,
        model: 0,
        generation: 1,
        base: NONE,
        adapter: NONE,
        tokenizer: NONE,
        seed: NONE,
        layout: layout.hash(),
        rules: rules(),
        bases: Root::EMPTY,
        sources: Root::EMPTY,
        corpus: Root::EMPTY,
        rows: Tree::new(core::slice::from_ref(&row)).ok()?.root(),
        verbatim: Verbatim::NONE,
        retrieval: NONE,
    };
    Some(Book {
        header,
        layout,
        sketch,
        row,
        query,
    })
}

/// A list of so many rows, each of another contributor; the score of the first is wrong.
fn attribution(book: &Book, entries: u32) -> Attribution {
    let entry = |row: u32| ListEntry {
        row: row.into(),
        score: 1_000,
        contributor: keccak(&[&row.to_be_bytes()]),
    };
    Attribution {
        query: book.query,
        list: (0..entries).map(entry).collect(),
        spans: Vec::new(),
        retrieved: Vec::new(),
    }
}

/// A batch that can be submitted, and everything behind it.
struct World<T: Config> {
    worker: T::AccountId,
    book: Book,
    receipts: Vec<(Receipt, Option<Attribution>)>,
    settled: Settled,
    ledger: Ledger,
    claims: BoundedVec<ChannelClaim, MaxClaims>,
}

/// One receipt in each of `channels` channels, each with a list of `entries`, of sketches with `lanes`.
fn world<T: Config>(channels: u32, entries: u32, lanes: u32) -> Result<World<T>, BenchmarkError> {
    const BROKEN: BenchmarkError = BenchmarkError::Stop("the benchmark's batch contradicts itself");
    let fee = tariff()
        .fee(0, OUTPUT_TOKENS)
        .and_then(|fee| fee.total())
        .ok_or(BROKEN)?;
    let bond = fee
        .saturating_mul(channels.into())
        .saturating_mul(100)
        .saturating_add(T::SlashFloor::get());
    let worker = T::BenchmarkHelper::worker(bond);
    let account: Account = worker.clone().into();
    let book = book(account, lanes).ok_or(BROKEN)?;
    let index = book.header.hash();
    Indexes::<T>::insert(
        index,
        Index {
            header: book.header,
            since: 0,
        },
    );
    T::BenchmarkHelper::serve(index, tariff());
    let list = attribution(&book, entries);
    let terms = Terms {
        model: 0,
        generation: 1,
        index,
        tariff: tariff(),
        mode: Mode::Verifiable,
        prompt: NONE,
        parameters: NONE,
        seed: 0,
    };
    let mut cursors = Vec::new();
    let mut receipts = Vec::new();
    for _ in 0..channels {
        let (channel, consumer) = T::BenchmarkHelper::open(&worker, fee);
        let voucher = Voucher {
            genesis: Pallet::<T>::genesis(),
            channel,
            accepted: 0,
            previous: NONE,
            most: fee,
            expiry: u64::MAX,
            terms: terms.hash(),
        };
        receipts.push((
            Receipt {
                worker: account,
                voucher,
                signature: Signature::Sr25519(T::BenchmarkHelper::sign(
                    &consumer,
                    &voucher.sr25519_message(),
                )),
                terms,
                input_tokens: 0,
                output_tokens: OUTPUT_TOKENS,
                fee,
                output: NONE,
                attribution: list.hash(),
            },
            Some(list.clone()),
        ));
        cursors.push(ChannelLeaf {
            channel,
            consumer,
            from: 0,
            to: 0,
        });
    }
    let order = BatchHeader {
        worker: account,
        model: 0,
        generation: 1,
        index,
        tariff: tariff(),
        draws: 0,
        minimum: T::MinCredit::get(),
        channels: Root::EMPTY,
        receipts: Root::EMPTY,
        totals: Parts::default(),
    };
    let (settled, ledger) = settle(&order, &cursors, &receipts).map_err(|_| BROKEN)?;
    let claim = |(leaf, (receipt, _)): (&ChannelLeaf, &(Receipt, Option<Attribution>))| ChannelClaim {
        leaf: *leaf,
        voucher: receipt.voucher,
        signature: receipt.signature,
        receipt: receipt.hash(),
    };
    let claims = settled.channels.iter().zip(&receipts).map(claim).collect();
    Ok(World {
        worker,
        claims: BoundedVec::truncate_from(claims),
        book,
        receipts,
        ledger: ledger.ok_or(BROKEN)?,
        settled,
    })
}

impl<T: Config> World<T> {
    fn submit(&self) -> Result<(), BenchmarkError> {
        Pallet::<T>::do_submit(
            self.worker.clone(),
            self.settled.header,
            self.ledger.header,
            self.claims.to_vec(),
        )?;
        Ok(())
    }

    fn answer(&self) -> Option<AnswerProof> {
        let (receipt, attribution) = self.receipts.first()?;
        let leaf = self.settled.receipts.first()?;
        Some(AnswerProof {
            leaf: Tree::new(&self.settled.receipts).ok()?.open(0, leaf)?,
            receipt: *receipt,
            attribution: attribution.clone()?,
            draw: None,
        })
    }

    fn question(&self) -> Option<BatchQuestion> {
        Some(BatchQuestion::Query(AskedQuery {
            answer: self.answer()?,
            layout: self.book.layout.clone(),
            query: self.book.sketch.clone(),
        }))
    }

    /// What is drawn of the batch, which has one part and one listed row.
    fn audit(&self, randomness: &Hash) -> Option<AuditProof> {
        let batch = Batches::<T>::get(0)?;
        let facts = Pallet::<T>::batch_facts(0, &batch, &self.book.header);
        let draw = AuditDraw::new(&facts, randomness)?;
        let (layout, query) = (self.book.layout.clone(), self.book.sketch.clone());
        let rows = core::slice::from_ref(&self.book.row);
        Some(AuditProof {
            part: Tree::new(&self.ledger.parts)
                .ok()?
                .open(0, self.ledger.parts.first()?)?,
            answer: self.answer()?,
            shown: if draw.of_row {
                AuditShown::Row(AskedRow {
                    layout,
                    row: Tree::new(rows).ok()?.open(0, &self.book.row)?,
                })
            } else {
                AuditShown::Query(AuditedQuery { layout, query })
            },
        })
    }

    /// Proof that the first entry's score is wrong.
    fn evidence(&self) -> Option<BatchEvidence> {
        let rows = core::slice::from_ref(&self.book.row);
        Some(BatchEvidence::Score(WrongScore {
            answer: self.answer()?,
            entry: 0,
            layout: self.book.layout.clone(),
            query: self.book.sketch.clone(),
            row: Tree::new(rows).ok()?.open(0, &self.book.row)?,
        }))
    }
}

/// An index of one row that no gradient gives, of about `lanes` bytes, and its builder, a worker.
fn broken<T: Config>(lanes: u32) -> Result<(T::AccountId, Hash, Book), BenchmarkError> {
    const BROKEN: BenchmarkError = BenchmarkError::Stop("the benchmark's index cannot be made");
    let builder = T::BenchmarkHelper::worker(T::IndexStake::get().saturating_mul(100));
    let mut book = book(builder.clone().into(), lanes).ok_or(BROKEN)?;
    if let Some(lane) = book.row.sketch.lanes.first_mut() {
        *lane = i8::MIN;
    }
    book.header.rows = Tree::new(core::slice::from_ref(&book.row))
        .map_err(|_| BROKEN)?
        .root();
    let index = book.header.hash();
    Indexes::<T>::insert(
        index,
        Index {
            header: book.header,
            since: 0,
        },
    );
    T::Bonds::open(&builder, T::IndexStake::get())?;
    IndexBonds::<T>::insert(
        index,
        IndexBond {
            builder: builder.clone(),
            exposure: T::IndexStake::get(),
            challenges: 0,
            stage: IndexStage::Standing,
        },
    );
    T::BenchmarkHelper::serve(index, tariff());
    T::BenchmarkHelper::order(&book.header);
    Ok((builder, index, book))
}

/// A batch whose one draw is at `sample`: what a sampled one's header would be.
fn sampled<T: Config>(sample: Sample) -> Result<(World<T>, BatchHeader), BenchmarkError> {
    let world = world::<T>(1, 1, 64)?;
    world.submit()?;
    let header = BatchHeader {
        draws: 1,
        ..world.settled.header
    };
    Batches::<T>::mutate(0, |batch| {
        if let Some(batch) = batch {
            batch.header = header;
            batch.credits = Pallet::<T>::no_credits(&header);
            batch.closes = u32::MAX;
        }
    });
    Samples::<T>::insert(0, sample);
    Ok((world, header))
}

fn later<T: Config>(blocks: BlockNumberFor<T>) {
    use sp_runtime::Saturating;
    let now = frame_system::Pallet::<T>::block_number();
    frame_system::Pallet::<T>::set_block_number(now.saturating_add(blocks));
}

fn challenger<T: Config>() -> T::AccountId
where
    T::Currency: Mutate<T::AccountId>,
{
    let who: T::AccountId = account("challenger", 0, 0);
    T::Currency::set_balance(&who, T::ChallengeDeposit::get().saturating_mul(1_000));
    who
}

/// Largest lanes of a row beside one exponent, in whole rows of the benchmark's module.
const MOST_LANES: u32 = 32 * 1024 - 64;

#[benchmarks(where T::Currency: Mutate<T::AccountId>)]
mod benches {
    use super::*;

    #[benchmark]
    fn submit_batch(c: Linear<1, 64>) -> Result<(), BenchmarkError> {
        let world = world::<T>(c, 1, 64)?;
        #[extrinsic_call]
        _(
            RawOrigin::Signed(world.worker.clone()),
            Box::new(world.settled.header),
            Box::new(world.ledger.header),
            world.claims.clone(),
        );
        assert!(Batches::<T>::contains_key(0));
        Ok(())
    }

    #[benchmark]
    fn settle() -> Result<(), BenchmarkError> {
        let world = world::<T>(1, 1, 64)?;
        world.submit()?;
        later::<T>(T::Window::get());
        #[extrinsic_call]
        _(RawOrigin::Signed(world.worker.clone()), 0);
        assert!(Batches::<T>::get(0).is_some_and(|batch| batch.stage == BatchStage::Settled { credited: 0 }));
        Ok(())
    }

    /// The range ends at [`MAX_CREDITS`].
    #[benchmark]
    fn credit(n: Linear<1, 256>) -> Result<(), BenchmarkError> {
        let world = world::<T>(1, n.min(MAX_CREDITS), 64)?;
        world.submit()?;
        later::<T>(T::Window::get());
        Pallet::<T>::do_settle(0)?;
        let credits = Range {
            start: 0,
            leaves: world.ledger.credits.clone(),
            path: Vec::new(),
        };
        #[extrinsic_call]
        _(RawOrigin::Signed(world.worker.clone()), 0, credits);
        assert!(Batches::<T>::get(0)
            .is_some_and(|batch| batch.stage == BatchStage::Settled { credited: n.into() }));
        Ok(())
    }

    #[benchmark]
    fn challenge() -> Result<(), BenchmarkError> {
        let world = world::<T>(1, 1, 64)?;
        world.submit()?;
        let who = challenger::<T>();
        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), 0, [7; 32]);
        assert!(Challenges::<T>::contains_key(0, who));
        Ok(())
    }

    /// A wrong score: of all evidence it has the most bytes to hash and the most to compute. `b` is its length in bytes.
    #[benchmark]
    fn prove(b: Linear<18_000, 81_000>) -> Result<(), BenchmarkError> {
        const BESIDE_THE_LANES: u32 = 15_500;
        let lanes = b
            .saturating_sub(BESIDE_THE_LANES)
            .saturating_div(2)
            .min(MOST_LANES);
        let world = world::<T>(1, 256, lanes)?;
        world.submit()?;
        let who = challenger::<T>();
        let evidence = world
            .evidence()
            .ok_or(BenchmarkError::Stop("the benchmark's batch cannot be opened"))?;
        let commitment = commitment(&who.clone().into(), 0, &SALT, &evidence);
        Pallet::<T>::do_challenge(who.clone(), 0, commitment)?;
        later::<T>(1u32.into());
        #[extrinsic_call]
        _(RawOrigin::Signed(who), 0, SALT, Box::new(evidence));
        let is_condemned = |stage| matches!(stage, BatchStage::Condemned { .. });
        assert!(Batches::<T>::get(0).is_some_and(|batch| is_condemned(batch.stage)));
        Ok(())
    }

    #[benchmark]
    fn lapse() -> Result<(), BenchmarkError> {
        let world = world::<T>(1, 1, 64)?;
        world.submit()?;
        let who = challenger::<T>();
        Pallet::<T>::do_challenge(who.clone(), 0, [7; 32])?;
        later::<T>(T::ProvePeriod::get());
        later::<T>(1u32.into());
        #[extrinsic_call]
        _(RawOrigin::Signed(world.worker.clone()), 0, who.clone());
        assert!(!Challenges::<T>::contains_key(0, who));
        Ok(())
    }

    #[benchmark]
    fn forget() -> Result<(), BenchmarkError> {
        let world = world::<T>(1, 1, 64)?;
        world.submit()?;
        later::<T>(T::Window::get());
        Pallet::<T>::do_settle(0)?;
        let credits = Range {
            start: 0,
            leaves: world.ledger.credits.clone(),
            path: Vec::new(),
        };
        Pallet::<T>::do_credit(0, credits)?;
        later::<T>(T::Retention::get());
        #[extrinsic_call]
        _(RawOrigin::Signed(world.worker.clone()), 0);
        assert!(!Batches::<T>::contains_key(0));
        Ok(())
    }

    #[benchmark]
    fn challenge_index() -> Result<(), BenchmarkError> {
        let (_, index, _) = broken::<T>(64)?;
        let who = challenger::<T>();
        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), index, [7; 32]);
        assert!(IndexChallenges::<T>::contains_key(index, who));
        Ok(())
    }

    /// A row whose bytes are judged. `b` is the length of the evidence in bytes.
    #[benchmark]
    fn prove_index(b: Linear<500, 32_700>) -> Result<(), BenchmarkError> {
        const BESIDE_THE_LANES: u32 = 200;
        let (_, index, book) = broken::<T>(b.saturating_sub(BESIDE_THE_LANES).min(MOST_LANES))?;
        let who = challenger::<T>();
        let rows = core::slice::from_ref(&book.row);
        let row = Tree::new(rows).ok().and_then(|tree| tree.open(0, &book.row));
        let evidence = IndexEvidence::RowBytes(RowBytes {
            row: row.ok_or(BenchmarkError::Stop("the benchmark's index cannot be opened"))?,
            layout: book.layout.clone(),
        });
        let commitment = index_commitment(&who.clone().into(), &index, &SALT, &evidence);
        Pallet::<T>::do_challenge_index(who.clone(), index, commitment)?;
        later::<T>(1u32.into());
        #[extrinsic_call]
        _(RawOrigin::Signed(who), index, SALT, Box::new(evidence));
        assert!(IndexBonds::<T>::get(index).is_some_and(|bond| bond.exposure == 0));
        Ok(())
    }

    #[benchmark]
    fn lapse_index() -> Result<(), BenchmarkError> {
        let (builder, index, _) = broken::<T>(64)?;
        let who = challenger::<T>();
        Pallet::<T>::do_challenge_index(who.clone(), index, [7; 32])?;
        later::<T>(T::ProvePeriod::get());
        later::<T>(1u32.into());
        #[extrinsic_call]
        _(RawOrigin::Signed(builder), index, who.clone());
        assert!(!IndexChallenges::<T>::contains_key(index, who));
        Ok(())
    }

    /// An index that is closed: of a model that is not there any more.
    #[benchmark]
    fn review_index() -> Result<(), BenchmarkError> {
        let (builder, index, _) = broken::<T>(64)?;
        Indexes::<T>::mutate(index, |entry| {
            if let Some(entry) = entry {
                entry.header.model = u64::MAX;
            }
        });
        IndexBonds::<T>::mutate(index, |bond| {
            if let Some(bond) = bond {
                bond.stage = IndexStage::Retiring { since: 0 };
            }
        });
        later::<T>(T::IndexRetention::get());
        #[extrinsic_call]
        _(RawOrigin::Signed(builder), index);
        assert!(IndexBonds::<T>::get(index).is_some_and(|bond| bond.stage == IndexStage::Closed));
        Ok(())
    }

    #[benchmark]
    fn request_reveal() -> Result<(), BenchmarkError> {
        let world = world::<T>(1, 1, 64)?;
        world.submit()?;
        let (who, batch, wanted) = (challenger::<T>(), Committed::Batch(0), Wanted::Receipt(0));
        #[extrinsic_call]
        _(RawOrigin::Signed(who), batch, wanted);
        assert!(Requests::<T>::contains_key(batch, wanted));
        Ok(())
    }

    /// A row. `b` is the length of what is shown in bytes.
    #[benchmark]
    fn reveal(b: Linear<500, 32_700>) -> Result<(), BenchmarkError> {
        const BESIDE_THE_LANES: u32 = 150;
        let (builder, index, book) = broken::<T>(b.saturating_sub(BESIDE_THE_LANES).min(MOST_LANES))?;
        let (of, wanted) = (Committed::Index(index), Wanted::Row(0));
        Pallet::<T>::do_request_reveal(challenger::<T>(), of, wanted)?;
        let rows = core::slice::from_ref(&book.row);
        let row = Tree::new(rows).ok().and_then(|tree| tree.open(0, &book.row));
        let shown = Reveal::Row(row.ok_or(BenchmarkError::Stop("the benchmark's index cannot be opened"))?);
        #[extrinsic_call]
        _(RawOrigin::Signed(builder), of, wanted, Box::new(shown));
        assert!(!Requests::<T>::contains_key(of, wanted));
        Ok(())
    }

    /// A batch is condemned.
    #[benchmark]
    fn end_request() -> Result<(), BenchmarkError> {
        let world = world::<T>(1, 1, 64)?;
        world.submit()?;
        let (batch, wanted) = (Committed::Batch(0), Wanted::Receipt(0));
        Pallet::<T>::do_request_reveal(challenger::<T>(), batch, wanted)?;
        later::<T>(T::RevealPeriod::get());
        later::<T>(1u32.into());
        #[extrinsic_call]
        _(RawOrigin::Signed(world.worker.clone()), batch, wanted);
        assert!(Batches::<T>::get(0).is_some_and(|batch| batch.escrow == 0));
        Ok(())
    }

    #[benchmark]
    fn draw() -> Result<(), BenchmarkError> {
        let epoch = T::Draws::epoch();
        T::BenchmarkHelper::draw(epoch);
        let (world, _) = sampled::<T>(Sample::Waiting { epoch })?;
        #[extrinsic_call]
        _(RawOrigin::Signed(world.worker.clone()), 0);
        assert!(Pallet::<T>::randomness(0).is_some());
        Ok(())
    }

    #[benchmark]
    fn answer_draws() -> Result<(), BenchmarkError> {
        let (world, header) = sampled::<T>(Sample::Drawn {
            randomness: [7; 32],
            until: u32::MAX,
        })?;
        let answer = DrawLeaf {
            receipt: 0,
            attribution: [7; 32],
            forfeit: 0,
        };
        let answers = Tree::new(&[answer])
            .map_err(|_| BenchmarkError::Stop("the benchmark's draw cannot be answered"))?
            .root();
        let credits = CreditsHeader {
            answers,
            ..Pallet::<T>::no_credits(&header)
        };
        #[extrinsic_call]
        _(RawOrigin::Signed(world.worker.clone()), 0, Box::new(credits));
        assert!(Pallet::<T>::is_answered(0));
        Ok(())
    }

    #[benchmark]
    fn forfeit_draws() -> Result<(), BenchmarkError> {
        let (world, _) = sampled::<T>(Sample::Drawn {
            randomness: [7; 32],
            until: 0,
        })?;
        later::<T>(1u32.into());
        #[extrinsic_call]
        _(RawOrigin::Signed(world.worker.clone()), 0);
        assert!(Pallet::<T>::is_answered(0));
        Ok(())
    }

    /// The query of an answer. `b` is the length of the question in bytes.
    #[benchmark]
    fn ask(b: Linear<17_000, 49_000>) -> Result<(), BenchmarkError> {
        const BESIDE_THE_LANES: u32 = 15_500;
        let world = world::<T>(1, 256, b.saturating_sub(BESIDE_THE_LANES).min(MOST_LANES))?;
        world.submit()?;
        let who = challenger::<T>();
        let question = world
            .question()
            .ok_or(BenchmarkError::Stop("the benchmark's batch cannot be opened"))?;
        let commitment = question_commitment(&who.clone().into(), 0, &SALT, &question);
        Pallet::<T>::do_challenge(who.clone(), 0, commitment)?;
        later::<T>(1u32.into());
        #[extrinsic_call]
        _(RawOrigin::Signed(who), 0, SALT, Box::new(question));
        assert!(Questions::<T>::iter_keys().next().is_some());
        Ok(())
    }

    /// A row. `b` is the length of the question in bytes.
    #[benchmark]
    fn ask_index(b: Linear<500, 32_700>) -> Result<(), BenchmarkError> {
        const BESIDE_THE_LANES: u32 = 200;
        let (_, index, mut book) = broken::<T>(b.saturating_sub(BESIDE_THE_LANES).min(MOST_LANES))?;
        let who = challenger::<T>();
        // As it was before it was broken: a row that the chain cannot judge.
        book.row.sketch = book.sketch.clone();
        let rows = core::slice::from_ref(&book.row);
        let tree = Tree::new(rows).map_err(|_| BenchmarkError::Stop("the benchmark's row makes no tree"))?;
        Indexes::<T>::mutate(index, |entry| {
            if let Some(entry) = entry {
                entry.header.rows = tree.root();
            }
        });
        let question = IndexQuestion::Row(AskedRow {
            layout: book.layout.clone(),
            row: tree
                .open(0, &book.row)
                .ok_or(BenchmarkError::Stop("the benchmark's index cannot be opened"))?,
        });
        let commitment = index_question_commitment(&who.clone().into(), &index, &SALT, &question);
        Pallet::<T>::do_challenge_index(who.clone(), index, commitment)?;
        later::<T>(1u32.into());
        #[extrinsic_call]
        _(RawOrigin::Signed(who), index, SALT, Box::new(question));
        assert!(Questions::<T>::iter_keys().next().is_some());
        Ok(())
    }

    #[benchmark]
    fn draw_audit() -> Result<(), BenchmarkError> {
        let world = world::<T>(1, 1, 64)?;
        world.submit()?;
        let epoch = T::Draws::epoch();
        T::BenchmarkHelper::draw(epoch);
        Audits::<T>::insert(0, Audit::Waiting { epoch });
        #[extrinsic_call]
        _(RawOrigin::Signed(world.worker.clone()), 0);
        assert!(matches!(Audits::<T>::get(0), Some(Audit::Drawn { .. })));
        Ok(())
    }

    /// A query or a row. `b` is about the length of what is shown in bytes.
    #[benchmark]
    fn show_audit(b: Linear<2_000, 34_000>) -> Result<(), BenchmarkError> {
        const BESIDE_THE_LANES: u32 = 1_500;
        let world = world::<T>(1, 1, b.saturating_sub(BESIDE_THE_LANES).min(MOST_LANES))?;
        world.submit()?;
        let randomness = [7; 32];
        Audits::<T>::insert(
            0,
            Audit::Drawn {
                randomness,
                until: u32::MAX,
            },
        );
        let index = world.book.header.hash();
        IndexBonds::<T>::insert(
            index,
            IndexBond {
                builder: world.worker.clone(),
                exposure: 0,
                challenges: 0,
                stage: IndexStage::Standing,
            },
        );
        let audit = world
            .audit(&randomness)
            .ok_or(BenchmarkError::Stop("the benchmark's batch cannot be opened"))?;
        #[extrinsic_call]
        _(RawOrigin::Signed(world.worker.clone()), 0, Box::new(audit));
        assert!(Questions::<T>::iter_keys().next().is_some());
        Ok(())
    }

    /// A batch is condemned.
    #[benchmark]
    fn end_audit() -> Result<(), BenchmarkError> {
        let world = world::<T>(1, 1, 64)?;
        world.submit()?;
        let randomness = [7; 32];
        Audits::<T>::insert(0, Audit::Drawn { randomness, until: 0 });
        later::<T>(1u32.into());
        #[extrinsic_call]
        _(RawOrigin::Signed(world.worker.clone()), 0);
        assert!(Batches::<T>::get(0).is_some_and(|batch| batch.escrow == 0));
        Ok(())
    }

    /// A batch is condemned by a committee.
    #[benchmark]
    fn ended() -> Result<(), BenchmarkError> {
        let world = world::<T>(1, 1, 64)?;
        world.submit()?;
        let who = challenger::<T>();
        let question = world
            .question()
            .ok_or(BenchmarkError::Stop("the benchmark's batch cannot be opened"))?;
        let commitment = question_commitment(&who.clone().into(), 0, &SALT, &question);
        Pallet::<T>::do_challenge(who.clone(), 0, commitment)?;
        later::<T>(1u32.into());
        Pallet::<T>::do_ask(who, 0, &SALT, &question)?;
        let (case, asked) = Questions::<T>::iter()
            .next()
            .ok_or(BenchmarkError::Stop("the benchmark's question is refused"))?;
        let result;
        #[block]
        {
            result = <Pallet<T> as OnVerdict<T::AccountId>>::ended(
                case,
                &asked.subject,
                Ending::Decided(Vote::Wrong),
            );
        }
        assert!(result.is_ok());
        assert!(Batches::<T>::get(0).is_some_and(|batch| batch.escrow == 0));
        Ok(())
    }
}

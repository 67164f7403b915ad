//! A chain from genesis on, and what becomes of everything that is tried on it.

use crate::{
    chain, checks, counting,
    counting::Counting,
    growth,
    play::{is_own, Play, Sender, Try},
    setting,
};
use frame_support::{
    dispatch::{DispatchClass, GetDispatchInfo},
    traits::{GetCallMetadata, UnfilteredDispatchable, WhitelistedStorageKeys},
    weights::Weight,
};
use frame_system::offchain::CreateAuthorizedTransaction;
use openledger_runtime::*;
use std::collections::{BTreeMap, HashSet};

/// What became of the tries of one call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) done: u64,
    pub(crate) refused: u64,
    /// Not even taken into a block.
    pub(crate) invalid: u64,
    /// Keys read and written by the try that came nearest to what its weight pays for, and that part in thousandths.
    pub(crate) reads: u64,
    pub(crate) writes: u64,
    pub(crate) used: u64,
    /// Heaviest weight that a try declared, its base's and extensions' included.
    pub(crate) declared: Weight,
    /// Bytes read beyond what the weight declares, at most.
    pub(crate) bytes_over: u64,
    /// Bytes that one success leaves in the state, least and most, where they were measured.
    pub(crate) bytes: Option<(i64, i64)>,
}

impl Tally {
    /// What became of both.
    pub(crate) fn merge(&mut self, of: Tally) {
        self.done += of.done;
        self.refused += of.refused;
        self.invalid += of.invalid;
        self.declared = self.declared.max(of.declared);
        self.bytes_over = self.bytes_over.max(of.bytes_over);
        if of.used > self.used {
            (self.reads, self.writes, self.used) = (of.reads, of.writes, of.used);
        }
        if let Some((least, most)) = of.bytes {
            self.leaves(least);
            self.leaves(most);
        }
    }

    fn leaves(&mut self, bytes: i64) {
        let (least, most) = self.bytes.unwrap_or((bytes, bytes));
        self.bytes = Some((least.min(bytes), most.max(bytes)));
    }
}

/// By pallet and call.
pub(crate) type Tallies = BTreeMap<(&'static str, &'static str), Tally>;

/// Says how to see a failure again.
struct Report {
    seed: u64,
    calls: u64,
    last: String,
}

impl Drop for Report {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Report { seed, calls, last } = self;
            eprintln!("the last was {last}\nto see it again: FUZZ_SEED={seed} FUZZ_CALLS={calls} FUZZ_EPISODE={calls}");
        }
    }
}

struct Episode {
    play: Play,
    tallies: Tallies,
    /// Keys that every block touches anyway.
    free: HashSet<Vec<u8>>,
    supply: checks::Supply,
    report: Report,
    /// Whether what calls leave in the state is measured, which takes long.
    measures: bool,
}

/// Successes of a call whose bytes are measured.
const MEASURED: u64 = 20;

impl Episode {
    /// Tries one thing and notes what became of it.
    fn try_one(&mut self) {
        let Try { sender, call } = self.play.next();
        self.report.last = format!("{call:?} in block {}", System::block_number());
        let metadata = call.get_call_metadata();
        let place = (metadata.pallet_name, metadata.function_name);
        let tally = self.tallies.entry(place).or_default();
        let (transaction, payer) = match sender {
            Sender::Signed(who) => {
                let account = frame_system::Account::<Runtime>::hashed_key_for(who.to_account_id());
                (chain::signed(who, call), account)
            }
            Sender::Authorized => (authorized(call), vec![]),
            Sender::Root => {
                let done = call.dispatch_bypass_filter(RuntimeOrigin::root()).is_ok();
                *(if done { &mut tally.done } else { &mut tally.refused }) += 1;
                return;
            }
        };
        let limits = config::system::BlockWeights::get();
        let base = limits.get(DispatchClass::Normal).base_extrinsic;
        let declared = transaction
            .get_dispatch_info()
            .total_weight()
            .saturating_add(base);
        tally.declared = tally.declared.max(declared);
        let before = (self.measures && is_own(place.0) && tally.done < MEASURED).then(growth::bytes);
        counting::start();
        let outcome = Executive::apply_extrinsic(transaction);
        let touched = counting::stop();
        match outcome {
            Ok(Ok(_)) => tally.done += 1,
            Ok(Err(_)) => tally.refused += 1,
            Err(_) => {
                tally.invalid += 1;
                return;
            }
        }
        if let Some(before) = before.filter(|_| matches!(outcome, Ok(Ok(_)))) {
            tally.leaves(growth::bytes() as i64 - before as i64);
        }
        let (reads, writes) = touched.counts(|key| key != payer && !self.free.contains(key));
        let used = part(reads, writes, declared);
        if used > tally.used {
            (tally.reads, tally.writes, tally.used) = (reads, writes, used);
        }
        tally.bytes_over = tally
            .bytes_over
            .max(touched.bytes.saturating_sub(declared.proof_size()));
    }

    /// One block with so many tries.
    fn block(&mut self, tries: u64) {
        chain::begin_block();
        for _ in 0..tries {
            self.try_one();
        }
        checks::block_weight();
        chain::end_block();
        self.report.last = format!("the end of block {}", System::block_number());
        self.supply.check();
        // What blocks without transactions do is seen after the next that has some.
        if tries > 0 {
            checks::holds();
            checks::try_state();
        }
    }
}

fn authorized(call: RuntimeCall) -> UncheckedExtrinsic {
    type Call = pallet_openledger_compute::Call<Runtime>;
    <Runtime as CreateAuthorizedTransaction<Call>>::create_authorized_transaction(call)
}

/// Part of the declared time, in thousandths, that the database alone takes.
fn part(reads: u64, writes: u64, declared: Weight) -> u64 {
    let db = <Runtime as frame_system::Config>::DbWeight::get().reads_writes(reads, writes);
    db.ref_time().saturating_mul(1_000) / declared.ref_time().max(1)
}

/// `calls` tries from genesis.
pub(crate) fn run(seed: u64, calls: u64) -> Tallies {
    run_and_then(seed, calls, |_| {})
}

/// The same, with a look at the state they leave.
pub(crate) fn run_and_then(seed: u64, calls: u64, look: impl FnOnce(&Tallies)) -> Tallies {
    let mut state = chain::chain("development", serde_json::json!({}));
    let mut episode = Episode {
        play: Play::new(seed),
        tallies: Tallies::new(),
        free: AllPalletsWithSystem::whitelisted_storage_keys()
            .into_iter()
            .map(|key| key.key)
            .collect(),
        supply: Default::default(),
        report: Report {
            seed,
            calls,
            last: "nothing".into(),
        },
        measures: setting("FUZZ_BYTES", 0) > 0,
    };
    let mut made = 0;
    while made < calls {
        let tries = (1 + episode.play.rng.below(24)).min(calls - made);
        made += tries;
        // Time passes: a window in one leap now and then, a few blocks mostly.
        let empty = match episode.play.rng.below(20) {
            0 => episode.play.rng.below(60),
            1..=8 => episode.play.rng.below(4),
            _ => 0,
        };
        for tries in std::iter::repeat_n(0, empty as usize).chain([tries]) {
            let mut inner = state.ext();
            sp_externalities::set_and_run_with_externalities(&mut Counting(&mut inner), || {
                episode.block(tries)
            });
            drop(inner);
            state.commit_all().expect("a state in memory takes every change");
        }
    }
    state.execute_with(|| look(&episode.tallies));
    std::mem::take(&mut episode.tallies)
}

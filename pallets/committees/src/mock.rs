//! A chain with this pallet, workers that are a list, and whoever judges as a log.

use crate as pallet_committees;
use core::cell::RefCell;
use frame_support::{
    derive_impl, ensure, parameter_types,
    traits::{ConstU128, ConstU32, ConstU64},
    weights::Weight,
};
use openledger_attribution::{
    committee::{vote_hash, Claim, Computed, Vote},
    hash::{keccak, Hash},
    wire::Object,
};
use openledger_protocol::{
    committees::{Ending, Need, Subject},
    compute::Backend,
    Name,
};
use openledger_traits::{Attesters, Bonds, Committees as _, Draws, Hearing, OnVerdict};
use sp_runtime::{traits::Convert, AccountId32, BuildStorage, DispatchResult};
use std::collections::BTreeMap;

pub(crate) type AccountId = AccountId32;

pub(crate) const OPEN: u128 = 1_000_000_000_000_000_000;
pub(crate) const PRICE: u128 = OPEN / 10;
pub(crate) const STAKE: u128 = 50 * OPEN;
pub(crate) const SILENCE: u128 = 10 * OPEN;
pub(crate) const COMMIT: u64 = 6;
pub(crate) const LONG: u64 = 40;
pub(crate) const REVEAL: u64 = 4;
/// Blocks of an epoch.
pub(crate) const EPOCH: u64 = 10;
pub(crate) const PAYER: AccountId = AccountId::new([0xC4; 32]);
pub(crate) const ACCUSED: AccountId = AccountId::new([0xAC; 32]);
pub(crate) const BOND: u128 = 1_000 * OPEN;

frame_support::construct_runtime!(
    pub enum Test {
        System: frame_system,
        Balances: pallet_balances,
        Committees: pallet_committees,
    }
);

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = frame_system::mocking::MockBlock<Test>;
    type AccountId = AccountId;
    type Lookup = sp_runtime::traits::IdentityLookup<AccountId>;
    type AccountData = pallet_balances::AccountData<u128>;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
    type Balance = u128;
    type ExistentialDeposit = ConstU128<1_000>;
    type AccountStore = System;
}

parameter_types! {
    pub const VerdictWeight: Weight = Weight::from_parts(1_000, 0);
    pub storage Size: u32 = 5;
    pub storage Quorum: u32 = 4;
    /// The workers: in the state, so that what fails leaves no trace.
    pub(crate) storage Workers: BTreeMap<AccountId, Worker> = BTreeMap::new();
}

/// A worker of the list.
#[derive(Clone, Debug, codec::Encode, codec::Decode)]
pub(crate) struct Worker {
    pub(crate) bond: u128,
    pub(crate) open: u128,
    /// What of the bond came in this block or later counts for nothing before it.
    pub(crate) raised: (u32, u128),
    pub(crate) attests: bool,
    pub(crate) machine: (Backend, Name),
}

#[derive(Default)]
pub(crate) struct Outside {
    /// Who is behind whom, where it is somebody else.
    pub(crate) owners: BTreeMap<AccountId, AccountId>,
    pub(crate) slashed: u128,
    pub(crate) ended: Vec<(u64, Subject, Ending)>,
    /// Epochs whose draw is not known any more.
    pub(crate) forgotten: Vec<u64>,
    /// What the chain draws of an epoch.
    pub(crate) entropy: u64,
}

thread_local! {
    static OUTSIDE: RefCell<Outside> = RefCell::default();
}

pub(crate) fn outside<R>(run: impl FnOnce(&mut Outside) -> R) -> R {
    OUTSIDE.with_borrow_mut(run)
}

pub(crate) fn workers<R>(run: impl FnOnce(&mut BTreeMap<AccountId, Worker>) -> R) -> R {
    let mut all = Workers::get();
    let result = run(&mut all);
    Workers::set(&all);
    result
}

pub(crate) fn arch(text: &str) -> Name {
    Name::try_from(text.as_bytes().to_vec()).unwrap()
}

pub struct StandIn;

impl Attesters<AccountId> for StandIn {
    fn bond(who: &AccountId, need: &Need, since: u32) -> Option<u128> {
        workers(|all| {
            let worker = all.get(who)?;
            let fits = need
                .machine
                .as_ref()
                .is_none_or(|machine| worker.machine == *machine);
            let later = if worker.raised.0 >= since {
                worker.raised.1
            } else {
                0
            };
            (worker.attests && fits)
                .then(|| worker.bond.saturating_sub(later))
                .filter(|bond| *bond > 0)
        })
    }
    fn attests(who: &AccountId) -> bool {
        workers(|all| all.get(who).is_some_and(|worker| worker.attests))
    }
    fn machine(who: &AccountId) -> Need {
        workers(|all| Need {
            machine: all.get(who).map(|worker| worker.machine.clone()),
        })
    }
}

impl Bonds<AccountId> for StandIn {
    fn open(worker: &AccountId, value: u128) -> DispatchResult {
        workers(|all| {
            let worker = all.get_mut(worker).ok_or("no worker")?;
            ensure!(worker.open + value <= worker.bond, "no room");
            worker.open += value;
            Ok(())
        })
    }
    fn close(worker: &AccountId, value: u128) {
        workers(|all| {
            let worker = all.get_mut(worker).expect("a worker");
            worker.open = worker.open.checked_sub(value).expect("was open");
        });
    }
    fn slash(worker: &AccountId, amount: u128, challenger: Option<&AccountId>) -> u128 {
        assert_eq!(challenger, None, "nobody gains by a member's slash");
        let taken = workers(|all| {
            let worker = all.get_mut(worker).expect("a worker");
            let taken = amount.min(worker.bond);
            worker.bond -= taken;
            taken
        });
        outside(|o| o.slashed += taken);
        taken
    }
    fn pay(worker: &AccountId, amount: u128, to: &AccountId) -> u128 {
        let taken = workers(|all| {
            let worker = all.get_mut(worker)?;
            let taken = amount.min(worker.bond);
            worker.bond -= taken;
            Some(taken)
        })
        .unwrap_or(0);
        use frame_support::traits::fungible::Mutate;
        Balances::mint_into(to, taken).unwrap();
        taken
    }
}

impl Draws for StandIn {
    fn epoch() -> u64 {
        System::block_number() / EPOCH
    }
    fn drawn(epoch: u64, domain: &[u8], id: u64) -> Option<Hash> {
        let is_out = Self::epoch() >= epoch + 2;
        outside(|o| {
            (is_out && !o.forgotten.contains(&epoch)).then(|| {
                keccak(&[
                    &o.entropy.to_be_bytes(),
                    &epoch.to_be_bytes(),
                    domain,
                    &id.to_be_bytes(),
                ])
            })
        })
    }
}

impl Convert<AccountId, AccountId> for StandIn {
    fn convert(who: AccountId) -> AccountId {
        outside(|o| o.owners.get(&who).cloned().unwrap_or(who))
    }
}

impl OnVerdict<AccountId> for StandIn {
    fn ended(case: u64, subject: &Subject, ending: Ending) -> DispatchResult {
        outside(|o| o.ended.push((case, *subject, ending)));
        Ok(())
    }
}

impl pallet_committees::Config for Test {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Attesters = StandIn;
    type Bonds = StandIn;
    type Owner = StandIn;
    type Draws = StandIn;
    type OnVerdict = StandIn;
    type VerdictWeight = VerdictWeight;
    type DecideOrigin = frame_system::EnsureRoot<AccountId>;
    type Size = Size;
    type Quorum = Quorum;
    type SeatPrice = ConstU128<PRICE>;
    type SeatStake = ConstU128<STAKE>;
    type Silence = ConstU128<SILENCE>;
    type CommitPeriod = ConstU64<COMMIT>;
    type LongCommitPeriod = ConstU64<LONG>;
    type RevealPeriod = ConstU64<REVEAL>;
    type MaxMembers = ConstU32<60>;
    type WeightInfo = ();
}

pub(crate) fn nth(n: u8) -> AccountId {
    AccountId::new([n; 32])
}

pub(crate) fn hire(who: AccountId, bond: u128) {
    let worker = Worker {
        bond,
        open: 0,
        raised: (System::block_number() as u32, bond),
        attests: true,
        machine: (Backend::Cpu, arch("portable-8")),
    };
    workers(|all| all.insert(who, worker));
}

pub(crate) fn join(who: AccountId, bond: u128) {
    hire(who.clone(), bond);
    Committees::join(Some(who).into(), [7; 32]).unwrap();
}

/// Members 1 to `count`, all with the same bond, long before anything happens; and the accused.
pub(crate) fn members(count: u8) {
    hire(ACCUSED, BOND);
    for n in 1..=count {
        join(nth(n), BOND);
    }
    advance(1);
}

pub(crate) fn test(run: impl FnOnce()) {
    let mut storage = frame_system::GenesisConfig::<Test>::default()
        .build_storage()
        .unwrap();
    pallet_balances::GenesisConfig::<Test> {
        balances: vec![(PAYER, 1_000 * OPEN), (ACCUSED, 1_000 * OPEN)],
        ..Default::default()
    }
    .assimilate_storage(&mut storage)
    .unwrap();
    outside(|o| *o = Outside::default());
    sp_io::TestExternalities::from(storage).execute_with(|| {
        System::set_block_number(1);
        run();
        Committees::do_try_state().unwrap();
        // What is open is what the seats say.
        let mut open: BTreeMap<AccountId, u128> = BTreeMap::new();
        for case in crate::Cases::<Test>::iter_values() {
            for seat in &case.seats {
                *open.entry(seat.member.clone()).or_default() += case.stake;
            }
        }
        workers(|all| {
            for (who, worker) in all.iter() {
                assert_eq!(worker.open, open.get(who).copied().unwrap_or(0));
            }
        });
    });
}

pub(crate) fn advance(blocks: u64) {
    System::set_block_number(System::block_number() + blocks);
}

pub(crate) const CLAIM: Hash = [0xAD; 32];

pub(crate) fn private() -> Subject {
    Subject::Output { batch: 3, receipt: 1 }
}

pub(crate) fn public() -> Subject {
    Subject::Training { index: [9; 32] }
}

pub(crate) fn hearing(subject: Subject) -> Hearing<AccountId> {
    Hearing {
        subject,
        claim: Claim::Digest(CLAIM),
        accused: ACCUSED,
        payer: PAYER,
        parties: vec![],
        is_exact: false,
        audit: None,
    }
}

pub(crate) fn open(subject: Subject) -> u64 {
    Committees::open(hearing(subject)).unwrap()
}

/// Waits for the draw and fills the seats; returns who sits in this round.
pub(crate) fn seat(case: u64) -> Vec<AccountId> {
    advance(2 * EPOCH);
    Committees::seat(Some(PAYER).into(), case).unwrap();
    sitting(case)
}

pub(crate) fn sitting(case: u64) -> Vec<AccountId> {
    let case = crate::Cases::<Test>::get(case).unwrap();
    case.seats
        .iter()
        .filter(|seat| seat.round == case.round)
        .map(|seat| seat.member.clone())
        .collect()
}

/// What a member says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    Right,
    /// Computed this instead.
    Wrong(u8),
    Missing(Vote),
    /// Votes against its own numbers.
    Contradicts,
    Silent,
    /// Commits and does not reveal.
    Withholds,
}

impl Says {
    pub(crate) fn vote(&self) -> (Vote, Computed) {
        match self {
            Self::Right => (Vote::Right, Computed::Digest(CLAIM)),
            Self::Wrong(n) => (Vote::Wrong, Computed::Digest([*n; 32])),
            Self::Missing(vote) => (*vote, Computed::Missing([])),
            Self::Contradicts => (Vote::Right, Computed::Digest([0xBB; 32])),
            Self::Silent | Self::Withholds => (Vote::Right, Computed::Digest(CLAIM)),
        }
    }
}

pub(crate) fn salt(who: &AccountId) -> Hash {
    keccak(&[b"salt", who.as_ref()])
}

pub(crate) fn commitment(who: &AccountId, says: &Says) -> Hash {
    let (vote, computed) = says.vote();
    vote_hash(vote, who.as_ref(), &Object::encode(&computed), &salt(who))
}

pub(crate) fn commit(case: u64, who: &AccountId, says: &Says) -> DispatchResult {
    Committees::commit(Some(who.clone()).into(), case, commitment(who, says))
}

pub(crate) fn reveal(case: u64, who: &AccountId, says: &Says) -> DispatchResult {
    let (vote, computed) = says.vote();
    Committees::reveal(
        Some(who.clone()).into(),
        case,
        vote,
        Box::new(computed),
        salt(who),
    )
}

pub(crate) fn close(case: u64) -> DispatchResult {
    Committees::close(Some(PAYER).into(), case)
}

/// A whole round: everybody says its thing, in the order of the seats. The round is closed.
pub(crate) fn round(case: u64, says: &[Says]) -> Vec<AccountId> {
    let members = seat(case);
    assert_eq!(members.len(), says.len());
    for (who, says) in members.iter().zip(says) {
        if *says != Says::Silent {
            commit(case, who, says).unwrap();
        }
    }
    if says.contains(&Says::Silent) {
        // To the first block in which those that committed reveal.
        let stage = crate::Cases::<Test>::get(case).unwrap().stage;
        let crate::CaseStage::Committing { until } = stage else {
            panic!("not all have committed: {stage:?}");
        };
        advance(u64::from(until) + 1 - System::block_number());
    }
    Committees::do_try_state().unwrap();
    for (who, says) in members.iter().zip(says) {
        if !matches!(says, Says::Silent | Says::Withholds) {
            reveal(case, who, says).unwrap();
        }
    }
    if says.contains(&Says::Withholds) {
        advance(REVEAL + 1);
    }
    Committees::do_try_state().unwrap();
    close(case).unwrap();
    members
}

pub(crate) fn bond(who: &AccountId) -> u128 {
    workers(|all| all[who].bond)
}

pub(crate) fn ending() -> Option<Ending> {
    outside(|o| o.ended.last().map(|(_, _, ending)| *ending))
}

//! A chain around one world of the primitives' tests: honest contributions, index and answers, with stand-ins that count
//! every planck.

use crate as pallet_attribution;
use crate::tests::common::world::{Chain, World};
use core::cell::RefCell;
use frame_support::{derive_impl, ensure, parameter_types};
use openledger_attribution::{
    fee::Tariff,
    hash::Hash,
    index::IndexHeader,
    verdict::{Contribution, IndexOrder, Registry},
    voucher::Signature,
};
use openledger_protocol::{channels::ChannelClaim, committees::AUDIT_DOMAIN, models::Source, staking::Pool};
use openledger_traits::{
    Ancestors, Asset, Bonds, Charge, Committees, Contributions, Draws, Hearing, Models, Ownership, PayOut,
    Served, Stakes,
};
use sp_runtime::{AccountId32, BuildStorage, DispatchError, DispatchResult};
use std::collections::BTreeMap;

pub(crate) const OPEN: u128 = 1_000_000_000_000_000_000;
pub(crate) const WINDOW: u64 = 20;
pub(crate) const PROVE: u64 = 10;
pub(crate) const RETENTION: u64 = 100;
pub(crate) const DEPOSIT: u128 = 5 * OPEN;
/// Between what a lie about a small receipt and about a large one costs, so that both happen.
pub(crate) const FLOOR: u128 = OPEN / 500;
pub(crate) const STAKE: u128 = 150 * OPEN;
pub(crate) const INDEX_RETENTION: u64 = 200;
pub(crate) const REVEAL: u64 = 6;
pub(crate) const PRICE: u128 = OPEN / 10;
pub(crate) const ANSWER: u64 = 15;
/// Blocks of an epoch.
pub(crate) const EPOCH: u64 = 10;
pub(crate) const MODEL_OWNER: AccountId32 = AccountId32::new([0x0E; 32]);
pub(crate) const TREASURY: AccountId32 = AccountId32::new([0x7E; 32]);
pub(crate) const POT: AccountId32 = AccountId32::new([0x90; 32]);
pub(crate) const STAKES: AccountId32 = AccountId32::new([0x57; 32]);
pub(crate) const CHALLENGER: AccountId32 = AccountId32::new([0xC4; 32]);

frame_support::construct_runtime!(
    pub enum Test {
        System: frame_system,
        Balances: pallet_balances,
        Attribution: pallet_attribution,
    }
);

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = frame_system::mocking::MockBlock<Test>;
    type AccountId = AccountId32;
    type Lookup = sp_runtime::traits::IdentityLookup<AccountId32>;
    type AccountData = pallet_balances::AccountData<u128>;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
    type Balance = u128;
    type ExistentialDeposit = frame_support::traits::ConstU128<1_000>;
    type AccountStore = System;
}

parameter_types! {
    pub const ChainId: u64 = 161_299;
    pub const Treasury: AccountId32 = TREASURY;
    pub const Window: u64 = WINDOW;
    pub const ProvePeriod: u64 = PROVE;
    pub const Retention: u64 = RETENTION;
    pub storage MinCredit: u128 = 0;
    pub const ChallengeDeposit: u128 = DEPOSIT;
    pub const BatchDeposit: u128 = OPEN;
    pub const SlashFloor: u128 = FLOOR;
    pub const IndexStake: u128 = STAKE;
    pub const IndexRetention: u64 = INDEX_RETENTION;
    pub const RevealPeriod: u64 = REVEAL;
    pub const RevealPrice: u128 = PRICE;
    pub const AnswerPeriod: u64 = ANSWER;
    pub const HearingWeight: frame_support::weights::Weight = frame_support::weights::Weight::from_parts(1_000, 0);
    pub const FastTolerance: u32 = 500_000;
}

/// What the stand-ins know and were told.
#[derive(Default)]
pub(crate) struct Outside {
    pub(crate) index: Hash,
    pub(crate) tariff: Option<Tariff>,
    pub(crate) consumers: BTreeMap<u64, AccountId32>,
    pub(crate) cursors: BTreeMap<u64, u128>,
    pub(crate) open: u128,
    pub(crate) slashed: u128,
    /// Whether the pool behind who was slashed was frozen then.
    pub(crate) slashed_frozen: Vec<bool>,
    pub(crate) escrowed: u128,
    pub(crate) credits: BTreeMap<AccountId32, u128>,
    pub(crate) treasury: u128,
    /// Pools that somebody stakes in, and those whose numbers are full.
    pub(crate) staked: Vec<Pool<AccountId32>>,
    pub(crate) full: Vec<Pool<AccountId32>>,
    /// What came into the pot of stakes, and what of it was said to be whose.
    pub(crate) in_stakes: u128,
    pub(crate) income: Vec<(Pool<AccountId32>, u128)>,
    /// How often each pool is frozen, and what happened to it in which order.
    pub(crate) frozen: BTreeMap<AccountId32, u32>,
    pub(crate) ancestors: Option<Ancestors<AccountId32>>,
    /// What workers' bonds owed the fallback.
    pub(crate) forfeited: u128,
    pub(crate) chain: Chain,
    pub(crate) order: Option<IndexOrder>,
    pub(crate) retired: bool,
    pub(crate) voided: Vec<(u64, u32, Hash)>,
    pub(crate) randomness: Hash,
    /// Epochs whose draw is not known any more.
    pub(crate) forgotten: Vec<u64>,
    /// Whether a committee could be seated.
    pub(crate) are_enough: bool,
    /// What was put before committees, by case.
    pub(crate) hearings: Vec<Hearing<AccountId32>>,
}

thread_local! {
    pub(crate) static OUTSIDE: RefCell<Outside> = RefCell::default();
}

pub(crate) fn outside<R>(run: impl FnOnce(&mut Outside) -> R) -> R {
    OUTSIDE.with_borrow_mut(run)
}

pub struct StandIn;

impl Models<AccountId32> for StandIn {
    fn served(_: u64, _: u32) -> Option<Served<AccountId32>> {
        Some(Served {
            owner: Some(MODEL_OWNER),
            index: outside(|o| o.index),
            sources: vec![source(1, 3), source(2, 1)],
        })
    }
    fn tariff(_: u64, _: u32) -> Option<Tariff> {
        outside(|o| o.tariff)
    }
    fn ancestors(_: u64, _: u32) -> Option<Ancestors<AccountId32>> {
        outside(|o| o.ancestors.clone())
    }
    fn accepts(_: u64, _: u32, tariff: &Tariff) -> bool {
        outside(|o| o.voided.is_empty() && o.tariff.as_ref() == Some(tariff))
    }
    fn order(_: &IndexHeader) -> Option<IndexOrder> {
        outside(|o| o.order)
    }
    fn is_retired(_: u64, _: u32) -> bool {
        outside(|o| o.retired)
    }
    fn void(model: u64, generation: u32, index: &Hash) {
        outside(|o| o.voided.push((model, generation, *index)));
    }
}

impl Committees<AccountId32> for StandIn {
    fn open(hearing: Hearing<AccountId32>) -> Result<u64, DispatchError> {
        outside(|o| {
            o.hearings.push(hearing);
            Ok(o.hearings.len() as u64 - 1)
        })
    }
    fn are_enough(parties: &[AccountId32]) -> bool {
        assert!(!parties.is_empty());
        outside(|o| o.are_enough)
    }
}

impl Contributions for StandIn {
    fn contribution(id: u64) -> Option<Contribution> {
        outside(|o| o.chain.contribution(id))
    }
}

impl Draws for StandIn {
    fn epoch() -> u64 {
        System::block_number() / EPOCH
    }
    fn drawn(epoch: u64, domain: &[u8], id: u64) -> Option<Hash> {
        assert!([crate::DRAW_DOMAIN, AUDIT_DOMAIN].contains(&domain) && id == 0);
        let is_out = Self::epoch() >= epoch + 2;
        outside(|o| {
            is_out
                .then_some(o.randomness)
                .filter(|_| !o.forgotten.contains(&epoch))
        })
    }
}

fn source(datanet: u64, weight: u32) -> Source {
    Source {
        datanet,
        version: 0,
        weight,
    }
}

pub(crate) fn datanet_owner(datanet: u64) -> AccountId32 {
    [0xD0 + datanet as u8; 32].into()
}

impl Ownership<AccountId32> for StandIn {
    fn mint(_: Asset, _: &AccountId32) -> DispatchResult {
        unreachable!("attribution mints nothing")
    }
    fn owner(asset: Asset) -> Option<AccountId32> {
        match asset {
            Asset::Datanet(id) => Some(datanet_owner(id)),
            Asset::Model(_) => unreachable!("the model's owner comes with it"),
        }
    }
}

impl Bonds<AccountId32> for StandIn {
    fn open(_: &AccountId32, value: u128) -> DispatchResult {
        outside(|o| o.open += value);
        Ok(())
    }
    fn close(_: &AccountId32, value: u128) {
        outside(|o| o.open -= value);
    }
    fn slash(who: &AccountId32, amount: u128, _: Option<&AccountId32>) -> u128 {
        outside(|o| {
            o.slashed += amount;
            o.slashed_frozen.push(o.frozen.contains_key(who));
        });
        amount
    }
    fn pay(_: &AccountId32, amount: u128, to: &AccountId32) -> u128 {
        assert_eq!(*to, POT);
        outside(|o| o.forfeited += amount);
        amount
    }
}

impl Charge<AccountId32> for StandIn {
    fn charge(_: &AccountId32, claim: &ChannelClaim) -> DispatchResult {
        outside(|o| {
            let cursor = o.cursors.get_mut(&claim.leaf.channel).ok_or("no channel")?;
            ensure!(*cursor == claim.leaf.from, "cursor");
            *cursor = claim.leaf.to;
            o.escrowed += claim.leaf.to - claim.leaf.from;
            Ok(())
        })
    }
    fn consumer(channel: u64) -> Option<AccountId32> {
        outside(|o| o.consumers.get(&channel).cloned())
    }
}

impl PayOut<AccountId32> for StandIn {
    fn pot() -> AccountId32 {
        POT
    }
    fn escrowed(amount: u128) -> DispatchResult {
        outside(|o| o.escrowed += amount);
        Ok(())
    }
    fn credit(who: &AccountId32, amount: u128) -> DispatchResult {
        outside(|o| {
            o.escrowed = o
                .escrowed
                .checked_sub(amount)
                .ok_or("more credited than escrowed")?;
            *o.credits.entry(who.clone()).or_default() += amount;
            Ok(())
        })
    }
    fn to_treasury(amount: u128) -> DispatchResult {
        outside(|o| {
            o.escrowed = o.escrowed.checked_sub(amount).ok_or("more paid than escrowed")?;
            o.treasury += amount;
            Ok(())
        })
    }
    fn move_to(pot: &AccountId32, amount: u128) -> DispatchResult {
        assert_eq!(*pot, STAKES);
        outside(|o| {
            o.escrowed = o.escrowed.checked_sub(amount).ok_or("more moved than escrowed")?;
            o.in_stakes += amount;
            Ok(())
        })
    }
}

impl Stakes<AccountId32> for StandIn {
    fn pot() -> AccountId32 {
        STAKES
    }
    fn income(pool: &Pool<AccountId32>, amount: u128) -> DispatchResult {
        outside(|o| {
            let known: u128 = o.income.iter().map(|(_, amount)| amount).sum();
            ensure!(o.in_stakes >= known + amount, "it is not in the pot");
            if o.full.contains(pool) {
                // What a storage layer takes back in the runtime.
                o.in_stakes -= amount;
                o.escrowed += amount;
                return Err("the pool is full".into());
            }
            assert!(amount == 0 || o.staked.contains(pool), "nobody stakes there");
            if amount > 0 {
                o.income.push((pool.clone(), amount));
            }
            Ok(())
        })
    }
    fn slash(_: &Pool<AccountId32>, _: u128) -> u128 {
        unreachable!("stakes are slashed where bonds are")
    }
    fn has_stakers(pool: &Pool<AccountId32>) -> bool {
        outside(|o| o.staked.contains(pool))
    }
    fn total(_: &Pool<AccountId32>) -> u128 {
        unreachable!("stakes are slashed where bonds are")
    }
    fn freeze(pool: &Pool<AccountId32>) -> DispatchResult {
        let Pool::Worker(who) = pool else {
            panic!("no worker is accused");
        };
        outside(|o| *o.frozen.entry(who.clone()).or_default() += 1);
        Ok(())
    }
    fn thaw(pool: &Pool<AccountId32>) {
        let Pool::Worker(who) = pool else {
            panic!("no worker is accused");
        };
        outside(|o| {
            let times = o.frozen.remove(who).expect("thawed as often as frozen");
            if times > 1 {
                o.frozen.insert(who.clone(), times - 1);
            }
        });
    }
}

impl pallet_attribution::Config for Test {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Models = StandIn;
    type Ownership = StandIn;
    type Bonds = StandIn;
    type Charge = StandIn;
    type PayOut = StandIn;
    type Stakes = StandIn;
    type Contributions = StandIn;
    type Draws = StandIn;
    type Committees = StandIn;
    type HearingWeight = HearingWeight;
    type FastTolerance = FastTolerance;
    type IndexStake = IndexStake;
    type IndexRetention = IndexRetention;
    type RevealPeriod = RevealPeriod;
    type RevealPrice = RevealPrice;
    type AnswerPeriod = AnswerPeriod;
    type ChainId = ChainId;
    type Treasury = Treasury;
    type Window = Window;
    type ProvePeriod = ProvePeriod;
    type Retention = Retention;
    type MinCredit = MinCredit;
    type ChallengeDeposit = ChallengeDeposit;
    type BatchDeposit = BatchDeposit;
    type SlashFloor = SlashFloor;
    type WeightInfo = ();
}

/// The claims of a world's batch.
pub(crate) fn claims(world: &World) -> Vec<ChannelClaim> {
    world
        .settled
        .channels
        .iter()
        .map(|leaf| {
            let last = world
                .answers
                .iter()
                .rfind(|answer| answer.receipt.voucher.channel == leaf.channel);
            let receipt = last.map(|answer| answer.receipt);
            ChannelClaim {
                leaf: *leaf,
                // A planted lie may claim a channel without receipts.
                voucher: receipt.unwrap_or(world.answers[0].receipt).voucher,
                signature: receipt.map_or(Signature::Sr25519([0; 64]), |receipt| receipt.signature),
                receipt: [0; 32],
            }
        })
        .collect()
}

pub(crate) fn worker(world: &World) -> AccountId32 {
    world.settled.header.worker.into()
}

pub(crate) fn builder(world: &World) -> AccountId32 {
    world.index.header.builder.into()
}

/// Runs on a chain that knows the world's index, model and channels, and checks the state afterwards: what is escrowed is
/// what the batches hold.
pub(crate) fn test(world: &World, run: impl FnOnce()) {
    let mut storage = frame_system::GenesisConfig::<Test>::default()
        .build_storage()
        .unwrap();
    pallet_balances::GenesisConfig::<Test> {
        balances: vec![
            (CHALLENGER, 1_000 * OPEN),
            (MODEL_OWNER, 1_000 * OPEN),
            (builder(world), 1_000 * OPEN),
            (worker(world), 1_000 * OPEN),
            (TREASURY, OPEN),
        ],
        ..Default::default()
    }
    .assimilate_storage(&mut storage)
    .unwrap();
    outside(|o| {
        *o = Outside {
            index: openledger_attribution::wire::Object::hash(&world.index.header),
            tariff: Some(world.settled.header.tariff),
            consumers: world
                .settled
                .channels
                .iter()
                .map(|leaf| (leaf.channel, leaf.consumer.into()))
                .collect(),
            chain: world.chain.clone(),
            order: Some(world.order),
            randomness: world.randomness,
            cursors: world
                .settled
                .channels
                .iter()
                .map(|leaf| (leaf.channel, leaf.from))
                .collect(),
            ..Default::default()
        };
    });
    sp_io::TestExternalities::from(storage).execute_with(|| {
        System::set_block_number(world.submitted);
        frame_system::BlockHash::<Test>::insert(0, sp_core::H256(world.genesis));
        MinCredit::set(&world.minimum);
        let index = outside(|o| o.index);
        crate::Indexes::<Test>::insert(
            index,
            crate::Index {
                header: world.index.header,
                since: 1,
            },
        );
        // As it is registered, but for the checks: what a world's lie breaks of the header never gets here.
        crate::IndexBonds::<Test>::insert(
            index,
            crate::IndexBond {
                builder: world.index.header.builder.into(),
                exposure: STAKE,
                challenges: 0,
                stage: crate::IndexStage::Standing,
            },
        );
        outside(|o| o.open = STAKE);
        run();
        Attribution::do_try_state().unwrap();
        let held: u128 = crate::Batches::<Test>::iter_values()
            .map(|batch| batch.escrow)
            .sum();
        let batches: u128 = crate::Batches::<Test>::iter_values()
            .map(|batch| batch.exposure)
            .sum();
        let indexes: u128 = crate::IndexBonds::<Test>::iter_values()
            .map(|bond| bond.exposure)
            .sum();
        let open = batches + indexes;
        check_freezes();
        outside(|o| {
            assert_eq!(
                (o.escrowed, o.open),
                (held, open),
                "escrow and bond are what the batches say"
            )
        });
    });
}

/// How often the pool behind a worker is frozen.
pub(crate) fn freezes(who: &AccountId32) -> u32 {
    outside(|o| o.frozen.get(who).copied().unwrap_or(0))
}

/// Pools are frozen once for each challenge that is open and for each case before a committee, and for nothing else.
pub(crate) fn check_freezes() {
    let of_batches = crate::Challenges::<Test>::iter_keys()
        .map(|(batch, _)| crate::Batches::<Test>::get(batch).unwrap().worker);
    let of_indexes = crate::IndexChallenges::<Test>::iter_keys()
        .map(|(index, _)| crate::IndexBonds::<Test>::get(index).unwrap().builder);
    let of_cases = crate::Questions::<Test>::iter_keys()
        .map(|case| outside(|o| o.hearings[case as usize].accused.clone()));
    let mut accused: BTreeMap<AccountId32, u32> = BTreeMap::new();
    for who in of_batches.chain(of_indexes).chain(of_cases) {
        *accused.entry(who).or_default() += 1;
    }
    assert_eq!(outside(|o| o.frozen.clone()), accused);
}

/// Submits the world's batch, without its credits if it is sampled; its number is 0.
pub(crate) fn submit(world: &World) -> DispatchResult {
    let header = &world.settled.header;
    let credits = if world.is_sampled() {
        Attribution::no_credits(header)
    } else {
        world.ledger.header
    };
    Attribution::submit_batch(
        Some(worker(world)).into(),
        Box::new(*header),
        Box::new(credits),
        claims(world).try_into().unwrap(),
    )
}

/// What a lie about `disputed` planck of the world's batch costs.
pub(crate) fn loss(world: &World, disputed: u128) -> u128 {
    let contributors = world.settled.header.totals.contributors;
    (10 * disputed).max(2 * contributors).max(FLOOR)
}

pub(crate) fn advance(blocks: u64) {
    System::set_block_number(System::block_number() + blocks);
}

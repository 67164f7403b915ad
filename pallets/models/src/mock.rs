//! A chain with models; Datanets, jobs, draws and the registry of indexes are plain entries of the state.

use crate::{self as pallet_models, fixture};
use codec::{Decode, Encode};
use frame_support::{
    assert_ok, derive_impl, parameter_types,
    storage::unhashed,
    traits::{ConstU128, ConstU32, ConstU64, Hooks},
};
use openledger_attribution::{
    fee::{Mix, Split, Tariff},
    hash::{keccak, Hash},
    index::IndexHeader,
    sketch::Layout,
    tree::Root,
    wire::Object,
};
use openledger_protocol::{
    compute::{Machine, Outcome, Task},
    models::{Generation, Place, Source, Stage},
    Cid, Name,
};
use openledger_traits::{Asset, Datanets, Draws, Indexes, Jobs, OnOutcome, Ownership};
use sp_runtime::{AccountId32, BuildStorage, DispatchError, DispatchResult};

pub(crate) type AccountId = AccountId32;

pub(crate) const OWNER: AccountId = AccountId32::new([1; 32]);
pub(crate) const TRAINER: AccountId = AccountId32::new([2; 32]);
pub(crate) const OTHER: AccountId = AccountId32::new([3; 32]);
/// Has nothing.
pub(crate) const POOR: AccountId = AccountId32::new([4; 32]);
/// No worker.
pub(crate) const GONE: AccountId = AccountId32::new([5; 32]);

pub(crate) const RICH: u128 = 1_000_000;
pub(crate) const BASE_DEPOSIT: u128 = 300;
pub(crate) const MODEL_DEPOSIT: u128 = 500;
pub(crate) const LEAST_PRICE: u128 = 1_000;
pub(crate) const PRICE: u128 = 40_000;
pub(crate) const PRICE_HOLD: u64 = 20;
pub(crate) const SHORTEST: u64 = 10;
pub(crate) const LONGEST: u64 = 1_000;
pub(crate) const INDEX_TIME: u64 = 15;
pub(crate) const MAX_AWAITING: u32 = 6;
/// Names the one freeze there can be.
pub(crate) const FREEZE: u8 = 1;
/// Blocks of an epoch.
pub(crate) const EPOCH: u64 = 10;

frame_support::construct_runtime!(
    pub enum Test {
        System: frame_system,
        Balances: pallet_balances,
        Models: pallet_models,
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
    type ExistentialDeposit = ConstU128<10>;
    type AccountStore = System;
    type RuntimeHoldReason = RuntimeHoldReason;
    type FreezeIdentifier = u8;
    type MaxFreezes = ConstU32<1>;
}

/// All the other pallets, in the state: so a refused call takes back what it wrote here too.
pub struct World;

fn put<V: Encode>(key: impl Encode, value: V) {
    unhashed::put_raw(&key.encode(), &value.encode());
}

fn get<V: Decode>(key: impl Encode) -> Option<V> {
    unhashed::get_raw(&key.encode()).and_then(|bytes| V::decode(&mut &bytes[..]).ok())
}

fn item(asset: Asset) -> (Vec<u8>, u8, u64) {
    let (kind, id) = match asset {
        Asset::Datanet(id) => (0u8, id),
        Asset::Model(id) => (1, id),
    };
    (b"items".to_vec(), kind, id)
}

impl World {
    pub(crate) fn give(asset: Asset, who: &AccountId) {
        put(item(asset), who);
    }

    pub(crate) fn publish(datanet: u64, version: u32, records: Root) {
        put((b"versions", datanet, version), records);
    }

    /// A version is proved wrong.
    pub(crate) fn spoil(datanet: u64, version: u32) {
        put((b"void", datanet, version), ());
    }

    /// What was ordered as job `id`.
    pub(crate) fn job(id: u64) -> (Task, Option<AccountId>, u32) {
        get((b"jobs", id)).unwrap()
    }

    pub(crate) fn jobs() -> u64 {
        get(b"next job").unwrap_or(0)
    }

    /// From now on nothing is known of what was drawn for `epoch`.
    pub(crate) fn forget_draw(epoch: u64) {
        put((b"forgotten", epoch), ());
    }

    pub(crate) fn is_registered(header: &IndexHeader) -> bool {
        get::<()>((b"indexes", header.hash())).is_some()
    }

    pub(crate) fn refuse(what: &str) {
        put((b"refuse", what), ());
    }

    fn is_refused(what: &str) -> bool {
        get::<()>((b"refuse", what)).is_some()
    }
}

impl Ownership<AccountId> for World {
    fn mint(asset: Asset, who: &AccountId) -> DispatchResult {
        if Self::is_refused("items") {
            return Err(DispatchError::Other("no item"));
        }
        Self::give(asset, who);
        Ok(())
    }
    fn owner(asset: Asset) -> Option<AccountId> {
        get(item(asset))
    }
}

impl Datanets for World {
    fn version(datanet: u64, version: u32) -> Option<Root> {
        get((b"versions", datanet, version))
    }
    fn is_usable(datanet: u64, version: u32) -> bool {
        Self::version(datanet, version).is_some() && get::<()>((b"void", datanet, version)).is_none()
    }
}

impl Jobs<AccountId> for World {
    fn order(task: Task, worker: Option<&AccountId>, deadline: u32) -> Result<u64, DispatchError> {
        if worker == Some(&GONE) || Self::is_refused("jobs") {
            return Err(DispatchError::Other("no worker"));
        }
        let id = Self::jobs();
        put(b"next job", id + 1);
        put((b"jobs", id), (task, worker.cloned(), deadline));
        Ok(id)
    }
    fn order_on(_: Task, _: Machine, _: u32) -> Result<u64, DispatchError> {
        unreachable!("any machine trains")
    }
}

impl Draws for World {
    fn epoch() -> u64 {
        System::block_number() / EPOCH
    }
    fn drawn(epoch: u64, domain: &[u8], id: u64) -> Option<Hash> {
        let is_known = Self::epoch() >= epoch + 2 && get::<()>((b"forgotten", epoch)).is_none();
        is_known.then(|| keccak(&[&epoch.to_be_bytes(), domain, &id.to_be_bytes()]))
    }
}

impl Indexes for World {
    fn register(header: &IndexHeader, _: &Layout) -> DispatchResult {
        if Self::is_refused("indexes") {
            return Err(DispatchError::Other("no index"));
        }
        put((b"indexes", header.hash()), ());
        Ok(())
    }
}

pub(crate) const SPLIT: Split = Split {
    platform: 500,
    owner: 4_000,
    contributors: 3_000,
    stakers: 1_000,
    compute: 1_500,
    lineage: 500,
};

parameter_types! {
    pub storage GovernedSplit: Split = SPLIT;
}

impl pallet_models::Config for Test {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Ownership = World;
    type Datanets = World;
    type Jobs = World;
    type Draws = World;
    type Indexes = World;
    type Split = GovernedSplit;
    type PriceHold = ConstU64<PRICE_HOLD>;
    type BaseDeposit = ConstU128<BASE_DEPOSIT>;
    type ModelDeposit = ConstU128<MODEL_DEPOSIT>;
    type LeastPrice = ConstU128<LEAST_PRICE>;
    type ShortestTraining = ConstU64<SHORTEST>;
    type LongestTraining = ConstU64<LONGEST>;
    type IndexTime = ConstU64<INDEX_TIME>;
    type MaxAwaiting = ConstU32<MAX_AWAITING>;
    type WeightInfo = ();
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = World;
}

#[cfg(feature = "runtime-benchmarks")]
impl crate::BenchmarkHelper<AccountId> for World {
    fn publish(datanet: u64, records: Root) {
        World::publish(datanet, 0, records);
    }
    fn worker() -> AccountId {
        TRAINER
    }
    fn draw(epoch: u64) {
        System::set_block_number((epoch + 2) * EPOCH);
    }
}

pub(crate) fn new_test_ext() -> sp_io::TestExternalities {
    let mut storage = frame_system::GenesisConfig::<Test>::default()
        .build_storage()
        .unwrap();
    pallet_balances::GenesisConfig::<Test> {
        balances: [OWNER, TRAINER, OTHER].map(|who| (who, RICH)).to_vec(),
        ..Default::default()
    }
    .assimilate_storage(&mut storage)
    .unwrap();
    let mut ext = sp_io::TestExternalities::from(storage);
    ext.execute_with(|| System::set_block_number(1));
    ext
}

/// Runs a scenario and checks the state after it.
pub(crate) fn scenario(test: impl FnOnce()) {
    new_test_ext().execute_with(|| {
        let supply = Balances::total_issuance();
        test();
        assert_eq!(Balances::total_issuance(), supply, "issuance");
        Models::do_try_state().unwrap();
    });
}

pub(crate) fn signed(who: &AccountId) -> RuntimeOrigin {
    RuntimeOrigin::signed(who.clone())
}

pub(crate) fn name(text: &str) -> Name {
    text.as_bytes().to_vec().try_into().unwrap()
}

pub(crate) fn mix() -> Mix {
    Mix {
        influence: 600_000_000,
        verbatim: 400_000_000,
        retrieval: 0,
    }
}

/// A tariff of a model.
pub(crate) fn stored(price_in: u128, price_out: u128) -> Tariff {
    Tariff {
        price_in,
        price_out,
        split: SPLIT,
        mix: mix(),
    }
}

/// The same for a generation without ancestors.
pub(crate) fn tariff(price_in: u128, price_out: u128) -> Tariff {
    Tariff {
        split: Split {
            contributors: 3_500,
            lineage: 0,
            ..SPLIT
        },
        ..stored(price_in, price_out)
    }
}

/// A model of `OWNER`'s on a new base.
pub(crate) fn created() -> u64 {
    assert_ok!(Models::register_base(
        signed(&OWNER),
        name("small"),
        name("Apache-2.0"),
        fixture::WEIGHTS,
        fixture::TOKENIZER
    ));
    let base = crate::NextBase::<Test>::get() - 1;
    assert_ok!(Models::create(signed(&OWNER), name("law"), base, 10, 20, mix()));
    crate::NextModel::<Test>::get() - 1
}

/// Two published versions.
pub(crate) fn sources() -> Vec<Source> {
    World::publish(7, 0, fixture::root(5, 4));
    World::publish(8, 3, fixture::root(9, 9));
    [(8, 3, 1), (7, 0, 3)]
        .map(|(datanet, version, weight)| Source {
            datanet,
            version,
            weight,
        })
        .to_vec()
}

pub(crate) fn request(model: u64) -> DispatchResult {
    request_from(model, sources(), None)
}

pub(crate) fn request_from(model: u64, sources: Vec<Source>, parent: Option<Place>) -> DispatchResult {
    let deadline = System::block_number() as u32 + 100;
    Models::request_training(
        signed(&OWNER),
        model,
        sources.try_into().unwrap(),
        fixture::recipe(),
        fixture::rules(),
        PRICE,
        deadline,
        parent,
    )
}

/// Orders a generation of a model.
pub(crate) fn requested(model: u64) -> u32 {
    assert_ok!(request(model));
    crate::Models::<Test>::get(model).unwrap().generations
}

pub(crate) fn generation(model: u64, generation: u32) -> Generation<AccountId> {
    crate::Generations::<Test>::get(model, generation).unwrap()
}

pub(crate) fn adapter(hash: Hash) -> Outcome {
    Outcome::Trained {
        adapter: hash,
        cid: Cid::truncate_from(vec![1, 0x55]),
        loss_before: 2_500_000,
        loss_after: 1_800_000,
    }
}

/// Delivers what the generation waits for, as `worker`, as a dispatch does.
pub(crate) fn deliver(model: u64, number: u32, worker: &AccountId, outcome: &Outcome) -> DispatchResult {
    let job = generation(model, number).job;
    let (task, ..) = World::job(job);
    deliver_as(job, &task, worker, outcome)
}

pub(crate) fn deliver_as(job: u64, task: &Task, worker: &AccountId, outcome: &Outcome) -> DispatchResult {
    frame_support::storage::with_storage_layer(|| Models::delivered(job, task, worker, outcome))
}

/// Has a generation trained by `TRAINER`.
pub(crate) fn trained(model: u64, number: u32) {
    assert_ok!(deliver(model, number, &TRAINER, &adapter(fixture::ADAPTER)));
}

/// Makes blocks until the seed of every waiting generation was drawn.
pub(crate) fn run_to_seed(model: u64, number: u32) {
    for _ in 0..4 * EPOCH {
        if !matches!(generation(model, number).stage, Stage::AwaitingSeed { .. }) {
            return;
        }
        block();
    }
    panic!("no seed after four epochs");
}

pub(crate) fn index(model: u64, number: u32) -> (IndexHeader, Layout) {
    fixture::index::<Test>(model, number, 3).unwrap()
}

pub(crate) fn indexed((header, layout): (IndexHeader, Layout)) -> Outcome {
    Outcome::Indexed {
        header: Box::new(header),
        layout,
    }
}

/// Takes a generation of a model all the way.
pub(crate) fn ready(model: u64) -> u32 {
    let number = requested(model);
    finish(model, number);
    number
}

/// Takes a generation that was ordered all the way.
pub(crate) fn finish(model: u64, number: u32) {
    trained(model, number);
    run_to_seed(model, number);
    assert_ok!(deliver(model, number, &TRAINER, &indexed(index(model, number))));
}

/// Makes a block.
pub(crate) fn block() {
    System::set_block_number(System::block_number() + 1);
    Models::on_initialize(System::block_number());
}

pub(crate) fn held(who: &AccountId) -> u128 {
    Balances::reserved_balance(who)
}

//! A chain with this pallet, where tests say which epoch it is, what is drawn, and who refuses which results.

use crate as pallet_compute;
use codec::Encode;
use frame_support::{
    derive_impl, parameter_types,
    traits::{ConstU128, ConstU32, ConstU64, Hooks},
    weights::Weight,
};
use frame_system::offchain::{CreateAuthorizedTransaction, CreateTransaction, CreateTransactionBase};
use openledger_attribution::hash::{keccak, Hash};
use openledger_protocol::{
    compute::{capability, Backend, Delivery, Heartbeat, Outcome, Task},
    staking::Pool,
    Cid, Endpoint, Name,
};
use sp_core::{sr25519, Pair};
use sp_runtime::{
    traits::IdentityLookup,
    transaction_validity::{TransactionSource, TransactionValidityError, ValidTransaction},
    AccountId32, BuildStorage, DispatchError, DispatchResult,
};
use std::collections::BTreeMap;

pub(crate) type AccountId = AccountId32;
pub(crate) type TxExtension = (frame_system::AuthorizeCall<Test>,);
pub(crate) type Extrinsic =
    sp_runtime::generic::UncheckedExtrinsic<AccountId, RuntimeCall, sp_runtime::MultiSignature, TxExtension>;
type Block =
    sp_runtime::generic::Block<sp_runtime::generic::Header<u32, sp_runtime::traits::BlakeTwo256>, Extrinsic>;

pub(crate) const MIN_BOND: u128 = 1_000;
pub(crate) const LATE_SLASH: u128 = 100;
pub(crate) const UNBONDING: u32 = 30;
pub(crate) const MAX_WORKERS: u32 = 6;
pub(crate) const MAX_JOBS: u32 = 8;
pub(crate) const MAX_ATTEMPTS: u32 = 2;
pub(crate) const BEAT: u32 = 12;
pub(crate) const SILENCE: u32 = 400;
pub(crate) const TREASURY: AccountId = AccountId::new([99; 32]);
pub(crate) const GENESIS: Hash = [7; 32];
pub(crate) const EXISTENTIAL_DEPOSIT: u128 = 10;
pub(crate) const RICH: u128 = 1_000_000;

frame_support::construct_runtime!(
    pub enum Test {
        System: frame_system,
        Balances: pallet_balances,
        Compute: pallet_compute,
    }
);

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = Block;
    type AccountId = AccountId;
    type Lookup = IdentityLookup<AccountId>;
    type AccountData = pallet_balances::AccountData<u128>;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
    type Balance = u128;
    type ExistentialDeposit = ConstU128<EXISTENTIAL_DEPOSIT>;
    type AccountStore = System;
    type RuntimeHoldReason = RuntimeHoldReason;
}

parameter_types! {
    pub const Treasury: AccountId = TREASURY;
    pub const OutcomeWeight: Weight = Weight::from_parts(1_000, 0);
    /// The epoch.
    pub static Epoch: u64 = 5;
    /// Epochs whose draw is out, and its value.
    pub static Drawn: BTreeMap<u64, Hash> = BTreeMap::new();
    /// Whether whoever orders work refuses every result.
    pub static Refuses: bool = false;
    /// Jobs delivered, with their workers.
    pub static Accepted: Vec<(u64, AccountId)> = Vec::new();
    /// Jobs told to have failed.
    pub static Failures: Vec<u64> = Vec::new();
    /// Planck staked behind workers.
    pub static Staked: BTreeMap<AccountId, u128> = BTreeMap::new();
    /// What was taken from the pools behind workers, in order.
    pub static PoolSlashes: Vec<(AccountId, u128)> = Vec::new();
    /// Whether a job that failed is ordered again at once.
    pub static Reorders: bool = false;
}

pub struct MockDraws;
impl openledger_traits::Draws for MockDraws {
    fn epoch() -> u64 {
        Epoch::get()
    }
    fn drawn(epoch: u64, domain: &[u8], id: u64) -> Option<Hash> {
        Drawn::get()
            .get(&epoch)
            .map(|drawn| keccak(&[drawn, domain, &id.to_be_bytes()]))
    }
}

/// Pools of stakes as one number for each worker.
pub struct Pools;
fn worker_of(pool: &Pool<AccountId>) -> AccountId {
    match pool {
        Pool::Worker(who) => who.clone(),
        _ => panic!("compute knows no other pools"),
    }
}
impl openledger_traits::Stakes<AccountId> for Pools {
    fn pot() -> AccountId {
        unreachable!("compute pays no income")
    }
    fn income(_: &Pool<AccountId>, _: u128) -> DispatchResult {
        unreachable!("compute pays no income")
    }
    fn slash(pool: &Pool<AccountId>, amount: u128) -> u128 {
        let who = worker_of(pool);
        let taken = Staked::mutate(|staked| {
            let left = staked.entry(who.clone()).or_default();
            let taken = amount.min(*left);
            *left -= taken;
            taken
        });
        PoolSlashes::mutate(|all| all.push((who, taken)));
        taken
    }
    fn has_stakers(pool: &Pool<AccountId>) -> bool {
        Self::total(pool) > 0
    }
    fn total(pool: &Pool<AccountId>) -> u128 {
        Staked::get().get(&worker_of(pool)).copied().unwrap_or(0)
    }
    fn freeze(_: &Pool<AccountId>) -> DispatchResult {
        unreachable!("compute opens no disputes")
    }
    fn thaw(_: &Pool<AccountId>) {
        unreachable!("compute opens no disputes")
    }
}

pub struct Orderer;
impl openledger_traits::OnOutcome<AccountId> for Orderer {
    fn delivered(job: u64, _: &Task, worker: &AccountId, _: &Outcome) -> DispatchResult {
        // Leaves a trace in the state before it refuses: none of it may stay.
        frame_support::storage::unhashed::put(b"trace", &job);
        if Refuses::get() {
            return Err(DispatchError::Other("refused"));
        }
        Accepted::mutate(|all| all.push((job, worker.clone())));
        Ok(())
    }
    fn failed(job: u64, task: &Task) {
        Failures::mutate(|all| all.push(job));
        if Reorders::get() {
            order_until(*task, None, System::block_number() + 20);
        }
    }
}

impl pallet_compute::Config for Test {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Treasury = Treasury;
    type Stakes = Pools;
    type Draws = MockDraws;
    type OnOutcome = Orderer;
    type OutcomeWeight = OutcomeWeight;
    type MinBond = ConstU128<MIN_BOND>;
    type UnbondingPeriod = ConstU32<UNBONDING>;
    type LateSlash = ConstU128<LATE_SLASH>;
    type MaxAttempts = ConstU32<MAX_ATTEMPTS>;
    type MaxWorkers = ConstU32<MAX_WORKERS>;
    type MaxJobs = ConstU32<MAX_JOBS>;
    type BeatPeriod = ConstU32<BEAT>;
    type Silence = ConstU32<SILENCE>;
    type DeliveryPriority = ConstU64<1_000>;
    type WeightInfo = ();
}

impl<C> CreateTransactionBase<C> for Test
where
    RuntimeCall: From<C>,
{
    type RuntimeCall = RuntimeCall;
    type Extrinsic = Extrinsic;
}

impl<C> CreateTransaction<C> for Test
where
    RuntimeCall: From<C>,
{
    type Extension = TxExtension;
    fn create_transaction(call: RuntimeCall, extension: TxExtension) -> Extrinsic {
        Extrinsic::new_transaction(call, extension)
    }
}

impl<C> CreateAuthorizedTransaction<C> for Test
where
    RuntimeCall: From<C>,
{
    fn create_extension() -> TxExtension {
        (frame_system::AuthorizeCall::new(),)
    }
}

/// Account number `n`; 1 to 9 are rich.
pub(crate) fn account(n: u8) -> AccountId {
    AccountId::new([n; 32])
}

/// The result key of worker `n`.
pub(crate) fn result_key(n: u8) -> sr25519::Pair {
    sr25519::Pair::from_seed(&[n; 32])
}

pub(crate) fn new_test_ext() -> sp_io::TestExternalities {
    let mut storage = frame_system::GenesisConfig::<Test>::default()
        .build_storage()
        .unwrap();
    let mut balances: Vec<_> = (1..=9).map(|n| (account(n), RICH)).collect();
    balances.push((TREASURY, EXISTENTIAL_DEPOSIT));
    pallet_balances::GenesisConfig::<Test> {
        balances,
        ..Default::default()
    }
    .assimilate_storage(&mut storage)
    .unwrap();
    let mut ext = sp_io::TestExternalities::from(storage);
    ext.execute_with(|| {
        frame_system::BlockHash::<Test>::insert(0, sp_core::H256(GENESIS));
        System::set_block_number(1);
        // Every test runs in a thread of its own, or in one that ran another.
        Epoch::set(5);
        Drawn::set(BTreeMap::new());
        Refuses::set(false);
        Reorders::set(false);
        Staked::set(BTreeMap::new());
        PoolSlashes::set(Vec::new());
        Accepted::set(Vec::new());
        Failures::set(Vec::new());
    });
    ext
}

/// Registers worker `n` for everything.
pub(crate) fn register(n: u8, bond: u128) -> DispatchResult {
    register_for(n, bond, capability::ALL)
}

pub(crate) fn register_for(n: u8, bond: u128, capabilities: u8) -> DispatchResult {
    Compute::register(
        RuntimeOrigin::signed(account(n)),
        bond,
        result_key(n).public().0,
        [n; 32],
        Backend::Cpu,
        name("portable-8"),
        endpoint("http://127.0.0.1:8700"),
        capabilities,
    )
}

pub(crate) fn name(text: &str) -> Name {
    text.as_bytes().to_vec().try_into().unwrap()
}

pub(crate) fn endpoint(text: &str) -> Endpoint {
    text.as_bytes().to_vec().try_into().unwrap()
}

pub(crate) fn worker(n: u8) -> openledger_protocol::compute::Worker {
    crate::Workers::<Test>::get(account(n)).unwrap()
}

pub(crate) fn held(n: u8) -> u128 {
    use frame_support::traits::fungible::InspectHold;
    Balances::balance_on_hold(&crate::HoldReason::Bond.into(), &account(n))
}

pub(crate) fn train() -> Task {
    Task::Train {
        model: 3,
        generation: 1,
        seed: [0; 32],
    }
}

pub(crate) fn index() -> Task {
    Task::Index {
        model: 3,
        generation: 1,
        seed: [4; 32],
    }
}

/// Orders work that is due in 20 blocks.
pub(crate) fn order(task: Task, worker: Option<u8>) -> u64 {
    order_until(task, worker, System::block_number() + 20)
}

pub(crate) fn order_until(task: Task, worker: Option<u8>, deadline: u32) -> u64 {
    try_order(task, worker, deadline).unwrap()
}

pub(crate) fn try_order(task: Task, worker: Option<u8>, deadline: u32) -> Result<u64, DispatchError> {
    use openledger_traits::Jobs;
    Compute::order(task, worker.map(account).as_ref(), deadline)
}

pub(crate) fn outcome() -> Outcome {
    Outcome::Trained {
        adapter: [1; 32],
        cid: Cid::default(),
        loss_before: 2,
        loss_after: 1,
    }
}

/// A delivery by worker `n`.
pub(crate) fn delivery(n: u8, job: u64, attempt: u32) -> Delivery {
    Delivery {
        genesis: GENESIS,
        job,
        attempt,
        worker: account(n).into(),
        outcome: outcome(),
    }
}

/// The transaction of a delivery, signed by worker `n`.
pub(crate) fn signed(n: u8, delivery: Delivery) -> Extrinsic {
    let signature = result_key(n).sign(&delivery.signing_message()).0;
    let call = crate::Call::deliver { delivery, signature };
    <Test as CreateAuthorizedTransaction<crate::Call<Test>>>::create_authorized_transaction(call.into())
}

/// A heartbeat of worker `n` made in block `number`, signed with the key of worker `signer`.
pub(crate) fn heartbeat(n: u8, number: u32, signer: u8) -> Extrinsic {
    let beat = Heartbeat {
        genesis: GENESIS,
        worker: account(n).into(),
        number,
    };
    let signature = result_key(signer).sign(&beat.signing_message()).0;
    let call = crate::Call::heartbeat { beat, signature };
    <Test as CreateAuthorizedTransaction<crate::Call<Test>>>::create_authorized_transaction(call.into())
}

/// What the pool thinks of a transaction.
pub(crate) fn validate(transaction: &Extrinsic) -> Result<ValidTransaction, TransactionValidityError> {
    use frame_support::dispatch::GetDispatchInfo;
    use sp_runtime::traits::{Applyable, Checkable};
    let (info, length) = (transaction.get_dispatch_info(), transaction.encoded_size());
    Checkable::check(
        transaction.clone(),
        &frame_system::ChainContext::<Test>::default(),
    )?
    .validate::<Test>(TransactionSource::External, &info, length)
}

/// Puts a transaction into a block.
pub(crate) fn apply(transaction: Extrinsic) -> Result<DispatchResult, TransactionValidityError> {
    use frame_support::dispatch::GetDispatchInfo;
    use sp_runtime::traits::{Applyable, Checkable};
    let (info, length) = (transaction.get_dispatch_info(), transaction.encoded_size());
    Checkable::check(transaction, &frame_system::ChainContext::<Test>::default())?
        .apply::<Test>(&info, length)
        .map(|done| done.map(drop).map_err(|error| error.error))
}

/// Has the draws of all epochs up to this one come out.
pub(crate) fn draw(salt: u8) {
    Drawn::mutate(|drawn| {
        drawn.insert(Epoch::get(), keccak(&[b"test", &[salt]]));
    });
}

/// The sum of everything held.
pub(crate) fn supply() -> u128 {
    frame_system::Account::<Test>::iter()
        .map(|(_, account)| account.data.free + account.data.reserved)
        .sum()
}

/// Makes a block; nothing may be minted or lost in it.
pub(crate) fn step() {
    let before = supply();
    let now = System::block_number() + 1;
    System::set_block_number(now);
    Compute::on_initialize(now);
    assert_eq!(supply(), before, "supply at block {now}");
    assert_eq!(Balances::total_issuance(), before);
    Compute::do_try_state().unwrap();
}

/// Makes blocks up to `block`.
pub(crate) fn run_to(block: u32) {
    while System::block_number() < block {
        step();
    }
}

/// This pallet's events since the last look.
pub(crate) fn events() -> Vec<crate::Event<Test>> {
    let events = System::read_events_for_pallet::<crate::Event<Test>>();
    System::reset_events();
    events
}

/// With a keystore, where benchmarks make keys.
#[cfg(feature = "runtime-benchmarks")]
pub(crate) fn new_bench_ext() -> sp_io::TestExternalities {
    let mut ext = new_test_ext();
    ext.register_extension(sp_keystore::KeystoreExt::new(
        sp_keystore::testing::MemoryKeystore::new(),
    ));
    ext
}

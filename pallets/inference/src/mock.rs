//! A chain with one model, jobs in a list, and fees that are divided into one heap.

use crate as pallet_inference;
use frame_support::{derive_impl, parameter_types, traits::fungible::Inspect};
use openledger_attribution::{
    fee::{Mix, Parts, Split, Tariff},
    hash::Hash,
    index::IndexHeader,
    verdict::IndexOrder,
};
use openledger_protocol::{
    compute::{Backend, Machine, Outcome, Task},
    inference::{Prompt, Request},
};
use openledger_traits::{Ancestors, Earned, Jobs, Models, OnOutcome, Paid, PayOut, Served, Settle};
use sp_runtime::{AccountId32, BuildStorage, DispatchError, DispatchResult};

pub(crate) type AccountId = AccountId32;

pub(crate) const ASKER: AccountId = AccountId32::new([1; 32]);
pub(crate) const OTHER: AccountId = AccountId32::new([2; 32]);
pub(crate) const POOR: AccountId = AccountId32::new([3; 32]);
pub(crate) const WORKER: AccountId = AccountId32::new([4; 32]);
pub(crate) const POT: AccountId = AccountId32::new([5; 32]);
pub(crate) const RICH: u128 = 1_000_000_000;
pub(crate) const DEPOSIT: u128 = 5_000;
pub(crate) const SHORTEST: u32 = 10;
pub(crate) const LONGEST: u32 = 100;
pub(crate) const RETENTION: u32 = 50;
pub(crate) const MODEL: u64 = 3;
pub(crate) const GENERATION: u32 = 2;
pub(crate) const TARIFF: Tariff = Tariff {
    price_in: 1_000_000,
    price_out: 3_000_000,
    split: Split {
        platform: 500,
        owner: 4_000,
        contributors: 3_500,
        stakers: 1_000,
        compute: 1_500,
        lineage: 0,
    },
    mix: Mix {
        influence: 1_000_000_000,
        verbatim: 0,
        retrieval: 0,
    },
};

frame_support::construct_runtime!(
    pub enum Test {
        System: frame_system,
        Balances: pallet_balances,
        Inference: pallet_inference,
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
    type ExistentialDeposit = frame_support::traits::ConstU128<1_000>;
    type AccountStore = System;
    type RuntimeHoldReason = RuntimeHoldReason;
}

parameter_types! {
    pub const Deposit: u128 = DEPOSIT;
    pub const ShortestTime: u32 = SHORTEST;
    pub const LongestTime: u32 = LONGEST;
    pub const Retention: u32 = RETENTION;
    pub storage Escrowed: u128 = 0;
    pub storage Serves: bool = true;
    /// Jobs ordered, and the machines they were ordered on.
    pub static Ordered: Vec<(Task, Option<Machine>, u32)> = Vec::new();
    /// What was divided: model, generation, worker and parts.
    pub static Divided: Vec<(u64, u32, AccountId, Parts)> = Vec::new();
}

pub struct World;

impl Models<AccountId> for World {
    fn served(_: u64, _: u32) -> Option<Served<AccountId>> {
        unreachable!("whoever divides looks")
    }
    fn tariff(model: u64, generation: u32) -> Option<Tariff> {
        (Serves::get() && (model, generation) == (MODEL, GENERATION)).then_some(TARIFF)
    }
    fn ancestors(_: u64, _: u32) -> Option<Ancestors<AccountId>> {
        unreachable!("whoever divides looks")
    }
    fn accepts(_: u64, _: u32, _: &Tariff) -> bool {
        unreachable!("the tariff is asked for")
    }
    fn order(_: &IndexHeader) -> Option<IndexOrder> {
        unreachable!("nothing is disputed")
    }
    fn is_retired(_: u64, _: u32) -> bool {
        unreachable!("nothing is disputed")
    }
    fn void(_: u64, _: u32, _: &Hash) {
        unreachable!("nothing is disputed")
    }
}

fn ordered(task: Task, machine: Option<Machine>, deadline: u32) -> u64 {
    Ordered::mutate(|all| all.push((task, machine, deadline)));
    100 + Ordered::get().len() as u64
}

impl Jobs<AccountId> for World {
    fn order(task: Task, worker: Option<&AccountId>, deadline: u32) -> Result<u64, DispatchError> {
        assert!(worker.is_none(), "whoever is drawn answers");
        Ok(ordered(task, None, deadline))
    }
    fn order_on(task: Task, machine: Machine, deadline: u32) -> Result<u64, DispatchError> {
        Ok(ordered(task, Some(machine), deadline))
    }
}

impl PayOut<AccountId> for World {
    fn pot() -> AccountId {
        POT
    }
    fn escrowed(amount: u128) -> DispatchResult {
        Escrowed::set(&(Escrowed::get() + amount));
        assert_eq!(
            Balances::total_balance(&POT),
            Escrowed::get() + 1_000,
            "the money is there when it is announced"
        );
        Ok(())
    }
    fn credit(_: &AccountId, _: u128) -> DispatchResult {
        unreachable!("whoever divides credits")
    }
    fn to_treasury(_: u128) -> DispatchResult {
        unreachable!("whoever divides pays")
    }
    fn move_to(_: &AccountId, _: u128) -> DispatchResult {
        unreachable!("whoever divides pays")
    }
}

impl Settle<AccountId> for World {
    fn pay(earned: &Earned<'_, AccountId>) -> Result<Paid, DispatchError> {
        assert_eq!(earned.kept, 0, "nobody is credited row by row");
        Divided::mutate(|all| {
            all.push((
                earned.model,
                earned.generation,
                earned.worker.clone(),
                *earned.parts,
            ))
        });
        Ok(Paid::default())
    }
}

impl pallet_inference::Config for Test {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Models = World;
    type Jobs = World;
    type PayOut = World;
    type Settle = World;
    type Deposit = Deposit;
    type ShortestTime = ShortestTime;
    type LongestTime = LongestTime;
    type Retention = Retention;
    type WeightInfo = ();
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = World;
}

#[cfg(feature = "runtime-benchmarks")]
impl crate::BenchmarkHelper<AccountId> for World {
    fn serve() -> (u64, u32) {
        (MODEL, GENERATION)
    }
    fn worker() -> AccountId {
        WORKER
    }
}

pub(crate) fn new_test_ext() -> sp_io::TestExternalities {
    let mut storage = frame_system::GenesisConfig::<Test>::default()
        .build_storage()
        .unwrap();
    pallet_balances::GenesisConfig::<Test> {
        balances: vec![(ASKER, RICH), (OTHER, RICH), (POOR, 2_000), (POT, 1_000)],
        ..Default::default()
    }
    .assimilate_storage(&mut storage)
    .unwrap();
    let mut ext = sp_io::TestExternalities::from(storage);
    ext.execute_with(|| {
        System::set_block_number(1);
        Ordered::set(Vec::new());
        Divided::set(Vec::new());
    });
    ext
}

/// Runs a scenario and checks the state after it.
pub(crate) fn scenario(test: impl FnOnce()) {
    new_test_ext().execute_with(|| {
        let supply = Balances::total_issuance();
        test();
        assert_eq!(Balances::total_issuance(), supply, "issuance");
        Inference::do_try_state().unwrap();
    });
}

pub(crate) fn prompt(text: &str) -> Prompt {
    text.as_bytes().to_vec().try_into().unwrap()
}

pub(crate) fn machine() -> Machine {
    Machine {
        backend: Backend::Cpu,
        arch: b"portable-8".to_vec().try_into().unwrap(),
    }
}

pub(crate) fn ask(who: &AccountId, text: &str, tokens: u32, most: u128, deadline: u32) -> DispatchResult {
    Inference::request_inference(
        RuntimeOrigin::signed(who.clone()),
        MODEL,
        GENERATION,
        prompt(text),
        tokens,
        None,
        most,
        deadline,
    )
}

pub(crate) fn request(id: u64) -> Request<AccountId> {
    crate::Requests::<Test>::get(id).unwrap()
}

/// What a request's job is to do.
pub(crate) fn task(request: u64) -> Task {
    Task::Infer {
        model: MODEL,
        generation: GENERATION,
        request,
    }
}

/// Delivers for a request's job, as a dispatch does.
pub(crate) fn deliver(id: u64, job: u64, outcome: &Outcome) -> DispatchResult {
    frame_support::storage::with_storage_layer(|| {
        <Inference as OnOutcome<_>>::delivered(job, &task(id), &WORKER, outcome)
    })
}

pub(crate) fn said(text: &[u8]) -> Outcome {
    Outcome::Inferred {
        output: text.to_vec().try_into().unwrap(),
    }
}

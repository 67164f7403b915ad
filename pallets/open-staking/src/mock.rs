//! A chain with a few stakers, somebody who pays income, and a treasury.

use crate as pallet_open_staking;
use frame_support::{
    assert_ok, derive_impl, parameter_types,
    traits::{fungible::Mutate, tokens::Preservation, Contains},
};
use openledger_protocol::staking::{Pool, Worth};
use openledger_traits::Stakes;
use sp_runtime::{AccountId32, BuildStorage, DispatchResult};

pub(crate) const OPEN: u128 = 1_000_000_000_000_000_000;
/// What an account lives on.
pub(crate) const LIVE: u128 = 1_000;
pub(crate) const PERIOD: u64 = 70;
pub(crate) const UNBONDING: u64 = 50;
/// What every person has at first.
pub(crate) const RICH: u128 = 100_000_000 * OPEN;

frame_support::construct_runtime!(
    pub enum Test {
        System: frame_system,
        Balances: pallet_balances,
        OpenStaking: pallet_open_staking,
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
    type ExistentialDeposit = frame_support::traits::ConstU128<LIVE>;
    type AccountStore = System;
}

parameter_types! {
    pub const Treasury: AccountId32 = AccountId32::new([0xF7; 32]);
    pub const MinStake: u128 = OPEN;
    pub const IncomePeriod: u32 = PERIOD as u32;
    pub const UnbondingPeriod: u32 = UNBONDING as u32;
}

/// Models from 100 on do not exist.
pub struct Exists;
impl Contains<Pool<AccountId32>> for Exists {
    fn contains(pool: &Pool<AccountId32>) -> bool {
        !matches!(pool, Pool::Model(100..))
    }
}

#[cfg(feature = "runtime-benchmarks")]
impl crate::BenchmarkHelper<AccountId32> for Exists {
    fn pool() -> Pool<AccountId32> {
        MODEL
    }
}

impl pallet_open_staking::Config for Test {
    type Currency = Balances;
    type Treasury = Treasury;
    type Exists = Exists;
    type MinStake = MinStake;
    type IncomePeriod = IncomePeriod;
    type UnbondingPeriod = UnbondingPeriod;
    type WeightInfo = ();
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = Exists;
}

pub(crate) const MODEL: Pool<AccountId32> = Pool::Model(7);

/// Person `n`; the last of [`PEOPLE`] pays incomes.
pub(crate) fn person(n: u8) -> AccountId32 {
    [n; 32].into()
}
pub(crate) const PEOPLE: u8 = 6;
pub(crate) fn alice() -> AccountId32 {
    person(1)
}
pub(crate) fn bob() -> AccountId32 {
    person(2)
}
pub(crate) fn eve() -> AccountId32 {
    person(3)
}
pub(crate) fn payer() -> AccountId32 {
    person(PEOPLE)
}

pub(crate) fn new_test_ext() -> sp_io::TestExternalities {
    let mut storage = frame_system::GenesisConfig::<Test>::default()
        .build_storage()
        .unwrap();
    let mut balances: Vec<_> = (1..=PEOPLE).map(|n| (person(n), RICH)).collect();
    balances.push((Treasury::get(), LIVE));
    sp_io::TestExternalities::new_empty().execute_with(|| {
        balances.push((OpenStaking::pot_account(), LIVE));
    });
    pallet_balances::GenesisConfig::<Test> {
        balances,
        ..Default::default()
    }
    .assimilate_storage(&mut storage)
    .unwrap();
    let mut ext = sp_io::TestExternalities::from(storage);
    ext.execute_with(|| System::set_block_number(1));
    ext
}

/// What all accounts hold together.
pub(crate) fn supply() -> u128 {
    frame_system::Account::<Test>::iter()
        .map(|(_, account)| account.data.free + account.data.reserved)
        .sum()
}

/// The state adds up; no planck was made or lost, nor came to the pot that is nobody's.
#[track_caller]
pub(crate) fn assert_sound() {
    OpenStaking::do_try_state().unwrap();
    assert_eq!(supply(), u128::from(PEOPLE) * RICH + 2 * LIVE);
    assert_eq!(supply(), Balances::total_issuance());
    assert_eq!(
        Balances::free_balance(OpenStaking::pot_account()),
        LIVE + crate::Held::<Test>::get() + crate::Due::<Test>::get(),
        "the pot to the planck"
    );
}

/// Runs in a new chain and checks the state afterwards.
pub(crate) fn test(run: impl FnOnce()) {
    new_test_ext().execute_with(|| {
        run();
        assert_sound();
    });
}

pub(crate) fn blocks(n: u64) {
    System::set_block_number(System::block_number() + n);
}

/// Stakes, and returns the shares it bought.
#[track_caller]
pub(crate) fn stake(who: &AccountId32, pool: Pool<AccountId32>, amount: u128) -> u128 {
    let before = held(&pool, who).shares;
    assert_ok!(OpenStaking::stake(
        Some(who.clone()).into(),
        pool.clone(),
        amount,
        1
    ));
    assert_sound();
    held(&pool, who).shares - before
}

/// Asks for shares back.
pub(crate) fn unstake(who: &AccountId32, pool: Pool<AccountId32>, shares: u128) -> DispatchResult {
    OpenStaking::unstake(Some(who.clone()).into(), pool, shares)
}

/// Withdraws, and returns what came.
#[track_caller]
pub(crate) fn withdraw(who: &AccountId32, pool: Pool<AccountId32>) -> u128 {
    let before = Balances::free_balance(who);
    assert_ok!(OpenStaking::withdraw(Some(who.clone()).into(), pool));
    assert_sound();
    Balances::free_balance(who) - before
}

/// What an account's part is worth now.
pub(crate) fn held(pool: &Pool<AccountId32>, who: &AccountId32) -> Worth {
    OpenStaking::stake_of(pool.clone(), who.clone())
}

/// Pays income as another pallet would: first the money, then the word.
#[track_caller]
pub(crate) fn income(pool: &Pool<AccountId32>, amount: u128) {
    assert_ok!(<Balances as Mutate<_>>::transfer(
        &payer(),
        &OpenStaking::pot_account(),
        amount,
        Preservation::Preserve,
    ));
    assert_ok!(OpenStaking::income(pool, amount));
    assert_sound();
}

#[track_caller]
pub(crate) fn slash(pool: &Pool<AccountId32>, amount: u128) -> u128 {
    let taken = OpenStaking::slash(pool, amount);
    assert_sound();
    taken
}

/// What the treasury got.
pub(crate) fn treasury() -> u128 {
    Balances::free_balance(Treasury::get()) - LIVE
}

pub(crate) fn freeze(pool: &Pool<AccountId32>) {
    assert_ok!(OpenStaking::freeze(pool));
}

pub(crate) fn thaw(pool: &Pool<AccountId32>) {
    OpenStaking::thaw(pool);
}

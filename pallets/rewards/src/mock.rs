//! A chain of two validators and three nominators whose eras are three sessions of five blocks.

use crate as pallet_rewards;
use crate::{
    staking::{ReturnExpired, StakingEras},
    Eras,
};
use frame_election_provider_support::{
    bounds::{ElectionBounds, ElectionBoundsBuilder},
    onchain, SequentialPhragmen,
};
use frame_support::{
    derive_impl, parameter_types,
    traits::{ConstU128, ConstU32, ConstU64, Hooks, RewardsReporter},
};
use sp_runtime::{testing::UintAuthorityId, traits::OpaqueKeys, BuildStorage, Perbill};

/// Long enough to hold the identifier of a sub-account: with 64 bits the pot and the payable account would be one.
pub(crate) type AccountId = u128;
pub(crate) type Balance = u128;

/// What a planck is to this test: the pot holds 10²⁴ of them.
pub(crate) const POT: Balance = 1_000_000_000_000_000_000_000_000;
pub(crate) const TREASURY: AccountId = 99;
pub(crate) const BLOCK_MILLIS: u64 = 2_000;
pub(crate) const SESSION: u64 = 5;
pub(crate) const ERA: u64 = 3 * SESSION;
pub(crate) const HISTORY: u32 = 4;

frame_support::construct_runtime!(
    pub enum Test {
        System: frame_system,
        Timestamp: pallet_timestamp,
        Balances: pallet_balances,
        Rewards: pallet_rewards,
        Staking: pallet_staking,
        Historical: pallet_session::historical,
        Session: pallet_session,
    }
);

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = frame_system::mocking::MockBlock<Test>;
    type AccountId = AccountId;
    type Lookup = sp_runtime::traits::IdentityLookup<AccountId>;
    type AccountData = pallet_balances::AccountData<Balance>;
}

#[derive_impl(pallet_timestamp::config_preludes::TestDefaultConfig)]
impl pallet_timestamp::Config for Test {}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
    type Balance = Balance;
    type ExistentialDeposit = ConstU128<1_000>;
    type AccountStore = System;
}

pub struct OtherSessionHandler;
impl frame_support::traits::OneSessionHandler<AccountId> for OtherSessionHandler {
    type Key = UintAuthorityId;
    fn on_genesis_session<'a, I: 'a + Iterator<Item = (&'a AccountId, Self::Key)>>(_: I) {}
    fn on_new_session<'a, I: 'a + Iterator<Item = (&'a AccountId, Self::Key)>>(_: bool, _: I, _: I) {}
    fn on_disabled(_: u32) {}
}
impl sp_runtime::BoundToRuntimeAppPublic for OtherSessionHandler {
    type Public = UintAuthorityId;
}

sp_runtime::impl_opaque_keys! {
    pub struct MockSessionKeys {
        pub other: OtherSessionHandler,
    }
}

impl pallet_session::Config for Test {
    type RuntimeEvent = RuntimeEvent;
    type ValidatorId = AccountId;
    type ValidatorIdOf = sp_runtime::traits::ConvertInto;
    type ShouldEndSession = pallet_session::PeriodicSessions<ConstU64<SESSION>, ConstU64<0>>;
    type NextSessionRotation = pallet_session::PeriodicSessions<ConstU64<SESSION>, ConstU64<0>>;
    type SessionManager = pallet_session::historical::NoteHistoricalRoot<Test, ReturnExpired<Test, Staking>>;
    type SessionHandler = <MockSessionKeys as OpaqueKeys>::KeyTypeIdProviders;
    type Keys = MockSessionKeys;
    type DisablingStrategy = ();
    type WeightInfo = ();
    type Currency = Balances;
    type KeyDeposit = ();
}

impl pallet_session::historical::Config for Test {
    type RuntimeEvent = RuntimeEvent;
    type FullIdentification = ();
    type FullIdentificationOf = pallet_staking::UnitIdentificationOf<Test>;
}

parameter_types! {
    pub Bounds: ElectionBounds = ElectionBoundsBuilder::default().build();
    pub const Treasury: AccountId = TREASURY;
}

pub struct OnChain;
impl onchain::Config for OnChain {
    type Sort = frame_support::traits::ConstBool<true>;
    type System = Test;
    type Solver = SequentialPhragmen<AccountId, Perbill>;
    type MaxBackersPerWinner = ConstU32<16>;
    type MaxWinnersPerPage = ConstU32<16>;
    type DataProvider = Staking;
    type WeightInfo = ();
    type Bounds = Bounds;
}

#[derive_impl(pallet_staking::config_preludes::TestDefaultConfig)]
impl pallet_staking::Config for Test {
    type OldCurrency = Balances;
    type Currency = Balances;
    type CurrencyBalance = Balance;
    type UnixTime = Timestamp;
    type AdminOrigin = frame_system::EnsureRoot<AccountId>;
    type ElectionProvider = onchain::OnChainExecution<OnChain>;
    type GenesisElectionProvider = onchain::OnChainExecution<OnChain>;
    type HistoryDepth = ConstU32<HISTORY>;
    type Reward = crate::SettleFromPayable<Test>;
    type EraPayout = Rewards;
    type SessionsPerEra = ConstU32<3>;
    // Pages of one, so that a claim can be half made.
    type MaxExposurePageSize = ConstU32<1>;
    type MaxValidatorSet = ConstU32<16>;
    type VoterList = pallet_staking::UseNominatorsAndValidatorsMap<Self>;
    type TargetList = pallet_staking::UseValidatorsMap<Self>;
    type NextNewSession = Session;
    type SessionInterface = Self;
}

impl pallet_rewards::Config for Test {
    type Currency = Balances;
    type GrantOrigin = frame_system::EnsureRoot<AccountId>;
    type Fallback = Treasury;
    type NominalEra = ConstU64<{ ERA * BLOCK_MILLIS }>;
    type Eras = StakingEras<Test>;
    type WeightInfo = ();
}

/// Stashes 1 and 2 validate with `bond` each; 11, 12 and 13 nominate both with amounts that divide badly.
pub(crate) fn new_test_ext() -> sp_io::TestExternalities {
    let bond = 1_000_000_007;
    let mut storage = frame_system::GenesisConfig::<Test>::default()
        .build_storage()
        .unwrap();
    let pot = Rewards::pot_account();
    let mut balances: Vec<(AccountId, Balance)> = [1, 2, 11, 12, 13, TREASURY]
        .iter()
        .map(|who| (*who, 10_000_000_000))
        .collect();
    balances.push((pot, POT));
    pallet_balances::GenesisConfig::<Test> {
        balances,
        ..Default::default()
    }
    .assimilate_storage(&mut storage)
    .unwrap();
    pallet_rewards::GenesisConfig::<Test> { pot: POT }
        .assimilate_storage(&mut storage)
        .unwrap();
    let mut stakers: Vec<_> = [1, 2]
        .iter()
        .map(|who| (*who, *who, bond, pallet_staking::StakerStatus::Validator))
        .collect();
    for (who, amount) in [(11, 333_333_331), (12, 777_777_773), (13, 123_456_789)] {
        stakers.push((
            who,
            who,
            amount,
            pallet_staking::StakerStatus::Nominator(vec![1, 2]),
        ));
    }
    pallet_staking::GenesisConfig::<Test> {
        stakers,
        validator_count: 2,
        minimum_validator_count: 1,
        ..Default::default()
    }
    .assimilate_storage(&mut storage)
    .unwrap();
    pallet_session::GenesisConfig::<Test> {
        keys: [1, 2]
            .map(|who| {
                (
                    who,
                    who,
                    MockSessionKeys {
                        other: (who as u64).into(),
                    },
                )
            })
            .to_vec(),
        ..Default::default()
    }
    .assimilate_storage(&mut storage)
    .unwrap();
    let mut ext = sp_io::TestExternalities::from(storage);
    ext.execute_with(|| {
        System::set_block_number(1);
        Timestamp::set_timestamp(1);
        Session::on_initialize(1);
        Staking::on_initialize(1);
    });
    ext
}

/// The sum of everything held.
pub(crate) fn held() -> Balance {
    frame_system::Account::<Test>::iter()
        .map(|(_, a)| a.data.free + a.data.reserved)
        .sum()
}

/// Nothing was minted or lost since `supply`, and the ledger is right.
#[track_caller]
pub(crate) fn assert_sound(supply: Balance) {
    assert_eq!(
        Balances::total_issuance(),
        supply,
        "issuance at block {}",
        System::block_number()
    );
    assert_eq!(
        held(),
        supply,
        "sum of accounts at block {}",
        System::block_number()
    );
    Rewards::do_try_state().unwrap();
}

/// Planck of all eras that can still be claimed.
pub(crate) fn claimable() -> Balance {
    StakingEras::<Test>::claimable().map_or(0, |eras| {
        eras.map(|era| StakingEras::<Test>::unclaimed(era).0).sum()
    })
}

/// Makes a block in which both validators earn points, unequally. Nothing may be minted in it or left lying about.
pub(crate) fn step() {
    let supply = Balances::total_issuance();
    let counting = crate::Auditing::<Test>::get().is_some();
    let now = System::block_number() + 1;
    Staking::on_finalize(now - 1);
    System::set_block_number(now);
    System::reset_events();
    Timestamp::set_timestamp(now * BLOCK_MILLIS);
    Session::on_initialize(now);
    Staking::on_initialize(now);
    <Staking as RewardsReporter<AccountId>>::reward_by_ids([(1, 20), (2, 7)]);
    assert_sound(supply);
    if now.is_multiple_of(SESSION) && !counting && crate::Auditing::<Test>::get().is_none() {
        // This session has counted everything at once: beyond the claims there is only room for rounding. A count that
        // took several sessions may have seen an era that is gone by now, and returns that money with the next.
        let room = Balance::from(HISTORY + 2) * Balance::from(crate::ROUNDING_RESERVE);
        assert!(
            Rewards::spendable() <= claimable() + room,
            "money is left lying at block {now}"
        );
    }
}

/// Makes blocks until the next session has been planned.
pub(crate) fn run_to_session() {
    step();
    while !System::block_number().is_multiple_of(SESSION) {
        step();
    }
}

/// Makes blocks until `era` is active.
pub(crate) fn run_to_era(era: u32) {
    while pallet_staking::ActiveEra::<Test>::get().is_none_or(|active| active.index < era) {
        step();
    }
}

/// Claims every page of `era`, as anybody may, and returns how many there were.
pub(crate) fn claim_all(era: u32) -> u32 {
    let supply = Balances::total_issuance();
    let mut claims = 0;
    for validator in [1, 2] {
        for page in 0..4 {
            // Some pages do not exist.
            claims += u32::from(
                Staking::payout_stakers_by_page(RuntimeOrigin::signed(7), validator, era, page).is_ok(),
            );
            assert_sound(supply);
        }
    }
    claims
}

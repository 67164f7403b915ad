//! Nominated proof of stake. `pallet-staking` is pinned; docs/decisions/0003-staking.md says why.

use crate::{
    config::consensus::{MaxAuthorities, MaxBackers},
    config::money::ToTreasury,
    governance::origins,
    *,
};
use frame_election_provider_support::{
    bounds::{ElectionBounds, ElectionBoundsBuilder},
    onchain, SequentialPhragmen,
};
use frame_support::{
    parameter_types,
    traits::{ConstU32, ConstU8, EitherOf, Nothing},
    PalletId,
};
use frame_system::EnsureRoot;
use pallet_openledger_periods::{BondingEras, SessionsPerEra, SlashDeferEras};
use sp_runtime::{FixedU128, Perbill};

/// Most validators one account can nominate.
pub const MAX_NOMINATIONS: u32 = 16;
/// Eras whose rewards can still be claimed; what is left then goes back to the emission pot.
pub type HistoryDepth = ConstU32<84>;

parameter_types! {
    // The largest stakes vote: the bags list hands them over in order. What an election over so many costs is in
    // docs/decisions/0003-staking.md.
    pub Bounds: ElectionBounds = ElectionBoundsBuilder::default()
        .voters_count(2_000.into())
        .targets_count(500.into())
        .build();
    pub const BagThresholds: &'static [u64] = &BAGS;
}

/// Upper stake of each bag in vote units: from a quarter of an OPEN, each half as large again, to all there is.
pub const BAGS: [u64; 52] = bags();

const fn bags() -> [u64; 52] {
    let mut bags = [0u64; 52];
    // Vote units: `CurrencyToVote` scales issuance to 64 bits, which leaves an OPEN about 1.8e10 units; the steps need not
    // hit round amounts.
    let mut value: u128 = 18_000_000_000 / 4;
    let mut i = 0;
    while i < 51 {
        bags[i] = value as u64;
        value = value * 3 / 2;
        i += 1;
    }
    bags[51] = u64::MAX;
    bags
}

/// Elections on chain by sequential Phragmén.
pub struct OnChain;
impl onchain::Config for OnChain {
    type Sort = frame_support::traits::ConstBool<true>;
    type System = Runtime;
    type Solver = SequentialPhragmen<AccountId, Perbill>;
    type MaxBackersPerWinner = MaxBackers;
    type MaxWinnersPerPage = MaxAuthorities;
    type DataProvider = Staking;
    type WeightInfo = frame_election_provider_support::weights::SubstrateWeight<Runtime>;
    type Bounds = Bounds;
}

impl pallet_bags_list::Config<pallet_bags_list::Instance1> for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type WeightInfo = pallet_bags_list::weights::SubstrateWeight<Runtime>;
    type ScoreProvider = Staking;
    type BagThresholds = BagThresholds;
    type MaxAutoRebagPerBlock = ConstU32<5>;
    type Score = sp_npos_elections::VoteWeight;
}

/// Bounds of pallet-staking's benchmarks.
pub struct StakingBenchmarks;
impl pallet_staking::BenchmarkingConfig for StakingBenchmarks {
    type MaxNominators = ConstU32<1_000>;
    type MaxValidators = ConstU32<300>;
}

/// Plans eras, and returns what an era left unclaimed to the pot when the era leaves the history.
pub type EraManager = pallet_openledger_rewards::staking::ReturnExpired<Runtime, Staking>;

impl pallet_staking::Config for Runtime {
    type OldCurrency = Balances;
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type CurrencyBalance = Balance;
    type UnixTime = Timestamp;
    type CurrencyToVote = sp_staking::currency_to_vote::U128CurrencyToVote;
    type ElectionProvider = onchain::OnChainExecution<OnChain>;
    type GenesisElectionProvider = onchain::OnChainExecution<OnChain>;
    type NominationsQuota = pallet_staking::FixedNominationsQuota<MAX_NOMINATIONS>;
    type HistoryDepth = HistoryDepth;
    // pallet-staking issues a remainder when governance caps the stakers' part of an era. Dropping it takes that issue back,
    // and the money, which is in the payable account, returns to the pot with the next complete count of claims.
    type RewardRemainder = ();
    type RuntimeEvent = RuntimeEvent;
    type Slash = ToTreasury;
    type Reward = pallet_openledger_rewards::SettleFromPayable<Runtime>;
    type SessionsPerEra = SessionsPerEra<Runtime>;
    type BondingDuration = BondingEras<Runtime>;
    type SlashDeferDuration = SlashDeferEras<Runtime>;
    type AdminOrigin = EitherOf<EnsureRoot<AccountId>, origins::StakingAdmin>;
    type SessionInterface = Self;
    type EraPayout = Rewards;
    type NextNewSession = Session;
    type MaxExposurePageSize = ConstU32<64>;
    type MaxValidatorSet = MaxAuthorities;
    type VoterList = VoterList;
    type TargetList = pallet_staking::UseValidatorsMap<Self>;
    type MaxUnlockingChunks = ConstU32<32>;
    type MaxControllersInDeprecationBatch = ConstU32<100>;
    type EventListeners = (NominationPools, DelegatedStaking);
    // Pool members stake through their pool only.
    type Filter = pallet_nomination_pools::AllPoolMembers<Runtime>;
    type BenchmarkingConfig = StakingBenchmarks;
    type WeightInfo = pallet_staking::weights::SubstrateWeight<Runtime>;
}

parameter_types! {
    pub const PoolsPalletId: PalletId = PalletId(*b"op/nopls");
    pub const DelegatedPalletId: PalletId = PalletId(*b"op/deleg");
    // Whoever applies a pool's slash to a member gets this part of it.
    pub const SlashReporterShare: Perbill = Perbill::from_percent(1);
}

impl pallet_delegated_staking::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type PalletId = DelegatedPalletId;
    type Currency = Balances;
    type OnSlash = ToTreasury;
    type SlashRewardFraction = SlashReporterShare;
    type RuntimeHoldReason = RuntimeHoldReason;
    type CoreStaking = Staking;
}

impl pallet_nomination_pools::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type WeightInfo = pallet_nomination_pools::weights::SubstrateWeight<Runtime>;
    type Currency = Balances;
    type RuntimeFreezeReason = RuntimeFreezeReason;
    type RewardCounter = FixedU128;
    type PalletId = PoolsPalletId;
    type MaxPointsToBalance = ConstU8<10>;
    type MaxUnbonding = ConstU32<8>;
    type BalanceToU256 = convert::ToU256;
    type U256ToBalance = convert::FromU256;
    type StakeAdapter = pallet_nomination_pools::adapter::DelegateStake<Self, Staking, DelegatedStaking>;
    // More than the eras of unbonding on any network, or a slash could not reach those who leave.
    type MaxUnbondingPools = ConstU32<32>;
    type MaxMetadataLen = ConstU32<256>;
    type AdminOrigin = EitherOf<EnsureRoot<AccountId>, origins::StakingAdmin>;
    type BlockNumberProvider = System;
    type Filter = Nothing;
}

/// Balances to and from 256 bits, saturating.
pub mod convert {
    use crate::Balance;
    use sp_core::U256;
    use sp_runtime::traits::Convert;

    /// Widens.
    pub struct ToU256;
    impl Convert<Balance, U256> for ToU256 {
        fn convert(value: Balance) -> U256 {
            value.into()
        }
    }
    /// Narrows; what does not fit becomes the largest balance.
    pub struct FromU256;
    impl Convert<U256, Balance> for FromU256 {
        fn convert(value: U256) -> Balance {
            value.try_into().unwrap_or(Balance::MAX)
        }
    }
}

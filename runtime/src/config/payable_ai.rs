//! Payable AI: Datanets, models, workers, channels, attribution. Periods are in governance hours and days, so that one number
//! at genesis scales them all.

use crate::{
    config::{governance::TreasuryAccount, ownership::Items},
    currency::*,
    params::{self, Deposit},
    *,
};
use frame_support::{
    parameter_types,
    traits::{ConstU128, ConstU32, ConstU64, Contains, EitherOf, Get},
    weights::Weight,
};
use frame_system::EnsureRoot;
use openledger_attribution::fee::Split;
use openledger_protocol::{
    committees::MAX_SIZE,
    compute::{Outcome, Task},
    staking::Pool,
};
use openledger_traits::OnOutcome;
use pallet_openledger_periods::{ChainId, Days, EpochBlocks, Hours};
use sp_runtime::{traits::Convert, DispatchResult, Perbill};

/// Hours in which a batch can be challenged.
pub const WINDOW: u32 = 24;
/// Hours from a challenge to the last block for its evidence.
pub const PROVE: u32 = 12;
/// Hours in which a request for data has to be answered, and what was asked for at a window's end can then be challenged.
pub const REVEAL: u32 = 6;
/// Hours in which a worker answers the draws of a sampled batch, once they are out.
pub const ANSWER: u32 = 12;
/// Hours from a batch's window's beginning to the end of its longest dispute.
pub const DISPUTE: u32 = WINDOW + 2 * REVEAL + PROVE;
/// Hours that a channel takes to close: until the last of its batches can be disputed no more, so that the consumer of a
/// disputed answer is still known. What is drawn for a sampled batch can take longer where an epoch is many hours long, as on
/// development chains; what would go back to a consumer then goes to the treasury.
pub const CLOSE: u32 = DISPUTE + ANSWER;
/// Days that an index can still be challenged after its generation went out of use.
pub const INDEX_RETENTION: u32 = 30;
/// Days that a bond and a stake stay slashable after they were asked back. Longer than a batch's window and its longest dispute
/// together.
pub const UNBONDING: u32 = 7;
/// Least blocks between two heartbeats of a worker.
pub const LEAST_BEAT_PERIOD: u32 = 10;
/// Least blocks without a sign of life after which a worker is drawn no more: some time even where blocks come fast.
pub const LEAST_SILENCE: u32 = 200;
/// Days over which a pool's income reaches its stakers: who stakes for one payment earns the part of it that its time is of
/// this.
pub const INCOME: u32 = 7;
/// Hours to recompute a sketch, ranks or an answer.
pub const COMMIT: u32 = 12;
/// Hours to recompute bases or a training.
pub const LONG_COMMIT: u32 = 72;
/// Hours for the members of a committee to reveal, once all have committed.
pub const SEAT_REVEAL: u32 = 6;
const _: () = assert!(UNBONDING * 24 > DISPUTE + ANSWER);
// Both rounds of a committee as well, though what is before one stays behind its object however long that takes.
const _: () = assert!(UNBONDING * 24 > DISPUTE + ANSWER + 2 * (COMMIT + SEAT_REVEAL));
const _: () = assert!(INDEX_RETENTION * 24 > DISPUTE + ANSWER);

/// Whether this is the chain id of development networks.
pub struct OnDevelopmentChain;
impl Get<bool> for OnDevelopmentChain {
    fn get() -> bool {
        ChainId::<Runtime>::get() == genesis::DEVELOPMENT_CHAIN_ID
    }
}

/// The epoch of BABE.
pub struct Epoch;
impl Get<u64> for Epoch {
    fn get() -> u64 {
        pallet_babe::EpochIndex::<Runtime>::get()
    }
}

impl pallet_openledger_draws::Config for Runtime {
    type Epoch = Epoch;
    type Source = pallet_babe::RandomnessFromOneEpochAgo<Runtime>;
    type MayBeKnown = OnDevelopmentChain;
    type WeightInfo = pallet_openledger_draws::weights::SubstrateWeight<Runtime>;
}

parameter_types! {
    /// Part of what is staked behind a Datanet that a version proved wrong costs.
    pub const DatanetStakeSlash: Perbill = Perbill::from_percent(10);
}

impl pallet_openledger_datanets::Config for Runtime {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Ownership = Items;
    type DatanetDeposit = Deposit<1, 800>;
    type ReservationDeposit = Deposit<1, 120>;
    type ContributionDeposit = Deposit<1, 250>;
    type ReservationPeriod = Days<Runtime, 1>;
    type CurationWindow = Days<Runtime, 1>;
    type VersionDeposit = ConstU128<{ 10 * OPEN }>;
    type VersionWindow = Days<Runtime, 7>;
    type ChallengeDeposit = ConstU128<OPEN>;
    type ProvePeriod = Hours<Runtime, PROVE>;
    type Treasury = TreasuryAccount;
    type Stakes = OpenStaking;
    type StakeSlash = DatanetStakeSlash;
    type MaxRecords = ConstU32<10_000_000>;
    type MaxRecordBytes = ConstU32<{ 16 * 1024 * 1024 }>;
    type WeightInfo = pallet_openledger_datanets::weights::SubstrateWeight<Runtime>;
}

/// How a fee is split, whole whatever governance set.
pub struct FeeSplit;
impl Get<Split> for FeeSplit {
    fn get() -> Split {
        let split = params::dynamic::economy::FeeSplit::get();
        if split.is_whole() {
            split
        } else {
            params::DEFAULT_SPLIT
        }
    }
}

/// A worker is drawn within three epochs of an order; a fourth is for the work.
pub struct ShortestTraining;
impl Get<BlockNumber> for ShortestTraining {
    fn get() -> BlockNumber {
        <EpochBlocks<Runtime> as Get<u32>>::get().saturating_mul(4)
    }
}

impl pallet_openledger_models::Config for Runtime {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Ownership = Items;
    type Datanets = Datanets;
    type Jobs = Compute;
    type Draws = Draws;
    type Indexes = Attribution;
    type Split = FeeSplit;
    type PriceHold = Days<Runtime, 1>;
    type LeastPrice = ConstU128<OPEN>;
    type ShortestTraining = ShortestTraining;
    type LongestTraining = Days<Runtime, 90>;
    type IndexTime = Days<Runtime, 7>;
    type MaxAwaiting = ConstU32<100>;
    type BaseDeposit = Deposit<1, 300>;
    type ModelDeposit = Deposit<1, 400>;
    type WeightInfo = pallet_openledger_models::weights::SubstrateWeight<Runtime>;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = config::benchmarks::World;
}

/// Blocks of [`UNBONDING`].
pub struct UnbondingBlocks;
impl Get<u32> for UnbondingBlocks {
    fn get() -> u32 {
        Days::<Runtime, UNBONDING>::get()
    }
}

/// Blocks from a worker's sign of life to its next heartbeat: an hour, or more where an hour is a few blocks.
pub struct BeatPeriod;
impl Get<u32> for BeatPeriod {
    fn get() -> u32 {
        Hours::<Runtime, 1>::get().max(LEAST_BEAT_PERIOD)
    }
}

/// Blocks without a sign of life after which a worker is drawn no more: three heartbeats missed.
pub struct Silence;
impl Get<u32> for Silence {
    fn get() -> u32 {
        BeatPeriod::get().saturating_mul(4).max(LEAST_SILENCE)
    }
}

/// Who ordered which work.
pub struct Outcomes;
impl OnOutcome<AccountId> for Outcomes {
    fn delivered(job: u64, task: &Task, worker: &AccountId, outcome: &Outcome) -> DispatchResult {
        match task {
            Task::Train { .. } | Task::Index { .. } => Models::delivered(job, task, worker, outcome),
            Task::Infer { .. } => Inference::delivered(job, task, worker, outcome),
        }
    }

    fn failed(job: u64, task: &Task) {
        match task {
            Task::Train { .. } | Task::Index { .. } => Models::failed(job, task),
            Task::Infer { .. } => Inference::failed(job, task),
        }
    }
}

/// What the costlier of them takes.
pub struct OutcomeWeight;
impl Get<Weight> for OutcomeWeight {
    fn get() -> Weight {
        pallet_openledger_models::OutcomeWeight::<Runtime>::get()
            .max(pallet_openledger_inference::OutcomeWeight::<Runtime>::get())
    }
}

impl pallet_openledger_compute::Config for Runtime {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Treasury = TreasuryAccount;
    type Stakes = OpenStaking;
    type Draws = Draws;
    type OnOutcome = Outcomes;
    type OutcomeWeight = OutcomeWeight;
    type MinBond = ConstU128<{ 1_000 * OPEN }>;
    type UnbondingPeriod = UnbondingBlocks;
    type LateSlash = ConstU128<{ 10 * OPEN }>;
    type MaxAttempts = ConstU32<3>;
    type MaxWorkers = ConstU32<1_000>;
    type MaxJobs = ConstU32<1_000>;
    type BeatPeriod = BeatPeriod;
    type Silence = Silence;
    type DeliveryPriority = ConstU64<{ u64::MAX / 2 }>;
    type WeightInfo = pallet_openledger_compute::weights::SubstrateWeight<Runtime>;
}

impl pallet_openledger_channels::Config for Runtime {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type PayOut = Rewards;
    type ChainId = ChainId<Runtime>;
    type MinDeposit = ConstU128<OPEN>;
    type ClosePeriod = Hours<Runtime, CLOSE>;
    type WeightInfo = pallet_openledger_channels::weights::SubstrateWeight<Runtime>;
}

impl pallet_openledger_attribution::Config for Runtime {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Models = Models;
    type Ownership = Items;
    type Bonds = Compute;
    type Charge = Channels;
    type PayOut = Rewards;
    type Stakes = OpenStaking;
    type Contributions = Datanets;
    type Draws = Draws;
    type Committees = Committees;
    type HearingWeight = HearingWeight;
    type FastTolerance = params::FastTolerance;
    type ChainId = ChainId<Runtime>;
    type Treasury = TreasuryAccount;
    type Window = Hours<Runtime, WINDOW>;
    type ProvePeriod = Hours<Runtime, PROVE>;
    type Retention = Days<Runtime, 7>;
    type MinCredit = ConstU128<MILLI>;
    type ChallengeDeposit = ConstU128<{ 10 * OPEN }>;
    type BatchDeposit = Deposit<1, 1_200>;
    type SlashFloor = ConstU128<{ 100 * OPEN }>;
    type IndexStake = ConstU128<{ 100 * OPEN }>;
    type IndexRetention = Days<Runtime, INDEX_RETENTION>;
    type RevealPeriod = Hours<Runtime, REVEAL>;
    type RevealPrice = ConstU128<{ 100 * MILLI }>;
    type AnswerPeriod = Hours<Runtime, ANSWER>;
    type WeightInfo = pallet_openledger_attribution::weights::SubstrateWeight<Runtime>;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = config::benchmarks::World;
}

/// What putting something before a committee costs.
pub struct HearingWeight;
impl Get<Weight> for HearingWeight {
    fn get() -> Weight {
        use pallet_openledger_committees::WeightInfo;
        <Runtime as pallet_openledger_committees::Config>::WeightInfo::open()
    }
}

/// What a committee's verdict costs whoever it was ordered by.
pub struct VerdictWeight;
impl Get<Weight> for VerdictWeight {
    fn get() -> Weight {
        use pallet_openledger_attribution::WeightInfo;
        <Runtime as pallet_openledger_attribution::Config>::WeightInfo::ended()
    }
}

/// Who is behind a worker: whoever registered it as a sub-account of its identity, else itself.
pub struct Behind;
impl Convert<AccountId, AccountId> for Behind {
    fn convert(who: AccountId) -> AccountId {
        pallet_identity::SuperOf::<Runtime>::get(&who).map_or(who, |(owner, _)| owner)
    }
}

/// `M` on networks, `D` on development chains, which have few workers.
pub struct OfNetwork<const D: u32, const M: u32>;
impl<const D: u32, const M: u32> Get<u32> for OfNetwork<D, M> {
    fn get() -> u32 {
        if OnDevelopmentChain::get() {
            D
        } else {
            M
        }
    }
}

impl pallet_openledger_committees::Config for Runtime {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Attesters = Compute;
    type Bonds = Compute;
    type Owner = Behind;
    type Draws = Draws;
    type OnVerdict = Attribution;
    type VerdictWeight = VerdictWeight;
    type DecideOrigin = EitherOf<EnsureRoot<AccountId>, governance::origins::FrozenDisputes>;
    type Size = params::Number<params::dynamic::committees::Size, OfNetwork<1, 5>, 1, MAX_SIZE>;
    type Quorum = params::Number<params::dynamic::committees::Quorum, OfNetwork<1, 4>, 1, MAX_SIZE>;
    type SeatPrice = params::SeatPrice;
    type SeatStake = params::SeatStake;
    type Silence = params::Silence;
    type CommitPeriod = Hours<Runtime, COMMIT>;
    type LongCommitPeriod = Hours<Runtime, LONG_COMMIT>;
    type RevealPeriod = Hours<Runtime, SEAT_REVEAL>;
    type MaxMembers = ConstU32<1_000>;
    type WeightInfo = pallet_openledger_committees::weights::SubstrateWeight<Runtime>;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = config::benchmarks::World;
}

impl pallet_openledger_inference::Config for Runtime {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Models = Models;
    type Jobs = Compute;
    type PayOut = Rewards;
    type Settle = Attribution;
    // With the longest prompt and the longest answer.
    type Deposit = Deposit<1, 8_600>;
    type ShortestTime = ShortestTraining;
    type LongestTime = Days<Runtime, 7>;
    type Retention = Days<Runtime, 30>;
    type WeightInfo = pallet_openledger_inference::weights::SubstrateWeight<Runtime>;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = config::benchmarks::World;
}

/// What can be staked behind: what is there. There are no agents yet.
pub struct Stakeable;
impl Contains<Pool<AccountId>> for Stakeable {
    fn contains(pool: &Pool<AccountId>) -> bool {
        match pool {
            Pool::Worker(who) => pallet_openledger_compute::Workers::<Runtime>::contains_key(who),
            Pool::Model(model) => pallet_openledger_models::Models::<Runtime>::contains_key(model),
            Pool::Datanet(datanet) => pallet_openledger_datanets::Datanets::<Runtime>::contains_key(datanet),
            Pool::Agent(_) => false,
        }
    }
}

impl pallet_openledger_open_staking::Config for Runtime {
    type Currency = Balances;
    type Treasury = TreasuryAccount;
    type Exists = Stakeable;
    type MinStake = ConstU128<OPEN>;
    type IncomePeriod = Days<Runtime, INCOME>;
    type UnbondingPeriod = UnbondingBlocks;
    type WeightInfo = pallet_openledger_open_staking::weights::SubstrateWeight<Runtime>;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = config::benchmarks::World;
}

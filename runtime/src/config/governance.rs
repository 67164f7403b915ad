//! Referenda and what they spend: treasury, bounties, preimages, the scheduler, the technical committee.

use crate::{
    currency::*,
    governance::{origins, tracks::Tracks, CommitteeSeats, RootOrCommittee, Spend},
    params::Deposit,
    *,
};
use frame_support::{
    parameter_types,
    traits::{
        fungible::HoldConsideration,
        tokens::{pay::PayFromAccount, UnityAssetBalanceConversion},
        ConstU32, EitherOf, EqualPrivilegeOnly, LinearStoragePrice,
    },
    PalletId,
};
use frame_system::{EnsureRoot, EnsureSigned};
use pallet_openledger_periods::Days;
use sp_runtime::{
    traits::{AccountIdConversion, IdentityLookup},
    Perbill, Permill,
};

parameter_types! {
    pub const TreasuryPalletId: PalletId = PalletId(*b"op/trsry");
    pub TreasuryAccount: AccountId = TreasuryPalletId::get().into_account_truncating();
    // Nothing is burned: the supply is fixed and the treasury spends what it is given.
    pub const Burn: Permill = Permill::zero();
}

impl pallet_treasury::Config for Runtime {
    type Currency = Balances;
    type RejectOrigin = EitherOf<EnsureRoot<AccountId>, origins::Treasurer>;
    type RuntimeEvent = RuntimeEvent;
    type SpendPeriod = Days<Runtime, 7>;
    type Burn = Burn;
    type PalletId = TreasuryPalletId;
    type BurnDestination = ();
    type WeightInfo = pallet_treasury::weights::SubstrateWeight<Runtime>;
    type SpendFunds = Bounties;
    type MaxApprovals = ConstU32<100>;
    type SpendOrigin = Spend;
    type AssetKind = ();
    type Beneficiary = AccountId;
    type BeneficiaryLookup = IdentityLookup<AccountId>;
    type Paymaster = PayFromAccount<Balances, TreasuryAccount>;
    type BalanceConverter = UnityAssetBalanceConversion;
    type PayoutPeriod = Days<Runtime, 30>;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = ();
    type BlockNumberProvider = System;
}

parameter_types! {
    pub const BountyDepositBase: Balance = OPEN;
    pub const CuratorMultiplier: Permill = Permill::from_percent(50);
    pub const CuratorDepositMin: Option<Balance> = Some(10 * OPEN);
    pub const CuratorDepositMax: Option<Balance> = Some(1_000 * OPEN);
    pub const BountyMinimum: Balance = 100 * OPEN;
    pub const ChildBountyMinimum: Balance = OPEN;
}

impl pallet_bounties::Config for Runtime {
    type BountyDepositBase = BountyDepositBase;
    type BountyDepositPayoutDelay = Days<Runtime, 4>;
    type BountyUpdatePeriod = Days<Runtime, 90>;
    type CuratorDepositMultiplier = CuratorMultiplier;
    type CuratorDepositMax = CuratorDepositMax;
    type CuratorDepositMin = CuratorDepositMin;
    type BountyValueMinimum = BountyMinimum;
    type DataDepositPerByte = params::DepositPerByte;
    type RuntimeEvent = RuntimeEvent;
    type MaximumReasonLength = ConstU32<16_384>;
    type WeightInfo = pallet_bounties::weights::SubstrateWeight<Runtime>;
    type ChildBountyManager = ChildBounties;
    type OnSlash = Treasury;
    type TransferAllAssets = ();
}

impl pallet_child_bounties::Config for Runtime {
    type MaxActiveChildBountyCount = ConstU32<100>;
    type ChildBountyValueMinimum = ChildBountyMinimum;
    type RuntimeEvent = RuntimeEvent;
    type WeightInfo = pallet_child_bounties::weights::SubstrateWeight<Runtime>;
}

parameter_types! {
    pub const PreimageHold: RuntimeHoldReason =
        RuntimeHoldReason::Preimage(pallet_preimage::HoldReason::Preimage);
}

impl pallet_preimage::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type WeightInfo = pallet_preimage::weights::SubstrateWeight<Runtime>;
    type Currency = Balances;
    type ManagerOrigin = EnsureRoot<AccountId>;
    type Consideration = HoldConsideration<
        AccountId,
        Balances,
        PreimageHold,
        LinearStoragePrice<Deposit<1, 0>, params::DepositPerByte, Balance>,
    >;
}

parameter_types! {
    // What referenda enact may fill most of a block: an upgrade is one such call.
    pub SchedulerWeight: Weight = Perbill::from_percent(80) * config::system::BlockWeights::get().max_block;
}

impl pallet_scheduler::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeOrigin = RuntimeOrigin;
    type PalletsOrigin = OriginCaller;
    type RuntimeCall = RuntimeCall;
    type MaximumWeight = SchedulerWeight;
    type ScheduleOrigin = EnsureRoot<AccountId>;
    type OriginPrivilegeCmp = EqualPrivilegeOnly;
    type MaxScheduledPerBlock = ConstU32<50>;
    type WeightInfo = pallet_scheduler::weights::SubstrateWeight<Runtime>;
    type Preimages = Preimage;
    type BlockNumberProvider = System;
}

parameter_types! {
    // Keeps the list of referenda worth reading; returned unless the referendum is killed.
    pub const SubmissionDeposit: Balance = 10 * OPEN;
    pub const AlarmInterval: BlockNumber = 1;
}

impl pallet_conviction_voting::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type WeightInfo = pallet_conviction_voting::weights::SubstrateWeight<Runtime>;
    type Currency = Balances;
    type Polls = Referenda;
    type MaxTurnout = frame_support::traits::tokens::currency::ActiveIssuanceOf<Balances, AccountId>;
    type MaxVotes = ConstU32<512>;
    type VoteLockingPeriod = Days<Runtime, 7>;
    type BlockNumberProvider = System;
    type VotingHooks = ();
}

impl pallet_referenda::Config for Runtime {
    type RuntimeCall = RuntimeCall;
    type RuntimeEvent = RuntimeEvent;
    type WeightInfo = pallet_referenda::weights::SubstrateWeight<Runtime>;
    type Scheduler = Scheduler;
    type Currency = Balances;
    type SubmitOrigin = frame_support::traits::AsEnsureOriginWithArg<EnsureSigned<AccountId>>;
    type CancelOrigin = EitherOf<EnsureRoot<AccountId>, origins::ReferendumCanceller>;
    type KillOrigin = EitherOf<EnsureRoot<AccountId>, origins::ReferendumKiller>;
    type Slash = Treasury;
    type Votes = pallet_conviction_voting::VotesOf<Runtime>;
    type Tally = pallet_conviction_voting::TallyOf<Runtime>;
    type SubmissionDeposit = SubmissionDeposit;
    type MaxQueued = ConstU32<100>;
    type UndecidingTimeout = Days<Runtime, 14>;
    type AlarmInterval = AlarmInterval;
    type Tracks = Tracks;
    type Preimages = Preimage;
    type BlockNumberProvider = System;
}

impl pallet_whitelist::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeCall = RuntimeCall;
    type WhitelistOrigin = RootOrCommittee;
    type DispatchWhitelistedOrigin = EitherOf<EnsureRoot<AccountId>, origins::WhitelistedCaller>;
    type Preimages = Preimage;
    type DeferredDispatchExpiration = Days<Runtime, 28>;
    type BlockNumberProvider = System;
    type WeightInfo = pallet_whitelist::weights::SubstrateWeight<Runtime>;
}

parameter_types! {
    pub CommitteeProposalWeight: Weight =
        Perbill::from_percent(50) * config::system::BlockWeights::get().max_block;
}

impl pallet_collective::Config<pallet_collective::Instance1> for Runtime {
    type RuntimeOrigin = RuntimeOrigin;
    type Proposal = RuntimeCall;
    type RuntimeEvent = RuntimeEvent;
    type MotionDuration = Days<Runtime, 7>;
    type MaxProposals = ConstU32<50>;
    type MaxMembers = CommitteeSeats;
    // Silence is not consent.
    type DefaultVote = pallet_collective::MoreThanMajorityThenPrimeDefaultVote;
    type WeightInfo = pallet_collective::weights::SubstrateWeight<Runtime>;
    type SetMembersOrigin = EnsureRoot<AccountId>;
    type MaxProposalWeight = CommitteeProposalWeight;
    type DisapproveOrigin = EnsureRoot<AccountId>;
    type KillOrigin = EnsureRoot<AccountId>;
    type Consideration = ();
}

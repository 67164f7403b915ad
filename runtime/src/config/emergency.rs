//! Safe mode and paused calls: the brake, and what must work while it is pulled.

use crate::{governance::RootOrCommittee, *};
use frame_support::{
    parameter_types,
    traits::{Contains, EitherOf, Get, InsideBoth, MapSuccess},
};
use frame_system::{EnsureRoot, EnsureRootWithSuccess};
use pallet_openledger_periods::Hours;

/// What a transaction may call: neither stopped by safe mode nor paused.
pub type CallFilter = InsideBoth<SafeMode, TxPause>;

/// Calls that safe mode lets through: blocks, finality, and the governance that can end it.
pub struct SafeModeAllows;
impl Contains<RuntimeCall> for SafeModeAllows {
    fn contains(call: &RuntimeCall) -> bool {
        matches!(
            call,
            RuntimeCall::System(_)
                | RuntimeCall::Timestamp(_)
                | RuntimeCall::Babe(_)
                | RuntimeCall::Grandpa(_)
                | RuntimeCall::Session(_)
                | RuntimeCall::SafeMode(_)
                | RuntimeCall::TxPause(_)
                | RuntimeCall::Migrator(_)
                | RuntimeCall::Referenda(_)
                | RuntimeCall::ConvictionVoting(_)
                | RuntimeCall::Preimage(_)
                | RuntimeCall::Scheduler(_)
                | RuntimeCall::Whitelist(_)
                | RuntimeCall::TechnicalCommittee(_)
        )
    }
}

/// Calls that can never be paused: the ones that would unpause.
pub struct NeverPaused;
impl Contains<pallet_tx_pause::RuntimeCallNameOf<Runtime>> for NeverPaused {
    fn contains(name: &pallet_tx_pause::RuntimeCallNameOf<Runtime>) -> bool {
        const PALLETS: [&[u8]; 13] = [
            b"System",
            b"Timestamp",
            b"Babe",
            b"Grandpa",
            b"Session",
            b"SafeMode",
            b"TxPause",
            b"Referenda",
            b"ConvictionVoting",
            b"Preimage",
            b"Scheduler",
            b"Whitelist",
            b"TechnicalCommittee",
        ];
        PALLETS.contains(&name.0.as_slice())
    }
}

/// Two thirds of the committee, succeeding with [`HalfDay`].
pub type CommitteeForHalfDay =
    MapSuccess<governance::TwoThirdsOfCommittee, sp_runtime::traits::Replace<HalfDay>>;

parameter_types! {
    // How long one safe mode lasts: long enough to prepare a fix, short enough that a captured committee cannot hold the
    // chain.
    pub HalfDay: BlockNumber = Hours::<Runtime, 12>::get();
    // Nobody can buy a stop of the chain.
    pub const NoDeposit: Option<Balance> = None;
    pub const NoRelease: Option<BlockNumber> = None;
}

impl pallet_safe_mode::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type WhitelistedCalls = SafeModeAllows;
    type EnterDuration = HalfDay;
    type ExtendDuration = HalfDay;
    type EnterDepositAmount = NoDeposit;
    type ExtendDepositAmount = NoDeposit;
    type ForceEnterOrigin = EitherOf<EnsureRootWithSuccess<AccountId, HalfDay>, CommitteeForHalfDay>;
    type ForceExtendOrigin = EitherOf<EnsureRootWithSuccess<AccountId, HalfDay>, CommitteeForHalfDay>;
    type ForceExitOrigin = RootOrCommittee;
    type ForceDepositOrigin = EnsureRoot<AccountId>;
    type Notify = ();
    type ReleaseDelay = NoRelease;
    type WeightInfo = pallet_safe_mode::weights::SubstrateWeight<Runtime>;
}

impl pallet_tx_pause::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeCall = RuntimeCall;
    type PauseOrigin = RootOrCommittee;
    type UnpauseOrigin = RootOrCommittee;
    type WhitelistedCalls = NeverPaused;
    type MaxNameLen = frame_support::traits::ConstU32<256>;
    type WeightInfo = pallet_tx_pause::weights::SubstrateWeight<Runtime>;
}

//! Who writes blocks, who finalises them, and what happens to those who do it twice.

use crate::*;
use frame_support::{
    parameter_types,
    traits::{ConstU32, ConstU64},
};
use pallet_openledger_periods::{BondingBlocks, BondingSessions, EpochBlocks};
use sp_runtime::traits::OpaqueKeys;

/// Most validators in a set: enough to be open, few enough that GRANDPA's votes fit in a 2 s slot.
pub type MaxAuthorities = ConstU32<300>;
/// Most nominators that back one validator. An equivocation report slashes all of them in one transaction, and must fit a
/// block: tests/scenarios/weights.rs.
pub type MaxBackers = ConstU32<512>;

/// BABE's settings at genesis: a slot has a primary author one time in four; a secondary author, whose turn is known but
/// whose right is proved by VRF, fills the others, so that no slot is empty.
pub const BABE_EPOCH: sp_consensus_babe::BabeEpochConfiguration = sp_consensus_babe::BabeEpochConfiguration {
    c: (1, 4),
    allowed_slots: sp_consensus_babe::AllowedSlots::PrimaryAndSecondaryVRFSlots,
};

impl pallet_babe::Config for Runtime {
    type EpochDuration = EpochBlocks<Runtime>;
    type ExpectedBlockTime = ConstU64<SLOT_MILLIS>;
    // pallet-session drives the epochs.
    type EpochChangeTrigger = pallet_babe::ExternalTrigger;
    type DisabledValidators = Session;
    // The only weights the SDK publishes for it; not of nothing, as the name says.
    type WeightInfo = ();
    type MaxAuthorities = MaxAuthorities;
    type MaxNominators = MaxBackers;
    type KeyOwnerProof = sp_session::MembershipProof;
    type EquivocationReportSystem =
        pallet_babe::EquivocationReportSystem<Self, Offences, Historical, BondingBlocks<Runtime>>;
}

impl pallet_grandpa::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    // As BABE's.
    type WeightInfo = ();
    type MaxAuthorities = MaxAuthorities;
    type MaxNominators = MaxBackers;
    type MaxSetIdSessionEntries = BondingSessions<Runtime>;
    type KeyOwnerProof = sp_session::MembershipProof;
    type EquivocationReportSystem =
        pallet_grandpa::EquivocationReportSystem<Self, Offences, Historical, BondingBlocks<Runtime>>;
}

impl pallet_authorship::Config for Runtime {
    type FindAuthor = pallet_session::FindAccountFromAuthorIndex<Self, Babe>;
    type EventHandler = Staking;
}

impl pallet_authority_discovery::Config for Runtime {
    type MaxAuthorities = MaxAuthorities;
}

parameter_types! {
    // Returned when the keys are purged; keeps the state free of abandoned keys.
    pub const SessionKeyDeposit: Balance = currency::OPEN;
}

impl pallet_session::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type ValidatorId = AccountId;
    type ValidatorIdOf = sp_runtime::traits::ConvertInto;
    type ShouldEndSession = Babe;
    type NextSessionRotation = Babe;
    type SessionManager = pallet_session::historical::NoteHistoricalRoot<Self, config::staking::EraManager>;
    type SessionHandler = <SessionKeys as OpaqueKeys>::KeyTypeIdProviders;
    type Keys = SessionKeys;
    // At most a third are disabled, or finality would stop with them.
    type DisablingStrategy = pallet_session::disabling::UpToLimitWithReEnablingDisablingStrategy;
    type WeightInfo = pallet_session::weights::SubstrateWeight<Runtime>;
    type Currency = Balances;
    type KeyDeposit = SessionKeyDeposit;
}

impl pallet_session::historical::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    // Exposures are looked up by era: the historical root need not carry them.
    type FullIdentification = ();
    type FullIdentificationOf = pallet_staking::UnitIdentificationOf<Self>;
}

impl pallet_offences::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type IdentificationTuple = pallet_session::historical::IdentificationTuple<Self>;
    type OnOffenceHandler = Staking;
}

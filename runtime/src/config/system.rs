//! Blocks, time, migrations and tunables.

use crate::{
    config::emergency::CallFilter, extensions::TxExtension, governance::origins, params::RuntimeParameters, *,
};
use frame_support::{
    derive_impl,
    dispatch::DispatchClass,
    parameter_types,
    traits::{AsEnsureOriginWithArg, ConstU32, ConstU64, EitherOf},
    weights::constants::{BlockExecutionWeight, ExtrinsicBaseWeight, ParityDbWeight},
};
use frame_system::{limits, EnsureRoot};
use sp_runtime::{traits::AccountIdLookup, Perbill};

/// Hooks take about this part of a block; it bounds the weight of a single transaction.
const ON_INITIALIZE: Perbill = Perbill::from_percent(10);
/// Ordinary transactions fill at most this part, so that governance and equivocation reports always fit.
const NORMAL: Perbill = Perbill::from_percent(75);

parameter_types! {
    pub const Version: sp_version::RuntimeVersion = VERSION;
    pub const BlockHashCount: BlockNumber = 4_096;
    // Five MiB: an upgrade's compressed wasm and a worst-case batch both fit.
    pub BlockLength: limits::BlockLength = limits::BlockLength::builder()
        .max_length(5 * 1024 * 1024)
        .modify_max_length_for_class(DispatchClass::Normal, |m| *m = NORMAL * *m)
        .build();
    pub BlockWeights: limits::BlockWeights = limits::BlockWeights::builder()
        .base_block(BlockExecutionWeight::get())
        .for_class(DispatchClass::all(), |weights| {
            weights.base_extrinsic = ExtrinsicBaseWeight::get();
        })
        .for_class(DispatchClass::Normal, |weights| {
            weights.max_total = Some(NORMAL * MAXIMUM_BLOCK_WEIGHT);
        })
        .for_class(DispatchClass::Operational, |weights| {
            weights.max_total = Some(MAXIMUM_BLOCK_WEIGHT);
            weights.reserved = Some(MAXIMUM_BLOCK_WEIGHT - NORMAL * MAXIMUM_BLOCK_WEIGHT);
        })
        .avg_block_initialization(ON_INITIALIZE)
        .build_or_panic();
}

#[derive_impl(frame_system::config_preludes::SolochainDefaultConfig)]
impl frame_system::Config for Runtime {
    type BaseCallFilter = CallFilter;
    type Block = Block;
    type BlockWeights = BlockWeights;
    type BlockLength = BlockLength;
    type BlockHashCount = BlockHashCount;
    type DbWeight = ParityDbWeight;
    type Version = Version;
    type AccountId = AccountId;
    type Lookup = AccountIdLookup<AccountId, ()>;
    type Nonce = Nonce;
    type Hash = Hash;
    type AccountData = pallet_balances::AccountData<Balance>;
    type OnNewAccount = pallet_revive::AutoMapper<Runtime>;
    type OnKilledAccount = pallet_revive::AutoMapper<Runtime>;
    // The generic prefix until the registry assigns one.
    type SS58Prefix = frame_support::traits::ConstU16<42>;
    type MaxConsumers = ConstU32<64>;
    type MultiBlockMigrator = Migrator;
    type SystemWeightInfo = frame_system::weights::SubstrateWeight<Runtime>;
    type ExtensionsWeightInfo = frame_system::SubstrateExtensionsWeight<Runtime>;
}

impl pallet_openledger_periods::Config for Runtime {}

impl pallet_timestamp::Config for Runtime {
    type Moment = u64;
    type OnTimestampSet = Babe;
    // Half a slot, as BABE expects.
    type MinimumPeriod = ConstU64<{ SLOT_MILLIS / 2 }>;
    type WeightInfo = pallet_timestamp::weights::SubstrateWeight<Runtime>;
}

impl pallet_parameters::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeParameters = RuntimeParameters;
    type AdminOrigin = AsEnsureOriginWithArg<EitherOf<EnsureRoot<AccountId>, origins::ParametersAdmin>>;
    // Measured; the pallet keeps its other implementation to itself.
    type WeightInfo = ();
}

parameter_types! {
    // Half of a block: the other half keeps the chain usable while a long migration runs.
    pub MigrationWeight: Weight = Perbill::from_percent(50) * BlockWeights::get().max_block;
}

impl pallet_migrations::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    #[cfg(not(feature = "runtime-benchmarks"))]
    type Migrations = ();
    #[cfg(feature = "runtime-benchmarks")]
    type Migrations = pallet_migrations::mock_helpers::MockedMigrations;
    type CursorMaxLen = ConstU32<65_536>;
    type IdentifierMaxLen = ConstU32<256>;
    type MigrationStatusHandler = ();
    // A failed migration stops user transactions; the committee can then whitelist the repair.
    type FailedMigrationHandler = frame_support::migrations::EnterSafeModeOnFailedMigration<
        SafeMode,
        frame_support::migrations::FreezeChainOnFailedMigration,
    >;
    type MaxServiceWeight = MigrationWeight;
    type WeightInfo = pallet_migrations::weights::SubstrateWeight<Runtime>;
}

// --- how the runtime itself makes transactions: equivocation reports and, later, reports of its off-chain hook

impl<C> frame_system::offchain::CreateTransactionBase<C> for Runtime
where
    RuntimeCall: From<C>,
{
    type Extrinsic = UncheckedExtrinsic;
    type RuntimeCall = RuntimeCall;
}

impl<C> frame_system::offchain::CreateBare<C> for Runtime
where
    RuntimeCall: From<C>,
{
    fn create_bare(call: RuntimeCall) -> UncheckedExtrinsic {
        sp_runtime::generic::UncheckedExtrinsic::new_bare(call).into()
    }
}

impl<C> frame_system::offchain::CreateTransaction<C> for Runtime
where
    RuntimeCall: From<C>,
{
    type Extension = TxExtension;
    fn create_transaction(call: RuntimeCall, extension: TxExtension) -> UncheckedExtrinsic {
        sp_runtime::generic::UncheckedExtrinsic::new_transaction(call, extension).into()
    }
}

impl<C> frame_system::offchain::CreateAuthorizedTransaction<C> for Runtime
where
    RuntimeCall: From<C>,
{
    fn create_extension() -> TxExtension {
        extensions::tx_extension(0, 0, sp_runtime::generic::Era::Immortal)
    }
}

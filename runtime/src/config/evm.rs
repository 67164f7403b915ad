//! The EVM: pallet-revive running unmodified solc bytecode.

use crate::{
    config::{money::ToTreasury, supply::FixedSupply},
    currency::GIGA,
    extensions::EthExtraImpl,
    params, *,
};
use frame_support::{
    parameter_types,
    traits::{ConstBool, ConstU32},
};
use frame_system::EnsureSigned;
use pallet_openledger_periods::ChainId;
use sp_runtime::{FixedU128, Perbill};

parameter_types! {
    // Code that is in use cannot be removed: each contract of it locks this part of the code's deposit.
    pub const CodeHashLockup: Perbill = Perbill::from_percent(30);
    // One Ethereum transaction may use up to nine tenths of what ordinary transactions may.
    pub MaxEthExtrinsicWeight: FixedU128 = FixedU128::from_rational(9, 10);
}

/// The gas price while the fee multiplier is one: 10⁹ wei, so that wallets show a gwei.
pub const GAS_SCALE: u32 = GIGA as u32;

impl pallet_revive::Config for Runtime {
    type Time = Timestamp;
    type Balance = Balance;
    type Currency = FixedSupply;
    type OnBurn = ToTreasury;
    type RuntimeEvent = RuntimeEvent;
    type RuntimeCall = RuntimeCall;
    type RuntimeOrigin = RuntimeOrigin;
    type RuntimeHoldReason = RuntimeHoldReason;
    type WeightInfo = pallet_revive::weights::SubstrateWeight<Runtime>;
    type Precompiles = ();
    type FindAuthor = <Runtime as pallet_authorship::Config>::FindAuthor;
    type DepositPerByte = params::EvmDepositPerByte;
    type DepositPerItem = params::EvmDepositPerItem;
    type DepositPerChildTrieItem = params::EvmDepositPerSlot;
    type CodeHashLockupDepositPercent = CodeHashLockup;
    type AddressMapper = pallet_revive::AccountId32Mapper<Self>;
    type AllowEVMBytecode = ConstBool<true>;
    type UploadOrigin = EnsureSigned<AccountId>;
    type InstantiateOrigin = EnsureSigned<AccountId>;
    type RuntimeMemory = ConstU32<{ 128 * 1024 * 1024 }>;
    type PVFMemory = ConstU32<{ 512 * 1024 * 1024 }>;
    type ChainId = ChainId<Runtime>;
    // A planck is a wei.
    type NativeToEthRatio = ConstU32<1>;
    type FeeInfo = pallet_revive::evm::fees::Info<Address, Signature, EthExtraImpl>;
    type Deposit = ();
    type MaxEthExtrinsicWeight = MaxEthExtrinsicWeight;
    type DebugEnabled = ConstBool<false>;
    type AutoMap = ConstBool<true>;
    type GasScale = ConstU32<GAS_SCALE>;
}

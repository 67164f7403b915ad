//! OPEN: balances, fees, vesting, the emission pot.

use crate::{config::governance::TreasuryAccount, currency::*, params, *};
use frame_support::{
    parameter_types,
    traits::{
        fungible::{Balanced, Credit},
        tokens::imbalance::ResolveTo,
        ConstU32, Get, Imbalance, OnUnbalanced, VariantCountOf, WithdrawReasons,
    },
    weights::{ConstantMultiplier, WeightToFee},
};
use pallet_openledger_periods::{EpochBlocks, SessionsPerEra};
use pallet_revive::evm::fees::BlockRatioFee;
use pallet_transaction_payment::{Multiplier, TargetedFeeAdjustment};
use sp_runtime::{traits::ConvertInto, FixedPointNumber, Perquintill};

parameter_types! {
    pub const ExistentialDeposit: Balance = EXISTENTIAL_DEPOSIT;
}

/// Whatever nobody owns any more goes to the treasury: nothing is burned.
pub type ToTreasury = ResolveTo<TreasuryAccount, Balances>;

impl pallet_balances::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeHoldReason = RuntimeHoldReason;
    type RuntimeFreezeReason = RuntimeFreezeReason;
    type WeightInfo = pallet_balances::weights::SubstrateWeight<Runtime>;
    type Balance = Balance;
    type DustRemoval = ToTreasury;
    type ExistentialDeposit = ExistentialDeposit;
    type AccountStore = System;
    type ReserveIdentifier = [u8; 8];
    type FreezeIdentifier = RuntimeFreezeReason;
    type MaxLocks = ConstU32<50>;
    type MaxReserves = ConstU32<50>;
    type MaxFreezes = VariantCountOf<RuntimeFreezeReason>;
    type DoneSlashHandler = ();
}

/// A fee goes to the block's author by [`params::AuthorShare`] and to the treasury for the rest; a tip goes to the
/// treasury whole, so that authors gain nothing from making users compete.
pub struct SplitFee;
impl OnUnbalanced<Credit<AccountId, Balances>> for SplitFee {
    fn on_unbalanceds(mut parts: impl Iterator<Item = Credit<AccountId, Balances>>) {
        if let Some(fee) = parts.next() {
            let author_part = params::AuthorShare::get() * fee.peek();
            let (author_part, treasury_part) = fee.split(author_part);
            ToTreasury::on_unbalanced(treasury_part);
            match Authorship::author() {
                // An author's account below the existential deposit cannot take it.
                Some(author) => {
                    if let Err(credit) = Balances::resolve(&author, author_part) {
                        ToTreasury::on_unbalanced(credit);
                    }
                }
                None => ToTreasury::on_unbalanced(author_part),
            }
        }
        for tip in parts {
            ToTreasury::on_unbalanced(tip);
        }
    }
}

/// Planck per picosecond of computation at the lowest multiplier: chosen so that an EVM transfer is about as much gas as on
/// Ethereum, for tools that assume it. A full block costs 0.012 OPEN.
pub const PLANCK_PER_PICOSECOND: u128 = 20_000;
/// Turns weight into planck in the only way that pallet-revive's gas accounting supports.
pub type WeightFee = BlockRatioFee<PLANCK_PER_PICOSECOND, 1, Runtime, Balance>;

/// Planck for the bytes of a transaction.
pub struct LengthFee;
impl WeightToFee for LengthFee {
    type Balance = Balance;
    fn weight_to_fee(weight: &Weight) -> Balance {
        ConstantMultiplier::<Balance, params::ByteFee>::weight_to_fee(weight)
    }
}

parameter_types! {
    // The fee rises while blocks are fuller than half and falls while they are emptier.
    pub const TargetFullness: Perquintill = Perquintill::from_percent(50);
    // At most 3.7% a block at the extremes, so a full hour multiplies the fee and not a single block.
    pub AdjustmentSpeed: Multiplier = Multiplier::saturating_from_rational(75, 1_000);
    // Gas prices are quoted from the multiplier: below one, wallets would round a price to nothing.
    pub MinimumMultiplier: Multiplier = Multiplier::saturating_from_integer(1);
    pub MaximumMultiplier: Multiplier = Multiplier::saturating_from_integer(100_000);
}

impl pallet_transaction_payment::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type OnChargeTransaction = pallet_transaction_payment::FungibleAdapter<Balances, SplitFee>;
    type WeightToFee = WeightFee;
    type LengthToFee = LengthFee;
    type FeeMultiplierUpdate =
        TargetedFeeAdjustment<Runtime, TargetFullness, AdjustmentSpeed, MinimumMultiplier, MaximumMultiplier>;
    type OperationalFeeMultiplier = frame_support::traits::ConstU8<5>;
    type WeightInfo = pallet_transaction_payment::weights::SubstrateWeight<Runtime>;
}

parameter_types! {
    pub const MinVestedTransfer: Balance = OPEN;
    // Unvested OPEN can pay fees and be staked or voted with, not be moved.
    pub UnvestedAllowed: WithdrawReasons =
        WithdrawReasons::except(WithdrawReasons::TRANSFER | WithdrawReasons::RESERVE);
}

impl pallet_vesting::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type Currency = Balances;
    type BlockNumberToBalance = ConvertInto;
    type MinVestedTransfer = MinVestedTransfer;
    type WeightInfo = pallet_vesting::weights::SubstrateWeight<Runtime>;
    type UnvestedFundsAllowedWithdrawReasons = UnvestedAllowed;
    type BlockNumberProvider = System;
    const MAX_VESTING_SCHEDULES: u32 = 28;
}

/// Milliseconds an era is planned to last.
pub struct NominalEra;
impl Get<u64> for NominalEra {
    fn get() -> u64 {
        let blocks = u64::from(<SessionsPerEra<Runtime> as Get<u32>>::get())
            .saturating_mul(<EpochBlocks<Runtime> as Get<u64>>::get());
        blocks.saturating_mul(SLOT_MILLIS)
    }
}

impl pallet_openledger_rewards::Config for Runtime {
    type Currency = Balances;
    type GrantOrigin = frame_system::EnsureRoot<AccountId>;
    type Fallback = TreasuryAccount;
    type NominalEra = NominalEra;
    type Eras = pallet_openledger_rewards::staking::StakingEras<Runtime>;
    type WeightInfo = pallet_openledger_rewards::weights::SubstrateWeight<Runtime>;
}

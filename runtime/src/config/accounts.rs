//! What accounts can do beyond holding: batches, proxies, multisigs, identities.

use crate::{governance::RootOrCommittee, params::Deposit, *};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{
    parameter_types,
    traits::{ConstU32, InstanceFilter},
};
use frame_system::EnsureRoot;
use pallet_openledger_periods::Days;
use scale_info::TypeInfo;
use sp_runtime::traits::{BlakeTwo256, Verify};

impl pallet_utility::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeCall = RuntimeCall;
    type PalletsOrigin = OriginCaller;
    type WeightInfo = pallet_utility::weights::SubstrateWeight<Runtime>;
}

impl pallet_multisig::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeCall = RuntimeCall;
    type Currency = Balances;
    // One item of: a key of 96 bytes, a timepoint, a deposit and its owner.
    type DepositBase = Deposit<1, 88>;
    type DepositFactor = Deposit<0, 32>;
    type MaxSignatories = ConstU32<100>;
    type WeightInfo = pallet_multisig::weights::SubstrateWeight<Runtime>;
    type BlockNumberProvider = System;
}

/// What a proxy may do for the account it stands in for. The numbers are part of the storage: append only.
#[derive(
    Copy,
    Clone,
    Eq,
    PartialEq,
    Ord,
    PartialOrd,
    Encode,
    Decode,
    DecodeWithMemTracking,
    Debug,
    MaxEncodedLen,
    TypeInfo,
    Default,
)]
pub enum ProxyType {
    /// Anything.
    #[default]
    #[codec(index = 0)]
    Any,
    /// Anything that moves no money.
    #[codec(index = 1)]
    NonTransfer,
    /// Referenda, votes, treasury and bounties.
    #[codec(index = 2)]
    Governance,
    /// Staking, session keys and pools.
    #[codec(index = 3)]
    Staking,
    /// Nomination pools.
    #[codec(index = 4)]
    NominationPools,
    /// Rejecting announced proxy calls: a watchman.
    #[codec(index = 5)]
    CancelProxy,
    /// Assets and items.
    #[codec(index = 6)]
    Assets,
}

impl InstanceFilter<RuntimeCall> for ProxyType {
    fn filter(&self, call: &RuntimeCall) -> bool {
        match self {
            ProxyType::Any => true,
            ProxyType::NonTransfer => matches!(
                call,
                RuntimeCall::System(_)
                    | RuntimeCall::Staking(_)
                    | RuntimeCall::Session(_)
                    | RuntimeCall::VoterList(_)
                    | RuntimeCall::NominationPools(_)
                    | RuntimeCall::Treasury(_)
                    | RuntimeCall::Bounties(_)
                    | RuntimeCall::ChildBounties(_)
                    | RuntimeCall::ConvictionVoting(_)
                    | RuntimeCall::Referenda(_)
                    | RuntimeCall::Preimage(_)
                    | RuntimeCall::Whitelist(_)
                    | RuntimeCall::TechnicalCommittee(_)
                    | RuntimeCall::Utility(_)
                    | RuntimeCall::Proxy(_)
                    | RuntimeCall::Multisig(_)
                    | RuntimeCall::Identity(_)
                    | RuntimeCall::Vesting(
                        pallet_vesting::Call::vest {} | pallet_vesting::Call::vest_other { .. }
                    )
            ),
            ProxyType::Governance => matches!(
                call,
                RuntimeCall::Treasury(_)
                    | RuntimeCall::Bounties(_)
                    | RuntimeCall::ChildBounties(_)
                    | RuntimeCall::ConvictionVoting(_)
                    | RuntimeCall::Referenda(_)
                    | RuntimeCall::Preimage(_)
                    | RuntimeCall::Whitelist(_)
                    | RuntimeCall::TechnicalCommittee(_)
                    | RuntimeCall::Utility(_)
            ),
            ProxyType::Staking => matches!(
                call,
                RuntimeCall::Staking(_)
                    | RuntimeCall::Session(_)
                    | RuntimeCall::VoterList(_)
                    | RuntimeCall::NominationPools(_)
                    | RuntimeCall::Utility(_)
            ),
            ProxyType::NominationPools => {
                matches!(call, RuntimeCall::NominationPools(_) | RuntimeCall::Utility(_))
            }
            ProxyType::CancelProxy => matches!(
                call,
                RuntimeCall::Proxy(pallet_proxy::Call::reject_announcement { .. })
                    | RuntimeCall::Utility(_)
                    | RuntimeCall::Multisig(_)
            ),
            ProxyType::Assets => {
                matches!(
                    call,
                    RuntimeCall::Assets(_) | RuntimeCall::Nfts(_) | RuntimeCall::Utility(_)
                )
            }
        }
    }

    fn is_superset(&self, other: &Self) -> bool {
        match (self, other) {
            (x, y) if x == y => true,
            (ProxyType::Any, _) => true,
            (_, ProxyType::Any) => false,
            (ProxyType::NonTransfer, ProxyType::Assets) => false,
            (ProxyType::NonTransfer, _) => true,
            (ProxyType::Staking, ProxyType::NominationPools) => true,
            _ => false,
        }
    }
}

impl pallet_proxy::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeCall = RuntimeCall;
    type Currency = Balances;
    type ProxyType = ProxyType;
    type ProxyDepositBase = Deposit<1, 8>;
    type ProxyDepositFactor = Deposit<0, 33>;
    type MaxProxies = ConstU32<32>;
    type WeightInfo = pallet_proxy::weights::SubstrateWeight<Runtime>;
    type MaxPending = ConstU32<32>;
    type CallHasher = BlakeTwo256;
    type AnnouncementDepositBase = Deposit<1, 8>;
    type AnnouncementDepositFactor = Deposit<0, 66>;
    type BlockNumberProvider = System;
}

parameter_types! {
    pub const MaxAdditionalFields: u32 = 100;
}

impl pallet_identity::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type Currency = Balances;
    type BasicDeposit = Deposit<1, 17>;
    type ByteDeposit = params::DepositPerByte;
    type UsernameDeposit = Deposit<1, 64>;
    type SubAccountDeposit = Deposit<1, 53>;
    type MaxSubAccounts = ConstU32<100>;
    type IdentityInformation = pallet_identity::legacy::IdentityInfo<MaxAdditionalFields>;
    type MaxRegistrars = ConstU32<20>;
    type Slashed = Treasury;
    type ForceOrigin = EnsureRoot<AccountId>;
    type RegistrarOrigin = RootOrCommittee;
    type OffchainSignature = Signature;
    type SigningPublicKey = <Signature as Verify>::Signer;
    type UsernameAuthorityOrigin = EnsureRoot<AccountId>;
    type PendingUsernameExpiration = Days<Runtime, 7>;
    type UsernameGracePeriod = Days<Runtime, 30>;
    type MaxSuffixLength = ConstU32<7>;
    type MaxUsernameLength = ConstU32<32>;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = ();
    type WeightInfo = pallet_identity::weights::SubstrateWeight<Runtime>;
}

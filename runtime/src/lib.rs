//! The state machine of the OpenLedger chain.
//!
//! This file only composes. Where to look:
//!
//! | module | subject |
//! | --- | --- |
//! | [`config`] | one file a theme: what each pallet is told |
//! | [`governance`] | origins, tracks and their numbers |
//! | [`genesis`] | the presets `development`, `local_testnet`, `testnet` and `main` |
//! | [`apis`] | what the node may ask the runtime |
//! | [`extensions`] | what a transaction carries, and how an Ethereum transaction becomes one |
//! | [`params`] | what governance can tune without an upgrade |
//!
//! The numbers and their reasons are in `docs/decisions/0002-parameters.md`.

#![cfg_attr(not(feature = "std"), no_std)]
#![recursion_limit = "512"]

#[cfg(feature = "std")]
include!(concat!(env!("OUT_DIR"), "/wasm_binary.rs"));

extern crate alloc;

pub mod apis;
pub mod config;
pub mod currency;
pub mod extensions;
pub mod genesis;
pub mod governance;
pub mod params;

pub use apis::RuntimeApi;
pub use extensions::{TxExtension, UncheckedExtrinsic};

use alloc::{vec, vec::Vec};
use frame_support::weights::{constants::WEIGHT_REF_TIME_PER_SECOND, Weight};
use sp_runtime::{
    generic, impl_opaque_keys,
    traits::{BlakeTwo256, IdentifyAccount, Verify},
    MultiAddress, MultiSignature,
};
use sp_version::RuntimeVersion;

/// A signature of any of the supported schemes.
pub type Signature = MultiSignature;
/// An account: 32 bytes; an H160 is padded with twelve `0xEE`.
pub type AccountId = <<Signature as Verify>::Signer as IdentifyAccount>::AccountId;
/// How a transaction names an account.
pub type Address = MultiAddress<AccountId, ()>;
/// An amount in planck (10⁻¹⁸ OPEN).
pub type Balance = u128;
/// Height of a block.
pub type BlockNumber = u32;
/// Number of transactions an account has sent.
pub type Nonce = u32;
/// A block or state hash.
pub type Hash = sp_core::H256;
/// A block header.
pub type Header = generic::Header<BlockNumber, BlakeTwo256>;
/// A block.
pub type Block = generic::Block<Header, UncheckedExtrinsic>;

/// Applies blocks.
pub type Executive = frame_executive::Executive<
    Runtime,
    Block,
    frame_system::ChainContext<Runtime>,
    Runtime,
    AllPalletsWithSystem,
    Migrations,
>;

/// Migrations that run in one block at the next upgrade; those of many blocks are in [`config::system`].
pub type Migrations = ();

impl_opaque_keys! {
    /// The keys a validator signs blocks and votes with.
    pub struct SessionKeys {
        pub babe: Babe,
        pub grandpa: Grandpa,
        pub authority_discovery: AuthorityDiscovery,
    }
}

/// Milliseconds between slots.
pub const SLOT_MILLIS: u64 = 2_000;
/// Blocks in an hour of full slots.
pub const HOUR: BlockNumber = 3_600_000 / SLOT_MILLIS as BlockNumber;
/// Blocks in a day of full slots.
pub const DAY: BlockNumber = 24 * HOUR;
/// Computation in a block: 0.6 s of a 2 s slot, so that a slow validator still imports in time. Proofs are not limited:
/// every validator holds the state.
pub const MAXIMUM_BLOCK_WEIGHT: Weight = Weight::from_parts(WEIGHT_REF_TIME_PER_SECOND * 6 / 10, u64::MAX);

macro_rules! version {
    ($spec:tt) => {
        /// Version of this runtime.
        #[sp_version::runtime_version]
        pub const VERSION: RuntimeVersion = RuntimeVersion {
            spec_name: alloc::borrow::Cow::Borrowed("openledger"),
            impl_name: alloc::borrow::Cow::Borrowed("openledger-node"),
            authoring_version: 1,
            spec_version: $spec,
            impl_version: 1,
            apis: apis::RUNTIME_API_VERSIONS,
            transaction_version: 1,
            system_version: 1,
        };
    };
}

// Raised with every runtime that changes behaviour. `OPENLEDGER_NEXT=1` at build time gives the same code the next number,
// so that an upgrade can be rehearsed.
#[cfg(not(openledger_next))]
version!(1);
#[cfg(openledger_next)]
version!(2);

// Indices are part of every signed transaction: append, never renumber (tests/frozen.rs).
#[frame_support::runtime]
mod runtime {
    #[runtime::runtime]
    #[runtime::derive(
        RuntimeCall,
        RuntimeEvent,
        RuntimeError,
        RuntimeOrigin,
        RuntimeFreezeReason,
        RuntimeHoldReason,
        RuntimeSlashReason,
        RuntimeLockId,
        RuntimeTask,
        RuntimeViewFunction
    )]
    pub struct Runtime;

    // --- the base
    #[runtime::pallet_index(0)]
    pub type System = frame_system::Pallet<Runtime>;
    #[runtime::pallet_index(1)]
    pub type Periods = pallet_openledger_periods::Pallet<Runtime>;
    #[runtime::pallet_index(2)]
    pub type Timestamp = pallet_timestamp::Pallet<Runtime>;
    #[runtime::pallet_index(3)]
    pub type Parameters = pallet_parameters::Pallet<Runtime>;
    #[runtime::pallet_index(4)]
    pub type Migrator = pallet_migrations::Pallet<Runtime>;
    #[runtime::pallet_index(5)]
    pub type SafeMode = pallet_safe_mode::Pallet<Runtime>;
    #[runtime::pallet_index(6)]
    pub type TxPause = pallet_tx_pause::Pallet<Runtime>;

    // --- money
    #[runtime::pallet_index(10)]
    pub type Balances = pallet_balances::Pallet<Runtime>;
    #[runtime::pallet_index(11)]
    pub type TransactionPayment = pallet_transaction_payment::Pallet<Runtime>;
    #[runtime::pallet_index(12)]
    pub type Vesting = pallet_vesting::Pallet<Runtime>;
    #[runtime::pallet_index(13)]
    pub type Rewards = pallet_openledger_rewards::Pallet<Runtime>;

    // --- consensus; Authorship must come before Session, which ends eras
    #[runtime::pallet_index(20)]
    pub type Babe = pallet_babe::Pallet<Runtime>;
    #[runtime::pallet_index(21)]
    pub type Authorship = pallet_authorship::Pallet<Runtime>;
    #[runtime::pallet_index(22)]
    pub type Staking = pallet_staking::Pallet<Runtime>;
    #[runtime::pallet_index(23)]
    pub type Offences = pallet_offences::Pallet<Runtime>;
    #[runtime::pallet_index(24)]
    pub type Historical = pallet_session::historical::Pallet<Runtime>;
    #[runtime::pallet_index(25)]
    pub type Session = pallet_session::Pallet<Runtime>;
    #[runtime::pallet_index(26)]
    pub type Grandpa = pallet_grandpa::Pallet<Runtime>;
    #[runtime::pallet_index(27)]
    pub type AuthorityDiscovery = pallet_authority_discovery::Pallet<Runtime>;
    #[runtime::pallet_index(28)]
    pub type VoterList = pallet_bags_list::Pallet<Runtime, Instance1>;
    #[runtime::pallet_index(29)]
    pub type NominationPools = pallet_nomination_pools::Pallet<Runtime>;
    #[runtime::pallet_index(30)]
    pub type DelegatedStaking = pallet_delegated_staking::Pallet<Runtime>;

    // --- governance
    #[runtime::pallet_index(40)]
    pub type Treasury = pallet_treasury::Pallet<Runtime>;
    #[runtime::pallet_index(41)]
    pub type ConvictionVoting = pallet_conviction_voting::Pallet<Runtime>;
    #[runtime::pallet_index(42)]
    pub type Referenda = pallet_referenda::Pallet<Runtime>;
    #[runtime::pallet_index(43)]
    pub type Origins = crate::governance::origins::Pallet<Runtime>;
    #[runtime::pallet_index(44)]
    pub type Whitelist = pallet_whitelist::Pallet<Runtime>;
    #[runtime::pallet_index(45)]
    pub type TechnicalCommittee = pallet_collective::Pallet<Runtime, Instance1>;
    #[runtime::pallet_index(46)]
    pub type Preimage = pallet_preimage::Pallet<Runtime>;
    #[runtime::pallet_index(47)]
    pub type Scheduler = pallet_scheduler::Pallet<Runtime>;
    #[runtime::pallet_index(48)]
    pub type Bounties = pallet_bounties::Pallet<Runtime>;
    #[runtime::pallet_index(49)]
    pub type ChildBounties = pallet_child_bounties::Pallet<Runtime>;

    // --- accounts
    #[runtime::pallet_index(60)]
    pub type Utility = pallet_utility::Pallet<Runtime>;
    #[runtime::pallet_index(61)]
    pub type Proxy = pallet_proxy::Pallet<Runtime>;
    #[runtime::pallet_index(62)]
    pub type Multisig = pallet_multisig::Pallet<Runtime>;
    #[runtime::pallet_index(63)]
    pub type Identity = pallet_identity::Pallet<Runtime>;

    // --- assets
    #[runtime::pallet_index(70)]
    pub type Assets = pallet_assets::Pallet<Runtime>;
    #[runtime::pallet_index(71)]
    pub type Nfts = pallet_nfts::Pallet<Runtime>;

    // --- the EVM
    #[runtime::pallet_index(80)]
    pub type Revive = pallet_revive::Pallet<Runtime>;

    // --- payable AI; Draws reads what Babe and Session have drawn in the same block, and comes before who waits for it
    #[runtime::pallet_index(90)]
    pub type Draws = pallet_openledger_draws::Pallet<Runtime>;
    #[runtime::pallet_index(91)]
    pub type Datanets = pallet_openledger_datanets::Pallet<Runtime>;
    #[runtime::pallet_index(92)]
    pub type Models = pallet_openledger_models::Pallet<Runtime>;
    #[runtime::pallet_index(93)]
    pub type Compute = pallet_openledger_compute::Pallet<Runtime>;
    #[runtime::pallet_index(94)]
    pub type Channels = pallet_openledger_channels::Pallet<Runtime>;
    #[runtime::pallet_index(95)]
    pub type Attribution = pallet_openledger_attribution::Pallet<Runtime>;
    #[runtime::pallet_index(96)]
    pub type OpenStaking = pallet_openledger_open_staking::Pallet<Runtime>;
    #[runtime::pallet_index(97)]
    pub type Committees = pallet_openledger_committees::Pallet<Runtime>;
    #[runtime::pallet_index(98)]
    pub type Inference = pallet_openledger_inference::Pallet<Runtime>;
}

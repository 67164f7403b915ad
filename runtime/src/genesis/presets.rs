//! One function a network.

use super::allocation;
use crate::{config, currency::*, *};
use alloc::{vec, vec::Vec};
use frame_support::build_struct_json_patch;
use pallet_openledger_periods::PeriodSet;
use pallet_staking::{Forcing, StakerStatus};
use serde_json::Value;
use sp_core::hex2array;
use sp_keyring::{Ed25519Keyring, Sr25519Keyring};
use sp_runtime::Perbill;

/// Chain ids of the networks (EIP-155).
const MAIN_ID: u64 = 1612;
const TESTNET_ID: u64 = 161_201;

/// What a development or local validator bonds.
const DEV_BOND: Balance = 1_000_000 * OPEN;

/// A validator at genesis: its stash, and the seed of its session keys.
struct Validator {
    stash: AccountId,
    keys: SessionKeys,
}

fn dev_validator(sr: Sr25519Keyring, ed: Ed25519Keyring) -> Validator {
    Validator {
        stash: sr.to_account_id(),
        keys: SessionKeys {
            babe: sr.public().into(),
            grandpa: ed.public().into(),
            authority_discovery: sr.public().into(),
        },
    }
}

/// Parts of a genesis that differ between networks.
struct Network {
    periods: PeriodSet,
    balances: Vec<(AccountId, Balance)>,
    vesting: Vec<(AccountId, BlockNumber, BlockNumber, Balance)>,
    validators: Vec<Validator>,
    committee: Vec<AccountId>,
    pot: Balance,
    /// Seats in the validator set.
    seats: u32,
    min_validator_bond: Balance,
    min_nominator_bond: Balance,
    /// Whether everybody knows what will be drawn.
    known_draws: bool,
}

fn build(network: Network) -> Value {
    let Network {
        periods,
        mut balances,
        vesting,
        validators,
        committee,
        pot,
        seats,
        min_validator_bond,
        min_nominator_bond,
        known_draws,
    } = network;
    balances.push((Rewards::pot_account(), pot));
    // What the accounts of fees and stakes live on, so that they take the smallest amount and pay out the last; out of the
    // treasury, so that the supply is whole.
    let pots = [Rewards::fees_account(), OpenStaking::pot_account()];
    let treasury = config::governance::TreasuryAccount::get();
    for (account, amount) in &mut balances {
        if *account == treasury {
            *amount = amount.saturating_sub(EXISTENTIAL_DEPOSIT * pots.len() as Balance);
        }
    }
    balances.extend(pots.map(|pot| (pot, EXISTENTIAL_DEPOSIT)));
    build_struct_json_patch!(RuntimeGenesisConfig {
        periods: PeriodsConfig { periods },
        balances: BalancesConfig { balances },
        vesting: VestingConfig { vesting },
        rewards: RewardsConfig { pot },
        babe: BabeConfig {
            epoch_config: config::consensus::BABE_EPOCH
        },
        session: SessionConfig {
            keys: validators
                .iter()
                .map(|v| (v.stash.clone(), v.stash.clone(), v.keys.clone()))
                .collect::<Vec<_>>(),
        },
        staking: StakingConfig {
            validator_count: seats,
            minimum_validator_count: 1,
            stakers: validators
                .iter()
                .map(|v| (
                    v.stash.clone(),
                    v.stash.clone(),
                    DEV_BOND,
                    StakerStatus::<AccountId>::Validator
                ))
                .collect::<Vec<_>>(),
            force_era: Forcing::NotForcing,
            slash_reward_fraction: Perbill::from_percent(10),
            min_validator_bond,
            min_nominator_bond,
        },
        nomination_pools: NominationPoolsConfig {
            min_join_bond: 10 * OPEN,
            min_create_bond: 100 * OPEN,
            max_pools: Some(512),
            max_members_per_pool: None,
            max_members: None,
        },
        technical_committee: TechnicalCommitteeConfig { members: committee },
        draws: DrawsConfig { known: known_draws },
    })
}

/// Holders of the development networks: the SDK's well-known keys and the Ethereum development accounts.
fn dev_balances() -> Vec<(AccountId, Balance)> {
    use Sr25519Keyring::*;
    let million = 1_000_000 * OPEN;
    let mut balances: Vec<(AccountId, Balance)> = [
        (Alice, 280),
        (Bob, 100),
        (Charlie, 100),
        (Dave, 100),
        (Eve, 10),
        (Ferdie, 10),
    ]
    .map(|(who, amount)| (who.to_account_id(), amount * million))
    .into();
    // Alith, Baltathar, Charleth, Dorothy, Ethan: an H160 holds OPEN under itself, padded with 0xEE.
    let ethereum: [[u8; 20]; 5] = [
        hex2array!("f24ff3a9cf04c71dbc94d0b566f7a27b94566cac"),
        hex2array!("3cd0a705a2dc65e5b1e1205896baa2be8a07c6e0"),
        hex2array!("798d4ba9baf0064ec19eb4f0a1a45785ae9d6dfc"),
        hex2array!("773539d4ac0e786233d90a233654ccee26a613d9"),
        hex2array!("ff64d3f6efe2317ee2807d223a0bdc4c0c49dfdb"),
    ];
    balances.extend(ethereum.map(|address| {
        let mut account = [0xEE; 32];
        account[..20].copy_from_slice(&address);
        (account.into(), 10 * million)
    }));
    balances.push((config::governance::TreasuryAccount::get(), 100 * million));
    balances
}

fn dev_committee() -> Vec<AccountId> {
    use Sr25519Keyring::*;
    let mut members: Vec<AccountId> = [Alice, Bob, Charlie].map(|k| k.to_account_id()).into();
    members.sort();
    members
}

/// Short periods: an era in two minutes, a governance hour in a block.
const DEV_PERIODS: PeriodSet = PeriodSet {
    chain_id: super::DEVELOPMENT_CHAIN_ID,
    epoch_blocks: 20,
    sessions_per_era: 3,
    bonding_eras: 4,
    slash_defer_eras: 1,
    hour_blocks: 1,
};

fn dev_network(periods: PeriodSet, validators: Vec<Validator>) -> Network {
    Network {
        periods,
        balances: dev_balances(),
        vesting: vec![],
        seats: 4,
        validators,
        committee: dev_committee(),
        pot: allocation::EMISSION_POT,
        min_validator_bond: 1_000 * OPEN,
        min_nominator_bond: 10 * OPEN,
        known_draws: false,
    }
}

/// One validator, Alice: the chain of `--dev`.
pub(super) fn development() -> Value {
    build(Network {
        // So that a demonstration and a test draw the same in every run.
        known_draws: true,
        ..dev_network(
            DEV_PERIODS,
            vec![dev_validator(Sr25519Keyring::Alice, Ed25519Keyring::Alice)],
        )
    })
}

/// Four validators, Alice to Dave, on one machine.
pub(super) fn local() -> Value {
    // Slashes apply at the end of the era they are found in, so that a test sees them.
    let periods = PeriodSet {
        epoch_blocks: 30,
        slash_defer_eras: 0,
        ..DEV_PERIODS
    };
    let validators = vec![
        dev_validator(Sr25519Keyring::Alice, Ed25519Keyring::Alice),
        dev_validator(Sr25519Keyring::Bob, Ed25519Keyring::Bob),
        dev_validator(Sr25519Keyring::Charlie, Ed25519Keyring::Charlie),
        dev_validator(Sr25519Keyring::Dave, Ed25519Keyring::Dave),
    ];
    build(dev_network(periods, validators))
}

/// The allocation of the main network under other periods, for a rehearsal in public.
pub(super) fn testnet() -> Value {
    build(launch(
        PeriodSet {
            chain_id: TESTNET_ID,
            epoch_blocks: 200,
            sessions_per_era: 9,
            bonding_eras: 28,
            slash_defer_eras: 27,
            hour_blocks: 150,
        },
        16,
    ))
}

/// The main network. Validators and holders come from the launch file (chain-specs/README.md).
pub(super) fn main() -> Value {
    build(launch(
        PeriodSet {
            chain_id: MAIN_ID,
            ..PeriodSet::MAIN
        },
        100,
    ))
}

fn launch(periods: PeriodSet, seats: u32) -> Network {
    let holdings = allocation::holdings();
    let mut balances: Vec<_> = holdings.iter().map(|h| (h.account.clone(), h.amount)).collect();
    balances.push((
        config::governance::TreasuryAccount::get(),
        allocation::COMMUNITY_TREASURY,
    ));
    let vesting = holdings
        .iter()
        .filter_map(|h| {
            h.vesting
                .map(|(begin, length)| (h.account.clone(), begin, length, 0))
        })
        .collect();
    Network {
        periods,
        balances,
        vesting,
        validators: vec![],
        committee: vec![],
        pot: allocation::EMISSION_POT,
        seats,
        min_validator_bond: 10_000 * OPEN,
        min_nominator_bond: 100 * OPEN,
        known_draws: false,
    }
}

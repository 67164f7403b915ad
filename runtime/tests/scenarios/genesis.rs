//! Every preset becomes a chain whose accounts hold the whole supply.

use crate::chain::*;
use frame_support::traits::{fungible::Inspect, Get, VestingSchedule};
use openledger_runtime::{currency::*, genesis::allocation, *};
use serde_json::json;
use sp_keyring::{Ed25519Keyring, Sr25519Keyring};

/// What a launch file adds to the presets of public networks: validators, the committee.
fn launch() -> serde_json::Value {
    let stash = Sr25519Keyring::Eve.to_account_id();
    let keys = SessionKeys {
        babe: Sr25519Keyring::Eve.public().into(),
        grandpa: Ed25519Keyring::Eve.public().into(),
        authority_discovery: Sr25519Keyring::Eve.public().into(),
    };
    let community = allocation::placeholder("community");
    let mut preset = genesis("main", json!({}));
    let balances = preset["balances"]["balances"].as_array_mut().unwrap();
    for entry in balances.iter_mut() {
        if entry[0] == json!(community) {
            entry[1] = json!(allocation::COMMUNITY_VESTED - 20_000 * OPEN);
        }
    }
    balances.push(json!([stash, 20_000 * OPEN]));
    json!({
        "balances": { "balances": balances },
        "session": { "keys": [[stash, stash, keys]] },
        "staking": { "stakers": [[stash, stash, 10_000 * OPEN, "Validator"]] },
        "technicalCommittee": { "members": [stash] },
    })
}

#[test]
fn development_and_local_should_start_with_the_whole_supply() {
    for (preset, validators) in [("development", 1), ("local_testnet", 4)] {
        chain(preset, json!({})).execute_with(|| {
            assert_supply();
            assert_eq!(Session::validators().len(), validators, "{preset}");
            assert_eq!(
                Balances::total_balance(&Rewards::pot_account()),
                250_000_000 * OPEN
            );
            assert_eq!(<Runtime as pallet_revive::Config>::ChainId::get(), 161_299);
        });
    }
}

#[test]
fn main_should_start_with_the_allocation_and_its_vesting() {
    chain("main", launch()).execute_with(|| {
        assert_supply();
        assert_eq!(<Runtime as pallet_revive::Config>::ChainId::get(), 1612);
        let team = allocation::placeholder("team");
        assert_eq!(Balances::total_balance(&team), 150_000_000 * OPEN);
        // Nothing of it can move before the cliff is over.
        assert_eq!(Vesting::vesting_balance(&team), Some(150_000_000 * OPEN));
        System::set_block_number(12 * allocation::MONTH);
        assert_eq!(Vesting::vesting_balance(&team), Some(150_000_000 * OPEN));
        // Half way through the release, half of it; the per-block step rounds by less than a planck a block.
        System::set_block_number(30 * allocation::MONTH);
        let locked = Vesting::vesting_balance(&team).unwrap();
        let half = 75_000_000 * OPEN;
        assert!(
            locked.abs_diff(half) <= u128::from(36 * allocation::MONTH),
            "{locked}"
        );
        System::set_block_number(48 * allocation::MONTH + 1);
        assert_eq!(Vesting::vesting_balance(&team).unwrap_or(0), 0);
        // Liquidity is free.
        assert_eq!(
            Vesting::vesting_balance(&allocation::placeholder("liquidity")),
            None
        );
    });
}

#[test]
fn testnet_should_be_main_under_another_identity() {
    chain("testnet", launch()).execute_with(|| {
        assert_supply();
        assert_eq!(<Runtime as pallet_revive::Config>::ChainId::get(), 161_201);
    });
}

#[test]
fn periods_should_come_from_genesis() {
    let epoch = |preset: &str, extra: serde_json::Value| -> u64 {
        chain(preset, extra).execute_with(<Runtime as pallet_babe::Config>::EpochDuration::get)
    };
    assert_eq!(epoch("development", json!({})), 20);
    assert_eq!(epoch("local_testnet", json!({})), 30);
    assert_eq!(epoch("main", launch()), 200);
}

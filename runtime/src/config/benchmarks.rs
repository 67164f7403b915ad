//! Which pallets are measured, and what their benchmarks need of each other. Only with the feature `runtime-benchmarks`.

use crate::*;
use alloc::{string::String, vec::Vec};
use codec::Encode;
use frame_benchmarking::{account, BenchmarkBatch, BenchmarkConfig, BenchmarkList};
use frame_support::{
    traits::{fungible::Mutate, Get, StorageInfo, StorageInfoTrait, WhitelistedStorageKeys},
    BoundedVec,
};
use frame_system_benchmarking::Pallet as SystemBench;
use openledger_attribution::{
    fee::Tariff,
    hash::{keccak, Account, Hash, NONE},
    index::{IndexHeader, IndexRules},
    tree::Root,
};
use openledger_protocol::{
    compute::{capability, Backend},
    datanets::Version,
    models::{Base, Generation, Line, MaxNearer, MaxSources, Model, Recipe, Source, Stage},
    staking::Pool,
    Cid, Endpoint, Name,
};
use openledger_traits::{Asset, Ownership};
use sp_core::{crypto::KeyTypeId, sr25519};

frame_benchmarking::define_benchmarks!(
    [frame_system, SystemBench::<Runtime>]
    [pallet_balances, Balances]
    [pallet_openledger_attribution, Attribution]
    [pallet_openledger_channels, Channels]
    [pallet_openledger_committees, Committees]
    [pallet_openledger_compute, Compute]
    [pallet_openledger_datanets, Datanets]
    [pallet_openledger_draws, Draws]
    [pallet_openledger_inference, Inference]
    [pallet_openledger_models, Models]
    [pallet_openledger_open_staking, OpenStaking]
    [pallet_openledger_rewards, Rewards]
);

/// What can be measured, and the storage it may touch.
pub fn metadata(extra: bool) -> (Vec<BenchmarkList>, Vec<StorageInfo>) {
    let mut list = Vec::new();
    list_benchmarks!(list, extra);
    (list, AllPalletsWithSystem::storage_info())
}

/// Measures what is asked for.
pub fn dispatch(config: BenchmarkConfig) -> Result<Vec<BenchmarkBatch>, String> {
    let whitelist = AllPalletsWithSystem::whitelisted_storage_keys();
    let mut batches = Vec::new();
    let params = (&config, &whitelist);
    add_benchmarks!(params, batches);
    Ok(batches)
}

impl frame_system_benchmarking::Config for Runtime {}

/// Keys of consumers in the benchmarks' keystore.
const CONSUMER: KeyTypeId = KeyTypeId(*b"benc");

/// The chain around a benchmark.
pub struct World;

fn named(text: &str) -> Name {
    Name::truncate_from(text.into())
}

fn funded(name: &'static str, index: u32, amount: Balance) -> AccountId {
    let who: AccountId = account(name, index, 0);
    Balances::set_balance(&who, amount.saturating_add(1_000_000 * currency::OPEN));
    who
}

fn registered(index: u32, bond: Balance) -> AccountId {
    let who = funded("worker", index, bond);
    let key = keccak(&[&who.encode()]);
    let result = Compute::register(
        RuntimeOrigin::signed(who.clone()),
        bond.max(<Runtime as pallet_openledger_compute::Config>::MinBond::get()),
        key,
        key,
        Backend::Cpu,
        named("bench"),
        Endpoint::truncate_from(b"http://127.0.0.1:1".to_vec()),
        capability::ALL,
    );
    assert!(result.is_ok(), "a benchmark's worker is refused");
    who
}

/// Somebody stakes in a pool, so that it has income to take and stake to lose.
fn staked(pool: Pool<AccountId>) {
    let who = funded("staker", 0, 0);
    let result = OpenStaking::stake(RuntimeOrigin::signed(who), pool, 10 * currency::OPEN, 0);
    assert!(result.is_ok(), "a benchmark's stake is refused");
}

/// As many versions as a generation can be trained on, each of a Datanet of its own from `first` on.
fn most_sources(first: u64) -> Vec<Source> {
    (first..first.saturating_add(u64::from(<MaxSources as Get<u32>>::get())))
        .map(|datanet| {
            let holder = funded("holder", datanet as u32, 0);
            assert!(
                <config::ownership::Items as Ownership<AccountId>>::mint(Asset::Datanet(datanet), &holder)
                    .is_ok(),
                "a benchmark's Datanet has an owner"
            );
            Source {
                datanet,
                version: 0,
                weight: 1,
            }
        })
        .collect()
}

impl pallet_openledger_models::BenchmarkHelper<AccountId> for World {
    fn publish(datanet: u64, records: Root) {
        pallet_openledger_datanets::Versions::<Runtime>::insert(
            datanet,
            0,
            Version {
                parent: None,
                records,
                cid: Cid::truncate_from([1; 64].to_vec()),
                published: 0,
            },
        );
    }

    fn worker() -> AccountId {
        registered(0, 10_000 * currency::OPEN)
    }

    fn draw(epoch: u64) {
        // A draw is read two epochs after what it decides.
        pallet_openledger_draws::Drawn::<Runtime>::insert(epoch + 2, [7; 32]);
    }
}

impl pallet_openledger_committees::BenchmarkHelper<AccountId> for World {
    fn attester(n: u32) -> AccountId {
        let who = registered(n, 10_000 * currency::OPEN);
        staked(Pool::Worker(who.clone()));
        who
    }

    fn draw(epoch: u64) {
        <Self as pallet_openledger_models::BenchmarkHelper<AccountId>>::draw(epoch);
    }
}

impl pallet_openledger_open_staking::BenchmarkHelper<AccountId> for World {
    // A worker is the largest key and the largest value of those that are looked up.
    fn pool() -> Pool<AccountId> {
        Pool::Worker(registered(0, 10_000 * currency::OPEN))
    }
}

impl pallet_openledger_inference::BenchmarkHelper<AccountId> for World {
    fn serve() -> (u64, u32) {
        let split = crate::params::DEFAULT_SPLIT;
        let mix = openledger_attribution::fee::Mix {
            influence: 1_000_000_000,
            verbatim: 0,
            retrieval: 0,
        };
        let tariff = Tariff {
            price_in: currency::MILLI,
            price_out: currency::MILLI,
            split,
            mix,
        };
        <Self as pallet_openledger_attribution::BenchmarkHelper<AccountId>>::serve(NONE, tariff);
        (0, 1)
    }

    fn worker() -> AccountId {
        registered(0, 10_000 * currency::OPEN)
    }
}

impl pallet_openledger_attribution::BenchmarkHelper<AccountId> for World {
    fn order(header: &IndexHeader) {
        pallet_openledger_models::Bases::<Runtime>::insert(
            0,
            Base {
                registrant: funded("owner", 0, 0),
                name: named("bench"),
                licence: named("CC0-1.0"),
                weights: header.base,
                tokenizer: header.tokenizer,
                deposit: 0,
            },
        );
        pallet_openledger_models::Drawn::<Runtime>::insert(0, 1, NONE);
        pallet_openledger_models::Generations::<Runtime>::mutate(0, 1, |entry| {
            if let Some(entry) = entry {
                entry.trainer = Some(header.builder.into());
                for source in &entry.sources {
                    pallet_openledger_datanets::Versions::<Runtime>::insert(
                        source.datanet,
                        source.version,
                        Version {
                            parent: None,
                            records: Root {
                                count: 1,
                                sum: 1,
                                top: [1; 32],
                            },
                            cid: Cid::truncate_from([1; 64].to_vec()),
                            published: 0,
                        },
                    );
                }
            }
        });
    }

    fn draw(epoch: u64) {
        <Self as pallet_openledger_models::BenchmarkHelper<AccountId>>::draw(epoch);
    }

    fn serve(index: Hash, tariff: Tariff) {
        let owner = funded("owner", 0, 0);
        let sources = most_sources(0);
        assert!(
            <config::ownership::Items as Ownership<AccountId>>::mint(Asset::Model(0), &owner).is_ok(),
            "a benchmark's model has an owner"
        );
        pallet_openledger_models::Models::<Runtime>::insert(
            0,
            Model {
                name: named("bench"),
                base: 0,
                creator: owner.clone(),
                deposit: 0,
                generations: 1,
                tariff,
                previous: None,
                serving: true,
            },
        );
        let entry = Generation {
            requester: owner,
            sources: BoundedVec::truncate_from(sources),
            recipe: Recipe {
                rank: 8,
                alpha: 16,
                targets: 1,
                learning_rate: 1,
                epochs: 1,
                batch: 1,
                context: 16,
                held_out: 0,
            },
            rules: IndexRules {
                projection: 8,
                top: 256,
                rho: 1,
                z: 200,
                floor: -20,
            },
            price: 0,
            job: 0,
            deadline: u32::MAX,
            trainer: None,
            seed: NONE,
            adapter: NONE,
            adapter_cid: Cid::default(),
            loss_before: 0,
            loss_after: 0,
            stage: Stage::Ready { index },
        };
        let root = Generation {
            sources: BoundedVec::truncate_from(most_sources(100)),
            ..entry.clone()
        };
        pallet_openledger_models::Generations::<Runtime>::insert(0, 1, entry);
        // The longest line there is, every model of it somebody else's.
        let last = u64::from(<MaxNearer as Get<u32>>::get()).saturating_add(1);
        for model in 1..=last {
            let who = funded("ancestor", model as u32, 0);
            assert!(
                <config::ownership::Items as Ownership<AccountId>>::mint(Asset::Model(model), &who).is_ok(),
                "a benchmark's ancestor has an owner"
            );
        }
        pallet_openledger_models::Generations::<Runtime>::insert(last, 1, root);
        pallet_openledger_models::Lines::<Runtime>::insert(
            0,
            1,
            Line {
                parent: (1, 1),
                nearer: BoundedVec::truncate_from((1..last).map(|model| (model, 1)).collect()),
                root: (last, 1),
                adds: true,
            },
        );
        staked(Pool::Model(0));
    }

    fn worker(bond: u128) -> AccountId {
        let who = registered(0, bond);
        staked(Pool::Worker(who.clone()));
        who
    }

    fn open(worker: &AccountId, deposit: u128) -> (u64, Account) {
        let key = sp_io::crypto::sr25519_generate(CONSUMER, None);
        let consumer = AccountId::from(key.0);
        Balances::set_balance(&consumer, deposit.saturating_add(1_000 * currency::OPEN));
        let channel = pallet_openledger_channels::NextChannel::<Runtime>::get();
        let opened = Channels::open(RuntimeOrigin::signed(consumer), worker.clone(), deposit);
        assert!(opened.is_ok(), "a benchmark's channel is refused");
        (channel, key.0)
    }

    fn sign(consumer: &Account, message: &[u8]) -> [u8; 64] {
        let key = sr25519::Public::from_raw(*consumer);
        sp_io::crypto::sr25519_sign(CONSUMER, &key, message).map_or([0; 64], |signature| signature.0)
    }
}

//! Stake behind models and workers in the whole runtime: what it earns from answers, what it loses with a worker's bond, and what
//! people try.

use crate::chain::*;
use frame_support::{
    assert_ok,
    traits::fungible::{Inspect as _, Mutate},
};
use openledger_attribution::{
    fee::{Fee, Mix, Parts, Tariff},
    hash::NONE,
    index::IndexRules,
};
use openledger_protocol::{
    compute::{capability, Backend, Task},
    models::{Generation, Model, Recipe, Source, Stage},
    staking::Pool,
    Endpoint, Name,
};
use openledger_runtime::{
    currency::{EXISTENTIAL_DEPOSIT, OPEN},
    params::DEFAULT_SPLIT,
    *,
};
use openledger_traits::{Asset, Bonds, Earned, Jobs, Ownership, PayOut, Settle, Stakes};
use serde_json::json;
use sp_keyring::Sr25519Keyring::{self, Alice, Bob, Charlie, Dave, Eve, Ferdie};

/// Blocks of a day of the development preset.
const DAY: u32 = 24;

fn name(text: &str) -> Name {
    text.as_bytes().to_vec().try_into().unwrap()
}

fn origin(who: Sr25519Keyring) -> RuntimeOrigin {
    RuntimeOrigin::signed(who.to_account_id())
}

/// Registers Dave as a worker with a bond of so many OPEN.
fn register(bond: u128) -> AccountId {
    let dave = Dave.to_account_id();
    assert_ok!(Compute::register(
        origin(Dave),
        bond * OPEN,
        [1; 32],
        [2; 32],
        Backend::Cpu,
        name("portable-8"),
        Endpoint::truncate_from(b"http://127.0.0.1:1".to_vec()),
        capability::ALL,
    ));
    dave
}

/// Puts model 0 on the chain, Bob's, with one generation that is ready, trained on Charlie's Datanet.
fn model() {
    type Items = config::ownership::Items;
    let (bob, charlie) = (Bob.to_account_id(), Charlie.to_account_id());
    assert_ok!(<Items as Ownership<AccountId>>::mint(Asset::Model(0), &bob));
    assert_ok!(<Items as Ownership<AccountId>>::mint(Asset::Datanet(0), &charlie));
    let tariff = Tariff {
        price_in: 1,
        price_out: 1,
        split: DEFAULT_SPLIT,
        mix: Mix {
            influence: 1_000_000_000,
            verbatim: 0,
            retrieval: 0,
        },
    };
    pallet_openledger_models::Models::<Runtime>::insert(
        0,
        Model {
            name: name("m"),
            base: 0,
            creator: bob.clone(),
            deposit: 0,
            generations: 1,
            tariff,
            previous: None,
            serving: true,
        },
    );
    pallet_openledger_models::Generations::<Runtime>::insert(
        0,
        1,
        Generation {
            requester: bob,
            sources: vec![Source {
                datanet: 0,
                version: 0,
                weight: 1,
            }]
            .try_into()
            .unwrap(),
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
                top: 1,
                rho: 1,
                z: 200,
                floor: -20,
            },
            price: 0,
            job: 0,
            deadline: 0,
            trainer: None,
            seed: NONE,
            adapter: [1; 32],
            adapter_cid: Default::default(),
            loss_before: 0,
            loss_after: 0,
            stage: Stage::Ready { index: NONE },
        },
    );
}

/// Answers of Dave's for `compute` OPEN, paid by Alice, whose contributors were all too small to be credited.
fn pay(compute: u128) -> Parts {
    let fee = Fee {
        compute: compute * OPEN,
        platform: compute * OPEN / 20,
    };
    let parts = Parts::of(fee, &DEFAULT_SPLIT, true).unwrap();
    let total = fee.total().unwrap();
    let alice = Alice.to_account_id();
    let pot = <Rewards as PayOut<AccountId>>::pot();
    assert_ok!(Balances::transfer(
        &alice,
        &pot,
        total,
        frame_support::traits::tokens::Preservation::Preserve
    ));
    assert_ok!(<Rewards as PayOut<AccountId>>::escrowed(total));
    assert_ok!(Attribution::pay(&Earned {
        model: 0,
        generation: 1,
        worker: &Dave.to_account_id(),
        parts: &parts,
        kept: 0,
    }));
    assert_supply();
    parts
}

fn credited(who: Sr25519Keyring) -> u128 {
    pallet_openledger_rewards::Credits::<Runtime>::get(who.to_account_id())
}

fn stake(who: Sr25519Keyring, pool: &Pool<AccountId>, open: u128) {
    assert_ok!(OpenStaking::stake(origin(who), pool.clone(), open * OPEN, 0));
}

fn worth(who: Sr25519Keyring, pool: &Pool<AccountId>) -> u128 {
    OpenStaking::stake_of(pool.clone(), who.to_account_id()).staked
}

fn leave(who: Sr25519Keyring, pool: &Pool<AccountId>) {
    let shares = OpenStaking::stake_of(pool.clone(), who.to_account_id()).shares;
    assert_ok!(OpenStaking::unstake(origin(who), pool.clone(), shares));
}

#[test]
fn stakers_should_be_paid_half_by_model_and_half_by_worker_to_the_planck() {
    chain("development", json!({})).execute_with(|| {
        run_to(1);
        let worker = Pool::Worker(register(1_000));
        model();
        // Nobody stakes and there are no ancestors: all of it is for the Datanets, after owner and worker.
        let parts = pay(100);
        assert_eq!(credited(Bob), parts.owner);
        assert_eq!(credited(Dave), parts.compute);
        assert_eq!(
            credited(Charlie),
            parts.contributors + parts.stakers + parts.lineage
        );
        let pot = Balances::total_balance(&<OpenStaking as Stakes<AccountId>>::pot());
        assert_eq!(pot, EXISTENTIAL_DEPOSIT);

        stake(Eve, &Pool::Model(0), 100);
        stake(Ferdie, &worker, 100);
        let before = credited(Charlie);
        let parts = pay(100);
        assert_eq!(parts.stakers, 10 * OPEN);
        assert_eq!(credited(Charlie) - before, parts.contributors + parts.lineage);
        // It arrives over a week.
        assert_eq!(
            (worth(Eve, &Pool::Model(0)), worth(Ferdie, &worker)),
            (100 * OPEN, 100 * OPEN)
        );
        run_to(1 + 7 * DAY);
        for (who, pool) in [(Eve, &Pool::Model(0)), (Ferdie, &worker)] {
            let earned = worth(who, pool) - 100 * OPEN;
            // The virtual shares have a hundredth of what 100 OPEN have.
            assert!(earned > 49 * OPEN / 10 && earned <= 5 * OPEN, "{earned}");
        }
    });
}

#[test]
fn who_stakes_for_one_payment_should_earn_the_part_that_its_time_is() {
    chain("development", json!({})).execute_with(|| {
        run_to(1);
        register(1_000);
        model();
        let pool = Pool::Model(0);
        stake(Eve, &pool, 100);
        // Ferdie sees the payment coming, with ten times as much, and leaves in the next block.
        stake(Ferdie, &pool, 1_000);
        let parts = pay(1_000);
        run_to(2);
        leave(Ferdie, &pool);
        let got = OpenStaking::stake_of(pool.clone(), Ferdie.to_account_id()).leaving;
        let week = u128::from(7 * DAY);
        let earned = got - 1_000 * OPEN;
        assert!(
            earned <= parts.stakers / 2 / week,
            "a block of a week: {earned} of {}",
            parts.stakers
        );
    });
}

#[test]
fn the_first_depositor_should_not_take_from_the_second() {
    chain("development", json!({})).execute_with(|| {
        run_to(1);
        let pool = Pool::Worker(register(1_000));
        model();
        // Eve buys the least there is, and has the worker earn a fortune that makes a share dear.
        stake(Eve, &pool, 1);
        pay(100_000);
        run_to(1 + 7 * DAY);
        let before = worth(Eve, &pool);
        let price = OpenStaking::quote(pool.clone(), 100 * OPEN);
        let (shares, cost) = price.expect("shares can still be bought");
        assert!(shares > 0 && cost <= 100 * OPEN);
        stake(Ferdie, &pool, 100);
        let lost = cost - worth(Ferdie, &pool);
        assert!(
            lost <= 1 + cost / 1_000_000,
            "Ferdie lost {lost} of {cost} by entering"
        );
        assert!(worth(Eve, &pool) <= before + 1 + cost / 1_000_000);
    });
}

#[test]
fn who_asks_its_stake_back_should_still_pay_for_what_the_worker_does_meanwhile() {
    chain("development", json!({})).execute_with(|| {
        run_to(1);
        let dave = register(1_000);
        let pool = Pool::Worker(dave.clone());
        stake(Eve, &pool, 200);
        stake(Ferdie, &pool, 100);
        // Eve knows what Dave is up to.
        leave(Eve, &pool);
        run_to(3);
        assert_eq!(<Compute as Bonds<_>>::slash(&dave, 250 * OPEN, None), 250 * OPEN);
        assert_supply();
        let eve = OpenStaking::stake_of(pool.clone(), Eve.to_account_id());
        assert!(eve.leaving.abs_diff(150 * OPEN) <= 10, "{eve:?}");
        assert!(
            worth(Ferdie, &pool).abs_diff(75 * OPEN) <= OPEN,
            "{}",
            worth(Ferdie, &pool)
        );
        // Frozen while a dispute lasts, whatever the time.
        assert_ok!(<OpenStaking as Stakes<_>>::freeze(&pool));
        run_to(2 + 7 * DAY);
        assert!(OpenStaking::withdraw(origin(Eve), pool.clone()).is_err());
        assert!(OpenStaking::stake(origin(Alice), pool.clone(), OPEN, 0).is_err());
        <OpenStaking as Stakes<_>>::thaw(&pool);
        let free = Balances::balance(&Eve.to_account_id());
        assert_ok!(OpenStaking::withdraw(origin(Eve), pool));
        let got = Balances::balance(&Eve.to_account_id()) - free;
        assert!(got.abs_diff(150 * OPEN) <= 10, "{got}");
        assert_supply();
    });
}

#[test]
fn a_missed_deadline_should_cost_bond_and_pool_the_same_part_once() {
    chain("development", json!({})).execute_with(|| {
        run_to(1);
        let dave = register(1_000);
        let pool = Pool::Worker(dave.clone());
        stake(Eve, &pool, 500);
        let task = Task::Index {
            model: 0,
            generation: 1,
            seed: [0; 32],
        };
        assert_ok!(Compute::order(task, Some(&dave), 6));
        run_to(12);
        let bond = pallet_openledger_compute::Workers::<Runtime>::get(&dave)
            .unwrap()
            .bond;
        assert_eq!(bond, 990 * OPEN);
        assert_eq!(<OpenStaking as Stakes<_>>::total(&pool), 495 * OPEN);
    });
}

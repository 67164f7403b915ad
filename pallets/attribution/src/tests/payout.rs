//! Stakers and ancestors: who is paid when they are there, and when they are not.

use super::{honest, seeds};
use crate::{mock::*, tests::common::world::World};
use frame_support::assert_ok;
use openledger_protocol::{models::Source, staking::Pool};
use openledger_traits::Ancestors;
use sp_runtime::AccountId32;
use std::collections::BTreeMap;

const NEAR: AccountId32 = AccountId32::new([0x31; 32]);
const FAR: AccountId32 = AccountId32::new([0x32; 32]);
const ROOT: AccountId32 = AccountId32::new([0x33; 32]);

/// Settles the world's batch with these parties there, and returns what each account was credited.
fn settled(world: &World, prepare: impl Fn(&mut Outside)) -> (BTreeMap<AccountId32, u128>, u128) {
    let mut done = None;
    test(world, || {
        assert_ok!(submit(world));
        advance(WINDOW);
        outside(|o| prepare(o));
        assert_ok!(Attribution::settle(Some(CHALLENGER).into(), 0));
        done = Some(outside(|o| {
            assert_eq!(
                o.in_stakes,
                o.income.iter().map(|(_, amount)| amount).sum::<u128>()
            );
            let all = o.escrowed + o.in_stakes + o.treasury + o.credits.values().sum::<u128>();
            assert_eq!(all, world.settled.header.receipts.sum, "nothing is made or lost");
            (o.credits.clone(), o.escrowed)
        }));
    });
    done.expect("it ran")
}

fn of(credits: &BTreeMap<AccountId32, u128>, who: &AccountId32) -> u128 {
    credits.get(who).copied().unwrap_or(0)
}

fn datanets(credits: &BTreeMap<AccountId32, u128>) -> u128 {
    of(credits, &datanet_owner(1)) + of(credits, &datanet_owner(2))
}

fn ancestors(nearer: Vec<Option<AccountId32>>) -> Ancestors<AccountId32> {
    Ancestors {
        nearer,
        root_owner: Some(ROOT),
        root_sources: vec![Source {
            datanet: 9,
            version: 0,
            weight: 1,
        }],
    }
}

#[test]
fn stakers_should_get_half_by_model_and_half_by_worker_as_long_as_they_are_there() {
    for seed in seeds(20) {
        let world = honest(seed);
        let stakers = world.settled.header.totals.stakers;
        let model = Pool::Model(world.settled.header.model);
        let behind = Pool::Worker(worker(&world));
        let (nobody, kept) = settled(&world, |_| {});
        for there in [
            vec![model.clone()],
            vec![behind.clone()],
            vec![model.clone(), behind.clone()],
        ] {
            let mut income = Vec::new();
            let (credits, escrow) = settled(&world, |o| o.staked = there.clone());
            outside(|o| income.append(&mut o.income));
            let expected: Vec<_> = there
                .iter()
                .map(|pool| {
                    let odd = if *pool == model { stakers % 2 } else { 0 };
                    (pool.clone(), stakers / 2 + odd)
                })
                .filter(|(_, amount)| *amount > 0)
                .collect();
            assert_eq!(income, expected, "seed {seed}");
            // Only the fallback has less for it: what contributors, owner and worker get, nobody's coming or going changes.
            let paid: u128 = expected.iter().map(|(_, amount)| amount).sum();
            assert_eq!(datanets(&credits), datanets(&nobody) - paid, "seed {seed}");
            assert_eq!(escrow, kept, "seed {seed}: what waits for contributors");
            assert_eq!(of(&credits, &MODEL_OWNER), of(&nobody, &MODEL_OWNER));
            assert_eq!(of(&credits, &worker(&world)), of(&nobody, &worker(&world)));
        }
    }
}

#[test]
fn a_pool_that_cannot_take_its_income_should_not_keep_a_batch_open() {
    let world = honest(5);
    let model = Pool::Model(world.settled.header.model);
    let (nobody, _) = settled(&world, |_| {});
    let (credits, _) = settled(&world, |o| {
        o.staked = vec![model.clone()];
        o.full = vec![model.clone()];
    });
    assert_eq!(credits, nobody);
}

#[test]
fn ancestors_should_get_half_by_root_and_half_by_distance() {
    for seed in seeds(20) {
        let world = honest(seed);
        let lineage = world.settled.header.totals.lineage;
        let (nobody, kept) = settled(&world, |_| {});
        let (credits, escrow) = settled(&world, |o| {
            o.ancestors = Some(ancestors(vec![Some(NEAR), Some(FAR)]));
        });
        let (root, rest) = (lineage - lineage / 2, lineage / 2);
        assert_eq!(of(&credits, &ROOT), root - root / 2, "seed {seed}");
        assert_eq!(of(&credits, &datanet_owner(9)), root / 2, "seed {seed}");
        // 2 to 1, by the largest remainder.
        let far = (rest + 1) / 3;
        assert_eq!(
            (of(&credits, &NEAR), of(&credits, &FAR)),
            (rest - far, far),
            "seed {seed}"
        );
        assert_eq!(datanets(&credits), datanets(&nobody) - lineage, "seed {seed}");
        assert_eq!(escrow, kept, "seed {seed}: what waits for contributors");
    }
}

#[test]
fn an_ancestor_that_is_nobodys_should_leave_its_part_to_the_fallback() {
    let world = honest(7);
    let lineage = world.settled.header.totals.lineage;
    let (nobody, _) = settled(&world, |_| {});
    let (credits, _) = settled(&world, |o| {
        o.ancestors = Some(Ancestors {
            root_owner: None,
            ..ancestors(vec![None])
        });
    });
    let root = lineage - lineage / 2;
    assert_eq!(datanets(&credits), datanets(&nobody) - root / 2);
    assert_eq!(of(&credits, &datanet_owner(9)), root / 2);
}

#[test]
fn more_ancestors_than_are_paid_should_lose_the_furthest_and_never_the_root() {
    let world = seeds(200)
        .map(honest)
        .find(|world| world.settled.header.totals.lineage > 1 << 20)
        .expect("some world has so large a part");
    let many: Vec<_> = (0..40u8)
        .map(|n| Some(AccountId32::new([0x40 + n; 32])))
        .collect();
    let (credits, _) = settled(&world, |o| o.ancestors = Some(ancestors(many.clone())));
    let paid: Vec<_> = many.iter().flatten().map(|who| of(&credits, who)).collect();
    assert!(paid[..15].iter().all(|amount| *amount > 0), "{paid:?}");
    assert!(paid[15..].iter().all(|amount| *amount == 0), "{paid:?}");
    for pair in paid[..15].windows(2) {
        assert!(pair[0].abs_diff(2 * pair[1]) <= 3, "{paid:?}");
    }
    assert!(of(&credits, &ROOT) > 0);
}

//! Lies about versions and copied records, and forged challenges, until there were so many of each.

use super::{
    common::{
        plants::{plant_all, About},
        scale, seed,
        watch::{flipped, version_evidence, Grove},
        world::World,
        Rng,
    },
    disputes::{accuse, challenge, contribute, duplicate, prove, total, with, ABOUT, DATANET},
};
use crate::{mock::*, Duplicates, Event, VersionBonds};
use frame_support::assert_ok;
use openledger_attribution::{
    record::RecordLeaf,
    tree::Tree,
    verdict::{judge_version, Duplicate, Guilt, Verdict, VersionEvidence, VersionFacts},
};
use openledger_traits::Datanets as _;
use std::collections::BTreeMap;

/// Lies that have to be caught, and challenges of what is right to be refused, times `ATTRIBUTION_SCALE`.
const LIES: u32 = 200;
const FORGED: u32 = 2_000;

fn proof(world: &World) -> Option<(VersionEvidence, Guilt)> {
    let facts = VersionFacts {
        records: Tree::new(&world.index.versions[0]).unwrap().root(),
        registry: &world.chain,
    };
    version_evidence(world, 0)
        .into_iter()
        .find_map(|evidence| match judge_version(&facts, &evidence) {
            Verdict::Guilty(guilt) => Some((evidence, guilt)),
            Verdict::NotProven(_) => None,
        })
}

#[test]
fn every_planted_lie_should_cost_the_publisher_its_deposit_and_the_version_its_use() {
    let plants: Vec<_> = plant_all()
        .into_iter()
        .filter(|(_, about, _, _)| matches!(about, About::Version))
        .collect();
    let mut caught: BTreeMap<&str, u32> = BTreeMap::new();
    let mut rng = Rng(seed());
    while caught.values().sum::<u32>() < LIES * scale() {
        let seed = rng.next();
        for (name, _, plant, _) in &plants {
            let mut world = World::new(seed, false);
            if !plant(&mut world, &mut Rng(seed)) {
                continue;
            }
            let Some((evidence, guilt)) = proof(&world) else {
                continue;
            };
            if Tree::new(&world.index.versions[0]).unwrap().root().sum == 0 {
                continue;
            }
            with(&world, || {
                assert_eq!(held(&OWNER), VersionDeposit::get());
                let (owner, bob) = (total(&OWNER), total(&BOB));
                stake(DATANET, 1_001);
                challenge(&evidence);
                assert_eq!(pool(DATANET), (1_001, 0, 1), "{name}: frozen");
                blocks(1);
                assert_ok!(prove(&evidence));
                assert_eq!(pool(DATANET), (900, 101, 0), "{name}: slashed once and thawed");
                System::assert_last_event(
                    Event::Proved {
                        about: ABOUT,
                        guilt,
                        challenger: BOB,
                        guilty: OWNER,
                        lost: 400,
                    }
                    .into(),
                );
                assert_eq!(VersionBonds::<Test>::get(DATANET, 0).unwrap().void, Some(guilt));
                assert!(!Datanets::is_usable(DATANET, 0), "{name}");
                assert!(
                    Datanets::version(DATANET, 0).is_some(),
                    "what was trained on it is still known"
                );
                assert_eq!(owner - total(&OWNER), 400, "{name}");
                assert_eq!(
                    total(&BOB) - bob,
                    100,
                    "{name}: a quarter, and its own deposit back"
                );
                assert_eq!(total(&TREASURY), 300, "{name}");
                assert_eq!((held(&OWNER), held(&BOB)), (0, 0), "{name}");
            });
            *caught.entry(name).or_default() += 1;
        }
    }
    println!(
        "lies about versions: {}, of {} kinds: {caught:?}",
        caught.values().sum::<u32>(),
        caught.len()
    );
    assert_eq!(caught.len(), plants.len(), "some lie was never caught");
}

#[test]
fn an_honest_publisher_should_lose_nothing_and_its_accuser_the_deposit() {
    let mut refused = 0;
    let mut rng = Rng(seed());
    while refused < FORGED * scale() {
        let world = World::new(rng.next(), false);
        let evidence = version_evidence(&world, 0);
        with(&world, || {
            for at in 0..40 {
                let evidence = &evidence[rng.below(evidence.len() as u64) as usize];
                let forged = flipped(evidence, rng.next()).unwrap_or_else(|| evidence.clone());
                let evidence = if at % 2 == 0 { evidence.clone() } else { forged };
                let before = total(&BOB);
                System::set_block_number(2_000);
                challenge(&evidence);
                blocks(1);
                assert_ok!(prove(&evidence));
                assert_eq!(before - total(&BOB), CHALLENGE_DEPOSIT, "{evidence:?}");
                refused += 1;
            }
            assert_eq!(pool(DATANET), (0, 0, 0), "thawed as often as frozen");
            assert_eq!(held(&OWNER), VersionDeposit::get());
            assert!(Datanets::is_usable(DATANET, 0));
            blocks(VERSION_WINDOW);
            assert_ok!(Datanets::free_version(signed(&ALICE), DATANET, 0));
            assert_eq!(total(&OWNER), RICH);
        });
    }
    println!("challenges of honest versions refused: {refused}");
}

/// A contribution as this test knows it.
struct Known {
    of: (u64, Grove<RecordLeaf>),
    who: AccountId,
    reserved: u64,
    contents: Vec<u8>,
    is_rejected: bool,
}

/// Whether the record of the first is an earlier one than that of the second: by what this test knows, not by the pallet.
fn is_copy(first: &Known, at: usize, second: &Known, copy: usize) -> bool {
    let is_earlier = if first.of.0 == second.of.0 {
        at < copy
    } else {
        let was_own_try = first.is_rejected && first.who == second.who;
        !was_own_try && (first.reserved, first.of.0) < (second.reserved, second.of.0)
    };
    is_earlier && first.contents[at] == second.contents[copy]
}

/// Whether this evidence, changed or not, is true.
fn is_true(all: &[Known], evidence: &Duplicate) -> bool {
    all.iter().any(|first| {
        all.iter().any(|second| {
            (0..first.contents.len()).any(|at| {
                (0..second.contents.len()).any(|copy| {
                    is_copy(first, at, second, copy)
                        && duplicate(&first.of, at, &second.of, copy) == *evidence
                })
            })
        })
    })
}

#[test]
fn every_copy_should_be_found_out_and_no_honest_contributor_lose_anything() {
    let (mut caught, mut refused) = (0, 0);
    let mut rng = Rng(seed());
    while caught < LIES * scale() || refused < FORGED * scale() {
        scenario(|| {
            let datanet = curated();
            blocks(8);
            let mut all: Vec<Known> = (0..2 + rng.below(5))
                .map(|_| {
                    let who = if rng.chance(50) { ALICE } else { BOB };
                    let contents: Vec<u8> = (0..1 + rng.below(4)).map(|_| rng.below(12) as u8).collect();
                    let reserved = 1 + rng.below(8);
                    let of = contribute(&who, datanet, &contents, reserved);
                    let is_rejected = rng.chance(20);
                    if is_rejected {
                        assert_ok!(Datanets::reject(signed(&CURATOR), of.0));
                    }
                    Known {
                        of,
                        who,
                        reserved,
                        contents,
                        is_rejected,
                    }
                })
                .collect();
            for _ in 0..60 {
                let (a, b) = (
                    rng.below(all.len() as u64) as usize,
                    rng.below(all.len() as u64) as usize,
                );
                if Duplicates::<Test>::contains_key(all[b].of.0) {
                    continue;
                }
                let at = rng.below(all[a].contents.len() as u64) as usize;
                let copy = rng.below(all[b].contents.len() as u64) as usize;
                let mut evidence = duplicate(&all[a].of, at, &all[b].of, copy);
                if rng.chance(40) {
                    // About the same contribution still, so that it can be challenged.
                    evidence = flipped(&evidence, rng.next())
                        .filter(|changed| changed.second == evidence.second)
                        .unwrap_or(evidence);
                }
                let expected = is_true(&all, &evidence);
                let before = total(&OWNER);
                assert_eq!(accuse(&OWNER, &evidence), expected, "{evidence:?}");
                if expected {
                    all[b].is_rejected = true;
                    caught += 1;
                } else {
                    assert_eq!(before - total(&OWNER), CHALLENGE_DEPOSIT);
                    refused += 1;
                }
            }
        });
    }
    println!("copied records found out: {caught}; challenges of what was no copy refused: {refused}");
}

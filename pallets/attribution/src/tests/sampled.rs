//! Sampled batches.

use super::{
    common::{
        plants::{plant_all, plant_numbers, About, Plant},
        watch::{batch_evidence, batch_facts, Grove},
        world::World,
        Rng,
    },
    seeds,
};
use crate::{mock::*, BatchStage, Error, Sample, Samples};
use frame_support::{assert_noop, assert_ok};
use openledger_attribution::{
    tree::Root,
    verdict::{judge_batch, BatchEvidence, Guilt, Verdict},
};
use openledger_protocol::batches::{commitment, disputed};
use sp_runtime::{AccountId32, DispatchResult};
use std::collections::BTreeMap;

const SALT: [u8; 32] = [5; 32];

fn sampled(seed: u64) -> World {
    World::new(seed, true)
}

fn give(world: &World) -> DispatchResult {
    Attribution::answer_draws(Some(worker(world)).into(), 0, Box::new(world.ledger.header))
}

/// Waits for the draw and answers it.
pub(super) fn answer(world: &World) {
    advance(2 * EPOCH);
    assert_ok!(Attribution::draw(Some(CHALLENGER).into(), 0));
    assert_ok!(give(world));
}

#[test]
fn everyone_should_get_what_the_drawn_answers_say_to_the_planck() {
    let (mut forfeits, mut credited) = (0, 0);
    for seed in seeds(60) {
        let world = sampled(seed);
        test(&world, || {
            assert_ok!(submit(&world));
            answer(&world);
            advance(WINDOW);
            assert_ok!(Attribution::settle(Some(CHALLENGER).into(), 0));
            let credits = &world.ledger.credits;
            if !credits.is_empty() {
                let all = Grove::new(credits).range(0, credits.len());
                assert_ok!(Attribution::credit(Some(CHALLENGER).into(), 0, all));
            }
            let mut expected: BTreeMap<AccountId32, u128> = BTreeMap::new();
            let mut pay = |who: AccountId32, amount: u128| {
                if amount > 0 {
                    *expected.entry(who).or_default() += amount;
                }
            };
            for leaf in credits {
                pay(leaf.contributor.into(), leaf.amount);
            }
            let totals = world.settled.header.totals;
            let owed = world.ledger.header.answers.sum;
            pay(MODEL_OWNER, totals.owner);
            pay(worker(&world), totals.compute);
            let paid: u128 = credits.iter().map(|leaf| leaf.amount).sum();
            // What no draw credits goes the fallback's way, and what the bond owes on top.
            let fallback = totals.contributors - paid + totals.stakers + totals.lineage + owed;
            let second = (fallback + 1) / 4;
            pay(datanet_owner(1), fallback - second);
            pay(datanet_owner(2), second);
            outside(|o| {
                assert_eq!(o.credits, expected);
                assert_eq!(o.treasury, totals.platform);
                assert_eq!((o.escrowed, o.forfeited, o.slashed), (0, owed, 0));
            });
            forfeits += u32::from(owed > 0);
            credited += u32::from(paid > 0);
        });
    }
    println!("{credited} batches credited somebody, {forfeits} forfeited a draw");
    assert!(forfeits > 3 && credited > 3);
}

#[test]
fn a_sampled_batch_should_come_without_credits() {
    let world = sampled(3);
    test(&world, || {
        assert_noop!(
            Attribution::submit_batch(
                Some(worker(&world)).into(),
                Box::new(world.settled.header),
                Box::new(world.ledger.header),
                claims(&world).try_into().unwrap(),
            ),
            Error::<Test>::Sampled
        );
        assert_ok!(submit(&world));
        assert_eq!(
            Samples::<Test>::get(0),
            Some(Sample::Waiting {
                epoch: world.submitted / EPOCH
            })
        );
    });
}

#[test]
fn nobody_should_settle_challenge_or_answer_before_the_draw_and_only_the_worker_answer_then() {
    let world = sampled(3);
    test(&world, || {
        assert_ok!(submit(&world));
        advance(2 * EPOCH - 1 - world.submitted % EPOCH);
        assert_noop!(give(&world), Error::<Test>::NotDrawn);
        assert_noop!(
            Attribution::draw(Some(CHALLENGER).into(), 0),
            Error::<Test>::NotDrawn
        );
        assert_noop!(
            Attribution::settle(Some(CHALLENGER).into(), 0),
            Error::<Test>::TooEarly
        );
        assert_noop!(
            Attribution::challenge(Some(CHALLENGER).into(), 0, [1; 32]),
            Error::<Test>::WrongStage
        );
        advance(1);
        assert_noop!(
            Attribution::answer_draws(Some(CHALLENGER).into(), 0, Box::new(world.ledger.header)),
            Error::<Test>::NotYours
        );
        let mut bad = world.clone();
        bad.ledger.header.answers = Root::EMPTY;
        assert_noop!(give(&bad), Error::<Test>::BadHeaders);
        // The draw is fixed with the answer if nobody did it before.
        assert_ok!(give(&world));
        assert_noop!(give(&world), Error::<Test>::NoDraw);
        assert_noop!(
            Attribution::draw(Some(CHALLENGER).into(), 0),
            Error::<Test>::NoDraw
        );
        assert_ok!(Attribution::challenge(Some(CHALLENGER).into(), 0, [1; 32]));
    });
}

#[test]
fn a_worker_that_does_not_answer_should_pay_the_fallback_out_of_its_bond() {
    for seed in seeds(8) {
        let world = sampled(seed);
        test(&world, || {
            assert_ok!(submit(&world));
            advance(2 * EPOCH);
            assert_ok!(Attribution::draw(Some(CHALLENGER).into(), 0));
            assert_noop!(
                Attribution::forfeit_draws(Some(CHALLENGER).into(), 0),
                Error::<Test>::TooEarly
            );
            advance(ANSWER + 1);
            assert_noop!(give(&world), Error::<Test>::TooLate);
            assert_ok!(Attribution::forfeit_draws(Some(CHALLENGER).into(), 0));
            advance(WINDOW - 1);
            assert_noop!(
                Attribution::settle(Some(CHALLENGER).into(), 0),
                Error::<Test>::TooEarly
            );
            advance(1);
            assert_ok!(Attribution::settle(Some(CHALLENGER).into(), 0));
            let totals = world.settled.header.totals;
            outside(|o| {
                assert_eq!(o.forfeited, totals.contributors);
                assert_eq!(o.escrowed, 0);
                let datanets: u128 = [1, 2]
                    .map(|id| o.credits.get(&datanet_owner(id)).copied().unwrap_or_default())
                    .iter()
                    .sum();
                assert_eq!(
                    datanets,
                    2 * totals.contributors + totals.stakers + totals.lineage
                );
            });
            advance(RETENTION);
            assert_ok!(Attribution::forget(Some(CHALLENGER).into(), 0));
            assert!(Samples::<Test>::get(0).is_none());
        });
    }
}

#[test]
fn a_batch_whose_draw_was_forgotten_should_be_drawn_for_again() {
    let world = sampled(3);
    test(&world, || {
        assert_ok!(submit(&world));
        let epoch = world.submitted / EPOCH;
        outside(|o| o.forgotten.push(epoch));
        advance(2 * EPOCH);
        assert_noop!(
            Attribution::draw(Some(CHALLENGER).into(), 0),
            Error::<Test>::NotDrawn
        );
        advance(EPOCH);
        assert_ok!(Attribution::draw(Some(CHALLENGER).into(), 0));
        assert_eq!(
            Samples::<Test>::get(0),
            Some(Sample::Waiting { epoch: epoch + 3 })
        );
        answer(&world);
    });
}

fn proof(world: &World) -> Option<(BatchEvidence, Guilt)> {
    batch_evidence(world).into_iter().find_map(|evidence| {
        match judge_batch(&batch_facts(world), &evidence, &world.keys()) {
            Verdict::Guilty(guilt) if guilt != Guilt::Unsigned => Some((evidence, guilt)),
            _ => None,
        }
    })
}

/// Every kind of lie about a sampled batch: in its receipts, its draws, or what they give.
#[test]
fn every_planted_lie_should_be_condemned_and_paid_for() {
    let named = plant_all()
        .into_iter()
        .filter(|(_, about, _, _)| matches!(about, About::Batch))
        .map(|(name, _, plant, _)| (name.to_owned(), plant));
    let numbers = plant_numbers()
        .into_iter()
        .filter(|(about, _)| matches!(about, About::Batch))
        .enumerate()
        .map(|(n, (_, plant))| (format!("number {n}"), plant));
    let plants: Vec<(String, Plant)> = named.chain(numbers).collect();
    let mut caught: BTreeMap<&str, u32> = BTreeMap::new();
    let mut refused = 0;
    for (n, seed) in seeds(40).enumerate() {
        for (at, (name, plant)) in plants.iter().enumerate() {
            // Once it was caught, each kind of lie in a fourth of the worlds.
            if caught.contains_key(name.as_str()) && (n + at) % 4 > 0 {
                continue;
            }
            let mut world = sampled(seed);
            if !plant(&mut world, &mut Rng(seed)) {
                continue;
            }
            let Some((evidence, guilt)) = proof(&world) else {
                continue;
            };
            test(&world, || {
                // Some lies the chain itself refuses.
                if submit(&world).is_err() {
                    refused += 1;
                    return;
                }
                advance(2 * EPOCH);
                if give(&world).is_err() {
                    refused += 1;
                    return;
                }
                let commitment = commitment(&CHALLENGER.into(), 0, &SALT, &evidence);
                assert_ok!(Attribution::challenge(Some(CHALLENGER).into(), 0, commitment));
                advance(1);
                assert_ok!(Attribution::prove(
                    Some(CHALLENGER).into(),
                    0,
                    SALT,
                    Box::new(evidence.clone())
                ));
                let batch = crate::Batches::<Test>::get(0).unwrap();
                assert_eq!(batch.stage, BatchStage::Condemned { guilt }, "{name}");
                let header = &world.settled.header;
                let fee = disputed(&evidence).map_or(header.totals.contributors, |receipt| receipt.fee);
                outside(|o| {
                    assert_eq!(o.slashed, (10 * fee).max(FLOOR), "{name}");
                    assert_eq!((o.escrowed, o.forfeited), (0, 0), "{name}: nothing stays behind");
                    let paid: u128 = o.credits.values().sum::<u128>() + o.treasury;
                    assert_eq!(paid, header.receipts.sum, "{name}: nothing is made or lost");
                });
                *caught.entry(name).or_default() += 1;
            });
        }
    }
    println!("caught on chain: {caught:?}; {refused} refused before");
    for must in [
        "a draw forfeited for nothing",
        "a row left out",
        "a part left out",
        "a credit left out",
    ] {
        assert!(caught.contains_key(must), "{must} was never caught");
    }
}

#[test]
fn an_honest_worker_should_lose_nothing_and_its_accuser_the_deposit() {
    let mut judged = 0;
    for seed in seeds(4) {
        let world = sampled(seed);
        let all: Vec<BatchEvidence> = batch_evidence(&world)
            .into_iter()
            .filter(|evidence| !matches!(evidence, BatchEvidence::Receipt(_)))
            .collect();
        let mut rng = Rng(seed);
        for _ in 0..30 {
            let evidence = &all[rng.below(all.len() as u64) as usize];
            test(&world, || {
                assert_ok!(submit(&world));
                answer(&world);
                let commitment = commitment(&CHALLENGER.into(), 0, &SALT, evidence);
                assert_ok!(Attribution::challenge(Some(CHALLENGER).into(), 0, commitment));
                advance(1);
                let before = Balances::free_balance(TREASURY);
                assert_ok!(Attribution::prove(
                    Some(CHALLENGER).into(),
                    0,
                    SALT,
                    Box::new(evidence.clone())
                ));
                assert_eq!(crate::Batches::<Test>::get(0).unwrap().stage, BatchStage::Open);
                assert_eq!(Balances::free_balance(TREASURY) - before, DEPOSIT);
                outside(|o| assert_eq!(o.slashed, 0));
                judged += 1;
            });
        }
    }
    println!("{judged} forged challenges refused");
}

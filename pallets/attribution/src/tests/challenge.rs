use super::{
    common::{
        plants::{plant_all, About},
        watch::{batch_evidence, batch_facts},
        world::World,
        Rng,
    },
    honest, seeds,
};
use crate::{mock::*, BatchStage, Error};
use frame_support::{
    assert_noop, assert_ok,
    traits::fungible::{Inspect, InspectHold},
};
use openledger_attribution::verdict::{judge_batch, BatchEvidence, Guilt, Verdict};
use openledger_protocol::batches::{commitment, disputed};
use std::collections::BTreeMap;

const SALT: [u8; 32] = [5; 32];

fn challenge(evidence: &BatchEvidence) {
    let commitment = commitment(&CHALLENGER.into(), 0, &SALT, evidence);
    assert_ok!(Attribution::challenge(Some(CHALLENGER).into(), 0, commitment));
}

fn prove(evidence: &BatchEvidence) -> sp_runtime::DispatchResult {
    Attribution::prove(Some(CHALLENGER).into(), 0, SALT, Box::new(evidence.clone()))
}

/// Evidence that proves a lie of this world, and of what. Signatures are left out: this world's are not real ones.
fn proof(world: &World) -> Option<(BatchEvidence, Guilt)> {
    batch_evidence(world).into_iter().find_map(|evidence| {
        match judge_batch(&batch_facts(world), &evidence, &world.keys()) {
            Verdict::Guilty(guilt) if guilt != Guilt::Unsigned => Some((evidence, guilt)),
            _ => None,
        }
    })
}

/// Every kind of lie about a batch, planted in random worlds, submitted, challenged and proved.
#[test]
fn every_planted_lie_should_be_condemned_and_paid_for() {
    let mut caught: BTreeMap<&str, u32> = BTreeMap::new();
    let plants: Vec<_> = plant_all()
        .into_iter()
        .filter(|(_, about, _, _)| matches!(about, About::Batch))
        .collect();
    for (n, seed) in seeds(60).enumerate() {
        for (name, _, plant, _) in &plants {
            let mut world = honest(seed);
            if n > 2 && caught.contains_key(name) && (n + name.len()) % 7 != 0 {
                continue;
            }
            if !plant(&mut world, &mut Rng(seed)) || world.is_sampled() {
                continue;
            }
            let Some((evidence, guilt)) = proof(&world) else {
                continue;
            };
            test(&world, || {
                // Some lies the chain itself refuses.
                if submit(&world).is_err() {
                    return;
                }
                challenge(&evidence);
                advance(1);
                assert_ok!(prove(&evidence));
                let batch = crate::Batches::<Test>::get(0).unwrap();
                assert_eq!(batch.stage, BatchStage::Condemned { guilt }, "{name}");
                let header = &world.settled.header;
                let receipt = disputed(&evidence);
                let fee = receipt.map_or(header.totals.contributors, |receipt| receipt.fee);
                outside(|o| {
                    assert_eq!(o.slashed, (10 * fee).max(FLOOR), "{name}");
                    assert_eq!(o.slashed_frozen, [true], "{name}: once, and before the thaw");
                    assert_eq!(o.escrowed, 0, "{name}: nothing stays behind");
                    let paid: u128 = o.credits.values().sum::<u128>() + o.treasury;
                    assert_eq!(paid, header.receipts.sum, "{name}: nothing is made or lost");
                    if let Some(receipt) = receipt.filter(|receipt| receipt.fee > 0) {
                        let consumer = &o.consumers[&receipt.channel];
                        assert!(
                            o.credits[consumer] >= receipt.fee.min(header.receipts.sum),
                            "{name}"
                        );
                    }
                });
                assert_eq!(
                    Balances::total_balance_on_hold(&CHALLENGER),
                    0,
                    "the deposit came back"
                );
                *caught.entry(name).or_default() += 1;
            });
        }
    }
    println!("caught on chain: {caught:?}");
    for must in [
        "a row left out",
        "a listed row of somebody else",
        "a list out of order",
        "a query of bytes no gradient gives",
    ] {
        assert!(caught.contains_key(must), "{must} was never tried");
    }
}

#[test]
fn a_wrong_score_should_be_condemned() {
    let mut tried = 0;
    for seed in seeds(200) {
        let mut world = honest(seed);
        let Some(at) = world
            .answers
            .iter()
            .position(|answer| !answer.attribution.list.is_empty())
        else {
            continue;
        };
        world.answers[at].attribution.list[0].score += 1;
        world.recommit_answers(at);
        let (evidence, guilt) = batch_evidence(&world)
            .into_iter()
            .filter(|evidence| matches!(evidence, BatchEvidence::Score(_)))
            .find_map(
                |evidence| match judge_batch(&batch_facts(&world), &evidence, &world.keys()) {
                    Verdict::Guilty(guilt) => Some((evidence, guilt)),
                    _ => None,
                },
            )
            .expect("the row shows it");
        assert_eq!(guilt, Guilt::WrongScore);
        test(&world, || {
            assert_ok!(submit(&world));
            challenge(&evidence);
            advance(1);
            assert_ok!(prove(&evidence));
            assert_eq!(
                crate::Batches::<Test>::get(0).unwrap().stage,
                BatchStage::Condemned { guilt }
            );
        });
        tried += 1;
    }
    println!("{tried} wrong scores");
    assert!(tried > 10);
}

#[test]
fn an_honest_worker_should_lose_nothing_and_its_accuser_the_deposit() {
    let mut refused = 0;
    for seed in seeds(10) {
        let world = honest(seed);
        for evidence in batch_evidence(&world) {
            // What these say of signatures is tested with real keys elsewhere.
            if matches!(evidence, BatchEvidence::Receipt(_)) {
                continue;
            }
            test(&world, || {
                assert_ok!(submit(&world));
                challenge(&evidence);
                advance(1);
                let before = Balances::free_balance(TREASURY);
                assert_ok!(prove(&evidence));
                assert_eq!(crate::Batches::<Test>::get(0).unwrap().stage, BatchStage::Open);
                assert_eq!(Balances::free_balance(TREASURY) - before, DEPOSIT);
                outside(|o| assert_eq!(o.slashed, 0));
                advance(WINDOW);
                assert_ok!(Attribution::settle(Some(CHALLENGER).into(), 0));
                refused += 1;
            });
        }
    }
    println!("{refused} forged challenges refused");
}

fn any_evidence(world: &World) -> BatchEvidence {
    batch_evidence(world)
        .into_iter()
        .find(|evidence| matches!(evidence, BatchEvidence::Shape(_)))
        .unwrap()
}

#[test]
fn evidence_should_be_shown_in_a_later_block_in_time_by_its_challenger_and_unchanged() {
    let world = honest(5);
    test(&world, || {
        assert_ok!(submit(&world));
        let evidence = any_evidence(&world);
        assert_noop!(prove(&evidence), Error::<Test>::NoChallenge);
        challenge(&evidence);
        assert_noop!(prove(&evidence), Error::<Test>::SameBlock);
        advance(1);
        // Somebody saw the evidence in the pool and the commitment on the chain.
        let stolen = commitment(&CHALLENGER.into(), 0, &SALT, &evidence);
        assert_ok!(Attribution::challenge(Some(MODEL_OWNER).into(), 0, stolen));
        advance(1);
        assert_noop!(
            Attribution::prove(Some(MODEL_OWNER).into(), 0, SALT, Box::new(evidence.clone())),
            Error::<Test>::OtherEvidence
        );
        assert_noop!(
            Attribution::prove(Some(CHALLENGER).into(), 0, [6; 32], Box::new(evidence.clone())),
            Error::<Test>::OtherEvidence
        );
        advance(PROVE);
        assert_noop!(prove(&evidence), Error::<Test>::TooLate);
    });
}

#[test]
fn a_challenge_should_freeze_its_batch_until_it_is_proved_or_lapses() {
    let world = honest(5);
    test(&world, || {
        assert_ok!(submit(&world));
        advance(WINDOW - 1);
        challenge(&any_evidence(&world));
        assert_noop!(
            Attribution::challenge(Some(CHALLENGER).into(), 0, [1; 32]),
            Error::<Test>::ChallengeExists
        );
        advance(2);
        assert_noop!(
            Attribution::challenge(Some(MODEL_OWNER).into(), 0, [1; 32]),
            Error::<Test>::TooLate
        );
        assert_noop!(
            Attribution::settle(Some(CHALLENGER).into(), 0),
            Error::<Test>::Disputed
        );
        assert_noop!(
            Attribution::lapse(Some(MODEL_OWNER).into(), 0, CHALLENGER),
            Error::<Test>::TooEarly
        );
        advance(PROVE);
        assert_ok!(Attribution::lapse(Some(MODEL_OWNER).into(), 0, CHALLENGER));
        assert_eq!(Balances::total_balance(&CHALLENGER), 1_000 * OPEN - DEPOSIT);
        assert_ok!(Attribution::settle(Some(CHALLENGER).into(), 0));
    });
}

#[test]
fn a_second_challenger_should_get_the_deposit_back_when_the_first_was_right() {
    let world = seeds(500)
        .find_map(|seed| {
            let mut world = honest(seed);
            let at = world
                .answers
                .iter()
                .position(|answer| !answer.attribution.list.is_empty())?;
            world.answers[at].attribution.list[0].score += 1;
            world.recommit_answers(at);
            Some(world)
        })
        .unwrap();
    let (evidence, _) = proof(&world).unwrap();
    test(&world, || {
        assert_ok!(submit(&world));
        assert_ok!(Attribution::challenge(Some(MODEL_OWNER).into(), 0, [1; 32]));
        challenge(&evidence);
        advance(1);
        assert_ok!(prove(&evidence));
        assert_noop!(
            Attribution::challenge(Some(TREASURY).into(), 0, [1; 32]),
            Error::<Test>::WrongStage
        );
        assert_ok!(Attribution::lapse(Some(CHALLENGER).into(), 0, MODEL_OWNER));
        assert_eq!(Balances::total_balance_on_hold(&MODEL_OWNER), 0);
        assert_eq!(Balances::total_balance(&MODEL_OWNER), 1_000 * OPEN);
    });
}

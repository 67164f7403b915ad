use super::{
    common::{
        watch::{batch_evidence, batch_facts},
        world::World,
    },
    honest, seeds,
};
use crate::{mock::*, Error};
use frame_support::{
    assert_noop, assert_ok,
    traits::fungible::{Inspect, InspectHold},
};
use openledger_attribution::verdict::{judge_batch, BatchEvidence, Guilt, Verdict};
use openledger_protocol::batches::commitment;

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

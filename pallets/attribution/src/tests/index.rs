//! Disputes about indexes.

use super::{
    common::{
        watch::{index_evidence, index_facts},
        world::World,
    },
    honest, seeds,
};
use crate::{mock::*, Error, Event, IndexBonds, IndexStage};
use frame_support::{
    assert_noop, assert_ok,
    traits::fungible::{Inspect, InspectHold},
};
use openledger_attribution::{
    hash::Hash,
    verdict::{judge_index, Guilt, IndexEvidence, Verdict},
    wire::Object,
};
use openledger_protocol::disputes::index_commitment;
use openledger_traits::Indexes;
use sp_runtime::DispatchResult;

const SALT: Hash = [5; 32];

fn id(world: &World) -> Hash {
    world.index.header.hash()
}

fn challenge(world: &World, evidence: &IndexEvidence) {
    let commitment = index_commitment(&CHALLENGER.into(), &id(world), &SALT, evidence);
    assert_ok!(Attribution::challenge_index(
        Some(CHALLENGER).into(),
        id(world),
        commitment
    ));
}

fn prove(world: &World, evidence: &IndexEvidence) -> DispatchResult {
    Attribution::prove_index(
        Some(CHALLENGER).into(),
        id(world),
        SALT,
        Box::new(evidence.clone()),
    )
}

fn stage(world: &World) -> IndexStage {
    IndexBonds::<Test>::get(id(world)).unwrap().stage
}

fn proof(world: &World) -> Option<(IndexEvidence, Guilt)> {
    index_evidence(world)
        .into_iter()
        .find_map(|evidence| match judge_index(&index_facts(world), &evidence) {
            Verdict::Guilty(guilt) => Some((evidence, guilt)),
            Verdict::NotProven(_) => None,
        })
}

fn guilty() -> (World, IndexEvidence, Guilt) {
    seeds(500)
        .find_map(|seed| {
            let mut world = honest(seed);
            if world.ledger.credits.is_empty() {
                return None;
            }
            world.index.header.seed = [0x5E; 32];
            let (evidence, guilt) = proof(&world)?;
            // The batch names the index that was registered, lie and all.
            world.settled.header.index = world.index.header.hash();
            world.ledger.header.batch = world.settled.header.hash();
            Some((world, evidence, guilt))
        })
        .unwrap()
}

#[test]
fn no_batch_should_name_a_void_index_and_those_before_be_settled_as_ever() {
    let (world, evidence, _) = guilty();
    test(&world, || {
        assert_ok!(submit(&world));
        challenge(&world, &evidence);
        advance(1);
        assert_ok!(prove(&world, &evidence));
        outside(|o| {
            o.cursors.clone_from(
                &world
                    .settled
                    .channels
                    .iter()
                    .map(|leaf| (leaf.channel, leaf.from))
                    .collect(),
            )
        });
        assert_noop!(submit(&world), Error::<Test>::IndexVoid);
        advance(WINDOW);
        assert_ok!(Attribution::settle(Some(CHALLENGER).into(), 0));
        outside(|o| {
            assert_eq!(o.slashed, STAKE, "the worker of the batch lost nothing");
            let worker = worker(&world);
            assert_eq!(
                o.credits.get(&worker).copied().unwrap_or_default(),
                world.settled.header.totals.compute
            );
        });
        let credits = super::common::watch::Grove::new(&world.ledger.credits);
        let all = credits.range(0, world.ledger.credits.len());
        assert_ok!(Attribution::credit(Some(CHALLENGER).into(), 0, all));
        outside(|o| assert_eq!(o.escrowed, 0));
    });
}

#[test]
fn a_void_index_should_not_be_disputed_again_and_who_was_second_get_the_deposit_back() {
    let (world, evidence, guilt) = guilty();
    test(&world, || {
        assert_ok!(Attribution::challenge_index(
            Some(MODEL_OWNER).into(),
            id(&world),
            [1; 32]
        ));
        challenge(&world, &evidence);
        assert_noop!(
            Attribution::challenge_index(Some(CHALLENGER).into(), id(&world), [1; 32]),
            Error::<Test>::ChallengeExists
        );
        assert_noop!(prove(&world, &evidence), Error::<Test>::SameBlock);
        advance(1);
        assert_ok!(prove(&world, &evidence));
        System::assert_last_event(
            Event::IndexVoided {
                index: id(&world),
                guilt,
                challenger: Some(CHALLENGER),
                builder: builder(&world),
                slashed: STAKE,
            }
            .into(),
        );
        assert_noop!(
            Attribution::challenge_index(Some(TREASURY).into(), id(&world), [1; 32]),
            Error::<Test>::IndexVoid
        );
        assert_ok!(Attribution::lapse_index(
            Some(CHALLENGER).into(),
            id(&world),
            MODEL_OWNER
        ));
        assert_eq!(Balances::total_balance(&MODEL_OWNER), 1_000 * OPEN);
        assert_eq!(Balances::total_balance_on_hold(&MODEL_OWNER), 0);
        assert_noop!(
            Attribution::review_index(Some(CHALLENGER).into(), id(&world)),
            Error::<Test>::IndexVoid
        );
    });
}

#[test]
fn evidence_should_be_shown_in_time_by_its_challenger_and_unchanged() {
    let (world, evidence, _) = guilty();
    test(&world, || {
        challenge(&world, &evidence);
        let stolen = index_commitment(&CHALLENGER.into(), &id(&world), &SALT, &evidence);
        assert_ok!(Attribution::challenge_index(
            Some(MODEL_OWNER).into(),
            id(&world),
            stolen
        ));
        advance(1);
        assert_noop!(
            Attribution::prove_index(
                Some(MODEL_OWNER).into(),
                id(&world),
                SALT,
                Box::new(evidence.clone())
            ),
            Error::<Test>::OtherEvidence
        );
        assert_noop!(
            Attribution::lapse_index(Some(MODEL_OWNER).into(), id(&world), CHALLENGER),
            Error::<Test>::TooEarly
        );
        advance(PROVE);
        assert_noop!(prove(&world, &evidence), Error::<Test>::TooLate);
        assert_ok!(Attribution::lapse_index(
            Some(MODEL_OWNER).into(),
            id(&world),
            CHALLENGER
        ));
        assert_eq!(Balances::total_balance(&CHALLENGER), 1_000 * OPEN - DEPOSIT);
        assert_eq!(stage(&world), IndexStage::Standing);
    });
}

#[test]
fn an_index_out_of_use_should_be_disputable_for_a_while_and_then_free_its_builder() {
    let (world, evidence, _) = guilty();
    let review = || Attribution::review_index(Some(CHALLENGER).into(), id(&world));
    let start = world.submitted;
    test(&world, || {
        assert_noop!(review(), Error::<Test>::NothingToReview);
        outside(|o| o.retired = true);
        assert_ok!(review());
        assert_eq!(stage(&world), IndexStage::Retiring { since: start as u32 });
        assert_noop!(review(), Error::<Test>::NothingToReview);
        // It is in use again, and then not.
        outside(|o| o.retired = false);
        assert_ok!(review());
        assert_eq!(stage(&world), IndexStage::Standing);
        outside(|o| o.retired = true);
        assert_ok!(review());
        // What was answered with it can still be charged, for a window.
        advance(WINDOW - 1);
        assert_ok!(submit(&world));
        advance(1);
        assert_noop!(submit(&world), Error::<Test>::IndexRetired);
        advance(INDEX_RETENTION - WINDOW);
        challenge(&world, &evidence);
        assert_noop!(review(), Error::<Test>::Disputed);
        advance(PROVE + 1);
        assert_ok!(Attribution::lapse_index(
            Some(MODEL_OWNER).into(),
            id(&world),
            CHALLENGER
        ));
        assert_ok!(review());
        assert_eq!(stage(&world), IndexStage::Closed);
        assert_noop!(
            Attribution::challenge_index(Some(CHALLENGER).into(), id(&world), [1; 32]),
            Error::<Test>::IndexRetired
        );
        assert_noop!(submit(&world), Error::<Test>::IndexRetired);
    });
}

#[test]
fn an_index_should_be_registered_with_its_builders_bond_behind_it() {
    let world = honest(5);
    let mut other = world.clone();
    other.index.header.generation += 1;
    test(&world, || {
        let header = other.index.header;
        assert_ok!(Attribution::register(&header, &other.index.layout));
        let bond = IndexBonds::<Test>::get(header.hash()).unwrap();
        assert_eq!((bond.builder, bond.exposure), (builder(&world), STAKE));
        assert_eq!(outside(|o| o.open), 2 * STAKE);
        assert_noop!(
            Attribution::register(&header, &other.index.layout),
            Error::<Test>::IndexExists
        );
        let mut bad = header;
        bad.rows.count += 1;
        assert_noop!(
            Attribution::register(&bad, &other.index.layout),
            Error::<Test>::BadIndex
        );
    });
}

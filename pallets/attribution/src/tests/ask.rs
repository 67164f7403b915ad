//! Questions before committees, and what their verdicts cost whom.

use super::{
    common::{
        watch::{batch_questions, index_questions},
        world::World,
    },
    honest,
};
use crate::{mock::*, Asked, BatchStage, Committed, Error, Event, IndexStage, OpenCases, Questions};
use frame_support::{
    assert_noop, assert_ok,
    traits::fungible::{Inspect, InspectHold},
};
use openledger_attribution::{
    committee::{Claim, Vote},
    hash::Hash,
    verdict::{Asked as Kind, BatchQuestion, Doubt, Guilt, IndexQuestion},
    wire::Object,
};
use openledger_protocol::committees::{index_question_commitment, question_commitment, Ending};
use openledger_traits::OnVerdict;
use sp_runtime::DispatchResult;

const SALT: Hash = [5; 32];

pub(crate) fn commit(question: &BatchQuestion) {
    let commitment = question_commitment(&CHALLENGER.into(), 0, &SALT, question);
    assert_ok!(Attribution::challenge(Some(CHALLENGER).into(), 0, commitment));
}

pub(crate) fn ask(question: &BatchQuestion) -> DispatchResult {
    Attribution::ask(Some(CHALLENGER).into(), 0, SALT, Box::new(question.clone()))
}

pub(crate) fn commit_index(index: Hash, question: &IndexQuestion) {
    let commitment = index_question_commitment(&CHALLENGER.into(), &index, &SALT, question);
    assert_ok!(Attribution::challenge_index(
        Some(CHALLENGER).into(),
        index,
        commitment
    ));
}

pub(crate) fn ask_index(index: Hash, question: &IndexQuestion) -> DispatchResult {
    Attribution::ask_index(Some(CHALLENGER).into(), index, SALT, Box::new(question.clone()))
}

pub(crate) fn end(case: u64, ending: Ending) {
    let subject = Questions::<Test>::get(case).unwrap().subject;
    assert_ok!(<Attribution as OnVerdict<_>>::ended(case, &subject, ending));
    check_freezes();
    Attribution::do_try_state().unwrap();
}

/// A question whose answer moves money.
fn question(world: &World, wanted: fn(&BatchQuestion) -> bool) -> Option<BatchQuestion> {
    batch_questions(world)
        .into_iter()
        .find(|question| wanted(question) && question.receipt().leaf.fee > 0)
}

fn asked_world(wanted: fn(&BatchQuestion) -> bool) -> (World, BatchQuestion) {
    (0..)
        .find_map(|seed| {
            let world = honest(seed);
            let mix = world.settled.header.tariff.mix;
            if mix.influence == 0 || mix.retrieval == 0 {
                return None;
            }
            let question = question(&world, wanted)?;
            Some((world, question))
        })
        .unwrap()
}

/// Whether a question is one that is wanted.
type Wanted = fn(&BatchQuestion) -> bool;

#[test]
fn a_batch_refuted_by_a_committee_should_be_condemned_and_paid_for() {
    let kinds: [(Wanted, Kind); 3] = [
        (|q| matches!(q, BatchQuestion::Query(_)), Kind::Query),
        (|q| matches!(q, BatchQuestion::Ranks(_)), Kind::Ranks),
        (|q| matches!(q, BatchQuestion::Output(_)), Kind::Output),
    ];
    for (wanted, kind) in kinds {
        let (world, question) = asked_world(wanted);
        test(&world, || {
            assert_ok!(submit(&world));
            commit(&question);
            assert_noop!(ask(&question), Error::<Test>::SameBlock);
            advance(1);
            assert_ok!(ask(&question));
            let hearing = outside(|o| o.hearings[0].clone());
            assert_eq!(hearing.accused, worker(&world));
            assert_eq!(hearing.payer, CHALLENGER);
            assert_eq!(hearing.audit, None);
            let leaf = question.receipt().leaf;
            let consumer = outside(|o| o.consumers[&leaf.channel].clone());
            assert_eq!(hearing.parties, vec![consumer.clone()]);

            // Frozen, however long it takes.
            advance(100 * WINDOW);
            assert_noop!(
                Attribution::settle(Some(CHALLENGER).into(), 0),
                Error::<Test>::Disputed
            );
            assert_eq!(Balances::total_balance_on_hold(&CHALLENGER), DEPOSIT);
            // The channel may be gone by now.
            outside(|o| o.consumers.clear());
            end(0, Ending::Decided(Vote::Wrong));
            let guilt = Guilt::Recomputed(kind);
            assert_eq!(
                crate::Batches::<Test>::get(0).unwrap().stage,
                BatchStage::Condemned { guilt }
            );
            assert_eq!(Balances::total_balance(&CHALLENGER), 1_000 * OPEN);
            outside(|o| {
                assert_eq!(o.slashed, loss(&world, leaf.fee));
                assert!(o.credits[&consumer] >= leaf.fee, "the consumer is still known");
                let paid: u128 = o.credits.values().sum::<u128>() + o.treasury;
                assert_eq!(paid, world.settled.header.receipts.sum);
            });
            assert_eq!(
                Questions::<Test>::iter().count() + Asked::<Test>::iter().count(),
                0
            );
            advance(RETENTION);
            assert_ok!(Attribution::forget(Some(CHALLENGER).into(), 0));
        });
    }
}

#[test]
fn a_batch_upheld_by_a_committee_should_settle_and_cost_its_challenger() {
    let (world, question) = asked_world(|q| matches!(q, BatchQuestion::Query(_)));
    test(&world, || {
        assert_ok!(submit(&world));
        commit(&question);
        advance(1);
        assert_ok!(ask(&question));
        end(0, Ending::Decided(Vote::Right));
        assert_eq!(Balances::total_balance(&CHALLENGER), 1_000 * OPEN - DEPOSIT);
        outside(|o| assert_eq!(o.slashed, 0));
        // The same can be asked again, by who pays for it.
        commit(&question);
        advance(1);
        assert_ok!(ask(&question));
        end(1, Ending::Decided(Vote::Right));
        advance(WINDOW);
        assert_ok!(Attribution::settle(Some(CHALLENGER).into(), 0));
    });
}

#[test]
fn one_thing_should_be_before_one_committee_at_a_time() {
    let (world, question) = asked_world(|q| matches!(q, BatchQuestion::Output(_)));
    test(&world, || {
        assert_ok!(submit(&world));
        commit(&question);
        let other = question_commitment(&MODEL_OWNER.into(), 0, &SALT, &question);
        assert_ok!(Attribution::challenge(Some(MODEL_OWNER).into(), 0, other));
        advance(1);
        assert_ok!(ask(&question));
        assert_ok!(Attribution::ask(
            Some(MODEL_OWNER).into(),
            0,
            SALT,
            Box::new(question.clone())
        ));
        System::assert_last_event(
            Event::<Test>::AskedAlready {
                case: 0,
                challenger: MODEL_OWNER,
            }
            .into(),
        );
        assert_eq!(Balances::total_balance_on_hold(&MODEL_OWNER), 0);
        outside(|o| assert_eq!(o.hearings.len(), 1));
        end(0, Ending::Decided(Vote::Right));
    });
}

const ENDINGS: [Ending; 3] = [
    Ending::Decided(Vote::Right),
    Ending::Decided(Vote::Wrong),
    Ending::Unseated,
];

#[test]
fn stake_behind_a_worker_should_be_frozen_from_the_challenge_to_the_verdict() {
    let (world, question) = asked_world(|q| matches!(q, BatchQuestion::Output(_)));
    let who = worker(&world);
    for ending in ENDINGS {
        test(&world, || {
            assert_ok!(submit(&world));
            assert_eq!(freezes(&who), 0);
            commit(&question);
            assert_eq!(freezes(&who), 1, "the challenge");
            let other = question_commitment(&MODEL_OWNER.into(), 0, &SALT, &question);
            assert_ok!(Attribution::challenge(Some(MODEL_OWNER).into(), 0, other));
            assert_eq!(freezes(&who), 2, "two challenges");
            advance(1);
            assert_ok!(ask(&question));
            assert_eq!(freezes(&who), 2, "a challenge and a case");
            assert_ok!(Attribution::ask(
                Some(MODEL_OWNER).into(),
                0,
                SALT,
                Box::new(question.clone())
            ));
            assert_eq!(freezes(&who), 1, "the case, which was there already");
            advance(100 * WINDOW);
            assert_eq!(freezes(&who), 1, "however long it takes");
            end(0, ending);
            assert_eq!(freezes(&who), 0, "{ending:?}");
            let is_wrong = ending == Ending::Decided(Vote::Wrong);
            let slashed: &[bool] = if is_wrong { &[true] } else { &[] };
            outside(|o| assert_eq!(o.slashed_frozen, slashed, "{ending:?}: before the thaw"));
        });
    }
}

#[test]
fn stake_behind_a_builder_should_be_frozen_from_the_challenge_to_the_verdict() {
    let world = honest(3);
    let (index, who) = (world.index.header.hash(), builder(&world));
    for question in index_questions(&world) {
        for ending in ENDINGS {
            test(&world, || {
                commit_index(index, &question);
                assert_eq!(freezes(&who), 1, "the challenge");
                advance(1);
                assert_ok!(ask_index(index, &question));
                assert_eq!(freezes(&who), 1, "the case");
                end(0, ending);
                assert_eq!(freezes(&who), 0, "{ending:?}");
                let is_wrong = ending == Ending::Decided(Vote::Wrong);
                let slashed: &[bool] = if is_wrong { &[true] } else { &[] };
                outside(|o| assert_eq!(o.slashed_frozen, slashed, "{ending:?}: before the thaw"));
            });
        }
    }
}

#[test]
fn a_case_should_thaw_what_was_condemned_meanwhile() {
    let (world, question) = asked_world(|q| matches!(q, BatchQuestion::Output(_)));
    let who = worker(&world);
    test(&world, || {
        assert_ok!(submit(&world));
        commit(&question);
        advance(1);
        assert_ok!(ask(&question));
        // Another challenge, which outlives what it is of.
        assert_ok!(Attribution::challenge(Some(MODEL_OWNER).into(), 0, [7; 32]));
        let batch = crate::Batches::<Test>::get(0).unwrap();
        assert_ok!(Attribution::condemn(0, batch, None, Guilt::WrongScore, None));
        assert_eq!(freezes(&who), 2);
        assert_ok!(Attribution::lapse(Some(CHALLENGER).into(), 0, MODEL_OWNER));
        assert_eq!(freezes(&who), 1);
        end(0, Ending::Decided(Vote::Wrong));
        assert_eq!(freezes(&who), 0);
    });
}

#[test]
fn a_question_that_is_none_should_cost_the_deposit() {
    let world = (0..)
        .map(honest)
        .find(|world| world.settled.header.tariff.mix.influence == 0)
        .unwrap();
    let question = question(&world, |q| matches!(q, BatchQuestion::Query(_))).unwrap();
    test(&world, || {
        assert_ok!(submit(&world));
        commit(&question);
        advance(1);
        assert_ok!(ask(&question));
        System::assert_last_event(
            Event::<Test>::NotAsked {
                of: Committed::Batch(0),
                challenger: CHALLENGER,
                doubt: Doubt::Right,
                lost: DEPOSIT,
            }
            .into(),
        );
        assert_eq!(OpenCases::<Test>::iter().count(), 0);
        advance(WINDOW);
        assert_ok!(Attribution::settle(Some(CHALLENGER).into(), 0));
    });
}

#[test]
fn an_index_refuted_by_a_committee_should_be_void() {
    let world = honest(3);
    let index = world.index.header.hash();
    for question in index_questions(&world) {
        test(&world, || {
            commit_index(index, &question);
            advance(1);
            assert_ok!(ask_index(index, &question));
            let hearing = outside(|o| o.hearings[0].clone());
            assert_eq!(hearing.accused, builder(&world));
            assert_eq!(hearing.is_exact, matches!(hearing.claim, Claim::Digest(_)));
            end(0, Ending::Decided(Vote::Wrong));
            let guilt = Guilt::Recomputed((&hearing.subject).into());
            let bond = crate::IndexBonds::<Test>::get(index).unwrap();
            assert_eq!(bond.stage, IndexStage::Void { guilt });
            outside(|o| {
                assert_eq!(o.slashed, STAKE);
                assert_eq!(o.voided.len(), 1);
            });
            assert_eq!(Balances::total_balance(&CHALLENGER), 1_000 * OPEN);
        });
    }
}

#[test]
fn an_index_should_not_close_while_a_committee_looks_at_it() {
    let world = honest(3);
    let index = world.index.header.hash();
    let question = IndexQuestion::Training([]);
    test(&world, || {
        commit_index(index, &question);
        advance(1);
        assert_ok!(ask_index(index, &question));
        outside(|o| o.retired = true);
        assert_ok!(Attribution::review_index(Some(CHALLENGER).into(), index));
        advance(INDEX_RETENTION);
        assert_noop!(
            Attribution::review_index(Some(CHALLENGER).into(), index),
            Error::<Test>::Disputed
        );
        end(0, Ending::Decided(Vote::Right));
        assert_eq!(Balances::total_balance(&CHALLENGER), 1_000 * OPEN - DEPOSIT);
        assert_ok!(Attribution::review_index(Some(CHALLENGER).into(), index));
        outside(|o| assert_eq!(o.slashed, 0));
    });
}

#[test]
fn a_batch_condemned_meanwhile_should_not_be_condemned_twice() {
    let (world, question) = asked_world(|q| matches!(q, BatchQuestion::Output(_)));
    test(&world, || {
        assert_ok!(submit(&world));
        commit(&question);
        advance(1);
        assert_ok!(ask(&question));
        let batch = crate::Batches::<Test>::get(0).unwrap();
        assert_ok!(Attribution::condemn(
            0,
            batch,
            Some(MODEL_OWNER),
            Guilt::WrongScore,
            None
        ));
        let slashed = outside(|o| o.slashed);
        advance(RETENTION + WINDOW);
        assert_noop!(
            Attribution::forget(Some(CHALLENGER).into(), 0),
            Error::<Test>::Disputed
        );
        end(0, Ending::Decided(Vote::Wrong));
        outside(|o| assert_eq!(o.slashed, slashed));
        assert_eq!(Balances::total_balance(&CHALLENGER), 1_000 * OPEN);
        assert_ok!(Attribution::forget(Some(CHALLENGER).into(), 0));
    });
}

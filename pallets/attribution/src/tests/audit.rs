//! Drawn audits.

use super::{
    ask::end,
    common::{watch::audit as shown, world::World},
    honest, seeds,
};
use crate::{mock::*, Audit, Audits, BatchStage, Error, Questions};
use frame_support::{assert_noop, assert_ok};
use openledger_attribution::{
    committee::Vote,
    verdict::{Audit as Proof, AuditShown, Guilt},
};
use openledger_protocol::committees::Ending;
use sp_runtime::DispatchResult;

fn draw() -> DispatchResult {
    Attribution::draw_audit(Some(CHALLENGER).into(), 0)
}

fn show(proof: &Proof) -> DispatchResult {
    Attribution::show_audit(Some(CHALLENGER).into(), 0, Box::new(proof.clone()))
}

fn settle() -> DispatchResult {
    Attribution::settle(Some(CHALLENGER).into(), 0)
}

/// A world whose audit shows so.
fn world(wanted: fn(&AuditShown) -> bool) -> (World, Proof) {
    (0..)
        .find_map(|seed| {
            let world = honest(seed);
            let proof = shown(&world, &world.randomness)?;
            wanted(&proof.shown).then_some((world, proof))
        })
        .unwrap()
}

fn submitted(world: &World) {
    outside(|o| o.are_enough = true);
    assert_ok!(submit(world));
}

#[test]
fn a_batch_should_wait_for_its_audit_and_settle_when_it_is_upheld() {
    let (world, proof) = world(|shown| matches!(shown, AuditShown::Query(_)));
    test(&world, || {
        submitted(&world);
        assert_noop!(draw(), Error::<Test>::NotDrawn);
        assert_noop!(show(&proof), Error::<Test>::NoAudit);
        advance(2 * EPOCH);
        assert_noop!(settle(), Error::<Test>::Disputed);
        assert_ok!(draw());
        assert_noop!(draw(), Error::<Test>::NoAudit);
        assert_ok!(show(&proof));
        let hearing = outside(|o| o.hearings[0].clone());
        assert_eq!(
            (&hearing.accused, &hearing.payer),
            (&worker(&world), &worker(&world))
        );
        assert_eq!(hearing.audit, Some((world.randomness, world.submitted as u32)));
        assert_eq!(freezes(&worker(&world)), 1, "while a committee hears of it");
        assert_noop!(settle(), Error::<Test>::Disputed);
        end(0, Ending::Decided(Vote::Right));
        assert_eq!(Audits::<Test>::get(0), Some(Audit::Done));
        outside(|o| assert_eq!(o.slashed, 0));
        advance(WINDOW);
        assert_ok!(settle());
    });
}

#[test]
fn a_batch_refuted_by_its_audit_should_be_condemned_without_a_challenger() {
    let (world, proof) = world(|shown| matches!(shown, AuditShown::Query(_)));
    test(&world, || {
        submitted(&world);
        advance(2 * EPOCH);
        assert_ok!(draw());
        assert_ok!(show(&proof));
        end(0, Ending::Decided(Vote::Wrong));
        assert!(matches!(
            crate::Batches::<Test>::get(0).unwrap().stage,
            BatchStage::Condemned {
                guilt: Guilt::Recomputed(_)
            }
        ));
        let fee = proof.answer.leaf.leaf.fee;
        outside(|o| {
            assert_eq!(o.slashed, loss(&world, fee));
            assert_eq!(o.slashed_frozen, [true]);
        });
    });
}

#[test]
fn a_wrong_row_should_be_its_builders_fault_and_hold_nobody_up() {
    let (world, proof) = world(|shown| matches!(shown, AuditShown::Row(_)));
    test(&world, || {
        submitted(&world);
        advance(2 * EPOCH);
        assert_ok!(draw());
        assert_ok!(show(&proof));
        let hearing = outside(|o| o.hearings[0].clone());
        assert_eq!(hearing.accused, builder(&world));
        assert_eq!(freezes(&builder(&world)), 1);
        assert!(hearing.parties.contains(&worker(&world)));
        advance(WINDOW);
        assert_ok!(settle());
        end(0, Ending::Decided(Vote::Wrong));
        outside(|o| {
            assert_eq!(o.slashed, STAKE);
            assert_eq!(o.voided.len(), 1);
        });
    });
}

#[test]
fn an_audit_that_is_not_shown_in_time_should_condemn() {
    let (world, proof) = world(|shown| matches!(shown, AuditShown::Query(_)));
    test(&world, || {
        submitted(&world);
        advance(2 * EPOCH);
        assert_ok!(draw());
        assert_noop!(
            Attribution::end_audit(Some(CHALLENGER).into(), 0),
            Error::<Test>::TooEarly
        );
        advance(REVEAL + 1);
        assert_noop!(show(&proof), Error::<Test>::TooLate);
        assert_ok!(Attribution::end_audit(Some(CHALLENGER).into(), 0));
        assert_eq!(
            crate::Batches::<Test>::get(0).unwrap().stage,
            BatchStage::Condemned {
                guilt: Guilt::Withheld
            }
        );
        assert_noop!(
            Attribution::end_audit(Some(CHALLENGER).into(), 0),
            Error::<Test>::NoAudit
        );
    });
}

#[test]
fn something_else_than_what_was_drawn_should_not_be_taken() {
    let (world, proof) = world(|shown| matches!(shown, AuditShown::Query(_)));
    test(&world, || {
        submitted(&world);
        advance(2 * EPOCH);
        assert_ok!(draw());
        let mut lazy = proof.clone();
        lazy.shown = AuditShown::Nothing([]);
        assert_noop!(show(&lazy), Error::<Test>::NotAudited);
        let other = (0..200u8).find_map(|n| {
            let other = shown(&world, &[n; 32])?;
            (other.part.index != proof.part.index).then_some(other)
        });
        if let Some(other) = other {
            assert_noop!(show(&other), Error::<Test>::NotAudited);
        }
        assert_ok!(show(&proof));
        assert_noop!(show(&proof), Error::<Test>::NoAudit);
        end(0, Ending::Unseated);
        advance(WINDOW);
        assert_ok!(settle());
    });
}

#[test]
fn a_batch_that_credits_nobody_or_that_nobody_could_audit_should_have_none() {
    let empty = (0..)
        .map(honest)
        .find(|world| world.ledger.header.parts.sum == 0)
        .unwrap();
    test(&empty, || {
        submitted(&empty);
        assert_eq!(Audits::<Test>::get(0), None);
        assert_noop!(draw(), Error::<Test>::NoAudit);
        advance(WINDOW);
        assert_ok!(settle());
    });
    let (world, _) = world(|_| true);
    test(&world, || {
        assert_ok!(submit(&world));
        assert_eq!(Audits::<Test>::get(0), None);
        advance(WINDOW);
        assert_ok!(settle());
    });
}

#[test]
fn a_draw_that_is_forgotten_should_be_waited_for_again() {
    let (world, proof) = world(|shown| matches!(shown, AuditShown::Query(_)));
    test(&world, || {
        submitted(&world);
        let epoch = world.submitted / EPOCH;
        outside(|o| o.forgotten = vec![epoch]);
        advance(5 * EPOCH);
        assert_ok!(draw());
        assert_eq!(Audits::<Test>::get(0), Some(Audit::Waiting { epoch: epoch + 5 }));
        advance(2 * EPOCH);
        assert_ok!(draw());
        assert_ok!(show(&proof));
        end(0, Ending::Decided(Vote::Right));
    });
}

#[test]
fn a_sampled_batch_should_be_audited_once_its_draws_are_answered() {
    let mut shown_of_draws = 0;
    for seed in seeds(40) {
        let world = World::new(seed, true);
        test(&world, || {
            submitted(&world);
            assert_eq!(Audits::<Test>::get(0), None, "nobody is credited yet");
            advance(2 * EPOCH);
            assert_ok!(Attribution::answer_draws(
                Some(worker(&world)).into(),
                0,
                Box::new(world.ledger.header)
            ));
            if world.ledger.header.parts.sum == 0 {
                assert_eq!(Audits::<Test>::get(0), None);
                return;
            }
            advance(2 * EPOCH);
            assert_ok!(draw());
            let proof = shown(&world, &world.randomness).expect("an honest worker can show it");
            assert_ok!(show(&proof));
            shown_of_draws += 1;
            for case in Questions::<Test>::iter_keys().collect::<Vec<_>>() {
                end(case, Ending::Decided(Vote::Right));
            }
            advance(WINDOW);
            assert_ok!(settle());
            outside(|o| assert_eq!(o.slashed, 0));
        });
    }
    assert!(shown_of_draws > 3);
}

#[test]
fn an_honest_worker_should_pass_every_audit_that_is_drawn() {
    let (mut none, mut passed) = (0, 0);
    for seed in seeds(60) {
        let world = honest(seed);
        test(&world, || {
            submitted(&world);
            if Audits::<Test>::get(0).is_none() {
                none += 1;
                return;
            }
            advance(2 * EPOCH);
            assert_ok!(draw());
            assert_ok!(show(&shown(&world, &world.randomness).unwrap()));
            for case in Questions::<Test>::iter_keys().collect::<Vec<_>>() {
                end(case, Ending::Decided(Vote::Right));
            }
            advance(WINDOW);
            assert_ok!(settle());
            outside(|o| assert_eq!(o.slashed, 0));
            passed += 1;
        });
    }
    println!("{passed} audits passed, {none} batches credit nobody");
    assert!(passed > 20);
}

//! Questions before committees, and what their verdicts cost whom.

use super::{
    common::{
        watch::{batch_facts, batch_questions, flipped, index_questions},
        world::{root, World},
        Rng,
    },
    honest, seeds,
};
use crate::{mock::*, Asked, BatchStage, Committed, Error, Event, IndexStage, OpenCases, Questions};
use frame_support::{
    assert_noop, assert_ok,
    traits::fungible::{Inspect, InspectHold},
};
use openledger_attribution::{
    bases::BasisLeaf,
    committee::{Claim, Computed, OwnSpectra, Subject, Vote},
    hash::{Hash, NONE},
    sketch::{Sketch, SketchLeaf},
    verdict::{Asked as Kind, BatchQuestion, Doubt, Guilt, IndexQuestion},
    voucher::Mode,
    wire::Object,
};
use openledger_protocol::committees::{index_question_commitment, question_commitment, Ending};
use openledger_traits::OnVerdict;
use sp_runtime::DispatchResult;
use std::collections::BTreeMap;

const SALT: Hash = [5; 32];

pub(crate) fn commit(question: &BatchQuestion) {
    let commitment = question_commitment(&CHALLENGER.into(), 0, &SALT, question);
    assert_ok!(Attribution::challenge(Some(CHALLENGER).into(), 0, commitment));
}

pub(crate) fn ask(question: &BatchQuestion) -> DispatchResult {
    Attribution::ask(Some(CHALLENGER).into(), 0, SALT, Box::new(question.clone()))
}

fn commit_index(index: Hash, question: &IndexQuestion) {
    let commitment = index_question_commitment(&CHALLENGER.into(), &index, &SALT, question);
    assert_ok!(Attribution::challenge_index(
        Some(CHALLENGER).into(),
        index,
        commitment
    ));
}

fn ask_index(index: Hash, question: &IndexQuestion) -> DispatchResult {
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
                assert_eq!(o.slashed, (10 * leaf.fee).max(FLOOR));
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

/// Questions with a bit changed, and committees that are honest: nobody who was right loses anything.
#[test]
fn forged_questions_about_honest_work_should_slash_nobody() {
    let (mut forged, mut upheld, mut kinds) = (0u32, 0u32, BTreeMap::<String, u32>::new());
    for seed in seeds(12) {
        let mut rng = Rng(seed);
        let world = World::new(seed, rng.chance(40));
        let index = world.index.header.hash();
        let questions = batch_questions(&world);
        let about_index = index_questions(&world);
        test(&world, || {
            let issued = Balances::total_issuance();
            assert_ok!(submit(&world));
            if world.is_sampled() {
                advance(2 * EPOCH);
                assert_ok!(Attribution::answer_draws(
                    Some(worker(&world)).into(),
                    0,
                    Box::new(world.ledger.header)
                ));
            }
            for _ in 0..8 {
                let at = rng.below(questions.len() as u64) as usize;
                let honest = &questions[at];
                let question = if rng.chance(70) {
                    flipped(honest, rng.next()).unwrap_or_else(|| honest.clone())
                } else {
                    honest.clone()
                };
                let opened = outside(|o| o.hearings.len());
                commit(&question);
                advance(1);
                assert_ok!(ask(&question));
                if outside(|o| o.hearings.len()) > opened {
                    let hearing = outside(|o| o.hearings[opened].clone());
                    let vote = verdict(&world, &hearing.subject, &hearing.claim);
                    end(opened as u64, Ending::Decided(vote));
                    upheld += 1;
                } else {
                    forged += 1;
                }
                let subject = format!("{:?}", Kind::from(&question.subject(0)));
                *kinds.entry(subject).or_default() += 1;
            }
            for _ in 0..4 {
                let at = rng.below(about_index.len() as u64) as usize;
                let honest = &about_index[at];
                let question = flipped(honest, rng.next()).unwrap_or_else(|| honest.clone());
                let opened = outside(|o| o.hearings.len());
                commit_index(index, &question);
                advance(1);
                assert_ok!(ask_index(index, &question));
                if outside(|o| o.hearings.len()) > opened {
                    let hearing = outside(|o| o.hearings[opened].clone());
                    let vote = verdict(&world, &hearing.subject, &hearing.claim);
                    end(opened as u64, Ending::Decided(vote));
                    upheld += 1;
                } else {
                    forged += 1;
                }
                *kinds
                    .entry(format!("{:?}", Kind::from(&question.subject(index))))
                    .or_default() += 1;
            }
            outside(|o| assert_eq!(o.slashed, 0, "seed {seed}"));
            assert_eq!(Balances::total_balance(&CHALLENGER), 1_000 * OPEN - 12 * DEPOSIT);
            assert_eq!(Balances::total_issuance(), issued);
            advance(WINDOW);
            assert_ok!(Attribution::settle(Some(CHALLENGER).into(), 0));
        });
    }
    println!("{forged} forged questions refused, {upheld} honest ones upheld: {kinds:?}");
    assert!(forged > 10 && upheld > 10);
}

/// What an honest member computes of something: what an honest party would have committed to.
fn recompute(claim: Claim) -> Computed {
    match claim {
        Claim::Sketch(claim) => Computed::Lanes(claim.sketch.lanes.into_iter().map(i16::from).collect()),
        Claim::Spectra(claim) => Computed::Spectra(OwnSpectra {
            diagonal: true,
            spectra: claim.spectra,
        }),
        Claim::Ranks(entries) => Computed::Ranks(entries),
        Claim::Digest(hash) => Computed::Digest(hash),
        Claim::Chosen(chosen) => Computed::Within(chosen.tokens),
    }
}

/// The claim of an honest world where another makes one, and what an honest member says of the other's.
fn verdict(honest: &World, of: &Subject, claim: &Claim) -> Vote {
    const TAU: u32 = 500_000;
    let same = |subject: Subject| match (subject, *of) {
        // An index with a lie in it has another hash.
        (Subject::Row { row, .. }, Subject::Row { row: other, .. }) => row == other,
        (Subject::Basis { module, .. }, Subject::Basis { module: other, .. }) => module == other,
        (Subject::Training { .. }, Subject::Training { .. }) => true,
        (one, other) => one == other,
    };
    let of_batch = batch_questions(honest)
        .into_iter()
        .filter(|question| same(question.subject(0)))
        .map(|question| question.claim(&batch_facts(honest), TAU).unwrap());
    let of_index = index_questions(honest)
        .into_iter()
        .filter(|question| same(question.subject(NONE)))
        .map(|question| question.claim(&honest.index.header).unwrap());
    let right = of_batch.chain(of_index).next().expect("the honest world has it");
    claim.vote(&recompute(right)).expect("an answer to this claim")
}

/// Changes lanes of a sketch by more than rounding can, within its rules.
fn bend(sketch: &mut Sketch, rng: &mut Rng) -> bool {
    let small = |lane: &&mut i8| lane.unsigned_abs() < 60 && **lane != 0;
    let mut lanes: Vec<&mut i8> = sketch.lanes.iter_mut().filter(small).collect();
    if lanes.is_empty() {
        return false;
    }
    let at = rng.below(lanes.len() as u64) as usize;
    *lanes[at] += 2 + rng.below(20) as i8;
    true
}

/// A lie of this kind planted in the world; says about what it is.
fn plant(kind: u64, world: &mut World, rng: &mut Rng) -> Option<Subject> {
    let paid = |world: &World, at: usize| world.settled.receipts[at].fee > 0;
    let at = rng.below(world.answers.len() as u64) as usize;
    let mix = world.settled.header.tariff.mix;
    let source = at as u64;
    match kind {
        0 if mix.influence > 0 && paid(world, at) => {
            bend(&mut world.answers[at].query, rng).then_some(())?;
            let leaves = world.answers[at].query.leaves(&world.rule)?;
            world.answers[at].attribution.query = root(&leaves).hash::<SketchLeaf>();
            world.recommit_answers(at);
            Some(Subject::Query { batch: 0, source })
        }
        1 if mix.retrieval > 0 && paid(world, at) => {
            world.answers[at].attribution.retrieved.pop()?;
            world.recommit_answers(at);
            Some(Subject::Ranks { batch: 0, source })
        }
        2 if world.answers[at].receipt.terms.mode == Mode::Verifiable && paid(world, at) => {
            world.answers[at].receipt.output = rng.hash();
            world.recommit_answers(at);
            Some(Subject::Output {
                batch: 0,
                receipt: source,
            })
        }
        3 => {
            let row = rng.below(world.index.rows.len() as u64);
            bend(&mut world.index.rows[row as usize].sketch, rng).then_some(())?;
            world.recommit_index();
            Some(Subject::Row {
                index: world.index.header.hash(),
                row,
            })
        }
        4 => {
            world.index.header.adapter = rng.hash();
            Some(Subject::Training {
                index: world.index.header.hash(),
            })
        }
        5 => {
            let module = rng.below(world.index.layout.modules.len() as u64) as u16;
            let before: u64 = world.index.layout.modules[..usize::from(module)]
                .iter()
                .map(|module| module.basis_leaves())
                .sum();
            let shape = world.index.layout.modules[usize::from(module)];
            let start = before + u64::from(shape.rows) + u64::from(shape.columns);
            let spectra = world
                .index
                .bases
                .iter()
                .skip(start as usize)
                .map_while(|leaf| match leaf {
                    BasisLeaf::Spectrum(spectrum) => Some(spectrum.exponent),
                    BasisLeaf::Vector(_) => None,
                });
            let top = spectra.max()?;
            match world.index.bases.get_mut(start as usize)? {
                // Twice what any eigenvalue of the block can be: what is far below the damping is no lie.
                BasisLeaf::Spectrum(spectrum) => {
                    spectrum.exponent = top.saturating_add(1);
                    *spectrum.values.first_mut()? = u32::MAX;
                }
                BasisLeaf::Vector(_) => return None,
            }
            world.recommit_index();
            Some(Subject::Basis {
                index: world.index.header.hash(),
                module,
            })
        }
        _ => None,
    }
}

/// Every lie that only recomputing shows, planted in random worlds and put before a committee that recomputes.
#[test]
fn every_lie_that_only_recomputing_shows_should_be_condemned() {
    let mut caught: BTreeMap<String, u32> = BTreeMap::new();
    for seed in seeds(60) {
        let mut rng = Rng(seed);
        let honest = honest(seed);
        let mut world = honest.clone();
        let Some(subject) = plant(rng.below(6), &mut world, &mut rng) else {
            continue;
        };
        let guilt = Guilt::Recomputed((&subject).into());
        test(&world, || {
            let index = world.index.header.hash();
            if let Some(question) = batch_questions(&world)
                .into_iter()
                .find(|question| question.subject(0) == subject)
            {
                assert_ok!(submit(&world));
                commit(&question);
                advance(1);
                assert_ok!(ask(&question));
            } else {
                let question = index_questions(&world)
                    .into_iter()
                    .find(|question| question.subject(index) == subject)
                    .unwrap();
                commit_index(index, &question);
                advance(1);
                assert_ok!(ask_index(index, &question));
            }
            let claim = outside(|o| o.hearings[0].claim.clone());
            let vote = verdict(&honest, &subject, &claim);
            assert_eq!(vote, Vote::Wrong, "seed {seed}: {subject:?}");
            end(0, Ending::Decided(vote));
            let stage = crate::Batches::<Test>::get(0).map(|batch| batch.stage);
            let bond = crate::IndexBonds::<Test>::get(index).unwrap().stage;
            assert!(
                stage == Some(BatchStage::Condemned { guilt }) || bond == IndexStage::Void { guilt },
                "seed {seed}: {subject:?}"
            );
            assert_eq!(Balances::total_balance(&CHALLENGER), 1_000 * OPEN);
            outside(|o| assert!(o.slashed >= FLOOR));
            *caught.entry(format!("{guilt:?}")).or_default() += 1;
        });
    }
    println!("caught by committees: {caught:?}");
    assert!(caught.len() >= 5, "{caught:?}");
}

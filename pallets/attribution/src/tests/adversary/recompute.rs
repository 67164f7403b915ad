//! What only recomputing shows, before committees that recompute.

use super::{challenges::forged, wanted, Row, Tally, FORGED, LIES};
use crate::{
    mock::*,
    tests::{
        ask::{ask, ask_index, commit, commit_index, end},
        common::{
            watch::{batch_facts, batch_questions, index_questions},
            world::{root, World},
            Rng,
        },
        honest,
    },
    BatchStage, IndexStage,
};
use frame_support::{assert_ok, traits::fungible::Inspect};
use frame_system::RawOrigin;
use openledger_attribution::{
    bases::BasisLeaf,
    committee::{Claim, Computed, OwnSpectra, Subject, Vote},
    hash::NONE,
    sketch::{Sketch, SketchLeaf},
    verdict::{Asked as Kind, Guilt},
    voucher::Mode,
    wire::Object,
};
use openledger_protocol::committees::Ending;

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

/// Kinds of lies that [`plant`] knows.
const KINDS: u64 = 6;

/// A lie of this kind planted in the world; says about what it is.
fn plant(kind: u64, world: &mut World, rng: &mut Rng) -> Option<Subject> {
    // A batch may be empty.
    let paid = |world: &World, at: usize| {
        let receipt = world.settled.receipts.get(at);
        receipt.is_some_and(|receipt| receipt.fee > 0)
    };
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
        2 if paid(world, at) && world.answers[at].receipt.terms.mode == Mode::Verifiable => {
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
    let mut tally = Tally::new(&[Row::Recomputed], wanted(LIES));
    tally.fill("lies before committees", |seed, tally| {
        let honest = honest(seed);
        let mut rng = Rng(seed);
        for kind in 0..KINDS {
            let mut world = honest.clone();
            if let Some(subject) = plant(kind, &mut world, &mut rng) {
                refute(&honest, &world, subject);
                tally.add(Row::Recomputed, format!("{:?}", Kind::from(&subject)));
            }
        }
    });
    let kinds = tally.tried[&Row::Recomputed].len() as u64;
    assert_eq!(kinds, KINDS, "some lie was never told: {:?}", tally.tried);
}

/// Has a committee say what it makes of a lie about `subject`.
fn refute(honest: &World, world: &World, subject: Subject) {
    let guilt = Guilt::Recomputed((&subject).into());
    test(world, || {
        let index = world.index.header.hash();
        if let Some(question) = batch_questions(world)
            .into_iter()
            .find(|question| question.subject(0) == subject)
        {
            assert_ok!(submit(world));
            commit(&question);
            advance(1);
            assert_ok!(ask(&question));
        } else {
            let question = index_questions(world)
                .into_iter()
                .find(|question| question.subject(index) == subject)
                .unwrap();
            commit_index(index, &question);
            advance(1);
            assert_ok!(ask_index(index, &question));
        }
        let claim = outside(|o| o.hearings[0].claim.clone());
        let vote = verdict(honest, &subject, &claim);
        assert_eq!(vote, Vote::Wrong, "{subject:?}");
        end(0, Ending::Decided(vote));
        let stage = crate::Batches::<Test>::get(0).map(|batch| batch.stage);
        let bond = crate::IndexBonds::<Test>::get(index).unwrap().stage;
        assert!(
            stage == Some(BatchStage::Condemned { guilt }) || bond == IndexStage::Void { guilt },
            "{subject:?}"
        );
        assert_eq!(Balances::total_balance(&CHALLENGER), 1_000 * OPEN);
        outside(|o| assert!(o.slashed >= FLOOR));
    });
}

/// Questions about honest work, most with a bit changed, and committees that are honest: nobody who was right loses
/// anything, and each costs its deposit.
#[test]
fn forged_questions_about_honest_work_should_slash_nobody() {
    let mut tally = Tally::new(&[Row::Recomputed], wanted(FORGED));
    tally.fill("questions about honest work", |seed, tally| {
        let mut rng = Rng(seed);
        let world = World::new(seed, rng.chance(40));
        let index = world.index.header.hash();
        let (of_batch, of_index) = (batch_questions(&world), index_questions(&world));
        test(&world, || {
            assert_ok!(submit(&world));
            if world.is_sampled() {
                crate::tests::sampled::answer(&world);
            }
            let (height, treasury) = (System::block_number(), Balances::free_balance(TREASURY));
            let asked = 40;
            for n in 0..asked {
                assert_ok!(Balances::force_set_balance(
                    RawOrigin::Root.into(),
                    CHALLENGER,
                    1_000 * OPEN
                ));
                System::set_block_number(height);
                let opened = outside(|o| o.hearings.len());
                let kind = if n % 3 > 0 {
                    let question = forged(&of_batch, &mut rng);
                    commit(&question);
                    advance(1);
                    assert_ok!(ask(&question));
                    Kind::from(&question.subject(0))
                } else {
                    let question = forged(&of_index, &mut rng);
                    commit_index(index, &question);
                    advance(1);
                    assert_ok!(ask_index(index, &question));
                    Kind::from(&question.subject(index))
                };
                let was_heard = outside(|o| o.hearings.len()) > opened;
                if was_heard {
                    let hearing = outside(|o| o.hearings[opened].clone());
                    let vote = verdict(&world, &hearing.subject, &hearing.claim);
                    end(opened as u64, Ending::Decided(vote));
                }
                let what = if was_heard { "upheld" } else { "refused" };
                tally.add(Row::Recomputed, format!("{kind:?} {what}"));
                assert_eq!(Balances::total_balance(&CHALLENGER), 1_000 * OPEN - DEPOSIT);
            }
            outside(|o| assert_eq!(o.slashed, 0, "seed {seed}"));
            assert_eq!(Balances::free_balance(TREASURY) - treasury, asked * DEPOSIT);
            advance(WINDOW);
            assert_ok!(Attribution::settle(Some(CHALLENGER).into(), 0));
        });
    });
}

//! Challenges of honest work, and requests for all of it: none costs whoever is honest anything.

use super::{name, wanted, Row, Tally, FORGED, OF_BATCHES};
use crate::{
    mock::*,
    tests::common::{
        watch::{batch_evidence, flipped, index_evidence, requests, reveal},
        world::World,
        Rng,
    },
    BatchStage, Committed, Error, IndexBonds, IndexStage,
};
use frame_support::{
    assert_noop, assert_ok,
    traits::fungible::{Inspect, InspectHold},
};
use frame_system::RawOrigin;
use openledger_attribution::{
    hash::Hash,
    verdict::BatchEvidence,
    wire::{Field, Object},
};
use openledger_protocol::{batches::commitment, disputes::index_commitment};
use sp_runtime::DispatchResult;
use std::collections::BTreeMap;

const SALT: Hash = [5; 32];
/// Challenges of each row in one world.
const OF_A_WORLD: u32 = 25;

/// Some of this, and every second time with one bit turned over.
pub(super) fn forged<E: Field + Clone>(evidence: &[E], rng: &mut Rng) -> E {
    let evidence = &evidence[rng.below(evidence.len() as u64) as usize];
    let changed = rng.chance(50).then(|| flipped(evidence, rng.next())).flatten();
    changed.unwrap_or_else(|| evidence.clone())
}

fn by_row<E>(evidence: Vec<E>) -> BTreeMap<Row, Vec<E>>
where
    for<'a> Row: From<&'a E>,
{
    let mut rows: BTreeMap<Row, Vec<E>> = BTreeMap::new();
    for evidence in evidence {
        rows.entry(Row::from(&evidence)).or_default().push(evidence);
    }
    rows
}

/// Runs one accusation in a block of its own, at a height that stays; what it cost the challenger.
fn accuse(challenge: impl FnOnce() -> DispatchResult, prove: impl FnOnce() -> DispatchResult) -> u128 {
    assert_ok!(Balances::force_set_balance(
        RawOrigin::Root.into(),
        CHALLENGER,
        1_000 * OPEN
    ));
    let (height, before) = (System::block_number(), Balances::free_balance(TREASURY));
    assert_ok!(challenge());
    advance(1);
    assert_ok!(prove());
    System::set_block_number(height);
    System::reset_events();
    let lost = 1_000 * OPEN - Balances::total_balance(&CHALLENGER);
    assert_eq!(Balances::free_balance(TREASURY) - before, lost);
    lost
}

/// Challenges of honest batches, whole or sampled; half of them with a bit turned over.
fn challenge_batches(what: &str, sampled: bool) {
    let mut tally = Tally::new(&OF_BATCHES, wanted(FORGED / 2));
    tally.fill(what, |seed, tally| {
        let world = World::new(seed, sampled);
        let mut rng = Rng(seed);
        // What these say of signatures is tested with real keys elsewhere.
        let is_told = |evidence: &BatchEvidence| !matches!(evidence, BatchEvidence::Receipt(_));
        let evidence = by_row(batch_evidence(&world).into_iter().filter(is_told).collect());
        test(&world, || {
            assert_ok!(submit(&world));
            if sampled {
                crate::tests::sampled::answer(&world);
            }
            for (row, evidence) in &evidence {
                for _ in 0..OF_A_WORLD {
                    if !tally.wants(*row) {
                        break;
                    }
                    let evidence = forged(evidence, &mut rng);
                    let commitment = commitment(&CHALLENGER.into(), 0, &SALT, &evidence);
                    let lost = accuse(
                        || Attribution::challenge(Some(CHALLENGER).into(), 0, commitment),
                        || Attribution::prove(Some(CHALLENGER).into(), 0, SALT, Box::new(evidence.clone())),
                    );
                    assert_eq!(lost, DEPOSIT, "{evidence:?}");
                    let stage = crate::Batches::<Test>::get(0).unwrap().stage;
                    assert_eq!(stage, BatchStage::Open, "{evidence:?}");
                    tally.add(*row, name(&evidence));
                }
            }
            outside(|o| assert_eq!(o.slashed, 0));
            advance(WINDOW);
            assert_ok!(Attribution::settle(Some(CHALLENGER).into(), 0));
        });
    });
}

#[test]
fn an_honest_worker_should_lose_nothing_and_its_accuser_the_deposit() {
    challenge_batches("challenges of honest whole batches", false);
}

#[test]
fn an_honest_worker_of_sampled_batches_should_lose_nothing_and_its_accuser_the_deposit() {
    challenge_batches("challenges of honest sampled batches", true);
}

#[test]
fn an_honest_builder_should_lose_nothing_and_its_accuser_the_deposit() {
    let mut tally = Tally::new(&[Row::Score, Row::Index, Row::Suffixes], wanted(FORGED));
    tally.fill("challenges of honest indexes", |seed, tally| {
        let world = World::new(seed, false);
        let index = world.index.header.hash();
        let evidence = by_row(index_evidence(&world));
        let mut rng = Rng(seed);
        test(&world, || {
            for (row, evidence) in &evidence {
                for _ in 0..OF_A_WORLD {
                    if !tally.wants(*row) {
                        break;
                    }
                    let evidence = forged(evidence, &mut rng);
                    let commitment = index_commitment(&CHALLENGER.into(), &index, &SALT, &evidence);
                    let by = || Some(CHALLENGER).into();
                    let lost = accuse(
                        || Attribution::challenge_index(by(), index, commitment),
                        || Attribution::prove_index(by(), index, SALT, Box::new(evidence.clone())),
                    );
                    assert_eq!(lost, DEPOSIT, "{evidence:?}");
                    let stage = IndexBonds::<Test>::get(index).unwrap().stage;
                    assert_eq!(stage, IndexStage::Standing, "{evidence:?}");
                    tally.add(*row, name(&evidence));
                }
            }
            outside(|o| assert_eq!((o.slashed, o.voided.len()), (0, 0)));
        });
    });
}

/// Everything an honest holder committed to is asked for, shown and paid; what is shown with a bit changed is not taken.
#[test]
fn an_honest_holder_should_be_paid_for_all_it_is_asked_for() {
    let mut tally = Tally::new(&[Row::Withheld], wanted(FORGED));
    let mut changed = 0;
    tally.fill("requests answered by honest holders", |seed, tally| {
        let mut rng = Rng(seed);
        let world = World::new(seed, rng.chance(50));
        let index = Committed::Index(world.index.header.hash());
        test(&world, || {
            assert_ok!(submit(&world));
            if world.is_sampled() {
                crate::tests::sampled::answer(&world);
            }
            for (of, holder, of_index) in [
                (Committed::Batch(0), worker(&world), false),
                (index, builder(&world), true),
            ] {
                for wanted in requests(&world, of_index) {
                    let before = Balances::total_balance(&holder);
                    let by = || Some(CHALLENGER).into();
                    if Attribution::request_reveal(by(), of, wanted)
                        == Err(Error::<Test>::AlreadyAsked.into())
                    {
                        continue;
                    }
                    let right = reveal(&world, &wanted).unwrap();
                    let show =
                        |shown| Attribution::reveal(Some(MODEL_OWNER).into(), of, wanted, Box::new(shown));
                    if let Some(other) = flipped(&right, rng.next()).filter(|other| *other != right) {
                        assert_noop!(show(other), Error::<Test>::NotAnswered);
                        changed += 1;
                    }
                    assert_ok!(show(right.clone()));
                    assert_eq!(Balances::total_balance(&holder) - before, PRICE);
                    assert_noop!(show(right), Error::<Test>::NoRequest);
                    tally.add(Row::Withheld, name(&wanted));
                }
            }
            assert_eq!(Balances::total_balance_on_hold(&CHALLENGER), 0);
            outside(|o| assert_eq!(o.slashed, 0));
        });
    });
    println!("  and {changed} answers with a bit turned over refused");
}

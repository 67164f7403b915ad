//! Sampled batches.

use super::{
    common::{watch::Grove, world::World},
    seeds,
};
use crate::{mock::*, Error, Sample, Samples};
use frame_support::{assert_noop, assert_ok};
use openledger_attribution::tree::Root;
use sp_runtime::{AccountId32, DispatchResult};
use std::collections::BTreeMap;

fn sampled(seed: u64) -> World {
    World::new(seed, true)
}

fn give(world: &World) -> DispatchResult {
    Attribution::answer_draws(Some(worker(world)).into(), 0, Box::new(world.ledger.header))
}

/// Waits for the draw and answers it.
pub(crate) fn answer(world: &World) {
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

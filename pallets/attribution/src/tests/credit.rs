use super::{common::watch::Grove, honest, seeds};
use crate::{mock::*, tests::common::world::World, BatchStage, Error};
use frame_support::{assert_noop, assert_ok};
use std::collections::BTreeMap;

fn settled(world: &World) {
    assert_ok!(submit(world));
    advance(WINDOW);
    assert_ok!(Attribution::settle(Some(CHALLENGER).into(), 0));
}

#[test]
fn a_batch_should_be_settled_when_its_window_has_passed_and_not_before() {
    let world = honest(3);
    test(&world, || {
        assert_ok!(submit(&world));
        advance(WINDOW - 1);
        assert_noop!(
            Attribution::settle(Some(CHALLENGER).into(), 0),
            Error::<Test>::TooEarly
        );
        advance(1);
        assert_ok!(Attribution::settle(Some(CHALLENGER).into(), 0));
        assert_noop!(
            Attribution::settle(Some(CHALLENGER).into(), 0),
            Error::<Test>::WrongStage
        );
    });
}

#[test]
fn everyone_should_get_what_the_receipts_say_to_the_planck() {
    for seed in seeds(50) {
        let world = honest(seed);
        test(&world, || {
            settled(&world);
            let credits = Grove::new(&world.ledger.credits);
            let mut at = 0;
            let mut step = 1;
            while at < world.ledger.credits.len() {
                let end = (at + step).min(world.ledger.credits.len());
                assert_ok!(Attribution::credit(
                    Some(CHALLENGER).into(),
                    0,
                    credits.range(at, end)
                ));
                (at, step) = (end, step + 1);
            }
            let mut expected = BTreeMap::new();
            let mut pay = |who: sp_runtime::AccountId32, amount: u128| {
                if amount > 0 {
                    *expected.entry(who).or_insert(0) += amount;
                }
            };
            for leaf in &world.ledger.credits {
                pay(leaf.contributor.into(), leaf.amount);
            }
            let totals = world.settled.header.totals;
            pay(MODEL_OWNER, totals.owner);
            pay(worker(&world), totals.compute);
            let credited: u128 = world.ledger.credits.iter().map(|leaf| leaf.amount).sum();
            let fallback = totals.fallback + totals.stakers + totals.lineage + totals.contributors - credited;
            // Weights 3 and 1: the odd planck goes to the larger remainder.
            let second = (fallback + 1) / 4;
            pay(datanet_owner(1), fallback - second);
            pay(datanet_owner(2), second);
            outside(|o| {
                assert_eq!(o.credits, expected);
                assert_eq!(o.treasury, totals.platform);
                assert_eq!(o.escrowed, 0);
            });
        });
    }
}

#[test]
fn credits_should_be_paid_once_in_order_and_with_proof() {
    let world = seeds(500)
        .map(honest)
        .find(|world| world.ledger.credits.len() > 1)
        .unwrap();
    test(&world, || {
        settled(&world);
        let credits = Grove::new(&world.ledger.credits);
        let refused = |range| {
            assert_noop!(
                Attribution::credit(Some(CHALLENGER).into(), 0, range),
                Error::<Test>::BadCredits
            );
        };
        refused(credits.range(1, 2));
        let mut more = credits.range(0, 1);
        more.leaves[0].amount += 1;
        refused(more);
        let mut other = credits.range(0, 1);
        other.leaves[0].contributor = [1; 32];
        refused(other);
        assert_ok!(Attribution::credit(
            Some(CHALLENGER).into(),
            0,
            credits.range(0, 1)
        ));
        refused(credits.range(0, 1));
    });
}

#[test]
fn a_finished_batch_should_leave_the_state_after_its_retention() {
    let world = honest(3);
    test(&world, || {
        settled(&world);
        let all = world.ledger.credits.len();
        if all > 0 {
            advance(RETENTION);
            assert_noop!(
                Attribution::forget(Some(CHALLENGER).into(), 0),
                Error::<Test>::WrongStage
            );
            let credits = Grove::new(&world.ledger.credits).range(0, all);
            assert_ok!(Attribution::credit(Some(CHALLENGER).into(), 0, credits));
            assert_eq!(
                crate::Batches::<Test>::get(0).unwrap().stage,
                BatchStage::Settled { credited: all as u64 }
            );
        }
        advance(RETENTION);
        assert_ok!(Attribution::forget(Some(CHALLENGER).into(), 0));
        assert_eq!(Balances::reserved_balance(worker(&world)), 0);
        assert!(crate::Batches::<Test>::get(0).is_none());
    });
}

use super::{honest, seeds};
use crate::{mock::*, tests::common::world::World, BatchStage, Error};
use frame_support::{assert_noop, assert_ok, traits::fungible::InspectHold};
use openledger_attribution::wire::Object;

#[test]
fn an_honest_batch_should_be_taken_and_its_money_be_in_escrow() {
    for seed in seeds(50) {
        let world = honest(seed);
        test(&world, || {
            assert_ok!(submit(&world));
            let batch = crate::Batches::<Test>::get(0).unwrap();
            let sum = world.settled.header.receipts.sum;
            assert_eq!((batch.escrow, batch.stage), (sum, BatchStage::Open));
            assert_eq!(batch.exposure, (10 * sum).max(FLOOR));
            assert_eq!(Balances::total_balance_on_hold(&worker(&world)), OPEN);
        });
    }
}

#[test]
fn a_batch_should_be_refused_twice() {
    let world = honest(1);
    test(&world, || {
        assert_ok!(submit(&world));
        assert!(submit(&world).is_err(), "the cursors have moved");
    });
}

/// What a header may not say, each with everything else right.
#[test]
fn a_batch_should_be_refused_when_it_is_not_what_the_chain_knows() {
    type Lie = fn(&mut World);
    let lies: [(Error<Test>, Lie); 7] = [
        (Error::NotYours, |w| w.settled.header.worker = [1; 32]),
        (Error::Sampled, |w| w.settled.header.draws = 1),
        (Error::Minimum, |w| w.settled.header.minimum += 1),
        (Error::BadHeaders, |w| w.settled.header.totals.compute += 1),
        (Error::BadHeaders, |w| w.ledger.header.batch = [1; 32]),
        (Error::NoIndex, |w| {
            w.settled.header.index = [1; 32];
            w.ledger.header.batch = w.settled.header.hash();
        }),
        (Error::Tariff, |w| {
            w.settled.header.tariff.price_in += 1;
            w.ledger.header.batch = w.settled.header.hash();
        }),
    ];
    for (error, lie) in lies {
        let world = honest(7);
        test(&world, || {
            let mut bad = world.clone();
            lie(&mut bad);
            let claims = claims(&world).try_into().unwrap();
            assert_noop!(
                Attribution::submit_batch(
                    Some(worker(&world)).into(),
                    Box::new(bad.settled.header),
                    Box::new(bad.ledger.header),
                    claims,
                ),
                error
            );
        });
    }
}

#[test]
fn a_batch_should_be_refused_when_its_claims_are_not_its_channels() {
    let world = seeds(200)
        .map(honest)
        .find(|world| world.settled.channels.len() > 1)
        .unwrap();
    test(&world, || {
        let mut swapped = claims(&world);
        swapped.reverse();
        let mut cut = claims(&world);
        cut.pop();
        let mut more = claims(&world);
        more[0].leaf.to += 1;
        for wrong in [swapped, cut, more] {
            assert_noop!(
                Attribution::submit_batch(
                    Some(worker(&world)).into(),
                    Box::new(world.settled.header),
                    Box::new(world.ledger.header),
                    wrong.try_into().unwrap(),
                ),
                Error::<Test>::Claims
            );
        }
    });
}

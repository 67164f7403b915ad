//! Requests for data.

use super::{
    common::{watch::reveal as shown, world::World},
    honest, seeds,
};
use crate::{mock::*, BatchStage, Committed, Error, IndexBonds, IndexStage, OpenRequests, MAX_REQUESTS};
use frame_support::{
    assert_noop, assert_ok,
    traits::fungible::{Inspect, InspectHold},
};
use openledger_attribution::{
    verdict::{Guilt, Reveal, Wanted},
    wire::Object,
};
use sp_runtime::DispatchResult;

const BATCH: Committed = Committed::Batch(0);

fn index(world: &World) -> Committed {
    Committed::Index(world.index.header.hash())
}

fn ask(of: Committed, wanted: Wanted) -> DispatchResult {
    Attribution::request_reveal(Some(CHALLENGER).into(), of, wanted)
}

fn show(of: Committed, wanted: Wanted, reveal: Reveal) -> DispatchResult {
    Attribution::reveal(Some(MODEL_OWNER).into(), of, wanted, Box::new(reveal))
}

fn end(of: Committed, wanted: Wanted) -> DispatchResult {
    Attribution::end_request(Some(MODEL_OWNER).into(), of, wanted)
}

#[test]
fn what_is_withheld_should_condemn_its_holder_and_the_price_go_back() {
    for seed in seeds(6) {
        let world = honest(seed);
        test(&world, || {
            assert_ok!(submit(&world));
            let wanted = Wanted::Receipt(0);
            assert_ok!(ask(BATCH, wanted));
            advance(REVEAL);
            assert_noop!(end(BATCH, wanted), Error::<Test>::TooEarly);
            advance(1);
            let reveal = shown(&world, &wanted).unwrap();
            assert_noop!(show(BATCH, wanted, reveal), Error::<Test>::TooLate);
            assert_ok!(end(BATCH, wanted));
            let guilt = Guilt::Withheld;
            assert_eq!(
                crate::Batches::<Test>::get(0).unwrap().stage,
                BatchStage::Condemned { guilt }
            );
            assert_eq!(Balances::total_balance(&CHALLENGER), 1_000 * OPEN);
            assert_eq!(Balances::total_balance_on_hold(&CHALLENGER), 0);
            let totals = world.settled.header.totals;
            outside(|o| {
                assert_eq!(o.slashed, loss(&world, totals.contributors));
                assert_eq!(o.escrowed, 0);
                let paid: u128 = o.credits.values().sum::<u128>() + o.treasury;
                assert_eq!(paid, world.settled.header.receipts.sum);
            });
        });
    }
}

#[test]
fn what_is_withheld_of_an_index_should_void_it() {
    let world = honest(5);
    test(&world, || {
        let of = index(&world);
        assert_ok!(ask(of, Wanted::Row(0)));
        assert_ok!(ask(of, Wanted::Corpus(0)));
        advance(REVEAL + 1);
        assert_ok!(end(of, Wanted::Row(0)));
        let bond = IndexBonds::<Test>::get(world.index.header.hash()).unwrap();
        assert_eq!(
            bond.stage,
            IndexStage::Void {
                guilt: Guilt::Withheld
            }
        );
        outside(|o| assert_eq!((o.slashed, o.voided.len()), (STAKE, 1)));
        // The other request costs nobody anything more.
        assert_ok!(end(of, Wanted::Corpus(0)));
        outside(|o| assert_eq!(o.slashed, STAKE));
        assert_eq!(Balances::total_balance(&CHALLENGER), 1_000 * OPEN);
        assert_noop!(ask(of, Wanted::Row(0)), Error::<Test>::IndexVoid);
    });
}

#[test]
fn only_what_was_asked_for_should_answer() {
    let world = seeds(100)
        .map(honest)
        .find(|world| world.answers.len() > 1)
        .unwrap();
    test(&world, || {
        assert_ok!(submit(&world));
        let wanted = Wanted::Receipt(0);
        assert_noop!(
            show(BATCH, wanted, shown(&world, &wanted).unwrap()),
            Error::<Test>::NoRequest
        );
        assert_ok!(ask(BATCH, wanted));
        assert_noop!(ask(BATCH, wanted), Error::<Test>::AlreadyAsked);
        let other = shown(&world, &Wanted::Receipt(1)).unwrap();
        assert_noop!(show(BATCH, wanted, other), Error::<Test>::NotAnswered);
        let Some(Reveal::Receipt(mut changed)) = shown(&world, &wanted) else {
            panic!("a receipt")
        };
        changed.receipt.fee += 1;
        assert_noop!(
            show(BATCH, wanted, Reveal::Receipt(changed)),
            Error::<Test>::NotAnswered
        );
    });
}

#[test]
fn what_there_is_not_and_too_much_should_not_be_asked_for() {
    let world = honest(5);
    test(&world, || {
        assert_ok!(submit(&world));
        let receipts = world.settled.header.receipts.count;
        for (of, wanted) in [
            (BATCH, Wanted::Receipt(receipts)),
            (BATCH, Wanted::Row(0)),
            (BATCH, Wanted::Draw(0)),
            (index(&world), Wanted::Receipt(0)),
            (index(&world), Wanted::Row(world.index.header.rows.count)),
            (index(&world), Wanted::Suffixes((0, 0, crate::MAX_SUFFIXES + 1))),
            (index(&world), Wanted::Record(0)),
        ] {
            assert_noop!(ask(of, wanted), Error::<Test>::CannotAsk);
        }
        assert_noop!(
            ask(Committed::Batch(1), Wanted::Receipt(0)),
            Error::<Test>::NoBatch
        );
        assert_noop!(
            ask(Committed::Index([1; 32]), Wanted::Row(0)),
            Error::<Test>::NoIndex
        );
        for start in 0..u64::from(MAX_REQUESTS) {
            assert_ok!(ask(index(&world), Wanted::Suffixes((0, start, 1))));
        }
        assert_noop!(ask(index(&world), Wanted::Row(0)), Error::<Test>::TooManyRequests);
        assert_eq!(OpenRequests::<Test>::get(index(&world)), MAX_REQUESTS);
    });
}

#[test]
fn a_request_should_keep_a_batch_open_for_its_answer_and_a_challenge_and_no_longer() {
    let world = honest(5);
    test(&world, || {
        assert_ok!(submit(&world));
        advance(WINDOW - 1);
        let wanted = Wanted::Receipt(0);
        assert_ok!(ask(BATCH, wanted));
        advance(2);
        assert_noop!(ask(BATCH, Wanted::Channel(0)), Error::<Test>::TooLate);
        assert_noop!(
            Attribution::settle(Some(CHALLENGER).into(), 0),
            Error::<Test>::Disputed
        );
        advance(REVEAL - 2);
        assert_ok!(show(BATCH, wanted, shown(&world, &wanted).unwrap()));
        assert_noop!(
            Attribution::settle(Some(CHALLENGER).into(), 0),
            Error::<Test>::TooEarly
        );
        advance(REVEAL);
        assert_ok!(Attribution::challenge(Some(CHALLENGER).into(), 0, [1; 32]));
        advance(PROVE + 1);
        assert_ok!(Attribution::lapse(Some(CHALLENGER).into(), 0, CHALLENGER));
        assert_ok!(Attribution::settle(Some(CHALLENGER).into(), 0));
        assert_noop!(ask(BATCH, wanted), Error::<Test>::WrongStage);
    });
}

#[test]
fn a_holder_that_asks_itself_should_gain_nothing() {
    let world = honest(5);
    test(&world, || {
        assert_ok!(submit(&world));
        let before = Balances::total_balance(&worker(&world));
        let wanted = Wanted::Receipt(0);
        assert_ok!(Attribution::request_reveal(
            Some(worker(&world)).into(),
            BATCH,
            wanted
        ));
        assert_ok!(show(BATCH, wanted, shown(&world, &wanted).unwrap()));
        assert_eq!(Balances::total_balance(&worker(&world)), before);
        assert_eq!(Balances::total_balance_on_hold(&worker(&world)), OPEN);
    });
}

//! What becomes of the job.

use crate::{mock::*, Error, Event};
use frame_support::{
    assert_noop, assert_ok,
    traits::fungible::{Inspect, InspectHold},
};
use openledger_attribution::fee::{Fee, Parts};
use openledger_protocol::{
    compute::Outcome,
    inference::{output_hash, Stage},
};
use openledger_traits::OnOutcome;

const MOST: u128 = 10_000_000;

#[test]
fn an_answer_should_be_kept_and_paid_as_one_that_credits_no_row() {
    scenario(|| {
        assert_ok!(ask(&ASKER, "hello", 100, MOST, 11));
        System::set_block_number(7);
        assert_ok!(deliver(0, 101, &said(b"good day")));
        let output = b"good day".to_vec().try_into().unwrap();
        let hash = output_hash(&output);
        let fee = request(0).fee;
        assert_eq!(
            request(0).stage,
            Stage::Answered {
                worker: WORKER,
                output: output.clone(),
                hash,
                at: 7,
            }
        );
        assert_eq!(Inference::answer(0), Some(output));
        let computed = Fee {
            compute: 369_000,
            platform: 18_450,
        };
        let parts = Parts::of(computed, &TARIFF.split, false).unwrap();
        assert_eq!(parts.fallback, 369_000 * 35 / 100);
        assert_eq!(Divided::get(), [(MODEL, GENERATION, WORKER, parts)]);
        assert_eq!(Balances::total_balance(&POT), 1_000 + fee);
        assert_eq!(Balances::total_balance_on_hold(&ASKER), DEPOSIT);
        System::assert_last_event(
            Event::Answered {
                request: 0,
                worker: WORKER,
                hash,
                fee,
            }
            .into(),
        );
    });
}

#[test]
fn a_result_should_be_refused_when_it_is_no_answer_or_is_not_awaited() {
    scenario(|| {
        assert_ok!(ask(&ASKER, "hello", 100, MOST, 11));
        assert_noop!(deliver(0, 100, &said(b"x")), Error::<Test>::NotAwaited);
        assert_noop!(deliver(1, 101, &said(b"x")), Error::<Test>::NotAwaited);
        assert_noop!(deliver(0, 101, &said(&[0xFF])), Error::<Test>::BadAnswer);
        let adapter = Outcome::Trained {
            adapter: [1; 32],
            cid: Default::default(),
            loss_before: 0,
            loss_after: 0,
        };
        assert_noop!(deliver(0, 101, &adapter), Error::<Test>::BadAnswer);
        assert_ok!(deliver(0, 101, &said(b"")));
        assert_noop!(deliver(0, 101, &said(b"again")), Error::<Test>::NotAwaited);
        assert_eq!(Divided::get().len(), 1, "paid once");
    });
}

#[test]
fn a_fee_should_go_back_once_when_nobody_answers() {
    scenario(|| {
        assert_ok!(ask(&ASKER, "hello", 100, MOST, 11));
        let fee = request(0).fee;
        <Inference as OnOutcome<_>>::failed(99, &task(0));
        assert_eq!(request(0).stage, Stage::Waiting, "another job's end");
        System::set_block_number(12);
        <Inference as OnOutcome<_>>::failed(101, &task(0));
        System::assert_last_event(Event::Failed { request: 0, fee }.into());
        <Inference as OnOutcome<_>>::failed(101, &task(0));
        assert_eq!(request(0).stage, Stage::Failed { at: 12 });
        assert_eq!(Balances::total_balance_on_hold(&ASKER), DEPOSIT);
        assert_noop!(deliver(0, 101, &said(b"late")), Error::<Test>::NotAwaited);
        assert_eq!(Balances::total_balance(&ASKER), RICH);
        assert!(Divided::get().is_empty());
    });
}

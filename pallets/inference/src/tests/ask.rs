//! Asking.

use crate::{mock::*, Error, Event};
use frame_support::{assert_noop, assert_ok, traits::fungible::InspectHold};
use openledger_protocol::inference::{Stage, MAX_TOKENS, TEMPLATE_TOKENS};
use sp_runtime::{DispatchError, TokenError};

/// Five bytes and 100 tokens, by the formula on paper: ⌈(69 · 1 000 000 + 100 · 3 000 000) / 1000⌉ and 5 percent.
const FEE: u128 = 369_000 + 18_450;

#[test]
fn asking_should_hold_fee_and_deposit_and_order_a_job() {
    scenario(|| {
        assert_eq!(TEMPLATE_TOKENS, 64);
        assert_eq!(
            Inference::quote(MODEL, GENERATION, prompt("hello"), 100),
            Some(FEE)
        );
        assert_ok!(ask(&ASKER, "hello", 100, FEE, 11));
        assert_eq!(Balances::total_balance_on_hold(&ASKER), FEE + DEPOSIT);
        assert_eq!(Ordered::get(), [(task(0), None, 11)]);
        let stored = request(0);
        assert_eq!((stored.fee, stored.job, stored.stage), (FEE, 101, Stage::Waiting));
        System::assert_last_event(
            Event::Requested {
                request: 0,
                who: ASKER,
                model: MODEL,
                generation: GENERATION,
                fee: FEE,
                job: 101,
            }
            .into(),
        );
        assert_eq!(Inference::answer(0), None);
    });
}

#[test]
fn a_machine_that_is_named_should_be_ordered() {
    scenario(|| {
        assert_ok!(Inference::request_inference(
            RuntimeOrigin::signed(ASKER),
            MODEL,
            GENERATION,
            prompt("hello"),
            100,
            Some(machine()),
            FEE,
            11
        ));
        assert_eq!(Ordered::get()[0].1, Some(machine()));
        assert_eq!(request(0).machine, Some(machine()));
    });
}

#[test]
fn asking_should_be_refused_with_the_reason() {
    scenario(|| {
        type E = Error<Test>;
        assert_noop!(ask(&ASKER, "", 100, FEE, 11), E::BadPrompt);
        assert_noop!(ask(&ASKER, "hello", 0, FEE, 11), E::BadLength);
        assert_noop!(ask(&ASKER, "hello", MAX_TOKENS + 1, FEE, 11), E::BadLength);
        assert_noop!(ask(&ASKER, "hello", 100, FEE - 1, 11), E::TooExpensive);
        assert_noop!(ask(&ASKER, "hello", 100, FEE, 10), E::DeadlineTooSoon);
        assert_noop!(ask(&ASKER, "hello", 100, FEE, 102), E::DeadlineTooLate);
        assert_noop!(ask(&POOR, "hello", 100, FEE, 11), TokenError::FundsUnavailable);
        let bytes = |bytes: &[u8]| {
            Inference::request_inference(
                RuntimeOrigin::signed(ASKER),
                MODEL,
                GENERATION,
                bytes.to_vec().try_into().unwrap(),
                1,
                None,
                FEE,
                11,
            )
        };
        assert_noop!(bytes(&[0xFF, 0xFE]), E::BadPrompt);
        assert_noop!(
            Inference::request_inference(
                RuntimeOrigin::signed(ASKER),
                MODEL,
                GENERATION + 1,
                prompt("hello"),
                1,
                None,
                FEE,
                11
            ),
            E::NotServed
        );
        assert_noop!(
            Inference::request_inference(
                RuntimeOrigin::root(),
                MODEL,
                GENERATION,
                prompt("hello"),
                1,
                None,
                FEE,
                11
            ),
            DispatchError::BadOrigin
        );
        Serves::set(&false);
        assert_noop!(ask(&ASKER, "hello", 100, FEE, 11), E::NotServed);
        assert!(Ordered::get().is_empty());
    });
}

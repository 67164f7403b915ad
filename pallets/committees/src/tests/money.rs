//! Who pays whom.

use crate::{mock::*, Cases, Ending};
use frame_support::{assert_ok, storage::with_storage_layer, traits::fungible::InspectHold};
use openledger_attribution::committee::Vote;
use openledger_traits::Committees as _;
use Says::{Right, Wrong};

fn held() -> u128 {
    Balances::total_balance_on_hold(&PAYER)
}

#[test]
fn a_payer_should_hold_both_rounds_and_pay_what_was_needed() {
    test(|| {
        members(9);
        let case = open(private());
        assert_eq!(held(), 15 * PRICE);
        round(case, &[Right, Right, Right, Right, Wrong(1)]);
        assert_eq!(held(), 0);
        assert_eq!(Balances::free_balance(PAYER), 1_000 * OPEN - 4 * PRICE);
        assert_eq!(bond(&ACCUSED), BOND, "it was right");
    });
}

#[test]
fn an_accused_that_loses_should_pay_what_the_members_cost() {
    test(|| {
        members(9);
        let case = open(private());
        round(case, &vec![Wrong(1); 5]);
        assert_eq!(ending(), Some(Ending::Decided(Vote::Wrong)));
        assert_eq!(Balances::free_balance(PAYER), 1_000 * OPEN);
        assert_eq!(bond(&ACCUSED), BOND - 5 * PRICE);
    });
}

#[test]
fn an_audit_should_be_paid_out_of_the_workers_bond() {
    test(|| {
        members(9);
        let mut audit = hearing(private());
        audit.payer = ACCUSED;
        audit.audit = Some(([3; 32], System::block_number() as u32));
        let case = Committees::open(audit).unwrap();
        Committees::seat(Some(PAYER).into(), case).unwrap();
        let all = sitting(case);
        for who in &all {
            commit(case, who, &Right).unwrap();
        }
        for who in &all {
            reveal(case, who, &Right).unwrap();
        }
        assert_ok!(close(case));
        assert_eq!(bond(&ACCUSED), BOND - 5 * PRICE);
        assert_eq!(Balances::free_balance(ACCUSED), 1_000 * OPEN);
        assert!(all.iter().all(|who| Balances::free_balance(who) == PRICE));
    });
}

#[test]
fn who_cannot_pay_should_not_open_a_case() {
    test(|| {
        members(9);
        let mut poor = hearing(private());
        poor.payer = nth(77);
        assert!(with_storage_layer(|| Committees::open(poor)).is_err());
        assert_eq!(Cases::<Test>::iter().count(), 0);
    });
}

#[test]
fn who_unbonds_after_it_was_seated_should_still_answer() {
    test(|| {
        members(5);
        let case = open(private());
        let all = seat(case);
        // Everything of its bond but the stake is gone.
        workers(|list| list.get_mut(&all[0]).unwrap().bond = STAKE);
        for (n, who) in all.iter().enumerate() {
            commit(case, who, if n == 0 { &Wrong(1) } else { &Right }).unwrap();
        }
        for (n, who) in all.iter().enumerate() {
            reveal(case, who, if n == 0 { &Wrong(1) } else { &Right }).unwrap();
        }
        assert_ok!(close(case));
        assert_eq!(bond(&all[0]), 0);
    });
}

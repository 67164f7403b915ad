//! What the staking system mints is taken back from the payable account.

use crate::{mock::*, Deficit, Event, Granted, SettleFromPayable};
use frame_support::traits::{
    fungible::{Balanced, Mutate},
    tokens::Preservation,
    OnUnbalanced,
};

#[test]
fn every_claim_should_be_paid_from_the_payable_account() {
    new_test_ext().execute_with(|| {
        run_to_era(3);
        let supply = Balances::total_issuance();
        for era in 0..3 {
            let budget = pallet_staking::ErasValidatorReward::<Test>::get(era).unwrap();
            let before = Rewards::payable();
            for validator in [1, 2] {
                for page in 0..3 {
                    // Some pages do not exist.
                    let _ = Staking::payout_stakers_by_page(RuntimeOrigin::signed(7), validator, era, page);
                    assert_sound(supply);
                }
            }
            let paid = before - Rewards::payable();
            // Shares are in billionths, rounded: the loss is less than a billionth for each of the ten payments.
            assert!(paid <= budget + 10 && budget - paid.min(budget) <= budget / 100_000_000, "{paid} of {budget}");
        }
    });
}

fn mint_debt(amount: Balance) -> frame_support::traits::fungible::Debt<AccountId, Balances> {
    Balances::deposit(&1, amount, frame_support::traits::tokens::Precision::Exact).unwrap()
}

#[test]
fn a_short_payable_account_should_be_helped_by_the_pot() {
    let mut ext = new_test_ext();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        ext.execute_with(|| {
            let supply = Balances::total_issuance();
            SettleFromPayable::<Test>::on_unbalanced(mint_debt(5_000));
            System::assert_last_event(Event::PayableShort { missing: 5_000, unpaid: 0 }.into());
            assert_eq!(Granted::<Test>::get(), 5_000);
            assert_sound(supply);
        })
    }));
    // With debug assertions `defensive!` panics, which is its point; without them the money must be right.
    assert_eq!(outcome.is_err(), cfg!(debug_assertions));
}

#[test]
fn the_treasury_should_stand_behind_the_pot() {
    let mut ext = new_test_ext();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        ext.execute_with(|| {
            let supply = Balances::total_issuance();
            let pot = Rewards::pot();
            Rewards::grant(RuntimeOrigin::root(), 2, pot).unwrap();
            let treasury = Balances::free_balance(TREASURY);
            SettleFromPayable::<Test>::on_unbalanced(mint_debt(5_000));
            assert_eq!(Balances::free_balance(TREASURY), treasury - 5_000);
            assert_sound(supply);
        })
    }));
    assert_eq!(outcome.is_err(), cfg!(debug_assertions));
}

#[test]
fn a_debt_that_nobody_can_pay_should_be_recorded() {
    let mut ext = new_test_ext();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        ext.execute_with(|| {
            let supply = Balances::total_issuance();
            Rewards::grant(RuntimeOrigin::root(), 2, Rewards::pot()).unwrap();
            Balances::transfer(&TREASURY, &2, Balances::free_balance(TREASURY), Preservation::Expendable).unwrap();
            SettleFromPayable::<Test>::on_unbalanced(mint_debt(5_000));
            assert_eq!(Deficit::<Test>::get(), 5_000);
            System::assert_last_event(Event::PayableShort { missing: 5_000, unpaid: 5_000 }.into());
            // Said, not hidden: the supply is larger, and `try_state` fails.
            assert_eq!(Balances::total_issuance(), supply + 5_000);
            assert!(Rewards::do_try_state().is_err());
        })
    }));
    assert_eq!(outcome.is_err(), cfg!(debug_assertions));
}

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
        for era in 0..3 {
            let budget = pallet_staking::ErasValidatorReward::<Test>::get(era).unwrap();
            let before = Rewards::payable();
            assert!(claim_all(era) >= 4);
            let paid = before - Rewards::payable();
            // Fractions are in billionths, rounded down, so that each of the ten payments can lose a billionth of the era;
            // rounding to the nearest planck can add a few planck.
            assert!(
                paid <= budget + 10 && budget - paid.min(budget) <= budget / 100_000_000,
                "{paid} of {budget}"
            );
        }
    });
}

#[test]
fn a_claim_by_a_validator_with_commission_should_be_paid_whole() {
    new_test_ext().execute_with(|| {
        for (validator, percent) in [(1, 13), (2, 100)] {
            let prefs = pallet_staking::ValidatorPrefs {
                commission: sp_runtime::Perbill::from_percent(percent),
                blocked: false,
            };
            Staking::validate(RuntimeOrigin::signed(validator), prefs).unwrap();
        }
        // The first era planned with these terms.
        run_to_era(3);
        let budget = pallet_staking::ErasValidatorReward::<Test>::get(2).unwrap();
        let before = Rewards::payable();
        claim_all(2);
        let paid = before - Rewards::payable();
        assert!(
            paid <= budget + 10 && budget - paid.min(budget) <= budget / 100_000_000,
            "{paid} of {budget}"
        );
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
            let pot = Rewards::pot();
            SettleFromPayable::<Test>::on_unbalanced(mint_debt(5_000));
            System::assert_last_event(
                Event::PayableShort {
                    missing: 5_000,
                    unpaid: 0,
                }
                .into(),
            );
            assert_eq!(Rewards::pot(), pot - 5_000);
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
            Balances::transfer(
                &TREASURY,
                &2,
                Balances::free_balance(TREASURY),
                Preservation::Expendable,
            )
            .unwrap();
            SettleFromPayable::<Test>::on_unbalanced(mint_debt(5_000));
            assert_eq!(Deficit::<Test>::get(), 5_000);
            System::assert_has_event(
                Event::PayableShort {
                    missing: 5_000,
                    unpaid: 5_000,
                }
                .into(),
            );
            // Said, not hidden: the supply is larger, and `try_state` fails.
            assert_eq!(Balances::total_issuance(), supply + 5_000);
            assert!(Rewards::do_try_state().is_err());
        })
    }));
    assert_eq!(outcome.is_err(), cfg!(debug_assertions));
}

#[test]
fn a_deficit_should_be_repaid_from_the_pot_when_the_next_era_ends() {
    new_test_ext().execute_with(|| {
        let supply = Balances::total_issuance();
        // As an unpaid debt leaves it: an account has what nobody gave.
        Balances::mint_into(&1, 5_000).unwrap();
        Deficit::<Test>::put(5_000);
        let (amount, _) = <Rewards as sp_staking::EraPayout<Balance>>::era_payout(0, 0, ERA * BLOCK_MILLIS);
        assert!(amount > 0);
        System::assert_has_event(Event::DeficitRepaid { amount: 5_000 }.into());
        assert_eq!(Deficit::<Test>::get(), 0);
        assert_eq!(Granted::<Test>::get(), 5_000);
        assert_sound(supply);
    });
}

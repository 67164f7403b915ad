//! What nobody claims goes back to the pot when its era leaves the history.

use crate::{mock::*, Eras, Event};

fn expired() -> Vec<(u32, Balance)> {
    System::events()
        .into_iter()
        .filter_map(|record| match record.event {
            RuntimeEvent::Rewards(Event::EraExpired { era, amount }) => Some((era, amount)),
            _ => None,
        })
        .collect()
}

/// Runs until `era` has been returned, and says how much.
fn run_until_expired(era: u32) -> Balance {
    for active in 1..100 {
        run_to_era(active);
        // Planning happens one session before the era becomes active: look at every block from here.
        for _ in 0..ERA {
            if let Some((_, amount)) = expired().into_iter().find(|(e, _)| *e == era) {
                return amount;
            }
            step();
        }
    }
    panic!("era {era} never expired");
}

#[test]
fn an_unclaimed_era_should_return_whole() {
    new_test_ext().execute_with(|| {
        run_to_era(1);
        let budget = pallet_staking::ErasValidatorReward::<Test>::get(0).unwrap();
        assert_eq!(run_until_expired(0), budget);
        assert_eq!(pallet_staking::ErasValidatorReward::<Test>::get(0), None);
    });
}

#[test]
fn a_claimed_era_should_return_only_rounding() {
    new_test_ext().execute_with(|| {
        run_to_era(1);
        let budget = pallet_staking::ErasValidatorReward::<Test>::get(0).unwrap();
        claim_all(0);
        // Two shares rounded down to billionths.
        assert!(run_until_expired(0) <= budget / 400_000_000);
    });
}

#[test]
fn an_era_claimed_by_validators_who_were_never_elected_should_not_return_again() {
    new_test_ext().execute_with(|| {
        run_to_era(1);
        // As for a genesis set without an election: points, but no exposure.
        for validator in [1, 2] {
            pallet_staking::ErasStakersOverview::<Test>::remove(0, validator);
        }
        let budget = pallet_staking::ErasValidatorReward::<Test>::get(0).unwrap();
        let before = Rewards::payable();
        assert_eq!(claim_all(0), 2);
        let paid = before - Rewards::payable();
        assert!(budget - paid <= budget / 400_000_000);
        assert!(run_until_expired(0) <= budget / 400_000_000);
    });
}

#[test]
fn a_half_claimed_era_should_return_the_other_half_and_leave_enough() {
    new_test_ext().execute_with(|| {
        run_to_era(1);
        let budget = pallet_staking::ErasValidatorReward::<Test>::get(0).unwrap();
        let before = Rewards::payable();
        // One page of validator 1, nothing of validator 2.
        Staking::payout_stakers_by_page(RuntimeOrigin::signed(7), 1, 0, 0).unwrap();
        let paid = before - Rewards::payable();
        let (unclaimed, validators) = <crate::staking::StakingEras<Test> as Eras<Balance>>::unclaimed(0);
        assert_eq!(validators, 2);
        let rounding = budget / 100_000_000;
        assert!(
            (paid + unclaimed).abs_diff(budget) <= rounding,
            "{paid} + {unclaimed} of {budget}"
        );
        assert!(run_until_expired(0).abs_diff(unclaimed) <= 1);
    });
}

#[test]
fn later_eras_should_still_be_claimable_after_one_expired() {
    new_test_ext().execute_with(|| {
        run_until_expired(1);
        let current = pallet_staking::CurrentEra::<Test>::get().unwrap();
        let claims: u32 = (current - HISTORY..current).map(claim_all).sum();
        assert!(claims >= 4 * (HISTORY - 1), "{claims} claims");
    });
}

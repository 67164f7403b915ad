//! What the payable account holds beyond all claims goes back to the pot.

use crate::{mock::*, Auditing, Eras, Event, AUDIT_LOOKUPS, ROUNDING_RESERVE};
use frame_support::traits::{fungible::Mutate, tokens::Preservation};
use pallet_staking::{ErasRewardPoints, ErasValidatorReward, RewardDestination};
use sp_runtime::Percent;

/// The spare money that this block's session returned.
fn spare() -> Balance {
    System::events()
        .into_iter()
        .filter_map(|record| match record.event {
            RuntimeEvent::Rewards(Event::SpareReturned { amount }) => Some(amount),
            _ => None,
        })
        .sum()
}

#[test]
fn a_reward_that_a_staker_declined_should_return_to_the_pot() {
    new_test_ext().execute_with(|| {
        run_to_era(1);
        Staking::set_payee(RuntimeOrigin::signed(2), RewardDestination::None).unwrap();
        Staking::set_payee(RuntimeOrigin::signed(12), RewardDestination::None).unwrap();
        let budget = ErasValidatorReward::<Test>::get(0).unwrap();
        let before = Rewards::payable();
        claim_all(0);
        let declined = budget - (before - Rewards::payable());
        assert!(declined > budget / 10, "{declined} of {budget}");
        let room = Balance::from(ROUNDING_RESERVE) * 2;
        run_to_session();
        assert!(spare().abs_diff(declined) <= room, "{} of {declined}", spare());
    });
}

#[test]
fn a_reward_to_an_account_that_it_cannot_open_should_return_to_the_pot() {
    new_test_ext().execute_with(|| {
        run_to_era(1);
        Staking::set_payee(RuntimeOrigin::signed(12), RewardDestination::Account(77)).unwrap();
        // So small an era that the nominator's part is less than the existential deposit.
        let supply = Balances::total_issuance();
        ErasValidatorReward::<Test>::insert(0, 1_500);
        claim_all(0);
        assert_eq!(Balances::free_balance(77), 0);
        run_to_session();
        assert!(spare() > 0);
        assert_sound(supply);
    });
}

#[test]
fn what_a_cap_on_rewards_takes_off_should_return_to_the_pot_unminted() {
    new_test_ext().execute_with(|| {
        let supply = Balances::total_issuance();
        pallet_staking::MaxStakedRewards::<Test>::put(Percent::from_percent(40));
        let pot = Rewards::pot();
        run_to_era(1);
        let capped = ErasValidatorReward::<Test>::get(0).unwrap();
        assert_eq!(capped, Percent::from_percent(40) * Rewards::emitted());
        run_to_session();
        let left = pot - Rewards::pot();
        assert!(
            left - capped <= 3 * Balance::from(ROUNDING_RESERVE),
            "{left} left the pot for {capped}"
        );
        assert_sound(supply);
    });
}

#[test]
fn a_gift_to_the_payable_account_should_end_in_the_pot() {
    new_test_ext().execute_with(|| {
        run_to_era(1);
        run_to_session();
        let pot = Rewards::pot();
        Balances::transfer(
            &1,
            &Rewards::payable_account(),
            5_000_000_000,
            Preservation::Preserve,
        )
        .unwrap();
        run_to_session();
        // What the eras had for rounding may stay.
        let returned = Rewards::pot() - pot;
        assert_eq!(returned, spare());
        assert!((3_000_000_000..=5_000_000_000).contains(&returned), "{returned}");
    });
}

#[test]
fn a_count_of_many_validators_should_take_several_sessions_and_be_right() {
    new_test_ext().execute_with(|| {
        run_to_era(3);
        run_to_session();
        // More validators than a session looks at have points in each era that can be claimed.
        for era in 0..3 {
            ErasRewardPoints::<Test>::mutate(era, |points| {
                for who in 0..AUDIT_LOOKUPS {
                    points.total += 20;
                    points.individual.insert(1_000 + AccountId::from(who), 20);
                }
            });
            let (unclaimed, looked) = crate::staking::StakingEras::<Test>::unclaimed(era);
            assert_eq!(looked, AUDIT_LOOKUPS + 2);
            // Every share is rounded to the nearest planck, so their sum can be a little more than the budget.
            let budget = ErasValidatorReward::<Test>::get(era).unwrap();
            assert!(unclaimed.abs_diff(budget) <= looked.into());
        }
        Balances::transfer(
            &1,
            &Rewards::payable_account(),
            8_500_000_000,
            Preservation::Preserve,
        )
        .unwrap();
        for counted in 1..=3 {
            run_to_session();
            assert_eq!(Auditing::<Test>::get().unwrap().next, counted);
            assert_eq!(spare(), 0, "returned before everything was counted");
        }
        // An era that was dropped while a count went on still counts as owed. Once the crowded eras have left the history,
        // a count fits one session again, and sees everything as it is.
        let mut returned = 0;
        for _ in 0..24 {
            run_to_session();
            returned += spare();
        }
        assert!(returned > 0, "never returned");
    });
}

#[test]
fn a_session_should_count_its_work_in_the_weight_of_the_block() {
    use crate::WeightInfo;
    use frame_support::{dispatch::DispatchClass, weights::Weight};
    new_test_ext().execute_with(|| {
        // The history is full, so that a session looks at the oldest era and at all others.
        run_to_era(HISTORY + 1);
        let counted = || *System::block_weight().get(DispatchClass::Mandatory);
        loop {
            let before = counted();
            step();
            let eras = crate::staking::StakingEras::<Test>::claimable().unwrap();
            if System::block_number().is_multiple_of(SESSION) {
                // Two validators in each era that has ended, and the era itself.
                let ended = eras.end() - eras.start();
                let mut expected =
                    <() as WeightInfo>::return_expired(2) + <() as WeightInfo>::audit(3 * ended + 1);
                if System::events()
                    .iter()
                    .any(|r| matches!(r.event, RuntimeEvent::Rewards(Event::EraFunded { .. })))
                {
                    expected += <() as WeightInfo>::fund_era();
                }
                assert_eq!(counted() - before, expected);
                if ended == HISTORY {
                    break;
                }
            } else {
                assert_eq!(counted() - before, Weight::zero());
            }
        }
    });
}

//! An era's end moves its budget.

use crate::{mock::*, schedule, EmissionTime, Event, Released, ROUNDING_RESERVE};
use sp_staking::EraPayout;

#[test]
fn an_era_should_be_funded_by_its_length() {
    new_test_ext().execute_with(|| {
        run_to_era(1);
        let budget = pallet_staking::ErasValidatorReward::<Test>::get(0).unwrap();
        assert_eq!(budget, schedule::emitted(POT, EmissionTime::<Test>::get()));
        assert!(budget > 0);
        // The account is opened once; rounding has room each time.
        assert_eq!(
            Rewards::payable(),
            budget + 1_000 + Balance::from(ROUNDING_RESERVE)
        );
        let first = Rewards::payable();
        run_to_era(2);
        let second = pallet_staking::ErasValidatorReward::<Test>::get(1).unwrap();
        assert_eq!(
            Rewards::payable() - first,
            second + Balance::from(ROUNDING_RESERVE)
        );
        assert_eq!(Released::<Test>::get(), Rewards::payable());
    });
}

#[test]
fn a_stalled_era_should_be_paid_for_twice_its_length() {
    new_test_ext().execute_with(|| {
        let nominal = ERA * BLOCK_MILLIS;
        let (amount, rest) = <Rewards as EraPayout<Balance>>::era_payout(0, 0, 1_000 * nominal);
        assert_eq!((amount, rest), (schedule::emitted(POT, 2 * nominal), 0));
        assert_eq!(EmissionTime::<Test>::get(), 2 * nominal);
        System::assert_last_event(
            Event::EraFunded {
                millis: 2 * nominal,
                amount,
                reserve: 1_000 + Balance::from(ROUNDING_RESERVE),
            }
            .into(),
        );
    });
}

#[test]
fn an_empty_pot_should_promise_nothing() {
    new_test_ext().execute_with(|| {
        Rewards::grant(RuntimeOrigin::root(), 1, Rewards::pot()).unwrap();
        let supply = Balances::total_issuance();
        let (amount, _) = <Rewards as EraPayout<Balance>>::era_payout(0, 0, ERA * BLOCK_MILLIS);
        assert_eq!(amount, 0);
        assert_sound(supply);
    });
}

#[test]
#[should_panic(expected = "the pot account holds")]
fn genesis_should_refuse_a_pot_that_is_not_there() {
    use frame_support::traits::BuildGenesisConfig;
    sp_io::TestExternalities::default().execute_with(|| crate::GenesisConfig::<Test> { pot: 1 }.build());
}

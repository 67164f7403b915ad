//! Eras on the development preset: validators are paid from the pot and the supply never moves.

use crate::chain::*;
use frame_support::traits::fungible::Inspect as _;
use openledger_runtime::*;
use serde_json::json;
use sp_keyring::Sr25519Keyring::{Alice, Bob};

#[test]
fn an_era_should_be_paid_from_the_pot() {
    chain("development", json!({})).execute_with(|| {
        let pot = || Balances::total_balance(&Rewards::pot_account());
        let before = pot();
        // Two eras of three sessions of twenty blocks.
        run_to(150);
        let era = pallet_staking::ActiveEra::<Runtime>::get().unwrap().index;
        assert!(era >= 2, "era {era}");
        let budget = pallet_staking::ErasValidatorReward::<Runtime>::get(1).unwrap();
        assert!(budget > 0);
        assert!(pot() <= before - budget);

        let stash = Alice.to_account_id();
        let had = Balances::total_balance(&stash);
        let call = pallet_staking::Call::payout_stakers {
            validator_stash: stash.clone(),
            era: 1,
        };
        let outcome = next_block(vec![signed(Bob, RuntimeCall::Staking(call))]);
        outcome[0].unwrap().unwrap();
        assert_supply();
        let paid = Balances::total_balance(&stash) - had;
        // Alice also earned the author's part of Bob's fee; the era's reward is far larger.
        assert!(
            paid >= budget - 2 && paid < budget + currency::OPEN,
            "paid {paid} of {budget}"
        );

        // A second claim pays nothing.
        let call = pallet_staking::Call::payout_stakers {
            validator_stash: stash,
            era: 1,
        };
        assert!(next_block(vec![signed(Bob, RuntimeCall::Staking(call))])[0]
            .unwrap()
            .is_err());
        assert_supply();
    });
}

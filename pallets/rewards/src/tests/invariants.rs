//! Whatever people do: nothing is minted, nothing is lost, and everybody who can claim is paid.

use crate::{mock::*, schedule, EmissionTime, Granted, InitialPot, Released};
use frame_support::traits::{fungible::Mutate, tokens::Preservation};
use pallet_staking::{CurrentEra, RewardDestination, ValidatorPrefs};
use proptest::prelude::*;
use sp_runtime::Perbill;

/// What somebody does between two blocks.
#[derive(Clone, Debug)]
enum Act {
    Blocks(u8),
    Claim {
        validator: AccountId,
        back: u32,
        page: u32,
    },
    Payee {
        staker: usize,
        kind: u8,
    },
    Commission {
        validator: AccountId,
        parts: u32,
    },
    Grant {
        amount: Balance,
    },
    Gift {
        payable: bool,
        amount: Balance,
    },
    Unbond {
        nominator: AccountId,
        amount: Balance,
    },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (1u8..25).prop_map(Act::Blocks),
        8 => (1u128..=2, 0u32..6, 0u32..4).prop_map(|(validator, back, page)| Act::Claim { validator, back, page }),
        1 => (0usize..5, 0u8..4).prop_map(|(staker, kind)| Act::Payee { staker, kind }),
        1 => (1u128..=2, 0u32..=1_000_000_000).prop_map(|(validator, parts)| Act::Commission { validator, parts }),
        1 => (0u128..1_000_000_000_000_000_000).prop_map(|amount| Act::Grant { amount }),
        1 => (any::<bool>(), 0u128..1_000_000_000).prop_map(|(payable, amount)| Act::Gift { payable, amount }),
        1 => (11u128..=13, 1u128..100_000_000).prop_map(|(nominator, amount)| Act::Unbond { nominator, amount }),
    ]
}

/// Does `act`. Refusals are as good as successes here: only what the money does matters.
fn perform(act: &Act) {
    let supply = Balances::total_issuance();
    match *act {
        Act::Blocks(n) => (0..n).for_each(|_| step()),
        Act::Claim {
            validator,
            back,
            page,
        } => {
            let era = CurrentEra::<Test>::get().unwrap_or(0).saturating_sub(back);
            let _ = Staking::payout_stakers_by_page(RuntimeOrigin::signed(7), validator, era, page);
        }
        Act::Payee { staker, kind } => {
            let payee = match kind {
                0 => RewardDestination::Staked,
                1 => RewardDestination::Stash,
                2 => RewardDestination::None,
                _ => RewardDestination::Account(500 + staker as AccountId),
            };
            let _ = Staking::set_payee(RuntimeOrigin::signed([1, 2, 11, 12, 13][staker]), payee);
        }
        Act::Commission { validator, parts } => {
            let prefs = ValidatorPrefs {
                commission: Perbill::from_parts(parts),
                blocked: false,
            };
            let _ = Staking::validate(RuntimeOrigin::signed(validator), prefs);
        }
        Act::Grant { amount } => {
            let _ = Rewards::grant(RuntimeOrigin::root(), 900, amount);
        }
        Act::Gift { payable, amount } => {
            let to = if payable {
                Rewards::payable_account()
            } else {
                Rewards::pot_account()
            };
            let _ = Balances::transfer(&1, &to, amount, Preservation::Preserve);
        }
        Act::Unbond { nominator, amount } => {
            let _ = Staking::unbond(RuntimeOrigin::signed(nominator), amount);
        }
    }
    assert_sound(supply);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_life_should_keep_the_supply_and_pay_every_claim(acts in prop::collection::vec(act(), 10..60)) {
        new_test_ext().execute_with(|| {
            let supply = Balances::total_issuance();
            acts.iter().for_each(perform);
            // Everybody comes at once for everything.
            let current = CurrentEra::<Test>::get().unwrap_or(0);
            for era in current.saturating_sub(HISTORY)..=current {
                claim_all(era);
            }
            assert_sound(supply);
            assert_eq!(Rewards::emitted(), schedule::emitted(POT, EmissionTime::<Test>::get()));
        });
    }
}

#[test]
fn the_pot_should_hold_to_the_planck_what_did_not_leave_it() {
    new_test_ext().execute_with(|| {
        for era in 1..8 {
            run_to_era(era);
            if era % 2 == 0 {
                claim_all(era - 1);
            }
            Rewards::grant(RuntimeOrigin::root(), 900, 12_345).unwrap();
            let pot = Balances::free_balance(Rewards::pot_account());
            assert_eq!(
                pot + Released::<Test>::get() + Granted::<Test>::get(),
                InitialPot::<Test>::get()
            );
        }
    });
}

#[test]
fn the_pot_and_the_payable_account_should_differ() {
    use frame_support::traits::IntegrityTest;
    assert_ne!(Rewards::pot_account(), Rewards::payable_account());
    <Rewards as IntegrityTest>::integrity_test();
}

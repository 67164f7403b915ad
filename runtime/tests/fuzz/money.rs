//! Moves of accounts, validators and governance.

use crate::{
    play::{Move, Play, Sender, Try},
    random::amount,
};
use openledger_runtime::{currency::OPEN, *};

pub(crate) const MOVES: &[(u64, Move)] = &[
    (4, transfer),
    (1, burn),
    (1, bond),
    (1, nominate),
    (1, unbond),
    (1, chill),
    (1, payout),
    (1, join_pool),
    (1, add_proxy),
    (1, proxied),
    (1, grant),
];

fn transfer(play: &mut Play) -> Option<Try> {
    let dest: Address = if play.rng.chance(80) {
        play.anyone().to_account_id().into()
    } else {
        // Small accounts come and go.
        AccountId::from([play.rng.below(40) as u8; 32]).into()
    };
    let value = amount(&mut play.rng);
    let call: pallet_balances::Call<Runtime> = match play.rng.below(3) {
        0 => pallet_balances::Call::transfer_allow_death { dest, value },
        1 => pallet_balances::Call::transfer_all {
            dest,
            keep_alive: true,
        },
        _ => pallet_balances::Call::transfer_keep_alive { dest, value },
    };
    // The first two stay rich: what they own everything else needs.
    let is_all = matches!(call, pallet_balances::Call::transfer_all { .. });
    let who = if is_all { play.actors[5] } else { play.anyone() };
    Some(Try::signed(who, call))
}

fn burn(play: &mut Play) -> Option<Try> {
    let value = u128::from(play.rng.below(1_000)) * OPEN / 1_000;
    Some(Try::any(
        play,
        pallet_balances::Call::burn {
            value,
            keep_alive: true,
        },
    ))
}

fn bond(play: &mut Play) -> Option<Try> {
    let value = OPEN * u128::from(10 + play.rng.below(10_000));
    let call: pallet_staking::Call<Runtime> = if play.rng.chance(50) {
        pallet_staking::Call::bond {
            value,
            payee: pallet_staking::RewardDestination::Staked,
        }
    } else {
        pallet_staking::Call::bond_extra {
            max_additional: value,
        }
    };
    Some(Try::any(play, call))
}

fn nominate(play: &mut Play) -> Option<Try> {
    let targets = vec![play.actors[0].to_account_id().into()];
    let who = play.actors[1 + play.rng.below(5) as usize];
    Some(Try::signed(who, pallet_staking::Call::nominate { targets }))
}

fn unbond(play: &mut Play) -> Option<Try> {
    let value = OPEN * u128::from(1 + play.rng.below(1_000));
    let who = play.actors[1 + play.rng.below(5) as usize];
    let call: pallet_staking::Call<Runtime> = if play.rng.chance(60) {
        pallet_staking::Call::unbond { value }
    } else {
        pallet_staking::Call::withdraw_unbonded {
            num_slashing_spans: 0,
        }
    };
    Some(Try::signed(who, call))
}

fn chill(play: &mut Play) -> Option<Try> {
    // Never the only validator.
    let who = play.actors[1 + play.rng.below(5) as usize];
    Some(Try::signed(who, pallet_staking::Call::chill {}))
}

fn payout(play: &mut Play) -> Option<Try> {
    let era = pallet_staking::ActiveEra::<Runtime>::get()?
        .index
        .checked_sub(1 + play.rng.below(2) as u32)?;
    let validator_stash = play.actors[0].to_account_id();
    Some(Try::any(
        play,
        pallet_staking::Call::payout_stakers { validator_stash, era },
    ))
}

fn join_pool(play: &mut Play) -> Option<Try> {
    let amount = OPEN * u128::from(100 + play.rng.below(1_000));
    let admin: Address = play.anyone().to_account_id().into();
    let call: pallet_nomination_pools::Call<Runtime> = if play.rng.chance(30) {
        pallet_nomination_pools::Call::create {
            amount,
            root: admin.clone(),
            nominator: admin.clone(),
            bouncer: admin,
        }
    } else {
        pallet_nomination_pools::Call::join {
            amount,
            pool_id: 1 + play.rng.below(3) as u32,
        }
    };
    Some(Try::any(play, call))
}

fn add_proxy(play: &mut Play) -> Option<Try> {
    let delegate = play.anyone().to_account_id().into();
    let call = pallet_proxy::Call::add_proxy {
        delegate,
        proxy_type: Default::default(),
        delay: 0,
    };
    Some(Try::any(play, call))
}

fn proxied(play: &mut Play) -> Option<Try> {
    let real = play.anyone().to_account_id();
    let definitions = pallet_proxy::Proxies::<Runtime>::get(&real).0;
    let delegate = crate::play::actor(&play.rng.pick(&definitions)?.delegate)?;
    let call = Box::new(transfer(play)?.call);
    Some(Try::signed(
        delegate,
        pallet_proxy::Call::proxy {
            real: real.into(),
            force_proxy_type: None,
            call,
        },
    ))
}

/// The emission pot pays a grant, as a referendum would decide.
fn grant(play: &mut Play) -> Option<Try> {
    let to = play.anyone().to_account_id();
    let amount = OPEN * u128::from(1 + play.rng.below(1_000));
    let call = pallet_openledger_rewards::Call::grant { to, amount }.into();
    Some(Try {
        sender: Sender::Root,
        call,
    })
}

//! Whatever people do, in any order: no planck is made or lost, everybody has what the exact reference says but for rounding,
//! and in the end nothing is left behind.
//!
//! A failing case prints its seed and the shortest list of acts that fails. `PROPTEST_CASES` asks for more of them.

use super::reference::{exact, Exact, Reference};
use crate::{mock::*, Due, Frozen, Held, Pools, Stakers};
use frame_support::assert_ok;
use openledger_protocol::staking::Pool;
use openledger_traits::Stakes;
use proptest::prelude::*;
use sp_runtime::AccountId32;

/// What happens.
#[derive(Clone, Debug)]
enum Act {
    Blocks(u64),
    Stake { who: u8, pool: usize, amount: u128 },
    Unstake { who: u8, pool: usize, permille: u128 },
    Withdraw { who: u8, pool: usize, by: u8 },
    Income { pool: usize, amount: u128 },
    Slash { pool: usize, part: Part },
    Freeze { pool: usize },
    Thaw { pool: usize },
}

/// How much is slashed.
#[derive(Clone, Debug)]
enum Part {
    Planck(u128),
    Permille(u128),
    /// All but so many planck.
    AllBut(u128),
}

const POOLS: usize = 3;

fn pool_of(n: usize) -> Pool<AccountId32> {
    [Pool::Worker(person(1)), Pool::Model(7), Pool::Datanet(7)][n].clone()
}

fn amount() -> impl Strategy<Value = u128> {
    prop_oneof![
        Just(OPEN),
        OPEN..20 * OPEN,
        OPEN..1_000_000 * OPEN,
        (1u128..1_000).prop_map(|n| n * OPEN),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let who = || 1u8..PEOPLE;
    let pool = || 0..POOLS;
    prop_oneof![
        4 => prop_oneof![1u64..10, 10u64..80].prop_map(Act::Blocks),
        6 => (who(), pool(), amount()).prop_map(|(who, pool, amount)| Act::Stake { who, pool, amount }),
        5 => (who(), pool(), prop_oneof![1u128..=1_000, Just(1_000)])
            .prop_map(|(who, pool, permille)| Act::Unstake { who, pool, permille }),
        5 => (who(), pool(), who()).prop_map(|(who, pool, by)| Act::Withdraw { who, pool, by }),
        4 => (pool(), prop_oneof![1u128..100, 1u128..OPEN, OPEN..100_000 * OPEN])
            .prop_map(|(pool, amount)| Act::Income { pool, amount }),
        3 => (pool(), prop_oneof![
            (1u128..1_000).prop_map(Part::Planck),
            (1u128..=1_000).prop_map(Part::Permille),
            (0u128..3_000_000_000_000).prop_map(Part::AllBut),
            (0u128..2_000_000_000_000_000_000).prop_map(Part::AllBut),
        ]).prop_map(|(pool, part)| Act::Slash { pool, part }),
        1 => pool().prop_map(|pool| Act::Freeze { pool }),
        2 => pool().prop_map(|pool| Act::Thaw { pool }),
    ]
}

/// The pallet's pools beside exact ones.
struct World {
    exact: [Reference; POOLS],
    freezes: [u32; POOLS],
}

#[track_caller]
fn near(ours: u128, theirs: &Exact, off: &Exact, what: &str) {
    let gap = exact(ours) - theirs;
    assert!(
        gap <= *off && -gap.clone() <= *off,
        "{what}: {ours} is not {} within {}",
        theirs.to_integer(),
        off.to_integer()
    );
}

impl World {
    fn new() -> Self {
        Self {
            exact: [(); POOLS].map(|()| Reference::new()),
            freezes: [0; POOLS],
        }
    }

    /// Does it to both. What the pallet refuses did not happen; whether it refuses rightly is not asked here but for what must
    /// always work.
    fn perform(&mut self, act: &Act) {
        let now = System::block_number();
        match *act {
            Act::Blocks(n) => blocks(n),
            Act::Stake { who, pool: n, amount } => {
                let before = Balances::free_balance(person(who));
                if OpenStaking::stake(Some(person(who)).into(), pool_of(n), amount, 0).is_ok() {
                    assert_eq!(self.freezes[n], 0);
                    let cost = before - Balances::free_balance(person(who));
                    assert!(cost > 0 && cost <= amount);
                    self.exact[n].accrue(now);
                    self.exact[n].stake(who, cost);
                }
            }
            Act::Unstake {
                who,
                pool: n,
                permille,
            } => {
                let all = held(&pool_of(n), &person(who)).shares;
                let shares = all * permille / 1_000;
                if unstake(&person(who), pool_of(n), shares).is_ok() {
                    self.exact[n].accrue(now);
                    self.exact[n].unstake(who, shares, all, now);
                    if !Stakers::<Test>::contains_key(pool_of(n), person(who)) {
                        self.exact[n].forget(who);
                    }
                }
            }
            Act::Withdraw { who, pool: n, by } => {
                let known = self.exact[n].parts.contains_key(&who);
                let before = Balances::free_balance(person(who));
                let done = OpenStaking::withdraw_for(Some(person(by)).into(), pool_of(n), person(who));
                let paid = Balances::free_balance(person(who)) - before;
                if done.is_ok() && known {
                    assert_eq!(self.freezes[n], 0);
                    self.exact[n].accrue(now);
                    let off = (&self.exact[n].off_leaving + exact(4)) * exact(8);
                    let due = self.exact[n].withdraw(who, now);
                    near(paid, &due, &off, "withdrawn");
                } else {
                    assert_eq!(paid, 0);
                }
            }
            Act::Income { pool: n, amount } => {
                income(&pool_of(n), amount);
                if self.exact[n].has_stakers() {
                    self.exact[n].accrue(now);
                    self.exact[n].earn(amount, now);
                }
            }
            Act::Slash { pool: n, ref part } => {
                let pool = pool_of(n);
                let total = OpenStaking::total(&pool);
                let amount = match *part {
                    Part::Planck(planck) => planck,
                    Part::Permille(permille) => total / 1_000 * permille,
                    Part::AllBut(planck) => total.saturating_sub(planck),
                };
                let treasury_before = treasury();
                let was_open = Pools::<Test>::contains_key(&pool);
                let taken = slash(&pool, amount);
                assert_eq!(taken, amount.min(total));
                assert!(treasury() - treasury_before >= taken);
                if was_open && taken > 0 {
                    self.exact[n].accrue(now);
                    self.exact[n].slash(taken, !Pools::<Test>::contains_key(&pool));
                }
            }
            Act::Freeze { pool: n } => {
                freeze(&pool_of(n));
                self.freezes[n] += 1;
            }
            Act::Thaw { pool: n } => {
                if self.freezes[n] > 0 {
                    thaw(&pool_of(n));
                    self.freezes[n] -= 1;
                }
            }
        }
    }

    /// Everybody has what the exact one says.
    fn compare(&mut self) {
        assert_sound();
        let now = System::block_number();
        for (n, reference) in self.exact.iter_mut().enumerate() {
            let pool = pool_of(n);
            assert_eq!(Frozen::<Test>::get(&pool).unwrap_or(0), self.freezes[n]);
            assert_eq!(OpenStaking::has_stakers(&pool), reference.has_stakers());
            let Some(mut state) = Pools::<Test>::get(&pool) else {
                assert!(reference.parts.is_empty());
                continue;
            };
            // Looking changes nothing, so the exact one is looked at without paying out either.
            if state.stream.since != now as u32 && state.stream.rest > 0 {
                continue;
            }
            state.accrue(now as u32);
            assert_eq!(state.members as usize, reference.parts.len());
            for who in 1..PEOPLE {
                let worth = held(&pool, &person(who));
                let part = reference.parts.get(&who).cloned().unwrap_or_default();
                near(
                    worth.staked,
                    &part.staked.unwrap_or_else(|| exact(0)),
                    &reference.off,
                    "staked",
                );
                let sum = |is_ready: bool| -> Exact {
                    let parts = part
                        .leaving
                        .iter()
                        .filter(|(_, until)| (*until <= now) == is_ready);
                    parts.map(|(amount, _)| amount.clone()).sum()
                };
                let off = &reference.off_leaving * exact(8);
                near(worth.leaving, &sum(false), &off, "leaving");
                near(worth.ready, &sum(true), &off, "ready");
            }
        }
    }

    /// Disputes end, everybody leaves: nothing is left.
    fn end(&mut self) {
        for n in 0..POOLS {
            while self.freezes[n] > 0 {
                self.perform(&Act::Thaw { pool: n });
            }
        }
        for n in 0..POOLS {
            for who in 1..PEOPLE {
                // Makes room, and removes what a slash made worthless.
                blocks(UNBONDING);
                self.perform(&Act::Withdraw { who, pool: n, by: 1 });
                let shares = held(&pool_of(n), &person(who)).shares;
                if shares > 0 {
                    assert_ok!(unstake(&person(who), pool_of(n), shares));
                }
                blocks(UNBONDING);
                if Stakers::<Test>::contains_key(pool_of(n), person(who)) {
                    assert_ok!(OpenStaking::withdraw(Some(person(who)).into(), pool_of(n)));
                }
                assert_sound();
            }
        }
        assert_eq!(Pools::<Test>::iter().count(), 0);
        assert_eq!(Stakers::<Test>::iter().count(), 0);
        assert_eq!(Frozen::<Test>::iter().count(), 0);
        assert_eq!((Held::<Test>::get(), Due::<Test>::get()), (0, 0));
        assert_eq!(Balances::free_balance(OpenStaking::pot_account()), LIVE);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_life_should_agree_with_the_exact_reference(acts in prop::collection::vec(act(), 10..60)) {
        new_test_ext().execute_with(|| {
            let mut world = World::new();
            for act in &acts {
                world.perform(act);
                world.compare();
            }
            world.end();
        });
    }
}

/// Found by the test above: slashed while everybody leaves, then staked in again.
#[test]
fn a_slash_of_what_only_leaves_should_not_change_what_a_share_costs() {
    let acts = [
        Act::Stake {
            who: 1,
            pool: 0,
            amount: OPEN,
        },
        Act::Unstake {
            who: 1,
            pool: 0,
            permille: 1_000,
        },
        Act::Slash {
            pool: 0,
            part: Part::Permille(775),
        },
        Act::Stake {
            who: 1,
            pool: 0,
            amount: OPEN,
        },
        Act::Income { pool: 0, amount: 90 },
        Act::Blocks(29),
        Act::Income { pool: 0, amount: 1 },
        Act::Blocks(2),
    ];
    new_test_ext().execute_with(|| {
        let mut world = World::new();
        for act in &acts {
            world.perform(act);
            world.compare();
        }
        world.end();
    });
}

#[test]
fn no_hook_should_do_anything_however_many_stake() {
    use frame_support::traits::Hooks;
    new_test_ext().execute_with(|| {
        for n in 0..50u64 {
            stake(&alice(), Pool::Datanet(n), OPEN);
        }
        let before = sp_io::storage::root(sp_runtime::StateVersion::V1);
        let now = System::block_number();
        let weight = <OpenStaking as Hooks<_>>::on_initialize(now);
        <OpenStaking as Hooks<_>>::on_finalize(now);
        assert_eq!(weight, frame_support::weights::Weight::zero());
        assert_eq!(before, sp_io::storage::root(sp_runtime::StateVersion::V1));
    });
}

#[test]
fn the_check_should_find_what_is_wrong() {
    let breaks: [(&str, fn()); 6] = [
        ("held", || Held::<Test>::mutate(|held| *held += 1)),
        ("shares", || {
            Pools::<Test>::mutate(MODEL, |pool| pool.as_mut().unwrap().shares += 1)
        }),
        ("members", || {
            Pools::<Test>::mutate(MODEL, |pool| pool.as_mut().unwrap().members += 1)
        }),
        ("virtual", || {
            Pools::<Test>::mutate(MODEL, |pool| pool.as_mut().unwrap().virtual_stake += 1)
        }),
        ("frozen", || Frozen::<Test>::insert(MODEL, 0)),
        ("pot", || {
            let pot = OpenStaking::pot_account();
            assert_ok!(Balances::transfer_allow_death(Some(pot).into(), bob(), 1));
        }),
    ];
    for (what, harm) in breaks {
        new_test_ext().execute_with(|| {
            stake(&alice(), MODEL, OPEN);
            harm();
            assert!(OpenStaking::do_try_state().is_err(), "{what}");
        });
    }
}

//! What holds of a pool whatever is done to it.

use super::*;
use alloc::{format, vec::Vec};

const OPEN: u128 = VIRTUAL_STAKE;
/// All there is.
const SUPPLY: u128 = 1_000_000_000 * OPEN;

fn joined(amount: u128) -> PoolState {
    let mut pool = PoolState::new(0);
    assert_eq!(pool.enter(amount).unwrap().cost, amount);
    pool
}

fn part(exited: Exited, pool: &PoolState) -> Leaving {
    Leaving {
        shares: exited.shares,
        scale: pool.scale,
        until: 0,
    }
}

#[test]
fn a_pool_should_open_with_a_million_shares_for_one_open() {
    let mut pool = PoolState::new(0);
    assert_eq!(
        pool.enter(3 * OPEN + 5).unwrap(),
        Entered {
            shares: 3_000_000,
            cost: 3 * OPEN
        }
    );
    assert_eq!(pool.worth(3_000_000), Some(3 * OPEN));
}

#[test]
fn income_should_stream_evenly_and_end_whole() {
    let mut pool = joined(OPEN);
    pool.earn(1_000, 10, 7).unwrap();
    let mut last = 0;
    for block in 10..=17 {
        pool.accrue(block);
        let due = pool.staked - OPEN;
        let even = 1_000 * u128::from(block - 10) / 7;
        assert!(due <= even && even - due <= 7, "block {block}: {due} of {even}");
        assert!(due >= last);
        last = due;
    }
    assert_eq!((pool.staked, pool.stream), (OPEN + 1_000, Stream::default()));
}

#[test]
fn streams_should_end_at_their_weighted_mean_rounded_later() {
    let mut pool = joined(OPEN);
    pool.earn(1_000, 0, 100).unwrap();
    pool.accrue(60);
    assert_eq!(pool.stream.rest, 400);
    pool.earn(400, 60, 100).unwrap();
    // 400 that end in 40 blocks and 400 that end in 100.
    assert_eq!(pool.stream.end, 60 + 70);
    // A planck holds 800 up by one block at most.
    pool.earn(1, 60, 100).unwrap();
    assert_eq!(pool.stream.end, 60 + 71);
}

#[test]
fn a_slash_should_hit_both_sides_alike() {
    let mut pool = joined(100 * OPEN);
    let left = pool.exit(25_000_000).unwrap();
    let left = part(left, &pool);
    assert_eq!(pool.slash(40 * OPEN).unwrap().taken, 40 * OPEN);
    assert_eq!((pool.staked, pool.leaving), (45 * OPEN, 15 * OPEN));
    assert_eq!(pool.worth(75_000_000), Some(45 * OPEN));
    assert_eq!(pool.pay(&left), Some(15 * OPEN));
    assert_eq!((pool.leaving, pool.leaving_shares), (0, 0));
}

#[test]
fn whoever_joins_after_a_slash_should_lose_nothing_by_it() {
    let mut pool = joined(100 * OPEN);
    pool.slash(90 * OPEN).unwrap();
    let late = pool.enter(7 * OPEN).unwrap();
    assert!(late.cost - pool.worth(late.shares).unwrap() <= 1);
    assert!(pool.worth(100_000_000).unwrap() <= 10 * OPEN);
    assert!(pool.worth(100_000_000).unwrap() >= 10 * OPEN - 1);
}

#[test]
fn slashes_should_close_a_pool_that_is_left_with_nothing() {
    let mut pool = joined(100 * OPEN);
    pool.earn(9, 0, 7).unwrap();
    let slashed = pool.slash(100 * OPEN - NOTHING + 1).unwrap();
    assert_eq!(slashed.closed, Some(NOTHING - 1 + 9));
    assert_eq!(pool.slash(100 * OPEN - NOTHING).unwrap().closed, None);
    assert_eq!(pool.slash(u128::MAX).unwrap().closed, Some(9));
}

#[test]
fn deep_slashes_should_leave_the_numbers_within_bounds() {
    // Again and again nearly all is lost, and the supply comes in anew: nothing may overflow, and who came last loses
    // nothing of what others lost.
    let mut pool = joined(SUPPLY);
    let mut oldest = pool
        .exit(SUPPLY / OPEN * 500_000)
        .map(|left| part(left, &pool))
        .unwrap();
    for round in 0..40u32 {
        let total = pool.slashable();
        let keep = NOTHING * u128::from(1 + round % 3);
        assert_eq!(pool.slash(total - keep).unwrap().closed, None, "round {round}");
        assert!(pool.worth_leaving(&oldest).unwrap() <= keep);
        // Those inside leave, and the price starts again.
        let left = pool.exit(pool.shares).unwrap();
        let left = part(left, &pool);
        let worth = pool.worth_leaving(&left).unwrap();
        assert_eq!(pool.shares, 0);
        let entered = pool.enter(SUPPLY / 2).unwrap();
        let gone = pool.exit(entered.shares / 2).unwrap();
        let gone_part = part(gone, &pool);
        let lost = gone.amount - pool.worth_leaving(&gone_part).unwrap();
        assert!(lost <= 2 * STEP, "round {round}: {lost}");
        assert!(pool.worth_leaving(&left).unwrap() >= worth, "round {round}");
        if round % 5 == 0 {
            pool.pay(&oldest).unwrap();
            oldest = left;
        }
    }
    assert!(pool.scale > 0, "the shares were never rescaled");
}

#[test]
fn a_share_of_nearly_nothing_should_not_be_sold() {
    let mut pool = joined(2_000_000 * OPEN);
    pool.slash(2_000_000 * OPEN - NOTHING).unwrap();
    assert!(pool.is_spent());
    // A share is worth half a planck now; income of another half heals it.
    pool.earn(2 * NOTHING, 0, 1).unwrap();
    pool.accrue(1);
    assert!(!pool.is_spent());
    // Or the last staker goes.
    let mut pool = joined(2_000_000 * OPEN);
    pool.slash(2_000_000 * OPEN - NOTHING).unwrap();
    pool.exit(pool.shares).unwrap();
    assert!(!pool.is_spent());
}

/// A xorshift generator: the same numbers for a seed everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u128) -> u128 {
        let wide = u128::from(self.next()) << 64 | u128::from(self.next());
        wide % limit.max(1)
    }

    /// As often small as large.
    fn amount(&mut self, limit: u128) -> u128 {
        let bits = self.below(u128::from(128 - limit.leading_zeros()) + 1);
        self.below(limit.min(1 << bits.min(127)) + 1)
    }
}

/// A pool with its holders, and what went in and came out.
#[derive(Default)]
struct Life {
    shares: [u128; 4],
    leaving: Vec<Leaving>,
    paid_in: u128,
    paid_out: u128,
}

impl Life {
    fn check(&self, pool: &PoolState, what: &str) {
        assert_eq!(
            self.paid_in - self.paid_out,
            pool.owes(),
            "{what}: planck made or lost"
        );
        assert_eq!(self.shares.iter().sum::<u128>(), pool.shares, "{what}: shares");
        let staked: u128 = self
            .shares
            .iter()
            .map(|shares| pool.worth(*shares).unwrap())
            .sum();
        let leaving: u128 = self
            .leaving
            .iter()
            .map(|part| pool.worth_leaving(part).unwrap())
            .sum();
        assert!(
            staked <= pool.staked && leaving <= pool.leaving,
            "{what}: owes more than it has"
        );
        assert!(pool.is_covered(), "{what}: not covered");
        assert_eq!(
            pool.leaving == 0,
            pool.leaving_shares == 0,
            "{what}: leaving shares of nothing"
        );
        assert!(
            pool.leaving_shares <= pool.leaving.saturating_mul(STEP),
            "{what}: too many leaving shares"
        );
        assert_eq!(pool.shares > 0, pool.staked > 0, "{what}: stake without stakers");
    }
}

/// Whether a share is worth at least as much in `after` as in `before`.
fn is_dearer(before: &PoolState, after: &PoolState) -> bool {
    Wide::product(after.all(), before.all_shares()) >= Wide::product(before.all(), after.all_shares())
}

#[test]
fn any_life_should_keep_every_planck_and_never_owe_more() {
    let (mut closings, mut rescalings) = (0, 0);
    for life in 1..=400u64 {
        let seed = life.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut random = Random(seed);
        let (mut pool, mut all) = (PoolState::new(0), Life::default());
        let mut now = 0;
        for step in 0..120 {
            let what = format!("seed {seed}, step {step}");
            now += random.below(4) as u32;
            let before = pool;
            pool.accrue(now);
            assert!(is_dearer(&before, &pool), "{what}: time made a share cheaper");
            all.check(&pool, &what);
            let before = pool;
            let who = random.below(4) as usize;
            match random.below(10) {
                0..=2 if !pool.is_spent() => {
                    let amount = OPEN + random.amount(SUPPLY / 1_000);
                    let entered = pool.enter(amount).unwrap();
                    assert!(entered.cost <= amount, "{what}");
                    assert!(is_dearer(&before, &pool), "{what}: a sale made a share cheaper");
                    assert!(
                        pool.all_shares() <= pool.all(),
                        "{what}: a share below a planck was sold"
                    );
                    assert!(entered.cost - pool.worth(entered.shares).unwrap() <= 1, "{what}");
                    all.shares[who] += entered.shares;
                    all.paid_in += entered.cost;
                }
                3..=4 if all.shares[who] > 0 => {
                    let held = all.shares[who];
                    let shares = if random.below(2) == 0 {
                        held
                    } else {
                        1 + random.below(held)
                    };
                    let exited = pool.exit(shares).unwrap();
                    all.shares[who] -= shares;
                    all.paid_out += exited.spare;
                    let part = Leaving {
                        shares: exited.shares,
                        scale: pool.scale,
                        until: 0,
                    };
                    assert!(pool.worth_leaving(&part).unwrap() <= exited.amount, "{what}");
                    assert!(
                        pool.shares == 0 || is_dearer(&before, &pool),
                        "{what}: leaving made a share cheaper"
                    );
                    all.leaving.push(part);
                }
                5 if !all.leaving.is_empty() => {
                    let nth = random.below(all.leaving.len() as u128) as usize;
                    let part = all.leaving.swap_remove(nth);
                    all.paid_out += pool.pay(&part).unwrap();
                }
                6..=7 if pool.shares > 0 => {
                    let amount = 1 + random.amount(SUPPLY / 10_000);
                    pool.earn(amount, now, 50).unwrap();
                    all.paid_in += amount;
                    assert!(
                        pool.stream.end <= now + 50,
                        "{what}: a stream is longer than a period"
                    );
                }
                _ => {
                    let total = pool.slashable();
                    let amount = match random.below(4) {
                        0 => random.amount(SUPPLY),
                        1 => total.saturating_sub(random.amount(1_000 * NOTHING)),
                        2 => total.saturating_sub(NOTHING + random.amount(NOTHING)),
                        _ => random.below(total),
                    };
                    let slashed = pool.slash(amount).unwrap();
                    assert_eq!(slashed.taken, amount.min(total), "{what}");
                    all.paid_out += slashed.taken;
                    if let Some(rest) = slashed.closed {
                        assert!(total - slashed.taken < NOTHING, "{what}");
                        all.paid_out += rest;
                        assert_eq!(all.paid_in, all.paid_out, "{what}");
                        (pool, all) = (PoolState::new(0), Life::default());
                        closings += 1;
                    }
                }
            }
            rescalings += pool.scale.saturating_sub(before.scale);
            all.check(&pool, &what);
        }
        // Everybody leaves, in some order: only what nobody has is left.
        for who in 0..4 {
            let exited = pool.exit(all.shares[who]).unwrap();
            all.paid_out += exited.spare;
            all.leaving.push(Leaving {
                shares: exited.shares,
                scale: pool.scale,
                until: 0,
            });
            all.shares[who] = 0;
        }
        let holders = all.leaving.len() as u128;
        for part in core::mem::take(&mut all.leaving) {
            all.paid_out += pool.pay(&part).unwrap();
        }
        all.check(&pool, &format!("seed {seed}, the end"));
        assert!(
            pool.owes() <= 8 * (holders + 120),
            "seed {seed}: {} planck are left",
            pool.owes()
        );
    }
    assert!(
        closings > 100 && rescalings > 100,
        "{closings} closings and {rescalings} rescalings are too few to say much"
    );
}

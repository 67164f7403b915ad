//! The pools once more, slowly and exactly: no shares and no rounding, but for everybody a rational number of planck that
//! every event of the pool multiplies.
//!
//! Beside the values it keeps how far the pallet's may be off: less than a planck for each rounding, grown by what a share gained
//! since.

use crate::mock::{IncomePeriod, OPEN, UNBONDING};
use num_bigint::BigInt;
use num_rational::Ratio;
use std::collections::BTreeMap;

/// An exact number of planck.
pub(crate) type Exact = Ratio<BigInt>;

pub(crate) fn exact(whole: u128) -> Exact {
    Ratio::from_integer(BigInt::from(whole))
}

/// Roundings of one operation that touch one value.
const ROUNDINGS: u128 = 4;

/// Below this, in all, a pool is slashed to zero.
const NOTHING: u128 = OPEN / 1_000_000;

/// One account's part.
#[derive(Clone, Default)]
pub(crate) struct Part {
    /// Planck that earn.
    pub(crate) staked: Option<Exact>,
    /// Planck asked back, and when they can go.
    pub(crate) leaving: Vec<(Exact, u64)>,
}

/// One pool.
pub(crate) struct Reference {
    /// What everybody has.
    pub(crate) parts: BTreeMap<u8, Part>,
    /// What nobody has: one OPEN that does not exist, and what it earned.
    nobody: Exact,
    /// How much of it does not exist.
    imaginary: Exact,
    /// Income on its way: in whole planck and blocks, as that is how it is paid.
    rest: u128,
    since: u64,
    end: u64,
    /// How far a staked value may be off.
    pub(crate) off: Exact,
    /// How far a leaving value may be off.
    pub(crate) off_leaving: Exact,
}

impl Reference {
    pub(crate) fn new() -> Self {
        Self {
            parts: BTreeMap::new(),
            nobody: exact(OPEN),
            imaginary: exact(OPEN),
            rest: 0,
            since: 0,
            end: 0,
            off: exact(0),
            off_leaving: exact(0),
        }
    }

    fn staked(&self) -> Exact {
        self.parts.values().filter_map(|part| part.staked.clone()).sum()
    }

    fn leaving(&self) -> Exact {
        self.parts
            .values()
            .flat_map(|part| part.leaving.iter().map(|(amount, _)| amount.clone()))
            .sum()
    }

    /// What a slash can take.
    pub(crate) fn slashable(&self) -> Exact {
        self.staked() + &self.nobody - &self.imaginary + self.leaving()
    }

    pub(crate) fn has_stakers(&self) -> bool {
        self.parts.values().any(|part| part.staked.is_some())
    }

    /// Multiplies everything that is staked, the imaginary too, and its error.
    fn grow(&mut self, by: &Exact) {
        for staked in self.parts.values_mut().filter_map(|part| part.staked.as_mut()) {
            *staked *= by;
        }
        self.nobody *= by;
        self.off *= by;
    }

    fn touch(&mut self) {
        self.off += exact(ROUNDINGS);
        self.off_leaving += exact(ROUNDINGS);
    }

    /// Pays out what has streamed until block `now`.
    pub(crate) fn accrue(&mut self, now: u64) {
        if self.rest == 0 {
            return;
        }
        let due = if now >= self.end {
            self.rest
        } else {
            let whole = BigInt::from(self.rest) * (now - self.since) / (self.end - self.since);
            u128::try_from(whole).unwrap()
        };
        self.rest -= due;
        self.since = now;
        let before = self.staked() + &self.nobody;
        let by = (&before + exact(due)) / before;
        self.grow(&by);
        self.touch();
    }

    /// `who` paid `cost`.
    pub(crate) fn stake(&mut self, who: u8, cost: u128) {
        let part = self.parts.entry(who).or_default();
        *part.staked.get_or_insert_with(|| exact(0)) += exact(cost);
        self.touch();
    }

    /// `who` asks `shares` of its `all` back.
    pub(crate) fn unstake(&mut self, who: u8, shares: u128, all: u128, now: u64) {
        let part = self.parts.get_mut(&who).unwrap();
        let staked = part.staked.take().unwrap();
        let gone = &staked * exact(shares) / exact(all);
        if shares < all {
            part.staked = Some(staked - &gone);
        }
        part.leaving.push((gone, now + UNBONDING));
        self.touch();
        self.off_leaving += &self.off;
        if !self.has_stakers() {
            self.nobody = exact(OPEN);
            self.imaginary = exact(OPEN);
            self.rest = 0;
            self.off = exact(0);
        }
    }

    /// `who` takes what has waited; returns what that is.
    pub(crate) fn withdraw(&mut self, who: u8, now: u64) -> Exact {
        let part = self.parts.get_mut(&who).unwrap();
        let mut taken = exact(0);
        part.leaving.retain(|(amount, until)| {
            if *until <= now {
                taken += amount;
            }
            *until > now
        });
        let gone = part.staked.is_none() && part.leaving.is_empty();
        self.touch();
        if gone {
            self.leave(who);
        }
        taken
    }

    fn leave(&mut self, who: u8) {
        self.parts.remove(&who);
        if self.parts.is_empty() {
            *self = Self::new();
        }
    }

    /// What `who` has left is less than a planck, and the pallet says it is nothing.
    pub(crate) fn forget(&mut self, who: u8) {
        let rest: Exact = self.parts[&who]
            .leaving
            .iter()
            .map(|(amount, _)| amount.clone())
            .sum();
        assert!(
            rest <= exact(1) + &self.off_leaving,
            "{rest} planck were forgotten"
        );
        self.leave(who);
    }

    /// `amount` more comes in.
    pub(crate) fn earn(&mut self, amount: u128, now: u64) {
        let wait = BigInt::from(self.end.saturating_sub(now));
        let period = BigInt::from(IncomePeriod::get());
        let sum = wait * self.rest + period * amount;
        let mean: Exact = Ratio::new(sum, BigInt::from(self.rest + amount));
        self.end = now + u64::try_from(mean.ceil().to_integer()).unwrap();
        self.since = now;
        self.rest += amount;
    }

    /// `taken` is slashed; whether that was all.
    pub(crate) fn slash(&mut self, taken: u128, closed: bool) {
        let total = self.slashable();
        let left = &total - exact(taken);
        let off = &self.off + &self.off_leaving + exact(ROUNDINGS);
        if closed {
            assert!(
                left <= exact(NOTHING) + off,
                "{left} planck were left, which is something"
            );
            *self = Self::new();
            return;
        }
        assert!(
            left + off >= exact(NOTHING),
            "nothing was left and the pool stayed"
        );
        if taken == 0 {
            return;
        }
        let by = (&total - exact(taken)) / total;
        // Without stakers the slash takes from what leaves alone, and a share still costs what it does when a pool opens.
        if self.has_stakers() {
            self.grow(&by);
            self.imaginary *= &by;
        }
        self.off_leaving *= &by;
        for part in self.parts.values_mut() {
            for (amount, _) in &mut part.leaving {
                *amount *= &by;
            }
        }
        self.touch();
    }
}

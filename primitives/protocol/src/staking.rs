//! OPEN staked behind what earns, and the arithmetic of a pool.
//!
//! A pool is worth `staked + virtual_stake` and is divided into `shares + VIRTUAL_SHARES`; both parts that are virtual belong to
//! nobody. Income raises what a share is worth and a slash lowers it, whoever holds how many, so neither looks at a staker.
//! What is asked back moves to a second side of the pool, with shares of its own: slashes hit both sides alike, income only the
//! first.
//!
//! Three things hold after every operation, because each of them rounds against whoever asks for it:
//!
//! - all shares together are worth at most `staked`: `VIRTUAL_SHARES · staked ≥ shares · virtual_stake`;
//! - all leaving shares together are worth at most `leaving`;
//! - only a slash lowers what a share is worth.
//!
//! The pallet moves the money; here are only numbers. Amounts are planck. Nothing is changed by an operation that returns
//! nothing; that is a number beyond 128 bits, which no amount within the supply leads to.

use bounded_collections::{BoundedVec, ConstU32};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use openledger_attribution::wide::{multiply_divide, Wide};
use scale_info::TypeInfo;

/// Shares that belong to nobody. Whoever raises the price of a share by a gift gives to them too: to make a share cost a whole
/// OPEN, so that a small stake is rounded away, takes a million OPEN that do not come back.
pub const VIRTUAL_SHARES: u128 = 1_000_000;

/// Planck against which the virtual shares are issued: a share costs 10¹² planck, a millionth of an OPEN, when a pool opens.
pub const VIRTUAL_STAKE: u128 = 1_000_000_000_000_000_000;

/// A pool that is slashed to less than this many planck, a millionth of an OPEN in all, is slashed to zero.
pub const NOTHING: u128 = 1_000_000_000_000;

/// Leaving shares are counted in units this much larger each time slashes have made one worth less than the inverse of this,
/// so that they never outgrow 128 bits.
pub const STEP: u128 = 1_000_000_000;

/// After so many [`STEP`]s no leaving share is left of any amount of them.
const ALL_STEPS: u32 = 5;

/// Times that an account can ask stake of one pool back before it takes what it asked first.
pub type MaxLeaving = ConstU32<8>;

/// What OPEN can be staked behind.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub enum Pool<A> {
    /// A worker.
    #[codec(index = 0)]
    Worker(A),
    /// A model.
    #[codec(index = 1)]
    Model(u64),
    /// A Datanet.
    #[codec(index = 2)]
    Datanet(u64),
    /// An agent.
    #[codec(index = 3)]
    Agent(u64),
}

/// Income on its way to the stakers, an even part of it in every block.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Stream {
    /// Planck that were not theirs yet at `since`.
    pub rest: u128,
    /// Block up to which it was counted.
    pub since: u32,
    /// First block in which all of it is theirs.
    pub end: u32,
}

impl Stream {
    /// Planck of `rest` that are theirs in block `now`.
    pub fn due(&self, now: u32) -> u128 {
        if now >= self.end {
            return self.rest;
        }
        let passed = now.saturating_sub(self.since);
        let whole = self.end.saturating_sub(self.since);
        down(self.rest, passed.into(), whole.into()).unwrap_or(0)
    }
}

/// A pool that somebody has staked in.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct PoolState {
    /// Number of this opening of a pool, never used again: what a [`Staker`] holds of another epoch is worth nothing.
    pub epoch: u64,
    /// Accounts that hold something of this epoch.
    pub members: u32,
    /// Shares of the stakers.
    pub shares: u128,
    /// Planck behind them and behind the virtual shares. Income of the virtual shares goes to the treasury when the last
    /// staker leaves.
    pub staked: u128,
    /// What is left of [`VIRTUAL_STAKE`], which is slashed with the rest. No planck of it exists.
    pub virtual_stake: u128,
    /// Planck that were asked back and can still be slashed.
    pub leaving: u128,
    /// Shares of those who asked.
    pub leaving_shares: u128,
    /// How often those shares were counted in units [`STEP`] times larger.
    pub scale: u32,
    /// Income that is not the stakers' yet. It is not slashed.
    pub stream: Stream,
}

/// Stake that was asked back.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Leaving {
    /// Leaving shares, as they were counted then.
    pub shares: u128,
    /// [`PoolState::scale`] then.
    pub scale: u32,
    /// First block in which it can be withdrawn.
    pub until: u32,
}

/// What one account holds of one pool.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Staker {
    /// Opening of the pool that all of it belongs to.
    pub epoch: u64,
    /// Shares.
    pub shares: u128,
    /// What was asked back, oldest first.
    pub leaving: BoundedVec<Leaving, MaxLeaving>,
}

/// What an account's part of a pool is worth in one block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Worth {
    /// Shares that earn.
    pub shares: u128,
    /// Planck that they are worth.
    pub staked: u128,
    /// Planck that were asked back and have to wait.
    pub leaving: u128,
    /// Planck that can be withdrawn, unless the pool is frozen.
    pub ready: u128,
}

/// What [`PoolState::enter`] sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entered {
    /// Shares; none if the amount buys none.
    pub shares: u128,
    /// Planck they cost: at most the amount, and less than a share below it.
    pub cost: u128,
}

/// What [`PoolState::exit`] moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exited {
    /// Planck that wait.
    pub amount: u128,
    /// Leaving shares for them; none if the amount is nothing.
    pub shares: u128,
    /// Planck that nobody has a right to any more, because nobody is staked.
    pub spare: u128,
}

/// What [`PoolState::slash`] took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slashed {
    /// Planck taken.
    pub taken: u128,
    /// Planck that nobody has a right to any more, if the pool was slashed to zero: it ends.
    pub closed: Option<u128>,
}

/// ⌊a · b / d⌋.
fn down(a: u128, b: u128, d: u128) -> Option<u128> {
    multiply_divide(a, b, d).map(|(quotient, _)| quotient)
}

/// ⌈a · b / d⌉.
fn up(a: u128, b: u128, d: u128) -> Option<u128> {
    let (quotient, remainder) = multiply_divide(a, b, d)?;
    quotient.checked_add(u128::from(remainder > 0))
}

impl PoolState {
    /// A pool without stakers.
    pub fn new(epoch: u64) -> Self {
        Self {
            epoch,
            members: 0,
            shares: 0,
            staked: 0,
            virtual_stake: VIRTUAL_STAKE,
            leaving: 0,
            leaving_shares: 0,
            scale: 0,
            stream: Stream::default(),
        }
    }

    /// Planck of the pot that are this pool's.
    pub fn owes(&self) -> u128 {
        self.slashable().saturating_add(self.stream.rest)
    }

    /// Planck that a slash can take.
    pub fn slashable(&self) -> u128 {
        self.staked.saturating_add(self.leaving)
    }

    fn all(&self) -> u128 {
        self.staked.saturating_add(self.virtual_stake)
    }

    fn all_shares(&self) -> u128 {
        self.shares.saturating_add(VIRTUAL_SHARES)
    }

    /// Whether a share is worth less than a planck: then the pool sells none, as their number could outgrow 128 bits. Income
    /// or the leaving of its stakers ends that.
    pub fn is_spent(&self) -> bool {
        self.all() < self.all_shares()
    }

    /// Whether all shares together are worth at most `staked`.
    pub fn is_covered(&self) -> bool {
        Wide::product(VIRTUAL_SHARES, self.staked) >= Wide::product(self.shares, self.virtual_stake)
    }

    /// Planck that `shares` are worth.
    pub fn worth(&self, shares: u128) -> Option<u128> {
        down(shares, self.all(), self.all_shares())
    }

    /// What [`Leaving::shares`] of `scale` are now.
    fn rescaled(&self, shares: u128, scale: u32) -> u128 {
        let steps = self.scale.saturating_sub(scale);
        if steps >= ALL_STEPS {
            return 0;
        }
        (0..steps).fold(shares, |shares, _| shares.checked_div(STEP).unwrap_or(0))
    }

    /// Planck that stake asked back is worth.
    pub fn worth_leaving(&self, part: &Leaving) -> Option<u128> {
        if self.leaving_shares == 0 {
            return Some(0);
        }
        down(
            self.rescaled(part.shares, part.scale),
            self.leaving,
            self.leaving_shares,
        )
    }

    /// Gives the stakers what has become theirs until block `now`. Comes before everything else that is done to a pool.
    pub fn accrue(&mut self, now: u32) {
        let due = self.stream.due(now);
        self.staked = self.staked.saturating_add(due);
        let rest = self.stream.rest.saturating_sub(due);
        self.stream = if rest == 0 {
            Stream::default()
        } else {
            Stream {
                rest,
                since: self.stream.since.max(now),
                ..self.stream
            }
        };
    }

    /// Starts to stream `amount` over `period` blocks. What streams already and what is added end together, at the mean of
    /// their ends weighted by their amounts and rounded to the later block: so a small payment cannot hold a large one up, and
    /// no payment makes one that follows it arrive at once.
    pub fn earn(&mut self, amount: u128, now: u32, period: u32) -> Option<()> {
        let rest = self.stream.rest.checked_add(amount)?;
        let wait = self.stream.end.saturating_sub(now).into();
        let old = self.stream.rest.checked_mul(wait)?;
        let new = amount.checked_mul(period.max(1).into())?;
        let left = up(old.checked_add(new)?, 1, rest)?;
        self.stream = Stream {
            rest,
            since: now,
            end: now.saturating_add(u32::try_from(left).ok()?),
        };
        Some(())
    }

    /// Sells as many whole shares as `amount` pays for.
    pub fn enter(&mut self, amount: u128) -> Option<Entered> {
        let shares = down(amount, self.all_shares(), self.all())?;
        let cost = up(shares, self.all(), self.all_shares())?;
        let (sold, staked) = (self.shares.checked_add(shares)?, self.staked.checked_add(cost)?);
        self.shares = sold;
        self.staked = staked;
        Some(Entered { shares, cost })
    }

    /// Moves what `shares` of the stakers are worth to the side that leaves. When the last share goes, what the virtual shares
    /// earned and what still streams is spare, and the price starts again.
    pub fn exit(&mut self, shares: u128) -> Option<Exited> {
        let amount = self.worth(shares)?;
        let (rest, staked) = (self.shares.checked_sub(shares)?, self.staked.checked_sub(amount)?);
        let bought = if self.leaving_shares == 0 {
            amount
        } else {
            down(amount, self.leaving_shares, self.leaving)?
        };
        let (leaving, leaving_shares) = (
            self.leaving.checked_add(amount)?,
            self.leaving_shares.checked_add(bought)?,
        );
        self.shares = rest;
        self.staked = staked;
        self.leaving = leaving;
        self.leaving_shares = leaving_shares;
        let spare = if rest == 0 {
            let spare = staked.saturating_add(self.stream.rest);
            self.staked = 0;
            self.virtual_stake = VIRTUAL_STAKE;
            self.stream = Stream::default();
            spare
        } else {
            0
        };
        Some(Exited {
            amount,
            shares: bought,
            spare,
        })
    }

    /// Takes what stake asked back is worth out of the pool.
    pub fn pay(&mut self, part: &Leaving) -> Option<u128> {
        let amount = self.worth_leaving(part)?;
        let shares = self.rescaled(part.shares, part.scale);
        let (leaving, leaving_shares) = (
            self.leaving.checked_sub(amount)?,
            self.leaving_shares.checked_sub(shares)?,
        );
        self.leaving = leaving;
        self.leaving_shares = leaving_shares;
        Some(amount)
    }

    /// Takes up to `amount`, from what is staked and what leaves in proportion.
    pub fn slash(&mut self, amount: u128) -> Option<Slashed> {
        let total = self.slashable();
        let taken = amount.min(total);
        if taken == 0 {
            return Some(Slashed::default());
        }
        if total.saturating_sub(taken) < NOTHING {
            return Some(Slashed {
                taken,
                closed: Some(self.owes().saturating_sub(taken)),
            });
        }
        // Rounded up here, so that the other side never loses all while something is left.
        let from_leaving = up(taken, self.leaving, total)?;
        let staked = self.staked.checked_sub(taken.checked_sub(from_leaving)?)?;
        if self.staked > 0 {
            self.virtual_stake = down(self.virtual_stake, staked, self.staked)?;
        }
        self.staked = staked;
        self.leaving = self.leaving.checked_sub(from_leaving)?;
        self.rescale();
        Some(Slashed { taken, closed: None })
    }

    /// Counts leaving shares in larger units while they are worth too little.
    fn rescale(&mut self) {
        if self.leaving == 0 && self.leaving_shares > 0 {
            self.leaving_shares = 0;
            self.scale = self.scale.saturating_add(ALL_STEPS);
        }
        while self.leaving_shares > self.leaving.saturating_mul(STEP) {
            // Up here and down for each holder: they never hold more than all.
            self.leaving_shares = self.leaving_shares.div_ceil(STEP);
            self.scale = self.scale.saturating_add(1);
        }
    }
}

impl Staker {
    /// What it is worth in block `now`, of a pool in that state; nothing if the pool is another one by now.
    pub fn worth(&self, pool: Option<PoolState>, now: u32) -> Worth {
        let Some(mut pool) = pool.filter(|pool| pool.epoch == self.epoch) else {
            return Worth::default();
        };
        pool.accrue(now);
        let sum = |is_ready: bool| {
            self.leaving
                .iter()
                .filter(|part| (part.until <= now) == is_ready)
                .filter_map(|part| pool.worth_leaving(part))
                .fold(0, u128::saturating_add)
        };
        Worth {
            shares: self.shares,
            staked: pool.worth(self.shares).unwrap_or(0),
            leaving: sum(false),
            ready: sum(true),
        }
    }
}

#[cfg(test)]
mod tests;

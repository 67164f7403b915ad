//! The tracks: what each may do is in [`super::origins`], how hard it is stands here.
//!
//! Read a row as: this many can be decided at once; anyone may put up the decision deposit; voting is open for the
//! preparation before a decision can start; the decision lasts at most so long; approval and support must hold through
//! the confirmation without a break; and enactment waits at least so long, for those who want to leave first.
//!
//! *Approval* is the conviction-weighted share of ayes among the votes. *Support* is the share of all active OPEN that
//! voted aye, unweighted. Both start high and fall while the decision lasts, so that what nearly everyone wants passes in
//! the confirmation time, and what nobody opposes passes in the end. Periods are in governance hours
//! ([`pallet_openledger_periods`]): real hours on main, one block each on a development chain. A curve is stated over 28
//! units, which are days of a four-week decision, and stretched over shorter ones.

use super::origins::Origin;
use crate::{currency::OPEN, Balance, BlockNumber, Runtime, RuntimeOrigin};
use alloc::borrow::Cow;
use frame_support::parameter_types;
use pallet_referenda::{Curve, Track, TrackInfo, TracksInfo};
use sp_runtime::{str_array as name, FixedI64};

/// Most a big-spender referendum pays, planck.
pub const BIG_SPEND: Balance = 1_000_000 * OPEN;
/// Most a medium-spender referendum pays, planck.
pub const MEDIUM_SPEND: Balance = 100_000 * OPEN;
/// Most a small-spender referendum pays, planck.
pub const SMALL_SPEND: Balance = 10_000 * OPEN;

parameter_types! {
    /// What root may spend at once.
    pub const AnyAmount: Balance = Balance::MAX;
}

const fn percent(x: i32) -> FixedI64 {
    FixedI64::from_rational(x as u128, 100)
}
const fn permill(x: i32) -> FixedI64 {
    FixedI64::from_rational(x as u128, 1000)
}

/// The numbers of one track; periods in governance hours.
struct Row {
    id: u16,
    name: [u8; 25],
    max_deciding: u32,
    deposit: Balance,
    prepare: u32,
    decision: u32,
    confirm: u32,
    enactment: u32,
    approval: Curve,
    support: Curve,
}

const DAYS: u32 = 24;
const FOUR_WEEKS: u32 = 28 * DAYS;

// From 100% to 50% over the whole decision: a bare majority is enough only at the very end.
const MAJORITY: Curve = Curve::make_linear(28, 28, percent(50), percent(100));
// From 100%, 80% after four days, towards 50%: root may do anything, so early passage needs near agreement.
const ROOT_APPROVAL: Curve = Curve::make_reciprocal(4, 28, percent(80), percent(50), percent(100));
// From half of all OPEN to none.
const HALF_TO_NONE: Curve = Curve::make_linear(28, 28, percent(0), percent(50));
// From half of all OPEN, 10% after a week, towards 1‰.
const QUICK_SUPPORT: Curve = Curve::make_reciprocal(7, 28, percent(10), permill(1), percent(50));
// The committee has already looked: 50% support at first, 1% after a day.
const WHITELISTED_SUPPORT: Curve = Curve::make_reciprocal(1, 28, percent(20), percent(1), percent(50));
// Spending: approval falls fast for small sums and slowly for large ones, support likewise.
const SMALL_APPROVAL: Curve = Curve::make_linear(8, 28, percent(50), percent(100));
const SMALL_SUPPORT: Curve = Curve::make_reciprocal(2, 28, percent(1), permill(1), percent(10));
const MEDIUM_APPROVAL: Curve = Curve::make_linear(17, 28, percent(50), percent(100));
const MEDIUM_SUPPORT: Curve = Curve::make_reciprocal(8, 28, percent(1), permill(2), percent(25));

fn rows() -> [Row; 11] {
    [
        Row {
            id: 0,
            name: name("root"),
            // One at a time: two upgrades decided together would be enacted in an order nobody voted on.
            max_deciding: 1,
            deposit: 100_000 * OPEN,
            prepare: 2,
            decision: FOUR_WEEKS,
            confirm: DAYS,
            enactment: DAYS,
            approval: ROOT_APPROVAL,
            support: HALF_TO_NONE,
        },
        Row {
            id: 1,
            name: name("whitelisted_caller"),
            max_deciding: 20,
            deposit: 10_000 * OPEN,
            // Fixes cannot wait: the shortest periods here, paid for by the committee's agreement beforehand.
            prepare: 1,
            decision: FOUR_WEEKS,
            confirm: 1,
            enactment: 1,
            approval: ROOT_APPROVAL,
            support: WHITELISTED_SUPPORT,
        },
        Row {
            id: 10,
            name: name("parameters"),
            max_deciding: 10,
            deposit: 5_000 * OPEN,
            prepare: 2,
            // Every parameter is clamped by the runtime, so a bad one is a cost and not a catastrophe.
            decision: 14 * DAYS,
            confirm: 6,
            enactment: 6,
            approval: MAJORITY,
            support: QUICK_SUPPORT,
        },
        Row {
            id: 11,
            name: name("staking_admin"),
            max_deciding: 10,
            deposit: 5_000 * OPEN,
            prepare: 2,
            // Shorter than the time a slash is deferred, or it could never be cancelled.
            decision: 5 * DAYS,
            confirm: 3,
            enactment: 1,
            approval: MAJORITY,
            support: QUICK_SUPPORT,
        },
        Row {
            id: 12,
            name: name("frozen_disputes"),
            // A dispute each: a network whose committees fail has many at once, and none may wait for another.
            max_deciding: 100,
            // As much as the least slash, so that neither side is priced out of its own case.
            deposit: 100 * OPEN,
            prepare: 2,
            // Voters have to recompute or hear who did; and what is frozen meanwhile is somebody's pay.
            decision: 14 * DAYS,
            confirm: 6,
            enactment: 1,
            approval: MAJORITY,
            support: QUICK_SUPPORT,
        },
        Row {
            id: 20,
            name: name("treasurer"),
            max_deciding: 5,
            deposit: 10_000 * OPEN,
            prepare: 2,
            decision: FOUR_WEEKS,
            confirm: 2 * DAYS,
            enactment: DAYS,
            approval: ROOT_APPROVAL,
            support: HALF_TO_NONE,
        },
        Row {
            id: 21,
            name: name("big_spender"),
            max_deciding: 20,
            deposit: 4_000 * OPEN,
            prepare: 4,
            decision: FOUR_WEEKS,
            confirm: 2 * DAYS,
            enactment: DAYS,
            approval: MAJORITY,
            support: HALF_TO_NONE,
        },
        Row {
            id: 22,
            name: name("medium_spender"),
            max_deciding: 50,
            deposit: 1_000 * OPEN,
            prepare: 4,
            decision: FOUR_WEEKS,
            confirm: DAYS,
            enactment: DAYS,
            approval: MEDIUM_APPROVAL,
            support: MEDIUM_SUPPORT,
        },
        Row {
            id: 23,
            name: name("small_spender"),
            max_deciding: 100,
            deposit: 200 * OPEN,
            prepare: 1,
            decision: 14 * DAYS,
            confirm: 12,
            enactment: 12,
            approval: SMALL_APPROVAL,
            support: SMALL_SUPPORT,
        },
        Row {
            id: 30,
            name: name("referendum_canceller"),
            max_deciding: 100,
            deposit: 10_000 * OPEN,
            // Faster than what it stops.
            prepare: 1,
            decision: 7 * DAYS,
            confirm: 1,
            enactment: 1,
            approval: MAJORITY,
            support: QUICK_SUPPORT,
        },
        Row {
            id: 31,
            name: name("referendum_killer"),
            max_deciding: 100,
            // Dearer than cancelling, because a kill takes the proposer's deposits.
            deposit: 20_000 * OPEN,
            prepare: 1,
            decision: FOUR_WEEKS,
            confirm: 1,
            enactment: 1,
            approval: MAJORITY,
            support: QUICK_SUPPORT,
        },
    ]
}

/// The tracks of this runtime, with periods scaled to the network.
pub struct Tracks;

impl TracksInfo<Balance, BlockNumber> for Tracks {
    type Id = u16;
    type RuntimeOrigin = <RuntimeOrigin as frame_support::traits::OriginTrait>::PalletsOrigin;

    fn tracks() -> impl Iterator<Item = Cow<'static, Track<Self::Id, Balance, BlockNumber>>> {
        let hours = pallet_openledger_periods::Pallet::<Runtime>::hours;
        rows().into_iter().map(move |row| {
            Cow::Owned(Track {
                id: row.id,
                info: TrackInfo {
                    name: row.name,
                    max_deciding: row.max_deciding,
                    decision_deposit: row.deposit,
                    prepare_period: hours(row.prepare),
                    decision_period: hours(row.decision),
                    confirm_period: hours(row.confirm),
                    min_enactment_period: hours(row.enactment),
                    min_approval: row.approval,
                    min_support: row.support,
                },
            })
        })
    }

    fn track_for(origin: &Self::RuntimeOrigin) -> Result<Self::Id, ()> {
        use crate::OriginCaller;
        match origin {
            OriginCaller::system(frame_system::RawOrigin::Root) => Ok(0),
            OriginCaller::Origins(origin) => Ok(match origin {
                Origin::WhitelistedCaller => 1,
                Origin::ParametersAdmin => 10,
                Origin::StakingAdmin => 11,
                Origin::FrozenDisputes => 12,
                Origin::Treasurer => 20,
                Origin::BigSpender => 21,
                Origin::MediumSpender => 22,
                Origin::SmallSpender => 23,
                Origin::ReferendumCanceller => 30,
                Origin::ReferendumKiller => 31,
            }),
            _ => Err(()),
        }
    }
}

//! What the pallet asks of the staking system, and what it keeps between sessions.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::ops::RangeInclusive;
use scale_info::TypeInfo;
use sp_staking::EraIndex;

/// What the pallet must know of the staking system's eras.
pub trait Eras<Balance> {
    /// The era that planning the next one would drop from the history.
    fn oldest() -> Option<EraIndex>;
    /// Whether `era` is still in the history.
    fn is_kept(era: EraIndex) -> bool;
    /// The eras that can still be claimed, and perhaps some that cannot yet; none before staking began.
    fn claimable() -> Option<RangeInclusive<EraIndex>>;
    /// Planck of `era` that nobody has claimed, and how many validators had to be looked at. What can still be minted for
    /// `era` exceeds it by rounding only, and it never grows.
    fn unclaimed(era: EraIndex) -> (Balance, u32);
    /// Fills the history with an oldest era of `validators` validators, each of whom has claimed one of two pages.
    #[cfg(feature = "runtime-benchmarks")]
    fn prepare(validators: u32);
}

/// A count, spread over sessions, of what can still be claimed.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Audit<Balance> {
    /// The next era to count.
    pub next: EraIndex,
    /// Planck that the eras before `next` can still claim, with room for rounding. Claims only make it less, so that an era
    /// counted early is counted too high and never too low.
    pub owed: Balance,
}

//! When two sketches of the same text agree: the committee's comparison.
//!
//! A member recomputes the gradient in fp32 and quantises it **at the exponents of the committed sketch**,
//! without clipping, so that a wrong exponent shows as lanes that are too large and two honest computations
//! that fall on different sides of an exponent's edge still compare lane by lane.

use super::{Rule, SketchRef, MAX_LANE};
use alloc::vec::Vec;

/// An unclipped lane may not exceed this: 127 and the half unit by which rounding differs.
const LIMIT: u32 = 128;

/// At most one lane in this many may differ.
const LANES_PER_DIFFERENCE: usize = 256;

/// Why a recomputed sketch does not agree with the committed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub enum Disagreement {
    /// Not the layout's number of lanes, or the committed sketch is invalid by its bytes.
    Shape,
    /// An unclipped lane is over 128: the committed exponent is too small, or a zero block is not zero.
    Clipped,
    /// A lane differs by more than 1.
    Lane,
    /// More than 1 lane in 256 differs.
    TooMany,
}

impl Rule {
    /// The exponents at which to recompute a committed sketch: its own, and one below the floor for zero
    /// blocks.
    pub fn probe_exponents(&self, committed: SketchRef<'_>) -> Option<Vec<i8>> {
        let probe = |(exponent, lanes): (i8, &[i8])| {
            if lanes.iter().all(|lane| *lane == 0) {
                self.floor.saturating_sub(1)
            } else {
                exponent
            }
        };
        Some(self.blocks(committed)?.map(probe).collect())
    }

    /// Whether `recomputed` agrees with the committed sketch: lanes rounded at
    /// [`probe_exponents`](Self::probe_exponents), unclipped.
    ///
    /// No unclipped lane exceeds 128; every lane is within ±1; at most 1 lane in 256 differs (of the lanes of
    /// non-zero blocks; one may differ in sketches smaller than that). A zero block only asks that no lane,
    /// taken one exponent below the floor, exceeds 128. At the ceiling exponent larger lanes are clipped by
    /// rule and compared after clipping.
    pub fn agrees(&self, committed: SketchRef<'_>, recomputed: &[i32]) -> Result<(), Disagreement> {
        self.check(committed).map_err(|_| Disagreement::Shape)?;
        if recomputed.len() != committed.lanes.len() {
            return Err(Disagreement::Shape);
        }
        let mut rest = recomputed;
        let (mut lanes_seen, mut differing) = (0usize, 0usize);
        for (exponent, lanes) in self.blocks(committed).ok_or(Disagreement::Shape)? {
            let (own, tail) = rest.split_at_checked(lanes.len()).ok_or(Disagreement::Shape)?;
            rest = tail;
            if lanes.iter().all(|lane| *lane == 0) {
                if own.iter().any(|lane| lane.unsigned_abs() > LIMIT) {
                    return Err(Disagreement::Clipped);
                }
                continue;
            }
            lanes_seen = lanes_seen.saturating_add(lanes.len());
            let limit = i32::from(MAX_LANE);
            for (lane, recomputed) in lanes.iter().zip(own) {
                let mut recomputed = *recomputed;
                if exponent == self.ceiling {
                    recomputed = recomputed.clamp(limit.saturating_neg(), limit);
                }
                if recomputed.unsigned_abs() > LIMIT {
                    return Err(Disagreement::Clipped);
                }
                match recomputed.abs_diff(i32::from(*lane)) {
                    0 => {}
                    1 => differing = differing.saturating_add(1),
                    _ => return Err(Disagreement::Lane),
                }
            }
        }
        let allowed = lanes_seen.div_euclid(LANES_PER_DIFFERENCE).max(1);
        if differing > allowed {
            return Err(Disagreement::TooMany);
        }
        Ok(())
    }
}

//! Scores and eligibility, exact.
//!
//! With exponents in the rule's window a module's dot product is under 2^29 and is shifted by at most 2 ·
//! [`SPAN`], so a score is under 2^117: no sum here can wrap, hence any order and any split of the modules
//! gives the same bits.
//!
//! [`SPAN`]: super::SPAN

use super::{Rule, SketchRef, Z_UNIT};
use crate::wide::Wide;
use core::cmp::Ordering;

/// What one pair of sketches gives: the score, and whether it stands out from noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct Score {
    /// Σ dot · 2^(e_q + e_i − 2 · floor): positive if the row helps the answer.
    pub value: i128,
    /// Positive, and value² · lanes ≥ z² · ‖q‖² · ‖i‖².
    pub eligible: bool,
}

/// Lanes that pass through 32-bit accumulators before they are added up.
const LANES: usize = 16;

/// Σ a·b over lanes of at most [`MAX_ROW_BYTES`](super::MAX_ROW_BYTES), the shorter slice deciding the
/// length.
///
/// Written so that a compiler turns it into multiply-add instructions of whatever width the target has:
/// sixteen independent sums over fixed-size groups. Integer addition makes the grouping invisible in the
/// result.
pub fn dot(a: &[i8], b: &[i8]) -> i32 {
    let (a_groups, a_rest) = a.as_chunks::<LANES>();
    let (b_groups, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0i32; LANES];
    for (x, y) in a_groups.iter().zip(b_groups) {
        for ((sum, p), q) in sums.iter_mut().zip(x).zip(y) {
            *sum = sum.wrapping_add(i32::from(*p).wrapping_mul(i32::from(*q)));
        }
    }
    let tail = match a_groups.len().cmp(&b_groups.len()) {
        Ordering::Equal => plain(a_rest, b_rest),
        Ordering::Less => plain(
            a_rest,
            b_groups
                .get(a_groups.len())
                .map_or(&[][..], |group| group.as_slice()),
        ),
        Ordering::Greater => plain(
            a_groups
                .get(b_groups.len())
                .map_or(&[][..], |group| group.as_slice()),
            b_rest,
        ),
    };
    sums.iter().fold(tail, |total, sum| total.wrapping_add(*sum))
}

fn plain(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).fold(0i32, |sum, (p, q)| {
        sum.wrapping_add(i32::from(*p).wrapping_mul(i32::from(*q)))
    })
}

impl Rule {
    /// The exact score of a query and a row, or nothing if it could not fit: a shape that is not the
    /// layout's, or an exponent outside floor…ceiling. Valid sketches always have a score.
    pub fn score(&self, query: SketchRef<'_>, row: SketchRef<'_>) -> Option<i128> {
        let mut total = 0i128;
        for ((e_q, q), (e_i, i)) in self.blocks(query)?.zip(self.blocks(row)?) {
            total = total.checked_add(self.term(dot(q, i), e_q, e_i)?)?;
        }
        Some(total)
    }

    /// What module `module` adds to the score: the sum over all modules, in any order, is the score.
    pub fn module_score(&self, query: SketchRef<'_>, row: SketchRef<'_>, module: usize) -> Option<i128> {
        let (e_q, q) = self.blocks(query)?.nth(module)?;
        let (e_i, i) = self.blocks(row)?.nth(module)?;
        self.term(dot(q, i), e_q, e_i)
    }

    /// ‖sketch‖² in units of 2^(2 · floor), or nothing under the same conditions as [`Rule::score`].
    pub fn norm(&self, sketch: SketchRef<'_>) -> Option<u128> {
        let mut total = 0u128;
        for (exponent, lanes) in self.blocks(sketch)? {
            let square = self.term(dot(lanes, lanes), exponent, exponent)?;
            total = total.checked_add(u128::try_from(square).ok()?)?;
        }
        Some(total)
    }

    /// Score and eligibility of a row, given the norms of both sketches.
    pub fn judge(&self, score: i128, query_norm: u128, row_norm: u128) -> Option<bool> {
        if score <= 0 {
            return Some(false);
        }
        let unit = u128::from(Z_UNIT);
        let z = u128::from(self.z);
        let score = score.unsigned_abs();
        let left = Wide::product(score, score)
            .times(u128::from(self.lanes))?
            .times(unit.checked_mul(unit)?)?;
        let right = Wide::product(query_norm, row_norm).times(z.checked_mul(z)?)?;
        Some(left >= right)
    }

    /// Score and eligibility of a pair. An invalid block on either side scores nothing: such a row belongs in
    /// no list.
    pub fn evaluate(&self, query: SketchRef<'_>, row: SketchRef<'_>) -> Option<Score> {
        self.check(query).ok()?;
        self.check(row).ok()?;
        let value = self.score(query, row)?;
        let eligible = self.judge(value, self.norm(query)?, self.norm(row)?)?;
        Some(Score { value, eligible })
    }

    /// dot · 2^(e_q + e_i − 2 · floor), exponents inside the window.
    fn term(&self, dot: i32, e_q: i8, e_i: i8) -> Option<i128> {
        let window = self.floor..=self.ceiling;
        if !window.contains(&e_q) || !window.contains(&e_i) {
            return None;
        }
        let shift = i32::from(e_q)
            .checked_add(i32::from(e_i))?
            .checked_sub(i32::from(self.floor).checked_mul(2)?)?;
        // At most 2^29 · 2^88: nothing is shifted out.
        i128::from(dot).checked_shl(u32::try_from(shift).ok()?)
    }
}

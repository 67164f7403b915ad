//! How much of the pot has been emitted after a time: half in the first four years, half of the rest in the next four, and
//! so on. Pure integers.

use sp_arithmetic::{helpers_128bit::multiply_by_rational_with_rounding, Rounding};

/// Milliseconds in a period: four years of 365.25 days.
pub const PERIOD_MILLIS: u64 = 4 * 31_557_600_000;

/// Planck emitted out of `initial` planck after `millis` of emission time.
///
/// A cumulative function rather than an amount for each era, so that rounding never accumulates: what an era gets is the
/// difference between two of these. It never decreases and never exceeds `initial`.
pub fn emitted(initial: u128, millis: u64) -> u128 {
    let (periods, into) = (
        millis.checked_div(PERIOD_MILLIS),
        millis.checked_rem(PERIOD_MILLIS),
    );
    let (periods, into) = (periods.unwrap_or(0), into.unwrap_or(0));
    // After 128 halvings of a 128-bit number nothing is left.
    let left = u32::try_from(periods)
        .ok()
        .and_then(|n| initial.checked_shr(n))
        .unwrap_or(0);
    let next = left >> 1;
    let in_period = left.saturating_sub(next);
    let part = multiply_by_rational_with_rounding(
        in_period,
        u128::from(into),
        u128::from(PERIOD_MILLIS),
        Rounding::Down,
    )
    .unwrap_or(in_period);
    initial.saturating_sub(left).saturating_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POT: u128 = 250_000_000 * 1_000_000_000_000_000_000;

    #[test]
    fn emitted_should_halve_every_four_years() {
        assert_eq!(emitted(POT, 0), 0);
        assert_eq!(emitted(POT, PERIOD_MILLIS / 2), POT / 4);
        assert_eq!(emitted(POT, PERIOD_MILLIS), POT / 2);
        assert_eq!(emitted(POT, 2 * PERIOD_MILLIS), POT * 3 / 4);
        assert_eq!(emitted(POT, u64::MAX), POT);
    }

    #[test]
    fn emitted_should_reach_the_end_of_an_odd_pot() {
        // Shifts drop a planck here and there; the next period takes them up.
        assert_eq!(emitted(7, 3 * PERIOD_MILLIS), 7);
        assert_eq!(emitted(u128::MAX, u64::MAX), u128::MAX);
    }

    proptest! {
        #[test]
        fn emitted_should_never_fall_and_never_exceed(initial: u128, a: u64, b: u64) {
            let (a, b) = (a.min(b), a.max(b));
            prop_assert!(emitted(initial, a) <= emitted(initial, b));
            prop_assert!(emitted(initial, b) <= initial);
        }

        #[test]
        fn eras_should_add_up_to_the_whole(cuts in prop::collection::vec(0..PERIOD_MILLIS * 3, 1..50)) {
            let mut cuts = cuts;
            cuts.sort();
            let mut paid = 0;
            let mut last = 0;
            for cut in cuts {
                paid += emitted(POT, cut) - emitted(POT, last);
                last = cut;
            }
            prop_assert_eq!(paid, emitted(POT, last));
        }
    }
}

//! Where floating point ends: numbers to bytes with one exponent a block.

use crate::Result;
use openledger_attribution::{
    committee,
    sketch::{Disagreement, Rule, Sketch, SketchRef, MAX_LANE},
};

/// Quantises the lanes of all blocks: per block the least exponent at which the largest lane rounds to 127 or
/// less; zero with the floor exponent if that is under the floor; clipped at the ceiling. Halves round away
/// from zero. `lanes` are finite and as many as the rule's.
pub(crate) fn quantise(rule: &Rule, lanes: &[f64]) -> Sketch {
    let mut sketch = Sketch {
        exponents: Vec::with_capacity(rule.block_lanes().len()),
        lanes: Vec::with_capacity(lanes.len()),
    };
    let mut rest = lanes;
    for count in rule.block_lanes() {
        let (block, tail) = rest.split_at(*count as usize);
        rest = tail;
        let peak = block.iter().fold(0.0f64, |peak, lane| peak.max(lane.abs()));
        match exponent(peak).filter(|exponent| *exponent >= i32::from(rule.floor())) {
            None => {
                sketch.exponents.push(rule.floor());
                sketch.lanes.extend(std::iter::repeat_n(0, block.len()));
            }
            Some(exponent) => {
                let exponent = exponent.min(i32::from(rule.ceiling()));
                // Inside the ceiling and the floor, so it fits.
                sketch.exponents.push(exponent as i8);
                let limit = f64::from(MAX_LANE);
                sketch.lanes.extend(
                    block
                        .iter()
                        .map(|lane| rounded(*lane, exponent).clamp(-limit, limit) as i8),
                );
            }
        }
    }
    sketch
}

/// The least e with round(peak / 2^e) ≤ 127; none for zero.
fn exponent(peak: f64) -> Option<i32> {
    if peak == 0.0 {
        return None;
    }
    if peak < f64::MIN_POSITIVE {
        // Subnormal: far under every floor.
        return Some(i32::MIN);
    }
    // peak = f · 2^p with f in [1, 2): at e = p − 6 it is in [64, 128), and only there or one above it can
    // the answer be.
    let p = ((peak.to_bits() >> 52) & 0x7ff) as i32 - 1_023;
    let e = p - 6;
    Some(if rounded(peak, e) > f64::from(MAX_LANE) {
        e + 1
    } else {
        e
    })
}

/// round(value / 2^exponent), halves away from zero. The division is exact for every exponent a sketch has.
fn rounded(value: f64, exponent: i32) -> f64 {
    (value * 2f64.powi(-exponent)).round()
}

/// The lanes at given exponents, one a block, unclipped: what a committee compares.
fn unclipped(rule: &Rule, lanes: &[f64], exponents: &[i8]) -> Vec<i32> {
    let mut rest = lanes;
    let mut result = Vec::with_capacity(lanes.len());
    for (count, exponent) in rule.block_lanes().iter().zip(exponents) {
        let (block, tail) = rest.split_at(*count as usize);
        rest = tail;
        // Casts saturate, and beyond 128 all are alike.
        result.extend(
            block
                .iter()
                .map(|lane| rounded(*lane, i32::from(*exponent)) as i32),
        );
    }
    result
}

/// What a committee's member computed of a sketch: lanes at the committed exponents, and whether they agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recomputed {
    /// Its lanes, to be revealed with the vote; empty if the committed sketch has no shape to compare with.
    pub lanes: Vec<i32>,
    /// Whether they agree with the committed ones, else why not.
    pub verdict: Result<(), Disagreement>,
}

impl Recomputed {
    pub(crate) fn of(rule: &Rule, committed: SketchRef<'_>, lanes: &[f64]) -> Self {
        match rule.probe_exponents(committed) {
            None => Self {
                lanes: Vec::new(),
                verdict: Err(Disagreement::Shape),
            },
            Some(exponents) => {
                let lanes = unclipped(rule, lanes, &exponents);
                let verdict = rule.agrees(committed, &lanes);
                Self { lanes, verdict }
            }
        }
    }

    /// Whether two members computed the same.
    pub fn agrees_with(&self, other: &Self) -> Result<(), Disagreement> {
        committee::lanes_agree(&self.lanes, &other.lanes)
    }
}

#[cfg(test)]
mod tests {
    use super::{exponent, quantise, rounded};
    use openledger_attribution::{
        index::IndexRules,
        sketch::{Kind, Layout, Module, Rule},
    };

    #[test]
    fn the_exponent_is_the_least_that_fits() {
        let mut state = 99u64;
        println!("seed {state}");
        let edges = [127.4999, 127.5, 127.5001, 127.0, 63.75, 64.0, 0.498, 1.0];
        let random = (0..20_000).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let fraction = 1.0 + (state >> 11) as f64 / (1u64 << 53) as f64;
            fraction * 2f64.powi((state % 80) as i32 - 40)
        });
        for peak in edges.into_iter().chain(random.collect::<Vec<_>>()) {
            let e = exponent(peak).unwrap();
            assert!(rounded(peak, e) <= 127.0, "{peak} does not fit at {e}");
            assert!(rounded(peak, e - 1) > 127.0, "{peak} also fits at {}", e - 1);
            assert!(rounded(peak, e) >= 64.0);
        }
    }

    #[test]
    fn under_the_floor_is_zero_and_over_the_ceiling_is_clipped() {
        let layout = Layout {
            names: [0; 32],
            modules: vec![
                Module {
                    kind: Kind::Linear,
                    rows: 1,
                    columns: 2
                };
                4
            ],
        };
        let rules = IndexRules {
            projection: 2,
            top: 1,
            rho: 0,
            z: 1,
            floor: -10,
        };
        let rule = Rule::new(&layout, &rules).unwrap();
        let at_floor = 64.0 * 2f64.powi(-10);
        let lanes = [
            at_floor,
            0.0, // just reaches the floor
            at_floor * 0.99,
            0.0, // just does not
            2f64.powi(60),
            -1.0, // beyond the ceiling of 34
            0.0,
            0.0,
        ];
        let sketch = quantise(&rule, &lanes);
        assert_eq!(sketch.exponents, [-10, -10, 34, -10]);
        assert_eq!(sketch.lanes, [64, 0, 0, 0, 127, 0, 0, 0]);
        assert_eq!(rule.check(sketch.view()), Ok(()));
    }
}

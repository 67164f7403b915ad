//! The numbers the generic code computes with: f32 in service and training, f64 where gradients are checked.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

/// A floating-point number whose every operation gives the same bits on every machine.
///
/// Nothing here calls the system's mathematics library: `exp` is a polynomial of fused multiply-adds, logarithms and angles come
/// from the `libm` crate.
pub trait Real:
    Copy
    + Send
    + Sync
    + 'static
    + Debug
    + Default
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// Below every finite number.
    const NEG_INFINITY: Self;
    /// `self · b + c`, rounded once.
    fn mul_add(self, b: Self, c: Self) -> Self;
    /// The exponential.
    fn exp(self) -> Self;
    /// The natural logarithm.
    fn ln(self) -> Self;
    /// The square root, correctly rounded.
    fn sqrt(self) -> Self;
    /// Rounds an f64.
    fn from_f64(x: f64) -> Self;
    /// Widens to f64.
    fn to_f64(self) -> f64;

    /// Rounds or widens an f32.
    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        Self::from_f64(f64::from(x))
    }

    /// Rounds to f32.
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self.to_f64() as f32
    }

    /// The larger of two numbers; the first if they are equal.
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        if other > self {
            other
        } else {
            self
        }
    }
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const NEG_INFINITY: Self = f32::NEG_INFINITY;

    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        f32::mul_add(self, b, c)
    }

    // x = n·ln 2 + r with |r| ≤ ln 2 / 2, the Taylor polynomial of e^r, then n into the exponent. The error is about one unit in
    // the last place; below -87 the result is the smallest normal number, above 88 the largest power.
    #[inline(always)]
    fn exp(self) -> Self {
        const ROUND: f32 = 12_582_912.0; // 1.5 · 2^23: adding it rounds to a whole number
        let x = if self > -87.0 { self } else { -87.0 };
        let x = if x < 88.0 { x } else { 88.0 };
        let shifted = f32::mul_add(x, std::f32::consts::LOG2_E, ROUND);
        let n = shifted - ROUND;
        let r = f32::mul_add(n, -0.693_359_4, x);
        let r = f32::mul_add(n, 2.121_944_4e-4, r);
        let mut p = 1.0 / 5040.0;
        p = f32::mul_add(p, r, 1.0 / 720.0);
        p = f32::mul_add(p, r, 1.0 / 120.0);
        p = f32::mul_add(p, r, 1.0 / 24.0);
        p = f32::mul_add(p, r, 1.0 / 6.0);
        p = f32::mul_add(p, r, 0.5);
        p = f32::mul_add(p, r, 1.0);
        p = f32::mul_add(p, r, 1.0);
        let power = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
        p * f32::from_bits(power)
    }

    #[inline]
    fn ln(self) -> Self {
        libm::logf(self)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }

    #[inline(always)]
    fn from_f64(x: f64) -> Self {
        x as f32
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const NEG_INFINITY: Self = f64::NEG_INFINITY;

    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        f64::mul_add(self, b, c)
    }

    #[inline]
    fn exp(self) -> Self {
        libm::exp(self)
    }

    #[inline]
    fn ln(self) -> Self {
        libm::log(self)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }

    #[inline(always)]
    fn from_f64(x: f64) -> Self {
        x
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_should_be_within_two_units_of_the_true_value() {
        for i in -87_000..88_000 {
            let x = i as f32 / 1000.0;
            let (got, want) = (f64::from(Real::exp(x)), libm::exp(f64::from(x)));
            assert!(
                (got - want).abs() <= want * 2.4e-7,
                "exp({x}) = {got}, not {want}"
            );
        }
        assert!(Real::exp(-1e30_f32) < 1e-37);
    }
}

//! The few operations that need more than 128 bits, exact and without a big-integer crate.

/// An unsigned number below 2^384. The order of the fields makes the derived comparison the numeric one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wide {
    high: u128,
    middle: u128,
    low: u128,
}

const HALF: u32 = 64;
const LOW: u128 = u64::MAX as u128;

impl Wide {
    /// a · b.
    pub fn product(a: u128, b: u128) -> Self {
        let (middle, low) = multiply(a, b);
        Self { high: 0, middle, low }
    }

    /// self · by, or nothing if it needs more than 384 bits.
    pub fn times(self, by: u128) -> Option<Self> {
        let (carry_low, low) = multiply(self.low, by);
        let (carry_middle, middle) = multiply(self.middle, by);
        let (over, high) = multiply(self.high, by);
        let (middle, carried) = middle.overflowing_add(carry_low);
        let high = high.checked_add(carry_middle)?.checked_add(u128::from(carried))?;
        (over == 0).then_some(Self { high, middle, low })
    }

    /// The three 128-bit digits, most significant first.
    pub fn digits(self) -> [u128; 3] {
        [self.high, self.middle, self.low]
    }
}

/// a · b as (high, low) halves of 128 bits.
pub fn multiply(a: u128, b: u128) -> (u128, u128) {
    let (a_high, a_low) = (a >> HALF, a & LOW);
    let (b_high, b_low) = (b >> HALF, b & LOW);
    // Each product of two 64-bit halves fits 128 bits; `cross` is below 3 · 2^64.
    let low = a_low.wrapping_mul(b_low);
    let left = a_high.wrapping_mul(b_low);
    let right = a_low.wrapping_mul(b_high);
    let cross = (low >> HALF).wrapping_add(left & LOW).wrapping_add(right & LOW);
    let high = a_high
        .wrapping_mul(b_high)
        .wrapping_add(left >> HALF)
        .wrapping_add(right >> HALF)
        .wrapping_add(cross >> HALF);
    (high, (cross << HALF) | (low & LOW))
}

/// ⌊a · b / d⌋ and the remainder; nothing if `d` is 0 or the quotient does not fit 128 bits.
pub fn multiply_divide(a: u128, b: u128, d: u128) -> Option<(u128, u128)> {
    let (high, low) = multiply(a, b);
    if high == 0 {
        return Some((low.checked_div(d)?, low.checked_rem(d)?));
    }
    if high >= d {
        return None;
    }
    // Long division, one bit at a time: the remainder stays below d, so doubling it overflows by one bit at
    // most.
    let (mut remainder, mut rest, mut quotient) = (high, low, 0u128);
    for _ in 0..u128::BITS {
        let carried = remainder >> 127 == 1;
        remainder = (remainder << 1) | (rest >> 127);
        rest <<= 1;
        quotient <<= 1;
        if carried || remainder >= d {
            remainder = remainder.wrapping_sub(d);
            quotient |= 1;
        }
    }
    Some((quotient, remainder))
}

/// ⌊x · n / 2^256⌋ for the 256-bit number with the big-endian bytes `x`: a number below `n`, as even as `x`
/// is.
pub fn scale(x: &[u8; 32], n: u128) -> u128 {
    let (mut high, mut low) = (0u128, 0u128);
    for (position, byte) in x.iter().enumerate() {
        let half = if position < 16 { &mut high } else { &mut low };
        *half = (*half << 8) | u128::from(*byte);
    }
    let (carry, _) = multiply(low, n);
    let (top, middle) = multiply(high, n);
    // top < n, and a carry out of the middle cannot push the quotient to n.
    top.wrapping_add(u128::from(middle.checked_add(carry).is_none()))
}

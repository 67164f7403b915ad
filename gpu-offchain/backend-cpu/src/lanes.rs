//! The one order of every sum: eight lanes of fused multiply-adds, then a fixed tree.
//!
//! The functions are generic and inlined into callers compiled once for any machine and once for AVX2 with FMA. Both run the same
//! operations on the same numbers in the same order, so they give the same bits; the compiler never reorders floating point.

use openledger_engine::Real;

/// Width of the lane order.
pub(crate) const LANES: usize = 8;

/// Eight partial sums.
pub(crate) type Lanes<F> = [F; LANES];

/// `((0+4)+(2+6)) + ((1+5)+(3+7))`, as halving a vector gives it.
#[inline(always)]
pub(crate) fn reduce<F: Real>(l: Lanes<F>) -> F {
    let (a, b, c, d) = (l[0] + l[4], l[1] + l[5], l[2] + l[6], l[3] + l[7]);
    (a + c) + (b + d)
}

/// The eight elements from `at`.
///
/// # Safety
///
/// `x` has at least `at + 8` elements.
#[inline(always)]
pub(crate) unsafe fn load<F: Real>(x: &[F], at: usize) -> Lanes<F> {
    debug_assert!(at + LANES <= x.len());
    // SAFETY: an array has the alignment of its elements, and the caller answers for the range.
    unsafe { *x.as_ptr().add(at).cast::<Lanes<F>>() }
}

/// `acc + a · b`, lane by lane.
#[inline(always)]
pub(crate) fn fma<F: Real>(a: Lanes<F>, b: Lanes<F>, acc: Lanes<F>) -> Lanes<F> {
    let mut out = acc;
    for l in 0..LANES {
        out[l] = a[l].mul_add(b[l], out[l]);
    }
    out
}

/// The dot product; element i goes to lane i mod 8.
#[inline(always)]
pub(crate) fn dot<F: Real>(a: &[F], b: &[F]) -> F {
    let n = a.len().min(b.len());
    let (a, b) = (&a[..n], &b[..n]);
    let whole = n - n % LANES;
    let mut acc = [F::ZERO; LANES];
    let mut i = 0;
    while i < whole {
        // SAFETY: i + 8 ≤ n, the length of both.
        acc = unsafe { fma(load(a, i), load(b, i), acc) };
        i += LANES;
    }
    for l in 0..n - whole {
        acc[l] = a[whole + l].mul_add(b[whole + l], acc[l]);
    }
    reduce(acc)
}

/// The sum; element i goes to lane i mod 8.
#[inline(always)]
pub(crate) fn sum<F: Real>(a: &[F]) -> F {
    let mut acc = [F::ZERO; LANES];
    let mut chunks = a.chunks_exact(LANES);
    for c in chunks.by_ref() {
        for l in 0..LANES {
            acc[l] += c[l];
        }
    }
    for (l, x) in chunks.remainder().iter().enumerate() {
        acc[l] += *x;
    }
    reduce(acc)
}

/// `y += s · x`.
#[inline(always)]
pub(crate) fn axpy<F: Real>(s: F, x: &[F], y: &mut [F]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = s.mul_add(*x, *y);
    }
}

/// Defines `$name`, which runs the generic body `$body` compiled for AVX2 and FMA when `simd` says so.
macro_rules! dispatch {
    ($(#[$doc:meta])* fn $name:ident / $fast:ident = $body:ident ( $($arg:ident : $ty:ty),* $(,)? ) $(-> $ret:ty)?) => {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        fn $fast<F: Real>($($arg: $ty),*) $(-> $ret)? {
            $body($($arg),*)
        }

        $(#[$doc])*
        pub(crate) fn $name<F: Real>(simd: bool, $($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            if simd {
                // SAFETY: `simd` is set only where the processor was asked for AVX2 and FMA.
                return unsafe { $fast($($arg),*) };
            }
            let _ = simd;
            $body($($arg),*)
        }
    };
}
pub(crate) use dispatch;

//! 16 products an instruction, on x86-64 processors with AVX2.

use super::{LaneMatrix, ScoreBackend};
use crate::{Error, Result};
use std::ops::Range;

/// AVX2; only a processor that has it gives one out.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

impl Avx2 {
    pub(super) const INSTANCE: Self = Self(());

    /// The backend, if the processor can run it.
    pub fn new() -> Option<Self> {
        is_there().then_some(Self::INSTANCE)
    }
}

#[cfg(target_arch = "x86_64")]
fn is_there() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
}

#[cfg(not(target_arch = "x86_64"))]
fn is_there() -> bool {
    false
}

impl ScoreBackend for Avx2 {
    fn name(&self) -> &'static str {
        "avx2"
    }

    fn dots(&self, index: &LaneMatrix<'_>, rows: Range<usize>, query: &[i8], out: &mut [i32]) -> Result<()> {
        let lanes = index.checked(self.name(), &rows, query, out)?;
        if !is_there() {
            return Err(Error::Backend {
                backend: self.name(),
                what: "this processor has no AVX2: use the scalar backend".into(),
            });
        }
        #[cfg(target_arch = "x86_64")]
        {
            // SAFETY: the processor has AVX2, asked one line above.
            unsafe { rows_of(index, lanes, query, out) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            let _ = lanes;
        }
        Ok(())
    }
}

/// All rows, compiled for AVX2 as a whole. The query is widened to 16 bits once, so that a row's bytes are
/// widened on their way from memory and nothing else is.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn rows_of(matrix: &LaneMatrix<'_>, lanes: &[i8], query: &[i8], out: &mut [i32]) {
    let wide: Vec<i16> = query.iter().map(|lane| i16::from(*lane)).collect();
    let width = wide.len();
    if width == 0 {
        return;
    }
    for (row, out) in lanes
        .chunks_exact(width)
        .zip(out.chunks_exact_mut(matrix.blocks.len()))
    {
        let (mut row, mut query) = (row, wide.as_slice());
        for (count, out) in matrix.blocks.iter().zip(out) {
            let (a, row_rest) = row.split_at(*count as usize);
            let (b, query_rest) = query.split_at(*count as usize);
            *out = dot(a, b);
            (row, query) = (row_rest, query_rest);
        }
    }
}

/// Lanes that one instruction multiplies.
#[cfg(target_arch = "x86_64")]
const STEP: usize = 16;

/// Σ a·b for slices of one length: products of 16 bits, added in pairs to 32. Every byte value is exact, −128
/// too, and a block of 32 KiB stays below 2^29.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn dot(a: &[i8], b: &[i16]) -> i32 {
    use std::arch::x86_64::*;
    // SAFETY of both loads: a group is as many bytes as is loaded, and no alignment is asked for.
    #[target_feature(enable = "avx2")]
    fn products(a: &[i8; STEP], b: &[i16; STEP]) -> __m256i {
        let (a, b) = unsafe {
            (
                _mm_loadu_si128(a.as_ptr().cast()),
                _mm256_loadu_si256(b.as_ptr().cast()),
            )
        };
        _mm256_madd_epi16(_mm256_cvtepi8_epi16(a), b)
    }
    let (a_groups, a_rest) = a.as_chunks::<STEP>();
    let (b_groups, b_rest) = b.as_chunks::<STEP>();
    // Four sums, so that no addition waits for the one before.
    let (a_fours, a_few) = a_groups.as_chunks::<4>();
    let (b_fours, b_few) = b_groups.as_chunks::<4>();
    let mut sums = [_mm256_setzero_si256(); 4];
    for (a, b) in a_fours.iter().zip(b_fours) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum = _mm256_add_epi32(*sum, products(a, b));
        }
    }
    for ((sum, a), b) in sums.iter_mut().zip(a_few).zip(b_few) {
        *sum = _mm256_add_epi32(*sum, products(a, b));
    }
    let [w, x, y, z] = sums;
    let sum = _mm256_add_epi32(_mm256_add_epi32(w, x), _mm256_add_epi32(y, z));
    let half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
    let pair = _mm_add_epi32(half, _mm_shuffle_epi32::<0b00_00_11_10>(half));
    let one = _mm_add_epi32(pair, _mm_shuffle_epi32::<0b00_00_00_01>(pair));
    let rest: i32 = a_rest
        .iter()
        .zip(b_rest)
        .map(|(x, y)| i32::from(*x) * i32::from(*y))
        .sum();
    _mm_cvtsi128_si32(one).wrapping_add(rest)
}

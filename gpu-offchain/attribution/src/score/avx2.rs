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
    if wide.is_empty() {
        return;
    }
    let (width, blocks) = (wide.len(), matrix.blocks.len());
    // Four rows at a time, so that the query's lanes are fetched once for all of them.
    let (fours, rest) = lanes.split_at(lanes.len() / (4 * width) * 4 * width);
    let (out_fours, out_rest) = out.split_at_mut(fours.len() / width * blocks);
    for (rows, out) in fours
        .chunks_exact(4 * width)
        .zip(out_fours.chunks_exact_mut(4 * blocks))
    {
        some_rows::<4>(matrix.blocks, rows, &wide, out);
    }
    for (row, out) in rest.chunks_exact(width).zip(out_rest.chunks_exact_mut(blocks)) {
        some_rows::<1>(matrix.blocks, row, &wide, out);
    }
}

/// The blocks of N rows.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn some_rows<const N: usize>(blocks: &[u32], rows: &[i8], query: &[i16], out: &mut [i32]) {
    let width = query.len();
    let mut start = 0;
    for (block, count) in blocks.iter().enumerate() {
        let end = start + *count as usize;
        let parts: [&[i8]; N] = std::array::from_fn(|row| &rows[row * width + start..row * width + end]);
        let sums = dots(parts, &query[start..end]);
        for (row, sum) in sums.into_iter().enumerate() {
            out[row * blocks.len() + block] = sum;
        }
        start = end;
    }
}

/// Lanes that one instruction multiplies.
#[cfg(target_arch = "x86_64")]
const STEP: usize = 16;

/// Σ a·b for N slices a of b's length: products of 16 bits, added in pairs to 32. Every byte value is exact,
/// −128 too, and a block of 32 KiB stays below 2^29.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn dots<const N: usize>(rows: [&[i8]; N], b: &[i16]) -> [i32; N] {
    use std::arch::x86_64::*;
    let (b_groups, b_rest) = b.as_chunks::<STEP>();
    let rows = rows.map(|row| row.as_chunks::<STEP>());
    let mut sums = [_mm256_setzero_si256(); N];
    for (at, b) in b_groups.iter().enumerate() {
        // SAFETY of both loads: a group is as many bytes as is loaded, and no alignment is asked for.
        let b = unsafe { _mm256_loadu_si256(b.as_ptr().cast()) };
        for (sum, (groups, _)) in sums.iter_mut().zip(&rows) {
            let a = unsafe { _mm_loadu_si128(groups[at].as_ptr().cast()) };
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(_mm256_cvtepi8_epi16(a), b));
        }
    }
    let mut results = [0; N];
    for (result, (sum, (_, rest))) in results.iter_mut().zip(sums.into_iter().zip(&rows)) {
        let half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
        let pair = _mm_add_epi32(half, _mm_shuffle_epi32::<0b00_00_11_10>(half));
        let one = _mm_add_epi32(pair, _mm_shuffle_epi32::<0b00_00_00_01>(pair));
        let rest: i32 = rest
            .iter()
            .zip(b_rest)
            .map(|(x, y)| i32::from(*x) * i32::from(*y))
            .sum();
        *result = _mm_cvtsi128_si32(one).wrapping_add(rest);
    }
    results
}

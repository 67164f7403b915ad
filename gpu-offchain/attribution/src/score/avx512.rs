//! Dot products with AVX-512 and its byte products (VNNI): 64 lanes an instruction, so that memory is what
//! scoring waits for.

use super::{LaneMatrix, ScoreBackend};
use crate::{Error, Result};
use std::ops::Range;

/// AVX-512 F, BW and VNNI; only a processor that has them gives one out.
#[derive(Clone, Copy, Debug)]
pub struct Avx512(());

impl Avx512 {
    pub(super) const INSTANCE: Self = Self(());

    /// The backend, if the processor can run it.
    pub fn new() -> Option<Self> {
        is_there().then_some(Self::INSTANCE)
    }
}

#[cfg(target_arch = "x86_64")]
fn is_there() -> bool {
    std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512bw")
        && std::arch::is_x86_feature_detected!("avx512vnni")
}

#[cfg(not(target_arch = "x86_64"))]
fn is_there() -> bool {
    false
}

impl ScoreBackend for Avx512 {
    fn name(&self) -> &'static str {
        "avx512"
    }

    fn dots(&self, index: &LaneMatrix<'_>, rows: Range<usize>, query: &[i8], out: &mut [i32]) -> Result<()> {
        let lanes = index.checked(self.name(), &rows, query, out)?;
        if !is_there() {
            return Err(Error::Backend {
                backend: self.name(),
                what: "this processor has no AVX-512 with VNNI: use another backend".into(),
            });
        }
        #[cfg(target_arch = "x86_64")]
        {
            // SAFETY: the processor has all three, asked a few lines above.
            unsafe { rows_of(index, lanes, query, out) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            let _ = lanes;
        }
        Ok(())
    }
}

/// The instruction multiplies unsigned by signed bytes. A row's lanes are made unsigned by adding 128, and
/// what that adds to a block's sum, 128 times the sum of the query's lanes there, is taken off again.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn rows_of(matrix: &LaneMatrix<'_>, lanes: &[i8], query: &[i8], out: &mut [i32]) {
    if query.is_empty() {
        return;
    }
    let (width, blocks) = (query.len(), matrix.blocks.len());
    // Four rows at a time, so that the query's lanes are fetched once for all of them.
    let (fours, rest) = lanes.split_at(lanes.len() / (4 * width) * 4 * width);
    let (out_fours, out_rest) = out.split_at_mut(fours.len() / width * blocks);
    for (rows, out) in fours
        .chunks_exact(4 * width)
        .zip(out_fours.chunks_exact_mut(4 * blocks))
    {
        some_rows::<4>(matrix.blocks, rows, query, out);
    }
    for (row, out) in rest.chunks_exact(width).zip(out_rest.chunks_exact_mut(blocks)) {
        some_rows::<1>(matrix.blocks, row, query, out);
    }
}

/// The blocks of N rows.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn some_rows<const N: usize>(blocks: &[u32], rows: &[i8], query: &[i8], out: &mut [i32]) {
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
const STEP: usize = 64;

/// Σ a·b for N slices a of b's length. A block has at most 32 KiB, so Σ (a + 128)·b stays within 2^31 for
/// every byte value.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn dots<const N: usize>(rows: [&[i8]; N], b: &[i8]) -> [i32; N] {
    use std::arch::x86_64::*;
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn load(group: &[i8; STEP]) -> __m512i {
        // SAFETY: a group is as many bytes as is loaded, and no alignment is asked for.
        unsafe { _mm512_loadu_epi8(group.as_ptr()) }
    }
    let (b_groups, b_rest) = b.as_chunks::<STEP>();
    let rows = rows.map(|row| row.as_chunks::<STEP>());
    let mut sums = [_mm512_setzero_si512(); N];
    let mut excess = _mm512_setzero_si512();
    let shift = _mm512_set1_epi8(-128);
    for (at, b) in b_groups.iter().enumerate() {
        let b = load(b);
        // −128 as an unsigned byte is 128.
        excess = _mm512_dpbusd_epi32(excess, shift, b);
        for (sum, (groups, _)) in sums.iter_mut().zip(&rows) {
            *sum = _mm512_dpbusd_epi32(*sum, _mm512_xor_si512(load(&groups[at]), shift), b);
        }
    }
    let excess = _mm512_reduce_add_epi32(excess);
    let mut results = [0; N];
    for (result, (sum, (_, rest))) in results.iter_mut().zip(sums.into_iter().zip(&rows)) {
        let rest: i32 = rest
            .iter()
            .zip(b_rest)
            .map(|(x, y)| i32::from(*x) * i32::from(*y))
            .sum();
        *result = _mm512_reduce_add_epi32(sum)
            .wrapping_sub(excess)
            .wrapping_add(rest);
    }
    results
}

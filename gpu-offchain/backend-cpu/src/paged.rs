//! Attention over pages. A page holds, head after head, its keys as `[dim, page]`, so that scores need no transposing, and its values as
//! `[page, dim]`. Every sum runs in the order it has without pages, and so gives the same bits for pages of any size.

use openledger_engine::backend::{Heads, PagedSegment};
use openledger_engine::Real;

use crate::attention::{add_scaled, softmax, BLOCK};
use crate::gemm::{outer, Outer, Store};

/// A layer's cache.
#[derive(Clone, Copy)]
pub(crate) struct Cache<'a, F> {
    pub(crate) heads: Heads,
    pub(crate) page: usize,
    pub(crate) tables: &'a [u32],
    pub(crate) keys: &'a [F],
    pub(crate) values: &'a [F],
}

/// Puts one token's key and value, `[kv heads, dim]` each, into its slot.
pub(crate) fn put<F: Real>(
    heads: Heads,
    page: usize,
    slot: usize,
    key: &[F],
    value: &[F],
    keys: &mut [F],
    values: &mut [F],
) {
    let (dim, place) = (heads.dim, slot % page);
    for head in 0..heads.kv {
        let at = (slot / page * heads.kv + head) * page * dim;
        let own = head * dim..(head + 1) * dim;
        for (d, x) in key[own.clone()].iter().enumerate() {
            keys[at + d * page + place] = *x;
        }
        values[at + place * dim..at + (place + 1) * dim].copy_from_slice(&value[own]);
    }
}

impl<'a, F: Real> Cache<'a, F> {
    /// The part of a page that belongs to a query head.
    fn part(&self, all: &'a [F], segment: &PagedSegment, page: usize, head: usize) -> &'a [F] {
        let size = self.page * self.heads.dim;
        let own = head * self.heads.kv / self.heads.q;
        let at = (self.tables[segment.table_start + page] as usize * self.heads.kv + own) * size;
        &all[at..at + size]
    }
}

/// One query head's outputs `[q_len, dim]` and logarithms of sums `[q_len]`.
pub(crate) fn forward<F: Real>(
    simd: bool,
    cache: Cache<'_, F>,
    segment: PagedSegment,
    head: usize,
    q: &[F],
    out: &mut [F],
    lse: &mut [F],
) {
    let (dim, page, rows) = (cache.heads.dim, cache.page, segment.q_len);
    let scale = F::ONE / F::from_f64(dim as f64).sqrt();
    let seen = |i: usize| segment.kv_len - rows + i + 1;
    let width = segment.kv_len.next_multiple_of(page);
    let stride = cache.heads.q * dim;
    let mut scores = vec![F::ZERO; BLOCK.min(rows) * width];
    for first in (0..rows).step_by(BLOCK) {
        let block = BLOCK.min(rows - first);
        let queries = &q[(segment.q_start + first) * stride + head * dim..];
        for p in 0..seen(first + block - 1).div_ceil(page) {
            let shape = Outer {
                rows: block,
                n: page,
                k: dim,
                a_row: stride,
                a_sum: 1,
                ldb: page,
                ldc: width,
            };
            let keys = cache.part(cache.keys, &segment, p, head);
            outer(
                simd,
                shape,
                queries,
                keys,
                &mut scores[p * page..],
                Store::plain(),
            );
        }
        let mut totals = [F::ONE; BLOCK];
        for i in 0..block {
            let at = i * width;
            let (max, total) = softmax(simd, &mut scores[at..at + seen(first + i)], scale);
            lse[first + i] = max + total.ln();
            totals[i] = total;
        }
        // Four rows together as far as the first of them sees, then each alone.
        for i in (0..block).step_by(4) {
            let (some, common) = (4.min(block - i), seen(first + i));
            let at = (first + i) * dim;
            let out = &mut out[at..at + some * dim];
            for p in 0..common.div_ceil(page) {
                let shape = Outer {
                    rows: some,
                    n: dim,
                    k: page.min(common - p * page),
                    a_row: width,
                    a_sum: 1,
                    ldb: dim,
                    ldc: dim,
                };
                let store = Store {
                    resume: p > 0,
                    ..Store::plain()
                };
                let values = cache.part(cache.values, &segment, p, head);
                outer(simd, shape, &scores[i * width + p * page..], values, out, store);
            }
            for (r, row) in out.chunks_exact_mut(dim).enumerate() {
                for j in common..common + r {
                    let values = cache.part(cache.values, &segment, j / page, head);
                    let at = j % page * dim;
                    add_scaled(simd, scores[(i + r) * width + j], &values[at..at + dim], row);
                }
                let inverse = F::ONE / totals[i + r];
                for o in row {
                    *o = *o * inverse;
                }
            }
        }
    }
}

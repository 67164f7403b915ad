//! Causal attention of one head over one sequence, forward and backward.
//!
//! Scores are summed over the head's elements in order, outputs over the keys in order, so that a row has the same bits whether it is
//! computed alone, while decoding, or with others. The backward pass rebuilds the probabilities from the logarithms of the softmax sums
//! instead of keeping them.

use openledger_engine::backend::{Heads, Segment};
use openledger_engine::Real;

use crate::gemm::{outer, Outer, Store};
use crate::lanes::{axpy, dispatch, dot, sum, LANES};

/// One query head of one sequence.
#[derive(Clone, Copy)]
pub(crate) struct Task {
    pub(crate) heads: Heads,
    pub(crate) segment: Segment,
    pub(crate) head: usize,
}

// Query rows that are worked on together.
pub(crate) const BLOCK: usize = 32;

impl Task {
    fn scale<F: Real>(&self) -> F {
        F::ONE / F::from_f64(self.heads.dim as f64).sqrt()
    }

    /// How many keys row i sees.
    fn seen(&self, i: usize) -> usize {
        self.segment.kv_len - self.segment.q_len + i + 1
    }

    /// The head's rows of a buffer of queries, one after another.
    fn queries<F: Real>(&self, x: &[F]) -> Vec<F> {
        self.rows(
            x,
            self.heads.q,
            self.head,
            self.segment.q_start,
            self.segment.q_len,
        )
    }

    /// The head's rows of a buffer of keys or values, one after another.
    fn keys<F: Real>(&self, x: &[F]) -> Vec<F> {
        let head = self.head * self.heads.kv / self.heads.q;
        self.rows(x, self.heads.kv, head, self.segment.kv_start, self.segment.kv_len)
    }

    fn rows<F: Real>(&self, x: &[F], heads: usize, head: usize, start: usize, len: usize) -> Vec<F> {
        let dim = self.heads.dim;
        let mut out = Vec::with_capacity(len * dim);
        for row in start..start + len {
            let at = (row * heads + head) * dim;
            out.extend_from_slice(&x[at..at + dim]);
        }
        out
    }

    /// Number of keys, rounded up to whole vectors.
    fn width(&self) -> usize {
        self.segment.kv_len.next_multiple_of(LANES)
    }
}

/// `[len, dim]` as `[dim, width]`, zeros on the right.
fn transpose<F: Real>(x: &[F], dim: usize, width: usize) -> Vec<F> {
    let mut out = vec![F::ZERO; dim * width];
    for (j, row) in x.chunks_exact(dim).enumerate() {
        for (d, x) in row.iter().enumerate() {
            out[d * width + j] = *x;
        }
    }
    out
}

#[inline(always)]
fn softmax_body<F: Real>(scores: &mut [F], scale: F) -> (F, F) {
    let mut max = F::NEG_INFINITY;
    for s in scores.iter_mut() {
        *s = *s * scale;
        max = max.larger(*s);
    }
    for s in scores.iter_mut() {
        *s = (*s - max).exp();
    }
    (max, sum(scores))
}

dispatch! {
    /// Makes scores exponentials of their distance from the largest; gives it and their sum.
    fn softmax / softmax_avx2 = softmax_body(scores: &mut [F], scale: F) -> (F, F)
}

dispatch! {
    /// `y += s · x`.
    fn add_scaled / add_scaled_avx2 = axpy(s: F, x: &[F], y: &mut [F])
}

/// One head's outputs `[q_len, dim]` and logarithms of sums `[q_len]`.
pub(crate) fn forward<F: Real>(
    simd: bool,
    task: Task,
    q: &[F],
    k: &[F],
    v: &[F],
    out: &mut [F],
    lse: &mut [F],
) {
    let (dim, width, rows) = (task.heads.dim, task.width(), task.segment.q_len);
    let (q, values) = (task.queries(q), task.keys(v));
    let keys = transpose(&task.keys(k), dim, width);
    let mut scores = vec![F::ZERO; BLOCK.min(rows) * width];
    for first in (0..rows).step_by(BLOCK) {
        let block = BLOCK.min(rows - first);
        let n = task.seen(first + block - 1).next_multiple_of(LANES);
        let shape = Outer {
            rows: block,
            n,
            k: dim,
            a_row: dim,
            a_sum: 1,
            ldb: width,
            ldc: width,
        };
        outer(simd, shape, &q[first * dim..], &keys, &mut scores, Store::plain());
        let mut totals = [F::ONE; BLOCK];
        for i in 0..block {
            let at = i * width;
            let (max, total) = softmax(simd, &mut scores[at..at + task.seen(first + i)], task.scale());
            lse[first + i] = max + total.ln();
            totals[i] = total;
        }
        // Four rows together as far as the first of them sees, then each alone.
        for i in (0..block).step_by(4) {
            let (some, common) = (4.min(block - i), task.seen(first + i));
            let shape = Outer {
                rows: some,
                n: dim,
                k: common,
                a_row: width,
                a_sum: 1,
                ldb: dim,
                ldc: dim,
            };
            let at = (first + i) * dim;
            outer(
                simd,
                shape,
                &scores[i * width..],
                &values,
                &mut out[at..at + some * dim],
                Store::plain(),
            );
            for (r, row) in out[at..at + some * dim].chunks_exact_mut(dim).enumerate() {
                for j in common..common + r {
                    add_scaled(
                        simd,
                        scores[(i + r) * width + j],
                        &values[j * dim..(j + 1) * dim],
                        row,
                    );
                }
                let inverse = F::ONE / totals[i + r];
                for o in row {
                    *o = *o * inverse;
                }
            }
        }
    }
}

/// What the backward pass reads.
#[derive(Clone, Copy)]
pub(crate) struct Saved<'a, F> {
    pub(crate) q: &'a [F],
    pub(crate) k: &'a [F],
    pub(crate) v: &'a [F],
    pub(crate) out: &'a [F],
    pub(crate) lse: &'a [F],
    pub(crate) dout: &'a [F],
}

#[inline(always)]
fn scores_backward_body<F: Real>(p: &mut [F], ds: &mut [F], scale: F, lse: F, mean: F) {
    for (p, ds) in p.iter_mut().zip(ds) {
        *p = (*p * scale - lse).exp();
        *ds = *p * (*ds - mean) * scale;
    }
}

dispatch! {
    /// Scores become probabilities, and gradients at the probabilities become gradients at the scores.
    fn scores_backward / scores_backward_avx2 = scores_backward_body(p: &mut [F], ds: &mut [F], scale: F, lse: F, mean: F)
}

dispatch! {
    fn product / product_avx2 = dot(a: &[F], b: &[F]) -> F
}

/// One head's gradients `[len, dim]` of queries, keys and values, the last two of this query head alone.
pub(crate) fn backward<F: Real>(
    simd: bool,
    task: Task,
    s: Saved<'_, F>,
    dq: &mut [F],
    dk: &mut [F],
    dv: &mut [F],
) {
    let (dim, width, rows, len) = (
        task.heads.dim,
        task.width(),
        task.segment.q_len,
        task.segment.kv_len,
    );
    let (q, dout, out) = (task.queries(s.q), task.queries(s.dout), task.queries(s.out));
    let keys = task.keys(s.k);
    let (keys_t, values_t) = (
        transpose(&keys, dim, width),
        transpose(&task.keys(s.v), dim, width),
    );
    let mut p = vec![F::ZERO; BLOCK.min(rows) * width];
    let mut ds = p.clone();
    let adding = Store {
        alpha: F::ONE,
        accumulate: true,
        resume: false,
    };
    for first in (0..rows).step_by(BLOCK) {
        let block = BLOCK.min(rows - first);
        let (at, seen) = (first * dim, task.seen(first + block - 1));
        let shape = Outer {
            rows: block,
            n: seen.next_multiple_of(LANES),
            k: dim,
            a_row: dim,
            a_sum: 1,
            ldb: width,
            ldc: width,
        };
        outer(simd, shape, &q[at..], &keys_t, &mut p, Store::plain());
        outer(simd, shape, &dout[at..], &values_t, &mut ds, Store::plain());
        for i in 0..block {
            let row = i * width..i * width + seen;
            let (p, ds) = (&mut p[row.clone()], &mut ds[row]);
            let own = task.seen(first + i);
            let lse = s.lse[(task.segment.q_start + first + i) * task.heads.q + task.head];
            let at = (first + i) * dim..(first + i + 1) * dim;
            let mean = product(simd, &dout[at.clone()], &out[at]);
            scores_backward(simd, &mut p[..own], &mut ds[..own], task.scale(), lse, mean);
            p[own..].fill(F::ZERO);
            ds[own..].fill(F::ZERO);
        }
        let shape = Outer {
            rows: block,
            n: dim,
            k: seen,
            a_row: width,
            a_sum: 1,
            ldb: dim,
            ldc: dim,
        };
        outer(simd, shape, &ds, &keys, &mut dq[at..], Store::plain());
        let shape = Outer {
            rows: seen.min(len),
            n: dim,
            k: block,
            a_row: 1,
            a_sum: width,
            ldb: dim,
            ldc: dim,
        };
        outer(simd, shape, &ds, &q[at..], dk, adding);
        outer(simd, shape, &p, &dout[at..], dv, adding);
    }
}

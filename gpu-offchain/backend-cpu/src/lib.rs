//! The engine's operations on the CPU.
//!
//! Unless [`Cpu::fast`] is asked for, every result has the same bits on every machine, whatever the batch, the number of threads and the
//! instruction set: sums run in one order of eight lanes with fused multiply-adds ([`lanes`]), and functions such as the exponential are own
//! polynomials. Work is split between threads by elements of the result, never within a sum.
//!
//! In fast mode large products go to the crate `gemm`, whose order of sums follows from shapes, threads and processor; everything else is
//! the same.

// Kernels walk several arrays by one index and take their shapes as plain numbers.
#![allow(clippy::needless_range_loop, clippy::too_many_arguments)]

mod attention;
mod fast;
mod gemm;
mod lanes;
mod paged;
mod rows;

use std::marker::PhantomData;

use openledger_engine::backend::{AdamStep, Backend, Gemm, Heads, Layout, LoraGroup, PagedSegment, Segment};
use openledger_engine::sampler::{self, Draw, Sampled};
use openledger_engine::Real;
use rayon::prelude::*;

use crate::gemm::{Outer, Store};

/// Tells the allocator of this process to keep the memory it frees. Training gives back and takes large buffers all the time; without this a fifth of its time
/// goes into the kernel's page tables. Call it once, at the start of a program; does nothing where the allocator is not glibc's.
pub fn keep_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt changes tunables of the allocator and nothing else.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 30);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
}

/// The CPU as a backend, in f32 or, to check gradients, in f64. Runs on the current rayon pool.
#[derive(Debug, Clone, Copy)]
pub struct Cpu<F> {
    simd: bool,
    fast: bool,
    number: PhantomData<F>,
}

impl<F: Real> Cpu<F> {
    /// With AVX2 and FMA where the processor has them.
    pub fn new() -> Self {
        #[cfg(target_arch = "x86_64")]
        let simd = std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma");
        #[cfg(not(target_arch = "x86_64"))]
        let simd = false;
        Cpu {
            simd,
            fast: false,
            number: PhantomData,
        }
    }

    /// Without; slower, with the same results.
    pub fn scalar() -> Self {
        Cpu {
            simd: false,
            ..Self::new()
        }
    }

    /// As fast as it gets: the bits of an answer may change with what else is computed, and from machine to machine.
    pub fn fast() -> Self {
        Cpu {
            fast: true,
            ..Self::new()
        }
    }
}

impl<F: Real> Default for Cpu<F> {
    fn default() -> Self {
        Self::new()
    }
}

// Work below this many multiply-adds is not worth another thread.
const GRAIN: usize = 1 << 17;
// Elements of cheap operations a task takes at least.
const CHUNK: usize = 1 << 14;
// Rows up to which the columns of a product are split between threads, so that a weight is read from memory once for all rows.
const FEW: usize = 64;
// Rows from which fast mode takes the other crate: below, a product waits for its weight and nothing is gained.
const MANY: usize = 16;

/// Calls `f(first row, rows of out)` on parts of `out`, each a multiple of four rows, that cost about `cost` each row.
fn split_rows<F: Send>(out: &mut [F], width: usize, cost: usize, f: impl Fn(usize, &mut [F]) + Sync) {
    let rows = out.len().div_ceil(width.max(1));
    let threads = rayon::current_num_threads();
    let least = GRAIN.div_ceil(cost.max(1));
    let part = rows.div_ceil(threads * 2).max(least).next_multiple_of(4);
    if part >= rows || threads == 1 {
        return f(0, out);
    }
    out.par_chunks_mut(part * width)
        .enumerate()
        .for_each(|(i, out)| f(i * part, out));
}

impl<F: Real> Cpu<F> {
    /// Calls `f` with every group and its rows of `out`, each `width` wide; many groups on many threads.
    fn each_group(
        &self,
        groups: &[LoraGroup<'_, Vec<F>>],
        width: usize,
        out: &mut [F],
        f: impl Fn(&LoraGroup<'_, Vec<F>>, &mut [F]) + Sync,
    ) {
        let mut parts = Vec::with_capacity(groups.len());
        let (mut rest, mut at) = (out, 0);
        for g in groups {
            assert!(g.start >= at, "groups must be in the order of their rows");
            let (_, after) = rest.split_at_mut((g.start - at) * width);
            let (own, after) = after.split_at_mut(g.rows * width);
            (rest, at) = (after, g.start + g.rows);
            parts.push((g, own));
        }
        if parts.len() < 2 || rayon::current_num_threads() == 1 {
            return parts.into_iter().for_each(|(g, own)| f(g, own));
        }
        parts.into_par_iter().for_each(|(g, own)| f(g, own));
    }

    #[allow(clippy::too_many_arguments)]
    fn product(&self, op: Gemm, a: &[F], lda: usize, b: &[F], c: &mut [F], ldc: usize) {
        let Gemm { n, k, .. } = op;
        let store = Store {
            alpha: F::from_f64(op.alpha),
            accumulate: op.accumulate,
            resume: false,
        };
        let simd = self.simd;
        match op.layout {
            _ if self.fast && op.m >= MANY && op.m * n * k >= GRAIN => fast::product(op, a, lda, b, c, ldc),
            Layout::Forward if op.m <= FEW && n * k * op.m >= 2 * GRAIN && ldc == n => {
                let part = n.div_ceil(rayon::current_num_threads() * 4).next_multiple_of(12);
                if op.m == 1 {
                    c.par_chunks_mut(part).enumerate().for_each(|(j, c)| {
                        let (from, n) = (j * part * k, c.len());
                        gemm::forward(simd, a, lda, &b[from..from + n * k], n, k, c, n, store);
                    });
                    return;
                }
                let before: &[F] = c;
                let parts: Vec<(usize, Vec<F>)> = (0..n.div_ceil(part))
                    .into_par_iter()
                    .map(|j| {
                        let (from, cols) = (j * part, part.min(n - j * part));
                        let mut own = vec![F::ZERO; op.m * cols];
                        if op.accumulate {
                            for (own, row) in own.chunks_mut(cols).zip(before.chunks(n)) {
                                own.copy_from_slice(&row[from..from + cols]);
                            }
                        }
                        let b = &b[from * k..(from + cols) * k];
                        gemm::forward(simd, a, lda, b, cols, k, &mut own, cols, store);
                        (from, own)
                    })
                    .collect();
                for (from, own) in parts {
                    let cols = own.len() / op.m;
                    for (row, own) in c.chunks_mut(n).zip(own.chunks(cols)) {
                        row[from..from + cols].copy_from_slice(own);
                    }
                }
            }
            Layout::Forward => split_rows(c, ldc, n * k, |row, c| {
                gemm::forward(simd, &a[row * lda..], lda, b, n, k, c, ldc, store);
            }),
            Layout::Input => split_rows(c, n, n * k, |row, c| {
                let o = Outer {
                    rows: c.len() / n,
                    n,
                    k,
                    a_row: k,
                    a_sum: 1,
                    ldb: n,
                    ldc: n,
                };
                gemm::outer(simd, o, &a[row * k..], b, c, store);
            }),
            Layout::Weight => split_rows(c, n, n * k, |row, c| {
                let o = Outer {
                    rows: c.len() / n,
                    n,
                    k,
                    a_row: 1,
                    a_sum: op.m,
                    ldb: n,
                    ldc: n,
                };
                gemm::outer(simd, o, &a[row..], b, c, store);
            }),
        }
    }
}

impl<F: Real> Backend for Cpu<F> {
    type Elem = F;
    type Buf = Vec<F>;

    fn arch(&self) -> String {
        let order = if self.fast { "fast" } else { "lanes8" };
        format!("cpu-{order}-{}", std::any::type_name::<F>())
    }

    fn zeros(&self, len: usize) -> Vec<F> {
        vec![F::ZERO; len]
    }

    fn upload(&self, host: &[F]) -> Vec<F> {
        host.to_vec()
    }

    fn download(&self, buf: &Vec<F>) -> Vec<F> {
        buf.clone()
    }

    fn clear(&self, buf: &mut Vec<F>) {
        buf.fill(F::ZERO);
    }

    fn gather(&self, table: &Vec<F>, ids: &[u32], d: usize, out: &mut Vec<F>) {
        for (row, id) in out.chunks_mut(d).zip(ids) {
            row.copy_from_slice(&table[*id as usize * d..(*id as usize + 1) * d]);
        }
    }

    fn scatter_add(&self, rows: &Vec<F>, ids: &[u32], d: usize, table: &mut Vec<F>) {
        for (row, id) in rows.chunks(d).zip(ids) {
            lanes::axpy(F::ONE, row, &mut table[*id as usize * d..(*id as usize + 1) * d]);
        }
    }

    fn gemm(&self, op: Gemm, a: &Vec<F>, b: &Vec<F>, c: &mut Vec<F>) {
        let (m, n, k) = (op.m, op.n, op.k);
        assert!(
            a.len() >= m * k && b.len() >= n * k && c.len() >= m * n,
            "buffers are smaller than {op:?} needs"
        );
        self.product(op, &a[..m * k], k, &b[..n * k], &mut c[..m * n], n);
    }

    fn add(&self, x: &Vec<F>, y: &mut Vec<F>) {
        y.par_chunks_mut(CHUNK)
            .zip(x.par_chunks(CHUNK))
            .for_each(|(y, x)| {
                for (y, x) in y.iter_mut().zip(x) {
                    *y += *x;
                }
            });
    }

    fn add_bias(&self, bias: &Vec<F>, rows: usize, d: usize, y: &mut Vec<F>) {
        for row in y[..rows * d].chunks_mut(d) {
            for (y, b) in row.iter_mut().zip(bias) {
                *y += *b;
            }
        }
    }

    fn add_bias_backward(&self, dy: &Vec<F>, rows: usize, d: usize, dbias: &mut Vec<F>) {
        for row in dy[..rows * d].chunks(d) {
            lanes::axpy(F::ONE, row, dbias);
        }
    }

    fn rmsnorm(&self, x: &Vec<F>, w: &Vec<F>, eps: f64, d: usize, y: &mut Vec<F>, inv: &mut Vec<F>) {
        let simd = self.simd;
        let part = (CHUNK / d).max(1);
        y.par_chunks_mut(d * part)
            .zip(inv.par_chunks_mut(part))
            .enumerate()
            .for_each(|(c, (y, inv))| {
                for (i, (y, inv)) in y.chunks_mut(d).zip(inv).enumerate() {
                    let at = (c * part + i) * d;
                    *inv = rows::rmsnorm(simd, &x[at..at + d], w, eps, y);
                }
            });
    }

    fn rmsnorm_backward(
        &self,
        x: &Vec<F>,
        w: &Vec<F>,
        inv: &Vec<F>,
        dy: &Vec<F>,
        d: usize,
        dx: &mut Vec<F>,
        dw: Option<&mut Vec<F>>,
    ) {
        let simd = self.simd;
        let part = (CHUNK / d).max(1);
        dx.par_chunks_mut(d * part).enumerate().for_each(|(c, dx)| {
            for (i, dx) in dx.chunks_mut(d).enumerate() {
                let row = c * part + i;
                let at = row * d..(row + 1) * d;
                rows::rmsnorm_backward(simd, &x[at.clone()], w, inv[row], &dy[at], dx);
            }
        });
        if let Some(dw) = dw {
            for ((x, dy), inv) in x.chunks(d).zip(dy.chunks(d)).zip(inv) {
                for ((w, x), dy) in dw.iter_mut().zip(x).zip(dy) {
                    *w = (*x * *inv).mul_add(*dy, *w);
                }
            }
        }
    }

    fn rope_kv(
        &self,
        heads: Heads,
        table: &Vec<F>,
        positions: &[u32],
        slots: &[u32],
        q: &mut Vec<F>,
        k: &Vec<F>,
        v: &Vec<F>,
        k_cache: &mut Vec<F>,
        v_cache: &mut Vec<F>,
    ) {
        let (qd, kd, dim) = (heads.q * heads.dim, heads.kv * heads.dim, heads.dim);
        for (i, (position, slot)) in positions.iter().zip(slots).enumerate() {
            let line = &table[*position as usize * dim..(*position as usize + 1) * dim];
            rows::rotate(&mut q[i * qd..(i + 1) * qd], dim, line, F::ONE);
            let at = *slot as usize * kd..(*slot as usize + 1) * kd;
            let key = &mut k_cache[at.clone()];
            key.copy_from_slice(&k[i * kd..(i + 1) * kd]);
            rows::rotate(key, dim, line, F::ONE);
            v_cache[at].copy_from_slice(&v[i * kd..(i + 1) * kd]);
        }
    }

    fn rope_paged_kv(
        &self,
        heads: Heads,
        page: usize,
        table: &Vec<F>,
        positions: &[u32],
        slots: &[u32],
        q: &mut Vec<F>,
        k: &Vec<F>,
        v: &Vec<F>,
        k_cache: &mut Vec<F>,
        v_cache: &mut Vec<F>,
    ) {
        let (qd, kd, dim) = (heads.q * heads.dim, heads.kv * heads.dim, heads.dim);
        let mut key = vec![F::ZERO; kd];
        for (i, (position, slot)) in positions.iter().zip(slots).enumerate() {
            let line = &table[*position as usize * dim..(*position as usize + 1) * dim];
            rows::rotate(&mut q[i * qd..(i + 1) * qd], dim, line, F::ONE);
            key.copy_from_slice(&k[i * kd..(i + 1) * kd]);
            rows::rotate(&mut key, dim, line, F::ONE);
            let values = &v[i * kd..(i + 1) * kd];
            paged::put(heads, page, *slot as usize, &key, values, k_cache, v_cache);
        }
    }

    fn rope_backward(&self, heads: usize, dim: usize, table: &Vec<F>, positions: &[u32], grad: &mut Vec<F>) {
        for (row, position) in grad.chunks_mut(heads * dim).zip(positions) {
            rows::rotate(
                row,
                dim,
                &table[*position as usize * dim..(*position as usize + 1) * dim],
                -F::ONE,
            );
        }
    }

    fn attention(
        &self,
        heads: Heads,
        segments: &[Segment],
        q: &Vec<F>,
        k: &Vec<F>,
        v: &Vec<F>,
        out: &mut Vec<F>,
        lse: &mut Vec<F>,
    ) {
        let (simd, dim) = (self.simd, heads.dim);
        let work = |task: attention::Task| {
            let rows = task.segment.q_len;
            let (mut o, mut l) = (vec![F::ZERO; rows * dim], vec![F::ZERO; rows]);
            attention::forward(simd, task, q, k, v, &mut o, &mut l);
            (task, o, l)
        };
        for (task, o, l) in run(tasks(heads, segments), work) {
            for i in 0..task.segment.q_len {
                let at = (task.segment.q_start + i) * heads.q + task.head;
                out[at * dim..(at + 1) * dim].copy_from_slice(&o[i * dim..(i + 1) * dim]);
                lse[at] = l[i];
            }
        }
    }

    fn paged_attention(
        &self,
        heads: Heads,
        page: usize,
        segments: &[PagedSegment],
        tables: &[u32],
        q: &Vec<F>,
        k_cache: &Vec<F>,
        v_cache: &Vec<F>,
        out: &mut Vec<F>,
        lse: &mut Vec<F>,
    ) {
        let (simd, dim) = (self.simd, heads.dim);
        let cache = paged::Cache {
            heads,
            page,
            tables,
            keys: k_cache,
            values: v_cache,
        };
        let all: Vec<(PagedSegment, usize)> = segments
            .iter()
            .flat_map(|s| (0..heads.q).map(move |head| (*s, head)))
            .collect();
        let work = |(segment, head): (PagedSegment, usize)| {
            let mut o = vec![F::ZERO; segment.q_len * dim];
            let mut l = vec![F::ZERO; segment.q_len];
            paged::forward(simd, cache, segment, head, q, &mut o, &mut l);
            (segment, head, o, l)
        };
        for (segment, head, o, l) in run(all, work) {
            for i in 0..segment.q_len {
                let at = (segment.q_start + i) * heads.q + head;
                out[at * dim..(at + 1) * dim].copy_from_slice(&o[i * dim..(i + 1) * dim]);
                lse[at] = l[i];
            }
        }
    }

    fn attention_backward(
        &self,
        heads: Heads,
        segments: &[Segment],
        q: &Vec<F>,
        k: &Vec<F>,
        v: &Vec<F>,
        out: &Vec<F>,
        lse: &Vec<F>,
        dout: &Vec<F>,
        dq: &mut Vec<F>,
        dk: &mut Vec<F>,
        dv: &mut Vec<F>,
    ) {
        let (simd, dim) = (self.simd, heads.dim);
        let saved = attention::Saved {
            q,
            k,
            v,
            out,
            lse,
            dout,
        };
        let work = |task: attention::Task| {
            let zeros = |rows: usize| vec![F::ZERO; rows * dim];
            let (rows, seen) = (task.segment.q_len, task.segment.kv_len);
            let (mut dq, mut dk, mut dv) = (zeros(rows), zeros(seen), zeros(seen));
            attention::backward(simd, task, saved, &mut dq, &mut dk, &mut dv);
            (task, dq, dk, dv)
        };
        dk.fill(F::ZERO);
        dv.fill(F::ZERO);
        // The query heads that share a key head are added in their order.
        for (task, q, k, v) in run(tasks(heads, segments), work) {
            for i in 0..task.segment.q_len {
                let at = ((task.segment.q_start + i) * heads.q + task.head) * dim;
                dq[at..at + dim].copy_from_slice(&q[i * dim..(i + 1) * dim]);
            }
            for j in 0..task.segment.kv_len {
                let at = ((task.segment.kv_start + j) * heads.kv + task.head * heads.kv / heads.q) * dim;
                lanes::axpy(F::ONE, &k[j * dim..(j + 1) * dim], &mut dk[at..at + dim]);
                lanes::axpy(F::ONE, &v[j * dim..(j + 1) * dim], &mut dv[at..at + dim]);
            }
        }
    }

    fn silu_mul(&self, gate: &Vec<F>, up: &Vec<F>, out: &mut Vec<F>) {
        let simd = self.simd;
        out.par_chunks_mut(CHUNK)
            .zip(gate.par_chunks(CHUNK).zip(up.par_chunks(CHUNK)))
            .for_each(|(out, (gate, up))| rows::silu_mul(simd, gate, up, out));
    }

    fn silu_mul_backward(
        &self,
        gate: &Vec<F>,
        up: &Vec<F>,
        dout: &Vec<F>,
        dgate: &mut Vec<F>,
        dup: &mut Vec<F>,
    ) {
        let simd = self.simd;
        let inputs = gate
            .par_chunks(CHUNK)
            .zip(up.par_chunks(CHUNK))
            .zip(dout.par_chunks(CHUNK));
        dgate
            .par_chunks_mut(CHUNK)
            .zip(dup.par_chunks_mut(CHUNK))
            .zip(inputs)
            .for_each(|((dgate, dup), ((gate, up), dout))| {
                rows::silu_mul_backward(simd, gate, up, dout, dgate, dup)
            });
    }

    fn lora_shrink(
        &self,
        groups: &[LoraGroup<'_, Vec<F>>],
        d_in: usize,
        x: &Vec<F>,
        stride: usize,
        u: &mut Vec<F>,
    ) {
        self.each_group(groups, stride, u, |g, u| {
            let op = Gemm::forward(g.rows, d_in, g.pair.rank);
            let end = (g.rows - 1) * stride + g.pair.rank;
            self.product(op, &x[g.start * d_in..], d_in, g.pair.a, &mut u[..end], stride);
        });
    }

    fn lora_expand(
        &self,
        groups: &[LoraGroup<'_, Vec<F>>],
        d_out: usize,
        u: &Vec<F>,
        stride: usize,
        y: &mut Vec<F>,
    ) {
        self.each_group(groups, d_out, y, |g, y| {
            let op = Gemm::forward(g.rows, g.pair.rank, d_out)
                .scaled(g.pair.scale)
                .adding();
            self.product(op, &u[g.start * stride..], stride, g.pair.b, y, d_out);
        });
    }

    fn cross_entropy(&self, vocab: usize, targets: &[u32], scale: f64, logits: &mut Vec<F>) -> Vec<f64> {
        let simd = self.simd;
        logits
            .par_chunks_mut(vocab)
            .zip(targets)
            .with_min_len((CHUNK / vocab).max(1))
            .map(|(row, target)| rows::cross_entropy(simd, row, *target, scale))
            .collect()
    }

    fn sample(&self, logits: &Vec<F>, vocab: usize, draws: &[Draw]) -> Vec<Sampled> {
        logits
            .par_chunks(vocab)
            .zip(draws)
            .map(|(row, draw)| {
                let row: Vec<f32> = row.iter().map(|x| x.to_f32()).collect();
                sampler::sample(&row, draw)
            })
            .collect()
    }

    fn adamw(&self, step: AdamStep, grad: &Vec<F>, m: &mut Vec<F>, v: &mut Vec<F>, param: &mut Vec<F>) {
        let simd = self.simd;
        param
            .par_chunks_mut(CHUNK)
            .zip(grad.par_chunks(CHUNK))
            .zip(m.par_chunks_mut(CHUNK).zip(v.par_chunks_mut(CHUNK)))
            .for_each(|((param, grad), (m, v))| rows::adamw(simd, step, grad, m, v, param));
    }

    fn sum_squares(&self, x: &Vec<F>) -> f64 {
        lanes::dot(x, x).to_f64()
    }
}

fn tasks(heads: Heads, segments: &[Segment]) -> Vec<attention::Task> {
    let each = |segment: &Segment| {
        let segment = *segment;
        (0..heads.q).map(move |head| attention::Task { heads, segment, head })
    };
    segments.iter().flat_map(each).collect()
}

fn run<T: Send, R: Send>(tasks: Vec<T>, work: impl Fn(T) -> R + Sync + Send) -> Vec<R> {
    tasks.into_par_iter().map(work).collect()
}

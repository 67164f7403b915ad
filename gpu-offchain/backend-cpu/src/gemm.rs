//! Matrix products. Forward products are dot products in lane order; the two backward products add one outer product after another, in
//! the order of the summed index. An element's bits depend on its own row and column alone, not on tiles or threads.

use openledger_engine::Real;

use crate::lanes::{dispatch, fma, load, reduce, Lanes, LANES};

/// How a finished sum goes into C.
#[derive(Clone, Copy)]
pub(crate) struct Store<F> {
    pub(crate) alpha: F,
    pub(crate) accumulate: bool,
    /// The sum starts from C; for sums in parts, with alpha 1 and nothing else to add.
    pub(crate) resume: bool,
}

impl<F: Real> Store<F> {
    /// Overwrites C.
    pub(crate) fn plain() -> Self {
        Store {
            alpha: F::ONE,
            accumulate: false,
            resume: false,
        }
    }

    #[inline(always)]
    fn put(self, c: &mut F, sum: F) {
        *c = if self.accumulate {
            self.alpha.mul_add(sum, *c)
        } else {
            self.alpha * sum
        };
    }
}

// MR rows of A by NR rows of B, each of k elements.
#[inline(always)]
fn dots<F: Real, const MR: usize, const NR: usize>(a: [&[F]; MR], b: [&[F]; NR], k: usize) -> [[F; NR]; MR] {
    assert!(a.iter().all(|a| a.len() >= k) && b.iter().all(|b| b.len() >= k));
    let mut acc = [[[F::ZERO; LANES]; NR]; MR];
    let whole = k - k % LANES;
    let mut at = 0;
    while at < whole {
        // SAFETY: at + 8 ≤ k, and every row was checked to have k elements.
        let bs: [Lanes<F>; NR] = std::array::from_fn(|j| unsafe { load(b[j], at) });
        for i in 0..MR {
            // SAFETY: as above.
            let x = unsafe { load(a[i], at) };
            for j in 0..NR {
                acc[i][j] = fma(x, bs[j], acc[i][j]);
            }
        }
        at += LANES;
    }
    if whole < k {
        for i in 0..MR {
            for j in 0..NR {
                for l in 0..k - whole {
                    acc[i][j][l] = a[i][whole + l].mul_add(b[j][whole + l], acc[i][j][l]);
                }
            }
        }
    }
    acc.map(|row| row.map(reduce))
}

#[inline(always)]
fn forward_rows<F: Real, const MR: usize>(
    a: [&[F]; MR],
    b: &[F],
    n: usize,
    k: usize,
    ldc: usize,
    c: &mut [F],
    store: Store<F>,
) {
    let row = |j: usize| &b[j * k..(j + 1) * k];
    let mut j = 0;
    while j + 3 <= n {
        let sums = dots(a, [row(j), row(j + 1), row(j + 2)], k);
        for (i, sums) in sums.iter().enumerate() {
            for (c, sum) in c[i * ldc + j..].iter_mut().zip(sums) {
                store.put(c, *sum);
            }
        }
        j += 3;
    }
    while j < n {
        for (i, [sum]) in dots(a, [row(j)], k).iter().enumerate() {
            store.put(&mut c[i * ldc + j], *sum);
        }
        j += 1;
    }
}

// Rows of C `[.., ldc]`, its first n columns, from rows of A `[.., lda]` and all n rows of B `[n, k]`.
#[inline(always)]
fn forward_body<F: Real>(
    a: &[F],
    lda: usize,
    b: &[F],
    n: usize,
    k: usize,
    c: &mut [F],
    ldc: usize,
    store: Store<F>,
) {
    let rows = c.len().div_ceil(ldc.max(1));
    let row = |i: usize| &a[i * lda..i * lda + k];
    // B in blocks that stay in the cache.
    let block = (16_384 / k.max(1) / 3).max(1) * 3;
    let mut j = 0;
    while j < n {
        let nb = block.min(n - j);
        let b = &b[j * k..(j + nb) * k];
        let mut i = 0;
        while i + 4 <= rows {
            let four = [row(i), row(i + 1), row(i + 2), row(i + 3)];
            forward_rows(four, b, nb, k, ldc, &mut c[i * ldc + j..], store);
            i += 4;
        }
        while i < rows {
            forward_rows([row(i)], b, nb, k, ldc, &mut c[i * ldc + j..], store);
            i += 1;
        }
        j += nb;
    }
}

dispatch! {
    /// Rows of `C = A·Bᵀ`.
    fn forward / forward_avx2 = forward_body(a: &[F], lda: usize, b: &[F], n: usize, k: usize, c: &mut [F], ldc: usize, store: Store<F>)
}

/// The shape of a product `C = A·B` of single steps: C `[rows, n]`, sums of k.
#[derive(Clone, Copy)]
pub(crate) struct Outer {
    pub(crate) rows: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
    /// Element (row i, summed index p) of A is at `i · a_row + p · a_sum`.
    pub(crate) a_row: usize,
    pub(crate) a_sum: usize,
    /// Distance of B's rows.
    pub(crate) ldb: usize,
    /// Distance of C's rows.
    pub(crate) ldc: usize,
}

// MR rows by NV·8 columns of C, from column j; C begins at the first row.
#[inline(always)]
fn outer_tile<F: Real, const MR: usize, const NV: usize>(
    o: Outer,
    a: &[F],
    b: &[F],
    j: usize,
    c: &mut [F],
    store: Store<F>,
) {
    if o.k > 0 {
        assert!((MR - 1) * o.a_row + (o.k - 1) * o.a_sum < a.len());
        assert!((o.k - 1) * o.ldb + j + NV * LANES <= b.len());
    }
    let mut acc = [[[F::ZERO; LANES]; NV]; MR];
    if store.resume {
        for (i, row) in acc.iter_mut().enumerate() {
            for (v, lanes) in row.iter_mut().enumerate() {
                let at = i * o.ldc + j + v * LANES;
                lanes.copy_from_slice(&c[at..at + LANES]);
            }
        }
    }
    for p in 0..o.k {
        // SAFETY: the last row's last element of B was checked to be there.
        let bs: [Lanes<F>; NV] = std::array::from_fn(|v| unsafe { load(b, p * o.ldb + j + v * LANES) });
        for i in 0..MR {
            // SAFETY: the last row's last element of A was checked to be there.
            let x = [unsafe { *a.get_unchecked(i * o.a_row + p * o.a_sum) }; LANES];
            for v in 0..NV {
                acc[i][v] = fma(x, bs[v], acc[i][v]);
            }
        }
    }
    for (i, row) in acc.iter().enumerate() {
        let at = i * o.ldc + j;
        for (lanes, c) in row.iter().zip(c[at..at + NV * LANES].chunks_exact_mut(LANES)) {
            for (c, sum) in c.iter_mut().zip(lanes) {
                store.put(c, *sum);
            }
        }
    }
}

#[inline(always)]
fn outer_rows<F: Real, const MR: usize>(o: Outer, a: &[F], b: &[F], c: &mut [F], store: Store<F>) {
    let mut j = 0;
    while j + LANES <= o.n {
        let taken = if o.n - j >= 2 * LANES {
            outer_tile::<F, MR, 2>(o, a, b, j, c, store);
            2
        } else {
            outer_tile::<F, MR, 1>(o, a, b, j, c, store);
            1
        };
        j += taken * LANES;
    }
    for i in 0..MR {
        for j in j..o.n {
            let mut sum = if store.resume { c[i * o.ldc + j] } else { F::ZERO };
            for p in 0..o.k {
                sum = a[i * o.a_row + p * o.a_sum].mul_add(b[p * o.ldb + j], sum);
            }
            store.put(&mut c[i * o.ldc + j], sum);
        }
    }
}

#[inline(always)]
fn outer_part<F: Real>(o: Outer, a: &[F], b: &[F], c: &mut [F], store: Store<F>) {
    let mut i = 0;
    while i + 6 <= o.rows {
        outer_rows::<F, 6>(o, &a[i * o.a_row..], b, &mut c[i * o.ldc..], store);
        i += 6;
    }
    while i < o.rows {
        outer_rows::<F, 1>(o, &a[i * o.a_row..], b, &mut c[i * o.ldc..], store);
        i += 1;
    }
}

#[inline(always)]
fn outer_body<F: Real>(o: Outer, a: &[F], b: &[F], c: &mut [F], store: Store<F>) {
    // A part of B that stays in the nearest cache while all rows pass over it: so many steps of so many columns.
    const STEPS: usize = 128;
    const COLUMNS: usize = 6 * LANES;
    // For fewer rows it is not worth copying.
    const ROWS: usize = 16;
    if o.rows < ROWS || o.k == 0 {
        return outer_part(o, a, b, c, store);
    }
    let mut packed = vec![F::ZERO; STEPS.min(o.k) * COLUMNS.min(o.n)];
    let mut sums = vec![F::ZERO; if o.k > STEPS { o.rows * COLUMNS.min(o.n) } else { 0 }];
    for j in (0..o.n).step_by(COLUMNS) {
        let n = COLUMNS.min(o.n - j);
        sums.fill(F::ZERO);
        for p in (0..o.k).step_by(STEPS) {
            let k = STEPS.min(o.k - p);
            for (to, from) in packed
                .chunks_exact_mut(n)
                .zip(b[p * o.ldb..].chunks(o.ldb))
                .take(k)
            {
                to.copy_from_slice(&from[j..j + n]);
            }
            let part = Outer { n, k, ldb: n, ..o };
            if o.k <= STEPS {
                outer_part(part, a, &packed, &mut c[j..], store);
            } else {
                let resume = Store {
                    resume: true,
                    ..Store::plain()
                };
                outer_part(
                    Outer { ldc: n, ..part },
                    &a[p * o.a_sum..],
                    &packed,
                    &mut sums,
                    resume,
                );
            }
        }
        if o.k > STEPS {
            for (c, sums) in c[j..].chunks_mut(o.ldc).zip(sums.chunks_exact(n)) {
                for (c, sum) in c.iter_mut().zip(sums) {
                    store.put(c, *sum);
                }
            }
        }
    }
}

dispatch! {
    /// `C = A·B`, each element summed in the order of k.
    fn outer / outer_avx2 = outer_body(o: Outer, a: &[F], b: &[F], c: &mut [F], store: Store<F>)
}

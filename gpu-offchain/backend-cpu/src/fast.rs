//! Products by the crate `gemm`: fast, and not in an order that can be promised.

use ::gemm::Parallelism;
use openledger_engine::backend::{Gemm, Layout};
use openledger_engine::Real;

/// `C = alpha · A·B (+ C)`, C's rows `ldc` apart and A's `lda` where they are rows of C.
pub(crate) fn product<F: Real>(op: Gemm, a: &[F], lda: usize, b: &[F], c: &mut [F], ldc: usize) {
    let Gemm { m, n, k, .. } = op;
    if m == 0 || n == 0 {
        return;
    }
    // Distances of columns and rows: A is [m, k], B is [k, n].
    let ((a_cs, a_rs), (b_cs, b_rs)) = match op.layout {
        Layout::Forward => ((1, lda), (k, 1)),
        Layout::Input => ((1, lda), (1, n)),
        Layout::Weight => ((m, 1), (1, n)),
    };
    let last = |rows: usize, rs: usize, cols: usize, cs: usize| (rows - 1) * rs + (cols - 1) * cs;
    assert!(last(m, ldc, n, 1) < c.len(), "C is too small for {op:?}");
    if k > 0 {
        assert!(last(m, a_rs, k, a_cs) < a.len(), "A is too small for {op:?}");
        assert!(last(k, b_rs, n, b_cs) < b.len(), "B is too small for {op:?}");
    }
    let threads = match rayon::current_num_threads() {
        1 => Parallelism::None,
        threads => Parallelism::Rayon(threads),
    };
    let step = |x: usize| x as isize;
    // SAFETY: F is f32 or f64, the only implementations of Real, and the last element of every matrix was checked to be in its slice; C is
    // borrowed alone.
    unsafe {
        ::gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            step(ldc),
            op.accumulate,
            a.as_ptr(),
            step(a_cs),
            step(a_rs),
            b.as_ptr(),
            step(b_cs),
            step(b_rs),
            F::ONE,
            F::from_f64(op.alpha),
            false,
            false,
            false,
            threads,
        );
    }
}

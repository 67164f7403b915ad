//! Operations on single rows: norms, rotary positions, gates, losses, optimiser steps.

use openledger_engine::backend::{AdamStep, IGNORE};
use openledger_engine::Real;

use crate::lanes::{dispatch, dot, sum, LANES};

#[inline(always)]
fn rmsnorm_body<F: Real>(x: &[F], w: &[F], eps: f64, y: &mut [F]) -> F {
    let d = x.len();
    let mean = dot(x, x) / F::from_f64(d as f64);
    let inv = F::ONE / (mean + F::from_f64(eps)).sqrt();
    for i in 0..d.min(w.len()).min(y.len()) {
        y[i] = x[i] * inv * w[i];
    }
    inv
}

dispatch! {
    /// One row of an RMS norm; gives 1/rms.
    fn rmsnorm / rmsnorm_avx2 = rmsnorm_body(x: &[F], w: &[F], eps: f64, y: &mut [F]) -> F
}

#[inline(always)]
fn rmsnorm_backward_body<F: Real>(x: &[F], w: &[F], inv: F, dy: &[F], dx: &mut [F]) {
    let d = x.len();
    let mut acc = [F::ZERO; LANES];
    for i in 0..d {
        acc[i % LANES] = (dy[i] * w[i]).mul_add(x[i], acc[i % LANES]);
    }
    let mean = crate::lanes::reduce(acc) * inv * inv / F::from_f64(d as f64);
    for i in 0..d {
        dx[i] += inv * (dy[i] * w[i] - x[i] * mean);
    }
}

dispatch! {
    /// Adds one row's gradient.
    fn rmsnorm_backward / rmsnorm_backward_avx2 = rmsnorm_backward_body(x: &[F], w: &[F], inv: F, dy: &[F], dx: &mut [F])
}

/// Rotates the pairs (i, i + dim/2) of every head of a row; `line` is cos ‖ sin, `sign` -1 turns back.
pub(crate) fn rotate<F: Real>(row: &mut [F], dim: usize, line: &[F], sign: F) {
    let (cos, sin) = line.split_at(dim / 2);
    for head in row.chunks_mut(dim) {
        let (low, high) = head.split_at_mut(dim / 2);
        for i in 0..dim / 2 {
            let (a, b, s) = (low[i], high[i], sin[i] * sign);
            low[i] = a * cos[i] - b * s;
            high[i] = b * cos[i] + a * s;
        }
    }
}

#[inline(always)]
fn silu_mul_body<F: Real>(gate: &[F], up: &[F], out: &mut [F]) {
    for ((o, g), u) in out.iter_mut().zip(gate).zip(up) {
        *o = *g / (F::ONE + (-*g).exp()) * *u;
    }
}

dispatch! {
    /// `silu(gate) · up`.
    fn silu_mul / silu_mul_avx2 = silu_mul_body(gate: &[F], up: &[F], out: &mut [F])
}

#[inline(always)]
fn silu_mul_backward_body<F: Real>(gate: &[F], up: &[F], dout: &[F], dgate: &mut [F], dup: &mut [F]) {
    let n = gate.len();
    let (up, dout, dgate, dup) = (&up[..n], &dout[..n], &mut dgate[..n], &mut dup[..n]);
    for i in 0..n {
        let g = gate[i];
        let s = F::ONE / (F::ONE + (-g).exp());
        dup[i] = dout[i] * g * s;
        dgate[i] = dout[i] * up[i] * s * (F::ONE + g * (F::ONE - s));
    }
}

dispatch! {
    /// Gradients of [`silu_mul`].
    fn silu_mul_backward / silu_mul_backward_avx2
        = silu_mul_backward_body(gate: &[F], up: &[F], dout: &[F], dgate: &mut [F], dup: &mut [F])
}

#[inline(always)]
fn cross_entropy_body<F: Real>(row: &mut [F], target: u32, scale: f64) -> f64 {
    if target == IGNORE {
        row.fill(F::ZERO);
        return 0.0;
    }
    let (target, scale) = (target as usize, F::from_f64(scale));
    let max = row.iter().fold(F::NEG_INFINITY, |m, x| m.larger(*x));
    let logit = row[target] - max;
    for x in row.iter_mut() {
        *x = (*x - max).exp();
    }
    let own = row[target];
    row[target] = F::ZERO;
    let others = sum(row);
    let inverse = F::ONE / (own + others);
    for x in row.iter_mut() {
        *x = *x * inverse * scale;
    }
    row[target] = -(others * inverse * scale);
    // -ln p = ln(1 + others/own), which does not cancel when p is near 1.
    if own > others {
        libm::log1p((others / own).to_f64())
    } else {
        libm::log((own + others).to_f64()) - logit.to_f64()
    }
}

dispatch! {
    /// One row's loss; the row becomes its gradient.
    fn cross_entropy / cross_entropy_avx2 = cross_entropy_body(row: &mut [F], target: u32, scale: f64) -> f64
}

#[inline(always)]
fn adamw_body<F: Real>(step: AdamStep, grad: &[F], m: &mut [F], v: &mut [F], param: &mut [F]) {
    let n = param.len();
    let (grad, m, v) = (&grad[..n], &mut m[..n], &mut v[..n]);
    let f = F::from_f64;
    let (b1, b2, eps, gs) = (f(step.beta1), f(step.beta2), f(step.eps), f(step.grad_scale));
    let keep = f(1.0 - step.lr * step.weight_decay);
    let lr = f(step.lr / (1.0 - libm::pow(step.beta1, step.step as f64)));
    let c2 = f(1.0 / (1.0 - libm::pow(step.beta2, step.step as f64)));
    let (n1, n2) = (F::ONE - b1, F::ONE - b2);
    for i in 0..n {
        let g = grad[i] * gs;
        m[i] = b1 * m[i] + n1 * g;
        v[i] = b2 * v[i] + n2 * g * g;
        param[i] = param[i] * keep - lr * m[i] / ((v[i] * c2).sqrt() + eps);
    }
}

dispatch! {
    /// One AdamW step.
    fn adamw / adamw_avx2 = adamw_body(step: AdamStep, grad: &[F], m: &mut [F], v: &mut [F], param: &mut [F])
}

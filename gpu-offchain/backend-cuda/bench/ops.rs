//! Every operation of a backend on random inputs of a seed, the same on any backend.

use openledger_backend_cuda::Error;
use openledger_engine::backend::{
    AdamStep, Backend, Gemm, Heads, Layout, LoraGroup, LoraPair, Segment, IGNORE,
};
use openledger_engine::sampler::{key, philox, Draw};

/// n values within ±1 of a seed and a place.
pub(crate) fn values(n: usize, seed: u64, place: u32) -> Vec<f32> {
    let words = (0..n.div_ceil(4)).flat_map(|i| philox([i as u32, place, 0x6265, 0], key(seed)));
    words.take(n).map(|w| w as f32 / 2_147_483_648.0 - 1.0).collect()
}

/// An operation: its name, the relative error ‖a − b‖ / ‖b‖ that is allowed beside the CPU, and its results.
pub(crate) struct Op<B: Backend> {
    pub(crate) name: &'static str,
    pub(crate) tolerance: f64,
    pub(crate) run: fn(&B, u64) -> Vec<Vec<f32>>,
}

/// All of them. 0 where element by element the same operations are done; else what f32 sums in another order need.
pub(crate) fn all<B: Backend<Elem = f32>>() -> Vec<Op<B>> {
    macro_rules! ops {
        ($($name:ident $tolerance:expr),* $(,)?) => {
            vec![$(Op { name: stringify!($name), tolerance: $tolerance, run: $name::<B> }),*]
        };
    }
    ops![
        gather_scatter 0.0,
        biases 0.0,
        silu 0.0,
        rope 0.0,
        adamw 0.0,
        rmsnorm 2e-6,
        gemm_few 2e-6,
        gemm_many 2e-6,
        gemm_backward 2e-6,
        lora_decode 2e-6,
        lora_prompt 2e-6,
        attention_decode 5e-6,
        attention_prompt 5e-6,
        attention_gradients 2e-5,
        cross_entropy 5e-6,
        sum_squares 2e-6,
        sample 1e-6,
    ]
}

fn gather_scatter<B: Backend<Elem = f32>>(be: &B, seed: u64) -> Vec<Vec<f32>> {
    let (rows, d, n) = (37, 129, 64);
    let ids: Vec<u32> = (0..n).map(|i| (i * 7 % rows) as u32).collect();
    let mut table = be.upload(&values(rows * d, seed, 1));
    let mut out = be.zeros(n * d);
    be.gather(&table, &ids, d, &mut out);
    be.scatter_add(&be.upload(&values(n * d, seed, 2)), &ids, d, &mut table);
    vec![be.download(&out), be.download(&table)]
}

fn biases<B: Backend<Elem = f32>>(be: &B, seed: u64) -> Vec<Vec<f32>> {
    let (rows, d) = (33, 300);
    let (mut y, mut bias) = (
        be.upload(&values(rows * d, seed, 1)),
        be.upload(&values(d, seed, 2)),
    );
    be.add_bias(&bias, rows, d, &mut y);
    be.add_bias_backward(&y, rows, d, &mut bias);
    let mut sum = be.upload(&values(rows * d, seed, 3));
    be.add(&y, &mut sum);
    vec![be.download(&y), be.download(&bias), be.download(&sum)]
}

fn silu<B: Backend<Elem = f32>>(be: &B, seed: u64) -> Vec<Vec<f32>> {
    let n = 10_007;
    let wide: Vec<f32> = values(n, seed, 1).iter().map(|x| x * 20.0).collect();
    let (gate, up, dout) = (
        be.upload(&wide),
        be.upload(&values(n, seed, 2)),
        be.upload(&values(n, seed, 3)),
    );
    let (mut out, mut dgate, mut dup) = (be.zeros(n), be.zeros(n), be.zeros(n));
    be.silu_mul(&gate, &up, &mut out);
    be.silu_mul_backward(&gate, &up, &dout, &mut dgate, &mut dup);
    vec![be.download(&out), be.download(&dgate), be.download(&dup)]
}

fn rope<B: Backend<Elem = f32>>(be: &B, seed: u64) -> Vec<Vec<f32>> {
    let (heads, rows) = (Heads { q: 6, kv: 2, dim: 20 }, 11);
    let table = be.upload(&values(64 * heads.dim, seed, 1));
    let positions: Vec<u32> = (0..rows as u32).map(|i| i * 5).collect();
    let slots: Vec<u32> = (0..rows as u32).rev().collect();
    let wide = |heads: usize, place| be.upload(&values(rows * heads * 20, seed, place));
    let (mut q, k, v) = (wide(6, 2), wide(2, 3), wide(2, 4));
    let (mut keys, mut held) = (wide(2, 5), wide(2, 6));
    be.rope_kv(
        heads, &table, &positions, &slots, &mut q, &k, &v, &mut keys, &mut held,
    );
    let mut grad = wide(6, 7);
    be.rope_backward(6, 20, &table, &positions, &mut grad);
    [q, keys, held, grad].iter().map(|x| be.download(x)).collect()
}

fn adamw<B: Backend<Elem = f32>>(be: &B, seed: u64) -> Vec<Vec<f32>> {
    let n = 5_001;
    let step = AdamStep {
        lr: 1e-3,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        weight_decay: 0.01,
        step: 3,
        grad_scale: 0.5,
    };
    let squares: Vec<f32> = values(n, seed, 3).iter().map(|x| x * x).collect();
    let grad = be.upload(&values(n, seed, 1));
    let (mut m, mut v, mut p) = (
        be.upload(&values(n, seed, 2)),
        be.upload(&squares),
        be.upload(&values(n, seed, 4)),
    );
    be.adamw(step, &grad, &mut m, &mut v, &mut p);
    vec![be.download(&m), be.download(&v), be.download(&p)]
}

fn rmsnorm<B: Backend<Elem = f32>>(be: &B, seed: u64) -> Vec<Vec<f32>> {
    let (rows, d) = (19, 1_000);
    let (x, w, dy) = (
        be.upload(&values(rows * d, seed, 1)),
        be.upload(&values(d, seed, 2)),
        be.upload(&values(rows * d, seed, 3)),
    );
    let (mut y, mut inv) = (be.zeros(rows * d), be.zeros(rows));
    be.rmsnorm(&x, &w, 1e-5, d, &mut y, &mut inv);
    let (mut dx, mut dw) = (be.upload(&values(rows * d, seed, 4)), be.zeros(d));
    be.rmsnorm_backward(&x, &w, &inv, &dy, d, &mut dx, Some(&mut dw));
    [y, inv, dx, dw].iter().map(|x| be.download(x)).collect()
}

fn product<B: Backend<Elem = f32>>(be: &B, seed: u64, op: Gemm) -> Vec<f32> {
    let (a, b) = (
        be.upload(&values(op.m * op.k, seed, 1)),
        be.upload(&values(op.n * op.k, seed, 2)),
    );
    let mut c = be.upload(&values(op.m * op.n, seed, 3));
    be.gemm(op, &a, &b, &mut c);
    be.download(&c)
}

fn gemm_few<B: Backend<Elem = f32>>(be: &B, seed: u64) -> Vec<Vec<f32>> {
    let shapes = [
        (1, 1, 1),
        (1, 200, 1_000),
        (7, 130, 257),
        (16, 64, 512),
        (33, 70, 129),
        (64, 256, 256),
    ];
    let forward = |(m, n, k)| product(be, seed, Gemm::forward(m, k, n).scaled(0.75).adding());
    shapes.into_iter().map(forward).collect()
}

fn gemm_many<B: Backend<Elem = f32>>(be: &B, seed: u64) -> Vec<Vec<f32>> {
    let shapes = [(65, 30, 40), (200, 130, 700), (128, 128, 256)];
    shapes
        .into_iter()
        .map(|(m, n, k)| product(be, seed, Gemm::forward(m, k, n)))
        .collect()
}

fn gemm_backward<B: Backend<Elem = f32>>(be: &B, seed: u64) -> Vec<Vec<f32>> {
    let mut out = Vec::new();
    for layout in [Layout::Input, Layout::Weight] {
        for (m, n, k, accumulate) in [
            (1, 1, 1, false),
            (13, 29, 31, true),
            (70, 130, 300, true),
            (64, 64, 512, false),
        ] {
            let op = Gemm {
                m,
                n,
                k,
                layout,
                alpha: 1.5,
                accumulate,
            };
            out.push(product(be, seed, op));
        }
    }
    out
}

fn lora<B: Backend<Elem = f32>>(be: &B, seed: u64, rows: &[usize], ranks: &[usize]) -> Vec<Vec<f32>> {
    let (d_in, d_out, stride) = (516, 301, 80);
    let pairs: Vec<LoraPair<B::Buf>> = ranks
        .iter()
        .enumerate()
        .map(|(i, rank)| LoraPair {
            a: be.upload(&values(rank * d_in, seed, 10 + i as u32)),
            b: be.upload(&values(rank * d_out, seed, 100 + i as u32)),
            rank: *rank,
            scale: 0.5 + i as f64,
        })
        .collect();
    let mut groups = Vec::new();
    let mut start = 1; // the first row has no adapter
    for (i, rows) in rows.iter().enumerate() {
        let pair = &pairs[i % pairs.len()];
        groups.push(LoraGroup {
            start,
            rows: *rows,
            pair: pair.borrowed(),
        });
        start += rows;
    }
    let x = be.upload(&values(start * d_in, seed, 1));
    let (mut u, mut y) = (
        be.zeros(start * stride),
        be.upload(&values(start * d_out, seed, 2)),
    );
    be.lora_shrink(&groups, d_in, &x, stride, &mut u);
    be.lora_expand(&groups, d_out, &u, stride, &mut y);
    vec![be.download(&u), be.download(&y)]
}

fn lora_decode<B: Backend<Elem = f32>>(be: &B, seed: u64) -> Vec<Vec<f32>> {
    lora(be, seed, &[1; 64], &[16, 8, 3, 64, 1, 80])
}

fn lora_prompt<B: Backend<Elem = f32>>(be: &B, seed: u64) -> Vec<Vec<f32>> {
    lora(be, seed, &[40, 1, 7, 130], &[16, 5, 72])
}

fn attend<B: Backend<Elem = f32>>(be: &B, seed: u64, heads: Heads, segments: &[Segment]) -> Vec<Vec<f32>> {
    let rows = segments.iter().map(|s| s.q_start + s.q_len).max().unwrap_or(0);
    let keys = segments.iter().map(|s| s.kv_start + s.kv_len).max().unwrap_or(0);
    let (qd, kd) = (heads.q * heads.dim, heads.kv * heads.dim);
    let q = be.upload(&values(rows * qd, seed, 1));
    let (k, v) = (
        be.upload(&values(keys * kd, seed, 2)),
        be.upload(&values(keys * kd, seed, 3)),
    );
    let (mut out, mut lse) = (be.zeros(rows * qd), be.zeros(rows * heads.q));
    be.attention(heads, segments, &q, &k, &v, &mut out, &mut lse);
    vec![be.download(&out), be.download(&lse)]
}

fn segment(q_start: usize, q_len: usize, kv_start: usize, kv_len: usize) -> Segment {
    Segment {
        q_start,
        q_len,
        kv_start,
        kv_len,
    }
}

fn attention_decode<B: Backend<Elem = f32>>(be: &B, seed: u64) -> Vec<Vec<f32>> {
    let segments = [
        segment(0, 1, 0, 1),
        segment(1, 1, 3, 700),
        segment(2, 2, 710, 256),
        segment(4, 1, 970, 257),
    ];
    let shapes = [(4, 4, 32), (8, 2, 64), (14, 2, 64), (6, 2, 12), (4, 2, 256)];
    shapes
        .into_iter()
        .flat_map(|(q, kv, dim)| attend(be, seed, Heads { q, kv, dim }, &segments))
        .collect()
}

fn attention_prompt<B: Backend<Elem = f32>>(be: &B, seed: u64) -> Vec<Vec<f32>> {
    let segments = [
        segment(0, 100, 0, 100),
        segment(100, 33, 110, 133),
        segment(133, 5, 250, 5),
    ];
    let shapes = [(4, 2, 32), (4, 4, 48), (8, 2, 64), (2, 1, 128)];
    shapes
        .into_iter()
        .flat_map(|(q, kv, dim)| attend(be, seed, Heads { q, kv, dim }, &segments))
        .collect()
}

fn attention_gradients<B: Backend<Elem = f32>>(be: &B, seed: u64) -> Vec<Vec<f32>> {
    let mut all = Vec::new();
    for (q, kv, dim) in [(4, 2, 32), (3, 3, 20), (8, 2, 64), (2, 1, 128)] {
        let heads = Heads { q, kv, dim };
        let segments = [
            segment(0, 70, 0, 70),
            segment(70, 33, 70, 33),
            segment(103, 1, 103, 1),
        ];
        let (rows, qd, kd) = (104, q * dim, kv * dim);
        let wide = |width: usize, place| be.upload(&values(rows * width, seed, place));
        let (queries, keys, held, dout) = (wide(qd, 1), wide(kd, 2), wide(kd, 3), wide(qd, 4));
        let (mut out, mut lse) = (be.zeros(rows * qd), be.zeros(rows * q));
        be.attention(heads, &segments, &queries, &keys, &held, &mut out, &mut lse);
        let (mut dq, mut dk, mut dv) = (wide(qd, 5), wide(kd, 6), wide(kd, 7));
        be.attention_backward(
            heads, &segments, &queries, &keys, &held, &out, &lse, &dout, &mut dq, &mut dk, &mut dv,
        );
        all.extend([dq, dk, dv].iter().map(|x| be.download(x)));
    }
    all
}

fn cross_entropy<B: Backend<Elem = f32>>(be: &B, seed: u64) -> Vec<Vec<f32>> {
    let (rows, vocab) = (9, 3_001);
    let logits: Vec<f32> = values(rows * vocab, seed, 1).iter().map(|x| x * 9.0).collect();
    let mut logits = be.upload(&logits);
    let targets: Vec<u32> = (0..rows as u32)
        .map(|i| if i == 4 { IGNORE } else { i * 300 })
        .collect();
    let losses = be.cross_entropy(vocab, &targets, 0.25, &mut logits);
    vec![losses.iter().map(|x| *x as f32).collect(), be.download(&logits)]
}

fn sum_squares<B: Backend<Elem = f32>>(be: &B, seed: u64) -> Vec<Vec<f32>> {
    vec![vec![be.sum_squares(&be.upload(&values(100_003, seed, 1))) as f32]]
}

/// Ids must be equal: they are given as results of their own by [`ids`]; here the probabilities.
fn sample<B: Backend<Elem = f32>>(be: &B, seed: u64) -> Vec<Vec<f32>> {
    vec![chosen(be, seed).1]
}

/// Chosen ids and logarithms of their probabilities, of 256 rows.
pub(crate) fn chosen<B: Backend<Elem = f32>>(be: &B, seed: u64) -> (Vec<u32>, Vec<f32>) {
    let (rows, vocab) = (256, 5_003);
    // Few different values, so that there are ties.
    let logits: Vec<f32> = values(rows * vocab, seed, 1)
        .iter()
        .map(|x| (x * 64.0).floor() / 8.0)
        .collect();
    let draws: Vec<Draw> = (0..rows)
        .map(|i| Draw {
            temperature: [0.0, 0.7, 1.0, 1.3][i % 4],
            top_k: 0,
            alternatives: 0,
            top_p: if i % 8 == 1 { 0.9 } else { 1.0 },
            seed: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(i as u64),
            position: i as u32 * 3,
        })
        .collect();
    let sampled = be.sample(&be.upload(&logits), vocab, &draws);
    (
        sampled.iter().map(|s| s.id).collect(),
        sampled.iter().map(|s| s.logprob).collect(),
    )
}

/// ‖a − b‖ / ‖b‖ over all results; infinite where one is not finite or of another length.
pub(crate) fn distance(a: &[Vec<f32>], b: &[Vec<f32>]) -> f64 {
    if a.len() != b.len() {
        return f64::INFINITY;
    }
    let mut worst = 0.0_f64;
    for (a, b) in a.iter().zip(b) {
        if a.len() != b.len() || a.iter().chain(b).any(|x| !x.is_finite()) {
            return f64::INFINITY;
        }
        let square = |x: f64| x * x;
        let apart: f64 = a
            .iter()
            .zip(b)
            .map(|(a, b)| square(f64::from(*a) - f64::from(*b)))
            .sum();
        let size: f64 = b.iter().map(|b| square(f64::from(*b))).sum();
        if apart > 0.0 {
            worst = worst.max((apart / size.max(f64::MIN_POSITIVE)).sqrt());
        }
    }
    worst
}

/// The bits of results.
pub(crate) fn bits(x: &[Vec<f32>]) -> Vec<u32> {
    x.iter().flatten().map(|v| v.to_bits()).collect()
}

/// A fault as an error of the program.
pub(crate) fn fault(error: Option<Error>) -> anyhow::Result<()> {
    error.map_or(Ok(()), |error| Err(error.into()))
}

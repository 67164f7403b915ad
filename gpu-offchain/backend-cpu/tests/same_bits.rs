//! Scalar and SIMD give the same bits, rows do not depend on their neighbours, and both are right.

use openledger_backend_cpu::Cpu;
use openledger_engine::backend::{
    AdamStep, Backend, Gemm, Heads, Layout, LoraGroup, LoraPair, PagedSegment, Segment, IGNORE,
};
use openledger_engine::sampler::philox;

type Fast = Cpu<f32>;

fn values(n: usize, seed: u32) -> Vec<f32> {
    (0..n)
        .map(|i| (philox([i as u32, seed, 0, 0], [1, 2])[0] as f32 / 2_147_483_648.0 - 1.0) * 1.5)
        .collect()
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|v| v.to_bits()).collect()
}

/// Runs `f` on both paths and compares every buffer it gives.
fn both(what: &str, f: impl Fn(&Fast) -> Vec<Vec<f32>>) -> Vec<Vec<f32>> {
    let (fast, slow) = (f(&Fast::new()), f(&Fast::scalar()));
    for (i, (a, b)) in fast.iter().zip(&slow).enumerate() {
        assert_eq!(bits(a), bits(b), "{what}, result {i}");
        assert!(a.iter().all(|v| v.is_finite()), "{what}, result {i}");
    }
    fast
}

fn naive(op: Gemm, a: &[f32], b: &[f32], c: &[f32]) -> Vec<f64> {
    let at = |i: usize, j: usize, p: usize| {
        let (a, b) = match op.layout {
            Layout::Forward => (a[i * op.k + p], b[j * op.k + p]),
            Layout::Input => (a[i * op.k + p], b[p * op.n + j]),
            Layout::Weight => (a[p * op.m + i], b[p * op.n + j]),
        };
        f64::from(a) * f64::from(b)
    };
    (0..op.m * op.n)
        .map(|e| {
            let sum: f64 = (0..op.k).map(|p| at(e / op.n, e % op.n, p)).sum();
            op.alpha * sum + if op.accumulate { f64::from(c[e]) } else { 0.0 }
        })
        .collect()
}

#[test]
fn products_should_be_right_in_every_layout_and_odd_size() {
    for (m, n, k) in [
        (1, 1, 1),
        (4, 24, 8),
        (5, 7, 3),
        (13, 29, 31),
        (9, 40, 300),
        (33, 70, 129),
        (2, 600, 500),
    ] {
        for layout in [Layout::Forward, Layout::Input, Layout::Weight] {
            for accumulate in [false, true] {
                let op = Gemm {
                    m,
                    n,
                    k,
                    layout,
                    alpha: 0.75,
                    accumulate,
                };
                let (a, b, c) = (values(m * k, 1), values(n * k, 2), values(m * n, 3));
                let got = both(&format!("{op:?}"), |be| {
                    let mut c = c.clone();
                    be.gemm(op, &a, &b, &mut c);
                    vec![c]
                });
                for (got, want) in got[0].iter().zip(naive(op, &a, &b, &c)) {
                    assert!(
                        (f64::from(*got) - want).abs() < 2e-5 * (k as f64).sqrt().max(1.0),
                        "{op:?}: {got}, {want}"
                    );
                }
            }
        }
    }
}

#[test]
fn fast_products_and_adapters_should_be_right_to_rounding() {
    let be = Fast::fast();
    assert_ne!(be.arch(), Fast::new().arch(), "fast mode promises other bits");
    for (m, n, k) in [(16, 96, 128), (33, 70, 129), (64, 600, 500), (200, 31, 64)] {
        for layout in [Layout::Forward, Layout::Input, Layout::Weight] {
            for accumulate in [false, true] {
                let op = Gemm {
                    m,
                    n,
                    k,
                    layout,
                    alpha: 0.75,
                    accumulate,
                };
                let (a, b, mut c) = (values(m * k, 1), values(n * k, 2), values(m * n, 3));
                let want = naive(op, &a, &b, &c);
                be.gemm(op, &a, &b, &mut c);
                for (got, want) in c.iter().zip(want) {
                    assert!((f64::from(*got) - want).abs() < 1e-3, "{op:?}: {got}, {want}");
                }
            }
        }
    }
    // Rows of different adapters, each with its own place in rows that are wider than its rank.
    let (rows, d_in, d_out, stride) = (96, 300, 200, 24);
    let (x, y) = (values(rows * d_in, 4), values(rows * d_out, 5));
    let pairs = [5, 24].map(|rank| LoraPair {
        a: values(rank * d_in, 6),
        b: values(d_out * rank, 7),
        rank,
        scale: 0.5,
    });
    let groups = [(8, 40, 0), (48, 48, 1)].map(|(start, rows, pair): (usize, usize, usize)| LoraGroup {
        start,
        rows,
        pair: pairs[pair].borrowed(),
    });
    let run = |be: &Fast| {
        let (mut u, mut y) = (vec![0.0; rows * stride], y.clone());
        be.lora_shrink(&groups, d_in, &x, stride, &mut u);
        be.lora_expand(&groups, d_out, &u, stride, &mut y);
        [u, y].concat()
    };
    for (i, (got, want)) in run(&be).iter().zip(run(&Fast::new())).enumerate() {
        assert!((got - want).abs() < 2e-3, "element {i}: {got}, {want}");
    }
}

#[test]
fn a_row_of_a_product_should_not_depend_on_the_other_rows() {
    let (n, k) = (150, 203);
    let (a, b) = (values(64 * k, 4), values(n * k, 5));
    for layout in [Layout::Forward, Layout::Input] {
        let run = |from: usize, m: usize| {
            let op = Gemm {
                m,
                n,
                k,
                layout,
                alpha: 1.0,
                accumulate: false,
            };
            let mut c = vec![0.0; m * n];
            Fast::new().gemm(op, &a[from * k..(from + m) * k].to_vec(), &b, &mut c);
            bits(&c)
        };
        let all = run(0, 64);
        for (from, m) in [(0, 1), (7, 1), (63, 1), (5, 3), (10, 30)] {
            assert_eq!(
                run(from, m),
                all[from * n..(from + m) * n],
                "{layout:?}, rows {from} to {}",
                from + m
            );
        }
    }
}

#[test]
fn attention_should_be_the_softmax_average_on_both_paths() {
    let heads = Heads { q: 4, kv: 2, dim: 12 };
    // Two sequences in a cache with gaps; the second continues one of 50.
    let segments = [
        Segment {
            q_start: 0,
            q_len: 37,
            kv_start: 3,
            kv_len: 37,
        },
        Segment {
            q_start: 37,
            q_len: 5,
            kv_start: 60,
            kv_len: 55,
        },
    ];
    let (q, k, v) = (values(42 * 48, 1), values(120 * 24, 2), values(120 * 24, 3));
    let got = both("attention", |be| {
        let (mut out, mut lse) = (vec![0.0; 42 * 48], vec![0.0; 42 * 4]);
        be.attention(heads, &segments, &q, &k, &v, &mut out, &mut lse);
        vec![out, lse]
    });
    for s in segments {
        for (i, h) in (0..s.q_len).flat_map(|i| (0..4).map(move |h| (i, h))) {
            let row = (s.q_start + i) * 4 + h;
            let kv = |j: usize| ((s.kv_start + j) * 2 + h / 2) * 12;
            let seen = s.kv_len - s.q_len + i + 1;
            let score = |j: usize| -> f64 {
                (0..12)
                    .map(|d| f64::from(q[row * 12 + d]) * f64::from(k[kv(j) + d]))
                    .sum::<f64>()
                    / 12_f64.sqrt()
            };
            let weights: Vec<f64> = (0..seen).map(|j| score(j).exp()).collect();
            let total: f64 = weights.iter().sum();
            assert!((f64::from(got[1][row]) - total.ln()).abs() < 1e-5);
            for d in 0..12 {
                let want: f64 = (0..seen)
                    .map(|j| weights[j] * f64::from(v[kv(j) + d]))
                    .sum::<f64>()
                    / total;
                assert!((f64::from(got[0][row * 12 + d]) - want).abs() < 1e-5);
            }
        }
    }
}

#[test]
fn every_other_operation_should_have_the_same_bits_on_both_paths() {
    let (rows, d) = (19, 44);
    let (x, y, w) = (values(rows * d, 1), values(rows * d, 2), values(d, 3));
    both("norms", |be| {
        let (mut out, mut inv, mut dx, mut dw) = (vec![0.0; rows * d], vec![0.0; rows], x.clone(), w.clone());
        be.rmsnorm(&x, &w, 1e-5, d, &mut out, &mut inv);
        be.rmsnorm_backward(&x, &w, &inv, &y, d, &mut dx, Some(&mut dw));
        vec![out, inv, dx, dw]
    });
    both("gates", |be| {
        let (mut out, mut dg, mut du) = (vec![0.0; rows * d], vec![0.0; rows * d], vec![0.0; rows * d]);
        be.silu_mul(&x, &y, &mut out);
        be.silu_mul_backward(&x, &y, &out, &mut dg, &mut du);
        vec![out, dg, du]
    });
    let targets: Vec<u32> = (0..rows as u32)
        .map(|t| if t % 4 == 1 { IGNORE } else { t * 2 })
        .collect();
    both("losses", |be| {
        let mut logits = x.clone();
        let losses = be.cross_entropy(d, &targets, 0.25, &mut logits);
        vec![
            logits,
            losses.into_iter().map(|l| l as f32).collect(),
            vec![be.sum_squares(&x) as f32],
        ]
    });
    both("optimiser", |be| {
        let step = AdamStep {
            lr: 0.01,
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
            weight_decay: 0.1,
            step: 3,
            grad_scale: 0.7,
        };
        let square: Vec<f32> = y.iter().map(|v| v * v).collect();
        let (mut m, mut v, mut p) = (y.clone(), square, x.clone());
        be.adamw(step, &x, &mut m, &mut v, &mut p);
        vec![m, v, p]
    });
    let heads = Heads { q: 4, kv: 2, dim: 11 };
    let segments = [
        Segment {
            q_start: 0,
            q_len: 11,
            kv_start: 0,
            kv_len: 11,
        },
        Segment {
            q_start: 11,
            q_len: 8,
            kv_start: 11,
            kv_len: 8,
        },
    ];
    let (k, v) = (values(rows * 22, 5), values(rows * 22, 6));
    both("attention's gradients", |be| {
        let (mut out, mut lse) = (vec![0.0; rows * 44], vec![0.0; rows * 4]);
        be.attention(heads, &segments, &x, &k, &v, &mut out, &mut lse);
        let (mut dq, mut dk, mut dv) = (vec![0.0; rows * 44], vec![0.0; rows * 22], vec![0.0; rows * 22]);
        be.attention_backward(
            heads, &segments, &x, &k, &v, &out, &lse, &y, &mut dq, &mut dk, &mut dv,
        );
        vec![dq, dk, dv]
    });
    both("adapters", |be| {
        let pairs = [3, 8].map(|rank| LoraPair {
            a: values(rank * d, 7),
            b: values(20 * rank, 8),
            rank,
            scale: 1.5,
        });
        let groups = [
            LoraGroup {
                start: 0,
                rows: 1,
                pair: pairs[0].borrowed(),
            },
            LoraGroup {
                start: 4,
                rows: 15,
                pair: pairs[1].borrowed(),
            },
        ];
        let (mut u, mut out) = (vec![0.0; rows * 8], values(rows * 20, 9));
        be.lora_shrink(&groups, d, &x, 8, &mut u);
        be.lora_expand(&groups, 20, &u, 8, &mut out);
        // Rows in no group keep what the base gave.
        assert_eq!(out[20..80], values(rows * 20, 9)[20..80]);
        assert_ne!(out[..20], values(rows * 20, 9)[..20]);
        assert_ne!(out[rows * 20 - 20..], values(rows * 20, 9)[rows * 20 - 20..]);
        vec![u, out]
    });
}

#[test]
fn pages_of_any_size_should_give_the_bits_of_a_cache_without_pages() {
    let heads = Heads { q: 4, kv: 2, dim: 12 };
    let (rows, kv_len, line) = (37, 91, 91);
    let (q, k, v) = (
        values(rows * 48, 1),
        values(kv_len * 24, 2),
        values(kv_len * 24, 3),
    );
    let table = values(line * 12, 4);
    let positions: Vec<u32> = (0..kv_len as u32).collect();
    let plain = both("no pages", |be| {
        let (mut keys, mut cached) = (vec![0.0; kv_len * 24], vec![0.0; kv_len * 24]);
        let mut none = vec![0.0; kv_len * 48];
        be.rope_kv(
            heads,
            &table,
            &positions,
            &positions,
            &mut none,
            &k,
            &v,
            &mut keys,
            &mut cached,
        );
        let (mut out, mut lse) = (vec![0.0; rows * 48], vec![0.0; rows * 4]);
        let segment = Segment {
            q_start: 0,
            q_len: rows,
            kv_start: 0,
            kv_len,
        };
        be.attention(heads, &[segment], &q, &keys, &cached, &mut out, &mut lse);
        vec![out, lse]
    });
    for page in [1, 5, 8, 16, 32, 64, 128] {
        let paged = both("pages", |be| {
            let count = kv_len.div_ceil(page);
            // Backwards, with a page of something else between.
            let tables: Vec<u32> = (0..count as u32)
                .map(|p| (2 * (count as u32 - 1 - p)) + 1)
                .collect();
            let slots: Vec<u32> = (0..kv_len)
                .map(|t| tables[t / page] * page as u32 + (t % page) as u32)
                .collect();
            let len = 2 * count * page * 24;
            let (mut keys, mut cached) = (vec![f32::MAX; len], vec![f32::MAX; len]);
            let mut none = vec![0.0; kv_len * 48];
            be.rope_paged_kv(
                heads,
                page,
                &table,
                &positions,
                &slots,
                &mut none,
                &k,
                &v,
                &mut keys,
                &mut cached,
            );
            let (mut out, mut lse) = (vec![0.0; rows * 48], vec![0.0; rows * 4]);
            let segment = PagedSegment {
                q_start: 0,
                q_len: rows,
                table_start: 0,
                kv_len,
            };
            be.paged_attention(
                heads,
                page,
                &[segment],
                &tables,
                &q,
                &keys,
                &cached,
                &mut out,
                &mut lse,
            );
            vec![out, lse]
        });
        for (a, b) in paged.iter().zip(&plain) {
            assert_eq!(bits(a), bits(b), "pages of {page}");
        }
    }
}

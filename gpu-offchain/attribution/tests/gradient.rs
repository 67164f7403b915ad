//! Gradients are what their definition says, and a true derivative.

mod common;

use common::{factors, gradient, modules, seed, Rng};
use openledger_attribution::sketch::{sign, Side};
use openledger_influence::{Error, ModuleSpec, Sketcher, Weights};

/// P·v by the definition: one sign after another.
fn project(seed: &[u8; 32], block: u32, side: Side, k: usize, v: &[f64]) -> Vec<f64> {
    if v.len() <= k {
        return v.to_vec();
    }
    (0..k as u32)
        .map(|row| {
            (0u32..)
                .zip(v)
                .map(|(column, x)| x * f64::from(sign(seed, block, side, row, column)))
                .sum()
        })
        .collect()
}

fn outer(sum: &mut [f64], a: &[f64], b: &[f64]) {
    for (row, a) in sum.chunks_exact_mut(b.len()).zip(a) {
        for (to, b) in row.iter_mut().zip(b) {
            *to += a * b;
        }
    }
}

#[test]
fn a_gradient_is_the_sum_over_tokens_that_defines_it() {
    let mut rng = Rng(seed());
    let modules = modules(&mut rng);
    let key = rng.hash();
    for k in [1usize, 8, 64] {
        let sketcher = Sketcher::new(modules.clone(), k as u16, &key).unwrap();
        let factors = factors(&mut rng, &modules, 3, 7);
        let mut expected: Vec<f64> = Vec::new();
        let mut block = 0u32;
        for (module, (x, delta)) in modules.iter().zip(&factors) {
            let wide = |v: &[f32]| -> Vec<f64> { v.iter().map(|x| f64::from(*x)).collect() };
            let (kept_in, kept_out) = (k.min(module.d_in), k.min(module.d_out));
            let tokens = x.chunks_exact(module.d_in).zip(delta.chunks_exact(module.d_out));
            match &module.weights {
                Weights::Lora { rank, a, b, scale } => {
                    let (mut s_a, mut s_b) = (vec![0.0; rank * kept_in], vec![0.0; kept_out * rank]);
                    for (x, delta) in tokens {
                        let (x, delta) = (wide(x), wide(delta));
                        let u: Vec<f64> = a
                            .chunks_exact(module.d_in)
                            .map(|row| wide(row).iter().zip(&x).map(|(a, x)| a * x).sum())
                            .collect();
                        let h: Vec<f64> = (0..*rank)
                            .map(|r| {
                                let column = b.iter().skip(r).step_by(*rank);
                                column.zip(&delta).map(|(b, d)| f64::from(*b) * d).sum::<f64>()
                                    * f64::from(*scale)
                            })
                            .collect();
                        outer(&mut s_a, &h, &project(&key, block, Side::Columns, k, &x));
                        let mut left = project(&key, block + 1, Side::Rows, k, &delta);
                        left.iter_mut().for_each(|d| *d *= f64::from(*scale));
                        outer(&mut s_b, &left, &u);
                    }
                    expected.extend(s_a);
                    expected.extend(s_b);
                    block += 2;
                }
                Weights::Linear => {
                    let mut sum = vec![0.0; kept_out * kept_in];
                    for (x, delta) in tokens {
                        outer(
                            &mut sum,
                            &project(&key, block, Side::Rows, k, &wide(delta)),
                            &project(&key, block, Side::Columns, k, &wide(x)),
                        );
                    }
                    expected.extend(sum);
                    block += 1;
                }
            }
        }
        let found = gradient(&sketcher, &factors);
        assert_eq!(found.lanes().len(), expected.len());
        let size = expected.iter().fold(0.0f64, |size, x| size.max(x.abs()));
        for (found, expected) in found.lanes().iter().zip(&expected) {
            assert!(
                (f64::from(*found) - expected).abs() <= size * 1e-6,
                "{found} is not {expected}"
            );
        }
    }
}

#[test]
fn without_projection_it_is_the_derivative_by_the_adapter() {
    let mut rng = Rng(seed());
    let (d_in, d_out, rank, scale) = (5usize, 4usize, 2usize, 1.5f32);
    let (a, b) = (rng.floats(rank * d_in), rng.floats(d_out * rank));
    let (x, delta) = (rng.floats(3 * d_in), rng.floats(3 * d_out));
    // With δ fixed the loss Σ δ·y is linear in y, so δ is its gradient at y.
    let loss = |a: &[f64], b: &[f64]| -> f64 {
        let mut total = 0.0;
        for (x, delta) in x.chunks_exact(d_in).zip(delta.chunks_exact(d_out)) {
            for (o, delta) in delta.iter().enumerate() {
                for r in 0..rank {
                    let u: f64 = (0..d_in).map(|i| a[r * d_in + i] * f64::from(x[i])).sum();
                    total += f64::from(*delta) * f64::from(scale) * b[o * rank + r] * u;
                }
            }
        }
        total
    };
    let module = ModuleSpec {
        name: "m".into(),
        d_in,
        d_out,
        weights: Weights::Lora {
            rank,
            a: a.clone(),
            b: b.clone(),
            scale,
        },
    };
    let sketcher = Sketcher::new(vec![module], 64, &[0; 32]).unwrap();
    let found = gradient(&sketcher, &[(x.clone(), delta.clone())]);
    let wide = |v: &[f32]| -> Vec<f64> { v.iter().map(|x| f64::from(*x)).collect() };
    let (a, b) = (wide(&a), wide(&b));
    for (at, found) in found.lanes().iter().enumerate() {
        let step = 1e-3;
        let moved = |by: f64| {
            let (mut a, mut b) = (a.clone(), b.clone());
            match at.checked_sub(a.len()) {
                None => a[at] += by,
                Some(at) => b[at] += by,
            }
            loss(&a, &b)
        };
        let slope = (moved(step) - moved(-step)) / (2.0 * step);
        assert!(
            (slope - f64::from(*found)).abs() < 1e-5,
            "lane {at}: {found}, finite difference {slope}"
        );
    }
}

#[test]
fn tokens_may_come_in_pieces() {
    let mut rng = Rng(seed());
    let modules = modules(&mut rng);
    let sketcher = Sketcher::new(modules.clone(), 8, &rng.hash()).unwrap();
    let factors = factors(&mut rng, &modules, 1, 11);
    let whole = gradient(&sketcher, &factors);
    let mut builder = sketcher.start();
    for part in [0..4usize, 4..5, 5..11] {
        for (at, (module, (x, delta))) in modules.iter().zip(&factors).enumerate().rev() {
            builder
                .add(
                    at,
                    &x[part.start * module.d_in..part.end * module.d_in],
                    &delta[part.start * module.d_out..part.end * module.d_out],
                )
                .unwrap();
        }
    }
    assert_eq!(builder.finish(), whole);
}

#[test]
fn what_does_not_fit_is_refused_with_its_numbers() {
    let mut rng = Rng(seed());
    let mut modules = modules(&mut rng);
    let sketcher = Sketcher::new(modules.clone(), 8, &[0; 32]).unwrap();
    let error = sketcher.start().add(0, &[0.0; 21], &[0.0; 12]).unwrap_err();
    assert!(
        matches!(&error, Error::Shape { module, .. } if module == "layers.0.q"),
        "{error}"
    );
    assert!(error.to_string().contains("21"), "{error}");
    assert!(matches!(
        sketcher.start().add(9, &[], &[]),
        Err(Error::NoSuch { .. })
    ));

    modules[1].name = modules[0].name.clone();
    assert!(matches!(
        Sketcher::new(modules.clone(), 8, &[0; 32]),
        Err(Error::Plan(_))
    ));
    modules[1].name = "other".into();
    if let Weights::Lora { a, .. } = &mut modules[1].weights {
        a[3] = f32::NAN;
    }
    assert!(Sketcher::new(modules, 8, &[0; 32])
        .unwrap_err()
        .to_string()
        .contains("NaN"));
}

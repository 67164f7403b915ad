//! Scores foretell what a model learns from half of its examples: the linear datamodeling score on handwritten
//! digits, with a truth of a few models so that it takes seconds. `examples/lds.rs` has the full measurement.

mod digits;

use openledger_attribution::index::IndexRules;
use openledger_influence::default_rules;
use std::path::Path;

#[test]
fn scores_foretell_what_is_learnt_and_damping_and_size_matter_as_they_should() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/digits/digits.bin");
    let dir = tempfile::tempdir().unwrap();
    let (decay, seed) = (1e-3, 11);
    println!("data seed {seed}");
    let (train, test) = digits::read(&data, seed).unwrap();
    let truth = digits::Truth::new(&train, &test, 40, 2, decay, seed);
    let nets = digits::models(&train, 2, decay, seed);
    let score = |projection, rho| {
        let rules = IndexRules {
            projection,
            rho,
            ..default_rules()
        };
        let (one, two) = digits::one_and_all(&nets, &train, &test, &truth, rules, dir.path()).unwrap();
        println!("projection {projection}, rho {rho} parts per billion: one model {one:.3}, two {two:.3}");
        (one, two)
    };
    let (one, two) = score(128, 100_000_000);
    assert!(one >= LEAST && two > one);
    // Without damping noise is blown up; with too much of it nothing is left of the preconditioner.
    assert!(score(128, 1_000_000).0 < one);
    assert!(score(128, u32::MAX).0 < one);
    // Fewer dimensions tell less.
    assert!(score(8, 100_000_000).0 < one - 0.05);
}

/// Of one model; the short truth is noisier than the full one.
const LEAST: f64 = 0.62;

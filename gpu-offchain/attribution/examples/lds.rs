//! The linear datamodeling score on handwritten digits: how well sums of scores foretell what a model learns
//! from half of its training examples. (Park et al., TRAK, 2023.)
//!
//! `cargo run --release -p openledger-influence --example lds -- [first data seed [data seeds [weight decay]]]`
//!
//! A perceptron 64-24-10 with tanh is trained on 1,000 examples and, for the truth, on 100 random halves of
//! them with 5 initial weights each; the score is Spearman's correlation between the halves' losses on an
//! example and the sums of its scores over the halves, averaged over 200 other examples.

#[path = "../tests/digits/mod.rs"]
mod digits;

use openledger_attribution::index::IndexRules;
use openledger_influence::default_rules;
use std::{error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| arguments.get(at).map_or(Ok(default), |text| text.parse());
    let (first, seeds) = (number(0, 1)?, number(1, 1)?);
    let decay: f32 = arguments.get(2).map_or(Ok(1e-3), |text| text.parse())?;
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/digits/digits.bin");
    let dir = std::env::temp_dir().join(format!("openledger-lds-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    println!("weight decay {decay}");
    println!("data seed  projection    rho  one model  five");
    for seed in first..first + seeds {
        let (train, test) = digits::read(&data, seed)?;
        let truth = digits::Truth::new(&train, &test, 100, 5, decay, seed);
        let nets = digits::models(&train, 5, decay, seed);
        for (projection, rho) in [
            (128u16, 0.01),
            (128, 0.03),
            (128, 0.1),
            (128, 0.3),
            (64, 0.1),
            (32, 0.1),
            (16, 0.1),
        ] {
            let rules = IndexRules {
                projection,
                rho: (rho * 1e9) as u32,
                ..default_rules()
            };
            let (one, five) = digits::one_and_all(&nets, &train, &test, &truth, rules, &dir)?;
            println!("{seed:9} {projection:11} {rho:6} {one:10.3} {five:5.3}");
        }
    }
    fs::remove_dir_all(&dir)?;
    Ok(())
}

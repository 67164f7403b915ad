//! Scores of training examples for queries, from two factors files alone.
//!
//! `cargo run --release -p openledger-influence --example influence -- --train F --query F --out F
//! [--k 64] [--rho 0.1] [--z 4] [--seed N or 64 hex digits] [--threads N]`
//!
//! `FactorsFile` says what such a file holds, `Scores::write` what is written.

use openledger_attribution::{hash::keccak, index::IndexRules};
use openledger_influence::{available_threads, cpu_backend, default_rules, influence, FactorsFile, Options};
use std::{collections::BTreeMap, error::Error, path::Path};

const HELP: &str = "usage: influence --train F --query F --out F [--k 64] [--rho 0.1] [--z 4] [--seed N or 64 hex digits] [--threads N]";

fn main() -> Result<(), Box<dyn Error>> {
    let mut given: BTreeMap<String, String> = BTreeMap::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let known = ["train", "query", "out", "k", "rho", "z", "seed", "threads"];
        let key = name.strip_prefix("--").filter(|name| known.contains(name));
        let (Some(key), Some(value)) = (key, arguments.next()) else {
            return Err(format!("`{name}` is no option or has no value; {HELP}").into());
        };
        given.insert(key.into(), value);
    }
    let path = |name: &str| {
        given
            .get(name)
            .ok_or_else(|| format!("--{name} is missing; {HELP}"))
    };
    let number = |name: &str, default: f64, most: f64| match given.get(name) {
        None => Ok(default),
        Some(text) => match text.parse::<f64>() {
            Ok(value) if (0.0..=most).contains(&value) => Ok(value),
            _ => Err(format!("--{name} {text}: expected a number from 0 to {most}")),
        },
    };
    let own = default_rules();
    let rules = IndexRules {
        projection: number("k", f64::from(own.projection), f64::from(u16::MAX))? as u16,
        rho: (number("rho", f64::from(own.rho) / 1e9, 4.0)? * 1e9).round() as u32,
        z: (number("z", f64::from(own.z) / 100.0, 600.0)? * 100.0).round() as u16,
        ..own
    };
    let seed = match given.get("seed").map(|text| (text, text.parse::<u64>())) {
        None => [0; 32],
        Some((_, Ok(number))) => keccak(&[&number.to_be_bytes()]),
        Some((text, Err(_))) => {
            hash(text).ok_or_else(|| format!("--seed {text}: expected a whole number or 64 hex digits"))?
        }
    };
    let options = Options {
        rules,
        seed,
        threads: number("threads", available_threads() as f64, 1_024.0)? as usize,
    };
    let train = FactorsFile::open(Path::new(path("train")?))?;
    let query = FactorsFile::open(Path::new(path("query")?))?;
    let scores = influence(&train, &query, &options, cpu_backend())?;
    scores.write(Path::new(path("out")?))?;
    println!("{} queries × {} examples", scores.queries, scores.rows);
    Ok(())
}

fn hash(text: &str) -> Option<[u8; 32]> {
    let bytes: Option<Vec<u8>> = text
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    bytes?.try_into().ok()
}

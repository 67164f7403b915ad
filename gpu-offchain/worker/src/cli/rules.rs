//! The numbers of an index, as flags.

use crate::{formats::parse_hash, Error, Result};
use clap::Args;
use openledger_attribution::{hash::Hash, index::IndexRules};
use openledger_influence::{default_rules, suggested_rho, FactorsFile};

/// The numbers that sketches and scores follow.
#[derive(Args)]
pub(super) struct Rules {
    /// Dimensions that each side of a gradient is projected to.
    #[arg(long, default_value_t = default_rules().projection)]
    k: u16,
    /// Damping, as a part of the mean eigenvalue; `auto` takes what suits the training examples.
    #[arg(long, default_value_t = (f64::from(default_rules().rho) / 1e9).to_string())]
    rho: String,
    /// Sigmas that a score must be away from chance for its row to be eligible.
    #[arg(long, default_value_t = f64::from(default_rules().z) / 100.0)]
    z: f64,
    /// Exponent of 2 under which a gradient is zero.
    #[arg(long, default_value_t = default_rules().floor, allow_hyphen_values = true)]
    floor: i8,
    /// Seed of the projections, 0x and 64 hexadecimal digits.
    #[arg(
        long,
        default_value = "0x0000000000000000000000000000000000000000000000000000000000000000"
    )]
    seed: String,
    /// Threads to use; the result does not depend on it [default: all cores].
    #[arg(long)]
    threads: Option<usize>,
}

impl Rules {
    /// The rules for these training examples, with lists of at most `top`.
    pub(super) fn rules(&self, top: u16, train: &FactorsFile) -> Result<IndexRules> {
        let rho = if self.rho == "auto" {
            suggested_rho(train, self.k, &self.seed()?, self.threads())?
        } else {
            let rho = self
                .rho
                .parse()
                .map_err(|_| Error::Request(format!("--rho is {:?}: give a number, or auto", self.rho)))?;
            scaled("--rho", rho, 1e9, f64::from(u32::MAX))? as u32
        };
        Ok(IndexRules {
            projection: self.k,
            top,
            rho,
            z: scaled("--z", self.z, 100.0, f64::from(u16::MAX))? as u16,
            floor: self.floor,
        })
    }

    pub(super) fn seed(&self) -> Result<Hash> {
        parse_hash(&self.seed)
    }

    pub(super) fn threads(&self) -> usize {
        threads(self.threads)
    }
}

/// As many as asked for, or as there are.
pub(super) fn threads(asked: Option<usize>) -> usize {
    asked
        .unwrap_or_else(openledger_influence::available_threads)
        .max(1)
}

fn scaled(flag: &str, value: f64, unit: f64, most: f64) -> Result<f64> {
    let scaled = (value * unit).round();
    if !(0.0..=most).contains(&scaled) {
        return Err(Error::Request(format!(
            "{flag} is {value}: give a number from 0 to {}",
            most / unit
        )));
    }
    Ok(scaled)
}

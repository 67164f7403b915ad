//! `attribute`: what shaped an answer, without a chain.

use super::{
    rules::Rules,
    spans::{self, Spans},
};
use crate::{
    formats::{hex0x, unwire},
    Error, Result,
};
use clap::{Args, Subcommand};
use openledger_attribution::{attribution::Attribution, fee::Mix, wire::Object};
use openledger_influence::{cpu_backend, FactorsFile, Options};
use std::path::{Path, PathBuf};

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Scores every training example for every query, exactly.
    Influence(Influence),
    /// Finds the pieces of a text that stand in others, each with its count and records.
    Spans(Spans),
    /// Divides an amount among the contributors that an attribution names.
    Mix(MixArgs),
}

#[derive(Args)]
pub(super) struct Influence {
    /// Factors of the training examples (docs/worker.md says how they are laid out).
    #[arg(long)]
    train: PathBuf,
    /// Factors of the queries, from the same model.
    #[arg(long)]
    query: PathBuf,
    /// File for `scores` and `scores_i128`.
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    rules: Rules,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct MixArgs {
    /// The attribution's canonical bytes, or their hexadecimal digits behind 0x.
    attribution: PathBuf,
    /// Weights of influence, verbatim and retrieval in parts per billion; they add up to 10^9.
    #[arg(long, default_value = "1000000000,0,0")]
    mix: String,
    /// Planck to divide.
    #[arg(long, default_value_t = 1_000_000_000)]
    amount: u128,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(verb: &Verb) -> Result<()> {
    match verb {
        Verb::Influence(args) => influence(args),
        Verb::Spans(args) => spans::run(args),
        Verb::Mix(args) => mix(args),
    }
}

fn influence(args: &Influence) -> Result<()> {
    let train = FactorsFile::open(&args.train)?;
    let query = FactorsFile::open(&args.query)?;
    let options = Options {
        rules: args.rules.rules(1, &train)?,
        seed: args.rules.seed()?,
        threads: args.rules.threads(),
    };
    let scores = openledger_influence::influence(&train, &query, &options, cpu_backend())?;
    scores.write(&args.out)?;
    if args.json {
        println!(
            "{}",
            serde_json::json!({
                "queries": scores.queries,
                "rows": scores.rows,
                "floor": scores.floor,
                "rho": options.rules.rho,
                "out": args.out,
            })
        );
    } else {
        println!(
            "{} queries × {} rows in {}; a score counts 2^{}",
            scores.queries,
            scores.rows,
            args.out.display(),
            2 * i32::from(scores.floor)
        );
    }
    Ok(())
}

fn mix(args: &MixArgs) -> Result<()> {
    let attribution = read(&args.attribution)?;
    let mix = parse_mix(&args.mix)?;
    let amounts = attribution
        .amounts(&mix, args.amount)
        .ok_or_else(|| Error::Request("the attribution is not well shaped: its sums do not fit".into()))?;
    if args.json {
        let amounts: Vec<_> = amounts
            .iter()
            .map(|(account, amount)| {
                serde_json::json!({ "contributor": hex0x(account), "amount": amount.to_string() })
            })
            .collect();
        println!(
            "{}",
            serde_json::json!({ "attribution": hex0x(attribution.hash()), "amounts": amounts })
        );
    } else if amounts.is_empty() {
        println!("nobody: the amount takes the fallback");
    } else {
        for (account, amount) in amounts {
            println!("{}  {amount}", openledger_chain::ss58(&account));
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Attribution> {
    let bytes = std::fs::read(path).map_err(|error| Error::file("read", path, error))?;
    let text = std::str::from_utf8(&bytes).ok().map(str::trim);
    match text.and_then(|text| text.strip_prefix("0x")) {
        Some(digits) => unwire(&hex::decode(digits).map_err(|error| Error::file("read", path, error))?),
        None => unwire(&bytes),
    }
}

fn parse_mix(text: &str) -> Result<Mix> {
    let parts: Vec<u32> = text
        .split(',')
        .map_while(|part| part.trim().parse().ok())
        .collect();
    match parts[..] {
        [influence, verbatim, retrieval] => Some(Mix {
            influence,
            verbatim,
            retrieval,
        }),
        _ => None,
    }
    .filter(Mix::is_whole)
    .ok_or_else(|| {
        Error::Request(format!(
            "--mix is \"{text}\": give three whole numbers that add up to 1000000000, as 700000000,300000000,0"
        ))
    })
}

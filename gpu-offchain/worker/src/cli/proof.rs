//! `prove` and `check-proof`: one row of an index, with all that shows what it is and how it scores.

use crate::{
    formats::{hex0x, parse_hash, unwire, wire},
    Error, Result,
};
use clap::Args;
use openledger_attribution::{
    hash::Hash,
    index::{IndexHeader, IndexLeaf},
    sketch::{Layout, Sketch},
    tree::Opening,
    wire::{Field, Object},
};
use openledger_influence::{FactorsFile, Index, Sketcher};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(super) struct Prove {
    /// Folder of the index.
    #[arg(long)]
    index: PathBuf,
    /// The row.
    #[arg(long)]
    row: u64,
    /// Factors of queries from the same model; without it the proof shows the row alone.
    #[arg(long)]
    query: Option<PathBuf>,
    /// Which of the queries.
    #[arg(long, default_value_t = 0, requires = "query")]
    example: usize,
    /// File for the proof.
    #[arg(long)]
    out: PathBuf,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Check {
    /// The proof.
    proof: PathBuf,
    /// Hash of the index's header, as the chain has it; without it the proof's own header is believed.
    #[arg(long)]
    index: Option<String>,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

/// A proof's file: canonical bytes in hexadecimal digits.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Proof {
    header: String,
    layout: String,
    row: String,
    query: Option<String>,
}

/// What a proof shows.
#[derive(Serialize)]
struct Shown {
    index: String,
    row: u64,
    contribution: u64,
    record: u32,
    unit: u32,
    contributor: String,
    /// In the index's unit, in decimal digits; none without a query.
    score: Option<String>,
    eligible: Option<bool>,
}

pub(super) fn prove(args: &Prove) -> Result<()> {
    let index = Index::open(&args.index)?;
    let query = args
        .query
        .as_ref()
        .map(|path| query(&index, path, args.example))
        .transpose()?;
    let proof = Proof {
        header: hex0x(wire(index.header())),
        layout: hex0x(wire(index.layout())),
        row: hex0x(wire(&index.open_row(args.row)?)),
        query: query.map(|sketch| hex0x(wire(&sketch))),
    };
    let shown = check(&proof, Some(index.header().hash()))?;
    let text = serde_json::to_string_pretty(&proof).map_err(|error| Error::part("JSON", error))?;
    std::fs::write(&args.out, text + "\n").map_err(|error| Error::file("write", &args.out, error))?;
    show(&shown, args.json)
}

pub(super) fn check_proof(args: &Check) -> Result<()> {
    let text =
        std::fs::read_to_string(&args.proof).map_err(|error| Error::file("read", &args.proof, error))?;
    let proof: Proof =
        serde_json::from_str(&text).map_err(|error| Error::file("read", &args.proof, error))?;
    let index = args.index.as_deref().map(parse_hash).transpose()?;
    show(&check(&proof, index)?, args.json)
}

/// The sketch of a query. The index's modules are those of the factors, or there is no sketch.
fn query(index: &Index, path: &Path, example: usize) -> Result<Sketch> {
    let factors = FactorsFile::open(path)?;
    let header = index.header();
    let sketcher = Sketcher::new(factors.modules().to_vec(), header.rules.projection, &header.seed)?;
    if sketcher.layout() != index.layout() {
        return Err(Error::Request(format!(
            "{} has other modules than the index: take both from one model",
            path.display()
        )));
    }
    if example >= factors.examples() {
        return Err(Error::Request(format!(
            "--example is {example}, {} has {}",
            path.display(),
            factors.examples()
        )));
    }
    Ok(index.query(&factors.gradient(&sketcher, example)?)?.sketch)
}

fn part<T: Field>(name: &str, text: &str) -> Result<T> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let bytes =
        hex::decode(digits).map_err(|error| Error::Request(format!("the proof's {name}: {error}")))?;
    unwire(&bytes)
}

/// Checks a proof and computes what it shows.
fn check(proof: &Proof, index: Option<Hash>) -> Result<Shown> {
    let header: IndexHeader = part("header", &proof.header)?;
    let layout: Layout = part("layout", &proof.layout)?;
    let row: Opening<IndexLeaf> = part("row", &proof.row)?;
    if index.is_some_and(|index| index != header.hash()) {
        return Err(Error::Request(format!(
            "the proof is of index {}, not of the one asked for: get a proof of that one",
            hex0x(header.hash())
        )));
    }
    let rule = header
        .rule(&layout)
        .ok_or_else(|| Error::Request("the proof's layout is not the header's: it proves nothing".into()))?;
    row.verify(&header.rows).ok_or_else(|| {
        Error::Request(format!(
            "row {} does not lead to the index's root: the proof is wrong",
            row.index
        ))
    })?;
    let query: Option<Sketch> = proof
        .query
        .as_deref()
        .map(|text| part("query", text))
        .transpose()?;
    let score = query
        .map(|query| {
            rule.evaluate(query.view(), row.leaf.sketch.view())
                .ok_or_else(|| {
                    Error::Request(
                        "the query or the row can come from no gradient: they have no score".into(),
                    )
                })
        })
        .transpose()?;
    Ok(Shown {
        index: hex0x(header.hash()),
        row: row.index,
        contribution: row.leaf.record.contribution,
        record: row.leaf.record.index,
        unit: row.leaf.unit,
        contributor: hex0x(row.leaf.contributor),
        score: score.as_ref().map(|score| score.value.to_string()),
        eligible: score.map(|score| score.eligible),
    })
}

fn show(shown: &Shown, json: bool) -> Result<()> {
    if json {
        let text = serde_json::to_string(shown).map_err(|error| Error::part("JSON", error))?;
        println!("{text}");
        return Ok(());
    }
    println!("right: row {} of index {}", shown.row, shown.index);
    println!(
        "record {} of contribution {}, unit {}, by {}",
        shown.record, shown.contribution, shown.unit, shown.contributor
    );
    if let (Some(score), Some(eligible)) = (&shown.score, shown.eligible) {
        println!(
            "score {score}, {}",
            if eligible { "eligible" } else { "not eligible" }
        );
    }
    Ok(())
}

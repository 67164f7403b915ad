//! `index`: writing an index from a factors file, and checking one.

use super::rules::{threads, Rules};
use crate::{bar::Bar, formats::hex0x, Error, Result};
use clap::{Args, Subcommand};
use openledger_attribution::{
    hash::{keccak, Account, NONE},
    record::{RecordId, VersionLeaf},
    verbatim::Verbatim,
    wire::Object,
};
use openledger_chain::parse_account;
use openledger_influence::{FactorsFile, Index, IndexBuilder, IndexPlan, Sketcher, Source, SourceRecord};
use std::path::{Path, PathBuf};

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Writes an index whose rows are the examples of a factors file. Killed, it goes on where it was.
    Build(Build),
    /// Recomputes everything integers can tell of an index, and shows what it commits to.
    Verify(Verify),
}

#[derive(Args)]
pub(super) struct Build {
    /// Factors of the examples (docs/worker.md says how they are laid out).
    #[arg(long)]
    train: PathBuf,
    /// Folder for the index.
    #[arg(long)]
    out: PathBuf,
    /// File with the contributor of each example, one account a line [default: nobody's].
    #[arg(long)]
    contributors: Option<PathBuf>,
    /// Most rows of an answer's list.
    #[arg(long, default_value_t = 64)]
    top: u16,
    #[command(flatten)]
    rules: Rules,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Verify {
    /// Folder of the index.
    index: PathBuf,
    /// Threads to use [default: all cores].
    #[arg(long)]
    threads: Option<usize>,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(verb: &Verb) -> Result<()> {
    match verb {
        Verb::Build(build) => self::build(build),
        Verb::Verify(verify) => {
            let index = Index::open(&verify.index)?;
            index.verify(threads(verify.threads))?;
            show(&index, verify.json);
            Ok(())
        }
    }
}

fn build(build: &Build) -> Result<()> {
    let factors = FactorsFile::open(&build.train)?;
    let rules = build.rules.rules(build.top, &factors)?;
    let seed = build.rules.seed()?;
    let sketcher = Sketcher::new(factors.modules().to_vec(), rules.projection, &seed)?;
    let owners = match &build.contributors {
        Some(path) => contributors(path, factors.examples())?,
        None => vec![NONE; factors.examples()],
    };
    let plan = IndexPlan {
        builder: NONE,
        model: 0,
        generation: 0,
        base: NONE,
        adapter: NONE,
        tokenizer: NONE,
        seed,
        rules,
        sources: vec![Source {
            datanet: 0,
            version: 0,
            records: (0u32..)
                .zip(&owners)
                .map(|(at, owner)| example(at, *owner))
                .collect(),
        }],
        verbatim: Verbatim::NONE,
        retrieval: NONE,
    };
    let mut builder = IndexBuilder::open(&build.out, &plan, &sketcher)?;
    let rows = builder.rows();
    let bar = Bar::default();
    while let Some(unit) = builder.next_unit() {
        let example = usize::try_from(unit.row).map_err(|error| Error::part("rows", error))?;
        builder.push(&factors.gradient(&sketcher, example)?)?;
        bar.draw("gradients", unit.row + 1, rows, "");
    }
    let index = builder.finish(build.rules.threads())?;
    show(&index, build.json);
    Ok(())
}

/// An example as a record of its own, one unit long whatever its tokens.
fn example(at: u32, contributor: Account) -> SourceRecord {
    let record = RecordId {
        contribution: 0,
        index: at,
    };
    SourceRecord {
        leaf: VersionLeaf {
            record,
            contributor,
            content: keccak(&[b"example", &at.to_be_bytes()]),
            representative: record,
        },
        tokens: 1,
    }
}

fn contributors(path: &Path, examples: usize) -> Result<Vec<Account>> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::file("read", path, error))?;
    let accounts = text
        .lines()
        .map(|line| Ok(parse_account(line.trim())?))
        .collect::<Result<Vec<Account>>>()?;
    if accounts.len() != examples {
        return Err(Error::Request(format!(
            "{} names {} contributors, the factors have {examples} examples: give one line for each",
            path.display(),
            accounts.len()
        )));
    }
    Ok(accounts)
}

fn show(index: &Index, json: bool) {
    let header = index.header();
    if json {
        println!(
            "{}",
            serde_json::json!({
                "index": hex0x(header.hash()),
                "rows": header.rows.count,
                "rows_root": hex0x(header.rows.top),
                "modules": index.names(),
                "lanes": index.rule().lanes(),
                "projection": header.rules.projection,
                "top": header.rules.top,
                "rho": header.rules.rho,
                "z": header.rules.z,
                "floor": header.rules.floor,
                "seed": hex0x(header.seed),
            })
        );
        return;
    }
    println!("index    {}", hex0x(header.hash()));
    println!("rows     {} of {} lanes", header.rows.count, index.rule().lanes());
    println!("root     {}", hex0x(header.rows.top));
    println!("modules  {}", index.names().join(" "));
}

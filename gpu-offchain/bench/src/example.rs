//! An answer with everything that shaped it, as a page and two pictures: the shipped base tuned on the shipped corpora, one held-out
//! question, which rows helped which of its letters, and which of its words are whose. `make example` writes docs/example.

#[allow(dead_code, reason = "every program uses what it needs of it")]
mod lab;
mod pictures;

use anyhow::{Context, Result};
use clap::Parser;
use lab::{Lab, Row, Settings};
use openledger_attribution::{fee::Mix, hash::Account, record::RecordId, verbatim::Span};
use openledger_cli::{
    args::{parse_mix, DEFAULT_MIX},
    datanets::read_records,
    proof::itemise,
};
use openledger_content::{version_leaves, Contribution, Record};
use openledger_worker::{dataset, models::Base};
use pictures::{Helped, Quoted};
use std::{
    collections::BTreeSet,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

/// Writes the worked example.
#[derive(Parser)]
#[command(name = "openledger-example")]
struct Args {
    /// Folder of the base model
    #[arg(long)]
    base: PathBuf,
    /// Folder with a .jsonl file a contributor
    #[arg(long)]
    corpora: PathBuf,
    /// Folder to write to
    #[arg(long)]
    out: PathBuf,
    /// What to ask
    #[arg(long, default_value = "What is the warmth in the middle of the brood nest?")]
    ask: String,
    /// Seed of the training
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Weights of influence, verbatim and retrieval in percent
    #[arg(long, default_value = DEFAULT_MIX, value_parser = parse_mix)]
    mix: Mix,
}

/// Rows shown in the heat map.
const SHOWN: usize = 10;
/// Planck that are divided: one OPEN.
const PART: u128 = 1_000_000_000_000_000_000;

fn main() -> Result<()> {
    let args = Args::parse();
    let base = Base::load(&args.base, &Default::default())?;
    let mut files: Vec<PathBuf> = fs::read_dir(&args.corpora)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
        .filter(|path| path.file_stem().is_some_and(|name| name != "heldout"))
        .collect();
    files.sort();
    let names: Vec<String> = files
        .iter()
        .map(|path| {
            path.file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    let records: Vec<Vec<Record>> = files
        .iter()
        .map(|file| read_records(file))
        .collect::<Result<_, _>>()?;
    let contributions: Vec<Contribution<'_>> = (0u64..)
        .zip(&records)
        .map(|(id, records)| Contribution {
            id,
            contributor: [id as u8; 32],
            reserved: id,
            records,
        })
        .collect();
    let text = |record: &RecordId| records[record.contribution as usize][record.index as usize].text();
    let mut rows = Vec::new();
    for leaf in version_leaves(&contributions)?
        .into_iter()
        .filter(|leaf| leaf.is_representative())
    {
        rows.push(Row {
            record: leaf.record,
            contributor: leaf.contributor,
            content: leaf.content,
            example: dataset::example(&base.tokenizer, text(&leaf.record))?,
        });
    }
    let lab = Lab::new(
        &base,
        &rows,
        &Settings {
            quiet: false,
            ..Settings::new(args.seed)
        },
    )?;
    eprintln!();
    let answered = lab.ask(&args.ask)?;
    let amounts = answered
        .attribution
        .amounts(&args.mix, PART)
        .context("a misshapen attribution")?;
    let items = itemise(&answered.attribution, &args.mix, &amounts).context("a misshapen attribution")?;
    let letters: Vec<String> = answered
        .output
        .iter()
        .map(|token| base.tokenizer.decode(&[*token]))
        .collect::<Result<_, _>>()?;
    let name = |contributor: &Account, record: &RecordId| {
        format!("{}, record {}", names[usize::from(contributor[0])], record.index)
    };
    let shares = answered.attribution.list_shares().unwrap_or_default();
    let shown = &answered.attribution.list[..answered.attribution.list.len().min(SHOWN)];
    let scores = lab.letter_scores(&answered, shown.iter().map(|entry| entry.row))?;
    let mut helped = Vec::new();
    for ((entry, scores), share) in shown.iter().zip(scores).zip(&shares) {
        let row = &rows[lab.index.unit(entry.row)?.entry as usize];
        let (question, _) = openledger_content::split(text(&row.record));
        helped.push(Helped {
            contributor: names[usize::from(row.contributor[0])].clone(),
            number: row.record.index.into(),
            question: question.into(),
            share: f64::from(*share) / 1e7,
            scores,
        });
    }
    let quoted = |span: &Span| {
        let whose: BTreeSet<usize> = span
            .records
            .iter()
            .map(|record| usize::from(record.contributor[0]))
            .collect();
        Quoted {
            start: span.start as usize,
            end: span.end as usize,
            bits: bits(span),
            records: span.records.len(),
            whose: whose.into_iter().collect(),
        }
    };
    let quotes: Vec<Quoted> = answered.attribution.spans.iter().map(quoted).collect();
    fs::create_dir_all(&args.out)?;
    write(
        &args.out.join("influence.svg"),
        &pictures::heat(&args.ask, &letters, &helped),
    )?;
    write(
        &args.out.join("words.svg"),
        &pictures::quotes(&args.ask, &letters, &quotes, &names),
    )?;
    let mut page = format!(
        "# Who an answer is from\n\nWritten by `make example`: the shipped base, tuned on the shipped corpora (seed {}), asked something in words that no \
         record has. No chain is needed for it; with one, the same code signs the receipt.\n\n> **{}**\n>\n> {}\n\n",
        args.seed, args.ask, answered.text
    );
    writeln!(
        page,
        "## What the model learned it from\n\n![Influence of records on letters](influence.svg)\n\nOf {} rows {} pass the eligibility bound and are listed \
         by their exact score. A cell is the score of that letter's gradient alone with the row: blue helps, red hinders.\n",
        lab.index.rows(),
        answered.attribution.list.len()
    )?;
    writeln!(
        page,
        "| row | record | share of the list | of 1 OPEN |\n| --- | --- | --- | --- |"
    )?;
    for ((entry, share), amount) in answered.attribution.list.iter().zip(shares).zip(&items.rows) {
        let row = &rows[lab.index.unit(entry.row)?.entry as usize];
        let shown = name(&row.contributor, &row.record);
        writeln!(
            page,
            "| {} | {shown} | {:.3} % | {} |",
            entry.row,
            f64::from(share) / 1e7,
            openledger_chain::open(*amount)
        )?;
    }
    writeln!(
        page,
        "\n## Whose words it uses\n\n![Quoted words](words.svg)\n\nOf {} tokens of the corpus; each span's information is divided equally among the records \
         that have it.\n",
        lab.words.tokens()
    )?;
    writeln!(
        page,
        "| words | bits | record | of 1 OPEN |\n| --- | --- | --- | --- |"
    )?;
    for (span, amounts) in answered.attribution.spans.iter().zip(&items.spans) {
        for (n, (record, amount)) in span.records.iter().zip(amounts).enumerate() {
            let (words, bits) = match n {
                0 => {
                    let words = letters[span.start as usize..span.end as usize].concat();
                    (format!("“{}”", words.trim()), format!("{:.1}", bits(span)))
                }
                _ => Default::default(),
            };
            let shown = name(&record.contributor, &record.record);
            writeln!(
                page,
                "| {words} | {bits} | {shown} | {} |",
                openledger_chain::open(*amount)
            )?;
        }
    }
    writeln!(
        page,
        "\n## Who gets what\n\nThe channels mixed: {} % influence, {} % verbatim. Amounts are of 1 OPEN and add up to it exactly.\n\n| contributor | amount |\n| --- | --- |",
        args.mix.influence / 10_000_000,
        args.mix.verbatim / 10_000_000
    )?;
    for (who, amount) in &amounts {
        writeln!(
            page,
            "| {} | {} |",
            names[usize::from(who[0])],
            openledger_chain::open(*amount)
        )?;
    }
    write(&args.out.join("README.md"), &page)?;
    println!("{page}");
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// A span's information, in bits.
fn bits(span: &Span) -> f64 {
    span.information as f64 / 65_536.0
}

//! An answer with everything that shaped it, as a page and two pictures: the shipped base tuned on the shipped corpora, one held-out
//! question, which rows helped which of its letters, and which of its words are whose. `make example` writes docs/example.

#[allow(dead_code, reason = "every program uses what it needs of it")]
mod lab;

use anyhow::{Context, Result};
use clap::Parser;
use lab::{Answered, Lab, Row, Settings};
use openledger_attribution::{fee::Mix, hash::Account, record::RecordId};
use openledger_cli::{
    args::{parse_mix, DEFAULT_MIX},
    datanets::read_records,
    proof::itemise,
};
use openledger_content::{version_leaves, Contribution, Record};
use openledger_worker::{dataset, models::Base};
use std::{
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
/// A letter's cell, in pixels.
const CELL: usize = 10;
/// Height of a line, in pixels.
const LINE: usize = 22;
/// Room for a row's name, in pixels.
const NAME: usize = 330;
const COLOURS: [&str; 6] = ["#3e63dd", "#e5484d", "#30a46c", "#f5a524", "#8e4ec6", "#00a2c7"];

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
    let scene = Scene {
        names: &names,
        letters,
        answered: &answered,
        rows: &rows,
        lab: &lab,
        text: &text,
    };
    fs::create_dir_all(&args.out)?;
    write(&args.out.join("influence.svg"), &scene.heat()?)?;
    write(&args.out.join("words.svg"), &scene.quotes())?;
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
    let shares = answered.attribution.list_shares().unwrap_or_default();
    for ((entry, share), amount) in answered.attribution.list.iter().zip(shares).zip(&items.rows) {
        let row = &rows[lab.index.unit(entry.row)?.entry as usize];
        let shown = scene.name(&row.contributor, &row.record);
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
                0 => (
                    format!("“{}”", scene.words(span).trim()),
                    format!("{:.1}", span.information as f64 / 65_536.0),
                ),
                _ => Default::default(),
            };
            let shown = scene.name(&record.contributor, &record.record);
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

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

struct Scene<'a> {
    names: &'a [String],
    /// The answer, token by token.
    letters: Vec<String>,
    answered: &'a Answered,
    rows: &'a [Row],
    lab: &'a Lab<'a>,
    text: &'a dyn Fn(&RecordId) -> &'a str,
}

impl Scene<'_> {
    fn name(&self, contributor: &Account, record: &RecordId) -> String {
        format!(
            "{}, record {}",
            self.names[usize::from(contributor[0])],
            record.index
        )
    }

    fn words(&self, span: &openledger_attribution::verbatim::Span) -> String {
        self.letters[span.start as usize..span.end as usize].concat()
    }

    fn letters_at(&self, svg: &mut String, y: usize) {
        for (n, letter) in self.letters.iter().enumerate() {
            let x = NAME + n * CELL + CELL / 2;
            let _ = writeln!(
                svg,
                r#"<text x="{x}" y="{y}" text-anchor="middle">{}</text>"#,
                escaped(letter)
            );
        }
    }

    fn frame(&self, height: usize, title: &str) -> String {
        let width = NAME + self.letters.len() * CELL + 20;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" \
             aria-label=\"{title}\" font-family=\"monospace\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
        )
    }

    /// Scores of each letter's gradient with the best rows.
    fn heat(&self) -> Result<String> {
        let listed = &self.answered.attribution.list;
        let shown = &listed[..listed.len().min(SHOWN)];
        let mut svg = self.frame((shown.len() + 2) * LINE + 10, "Influence of records on letters");
        self.letters_at(&mut svg, LINE);
        let cells = self
            .lab
            .letter_scores(self.answered, shown.iter().map(|entry| entry.row))?;
        let most = cells
            .iter()
            .flatten()
            .map(|score| score.abs())
            .fold(1e-300, f64::max);
        for (n, (entry, scores)) in shown.iter().zip(&cells).enumerate() {
            let row = &self.rows[self.lab.index.unit(entry.row)?.entry as usize];
            let (question, _) = openledger_content::split((self.text)(&row.record));
            let y = (n + 1) * LINE + 10;
            let name: String = format!("{}: {question}", self.name(&row.contributor, &row.record))
                .chars()
                .take(40)
                .collect();
            let _ = writeln!(
                svg,
                r##"<text x="4" y="{}" fill="#60646c">{}</text>"##,
                y + 15,
                escaped(&name)
            );
            for (at, score) in scores.iter().enumerate() {
                // The root makes small ones visible.
                let strength = (score.abs() / most).sqrt();
                let colour = if *score > 0.0 { "#3e63dd" } else { "#e5484d" };
                let x = NAME + at * CELL;
                let _ = writeln!(
                    svg,
                    r#"<rect x="{x}" y="{y}" width="{CELL}" height="{}" fill="{colour}" fill-opacity="{strength:.3}"/>"#,
                    LINE - 2
                );
            }
        }
        svg.push_str("</svg>\n");
        Ok(svg)
    }

    /// The answer with its spans below, each in the colour of whose words they are.
    fn quotes(&self) -> String {
        let spans = &self.answered.attribution.spans;
        let mut svg = self.frame((spans.len() + 1) * LINE + 20, "Quoted words");
        self.letters_at(&mut svg, LINE);
        for (n, span) in spans.iter().enumerate() {
            let y = (n + 1) * LINE + 10;
            let mut whose: Vec<usize> = span
                .records
                .iter()
                .map(|record| usize::from(record.contributor[0]))
                .collect();
            whose.sort_unstable();
            whose.dedup();
            let names: Vec<&str> = whose
                .iter()
                .filter_map(|n| self.names.get(*n))
                .map(String::as_str)
                .collect();
            let label: String = format!("{}: {} records", names.join(", "), span.records.len())
                .chars()
                .take(40)
                .collect();
            let _ = writeln!(
                svg,
                r##"<text x="4" y="{}" fill="#60646c">{}</text>"##,
                y + 15,
                escaped(&label)
            );
            // Shared words are striped by contributor.
            let width = (span.end - span.start) as usize * CELL;
            let part = width / whose.len().max(1);
            for (m, who) in whose.iter().enumerate() {
                let x = NAME + span.start as usize * CELL + m * part;
                let _ = writeln!(
                    svg,
                    r#"<rect x="{x}" y="{y}" width="{part}" height="{}" rx="2" fill="{}" fill-opacity="0.45"/>"#,
                    LINE - 6,
                    COLOURS[who % COLOURS.len()]
                );
            }
        }
        svg.push_str("</svg>\n");
        svg
    }
}

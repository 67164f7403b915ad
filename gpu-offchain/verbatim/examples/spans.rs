//! Which pieces of a file stand in others.
//!
//! `cargo run --release -p openledger-verbatim --example spans -- --corpus PATH --query FILE [--json]
//! [--canonical] [--keep FOLDER]`

use openledger_verbatim::{spans_in, Bytes, Options};
use std::{error::Error, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let (mut corpus, mut query, mut json) = (None, None, false);
    let mut options = Options::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut path = || {
            arguments
                .next()
                .map(PathBuf::from)
                .ok_or(format!("{argument} needs a path"))
        };
        match argument.as_str() {
            "--corpus" => corpus = Some(path()?),
            "--query" => query = Some(path()?),
            "--keep" => options.keep = Some(path()?),
            "--json" => json = true,
            "--canonical" => options.canonical = true,
            other => return Err(format!("{other} is no option: use --corpus PATH --query FILE").into()),
        }
    }
    let corpus = corpus.ok_or("say which texts to search: --corpus PATH")?;
    let query = query.ok_or("say whose pieces to search for: --query FILE")?;
    let report = spans_in(&corpus, &query, &Bytes, &options)?;
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
        return Ok(());
    }
    println!(
        "{} records, {} tokens; {} spans of {} tokens",
        report.records,
        report.tokens,
        report.spans.len(),
        report.query_tokens
    );
    for span in &report.spans {
        let bits = span.information / 65_536;
        println!(
            "{}..{}  {} times, {bits} bits  {:?}",
            span.start, span.end, span.count, span.text
        );
        for record in &span.records {
            println!(
                "    {} record {} at {}",
                record.file.display(),
                record.record,
                record.position
            );
        }
    }
    Ok(())
}

//! `attribute spans`: whose words a text uses, in files.

use super::rules::threads;
use crate::{Error, Result};
use clap::Args;
use openledger_verbatim::{spans_in, Bytes, Options, Report};
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct Spans {
    /// Texts to search, a file or a folder. Markdown, JSON lines and tables are cut into records as contributions are; of any
    /// other file the record is the file.
    #[arg(long)]
    corpus: PathBuf,
    /// The text whose pieces are searched for.
    #[arg(long)]
    query: PathBuf,
    /// Brings all texts into canonical form first; positions are then those of that form.
    #[arg(long)]
    canonical: bool,
    /// Folder to keep the index in; used again while the corpus is the same.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Threads to build the index with [default: all cores].
    #[arg(long)]
    threads: Option<usize>,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Spans) -> Result<()> {
    let options = Options {
        canonical: args.canonical,
        keep: args.keep.clone(),
        threads: threads(args.threads),
        ..Options::default()
    };
    let report = spans_in(&args.corpus, &args.query, &Bytes, &options)?;
    if args.json {
        let text = serde_json::to_string(&report).map_err(|error| Error::part("JSON", error))?;
        println!("{text}");
    } else {
        show(&report);
    }
    Ok(())
}

fn show(report: &Report) {
    println!(
        "{} records of {} bytes; {} spans in {} bytes",
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
}

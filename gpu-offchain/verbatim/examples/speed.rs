//! Builds an index of given bytes and answers given queries, timing each step: our half of
//! `make bench-verbatim`.
//!
//! `speed TOKENS QUERIES FOLDER SHARDS`: TOKENS holds documents, each behind a byte 255; QUERIES is JSON,
//! `{"counts": [[byte, …], …], "spans": [[byte, …], …]}`; FOLDER is where the index goes. Prints JSON.

use openledger_attribution::{
    record::{CorpusLeaf, RecordId},
    verbatim::STARTS_WORD,
};
use openledger_verbatim::{available_threads, byte_flags, Builder, Plan};
use serde::{Deserialize, Serialize};
use std::{error::Error, fs, path::Path, time::Instant};

#[derive(Deserialize)]
struct Queries {
    counts: Vec<Vec<u32>>,
    spans: Vec<Vec<u32>>,
}

#[derive(Serialize)]
struct Results {
    tokens: u64,
    records: u64,
    /// Seconds: reading and storing records, sorting, committing.
    read: f64,
    sort: f64,
    commit: f64,
    /// Microseconds per query, median of the rounds.
    count: f64,
    pieces: f64,
    spans: f64,
    counts: Vec<u64>,
    /// Of each query its maximal pieces: start, end, count.
    found: Vec<Vec<(u32, u32, u64)>>,
}

fn since(start: Instant) -> f64 {
    start.elapsed().as_secs_f64()
}

/// Microseconds per item, median of five rounds, and what the last round gave.
fn timed<T, R>(items: &[T], mut f: impl FnMut(&T) -> R) -> (f64, Vec<R>) {
    let mut times = Vec::new();
    let mut results = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        results = items.iter().map(&mut f).collect();
        times.push(since(start) * 1e6 / items.len().max(1) as f64);
    }
    times.sort_by(f64::total_cmp);
    (times[2], results)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [tokens, queries, folder, shards] = arguments.as_slice() else {
        return Err("use: speed TOKENS QUERIES FOLDER SHARDS".into());
    };
    let bytes = fs::read(tokens)?;
    let queries: Queries = serde_json::from_slice(&fs::read(queries)?)?;
    let shards: u64 = shards.parse()?;
    let threads = available_threads();

    let start = Instant::now();
    // Without sentence ends: behind one the peer backs off to a word boundary, and a span does not.
    let flags = byte_flags().iter().map(|flags| flags & STARTS_WORD).collect();
    let mut plan = Plan::new(flags, [0; 32]);
    plan.shard_tokens = (bytes.len() as u64).div_ceil(shards).max(1);
    let mut builder = Builder::open(Path::new(folder), &plan)?;
    let documents = bytes.split(|byte| *byte == 255).skip(1);
    for (entry, document) in (0u64..).zip(documents) {
        let tokens: Vec<u32> = document.iter().copied().map(u32::from).collect();
        let leaf = CorpusLeaf {
            source: 0,
            record: RecordId {
                contribution: entry,
                index: 0,
            },
            contributor: [0; 32],
            content: [0; 32],
            tokens: u32::try_from(tokens.len())?,
        };
        builder.push(&leaf, &tokens)?;
    }
    let read = since(start);
    let start = Instant::now();
    builder.sort(threads)?;
    let sort = since(start);
    let start = Instant::now();
    let index = builder.finish(threads)?;
    let commit = since(start);

    let count_of = |words: &[u32]| index.count(words).unwrap_or(u64::MAX);
    let (count, counts) = timed(&queries.counts, |query| count_of(query));
    // As the peer does: maximal pieces with their counts.
    let (pieces, found) = timed(&queries.spans, |query| {
        let pieces = index.pieces(query).into_iter();
        let counted = pieces.map(|piece| {
            let words = &query[piece.start as usize..piece.end as usize];
            (piece.start, piece.end, count_of(words))
        });
        counted.collect::<Vec<_>>()
    });
    // What a receipt takes: the kept ones with information and records.
    let (spans, _) = timed(&queries.spans, |query| {
        index.spans(query).map(|spans| spans.len())
    });
    let results = Results {
        tokens: index.tokens(),
        records: index.corpus().count,
        read,
        sort,
        commit,
        count,
        pieces,
        spans,
        counts,
        found,
    };
    println!("{}", serde_json::to_string(&results)?);
    Ok(())
}

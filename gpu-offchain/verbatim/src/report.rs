//! Spans for files: which pieces of one file stand in others.

use crate::{build::Plan, byte_flags, Builder, Error, Index, Result};
use openledger_attribution::{
    hash::{keccak, Hash},
    record::{CorpusLeaf, RecordId},
    verbatim::MAX_SPAN_RECORDS,
};
use openledger_content::{canonical, read_file, Format};
use serde::Serialize;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// How texts become token ids.
pub trait Encode {
    /// Flags of every id, see [`token_flags`](crate::token_flags).
    fn flags(&self) -> Vec<u8>;

    /// The ids of a text, and of each the bytes of the text behind which it ends.
    ///
    /// Errors: a text that the tokenizer cannot read.
    fn encode(&self, text: &[u8]) -> std::result::Result<(Vec<u32>, Vec<usize>), String>;
}

/// One id per byte.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bytes;

impl Encode for Bytes {
    fn flags(&self) -> Vec<u8> {
        byte_flags()
    }

    fn encode(&self, text: &[u8]) -> std::result::Result<(Vec<u32>, Vec<usize>), String> {
        Ok((
            text.iter().copied().map(u32::from).collect(),
            (1..=text.len()).collect(),
        ))
    }
}

/// How files are read.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bring texts, the query too, into canonical form first. Otherwise positions are those of the file given.
    pub canonical: bool,
    /// Keep the index in this folder and use it again while the corpus is the same; else it is made for one
    /// query and removed.
    pub keep: Option<PathBuf>,
    /// Threads to build with.
    pub threads: usize,
    /// See [`Plan::shard_tokens`].
    pub shard_tokens: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            canonical: false,
            keep: None,
            threads: crate::available_threads(),
            shard_tokens: 1 << 28,
        }
    }
}

/// The kept spans of a query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Records of the corpus.
    pub records: u64,
    /// Tokens of the corpus, a separator per record included.
    pub tokens: u64,
    /// Tokens of the query.
    pub query_tokens: u64,
    /// The spans, in the order of the query.
    pub spans: Vec<FoundSpan>,
}

/// A span of a query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoundSpan {
    /// First token that belongs to it; of a text of bytes, the first byte.
    pub start: u64,
    /// First token behind it.
    pub end: u64,
    /// Its text; bytes that are none are replaced.
    pub text: String,
    /// Its information content, in 65,536ths of a bit.
    pub information: u64,
    /// How often it stands in the corpus.
    pub count: u64,
    /// The first ten records that contain it.
    pub records: Vec<FileRecord>,
}

/// A record of a corpus of files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileRecord {
    /// Position of the record in the corpus.
    pub entry: u64,
    /// Its file, as found under the path given.
    pub file: PathBuf,
    /// Which record of the file.
    pub record: u32,
    /// First token of the span in the record.
    pub position: u64,
}

/// Every kept span of `query` in the records of `corpus`, a file or a folder.
///
/// Markdown, JSON lines and tables are cut into records as contributions are; of any other file the record
/// is the file. Files of a folder are taken sorted by path, hidden ones and links left out; empty records are
/// left out.
///
/// Errors: files that cannot be read, records over 2^31 tokens, disk.
pub fn spans_in(corpus: &Path, query: &Path, encoder: &dyn Encode, options: &Options) -> Result<Report> {
    let files = files(corpus)?;
    let (mut identity, mut names) = (Vec::new(), Vec::new());
    // Read twice, so that only one file is in memory: once to know what it is, once to index it.
    for file in &files {
        for (at, text) in (0u32..).zip(texts(file, options)?) {
            identity.extend_from_slice(&keccak(&[&text]));
            names.push((file, at));
        }
    }
    let flags = encoder.flags();
    let place;
    let dir = match &options.keep {
        Some(dir) => dir.as_path(),
        None => {
            place = tempfile::tempdir().map_err(Error::io(&std::env::temp_dir()))?;
            place.path()
        }
    };
    let plan = Plan {
        flags,
        shard_tokens: options.shard_tokens,
        identity: keccak(&[&identity]),
    };
    let mut builder = Builder::open(dir, &plan)?;
    if !builder.is_read() {
        let mut entry = 0;
        for file in &files {
            for text in texts(file, options)? {
                let (tokens, _) = encoded(encoder, file, &text)?;
                let leaf = leaf(entry, keccak(&[&text]), tokens.len())?;
                builder.push(&leaf, &tokens)?;
                entry += 1;
            }
        }
    }
    let index = builder.finish(options.threads)?;
    let mut text = fs::read(query).map_err(Error::io(query))?;
    if options.canonical {
        text = canonical(&String::from_utf8_lossy(&text)).into_bytes();
    }
    let (tokens, ends) = encoded(encoder, query, &text)?;
    report(
        &index,
        &tokens,
        &|from, to| {
            let start = from
                .checked_sub(1)
                .and_then(|at| ends.get(at))
                .copied()
                .unwrap_or(0);
            let end = to
                .checked_sub(1)
                .and_then(|at| ends.get(at))
                .copied()
                .unwrap_or(0);
            let piece = text.get(start..end).unwrap_or_default();
            String::from_utf8_lossy(piece).into_owned()
        },
        &names,
    )
}

fn report(
    index: &Index,
    tokens: &[u32],
    text: &dyn Fn(usize, usize) -> String,
    names: &[(&PathBuf, u32)],
) -> Result<Report> {
    let mut spans = Vec::new();
    for span in index.spans(tokens)? {
        let (start, end) = (span.start as usize, span.end as usize);
        let mut records = Vec::with_capacity(MAX_SPAN_RECORDS);
        for record in &span.records {
            let (_, first) = index.record(record.entry)?;
            let name = names.get(record.entry as usize);
            let (file, at) = name.ok_or_else(|| Error::Wrong("it has more records than its files".into()))?;
            records.push(FileRecord {
                entry: record.entry,
                file: (*file).clone(),
                record: *at,
                position: record.position - first,
            });
        }
        spans.push(FoundSpan {
            start: u64::from(span.start),
            end: u64::from(span.end),
            text: text(start, end),
            information: span.information,
            count: index.count(tokens.get(start..end).unwrap_or_default())?,
            records,
        });
    }
    Ok(Report {
        records: index.corpus().count,
        tokens: index.tokens(),
        query_tokens: tokens.len() as u64,
        spans,
    })
}

fn encoded(encoder: &dyn Encode, file: &Path, text: &[u8]) -> Result<(Vec<u32>, Vec<usize>)> {
    encoder
        .encode(text)
        .map_err(|what| Error::Evidence(format!("{}: {what}", file.display())))
}

fn leaf(entry: u64, content: Hash, tokens: usize) -> Result<CorpusLeaf> {
    Ok(CorpusLeaf {
        source: 0,
        record: RecordId {
            contribution: entry,
            index: 0,
        },
        contributor: [0; 32],
        content,
        tokens: u32::try_from(tokens).map_err(|_| Error::Record {
            entry,
            what: format!("{tokens} tokens are too many: cut the file"),
        })?,
    })
}

/// The texts of a file's records.
fn texts(file: &Path, options: &Options) -> Result<Vec<Vec<u8>>> {
    let mut texts: Vec<Vec<u8>> = match Format::of(file) {
        Ok(Format::Text) | Err(_) => {
            let text = fs::read(file).map_err(Error::io(file))?;
            vec![if options.canonical {
                canonical(&String::from_utf8_lossy(&text)).into_bytes()
            } else {
                text
            }]
        }
        Ok(_) => read_file(file)?
            .iter()
            .map(|record| record.text().as_bytes().to_vec())
            .collect(),
    };
    texts.retain(|text| !text.is_empty());
    Ok(texts)
}

/// The file, or those of the folder.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let (mut found, mut folders) = (Vec::new(), vec![path.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(Error::io(&folder))? {
            let entry = entry.map_err(Error::io(&folder))?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = entry.path();
            let kind = entry.file_type().map_err(Error::io(&path))?;
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

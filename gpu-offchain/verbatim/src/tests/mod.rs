//! What the index promises: the same as a plain quadratic search, the same bytes whatever the threads, and
//! evidence that the chain's verdicts accept.

#[path = "../../../../primitives/attribution/tests/common/mod.rs"]
mod common;
mod lies;
mod naive;
mod resume;
mod worlds;

use crate::{Builder, Index, Plan};
use openledger_attribution::record::{CorpusLeaf, RecordId};
use std::{collections::BTreeMap, fs, path::Path};

/// A new folder, in memory where the system has such: making thousands of small files durable takes minutes.
fn place() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// A corpus leaf for tokens that nobody contributed.
fn leaf(entry: u64, tokens: &[u32]) -> CorpusLeaf {
    CorpusLeaf {
        source: 0,
        record: RecordId {
            contribution: 1 + entry / 3,
            index: (entry % 3) as u32,
        },
        contributor: [(entry % 5) as u8; 32],
        content: [entry as u8; 32],
        tokens: tokens.len() as u32,
    }
}

fn push_all(builder: &mut Builder, records: &[Vec<u32>]) {
    for (entry, tokens) in (0u64..).zip(records) {
        builder.push(&leaf(entry, tokens), tokens).unwrap();
    }
}

fn build(dir: &Path, plan: &Plan, records: &[Vec<u32>], threads: usize) -> Index {
    let mut builder = Builder::open(dir, plan).unwrap();
    push_all(&mut builder, records);
    builder.finish(threads).unwrap()
}

/// All files of a folder.
fn bytes(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    files
        .map(|file| {
            (
                file.file_name().into_string().unwrap(),
                fs::read(file.path()).unwrap(),
            )
        })
        .collect()
}

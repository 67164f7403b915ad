//! `datanet publish` holds none of the shipped records: they say everything three times in other words, and none of it wrong.

use openledger_content::{read_file, version_leaves, Contribution, Record};
use openledger_influence::valuation::{review, Reviewed};
use std::path::PathBuf;

#[test]
fn shipped_records_are_published_without_asking() {
    let corpora = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../gpu-offchain/shipped/corpora");
    let names = ["ada-thorn", "ben-holloway", "clara-vogel"];
    let records: Vec<Vec<Record>> = names
        .iter()
        .map(|name| read_file(&corpora.join(format!("{name}.jsonl"))).unwrap())
        .collect();
    let parts: Vec<Contribution<'_>> = (0u64..)
        .zip(&records)
        .map(|(id, records)| Contribution {
            id,
            contributor: [id as u8; 32],
            reserved: id,
            records,
        })
        .collect();
    let leaves = version_leaves(&parts).unwrap();
    let representatives: Vec<_> = leaves.iter().filter(|leaf| leaf.is_representative()).collect();
    let reviewed: Vec<Reviewed<'_>> = representatives
        .iter()
        .map(|leaf| {
            let own = &records[leaf.record.contribution as usize];
            let (question, answer) = own[leaf.record.index as usize].question_and_answer();
            Reviewed {
                contributor: leaf.contributor,
                question,
                answer,
                self_influence: None,
            }
        })
        .collect();
    assert!(reviewed.len() > 100, "{} records are too few", reviewed.len());
    let held: Vec<_> = review(&reviewed)
        .into_iter()
        .map(|held| (reviewed[held.record].question, held.reason))
        .collect();
    assert_eq!(held, []);
}

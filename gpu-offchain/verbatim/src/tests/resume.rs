//! What is left of a build that was killed.

use super::{build, bytes, common::Rng, leaf, place, push_all};
use crate::{
    audit_index, codes::Codes, files::read_value, files::Kind, files::Mapped, head::ReadHead, Builder, Error,
    Plan,
};
use std::fs;

fn corpus() -> (Plan, Vec<Vec<u32>>) {
    let rng = &mut Rng(3);
    let records: Vec<Vec<u32>> = (0..12)
        .map(|_| (0..rng.below(90)).map(|_| rng.below(6) as u32).collect())
        .collect();
    let mut plan = Plan::new(vec![1, 0, 2, 1, 0, 3], [9; 32]);
    plan.shard_tokens = 150;
    (plan, records)
}

#[test]
fn a_killed_build_goes_on_where_it_was() {
    let (plan, records) = corpus();
    let whole = place();
    let index = build(whole.path(), &plan, &records, 2);
    assert!(index.shards().len() > 2);
    let expected = bytes(whole.path());

    // Killed while reading: nothing counts, all is pushed again.
    let dir = place();
    let mut builder = Builder::open(dir.path(), &plan).unwrap();
    push_all(&mut builder, &records[..5]);
    drop(builder);
    let mut builder = Builder::open(dir.path(), &plan).unwrap();
    assert!(!builder.is_read());
    push_all(&mut builder, &records);

    // Killed when the corpus was read and the second shard sorted.
    let reading = builder.reading.take().unwrap();
    builder.end_reading(reading).unwrap();
    let read: ReadHead = read_value(dir.path(), Kind::Read).unwrap();
    let tokens = Mapped::open(dir.path(), Kind::Tokens, read.tokens).unwrap();
    assert_eq!(Codes::new(read.ids.clone()).unwrap().width().bytes(), 1);
    builder
        .sort_shard(1, (read.starts[1], read.starts[2]), tokens.cast::<u8>())
        .unwrap();
    let sorted = Kind::Suffixes(1).path(dir.path());
    let written = fs::metadata(&sorted).unwrap().modified().unwrap();
    fs::write(dir.path().join("suffixes-00000.draft"), b"half").unwrap();
    drop(builder);
    let mut builder = Builder::open(dir.path(), &plan).unwrap();
    assert!(builder.is_read());
    assert!(matches!(builder.push(&leaf(0, &[1]), &[1]), Err(Error::Full)));
    let index = builder.finish(1).unwrap();
    assert_eq!(audit_index(&index, 1).unwrap(), None);
    assert_eq!(bytes(dir.path()), expected);
    assert_eq!(fs::metadata(&sorted).unwrap().modified().unwrap(), written);

    // Finished: opening it again is all that is left to do.
    let builder = Builder::open(dir.path(), &plan).unwrap();
    assert!(builder.is_read());
    builder.finish(1).unwrap();
    assert_eq!(bytes(dir.path()), expected);
}

#[test]
fn what_does_not_fit_is_refused_in_words() {
    let (plan, records) = corpus();
    let dir = place();
    build(dir.path(), &plan, &records, 1);
    let mut other = plan.clone();
    other.identity = [1; 32];
    assert!(matches!(
        Builder::open(dir.path(), &other),
        Err(Error::OtherPlan(_))
    ));

    let empty = place();
    let mut builder = Builder::open(empty.path(), &plan).unwrap();
    let wrong_length = builder.push(&leaf(0, &[1, 2]), &[1]).unwrap_err();
    assert!(wrong_length
        .to_string()
        .contains("1 tokens where its leaf says 2"));
    let separator = builder.push(&leaf(0, &[6]), &[6]).unwrap_err();
    assert!(separator.to_string().contains("ids below 6"));
    other.flags[2] = 4;
    assert!(Builder::open(empty.path(), &other).is_err());
    other.flags[2] = 0;
    other.shard_tokens = 0;
    assert!(Builder::open(empty.path(), &other).is_err());

    // A path of one name, and of several, is relative to where the program runs.
    assert!(crate::files::sync_names(std::path::Path::new("index")).is_ok());

    // A bit that turned over is found, in whichever file.
    for name in bytes(dir.path()).into_keys() {
        let path = dir.path().join(&name);
        let good = fs::read(&path).unwrap();
        for at in [0, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            let found = crate::Index::open(dir.path()).and_then(|index| index.verify(1));
            assert!(found.is_err(), "{name} byte {at}");
        }
        fs::write(&path, &good[..good.len() - 1]).unwrap();
        assert!(crate::Index::open(dir.path()).is_err(), "{name} cut");
        fs::write(&path, &good).unwrap();
    }
    crate::Index::open(dir.path()).unwrap().verify(2).unwrap();
}

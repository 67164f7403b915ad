//! The store: what a kill leaves behind goes, what is corrupted is refused by name, many may write at once.

mod common;

use common::{seed, Rng};
use openledger_content::{verify, Cid, Error, Store};
use std::{fs, io::Read, path::PathBuf};

/// Where a block lies: found by its name.
fn file_of(dir: &std::path::Path, cid: &Cid) -> PathBuf {
    let folders = fs::read_dir(dir.join("blocks")).unwrap();
    let mut files = folders.map(|folder| folder.unwrap().path().join(cid.to_string()));
    files.find(|path| path.exists()).unwrap()
}

#[test]
fn blocks_come_back_as_they_were() {
    let mut rng = Rng(seed());
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut kept = Vec::new();
    for size in [0, 1, 1_000, (1 << 20) + 17] {
        let bytes = rng.bytes(size);
        let cid = store.put(&bytes).unwrap();
        assert_eq!(cid, Cid::of(&bytes));
        assert_eq!(store.put(&bytes).unwrap(), cid);
        kept.push((cid, bytes));
    }
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    let mut expected: Vec<(Cid, u64)> = kept
        .iter()
        .map(|(cid, bytes)| (*cid, bytes.len() as u64))
        .collect();
    expected.sort_unstable();
    assert_eq!(store.list().unwrap(), expected);
    for (cid, bytes) in &kept {
        assert!(store.has(cid));
        assert_eq!(&store.get(cid).unwrap(), bytes);
    }
    assert!(store.remove(&kept[0].0).unwrap());
    assert!(!store.remove(&kept[0].0).unwrap());
    assert!(matches!(store.get(&kept[0].0), Err(Error::Missing(cid)) if cid == kept[0].0));
    assert!(store.verify().unwrap().is_empty());
}

#[test]
fn what_is_corrupted_is_refused_by_name_and_replaced() {
    let mut rng = Rng(seed());
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let bytes = rng.bytes(5_000);
    let (cid, other) = (store.put(&bytes).unwrap(), store.put(b"untouched").unwrap());
    let path = file_of(dir.path(), &cid);
    for change in 0..3 {
        let mut damaged = bytes.clone();
        match change {
            0 => damaged[rng.below(5_000) as usize] ^= 1 << rng.below(8),
            1 => damaged.truncate(4_999),
            _ => damaged.clear(),
        }
        fs::write(&path, &damaged).unwrap();
        let error = store.get(&cid).unwrap_err();
        assert!(matches!(error, Error::Corrupt(named) if named == cid));
        assert!(error.to_string().contains(&cid.to_string()));
        assert_eq!(store.verify().unwrap(), [cid]);
        assert_eq!(store.get(&other).unwrap(), b"untouched");
        // Fetched again: only the right bytes are taken.
        assert!(matches!(store.put_expected(&cid, &damaged), Err(Error::Corrupt(named)) if named == cid));
        assert!(store.put_expected_reader(&cid, damaged.as_slice()).is_err());
        store.put_expected(&cid, &bytes).unwrap();
        assert_eq!(store.get(&cid).unwrap(), bytes);
    }
    assert!(verify(&cid, &bytes).is_ok() && verify(&cid, b"").is_err());
}

/// A stream that breaks, as one does whose program is killed.
struct Breaks(u64);

impl Read for Breaks {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.0 == 0 {
            return Err(std::io::Error::other("gone"));
        }
        self.0 -= 1;
        buffer.fill(7);
        Ok(buffer.len())
    }
}

#[test]
fn half_written_blocks_never_show() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert!(matches!(store.put_reader(Breaks(3)), Err(Error::Stream(_))));
    assert!(store.list().unwrap().is_empty());
    let drafts = dir.path().join("drafts");
    assert_eq!(fs::read_dir(&drafts).unwrap().count(), 0);

    // What a killed program leaves: gone when the store is opened by one that has it alone, left alone while
    // another is at work.
    fs::write(drafts.join("999-0"), b"half a block").unwrap();
    let second = Store::open(dir.path()).unwrap();
    assert_eq!(fs::read_dir(&drafts).unwrap().count(), 1);
    drop((store, second));
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(fs::read_dir(&drafts).unwrap().count(), 0);
    assert!(store.list().unwrap().is_empty());
}

#[test]
fn a_killed_writer_leaves_a_whole_store() {
    // A real process, killed with SIGKILL while it writes: this test's own program, started for that.
    if let Ok(dir) = std::env::var("CONTENT_KILLED_WRITER") {
        let store = Store::open(dir.as_ref()).unwrap();
        for n in 0u64.. {
            store.put(&Rng(n).bytes(200_000)).unwrap();
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let mut before = 0;
    for round in 0..3 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_killed_writer_leaves_a_whole_store"])
            .env("CONTENT_KILLED_WRITER", dir.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Killed after some blocks of its own, whenever that is.
        loop {
            let blocks = Store::open(dir.path()).unwrap().list().unwrap().len();
            if blocks >= (round + 1) * 5 {
                break;
            }
            assert!(child.try_wait().unwrap().is_none(), "the writer ended by itself");
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path().join("drafts")).unwrap().count(), 0);
        assert!(store.verify().unwrap().is_empty());
        let now = store.list().unwrap();
        assert!(now.len() >= before && now.iter().all(|(_, size)| *size == 200_000));
        before = now.len();
    }
}

#[test]
fn threads_may_write_the_same_and_other_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let store = &store;
            scope.spawn(move || {
                for n in 0..20 {
                    let bytes = Rng(n / (1 + thread % 2)).bytes(3_000);
                    let cid = store.put(&bytes).unwrap();
                    assert_eq!(store.get(&cid).unwrap(), bytes);
                }
            });
        }
    });
    assert_eq!(store.list().unwrap().len(), 20);
    assert!(store.verify().unwrap().is_empty());
}

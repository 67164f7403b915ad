//! Files as trees of blocks: what comes back, what other programs would make of them, what a kill leaves.

mod common;

use common::{seed, Rng};
use openledger_content::{check_held, Cid, Codec, Error, Store, LEAF};
use std::{fs, io::Read, path::PathBuf};

fn file_of(dir: &std::path::Path, cid: &Cid) -> PathBuf {
    let folders = fs::read_dir(dir.join("blocks")).unwrap();
    let mut files = folders.map(|folder| folder.unwrap().path().join(cid.to_string()));
    files.find(|path| path.exists()).unwrap()
}

fn back(store: &Store, cid: &Cid) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut file = store.file(cid).unwrap();
    assert_eq!(file.copy_to(&mut bytes).unwrap(), file.len());
    bytes
}

#[test]
fn files_of_any_size_come_back() {
    let mut rng = Rng(seed());
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for size in [0, 1, LEAF - 1, LEAF, LEAF + 1, 3 * LEAF, 5 * LEAF + 12_345] {
        let bytes = rng.bytes(size);
        let made = store.ingest(bytes.as_slice()).unwrap();
        assert_eq!(made.bytes, size as u64);
        let leaves = size.div_ceil(LEAF).max(1);
        assert_eq!(made.blocks as usize, leaves + usize::from(leaves > 1));
        assert_eq!(store.ingest(bytes.as_slice()).unwrap(), made);
        assert_eq!(back(&store, &made.cid), bytes);
        if leaves == 1 {
            assert_eq!(made.cid, Cid::of(&bytes));
        } else {
            assert_eq!(made.cid.codec(), Codec::DagPb);
            assert_eq!(made.cid.to_string().parse::<Cid>().unwrap(), made.cid);
        }
        for _ in 0..5 {
            let start = rng.below(size as u64 + 1);
            let end = start + rng.below(size as u64 + 10);
            let mut part = Vec::new();
            let mut file = store.file(&made.cid).unwrap().range(start..end);
            file.read_to_end(&mut part).unwrap();
            assert_eq!(part, bytes[start as usize..(end as usize).min(size)]);
        }
    }
    assert!(store.verify().unwrap().is_empty());
    assert_eq!(fs::read_dir(dir.path().join("drafts")).unwrap().count(), 0);
}

#[test]
fn other_programs_give_the_same_names() {
    // Printed by helia's unixfs (`make interop-helia` prints them again): zeros, and one leaf and a byte of them.
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for (size, cid) in include!("names.in") {
        let zeros = std::io::repeat(0).take(size);
        assert_eq!(store.ingest(zeros).unwrap().cid.to_string(), cid, "{size} zeros");
    }
}

#[test]
fn damage_is_refused_by_name_and_mended_by_fetching() {
    let mut rng = Rng(seed());
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, peer) = (
        Store::open(dir.path()).unwrap(),
        Store::open(other.path()).unwrap(),
    );
    let bytes = rng.bytes(4 * LEAF + 99);
    let root = store.ingest(bytes.as_slice()).unwrap().cid;
    assert_eq!(peer.ingest(bytes.as_slice()).unwrap().cid, root);
    let blocks = store.blocks_of(&root).unwrap().here;
    assert_eq!(blocks.len(), 6);
    for cid in &blocks {
        let path = file_of(dir.path(), cid);
        let mut block = fs::read(&path).unwrap();
        let at = rng.below(block.len() as u64) as usize;
        block[at] ^= 1 << rng.below(8);
        if rng.below(2) == 0 {
            fs::write(&path, &block).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
        let read = store
            .file(cid)
            .and_then(|mut file| file.copy_to(&mut std::io::sink()));
        assert!(
            matches!(&read, Err(Error::Corrupt(named) | Error::Missing(named)) if named == cid),
            "{read:?}"
        );
        assert_eq!(store.blocks_of(&root).unwrap().wanted, [*cid]);
        store.put_expected(cid, &peer.get(cid).unwrap()).unwrap();
        assert_eq!(back(&store, &root), bytes);
    }
    // Taking the file in again mends it, too.
    fs::write(file_of(dir.path(), &blocks[2]), b"short").unwrap();
    store.ingest(bytes.as_slice()).unwrap();
    assert_eq!(back(&store, &root), bytes);
}

#[test]
fn nodes_that_lie_are_refused() {
    let mut rng = Rng(seed());
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let root = store.ingest(rng.bytes(2 * LEAF + 5).as_slice()).unwrap().cid;
    let honest = store.get(&root).unwrap();
    let whole = back(&store, &root);
    let mut refused = 0;
    for _ in 0..300 {
        let mut block = honest.clone();
        match rng.below(4) {
            0 => block.truncate(rng.below(block.len() as u64) as usize),
            1 => {
                let at = rng.below(block.len() as u64 + 1) as usize;
                let length = 1 + rng.below(4) as usize;
                block.splice(at..at, rng.bytes(length));
            }
            _ => {
                let at = rng.below(block.len() as u64) as usize;
                block[at] ^= 1 << rng.below(8);
            }
        }
        let cid = store.put_as(Codec::DagPb, &block).unwrap();
        let mut read = Vec::new();
        let done = store.file(&cid).and_then(|mut file| file.copy_to(&mut read));
        // What does not matter to the file may differ (a name, a weight); the bytes never do.
        match done {
            Ok(_) => assert!(whole.starts_with(&read) || read.len() < LEAF),
            Err(_) => refused += 1,
        }
    }
    println!("{refused} of 300 refused");
    assert!(refused > 100);

    // A tower of nodes, each listing the one below twice: as large as it says, and too deep.
    let mut below = Cid::of(b"x");
    store.put(b"x").unwrap();
    let mut size = 1u64;
    for _ in 0..40 {
        size *= 2;
        below = store.put_as(Codec::DagPb, &twice(&below, size)).unwrap();
    }
    let error = store
        .file(&below)
        .unwrap()
        .copy_to(&mut std::io::sink())
        .unwrap_err();
    assert!(error.to_string().contains("deep"), "{error}");
    assert!(store.blocks_of(&below).is_err());
}

#[test]
fn who_holds_a_file_can_show_it_and_who_does_not_cannot() {
    let mut rng = Rng(seed());
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let bytes = rng.bytes(5 * LEAF + 9);
    let root = store.ingest(bytes.as_slice()).unwrap().cid;
    let other = store.ingest(rng.bytes(2 * LEAF).as_slice()).unwrap().cid;
    let small = store.ingest(b"small".as_slice()).unwrap().cid;
    let mut draw = || -> [u8; 32] { rng.bytes(32).try_into().unwrap() };
    assert_eq!(
        check_held(&small, &[0; 32], &store.prove_held(&small, &[0; 32]).unwrap()).unwrap(),
        5
    );
    let mut leaves = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let seed = draw();
        let shown = store.prove_held(&root, &seed).unwrap();
        assert_eq!(shown.len(), 2);
        assert_eq!(check_held(&root, &seed, &shown).unwrap(), bytes.len() as u64);
        leaves.insert(shown[1].clone());
        // Neither for another file, nor cut, nor with more, nor changed.
        assert!(check_held(&other, &seed, &shown).is_err());
        assert!(check_held(&root, &seed, &shown[..1]).is_err() && check_held(&root, &seed, &[]).is_err());
        assert!(check_held(&root, &seed, &[&shown[..], &[vec![]]].concat()).is_err());
        let mut changed = shown.clone();
        changed[1][77] ^= 1;
        assert!(check_held(&root, &seed, &changed).is_err());
    }
    // All leaves are drawn sooner or later; the last, of nine bytes, seldom.
    assert!(leaves.len() >= 4, "{}", leaves.len());
    // An answer to one seed is none to others, but for those that draw the same leaf.
    let (seed, shown) = (draw(), store.prove_held(&root, &[9; 32]).unwrap());
    let same = store.prove_held(&root, &seed).unwrap() == shown;
    assert_eq!(check_held(&root, &seed, &shown).is_ok(), same);
    // What is gone cannot be shown.
    for cid in store.blocks_of(&root).unwrap().here {
        store.remove(&cid).unwrap();
    }
    assert!(matches!(store.prove_held(&root, &seed), Err(Error::Missing(cid)) if cid == root));
}

/// A node that lists a block twice.
fn twice(cid: &Cid, size: u64) -> Vec<u8> {
    let varint = |mut value: u64| {
        let mut out = Vec::new();
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
        out
    };
    let link = [&[0x0A, 36][..], &cid.to_bytes()].concat();
    let link = [&[0x12, link.len() as u8][..], &link].concat();
    let mut file = vec![8, 2, 0x18];
    file.extend(varint(size));
    for _ in 0..2 {
        file.push(0x20);
        file.extend(varint(size / 2));
    }
    [link.clone(), link, vec![0x0A, file.len() as u8], file].concat()
}

/// The bytes that the killed child takes in, the same for parent and child.
fn content(seed: u64) -> Vec<u8> {
    Rng(seed).bytes(24 * LEAF + 321)
}

#[test]
fn killed_while_taking_in_it_goes_on_where_it_was() {
    if let Ok(job) = std::env::var("CONTENT_KILLED_INGEST") {
        let (seed, dir) = job.split_once(' ').unwrap();
        let store = Store::open(dir.as_ref()).unwrap();
        store.ingest(content(seed.parse().unwrap()).as_slice()).unwrap();
        return;
    }
    let seed = seed();
    let mut rng = Rng(seed);
    let bytes = content(seed);
    let dir = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let root = Store::open(other.path())
        .unwrap()
        .ingest(bytes.as_slice())
        .unwrap()
        .cid;
    let count = |folder: &str| {
        let mut files = 0;
        let mut folders = vec![dir.path().join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                    _ => files += 1,
                }
            }
        }
        files
    };
    let mut killed = Vec::new();
    for round in 0..8u64 {
        let before = count("blocks");
        // Later each round, and at any moment after: while a draft is open, between blocks, before the root.
        let at = (before as u64 + rng.below(5)).max(round * 3).min(24);
        let pause = std::time::Duration::from_micros(rng.below(4_000));
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed_while_taking_in_it_goes_on_where_it_was"])
            .env(
                "CONTENT_KILLED_INGEST",
                format!("{seed} {}", dir.path().display()),
            )
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        while (count("blocks") as u64) < at && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        std::thread::sleep(pause);
        child.kill().unwrap();
        child.wait().unwrap();
        killed.push(format!(
            "{} blocks and {} drafts",
            count("blocks"),
            count("drafts")
        ));
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(count("drafts"), 0);
        assert!(store.verify().unwrap().is_empty());
        // The root is there only if all of the file is.
        if store.has(&root) {
            assert_eq!(back(&store, &root), bytes);
        }
    }
    println!("killed at {killed:?}");
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.ingest(bytes.as_slice()).unwrap().cid, root);
    assert_eq!(back(&store, &root), bytes);
    assert!(store.verify().unwrap().is_empty());
}

//! What a person does: add, get, ls, deny, by the library and by the program.

mod common;

use common::{seed, Rng};
use openledger_content::{verbs, Cid, Error, Store, LEAF};
use std::{fs, process::Command};

#[test]
fn what_is_shared_is_what_was_published_and_not_denied() {
    let mut rng = Rng(seed());
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let path = dir.path().join("file");
    let bytes = rng.bytes(2 * LEAF + 3);
    fs::write(&path, &bytes).unwrap();
    let added = verbs::add(&store, &path, false).unwrap();
    let root: Cid = added.cid.parse().unwrap();
    assert!(!store.shared().unwrap().allows(&root));
    assert!(verbs::ls(&store).unwrap().iter().all(|block| !block.public));

    store.publish(&root).unwrap();
    let blocks = store.blocks_of(&root).unwrap().here;
    let shared = store.shared().unwrap();
    assert!(blocks.len() == 4 && blocks.iter().all(|cid| shared.allows(cid)));
    assert_eq!(shared.roots(), [root]);

    // A leaf on the block list: the rest of the file stays. The root: nothing of it.
    verbs::deny(&store, &blocks[1], false).unwrap();
    let shared = store.shared().unwrap();
    let allowed: Vec<bool> = blocks.iter().map(|cid| shared.allows(cid)).collect();
    assert_eq!(allowed, [true, false, true, true]);
    assert!(verbs::deny(&store, &root, false).unwrap().denied);
    let shared = store.shared().unwrap();
    assert!(blocks.iter().all(|cid| !shared.allows(cid) && shared.denies(cid)) && shared.roots().is_empty());
    assert!(matches!(store.publish(&root), Err(Error::Denied(cid)) if cid == root));
    assert!(!verbs::deny(&store, &root, true).unwrap().denied);
    assert!(store.shared().unwrap().allows(&root));
    // Still there for its owner.
    let out = dir.path().join("out");
    assert_eq!(
        verbs::get(&store, &root, None, &out).unwrap().bytes,
        bytes.len() as u64
    );
    assert_eq!(fs::read(&out).unwrap(), bytes);

    // What is not here can be denied before it comes; it shows with no bytes.
    let never = Cid::of(b"never here");
    verbs::deny(&store, &never, false).unwrap();
    let listed = verbs::ls(&store).unwrap();
    assert!(listed
        .iter()
        .any(|block| block.cid == never.to_string() && block.denied && block.bytes == 0));

    // What fails leaves what was there alone.
    store.remove(&blocks[2]).unwrap();
    assert!(verbs::get(&store, &root, None, &out).is_err());
    assert_eq!(fs::read(&out).unwrap(), bytes);
    assert!(matches!(store.publish(&root), Err(Error::Missing(cid)) if cid == blocks[2]));
    assert_eq!(verbs::get(&store, &root, Some(5..900), &out).unwrap().bytes, 895);
    assert_eq!(fs::read(&out).unwrap(), bytes[5..900]);

    let list = dir.path().join("store/denied").join(never.to_string());
    fs::write(&list, b"OLBLOCKS\x01half").unwrap();
    let error = store.shared().unwrap_err().to_string();
    assert!(error.contains(&never.to_string()), "{error}");
}

#[test]
fn the_program_does_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let run = |words: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_openledger-content"))
            .args(words)
            .current_dir(dir.path())
            .output()
            .unwrap();
        let text = String::from_utf8(if out.status.success() {
            out.stdout
        } else {
            out.stderr
        })
        .unwrap();
        (out.status.success(), text)
    };
    fs::write(dir.path().join("note.txt"), "What the tide left.").unwrap();
    let (done, text) = run(&["add", "store", "note.txt", "--public"]);
    assert!(done, "{text}");
    let added: serde_json::Value = serde_json::from_str(&text).unwrap();
    let cid = added["cid"].as_str().unwrap();
    assert_eq!(cid, Cid::of(b"What the tide left.").to_string());
    assert!(run(&["get", "store", cid, "copy.txt"]).0);
    assert_eq!(
        fs::read(dir.path().join("copy.txt")).unwrap(),
        b"What the tide left."
    );
    assert!(run(&["deny", "store", cid]).0);
    let listed: serde_json::Value = serde_json::from_str(&run(&["ls", "store"]).1).unwrap();
    assert_eq!(listed[0]["denied"], true);
    assert!(run(&["records", "note.txt"]).1.contains("What the tide left."));
    let (done, text) = run(&["get", "store", "bad", "copy.txt"]);
    assert!(!done && text.contains("is not a CID"), "{text}");
    assert!(!run(&["eat"]).0);
}

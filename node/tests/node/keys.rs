//! Session keys, and keys that everybody knows.

use crate::harness::*;
use serde_json::{json, Value};
use sp_core::{ed25519, sr25519, Pair};
use std::{os::unix::fs::PermissionsExt, path::Path};

fn session_keys(args: &[&str]) -> Value {
    let ended = run(&[&["session-keys", "--json"], args].concat());
    assert!(ended.status.success(), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).expect("one JSON object")
}

/// Checks the proof with nothing but signature verification: three signatures of "POP_" and the owner's 32 bytes.
fn assert_proven(made: &Value, owner: [u8; 32]) {
    let bytes = |field: &str| unhex(made[field].as_str().unwrap());
    let (keys, proof) = (bytes("keys"), bytes("proof"));
    assert_eq!((keys.len(), proof.len()), (3 * 32, 3 * 64));
    let message = [&b"POP_"[..], &owner].concat();
    let key = |index: usize| -> [u8; 32] { keys[32 * index..][..32].try_into().unwrap() };
    let signature = |index: usize| -> [u8; 64] { proof[64 * index..][..64].try_into().unwrap() };
    for index in [0, 2] {
        let (key, signature) = (
            sr25519::Public::from(key(index)),
            sr25519::Signature::from(signature(index)),
        );
        assert!(
            sr25519::Pair::verify(&signature, &message, &key),
            "signature {index}"
        );
    }
    let (key, signature) = (
        ed25519::Public::from(key(1)),
        ed25519::Signature::from(signature(1)),
    );
    assert!(ed25519::Pair::verify(&signature, &message, &key), "signature 1");
    // The call carries the keys and then the proof behind its length (192 as a two-byte compact).
    let call = bytes("call");
    assert_eq!(call[2..98], keys);
    assert_eq!(call[98..100], [0x01, 0x03]);
    assert_eq!(call[100..], proof);
}

fn alice() -> [u8; 32] {
    sr25519::Pair::from_string("//Alice", None).unwrap().public().0
}

#[test]
fn session_keys_should_be_made_proven_and_kept_private() {
    let base = directory();
    let place = [
        "--chain",
        "main",
        "--base-path",
        text(base.path()),
        "--owner",
        ALICE,
    ];
    let made = session_keys(&place);
    assert_proven(&made, alice());

    let keystore = base.path().join("chains/openledger/keystore");
    let mut files: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(&keystore).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        files.push(entry.file_name().into_string().unwrap());
    }
    for field in ["babe", "grandpa", "authorityDiscovery"] {
        let key = made[field].as_str().unwrap().trim_start_matches("0x");
        assert!(
            files.iter().any(|name| name.ends_with(key)),
            "{field} is not in {files:?}"
        );
    }

    // The same keys proven for another owner, and nothing new in the keystore.
    let bob = format!("0x{}", "07".repeat(32));
    let keys = made["keys"].as_str().unwrap();
    let again = session_keys(&[
        "--chain",
        "main",
        "--base-path",
        text(base.path()),
        "--owner",
        &bob,
        "--keys",
        keys,
    ]);
    assert_eq!(again["keys"], made["keys"]);
    assert_proven(&again, [7; 32]);
    assert_eq!(std::fs::read_dir(&keystore).unwrap().count(), 3);

    // What a person reads says what comes next.
    let ended = run(&[&["session-keys"], &place[..]].concat());
    assert!(ended.status.success());
    for word in ["session.setKeys", "--validator", ALICE] {
        assert!(ended.stdout.contains(word), "{word} is not in {}", ended.stdout);
    }
}

#[test]
fn wrong_owners_and_missing_keys_should_be_refused() {
    let base = directory();
    let place = ["session-keys", "--chain", "dev", "--base-path", text(base.path())];
    let refuse = |args: &[&str]| run(&[&place, args].concat()).only_line().to_string();
    assert!(refuse(&["--owner", "alice"]).contains("alice"));
    assert!(refuse(&[]).contains("--owner"));
    let nobody = format!("0x{}", "11".repeat(96));
    assert!(refuse(&["--owner", ALICE, "--keys", &nobody]).contains("does not hold"));
    assert!(refuse(&["--owner", ALICE, "--keys", "0x11"]).contains("--keys"));
    let closed = format!("http://127.0.0.1:{}", free_port());
    assert!(refuse(&["--owner", ALICE, "--rpc-url", &closed]).contains(&closed));
}

#[test]
fn a_running_node_should_make_its_own_keys() {
    let base = directory();
    let node = Node::start(base.path(), &["--dev", "--no-eth-rpc", "--sealing", "manual"]);
    let url = format!("http://127.0.0.1:{}", node.rpc_port);
    let made = session_keys(&["--owner", ALICE, "--rpc-url", &url]);
    assert_proven(&made, alice());
    assert_eq!(
        node.rpc("author_hasSessionKeys", json!([made["keys"]])),
        json!(true)
    );
    let known = node.rpc(
        "state_call",
        json!(["SessionKeys_decode_session_keys", compact_bytes(&made["keys"])]),
    );
    assert_ne!(
        known,
        json!("0x00"),
        "the chain's runtime does not know these keys"
    );
}

/// SCALE bytes: the length as a two-byte compact (for 64 to 16,383), then the bytes.
fn compact_bytes(hex: &Value) -> String {
    let digits = hex.as_str().unwrap().trim_start_matches("0x");
    let length = ((digits.len() / 2) as u16) << 2 | 1;
    let [low, high] = length.to_le_bytes();
    format!("0x{low:02x}{high:02x}{digits}")
}

fn node_key(base: &Path, chain: &str) {
    let made = run(&[
        "key",
        "generate-node-key",
        "--chain",
        chain,
        "--base-path",
        text(base),
    ]);
    assert!(made.status.success(), "{}", made.stderr);
}

#[test]
fn well_known_keys_should_be_refused_where_money_is_real() {
    for chain in ["main", "testnet"] {
        let base = directory();
        let ended = run(&["--chain", chain, "--alice", "--base-path", text(base.path())]);
        assert!(ended.only_line().contains("//Alice"));
        assert!(!has_database(base.path()));
    }
}

#[test]
fn a_well_known_key_in_the_keystore_should_be_refused() {
    let base = directory();
    let spec = live_spec(base.path());
    let (spec, data) = (text(&spec), base.path().join("data"));
    node_key(&data, spec);
    let inserted = run(&[
        "key",
        "insert",
        "--chain",
        spec,
        "--base-path",
        text(&data),
        "--scheme",
        "ed25519",
        "--suri",
        "//Bob",
        "--key-type",
        "gran",
    ]);
    assert!(inserted.status.success(), "{}", inserted.stderr);
    let ended = Node::spawn(&data, &["--chain", spec, "--validator"]).ended();
    assert!(
        ended.error_line().contains("well-known gran key"),
        "{}",
        ended.stderr
    );
    // Without authoring the key does no harm.
    let node = Node::start(&data, &["--chain", spec]);
    assert!(node.stop("TERM").success());
}

#[test]
fn a_well_known_key_inserted_later_should_stop_the_node() {
    let base = directory();
    let spec = live_spec(base.path());
    let (spec, data) = (text(&spec), base.path().join("data"));
    node_key(&data, spec);
    let node = Node::start(&data, &["--chain", spec, "--validator"]);
    let ferdie = sr25519::Pair::from_string("//Ferdie", None).unwrap().public();
    let public = format!(
        "0x{}",
        ferdie
            .0
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    );
    node.rpc("author_insertKey", json!(["babe", "//Ferdie", public]));
    let ended = node.ended();
    assert!(!ended.status.success());
    assert!(ended.stderr.contains("well-known babe key"), "{}", ended.stderr);
}

//! Starting, stopping, dying and going on.

use crate::harness::*;
use serde_json::json;

#[test]
fn the_dev_chain_should_make_and_finalise_blocks_with_babe_and_grandpa() {
    let base = directory();
    let mut node = Node::start(base.path(), &["--dev", "--no-eth-rpc"]);
    node.wait_for("a final block", |node| node.finalized() >= 1);
    node.wait_for("three blocks", |node| node.best() >= 3);
    assert!(node.rpc("grandpa_roundState", json!([]))["best"]["round"]
        .as_u64()
        .is_some_and(|round| round > 0));
    assert!(node.stop("TERM").success());
}

#[test]
fn signals_should_end_the_node_in_peace() {
    for signal in ["TERM", "INT"] {
        let base = directory();
        let mut node = Node::start(
            base.path(),
            &["--dev", "--no-eth-rpc", "--sealing", "interval=200"],
        );
        node.wait_for("blocks", |node| node.best() >= 3);
        let log = base.path().join("log");
        let status = node.stop(signal);
        assert_eq!(status.code(), Some(0), "after SIG{signal}");
        let log = std::fs::read_to_string(log).unwrap();
        assert!(!log.contains("Error: ") && !log.contains("panicked"), "{log}");
    }
}

#[test]
fn a_killed_node_should_go_on_from_what_was_final() {
    let base = directory();
    let args = ["--dev", "--no-eth-rpc", "--sealing", "interval=150"];
    let mut last = 0;
    for _ in 0..3 {
        let mut node = Node::start(base.path(), &args);
        node.wait_for("blocks beyond the last start", |node| {
            node.finalized() >= last + 5
        });
        last = node.finalized();
        let hash = node.block_hash(last);
        node.stop("KILL");
        let mut node = Node::start(base.path(), &args);
        assert_eq!(node.block_hash(last), hash, "a final block was lost");
        node.wait_for("the next block", |node| node.finalized() > last);
        last = node.finalized();
        assert!(node.stop("TERM").success());
    }
}

#[test]
fn a_killed_babe_node_should_go_on() {
    let base = directory();
    let mut node = Node::start(base.path(), &["--dev", "--no-eth-rpc"]);
    node.wait_for("a final block", |node| node.finalized() >= 2);
    let (height, hash) = (node.finalized(), node.block_hash(node.finalized()));
    node.stop("KILL");
    let mut node = Node::start(base.path(), &["--dev", "--no-eth-rpc"]);
    assert_eq!(node.block_hash(height), hash);
    node.wait_for("finality beyond the kill", |node| node.finalized() > height);
}

#[test]
fn purge_should_remove_the_chain_and_keep_the_keys() {
    let base = directory();
    let node = Node::start(base.path(), &["--dev", "--no-eth-rpc", "--sealing", "manual"]);
    node.rpc("engine_createBlock", json!([true, true, null]));
    node.stop("TERM");
    let keys = run(&[
        "session-keys",
        "--chain",
        "dev",
        "--base-path",
        text(base.path()),
        "--owner",
        ALICE,
    ]);
    assert!(keys.status.success(), "{}", keys.stderr);
    let chain = base.path().join("chains/openledger_dev");
    std::fs::create_dir_all(chain.join("eth")).unwrap();

    let info = run(&["chain-info", "--chain", "dev", "--base-path", text(base.path())]);
    assert!(
        info.status.success() && info.stdout.contains("\"best_number\": 1"),
        "{}{}",
        info.stdout,
        info.stderr
    );
    let purged = run(&[
        "purge-chain",
        "-y",
        "--chain",
        "dev",
        "--base-path",
        text(base.path()),
    ]);
    assert!(purged.status.success(), "{}", purged.stderr);
    assert!(!chain.join("paritydb").exists() && !chain.join("eth").exists());
    assert_eq!(std::fs::read_dir(chain.join("keystore")).unwrap().count(), 3);
}

#[test]
fn a_revert_should_take_back_what_is_not_final() {
    let base = directory();
    let args = ["--dev", "--no-eth-rpc", "--sealing", "manual"];
    let node = Node::start(base.path(), &args);
    node.rpc("engine_createBlock", json!([true, true, null]));
    for _ in 0..3 {
        node.rpc("engine_createBlock", json!([true, false, null]));
    }
    let kept = node.block_hash(2);
    node.stop("TERM");
    let reverted = run(&["revert", "2", "--chain", "dev", "--base-path", text(base.path())]);
    assert!(reverted.status.success(), "{}", reverted.stderr);
    let node = Node::start(base.path(), &args);
    assert_eq!((node.best(), node.finalized(), node.block_hash(2)), (2, 1, kept));
    node.rpc("engine_createBlock", json!([true, true, null]));
    assert_eq!((node.best(), node.finalized()), (3, 3));
}

//! Blocks on request: they come when they should, with BABE's marks and a clock that moves by slots.

use crate::harness::*;
use serde_json::{json, Value};
use std::time::Duration;

const SLOT_MILLIS: u64 = 2_000;

/// `BABE` as a digest item names it.
const BABE: &[u8] = b"BABE";

fn digests(node: &Node, number: u64) -> Vec<Vec<u8>> {
    let header = node.rpc("chain_getHeader", json!([node.block_hash(number)]));
    header["digest"]["logs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|log| unhex(log.as_str().unwrap()))
        .collect()
}

fn seal(node: &Node) -> Value {
    node.rpc("engine_createBlock", json!([true, true, null]))
}

#[test]
fn manual_sealing_should_make_a_slot_a_block() {
    let base = directory();
    let node = Node::start(base.path(), &["--dev", "--no-eth-rpc", "--sealing", "manual"]);
    assert_eq!(node.best(), 0);
    for expected in 1..=5 {
        let sealed = seal(&node);
        assert_eq!(sealed["hash"], node.block_hash(expected));
        assert_eq!((node.best(), node.finalized()), (expected, expected));
    }
    for number in 2..=5 {
        assert_eq!(node.timestamp(number) - node.timestamp(number - 1), SLOT_MILLIS);
        let digests = digests(&node, number);
        // 6: what the block claims, before it is made; 5: the author's signature, after.
        assert!(
            digests.iter().any(|item| item[0] == 6 && &item[1..5] == BABE),
            "no claim in block {number}"
        );
        assert!(
            digests.iter().any(|item| item[0] == 5 && &item[1..5] == BABE),
            "no seal on block {number}"
        );
    }
    // Nothing comes unasked.
    std::thread::sleep(Duration::from_millis(2 * SLOT_MILLIS + 500));
    assert_eq!(node.best(), 5);
}

#[test]
fn manual_sealing_should_build_forks_and_leave_finality_to_the_request() {
    let base = directory();
    let node = Node::start(base.path(), &["--dev", "--no-eth-rpc", "--sealing", "manual"]);
    let genesis = node.block_hash(0);
    let first = node.rpc("engine_createBlock", json!([true, false, genesis]))["hash"].clone();
    assert_eq!((node.best(), node.finalized()), (1, 0));
    let second = node.rpc("engine_createBlock", json!([true, false, first]))["hash"].clone();
    assert_eq!(node.block_hash(2), second);
    assert_eq!(
        node.rpc("engine_finalizeBlock", json!([second, null])),
        json!(true)
    );
    assert_eq!(node.finalized(), 2);
    // Without transactions there is nothing to put into a block that may not be empty.
    assert!(node
        .try_rpc("engine_createBlock", json!([false, true, null]))
        .is_err());
    assert_eq!(node.best(), 2);
}

#[test]
fn manual_sealing_should_pass_epochs() {
    let base = directory();
    let mut node = Node::start(base.path(), &["--dev", "--no-eth-rpc", "--sealing", "manual"]);
    // More blocks than the development chain's epochs are long, several times over.
    for _ in 0..120 {
        seal(&node);
    }
    assert_eq!(node.finalized(), 120);
    let log = node.log();
    assert!(log.matches("New epoch").count() >= 2, "{log}");
    // The chain is now ahead of the wall clock; a restart goes on from its own time.
    let last = node.timestamp(120);
    assert!(node.stop("TERM").success());
    node = Node::start(base.path(), &["--dev", "--no-eth-rpc", "--sealing", "manual"]);
    seal(&node);
    assert_eq!(node.timestamp(121) - last, SLOT_MILLIS);
}

#[test]
fn interval_sealing_should_make_final_blocks_by_itself() {
    let base = directory();
    let mut node = Node::start(
        base.path(),
        &["--dev", "--no-eth-rpc", "--sealing", "interval=200"],
    );
    node.wait_for("blocks", |node| node.finalized() >= 5);
    assert!(
        node.try_rpc("engine_createBlock", json!([true, true, null]))
            .is_err(),
        "only manual sealing takes requests"
    );
}

#[test]
fn instant_sealing_should_make_a_block_for_a_transaction() {
    let base = directory();
    let eth = free_port();
    let mut node = Node::start(
        base.path(),
        &[
            "--dev",
            "--sealing",
            "instant",
            "--eth-rpc-port",
            &eth.to_string(),
        ],
    );
    node.wait_for("the Ethereum RPC", |_| rpc(eth, "eth_chainId", json!([])).is_ok());
    let accounts = rpc(eth, "eth_accounts", json!([])).unwrap();
    let (from, to) = (accounts[0].clone(), accounts[1].clone());
    assert_eq!(node.best(), 0);
    for height in 1..=3 {
        let sent = rpc(
            eth,
            "eth_sendTransaction",
            json!([{ "from": from, "to": to, "value": "0x1" }]),
        );
        sent.unwrap_or_else(|error| panic!("{error}\n{}", node.log()));
        node.wait_for("the transaction's block", |node| node.finalized() >= height);
        assert_eq!(node.best(), height, "one transaction, one block");
    }
}

#[test]
fn sealing_should_be_refused_elsewhere() {
    let base = directory();
    let ended = run(&[
        "--chain",
        "local",
        "--alice",
        "--sealing",
        "instant",
        "--base-path",
        text(base.path()),
    ]);
    assert!(ended.only_line().contains("--sealing"));
    let ended = run(&[
        "--chain",
        "dev",
        "--sealing",
        "manual",
        "--base-path",
        text(base.path()),
    ]);
    assert!(ended.only_line().contains("--dev"), "{}", ended.stderr);
    assert!(!has_database(base.path()));
}

#[test]
fn sealed_blocks_should_be_valid_to_everybody_else() {
    let base = directory();
    let (first, second) = (base.path().join("first"), base.path().join("second"));
    let node = Node::start(&first, &["--dev", "--no-eth-rpc", "--sealing", "manual"]);
    for _ in 0..3 {
        seal(&node);
    }
    let (head, ahead) = (node.block_hash(3), node.timestamp(3));
    assert!(node.stop("TERM").success());

    let file = base.path().join("blocks");
    let exported = run(&[
        "export-blocks",
        "--chain",
        "dev",
        "--base-path",
        text(&first),
        "--binary",
        text(&file),
    ]);
    assert!(exported.status.success(), "{}", exported.stderr);
    // Block import takes no block from the future.
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis() as u64;
    std::thread::sleep(Duration::from_millis(ahead.saturating_sub(now)));
    let imported = run(&[
        "import-blocks",
        "--chain",
        "dev",
        "--base-path",
        text(&second),
        "--binary",
        text(&file),
    ]);
    assert!(imported.status.success(), "{}", imported.stderr);
    let info = run(&["chain-info", "--chain", "dev", "--base-path", text(&second)]);
    assert!(
        info.stdout.contains(head.as_str().unwrap()),
        "{}{}",
        info.stdout,
        info.stderr
    );
    let checked = run(&["check-block", "2", "--chain", "dev", "--base-path", text(&second)]);
    assert!(checked.status.success(), "{}", checked.stderr);
}

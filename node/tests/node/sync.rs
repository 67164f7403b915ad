//! A new node catches up in each way there is.

use crate::harness::*;
use serde_json::json;

#[test]
fn a_new_node_should_catch_up_by_warp_state_and_full_sync() {
    let base = directory();
    let mut source = Node::start(&base.path().join("source"), &["--dev", "--no-eth-rpc"]);
    source.wait_for("some final blocks", |node| node.finalized() >= 6);
    let peer = source.rpc("system_localPeerId", json!([]));
    let address = format!(
        "/ip4/127.0.0.1/tcp/{}/p2p/{}",
        source.p2p_port,
        peer.as_str().unwrap()
    );
    for mode in ["warp", "fast", "full"] {
        let target = source.finalized();
        let mut node = Node::start(
            &base.path().join(mode),
            &["--chain", "dev", "--sync", mode, "--bootnodes", &address],
        );
        node.wait_for(&format!("{mode} sync"), |node| node.finalized() >= target);
        // After a warp the older headers follow in the background.
        let expected = source.block_hash(target);
        node.wait_for("older headers", |node| node.block_hash(target) == expected);
        // It follows what comes after, and can answer about it.
        node.wait_for("a block after the sync", |node| node.finalized() > target + 1);
        // Blocks that came without their state are final before it is there, and asked about in vain.
        node.wait_for("the state of a final block", |node| {
            let block = node.block_hash(node.finalized());
            let state = node.try_rpc("state_getStorage", json!([TIMESTAMP_NOW, block]));
            state.is_ok_and(|value| value.is_string())
        });
        if mode == "warp" {
            assert!(node.log().contains("Warp sync is complete"), "{}", node.log());
        }
        assert!(node.stop("TERM").success());
    }
}

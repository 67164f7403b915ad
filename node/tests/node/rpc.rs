//! What the node answers, and to whom.

use crate::harness::*;
use serde_json::{json, Value};

fn methods(node: &Node) -> Vec<String> {
    let listed = node.rpc("rpc_methods", json!([]));
    listed["methods"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap().to_string())
        .collect()
}

#[test]
fn the_full_set_of_methods_should_be_there() {
    let base = directory();
    let node = Node::start(base.path(), &["--dev", "--no-eth-rpc", "--sealing", "manual"]);
    let methods = methods(&node);
    for method in [
        "account_nextIndex",
        "archive_v1_body",
        "author_rotateKeysWithOwner",
        "author_submitAndWatchExtrinsic",
        "babe_epochAuthorship",
        "chainHead_v1_follow",
        "chainSpec_v1_genesisHash",
        "chain_subscribeFinalizedHeads",
        "dev_getBlockStats",
        "engine_createBlock",
        "grandpa_proveFinality",
        "grandpa_roundState",
        "payment_queryInfo",
        "state_getReadProof",
        "state_traceBlock",
        "sync_state_genSyncSpec",
        "system_dryRun",
        "transactionWatch_v1_submitAndWatch",
    ] {
        assert!(methods.iter().any(|known| known == method), "{method} is missing");
    }
    assert_eq!(
        node.rpc("system_properties", json!([])),
        json!({ "ss58Format": 42, "tokenDecimals": 18, "tokenSymbol": "OPEN" })
    );
    node.rpc("engine_createBlock", json!([true, true, null]));
    assert!(
        node.rpc("dev_getBlockStats", json!([node.block_hash(1)]))["blockLen"]
            .as_u64()
            .is_some()
    );
    let slots = node.rpc("babe_epochAuthorship", json!([]));
    assert_eq!(slots.as_object().map(|authors| authors.len()), Some(1), "{slots}");
    let spec = node.rpc("sync_state_genSyncSpec", json!([true]));
    assert!(spec["lightSyncState"].is_object(), "no sync state in the spec");
}

#[test]
fn developers_methods_should_stay_with_developers() {
    let base = directory();
    let node = Node::start(base.path(), &["--chain", "local"]);
    let methods = methods(&node);
    for method in ["dev_getBlockStats", "engine_createBlock"] {
        assert!(!methods.iter().any(|known| known == method), "{method} is served");
    }
}

#[test]
fn unsafe_methods_should_be_refused_when_told_so() {
    let base = directory();
    let node = Node::start(
        base.path(),
        &[
            "--dev",
            "--no-eth-rpc",
            "--sealing",
            "manual",
            "--rpc-methods",
            "safe",
        ],
    );
    for (method, params) in [
        ("author_rotateKeys", json!([])),
        ("system_addReservedPeer", json!(["x"])),
    ] {
        let error = node.try_rpc(method, params).unwrap_err();
        assert!(error.contains("unsafe"), "{error}");
    }
    assert!(node.try_rpc("system_health", json!([])).is_ok());
}

#[test]
fn servers_should_listen_on_loopback_only() {
    let base = directory();
    let (eth, metrics) = (free_port().to_string(), free_port().to_string());
    let (rpc_port, p2p) = (free_port().to_string(), free_port().to_string());
    let mut child = command(&["--dev", "--base-path", text(base.path()), "--sealing", "manual"])
        .args([
            "--rpc-port",
            &rpc_port,
            "--port",
            &p2p,
            "--eth-rpc-port",
            &eth,
            "--prometheus-port",
            &metrics,
        ])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let start = std::time::Instant::now();
    let ports = [&rpc_port, &p2p, &eth, &metrics].map(|port| port.parse::<u16>().unwrap());
    let mut open = Vec::new();
    while open.len() < ports.len() && start.elapsed() < PATIENCE {
        std::thread::sleep(PAUSE);
        open = ports
            .iter()
            .filter(|port| !listeners(child.id(), **port).is_empty())
            .collect();
    }
    let all: Vec<(u16, Vec<String>)> = ports
        .iter()
        .map(|port| (*port, listeners(child.id(), *port)))
        .collect();
    let scraped = http(ports[3], "GET /metrics HTTP/1.1\r\n", "");
    child.kill().unwrap();
    child.wait().unwrap();
    for (port, addresses) in all {
        assert!(!addresses.is_empty(), "nothing listens on {port}");
        // As the kernel writes them: 127.0.0.1, and ::1.
        for address in addresses {
            assert!(
                address == "0100007F" || address == "00000000000000000000000001000000",
                "port {port} is open to others: {address}"
            );
        }
    }
    assert!(scraped.unwrap().contains("substrate_block_height"));
}

/// Addresses on which process `id` listens to TCP `port`, as `/proc` writes them.
fn listeners(id: u32, port: u16) -> Vec<String> {
    ["tcp", "tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(format!("/proc/{id}/net/{table}")).ok())
        .flat_map(|table| table.lines().skip(1).map(str::to_string).collect::<Vec<_>>())
        .filter_map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let (address, hex_port) = columns.get(1)?.split_once(':')?;
            // 0A: listening.
            (*columns.get(3)? == "0A" && u16::from_str_radix(hex_port, 16).ok()? == port)
                .then(|| address.to_string())
        })
        .collect()
}

#[test]
fn specs_should_name_each_chain_and_hold_its_runtime() {
    for (chain, id) in [
        ("dev", "openledger_dev"),
        ("local", "openledger_local"),
        ("testnet", "openledger_testnet"),
        ("main", "openledger"),
    ] {
        let exported = run(&["export-chain-spec", "--chain", chain, "--raw"]);
        assert!(exported.status.success(), "{chain}: {}", exported.stderr);
        let spec: Value = serde_json::from_str(&exported.stdout).unwrap();
        assert_eq!(spec["id"], json!(id));
        let code = spec["genesis"]["raw"]["top"]["0x3a636f6465"].as_str().unwrap();
        assert!(code.len() > 100_000, "{chain} has no runtime");
    }
}

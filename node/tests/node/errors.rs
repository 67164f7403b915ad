//! Everything an operator can get wrong: one line, a non-zero exit, nothing damaged.

use crate::harness::*;
use serde_json::{json, Value};
use std::net::{TcpListener, UdpSocket};

#[test]
fn version_and_help_should_be_printed() {
    let version = run(&["--version"]);
    assert!(version.status.success());
    assert!(
        version.stdout.contains(env!("CARGO_PKG_VERSION")),
        "{}",
        version.stdout
    );
    let help = run(&["--help"]);
    assert!(help.status.success());
    for flag in [
        "--sealing",
        "--eth-rpc-port",
        "--db-storage-threshold",
        "session-keys",
    ] {
        assert!(help.stdout.contains(flag), "{flag} is not in the help");
    }
}

#[test]
fn wrong_flags_should_be_refused() {
    let ended = run(&["--dev", "--sealling", "instant"]);
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.only_line().contains("--sealling"));
    let ended = run(&["--dev", "--sealing", "sometimes"]);
    assert!(ended.only_line().contains("interval=MILLISECONDS"));
    let ended = run(&["no-such-command"]);
    assert!(ended.only_line().contains("no-such-command"));
    let ended = run(&["--dev", "--rpc-port", "99999"]);
    assert!(ended.only_line().contains("99999"));
}

#[test]
fn a_missing_chain_should_be_asked_for() {
    let ended = run(&[]);
    let line = ended.only_line();
    for choice in ["--dev", "local", "testnet", "main"] {
        assert!(line.contains(choice), "{line}");
    }
}

#[test]
fn bad_chain_specs_should_be_refused() {
    let base = directory();
    let refuse = |chain: &str| {
        let ended = run(&["--chain", chain, "--base-path", text(&base.path().join("data"))]);
        let line = ended.only_line().to_string();
        assert!(line.contains(chain), "{line}");
        line
    };
    assert!(refuse("/no/such/spec.json").contains("no chain spec"));
    let file = base.path().join("spec.json");
    std::fs::write(&file, "{ not json").unwrap();
    assert!(refuse(text(&file)).contains("not a chain spec"));
    // A spec as it is exported, with its runtime taken out.
    let exported = run(&["export-chain-spec", "--chain", "local"]);
    assert!(exported.status.success(), "{}", exported.stderr);
    let mut spec: Value = serde_json::from_str(&exported.stdout).unwrap();
    spec["genesis"]["runtimeGenesis"]["code"] = json!("0x");
    std::fs::write(&file, spec.to_string()).unwrap();
    assert!(refuse(text(&file)).contains("code is empty"));
    // A runtime that is none.
    spec["genesis"]["runtimeGenesis"]["code"] = json!("0x00112233");
    std::fs::write(&file, spec.to_string()).unwrap();
    let ended = Node::spawn(&base.path().join("data"), &["--chain", text(&file)]).ended();
    let line = ended.error_line();
    assert!(line.contains("wasm") || line.contains("Wasm"), "{line}");
}

#[test]
fn a_chain_without_validators_should_be_refused() {
    let base = directory();
    let mut spec: Value = {
        let exported = run(&["export-chain-spec", "--chain", "local", "--raw"]);
        assert!(exported.status.success(), "{}", exported.stderr);
        serde_json::from_str(&exported.stdout).unwrap()
    };
    // `Grandpa::Authorities`.
    let authorities = "0x5f9cc45b7a00c5899361e1c6099678dc5e0621c4869aa60c02be9adcc98a0d1d";
    let top = spec["genesis"]["raw"]["top"].as_object_mut().unwrap();
    assert!(top.remove(authorities).is_some());
    let file = base.path().join("spec.json");
    std::fs::write(&file, spec.to_string()).unwrap();
    let ended = Node::spawn(&base.path().join("data"), &["--chain", text(&file)]).ended();
    assert!(ended.error_line().contains("no validators"), "{}", ended.stderr);
    assert!(!has_database(&base.path().join("data")));
}

#[test]
fn bad_keys_should_be_refused() {
    let base = directory();
    let data = base.path().join("data");
    let start = |args: &[&str]| {
        let (rpc, p2p) = (free_port().to_string(), free_port().to_string());
        let mut all = vec![
            "--dev",
            "--no-prometheus",
            "--no-eth-rpc",
            "--base-path",
            text(&data),
        ];
        all.extend(["--rpc-port", &rpc, "--port", &p2p]);
        all.extend(args);
        run(&all)
    };
    assert!(start(&["--node-key", "xyz"]).only_line().contains("node key"));
    let file = base.path().join("key");
    std::fs::write(&file, "too short").unwrap();
    assert!(start(&["--node-key-file", text(&file)])
        .only_line()
        .contains(text(&file)));
    assert!(
        !has_database(&data),
        "a database was made for a node that cannot start"
    );

    let insert = |suri: &str, kind: &str| {
        run(&[
            "key",
            "insert",
            "--chain",
            "dev",
            "--base-path",
            text(&data),
            "--scheme",
            "sr25519",
            "--suri",
            suri,
            "--key-type",
            kind,
        ])
    };
    insert("//", "babe").only_line();
    insert("certainly no mnemonic", "babe").only_line();
    insert("//Alice", "toolong").only_line();
    assert!(insert("//Alice", "babe").status.success());
    // A validator of a live chain needs an identity.
    let ended = run(&["--chain", "testnet", "--validator", "--base-path", text(&data)]);
    assert!(ended.only_line().contains("generate-node-key"));
}

#[test]
fn used_ports_should_be_refused() {
    let base = directory();
    let data = base.path().join("data");
    let refuse = |flag: &str, port: u16, args: &[&str]| {
        let (rpc, p2p, eth) = (
            free_port().to_string(),
            free_port().to_string(),
            free_port().to_string(),
        );
        let port = port.to_string();
        let mut all = vec!["--dev", "--base-path", text(&data), flag, &port];
        for (other, number) in [("--rpc-port", &rpc), ("--port", &p2p), ("--eth-rpc-port", &eth)] {
            if other != flag {
                all.extend([other, number]);
            }
        }
        all.extend(args);
        let ended = run(&all);
        let line = ended.only_line();
        assert!(
            line.contains(&port) && line.contains(flag) && line.contains("in use"),
            "{line}"
        );
    };
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().port();
    refuse("--rpc-port", taken, &["--no-prometheus"]);
    refuse("--eth-rpc-port", taken, &["--no-prometheus"]);
    refuse("--port", taken, &["--no-prometheus"]);
    refuse("--prometheus-port", taken, &[]);
    // A full node also listens on UDP.
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = udp.local_addr().unwrap().port().to_string();
    let rpc = free_port().to_string();
    let ended = run(&[
        "--chain",
        "local",
        "--no-mdns",
        "--no-prometheus",
        "--base-path",
        text(&data),
        "--rpc-port",
        &rpc,
        "--port",
        &taken,
    ]);
    assert!(ended.only_line().contains(&taken));
    assert!(
        !has_database(&data),
        "a database was made for a node that cannot start"
    );
}

#[test]
fn two_services_on_one_port_should_be_refused() {
    let base = directory();
    let (port, p2p) = (free_port().to_string(), free_port().to_string());
    let ended = run(&[
        "--dev",
        "--no-prometheus",
        "--base-path",
        text(base.path()),
        "--port",
        &p2p,
        "--rpc-port",
        &port,
        "--eth-rpc-port",
        &port,
    ]);
    assert!(ended.only_line().contains("twice"));
}

#[test]
fn too_little_disk_should_be_refused_before_anything_is_written() {
    let base = directory();
    let data = base.path().join("data");
    let (rpc, p2p) = (free_port().to_string(), free_port().to_string());
    let ended = run(&[
        "--dev",
        "--no-eth-rpc",
        "--no-prometheus",
        "--base-path",
        text(&data),
        "--rpc-port",
        &rpc,
        "--port",
        &p2p,
        "--db-storage-threshold",
        "1000000000000",
    ]);
    assert!(ended.only_line().contains("--db-storage-threshold"));
    assert!(!has_database(&data));
}

#[test]
fn rocksdb_should_be_refused_by_name_and_on_disk() {
    let base = directory();
    let ended = run(&["--dev", "--database", "rocksdb", "--base-path", text(base.path())]);
    assert!(ended.only_line().to_lowercase().contains("rocksdb"));
    let old = base.path().join("chains/openledger_dev/db/full");
    std::fs::create_dir_all(&old).unwrap();
    std::fs::write(old.join("CURRENT"), "MANIFEST-000001\n").unwrap();
    let ended = run(&["--dev", "--base-path", text(base.path())]);
    assert!(ended.only_line().contains(text(&old)));
    assert!(old.join("CURRENT").exists() && !has_database(base.path()));
}

#[test]
fn another_chains_database_should_be_refused_and_kept() {
    let base = directory();
    let data = base.path().join("data");
    let node = Node::start(&data, &["--dev", "--no-eth-rpc", "--sealing", "manual"]);
    let made = node.rpc("engine_createBlock", json!([true, true, null]))["hash"].clone();
    let genesis = node.block_hash(0);
    assert!(node.stop("TERM").success());

    // Another genesis under the same id, so the same directory.
    let exported = run(&["export-chain-spec", "--chain", "local", "--raw"]);
    assert!(exported.status.success(), "{}", exported.stderr);
    let mut spec: Value = serde_json::from_str(&exported.stdout).unwrap();
    spec["id"] = json!("openledger_dev");
    let file = base.path().join("other.json");
    std::fs::write(&file, spec.to_string()).unwrap();
    let ended = Node::spawn(&data, &["--chain", text(&file)]).ended();
    let line = ended.error_line();
    assert!(
        line.contains("another chain") && line.contains(genesis.as_str().unwrap()),
        "{line}"
    );

    let node = Node::start(&data, &["--dev", "--no-eth-rpc", "--sealing", "manual"]);
    assert_eq!(node.block_hash(1), made);
    node.rpc("engine_createBlock", json!([true, true, null]));
    assert_eq!(node.best(), 2);
}

#[test]
fn a_database_in_use_should_be_refused_and_left_alone() {
    let base = directory();
    let node = Node::start(base.path(), &["--dev", "--no-eth-rpc", "--sealing", "manual"]);
    let (rpc, p2p) = (free_port().to_string(), free_port().to_string());
    let ended = run(&[
        "--dev",
        "--no-eth-rpc",
        "--no-prometheus",
        "--base-path",
        text(base.path()),
        "--rpc-port",
        &rpc,
        "--port",
        &p2p,
    ]);
    assert!(ended.error_line().contains("in use"), "{}", ended.stderr);
    node.rpc("engine_createBlock", json!([true, true, null]));
    assert_eq!(node.best(), 1);
}

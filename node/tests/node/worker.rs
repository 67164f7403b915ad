//! A node that is paired with a worker.

use crate::harness::*;
use serde_json::json;
use std::{
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// `openledger::worker::url`, as hexadecimal digits.
const URL_KEY: &str = "0x6f70656e6c65646765723a3a776f726b65723a3a75726c";
/// `openledger::worker::secret`, as hexadecimal digits.
const SECRET_KEY: &str = "0x6f70656e6c65646765723a3a776f726b65723a3a736563726574";
/// What node and worker share.
const SECRET: &str = "5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2";

/// A file with the secret.
fn secret(base: &Path, mode: u32) -> PathBuf {
    let file = base.join(format!("secret-{mode:o}"));
    std::fs::write(&file, format!("0x{SECRET}\n")).expect("the file can be written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("its mode can be set");
    file
}

/// What the node's offchain database holds under a key.
fn held(node: &Node, key: &str) -> Option<String> {
    let value = node.rpc("offchain_localStorageGet", json!(["PERSISTENT", key]));
    value.as_str().map(Into::into)
}

#[test]
fn a_worker_that_cannot_be_paired_with_should_be_refused() {
    let base = directory();
    let (good, open) = (secret(base.path(), 0o600), secret(base.path(), 0o644));
    let refuse = |args: &[&str]| {
        let place = ["--dev", "--base-path", text(base.path())];
        let ended = run(&[&place, args].concat());
        let line = ended.error_line().to_string();
        assert!(!line.contains(SECRET), "{line}");
        line
    };
    let url = "http://127.0.0.1:1";
    assert!(refuse(&["--worker", url]).contains("--worker-secret-file"));
    assert!(refuse(&["--worker-secret-file", text(&good)]).contains("--worker"));
    assert!(
        refuse(&["--worker", "nowhere", "--worker-secret-file", text(&good)]).contains("http://HOST:PORT")
    );
    assert!(refuse(&["--worker", url, "--worker-secret-file", text(&open)]).contains("chmod 600"));
    assert!(refuse(&["--worker", url, "--worker-secret-file", "/no/such"]).contains("/no/such"));
    let pair = ["--worker", url, "--worker-secret-file", text(&good)];
    assert!(refuse(&[&pair[..], &["--offchain-worker", "never"]].concat()).contains("--offchain-worker"));
    for filter in ["-loffchain-worker=debug", "-ltrace"] {
        assert!(
            refuse(&[&pair[..], &[filter]].concat()).contains("offchain-worker::storage"),
            "{filter}"
        );
    }
    assert!(!has_database(base.path()));
}

#[test]
fn a_paired_node_should_hold_url_secret_and_key_as_long_as_it_is_paired() {
    let base = directory();
    let file = secret(base.path(), 0o600);
    let alone = ["--dev", "--no-eth-rpc", "--sealing", "manual"];
    let paired = [
        &alone[..],
        &[
            "--worker",
            "http://127.0.0.1:1/",
            "--worker-secret-file",
            text(&file),
        ],
    ]
    .concat();
    let key = |node: &Node| node.rpc("worker_resultKey", json!([])).as_str().map(String::from);

    let mut node = Node::start(base.path(), &paired);
    let first = key(&node).expect("there is a key");
    assert_eq!(unhex(&first).len(), 32);
    assert_eq!(
        held(&node, URL_KEY).map(|url| unhex(&url)),
        Some(b"http://127.0.0.1:1".to_vec())
    );
    assert_eq!(held(&node, SECRET_KEY), Some(format!("0x{SECRET}")));
    let name = format!("6f6c776b{}", first.trim_start_matches("0x"));
    assert!(base
        .path()
        .join("chains/openledger_dev/keystore")
        .join(name)
        .exists());
    node.wait_for("the key in the log", |node| node.log().contains(&first));
    node.stop("TERM");

    let node = Node::start(base.path(), &paired);
    assert_eq!(key(&node), Some(first));
    // Its hook runs, and finds no worker that is this node's.
    node.rpc("engine_createBlock", json!([true, true, null]));
    assert!(!node.log().contains(SECRET), "{}", node.log());
    node.stop("TERM");

    let node = Node::start(base.path(), &alone);
    assert_eq!((held(&node, URL_KEY), held(&node, SECRET_KEY)), (None, None));
    assert!(node.try_rpc("worker_resultKey", json!([])).is_err());
}

#[test]
fn the_result_key_should_be_told_where_only_safe_methods_are() {
    let base = directory();
    let file = secret(base.path(), 0o600);
    let node = Node::start(
        base.path(),
        &[
            "--dev",
            "--no-eth-rpc",
            "--sealing",
            "manual",
            "--rpc-methods",
            "safe",
            "--worker",
            "http://127.0.0.1:1",
            "--worker-secret-file",
            text(&file),
        ],
    );
    assert!(node.try_rpc("worker_resultKey", json!([])).is_ok());
    // But not the secret.
    assert!(node
        .try_rpc("offchain_localStorageGet", json!(["PERSISTENT", SECRET_KEY]))
        .is_err());
}

#[test]
fn a_node_whose_key_no_worker_has_should_ask_nobody() {
    let base = directory();
    let file = secret(base.path(), 0o600);
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let node = Node::start(
        base.path(),
        &[
            "--dev",
            "--no-eth-rpc",
            "--sealing",
            "manual",
            "--worker",
            &url,
            "--worker-secret-file",
            text(&file),
        ],
    );
    for _ in 0..3 {
        node.rpc("engine_createBlock", json!([true, true, null]));
    }
    node.stop("TERM");
    listener
        .set_nonblocking(true)
        .expect("it can be asked without waiting");
    if let Ok((mut stream, _)) = listener.accept() {
        let mut request = [0; 64];
        let read = stream.read(&mut request).unwrap_or(0);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        panic!("asked: {:?}", String::from_utf8_lossy(&request[..read]));
    }
}

//! Content from one process to another, as a person types it.

use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

/// A `content serve` that ends with its test.
struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn worker(dir: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_openledger-worker"));
    command.args(line.split(' ')).current_dir(dir);
    command
}

fn serve(dir: &Path, flags: &str) -> Server {
    let line = format!("content serve --data server --listen 127.0.0.1:0 --json{flags}");
    let mut child = worker(dir, &line).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut said)
        .unwrap();
    let said: Value = serde_json::from_str(&said).unwrap();
    let addresses = said["addresses"].as_array().unwrap().iter();
    let mut addresses = addresses.map(|address| address.as_str().unwrap().to_owned());
    let address = addresses.find(|address| address.contains("/tcp/")).unwrap();
    Server { child, address }
}

fn json(dir: &Path, line: &str) -> (bool, Value, String) {
    let output = worker(dir, line).output().unwrap();
    (
        output.status.success(),
        serde_json::from_slice(&output.stdout).unwrap_or_default(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn a_fetch_that_is_killed_should_leave_nothing_that_looks_whole_and_go_on_later() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let whole: Vec<u8> = (0..20u32 << 20)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    std::fs::write(dir.join("file"), &whole).unwrap();
    let (_, added, _) = json(dir, "content add --data server file --json");
    assert_eq!((&added["blocks"], &added["public"]), (&21.into(), &true.into()));
    let cid = added["cid"].as_str().unwrap();
    let get = |address: &str| format!("content get --data client {cid} --out out --json --peer {address}");

    // Slow enough that it is killed long before the end.
    let slow = serve(dir, " --upload 2097152");
    let mut killed = worker(dir, &get(&slow.address))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(killed.stderr.take().unwrap()).lines();
    // The root alone is not kept.
    let fetched = |line: &str| line.split(' ').next().and_then(|count| count.parse::<u64>().ok());
    let is_under_way = |line: &str| fetched(line).is_some_and(|blocks| blocks >= 3);
    let line = told
        .find(|line| is_under_way(line.as_ref().unwrap()))
        .unwrap()
        .unwrap();
    killed.kill().unwrap();
    killed.wait().unwrap();
    drop(slow);
    assert!(!dir.join("out").exists(), "{line}");
    let (ok, _, why) = json(dir, &format!("content get --data client {cid} --out out"));
    assert!(!ok && why.contains("not in this store"), "{why}");

    let fast = serve(dir, " --upload 0");
    let (ok, got, why) = json(dir, &get(&fast.address));
    assert!(ok, "{why}");
    let number = |name: &str| got[name].as_u64().unwrap();
    assert_eq!(number("fetched_blocks") + number("here_blocks"), 21, "{got}");
    assert!((1..21).contains(&number("here_blocks")), "{got}");
    assert!(std::fs::read(dir.join("out")).unwrap() == whole);
}

#[test]
fn peers_should_be_asked_and_private_files_kept() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("public"), "for everyone").unwrap();
    std::fs::write(dir.join("private"), "for nobody").unwrap();
    let add = |line: &str| json(dir, line).1["cid"].as_str().unwrap().to_owned();
    let public = add("content add --data server public --json");
    let private = add("content add --data server private --private --json");
    let server = serve(dir, "");
    let at = &server.address;

    let (ok, checked, why) = json(
        dir,
        &format!("content check --data client --json --count 2 {public} {at}"),
    );
    assert!(ok, "{why}");
    assert_eq!(checked["on_record"]["held"], 2);
    assert_eq!(checked["checks"][0]["verdict"], "held");
    assert_eq!(checked["checks"][0]["bytes"], 12);
    let (ok, checked, why) = json(
        dir,
        &format!("content check --data client --json --count 1 {private} {at}"),
    );
    assert!(!ok && why.contains("showed 0 of 1"), "{why}");
    assert_eq!(checked["on_record"]["asked"], 3);
    assert_eq!(checked["on_record"]["absent"], 1);
    assert_eq!(
        std::fs::read_to_string(dir.join("client/checks.jsonl"))
            .unwrap()
            .lines()
            .count(),
        3
    );

    let (ok, _, why) = json(
        dir,
        &format!("content get --data client {private} --out x --peer {at}"),
    );
    assert!(!ok && why.contains("was not to be had"), "{why}");
    let (ok, got, _) = json(
        dir,
        &format!("content get --data client {public} --out x --json --peer {at}"),
    );
    assert!(ok && got["fetched_blocks"] == 1, "{got}");
    assert_eq!(std::fs::read_to_string(dir.join("x")).unwrap(), "for everyone");
    let (ok, _, why) = json(
        dir,
        &format!("content get --data client {public} --out x --peer /ip4/127.0.0.1/tcp/1"),
    );
    assert!(!ok && why.contains("/p2p/"), "{why}");
}

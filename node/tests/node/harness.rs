//! Starts nodes in directories of their own, on ports the system picked, and talks to them over HTTP.

use serde_json::{json, Value};
use std::{
    fs::File,
    io::{Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long anything may take on a slow machine before a test gives up. Nothing waits this long when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);
/// Pause between two looks.
pub(crate) const PAUSE: Duration = Duration::from_millis(100);

/// Well-known account of Alice.
pub(crate) const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
/// Storage key of `Timestamp::Now`.
pub(crate) const TIMESTAMP_NOW: &str = "0xf0c365c3cf59d671eb72da0e7a4113c49f1f0515f462cdcf84e0f1d6045dfcbb";

pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_openledger-node"));
    command
        .args(args)
        .stdin(Stdio::null())
        .env_remove("RUST_LOG")
        .env_remove("RUST_BACKTRACE");
    command
}

/// What a command printed, and how it ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The one line a failed command must end in; checks that it is no panic.
    pub(crate) fn error_line(&self) -> &str {
        assert!(
            !self.status.success(),
            "should have failed; stdout: {}",
            self.stdout
        );
        let all = format!("{}{}", self.stdout, self.stderr);
        for forbidden in ["panicked", "stack backtrace", "This is a bug"] {
            assert!(!all.contains(forbidden), "{all}");
        }
        // The log is written by a thread of its own, so on a busy machine a line of it may still follow.
        let mut lines = self.stderr.lines().filter(|line| line.starts_with("Error: "));
        let line = lines
            .next()
            .unwrap_or_else(|| panic!("no error line: {}", self.stderr));
        assert_eq!(lines.next(), None, "more than one error line: {}", self.stderr);
        line
    }

    /// The line of a command that failed before it did anything: there is no other.
    pub(crate) fn only_line(&self) -> &str {
        let line = self.error_line();
        assert_eq!(
            self.stderr.lines().count(),
            1,
            "more than one line: {}",
            self.stderr
        );
        line
    }
}

/// Runs the binary to its end.
pub(crate) fn run(args: &[&str]) -> Ended {
    let mut child = command(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let reader = |mut pipe: Box<dyn Read + Send>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            pipe.read_to_end(&mut bytes).expect("output can be read");
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let stdout = reader(Box::new(child.stdout.take().expect("piped")));
    let stderr = reader(Box::new(child.stderr.take().expect("piped")));
    let status = wait(&mut child);
    Ended {
        status,
        stdout: stdout.join().expect("reader ends"),
        stderr: stderr.join().expect("reader ends"),
    }
}

fn wait(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("the child can be waited for") {
            return status;
        }
        if start.elapsed() > PATIENCE {
            child.kill().expect("the child can be killed");
            panic!("did not end within {PATIENCE:?}");
        }
        std::thread::sleep(PAUSE);
    }
}

/// A port that was free a moment ago, for TCP and UDP.
pub(crate) fn free_port() -> u16 {
    for _ in 0..100 {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let port = tcp.local_addr().expect("bound").port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free for TCP and UDP");
}

/// A directory that is gone after the test.
pub(crate) fn directory() -> TempDir {
    tempfile::Builder::new()
        .prefix("openledger-test-")
        .tempdir()
        .expect("a temporary directory")
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

/// A running node.
pub(crate) struct Node {
    child: Child,
    pub(crate) rpc_port: u16,
    pub(crate) p2p_port: u16,
    log: PathBuf,
}

impl Node {
    /// Starts a node in `base` with `args` beside its own ports, and waits for its RPC.
    pub(crate) fn start(base: &Path, args: &[&str]) -> Self {
        let mut node = Self::spawn(base, args);
        node.wait_for("its RPC", |node| node.try_rpc("system_name", json!([])).is_ok());
        node
    }

    /// Starts a node and does not wait.
    pub(crate) fn spawn(base: &Path, args: &[&str]) -> Self {
        let (rpc_port, p2p_port) = (free_port(), free_port());
        std::fs::create_dir_all(base).expect("the base path can be made");
        let log = base.join("log");
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .expect("the log can be written");
        let child = command(&["--base-path", text(base), "--no-prometheus", "--no-mdns"])
            // Live chains would listen on every interface.
            .args(["--rpc-port", &rpc_port.to_string()])
            .args(["--listen-addr", &format!("/ip4/127.0.0.1/tcp/{p2p_port}")])
            .args(args)
            .stdout(output.try_clone().expect("a second handle"))
            .stderr(output)
            .spawn()
            .expect("the binary starts");
        Self {
            child,
            rpc_port,
            p2p_port,
            log,
        }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until `done`; fails with the log if the node ends before or time runs out.
    pub(crate) fn wait_for(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            if let Some(status) = self.child.try_wait().expect("the child can be waited for") {
                panic!(
                    "the node ended with {status} while the test waited for {what}:\n{}",
                    self.log()
                );
            }
            assert!(
                start.elapsed() < PATIENCE,
                "waited {PATIENCE:?} for {what}:\n{}",
                self.log()
            );
            std::thread::sleep(PAUSE);
        }
    }

    pub(crate) fn rpc(&self, method: &str, params: Value) -> Value {
        self.try_rpc(method, params)
            .unwrap_or_else(|error| panic!("{method}: {error}\n{}", self.log()))
    }

    pub(crate) fn try_rpc(&self, method: &str, params: Value) -> Result<Value, String> {
        rpc(self.rpc_port, method, params)
    }

    fn height(&self, hash: Value) -> u64 {
        let header = self.rpc("chain_getHeader", json!([hash]));
        let number = header["number"]
            .as_str()
            .unwrap_or_else(|| panic!("no number in {header}"));
        u64::from_str_radix(number.trim_start_matches("0x"), 16).expect("a hex number")
    }

    pub(crate) fn best(&self) -> u64 {
        self.height(self.rpc("chain_getBlockHash", json!([])))
    }

    pub(crate) fn finalized(&self) -> u64 {
        self.height(self.rpc("chain_getFinalizedHead", json!([])))
    }

    pub(crate) fn block_hash(&self, number: u64) -> Value {
        self.rpc("chain_getBlockHash", json!([number]))
    }

    /// Milliseconds the block at `number` is stamped with.
    pub(crate) fn timestamp(&self, number: u64) -> u64 {
        let value = self.rpc(
            "state_getStorage",
            json!([TIMESTAMP_NOW, self.block_hash(number)]),
        );
        let bytes = unhex(value.as_str().expect("the block has a timestamp"));
        u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
    }

    /// Sends a signal and waits for the end.
    pub(crate) fn stop(mut self, signal: &str) -> ExitStatus {
        let sent = Command::new("kill")
            .args([&format!("-{signal}"), &self.child.id().to_string()])
            .status();
        assert!(sent.expect("kill runs").success());
        wait(&mut self.child)
    }

    /// Waits for the node to end by itself; returns how, and its log.
    pub(crate) fn ended(mut self) -> Ended {
        let status = wait(&mut self.child);
        Ended {
            status,
            stdout: String::new(),
            stderr: self.log(),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Fails when it has ended already, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One JSON-RPC call to `port` on loopback.
pub(crate) fn rpc(port: u16, method: &str, params: Value) -> Result<Value, String> {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let answer = http(
        port,
        &format!(
            "POST / HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        ),
        &body,
    )?;
    let answer: Value = serde_json::from_str(&answer).map_err(|error| format!("{error}: {answer}"))?;
    match answer.get("error") {
        Some(error) => Err(error.to_string()),
        None => Ok(answer["result"].clone()),
    }
}

/// One HTTP exchange; `head` ends in `\r\n` and lacks host and connection.
pub(crate) fn http(port: u16, head: &str, body: &str) -> Result<String, String> {
    let exchange = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "{head}Host: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = exchange().map_err(|error| error.to_string())?;
    let (_, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| format!("not HTTP: {answer}"))?;
    Ok(body.to_string())
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    assert!(digits.len().is_multiple_of(2), "odd hex: {text}");
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap_or_else(|_| panic!("not hex: {text}")))
        .collect()
}

/// A chain like `local` but of the live type, where only keys of one's own may sign: its spec file. The presets `testnet` and
/// `main` have no validators before launch.
pub(crate) fn live_spec(base: &Path) -> PathBuf {
    let exported = run(&["export-chain-spec", "--chain", "local"]);
    assert!(exported.status.success(), "{}", exported.stderr);
    let mut spec: Value = serde_json::from_str(&exported.stdout).expect("a spec is JSON");
    spec["chainType"] = json!("Live");
    spec["id"] = json!("openledger_live");
    let file = base.join("live.json");
    std::fs::write(&file, spec.to_string()).expect("the spec can be written");
    file
}

/// Whether a chain's database was made under `base`.
pub(crate) fn has_database(base: &Path) -> bool {
    let chains = base.join("chains");
    chains.exists()
        && std::fs::read_dir(chains)
            .expect("the directory can be read")
            .any(|chain| chain.expect("an entry").path().join("paritydb").exists())
}

//! A validator's session keys in one command: makes them, proves to the chain that this node holds them, and prints the
//! transaction that registers them.

use crate::cli::Cli;
use codec::{DecodeAll, Encode};
use openledger_runtime::{AccountId, Runtime, RuntimeCall, SessionKeys};
use sc_cli::{Error, KeystoreParams, SharedParams, SubstrateCli};
use sc_keystore::LocalKeystore;
use sc_service::config::{BasePath, KeystoreConfig};
use serde::Deserialize;
use sp_core::{crypto::Ss58Codec, Bytes};
use sp_keystore::{KeystoreExt, KeystorePtr};
use sp_runtime::traits::OpaqueKeys;
use sp_state_machine::BasicExternalities;
use std::{
    io::{Read, Write},
    net::{TcpStream, ToSocketAddrs},
    path::PathBuf,
    time::Duration,
};

/// Make a validator's session keys and the transaction that registers them.
///
/// Without --rpc-url the keys go into the keystore on disk, with the node running or not. With --rpc-url the node at that
/// address makes and keeps them; it must serve unsafe methods there, as it does on loopback.
#[derive(Debug, clap::Args)]
pub(crate) struct SessionKeysCmd {
    /// The validator's stash account (SS58 or 0x and 64 hex digits), which will sign the transaction. The proof is good for
    /// this account only.
    #[arg(long, value_name = "ACCOUNT", value_parser = parse_account)]
    owner: AccountId,

    /// Prove keys that are in the keystore already instead of making new ones: their public keys as one hex string, as this
    /// command prints them.
    #[arg(long, value_name = "HEX", conflicts_with = "rpc_url", value_parser = parse_keys)]
    keys: Option<SessionKeys>,

    /// JSON-RPC of a running node, http://HOST:PORT: that node makes and keeps the keys.
    #[arg(long, value_name = "URL")]
    rpc_url: Option<String>,

    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    shared: SharedParams,

    #[command(flatten)]
    keystore: KeystoreParams,
}

fn parse_account(text: &str) -> Result<AccountId, String> {
    if let Some(hex) = text.strip_prefix("0x") {
        return hex.parse().map_err(|_| "not 64 hex digits".to_string());
    }
    AccountId::from_ss58check(text).map_err(|error| format!("not an SS58 address ({error:?})"))
}

fn parse_keys(text: &str) -> Result<SessionKeys, String> {
    let bytes: Bytes = text.parse().map_err(|_| "not hex".to_string())?;
    SessionKeys::decode_all(&mut &bytes[..])
        .map_err(|_| "not one babe, one grandpa and one authority discovery key".to_string())
}

/// Public keys and the proof that whoever made it holds the secret ones.
struct Proven {
    keys: SessionKeys,
    proof: Vec<u8>,
}

impl SessionKeysCmd {
    /// Runs the command and prints the result.
    ///
    /// # Errors
    ///
    /// If the chain, the keystore or the node cannot be reached, or the proof does not hold.
    pub(crate) fn run(&self, cli: &Cli) -> sc_cli::Result<()> {
        let (proven, place) = match &self.rpc_url {
            Some(url) => (self.ask(url)?, url.clone()),
            None => self.make(cli)?,
        };
        if !proven
            .keys
            .ownership_proof_is_valid(&self.owner.encode(), &proven.proof)
        {
            return Err(text(
                "the proof does not hold for this account; does the node run another runtime version?",
            ));
        }
        let call = RuntimeCall::from(pallet_session::Call::<Runtime>::set_keys {
            keys: proven.keys.clone(),
            proof: proven.proof.clone(),
        })
        .encode();
        let output = if self.json {
            self.as_json(&proven, &call)
        } else {
            self.as_text(&proven, &call, &place)
        };
        // A closed pipe is not worth a word.
        let _ = writeln!(std::io::stdout(), "{output}");
        Ok(())
    }

    /// Makes keys in the keystore on disk, or proves those that are there.
    fn make(&self, cli: &Cli) -> sc_cli::Result<(Proven, String)> {
        let spec = cli.load_spec(&self.shared.chain_id(self.shared.is_dev()))?;
        if self.shared.base_path.is_none() && self.shared.is_dev() && self.keystore.keystore_path.is_none() {
            return Err(text("--dev without --base-path is a new directory every time; say where the keys belong with --base-path"));
        }
        let base = self
            .shared
            .base_path()?
            .unwrap_or_else(|| BasePath::from_project("", "", &Cli::executable_name()));
        let (path, password) = match self.keystore.keystore_config(&base.config_dir(spec.id()))? {
            KeystoreConfig::Path { path, password } => (path, password),
            KeystoreConfig::InMemory => (PathBuf::new(), None),
        };
        let keystore: KeystorePtr = LocalKeystore::open(&path, password)
            .map_err(|error| {
                text(format!(
                    "cannot open the keystore at {} ({error})",
                    path.display()
                ))
            })?
            .into();
        let owner = self.owner.encode();
        // The runtime's own code signs: it only needs a keystore to call.
        let mut externalities = BasicExternalities::new_empty();
        externalities.register_extension(KeystoreExt::from(keystore));
        let proven = externalities.execute_with(|| match self.keys.clone() {
            None => {
                let made = SessionKeys::generate(&owner, None);
                Some(Proven {
                    proof: made.proof.encode(),
                    keys: made.keys,
                })
            }
            Some(mut keys) => {
                let proof = keys.create_ownership_proof(&owner).ok()?.encode();
                Some(Proven { keys, proof })
            }
        });
        let proven = proven.ok_or_else(|| {
            text(format!(
                "the keystore at {} does not hold all of --keys",
                path.display()
            ))
        })?;
        Ok((proven, path.display().to_string()))
    }

    /// Has a running node make the keys.
    fn ask(&self, url: &str) -> sc_cli::Result<Proven> {
        #[derive(Deserialize)]
        struct Generated {
            keys: Bytes,
            proof: Option<Bytes>,
        }
        let owner = Bytes(self.owner.encode());
        let answer = call(url, "author_rotateKeysWithOwner", serde_json::json!([owner]))
            .map_err(|problem| text(format!("{url}: {problem}")))?;
        let generated: Generated = serde_json::from_value(answer).map_err(|error| {
            text(format!(
                "{url}: the answer is not a set of session keys ({error})"
            ))
        })?;
        let keys = SessionKeys::decode_all(&mut &generated.keys[..]).map_err(|_| {
            text(format!(
                "{url}: the node's runtime has other session keys than this program's"
            ))
        })?;
        let proof = generated
            .proof
            .ok_or_else(|| text(format!("{url}: the node's runtime gives no proof of ownership")))?
            .0;
        Ok(Proven { keys, proof })
    }

    fn as_json(&self, proven: &Proven, call: &[u8]) -> String {
        serde_json::json!({
            "owner": self.owner.to_ss58check(),
            "keys": Bytes(proven.keys.encode()),
            "babe": Bytes(proven.keys.babe.encode()),
            "grandpa": Bytes(proven.keys.grandpa.encode()),
            "authorityDiscovery": Bytes(proven.keys.authority_discovery.encode()),
            "proof": Bytes(proven.proof.clone()),
            "call": Bytes(call.to_vec()),
        })
        .to_string()
    }

    fn as_text(&self, proven: &Proven, call: &[u8], place: &str) -> String {
        let hex = |bytes: &[u8]| format!("0x{}", sp_core::hexdisplay::HexDisplay::from(&bytes));
        let owner = self.owner.to_ss58check();
        format!(
            "Secret keys are kept at  {place}\n\
             babe                     {}\n\
             grandpa                  {}\n\
             authority discovery      {}\n\
             session keys             {}\n\
             proof of ownership       {}\n\
             call session.setKeys     {}\n\
             \n\
             Next, as {owner}:\n\
             1. Submit the call: in polkadot.js, Developer > Extrinsics > Decode, paste it, then Submission > Submit.\n\
             2. Bond OPEN and declare yourself a validator: staking.bond, then staking.validate.\n\
             3. Run this node with --validator. The keys sign from the session after next once you are elected.\n\
             The proof holds for {owner} only, and anyone may see it.",
            hex(&proven.keys.babe.encode()),
            hex(&proven.keys.grandpa.encode()),
            hex(&proven.keys.authority_discovery.encode()),
            hex(&proven.keys.encode()),
            hex(&proven.proof),
            hex(call),
        )
    }
}

fn text(message: impl Into<String>) -> Error {
    Error::Application(message.into().into())
}

/// How long to wait for a node's answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// One JSON-RPC call over plain HTTP: unsafe methods are for loopback, where TLS has nothing to protect.
fn call(url: &str, method: &str, params: serde_json::Value) -> Result<serde_json::Value, String> {
    let host = url
        .strip_prefix("http://")
        .map(|rest| rest.trim_end_matches('/'))
        .filter(|host| !host.is_empty() && !host.contains('/'))
        .ok_or("expected http://HOST:PORT")?;
    let address = host
        .to_socket_addrs()
        .map_err(|error| format!("no such address ({error})"))?
        .next()
        .ok_or("no such address")?;
    let body =
        serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let exchange = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        write!(
            stream,
            "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = exchange().map_err(|error| format!("no answer ({error}); is the node running there?"))?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("the answer is not HTTP")?;
    let status = head.lines().next().unwrap_or_default();
    if !status.contains(" 200") {
        return Err(format!("the server answered {status}"));
    }
    let mut answer: serde_json::Value =
        serde_json::from_str(body).map_err(|error| format!("the answer is not JSON ({error})"))?;
    match answer["error"]["message"].as_str() {
        Some(message) => Err(format!("the node refused: {message}")),
        None => Ok(answer["result"].take()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_should_parse_in_both_forms() {
        let hex = "0xd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d";
        let ss58 = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
        assert_eq!(parse_account(hex), parse_account(ss58));
        assert!(parse_account(hex).is_ok());
        for bad in ["", "0x", "0x12", "5Grw", "alice"] {
            assert!(parse_account(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_should_parse_only_whole() {
        let keys = format!("0x{}", "12".repeat(96));
        assert_eq!(parse_keys(&keys).unwrap().encode(), vec![0x12; 96]);
        for bad in ["", "0x12", "0xzz", &keys[..keys.len() - 2], &format!("{keys}00")] {
            assert!(parse_keys(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_plain_http_addresses_should_be_called() {
        for bad in [
            "ws://127.0.0.1:1",
            "https://x",
            "http://",
            "http://a/b",
            "127.0.0.1:9944",
        ] {
            assert!(
                call(bad, "m", serde_json::json!([]))
                    .unwrap_err()
                    .contains("http://HOST:PORT"),
                "{bad}"
            );
        }
    }
}

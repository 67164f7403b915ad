//! What every command has: where the chain and a worker are, who signs, where files are, how to print.

use crate::{
    args::{self, Args, Global},
    worker::Worker,
    Error, Result,
};
use openledger_chain::{open, ss58, Chain, Included, Key, Read};
use openledger_protocol::{Account, Hash, Name};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What every command has.
pub struct Context {
    global: Global,
    data: PathBuf,
}

impl Context {
    /// From what was typed. Nothing is connected to yet.
    pub fn new(args: &Args) -> Result<Self> {
        let data = match &args.global.data {
            Some(data) => data.clone(),
            None => std::env::var_os("XDG_DATA_HOME")
                .map(PathBuf::from)
                .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/share")))
                .map(|base| base.join("openledger"))
                .ok_or_else(|| {
                    Error::other(
                        "there is no home folder to keep channels and receipts in: name one with --data",
                    )
                })?,
        };
        Ok(Self {
            global: args.global.clone(),
            data,
        })
    }

    /// Connects to the node.
    pub async fn chain(&self) -> Result<Chain> {
        Ok(Chain::connect(&self.global.node).await?)
    }

    /// The worker named with `--worker`.
    pub fn worker(&self) -> Worker {
        Worker::new(&self.global.worker)
    }

    /// The key that signs.
    pub fn key(&self, chain: &Chain) -> Result<Key> {
        match (&self.global.key, &self.global.dev_key) {
            (Some(file), _) => Ok(Key::load(file)?),
            (None, Some(name)) => Ok(Key::dev(name, chain)?),
            (None, None) => Err(Error::other(
                "nobody is there to sign: name a key file with --key FILE (make one with `openledger key new FILE`)",
            )),
        }
    }

    /// The folder for what belongs to one chain.
    pub fn data(&self, genesis: &Hash) -> PathBuf {
        let [a, b, c, d, ..] = genesis;
        self.data.join(hex::encode([a, b, c, d].map(|byte| *byte)))
    }

    /// The folder for what belongs to no chain.
    pub fn shared(&self) -> &Path {
        &self.data
    }

    /// Whether a program reads the output.
    pub fn json(&self) -> bool {
        self.global.json
    }

    /// A line for people.
    pub fn say(&self, text: impl AsRef<str>) {
        if !self.global.json {
            println!("{}", text.as_ref());
        }
    }

    /// A line for programs.
    pub fn give(&self, value: &Value) {
        if self.global.json {
            println!("{value}");
        }
    }

    /// Where a transaction went.
    pub fn say_included(&self, what: &str, included: &Included) {
        self.say(format!(
            "{what} in block {}, transaction 0x{}",
            included.block,
            hex::encode(included.hash)
        ));
    }
}

/// An amount and where it was read.
pub fn money(amount: &Read<u128>) -> String {
    format!("{} ({})", open(amount.value), amount.place())
}

/// An amount and where it was read, for programs.
pub fn money_json(amount: &Read<u128>) -> Value {
    serde_json::json!({
        "planck": amount.value.to_string(),
        "open": open(amount.value),
        "block": amount.block.number,
        "block_hash": crate::wire::hex_of(amount.block.hash),
        "key": crate::wire::hex_of(&amount.key),
    })
}

/// A name as the chain stores it.
pub fn name(text: &str) -> Result<Name> {
    if text.trim().is_empty() {
        return Err(Error::other("a name is empty: write one of 1 to 64 bytes"));
    }
    text.as_bytes().to_vec().try_into().map_err(|_| {
        Error::other(format!(
            "`{text}` has {} bytes: a name has at most 64",
            text.len()
        ))
    })
}

/// A stored name as text.
pub fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// 32 random bytes.
pub fn random() -> Result<Hash> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::other(format!("the system gives no random bytes: {e}")))?;
    Ok(bytes)
}

/// An account in few characters, for tables.
pub fn short(account: &Account) -> String {
    let text = ss58(account);
    format!(
        "{}…{}",
        text.get(..6).unwrap_or(&text),
        text.get(text.len().saturating_sub(4)..).unwrap_or("")
    )
}

/// `key`.
pub fn key(context: &Context, command: args::Key) -> Result<()> {
    let key = match command {
        args::Key::New { file } => Key::create(&file)?,
        args::Key::Show => match (&context.global.key, &context.global.dev_key) {
            (Some(file), _) => Key::load(file)?,
            (None, Some(name)) => Key::from_uri(&format!("//{name}"))?,
            (None, None) => return Err(Error::other("name a key with --key FILE or --dev-key NAME")),
        },
    };
    let account = key.account();
    context.say(format!("account {} (0x{})", ss58(&account), hex::encode(account)));
    context.give(&serde_json::json!({ "account": crate::wire::hex_of(account), "ss58": ss58(&account) }));
    Ok(())
}

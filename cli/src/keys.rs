//! Keys of licensed Datanets, asked of the workers that keep them.

use crate::{
    wire::{bytes_of, hex_of},
    worker::Worker,
    Error, Result,
};
use openledger_chain::{Chain, Head, Key};
use openledger_content::{ContentKey, KeyRequest, Label, Purpose};
use openledger_protocol::{compute, storage, Account};
use serde_json::json;
use std::collections::BTreeMap;

/// The key that a keeper gives for this purpose.
pub fn ask(keeper: &Worker, chain: &Chain, key: &Key, label: &Label, purpose: Purpose) -> Result<ContentKey> {
    let (request, identity) = KeyRequest::new(chain.genesis(), key.account(), label, purpose)?;
    let body = json!({
        "request": hex_of(request.encode()),
        "signature": hex_of(key.sign(&request.message())),
    });
    let answer = keeper.post("/v1/keys", &body)?;
    let sealed = answer["box"].as_str().unwrap_or_default();
    let sealed =
        bytes_of(sealed).map_err(|e| keeper.wrong("/v1/keys", format!("its box is not hexadecimal: {e}")))?;
    Ok(identity.unwrap_key(&sealed)?)
}

/// Keys of versions to read, each asked for once.
pub struct Keys<'a> {
    chain: &'a Chain,
    key: &'a Key,
    kept: BTreeMap<(Account, u64, u32), ContentKey>,
}

impl<'a> Keys<'a> {
    /// For this account.
    pub fn new(chain: &'a Chain, key: &'a Key) -> Self {
        Self {
            chain,
            key,
            kept: BTreeMap::new(),
        }
    }

    /// The key of the version that a label names, from its keeper.
    pub async fn get(&mut self, label: &Label) -> Result<&ContentKey> {
        let name = (label.keeper, label.datanet, label.version);
        if !self.kept.contains_key(&name) {
            let keeper = self
                .chain
                .read::<compute::Worker>(storage::worker(label.keeper), Head::Best)
                .await?
                .found(format_args!(
                    "worker {}, which keeps the key",
                    hex_of(label.keeper)
                ))?;
            let at = String::from_utf8_lossy(&keeper.value.endpoint).into_owned();
            let key = ask(
                &Worker::new(&at),
                self.chain,
                self.key,
                label,
                Purpose::Read { job: None },
            )?;
            self.kept.insert(name, key);
        }
        self.kept
            .get(&name)
            .ok_or_else(|| Error::other("a key that was just kept is gone"))
    }
}

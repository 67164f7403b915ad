//! Records for people to read: the contributions of open Datanets, read once.

use crate::{
    dataset,
    error::{Error, Result},
    keys::Keyring,
    ledger::Head,
    state::{lock, Worker},
};
use openledger_content::Bundle;
use openledger_model::Tokenizer;
use openledger_protocol::Account;
use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Mutex},
};

/// Contributions kept at hand.
const MOST: usize = 32;

/// A contribution, checked against the chain.
pub struct Kept {
    /// Its records.
    pub bundle: Bundle,
    /// Who brought them.
    pub contributor: Account,
    /// Into which Datanet.
    pub datanet: u64,
}

/// The contributions read lately.
#[derive(Default)]
pub struct Library {
    kept: Mutex<BTreeMap<u64, Arc<Kept>>>,
}

/// A contribution. It never changes, so it is read and checked once.
pub async fn contribution(worker: &Worker, id: u64) -> Result<Arc<Kept>> {
    if let Some(kept) = lock(&worker.library.kept).get(&id) {
        return Ok(kept.clone());
    }
    let read = dataset::contribution(&*worker.ledger, &worker.store, &Keyring::none(), id, Head::Best).await;
    let (bundle, on_chain) = read.map_err(|error| match error {
        // A block that is not here is, to a reader, a record that is not here.
        Error::NotReady(why) => Error::Missing(why),
        other => other,
    })?;
    let kept = Arc::new(Kept {
        bundle,
        contributor: on_chain.contributor,
        datanet: on_chain.datanet,
    });
    let mut all = lock(&worker.library.kept);
    if all.len() >= MOST {
        all.pop_first();
    }
    all.insert(id, kept.clone());
    Ok(kept)
}

/// Where, in characters of a record's text, the tokens `unit` of its example stand. The template's own tokens count to
/// what stands beside them.
pub fn characters(tokenizer: &Tokenizer, text: &str, unit: &Range<u32>) -> Result<Range<usize>> {
    let example = dataset::example(tokenizer, text)?;
    let total = text.chars().count();
    let first = example.mask.iter().position(|counts| *counts).unwrap_or(0);
    let (prompt, response) = dataset::split(text);
    let after_prompt = total - response.chars().count();
    let place = |token: u32| -> Result<usize> {
        let token = usize::try_from(token)
            .unwrap_or(usize::MAX)
            .min(example.tokens.len());
        if token >= example.tokens.len() {
            return Ok(total);
        }
        if token <= first {
            let within = token > 0 && token < first;
            let before = if within {
                tokenizer.decode(&example.tokens[..token])?.chars().count()
            } else {
                0
            };
            return Ok(if token == first && first > 0 {
                after_prompt
            } else {
                before.min(prompt.chars().count())
            });
        }
        Ok((after_prompt + tokenizer.decode(&example.tokens[first..token])?.chars().count()).min(total))
    };
    Ok(place(unit.start)?..place(unit.end)?)
}

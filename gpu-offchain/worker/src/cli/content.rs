//! `content`: files in the worker's content store, without a chain.

use crate::{Error, Result};
use clap::{Args, Subcommand};
use openledger_content::{verbs, Cid, Store};
use serde::Serialize;
use std::path::PathBuf;

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Takes a file in and prints its CID, under which a running worker gives its blocks to whoever asks.
    Add(Add),
    /// Writes a file that is in the store, every block checked.
    Get(Get),
    /// Shows all blocks, and which are denied.
    Ls(Ls),
    /// Puts a block or a file on the block list: it is neither given nor taken any more.
    Deny(Deny),
}

#[derive(Args)]
pub(super) struct Place {
    /// Folder of everything the worker keeps.
    #[arg(long)]
    data: PathBuf,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Add {
    #[command(flatten)]
    place: Place,
    /// The file.
    file: PathBuf,
}

#[derive(Args)]
pub(super) struct Get {
    #[command(flatten)]
    place: Place,
    /// The file's CID.
    cid: String,
    /// Where to write it.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Args)]
pub(super) struct Ls {
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
pub(super) struct Deny {
    #[command(flatten)]
    place: Place,
    /// The CID of the block or file.
    cid: String,
    /// Takes it off the list again.
    #[arg(long)]
    undo: bool,
}

impl Place {
    fn store(&self) -> Result<Store> {
        Ok(Store::open(&self.data.join(crate::CONTENT))?)
    }

    fn show(&self, what: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
        if self.json {
            let json = serde_json::to_string(what).map_err(|error| Error::part("JSON", error))?;
            println!("{json}");
        } else {
            println!("{}", text());
        }
        Ok(())
    }
}

pub(super) fn run(verb: &Verb) -> Result<()> {
    match verb {
        Verb::Add(args) => {
            let added = verbs::add(&args.place.store()?, &args.file, false)?;
            args.place.show(&added, || {
                format!("{}  {} bytes in {} blocks", added.cid, added.bytes, added.blocks)
            })
        }
        Verb::Get(args) => {
            let got = verbs::get(&args.place.store()?, &cid(&args.cid)?, None, &args.out)?;
            args.place
                .show(&got, || format!("{} bytes in {}", got.bytes, args.out.display()))
        }
        Verb::Ls(args) => {
            let listed = verbs::ls(&args.place.store()?)?;
            args.place.show(&listed, || {
                let line = |block: &verbs::Listed| {
                    let denied = if block.denied { "  denied" } else { "" };
                    format!("{}  {} bytes{denied}", block.cid, block.bytes)
                };
                listed.iter().map(line).collect::<Vec<_>>().join("\n")
            })
        }
        Verb::Deny(args) => {
            let denied = verbs::deny(&args.place.store()?, &cid(&args.cid)?, args.undo)?;
            args.place.show(&denied, || {
                let state = if denied.denied {
                    "is denied"
                } else {
                    "is not denied"
                };
                format!("{} {state}", denied.cid)
            })
        }
    }
}

fn cid(text: &str) -> Result<Cid> {
    Ok(text.parse()?)
}

//! The content crate by hand: what the worker's `content` commands will do, on a store in a folder.

use openledger_content::{read_file, sandbox, verbs, Result, Store};
use serde::Serialize;
use std::{path::Path, process::ExitCode};

const USAGE: &str = "usage:
  openledger-content add STORE FILE [--public]   take a file in; its CID is printed
  openledger-content get STORE CID FILE          write a file out, every block checked
  openledger-content ls STORE                    all blocks, what is shared and what is denied
  openledger-content deny STORE CID [--undo]     stop sharing a block or a file
  openledger-content records FILE                the records of a file, one JSON string a line";

fn print(what: &impl Serialize) {
    match serde_json::to_string_pretty(what) {
        Ok(text) => println!("{text}"),
        Err(error) => eprintln!("{error}"),
    }
}

/// Tells whether the words were understood.
fn run(words: &[&str]) -> Result<bool> {
    let store = |dir: &str| Store::open(Path::new(dir));
    match words {
        ["add", dir, file] => print(&verbs::add(&store(dir)?, Path::new(file), false)?),
        ["add", dir, file, "--public"] => print(&verbs::add(&store(dir)?, Path::new(file), true)?),
        ["get", dir, cid, file] => print(&verbs::get(&store(dir)?, &cid.parse()?, None, Path::new(file))?),
        ["ls", dir] => print(&verbs::ls(&store(dir)?)?),
        ["deny", dir, cid] => print(&verbs::deny(&store(dir)?, &cid.parse()?, false)?),
        ["deny", dir, cid, "--undo"] => print(&verbs::deny(&store(dir)?, &cid.parse()?, true)?),
        ["records", file] => {
            for record in read_file(Path::new(file))? {
                println!("{}", serde_json::Value::from(record.text()));
            }
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn main() -> ExitCode {
    sandbox::enter_if_asked();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

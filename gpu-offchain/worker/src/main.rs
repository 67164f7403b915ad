//! `openledger-worker`: see the library for what it does.

use openledger_worker::{attribute::ByInfluence, cli};

fn main() -> std::process::ExitCode {
    cli::main(ByInfluence)
}

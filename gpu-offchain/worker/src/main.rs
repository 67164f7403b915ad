//! `openledger-worker`: see the library for what it does.

use openledger_worker::{attribute::ByInfluence, cli};

fn main() -> std::process::ExitCode {
    // Started again by itself to parse a file that may be hostile.
    openledger_content::sandbox::enter_if_asked();
    cli::main(std::env::args_os(), ByInfluence)
}

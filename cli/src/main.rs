//! `openledger`: exit code 0 when all is well, 1 when a check found a difference, 2 when something could not be done.

use clap::Parser;
use openledger_cli::{args::Args, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    // Started again by itself to parse a file that may be hostile.
    openledger_content::sandbox::enter_if_asked();
    let args = Args::parse();
    let json = args.global.json;
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| openledger_cli::Error::Other(format!("the program cannot start its threads: {e}")))
        .and_then(|runtime| runtime.block_on(run(args)));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            if json {
                println!("{}", serde_json::json!({ "error": error.to_string() }));
            } else {
                eprintln!("error: {error}");
            }
            ExitCode::from(2)
        }
    }
}

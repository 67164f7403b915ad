//! `openledger-node`: the validator and full node of OpenLedger.
//!
//! | module | subject |
//! | --- | --- |
//! | [`cli`] | flags and subcommands |
//! | [`command`] | what each of them runs |
//! | [`chain_spec`] | the four chains by name, and chain spec files |
//! | [`service`] | the parts of a node, joined |
//! | [`sealing`] | blocks on request, for developers |
//! | [`rpc`] | JSON-RPC methods beside the SDK's own |
//! | [`eth`] | the Ethereum JSON-RPC, run inside the node |
//! | [`worker`] | the worker this node is paired with |
//! | [`session_keys`] | a validator's keys, proven and ready to submit |
//! | [`dev_keys`] | keys everybody knows, refused where money is real |
//! | [`checks`] | what must hold before anything on disk is touched |
//! | [`report`] | one line for one error |

#![warn(missing_docs)]
// The SDK's error type, which every function here returns sooner or later.
#![allow(clippy::result_large_err)]

mod chain_spec;
mod checks;
mod cli;
mod command;
mod dev_keys;
mod eth;
mod report;
mod rpc;
mod sealing;
mod service;
mod session_keys;
mod worker;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    match command::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::after_the_log();
            eprintln!("Error: {}", report::describe(&error));
            ExitCode::FAILURE
        }
    }
}

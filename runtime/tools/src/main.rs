//! Tools for the runtime's wasm: `weights` measures benchmarks (`make weights`), `metadata-digest` computes what
//! `scripts/wasm.sh OUT metadata-hash` builds in.
//!
//! frame-omni-bencher does the first as well, but brings the parachain crates and an executor of its own: longer to build than
//! the node. This shares every crate with the node.

use clap::Parser;
use std::{path::PathBuf, process::ExitCode};

mod digest;
mod state;
mod time;
mod wasm;
mod weights;

/// Tools for the runtime's wasm.
#[derive(Parser)]
#[command(name = "openledger-runtime-tools", version)]
enum Command {
    /// Measure a pallet's benchmarks on a wasm built with `runtime-benchmarks`, and write its weights.rs
    Weights {
        /// The wasm
        #[arg(long)]
        wasm: PathBuf,
        /// The pallet as the runtime calls it, e.g. pallet_openledger_channels
        #[arg(long)]
        pallet: String,
        /// The file to write
        #[arg(long)]
        output: PathBuf,
        /// Values of each component that are measured
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(2..=1_000))]
        steps: u32,
        /// Measurements of each
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        repeat: u32,
        /// The genesis preset to measure on
        #[arg(long, default_value = "development")]
        preset: String,
    },
    /// Print the digest of a wasm's metadata, as 0x and 64 hexadecimal digits
    MetadataDigest {
        /// The wasm
        #[arg(long)]
        wasm: PathBuf,
        /// The token's symbol
        #[arg(long, default_value = "OPEN")]
        symbol: String,
        /// The token's decimals
        #[arg(long, default_value_t = 18)]
        decimals: u8,
    },
}

fn run(command: Command) -> Result<(), String> {
    match command {
        Command::Weights {
            wasm,
            pallet,
            output,
            steps,
            repeat,
            preset,
        } => {
            let order = weights::Order {
                pallet: &pallet,
                preset: &preset,
                steps,
                repeat,
            };
            let text = weights::measure(&wasm::Wasm::read(&wasm)?, &order)?;
            weights::write(&output, &text)?;
            eprintln!("weights: wrote {}", output.display());
        }
        Command::MetadataDigest {
            wasm,
            symbol,
            decimals,
        } => {
            println!(
                "0x{}",
                hex::encode(digest::of(&wasm::Wasm::read(&wasm)?, &symbol, decimals)?)
            );
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("openledger-runtime-tools: {error}");
            ExitCode::FAILURE
        }
    }
}

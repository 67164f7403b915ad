//! What a GPU does: first whether it is right, then how fast it is. Needs no Rust on the machine it runs on; gpu-offchain/bench/gpu/run.sh
//! starts it there. Exit codes: 0 all checks passed, 1 a check failed, 3 no CUDA here.

mod checks;
mod measure;
mod ops;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use openledger_backend_cuda::{Cuda, Mode, Options};

/// Checks the CUDA backend against the CPU's and measures it.
#[derive(Parser)]
struct Cli {
    /// The device's number.
    #[arg(long, default_value_t = 0)]
    device: usize,
    /// The seed of all random inputs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Pairs of rows and queries whose scores are compared with the CPU's.
    #[arg(long, default_value_t = 1_000_000)]
    pairs: usize,
    /// Measures after the checks, and writes one JSON object a line to this file.
    #[arg(long)]
    measure: Option<PathBuf>,
    /// Layers of the measured model; 16 is the 1B shape.
    #[arg(long, default_value_t = 16)]
    layers: usize,
    /// Measures a toy, to try this program where there is no GPU; its figures say nothing.
    #[arg(long)]
    toy: bool,
    /// Where compiled kernels are kept.
    #[arg(long)]
    cache: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let open = |mode, graphs| {
        Cuda::open(Options {
            ordinal: cli.device,
            mode,
            graphs,
            cache: cli.cache.clone(),
            ..Options::default()
        })
    };
    let fast = match open(Mode::Fast, true) {
        Ok(fast) => fast,
        Err(error) => {
            println!("{error}");
            return ExitCode::from(if error.is_final() { 3 } else { 1 });
        }
    };
    let others = || {
        Ok::<_, anyhow::Error>((
            open(Mode::Verifiable, true)?,
            open(Mode::Fast, false)?,
            open(Mode::Verifiable, false)?,
        ))
    };
    match others()
        .and_then(|(exact, fast_plain, exact_plain)| run(&cli, (&fast, &fast_plain), (&exact, &exact_plain)))
    {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("FAILED  {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Each of the two with and without graphs.
fn run(
    cli: &Cli,
    (fast, fast_plain): (&Cuda, &Cuda),
    (exact, exact_plain): (&Cuda, &Cuda),
) -> anyhow::Result<bool> {
    let about = fast.about();
    println!(
        "{} {}, NVRTC {}, cuBLAS {}, {} of {} MiB free, seed {}",
        about.name,
        about.arch,
        about.compiler,
        if about.blas { "in use" } else { "not found" },
        about.memory.1 >> 20,
        about.memory.0 >> 20,
        cli.seed
    );
    let mut report = checks::Report::default();
    checks::parity(&mut report, fast, "fast", cli.seed)?;
    checks::parity(&mut report, exact, "verifiable", cli.seed)?;
    checks::halves(&mut report, fast, "fast", cli.seed)?;
    checks::halves(&mut report, exact, "verifiable", cli.seed)?;
    checks::pages(&mut report, fast, "fast", cli.seed)?;
    checks::pages(&mut report, exact, "verifiable", cli.seed)?;
    checks::same_bits_in_any_batch(&mut report, exact, cli.seed)?;
    checks::steps(&mut report, (fast, fast_plain), "fast", cli.seed)?;
    checks::steps(&mut report, (exact, exact_plain), "verifiable", cli.seed)?;
    checks::sketches(&mut report, fast, "fast", cli.seed)?;
    checks::sketches(&mut report, exact, "verifiable", cli.seed)?;
    checks::learning(&mut report, fast, "fast", cli.seed)?;
    checks::learning(&mut report, exact, "verifiable", cli.seed)?;
    checks::beside(&mut report, fast, cli.seed)?;
    checks::refusals(&mut report, fast);
    checks::scores(&mut report, fast, cli.seed, cli.pairs)?;
    println!("{} checks, {} failed", report.checks, report.failed);
    if report.failed == 0 {
        if let Some(path) = &cli.measure {
            let size = if cli.toy {
                measure::Size::toy()
            } else {
                measure::Size::full(cli.layers)
            };
            let modes = [("fast", fast, fast_plain), ("verifiable", exact, exact_plain)];
            measure::all(path, modes, &size)?;
        }
    }
    Ok(report.failed == 0)
}

//! Stands in for the `wasm-opt` crate, which compiles all of Binaryen (minutes of C++ on two cores).
//!
//! `substrate-wasm-builder` needs two passes of it; this runs the `wasm-opt` program of the distribution's `binaryen`
//! package, which `scripts/setup.sh` installs. `WASM_OPT` names another binary.

use std::{fmt, path::Path, process::Command};

/// The passes `substrate-wasm-builder` asks for.
#[derive(Clone, Copy, Debug)]
pub enum Pass {
    /// Drop DWARF sections.
    StripDwarf,
    /// Rewrite sign-extension operators to MVP instructions; a no-op here, see [`OptimizationOptions::add_pass`].
    SignextLowering,
}

/// What to run; mirrors the builder of the real crate.
#[derive(Clone, Debug)]
pub struct OptimizationOptions {
    args: Vec<&'static str>,
}

impl OptimizationOptions {
    /// No optimisation beyond the passes added.
    pub fn new_opt_level_0() -> Self {
        Self { args: vec!["-O0"] }
    }
    /// Accept and emit MVP features only, plus sign extension on input (it is lowered).
    pub fn mvp_features_only(&mut self) -> &mut Self {
        self.args.push("--mvp-features");
        self
    }
    /// Keep the names section.
    pub fn debug_info(&mut self, on: bool) -> &mut Self {
        if on {
            self.args.push("-g");
        }
        self
    }
    /// Append a pass.
    pub fn add_pass(&mut self, pass: Pass) -> &mut Self {
        match pass {
            Pass::StripDwarf => self.args.push("--strip-dwarf"),
            // Debian's version has no such pass and needs none: wasm32v1-none emits no sign-extension operators. Were one
            // there, `--mvp-features` would refuse the module rather than let it through.
            Pass::SignextLowering => {}
        }
        self
    }
    /// Reads `input`, writes `output` (they may be the same file).
    pub fn run(&self, input: impl AsRef<Path>, output: impl AsRef<Path>) -> Result<(), OptimizationError> {
        let program = std::env::var("WASM_OPT").unwrap_or_else(|_| "wasm-opt".into());
        let done = Command::new(&program)
            .args(&self.args)
            .arg(input.as_ref())
            .arg("-o")
            .arg(output.as_ref())
            .output()
            .map_err(|e| OptimizationError(format!("cannot run {program} ({e}); install the package binaryen, or run scripts/setup.sh")))?;
        if done.status.success() {
            Ok(())
        } else {
            Err(OptimizationError(format!(
                "{program} {} {} failed: {}",
                self.args.join(" "),
                input.as_ref().display(),
                String::from_utf8_lossy(&done.stderr)
            )))
        }
    }
}

/// Why `wasm-opt` did not produce an output.
#[derive(Debug)]
pub struct OptimizationError(String);

impl fmt::Display for OptimizationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OptimizationError {}

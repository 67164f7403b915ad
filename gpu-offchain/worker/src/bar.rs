//! How far something is, on the terminal.

use crate::state::lock;
use std::{
    io::{IsTerminal, Write},
    sync::Mutex,
};

/// A bar on a terminal, a line every tenth elsewhere; on standard error.
#[derive(Default)]
pub(crate) struct Bar {
    tenth: Mutex<Option<u64>>,
}

impl Bar {
    /// `note` stands behind the numbers.
    pub(crate) fn draw(&self, phase: &str, step: u64, of: u64, note: &str) {
        let mut err = std::io::stderr();
        if err.is_terminal() {
            let filled = usize::try_from(step * 30 / of.max(1)).unwrap_or(0).min(30);
            let end = if step >= of { "\n" } else { "" };
            let _ = write!(
                err,
                "\r{phase:<10} [{}{}] {step}/{of}{note}\x1b[K{end}",
                "█".repeat(filled),
                "·".repeat(30 - filled)
            );
            let _ = err.flush();
            return;
        }
        let tenth = step * 10 / of.max(1);
        let mut last = lock(&self.tenth);
        if *last != Some(tenth) {
            *last = Some(tenth);
            let _ = writeln!(err, "{phase} {step}/{of}{note}");
        }
    }
}

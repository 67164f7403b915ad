//! A worker that doubles the first score of every answer's list, and is honest in everything else: the receipts it signs
//! are well formed, its batches add up, and only who recomputes the row finds it out. For the demo and tests.

use openledger_worker::{
    attribute::{Attribute, Attributed, ByInfluence},
    cli,
    models::Served,
    Result,
};

struct Liar;

impl Attribute for Liar {
    fn attribute(&self, served: &Served, prompt: &[u32], outputs: &[&[u32]]) -> Result<Attributed> {
        let mut attributed = ByInfluence.attribute(served, prompt, outputs)?;
        // The first stays the first, so that the list keeps its order.
        if let Some(first) = attributed.attribution.list.first_mut() {
            first.score = first.score.saturating_mul(2);
        }
        Ok(attributed)
    }
}

fn main() -> std::process::ExitCode {
    cli::main(Liar)
}

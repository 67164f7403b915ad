//! The plain loop, on any machine.

use super::{LaneMatrix, ScoreBackend};
use crate::Result;
use openledger_attribution::sketch::dot;
use std::ops::Range;

/// Portable code; the compiler vectorises it for the machine's least instruction set.
#[derive(Clone, Copy, Debug)]
pub struct Scalar;

impl ScoreBackend for Scalar {
    fn name(&self) -> &'static str {
        "scalar"
    }

    fn dots(&self, index: &LaneMatrix<'_>, rows: Range<usize>, query: &[i8], out: &mut [i32]) -> Result<()> {
        let lanes = index.checked(self.name(), &rows, query, out)?;
        let (width, blocks) = (index.row_lanes().max(1), index.blocks.len().max(1));
        for (row, out) in lanes.chunks_exact(width).zip(out.chunks_exact_mut(blocks)) {
            let (mut row, mut query) = (row, query);
            for (count, out) in index.blocks.iter().zip(out) {
                let (a, row_rest) = row.split_at(*count as usize);
                let (b, query_rest) = query.split_at(*count as usize);
                *out = dot(a, b);
                (row, query) = (row_rest, query_rest);
            }
        }
        Ok(())
    }
}

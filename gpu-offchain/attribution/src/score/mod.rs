//! Exact dot products of one query with many rows, behind a trait that every device implements.

mod avx2;
mod avx512;
mod scalar;

pub use avx2::Avx2;
pub use avx512::Avx512;
pub use scalar::Scalar;

use crate::{Error, Result};
use openledger_attribution::hash::Hash;
use std::ops::Range;

/// The lanes of all rows of an index.
#[derive(Clone, Copy, Debug)]
pub struct LaneMatrix<'a> {
    /// What the index commits to of its rows: two matrices with the same id have the same lanes, so a device
    /// may keep its copy.
    pub id: Hash,
    /// [rows, lanes of a row].
    pub lanes: &'a [i8],
    /// Lanes of each block; they add up to those of a row.
    pub blocks: &'a [u32],
}

impl LaneMatrix<'_> {
    /// Lanes of a row.
    pub fn row_lanes(&self) -> usize {
        self.blocks.iter().map(|lanes| *lanes as usize).sum()
    }

    /// The lanes of some rows, checked together with a query and the place for the result.
    pub(crate) fn checked(
        &self,
        backend: &'static str,
        rows: &Range<usize>,
        query: &[i8],
        out: &[i32],
    ) -> Result<&[i8]> {
        let width = self.row_lanes();
        let lanes = rows
            .start
            .checked_mul(width)
            .zip(rows.end.checked_mul(width))
            .and_then(|(start, end)| self.lanes.get(start..end))
            .filter(|_| query.len() == width && out.len() == rows.len() * self.blocks.len());
        lanes.ok_or_else(|| Error::Backend {
            backend,
            what: format!(
                "rows {rows:?} of {}, a query of {} lanes and room for {} sums: expected {width} lanes and {} sums",
                self.lanes.len().checked_div(width).unwrap_or(0),
                query.len(),
                out.len(),
                rows.len() * self.blocks.len()
            ),
        })
    }
}

/// A device that multiplies. Every one gives the same integers.
pub trait ScoreBackend: Send + Sync {
    /// What it is called in logs.
    fn name(&self) -> &'static str;

    /// For each of `rows` and each block the sum of products of the query's and the row's lanes:
    /// `out[(row − rows.start) · blocks + block]`. Called from several threads at once.
    ///
    /// Errors: sizes that do not fit, or a failing device.
    fn dots(&self, index: &LaneMatrix<'_>, rows: Range<usize>, query: &[i8], out: &mut [i32]) -> Result<()>;
}

/// The fastest CPU backend of this machine.
pub fn cpu_backend() -> &'static dyn ScoreBackend {
    if Avx512::new().is_some() {
        &Avx512::INSTANCE
    } else if Avx2::new().is_some() {
        &Avx2::INSTANCE
    } else {
        &Scalar
    }
}

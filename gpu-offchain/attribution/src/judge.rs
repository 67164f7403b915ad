//! Whether the bases of an index are those of its rows: what a committee finds out.

use crate::{bases::RecomputedBases, gradient::Gradient, index::check_lanes, index::Index, Result};
use openledger_attribution::bases::drawn_rows;

/// What is wrong with committed bases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BasisFlaw {
    /// Vectors of a basis are not orthonormal to 2⁻¹⁰. Their bytes alone prove it.
    NotOrthonormal {
        /// The block.
        block: usize,
        /// Whether it is the left basis.
        is_left: bool,
    },
    /// In a basis the covariance of the drawn rows has more than 1% of its mass off the diagonal.
    NotDiagonal {
        /// The block.
        block: usize,
        /// Whether it is the left basis.
        is_left: bool,
    },
    /// The eigenvalues are not those of the drawn rows.
    Eigenvalues {
        /// The block.
        block: usize,
    },
}

impl Index {
    /// Judges the bases by the gradients of the drawn rows, computed anew: `gradient` gets a row. None if
    /// nothing is wrong.
    ///
    /// Errors: those of `gradient`; one of other modules or that is not finite.
    pub fn judge_bases(
        &self,
        gradient: impl Fn(u64) -> Result<Gradient> + Sync,
        threads: usize,
    ) -> Result<Option<BasisFlaw>> {
        let drawn: Vec<u64> = drawn_rows(&self.header().seed, self.rows()).into_iter().collect();
        let read = |at: usize| self.checked(gradient(drawn[at])?);
        let rho = self.header().rules.rho;
        self.bases()
            .judge(self.layout(), rho, drawn.len(), &read, threads)
    }

    /// What the gradients of the drawn rows give in the index's bases, block by block: what a committee's member reveals.
    ///
    /// Errors: as of [`judge_bases`](Self::judge_bases).
    pub fn recompute_bases(
        &self,
        gradient: impl Fn(u64) -> Result<Gradient> + Sync,
        threads: usize,
    ) -> Result<Vec<RecomputedBases>> {
        let drawn: Vec<u64> = drawn_rows(&self.header().seed, self.rows()).into_iter().collect();
        let read = |at: usize| self.checked(gradient(drawn[at])?);
        self.bases().recompute(self.layout(), drawn.len(), &read, threads)
    }

    fn checked(&self, gradient: Gradient) -> Result<Gradient> {
        check_lanes(self.layout(), self.names(), &gradient)?;
        Ok(gradient)
    }
}

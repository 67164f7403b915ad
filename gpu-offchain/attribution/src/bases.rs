//! The bases an index rotates into: fitted to gradients, held in fixed point, applied to every gradient.
//!
//! Left and right basis of a block are eigenvectors of Σ w·SSᵀ and Σ w·SᵀS over the drawn rows' matrices S; in
//! them the weighted mean squared entries Λ are the eigenvalues of the Fisher matrix's best approximation by
//! such a product (George et al., Fast approximate natural gradient descent in a Kronecker-factored
//! eigenbasis). What is applied are the committed fixed-point numbers, so everyone who has them applies the
//! same.
//!
//! A row weighs w = ‖g‖^(−3/2), ‖g‖ the length of its gradient over all blocks, times one number that leaves
//! Σ w‖g‖² = Σ‖g‖². The curvature of a loss falls in proportion to the part that is left to learn of a row,
//! the square of its gradient with the square of that; so unweighted the rows that a model knows well hardly
//! count, and a few that it never learns (mislabelled, say) decide what everyone is divided by.
//! docs/results/lds.md has what this is worth.

use crate::{
    eigen::symmetric,
    gradient::Gradient,
    judge::BasisFlaw,
    threads::{in_order, pieces},
    Error, Result,
};
use openledger_attribution::{
    bases::{blocks_agree, diagonal, orthonormal, BasisLeaf, Place, Spectrum, MAX_SPECTRUM_EXPONENT, ONE},
    sketch::{Layout, Module},
};

/// Rows whose sums are added up together: fixed, so that sums do not depend on threads.
const PIECE: usize = 64;

/// The bases and eigenvalues of all blocks, ready to be applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Bases {
    leaves: Vec<BasisLeaf>,
    blocks: Vec<Block>,
}

/// One block's numbers as they are applied.
#[derive(Clone, Debug, PartialEq)]
struct Block {
    rows: usize,
    columns: usize,
    /// Vector by vector: [rows, rows].
    left: Vec<f64>,
    /// Entry by entry: [columns, columns], turned so that sums run along the vectors.
    right: Vec<f64>,
    /// 1 / √(Λ + ρ · mean Λ), [rows, columns].
    weights: Vec<f64>,
}

/// What a committee's member computed of one block's bases.
#[derive(Clone, Debug, PartialEq)]
pub struct RecomputedBases {
    /// Whether the left basis diagonalises the drawn rows' covariance.
    pub left: bool,
    /// Whether the right one does.
    pub right: bool,
    /// The eigenvalues, one spectrum per row of the block's matrix.
    pub spectra: Vec<Spectrum>,
}

/// Gives the gradient of a drawn row, by its position among the drawn ones.
pub(crate) type ReadGradient<'a> = dyn Fn(usize) -> Result<Gradient> + Sync + 'a;

impl Bases {
    /// Fits bases to `count` gradients. `rho` is in parts per billion. The bits do not depend on `threads`.
    ///
    /// Errors: those of `read`; a basis that fixed point cannot hold.
    pub(crate) fn fit(
        layout: &Layout,
        names: &[String],
        rho: u32,
        count: usize,
        read: &ReadGradient<'_>,
        threads: usize,
    ) -> Result<Self> {
        let roots = roots_of_weights(count, read, threads)?;
        let read = |at: usize| weighted(&roots, at, read);
        let squares = squares(layout, count, &read, threads)?;
        let vectors = fit_vectors(layout, names, &squares, threads)?;
        // Eigenvalues of 1 and no damping: only the rotation.
        let rotation = Self::from_parts(layout, &vectors, None, rho)?;
        let total = rotation.mean_squares(count, &read, threads)?;
        Self::from_parts(layout, &vectors, Some(&total), rho)
    }

    /// The mean of the squares of every lane of `count` gradients.
    fn mean_squares(&self, count: usize, read: &ReadGradient<'_>, threads: usize) -> Result<Vec<f64>> {
        let lanes = self.blocks.iter().map(|block| block.weights.len()).sum();
        let sums = in_order(&pieces(count, PIECE), threads, |piece| {
            let mut sums = vec![0.0; lanes];
            for at in piece.clone() {
                for (sum, value) in sums.iter_mut().zip(self.apply(&read(at)?)) {
                    *sum += value * value;
                }
            }
            Ok::<_, Error>(sums)
        })?;
        let mut total = vec![0.0; lanes];
        for sums in sums {
            for (total, sum) in total.iter_mut().zip(sums) {
                *total += sum;
            }
        }
        for sum in &mut total {
            *sum /= count.max(1) as f64;
        }
        Ok(total)
    }

    /// What a committee's member finds who computed the drawn rows' gradients anew: the first thing that is
    /// wrong with these bases, none if nothing is. The bits do not depend on `threads`.
    pub(crate) fn judge(
        &self,
        layout: &Layout,
        rho: u32,
        count: usize,
        read: &ReadGradient<'_>,
        threads: usize,
    ) -> Result<Option<BasisFlaw>> {
        if let Some((block, is_left)) = self.flaw(layout) {
            return Ok(Some(BasisFlaw::NotOrthonormal { block, is_left }));
        }
        let found = self.recompute(layout, count, read, threads)?;
        let mut leaves = self.leaves.as_slice();
        for (block, (module, found)) in layout.modules.iter().zip(found).enumerate() {
            for (is_diagonal, is_left) in [(found.left, true), (found.right, false)] {
                if !is_diagonal {
                    return Ok(Some(BasisFlaw::NotDiagonal { block, is_left }));
                }
            }
            let (rows, columns) = (usize::from(module.rows), usize::from(module.columns));
            let committed: Vec<Spectrum> = leaves
                .iter()
                .skip(rows + columns)
                .take(rows)
                .filter_map(|leaf| match leaf {
                    BasisLeaf::Spectrum(spectrum) => Some(spectrum.clone()),
                    BasisLeaf::Vector(_) => None,
                })
                .collect();
            leaves = leaves.get(2 * rows + columns..).unwrap_or_default();
            if !blocks_agree(&committed, &found.spectra, rho) {
                return Ok(Some(BasisFlaw::Eigenvalues { block }));
            }
        }
        Ok(None)
    }

    /// What the drawn rows' gradients give in these bases, block by block.
    pub(crate) fn recompute(
        &self,
        layout: &Layout,
        count: usize,
        read: &ReadGradient<'_>,
        threads: usize,
    ) -> Result<Vec<RecomputedBases>> {
        let roots = roots_of_weights(count, read, threads)?;
        let read = |at: usize| weighted(&roots, at, read);
        let squares = squares(layout, count, &read, threads)?;
        let mut rotation = self.clone();
        let mut diagonals = Vec::with_capacity(squares.len());
        for (block, [left, right]) in rotation.blocks.iter_mut().zip(&squares) {
            let mut straight = vec![0.0; block.right.len()];
            for i in 0..block.columns {
                for j in 0..block.columns {
                    straight[i * block.columns + j] = block.right[j * block.columns + i];
                }
            }
            diagonals.push((
                is_diagonal(left, &block.left, block.rows),
                is_diagonal(right, &straight, block.columns),
            ));
            block.weights.fill(1.0);
        }
        let found = rotation.mean_squares(count, &read, threads)?;
        let mut found = found.as_slice();
        let each = layout
            .modules
            .iter()
            .zip(diagonals)
            .map(|(module, (left, right))| {
                let (rows, columns) = (usize::from(module.rows), usize::from(module.columns));
                let (lanes, rest) = found.split_at(rows * columns);
                found = rest;
                RecomputedBases {
                    left,
                    right,
                    spectra: lanes.chunks_exact(columns).map(spectrum).collect(),
                }
            });
        Ok(each.collect())
    }

    /// Vectors by block, left then right; eigenvalues of all lanes, or none for the rotation alone.
    fn from_parts(
        layout: &Layout,
        vectors: &[[Vec<Vec<i16>>; 2]],
        eigenvalues: Option<&[f64]>,
        rho: u32,
    ) -> Result<Self> {
        let mut leaves = Vec::new();
        let mut at = 0;
        for (module, [left, right]) in layout.modules.iter().zip(vectors) {
            leaves.extend(left.iter().chain(right).cloned().map(BasisLeaf::Vector));
            for _ in 0..module.rows {
                let columns = usize::from(module.columns);
                let spectrum = match eigenvalues {
                    Some(values) => spectrum(&values[at..at + columns]),
                    None => Spectrum {
                        exponent: 0,
                        values: vec![1; columns],
                    },
                };
                at += columns;
                leaves.push(BasisLeaf::Spectrum(spectrum));
            }
        }
        let rho = if eigenvalues.is_some() { rho } else { 0 };
        Self::from_leaves(layout, leaves, rho)
            .ok_or_else(|| Error::Plan("bases that do not fit their layout".into()))
    }

    /// The bases that an index published, or nothing if they do not fit the layout.
    pub fn from_leaves(layout: &Layout, leaves: Vec<BasisLeaf>, rho: u32) -> Option<Self> {
        if leaves.len() as u64 != layout.basis_leaves() {
            return None;
        }
        let fits = (0u64..)
            .zip(&leaves)
            .all(|(at, leaf)| Place::of(at, layout).is_some_and(|place| place.fits(leaf)));
        if !fits {
            return None;
        }
        let mut rest = leaves.iter();
        let blocks = layout
            .modules
            .iter()
            .map(|module| Block::read(module, &mut rest, rho))
            .collect::<Option<Vec<_>>>()?;
        Some(Self { leaves, blocks })
    }

    /// The leaves of their tree.
    pub fn leaves(&self) -> &[BasisLeaf] {
        &self.leaves
    }

    /// A gradient rotated and divided, ready to be quantised.
    pub(crate) fn apply(&self, gradient: &Gradient) -> Vec<f64> {
        let mut result = Vec::with_capacity(gradient.lanes.len());
        let mut rest = gradient.lanes.as_slice();
        for block in &self.blocks {
            let (lanes, tail) = rest.split_at(block.rows * block.columns);
            rest = tail;
            block.apply(lanes, &mut result);
        }
        result
    }

    /// The first pair of vectors that are not orthonormal: (block, whether of the left basis).
    pub(crate) fn flaw(&self, layout: &Layout) -> Option<(usize, bool)> {
        let mut rest = self.leaves.as_slice();
        for (at, module) in layout.modules.iter().enumerate() {
            for (size, is_left) in [(module.rows, true), (module.columns, false)] {
                let (vectors, tail) = rest.split_at_checked(usize::from(size))?;
                rest = tail;
                for (i, a) in vectors.iter().enumerate() {
                    for (j, b) in vectors.iter().enumerate().skip(i) {
                        let (BasisLeaf::Vector(a), BasisLeaf::Vector(b)) = (a, b) else {
                            return Some((at, is_left));
                        };
                        if !orthonormal(a, b, i == j) {
                            return Some((at, is_left));
                        }
                    }
                }
            }
            rest = rest.get(usize::from(module.rows)..)?;
        }
        None
    }
}

impl Block {
    fn read<'a>(module: &Module, leaves: &mut impl Iterator<Item = &'a BasisLeaf>, rho: u32) -> Option<Self> {
        let (rows, columns) = (usize::from(module.rows), usize::from(module.columns));
        let mut vectors = |size: usize| -> Option<Vec<f64>> {
            let mut entries = Vec::with_capacity(size * size);
            for _ in 0..size {
                let BasisLeaf::Vector(vector) = leaves.next()? else {
                    return None;
                };
                entries.extend(vector.iter().map(|entry| f64::from(*entry) / ONE as f64));
            }
            Some(entries)
        };
        let left = vectors(rows)?;
        let straight = vectors(columns)?;
        let mut right = vec![0.0; columns * columns];
        for (i, vector) in straight.chunks_exact(columns.max(1)).enumerate() {
            for (j, entry) in vector.iter().enumerate() {
                right[j * columns + i] = *entry;
            }
        }
        let mut eigenvalues = Vec::with_capacity(rows * columns);
        for _ in 0..rows {
            let BasisLeaf::Spectrum(Spectrum { exponent, values }) = leaves.next()? else {
                return None;
            };
            let unit = 2f64.powi(i32::from(*exponent));
            eigenvalues.extend(values.iter().map(|value| f64::from(*value) * unit));
        }
        let mean = eigenvalues.iter().sum::<f64>() / eigenvalues.len().max(1) as f64;
        let damping = f64::from(rho) / 1e9 * mean;
        let weights = eigenvalues
            .iter()
            .map(|value| {
                let divisor = value + damping;
                // Where training had no variance a gradient says nothing that could be weighed.
                if divisor > 0.0 {
                    1.0 / divisor.sqrt()
                } else {
                    0.0
                }
            })
            .collect();
        Some(Self {
            rows,
            columns,
            left,
            right,
            weights,
        })
    }

    fn apply(&self, lanes: &[f32], out: &mut Vec<f64>) {
        // T = S · Rᵀ, then L · T.
        let mut half = vec![0.0; self.rows * self.columns];
        for (row, to) in lanes
            .chunks_exact(self.columns)
            .zip(half.chunks_exact_mut(self.columns))
        {
            for (value, vector) in row.iter().zip(self.right.chunks_exact(self.columns)) {
                let value = f64::from(*value);
                for (to, entry) in to.iter_mut().zip(vector) {
                    *to += value * entry;
                }
            }
        }
        let start = out.len();
        out.resize(start + half.len(), 0.0);
        let result = &mut out[start..];
        for (vector, to) in self
            .left
            .chunks_exact(self.rows)
            .zip(result.chunks_exact_mut(self.columns))
        {
            for (entry, row) in vector.iter().zip(half.chunks_exact(self.columns)) {
                for (to, value) in to.iter_mut().zip(row) {
                    *to += entry * value;
                }
            }
        }
        for (value, weight) in result.iter_mut().zip(&self.weights) {
            *value *= weight;
        }
    }
}

/// What each row's gradient is multiplied by: the square root of its weight. A row without gradient has none.
///
/// Only square roots and divisions, so that every machine gets the same bits.
fn roots_of_weights(count: usize, read: &ReadGradient<'_>, threads: usize) -> Result<Vec<f64>> {
    let squares = in_order(&pieces(count, PIECE), threads, |piece| {
        let square = |at| {
            let gradient = read(at)?;
            let square = |lane: &f32| f64::from(*lane) * f64::from(*lane);
            Ok::<f64, Error>(gradient.lanes.iter().map(square).sum())
        };
        piece.clone().map(square).collect::<Result<Vec<f64>>>()
    })?
    .concat();
    // ‖g‖^(−3/4), the eighth root of ‖g‖² to the power of −3.
    let root = |square: &f64| {
        let fourth = square.sqrt().sqrt();
        let divisor = fourth * fourth.sqrt();
        if divisor > 0.0 {
            1.0 / divisor
        } else {
            0.0
        }
    };
    let roots: Vec<f64> = squares.iter().map(root).collect();
    let weighted: f64 = squares
        .iter()
        .zip(&roots)
        .map(|(square, root)| square * root * root)
        .sum();
    if weighted <= 0.0 {
        return Ok(roots);
    }
    let scale = (squares.iter().sum::<f64>() / weighted).sqrt();
    Ok(roots.iter().map(|root| root * scale).collect())
}

/// A drawn row's gradient times the root of its weight.
fn weighted(roots: &[f64], at: usize, read: &ReadGradient<'_>) -> Result<Gradient> {
    let mut gradient = read(at)?;
    let root = roots.get(at).copied().unwrap_or(0.0);
    for lane in &mut gradient.lanes {
        *lane = (f64::from(*lane) * root) as f32;
    }
    Ok(gradient)
}

/// Whether a covariance [size, size] is diagonal in these vectors, as the chain's rule has it.
fn is_diagonal(covariance: &[f64], vectors: &[f64], size: usize) -> bool {
    let product = |matrix: &[f64], vector: &[f64]| -> Vec<f64> {
        let times = |row: &[f64]| row.iter().zip(vector).map(|(a, b)| a * b).sum();
        matrix.chunks_exact(size.max(1)).map(times).collect()
    };
    // Row i: V·C·v_i.
    let turned: Vec<Vec<f64>> = vectors
        .chunks_exact(size.max(1))
        .map(|vector| product(vectors, &product(covariance, vector)))
        .collect();
    let peak = turned
        .iter()
        .flatten()
        .fold(0.0f64, |peak, entry| peak.max(entry.abs()));
    if peak <= 0.0 {
        return true;
    }
    let fixed: Vec<Vec<i64>> = turned
        .iter()
        .map(|row| {
            row.iter()
                .map(|entry| (entry / peak * FIXED).round() as i64)
                .collect()
        })
        .collect();
    diagonal(&fixed) == Some(true)
}

/// The unit that a covariance's largest entry is counted in: 2^16 squares of it fit 128 bits.
const FIXED: f64 = (1u64 << 48) as f64;

/// Σ SSᵀ and Σ SᵀS of all blocks.
fn squares(
    layout: &Layout,
    count: usize,
    read: &ReadGradient<'_>,
    threads: usize,
) -> Result<Vec<[Vec<f64>; 2]>> {
    let squares = |module: &Module| {
        let (rows, columns) = (usize::from(module.rows), usize::from(module.columns));
        [vec![0.0; rows * rows], vec![0.0; columns * columns]]
    };
    let partial = in_order(&pieces(count, PIECE), threads, |piece| {
        let mut sums: Vec<[Vec<f64>; 2]> = layout.modules.iter().map(squares).collect();
        for at in piece.clone() {
            let gradient = read(at)?;
            let mut rest = gradient.lanes.as_slice();
            for (module, [left, right]) in layout.modules.iter().zip(&mut sums) {
                let (lanes, tail) = rest.split_at(module.lanes() as usize);
                rest = tail;
                add_squares(lanes, usize::from(module.columns), left, right);
            }
        }
        Ok::<_, Error>(sums)
    })?;
    let mut total: Vec<[Vec<f64>; 2]> = layout.modules.iter().map(squares).collect();
    for sums in partial {
        for (to, from) in total.iter_mut().flatten().zip(sums.into_iter().flatten()) {
            for (to, from) in to.iter_mut().zip(from) {
                *to += from;
            }
        }
    }
    Ok(total)
}

/// The vectors of all blocks, left and right.
fn fit_vectors(
    layout: &Layout,
    names: &[String],
    squares: &[[Vec<f64>; 2]],
    threads: usize,
) -> Result<Vec<[Vec<Vec<i16>>; 2]>> {
    let work: Vec<(usize, &[Vec<f64>; 2])> = squares.iter().enumerate().collect();
    in_order(&work, threads, |(at, [left, right])| {
        let module = layout.modules[*at];
        let fixed = |matrix: &[f64], size: u16, part: &'static str| {
            fixed_vectors(matrix, usize::from(size)).ok_or_else(|| Error::NotOrthonormal {
                part,
                block: names[*at].clone(),
            })
        };
        Ok([
            fixed(left, module.rows, "left")?,
            fixed(right, module.columns, "right")?,
        ])
    })
}

/// left += S·Sᵀ and right += Sᵀ·S.
fn add_squares(lanes: &[f32], columns: usize, left: &mut [f64], right: &mut [f64]) {
    let rows = lanes.len() / columns;
    let wide: Vec<f64> = lanes.iter().map(|lane| f64::from(*lane)).collect();
    for (i, a) in wide.chunks_exact(columns).enumerate() {
        for (j, b) in wide.chunks_exact(columns).enumerate().take(i + 1) {
            let product: f64 = a.iter().zip(b).map(|(x, y)| x * y).sum();
            left[i * rows + j] += product;
            if i != j {
                left[j * rows + i] += product;
            }
        }
        for (value, sums) in a.iter().zip(right.chunks_exact_mut(columns)) {
            for (sum, other) in sums.iter_mut().zip(a) {
                *sum += value * other;
            }
        }
    }
}

/// The eigenvectors of a matrix in 16,384ths, largest eigenvalue first; nothing if they are not orthonormal
/// any more.
fn fixed_vectors(matrix: &[f64], size: usize) -> Option<Vec<Vec<i16>>> {
    let (_, vectors) = symmetric(matrix, size);
    let fixed: Vec<Vec<i16>> = vectors
        .chunks_exact(size)
        .map(|vector| {
            vector
                .iter()
                // At most 1 in size, so within ±16,384.
                .map(|entry| (entry * ONE as f64).round() as i16)
                .collect()
        })
        .collect();
    let is_basis = fixed.iter().enumerate().all(|(i, a)| {
        fixed
            .iter()
            .enumerate()
            .skip(i)
            .all(|(j, b)| orthonormal(a, b, i == j))
    });
    is_basis.then_some(fixed)
}

/// Eigenvalues as mantissas of at most 31 bits with one exponent.
fn spectrum(values: &[f64]) -> Spectrum {
    let largest = values.iter().fold(0.0f64, |largest, value| largest.max(*value));
    if largest < f64::MIN_POSITIVE {
        return Spectrum {
            exponent: 0,
            values: vec![0; values.len()],
        };
    }
    let power = ((largest.to_bits() >> 52) & 0x7ff) as i32 - 1_023;
    let limit = i32::from(MAX_SPECTRUM_EXPONENT);
    let exponent = (power - 30).clamp(-limit, limit);
    let unit = 2f64.powi(-exponent);
    Spectrum {
        exponent: exponent as i16,
        // Casts saturate.
        values: values.iter().map(|value| (value * unit).round() as u32).collect(),
    }
}

//! The bases an index rotates into: fitted to gradients, held in fixed point, applied to every gradient.
//!
//! Left and right basis of a block are eigenvectors of Σ SSᵀ and Σ SᵀS over the drawn rows' matrices S; in
//! them the mean squared entries Λ are the eigenvalues of the Fisher matrix's best approximation by such a
//! product (George et al., Fast approximate natural gradient descent in a Kronecker-factored eigenbasis).
//! What is applied are the committed fixed-point numbers, so everyone who has them applies the same.

use crate::{
    eigen::symmetric,
    gradient::Gradient,
    threads::{in_order, pieces},
    Error, Result,
};
use openledger_attribution::{
    bases::{orthonormal, BasisLeaf, Place, Spectrum, MAX_SPECTRUM_EXPONENT, ONE},
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
        let vectors = fit_vectors(layout, names, count, read, threads)?;
        // Eigenvalues of 1 and no damping: only the rotation.
        let rotation = Self::from_parts(layout, &vectors, None, rho)?;
        let lanes = layout.lanes() as usize;
        let sums = in_order(&pieces(count, PIECE), threads, |piece| {
            let mut sums = vec![0.0; lanes];
            for at in piece.clone() {
                for (sum, value) in sums.iter_mut().zip(rotation.apply(&read(at)?)) {
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
        Self::from_parts(layout, &vectors, Some(&total), rho)
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

/// The vectors of all blocks, left and right.
fn fit_vectors(
    layout: &Layout,
    names: &[String],
    count: usize,
    read: &ReadGradient<'_>,
    threads: usize,
) -> Result<Vec<[Vec<Vec<i16>>; 2]>> {
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
    let work: Vec<(usize, &[Vec<f64>; 2])> = total.iter().enumerate().collect();
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

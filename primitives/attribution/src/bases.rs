//! The bases an index rotates into, in fixed point, and what can be judged of them in integers.
//!
//! Layout `Q14`: entries of a basis are signed 16-bit numbers in 16,384ths, one leaf per basis vector;
//! eigenvalues are unsigned 32-bit mantissas with one exponent per leaf, `value = mantissa · 2^exponent`. For
//! each module of the layout: the vectors of the left basis (as many as the sketch matrix has rows, of that
//! length), those of the right basis (columns), then one spectrum leaf per row of the matrix (one eigenvalue
//! per column).

use crate::{
    batch::draw_position,
    hash::{Hash, Tag, NONE},
    sketch::Layout,
    tree::Leaf,
    wire::{choices, fields, Field},
};
use alloc::{collections::BTreeSet, vec::Vec};

/// One in the fixed point of basis entries.
pub const ONE: i64 = 1 << 14;

/// Scalar products may be off by 2⁻¹⁰ (of one squared).
pub const TOLERANCE: u64 = 1 << 18;

/// Exponents of eigenvalues lie within ± this.
pub const MAX_SPECTRUM_EXPONENT: i16 = 200;

/// Rows that bases and eigenvalues are computed from.
pub const DRAWN_ROWS: usize = 4_096;

/// The rows that an index of `rows` rows computes its bases from: all if there are no more than
/// [`DRAWN_ROWS`]; else the first so many different ones that are drawn by the index's seed for purpose
/// `base` and no object (see [`draw_position`]). In ascending order.
pub fn drawn_rows(seed: &Hash, rows: u64) -> BTreeSet<u64> {
    let wanted = u64::try_from(DRAWN_ROWS).unwrap_or(u64::MAX);
    if rows <= wanted {
        return (0..rows).collect();
    }
    let mut drawn = BTreeSet::new();
    for number in 0u64.. {
        let row = draw_position(seed, b"base", &NONE, number, u128::from(rows));
        // Below `rows`, so it fits.
        drawn.insert(u64::try_from(row).unwrap_or(0));
        if drawn.len() >= DRAWN_ROWS {
            break;
        }
    }
    drawn
}

/// A basis vector or a row of the spectrum; the tree's order says whose.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub enum BasisLeaf {
    /// A basis vector, in 16,384ths.
    Vector(Vec<i16>),
    /// Eigenvalues of one row of the sketch matrix.
    Spectrum(Spectrum),
}

choices!(BasisLeaf { 0 => Vector, 1 => Spectrum });

/// Eigenvalues with a common exponent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct Spectrum {
    /// The exponent, within ±[`MAX_SPECTRUM_EXPONENT`].
    pub exponent: i16,
    /// The mantissas.
    pub values: Vec<u32>,
}

fields!(Spectrum { exponent, values });

impl Leaf for BasisLeaf {
    const TAG: Tag = *b"BAS1";

    fn payload(&self, out: &mut Vec<u8>) -> Option<u128> {
        self.write(out);
        Some(0)
    }
}

/// What stands at a position of the tree of bases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which of the three parts of a module.
    pub part: Part,
    /// The module.
    pub module: usize,
    /// Position within the part.
    pub row: u64,
    /// Numbers the leaf must have.
    pub length: usize,
}

/// A part of a module's bases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Vectors of the left basis.
    Left,
    /// Vectors of the right basis.
    Right,
    /// Eigenvalues.
    Spectrum,
}

impl Place {
    /// What stands at `index` for this layout.
    pub fn of(index: u64, layout: &Layout) -> Option<Self> {
        let mut row = index;
        for (module, shape) in layout.modules.iter().enumerate() {
            for (part, count, length) in [
                (Part::Left, shape.rows, shape.rows),
                (Part::Right, shape.columns, shape.columns),
                (Part::Spectrum, shape.rows, shape.columns),
            ] {
                match row.checked_sub(u64::from(count)) {
                    None => {
                        return Some(Self {
                            part,
                            module,
                            row,
                            length: usize::from(length),
                        })
                    }
                    Some(rest) => row = rest,
                }
            }
        }
        None
    }

    /// Whether a leaf has the kind, the length and the range that this place asks for.
    pub fn fits(&self, leaf: &BasisLeaf) -> bool {
        match leaf {
            BasisLeaf::Vector(entries) => self.part != Part::Spectrum && entries.len() == self.length,
            BasisLeaf::Spectrum(Spectrum { exponent, values }) => {
                self.part == Part::Spectrum
                    && values.len() == self.length
                    && exponent.unsigned_abs() <= MAX_SPECTRUM_EXPONENT.unsigned_abs()
            }
        }
    }
}

/// Whether the scalar product of two basis vectors is what it must be, 1 with itself and 0 with another,
/// within 2⁻¹⁰. Vectors of different length never are.
pub fn orthonormal(a: &[i16], b: &[i16], same: bool) -> bool {
    let product = a
        .iter()
        .zip(b)
        // 2^30 each, at most 2^16 of them: far inside 64 bits.
        .fold(0i64, |sum, (x, y)| {
            sum.saturating_add(i64::from(*x).saturating_mul(i64::from(*y)))
        });
    let expected = if same { ONE.saturating_mul(ONE) } else { 0 };
    a.len() == b.len() && product.abs_diff(expected) <= TOLERANCE
}

/// Whether a recomputed covariance, rotated into the committed bases, is diagonal: its off-diagonal mass (sum
/// of squares) is at most 1% of all. Row by row, entries in any common fixed point; nothing if a sum passes
/// 2^128 or a row has another length.
pub fn diagonal(rows: &[Vec<i64>]) -> Option<bool> {
    let (mut off, mut all) = (0u128, 0u128);
    for (i, row) in rows.iter().enumerate() {
        if row.len() != rows.len() {
            return None;
        }
        for (j, entry) in row.iter().enumerate() {
            let size = u128::from(entry.unsigned_abs());
            let square = size.checked_mul(size)?;
            all = all.checked_add(square)?;
            if i != j {
                off = off.checked_add(square)?;
            }
        }
    }
    Some(off.checked_mul(100)? <= all)
}

/// Whether recomputed eigenvalues agree with the committed ones: each within 1% of the larger of the two.
pub fn spectra_agree(a: &Spectrum, b: &Spectrum) -> bool {
    a.values.len() == b.values.len()
        && a.values
            .iter()
            .zip(&b.values)
            .all(|(x, y)| close((*x, a.exponent), (*y, b.exponent)))
}

/// Whether the recomputed eigenvalues of a whole block, one spectrum per row of its matrix, agree with the
/// committed ones where they are used: each within 1% of the larger of the two **plus the damping**, ρ (parts
/// per billion) times the smaller of both blocks' means. A sketch is divided by √(Λ + ρ · mean Λ), so what is
/// far below the damping changes no lane; and there an honest recomputation is rounding: a direction in which
/// training hardly moved differs by more than 1% between two machines, and [`spectra_agree`] alone would
/// accuse whoever built the index. Without damping it is [`spectra_agree`] of every row.
pub fn blocks_agree(committed: &[Spectrum], recomputed: &[Spectrum], rho: u32) -> bool {
    let is_shaped = committed.len() == recomputed.len()
        && committed
            .iter()
            .zip(recomputed)
            .all(|(a, b)| a.values.len() == b.values.len());
    if !is_shaped {
        return false;
    }
    // Bits of the largest number: everything is counted in units of 2^-80 of it, so that it fits 80 bits.
    // What is lost is under a 2^-80th; the least damping, 10^-9 of a mean over at most 2^32 lanes, is more.
    let top = |spectrum: &Spectrum| {
        let bits = spectrum.values.iter().map(|value| value.checked_ilog2()).max();
        let bits = i32::try_from(bits.flatten()?).ok()?;
        Some(bits.saturating_add(spectrum.exponent.into()))
    };
    let Some(top) = committed.iter().chain(recomputed).filter_map(top).max() else {
        // All zero.
        return true;
    };
    let unit = top.saturating_sub(79);
    let values = |block: &[Spectrum]| -> Vec<u128> {
        let mut all = Vec::new();
        for spectrum in block {
            let shift = i32::from(spectrum.exponent).saturating_sub(unit);
            all.extend(spectrum.values.iter().map(|value| {
                let value = u128::from(*value);
                match u32::try_from(shift) {
                    // A mantissa that is not zero stays within 80 bits; zero may stand at any exponent.
                    Ok(up) => value.checked_shl(up).unwrap_or(0),
                    Err(_) => value.checked_shr(shift.unsigned_abs()).unwrap_or(0),
                }
            }));
        }
        all
    };
    let (committed, recomputed) = (values(committed), values(recomputed));
    let total = |values: &[u128]| values.iter().fold(0u128, |sum, value| sum.saturating_add(*value));
    let count = u128::try_from(committed.len()).unwrap_or(u128::MAX);
    let mean = total(&committed)
        .min(total(&recomputed))
        .checked_div(count)
        .unwrap_or(0);
    let damping = mean.saturating_mul(rho.into()) / 1_000_000_000;
    committed
        .iter()
        .zip(&recomputed)
        .all(|(x, y)| x.abs_diff(*y).saturating_mul(100) <= (*x).max(*y).saturating_add(damping))
}

fn close((x, e_x): (u32, i16), (y, e_y): (u32, i16)) -> bool {
    // Brought to the smaller exponent; beyond 64 doublings apart only zeros agree.
    let shifted = |value: u32, by: u16| {
        if value == 0 {
            Some(0)
        } else if by <= 64 {
            u128::from(value).checked_shl(u32::from(by))
        } else {
            None
        }
    };
    let low = e_x.min(e_y);
    match (shifted(x, e_x.abs_diff(low)), shifted(y, e_y.abs_diff(low))) {
        (Some(x), Some(y)) => x.abs_diff(y).saturating_mul(100) <= x.max(y),
        _ => false,
    }
}

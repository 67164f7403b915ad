//! The signs that a gradient's sides are projected with.
//!
//! A projection from `d` to `k` dimensions is a k × d matrix of ±1, or the identity if d ≤ k. Its signs come
//! from a counter: anyone who knows the index's seed computes any of them alone, in any order.

use crate::hash::{keccak, Hash};

/// Signs that one hash gives.
pub const SIGNS: u32 = 256;

/// Which side of a module's sketch matrix a projection makes smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Its rows: gradients at the module's output.
    Rows,
    /// Its columns: the module's input.
    Columns,
}

/// The signs at columns `256 · block ..` of row `row` of a projection, one bit each: column c has bit c mod 8
/// (counted from the lowest) of byte (c mod 256) / 8; a set bit is +1, another −1.
///
/// keccak(seed ‖ module u32 ‖ side u8, 0 rows, 1 columns ‖ row u32 ‖ block u32), `module` being the position
/// in the index's layout.
pub fn signs(seed: &Hash, module: u32, side: Side, row: u32, block: u32) -> Hash {
    let side = match side {
        Side::Rows => 0u8,
        Side::Columns => 1,
    };
    keccak(&[
        seed,
        &module.to_be_bytes(),
        &[side],
        &row.to_be_bytes(),
        &block.to_be_bytes(),
    ])
}

/// One entry of a projection, 1 or −1; see [`signs`].
pub fn sign(seed: &Hash, module: u32, side: Side, row: u32, column: u32) -> i8 {
    let block = signs(seed, module, side, row, column.div_euclid(SIGNS));
    let within = column.rem_euclid(SIGNS);
    let byte = usize::try_from(within.div_euclid(8))
        .ok()
        .and_then(|at| block.get(at))
        .copied()
        .unwrap_or(0);
    if (byte >> within.rem_euclid(8)) & 1 == 1 {
        1
    } else {
        -1
    }
}

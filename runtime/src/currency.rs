//! OPEN and its units.

use crate::Balance;

/// One OPEN in planck, its smallest unit (10⁻¹⁸ OPEN): the same ratio as ether to wei, so EVM tools show true amounts.
pub const OPEN: Balance = 1_000_000_000_000_000_000;
/// A thousandth of an OPEN.
pub const MILLI: Balance = OPEN / 1_000;
/// A millionth of an OPEN.
pub const MICRO: Balance = MILLI / 1_000;
/// 10⁻⁹ OPEN, what EVM tools call a gwei.
pub const GIGA: Balance = 1_000_000_000;

/// All the OPEN there is, and there will be.
pub const SUPPLY: Balance = 1_000_000_000 * OPEN;
/// The least an account can hold.
pub const EXISTENTIAL_DEPOSIT: Balance = 100 * MICRO;

//! Who sits: drawn by bond, one seat an owner.
//!
//! Every candidate has a rank of its own, `−log₂(u) / bond` with `u` even in (0, 1] and drawn for it alone; the
//! lowest ranks sit (Efraimidis and Spirakis, *Weighted random sampling with a reservoir*, 2006). The lowest of
//! all is each candidate's with a chance in proportion to its bond, the next lowest in proportion among the
//! others, and so on. Nobody can move another's rank: who leaves or takes bond out when the draw is known only
//! loses its own seat to the next in line, and bond that came later than the dispute does not count.

use crate::hash::{keccak, Account, Hash};
use alloc::{collections::BTreeSet, vec::Vec};

/// Bonds count in thousandths of an OPEN.
pub const BOND_UNIT: u128 = 1_000_000_000_000_000;

/// Bits behind the point of a logarithm.
const FRACTION: u32 = 40;

/// A worker that could sit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The worker.
    pub worker: Account,
    /// Who is behind it.
    pub owner: Account,
    /// Planck of its bond that count.
    pub bond: u128,
}

/// −log₂ of (`number` + 1) / 2^128, in 2^-40; the last bits are cut off.
fn minus_log2(number: u128) -> u128 {
    let x = number.saturating_add(1);
    let whole = x.checked_ilog2().unwrap_or(0);
    // The mantissa in [1, 2), with 63 bits behind the point.
    let aligned = x.checked_shl(127u32.saturating_sub(whole)).unwrap_or(0);
    let mut mantissa = aligned >> 64;
    let mut fraction = 0u128;
    for _ in 0..FRACTION {
        // Squaring doubles the logarithm: it shows the next bit in front of the point.
        let square = mantissa.saturating_mul(mantissa);
        let bit = square >> 127;
        mantissa = if bit == 1 { square >> 64 } else { square >> 63 };
        fraction = (fraction << 1) | bit;
    }
    let log = (u128::from(whole) << FRACTION) | fraction;
    (128u128 << FRACTION).saturating_sub(log)
}

/// The rank of a worker with this bond under `randomness`: lower sits first. Nothing without bond.
pub fn rank(randomness: &Hash, worker: &Account, bond: u128) -> Option<u128> {
    let draw = keccak(&[b"seat", randomness, worker]);
    let (head, _) = draw.split_first_chunk::<16>()?;
    // Below 2^48, so it fits when moved up.
    let log = minus_log2(u128::from_be_bytes(*head)) << 64;
    log.checked_div(bond.div_euclid(BOND_UNIT))
}

/// The candidates in the order in which they sit, one of each owner: its lowest rank. Equal ranks, which nobody
/// will see, go by account.
pub fn draw_seats(randomness: &Hash, candidates: &[Candidate]) -> Vec<Account> {
    let mut ranked: Vec<(u128, Account, Account)> = candidates
        .iter()
        .filter_map(|candidate| {
            let rank = rank(randomness, &candidate.worker, candidate.bond)?;
            Some((rank, candidate.worker, candidate.owner))
        })
        .collect();
    ranked.sort_unstable();
    let mut owners = BTreeSet::new();
    ranked
        .into_iter()
        .filter(|(_, _, owner)| owners.insert(*owner))
        .map(|(_, worker, _)| worker)
        .collect()
}

//! Dividing a whole among weights, exactly: largest remainder, ties by order.

use crate::wide::multiply_divide;
use alloc::{collections::BTreeMap, vec::Vec};
use core::cmp::Reverse;

/// The whole of shares and weights: parts per billion.
pub const BILLION: u32 = 1_000_000_000;

/// Divides `total` in proportion to `weights`: everyone gets the floor, and what is left goes one by one to
/// the largest remainders, the earlier of equals first. Nothing if the weights are all zero or their sum
/// passes 2^128.
///
/// The parts add up to `total`, each is within one of its exact value, and a zero weight gets zero. Callers
/// order the weights by id, so that ties are broken by id.
pub fn apportion(total: u128, weights: &[u128]) -> Option<Vec<u128>> {
    let whole = weights
        .iter()
        .try_fold(0u128, |sum, weight| sum.checked_add(*weight))?;
    let mut parts = Vec::with_capacity(weights.len());
    let mut remainders = Vec::with_capacity(weights.len());
    let mut given = 0u128;
    for (position, weight) in weights.iter().enumerate() {
        let (part, remainder) = multiply_divide(total, *weight, whole)?;
        given = given.checked_add(part)?;
        parts.push(part);
        remainders.push((Reverse(remainder), position));
    }
    if whole == 0 {
        return None;
    }
    // The remainders add up to `left` times the whole and each is below it, so more than `left` of them are
    // not zero unless `left` is: no zero weight ever gets a unit.
    let left = usize::try_from(total.checked_sub(given)?).ok()?;
    remainders.sort_unstable();
    for (_, position) in remainders.into_iter().take(left) {
        let part = parts.get_mut(position)?;
        *part = part.checked_add(1)?;
    }
    Some(parts)
}

/// Shares of `weights` in parts per billion.
pub fn shares(weights: &[u128]) -> Option<Vec<u32>> {
    apportion(u128::from(BILLION), weights)?
        .into_iter()
        .map(|share| u32::try_from(share).ok())
        .collect()
}

/// Adds amounts up by key, sorted by key, zeros left out.
pub fn gather<K: Ord>(amounts: impl IntoIterator<Item = (K, u128)>) -> Option<Vec<(K, u128)>> {
    let mut sums = BTreeMap::new();
    for (key, amount) in amounts {
        let sum = sums.entry(key).or_insert(0u128);
        *sum = sum.checked_add(amount)?;
    }
    Some(sums.into_iter().filter(|(_, sum)| *sum > 0).collect())
}

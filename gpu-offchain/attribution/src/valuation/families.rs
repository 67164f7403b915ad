//! Which texts are one and the same.

use openledger_content::{Families, Signature};

/// The number of each text's family; families count from 0 in the order in which they begin, so the first
/// text of each is its representative. (See [`Families`].)
pub fn families<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<usize> {
    let mut families = Families::default();
    texts
        .into_iter()
        .map(|text| families.add(Signature::of(text)))
        .collect()
}

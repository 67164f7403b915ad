//! Exact Shapley values of the K-nearest-neighbour game.
//!
//! A coalition of rows answers a query by the mean gain of its K rows nearest to it (sum over K, where there
//! are fewer). In that game a row's Shapley value has a closed form, from far to near (Jia et al., Efficient
//! task-specific data valuation for nearest neighbor algorithms, 2019): n log n instead of 2^n.

use crate::{Error, Result};

/// Values of all rows, mean over the queries; for each query they add up to what all rows together gain.
///
/// `nearness` and `gains` are [queries, rows], query by query: how near a row is to the query (the scores of
/// channel 1, or any likeness; equal ones count by row), and what it brings where it is among the nearest (1
/// for the right label and 0 for a wrong one, or how much better a validation text is predicted, in any
/// unit). A row of negative value does harm where it is near.
///
/// Errors: K of 0, sizes that do not fit, numbers that are not finite.
pub fn neighbour_values(nearness: &[f64], gains: &[f64], rows: usize, k: usize) -> Result<Vec<f64>> {
    let flaw = |what: String| Err(Error::Plan(format!("values by nearest neighbours: {what}")));
    if k == 0 || rows == 0 {
        return flaw(format!(
            "{k} neighbours among {rows} rows: at least one of each is needed"
        ));
    }
    if nearness.len() != gains.len() || !nearness.len().is_multiple_of(rows) {
        return flaw(format!(
            "{} likenesses and {} gains: expected {rows} of each for every query",
            nearness.len(),
            gains.len()
        ));
    }
    if let Some(value) = nearness.iter().chain(gains).find(|value| !value.is_finite()) {
        return flaw(format!("{value} among the numbers: all must be finite"));
    }
    let queries = nearness.len() / rows;
    let mut total = vec![0.0; rows];
    for (nearness, gains) in nearness.chunks_exact(rows).zip(gains.chunks_exact(rows)) {
        let mut order: Vec<usize> = (0..rows).collect();
        order.sort_by(|a, b| nearness[*b].total_cmp(&nearness[*a]).then(a.cmp(b)));
        // The farthest counts only in coalitions of fewer than K others.
        let mut value = 0.0;
        let mut farther: Option<usize> = None;
        for (place, row) in order.iter().enumerate().rev() {
            // Places count from 1, the nearest.
            let place = place + 1;
            value += match farther {
                None => gains[*row] * k.min(place) as f64 / (k * place) as f64,
                Some(next) => (gains[*row] - gains[next]) * k.min(place) as f64 / (k * place) as f64,
            };
            farther = Some(*row);
            total[*row] += value;
        }
    }
    for value in &mut total {
        *value /= queries.max(1) as f64;
    }
    Ok(total)
}

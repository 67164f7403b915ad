//! Rows that shape themselves far more than others do.

/// A row whose self-influence stands out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlier {
    /// The row.
    pub row: usize,
    /// How many robust deviations its logarithm lies above the median.
    pub deviations: f64,
}

/// 1 / Φ⁻¹(3/4): makes the median absolute deviation of a normal distribution its standard deviation.
const NORMAL: f64 = 1.482_602_218_505_602;

/// Rows whose self-influence (the score of a row's sketch with itself, its squared norm) lies more than
/// `limit` robust deviations above the median, strongest first, then by row. Rows of none or 0 (no gradient,
/// invalid bytes) are never outliers and count for nothing.
///
/// Median and deviation are of logarithms: self-influences spread over orders of magnitude, and a few huge
/// ones, which are what is looked for, move neither. A row that the model memorised because nothing else
/// supports it (a wrong label, planted nonsense) stands high.
pub fn outliers(self_influences: &[Option<u128>], limit: f64) -> Vec<Outlier> {
    let logarithms: Vec<(usize, f64)> = self_influences
        .iter()
        .enumerate()
        .filter_map(|(row, value)| {
            value
                .filter(|value| *value > 0)
                .map(|value| (row, (value as f64).log2()))
        })
        .collect();
    let middle = median(logarithms.iter().map(|(_, value)| *value).collect());
    let spread = median(
        logarithms
            .iter()
            .map(|(_, value)| (value - middle).abs())
            .collect(),
    ) * NORMAL;
    let mut found: Vec<Outlier> = logarithms
        .into_iter()
        .map(|(row, value)| Outlier {
            row,
            // Where more than half are alike, whatever is not stands out without bound.
            deviations: if value > middle {
                (value - middle) / spread
            } else {
                0.0
            },
        })
        .filter(|outlier| outlier.deviations > limit)
        .collect();
    found.sort_by(|a, b| b.deviations.total_cmp(&a.deviations).then(a.row.cmp(&b.row)));
    found
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match (values.get(half.wrapping_sub(1)), values.get(half)) {
        (Some(low), Some(high)) if values.len().is_multiple_of(2) => (low + high) / 2.0,
        (_, Some(middle)) => *middle,
        _ => 0.0,
    }
}

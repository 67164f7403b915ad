//! Weights of 8 bits.

/// Rows of `columns` as whole numbers from -127 to 127, each row's largest weight 127, and what a one of each row stands for.
pub(crate) fn rows(weights: &[f32], columns: usize) -> (Vec<i8>, Vec<f32>) {
    let mut numbers = Vec::with_capacity(weights.len());
    let mut factors = Vec::new();
    for row in weights.chunks(columns.max(1)) {
        let most = row.iter().fold(0.0_f32, |most, w| most.max(w.abs()));
        let factor = most / 127.0;
        let number = |w: &f32| {
            if factor > 0.0 {
                (w / factor).round() as i8
            } else {
                0
            }
        };
        numbers.extend(row.iter().map(number));
        factors.push(factor);
    }
    (numbers, factors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_should_be_off_by_half_a_step_at_most() {
        let weights: Vec<f32> = (0..7 * 33)
            .map(|i| ((i * 7919 % 1009) as f32 / 504.5 - 1.0) * (i / 33) as f32)
            .collect();
        let (numbers, factors) = rows(&weights, 33);
        assert_eq!((numbers.len(), factors.len()), (weights.len(), 7));
        for (i, (number, weight)) in numbers.iter().zip(&weights).enumerate() {
            let (got, step) = (f32::from(*number) * factors[i / 33], factors[i / 33]);
            assert!((got - weight).abs() <= step * 0.5001, "{i}: {got}, {weight}");
        }
        assert!(numbers[..33].iter().all(|n| *n == 0), "a row of zeros stays zero");
        assert_eq!(numbers.iter().map(|n| n.unsigned_abs()).max(), Some(127));
    }
}

//! Values are those of the definition; outliers and families are found, and nobody else is.

mod common;

use common::{seed, Rng};
use openledger_influence::valuation::{families, neighbour_values, outliers, review, Reason};

/// What a coalition gains: the definition, word by word.
fn gain(nearness: &[f64], gains: &[f64], coalition: u32, k: usize) -> f64 {
    let mut members: Vec<usize> = (0..nearness.len())
        .filter(|row| coalition >> row & 1 == 1)
        .collect();
    members.sort_by(|a, b| nearness[*b].total_cmp(&nearness[*a]).then(a.cmp(b)));
    members.iter().take(k).map(|row| gains[*row]).sum::<f64>() / k as f64
}

/// Shapley values by all 2^n coalitions.
fn brute(nearness: &[f64], gains: &[f64], k: usize) -> Vec<f64> {
    let n = nearness.len();
    let factorial = |n: usize| (1..=n).map(|i| i as f64).product::<f64>();
    let mut values = vec![0.0; n];
    for coalition in 0..1u32 << n {
        let size = coalition.count_ones() as usize;
        for (row, value) in values.iter_mut().enumerate() {
            if coalition >> row & 1 == 0 {
                let weight = factorial(size) * factorial(n - size - 1) / factorial(n);
                let with = gain(nearness, gains, coalition | 1 << row, k);
                *value += weight * (with - gain(nearness, gains, coalition, k));
            }
        }
    }
    values
}

#[test]
fn values_are_the_shapley_values_of_the_definition() {
    let mut rng = Rng(seed());
    for round in 0..120 {
        let (rows, k, queries) = (
            1 + rng.below(8) as usize,
            1 + rng.below(5) as usize,
            1 + rng.below(3) as usize,
        );
        let cells = rows * queries;
        // Ties now and then, labels or any gains.
        let coarse = |rng: &mut Rng| (rng.below(4) as f64) / 4.0;
        let nearness: Vec<f64> = (0..cells)
            .map(|_| match round % 2 {
                0 => coarse(&mut rng),
                _ => f64::from(rng.float()),
            })
            .collect();
        let gains: Vec<f64> = (0..cells)
            .map(|_| match round % 3 {
                0 => rng.below(2) as f64,
                _ => f64::from(rng.float()),
            })
            .collect();
        let found = neighbour_values(&nearness, &gains, rows, k).unwrap();
        let mut expected = vec![0.0; rows];
        let mut everything = 0.0;
        for (nearness, gains) in nearness.chunks(rows).zip(gains.chunks(rows)) {
            for (sum, value) in expected.iter_mut().zip(brute(nearness, gains, k)) {
                *sum += value / queries as f64;
            }
            everything += gain(nearness, gains, (1 << rows) - 1, k) / queries as f64;
        }
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() < 1e-12,
                "{found} and {expected}: {rows} rows, K {k}"
            );
        }
        assert!((found.iter().sum::<f64>() - everything).abs() < 1e-12);
    }
}

#[test]
fn what_cannot_be_valued_is_refused() {
    assert!(neighbour_values(&[1.0], &[1.0], 1, 0).is_err());
    assert!(neighbour_values(&[1.0, 2.0], &[1.0], 2, 1).is_err());
    assert!(neighbour_values(&[1.0; 3], &[1.0; 3], 2, 1).is_err());
    assert!(neighbour_values(&[f64::NAN], &[1.0], 1, 1).is_err());
    assert_eq!(neighbour_values(&[], &[], 2, 1).unwrap(), [0.0, 0.0]);
}

#[test]
fn outliers_are_those_that_were_planted() {
    let mut rng = Rng(seed());
    let mut influences: Vec<Option<u128>> = (0..400)
        .map(|_| Some((1e12 * f64::from(rng.float()).exp()) as u128))
        .collect();
    assert!(outliers(&influences, 8.0).is_empty());
    influences[7] = Some(u128::from(u64::MAX));
    influences[300] = Some(u128::from(u64::MAX) * 100);
    influences[301] = None;
    influences[302] = Some(0);
    let found: Vec<usize> = outliers(&influences, 8.0)
        .iter()
        .map(|outlier| outlier.row)
        .collect();
    assert_eq!(found, [300, 7]);
    assert!(outliers(&[], 1.0).is_empty());
    assert!(outliers(&[Some(5)], 1.0).is_empty());
    assert_eq!(outliers(&[Some(5), Some(5), Some(5), Some(6)], 1.0)[0].row, 3);
}

#[test]
fn copies_and_near_copies_are_one_family() {
    let text = "The lighthouse keeper wrote down the wind and the weather every morning before breakfast, \
                and on clear days also the names of all the ships that passed the northern rocks.";
    let changed = text.replace("breakfast", "dinner");
    let other = "A recipe for bread: flour, water, salt, patience; knead it, let it rest, and bake it hot.";
    assert_eq!(families([text, other, text, &changed, other]), [0, 1, 0, 0, 1]);
    assert!(families([]).is_empty());
}

#[test]
fn an_answer_to_another_question_is_held_and_nothing_else() {
    // Three neighbours answer for a question: only where more are near does one stand before a better one.
    let good = [
        (
            "How warm is a brood nest?",
            "Thirty-five degrees, within half a degree.",
        ),
        (
            "How warm is the middle of a brood nest?",
            "Thirty-five degrees, day and night.",
        ),
        (
            "How warm do bees keep a brood nest?",
            "Thirty-five degrees; they shiver for it.",
        ),
        (
            "How warm does a brood nest stay?",
            "Thirty-five degrees, in any weather.",
        ),
        (
            "How warm must a brood nest be?",
            "Thirty-five degrees, or the brood dies.",
        ),
        (
            "When does the tide turn in the harbour?",
            "Six hours after it turned the last time.",
        ),
        (
            "How long until the tide turns?",
            "Six hours and a little, then it turns.",
        ),
        (
            "At what time will the tide turn again?",
            "It turns six hours after the last turn.",
        ),
        ("", "A text that answers nothing."),
        ("Why do cats purr?", "Nobody knows for certain."),
    ];
    assert_eq!(review(&good, &[None; 10]).unwrap(), []);
    let mut wrong = good;
    wrong[0].1 = good[5].1;
    let held = review(&wrong, &[None; 10]).unwrap();
    assert_eq!(held.iter().map(|held| held.record).collect::<Vec<_>>(), [0]);
    assert!(matches!(held[0].reason, Reason::Contradicts { value } if value < 0.0));
    // What a model holds by itself is held, whatever it says.
    let influences = [90, 100, 110, 95, 105, 100, 98, 102, 97, 100_000].map(Some);
    let held = review(&good, &influences).unwrap();
    assert_eq!(held.iter().map(|held| held.record).collect::<Vec<_>>(), [9]);
    assert!(matches!(held[0].reason, Reason::StandsOut { deviations } if deviations > 3.0));
    assert_eq!(review(&[], &[]).unwrap(), []);
}

//! Which records wait for a person before a model is trained on them.

use super::{outliers, words, Likeness};
use crate::Result;

/// Likeness of questions from which on their answers are compared. Higher ones miss paraphrases, and with them what is said
/// against them (docs/results/lds.md).
const NEAR: f64 = 0.15;

/// Likeness of answers from which on they agree. Where those to a question do not, nothing contradicts them: below it, four good
/// records in 60 are held where nothing is said twice, and none from it on.
const AGREED: f64 = 0.1;

/// What an answer must have of the likeness that the others have: honest answers to one question differ in half their words and
/// more. At a third, a tenth more wrong ones are found and several times as many good ones held.
const SHARE: f64 = 0.25;

/// Robust deviations of the logarithm beyond which a self-influence is an outlier.
const DEVIATIONS: f64 = 3.0;

/// Why a record is held.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reason {
    /// Its answer is unlike those that records give to questions like its own.
    Contradicts {
        /// Its value to the other records, below 0: see [`record_values`].
        value: f64,
    },
    /// A model that learned it holds it by itself: nothing else supports it.
    StandsOut {
        /// Robust deviations above the median of all self-influences.
        deviations: f64,
    },
}

/// A record that is held.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Held {
    /// Its position.
    pub record: usize,
    /// Why.
    pub reason: Reason,
}

/// Values of records, given as question and answer, to each other: every record asks the others its question, and each of those
/// near it is worth the likeness of its answer to the asker's own, less a quarter of the mean likeness of the others that are
/// near, where they agree; all of it weighted by the square of the questions' likeness, and summed over all questions. Two
/// records that agree are enough to tell a third that contradicts them. Records without question, or with one that fewer than two
/// others answer, have 0.
///
/// The words count, not what they mean: who answers "forty" where others say "thirty-five", and nothing else differs, is not told.
/// Time grows with the square of the records.
pub fn record_values(records: &[(&str, &str)]) -> Result<Vec<f64>> {
    let questions = Likeness::new(records.iter().map(|(question, _)| *question), words);
    let answers = Likeness::new(records.iter().map(|(_, answer)| *answer), words);
    let mut values = vec![0.0; records.len()];
    for (own, (question, answer)) in records.iter().enumerate() {
        let nearness = questions.similarities(question);
        let gains = answers.similarities(answer);
        let near: Vec<(usize, f64, f64)> = (0..records.len())
            .filter(|other| *other != own && nearness[*other] >= NEAR)
            .map(|other| (other, nearness[other].powi(2), gains[other]))
            .collect();
        if near.len() < 2 {
            continue;
        }
        let weights: f64 = near.iter().map(|(_, weight, _)| weight).sum();
        let gained: f64 = near.iter().map(|(_, weight, gain)| weight * gain).sum();
        for (other, weight, gain) in near {
            let mean = (gained - weight * gain) / (weights - weight);
            let due = if mean < AGREED { 0.0 } else { SHARE * mean };
            values[other] += weight * (gain - due);
        }
    }
    Ok(values)
}

/// Reviews records: those of negative value, see [`record_values`], and those that stand out are held. Sorted by record, each once.
///
/// `self_influences` are those of an index of a model that has learned them, none for records that it has not.
pub fn review(records: &[(&str, &str)], self_influences: &[Option<u128>]) -> Result<Vec<Held>> {
    let values = record_values(records)?;
    let contradicting = values.iter().enumerate().filter(|(_, value)| **value < 0.0);
    let mut held: Vec<Held> = contradicting
        .map(|(record, value)| Held {
            record,
            reason: Reason::Contradicts { value: *value },
        })
        .collect();
    let standing_out = outliers(self_influences, DEVIATIONS)
        .into_iter()
        .map(|outlier| Held {
            record: outlier.row,
            reason: Reason::StandsOut {
                deviations: outlier.deviations,
            },
        });
    held.extend(standing_out);
    held.sort_by_key(|held| held.record);
    held.dedup_by_key(|held| held.record);
    Ok(held)
}

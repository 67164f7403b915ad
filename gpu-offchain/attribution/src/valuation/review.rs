//! Which records wait for a person before a model is trained on them.

use super::{neighbour_values, outliers, words, Likeness};
use crate::Result;

/// Neighbours that answer for a question. Few: things are said few times.
const NEIGHBOURS: usize = 3;

/// Likeness of questions from which on their answers are compared. On the shipped corpora, where everything is said three times
/// in other words, 0.15 finds most answers that were given to another question and holds one good record in 700; where nothing
/// is said twice, three good ones in 60 (docs/results/lds.md).
const NEAR: f64 = 0.15;

/// Robust deviations of the logarithm beyond which a self-influence is an outlier.
const DEVIATIONS: f64 = 3.0;

/// Why a record is held.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reason {
    /// Its answer is unlike those that records give to questions like its own.
    Contradicts {
        /// Its value to the other records as a nearest neighbour, below 0.
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

/// Values of records, given as question and answer, to each other: every record asks the others its question, the nearest
/// answer, and what an answer gains is its likeness to the record's own; Shapley values of that game, summed over all questions. A
/// record of negative value stands before better ones. Records without question, or with one that nobody else answers, have 0.
///
/// Time grows with the square of the records.
pub fn record_values(records: &[(&str, &str)]) -> Result<Vec<f64>> {
    let questions = Likeness::new(records.iter().map(|(question, _)| *question), words);
    let answers = Likeness::new(records.iter().map(|(_, answer)| *answer), words);
    let mut values = vec![0.0; records.len()];
    for (own, (question, answer)) in records.iter().enumerate() {
        let nearness = questions.similarities(question);
        let near: Vec<usize> = (0..records.len())
            .filter(|other| *other != own && nearness[*other] >= NEAR)
            .collect();
        if near.is_empty() {
            continue;
        }
        let gains = answers.similarities(answer);
        let of = |all: &[f64]| near.iter().map(|other| all[*other]).collect::<Vec<f64>>();
        let found = neighbour_values(&of(&nearness), &of(&gains), near.len(), NEIGHBOURS)?;
        for (other, value) in near.into_iter().zip(found) {
            values[other] += value;
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

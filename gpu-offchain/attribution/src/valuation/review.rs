//! Which records wait for a person before a model is trained on them.

use super::{outliers, words, Likeness};
use openledger_attribution::hash::Account;
use std::collections::BTreeMap;

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

/// A record as it is reviewed.
#[derive(Clone, Copy, Debug)]
pub struct Reviewed<'a> {
    /// Who brought it.
    pub contributor: Account,
    /// What is asked in it, nothing if nothing is.
    pub question: &'a str,
    /// What is answered.
    pub answer: &'a str,
    /// In an index of a model that has learned it: its sketch's squared norm.
    pub self_influence: Option<u128>,
}

/// Why a record is held.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reason {
    /// Its answer is unlike those that records give to questions like its own.
    Contradicts {
        /// Its value to the other records, below 0: see [`record_values`].
        value: f64,
    },
    /// Its contributor has answered that very question before: an answer cut into pieces looks so.
    AsksAgain {
        /// The position of the record that did.
        before: usize,
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
pub fn record_values(records: &[(&str, &str)]) -> Vec<f64> {
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
    values
}

/// Reviews records: those of negative value (see [`record_values`]), those that ask what their contributor has answered before, word
/// for word, and those that stand out are held. Sorted by record, each once, for the first of these reasons.
pub fn review(records: &[Reviewed<'_>]) -> Vec<Held> {
    let texts: Vec<(&str, &str)> = records
        .iter()
        .map(|record| (record.question, record.answer))
        .collect();
    let contradicting = record_values(&texts)
        .into_iter()
        .enumerate()
        .filter(|(_, value)| *value < 0.0)
        .map(|(record, value)| (record, Reason::Contradicts { value }));
    let again = asked_again(records)
        .into_iter()
        .map(|(record, before)| (record, Reason::AsksAgain { before }));
    let influences: Vec<Option<u128>> = records.iter().map(|record| record.self_influence).collect();
    let standing_out = outliers(&influences, DEVIATIONS)
        .into_iter()
        .map(|outlier| (outlier.row, outlier.deviations))
        .map(|(record, deviations)| (record, Reason::StandsOut { deviations }));
    let mut held: BTreeMap<usize, Reason> = BTreeMap::new();
    for (record, reason) in contradicting.chain(again).chain(standing_out) {
        held.entry(record).or_insert(reason);
    }
    held.into_iter()
        .map(|(record, reason)| Held { record, reason })
        .collect()
}

/// Records whose question their contributor asked in an earlier one, with that.
fn asked_again(records: &[Reviewed<'_>]) -> Vec<(usize, usize)> {
    let mut first: BTreeMap<(Account, Vec<String>), usize> = BTreeMap::new();
    let mut again = Vec::new();
    for (at, record) in records.iter().enumerate() {
        let question = words(record.question);
        if question.is_empty() {
            continue;
        }
        let before = *first.entry((record.contributor, question)).or_insert(at);
        if before != at {
            again.push((at, before));
        }
    }
    again
}

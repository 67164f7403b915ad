//! What attribution is compared with: looking at the words alone.

use std::collections::{BTreeMap, BTreeSet};

/// A text as weighted features.
type Vector = BTreeMap<String, f64>;

/// Records as TF-IDF vectors over words or over runs of characters.
pub(crate) struct TextIndex {
    vectors: Vec<Vector>,
    rarity: BTreeMap<String, f64>,
    features: fn(&str) -> Vec<String>,
}

/// Lower-case words.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// Runs of five characters, spaces included.
pub(crate) fn runs(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.to_lowercase().chars().collect();
    chars.windows(5).map(|run| run.iter().collect()).collect()
}

fn counts(features: Vec<String>) -> Vector {
    let mut counts = Vector::new();
    for feature in features {
        *counts.entry(feature).or_default() += 1.0;
    }
    counts
}

impl TextIndex {
    /// Counts `features` in every record; rare ones weigh ln((1 + n) / (1 + records with it)) + 1.
    pub(crate) fn new(texts: &[String], features: fn(&str) -> Vec<String>) -> Self {
        let all: Vec<Vector> = texts.iter().map(|text| counts(features(text))).collect();
        let mut holders = BTreeMap::<String, usize>::new();
        for vector in &all {
            for feature in vector.keys().collect::<BTreeSet<_>>() {
                *holders.entry(feature.clone()).or_default() += 1;
            }
        }
        let rarity = holders
            .into_iter()
            .map(|(feature, n)| (feature, ((1 + texts.len()) as f64 / (1 + n) as f64).ln() + 1.0))
            .collect();
        let mut index = Self {
            vectors: vec![],
            rarity,
            features,
        };
        index.vectors = all.into_iter().map(|vector| index.weigh(vector)).collect();
        index
    }

    fn weigh(&self, counts: Vector) -> Vector {
        let mut vector: Vector = counts
            .into_iter()
            .filter_map(|(feature, n)| self.rarity.get(&feature).map(|rarity| (feature, n * rarity)))
            .collect();
        let norm = vector.values().map(|x| x * x).sum::<f64>().sqrt();
        if norm > 0.0 {
            vector.values_mut().for_each(|x| *x /= norm);
        }
        vector
    }

    /// Cosine of `text` with every record.
    pub(crate) fn similarities(&self, text: &str) -> Vec<f64> {
        let query = self.weigh(counts((self.features)(text)));
        let dot = |record: &Vector| {
            query
                .iter()
                .filter_map(|(f, x)| record.get(f).map(|y| x * y))
                .sum()
        };
        self.vectors.iter().map(dot).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_nearest_to_itself() {
        let texts = ["bees make honey", "tides follow the moon", "honey keeps"].map(String::from);
        for features in [words as fn(&str) -> Vec<String>, runs] {
            let index = TextIndex::new(&texts, features);
            for (n, text) in texts.iter().enumerate() {
                let similarities = index.similarities(text);
                assert!((similarities[n] - 1.0).abs() < 1e-9);
                assert!(similarities.iter().enumerate().all(|(m, s)| m == n || *s < 0.9));
            }
            assert!(index.similarities("zzzzzz").iter().all(|s| *s == 0.0));
        }
    }
}

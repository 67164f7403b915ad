//! How alike texts are, by their words alone.

use std::collections::BTreeMap;

/// A text as weighted features.
type Vector = BTreeMap<String, f64>;

/// Texts as TF-IDF vectors of length 1 over features of them. (Salton and Buckley, Term-weighting approaches
/// in automatic text retrieval, 1988.)
pub struct Likeness {
    /// Texts with their weight, by feature.
    postings: BTreeMap<String, Vec<(usize, f64)>>,
    /// ln((1 + n) / (1 + texts with it)) + 1, by feature.
    rarity: BTreeMap<String, f64>,
    texts: usize,
    features: fn(&str) -> Vec<String>,
}

/// Lower-case words.
pub fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// Runs of five characters, spaces included.
pub fn runs(text: &str) -> Vec<String> {
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

impl Likeness {
    /// Of these texts over these features, such as [`words`] or [`runs`].
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>, features: fn(&str) -> Vec<String>) -> Self {
        let all: Vec<Vector> = texts.into_iter().map(|text| counts(features(text))).collect();
        let mut holders = BTreeMap::<String, usize>::new();
        for feature in all.iter().flat_map(|vector| vector.keys()) {
            *holders.entry(feature.clone()).or_default() += 1;
        }
        let rarity = holders
            .into_iter()
            .map(|(feature, n)| (feature, ((1 + all.len()) as f64 / (1 + n) as f64).ln() + 1.0));
        let mut new = Self {
            postings: BTreeMap::new(),
            rarity: rarity.collect(),
            texts: all.len(),
            features,
        };
        for (text, vector) in all.into_iter().enumerate() {
            for (feature, weight) in new.weigh(vector) {
                new.postings.entry(feature).or_default().push((text, weight));
            }
        }
        new
    }

    /// Features that no text has are left out.
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

    /// Cosine of `text` with every text, 0 to 1.
    pub fn similarities(&self, text: &str) -> Vec<f64> {
        let mut sums = vec![0.0; self.texts];
        for (feature, weight) in self.weigh(counts((self.features)(text))) {
            for (text, own) in self.postings.get(&feature).into_iter().flatten() {
                sums[*text] += weight * own;
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_nearest_to_itself() {
        let texts = ["bees make honey", "tides follow the moon", "honey keeps"];
        for features in [words as fn(&str) -> Vec<String>, runs] {
            let likeness = Likeness::new(texts, features);
            for (n, text) in texts.iter().enumerate() {
                let similarities = likeness.similarities(text);
                assert!((similarities[n] - 1.0).abs() < 1e-9);
                assert!(similarities.iter().enumerate().all(|(m, s)| m == n || *s < 0.9));
            }
            assert!(likeness.similarities("zzzzzz").iter().all(|s| *s == 0.0));
        }
    }
}

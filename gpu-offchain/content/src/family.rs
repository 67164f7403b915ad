//! Families of near-duplicates, by MinHash.
//!
//! A text becomes its words in lower case, look-alike letters of other scripts made one; its features are the
//! words and the pairs of neighbouring words, so that moving whole sentences changes few. 128 hash functions
//! each keep their least value over the features; 16 bands of 8 values find candidates, and two texts are
//! near-duplicates if at least [`LIKENESS`] of the 128 are equal, an estimate of the share of features they
//! have in common. (Broder, On the resemblance and containment of documents.)
//!
//! Of a text of ten or twenty words one changed word changes so many features that the estimate often misses it. Texts of
//! [`SHORT`] words are therefore near-duplicates too if they become the same once each is left without one of its words at most,
//! whichever that is: one word changed, left out, put in or moved. That is exact: each is hashed whole and without each word.

use openledger_attribution::hash::keccak;
use std::{collections::HashMap, ops::RangeInclusive};
use unicode_normalization::UnicodeNormalization;

/// Hash functions.
pub const PERMUTATIONS: usize = 128;

/// Bands that candidates are found by.
pub const BANDS: usize = 16;

/// Values of a band.
pub const ROWS: usize = PERMUTATIONS / BANDS;

/// Equal values of near-duplicates: 90 of 128 is a likeness of 0.7.
pub const LIKENESS: usize = 90;

/// Words, as white space parts them, of the texts that one changed word does not tell apart. Of fewer, five equal ones and one
/// changed are a likeness below 0.7; in longer ones the estimate does not miss one word.
pub const SHORT: RangeInclusive<usize> = 6..=32;

/// What near-duplicates are found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    least: [u32; PERMUTATIONS],
    /// Hashes of a short text, whole and without each of its words; sorted, each once.
    cut: Vec<u64>,
}

impl Signature {
    /// The signature of a text.
    pub fn of(text: &str) -> Self {
        let words = words(text);
        let mut least = [u64::MAX; PERMUTATIONS];
        let mut add = |feature: u64| {
            for (n, least) in (1u64..).zip(&mut least) {
                *least = (*least).min(mix(feature ^ n.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
            }
        };
        // A text without words is like none but itself.
        if words.is_empty() {
            add(hash_of(text.as_bytes()));
        }
        for word in &words {
            add(mix(*word));
        }
        for pair in words.windows(2) {
            add(pair.iter().fold(2, |hash, word| mix(hash ^ word)));
        }
        Self {
            least: least.map(|value| (value >> 32) as u32),
            cut: cut(text),
        }
    }

    /// How many of the 128 values two texts share.
    pub fn similarity(&self, other: &Self) -> usize {
        self.least
            .iter()
            .zip(&other.least)
            .filter(|(a, b)| a == b)
            .count()
    }

    fn bands(&self) -> impl Iterator<Item = (usize, [u32; ROWS])> + '_ {
        let (bands, _) = self.least.as_chunks::<ROWS>();
        bands.iter().copied().enumerate()
    }
}

/// Hashes of a short text, whole and without each of its words.
fn cut(text: &str) -> Vec<u64> {
    let parts: Vec<Vec<u64>> = text
        .split_whitespace()
        .map(words)
        .filter(|words| !words.is_empty())
        .collect();
    if !SHORT.contains(&parts.len()) {
        return vec![];
    }
    // The position beyond the last is nobody's: without it the text is whole.
    let mut hashes: Vec<u64> = (0..=parts.len())
        .map(|without| {
            let left = parts.iter().enumerate().filter(|(at, _)| *at != without);
            let bytes: Vec<u8> = left
                .flat_map(|(_, words)| words)
                .flat_map(|word| word.to_be_bytes())
                .collect();
            hash_of(&bytes)
        })
        .collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// SplitMix64's finaliser: a bijection that changes about half of the bits.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Hashes of the words, what only looks different made the same.
fn words(text: &str) -> Vec<u64> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut end = |word: &mut String| {
        if !word.is_empty() {
            words.push(hash_of(word.as_bytes()));
            word.clear();
        }
    };
    for c in text.nfkd().flat_map(char::to_lowercase) {
        if is_word(c) {
            end(&mut word);
            word.push(c);
            end(&mut word);
        } else if c.is_alphanumeric() {
            word.push(skeleton(c));
        } else if !is_joined(c) {
            end(&mut word);
        }
    }
    end(&mut word);
    words
}

fn hash_of(bytes: &[u8]) -> u64 {
    keccak(&[bytes])
        .iter()
        .take(8)
        .fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

/// Characters of scripts that put no space between words: kana and Han.
fn is_word(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{30FF}' | '\u{3400}'..='\u{9FFF}' | '\u{20000}'..='\u{3FFFF}')
}

/// Marks on letters and characters without width neither belong to a word nor end one.
fn is_joined(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c) || matches!(c, '\u{200B}'..='\u{200F}' | '\'' | '’')
}

/// The Latin letter that a lower-case Greek or Cyrillic one looks like.
fn skeleton(c: char) -> char {
    match c {
        'а' | 'α' => 'a',
        'ь' => 'b',
        'с' | 'ϲ' => 'c',
        'ԁ' => 'd',
        'е' | 'ε' => 'e',
        'һ' => 'h',
        'і' | 'ι' | 'ı' => 'i',
        'ј' => 'j',
        'κ' | 'к' => 'k',
        'ӏ' => 'l',
        'м' => 'm',
        'η' | 'п' => 'n',
        'о' | 'ο' | 'σ' => 'o',
        'р' | 'ρ' => 'p',
        'ԛ' => 'q',
        'г' => 'r',
        'ѕ' => 's',
        'т' | 'τ' => 't',
        'υ' | 'ц' => 'u',
        'ν' | 'ѵ' => 'v',
        'ԝ' | 'ω' => 'w',
        'х' | 'χ' => 'x',
        'у' | 'γ' => 'y',
        other => other,
    }
}

/// Finds for each text who stands for it. Order matters: whoever comes first represents.
#[derive(Clone, Debug, Default)]
pub struct Families {
    representatives: Vec<Signature>,
    bands: HashMap<(usize, [u32; ROWS]), Vec<usize>>,
    cut: HashMap<u64, usize>,
}

impl Families {
    /// The number of the first text's family that this one is a near-duplicate of, or of its own new family.
    /// Families count from 0 in the order in which they began. Being alike is not passed on: a text is always
    /// compared with representatives.
    pub fn add(&mut self, mut signature: Signature) -> usize {
        let mut candidates: Vec<usize> = signature
            .bands()
            .filter_map(|band| self.bands.get(&band))
            .flatten()
            .copied()
            .collect();
        candidates.sort_unstable();
        candidates.dedup();
        let alike = candidates.into_iter().find(|family| {
            self.representatives
                .get(*family)
                .is_some_and(|other| other.similarity(&signature) >= LIKENESS)
        });
        let all_but_one_word = signature
            .cut
            .iter()
            .filter_map(|hash| self.cut.get(hash))
            .copied();
        if let Some(family) = alike.into_iter().chain(all_but_one_word).min() {
            return family;
        }
        let family = self.representatives.len();
        for band in signature.bands() {
            self.bands.entry(band).or_default().push(family);
        }
        for hash in std::mem::take(&mut signature.cut) {
            self.cut.insert(hash, family);
        }
        self.representatives.push(signature);
        family
    }
}

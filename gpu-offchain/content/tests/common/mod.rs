//! What the tests share: a printed seed, a small generator, texts.
#![allow(dead_code, unreachable_pub)]

/// The seed of this run, printed: `CONTENT_SEED` if set, else the clock.
pub fn seed() -> u64 {
    let seed = match std::env::var("CONTENT_SEED") {
        Ok(text) => text.parse().expect("CONTENT_SEED is a number"),
        Err(_) => std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_nanos() as u64,
    };
    println!("seed {seed} (again with CONTENT_SEED={seed})");
    seed
}

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next() as u8).collect()
    }
}

/// A text of this many made-up words, in sentences.
pub fn text(rng: &mut Rng, words: usize) -> Vec<String> {
    let syllables = [
        "ba", "do", "ki", "lu", "me", "no", "pa", "ri", "so", "tu", "ve", "zi",
    ];
    (0..words)
        .map(|_| {
            (0..2 + rng.below(3))
                .map(|_| syllables[rng.below(12) as usize])
                .collect()
        })
        .collect()
}

pub fn sentences(words: &[String]) -> Vec<String> {
    words
        .chunks(10)
        .map(|words| format!("{}.", words.join(" ")))
        .collect()
}

//! What training and attribution read: tokens and which of them count.

use crate::error::{Error, Result};

/// A token sequence with the tokens that count as targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Token ids.
    pub tokens: Vec<u32>,
    /// `mask[t]`: token `t` counts as a target, predicted from the tokens before it. `mask[0]` is never used.
    pub mask: Vec<bool>,
}

impl Example {
    /// Every token but the first counts.
    pub fn whole(tokens: Vec<u32>) -> Self {
        let mask = vec![true; tokens.len()];
        Example { tokens, mask }
    }

    /// Only the tokens of `output` count, not those of `prompt`.
    pub fn answer(prompt: &[u32], output: &[u32]) -> Self {
        let tokens = [prompt, output].concat();
        let mask = (0..tokens.len()).map(|t| t >= prompt.len()).collect();
        Example { tokens, mask }
    }

    /// Number of targets.
    pub fn targets(&self) -> usize {
        self.mask.iter().skip(1).filter(|m| **m).count()
    }

    /// Checks lengths and ids against a vocabulary.
    pub fn check(&self, vocab_size: usize) -> Result<()> {
        if self.tokens.len() < 2 || self.mask.len() != self.tokens.len() {
            return Err(Error::Tokenizer(format!(
                "an example needs at least two tokens and one mask entry each; it has {} and {}",
                self.tokens.len(),
                self.mask.len()
            )));
        }
        match self.tokens.iter().find(|&&t| t as usize >= vocab_size) {
            Some(t) => Err(Error::Tokenizer(format!(
                "token {t} is outside the vocabulary of {vocab_size}"
            ))),
            None => Ok(()),
        }
    }
}

//! Ending an answer at a text: what may become a stop text is held back until it is or is not.

use openledger_model::{Pieces, Tokenizer};

use crate::error::Result;

/// The text of one answer as it comes.
pub(crate) struct TextStop {
    pieces: Pieces,
    stops: Vec<String>,
    held: String,
}

impl TextStop {
    pub(crate) fn new(stops: Vec<String>) -> Self {
        TextStop {
            pieces: Pieces::default(),
            stops,
            held: String::new(),
        }
    }

    /// Adds a token; gives the text that may be shown, and whether a stop text was met. The stop text is not shown.
    pub(crate) fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> Result<(String, bool)> {
        if let Some(piece) = self.pieces.push(tokenizer, id)? {
            self.held.push_str(&piece);
        }
        Ok(self.release())
    }

    fn release(&mut self) -> (String, bool) {
        let met = self.stops.iter().filter_map(|s| self.held.find(s.as_str())).min();
        if let Some(at) = met {
            self.held.truncate(at);
            return (std::mem::take(&mut self.held), true);
        }
        let keep = self
            .stops
            .iter()
            .map(|stop| longest_overlap(&self.held, stop))
            .max()
            .unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - keep);
        (std::mem::replace(&mut self.held, rest), false)
    }

    /// What was held back when the answer ended otherwise.
    pub(crate) fn finish(mut self, tokenizer: &Tokenizer) -> Result<String> {
        self.held.push_str(&self.pieces.finish(tokenizer)?);
        let met = self.stops.iter().filter_map(|s| self.held.find(s.as_str())).min();
        self.held.truncate(met.unwrap_or(self.held.len()));
        Ok(self.held)
    }
}

/// Bytes at the end of `text` that are the beginning of `stop`.
fn longest_overlap(text: &str, stop: &str) -> usize {
    let most = text.len().min(stop.len().saturating_sub(1));
    (1..=most)
        .rev()
        .find(|&n| text.as_bytes()[text.len() - n..] == stop.as_bytes()[..n] && stop.is_char_boundary(n))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_text_should_end_the_answer_and_never_show_not_even_in_parts() {
        let mut stop = TextStop::new(vec!["\n\nUser:".into(), "END".into(), "🐝!".into()]);
        let mut shown = String::new();
        for (piece, want) in [
            ("a E", "a "),
            ("N", ""),
            ("x\n", "ENx"),
            ("\n", ""),
            ("🐝", "\n\n"),
            ("?", "🐝?"),
            ("\n\nUse", ""),
        ] {
            stop.held.push_str(piece);
            let (text, met) = stop.release();
            assert_eq!((text.as_str(), met), (want, false), "{piece:?}");
            shown.push_str(&text);
        }
        stop.held.push_str("r: hi");
        assert_eq!(stop.release(), (String::new(), true));
        assert_eq!(shown, "a ENx\n\n🐝?");
    }
}

//! What a tokenizer's tokens say about words and sentences.

use openledger_attribution::verbatim::{ENDS_SENTENCE, STARTS_WORD};

/// Flags of 256 ids that stand for bytes. A word starts with the white space before it; a character of a
/// script without spaces starts one itself. `.`, `!`, `?` and a line feed end a sentence.
pub fn byte_flags() -> Vec<u8> {
    (0..=u8::MAX).map(|byte| token_flags(&[byte])).collect()
}

/// Flags of a token with these bytes (as in the text, not in a tokenizer's spelling of spaces).
///
/// It starts a word if it begins with white space or with a letter of a script without spaces, and ends a
/// sentence if it holds a line feed or ends with `.`, `!`, `?` or their full-width forms, closing quotes and
/// brackets behind them not counted.
pub fn token_flags(bytes: &[u8]) -> u8 {
    let mut flags = 0;
    match bytes.first() {
        Some(first) if first.is_ascii_whitespace() => flags |= STARTS_WORD,
        // The lead bytes of U+3000 to U+9FFF: CJK punctuation, kana, ideographs.
        Some(0xE3..=0xE9) => flags |= STARTS_WORD,
        _ => {}
    }
    let closing: [&[u8]; 8] = [
        b"\"",
        b"'",
        b")",
        b"]",
        "\u{201D}".as_bytes(),
        "\u{2019}".as_bytes(),
        "\u{BB}".as_bytes(),
        "\u{300D}".as_bytes(),
    ];
    let mut end = bytes;
    while let Some(rest) = closing.iter().find_map(|mark| end.strip_suffix(*mark)) {
        end = rest;
    }
    let marks = [".", "!", "?", "\u{3002}", "\u{FF01}", "\u{FF1F}"];
    if bytes.contains(&b'\n') || marks.iter().any(|mark| end.ends_with(mark.as_bytes())) {
        flags |= ENDS_SENTENCE;
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_sentences() {
        let both = STARTS_WORD | ENDS_SENTENCE;
        for (text, flags) in [
            ("", 0),
            ("a", 0),
            (" word", STARTS_WORD),
            (" end.", both),
            (".\"", ENDS_SENTENCE),
            ("?)", ENDS_SENTENCE),
            ("\n", both),
            ("e.g", 0),
            ("\u{65E5}", STARTS_WORD),
            ("\u{3002}", both),
            ("\"", 0),
        ] {
            assert_eq!(token_flags(text.as_bytes()), flags, "{text:?}");
        }
        let bytes = byte_flags();
        assert_eq!(bytes.len(), 256);
        assert_eq!(bytes[usize::from(b' ')], STARTS_WORD);
        assert_eq!(bytes[usize::from(b'.')], ENDS_SENTENCE);
        assert_eq!(bytes[usize::from(b'x')], 0);
    }
}

//! The one form of a text: what is hashed, trained on and shown.
//!
//! 1. CR LF, CR, NEL, LS, PS, VT and FF become LF; other white space becomes a space, a tab four.
//! 2. Control characters but LF, zero-width spaces, word joiners, byte order marks and soft hyphens go.
//! 3. NFC.
//! 4. Inside a line runs of spaces become one; spaces at its end go; those at its start stay (they carry
//!    meaning in code), but not on the text's first line.
//! 5. No empty line at start or end, and never two together.

use unicode_normalization::{is_nfc_quick, IsNormalized, UnicodeNormalization};

/// The canonical form of a text; its own canonical form is itself.
pub fn canonical(text: &str) -> String {
    let plain = plain(text);
    let composed = if is_nfc_quick(plain.chars()) == IsNormalized::Yes {
        plain
    } else {
        plain.nfc().collect()
    };
    let mut out = String::with_capacity(composed.len());
    let mut blank = false;
    for line in composed.split('\n') {
        let line = line.trim_end_matches(' ');
        if line.is_empty() {
            blank = !out.is_empty();
            continue;
        }
        let words = line.trim_start_matches(' ');
        if !out.is_empty() {
            out.push('\n');
            if blank {
                out.push('\n');
            }
            out.extend(std::iter::repeat_n(' ', line.len() - words.len()));
        }
        blank = false;
        let mut last = ' ';
        for c in words.chars() {
            if c != ' ' || last != ' ' {
                out.push(c);
            }
            last = c;
        }
    }
    out
}

/// Whether a text is in canonical form.
pub fn is_canonical(text: &str) -> bool {
    canonical(text) == text
}

/// Steps 1 and 2.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                if chars.peek() == Some(&'\n') {
                    chars.next();
                }
                out.push('\n');
            }
            '\n' | '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{0B}' | '\u{0C}' => out.push('\n'),
            '\t' => out.push_str("    "),
            '\u{200B}' | '\u{2060}' | '\u{FEFF}' | '\u{AD}' => {}
            c if c.is_whitespace() => out.push(' '),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

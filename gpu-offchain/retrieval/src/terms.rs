//! Texts into terms.
//!
//! A term is a run of letters and digits, in small letters. Characters of scripts that put no spaces between
//! words (kana, ideographs) are a term each. Which characters are letters and what their small forms are is
//! that of the Unicode version which an index names.

/// The Unicode version of this program's tables.
pub const UNICODE: [u8; 3] = [
    char::UNICODE_VERSION.0,
    char::UNICODE_VERSION.1,
    char::UNICODE_VERSION.2,
];

/// Longest term in bytes; what is behind is dropped.
const LONGEST: usize = 64;

/// Calls `each` with every term and the position of its first byte in the text.
pub fn terms(text: &str, mut each: impl FnMut(usize, &str)) {
    let mut term = String::new();
    let mut start = 0;
    for (at, c) in text.char_indices() {
        let alone = stands_alone(c);
        if alone || !c.is_alphanumeric() {
            if !term.is_empty() {
                each(start, &term);
                term.clear();
            }
            if alone {
                each(at, c.encode_utf8(&mut [0; 4]));
            }
            continue;
        }
        if term.is_empty() {
            start = at;
        }
        for small in c.to_lowercase() {
            if term.len() + small.len_utf8() <= LONGEST {
                term.push(small);
            }
        }
    }
    if !term.is_empty() {
        each(start, &term);
    }
}

fn stands_alone(c: char) -> bool {
    matches!(u32::from(c), 0x3041..=0x30FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF)
}

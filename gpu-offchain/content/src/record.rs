//! Records: one text each, in canonical form.

use crate::{canonical, Error, Result};
use openledger_attribution::{
    hash::{keccak, Hash},
    record::RecordLeaf,
};

/// Most bytes a record may have.
pub const MAX_RECORD_BYTES: usize = 4 << 20;

/// Bytes that one record may take in a file: what is taken away on the way to canonical form included.
pub(crate) const MAX_RAW: u64 = 4 * MAX_RECORD_BYTES as u64;

/// keccak-256 of a text's bytes; of its canonical form, the record's content hash.
pub fn content_hash(canonical: &str) -> Hash {
    keccak(&[canonical.as_bytes()])
}

/// A text in canonical form, not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    text: String,
    content: Hash,
}

impl Record {
    /// The record of a text, none if nothing of it remains.
    pub fn new(text: &str) -> Option<Self> {
        let text = canonical(text);
        (!text.is_empty()).then(|| Self {
            content: content_hash(&text),
            text,
        })
    }

    /// The same, refusing what is over [`MAX_RECORD_BYTES`].
    pub(crate) fn checked(text: &str) -> Result<Option<Self>> {
        match Self::new(text) {
            Some(record) if record.text.len() > MAX_RECORD_BYTES => Err(Error::TooLong {
                bytes: record.text.len(),
            }),
            record => Ok(record),
        }
    }

    /// Its canonical form.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What is asked in it and what is answered, see [`split`].
    pub fn question_and_answer(&self) -> (&str, &str) {
        split(&self.text)
    }

    /// keccak of the canonical form.
    pub fn content(&self) -> Hash {
        self.content
    }

    /// Its leaf in a contribution's tree.
    pub fn leaf(&self) -> RecordLeaf {
        RecordLeaf {
            content: self.content,
            bytes: u32::try_from(self.text.len()).unwrap_or(u32::MAX),
        }
    }
}

/// A record's question and answer: what stands before its first blank line (or else line feed) and after it. A text of one line
/// answers nothing.
pub fn split(text: &str) -> (&str, &str) {
    text.split_once("\n\n")
        .or_else(|| text.split_once('\n'))
        .unwrap_or(("", text))
}

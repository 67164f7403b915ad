//! What an index commits to.

use openledger_attribution::{
    hash::{keccak, Hash, Tag},
    tree::{Keyed, Leaf, Root},
    wire::{Field, Object, Reader, WireError},
};

macro_rules! fields {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl Field for $name {
            fn write(&self, out: &mut Vec<u8>) {
                let Self { $($field),* } = self;
                $($field.write(out);)*
            }
            fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
                $(let $field = Field::read(from)?;)*
                Ok(Self { $($field),* })
            }
        }
    };
}

/// The numbers an index is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Terms of a chunk, fewer in a record's last.
    pub chunk: u16,
    /// k1 of BM25 in thousandths: how slowly a term's repetition stops to count.
    pub k1: u16,
    /// b of BM25 in thousandths, at most 1,000: how much long chunks are held back.
    pub b: u16,
}

fields!(Rules { chunk, k1, b });

impl Default for Rules {
    fn default() -> Self {
        Self {
            chunk: 160,
            k1: 1_200,
            b: 750,
        }
    }
}

/// The commitment to a retrieval index; its hash is what an index header names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The numbers.
    pub rules: Rules,
    /// Version of the tables by which texts are cut into terms.
    pub unicode: [u8; 3],
    /// Records read, those without a term among them.
    pub records: u64,
    /// Tree of [`ChunkLeaf`]s; its sum is the number of terms.
    pub chunks: Root,
    /// Tree of [`TermLeaf`]s, sorted; its sum is the number of postings.
    pub terms: Root,
}

fields!(Header {
    rules,
    unicode,
    records,
    chunks,
    terms
});

impl Object for Header {
    const TAG: Tag = *b"RET1";
}

/// A chunk; the leaf's position is its number, in the order of the corpus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkLeaf {
    /// Position of its record in the corpus.
    pub entry: u64,
    /// First byte of the record's text that belongs to it.
    pub start: u32,
    /// First byte behind it.
    pub end: u32,
    /// Its terms.
    pub terms: u32,
}

fields!(ChunkLeaf {
    entry,
    start,
    end,
    terms
});

impl Leaf for ChunkLeaf {
    const TAG: Tag = *b"RCH1";

    fn payload(&self, out: &mut Vec<u8>) -> Option<u128> {
        self.write(out);
        Some(u128::from(self.terms))
    }
}

/// Where a term occurs, sorted by the term's keccak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TermLeaf {
    /// keccak of the term.
    pub term: Hash,
    /// Chunks that have it.
    pub chunks: u32,
    /// keccak of its postings, see [`postings_hash`].
    pub postings: Hash,
}

fields!(TermLeaf {
    term,
    chunks,
    postings
});

impl Leaf for TermLeaf {
    const TAG: Tag = *b"RTM1";

    fn payload(&self, out: &mut Vec<u8>) -> Option<u128> {
        self.write(out);
        Some(u128::from(self.chunks))
    }
}

impl Keyed for TermLeaf {
    type Key = Hash;

    fn key(&self) -> Hash {
        self.term
    }
}

/// A term in a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    /// The chunk.
    pub chunk: u32,
    /// How often.
    pub count: u32,
}

fields!(Posting { chunk, count });

/// keccak of a term's postings: chunk (u32) and count (u32) of each, in the order of the chunks.
pub fn postings_hash(postings: &[Posting]) -> Hash {
    let mut bytes = Vec::with_capacity(postings.len() * 8);
    for posting in postings {
        posting.write(&mut bytes);
    }
    keccak(&[&bytes])
}

//! What an index's files say of themselves: the parts of `read.bin` and `verbatim.bin`.

use openledger_attribution::{
    hash::Hash,
    tree::{Node, Root},
    verbatim::{ShardLeaf, Verbatim},
    wire::{Field, Reader, WireError},
};

/// Bytes of a record in `records.bin`: the fields of its leaf.
pub(crate) const ROW: usize = 84;

/// Writes and reads structs field by field.
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

/// A corpus that is on disk.
#[derive(Clone, Debug)]
pub(crate) struct ReadHead {
    /// Tells the plan from others.
    pub(crate) plan: Hash,
    pub(crate) records: u64,
    pub(crate) tokens: u64,
    /// Ids that occur, sorted.
    pub(crate) ids: Vec<u32>,
    /// Where shards start.
    pub(crate) starts: Vec<u64>,
}

fields!(ReadHead {
    plan,
    records,
    tokens,
    ids,
    starts
});

/// A finished index.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) plan: Hash,
    pub(crate) header: Verbatim,
    pub(crate) corpus: Root,
    /// Ids that occur, sorted.
    pub(crate) ids: Vec<u32>,
    /// Flags of every id, the separator's last.
    pub(crate) flags: Vec<u8>,
    /// How often each id of `ids` occurs.
    pub(crate) counts: Vec<u64>,
    pub(crate) shards: Vec<ShardHead>,
    pub(crate) corpus_tops: Vec<Node>,
    pub(crate) token_tops: Vec<Node>,
    pub(crate) table_tops: Vec<Node>,
}

fields!(Head {
    plan,
    header,
    corpus,
    ids,
    flags,
    counts,
    shards,
    corpus_tops,
    token_tops,
    table_tops
});

/// A shard of a finished index.
#[derive(Clone, Debug)]
pub(crate) struct ShardHead {
    pub(crate) leaf: ShardLeaf,
    /// How often each id of the index's `ids` occurs in it.
    pub(crate) counts: Vec<u64>,
    pub(crate) suffix_tops: Vec<Node>,
    pub(crate) count_tops: Vec<Node>,
}

fields!(ShardHead {
    leaf,
    counts,
    suffix_tops,
    count_tops
});

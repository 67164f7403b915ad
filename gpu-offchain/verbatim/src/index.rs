//! A finished index on disk: tokens, records and suffix arrays mapped into memory.

use crate::{
    blocks::Blocks,
    build::{chunk, keys_of, least_of, of_id, row, shard_leaf, suffix},
    codes::{by_width, Code, Codes, Width},
    files::{read_value, Kind, Mapped},
    head::{Head, ShardHead, ROW},
    search::{View, STEP},
    Error, Result,
};
use openledger_attribution::{
    hash::Hash,
    record::CorpusLeaf,
    text::{TokenLeaf, UNIT},
    tree::{Leaf, Opening, Range, Root},
    verbatim::{CountLeaf, ShardLeaf, SuffixLeaf, TableLeaf, Verbatim, ENDS_SENTENCE, JUDGED, STARTS_WORD},
    verdict::{Reveal, Wanted},
};
use std::path::Path;

/// An index, opened. Shared by threads as it is.
///
/// In memory it keeps eight bytes a record, a node of 48 bytes per 1,024 leaves, and some numbers per token
/// id; everything else is mapped.
pub struct Index {
    pub(crate) head: Head,
    pub(crate) codes: Codes,
    pub(crate) width: Width,
    pub(crate) records: Mapped,
    pub(crate) tokens: Mapped,
    pub(crate) shards: Vec<Shard>,
    /// Position of each record's first token.
    pub(crate) starts: Vec<u64>,
    /// Information content of each id of `codes`, by code.
    pub(crate) information: Vec<u64>,
    corpus_tree: Blocks,
    token_tree: Blocks,
    table_tree: Blocks,
    shard_tree: Blocks,
}

/// The files and trees of a shard.
pub(crate) struct Shard {
    pub(crate) suffixes: Mapped,
    pub(crate) keys: Mapped,
    pub(crate) least: Mapped,
    suffix_tree: Blocks,
    count_tree: Blocks,
}

impl Index {
    /// Whether there is a finished index in this folder.
    pub fn exists(dir: &Path) -> bool {
        Kind::Index.path(dir).is_file()
    }

    /// Opens a finished index and checks that its parts belong together. What tokens and suffix arrays commit
    /// to is only recomputed by [`verify`](Self::verify).
    ///
    /// Errors: files that are missing, damaged or of another version, parts that do not fit the header.
    pub fn open(dir: &Path) -> Result<Self> {
        let head: Head = read_value(dir, Kind::Index)?;
        let wrong = |what: &str| Error::Wrong(what.into());
        let too_long = || wrong("it claims more than fits this machine");
        let codes = Codes::new(head.ids.clone()).ok_or_else(|| wrong("its token ids are out of order"))?;
        if head.flags.len() as u64 != u64::from(head.header.vocabulary)
            || head.counts.len() != head.ids.len()
            || head
                .shards
                .iter()
                .any(|shard| shard.counts.len() != head.ids.len())
        {
            return Err(wrong("its table has another length than its vocabulary"));
        }
        let width = codes.width();
        let total = u64::try_from(head.header.tokens.sum).map_err(|_| too_long())?;
        let bytes = total.checked_mul(width.bytes()).ok_or_else(too_long)?;
        let tokens = Mapped::open(dir, Kind::Tokens, bytes)?;
        let bytes = head.corpus.count.checked_mul(ROW as u64).ok_or_else(too_long)?;
        let records = Mapped::open(dir, Kind::Records, bytes)?;
        let mut shards = Vec::with_capacity(head.shards.len());
        for (at, shard) in head.shards.iter().enumerate() {
            let leaf = &shard.leaf;
            if leaf.from > leaf.to || leaf.to > total || leaf.length() > crate::MAX_SHARD {
                return Err(wrong("a shard has bounds that no shard has"));
            }
            let length = leaf.length();
            let vocabulary = u64::from(head.header.vocabulary);
            shards.push(Shard {
                suffixes: Mapped::open(dir, Kind::Suffixes(at), length * 4)?,
                keys: Mapped::open(dir, Kind::Keys(at), length.div_ceil(STEP as u64) * 8)?,
                least: Mapped::open(dir, Kind::Least(at), length.div_ceil(STEP as u64) * 4)?,
                suffix_tree: tree("suffix array", leaf.suffixes, &shard.suffix_tops, length)?,
                count_tree: tree("counts", leaf.counts, &shard.count_tops, vocabulary)?,
            });
        }
        let verbatim = &head.header;
        let corpus_tree = tree("corpus", head.corpus, &head.corpus_tops, head.corpus.count)?;
        let chunks = total.div_ceil(u64::from(UNIT));
        let token_tree = tree("tokens", verbatim.tokens, &head.token_tops, chunks)?;
        let vocabulary = u64::from(verbatim.vocabulary);
        let table_tree = tree("table", verbatim.table, &head.table_tops, vocabulary)?;
        let shard_tree = Blocks::build(head.shards.len() as u64, 1, |at| shard_leaf(&head.shards, at))?;
        if shard_tree.root() != verbatim.shards {
            return Err(wrong("its shards are not the committed ones"));
        }
        let mut starts = Vec::new();
        let mut position = 0u64;
        for entry in 0..head.corpus.count {
            starts.push(position);
            position = position.saturating_add(u64::from(row(&records, entry)?.tokens) + 1);
        }
        let corpus_total = u64::try_from(verbatim.table.sum).map_err(|_| too_long())?;
        let information = head
            .counts
            .iter()
            .map(|count| {
                TableLeaf {
                    flags: 0,
                    count: *count,
                }
                .information(corpus_total)
            })
            .collect();
        Ok(Self {
            head,
            codes,
            width,
            records,
            tokens,
            shards,
            starts,
            information,
            corpus_tree,
            token_tree,
            table_tree,
            shard_tree,
        })
    }

    /// What an index header commits to for this channel.
    pub fn header(&self) -> &Verbatim {
        &self.head.header
    }

    /// The tree of the records it was built from, which the index header commits to as its corpus.
    pub fn corpus(&self) -> Root {
        self.head.corpus
    }

    /// The hash that tells its plan from others.
    pub fn plan(&self) -> Hash {
        self.head.plan
    }

    /// Tokens of the corpus, separators included.
    pub fn tokens(&self) -> u64 {
        self.shards().last().map_or(0, |shard| shard.leaf.to)
    }

    pub(crate) fn shards(&self) -> &[ShardHead] {
        &self.head.shards
    }

    /// Flags of a token id; an id that the vocabulary does not have has none.
    pub(crate) fn flags(&self, id: u32) -> u8 {
        self.head.flags.get(id as usize).copied().unwrap_or(0)
    }

    pub(crate) fn starts_word(&self, id: u32) -> bool {
        self.flags(id) & STARTS_WORD != 0
    }

    pub(crate) fn ends_sentence(&self, id: u32) -> bool {
        self.flags(id) & ENDS_SENTENCE != 0
    }

    pub(crate) fn view<C: Code>(&self, at: usize) -> Option<View<'_, C>> {
        let (shard, head) = (self.shards.get(at)?, self.head.shards.get(at)?);
        let tokens = self.tokens.cast::<C>();
        Some(View {
            text: tokens.get(head.leaf.from as usize..head.leaf.to as usize)?,
            suffixes: shard.suffixes.cast(),
            keys: shard.keys.cast(),
        })
    }

    /// How often a run of tokens occurs in the corpus. Runs without a separator cross no record.
    ///
    /// Errors: a run of more than 512 tokens, which is as far as suffixes are ordered.
    pub fn count(&self, pattern: &[u32]) -> Result<u64> {
        if pattern.len() > JUDGED {
            return Err(Error::Evidence(format!(
                "a run of {} tokens: suffixes are ordered by their first {JUDGED}, look up a shorter one",
                pattern.len()
            )));
        }
        if pattern.is_empty() {
            return Ok(self.tokens());
        }
        Ok(
            by_width!(self.width, C => self.encode::<C>(pattern).map_or(0, |codes| {
                let shards = 0..self.shards.len();
                let views = shards.filter_map(|at| self.view::<C>(at));
                views.map(|view| view.find(&codes).len() as u64).sum()
            })),
        )
    }

    /// The codes of a run of tokens, none if one does not occur.
    pub(crate) fn encode<C: Code>(&self, pattern: &[u32]) -> Option<Vec<C>> {
        let code = |id: &u32| self.codes.code(*id).map(C::of);
        pattern.iter().map(code).collect()
    }

    /// The token at a position of the corpus.
    pub fn token(&self, position: u64) -> Option<u32> {
        let at = usize::try_from(position).ok()?;
        let code = by_width!(self.width, C => self.tokens.cast::<C>().get(at)?.wide());
        Some(self.codes.id(code).unwrap_or(u32::MAX))
    }

    /// Information content of a run of tokens, in 65,536ths of a bit; none if one does not occur.
    pub fn information(&self, tokens: &[u32]) -> Option<u64> {
        let of = |id: &u32| self.information.get(self.codes.code(*id)? as usize).copied();
        tokens.iter().map(of).sum()
    }

    /// A record of the corpus and the position of its first token.
    pub fn record(&self, entry: u64) -> Result<(CorpusLeaf, u64)> {
        let leaf = row(&self.records, entry)?;
        let start = usize::try_from(entry).ok().and_then(|at| self.starts.get(at));
        Ok((leaf, start.copied().unwrap_or(u64::MAX)))
    }

    /// The record to which a position belongs, its separator's included.
    pub fn entry_at(&self, position: u64) -> Option<u64> {
        if position >= self.tokens() {
            return None;
        }
        let behind = self.starts.partition_point(|start| *start <= position);
        Some(behind.checked_sub(1)? as u64)
    }

    /// A chunk of the corpus with the way to the committed root.
    pub fn open_chunk(&self, at: u64) -> Result<Opening<TokenLeaf>> {
        self.opened("chunk", at, &self.token_tree, |at| Ok(self.chunk(at)))
    }

    /// The chunks that hold the tokens `from..to`, with the way to the committed root.
    pub fn open_tokens(&self, from: u64, to: u64) -> Result<Range<TokenLeaf>> {
        let unit = u64::from(UNIT);
        let first = from / unit;
        let length = to
            .max(from.saturating_add(1))
            .div_ceil(unit)
            .saturating_sub(first);
        let range = self
            .token_tree
            .open_range(first, length, |at| Ok(self.chunk(at)))?;
        range.ok_or(Error::NoSuch {
            kind: "token",
            index: to.max(from.saturating_add(1)) - 1,
            count: self.tokens(),
        })
    }

    pub(crate) fn chunk(&self, at: u64) -> TokenLeaf {
        chunk(&self.tokens, self.width, &self.codes, at)
    }

    /// What the index says of a token id, with the way to the committed root.
    pub fn open_table(&self, id: u32) -> Result<Opening<TableLeaf>> {
        self.opened("token id", u64::from(id), &self.table_tree, |id| {
            Ok(self.table(id))
        })
    }

    pub(crate) fn table(&self, id: u64) -> TableLeaf {
        TableLeaf {
            flags: u32::try_from(id).map_or(0, |id| self.flags(id)),
            count: of_id(&self.codes, &self.head.counts, id),
        }
    }

    /// A shard with the way to the committed root.
    pub fn open_shard(&self, shard: u64) -> Result<Opening<ShardLeaf>> {
        self.opened("shard", shard, &self.shard_tree, |at| {
            shard_leaf(&self.head.shards, at)
        })
    }

    /// All shards with the way to the committed root.
    pub fn open_shards(&self) -> Result<Range<ShardLeaf>> {
        let count = self.shards.len() as u64;
        let leaf = |at| shard_leaf(&self.head.shards, at);
        let range = self.shard_tree.open_range(0, count, leaf)?;
        range.ok_or(Error::NoSuch {
            kind: "shard",
            index: 0,
            count,
        })
    }

    /// An entry of a shard's suffix array with the way to the shard's root.
    pub fn open_suffix(&self, shard: u64, rank: u64) -> Result<Opening<SuffixLeaf>> {
        let (files, head) = self.shard(shard)?;
        self.opened("suffix", rank, &files.suffix_tree, |rank| {
            Ok(suffix(&files.suffixes, head.leaf.from, rank))
        })
    }

    /// Consecutive entries of a shard's suffix array with the way to the shard's root.
    pub fn open_suffixes(&self, shard: u64, rank: u64, length: u64) -> Result<Range<SuffixLeaf>> {
        let (files, head) = self.shard(shard)?;
        let range = files.suffix_tree.open_range(rank, length, |rank| {
            Ok(suffix(&files.suffixes, head.leaf.from, rank))
        })?;
        range.ok_or(Error::NoSuch {
            kind: "suffix",
            index: rank.saturating_add(length),
            count: head.leaf.length(),
        })
    }

    /// How often a token id occurs in a shard, with the way to the shard's root.
    pub fn open_count(&self, shard: u64, id: u32) -> Result<Opening<CountLeaf>> {
        let (files, head) = self.shard(shard)?;
        self.opened("token id", u64::from(id), &files.count_tree, |id| {
            Ok(CountLeaf {
                count: of_id(&self.codes, &head.counts, id),
            })
        })
    }

    /// A record with the way to the root of the corpus.
    pub fn open_record(&self, entry: u64) -> Result<Opening<CorpusLeaf>> {
        self.opened("record", entry, &self.corpus_tree, |entry| {
            row(&self.records, entry)
        })
    }

    /// What answers a request for a part of this channel; none for other parts.
    ///
    /// Errors: a part that the index does not have.
    pub fn reveal(&self, wanted: &Wanted) -> Result<Option<Reveal>> {
        Ok(Some(match *wanted {
            Wanted::Tokens(at) => Reveal::Tokens(self.open_chunk(at)?),
            Wanted::Table(id) => Reveal::Table(self.open_table(small(id)?)?),
            Wanted::Shard(at) => Reveal::Shard(self.open_shard(at)?),
            Wanted::Corpus(entry) => Reveal::Corpus(self.open_record(entry)?),
            Wanted::Suffixes((shard, rank, length)) => {
                let opening = self.open_shard(shard)?;
                let there = opening.leaf.suffixes.count.saturating_sub(rank);
                // A request beyond the end is answered by the shard alone.
                let entries = match u64::from(length).min(there) {
                    0 => Range {
                        start: rank,
                        leaves: vec![],
                        path: vec![],
                    },
                    length => self.open_suffixes(shard, rank, length)?,
                };
                Reveal::Suffixes((opening, entries))
            }
            Wanted::Count((shard, id)) => {
                // For an id beyond the vocabulary the shard is answer enough, beside any count.
                let id = Some(id).filter(|id| *id < u64::from(self.header().vocabulary));
                let count = self.open_count(shard, small(id.unwrap_or(0))?)?;
                Reveal::Count((self.open_shard(shard)?, count))
            }
            _ => return Ok(None),
        }))
    }

    fn shard(&self, shard: u64) -> Result<(&Shard, &ShardHead)> {
        let at = usize::try_from(shard).ok();
        let found = at.and_then(|at| Some((self.shards.get(at)?, self.head.shards.get(at)?)));
        found.ok_or(Error::NoSuch {
            kind: "shard",
            index: shard,
            count: self.shards.len() as u64,
        })
    }

    fn opened<L: Leaf>(
        &self,
        kind: &'static str,
        index: u64,
        tree: &Blocks,
        leaf: impl Fn(u64) -> Result<L>,
    ) -> Result<Opening<L>> {
        tree.open(index, leaf)?.ok_or(Error::NoSuch {
            kind,
            index,
            count: tree.root().count,
        })
    }

    /// Hashes all leaves again and compares with what is committed. Whether the leaves tell the truth is what
    /// [`audit_index`](crate::audit_index) finds out.
    ///
    /// Errors: files that hold something else than the header commits to.
    pub fn verify(&self, threads: usize) -> Result<()> {
        let wrong = |what: String| Err(Error::Wrong(what));
        let trees: [(&str, &Blocks, Blocks); 3] = [
            (
                "corpus",
                &self.corpus_tree,
                Blocks::build(self.head.corpus.count, threads, |at| row(&self.records, at))?,
            ),
            (
                "tokens",
                &self.token_tree,
                Blocks::build(self.token_tree.root().count, threads, |at| Ok(self.chunk(at)))?,
            ),
            (
                "table",
                &self.table_tree,
                Blocks::build(self.table_tree.root().count, threads, |id| Ok(self.table(id)))?,
            ),
        ];
        for (name, committed, found) in trees {
            if *committed != found {
                return wrong(format!("its {name} are not the committed ones"));
            }
        }
        for (at, (files, head)) in self.shards.iter().zip(&self.head.shards).enumerate() {
            // Not committed, but searched with.
            let helps = by_width!(self.width, C => self.view::<C>(at).is_some_and(|view| {
                keys_of(view.text, view.suffixes).eq(view.keys.iter().copied())
            }));
            if !helps || !least_of(files.suffixes.cast()).eq(files.least.cast::<u32>().iter().copied()) {
                return wrong(format!(
                    "the search keys of shard {at} are not those of its suffix array"
                ));
            }
            let found = Blocks::of_suffixes(head.leaf.from, files.suffixes.cast(), threads)?;
            if found != files.suffix_tree {
                return wrong(format!("the suffix array of shard {at} is not the committed one"));
            }
            let found = Blocks::build(files.count_tree.root().count, threads, |id| {
                Ok(CountLeaf {
                    count: of_id(&self.codes, &head.counts, id),
                })
            })?;
            if found != files.count_tree {
                return wrong(format!("the counts of shard {at} are not the committed ones"));
            }
        }
        Ok(())
    }
}

fn small(id: u64) -> Result<u32> {
    u32::try_from(id).map_err(|_| Error::NoSuch {
        kind: "token id",
        index: id,
        count: 1 << 32,
    })
}

/// A tree from its kept level, checked against its root.
fn tree(name: &str, root: Root, tops: &[openledger_attribution::tree::Node], count: u64) -> Result<Blocks> {
    let is_whole = root.count == count && tops.len() as u64 == count.div_ceil(crate::blocks::BLOCK);
    let tree = Blocks::from_tops(count, tops.to_vec())?;
    if !is_whole || tree.root() != root {
        return Err(Error::Wrong(format!("its {name} are not the committed ones")));
    }
    Ok(tree)
}

//! Building an index: records in the order of the corpus, then suffix arrays, then trees.

use crate::{
    blocks::Blocks,
    codes::{by_width, Code, Codes, Width},
    files::{draft, read_value, sync_names, write_value, Draft, Kind, Mapped},
    head::{Head, ReadHead, ShardHead, ROW},
    index::Index,
    search::{key, STEP},
    sort,
    threads::in_order,
    Error, Result,
};
use openledger_attribution::{
    hash::{keccak, Hash},
    record::CorpusLeaf,
    text::{TokenLeaf, UNIT},
    verbatim::{CountLeaf, ShardLeaf, SuffixLeaf, TableLeaf, Verbatim, ENDS_SENTENCE, STARTS_WORD},
    wire::{Field, Reader},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Most tokens of a shard: positions in it are kept in 31 bits.
pub const MAX_SHARD: u64 = i32::MAX as u64 - (1 << 20);

/// What an index is to be made of, but for the records.
#[derive(Clone, Debug)]
pub struct Plan {
    /// [`STARTS_WORD`] and [`ENDS_SENTENCE`] of every token id; the next id is the separator.
    pub flags: Vec<u8>,
    /// A shard ends with the record with which it reaches so many tokens. A thread that sorts a shard takes
    /// five to eight bytes of memory for each of its tokens.
    pub shard_tokens: u64,
    /// Whatever tells this corpus from others, such as a hash of what it is read from: a build that was
    /// killed goes on only with the same.
    pub identity: Hash,
}

impl Plan {
    /// A plan with shards of 256 Mi tokens.
    pub fn new(flags: Vec<u8>, identity: Hash) -> Self {
        Self {
            flags,
            shard_tokens: 1 << 28,
            identity,
        }
    }

    fn separator(&self) -> Result<u32> {
        let separator = u32::try_from(self.flags.len()).ok();
        separator
            .filter(|separator| *separator < u32::MAX)
            .ok_or_else(|| Error::Plan(format!("{} token ids do not fit 32 bits", self.flags.len())))
    }

    fn check(&self) -> Result<Hash> {
        self.separator()?;
        if let Some(at) = self
            .flags
            .iter()
            .position(|flags| flags & !(STARTS_WORD | ENDS_SENTENCE) != 0)
        {
            return Err(Error::Plan(format!(
                "token {at} has flags {}: there are only 1 (starts a word) and 2 (ends a sentence)",
                self.flags[at]
            )));
        }
        if !(1..=MAX_SHARD).contains(&self.shard_tokens) {
            return Err(Error::Plan(format!(
                "shards of {} tokens: choose 1 to {MAX_SHARD}",
                self.shard_tokens
            )));
        }
        Ok(keccak(&[
            &self.flags,
            &self.shard_tokens.to_be_bytes(),
            &self.identity,
        ]))
    }
}

/// Takes the records of a corpus and makes an index of them.
///
/// Reading them again after a kill is cheap, so they are simply pushed again; what is read is durable when
/// [`finish`](Self::finish) has begun, and every suffix array is when it is done: a build that was killed in
/// there goes on with the first shard that has none.
pub struct Builder {
    dir: PathBuf,
    plan: Hash,
    flags: Vec<u8>,
    separator: u32,
    shard_tokens: u64,
    /// None once the records are on disk.
    pub(crate) reading: Option<Reading>,
}

pub(crate) struct Reading {
    records: Draft,
    tokens: Draft,
    /// By id.
    counts: Vec<u64>,
    starts: Vec<u64>,
    entries: u64,
    position: u64,
}

/// A corpus on disk and what follows from it.
struct Read {
    head: ReadHead,
    codes: Codes,
    /// First position of each shard, and first behind it.
    shards: Vec<(u64, u64)>,
}

impl Read {
    fn bytes(&self) -> u64 {
        self.head.tokens * self.codes.width().bytes()
    }
}

impl Builder {
    /// Starts in an empty or new folder, or goes on with the same plan.
    ///
    /// Errors: a plan that contradicts itself, another plan's folder, disk.
    pub fn open(dir: &Path, plan: &Plan) -> Result<Self> {
        let identity = plan.check()?;
        fs::create_dir_all(dir).map_err(Error::io(dir))?;
        sync_names(dir)?;
        let reading = if Kind::Index.path(dir).is_file() || Kind::Read.path(dir).is_file() {
            let found = match Kind::Index.path(dir).is_file() {
                true => read_value::<Head>(dir, Kind::Index)?.plan,
                false => read_value::<ReadHead>(dir, Kind::Read)?.plan,
            };
            if found != identity {
                return Err(Error::OtherPlan(dir.to_path_buf()));
            }
            None
        } else {
            Some(Reading {
                records: draft(dir, Kind::Records)?,
                tokens: draft(dir, Kind::Spool)?,
                counts: vec![0; plan.flags.len() + 1],
                starts: Vec::new(),
                entries: 0,
                position: 0,
            })
        };
        Ok(Self {
            dir: dir.to_path_buf(),
            plan: identity,
            separator: plan.separator()?,
            flags: plan.flags.clone(),
            shard_tokens: plan.shard_tokens,
            reading,
        })
    }

    /// Whether all records were read before: then nothing is to be pushed.
    pub fn is_read(&self) -> bool {
        self.reading.is_none()
    }

    /// Adds the next representative with its tokens, the separator not among them.
    ///
    /// Errors: a leaf of another length, a token id beyond the plan's, a record too long for a shard, all
    /// records there already, disk.
    pub fn push(&mut self, leaf: &CorpusLeaf, tokens: &[u32]) -> Result<()> {
        let reading = self.reading.as_mut().ok_or(Error::Full)?;
        let flaw = |what: String| Error::Record {
            entry: reading.entries,
            what,
        };
        if u32::try_from(tokens.len()).ok() != Some(leaf.tokens) {
            return Err(flaw(format!(
                "{} tokens where its leaf says {}: tokenize it again",
                tokens.len(),
                leaf.tokens
            )));
        }
        if let Some(token) = tokens.iter().find(|token| **token >= self.separator) {
            return Err(flaw(format!(
                "token id {token} where the plan has ids below {}: use the plan's tokenizer",
                self.separator
            )));
        }
        let length = tokens.len() as u64 + 1;
        let own = reading
            .starts
            .last()
            .map_or(length, |from| reading.position - from + length);
        let starts_shard = reading
            .starts
            .last()
            .is_none_or(|from| reading.position - from >= self.shard_tokens);
        if length.max(if starts_shard { 0 } else { own }) > MAX_SHARD {
            return Err(flaw(format!(
                "with it its shard has more than {MAX_SHARD} tokens: cut it, or make shards smaller"
            )));
        }
        if starts_shard {
            reading.starts.push(reading.position);
        }
        let mut row = Vec::with_capacity(ROW);
        leaf.write(&mut row);
        reading.records.write(&row)?;
        reading.tokens.write(bytemuck::cast_slice(tokens))?;
        reading.tokens.write(&self.separator.to_le_bytes())?;
        for token in tokens.iter().chain([&self.separator]) {
            if let Some(count) = reading.counts.get_mut(*token as usize) {
                *count += 1;
            }
        }
        reading.entries += 1;
        reading.position += length;
        Ok(())
    }

    /// Makes what was pushed durable and sorts it: everything but the trees. Called by
    /// [`finish`](Self::finish) if need be.
    ///
    /// Memory: per thread five to eight bytes for each token of its shard, and a few MiB.
    ///
    /// Errors: disk, memory.
    pub fn sort(&mut self, threads: usize) -> Result<()> {
        if Kind::Index.path(&self.dir).is_file() {
            return Ok(());
        }
        if let Some(reading) = self.reading.take() {
            self.end_reading(reading)?;
        }
        let read = self.read()?;
        let tokens = Mapped::open(&self.dir, Kind::Tokens, read.bytes())?;
        in_order(
            read.shards.len(),
            threads,
            |shard| by_width!(read.codes.width(), C => self.sort_shard(shard, read.shards[shard], tokens.cast::<C>())),
        )?;
        Ok(())
    }

    /// Sorts and commits. The bytes of all files are the same for any number of threads. Killed in between,
    /// the folder is opened again and this called again.
    ///
    /// Memory as in [`sort`](Self::sort), and 48 bytes for every 1,024 leaves of the trees.
    ///
    /// Errors: disk, memory.
    pub fn finish(mut self, threads: usize) -> Result<Index> {
        if Kind::Index.path(&self.dir).is_file() {
            return Index::open(&self.dir);
        }
        self.sort(threads)?;
        let read = self.read()?;
        let tokens = Mapped::open(&self.dir, Kind::Tokens, read.bytes())?;
        let head = self.commit(&read, &tokens, threads)?;
        write_value(&self.dir, Kind::Index, &head)?;
        for kind in [Kind::Read, Kind::Spool] {
            let path = kind.path(&self.dir);
            if path.is_file() {
                fs::remove_file(&path).map_err(Error::io(&path))?;
            }
        }
        Index::open(&self.dir)
    }

    fn read(&self) -> Result<Read> {
        let head: ReadHead = read_value(&self.dir, Kind::Read)?;
        let codes = Codes::new(head.ids.clone())
            .ok_or_else(|| Error::damaged(&Kind::Read.path(&self.dir), "its token ids are out of order"))?;
        let ends = head.starts.iter().skip(1).copied().chain([head.tokens]);
        Ok(Read {
            shards: head.starts.iter().copied().zip(ends).collect(),
            codes,
            head,
        })
    }

    /// Makes what was pushed durable, tokens in as few bytes as they need.
    pub(crate) fn end_reading(&self, reading: Reading) -> Result<()> {
        let ids: Vec<u32> = (0u32..)
            .zip(&reading.counts)
            .filter(|(_, count)| **count > 0)
            .map(|(id, _)| id)
            .collect();
        reading.records.finish()?;
        reading.tokens.finish()?;
        let codes = Codes::new(ids.clone()).ok_or_else(|| Error::Plan("token ids out of order".into()))?;
        let spool = Mapped::open(&self.dir, Kind::Spool, reading.position * 4)?;
        let mut out = draft(&self.dir, Kind::Tokens)?;
        by_width!(codes.width(), C => for piece in spool.cast::<u32>().chunks(1 << 16) {
            let codes: Vec<C> = piece.iter().map(|id| C::of(codes.code(*id).unwrap_or(0))).collect();
            out.write(bytemuck::cast_slice(&codes))?;
        });
        out.finish()?;
        let read = ReadHead {
            plan: self.plan,
            records: reading.entries,
            tokens: reading.position,
            ids,
            starts: reading.starts,
        };
        write_value(&self.dir, Kind::Read, &read)
    }

    pub(crate) fn sort_shard<C: Code>(
        &self,
        shard: usize,
        (from, to): (u64, u64),
        tokens: &[C],
    ) -> Result<()> {
        let text = tokens.get(from as usize..to as usize).unwrap_or_default();
        let kind = Kind::Suffixes(shard);
        if !kind.path(&self.dir).is_file() {
            let sorted = sort::sort(text).map_err(|what| Error::Sort { shard, what })?;
            let mut file = draft(&self.dir, kind)?;
            file.write(bytemuck::cast_slice(&sorted))?;
            file.finish()?;
        }
        if Kind::Least(shard).path(&self.dir).is_file() {
            return Ok(());
        }
        let suffixes = Mapped::open(&self.dir, kind, (to - from) * 4)?;
        let mut keys = draft(&self.dir, Kind::Keys(shard))?;
        for key in keys_of(text, suffixes.cast()) {
            keys.write(&key.to_le_bytes())?;
        }
        keys.finish()?;
        // Last: with it the shard is done.
        let mut least = draft(&self.dir, Kind::Least(shard))?;
        for smallest in least_of(suffixes.cast()) {
            least.write(&smallest.to_le_bytes())?;
        }
        Ok(least.finish()?)
    }

    fn commit(&self, read: &Read, tokens: &Mapped, threads: usize) -> Result<Head> {
        let Read { head, codes, shards } = read;
        let width = codes.width();
        let records = Mapped::open(&self.dir, Kind::Records, head.records * ROW as u64)?;
        let corpus = Blocks::build(head.records, threads, |at| row(&records, at))?;
        let chunks = Blocks::build(head.tokens.div_ceil(u64::from(UNIT)), threads, |at| {
            Ok(chunk(tokens, width, codes, at))
        })?;
        let vocabulary = self.separator + 1;
        let mut counts = vec![0u64; codes.ids().len()];
        let mut heads = Vec::with_capacity(shards.len());
        for (shard, (from, to)) in shards.iter().enumerate() {
            let own = by_width!(width, C => count::<C>(
                tokens.cast::<C>().get(*from as usize..*to as usize).unwrap_or_default(),
                codes.ids().len(),
            ));
            for (all, own) in counts.iter_mut().zip(&own) {
                *all += own;
            }
            let suffixes = Mapped::open(&self.dir, Kind::Suffixes(shard), (to - from) * 4)?;
            let suffix_tree = Blocks::of_suffixes(*from, suffixes.cast(), threads)?;
            let count_tree = Blocks::build(u64::from(vocabulary), threads, |id| {
                Ok(CountLeaf {
                    count: of_id(codes, &own, id),
                })
            })?;
            heads.push(ShardHead {
                leaf: ShardLeaf {
                    from: *from,
                    to: *to,
                    suffixes: suffix_tree.root(),
                    counts: count_tree.root(),
                },
                counts: own,
                suffix_tops: suffix_tree.tops().to_vec(),
                count_tops: count_tree.tops().to_vec(),
            });
        }
        let mut flags = self.flags.clone();
        flags.push(0);
        let table = Blocks::build(u64::from(vocabulary), threads, |id| {
            Ok(TableLeaf {
                flags: flags.get(id as usize).copied().unwrap_or(0),
                count: of_id(codes, &counts, id),
            })
        })?;
        let shard_tree = Blocks::build(heads.len() as u64, 1, |at| shard_leaf(&heads, at))?;
        Ok(Head {
            plan: self.plan,
            header: Verbatim {
                vocabulary,
                separator: self.separator,
                tokens: chunks.root(),
                shards: shard_tree.root(),
                table: table.root(),
            },
            corpus: corpus.root(),
            ids: codes.ids().to_vec(),
            flags,
            counts,
            shards: heads,
            corpus_tops: corpus.tops().to_vec(),
            token_tops: chunks.tops().to_vec(),
            table_tops: table.tops().to_vec(),
        })
    }
}

/// What `keys-N.bin` holds.
pub(crate) fn keys_of<'a, C: Code>(text: &'a [C], suffixes: &'a [u32]) -> impl Iterator<Item = u64> + 'a {
    let sampled = suffixes.iter().step_by(STEP);
    sampled.map(|at| key(text.get(*at as usize..).unwrap_or_default(), 0))
}

/// What `least-N.bin` holds.
pub(crate) fn least_of(suffixes: &[u32]) -> impl Iterator<Item = u32> + '_ {
    let pieces = suffixes.chunks(STEP);
    pieces.map(|piece| piece.iter().copied().min().unwrap_or(u32::MAX))
}

fn count<C: Code>(text: &[C], codes: usize) -> Vec<u64> {
    let mut counts = vec![0; codes];
    for code in text {
        if let Some(count) = counts.get_mut(code.wide() as usize) {
            *count += 1;
        }
    }
    counts
}

/// The count of an id, from counts by code.
pub(crate) fn of_id(codes: &Codes, counts: &[u64], id: u64) -> u64 {
    u32::try_from(id)
        .ok()
        .and_then(|id| codes.code(id))
        .and_then(|code| counts.get(code as usize))
        .copied()
        .unwrap_or(0)
}

/// A row of `records.bin`.
pub(crate) fn row(records: &Mapped, entry: u64) -> Result<CorpusLeaf> {
    let count = (records.bytes().len() / ROW) as u64;
    let bytes = usize::try_from(entry)
        .ok()
        .and_then(|at| records.bytes().get(at * ROW..(at + 1) * ROW))
        .ok_or(Error::NoSuch {
            kind: "record",
            index: entry,
            count,
        })?;
    CorpusLeaf::read(&mut Reader::new(bytes)).map_err(|error| Error::Wrong(error.to_string()))
}

/// A chunk of the corpus.
pub(crate) fn chunk(tokens: &Mapped, width: Width, codes: &Codes, at: u64) -> TokenLeaf {
    let from = at as usize * UNIT as usize;
    let tokens = by_width!(width, C => {
        let all = tokens.cast::<C>();
        let piece = all.get(from..(from + UNIT as usize).min(all.len())).unwrap_or_default();
        piece.iter().map(|code| codes.id(code.wide()).unwrap_or(u32::MAX)).collect()
    });
    TokenLeaf { tokens }
}

/// An entry of a suffix array.
pub(crate) fn suffix(suffixes: &Mapped, from: u64, rank: u64) -> SuffixLeaf {
    let offset = suffixes.cast::<u32>().get(rank as usize);
    SuffixLeaf {
        position: from + u64::from(offset.copied().unwrap_or(u32::MAX)),
    }
}

pub(crate) fn shard_leaf(shards: &[ShardHead], at: u64) -> Result<ShardLeaf> {
    let shard = usize::try_from(at).ok().and_then(|at| shards.get(at));
    shard.map(|shard| shard.leaf).ok_or(Error::NoSuch {
        kind: "shard",
        index: at,
        count: shards.len() as u64,
    })
}

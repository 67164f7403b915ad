//! From a lie in the verbatim part of an index to what proves it on chain, with nothing but the published
//! files.

use crate::{
    codes::{by_width, Code},
    index::Index,
    threads::in_order,
    Error, Result,
};
use openledger_attribution::{
    record::unpack,
    text::TokenLeaf,
    tree::{Opening, Range},
    verbatim::{ShardLeaf, SuffixLeaf, JUDGED},
    verdict::{
        IndexEvidence, RecordTokens, ShardCount, ShardShape, ShownSuffix, SuffixEntry, SuffixGap, SuffixPair,
        TableCount,
    },
};

/// Ranks that a thread checks at a time.
const PIECE: u64 = 1 << 16;

/// Checks everything that the verbatim part of an index claims and returns proof of the first lie, none if
/// all is right. That the files hold what the header commits to is for [`Index::verify`] to find out.
///
/// Memory: a bit for each token of a shard.
///
/// Errors: damaged files, a header that contradicts itself.
pub fn audit_index(index: &Index, threads: usize) -> Result<Option<IndexEvidence>> {
    let (_, tokens) = unpack(index.corpus().sum);
    if u128::from(tokens) != index.header().tokens.sum {
        return Err(Error::Wrong(format!(
            "its records have {tokens} tokens, its corpus {}: its header contradicts itself, which is proof enough",
            index.header().tokens.sum
        )));
    }
    if let Some(evidence) = tokens_lie(index)? {
        return Ok(Some(evidence));
    }
    let mut before = 0;
    for shard in 0..index.shards().len() as u64 {
        let head = &index.shards()[shard as usize];
        if let Some(evidence) = shape_lie(index, shard, before)? {
            return Ok(Some(evidence));
        }
        before += head.leaf.length();
        let found = by_width!(index.width, C => suffixes_lie::<C>(index, shard, threads))?;
        if found.is_some() {
            return Ok(found);
        }
        let found = by_width!(index.width, C => counts_lie::<C>(index, shard))?;
        if found.is_some() {
            return Ok(found);
        }
    }
    table_lie(index)
}

/// Tokens that the vocabulary does not have, separators that are missing or too many.
fn tokens_lie(index: &Index) -> Result<Option<IndexEvidence>> {
    let header = index.header();
    let is_beyond = |id: &u32| *id >= header.vocabulary;
    let beyond = index.codes.ids().iter().any(is_beyond);
    let mut ends = index
        .starts
        .iter()
        .skip(1)
        .map(|start| start - 1)
        .chain(index.tokens().checked_sub(1).filter(|_| !index.starts.is_empty()));
    let mut end = ends.next();
    for position in 0..index.tokens() {
        let Some(id) = index.token(position) else { break };
        if beyond && is_beyond(&id) {
            let chunk = index.open_chunk(position / u64::from(openledger_attribution::text::UNIT))?;
            return Ok(Some(IndexEvidence::Chunk(chunk)));
        }
        let is_end = end == Some(position);
        if is_end {
            end = ends.next();
        }
        if (id == header.separator) != is_end {
            let entry = index.entry_at(position).unwrap_or(0);
            return Ok(Some(IndexEvidence::Tokens(RecordTokens {
                record: index.open_record(entry)?,
                corpus: index.open_tokens(position, position + 1)?,
            })));
        }
    }
    Ok(None)
}

/// A shard that does not start where the one before it ends, that cuts a record, or whose trees have another
/// size.
fn shape_lie(index: &Index, shard: u64, before: u64) -> Result<Option<IndexEvidence>> {
    let leaf = index.shards()[shard as usize].leaf;
    let is_start = index.starts.binary_search(&leaf.from).is_ok();
    let fits = leaf.from == before
        && leaf.counts.sum == u128::from(leaf.length())
        && leaf.suffixes.sum == 0
        && leaf.suffixes.count == leaf.length()
        && leaf.counts.count == u64::from(index.header().vocabulary);
    if fits && is_start {
        return Ok(None);
    }
    let cut = (fits && !is_start).then(|| index.entry_at(leaf.from)).flatten();
    Ok(Some(IndexEvidence::Shard(ShardShape {
        shard: index.open_shard(shard)?,
        record: cut.map(|entry| index.open_record(entry)).transpose()?,
    })))
}

/// Suffixes out of range, twice, out of order. If there are none, each is there: there are as many as tokens.
fn suffixes_lie<C: Code>(index: &Index, shard: u64, threads: usize) -> Result<Option<IndexEvidence>> {
    let view = index
        .view::<C>(shard as usize)
        .ok_or_else(|| Error::Wrong("a shard beyond the corpus".into()))?;
    let length = view.text.len();
    let mut seen = vec![0u64; length.div_ceil(64)];
    for (rank, at) in (0u64..).zip(view.suffixes) {
        let at = *at as usize;
        if at >= length {
            return Ok(Some(IndexEvidence::SuffixRange(SuffixEntry {
                shard: index.open_shard(shard)?,
                entry: index.open_suffix(shard, rank)?,
            })));
        }
        let bit = 1u64 << (at % 64);
        if seen[at / 64] & bit != 0 {
            let first = view.suffixes.iter().position(|other| *other as usize == at);
            return Ok(Some(IndexEvidence::SuffixPair(SuffixPair {
                shard: index.open_shard(shard)?,
                left: index.open_suffix(shard, first.unwrap_or(0) as u64)?,
                right: index.open_suffix(shard, rank)?,
                left_tokens: None,
                right_tokens: None,
            })));
        }
        seen[at / 64] |= bit;
    }
    let judged = |at: u32| {
        let rest = view.text.get(at as usize..).unwrap_or_default();
        rest.get(..JUDGED.min(rest.len())).unwrap_or_default()
    };
    let pieces = (length as u64).div_ceil(PIECE) as usize;
    let found = in_order(pieces, threads, |piece| {
        let from = piece * PIECE as usize;
        let to = (from + PIECE as usize + 1).min(length);
        let ranks = view.suffixes.get(from..to).unwrap_or_default();
        let lie = ranks.windows(2).position(|pair| match pair {
            [a, b] => judged(*a) > judged(*b),
            _ => false,
        });
        Ok::<_, Error>(lie.map(|at| (from + at) as u64))
    })?;
    match found.into_iter().flatten().next() {
        None => Ok(None),
        Some(rank) => suffix_pair(index, shard, rank).map(|pair| Some(IndexEvidence::SuffixPair(pair))),
    }
}

/// Two neighbours in a suffix array with the tokens that decide their order.
///
/// Errors: no such shard or ranks.
pub fn suffix_pair(index: &Index, shard: u64, rank: u64) -> Result<SuffixPair> {
    let opening = index.open_shard(shard)?;
    let left = index.open_suffix(shard, rank)?;
    let right = index.open_suffix(shard, rank + 1)?;
    let to = opening.leaf.to;
    let (a, b) = (left.leaf.position, right.leaf.position);
    let shared = (0..JUDGED as u64)
        .take_while(|at| a + at < to && b + at < to && index.token(a + at) == index.token(b + at))
        .count() as u64;
    Ok(SuffixPair {
        left_tokens: Some(shown(index, &opening, &left, shared + 1)?),
        right_tokens: Some(shown(index, &opening, &right, shared + 1)?),
        shard: opening,
        left,
        right,
    })
}

/// A text of `length` tokens that stands at `position`, and the neighbours in the suffix array between which
/// it would stand: proof against an array in which it cannot be found.
///
/// Errors: no such shard, a position that is not in it.
pub fn suffix_gap(index: &Index, shard: u64, position: u64, length: u16) -> Result<SuffixGap> {
    let opening = index.open_shard(shard)?;
    let leaf = opening.leaf;
    let end = position.saturating_add(u64::from(length));
    if length == 0 || usize::from(length) > JUDGED || !leaf.holds(position) || end > leaf.to {
        return Err(Error::Evidence(format!(
            "{length} tokens at position {position}: choose 1 to {JUDGED} that shard {shard} ({} to {}) has",
            leaf.from, leaf.to
        )));
    }
    let rank = by_width!(index.width, C => {
        let view = index.view::<C>(shard as usize);
        view.map_or(0, |view| {
            let from = (position - leaf.from) as usize;
            let pattern = view.text.get(from..from + usize::from(length)).unwrap_or_default();
            // Not by the keys: they are this machine's, the array is what was published.
            view.suffixes.partition_point(|at| {
                view.text.get(*at as usize..).is_some_and(|suffix| suffix < pattern)
            })
        })
    }) as u64;
    let entry = |rank: Option<u64>| -> Result<Option<ShownSuffix>> {
        let Some(rank) = rank.filter(|rank| *rank < leaf.suffixes.count) else {
            return Ok(None);
        };
        let entry = index.open_suffix(shard, rank)?;
        let tokens = shown(index, &opening, &entry, u64::from(length) + 1)?;
        Ok(Some(ShownSuffix { entry, tokens }))
    };
    Ok(SuffixGap {
        position,
        length,
        tokens: index.open_tokens(position, end)?,
        before: entry(rank.checked_sub(1))?,
        after: entry(Some(rank))?,
        shard: opening,
    })
}

/// The first tokens of a suffix, no further than its shard.
fn shown(
    index: &Index,
    shard: &Opening<ShardLeaf>,
    entry: &Opening<SuffixLeaf>,
    tokens: u64,
) -> Result<Range<TokenLeaf>> {
    let from = entry.leaf.position;
    index.open_tokens(from, (from + tokens).min(shard.leaf.to))
}

/// A shard's count that its suffix array, known to be in order, contradicts.
fn counts_lie<C: Code>(index: &Index, shard: u64) -> Result<Option<IndexEvidence>> {
    let head = &index.shards()[shard as usize];
    let view = index.view::<C>(shard as usize);
    let text = view.map_or(&[] as &[C], |view| view.text);
    let mut counts = vec![0u64; head.counts.len()];
    for code in text {
        if let Some(count) = counts.get_mut(code.wide() as usize) {
            *count += 1;
        }
    }
    let mut before = 0;
    for (code, (claimed, found)) in head.counts.iter().zip(&counts).enumerate() {
        if claimed == found {
            before += claimed;
            continue;
        }
        // Too many: the first rank too far. Too few: the next token that is there starts too early.
        let (code, rank) = if claimed > found {
            (code, before + found)
        } else {
            let later = head.counts.iter().enumerate().skip(code + 1);
            let next = later.into_iter().find(|(_, count)| **count > 0);
            (next.map_or(code, |(next, _)| next), before + claimed)
        };
        let id = index.codes.id(code as u32).unwrap_or(u32::MAX);
        let entry = index.open_suffix(shard, rank)?;
        let at = entry.leaf.position;
        return Ok(Some(IndexEvidence::ShardCount(ShardCount {
            shard: index.open_shard(shard)?,
            count: index.open_count(shard, id)?,
            tokens: index.open_tokens(at, at + 1)?,
            entry,
        })));
    }
    Ok(None)
}

/// A count of the table that is not the sum of the shards'.
fn table_lie(index: &Index) -> Result<Option<IndexEvidence>> {
    for (code, id) in index.codes.ids().iter().enumerate() {
        let shards = index.shards();
        let sum: u64 = shards.iter().filter_map(|shard| shard.counts.get(code)).sum();
        if index.table(u64::from(*id)).count != sum {
            let counts = (0..shards.len() as u64).map(|shard| index.open_count(shard, *id));
            return Ok(Some(IndexEvidence::TableCount(TableCount {
                entry: index.open_table(*id)?,
                shards: index.open_shards()?,
                counts: counts.collect::<Result<_>>()?,
            })));
        }
    }
    Ok(None)
}

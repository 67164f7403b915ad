//! Withheld data: what answers a request, and who loses when nothing does.
//!
//! A tree whose sums or hashes do not fit cannot be opened at all, so this row also catches commitments that
//! were never made from leaves: whoever committed has to show the leaf that is asked for.

use super::{Contribution, Doubt, Guilt, Verdict};
use crate::{
    attribution::Attribution,
    bases::BasisLeaf,
    batch::{BatchHeader, ChannelLeaf, CreditLeaf, CreditsHeader, DrawLeaf, PartLeaf, ReceiptLeaf},
    hash::keccak,
    index::{IndexHeader, IndexLeaf},
    receipt::Receipt,
    record::{CorpusLeaf, RecordLeaf},
    sketch::SketchLeaf,
    text::TokenLeaf,
    tree::{Leaf, Opening, Range, Root, Tree},
    verbatim::{CountLeaf, ShardLeaf, SuffixLeaf, TableLeaf},
    wire::{choices, fields, Field, Object, Reader, WireError},
};
use alloc::vec::Vec;

/// What is asked for. Positions are those of the leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub enum Wanted {
    /// A receipt.
    Receipt(u64),
    /// The attribution of a receipt of a full batch.
    Attribution(u64),
    /// A draw, and its attribution unless it is forfeited.
    Draw(u64),
    /// The query sketch of a receipt of a full batch.
    Query(u64),
    /// The query sketch of a draw.
    DrawQuery(u64),
    /// A channel of a batch.
    Channel(u64),
    /// A part.
    Part(u64),
    /// A credit.
    Credit(u64),
    /// A row of an index.
    Row(u64),
    /// A leaf of the tree of bases.
    Basis(u64),
    /// A corpus entry.
    Corpus(u64),
    /// A chunk of the corpus.
    Tokens(u64),
    /// A table entry.
    Table(u64),
    /// A shard.
    Shard(u64),
    /// A block of suffix entries: shard, first rank, how many.
    Suffixes((u64, u64, u16)),
    /// A token's count in a shard: shard, token id.
    Count((u64, u64)),
    /// A record of a contribution, in canonical form.
    Record(u64),
}

choices!(Wanted {
    0 => Receipt, 1 => Attribution, 2 => Draw, 3 => Query, 4 => DrawQuery, 5 => Channel, 6 => Part, 7 => Credit,
    8 => Row, 9 => Basis, 10 => Corpus, 11 => Tokens, 12 => Table, 13 => Shard, 14 => Suffixes, 15 => Count,
    16 => Record,
});

macro_rules! tuple {
    ($($name:ident),*) => {
        impl<$($name: Field),*> Field for ($($name,)*) {
            #[allow(non_snake_case)]
            fn write(&self, out: &mut Vec<u8>) {
                let ($($name,)*) = self;
                $($name.write(out);)*
            }
            fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
                Ok(($($name::read(from)?,)*))
            }
        }
    };
}

tuple!(A, B);
tuple!(A, B, C);

/// An answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub enum Reveal {
    /// A receipt.
    Receipt(RevealedReceipt),
    /// An attribution.
    Attribution(RevealedAttribution),
    /// A draw.
    Draw(RevealedDraw),
    /// The blocks of a query sketch, with the attribution that names it.
    Query((RevealedAttribution, Vec<SketchLeaf>)),
    /// The blocks of a draw's query sketch.
    DrawQuery((RevealedDraw, Vec<SketchLeaf>)),
    /// A channel.
    Channel(Opening<ChannelLeaf>),
    /// A part.
    Part(Opening<PartLeaf>),
    /// A credit.
    Credit(Opening<CreditLeaf>),
    /// A row.
    Row(Opening<IndexLeaf>),
    /// A basis leaf.
    Basis(Opening<BasisLeaf>),
    /// A corpus entry.
    Corpus(Opening<CorpusLeaf>),
    /// A chunk.
    Tokens(Opening<TokenLeaf>),
    /// A table entry.
    Table(Opening<TableLeaf>),
    /// A shard.
    Shard(Opening<ShardLeaf>),
    /// Suffix entries, with their shard.
    Suffixes((Opening<ShardLeaf>, Range<SuffixLeaf>)),
    /// A count, with its shard.
    Count((Opening<ShardLeaf>, Opening<CountLeaf>)),
    /// A record: its leaf and its canonical form.
    Record((Opening<RecordLeaf>, Vec<u8>)),
}

choices!(Reveal {
    0 => Receipt, 1 => Attribution, 2 => Draw, 3 => Query, 4 => DrawQuery, 5 => Channel, 6 => Part, 7 => Credit,
    8 => Row, 9 => Basis, 10 => Corpus, 11 => Tokens, 12 => Table, 13 => Shard, 14 => Suffixes, 15 => Count,
    16 => Record,
});

impl Object for Reveal {
    const TAG: crate::hash::Tag = *b"REV1";
}

/// A receipt with its leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct RevealedReceipt {
    /// The leaf.
    pub leaf: Opening<ReceiptLeaf>,
    /// The receipt.
    pub receipt: Receipt,
}

fields!(RevealedReceipt { leaf, receipt });

/// An attribution with the receipt that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct RevealedAttribution {
    /// The receipt.
    pub receipt: RevealedReceipt,
    /// The attribution.
    pub attribution: Attribution,
}

fields!(RevealedAttribution { receipt, attribution });

/// A draw with its attribution, if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct RevealedDraw {
    /// The draw.
    pub draw: Opening<DrawLeaf>,
    /// The attribution.
    pub attribution: Option<Attribution>,
}

fields!(RevealedDraw { draw, attribution });

/// What the judge of a request trusts: the headers of the object that is asked about, the others absent.
#[derive(Clone, Copy, Debug, Default)]
pub struct RevealFacts<'a> {
    /// A batch.
    pub batch: Option<&'a BatchHeader>,
    /// Its credits.
    pub credits: Option<&'a CreditsHeader>,
    /// An index.
    pub index: Option<&'a IndexHeader>,
    /// A contribution.
    pub contribution: Option<&'a Contribution>,
}

impl RevealFacts<'_> {
    /// Whether these facts are enough to ask for `wanted`, and such a thing exists.
    pub fn can_ask(&self, wanted: &Wanted) -> bool {
        let batch = |pick: fn(&BatchHeader) -> &Root| self.batch.map_or(0, |header| pick(header).count);
        let credits = |pick: fn(&CreditsHeader) -> &Root| self.credits.map_or(0, |header| pick(header).count);
        let index = |pick: fn(&IndexHeader) -> &Root| self.index.map_or(0, |header| pick(header).count);
        let full = self.batch.is_some_and(|header| !header.is_sampled());
        match wanted {
            Wanted::Receipt(n) => *n < batch(|header| &header.receipts),
            Wanted::Attribution(n) | Wanted::Query(n) => full && *n < batch(|header| &header.receipts),
            Wanted::Draw(n) | Wanted::DrawQuery(n) => *n < credits(|header| &header.answers),
            Wanted::Channel(n) => *n < batch(|header| &header.channels),
            Wanted::Part(n) => *n < credits(|header| &header.parts),
            Wanted::Credit(n) => *n < credits(|header| &header.credits),
            Wanted::Row(n) => *n < index(|header| &header.rows),
            Wanted::Basis(n) => *n < index(|header| &header.bases),
            Wanted::Corpus(n) => *n < index(|header| &header.corpus),
            Wanted::Tokens(n) => *n < index(|header| &header.verbatim.tokens),
            Wanted::Table(n) => *n < index(|header| &header.verbatim.table),
            // How many entries a shard has, only the shard tells: a request beyond them is answered by the
            // shard.
            Wanted::Shard(n) | Wanted::Suffixes((n, ..)) | Wanted::Count((n, _)) => {
                *n < index(|header| &header.verbatim.shards)
            }
            Wanted::Record(n) => self
                .contribution
                .is_some_and(|contribution| *n < contribution.records.count),
        }
    }

    /// Whether `reveal` is what was wanted.
    pub fn answers(&self, wanted: &Wanted, reveal: &Reveal) -> bool {
        self.is_answered(wanted, reveal).is_some()
    }

    fn is_answered(&self, wanted: &Wanted, reveal: &Reveal) -> Option<()> {
        let batch = || self.batch;
        let index = || self.index;
        match (wanted, reveal) {
            (Wanted::Receipt(n), Reveal::Receipt(shown)) => self.receipt(*n, shown),
            (Wanted::Attribution(n), Reveal::Attribution(shown)) => self.attribution(*n, shown),
            (Wanted::Draw(n), Reveal::Draw(shown)) => self.draw(*n, shown),
            (Wanted::Query(n), Reveal::Query((shown, blocks))) => {
                self.attribution(*n, shown)?;
                query(&shown.attribution, blocks)
            }
            (Wanted::DrawQuery(n), Reveal::DrawQuery((shown, blocks))) => {
                self.draw(*n, shown)?;
                match &shown.attribution {
                    Some(attribution) => query(attribution, blocks),
                    // A forfeited draw has no query; showing the draw, and nothing else, answers the request.
                    None => blocks.is_empty().then_some(()),
                }
            }
            (Wanted::Channel(n), Reveal::Channel(shown)) => leaf(*n, shown, &batch()?.channels),
            (Wanted::Part(n), Reveal::Part(shown)) => leaf(*n, shown, &self.credits?.parts),
            (Wanted::Credit(n), Reveal::Credit(shown)) => leaf(*n, shown, &self.credits?.credits),
            (Wanted::Row(n), Reveal::Row(shown)) => leaf(*n, shown, &index()?.rows),
            (Wanted::Basis(n), Reveal::Basis(shown)) => leaf(*n, shown, &index()?.bases),
            (Wanted::Corpus(n), Reveal::Corpus(shown)) => leaf(*n, shown, &index()?.corpus),
            (Wanted::Tokens(n), Reveal::Tokens(shown)) => leaf(*n, shown, &index()?.verbatim.tokens),
            (Wanted::Table(n), Reveal::Table(shown)) => leaf(*n, shown, &index()?.verbatim.table),
            (Wanted::Shard(n), Reveal::Shard(shown)) => leaf(*n, shown, &index()?.verbatim.shards),
            (Wanted::Suffixes((shard, start, length)), Reveal::Suffixes((shown, range))) => {
                leaf(*shard, shown, &index()?.verbatim.shards)?;
                let count = shown.leaf.suffixes.count;
                let length = u64::from(*length).min(count.saturating_sub(*start));
                if length == 0 {
                    return (range.leaves.is_empty() && range.path.is_empty()).then_some(());
                }
                let complete = range.start == *start && u64::try_from(range.leaves.len()).ok()? == length;
                range
                    .verify(&shown.leaf.suffixes)
                    .filter(|_| complete)
                    .map(|_| ())
            }
            (Wanted::Count((shard, token)), Reveal::Count((shown, count))) => {
                leaf(*shard, shown, &index()?.verbatim.shards)?;
                match shown.leaf.counts.count {
                    0 => Some(()),
                    // Beyond the vocabulary the shard is answer enough, beside any of its counts.
                    counts if *token >= counts => count.verify(&shown.leaf.counts).map(|_| ()),
                    _ => leaf(*token, count, &shown.leaf.counts),
                }
            }
            (Wanted::Record(n), Reveal::Record((shown, bytes))) => {
                leaf(*n, shown, &self.contribution?.records)?;
                let length = u32::try_from(bytes.len()).ok()?;
                (keccak(&[bytes]) == shown.leaf.content && length == shown.leaf.bytes).then_some(())
            }
            _ => None,
        }
    }

    fn receipt(&self, n: u64, shown: &RevealedReceipt) -> Option<()> {
        leaf(n, &shown.leaf, &self.batch?.receipts)?;
        (shown.receipt.hash() == shown.leaf.leaf.receipt).then_some(())
    }

    fn attribution(&self, n: u64, shown: &RevealedAttribution) -> Option<()> {
        self.receipt(n, &shown.receipt)?;
        (shown.attribution.hash() == shown.receipt.receipt.attribution).then_some(())
    }

    fn draw(&self, n: u64, shown: &RevealedDraw) -> Option<()> {
        leaf(n, &shown.draw, &self.credits?.answers)?;
        let is_right = match &shown.attribution {
            None => shown.draw.leaf.is_forfeited(),
            Some(attribution) => attribution.hash() == shown.draw.leaf.attribution,
        };
        is_right.then_some(())
    }
}

fn leaf<L: Leaf>(n: u64, shown: &Opening<L>, root: &Root) -> Option<()> {
    shown.verify(root).filter(|_| shown.index == n).map(|_| ())
}

/// Whether these are the blocks of the attribution's query sketch. Whether they are valid, the verdicts tell.
fn query(attribution: &Attribution, blocks: &[SketchLeaf]) -> Option<()> {
    let root = Tree::new(blocks).ok()?.root();
    (root.hash::<SketchLeaf>() == attribution.query).then_some(())
}

/// Judges a request that was to be answered by block `deadline`, at block `now`. Guilty means whoever
/// withheld.
pub fn judge_reveal(
    facts: &RevealFacts<'_>,
    wanted: &Wanted,
    reveal: Option<&Reveal>,
    deadline: u64,
    now: u64,
) -> Verdict {
    if !facts.can_ask(wanted) {
        return Verdict::NotProven(Doubt::Facts);
    }
    if reveal.is_some_and(|reveal| facts.answers(wanted, reveal)) {
        return Verdict::NotProven(Doubt::Right);
    }
    if now <= deadline {
        return Verdict::NotProven(Doubt::Incomplete);
    }
    Verdict::Guilty(Guilt::Withheld)
}

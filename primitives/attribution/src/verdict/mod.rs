//! Verdicts: what a piece of evidence proves, decided by integer arithmetic alone.
//!
//! | Who may have lied | About what | Evidence | Decides |
//! | --- | --- | --- | --- |
//! | a worker | a batch, its receipts, attributions and credits | [`BatchEvidence`] | [`judge_batch`] |
//! | a builder | an index | [`IndexEvidence`] | [`judge_index`] |
//! | a publisher | a Datanet version | [`VersionEvidence`] | [`judge_version`] |
//! | a contributor | whose a record is | [`Duplicate`] | [`judge_duplicate`] |
//! | whoever holds data | that it can be had | [`Reveal`] | [`judge_reveal`] |
//!
//! *Facts* are what the judge trusts: headers from state and what the chain knows. Evidence comes from
//! anyone. A verdict is [`Guilty`](Verdict::Guilty) only if no honest object of those facts admits the
//! evidence; anything else, from a path that does not verify to a claim that turns out right, is
//! [`NotProven`](Verdict::NotProven). What only floating point can tell is opened as a [`BatchQuestion`] or an
//! [`IndexQuestion`] and put before a [`committee`](crate::committee), whose verdict is
//! [`Guilt::Recomputed`].

mod answer;
mod batch;
mod credit;
mod index;
mod question;
mod reveal;
mod span;
mod suffix;
mod version;

pub use answer::{AnswerProof, LeftOut, NamedRecord, NamedRow, QueryBlock, WrongScore};
pub use batch::{
    ChannelEnd, ChannelMissing, ChannelUnused, Flag, ReceiptProof, ReceiptRules, RunningTotals, TextCount,
};
pub use credit::{
    CreditMissing, CreditRange, CreditSum, DrawForfeit, DrawnReceipt, PartMissing, PartOfAnswer,
    PartOfForfeit,
};
pub use index::{BasisPair, BasisShape, CorpusRecord, IndexOrder, RowBytes, RowPlace};
pub use question::{
    AskedBasis, AskedQuery, AskedRow, Audit, AuditDraw, AuditShown, Audited, AuditedQuery, BatchQuestion, IndexQuestion,
};
pub use reveal::{
    judge_reveal, Reveal, RevealFacts, RevealedAttribution, RevealedDraw, RevealedReceipt, Wanted,
};
pub use span::{SpanBounds, SpanInformation, SpanMismatch, SpanOccurrence, SpanRecordMissing, TextProof};
pub use suffix::{
    RecordTokens, ShardCount, ShardShape, ShownSuffix, SuffixEntry, SuffixGap, SuffixPair, TableCount,
};
pub use version::{
    judge_duplicate, judge_version, Contribution, Duplicate, Registry, Representative, RepresentativeMissing,
    VersionEvidence, VersionFacts, VersionRecord,
};

use crate::{
    attribution::ShapeFlaw,
    batch::{BatchFlaw, BatchHeader, ChannelLeaf, CreditLeaf, CreditsHeader, PartLeaf, ReceiptLeaf},
    committee::Subject,
    hash::Hash,
    index::{HeaderFlaw, IndexHeader, IndexLeaf},
    receipt::ReceiptFlaw,
    sketch::{Flaw, Layout},
    text::TokenLeaf,
    tree::Opening,
    voucher::CheckSignature,
    wire::{choices, fields, Object},
};
use core::fmt;

/// What evidence proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub enum Verdict {
    /// This lie is proved.
    Guilty(Guilt),
    /// Nothing is proved, for this reason.
    NotProven(Doubt),
}

impl Verdict {
    /// Whether a lie is proved.
    pub fn is_guilty(&self) -> bool {
        matches!(self, Self::Guilty(_))
    }

    pub(crate) fn from_finding(finding: Finding) -> Self {
        match finding {
            Ok(guilt) => Self::Guilty(guilt),
            Err(doubt) => Self::NotProven(doubt),
        }
    }
}

/// What a judge's steps return: each may find a reason for doubt and stop.
pub(crate) type Finding = Result<Guilt, Doubt>;

/// Guilty of `guilt` if `lie` holds, else the claim is right.
pub(crate) fn found(lie: bool, guilt: Guilt) -> Finding {
    if lie {
        Ok(guilt)
    } else {
        Err(Doubt::Right)
    }
}

/// Why evidence proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub enum Doubt {
    /// The facts do not belong together, or the judge lacks one that this evidence needs.
    Facts,
    /// A path does not lead to the committed root.
    Proof,
    /// An object is not the one whose hash is committed.
    Object,
    /// The evidence is about something else than it claims.
    Unrelated,
    /// The evidence shows too little to decide.
    Incomplete,
    /// What was challenged is right.
    Right,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Facts => {
                "the facts do not belong together: pass the headers that the challenged object names"
            }
            Self::Proof => {
                "a path does not lead to the committed root: open the leaf again from the published tree"
            }
            Self::Object => "an object is not the one committed to: fetch it again",
            Self::Unrelated => "the evidence is about something else: check its positions",
            Self::Incomplete => {
                "the evidence shows too little: add the tokens, table leaves or objects it needs"
            }
            Self::Right => "what was challenged is right: nothing to do",
        })
    }
}

macro_rules! guilt {
    ($($(#[doc = $doc:literal])* $name:ident $(($inner:ty))? = $text:literal,)*) => {
        /// A lie, proved.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(feature = "scale", derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking))]
        #[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
        pub enum Guilt {
            $($(#[doc = $doc])* $name $(($inner))?,)*
        }

        impl fmt::Display for Guilt {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(guilt!(@pattern $name $(($inner))?) => f.write_str($text),)*
                }
            }
        }
    };
    (@pattern $name:ident) => { Self::$name };
    (@pattern $name:ident ($inner:ty)) => { Self::$name(_) };
}

guilt! {
    /// The score of a listed row is not what the sketches give.
    WrongScore = "a listed row does not have the score claimed for it",
    /// A listed row is not eligible.
    NotEligible = "a listed row is not eligible",
    /// An eligible row that belongs in the list is not there.
    RowLeftOut = "an eligible row is left out of the list",
    /// A block of the query sketch can come from no gradient.
    InvalidQuery(Flaw) = "the query sketch can come from no gradient",
    /// The attribution falls by itself.
    Shape(ShapeFlaw) = "the attribution breaks its own rules",
    /// A list names another contributor than the index.
    WrongContributor = "a listed row has another contributor",
    /// A span or a retrieved entry names a record, contributor or place that the corpus does not have there.
    WrongRecord = "a named record is another one, another's, or elsewhere",
    /// The receipt falls by itself.
    Receipt(ReceiptFlaw) = "the receipt breaks its own rules",
    /// The consumer did not sign the voucher.
    Unsigned = "the consumer did not sign the receipt's voucher",
    /// The voucher is for another chain.
    OtherChain = "the receipt's voucher is for another chain",
    /// The voucher had expired when the batch was submitted.
    Expired = "the receipt's voucher had expired",
    /// Worker, model, index or tariff of a receipt are not the batch's.
    OtherBatch = "the receipt does not belong into this batch",
    /// A leaf does not say what its receipt says.
    WrongLeaf = "a receipt's leaf does not say what the receipt says",
    /// A receipt has its attribution in a sampled batch, or none in a full one.
    WrongKind = "the receipt's attribution does not fit the kind of batch",
    /// A token count is not that of the committed text.
    WrongCount = "a token count is not that of the committed text",
    /// Receipts are not sorted.
    ReceiptsDisordered = "the receipts are out of order",
    /// A receipt does not start where the one before it ended.
    ReceiptsBroken = "receipts of a channel skip, repeat or overlap",
    /// A voucher does not name the receipt before it.
    NotChained = "a voucher does not name the receipt before it",
    /// The first or last receipt of a channel does not meet the channel's claim.
    WrongCursor = "receipts do not fill the channel's claim",
    /// Channels are not sorted.
    ChannelsDisordered = "the channels are out of order",
    /// A receipt's channel is not among the batch's, or a channel has no receipt.
    ChannelMissing = "channels and receipts do not cover each other",
    /// Running totals do not add up the receipts' splits, or are not the header's in the end.
    WrongTotals = "the money by destination does not add up",
    /// Headers contradict themselves or each other.
    Batch(BatchFlaw) = "the batch's headers contradict themselves",
    /// A draw names another receipt than the randomness.
    WrongDraw = "a draw names another receipt than was drawn",
    /// A draw's forfeit is not what follows from its attribution.
    WrongForfeit = "a draw's forfeit is not what it must be",
    /// Parts are not sorted.
    PartsDisordered = "the parts are out of order",
    /// A part is for an answer or a draw that the batch does not have, or for one that credits nobody.
    PartWithoutSource = "a part comes from no answer",
    /// A part's contributor or amount is not what the answer gives.
    WrongPart = "a part is not what the answer gives",
    /// A contributor's part of an answer is missing.
    PartMissing = "a contributor's part of an answer is missing",
    /// Credits are not sorted.
    CreditsDisordered = "the credits are out of order",
    /// A credit has no parts, parts beyond the tree, or less than the minimum.
    CreditShape = "a credit breaks its own rules",
    /// A credit counts another contributor's part, or not all of its own.
    CreditRange = "a credit does not stand for its contributor's parts",
    /// A credit is not the sum of its parts.
    CreditSum = "a credit is not the sum of its parts",
    /// A contributor with parts of the minimum or more has no credit.
    CreditMissing = "a contributor is owed a credit and has none",
    /// A span's tokens are not those of the place it names.
    SpanMismatch = "a span does not match the corpus where it claims to",
    /// A span does not start or end where the rules say.
    SpanBounds = "a span does not start or end at a boundary",
    /// A span lies inside a longer one.
    SpanNotMaximal = "a span lies inside a longer match",
    /// A span that belongs in the list is not there.
    SpanMissing = "a span is missing",
    /// A span's information content is not that of its tokens.
    SpanInformation = "a span's information content is wrong",
    /// A record that contains a span is not named.
    SpanRecordMissing = "a record that contains a span is not named",
    /// The header is not what was ordered.
    IndexOrder = "the index is not what was ordered",
    /// The header contradicts itself.
    Index(HeaderFlaw) = "the index's header contradicts itself",
    /// A row is of another record, unit or contributor than its place says.
    WrongRow = "a row of the index is not the one that belongs there",
    /// Two rows cannot stand next to each other.
    RowsDisordered = "rows of the index skip, repeat or are out of order",
    /// A row's bytes can come from no gradient.
    InvalidRow(Flaw) = "a row of the index can come from no gradient",
    /// A corpus entry is not the representative that belongs there.
    WrongCorpus = "a record of the corpus is not the one that belongs there",
    /// A chunk of the corpus is not full or has a token the tokenizer does not have.
    InvalidChunk = "a chunk of the corpus is not well formed",
    /// A record does not have the tokens claimed for it.
    WrongTokens = "a record does not have as many tokens as claimed",
    /// A shard does not start where it must, or its trees have another size.
    InvalidShard = "a shard of the corpus is not well formed",
    /// A suffix starts outside its shard.
    SuffixRange = "a suffix starts outside its shard",
    /// A suffix stands twice in the array.
    SuffixTwice = "a suffix stands twice in the array",
    /// Suffixes are out of order, or one is missing.
    SuffixOrder = "the suffix array is out of order or incomplete",
    /// A token's count is not what the shards or the suffix array say.
    TokenCount = "a token's count is wrong",
    /// A basis leaf has another kind or length than its place asks for.
    InvalidBasis = "a basis is not laid out as it must be",
    /// Two basis vectors are not orthonormal.
    NotOrthonormal = "a basis is not orthonormal",
    /// Records of a version are not sorted.
    VersionDisordered = "the version's records are out of order",
    /// A version's record is not what its contribution says.
    WrongVersionRecord = "a record of the version is not the contribution's",
    /// A record's representative does not stand for itself or is not in the version.
    WrongRepresentative = "a representative is missing or not one itself",
    /// An earlier contribution has the same record.
    Duplicate = "an earlier contribution has the same record",
    /// What was asked for was not revealed in time.
    Withheld = "what was asked for was not revealed in time",
    /// A committee recomputed what was committed to, and it comes out differently.
    Recomputed(Asked) = "a committee that recomputed it got something else",
}

/// What kind of thing a committee found to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub enum Asked {
    /// The sketch of a row.
    Row,
    /// Bases or eigenvalues.
    Basis,
    /// An adapter.
    Training,
    /// A query sketch.
    Query,
    /// Retrieved records.
    Ranks,
    /// An answer.
    Output,
}

impl From<&Subject> for Asked {
    fn from(subject: &Subject) -> Self {
        match subject {
            Subject::Row { .. } => Self::Row,
            Subject::Basis { .. } => Self::Basis,
            Subject::Training { .. } => Self::Training,
            Subject::Query { .. } => Self::Query,
            Subject::Ranks { .. } => Self::Ranks,
            Subject::Output { .. } => Self::Output,
        }
    }
}

/// What the judge of a batch trusts.
#[derive(Clone, Copy, Debug)]
pub struct BatchFacts<'a> {
    /// Genesis hash of the chain.
    pub genesis: Hash,
    /// The chain's EIP-155 id.
    pub chain_id: u64,
    /// The block in which the batch was submitted.
    pub submitted: u64,
    /// The least credit that the chain allowed then, in planck.
    pub minimum: u128,
    /// What was drawn for a sampled batch, once it was.
    pub randomness: Option<Hash>,
    /// The batch.
    pub batch: &'a BatchHeader,
    /// Its credits, once they are there.
    pub credits: Option<&'a CreditsHeader>,
    /// The index it names.
    pub index: &'a IndexHeader,
}

impl<'a> BatchFacts<'a> {
    pub(crate) fn credits(&self) -> Result<&'a CreditsHeader, Doubt> {
        self.credits.ok_or(Doubt::Facts)
    }

    pub(crate) fn belong_together(&self) -> bool {
        let batch = self.batch.hash();
        self.index.hash() == self.batch.index && self.credits.is_none_or(|credits| credits.batch == batch)
    }
}

/// Two leaves next to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct Neighbours<L> {
    /// The first.
    pub left: Opening<L>,
    /// The one right behind it.
    pub right: Opening<L>,
}

fields!(Neighbours<L> { left, right });

impl<L: crate::tree::Leaf> Neighbours<L> {
    pub(crate) fn open(&self, root: &crate::tree::Root) -> Result<(&L, &L), Doubt> {
        self.left.verify(root).ok_or(Doubt::Proof)?;
        self.right.verify(root).ok_or(Doubt::Proof)?;
        if !self.left.precedes(&self.right) {
            return Err(Doubt::Unrelated);
        }
        Ok((&self.left.leaf, &self.right.leaf))
    }
}

/// A lie about a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub enum BatchEvidence {
    /// A wrong score, or a listed row that is not eligible.
    Score(WrongScore),
    /// An eligible row left out.
    LeftOut(LeftOut),
    /// An invalid block of the query sketch.
    Query(QueryBlock),
    /// An attribution that breaks its own rules.
    Shape(AnswerProof),
    /// A listed row with another contributor.
    NamedRow(NamedRow),
    /// A span or retrieved entry with another record, contributor or place.
    NamedRecord(NamedRecord),
    /// A receipt that breaks its own rules or is unlike its voucher, its batch or its leaf.
    Receipt(ReceiptRules),
    /// A token count unlike the text's.
    Count(TextCount),
    /// Receipts that skip, repeat, overlap or are out of order.
    Receipts(Neighbours<ReceiptLeaf>),
    /// A voucher that does not name the receipt before it.
    Chain(ReceiptProof),
    /// The first or last receipt of a channel against its cursor.
    ChannelEnd(ChannelEnd),
    /// Channels out of order.
    Channels(Neighbours<ChannelLeaf>),
    /// A receipt whose channel is missing.
    ChannelMissing(ChannelMissing),
    /// A channel without receipts.
    ChannelUnused(ChannelUnused),
    /// Running totals that do not add up.
    Totals(RunningTotals),
    /// Headers that contradict themselves; they are facts, so nothing is added.
    Headers([u8; 0]),
    /// A draw that names another receipt.
    Draw(DrawnReceipt),
    /// A draw's forfeit.
    Forfeit(DrawForfeit),
    /// Parts out of order.
    Parts(Neighbours<PartLeaf>),
    /// A part that is not what its answer gives.
    Part(PartOfAnswer),
    /// A part of a draw that was forfeited or does not exist.
    PartOfForfeit(PartOfForfeit),
    /// A part that is missing.
    PartMissing(PartMissing),
    /// Credits out of order.
    Credits(Neighbours<CreditLeaf>),
    /// A credit that breaks its own rules.
    CreditShape(Opening<CreditLeaf>),
    /// A credit that counts the wrong parts.
    CreditRange(CreditRange),
    /// A credit that is not the sum.
    CreditSum(CreditSum),
    /// A credit that is missing.
    CreditMissing(CreditMissing),
    /// A span that does not match.
    SpanMismatch(SpanMismatch),
    /// A span that starts or ends in the wrong place.
    SpanBounds(SpanBounds),
    /// A span that is missing or not maximal.
    SpanOccurrence(SpanOccurrence),
    /// A span's information content.
    SpanInformation(SpanInformation),
    /// A record that a span does not name.
    SpanRecord(SpanRecordMissing),
}

choices!(BatchEvidence {
    0 => Score, 1 => LeftOut, 2 => Query, 3 => Shape, 4 => NamedRow, 5 => NamedRecord, 6 => Receipt, 7 => Count,
    8 => Receipts, 9 => Chain, 10 => ChannelEnd, 11 => Channels, 12 => ChannelMissing, 13 => ChannelUnused,
    14 => Totals, 15 => Headers, 16 => Draw, 17 => Forfeit, 18 => Parts, 19 => Part, 20 => PartOfForfeit,
    21 => PartMissing, 22 => Credits, 23 => CreditShape, 24 => CreditRange, 25 => CreditSum, 26 => CreditMissing,
    27 => SpanMismatch, 28 => SpanBounds, 29 => SpanOccurrence, 30 => SpanInformation, 31 => SpanRecord,
});

impl Object for BatchEvidence {
    const TAG: crate::hash::Tag = *b"EVB1";
}

/// Judges a lie about a batch. Guilty means its worker.
pub fn judge_batch(facts: &BatchFacts<'_>, evidence: &BatchEvidence, keys: &impl CheckSignature) -> Verdict {
    if !facts.belong_together() {
        return Verdict::NotProven(Doubt::Facts);
    }
    Verdict::from_finding(match evidence {
        BatchEvidence::Score(e) => e.judge(facts),
        BatchEvidence::LeftOut(e) => e.judge(facts),
        BatchEvidence::Query(e) => e.judge(facts),
        BatchEvidence::Shape(e) => e.judge_shape(facts),
        BatchEvidence::NamedRow(e) => e.judge(facts),
        BatchEvidence::NamedRecord(e) => e.judge(facts),
        BatchEvidence::Receipt(e) => e.judge(facts, keys),
        BatchEvidence::Count(e) => e.judge(facts),
        BatchEvidence::Receipts(e) => batch::judge_neighbours(facts, e),
        BatchEvidence::Chain(e) => e.judge_chain(facts),
        BatchEvidence::ChannelEnd(e) => e.judge(facts),
        BatchEvidence::Channels(e) => batch::judge_channels(facts, e),
        BatchEvidence::ChannelMissing(e) => e.judge(facts),
        BatchEvidence::ChannelUnused(e) => e.judge(facts),
        BatchEvidence::Totals(e) => e.judge(facts),
        BatchEvidence::Headers([]) => batch::judge_headers(facts),
        BatchEvidence::Draw(e) => e.judge(facts),
        BatchEvidence::Forfeit(e) => e.judge(facts),
        BatchEvidence::Parts(e) => credit::judge_parts(facts, e),
        BatchEvidence::Part(e) => e.judge(facts),
        BatchEvidence::PartOfForfeit(e) => e.judge(facts),
        BatchEvidence::PartMissing(e) => e.judge(facts),
        BatchEvidence::Credits(e) => credit::judge_credits(facts, e),
        BatchEvidence::CreditShape(e) => credit::judge_shape(facts, e),
        BatchEvidence::CreditRange(e) => e.judge(facts),
        BatchEvidence::CreditSum(e) => e.judge(facts),
        BatchEvidence::CreditMissing(e) => e.judge(facts),
        BatchEvidence::SpanMismatch(e) => e.judge(facts),
        BatchEvidence::SpanBounds(e) => e.judge(facts),
        BatchEvidence::SpanOccurrence(e) => e.judge(facts),
        BatchEvidence::SpanInformation(e) => e.judge(facts),
        BatchEvidence::SpanRecord(e) => e.judge(facts),
    })
}

/// What the judge of an index trusts.
#[derive(Clone, Copy)]
pub struct IndexFacts<'a> {
    /// The index.
    pub header: &'a IndexHeader,
    /// What was ordered.
    pub order: &'a IndexOrder,
    /// Contributions by id.
    pub registry: &'a dyn Registry,
}

/// A lie about an index.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub enum IndexEvidence {
    /// A header that is not what was ordered, or contradicts itself or its layout.
    Header(Layout),
    /// A row that is not the unit which belongs at its place.
    Row(RowPlace),
    /// Rows that skip, repeat or are out of order.
    Rows(Neighbours<IndexLeaf>),
    /// A row whose contributor is not the contribution's.
    RowContributor(Opening<IndexLeaf>),
    /// A row whose bytes can come from no gradient.
    RowBytes(RowBytes),
    /// A corpus entry that is not the representative which belongs there.
    Corpus(CorpusRecord),
    /// A chunk that is not well formed.
    Chunk(Opening<TokenLeaf>),
    /// A record with another number of tokens.
    Tokens(RecordTokens),
    /// A shard that is not well formed.
    Shard(ShardShape),
    /// A suffix out of range.
    SuffixRange(SuffixEntry),
    /// Two equal entries of a suffix array, or neighbours out of order.
    SuffixPair(SuffixPair),
    /// Neighbours between which an occurring text is missing.
    SuffixGap(SuffixGap),
    /// A table count that is not the sum of the shards'.
    TableCount(TableCount),
    /// A shard's count that its suffix array contradicts.
    ShardCount(ShardCount),
    /// A basis leaf of the wrong kind or length.
    Basis(BasisShape),
    /// Basis vectors that are not orthonormal.
    BasisPair(BasisPair),
}

choices!(IndexEvidence {
    0 => Header, 1 => Row, 2 => Rows, 3 => RowContributor, 4 => RowBytes, 5 => Corpus, 6 => Chunk, 7 => Tokens,
    8 => Shard, 9 => SuffixRange, 10 => SuffixPair, 11 => SuffixGap, 12 => TableCount, 13 => ShardCount,
    14 => Basis, 15 => BasisPair,
});

impl Object for IndexEvidence {
    const TAG: crate::hash::Tag = *b"EVI1";
}

/// Judges a lie about an index. Guilty means its builder.
pub fn judge_index(facts: &IndexFacts<'_>, evidence: &IndexEvidence) -> Verdict {
    Verdict::from_finding(match evidence {
        IndexEvidence::Header(layout) => index::judge_header(facts, layout),
        IndexEvidence::Row(e) => e.judge(facts),
        IndexEvidence::Rows(e) => index::judge_rows(facts, e),
        IndexEvidence::RowContributor(e) => index::judge_contributor(facts, e),
        IndexEvidence::RowBytes(e) => e.judge(facts),
        IndexEvidence::Corpus(e) => e.judge(facts),
        IndexEvidence::Chunk(e) => suffix::judge_chunk(facts, e),
        IndexEvidence::Tokens(e) => e.judge(facts),
        IndexEvidence::Shard(e) => e.judge(facts),
        IndexEvidence::SuffixRange(e) => e.judge(facts),
        IndexEvidence::SuffixPair(e) => e.judge(facts),
        IndexEvidence::SuffixGap(e) => e.judge(facts),
        IndexEvidence::TableCount(e) => e.judge(facts),
        IndexEvidence::ShardCount(e) => e.judge(facts),
        IndexEvidence::Basis(e) => e.judge(facts),
        IndexEvidence::BasisPair(e) => e.judge(facts),
    })
}

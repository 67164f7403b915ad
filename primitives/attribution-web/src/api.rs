//! What the exports do, on slices: safe, and the same on every target.

use alloc::vec::Vec;
use openledger_attribution::{
    attribution::Attribution,
    bases::BasisLeaf,
    batch::{BatchHeader, ChannelLeaf, CreditLeaf, CreditsHeader, DrawLeaf, PartLeaf, ReceiptLeaf},
    fee::{Mix, Tariff},
    hash::{Hash, Tag},
    index::{IndexHeader, IndexLeaf, IndexRules},
    receipt::{Receipt, ReceiptFlaw},
    record::{CorpusLeaf, RecordLeaf, SourceLeaf, VersionLeaf},
    share::shares,
    sketch::{Layout, Rule, SketchLeaf, SketchRef},
    text::{TextLeaf, TokenLeaf},
    tree::{Leaf, Opening, Root},
    verbatim::{CountLeaf, ShardLeaf, SuffixLeaf, TableLeaf},
    voucher::{Terms, Voucher},
    wire::{Field, Object, Reader},
};

/// What an export returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Status {
    /// All went well.
    Good = 0,
    /// The bytes are not the canonical form of what was asked for.
    Unreadable = -1,
    /// There is no rule of this number, or none can be made of this layout and these numbers.
    NoRule = -2,
    /// The sketches have no score: an exponent outside the window, or bytes that no gradient gives.
    NoScore = -3,
    /// The tag is not that of any object or leaf here.
    NoTag = -4,
    /// The weights are all zero, or add up to more than 2^128.
    NoShares = -5,
    /// The result needs more room.
    NoRoom = -6,
    /// The root does not commit to the leaf.
    NotProven = -7,
    /// The receipt's terms are not what its voucher names.
    Terms = -10,
    /// Split or mix of the receipt do not add up.
    Tariff = -11,
    /// The fee is not the formula on the counts.
    Fee = -12,
    /// The fee is more than the voucher allows.
    Most = -13,
    /// The channel's cumulative sum passes 2^128.
    Cumulative = -14,
}

/// The version of this interface.
pub const VERSION: u32 = 1;

/// Bytes of an encoded [`IndexRules`].
pub const RULES: usize = 11;

/// Bytes of an encoded [`Root`].
pub const ROOT: usize = 56;

/// Reads a whole value.
fn read<T: Field>(bytes: &[u8]) -> Result<T, Status> {
    let mut reader = Reader::new(bytes);
    let value = T::read(&mut reader).map_err(|_| Status::Unreadable)?;
    reader.finish().map_err(|_| Status::Unreadable)?;
    Ok(value)
}

/// Makes a rule of a layout's canonical bytes and an index's numbers.
pub fn rule(layout: &[u8], rules: &[u8]) -> Result<Rule, Status> {
    let layout = Layout::decode(layout).map_err(|_| Status::Unreadable)?;
    Rule::new(&layout, &read::<IndexRules>(rules)?).map_err(|_| Status::NoRule)
}

/// Bytes of a sketch under a rule: exponents and lanes.
pub fn sketch_bytes(rule: &Rule) -> usize {
    usize::try_from(rule.lanes())
        .unwrap_or(usize::MAX)
        .saturating_add(rule.block_lanes().len())
}

fn sketch<'a>(rule: &Rule, bytes: &'a [i8]) -> Result<SketchRef<'a>, Status> {
    let (exponents, lanes) = bytes
        .split_at_checked(rule.block_lanes().len())
        .ok_or(Status::Unreadable)?;
    Ok(SketchRef { exponents, lanes })
}

/// The exact score of two sketches.
pub fn score(rule: &Rule, query: &[i8], row: &[i8]) -> Result<i128, Status> {
    rule.score(sketch(rule, query)?, sketch(rule, row)?)
        .ok_or(Status::NoScore)
}

/// The exact score of two valid sketches, and whether the row is eligible.
pub fn evaluate(rule: &Rule, query: &[i8], row: &[i8]) -> Result<(i128, bool), Status> {
    let score = rule
        .evaluate(sketch(rule, query)?, sketch(rule, row)?)
        .ok_or(Status::NoScore)?;
    Ok((score.value, score.eligible))
}

fn hash_of<T: Object>(bytes: &[u8]) -> Result<Hash, Status> {
    T::decode(bytes)
        .map(|object| object.hash())
        .map_err(|_| Status::Unreadable)
}

/// Reads an object of a tag and hashes it.
pub fn hash(tag: Tag, bytes: &[u8]) -> Result<Hash, Status> {
    match tag {
        Tariff::TAG => hash_of::<Tariff>(bytes),
        Terms::TAG => hash_of::<Terms>(bytes),
        Voucher::TAG => hash_of::<Voucher>(bytes),
        Receipt::TAG => hash_of::<Receipt>(bytes),
        Attribution::TAG => hash_of::<Attribution>(bytes),
        Layout::TAG => hash_of::<Layout>(bytes),
        IndexHeader::TAG => hash_of::<IndexHeader>(bytes),
        BatchHeader::TAG => hash_of::<BatchHeader>(bytes),
        CreditsHeader::TAG => hash_of::<CreditsHeader>(bytes),
        _ => Err(Status::NoTag),
    }
}

/// What a receipt shows by itself.
pub fn check_receipt(bytes: &[u8]) -> Result<(), Status> {
    let receipt = Receipt::decode(bytes).map_err(|_| Status::Unreadable)?;
    receipt.check().map_err(|flaw| match flaw {
        ReceiptFlaw::Terms => Status::Terms,
        ReceiptFlaw::Tariff => Status::Tariff,
        ReceiptFlaw::Fee => Status::Fee,
        ReceiptFlaw::Most => Status::Most,
        ReceiptFlaw::Cumulative => Status::Cumulative,
    })
}

/// Shares of little-endian 16-byte weights.
pub fn shares_of(weights: &[u8]) -> Result<Vec<u32>, Status> {
    let (weights, rest) = weights.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(Status::Unreadable);
    }
    let weights: Vec<u128> = weights
        .iter()
        .map(|weight| u128::from_le_bytes(*weight))
        .collect();
    shares(&weights).ok_or(Status::NoShares)
}

/// Who gets how much of an amount, by an attribution's canonical bytes and a mix.
pub fn amounts(attribution: &[u8], mix: &[u8], amount: u128) -> Result<Vec<([u8; 32], u128)>, Status> {
    let attribution = Attribution::decode(attribution).map_err(|_| Status::Unreadable)?;
    attribution
        .amounts(&read::<Mix>(mix)?, amount)
        .ok_or(Status::NoShares)
}

fn verify_leaf<L: Leaf + Field>(root: &Root, opening: &[u8]) -> Result<u128, Status> {
    read::<Opening<L>>(opening)?.verify(root).ok_or(Status::NotProven)
}

/// Whether a root commits to the leaf of an opening; the sum of all leaves before it.
pub fn verify(tag: Tag, root: &[u8], opening: &[u8]) -> Result<u128, Status> {
    let root = read::<Root>(root)?;
    match tag {
        ReceiptLeaf::TAG => verify_leaf::<ReceiptLeaf>(&root, opening),
        ChannelLeaf::TAG => verify_leaf::<ChannelLeaf>(&root, opening),
        PartLeaf::TAG => verify_leaf::<PartLeaf>(&root, opening),
        CreditLeaf::TAG => verify_leaf::<CreditLeaf>(&root, opening),
        DrawLeaf::TAG => verify_leaf::<DrawLeaf>(&root, opening),
        IndexLeaf::TAG => verify_leaf::<IndexLeaf>(&root, opening),
        CorpusLeaf::TAG => verify_leaf::<CorpusLeaf>(&root, opening),
        SourceLeaf::TAG => verify_leaf::<SourceLeaf>(&root, opening),
        VersionLeaf::TAG => verify_leaf::<VersionLeaf>(&root, opening),
        RecordLeaf::TAG => verify_leaf::<RecordLeaf>(&root, opening),
        SketchLeaf::TAG => verify_leaf::<SketchLeaf>(&root, opening),
        BasisLeaf::TAG => verify_leaf::<BasisLeaf>(&root, opening),
        TextLeaf::TAG => verify_leaf::<TextLeaf>(&root, opening),
        TokenLeaf::TAG => verify_leaf::<TokenLeaf>(&root, opening),
        TableLeaf::TAG => verify_leaf::<TableLeaf>(&root, opening),
        ShardLeaf::TAG => verify_leaf::<ShardLeaf>(&root, opening),
        SuffixLeaf::TAG => verify_leaf::<SuffixLeaf>(&root, opening),
        CountLeaf::TAG => verify_leaf::<CountLeaf>(&root, opening),
        _ => Err(Status::NoTag),
    }
}

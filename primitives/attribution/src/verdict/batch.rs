//! Lies about receipts, channels and totals.

use super::{found, BatchFacts, Doubt, Finding, Guilt, Neighbours};
use crate::{
    attribution::Attribution,
    batch::{BatchFlaw, ChannelLeaf, ReceiptLeaf},
    fee::Parts,
    receipt::Receipt,
    text::{TextLeaf, UNIT},
    tree::{Gap, Opening, Root},
    voucher::CheckSignature,
    wire::{fields, Field, Object, Reader, WireError},
};
use alloc::vec::Vec;

/// A receipt and its channel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct ReceiptRules {
    /// The receipt's leaf.
    pub leaf: Opening<ReceiptLeaf>,
    /// The receipt.
    pub receipt: Receipt,
    /// Its channel, which tells whose signature it needs.
    pub channel: Opening<ChannelLeaf>,
}

fields!(ReceiptRules {
    leaf,
    receipt,
    channel
});

impl ReceiptRules {
    pub(super) fn judge(&self, facts: &BatchFacts<'_>, keys: &impl CheckSignature) -> Finding {
        let batch = facts.batch;
        self.leaf.verify(&batch.receipts).ok_or(Doubt::Proof)?;
        let (leaf, receipt) = (&self.leaf.leaf, &self.receipt);
        if receipt.hash() != leaf.receipt {
            return Err(Doubt::Object);
        }
        if let Err(flaw) = receipt.check() {
            return Ok(Guilt::Receipt(flaw));
        }
        let voucher = &receipt.voucher;
        if voucher.channel != leaf.channel
            || receipt.cumulative() != Some(leaf.cumulative)
            || receipt.fee != leaf.fee
        {
            return Ok(Guilt::WrongLeaf);
        }
        let terms = &receipt.terms;
        if receipt.worker != batch.worker
            || terms.model != batch.model
            || terms.generation != batch.generation
            || terms.index != batch.index
            || terms.tariff != batch.tariff
        {
            return Ok(Guilt::OtherBatch);
        }
        if receipt.is_deferred() != batch.is_sampled() {
            return Ok(Guilt::WrongKind);
        }
        if voucher.genesis != facts.genesis {
            return Ok(Guilt::OtherChain);
        }
        if voucher.expiry < facts.submitted {
            return Ok(Guilt::Expired);
        }
        self.channel.verify(&batch.channels).ok_or(Doubt::Proof)?;
        if self.channel.leaf.channel != leaf.channel {
            return Err(Doubt::Unrelated);
        }
        let signed = voucher.is_signed(
            &receipt.signature,
            &self.channel.leaf.consumer,
            facts.chain_id,
            keys,
        );
        found(!signed, Guilt::Unsigned)
    }
}

/// A token count beside the text it counts: only the root of the text's tree is shown, never the text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct TextCount {
    /// The receipt's leaf.
    pub leaf: Opening<ReceiptLeaf>,
    /// The receipt.
    pub receipt: Receipt,
    /// Whether it is about the answer; else about the prompt.
    pub output: Flag,
    /// Root of the text's tree.
    pub root: Root,
}

fields!(TextCount {
    leaf,
    receipt,
    output,
    root
});

/// A yes or no with one spelling each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct Flag(pub bool);

impl Field for Flag {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.0));
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        match u8::read(from)? {
            0 => Ok(Self(false)),
            1 => Ok(Self(true)),
            other => Err(WireError::Choice(other)),
        }
    }
}

impl TextCount {
    pub(super) fn judge(&self, facts: &BatchFacts<'_>) -> Finding {
        self.leaf.verify(&facts.batch.receipts).ok_or(Doubt::Proof)?;
        let receipt = &self.receipt;
        if receipt.hash() != self.leaf.leaf.receipt {
            return Err(Doubt::Object);
        }
        let (committed, count) = if self.output.0 {
            (receipt.output, receipt.output_tokens)
        } else {
            (receipt.terms.prompt, receipt.input_tokens)
        };
        if self.root.hash::<TextLeaf>() != committed {
            return Err(Doubt::Object);
        }
        let chunks = u64::from(count.div_ceil(UNIT)).max(1);
        found(
            self.root.sum != u128::from(count) || self.root.count != chunks,
            Guilt::WrongCount,
        )
    }
}

pub(super) fn judge_neighbours(facts: &BatchFacts<'_>, pair: &Neighbours<ReceiptLeaf>) -> Finding {
    let (left, right) = pair.open(&facts.batch.receipts)?;
    if right.channel < left.channel {
        return Ok(Guilt::ReceiptsDisordered);
    }
    let broken = right.receipt == left.receipt
        || (right.channel == left.channel && right.from() != Some(left.cumulative));
    found(broken, Guilt::ReceiptsBroken)
}

/// Two receipts of one channel next to each other, and the later one's body.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct ReceiptProof {
    /// Their leaves.
    pub leaves: Neighbours<ReceiptLeaf>,
    /// The later receipt.
    pub receipt: Receipt,
}

fields!(ReceiptProof { leaves, receipt });

impl ReceiptProof {
    pub(super) fn judge_chain(&self, facts: &BatchFacts<'_>) -> Finding {
        let (left, right) = self.leaves.open(&facts.batch.receipts)?;
        if self.receipt.hash() != right.receipt {
            return Err(Doubt::Object);
        }
        if left.channel != right.channel {
            return Err(Doubt::Unrelated);
        }
        found(self.receipt.voucher.previous != left.receipt, Guilt::NotChained)
    }
}

/// The first or last receipt of a channel, and the channel's claim.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct ChannelEnd {
    /// The channel.
    pub channel: Opening<ChannelLeaf>,
    /// The receipt.
    pub receipt: Opening<ReceiptLeaf>,
    /// Whether it is the channel's last; else its first.
    pub last: Flag,
    /// The leaf beyond it, of another channel; none at the end of the tree.
    pub beyond: Option<Opening<ReceiptLeaf>>,
}

fields!(ChannelEnd {
    channel,
    receipt,
    last,
    beyond
});

impl ChannelEnd {
    pub(super) fn judge(&self, facts: &BatchFacts<'_>) -> Finding {
        self.channel.verify(&facts.batch.channels).ok_or(Doubt::Proof)?;
        self.receipt.verify(&facts.batch.receipts).ok_or(Doubt::Proof)?;
        let (channel, receipt) = (&self.channel.leaf, &self.receipt.leaf);
        if channel.channel != receipt.channel {
            return Err(Doubt::Unrelated);
        }
        let is_end = match &self.beyond {
            None if self.last.0 => self.receipt.is_last(&facts.batch.receipts),
            None => self.receipt.index == 0,
            Some(beyond) => {
                beyond.verify(&facts.batch.receipts).ok_or(Doubt::Proof)?;
                let adjoins = if self.last.0 {
                    self.receipt.precedes(beyond)
                } else {
                    beyond.precedes(&self.receipt)
                };
                adjoins && beyond.leaf.channel != receipt.channel
            }
        };
        if !is_end {
            return Err(Doubt::Unrelated);
        }
        let meets = if self.last.0 {
            receipt.cumulative == channel.to
        } else {
            receipt.from() == Some(channel.from)
        };
        found(!meets, Guilt::WrongCursor)
    }
}

pub(super) fn judge_channels(facts: &BatchFacts<'_>, pair: &Neighbours<ChannelLeaf>) -> Finding {
    let (left, right) = pair.open(&facts.batch.channels)?;
    found(left.channel >= right.channel, Guilt::ChannelsDisordered)
}

/// A receipt whose channel the batch does not name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct ChannelMissing {
    /// The receipt.
    pub receipt: Opening<ReceiptLeaf>,
    /// Where its channel would stand.
    pub gap: Gap<ChannelLeaf>,
}

fields!(ChannelMissing { receipt, gap });

impl ChannelMissing {
    pub(super) fn judge(&self, facts: &BatchFacts<'_>) -> Finding {
        self.receipt.verify(&facts.batch.receipts).ok_or(Doubt::Proof)?;
        if !self
            .gap
            .excludes(&self.receipt.leaf.channel, &facts.batch.channels)
        {
            return Err(Doubt::Unrelated);
        }
        Ok(Guilt::ChannelMissing)
    }
}

/// A channel that the batch names and no receipt uses.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct ChannelUnused {
    /// The channel.
    pub channel: Opening<ChannelLeaf>,
    /// Where its receipts would stand.
    pub gap: Gap<ReceiptLeaf>,
}

fields!(ChannelUnused { channel, gap });

impl ChannelUnused {
    pub(super) fn judge(&self, facts: &BatchFacts<'_>) -> Finding {
        self.channel.verify(&facts.batch.channels).ok_or(Doubt::Proof)?;
        if !self
            .gap
            .excludes(&self.channel.leaf.channel, &facts.batch.receipts)
        {
            return Err(Doubt::Unrelated);
        }
        Ok(Guilt::ChannelMissing)
    }
}

/// A receipt's running totals against those before it, or the last ones against the header.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct RunningTotals {
    /// The leaf before, none for the first.
    pub before: Option<Opening<ReceiptLeaf>>,
    /// The receipt's leaf.
    pub leaf: Opening<ReceiptLeaf>,
    /// The receipt.
    pub receipt: Receipt,
    /// Its attribution, which tells whether anybody is credited; not needed in a sampled batch.
    pub attribution: Option<Attribution>,
}

fields!(RunningTotals {
    before,
    leaf,
    receipt,
    attribution
});

impl RunningTotals {
    pub(super) fn judge(&self, facts: &BatchFacts<'_>) -> Finding {
        let batch = facts.batch;
        self.leaf.verify(&batch.receipts).ok_or(Doubt::Proof)?;
        let leaf = &self.leaf.leaf;
        if self.leaf.is_last(&batch.receipts) && leaf.running != batch.totals {
            return Ok(Guilt::WrongTotals);
        }
        let earlier = match &self.before {
            None if self.leaf.index == 0 => Parts::default(),
            Some(before) if before.precedes(&self.leaf) => {
                before.verify(&batch.receipts).ok_or(Doubt::Proof)?;
                before.leaf.running
            }
            _ => return Err(Doubt::Unrelated),
        };
        if self.receipt.hash() != leaf.receipt {
            return Err(Doubt::Object);
        }
        let credited = if batch.is_sampled() {
            true
        } else {
            let attribution = self.attribution.as_ref().ok_or(Doubt::Incomplete)?;
            if attribution.hash() != self.receipt.attribution {
                return Err(Doubt::Object);
            }
            // Only an attribution that falls by itself cannot be weighed, and only a flawed receipt not be
            // split; each has its own row.
            attribution
                .credits_anyone(&batch.tariff.mix)
                .ok_or(Doubt::Incomplete)?
        };
        let own = self.receipt.parts(credited).ok_or(Doubt::Incomplete)?;
        found(earlier.plus(own) != Some(leaf.running), Guilt::WrongTotals)
    }
}

pub(super) fn judge_headers(facts: &BatchFacts<'_>) -> Finding {
    if let Err(flaw) = facts.batch.check() {
        return Ok(Guilt::Batch(flaw));
    }
    if facts.batch.minimum != facts.minimum {
        return Ok(Guilt::Batch(BatchFlaw::Minimum));
    }
    match facts.credits.map_or(Ok(()), |credits| credits.check(facts.batch)) {
        Err(flaw) => Ok(Guilt::Batch(flaw)),
        Ok(()) => Err(Doubt::Right),
    }
}

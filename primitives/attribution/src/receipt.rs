//! Receipts: what a worker signs after an answer.

use crate::{
    fee::{Fee, Parts},
    hash::{Account, Hash, Tag, NONE},
    voucher::{Signature, Terms, Voucher},
    wire::{fields, Object},
};
use alloc::vec::Vec;

/// One paid answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct Receipt {
    /// Who answered.
    pub worker: Account,
    /// What the consumer signed.
    pub voucher: Voucher,
    /// The consumer's signature on it.
    pub signature: Signature,
    /// What the voucher's `terms` is the hash of.
    pub terms: Terms,
    /// Tokens of the prompt.
    pub input_tokens: u32,
    /// Tokens of the answer.
    pub output_tokens: u32,
    /// What the answer costs, the platform's part included, in planck.
    pub fee: u128,
    /// Root hash of the salted answer, see [`TextLeaf`](crate::text::TextLeaf).
    pub output: Hash,
    /// Hash of the [`Attribution`](crate::attribution::Attribution); zero in a sampled batch, where it
    /// follows a draw.
    pub attribution: Hash,
}

fields!(Receipt {
    worker,
    voucher,
    signature,
    terms,
    input_tokens,
    output_tokens,
    fee,
    output,
    attribution
});

impl Object for Receipt {
    const TAG: Tag = *b"RCT1";
}

/// Why a receipt falls by itself, whatever batch it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub enum ReceiptFlaw {
    /// The terms are not what the voucher names.
    Terms,
    /// Split or mix do not add up.
    Tariff,
    /// The fee is not the formula on the counts.
    Fee,
    /// The fee is more than the voucher allows.
    Most,
    /// The channel's cumulative sum passes 2^128.
    Cumulative,
}

impl Receipt {
    /// The channel's cumulative planck after this answer.
    pub fn cumulative(&self) -> Option<u128> {
        self.voucher.accepted.checked_add(self.fee)
    }

    /// The fee that the counts give.
    pub fn computed_fee(&self) -> Option<Fee> {
        self.terms.tariff.fee(self.input_tokens, self.output_tokens)
    }

    /// The fee by destination. `credited` tells whether the contributors' part goes to contributors.
    pub fn parts(&self, credited: bool) -> Option<Parts> {
        Parts::of(self.computed_fee()?, &self.terms.tariff.split, credited)
    }

    /// Whether its attribution follows later, if it is drawn.
    pub fn is_deferred(&self) -> bool {
        self.attribution == NONE
    }

    /// Checks everything the receipt shows by itself but the consumer's signature.
    pub fn check(&self) -> Result<(), ReceiptFlaw> {
        if self.voucher.terms != self.terms.hash() {
            return Err(ReceiptFlaw::Terms);
        }
        if !self.terms.tariff.is_whole() {
            return Err(ReceiptFlaw::Tariff);
        }
        if self.computed_fee().and_then(|fee| fee.total()) != Some(self.fee) {
            return Err(ReceiptFlaw::Fee);
        }
        if self.fee > self.voucher.most {
            return Err(ReceiptFlaw::Most);
        }
        if self.cumulative().is_none() {
            return Err(ReceiptFlaw::Cumulative);
        }
        Ok(())
    }

    /// What the worker's receipt key signs: `OpenLedger receipt:` ‖ hash.
    pub fn signing_message(&self) -> Vec<u8> {
        let mut message = b"OpenLedger receipt:".to_vec();
        message.extend_from_slice(&self.hash());
        message
    }
}

//! One-way payment channels.

use crate::Hash;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use openledger_attribution::{
    batch::ChannelLeaf,
    voucher::{Signature, Voucher},
};
use scale_info::TypeInfo;

/// A consumer's deposit that vouchers to one worker draw on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Channel<A> {
    /// Who pays.
    pub consumer: A,
    /// The only worker that can draw on it.
    pub worker: A,
    /// All that was ever put in, in planck: vouchers' cumulative sums stay below it. `deposit − cursor` is held from the
    /// consumer.
    pub deposit: u128,
    /// All that was settled, in planck.
    pub cursor: u128,
    /// Hash of the last receipt that was settled, which the next voucher names unless receipts wait to be settled; zero before the
    /// first.
    pub last: Hash,
    /// First block in which the rest goes back, once closing was asked for.
    pub closing: Option<u32>,
}

/// What a batch takes out of one channel, with the newest voucher that allows it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct ChannelClaim {
    /// The leaf of the batch's channel tree.
    pub leaf: ChannelLeaf,
    /// The voucher of the last receipt: `accepted ≤ to ≤ accepted + most`.
    pub voucher: Voucher,
    /// The consumer's signature on it.
    pub signature: Signature,
    /// Hash of that receipt; the channel's next voucher names it.
    pub receipt: Hash,
}

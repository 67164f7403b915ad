//! Vouchers: what a consumer signs before an answer.

use crate::{
    fee::Tariff,
    hash::{account_of_address, address_of_key, keccak, Account, Hash, Tag},
    wire::{fields, Field, Object, Reader, WireError},
};
use alloc::vec::Vec;

/// How an answer is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub enum Mode {
    /// The same bits for any batch size and arrival order on one backend and arch.
    Verifiable,
    /// Judged by teacher forcing, within a tolerance.
    Fast,
}

impl Field for Mode {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Verifiable => 0,
            Self::Fast => 1,
        });
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        match u8::read(from)? {
            0 => Ok(Self::Verifiable),
            1 => Ok(Self::Fast),
            other => Err(WireError::Choice(other)),
        }
    }
}

/// What was ordered: everything that decides the answer and its price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct Terms {
    /// The model.
    pub model: u64,
    /// Its generation.
    pub generation: u32,
    /// Hash of the index header that attributes the answer.
    pub index: Hash,
    /// Prices, split and mix.
    pub tariff: Tariff,
    /// How the answer is computed.
    pub mode: Mode,
    /// Root hash of the salted prompt, see [`TextLeaf`](crate::text::TextLeaf).
    pub prompt: Hash,
    /// keccak of the sampling parameters as the worker's API defines them.
    pub parameters: Hash,
    /// Seed of the sampler.
    pub seed: u64,
}

fields!(Terms {
    model,
    generation,
    index,
    tariff,
    mode,
    prompt,
    parameters,
    seed
});

impl Object for Terms {
    const TAG: Tag = *b"TRM1";
}

/// A promise to pay for one answer out of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct Voucher {
    /// Genesis hash of the chain.
    pub genesis: Hash,
    /// The channel; its number is never used again.
    pub channel: u64,
    /// Cumulative planck of the channel's answers before this one.
    pub accepted: u128,
    /// Hash of the channel's previous receipt, zero for the first.
    pub previous: Hash,
    /// The most this answer may cost, in planck.
    pub most: u128,
    /// Last block in which the voucher may be settled.
    pub expiry: u64,
    /// Hash of the [`Terms`].
    pub terms: Hash,
}

fields!(Voucher {
    genesis,
    channel,
    accepted,
    previous,
    most,
    expiry,
    terms
});

impl Object for Voucher {
    const TAG: Tag = *b"VOU1";
}

/// Starts what an sr25519 key signs: wallets wrap raw messages so that they cannot be mistaken for
/// transactions.
const WRAP_START: &[u8] = b"<Bytes>";
const WRAP_END: &[u8] = b"</Bytes>";
const PURPOSE: &[u8] = b"OpenLedger voucher:";

const DOMAIN_TYPE: &[u8] = b"EIP712Domain(string name,string version,uint256 chainId)";
const DOMAIN_NAME: &[u8] = b"OpenLedger";
const DOMAIN_VERSION: &[u8] = b"1";
const VOUCHER_TYPE: &[u8] = b"Voucher(bytes32 genesis,uint64 channel,uint128 accepted,bytes32 previous,uint128 most,uint64 expiry,bytes32 terms)";

impl Voucher {
    /// What an sr25519 key signs: `<Bytes>OpenLedger voucher:` ‖ canonical bytes ‖ `</Bytes>`, the wrapping
    /// that wallets put around raw messages.
    pub fn sr25519_message(&self) -> Vec<u8> {
        let mut message = Vec::new();
        for part in [WRAP_START, PURPOSE, &self.encode(), WRAP_END] {
            message.extend_from_slice(part);
        }
        message
    }

    /// What an Ethereum key signs: the EIP-712 digest, domain `OpenLedger`, version `1`, this chain id, no
    /// contract.
    pub fn eip712_digest(&self, chain_id: u64) -> Hash {
        let domain = keccak(&[
            &keccak(&[DOMAIN_TYPE]),
            &keccak(&[DOMAIN_NAME]),
            &keccak(&[DOMAIN_VERSION]),
            &word(u128::from(chain_id)),
        ]);
        let Self {
            genesis,
            channel,
            accepted,
            previous,
            most,
            expiry,
            terms,
        } = self;
        let voucher = keccak(&[
            &keccak(&[VOUCHER_TYPE]),
            genesis,
            &word(u128::from(*channel)),
            &word(*accepted),
            previous,
            &word(*most),
            &word(u128::from(*expiry)),
            terms,
        ]);
        keccak(&[&[0x19, 0x01], &domain, &voucher])
    }

    /// Whether `consumer` signed this voucher for the chain `chain_id`.
    pub fn is_signed(
        &self,
        signature: &Signature,
        consumer: &Account,
        chain_id: u64,
        keys: &impl CheckSignature,
    ) -> bool {
        match signature {
            Signature::Sr25519(signature) => keys.sr25519(signature, &self.sr25519_message(), consumer),
            Signature::Ecdsa(signature) => keys
                .ecdsa_recover(signature, &self.eip712_digest(chain_id))
                .is_some_and(|key| account_of_address(&address_of_key(&key)) == *consumer),
        }
    }
}

/// A number as a 32-byte ABI word.
fn word(number: u128) -> [u8; 32] {
    let mut word = [0; 32];
    for (to, from) in word.iter_mut().skip(16).zip(number.to_be_bytes()) {
        *to = from;
    }
    word
}

/// A signature of either kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub enum Signature {
    /// By an sr25519 account.
    Sr25519([u8; 64]),
    /// r ‖ s ‖ v by an Ethereum account, v being 0, 1, 27 or 28.
    Ecdsa([u8; 65]),
}

crate::wire::choices!(Signature { 0 => Sr25519, 1 => Ecdsa });

/// The signature schemes of whoever runs this code: host functions in the runtime, libraries elsewhere.
pub trait CheckSignature {
    /// Whether `key` signed `message` (signing context `substrate`).
    fn sr25519(&self, signature: &[u8; 64], message: &[u8], key: &Account) -> bool;

    /// The uncompressed public key (x ‖ y) that signed `digest`; v may be 0, 1, 27 or 28.
    fn ecdsa_recover(&self, signature: &[u8; 65], digest: &Hash) -> Option<[u8; 64]>;
}

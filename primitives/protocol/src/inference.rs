//! Questions that are asked and answered on the chain.

use crate::{
    compute::{Machine, Output},
    Hash,
};
use bounded_collections::{BoundedVec, ConstU32};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use openledger_attribution::{
    fee::{Fee, Tariff},
    hash::keccak,
};
use scale_info::TypeInfo;

/// A prompt: what the user says, without the model's chat template. UTF-8.
pub type Prompt = BoundedVec<u8, ConstU32<4_096>>;

/// Most tokens of an answer.
pub const MAX_TOKENS: u32 = 1_024;

/// Tokens that a chat template is counted as.
pub const TEMPLATE_TOKENS: u32 = 64;

/// What an answer costs, whatever comes of it. The chain cannot count tokens, so nobody is asked to: the prompt counts a token a
/// byte and [`TEMPLATE_TOKENS`] for the template, the answer as long as it may become. Nothing if that passes 2^128 planck.
pub fn fee(tariff: &Tariff, prompt: &Prompt, max_tokens: u32) -> Option<Fee> {
    let bytes = u32::try_from(prompt.len()).ok()?;
    tariff.fee(bytes.checked_add(TEMPLATE_TOKENS)?, max_tokens)
}

/// Hash of an answer, for those who keep only that.
pub fn output_hash(output: &Output) -> Hash {
    keccak(&[b"output", output])
}

/// Where a request stands.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum Stage<A> {
    /// A worker is drawn for it, or at it.
    Waiting,
    /// It is answered and paid.
    Answered {
        /// Who answered.
        worker: A,
        /// The answer, chosen greedily and cut to what fits at the end of a character.
        output: Output,
        /// [`output_hash`].
        hash: Hash,
        /// In this block.
        at: u32,
    },
    /// Nobody answered in time; the fee went back.
    Failed {
        /// In this block.
        at: u32,
    },
}

/// A question to a model.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Request<A> {
    /// Who asks and pays.
    pub who: A,
    /// The model.
    pub model: u64,
    /// Its generation.
    pub generation: u32,
    /// The prompt.
    pub prompt: Prompt,
    /// Most tokens of the answer.
    pub max_tokens: u32,
    /// The only kind of machine that may answer, if any is named.
    pub machine: Option<Machine>,
    /// What it is charged by.
    pub tariff: Tariff,
    /// [`fee`] and the platform's part, in planck: held until it is answered.
    pub fee: u128,
    /// Held for its place in the state, in planck.
    pub deposit: u128,
    /// The job that answers it.
    pub job: u64,
    /// Last block in which an answer is accepted.
    pub deadline: u32,
    /// Where it stands.
    pub stage: Stage<A>,
}

//! Workers, their jobs, and how a node and its worker talk.

use crate::{Account, Cid, Endpoint, Hash, Name};
use alloc::{boxed::Box, vec::Vec};
use bounded_collections::{BoundedVec, ConstU32};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use openledger_attribution::{hash::keccak, index::IndexHeader, sketch::Layout};
use scale_info::TypeInfo;

/// What a worker computes on.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum Backend {
    /// A processor.
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
}

/// Most bytes of an answer that the chain keeps.
pub type MaxOutput = ConstU32<4_096>;

/// An answer that the chain keeps. UTF-8.
pub type Output = BoundedVec<u8, MaxOutput>;

/// A kind of machine, for results that have to be the same to the last bit.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Machine {
    /// What it computes on.
    pub backend: Backend,
    /// Which kind of that, as workers register it.
    pub arch: Name,
}

/// Bits of [`Worker::capabilities`].
pub mod capability {
    /// Trains adapters.
    pub const TRAIN: u8 = 1;
    /// Answers.
    pub const INFER: u8 = 2;
    /// Writes indexes.
    pub const INDEX: u8 = 4;
    /// Sits in committees.
    pub const ATTEST: u8 = 8;
    /// All of them.
    pub const ALL: u8 = 15;
}

/// Part of a bond on its way out. It can still be slashed.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Unbonding {
    /// Planck.
    pub amount: u128,
    /// First block in which it can be withdrawn.
    pub until: u32,
}

/// Who computes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Worker {
    /// Held from its account, what is on its way out included, in planck.
    pub bond: u128,
    /// What it could be made to pay for work not closed yet, in planck; never above the part of the bond that is not on its
    /// way out.
    pub open: u128,
    /// What is on its way out.
    pub unbonding: Option<Unbonding>,
    /// sr25519 key in the keystore of the worker's node, which signs results.
    pub result_key: [u8; 32],
    /// sr25519 key of the worker program, which signs receipts.
    pub receipt_key: [u8; 32],
    /// What it computes on.
    pub backend: Backend,
    /// Which kind of that, for bit-equal results: `portable-8` on processors; on GPUs the architecture, the compiler and the kernels, as in
    /// `sm_90-nvrtc12.9-` and a hash.
    pub arch: Name,
    /// Where its public API is.
    pub endpoint: Endpoint,
    /// What it does: bits of [`capability`].
    pub capabilities: u8,
    /// The last block in which it gave a sign of life: registered, delivered, or sent a [`Heartbeat`].
    pub seen: u32,
}

impl Worker {
    /// Whether it is a machine of this kind.
    pub fn is_machine(&self, machine: &Machine) -> bool {
        self.backend == machine.backend && self.arch == machine.arch
    }
}

/// What a job is to do.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum Task {
    /// Train an adapter: everything else is in the generation.
    Train {
        /// The model.
        model: u64,
        /// Its generation.
        generation: u32,
        /// Seed of initial weights and order of data.
        seed: Hash,
    },
    /// Write the index of a trained generation.
    Index {
        /// The model.
        model: u64,
        /// Its generation.
        generation: u32,
        /// Seed of the projections.
        seed: Hash,
    },
    /// Answer a request that is on the chain: everything else is in the request.
    Infer {
        /// The model.
        model: u64,
        /// Its generation.
        generation: u32,
        /// The request.
        request: u64,
    },
}

impl Task {
    /// The [`capability`] it needs.
    pub fn needs(&self) -> u8 {
        match self {
            Self::Train { .. } => capability::TRAIN,
            Self::Index { .. } => capability::INDEX,
            Self::Infer { .. } => capability::INFER,
        }
    }
}

/// Where a job stands. A job that was delivered is forgotten.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum JobStage<A> {
    /// Its worker is drawn when this epoch's draw is out.
    Waiting {
        /// The epoch it was ordered in.
        epoch: u64,
    },
    /// A worker is at it.
    Assigned {
        /// The worker.
        worker: A,
        /// Since this block.
        since: u32,
    },
}

/// Work ordered from the chain.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Job<A> {
    /// What to do.
    pub task: Task,
    /// Last block in which a result is accepted.
    pub deadline: u32,
    /// Counts the workers it was given to, from 0.
    pub attempt: u32,
    /// Where it stands.
    pub stage: JobStage<A>,
}

/// What a worker computed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub enum Outcome {
    /// An adapter.
    Trained {
        /// Hash of the adapter.
        adapter: Hash,
        /// Where it can be fetched.
        cid: Cid,
        /// Loss on the held-out records before training, in 10⁻⁶ nats per token.
        loss_before: u32,
        /// The same after training.
        loss_after: u32,
    },
    /// An index.
    Indexed {
        /// Its header.
        header: Box<IndexHeader>,
        /// How its rows are laid out.
        layout: Layout,
    },
    /// An answer.
    Inferred {
        /// Its text.
        output: Output,
    },
}

/// What a worker's result key signs.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Delivery {
    /// Genesis hash of the chain.
    pub genesis: Hash,
    /// The job.
    pub job: u64,
    /// Its attempt.
    pub attempt: u32,
    /// The worker it is assigned to.
    pub worker: Account,
    /// What it computed.
    pub outcome: Outcome,
}

impl Delivery {
    /// `OpenLedger result:` ‖ keccak of the SCALE bytes.
    pub fn signing_message(&self) -> Vec<u8> {
        let mut message = b"OpenLedger result:".to_vec();
        message.extend_from_slice(&keccak(&[&self.encode()]));
        message
    }
}

/// What a worker's result key signs now and then, so that the chain knows that it is there.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Heartbeat {
    /// Genesis hash of the chain.
    pub genesis: Hash,
    /// The worker.
    pub worker: Account,
    /// The block it was made in.
    pub number: u32,
}

impl Heartbeat {
    /// `OpenLedger heartbeat:` ‖ keccak of the SCALE bytes.
    pub fn signing_message(&self) -> Vec<u8> {
        let mut message = b"OpenLedger heartbeat:".to_vec();
        message.extend_from_slice(&keccak(&[&self.encode()]));
        message
    }
}

/// Between a node's off-chain hook and the worker it is paired with: one HTTP request a block.
///
/// `POST {worker}/hook/v1`, SCALE bytes both ways. Three headers authenticate a request: `x-openledger-time` (Unix seconds,
/// decimal, at most a minute off), `x-openledger-nonce` (32 hexadecimal digits, used once) and `x-openledger-mac`, hexadecimal
/// HMAC-SHA256 of the shared secret over `request\n` ‖ time ‖ `\n` ‖ nonce ‖ `\n` ‖ body. The answer carries
/// `x-openledger-mac` over `answer\n` ‖ the request's nonce ‖ `\n` ‖ body.
pub mod hook {
    use super::*;

    /// The protocol this code speaks. Either side refuses another, naming both.
    pub const PROTOCOL: u16 = 1;

    /// What of the node's offchain database holds the worker's URL (UTF-8).
    pub const URL_KEY: &[u8] = b"openledger::worker::url";
    /// And the shared secret (raw bytes).
    pub const SECRET_KEY: &[u8] = b"openledger::worker::secret";

    /// A job that one of the node's keys is to sign.
    #[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
    pub struct Assigned {
        /// The worker.
        pub worker: Account,
        /// The job.
        pub job: u64,
        /// Its attempt.
        pub attempt: u32,
        /// What to do.
        pub task: Task,
        /// Block of the assignment: the worker starts once it is final.
        pub since: u32,
        /// Last block in which the result is accepted.
        pub deadline: u32,
    }

    /// The hook's request.
    #[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
    pub struct Request {
        /// [`PROTOCOL`].
        pub protocol: u16,
        /// Genesis hash of the node's chain.
        pub genesis: Hash,
        /// All jobs assigned to workers of this node.
        pub jobs: Vec<Assigned>,
    }

    /// A result to sign and submit.
    #[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
    pub struct Finished {
        /// The job.
        pub job: u64,
        /// Its attempt.
        pub attempt: u32,
        /// What was computed.
        pub outcome: Outcome,
    }

    /// The worker's answer.
    #[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
    pub struct Answer {
        /// [`PROTOCOL`].
        pub protocol: u16,
        /// Results of jobs in the request. They may be sent again and again; the chain takes each once.
        pub finished: Vec<Finished>,
    }
}

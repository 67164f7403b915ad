//! Committees: workers that the chain draws to recompute what integers cannot judge.
//!
//! # A case
//!
//! ```text
//! opened      by a challenge (`attribution.ask`, `ask_index`) or by a batch's audit (`attribution.show_audit`)
//! Waiting     for the draw of its epoch, two epochs later            anyone: `committees.seat`
//! Committing  every member: `committees.commit(vote_hash(…))`        until `until`, or until all have
//! Revealing   every member: `committees.reveal(vote, computed, salt)` until `until`, or until all have
//! closed      anyone: `committees.close`: a verdict, or twice as many seats, or Frozen
//! Frozen      too few workers, or no quorum twice: a referendum decides (`committees.decide`)
//! ```
//!
//! # What a member does
//!
//! It is a registered worker with [`ATTEST`](crate::compute::capability::ATTEST) that joined
//! (`committees.join`) with an X25519 key. It looks at [`storage::seats_of`](crate::storage::seats_of) of its account; for each
//! case there it reads [`Case`] and the [`Claim`](openledger_attribution::committee::Claim) (SCALE, under
//! [`storage::claim`](crate::storage::claim)), recomputes the [`Subject`] and makes a
//! [`Computed`](openledger_attribution::committee::Computed):
//!
//! | subject | claim | computes | from |
//! | --- | --- | --- | --- |
//! | `Row` | `Sketch` | `Lanes` of the row's unit, at `Rule::probe_exponents` | model, bases, the record |
//! | `Basis` | `Spectra` | `Spectra` of the module, over `bases::drawn_rows` | model, records |
//! | `Training` | `Digest` (adapter) | `Digest` of the adapter it trained | generation, the adapter of its [`Line`](crate::models::Line)'s parent if it has one, records, the arch of the accused |
//! | `Query` | `Sketch` | `Lanes` of the answer | model, bases, [`Handed`] |
//! | `Ranks` | `Ranks` | `Ranks` of the prompt | retrieval index, [`Handed`] |
//! | `Output`, verifiable | `Digest` (`Receipt::output`) | `Digest`: root hash of the text it generated, under the salts handed over | model, [`Handed`], the arch of the accused |
//! | `Output`, fast | `Chosen` | `Within` τ | model, [`Handed`] |
//!
//! The receipt and the attribution of a `Query`, `Ranks` or `Output` are those that the worker publishes (and were shown in the
//! transaction that opened the case). It votes [`Claim::vote`](openledger_attribution::committee::Claim::vote) of that, commits
//! to [`vote_hash`](openledger_attribution::committee::vote_hash)`(vote, account, computed, salt)` where `computed` are the canonical bytes
//! ([`Object::encode`](openledger_attribution::wire::Object::encode)) and the salt is random, and reveals all three when the case is
//! `Revealing`. Who cannot get what it takes computes `Missing`: in a private case (`Query`, `Ranks`, `Output`) with the vote
//! `Wrong`, because the accused has to hand it over; else with the vote `Right`, which counts for nothing.
//!
//! # What the accused of a private case does
//!
//! It hands [`Handed`] to every member, as SCALE in a sealed box (X25519, XSalsa20-Poly1305, as libsodium has them) for the
//! member's key ([`Membership::key`]), through its public API. A member checks it against `terms.prompt`, `Receipt::output` and
//! `terms.parameters`. Where an answer with several choices was divided is the accused's word, within what the parameters allow.
//!
//! # What the worker of a batch does
//!
//! Anyone calls `attribution.draw_audit(batch)` once the draw of [`Audit::Waiting`] is out; within the time of
//! [`Audit::Drawn`] the worker shows what was drawn (`attribution.show_audit`, an
//! [`Audit`](openledger_attribution::verdict::Audit)), or loses as for withholding. A batch settles when its audit is done. A batch
//! of a network with too few members for a committee has none.

use crate::{compute::Backend, Hash, Name};
use alloc::vec::Vec;
use bounded_collections::{BoundedVec, ConstU32};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use openledger_attribution::{
    committee::Vote,
    hash::{keccak, Account},
    text::TextLeaf,
    verdict::{BatchQuestion, IndexQuestion},
    wire::Object as _,
};
use scale_info::TypeInfo;

pub use openledger_attribution::committee::Subject;

/// What randomness for seats is drawn for; the subject is the case.
pub const SEATS_DOMAIN: &[u8] = b"committee";

/// What randomness for audits is drawn for; the subject is the batch.
pub const AUDIT_DOMAIN: &[u8] = b"audit";

/// Most seats of a first round.
pub const MAX_SIZE: u32 = 15;

/// Most seats of a case: both rounds.
pub type MaxSeats = ConstU32<{ 3 * MAX_SIZE }>;

/// Most parties of a case.
pub type MaxParties = ConstU32<4>;

/// Most cases in which a worker sits at once.
pub type MaxSeatsOf = ConstU32<32>;

/// Most bytes of a claim and of what a member computed: a row of 32 KiB with its layout, or the eigenvalues of a module of as
/// many lanes.
pub type MaxBytes = ConstU32<{ 512 * 1024 }>;

/// Most answers other than the claimed one that a case keeps to compare with.
pub const MAX_ANSWERS: u8 = 3;

/// A worker that may be drawn.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Membership {
    /// X25519 key that private text is sealed for.
    pub key: [u8; 32],
    /// The block it joined in: it is drawn for no dispute from before.
    pub since: u32,
}

/// What a member's machine must be.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Need {
    /// Backend and kind of it, where the same bits are asked for.
    pub machine: Option<(Backend, Name)>,
}

/// Where a case stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum CaseStage {
    /// Its seats are drawn when this epoch's draw is out.
    Waiting {
        /// The epoch.
        epoch: u64,
    },
    /// Its seats are drawn by this, at once.
    Drawn {
        /// What was drawn.
        randomness: Hash,
    },
    /// Members commit.
    Committing {
        /// Last block for it.
        until: u32,
    },
    /// Members reveal.
    Revealing {
        /// Last block for it.
        until: u32,
    },
    /// A referendum decides.
    Frozen {
        /// Since this block.
        since: u32,
    },
}

/// Something before a committee.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Case<A> {
    /// What is asked.
    pub subject: Subject,
    /// Whose claim it is.
    pub accused: A,
    /// Who pays the members; who loses pays it back.
    pub payer: A,
    /// Neither these nor who owns them sit.
    pub parties: BoundedVec<A, MaxParties>,
    /// What a member's machine must be.
    pub need: Need,
    /// The block of the dispute: later bonds and members do not count.
    pub since: u32,
    /// Whether nobody disputes it: then too few members end it, where they would freeze a dispute.
    pub is_audit: bool,
    /// Seats of the first round.
    pub size: u32,
    /// How many of them decide.
    pub quorum: u32,
    /// The round, from 0.
    pub round: u8,
    /// Planck that a seat is paid.
    pub price: u128,
    /// Planck of its bond that stand behind a seat.
    pub stake: u128,
    /// Planck that silence costs.
    pub silence: u128,
    /// Planck of the payer's that are still held for seats.
    pub held: u128,
    /// Answers other than the claimed one that were revealed.
    pub answers: u8,
    /// The seats of all rounds, in the order they were drawn in.
    pub seats: BoundedVec<Seat<A>, MaxSeats>,
    /// Where it stands.
    pub stage: CaseStage,
}

/// One member's place in a case.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Seat<A> {
    /// The member.
    pub member: A,
    /// The round it was drawn in.
    pub round: u8,
    /// How far it is.
    pub progress: Progress,
}

/// How far a member is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum Progress {
    /// It has not committed.
    Seated,
    /// It committed to this.
    Committed(Hash),
    /// It revealed answer number so many: 0 is the claimed one, others are kept under [`storage::answer`](crate::storage::answer).
    Revealed(u8),
    /// It revealed that it could not get what it takes.
    Abstained,
    /// It revealed what contradicts itself, or one answer more than a case keeps.
    Outside,
}

/// How a case ended.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum Ending {
    /// A quorum or a referendum says so.
    Decided(Vote),
    /// Nobody could be seated for an audit.
    Unseated,
}

/// What the accused of a private case hands to its members.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Handed {
    /// Chunks of the prompt, whose root hash is `terms.prompt`.
    pub prompt: Vec<TextLeaf>,
    /// Chunks of the answer, whose root hash is the receipt's `output`: its choices, one after the other.
    pub output: Vec<TextLeaf>,
    /// How many tokens each choice has: as many as the parameters ask for, none longer than they allow, all of the answer.
    pub choices: Vec<u32>,
    /// Sampling parameters as the worker's API defines them, whose keccak is `terms.parameters`.
    pub parameters: Vec<u8>,
}

/// What of a batch is drawn for a committee.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum Audit {
    /// The draw is not out.
    Waiting {
        /// The epoch that the parts were committed in.
        epoch: u64,
    },
    /// The draw is out and the worker has not shown what it fell on.
    Drawn {
        /// What was drawn.
        randomness: Hash,
        /// Last block in which it can be shown.
        until: u32,
    },
    /// A committee recomputes it.
    Open {
        /// The case.
        case: u64,
    },
    /// It ended, or there was nothing to recompute.
    Done,
}

/// What a challenger asks a committee, as the pallet keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Question<A> {
    /// What is asked.
    pub subject: Subject,
    /// Who asks; nobody in an audit.
    pub challenger: Option<A>,
    /// Held from the challenger until the verdict, in planck.
    pub deposit: u128,
    /// The receipt that it is about, and whose fee that is, of a question about a batch.
    pub receipt: Option<AskedReceipt<A>>,
    /// The batch whose audit it is.
    pub audit: Option<u64>,
}

/// The receipt that a question is about.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct AskedReceipt<A> {
    /// Who paid for the answer, if its channel was still known.
    pub consumer: Option<A>,
    /// Planck.
    pub fee: u128,
    /// Position in the batch.
    pub index: u64,
}

/// What who asks about a batch commits to before: keccak(challenger ‖ batch ‖ salt ‖ hash of the question).
pub fn question_commitment(challenger: &Account, batch: u64, salt: &Hash, question: &BatchQuestion) -> Hash {
    keccak(&[challenger, &batch.to_be_bytes(), salt, &question.hash()])
}

/// What who asks about an index commits to before: keccak(challenger ‖ index ‖ salt ‖ hash of the question).
pub fn index_question_commitment(
    challenger: &Account,
    index: &Hash,
    salt: &Hash,
    question: &IndexQuestion,
) -> Hash {
    keccak(&[challenger, index, salt, &question.hash()])
}

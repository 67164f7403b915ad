//! What the chain alone needs to know about a job.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use openledger_protocol::compute::Machine;
use scale_info::TypeInfo;

/// What a job was ordered under, beside what its worker is told.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Terms<A> {
    /// Last block in which the result of any attempt is accepted. The job's own deadline is that of its running attempt.
    pub deadline: u32,
    /// Whether it was ordered from one worker: it is given to no other.
    pub named: bool,
    /// The only kind of machine that it is given to, if any is.
    pub machine: Option<Machine>,
    /// Part of the worker's bond that stands behind the running attempt, in planck.
    pub stake: u128,
    /// Who was late with the attempt before.
    pub late: Option<A>,
    /// First block in which a result is looked at again after one was refused; 0 if none was.
    pub paused: u32,
}

/// What a worker added to its bond lately.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Raise {
    /// The block in which it last did.
    pub since: u32,
    /// Planck that count for no dispute from before that block.
    pub amount: u128,
}

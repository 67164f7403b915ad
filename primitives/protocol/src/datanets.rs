//! Datanets: pools of records.

use crate::{Cid, Name};
use bounded_collections::{BoundedVec, ConstU32};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use openledger_attribution::tree::Root;
use scale_info::TypeInfo;

/// Most curators of a Datanet.
pub type MaxCurators = ConstU32<16>;

/// Who decides which contributions a Datanet accepts.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum Curation<A> {
    /// Nobody: a contribution is accepted when its window has passed.
    Open,
    /// Any of these accounts.
    Curators(BoundedVec<A, MaxCurators>),
}

/// A pool of records.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Datanet<A> {
    /// What people call it.
    pub name: Name,
    /// SPDX identifier of the licence its records are under.
    pub licence: Name,
    /// Who decides what it accepts.
    pub curation: Curation<A>,
    /// Who created it and gets its deposit back. Its owner is whoever holds its item.
    pub creator: A,
    /// Held for its place in the state, in planck.
    pub deposit: u128,
    /// Versions published so far.
    pub versions: u32,
}

/// Somebody said that it will contribute something, and not yet what.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Reservation<A> {
    /// Who reserved.
    pub who: A,
    /// Held until it is used or runs out, in planck.
    pub deposit: u128,
    /// The block it was made in: of two contributions with the same record, the one reserved earlier owns it.
    pub since: u32,
    /// Last block in which it can be used.
    pub expires: u32,
}

/// Where a contribution stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum Standing {
    /// Not decided.
    Pending,
    /// Versions may hold its records. Curators' scores weigh it, from 1 to 10,000.
    Accepted {
        /// The weight.
        weight: u16,
    },
    /// Versions may not.
    Rejected,
}

/// Records that somebody brought, as a root.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Contribution<A> {
    /// The Datanet.
    pub datanet: u64,
    /// Who brought it.
    pub contributor: A,
    /// Tree of [`RecordLeaf`](openledger_attribution::record::RecordLeaf)s: count of records, sum of their bytes.
    pub records: Root,
    /// Where the records can be fetched.
    pub cid: Cid,
    /// The block it was reserved in.
    pub reserved: u32,
    /// The block it came in.
    pub since: u32,
    /// Held until it is decided, in planck.
    pub deposit: u128,
    /// Where it stands.
    pub standing: Standing,
}

/// An unchangeable selection of a Datanet's accepted records. Versions count from 0.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Version {
    /// The version it grew out of.
    pub parent: Option<u32>,
    /// Tree of [`VersionLeaf`](openledger_attribution::record::VersionLeaf)s: count of records, sum of representatives.
    pub records: Root,
    /// Where the list of its leaves can be fetched.
    pub cid: Cid,
    /// The block it was published in.
    pub published: u32,
}

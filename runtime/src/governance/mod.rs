//! OpenGov: who may decide what ([`origins`]), how long it takes and how much agreement it needs ([`tracks`]).

pub mod origins;
pub mod tracks;

use crate::{AccountId, Runtime};
use frame_support::traits::EitherOf;
use frame_system::EnsureRoot;
use sp_core::ConstU32;

/// Two thirds of the technical committee. It can whitelist a call for the fast track and pull the emergency brake;
/// it can decide nothing else, and a root referendum replaces it.
pub type TwoThirdsOfCommittee =
    pallet_collective::EnsureProportionAtLeast<AccountId, pallet_collective::Instance1, 2, 3>;
/// Root, or two thirds of the committee.
pub type RootOrCommittee = EitherOf<EnsureRoot<AccountId>, TwoThirdsOfCommittee>;

/// What a spending track may spend at once, in planck.
pub type Spend =
    EitherOf<frame_system::EnsureRootWithSuccess<AccountId, tracks::AnyAmount>, origins::Spender>;

/// Seats in the technical committee.
pub type CommitteeSeats = ConstU32<21>;

impl origins::Config for Runtime {}

//! What governance can tune without an upgrade, and the bounds it cannot leave.
//!
//! `pallet-parameters` stores whatever the track decides; every reader here clamps, so a fat-fingered referendum costs a
//! second referendum and not the chain.

use crate::{
    currency::{GIGA, MICRO, MILLI, OPEN},
    Balance, Runtime,
};
use core::marker::PhantomData;
use frame_support::{
    dynamic_params::{dynamic_pallet_params, dynamic_params},
    traits::Get,
};
use openledger_attribution::fee::Split;
use sp_runtime::Perbill;

/// How a fee is split until governance decides otherwise: β 40, δ 30, γ 10, κ 15, λ 5 percent, and 5 percent on top.
pub const DEFAULT_SPLIT: Split = Split {
    platform: 500,
    owner: 4_000,
    contributors: 3_000,
    stakers: 1_000,
    compute: 1_500,
    lineage: 500,
};

#[dynamic_params(RuntimeParameters, pallet_parameters::Parameters::<Runtime>)]
pub mod dynamic {
    use super::*;

    /// What a transaction pays.
    #[dynamic_pallet_params]
    #[codec(index = 0)]
    pub mod fees {
        /// Planck a byte of a transaction costs.
        #[codec(index = 0)]
        pub static ByteFee: Balance = 16 * GIGA;
        /// Part of a fee that the block's author gets; the treasury gets the rest.
        #[codec(index = 1)]
        pub static AuthorShare: Perbill = Perbill::from_percent(20);
    }

    /// How the fees of answers are divided.
    #[dynamic_pallet_params]
    #[codec(index = 2)]
    pub mod economy {
        /// Basis points of the compute fee by destination; the platform's come on top.
        #[codec(index = 0)]
        pub static FeeSplit: Split = DEFAULT_SPLIT;
    }

    /// Committees that recompute what integers cannot judge.
    #[dynamic_pallet_params]
    #[codec(index = 5)]
    pub mod committees {
        /// Seats of a first round; 0 for the network's own number.
        #[codec(index = 0)]
        pub static Size: u32 = 0;
        /// Votes that decide it; 0 for the network's own number.
        #[codec(index = 1)]
        pub static Quorum: u32 = 0;
        /// Planck that a member on the side that won is paid.
        #[codec(index = 2)]
        pub static SeatPrice: Balance = 200 * MILLI;
        /// Planck that stand behind a seat: what a vote against the verdict costs.
        #[codec(index = 3)]
        pub static SeatStake: Balance = 50 * OPEN;
        /// Planck that silence costs.
        #[codec(index = 4)]
        pub static Silence: Balance = 10 * OPEN;
        /// How far a token of an answer in `fast` mode may be from the best, in millionths of a logit.
        #[codec(index = 5)]
        pub static FastTolerance: u32 = 500_000;
    }

    /// What it costs to keep something in the state; returned when it is removed.
    #[dynamic_pallet_params]
    #[codec(index = 1)]
    pub mod deposits {
        /// Planck for a storage item of a pallet.
        #[codec(index = 0)]
        pub static PerItem: Balance = 100 * MILLI;
        /// Planck for a byte in a pallet's storage.
        #[codec(index = 1)]
        pub static PerByte: Balance = 100 * MICRO;
        /// Planck for a code or account entry of a contract.
        #[codec(index = 2)]
        pub static EvmPerItem: Balance = 20 * MICRO;
        /// Planck for a storage slot of a contract.
        #[codec(index = 3)]
        pub static EvmPerSlot: Balance = 2 * MICRO;
        /// Planck for a byte of a contract's code or storage.
        #[codec(index = 4)]
        pub static EvmPerByte: Balance = 200 * GIGA;
    }
}

/// Reads `P`, held between `LO` and `HI` planck.
pub struct Bounded<P, const LO: u128, const HI: u128>(PhantomData<P>);
impl<P: Get<Balance>, const LO: u128, const HI: u128> Get<Balance> for Bounded<P, LO, HI> {
    fn get() -> Balance {
        P::get().clamp(LO, HI)
    }
}

/// Planck a byte of a transaction costs: 1 to 10⁵ times 10⁻⁹ OPEN.
pub type ByteFee = Bounded<dynamic::fees::ByteFee, { GIGA }, { 100_000 * GIGA }>;
/// Planck for a storage item of a pallet.
pub type DepositPerItem = Bounded<dynamic::deposits::PerItem, { MILLI }, { 100 * OPEN }>;
/// Planck for a byte in a pallet's storage.
pub type DepositPerByte = Bounded<dynamic::deposits::PerByte, { MICRO }, { OPEN }>;
/// Planck for a code or account entry of a contract.
pub type EvmDepositPerItem = Bounded<dynamic::deposits::EvmPerItem, { MICRO }, { OPEN }>;
/// Planck for a storage slot of a contract.
pub type EvmDepositPerSlot = Bounded<dynamic::deposits::EvmPerSlot, { MICRO }, { OPEN }>;
/// Planck for a byte of a contract.
pub type EvmDepositPerByte = Bounded<dynamic::deposits::EvmPerByte, { GIGA }, { MILLI }>;

/// The author's part of a fee, at most half.
pub struct AuthorShare;
impl Get<Perbill> for AuthorShare {
    fn get() -> Perbill {
        dynamic::fees::AuthorShare::get().min(Perbill::from_percent(50))
    }
}

/// Planck that a member of a committee is paid.
pub type SeatPrice = Bounded<dynamic::committees::SeatPrice, { MILLI }, { 10 * OPEN }>;
/// Planck behind a seat.
pub type SeatStake = Bounded<dynamic::committees::SeatStake, { OPEN }, { 1_000 * OPEN }>;
/// Planck that a member's silence costs; never more than what stands behind its seat.
pub struct Silence;
impl Get<Balance> for Silence {
    fn get() -> Balance {
        dynamic::committees::Silence::get().clamp(100 * MILLI, SeatStake::get())
    }
}

/// `P`, or `D` if that is 0; held between `LO` and `HI`.
pub struct Number<P, D, const LO: u32, const HI: u32>(PhantomData<(P, D)>);
impl<P: Get<u32>, D: Get<u32>, const LO: u32, const HI: u32> Get<u32> for Number<P, D, LO, HI> {
    fn get() -> u32 {
        let set = P::get();
        let number = if set == 0 { D::get() } else { set };
        number.clamp(LO, HI)
    }
}

/// Millionths of a logit that a token of an answer in `fast` mode may be from the best: 0.001 to 5 logits.
pub type FastTolerance =
    Number<dynamic::committees::FastTolerance, frame_support::traits::ConstU32<500_000>, 1_000, 5_000_000>;

/// Planck to keep `I` items of `B` bytes together in the state.
pub struct Deposit<const I: u32, const B: u32>;
impl<const I: u32, const B: u32> Get<Balance> for Deposit<I, B> {
    fn get() -> Balance {
        let items = DepositPerItem::get().saturating_mul(I.into());
        items.saturating_add(DepositPerByte::get().saturating_mul(B.into()))
    }
}

#[cfg(feature = "runtime-benchmarks")]
impl Default for RuntimeParameters {
    fn default() -> Self {
        RuntimeParameters::Deposits(dynamic::deposits::Parameters::PerItem(
            dynamic::deposits::PerItem,
            Some(MILLI),
        ))
    }
}

//! The origins that referenda speak with, one a track.

pub use pallet::*;

/// Declares the origins as a pallet, which is how the runtime learns of them.
#[frame_support::pallet]
pub mod pallet {
    use crate::{governance::tracks, Balance};
    use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
    use frame_support::pallet_prelude::*;
    use scale_info::TypeInfo;

    #[pallet::pallet]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: frame_system::Config {}

    /// An origin below root that only a referendum on its own track can have.
    #[derive(
        PartialEq, Eq, Clone, Copy, MaxEncodedLen, Encode, Decode, DecodeWithMemTracking, TypeInfo, Debug,
    )]
    #[pallet::origin]
    pub enum Origin {
        /// Dispatches a call that the technical committee whitelisted, as root.
        WhitelistedCaller,
        /// Sets the tunables of `pallet-parameters`.
        ParametersAdmin,
        /// Cancels deferred slashes, sets staking limits, destroys pools.
        StakingAdmin,
        /// Approves treasury spends of any size.
        Treasurer,
        /// Approves treasury spends of up to 1,000,000 OPEN.
        BigSpender,
        /// Approves treasury spends of up to 100,000 OPEN.
        MediumSpender,
        /// Approves treasury spends of up to 10,000 OPEN.
        SmallSpender,
        /// Cancels a referendum and returns its deposits.
        ReferendumCanceller,
        /// Cancels a referendum and slashes its deposits.
        ReferendumKiller,
        /// Decides disputes that no committee could.
        FrozenDisputes,
    }

    macro_rules! single_origins {
        ($($(#[$doc:meta])* $name:ident;)+) => {$(
            $(#[$doc])*
            pub struct $name;
            impl<O: OriginTrait + From<Origin>> EnsureOrigin<O> for $name
            where
                for<'a> &'a O::PalletsOrigin: TryInto<&'a Origin>,
            {
                type Success = ();
                fn try_origin(o: O) -> Result<(), O> {
                    if let Ok(Origin::$name) = o.caller().try_into() {
                        return Ok(());
                    }
                    Err(o)
                }
                #[cfg(feature = "runtime-benchmarks")]
                fn try_successful_origin() -> Result<O, ()> {
                    Ok(O::from(Origin::$name))
                }
            }
        )+};
    }
    use frame_support::traits::{EnsureOrigin, OriginTrait};

    single_origins! {
        /// See [`Origin::WhitelistedCaller`].
        WhitelistedCaller;
        /// See [`Origin::ParametersAdmin`].
        ParametersAdmin;
        /// See [`Origin::StakingAdmin`].
        StakingAdmin;
        /// See [`Origin::Treasurer`].
        Treasurer;
        /// See [`Origin::ReferendumCanceller`].
        ReferendumCanceller;
        /// See [`Origin::ReferendumKiller`].
        ReferendumKiller;
        /// See [`Origin::FrozenDisputes`].
        FrozenDisputes;
    }

    /// Any of the spending origins; succeeds with the most it may spend, in planck.
    pub struct Spender;
    impl<O: OriginTrait + From<Origin>> EnsureOrigin<O> for Spender
    where
        for<'a> &'a O::PalletsOrigin: TryInto<&'a Origin>,
    {
        type Success = Balance;
        fn try_origin(o: O) -> Result<Balance, O> {
            let limit = match o.caller().try_into() {
                Ok(Origin::Treasurer) => Some(Balance::MAX),
                Ok(Origin::BigSpender) => Some(tracks::BIG_SPEND),
                Ok(Origin::MediumSpender) => Some(tracks::MEDIUM_SPEND),
                Ok(Origin::SmallSpender) => Some(tracks::SMALL_SPEND),
                _ => None,
            };
            limit.ok_or(o)
        }
        #[cfg(feature = "runtime-benchmarks")]
        fn try_successful_origin() -> Result<O, ()> {
            Ok(O::from(Origin::Treasurer))
        }
    }
}

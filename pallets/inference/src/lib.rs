//! Questions asked on the chain, by accounts or by other pallets ([`openledger_traits::Inference`]).
//!
//! Who asks pays in advance: [`Pallet::request_inference`] holds the fee and orders a job. A worker is drawn by bond as for any
//! job, answers with its own engine, and its result is kept with the question, to be read by anybody. Nothing is called back:
//! whoever asked looks.
//!
//! ```text
//! fee        of the prompt's bytes and the most tokens: known before, the same whatever comes (`openledger_protocol::inference::fee`)
//! answered   the fee is divided as that of a receipt that credits no row: contributors' part to the Datanets trained on
//! failed     it goes back
//! ```
//!
//! An answer is not attributed row by row: that needs the sketch of an answer, which is too large for a block; who wants it asks a
//! worker directly, through a channel.

#![cfg_attr(not(feature = "std"), no_std)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

extern crate alloc;

pub use pallet::*;
pub use weights::WeightInfo;

#[cfg(feature = "runtime-benchmarks")]
pub use benchmarking::BenchmarkHelper;
pub use impls::OutcomeWeight;

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod impls;
#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;
mod try_state;
pub mod weights;

use frame_support::traits::{
    fungible::{Inspect, MutateHold},
    Get,
};
use openledger_protocol::{
    compute::{Machine, Output},
    inference::{Prompt, Request},
};
use openledger_traits::{Jobs, Models, PayOut, Settle};

// The macro's own code expects what it has just checked.
#[allow(clippy::expect_used)]
#[frame_support::pallet]
pub mod pallet {
    use super::*;
    use frame_support::pallet_prelude::*;
    use frame_system::pallet_prelude::*;
    use openledger_protocol::Hash;

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: frame_system::Config<RuntimeEvent: From<Event<Self>>> {
        /// OPEN.
        type Currency: Inspect<Self::AccountId, Balance = u128>
            + MutateHold<Self::AccountId, Reason = Self::RuntimeHoldReason>;
        /// Why something is held.
        type RuntimeHoldReason: From<HoldReason>;
        /// What is asked.
        type Models: Models<Self::AccountId>;
        /// Who answers.
        type Jobs: Jobs<Self::AccountId>;
        /// Where fees wait.
        type PayOut: PayOut<Self::AccountId>;
        /// Who divides them.
        type Settle: Settle<Self::AccountId>;
        /// Held for a request's place in the state, in planck.
        type Deposit: Get<u128>;
        /// Least blocks until a deadline: a worker is drawn two epochs after the request.
        type ShortestTime: Get<u32>;
        /// Most blocks until a deadline.
        type LongestTime: Get<u32>;
        /// Blocks for which only who asked can remove an answer.
        type Retention: Get<u32>;
        /// Weights of this pallet.
        type WeightInfo: WeightInfo;
        /// What the benchmarks need of other pallets.
        #[cfg(feature = "runtime-benchmarks")]
        type BenchmarkHelper: crate::BenchmarkHelper<Self::AccountId>;
    }

    /// Why the pallet holds money.
    #[pallet::composite_enum]
    pub enum HoldReason {
        /// Fees of requests that are not answered.
        Fee,
        /// The place of requests in the state.
        Request,
    }

    /// The number of the next request.
    #[pallet::storage]
    pub type NextRequest<T: Config> = StorageValue<_, u64, ValueQuery>;

    /// The requests, until they are removed.
    #[pallet::storage]
    pub type Requests<T: Config> = StorageMap<_, Twox64Concat, u64, Request<T::AccountId>>;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// Somebody asked.
        Requested {
            /// The request.
            request: u64,
            /// Who.
            who: T::AccountId,
            /// The model.
            model: u64,
            /// Its generation.
            generation: u32,
            /// Planck held for the answer.
            fee: u128,
            /// The job that answers.
            job: u64,
        },
        /// A request was answered and paid.
        Answered {
            /// The request.
            request: u64,
            /// By whom.
            worker: T::AccountId,
            /// Hash of the answer.
            hash: Hash,
            /// Planck paid.
            fee: u128,
        },
        /// Nobody answered; the fee went back.
        Failed {
            /// The request.
            request: u64,
            /// Planck that went back.
            fee: u128,
        },
        /// A request left the state; its deposit went back.
        Forgotten {
            /// The request.
            request: u64,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// There is no such request; it never was or it was removed.
        NoRequest,
        /// The prompt is empty or not UTF-8.
        BadPrompt,
        /// The answer may have no token, or more than `MAX_TOKENS`.
        BadLength,
        /// The model has no such generation ready, or its owner does not let it answer.
        NotServed,
        /// The answer costs more than was offered; `quote` says how much.
        TooExpensive,
        /// The deadline is sooner than `ShortestTime` blocks: choose a later one.
        DeadlineTooSoon,
        /// The deadline is later than `LongestTime` blocks: choose a sooner one.
        DeadlineTooLate,
        /// The request waits for no such answer.
        NotAwaited,
        /// The result is no answer, or not UTF-8.
        BadAnswer,
        /// The request is not answered yet, or not long enough for anybody but who asked to remove it.
        TooEarly,
        /// No number is left, or a sum does not fit.
        Overflow,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Asks a generation of a model, for at most `most` planck.
        ///
        /// `machine` names the only kind of machine that may answer, for answers that somebody wants to recompute bit by bit. The
        /// fee and [`Config::Deposit`] are held from the sender. Origin: signed. Event: [`Event::Requested`].
        #[pallet::call_index(0)]
        #[pallet::weight(T::WeightInfo::request_inference())]
        #[allow(clippy::too_many_arguments)]
        pub fn request_inference(
            origin: OriginFor<T>,
            model: u64,
            generation: u32,
            prompt: Prompt,
            max_tokens: u32,
            machine: Option<Machine>,
            most: u128,
            deadline: u32,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_request(
                who,
                (model, generation),
                prompt,
                max_tokens,
                machine,
                most,
                deadline,
            )
            .map(drop)
        }

        /// Removes a request that is answered or failed; its deposit goes back to who asked.
        ///
        /// Origin: signed by who asked, or by anyone after [`Config::Retention`]. Event: [`Event::Forgotten`].
        #[pallet::call_index(1)]
        #[pallet::weight(T::WeightInfo::forget())]
        pub fn forget(origin: OriginFor<T>, request: u64) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_forget(who, request)
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// Planck that an answer costs now; nothing if the generation does not answer.
        pub fn quote(model: u64, generation: u32, prompt: Prompt, max_tokens: u32) -> Option<u128> {
            let tariff = T::Models::tariff(model, generation)?;
            openledger_protocol::inference::fee(&tariff, &prompt, max_tokens)?.total()
        }

        /// The answer to a request, once there is one.
        pub fn answer(request: u64) -> Option<Output> {
            <Self as openledger_traits::Inference<T::AccountId>>::answer(request).map(|(_, output)| output)
        }
    }
}

//! Benchmarks of the calls and of what becomes of a job.

use crate::pallet::{Call, Config, Pallet, Requests};
use alloc::vec;
use frame_benchmarking::v2::*;
use frame_support::{
    traits::{fungible::Mutate, Get},
    BoundedVec,
};
use frame_system::RawOrigin;
use openledger_protocol::{
    compute::{MaxOutput, Outcome, Task},
    inference::{Prompt, Stage, MAX_TOKENS},
};
use openledger_traits::OnOutcome;

/// What the benchmarks need of other pallets.
pub trait BenchmarkHelper<AccountId> {
    /// A generation that answers, with as many to pay as there can be.
    fn serve() -> (u64, u32);
    /// A worker that does everything.
    fn worker() -> AccountId;
}

fn rich<T: Config>() -> T::AccountId
where
    T::Currency: Mutate<T::AccountId, Balance = u128>,
{
    let who: T::AccountId = account("asker", 0, 0);
    T::Currency::set_balance(&who, u128::MAX >> 32);
    who
}

/// The longest there is.
fn prompt() -> Prompt {
    Prompt::truncate_from(vec![b'a'; 4_096])
}

fn deadline<T: Config>() -> u32 {
    Pallet::<T>::now().saturating_add(T::LongestTime::get())
}

/// A request and its job.
fn asked<T: Config>(who: T::AccountId) -> Result<(u64, u64), BenchmarkError> {
    let id = Pallet::<T>::do_request(
        who,
        T::BenchmarkHelper::serve(),
        prompt(),
        MAX_TOKENS,
        None,
        u128::MAX,
        deadline::<T>(),
    )?;
    Ok((id, Requests::<T>::get(id).map_or(0, |request| request.job)))
}

fn task(request: u64) -> Task {
    Task::Infer {
        model: 0,
        generation: 0,
        request,
    }
}

fn answer() -> Outcome {
    Outcome::Inferred {
        output: BoundedVec::truncate_from(vec![b'a'; <MaxOutput as Get<u32>>::get() as usize]),
    }
}

#[benchmarks(where T::Currency: Mutate<T::AccountId, Balance = u128>)]
mod benches {
    use super::*;

    #[benchmark]
    fn request_inference() {
        let who = rich::<T>();
        let (model, generation) = T::BenchmarkHelper::serve();
        #[extrinsic_call]
        _(
            RawOrigin::Signed(who),
            model,
            generation,
            prompt(),
            MAX_TOKENS,
            None,
            u128::MAX,
            deadline::<T>(),
        );
        assert!(Requests::<T>::contains_key(0));
    }

    #[benchmark]
    fn answered() -> Result<(), BenchmarkError> {
        let (request, job) = asked::<T>(rich::<T>())?;
        let worker = T::BenchmarkHelper::worker();
        #[block]
        {
            <Pallet<T> as OnOutcome<_>>::delivered(job, &task(request), &worker, &answer())?;
        }
        assert!(Requests::<T>::get(request)
            .is_some_and(|request| matches!(request.stage, Stage::Answered { .. })));
        Ok(())
    }

    #[benchmark]
    fn failed() -> Result<(), BenchmarkError> {
        let (request, job) = asked::<T>(rich::<T>())?;
        #[block]
        {
            <Pallet<T> as OnOutcome<T::AccountId>>::failed(job, &task(request));
        }
        assert!(
            Requests::<T>::get(request).is_some_and(|request| matches!(request.stage, Stage::Failed { .. }))
        );
        Ok(())
    }

    #[benchmark]
    fn forget() -> Result<(), BenchmarkError> {
        let who = rich::<T>();
        let (request, job) = asked::<T>(who.clone())?;
        <Pallet<T> as OnOutcome<T::AccountId>>::failed(job, &task(request));
        #[extrinsic_call]
        _(RawOrigin::Signed(who), request);
        assert!(!Requests::<T>::contains_key(request));
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}

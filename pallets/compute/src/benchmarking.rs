//! Benchmarks of the pallet's calls and of what a block does.

use crate::{Call, Config, Deadlines, HoldReason, Jobs as JobsMap, Pallet, Workers, RESULT_KEY};
use alloc::{vec, vec::Vec};
use frame_benchmarking::v2::*;
use frame_support::traits::{
    fungible::{hold::Inspect, Mutate},
    Get, UnfilteredDispatchable,
};
use frame_system::RawOrigin;
use openledger_protocol::{
    compute::{capability, Backend, Delivery, Heartbeat, JobStage, Outcome, Task},
    Cid, Endpoint, Name,
};
use openledger_traits::{Draws, Jobs};
use sp_core::sr25519;
use sp_runtime::transaction_validity::TransactionSource;

/// Planck of a bond in these benchmarks.
fn bond<T: Config>() -> u128 {
    T::MinBond::get()
        .saturating_add(T::LateSlash::get())
        .saturating_mul(1_000)
}

/// A rich account.
fn rich<T: Config>(n: u32) -> T::AccountId {
    let who: T::AccountId = account("worker", n, 0);
    T::Currency::set_balance(&who, bond::<T>().saturating_mul(10));
    who
}

/// A registered worker with this result key.
fn worker<T: Config>(n: u32, key: [u8; 32]) -> T::AccountId {
    let who = rich::<T>(n);
    let registered = Pallet::<T>::register(
        RawOrigin::Signed(who.clone()).into(),
        bond::<T>(),
        key,
        [n as u8; 32],
        Backend::Cpu,
        arch(),
        endpoint(),
        capability::ALL,
    );
    assert!(registered.is_ok());
    who
}

fn arch() -> Name {
    Name::truncate_from(vec![b'a'; 64])
}

/// The longest there is.
fn endpoint() -> Endpoint {
    let mut text = b"http://".to_vec();
    text.resize(128, b'a');
    Endpoint::truncate_from(text)
}

fn task() -> Task {
    Task::Train {
        model: 0,
        generation: 1,
        seed: [0; 32],
    }
}

/// As many jobs as there can be but one, all waiting: the lists are at their longest.
fn fill_lists<T: Config>() {
    let deadline = Pallet::<T>::now().saturating_add(1_000);
    for _ in 1..T::MaxJobs::get() {
        assert!(Pallet::<T>::order(task(), None, deadline).is_ok());
    }
}

/// A result of `who` for a job of its own, signed.
fn delivery<T: Config>() -> (Delivery, [u8; 64]) {
    let key = sp_io::crypto::sr25519_generate(RESULT_KEY, None);
    let who = worker::<T>(0, key.0);
    fill_lists::<T>();
    let deadline = Pallet::<T>::now().saturating_add(1_000);
    let job = Pallet::<T>::order(task(), Some(&who), deadline);
    let genesis =
        frame_system::Pallet::<T>::block_hash(frame_system::pallet_prelude::BlockNumberFor::<T>::from(0u32));
    let mut hash = [0; 32];
    hash.copy_from_slice(genesis.as_ref());
    let delivery = Delivery {
        genesis: hash,
        job: job.unwrap_or_default(),
        attempt: 0,
        worker: who.into(),
        outcome: Outcome::Trained {
            adapter: [1; 32],
            cid: Cid::truncate_from(vec![1; 64]),
            loss_before: 2,
            loss_after: 1,
        },
    };
    let signature = sp_io::crypto::sr25519_sign(RESULT_KEY, &key, &delivery.signing_message())
        .unwrap_or_else(|| sr25519::Signature::from_raw([0; 64]));
    (delivery, signature.0)
}

/// A heartbeat that is due, signed.
fn beat<T: Config>() -> (Heartbeat, [u8; 64]) {
    let key = sp_io::crypto::sr25519_generate(RESULT_KEY, None);
    let who = worker::<T>(0, key.0);
    let number = Pallet::<T>::now().saturating_add(T::BeatPeriod::get());
    frame_system::Pallet::<T>::set_block_number(number.into());
    let genesis =
        frame_system::Pallet::<T>::block_hash(frame_system::pallet_prelude::BlockNumberFor::<T>::from(0u32));
    let mut hash = [0; 32];
    hash.copy_from_slice(genesis.as_ref());
    let beat = Heartbeat {
        genesis: hash,
        worker: who.into(),
        number,
    };
    let signature = sp_io::crypto::sr25519_sign(RESULT_KEY, &key, &beat.signing_message())
        .unwrap_or_else(|| sr25519::Signature::from_raw([0; 64]));
    (beat, signature.0)
}

#[benchmarks]
mod benches {
    use super::*;

    #[benchmark]
    fn register() {
        let who = rich::<T>(0);
        #[extrinsic_call]
        _(
            RawOrigin::Signed(who.clone()),
            bond::<T>(),
            [1; 32],
            [2; 32],
            Backend::Cpu,
            arch(),
            endpoint(),
            capability::ALL,
        );
        assert!(Workers::<T>::contains_key(&who));
    }

    #[benchmark]
    fn bond_more() {
        let who = worker::<T>(0, [1; 32]);
        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), bond::<T>());
        assert_eq!(
            T::Currency::balance_on_hold(&HoldReason::Bond.into(), &who),
            bond::<T>().saturating_mul(2)
        );
    }

    #[benchmark]
    fn unbond() {
        let who = worker::<T>(0, [1; 32]);
        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), bond::<T>());
        assert!(Workers::<T>::get(&who).is_some_and(|worker| worker.unbonding.is_some()));
    }

    /// All of it: the worker leaves.
    #[benchmark]
    fn withdraw() {
        let who = worker::<T>(0, [1; 32]);
        assert!(Pallet::<T>::unbond(RawOrigin::Signed(who.clone()).into(), bond::<T>()).is_ok());
        let until = Pallet::<T>::now().saturating_add(T::UnbondingPeriod::get());
        frame_system::Pallet::<T>::set_block_number(until.into());
        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()));
        assert!(!Workers::<T>::contains_key(&who));
    }

    #[benchmark]
    fn set_keys() {
        let who = worker::<T>(0, [1; 32]);
        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), [8; 32], [9; 32]);
        assert!(Workers::<T>::get(&who).is_some_and(|worker| worker.receipt_key == [9; 32]));
    }

    #[benchmark]
    fn set_endpoint() {
        let who = worker::<T>(0, [1; 32]);
        #[extrinsic_call]
        _(RawOrigin::Signed(who), endpoint());
    }

    /// Whoever ordered the work knows nothing of this job and may refuse it: its own cost is counted beside this.
    #[benchmark]
    fn deliver() -> Result<(), BenchmarkError> {
        let (delivery, signature) = delivery::<T>();
        let job = delivery.job;
        let call = Call::<T>::deliver { delivery, signature };
        let events = frame_system::Pallet::<T>::event_count();
        #[block]
        {
            call.dispatch_bypass_filter(frame_system::Origin::<T>::Authorized.into())
                .map_err(|_| BenchmarkError::Stop("the delivery is good"))?;
        }
        assert!(frame_system::Pallet::<T>::event_count() > events);
        assert!(crate::JobTerms::<T>::get(job).is_none_or(|terms| terms.paused > 0));
        Ok(())
    }

    #[benchmark]
    fn authorize_deliver() -> Result<(), BenchmarkError> {
        let (delivery, signature) = delivery::<T>();
        #[block]
        {
            Pallet::<T>::authorize_deliver(TransactionSource::External, &delivery, &signature)
                .map_err(|_| BenchmarkError::Stop("the delivery is good"))?;
        }
        Ok(())
    }

    #[benchmark]
    fn heartbeat() -> Result<(), BenchmarkError> {
        let (beat, signature) = beat::<T>();
        let call = Call::<T>::heartbeat { beat, signature };
        #[block]
        {
            call.dispatch_bypass_filter(frame_system::Origin::<T>::Authorized.into())
                .map_err(|_| BenchmarkError::Stop("the heartbeat is good"))?;
        }
        let now = Pallet::<T>::now();
        assert!(Workers::<T>::get(T::AccountId::from(beat.worker)).is_some_and(|worker| worker.seen == now));
        Ok(())
    }

    #[benchmark]
    fn authorize_heartbeat() -> Result<(), BenchmarkError> {
        let (beat, signature) = beat::<T>();
        #[block]
        {
            Pallet::<T>::authorize_heartbeat(TransactionSource::External, &beat, &signature)
                .map_err(|_| BenchmarkError::Stop("the heartbeat is good"))?;
        }
        Ok(())
    }

    #[benchmark]
    fn idle() {
        fill_lists::<T>();
        #[block]
        {
            Pallet::<T>::work(Pallet::<T>::now());
        }
        assert!(!Deadlines::<T>::get().is_empty());
    }

    #[benchmark]
    fn read_workers(w: Linear<1, 250>) {
        for n in 0..w.min(T::MaxWorkers::get()) {
            worker::<T>(n, [n as u8; 32]);
        }
        let workers: Vec<_>;
        #[block]
        {
            workers = Pallet::<T>::all_workers();
        }
        assert_eq!(workers.len() as u32, w.min(T::MaxWorkers::get()));
    }

    #[benchmark]
    fn give_out() -> Result<(), BenchmarkError> {
        worker::<T>(0, [0; 32]);
        fill_lists::<T>();
        let mut workers = Pallet::<T>::all_workers();
        let (id, job) = JobsMap::<T>::iter()
            .next()
            .ok_or(BenchmarkError::Stop("there are jobs"))?;
        let terms = crate::JobTerms::<T>::get(id).ok_or(BenchmarkError::Stop("they have terms"))?;
        #[block]
        {
            // With what a block reads around it.
            let _ = T::Draws::drawn(T::Draws::epoch(), crate::jobs::DOMAIN, id);
            crate::Waiting::<T>::mutate(|queue| queue.retain(|other| *other != id));
            Pallet::<T>::give(id, job, terms, &mut workers, &[5; 32]);
        }
        assert!(JobsMap::<T>::get(id).is_some_and(|job| matches!(job.stage, JobStage::Assigned { .. })));
        Ok(())
    }

    #[benchmark]
    fn expire() -> Result<(), BenchmarkError> {
        let who = worker::<T>(0, [0; 32]);
        T::Currency::set_balance(&T::Treasury::get(), bond::<T>());
        fill_lists::<T>();
        let deadline = Pallet::<T>::now().saturating_add(1);
        let id = Pallet::<T>::order(task(), Some(&who), deadline)?;
        #[block]
        {
            Pallet::<T>::expire(deadline.saturating_add(1));
        }
        assert!(!JobsMap::<T>::contains_key(id));
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_bench_ext(), crate::mock::Test);
}

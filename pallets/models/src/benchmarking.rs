//! Benchmarks of the pallet's calls and of what it does for others.

use crate::{
    fixture,
    pallet::{AwaitingSeed, Bases, Call, Config, Generations, Lines, Models, Pallet, StoppedUntil},
    MAX_MODULES, SEEDS_PER_BLOCK,
};
use alloc::{boxed::Box, vec::Vec};
use frame_benchmarking::v2::*;
use frame_support::{
    traits::{fungible::Mutate, Get},
    BoundedVec,
};
use frame_system::RawOrigin;
use openledger_attribution::{fee::Mix, hash::NONE, tree::Root};
use openledger_protocol::{
    compute::{Outcome, Task},
    models::{Line, MaxNearer, MaxSources, Source, Stage},
    Cid, Name,
};
use openledger_traits::{Draws, OnOutcome};

/// What the benchmarks need of other pallets.
pub trait BenchmarkHelper<AccountId> {
    /// Publishes version 0 of a Datanet with this root.
    fn publish(datanet: u64, records: Root);
    /// Registers a worker that does everything, and returns it.
    fn worker() -> AccountId;
    /// Makes what is drawn for what was committed in `epoch` known.
    fn draw(epoch: u64);
}

fn funded<T: Config>(name: &'static str) -> T::AccountId
where
    T::Currency: Mutate<T::AccountId>,
{
    let who: T::AccountId = account(name, 0, 0);
    T::Currency::set_balance(&who, u128::MAX >> 32);
    who
}

fn longest_name() -> Name {
    Name::truncate_from([b'n'; 64].to_vec())
}

fn mix() -> Mix {
    Mix {
        influence: 1_000_000_000,
        verbatim: 0,
        retrieval: 0,
    }
}

fn most_sources() -> u32 {
    <MaxSources as Get<u32>>::get()
}

/// So many published versions.
fn sources<T: Config>(count: u32) -> BoundedVec<Source, MaxSources> {
    let list: Vec<Source> = (0..u64::from(count))
        .map(|datanet| {
            T::BenchmarkHelper::publish(datanet, fixture::root(100, 100));
            Source {
                datanet,
                version: 0,
                weight: 1,
            }
        })
        .collect();
    BoundedVec::truncate_from(list)
}

fn created<T: Config>() -> Result<T::AccountId, BenchmarkError>
where
    T::Currency: Mutate<T::AccountId>,
{
    let owner = funded::<T>("owner");
    Pallet::<T>::do_register_base(
        owner.clone(),
        longest_name(),
        longest_name(),
        fixture::WEIGHTS,
        fixture::TOKENIZER,
    )?;
    Pallet::<T>::do_create(owner.clone(), longest_name(), 0, 10, 20, mix())?;
    Ok(owner)
}

fn deadline<T: Config>() -> u32 {
    Pallet::<T>::after(T::LongestTraining::get())
}

/// A generation that somebody is to train, and its job.
fn requested<T: Config>(owner: T::AccountId, count: u32) -> Result<(u32, u64), BenchmarkError> {
    Pallet::<T>::do_request_training(
        owner,
        0,
        sources::<T>(count),
        fixture::recipe(),
        fixture::rules(),
        T::LeastPrice::get(),
        deadline::<T>(),
        None,
    )?;
    let generation = Models::<T>::get(0).map_or(0, |model| model.generations);
    let job = Generations::<T>::get(0, generation).map_or(0, |entry| entry.job);
    Ok((generation, job))
}

fn adapter() -> Outcome {
    Outcome::Trained {
        adapter: fixture::ADAPTER,
        cid: Cid::truncate_from([1; 64].to_vec()),
        loss_before: 2,
        loss_after: 1,
    }
}

fn training(generation: u32) -> Task {
    Task::Train {
        model: 0,
        generation,
        seed: NONE,
    }
}

/// As many generations as asked for, all with an adapter and without a seed. Returns the last.
fn awaiting<T: Config>(count: u32, sources: u32) -> Result<u32, BenchmarkError>
where
    T::Currency: Mutate<T::AccountId>,
{
    let owner = created::<T>()?;
    let worker = T::BenchmarkHelper::worker();
    let mut last = 0;
    for _ in 0..count {
        let (generation, job) = requested::<T>(owner.clone(), sources)?;
        Pallet::<T>::delivered(job, &training(generation), &worker, &adapter())?;
        last = generation;
    }
    Ok(last)
}

#[benchmarks(where T::Currency: Mutate<T::AccountId>)]
mod benches {
    use super::*;

    #[benchmark]
    fn register_base() {
        let who = funded::<T>("owner");
        #[extrinsic_call]
        _(
            RawOrigin::Signed(who),
            longest_name(),
            longest_name(),
            fixture::WEIGHTS,
            fixture::TOKENIZER,
        );
        assert!(Bases::<T>::contains_key(0));
    }

    #[benchmark]
    fn create() -> Result<(), BenchmarkError> {
        let owner = created::<T>()?;
        #[extrinsic_call]
        _(RawOrigin::Signed(owner), longest_name(), 0, 10, 20, mix());
        assert!(Models::<T>::contains_key(1));
        Ok(())
    }

    #[benchmark]
    fn request_training(s: Linear<1, 16>) -> Result<(), BenchmarkError> {
        let owner = created::<T>()?;
        // The longest line there is, every generation of it trained on as much as can be.
        let (generation, _) = requested::<T>(owner.clone(), most_sources())?;
        let mut entry = Generations::<T>::get(0, generation).ok_or(BenchmarkError::Stop("it was ordered"))?;
        entry.stage = Stage::Ready {
            index: fixture::ADAPTER,
        };
        let last = generation.saturating_add(<MaxNearer as Get<u32>>::get());
        for next in generation..=last {
            Generations::<T>::insert(0, next, entry.clone());
            if next > generation {
                let parent = (0, next.saturating_sub(1));
                let before = Lines::<T>::get(0, parent.1);
                Lines::<T>::insert(0, next, Line::from(parent, before.as_ref(), true));
            }
        }
        Models::<T>::mutate(0, |model| {
            if let Some(model) = model {
                model.generations = last;
            }
        });
        let list = sources::<T>(s);
        #[extrinsic_call]
        _(
            RawOrigin::Signed(owner),
            0,
            list,
            fixture::recipe(),
            fixture::rules(),
            T::LeastPrice::get(),
            deadline::<T>(),
            Some((0, last)),
        );
        assert!(Lines::<T>::contains_key(0, last.saturating_add(1)));
        Ok(())
    }

    #[benchmark]
    fn set_prices() -> Result<(), BenchmarkError> {
        let owner = created::<T>()?;
        #[extrinsic_call]
        _(RawOrigin::Signed(owner), 0, 11, 21);
        assert!(Models::<T>::get(0).is_some_and(|model| model.previous.is_some()));
        Ok(())
    }

    #[benchmark]
    fn set_serving() -> Result<(), BenchmarkError> {
        let owner = created::<T>()?;
        #[extrinsic_call]
        _(RawOrigin::Signed(owner), 0, false);
        assert!(StoppedUntil::<T>::contains_key(0));
        Ok(())
    }

    /// The range ends at [`SEEDS_PER_BLOCK`].
    #[benchmark]
    fn order_indexes(n: Linear<0, 4>) -> Result<(), BenchmarkError> {
        let epoch = T::Draws::epoch();
        awaiting::<T>(n.min(SEEDS_PER_BLOCK), most_sources())?;
        T::BenchmarkHelper::draw(epoch);
        #[block]
        {
            Pallet::<T>::order_indexes();
        }
        assert!(AwaitingSeed::<T>::get().is_empty());
        Ok(())
    }

    #[benchmark]
    fn trained() -> Result<(), BenchmarkError> {
        let owner = created::<T>()?;
        let worker = T::BenchmarkHelper::worker();
        let (generation, job) = requested::<T>(owner, most_sources())?;
        #[block]
        {
            Pallet::<T>::delivered(job, &training(generation), &worker, &adapter())?;
        }
        assert_eq!(AwaitingSeed::<T>::get().len(), 1);
        Ok(())
    }

    #[benchmark]
    fn indexed(s: Linear<1, 16>) -> Result<(), BenchmarkError> {
        let epoch = T::Draws::epoch();
        let generation = awaiting::<T>(1, s)?;
        T::BenchmarkHelper::draw(epoch);
        Pallet::<T>::order_indexes();
        let missing = || BenchmarkError::Stop("the generation has no index to come");
        let entry = Generations::<T>::get(0, generation).ok_or_else(missing)?;
        let worker = entry.trainer.ok_or_else(missing)?;
        let (header, layout) = fixture::index::<T>(0, generation, MAX_MODULES).ok_or_else(missing)?;
        let task = Task::Index {
            model: 0,
            generation,
            seed: header.seed,
        };
        let outcome = Outcome::Indexed {
            header: Box::new(header),
            layout,
        };
        #[block]
        {
            Pallet::<T>::delivered(entry.job, &task, &worker, &outcome)?;
        }
        let is_ready = |stage| matches!(stage, Stage::Ready { .. });
        assert!(Generations::<T>::get(0, generation).is_some_and(|entry| is_ready(entry.stage)));
        Ok(())
    }

    #[benchmark]
    fn failed() -> Result<(), BenchmarkError> {
        let owner = created::<T>()?;
        let (generation, job) = requested::<T>(owner, most_sources())?;
        #[block]
        {
            <Pallet<T> as OnOutcome<T::AccountId>>::failed(job, &training(generation));
        }
        assert!(Generations::<T>::get(0, generation).is_some_and(|entry| entry.stage == Stage::Failed));
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}

//! Benchmarks of what a block does.

use crate::{Config, Drawn, Known, Last, Oldest, Pallet, DELAY, KEPT, REMOVED};
use frame_benchmarking::v2::*;
use frame_support::traits::{Get, Hooks};

#[benchmarks]
mod benches {
    use super::*;

    #[benchmark]
    fn within_epoch() {
        Last::<T>::put(T::Epoch::get());
        #[block]
        {
            Pallet::<T>::on_initialize(1u32.into());
        }
        assert_eq!(Last::<T>::get(), Some(T::Epoch::get()));
    }

    /// After epochs without a block, with as many draws to forget as are forgotten at once.
    #[benchmark]
    fn first_of_epoch() {
        Known::<T>::put(false);
        let last = KEPT.saturating_add(REMOVED);
        (0..=last)
            .rev()
            .take(64)
            .chain(0..REMOVED)
            .for_each(|epoch| Drawn::<T>::insert(epoch, [1; 32]));
        Last::<T>::put(last);
        let now = last.saturating_add(DELAY).saturating_add(1);
        #[block]
        {
            // The first thing that the hook reads.
            let _ = (T::Epoch::get(), Last::<T>::get());
            Pallet::<T>::enter(now, Some(last));
        }
        assert_eq!(Oldest::<T>::get(), REMOVED);
        assert!(Drawn::<T>::contains_key(now));
    }

    impl_benchmark_test_suite!(Pallet, crate::tests::new_test_ext(), crate::tests::Test);
}

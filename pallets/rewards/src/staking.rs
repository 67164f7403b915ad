//! What this pallet reads of `pallet-staking`, and where it steps into the planning of eras.

use crate::{BalanceOf, Config, Eras, Pallet, WeightInfo};
use core::marker::PhantomData;
use frame_support::traits::Get;
use pallet_session::{historical, SessionManager};
use pallet_staking::{
    ClaimedRewards, CurrentEra, ErasRewardPoints, ErasStakersOverview, ErasStakersPaged, ErasValidatorReward,
};
use sp_arithmetic::{helpers_128bit::multiply_by_rational_with_rounding, Rounding};
use sp_runtime::{traits::Zero, Perbill, SaturatedConversion, Saturating};
use sp_staking::{EraIndex, SessionIndex};

/// [`Eras`] of `pallet-staking`.
pub struct StakingEras<T>(PhantomData<T>);

/// `amount * part / whole`, rounded down; nothing when there is no whole.
fn share<B: sp_runtime::traits::AtLeast32BitUnsigned>(amount: B, part: B, whole: B) -> B {
    let [amount, part, whole]: [u128; 3] = [amount, part, whole].map(|x| x.saturated_into());
    multiply_by_rational_with_rounding(amount, part, whole, Rounding::Down).unwrap_or(0).saturated_into()
}

impl<T: pallet_staking::Config> Eras<T::CurrencyBalance> for StakingEras<T> {
    fn oldest() -> Option<EraIndex> {
        // Planning era n drops era n - depth - 1, and the next to be planned is one after the current.
        CurrentEra::<T>::get()?.checked_sub(T::HistoryDepth::get())
    }

    fn is_kept(era: EraIndex) -> bool {
        CurrentEra::<T>::get().is_none_or(|now| era >= now.saturating_sub(T::HistoryDepth::get()))
    }

    fn unclaimed(era: EraIndex) -> (T::CurrencyBalance, u32) {
        let Some(budget) = ErasValidatorReward::<T>::get(era) else { return (Zero::zero(), 0) };
        let points = ErasRewardPoints::<T>::get(era);
        let mut validators = 0u32;
        let mut earned = T::CurrencyBalance::zero();
        let mut unclaimed = T::CurrencyBalance::zero();
        for (stash, own_points) in &points.individual {
            validators.saturating_inc();
            // The same two roundings that the payment makes.
            let total = Perbill::from_rational(*own_points, points.total) * budget;
            earned.saturating_accrue(total);
            let claimed = ClaimedRewards::<T>::get(era, stash);
            let Some(overview) = ErasStakersOverview::<T>::get(era, stash) else {
                unclaimed.saturating_accrue(total);
                continue;
            };
            // A validator without nominators has one page.
            let pages = overview.page_count.max(1);
            if claimed.is_empty() {
                unclaimed.saturating_accrue(total);
                continue;
            }
            for page in (0..pages).filter(|page| !claimed.contains(page)) {
                let others = ErasStakersPaged::<T>::get((era, stash, page)).map_or(Zero::zero(), |p| p.page_total);
                let own = if page == 0 { overview.own } else { Zero::zero() };
                unclaimed.saturating_accrue(share(total, others.saturating_add(own), overview.total));
            }
        }
        // What the validators' shares, rounded down to billionths, left over was nobody's.
        (unclaimed.saturating_add(budget.saturating_sub(earned)), validators)
    }

    #[cfg(feature = "runtime-benchmarks")]
    fn prepare(validators: u32) {
        use frame_benchmarking::account;
        let depth = T::HistoryDepth::get();
        CurrentEra::<T>::put(depth);
        ErasValidatorReward::<T>::insert(0, T::CurrencyBalance::from(1_000_000_000u64));
        let mut points = pallet_staking::EraRewardPoints::default();
        for n in 0..validators {
            let stash: T::AccountId = account("stash", n, 0);
            points.total.saturating_accrue(20);
            points.individual.insert(stash.clone(), 20);
            // The dearest case: of two pages, one is claimed, so the other has to be read.
            ClaimedRewards::<T>::insert(0, &stash, alloc::vec![0]);
            ErasStakersOverview::<T>::insert(
                0,
                &stash,
                sp_staking::PagedExposureMetadata {
                    total: 100u64.into(),
                    own: 10u64.into(),
                    nominator_count: 128,
                    page_count: 2,
                },
            );
        }
        ErasRewardPoints::<T>::insert(0, points);
    }
}

/// Wraps the session manager that plans eras: counts what is unclaimed of the era that planning drops, and returns it.
pub struct ReturnExpired<T, Inner>(PhantomData<(T, Inner)>);

impl<T: Config, Inner> ReturnExpired<T, Inner> {
    fn around<R>(plan: impl FnOnce() -> R) -> R {
        let Some(era) = T::Eras::oldest() else { return plan() };
        let (unclaimed, validators): (BalanceOf<T>, u32) = T::Eras::unclaimed(era);
        Pallet::<T>::charge(T::WeightInfo::return_expired(validators));
        let planned = plan();
        if !T::Eras::is_kept(era) {
            Pallet::<T>::return_expired(era, unclaimed);
        }
        planned
    }
}

impl<T: Config, V, Inner: SessionManager<V>> SessionManager<V> for ReturnExpired<T, Inner> {
    fn new_session(index: SessionIndex) -> Option<alloc::vec::Vec<V>> {
        Self::around(|| Inner::new_session(index))
    }
    fn new_session_genesis(index: SessionIndex) -> Option<alloc::vec::Vec<V>> {
        Inner::new_session_genesis(index)
    }
    fn start_session(index: SessionIndex) {
        Inner::start_session(index)
    }
    fn end_session(index: SessionIndex) {
        Inner::end_session(index)
    }
}

impl<T: Config, V, F, Inner: historical::SessionManager<V, F>> historical::SessionManager<V, F>
    for ReturnExpired<T, Inner>
{
    fn new_session(index: SessionIndex) -> Option<alloc::vec::Vec<(V, F)>> {
        Self::around(|| <Inner as historical::SessionManager<V, F>>::new_session(index))
    }
    fn new_session_genesis(index: SessionIndex) -> Option<alloc::vec::Vec<(V, F)>> {
        <Inner as historical::SessionManager<V, F>>::new_session_genesis(index)
    }
    fn start_session(index: SessionIndex) {
        <Inner as historical::SessionManager<V, F>>::start_session(index)
    }
    fn end_session(index: SessionIndex) {
        <Inner as historical::SessionManager<V, F>>::end_session(index)
    }
}

//! What this pallet reads of `pallet-staking`, and where it steps into the planning of eras.

use crate::{BalanceOf, Config, Eras, Pallet, WeightInfo};
use core::{marker::PhantomData, ops::RangeInclusive};
use frame_support::traits::Get;
use pallet_session::{historical, SessionManager};
use pallet_staking::{
    ActiveEra, ClaimedRewards, CurrentEra, ErasRewardPoints, ErasStakersOverview, ErasStakersPaged,
    ErasValidatorReward,
};
use sp_arithmetic::{helpers_128bit::multiply_by_rational_with_rounding, Rounding};
use sp_runtime::{traits::Zero, Perbill, SaturatedConversion, Saturating};
use sp_staking::{EraIndex, SessionIndex};

/// [`Eras`] of `pallet-staking`.
pub struct StakingEras<T>(PhantomData<T>);

/// `amount * part / whole`, rounded down; nothing when there is no whole.
fn share<B: sp_runtime::traits::AtLeast32BitUnsigned>(amount: B, part: B, whole: B) -> B {
    let [amount, part, whole]: [u128; 3] = [amount, part, whole].map(|x| x.saturated_into());
    multiply_by_rational_with_rounding(amount, part, whole, Rounding::Down)
        .unwrap_or(0)
        .saturated_into()
}

impl<T: pallet_staking::Config> Eras<T::CurrencyBalance> for StakingEras<T> {
    fn oldest() -> Option<EraIndex> {
        // Planning era n drops era n - depth - 1, and the next to be planned is one after the current.
        CurrentEra::<T>::get()?.checked_sub(T::HistoryDepth::get())
    }

    fn is_kept(era: EraIndex) -> bool {
        CurrentEra::<T>::get().is_none_or(|now| era >= now.saturating_sub(T::HistoryDepth::get()))
    }

    fn claimable() -> Option<RangeInclusive<EraIndex>> {
        let first = CurrentEra::<T>::get()?.saturating_sub(T::HistoryDepth::get());
        // The active era has no budget yet and counts as nothing.
        Some(first..=ActiveEra::<T>::get()?.index)
    }

    fn unclaimed(era: EraIndex) -> (T::CurrencyBalance, u32) {
        let Some(budget) = ErasValidatorReward::<T>::get(era) else {
            return (Zero::zero(), 0);
        };
        let points = ErasRewardPoints::<T>::get(era);
        let mut validators = 0u32;
        let mut earned = T::CurrencyBalance::zero();
        let mut unclaimed = T::CurrencyBalance::zero();
        for (stash, own_points) in &points.individual {
            validators.saturating_inc();
            // The same two roundings that the payment makes. A part of the budget is no more than the budget.
            #[allow(clippy::arithmetic_side_effects)]
            let total = Perbill::from_rational(*own_points, points.total) * budget;
            earned.saturating_accrue(total);
            let claimed = ClaimedRewards::<T>::get(era, stash);
            if claimed.is_empty() {
                unclaimed.saturating_accrue(total);
                continue;
            }
            // A validator of the genesis set who was never elected is exposed nowhere and claims all in one page.
            let Some(overview) = ErasStakersOverview::<T>::get(era, stash) else {
                continue;
            };
            // A validator without nominators has one page.
            let pages = overview.page_count.max(1);
            for page in (0..pages).filter(|page| !claimed.contains(page)) {
                let others =
                    ErasStakersPaged::<T>::get((era, stash, page)).map_or(Zero::zero(), |p| p.page_total);
                let own = if page == 0 { overview.own } else { Zero::zero() };
                unclaimed.saturating_accrue(share(total, others.saturating_add(own), overview.total));
            }
        }
        // What the validators' shares, rounded down to billionths, left over was nobody's.
        (
            unclaimed.saturating_add(budget.saturating_sub(earned)),
            validators,
        )
    }

    #[cfg(feature = "runtime-benchmarks")]
    fn prepare(validators: u32) {
        use frame_benchmarking::account;
        use sp_staking::{ExposurePage, IndividualExposure, PagedExposureMetadata};
        let (depth, size) = (T::HistoryDepth::get(), T::MaxExposurePageSize::get());
        let (era, second_page): (EraIndex, sp_staking::Page) = (0, 1);
        CurrentEra::<T>::put(depth);
        ActiveEra::<T>::put(pallet_staking::ActiveEraInfo {
            index: 0,
            start: None,
        });
        ErasValidatorReward::<T>::insert(era, T::CurrencyBalance::from(1_000_000u64));
        let mut points = pallet_staking::EraRewardPoints::default();
        // The dearest case: of two full pages, one is claimed, so the other has to be read.
        let value = T::CurrencyBalance::from(1_000u64);
        let page: ExposurePage<T::AccountId, T::CurrencyBalance> = (0..size)
            .map(|n| IndividualExposure {
                who: account("nominator", n, 0),
                value,
            })
            .collect::<alloc::vec::Vec<_>>()
            .into();
        let total = page.page_total.saturating_mul(2u32.into());
        for n in 0..validators {
            let stash: T::AccountId = account("stash", n, 0);
            points.total.saturating_accrue(20);
            points.individual.insert(stash.clone(), 20);
            ClaimedRewards::<T>::insert(era, &stash, alloc::vec![0]);
            ErasStakersOverview::<T>::insert(
                era,
                &stash,
                PagedExposureMetadata {
                    total,
                    own: Zero::zero(),
                    nominator_count: size.saturating_mul(2),
                    page_count: 2,
                },
            );
            ErasStakersPaged::<T>::insert((era, &stash, second_page), &page);
        }
        ErasRewardPoints::<T>::insert(era, points);
    }
}

/// Wraps the session manager that plans eras: counts what is unclaimed of the era that planning drops, and returns it; then
/// goes on with the count of what can still be claimed.
pub struct ReturnExpired<T, Inner>(PhantomData<(T, Inner)>);

impl<T: Config, Inner> ReturnExpired<T, Inner> {
    fn around<R>(plan: impl FnOnce() -> R) -> R {
        // Whether a session plans an era is known only afterwards, when the dropped era's state is gone.
        let candidate: Option<(EraIndex, BalanceOf<T>)> = T::Eras::oldest().map(|era| {
            let (unclaimed, validators) = T::Eras::unclaimed(era);
            Pallet::<T>::charge(T::WeightInfo::return_expired(validators));
            (era, unclaimed)
        });
        let planned = plan();
        if let Some((era, unclaimed)) = candidate.filter(|(era, _)| !T::Eras::is_kept(*era)) {
            Pallet::<T>::return_expired(era, unclaimed);
        }
        Pallet::<T>::charge(T::WeightInfo::audit(Pallet::<T>::audit()));
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

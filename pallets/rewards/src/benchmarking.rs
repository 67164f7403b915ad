//! Benchmarks of the pallet's call and of the work it does in the hooks of others.

use crate::{staking::ReturnExpired, BalanceOf, Call, Config, Eras, InitialPot, Pallet};
use frame_benchmarking::v2::*;
use frame_support::traits::{
    fungible::{Inspect, Mutate},
    EnsureOrigin,
};
use sp_runtime::{traits::Bounded, Saturating};

/// Fills the pot to `units` existential deposits.
fn fill<T: Config>(units: u32) -> BalanceOf<T> {
    let amount = T::Currency::minimum_balance().saturating_mul(units.into());
    T::Currency::set_balance(&Pallet::<T>::pot_account(), amount);
    T::Currency::set_balance(&Pallet::<T>::payable_account(), amount);
    InitialPot::<T>::put(amount);
    amount
}

/// Drops the era that was prepared, as planning would.
struct Plan;
impl<V> pallet_session::SessionManager<V> for Plan {
    fn new_session(_: sp_staking::SessionIndex) -> Option<alloc::vec::Vec<V>> {
        None
    }
    fn start_session(_: sp_staking::SessionIndex) {}
    fn end_session(_: sp_staking::SessionIndex) {}
}

#[benchmarks]
mod benches {
    use super::*;

    #[benchmark]
    fn grant() -> Result<(), BenchmarkError> {
        let origin = T::GrantOrigin::try_successful_origin().map_err(|_| BenchmarkError::Weightless)?;
        fill::<T>(1_000_000);
        let to: T::AccountId = account("to", 0, 0);
        let amount = T::Currency::minimum_balance().saturating_mul(10u32.into());
        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, to.clone(), amount);
        assert_eq!(T::Currency::balance(&to), amount);
        Ok(())
    }

    #[benchmark]
    fn fund_era() {
        fill::<T>(1_000_000);
        InitialPot::<T>::put(BalanceOf::<T>::max_value());
        let before = Pallet::<T>::payable();
        #[block]
        {
            Pallet::<T>::fund_era(u64::MAX);
        }
        assert!(Pallet::<T>::payable() > before);
    }

    #[benchmark]
    fn return_expired(v: Linear<1, 300>) {
        fill::<T>(1_000_000);
        T::Eras::prepare(v);
        let era = T::Eras::oldest().unwrap_or_default();
        #[block]
        {
            let _ = <ReturnExpired<T, Plan> as pallet_session::SessionManager<T::AccountId>>::new_session(1);
            Pallet::<T>::return_expired(era, T::Currency::minimum_balance());
        }
        assert!(Pallet::<T>::pot() > T::Currency::minimum_balance());
    }
}

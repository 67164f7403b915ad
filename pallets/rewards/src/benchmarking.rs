//! Benchmarks of the pallet's call and of the work it does in the hooks of others.

use crate::{BalanceOf, Call, Config, Credits, Deficit, Eras, InitialPot, Owed, Pallet};
use frame_benchmarking::v2::*;
use frame_support::traits::{
    fungible::{Inspect, Mutate},
    EnsureOrigin,
};
use sp_runtime::{traits::Bounded, Saturating};

/// Fills the pot and the payable account, each with a billion existential deposits: enough to leave a spare after any count.
fn fill<T: Config>() -> BalanceOf<T> {
    let amount = T::Currency::minimum_balance().saturating_mul(1_000_000_000u32.into());
    T::Currency::set_balance(&Pallet::<T>::pot_account(), amount);
    T::Currency::set_balance(&Pallet::<T>::payable_account(), amount);
    InitialPot::<T>::put(amount);
    amount
}

#[benchmarks]
mod benches {
    use super::*;

    #[benchmark]
    fn grant() -> Result<(), BenchmarkError> {
        let origin = T::GrantOrigin::try_successful_origin().map_err(|_| BenchmarkError::Weightless)?;
        fill::<T>();
        let to: T::AccountId = account("to", 0, 0);
        let amount = T::Currency::minimum_balance().saturating_mul(10u32.into());
        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, to.clone(), amount);
        assert_eq!(T::Currency::balance(&to), amount);
        Ok(())
    }

    #[benchmark]
    fn claim() -> Result<(), BenchmarkError> {
        let who: T::AccountId = account("contributor", 0, 0);
        let amount = T::Currency::minimum_balance().saturating_mul(10u32.into());
        T::Currency::set_balance(&Pallet::<T>::fees_account(), amount.saturating_mul(2u32.into()));
        Credits::<T>::insert(&who, amount);
        Owed::<T>::put(amount);
        #[extrinsic_call]
        _(frame_system::RawOrigin::Signed(who.clone()));
        assert_eq!(T::Currency::balance(&who), amount);
        Ok(())
    }

    /// With a deficit to repay, which is the dearest.
    #[benchmark]
    fn fund_era() {
        fill::<T>();
        InitialPot::<T>::put(BalanceOf::<T>::max_value());
        Deficit::<T>::put(T::Currency::minimum_balance());
        let before = Pallet::<T>::payable();
        #[block]
        {
            Pallet::<T>::fund_era(u64::MAX);
        }
        assert!(Pallet::<T>::payable() > before);
    }

    #[benchmark]
    fn return_expired(v: Linear<1, 300>) {
        let filled = fill::<T>();
        T::Eras::prepare(v);
        let era = T::Eras::oldest().unwrap_or_default();
        #[block]
        {
            let (unclaimed, _) = T::Eras::unclaimed(era);
            Pallet::<T>::return_expired(era, unclaimed);
        }
        assert!(T::Currency::balance(&Pallet::<T>::pot_account()) > filled);
    }

    /// One era of `l` validators: a session stops counting soon after [`crate::AUDIT_LOOKUPS`].
    #[benchmark]
    fn audit(l: Linear<1, 800>) {
        fill::<T>();
        T::Eras::prepare(l);
        #[block]
        {
            Pallet::<T>::audit();
        }
        assert!(crate::Auditing::<T>::exists() || Pallet::<T>::payable() < Pallet::<T>::pot());
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}

//! Benchmarks of every call, and of what other pallets call.

use crate::{
    pallet::{Call, Config, Due, Frozen, Pallet, Pools, Stakers},
    BenchmarkHelper, Pool,
};
use frame_benchmarking::v2::*;
use frame_support::traits::{fungible::Mutate, Get};
use frame_system::RawOrigin;
use openledger_protocol::staking::MaxLeaving;
use openledger_traits::Stakes;

#[benchmarks]
mod benchmarks {
    use super::*;

    /// Many times the least stake.
    fn amount<T: Config>() -> u128 {
        T::MinStake::get().saturating_mul(100)
    }

    fn rich<T: Config>() -> T::AccountId {
        let who: T::AccountId = account("staker", 0, 0);
        let _ = T::Currency::mint_into(&who, amount::<T>().saturating_mul(1_000));
        who
    }

    /// The pot as genesis leaves it, a treasury, and a pool that can be staked in.
    fn world<T: Config>() -> Pool<T::AccountId> {
        let _ = T::Currency::mint_into(&Pallet::<T>::pot_account(), T::MinStake::get());
        let _ = T::Currency::mint_into(&T::Treasury::get(), T::MinStake::get());
        <T as Config>::BenchmarkHelper::pool()
    }

    /// A pool with one staker, and income on its way.
    fn staked<T: Config>() -> (Pool<T::AccountId>, T::AccountId) {
        let (pool, who) = (world::<T>(), rich::<T>());
        Pallet::<T>::stake(
            RawOrigin::Signed(who.clone()).into(),
            pool.clone(),
            amount::<T>(),
            0,
        )
        .unwrap();
        earn::<T>(&pool);
        let next = frame_system::Pallet::<T>::block_number() + 1u32.into();
        frame_system::Pallet::<T>::set_block_number(next);
        (pool, who)
    }

    fn earn<T: Config>(pool: &Pool<T::AccountId>) {
        let _ = T::Currency::mint_into(&Pallet::<T>::pot_account(), amount::<T>());
        Pallet::<T>::income(pool, amount::<T>()).unwrap();
    }

    fn shares<T: Config>(pool: &Pool<T::AccountId>, who: &T::AccountId) -> u128 {
        Stakers::<T>::get(pool, who).map_or(0, |staker| staker.shares)
    }

    /// A pool whose only staker asked all back in as many parts as it can, and has waited.
    fn leaving<T: Config>() -> (Pool<T::AccountId>, T::AccountId) {
        let (pool, who) = staked::<T>();
        let parts = <MaxLeaving as Get<u32>>::get();
        for part in 0..parts {
            let left = shares::<T>(&pool, &who);
            let gone = if part + 1 == parts { left } else { left / 10 };
            Pallet::<T>::unstake(RawOrigin::Signed(who.clone()).into(), pool.clone(), gone).unwrap();
        }
        let end = frame_system::Pallet::<T>::block_number() + T::UnbondingPeriod::get().into();
        frame_system::Pallet::<T>::set_block_number(end);
        (pool, who)
    }

    #[benchmark]
    fn stake() {
        let (pool, who) = (world::<T>(), rich::<T>());
        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), pool.clone(), amount::<T>(), 1);
        assert!(shares::<T>(&pool, &who) > 0);
    }

    #[benchmark]
    fn unstake() {
        let (pool, who) = staked::<T>();
        let all = shares::<T>(&pool, &who);
        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), pool.clone(), all);
        assert_eq!(shares::<T>(&pool, &who), 0);
    }

    #[benchmark]
    fn withdraw() {
        let (pool, who) = leaving::<T>();
        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), pool.clone());
        assert!(!Stakers::<T>::contains_key(&pool, &who));
        assert!(!Pools::<T>::contains_key(&pool));
    }

    #[benchmark]
    fn withdraw_for() {
        let (pool, who) = leaving::<T>();
        let anyone: T::AccountId = account("anyone", 0, 0);
        #[extrinsic_call]
        _(RawOrigin::Signed(anyone), pool.clone(), who.clone());
        assert!(!Stakers::<T>::contains_key(&pool, &who));
        assert!(!Pools::<T>::contains_key(&pool));
    }

    #[benchmark]
    fn income() {
        let (pool, who) = staked::<T>();
        // Nobody earns: the income has to be paid on.
        let all = shares::<T>(&pool, &who);
        Pallet::<T>::unstake(RawOrigin::Signed(who).into(), pool.clone(), all).unwrap();
        let _ = T::Currency::mint_into(&Pallet::<T>::pot_account(), amount::<T>());
        #[block]
        {
            Pallet::<T>::income(&pool, amount::<T>()).unwrap();
        }
        assert_eq!(Due::<T>::get(), 0);
    }

    #[benchmark]
    fn slash() {
        let (pool, who) = staked::<T>();
        let half = shares::<T>(&pool, &who) / 2;
        Pallet::<T>::unstake(RawOrigin::Signed(who).into(), pool.clone(), half).unwrap();
        let taken;
        #[block]
        {
            taken = Pallet::<T>::slash(&pool, amount::<T>() / 2);
        }
        assert_eq!(taken, amount::<T>() / 2);
    }

    #[benchmark]
    fn freeze() {
        let pool = world::<T>();
        #[block]
        {
            Pallet::<T>::freeze(&pool).unwrap();
        }
        assert!(Frozen::<T>::contains_key(&pool));
    }

    #[benchmark]
    fn thaw() {
        let pool = world::<T>();
        Pallet::<T>::freeze(&pool).unwrap();
        #[block]
        {
            Pallet::<T>::thaw(&pool);
        }
        assert!(!Frozen::<T>::contains_key(&pool));
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}

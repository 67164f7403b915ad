//! Benchmarks of every call.

use crate::pallet::{Call, Channels, Config, Pallet};
use frame_benchmarking::v2::*;
use frame_support::traits::{fungible::Mutate, Get};
use frame_system::RawOrigin;

#[benchmarks(where T::Currency: Mutate<T::AccountId, Balance = u128>)]
mod benchmarks {
    use super::*;

    fn rich<T: Config>(name: &'static str) -> T::AccountId
    where
        T::Currency: Mutate<T::AccountId, Balance = u128>,
    {
        let who: T::AccountId = account(name, 0, 0);
        let amount = T::MinDeposit::get().saturating_mul(1_000_000);
        let _ = T::Currency::mint_into(&who, amount);
        who
    }

    fn opened<T: Config>() -> T::AccountId
    where
        T::Currency: Mutate<T::AccountId, Balance = u128>,
    {
        let who = rich::<T>("consumer");
        let origin = RawOrigin::Signed(who.clone()).into();
        Pallet::<T>::open(origin, account("worker", 0, 0), T::MinDeposit::get()).unwrap();
        who
    }

    #[benchmark]
    fn open() {
        let who = rich::<T>("consumer");
        #[extrinsic_call]
        _(
            RawOrigin::Signed(who),
            account("worker", 0, 0),
            T::MinDeposit::get(),
        );
        assert!(Channels::<T>::contains_key(0));
    }

    #[benchmark]
    fn top_up() {
        let who = opened::<T>();
        #[extrinsic_call]
        _(RawOrigin::Signed(who), 0, T::MinDeposit::get());
        assert!(Channels::<T>::get(0).is_some_and(|channel| channel.deposit == T::MinDeposit::get() * 2));
    }

    #[benchmark]
    fn close() {
        let who = opened::<T>();
        #[extrinsic_call]
        _(RawOrigin::Signed(who), 0);
        assert!(Channels::<T>::get(0).is_some_and(|channel| channel.closing.is_some()));
    }

    #[benchmark]
    fn finish() {
        let who = opened::<T>();
        Pallet::<T>::close(RawOrigin::Signed(who.clone()).into(), 0).unwrap();
        frame_system::Pallet::<T>::set_block_number(T::ClosePeriod::get() + 1u32.into());
        #[extrinsic_call]
        _(RawOrigin::Signed(who), 0);
        assert!(!Channels::<T>::contains_key(0));
    }
}

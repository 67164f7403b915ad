//! Benchmarks of the pallet's calls.

use crate::{
    pallet::{
        Call, Challenges, Config, Contributions, Datanets, Duplicates, HoldReason, NextContribution,
        NextDatanet, Pallet, Reservations, VersionBonds, Versions,
    },
    MAX_WEIGHT,
};
use alloc::{boxed::Box, vec, vec::Vec};
use frame_benchmarking::v2::*;
use frame_support::traits::{
    fungible::{Inspect, InspectHold, Mutate},
    Get,
};
use frame_system::RawOrigin;
use openledger_attribution::{
    hash::Hash,
    record::{reservation, RecordId, RecordLeaf, VersionLeaf},
    tree::{Leaf, Opening, Root, Tree},
    verdict::{Duplicate, Neighbours, VersionEvidence},
};
use openledger_protocol::{
    datanets::{Curation, MaxCurators, Standing},
    disputes::{duplicate_commitment, version_commitment, Disputed},
    Cid, Name,
};
use sp_runtime::traits::Saturating;

const SALT: Hash = [7; 32];

/// An account with enough for any deposit.
fn funded<T: Config>(name: &'static str) -> T::AccountId
where
    T::Currency: Mutate<T::AccountId>,
{
    let who: T::AccountId = account(name, 0, 0);
    let deposits = [
        T::DatanetDeposit::get(),
        T::ReservationDeposit::get(),
        T::ContributionDeposit::get(),
        T::VersionDeposit::get(),
        T::ChallengeDeposit::get(),
    ];
    let needed = deposits
        .iter()
        .fold(T::Currency::minimum_balance(), |sum, deposit| {
            sum.saturating_add(*deposit)
        });
    T::Currency::set_balance(&who, needed.saturating_mul(100));
    who
}

fn longest_name() -> Name {
    Name::truncate_from([b'n'; 64].to_vec())
}

fn longest_cid() -> Cid {
    Cid::truncate_from([1; 64].to_vec())
}

fn root() -> Root {
    Root {
        count: 1,
        sum: 1,
        top: [1; 32],
    }
}

fn most_curators() -> u32 {
    <MaxCurators as Get<u32>>::get()
}

fn curators<T: Config>(count: u32) -> Curation<T::AccountId> {
    let list: Vec<T::AccountId> = (0..count).map(|at| account("curator", at, 0)).collect();
    Curation::Curators(list.try_into().unwrap_or_default())
}

fn created<T: Config>(curation: Curation<T::AccountId>) -> Result<T::AccountId, BenchmarkError>
where
    T::Currency: Mutate<T::AccountId>,
{
    let owner = funded::<T>("owner");
    Pallet::<T>::do_create(owner.clone(), longest_name(), longest_name(), curation)?;
    Ok(owner)
}

fn contributed<T: Config>() -> Result<u64, BenchmarkError>
where
    T::Currency: Mutate<T::AccountId>,
{
    let who = funded::<T>("contributor");
    let datanet = NextDatanet::<T>::get().saturating_sub(1);
    let commitment = reservation(&who.clone().into(), datanet, &SALT, &root().hash::<RecordLeaf>());
    Pallet::<T>::do_reserve(who.clone(), commitment)?;
    Pallet::<T>::do_contribute(who, datanet, &SALT, root(), longest_cid())?;
    Ok(NextContribution::<T>::get().saturating_sub(1))
}

fn later<T: Config>() {
    let now = frame_system::Pallet::<T>::block_number();
    frame_system::Pallet::<T>::set_block_number(now.saturating_add(1u32.into()));
}

const BROKEN: BenchmarkError = BenchmarkError::Stop("the benchmark's tree cannot be opened");

/// Bytes of evidence beside its paths, and those of one level of both.
const BESIDE_PATHS: u32 = 200;
const LEVEL: u32 = 96;

/// A tree of equal leaves whose first two are opened in about `bytes`.
fn equal<L: Leaf + Clone>(leaf: L, bytes: u32) -> Option<(Root, Opening<L>, Opening<L>)> {
    let levels = bytes
        .saturating_sub(BESIDE_PATHS)
        .checked_div(LEVEL)?
        .clamp(1, 12);
    let leaves = vec![leaf.clone(); 1usize.checked_shl(levels)?];
    let tree = Tree::new(&leaves).ok()?;
    Some((tree.root(), tree.open(0, &leaf)?, tree.open(1, &leaf)?))
}

/// A version whose records are all the same, and the evidence of it.
fn disordered<T: Config>(bytes: u32) -> Result<VersionEvidence, BenchmarkError>
where
    T::Currency: Mutate<T::AccountId>,
{
    let owner = created::<T>(curators::<T>(most_curators()))?;
    let record = RecordId {
        contribution: 0,
        index: 0,
    };
    let leaf = VersionLeaf {
        record,
        contributor: [1; 32],
        content: SALT,
        representative: record,
    };
    let (root, left, right) = equal(leaf, bytes).ok_or(BROKEN)?;
    Pallet::<T>::do_publish(owner, 0, None, root, longest_cid())?;
    Ok(VersionEvidence::Order(Neighbours { left, right }))
}

const ABOUT: Disputed = Disputed::Version {
    datanet: 0,
    version: 0,
};

#[benchmarks(where T::Currency: Mutate<T::AccountId>)]
mod benches {
    use super::*;

    #[benchmark]
    fn create(c: Linear<1, 16>) {
        let who = funded::<T>("owner");
        #[extrinsic_call]
        _(
            RawOrigin::Signed(who),
            longest_name(),
            longest_name(),
            curators::<T>(c),
        );
        assert_eq!(Datanets::<T>::iter().count(), 1);
    }

    #[benchmark]
    fn reserve() {
        let who = funded::<T>("contributor");
        #[extrinsic_call]
        _(RawOrigin::Signed(who), SALT);
        assert!(Reservations::<T>::contains_key(SALT));
    }

    #[benchmark]
    fn contribute() -> Result<(), BenchmarkError> {
        created::<T>(curators::<T>(most_curators()))?;
        let who = funded::<T>("contributor");
        let commitment = reservation(&who.clone().into(), 0, &SALT, &root().hash::<RecordLeaf>());
        Pallet::<T>::do_reserve(who.clone(), commitment)?;
        #[extrinsic_call]
        _(RawOrigin::Signed(who), 0, SALT, root(), longest_cid());
        assert!(Contributions::<T>::contains_key(0));
        Ok(())
    }

    /// The curator is the last of the list.
    #[benchmark]
    fn accept() -> Result<(), BenchmarkError> {
        created::<T>(curators::<T>(most_curators()))?;
        let contribution = contributed::<T>()?;
        let curator: T::AccountId = account("curator", most_curators().saturating_sub(1), 0);
        #[extrinsic_call]
        _(RawOrigin::Signed(curator), contribution, MAX_WEIGHT);
        assert!(Contributions::<T>::get(contribution).is_some_and(|entry| entry.deposit == 0));
        Ok(())
    }

    #[benchmark]
    fn reject() -> Result<(), BenchmarkError> {
        created::<T>(curators::<T>(most_curators()))?;
        let contribution = contributed::<T>()?;
        let curator: T::AccountId = account("curator", most_curators().saturating_sub(1), 0);
        #[extrinsic_call]
        _(RawOrigin::Signed(curator), contribution);
        assert!(
            Contributions::<T>::get(contribution).is_some_and(|entry| entry.standing == Standing::Rejected)
        );
        Ok(())
    }

    #[benchmark]
    fn mature() -> Result<(), BenchmarkError> {
        created::<T>(Curation::Open)?;
        let contribution = contributed::<T>()?;
        let now = frame_system::Pallet::<T>::block_number();
        frame_system::Pallet::<T>::set_block_number(now.saturating_add(T::CurationWindow::get()));
        #[extrinsic_call]
        _(RawOrigin::Signed(whitelisted_caller()), contribution);
        assert!(Contributions::<T>::get(contribution).is_some_and(|entry| entry.deposit == 0));
        Ok(())
    }

    #[benchmark]
    fn publish() -> Result<(), BenchmarkError> {
        let owner = created::<T>(curators::<T>(most_curators()))?;
        Pallet::<T>::do_publish(owner.clone(), 0, None, root(), longest_cid())?;
        #[extrinsic_call]
        _(RawOrigin::Signed(owner), 0, Some(0), root(), longest_cid());
        assert!(Versions::<T>::contains_key(0, 1));
        Ok(())
    }

    #[benchmark]
    fn release() -> Result<(), BenchmarkError> {
        let who = funded::<T>("contributor");
        Pallet::<T>::do_reserve(who.clone(), SALT)?;
        let past = T::ReservationPeriod::get().saturating_add(1u32.into());
        let now = frame_system::Pallet::<T>::block_number();
        frame_system::Pallet::<T>::set_block_number(now.saturating_add(past));
        #[extrinsic_call]
        _(RawOrigin::Signed(whitelisted_caller()), SALT);
        assert_eq!(
            T::Currency::balance_on_hold(&HoldReason::Reservation.into(), &who),
            0
        );
        Ok(())
    }

    #[benchmark]
    fn challenge() -> Result<(), BenchmarkError> {
        disordered::<T>(0)?;
        let who = funded::<T>("challenger");
        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), ABOUT, SALT);
        assert!(Challenges::<T>::contains_key(ABOUT, who));
        Ok(())
    }

    /// `b` is the length of the evidence in bytes.
    #[benchmark]
    fn prove_version(b: Linear<300, 1_300>) -> Result<(), BenchmarkError> {
        let evidence = disordered::<T>(b)?;
        let who = funded::<T>("challenger");
        let commitment = version_commitment(&who.clone().into(), 0, 0, &SALT, &evidence);
        Pallet::<T>::do_challenge(who.clone(), ABOUT, commitment)?;
        later::<T>();
        #[extrinsic_call]
        _(RawOrigin::Signed(who), 0, 0, SALT, Box::new(evidence));
        assert!(VersionBonds::<T>::get(0, 0).is_some_and(|bond| bond.void.is_some()));
        Ok(())
    }

    /// `b` is the length of the evidence in bytes.
    #[benchmark]
    fn prove_duplicate(b: Linear<300, 1_300>) -> Result<(), BenchmarkError> {
        created::<T>(curators::<T>(most_curators()))?;
        let contributor = funded::<T>("contributor");
        let leaf = RecordLeaf {
            content: SALT,
            bytes: 1,
        };
        let (root, original, copy) = equal(leaf, b).ok_or(BROKEN)?;
        let reserved = reservation(&contributor.clone().into(), 0, &SALT, &root.hash::<RecordLeaf>());
        Pallet::<T>::do_reserve(contributor.clone(), reserved)?;
        Pallet::<T>::do_contribute(contributor, 0, &SALT, root, longest_cid())?;
        let evidence = Duplicate {
            first: 0,
            original,
            second: 0,
            copy,
        };
        let who = funded::<T>("challenger");
        let commitment = duplicate_commitment(&who.clone().into(), &SALT, &evidence);
        Pallet::<T>::do_challenge(who.clone(), Disputed::Contribution(0), commitment)?;
        later::<T>();
        #[extrinsic_call]
        _(RawOrigin::Signed(who), SALT, Box::new(evidence));
        assert!(Duplicates::<T>::contains_key(0));
        Ok(())
    }

    #[benchmark]
    fn lapse() -> Result<(), BenchmarkError> {
        disordered::<T>(0)?;
        let who = funded::<T>("challenger");
        Pallet::<T>::do_challenge(who.clone(), ABOUT, SALT)?;
        let past = T::ProvePeriod::get().saturating_add(1u32.into());
        let now = frame_system::Pallet::<T>::block_number();
        frame_system::Pallet::<T>::set_block_number(now.saturating_add(past));
        #[extrinsic_call]
        _(RawOrigin::Signed(whitelisted_caller()), ABOUT, who.clone());
        assert!(!Challenges::<T>::contains_key(ABOUT, who));
        Ok(())
    }

    #[benchmark]
    fn free_version() -> Result<(), BenchmarkError> {
        disordered::<T>(0)?;
        let now = frame_system::Pallet::<T>::block_number();
        frame_system::Pallet::<T>::set_block_number(now.saturating_add(T::VersionWindow::get()));
        #[extrinsic_call]
        _(RawOrigin::Signed(whitelisted_caller()), 0, 0);
        assert!(VersionBonds::<T>::get(0, 0).is_some_and(|bond| bond.deposit == 0));
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}

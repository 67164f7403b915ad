//! What must hold between any two blocks.

#![cfg(any(feature = "std", feature = "try-runtime", test))]

use crate::{
    pallet::{
        ChallengeCounts, Challenges, Config, Contributions, Datanets, Duplicates, HoldReason,
        NextContribution, NextDatanet, Pallet, Reservations, VersionBonds, Versions,
    },
    MAX_CHALLENGES, MAX_WEIGHT,
};
use alloc::collections::BTreeMap;
use frame_support::{ensure, traits::fungible::InspectHold};
use openledger_attribution::hash::Account;
use openledger_protocol::{datanets::Standing, disputes::Disputed};
use sp_runtime::TryRuntimeError;

impl<T: Config> Pallet<T> {
    /// Checks the state against itself and against what is held.
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        Self::try_state_ids_are_below_next()?;
        Self::try_state_versions_are_contiguous()?;
        Self::try_state_standings_are_possible()?;
        Self::try_state_disputes_are_counted()?;
        Self::try_state_holds_equal_deposits()
    }

    /// Every number was given out, and contributions name Datanets that exist.
    fn try_state_ids_are_below_next() -> Result<(), TryRuntimeError> {
        let next = NextDatanet::<T>::get();
        ensure!(
            Datanets::<T>::iter_keys().all(|id| id < next),
            "datanets: a Datanet has a number that was not given out"
        );
        let next = NextContribution::<T>::get();
        ensure!(
            Contributions::<T>::iter_keys().all(|id| id < next),
            "datanets: a contribution has a number that was not given out"
        );
        ensure!(
            Contributions::<T>::iter_values().all(|entry| Datanets::<T>::contains_key(entry.datanet)),
            "datanets: a contribution is in a Datanet that does not exist"
        );
        Ok(())
    }

    /// A Datanet's versions are 0, 1, … without a gap, each grown out of an earlier one or none.
    fn try_state_versions_are_contiguous() -> Result<(), TryRuntimeError> {
        let mut counted: BTreeMap<u64, u32> = BTreeMap::new();
        for (datanet, version, entry) in Versions::<T>::iter() {
            let count = counted.entry(datanet).or_default();
            *count = count.saturating_add(1);
            ensure!(
                Datanets::<T>::get(datanet).is_some_and(|datanet| version < datanet.versions),
                "datanets: a version was not counted"
            );
            ensure!(
                entry.parent.is_none_or(|parent| parent < version),
                "datanets: a version grew out of itself or a later one"
            );
        }
        ensure!(
            Datanets::<T>::iter()
                .all(|(id, datanet)| counted.get(&id).copied().unwrap_or(0) == datanet.versions),
            "datanets: a counted version is missing"
        );
        Ok(())
    }

    /// Only pending contributions have a deposit, and accepted ones a weight in range.
    fn try_state_standings_are_possible() -> Result<(), TryRuntimeError> {
        for entry in Contributions::<T>::iter_values() {
            let is_possible = match entry.standing {
                Standing::Pending => true,
                Standing::Accepted { weight } => entry.deposit == 0 && (1..=MAX_WEIGHT).contains(&weight),
                Standing::Rejected => entry.deposit == 0,
            };
            ensure!(
                is_possible,
                "datanets: a contribution was decided and its deposit not given back, or has no possible weight"
            );
            ensure!(
                entry.reserved <= entry.since,
                "datanets: a contribution came before its reservation"
            );
        }
        Ok(())
    }

    /// Challenges are counted and about what there is, nothing stands behind a version proved wrong, and no duplicate waits to
    /// be decided.
    fn try_state_disputes_are_counted() -> Result<(), TryRuntimeError> {
        let mut counted: BTreeMap<Disputed, u32> = BTreeMap::new();
        for (about, _, _) in Challenges::<T>::iter() {
            let count = counted.entry(about).or_default();
            *count = count.saturating_add(1);
            let is_there = match about {
                Disputed::Version { datanet, version } => VersionBonds::<T>::contains_key(datanet, version),
                Disputed::Contribution(id) => Contributions::<T>::contains_key(id),
            };
            ensure!(is_there, "datanets: a challenge is about nothing there is");
        }
        ensure!(
            counted.values().all(|count| *count <= MAX_CHALLENGES)
                && counted == ChallengeCounts::<T>::iter().collect::<BTreeMap<_, _>>(),
            "datanets: other challenges are counted than there are"
        );
        for (datanet, version, bond) in VersionBonds::<T>::iter() {
            ensure!(
                Versions::<T>::contains_key(datanet, version) && (bond.void.is_none() || bond.deposit == 0),
                "datanets: a deposit stands behind no version, or one proved wrong"
            );
        }
        for id in Duplicates::<T>::iter_keys() {
            ensure!(
                Contributions::<T>::get(id)
                    .is_some_and(|entry| entry.standing != Standing::Pending && entry.deposit == 0),
                "datanets: a duplicate waits to be decided, or has a deposit"
            );
        }
        Ok(())
    }

    /// What is held from each account is what its deposits add up to.
    fn try_state_holds_equal_deposits() -> Result<(), TryRuntimeError> {
        let of = |reason, deposits: &mut dyn Iterator<Item = (T::AccountId, u128)>| {
            let mut sums: BTreeMap<Account, u128> = BTreeMap::new();
            for (who, deposit) in deposits {
                let sum = sums.entry(who.into()).or_default();
                *sum = sum.saturating_add(deposit);
            }
            let reason = T::RuntimeHoldReason::from(reason);
            sums.into_iter()
                .all(|(who, sum)| T::Currency::balance_on_hold(&reason, &who.into()) == sum)
        };
        ensure!(
            of(
                HoldReason::Datanet,
                &mut Datanets::<T>::iter_values().map(|entry| (entry.creator, entry.deposit)),
            ),
            "datanets: a creator's hold is not the sum of its Datanets' deposits"
        );
        ensure!(
            of(
                HoldReason::Reservation,
                &mut Reservations::<T>::iter_values().map(|entry| (entry.who, entry.deposit)),
            ),
            "datanets: an account's hold is not the sum of its reservations' deposits"
        );
        ensure!(
            of(
                HoldReason::Version,
                &mut VersionBonds::<T>::iter_values().map(|bond| (bond.publisher, bond.deposit)),
            ),
            "datanets: a publisher's hold is not the sum of its versions' deposits"
        );
        ensure!(
            of(
                HoldReason::Challenge,
                &mut Challenges::<T>::iter().map(|(_, who, challenge)| (who, challenge.deposit)),
            ),
            "datanets: a challenger's hold is not the sum of its deposits"
        );
        ensure!(
            of(
                HoldReason::Contribution,
                &mut Contributions::<T>::iter_values().map(|entry| (entry.contributor, entry.deposit)),
            ),
            "datanets: a contributor's hold is not the sum of its contributions' deposits"
        );
        Ok(())
    }
}

//! What the calls do. Every function that fails is called inside a dispatch, which then changes nothing.

use crate::{
    pallet::{
        Config, Contributions, Datanets, Error, Event, HoldReason, NextContribution, NextDatanet, Pallet,
        Reservations, VersionBonds, Versions,
    },
    MAX_WEIGHT,
};
use frame_support::{
    dispatch::DispatchResult,
    ensure,
    traits::{fungible::MutateHold, tokens::Precision, Get},
};
use frame_system::pallet_prelude::BlockNumberFor;
use openledger_attribution::{
    hash::Hash,
    record::{reservation, RecordLeaf, VersionLeaf},
    tree::Root,
};
use openledger_protocol::{
    datanets::{Contribution, Curation, Datanet, Reservation, Standing, Version},
    disputes::VersionBond,
    is_name, Cid, Name,
};
use openledger_traits::{Asset, Ownership};
use sp_runtime::{DispatchError, SaturatedConversion};

impl<T: Config> Pallet<T> {
    pub(crate) fn do_create(
        who: T::AccountId,
        name: Name,
        licence: Name,
        curation: Curation<T::AccountId>,
    ) -> DispatchResult {
        ensure!(is_name(&name), Error::<T>::BadName);
        ensure!(is_name(&licence), Error::<T>::BadLicence);
        if let Curation::Curators(curators) = &curation {
            let mut rest = curators.iter();
            let mut distinct = !curators.is_empty();
            while let Some(curator) = rest.next() {
                distinct &= !rest.as_slice().contains(curator);
            }
            ensure!(distinct, Error::<T>::BadCurators);
        }
        let datanet = NextDatanet::<T>::get();
        NextDatanet::<T>::put(datanet.checked_add(1).ok_or(Error::<T>::NoNumberLeft)?);
        let deposit = T::DatanetDeposit::get();
        Self::hold(HoldReason::Datanet, &who, deposit)?;
        T::Ownership::mint(Asset::Datanet(datanet), &who)?;
        Datanets::<T>::insert(
            datanet,
            Datanet {
                name,
                licence,
                curation,
                creator: who.clone(),
                deposit,
                versions: 0,
            },
        );
        Self::deposit_event(Event::Created { datanet, who });
        Ok(())
    }

    pub(crate) fn do_reserve(who: T::AccountId, commitment: Hash) -> DispatchResult {
        ensure!(
            !Reservations::<T>::contains_key(commitment),
            Error::<T>::AlreadyReserved
        );
        let deposit = T::ReservationDeposit::get();
        Self::hold(HoldReason::Reservation, &who, deposit)?;
        let since = Self::now();
        let expires = since.saturating_add(Self::height(T::ReservationPeriod::get()));
        Reservations::<T>::insert(
            commitment,
            Reservation {
                who: who.clone(),
                deposit,
                since,
                expires,
            },
        );
        Self::deposit_event(Event::Reserved {
            commitment,
            who,
            expires,
        });
        Ok(())
    }

    pub(crate) fn do_contribute(
        who: T::AccountId,
        datanet: u64,
        salt: &Hash,
        records: Root,
        cid: Cid,
    ) -> DispatchResult {
        ensure!(Datanets::<T>::contains_key(datanet), Error::<T>::UnknownDatanet);
        Self::check_contributed(&records)?;
        ensure!(!cid.is_empty(), Error::<T>::NoCid);
        let commitment = reservation(&who.clone().into(), datanet, salt, &records.hash::<RecordLeaf>());
        let reserved = Reservations::<T>::take(commitment).ok_or(Error::<T>::NotReserved)?;
        // The hash has the account in it, so nobody else can use a reservation; but it can be seen and made first.
        ensure!(reserved.who == who, Error::<T>::ReservedByAnother);
        let since = Self::now();
        ensure!(since <= reserved.expires, Error::<T>::ReservationExpired);
        let contribution = NextContribution::<T>::get();
        NextContribution::<T>::put(contribution.checked_add(1).ok_or(Error::<T>::NoNumberLeft)?);
        // The two deposits may differ: what a reservation costs can have been changed since it was made.
        let deposit = T::ContributionDeposit::get();
        Self::give_back(HoldReason::Reservation, &who, reserved.deposit)?;
        Self::hold(HoldReason::Contribution, &who, deposit)?;
        Contributions::<T>::insert(
            contribution,
            Contribution {
                datanet,
                contributor: who.clone(),
                records,
                cid,
                reserved: reserved.since,
                since,
                deposit,
                standing: Standing::Pending,
            },
        );
        Self::deposit_event(Event::Contributed {
            contribution,
            datanet,
            who,
            records: records.count,
            bytes: records.sum,
        });
        Ok(())
    }

    pub(crate) fn do_accept(who: T::AccountId, contribution: u64, weight: u16) -> DispatchResult {
        ensure!((1..=MAX_WEIGHT).contains(&weight), Error::<T>::BadWeight);
        Self::decide(contribution, Standing::Accepted { weight }, |_, curation| {
            Self::ensure_curator(&who, curation)
        })?;
        Self::deposit_event(Event::Accepted {
            contribution,
            curator: Some(who),
            weight,
        });
        Ok(())
    }

    pub(crate) fn do_reject(who: T::AccountId, contribution: u64) -> DispatchResult {
        Self::decide(contribution, Standing::Rejected, |_, curation| {
            Self::ensure_curator(&who, curation)
        })?;
        Self::deposit_event(Event::Rejected {
            contribution,
            curator: who,
        });
        Ok(())
    }

    pub(crate) fn do_mature(contribution: u64) -> DispatchResult {
        let weight = MAX_WEIGHT;
        Self::decide(
            contribution,
            Standing::Accepted { weight },
            |pending, curation| {
                ensure!(*curation == Curation::Open, Error::<T>::Curated);
                let window = Self::height(T::CurationWindow::get());
                ensure!(
                    Self::now() >= pending.since.saturating_add(window),
                    Error::<T>::WindowOpen
                );
                Ok(())
            },
        )?;
        Self::deposit_event(Event::Accepted {
            contribution,
            curator: None,
            weight,
        });
        Ok(())
    }

    pub(crate) fn do_publish(
        who: T::AccountId,
        datanet: u64,
        parent: Option<u32>,
        records: Root,
        cid: Cid,
    ) -> DispatchResult {
        let mut entry = Datanets::<T>::get(datanet).ok_or(Error::<T>::UnknownDatanet)?;
        ensure!(
            T::Ownership::owner(Asset::Datanet(datanet)).as_ref() == Some(&who),
            Error::<T>::NotOwner
        );
        let version = entry.versions;
        ensure!(
            parent.is_none_or(|parent| parent < version),
            Error::<T>::UnknownParent
        );
        // The sum counts representatives: every family has one, and no version has more of them than records.
        ensure!(
            records.is_possible() && records.sum > 0 && records.sum <= u128::from(records.count),
            Error::<T>::ImpossibleRoot
        );
        ensure!(!cid.is_empty(), Error::<T>::NoCid);
        entry.versions = version.checked_add(1).ok_or(Error::<T>::NoNumberLeft)?;
        Datanets::<T>::insert(datanet, entry);
        Versions::<T>::insert(
            datanet,
            version,
            Version {
                parent,
                records,
                cid,
                published: Self::now(),
            },
        );
        let deposit = T::VersionDeposit::get();
        Self::hold(HoldReason::Version, &who, deposit)?;
        VersionBonds::<T>::insert(
            datanet,
            version,
            VersionBond {
                publisher: who.clone(),
                deposit,
                closes: Self::now().saturating_add(Self::height(T::VersionWindow::get())),
                void: None,
            },
        );
        Self::deposit_event(Event::Published {
            datanet,
            version,
            who,
            records: records.hash::<VersionLeaf>(),
        });
        Ok(())
    }

    pub(crate) fn do_release(commitment: Hash) -> DispatchResult {
        let reserved = Reservations::<T>::take(commitment).ok_or(Error::<T>::UnknownReservation)?;
        ensure!(Self::now() > reserved.expires, Error::<T>::ReservationLive);
        Self::give_back(HoldReason::Reservation, &reserved.who, reserved.deposit)?;
        Self::deposit_event(Event::Released {
            commitment,
            who: reserved.who,
            deposit: reserved.deposit,
        });
        Ok(())
    }

    /// Gives a pending contribution its standing if `may` allows it, and its deposit back.
    fn decide(
        contribution: u64,
        standing: Standing,
        may: impl FnOnce(&Contribution<T::AccountId>, &Curation<T::AccountId>) -> DispatchResult,
    ) -> DispatchResult {
        Contributions::<T>::try_mutate(contribution, |slot| {
            let entry = slot.as_mut().ok_or(Error::<T>::UnknownContribution)?;
            let datanet = Datanets::<T>::get(entry.datanet).ok_or(Error::<T>::UnknownDatanet)?;
            ensure!(entry.standing == Standing::Pending, Error::<T>::AlreadyDecided);
            may(entry, &datanet.curation)?;
            Self::give_back(HoldReason::Contribution, &entry.contributor, entry.deposit)?;
            entry.deposit = 0;
            entry.standing = standing;
            Ok::<_, DispatchError>(())
        })
    }

    fn ensure_curator(who: &T::AccountId, curation: &Curation<T::AccountId>) -> DispatchResult {
        let is_curator = matches!(curation, Curation::Curators(curators) if curators.contains(who));
        ensure!(is_curator, Error::<T>::NotCurator);
        Ok(())
    }

    /// Whether a contribution can have this root: its count is of records and its sum of their bytes.
    fn check_contributed(records: &Root) -> DispatchResult {
        let count = u128::from(records.count);
        ensure!(
            records.is_possible() && count > 0 && records.sum >= count,
            Error::<T>::ImpossibleRoot
        );
        ensure!(
            records.count <= u64::from(T::MaxRecords::get()),
            Error::<T>::TooManyRecords
        );
        let most = count.saturating_mul(u128::from(T::MaxRecordBytes::get()));
        ensure!(records.sum <= most, Error::<T>::RecordsTooLong);
        Ok(())
    }

    pub(crate) fn hold(reason: HoldReason, who: &T::AccountId, amount: u128) -> DispatchResult {
        if amount == 0 {
            return Ok(());
        }
        T::Currency::hold(&reason.into(), who, amount)
    }

    pub(crate) fn give_back(reason: HoldReason, who: &T::AccountId, amount: u128) -> DispatchResult {
        if amount == 0 {
            return Ok(());
        }
        T::Currency::release(&reason.into(), who, amount, Precision::Exact).map(drop)
    }

    pub(crate) fn now() -> u32 {
        Self::height(frame_system::Pallet::<T>::block_number())
    }

    pub(crate) fn height(blocks: BlockNumberFor<T>) -> u32 {
        blocks.saturated_into()
    }
}

impl<T: Config> openledger_traits::Datanets for Pallet<T> {
    fn version(datanet: u64, version: u32) -> Option<Root> {
        Versions::<T>::get(datanet, version).map(|version| version.records)
    }

    fn is_usable(datanet: u64, version: u32) -> bool {
        Versions::<T>::contains_key(datanet, version)
            && VersionBonds::<T>::get(datanet, version).is_none_or(|bond| bond.void.is_none())
    }
}

//! Requests for data: who commits to something has to be able to show it.

use crate::{
    pallet::{Batches, Config, Error, Event, HoldReason, Indexes, OpenCases, OpenRequests, Pallet, Requests},
    Batch, BatchStage, Committed, Request, MAX_REQUESTS, MAX_SUFFIXES,
};
use frame_support::{
    dispatch::DispatchResult,
    ensure,
    traits::{
        fungible::MutateHold,
        tokens::{Fortitude, Precision, Restriction},
        Get,
    },
};
use openledger_attribution::{
    hash::Hash,
    index::IndexHeader,
    verdict::{judge_reveal, Reveal, RevealFacts, Verdict, Wanted},
};
use sp_runtime::{DispatchError, SaturatedConversion};

/// Whoever is asked, and what it committed to.
enum Holder<A> {
    Batch(u64, Batch<A>),
    Index(Hash, IndexHeader, A),
}

impl<T: Config> Pallet<T> {
    /// Requests that are not answered.
    pub(crate) fn open_requests(source: &Committed) -> u32 {
        OpenRequests::<T>::get(source)
    }

    /// Whether nothing about it is before a committee or asked for.
    pub(crate) fn is_undisputed(source: &Committed) -> bool {
        Self::open_requests(source) == 0 && OpenCases::<T>::get(source) == 0
    }

    /// Who has to answer for `source`, if it can still be condemned.
    fn holder(source: &Committed) -> Result<Holder<T::AccountId>, DispatchError> {
        match source {
            Committed::Batch(id) => {
                let batch = Batches::<T>::get(id).ok_or(Error::<T>::NoBatch)?;
                ensure!(batch.stage == BatchStage::Open, Error::<T>::WrongStage);
                Ok(Holder::Batch(*id, batch))
            }
            Committed::Index(index) => {
                let bond = Self::disputable(index)?;
                let header = Indexes::<T>::get(index).ok_or(Error::<T>::NoIndex)?.header;
                Ok(Holder::Index(*index, header, bond.builder))
            }
        }
    }

    fn facts(holder: &Holder<T::AccountId>) -> RevealFacts<'_> {
        match holder {
            Holder::Batch(id, batch) => RevealFacts {
                batch: Some(&batch.header),
                credits: Self::credits(*id, batch),
                ..Default::default()
            },
            Holder::Index(_, header, _) => RevealFacts {
                index: Some(header),
                ..Default::default()
            },
        }
    }

    pub(crate) fn do_request_reveal(who: T::AccountId, source: Committed, wanted: Wanted) -> DispatchResult {
        let mut holder = Self::holder(&source)?;
        let is_bounded = !matches!(wanted, Wanted::Suffixes((_, _, length)) if length > MAX_SUFFIXES);
        ensure!(
            is_bounded && Self::facts(&holder).can_ask(&wanted),
            Error::<T>::CannotAsk
        );
        ensure!(
            !Requests::<T>::contains_key(source, wanted),
            Error::<T>::AlreadyAsked
        );
        let open = Self::open_requests(&source);
        ensure!(open < MAX_REQUESTS, Error::<T>::TooManyRequests);
        let period: u32 = T::RevealPeriod::get().saturated_into();
        let until = Self::now().saturating_add(period);
        if let Holder::Batch(id, batch) = &mut holder {
            // Only in the window proper: else requests could keep a batch open for ever.
            let end = Self::window_end(*id, batch).ok_or(Error::<T>::WrongStage)?;
            ensure!(Self::now() < end, Error::<T>::TooLate);
            // Whoever sees the answer in the last block has as long again to challenge it.
            batch.closes = batch.closes.max(until.saturating_add(period).saturating_add(1));
            Batches::<T>::insert(*id, batch);
        }
        let price = T::RevealPrice::get();
        T::Currency::hold(&HoldReason::Request.into(), &who, price)?;
        OpenRequests::<T>::insert(source, open.saturating_add(1));
        Requests::<T>::insert(
            source,
            wanted,
            Request {
                who: who.clone(),
                price,
                until,
            },
        );
        Self::deposit_event(Event::Requested {
            source,
            wanted,
            who,
            until,
        });
        Ok(())
    }

    pub(crate) fn do_reveal(source: Committed, wanted: Wanted, shown: &Reveal) -> DispatchResult {
        let request = Requests::<T>::get(source, wanted).ok_or(Error::<T>::NoRequest)?;
        let holder = Self::holder(&source)?;
        ensure!(Self::now() <= request.until, Error::<T>::TooLate);
        ensure!(
            Self::facts(&holder).answers(&wanted, shown),
            Error::<T>::NotAnswered
        );
        Self::close(&source, &wanted);
        let holder = match holder {
            Holder::Batch(_, batch) => batch.worker,
            Holder::Index(_, _, builder) => builder,
        };
        if holder == request.who {
            Self::refund(&request)?;
        } else {
            T::Currency::transfer_on_hold(
                &HoldReason::Request.into(),
                &request.who,
                &holder,
                request.price,
                Precision::BestEffort,
                Restriction::Free,
                Fortitude::Force,
            )?;
        }
        Self::deposit_event(Event::Revealed {
            source,
            wanted,
            holder,
            price: request.price,
        });
        Ok(())
    }

    pub(crate) fn do_end_request(source: Committed, wanted: Wanted) -> DispatchResult {
        let request = Requests::<T>::get(source, wanted).ok_or(Error::<T>::NoRequest)?;
        if let Ok(holder) = Self::holder(&source) {
            ensure!(Self::now() > request.until, Error::<T>::TooEarly);
            let verdict = judge_reveal(
                &Self::facts(&holder),
                &wanted,
                None,
                request.until.into(),
                Self::now().into(),
            );
            if let Verdict::Guilty(guilt) = verdict {
                let challenger = Some(request.who.clone());
                match holder {
                    Holder::Batch(id, batch) => Self::condemn(id, batch, challenger, guilt, None)?,
                    Holder::Index(index, header, _) => {
                        let bond = Self::disputable(&index)?;
                        Self::void(index, bond, &header, challenger, guilt);
                    }
                }
            }
        }
        Self::close(&source, &wanted);
        Self::refund(&request)?;
        Self::deposit_event(Event::RequestEnded {
            source,
            wanted,
            who: request.who,
            price: request.price,
        });
        Ok(())
    }

    fn refund(request: &Request<T::AccountId>) -> DispatchResult {
        T::Currency::release(
            &HoldReason::Request.into(),
            &request.who,
            request.price,
            Precision::BestEffort,
        )?;
        Ok(())
    }

    fn close(source: &Committed, wanted: &Wanted) {
        Requests::<T>::remove(source, wanted);
        OpenRequests::<T>::mutate_exists(source, |open| {
            *open = open.map(|open| open.saturating_sub(1)).filter(|open| *open > 0);
        });
    }
}

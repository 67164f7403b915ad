//! What must hold between any two blocks.

#![cfg(any(feature = "std", feature = "try-runtime", test))]

use crate::{
    pallet::{Answers, Cases, Claims, Config, HoldReason, Members, NextCase, Pallet, SeatsOf},
    CaseStage, Progress,
};
use alloc::collections::{BTreeMap, BTreeSet};
use frame_support::{
    ensure,
    traits::{fungible::InspectHold, Get},
};
use openledger_attribution::hash::Account;
use openledger_protocol::committees::{MAX_ANSWERS, MAX_SIZE};
use sp_runtime::TryRuntimeError;

impl<T: Config> Pallet<T> {
    /// Checks cases against their seats, what they keep and what is held for them.
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        Self::try_state_members()?;
        Self::try_state_cases()?;
        Self::try_state_seats()?;
        Self::try_state_kept()?;
        Self::try_state_holds()
    }

    fn try_state_members() -> Result<(), TryRuntimeError> {
        ensure!(
            Members::<T>::count() <= T::MaxMembers::get(),
            "committees: there are more members than a draw may read"
        );
        ensure!(
            Members::<T>::iter_values().all(|member| member.since <= Self::now()),
            "committees: a member joined in a block to come"
        );
        ensure!(
            SeatsOf::<T>::iter_keys().all(Members::<T>::contains_key),
            "committees: somebody sits that is no member"
        );
        Ok(())
    }

    fn try_state_cases() -> Result<(), TryRuntimeError> {
        for (id, case) in Cases::<T>::iter() {
            ensure!(
                id < NextCase::<T>::get() && case.round <= 1 && case.size <= MAX_SIZE,
                "committees: a case has a number, a round or a size that none has"
            );
            let seats = |round| case.seats.iter().filter(move |seat| seat.round == round);
            let filled = |round| seats(round).count() == Self::scaled(case.size, round) as usize;
            let is_seated = match case.stage {
                CaseStage::Waiting { .. } | CaseStage::Drawn { .. } => {
                    seats(case.round).count() == 0 && (case.round == 0 || filled(0))
                }
                CaseStage::Committing { .. } | CaseStage::Revealing { .. } => (0..=case.round).all(filled),
                // Seats of a round that could not be filled are none.
                CaseStage::Frozen { .. } => {
                    (0..=case.round).all(|round| filled(round) || seats(round).count() == 0)
                }
            };
            ensure!(is_seated, "committees: a round is not filled as its stage says");
            let may_be_revealed = !matches!(case.stage, CaseStage::Committing { .. });
            ensure!(
                may_be_revealed
                    || seats(case.round)
                        .all(|seat| matches!(seat.progress, Progress::Seated | Progress::Committed(_))),
                "committees: somebody revealed before the others had committed"
            );
            let answers = case.seats.iter().filter_map(|seat| match seat.progress {
                Progress::Revealed(number) => Some(number),
                _ => None,
            });
            ensure!(
                case.answers <= MAX_ANSWERS && answers.into_iter().all(|number| number <= case.answers),
                "committees: a member gave an answer that is not kept"
            );
            let barred = case.seats.iter().any(|seat| case.parties.contains(&seat.member));
            ensure!(!barred, "committees: a party sits in its own case");
        }
        Ok(())
    }

    /// Who sits in what is the same from both sides.
    fn try_state_seats() -> Result<(), TryRuntimeError> {
        let mut from_cases: BTreeSet<(Account, u64)> = BTreeSet::new();
        for (id, case) in Cases::<T>::iter() {
            for seat in &case.seats {
                ensure!(
                    from_cases.insert((seat.member.clone().into(), id)),
                    "committees: somebody has two seats in a case"
                );
            }
        }
        let mut from_members = BTreeSet::new();
        for (member, cases) in SeatsOf::<T>::iter() {
            ensure!(!cases.is_empty(), "committees: an empty list of seats is kept");
            for id in cases {
                from_members.insert((member.clone().into(), id));
            }
        }
        ensure!(
            from_cases == from_members,
            "committees: seats of cases are not those of members"
        );
        Ok(())
    }

    /// Claims and answers are kept for exactly the cases that there are.
    fn try_state_kept() -> Result<(), TryRuntimeError> {
        ensure!(
            Claims::<T>::iter_keys().all(Cases::<T>::contains_key)
                && Cases::<T>::iter_keys().all(Claims::<T>::contains_key),
            "committees: a claim is of no case, or a case has none"
        );
        ensure!(
            Answers::<T>::iter_keys().all(|(id, number)| {
                Cases::<T>::get(id).is_some_and(|case| (1..=case.answers).contains(&number))
            }),
            "committees: an answer is kept that is of no case"
        );
        ensure!(
            Cases::<T>::iter()
                .all(|(id, case)| Answers::<T>::iter_prefix(id).count() == usize::from(case.answers)),
            "committees: a case keeps other answers than it counts"
        );
        Ok(())
    }

    fn try_state_holds() -> Result<(), TryRuntimeError> {
        let mut held: BTreeMap<Account, u128> = BTreeMap::new();
        for case in Cases::<T>::iter_values() {
            let sum = held.entry(case.payer.into()).or_default();
            *sum = sum.saturating_add(case.held);
        }
        let reason = T::RuntimeHoldReason::from(HoldReason::Seats);
        ensure!(
            held.into_iter()
                .all(|(payer, sum)| T::Currency::balance_on_hold(&reason, &payer.into()) == sum),
            "committees: what is held from a payer is not what its cases say"
        );
        Ok(())
    }
}

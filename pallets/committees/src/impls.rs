//! What the calls do.

use crate::{
    pallet::{Answers, Cases, Claims, Config, Error, Event, HoldReason, Members, NextCase, Pallet, SeatsOf},
    Case, CaseStage, Ending, Membership, Progress, Subject,
};
use alloc::{collections::BTreeSet, vec::Vec};
use codec::{DecodeAll, Encode};
use frame_support::{
    dispatch::DispatchResult,
    ensure,
    storage::with_storage_layer,
    traits::{
        fungible::MutateHold,
        tokens::{Fortitude, Precision, Restriction},
        Get,
    },
    BoundedVec,
};
use openledger_attribution::{
    committee::{draw_seats, tally, vote_hash, Candidate, Claim, Computed, Outcome, Vote},
    hash::Hash,
    wire::Object,
};
use openledger_protocol::committees::{Need, Seat, MAX_ANSWERS, MAX_SIZE, SEATS_DOMAIN};
use openledger_traits::{Attesters, Bonds, Committees, Draws, Hearing, OnVerdict};
use sp_runtime::{traits::Convert, DispatchError, SaturatedConversion, Saturating};

/// Epochs after which what was drawn for one is out.
const DRAW_DELAY: u64 = 2;

/// What becomes of a member's stake.
enum Lot {
    /// It was on the side that won.
    Paid,
    /// Nobody can blame it.
    Free,
    /// It said nothing.
    Silent,
    /// It said what is not so.
    Against,
}

impl<T: Config> Pallet<T> {
    /// The current block.
    pub(crate) fn now() -> u32 {
        frame_system::Pallet::<T>::block_number().saturated_into()
    }

    /// Seats of a first round, and how many decide it.
    pub(crate) fn measure() -> (u32, u32) {
        let size = T::Size::get().clamp(1, MAX_SIZE);
        let least = size.div_euclid(2).saturating_add(1);
        (size, T::Quorum::get().clamp(least, size))
    }

    /// `number` of a first round in this one.
    pub(crate) fn scaled(number: u32, round: u8) -> u32 {
        number.checked_shl(round.into()).unwrap_or(u32::MAX)
    }

    pub(crate) fn do_join(member: T::AccountId, key: [u8; 32]) -> DispatchResult {
        ensure!(T::Attesters::attests(&member), Error::<T>::NotAttester);
        let since = match Members::<T>::get(&member) {
            Some(known) => known.since,
            None => {
                ensure!(
                    Members::<T>::count() < T::MaxMembers::get(),
                    Error::<T>::TooManyMembers
                );
                Self::now()
            }
        };
        Members::<T>::insert(&member, Membership { key, since });
        Self::deposit_event(Event::Joined { member, key });
        Ok(())
    }

    pub(crate) fn remove(member: T::AccountId) -> DispatchResult {
        ensure!(Members::<T>::contains_key(&member), Error::<T>::NotMember);
        ensure!(SeatsOf::<T>::get(&member).is_empty(), Error::<T>::Sits);
        Members::<T>::remove(&member);
        Self::deposit_event(Event::Left { member });
        Ok(())
    }

    /// Who could sit in this round.
    fn candidates(case: &Case<T::AccountId>) -> Vec<Candidate> {
        let seated = case.seats.iter().map(|seat| &seat.member);
        let barred: BTreeSet<T::AccountId> = case
            .parties
            .iter()
            .chain(seated)
            .flat_map(|who| [who.clone(), T::Owner::convert(who.clone())])
            .collect();
        Members::<T>::iter()
            .filter(|(_, membership)| membership.since < case.since)
            .filter_map(|(worker, _)| {
                let owner = T::Owner::convert(worker.clone());
                if barred.contains(&worker) || barred.contains(&owner) {
                    return None;
                }
                let bond = T::Attesters::bond(&worker, &case.need, case.since)?;
                Some(Candidate {
                    worker: worker.into(),
                    owner: owner.into(),
                    bond,
                })
            })
            .collect()
    }

    /// Seats a round, all of it or nothing: nobody if there are too few.
    fn fill(id: u64, case: &mut Case<T::AccountId>, randomness: &Hash) -> Option<Vec<T::AccountId>> {
        let wanted = usize::try_from(Self::scaled(case.size, case.round)).unwrap_or(usize::MAX);
        let order = draw_seats(randomness, &Self::candidates(case));
        let filled = with_storage_layer::<_, DispatchError, _>(|| {
            let mut members = Vec::new();
            let mut seats = case.seats.clone();
            for member in order.into_iter().map(T::AccountId::from) {
                if members.len() >= wanted {
                    break;
                }
                // Who has no room for the stake, or sits in too many cases, is passed over.
                let sits = with_storage_layer::<_, DispatchError, _>(|| {
                    SeatsOf::<T>::try_append(&member, id).map_err(|_| Error::<T>::Sits)?;
                    T::Bonds::open(&member, case.stake)
                });
                if sits.is_ok() {
                    let seat = Seat {
                        member: member.clone(),
                        round: case.round,
                        progress: Progress::Seated,
                    };
                    seats.try_push(seat).map_err(|_| Error::<T>::Overflow)?;
                    members.push(member);
                }
            }
            ensure!(members.len() >= wanted, Error::<T>::NotSeated);
            Ok((members, seats))
        });
        let (members, seats) = filled.ok()?;
        case.seats = seats;
        Some(members)
    }

    /// Fills the seats of a round; returns whether the case ended instead.
    pub(crate) fn do_seat(id: u64) -> Result<bool, DispatchError> {
        let mut case = Cases::<T>::get(id).ok_or(Error::<T>::NoCase)?;
        let randomness = match case.stage {
            CaseStage::Drawn { randomness } => randomness,
            CaseStage::Waiting { epoch } => match T::Draws::drawn(epoch, SEATS_DOMAIN, id) {
                Some(randomness) => randomness,
                None => {
                    let current = T::Draws::epoch();
                    ensure!(current > epoch.saturating_add(DRAW_DELAY), Error::<T>::NotDrawn);
                    // It was out and is forgotten: the case waits for a draw to come.
                    case.stage = CaseStage::Waiting { epoch: current };
                    Cases::<T>::insert(id, case);
                    Self::deposit_event(Event::DrawnAgain {
                        case: id,
                        epoch: current,
                    });
                    return Ok(false);
                }
            },
            _ => return Err(Error::<T>::WrongStage.into()),
        };
        match Self::fill(id, &mut case, &randomness) {
            Some(members) => {
                let period = match case.subject {
                    Subject::Basis { .. } | Subject::Training { .. } => T::LongCommitPeriod::get(),
                    _ => T::CommitPeriod::get(),
                };
                let until = Self::after(period);
                case.stage = CaseStage::Committing { until };
                let round = case.round;
                Cases::<T>::insert(id, case);
                Self::deposit_event(Event::Seated {
                    case: id,
                    round,
                    members,
                    until,
                });
                Ok(false)
            }
            None if case.is_audit && case.round == 0 => {
                Self::finish(id, case, Ending::Unseated, None)?;
                Ok(true)
            }
            None => {
                Self::freeze(id, case);
                Ok(false)
            }
        }
    }

    fn after(period: frame_system::pallet_prelude::BlockNumberFor<T>) -> u32 {
        frame_system::Pallet::<T>::block_number()
            .saturating_add(period)
            .saturated_into()
    }

    fn freeze(id: u64, mut case: Case<T::AccountId>) {
        case.stage = CaseStage::Frozen { since: Self::now() };
        let subject = case.subject;
        Cases::<T>::insert(id, case);
        Self::deposit_event(Event::Frozen { case: id, subject });
    }

    /// The case, in the stage that the block makes of it.
    fn case_now(id: u64) -> Result<Case<T::AccountId>, Error<T>> {
        let mut case = Cases::<T>::get(id).ok_or(Error::<T>::NoCase)?;
        if let CaseStage::Committing { until } = case.stage {
            if Self::now() > until {
                let period: u32 = T::RevealPeriod::get().saturated_into();
                case.stage = CaseStage::Revealing {
                    until: until.saturating_add(period),
                };
            }
        }
        Ok(case)
    }

    fn seat_of<'a>(
        case: &'a mut Case<T::AccountId>,
        member: &T::AccountId,
    ) -> Result<&'a mut Seat<T::AccountId>, Error<T>> {
        let round = case.round;
        case.seats
            .iter_mut()
            .find(|seat| seat.round == round && seat.member == *member)
            .ok_or(Error::<T>::NotSeated)
    }

    pub(crate) fn do_commit(member: T::AccountId, id: u64, commitment: Hash) -> DispatchResult {
        let mut case = Self::case_now(id)?;
        match case.stage {
            CaseStage::Committing { .. } => {}
            CaseStage::Revealing { .. } => return Err(Error::<T>::TooLate.into()),
            _ => return Err(Error::<T>::WrongStage.into()),
        }
        let seat = Self::seat_of(&mut case, &member)?;
        ensure!(seat.progress == Progress::Seated, Error::<T>::CommittedAlready);
        seat.progress = Progress::Committed(commitment);
        let round = case.round;
        let are_all = case
            .seats
            .iter()
            .filter(|seat| seat.round == round)
            .all(|seat| seat.progress != Progress::Seated);
        if are_all {
            let until = Self::after(T::RevealPeriod::get());
            case.stage = CaseStage::Revealing { until };
        }
        Cases::<T>::insert(id, case);
        Self::deposit_event(Event::Committed { case: id, member });
        Ok(())
    }

    pub(crate) fn do_reveal(
        member: T::AccountId,
        id: u64,
        vote: Vote,
        computed: &Computed,
        salt: &Hash,
    ) -> DispatchResult {
        let mut case = Self::case_now(id)?;
        let CaseStage::Revealing { until } = case.stage else {
            return Err(Error::<T>::WrongStage.into());
        };
        ensure!(Self::now() <= until, Error::<T>::TooLate);
        let Progress::Committed(commitment) = Self::seat_of(&mut case, &member)?.progress else {
            return Err(Error::<T>::NothingToReveal.into());
        };
        let own = vote_hash(
            vote,
            &member.clone().into(),
            &Object::encode(computed),
            salt,
        );
        ensure!(own == commitment, Error::<T>::OtherCommitment);
        let progress = Self::place(id, &mut case, vote, computed)?;
        Self::seat_of(&mut case, &member)?.progress = progress;
        Cases::<T>::insert(id, case);
        Self::deposit_event(Event::Revealed {
            case: id,
            member,
            progress,
        });
        Ok(())
    }

    /// Which answer a member gave, as the chain finds by itself.
    fn place(
        id: u64,
        case: &mut Case<T::AccountId>,
        vote: Vote,
        computed: &Computed,
    ) -> Result<Progress, DispatchError> {
        let claim = Claims::<T>::get(id)
            .and_then(|bytes| Claim::decode_all(&mut bytes.as_slice()).ok())
            .ok_or(Error::<T>::NoCase)?;
        let own = match computed {
            Computed::Missing([]) if !case.subject.is_private() => return Ok(Progress::Abstained),
            Computed::Missing([]) => Some(Vote::Wrong),
            _ => claim.vote(computed),
        };
        if own != Some(vote) {
            return Ok(Progress::Outside);
        }
        if vote == Vote::Right {
            return Ok(Progress::Revealed(0));
        }
        for number in 1..=case.answers {
            let other = Answers::<T>::get(id, number)
                .and_then(|bytes| Computed::decode_all(&mut bytes.as_slice()).ok())
                .ok_or(Error::<T>::NoCase)?;
            if claim.alike(&other, computed) {
                return Ok(Progress::Revealed(number));
            }
        }
        if case.answers >= MAX_ANSWERS {
            return Ok(Progress::Outside);
        }
        case.answers = case.answers.saturating_add(1);
        let bytes = BoundedVec::try_from(Encode::encode(computed)).map_err(|_| Error::<T>::TooLong)?;
        Answers::<T>::insert(id, case.answers, bytes);
        Ok(Progress::Revealed(case.answers))
    }

    pub(crate) fn do_close(id: u64) -> DispatchResult {
        let mut case = Self::case_now(id)?;
        let CaseStage::Revealing { until } = case.stage else {
            return Err(Error::<T>::WrongStage.into());
        };
        let round = case.round;
        let votes: Vec<Progress> = case
            .seats
            .iter()
            .filter(|seat| seat.round == round)
            .map(|seat| seat.progress)
            .collect();
        let is_waiting = votes
            .iter()
            .any(|progress| matches!(progress, Progress::Committed(_)));
        ensure!(!is_waiting || Self::now() > until, Error::<T>::TooEarly);
        let quorum = usize::try_from(Self::scaled(case.quorum, round)).unwrap_or(usize::MAX);
        if let Some((vote, answer)) = decided(&votes, quorum, case.answers) {
            return Self::finish(id, case, Ending::Decided(vote), Some(answer));
        }
        if round > 0 {
            Self::freeze(id, case);
            return Ok(());
        }
        case.round = 1;
        case.stage = CaseStage::Waiting {
            epoch: T::Draws::epoch(),
        };
        Cases::<T>::insert(id, case);
        Self::deposit_event(Event::NoQuorum { case: id, round: 1 });
        Ok(())
    }

    pub(crate) fn do_decide(id: u64, vote: Vote) -> DispatchResult {
        let case = Cases::<T>::get(id).ok_or(Error::<T>::NoCase)?;
        ensure!(
            matches!(case.stage, CaseStage::Frozen { .. }),
            Error::<T>::WrongStage
        );
        Self::finish(id, case, Ending::Decided(vote), None)
    }

    /// Pays and slashes the members, tells whoever asked, forgets the case. `answer` is the one that a quorum gave.
    fn finish(id: u64, case: Case<T::AccountId>, ending: Ending, answer: Option<u8>) -> DispatchResult {
        let mut paid = 0u128;
        for seat in &case.seats {
            T::Bonds::close(&seat.member, case.stake);
            match lot(seat.progress, ending, answer) {
                Lot::Paid => paid = paid.saturating_add(Self::pay(&case, &seat.member)),
                Lot::Free => {}
                Lot::Silent => {
                    T::Bonds::slash(&seat.member, case.silence, None);
                }
                Lot::Against => {
                    T::Bonds::slash(&seat.member, case.stake, None);
                }
            }
            SeatsOf::<T>::mutate_exists(&seat.member, |cases| {
                if let Some(list) = cases {
                    list.retain(|other| *other != id);
                    if list.is_empty() {
                        *cases = None;
                    }
                }
            });
        }
        Cases::<T>::remove(id);
        Claims::<T>::remove(id);
        for number in 1..=case.answers {
            Answers::<T>::remove(id, number);
        }
        let spent = if case.is_audit { 0 } else { paid };
        T::Currency::release(
            &HoldReason::Seats.into(),
            &case.payer,
            case.held.saturating_sub(spent),
            Precision::BestEffort,
        )?;
        T::OnVerdict::ended(id, &case.subject, ending)?;
        // After the slash, as far as the bond goes: the reward of who was right is more than this.
        if ending == Ending::Decided(Vote::Wrong) && spent > 0 && case.payer != case.accused {
            T::Bonds::pay(&case.accused, spent, &case.payer);
        }
        Self::deposit_event(Event::Ended {
            case: id,
            subject: case.subject,
            ending,
            paid,
        });
        Ok(())
    }

    /// Pays one seat; returns how much that was.
    fn pay(case: &Case<T::AccountId>, member: &T::AccountId) -> u128 {
        if case.is_audit {
            return T::Bonds::pay(&case.payer, case.price, member);
        }
        T::Currency::transfer_on_hold(
            &HoldReason::Seats.into(),
            &case.payer,
            member,
            case.price,
            Precision::BestEffort,
            Restriction::Free,
            Fortitude::Force,
        )
        .unwrap_or(0)
    }
}

/// The answer that a quorum gave, if one did, and what it says of the claim.
fn decided(votes: &[Progress], quorum: usize, answers: u8) -> Option<(Vote, u8)> {
    (1..=answers.max(1)).find_map(|number| {
        let two: Vec<Option<Vote>> = votes
            .iter()
            .map(|progress| match progress {
                Progress::Revealed(0) => Some(Vote::Right),
                Progress::Revealed(other) if *other == number => Some(Vote::Wrong),
                _ => None,
            })
            .collect();
        match tally(&two, quorum, true) {
            Outcome::Decided(Vote::Right) => Some((Vote::Right, 0)),
            Outcome::Decided(Vote::Wrong) => Some((Vote::Wrong, number)),
            _ => None,
        }
    })
}

/// What becomes of a member that got so far in a case that ended so.
fn lot(progress: Progress, ending: Ending, answer: Option<u8>) -> Lot {
    let Ending::Decided(vote) = ending else {
        return Lot::Free;
    };
    match (progress, answer) {
        (Progress::Revealed(own), Some(answer)) if own == answer => Lot::Paid,
        // A referendum knows only which side is right.
        (Progress::Revealed(own), None) if (own == 0) == (vote == Vote::Right) => Lot::Paid,
        (Progress::Revealed(_) | Progress::Outside, _) => Lot::Against,
        // Others could compute it.
        (Progress::Abstained, Some(_)) => Lot::Silent,
        (Progress::Abstained, None) => Lot::Free,
        (Progress::Seated | Progress::Committed(_), _) => Lot::Silent,
    }
}

impl<T: Config> Committees<T::AccountId> for Pallet<T> {
    fn open(hearing: Hearing<T::AccountId>) -> Result<u64, DispatchError> {
        let Hearing {
            subject,
            claim,
            accused,
            payer,
            parties,
            is_exact,
            audit,
        } = hearing;
        let id = NextCase::<T>::get();
        NextCase::<T>::put(id.checked_add(1).ok_or(Error::<T>::Overflow)?);
        let (size, quorum) = Self::measure();
        let (price, stake) = (T::SeatPrice::get(), T::SeatStake::get());
        // Both rounds. An audit costs its worker's bond.
        let held = match audit {
            Some(_) => 0,
            None => price
                .checked_mul(u128::from(size).saturating_mul(3))
                .ok_or(Error::<T>::Overflow)?,
        };
        if held > 0 {
            T::Currency::hold(&HoldReason::Seats.into(), &payer, held)?;
        }
        let parties: BTreeSet<T::AccountId> = parties
            .into_iter()
            .chain([accused.clone(), payer.clone()])
            .collect();
        let bytes = BoundedVec::try_from(Encode::encode(&claim)).map_err(|_| Error::<T>::TooLong)?;
        Claims::<T>::insert(id, bytes);
        let need = if is_exact {
            T::Attesters::machine(&accused)
        } else {
            Need::default()
        };
        let (since, stage) = match audit {
            Some((randomness, since)) => (since, CaseStage::Drawn { randomness }),
            None => (
                Self::now(),
                CaseStage::Waiting {
                    epoch: T::Draws::epoch(),
                },
            ),
        };
        let parties = parties.into_iter().collect::<Vec<_>>();
        Cases::<T>::insert(
            id,
            Case {
                subject,
                accused: accused.clone(),
                payer,
                parties: parties.try_into().map_err(|_| Error::<T>::Overflow)?,
                need,
                since,
                is_audit: audit.is_some(),
                size,
                quorum,
                round: 0,
                price,
                stake,
                silence: T::Silence::get().min(stake),
                held,
                answers: 0,
                seats: BoundedVec::new(),
                stage,
            },
        );
        Self::deposit_event(Event::Opened {
            case: id,
            subject,
            accused,
            held,
        });
        Ok(id)
    }

    fn are_enough(parties: &[T::AccountId]) -> bool {
        let barred = parties
            .iter()
            .filter(|who| Members::<T>::contains_key(who))
            .count();
        let (size, _) = Self::measure();
        let others = Members::<T>::count().saturating_sub(barred.saturated_into());
        others >= size
    }
}

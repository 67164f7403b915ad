//! Questions: what only recomputing can tell is put before a committee, and what that says has consequences.

use crate::{
    pallet::{
        Asked, Audits, Batches, Challenges, Config, Error, Event, IndexBonds, IndexChallenges, Indexes,
        OpenCases, Pallet, Questions,
    },
    Audit, BatchStage, Challenge, Committed, Question, Subject,
};
use frame_support::{defensive, dispatch::DispatchResult, ensure, traits::Get};
use openledger_attribution::{
    committee::Vote,
    hash::Hash,
    verdict::{BatchQuestion, Doubt, Guilt, IndexQuestion},
};
use openledger_protocol::{
    batches::DisputedReceipt,
    committees::{index_question_commitment, question_commitment, Ending},
};
use openledger_traits::{Committees, Hearing, OnVerdict};
use sp_runtime::DispatchError;

/// Whose data something before a committee is.
pub(crate) fn source(subject: &Subject) -> Committed {
    match subject {
        Subject::Row { index, .. } | Subject::Basis { index, .. } | Subject::Training { index } => {
            Committed::Index(*index)
        }
        Subject::Query { batch, .. } | Subject::Ranks { batch, .. } | Subject::Output { batch, .. } => {
            Committed::Batch(*batch)
        }
    }
}

impl<T: Config> Pallet<T> {
    /// Whether a challenge can be shown now, and is a commitment to this.
    fn ensure_due(challenge: &Challenge, commitment: &Hash) -> DispatchResult {
        ensure!(Self::now() > challenge.since, Error::<T>::SameBlock);
        ensure!(Self::now() <= challenge.until, Error::<T>::TooLate);
        ensure!(*commitment == challenge.commitment, Error::<T>::OtherEvidence);
        Ok(())
    }

    /// Who answers for it: the worker of a batch, the builder of an index. Both outlive what is before a committee.
    fn answerable(source: &Committed) -> Option<T::AccountId> {
        match source {
            Committed::Batch(id) => Batches::<T>::get(id).map(|batch| batch.worker),
            Committed::Index(index) => IndexBonds::<T>::get(index).map(|bond| bond.builder),
        }
    }

    /// Opens a case and notes what it is of. Whoever asked keeps its deposit held; the stake behind the accused stays frozen until
    /// the case ends.
    pub(crate) fn open_case(
        hearing: Hearing<T::AccountId>,
        question: Question<T::AccountId>,
    ) -> Result<u64, DispatchError> {
        let (subject, challenger) = (question.subject, question.challenger.clone());
        Self::freeze(&hearing.accused)?;
        let case = T::Committees::open(hearing)?;
        Questions::<T>::insert(case, question);
        Asked::<T>::insert(subject, case);
        OpenCases::<T>::mutate(source(&subject), |open| *open = open.saturating_add(1));
        Self::deposit_event(Event::Asked {
            case,
            subject,
            challenger,
        });
        Ok(case)
    }

    /// A question that is none costs the deposit; one that is before a committee already costs nothing.
    fn refuse(of: Committed, who: T::AccountId, deposit: u128, reason: Result<u64, Doubt>) -> DispatchResult {
        match reason {
            Ok(case) => {
                Self::release(&who, deposit)?;
                Self::deposit_event(Event::AskedAlready {
                    case,
                    challenger: who,
                });
            }
            Err(doubt) => {
                let lost = Self::forfeit(&who, deposit)?;
                Self::deposit_event(Event::NotAsked {
                    of,
                    challenger: who,
                    doubt,
                    lost,
                });
            }
        }
        Ok(())
    }

    pub(crate) fn do_ask(
        who: T::AccountId,
        id: u64,
        salt: &Hash,
        question: &BatchQuestion,
    ) -> DispatchResult {
        let mut batch = Batches::<T>::get(id).ok_or(Error::<T>::NoBatch)?;
        let challenge = Challenges::<T>::get(id, &who).ok_or(Error::<T>::NoChallenge)?;
        ensure!(batch.stage == BatchStage::Open, Error::<T>::WrongStage);
        Self::ensure_due(
            &challenge,
            &question_commitment(&who.clone().into(), id, salt, question),
        )?;
        let header = Indexes::<T>::get(batch.header.index)
            .ok_or(Error::<T>::NoIndex)?
            .header;
        Challenges::<T>::remove(id, &who);
        batch.challenges = batch.challenges.saturating_sub(1);
        Self::thaw(&batch.worker);
        Batches::<T>::insert(id, &batch);
        let claim = question.claim(&Self::batch_facts(id, &batch, &header), T::FastTolerance::get());
        let claim = match claim {
            Ok(claim) => claim,
            Err(doubt) => return Self::refuse(Committed::Batch(id), who, challenge.deposit, Err(doubt)),
        };
        let subject = question.subject(id);
        if let Some(case) = Asked::<T>::get(subject) {
            return Self::refuse(Committed::Batch(id), who, challenge.deposit, Ok(case));
        }
        let leaf = question.receipt();
        let receipt = Self::asked_receipt(DisputedReceipt {
            channel: leaf.leaf.channel,
            fee: leaf.leaf.fee,
            index: leaf.index,
        });
        let hearing = Hearing {
            subject,
            claim,
            accused: batch.worker,
            payer: who.clone(),
            parties: receipt.consumer.iter().cloned().collect(),
            is_exact: question.is_exact(),
            audit: None,
        };
        let question = Question {
            subject,
            challenger: Some(who),
            deposit: challenge.deposit,
            receipt: Some(receipt),
            audit: None,
        };
        Self::open_case(hearing, question)?;
        Ok(())
    }

    pub(crate) fn do_ask_index(
        who: T::AccountId,
        index: Hash,
        salt: &Hash,
        question: &IndexQuestion,
    ) -> DispatchResult {
        let mut bond = Self::disputable(&index)?;
        let challenge = IndexChallenges::<T>::get(index, &who).ok_or(Error::<T>::NoChallenge)?;
        Self::ensure_due(
            &challenge,
            &index_question_commitment(&who.clone().into(), &index, salt, question),
        )?;
        let header = Indexes::<T>::get(index).ok_or(Error::<T>::NoIndex)?.header;
        IndexChallenges::<T>::remove(index, &who);
        bond.challenges = bond.challenges.saturating_sub(1);
        Self::thaw(&bond.builder);
        IndexBonds::<T>::insert(index, &bond);
        let of = Committed::Index(index);
        let claim = match question.claim(&header) {
            Ok(claim) => claim,
            Err(doubt) => return Self::refuse(of, who, challenge.deposit, Err(doubt)),
        };
        let subject = question.subject(index);
        if let Some(case) = Asked::<T>::get(subject) {
            return Self::refuse(of, who, challenge.deposit, Ok(case));
        }
        let hearing = Hearing {
            subject,
            claim,
            accused: bond.builder,
            payer: who.clone(),
            parties: Default::default(),
            is_exact: question.is_exact(),
            audit: None,
        };
        let question = Question {
            subject,
            challenger: Some(who),
            deposit: challenge.deposit,
            receipt: None,
            audit: None,
        };
        Self::open_case(hearing, question)?;
        Ok(())
    }

    /// Condemns what a committee found wrong; says whether it still stood.
    fn refuted(question: &Question<T::AccountId>) -> Result<bool, DispatchError> {
        let guilt = Guilt::Recomputed((&question.subject).into());
        let challenger = question.challenger.clone();
        match source(&question.subject) {
            Committed::Batch(id) => {
                let Some(batch) = Batches::<T>::get(id).filter(|batch| batch.stage == BatchStage::Open)
                else {
                    return Ok(false);
                };
                Self::condemn(id, batch, challenger, guilt, question.receipt.clone())?;
            }
            Committed::Index(index) => {
                let (Ok(bond), Some(entry)) = (Self::disputable(&index), Indexes::<T>::get(index)) else {
                    return Ok(false);
                };
                Self::void(index, bond, &entry.header, challenger, guilt);
            }
        }
        Ok(true)
    }
}

impl<T: Config> OnVerdict<T::AccountId> for Pallet<T> {
    fn ended(case: u64, subject: &Subject, ending: Ending) -> DispatchResult {
        let Some(question) = Questions::<T>::take(case) else {
            return Ok(());
        };
        Asked::<T>::remove(subject);
        OpenCases::<T>::mutate_exists(source(subject), |open| {
            *open = open.map(|open| open.saturating_sub(1)).filter(|open| *open > 0);
        });
        if let Some(batch) = question.audit {
            Audits::<T>::mutate_extant(batch, |audit| *audit = Audit::Done);
        }
        let mut lost = 0;
        if let Some(challenger) = &question.challenger {
            if ending == Ending::Decided(Vote::Right) {
                lost = Self::forfeit(challenger, question.deposit)?;
            } else {
                Self::release(challenger, question.deposit)?;
            }
        }
        let is_condemned = ending == Ending::Decided(Vote::Wrong) && Self::refuted(&question)?;
        match Self::answerable(&source(subject)) {
            Some(accused) => Self::thaw(&accused),
            None => {
                defensive!("attribution: what a committee heard of is gone");
            }
        }
        if !is_condemned {
            Self::deposit_event(Event::Answered {
                case,
                subject: *subject,
                challenger: question.challenger,
                lost,
            });
        }
        Ok(())
    }
}

//! Indexes: what stands behind them, and what challenges them.

use crate::{
    pallet::{Config, Error, Event, HoldReason, IndexBonds, IndexChallenges, Indexes, Pallet},
    Challenge, Committed, IndexBond, IndexStage, MAX_CHALLENGES,
};
use frame_support::{
    dispatch::DispatchResult,
    ensure,
    traits::{fungible::MutateHold, Get},
};
use openledger_attribution::{
    hash::Hash,
    index::IndexHeader,
    sketch::Layout,
    verdict::{judge_index, Guilt, IndexEvidence, IndexFacts, Verdict},
    wire::Object,
};
use openledger_protocol::{batches::Index, disputes::index_commitment};
use openledger_traits::{Bonds, Indexes as IndexRegistry, Known, Models};
use sp_runtime::{DispatchError, SaturatedConversion};

impl<T: Config> Pallet<T> {
    /// Refuses a batch whose index was proved wrong, or went out of use longer than a window ago.
    pub(crate) fn ensure_usable(index: &Hash) -> DispatchResult {
        match IndexBonds::<T>::get(index).map(|bond| bond.stage) {
            None | Some(IndexStage::Standing) => Ok(()),
            Some(IndexStage::Retiring { since }) => {
                let window: u32 = T::Window::get().saturated_into();
                ensure!(
                    Self::now() < since.saturating_add(window),
                    Error::<T>::IndexRetired
                );
                Ok(())
            }
            Some(IndexStage::Void { .. }) => Err(Error::<T>::IndexVoid.into()),
            Some(IndexStage::Closed) => Err(Error::<T>::IndexRetired.into()),
        }
    }

    /// What stands behind an index that can still be proved wrong.
    pub(crate) fn disputable(index: &Hash) -> Result<IndexBond<T::AccountId>, DispatchError> {
        let bond = IndexBonds::<T>::get(index).ok_or(Error::<T>::NoIndex)?;
        match bond.stage {
            IndexStage::Standing | IndexStage::Retiring { .. } => Ok(bond),
            IndexStage::Void { .. } => Err(Error::<T>::IndexVoid.into()),
            IndexStage::Closed => Err(Error::<T>::IndexRetired.into()),
        }
    }

    pub(crate) fn do_challenge_index(who: T::AccountId, index: Hash, commitment: Hash) -> DispatchResult {
        let mut bond = Self::disputable(&index)?;
        ensure!(bond.challenges < MAX_CHALLENGES, Error::<T>::TooManyChallenges);
        ensure!(
            !IndexChallenges::<T>::contains_key(index, &who),
            Error::<T>::ChallengeExists
        );
        let deposit = T::ChallengeDeposit::get();
        T::Currency::hold(&HoldReason::Challenge.into(), &who, deposit)?;
        Self::freeze(&bond.builder)?;
        let until = Self::after(T::ProvePeriod::get());
        IndexChallenges::<T>::insert(
            index,
            &who,
            Challenge {
                commitment,
                since: Self::now(),
                until,
                deposit,
            },
        );
        bond.challenges = bond.challenges.saturating_add(1);
        IndexBonds::<T>::insert(index, bond);
        Self::deposit_event(Event::IndexChallenged {
            index,
            challenger: who,
            until,
        });
        Ok(())
    }

    pub(crate) fn do_prove_index(
        who: T::AccountId,
        index: Hash,
        salt: &Hash,
        evidence: &IndexEvidence,
    ) -> DispatchResult {
        let mut bond = Self::disputable(&index)?;
        let challenge = IndexChallenges::<T>::get(index, &who).ok_or(Error::<T>::NoChallenge)?;
        ensure!(Self::now() > challenge.since, Error::<T>::SameBlock);
        ensure!(Self::now() <= challenge.until, Error::<T>::TooLate);
        ensure!(
            index_commitment(&who.clone().into(), &index, salt, evidence) == challenge.commitment,
            Error::<T>::OtherEvidence
        );
        let header = Indexes::<T>::get(index).ok_or(Error::<T>::NoIndex)?.header;
        let order = T::Models::order(&header).ok_or(Error::<T>::NoOrder)?;
        let facts = IndexFacts {
            header: &header,
            order: &order,
            registry: &Known::<T::Contributions>::default(),
        };
        let verdict = judge_index(&facts, evidence);
        IndexChallenges::<T>::remove(index, &who);
        bond.challenges = bond.challenges.saturating_sub(1);
        let accused = bond.builder.clone();
        match verdict {
            Verdict::Guilty(guilt) => {
                Self::release(&who, challenge.deposit)?;
                Self::void(index, bond, &header, Some(who), guilt);
            }
            Verdict::NotProven(doubt) => {
                let lost = Self::forfeit(&who, challenge.deposit)?;
                IndexBonds::<T>::insert(index, bond);
                Self::deposit_event(Event::IndexNotProven {
                    index,
                    challenger: who,
                    doubt,
                    lost,
                });
            }
        }
        Self::thaw(&accused);
        Ok(())
    }

    /// An index was proved wrong: its builder loses what stood behind it, and nobody answers with it any more.
    pub(crate) fn void(
        index: Hash,
        mut bond: IndexBond<T::AccountId>,
        header: &IndexHeader,
        challenger: Option<T::AccountId>,
        guilt: Guilt,
    ) {
        T::Bonds::close(&bond.builder, bond.exposure);
        let slashed = T::Bonds::slash(&bond.builder, bond.exposure, challenger.as_ref());
        bond.exposure = 0;
        bond.stage = IndexStage::Void { guilt };
        let builder = bond.builder.clone();
        IndexBonds::<T>::insert(index, bond);
        T::Models::void(header.model, header.generation, &index);
        Self::deposit_event(Event::IndexVoided {
            index,
            guilt,
            challenger,
            builder,
            slashed,
        });
    }

    pub(crate) fn do_lapse_index(index: Hash, challenger: T::AccountId) -> DispatchResult {
        let mut bond = IndexBonds::<T>::get(index).ok_or(Error::<T>::NoIndex)?;
        let challenge = IndexChallenges::<T>::get(index, &challenger).ok_or(Error::<T>::NoChallenge)?;
        let lost = if matches!(bond.stage, IndexStage::Void { .. }) {
            Self::release(&challenger, challenge.deposit)?;
            0
        } else {
            ensure!(Self::now() > challenge.until, Error::<T>::TooEarly);
            Self::forfeit(&challenger, challenge.deposit)?
        };
        IndexChallenges::<T>::remove(index, &challenger);
        Self::thaw(&bond.builder);
        bond.challenges = bond.challenges.saturating_sub(1);
        IndexBonds::<T>::insert(index, bond);
        Self::deposit_event(Event::IndexLapsed {
            index,
            challenger,
            lost,
        });
        Ok(())
    }

    pub(crate) fn do_review_index(index: Hash) -> DispatchResult {
        let mut bond = Self::disputable(&index)?;
        let header = Indexes::<T>::get(index).ok_or(Error::<T>::NoIndex)?.header;
        let is_retired = T::Models::is_retired(header.model, header.generation);
        let kept: u32 = T::IndexRetention::get().saturated_into();
        bond.stage = match bond.stage {
            IndexStage::Standing if is_retired => IndexStage::Retiring { since: Self::now() },
            IndexStage::Retiring { .. } if !is_retired => IndexStage::Standing,
            IndexStage::Retiring { since } if Self::now() >= since.saturating_add(kept) => {
                ensure!(
                    bond.challenges == 0 && Self::is_undisputed(&Committed::Index(index)),
                    Error::<T>::Disputed
                );
                T::Bonds::close(&bond.builder, bond.exposure);
                bond.exposure = 0;
                IndexStage::Closed
            }
            _ => return Err(Error::<T>::NothingToReview.into()),
        };
        let stage = bond.stage;
        IndexBonds::<T>::insert(index, bond);
        Self::deposit_event(Event::IndexReviewed { index, stage });
        Ok(())
    }
}

impl<T: Config> IndexRegistry for Pallet<T> {
    fn register(header: &IndexHeader, layout: &Layout) -> DispatchResult {
        ensure!(header.check(layout).is_ok(), Error::<T>::BadIndex);
        let index = header.hash();
        ensure!(!Indexes::<T>::contains_key(index), Error::<T>::IndexExists);
        let builder = T::AccountId::from(header.builder);
        let exposure = T::IndexStake::get();
        T::Bonds::open(&builder, exposure)?;
        Indexes::<T>::insert(
            index,
            Index {
                header: *header,
                since: Self::now(),
            },
        );
        IndexBonds::<T>::insert(
            index,
            IndexBond {
                builder,
                exposure,
                challenges: 0,
                stage: IndexStage::Standing,
            },
        );
        Self::deposit_event(Event::IndexRegistered {
            index,
            model: header.model,
            generation: header.generation,
        });
        Ok(())
    }
}

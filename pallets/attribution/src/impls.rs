//! What the calls do.

use crate::{
    pallet::{
        Audits, Batches, Challenges, Config, Error, Event, HoldReason, Indexes, NextBatch, Pallet, Samples,
    },
    Batch, BatchStage, Challenge, Committed, CONTRIBUTORS_FACTOR, MAX_CHALLENGES, MAX_CREDITS, SLASH_FACTOR,
};
use alloc::vec::Vec;
use frame_support::{
    dispatch::DispatchResult,
    ensure,
    traits::{
        fungible::MutateHold,
        tokens::{Fortitude, Precision, Restriction},
        Get,
    },
};
use frame_system::pallet_prelude::BlockNumberFor;
use openledger_attribution::{
    batch::{BatchHeader, ChannelLeaf, CreditLeaf, CreditsHeader},
    hash::Hash,
    index::IndexHeader,
    tree::{Range, Tree},
    verdict::{judge_batch, BatchEvidence, BatchFacts, Guilt, Verdict},
    wire::Object,
};
use openledger_protocol::{
    batches::{commitment, disputed, DisputedReceipt},
    channels::ChannelClaim,
    committees::AskedReceipt,
};
use openledger_traits::{Bonds, Charge, HostKeys, Models, PayOut};
use sp_runtime::{traits::Zero, SaturatedConversion, Saturating};

impl<T: Config> Pallet<T> {
    /// The current block.
    pub(crate) fn now() -> u32 {
        frame_system::Pallet::<T>::block_number().saturated_into()
    }

    pub(crate) fn after(blocks: BlockNumberFor<T>) -> u32 {
        frame_system::Pallet::<T>::block_number()
            .saturating_add(blocks)
            .saturated_into()
    }

    /// Genesis hash of the chain, which vouchers name.
    pub(crate) fn genesis() -> Hash {
        let hash = frame_system::Pallet::<T>::block_hash(BlockNumberFor::<T>::zero());
        hash.as_ref().try_into().unwrap_or_default()
    }

    pub(crate) fn do_submit(
        worker: T::AccountId,
        header: BatchHeader,
        credits: CreditsHeader,
        claims: Vec<ChannelClaim>,
    ) -> DispatchResult {
        ensure!(header.worker == worker.clone().into(), Error::<T>::NotYours);
        let is_sampled = header.is_sampled();
        ensure!(
            !is_sampled || credits == Self::no_credits(&header),
            Error::<T>::Sampled
        );
        ensure!(header.minimum == T::MinCredit::get(), Error::<T>::Minimum);
        ensure!(
            header.check().is_ok() && (is_sampled || credits.check(&header).is_ok()),
            Error::<T>::BadHeaders
        );
        ensure!(Indexes::<T>::contains_key(header.index), Error::<T>::NoIndex);
        Self::ensure_usable(&header.index)?;
        let served = T::Models::served(header.model, header.generation).ok_or(Error::<T>::NotServed)?;
        ensure!(served.index == header.index, Error::<T>::NotServed);
        ensure!(
            T::Models::accepts(header.model, header.generation, &header.tariff),
            Error::<T>::Tariff
        );
        let leaves: Vec<ChannelLeaf> = claims.iter().map(|claim| claim.leaf).collect();
        ensure!(
            leaves.is_sorted_by(|a, b| a.channel < b.channel)
                && Tree::new(&leaves).is_ok_and(|tree| tree.root() == header.channels),
            Error::<T>::Claims
        );

        let amount = header.receipts.sum;
        let exposure = Self::stake(amount);
        for claim in &claims {
            T::Charge::charge(&worker, claim)?;
        }
        T::Bonds::open(&worker, exposure)?;
        T::Currency::hold(&HoldReason::Batch.into(), &worker, T::BatchDeposit::get())?;
        let batch = NextBatch::<T>::get();
        NextBatch::<T>::put(batch.checked_add(1).ok_or(Error::<T>::Overflow)?);
        // The window of a sampled batch begins when its draws are answered.
        let closes = if is_sampled {
            Self::wait_for_draw(batch);
            u32::MAX
        } else {
            Self::after(T::Window::get())
        };
        let hash = header.hash();
        Batches::<T>::insert(
            batch,
            Batch {
                worker: worker.clone(),
                header,
                credits,
                submitted: Self::now(),
                closes,
                exposure,
                escrow: amount,
                challenges: 0,
                stage: BatchStage::Open,
            },
        );
        Self::deposit_event(Event::Submitted {
            batch,
            worker,
            header: hash,
            amount,
            closes,
        });
        if !is_sampled {
            Self::begin_audit(batch);
        }
        Ok(())
    }

    /// What stands behind `amount` planck.
    pub(crate) fn stake(amount: u128) -> u128 {
        amount.saturating_mul(SLASH_FACTOR).max(T::SlashFloor::get())
    }

    /// What a lie about `amount` planck of a batch costs its worker.
    fn loss(batch: &Batch<T::AccountId>, amount: u128) -> u128 {
        let contributors = batch.header.totals.contributors;
        Self::stake(amount).max(contributors.saturating_mul(CONTRIBUTORS_FACTOR))
    }

    pub(crate) fn do_settle(id: u64) -> DispatchResult {
        let mut batch = Batches::<T>::get(id).ok_or(Error::<T>::NoBatch)?;
        ensure!(batch.stage == BatchStage::Open, Error::<T>::WrongStage);
        ensure!(
            batch.challenges == 0 && Self::is_undisputed(&Committed::Batch(id)) && Self::is_audited(id),
            Error::<T>::Disputed
        );
        ensure!(Self::now() >= batch.closes, Error::<T>::TooEarly);
        T::Bonds::close(&batch.worker, batch.exposure);
        batch.exposure = 0;
        let contributors = batch.credits.credits.sum;
        let mut parts = batch.header.totals;
        let forfeited = Self::collect_forfeit(id, &batch)?;
        parts.fallback = parts
            .fallback
            .checked_add(forfeited)
            .ok_or(Error::<T>::Overflow)?;
        let paid = Self::pay_batch(&batch, &parts, contributors)?;
        batch.escrow = contributors;
        batch.stage = BatchStage::Settled { credited: 0 };
        Batches::<T>::insert(id, &batch);
        Self::deposit_event(Event::Settled {
            batch: id,
            platform: paid.platform,
            owner: paid.owner,
            compute: paid.compute,
            stakers: paid.stakers,
            lineage: paid.lineage,
            fallback: paid.fallback,
            contributors,
        });
        Ok(())
    }

    pub(crate) fn do_credit(id: u64, credits: Range<CreditLeaf>) -> DispatchResult {
        Batches::<T>::try_mutate(id, |entry| {
            let batch = entry.as_mut().ok_or(Error::<T>::NoBatch)?;
            let BatchStage::Settled { credited } = batch.stage else {
                return Err(Error::<T>::WrongStage.into());
            };
            let end = credits.end().ok_or(Error::<T>::BadCredits)?;
            ensure!(
                credits.start == credited
                    && credits.leaves.len() as u64 <= u64::from(MAX_CREDITS)
                    && credits.verify(&batch.credits.credits).is_some(),
                Error::<T>::BadCredits
            );
            let mut amount = 0u128;
            for leaf in &credits.leaves {
                T::PayOut::credit(&leaf.contributor.into(), leaf.amount)?;
                amount = amount.checked_add(leaf.amount).ok_or(Error::<T>::Overflow)?;
            }
            batch.escrow = batch.escrow.checked_sub(amount).ok_or(Error::<T>::Overflow)?;
            batch.stage = BatchStage::Settled { credited: end };
            Self::deposit_event(Event::Credited {
                batch: id,
                start: credits.start,
                end,
                amount,
            });
            Ok(())
        })
    }

    pub(crate) fn do_challenge(who: T::AccountId, id: u64, commitment: Hash) -> DispatchResult {
        let mut batch = Batches::<T>::get(id).ok_or(Error::<T>::NoBatch)?;
        ensure!(batch.stage == BatchStage::Open, Error::<T>::WrongStage);
        ensure!(Self::is_answered(id), Error::<T>::WrongStage);
        ensure!(Self::now() < batch.closes, Error::<T>::TooLate);
        ensure!(batch.challenges < MAX_CHALLENGES, Error::<T>::TooManyChallenges);
        ensure!(
            !Challenges::<T>::contains_key(id, &who),
            Error::<T>::ChallengeExists
        );
        let deposit = T::ChallengeDeposit::get();
        T::Currency::hold(&HoldReason::Challenge.into(), &who, deposit)?;
        Self::freeze(&batch.worker)?;
        let until = Self::after(T::ProvePeriod::get());
        Challenges::<T>::insert(
            id,
            &who,
            Challenge {
                commitment,
                since: Self::now(),
                until,
                deposit,
            },
        );
        batch.challenges = batch.challenges.saturating_add(1);
        Batches::<T>::insert(id, batch);
        Self::deposit_event(Event::Challenged {
            batch: id,
            challenger: who,
            until,
        });
        Ok(())
    }

    pub(crate) fn do_prove(
        who: T::AccountId,
        id: u64,
        salt: Hash,
        evidence: &BatchEvidence,
    ) -> DispatchResult {
        let mut batch = Batches::<T>::get(id).ok_or(Error::<T>::NoBatch)?;
        let challenge = Challenges::<T>::get(id, &who).ok_or(Error::<T>::NoChallenge)?;
        ensure!(batch.stage == BatchStage::Open, Error::<T>::WrongStage);
        ensure!(Self::now() > challenge.since, Error::<T>::SameBlock);
        ensure!(Self::now() <= challenge.until, Error::<T>::TooLate);
        ensure!(
            commitment(&who.clone().into(), id, &salt, evidence) == challenge.commitment,
            Error::<T>::OtherEvidence
        );
        Challenges::<T>::remove(id, &who);
        batch.challenges = batch.challenges.saturating_sub(1);
        let accused = batch.worker.clone();
        match Self::judge(id, &batch, evidence)? {
            Verdict::Guilty(guilt) => {
                Self::release(&who, challenge.deposit)?;
                let receipt = disputed(evidence).map(Self::asked_receipt);
                Self::condemn(id, batch, Some(who), guilt, receipt)?;
            }
            Verdict::NotProven(doubt) => {
                let lost = Self::forfeit(&who, challenge.deposit)?;
                Batches::<T>::insert(id, batch);
                Self::deposit_event(Event::NotProven {
                    batch: id,
                    challenger: who,
                    doubt,
                    lost,
                });
            }
        }
        Self::thaw(&accused);
        Ok(())
    }

    fn judge(
        id: u64,
        batch: &Batch<T::AccountId>,
        evidence: &BatchEvidence,
    ) -> Result<Verdict, sp_runtime::DispatchError> {
        let index = Indexes::<T>::get(batch.header.index).ok_or(Error::<T>::NoIndex)?;
        let facts = Self::batch_facts(id, batch, &index.header);
        Ok(judge_batch(&facts, evidence, &HostKeys))
    }

    /// What a judge of a batch trusts.
    pub(crate) fn batch_facts<'a>(
        id: u64,
        batch: &'a Batch<T::AccountId>,
        index: &'a IndexHeader,
    ) -> BatchFacts<'a> {
        BatchFacts {
            genesis: Self::genesis(),
            chain_id: T::ChainId::get(),
            submitted: batch.submitted.into(),
            minimum: batch.header.minimum,
            randomness: Self::randomness(id),
            batch: &batch.header,
            credits: Self::credits(id, batch),
            index,
        }
    }

    /// A receipt that is disputed, with who paid for it.
    pub(crate) fn asked_receipt(receipt: DisputedReceipt) -> AskedReceipt<T::AccountId> {
        AskedReceipt {
            consumer: T::Charge::consumer(receipt.channel),
            fee: receipt.fee,
            index: receipt.index,
        }
    }

    pub(crate) fn condemn(
        id: u64,
        mut batch: Batch<T::AccountId>,
        challenger: Option<T::AccountId>,
        guilt: Guilt,
        receipt: Option<AskedReceipt<T::AccountId>>,
    ) -> DispatchResult {
        let amount = receipt
            .as_ref()
            .map_or(batch.header.totals.contributors, |receipt| receipt.fee);
        T::Bonds::close(&batch.worker, batch.exposure);
        let slashed = T::Bonds::slash(&batch.worker, Self::loss(&batch, amount), challenger.as_ref());
        let returned = Self::pay_condemned(&batch, receipt)?;
        batch.exposure = 0;
        batch.escrow = 0;
        batch.stage = BatchStage::Condemned { guilt };
        Self::drop_audit(id);
        let worker = batch.worker.clone();
        Batches::<T>::insert(id, batch);
        Self::deposit_event(Event::Condemned {
            batch: id,
            guilt,
            challenger,
            worker,
            slashed,
            returned,
        });
        Ok(())
    }

    pub(crate) fn do_lapse(id: u64, challenger: T::AccountId) -> DispatchResult {
        let mut batch = Batches::<T>::get(id).ok_or(Error::<T>::NoBatch)?;
        let challenge = Challenges::<T>::get(id, &challenger).ok_or(Error::<T>::NoChallenge)?;
        let lost = if matches!(batch.stage, BatchStage::Condemned { .. }) {
            Self::release(&challenger, challenge.deposit)?;
            0
        } else {
            ensure!(Self::now() > challenge.until, Error::<T>::TooEarly);
            Self::forfeit(&challenger, challenge.deposit)?
        };
        Challenges::<T>::remove(id, &challenger);
        Self::thaw(&batch.worker);
        batch.challenges = batch.challenges.saturating_sub(1);
        Batches::<T>::insert(id, batch);
        Self::deposit_event(Event::Lapsed {
            batch: id,
            challenger,
            lost,
        });
        Ok(())
    }

    pub(crate) fn do_forget(id: u64) -> DispatchResult {
        let batch = Batches::<T>::get(id).ok_or(Error::<T>::NoBatch)?;
        let done = match batch.stage {
            BatchStage::Open => false,
            BatchStage::Settled { credited } => credited == batch.credits.credits.count,
            BatchStage::Condemned { .. } => true,
        };
        ensure!(done, Error::<T>::WrongStage);
        ensure!(
            batch.challenges == 0 && Self::is_undisputed(&Committed::Batch(id)),
            Error::<T>::Disputed
        );
        let kept: u32 = T::Retention::get().saturated_into();
        ensure!(
            Self::now() >= batch.closes.saturating_add(kept),
            Error::<T>::TooEarly
        );
        T::Currency::release(
            &HoldReason::Batch.into(),
            &batch.worker,
            T::BatchDeposit::get(),
            Precision::BestEffort,
        )?;
        Batches::<T>::remove(id);
        Samples::<T>::remove(id);
        Audits::<T>::remove(id);
        Self::deposit_event(Event::Forgotten { batch: id });
        Ok(())
    }

    pub(crate) fn release(who: &T::AccountId, deposit: u128) -> DispatchResult {
        T::Currency::release(&HoldReason::Challenge.into(), who, deposit, Precision::BestEffort)?;
        Ok(())
    }

    /// A deposit goes to the treasury.
    pub(crate) fn forfeit(who: &T::AccountId, deposit: u128) -> Result<u128, sp_runtime::DispatchError> {
        T::Currency::transfer_on_hold(
            &HoldReason::Challenge.into(),
            who,
            &T::Treasury::get(),
            deposit,
            Precision::BestEffort,
            Restriction::Free,
            Fortitude::Force,
        )
    }
}

//! What must hold between any two blocks.

#![cfg(any(feature = "std", feature = "try-runtime", test))]

use crate::{
    pallet::{
        Asked, Audits, Batches, Challenges, Config, HoldReason, IndexBonds, IndexChallenges, Indexes,
        OpenCases, OpenRequests, Pallet, Questions, Requests, Samples,
    },
    Audit, BatchStage, Committed, IndexStage, Sample, MAX_CHALLENGES, MAX_REQUESTS,
};
use alloc::collections::BTreeMap;
use frame_support::{ensure, traits::fungible::InspectHold};
use openledger_attribution::hash::Account;
use sp_runtime::TryRuntimeError;

impl<T: Config> Pallet<T> {
    /// Checks batches, indexes and requests against each other and against what is held.
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        Self::try_state_escrow()?;
        Self::try_state_samples()?;
        Self::try_state_challenges()?;
        Self::try_state_indexes()?;
        Self::try_state_requests()?;
        Self::try_state_questions()?;
        Self::try_state_audits()?;
        Self::try_state_holds()
    }

    /// What a batch holds in escrow is what its stage leaves to pay.
    fn try_state_escrow() -> Result<(), TryRuntimeError> {
        for batch in Batches::<T>::iter_values() {
            let right = match batch.stage {
                BatchStage::Open => {
                    batch.escrow == batch.header.receipts.sum && batch.exposure >= batch.escrow
                }
                BatchStage::Settled { credited } => {
                    let all = credited == batch.credits.credits.count;
                    batch.escrow <= batch.credits.credits.sum
                        && (!all || batch.escrow == 0)
                        && batch.exposure == 0
                }
                BatchStage::Condemned { .. } => batch.escrow == 0 && batch.exposure == 0,
            };
            ensure!(
                right,
                "attribution: a batch's escrow or exposure is not what its stage leaves to pay"
            );
        }
        Ok(())
    }

    /// Exactly the sampled batches have draws; those that are not answered are open and pay nobody yet.
    fn try_state_samples() -> Result<(), TryRuntimeError> {
        for (id, batch) in Batches::<T>::iter() {
            let sample = Samples::<T>::get(id);
            ensure!(
                sample.is_some() == batch.header.is_sampled(),
                "attribution: a batch is drawn for and not sampled, or the other way round"
            );
            let right = match sample {
                Some(Sample::Waiting { .. } | Sample::Drawn { .. }) => {
                    batch.stage == BatchStage::Open
                        && batch.closes == u32::MAX
                        && batch.credits == Self::no_credits(&batch.header)
                }
                Some(Sample::Forfeited { .. }) => batch.credits == Self::no_credits(&batch.header),
                Some(Sample::Answered { .. }) | None => batch.credits.check(&batch.header).is_ok(),
            };
            ensure!(
                right,
                "attribution: a batch's credits are not what its draws leave"
            );
        }
        ensure!(
            Samples::<T>::iter_keys().all(Batches::<T>::contains_key),
            "attribution: a draw is for no batch"
        );
        Ok(())
    }

    fn try_state_challenges() -> Result<(), TryRuntimeError> {
        for (id, batch) in Batches::<T>::iter() {
            ensure!(
                Challenges::<T>::iter_prefix(id).count() == batch.challenges as usize
                    && batch.challenges <= MAX_CHALLENGES,
                "attribution: a batch counts other challenges than it has"
            );
        }
        ensure!(
            Challenges::<T>::iter_keys().all(|(id, _)| Batches::<T>::contains_key(id)),
            "attribution: a challenge is of no batch"
        );
        for (index, bond) in IndexBonds::<T>::iter() {
            ensure!(
                IndexChallenges::<T>::iter_prefix(index).count() == bond.challenges as usize
                    && bond.challenges <= MAX_CHALLENGES,
                "attribution: an index counts other challenges than it has"
            );
        }
        ensure!(
            IndexChallenges::<T>::iter_keys().all(|(index, _)| IndexBonds::<T>::contains_key(index)),
            "attribution: a challenge is of no index"
        );
        Ok(())
    }

    /// What stands behind an index is of one that is registered, and nothing stands behind one that is done with.
    fn try_state_indexes() -> Result<(), TryRuntimeError> {
        for (index, bond) in IndexBonds::<T>::iter() {
            ensure!(
                Indexes::<T>::get(index).is_some_and(|entry| entry.header.builder == bond.builder.into()),
                "attribution: an index with a bond is not registered, or another's"
            );
            let right = match bond.stage {
                IndexStage::Standing | IndexStage::Retiring { .. } => true,
                IndexStage::Void { .. } => bond.exposure == 0,
                IndexStage::Closed => bond.exposure == 0 && bond.challenges == 0,
            };
            ensure!(
                right,
                "attribution: something stands behind an index that is done with"
            );
        }
        Ok(())
    }

    /// Requests are counted, and are of batches and indexes that there are.
    fn try_state_requests() -> Result<(), TryRuntimeError> {
        let mut counted: BTreeMap<Committed, u32> = BTreeMap::new();
        for (source, _, _) in Requests::<T>::iter() {
            let count = counted.entry(source).or_default();
            *count = count.saturating_add(1);
            let is_there = match source {
                Committed::Batch(id) => Batches::<T>::contains_key(id),
                Committed::Index(index) => IndexBonds::<T>::contains_key(index),
            };
            ensure!(is_there, "attribution: a request is for nothing there is");
        }
        ensure!(
            counted.values().all(|count| *count <= MAX_REQUESTS)
                && counted == OpenRequests::<T>::iter().collect::<BTreeMap<_, _>>(),
            "attribution: other requests are counted than there are"
        );
        Ok(())
    }

    /// What is before committees is asked once, and counted where it freezes something.
    fn try_state_questions() -> Result<(), TryRuntimeError> {
        let mut counted: BTreeMap<Committed, u32> = BTreeMap::new();
        for (case, question) in Questions::<T>::iter() {
            ensure!(
                Asked::<T>::get(question.subject) == Some(case),
                "attribution: a question is not noted as asked"
            );
            let source = crate::ask::source(&question.subject);
            let is_there = match source {
                Committed::Batch(id) => Batches::<T>::contains_key(id),
                Committed::Index(index) => IndexBonds::<T>::contains_key(index),
            };
            ensure!(is_there, "attribution: a question is about nothing there is");
            let count = counted.entry(source).or_default();
            *count = count.saturating_add(1);
        }
        ensure!(
            counted == OpenCases::<T>::iter().collect::<BTreeMap<_, _>>(),
            "attribution: other cases are counted than there are"
        );
        ensure!(
            Asked::<T>::iter().count() == Questions::<T>::iter().count(),
            "attribution: something is noted as asked that is not"
        );
        Ok(())
    }

    /// An audit is of a batch, is done with when the batch is, and one before a committee is of that case.
    fn try_state_audits() -> Result<(), TryRuntimeError> {
        for (id, audit) in Audits::<T>::iter() {
            let batch = Batches::<T>::get(id).ok_or("attribution: an audit is of no batch")?;
            let right = match audit {
                Audit::Waiting { .. } | Audit::Drawn { .. } => {
                    batch.stage == BatchStage::Open && batch.credits.parts.sum > 0
                }
                Audit::Open { case } => {
                    Questions::<T>::get(case).is_some_and(|question| question.audit == Some(id))
                }
                Audit::Done => true,
            };
            ensure!(right, "attribution: an audit is not where its batch is");
        }
        Ok(())
    }

    fn try_state_holds() -> Result<(), TryRuntimeError> {
        let of = |reason: HoldReason, deposits: &mut dyn Iterator<Item = (T::AccountId, u128)>| {
            let mut sums: BTreeMap<Account, u128> = BTreeMap::new();
            for (who, deposit) in deposits {
                let sum = sums.entry(who.into()).or_default();
                *sum = sum.saturating_add(deposit);
            }
            let reason = T::RuntimeHoldReason::from(reason);
            sums.into_iter()
                .all(|(who, sum)| T::Currency::balance_on_hold(&reason, &who.into()) == sum)
        };
        let batches = Challenges::<T>::iter().map(|(_, who, challenge)| (who, challenge.deposit));
        let indexes = IndexChallenges::<T>::iter().map(|(_, who, challenge)| (who, challenge.deposit));
        let questions = Questions::<T>::iter_values()
            .filter_map(|question| Some((question.challenger?, question.deposit)));
        ensure!(
            of(
                HoldReason::Challenge,
                &mut batches.chain(indexes).chain(questions)
            ),
            "attribution: what is held from a challenger is not its deposits"
        );
        ensure!(
            of(
                HoldReason::Request,
                &mut Requests::<T>::iter_values().map(|request| (request.who, request.price)),
            ),
            "attribution: what is held from who asks is not the prices of its requests"
        );
        Ok(())
    }
}

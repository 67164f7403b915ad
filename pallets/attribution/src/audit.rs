//! Audits: of every batch the chain draws one listed row, disputed or not.

use crate::{
    pallet::{Asked, Audits, Batches, Config, Error, Event, Indexes, Pallet},
    sampled::DRAW_DELAY,
    Audit, AuditProof, BatchStage, Question,
};
use frame_support::{dispatch::DispatchResult, ensure, traits::Get};
use openledger_attribution::verdict::{AuditDraw, Audited, Guilt};
use openledger_protocol::{batches::DisputedReceipt, committees::AUDIT_DOMAIN};
use openledger_traits::{Committees, Draws, Hearing};

impl<T: Config> Pallet<T> {
    /// A batch whose parts are committed waits for what is drawn of them, if they are any and a committee could be seated.
    pub(crate) fn begin_audit(id: u64) {
        let Some(batch) = Batches::<T>::get(id) else {
            return;
        };
        let builder = T::AccountId::from(
            Indexes::<T>::get(batch.header.index).map_or([0; 32], |index| index.header.builder),
        );
        let mut parties = alloc::vec![batch.worker];
        if !parties.contains(&builder) {
            parties.push(builder);
        }
        if batch.credits.parts.sum > 0 && T::Committees::are_enough(&parties) {
            let epoch = T::Draws::epoch();
            Audits::<T>::insert(id, Audit::Waiting { epoch });
        }
    }

    /// Whether nothing of a batch's audit is left to be done.
    pub(crate) fn is_audited(id: u64) -> bool {
        matches!(Audits::<T>::get(id), None | Some(Audit::Done))
    }

    /// A batch was condemned: nothing of it has to be shown any more. What is before a committee stays there.
    pub(crate) fn drop_audit(id: u64) {
        Audits::<T>::mutate_extant(id, |audit| {
            if !matches!(audit, Audit::Open { .. }) {
                *audit = Audit::Done;
            }
        });
    }

    pub(crate) fn do_draw_audit(id: u64) -> DispatchResult {
        let Some(Audit::Waiting { epoch }) = Audits::<T>::get(id) else {
            return Err(Error::<T>::NoAudit.into());
        };
        let Some(randomness) = T::Draws::drawn(epoch, AUDIT_DOMAIN, id) else {
            let current = T::Draws::epoch();
            ensure!(current > epoch.saturating_add(DRAW_DELAY), Error::<T>::NotDrawn);
            // It was out and is forgotten, because nobody asked for long: another is waited for.
            Audits::<T>::insert(id, Audit::Waiting { epoch: current });
            Self::deposit_event(Event::DrawnAgain {
                batch: id,
                epoch: current,
            });
            return Ok(());
        };
        let until = Self::after(T::RevealPeriod::get());
        Audits::<T>::insert(id, Audit::Drawn { randomness, until });
        Self::deposit_event(Event::AuditDrawn {
            batch: id,
            randomness,
            until,
        });
        Ok(())
    }

    pub(crate) fn do_show_audit(id: u64, proof: &AuditProof) -> DispatchResult {
        let batch = Batches::<T>::get(id).ok_or(Error::<T>::NoBatch)?;
        let Some(Audit::Drawn { randomness, until }) = Audits::<T>::get(id) else {
            return Err(Error::<T>::NoAudit.into());
        };
        ensure!(Self::now() <= until, Error::<T>::TooLate);
        let index = batch.header.index;
        let header = Indexes::<T>::get(index).ok_or(Error::<T>::NoIndex)?.header;
        let facts = Self::batch_facts(id, &batch, &header);
        let audited = AuditDraw::new(&facts, &randomness)
            .and_then(|draw| proof.judge(&facts, &draw).ok())
            .ok_or(Error::<T>::NotAudited)?;
        let since = Self::window_start(id, &batch).ok_or(Error::<T>::WrongStage)?;
        // What is before a committee already is recomputed once; what is of a condemned index was.
        let subject = proof
            .subject(&audited, id, index)
            .filter(|subject| !Asked::<T>::contains_key(subject));
        let leaf = proof.receipt();
        let receipt = Self::asked_receipt(DisputedReceipt {
            channel: leaf.leaf.channel,
            fee: leaf.leaf.fee,
            index: leaf.index,
        });
        let mut parties: alloc::vec::Vec<_> = receipt.consumer.iter().cloned().collect();
        let accused = match &audited {
            Audited::Row(..) => {
                parties.push(batch.worker.clone());
                Self::disputable(&index).ok().map(|bond| bond.builder)
            }
            _ => Some(batch.worker.clone()),
        };
        let is_of_batch = !matches!(audited, Audited::Row(..));
        let (mut case, mut stage) = (None, Audit::Done);
        if let (Some(subject), Some(accused), Some(claim)) = (subject, accused, audited.claim()) {
            let hearing = Hearing {
                subject,
                claim,
                accused,
                payer: batch.worker.clone(),
                parties,
                is_exact: false,
                audit: Some((randomness, since)),
            };
            let question = Question {
                subject,
                challenger: None,
                deposit: 0,
                receipt: is_of_batch.then_some(receipt),
                audit: is_of_batch.then_some(id),
            };
            let opened = Self::open_case(hearing, question)?;
            case = Some(opened);
            // A worker is not at fault for the index: its batch does not wait for what is said of a row.
            if is_of_batch {
                stage = Audit::Open { case: opened };
            }
        }
        Audits::<T>::insert(id, stage);
        Self::deposit_event(Event::AuditShown { batch: id, case });
        Ok(())
    }

    pub(crate) fn do_end_audit(id: u64) -> DispatchResult {
        let batch = Batches::<T>::get(id).ok_or(Error::<T>::NoBatch)?;
        let Some(Audit::Drawn { until, .. }) = Audits::<T>::get(id) else {
            return Err(Error::<T>::NoAudit.into());
        };
        ensure!(Self::now() > until, Error::<T>::TooEarly);
        ensure!(batch.stage == BatchStage::Open, Error::<T>::WrongStage);
        Self::condemn(id, batch, None, Guilt::Withheld, None)
    }
}

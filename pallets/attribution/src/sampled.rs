//! Sampled batches: receipts first, then the draw, then the answer.

use crate::{
    pallet::{Batches, Config, Error, Event, Pallet, Samples},
    Batch, BatchStage, Sample, DRAW_DOMAIN,
};
use frame_support::{dispatch::DispatchResult, ensure, traits::Get};
use openledger_attribution::{
    batch::{BatchHeader, CreditsHeader},
    hash::Hash,
    tree::Root,
    wire::Object,
};
use openledger_traits::{Bonds, Draws, PayOut};
use sp_runtime::{DispatchError, SaturatedConversion};

/// Epochs after which what was drawn for one is out.
pub(crate) const DRAW_DELAY: u64 = 2;

impl<T: Config> Pallet<T> {
    /// What a sampled batch is submitted with: who is paid is not known before the draw.
    pub(crate) fn no_credits(header: &BatchHeader) -> CreditsHeader {
        CreditsHeader {
            batch: header.hash(),
            answers: Root::EMPTY,
            parts: Root::EMPTY,
            credits: Root::EMPTY,
        }
    }

    /// A batch waits for what is drawn for this epoch.
    pub(crate) fn wait_for_draw(id: u64) {
        let epoch = T::Draws::epoch();
        Samples::<T>::insert(id, Sample::Waiting { epoch });
    }

    /// Whether a batch has no draws that could still be answered.
    pub(crate) fn is_answered(id: u64) -> bool {
        !matches!(
            Samples::<T>::get(id),
            Some(Sample::Waiting { .. } | Sample::Drawn { .. })
        )
    }

    /// What was drawn for a batch.
    pub(crate) fn randomness(id: u64) -> Option<Hash> {
        match Samples::<T>::get(id)? {
            Sample::Waiting { .. } => None,
            Sample::Drawn { randomness, .. }
            | Sample::Answered { randomness, .. }
            | Sample::Forfeited { randomness, .. } => Some(randomness),
        }
    }

    /// Who a batch pays, once its worker said so.
    pub(crate) fn credits(id: u64, batch: &Batch<T::AccountId>) -> Option<&CreditsHeader> {
        let is_given = matches!(Samples::<T>::get(id), None | Some(Sample::Answered { .. }));
        is_given.then_some(&batch.credits)
    }

    /// The first block behind a batch's window, without what requests add; none before the window begins.
    pub(crate) fn window_end(id: u64, batch: &Batch<T::AccountId>) -> Option<u32> {
        let begun = Self::window_start(id, batch)?;
        Some(begun.saturating_add(T::Window::get().saturated_into()))
    }

    /// The block that a batch's window began in, if it did.
    pub(crate) fn window_start(id: u64, batch: &Batch<T::AccountId>) -> Option<u32> {
        match Samples::<T>::get(id) {
            None => Some(batch.submitted),
            Some(Sample::Answered { since, .. } | Sample::Forfeited { since, .. }) => Some(since),
            Some(Sample::Waiting { .. } | Sample::Drawn { .. }) => None,
        }
    }

    pub(crate) fn do_draw(id: u64) -> DispatchResult {
        ensure!(Batches::<T>::contains_key(id), Error::<T>::NoBatch);
        let Some(Sample::Waiting { epoch }) = Samples::<T>::get(id) else {
            return Err(Error::<T>::NoDraw.into());
        };
        let Some(randomness) = T::Draws::drawn(epoch, DRAW_DOMAIN, id) else {
            let current = T::Draws::epoch();
            ensure!(current > epoch.saturating_add(DRAW_DELAY), Error::<T>::NotDrawn);
            // It was out and is forgotten, because the chain stood still: the batch waits for a draw to come instead.
            Samples::<T>::insert(id, Sample::Waiting { epoch: current });
            Self::deposit_event(Event::DrawnAgain {
                batch: id,
                epoch: current,
            });
            return Ok(());
        };
        let until = Self::after(T::AnswerPeriod::get());
        Samples::<T>::insert(id, Sample::Drawn { randomness, until });
        Self::deposit_event(Event::Drawn {
            batch: id,
            randomness,
            until,
        });
        Ok(())
    }

    pub(crate) fn do_answer_draws(who: T::AccountId, id: u64, credits: CreditsHeader) -> DispatchResult {
        let batch = Batches::<T>::get(id).ok_or(Error::<T>::NoBatch)?;
        ensure!(batch.worker == who, Error::<T>::NotYours);
        if let Some(Sample::Waiting { .. }) = Samples::<T>::get(id) {
            Self::do_draw(id)?;
        }
        let (randomness, until) = match Samples::<T>::get(id) {
            Some(Sample::Drawn { randomness, until }) => (randomness, until),
            Some(Sample::Waiting { .. }) => return Err(Error::<T>::NotDrawn.into()),
            _ => return Err(Error::<T>::NoDraw.into()),
        };
        let since = Self::now();
        ensure!(since <= until, Error::<T>::TooLate);
        ensure!(credits.check(&batch.header).is_ok(), Error::<T>::BadHeaders);
        let forfeit = credits.answers.sum;
        Self::begin(
            id,
            Batch { credits, ..batch },
            Sample::Answered { randomness, since },
            forfeit,
        )
    }

    pub(crate) fn do_forfeit_draws(id: u64) -> DispatchResult {
        let batch = Batches::<T>::get(id).ok_or(Error::<T>::NoBatch)?;
        let Some(Sample::Drawn { randomness, until }) = Samples::<T>::get(id) else {
            return Err(Error::<T>::NoDraw.into());
        };
        let since = Self::now();
        ensure!(since > until, Error::<T>::TooEarly);
        let forfeit = batch.header.totals.contributors;
        Self::begin(id, batch, Sample::Forfeited { randomness, since }, forfeit)
    }

    /// A sampled batch's window begins.
    fn begin(id: u64, mut batch: Batch<T::AccountId>, sample: Sample, forfeit: u128) -> DispatchResult {
        ensure!(batch.stage == BatchStage::Open, Error::<T>::WrongStage);
        batch.closes = Self::after(T::Window::get());
        let closes = batch.closes;
        Batches::<T>::insert(id, batch);
        Samples::<T>::insert(id, sample);
        if matches!(sample, Sample::Answered { .. }) {
            Self::begin_audit(id);
        }
        Self::deposit_event(Event::DrawsAnswered {
            batch: id,
            forfeit,
            closes,
        });
        Ok(())
    }

    /// Moves what a worker's bond owes the fallback for draws it did not answer into escrow; returns how much that was.
    pub(crate) fn collect_forfeit(id: u64, batch: &Batch<T::AccountId>) -> Result<u128, DispatchError> {
        let owed = match Samples::<T>::get(id) {
            Some(Sample::Answered { .. }) => batch.credits.answers.sum,
            Some(Sample::Forfeited { .. }) => batch.header.totals.contributors,
            _ => 0,
        };
        if owed == 0 {
            return Ok(0);
        }
        let moved = T::Bonds::pay(&batch.worker, owed, &T::PayOut::pot());
        T::PayOut::escrowed(moved)?;
        Ok(moved)
    }
}

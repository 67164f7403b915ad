//! What the calls do, and what becomes of the job.

use crate::{
    pallet::{Config, Error, Event, HoldReason, NextRequest, Pallet, Requests},
    WeightInfo,
};
use core::marker::PhantomData;
use frame_support::{
    defensive,
    dispatch::DispatchResult,
    ensure,
    traits::{
        fungible::MutateHold,
        tokens::{Fortitude, Precision, Restriction},
        Get,
    },
    weights::Weight,
};
use openledger_attribution::fee::Parts;
use openledger_protocol::{
    compute::{Machine, Outcome, Output, Task},
    inference::{fee, output_hash, Prompt, Request, Stage, MAX_TOKENS},
    models::Place,
    Hash,
};
use openledger_traits::{Earned, Inference, Jobs, Models, OnOutcome, PayOut, Settle};
use sp_runtime::{DispatchError, SaturatedConversion};

/// The most that taking or losing an answer costs: for whoever calls [`OnOutcome`].
pub struct OutcomeWeight<T>(PhantomData<T>);

impl<T: Config> Get<Weight> for OutcomeWeight<T> {
    fn get() -> Weight {
        T::WeightInfo::answered().max(T::WeightInfo::failed())
    }
}

impl<T: Config> Pallet<T> {
    /// The current block.
    pub(crate) fn now() -> u32 {
        frame_system::Pallet::<T>::block_number().saturated_into()
    }

    pub(crate) fn do_request(
        who: T::AccountId,
        (model, generation): Place,
        prompt: Prompt,
        max_tokens: u32,
        machine: Option<Machine>,
        most: u128,
        deadline: u32,
    ) -> Result<u64, DispatchError> {
        ensure!(
            core::str::from_utf8(&prompt).is_ok_and(|text| !text.is_empty()),
            Error::<T>::BadPrompt
        );
        ensure!((1..=MAX_TOKENS).contains(&max_tokens), Error::<T>::BadLength);
        let now = Self::now();
        ensure!(
            deadline >= now.saturating_add(T::ShortestTime::get()),
            Error::<T>::DeadlineTooSoon
        );
        ensure!(
            deadline <= now.saturating_add(T::LongestTime::get()),
            Error::<T>::DeadlineTooLate
        );
        let tariff = T::Models::tariff(model, generation).ok_or(Error::<T>::NotServed)?;
        let fee = fee(&tariff, &prompt, max_tokens)
            .and_then(|fee| fee.total())
            .ok_or(Error::<T>::Overflow)?;
        ensure!(fee <= most, Error::<T>::TooExpensive);
        let deposit = T::Deposit::get();
        T::Currency::hold(&HoldReason::Request.into(), &who, deposit)?;
        if fee > 0 {
            T::Currency::hold(&HoldReason::Fee.into(), &who, fee)?;
        }
        let request = NextRequest::<T>::get();
        NextRequest::<T>::put(request.checked_add(1).ok_or(Error::<T>::Overflow)?);
        let task = Task::Infer {
            model,
            generation,
            request,
        };
        let job = match machine.clone() {
            Some(machine) => T::Jobs::order_on(task, machine, deadline)?,
            None => T::Jobs::order(task, None, deadline)?,
        };
        Requests::<T>::insert(
            request,
            Request {
                who: who.clone(),
                model,
                generation,
                prompt,
                max_tokens,
                machine,
                tariff,
                fee,
                deposit,
                job,
                deadline,
                stage: Stage::Waiting,
            },
        );
        Self::deposit_event(Event::Requested {
            request,
            who,
            model,
            generation,
            fee,
            job,
        });
        Ok(request)
    }

    pub(crate) fn do_forget(who: T::AccountId, id: u64) -> DispatchResult {
        let request = Requests::<T>::get(id).ok_or(Error::<T>::NoRequest)?;
        let (Stage::Answered { at, .. } | Stage::Failed { at }) = request.stage else {
            return Err(Error::<T>::TooEarly.into());
        };
        ensure!(
            who == request.who || Self::now() >= at.saturating_add(T::Retention::get()),
            Error::<T>::TooEarly
        );
        T::Currency::release(
            &HoldReason::Request.into(),
            &request.who,
            request.deposit,
            Precision::BestEffort,
        )?;
        Requests::<T>::remove(id);
        Self::deposit_event(Event::Forgotten { request: id });
        Ok(())
    }

    /// The request that waits for `job`.
    fn awaited(id: u64, job: u64) -> Option<Request<T::AccountId>> {
        Requests::<T>::get(id).filter(|request| request.job == job && request.stage == Stage::Waiting)
    }

    fn answered(id: u64, job: u64, worker: &T::AccountId, output: &Output) -> DispatchResult {
        let mut request = Self::awaited(id, job).ok_or(Error::<T>::NotAwaited)?;
        ensure!(core::str::from_utf8(output).is_ok(), Error::<T>::BadAnswer);
        let computed =
            fee(&request.tariff, &request.prompt, request.max_tokens).ok_or(Error::<T>::Overflow)?;
        // No row is credited, so the contributors' part takes the fallback.
        let parts = Parts::of(computed, &request.tariff.split, false).ok_or(Error::<T>::Overflow)?;
        if request.fee > 0 {
            // By force: it was promised when it was held, and no lock that came later takes that back.
            T::Currency::transfer_on_hold(
                &HoldReason::Fee.into(),
                &request.who,
                &T::PayOut::pot(),
                request.fee,
                Precision::Exact,
                Restriction::Free,
                Fortitude::Force,
            )?;
            T::PayOut::escrowed(request.fee)?;
            T::Settle::pay(&Earned {
                model: request.model,
                generation: request.generation,
                worker,
                parts: &parts,
                kept: 0,
            })?;
        }
        let (hash, fee) = (output_hash(output), request.fee);
        request.stage = Stage::Answered {
            worker: worker.clone(),
            output: output.clone(),
            hash,
            at: Self::now(),
        };
        Requests::<T>::insert(id, request);
        Self::deposit_event(Event::Answered {
            request: id,
            worker: worker.clone(),
            hash,
            fee,
        });
        Ok(())
    }
}

impl<T: Config> OnOutcome<T::AccountId> for Pallet<T> {
    fn delivered(job: u64, task: &Task, worker: &T::AccountId, outcome: &Outcome) -> DispatchResult {
        match (*task, outcome) {
            (Task::Infer { request, .. }, Outcome::Inferred { output }) => {
                Self::answered(request, job, worker, output)
            }
            _ => Err(Error::<T>::BadAnswer.into()),
        }
    }

    fn failed(job: u64, task: &Task) {
        let Task::Infer { request: id, .. } = *task else {
            return;
        };
        let Some(mut request) = Self::awaited(id, job) else {
            return;
        };
        let fee = request.fee;
        request.stage = Stage::Failed { at: Self::now() };
        if fee > 0
            && T::Currency::release(&HoldReason::Fee.into(), &request.who, fee, Precision::Exact).is_err()
        {
            defensive!("inference: the fee of a request that failed is not held");
        }
        Requests::<T>::insert(id, request);
        Self::deposit_event(Event::Failed { request: id, fee });
    }
}

impl<T: Config> Inference<T::AccountId> for Pallet<T> {
    fn request(
        who: &T::AccountId,
        place: Place,
        prompt: Prompt,
        max_tokens: u32,
        most: u128,
        deadline: u32,
    ) -> Result<u64, DispatchError> {
        Self::do_request(who.clone(), place, prompt, max_tokens, None, most, deadline)
    }

    fn answer(request: u64) -> Option<(Hash, Output)> {
        match Requests::<T>::get(request)?.stage {
            Stage::Answered { hash, output, .. } => Some((hash, output)),
            Stage::Waiting | Stage::Failed { .. } => None,
        }
    }
}

//! Answering a question that was asked on the chain.

use super::{adapter, ordered};
use crate::{
    answer::{deliver, submit},
    error::{Error, Result},
    ledger::{self, Head},
    state::Worker,
};
use openledger_engine::{Ask, Model, Params, Request};
use openledger_model::Message;
use openledger_protocol::{
    compute::{hook::Assigned, Outcome, Output},
    inference::Request as Question,
    Account,
};
use std::sync::Arc;
use tokio::sync::mpsc;

/// The longest beginning of `text` that the chain keeps, cut at the end of a character.
fn kept(mut text: String) -> Vec<u8> {
    text.truncate(text.floor_char_boundary(Output::bound()));
    text.into_bytes()
}

/// Answers greedily, so that whoever has the same kind of machine gets the same bytes.
pub(super) async fn infer(worker: &Arc<Worker>, assigned: &Assigned, request: u64) -> Result<Outcome> {
    let question: Question<Account> = ledger::inference(&*worker.ledger, request, Head::Finalized).await?;
    let place = (question.model, question.generation);
    let generation = ordered(worker, place).await?;
    worker.board.say(assigned, "running", "answering".into());
    let own = worker.clone();
    let prepare = move || {
        let base = &own.base;
        // As a generation that is served is called: an adapter that answers already is not loaded again.
        let name = format!("{}:{}", place.0, place.1);
        if !base.engine.adapters().iter().any(|(known, _)| *known == name) {
            adapter(&own, &generation)?;
            let hash = generation.adapter;
            base.engine
                .register_folder(&name, hash, &own.config.adapter_dir(&hash));
        }
        let text = String::from_utf8(question.prompt.into_inner())
            .map_err(|_| Error::Hopeless(format!("the prompt of request {request} is not UTF-8")))?;
        let prompt = base.tokenizer.chat(&[Message::user(text)])?;
        let room = base.context().saturating_sub(prompt.len());
        if room == 0 {
            return Err(Error::Hopeless(format!(
                "request {request} has {} tokens of prompt, and this model reads {}",
                prompt.len(),
                base.context()
            )));
        }
        Ok(Ask {
            asker: "chain".into(),
            ..Ask::from(Request {
                model: Model::Adapter(name),
                prompt,
                params: Params {
                    max_tokens: room.min(usize::try_from(question.max_tokens).unwrap_or(usize::MAX)),
                    temperature: 0.0,
                    top_p: 1.0,
                    seed: 0,
                    stop: Vec::new(),
                },
            })
        })
    };
    let ask = tokio::task::spawn_blocking(prepare)
        .await
        .map_err(|error| Error::part("answering", error))??;
    // Nobody reads along.
    let (send, _receive) = mpsc::unbounded_channel();
    let (outputs, _) = deliver(submit(worker, ask)?, false, &send).await?;
    let output = kept(worker.base.tokenizer.decode(&outputs.concat())?);
    Ok(Outcome::Inferred {
        output: output
            .try_into()
            .map_err(|_| Error::Internal("a cut answer is too long".into()))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_answer_is_cut_between_characters() {
        assert_eq!(kept("day".into()), b"day");
        // Three bytes each: 4,096 is in the middle of one.
        let cut = kept("あ".repeat(2_000));
        assert_eq!(cut.len(), 4_095);
        assert!(String::from_utf8(cut).is_ok());
    }
}

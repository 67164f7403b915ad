//! From a paid order to a signed receipt.
//!
//! ```text
//! tokens ──▶ consumer                       as they come
//! last token ──▶ answer stored ──▶ consumer told the end
//! answer ──▶ queue ──▶ sketch, list ──▶ receipt signed and stored ──▶ handed out, channel free again
//! ```
//!
//! A kill before the answer is stored leaves no trace: the consumer sends its voucher again and gets the same tokens. A
//! kill after it costs nothing: the answer waits for its receipt and is attributed at the next start.

use crate::{
    attribute::Attributed,
    db::{AnswerRow, ReceiptRow},
    draws,
    error::{Error, Result},
    formats::{hex0x, output_leaves, root_hash},
    payment::Order,
    state::{lock, Claim, Worker},
};
use openledger_attribution::{attribution::Bounds, hash::NONE, receipt::Receipt, wire::Object};
use openledger_engine::{Finish, Model, Params, Request};
use openledger_protocol::Hash;
use std::{
    sync::{atomic::AtomicBool, atomic::Ordering, Arc},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::mpsc;

/// An answer that waits for its receipt, with its channel.
pub struct Given {
    /// Hash of its voucher.
    pub voucher: Hash,
    /// The channel.
    pub claim: Claim,
    /// How often attributing it has failed.
    pub failures: u32,
}

/// What a consumer gets.
pub enum Piece {
    /// More text.
    Text(String),
    /// The end: the answer is stored.
    Done(Box<AnswerRow>),
    /// It failed; it costs nothing.
    Failed(Error),
}

/// Unix seconds now.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

struct Answering {
    worker: Arc<Worker>,
    voucher: Hash,
}

impl Drop for Answering {
    fn drop(&mut self) {
        lock(&self.worker.answering).remove(&self.voucher);
    }
}

/// Starts an answer. Its text comes through the receiver; dropping that stops the answer, and what was made is charged.
pub async fn start(worker: &Arc<Worker>, order: Order) -> Result<mpsc::UnboundedReceiver<Piece>> {
    let voucher = order.payment.voucher.hash();
    let waiting = {
        let mut answering = lock(&worker.answering);
        answering.insert(voucher);
        answering.len()
    };
    let answering = Answering {
        worker: worker.clone(),
        voucher,
    };
    if waiting > worker.config.parallel + worker.config.queue {
        return Err(Error::Busy(format!(
            "{waiting} answers are under way or waiting: ask again in a few seconds"
        )));
    }
    let turn = worker
        .turns
        .clone()
        .acquire_owned()
        .await
        .map_err(|error| Error::part("queue", error))?;
    let (send, receive) = mpsc::unbounded_channel();
    let worker = worker.clone();
    tokio::task::spawn_blocking(move || {
        let result = generate(&worker, order, &voucher, &send);
        // Known as stored before it is no longer known as under way.
        drop((answering, turn));
        if let Err(error) = result {
            tracing::error!(voucher = hex0x(voucher), %error, "an answer failed");
            let _ = send.send(Piece::Failed(error));
        }
    });
    Ok(receive)
}

fn generate(
    worker: &Arc<Worker>,
    order: Order,
    voucher: &Hash,
    send: &mpsc::UnboundedSender<Piece>,
) -> Result<()> {
    let Order {
        asked,
        payment,
        claim,
    } = order;
    let parameters = &asked.parameters;
    let request = Request {
        model: Model::Adapter(asked.served.id()),
        prompt: asked.prompt.clone(),
        params: Params {
            max_tokens: usize::try_from(parameters.max_tokens).unwrap_or(usize::MAX),
            temperature: parameters.temperature,
            top_p: parameters.top_p,
            seed: payment.terms.seed,
            stop: parameters.stop.clone(),
        },
    };
    let cancel = AtomicBool::new(false);
    let mut stream = worker.base.tokenizer.stream();
    let mut delivered = 0;
    let mut broken = None;
    let completion = worker.base.engine.generate(&request, &cancel, &mut |token| {
        let sent = match stream.push(token.id) {
            Ok(Some(text)) => send.send(Piece::Text(text)).is_ok(),
            Ok(None) => !send.is_closed(),
            Err(error) => {
                broken = Some(error);
                false
            }
        };
        if sent {
            delivered += 1;
        } else {
            cancel.store(true, Ordering::Relaxed);
        }
    })?;
    if let Some(error) = broken {
        return Err(error.into());
    }
    if let Ok(rest) = stream.finish() {
        if !rest.is_empty() {
            let _ = send.send(Piece::Text(rest));
        }
    }
    let cancelled = send.is_closed() || completion.finish == Finish::Cancelled;
    let output: Vec<u32> = completion
        .tokens
        .iter()
        .take(delivered)
        .map(|token| token.id)
        .collect();
    if cancelled && output.is_empty() {
        return Ok(()); // nothing was delivered, nothing is owed
    }
    kill_point!("answer-generated");
    worker.db.set_parameters(voucher, &parameters.bytes())?;
    let answer = AnswerRow {
        voucher: payment.voucher,
        signature: payment.signature,
        terms: payment.terms,
        salt: payment.salt,
        prompt: asked.prompt,
        output,
        finish: match completion.finish {
            _ if cancelled => "cancelled",
            Finish::Stop => "stop",
            Finish::Length => "length",
            Finish::Cancelled => "cancelled",
        }
        .into(),
        receipt: None,
    };
    worker.db.add_answer(voucher, &answer)?;
    kill_point!("answer-stored");
    // The queue ends only with the program, and then the answer is found in the database at the next start.
    let _ = worker.to_attribute.send(Given {
        voucher: *voucher,
        claim,
        failures: 0,
    });
    let _ = send.send(Piece::Done(Box::new(answer)));
    Ok(())
}

/// Signs a receipt for every answer in the queue, those left from an earlier run first. Never returns.
pub async fn attribute_all(worker: Arc<Worker>, mut queue: mpsc::UnboundedReceiver<Given>) {
    while let Some(mut given) = queue.recv().await {
        let (own, voucher) = (worker.clone(), given.voucher);
        let done = tokio::task::spawn_blocking(move || attribute(&own, &voucher)).await;
        let error = match done {
            Ok(Ok(receipt)) => {
                tracing::info!(
                    receipt = hex0x(receipt),
                    channel = given.claim.channel,
                    "signed a receipt"
                );
                drop(given);
                worker.signed.send_modify(|count| *count += 1);
                worker.batches_changed.notify_one();
                continue;
            }
            Ok(Err(error)) => error,
            Err(panic) => Error::part("attribution", panic),
        };
        // The channel stays held: its next answer would contradict this one. Others need not wait.
        given.failures += 1;
        tracing::error!(voucher = hex0x(voucher), failures = given.failures, %error, "an answer has no receipt yet; it is tried again");
        let worker = worker.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(1 << given.failures.min(5))).await;
            let _ = worker.to_attribute.send(given);
        });
    }
}

/// Queues the answers that an earlier run left without receipts.
pub fn resume(worker: &Arc<Worker>) -> Result<()> {
    for voucher in worker.db.unattributed()? {
        let Some(answer) = worker.db.answer(&voucher)? else {
            continue;
        };
        let Some(claim) = worker.claim(answer.voucher.channel) else {
            return Err(Error::Setup(format!(
                "channel {} has two answers without receipts: restore a backup of the data folder",
                answer.voucher.channel
            )));
        };
        let _ = worker.to_attribute.send(Given {
            voucher,
            claim,
            failures: 0,
        });
    }
    Ok(())
}

/// Attributes one stored answer, unless that waits for a draw, and signs its receipt.
fn attribute(worker: &Worker, voucher: &Hash) -> Result<Hash> {
    let answer = worker
        .db
        .answer(voucher)?
        .ok_or_else(|| Error::Internal(format!("answer {} is not stored", hex0x(voucher))))?;
    if let Some(receipt) = answer.receipt {
        return Ok(receipt);
    }
    let terms = &answer.terms;
    let is_sampled = worker.config.sample > 0;
    let mut attributed = (!is_sampled).then(|| shaped(worker, &answer)).transpose()?;

    let count = |tokens: &[u32]| u32::try_from(tokens.len()).unwrap_or(u32::MAX);
    let (input_tokens, output_tokens) = (count(&answer.prompt), count(&answer.output));
    let fee = terms
        .tariff
        .fee(input_tokens, output_tokens)
        .and_then(|fee| fee.total());
    let mut receipt = Receipt {
        worker: worker.account(),
        voucher: answer.voucher,
        signature: answer.signature,
        terms: *terms,
        input_tokens,
        output_tokens,
        fee: fee.ok_or_else(|| Error::Internal("the fee passes 2^128 planck".into()))?,
        output: root_hash(&output_leaves(&answer.output, &answer.salt))?,
        attribution: attributed
            .as_ref()
            .map_or(NONE, |attributed| attributed.attribution.hash()),
    };
    // Nothing is signed that anybody could prove wrong by looking at it.
    receipt
        .check()
        .map_err(|flaw| Error::Internal(format!("the receipt breaks a rule: {flaw:?}")))?;
    if let Some(attributed) = &mut attributed {
        worker.attribute.sign(&mut receipt, attributed);
    }
    kill_point!("answer-attributed");
    let (attribution, query) = match attributed {
        Some(attributed) => (attributed.attribution, attributed.query),
        None => draws::nothing(),
    };
    let signature = worker.receipt_key.sign(&receipt.signing_message());
    let hash = worker.db.add_receipt(
        voucher,
        ReceiptRow {
            number: 0,
            signed: now(),
            receipt,
            signature,
            attribution,
            query,
            batch: None,
        },
    )?;
    kill_point!("receipt-stored");
    Ok(hash)
}

/// What shaped a stored answer.
pub(crate) fn shaped(worker: &Worker, answer: &AnswerRow) -> Result<Attributed> {
    let terms = &answer.terms;
    let served = worker
        .serving
        .get(terms.model, terms.generation)
        .filter(|served| served.index_hash == terms.index)
        .ok_or_else(|| {
            Error::NotReady(format!(
                "generation {}:{} is not loaded",
                terms.model, terms.generation
            ))
        })?;
    let attributed = worker
        .attribute
        .attribute(&served, &answer.prompt, &answer.output)?;
    let header = served.index.header();
    let bounds = Bounds {
        top: header.rules.top,
        rows: header.rows.count,
        records: header.corpus.count,
        corpus: u64::try_from(header.verbatim.tokens.sum).unwrap_or(u64::MAX),
        output: u32::try_from(answer.output.len()).unwrap_or(u32::MAX),
    };
    attributed
        .attribution
        .check(&bounds)
        .map_err(|flaw| Error::Internal(format!("the attribution breaks a rule: {flaw:?}")))?;
    Ok(attributed)
}

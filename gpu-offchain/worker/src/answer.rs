//! From a paid order to a signed receipt.
//!
//! ```text
//! order ──▶ scheduler ──▶ tokens ──▶ consumer   as they come, beside everybody else's
//! last token ──▶ answer stored ──▶ consumer told the end
//! answer ──▶ queue ──▶ sketch, list ──▶ receipt signed and stored ──▶ handed out, channel free again
//! ```
//!
//! A kill before the answer is stored leaves no trace: the consumer sends its voucher again and gets the same tokens. A
//! kill after it costs nothing: the answer waits for its receipt and is attributed at the next start.

use crate::{
    attribute::Attributed,
    db::{AnswerRow, ChoiceRow, Probability, ReceiptRow},
    draws,
    error::{Error, Result},
    formats::{hex0x, output_leaves, root_hash},
    payment::{Order, Wanted},
    state::{lock, Claim, Worker},
    turns::Due,
};
use openledger_attribution::{attribution::Bounds, hash::NONE, receipt::Receipt, wire::Object};
use openledger_engine::{Ask, Event, Finish, Model, Params, Request, Sampling, Ticket};
use openledger_protocol::Hash;
use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::mpsc;

/// An answer that waits for its receipt, with its channel.
pub struct Given {
    /// Hash of its voucher.
    pub voucher: Hash,
    /// The channel.
    pub claim: Claim,
    /// When its last token was given, or when the program started.
    pub since: Instant,
    /// How often attributing it has failed.
    pub failures: u32,
    /// Counts it among those that wait.
    pub due: Due,
}

/// What a consumer gets.
pub enum Piece {
    /// More of a choice. Tokens whose text is held back, for they may become a stop text, come without text.
    More {
        /// Which choice, from 0.
        choice: usize,
        /// The text.
        text: String,
        /// How likely the tokens were.
        probabilities: Vec<Probability>,
    },
    /// A choice has ended.
    End {
        /// Which.
        choice: usize,
        /// `stop` or `length`.
        finish: &'static str,
    },
    /// All choices have ended and the answer is stored.
    Done(Ended),
    /// It failed; it costs nothing.
    Failed(Error),
}

/// What an answer came to.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Tokens of the prompt.
    pub prompt: usize,
    /// Tokens of all choices.
    pub output: usize,
    /// Its receipt, if it has one already.
    pub receipt: Option<Hash>,
}

impl From<&AnswerRow> for Ended {
    fn from(answer: &AnswerRow) -> Self {
        Self {
            prompt: answer.prompt.len(),
            output: answer.output.len(),
            receipt: answer.receipt,
        }
    }
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

/// Puts an order into the scheduler's queue. The answer comes through the receiver; dropping that stops the answer, and what was made
/// is charged.
pub fn start(worker: &Arc<Worker>, order: Order) -> Result<mpsc::UnboundedReceiver<Piece>> {
    let voucher = order.payment.voucher.hash();
    lock(&worker.answering).insert(voucher);
    let answering = Answering {
        worker: worker.clone(),
        voucher,
    };
    let ask = ask_of(
        &order.asked.wanted,
        worker.attribute.model(&order.asked.served),
        order.payment.terms.seed,
        hex::encode(order.consumer),
    );
    let asked = submit(worker, ask)?;
    let (send, receive) = mpsc::unbounded_channel();
    let worker = worker.clone();
    tokio::spawn(async move {
        let result = give(&worker, order, &voucher, asked, &send).await;
        // Known as stored before it is no longer known as under way.
        drop(answering);
        match result {
            Ok(Some((answer, given))) => {
                // The queue ends only with the program, and then the answer is found in the database at the next start.
                let _ = worker.to_attribute.send(given);
                let _ = send.send(Piece::Done(Ended::from(&answer)));
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(voucher = hex0x(voucher), %error, "an answer failed");
                let _ = send.send(Piece::Failed(error));
            }
        }
    });
    Ok(receive)
}

/// What the scheduler is asked for.
pub(crate) fn ask_of(wanted: &Wanted, model: Model, seed: u64, asker: String) -> Ask {
    let parameters = &wanted.parameters;
    let size = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    Ask {
        request: Request {
            model,
            prompt: wanted.prompt.clone(),
            params: Params {
                max_tokens: size(parameters.max_tokens),
                temperature: parameters.temperature,
                top_p: parameters.top_p,
                seed,
                stop: parameters.stop.clone(),
            },
        },
        sampling: Sampling {
            alternatives: wanted.likeliest.unwrap_or(0),
            ..Sampling::default()
        },
        n: size(parameters.n),
        stop: parameters.stop_texts.clone(),
        asker,
    }
}

/// A request in the scheduler's queue.
pub(crate) struct Submitted {
    events: mpsc::UnboundedReceiver<Event>,
    ticket: Ticket,
    n: usize,
}

pub(crate) fn submit(worker: &Worker, ask: Ask) -> Result<Submitted> {
    let n = ask.n;
    let (send, events) = mpsc::unbounded_channel();
    // Called on the scheduler's thread: it hands over and returns.
    let ticket = worker
        .scheduler
        .submit_with(ask, Box::new(move |event| send.send(event).is_ok()))?;
    Ok(Submitted { events, ticket, n })
}

/// Hands a request's events on as they come and gives what was delivered; `cancelled` is a choice that its asker did not wait for.
pub(crate) async fn deliver(
    asked: Submitted,
    keep: bool,
    send: &mpsc::UnboundedSender<Piece>,
) -> Result<(Vec<Vec<u32>>, Vec<ChoiceRow>)> {
    let Submitted {
        mut events,
        ticket,
        n,
    } = asked;
    let mut outputs = vec![Vec::new(); n];
    let mut choices = vec![
        ChoiceRow {
            tokens: 0,
            finish: "cancelled".into(),
            probabilities: keep.then(Vec::new),
        };
        n
    ];
    let mut left = n;
    while left > 0 {
        let event = tokio::select! {
            event = events.recv() => event,
            () = send.closed() => {
                ticket.cancel();
                break;
            }
        };
        match event {
            Some(Event::Token {
                choice,
                token,
                top,
                text,
            }) => {
                let (Some(output), Some(row)) = (outputs.get_mut(choice), choices.get_mut(choice)) else {
                    continue;
                };
                let probability = Probability {
                    token: token.id,
                    logprob: token.logprob,
                    top,
                };
                let piece = Piece::More {
                    choice,
                    text,
                    probabilities: if keep {
                        vec![probability.clone()]
                    } else {
                        Vec::new()
                    },
                };
                if send.send(piece).is_err() {
                    continue; // seen as closed in the next round
                }
                output.push(token.id);
                row.tokens += 1;
                if let Some(kept) = &mut row.probabilities {
                    kept.push(probability);
                }
            }
            Some(Event::Done {
                choice, finish, text, ..
            }) => {
                left -= 1;
                let finish = match finish {
                    Finish::Stop => "stop",
                    Finish::Length => "length",
                    Finish::Cancelled => continue,
                };
                if !text.is_empty() {
                    let probabilities = Vec::new();
                    let _ = send.send(Piece::More {
                        choice,
                        text,
                        probabilities,
                    });
                }
                if let Some(row) = choices.get_mut(choice) {
                    row.finish = finish.into();
                }
                let _ = send.send(Piece::End { choice, finish });
            }
            Some(Event::Failed(error)) => return Err(error.into()),
            None => return Err(Error::Internal("the scheduler ended before the answer".into())),
        }
    }
    Ok((outputs, choices))
}

async fn give(
    worker: &Arc<Worker>,
    order: Order,
    voucher: &Hash,
    asked: Submitted,
    send: &mpsc::UnboundedSender<Piece>,
) -> Result<Option<(AnswerRow, Given)>> {
    let keep = order.asked.wanted.likeliest.is_some();
    let (outputs, choices) = deliver(asked, keep, send).await?;
    let Order {
        asked,
        payment,
        claim,
        ..
    } = order;
    let output = outputs.concat();
    if send.is_closed() && output.is_empty() {
        return Ok(None); // nothing was delivered, nothing is owed
    }
    kill_point!("answer-generated");
    let parameters = asked.wanted.parameters.bytes();
    let answer = AnswerRow {
        voucher: payment.voucher,
        signature: payment.signature,
        terms: payment.terms,
        salt: payment.salt,
        prompt: asked.wanted.prompt,
        output,
        choices,
        receipt: None,
    };
    let (own, key) = (worker.clone(), *voucher);
    let stored =
        tokio::task::spawn_blocking(move || own.db.add_answer(&key, &answer, &parameters).map(|()| answer));
    let answer = stored
        .await
        .map_err(|error| Error::part("storing an answer", error))??;
    kill_point!("answer-stored");
    let given = Given {
        voucher: *voucher,
        claim,
        since: Instant::now(),
        failures: 0,
        due: Due::new(&worker.base),
    };
    Ok(Some((answer, given)))
}

/// Signs a receipt for every answer in the queue, those left from an earlier run first. Never returns.
pub async fn attribute_all(worker: Arc<Worker>, mut queue: mpsc::UnboundedReceiver<Given>) {
    while let Some(mut given) = queue.recv().await {
        let (own, voucher) = (worker.clone(), given.voucher);
        let done =
            tokio::task::spawn_blocking(move || own.attributing.install(|| attribute(&own, &voucher))).await;
        let error = match done {
            Ok(Ok(receipt)) => {
                tracing::info!(
                    receipt = hex0x(receipt),
                    channel = given.claim.channel,
                    "signed a receipt"
                );
                worker.metrics.attributed(given.since.elapsed());
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
        worker.metrics.attribution_failed();
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
            since: Instant::now(),
            failures: 0,
            due: Due::new(&worker.base),
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
        .attribute(&served, &answer.prompt, &answer.outputs())?;
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

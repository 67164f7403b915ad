//! Vouchers: what a consumer must have signed before an answer, and what a request without one is told.

use crate::{
    device,
    error::{Error, Result},
    formats::{hex0x, parse_hash, prompt_leaves, root_hash, wire, Parameters},
    ledger::{self, Head},
    models::Served,
    state::{Claim, Worker},
};
use base64::Engine as _;
use openledger_attribution::{
    fee::Tariff,
    voucher::{Signature, Terms, Voucher},
    wire::{Field, Object, Reader},
};
use openledger_chain::SignatureChecks;
use openledger_protocol::{Account, Hash};
use serde_json::{json, Value};
use std::sync::Arc;

/// Header with the voucher and its signature: base64 of canonical bytes.
pub const VOUCHER: &str = "x-openledger-voucher";
/// Header with the terms: base64 of canonical bytes.
pub const TERMS: &str = "x-openledger-terms";
/// Header with the consumer's salt.
pub const SALT: &str = "x-openledger-salt";
/// Header with a channel, in a request without voucher that asks for its state.
pub const CHANNEL: &str = "x-openledger-channel";

/// A voucher is refused if it expires later than this many blocks ahead: nobody should be bound that long.
const LONGEST_EXPIRY: u64 = 100_000;

/// What a request asks for, read and tokenised.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Tokens of the prompt.
    pub prompt: Vec<u32>,
    /// How it is sampled.
    pub parameters: Parameters,
    /// The sampler's seed, if the request's body names one too.
    pub seed: Option<u64>,
    /// How many of the likeliest tokens are told beside each, if probabilities are asked for.
    pub likeliest: Option<usize>,
}

/// A request to a generation.
pub struct Asked {
    /// The generation that answers.
    pub served: Arc<Served>,
    /// What is asked of it.
    pub wanted: Wanted,
}

/// What a consumer signed, as the headers carry it.
pub struct Payment {
    /// The voucher.
    pub voucher: Voucher,
    /// The consumer's signature.
    pub signature: Signature,
    /// What the voucher's terms are the hash of.
    pub terms: Terms,
    /// The consumer's secret salt.
    pub salt: Hash,
}

/// A paid order.
pub struct Order {
    /// What is asked.
    pub asked: Asked,
    /// What pays it.
    pub payment: Payment,
    /// Who pays it.
    pub consumer: Account,
    /// The channel, held until the receipt.
    pub claim: Claim,
}

fn base64(header: &str, text: &str) -> Result<Vec<u8>> {
    base64::engine::general_purpose::STANDARD
        .decode(text.trim())
        .map_err(|error| {
            Error::Request(format!(
                "{header} is not base64 ({error}): encode the canonical bytes"
            ))
        })
}

impl Payment {
    /// Reads the headers' values.
    pub fn read(voucher: &str, terms: Option<&str>, salt: Option<&str>) -> Result<Self> {
        let missing = |header: &str| Error::Request(format!("{VOUCHER} comes with {header}: send both"));
        let bytes = base64(VOUCHER, voucher)?;
        let mut reader = Reader::new(&bytes);
        let read = |reader: &mut Reader<'_>| {
            let [version] = reader.array()?;
            if version != Voucher::VERSION {
                return Err(openledger_attribution::wire::WireError::Version(version));
            }
            Ok((Voucher::read(reader)?, Signature::read(reader)?))
        };
        let (voucher, signature) = read(&mut reader)
            .and_then(|read| reader.finish().map(|()| read))
            .map_err(|error| Error::Request(format!("{VOUCHER} is no voucher and signature: {error}")))?;
        let terms = Terms::decode(&base64(TERMS, terms.ok_or_else(|| missing(TERMS))?)?)
            .map_err(|error| Error::Request(format!("{TERMS} are no terms: {error}")))?;
        let salt = parse_hash(salt.ok_or_else(|| missing(SALT))?.trim())?;
        Ok(Self {
            voucher,
            signature,
            terms,
            salt,
        })
    }
}

/// The tariff a generation is charged by now, if its owner lets it answer.
pub async fn tariff(worker: &Worker, served: &Served) -> Result<Tariff> {
    let model = ledger::model(&*worker.ledger, served.model, Head::Best).await?;
    if !model.serving {
        return Err(Error::NotReady(format!(
            "the owner of {} does not let it answer now",
            served.id()
        )));
    }
    ledger::tariff(
        &*worker.ledger,
        &model,
        (served.model, served.generation),
        Head::Best,
    )
    .await
}

fn worst_case(asked: &Asked, tariff: &Tariff) -> Result<u128> {
    let tokens = u32::try_from(asked.wanted.prompt.len())
        .ok()
        .zip(asked.wanted.parameters.most_tokens());
    tokens
        .and_then(|(prompt, answer)| tariff.fee(prompt, answer)?.total())
        .ok_or_else(|| Error::Request("so many tokens cost more than 2^128 planck: ask for fewer".into()))
}

/// The body of a `402`: what to pay and how.
pub async fn quote(worker: &Worker, asked: &Asked, channel: Option<u64>) -> Result<Value> {
    let served = &asked.served;
    let tariff = tariff(worker, served).await?;
    let head = worker.ledger.head(Head::Best).await?.number;
    let least = u64::from(head) + u64::from(worker.config.expiry_margin);
    let channel = match channel {
        Some(id) => channel_state(worker, id).await?,
        None => Value::Null,
    };
    Ok(json!({
        "protocol": 1,
        "genesis": hex0x(worker.ledger.genesis()),
        "chain_id": worker.ledger.chain_id(),
        "worker": hex0x(worker.account()),
        "receipt_key": hex0x(worker.receipt_key.account()),
        "model": served.model,
        "generation": served.generation,
        "index": hex0x(served.index_hash),
        "tariff": hex0x(Object::encode(&tariff)),
        "price_in": tariff.price_in.to_string(),
        "price_out": tariff.price_out.to_string(),
        "mode": device::named(worker.base.mode),
        "prompt_tokens": asked.wanted.prompt.len(),
        "max_tokens": asked.wanted.parameters.max_tokens,
        "n": asked.wanted.parameters.n,
        "parameters": hex0x(asked.wanted.parameters.hash()),
        "most": worst_case(asked, &tariff)?.to_string(),
        "expiry": { "least": least, "most": least + LONGEST_EXPIRY },
        "head": head,
        "channel": channel,
        "how": format!(
            "Open a channel to the worker's account (channels.open), sign a voucher for it and send the request again with \
             {VOUCHER}, {TERMS} and {SALT}."
        ),
    }))
}

/// A channel as the API shows it.
pub async fn channel_state(worker: &Worker, id: u64) -> Result<Value> {
    let (channel, state) = worker.channel(id).await?;
    Ok(json!({
        "channel": id,
        "consumer": hex0x(channel.consumer),
        "worker": hex0x(channel.worker),
        "deposit": channel.deposit.to_string(),
        "cursor": channel.cursor.to_string(),
        "accepted": state.accepted.to_string(),
        "previous": hex0x(state.previous),
        "closing": channel.closing,
        "busy": worker.is_busy(id),
    }))
}

/// Checks a payment against everything it must match and holds its channel.
pub async fn accept(worker: &Arc<Worker>, asked: Asked, payment: Payment) -> Result<Order> {
    let pay = |why: String| Err(Error::Payment(why));
    let Payment {
        voucher,
        signature,
        terms,
        salt,
    } = &payment;
    let served = &asked.served;
    if voucher.genesis != worker.ledger.genesis() {
        return pay(format!(
            "the voucher is for the chain with genesis {}, this worker is on {}",
            hex0x(voucher.genesis),
            hex0x(worker.ledger.genesis())
        ));
    }
    if voucher.terms != terms.hash() {
        return pay(format!(
            "the voucher names terms {}, those sent are {}: sign the terms you send",
            hex0x(voucher.terms),
            hex0x(terms.hash())
        ));
    }
    let tariff = tariff(worker, served).await?;
    let expected = Terms {
        model: served.model,
        generation: served.generation,
        index: served.index_hash,
        tariff,
        mode: worker.base.mode,
        prompt: root_hash(&prompt_leaves(&asked.wanted.prompt, salt))?,
        parameters: asked.wanted.parameters.hash(),
        seed: asked.wanted.seed.unwrap_or(terms.seed),
    };
    let differs = [
        (
            "model and generation",
            (terms.model, terms.generation) != (expected.model, expected.generation),
        ),
        ("index", terms.index != expected.index),
        (
            "tariff (prices may have changed: ask for a new quote)",
            terms.tariff != expected.tariff,
        ),
        (
            "mode (the quote says in which this worker answers)",
            terms.mode != expected.mode,
        ),
        (
            "prompt (tokens, template or salt)",
            terms.prompt != expected.prompt,
        ),
        ("parameters", terms.parameters != expected.parameters),
        ("seed", terms.seed != expected.seed),
    ];
    if let Some((what, _)) = differs.iter().find(|(_, differs)| *differs) {
        return pay(format!(
            "the terms are not those of this request; what differs: {what}"
        ));
    }

    // From here on nobody else answers on this channel, so what is read stays true until the receipt.
    let Some(claim) = claim(worker, voucher.channel).await else {
        return Err(Error::Conflict(format!(
            "channel {} has an answer without a receipt yet: wait for it at /v1/answers, then sign for what follows it",
            voucher.channel
        )));
    };
    let (channel, state) = worker.channel(voucher.channel).await?;
    if !voucher.is_signed(
        signature,
        &channel.consumer,
        worker.ledger.chain_id(),
        &SignatureChecks,
    ) {
        return pay(format!(
            "the signature is not that of the channel's consumer {}: sign with its key",
            hex0x(channel.consumer)
        ));
    }
    if (voucher.accepted, voucher.previous) != (state.accepted, state.previous) {
        return Err(Error::Conflict(format!(
            "the voucher follows receipt {} at {} planck, the channel is at {} and {} planck: sign for what follows",
            hex0x(voucher.previous),
            voucher.accepted,
            hex0x(state.previous),
            state.accepted
        )));
    }
    let worst = worst_case(&asked, &tariff)?;
    if voucher.most < worst {
        return pay(format!(
            "the voucher allows {} planck, the answer may cost {worst}",
            voucher.most
        ));
    }
    if voucher
        .accepted
        .checked_add(voucher.most)
        .is_none_or(|sum| sum > channel.deposit)
    {
        return pay(format!(
            "the channel holds {} planck, of which {} are used, and the voucher is for {} more: top it up",
            channel.deposit, voucher.accepted, voucher.most
        ));
    }
    let head = u64::from(worker.ledger.head(Head::Best).await?.number);
    let least = head + u64::from(worker.config.expiry_margin);
    if voucher.expiry < least || voucher.expiry > least + LONGEST_EXPIRY {
        return pay(format!(
            "the voucher expires in block {}, it must be from {least} to {}",
            voucher.expiry,
            least + LONGEST_EXPIRY
        ));
    }
    if let Some(closing) = channel
        .closing
        .filter(|closing| voucher.expiry >= u64::from(*closing))
    {
        return pay(format!(
            "the channel closes in block {closing}, before the voucher expires in {}: open another channel",
            voucher.expiry
        ));
    }
    Ok(Order {
        asked,
        payment,
        consumer: channel.consumer,
        claim,
    })
}

/// Holds a channel. A consumer may know its receipt an instant before its channel is free again.
async fn claim(worker: &Arc<Worker>, channel: u64) -> Option<Claim> {
    for _ in 0..20 {
        if let Some(claim) = worker.claim(channel) {
            return Some(claim);
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    None
}

/// The header's value for a voucher and its signature, as consumers make it.
pub fn voucher_header(voucher: &Voucher, signature: &Signature) -> String {
    let mut bytes = Object::encode(voucher);
    bytes.extend(wire(signature));
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// The header's value for terms.
pub fn terms_header(terms: &Terms) -> String {
    base64::engine::general_purpose::STANDARD.encode(Object::encode(terms))
}

//! Paying for an answer by voucher: what is looked up before, what is signed, how the receipt is checked after. `chat` and `proxy`
//! pay alike.

use crate::{
    book::{Page, Pending},
    channels,
    context::{random, Context},
    models,
    public::{self, Published},
    texts::{output_leaves, prompt_leaves, text_root, Parameters},
    wire::{bytes_of, bytes_of_field, hex_of},
    worker::Worker,
    Error, Result,
};
use base64::{engine::general_purpose::STANDARD, Engine};
use openledger_attribution::{
    fee::Tariff,
    hash::Hash,
    receipt::Receipt,
    voucher::{CheckSignature, Mode, Signature, Terms, Voucher},
    wire::Object,
};
use openledger_chain::{open, ss58, Block, Chain, Head, Key, Read, SignatureChecks};
use openledger_model::{Message, Tokenizer};
use openledger_protocol::{
    channels::Channel,
    compute,
    models::{Base, Model, Stage},
    storage, Account,
};
use serde::Deserialize;
use serde_json::Value;
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long an answer's attribution is waited for after its last token.
const PATIENCE: Duration = Duration::from_secs(300);

/// What is asked of whom.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Number or name of the model, or `model:generation`.
    pub model: String,
    /// Generation; the newest that can answer if none is named.
    pub generation: Option<u32>,
    /// Channel to pay through; the newest to the worker if none is named.
    pub channel: Option<u64>,
}

/// Everything that was looked up before anything is signed.
pub struct Order {
    /// The node.
    pub chain: Chain,
    /// Signs vouchers.
    pub key: Key,
    /// The worker.
    pub worker: Worker,
    /// The block that all of this was read at.
    pub block: Block,
    /// The model's number.
    pub model: u64,
    /// The generation that answers.
    pub generation: u32,
    /// The model.
    pub stored: Read<Model<Account>>,
    /// What the generation's answers are charged by.
    pub tariff: Tariff,
    /// Hash of the generation's index.
    pub index: Hash,
    /// The channel's number.
    pub channel: u64,
    /// The channel.
    pub account: Read<Channel<Account>>,
    /// The base's tokenizer.
    pub tokenizer: Arc<Tokenizer>,
    /// How the worker computes answers.
    pub mode: Mode,
}

/// What is asked, as it is signed for.
#[derive(Clone, Debug)]
pub struct Question {
    /// Tokens of the prompt.
    pub prompt: Vec<u32>,
    /// How it is sampled.
    pub parameters: Parameters,
    /// The sampler's seed; random if none is named.
    pub seed: Option<u64>,
    /// Blocks that the voucher is good for.
    pub expiry: u64,
    /// The question for people.
    pub shown: String,
}

/// Looks up what has to be known to pay. A tokenizer that is at hand is taken if it is the right one.
pub async fn look_up(
    context: &Context,
    chain: Chain,
    wish: &Wish,
    at_hand: Option<Arc<Tokenizer>>,
) -> Result<Order> {
    let key = context.key(&chain)?;
    let worker = context.worker();
    let block = chain.head(Head::Best).await?;
    let pair = wish
        .model
        .split_once(':')
        .and_then(|(model, generation)| Some((model, generation.parse::<u32>().ok()?)));
    let (name, wanted) = match pair {
        Some((model, generation)) if model.parse::<u64>().is_ok() => (model, Some(generation)),
        _ => (wish.model.as_str(), wish.generation),
    };
    let (model, stored) = models::find(&chain, name, block).await?;
    let (generation, index) = ready(&chain, model, &stored, wanted).await?;
    let tariff = models::tariff(&chain, &stored, (model, generation)).await?;
    let (account, mode) = channels::worker_says(context)?;
    let channel = match wish.channel {
        Some(channel) => channel,
        None => own_channels(&chain, &key, &account, block)
            .await?
            .pop()
            .ok_or_else(|| no_channel(&key, &account, block))?,
    };
    let found = channels::read(&chain, channel, block).await?;
    if found.value.consumer != key.account() {
        return Err(Error::other(format!(
            "channel {channel} is {}'s, not {}'s ({}): sign with its key, or open one with `openledger channel open OPEN`",
            ss58(&found.value.consumer),
            ss58(&key.account()),
            found.place()
        )));
    }
    if found.value.worker != account {
        return Err(Error::other(format!(
            "channel {channel} is to worker {} and {} is {} ({}): name the right one with --worker, or another channel",
            ss58(&found.value.worker),
            worker.url(),
            ss58(&account),
            found.place()
        )));
    }
    let base = stored.value.base;
    let base = chain
        .read::<Base<Account>>(storage::base(base), block)
        .await?
        .found(format_args!("base {base}"))?;
    let tokenizer = match at_hand.filter(|known| known.hash() == base.value.tokenizer) {
        Some(known) => known,
        None => Arc::new(tokenizer(context, &worker, &base.value.tokenizer)?),
    };
    Ok(Order {
        chain,
        key,
        worker,
        block,
        model,
        generation,
        stored,
        tariff,
        index,
        channel,
        account: found,
        tokenizer,
        mode,
    })
}

/// The newest generation that can answer, or the one asked for, with its index.
async fn ready(
    chain: &Chain,
    model: u64,
    stored: &Read<Model<Account>>,
    wanted: Option<u32>,
) -> Result<(u32, Hash)> {
    let all = match wanted {
        Some(number) => number..=number,
        None => 1..=stored.value.generations,
    };
    for number in all.rev() {
        let generation = models::generation(chain, model, number, stored.block).await?;
        match generation.value.stage {
            Stage::Ready { index } => return Ok((number, index)),
            other if wanted.is_some() => {
                return Err(Error::other(format!(
                    "generation {number} of model {model} cannot answer: it is {} ({})",
                    models::stage(&other),
                    generation.place()
                )))
            }
            _ => {}
        }
    }
    Err(Error::other(format!(
        "model {model} has no generation that can answer ({}): train one with `openledger train`",
        stored.place()
    )))
}

/// Says how to get a channel.
pub fn no_channel(key: &Key, worker: &Account, block: Block) -> Error {
    Error::other(format!(
        "{} has no open channel to worker {} at block {block}: open one with `openledger channel open OPEN`",
        ss58(&key.account()),
        ss58(worker)
    ))
}

/// The consumer's channels to a worker that are not closing, the newest last.
pub async fn own_channels(chain: &Chain, key: &Key, worker: &Account, block: Block) -> Result<Vec<u64>> {
    let all = chain
        .entries::<u64, Channel<Account>>("Channels", "Channels", block)
        .await?;
    let own = all.iter().filter(|(_, c)| {
        c.value.consumer == key.account() && c.value.worker == *worker && c.value.closing.is_none()
    });
    let mut ids: Vec<u64> = own.map(|(id, _)| *id).collect();
    ids.sort_unstable();
    Ok(ids)
}

/// The tokenizer that the chain names, from the worker once and then from the disk; either way checked.
fn tokenizer(context: &Context, worker: &Worker, hash: &Hash) -> Result<Tokenizer> {
    #[derive(Deserialize)]
    struct Files {
        files: Vec<File>,
    }
    #[derive(Deserialize)]
    struct File {
        name: String,
    }
    let dir = context.shared().join("tokenizers").join(hex::encode(hash));
    if let Ok(kept) = Tokenizer::load(&dir) {
        if kept.hash() == *hash {
            return Ok(kept);
        }
    }
    let path = format!("/v1/tokenizers/{}", hex_of(hash));
    let files: Files = worker.json(&path)?;
    for File { name } in files.files {
        let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\']);
        if !plain {
            return Err(worker.wrong(&path, format!("`{name}` is no plain file name")));
        }
        crate::files::replace(&dir.join(&name), &worker.bytes(&format!("{path}/{name}"))?)?;
    }
    let fetched = Tokenizer::load(&dir)?;
    if fetched.hash() != *hash {
        return Err(worker.wrong(&path, format!("its files have hash {}", hex_of(fetched.hash()))));
    }
    Ok(fetched)
}

/// The most that a question can cost by the generation's tariff, in planck.
pub fn most(order: &Order, question: &Question) -> Result<u128> {
    let input = u32::try_from(question.prompt.len())
        .map_err(|_| Error::other("the prompt has more than 2^32 tokens"))?;
    question
        .parameters
        .most_tokens()
        .and_then(|output| order.tariff.fee(input, output)?.total())
        .ok_or_else(|| Error::other("the answer could cost more than 2^128 planck: ask for fewer tokens"))
}

/// Signs a voucher for a question, at the place where the channel's page stands. It may be sent once [`Page::begin`] has it.
pub fn sign(order: &Order, page: &Page, question: &Question) -> Result<Pending> {
    let tariff = order.tariff;
    let most = most(order, question)?;
    let accepted = page.accepted()?;
    let channel = &order.account;
    let after = accepted
        .checked_add(most)
        .filter(|after| *after <= channel.value.deposit);
    if after.is_none() {
        return Err(Error::other(format!(
            "channel {} has {} left of {} ({}) and this answer may cost {}: ask for fewer tokens or open another channel",
            order.channel,
            open(channel.value.deposit.saturating_sub(accepted)),
            open(channel.value.deposit),
            channel.place(),
            open(most)
        )));
    }
    let mut expiry = u64::from(order.block.number).saturating_add(question.expiry);
    if let Some(closing) = channel.value.closing {
        expiry = expiry.min(u64::from(closing).saturating_sub(1));
    }
    let salt = random()?;
    let root = text_root(&prompt_leaves(&question.prompt, &salt))
        .ok_or_else(|| Error::other("the prompt is too long"))?;
    let seed = match question.seed {
        Some(seed) => seed,
        None => {
            let [a, b, c, d, e, f, g, h, ..] = random()?;
            u64::from_be_bytes([a, b, c, d, e, f, g, h])
        }
    };
    let terms = Terms {
        model: order.model,
        generation: order.generation,
        index: order.index,
        tariff,
        mode: order.mode,
        prompt: root,
        parameters: question.parameters.hash(),
        seed,
    };
    let voucher = Voucher {
        genesis: order.chain.genesis(),
        channel: order.channel,
        accepted,
        previous: page.previous()?,
        most,
        expiry,
        terms: terms.hash(),
    };
    Ok(Pending {
        voucher,
        signature: Signature::Sr25519(order.key.sign(&voucher.sr25519_message())),
        terms,
        salt,
        prompt: question.shown.clone(),
        input_tokens: u32::try_from(question.prompt.len()).ok(),
    })
}

/// The headers that pay.
pub fn headers(pending: &Pending) -> [(&'static str, String); 3] {
    let mut voucher = pending.voucher.encode();
    voucher.extend(bytes_of_field(&pending.signature));
    [
        ("x-openledger-voucher", STANDARD.encode(voucher)),
        ("x-openledger-terms", STANDARD.encode(pending.terms.encode())),
        ("x-openledger-salt", hex_of(pending.salt)),
    ]
}

/// The receipt of a voucher, waiting while the worker is at it; nothing if the worker never saw it.
pub fn receipt_of(worker: &Worker, pending: &Pending) -> Result<Option<Hash>> {
    let path = format!("/v1/answers/{}?wait=20", hex_of(pending.voucher.hash()));
    let start = Instant::now();
    loop {
        let answer: Value = match worker.json(&path) {
            Ok(answer) => answer,
            Err(e) if e.status() == Some(404) => return Ok(None),
            Err(e) => return Err(e),
        };
        if answer["state"] == "done" {
            let hash = answer["receipt"]
                .as_str()
                .and_then(|text| bytes_of(text).ok()?.try_into().ok());
            return hash
                .map(Some)
                .ok_or_else(|| worker.wrong(&path, "it is done and has no receipt"));
        }
        if start.elapsed() > PATIENCE {
            return Err(worker.wrong(
                &path,
                format!(
                    "it is still {} after {} s: ask again later",
                    answer["state"],
                    PATIENCE.as_secs()
                ),
            ));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Fetches a receipt and checks it against voucher, terms and the worker's key on the chain.
pub async fn take_receipt(order: &Order, pending: &Pending, hash: &Hash) -> Result<Published> {
    let published = public::receipt(&order.worker, hash, Some(&pending.salt))?;
    let receipt = &published.answer.receipt;
    let wrong = |reason: String| order.worker.wrong(format!("receipt {}", hex_of(hash)), reason);
    let worker = order.account.value.worker;
    if receipt.voucher != pending.voucher
        || receipt.terms != pending.terms
        || receipt.signature != pending.signature
    {
        return Err(wrong("it is for another voucher".into()));
    }
    if receipt.worker != worker {
        return Err(wrong(format!("it is of worker {}", ss58(&receipt.worker))));
    }
    receipt
        .check()
        .map_err(|flaw| wrong(format!("it breaks a rule: {flaw:?}")))?;
    if !receipt.is_deferred() && published.answer.attribution.hash() != receipt.attribution {
        return Err(wrong("it commits to another attribution".into()));
    }
    let stored = order
        .chain
        .read::<compute::Worker>(storage::worker(worker), Head::Best)
        .await?
        .found(format_args!("worker {}", ss58(&worker)))?;
    if !SignatureChecks.sr25519(
        &published.signature,
        &receipt.signing_message(),
        &stored.value.receipt_key,
    ) {
        return Err(wrong(format!(
            "it is not signed by the worker's receipt key ({})",
            stored.place()
        )));
    }
    Ok(published)
}

/// Whether the counts and the committed answer are those of the texts. `shown` is what came of each choice, up to where a stop text
/// begins.
pub fn check_output(
    order: &Order,
    pending: &Pending,
    published: &Published,
    shown: Option<(&Parameters, &[String])>,
) -> Result<()> {
    let receipt = &published.answer.receipt;
    let wrong = |reason: String| order.worker.wrong("the receipt", reason);
    let input = match pending.input_tokens {
        Some(input) => u64::from(input),
        // Written down by a version that asked single questions only.
        None => order
            .tokenizer
            .chat(&[Message::user(pending.prompt.as_str())])?
            .len() as u64,
    };
    if u64::from(receipt.input_tokens) != input {
        return Err(wrong(format!(
            "it counts {} tokens of prompt; there are {input}",
            receipt.input_tokens
        )));
    }
    let leaves = published.answer.output.as_ref();
    let leaves = leaves.ok_or_else(|| wrong("its text is not there".into()))?;
    let tokens: Vec<u32> = leaves.iter().flat_map(|leaf| leaf.tokens.clone()).collect();
    if u64::from(receipt.output_tokens) != tokens.len() as u64 {
        return Err(wrong(format!(
            "it counts {} tokens of answer; there are {}",
            receipt.output_tokens,
            tokens.len()
        )));
    }
    if text_root(&output_leaves(&tokens, &pending.salt)) != Some(receipt.output) {
        return Err(wrong("it commits to another answer".into()));
    }
    let Some((parameters, shown)) = shown else {
        return Ok(());
    };
    let lengths = published.choices.clone().unwrap_or_else(|| vec![tokens.len()]);
    if lengths.iter().sum::<usize>() != tokens.len() || lengths.len() != shown.len() {
        return Err(wrong(format!(
            "its choices have {lengths:?} tokens; {} choices were asked for and there are {} tokens",
            shown.len(),
            tokens.len()
        )));
    }
    let mut rest = tokens.as_slice();
    for (length, shown) in lengths.into_iter().zip(shown) {
        let (own, further) = rest.split_at(length.min(rest.len()));
        rest = further;
        if parameters.cut(&order.tokenizer.decode(own)?) != shown {
            return Err(wrong("it commits to another text than was streamed".into()));
        }
    }
    Ok(())
}

/// After a refusal: if the worker has taken the voucher all the same, waits for its receipt, otherwise its place is free again. Gives
/// what was paid.
pub async fn conclude(order: &Order, page: &mut Page, data: &Path) -> Result<Option<(Pending, Published)>> {
    let Some(pending) = page.pending()? else {
        return Ok(None);
    };
    let Some(hash) = receipt_of(&order.worker, &pending)? else {
        // The worker never took it, so the place in the channel is free; both could not be settled anyway.
        page.forget()?;
        return Ok(None);
    };
    let published = take_receipt(order, &pending, &hash).await?;
    check_output(order, &pending, &published, None)?;
    page.finish(data, &published.answer.receipt, &published.signature)?;
    Ok(Some((pending, published)))
}

/// Settles what an earlier run left behind, and finds out where the channel stands if it is new here.
pub async fn settle_page(context: &Context, order: &Order, page: &mut Page, data: &Path) -> Result<()> {
    if let Some((pending, published)) = conclude(order, page, data).await? {
        context.say(format!(
            "an earlier question was answered meanwhile: \"{}\", receipt {}",
            excerpt(&pending.prompt, 60),
            hex_of(published.answer.receipt.hash())
        ));
    }
    if page.is_new() {
        let path = format!("/v1/channels/{}", order.channel);
        let state: Value = order.worker.json(&path)?;
        let accepted = state["accepted"].as_str().and_then(|text| text.parse().ok());
        let previous = state["previous"]
            .as_str()
            .and_then(|text| bytes_of(text).ok()?.try_into().ok());
        let (Some(accepted), Some(previous)) = (accepted, previous) else {
            return Err(order
                .worker
                .wrong(&path, "it does not say where the channel stands"));
        };
        // Only receipts that this consumer signed for can stand behind a sum, so a channel used for the first time starts at 0.
        if accepted != 0 {
            confirm(order, accepted, &previous)?;
            context.say(format!(
                "channel {} was used from elsewhere: {} spent so far (receipt {})",
                order.channel,
                open(accepted),
                hex_of(previous)
            ));
        }
        page.adopt(accepted, previous)?;
    }
    Ok(())
}

/// A channel's last receipt elsewhere: signed by this consumer, and adding up to what the worker says.
fn confirm(order: &Order, accepted: u128, previous: &Hash) -> Result<()> {
    let published = public::receipt(&order.worker, previous, None)?;
    let receipt: &Receipt = &published.answer.receipt;
    let signed = receipt.voucher.is_signed(
        &receipt.signature,
        &order.key.account(),
        order.chain.chain_id(),
        &SignatureChecks,
    );
    if !signed
        || receipt.voucher.channel != order.channel
        || receipt.check().is_err()
        || receipt.cumulative() != Some(accepted)
    {
        return Err(order.worker.wrong(
            format!("channel {}", order.channel),
            format!(
                "{} were spent, and its last receipt does not show that: use another channel",
                open(accepted)
            ),
        ));
    }
    Ok(())
}

/// The beginning of a text, in one line.
pub fn excerpt(text: &str, most: usize) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or(&line)),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_one_line_and_end_between_characters() {
        assert_eq!(excerpt("a\n\n b  c", 10), "a b c");
        assert_eq!(excerpt("äöüäöü", 3), "äöü…");
    }
}

//! `chat`: asks, pays by voucher, checks the receipt, shows the sources.

use crate::{
    args,
    book::{self, Page, Pending},
    channels,
    context::{money_json, random, text_of, Context},
    explain::percent,
    models,
    proof::itemise,
    public::{self, Published},
    texts::{output_leaves, prompt_leaves, text_root, Parameters},
    wire::{bytes_of, bytes_of_field, hex_of},
    worker::Worker,
    Error, Result,
};
use base64::{engine::general_purpose::STANDARD, Engine};
use openledger_attribution::{
    hash::Hash,
    index::IndexHeader,
    receipt::Receipt,
    verbatim::Span,
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
use serde_json::{json, Value};
use std::{
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

/// How long an answer's attribution is waited for after its last token.
const PATIENCE: Duration = Duration::from_secs(300);

/// Everything that was looked up before anything is signed.
struct Order {
    chain: Chain,
    key: Key,
    worker: Worker,
    block: Block,
    model: u64,
    generation: u32,
    stored: Read<Model<Account>>,
    index: Hash,
    channel: u64,
    account: Read<Channel<Account>>,
    tokenizer: Tokenizer,
}

/// Runs the command.
pub async fn run(context: &Context, command: args::Chat) -> Result<()> {
    let order = look_up(context, &command).await?;
    let data = context.data(&order.chain.genesis());
    let mut page = Page::open(&data, order.channel)?;
    settle_page(context, &order, &mut page, &data).await?;

    let messages = [Message::user(command.prompt.as_str())];
    let prompt = order.tokenizer.chat(&messages)?;
    let parameters = Parameters {
        max_tokens: command.max_tokens,
        temperature: command.temperature,
        top_p: command.top_p,
    };
    let pending = sign(&order, &page, &command, &prompt, &parameters)?;
    // From here on the voucher may reach the worker: it is on the disk first.
    page.begin(&pending)?;
    let body = json!({
        "model": format!("{}:{}", order.model, order.generation),
        "messages": [{ "role": "user", "content": command.prompt }],
        "stream": true,
        "max_tokens": parameters.max_tokens,
        "temperature": parameters.temperature,
        "top_p": parameters.top_p,
        "seed": pending.terms.seed,
    });
    let text = match stream(context, &order.worker, &pending, &body) {
        Ok(text) => text,
        Err(e) => {
            // A refusal leaves no trace at the worker, so the place in the channel is free again.
            if matches!(e.status(), Some(400 | 402 | 404 | 409 | 413)) {
                page.forget()?;
            }
            return Err(e);
        }
    };
    let hash = receipt_of(&order.worker, &pending)?.ok_or_else(|| {
        order.worker.wrong(
            "the answer",
            "it has no receipt although it was streamed: ask again, the voucher is kept",
        )
    })?;
    let published = take_receipt(&order, &pending, &hash).await?;
    check_output(&order, &pending, &published, &prompt, Some(&text))?;
    page.finish(&data, &published.answer.receipt, &published.signature)?;
    show(context, &order, &command, &published, &text).await
}

async fn look_up(context: &Context, command: &args::Chat) -> Result<Order> {
    let chain = context.chain().await?;
    let key = context.key(&chain)?;
    let worker = context.worker();
    let block = chain.head(Head::Best).await?;
    let (model, stored) = models::find(&chain, &command.model, block).await?;
    let (generation, index) = ready(&chain, model, &stored, command.generation).await?;
    let account = channels::worker_account(context)?;
    let channel = match command.channel {
        Some(channel) => channel,
        None => own_channel(&chain, &key, &account, block).await?,
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
    let tokenizer = tokenizer(context, &worker, &base.value.tokenizer)?;
    Ok(Order {
        chain,
        key,
        worker,
        block,
        model,
        generation,
        stored,
        index,
        channel,
        account: found,
        tokenizer,
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

/// The consumer's newest channel to a worker.
async fn own_channel(chain: &Chain, key: &Key, worker: &Account, block: Block) -> Result<u64> {
    let all = chain
        .entries::<u64, Channel<Account>>("Channels", "Channels", block)
        .await?;
    let own = all.iter().filter(|(_, c)| {
        c.value.consumer == key.account() && c.value.worker == *worker && c.value.closing.is_none()
    });
    own.map(|(id, _)| *id).max().ok_or_else(|| {
        Error::other(format!(
            "{} has no open channel to worker {} at block {block}: open one with `openledger channel open OPEN`",
            ss58(&key.account()),
            ss58(worker)
        ))
    })
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

fn sign(
    order: &Order,
    page: &Page,
    command: &args::Chat,
    prompt: &[u32],
    parameters: &Parameters,
) -> Result<Pending> {
    let tariff = order.stored.value.tariff;
    let input =
        u32::try_from(prompt.len()).map_err(|_| Error::other("the prompt has more than 2^32 tokens"))?;
    let most = tariff
        .fee(input, parameters.max_tokens)
        .and_then(|fee| fee.total())
        .ok_or_else(|| Error::other("the answer could cost more than 2^128 planck: ask for fewer tokens"))?;
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
    let mut expiry = u64::from(order.block.number).saturating_add(command.expiry);
    if let Some(closing) = channel.value.closing {
        expiry = expiry.min(u64::from(closing).saturating_sub(1));
    }
    let salt = random()?;
    let root =
        text_root(&prompt_leaves(prompt, &salt)).ok_or_else(|| Error::other("the prompt is too long"))?;
    let seed = match command.seed {
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
        mode: Mode::Verifiable,
        prompt: root,
        parameters: parameters.hash(),
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
        prompt: command.prompt.clone(),
    })
}

/// Sends the question and prints the answer as it comes.
fn stream(context: &Context, worker: &Worker, pending: &Pending, body: &Value) -> Result<String> {
    let mut voucher = pending.voucher.encode();
    voucher.extend(bytes_of_field(&pending.signature));
    let headers = [
        ("x-openledger-voucher", STANDARD.encode(voucher)),
        ("x-openledger-terms", STANDARD.encode(pending.terms.encode())),
        ("x-openledger-salt", hex_of(pending.salt)),
    ];
    let path = "/v1/chat/completions";
    let mut text = String::new();
    for line in worker.stream(path, &headers, body)? {
        let line =
            line.map_err(|e| worker.wrong(path, format!("{e}; ask again: what was made is not lost")))?;
        let chunk: Value = serde_json::from_str(&line).map_err(|e| worker.wrong(path, e))?;
        if let Some(message) = chunk["error"]["message"].as_str() {
            return Err(worker.wrong(path, message));
        }
        if let Some(piece) = chunk["choices"][0]["delta"]["content"].as_str() {
            text.push_str(piece);
            if !context.json() {
                print!("{piece}");
                let _ = std::io::stdout().flush();
            }
        }
    }
    context.say("");
    Ok(text)
}

/// The receipt of a voucher, waiting while the worker is at it; nothing if the worker never saw it.
fn receipt_of(worker: &Worker, pending: &Pending) -> Result<Option<Hash>> {
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
async fn take_receipt(order: &Order, pending: &Pending, hash: &Hash) -> Result<Published> {
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
    if published.answer.attribution.hash() != receipt.attribution {
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

/// Whether the counts and the committed answer are those of the texts.
fn check_output(
    order: &Order,
    pending: &Pending,
    published: &Published,
    prompt: &[u32],
    text: Option<&str>,
) -> Result<()> {
    let receipt = &published.answer.receipt;
    let wrong = |reason: String| order.worker.wrong("the receipt", reason);
    if u64::from(receipt.input_tokens) != prompt.len() as u64 {
        return Err(wrong(format!(
            "it counts {} tokens of prompt; there are {}",
            receipt.input_tokens,
            prompt.len()
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
    let decoded = order.tokenizer.decode(&tokens)?;
    match text {
        Some(text) if text != decoded => Err(wrong("it commits to another text than was streamed".into())),
        _ => Ok(()),
    }
}

/// Settles what an earlier run left behind, and finds out where the channel stands if it is new here.
async fn settle_page(context: &Context, order: &Order, page: &mut Page, data: &Path) -> Result<()> {
    if let Some(pending) = page.pending()? {
        match receipt_of(&order.worker, &pending)? {
            Some(hash) => {
                let published = take_receipt(order, &pending, &hash).await?;
                let prompt = order.tokenizer.chat(&[Message::user(pending.prompt.as_str())])?;
                check_output(order, &pending, &published, &prompt, None)?;
                page.finish(data, &published.answer.receipt, &published.signature)?;
                context.say(format!(
                    "an earlier question was answered meanwhile: \"{}\", receipt {}",
                    excerpt(&pending.prompt, 60),
                    hex_of(hash)
                ));
            }
            // The worker never took it, so the place in the channel is free; both could not be settled anyway.
            None => page.forget()?,
        }
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

fn excerpt(text: &str, most: usize) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or(&line)),
        None => line,
    }
}

async fn show(
    context: &Context,
    order: &Order,
    command: &args::Chat,
    published: &Published,
    text: &str,
) -> Result<()> {
    let (receipt, attribution) = (&published.answer.receipt, &published.answer.attribution);
    let hash = hex_of(receipt.hash());
    let mix = &receipt.terms.tariff.mix;
    let unsound = || order.worker.wrong("the attribution", "it is not well shaped");
    let credited = attribution.credits_anyone(mix).ok_or_else(unsound)?;
    let parts = receipt.parts(credited).ok_or_else(unsound)?;
    let amounts = attribution.amounts(mix, parts.contributors).ok_or_else(unsound)?;
    let shares = attribution.list_shares().ok_or_else(unsound)?;
    let by_item = itemise(attribution, mix, &amounts).ok_or_else(unsound)?;

    context.say(format!(
        "\nreceipt {hash}, signed by worker {}",
        ss58(&receipt.worker)
    ));
    context.say(format!(
        "  model \"{}\" generation {}: {} tokens in, {} out",
        text_of(&order.stored.value.name),
        order.generation,
        receipt.input_tokens,
        receipt.output_tokens
    ));
    context.say(format!(
        "  fee {} (receipt {hash}), {} of it for contributors",
        open(receipt.fee),
        open(parts.contributors)
    ));
    let spent = receipt.cumulative().unwrap_or_default();
    context.say(format!(
        "  channel {}: {} spent of {} ({})",
        order.channel,
        open(spent),
        open(order.account.value.deposit),
        order.account.place()
    ));
    if attribution.list.is_empty() && !credited {
        context.say(
            "  no record stands out: the contributors' part goes to the Datanets the model was trained on",
        );
    }
    let (header, _) = public::index_header(&order.chain, &order.worker, &order.index, Head::Best).await?;
    let mut quoted = Vec::new();
    if !attribution.spans.is_empty() {
        context.say(format!("  quoted words, {} of it:", percent(mix.verbatim)));
    }
    let output = published.answer.output_tokens().unwrap_or_default();
    for (n, (span, amounts)) in attribution.spans.iter().zip(&by_item.spans).enumerate() {
        let is_shown = n < command.sources;
        quoted.push(quote(
            context,
            order,
            &header.value,
            &output,
            span,
            amounts,
            is_shown,
        )?);
    }
    if attribution.spans.len() > command.sources {
        context.say(format!(
            "  and {} more",
            attribution.spans.len() - command.sources
        ));
    }
    let mut sources = Vec::new();
    if !attribution.list.is_empty() {
        context.say(format!(
            "  what the model learned it from, {} of it:",
            percent(mix.influence)
        ));
    }
    for (n, ((entry, share), amount)) in attribution
        .list
        .iter()
        .zip(&shares)
        .zip(&by_item.rows)
        .enumerate()
    {
        let mut source = json!({
            "row": entry.row,
            "share": share,
            "contributor": hex_of(entry.contributor),
            "amount": amount.to_string(),
        });
        if n < command.sources {
            let rows = public::rows(&order.worker, &order.index, entry.row, 1)?;
            let row = rows
                .first()
                .filter(|row| row.index == entry.row && row.verify(&header.value.rows).is_some())
                .ok_or_else(|| {
                    order
                        .worker
                        .wrong("the index", format!("row {} is not the committed one", entry.row))
                })?;
            let record = row.leaf.record;
            let known = public::record_text(&order.chain, &order.worker, &record, Head::Best).await;
            let shown = match &known {
                Ok(text) => format!("\"{}\"", excerpt(text, 120)),
                Err(e) => format!("(its text is not shown: {e})"),
            };
            context.say(format!(
                "  {:>8.4} %  {} to {}\n    record {} of contribution {}: {shown}",
                f64::from(*share) / 1e7,
                open(*amount),
                ss58(&entry.contributor),
                record.index,
                record.contribution
            ));
            source["contribution"] = record.contribution.into();
            source["record"] = record.index.into();
            source["text"] = known.ok().into();
        }
        sources.push(source);
    }
    if attribution.list.len() > command.sources {
        context.say(format!("  and {} more", attribution.list.len() - command.sources));
    }
    for (who, amount) in &amounts {
        context.say(format!(
            "  {} gets {} (from receipt {hash})",
            ss58(who),
            open(*amount)
        ));
    }
    context.say(format!("check it: openledger explain {hash}"));
    context.give(&json!({
        "answer": text,
        "receipt": hash,
        "salt": book::kept(&context.data(&order.chain.genesis()), &receipt.hash())?.map(|kept| kept.salt),
        "fee": receipt.fee.to_string(),
        "input_tokens": receipt.input_tokens,
        "output_tokens": receipt.output_tokens,
        "contributors_part": parts.contributors.to_string(),
        "spans": quoted,
        "sources": sources,
        "contributors": amounts.iter().map(|(who, amount)| json!({
            "contributor": hex_of(who),
            "amount": amount.to_string(),
        })).collect::<Vec<_>>(),
        "channel": order.channel,
        "spent": spent.to_string(),
        "deposit": money_json(&order.account.clone().map(|c| c.deposit)),
    }));
    Ok(())
}

/// Shows a span with the records that have its words, each checked against the index's corpus, and returns it.
fn quote(
    context: &Context,
    order: &Order,
    header: &IndexHeader,
    output: &[u32],
    span: &Span,
    amounts: &[u128],
    is_shown: bool,
) -> Result<Value> {
    let place = |end: u32| usize::try_from(end).unwrap_or(usize::MAX).min(output.len());
    let words = output.get(place(span.start)..place(span.end)).unwrap_or_default();
    let words = order.tokenizer.decode(words)?;
    if is_shown {
        let bits = span.information as f64 / 65_536.0;
        context.say(format!("    \"{}\" ({bits:.1} bits)", words.trim()));
    }
    let mut records = Vec::new();
    for (record, amount) in span.records.iter().zip(amounts) {
        if is_shown {
            let entries = public::corpus(&order.worker, &order.index, record.entry, 1)?;
            entries
                .first()
                .filter(|entry| entry.index == record.entry && entry.verify(&header.corpus).is_some())
                .filter(|entry| {
                    (entry.leaf.record, entry.leaf.contributor) == (record.record, record.contributor)
                })
                .ok_or_else(|| {
                    let what = format!("record {} of the corpus is not the one named", record.entry);
                    order.worker.wrong("the index", what)
                })?;
            context.say(format!(
                "      {} to {}: record {} of contribution {}",
                open(*amount),
                ss58(&record.contributor),
                record.record.index,
                record.record.contribution
            ));
        }
        records.push(json!({
            "contribution": record.record.contribution,
            "record": record.record.index,
            "contributor": hex_of(record.contributor),
            "amount": amount.to_string(),
        }));
    }
    Ok(json!({
        "start": span.start,
        "end": span.end,
        "text": words,
        "information": span.information,
        "records": records,
    }))
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

//! `chat`: asks, pays by voucher, checks the receipt, shows the sources.

use crate::{
    args,
    book::{self, Page, Pending},
    context::{money_json, text_of, Context},
    explain::percent,
    pay::{self, excerpt, Order, Question, Wish},
    proof::itemise,
    public::{self, Published},
    texts::Parameters,
    wire::hex_of,
    worker::Worker,
    Result,
};
use openledger_attribution::{index::IndexHeader, verbatim::Span, wire::Object};
use openledger_chain::{open, ss58, Head};
use openledger_model::Message;
use serde_json::{json, Value};
use std::io::Write;

/// Runs the command.
pub async fn run(context: &Context, command: args::Chat) -> Result<()> {
    let wish = Wish {
        model: command.model.clone(),
        generation: command.generation,
        channel: command.channel,
    };
    let order = pay::look_up(context, context.chain().await?, &wish, None).await?;
    let data = context.data(&order.chain.genesis());
    let mut page = Page::open(&data, order.channel)?;
    pay::settle_page(context, &order, &mut page, &data).await?;

    let parameters = Parameters {
        max_tokens: command.max_tokens,
        temperature: command.temperature,
        top_p: command.top_p,
        ..Parameters::default()
    };
    let question = Question {
        prompt: order.tokenizer.chat(&[Message::user(command.prompt.as_str())])?,
        parameters: parameters.clone(),
        seed: command.seed,
        expiry: command.expiry,
        shown: command.prompt.clone(),
    };
    let pending = pay::sign(&order, &page, &question)?;
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
            // A refusal leaves no trace at the worker, so the place in the channel is free again; unless the voucher is answered already.
            if matches!(e.status(), Some(400 | 402 | 404 | 409 | 413 | 429 | 503)) {
                pay::conclude(&order, &mut page, &data).await?;
            }
            return Err(e);
        }
    };
    let hash = pay::receipt_of(&order.worker, &pending)?.ok_or_else(|| {
        order.worker.wrong(
            "the answer",
            "it has no receipt although it was streamed: ask again, the voucher is kept",
        )
    })?;
    let published = pay::take_receipt(&order, &pending, &hash).await?;
    let texts = [text];
    pay::check_output(&order, &pending, &published, Some((&parameters, &texts)))?;
    page.finish(&data, &published.answer.receipt, &published.signature)?;
    let [text] = texts;
    show(context, &order, &command, &published, &text).await
}

/// Sends the question and prints the answer as it comes.
fn stream(context: &Context, worker: &Worker, pending: &Pending, body: &Value) -> Result<String> {
    let path = "/v1/chat/completions";
    let mut text = String::new();
    for line in worker.stream(path, &pay::headers(pending), body)? {
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
    let credited = receipt.is_deferred() || attribution.credits_anyone(mix).ok_or_else(unsound)?;
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
    if receipt.is_deferred() {
        context.say("  the worker samples: what shaped it is computed only if the chain draws it");
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

//! `explain`: recomputes a receipt from public data and compares with what was claimed, committed and credited.

use crate::{
    args, book,
    context::{money_json, text_of, Context},
    proof::{differences, itemise, recompute, span_differences, Answer, Index},
    public, rewards,
    wire::hex_of,
    words::Words,
    worker::Worker,
    Result,
};
use openledger_attribution::{verbatim::Span, voucher::CheckSignature};
use openledger_chain::{open, ss58, Chain, Head, Read, SignatureChecks};
use openledger_protocol::{
    batches::{Batch, BatchStage},
    channels::Channel,
    compute,
    models::Model,
    storage, Account,
};
use serde_json::{json, Value};
use std::sync::Arc;

/// What explaining found so far.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn check(&mut self, context: &Context, what: &str, found: Vec<String>) {
        if found.is_empty() {
            context.say(format!("  ok    {what}"));
        }
        for difference in found {
            context.say(format!("  WRONG {what}: {difference}"));
            self.0.push(format!("{what}: {difference}"));
        }
    }
}

/// Runs the command. `Ok(false)` if anything differs.
pub async fn run(context: &Context, command: args::Explain) -> Result<bool> {
    let chain = context.chain().await?;
    let block = chain.head(Head::Best).await?;
    let asked = context.worker();
    let data = context.data(&chain.genesis());
    let kept = book::kept(&data, &command.receipt)?;
    let salt = kept.and_then(|kept| args::parse_hash(&kept.salt).ok());
    let mut published = public::receipt(&asked, &command.receipt, None)?;
    if let Some(salt) = salt {
        // The text is the consumer's own, and what is quoted in it follows from it. Without it the rest is checked all the same.
        match public::receipt(&asked, &command.receipt, Some(&salt)) {
            Ok(opened) => published.answer.output = opened.answer.output,
            Err(e) => context.say(format!("the answer's text is not there: {e}")),
        }
    }
    let receipt = &published.answer.receipt;
    let mut found = Findings::default();
    let place = format!("receipt {}", hex_of(command.receipt));

    let model = chain
        .read::<Model<Account>>(storage::model(receipt.terms.model), block)
        .await?;
    let called = model.value.map(|m| text_of(&m.name)).unwrap_or_default();
    context.say(format!(
        "{place}\n  model {} \"{called}\" generation {}, channel {}, worker {}\n  fee {} ({place}): {} tokens in, {} out",
        receipt.terms.model,
        receipt.terms.generation,
        receipt.voucher.channel,
        ss58(&receipt.worker),
        open(receipt.fee),
        receipt.input_tokens,
        receipt.output_tokens
    ));

    // Who signed what.
    found.check(
        context,
        "the worker signed it",
        worker_signed(&chain, receipt, &published.signature).await?,
    );
    found.check(
        context,
        "the consumer signed its voucher",
        consumer_signed(&chain, receipt).await?,
    );

    if receipt.is_deferred() && !published.answer.is_attributed() {
        context.say("  nobody says what shaped it: its batch is sampled, and it was not drawn (yet)");
        context
            .give(&json!({ "receipt": hex_of(command.receipt), "deferred": true, "differences": found.0 }));
        return Ok(found.0.is_empty());
    }

    // Every row of the index, from whoever serves it; the chain says whether it is right.
    let (index_place, mut index) = public::index(&chain, &asked, &receipt.terms.index, block).await?;
    let words = Words::fetch(&asked, &receipt.terms.index, &index.header);
    let unread = words.as_ref().err().map(ToString::to_string);
    index.words = words.ok().flatten().map(Arc::new);
    let recomputed = recompute(&index, &published.answer).map_err(|reason| asked.wrong(&place, reason))?;
    let wrong = differences(&index, &published.answer, &recomputed);
    let what = format!(
        "the list: {} rows scored, {} listed; index header at {}",
        recomputed.rows,
        recomputed.attribution.list.len(),
        index_place.place()
    );
    found.check(context, &what, wrong);
    if let Some(reason) = unread {
        found.check(context, "the quoted words", vec![reason]);
    }
    if let Some(words) = &index.words {
        let claimed = published.answer.attribution.spans.len();
        let what = match published.answer.output_tokens() {
            Some(output) => format!(
                "the quoted words: {claimed} spans, looked for from every word of {} tokens in a corpus of {}; root in the index header",
                output.len(),
                words.tokens()
            ),
            None => format!(
                "the quoted words: {claimed} spans stand in the records they name; whether there are more, only who has the salt can tell"
            ),
        };
        found.check(context, &what, span_differences(&index, &published.answer));
    }

    let parts = &recomputed.parts;
    context.say(format!(
        "  the fee by destination ({place}, recomputed): owner {}, contributors {}, fallback {}, compute {}, stakers {}, lineage {}, platform {}",
        open(parts.owner),
        open(parts.contributors),
        open(parts.fallback),
        open(parts.compute),
        open(parts.stakers),
        open(parts.lineage),
        open(parts.platform)
    ));
    let list = &recomputed.attribution.list;
    let mix = &receipt.terms.tariff.mix;
    let unsound = || asked.wrong(&place, "its attribution is not well shaped");
    let by_item = itemise(&recomputed.attribution, mix, &recomputed.amounts).ok_or_else(unsound)?;
    let by_row = &by_item.rows;
    context.say(format!(
        "  what the model learned it from, {} of the contributors' part:",
        percent(mix.influence)
    ));
    for ((entry, share), amount) in list.iter().zip(&recomputed.shares).zip(by_row) {
        let record = index
            .rows
            .get(usize::try_from(entry.row).unwrap_or(usize::MAX))
            .map(|row| row.leaf.record);
        let record = record
            .map(|r| format!("record {} of contribution {}", r.index, r.contribution))
            .unwrap_or_default();
        context.say(format!(
            "    {:>9.5} %  {}  row {} ({record}) of {}",
            f64::from(*share) / 1e7,
            open(*amount),
            entry.row,
            ss58(&entry.contributor)
        ));
    }

    let spans = spans(
        context,
        &index,
        &published.answer,
        &recomputed.attribution.spans,
        &by_item.spans,
    );

    let settled = match published.batch {
        Some(id) => Some(
            in_batch(
                context,
                &chain,
                &asked,
                id,
                &command.receipt,
                &recomputed.amounts,
                &mut found,
            )
            .await?,
        ),
        None => {
            context.say("  no batch yet: nothing of it is on the chain");
            None
        }
    };
    let mut contributors = Vec::new();
    for (who, amount) in &recomputed.amounts {
        let unclaimed = rewards::credits(&chain, who, Head::Best).await?;
        context.say(format!(
            "  {} gets {} of this answer (recomputed); credited and not claimed {} ({})",
            ss58(who),
            open(*amount),
            open(unclaimed.value),
            unclaimed.place()
        ));
        contributors.push(json!({
            "contributor": hex_of(who),
            "amount": amount.to_string(),
            "unclaimed": money_json(&unclaimed),
        }));
    }
    let right = found.0.is_empty();
    context.say(if right {
        "everything is what it must be".to_owned()
    } else {
        format!("{} differences", found.0.len())
    });
    context.give(&json!({
        "receipt": hex_of(command.receipt),
        "model": receipt.terms.model,
        "generation": receipt.terms.generation,
        "fee": receipt.fee.to_string(),
        "rows": recomputed.rows,
        "list": list.iter().zip(&recomputed.shares).zip(by_row).map(|((e, share), amount)| json!({
            "row": e.row,
            "score": e.score.to_string(),
            "share": share,
            "contributor": hex_of(e.contributor),
            "amount": amount.to_string(),
        })).collect::<Vec<_>>(),
        "spans": spans,
        "contributors_part": parts.contributors.to_string(),
        "fallback": parts.fallback.to_string(),
        "contributors": contributors,
        "batch": settled,
        "differences": found.0,
    }));
    Ok(right)
}

/// Parts per billion as percent.
pub(crate) fn percent(share: u32) -> String {
    format!("{} %", f64::from(share) / 1e7)
}

/// Shows what is quoted from whom, and returns it.
fn spans(context: &Context, index: &Index, answer: &Answer, spans: &[Span], amounts: &[Vec<u128>]) -> Value {
    if !spans.is_empty() {
        context.say(format!(
            "  quoted words, {} of the contributors' part:",
            percent(answer.receipt.terms.tariff.mix.verbatim)
        ));
    }
    let mut shown = Vec::new();
    for (span, amounts) in spans.iter().zip(amounts) {
        let bits = span.information as f64 / 65_536.0;
        context.say(format!(
            "    tokens {} to {}, {bits:.1} bits, in {} records",
            span.start,
            span.end,
            span.records.len()
        ));
        let mut records = Vec::new();
        for (record, amount) in span.records.iter().zip(amounts) {
            context.say(format!(
                "      {}  record {} of contribution {} of {}",
                open(*amount),
                record.record.index,
                record.record.contribution,
                ss58(&record.contributor)
            ));
            records.push(json!({
                "contribution": record.record.contribution,
                "record": record.record.index,
                "position": record.position,
                "contributor": hex_of(record.contributor),
                "amount": amount.to_string(),
            }));
        }
        shown.push(json!({
            "start": span.start,
            "end": span.end,
            "information": span.information,
            "records": records,
        }));
    }
    json!({ "corpus": index.words.as_ref().map(|words| words.tokens()), "found": shown })
}

async fn worker_signed(
    chain: &Chain,
    receipt: &openledger_attribution::receipt::Receipt,
    signature: &[u8; 64],
) -> Result<Vec<String>> {
    let worker = chain
        .read::<compute::Worker>(storage::worker(receipt.worker), Head::Best)
        .await?;
    let Some(worker) = worker.value else {
        return Ok(vec![format!(
            "{} is no worker on the chain",
            ss58(&receipt.worker)
        )]);
    };
    let good = SignatureChecks.sr25519(signature, &receipt.signing_message(), &worker.receipt_key);
    Ok(if good {
        vec![]
    } else {
        vec!["the signature is not by its receipt key on the chain".into()]
    })
}

async fn consumer_signed(
    chain: &Chain,
    receipt: &openledger_attribution::receipt::Receipt,
) -> Result<Vec<String>> {
    let id = receipt.voucher.channel;
    let mut wrong = Vec::new();
    if receipt.voucher.genesis != chain.genesis() {
        wrong.push("the voucher is for another chain".into());
    }
    let channel = chain
        .read::<Channel<Account>>(storage::channel(id), Head::Best)
        .await?;
    match channel.value {
        // A channel that was finished is gone; its number is never used again.
        None => {}
        Some(channel) => {
            let signed = receipt.voucher.is_signed(
                &receipt.signature,
                &channel.consumer,
                chain.chain_id(),
                &SignatureChecks,
            );
            if !signed {
                wrong.push(format!(
                    "the signature is not by {}, whose channel it is",
                    ss58(&channel.consumer)
                ));
            }
            if channel.worker != receipt.worker {
                wrong.push(format!("channel {id} is to {}", ss58(&channel.worker)));
            }
        }
    }
    Ok(wrong)
}

/// Compares with the batch on the chain.
async fn in_batch(
    context: &Context,
    chain: &Chain,
    worker: &Worker,
    id: u64,
    receipt: &openledger_protocol::Hash,
    amounts: &[(Account, u128)],
    found: &mut Findings,
) -> Result<Value> {
    let stored = chain
        .read::<Batch<Account>>(storage::batch(id), Head::Best)
        .await?
        .found(format_args!("batch {id}"))?;
    let batch = public::batch(worker, id, &stored.value)?;
    let Some(position) = batch.position(receipt) else {
        found.check(
            context,
            &format!("batch {id} has it"),
            vec!["it has another set of receipts".into()],
        );
        return Ok(Value::Null);
    };
    let what = format!(
        "batch {id} pays each contributor that, as part of answer {position}; batch at {}",
        stored.place()
    );
    // What a drawn answer pays is what its draws carry, not its own fee: watchers check that of the whole batch.
    if !stored.value.header.is_sampled() {
        found.check(context, &what, batch.payment_differences(position, amounts));
    }
    let total: Read<u128> = stored.clone().map(|b| b.header.receipts.sum);
    context.say(format!(
        "  batch {id}: {} ({}), {}",
        open(total.value),
        total.place(),
        stage(&stored.value)
    ));
    let credited = match stored.value.stage {
        BatchStage::Settled { credited } => credited,
        _ => 0,
    };
    let mut credits = Vec::new();
    for (n, credit) in (0u64..).zip(&batch.credits) {
        let own = amounts.iter().any(|(who, _)| *who == credit.contributor);
        if own {
            let paid = if n < credited {
                "credited"
            } else {
                "not credited yet"
            };
            context.say(format!(
                "    {} has {} in the whole batch (credits root at {}), {paid}",
                ss58(&credit.contributor),
                open(credit.amount),
                stored.place()
            ));
        }
        credits.push(json!({
            "contributor": hex_of(credit.contributor),
            "amount": credit.amount.to_string(),
            "credited": n < credited,
        }));
    }
    Ok(json!({
        "batch": id,
        "position": position,
        "stage": stage(&stored.value),
        "total": money_json(&total),
        "credits": credits,
    }))
}

/// A batch's stage in words.
pub fn stage(batch: &Batch<Account>) -> String {
    match batch.stage {
        BatchStage::Open if batch.closes == u32::MAX => "waiting for its draws".into(),
        BatchStage::Open => format!("open to challenge until block {}", batch.closes),
        BatchStage::Settled { credited } => {
            format!(
                "settled, {credited} of {} contributors credited",
                batch.credits.credits.count
            )
        }
        BatchStage::Condemned { guilt } => format!("condemned: {guilt}"),
    }
}

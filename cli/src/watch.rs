//! `watch` and `dispute`: recompute batches from public data, and challenge what is wrong.

use crate::{
    args, book,
    context::{money, money_json, random, Context},
    explain::stage,
    files,
    proof::{differences, recompute, span_differences, Index},
    public,
    wire::{bytes_of_field, field, hex_of},
    Error, Result,
};
use openledger_attribution::{
    hash::Hash,
    verdict::{judge_batch, BatchEvidence, BatchFacts, Guilt, Verdict},
    wire::Object,
};
use openledger_chain::{ss58, Chain, Head, Key, Read, SignatureChecks};
use openledger_protocol::{
    batches::{commitment, Batch, BatchStage, Challenge},
    calls, compute, storage, Account,
};
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};
use std::{
    collections::{btree_map::Entry, BTreeMap},
    path::PathBuf,
};

/// What looking at a batch found.
struct Looked {
    answers: u64,
    differences: Vec<String>,
    proven: Option<(BatchEvidence, Guilt)>,
}

/// A challenge under way, written down before its deposit is paid: without salt and evidence the deposit would be lost.
#[derive(Serialize, Deserialize)]
struct Kept {
    salt: String,
    evidence: String,
}

/// Indexes fetched so far.
type Indexes = BTreeMap<Hash, Index>;

/// `watch`. `Ok(false)` if something was wrong.
pub async fn watch(context: &Context, command: args::Watch) -> Result<bool> {
    let chain = context.chain().await?;
    let key = (!command.dry_run).then(|| context.key(&chain)).transpose()?;
    let mut blocks = chain.blocks(Head::Best).await?;
    let mut indexes = Indexes::new();
    let mut next = match command.from {
        Some(first) => first,
        None => first_open(&chain).await?,
    };
    // Batches whose worker did not answer, and the last block in which asking again makes sense.
    let mut silent: BTreeMap<u64, u32> = BTreeMap::new();
    let (mut looked, mut right) = (0u64, true);
    context.say(format!("watching from batch {next} on"));
    loop {
        let block = match blocks.next().await {
            Ok(block) => block,
            // The node is away: the connection heals itself, and no batch is skipped.
            Err(e) if e.is_transient() => {
                context.say(format!("{e}"));
                continue;
            }
            Err(e) => return Err(e.into()),
        };
        let end: u64 = chain.read(storage::next_batch(), block).await?.value.unwrap_or(0);
        let again: Vec<u64> = silent
            .iter()
            .filter(|(_, last)| block.number <= **last)
            .map(|(id, _)| *id)
            .collect();
        for id in again.into_iter().chain(next..end) {
            let Some(batch) = chain
                .read::<Batch<Account>>(storage::batch(id), block)
                .await?
                .value
            else {
                continue;
            };
            match one(context, &chain, key.as_ref(), id, &mut indexes).await {
                Ok(good) => {
                    silent.remove(&id);
                    right &= good;
                    looked += 1;
                }
                Err(e @ (Error::NoWorker { .. } | Error::Worker { .. } | Error::Answer { .. })) => {
                    if !silent.contains_key(&id) {
                        context.say(format!(
                            "batch {id} cannot be checked: {e}; asked again until block {}",
                            batch.closes
                        ));
                        context.give(&json!({ "batch": id, "unchecked": e.to_string() }));
                    }
                    silent.insert(id, batch.closes);
                }
                Err(e) => return Err(e),
            }
            if command.batches.is_some_and(|most| looked >= most) {
                return Ok(right);
            }
        }
        next = next.max(end);
    }
}

/// The oldest batch that can still be challenged.
async fn first_open(chain: &Chain) -> Result<u64> {
    let block = chain.head(Head::Best).await?;
    let all = chain
        .entries::<u64, Batch<Account>>("Attribution", "Batches", block)
        .await?;
    let end: u64 = chain.read(storage::next_batch(), block).await?.value.unwrap_or(0);
    let open = all.iter().filter(|(_, batch)| {
        matches!(batch.value.stage, BatchStage::Open) && block.number < batch.value.closes
    });
    Ok(open.map(|(id, _)| *id).min().unwrap_or(end))
}

/// `dispute`. `Ok(false)` if something is wrong.
pub async fn dispute(context: &Context, command: args::Dispute) -> Result<bool> {
    let chain = context.chain().await?;
    let key = (!command.dry_run).then(|| context.key(&chain)).transpose()?;
    one(context, &chain, key.as_ref(), command.batch, &mut Indexes::new()).await
}

/// Looks at one batch and challenges it if it is wrong.
async fn one(
    context: &Context,
    chain: &Chain,
    key: Option<&Key>,
    id: u64,
    indexes: &mut Indexes,
) -> Result<bool> {
    let stored = chain
        .read::<Batch<Account>>(storage::batch(id), Head::Best)
        .await?
        .found(format_args!("batch {id}"))?;
    if let Some(key) = key {
        if let Some(kept) = files::read_json::<Kept>(&kept_path(context, chain, id))? {
            if matches!(stored.value.stage, BatchStage::Open) {
                context.say(format!("batch {id}: going on with the challenge that was begun"));
                prove(context, chain, key, id, &kept).await?;
                return Ok(false);
            }
        }
    }
    let looked = look(context, chain, id, &stored, indexes).await?;
    let total = stored.clone().map(|b| b.header.receipts.sum);
    context.say(format!(
        "batch {id} of worker {}: {} answers for {}, {}",
        ss58(&stored.value.worker),
        looked.answers,
        money(&total),
        stage(&stored.value)
    ));
    for difference in &looked.differences {
        context.say(format!("  WRONG {difference}"));
    }
    let mut report = json!({
        "batch": id,
        "worker": hex_of(stored.value.worker),
        "answers": looked.answers,
        "total": money_json(&total),
        "stage": stage(&stored.value),
        "differences": looked.differences,
        "guilt": looked.proven.as_ref().map(|(_, guilt)| guilt.to_string()),
    });
    let Some((evidence, guilt)) = looked.proven else {
        if looked.differences.is_empty() {
            context.say("  every list and every part is what it must be");
        } else {
            context.say("  no evidence of this shape can be judged on the chain");
        }
        context.give(&report);
        return Ok(looked.differences.is_empty());
    };
    context.say(format!("  provable: {guilt}"));
    let open = matches!(stored.value.stage, BatchStage::Open) && stored.block.number < stored.value.closes;
    match key {
        Some(key) if open => {
            let kept = Kept {
                salt: hex_of(random()?),
                evidence: hex_of(bytes_of_field(&evidence)),
            };
            files::write_json(&kept_path(context, chain, id), &kept)?;
            report["verdict"] = prove(context, chain, key, id, &kept).await?;
        }
        Some(_) => context.say(format!("  too late or decided already: {}", stage(&stored.value))),
        None => context.say("  not challenged: --dry-run"),
    }
    context.give(&report);
    Ok(false)
}

fn kept_path(context: &Context, chain: &Chain, id: u64) -> PathBuf {
    context
        .data(&chain.genesis())
        .join("challenges")
        .join(format!("{id}.json"))
}

/// Recomputes every answer, and judges the evidence by the chain's own function before anything is paid for it.
async fn look(
    context: &Context,
    chain: &Chain,
    id: u64,
    stored: &Read<Batch<Account>>,
    indexes: &mut Indexes,
) -> Result<Looked> {
    let worker = public::worker_of(chain, &stored.value.worker, Head::Best).await?;
    let mut batch = public::batch(&worker, id, &stored.value)?;
    // Of one's own answers the text is known, and with it which words are quoted.
    let data = context.data(&chain.genesis());
    for answer in &mut batch.answers {
        let hash = answer.receipt.hash();
        let kept = book::kept(&data, &hash)?;
        if let Some(salt) = kept.and_then(|kept| args::parse_hash(&kept.salt).ok()) {
            answer.output = public::receipt(&worker, &hash, Some(&salt))?.answer.output;
        }
    }
    let hash = stored.value.header.index;
    let index = match indexes.entry(hash) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(place) => place.insert(public::index(chain, &worker, &hash, Head::Best).await?.1),
    };
    let facts = BatchFacts {
        genesis: chain.genesis(),
        chain_id: chain.chain_id(),
        submitted: stored.value.submitted.into(),
        minimum: stored.value.header.minimum,
        randomness: None,
        batch: &stored.value.header,
        credits: Some(&stored.value.credits),
        index: &index.header,
    };
    let mut looked = Looked {
        answers: batch.answers.len() as u64,
        differences: Vec::new(),
        proven: None,
    };
    for (position, answer) in (0u64..).zip(&batch.answers) {
        let mut wrong = match recompute(index, answer) {
            Ok(recomputed) => {
                let mut wrong = differences(index, answer, &recomputed);
                wrong.extend(span_differences(index, answer));
                wrong.extend(batch.payment_differences(position, &recomputed.amounts));
                wrong
            }
            Err(reason) => vec![reason],
        };
        if wrong.is_empty() {
            continue;
        }
        looked
            .differences
            .extend(wrong.drain(..).map(|text| format!("answer {position}: {text}")));
        if looked.proven.is_none() {
            looked.proven =
                batch.evidence(index, position).into_iter().find_map(|evidence| {
                    match judge_batch(&facts, &evidence, &SignatureChecks) {
                        Verdict::Guilty(guilt) => Some((evidence, guilt)),
                        Verdict::NotProven(_) => None,
                    }
                });
        }
    }
    Ok(looked)
}

/// Commits to the evidence, shows it in a later block, and tells the verdict.
async fn prove(context: &Context, chain: &Chain, key: &Key, id: u64, kept: &Kept) -> Result<Value> {
    let path = kept_path(context, chain, id);
    let damaged = |e: String| Error::file(&path, format!("{e}; move it away and dispute again"));
    let salt: Hash = args::parse_hash(&kept.salt).map_err(damaged)?;
    let evidence: BatchEvidence = field(&kept.evidence).map_err(damaged)?;
    let account = key.account();
    let before = chain.balance(&account, Head::Best).await?.map(|b| b.free);
    let challenged = chain
        .read::<Challenge>(storage::challenge(id, account), Head::Best)
        .await?;
    if challenged.value.is_none() {
        let hash = commitment(&account, id, &salt, &evidence);
        let included = chain
            .submit(&calls::attribution::challenge(id, &hash), key)
            .await?;
        context.say_included("  challenged", &included);
        let deposit = chain
            .read::<Challenge>(storage::challenge(id, account), included.block)
            .await?;
        if let Ok(challenge) = deposit.found("challenge") {
            context.say(format!(
                "    deposit, held {}",
                money(&challenge.map(|c| c.deposit))
            ));
        }
    }
    let stored = chain
        .read::<Batch<Account>>(storage::batch(id), Head::Best)
        .await?;
    let accused = stored.found(format_args!("batch {id}"))?.value.worker;
    let bond_before = bond(chain, &accused, Head::Best).await?;
    // The transaction can only be in a later block than the one just seen.
    let included = chain
        .submit(&calls::attribution::prove(id, &salt, Box::new(evidence)), key)
        .await?;
    std::fs::remove_file(&path).map_err(|e| Error::file(&path, e))?;
    let after = chain
        .read::<Batch<Account>>(storage::batch(id), included.block)
        .await?
        .found(format_args!("batch {id}"))?;
    let bond_after = bond(chain, &accused, included.block).await?;
    let free = chain.balance(&account, included.block).await?.map(|b| b.free);
    context.say_included("  evidence shown", &included);
    context.say(format!("  verdict: {} ({})", stage(&after.value), after.place()));
    context.say(format!(
        "    bond of {} before {}",
        ss58(&accused),
        money(&bond_before)
    ));
    context.say(format!(
        "    bond of {} after  {}",
        ss58(&accused),
        money(&bond_after)
    ));
    context.say(format!("    free of the challenger before {}", money(&before)));
    context.say(format!("    free of the challenger after  {}", money(&free)));
    Ok(json!({
        "stage": stage(&after.value),
        "condemned": matches!(after.value.stage, BatchStage::Condemned { .. }),
        "block": included.block.number,
        "bond_before": money_json(&bond_before),
        "bond_after": money_json(&bond_after),
        "challenger_before": money_json(&before),
        "challenger_after": money_json(&free),
    }))
}

async fn bond(chain: &Chain, worker: &Account, at: impl Into<openledger_chain::At>) -> Result<Read<u128>> {
    let read = chain
        .read::<compute::Worker>(storage::worker(*worker), at)
        .await?;
    Ok(read.map(|worker| worker.map_or(0, |worker| worker.bond)))
}

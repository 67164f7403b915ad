//! `channel`.

use crate::{
    args, book,
    context::{money, money_json, short, Context},
    wire::bytes_of,
    Error, Result,
};
use openledger_attribution::voucher::Mode;
use openledger_chain::{ss58, Chain, Head, Read};
use openledger_protocol::{calls, channels::Channel, storage, Account};
use serde_json::{json, Value};

/// A channel on the chain.
pub async fn read(
    chain: &Chain,
    id: u64,
    at: impl Into<openledger_chain::At>,
) -> Result<Read<Channel<Account>>> {
    let channel = chain.read(storage::channel(id), at).await?;
    Ok(channel.found(format_args!("channel {id}"))?)
}

/// The account of the worker behind `--worker`.
pub fn worker_account(context: &Context) -> Result<Account> {
    worker_says(context).map(|(account, _)| account)
}

/// The account of a worker, and how it computes answers.
pub fn worker_says(context: &Context) -> Result<(Account, Mode)> {
    let worker = context.worker();
    let health: Value = worker.json("/health")?;
    let account = health["account"]
        .as_str()
        .and_then(|text| bytes_of(text).ok()?.try_into().ok());
    let account = account.ok_or_else(|| worker.wrong("/health", "it names no account"))?;
    let mode = match health["mode"].as_str() {
        Some("verifiable") => Mode::Verifiable,
        Some("fast") => Mode::Fast,
        other => {
            return Err(worker.wrong(
                "/health",
                format!("it answers in mode {other:?}, which this program does not know"),
            ))
        }
    };
    Ok((account, mode))
}

/// Runs the command.
pub async fn run(context: &Context, command: args::Channel) -> Result<()> {
    match command {
        args::Channel::Open { deposit, to } => open(context, deposit, to).await,
        args::Channel::Show { channel } => show(context, channel).await,
        args::Channel::Close { channel } => close(context, channel).await,
    }
}

async fn open(context: &Context, deposit: u128, to: Option<Account>) -> Result<()> {
    let chain = context.chain().await?;
    let key = context.key(&chain)?;
    let to = match to {
        Some(to) => to,
        None => worker_account(context)?,
    };
    let included = chain.submit(&calls::channels::open(&to, deposit), &key).await?;
    // The newest of this consumer's to that worker: ids are handed out in order.
    let next: u64 = chain
        .read(storage::next_channel(), included.block)
        .await?
        .value
        .unwrap_or(0);
    for id in (0..next).rev() {
        let Some(channel) = chain
            .read::<Channel<Account>>(storage::channel(id), included.block)
            .await?
            .value
        else {
            continue;
        };
        if channel.consumer != key.account() || channel.worker != to {
            continue;
        }
        context.say_included(&format!("channel {id} opened"), &included);
        let channel = read(&chain, id, included.block).await?;
        print(context, id, &channel, None);
        context.give(&channel_json(id, &channel));
        return Ok(());
    }
    Err(Error::other(format!(
        "block {} has no new channel of this account: read `channel show`",
        included.block
    )))
}

async fn show(context: &Context, channel: Option<u64>) -> Result<()> {
    let chain = context.chain().await?;
    let all: Vec<(u64, Read<Channel<Account>>)> = match channel {
        Some(id) => vec![(id, read(&chain, id, Head::Best).await?)],
        None => {
            let own = context.key(&chain)?.account();
            let all = chain
                .entries::<u64, Channel<Account>>("Channels", "Channels", Head::Best)
                .await?;
            all.into_iter()
                .filter(|(_, channel)| channel.value.consumer == own || channel.value.worker == own)
                .collect()
        }
    };
    let data = context.data(&chain.genesis());
    for (id, channel) in &all {
        let page = book::channels(&data)
            .contains(id)
            .then(|| book::Page::open(&data, *id))
            .transpose()?;
        print(context, *id, channel, page.as_ref());
    }
    if all.is_empty() {
        context.say("no channels: open one with `openledger channel open OPEN`");
    }
    context.give(&Value::Array(
        all.iter()
            .map(|(id, channel)| channel_json(*id, channel))
            .collect(),
    ));
    Ok(())
}

async fn close(context: &Context, id: u64) -> Result<()> {
    let chain = context.chain().await?;
    let key = context.key(&chain)?;
    let channel = read(&chain, id, Head::Best).await?;
    if channel.value.closing.is_some_and(|at| channel.block.number < at) {
        let at = channel.value.closing.unwrap_or_default();
        return Err(Error::other(format!(
            "channel {id} closes in block {at} and this is block {}: close it again then",
            channel.block.number
        )));
    }
    if channel.value.closing.is_some() {
        let included = chain.submit(&calls::channels::finish(id), &key).await?;
        let back = chain.balance(&channel.value.consumer, included.block).await?;
        context.say_included(&format!("channel {id} finished"), &included);
        context.say(format!("free now {}", money(&back.clone().map(|b| b.free))));
        context.give(&json!({ "channel": id, "finished": included.block.number, "free": money_json(&back.map(|b| b.free)) }));
        return Ok(());
    }
    let included = chain.submit(&calls::channels::close(id), &key).await?;
    let channel = read(&chain, id, included.block).await?;
    context.say_included(&format!("channel {id} is closing"), &included);
    print(context, id, &channel, None);
    context.give(&channel_json(id, &channel));
    Ok(())
}

fn print(context: &Context, id: u64, channel: &Read<Channel<Account>>, page: Option<&book::Page>) {
    let value = &channel.value;
    context.say(format!(
        "channel {id}: {} pays worker {}",
        short(&value.consumer),
        ss58(&value.worker)
    ));
    context.say(format!(
        "  deposit {}",
        money(&channel.clone().map(|c| c.deposit))
    ));
    context.say(format!("  settled {}", money(&channel.clone().map(|c| c.cursor))));
    if let Some(accepted) = page.and_then(|page| page.accepted().ok()) {
        let open = accepted.saturating_sub(value.cursor);
        context.say(format!(
            "  spent and not settled yet {} (receipts kept here)",
            openledger_chain::open(open)
        ));
    }
    if let Some(at) = value.closing {
        context.say(format!(
            "  closing: the rest goes back from block {at} on, with `openledger channel close {id}`"
        ));
    }
}

fn channel_json(id: u64, channel: &Read<Channel<Account>>) -> Value {
    json!({
        "channel": id,
        "consumer": crate::wire::hex_of(channel.value.consumer),
        "worker": crate::wire::hex_of(channel.value.worker),
        "deposit": money_json(&channel.clone().map(|c| c.deposit)),
        "settled": money_json(&channel.clone().map(|c| c.cursor)),
        "closing": channel.value.closing,
    })
}

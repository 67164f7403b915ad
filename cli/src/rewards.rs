//! `rewards` and `supply`.

use crate::{
    args,
    context::{money, money_json, Context},
    wire::hex_of,
    Result,
};
use openledger_chain::{open, ss58, Chain, Head, Read};
use openledger_protocol::{calls, storage, Account};
use serde_json::json;

/// What was credited to an account and not claimed.
pub async fn credits(
    chain: &Chain,
    account: &Account,
    at: impl Into<openledger_chain::At>,
) -> Result<Read<u128>> {
    let read = chain.read::<u128>(storage::credits(*account), at).await?;
    Ok(read.map(Option::unwrap_or_default))
}

/// Runs the command.
pub async fn run(context: &Context, command: args::Rewards) -> Result<()> {
    let chain = context.chain().await?;
    match command {
        args::Rewards::Show { account } => {
            let account = match account {
                Some(account) => account,
                None => context.key(&chain)?.account(),
            };
            let block = chain.head(Head::Best).await?;
            let credited = credits(&chain, &account, block).await?;
            let balance = chain.balance(&account, block).await?;
            context.say(ss58(&account));
            context.say(format!("  credited, not claimed {}", money(&credited)));
            context.say(format!(
                "  free                  {}",
                money(&balance.clone().map(|b| b.free))
            ));
            context.say(format!(
                "  held                  {}",
                money(&balance.clone().map(|b| b.reserved))
            ));
            context.give(&json!({
                "account": hex_of(account),
                "credited": money_json(&credited),
                "free": money_json(&balance.clone().map(|b| b.free)),
                "held": money_json(&balance.map(|b| b.reserved)),
            }));
        }
        args::Rewards::Claim => {
            let key = context.key(&chain)?;
            let account = key.account();
            let before = chain.head(Head::Best).await?;
            let included = chain.submit(&calls::rewards::claim(), &key).await?;
            // What the block before its own had: credits may have come in between.
            let parent = match included.block.number.checked_sub(1) {
                Some(number) => chain.block(number).await?.unwrap_or(before),
                None => before,
            };
            let credited = credits(&chain, &account, parent).await?;
            let left = credits(&chain, &account, included.block).await?;
            let balance = chain.balance(&account, included.block).await?.map(|b| b.free);
            let claimed = credited.value.saturating_sub(left.value);
            context.say_included("claimed", &included);
            context.say(format!("  credited before {}", money(&credited)));
            context.say(format!("  credited after  {}", money(&left)));
            context.say(format!("  free now        {}", money(&balance)));
            context.give(&json!({
                "account": hex_of(account),
                "claimed": { "planck": claimed.to_string(), "open": open(claimed) },
                "block": included.block.number,
                "transaction": hex_of(included.hash),
                "before": money_json(&credited),
                "after": money_json(&left),
                "free": money_json(&balance),
            }));
        }
    }
    Ok(())
}

/// `supply`: whether the accounts have what was issued.
pub async fn supply(context: &Context, command: args::Supply) -> Result<bool> {
    let chain = context.chain().await?;
    let mut blocks = chain.blocks(Head::Best).await?;
    let mut all = true;
    let mut seen = 0u64;
    loop {
        let block = blocks.next().await?;
        let supply = chain.supply(block).await?;
        all &= supply.holds();
        let verdict = if supply.holds() { "equal" } else { "DIFFERENT" };
        context.say(format!(
            "block {block}: issued {}; {} accounts have {} (System.Account, same block): {verdict}",
            money(&supply.issuance),
            supply.accounts,
            open(supply.total)
        ));
        context.give(&json!({
            "block": block.number,
            "block_hash": hex_of(block.hash),
            "issuance": money_json(&supply.issuance),
            "accounts": supply.accounts,
            "total": { "planck": supply.total.to_string(), "open": open(supply.total) },
            "equal": supply.holds(),
        }));
        seen += 1;
        if !command.follow || command.blocks.is_some_and(|blocks| seen >= blocks) || !all {
            return Ok(all);
        }
    }
}

//! `send`.

use crate::{
    args,
    context::{money, money_json, Context},
    wire::hex_of,
    Result,
};
use openledger_chain::{open, ss58};
use openledger_protocol::calls;
use serde_json::json;

/// Runs the command.
pub async fn run(context: &Context, command: args::Send) -> Result<()> {
    let chain = context.chain().await?;
    let key = context.key(&chain)?;
    let call = calls::balances::transfer_keep_alive(&command.to, command.amount);
    let included = chain.submit(&call, &key).await?;
    let balance = chain.balance(&command.to, included.block).await?.map(|b| b.free);
    context.say_included(
        &format!("sent {} to {}", open(command.amount), ss58(&command.to)),
        &included,
    );
    context.say(format!("  it has {}", money(&balance)));
    context.give(&json!({
        "to": hex_of(command.to),
        "amount": { "planck": command.amount.to_string(), "open": open(command.amount) },
        "block": included.block.number,
        "transaction": hex_of(included.hash),
        "free": money_json(&balance),
    }));
    Ok(())
}

//! `base` and `model`.

use crate::{
    args,
    context::{money, money_json, name, text_of, Context},
    wire::hex_of,
    Error, Result,
};
use openledger_attribution::fee::Tariff;
use openledger_chain::{open, Chain, Head, Read};
use openledger_model::{BaseModel, Tokenizer};
use openledger_protocol::{
    calls,
    models::{tariff_of, Base, Generation, Line, Model, Place, Stage},
    storage, Account,
};
use serde_json::{json, Value};

/// `base`.
pub async fn base(context: &Context, command: args::Base) -> Result<()> {
    let args::Base::Register {
        name: called,
        licence,
        dir,
    } = command;
    let (called, licence) = (name(&called)?, name(&licence)?);
    let weights = BaseModel::load(&dir)?.hash();
    let tokenizer = Tokenizer::load(&dir)?.hash();
    let chain = context.chain().await?;
    let key = context.key(&chain)?;
    let call = calls::models::register_base(&called, &licence, &weights, &tokenizer);
    let included = chain.submit(&call, &key).await?;
    let next: u64 = chain
        .read(storage::next_base(), included.block)
        .await?
        .value
        .unwrap_or(0);
    for id in (0..next).rev() {
        let base = chain
            .read::<Base<Account>>(storage::base(id), included.block)
            .await?;
        let own =
            |b: &Base<Account>| b.registrant == key.account() && b.weights == weights && b.name == called;
        if base.value.as_ref().is_some_and(own) {
            let base = base.found(format_args!("base {id}"))?;
            context.say_included(&format!("base {id} registered"), &included);
            context.say(format!("  weights   {}", hex_of(weights)));
            context.say(format!("  tokenizer {}", hex_of(tokenizer)));
            context.say(format!("  deposit   {}", money(&base.clone().map(|b| b.deposit))));
            context.give(&json!({
                "base": id,
                "weights": hex_of(weights),
                "tokenizer": hex_of(tokenizer),
                "block": included.block.number,
            }));
            return Ok(());
        }
    }
    Err(lost("base", included.block))
}

fn lost(what: &str, block: openledger_chain::Block) -> Error {
    Error::other(format!(
        "block {block} has no new {what} of this account: this program and the runtime differ in version; update the older one"
    ))
}

/// A model by its number or name.
pub async fn find(
    chain: &Chain,
    text: &str,
    at: impl Into<openledger_chain::At>,
) -> Result<(u64, Read<Model<Account>>)> {
    let block = chain.resolve(at).await?;
    if let Ok(id) = text.parse::<u64>() {
        let model = chain.read(storage::model(id), block).await?;
        return Ok((id, model.found(format_args!("model {id}"))?));
    }
    let all = chain
        .entries::<u64, Model<Account>>("Models", "Models", block)
        .await?;
    let mut named: Vec<_> = all
        .into_iter()
        .filter(|(_, model)| text_of(&model.value.name) == text)
        .collect();
    match (named.pop(), named.len()) {
        (Some(found), 0) => Ok(found),
        (Some(_), more) => Err(Error::other(format!(
            "{} models are called `{text}`: give the number",
            more + 1
        ))),
        (None, _) => Err(Error::Missing(format!(
            "no model is called `{text}` at block {block}: see `openledger model show`"
        ))),
    }
}

/// A generation of a model.
pub async fn generation(
    chain: &Chain,
    model: u64,
    number: u32,
    at: impl Into<openledger_chain::At>,
) -> Result<Read<Generation<Account>>> {
    let generation = chain.read(storage::generation(model, number), at).await?;
    Ok(generation.found(format_args!("generation {number} of model {model}"))?)
}

/// Runs the command.
pub async fn run(context: &Context, command: args::Model) -> Result<()> {
    let chain = context.chain().await?;
    match command {
        args::Model::Create {
            name: called,
            base,
            price_in,
            price_out,
            mix,
        } => {
            let called = name(&called)?;
            let key = context.key(&chain)?;
            let call = calls::models::create(&called, base, price_in, price_out, &mix);
            let included = chain.submit(&call, &key).await?;
            let next: u64 = chain
                .read(storage::next_model(), included.block)
                .await?
                .value
                .unwrap_or(0);
            for id in (0..next).rev() {
                let model = chain
                    .read::<Model<Account>>(storage::model(id), included.block)
                    .await?;
                let own = |m: &Model<Account>| m.creator == key.account() && m.name == called;
                if model.value.as_ref().is_some_and(own) {
                    let model = model.found(format_args!("model {id}"))?;
                    context.say_included(&format!("model {id} created"), &included);
                    context.say(format!("  deposit {}", money(&model.clone().map(|m| m.deposit))));
                    print(context, id, &model);
                    context.give(&json!({ "model": id, "block": included.block.number }));
                    return Ok(());
                }
            }
            Err(lost("model", included.block))
        }
        args::Model::Show { model } => show(context, &chain, model.as_deref()).await,
        args::Model::Serve { model, stop } => {
            let key = context.key(&chain)?;
            let (id, _) = find(&chain, &model, Head::Best).await?;
            let included = chain.submit(&calls::models::set_serving(id, !stop), &key).await?;
            let what = if stop { "answers no more" } else { "answers" };
            context.say_included(&format!("model {id} {what}"), &included);
            context.give(&json!({ "model": id, "serving": !stop, "block": included.block.number }));
            Ok(())
        }
    }
}

fn print(context: &Context, id: u64, model: &Read<Model<Account>>) {
    let value = &model.value;
    context.say(format!(
        "model {id} \"{}\" on base {}, {} ({})",
        text_of(&value.name),
        value.base,
        if value.serving { "serving" } else { "not serving" },
        model.place()
    ));
    let tariff = &value.tariff;
    context.say(format!(
        "  price of 1,000 tokens: {} in, {} out (same place)",
        open(tariff.price_in),
        open(tariff.price_out)
    ));
    let percent = |part: u16| f64::from(part) / 100.0;
    let split = &tariff.split;
    context.say(format!(
        "  split in %: owner {}, contributors {} (and lineage without ancestors), stakers {}, compute {}, lineage {}; platform {} on top",
        percent(split.owner),
        percent(split.contributors),
        percent(split.stakers),
        percent(split.compute),
        percent(split.lineage),
        percent(split.platform)
    ));
}

/// What answers of a generation are charged by: its model's tariff, and whether it has ancestors, at the same block.
pub async fn tariff(chain: &Chain, model: &Read<Model<Account>>, (id, generation): Place) -> Result<Tariff> {
    let line = chain
        .read::<Line>(storage::line(id, generation), model.block)
        .await?;
    Ok(tariff_of(&model.value.tariff, line.value.as_ref()))
}

/// A stage in words.
pub fn stage(stage: &Stage) -> String {
    match stage {
        Stage::Training => "training".into(),
        Stage::AwaitingSeed { epoch } => format!("awaiting the index's seed, drawn for epoch {epoch}"),
        Stage::Indexing { .. } => "indexing".into(),
        Stage::Ready { index } => format!("ready, index {}", hex_of(index)),
        Stage::Failed => "failed; the price went back".into(),
    }
}

async fn show(context: &Context, chain: &Chain, wanted: Option<&str>) -> Result<()> {
    let block = chain.head(Head::Best).await?;
    let all: Vec<(u64, Read<Model<Account>>)> = match wanted {
        Some(text) => vec![find(chain, text, block).await?],
        None => chain.entries("Models", "Models", block).await?,
    };
    let mut list = Vec::new();
    for (id, model) in &all {
        print(context, *id, model);
        let mut generations = Vec::new();
        for number in 1..=model.value.generations {
            let Some(g) = chain
                .read::<Generation<Account>>(storage::generation(*id, number), block)
                .await
                .map(|read| read.value.is_some().then_some(read))?
            else {
                continue;
            };
            let g = g.found("generation")?;
            let v = &g.value;
            context.say(format!(
                "  generation {number}: {} ({})",
                stage(&v.stage),
                g.place()
            ));
            if v.trainer.is_some() {
                let nats = |micro: u32| f64::from(micro) / 1e6;
                context.say(format!(
                    "    held-out loss {:.4} -> {:.4} nats per token",
                    nats(v.loss_before),
                    nats(v.loss_after)
                ));
            }
            generations.push(json!({
                "generation": number,
                "stage": stage(&v.stage),
                "price": money_json(&g.clone().map(|g| g.price)),
                "adapter": hex_of(v.adapter),
                "loss_before": v.loss_before,
                "loss_after": v.loss_after,
                "index": match v.stage { Stage::Ready { index } => Value::from(hex_of(index)), _ => Value::Null },
            }));
        }
        list.push(json!({
            "model": id,
            "name": text_of(&model.value.name),
            "base": model.value.base,
            "serving": model.value.serving,
            "generations": generations,
        }));
    }
    if list.is_empty() {
        context.say("no models yet: create one with `openledger model create NAME`");
    }
    context.give(&Value::Array(list));
    Ok(())
}

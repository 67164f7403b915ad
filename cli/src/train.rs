//! `train`: orders a generation and follows it until it can answer.

use crate::{
    args,
    context::{money, money_json, Context},
    models::{find, generation, stage},
    wire::hex_of,
    Error, Result,
};
use openledger_attribution::index::IndexRules;
use openledger_chain::{open, Head};
use openledger_protocol::{
    calls,
    models::{Model, Recipe, Stage},
    storage, Account,
};
use serde::Deserialize;
use serde_json::json;
use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

/// Between two looks at the chain and the worker.
const PAUSE: Duration = Duration::from_millis(700);

/// A worker's job as it tells it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Job {
    state: String,
    step: u64,
    of: u64,
    loss: Option<f64>,
    phase: String,
    message: String,
}

impl Job {
    fn text(&self) -> String {
        let bar = match self.of {
            0 => String::new(),
            of => {
                let filled = usize::try_from(self.step.min(of).saturating_mul(20) / of).unwrap_or(20);
                format!(
                    "[{}{}] {}/{of} ",
                    "#".repeat(filled),
                    "-".repeat(20 - filled.min(20)),
                    self.step
                )
            }
        };
        let loss = self
            .loss
            .map(|loss| format!("loss {loss:.4} "))
            .unwrap_or_default();
        format!("{}: {bar}{loss}{} {}", self.state, self.phase, self.message)
            .trim_end()
            .to_owned()
    }
}

/// Runs the command.
pub async fn run(context: &Context, command: args::Train) -> Result<()> {
    let chain = context.chain().await?;
    let key = context.key(&chain)?;
    let (model, _) = find(&chain, &command.model, Head::Best).await?;
    let recipe = Recipe {
        rank: command.rank,
        alpha: command.alpha,
        targets: command.targets,
        learning_rate: command.learning_rate,
        epochs: command.epochs,
        batch: command.batch,
        context: command.context,
        held_out: command.held_out,
    };
    let rules = IndexRules {
        projection: command.projection,
        top: command.top,
        rho: command.rho,
        z: command.z,
        floor: command.floor,
    };
    let head = chain.head(Head::Best).await?;
    let deadline = head.number.saturating_add(command.deadline);
    let call = calls::models::request_training(
        model,
        &command.sources,
        &recipe,
        &rules,
        command.price,
        deadline,
        command.parent,
    );
    let included = chain.submit(&call, &key).await?;
    let number = chain
        .read::<Model<Account>>(storage::model(model), included.block)
        .await?
        .found(format_args!("model {model}"))?
        .value
        .generations;
    let ordered = generation(&chain, model, number, included.block).await?;
    context.say_included(
        &format!(
            "generation {number} of model {model} ordered as job {}",
            ordered.value.job
        ),
        &included,
    );
    context.say(format!(
        "  price, held {}",
        money(&ordered.clone().map(|g| g.price))
    ));
    context.say(format!("  until block {deadline}"));
    if command.no_wait {
        context.give(&json!({ "model": model, "generation": number, "job": ordered.value.job, "block": included.block.number }));
        return Ok(());
    }

    let worker = context.worker();
    let progress = std::io::stdout().is_terminal() && !context.json();
    let mut last = String::new();
    let mut shown = None;
    loop {
        let now = generation(&chain, model, number, Head::Best).await?;
        let value = &now.value;
        match value.stage {
            Stage::Ready { index } => {
                end_line(progress, &last);
                let nats = |micro: u32| f64::from(micro) / 1e6;
                context.say(format!("ready in block {} ({})", now.block, now.place()));
                context.say(format!("  adapter {}", hex_of(value.adapter)));
                context.say(format!("  index   {}", hex_of(index)));
                context.say(format!(
                    "  held-out loss {:.4} -> {:.4} nats per token",
                    nats(value.loss_before),
                    nats(value.loss_after)
                ));
                context.give(&json!({
                    "model": model,
                    "generation": number,
                    "adapter": hex_of(value.adapter),
                    "index": hex_of(index),
                    "loss_before": value.loss_before,
                    "loss_after": value.loss_after,
                    "price": money_json(&ordered.clone().map(|g| g.price)),
                    "block": now.block.number,
                }));
                return Ok(());
            }
            Stage::Failed => {
                end_line(progress, &last);
                return Err(Error::other(format!(
                    "generation {number} of model {model} failed ({}): nobody delivered until block {deadline}; the price went back. \
                     See the worker's log, then order it again",
                    now.place()
                )));
            }
            _ => {}
        }
        // A worker elsewhere, or one that has not seen the job yet, is no reason to stop.
        let job = worker.json::<Job>(&format!("/v1/jobs/{}", value.job)).ok();
        if let Some(job) = job.as_ref().filter(|job| job.state == "failed") {
            end_line(progress, &last);
            return Err(Error::other(format!(
                "the worker cannot do job {}: {}. The price of {} goes back when the deadline, block {deadline}, has passed",
                value.job,
                job.message,
                open(value.price)
            )));
        }
        let decile = job.as_ref().map(|job| {
            (
                job.state.clone(),
                job.phase.clone(),
                job.step * 10 / job.of.max(1),
            )
        });
        let at_work = job
            .map(|job| format!("; worker {}", job.text()))
            .unwrap_or_default();
        let text = format!("  {}{at_work}", stage(&value.stage));
        // Into a file or a pipe goes a line each tenth of the way.
        let news = progress || decile != shown;
        if text != last && news {
            shown = decile;
            if progress {
                let wipe = " ".repeat(last.chars().count().saturating_sub(text.chars().count()));
                print!("\r{text}{wipe}");
                let _ = std::io::stdout().flush();
            } else {
                context.say(&text);
            }
            last = text;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn end_line(progress: bool, last: &str) {
    if progress && !last.is_empty() {
        println!();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_one_line() {
        let job = Job {
            state: "running".into(),
            step: 5,
            of: 20,
            loss: Some(1.25),
            phase: "train".into(),
            message: String::new(),
        };
        assert_eq!(
            job.text(),
            "running: [#####---------------] 5/20 loss 1.2500 train"
        );
        let over = Job { step: 30, ..job };
        assert!(over.text().contains("[####################] 30/20"));
    }
}

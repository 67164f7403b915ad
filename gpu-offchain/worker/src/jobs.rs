//! Jobs: taken from the hook, done once the chain says so in a final block, kept until they are delivered.
//!
//! A job's row is stored before the hook is answered, its outcome before the hook can see it. Between the two nothing
//! needs to survive: training starts over (it gives the same adapter), an index build goes on where it was.

mod index;
mod infer;
mod progress;
mod train;

pub use progress::{Board, Progress};
pub(crate) use train::{curves, parent, Lesson};

use crate::{
    dataset,
    db::{JobRow, JobState, ModelRow},
    error::{Error, Result},
    formats::{decode_adapter, hex0x},
    ledger::{self, Head},
    models::{load_adapter, Served},
    state::Worker,
};
use openledger_model::Adapter;
use openledger_protocol::{
    compute::{hook, Job, JobStage, Outcome, Task},
    models::{Generation, Stage},
    storage, Account, Hash,
};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// A job that failed this often, not for want of input, is given up.
const TRIES: u32 = 3;

/// Takes the jobs of a hook's request and returns the results of those that are done.
pub fn answer_hook(worker: &Worker, request: &hook::Request) -> Result<hook::Answer> {
    if request.genesis != worker.ledger.genesis() {
        return Err(Error::Request(format!(
            "the node is on the chain with genesis {}, this worker on {}: pair it with a node of its chain",
            hex0x(request.genesis),
            hex0x(worker.ledger.genesis())
        )));
    }
    let mut finished = Vec::new();
    for assigned in request.jobs.iter().filter(|job| job.worker == worker.account()) {
        if worker.db.add_job(assigned)? {
            tracing::info!(job = assigned.job, attempt = assigned.attempt, task = ?assigned.task, "a job was assigned");
            kill_point!("job-stored");
            worker.jobs_changed.notify_one();
        }
        if let Some(JobRow {
            state: JobState::Done(outcome),
            ..
        }) = worker.db.job(assigned.job, assigned.attempt)?
        {
            finished.push(hook::Finished {
                job: assigned.job,
                attempt: assigned.attempt,
                outcome: *outcome,
            });
        }
    }
    Ok(hook::Answer {
        protocol: hook::PROTOCOL,
        finished,
    })
}

/// Does the jobs, one at a time. Never returns.
pub async fn run(worker: Arc<Worker>) {
    let mut failures: BTreeMap<(u64, u32), u32> = BTreeMap::new();
    loop {
        if let Err(error) = work(&worker, &mut failures).await {
            tracing::warn!(%error, "jobs wait");
        }
        tokio::select! {
            () = worker.jobs_changed.notified() => {}
            () = tokio::time::sleep(worker.config.poll) => {}
        }
    }
}

async fn work(worker: &Arc<Worker>, failures: &mut BTreeMap<(u64, u32), u32>) -> Result<()> {
    let waiting = worker
        .db
        .jobs()?
        .into_iter()
        .filter(|job| job.state == JobState::Waiting);
    for mut row in waiting {
        let assigned = row.assigned.clone();
        let head = worker.ledger.head(Head::Finalized).await?;
        if head.number < assigned.since {
            worker.board.say(
                &assigned,
                "waiting",
                format!("assigned in block {}, final is {}", assigned.since, head.number),
            );
            continue;
        }
        if head.number > assigned.deadline || !is_ours(worker, &assigned).await? {
            tracing::info!(
                job = assigned.job,
                attempt = assigned.attempt,
                "the chain no longer wants this job from us"
            );
            row.state = JobState::Dropped;
            worker.db.set_job(&row)?;
            continue;
        }
        match perform(worker, &assigned).await {
            Ok(outcome) => {
                kill_point!("outcome-computed");
                row.state = JobState::Done(Box::new(outcome));
                worker.db.set_job(&row)?;
                kill_point!("outcome-stored");
                worker.board.forget(&assigned);
                tracing::info!(job = assigned.job, "a job is done; the node's hook delivers it");
            }
            // Its input is not here yet, the chain does not answer, or so many ask that there is no room.
            Err(Error::NotReady(why) | Error::Missing(why) | Error::Later(why, _)) => {
                worker.board.say(&assigned, "waiting", why);
            }
            Err(error) => {
                let count = failures.entry((assigned.job, assigned.attempt)).or_default();
                *count += 1;
                tracing::error!(job = assigned.job, tries = *count, %error, "a job failed");
                worker.board.say(&assigned, "waiting", error.to_string());
                if matches!(error, Error::Hopeless(_)) || *count >= TRIES {
                    row.state = JobState::Failed(error.to_string());
                    worker.db.set_job(&row)?;
                    worker.board.forget(&assigned);
                }
            }
        }
    }
    Ok(())
}

/// Whether the final state has the job assigned to this worker, as the hook said.
async fn is_ours(worker: &Worker, assigned: &hook::Assigned) -> Result<bool> {
    let job =
        ledger::read::<Job<Account>>(&*worker.ledger, storage::job(assigned.job), Head::Finalized).await?;
    let stage = JobStage::Assigned {
        worker: worker.account(),
        since: assigned.since,
    };
    Ok(job.value.is_some_and(|job| {
        job.attempt == assigned.attempt && job.stage == stage && job.task == assigned.task
    }))
}

async fn perform(worker: &Arc<Worker>, assigned: &hook::Assigned) -> Result<Outcome> {
    match assigned.task {
        Task::Train {
            model,
            generation,
            seed,
        } => train::train(worker, assigned, (model, generation), seed).await,
        Task::Index {
            model,
            generation,
            seed,
        } => index::index(worker, assigned, (model, generation), seed).await,
        Task::Infer { request, .. } => infer::infer(worker, assigned, request).await,
    }
}

/// The generation a job is about, if its base is this worker's.
pub(crate) async fn ordered(worker: &Worker, (model, generation): (u64, u32)) -> Result<Generation<Account>> {
    let ordered = ledger::generation(&*worker.ledger, model, generation, Head::Finalized).await?;
    let entry = ledger::model(&*worker.ledger, model, Head::Finalized).await?;
    let base = ledger::base(&*worker.ledger, entry.base, Head::Finalized).await?;
    let own = (worker.base.hash, worker.base.tokenizer.hash());
    if (base.weights, base.tokenizer) != own {
        return Err(Error::Hopeless(format!(
            "model {model} is on base {} with tokenizer {}, this worker has {} with {}: start it with --base of that one",
            hex0x(base.weights),
            hex0x(base.tokenizer),
            hex0x(own.0),
            hex0x(own.1)
        )));
    }
    Ok(ordered)
}

/// Longest window of an example: what the recipe says, and what the base can read.
pub(crate) fn context(worker: &Worker, generation: &Generation<Account>) -> usize {
    usize::from(generation.recipe.context).min(worker.base.context())
}

/// Puts an adapter's two files into its folder, whole or not at all.
pub fn store_adapter(worker: &Worker, hash: &Hash, config: &[u8], weights: &[u8]) -> Result<()> {
    let dir = worker.config.adapter_dir(hash);
    if dir.is_dir() {
        return Ok(());
    }
    let unfinished = dir.with_extension("unfinished");
    let write = || -> std::io::Result<()> {
        if unfinished.is_dir() {
            std::fs::remove_dir_all(&unfinished)?;
        }
        std::fs::create_dir_all(&unfinished)?;
        for (name, bytes) in [
            ("adapter_config.json", config),
            ("adapter_model.safetensors", weights),
        ] {
            use std::io::Write;
            let mut file = std::fs::File::create(unfinished.join(name))?;
            file.write_all(bytes)?;
            file.sync_all()?;
        }
        Ok(())
    };
    write().map_err(|error| Error::file("write", &unfinished, error))?;
    load_adapter(&worker.base, &unfinished, hash)?;
    publish(&unfinished, &dir)
}

/// Renames a finished folder into its place, durably.
fn publish(from: &Path, to: &Path) -> Result<()> {
    let rename = || -> std::io::Result<()> {
        let parent = to.parent().unwrap_or(to);
        std::fs::create_dir_all(parent)?;
        std::fs::rename(from, to)?;
        std::fs::File::open(parent)?.sync_all()
    };
    rename().map_err(|error| Error::file("move a finished folder to", to, error))
}

/// The adapter of a generation: from its folder, else from the block that its trainer published.
fn adapter(worker: &Worker, generation: &Generation<Account>) -> Result<Adapter> {
    let hash = generation.adapter;
    if !worker.config.adapter_dir(&hash).is_dir() {
        let block = dataset::file(
            &worker.store,
            &generation.adapter_cid,
            &format!("adapter {}", hex0x(hash)),
        )?;
        let (config, weights) = decode_adapter(&block)?;
        store_adapter(worker, &hash, &config, &weights)?;
    }
    load_adapter(&worker.base, &worker.config.adapter_dir(&hash), &hash)
}

/// Makes finished generations answer, as the chain accepts them. Never returns.
pub async fn serve(worker: Arc<Worker>) {
    let mut last = String::new();
    loop {
        if let Err(error) = activate(&worker).await.map_err(|error| error.to_string()) {
            if error != last {
                tracing::warn!(error, "a generation cannot answer yet");
            }
            last = error;
        }
        tokio::time::sleep(worker.config.poll).await;
    }
}

/// Makes those generations answer whose index the final state has accepted.
pub async fn activate(worker: &Arc<Worker>) -> Result<()> {
    for ((model, generation), ModelRow { adapter, index }) in worker.db.models()? {
        if worker.serving.get(model, generation).is_some() {
            continue;
        }
        let on_chain = ledger::generation(&*worker.ledger, model, generation, Head::Finalized).await?;
        if on_chain.stage != (Stage::Ready { index }) {
            continue;
        }
        let entry = ledger::model(&*worker.ledger, model, Head::Finalized).await?;
        let name = String::from_utf8_lossy(&entry.name).into_owned();
        let own = worker.clone();
        let load = move || {
            let adapter_dir = own.config.adapter_dir(&adapter);
            let index_dir = own.config.index_dir(&index);
            Served::load(
                &own.base,
                (model, generation),
                name,
                (&adapter_dir, &adapter),
                (&index_dir, &index),
            )
        };
        let served = tokio::task::spawn_blocking(load)
            .await
            .map_err(|error| Error::part("loading", error))??;
        tracing::info!(model, generation, name = served.name, "a generation answers now");
        worker.serving.add(served);
    }
    Ok(())
}

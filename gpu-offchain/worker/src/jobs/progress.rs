//! How jobs get on, for people: over HTTP and on the terminal.

use crate::{
    bar::Bar,
    db::{JobRow, JobState},
    formats::hex0x,
    state::lock,
};
use openledger_attribution::wire::Object;
use openledger_protocol::compute::{hook::Assigned, Outcome, Task};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{json, Value};
use std::{collections::BTreeMap, sync::Mutex};
use tokio::sync::watch;

/// What is known about one job.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Progress {
    /// The job.
    pub job: u64,
    /// Its attempt.
    pub attempt: u32,
    /// `train` or `index`.
    pub task: &'static str,
    /// The model.
    pub model: u64,
    /// Its generation.
    pub generation: u32,
    /// `waiting`, `running`, `done`, `failed` or `dropped`.
    pub state: &'static str,
    /// Steps done.
    pub step: u64,
    /// Of so many.
    pub of: u64,
    /// Loss of the last step, in nats per token.
    pub loss: Option<f64>,
    /// What it is at.
    pub phase: String,
    /// What it waits for, or why it failed.
    pub message: String,
    /// What came out.
    pub outcome: Option<Value>,
}

impl Progress {
    fn new(assigned: &Assigned) -> Self {
        let (task, model, generation) = match assigned.task {
            Task::Train {
                model, generation, ..
            } => ("train", model, generation),
            Task::Index {
                model, generation, ..
            } => ("index", model, generation),
            Task::Infer {
                model, generation, ..
            } => ("infer", model, generation),
        };
        Self {
            job: assigned.job,
            attempt: assigned.attempt,
            task,
            model,
            generation,
            state: "waiting",
            step: 0,
            of: 0,
            loss: None,
            phase: String::new(),
            message: String::new(),
            outcome: None,
        }
    }

    /// Whether nothing more will change.
    pub fn is_final(&self) -> bool {
        !matches!(self.state, "waiting" | "running")
    }
}

/// The jobs under way.
#[derive(Default)]
pub struct Board {
    running: Mutex<BTreeMap<(u64, u32), Progress>>,
    changed: watch::Sender<u64>,
    bar: Bar,
}

impl Board {
    fn update(&self, assigned: &Assigned, change: impl FnOnce(&mut Progress)) {
        let key = (assigned.job, assigned.attempt);
        change(
            lock(&self.running)
                .entry(key)
                .or_insert_with(|| Progress::new(assigned)),
        );
        self.changed.send_modify(|count| *count += 1);
    }

    /// Says why a job waits, or what it is at.
    pub fn say(&self, assigned: &Assigned, state: &'static str, message: String) {
        self.update(assigned, |progress| {
            if progress.message != message {
                tracing::info!(job = assigned.job, state, message);
            }
            progress.state = state;
            progress.message = message;
        });
    }

    /// Says how far a running job is, and draws it on the terminal if `bar`.
    pub fn step(
        &self,
        assigned: &Assigned,
        phase: &str,
        (step, of): (u64, u64),
        loss: Option<f64>,
        bar: bool,
    ) {
        self.update(assigned, |progress| {
            progress.state = "running";
            progress.phase = phase.into();
            progress.message.clear();
            (progress.step, progress.of, progress.loss) = (step, of, loss);
        });
        if bar {
            let loss = loss.map(|loss| format!("  loss {loss:.4}")).unwrap_or_default();
            self.bar.draw(phase, step, of, &loss);
        }
    }

    /// A job is no longer under way.
    pub fn forget(&self, assigned: &Assigned) {
        lock(&self.running).remove(&(assigned.job, assigned.attempt));
        self.changed.send_modify(|count| *count += 1);
    }

    /// What is known about a stored job.
    pub fn show(&self, row: &JobRow) -> Progress {
        let assigned = &row.assigned;
        let running = lock(&self.running)
            .get(&(assigned.job, assigned.attempt))
            .cloned();
        let mut progress = running.unwrap_or_else(|| Progress::new(assigned));
        match &row.state {
            JobState::Waiting => {}
            JobState::Done(outcome) => {
                progress.state = "done";
                progress.outcome = Some(match &**outcome {
                    Outcome::Trained {
                        adapter,
                        loss_before,
                        loss_after,
                        ..
                    } => json!({
                        "adapter": hex0x(adapter),
                        "loss_before": f64::from(*loss_before) / 1e6,
                        "loss_after": f64::from(*loss_after) / 1e6,
                    }),
                    Outcome::Indexed { header, .. } => {
                        json!({ "index": hex0x(header.hash()), "rows": header.rows.count })
                    }
                    Outcome::Inferred { output } => json!({ "bytes": output.len() }),
                });
            }
            JobState::Failed(why) => {
                progress.state = "failed";
                progress.message = why.clone();
            }
            JobState::Dropped => {
                progress.state = "dropped";
                progress.message = "the chain gave it to another worker, or its deadline passed".into();
            }
        }
        progress
    }

    /// Tells when anything changes.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

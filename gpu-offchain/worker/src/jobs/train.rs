//! Training an adapter as the chain ordered it.

use super::{adapter, context, ordered, store_adapter};
use crate::{
    dataset::Dataset,
    error::{Error, Result},
    fetch,
    formats::encode_adapter,
    keys::Keyring,
    ledger::{self, Head},
    models::{sketcher, Base},
    state::Worker,
};
use openledger_attribution::voucher::Mode;
use openledger_model::{Adapter, Example, Target};
use openledger_protocol::{
    compute::{hook::Assigned, Outcome},
    models::{Generation, Recipe},
    Account, Hash,
};
use openledger_trainer::{curve, fresh_adapter, train_lora_from, LoraConfig, Progress, TrainConfig, Trained};
use std::{ops::ControlFlow, path::PathBuf, sync::Arc};

/// The trainer's numbers for a recipe. A step takes as many tokens as the recipe's number of average examples.
fn configs(recipe: &Recipe, seed: &Hash, examples: &[Example]) -> Result<(LoraConfig, TrainConfig)> {
    let targets: Vec<Target> = (0u8..)
        .zip(Target::ALL)
        .filter_map(|(bit, target)| (recipe.targets >> bit & 1 == 1).then_some(target))
        .collect();
    if targets.is_empty() || examples.is_empty() {
        return Err(Error::Hopeless(format!(
            "the recipe adapts {} modules and has {} examples: it needs at least one of each",
            targets.len(),
            examples.len()
        )));
    }
    let tokens: usize = examples.iter().map(|example| example.tokens.len()).sum();
    let lora = LoraConfig {
        rank: recipe.rank.into(),
        alpha: recipe.alpha.into(),
        targets,
    };
    let train = TrainConfig {
        epochs: recipe.epochs.into(),
        batch_tokens: (usize::from(recipe.batch) * tokens).div_ceil(examples.len()),
        lr: f64::from(recipe.learning_rate) * 1e-9,
        seed: u64::from_be_bytes([
            seed[0], seed[1], seed[2], seed[3], seed[4], seed[5], seed[6], seed[7],
        ]),
        ..TrainConfig::default()
    };
    Ok((lora, train))
}

/// What a training starts from and learns: everything that decides its adapter.
pub(crate) struct Lesson {
    train: Vec<Example>,
    held_out: Vec<Example>,
    start: Adapter,
    config: TrainConfig,
}

impl Lesson {
    /// That of a generation, from its records and the seed that was drawn for it. A training that has a parent starts from that one's adapter.
    pub(crate) fn of(
        worker: &Worker,
        generation: &Generation<Account>,
        parent: Option<&Generation<Account>>,
        data: &Dataset,
        seed: &Hash,
    ) -> Result<Self> {
        if worker.base.mode != Mode::Verifiable {
            return Err(Error::Hopeless(
                "an adapter that others can train again needs --mode verifiable: start the worker with that"
                    .into(),
            ));
        }
        let (train, held_out) = data.divide(seed, generation.recipe.held_out, context(worker, generation));
        let (lora, config) = configs(&generation.recipe, seed, &train)?;
        let start = match parent {
            Some(parent) => adapter(worker, parent)?,
            None => fresh_adapter(&worker.base.net, &lora, config.seed)?,
        };
        Ok(Self {
            train,
            held_out,
            start,
            config,
        })
    }

    /// Trains. The same lesson gives the same adapter on every machine of its kind.
    pub(crate) fn learn(&self, base: &Base, progress: &mut dyn FnMut(&Progress)) -> Result<Trained> {
        Ok(train_lora_from(
            &base.net,
            &self.train,
            &self.held_out,
            &self.start,
            &self.config,
            &mut |step| {
                progress(step);
                ControlFlow::Continue(())
            },
        )?)
    }
}

/// The generation whose adapter the training of another starts from, if it does not start from its base.
pub(crate) async fn parent(worker: &Worker, which: (u64, u32)) -> Result<Option<Generation<Account>>> {
    Ok(
        match ledger::line(&*worker.ledger, which, Head::Finalized).await? {
            Some(line) => {
                let (model, number) = line.parent;
                Some(ledger::generation(&*worker.ledger, model, number, Head::Finalized).await?)
            }
            None => None,
        },
    )
}

/// The folder of a job's loss curve: `loss.csv` and `loss.svg`.
pub(crate) fn curves(worker: &Worker, job: u64) -> PathBuf {
    worker.config.data.join("jobs").join(job.to_string())
}

/// Nats as the chain counts them, in millionths.
fn millionths(loss: f64) -> u32 {
    // Saturates, and what is no number becomes 0.
    (loss * 1e6).round() as u32
}

pub(super) async fn train(
    worker: &Arc<Worker>,
    assigned: &Assigned,
    which: (u64, u32),
    seed: Hash,
) -> Result<Outcome> {
    let generation = ordered(worker, which).await?;
    let parent = parent(worker, which).await?;
    worker
        .board
        .say(assigned, "running", "reading the records".into());
    fetch::sources(worker, &generation).await?;
    let data = Dataset::load(
        &*worker.ledger,
        &worker.store,
        &Keyring::for_job(worker, assigned.job),
        &worker.base.tokenizer,
        &generation,
    )
    .await?;
    let own = worker.clone();
    let (worker, assigned) = (worker.clone(), assigned.clone());
    let work = move || {
        let mut lesson = Lesson::of(&worker, &generation, parent.as_ref(), &data, &seed)?;
        worker.attribute.learn(&mut lesson.train);
        // An adapter whose index the chain would not take is not worth training.
        sketcher(&lesson.start, &generation.rules, &seed)?;
        tracing::info!(
            job = assigned.job,
            examples = lesson.train.len(),
            held_out = lesson.held_out.len(),
            "training"
        );
        let bar = worker.config.progress_bar;
        let trained = lesson.learn(&worker.base, &mut |progress| {
            let steps = (progress.step as u64, progress.of as u64);
            worker
                .board
                .step(&assigned, "training", steps, Some(progress.loss), bar);
        })?;
        kill_point!("adapter-trained");
        let curve = curves(&worker, assigned.job);
        std::fs::create_dir_all(&curve)
            .and_then(|()| {
                curve::write(
                    &curve,
                    &format!("Job {}: loss in nats", assigned.job),
                    &trained.curve,
                )
            })
            .map_err(|error| Error::file("write", &curve, error))?;

        let hash = trained.adapter.hash();
        let scratch = worker
            .config
            .data
            .join("adapters")
            .join(format!("job-{}", assigned.job));
        std::fs::create_dir_all(&scratch).map_err(|error| Error::file("make", &scratch, error))?;
        trained.adapter.save(&scratch)?;
        let read = |name: &str| {
            let path = scratch.join(name);
            std::fs::read(&path).map_err(|error| Error::file("read", &path, error))
        };
        let (config, weights) = (read("adapter_config.json")?, read("adapter_model.safetensors")?);
        store_adapter(&worker, &hash, &config, &weights)?;
        std::fs::remove_dir_all(&scratch).map_err(|error| Error::file("remove", &scratch, error))?;
        let cid = worker
            .store
            .ingest(encode_adapter(&config, &weights)?.as_slice())?
            .cid;
        worker.publish(&cid)?;
        kill_point!("adapter-saved");

        let before = trained.heldout_before.unwrap_or(trained.loss_before);
        let after = trained.heldout_after.unwrap_or(trained.loss_after);
        tracing::info!(job = assigned.job, before, after, "trained");
        Ok(Outcome::Trained {
            adapter: hash,
            cid: cid
                .to_bytes()
                .try_into()
                .map_err(|_| Error::Internal("a CID of more than 64 bytes".into()))?,
            loss_before: millionths(before),
            loss_after: millionths(after),
        })
    };
    tokio::task::spawn_blocking(move || own.working.install(work))
        .await
        .map_err(|error| Error::part("training", error))?
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECIPE: Recipe = Recipe {
        rank: 8,
        alpha: 16,
        targets: 0b100_0101,
        learning_rate: 4_000_000,
        epochs: 3,
        batch: 4,
        context: 256,
        held_out: 10,
    };

    #[test]
    fn recipe_becomes_the_trainers_numbers() {
        let examples = [Example::whole(vec![1; 10]), Example::whole(vec![1; 20])];
        let (lora, config) = configs(&RECIPE, &[1; 32], &examples).unwrap();
        assert_eq!(
            lora,
            LoraConfig {
                rank: 8,
                alpha: 16.0,
                targets: vec![Target::Q, Target::V, Target::Down]
            }
        );
        assert_eq!(config.batch_tokens, 60);
        assert!((config.lr - 4e-3).abs() < 1e-12);
        assert_eq!(config.seed, 0x0101_0101_0101_0101);
        config.check().unwrap();
    }

    #[test]
    fn recipe_that_trains_nothing_is_hopeless() {
        let examples = [Example::whole(vec![1; 10])];
        let none = Recipe { targets: 0, ..RECIPE };
        assert!(matches!(
            configs(&none, &[1; 32], &examples),
            Err(Error::Hopeless(_))
        ));
        assert!(matches!(configs(&RECIPE, &[1; 32], &[]), Err(Error::Hopeless(_))));
    }

    #[test]
    fn losses_are_counted_in_millionths() {
        assert_eq!(
            [1.234_567_4, f64::NAN, -1.0, 1e12].map(millionths),
            [1_234_567, 0, 0, u32::MAX]
        );
    }
}

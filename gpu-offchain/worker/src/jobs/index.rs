//! Writing the index of a trained generation.

use super::{adapter, context, ordered, publish};
use crate::{
    channels,
    dataset::Dataset,
    db::ModelRow,
    error::{Error, Result},
    fetch,
    keys::Keyring,
    models::sketcher,
    state::Worker,
    units::Units,
};
use openledger_attribution::{hash::NONE, verbatim::Verbatim, wire::Object};
use openledger_influence::{available_threads, Index, IndexBuilder, IndexPlan};
use openledger_protocol::{
    compute::{hook::Assigned, Outcome},
    Hash,
};
use openledger_trainer::FactorModel;
use std::sync::Arc;

pub(super) async fn index(
    worker: &Arc<Worker>,
    assigned: &Assigned,
    which: (u64, u32),
    seed: Hash,
) -> Result<Outcome> {
    let generation = ordered(worker, which).await?;
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
        let adapter = adapter(&worker, &generation)?;
        let (model, number) = which;
        let mut plan = IndexPlan {
            builder: worker.account(),
            model,
            generation: number,
            base: worker.base.hash,
            adapter: generation.adapter,
            tokenizer: worker.base.tokenizer.hash(),
            seed,
            rules: generation.rules,
            sources: data.sources(),
            verbatim: Verbatim::NONE,
            retrieval: NONE,
        };
        let dir = worker.config.build_dir(model, number, &seed);
        worker
            .board
            .say(&assigned, "running", "sorting the corpus".into());
        let tokens = data.examples().map(|(_, example)| example.tokens.as_slice());
        let words = channels::build(
            &dir,
            &worker.base.tokenizer,
            &plan.corpus_leaves(),
            tokens,
            available_threads(),
        )?;
        plan.verbatim = *words.header();
        drop(words);
        kill_point!("corpus-sorted");
        let sketcher = sketcher(&adapter, &generation.rules, &seed)?;
        let factors = FactorModel::new(worker.base.net.clone(), &adapter)?;
        let mut units = Units::new(
            &factors,
            &sketcher,
            data.by_record(),
            context(&worker, &generation),
        );
        let mut builder = IndexBuilder::open(&dir, &plan, &sketcher)?;
        let bar = worker.config.progress_bar;
        while let Some(unit) = builder.next_unit() {
            builder.push(&units.gradient(&unit)?)?;
            worker
                .board
                .step(&assigned, "indexing", (builder.done(), builder.rows()), None, bar);
            if unit.row == builder.rows() / 2 {
                kill_point!("index-half");
            }
        }
        worker
            .board
            .say(&assigned, "running", "fitting bases, writing rows".into());
        drop(builder.finish(available_threads())?);
        worker.attribute.deliver(&dir)?;
        let index = Index::open(&dir)?;
        let (header, layout) = (*index.header(), index.layout().clone());
        drop(index);
        let hash = header.hash();
        let place = worker.config.index_dir(&hash);
        if Index::exists(&place) {
            std::fs::remove_dir_all(&dir).map_err(|error| Error::file("remove", &dir, error))?;
        } else {
            publish(&dir, &place)?;
        }
        kill_point!("index-saved");
        worker.db.set_model(
            model,
            number,
            &ModelRow {
                adapter: generation.adapter,
                index: hash,
            },
        )?;
        tracing::info!(job = assigned.job, rows = header.rows.count, "indexed");
        Ok(Outcome::Indexed {
            header: Box::new(header),
            layout,
        })
    };
    tokio::task::spawn_blocking(move || own.working.install(work))
        .await
        .map_err(|error| Error::part("indexing", error))?
}

//! Writing the index of a trained generation.

use super::{adapter, context, ordered, publish};
use crate::{
    dataset::{windows, Dataset},
    db::ModelRow,
    error::{Error, Result},
    fetch,
    models::sketcher,
    state::Worker,
};
use openledger_attribution::{hash::NONE, record::RecordId, verbatim::Verbatim, wire::Object};
use openledger_backend_cpu::Cpu;
use openledger_influence::{available_threads, Gradient, Index, IndexBuilder, IndexPlan, Sketcher, Unit};
use openledger_model::{Adapter, Example};
use openledger_protocol::{
    compute::{hook::Assigned, Outcome},
    models::Generation,
    Account, Hash,
};
use openledger_trainer::{FactorModel, Factors};
use std::{collections::BTreeMap, sync::Arc};

/// A record: its version's position among the sources, and its id.
type Key = (u32, RecordId);

/// Gradients of a record's units, its factors computed once.
pub(crate) struct Units<'a> {
    factors: FactorModel<Cpu<f32>>,
    sketcher: &'a Sketcher,
    examples: BTreeMap<Key, &'a Example>,
    context: usize,
    /// The record at hand: its windows, each with the position of its first token.
    current: Option<(Key, Vec<(usize, Factors)>)>,
}

impl<'a> Units<'a> {
    /// Of the records of a generation that was trained to this adapter.
    pub(crate) fn new(
        worker: &Worker,
        generation: &Generation<Account>,
        adapter: &Adapter,
        sketcher: &'a Sketcher,
        data: &'a Dataset,
    ) -> Result<Self> {
        let mut examples = BTreeMap::new();
        for (source, version) in (0u32..).zip(&data.versions) {
            for (leaf, example) in &version.records {
                if let Some(example) = example {
                    examples.insert((source, leaf.record), example);
                }
            }
        }
        Ok(Self {
            factors: FactorModel::new(worker.base.net.clone(), adapter)?,
            sketcher,
            examples,
            context: context(worker, generation),
            current: None,
        })
    }

    /// The unit's part of its record's gradient: that of its tokens' positions.
    pub(crate) fn gradient(&mut self, unit: &Unit) -> Result<Gradient> {
        let key = (unit.source, unit.record);
        if self.current.as_ref().is_none_or(|(current, _)| *current != key) {
            let example = self.examples.get(&key).ok_or_else(|| {
                Error::Internal(format!("row {} is of a record that was not read", unit.row))
            })?;
            let windows = windows(example, self.context).into_iter();
            let factors = windows.map(|(start, window)| Ok((start, self.factors.factors(&window)?)));
            self.current = Some((key, factors.collect::<Result<_>>()?));
        }
        let mut gradient = self.sketcher.start();
        let (from, to) = (unit.tokens.start as usize, unit.tokens.end as usize);
        for (start, factors) in self.current.iter().flat_map(|(_, windows)| windows) {
            for (position, module) in factors.modules.iter().enumerate() {
                let range = from.max(*start)..to.min(start + module.tokens);
                if range.is_empty() {
                    continue;
                }
                let (first, last) = (range.start - start, range.end - start);
                let x = &module.x[first * module.d_in..last * module.d_in];
                let delta = &module.delta[first * module.d_out..last * module.d_out];
                // The sketcher has the adapter's modules in the adapter's order, as the factors do.
                gradient.add(position, x, delta)?;
            }
        }
        Ok(gradient.finish())
    }
}

/// The records of a generation, those that are not here fetched from `url`.
pub(crate) async fn records(worker: &Worker, generation: &Generation<Account>, url: &str) -> Result<Dataset> {
    let load = || Dataset::load(&*worker.ledger, &worker.store, &worker.base.tokenizer, generation);
    match load().await {
        Err(Error::NotReady(_)) => {
            fetch::records(worker, url, generation).await?;
            load().await
        }
        loaded => loaded,
    }
}

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
    let data = Dataset::load(
        &*worker.ledger,
        &worker.store,
        &worker.base.tokenizer,
        &generation,
    )
    .await?;
    let (worker, assigned) = (worker.clone(), assigned.clone());
    let work = move || {
        let adapter = adapter(&worker, &generation)?;
        let (model, number) = which;
        let plan = IndexPlan {
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
        let sketcher = sketcher(&adapter, &generation.rules, &seed)?;
        let mut units = Units::new(&worker, &generation, &adapter, &sketcher, &data)?;
        let dir = worker.config.build_dir(model, number, &seed);
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
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::part("indexing", error))?
}

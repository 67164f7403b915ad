//! A generation in miniature: an adapter trained on records, its index with rows and corpus, and answers attributed as a worker
//! does it; all of it without a chain.

use anyhow::Result;
use openledger_attribution::{
    attribution::Attribution,
    hash::{keccak, Account, Hash, NONE},
    index::{index_seed, IndexRules},
    record::{RecordId, VersionLeaf},
    sketch::Sketch,
    verbatim::Verbatim,
};
use openledger_engine::{Model, Params, Request};
use openledger_influence::{
    available_threads, cpu_backend, default_rules, Gradient, Index, IndexBuilder, IndexPlan, Sketcher,
    Source, SourceRecord,
};
use openledger_model::{Adapter, Example, Message};
use openledger_trainer::{train_lora, FactorModel, LoraConfig, TrainConfig};
use openledger_worker::{
    channels,
    device::Device,
    models::{sketcher, Base},
    units::Units,
};
use std::{collections::BTreeMap, io::Write, ops::ControlFlow, sync::atomic::AtomicBool};

/// Longest window of a record, as a recipe names it.
const CONTEXT: usize = 512;

/// Name of the adapter in the engine.
const NAME: &str = "lab";

/// How a generation is made. What is not said is what `openledger train` orders.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) lora: LoraConfig,
    pub(crate) epochs: usize,
    pub(crate) lr: Option<f64>,
    pub(crate) rules: IndexRules,
    pub(crate) seed: u64,
    /// Nothing is told while it trains.
    pub(crate) quiet: bool,
}

impl Settings {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            lora: LoraConfig::default(),
            epochs: 16,
            lr: None,
            rules: IndexRules {
                projection: 28,
                ..default_rules()
            },
            seed,
            quiet: true,
        }
    }
}

/// A representative.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) record: RecordId,
    pub(crate) contributor: Account,
    pub(crate) content: Hash,
    pub(crate) example: Example,
}

/// A trained and indexed generation.
pub(crate) struct Lab<'a> {
    base: &'a Base,
    pub(crate) adapter: Adapter,
    sketcher: Sketcher,
    factors: FactorModel<Device>,
    pub(crate) index: Index,
    pub(crate) words: openledger_verbatim::Index,
    /// The index's files, gone with this.
    _dir: tempfile::TempDir,
}

/// An answer with what shaped it.
pub(crate) struct Answered {
    pub(crate) prompt: Vec<u32>,
    pub(crate) output: Vec<u32>,
    pub(crate) text: String,
    pub(crate) attribution: Attribution,
}

impl<'a> Lab<'a> {
    /// Trains and indexes; rows sorted by record, each once.
    pub(crate) fn new(base: &'a Base, rows: &[Row], settings: &Settings) -> Result<Self> {
        let examples: Vec<Example> = rows.iter().map(|row| row.example.clone()).collect();
        let tokens: usize = examples.iter().map(|example| example.tokens.len()).sum();
        let mut config = TrainConfig {
            seed: settings.seed,
            epochs: settings.epochs,
            batch_tokens: (4 * tokens).div_ceil(examples.len()),
            ..TrainConfig::default()
        };
        config.lr = settings.lr.unwrap_or(config.lr);
        let trained = train_lora(
            &base.net,
            &examples,
            &[],
            &settings.lora,
            &config,
            &mut |progress| {
                if !settings.quiet && (progress.step % 10 == 0 || progress.step == progress.of) {
                    eprint!(
                        "\rseed {}: step {} of {}, loss {:.3}   ",
                        settings.seed, progress.step, progress.of, progress.loss
                    );
                    let _ = std::io::stderr().flush();
                }
                ControlFlow::Continue(())
            },
        )?;
        let adapter = trained.adapter;
        let seed = index_seed(
            &adapter.hash(),
            &keccak(&[b"bench", &settings.seed.to_be_bytes()]),
        );
        let sketcher = sketcher(&adapter, &settings.rules, &seed)?;
        let record = |row: &Row| SourceRecord {
            leaf: VersionLeaf {
                record: row.record,
                contributor: row.contributor,
                content: row.content,
                representative: row.record,
            },
            tokens: u32::try_from(row.example.tokens.len()).unwrap_or(u32::MAX),
        };
        let mut plan = IndexPlan {
            builder: [9; 32],
            model: 0,
            generation: 1,
            base: base.hash,
            adapter: adapter.hash(),
            tokenizer: base.tokenizer.hash(),
            seed,
            rules: settings.rules,
            sources: vec![Source {
                datanet: 0,
                version: 0,
                records: rows.iter().map(record).collect(),
            }],
            verbatim: Verbatim::NONE,
            retrieval: NONE,
        };
        let dir = tempfile::tempdir()?;
        let tokens = rows.iter().map(|row| row.example.tokens.as_slice());
        let threads = available_threads();
        let words = channels::build(
            dir.path(),
            &base.tokenizer,
            &plan.corpus_leaves(),
            tokens,
            threads,
        )?;
        plan.verbatim = *words.header();
        let factors = FactorModel::new(base.net.clone(), &adapter)?;
        let index = {
            let examples = rows.iter().map(|row| ((0, row.record), &row.example)).collect();
            let mut units = Units::new(&factors, &sketcher, examples, CONTEXT.min(base.context()));
            let mut builder = IndexBuilder::open(dir.path(), &plan, &sketcher)?;
            while let Some(unit) = builder.next_unit() {
                builder.push(&units.gradient(&unit)?)?;
            }
            builder.finish(threads)?
        };
        base.engine.register(NAME, &adapter)?;
        Ok(Self {
            base,
            adapter,
            sketcher,
            factors,
            index,
            words,
            _dir: dir,
        })
    }

    /// Asks, and attributes the answer by influence and by words.
    pub(crate) fn ask(&self, question: &str) -> Result<Answered> {
        let prompt = self.base.tokenizer.chat(&[Message::user(question)])?;
        let request = Request {
            model: Model::Adapter(NAME.into()),
            prompt: prompt.clone(),
            params: Params {
                max_tokens: 128,
                temperature: 0.0,
                ..Params::default()
            },
        };
        let completion = self
            .base
            .engine
            .generate(&request, &AtomicBool::new(false), &mut |_| ())?;
        let output: Vec<u32> = completion.tokens.iter().map(|token| token.id).collect();
        let query = self
            .index
            .query(&self.gradient(&self.sketcher, &prompt, &output)?)?;
        let attribution = Attribution {
            spans: channels::spans(Some(&self.words), &output)?,
            ..self.index.attribute(&query, cpu_backend(), available_threads())?
        };
        Ok(Answered {
            text: self.base.tokenizer.decode(&output)?,
            prompt,
            output,
            attribution,
        })
    }

    /// Of each of these rows the scores of the answer's tokens, each token's gradient taken alone, in units of the least score.
    pub(crate) fn letter_scores(
        &self,
        answered: &Answered,
        rows: impl Iterator<Item = u64>,
    ) -> Result<Vec<Vec<f64>>> {
        let mut queries = Vec::new();
        for at in 0..answered.output.len() {
            let mut example = Example::answer(&answered.prompt, &answered.output);
            for (token, counts) in example.mask.iter_mut().enumerate() {
                *counts = token == answered.prompt.len() + at;
            }
            let mut gradient = self.sketcher.start();
            for (position, module) in self.factors.factors(&example)?.modules.iter().enumerate() {
                gradient.add(position, &module.x, &module.delta)?;
            }
            queries.push(self.index.query(&gradient.finish())?.sketch);
        }
        let rule = self.index.rule();
        let scores = |row: u64| -> Result<Vec<f64>> {
            let leaf = self.index.row(row)?;
            let score = |query: &Sketch| rule.score(query.view(), leaf.sketch.view()).unwrap_or(0) as f64;
            Ok(queries.iter().map(score).collect())
        };
        rows.map(scores).collect()
    }

    /// The gradients of all units of the rows, in the space of `sketcher`, each with its contributor.
    pub(crate) fn gradients(&self, sketcher: &Sketcher, rows: &[Row]) -> Result<Vec<(Account, Gradient)>> {
        let examples = rows.iter().map(|row| ((0, row.record), &row.example)).collect();
        let mut units = Units::new(
            &self.factors,
            sketcher,
            examples,
            CONTEXT.min(self.base.context()),
        );
        let mut all = Vec::new();
        for row in 0..self.index.rows() {
            let unit = self.index.unit(row)?;
            all.push((unit.contributor, units.gradient(&unit)?));
        }
        Ok(all)
    }

    /// The largest self-influence of each record's units: its sketch's squared norm.
    pub(crate) fn self_influences(&self, rows: &[Row]) -> Result<Vec<Option<u128>>> {
        let mut largest = BTreeMap::new();
        for row in 0..self.index.rows() {
            let leaf = self.index.row(row)?;
            let norm = self.index.rule().norm(leaf.sketch.view());
            let known = largest.entry(leaf.record).or_insert(norm);
            *known = norm.max(*known);
        }
        Ok(rows
            .iter()
            .map(|row| largest.get(&row.record).copied().flatten())
            .collect())
    }

    /// The gradient of an answer, in the space of `sketcher`.
    pub(crate) fn gradient(&self, sketcher: &Sketcher, prompt: &[u32], output: &[u32]) -> Result<Gradient> {
        let mut gradient = sketcher.start();
        if !output.is_empty() {
            let factors = self.factors.factors(&Example::answer(prompt, output))?;
            for (position, module) in factors.modules.iter().enumerate() {
                gradient.add(position, &module.x, &module.delta)?;
            }
        }
        Ok(gradient.finish())
    }
}

impl Drop for Lab<'_> {
    fn drop(&mut self) {
        self.base.engine.unregister(NAME);
    }
}

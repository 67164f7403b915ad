//! What a seat has to answer: fetched, recomputed, compared with what was claimed.

use super::{
    seat_row,
    texts::{published, Texts, Which},
    Lack, Tried, KEY, MOST, PATIENCE,
};
use crate::{
    answer::{ask_of, deliver, submit},
    attribute::gradient,
    dataset::Dataset,
    db::{ModelRow, SeatRow},
    error::{Error, Result},
    fetch,
    formats::{hex0x, Parameters},
    jobs,
    keys::Keyring,
    ledger::{self, Head},
    models::{load_adapter, Served},
    payment::Wanted,
    state::Worker,
    units::Units,
};
use codec::DecodeAll;
use openledger_attribution::{
    bases::drawn_rows,
    committee::{Claim, Computed, OwnSpectra, Subject},
    hash::NONE,
    receipt::Receipt,
    voucher::Mode,
    wire::Object,
};
use openledger_content::Identity;
use openledger_engine::{behind, DeviceAdapter, Model, Params};
use openledger_influence::{available_threads, Gradient};
use openledger_protocol::{
    committees::{Case, Handed},
    models::{Generation, Stage},
    storage, Account, Hash,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, Mutex},
};

/// What one seat has to answer.
pub(super) struct Question {
    pub(super) worker: Arc<Worker>,
    pub(super) id: u64,
    pub(super) case: Case<Account>,
    pub(super) fetching: Arc<Mutex<()>>,
    pub(super) computing: Arc<Mutex<()>>,
}

impl Question {
    pub(super) async fn decide(&self) -> Tried<SeatRow> {
        let id = self.id;
        let claim: Vec<u8> = ledger::read(&*self.worker.ledger, storage::claim(id), Head::Best)
            .await?
            .value
            .ok_or_else(|| Error::Missing(format!("the chain has no claim of case {id}")))?;
        let claim = Claim::decode_all(&mut claim.as_slice()).map_err(|error| {
            Error::Setup(format!(
                "the claim of case {id} does not read ({error}): update the worker"
            ))
        })?;
        let computed = self.compute(&claim).await?;
        let vote = claim
            .vote(&computed)
            .ok_or_else(|| Error::Internal(format!("what was computed is no answer to case {id}")))?;
        Ok(seat_row(vote, computed)?)
    }

    async fn compute(&self, claim: &Claim) -> Tried<Computed> {
        let unfit = || {
            Error::Setup(format!(
                "the claim of case {} is of another kind than its subject: update the worker",
                self.id
            ))
        };
        let accused = ledger::worker(&*self.worker.ledger, self.case.accused, Head::Best).await?;
        let url = String::from_utf8_lossy(&accused.endpoint).into_owned();
        match (self.case.subject, claim) {
            (Subject::Row { index, row }, Claim::Sketch(claim)) => {
                let served = self.served(&url, &index).await?;
                let gradients = self.rows(&url, &served, BTreeSet::from([row])).await?;
                let gradient = gradients.get(&row).ok_or_else(unfit)?;
                Ok(lanes(&served.index.recomputed(&claim.sketch, gradient)?.lanes))
            }
            (Subject::Basis { index, module }, Claim::Spectra(_)) => {
                let served = self.served(&url, &index).await?;
                let drawn = drawn_rows(&served.index.header().seed, served.index.rows());
                // At most 4,096 rows of 32 KiB lanes: half a gigabyte.
                let gradients = self.rows(&url, &served, drawn).await?;
                let own = self.compute_on(move || {
                    let read = |row: u64| {
                        let gradient = gradients.get(&row).cloned();
                        gradient.ok_or_else(|| {
                            openledger_influence::Error::Wrong(format!("row {row} was not drawn"))
                        })
                    };
                    Ok(served.index.recompute_bases(read, available_threads())?)
                });
                let own = own
                    .await?
                    .into_iter()
                    .nth(usize::from(module))
                    .ok_or_else(unfit)?;
                Ok(Computed::Spectra(OwnSpectra {
                    diagonal: own.left && own.right,
                    spectra: own.spectra,
                }))
            }
            (Subject::Query { batch, source }, Claim::Sketch(claim)) => {
                let (receipt, texts) = self.handed(&url, batch, Which::Source(source)).await?;
                let served = self.served(&url, &receipt.terms.index).await?;
                let sketch = claim.sketch.clone();
                let work = move || {
                    let gradient = gradient(&served, &texts.prompt, &texts.outputs())?;
                    Ok(lanes(&served.index.recomputed(&sketch, &gradient)?.lanes))
                };
                self.compute_on(work).await
            }
            (Subject::Training { index }, Claim::Digest(_)) => self.training(&url, &index).await,
            (Subject::Ranks { batch, .. }, Claim::Ranks(_)) => self.ranks(batch).await,
            (Subject::Output { batch, receipt }, Claim::Digest(_)) => {
                let (receipt, texts) = self.handed(&url, batch, Which::Position(receipt)).await?;
                let served = self.served(&url, &receipt.terms.index).await?;
                self.output(&served, receipt.terms.seed, &texts).await
            }
            (Subject::Output { batch, receipt }, Claim::Chosen(chosen)) => {
                let (receipt, texts) = self.handed(&url, batch, Which::Position(receipt)).await?;
                let served = self.served(&url, &receipt.terms.index).await?;
                self.chosen(served, receipt.terms.seed, texts, chosen.tau).await
            }
            _ => Err(unfit().into()),
        }
    }

    /// The adapter that training on the declared data gives, from the seed that the chain drew.
    async fn training(&self, url: &str, index: &Hash) -> Tried<Computed> {
        let worker = &self.worker;
        let header = ledger::index(&*worker.ledger, *index, Head::Best).await?.header;
        let which = (header.model, header.generation);
        let generation = jobs::ordered(worker, which).await?;
        let data = self.records(url, &generation).await?;
        let parent = jobs::parent(worker, which).await?;
        if let Some(parent) = &parent {
            let _alone = self.fetching.lock().await;
            let (own, url, parent) = (worker.clone(), url.to_owned(), parent.clone());
            self.fetch(async move || fetch::adapter(&own, &url, &parent).await)
                .await?;
        }
        let own = worker.clone();
        self.compute_on(move || {
            let lesson = jobs::Lesson::of(&own, &generation, parent.as_ref(), &data, &generation.seed)?;
            let trained = lesson.learn(&own.base, &mut |_| {})?;
            Ok(Computed::Digest(trained.adapter.hash()))
        })
        .await
    }

    /// What retrieval can have shown: nothing, if the index commits to none.
    async fn ranks(&self, batch: u64) -> Tried<Computed> {
        let ledger = &*self.worker.ledger;
        let index = ledger::batch(ledger, batch, Head::Best).await?.header.index;
        let header = ledger::index(ledger, index, Head::Best).await?.header;
        if header.retrieval != NONE {
            return Err(Lack::Own(Error::Setup(format!(
                "index {} commits to records to retrieve, which this program does not do: it has nothing to say in case {}",
                hex0x(index),
                self.id
            ))));
        }
        Ok(Computed::Ranks(Vec::new()))
    }

    /// What the model answers, to the bit.
    async fn output(&self, served: &Served, seed: u64, texts: &Texts) -> Tried<Computed> {
        let worker = &self.worker;
        if worker.base.mode != Mode::Verifiable {
            return Err(Lack::Own(Error::Setup(
                "an answer to the bit needs --mode verifiable".into(),
            )));
        }
        if texts.longest() == 0 {
            return Ok(Computed::Digest(texts.digest(&[])?));
        }
        let wanted = Wanted {
            prompt: texts.prompt.clone(),
            parameters: Parameters {
                // What comes behind the committed answer is nobody's question.
                max_tokens: u32::try_from(texts.longest()).unwrap_or(u32::MAX),
                ..texts.parameters.clone()
            },
            seed: None,
            likeliest: None,
        };
        let ask = ask_of(&wanted, Model::Adapter(served.id()), seed, "committee".into());
        // Nobody reads along.
        let (send, _receive) = mpsc::unbounded_channel();
        let (outputs, _) = deliver(submit(worker, ask)?, false, &send).await?;
        Ok(Computed::Digest(texts.digest(&outputs)?))
    }

    /// At how many places of the answer its token is one that the model could choose, computed in another order.
    async fn chosen(&self, served: Arc<Served>, seed: u64, texts: Texts, tau: u32) -> Tried<Computed> {
        let own = self.worker.clone();
        self.compute_on(move || {
            let net = &own.base.net;
            let adapter = load_adapter(
                &own.base,
                &own.config.adapter_dir(&served.adapter),
                &served.adapter,
            )?;
            let adapter = DeviceAdapter::new(&net.backend, net.config(), &adapter)?;
            let (tau, mut within) = (f64::from(tau) * 1e-6, 0u32);
            for (choice, answer) in (0u64..).zip(texts.outputs()) {
                let params = Params {
                    temperature: texts.parameters.temperature,
                    top_p: texts.parameters.top_p,
                    seed: seed.wrapping_add(choice),
                    ..Params::default()
                };
                let far = behind(net, Some(&adapter), &texts.prompt, answer, &params)?;
                let near = far.iter().filter(|far| **far <= tau).count();
                within = within.saturating_add(u32::try_from(near).unwrap_or(u32::MAX));
            }
            Ok(Computed::Within(within))
        })
        .await
    }

    /// Computes behind answers and attributions.
    async fn compute_on<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Tried<T> {
        let _alone = self.computing.lock().await;
        let own = self.worker.clone();
        let done = tokio::task::spawn_blocking(move || own.working.install(work)).await;
        Ok(done.map_err(|error| Error::part("recomputing", error))??)
    }

    /// Fetches on a thread of its own: fetching blocks.
    async fn fetch<F, T>(&self, fetch: F) -> Tried<T>
    where
        F: AsyncFnOnce() -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let runtime = Handle::current();
        let done = tokio::task::spawn_blocking(move || runtime.block_on(fetch())).await;
        done.map_err(|error| Error::part("fetching", error))?
            .map_err(Lack::Accused)
    }

    /// The generation behind an index, fetched from the accused if it is not here.
    async fn served(&self, url: &str, index: &Hash) -> Tried<Arc<Served>> {
        let worker = &self.worker;
        if let Some(served) = worker.serving.by_index(index) {
            return Ok(served);
        }
        let _alone = self.fetching.lock().await;
        let header = ledger::index(&*worker.ledger, *index, Head::Best).await?.header;
        let which = (header.model, header.generation);
        let ordered = jobs::ordered(worker, which).await?;
        let is_of_it = |model: &ModelRow| model.index == *index;
        let is_here = worker.db.models()?.iter().any(|(_, model)| is_of_it(model));
        if !is_here {
            if ordered.stage != (Stage::Ready { index: *index }) {
                return Err(Lack::Own(Error::NotReady(format!(
                    "generation {}:{} is at {:?} and not at index {}",
                    which.0,
                    which.1,
                    ordered.stage,
                    hex0x(index)
                ))));
            }
            let (own, url) = (worker.clone(), url.to_owned());
            self.fetch(async move || fetch::generation(&own, &url, which.0, which.1).await)
                .await?;
        }
        jobs::activate(worker).await?;
        worker
            .serving
            .by_index(index)
            .ok_or_else(|| Error::NotReady(format!("index {} cannot be used here yet", hex0x(index))).into())
    }

    /// The gradients of an index's rows, from the records on the chain.
    async fn rows(
        &self,
        url: &str,
        served: &Arc<Served>,
        rows: BTreeSet<u64>,
    ) -> Tried<BTreeMap<u64, Gradient>> {
        let generation = jobs::ordered(&self.worker, (served.model, served.generation)).await?;
        let data = self.records(url, &generation).await?;
        let (own, served) = (self.worker.clone(), served.clone());
        self.compute_on(move || {
            let context = jobs::context(&own, &generation);
            let mut units = Units::new(&served.factors, &served.sketcher, data.by_record(), context);
            let gradient = |row: u64| Ok((row, units.gradient(&served.index.unit(row)?)?));
            rows.into_iter().map(gradient).collect()
        })
        .await
    }

    /// The records of a generation, those that are not here fetched from the accused.
    async fn records(&self, url: &str, generation: &Generation<Account>) -> Tried<Dataset> {
        let worker = &self.worker;
        // A seat opens no licensed text: what cannot be read says nothing against anybody.
        let keys = Keyring::none();
        let load = || {
            Dataset::load(
                &*worker.ledger,
                &worker.store,
                &keys,
                &worker.base.tokenizer,
                generation,
            )
        };
        match load().await {
            Err(Error::NotReady(_)) => {
                let _alone = self.fetching.lock().await;
                let (own, url, generation) = (worker.clone(), url.to_owned(), generation.clone());
                self.fetch(async move || fetch::records(&own, &url, &generation).await)
                    .await?;
                Ok(load().await?)
            }
            loaded => Ok(loaded?),
        }
    }

    /// The receipt that a question is about, and the texts behind it, as its worker publishes the one and hands over the others.
    /// Both are checked: the receipt by the batch on the chain, the texts by the receipt.
    async fn handed(&self, url: &str, batch: u64, which: Which) -> Tried<(Receipt, Texts)> {
        let on_chain = ledger::batch(&*self.worker.ledger, batch, Head::Best).await?;
        let (own, id) = (self.worker.clone(), self.id);
        let url = url.trim_end_matches('/').to_owned();
        let work = move || {
            let identity =
                Identity::load(&own.config.data.join(KEY)).map_err(|error| Lack::Own(error.into()))?;
            let not = |what: String| Lack::Accused(Error::NotReady(format!("{url}: {what}")));
            let agent: ureq::Agent = ureq::Agent::config_builder()
                .timeout_global(Some(PATIENCE))
                .build()
                .into();
            let get = |path: String| -> Tried<Vec<u8>> {
                let failed = |error: ureq::Error| not(format!("{path}: {error}"));
                let response = agent.get(format!("{url}{path}")).call().map_err(failed)?;
                let body = response.into_body().into_with_config().limit(MOST).read_to_vec();
                body.map_err(failed)
            };
            let receipt = published(&get(format!("/v1/batches/{batch}"))?, &on_chain, which)
                .ok_or_else(|| not(format!("{which:?} of batch {batch} is not published")))?;
            let sealed = get(format!("/v1/committees/{id}/{}", hex0x(own.account())))?;
            let handed = identity
                .open(&sealed)
                .map_err(|error| not(format!("what is handed over does not open: {error}")))?;
            let handed = Handed::decode_all(&mut handed.as_slice())
                .map_err(|error| not(format!("what is handed over does not read: {error}")))?;
            let config = own.base.net.config();
            let bounds = (config.vocab_size, config.max_position_embeddings);
            let texts = Texts::of(&handed, &receipt, bounds).ok_or_else(|| {
                not(format!(
                    "what is handed over is not what receipt {} commits to",
                    hex0x(receipt.hash())
                ))
            })?;
            Ok((receipt, texts))
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Error::part("fetching texts", error))?
    }
}

/// Lanes as they are revealed. Beyond 128 all are alike, so nothing is lost.
fn lanes(found: &[i32]) -> Computed {
    let narrow = |lane: &i32| i16::try_from(*lane).unwrap_or(if *lane < 0 { i16::MIN } else { i16::MAX });
    Computed::Lanes(found.iter().map(narrow).collect())
}

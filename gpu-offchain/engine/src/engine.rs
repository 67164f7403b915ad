//! Serving: registered adapters, sequences in a shared cache of pages, and steps over any mix of them.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openledger_attribution::hash::keccak;
use openledger_model::{Adapter, Hash};

use crate::adapters::{AdapterStats, Adapters, Budgets};
use crate::backend::{Backend, PagedSegment};
use crate::error::{Error, Result};
use crate::forward::{forward, Batch, KvCache};
use crate::net::{DeviceAdapter, Net};
use crate::pager::Pager;
use crate::sampler::Draw;

/// Which weights answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Model {
    /// The base alone.
    Base,
    /// The base with the adapter registered under this name.
    Adapter(String),
    /// The base with the adapter of this content hash.
    AdapterHash(Hash),
}

/// How an answer is sampled and when it ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// Most tokens of the answer.
    pub max_tokens: usize,
    /// 0 for greedy.
    pub temperature: f32,
    /// Probability held by the tokens that may be chosen, from above 0 to 1.
    pub top_p: f32,
    /// Seed of the sampling noise.
    pub seed: u64,
    /// Tokens that end the answer besides the model's own.
    pub stop: Vec<u32>,
}

impl Default for Params {
    fn default() -> Self {
        Params {
            max_tokens: 256,
            temperature: 0.0,
            top_p: 1.0,
            seed: 0,
            stop: Vec::new(),
        }
    }
}

/// What a request may ask of sampling besides its [`Params`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sampling {
    /// How many of the likeliest tokens may be chosen; 0 for all.
    pub top_k: usize,
    /// How many of the likeliest tokens are told with every token, at most 20.
    pub alternatives: usize,
}

/// A request for an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Which weights answer.
    pub model: Model,
    /// The tokens before the answer; at least one.
    pub prompt: Vec<u32>,
    /// Sampling and length.
    pub params: Params,
}

/// A token of an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Token {
    /// Its place in the answer, from 0.
    pub index: usize,
    /// Its id.
    pub id: u32,
    /// Logarithm of its probability under the model.
    pub logprob: f32,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// An end or stop token, which is not part of the answer.
    Stop,
    /// As many tokens as were asked for.
    Length,
    /// The asker left.
    Cancelled,
}

/// A finished answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// The answer's tokens.
    pub tokens: Vec<Token>,
    /// Why it ended.
    pub finish: Finish,
    /// Length of the prompt in tokens.
    pub prompt_tokens: usize,
}

/// A request under way. Dropping it frees its pages.
pub struct Sequence<B: Backend> {
    adapter: Option<Arc<DeviceAdapter<B::Buf>>>,
    params: Params,
    sampling: Sampling,
    prompt_tokens: usize,
    /// Prompt and answer.
    tokens: Vec<u32>,
    /// How many of them are in the cache.
    cached: usize,
    reused: usize,
    pages: Vec<u32>,
    /// Names the content of the pages that are full.
    chain: Chain,
    answer: Vec<Token>,
    tops: Vec<Vec<(u32, f32)>>,
    finish: Option<Finish>,
    pool: Arc<Mutex<Pool<B::Buf>>>,
}

impl<B: Backend> Sequence<B> {
    /// The answer so far.
    pub fn answer(&self) -> &[Token] {
        &self.answer
    }

    /// The likeliest tokens, with the logarithms of their probabilities, at every place of the answer; as many as were asked for.
    pub fn alternatives(&self) -> &[Vec<(u32, f32)>] {
        &self.tops
    }

    /// Why it ended, once it has.
    pub fn finish(&self) -> Option<Finish> {
        self.finish
    }

    /// Tokens that are still to be read before the next one can be chosen; 1 while decoding.
    pub fn unread(&self) -> usize {
        self.tokens.len() - self.cached
    }

    /// Tokens of the prompt whose keys and values were there already.
    pub fn reused(&self) -> usize {
        self.reused
    }

    /// Ends the answer as if its last token had been a stop token.
    pub(crate) fn stop(&mut self) {
        self.finish = Some(Finish::Stop);
    }

    fn adapter_place(&self) -> usize {
        self.adapter.as_ref().map_or(0, |a| Arc::as_ptr(a) as usize)
    }
}

impl<B: Backend> Drop for Sequence<B> {
    fn drop(&mut self) {
        lock(&self.pool).pager.give_back(&self.pages);
    }
}

/// Names pages by what their keys and values depend on: each name covers the one before it.
#[derive(Clone)]
struct Chain {
    last: Hash,
    /// How many pages have been named.
    pages: usize,
}

impl Chain {
    fn new(base: &Hash, adapter: Option<(&Hash, &str)>) -> Self {
        let (hash, name) = adapter.unwrap_or((&[0; 32], ""));
        Chain {
            last: keccak(&[b"OLP1", base, hash, name.as_bytes()]),
            pages: 0,
        }
    }

    fn next(&mut self, tokens: &[u32]) -> Hash {
        let bytes: Vec<u8> = tokens.iter().flat_map(|t| t.to_le_bytes()).collect();
        self.last = keccak(&[&self.last, &bytes]);
        self.pages += 1;
        self.last
    }
}

/// Adapters and cache over one base model. Shared between threads; calls take turns at every step.
pub struct Engine<B: Backend> {
    net: Arc<Net<B>>,
    adapters: Adapters<B>,
    pool: Arc<Mutex<Pool<B::Buf>>>,
    /// What a scheduler's last step that began is for, a [`Load`].
    load: AtomicU8,
}

/// What an engine is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Nothing.
    Idle,
    /// Answers, a token each.
    Answering,
    /// Prompts too: somebody waits for a first token.
    Reading,
}

struct Pool<T> {
    cache: KvCache<T>,
    pager: Pager,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A poisoned cache is still sound: rows are written before they are read.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tokens a page holds in caches of a usual size. An adapter's answers do not depend on it.
pub const PAGE: usize = 32;

impl<B: Backend> Engine<B> {
    /// An engine whose cache holds sixteen sequences of full length, at most 65,536 tokens.
    pub fn new(net: Arc<Net<B>>) -> Self {
        let longest = net.config().max_position_embeddings;
        Self::with_capacity(net, (16 * longest).min(65_536).max(longest.min(8_192)))
    }

    /// An engine whose cache holds this many tokens; a very small one keeps them one by one.
    pub fn with_capacity(net: Arc<Net<B>>, capacity: usize) -> Self {
        Self::with_pages(net, capacity, if capacity < 16 * PAGE { 1 } else { PAGE })
    }

    /// An engine whose cache holds this many tokens, rounded up to pages of `page` tokens.
    pub fn with_pages(net: Arc<Net<B>>, capacity: usize, page: usize) -> Self {
        let page = page.max(1);
        let count = capacity.div_ceil(page);
        let pool = Pool {
            cache: KvCache::new(&net, page, count),
            pager: Pager::new(page, count),
        };
        Engine {
            adapters: Adapters::new(net.clone(), Budgets::default()),
            net,
            pool: Arc::new(Mutex::new(pool)),
            load: AtomicU8::new(Load::Idle as u8),
        }
    }

    /// What a scheduler computes now. Who computes beside it may wait for that.
    pub fn load(&self) -> Load {
        match self.load.load(Ordering::Relaxed) {
            load if load == Load::Reading as u8 => Load::Reading,
            load if load == Load::Answering as u8 => Load::Answering,
            _ => Load::Idle,
        }
    }

    pub(crate) fn set_load(&self, load: Load) {
        self.load.store(load as u8, Ordering::Relaxed);
    }

    /// Whether a prompt's beginning that was read before, under the same adapter, is used again; it is unless this says otherwise. Answers
    /// do not depend on it.
    pub fn share_prefixes(&self, on: bool) {
        lock(&self.pool).pager.share(on);
    }

    /// Tokens of prompts that were found in the cache, and all tokens of prompts.
    pub fn prefix_hits(&self) -> (u64, u64) {
        let pool = lock(&self.pool);
        (pool.pager.reused, pool.pager.asked)
    }

    /// Tokens for which the cache has room now, and for which it has room when empty.
    pub fn room(&self) -> (usize, usize) {
        let pool = lock(&self.pool);
        (pool.pager.room(), pool.pager.capacity())
    }

    /// The base model.
    pub fn net(&self) -> &Arc<Net<B>> {
        &self.net
    }

    /// Registers an adapter, in place of one of the same name; requests under way keep theirs.
    pub fn register(&self, name: &str, adapter: &Adapter) -> Result<Hash> {
        self.adapters.register(name, adapter)
    }

    /// Registers an adapter that lies in a folder in PEFT's layout. It is read when a request first asks for it, and must then have this
    /// content hash; requests for others do not wait for that.
    pub fn register_folder(&self, name: &str, hash: Hash, folder: &Path) {
        self.adapters.register_folder(name, hash, folder);
    }

    /// Keeps an adapter on the device whatever else is asked for, or no longer.
    pub fn pin(&self, name: &str, pinned: bool) -> Result<()> {
        self.adapters.pin(name, pinned)
    }

    /// How many bytes adapters may take.
    pub fn set_budgets(&self, budgets: Budgets) {
        self.adapters.set_budgets(budgets);
    }

    /// What the adapter cache holds and did.
    pub fn adapter_stats(&self) -> AdapterStats {
        self.adapters.stats()
    }

    /// Forgets an adapter; false if there was none.
    pub fn unregister(&self, name: &str) -> bool {
        self.adapters.unregister(name)
    }

    /// Names and hashes of the registered adapters.
    pub fn adapters(&self) -> Vec<(String, Hash)> {
        self.adapters.list()
    }

    /// Lets go of the adapters on the device that nobody reads and that are not pinned; false if there was none.
    pub fn release_adapters(&self) -> bool {
        self.adapters.release()
    }

    pub(crate) fn cache(&self) -> &Adapters<B> {
        &self.adapters
    }

    /// Checks a request against model and limits, whatever is registered and free.
    pub(crate) fn check(&self, request: &Request, sampling: &Sampling) -> Result<()> {
        let (config, params) = (self.net.config(), &request.params);
        let refuse = |reason: String| Err(Error::Request(reason));
        if request.prompt.is_empty() {
            return refuse("the prompt is empty; at least one token is needed".into());
        }
        if let Some(t) = request.prompt.iter().find(|&&t| t as usize >= config.vocab_size) {
            return refuse(format!(
                "token {t} of the prompt is outside the vocabulary of {}",
                config.vocab_size
            ));
        }
        let longest = config.max_position_embeddings;
        if request.prompt.len() >= longest {
            let len = request.prompt.len();
            return refuse(format!(
                "the prompt has {len} tokens, the model reads {longest}; shorten it"
            ));
        }
        if !(params.temperature >= 0.0 && params.temperature.is_finite()) {
            return refuse(format!(
                "temperature is {}; 0 or more is needed",
                params.temperature
            ));
        }
        if !(params.top_p > 0.0 && params.top_p <= 1.0) {
            return refuse(format!(
                "top_p is {}; above 0 and at most 1 is needed",
                params.top_p
            ));
        }
        if params.max_tokens == 0 {
            return refuse("max_tokens is 0; at least 1 is needed".into());
        }
        if sampling.alternatives > 20 {
            return refuse(format!(
                "{} likeliest tokens are asked for; at most 20 are told",
                sampling.alternatives
            ));
        }
        Ok(())
    }

    /// Checks a request and takes room for it; nothing is computed yet. Waits for the adapter if it is not on the device.
    pub fn start(&self, request: &Request) -> Result<Sequence<B>> {
        self.start_with(request, Sampling::default())
    }

    /// The same with more to ask of sampling.
    pub fn start_with(&self, request: &Request, sampling: Sampling) -> Result<Sequence<B>> {
        self.check(request, &sampling)?;
        let adapter = match self.adapters.find(&request.model)? {
            None => None,
            Some(found) => {
                let ready = match found.ready {
                    Some(ready) => ready,
                    None => self.adapters.load(&found.hash)?,
                };
                Some((found.name, ready))
            }
        };
        self.begin(request, sampling, adapter)
    }

    /// Takes room for a checked request under an adapter that is on the device.
    pub(crate) fn begin(
        &self,
        request: &Request,
        sampling: Sampling,
        adapter: Option<(String, Arc<DeviceAdapter<B::Buf>>)>,
    ) -> Result<Sequence<B>> {
        let mut params = request.params.clone();
        let prompt = request.prompt.len();
        params.max_tokens = params
            .max_tokens
            .min(self.net.config().max_position_embeddings - prompt);
        let named = adapter.as_ref().map(|(name, a)| (&a.hash, name.as_str()));
        let mut chain = Chain::new(&self.net.base_hash(), named);
        let mut pool = lock(&self.pool);
        let page = pool.pager.size();
        // The last token is always read, for what comes after it.
        let full = (prompt - 1) / page;
        let mut ahead = chain.clone();
        let keys: Vec<Hash> = request.prompt[..full * page]
            .chunks(page)
            .map(|tokens| ahead.next(tokens))
            .collect();
        let (pages, hits) = pool.pager.take(prompt + params.max_tokens, &keys, prompt)?;
        drop(pool);
        if hits > 0 {
            chain.last = keys[hits - 1];
            chain.pages = hits;
        }
        Ok(Sequence {
            adapter: adapter.map(|(_, a)| a),
            params,
            sampling,
            prompt_tokens: prompt,
            tokens: request.prompt.clone(),
            cached: hits * page,
            reused: hits * page,
            pages,
            chain,
            answer: Vec::new(),
            tops: Vec::new(),
            finish: None,
            pool: self.pool.clone(),
        })
    }

    /// Gives every unfinished sequence its next token. A token does not depend on which others are in the step.
    ///
    /// The cache is locked for the length of a step. Do not call this from tasks of the thread pool the backend computes on: a task that
    /// waits for the lock could be holding up the one that has it. Plain threads are fine.
    pub fn step(&self, sequences: &mut [&mut Sequence<B>]) -> Result<()> {
        self.advance(sequences.iter_mut().map(|s| (&mut **s, usize::MAX)).collect())
    }

    /// Lets every unfinished sequence read as many tokens as are named beside it, and gives those that have read all of theirs the next
    /// one. The bits of a token depend on neither. Where the device fails, all sequences stay as they were and may be tried again, unless it
    /// is lost.
    pub fn advance(&self, sequences: Vec<(&mut Sequence<B>, usize)>) -> Result<()> {
        let mut live: Vec<(&mut Sequence<B>, usize)> = sequences
            .into_iter()
            .filter(|(s, most)| s.finish.is_none() && *most > 0)
            .collect();
        if live.is_empty() {
            return Ok(());
        }
        // Rows of one adapter side by side are one group of its kernels.
        live.sort_by_key(|(s, _)| s.adapter_place());
        let mut batch = Batch::default();
        let adapters: Vec<_> = live.iter().map(|(s, _)| s.adapter.clone()).collect();
        let mut pool = lock(&self.pool);
        let size = pool.pager.size();
        let mut drawn = Vec::new();
        for (at, ((sequence, most), adapter)) in live.iter().zip(&adapters).enumerate() {
            let row = batch.tokens.len();
            let new = sequence.unread().min(*most);
            let range = sequence.cached..sequence.cached + new;
            batch.tokens.extend(&sequence.tokens[range.clone()]);
            batch.positions.extend(range.clone().map(|p| p as u32));
            let slot = |p: usize| sequence.pages[p / size] * size as u32 + (p % size) as u32;
            batch.slots.extend(range.clone().map(slot));
            batch.segments.push(PagedSegment {
                q_start: row,
                q_len: new,
                table_start: batch.tables.len(),
                kv_len: range.end,
            });
            batch.tables.extend(&sequence.pages[..range.end.div_ceil(size)]);
            if let Some(adapter) = adapter {
                match batch.adapters.last_mut() {
                    Some((start, rows, last)) if std::ptr::eq(*last, &**adapter) && *start + *rows == row => {
                        *rows += new;
                    }
                    _ => batch.adapters.push((row, new, adapter)),
                }
            }
            if range.end == sequence.tokens.len() {
                batch.outputs.push((row + new - 1) as u32);
                drawn.push(at);
            }
        }
        let logits = forward(&self.net, &batch, &mut pool.cache);
        let draw = |at: &usize| {
            let s = &live[*at].0;
            Draw {
                temperature: s.params.temperature,
                top_p: s.params.top_p,
                top_k: s.sampling.top_k,
                alternatives: s.sampling.alternatives,
                seed: s.params.seed,
                position: s.tokens.len() as u32,
            }
        };
        let chosen = logits.map_or(Vec::new(), |logits| {
            let draws: Vec<Draw> = drawn.iter().map(draw).collect();
            let vocab = self.net.config().vocab_size;
            self.net.backend.sample(&logits, vocab, &draws)
        });
        // Nothing of a step that failed is kept: its sequences are as they were, and what they wrote is written again before it is read.
        self.net.check()?;
        for (segment, (sequence, _)) in batch.segments.iter().zip(live.iter_mut()) {
            sequence.cached = segment.kv_len;
            while (sequence.chain.pages + 1) * size <= sequence.cached {
                let at = sequence.chain.pages;
                let key = sequence.chain.next(&sequence.tokens[at * size..(at + 1) * size]);
                pool.pager.publish(sequence.pages[at], key);
            }
        }
        drop(pool);
        for (at, sampled) in drawn.into_iter().zip(chosen) {
            let sequence = &mut live[at].0;
            if self.net.config().eos.contains(&sampled.id) || sequence.params.stop.contains(&sampled.id) {
                sequence.finish = Some(Finish::Stop);
                continue;
            }
            let index = sequence.answer.len();
            sequence.answer.push(Token {
                index,
                id: sampled.id,
                logprob: sampled.logprob,
            });
            sequence.tops.push(sampled.top);
            sequence.tokens.push(sampled.id);
            if sequence.answer.len() == sequence.params.max_tokens {
                sequence.finish = Some(Finish::Length);
            }
        }
        Ok(())
    }

    /// Answers one request, handing out each token as it comes; from a plain thread, as [`Engine::step`]. Setting `cancel` ends it after the token under way.
    pub fn generate(
        &self,
        request: &Request,
        cancel: &AtomicBool,
        on_token: &mut dyn FnMut(&Token),
    ) -> Result<Completion> {
        let mut sequence = self.start(request)?;
        let mut given = 0;
        let finish = loop {
            if cancel.load(Ordering::Relaxed) {
                break Finish::Cancelled;
            }
            self.step(&mut [&mut sequence])?;
            for token in &sequence.answer[given..] {
                on_token(token);
            }
            given = sequence.answer.len();
            if let Some(finish) = sequence.finish {
                break finish;
            }
        };
        let tokens = std::mem::take(&mut sequence.answer);
        Ok(Completion {
            tokens,
            finish,
            prompt_tokens: sequence.prompt_tokens,
        })
    }
}

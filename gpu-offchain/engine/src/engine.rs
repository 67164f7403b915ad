//! Serving: registered adapters, sequences in a shared cache, and steps over any mix of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use openledger_model::{Adapter, Hash};

use crate::backend::{Backend, Segment};
use crate::error::{Error, Result};
use crate::forward::{forward, Batch, KvCache};
use crate::net::{DeviceAdapter, Net};
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

/// A request under way. Dropping it frees its place in the cache.
pub struct Sequence<B: Backend> {
    adapter: Option<Arc<DeviceAdapter<B::Buf>>>,
    params: Params,
    prompt_tokens: usize,
    /// Prompt and answer.
    tokens: Vec<u32>,
    /// How many of them are in the cache.
    cached: usize,
    start: usize,
    len: usize,
    answer: Vec<Token>,
    finish: Option<Finish>,
    pool: Arc<Mutex<Pool<B::Buf>>>,
}

impl<B: Backend> Sequence<B> {
    /// The answer so far.
    pub fn answer(&self) -> &[Token] {
        &self.answer
    }

    /// Why it ended, once it has.
    pub fn finish(&self) -> Option<Finish> {
        self.finish
    }
}

impl<B: Backend> Drop for Sequence<B> {
    fn drop(&mut self) {
        lock(&self.pool).free.give_back(self.start, self.len);
    }
}

/// Adapters and cache over one base model. Shared between threads; calls take turns at every step.
pub struct Engine<B: Backend> {
    net: Arc<Net<B>>,
    adapters: RwLock<BTreeMap<String, Arc<DeviceAdapter<B::Buf>>>>,
    pool: Arc<Mutex<Pool<B::Buf>>>,
}

struct Pool<T> {
    cache: KvCache<T>,
    free: FreeList,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A poisoned cache is still sound: rows are written before they are read.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<B: Backend> Engine<B> {
    /// An engine whose cache holds sixteen sequences of full length, at most 65,536 tokens.
    pub fn new(net: Arc<Net<B>>) -> Self {
        let longest = net.config().max_position_embeddings;
        Self::with_capacity(net, (16 * longest).min(65_536).max(longest.min(8_192)))
    }

    /// An engine whose cache holds this many tokens.
    pub fn with_capacity(net: Arc<Net<B>>, capacity: usize) -> Self {
        let pool = Pool {
            cache: KvCache::new(&net, capacity),
            free: FreeList::new(capacity),
        };
        Engine {
            net,
            adapters: RwLock::default(),
            pool: Arc::new(Mutex::new(pool)),
        }
    }

    /// The base model.
    pub fn net(&self) -> &Arc<Net<B>> {
        &self.net
    }

    /// Registers an adapter, in place of one of the same name; requests under way keep theirs.
    pub fn register(&self, name: &str, adapter: &Adapter) -> Result<Hash> {
        let ready = Arc::new(DeviceAdapter::new(&self.net.backend, self.net.config(), adapter)?);
        let hash = ready.hash;
        self.adapters
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned(), ready);
        Ok(hash)
    }

    /// Forgets an adapter; false if there was none.
    pub fn unregister(&self, name: &str) -> bool {
        self.adapters
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name)
            .is_some()
    }

    /// Names and hashes of the registered adapters.
    pub fn adapters(&self) -> Vec<(String, Hash)> {
        let map = self.adapters.read().unwrap_or_else(PoisonError::into_inner);
        map.iter().map(|(name, a)| (name.clone(), a.hash)).collect()
    }

    fn find(&self, model: &Model) -> Result<Option<Arc<DeviceAdapter<B::Buf>>>> {
        let map = self.adapters.read().unwrap_or_else(PoisonError::into_inner);
        match model {
            Model::Base => Ok(None),
            Model::Adapter(name) => map
                .get(name)
                .cloned()
                .map(Some)
                .ok_or_else(|| Error::UnknownAdapter(name.clone())),
            Model::AdapterHash(hash) => map
                .values()
                .find(|a| a.hash == *hash)
                .cloned()
                .map(Some)
                .ok_or_else(|| {
                    let hex: String = hash.iter().map(|b| format!("{b:02x}")).collect();
                    Error::UnknownAdapter(hex)
                }),
        }
    }

    /// Checks a request and takes room for it; nothing is computed yet.
    pub fn start(&self, request: &Request) -> Result<Sequence<B>> {
        let adapter = self.find(&request.model)?;
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
        let mut params = params.clone();
        params.max_tokens = params.max_tokens.min(longest - request.prompt.len());
        let len = request.prompt.len() + params.max_tokens;
        let start = lock(&self.pool).free.take(len)?;
        Ok(Sequence {
            adapter,
            params,
            prompt_tokens: request.prompt.len(),
            tokens: request.prompt.clone(),
            cached: 0,
            start,
            len,
            answer: Vec::new(),
            finish: None,
            pool: self.pool.clone(),
        })
    }

    /// Gives every unfinished sequence its next token. A token does not depend on which others are in the step.
    ///
    /// The cache is locked for the length of a step. Do not call this from tasks of the thread pool the backend computes on: a task that
    /// waits for the lock could be holding up the one that has it. Plain threads are fine.
    pub fn step(&self, sequences: &mut [&mut Sequence<B>]) -> Result<()> {
        let mut live: Vec<&mut Sequence<B>> = sequences
            .iter_mut()
            .map(|s| &mut **s)
            .filter(|s| s.finish.is_none())
            .collect();
        if live.is_empty() {
            return Ok(());
        }
        let mut batch = Batch {
            tokens: Vec::new(),
            positions: Vec::new(),
            slots: Vec::new(),
            segments: Vec::new(),
            adapters: Vec::new(),
            outputs: Vec::new(),
        };
        let adapters: Vec<_> = live.iter().map(|s| s.adapter.clone()).collect();
        for (sequence, adapter) in live.iter().zip(&adapters) {
            let row = batch.tokens.len();
            let new = sequence.tokens.len() - sequence.cached;
            batch.tokens.extend(&sequence.tokens[sequence.cached..]);
            batch
                .positions
                .extend((sequence.cached..sequence.tokens.len()).map(|p| p as u32));
            batch
                .slots
                .extend((sequence.cached..sequence.tokens.len()).map(|p| (sequence.start + p) as u32));
            batch.segments.push(Segment {
                q_start: row,
                q_len: new,
                kv_start: sequence.start,
                kv_len: sequence.tokens.len(),
            });
            if let Some(adapter) = adapter {
                batch.adapters.push((row, new, adapter));
            }
            batch.outputs.push((row + new - 1) as u32);
        }
        let logits = forward(&self.net, &batch, &mut lock(&self.pool).cache);
        let draws: Vec<Draw> = live
            .iter()
            .map(|s| Draw {
                temperature: s.params.temperature,
                top_p: s.params.top_p,
                seed: s.params.seed,
                position: s.tokens.len() as u32,
            })
            .collect();
        let chosen = self
            .net
            .backend
            .sample(&logits, self.net.config().vocab_size, &draws);
        for (sequence, sampled) in live.iter_mut().zip(chosen) {
            sequence.cached = sequence.tokens.len();
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

/// Runs of free cache rows, by start.
struct FreeList {
    capacity: usize,
    runs: BTreeMap<usize, usize>,
}

impl FreeList {
    fn new(capacity: usize) -> Self {
        FreeList {
            capacity,
            runs: [(0, capacity)].into(),
        }
    }

    fn take(&mut self, wanted: usize) -> Result<usize> {
        let Some((start, len)) = self
            .runs
            .iter()
            .map(|(s, l)| (*s, *l))
            .find(|(_, l)| *l >= wanted)
        else {
            let free = self.runs.values().copied().max().unwrap_or(0);
            return Err(Error::Busy {
                wanted,
                free,
                capacity: self.capacity,
            });
        };
        self.runs.remove(&start);
        if len > wanted {
            self.runs.insert(start + wanted, len - wanted);
        }
        Ok(start)
    }

    fn give_back(&mut self, start: usize, len: usize) {
        let (mut start, mut len) = (start, len);
        if let Some(next) = self.runs.remove(&(start + len)) {
            len += next;
        }
        if let Some((&before, &l)) = self.runs.range(..start).next_back() {
            if before + l == start {
                start = before;
                len += l;
            }
        }
        self.runs.insert(start, len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_rows_should_join_again() {
        let mut free = FreeList::new(10);
        let (a, b, c) = (
            free.take(3).unwrap(),
            free.take(3).unwrap(),
            free.take(4).unwrap(),
        );
        assert!(matches!(
            free.take(1),
            Err(Error::Busy {
                wanted: 1,
                free: 0,
                capacity: 10
            })
        ));
        free.give_back(a, 3);
        free.give_back(c, 4);
        free.give_back(b, 3);
        assert_eq!(free.take(10).unwrap(), 0);
    }
}

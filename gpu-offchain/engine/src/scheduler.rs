//! Continuous batching: one thread that takes requests as they come, reads long prompts in parts beside others' tokens, and shares its
//! places fairly.
//!
//! - Every step gives each answer under way its next token; prompts share what the step has left, in turns.
//! - A free place goes to the asker with the fewest answers under way, then to the model with the fewest, then to who came first.
//! - A request whose adapter is not on the device waits for it on another thread; nobody else does.
//! - The queue is bounded, in all and for each asker; [`Error::Queue`] says when to come again.
//! - Where the device refuses a step, parts of it are tried; whoever fails alone is told, the others go on. When the device is lost,
//!   everybody is told and [`Scheduler::lost`] says why.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{mpsc, Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use openledger_model::{Hash, Tokenizer};

use crate::backend::{Backend, Fault, FaultKind};
use crate::engine::{Engine, Finish, Load, Model, Request, Sampling, Sequence, Token};
use crate::error::{Error, Result};
use crate::net::DeviceAdapter;
use crate::stop::TextStop;

/// How much a scheduler takes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Answers under way together.
    pub answers: usize,
    /// Tokens of prompts that are read in a step.
    pub prompt_tokens: usize,
    /// Tokens of one prompt that are read in a step.
    pub chunk: usize,
    /// Requests that wait.
    pub queue: usize,
    /// Requests of one asker that wait.
    pub queue_each: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            answers: 32,
            prompt_tokens: 256,
            chunk: 128,
            queue: 256,
            queue_each: 64,
        }
    }
}

/// A request with everything that may be asked of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// Model, prompt, length and sampling.
    pub request: Request,
    /// Further wishes about sampling.
    pub sampling: Sampling,
    /// How many answers. Answer i is sampled with the seed plus i; they share the prompt's keys and values.
    pub n: usize,
    /// Texts that end an answer and are not part of it. They need the scheduler to have a tokenizer.
    pub stop: Vec<String>,
    /// Who asks, for fairness; any name.
    pub asker: String,
}

impl From<Request> for Ask {
    fn from(request: Request) -> Self {
        Ask {
            request,
            sampling: Sampling::default(),
            n: 1,
            stop: Vec::new(),
            asker: String::new(),
        }
    }
}

/// What happens to a request.
#[derive(Debug)]
pub enum Event {
    /// A token of an answer.
    Token {
        /// Which answer, from 0.
        choice: usize,
        /// The token.
        token: Token,
        /// The likeliest tokens there, as many as were asked for.
        top: Vec<(u32, f32)>,
        /// The text that became complete with it; empty without a tokenizer.
        text: String,
    },
    /// An answer ended.
    Done {
        /// Which answer.
        choice: usize,
        /// Why.
        finish: Finish,
        /// The rest of its text.
        text: String,
        /// Tokens of the prompt that were not computed anew.
        reused: usize,
    },
    /// The request cannot be answered; nothing follows.
    Failed(Error),
}

/// Receives the events of a request on the scheduler's thread: it must not wait. `false` cancels the request.
type Sink = Box<dyn FnMut(Event) -> bool + Send>;

/// A way to cancel a request.
#[derive(Debug, Clone)]
pub struct Ticket {
    cancelled: Arc<AtomicBool>,
}

impl Ticket {
    /// Ends the request after the token under way.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

/// The events of a request, to be waited for. Dropping it cancels the request.
pub struct Answer {
    events: mpsc::Receiver<Event>,
    ticket: Ticket,
}

impl Answer {
    /// Cancels the request; events that were on their way still come.
    pub fn cancel(&self) {
        self.ticket.cancel();
    }
}

impl Iterator for Answer {
    type Item = Event;

    /// Waits for the next event; `None` after the last.
    fn next(&mut self) -> Option<Event> {
        self.events.recv().ok()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.ticket.cancel();
    }
}

/// What a scheduler did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SchedulerStats {
    /// Requests that wait.
    pub waiting: usize,
    /// Answers under way.
    pub running: usize,
    /// Steps.
    pub steps: u64,
    /// Tokens given.
    pub tokens: u64,
    /// Requests that were refused because of the queue's bounds.
    pub refused: u64,
    /// Answers in all steps together.
    pub rows: u64,
    /// Steps with at most one answer, with two, with three or four, five to eight, and so on; more are counted in the last.
    pub batches: [u64; 8],
}

/// Where an adapter is that a waiting request needs.
enum Needs<T> {
    /// Not looked up yet.
    Unknown,
    /// It asks for the base.
    Nothing,
    /// On its way.
    Coming(Hash),
    /// Held for the request.
    Here(String, Arc<DeviceAdapter<T>>),
    /// It cannot be had.
    Never(Error),
}

struct Waiting<T> {
    ask: Ask,
    sink: Sink,
    cancelled: Arc<AtomicBool>,
    since: Instant,
    adapter: Needs<T>,
}

struct Queue<T> {
    waiting: VecDeque<Waiting<T>>,
    ending: bool,
    /// Why it ended, if the device is lost.
    lost: Option<Fault>,
    stats: SchedulerStats,
    /// Seconds a request was under way, on average of late.
    seconds: f64,
}

impl<T> Queue<T> {
    /// Why nobody is served any more.
    fn ended(&self) -> Error {
        self.lost.clone().map_or(Error::Ended, Error::Device)
    }
}

struct Shared<B: Backend> {
    engine: Arc<Engine<B>>,
    tokenizer: Option<Arc<Tokenizer>>,
    limits: Limits,
    queue: Mutex<Queue<B::Buf>>,
    changed: Condvar,
    steps: AtomicU64,
}

impl<B: Backend> Shared<B> {
    fn lock(&self) -> MutexGuard<'_, Queue<B::Buf>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves requests to an engine in one thread of its own, with another that fetches adapters.
pub struct Scheduler<B: Backend> {
    shared: Arc<Shared<B>>,
    threads: Vec<JoinHandle<()>>,
}

impl<B: Backend> Scheduler<B> {
    /// Starts. Without a tokenizer events carry no text and stop texts are refused.
    pub fn start(engine: Arc<Engine<B>>, tokenizer: Option<Arc<Tokenizer>>, limits: Limits) -> Self {
        let shared = Arc::new(Shared {
            engine,
            tokenizer,
            limits,
            queue: Mutex::new(Queue {
                waiting: VecDeque::new(),
                ending: false,
                lost: None,
                stats: SchedulerStats::default(),
                seconds: 1.0,
            }),
            changed: Condvar::new(),
            steps: AtomicU64::new(0),
        });
        let (wanted, fetching) = mpsc::channel::<Hash>();
        let (one, two) = (shared.clone(), shared.clone());
        let threads = vec![
            std::thread::spawn(move || fetch(&one, &fetching)),
            std::thread::spawn(move || Loop::new(two, wanted).run()),
        ];
        Scheduler { shared, threads }
    }

    /// The engine.
    pub fn engine(&self) -> &Arc<Engine<B>> {
        &self.shared.engine
    }

    /// Why the device is lost, once it is: everybody was told, nothing more is taken, and the process must be started again.
    pub fn lost(&self) -> Option<Fault> {
        self.shared.lock().lost.clone()
    }

    /// What was done so far.
    pub fn stats(&self) -> SchedulerStats {
        let queue = self.shared.lock();
        SchedulerStats {
            waiting: queue.waiting.len(),
            steps: self.shared.steps.load(Ordering::Relaxed),
            ..queue.stats
        }
    }

    /// Puts a request into the queue; its events come from the iterator.
    pub fn submit(&self, ask: impl Into<Ask>) -> Result<Answer> {
        let (send, events) = mpsc::channel();
        let ticket = self.submit_with(ask, Box::new(move |event| send.send(event).is_ok()))?;
        Ok(Answer { events, ticket })
    }

    /// Puts a request into the queue; `sink` is called on the scheduler's thread with its events and must not wait. When it gives
    /// `false`, the request is cancelled. Refuses what can never be answered, and what is too much now.
    pub fn submit_with(&self, ask: impl Into<Ask>, sink: Sink) -> Result<Ticket> {
        let (ask, limits) = (ask.into(), &self.shared.limits);
        self.shared.engine.check(&ask.request, &ask.sampling)?;
        // An unknown model is refused at once; whether its adapter is here is seen later.
        self.shared.engine.cache().find(&ask.request.model)?;
        let refuse = |reason: String| Err(Error::Request(reason));
        if ask.n == 0 || ask.n > limits.answers {
            return refuse(format!(
                "{} answers are asked for; 1 to {} can be given",
                ask.n, limits.answers
            ));
        }
        if ask.stop.len() > 16 || ask.stop.iter().any(|s| s.is_empty() || s.len() > 1024) {
            return refuse("at most 16 stop texts of 1 to 1,024 bytes are understood".into());
        }
        if !ask.stop.is_empty() && self.shared.tokenizer.is_none() {
            return refuse("stop texts need a tokenizer; send stop tokens".into());
        }
        let mut queue = self.shared.lock();
        if queue.ending {
            return Err(queue.ended());
        }
        let own = queue.waiting.iter().filter(|w| w.ask.asker == ask.asker).count();
        for (waiting, capacity) in [(queue.waiting.len(), limits.queue), (own, limits.queue_each)] {
            if waiting >= capacity {
                queue.stats.refused += 1;
                let rounds = (waiting as f64 / limits.answers as f64).max(1.0);
                let seconds = (rounds * queue.seconds).ceil().clamp(1.0, 60.0);
                return Err(Error::Queue {
                    waiting,
                    capacity,
                    retry_after: Duration::from_secs(seconds as u64),
                });
            }
        }
        let cancelled = Arc::new(AtomicBool::new(false));
        queue.waiting.push_back(Waiting {
            ask,
            sink,
            cancelled: cancelled.clone(),
            since: Instant::now(),
            adapter: Needs::Unknown,
        });
        drop(queue);
        self.shared.changed.notify_all();
        Ok(Ticket { cancelled })
    }
}

impl<B: Backend> Drop for Scheduler<B> {
    /// Cancels what is under way and waits for the threads.
    fn drop(&mut self) {
        self.shared.lock().ending = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Brings adapters to the device until nobody can ask any more.
fn fetch<B: Backend>(shared: &Shared<B>, wanted: &mpsc::Receiver<Hash>) {
    while let Ok(hash) = wanted.recv() {
        let found = shared.engine.cache().load(&hash);
        let failure = found.as_ref().err().map(ToString::to_string);
        let mut first = Some(found);
        let mut queue = shared.lock();
        for waiting in &mut queue.waiting {
            if !matches!(&waiting.adapter, Needs::Coming(coming) if *coming == hash) {
                continue;
            }
            let name = match &waiting.ask.request.model {
                Model::Adapter(name) => Some(name.clone()),
                _ => None,
            };
            let found = match first.take() {
                Some(found) => found,
                // Those after the first get the adapter from the device, or the same reason in words.
                None => match &failure {
                    Some(reason) => Err(Error::Request(reason.clone())),
                    None => shared.engine.cache().load(&hash),
                },
            };
            waiting.adapter = match (found, name) {
                (Ok(ready), Some(name)) => Needs::Here(name, ready),
                (Ok(ready), None) => match shared.engine.cache().find(&Model::AdapterHash(hash)) {
                    Ok(Some(found)) => Needs::Here(found.name, ready),
                    Ok(None) => Needs::Unknown,
                    Err(error) => Needs::Never(error),
                },
                (Err(error), _) => Needs::Never(error),
            };
        }
        drop(queue);
        shared.changed.notify_all();
    }
}

/// A request with answers under way.
struct Group<T> {
    ask: Ask,
    sink: Sink,
    cancelled: Arc<AtomicBool>,
    since: Instant,
    adapter: Option<(String, Arc<DeviceAdapter<T>>)>,
    /// Answers that were not begun yet.
    left: usize,
    /// Answers that have not ended.
    open: usize,
}

struct Running<B: Backend> {
    group: u64,
    choice: usize,
    sequence: Sequence<B>,
    given: usize,
    text: Option<TextStop>,
}

/// However the loop ends, nobody waits for it: the queue is emptied and takes no more.
struct Ending<B: Backend>(Arc<Shared<B>>);

impl<B: Backend> Drop for Ending<B> {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.ending = true;
        let left = std::mem::take(&mut queue.waiting);
        let reasons: Vec<Error> = left.iter().map(|_| queue.ended()).collect();
        drop(queue);
        for (mut waiting, reason) in left.into_iter().zip(reasons) {
            (waiting.sink)(Event::Failed(reason));
        }
    }
}

struct Loop<B: Backend> {
    shared: Arc<Shared<B>>,
    wanted: mpsc::Sender<Hash>,
    asked: HashSet<Hash>,
    groups: BTreeMap<u64, Group<B::Buf>>,
    running: Vec<Running<B>>,
    next_group: u64,
    /// Whose prompt is read first in the next step.
    turn: usize,
}

impl<B: Backend> Loop<B> {
    fn new(shared: Arc<Shared<B>>, wanted: mpsc::Sender<Hash>) -> Self {
        Loop {
            shared,
            wanted,
            asked: HashSet::new(),
            groups: BTreeMap::new(),
            running: Vec::new(),
            next_group: 0,
            turn: 0,
        }
    }

    fn run(mut self) {
        let _ending = Ending(self.shared.clone());
        loop {
            if !self.admit() {
                return;
            }
            self.further_choices();
            self.cancel();
            if !self.running.is_empty() {
                let done = self.step();
                self.hand_out();
                if let Err(fault) = done {
                    self.lose(fault);
                    return;
                }
            }
        }
    }

    /// Takes waiting requests into free places; waits while there is nothing to do. `false` when serving ends.
    fn admit(&mut self) -> bool {
        let shared = self.shared.clone();
        let mut queue = shared.lock();
        loop {
            if queue.ending {
                return false;
            }
            let mut stuck = false;
            while let Some(at) = self.choose(&mut queue, &mut stuck) {
                if let Some(waiting) = queue.waiting.remove(at) {
                    stuck = !self.begin(waiting, &mut queue);
                }
                if stuck {
                    break;
                }
            }
            queue.stats.running = self.running.len();
            if !self.running.is_empty() || self.groups.values().any(|g| g.left > 0) {
                return true;
            }
            shared.engine.set_load(Load::Idle);
            let pause = Duration::from_millis(50);
            let woken = shared.changed.wait_timeout(queue, pause);
            queue = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The next request that can begin, by fairness; sends for adapters on the way and answers those that cannot be served.
    fn choose(&mut self, queue: &mut Queue<B::Buf>, stuck: &mut bool) -> Option<usize> {
        let mut at = 0;
        while at < queue.waiting.len() {
            let waiting = &mut queue.waiting[at];
            let gone = if waiting.cancelled.load(Ordering::Relaxed) {
                Event::Done {
                    choice: 0,
                    finish: Finish::Cancelled,
                    text: String::new(),
                    reused: 0,
                }
            } else if let Needs::Never(_) = waiting.adapter {
                match std::mem::replace(&mut waiting.adapter, Needs::Unknown) {
                    Needs::Never(error) => Event::Failed(error),
                    _ => continue,
                }
            } else {
                at += 1;
                continue;
            };
            if let Some(mut waiting) = queue.waiting.remove(at) {
                (waiting.sink)(gone);
            }
        }
        self.look_up(queue);
        // What has come may be asked for again when it has left.
        let coming: HashSet<Hash> = queue
            .waiting
            .iter()
            .filter_map(|w| match &w.adapter {
                Needs::Coming(hash) => Some(*hash),
                _ => None,
            })
            .collect();
        self.asked.retain(|hash| coming.contains(hash));
        let free = self.shared.limits.answers - self.taken();
        if *stuck || free == 0 {
            return None;
        }
        let load = |same: &dyn Fn(&Ask) -> bool| -> usize {
            self.groups
                .values()
                .filter(|g| same(&g.ask))
                .map(|g| g.open)
                .sum()
        };
        let best = queue
            .waiting
            .iter()
            .enumerate()
            .filter(|(_, w)| matches!(w.adapter, Needs::Nothing | Needs::Here(..)))
            .min_by_key(|(at, w)| {
                let asker = load(&|ask| ask.asker == w.ask.asker);
                let model = load(&|ask| ask.request.model == w.ask.request.model);
                (asker, model, *at)
            });
        // Whoever is first waits for as many places as it needs; others do not overtake it for ever.
        best.filter(|(_, w)| w.ask.n <= free).map(|(at, _)| at)
    }

    /// Finds the adapters of the requests that are next by fairness, and sends for those that are not on the device. Only so many are held for
    /// requests that wait as could begin together, so that a long queue does not fill the device.
    fn look_up(&mut self, queue: &mut Queue<B::Buf>) {
        let held = |w: &Waiting<B::Buf>| matches!(w.adapter, Needs::Coming(_) | Needs::Here(..));
        let mut holding = queue.waiting.iter().filter(|w| held(w)).count();
        loop {
            let load = |asker: &str| -> usize {
                let running: usize = self
                    .groups
                    .values()
                    .filter(|g| g.ask.asker == asker)
                    .map(|g| g.open)
                    .sum();
                let next = queue.waiting.iter().filter(|w| held(w) && w.ask.asker == asker);
                running + next.count()
            };
            let next = queue
                .waiting
                .iter()
                .enumerate()
                .filter(|(_, w)| matches!(w.adapter, Needs::Unknown))
                .filter(|(_, w)| holding < self.shared.limits.answers || w.ask.request.model == Model::Base)
                .min_by_key(|(at, w)| (load(&w.ask.asker), *at))
                .map(|(at, _)| at);
            let Some(waiting) = next.and_then(|at| queue.waiting.get_mut(at)) else {
                return;
            };
            waiting.adapter = match self.shared.engine.cache().find(&waiting.ask.request.model) {
                Ok(None) => Needs::Nothing,
                Ok(Some(found)) => {
                    holding += 1;
                    match found.ready {
                        Some(ready) => Needs::Here(found.name, ready),
                        None => {
                            if self.asked.insert(found.hash) {
                                let _ = self.wanted.send(found.hash);
                            }
                            Needs::Coming(found.hash)
                        }
                    }
                }
                Err(error) => Needs::Never(error),
            };
        }
    }

    fn taken(&self) -> usize {
        self.groups.values().map(|g| g.open).sum()
    }

    /// Begins a request; false if there is no room for it now, and it waits on.
    fn begin(&mut self, waiting: Waiting<B::Buf>, queue: &mut Queue<B::Buf>) -> bool {
        let adapter = match waiting.adapter {
            Needs::Here(name, ready) => Some((name, ready)),
            Needs::Nothing => None,
            // Not chosen before its adapter is here; the base never answers in its place.
            _ => {
                queue.waiting.push_back(waiting);
                return false;
            }
        };
        let (ask, mut sink) = (waiting.ask, waiting.sink);
        let started = self
            .shared
            .engine
            .begin(&ask.request, ask.sampling, adapter.clone());
        match started {
            Ok(sequence) => {
                let id = self.next_group;
                self.next_group += 1;
                self.running.push(Running {
                    group: id,
                    choice: 0,
                    sequence,
                    given: 0,
                    text: text_of(&self.shared, &ask),
                });
                let group = Group {
                    left: ask.n - 1,
                    open: ask.n,
                    ask,
                    sink,
                    cancelled: waiting.cancelled,
                    since: waiting.since,
                    adapter,
                };
                self.groups.insert(id, group);
                true
            }
            Err(Error::Busy { .. }) if !self.running.is_empty() => {
                queue.waiting.push_front(Waiting {
                    ask,
                    sink,
                    cancelled: waiting.cancelled,
                    since: waiting.since,
                    adapter: match adapter {
                        Some((name, ready)) => Needs::Here(name, ready),
                        None => Needs::Nothing,
                    },
                });
                false
            }
            Err(error) => {
                sink(Event::Failed(error));
                true
            }
        }
    }

    /// Begins the further answers of requests whose prompt has been read, so that they find its keys and values.
    fn further_choices(&mut self) {
        let ids: Vec<u64> = self
            .groups
            .iter()
            .filter(|(_, g)| g.left > 0)
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            let reading = |r: &Running<B>| {
                r.group == id && r.choice == 0 && r.given == 0 && r.sequence.finish().is_none()
            };
            if self.running.iter().any(reading) {
                continue;
            }
            while let Some(group) = self.groups.get_mut(&id).filter(|g| g.left > 0) {
                let choice = group.ask.n - group.left;
                let mut request = group.ask.request.clone();
                request.params.seed = request.params.seed.wrapping_add(choice as u64);
                let begun = self
                    .shared
                    .engine
                    .begin(&request, group.ask.sampling, group.adapter.clone());
                match begun {
                    Ok(sequence) => {
                        group.left -= 1;
                        let text = text_of(&self.shared, &group.ask);
                        self.running.push(Running {
                            group: id,
                            choice,
                            sequence,
                            given: 0,
                            text,
                        });
                    }
                    Err(Error::Busy { .. }) if !self.running.is_empty() => break,
                    Err(error) => self.fail_group(id, error),
                }
            }
        }
    }

    fn cancel(&mut self) {
        let ids: Vec<u64> = self
            .groups
            .iter()
            .filter(|(_, g)| g.cancelled.load(Ordering::Relaxed))
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            self.end_group(id);
        }
    }

    /// Ends all answers of a request as cancelled.
    fn end_group(&mut self, id: u64) {
        let mut ended: Vec<(usize, usize)> = Vec::new();
        self.running.retain(|r| {
            if r.group == id {
                ended.push((r.choice, r.sequence.reused()));
            }
            r.group != id
        });
        if let Some(mut group) = self.groups.remove(&id) {
            for (choice, reused) in ended {
                (group.sink)(Event::Done {
                    choice,
                    finish: Finish::Cancelled,
                    text: String::new(),
                    reused,
                });
            }
        }
    }

    /// One step of all; an error only when the device is lost.
    fn step(&mut self) -> std::result::Result<(), Fault> {
        let limits = self.shared.limits;
        let mut budget = limits.prompt_tokens.max(1);
        let n = self.running.len();
        self.turn = (self.turn + 1) % n.max(1);
        let mut shares = vec![0; n];
        for i in 0..n {
            let at = (self.turn + i) % n;
            let unread = self.running[at].sequence.unread();
            shares[at] = if unread <= 1 {
                1
            } else {
                let share = unread.min(limits.chunk.max(1)).min(budget);
                budget -= share;
                share
            };
        }
        let load = if shares.iter().any(|share| *share > 1) {
            Load::Reading
        } else {
            Load::Answering
        };
        self.shared.engine.set_load(load);
        self.advance(shares.into_iter().enumerate().collect())?;
        self.shared.steps.fetch_add(1, Ordering::Relaxed);
        let mut queue = self.shared.lock();
        let stats = &mut queue.stats;
        stats.rows += n as u64;
        let power = n.next_power_of_two().trailing_zeros() as usize;
        let last = stats.batches.len() - 1;
        stats.batches[power.min(last)] += 1;
        Ok(())
    }

    /// Lets the answers at these places read as many tokens as stand beside them. Where the device refuses that, it is asked for less at a
    /// time; only answers that it refuses alone fail.
    fn advance(&mut self, all: Vec<(usize, usize)>) -> std::result::Result<(), Fault> {
        let engine = self.shared.engine.clone();
        let mut parts = vec![all];
        let mut failed = Vec::new();
        while let Some(mut part) = parts.pop() {
            let mut shares = part.iter().copied().peekable();
            let mut sequences = Vec::with_capacity(part.len());
            for (at, running) in self.running.iter_mut().enumerate() {
                if let Some((_, share)) = shares.next_if(|(place, _)| *place == at) {
                    sequences.push((&mut running.sequence, share));
                }
            }
            let fault = match engine.advance(sequences) {
                Ok(()) => continue,
                Err(Error::Device(fault)) => fault,
                Err(error) => Fault {
                    kind: FaultKind::Operation,
                    what: error.to_string(),
                },
            };
            let memory = fault.kind == FaultKind::Memory;
            if fault.kind == FaultKind::Lost {
                return Err(fault);
            } else if memory && engine.release_adapters() {
                parts.push(part);
            } else if part.len() > 1 {
                let rest = part.split_off(part.len() / 2);
                parts.extend([rest, part]);
            } else if let [(at, share)] = part[..] {
                // A prompt can be read in smaller parts.
                if memory && share > 1 {
                    parts.push(vec![(at, share / 2)]);
                } else {
                    failed.push((self.running[at].group, fault));
                }
            }
        }
        for (id, fault) in failed {
            self.fail_group(id, Error::Device(fault));
        }
        Ok(())
    }

    /// Hands new tokens to their askers and lets go of what ended.
    fn hand_out(&mut self) {
        let tokenizer = self.shared.tokenizer.clone();
        let mut at = 0;
        let mut tokens = 0;
        while at < self.running.len() {
            let running = &mut self.running[at];
            let Some(group) = self.groups.get_mut(&running.group) else {
                self.running.swap_remove(at);
                continue;
            };
            let mut wanted = true;
            for place in running.given..running.sequence.answer().len() {
                let token = running.sequence.answer()[place];
                let top = running.sequence.alternatives()[place].clone();
                let shown = match (&mut running.text, &tokenizer) {
                    (Some(text), Some(tokenizer)) => text.push(tokenizer, token.id),
                    _ => Ok((String::new(), false)),
                };
                let (text, met) = match shown {
                    Ok(shown) => shown,
                    Err(error) => {
                        (group.sink)(Event::Failed(error));
                        wanted = false;
                        break;
                    }
                };
                tokens += 1;
                wanted &= (group.sink)(Event::Token {
                    choice: running.choice,
                    token,
                    top,
                    text,
                });
                if met {
                    running.sequence.stop();
                    running.text = None;
                }
            }
            running.given = running.sequence.answer().len();
            let id = running.group;
            if let (Some(finish), true) = (running.sequence.finish(), wanted) {
                let done = self.running.remove(at);
                let rest = match (done.text, &tokenizer) {
                    (Some(text), Some(tokenizer)) => text.finish(tokenizer).unwrap_or_default(),
                    _ => String::new(),
                };
                let reused = done.sequence.reused();
                drop(done.sequence); // its pages are free before its asker hears of it
                wanted = (group.sink)(Event::Done {
                    choice: done.choice,
                    finish,
                    text: rest,
                    reused,
                });
                group.open -= 1;
                if group.open == 0 {
                    let seconds = group.since.elapsed().as_secs_f64();
                    self.groups.remove(&id);
                    let mut queue = self.shared.lock();
                    queue.seconds += 0.1 * (seconds - queue.seconds);
                    continue;
                }
                if wanted {
                    continue;
                }
            }
            if wanted {
                at += 1;
            } else {
                self.end_group(id);
            }
        }
        self.shared.lock().stats.tokens += tokens;
    }

    /// Ends all answers of a request with an error.
    fn fail_group(&mut self, id: u64, error: Error) {
        self.running.retain(|r| r.group != id);
        if let Some(mut group) = self.groups.remove(&id) {
            (group.sink)(Event::Failed(error));
        }
    }

    /// The device is lost: nobody can be served any more, and everybody is told why.
    fn lose(&mut self, fault: Fault) {
        self.shared.lock().lost = Some(fault.clone());
        let ids: Vec<u64> = self.groups.keys().copied().collect();
        for id in ids {
            self.fail_group(id, Error::Device(fault.clone()));
        }
    }
}

fn text_of<B: Backend>(shared: &Shared<B>, ask: &Ask) -> Option<TextStop> {
    shared
        .tokenizer
        .is_some()
        .then(|| TextStop::new(ask.stop.clone()))
}

//! Steps that come again and again, as decoding's do: what a step asks for is noted and started as a whole, as a CUDA graph once the very same
//! has been asked for before.
//!
//! A step's buffers and tables lie in memory of their own ([`Room`]), so that a step of the same shape finds them where they were; what
//! changes from token to token (ids, positions, pages, adapters) is in the tables, which are written before the graph starts. What does not
//! fit that memory runs one operation after another, as it does outside of steps, and the buffers' memory grows before the next.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use cudarc::cublas::CudaBlas;
use cudarc::driver::sys::{CUgraphInstantiate_flags, CUstreamCaptureMode};
use cudarc::driver::{result, CudaGraph, CudaSlice, CudaStream, DeviceRepr};

use crate::call::Call;
use crate::device::{lock, Device};
use crate::error::{Error, Result};
use crate::room::{Held, Room};

/// Bytes of a step's buffers at first; doubled until a step fits.
const FIRST: usize = 8 << 20;
/// Bytes of a step's tables.
const TABLES: usize = 4 << 20;
/// Bytes that buffers and tables are a multiple of. Tables grow by doubling, so that what grows with every token seldom moves the others.
const PAGE: usize = 256;
/// Graphs that are kept, and calls that were seen once.
const GRAPHS: usize = 64;
const SEEN: usize = 256;

/// What became of steps so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepStats {
    /// Graphs made.
    pub graphs: u64,
    /// Times that a graph ran.
    pub replayed: u64,
    /// Times that operations of a step ran one by one.
    pub single: u64,
}

/// A graph, or that its calls were seen.
struct Known {
    graph: Option<Graph>,
    /// The driver would not make one.
    refused: bool,
    used: u64,
}

struct Graph(CudaGraph);

// SAFETY: a graph is only touched under the mutex of the steps it belongs to.
unsafe impl Send for Graph {}

/// What all threads' steps share; one step at a time is noted.
struct Shared {
    busy: bool,
    room: Option<Arc<Room>>,
    tables: Option<Arc<CudaSlice<u8>>>,
    /// Bytes the next room should have.
    wanted: usize,
    known: HashMap<Vec<u64>, Known>,
    clock: u64,
    stats: StepStats,
}

/// The steps of a device.
pub(crate) struct Steps {
    shared: Mutex<Shared>,
    /// Where graphs are captured: nobody else uses it, and nothing ever runs on it.
    stream: Arc<CudaStream>,
    /// cuBLAS on that stream, with its memory.
    blas: Option<(CudaBlas, CudaSlice<u8>)>,
}

/// What one thread noted.
struct Notes {
    /// Which device's.
    device: usize,
    room: Arc<Room>,
    tables: Arc<CudaSlice<u8>>,
    calls: Vec<Call>,
    /// The tables' bytes, and how many of them are on the device.
    bytes: Vec<u8>,
    sent: usize,
    /// Where a table is, by who asked for it and what it says: a step's rows serve every layer.
    placed: HashMap<(&'static str, Vec<u8>), usize>,
}

thread_local! {
    static NOTES: RefCell<Option<Notes>> = const { RefCell::new(None) };
}

impl Steps {
    pub(crate) fn new(stream: Arc<CudaStream>, blas: Option<(CudaBlas, CudaSlice<u8>)>) -> Self {
        Steps {
            shared: Mutex::new(Shared {
                busy: false,
                room: None,
                tables: None,
                wanted: FIRST,
                known: HashMap::new(),
                clock: 0,
                stats: StepStats::default(),
            }),
            stream,
            blas,
        }
    }

    pub(crate) fn stats(&self) -> StepStats {
        lock(&self.shared).stats
    }
}

/// Ends a step however it ends.
struct End<'a>(&'a Device);

impl Drop for End<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.run(|| (), || self.0.settle());
        }
        NOTES.take();
        if let Some(steps) = &self.0.steps {
            lock(&steps.shared).busy = false;
        }
    }
}

impl Device {
    fn identity(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Does `work` as one step, if no other thread is at one.
    pub(crate) fn step<R>(&self, work: impl FnOnce() -> R) -> R {
        let Some(_end) = self.begin() else {
            return work();
        };
        work()
    }

    fn begin(&self) -> Option<End<'_>> {
        let steps = self.steps.as_ref()?;
        if !self.is_well() || NOTES.with_borrow(Option::is_some) {
            return None;
        }
        let mut shared = lock(&steps.shared);
        if shared.busy {
            return None;
        }
        let large = shared
            .room
            .as_ref()
            .is_some_and(|room| room.len() >= shared.wanted);
        let idle = shared.room.as_ref().is_none_or(|room| room.is_whole());
        if !large && idle {
            // Graphs know the old room's addresses.
            shared.known.clear();
            shared.room = None;
            // Without memory for a room steps run as everything else does, and try again.
            shared.room = Some(Room::new(self.memory_of(shared.wanted).ok()?, PAGE));
        }
        if shared.tables.is_none() {
            shared.tables = Some(Arc::new(self.memory_of(TABLES).ok()?));
        }
        let notes = Notes {
            device: self.identity(),
            room: shared.room.clone()?,
            tables: shared.tables.clone()?,
            calls: Vec::new(),
            bytes: Vec::new(),
            sent: 0,
            placed: HashMap::new(),
        };
        shared.busy = true;
        NOTES.set(Some(notes));
        Some(End(self))
    }

    /// What this thread noted for this device, if it is at a step.
    fn noting<T>(&self, use_it: impl FnOnce(&mut Notes) -> T) -> Option<T> {
        NOTES.with_borrow_mut(|notes| {
            let notes = notes.as_mut().filter(|notes| notes.device == self.identity())?;
            Some(use_it(notes))
        })
    }

    /// Notes an operation, or starts it at once outside of a step.
    pub(crate) fn call(&self, call: Call) -> Result<()> {
        let mut call = Some(call);
        self.noting(|notes| notes.calls.extend(call.take()));
        match call {
            None => Ok(()),
            Some(call) => self.perform(&call, &self.stream, self.blas.as_ref()),
        }
    }

    /// A step's own memory for `len` elements; nothing outside of a step, and the step is one no longer if it has not enough.
    pub(crate) fn lend<T: DeviceRepr>(&self, len: usize) -> Result<Option<Held<T>>> {
        let Some(lent) = self.noting(|notes| notes.room.lend(&self.stream, len)) else {
            return Ok(None);
        };
        if lent.is_none() {
            self.grow();
            self.give_up()?;
        }
        Ok(lent)
    }

    /// The place of a table in a step's own memory; nothing outside of a step.
    pub(crate) fn place(&self, what: &'static str, bytes: &[u8]) -> Result<Option<u64>> {
        let placed = self.noting(|notes| {
            let key = (what, bytes.to_vec());
            let base = self.address(&*notes.tables);
            if let Some(at) = notes.placed.get(&key) {
                return Some(base + *at as u64);
            }
            let at = notes.bytes.len();
            let end = at + bytes.len().next_power_of_two().max(PAGE);
            if end > notes.tables.len() {
                return None;
            }
            notes.bytes.extend(bytes);
            notes.bytes.resize(end, 0);
            notes.placed.insert(key, at);
            Some(base + at as u64)
        });
        if placed == Some(None) {
            self.give_up()?;
        }
        Ok(placed.flatten())
    }

    fn take_notes(&self) -> Option<Notes> {
        NOTES.with_borrow_mut(|notes| notes.take_if(|notes| notes.device == self.identity()))
    }

    /// Has the next step begin with twice the memory.
    fn grow(&self) {
        if let Some(steps) = &self.steps {
            let mut shared = lock(&steps.shared);
            let length = shared.room.as_ref().map_or(0, |room| room.len());
            shared.wanted = shared.wanted.max(length.saturating_mul(2));
        }
    }

    /// Ends noting in the middle of a step: what was noted starts, what comes is started at once.
    fn give_up(&self) -> Result<()> {
        match self.take_notes() {
            Some(mut notes) => self.start(&mut notes, false),
            None => Ok(()),
        }
    }

    /// Starts what was noted: before anything that is not noted, and at a step's end.
    pub(crate) fn settle(&self) -> Result<()> {
        let Some(mut notes) = self.take_notes() else {
            return Ok(());
        };
        let started = self.start(&mut notes, true);
        NOTES.set(Some(notes));
        started
    }

    fn start(&self, notes: &mut Notes, as_graph: bool) -> Result<()> {
        if let Some(new) = notes.bytes.get(notes.sent..).filter(|new| !new.is_empty()) {
            let failed = |e| Error::driver("copying a step's tables", e);
            self.ctx.bind_to_thread().map_err(failed)?;
            let at = self.address(&*notes.tables) + notes.sent as u64;
            // SAFETY: `place` keeps the tables' bytes within their memory; the driver has read host memory without page lock when it returns.
            unsafe { result::memcpy_htod_async(at, new, self.stream.cu_stream()) }.map_err(failed)?;
            notes.sent = notes.bytes.len();
        }
        let calls = std::mem::take(&mut notes.calls);
        match &self.steps {
            Some(steps) if as_graph && !calls.is_empty() => self.play(steps, &calls),
            _ => self.one_by_one(&calls),
        }
    }

    fn one_by_one(&self, calls: &[Call]) -> Result<()> {
        calls
            .iter()
            .try_for_each(|call| self.perform(call, &self.stream, self.blas.as_ref()))
    }

    /// Starts calls as a graph if they were seen before.
    fn play(&self, steps: &Steps, calls: &[Call]) -> Result<()> {
        let mut words = Vec::with_capacity(calls.len() * 16);
        calls.iter().for_each(|call| call.write(&mut words));
        let mut shared = lock(&steps.shared);
        shared.clock += 1;
        let now = shared.clock;
        if let Some(known) = shared.known.get_mut(&words) {
            known.used = now;
            if known.graph.is_none() && !known.refused {
                match self.capture(steps, calls) {
                    Ok(graph) => {
                        known.graph = Some(graph);
                        shared.stats.graphs += 1;
                        shared.make_room(&words);
                    }
                    Err(error) if error.is_final() => return Err(error),
                    // What cannot be captured still runs.
                    Err(_) => known.refused = true,
                }
            }
        } else {
            let known = Known {
                graph: None,
                refused: false,
                used: now,
            };
            if shared.known.len() >= SEEN {
                shared.known.retain(|_, known| known.graph.is_some());
            }
            shared.known.insert(words.clone(), known);
        }
        if let Some(graph) = shared.known.get(&words).and_then(|known| known.graph.as_ref()) {
            let failed = |e| Error::driver("a graph", e);
            self.ctx.bind_to_thread().map_err(failed)?;
            // SAFETY: the graph is whole, and everything it reads and writes is there: rooms, caches and weights of this step.
            unsafe { result::graph::launch(graph.0.cu_graph_exec(), self.stream.cu_stream()) }
                .map_err(failed)?;
            shared.stats.replayed += 1;
            return Ok(());
        }
        shared.stats.single += 1;
        drop(shared);
        self.one_by_one(calls)
    }

    fn capture(&self, steps: &Steps, calls: &[Call]) -> Result<Graph> {
        let failed = |e| Error::driver("capturing a graph", e);
        // Other threads may ask the driver for whatever they like meanwhile.
        let relaxed = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED;
        steps.stream.begin_capture(relaxed).map_err(failed)?;
        let noted = calls
            .iter()
            .try_for_each(|call| self.perform(call, &steps.stream, steps.blas.as_ref()));
        // Also what failed must end, or the stream is of no more use.
        let graph = steps.stream.end_capture(CUgraphInstantiate_flags(0));
        noted?;
        match graph.map_err(failed)? {
            Some(graph) => Ok(Graph(graph)),
            None => Err(Error::Launch {
                what: "capturing a graph".into(),
                why: "the driver gave none".into(),
            }),
        }
    }
}

impl Shared {
    /// Lets go of the graph that was used least recently, if there are too many beside this one.
    fn make_room(&mut self, beside: &[u64]) {
        let graphs = self.known.values().filter(|known| known.graph.is_some()).count();
        if graphs <= GRAPHS {
            return;
        }
        let others = self
            .known
            .iter()
            .filter(|(words, known)| known.graph.is_some() && *words != beside);
        let oldest = others
            .min_by_key(|(_, known)| known.used)
            .map(|(words, _)| words.clone());
        if let Some(oldest) = oldest {
            self.known.remove(&oldest);
        }
    }
}

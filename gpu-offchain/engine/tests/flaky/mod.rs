//! The CPU as a device that can fail, as a GPU does: what fails is remembered for its thread, whatever this thread asks for afterwards is
//! skipped, and results are worthless until the fault is taken.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use openledger_backend_cpu::Cpu;
use openledger_engine::backend::{
    AdamStep, Backend, Fault, FaultKind, Gemm, Heads, LoraGroup, PagedSegment, Segment,
};
use openledger_engine::sampler::{Draw, Sampled};

/// Tokens of the models that run on it: more than a step has rows, so that the table of tokens is known by its size.
pub(crate) const VOCAB: usize = 1009;
/// The device refuses to read this token.
pub(crate) const POISON: u32 = 1008;

type Buf = Vec<f32>;

struct State {
    faults: Mutex<HashMap<ThreadId, Fault>>,
    met: AtomicUsize,
    rows: AtomicUsize,
    uploads: AtomicUsize,
    steps_left: AtomicUsize,
}

#[derive(Clone)]
pub(crate) struct Flaky {
    cpu: Cpu<f32>,
    state: Arc<State>,
}

impl Default for Flaky {
    fn default() -> Self {
        Flaky {
            cpu: Cpu::new(),
            state: Arc::new(State {
                faults: Mutex::default(),
                met: AtomicUsize::new(0),
                rows: AtomicUsize::new(usize::MAX),
                uploads: AtomicUsize::new(0),
                steps_left: AtomicUsize::new(usize::MAX),
            }),
        }
    }
}

impl Flaky {
    /// How many faults there were.
    pub(crate) fn faults(&self) -> usize {
        self.state.met.load(SeqCst)
    }

    /// Memory for so many rows in a step and no more.
    pub(crate) fn most_rows(&self, rows: usize) {
        self.state.rows.store(rows, SeqCst);
    }

    /// So many of the uploads to come have no memory.
    pub(crate) fn refuse_uploads(&self, n: usize) {
        self.state.uploads.store(n, SeqCst);
    }

    /// The device is lost at the beginning of the step after so many.
    pub(crate) fn lose_after(&self, steps: usize) {
        self.state.steps_left.store(steps, SeqCst);
    }

    fn fail(&self, kind: FaultKind, what: String) {
        self.state.met.fetch_add(1, SeqCst);
        let mut faults = self.state.faults.lock().unwrap();
        faults
            .entry(std::thread::current().id())
            .or_insert(Fault { kind, what });
    }

    fn well(&self) -> bool {
        let faults = self.state.faults.lock().unwrap();
        self.lost().is_none() && !faults.contains_key(&std::thread::current().id())
    }
}

/// Does it on the CPU unless something failed before.
macro_rules! unless_failed {
    ($self:ident . $op:ident ( $($arg:expr),* )) => {
        if $self.well() {
            $self.cpu.$op($($arg),*);
        }
    };
}

impl Backend for Flaky {
    type Elem = f32;
    type Buf = Buf;

    fn arch(&self) -> String {
        "flaky".into()
    }

    fn take_fault(&self) -> Option<Fault> {
        let own = self
            .state
            .faults
            .lock()
            .unwrap()
            .remove(&std::thread::current().id());
        self.lost().or(own)
    }

    fn lost(&self) -> Option<Fault> {
        (self.state.steps_left.load(SeqCst) == 0).then(|| Fault {
            kind: FaultKind::Lost,
            what: "the device fell off the bus".into(),
        })
    }

    fn zeros(&self, len: usize) -> Buf {
        self.cpu.zeros(len)
    }

    fn upload(&self, host: &[f32]) -> Buf {
        host.to_vec()
    }

    fn upload_beside(&self, hosts: &[&[f32]]) -> Vec<Buf> {
        let refused = self.state.uploads.fetch_update(SeqCst, SeqCst, |n| {
            (n > 0).then(|| n - usize::from(n < usize::MAX))
        });
        if self.well() && refused.is_ok() {
            self.fail(FaultKind::Memory, "out of memory for an adapter".into());
        }
        hosts.iter().map(|host| self.upload(host)).collect()
    }

    fn download(&self, buf: &Buf) -> Vec<f32> {
        if self.well() {
            buf.clone()
        } else {
            vec![f32::NAN; buf.len()]
        }
    }

    fn clear(&self, buf: &mut Buf) {
        unless_failed!(self.clear(buf));
    }

    /// The first operation of a step: what is planned to fail does so here.
    fn gather(&self, table: &Buf, ids: &[u32], d: usize, out: &mut Buf) {
        let embeds = table.len() == VOCAB * d;
        if embeds && self.well() {
            let left = &self.state.steps_left;
            let _ = left.fetch_update(SeqCst, SeqCst, |n| (n < usize::MAX && n > 0).then(|| n - 1));
            let rows = self.state.rows.load(SeqCst);
            if ids.len() > rows {
                let what = format!("out of memory: {} rows are wanted, {rows} fit", ids.len());
                self.fail(FaultKind::Memory, what);
            } else if ids.contains(&POISON) {
                self.fail(FaultKind::Operation, format!("token {POISON} was refused"));
            }
        }
        unless_failed!(self.gather(table, ids, d, out));
    }

    fn scatter_add(&self, rows: &Buf, ids: &[u32], d: usize, table: &mut Buf) {
        unless_failed!(self.scatter_add(rows, ids, d, table));
    }

    fn gemm(&self, op: Gemm, a: &Buf, b: &Buf, c: &mut Buf) {
        unless_failed!(self.gemm(op, a, b, c));
    }

    fn add(&self, x: &Buf, y: &mut Buf) {
        unless_failed!(self.add(x, y));
    }

    fn add_bias(&self, bias: &Buf, rows: usize, d: usize, y: &mut Buf) {
        unless_failed!(self.add_bias(bias, rows, d, y));
    }

    fn add_bias_backward(&self, dy: &Buf, rows: usize, d: usize, dbias: &mut Buf) {
        unless_failed!(self.add_bias_backward(dy, rows, d, dbias));
    }

    fn rmsnorm(&self, x: &Buf, w: &Buf, eps: f64, d: usize, y: &mut Buf, inv: &mut Buf) {
        unless_failed!(self.rmsnorm(x, w, eps, d, y, inv));
    }

    fn rmsnorm_backward(
        &self,
        x: &Buf,
        w: &Buf,
        inv: &Buf,
        dy: &Buf,
        d: usize,
        dx: &mut Buf,
        dw: Option<&mut Buf>,
    ) {
        unless_failed!(self.rmsnorm_backward(x, w, inv, dy, d, dx, dw));
    }

    fn rope_kv(
        &self,
        heads: Heads,
        table: &Buf,
        positions: &[u32],
        slots: &[u32],
        q: &mut Buf,
        k: &Buf,
        v: &Buf,
        k_cache: &mut Buf,
        v_cache: &mut Buf,
    ) {
        unless_failed!(self.rope_kv(heads, table, positions, slots, q, k, v, k_cache, v_cache));
    }

    fn rope_paged_kv(
        &self,
        heads: Heads,
        page: usize,
        table: &Buf,
        positions: &[u32],
        slots: &[u32],
        q: &mut Buf,
        k: &Buf,
        v: &Buf,
        k_cache: &mut Buf,
        v_cache: &mut Buf,
    ) {
        unless_failed!(self.rope_paged_kv(heads, page, table, positions, slots, q, k, v, k_cache, v_cache));
    }

    fn rope_backward(&self, heads: usize, dim: usize, table: &Buf, positions: &[u32], grad: &mut Buf) {
        unless_failed!(self.rope_backward(heads, dim, table, positions, grad));
    }

    fn attention(
        &self,
        heads: Heads,
        segments: &[Segment],
        q: &Buf,
        k: &Buf,
        v: &Buf,
        out: &mut Buf,
        lse: &mut Buf,
    ) {
        unless_failed!(self.attention(heads, segments, q, k, v, out, lse));
    }

    fn paged_attention(
        &self,
        heads: Heads,
        page: usize,
        segments: &[PagedSegment],
        tables: &[u32],
        q: &Buf,
        k_cache: &Buf,
        v_cache: &Buf,
        out: &mut Buf,
        lse: &mut Buf,
    ) {
        unless_failed!(self.paged_attention(heads, page, segments, tables, q, k_cache, v_cache, out, lse));
    }

    fn attention_backward(
        &self,
        heads: Heads,
        segments: &[Segment],
        q: &Buf,
        k: &Buf,
        v: &Buf,
        out: &Buf,
        lse: &Buf,
        dout: &Buf,
        dq: &mut Buf,
        dk: &mut Buf,
        dv: &mut Buf,
    ) {
        unless_failed!(self.attention_backward(heads, segments, q, k, v, out, lse, dout, dq, dk, dv));
    }

    fn silu_mul(&self, gate: &Buf, up: &Buf, out: &mut Buf) {
        unless_failed!(self.silu_mul(gate, up, out));
    }

    fn silu_mul_backward(&self, gate: &Buf, up: &Buf, dout: &Buf, dgate: &mut Buf, dup: &mut Buf) {
        unless_failed!(self.silu_mul_backward(gate, up, dout, dgate, dup));
    }

    fn lora_shrink(&self, groups: &[LoraGroup<'_, Buf>], d_in: usize, x: &Buf, stride: usize, u: &mut Buf) {
        unless_failed!(self.lora_shrink(groups, d_in, x, stride, u));
    }

    fn lora_expand(&self, groups: &[LoraGroup<'_, Buf>], d_out: usize, u: &Buf, stride: usize, y: &mut Buf) {
        unless_failed!(self.lora_expand(groups, d_out, u, stride, y));
    }

    fn cross_entropy(&self, vocab: usize, targets: &[u32], scale: f64, logits: &mut Buf) -> Vec<f64> {
        if self.well() {
            self.cpu.cross_entropy(vocab, targets, scale, logits)
        } else {
            vec![f64::NAN; targets.len()]
        }
    }

    fn sample(&self, logits: &Buf, vocab: usize, draws: &[Draw]) -> Vec<Sampled> {
        if self.well() {
            return self.cpu.sample(logits, vocab, draws);
        }
        let none = Sampled {
            id: 0,
            logprob: f32::NAN,
            top: vec![],
        };
        vec![none; draws.len()]
    }

    fn adamw(&self, step: AdamStep, grad: &Buf, m: &mut Buf, v: &mut Buf, param: &mut Buf) {
        unless_failed!(self.adamw(step, grad, m, v, param));
    }

    fn sum_squares(&self, x: &Buf) -> f64 {
        if self.well() {
            self.cpu.sum_squares(x)
        } else {
            f64::NAN
        }
    }
}

//! The engine's operations on an NVIDIA GPU.
//!
//! The CUDA driver, NVRTC and cuBLAS are looked up when a [`Cuda`] is opened: building needs none of them, and a machine without them gets an
//! [`Error`] of one line. Kernels are compiled for the device at hand once and kept as cubins, named by the hash of their source, the
//! architecture and the compiler's version.
//!
//! Activations are f32. Weights are f32 or, after [`Cuda::halve`], bf16, or, after [`Cuda::quantise`], 8 bits with a factor a row: products with
//! the latter two round the activations to bf16 and sum in f32.
//!
//! In [`Mode::Verifiable`] a row's bits depend on its own inputs alone: sums run in chunks of a fixed size in a fixed order, nothing is atomic.
//! [`Mode::Fast`] takes cuBLAS and tiled attention where they are faster; the same batch still gives the same bits.
//!
//! Operations of [`Backend`] return nothing, so a failed one is remembered for the thread that asked for it: whatever else this thread asks for
//! is skipped, downloads and losses are NaN, and [`Cuda::take_fault`] tells it what happened. The engine asks after every step, before an
//! answer leaves. After a lost device the process must be started again; after anything else the backend works on.

#![deny(missing_docs, unsafe_op_in_unsafe_fn)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod attention;
mod buf;
mod call;
mod device;
mod error;
mod gemm;
mod kernels;
mod ops;
mod quant;
mod room;
mod score;
mod steps;

use std::sync::Arc;

use openledger_engine::backend::{
    AdamStep, Backend, Fault, Gemm, Heads, LoraGroup, LoraPair, PagedSegment, Segment,
};
use openledger_engine::sampler::{Draw, Sampled};

use crate::attention::Pages;
use crate::buf::Data;
use crate::device::Device;

pub use attention::Place;
pub use buf::Buf;
pub use device::{Mode, Options};
pub use error::{Error, Result};
pub use kernels::source_hash;
pub use score::Scorer;
pub use steps::StepStats;

/// A GPU. Clones share it.
#[derive(Clone)]
pub struct Cuda(Arc<Device>);

/// Facts of a device, for reports and receipts.
#[derive(Debug, Clone)]
pub struct About {
    /// As the driver names it.
    pub name: String,
    /// `sm_` and the compute capability.
    pub arch: String,
    /// NVRTC's version.
    pub compiler: String,
    /// Bytes of memory, and those free now.
    pub memory: (usize, usize),
    /// Whether cuBLAS is in use.
    pub blas: bool,
}

impl Cuda {
    /// Everything that decides the bits of what is computed in [`Mode::Verifiable`]: architecture, compiler, kernels.
    pub fn machine(&self) -> String {
        let hash: String = source_hash()[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{}-nvrtc{}-{hash}", self.0.arch, self.0.compiler)
    }

    /// Opens a device and loads its kernels.
    ///
    /// Errors: libraries or device missing, a kernel that does not compile.
    pub fn open(options: Options) -> Result<Self> {
        Device::open(options).map(|device| Cuda(Arc::new(device)))
    }

    pub(crate) fn device(&self) -> &Arc<Device> {
        &self.0
    }

    /// What it is.
    pub fn about(&self) -> About {
        let (free, total) = self.0.ctx.mem_get_info().unwrap_or((0, 0));
        About {
            name: self.0.ctx.name().unwrap_or_else(|_| "unnamed".into()),
            arch: self.0.arch.clone(),
            compiler: self.0.compiler.clone(),
            memory: (total, free),
            blas: self.0.blas.is_some(),
        }
    }

    /// Waits for the device; the first fault of this thread since its last call, if there was one. A lost device stays lost.
    pub fn take_fault(&self) -> Option<Error> {
        self.0.take_fault()
    }

    /// Whether no operation of this thread failed so far; waits for nothing.
    pub fn is_well(&self) -> bool {
        self.0.is_well()
    }

    /// What became of its steps.
    pub fn steps(&self) -> StepStats {
        self.0
            .steps
            .as_ref()
            .map(|steps| steps.stats())
            .unwrap_or_default()
    }

    /// Copies a buffer of f32 over another as long.
    pub fn copy(&self, from: &Buf, to: &mut Buf) {
        let op = || {
            self.0.settle()?;
            let (source, room) = (from.floats("copy", to.len)?, to.floats_mut("copy", from.len)?);
            let copied = self.0.stream.memcpy_dtod(source, room);
            copied.map_err(|e| Error::driver("copying", e))
        };
        self.0.run(|| (), op);
    }

    /// Makes a weight bf16, half its bytes. What is bf16 already stays.
    pub fn halve(&self, buf: &mut Buf) {
        let op = || {
            if let Data::F32(slice) = &buf.data {
                buf.data = Data::Bf16(self.0.to_bf16(self.0.at(slice), buf.len)?);
            }
            Ok(())
        };
        self.0.run(|| (), op);
    }

    /// Makes a weight of rows of `columns` 8 bits, a quarter of its bytes: whole numbers from -127 to 127 and one factor a row. What is not f32
    /// stays.
    pub fn quantise(&self, buf: &mut Buf, columns: usize) {
        let op = || {
            if let Data::F32(slice) = &buf.data {
                let (numbers, factors) = quant::rows(&self.0.download(slice, buf.len)?, columns);
                buf.data = Data::Int8(self.0.upload(&numbers)?, self.0.upload(&factors)?);
            }
            Ok(())
        };
        self.0.run(|| (), op);
    }

    /// [`Cuda::halve`] for both matrices of a module.
    pub fn halve_pair(&self, pair: &mut LoraPair<Buf>) {
        self.halve(&mut pair.a);
        self.halve(&mut pair.b);
    }

    /// [`Backend::attention`] over caches of pages of `page` tokens, where token t of page p is row `p · page + t`; `tables` holds the pages of
    /// every place, one place after another. Gives the bits of [`Backend::attention`] over the same keys without pages.
    #[allow(clippy::too_many_arguments)]
    pub fn attention_over_pages(
        &self,
        heads: Heads,
        page: usize,
        places: &[Place],
        tables: &[u32],
        q: &Buf,
        k_cache: &Buf,
        v_cache: &Buf,
        out: &mut Buf,
        lse: &mut Buf,
    ) {
        let pages = Pages {
            tokens: page,
            table: tables,
        };
        let op = || {
            if page == 0 {
                return Error::shape("attention", "pages of 0 tokens");
            }
            self.0
                .attention(heads, pages, places, q, k_cache, v_cache, out, lse)
        };
        self.0.run(|| (), op);
    }

    fn make(&self, len: usize, make: impl FnOnce() -> Result<Buf>) -> Buf {
        self.0.run(|| Buf::none(len), make)
    }
}

impl Backend for Cuda {
    type Elem = f32;
    type Buf = Buf;

    fn arch(&self) -> String {
        let mode = match self.0.options.mode {
            Mode::Fast => "fast",
            Mode::Verifiable => "verifiable",
        };
        format!("cuda-{mode}-{}", self.machine())
    }

    fn take_fault(&self) -> Option<Fault> {
        self.0.take_fault().map(|error| error.fault())
    }

    fn lost(&self) -> Option<Fault> {
        self.0.lost().map(|error| error.fault())
    }

    fn zeros(&self, len: usize) -> Buf {
        self.make(len, || {
            let slice = self.0.alloc::<f32>(len)?;
            self.0.clear(&slice)?;
            Ok(Buf::f32(slice, len))
        })
    }

    fn upload(&self, host: &[f32]) -> Buf {
        self.make(host.len(), || Ok(Buf::f32(self.0.upload(host)?, host.len())))
    }

    fn is_apart(&self) -> bool {
        true
    }

    fn set_aside(&self, bytes: usize) {
        self.0.set_aside(bytes);
    }

    fn upload_beside(&self, hosts: &[&[f32]]) -> Vec<Buf> {
        let lens = || hosts.iter().map(|host| host.len());
        let upload = || {
            let all = self.0.upload_beside(hosts)?;
            Ok(all
                .into_iter()
                .zip(lens())
                .map(|(slice, len)| Buf::f32(slice, len))
                .collect())
        };
        self.0.run(|| lens().map(Buf::none).collect(), upload)
    }

    fn step<T>(&self, work: impl FnOnce() -> T) -> T {
        self.0.step(work)
    }

    fn download(&self, buf: &Buf) -> Vec<f32> {
        self.0.run(
            || vec![f32::NAN; buf.len],
            || match &buf.data {
                Data::Bf16(slice) => {
                    let wide = self.0.to_f32(slice, buf.len)?;
                    self.0.download(&wide, buf.len)
                }
                Data::Int8(numbers, factors) => {
                    let wide = self.0.from_w8(numbers, factors, buf.len)?;
                    self.0.download(&wide, buf.len)
                }
                _ => self.0.download(buf.floats("download", 0)?, buf.len),
            },
        )
    }

    fn clear(&self, buf: &mut Buf) {
        self.0.run(|| (), || self.0.clear(buf.floats_mut("clear", 0)?));
    }

    fn gather(&self, table: &Buf, ids: &[u32], d: usize, out: &mut Buf) {
        self.0.run(|| (), || self.0.gather(table, ids, d, out));
    }

    fn scatter_add(&self, rows: &Buf, ids: &[u32], d: usize, table: &mut Buf) {
        self.0.run(|| (), || self.0.scatter_add(rows, ids, d, table));
    }

    fn gemm(&self, op: Gemm, a: &Buf, b: &Buf, c: &mut Buf) {
        self.0.run(|| (), || self.0.gemm(op, a, b, c));
    }

    fn add(&self, x: &Buf, y: &mut Buf) {
        self.0.run(|| (), || self.0.add(x, y));
    }

    fn add_bias(&self, bias: &Buf, rows: usize, d: usize, y: &mut Buf) {
        self.0.run(|| (), || self.0.add_bias(bias, rows, d, y));
    }

    fn add_bias_backward(&self, dy: &Buf, rows: usize, d: usize, dbias: &mut Buf) {
        self.0.run(|| (), || self.0.add_bias_backward(dy, rows, d, dbias));
    }

    fn rmsnorm(&self, x: &Buf, w: &Buf, eps: f64, d: usize, y: &mut Buf, inv: &mut Buf) {
        self.0.run(|| (), || self.0.rmsnorm(x, w, eps, d, y, inv));
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
        self.0
            .run(|| (), || self.0.rmsnorm_backward(x, w, inv, dy, d, dx, dw));
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
        let op = || {
            self.0
                .rope_kv(heads, table, positions, slots, q, k, v, k_cache, v_cache)
        };
        self.0.run(|| (), op);
    }

    fn rope_paged_kv(
        &self,
        heads: Heads,
        _page: usize,
        table: &Buf,
        positions: &[u32],
        slots: &[u32],
        q: &mut Buf,
        k: &Buf,
        v: &Buf,
        k_cache: &mut Buf,
        v_cache: &mut Buf,
    ) {
        // A page's tokens are rows one after another, so that a slot is a row.
        self.rope_kv(heads, table, positions, slots, q, k, v, k_cache, v_cache);
    }

    fn rope_backward(&self, heads: usize, dim: usize, table: &Buf, positions: &[u32], grad: &mut Buf) {
        self.0
            .run(|| (), || self.0.rope_backward(heads, dim, table, positions, grad));
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
        let places: Vec<Place> = segments.iter().map(Place::from).collect();
        let rows = Pages {
            tokens: 0,
            table: &[],
        };
        self.0.run(
            || (),
            || self.0.attention(heads, rows, &places, q, k, v, out, lse),
        );
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
        let places: Vec<Place> = segments.iter().map(Place::from).collect();
        self.attention_over_pages(heads, page, &places, tables, q, k_cache, v_cache, out, lse);
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
        let op = || {
            self.0
                .attention_backward(heads, segments, q, k, v, out, lse, dout, dq, dk, dv)
        };
        self.0.run(|| (), op);
    }

    fn silu_mul(&self, gate: &Buf, up: &Buf, out: &mut Buf) {
        self.0.run(|| (), || self.0.silu_mul(gate, up, out));
    }

    fn silu_mul_backward(&self, gate: &Buf, up: &Buf, dout: &Buf, dgate: &mut Buf, dup: &mut Buf) {
        self.0
            .run(|| (), || self.0.silu_mul_backward(gate, up, dout, dgate, dup));
    }

    fn lora_shrink(&self, groups: &[LoraGroup<'_, Buf>], d_in: usize, x: &Buf, stride: usize, u: &mut Buf) {
        self.0
            .run(|| (), || self.0.lora_shrink(groups, d_in, x, stride, u));
    }

    fn lora_expand(&self, groups: &[LoraGroup<'_, Buf>], d_out: usize, u: &Buf, stride: usize, y: &mut Buf) {
        self.0
            .run(|| (), || self.0.lora_expand(groups, d_out, u, stride, y));
    }

    fn cross_entropy(&self, vocab: usize, targets: &[u32], scale: f64, logits: &mut Buf) -> Vec<f64> {
        self.0.run(
            || vec![f64::NAN; targets.len()],
            || self.0.cross_entropy(vocab, targets, scale, logits),
        )
    }

    fn sample(&self, logits: &Buf, vocab: usize, draws: &[Draw]) -> Vec<Sampled> {
        let none = Sampled {
            id: 0,
            logprob: f32::NAN,
            top: vec![],
        };
        self.0.run(
            || vec![none.clone(); draws.len()],
            || self.0.sample(logits, vocab, draws),
        )
    }

    fn adamw(&self, step: AdamStep, grad: &Buf, m: &mut Buf, v: &mut Buf, param: &mut Buf) {
        self.0.run(|| (), || self.0.adamw(step, grad, m, v, param));
    }

    fn sum_squares(&self, x: &Buf) -> f64 {
        self.0.run(|| f64::NAN, || self.0.sum_squares(x))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_cuda_should_get_one_line_and_no_panic() {
        match Cuda::open(Options {
            ordinal: 1_000,
            ..Options::default()
        }) {
            Ok(cuda) => panic!("device 1000 is there: {:?}", cuda.about()),
            Err(error) => {
                let line = error.to_string();
                assert_eq!(line.lines().count(), 1, "{line}");
                assert!(line.contains("CUDA") && line.contains("CPU"), "{line}");
                assert!(error.is_final());
            }
        }
    }
}

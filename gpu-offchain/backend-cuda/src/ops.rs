//! Tables, norms, gates, losses and steps: shapes are checked, then kernels started.

use openledger_engine::backend::{AdamStep, Heads};
use openledger_engine::sampler::{key, sample, Draw, Sampled};

use crate::buf::{Buf, Data};
use crate::call::{Adam, Arg};
use crate::device::Device;
use crate::error::{Error, Result};

/// Kernels that need more shared memory than is given unasked, and how much.
pub(crate) const LARGE_SHARED: [(&str, usize); 8] = [
    ("gemm_few_bf16_64", crate::gemm::FEW_64_SHARED),
    ("gemm_few_w8_64", crate::gemm::FEW_64_SHARED),
    ("flash_queries_32", crate::attention::tiles_shared(32)),
    ("flash_queries_64", crate::attention::tiles_shared(64)),
    ("flash_queries_128", crate::attention::tiles_shared(128)),
    ("flash_keys_32", crate::attention::tiles_shared(32)),
    ("flash_keys_64", crate::attention::tiles_shared(64)),
    ("flash_keys_128", crate::attention::tiles_shared(128)),
];

// Blocks of sums of squares: fixed, so that partial sums are.
const SQUARES: usize = 512;
const THREADS: u32 = 256;

/// Blocks for n elements, a few each.
pub(crate) fn spread(n: usize) -> (usize, usize, usize) {
    (n.div_ceil(THREADS as usize).min(16_384), 1, 1)
}

fn columns(d: usize) -> (usize, usize, usize) {
    (d.div_ceil(THREADS as usize), 1, 1)
}

/// An i32 argument.
pub(crate) fn int(x: usize) -> Result<Arg> {
    match i32::try_from(x) {
        Ok(x) => Ok(Arg::Int(x)),
        Err(_) => Error::shape("a size", format!("{x} is more than the kernels count to")),
    }
}

pub(crate) fn long(x: usize) -> Arg {
    Arg::Long(x as i64)
}

fn within(what: &'static str, ids: &[u32], rows: usize) -> Result<()> {
    match ids.iter().find(|id| **id as usize >= rows) {
        Some(id) => Error::shape(what, format!("row {id} of a table of {rows}")),
        None => Ok(()),
    }
}

impl Device {
    pub(crate) fn gather(&self, table: &Buf, ids: &[u32], d: usize, out: &mut Buf) -> Result<()> {
        within("gather", ids, table.len / d.max(1))?;
        let to = self.at(out.floats_mut("gather", ids.len() * d)?);
        let (name, from) = match &table.data {
            Data::F32(slice) => ("gather_f32", self.at(slice)),
            Data::Bf16(slice) => ("gather_bf16", self.at(slice)),
            Data::Int8(..) => return Error::shape("gather", "a table of 8 bits; f32 and bf16 are read"),
            Data::None => return Error::shape("gather", "a table without memory"),
        };
        let ids_at = self.table("gather", ids)?;
        let args = [from, ids_at.arg(), long(ids.len()), long(d), to];
        self.launch(name, spread(ids.len() * d), THREADS, 0, &args)
    }

    pub(crate) fn scatter_add(&self, rows: &Buf, ids: &[u32], d: usize, table: &mut Buf) -> Result<()> {
        within("scatter_add", ids, table.len / d.max(1))?;
        let from = self.at(rows.floats("scatter_add", ids.len() * d)?);
        let to = self.at(table.floats_mut("scatter_add", 0)?);
        let ids_at = self.table("scatter_add", ids)?;
        let args = [from, ids_at.arg(), long(ids.len()), long(d), to];
        self.launch("scatter_add", columns(d), THREADS, 0, &args)
    }

    pub(crate) fn add(&self, x: &Buf, y: &mut Buf) -> Result<()> {
        let n = x.len.min(y.len);
        let args = [
            self.at(x.floats("add", n)?),
            long(n),
            self.at(y.floats_mut("add", n)?),
        ];
        self.launch("add", spread(n), THREADS, 0, &args)
    }

    pub(crate) fn add_bias(&self, bias: &Buf, rows: usize, d: usize, y: &mut Buf) -> Result<()> {
        let from = self.at(bias.floats("add_bias", d)?);
        let to = self.at(y.floats_mut("add_bias", rows * d)?);
        let args = [from, long(rows), long(d), to];
        self.launch("add_bias", spread(rows * d), THREADS, 0, &args)
    }

    pub(crate) fn add_bias_backward(&self, dy: &Buf, rows: usize, d: usize, dbias: &mut Buf) -> Result<()> {
        let from = self.at(dy.floats("add_bias_backward", rows * d)?);
        let to = self.at(dbias.floats_mut("add_bias_backward", d)?);
        let args = [from, long(rows), long(d), to];
        self.launch("add_bias_backward", columns(d), THREADS, 0, &args)
    }

    pub(crate) fn rmsnorm(
        &self,
        x: &Buf,
        w: &Buf,
        eps: f64,
        d: usize,
        y: &mut Buf,
        inv: &mut Buf,
    ) -> Result<()> {
        let rows = (y.len / d.max(1)).min(inv.len);
        let args = [
            self.at(x.floats("rmsnorm", rows * d)?),
            self.at(w.floats("rmsnorm", d)?),
            Arg::Float(eps as f32),
            int(d)?,
            self.at(y.floats_mut("rmsnorm", rows * d)?),
            self.at(inv.floats_mut("rmsnorm", rows)?),
        ];
        self.launch("rmsnorm", (rows, 1, 1), THREADS, 0, &args)
    }

    #[allow(clippy::too_many_arguments)]
    pub(crate) fn rmsnorm_backward(
        &self,
        x: &Buf,
        w: &Buf,
        inv: &Buf,
        dy: &Buf,
        d: usize,
        dx: &mut Buf,
        dw: Option<&mut Buf>,
    ) -> Result<()> {
        let what = "rmsnorm_backward";
        let rows = dx.len / d.max(1);
        let (x, inv, dy) = (
            self.at(x.floats(what, rows * d)?),
            self.at(inv.floats(what, rows)?),
            self.at(dy.floats(what, rows * d)?),
        );
        let (w, to) = (
            self.at(w.floats(what, d)?),
            self.at(dx.floats_mut(what, rows * d)?),
        );
        self.launch(what, (rows, 1, 1), THREADS, 0, &[x, w, inv, dy, int(d)?, to])?;
        if let Some(dw) = dw {
            let args = [x, inv, dy, long(rows), long(d), self.at(dw.floats_mut(what, d)?)];
            self.launch("rmsnorm_backward_weight", columns(d), THREADS, 0, &args)?;
        }
        Ok(())
    }

    pub(crate) fn silu_mul(&self, gate: &Buf, up: &Buf, out: &mut Buf) -> Result<()> {
        let n = out.len;
        let args = [
            self.at(gate.floats("silu_mul", n)?),
            self.at(up.floats("silu_mul", n)?),
            long(n),
            self.at(out.floats_mut("silu_mul", n)?),
        ];
        self.launch("silu_mul", spread(n), THREADS, 0, &args)
    }

    pub(crate) fn silu_mul_backward(
        &self,
        gate: &Buf,
        up: &Buf,
        dout: &Buf,
        dgate: &mut Buf,
        dup: &mut Buf,
    ) -> Result<()> {
        let (what, n) = ("silu_mul_backward", dout.len);
        let args = [
            self.at(gate.floats(what, n)?),
            self.at(up.floats(what, n)?),
            self.at(dout.floats(what, n)?),
            long(n),
            self.at(dgate.floats_mut(what, n)?),
            self.at(dup.floats_mut(what, n)?),
        ];
        self.launch(what, spread(n), THREADS, 0, &args)
    }

    #[allow(clippy::too_many_arguments)]
    pub(crate) fn rope_kv(
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
    ) -> Result<()> {
        let (what, rows, dim) = ("rope_kv", positions.len().min(slots.len()), heads.dim);
        let (qd, kd) = (heads.q * dim, heads.kv * dim);
        if !dim.is_multiple_of(2) || dim == 0 {
            return Error::shape(what, format!("heads of {dim} elements have no halves"));
        }
        within(what, positions, table.len / dim)?;
        within(what, slots, k_cache.len.min(v_cache.len) / kd.max(1))?;
        let positions = self.table("positions", &positions[..rows])?;
        let slots = self.table("slots", &slots[..rows])?;
        let args = [
            self.at(table.floats(what, 0)?),
            positions.arg(),
            slots.arg(),
            int(heads.q)?,
            int(heads.kv)?,
            int(dim)?,
            self.at(q.floats_mut(what, rows * qd)?),
            self.at(k.floats(what, rows * kd)?),
            self.at(v.floats(what, rows * kd)?),
            self.at(k_cache.floats_mut(what, 0)?),
            self.at(v_cache.floats_mut(what, 0)?),
        ];
        self.launch(what, (rows, 1, 1), THREADS, 0, &args)
    }

    pub(crate) fn rope_backward(
        &self,
        heads: usize,
        dim: usize,
        table: &Buf,
        positions: &[u32],
        grad: &mut Buf,
    ) -> Result<()> {
        let what = "rope_backward";
        let rows = positions.len().min(grad.len / (heads * dim).max(1));
        if !dim.is_multiple_of(2) || dim == 0 {
            return Error::shape(what, format!("heads of {dim} elements have no halves"));
        }
        within(what, positions, table.len / dim)?;
        let positions = self.table("positions", positions)?;
        let args = [
            self.at(table.floats(what, 0)?),
            positions.arg(),
            int(heads)?,
            int(dim)?,
            self.at(grad.floats_mut(what, 0)?),
        ];
        self.launch(what, (rows, 1, 1), THREADS, 0, &args)
    }

    pub(crate) fn cross_entropy(
        &self,
        vocab: usize,
        targets: &[u32],
        scale: f64,
        logits: &mut Buf,
    ) -> Result<Vec<f64>> {
        let what = "cross_entropy";
        let counted: Vec<u32> = targets.iter().copied().filter(|t| *t != u32::MAX).collect();
        within(what, &counted, vocab)?;
        let losses = self.alloc::<f64>(targets.len())?;
        let targets_at = self.table("targets", targets)?;
        let args = [
            int(vocab)?,
            targets_at.arg(),
            Arg::Float(scale as f32),
            self.at(logits.floats_mut(what, targets.len() * vocab)?),
            self.at(&losses),
        ];
        self.launch(what, (targets.len(), 1, 1), THREADS, 0, &args)?;
        self.download(&losses, targets.len())
    }

    /// Rows that keep only the likeliest tokens are chosen by the engine's own code from a copy of the row: they need an order of the whole
    /// vocabulary. All others on the device, by the same noise.
    pub(crate) fn sample(&self, logits: &Buf, vocab: usize, draws: &[Draw]) -> Result<Vec<Sampled>> {
        let rows = self.sample_slice(logits, vocab, draws)?;
        let (ids, logprobs) = rows;
        let mut chosen = Vec::with_capacity(draws.len());
        for (i, draw) in draws.iter().enumerate() {
            chosen.push(
                if draw.alternatives > 0 || draw.temperature > 0.0 && (draw.top_p < 1.0 || draw.top_k > 0) {
                    sample(&self.row(logits, i, vocab)?, draw)
                } else {
                    Sampled {
                        id: ids[i],
                        logprob: logprobs[i],
                        top: vec![],
                    }
                },
            );
        }
        Ok(chosen)
    }

    fn row(&self, logits: &Buf, row: usize, vocab: usize) -> Result<Vec<f32>> {
        let slice = logits.floats("sample", (row + 1) * vocab)?;
        let mut host = vec![0.0; vocab];
        self.settle()?;
        let view = slice.slice(row * vocab..(row + 1) * vocab);
        let copied = self.stream.memcpy_dtoh(&view, &mut host);
        copied.map_err(|e| Error::driver("copying from the device", e))?;
        let done = self.stream.synchronize();
        done.map_err(|e| Error::driver("waiting for the device", e))?;
        Ok(host)
    }

    fn sample_slice(&self, logits: &Buf, vocab: usize, draws: &[Draw]) -> Result<(Vec<u32>, Vec<f32>)> {
        let rows: Vec<[u32; 4]> = draws
            .iter()
            .map(|draw| {
                let [low, high] = key(draw.seed);
                [draw.temperature.to_bits(), draw.position, low, high]
            })
            .collect();
        let table = self.upload(&rows)?;
        let (ids, logprobs) = (self.alloc::<u32>(draws.len())?, self.alloc::<f32>(draws.len())?);
        let args = [
            self.at(logits.floats("sample", draws.len() * vocab)?),
            int(vocab)?,
            self.at(&table),
            self.at(&ids),
            self.at(&logprobs),
        ];
        self.launch("sample", (draws.len(), 1, 1), 512, 0, &args)?;
        Ok((
            self.download(&ids, draws.len())?,
            self.download(&logprobs, draws.len())?,
        ))
    }

    pub(crate) fn adamw(
        &self,
        step: AdamStep,
        grad: &Buf,
        m: &mut Buf,
        v: &mut Buf,
        param: &mut Buf,
    ) -> Result<()> {
        let (what, n, f) = ("adamw", param.len, |x: f64| x as f32);
        let rest = |beta: f64| 1.0 - libm::pow(beta, step.step as f64);
        let (b1, b2) = (f(step.beta1), f(step.beta2));
        let adam = Adam {
            beta1: b1,
            beta2: b2,
            rest1: 1.0 - b1,
            rest2: 1.0 - b2,
            eps: f(step.eps),
            grad_scale: f(step.grad_scale),
            keep: f(1.0 - step.lr * step.weight_decay),
            lr: f(step.lr / rest(step.beta1)),
            correction2: f(1.0 / rest(step.beta2)),
        };
        let args = [
            Arg::Adam(adam),
            self.at(grad.floats(what, n)?),
            long(n),
            self.at(m.floats_mut(what, n)?),
            self.at(v.floats_mut(what, n)?),
            self.at(param.floats_mut(what, n)?),
        ];
        self.launch(what, spread(n), THREADS, 0, &args)
    }

    pub(crate) fn sum_squares(&self, x: &Buf) -> Result<f64> {
        let partial = self.alloc::<f64>(SQUARES)?;
        let args = [
            self.at(x.floats("sum_squares", x.len)?),
            long(x.len),
            self.at(&partial),
        ];
        self.launch("sum_squares", (SQUARES, 1, 1), THREADS, 0, &args)?;
        Ok(self.download(&partial, SQUARES)?.into_iter().sum())
    }
}

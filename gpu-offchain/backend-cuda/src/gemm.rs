//! Matrix products: cuBLAS in fast mode, own kernels in verifiable mode.

use std::ffi::c_void;

use cudarc::cublas::{result, sys as blas, CudaBlas};
use cudarc::driver::CudaSlice;
use openledger_engine::backend::{Gemm, Layout, LoraGroup};

use crate::buf::{Buf, Data};
use crate::call::{Arg, Call, Product};
use crate::device::{Device, Mode};
use crate::error::{Error, Result};
use crate::ops::{int, long, spread};
use crate::room::Held;

/// Terms of one sum; kernels/gemm.cu has the same.
const TERMS: usize = 256;
/// Shared memory of `gemm_few_bf16_16` and `gemm_few_bf16_64`, and of those for 8 bits.
const FEW_16_SHARED: usize = (16 + 64) * (TERMS + 8) * 2;
pub(crate) const FEW_64_SHARED: usize = (64 + 64) * (TERMS + 8) * 2;
// Rows up to which each chunk of terms has a block of its own, and the most memory the chunks may take.
const FEW_ROWS: usize = 64;
const FEW_BYTES: usize = 256 << 20;
// Rows of a low-rank task; kernels/lora.cu has the same.
const LORA_ROWS: usize = 4;
// Rows of one adapter from which its modules are products like any other, in fast mode: a prompt's.
const MANY_ROWS: usize = 64;

/// The kernels' `Pair`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Pair {
    a: u64,
    b: u64,
    rank: i32,
    scale: f32,
}

/// The kernels' `Task`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Task {
    row: i32,
    rows: i32,
    pair: i32,
}

/// Where the weights of a product lie.
#[derive(Clone, Copy)]
enum Weights {
    F32(u64),
    Bf16(u64),
}

/// How the weights of a product are stored.
#[derive(Clone, Copy)]
enum Kind {
    F32,
    Bf16,
    /// With the factors of its rows.
    Int8(Arg),
}

impl Device {
    pub(crate) fn to_bf16(&self, x: Arg, len: usize) -> Result<Held<u16>> {
        let out = self.alloc::<u16>(len)?;
        self.launch("to_bf16", spread(len), 256, 0, &[x, long(len), self.at(&out)])?;
        Ok(out)
    }

    pub(crate) fn to_f32(&self, x: &CudaSlice<u16>, len: usize) -> Result<Held<f32>> {
        let out = self.alloc::<f32>(len)?;
        self.launch(
            "to_f32",
            spread(len),
            256,
            0,
            &[self.at(x), long(len), self.at(&out)],
        )?;
        Ok(out)
    }

    #[expect(clippy::wrong_self_convention, reason = "named as the kernel")]
    pub(crate) fn from_w8(
        &self,
        numbers: &CudaSlice<i8>,
        factors: &CudaSlice<f32>,
        len: usize,
    ) -> Result<Held<f32>> {
        let out = self.alloc::<f32>(len)?;
        let columns = len / factors.len().max(1);
        let args = [
            self.at(numbers),
            self.at(factors),
            long(len),
            int(columns.max(1))?,
            self.at(&out),
        ];
        self.launch("from_w8", spread(len), 256, 0, &args)?;
        Ok(out)
    }

    pub(crate) fn gemm(&self, op: Gemm, a: &Buf, b: &Buf, c: &mut Buf) -> Result<()> {
        let Gemm { m, n, k, .. } = op;
        if m == 0 || n == 0 {
            return Ok(());
        }
        if a.len < m * k || b.len < n * k || c.len < m * n {
            return Error::shape("gemm", format!("buffers are smaller than {op:?} needs"));
        }
        // Activations are f32; weights may be bf16 or 8 bits, where a gradient at a weight has none.
        let wide;
        let a = match &a.data {
            Data::Bf16(slice) => {
                wide = self.to_f32(slice, m * k)?;
                &*wide
            }
            _ => a.floats("gemm", m * k)?,
        };
        let to = self.at(c.floats_mut("gemm", m * n)?);
        let unrolled;
        if let (Data::Int8(numbers, factors), Layout::Forward) = (&b.data, op.layout) {
            if factors.len() != n {
                return Error::shape(
                    "gemm",
                    format!("{} rows of 8 bits where {n} are multiplied", factors.len()),
                );
            }
            return self.own_gemm(op, self.at(a), self.at(numbers), Kind::Int8(self.at(factors)), to);
        }
        let (b32, b16) = match &b.data {
            Data::Int8(numbers, factors) => {
                unrolled = self.from_w8(numbers, factors, n * k)?;
                (Some(&*unrolled), None)
            }
            Data::Bf16(slice) if op.layout == Layout::Weight => {
                unrolled = self.to_f32(slice, n * k)?;
                (Some(&*unrolled), None)
            }
            Data::Bf16(slice) => (None, Some(slice)),
            _ => (Some(b.floats("gemm", n * k)?), None),
        };
        match (b32, b16) {
            (Some(b), None) => self.multiply(op, self.at(a), Weights::F32(self.address(b)), to),
            (_, Some(b)) => self.multiply(op, self.at(a), Weights::Bf16(self.address(b)), to),
            (None, None) => Error::shape("gemm", "a buffer without memory"),
        }
    }

    /// A product of f32 numbers with weights, by cuBLAS if it runs.
    fn multiply(&self, op: Gemm, a: Arg, b: Weights, c: Arg) -> Result<()> {
        match (&self.blas, b) {
            (Some(_), Weights::Bf16(b)) => {
                let a = self.to_bf16(a, op.m * op.k)?;
                self.by_blas(op, self.address(&a), b, blas::cudaDataType_t::CUDA_R_16BF, c)
            }
            (Some(_), Weights::F32(b)) => match a {
                Arg::Ptr(a) => self.by_blas(op, a, b, blas::cudaDataType_t::CUDA_R_32F, c),
                _ => Error::shape("gemm", "a factor without memory"),
            },
            (None, Weights::F32(b)) => self.own_gemm(op, a, Arg::Ptr(b), Kind::F32, c),
            (None, Weights::Bf16(b)) => self.own_gemm(op, a, Arg::Ptr(b), Kind::Bf16, c),
        }
    }

    fn by_blas(&self, op: Gemm, a: u64, b: u64, kind: blas::cudaDataType_t, c: Arg) -> Result<()> {
        match c {
            Arg::Ptr(c) => self.call(Call::Blas { op, a, b, kind, c }),
            _ => Error::shape("gemm", "a result without memory"),
        }
    }

    // cuBLAS counts columns first: C transposed is B's operand times A's.
    pub(crate) fn blas_gemm(
        &self,
        handle: Option<&(CudaBlas, CudaSlice<u8>)>,
        op: Gemm,
        a: u64,
        b: u64,
        kind: blas::cudaDataType_t,
        c: u64,
    ) -> Result<()> {
        use blas::cublasOperation_t::{CUBLAS_OP_N as PLAIN, CUBLAS_OP_T as TURNED};
        let Some((handle, _)) = handle else {
            return Error::shape("gemm", "cuBLAS is not running");
        };
        let size = |x: usize| match i32::try_from(x) {
            Ok(x) => Ok(x),
            Err(_) => Error::shape("gemm", format!("{x} is more than cuBLAS counts to")),
        };
        let (m, n, k) = (size(op.m)?, size(op.n)?, size(op.k)?);
        let (turn_b, ldb, turn_a, lda) = match op.layout {
            Layout::Forward => (TURNED, k, PLAIN, k),
            Layout::Input => (PLAIN, n, PLAIN, k),
            Layout::Weight => (PLAIN, n, TURNED, m),
        };
        let (alpha, beta) = (op.alpha as f32, if op.accumulate { 1.0_f32 } else { 0.0 });
        let compute = if self.options.tf32 {
            blas::cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_TF32
        } else {
            blas::cublasComputeType_t::CUBLAS_COMPUTE_32F
        };
        self.ctx.bind_to_thread().map_err(|e| Error::driver("gemm", e))?;
        // SAFETY: sizes were checked against the buffers, and the two factors outlive the call.
        let done = unsafe {
            result::gemm_ex(
                *handle.handle(),
                turn_b,
                turn_a,
                n,
                m,
                k,
                (&raw const alpha).cast::<c_void>(),
                b as *const c_void,
                kind,
                ldb,
                a as *const c_void,
                kind,
                lda,
                (&raw const beta).cast::<c_void>(),
                c as *mut c_void,
                blas::cudaDataType_t::CUDA_R_32F,
                n,
                compute,
                blas::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
            )
        };
        done.map_err(|e| Error::Launch {
            what: format!("cuBLAS, {op:?}"),
            why: format!("{:?}", e.0),
        })
    }

    fn own_gemm(&self, op: Gemm, a: Arg, b: Arg, kind: Kind, c: Arg) -> Result<()> {
        let Gemm { m, n, k, .. } = op;
        let size = |x: usize| match int(x)? {
            Arg::Int(x) => Ok(x),
            _ => Error::shape("gemm", "a size"),
        };
        let product = Product {
            m: size(m)?,
            n: size(n)?,
            k: size(k)?,
            alpha: op.alpha as f32,
            accumulate: i32::from(op.accumulate),
        };
        let chunks = k.div_ceil(TERMS).max(1);
        let columns = n.div_ceil(64);
        if op.layout == Layout::Forward && m <= FEW_ROWS && m * n * chunks * 4 <= FEW_BYTES {
            let part = self.alloc::<f32>(m * n * chunks)?;
            let args = [Arg::Product(product), a, b, self.at(&part)];
            let (name, rows, threads, shared) = match (kind, m <= 16) {
                (Kind::F32, _) => ("gemm_few_f32", 16, 256, 0),
                (Kind::Bf16, true) => ("gemm_few_bf16_16", 16, 128, FEW_16_SHARED),
                (Kind::Bf16, false) => ("gemm_few_bf16_64", 64, 128, FEW_64_SHARED),
                (Kind::Int8(_), true) => ("gemm_few_w8_16", 16, 128, FEW_16_SHARED),
                (Kind::Int8(_), false) => ("gemm_few_w8_64", 64, 128, FEW_64_SHARED),
            };
            self.launch(name, (columns, m.div_ceil(rows), chunks), threads, shared, &args)?;
            let (product, chunks, part) = (Arg::Product(product), int(chunks)?, self.at(&part));
            return match kind {
                Kind::Int8(factors) => {
                    let args = [product, chunks, part, factors, c];
                    self.launch("gemm_join_w8", spread(m * n), 256, 0, &args)
                }
                _ => self.launch("gemm_join", spread(m * n), 256, 0, &[product, chunks, part, c]),
            };
        }
        if let Kind::Int8(factors) = kind {
            let args = [Arg::Product(product), a, b, factors, c];
            return self.launch("gemm_forward_w8", (columns, m.div_ceil(64), 1), 128, 0, &args);
        }
        let (name, threads) = match (op.layout, kind) {
            (Layout::Forward, Kind::F32) => ("gemm_forward_f32", 256),
            (Layout::Input, Kind::F32) => ("gemm_input_f32", 256),
            (Layout::Weight, _) => ("gemm_weight_f32", 256),
            (Layout::Forward, _) => ("gemm_forward_bf16", 128),
            (Layout::Input, _) => ("gemm_input_bf16", 128),
        };
        self.launch(
            name,
            (columns, m.div_ceil(64), 1),
            threads,
            0,
            &[Arg::Product(product), a, b, c],
        )
    }

    pub(crate) fn lora_shrink(
        &self,
        groups: &[LoraGroup<'_, Buf>],
        d_in: usize,
        x: &Buf,
        stride: usize,
        u: &mut Buf,
    ) -> Result<()> {
        let what = "lora_shrink";
        let rows = last_row(groups);
        let (from, to) = (
            self.at(x.floats(what, rows * d_in)?),
            self.at(u.floats_mut(what, rows * stride)?),
        );
        let (many, few) = self.by_rows(groups, stride);
        for group in many {
            let op = Gemm::forward(group.rows, d_in, stride);
            let (x, u) = (past(from, group.start * d_in)?, past(to, group.start * stride)?);
            self.multiply(op, x, weights(what, group.pair.a, stride * d_in, self)?, u)?;
        }
        for (half, name) in [(false, "lora_shrink_f32"), (true, "lora_shrink_bf16")] {
            let (pairs, tasks, widest) = self.lora(what, &few, half, (d_in, 0))?;
            if widest > stride {
                return Error::shape(what, format!("rank {widest} does not fit in rows of {stride}"));
            }
            if tasks.is_empty() {
                continue;
            }
            let (pairs, table) = (self.table("pairs", &pairs)?, self.table("tasks", &tasks)?);
            let args = [pairs.arg(), table.arg(), int(d_in)?, from, int(stride)?, to];
            self.launch(name, (tasks.len(), widest.div_ceil(8), 1), 256, 0, &args)?;
        }
        Ok(())
    }

    pub(crate) fn lora_expand(
        &self,
        groups: &[LoraGroup<'_, Buf>],
        d_out: usize,
        u: &Buf,
        stride: usize,
        y: &mut Buf,
    ) -> Result<()> {
        let what = "lora_expand";
        let rows = last_row(groups);
        let (from, to) = (
            self.at(u.floats(what, rows * stride)?),
            self.at(y.floats_mut(what, rows * d_out)?),
        );
        let (many, few) = self.by_rows(groups, stride);
        for group in many {
            let op = Gemm::forward(group.rows, stride, d_out)
                .scaled(group.pair.scale)
                .adding();
            let (u, y) = (past(from, group.start * stride)?, past(to, group.start * d_out)?);
            self.multiply(op, u, weights(what, group.pair.b, d_out * stride, self)?, y)?;
        }
        for (half, name) in [(false, "lora_expand_f32"), (true, "lora_expand_bf16")] {
            let (pairs, tasks, _) = self.lora(what, &few, half, (0, d_out))?;
            if tasks.is_empty() {
                continue;
            }
            let (pairs, table) = (self.table("pairs", &pairs)?, self.table("tasks", &tasks)?);
            let args = [pairs.arg(), table.arg(), int(d_out)?, from, int(stride)?, to];
            self.launch(name, (tasks.len(), d_out.div_ceil(256), 1), 256, 0, &args)?;
        }
        Ok(())
    }

    /// Groups with the rows of a prompt, whose modules fast mode multiplies by as it does by the base's, and all others.
    fn by_rows<'a, 'b>(
        &self,
        groups: &'a [LoraGroup<'b, Buf>],
        stride: usize,
    ) -> (Vec<&'a LoraGroup<'b, Buf>>, Vec<&'a LoraGroup<'b, Buf>>) {
        groups.iter().partition(|group| {
            self.options.mode == Mode::Fast && group.rows >= MANY_ROWS && group.pair.rank == stride
        })
    }

    /// The table of modules whose numbers are of one kind, the tasks over it, and the largest rank. Widths of 0 are not looked at.
    fn lora(
        &self,
        what: &'static str,
        groups: &[&LoraGroup<'_, Buf>],
        half: bool,
        (d_in, d_out): (usize, usize),
    ) -> Result<(Vec<Pair>, Vec<Task>, usize)> {
        let (mut pairs, mut tasks, mut widest) = (Vec::new(), Vec::new(), 0);
        for group in groups.iter().filter(|group| group.rows > 0) {
            let (a, b) = (group.pair.a, group.pair.b);
            let (a_at, b_at) = match (&a.data, &b.data) {
                (Data::F32(a), Data::F32(b)) => (!half).then(|| (self.address(a), self.address(b))),
                (Data::Bf16(a), Data::Bf16(b)) => half.then(|| (self.address(a), self.address(b))),
                _ => return Error::shape(what, "A and B of a module are of two kinds, or without memory"),
            }
            .unwrap_or((0, 0));
            if a_at == 0 {
                continue;
            }
            let rank = group.pair.rank;
            if a.len < rank * d_in || b.len < rank * d_out {
                return Error::shape(
                    what,
                    format!("A of {} and B of {} elements at rank {rank}", a.len, b.len),
                );
            }
            widest = widest.max(rank);
            let pair = pairs.len() as i32;
            pairs.push(Pair {
                a: a_at,
                b: b_at,
                rank: rank as i32,
                scale: group.pair.scale as f32,
            });
            for row in (group.start..group.start + group.rows).step_by(LORA_ROWS) {
                tasks.push(Task {
                    row: row as i32,
                    rows: LORA_ROWS.min(group.start + group.rows - row) as i32,
                    pair,
                });
            }
        }
        Ok((pairs, tasks, widest))
    }
}

/// The address so many f32 further on.
fn past(arg: Arg, elements: usize) -> Result<Arg> {
    match arg {
        Arg::Ptr(at) => Ok(Arg::Ptr(at + 4 * elements as u64)),
        _ => Error::shape("gemm", "a factor without memory"),
    }
}

/// Where the numbers of a module's matrix lie.
fn weights(what: &'static str, matrix: &Buf, least: usize, device: &Device) -> Result<Weights> {
    match &matrix.data {
        Data::F32(slice) if matrix.len >= least => Ok(Weights::F32(device.address(slice))),
        Data::Bf16(slice) if matrix.len >= least => Ok(Weights::Bf16(device.address(slice))),
        _ => Error::shape(
            what,
            format!(
                "a matrix of {} elements where {least} of f32 or bf16 are needed",
                matrix.len
            ),
        ),
    }
}

fn last_row(groups: &[LoraGroup<'_, Buf>]) -> usize {
    groups
        .iter()
        .map(|group| group.start + group.rows)
        .max()
        .unwrap_or(0)
}

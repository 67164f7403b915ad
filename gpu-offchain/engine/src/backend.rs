//! What a device must do: a few coarse operations over buffers it owns.
//!
//! Matrices are row-major. Unless a device was opened to be fast instead, every operation is deterministic: an element of a result depends on
//! its own inputs alone and is reduced in one fixed order, whatever else is in the batch and however many threads there are.

use crate::real::Real;
use crate::sampler::{Draw, Sampled};

/// A matrix product `C = alpha · A·B (+ C)` with C `[m, n]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gemm {
    /// Rows of C.
    pub m: usize,
    /// Columns of C.
    pub n: usize,
    /// Length of each sum.
    pub k: usize,
    /// How A and B are stored.
    pub layout: Layout,
    /// Factor of the product.
    pub alpha: f64,
    /// Whether C is added to; otherwise it is overwritten.
    pub accumulate: bool,
}

/// How the operands of a product are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// A `[m, k]`, B `[n, k]`: a linear layer's forward pass, `y = x·Wᵀ`.
    Forward,
    /// A `[m, k]`, B `[k, n]`: its gradient at the input, `dx = dy·W`.
    Input,
    /// A `[k, m]`, B `[k, n]`: its gradient at the weight, `dW = dyᵀ·x`.
    Weight,
}

impl Gemm {
    /// `y[rows, d_out] = x[rows, d_in] · w[d_out, d_in]ᵀ`.
    pub fn forward(rows: usize, d_in: usize, d_out: usize) -> Self {
        Gemm {
            m: rows,
            n: d_out,
            k: d_in,
            layout: Layout::Forward,
            alpha: 1.0,
            accumulate: false,
        }
    }

    /// `dx[rows, d_in] = dy[rows, d_out] · w[d_out, d_in]`.
    pub fn input(rows: usize, d_in: usize, d_out: usize) -> Self {
        Gemm {
            m: rows,
            n: d_in,
            k: d_out,
            layout: Layout::Input,
            alpha: 1.0,
            accumulate: false,
        }
    }

    /// `dw[d_out, d_in] = dy[rows, d_out]ᵀ · x[rows, d_in]`.
    pub fn weight(rows: usize, d_in: usize, d_out: usize) -> Self {
        Gemm {
            m: d_out,
            n: d_in,
            k: rows,
            layout: Layout::Weight,
            alpha: 1.0,
            accumulate: false,
        }
    }

    /// Scales the product.
    pub fn scaled(self, alpha: f64) -> Self {
        Gemm { alpha, ..self }
    }

    /// Adds to C.
    pub fn adding(self) -> Self {
        Gemm {
            accumulate: true,
            ..self
        }
    }
}

/// The shape of attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// Query heads.
    pub q: usize,
    /// Key and value heads; query head h reads key head `h · kv / q`.
    pub kv: usize,
    /// Width of a head.
    pub dim: usize,
}

/// Rows of one sequence in a batch, and where its keys and values lie. Row i sees the first `kv_len - q_len + i + 1` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// First query row.
    pub q_start: usize,
    /// Number of query rows.
    pub q_len: usize,
    /// First key and value row.
    pub kv_start: usize,
    /// Number of keys and values, those of the query rows included.
    pub kv_len: usize,
}

/// Rows of one sequence in a batch, and where the numbers of the pages of its keys and values begin in the batch's table of pages. Row i
/// sees the first `kv_len - q_len + i + 1` keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PagedSegment {
    /// First query row.
    pub q_start: usize,
    /// Number of query rows.
    pub q_len: usize,
    /// Place of its first page's number.
    pub table_start: usize,
    /// Number of keys and values, those of the query rows included.
    pub kv_len: usize,
}

/// A low-rank module on a device.
#[derive(Debug)]
pub struct LoraPair<T> {
    /// `[rank, d_in]`.
    pub a: T,
    /// `[d_out, rank]`.
    pub b: T,
    /// The inner width.
    pub rank: usize,
    /// Factor of the module's output.
    pub scale: f64,
}

impl<T> LoraPair<T> {
    /// The same module, its matrices borrowed.
    pub fn borrowed(&self) -> LoraPair<&T> {
        LoraPair {
            a: &self.a,
            b: &self.b,
            rank: self.rank,
            scale: self.scale,
        }
    }
}

/// Consecutive rows of a batch that use one adapter's module.
#[derive(Debug)]
pub struct LoraGroup<'a, T> {
    /// First row.
    pub start: usize,
    /// Number of rows.
    pub rows: usize,
    /// The module.
    pub pair: LoraPair<&'a T>,
}

/// What becomes of a device on which an operation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// It has no memory for this; less may fit.
    Memory,
    /// It refused this; it works on.
    Operation,
    /// Nothing more runs on it until the process starts anew.
    Lost,
}

/// An operation that failed on a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Fault {
    /// What becomes of the device.
    pub kind: FaultKind,
    /// What happened and what helps, for people.
    pub what: String,
}

/// Constants of one AdamW step; `grad` is multiplied by `grad_scale` first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamStep {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Number of this step, from 1.
    pub step: usize,
    /// Clipping and averaging.
    pub grad_scale: f64,
}

/// A target that does not count.
pub const IGNORE: u32 = u32::MAX;

/// A device. Buffers are flat; shapes are in the calls.
///
/// Operations return nothing. On a device where one can fail, the first failure of a thread is remembered for it: what that thread asks for
/// afterwards is skipped, and results are worthless, until it has called [`Backend::take_fault`]. Whoever computes asks before it uses a result.
pub trait Backend: Send + Sync + 'static {
    /// The number type.
    type Elem: Real;
    /// A buffer on the device.
    type Buf: Send + Sync + 'static;

    /// Names the backend and the order its results depend on; equal names give equal bits, but for those with `fast` in them.
    fn arch(&self) -> String;
    /// A buffer of zeros.
    fn zeros(&self, len: usize) -> Self::Buf;
    /// Waits for what this thread asked for; what failed since it last asked, if anything did. A lost device stays lost, for every thread.
    fn take_fault(&self) -> Option<Fault> {
        None
    }
    /// Why the device is lost, once anybody has met that; waits for nothing.
    fn lost(&self) -> Option<Fault> {
        None
    }
    /// A buffer with these values.
    fn upload(&self, host: &[Self::Elem]) -> Self::Buf;
    /// The same for weights that come while others compute: the device goes on with what is under way meanwhile.
    fn upload_beside(&self, hosts: &[&[Self::Elem]]) -> Vec<Self::Buf> {
        hosts.iter().map(|host| self.upload(host)).collect()
    }
    /// Whether its memory is not the host's: what can be summed there had better not be copied to be summed.
    fn is_apart(&self) -> bool {
        false
    }
    /// Sets at most so many bytes aside for what [`Backend::upload_beside`] brings.
    fn set_aside(&self, bytes: usize) {
        let _ = bytes;
    }
    /// Does `work`, a step of which many alike follow: a device may start its operations as a whole at the end. Results are what they are
    /// without.
    fn step<T>(&self, work: impl FnOnce() -> T) -> T {
        work()
    }
    /// The values of a buffer.
    fn download(&self, buf: &Self::Buf) -> Vec<Self::Elem>;
    /// Sets a buffer to zero.
    fn clear(&self, buf: &mut Self::Buf);

    /// Rows of a table: `out[i] = table[ids[i]]`, each `d` wide.
    fn gather(&self, table: &Self::Buf, ids: &[u32], d: usize, out: &mut Self::Buf);
    /// `table[ids[i]] += rows[i]`, in the order of i.
    fn scatter_add(&self, rows: &Self::Buf, ids: &[u32], d: usize, table: &mut Self::Buf);
    /// A matrix product.
    fn gemm(&self, op: Gemm, a: &Self::Buf, b: &Self::Buf, c: &mut Self::Buf);
    /// `y += x`.
    fn add(&self, x: &Self::Buf, y: &mut Self::Buf);
    /// `y[i] += bias` for every row.
    fn add_bias(&self, bias: &Self::Buf, rows: usize, d: usize, y: &mut Self::Buf);
    /// `bias += Σ dy[i]`.
    fn add_bias_backward(&self, dy: &Self::Buf, rows: usize, d: usize, dbias: &mut Self::Buf);

    /// `y = x · w / rms(x)` for every row of width `d`; `inv` receives 1/rms.
    fn rmsnorm(
        &self,
        x: &Self::Buf,
        w: &Self::Buf,
        eps: f64,
        d: usize,
        y: &mut Self::Buf,
        inv: &mut Self::Buf,
    );
    /// Adds the gradient at x to `dx` and, if asked, at w to `dw`.
    #[allow(clippy::too_many_arguments)]
    fn rmsnorm_backward(
        &self,
        x: &Self::Buf,
        w: &Self::Buf,
        inv: &Self::Buf,
        dy: &Self::Buf,
        d: usize,
        dx: &mut Self::Buf,
        dw: Option<&mut Self::Buf>,
    );

    /// Rotates q in place and k on its way into the cache, by `table[position] = cos ‖ sin` (each `dim / 2`); row i of k and v goes to
    /// row `slots[i]` of the caches.
    #[allow(clippy::too_many_arguments)]
    fn rope_kv(
        &self,
        heads: Heads,
        table: &Self::Buf,
        positions: &[u32],
        slots: &[u32],
        q: &mut Self::Buf,
        k: &Self::Buf,
        v: &Self::Buf,
        k_cache: &mut Self::Buf,
        v_cache: &mut Self::Buf,
    );
    /// As [`Backend::rope_kv`] into caches of pages of `page` tokens; token t of page p has slot `p · page + t`. How a page is laid out is
    /// the device's own affair: only [`Backend::paged_attention`] reads it.
    #[allow(clippy::too_many_arguments)]
    fn rope_paged_kv(
        &self,
        heads: Heads,
        page: usize,
        table: &Self::Buf,
        positions: &[u32],
        slots: &[u32],
        q: &mut Self::Buf,
        k: &Self::Buf,
        v: &Self::Buf,
        k_cache: &mut Self::Buf,
        v_cache: &mut Self::Buf,
    );
    /// Rotates gradients back, in place.
    fn rope_backward(
        &self,
        heads: usize,
        dim: usize,
        table: &Self::Buf,
        positions: &[u32],
        grad: &mut Self::Buf,
    );

    /// Causal softmax attention with scale `1/√dim`; `lse[row, head]` receives the logarithm of each softmax's sum.
    #[allow(clippy::too_many_arguments)]
    fn attention(
        &self,
        heads: Heads,
        segments: &[Segment],
        q: &Self::Buf,
        k: &Self::Buf,
        v: &Self::Buf,
        out: &mut Self::Buf,
        lse: &mut Self::Buf,
    );
    /// [`Backend::attention`] over caches of pages; `tables` holds the pages of every segment, one segment after another. Gives the same
    /// bits as over caches without pages.
    #[allow(clippy::too_many_arguments)]
    fn paged_attention(
        &self,
        heads: Heads,
        page: usize,
        segments: &[PagedSegment],
        tables: &[u32],
        q: &Self::Buf,
        k_cache: &Self::Buf,
        v_cache: &Self::Buf,
        out: &mut Self::Buf,
        lse: &mut Self::Buf,
    );
    /// Gradients of [`Backend::attention`] where keys and values are rows like the queries; overwrites `dq`, `dk`, `dv`.
    #[allow(clippy::too_many_arguments)]
    fn attention_backward(
        &self,
        heads: Heads,
        segments: &[Segment],
        q: &Self::Buf,
        k: &Self::Buf,
        v: &Self::Buf,
        out: &Self::Buf,
        lse: &Self::Buf,
        dout: &Self::Buf,
        dq: &mut Self::Buf,
        dk: &mut Self::Buf,
        dv: &mut Self::Buf,
    );

    /// `out = silu(gate) · up`.
    fn silu_mul(&self, gate: &Self::Buf, up: &Self::Buf, out: &mut Self::Buf);
    /// Gradients of [`Backend::silu_mul`]; overwrites both.
    fn silu_mul_backward(
        &self,
        gate: &Self::Buf,
        up: &Self::Buf,
        dout: &Self::Buf,
        dgate: &mut Self::Buf,
        dup: &mut Self::Buf,
    );

    /// `u[i] = A·x[i]` for the rows of each group; rows of u are `stride` wide.
    fn lora_shrink(
        &self,
        groups: &[LoraGroup<'_, Self::Buf>],
        d_in: usize,
        x: &Self::Buf,
        stride: usize,
        u: &mut Self::Buf,
    );
    /// `y[i] += scale · B·u[i]` for the rows of each group.
    fn lora_expand(
        &self,
        groups: &[LoraGroup<'_, Self::Buf>],
        d_out: usize,
        u: &Self::Buf,
        stride: usize,
        y: &mut Self::Buf,
    );

    /// A copy of `x` in which every element is 0 with probability `share` and else divided by `1 - share`. What becomes of an element follows
    /// from seed, place, its row's two numbers and its column.
    fn dropout(&self, x: &Self::Buf, share: f64, seed: u64, place: u32, rows: &[[u32; 2]]) -> Self::Buf {
        use crate::sampler::{key, philox};
        let mut host = self.download(x);
        let width = host.len() / rows.len().max(1);
        let (scale, bound) = (Self::Elem::from_f64(1.0 / (1.0 - share)), share * 4_294_967_296.0);
        for (row, id) in host.chunks_mut(width.max(1)).zip(rows) {
            for (block, four) in row.chunks_mut(4).enumerate() {
                let words = philox([block as u32, place, id[0], id[1]], key(seed));
                for (x, word) in four.iter_mut().zip(words) {
                    *x = if f64::from(word) < bound {
                        Self::Elem::ZERO
                    } else {
                        *x * scale
                    };
                }
            }
        }
        self.upload(&host)
    }

    /// The loss `-ln softmax(logits)[target]` of every row, 0 for [`IGNORE`]; logits become `scale` times the gradient. The gradient at the
    /// target is minus the sum of the other probabilities, so that nothing cancels.
    fn cross_entropy(&self, vocab: usize, targets: &[u32], scale: f64, logits: &mut Self::Buf) -> Vec<f64>;

    /// Chooses a token for every row of `logits`.
    fn sample(&self, logits: &Self::Buf, vocab: usize, draws: &[Draw]) -> Vec<Sampled> {
        let host: Vec<f32> = self.download(logits).into_iter().map(Real::to_f32).collect();
        host.chunks(vocab)
            .zip(draws)
            .map(|(row, draw)| crate::sampler::sample(row, draw))
            .collect()
    }

    /// One AdamW step of a buffer.
    fn adamw(
        &self,
        step: AdamStep,
        grad: &Self::Buf,
        m: &mut Self::Buf,
        v: &mut Self::Buf,
        param: &mut Self::Buf,
    );
    /// The sum of squares.
    fn sum_squares(&self, x: &Self::Buf) -> f64;
}

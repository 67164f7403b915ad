//! One of two backends, chosen while the program runs.

use crate::backend::{AdamStep, Backend, Fault, Gemm, Heads, LoraGroup, LoraPair, PagedSegment, Segment};
use crate::sampler::{Draw, Sampled};

/// One of two things: backends, or their buffers.
#[derive(Debug, Clone, Copy)]
pub enum Either<L, R> {
    /// The first.
    Left(L),
    /// The second.
    Right(R),
}

impl<L, R> Either<L, R> {
    // A buffer never leaves the backend it was made on: models, adapters and caches are made and used by one.
    fn left(&self) -> &L {
        match self {
            Either::Left(it) => it,
            Either::Right(_) => panic!("a buffer of the second backend was given to the first"),
        }
    }

    fn right(&self) -> &R {
        match self {
            Either::Right(it) => it,
            Either::Left(_) => panic!("a buffer of the first backend was given to the second"),
        }
    }

    fn left_mut(&mut self) -> &mut L {
        match self {
            Either::Left(it) => it,
            Either::Right(_) => panic!("a buffer of the second backend was given to the first"),
        }
    }

    fn right_mut(&mut self) -> &mut R {
        match self {
            Either::Right(it) => it,
            Either::Left(_) => panic!("a buffer of the first backend was given to the second"),
        }
    }
}

fn groups<'a, A, B>(all: &[LoraGroup<'a, A>], pick: impl Fn(&'a A) -> &'a B) -> Vec<LoraGroup<'a, B>> {
    let one = |g: &LoraGroup<'a, A>| LoraGroup {
        start: g.start,
        rows: g.rows,
        pair: LoraPair {
            a: pick(g.pair.a),
            b: pick(g.pair.b),
            rank: g.pair.rank,
            scale: g.pair.scale,
        },
    };
    all.iter().map(one).collect()
}

/// Calls an operation of whichever backend it is. Arguments in `[]` are buffers that are read, those in `{}` buffers that are written.
macro_rules! call {
    ($self:ident . $op:ident ( $($plain:expr),* ; [$($read:expr),*] ; {$($write:expr),*} )) => {
        match $self {
            Either::Left(it) => it.$op($($plain,)* $($read.left(),)* $($write.left_mut()),*),
            Either::Right(it) => it.$op($($plain,)* $($read.right(),)* $($write.right_mut()),*),
        }
    };
}

impl<L: Backend, R: Backend<Elem = L::Elem>> Backend for Either<L, R> {
    type Elem = L::Elem;
    type Buf = Either<L::Buf, R::Buf>;

    fn arch(&self) -> String {
        call!(self.arch(;[];{}))
    }

    fn take_fault(&self) -> Option<Fault> {
        call!(self.take_fault(;[];{}))
    }

    fn lost(&self) -> Option<Fault> {
        call!(self.lost(;[];{}))
    }

    fn zeros(&self, len: usize) -> Self::Buf {
        match self {
            Either::Left(it) => Either::Left(it.zeros(len)),
            Either::Right(it) => Either::Right(it.zeros(len)),
        }
    }

    fn upload(&self, host: &[Self::Elem]) -> Self::Buf {
        match self {
            Either::Left(it) => Either::Left(it.upload(host)),
            Either::Right(it) => Either::Right(it.upload(host)),
        }
    }

    fn upload_beside(&self, hosts: &[&[L::Elem]]) -> Vec<Self::Buf> {
        match self {
            Either::Left(it) => it.upload_beside(hosts).into_iter().map(Either::Left).collect(),
            Either::Right(it) => it.upload_beside(hosts).into_iter().map(Either::Right).collect(),
        }
    }

    fn is_apart(&self) -> bool {
        call!(self.is_apart(;[];{}))
    }

    fn set_aside(&self, bytes: usize) {
        match self {
            Either::Left(it) => it.set_aside(bytes),
            Either::Right(it) => it.set_aside(bytes),
        }
    }

    fn step<T>(&self, work: impl FnOnce() -> T) -> T {
        match self {
            Either::Left(it) => it.step(work),
            Either::Right(it) => it.step(work),
        }
    }

    fn download(&self, buf: &Self::Buf) -> Vec<Self::Elem> {
        call!(self.download(;[buf];{}))
    }

    fn clear(&self, buf: &mut Self::Buf) {
        call!(self.clear(;[];{buf}))
    }

    fn gather(&self, table: &Self::Buf, ids: &[u32], d: usize, out: &mut Self::Buf) {
        match self {
            Either::Left(it) => it.gather(table.left(), ids, d, out.left_mut()),
            Either::Right(it) => it.gather(table.right(), ids, d, out.right_mut()),
        }
    }

    fn scatter_add(&self, rows: &Self::Buf, ids: &[u32], d: usize, table: &mut Self::Buf) {
        match self {
            Either::Left(it) => it.scatter_add(rows.left(), ids, d, table.left_mut()),
            Either::Right(it) => it.scatter_add(rows.right(), ids, d, table.right_mut()),
        }
    }

    fn gemm(&self, op: Gemm, a: &Self::Buf, b: &Self::Buf, c: &mut Self::Buf) {
        call!(self.gemm(op; [a, b]; {c}))
    }

    fn add(&self, x: &Self::Buf, y: &mut Self::Buf) {
        call!(self.add(; [x]; {y}))
    }

    fn add_bias(&self, bias: &Self::Buf, rows: usize, d: usize, y: &mut Self::Buf) {
        match self {
            Either::Left(it) => it.add_bias(bias.left(), rows, d, y.left_mut()),
            Either::Right(it) => it.add_bias(bias.right(), rows, d, y.right_mut()),
        }
    }

    fn add_bias_backward(&self, dy: &Self::Buf, rows: usize, d: usize, dbias: &mut Self::Buf) {
        match self {
            Either::Left(it) => it.add_bias_backward(dy.left(), rows, d, dbias.left_mut()),
            Either::Right(it) => it.add_bias_backward(dy.right(), rows, d, dbias.right_mut()),
        }
    }

    fn rmsnorm(
        &self,
        x: &Self::Buf,
        w: &Self::Buf,
        eps: f64,
        d: usize,
        y: &mut Self::Buf,
        inv: &mut Self::Buf,
    ) {
        match self {
            Either::Left(it) => it.rmsnorm(x.left(), w.left(), eps, d, y.left_mut(), inv.left_mut()),
            Either::Right(it) => it.rmsnorm(x.right(), w.right(), eps, d, y.right_mut(), inv.right_mut()),
        }
    }

    fn rmsnorm_backward(
        &self,
        x: &Self::Buf,
        w: &Self::Buf,
        inv: &Self::Buf,
        dy: &Self::Buf,
        d: usize,
        dx: &mut Self::Buf,
        dw: Option<&mut Self::Buf>,
    ) {
        match self {
            Either::Left(it) => it.rmsnorm_backward(
                x.left(),
                w.left(),
                inv.left(),
                dy.left(),
                d,
                dx.left_mut(),
                dw.map(Either::left_mut),
            ),
            Either::Right(it) => it.rmsnorm_backward(
                x.right(),
                w.right(),
                inv.right(),
                dy.right(),
                d,
                dx.right_mut(),
                dw.map(Either::right_mut),
            ),
        }
    }

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
    ) {
        match self {
            Either::Left(it) => it.rope_kv(
                heads,
                table.left(),
                positions,
                slots,
                q.left_mut(),
                k.left(),
                v.left(),
                k_cache.left_mut(),
                v_cache.left_mut(),
            ),
            Either::Right(it) => it.rope_kv(
                heads,
                table.right(),
                positions,
                slots,
                q.right_mut(),
                k.right(),
                v.right(),
                k_cache.right_mut(),
                v_cache.right_mut(),
            ),
        }
    }

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
    ) {
        match self {
            Either::Left(it) => it.rope_paged_kv(
                heads,
                page,
                table.left(),
                positions,
                slots,
                q.left_mut(),
                k.left(),
                v.left(),
                k_cache.left_mut(),
                v_cache.left_mut(),
            ),
            Either::Right(it) => it.rope_paged_kv(
                heads,
                page,
                table.right(),
                positions,
                slots,
                q.right_mut(),
                k.right(),
                v.right(),
                k_cache.right_mut(),
                v_cache.right_mut(),
            ),
        }
    }

    fn rope_backward(
        &self,
        heads: usize,
        dim: usize,
        table: &Self::Buf,
        positions: &[u32],
        grad: &mut Self::Buf,
    ) {
        match self {
            Either::Left(it) => it.rope_backward(heads, dim, table.left(), positions, grad.left_mut()),
            Either::Right(it) => it.rope_backward(heads, dim, table.right(), positions, grad.right_mut()),
        }
    }

    fn attention(
        &self,
        heads: Heads,
        segments: &[Segment],
        q: &Self::Buf,
        k: &Self::Buf,
        v: &Self::Buf,
        out: &mut Self::Buf,
        lse: &mut Self::Buf,
    ) {
        call!(self.attention(heads, segments; [q, k, v]; {out, lse}))
    }

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
    ) {
        call!(self.paged_attention(heads, page, segments, tables; [q, k_cache, v_cache]; {out, lse}))
    }

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
    ) {
        call!(self.attention_backward(heads, segments; [q, k, v, out, lse, dout]; {dq, dk, dv}))
    }

    fn silu_mul(&self, gate: &Self::Buf, up: &Self::Buf, out: &mut Self::Buf) {
        call!(self.silu_mul(; [gate, up]; {out}))
    }

    fn silu_mul_backward(
        &self,
        gate: &Self::Buf,
        up: &Self::Buf,
        dout: &Self::Buf,
        dgate: &mut Self::Buf,
        dup: &mut Self::Buf,
    ) {
        call!(self.silu_mul_backward(; [gate, up, dout]; {dgate, dup}))
    }

    fn lora_shrink(
        &self,
        all: &[LoraGroup<'_, Self::Buf>],
        d_in: usize,
        x: &Self::Buf,
        stride: usize,
        u: &mut Self::Buf,
    ) {
        match self {
            Either::Left(it) => {
                it.lora_shrink(&groups(all, Either::left), d_in, x.left(), stride, u.left_mut());
            }
            Either::Right(it) => {
                it.lora_shrink(
                    &groups(all, Either::right),
                    d_in,
                    x.right(),
                    stride,
                    u.right_mut(),
                );
            }
        }
    }

    fn lora_expand(
        &self,
        all: &[LoraGroup<'_, Self::Buf>],
        d_out: usize,
        u: &Self::Buf,
        stride: usize,
        y: &mut Self::Buf,
    ) {
        match self {
            Either::Left(it) => {
                it.lora_expand(&groups(all, Either::left), d_out, u.left(), stride, y.left_mut());
            }
            Either::Right(it) => {
                it.lora_expand(
                    &groups(all, Either::right),
                    d_out,
                    u.right(),
                    stride,
                    y.right_mut(),
                );
            }
        }
    }

    fn dropout(&self, x: &Self::Buf, share: f64, seed: u64, place: u32, rows: &[[u32; 2]]) -> Self::Buf {
        match self {
            Either::Left(it) => Either::Left(it.dropout(x.left(), share, seed, place, rows)),
            Either::Right(it) => Either::Right(it.dropout(x.right(), share, seed, place, rows)),
        }
    }

    fn cross_entropy(&self, vocab: usize, targets: &[u32], scale: f64, logits: &mut Self::Buf) -> Vec<f64> {
        call!(self.cross_entropy(vocab, targets, scale; []; {logits}))
    }

    fn sample(&self, logits: &Self::Buf, vocab: usize, draws: &[Draw]) -> Vec<Sampled> {
        match self {
            Either::Left(it) => it.sample(logits.left(), vocab, draws),
            Either::Right(it) => it.sample(logits.right(), vocab, draws),
        }
    }

    fn adamw(
        &self,
        step: AdamStep,
        grad: &Self::Buf,
        m: &mut Self::Buf,
        v: &mut Self::Buf,
        param: &mut Self::Buf,
    ) {
        call!(self.adamw(step; [grad]; {m, v, param}))
    }

    fn sum_squares(&self, x: &Self::Buf) -> f64 {
        call!(self.sum_squares(; [x]; {}))
    }
}

//! The forward pass that remembers, and the backward pass.

use openledger_engine::backend::{Backend, Gemm, LoraGroup, LoraPair};
use openledger_engine::{DeviceAdapter, Layer, Net};
use openledger_model::Target;

use crate::data::Packed;
use crate::grads::{BaseGrads, LoraGrads};

/// Which inputs of an adapter are left out in a step. Each is decided by seed, epoch, example, position, module and column alone, so that a
/// step is the same whatever else is in it and whether the run was interrupted.
#[derive(Debug, Clone)]
pub(crate) struct Dropout {
    pub(crate) share: f64,
    pub(crate) seed: u64,
    /// Example and position of every row.
    pub(crate) rows: Vec<[u32; 2]>,
}

impl Dropout {
    /// `x` with a share of its elements left out and the others scaled up.
    fn apply<B: Backend>(&self, be: &B, layer: usize, target: Target, x: &B::Buf) -> B::Buf {
        let place = (layer * 7 + target.index()) as u32;
        be.dropout(x, self.share, self.seed, place, &self.rows)
    }
}

/// What a layer remembers.
struct LayerTape<T> {
    x: T,
    y1: T,
    inv1: T,
    q: T,
    k: T,
    v: T,
    attended: T,
    lse: T,
    mid_x: T,
    y2: T,
    inv2: T,
    gate: T,
    up: T,
    mid: T,
    /// A·x of every adapted module.
    u: [Option<T>; 7],
}

/// What the forward pass remembers.
pub(crate) struct Tape<T> {
    layers: Vec<LayerTape<T>>,
    x: T,
    normed: T,
    inv: T,
    dropout: Option<Dropout>,
    /// `[rows, vocab]`.
    pub(crate) logits: T,
}

fn pair<T>(lora: Option<&DeviceAdapter<T>>, layer: usize, target: Target) -> Option<&LoraPair<T>> {
    lora?.modules[layer][target.index()].as_ref()
}

/// Runs a batch.
pub(crate) fn forward<B: Backend>(
    net: &Net<B>,
    lora: Option<&DeviceAdapter<B::Buf>>,
    p: &Packed,
) -> Tape<B::Buf> {
    forward_with(net, lora, p, None)
}

/// The same, leaving out inputs of the adapter.
pub(crate) fn forward_with<B: Backend>(
    net: &Net<B>,
    lora: Option<&DeviceAdapter<B::Buf>>,
    p: &Packed,
    dropout: Option<Dropout>,
) -> Tape<B::Buf> {
    let (be, config, heads) = (&net.backend, net.config(), net.heads());
    let (rows, hidden, eps) = (p.rows(), config.hidden_size, config.rms_norm_eps);
    let buf = |width: usize| be.zeros(rows * width);
    let mut x = buf(hidden);
    be.gather(&net.embed, &p.tokens, hidden, &mut x);
    let copy = |x: &B::Buf| {
        let mut out = buf(hidden);
        be.add(x, &mut out);
        out
    };
    let mut layers = Vec::with_capacity(net.layers.len());
    for (index, layer) in net.layers.iter().enumerate() {
        let mut u: [Option<B::Buf>; 7] = Default::default();
        let mut linear = |target: Target, input: &B::Buf| {
            let (d_out, d_in) = config.module_shape(target);
            let at = target.index();
            let mut output = buf(d_out);
            be.gemm(
                Gemm::forward(rows, d_in, d_out),
                input,
                &layer.linear[at],
                &mut output,
            );
            if let Some(bias) = &layer.bias[at] {
                be.add_bias(bias, rows, d_out, &mut output);
            }
            if let Some(pair) = pair(lora, index, target) {
                let group = [LoraGroup { start: 0, rows, pair }];
                let mut shrunk = buf(pair.rank);
                let left = dropout.as_ref().map(|d| d.apply(be, index, target, input));
                let input = left.as_ref().unwrap_or(input);
                be.lora_shrink(&group, d_in, input, pair.rank, &mut shrunk);
                be.lora_expand(&group, d_out, &shrunk, pair.rank, &mut output);
                u[at] = Some(shrunk);
            }
            output
        };
        let before = copy(&x);
        let (mut y1, mut inv1) = (buf(hidden), buf(1));
        be.rmsnorm(&x, &layer.norm1, eps, hidden, &mut y1, &mut inv1);
        let (mut q, raw_k, raw_v) = (
            linear(Target::Q, &y1),
            linear(Target::K, &y1),
            linear(Target::V, &y1),
        );
        let (mut k, mut v) = (buf(config.kv_dim()), buf(config.kv_dim()));
        be.rope_kv(
            heads,
            net.rope(),
            &p.positions,
            &p.slots,
            &mut q,
            &raw_k,
            &raw_v,
            &mut k,
            &mut v,
        );
        let (mut attended, mut lse) = (buf(config.q_dim()), buf(heads.q));
        be.attention(heads, &p.segments, &q, &k, &v, &mut attended, &mut lse);
        be.add(&linear(Target::O, &attended), &mut x);
        let mid_x = copy(&x);
        let (mut y2, mut inv2) = (buf(hidden), buf(1));
        be.rmsnorm(&x, &layer.norm2, eps, hidden, &mut y2, &mut inv2);
        let (gate, up) = (linear(Target::Gate, &y2), linear(Target::Up, &y2));
        let mut mid = buf(config.intermediate_size);
        be.silu_mul(&gate, &up, &mut mid);
        be.add(&linear(Target::Down, &mid), &mut x);
        layers.push(LayerTape {
            x: before,
            y1,
            inv1,
            q,
            k,
            v,
            attended,
            lse,
            mid_x,
            y2,
            inv2,
            gate,
            up,
            mid,
            u,
        });
    }
    let (mut normed, mut inv, mut logits) = (buf(hidden), buf(1), buf(config.vocab_size));
    be.rmsnorm(&x, &net.norm, eps, hidden, &mut normed, &mut inv);
    be.gemm(
        Gemm::forward(rows, hidden, config.vocab_size),
        &normed,
        net.output(),
        &mut logits,
    );
    Tape {
        layers,
        x,
        normed,
        inv,
        dropout,
        logits,
    }
}

/// Sees the input `[rows, d_in]` and the gradient at the output `[rows, d_out]` of every linear module, last layer first.
pub(crate) type Tap<'a, T> = dyn FnMut(usize, Target, &T, &T) + 'a;

/// Where the backward pass adds its gradients.
pub(crate) struct Wanted<'a, T> {
    pub(crate) lora: Option<&'a mut LoraGrads<T>>,
    pub(crate) base: Option<&'a mut BaseGrads<T>>,
    pub(crate) tap: Option<&'a mut Tap<'a, T>>,
}

/// Runs backward from `tape.logits`, which hold the gradient at the logits by now.
pub(crate) fn backward<B: Backend>(
    net: &Net<B>,
    lora: Option<&DeviceAdapter<B::Buf>>,
    p: &Packed,
    tape: &Tape<B::Buf>,
    mut wanted: Wanted<'_, B::Buf>,
) {
    let (be, config, heads) = (&net.backend, net.config(), net.heads());
    let (rows, hidden, vocab) = (p.rows(), config.hidden_size, config.vocab_size);
    let buf = |width: usize| be.zeros(rows * width);
    let mut dnormed = buf(hidden);
    be.gemm(
        Gemm::input(rows, hidden, vocab),
        &tape.logits,
        net.output(),
        &mut dnormed,
    );
    if let Some(g) = wanted.base.as_deref_mut() {
        let head = g.head();
        be.gemm(
            Gemm::weight(rows, hidden, vocab).adding(),
            &tape.logits,
            &tape.normed,
            head,
        );
    }
    let mut dx = buf(hidden);
    let dnorm = wanted.base.as_deref_mut().map(BaseGrads::norm);
    be.rmsnorm_backward(&tape.x, &net.norm, &tape.inv, &dnormed, hidden, &mut dx, dnorm);
    for (index, (layer, t)) in net.layers.iter().zip(&tape.layers).enumerate().rev() {
        // Below the first layer only the embedding asks for a gradient.
        let deeper = index > 0 || wanted.base.is_some();
        let at = At {
            net,
            lora,
            index,
            layer,
            u: &t.u,
            dropout: tape.dropout.as_ref(),
            rows,
        };
        let mut dmid = buf(config.intermediate_size);
        at.linear(&mut wanted, Target::Down, &t.mid, &dx, Some(&mut dmid));
        let (mut dgate, mut dup) = (buf(config.intermediate_size), buf(config.intermediate_size));
        be.silu_mul_backward(&t.gate, &t.up, &dmid, &mut dgate, &mut dup);
        let mut dy2 = buf(hidden);
        at.linear(&mut wanted, Target::Up, &t.y2, &dup, Some(&mut dy2));
        at.linear(&mut wanted, Target::Gate, &t.y2, &dgate, Some(&mut dy2));
        let dnorm2 = wanted.base.as_deref_mut().map(|g| g.norm2(index));
        be.rmsnorm_backward(&t.mid_x, &layer.norm2, &t.inv2, &dy2, hidden, &mut dx, dnorm2);

        let mut dattended = buf(config.q_dim());
        at.linear(&mut wanted, Target::O, &t.attended, &dx, Some(&mut dattended));
        let (mut dq, mut dk, mut dv) = (buf(config.q_dim()), buf(config.kv_dim()), buf(config.kv_dim()));
        be.attention_backward(
            heads,
            &p.segments,
            &t.q,
            &t.k,
            &t.v,
            &t.attended,
            &t.lse,
            &dattended,
            &mut dq,
            &mut dk,
            &mut dv,
        );
        be.rope_backward(heads.q, heads.dim, net.rope(), &p.positions, &mut dq);
        be.rope_backward(heads.kv, heads.dim, net.rope(), &p.positions, &mut dk);
        let mut dy1 = buf(hidden);
        for (target, dy) in [(Target::V, &dv), (Target::K, &dk), (Target::Q, &dq)] {
            at.linear(&mut wanted, target, &t.y1, dy, deeper.then_some(&mut dy1));
        }
        if deeper {
            let dnorm1 = wanted.base.as_deref_mut().map(|g| g.norm1(index));
            be.rmsnorm_backward(&t.x, &layer.norm1, &t.inv1, &dy1, hidden, &mut dx, dnorm1);
        }
    }
    if let Some(g) = wanted.base {
        be.scatter_add(&dx, &p.tokens, hidden, g.embed());
    }
}

/// A layer of the backward pass.
struct At<'a, B: Backend> {
    net: &'a Net<B>,
    lora: Option<&'a DeviceAdapter<B::Buf>>,
    index: usize,
    layer: &'a Layer<B::Buf>,
    u: &'a [Option<B::Buf>; 7],
    dropout: Option<&'a Dropout>,
    rows: usize,
}

impl<B: Backend> At<'_, B> {
    /// A linear module: hands on the gradient at its output `dy`, adds those at its weights, and adds the one at its input to `dx`.
    fn linear(
        &self,
        wanted: &mut Wanted<'_, B::Buf>,
        target: Target,
        x: &B::Buf,
        dy: &B::Buf,
        dx: Option<&mut B::Buf>,
    ) {
        let (be, rows, module) = (&self.net.backend, self.rows, target.index());
        let (d_out, d_in) = self.net.config().module_shape(target);
        if let Some(tap) = wanted.tap.as_deref_mut() {
            tap(self.index, target, x, dy);
        }
        if let Some(g) = wanted.base.as_deref_mut() {
            be.gemm(
                Gemm::weight(rows, d_in, d_out).adding(),
                dy,
                x,
                g.linear(self.index, target),
            );
            if self.layer.bias[module].is_some() {
                be.add_bias_backward(dy, rows, d_out, g.bias(self.index, target));
            }
        }
        let mut low = None;
        if let Some(pair) = pair(self.lora, self.index, target) {
            let mut du = be.zeros(rows * pair.rank);
            be.gemm(
                Gemm::input(rows, pair.rank, d_out).scaled(pair.scale),
                dy,
                &pair.b,
                &mut du,
            );
            if let (Some(g), Some(u)) = (wanted.lora.as_deref_mut(), &self.u[module]) {
                if let Some((da, db)) = g.pair(self.index, target) {
                    let left = self.dropout.map(|d| d.apply(be, self.index, target, x));
                    let x = left.as_ref().unwrap_or(x);
                    be.gemm(Gemm::weight(rows, d_in, pair.rank).adding(), &du, x, da);
                    be.gemm(
                        Gemm::weight(rows, pair.rank, d_out).scaled(pair.scale).adding(),
                        dy,
                        u,
                        db,
                    );
                }
            }
            low = Some((du, pair));
        }
        if let Some(dx) = dx {
            be.gemm(
                Gemm::input(rows, d_in, d_out).adding(),
                dy,
                &self.layer.linear[module],
                dx,
            );
            match (low, self.dropout) {
                (None, _) => {}
                (Some((du, pair)), None) => {
                    be.gemm(Gemm::input(rows, d_in, pair.rank).adding(), &du, &pair.a, dx);
                }
                (Some((du, pair)), Some(dropout)) => {
                    let mut through = be.zeros(rows * d_in);
                    be.gemm(Gemm::input(rows, d_in, pair.rank), &du, &pair.a, &mut through);
                    be.add(&dropout.apply(be, self.index, target, &through), dx);
                }
            }
        }
    }
}

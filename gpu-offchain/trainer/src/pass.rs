//! The forward pass that remembers, and the backward pass.

use std::ops::Deref;

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

/// Rows of a batch that read one adapter. What is computed for a part has the bits it has when the part is alone in its batch.
pub(crate) struct Part<'a, T> {
    pub(crate) start: usize,
    pub(crate) rows: usize,
    pub(crate) adapter: &'a DeviceAdapter<T>,
    pub(crate) dropout: Option<Dropout>,
}

/// A batch that reads one adapter, or none.
pub(crate) fn whole<'a, T>(adapter: Option<&'a DeviceAdapter<T>>, p: &Packed) -> Vec<Part<'a, T>> {
    let part = |adapter| Part {
        start: 0,
        rows: p.rows(),
        adapter,
        dropout: None,
    };
    adapter.map(part).into_iter().collect()
}

impl<T> Part<'_, T> {
    fn pair(&self, layer: usize, target: Target) -> Option<&LoraPair<T>> {
        self.adapter.modules[layer][target.index()].as_ref()
    }

    /// The part's rows of a buffer of `total` rows: the buffer itself where it has no others.
    fn rows<'b, B: Backend<Buf = T>>(&self, be: &B, x: &'b T, total: usize, width: usize) -> Rows<'b, T> {
        rows(be, x, (self.start, self.rows), total, width)
    }
}

/// Rows of a buffer.
pub(crate) enum Rows<'a, T> {
    All(&'a T),
    Some(T),
}

impl<T> Deref for Rows<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Rows::All(x) => x,
            Rows::Some(x) => x,
        }
    }
}

pub(crate) fn rows<'b, B: Backend>(
    be: &B,
    x: &'b B::Buf,
    (start, count): (usize, usize),
    total: usize,
    width: usize,
) -> Rows<'b, B::Buf> {
    if count == total {
        return Rows::All(x);
    }
    let mut own = be.zeros(count * width);
    be.gather(x, &ids(start, count), width, &mut own);
    Rows::Some(own)
}

fn ids(start: usize, count: usize) -> Vec<u32> {
    (start as u32..(start + count) as u32).collect()
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
    /// A·x of every adapted module of a batch of one part.
    u: [Option<T>; 7],
}

/// The end of the forward pass for some rows: all, or those of a part.
struct Head<T> {
    start: usize,
    rows: usize,
    /// `[rows, vocab]`; the gradient at them once [`Tape::losses`] was asked.
    logits: T,
}

/// What the forward pass remembers.
pub(crate) struct Tape<T> {
    layers: Vec<LayerTape<T>>,
    x: T,
    normed: T,
    inv: T,
    /// One a part, so that each may scale its gradients; one where there are no parts.
    heads: Vec<Head<T>>,
}

impl<T> Tape<T> {
    /// The losses of the rows of a part, the first where there are none; its logits become `scale` times the gradient. Ask once a part.
    pub(crate) fn losses<B: Backend<Buf = T>>(
        &mut self,
        net: &Net<B>,
        p: &Packed,
        part: usize,
        scale: f64,
    ) -> Vec<f64> {
        let Head { start, rows, logits } = &mut self.heads[part];
        let targets = &p.targets[*start..*start + *rows];
        net.backend
            .cross_entropy(net.config().vocab_size, targets, scale, logits)
    }
}

/// Runs a batch that reads one adapter, or none.
pub(crate) fn forward<B: Backend>(
    net: &Net<B>,
    lora: Option<&DeviceAdapter<B::Buf>>,
    p: &Packed,
) -> Tape<B::Buf> {
    forward_parts(net, &whole(lora, p), p)
}

/// Runs a batch. Rows in no part read the base alone; if there are parts, only theirs have losses.
pub(crate) fn forward_parts<B: Backend>(
    net: &Net<B>,
    parts: &[Part<'_, B::Buf>],
    p: &Packed,
) -> Tape<B::Buf> {
    forward_pausing(net, parts, p, &|| ())
}

/// The same, with a pause before each layer.
pub(crate) fn forward_pausing<B: Backend>(
    net: &Net<B>,
    parts: &[Part<'_, B::Buf>],
    p: &Packed,
    pause: &dyn Fn(),
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
        pause();
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
            let groups: Vec<_> = parts
                .iter()
                .filter_map(|part| {
                    Some(LoraGroup {
                        start: part.start,
                        rows: part.rows,
                        pair: part.pair(index, target)?.borrowed(),
                    })
                })
                .collect();
            if let Some(stride) = groups.iter().map(|g| g.pair.rank).max() {
                let left = dropped(be, parts, (index, target), input, rows, d_in);
                let mut shrunk = buf(stride);
                be.lora_shrink(&groups, d_in, left.as_ref().unwrap_or(input), stride, &mut shrunk);
                be.lora_expand(&groups, d_out, &shrunk, stride, &mut output);
                u[at] = (parts.len() == 1 && parts[0].rows == rows).then_some(shrunk);
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
    let (mut normed, mut inv) = (buf(hidden), buf(1));
    be.rmsnorm(&x, &net.norm, eps, hidden, &mut normed, &mut inv);
    let head = |(start, count): (usize, usize)| {
        let mut logits = be.zeros(count * config.vocab_size);
        let normed = self::rows(be, &normed, (start, count), rows, hidden);
        let op = Gemm::forward(count, hidden, config.vocab_size);
        be.gemm(op, &normed, net.output(), &mut logits);
        Head {
            start,
            rows: count,
            logits,
        }
    };
    let heads = match parts {
        [] => vec![head((0, rows))],
        parts => parts.iter().map(|part| head((part.start, part.rows))).collect(),
    };
    Tape {
        layers,
        x,
        normed,
        inv,
        heads,
    }
}

/// A module's input with what the parts leave out, if any of them does.
fn dropped<B: Backend>(
    be: &B,
    parts: &[Part<'_, B::Buf>],
    (layer, target): (usize, Target),
    x: &B::Buf,
    total: usize,
    width: usize,
) -> Option<B::Buf> {
    if parts.iter().all(|part| part.dropout.is_none()) {
        return None;
    }
    if let [Part {
        rows,
        dropout: Some(dropout),
        ..
    }] = parts
    {
        if *rows == total {
            return Some(dropout.apply(be, layer, target, x));
        }
    }
    let mut all = be.zeros(total * width);
    for part in parts {
        let own = part.rows(be, x, total, width);
        let left = part.dropout.as_ref().map(|d| d.apply(be, layer, target, &own));
        be.scatter_add(
            left.as_ref().unwrap_or(&own),
            &ids(part.start, part.rows),
            width,
            &mut all,
        );
    }
    Some(all)
}

/// Sees the input `[rows, d_in]` and the gradient at the output `[rows, d_out]` of every linear module, last layer first.
pub(crate) type Tap<'a, T> = dyn FnMut(usize, Target, &T, &T) + 'a;

/// Where the backward pass adds its gradients.
pub(crate) struct Wanted<'a, T> {
    /// One a part, or none at all.
    pub(crate) lora: Vec<&'a mut LoraGrads<T>>,
    pub(crate) base: Option<&'a mut BaseGrads<T>>,
    pub(crate) tap: Option<&'a mut Tap<'a, T>>,
}

/// Runs backward, after [`Tape::losses`] of every part, through the parts that ran forward.
pub(crate) fn backward<B: Backend>(
    net: &Net<B>,
    parts: &[Part<'_, B::Buf>],
    p: &Packed,
    tape: &Tape<B::Buf>,
    mut wanted: Wanted<'_, B::Buf>,
) {
    let (be, config, heads) = (&net.backend, net.config(), net.heads());
    let (rows, hidden, vocab) = (p.rows(), config.hidden_size, config.vocab_size);
    let buf = |width: usize| be.zeros(rows * width);
    let mut dnormed = buf(hidden);
    for head in &tape.heads {
        let op = Gemm::input(head.rows, hidden, vocab);
        if head.rows == rows {
            be.gemm(op, &head.logits, net.output(), &mut dnormed);
        } else {
            let mut own = be.zeros(head.rows * hidden);
            be.gemm(op, &head.logits, net.output(), &mut own);
            be.scatter_add(&own, &ids(head.start, head.rows), hidden, &mut dnormed);
        }
        if let Some(g) = wanted.base.as_deref_mut() {
            let normed = self::rows(be, &tape.normed, (head.start, head.rows), rows, hidden);
            let op = Gemm::weight(head.rows, hidden, vocab).adding();
            be.gemm(op, &head.logits, &normed, g.head());
        }
    }
    let mut dx = buf(hidden);
    let dnorm = wanted.base.as_deref_mut().map(BaseGrads::norm);
    be.rmsnorm_backward(&tape.x, &net.norm, &tape.inv, &dnormed, hidden, &mut dx, dnorm);
    for (index, (layer, t)) in net.layers.iter().zip(&tape.layers).enumerate().rev() {
        // Below the first layer only the embedding asks for a gradient.
        let deeper = index > 0 || wanted.base.is_some();
        let at = At {
            net,
            parts,
            index,
            layer,
            u: &t.u,
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
    parts: &'a [Part<'a, B::Buf>],
    index: usize,
    layer: &'a Layer<B::Buf>,
    u: &'a [Option<B::Buf>; 7],
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
        mut dx: Option<&mut B::Buf>,
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
        if let Some(dx) = dx.as_deref_mut() {
            let op = Gemm::input(rows, d_in, d_out).adding();
            be.gemm(op, dy, &self.layer.linear[module], dx);
        }
        for (place, part) in self.parts.iter().enumerate() {
            if let Some(pair) = part.pair(self.index, target) {
                let grads = wanted.lora.get_mut(place).map(|g| &mut **g);
                self.adapted(part, pair, target, (x, dy), grads, dx.as_deref_mut());
            }
        }
    }

    /// The low-rank side of a module, for the rows of one part.
    fn adapted(
        &self,
        part: &Part<'_, B::Buf>,
        pair: &LoraPair<B::Buf>,
        target: Target,
        (x, dy): (&B::Buf, &B::Buf),
        grads: Option<&mut LoraGrads<B::Buf>>,
        dx: Option<&mut B::Buf>,
    ) {
        let (be, rows) = (&self.net.backend, part.rows);
        let (d_out, d_in) = self.net.config().module_shape(target);
        let dy = part.rows(be, dy, self.rows, d_out);
        let mut du = be.zeros(rows * pair.rank);
        let op = Gemm::input(rows, pair.rank, d_out).scaled(pair.scale);
        be.gemm(op, &dy, &pair.b, &mut du);
        let apply = |x: &B::Buf| Some(part.dropout.as_ref()?.apply(be, self.index, target, x));
        if let Some((da, db)) = grads.and_then(|g| g.pair(self.index, target)) {
            let own = part.rows(be, x, self.rows, d_in);
            let left = apply(&own);
            let read = left.as_ref().unwrap_or(&own);
            be.gemm(Gemm::weight(rows, d_in, pair.rank).adding(), &du, read, da);
            let again;
            let u = match &self.u[target.index()] {
                Some(u) => u,
                None => {
                    let group = [LoraGroup {
                        start: 0,
                        rows,
                        pair: pair.borrowed(),
                    }];
                    let mut u = be.zeros(rows * pair.rank);
                    be.lora_shrink(&group, d_in, read, pair.rank, &mut u);
                    again = u;
                    &again
                }
            };
            let op = Gemm::weight(rows, pair.rank, d_out).scaled(pair.scale).adding();
            be.gemm(op, &dy, u, db);
        }
        let Some(dx) = dx else {
            return;
        };
        let op = Gemm::input(rows, d_in, pair.rank);
        if part.dropout.is_none() && rows == self.rows {
            return be.gemm(op.adding(), &du, &pair.a, dx);
        }
        let mut through = be.zeros(rows * d_in);
        be.gemm(op, &du, &pair.a, &mut through);
        let left = apply(&through);
        let through = left.as_ref().unwrap_or(&through);
        if rows == self.rows {
            be.add(through, dx);
        } else {
            be.scatter_add(through, &ids(part.start, rows), d_in, dx);
        }
    }
}

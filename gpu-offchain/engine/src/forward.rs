//! The forward pass of serving: a batch of rows of many sequences, each with its own adapter and its own place in the cache.

use openledger_model::Target;

use crate::backend::{Backend, Gemm, LoraGroup, Segment};
use crate::net::{DeviceAdapter, Net};

/// Keys and values of every layer: `[capacity, kv heads · head width]` each.
pub struct KvCache<T> {
    keys: Vec<T>,
    values: Vec<T>,
}

impl<T> KvCache<T> {
    /// An empty cache for `capacity` tokens.
    pub fn new<B: Backend<Buf = T>>(net: &Net<B>, capacity: usize) -> Self {
        let len = capacity * net.config().kv_dim();
        let make = || {
            (0..net.config().num_layers)
                .map(|_| net.backend.zeros(len))
                .collect()
        };
        KvCache {
            keys: make(),
            values: make(),
        }
    }
}

/// What one step computes.
pub struct Batch<'a, T> {
    /// One token a row.
    pub tokens: Vec<u32>,
    /// Its position in its sequence.
    pub positions: Vec<u32>,
    /// Its row in the cache.
    pub slots: Vec<u32>,
    /// The sequences.
    pub segments: Vec<Segment>,
    /// The adapter of rows, as (first row, rows, adapter); rows in none use the base alone.
    pub adapters: Vec<(usize, usize, &'a DeviceAdapter<T>)>,
    /// The rows whose logits are wanted.
    pub outputs: Vec<u32>,
}

/// Runs a batch; gives the logits of its output rows, `[outputs, vocab]`.
pub fn forward<B: Backend>(net: &Net<B>, batch: &Batch<'_, B::Buf>, cache: &mut KvCache<B::Buf>) -> B::Buf {
    let (be, config, heads) = (&net.backend, net.config(), net.heads());
    let (rows, hidden) = (batch.tokens.len(), config.hidden_size);
    let (eps, wide) = (config.rms_norm_eps, config.intermediate_size);
    let stride = batch
        .adapters
        .iter()
        .map(|(_, _, a)| a.max_rank)
        .max()
        .unwrap_or(0);
    let buf = |width: usize| be.zeros(rows * width);
    let (mut x, mut y, mut inv) = (buf(hidden), buf(hidden), buf(1));
    let (mut q, mut k, mut v) = (buf(config.q_dim()), buf(config.kv_dim()), buf(config.kv_dim()));
    let (mut attended, mut lse, mut out) = (buf(config.q_dim()), buf(heads.q), buf(hidden));
    let (mut gate, mut up, mut mid) = (buf(wide), buf(wide), buf(wide));
    let mut u = buf(stride);
    be.gather(&net.embed, &batch.tokens, hidden, &mut x);
    for (index, layer) in net.layers.iter().enumerate() {
        let mut linear = |target: Target, input: &B::Buf, output: &mut B::Buf| {
            let (d_out, d_in) = config.module_shape(target);
            let at = target.index();
            be.gemm(Gemm::forward(rows, d_in, d_out), input, &layer.linear[at], output);
            if let Some(bias) = &layer.bias[at] {
                be.add_bias(bias, rows, d_out, output);
            }
            let groups: Vec<_> = batch
                .adapters
                .iter()
                .filter_map(|&(start, rows, adapter)| {
                    let pair = adapter.modules[index][at].as_ref()?;
                    Some(LoraGroup { start, rows, pair })
                })
                .collect();
            if !groups.is_empty() {
                be.lora_shrink(&groups, d_in, input, stride, &mut u);
                be.lora_expand(&groups, d_out, &u, stride, output);
            }
        };
        be.rmsnorm(&x, &layer.norm1, eps, hidden, &mut y, &mut inv);
        linear(Target::Q, &y, &mut q);
        linear(Target::K, &y, &mut k);
        linear(Target::V, &y, &mut v);
        let (keys, values) = (&mut cache.keys[index], &mut cache.values[index]);
        be.rope_kv(
            heads,
            net.rope(),
            &batch.positions,
            &batch.slots,
            &mut q,
            &k,
            &v,
            keys,
            values,
        );
        be.attention(heads, &batch.segments, &q, keys, values, &mut attended, &mut lse);
        linear(Target::O, &attended, &mut out);
        be.add(&out, &mut x);
        be.rmsnorm(&x, &layer.norm2, eps, hidden, &mut y, &mut inv);
        linear(Target::Gate, &y, &mut gate);
        linear(Target::Up, &y, &mut up);
        be.silu_mul(&gate, &up, &mut mid);
        linear(Target::Down, &mid, &mut out);
        be.add(&out, &mut x);
    }
    let wanted = batch.outputs.len();
    let (mut last, mut normed) = (be.zeros(wanted * hidden), be.zeros(wanted * hidden));
    let (mut inv, mut logits) = (be.zeros(wanted), be.zeros(wanted * config.vocab_size));
    be.gather(&x, &batch.outputs, hidden, &mut last);
    be.rmsnorm(&last, &net.norm, eps, hidden, &mut normed, &mut inv);
    be.gemm(
        Gemm::forward(wanted, hidden, config.vocab_size),
        &normed,
        net.output(),
        &mut logits,
    );
    logits
}

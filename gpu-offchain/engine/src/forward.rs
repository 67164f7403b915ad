//! The forward pass of serving: a batch of rows of many sequences, each with its own adapter and its own place in the cache.

use openledger_model::Target;

use crate::backend::{Backend, Gemm, LoraGroup, PagedSegment};
use crate::engine::Params;
use crate::error::{Error, Result};
use crate::net::{DeviceAdapter, Net};
use crate::real::Real;
use crate::sampler::{self, Draw};

/// Keys and values of every layer, in pages.
pub struct KvCache<T> {
    page: usize,
    keys: Vec<T>,
    values: Vec<T>,
}

impl<T> KvCache<T> {
    /// An empty cache of `count` pages of `page` tokens.
    pub fn new<B: Backend<Buf = T>>(net: &Net<B>, page: usize, count: usize) -> Self {
        let len = page * count * net.config().kv_dim();
        let make = || {
            (0..net.config().num_layers)
                .map(|_| net.backend.zeros(len))
                .collect()
        };
        KvCache {
            page,
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
    /// Its place in the cache: page · page size + place in the page.
    pub slots: Vec<u32>,
    /// The sequences.
    pub segments: Vec<PagedSegment>,
    /// The pages of every sequence, one sequence after another.
    pub tables: Vec<u32>,
    /// The adapter of rows, as (first row, rows, adapter); rows in none use the base alone.
    pub adapters: Vec<(usize, usize, &'a DeviceAdapter<T>)>,
    /// The rows whose logits are wanted.
    pub outputs: Vec<u32>,
}

impl<T> Default for Batch<'_, T> {
    fn default() -> Self {
        Batch {
            tokens: Vec::new(),
            positions: Vec::new(),
            slots: Vec::new(),
            segments: Vec::new(),
            tables: Vec::new(),
            adapters: Vec::new(),
            outputs: Vec::new(),
        }
    }
}

/// Runs a batch; gives the logits of its output rows, `[outputs, vocab]`, if there are any.
pub fn forward<B: Backend>(
    net: &Net<B>,
    batch: &Batch<'_, B::Buf>,
    cache: &mut KvCache<B::Buf>,
) -> Option<B::Buf> {
    // Steps that only decode come again and again with as many rows.
    if batch.segments.iter().all(|segment| segment.q_len == 1) {
        net.backend.step(|| layers(net, batch, cache))
    } else {
        layers(net, batch, cache)
    }
}

fn layers<B: Backend>(
    net: &Net<B>,
    batch: &Batch<'_, B::Buf>,
    cache: &mut KvCache<B::Buf>,
) -> Option<B::Buf> {
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
                    Some(LoraGroup {
                        start,
                        rows,
                        pair: pair.borrowed(),
                    })
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
        be.rope_paged_kv(
            heads,
            cache.page,
            net.rope(),
            &batch.positions,
            &batch.slots,
            &mut q,
            &k,
            &v,
            keys,
            values,
        );
        be.paged_attention(
            heads,
            cache.page,
            &batch.segments,
            &batch.tables,
            &q,
            keys,
            values,
            &mut attended,
            &mut lse,
        );
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
    if wanted == 0 {
        return None;
    }
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
    Some(logits)
}

/// The logits after every token of one text, `[tokens, vocab]`, on the host; keeps nothing. For comparisons with other programs.
pub fn logits<B: Backend>(
    net: &Net<B>,
    adapter: Option<&DeviceAdapter<B::Buf>>,
    tokens: &[u32],
) -> Result<Vec<f32>> {
    logits_from(net, adapter, tokens, 0)
}

/// How far each token of an answer is behind the one that is chosen there by these parameters, in logits, the noise included; see
/// [`behind`](crate::sampler::behind). The answer is read in one pass, as a prompt is: whatever order the answer was computed in.
pub fn behind<B: Backend>(
    net: &Net<B>,
    adapter: Option<&DeviceAdapter<B::Buf>>,
    prompt: &[u32],
    answer: &[u32],
    params: &Params,
) -> Result<Vec<f64>> {
    let Some((_, read)) = answer.split_last() else {
        return Ok(Vec::new());
    };
    let Some(first) = prompt.len().checked_sub(1) else {
        return Err(Error::Request(
            "the prompt has no tokens; at least 1 is needed".into(),
        ));
    };
    let logits = logits_from(net, adapter, &[prompt, read].concat(), first)?;
    let rows = logits.chunks_exact(net.config().vocab_size);
    Ok((prompt.len() as u32..)
        .zip(rows.zip(answer))
        .map(|(position, (row, token))| {
            let draw = Draw {
                temperature: params.temperature,
                top_p: params.top_p,
                top_k: 0,
                alternatives: 0,
                seed: params.seed,
                position,
            };
            sampler::behind(row, &draw, *token)
        })
        .collect())
}

/// The same as [`logits`] after the tokens from `first` on.
fn logits_from<B: Backend>(
    net: &Net<B>,
    adapter: Option<&DeviceAdapter<B::Buf>>,
    tokens: &[u32],
    first: usize,
) -> Result<Vec<f32>> {
    let (n, config) = (tokens.len(), net.config());
    if n == 0 || n > config.max_position_embeddings || tokens.iter().any(|&t| t as usize >= config.vocab_size)
    {
        return Err(Error::Request(format!(
            "{n} tokens; 1 to {} below {} are needed",
            config.max_position_embeddings, config.vocab_size
        )));
    }
    const PAGE: usize = 32;
    let pages = n.div_ceil(PAGE);
    let batch = Batch {
        tokens: tokens.to_vec(),
        positions: (0..n as u32).collect(),
        slots: (0..n as u32).collect(),
        segments: vec![PagedSegment {
            q_start: 0,
            q_len: n,
            table_start: 0,
            kv_len: n,
        }],
        tables: (0..pages as u32).collect(),
        adapters: adapter.map(|a| (0, n, a)).into_iter().collect(),
        outputs: (first as u32..n as u32).collect(),
    };
    let logits = forward(net, &batch, &mut KvCache::new(net, PAGE, pages));
    let host = logits
        .map(|logits| net.backend.download(&logits))
        .unwrap_or_default();
    net.check()?;
    Ok(host.into_iter().map(Real::to_f32).collect())
}

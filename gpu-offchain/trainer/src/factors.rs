//! Per-example factors: what every adapted module read, and the gradient at what it gave. Attribution sketches come from these.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use openledger_engine::backend::Gemm;
use openledger_engine::{Backend, DeviceAdapter, Net, Real};
use openledger_model::{Adapter, Example, Target};
use safetensors::tensor::{Dtype, TensorView};

use crate::data::{check, Packed};
use crate::error::{Error, Result};
use crate::pass::{backward, forward_pausing, rows, whole, Wanted};

/// One module's factors over one example.
#[derive(Debug, Clone, PartialEq)]
pub struct ModuleFactors {
    /// The module's full name, such as `model.layers.0.self_attn.q_proj`.
    pub name: String,
    /// The inputs, `[tokens, d_in]`.
    pub x: Vec<f32>,
    /// The gradients of the sum of the token losses at the module's output, `[tokens, d_out]`.
    pub delta: Vec<f32>,
    /// Width of the input.
    pub d_in: usize,
    /// Width of the output.
    pub d_out: usize,
    /// Number of rows: the example's tokens but the last, which predicts nothing.
    pub tokens: usize,
}

/// The factors of one example, modules in the order of the adapter.
#[derive(Debug, Clone, PartialEq)]
pub struct Factors {
    /// The sum of the token losses, in nats.
    pub loss: f64,
    /// One entry a module.
    pub modules: Vec<ModuleFactors>,
}

/// One module's part of a gradient at an adapter, the module's scale in both.
#[derive(Debug, Clone, PartialEq)]
pub struct ModuleSums {
    /// Σ (Bᵀδ) xᵀ over the rows, `[rank, d_in]`.
    pub first: Vec<f32>,
    /// Σ δ (Ax)ᵀ, `[d_out, rank]`.
    pub second: Vec<f32>,
}

/// Called with layer, module, what it read, the gradient at what it gave, and their rows.
type Show<'a, T> = &'a mut dyn FnMut(usize, Target, &T, &T, usize);

/// A base with an adapter, ready to give factors.
pub struct FactorModel<B: Backend> {
    net: Arc<Net<B>>,
    adapter: Adapter,
    device: DeviceAdapter<B::Buf>,
    pause: Arc<dyn Fn() + Send + Sync>,
}

impl<B: Backend> FactorModel<B> {
    /// Uploads the adapter.
    pub fn new(net: Arc<Net<B>>, adapter: &Adapter) -> Result<Self> {
        let device = DeviceAdapter::new(&net.backend, net.config(), adapter)?;
        Ok(FactorModel {
            net,
            adapter: adapter.clone(),
            device,
            pause: Arc::new(|| ()),
        })
    }

    /// Calls `pause` between layers, and between modules on the way back: it may wait for who is more urgent.
    pub fn pausing(mut self, pause: Arc<dyn Fn() + Send + Sync>) -> Self {
        self.pause = pause;
        self
    }

    /// The adapter.
    pub fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    /// Whether [`FactorModel::sums`] are cheaper to have than [`FactorModel::factors`] to sum.
    pub fn is_apart(&self) -> bool {
        self.net.backend.is_apart()
    }

    /// Runs one example forward and backward. The mask may be empty of targets; all gradients are then zero.
    pub fn factors(&self, example: &Example) -> Result<Factors> {
        let (net, config) = (&self.net, self.net.config());
        let mut modules = Vec::with_capacity(self.adapter.modules.len());
        let host = |buf: &B::Buf| net.backend.download(buf).into_iter().map(Real::to_f32).collect();
        let loss = self.tapped(example, &mut |layer, target, x, dy, tokens| {
            let (d_out, d_in) = config.module_shape(target);
            let name = target.full_name(layer);
            let (x, delta) = (host(x), host(dy));
            modules.push((
                (layer, target),
                ModuleFactors {
                    name,
                    x,
                    delta,
                    d_in,
                    d_out,
                    tokens,
                },
            ));
        })?;
        modules.sort_by_key(|(place, _)| *place);
        Ok(Factors {
            loss,
            modules: modules.into_iter().map(|(_, m)| m).collect(),
        })
    }

    /// The gradients at the adapter of each range of an example's rows, modules in its order: what [`FactorModel::factors`] gives, summed
    /// where it is computed, so that a module's rank leaves the device and not its width for every token.
    ///
    /// Errors: as [`FactorModel::factors`]; a range beyond the example's rows.
    pub fn sums(&self, example: &Example, ranges: &[Range<usize>]) -> Result<Vec<Vec<ModuleSums>>> {
        let (be, config) = (&self.net.backend, self.net.config());
        let last = example.tokens.len().saturating_sub(1);
        if let Some(beyond) = ranges
            .iter()
            .find(|range| range.end > last || range.start > range.end)
        {
            return Err(Error::Data(format!(
                "rows {beyond:?} of an example of {last}: name rows that it has"
            )));
        }
        let mut all: Vec<Vec<((usize, Target), ModuleSums)>> = ranges.iter().map(|_| Vec::new()).collect();
        let host = |buf: B::Buf| be.download(&buf).into_iter().map(Real::to_f32).collect();
        self.tapped(example, &mut |layer, target, x, dy, total| {
            let Some(pair) = &self.device.modules[layer][target.index()] else {
                return;
            };
            let (d_out, d_in) = config.module_shape(target);
            for (range, modules) in ranges.iter().zip(&mut all) {
                let (part, n, rank) = ((range.start, range.len()), range.len(), pair.rank);
                if n == 0 {
                    let sums = ModuleSums {
                        first: vec![0.0; rank * d_in],
                        second: vec![0.0; d_out * rank],
                    };
                    modules.push(((layer, target), sums));
                    continue;
                }
                let (x, dy) = (rows(be, x, part, total, d_in), rows(be, dy, part, total, d_out));
                let (mut u, mut h) = (be.zeros(n * rank), be.zeros(n * rank));
                be.gemm(Gemm::forward(n, d_in, rank), &x, &pair.a, &mut u);
                be.gemm(
                    Gemm::input(n, rank, d_out).scaled(pair.scale),
                    &dy,
                    &pair.b,
                    &mut h,
                );
                let (mut first, mut second) = (be.zeros(rank * d_in), be.zeros(d_out * rank));
                be.gemm(Gemm::weight(n, d_in, rank), &h, &x, &mut first);
                be.gemm(
                    Gemm::weight(n, rank, d_out).scaled(pair.scale),
                    &dy,
                    &u,
                    &mut second,
                );
                let sums = ModuleSums {
                    first: host(first),
                    second: host(second),
                };
                modules.push(((layer, target), sums));
            }
        })?;
        let sorted = all.into_iter().map(|mut modules| {
            modules.sort_by_key(|(place, _)| *place);
            modules.into_iter().map(|(_, sums)| sums).collect()
        });
        Ok(sorted.collect())
    }

    /// Runs one example forward and backward, and shows what every adapted module read and the gradient at what it gave, with their number
    /// of rows. Gives the sum of the losses.
    fn tapped(&self, example: &Example, show: Show<'_, B::Buf>) -> Result<f64> {
        let (net, config) = (&self.net, self.net.config());
        if example.targets() > 0 {
            check(
                std::slice::from_ref(example),
                config.vocab_size,
                config.max_position_embeddings,
            )?;
        } else {
            example.check(config.vocab_size)?;
        }
        let packed = Packed::new([example]);
        let parts = whole(Some(&self.device), &packed);
        let mut tape = forward_pausing(net, &parts, &packed, &*self.pause);
        let losses = tape.losses(net, &packed, 0, 1.0);
        let mut tap = |layer: usize, target: Target, x: &B::Buf, dy: &B::Buf| {
            (self.pause)();
            if self.device.modules[layer][target.index()].is_some() {
                show(layer, target, x, dy, packed.rows());
            }
        };
        let wanted = Wanted {
            lora: vec![],
            base: None,
            tap: Some(&mut tap),
        };
        backward(net, &parts, &packed, &tape, wanted);
        net.check()?;
        Ok(losses.iter().sum())
    }
}

/// Writes the factors of many examples under one adapter as one safetensors file: `offsets` (i64, one more than examples: where the
/// rows of each begin and end) and for every module M `M.x`, `M.delta`, `M.A`, `M.B` and `M.scale`.
pub fn write_factors(path: &Path, adapter: &Adapter, examples: &[Factors]) -> Result<()> {
    let wrong = |reason: String| Error::Write {
        path: path.to_owned(),
        reason,
    };
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let mut offsets = vec![0_i64];
    for (index, example) in examples.iter().enumerate() {
        let names = example.modules.iter().map(|m| m.name.clone());
        if !names.eq(adapter.modules.iter().map(|m| m.name())) {
            return Err(wrong(format!(
                "example {index} has factors of other modules than the adapter"
            )));
        }
        let rows = example.modules.first().map_or(0, |m| m.tokens);
        offsets.push(offsets[index] + rows as i64);
    }
    let rows = offsets[examples.len()] as usize;
    let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = vec![(
        "offsets".into(),
        Dtype::I64,
        vec![offsets.len()],
        offsets.iter().flat_map(|o| o.to_le_bytes()).collect(),
    )];
    for (at, m) in adapter.modules.iter().enumerate() {
        let name = m.name();
        let join = |pick: fn(&ModuleFactors) -> &[f32]| {
            examples
                .iter()
                .flat_map(|e| bytes(pick(&e.modules[at])))
                .collect::<Vec<u8>>()
        };
        tensors.push((
            format!("{name}.x"),
            Dtype::F32,
            vec![rows, m.d_in],
            join(|f| &f.x),
        ));
        tensors.push((
            format!("{name}.delta"),
            Dtype::F32,
            vec![rows, m.d_out],
            join(|f| &f.delta),
        ));
        tensors.push((format!("{name}.A"), Dtype::F32, vec![m.rank, m.d_in], bytes(&m.a)));
        tensors.push((
            format!("{name}.B"),
            Dtype::F32,
            vec![m.d_out, m.rank],
            bytes(&m.b),
        ));
        tensors.push((format!("{name}.scale"), Dtype::F32, vec![1], bytes(&[m.scale])));
    }
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, data)| {
            let view = TensorView::new(*dtype, shape.clone(), data).map_err(|e| wrong(e.to_string()))?;
            Ok((name.as_str(), view))
        })
        .collect::<Result<Vec<_>>>()?;
    safetensors::serialize_to_file(views, None, path).map_err(|e| wrong(e.to_string()))
}

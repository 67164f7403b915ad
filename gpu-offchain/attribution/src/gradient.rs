//! From a text's factors to its projected gradient.
//!
//! Per token a module gives its input x and the gradient δ at its output. All sums run in f64 over f32
//! factors, token by token, each lane by itself: no result depends on vector width or threads.

use crate::{
    module::{layout_of, ModuleSpec, Weights},
    Error, Result,
};
use openledger_attribution::{
    hash::Hash,
    sketch::{signs, Layout, Side, SIGNS},
};

/// What one text does to every module: the sketch matrices before rotation, in the layout's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradient {
    pub(crate) lanes: Vec<f32>,
}

impl Gradient {
    /// The lanes of all blocks, each row by row.
    pub fn lanes(&self) -> &[f32] {
        &self.lanes
    }
}

/// A projection: entries ±1, stored input by input so that sums run along the kept dimensions.
#[derive(Clone, Debug)]
struct Projection {
    /// Dimensions kept; the identity if `signs` is empty.
    kept: usize,
    /// [d, kept].
    signs: Vec<i8>,
}

impl Projection {
    fn new(d: usize, projection: u16, seed: &Hash, block: u32, side: Side) -> Self {
        let kept = usize::from(projection);
        if d <= kept {
            return Self {
                kept: d,
                signs: Vec::new(),
            };
        }
        let mut entries = vec![0i8; d * kept];
        for (row, at) in (0u32..).zip(0..kept) {
            for (part, columns) in (0u32..).zip(crate::threads::pieces(d, SIGNS as usize)) {
                let bits = signs(seed, block, side, row, part);
                for (within, column) in columns.enumerate() {
                    let bit = bits[within / 8] >> (within % 8) & 1;
                    entries[column * kept + at] = if bit == 1 { 1 } else { -1 };
                }
            }
        }
        Self { kept, signs: entries }
    }

    /// out += P·vector.
    fn add(&self, vector: impl Iterator<Item = f64>, out: &mut [f64]) {
        if self.signs.is_empty() {
            for (to, from) in out.iter_mut().zip(vector) {
                *to += from;
            }
            return;
        }
        for (value, row) in vector.zip(self.signs.chunks_exact(self.kept)) {
            if value != 0.0 {
                for (to, sign) in out.iter_mut().zip(row) {
                    *to += value * f64::from(*sign);
                }
            }
        }
    }
}

/// What one module needs for its sums.
#[derive(Clone, Debug)]
enum Plan {
    Lora {
        rank: usize,
        scale: f64,
        /// A turned: [d_in, r].
        a: Vec<f64>,
        /// B as it is: [d_out, r].
        b: Vec<f64>,
        input: Projection,
        output: Projection,
    },
    Linear {
        input: Projection,
        output: Projection,
    },
}

/// Turns factors into gradients: modules, projections, layout. Made once, shared by all threads.
#[derive(Clone, Debug)]
pub struct Sketcher {
    modules: Vec<ModuleSpec>,
    plans: Vec<Plan>,
    layout: Layout,
    names: Vec<String>,
}

impl Sketcher {
    /// For these modules, in this order, with `projection` dimensions kept of each side that is larger.
    ///
    /// Errors: no module, weights of the wrong size, two modules of one name.
    pub fn new(modules: Vec<ModuleSpec>, projection: u16, seed: &Hash) -> Result<Self> {
        let (layout, names) = layout_of(&modules, projection)?;
        if modules.is_empty() || projection == 0 {
            return Err(Error::Plan(format!(
                "{} modules projected to {projection} dimensions: at least one of each is needed",
                modules.len()
            )));
        }
        let mut plans = Vec::with_capacity(modules.len());
        let mut block = 0u32;
        for module in &modules {
            plans.push(match &module.weights {
                Weights::Lora { rank, a, b, scale } => {
                    let mut turned = vec![0.0; a.len()];
                    for (row, values) in a.chunks_exact(module.d_in).enumerate() {
                        for (column, value) in values.iter().enumerate() {
                            turned[column * rank + row] = f64::from(*value);
                        }
                    }
                    let plan = Plan::Lora {
                        rank: *rank,
                        scale: f64::from(*scale),
                        a: turned,
                        b: b.iter().map(|value| f64::from(*value)).collect(),
                        input: Projection::new(module.d_in, projection, seed, block, Side::Columns),
                        output: Projection::new(module.d_out, projection, seed, block + 1, Side::Rows),
                    };
                    block += 2;
                    plan
                }
                Weights::Linear => {
                    let plan = Plan::Linear {
                        input: Projection::new(module.d_in, projection, seed, block, Side::Columns),
                        output: Projection::new(module.d_out, projection, seed, block, Side::Rows),
                    };
                    block += 1;
                    plan
                }
            });
        }
        Ok(Self {
            modules,
            plans,
            layout,
            names,
        })
    }

    /// The layout of gradients and sketches.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The names of the layout's blocks.
    pub fn block_names(&self) -> &[String] {
        &self.names
    }

    /// The modules.
    pub fn modules(&self) -> &[ModuleSpec] {
        &self.modules
    }

    /// Position of the module with this name.
    pub fn module(&self, name: &str) -> Option<usize> {
        self.modules.iter().position(|module| module.name == name)
    }

    /// Starts the gradient of one text.
    pub fn start(&self) -> GradientBuilder<'_> {
        let sums = self
            .modules
            .iter()
            .zip(&self.plans)
            .map(|(module, plan)| match plan {
                Plan::Lora { rank, .. } => Sums {
                    first: vec![0.0; rank * module.d_in],
                    second: vec![0.0; module.d_out * rank],
                },
                Plan::Linear { input, output } => Sums {
                    first: vec![0.0; output.kept * input.kept],
                    second: Vec::new(),
                },
            })
            .collect();
        GradientBuilder { sketcher: self, sums }
    }
}

/// LoRA: Σ h xᵀ [r, d_in] and Σ δ uᵀ [d_out, r], projected in the end. Linear: Σ (P δ)(P x)ᵀ.
#[derive(Clone, Debug)]
struct Sums {
    first: Vec<f64>,
    second: Vec<f64>,
}

/// The gradient of one text, module by module and token by token.
#[derive(Clone, Debug)]
pub struct GradientBuilder<'a> {
    sketcher: &'a Sketcher,
    sums: Vec<Sums>,
}

impl GradientBuilder<'_> {
    /// Adds tokens of a module: inputs `x` [tokens, d_in] and gradients `delta` [tokens, d_out] of the
    /// **summed** loss at its output. What a module gets in several calls is the same as in one.
    ///
    /// Errors: no such module, or sizes that are not those of whole tokens.
    pub fn add(&mut self, module: usize, x: &[f32], delta: &[f32]) -> Result<()> {
        let (Some(spec), Some(plan), Some(sums)) = (
            self.sketcher.modules.get(module),
            self.sketcher.plans.get(module),
            self.sums.get_mut(module),
        ) else {
            return Err(Error::NoSuch {
                kind: "module",
                index: module as u64,
                count: self.sketcher.modules.len() as u64,
            });
        };
        let tokens = x.len() / spec.d_in;
        if x.len() != tokens * spec.d_in || delta.len() != tokens * spec.d_out {
            return Err(Error::Shape {
                module: spec.name.clone(),
                what: format!(
                    "x of {} and delta of {} numbers: expected {} and {} for each token",
                    x.len(),
                    delta.len(),
                    spec.d_in,
                    spec.d_out
                ),
            });
        }
        let tokens = x.chunks_exact(spec.d_in).zip(delta.chunks_exact(spec.d_out));
        match plan {
            Plan::Lora {
                rank, scale, a, b, ..
            } => {
                let (mut u, mut h) = (vec![0.0; *rank], vec![0.0; *rank]);
                for (x, delta) in tokens {
                    // Masked tokens have no gradient.
                    if delta.iter().all(|value| *value == 0.0) {
                        continue;
                    }
                    times(x, a, &mut u);
                    times(delta, b, &mut h);
                    for (h, sum) in h.iter().zip(sums.first.chunks_exact_mut(spec.d_in)) {
                        let h = h * scale;
                        for (to, x) in sum.iter_mut().zip(x) {
                            *to += h * f64::from(*x);
                        }
                    }
                    for (delta, sum) in delta.iter().zip(sums.second.chunks_exact_mut(*rank)) {
                        let delta = f64::from(*delta) * scale;
                        for (to, u) in sum.iter_mut().zip(&u) {
                            *to += delta * u;
                        }
                    }
                }
            }
            Plan::Linear { input, output } => {
                let (mut small_x, mut small_delta) = (vec![0.0; input.kept], vec![0.0; output.kept]);
                for (x, delta) in tokens {
                    if delta.iter().all(|value| *value == 0.0) {
                        continue;
                    }
                    small_x.fill(0.0);
                    small_delta.fill(0.0);
                    input.add(x.iter().map(|value| f64::from(*value)), &mut small_x);
                    output.add(delta.iter().map(|value| f64::from(*value)), &mut small_delta);
                    for (delta, sum) in small_delta.iter().zip(sums.first.chunks_exact_mut(input.kept)) {
                        for (to, x) in sum.iter_mut().zip(&small_x) {
                            *to += delta * x;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds to a LoRA module what somebody else has summed over tokens, see [`Self::add`]: `first` is Σ (Bᵀδ) xᵀ, [rank, d_in], and
    /// `second` Σ δ (A x)ᵀ, [d_out, rank], both times the module's scale.
    ///
    /// Errors: no such module, one that is no LoRA module, other sizes.
    pub fn add_sums(&mut self, module: usize, first: &[f32], second: &[f32]) -> Result<()> {
        let count = self.sketcher.modules.len() as u64;
        let spec = self.sketcher.modules.get(module);
        let (Some(spec), Some(sums)) = (spec, self.sums.get_mut(module)) else {
            return Err(Error::NoSuch {
                kind: "module",
                index: module as u64,
                count,
            });
        };
        if first.len() != sums.first.len() || second.len() != sums.second.len() || second.is_empty() {
            return Err(Error::Shape {
                module: spec.name.clone(),
                what: format!(
                    "sums of {} and {} numbers: expected {} and {}, of a LoRA module",
                    first.len(),
                    second.len(),
                    sums.first.len(),
                    sums.second.len()
                ),
            });
        }
        for (to, from) in sums.first.iter_mut().zip(first) {
            *to += f64::from(*from);
        }
        for (to, from) in sums.second.iter_mut().zip(second) {
            *to += f64::from(*from);
        }
        Ok(())
    }

    /// The gradient.
    pub fn finish(self) -> Gradient {
        let mut lanes = Vec::with_capacity(self.sketcher.layout.lanes() as usize);
        for ((module, plan), sums) in self
            .sketcher
            .modules
            .iter()
            .zip(&self.sketcher.plans)
            .zip(self.sums)
        {
            match plan {
                Plan::Lora {
                    rank, input, output, ..
                } => {
                    let mut row = vec![0.0; input.kept];
                    for sum in sums.first.chunks_exact(module.d_in) {
                        row.fill(0.0);
                        input.add(sum.iter().copied(), &mut row);
                        lanes.extend(row.iter().map(|value| *value as f32));
                    }
                    // P·(Σ δ uᵀ): column by column of r, then laid out [k, r].
                    let mut block = vec![0.0; output.kept * rank];
                    let mut column = vec![0.0; output.kept];
                    for at in 0..*rank {
                        column.fill(0.0);
                        let values = sums.second.iter().skip(at).step_by(*rank).copied();
                        output.add(values, &mut column);
                        for (value, row) in column.iter().zip(block.chunks_exact_mut(*rank)) {
                            row[at] = *value;
                        }
                    }
                    lanes.extend(block.iter().map(|value| *value as f32));
                }
                Plan::Linear { .. } => lanes.extend(sums.first.iter().map(|value| *value as f32)),
            }
        }
        Gradient { lanes }
    }
}

/// out = Σ_i vector_i · matrix[i], matrix [vector.len(), out.len()].
fn times(vector: &[f32], matrix: &[f64], out: &mut [f64]) {
    out.fill(0.0);
    for (value, row) in vector.iter().zip(matrix.chunks_exact(out.len())) {
        let value = f64::from(*value);
        for (to, entry) in out.iter_mut().zip(row) {
            *to += value * entry;
        }
    }
}

//! The modules whose gradients are sketched, and the layout that follows from them.

use crate::{Error, Result};
use openledger_attribution::{
    hash::keccak,
    sketch::{Kind, Layout, Module},
};

/// What a module of the model is.
#[derive(Clone, Debug, PartialEq)]
pub enum Weights {
    /// y = W·x + scale · B·A·x, with W frozen.
    Lora {
        /// r.
        rank: usize,
        /// A, [r, d_in], row by row.
        a: Vec<f32>,
        /// B, [d_out, r], row by row.
        b: Vec<f32>,
        /// s.
        scale: f32,
    },
    /// y = W·x, trained itself. (A bias is a last input that is always 1.)
    Linear,
}

/// A module of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModuleSpec {
    /// Its name, without a line feed.
    pub name: String,
    /// Numbers of its input.
    pub d_in: usize,
    /// Numbers of its output.
    pub d_out: usize,
    /// What it is.
    pub weights: Weights,
}

impl ModuleSpec {
    /// Checks that the weights have the sizes they claim.
    pub(crate) fn check(&self) -> Result<()> {
        let flaw = |what: String| {
            Err(Error::Shape {
                module: self.name.clone(),
                what,
            })
        };
        if self.name.is_empty() || self.name.contains('\n') {
            return flaw("a name is at least one character and has no line feed".into());
        }
        if self.d_in == 0 || self.d_out == 0 {
            return flaw(format!(
                "{} inputs and {} outputs: at least one of each is needed",
                self.d_in, self.d_out
            ));
        }
        if let Weights::Lora { rank, a, b, scale } = &self.weights {
            let (in_size, out_size) = (rank * self.d_in, self.d_out * rank);
            if *rank == 0 || a.len() != in_size || b.len() != out_size {
                return flaw(format!(
                    "rank {rank}, A of {} and B of {} numbers: expected {in_size} and {out_size}, and a rank of at least 1",
                    a.len(),
                    b.len()
                ));
            }
            let weights = a.iter().chain(b).chain(std::iter::once(scale));
            if let Some(value) = weights.into_iter().find(|value| !value.is_finite()) {
                return flaw(format!("a weight is {value}: every one must be a finite number"));
            }
        }
        Ok(())
    }

    /// The blocks that its gradient has: (name, kind, rows, columns).
    fn blocks(&self, projection: usize) -> Vec<(String, Kind, usize, usize)> {
        let kept = |d: usize| d.min(projection);
        match &self.weights {
            Weights::Lora { rank, .. } => vec![
                (format!("{}.A", self.name), Kind::LoraA, *rank, kept(self.d_in)),
                (format!("{}.B", self.name), Kind::LoraB, kept(self.d_out), *rank),
            ],
            Weights::Linear => vec![(self.name.clone(), Kind::Linear, kept(self.d_out), kept(self.d_in))],
        }
    }
}

/// The layout of modules in this order, and the names of its blocks.
pub(crate) fn layout_of(modules: &[ModuleSpec], projection: u16) -> Result<(Layout, Vec<String>)> {
    let mut names = Vec::new();
    let mut blocks = Vec::new();
    for module in modules {
        module.check()?;
        for (name, kind, rows, columns) in module.blocks(usize::from(projection)) {
            let size = |value: usize| {
                u16::try_from(value).map_err(|_| Error::Shape {
                    module: module.name.clone(),
                    what: format!(
                        "a block of {rows} × {columns} is too large: use a smaller projection or rank"
                    ),
                })
            };
            blocks.push(Module {
                kind,
                rows: size(rows)?,
                columns: size(columns)?,
            });
            names.push(name);
        }
    }
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort_unstable();
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Error::Plan(format!(
            "two blocks are named {}: every module needs its own name",
            pair[0]
        )));
    }
    Ok((
        Layout {
            names: names_hash(&names),
            modules: blocks,
        },
        names,
    ))
}

/// What a layout commits to of its blocks' names.
pub(crate) fn names_hash(names: &[String]) -> openledger_attribution::hash::Hash {
    let parts: Vec<&[u8]> = names
        .iter()
        .flat_map(|name| [name.as_bytes(), b"\n".as_slice()])
        .collect();
    keccak(&parts)
}

//! Factors files: what other programs write to have their examples scored.
//!
//! One safetensors file: `offsets` i64 [n + 1], the token range of each example; per module M `M.x` f32
//! [T, d_in] and `M.delta` f32 [T, d_out]; of a LoRA module also `M.A` f32 [r, d_in], `M.B` f32 [d_out, r]
//! and `M.scale`, one f32. Modules are in the order of their names' bytes.

use crate::{
    gradient::{Gradient, Sketcher},
    module::{ModuleSpec, Weights},
    Error, Result,
};
use memmap2::Mmap;
use safetensors::{tensor::TensorView, Dtype, SafeTensors};
use std::{
    fs::File,
    ops::Range,
    path::{Path, PathBuf},
};

/// A factors file, mapped into memory.
pub struct FactorsFile {
    path: PathBuf,
    map: Mmap,
    modules: Vec<ModuleSpec>,
    offsets: Vec<usize>,
}

impl FactorsFile {
    /// Opens a file and checks its tensors' types and shapes.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io(path))?;
        // SAFETY: the mapping is only read; who changes the file meanwhile gets wrong scores, not a crash of
        // memory safety in this program's own data, which is copied out and checked for size.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io(path))?;
        let mut factors = Self {
            path: path.to_path_buf(),
            map,
            modules: Vec::new(),
            offsets: Vec::new(),
        };
        let (modules, offsets) = factors.read_head()?;
        (factors.modules, factors.offsets) = (modules, offsets);
        Ok(factors)
    }

    /// How many examples it has.
    pub fn examples(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Its modules, sorted by name.
    pub fn modules(&self) -> &[ModuleSpec] {
        &self.modules
    }

    /// The gradient of an example. `sketcher` has this file's modules in this order.
    pub fn gradient(&self, sketcher: &Sketcher, example: usize) -> Result<Gradient> {
        let range = match self.offsets.get(example..example + 2) {
            Some(&[start, end]) => start..end,
            _ => {
                return Err(Error::NoSuch {
                    kind: "example",
                    index: example as u64,
                    count: self.examples() as u64,
                })
            }
        };
        let tensors = self.tensors()?;
        let mut gradient = sketcher.start();
        for (at, module) in self.modules.iter().enumerate() {
            let x = self.rows(&tensors, &format!("{}.x", module.name), module.d_in, &range)?;
            let delta = self.rows(&tensors, &format!("{}.delta", module.name), module.d_out, &range)?;
            gradient.add(at, &x, &delta)?;
        }
        Ok(gradient.finish())
    }

    /// Writes a file: per module its tokens' inputs and gradients, as many as `offsets` ends with.
    pub fn write(
        path: &Path,
        offsets: &[i64],
        modules: &[ModuleSpec],
        data: &[(Vec<f32>, Vec<f32>)],
    ) -> Result<()> {
        let bytes = |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
        let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = vec![(
            "offsets".into(),
            Dtype::I64,
            vec![offsets.len()],
            offsets.iter().flat_map(|v| v.to_le_bytes()).collect(),
        )];
        for (module, (x, delta)) in modules.iter().zip(data) {
            let name = |part: &str| format!("{}.{part}", module.name);
            let mut add = |part: &str, shape: Vec<usize>, values: &[f32]| {
                tensors.push((name(part), Dtype::F32, shape, bytes(values)));
            };
            add("x", vec![x.len() / module.d_in, module.d_in], x);
            add("delta", vec![delta.len() / module.d_out, module.d_out], delta);
            if let Weights::Lora { rank, a, b, scale } = &module.weights {
                add("A", vec![*rank, module.d_in], a);
                add("B", vec![module.d_out, *rank], b);
                add("scale", vec![], &[*scale]);
            }
        }
        let flaw = |error: safetensors::SafeTensorError| Error::Factors {
            path: path.to_path_buf(),
            what: error.to_string(),
        };
        let views = tensors
            .iter()
            .map(|(name, dtype, shape, bytes)| Ok((name, TensorView::new(*dtype, shape.clone(), bytes)?)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(flaw)?;
        safetensors::serialize_to_file(views, None, path).map_err(flaw)
    }

    fn tensors(&self) -> Result<SafeTensors<'_>> {
        SafeTensors::deserialize(&self.map).map_err(|error| self.flaw(error.to_string()))
    }

    fn flaw(&self, what: impl Into<String>) -> Error {
        Error::Factors {
            path: self.path.clone(),
            what: what.into(),
        }
    }

    fn read_head(&self) -> Result<(Vec<ModuleSpec>, Vec<usize>)> {
        let tensors = self.tensors()?;
        let offsets = tensors
            .tensor("offsets")
            .map_err(|_| self.flaw("there is no tensor `offsets`: it must hold the first token of each example and the number of tokens"))?;
        if offsets.dtype() != Dtype::I64 || offsets.shape().len() != 1 || offsets.shape() == [0] {
            return Err(self.flaw(format!(
                "`offsets` is {:?} {:?}: expected i64 [n + 1]",
                offsets.dtype(),
                offsets.shape()
            )));
        }
        let (words, _) = offsets.data().as_chunks::<8>();
        let offsets: Vec<usize> = words
            .iter()
            .map(|word| usize::try_from(i64::from_le_bytes(*word)))
            .collect::<Result<_, _>>()
            .map_err(|_| self.flaw("`offsets` has a negative number"))?;
        if offsets.first() != Some(&0) || !offsets.is_sorted() {
            return Err(self.flaw("`offsets` must start with 0 and never fall"));
        }
        let tokens = offsets.last().copied().unwrap_or(0);

        let mut names: Vec<&str> = tensors
            .names()
            .into_iter()
            .filter_map(|name| name.strip_suffix(".x"))
            .collect();
        names.sort_unstable();
        let mut modules = Vec::with_capacity(names.len());
        for name in names {
            let [rows, d_in] = self.shape(&tensors, &format!("{name}.x"))?;
            let [delta_rows, d_out] = self.shape(&tensors, &format!("{name}.delta"))?;
            if rows != tokens || delta_rows != tokens {
                return Err(self.flaw(format!(
                    "module {name} has {rows} inputs and {delta_rows} gradients: `offsets` ends with {tokens}"
                )));
            }
            let weights = if tensors.tensor(&format!("{name}.A")).is_ok() {
                self.lora(&tensors, name, d_in, d_out)?
            } else {
                Weights::Linear
            };
            modules.push(ModuleSpec {
                name: name.into(),
                d_in,
                d_out,
                weights,
            });
        }
        if modules.is_empty() {
            return Err(self.flaw("no module: expected tensors `M.x` and `M.delta` for each module M"));
        }
        Ok((modules, offsets))
    }

    fn lora(&self, tensors: &SafeTensors<'_>, name: &str, d_in: usize, d_out: usize) -> Result<Weights> {
        let [rank, a_in] = self.shape(tensors, &format!("{name}.A"))?;
        let [b_out, b_rank] = self.shape(tensors, &format!("{name}.B"))?;
        if (a_in, b_out, b_rank) != (d_in, d_out, rank) {
            return Err(self.flaw(format!(
                "module {name}: A is [{rank}, {a_in}] and B [{b_out}, {b_rank}]: expected [r, {d_in}] and [{d_out}, r]"
            )));
        }
        let all = |part: &str, rows: usize, width: usize| {
            self.rows(tensors, &format!("{name}.{part}"), width, &(0..rows))
        };
        let scale = format!("{name}.scale");
        let scale = tensors
            .tensor(&scale)
            .ok()
            .filter(|view| view.dtype() == Dtype::F32)
            .and_then(|view| view.data().as_chunks::<4>().0.first().copied())
            .map(f32::from_le_bytes)
            .ok_or_else(|| self.flaw(format!("module {name} is LoRA and has no f32 `{scale}`")))?;
        Ok(Weights::Lora {
            rank,
            a: all("A", rank, d_in)?,
            b: all("B", d_out, rank)?,
            scale,
        })
    }

    fn shape(&self, tensors: &SafeTensors<'_>, name: &str) -> Result<[usize; 2]> {
        let view = tensors
            .tensor(name)
            .map_err(|_| self.flaw(format!("there is no tensor `{name}`")))?;
        match (view.dtype(), view.shape()) {
            (Dtype::F32, &[rows, columns]) if columns > 0 => Ok([rows, columns]),
            (dtype, shape) => Err(self.flaw(format!(
                "`{name}` is {dtype:?} {shape:?}: expected f32 with two dimensions"
            ))),
        }
    }

    /// Some rows of a tensor whose shape was checked.
    fn rows(
        &self,
        tensors: &SafeTensors<'_>,
        name: &str,
        width: usize,
        rows: &Range<usize>,
    ) -> Result<Vec<f32>> {
        let view = tensors
            .tensor(name)
            .map_err(|_| self.flaw(format!("there is no tensor `{name}`")))?;
        let bytes = view
            .data()
            .get(rows.start * width * 4..rows.end * width * 4)
            .ok_or_else(|| self.flaw(format!("`{name}` has no rows {rows:?}")))?;
        let (words, _) = bytes.as_chunks::<4>();
        Ok(words.iter().map(|word| f32::from_le_bytes(*word)).collect())
    }
}

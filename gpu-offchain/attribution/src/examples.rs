//! Scores of examples from factors files alone: bases from the training examples, sketches of both, exact
//! scores. What an index does, in memory and without records.

use crate::{
    bases::Bases,
    factors::FactorsFile,
    gradient::{Gradient, Sketcher},
    index::check_gradient,
    quantise::quantise,
    score::{LaneMatrix, ScoreBackend},
    threads::{in_order, pieces},
    Error, Result,
};
use openledger_attribution::{
    bases::drawn_rows,
    hash::{Hash, NONE},
    index::IndexRules,
    sketch::{Rule, Sketch},
};
use safetensors::{tensor::TensorView, Dtype};
use std::path::Path;

/// The numbers of a scoring run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// As an index has them; `top` is not used.
    pub rules: IndexRules,
    /// Of the projections and the drawn rows.
    pub seed: Hash,
    /// Threads to use; the result does not depend on it.
    pub threads: usize,
}

/// Exact scores, query by query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scores {
    /// How many queries.
    pub queries: usize,
    /// How many training examples.
    pub rows: usize,
    /// [queries, rows], in units of 2^(2 · floor); positive = helps.
    pub values: Vec<i128>,
    /// The floor exponent.
    pub floor: i8,
    /// Score of each query with itself, in the same unit: what eligibility compares with.
    pub query_norms: Vec<u128>,
    /// Of each training example: its self-influence.
    pub row_norms: Vec<u128>,
}

/// Scores every training example for every query, without the cut of eligibility.
///
/// Errors: files whose modules differ, a gradient that is no number, a layout over the limits.
pub fn influence(
    train: &FactorsFile,
    query: &FactorsFile,
    options: &Options,
    backend: &dyn ScoreBackend,
) -> Result<Scores> {
    let shape = |file: &FactorsFile| -> Vec<(String, usize, usize)> {
        let modules = file.modules().iter();
        modules.map(|m| (m.name.clone(), m.d_in, m.d_out)).collect()
    };
    if shape(train) != shape(query) {
        return Err(Error::Plan(format!(
            "training and query examples have other modules ({:?} and {:?}): take both from one model",
            shape(train),
            shape(query)
        )));
    }
    let sketcher = Sketcher::new(train.modules().to_vec(), options.rules.projection, &options.seed)?;
    let rule = Rule::new(sketcher.layout(), &options.rules).map_err(Error::Layout)?;
    let gradients = |file: &FactorsFile| -> Result<Vec<Gradient>> {
        let all: Vec<usize> = (0..file.examples()).collect();
        in_order(&all, options.threads, |example| {
            let gradient = file.gradient(&sketcher, *example)?;
            check_gradient(&sketcher, &gradient)?;
            Ok(gradient)
        })
    };
    let rows = gradients(train)?;
    let drawn: Vec<u64> = drawn_rows(&options.seed, rows.len() as u64).into_iter().collect();
    let bases = Bases::fit(
        sketcher.layout(),
        sketcher.block_names(),
        options.rules.rho,
        drawn.len(),
        &|at| Ok(rows[drawn[at] as usize].clone()),
        options.threads,
    )?;
    let sketches = |gradients: &[Gradient]| -> Result<Vec<Sketch>> {
        in_order(gradients, options.threads, |gradient| {
            Ok(quantise(&rule, &bases.apply(gradient)))
        })
    };
    // Own sketches are valid, and then there is a norm.
    let norms = |sketches: &[Sketch]| -> Vec<u128> {
        let norm = |sketch: &Sketch| rule.norm(sketch.view()).unwrap_or(0);
        sketches.iter().map(norm).collect()
    };
    let row_sketches = sketches(&rows)?;
    let query_sketches = sketches(&gradients(query)?)?;
    let lanes: Vec<i8> = row_sketches
        .iter()
        .flat_map(|s| s.lanes.iter().copied())
        .collect();
    let matrix = LaneMatrix {
        id: NONE,
        lanes: &lanes,
        blocks: rule.block_lanes(),
    };
    let floor = i32::from(rule.floor());
    let blocks = matrix.blocks.len();
    let values = in_order(&query_sketches, options.threads, |query| {
        let mut scores = Vec::with_capacity(row_sketches.len());
        for piece in pieces(row_sketches.len(), 512) {
            let mut dots = vec![0; piece.len() * blocks];
            backend.dots(&matrix, piece.clone(), &query.lanes, &mut dots)?;
            for (row, dots) in piece.zip(dots.chunks_exact(blocks)) {
                let exponents = query.exponents.iter().zip(&row_sketches[row].exponents);
                // Own sketches are valid: no exponent is under the floor.
                scores.push(
                    dots.iter()
                        .zip(exponents)
                        .map(|(dot, (q, i))| i128::from(*dot) << (i32::from(*q) + i32::from(*i) - 2 * floor))
                        .sum::<i128>(),
                );
            }
        }
        Ok::<_, Error>(scores)
    })?;
    Ok(Scores {
        queries: query_sketches.len(),
        rows: row_sketches.len(),
        values: values.concat(),
        floor: rule.floor(),
        query_norms: norms(&query_sketches),
        row_norms: norms(&row_sketches),
    })
}

impl Scores {
    /// The scores as the nearest floating-point numbers, in units of 1.
    pub fn nearest(&self) -> Vec<f64> {
        let unit = 2f64.powi(2 * i32::from(self.floor));
        self.values.iter().map(|value| *value as f64 * unit).collect()
    }

    /// Writes `scores` f64 [queries, rows] and `scores_i128` u8 [queries, rows, 16], little-endian, the
    /// numbers as they are in the index's unit.
    ///
    /// `scores` are nearest to the integers of `scores_i128`, in the same unit. Beside them `query_norms` f64
    /// [queries] and `row_norms` f64 [rows], each example's score with itself.
    pub fn write(&self, path: &Path) -> Result<()> {
        let flaw = |error: safetensors::SafeTensorError| Error::Factors {
            path: path.to_path_buf(),
            what: error.to_string(),
        };
        let floats: Vec<u8> = self
            .values
            .iter()
            .flat_map(|v| (*v as f64).to_le_bytes())
            .collect();
        let exact: Vec<u8> = self.values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let shape = vec![self.queries, self.rows];
        let bytes =
            |norms: &[u128]| -> Vec<u8> { norms.iter().flat_map(|v| (*v as f64).to_le_bytes()).collect() };
        let (query_norms, row_norms) = (bytes(&self.query_norms), bytes(&self.row_norms));
        let tensors = [
            (
                "query_norms",
                TensorView::new(Dtype::F64, vec![self.queries], &query_norms).map_err(flaw)?,
            ),
            (
                "row_norms",
                TensorView::new(Dtype::F64, vec![self.rows], &row_norms).map_err(flaw)?,
            ),
            (
                "scores",
                TensorView::new(Dtype::F64, shape.clone(), &floats).map_err(flaw)?,
            ),
            (
                "scores_i128",
                TensorView::new(Dtype::U8, [shape, vec![16]].concat(), &exact).map_err(flaw)?,
            ),
        ];
        safetensors::serialize_to_file(tensors, None, path).map_err(flaw)
    }
}

/// Least and largest damping that [`suggested_rho`] gives, as parts of the mean eigenvalue.
const RHO: (f64, f64) = (0.1, 4.0);

/// Damping that suits training examples, in parts per billion of the mean eigenvalue: 5,000 / n², where n = (Σ‖g‖)² / Σ‖g‖² says how
/// many examples hold the gradients. Where few do, most eigenvalues are noise, and the mean says more than they do. Chosen on data
/// seed 1 of digits, breast_cancer and wine (docs/results/lds.md).
///
/// Errors: a gradient that is no number, no examples.
pub fn suggested_rho(train: &FactorsFile, projection: u16, seed: &Hash, threads: usize) -> Result<u32> {
    let sketcher = Sketcher::new(train.modules().to_vec(), projection, seed)?;
    let all: Vec<usize> = (0..train.examples()).collect();
    let lengths = in_order(&all, threads, |example| {
        let gradient = train.gradient(&sketcher, *example)?;
        check_gradient(&sketcher, &gradient)?;
        let squares = gradient.lanes().iter().map(|lane| f64::from(*lane).powi(2));
        Ok::<_, Error>(squares.sum::<f64>().sqrt())
    })?;
    let (sum, squares) = lengths.iter().fold((0.0, 0.0), |(sum, squares), length| {
        (sum + length, squares + length * length)
    });
    if squares <= 0.0 {
        return Err(Error::Plan(
            "no training example has a gradient: give a damping".into(),
        ));
    }
    let examples: f64 = sum * sum / squares;
    let rho = (5_000.0 / (examples * examples)).clamp(RHO.0, RHO.1);
    Ok((rho * 1e9).round() as u32)
}

//! From an answer's gradient to its list.

use crate::{
    gradient::Gradient,
    index::{check_lanes, Index},
    quantise::{quantise, Recomputed},
    score::ScoreBackend,
    threads::{in_order, pieces},
    Error, Result,
};
use openledger_attribution::{
    attribution::Attribution,
    hash::Hash,
    list::{ListBuilder, ListEntry},
    sketch::{Sketch, SketchLeaf},
    tree::{Opening, Root, Tree},
};
use std::ops::Range;

/// Rows that a thread scores before it asks for more.
const PIECE: usize = 512;

/// The sketch of an answer, committed.
#[derive(Clone, Debug)]
pub struct Query {
    /// The sketch.
    pub sketch: Sketch,
    leaves: Vec<SketchLeaf>,
    tree: Tree<SketchLeaf>,
}

impl Query {
    /// Root of its tree.
    pub fn root(&self) -> Root {
        self.tree.root()
    }

    /// The root's hash: what an attribution names.
    pub fn hash(&self) -> Hash {
        self.root().hash::<SketchLeaf>()
    }

    /// The blocks, leaves of its tree.
    pub fn leaves(&self) -> &[SketchLeaf] {
        &self.leaves
    }

    /// A block with the way to the root.
    pub fn open(&self, block: u64) -> Result<Opening<SketchLeaf>> {
        usize::try_from(block)
            .ok()
            .and_then(|at| self.leaves.get(at))
            .and_then(|leaf| self.tree.open(block, leaf))
            .ok_or(Error::NoSuch {
                kind: "block",
                index: block,
                count: self.leaves.len() as u64,
            })
    }
}

impl Index {
    /// The sketch of an answer's gradient, made by a [`Sketcher`](crate::Sketcher) with this index's modules,
    /// projection and seed.
    pub fn query(&self, gradient: &Gradient) -> Result<Query> {
        check_lanes(self.layout(), self.names(), gradient)?;
        self.query_from_sketch(quantise(self.rule(), &self.bases().apply(gradient)))
    }

    /// A published sketch. One of another shape is refused; one with blocks that no gradient gives is not,
    /// and scores with no row.
    pub fn query_from_sketch(&self, sketch: Sketch) -> Result<Query> {
        let leaves = sketch.leaves(self.rule()).ok_or_else(|| Error::SketchShape {
            exponents: sketch.exponents.len(),
            lanes: sketch.lanes.len(),
            blocks: self.layout().modules.len(),
            expected: self.rule().lanes(),
        })?;
        let tree = Tree::new(&leaves)?;
        Ok(Query { sketch, leaves, tree })
    }

    /// What a committee's member computed beside a committed sketch, of a row or of a query.
    pub fn recomputed(&self, committed: &Sketch, gradient: &Gradient) -> Result<Recomputed> {
        check_lanes(self.layout(), self.names(), gradient)?;
        let lanes = self.bases().apply(gradient);
        Ok(Recomputed::of(self.rule(), committed.view(), &lanes))
    }

    /// The exact scores of all rows, without the cut of eligibility; 0 where a sketch is invalid.
    pub fn scores(&self, query: &Query, backend: &dyn ScoreBackend, threads: usize) -> Result<Vec<i128>> {
        let is_valid = self.rule().check(query.sketch.view()).is_ok();
        let scored = in_order(&pieces(self.rows() as usize, PIECE), threads, |rows| {
            if !is_valid {
                return Ok(vec![0; rows.len()]);
            }
            let mut scores = Vec::with_capacity(rows.len());
            self.each_score(query, backend, rows, |_, score| scores.push(score.unwrap_or(0)))?;
            Ok::<_, Error>(scores)
        })?;
        Ok(scored.concat())
    }

    /// The list of an answer: eligible rows, score descending, then row ascending. The same for every
    /// backend and any number of threads.
    pub fn list(&self, query: &Query, backend: &dyn ScoreBackend, threads: usize) -> Result<Vec<ListEntry>> {
        let rule = self.rule();
        let view = query.sketch.view();
        let Some(norm) = rule.check(view).ok().and_then(|()| rule.norm(view)) else {
            return Ok(Vec::new());
        };
        let best = in_order(&pieces(self.rows() as usize, PIECE), threads, |rows| {
            let mut list = ListBuilder::new(rule, view);
            self.each_score(query, backend, rows, |row, score| {
                // Most rows are told by their score alone.
                let Some(score) = score.filter(|score| *score > 0) else {
                    return;
                };
                let eligible = self
                    .norm(row)
                    .and_then(|own| rule.judge(score, norm, own))
                    .unwrap_or(false);
                if eligible {
                    if let Ok(unit) = self.unit(row as u64) {
                        list.keep(ListEntry {
                            row: row as u64,
                            score: score.unsigned_abs(),
                            contributor: unit.contributor,
                        });
                    }
                }
            })?;
            Ok::<_, Error>(list.finish())
        })?;
        let mut list = ListBuilder::new(rule, view);
        for entry in best.into_iter().flatten() {
            list.keep(entry);
        }
        Ok(list.finish())
    }

    /// The attribution of an answer with its first channel filled.
    pub fn attribute(
        &self,
        query: &Query,
        backend: &dyn ScoreBackend,
        threads: usize,
    ) -> Result<Attribution> {
        Ok(Attribution {
            query: query.hash(),
            list: self.list(query, backend, threads)?,
            spans: Vec::new(),
            retrieved: Vec::new(),
        })
    }

    /// Calls `each` with the score of every row, none for a row whose bytes are invalid. The query is valid.
    fn each_score(
        &self,
        query: &Query,
        backend: &dyn ScoreBackend,
        rows: &Range<usize>,
        mut each: impl FnMut(usize, Option<i128>),
    ) -> Result<()> {
        let matrix = self.matrix();
        let blocks = matrix.blocks.len();
        let mut dots = vec![0; rows.len() * blocks];
        backend.dots(&matrix, rows.clone(), &query.sketch.lanes, &mut dots)?;
        let floor = i32::from(self.rule().floor());
        for (row, dots) in rows.clone().zip(dots.chunks_exact(blocks)) {
            // A norm tells that the row is valid: then every exponent is at or above the floor, and no sum
            // passes 2^117.
            let score = self.norm(row).map(|_| {
                let exponents = query.sketch.exponents.iter().zip(self.exponents(row));
                dots.iter()
                    .zip(exponents)
                    .map(|(dot, (q, i))| i128::from(*dot) << (i32::from(*q) + i32::from(*i) - 2 * floor))
                    .sum()
            });
            each(row, score);
        }
        Ok(())
    }
}

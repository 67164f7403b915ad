//! Building an index: gradients in the order of the rows, then bases, sketches and trees.

use super::{
    files::{draft, sync_names, write_value, Kind},
    plan::{root_of, IndexPlan, Places, Unit},
    spool::Spool,
    Head, Index,
};
use crate::{
    bases::Bases,
    gradient::{Gradient, GradientBuilder, Sketcher},
    quantise::quantise,
    threads::{in_order, pieces},
    Error, Result,
};
use openledger_attribution::{
    bases::drawn_rows,
    index::{IndexHeader, IndexLeaf},
    record::CorpusLeaf,
    sketch::Rule,
    tree::{Leaf, Tree},
    wire::Object,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Rows that are sketched before they are written: bounds memory.
const BATCH: usize = 512;

/// Takes the gradients of an index's rows and makes the index of them.
///
/// What was pushed is on disk: after a kill, [`open`](Self::open) goes on behind the last whole row.
pub struct IndexBuilder<'a> {
    dir: PathBuf,
    plan: &'a IndexPlan,
    sketcher: &'a Sketcher,
    rule: Rule,
    corpus: Vec<CorpusLeaf>,
    places: Places,
    /// None once the index is finished.
    spool: Option<Spool>,
}

/// Why [`IndexBuilder::run`] stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError<E> {
    /// The gradient of a row could not be computed.
    #[error("row {row}: {source}")]
    Gradient {
        /// The row.
        row: u64,
        /// Why.
        source: E,
    },
    /// It could not be kept.
    #[error(transparent)]
    Index(#[from] Error),
}

impl<'a> IndexBuilder<'a> {
    /// Starts in an empty or new folder, or goes on with the same plan and modules.
    ///
    /// Errors: a plan that contradicts itself or its layout, another plan's folder, disk.
    pub fn open(dir: &Path, plan: &'a IndexPlan, sketcher: &'a Sketcher) -> Result<Self> {
        let rule = Rule::new(sketcher.layout(), &plan.rules).map_err(Error::Layout)?;
        let corpus = plan.corpus_leaves();
        let places = Places::new(&corpus)?;
        let identity = plan.identity(&sketcher.layout().hash())?;
        fs::create_dir_all(dir).map_err(Error::io(dir))?;
        sync_names(dir)?;
        let spool = if Index::exists(dir) {
            let index = Index::open(dir)?;
            let header = index.header();
            let is_same = header.builder == plan.builder
                && (header.model, header.generation) == (plan.model, plan.generation)
                && (header.base, header.adapter, header.tokenizer)
                    == (plan.base, plan.adapter, plan.tokenizer)
                && (header.seed, header.rules) == (plan.seed, plan.rules)
                && header.layout == sketcher.layout().hash()
                && header.sources == plan.sources_root()?
                && (header.verbatim, header.retrieval) == (plan.verbatim, plan.retrieval)
                && index.corpus() == corpus;
            if !is_same {
                return Err(Error::OtherPlan(dir.to_path_buf()));
            }
            None
        } else {
            let lanes = sketcher.layout().lanes() as usize;
            Some(Spool::open(dir, &identity, lanes, places.rows())?)
        };
        Ok(Self {
            dir: dir.to_path_buf(),
            plan,
            sketcher,
            rule,
            corpus,
            places,
            spool,
        })
    }

    /// Rows of the index.
    pub fn rows(&self) -> u64 {
        self.places.rows()
    }

    /// Rows that have a gradient.
    pub fn done(&self) -> u64 {
        self.spool.as_ref().map_or(self.rows(), Spool::rows)
    }

    /// The row whose gradient is pushed next; none when all are there.
    pub fn next_unit(&self) -> Option<Unit> {
        self.places.unit(&self.corpus, self.done())
    }

    /// All rows without gradient, in the order in which they are pushed.
    pub fn units(&self) -> impl Iterator<Item = Unit> + '_ {
        (self.done()..self.rows()).filter_map(|row| self.places.unit(&self.corpus, row))
    }

    /// Keeps the gradient of the next row.
    ///
    /// Errors: a gradient of other modules, a lane that is no number, more gradients than rows, disk.
    pub fn push(&mut self, gradient: &Gradient) -> Result<()> {
        let rows = self.rows();
        if self.done() >= rows {
            return Err(Error::Full(rows));
        }
        check_gradient(self.sketcher, gradient)?;
        match &mut self.spool {
            Some(spool) => spool.push(gradient),
            None => Err(Error::Full(rows)),
        }
    }

    /// Computes and pushes all that are left.
    pub fn run<E>(
        &mut self,
        mut compute: impl FnMut(&Unit, &mut GradientBuilder<'_>) -> Result<(), E>,
    ) -> Result<(), RunError<E>> {
        while let Some(unit) = self.next_unit() {
            let mut gradient = self.sketcher.start();
            compute(&unit, &mut gradient).map_err(|source| RunError::Gradient {
                row: unit.row,
                source,
            })?;
            self.push(&gradient.finish())?;
        }
        Ok(())
    }

    /// Fits the bases, sketches every row, writes the files, and removes the gradients. The bits do not
    /// depend on `threads`. Killed in between, it is simply called again.
    ///
    /// Errors: rows without gradient, bases that fixed point cannot hold, disk.
    pub fn finish(self, threads: usize) -> Result<Index> {
        let Some(spool) = &self.spool else {
            return Index::open(&self.dir);
        };
        let (done, rows) = (spool.rows(), self.rows());
        if done < rows {
            return Err(Error::Unfinished { done, rows });
        }
        spool.sync()?;
        let layout = self.sketcher.layout();
        let drawn: Vec<u64> = drawn_rows(&self.plan.seed, rows).into_iter().collect();
        let bases = Bases::fit(
            layout,
            self.sketcher.block_names(),
            self.plan.rules.rho,
            drawn.len(),
            &|at| spool.read(drawn[at]),
            threads,
        )?;
        let rows_root = self.write_rows(spool, &bases, threads)?;
        let sources = self.plan.source_leaves()?;
        let header = IndexHeader {
            builder: self.plan.builder,
            model: self.plan.model,
            generation: self.plan.generation,
            base: self.plan.base,
            adapter: self.plan.adapter,
            tokenizer: self.plan.tokenizer,
            seed: self.plan.seed,
            layout: layout.hash(),
            rules: self.plan.rules,
            bases: root_of(bases.leaves().iter().cloned())?,
            sources: root_of(sources.iter().copied())?,
            corpus: root_of(self.corpus.iter().copied())?,
            rows: rows_root,
            verbatim: self.plan.verbatim,
            retrieval: self.plan.retrieval,
        };
        header.check(layout).map_err(|flaw| {
            Error::Plan(format!(
                "the header would contradict itself ({flaw:?}): check that the verbatim channel is of this corpus"
            ))
        })?;
        write_value(&self.dir, Kind::Bases, &bases.leaves().to_vec())?;
        write_value(&self.dir, Kind::Sources, &sources)?;
        write_value(&self.dir, Kind::Corpus, &self.corpus)?;
        let head = Head {
            names: self.sketcher.block_names().to_vec(),
            layout: layout.clone(),
            header,
        };
        write_value(&self.dir, Kind::Index, &head)?;
        let path = Kind::Spool.path(&self.dir);
        fs::remove_file(&path).map_err(Error::io(&path))?;
        Index::open(&self.dir)
    }

    /// Sketches all rows in order and returns the root of their tree.
    fn write_rows(
        &self,
        spool: &Spool,
        bases: &Bases,
        threads: usize,
    ) -> Result<openledger_attribution::tree::Root> {
        let mut exponents = draft(&self.dir, Kind::Exponents)?;
        let mut lanes = draft(&self.dir, Kind::Lanes)?;
        let mut leaves = draft(&self.dir, Kind::Leaves)?;
        let mut nodes = Vec::new();
        for batch in pieces(self.rows() as usize, BATCH) {
            let batch: Vec<u64> = batch.map(|row| row as u64).collect();
            let sketched = in_order(&batch, threads, |row| {
                let unit = self.places.unit(&self.corpus, *row).ok_or(Error::NoSuch {
                    kind: "row",
                    index: *row,
                    count: self.rows(),
                })?;
                let sketch = quantise(&self.rule, &bases.apply(&spool.read(*row)?));
                let leaf = leaf_of(&unit, sketch);
                let node = leaf
                    .node(*row)
                    .ok_or(openledger_attribution::tree::BuildError::Leaf(*row))?;
                Ok::<_, Error>((leaf.sketch, node))
            })?;
            for (sketch, node) in sketched {
                exponents.write(&as_bytes(&sketch.exponents))?;
                lanes.write(&as_bytes(&sketch.lanes))?;
                leaves.write(&node.hash)?;
                nodes.push(node);
            }
        }
        exponents.finish()?;
        lanes.finish()?;
        leaves.finish()?;
        Ok(Tree::<IndexLeaf>::from_nodes(nodes)?.root())
    }
}

/// The leaf of a row.
pub(super) fn leaf_of(unit: &Unit, sketch: openledger_attribution::sketch::Sketch) -> IndexLeaf {
    IndexLeaf {
        source: unit.source,
        record: unit.record,
        unit: unit.unit,
        contributor: unit.contributor,
        sketch,
    }
}

fn as_bytes(values: &[i8]) -> Vec<u8> {
    values.iter().map(|value| value.cast_unsigned()).collect()
}

/// Refuses gradients of another layout and such that have no meaning.
pub(crate) fn check_gradient(sketcher: &Sketcher, gradient: &Gradient) -> Result<()> {
    check_lanes(sketcher.layout(), sketcher.block_names(), gradient)
}

/// The same for a layout alone.
pub(crate) fn check_lanes(
    layout: &openledger_attribution::sketch::Layout,
    names: &[String],
    gradient: &Gradient,
) -> Result<()> {
    if gradient.lanes.len() != layout.lanes() as usize {
        return Err(Error::Shape {
            module: "all".into(),
            what: format!(
                "a gradient of {} lanes: this index has {}; use a sketcher of its modules and seed",
                gradient.lanes.len(),
                layout.lanes()
            ),
        });
    }
    let mut rest = gradient.lanes.as_slice();
    for (module, name) in layout.modules.iter().zip(names) {
        let (lanes, tail) = rest.split_at(module.lanes() as usize);
        rest = tail;
        if let Some(value) = lanes.iter().find(|lane| !lane.is_finite()) {
            return Err(Error::NotFinite {
                module: name.clone(),
                value: *value,
            });
        }
    }
    Ok(())
}

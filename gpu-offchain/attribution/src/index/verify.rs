//! Recomputing everything integers can tell of an index.

use super::Index;
use crate::{
    threads::{in_order, pieces},
    Error, Result,
};
use openledger_attribution::{tree::Leaf, tree::Tree};

impl Index {
    /// Recomputes every leaf and root, and checks what each shows: rows in the order of the corpus, bytes that
    /// come from a gradient, bases that are orthonormal. Whether the gradients are right only who computes
    /// them can tell.
    pub fn verify(&self, threads: usize) -> Result<()> {
        let all = pieces(self.rows() as usize, 256);
        let nodes = in_order(&all, threads, |rows| {
            let mut nodes = Vec::with_capacity(rows.len());
            for at in rows.clone() {
                let leaf = self.row(at as u64)?;
                if let Err(flaw) = self.rule.check(leaf.sketch.view()) {
                    return Err(Error::Wrong(format!(
                        "row {at} can come from no gradient ({flaw:?})"
                    )));
                }
                let node = leaf
                    .node(at as u64)
                    .ok_or(openledger_attribution::tree::BuildError::Leaf(at as u64))?;
                nodes.push(node);
            }
            Ok(nodes)
        })?;
        let tree = Tree::<openledger_attribution::index::IndexLeaf>::from_nodes(nodes.concat())?;
        if tree.root() != self.row_root() {
            return Err(Error::Wrong("its rows are not the committed ones".into()));
        }
        if let Some((block, is_left)) = self.bases.flaw(&self.head.layout) {
            return Err(Error::NotOrthonormal {
                part: if is_left { "left" } else { "right" },
                block: self.head.names.get(block).cloned().unwrap_or_default(),
            });
        }
        for pair in self.corpus.windows(2) {
            if (pair[0].source, pair[0].record) >= (pair[1].source, pair[1].record) {
                return Err(Error::Wrong(format!(
                    "record {:?} is out of order in its corpus",
                    pair[1].record
                )));
            }
        }
        Ok(())
    }
}

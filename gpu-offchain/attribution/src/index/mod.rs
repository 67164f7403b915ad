//! A finished index on disk: rows mapped into memory, everything else read.

mod build;
mod files;
mod plan;
mod spool;
mod verify;

pub use build::{IndexBuilder, RunError};
pub use plan::{default_rules, IndexPlan, Source, SourceRecord, Unit};

pub(crate) use build::{check_gradient, check_lanes};

use crate::{bases::Bases, module::names_hash, score::LaneMatrix, threads, Error, Result};
use build::leaf_of;
use files::{read_value, Kind, HEAD};
use memmap2::Mmap;
use openledger_attribution::{
    bases::BasisLeaf,
    hash::Hash,
    index::{IndexHeader, IndexLeaf},
    record::{CorpusLeaf, SourceLeaf},
    sketch::{Layout, Rule, Sketch, SketchRef},
    tree::{Leaf, Node, Opening, Root, Tree},
    wire::{Field, Reader, WireError},
};
use plan::Places;
use std::{fs::File, path::Path};

/// What `index.bin` holds.
struct Head {
    names: Vec<String>,
    layout: Layout,
    header: IndexHeader,
}

impl Field for Head {
    fn write(&self, out: &mut Vec<u8>) {
        let names: Vec<Vec<u8>> = self.names.iter().map(|name| name.clone().into_bytes()).collect();
        names.write(out);
        self.layout.write(out);
        self.header.write(out);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let names = Vec::<Vec<u8>>::read(from)?;
        let names = names
            .into_iter()
            .map(|name| String::from_utf8(name).map_err(|_| WireError::Choice(0)))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            names,
            layout: Field::read(from)?,
            header: Field::read(from)?,
        })
    }
}

/// An index, opened. Shared by threads as it is.
pub struct Index {
    head: Head,
    rule: Rule,
    sources: Vec<SourceLeaf>,
    corpus: Vec<CorpusLeaf>,
    places: Places,
    bases: Bases,
    exponents: Mapped,
    lanes: Mapped,
    row_tree: Tree<IndexLeaf>,
    basis_tree: Tree<BasisLeaf>,
    corpus_tree: Tree<CorpusLeaf>,
    source_tree: Tree<SourceLeaf>,
    /// Of each row; none for one whose bytes can come from no gradient.
    norms: Vec<Option<u128>>,
    id: Hash,
}

/// A file of fixed-size rows, mapped.
struct Mapped {
    map: Mmap,
}

impl Mapped {
    fn open(dir: &Path, kind: Kind, rows: u64, width: usize) -> Result<Self> {
        let path = kind.path(dir);
        let file = File::open(&path).map_err(Error::io(&path))?;
        // SAFETY: files of a finished index are never written again by this program: new ones are made under
        // another name and renamed. Who else changes them breaks the index, as with any file.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io(&path))?;
        kind.check(&path, &map)?;
        let expected = HEAD as u64 + rows * width as u64;
        if map.len() as u64 != expected {
            return Err(Error::damaged(
                &path,
                format!("{} bytes where {rows} rows take {expected}", map.len()),
            ));
        }
        Ok(Self { map })
    }

    fn bytes(&self) -> &[u8] {
        &self.map[HEAD..]
    }

    fn signed(&self) -> &[i8] {
        let bytes = self.bytes();
        // SAFETY: i8 and u8 have the same size and alignment, and every byte is both.
        unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast::<i8>(), bytes.len()) }
    }
}

impl Index {
    /// Whether there is a finished index in this folder.
    pub fn exists(dir: &Path) -> bool {
        Kind::Index.path(dir).is_file()
    }

    /// Opens a finished index and checks that its parts belong together. What each row commits to is only
    /// recomputed by [`verify`](Self::verify).
    ///
    /// Errors: files that are missing, damaged or of another version, parts that do not fit the header.
    pub fn open(dir: &Path) -> Result<Self> {
        let head: Head = read_value(dir, Kind::Index)?;
        let wrong = |what: &str| Error::Wrong(what.into());
        head.header
            .check(&head.layout)
            .map_err(|flaw| Error::Wrong(format!("its header contradicts itself ({flaw:?})")))?;
        let rule = head
            .header
            .rule(&head.layout)
            .ok_or_else(|| wrong("its layout is not the committed one"))?;
        if names_hash(&head.names) != head.layout.names || head.names.len() != head.layout.modules.len() {
            return Err(wrong("the names of its blocks are not the committed ones"));
        }
        let sources: Vec<SourceLeaf> = read_value(dir, Kind::Sources)?;
        let corpus: Vec<CorpusLeaf> = read_value(dir, Kind::Corpus)?;
        let leaves: Vec<BasisLeaf> = read_value(dir, Kind::Bases)?;
        let source_tree = Tree::new(&sources)?;
        let corpus_tree = Tree::new(&corpus)?;
        let basis_tree = Tree::new(&leaves)?;
        for (name, root, committed) in [
            ("sources", source_tree.root(), head.header.sources),
            ("corpus", corpus_tree.root(), head.header.corpus),
            ("bases", basis_tree.root(), head.header.bases),
        ] {
            if root != committed {
                return Err(Error::Wrong(format!("its {name} are not the committed ones")));
            }
        }
        let places = Places::new(&corpus)?;
        let bases = Bases::from_leaves(&head.layout, leaves, head.header.rules.rho)
            .ok_or_else(|| wrong("its bases do not fit its layout"))?;
        let rows = head.header.rows.count;
        let exponents = Mapped::open(dir, Kind::Exponents, rows, head.layout.modules.len())?;
        let lanes = Mapped::open(dir, Kind::Lanes, rows, head.layout.lanes() as usize)?;
        let hashes = Mapped::open(dir, Kind::Leaves, rows, 32)?;
        let (hashes, _) = hashes.bytes().as_chunks::<32>();
        let nodes = hashes.iter().map(|hash| Node { sum: 0, hash: *hash }).collect();
        let row_tree = Tree::from_nodes(nodes)?;
        if row_tree.root() != head.header.rows {
            return Err(wrong("the hashes of its rows are not the committed ones"));
        }
        let id = head.header.rows.hash::<IndexLeaf>();
        let mut index = Self {
            head,
            rule,
            sources,
            corpus,
            places,
            bases,
            exponents,
            lanes,
            row_tree,
            basis_tree,
            corpus_tree,
            source_tree,
            norms: Vec::new(),
            id,
        };
        index.norms = index.compute_norms();
        Ok(index)
    }

    fn compute_norms(&self) -> Vec<Option<u128>> {
        let all = threads::pieces(self.rows() as usize, 1_024);
        let norms = threads::in_order(&all, threads::available_threads(), |rows| {
            let norm = |row: usize| {
                let sketch = self.sketch(row)?;
                self.rule.check(sketch).ok()?;
                self.rule.norm(sketch)
            };
            Ok::<Vec<Option<u128>>, std::convert::Infallible>(rows.clone().map(norm).collect())
        });
        match norms {
            Ok(norms) => norms.concat(),
            Err(never) => match never {},
        }
    }

    /// What it commits to.
    pub fn header(&self) -> &IndexHeader {
        &self.head.header
    }

    /// Its layout.
    pub fn layout(&self) -> &Layout {
        &self.head.layout
    }

    /// The names of its blocks.
    pub fn names(&self) -> &[String] {
        &self.head.names
    }

    /// The rule of its sketches and lists.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        self.head.header.rows.count
    }

    /// The versions it is made of.
    pub fn sources(&self) -> &[SourceLeaf] {
        &self.sources
    }

    /// The records it is made of.
    pub fn corpus(&self) -> &[CorpusLeaf] {
        &self.corpus
    }

    /// What it rotates into.
    pub fn bases(&self) -> &Bases {
        &self.bases
    }

    /// Which tokens of which record a row stands for.
    pub fn unit(&self, row: u64) -> Result<Unit> {
        self.places.unit(&self.corpus, row).ok_or(Error::NoSuch {
            kind: "row",
            index: row,
            count: self.rows(),
        })
    }

    /// A row.
    pub fn row(&self, row: u64) -> Result<IndexLeaf> {
        let unit = self.unit(row)?;
        let sketch = self.sketch(row as usize).ok_or(Error::NoSuch {
            kind: "row",
            index: row,
            count: self.rows(),
        })?;
        let owned = Sketch {
            exponents: sketch.exponents.to_vec(),
            lanes: sketch.lanes.to_vec(),
        };
        Ok(leaf_of(&unit, owned))
    }

    /// A row with the way to the committed root.
    pub fn open_row(&self, row: u64) -> Result<Opening<IndexLeaf>> {
        open_leaf("row", &self.row_tree, row, &self.row(row)?)
    }

    /// A record of the corpus with the way to the committed root.
    pub fn open_corpus(&self, entry: u64) -> Result<Opening<CorpusLeaf>> {
        open_at("record", &self.corpus_tree, entry, &self.corpus)
    }

    /// A version with the way to the committed root.
    pub fn open_source(&self, source: u64) -> Result<Opening<SourceLeaf>> {
        open_at("source", &self.source_tree, source, &self.sources)
    }

    /// A leaf of the bases with the way to the committed root.
    pub fn open_basis(&self, leaf: u64) -> Result<Opening<BasisLeaf>> {
        open_at("basis leaf", &self.basis_tree, leaf, self.bases.leaves())
    }

    /// The rows' lanes, for a backend.
    pub fn matrix(&self) -> LaneMatrix<'_> {
        LaneMatrix {
            id: self.id,
            lanes: self.lanes.signed(),
            blocks: self.rule.block_lanes(),
        }
    }

    /// The tree's root of the rows.
    pub(crate) fn row_root(&self) -> Root {
        self.row_tree.root()
    }

    pub(crate) fn norm(&self, row: usize) -> Option<u128> {
        self.norms.get(row).copied().flatten()
    }

    pub(crate) fn exponents(&self, row: usize) -> &[i8] {
        let width = self.head.layout.modules.len();
        self.exponents
            .signed()
            .get(row * width..(row + 1) * width)
            .unwrap_or_default()
    }

    pub(crate) fn sketch(&self, row: usize) -> Option<SketchRef<'_>> {
        let width = self.head.layout.lanes() as usize;
        Some(SketchRef {
            exponents: self.exponents(row),
            lanes: self.lanes.signed().get(row * width..(row + 1) * width)?,
        })
    }
}

fn open_at<L: Leaf>(kind: &'static str, tree: &Tree<L>, at: u64, leaves: &[L]) -> Result<Opening<L>> {
    let leaf = usize::try_from(at)
        .ok()
        .and_then(|at| leaves.get(at))
        .ok_or(Error::NoSuch {
            kind,
            index: at,
            count: leaves.len() as u64,
        })?;
    open_leaf(kind, tree, at, leaf)
}

fn open_leaf<L: Leaf>(kind: &'static str, tree: &Tree<L>, at: u64, leaf: &L) -> Result<Opening<L>> {
    tree.open(at, leaf).ok_or(Error::NoSuch {
        kind,
        index: at,
        count: tree.root().count,
    })
}

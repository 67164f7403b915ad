//! Lies in an index: its files are changed and committed to again.

use crate::Lie;
use openledger_attribution::{
    bases::BasisLeaf,
    index::{IndexHeader, IndexLeaf},
    record::CorpusLeaf,
    sketch::Layout,
    tree::{Leaf, Node, Root, Tree},
    verbatim::Verbatim,
    wire::{Field, Reader, WireError},
};
use std::{io, path::Path};

/// Bytes in front of what a file holds: its kind and version.
const HEAD: usize = 16;

/// What `index.bin` holds.
struct Head {
    names: Vec<Vec<u8>>,
    layout: Layout,
    header: IndexHeader,
}

impl Field for Head {
    fn write(&self, out: &mut Vec<u8>) {
        self.names.write(out);
        self.layout.write(out);
        self.header.write(out);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            names: Field::read(from)?,
            layout: Field::read(from)?,
            header: Field::read(from)?,
        })
    }
}

/// Changes a finished index.
pub(crate) fn deliver(lie: Lie, folder: &Path) -> io::Result<()> {
    if !matches!(lie, Lie::Row | Lie::Corpus | Lie::Basis) {
        return Ok(());
    }
    let mut head: Head = read(folder, "index.bin")?;
    match lie {
        Lie::Basis => {
            let mut leaves: Vec<BasisLeaf> = read(folder, "bases.bin")?;
            let vector = leaves.iter_mut().find_map(|leaf| match leaf {
                BasisLeaf::Vector(vector) => Some(vector),
                _ => None,
            });
            for number in vector.into_iter().flatten() {
                *number = number.wrapping_div(2);
            }
            head.header.bases = root(&leaves)?;
            write(folder, "bases.bin", &leaves)?;
        }
        Lie::Corpus => {
            let mut corpus: Vec<CorpusLeaf> = read(folder, "corpus.bin")?;
            if let Some(entry) = corpus.first_mut() {
                entry.contributor = head.header.builder;
            }
            head.header.corpus = root(&corpus)?;
            // The verbatim channel has the records as they are: it is left out.
            head.header.verbatim = Verbatim::NONE;
            write(folder, "corpus.bin", &corpus)?;
        }
        // The first row's first block: its largest lane becomes too small.
        _ => {
            let path = folder.join("lanes.bin");
            let mut bytes = std::fs::read(&path)?;
            let rows = usize::try_from(head.header.rows.count).unwrap_or(1).max(1);
            let width = (bytes.len() - HEAD) / rows;
            let row = &mut bytes[HEAD..HEAD + width];
            row.fill(0);
            row[0] = 1;
            std::fs::write(&path, bytes)?;
        }
    }
    // Rows say again what the corpus and the lanes now say.
    head.header.rows = rows(folder, &head)?;
    write(folder, "index.bin", &head)
}

/// Writes the rows' leaves anew and returns their root.
fn rows(folder: &Path, head: &Head) -> io::Result<Root> {
    let corpus: Vec<CorpusLeaf> = read(folder, "corpus.bin")?;
    let (lanes, exponents) = (
        std::fs::read(folder.join("lanes.bin"))?,
        std::fs::read(folder.join("exponents.bin"))?,
    );
    let modules = head.layout.modules.len();
    let width: usize = head
        .layout
        .modules
        .iter()
        .map(|module| module.lanes() as usize)
        .sum();
    let signed = |bytes: &[u8]| -> Vec<i8> { bytes.iter().map(|byte| byte.cast_signed()).collect() };
    let mut nodes: Vec<Node> = Vec::new();
    for entry in &corpus {
        for unit in 0..openledger_attribution::text::units(entry.tokens) {
            let at = nodes.len();
            let leaf = IndexLeaf {
                source: entry.source,
                record: entry.record,
                unit,
                contributor: entry.contributor,
                sketch: openledger_attribution::sketch::Sketch {
                    exponents: signed(&exponents[HEAD + at * modules..HEAD + (at + 1) * modules]),
                    lanes: signed(&lanes[HEAD + at * width..HEAD + (at + 1) * width]),
                },
            };
            nodes.push(
                leaf.node(at as u64)
                    .ok_or_else(|| io::Error::other("a row is no leaf"))?,
            );
        }
    }
    let path = folder.join("leaves.bin");
    let mut bytes = std::fs::read(&path)?;
    bytes.truncate(HEAD);
    for node in &nodes {
        bytes.extend(node.hash);
    }
    std::fs::write(&path, bytes)?;
    let tree = Tree::<IndexLeaf>::from_nodes(nodes).map_err(io::Error::other)?;
    Ok(tree.root())
}

fn root<L: Leaf>(leaves: &[L]) -> io::Result<Root> {
    Ok(Tree::new(leaves).map_err(io::Error::other)?.root())
}

fn read<T: Field>(folder: &Path, name: &str) -> io::Result<T> {
    let bytes = std::fs::read(folder.join(name))?;
    let mut reader = Reader::new(bytes.get(HEAD..).unwrap_or_default());
    T::read(&mut reader).map_err(|error| io::Error::other(format!("{name}: {error}")))
}

fn write<T: Field>(folder: &Path, name: &str, value: &T) -> io::Result<()> {
    let path = folder.join(name);
    let mut bytes = std::fs::read(&path)?;
    bytes.truncate(HEAD);
    value.write(&mut bytes);
    std::fs::write(&path, bytes)
}

//! Building, keeping and asking an index.

use crate::{
    leaf::{postings_hash, ChunkLeaf, Header, Posting, Rules, TermLeaf},
    score::{Scale, MAX_TERMS},
    terms::{terms, UNICODE},
    Error, Result,
};
use openledger_attribution::{
    attribution::{Retrieved, MAX_RETRIEVED},
    hash::{keccak, Hash},
    record::CorpusLeaf,
    tree::{Gap, Leaf, Opening, Tree},
    wire::{Field, Object, Reader, WireError},
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{self, File},
    io::Write,
    path::Path,
};

/// What the file of an index starts with.
const MAGIC: [u8; 8] = *b"OLEDGRT1";

/// Reads records and makes an index of them. In memory it takes eight bytes for each term of each chunk
/// (repetitions once) and the distinct terms.
pub struct Builder {
    rules: Rules,
    records: u64,
    chunks: Vec<ChunkLeaf>,
    postings: HashMap<String, Vec<Posting>>,
    terms: u64,
}

impl Builder {
    /// Starts an index.
    ///
    /// Errors: chunks without terms, b over 1,000 thousandths.
    pub fn new(rules: Rules) -> Result<Self> {
        if rules.chunk == 0 || rules.b > 1_000 {
            return Err(Error::Rules(format!(
                "chunks of {} terms and b of {}/1000: choose at least 1 and at most 1000",
                rules.chunk, rules.b
            )));
        }
        Ok(Self {
            rules,
            records: 0,
            chunks: Vec::new(),
            postings: HashMap::new(),
            terms: 0,
        })
    }

    /// Adds the next record of the corpus, in canonical form.
    ///
    /// Errors: a text over 4 GiB, more than 2^32 chunks or 2^40 terms.
    pub fn push(&mut self, text: &str) -> Result<()> {
        let entry = self.records;
        let bytes = u32::try_from(text.len())
            .map_err(|_| Error::TooMuch(format!("record {entry} has {} bytes", text.len())))?;
        let mut found: Vec<(u32, String)> = Vec::new();
        terms(text, |at, term| found.push((at as u32, term.to_owned())));
        let size = usize::from(self.rules.chunk);
        let starts: Vec<u32> = found.chunks(size).map(|chunk| chunk[0].0).collect();
        for (n, chunk) in found.chunks(size).enumerate() {
            let number = u32::try_from(self.chunks.len())
                .ok()
                .filter(|number| *number < u32::MAX)
                .ok_or_else(|| Error::TooMuch("more than 2^32 chunks".into()))?;
            let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
            for (_, term) in chunk {
                *counts.entry(term).or_default() += 1;
            }
            for (term, count) in counts {
                let posting = Posting { chunk: number, count };
                match self.postings.get_mut(term) {
                    Some(postings) => postings.push(posting),
                    None => {
                        self.postings.insert(term.to_owned(), vec![posting]);
                    }
                }
            }
            self.terms += chunk.len() as u64;
            self.chunks.push(ChunkLeaf {
                entry,
                start: if n == 0 { 0 } else { chunk[0].0 },
                end: starts.get(n + 1).copied().unwrap_or(bytes),
                terms: chunk.len() as u32,
            });
        }
        if self.terms > MAX_TERMS {
            return Err(Error::TooMuch(format!("more than {MAX_TERMS} terms")));
        }
        self.records += 1;
        Ok(())
    }

    /// The index of what was added.
    pub fn finish(self) -> Result<Index> {
        let mut lists: Vec<(Hash, Vec<Posting>)> = self
            .postings
            .into_iter()
            .map(|(term, postings)| (keccak(&[term.as_bytes()]), postings))
            .collect();
        lists.sort_unstable_by_key(|(term, _)| *term);
        Index::new(self.rules, UNICODE, self.records, self.chunks, lists)
    }
}

/// A chunk that a query found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its number.
    pub chunk: u32,
    /// Where it stands.
    pub leaf: ChunkLeaf,
    /// Its score, in 65,536ths of a bit.
    pub score: u64,
}

/// What an index says of a term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TermProof<'a> {
    /// Some chunk has it.
    Known {
        /// Its leaf with the way to the root.
        opening: Opening<TermLeaf>,
        /// What the leaf's hash of postings stands for.
        postings: &'a [Posting],
    },
    /// No chunk has it: the neighbours between which it would stand.
    Missing(Gap<TermLeaf>),
}

/// A retrieval index, in memory.
#[derive(Clone, Debug)]
pub struct Index {
    header: Header,
    chunks: Vec<ChunkLeaf>,
    /// Postings by the keccak of their term, sorted.
    lists: Vec<(Hash, Vec<Posting>)>,
    chunk_tree: Tree<ChunkLeaf>,
    term_tree: Tree<TermLeaf>,
}

impl Index {
    fn new(
        rules: Rules,
        unicode: [u8; 3],
        records: u64,
        chunks: Vec<ChunkLeaf>,
        lists: Vec<(Hash, Vec<Posting>)>,
    ) -> Result<Self> {
        let leaves: Vec<TermLeaf> = lists.iter().map(term_leaf).collect();
        let (chunk_tree, term_tree) = (Tree::new(&chunks)?, Tree::new(&leaves)?);
        Ok(Self {
            header: Header {
                rules,
                unicode,
                records,
                chunks: chunk_tree.root(),
                terms: term_tree.root(),
            },
            chunks,
            lists,
            chunk_tree,
            term_tree,
        })
    }

    /// What it commits to.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What an index header names as its retrieval index.
    pub fn hash(&self) -> Hash {
        self.header.hash()
    }

    /// The best chunks for a query, at most `top`: by score, of equals the first in the corpus. Chunks
    /// without a term of the query are not among them.
    ///
    /// Errors: an index made with another Unicode version than this program's.
    pub fn search(&self, query: &str, top: usize) -> Result<Vec<Hit>> {
        if self.header.unicode != UNICODE {
            return Err(Error::Unicode {
                index: self.header.unicode,
                own: UNICODE,
            });
        }
        let mut wanted: BTreeMap<Hash, u64> = BTreeMap::new();
        terms(query, |_, term| {
            *wanted.entry(keccak(&[term.as_bytes()])).or_default() += 1;
        });
        let scale = self.scale();
        let mut scores: HashMap<u32, u64> = HashMap::new();
        for (term, times) in wanted {
            let Some(postings) = self.postings(&term) else {
                continue;
            };
            let idf = scale.idf(postings.len() as u64);
            for posting in postings {
                let length = self
                    .chunks
                    .get(posting.chunk as usize)
                    .map_or(0, |chunk| chunk.terms);
                let part = scale.part(idf, posting.count, length).saturating_mul(times);
                let score = scores.entry(posting.chunk).or_default();
                *score = score.saturating_add(part);
            }
        }
        let mut found: Vec<(Reverse<u64>, u32)> = scores
            .into_iter()
            .filter(|(_, score)| *score > 0)
            .map(|(chunk, score)| (Reverse(score), chunk))
            .collect();
        if found.len() > top {
            found.select_nth_unstable(top);
            found.truncate(top);
        }
        found.sort_unstable();
        let hit = |(Reverse(score), chunk): (Reverse<u64>, u32)| {
            let leaf = *self.chunks.get(chunk as usize)?;
            Some(Hit { chunk, leaf, score })
        };
        Ok(found.into_iter().filter_map(hit).collect())
    }

    fn scale(&self) -> Scale {
        Scale {
            rules: self.header.rules,
            chunks: self.chunks.len() as u64,
            terms: u64::try_from(self.header.chunks.sum).unwrap_or(u64::MAX),
        }
    }

    fn postings(&self, term: &Hash) -> Option<&[Posting]> {
        let at = self.lists.binary_search_by_key(term, |(term, _)| *term).ok()?;
        self.lists.get(at).map(|(_, postings)| postings.as_slice())
    }

    /// A chunk with the way to the committed root.
    pub fn open_chunk(&self, chunk: u64) -> Result<Opening<ChunkLeaf>> {
        open("chunk", &self.chunk_tree, chunk, self.chunks.get(chunk as usize))
    }

    /// What the index says of a term, with the way to the committed root.
    pub fn open_term(&self, term: &str) -> Result<TermProof<'_>> {
        let key = keccak(&[term.as_bytes()]);
        let leaf = |at: usize| {
            let leaf = self.lists.get(at).map(term_leaf);
            open("term", &self.term_tree, at as u64, leaf.as_ref())
        };
        match self.lists.binary_search_by_key(&key, |(term, _)| *term) {
            Ok(at) => Ok(TermProof::Known {
                opening: leaf(at)?,
                postings: self.lists.get(at).map_or(&[], |(_, list)| list.as_slice()),
            }),
            Err(at) => Ok(TermProof::Missing(Gap {
                before: at.checked_sub(1).map(leaf).transpose()?,
                after: (at < self.lists.len()).then(|| leaf(at)).transpose()?,
            })),
        }
    }

    /// Builds the index of these texts again and compares: what a committee does before it recomputes ranks.
    ///
    /// Errors: records that give another index.
    pub fn verify<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> Result<()> {
        if self.header.unicode != UNICODE {
            return Err(Error::Unicode {
                index: self.header.unicode,
                own: UNICODE,
            });
        }
        let mut builder = Builder::new(self.header.rules)?;
        for text in texts {
            builder.push(text)?;
        }
        if builder.finish()?.header != self.header {
            return Err(Error::Wrong("its records give another one".into()));
        }
        Ok(())
    }

    /// Writes the index to a file, which is there whole or not at all.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut bytes = MAGIC.to_vec();
        self.header.write(&mut bytes);
        self.chunks.write(&mut bytes);
        (self.lists.len() as u64).write(&mut bytes);
        for (term, postings) in &self.lists {
            term.write(&mut bytes);
            postings.write(&mut bytes);
        }
        let draft = path.with_extension("draft");
        let mut file = File::create(&draft).map_err(Error::io(&draft))?;
        file.write_all(&bytes).map_err(Error::io(&draft))?;
        file.sync_all().map_err(Error::io(&draft))?;
        fs::rename(&draft, path).map_err(Error::io(path))?;
        let folder = match path.parent() {
            None => return Ok(()),
            // Of a relative path of one name.
            Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
            Some(folder) => folder,
        };
        let folder_file = File::open(folder).map_err(Error::io(folder))?;
        folder_file.sync_all().map_err(Error::io(folder))
    }

    /// Reads an index from a file and checks that it holds what it commits to.
    ///
    /// Errors: a file that is missing or damaged.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).map_err(Error::io(path))?;
        let damaged = |what: String| Error::Damaged {
            path: path.to_path_buf(),
            what,
        };
        let parsed = parse(&bytes).map_err(|error| damaged(error.to_string()))?;
        let (header, chunks, lists) = parsed;
        let count = chunks.len() as u64;
        let beyond = |posting: &Posting| u64::from(posting.chunk) >= count;
        if lists.iter().any(|(_, list)| list.iter().any(beyond)) || !lists.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(damaged(
                "terms out of order or of chunks that it does not have".into(),
            ));
        }
        let index = Self::new(header.rules, header.unicode, header.records, chunks, lists)?;
        if index.header != header {
            return Err(damaged("it does not hold what it commits to".into()));
        }
        Ok(index)
    }
}

type Parsed = (Header, Vec<ChunkLeaf>, Vec<(Hash, Vec<Posting>)>);

fn parse(bytes: &[u8]) -> Result<Parsed, WireError> {
    let mut reader = Reader::new(bytes);
    let magic: [u8; 8] = reader.array()?;
    if magic != MAGIC {
        return Err(WireError::Version(magic[7]));
    }
    let header = Header::read(&mut reader)?;
    let chunks = Vec::<ChunkLeaf>::read(&mut reader)?;
    let mut lists = Vec::new();
    for _ in 0..u64::read(&mut reader)? {
        lists.push((Hash::read(&mut reader)?, Vec::<Posting>::read(&mut reader)?));
    }
    reader.finish()?;
    Ok((header, chunks, lists))
}

fn term_leaf((term, postings): &(Hash, Vec<Posting>)) -> TermLeaf {
    TermLeaf {
        term: *term,
        chunks: postings.len() as u32,
        postings: postings_hash(postings),
    }
}

fn open<L: Leaf>(kind: &'static str, tree: &Tree<L>, at: u64, leaf: Option<&L>) -> Result<Opening<L>> {
    let found = leaf.and_then(|leaf| tree.open(at, leaf));
    found.ok_or(Error::NoSuch {
        kind,
        index: at,
        count: tree.root().count,
    })
}

/// The records of the chunks that were shown, as an attribution names them: each once, in the order of its
/// best chunk, so that its rank is its position counted from 1 and its weight one by that. At most
/// [`MAX_RETRIEVED`]. `corpus` gives the corpus's leaf of an entry.
///
/// Errors: what `corpus` returns.
pub fn retrieved<E>(
    shown: &[Hit],
    mut corpus: impl FnMut(u64) -> Result<CorpusLeaf, E>,
) -> Result<Vec<Retrieved>, E> {
    let mut seen = BTreeSet::new();
    let mut named = Vec::new();
    for hit in shown {
        let entry = hit.leaf.entry;
        if named.len() == MAX_RETRIEVED {
            break;
        }
        if seen.insert(entry) {
            let leaf = corpus(entry)?;
            named.push(Retrieved {
                entry,
                record: leaf.record,
                contributor: leaf.contributor,
            });
        }
    }
    Ok(named)
}

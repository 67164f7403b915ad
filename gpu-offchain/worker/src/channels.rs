//! The verbatim channel of an index: whose words an answer uses.
//!
//! The corpus is what the model was trained on, token for token: of each representative the example, template and all. It is
//! committed in the index's header, its files lie beside those of the rows, and everybody who has them finds the same spans.

use crate::{Error, Result};
use openledger_attribution::{
    hash::keccak,
    index::IndexHeader,
    record::CorpusLeaf,
    verbatim::{Span, Verbatim},
    wire::Field,
};
use openledger_model::Tokenizer;
use openledger_verbatim::{audit_index, token_flags, Builder, Index, Plan};
use std::path::Path;

/// What the tokenizer's tokens say about words and sentences, by id. Tokens of the template say nothing.
pub fn flags(tokenizer: &Tokenizer) -> Vec<u8> {
    let flags = |bytes: Option<Vec<u8>>| bytes.map_or(0, |bytes| token_flags(&bytes));
    tokenizer.token_bytes().into_iter().map(flags).collect()
}

/// Writes the verbatim channel of a corpus into `dir`, or goes on where a kill ended it. `tokens` are the records' in the
/// order of `corpus`.
///
/// Errors: records of other lengths than their leaves, disk.
pub fn build<'a>(
    dir: &Path,
    tokenizer: &Tokenizer,
    corpus: &[CorpusLeaf],
    tokens: impl IntoIterator<Item = &'a [u32]>,
    threads: usize,
) -> Result<Index> {
    let mut identity = tokenizer.hash().to_vec();
    corpus.to_vec().write(&mut identity);
    let plan = Plan::new(flags(tokenizer), keccak(&[&identity]));
    let mut builder = Builder::open(dir, &plan)?;
    if !builder.is_read() {
        let mut tokens = tokens.into_iter();
        for leaf in corpus {
            let record = tokens.next().ok_or_else(|| {
                Error::Internal(format!(
                    "record {} of contribution {} has no tokens",
                    leaf.record.index, leaf.record.contribution
                ))
            })?;
            builder.push(leaf, record)?;
        }
    }
    Ok(builder.finish(threads)?)
}

/// Opens the verbatim channel beside an index's rows; none if the index has none.
///
/// Errors: files that are missing or of another corpus than the header commits to.
pub fn open(dir: &Path, header: &IndexHeader) -> Result<Option<Index>> {
    if header.verbatim == Verbatim::NONE {
        return Ok(None);
    }
    let words = Index::open(dir)?;
    if *words.header() != header.verbatim || words.corpus() != header.corpus {
        return Err(Error::Hopeless(format!(
            "the verbatim channel in {} is not the one that the index commits to: remove the folder and fetch or build it again",
            dir.display()
        )));
    }
    Ok(Some(words))
}

/// Recomputes every leaf of a channel that somebody else built, and looks for a lie that the chain could be shown.
pub fn verify(words: &Index, threads: usize) -> Result<()> {
    words.verify(threads)?;
    match audit_index(words, threads)? {
        None => Ok(()),
        Some(_) => Err(Error::Hopeless(
            "the index's verbatim channel contradicts its own corpus: fetch from another worker, and dispute the index".into(),
        )),
    }
}

/// The spans of an answer, none without a channel.
pub fn spans(words: Option<&Index>, output: &[u32]) -> Result<Vec<Span>> {
    Ok(words
        .map(|words| words.spans(output))
        .transpose()?
        .unwrap_or_default())
}

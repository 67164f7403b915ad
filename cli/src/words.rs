//! The verbatim channel from a watcher's side: whose words an answer uses, found again in what workers publish.

use crate::{proof::Answer, wire::hex_of, worker::Worker, Error, Result};
use openledger_attribution::{
    hash::Hash,
    index::IndexHeader,
    text::TextLeaf,
    verbatim::{Span, Verbatim, MAX_SPAN},
    verdict::{AnswerProof, BatchEvidence, IndexEvidence},
};
use openledger_chain::ss58;
use openledger_verbatim::{audit, audit_index, available_threads, is_index_file, Given, Index};
use serde::Deserialize;
use std::{fs, path::Path};

/// The verbatim channel of an index, every leaf of it checked against the header.
pub struct Words {
    index: Index,
    /// The files, gone with this.
    _files: tempfile::TempDir,
}

impl std::fmt::Debug for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Words({} tokens)", self.index.tokens())
    }
}

#[derive(Deserialize)]
struct Listed {
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    name: String,
}

impl Words {
    /// The channel that a worker publishes; none if the index has none.
    ///
    /// Errors: another channel than the header commits to, or one that contradicts its own corpus.
    pub fn fetch(worker: &Worker, hash: &Hash, header: &IndexHeader) -> Result<Option<Self>> {
        let Some(words) = Self::committed(worker, hash, header)? else {
            return Ok(None);
        };
        match words.lie() {
            Ok(None) => Ok(Some(words)),
            Ok(Some(_)) => Err(worker.wrong(
                format!("the corpus of index {}", hex_of(hash)),
                "it contradicts itself, which can be proved on the chain: `openledger watch --only indexes` does",
            )),
            Err(reason) => Err(worker.wrong(format!("the corpus of index {}", hex_of(hash)), reason)),
        }
    }

    /// The channel that a worker publishes, every leaf of it what the header commits to, whether that is right or not; none if the
    /// index has none.
    ///
    /// Errors: another channel than the header commits to.
    pub fn committed(worker: &Worker, hash: &Hash, header: &IndexHeader) -> Result<Option<Self>> {
        if header.verbatim == Verbatim::NONE {
            return Ok(None);
        }
        let path = format!("/v1/indexes/{}", hex_of(hash));
        let listed: Listed = worker.json(&path)?;
        let folder = tempfile::tempdir().map_err(|e| Error::file(&std::env::temp_dir(), e))?;
        // Names of an index's files are plain: nothing is written elsewhere.
        for File { name } in listed.files.into_iter().filter(|file| is_index_file(&file.name)) {
            let bytes = worker.bytes(&format!("{path}/files/{name}"))?;
            let to = folder.path().join(&name);
            fs::write(&to, bytes).map_err(|e| Error::file(&to, e))?;
        }
        let index = opened(folder.path(), header)
            .map_err(|reason| worker.wrong(format!("the corpus of index {}", hex_of(hash)), reason))?;
        Ok(Some(Self {
            index,
            _files: folder,
        }))
    }

    /// The channel in a folder, which is copied.
    pub fn of_folder(dir: &Path, header: &IndexHeader) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        for entry in fs::read_dir(dir).map_err(|e| e.to_string())? {
            let entry = entry.map_err(|e| e.to_string())?;
            if entry.file_name().to_str().is_some_and(is_index_file) {
                fs::copy(entry.path(), folder.path().join(entry.file_name())).map_err(|e| e.to_string())?;
            }
        }
        Ok(Self {
            index: opened(folder.path(), header)?,
            _files: folder,
        })
    }

    /// What proves that the channel contradicts its own corpus, if it does.
    pub fn lie(&self) -> Result<Option<IndexEvidence>, String> {
        audit_index(&self.index, available_threads()).map_err(|e| e.to_string())
    }

    /// Tokens of the corpus, separators included.
    pub fn tokens(&self) -> u64 {
        self.index.tokens()
    }

    /// The spans that belong to an answer of these tokens.
    pub fn spans(&self, output: &[u32]) -> Result<Vec<Span>, String> {
        self.index.spans(output).map_err(|e| e.to_string())
    }

    /// What is wrong with an answer's spans. With the answer's text all of it is found; without it, whether each span stands
    /// where it says, but not whether another is missing.
    pub fn differences(&self, answer: &Answer) -> Result<Vec<String>, String> {
        let claimed = &answer.attribution.spans;
        let mut found = Vec::new();
        for span in claimed {
            found.extend(self.misplaced(span)?);
        }
        let Some(output) = answer.output_tokens() else {
            return Ok(found);
        };
        // A channel that pays nothing may stay silent, and is right if it does not.
        if claimed.is_empty() && answer.receipt.terms.tariff.mix.verbatim == 0 {
            return Ok(found);
        }
        let right = self.spans(&output)?;
        let place = |span: &Span| (span.start, span.end);
        for span in claimed {
            match right.iter().find(|other| place(other) == place(span)) {
                None => found.push(format!(
                    "tokens {} to {} are named as quoted and do not belong there",
                    span.start, span.end
                )),
                Some(other) if other != span => found.push(format!(
                    "tokens {} to {} are quoted from other records, or weigh {} instead of {}",
                    span.start, span.end, other.information, span.information
                )),
                Some(_) => {}
            }
        }
        for span in &right {
            if !claimed.iter().any(|other| place(other) == place(span)) {
                found.push(format!(
                    "tokens {} to {}, quoted from {} records, are left out",
                    span.start,
                    span.end,
                    span.records.len()
                ));
            }
        }
        Ok(found)
    }

    /// What everybody can see of a span: its words are its records'.
    fn misplaced(&self, span: &Span) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        if span.start >= span.end || span.length() > MAX_SPAN {
            found.push(format!("tokens {} to {} are no span", span.start, span.end));
            return Ok(found);
        }
        let length = u64::from(span.length());
        let at = |position: u64| (0..length).map(move |n| self.index.token(position.saturating_add(n)));
        let Some(first) = span.records.first() else {
            return Ok(found);
        };
        for record in &span.records {
            let name = format!(
                "tokens {} to {}: record {} of contribution {}",
                span.start, span.end, record.record.index, record.record.contribution
            );
            let (leaf, start) = self.index.record(record.entry).map_err(|e| e.to_string())?;
            if (leaf.record, leaf.contributor) != (record.record, record.contributor) {
                found.push(format!(
                    "{name} of {} is record {} of contribution {} of {} in the corpus",
                    ss58(&record.contributor),
                    leaf.record.index,
                    leaf.record.contribution,
                    ss58(&leaf.contributor)
                ));
            }
            let end = record.position.saturating_add(length);
            if record.position < start || end > start.saturating_add(u64::from(leaf.tokens)) {
                found.push(format!("{name} does not have the position {}", record.position));
            }
            if !at(record.position).eq(at(first.position)) {
                found.push(format!(
                    "{name} has other words there than the first record named"
                ));
            }
        }
        let own: Option<Vec<u32>> = at(first.position).collect();
        let information = own.and_then(|own| self.index.information(&own));
        if information != Some(span.information) {
            found.push(format!(
                "tokens {} to {} are said to weigh {}; these words weigh {}",
                span.start,
                span.end,
                span.information,
                information.unwrap_or(0)
            ));
        }
        Ok(found)
    }

    /// What is wrong with the spans of an answer whose text is `output`, as evidence that the chain's judge can decide. Whether the
    /// records that they name are those of the corpus is for [`evidence`](crate::evidence) to look at, which needs no text.
    pub fn evidence(&self, proof: &AnswerProof, output: &[TextLeaf]) -> Option<BatchEvidence> {
        let given = Given::new(proof, output).ok()?;
        audit(&self.index, &given).ok()?
    }
}

fn opened(dir: &Path, header: &IndexHeader) -> Result<Index, String> {
    let index = Index::open(dir).map_err(|e| e.to_string())?;
    if *index.header() != header.verbatim || index.corpus() != header.corpus {
        return Err("it is not the one that the index commits to".into());
    }
    index.verify(available_threads()).map_err(|e| e.to_string())?;
    Ok(index)
}

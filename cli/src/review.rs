//! What waits for a person before it is published: records whose answers contradict those to like questions, and records that a
//! model holds by themselves.

use crate::{args, context::Context, public, wire::hex_of, worker::Worker, Error, Result};
use openledger_attribution::record::{RecordId, VersionLeaf};
use openledger_chain::{ss58, Chain, Head};
use openledger_content::Record;
use openledger_influence::valuation::{review, Reason, Reviewed};
use serde_json::{json, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The leaves of a version that are published, and what is held. With a representative its whole family is held: a copy does not
/// slip in where the first was stopped. `records` are those of every contribution in the version.
///
/// Errors: an index that cannot be read, a record to keep that is not held, everything held.
pub(crate) async fn passed(
    context: &Context,
    chain: &Chain,
    worker: &Worker,
    command: &args::Publish,
    mut leaves: Vec<VersionLeaf>,
    records: &BTreeMap<u64, &[Record]>,
) -> Result<(Vec<VersionLeaf>, Vec<Value>)> {
    let text = |id: &RecordId| {
        let at = usize::try_from(id.index).ok()?;
        records.get(&id.contribution)?.get(at)
    };
    let representatives: Vec<(VersionLeaf, &Record)> = leaves
        .iter()
        .filter(|leaf| leaf.is_representative())
        .filter_map(|leaf| Some((*leaf, text(&leaf.record)?)))
        .collect();
    let influences = match &command.index {
        None => BTreeMap::new(),
        Some(hash) => self_influences(chain, worker, hash).await?,
    };
    let reviewed: Vec<Reviewed<'_>> = representatives
        .iter()
        .map(|(leaf, record)| {
            let (question, answer) = record.question_and_answer();
            Reviewed {
                contributor: leaf.contributor,
                question,
                answer,
                self_influence: influences.get(&leaf.record).copied(),
            }
        })
        .collect();
    let held = review(&reviewed);
    let mut kept: BTreeSet<RecordId> = command.keep.iter().copied().collect();
    let (mut left_out, mut shown) = (BTreeSet::new(), Vec::new());
    for found in held {
        let Some((leaf, record)) = representatives.get(found.record) else {
            continue;
        };
        let is_kept = kept.remove(&leaf.record) || command.keep_all;
        if !is_kept {
            left_out.insert(leaf.record);
        }
        let why = match found.reason {
            Reason::Contradicts { value } => {
                format!("its answer is unlike those to questions like its own (value {value:.4})")
            }
            Reason::AsksAgain { before } => {
                let before = representatives.get(before).map(|(leaf, _)| leaf.record);
                match before {
                    Some(RecordId { contribution, index }) => {
                        format!("its contributor answers this question in {contribution}:{index} too")
                    }
                    None => "its contributor answers this question twice".into(),
                }
            }
            Reason::StandsOut { deviations } => {
                format!("a model holds it by itself ({deviations:.1} deviations above the others)")
            }
        };
        let (contribution, index) = (leaf.record.contribution, leaf.record.index);
        context.say(format!(
            "  {} record {index} of contribution {contribution} by {}: {why}\n    \"{}\"",
            if is_kept { "kept" } else { "held" },
            ss58(&leaf.contributor),
            record.text().split_whitespace().collect::<Vec<_>>().join(" ")
        ));
        shown.push(json!({
            "contribution": contribution,
            "record": index,
            "contributor": hex_of(leaf.contributor),
            "why": why,
            "kept": is_kept,
        }));
    }
    if let Some(other) = kept.first() {
        return Err(Error::other(format!(
            "record {} of contribution {} is not held: leave out --keep {}:{}",
            other.index, other.contribution, other.contribution, other.index
        )));
    }
    leaves.retain(|leaf| !left_out.contains(&leaf.representative));
    if leaves.is_empty() {
        return Err(Error::other(
            "every record is held: look at them, and take in what is good with --keep CONTRIBUTION:RECORD or --keep-all",
        ));
    }
    if !left_out.is_empty() {
        context.say(
            "  what is held is not published: look at it, and publish again with --keep CONTRIBUTION:RECORD",
        );
    }
    Ok((leaves, shown))
}

/// The largest self-influence of each record's rows.
async fn self_influences(
    chain: &Chain,
    worker: &Worker,
    hash: &openledger_attribution::hash::Hash,
) -> Result<BTreeMap<RecordId, u128>> {
    let (_, index) = public::index(chain, worker, hash, Head::Best).await?;
    let mut largest = BTreeMap::new();
    for row in &index.rows {
        if let Some(norm) = index.rule.norm(row.leaf.sketch.view()) {
            let known = largest.entry(row.leaf.record).or_insert(norm);
            *known = norm.max(*known);
        }
    }
    Ok(largest)
}

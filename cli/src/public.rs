//! What workers publish, fetched and checked against what it is committed to. Nothing of it is believed.

use crate::{
    evidence::batch::{Published as PublishedBatch, Shown},
    proof::{Answer, Batch, Index},
    wire::{field, field_of, hex_of, object},
    worker::Worker,
    Result,
};
use openledger_attribution::{
    attribution::Attribution,
    hash::{Hash, NONE},
    index::{IndexHeader, IndexLeaf},
    receipt::Receipt,
    record::{CorpusLeaf, RecordLeaf},
    sketch::{Layout, Sketch},
    tree::Opening,
    wire::{Field, Object},
};
use openledger_chain::{At, Chain, Read};
use openledger_protocol::{batches, datanets::Contribution, storage, Account};
use serde::Deserialize;

/// Rows fetched in one request: what a worker gives at most.
const ROWS: u64 = 256;

/// A receipt as a worker publishes it.
pub struct Published {
    /// The answer.
    pub answer: Answer,
    /// The worker's signature on the receipt.
    pub signature: [u8; 64],
    /// The batch that settles it, once there is one.
    pub batch: Option<u64>,
    /// How many tokens each choice has, if the salt was shown.
    pub choices: Option<Vec<usize>>,
}

#[derive(Deserialize)]
struct ReceiptJson {
    receipt: String,
    signature: String,
    attribution: Option<String>,
    query: Option<String>,
    batch: Option<u64>,
    texts: Option<TextsJson>,
}

#[derive(Deserialize)]
struct TextsJson {
    output: String,
    choices: Option<Vec<usize>>,
}

/// A receipt by its hash. With the answer's salt also its text.
pub fn receipt(worker: &Worker, hash: &Hash, salt: Option<&Hash>) -> Result<Published> {
    let path = format!("/v1/receipts/{}", hex_of(hash));
    let salt = salt.map(hex_of);
    let headers: Vec<(&str, &str)> = salt
        .iter()
        .map(|salt| ("x-openledger-salt", salt.as_str()))
        .collect();
    let json: ReceiptJson = worker.json_with(&path, &headers)?;
    let wrong = |reason: String| worker.wrong(format!("receipt {}", hex_of(hash)), reason);
    let receipt: Receipt = object(&json.receipt).map_err(wrong)?;
    if receipt.hash() != *hash {
        return Err(wrong(format!("it has hash {}", hex_of(receipt.hash()))));
    }
    let (attribution, query) = match (&json.attribution, &json.query) {
        (Some(attribution), Some(query)) => {
            (object(attribution).map_err(wrong)?, field(query).map_err(wrong)?)
        }
        _ if receipt.is_deferred() => nothing(),
        _ => return Err(wrong("what shaped it is not published".into())),
    };
    let signature = crate::wire::bytes_of(&json.signature)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| wrong("its signature has not 64 bytes".into()))?;
    let (output, choices) = match json.texts {
        Some(texts) => (Some(field(&texts.output).map_err(wrong)?), texts.choices),
        None => (None, None),
    };
    Ok(Published {
        answer: Answer {
            receipt,
            attribution,
            query,
            output,
        },
        signature,
        batch: json.batch,
        choices,
    })
}

/// What shaped an answer that waits for a draw: nothing is known of it.
fn nothing() -> (Attribution, Sketch) {
    let attribution = Attribution {
        query: NONE,
        list: Vec::new(),
        spans: Vec::new(),
        retrieved: Vec::new(),
    };
    let query = Sketch {
        exponents: Vec::new(),
        lanes: Vec::new(),
    };
    (attribution, query)
}

#[derive(Deserialize)]
struct IndexJson {
    header: String,
    layout: String,
}

/// The header on the chain, and the layout that a worker publishes for it.
pub async fn index_header(
    chain: &Chain,
    worker: &Worker,
    hash: &Hash,
    at: impl Into<At>,
) -> Result<(Read<IndexHeader>, Layout)> {
    let stored = chain
        .read::<batches::Index>(storage::index(*hash), at)
        .await?
        .found(format_args!("index {}", hex_of(hash)))?
        .map(|index| index.header);
    let json: IndexJson = worker.json(&format!("/v1/indexes/{}", hex_of(hash)))?;
    let wrong = |reason: String| worker.wrong(format!("index {}", hex_of(hash)), reason);
    let header: IndexHeader = object(&json.header).map_err(wrong)?;
    if header != stored.value {
        return Err(wrong("its header is not the one on the chain".into()));
    }
    let layout: Layout = object(&json.layout).map_err(wrong)?;
    if layout.hash() != header.layout {
        return Err(wrong("its layout is not the header's".into()));
    }
    Ok((stored, layout))
}

/// Some rows with the way to the index's root. Not checked yet: [`Index::new`] does.
pub fn rows(worker: &Worker, index: &Hash, from: u64, count: u64) -> Result<Vec<Opening<IndexLeaf>>> {
    let path = format!("/v1/indexes/{}/rows?from={from}&count={count}", hex_of(index));
    field_of(&worker.bytes(&path)?).map_err(|e| worker.wrong(path, e))
}

/// Some records of the corpus with the way to the index's root. Not checked yet.
pub fn corpus(worker: &Worker, index: &Hash, from: u64, count: u64) -> Result<Vec<Opening<CorpusLeaf>>> {
    let path = format!("/v1/indexes/{}/corpus?from={from}&count={count}", hex_of(index));
    field_of(&worker.bytes(&path)?).map_err(|e| worker.wrong(path, e))
}

/// A whole index: every row, checked against the header on the chain. Of its verbatim channel nothing is here yet.
pub async fn index(
    chain: &Chain,
    worker: &Worker,
    hash: &Hash,
    at: impl Into<At>,
) -> Result<(Read<()>, Index)> {
    let (header, layout) = index_header(chain, worker, hash, at).await?;
    let mut all = Vec::new();
    let count = header.value.rows.count;
    while (all.len() as u64) < count {
        let from = all.len() as u64;
        let page = rows(worker, hash, from, ROWS.min(count - from))?;
        if page.is_empty() {
            return Err(worker.wrong(
                format!("index {}", hex_of(hash)),
                format!("it has no row {from} of {count}"),
            ));
        }
        all.extend(page);
    }
    let index = Index::new(header.value, layout, all)
        .map_err(|reason| worker.wrong(format!("index {}", hex_of(hash)), reason))?;
    Ok((header.map(|_| ()), index))
}

/// Openings of an index's tree, as they are published. Not checked yet.
pub fn openings<L>(worker: &Worker, index: &Hash, tree: &str, count: u64) -> Result<Vec<Opening<L>>>
where
    Opening<L>: Field,
{
    let mut all: Vec<Opening<L>> = Vec::new();
    while (all.len() as u64) < count {
        let path = format!("/v1/indexes/{}/{tree}?from={}", hex_of(index), all.len());
        let page: Vec<Opening<L>> = field_of(&worker.bytes(&path)?).map_err(|e| worker.wrong(&path, e))?;
        if page.is_empty() {
            break;
        }
        all.extend(page);
    }
    Ok(all)
}

#[derive(Deserialize)]
struct BatchJson {
    channels: String,
    receipts: String,
    #[serde(default)]
    draws: String,
    parts: String,
    credits: String,
    answers: Vec<AnswerJson>,
}

#[derive(Deserialize)]
struct AnswerJson {
    receipt: String,
    attribution: Option<String>,
    query: Option<String>,
}

/// A batch as its worker publishes it, what does not read left out. Nothing is checked.
pub fn published(worker: &Worker, id: u64) -> Result<PublishedBatch> {
    let json: BatchJson = worker.json(&format!("/v1/batches/{id}"))?;
    let answers = json.answers.iter().map(|answer| Shown {
        receipt: object(&answer.receipt).ok(),
        attribution: answer.attribution.as_ref().and_then(|text| object(text).ok()),
        query: answer.query.as_ref().and_then(|text| field(text).ok()),
    });
    Ok(PublishedBatch {
        answers: answers.collect(),
        channels: field(&json.channels).unwrap_or_default(),
        receipts: field(&json.receipts).unwrap_or_default(),
        draws: field(&json.draws).unwrap_or_default(),
        parts: field(&json.parts).unwrap_or_default(),
        credits: field(&json.credits).unwrap_or_default(),
    })
}

/// A batch on the chain, with everything its worker publishes about it, checked against the chain's commitment.
pub fn batch(worker: &Worker, id: u64, stored: &batches::Batch<Account>) -> Result<Batch> {
    let wrong = |reason: &str| worker.wrong(format!("batch {id}"), reason);
    let PublishedBatch {
        channels,
        receipts,
        draws: _,
        parts,
        credits,
        answers,
    } = published(worker, id)?;
    let whole = |shown: Shown| {
        let receipt = shown.receipt?;
        let (attribution, query) = match (shown.attribution, shown.query) {
            (Some(attribution), Some(query)) => (attribution, query),
            _ if receipt.is_deferred() => nothing(),
            _ => return None,
        };
        Some(Answer {
            receipt,
            attribution,
            query,
            output: None,
        })
    };
    let answers: Option<Vec<Answer>> = answers.into_iter().map(whole).collect();
    let batch = Batch {
        header: stored.header,
        credits_header: stored.credits,
        channels,
        receipts,
        parts,
        credits,
        answers: answers.ok_or_else(|| wrong("an answer does not read"))?,
    };
    batch.check().map_err(|reason| wrong(&reason))?;
    Ok(batch)
}

/// The worker that an account registered, at the endpoint it named on the chain.
pub async fn worker_of(chain: &Chain, account: &Account, at: impl Into<At>) -> Result<Worker> {
    let worker = chain
        .read::<openledger_protocol::compute::Worker>(storage::worker(*account), at)
        .await?
        .found(format_args!("worker {}", openledger_chain::ss58(account)))?;
    Ok(Worker::new(&crate::context::text_of(&worker.value.endpoint)))
}

/// A record's text, checked against its contribution on the chain.
pub async fn record_text(
    chain: &Chain,
    worker: &Worker,
    record: &openledger_attribution::record::RecordId,
    at: impl Into<At>,
) -> Result<String> {
    #[derive(Deserialize)]
    struct RecordJson {
        text: String,
        opening: String,
    }
    let id = record.contribution;
    let stored = chain
        .read::<Contribution<Account>>(storage::contribution(id), at)
        .await?
        .found(format_args!("contribution {id}"))?;
    let json: RecordJson = worker.json(&format!("/v1/records/{id}/{}", record.index))?;
    let wrong =
        |reason: String| worker.wrong(format!("record {} of contribution {id}", record.index), reason);
    let opening: Opening<RecordLeaf> = field(&json.opening).map_err(wrong)?;
    let proved = opening.index == u64::from(record.index) && opening.verify(&stored.value.records).is_some();
    if !proved || opening.leaf.content != openledger_content::content_hash(&json.text) {
        return Err(wrong("the text is not what the contribution commits to".into()));
    }
    Ok(json.text)
}

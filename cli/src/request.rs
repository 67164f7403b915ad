//! `request`: pays the chain to have a piece of data shown, and has whoever withholds it condemned.

use crate::{
    args,
    context::{money, Context},
    explain::stage,
    wire::hex_of,
    Error, Result,
};
use codec::{Decode, Encode};
use openledger_attribution::{
    verdict::{Reveal, RevealFacts, Wanted},
    wire::Object,
};
use openledger_chain::{Block, Chain, Head, Key};
use openledger_protocol::{
    batches::{Batch, BatchStage, Index},
    calls,
    disputes::{Committed, IndexBond, IndexStage, Request, Sample},
    storage, Account,
};
use serde_json::json;

/// Index of the call that shows data.
const REVEAL: u8 = 12;
/// Blocks by which the best chain may have gone back since it was looked at.
pub const REORGANISED: u32 = 16;

/// What is asked about, as the chain has it.
pub enum Source {
    /// A batch, and whether the chain knows whom it pays.
    Batch(Box<Batch<Account>>, bool),
    /// An index, and where it stands.
    Index(Box<Index>, IndexStage),
}

impl Source {
    /// Reads it.
    pub async fn read(chain: &Chain, source: &Committed, block: Block) -> Result<Self> {
        Ok(match source {
            Committed::Batch(id) => {
                let batch = chain
                    .read::<Batch<Account>>(storage::batch(*id), block)
                    .await?
                    .found(format_args!("batch {id}"))?;
                let sample = chain.read::<Sample>(storage::sample(*id), block).await?;
                let credited = matches!(sample.value, None | Some(Sample::Answered { .. }));
                Self::Batch(Box::new(batch.value), credited)
            }
            Committed::Index(hash) => {
                let what = format!("index {}", hex_of(hash));
                let index = chain
                    .read::<Index>(storage::index(*hash), block)
                    .await?
                    .found(&what)?;
                let bond = chain
                    .read::<IndexBond<Account>>(storage::index_bond(*hash), block)
                    .await?
                    .found(format_args!("bond behind {what}"))?;
                Self::Index(Box::new(index.value), bond.value.stage)
            }
        })
    }

    /// What an answer is judged by.
    pub fn facts(&self) -> RevealFacts<'_> {
        match self {
            Self::Batch(batch, credited) => RevealFacts {
                batch: Some(&batch.header),
                credits: credited.then_some(&batch.credits),
                ..Default::default()
            },
            Self::Index(index, _) => RevealFacts {
                index: Some(&index.header),
                ..Default::default()
            },
        }
    }

    /// Whether it was proved wrong.
    pub fn is_condemned(&self) -> bool {
        match self {
            Self::Batch(batch, _) => matches!(batch.stage, BatchStage::Condemned { .. }),
            Self::Index(_, stage) => matches!(stage, IndexStage::Void { .. }),
        }
    }

    /// Where it stands, in words.
    pub fn stage(&self) -> String {
        match self {
            Self::Batch(batch, _) => stage(batch),
            Self::Index(_, stage) => format!("{stage:?}"),
        }
    }
}

/// Asks the chain, unless somebody has asked for the same already.
pub async fn ask(
    context: &Context,
    chain: &Chain,
    key: &Key,
    source: &Committed,
    wanted: &Wanted,
) -> Result<()> {
    if waiting(chain, source, wanted, Head::Best).await?.is_some() {
        return Ok(());
    }
    let included = chain
        .submit(&calls::attribution::request_reveal(source, wanted), key)
        .await?;
    context.say_included(&format!("  asked for {wanted:?}"), &included);
    let key = storage::request(*source, *wanted);
    let request = chain.read::<Request<Account>>(key, included.block).await?;
    if let Ok(request) = request.found("request") {
        let until = request.value.until;
        let price = money(&request.map(|request| request.price));
        context.say(format!(
            "    its price, held {price}; to be shown until block {until}"
        ));
    }
    Ok(())
}

/// A request that is not answered.
pub async fn waiting(
    chain: &Chain,
    source: &Committed,
    wanted: &Wanted,
    at: impl Into<openledger_chain::At>,
) -> Result<Option<Request<Account>>> {
    let key = storage::request(*source, *wanted);
    Ok(chain.read::<Request<Account>>(key, at).await?.value)
}

/// What was shown for this request in the blocks from `from` to `to`, if it was.
pub async fn shown(
    chain: &Chain,
    facts: &RevealFacts<'_>,
    source: &Committed,
    wanted: &Wanted,
    (from, to): (u32, u32),
) -> Result<Option<(Reveal, Block)>> {
    // Whoever showed it, however it was signed: the call's bytes end the transaction.
    let start = [
        vec![calls::attribution::PALLET, REVEAL],
        source.encode(),
        wanted.encode(),
    ]
    .concat();
    for number in from..=to {
        let Some(block) = chain.block(number).await? else {
            break;
        };
        for extrinsic in chain.extrinsics(block).await? {
            let places = extrinsic.windows(start.len()).enumerate();
            for (at, _) in places.filter(|(_, bytes)| *bytes == start) {
                let mut rest = extrinsic.get(at + start.len()..).unwrap_or_default();
                let reveal = <Reveal as Decode>::decode(&mut rest)
                    .ok()
                    .filter(|reveal| rest.is_empty() && facts.answers(wanted, reveal));
                if let Some(reveal) = reveal {
                    return Ok(Some((reveal, block)));
                }
            }
        }
    }
    Ok(None)
}

/// Runs the command. `Ok(false)` if the data was withheld.
pub async fn run(context: &Context, command: args::Request) -> Result<bool> {
    let args::Request { source, wanted } = command;
    let chain = context.chain().await?;
    let key = context.key(&chain)?;
    let first = chain.head(Head::Best).await?;
    if !Source::read(&chain, &source, first)
        .await?
        .facts()
        .can_ask(&wanted)
    {
        return Err(Error::other(format!("there is no {wanted:?} in {source:?}")));
    }
    ask(context, &chain, &key, &source, &wanted).await?;
    let mut blocks = chain.blocks(Head::Best).await?;
    let mut seen = first.number;
    loop {
        let block = match blocks.next().await {
            Ok(block) => block,
            Err(e) if e.is_transient() => continue,
            Err(e) => return Err(e.into()),
        };
        let stored = Source::read(&chain, &source, block).await?;
        let until = match waiting(&chain, &source, &wanted, block).await? {
            Some(request) => request.until,
            None => {
                let from = seen.min(block.number).saturating_sub(REORGANISED);
                let found = shown(&chain, &stored.facts(), &source, &wanted, (from, block.number)).await?;
                if let Some((reveal, block)) = found {
                    context.say(format!("  shown in block {block}"));
                    context.give(&json!({
                        "shown": hex_of(Object::encode(&reveal)),
                        "block": block.number,
                    }));
                    return Ok(true);
                }
                context.say(format!("  the request ended unanswered: {}", stored.stage()));
                context.give(&json!({ "shown": null, "condemned": stored.is_condemned() }));
                return Ok(false);
            }
        };
        seen = block.number;
        if block.number > until {
            let call = calls::attribution::end_request(&source, &wanted);
            let included = chain.submit(&call, &key).await?;
            context.say_included("  not shown in time; the request is ended", &included);
        }
    }
}

//! `question`: puts before a committee what no integer proves, and follows the case to its end.
//!
//! ```text
//! question ─▶ committed to ─▶ shown in a later block ─▶ seats drawn ─▶ members recompute, commit, reveal ─▶ verdict
//! ```
//!
//! Who asks pays the members until it is known who was wrong. Between two draws nobody but who asks has a reason to move the case on, so this
//! does what anybody may: it fills the seats and ends rounds that are over.

use crate::{
    args,
    context::Context,
    evidence::batch::Batch as Known,
    models, public,
    watch::case::{Accused, Evidence},
    wire::hex_of,
    worker::Worker,
    Error, Result,
};
use openledger_attribution::{
    bases::BasisLeaf,
    hash::Hash,
    sketch::Layout,
    tree::{Opening, Tree},
    verdict::{AskedBasis, AskedQuery, AskedRow, BatchQuestion, IndexQuestion},
};
use openledger_chain::{ss58, Block, Chain, Head, Key};
use openledger_protocol::{
    batches::Batch,
    calls,
    committees::{Case, CaseStage, Progress, Subject},
    disputes::Sample,
    models::Stage,
    storage, Account,
};
use serde_json::json;

/// Epochs after which what was drawn for one is out.
const DELAY: u64 = 2;

/// What is asked.
struct Asked {
    accused: Accused,
    subject: Subject,
    question: Evidence,
}

/// Runs the command. `Ok(false)` if the committee found it wrong.
pub async fn run(context: &Context, command: args::Question) -> Result<bool> {
    let chain = context.chain().await?;
    let key = context.key(&chain)?;
    let block = chain.head(Head::Best).await?;
    let asked = match command {
        args::Question::Training { place } => training(&chain, place, block).await?,
        args::Question::Output { receipt } => answer(context, &chain, &receipt, block, true).await?,
        args::Question::Query { receipt } => answer(context, &chain, &receipt, block, false).await?,
        args::Question::Row { index, row } => one_row(context, &chain, index, row, block).await?,
        args::Question::Basis { index, module } => bases(context, &chain, index, module, block).await?,
    };
    context.say(format!("{}: {}", asked.accused, words(&asked.subject)));
    // Its salt is on disk and nowhere else: it is not written over.
    if asked.accused.is_begun(context, &chain) {
        context.say("  going on with the challenge that was begun");
        asked.accused.go_on(context, &chain, &key).await?;
    }
    let done = asked
        .accused
        .accuse(context, &chain, &key, &asked.question)
        .await?;
    let Some(since) = done["asked"].as_u64() else {
        // It was condemned or closed meanwhile, and that was said.
        context.give(&done);
        return Ok(done["condemned"] != true);
    };
    follow(context, &chain, &key, &asked, since).await
}

fn words(subject: &Subject) -> String {
    match subject {
        Subject::Row { row, .. } => format!("is the sketch of row {row} what its record gives?"),
        Subject::Basis { module, .. } => {
            format!("do the bases of module {module} follow from the rows drawn for them?")
        }
        Subject::Training { .. } => "does training on the declared data give its adapter?".into(),
        Subject::Query { source, .. } => format!("is the sketch of answer {source} what its text gives?"),
        Subject::Ranks { source, .. } => {
            format!("are the records shown for answer {source} those that retrieval gives?")
        }
        Subject::Output { receipt, .. } => format!("does the model give answer {receipt}?"),
    }
}

async fn training(chain: &Chain, (model, number): (u64, u32), block: Block) -> Result<Asked> {
    let generation = models::generation(chain, model, number, block).await?;
    let Stage::Ready { index } = generation.value.stage else {
        return Err(Error::other(format!(
            "generation {model}:{number} is {} ({}): only one that can answer has an adapter to ask about",
            models::stage(&generation.value.stage),
            generation.place()
        )));
    };
    Ok(Asked {
        accused: Accused::Index(index),
        subject: Subject::Training { index },
        question: Evidence::OfIndex(Box::new(IndexQuestion::Training([]))),
    })
}

/// A question about the answer of a receipt: whether it is the model's own, or whether its sketch is right.
async fn answer(
    context: &Context,
    chain: &Chain,
    receipt: &Hash,
    block: Block,
    of_output: bool,
) -> Result<Asked> {
    let worker = context.worker();
    let published = public::receipt(&worker, receipt, None)?;
    let id = published.batch.ok_or_else(|| {
        Error::other(format!(
            "receipt {} is in no batch yet: ask when it is settled",
            hex_of(receipt)
        ))
    })?;
    let stored = chain
        .read::<Batch<Account>>(storage::batch(id), block)
        .await?
        .found(format_args!("batch {id}"))?
        .value;
    let index = published.answer.receipt.terms.index;
    let (_, index) = public::index(chain, &worker, &index, block).await?;
    let sample = chain.read::<Sample>(storage::sample(id), block).await?.value;
    let credits = matches!(sample, None | Some(Sample::Answered { .. })).then_some(stored.credits);
    let known = Known::new(
        stored.header,
        credits,
        public::published(&worker, id)?,
        &index.rule,
    );
    let missing = || worker.wrong(format!("batch {id}"), "it does not publish this answer");
    let accused = Accused::Batch(id);
    if of_output {
        let shown = known.revealed(receipt).ok_or_else(missing)?;
        let subject = Subject::Output {
            batch: id,
            receipt: shown.leaf.index,
        };
        let question = Evidence::OfBatch(Box::new(BatchQuestion::Output(shown)));
        return Ok(Asked {
            accused,
            subject,
            question,
        });
    }
    let (answer, query) = known.shown(receipt).ok_or_else(missing)?;
    let question = BatchQuestion::Query(AskedQuery {
        layout: layout(chain, &worker, &published.answer.receipt.terms.index, block).await?,
        answer,
        query,
    });
    Ok(Asked {
        accused,
        subject: question.subject(id),
        question: Evidence::OfBatch(Box::new(question)),
    })
}

async fn layout(chain: &Chain, worker: &Worker, index: &Hash, block: Block) -> Result<Layout> {
    let (_, layout) = public::index_header(chain, worker, index, block).await?;
    Ok(layout)
}

async fn one_row(context: &Context, chain: &Chain, index: Hash, row: u64, block: Block) -> Result<Asked> {
    let worker = context.worker();
    let (header, layout) = public::index_header(chain, &worker, &index, block).await?;
    let count = header.value.rows.count;
    if row >= count {
        return Err(Error::other(format!(
            "index {} has rows 0 to {}, not {row}",
            hex_of(index),
            count.saturating_sub(1)
        )));
    }
    let opening = public::rows(&worker, &index, row, 1)?
        .into_iter()
        .find(|opening| opening.index == row && opening.verify(&header.value.rows).is_some())
        .ok_or_else(|| {
            worker.wrong(
                format!("row {row} of index {}", hex_of(index)),
                "it is not what the chain commits to",
            )
        })?;
    let question = IndexQuestion::Row(AskedRow { layout, row: opening });
    Ok(Asked {
        accused: Accused::Index(index),
        subject: question.subject(index),
        question: Evidence::OfIndex(Box::new(question)),
    })
}

async fn bases(context: &Context, chain: &Chain, index: Hash, module: u16, block: Block) -> Result<Asked> {
    let worker = context.worker();
    let (header, layout) = public::index_header(chain, &worker, &index, block).await?;
    let at = usize::from(module);
    let Some(own) = layout.modules.get(at) else {
        return Err(Error::other(format!(
            "index {} has modules 0 to {}, not {module}",
            hex_of(index),
            layout.modules.len().saturating_sub(1)
        )));
    };
    let wrong = || {
        worker.wrong(
            format!("bases of index {}", hex_of(index)),
            "they are not what the chain commits to",
        )
    };
    let leaves: Vec<BasisLeaf> =
        public::openings::<BasisLeaf>(&worker, &index, "bases", header.value.bases.count)?
            .into_iter()
            .map(|opening: Opening<BasisLeaf>| opening.leaf)
            .collect();
    let tree = Tree::new(&leaves)
        .ok()
        .filter(|tree| tree.root() == header.value.bases)
        .ok_or_else(wrong)?;
    // Vectors of both sides come first, then the spectra.
    let before: u64 = layout.modules.iter().take(at).map(|m| m.basis_leaves()).sum();
    let start = before + u64::from(own.rows) + u64::from(own.columns);
    let first = usize::try_from(start).map_err(|_| wrong())?;
    let spectra = leaves
        .get(first..first + usize::from(own.rows))
        .and_then(|leaves| tree.open_range(start, leaves))
        .ok_or_else(wrong)?;
    let question = IndexQuestion::Basis(AskedBasis {
        layout,
        module,
        spectra,
    });
    Ok(Asked {
        accused: Accused::Index(index),
        subject: question.subject(index),
        question: Evidence::OfIndex(Box::new(question)),
    })
}

/// Follows what was asked in block `since` to its end and moves it on.
async fn follow(context: &Context, chain: &Chain, key: &Key, asked: &Asked, since: u64) -> Result<bool> {
    let mut blocks = chain.blocks(Head::Best).await?;
    let (mut case, mut last) = (None, String::new());
    loop {
        let block = match blocks.next().await {
            Ok(block) => block,
            Err(e) if e.is_transient() => continue,
            Err(e) => return Err(e.into()),
        };
        // A block from before it was asked knows nothing of it.
        if u64::from(block.number) < since {
            continue;
        }
        if case.is_none() {
            case = chain
                .read::<u64>(storage::asked(asked.subject), block)
                .await?
                .value;
            if let Some(case) = case {
                context.say(format!("  before a committee as case {case}"));
            }
        }
        let stored = match case {
            Some(id) => chain.read::<Case<Account>>(storage::case(id), block).await?.value,
            None => None,
        };
        let (Some(id), Some(stored)) = (case, stored) else {
            return ended(context, chain, asked, case, block).await;
        };
        let now = describe(&stored);
        if now != last {
            context.say(format!("  block {}: {now}", block.number));
            last = now;
        }
        if let CaseStage::Frozen { .. } = stored.stage {
            context.give(&json!({ "case": id, "verdict": "frozen", "block": block.number }));
            return Ok(true);
        }
        let due = match stored.stage {
            CaseStage::Waiting { epoch } if is_out(chain, epoch, block).await? => {
                Some(calls::committees::seat(id))
            }
            CaseStage::Drawn { .. } => Some(calls::committees::seat(id)),
            CaseStage::Revealing { until } if block.number > until || !is_waiting(&stored) => {
                Some(calls::committees::close(id))
            }
            CaseStage::Committing { until } if block.number > until && !is_waiting(&stored) => {
                Some(calls::committees::close(id))
            }
            _ => None,
        };
        if let Some(call) = due {
            if let Err(error) = chain.submit(&call, key).await {
                // A member did it in the same block.
                let again = chain
                    .read::<Case<Account>>(storage::case(id), Head::Best)
                    .await?
                    .value;
                if again.is_some_and(|again| again.stage == stored.stage) {
                    return Err(error.into());
                }
            }
        }
    }
}

/// Whether somebody can still reveal.
fn is_waiting(case: &Case<Account>) -> bool {
    let now = |seat: &&openledger_protocol::committees::Seat<Account>| seat.round == case.round;
    case.seats
        .iter()
        .filter(now)
        .any(|seat| matches!(seat.progress, Progress::Committed(_)))
}

async fn is_out(chain: &Chain, epoch: u64, block: Block) -> Result<bool> {
    let last = chain.read::<u64>(storage::value("Draws", "Last"), block).await?;
    Ok(last.value.is_some_and(|last| last >= epoch.saturating_add(DELAY)))
}

fn describe(case: &Case<Account>) -> String {
    let seats: Vec<_> = case
        .seats
        .iter()
        .filter(|seat| seat.round == case.round)
        .collect();
    let count = |is: fn(&Progress) -> bool| seats.iter().filter(|seat| is(&seat.progress)).count();
    let round = if case.round > 0 { "second round: " } else { "" };
    let stage = match case.stage {
        CaseStage::Waiting { epoch } => format!("seats are drawn once epoch {} is out", epoch + DELAY),
        CaseStage::Drawn { .. } => "seats are drawn".into(),
        CaseStage::Committing { until } => format!(
            "{} of {} have committed, until block {until}",
            count(|progress| *progress != Progress::Seated),
            seats.len()
        ),
        CaseStage::Revealing { until } => format!(
            "{} say right, {} say wrong, {} say nothing, until block {until}",
            count(|progress| *progress == Progress::Revealed(0)),
            count(|progress| matches!(progress, Progress::Revealed(1..))),
            count(|progress| matches!(progress, Progress::Abstained | Progress::Outside)),
        ),
        CaseStage::Frozen { since } => {
            format!("no committee could decide; frozen since block {since}, a referendum decides")
        }
    };
    format!("{round}{stage}")
}

async fn ended(
    context: &Context,
    chain: &Chain,
    asked: &Asked,
    case: Option<u64>,
    block: Block,
) -> Result<bool> {
    let standing = asked.accused.standing(chain, block).await?;
    let accused = ss58(&standing.who);
    let (verdict, said) = match case {
        _ if standing.condemned => ("wrong", "found wrong"),
        Some(_) => (
            "not wrong",
            "not found wrong, and where a quorum said right the deposit is lost",
        ),
        None => ("refused", "refused: it is no question, or is answered already"),
    };
    context.say(format!(
        "  {said}: {} of {accused} is {} ({})",
        asked.accused, standing.words, standing.place
    ));
    context.give(&json!({
        "case": case,
        "verdict": verdict,
        "stage": standing.words,
        "kind": standing.kind,
        "block": block.number,
    }));
    Ok(verdict != "wrong")
}

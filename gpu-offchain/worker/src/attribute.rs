//! What shaped an answer: its gradient, its sketch, its list, its spans.

use crate::{
    channels,
    db::{BatchRow, ReceiptRow},
    error::Result,
    models::Served,
};
use openledger_attribution::{
    attribution::Attribution,
    batch::{BatchHeader, Ledger as Credits},
    receipt::Receipt,
    sketch::Sketch,
    verdict::Wanted,
};
use openledger_engine::Model;
use openledger_influence::{available_threads, cpu_backend, Gradient, ScoreBackend};
use openledger_model::Example;
use std::path::Path;

/// An attribution and the sketch it rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Attributed {
    /// What the receipt commits to.
    pub attribution: Attribution,
    /// The answer's sketch, published with the receipt so that anybody can recompute the scores.
    pub query: Sketch,
}

/// A batch that is about to be committed to.
pub struct Made<'a> {
    /// Its headers and leaves.
    pub batch: &'a mut BatchRow,
    /// Its receipts, in the order of the leaves.
    pub receipts: &'a mut [ReceiptRow],
}

/// Attributes answers. What else a worker could lie about is here too: by default nothing is changed or held back.
pub trait Attribute: Send + Sync + 'static {
    /// What of the generation's index shaped an answer, given `prompt`: the tokens of each of its choices are in `outputs`.
    fn attribute(&self, served: &Served, prompt: &[u32], outputs: &[&[u32]]) -> Result<Attributed>;

    /// What is trained on, as the generation declares it.
    fn learn(&self, _examples: &mut Vec<Example>) {}

    /// Which model gives the answers of a generation.
    fn model(&self, served: &Served) -> Model {
        Model::Adapter(served.id())
    }

    /// The receipt that is about to be signed, and what it commits to, as they come out of all checks.
    fn sign(&self, _receipt: &mut Receipt, _attributed: &mut Attributed) {}

    /// The batch that is about to be committed to, as it was settled.
    fn commit(&self, _made: Made<'_>) {}

    /// What the draws of a sampled batch are answered with.
    fn answer_draws(&self, _batch: &BatchHeader, _credits: &mut Credits) {}

    /// The folder of an index that is about to be committed to, as it was built.
    fn deliver(&self, _index: &Path) -> Result<()> {
        Ok(())
    }

    /// Whether what stands behind batches is published.
    fn publishes(&self) -> bool {
        true
    }

    /// Whether a paid request for data is answered. Who does not is condemned.
    fn shows(&self, _wanted: &Wanted) -> bool {
        true
    }
}

/// The one way that no challenge can touch: the list as the index and the sketch give it, the spans as its corpus does.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByInfluence;

impl Attribute for ByInfluence {
    /// Spans are of the text that the receipt commits to, one choice behind the other.
    fn attribute(&self, served: &Served, prompt: &[u32], outputs: &[&[u32]]) -> Result<Attributed> {
        let query = served.index.query(&gradient(served, prompt, outputs)?)?;
        let scored = |by: &dyn ScoreBackend| served.index.attribute(&query, by, available_threads());
        let on_device = served.scorer.as_ref().map(|scorer| scored(&**scorer));
        let mut attribution = match on_device {
            // The scores are the same wherever they are computed: a device without memory for the rows delays nobody's receipt.
            Some(Err(openledger_influence::Error::Backend { backend, what })) => {
                tracing::warn!(backend, what, "scoring on the CPU");
                scored(cpu_backend())?
            }
            Some(other) => other?,
            None => scored(cpu_backend())?,
        };
        attribution.spans = channels::spans(served.words.as_ref(), &outputs.concat())?;
        Ok(Attributed {
            attribution,
            query: query.sketch,
        })
    }
}

/// The gradient of an answer: that of its choices' summed loss.
pub(crate) fn gradient(served: &Served, prompt: &[u32], outputs: &[&[u32]]) -> Result<Gradient> {
    let mut gradient = served.sketcher.start();
    for output in outputs.iter().filter(|output| !output.is_empty()) {
        let example = Example::answer(prompt, output);
        if served.factors.is_apart() {
            let all = 0..example.tokens.len().saturating_sub(1);
            let sums = served.factors.sums(&example, std::slice::from_ref(&all))?;
            for (position, module) in sums.iter().flatten().enumerate() {
                gradient.add_sums(position, &module.first, &module.second)?;
            }
            continue;
        }
        // The sketcher has the adapter's modules in the adapter's order, as factors and sums do.
        for (position, module) in served.factors.factors(&example)?.modules.iter().enumerate() {
            gradient.add(position, &module.x, &module.delta)?;
        }
    }
    Ok(gradient.finish())
}

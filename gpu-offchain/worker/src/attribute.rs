//! What shaped an answer: its gradient, its sketch, its list.

use crate::{
    error::{Error, Result},
    models::Served,
};
use openledger_attribution::{attribution::Attribution, sketch::Sketch};
use openledger_influence::{available_threads, cpu_backend};
use openledger_model::Example;

/// An attribution and the sketch it rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Attributed {
    /// What the receipt commits to.
    pub attribution: Attribution,
    /// The answer's sketch, published with the receipt so that anybody can recompute the scores.
    pub query: Sketch,
}

/// Attributes answers.
pub trait Attribute: Send + Sync + 'static {
    /// What of the generation's index shaped an answer, given `prompt`: the tokens of each of its choices are in `outputs`.
    fn attribute(&self, served: &Served, prompt: &[u32], outputs: &[&[u32]]) -> Result<Attributed>;
}

/// The one way that no challenge can touch: the list as the index and the sketch give it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByInfluence;

impl Attribute for ByInfluence {
    /// The gradient is that of the choices' summed loss.
    fn attribute(&self, served: &Served, prompt: &[u32], outputs: &[&[u32]]) -> Result<Attributed> {
        let mut gradient = served.sketcher.start();
        for output in outputs.iter().filter(|output| !output.is_empty()) {
            let factors = served.factors.factors(&Example::answer(prompt, output))?;
            for module in &factors.modules {
                let position = served.sketcher.module(&module.name).ok_or_else(|| {
                    Error::Internal(format!(
                        "module {} has factors and no place in the index",
                        module.name
                    ))
                })?;
                gradient.add(position, &module.x, &module.delta)?;
            }
        }
        let query = served.index.query(&gradient.finish())?;
        let attribution = served
            .index
            .attribute(&query, cpu_backend(), available_threads())?;
        Ok(Attributed {
            attribution,
            query: query.sketch,
        })
    }
}

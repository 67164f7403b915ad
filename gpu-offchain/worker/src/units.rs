//! Gradients of an index's rows: a record's factors, cut where its units are.

use crate::{
    dataset::windows,
    error::{Error, Result},
};
use openledger_attribution::record::RecordId;
use openledger_engine::Backend;
use openledger_influence::{Gradient, Sketcher, Unit};
use openledger_model::Example;
use openledger_trainer::{FactorModel, Factors};
use std::collections::BTreeMap;

/// A record: its version's position among the sources, and its id.
pub type Key = (u32, RecordId);

/// Gradients of records' units, a record's factors computed once.
pub struct Units<'a, B: Backend> {
    factors: &'a FactorModel<B>,
    sketcher: &'a Sketcher,
    examples: BTreeMap<Key, &'a Example>,
    context: usize,
    /// The record at hand: its windows, each with the position of its first token.
    current: Option<(Key, Vec<(usize, Factors)>)>,
}

impl<'a, B: Backend> Units<'a, B> {
    /// Of these records, read in windows of at most `context` tokens.
    pub fn new(
        factors: &'a FactorModel<B>,
        sketcher: &'a Sketcher,
        examples: BTreeMap<Key, &'a Example>,
        context: usize,
    ) -> Self {
        Self {
            factors,
            sketcher,
            examples,
            context,
            current: None,
        }
    }

    /// The unit's part of its record's gradient: that of its tokens' positions.
    pub fn gradient(&mut self, unit: &Unit) -> Result<Gradient> {
        let key = (unit.source, unit.record);
        if self.current.as_ref().is_none_or(|(current, _)| *current != key) {
            let example = self.examples.get(&key).ok_or_else(|| {
                Error::Internal(format!("row {} is of a record that was not read", unit.row))
            })?;
            let windows = windows(example, self.context).into_iter();
            let factors = windows.map(|(start, window)| Ok((start, self.factors.factors(&window)?)));
            self.current = Some((key, factors.collect::<Result<_>>()?));
        }
        let mut gradient = self.sketcher.start();
        let (from, to) = (unit.tokens.start as usize, unit.tokens.end as usize);
        for (start, factors) in self.current.iter().flat_map(|(_, windows)| windows) {
            for (position, module) in factors.modules.iter().enumerate() {
                let range = from.max(*start)..to.min(start + module.tokens);
                if range.is_empty() {
                    continue;
                }
                let (first, last) = (range.start - start, range.end - start);
                let x = &module.x[first * module.d_in..last * module.d_in];
                let delta = &module.delta[first * module.d_out..last * module.d_out];
                // The sketcher has the adapter's modules in the adapter's order, as the factors do.
                gradient.add(position, x, delta)?;
            }
        }
        Ok(gradient.finish())
    }
}

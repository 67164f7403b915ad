//! Gradients of an index's rows: a record's factors, cut where its units are.

use crate::{
    dataset::windows,
    error::{Error, Result},
};
use openledger_attribution::{record::RecordId, text::UNIT};
use openledger_engine::Backend;
use openledger_influence::{Gradient, Sketcher, Unit};
use openledger_model::Example;
use openledger_trainer::{FactorModel, Factors, ModuleSums};
use std::{collections::BTreeMap, ops::Range};

/// A record: its version's position among the sources, and its id.
pub type Key = (u32, RecordId);

/// What is known of a window of a record.
enum Window {
    /// Of its tokens.
    Factors(Factors),
    /// Of its units, or the parts of them in it, each with its tokens' positions in the record.
    Sums(Vec<(Range<usize>, Vec<ModuleSums>)>),
}

/// Gradients of records' units, a record's factors computed once.
pub struct Units<'a, B: Backend> {
    factors: &'a FactorModel<B>,
    sketcher: &'a Sketcher,
    examples: BTreeMap<Key, &'a Example>,
    context: usize,
    /// The record at hand: its windows, each with the position of its first token.
    current: Option<(Key, Vec<(usize, Window)>)>,
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

    fn window(&self, start: usize, window: &Example) -> Result<Window> {
        if !self.factors.is_apart() {
            return Ok(Window::Factors(self.factors.factors(window)?));
        }
        let (unit, end) = (UNIT as usize, start + window.tokens.len() - 1);
        let units: Vec<Range<usize>> = (start / unit..end.div_ceil(unit))
            .map(|n| start.max(n * unit)..end.min((n + 1) * unit))
            .collect();
        let within: Vec<Range<usize>> = units
            .iter()
            .map(|tokens| tokens.start - start..tokens.end - start)
            .collect();
        let sums = self.factors.sums(window, &within)?;
        Ok(Window::Sums(units.into_iter().zip(sums).collect()))
    }

    /// The unit's part of its record's gradient: that of its tokens' positions.
    pub fn gradient(&mut self, unit: &Unit) -> Result<Gradient> {
        let key = (unit.source, unit.record);
        if self.current.as_ref().is_none_or(|(current, _)| *current != key) {
            let example = self.examples.get(&key).ok_or_else(|| {
                Error::Internal(format!("row {} is of a record that was not read", unit.row))
            })?;
            let windows = windows(example, self.context).into_iter();
            let known = windows.map(|(start, window)| Ok((start, self.window(start, &window)?)));
            self.current = Some((key, known.collect::<Result<_>>()?));
        }
        let mut gradient = self.sketcher.start();
        let (from, to) = (unit.tokens.start as usize, unit.tokens.end as usize);
        for (start, window) in self.current.iter().flat_map(|(_, windows)| windows) {
            // The sketcher has the adapter's modules in the adapter's order, as factors and sums do.
            match window {
                Window::Factors(factors) => {
                    for (position, module) in factors.modules.iter().enumerate() {
                        let range = from.max(*start)..to.min(start + module.tokens);
                        if range.is_empty() {
                            continue;
                        }
                        let (first, last) = (range.start - start, range.end - start);
                        let x = &module.x[first * module.d_in..last * module.d_in];
                        let delta = &module.delta[first * module.d_out..last * module.d_out];
                        gradient.add(position, x, delta)?;
                    }
                }
                Window::Sums(units) => {
                    let own = units
                        .iter()
                        .filter(|(range, _)| (from..to).contains(&range.start));
                    for (range, modules) in own {
                        if range.end > to {
                            return Err(Error::Internal(format!(
                                "row {} is not of a unit of {UNIT} tokens",
                                unit.row
                            )));
                        }
                        for (position, module) in modules.iter().enumerate() {
                            gradient.add_sums(position, &module.first, &module.second)?;
                        }
                    }
                }
            }
        }
        Ok(gradient.finish())
    }
}

//! Batches without padding, and the order of the data.

use openledger_engine::backend::{Segment, IGNORE};
use openledger_engine::sampler::{key, philox};
use openledger_model::Example;

use crate::error::{Error, Result};

/// Sequences laid one after another.
pub(crate) struct Packed {
    pub(crate) tokens: Vec<u32>,
    pub(crate) positions: Vec<u32>,
    /// Rows of keys and values: the rows themselves.
    pub(crate) slots: Vec<u32>,
    pub(crate) segments: Vec<Segment>,
    pub(crate) targets: Vec<u32>,
    /// How many targets count.
    pub(crate) count: usize,
}

impl Packed {
    /// Row t of an example reads token t and predicts token t+1; the last token is only a target.
    pub(crate) fn new<'a>(examples: impl IntoIterator<Item = &'a Example>) -> Self {
        let mut p = Packed {
            tokens: Vec::new(),
            positions: Vec::new(),
            slots: Vec::new(),
            segments: Vec::new(),
            targets: Vec::new(),
            count: 0,
        };
        for example in examples {
            let (start, len) = (p.tokens.len(), example.tokens.len() - 1);
            p.tokens.extend(&example.tokens[..len]);
            p.positions.extend(0..len as u32);
            p.slots.extend((start..start + len).map(|s| s as u32));
            p.segments.push(Segment {
                q_start: start,
                q_len: len,
                kv_start: start,
                kv_len: len,
            });
            let target = |(token, counts): (&u32, &bool)| if *counts { *token } else { IGNORE };
            p.targets
                .extend(example.tokens[1..].iter().zip(&example.mask[1..]).map(target));
        }
        p.count = p.targets.iter().filter(|t| **t != IGNORE).count();
        p
    }

    pub(crate) fn rows(&self) -> usize {
        self.tokens.len()
    }
}

/// Refuses examples a model cannot read, and data in which nothing counts.
pub(crate) fn check(examples: &[Example], vocab_size: usize, longest: usize) -> Result<()> {
    for (index, example) in examples.iter().enumerate() {
        example
            .check(vocab_size)
            .map_err(|e| Error::Data(format!("example {index}: {e}")))?;
        if example.tokens.len() > longest + 1 {
            let len = example.tokens.len();
            return Err(Error::Data(format!(
                "example {index} has {len} tokens, the model reads {longest}; cut it into shorter ones"
            )));
        }
    }
    match examples.iter().any(|e| e.targets() > 0) {
        true => Ok(()),
        false => Err(Error::Data(format!(
            "none of {} examples has a target",
            examples.len()
        ))),
    }
}

/// A permutation of `0..n` that depends on seed and epoch alone.
pub(crate) fn order(n: usize, seed: u64, epoch: usize) -> Vec<usize> {
    const DOMAIN: u32 = 0x6f72_6465;
    let mut all: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        let words = philox([i as u32, epoch as u32, DOMAIN, 0], key(seed));
        let wide = u64::from(words[0]) << 32 | u64::from(words[1]);
        all.swap(i, ((u128::from(wide) * (i as u128 + 1)) >> 64) as usize);
    }
    all
}

/// Cuts an order into steps of about `batch_tokens` rows.
pub(crate) fn steps(examples: &[Example], order: &[usize], batch_tokens: usize) -> Vec<Vec<usize>> {
    let mut all = Vec::new();
    let (mut step, mut tokens) = (Vec::new(), 0);
    for &index in order {
        let len = examples[index].tokens.len();
        if tokens + len > batch_tokens && !step.is_empty() {
            all.push(std::mem::take(&mut step));
            tokens = 0;
        }
        step.push(index);
        tokens += len;
    }
    if !step.is_empty() {
        all.push(step);
    }
    all
}

/// The example with a share of its prompt's tokens replaced by others of the prompt; see [`crate::TrainConfig::noise`].
pub(crate) fn noised(example: &Example, share: f64, seed: u64, epoch: usize, index: usize) -> Example {
    const DOMAIN: u32 = 0x6e6f_6973;
    const KEPT: usize = 2;
    let mut out = example.clone();
    let prompt = example.mask.iter().skip(1).position(|m| *m).map_or(0, |p| p + 1);
    if share <= 0.0 || prompt <= 2 * KEPT {
        return out;
    }
    for at in KEPT..prompt - KEPT {
        let words = philox([at as u32, index as u32, epoch as u32, DOMAIN], key(seed));
        if f64::from(words[0]) < share * 4_294_967_296.0 {
            let other = KEPT + ((u64::from(words[1]) * (prompt - 2 * KEPT) as u64) >> 32) as usize;
            out.tokens[at] = example.tokens[other];
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_should_hold_every_index_once_and_change_with_seed_and_epoch() {
        let mut first = order(100, 1, 0);
        assert_eq!(first, order(100, 1, 0));
        assert_ne!(first, order(100, 1, 1));
        assert_ne!(first, order(100, 2, 0));
        first.sort_unstable();
        assert_eq!(first, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn noise_should_touch_about_its_share_of_the_prompt_and_nothing_else() {
        let example = Example::answer(&(0..200).collect::<Vec<_>>(), &[7; 50]);
        let other = noised(&example, 0.25, 1, 0, 0);
        assert_eq!(other, noised(&example, 0.25, 1, 0, 0));
        assert_ne!(other, noised(&example, 0.25, 1, 1, 0));
        assert_eq!(
            (&other.tokens[198..], &other.tokens[..2]),
            (&example.tokens[198..], &example.tokens[..2])
        );
        assert_eq!(other.mask, example.mask);
        let changed = other
            .tokens
            .iter()
            .zip(&example.tokens)
            .filter(|(a, b)| a != b)
            .count();
        assert!((30..70).contains(&changed), "{changed}");
        assert_eq!(noised(&example, 0.0, 1, 0, 0), example);
    }

    #[test]
    fn steps_should_lose_no_example() {
        let examples: Vec<_> = (2..40).map(|n| Example::whole(vec![0; n])).collect();
        let order = order(examples.len(), 3, 0);
        let steps = steps(&examples, &order, 50);
        assert_eq!(steps.concat(), order);
        for step in steps {
            let tokens: usize = step.iter().map(|&i| examples[i].tokens.len()).sum();
            assert!(tokens <= 50 || step.len() == 1);
        }
    }
}

//! Choosing tokens: greedy, temperature and top-p, by noise that depends on seed, position and token alone.
//!
//! Sampling takes the largest `logit / temperature + gumbel(seed, position, token)`, so that anyone who has the logits and the seed
//! can tell whether a token was the one to choose. Ties go to the lowest id.

use crate::real::Real;

/// How the token of one row is chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draw {
    /// 0 for the most likely token.
    pub temperature: f32,
    /// The least set of likeliest tokens that holds this much probability; 1 for all.
    pub top_p: f32,
    /// How many of the likeliest tokens may be chosen; 0 for all.
    pub top_k: usize,
    /// How many of the likeliest tokens are told beside the chosen one.
    pub alternatives: usize,
    /// The request's seed.
    pub seed: u64,
    /// The position of the token that is chosen, in tokens from the start of the sequence.
    pub position: u32,
}

/// A chosen token.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampled {
    /// Its id.
    pub id: u32,
    /// The logarithm of its probability under the model, before temperature and top-p.
    pub logprob: f32,
    /// The likeliest tokens and the logarithms of their probabilities, the likeliest first.
    pub top: Vec<(u32, f32)>,
}

/// Philox 4x32 with ten rounds: four random words of a counter and a key.
pub fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..10 {
        if round > 0 {
            key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
        }
        let a = u64::from(counter[0]) * 0xD251_1F53;
        let b = u64::from(counter[2]) * 0xCD9E_8D57;
        counter = [
            (b >> 32) as u32 ^ counter[1] ^ key[0],
            b as u32,
            (a >> 32) as u32 ^ counter[3] ^ key[1],
            a as u32,
        ];
    }
    counter
}

/// Splits a seed into a generator's key.
pub fn key(seed: u64) -> [u32; 2] {
    [seed as u32, (seed >> 32) as u32]
}

fn gumbel(seed: u64, position: u32, token: u32) -> f64 {
    let word = philox([position, token, 0, 0], key(seed))[0];
    let uniform = (f64::from(word) + 0.5) / 4_294_967_296.0;
    -libm::log(-libm::log(uniform))
}

/// Chooses a token of one row of logits.
pub fn sample(logits: &[f32], draw: &Draw) -> Sampled {
    let best = argmax(logits.iter().map(|&l| f64::from(l)));
    let max = logits.get(best).copied().unwrap_or(0.0);
    let sum: f64 = logits.iter().map(|&l| Real::exp(f64::from(l - max))).sum();
    let logprob = |id: usize| (f64::from(logits[id] - max) - libm::log(sum)) as f32;
    let finish = |id: usize| Sampled {
        id: id as u32,
        logprob: logprob(id),
        top: likeliest(logits, draw.alternatives)
            .into_iter()
            .map(|id| (id as u32, logprob(id)))
            .collect(),
    };
    if draw.temperature <= 0.0 || logits.is_empty() {
        return finish(best);
    }
    let scaled: Vec<f64> = logits
        .iter()
        .map(|&l| f64::from(l - max) / f64::from(draw.temperature))
        .collect();
    let kept = nucleus(&scaled, draw.top_p, draw.top_k);
    let id = argmax(scaled.iter().enumerate().map(|(id, &l)| {
        if kept.as_ref().is_none_or(|kept| kept[id]) {
            l + gumbel(draw.seed, draw.position, id as u32)
        } else {
            f64::NEG_INFINITY
        }
    }));
    finish(id)
}

/// How far a token is behind the one that [`sample`] chooses, in logits, the noise included: 0 for that one. Infinite for a token that
/// top-p or top-k leave out, or that there is not.
///
/// Who computed the logits in another order chooses the same token or one that is hardly behind it.
pub fn behind(logits: &[f32], draw: &Draw, token: u32) -> f64 {
    let Some(own) = logits.get(token as usize) else {
        return f64::INFINITY;
    };
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if draw.temperature <= 0.0 {
        return f64::from(max - own);
    }
    let scaled: Vec<f64> = logits
        .iter()
        .map(|&l| f64::from(l - max) / f64::from(draw.temperature))
        .collect();
    let kept = nucleus(&scaled, draw.top_p, draw.top_k);
    if kept.as_ref().is_some_and(|kept| !kept[token as usize]) {
        return f64::INFINITY;
    }
    let score = |id: usize| scaled[id] + gumbel(draw.seed, draw.position, id as u32);
    let best = (0..scaled.len())
        .filter(|&id| kept.as_ref().is_none_or(|kept| kept[id]))
        .map(score)
        .fold(f64::NEG_INFINITY, f64::max);
    (best - score(token as usize)) * f64::from(draw.temperature)
}

fn argmax(values: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (id, value) in values.enumerate() {
        if value > best.1 {
            best = (id, value);
        }
    }
    best.0
}

// The `n` ids of largest value, the largest first, ties to the lowest id.
fn likeliest<T: PartialOrd + Copy>(values: &[T], n: usize) -> Vec<usize> {
    let mut best: Vec<usize> = Vec::with_capacity(n + 1);
    if n == 0 {
        return best;
    }
    for (id, value) in values.iter().enumerate() {
        if best.len() == n && best.last().is_some_and(|&last| *value <= values[last]) {
            continue;
        }
        let at = best.partition_point(|&other| values[other] >= *value);
        best.insert(at, id);
        best.truncate(n);
    }
    best
}

// The likeliest tokens, in order of probability and then id: the first `top_k`, and of these until they hold `top_p`.
fn nucleus(scaled: &[f64], top_p: f32, top_k: usize) -> Option<Vec<bool>> {
    let few = top_k > 0 && top_k < scaled.len();
    if top_p >= 1.0 && !few {
        return None;
    }
    let weights: Vec<f64> = scaled.iter().map(|&l| libm::exp(l)).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]).then(a.cmp(&b)));
    let mut total: f64 = weights.iter().sum();
    if few {
        order.truncate(top_k);
        total = order.iter().map(|&id| weights[id]).sum();
    }
    let mut kept = vec![false; weights.len()];
    let mut held = 0.0;
    for id in order {
        kept[id] = true;
        held += weights[id];
        if held >= f64::from(top_p) * total {
            break;
        }
    }
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_should_give_the_published_vectors() {
        assert_eq!(
            philox([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn sampling_should_follow_the_softmax() {
        let logits = [0.0_f32, 1.0, 2.0];
        let mut counts = [0_u32; 3];
        for position in 0..30_000 {
            let draw = Draw {
                temperature: 1.0,
                top_p: 1.0,
                top_k: 0,
                alternatives: 0,
                seed: 7,
                position,
            };
            counts[sample(&logits, &draw).id as usize] += 1;
        }
        for (count, want) in counts.iter().zip([0.0900, 0.2447, 0.6652]) {
            assert!((f64::from(*count) / 30_000.0 - want).abs() < 0.01, "{counts:?}");
        }
    }

    #[test]
    fn the_chosen_token_should_be_behind_nobody() {
        let logits: Vec<f32> = (0..50).map(|id| ((id * 37) % 11) as f32 / 3.0).collect();
        for (temperature, top_p, top_k) in [(0.0, 1.0, 0), (0.7, 1.0, 0), (1.3, 0.8, 0), (1.0, 0.9, 5)] {
            for position in 0..200 {
                let draw = Draw {
                    temperature,
                    top_p,
                    top_k,
                    alternatives: 0,
                    seed: 9,
                    position,
                };
                let chosen = sample(&logits, &draw).id;
                assert_eq!(behind(&logits, &draw, chosen), 0.0);
                let others = (0..logits.len() as u32).filter(|other| *other != chosen);
                for other in others {
                    // Without noise equal logits are not behind each other.
                    let least = behind(&logits, &draw, other);
                    assert!(
                        least > 0.0 || temperature == 0.0 && least == 0.0,
                        "{other}: {least}"
                    );
                }
                assert_eq!(behind(&logits, &draw, 50), f64::INFINITY);
            }
        }
    }

    #[test]
    fn a_token_should_be_behind_by_what_its_logit_lacks() {
        let mut logits = [0.0_f32, 1.0, 2.0, 1.5];
        let draw = Draw {
            temperature: 0.5,
            top_p: 1.0,
            top_k: 0,
            alternatives: 0,
            seed: 3,
            position: 4,
        };
        let before = behind(&logits, &draw, 0);
        logits[0] += 0.25;
        let after = behind(&logits, &draw, 0);
        assert!(
            (after - (before - 0.25).max(0.0)).abs() < 1e-9,
            "{before}, then {after}"
        );
    }

    #[test]
    fn top_p_should_leave_out_the_tail_and_ties_go_to_the_lowest_id() {
        for position in 0..1_000 {
            let draw = Draw {
                temperature: 1.0,
                top_p: 0.6,
                top_k: 0,
                alternatives: 0,
                seed: 7,
                position,
            };
            assert_eq!(sample(&[0.0, 1.0, 2.0], &draw).id, 2);
            let few = Draw {
                top_p: 1.0,
                top_k: 2,
                ..draw
            };
            assert_ne!(sample(&[0.0, 1.0, 2.0], &few).id, 0);
        }
        let greedy = Draw {
            temperature: 0.0,
            top_p: 1.0,
            top_k: 0,
            alternatives: 2,
            seed: 0,
            position: 0,
        };
        let chosen = sample(&[1.0, 3.0, 3.0], &greedy);
        assert_eq!(chosen.id, 1);
        assert_eq!(chosen.top.iter().map(|t| t.0).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(chosen.top[0].1, chosen.logprob);
    }
}

//! Laws of the verbatim channel: information, spans, suffixes, what neighbours prove; and how the three
//! channels mix.

mod common;

use common::{law, Rng};
use openledger_attribution::{
    attribution::{Attribution, Retrieved},
    fee::Mix,
    list::ListEntry,
    record::{unpack, CorpusLeaf, RecordId},
    share::BILLION,
    text::{text_leaves, token_leaves, unit_tokens, units, TextLeaf, TokenLeaf, Window, UNIT},
    tree::{Leaf, Range, Root, Tree},
    verbatim::*,
};
use proptest::prelude::*;
use std::cmp::Ordering;

#[test]
fn logarithms_are_those_of_floating_point() {
    law(20_000, (any::<u64>(), 0u32..64), |(x, by)| {
        let x = x >> by;
        if x > 0 {
            let exact = (x as f64).log2() * 65_536.0;
            prop_assert!(
                (log2(x) as f64 - exact).abs() <= 1.001,
                "{} for {}, not {}",
                log2(x),
                x,
                exact
            );
        }
        Ok(())
    });
    assert_eq!(
        (log2(0), log2(1), log2(2), log2(1 << 63)),
        (0, 0, 65_536, 63 * 65_536)
    );
    let mut last = 0;
    for x in 1..100_000 {
        assert!(log2(x) >= last);
        last = log2(x);
    }
}

#[test]
fn units_cover_a_record() {
    law(3_000, 0u32..5_000, |tokens| {
        let mut end = 0;
        for unit in 0..units(tokens) {
            let range = unit_tokens(tokens, unit).unwrap();
            prop_assert_eq!(range.start, end);
            prop_assert!(range.end - range.start == UNIT || range.end == tokens);
            end = range.end;
        }
        prop_assert_eq!(end, tokens);
        prop_assert_eq!(unit_tokens(tokens, units(tokens)), None);
        let leaf = CorpusLeaf {
            source: 0,
            record: RecordId {
                contribution: 0,
                index: 0,
            },
            contributor: [0; 32],
            content: [0; 32],
            tokens,
        };
        prop_assert_eq!(
            unpack(leaf.sum().unwrap()),
            (u64::from(units(tokens)), u64::from(tokens) + 1)
        );
        Ok(())
    });
    assert_eq!(units(u32::MAX), 1 << 24);
    assert_eq!(unit_tokens(5, u32::MAX), None);
}

#[test]
fn windows_show_what_chunks_hold() {
    law(200, (1usize..1_200, any::<u64>()), |(length, seed)| {
        let mut rng = Rng(seed);
        let tokens: Vec<u32> = (0..length).map(|_| rng.next() as u32).collect();
        let leaves = token_leaves(&tokens);
        let tree = Tree::new(&leaves).unwrap();
        let start = rng.below(leaves.len() as u64) as usize;
        let end = start + 1 + rng.below((leaves.len() - start) as u64) as usize;
        let range = tree.open_range(start as u64, &leaves[start..end]).unwrap();
        let window = Window::open(&range, &tree.root()).unwrap();
        prop_assert_eq!(window.total, length as u64);
        for (at, token) in tokens.iter().enumerate() {
            let inside = (start * 256..end * 256).contains(&at);
            prop_assert_eq!(window.get(at as u64), inside.then_some(*token));
        }
        // A chunk that is not full has no place but the last.
        if leaves.len() > 1 {
            let mut broken = leaves.clone();
            broken[0].tokens.pop();
            let tree = Tree::new(&broken).unwrap();
            let range = tree.open_range(0, &broken[..1]).unwrap();
            prop_assert_eq!(Window::open(&range, &tree.root()), None);
        }
        Ok(())
    });
    let empty = text_leaves(&[], |_| [7; 32]);
    assert_eq!(
        empty,
        [TextLeaf {
            salt: [7; 32],
            tokens: vec![]
        }]
    );
    let tree = Tree::new(&empty).unwrap();
    assert!(Window::open(&tree.open_range(0, &empty).unwrap(), &tree.root()).is_some());
    let huge = TokenLeaf { tokens: vec![0; 257] };
    assert!(huge.node(0).is_none());
    let none: Range<TokenLeaf> = Range {
        start: 0,
        leaves: vec![],
        path: vec![],
    };
    assert_eq!(Window::open(&none, &Root::EMPTY), None);
}

fn flags() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(0u8..4, 6)
}

fn table(flags: &[u8]) -> Table {
    let leaves: Vec<TableLeaf> = flags
        .iter()
        .map(|flags| TableLeaf {
            flags: *flags,
            count: 9,
        })
        .collect();
    Table::whole(&leaves).unwrap()
}

#[test]
fn longer_matches_never_end_earlier() {
    let text = proptest::collection::vec(0u32..6, 1..60);
    law(4_000, (text, flags()), |(tokens, flags)| {
        let table = table(&flags);
        let text = Window {
            start: 0,
            total: tokens.len() as u64,
            tokens: tokens.clone(),
        };
        for start in 0..tokens.len() as u64 {
            let mut last = None;
            for length in 1..=tokens.len() as u64 - start {
                let end = canonical_end(&table, &text, start, length).unwrap();
                prop_assert!(end >= last);
                if let Some(end) = end {
                    prop_assert!(end > start && end <= start + length);
                    let sentence = |at: u64| flags[tokens[at as usize] as usize] & ENDS_SENTENCE != 0;
                    prop_assert!((start..end - 1).all(|at| !sentence(at)));
                    let boundary =
                        end == text.total || flags[tokens[end as usize] as usize] & STARTS_WORD != 0;
                    prop_assert!(sentence(end - 1) || boundary);
                    // A match of exactly the span ends as the span does: what the verdict on bounds relies
                    // on.
                    prop_assert_eq!(canonical_end(&table, &text, start, end - start), Some(Some(end)));
                }
                last = end;
            }
        }
        Ok(())
    });
}

#[test]
fn kept_spans_are_the_most_informative_maximal_ones() {
    // Starts rise and ends never fall, as longest matches have it.
    let pieces = proptest::collection::vec((1u32..4, 0u32..5, 0u64..50), 0..40).prop_map(|steps| {
        let (mut start, mut end) = (0, 0);
        steps
            .into_iter()
            .map(|(step, more, information)| {
                start += step;
                end = (end + more).max(start + 1);
                (start, end, information)
            })
            .collect::<Vec<_>>()
    });
    law(4_000, (pieces, 1u32..200), |(pieces, output)| {
        let kept = select(&pieces, output);
        let inside =
            |a: &(u32, u32, u64), b: &(u32, u32, u64)| b.0 <= a.0 && a.1 <= b.1 && (a.0, a.1) != (b.0, b.1);
        let mut maximal: Vec<_> = pieces
            .iter()
            .filter(|piece| piece.2 > 0 && !pieces.iter().any(|other| inside(piece, other)))
            .copied()
            .collect();
        maximal.sort_by_key(|piece| (std::cmp::Reverse(piece.2), piece.0));
        maximal.truncate(span_limit(output));
        maximal.sort_unstable();
        prop_assert_eq!(kept, maximal);
        Ok(())
    });
    assert_eq!(
        (span_limit(0), span_limit(1), span_limit(20), span_limit(21)),
        (0, 1, 1, 2)
    );
}

fn shard(length: u64) -> ShardLeaf {
    ShardLeaf {
        from: 0,
        to: length,
        suffixes: Root::EMPTY,
        counts: Root::EMPTY,
    }
}

#[test]
fn suffixes_are_ordered_by_their_judged_tokens() {
    let texts = proptest::collection::vec(0u32..3, 2..900);
    law(300, (texts, any::<u64>()), |(tokens, seed)| {
        let mut rng = Rng(seed);
        let length = tokens.len() as u64;
        let shard = shard(length);
        let whole = Window {
            start: 0,
            total: length,
            tokens: tokens.clone(),
        };
        for _ in 0..30 {
            let (a, b) = (rng.below(length), rng.below(length));
            let judged = |at: u64| &tokens[at as usize..(at as usize + JUDGED).min(tokens.len())];
            let of = |at: u64| Suffix::of(&whole, at, &shard).unwrap();
            let expected = judged(a).cmp(judged(b));
            prop_assert_eq!(order(of(a), of(b)), Some(expected));

            // Shown in part, it is either decided the same way or not at all.
            let part = |at: u64, shown: u64| Window {
                start: at,
                total: length,
                tokens: tokens[at as usize..((at + shown).min(length)) as usize].to_vec(),
            };
            let (x, y) = (part(a, 1 + rng.below(20)), part(b, 1 + rng.below(20)));
            let decided = order(
                Suffix::of(&x, a, &shard).unwrap(),
                Suffix::of(&y, b, &shard).unwrap(),
            );
            prop_assert!(decided.is_none() || decided == Some(expected));

            let pattern = &tokens[b as usize..((b + 1 + rng.below(8)).min(length)) as usize];
            let versus = match judged(a).starts_with(pattern) {
                true => Versus::Matches,
                false if judged(a) < pattern => Versus::Below,
                false => Versus::Above,
            };
            prop_assert_eq!(compare(of(a), pattern), Some(versus));
            let decided = compare(Suffix::of(&x, a, &shard).unwrap(), pattern);
            prop_assert!(decided.is_none() || decided == Some(versus));
        }
        Ok(())
    });
}

#[test]
fn neighbours_prove_what_is_absent_and_only_that() {
    let texts = proptest::collection::vec(0u32..3, 1..60);
    law(
        600,
        (texts, proptest::collection::vec(0u32..4, 1..5)),
        |(tokens, pattern)| {
            let length = tokens.len() as u64;
            let shard = shard(length);
            let whole = Window {
                start: 0,
                total: length,
                tokens: tokens.clone(),
            };
            let mut ranks: Vec<u64> = (0..length).collect();
            ranks.sort_by(|a, b| tokens[*a as usize..].cmp(&tokens[*b as usize..]));
            let of = |rank: usize| ranks.get(rank).map(|at| Suffix::of(&whole, *at, &shard).unwrap());
            let occurs = tokens.windows(pattern.len()).any(|window| window == pattern);
            let proofs = (0..=ranks.len())
                .filter(|rank| absent(rank.checked_sub(1).and_then(of), of(*rank), &pattern))
                .count();
            prop_assert_eq!(proofs, usize::from(!occurs));
            Ok(())
        },
    );
    let nothing = Suffix {
        tokens: &[],
        complete: true,
    };
    assert_eq!(order(nothing, nothing), Some(Ordering::Equal));
    assert!(!absent(None, None, &[1]));
}

fn account(n: u64) -> [u8; 32] {
    [n as u8; 32]
}

fn attribution(rng: &mut Rng) -> Attribution {
    let id = RecordId {
        contribution: 0,
        index: 0,
    };
    let list: Vec<ListEntry> = (0..rng.below(6))
        .map(|row| ListEntry {
            row,
            score: (1 + u128::from(rng.next())) << rng.below(50),
            contributor: account(rng.below(5)),
        })
        .collect();
    let spans: Vec<Span> = (0..rng.below(5) as u32)
        .map(|start| Span {
            start,
            end: start + 1,
            information: 1 + rng.below(1 << 30),
            records: (0..1 + rng.below(10))
                .map(|entry| SpanRecord {
                    entry,
                    record: id,
                    contributor: account(rng.below(5)),
                    position: entry,
                })
                .collect(),
        })
        .collect();
    let retrieved: Vec<Retrieved> = (0..rng.below(33))
        .map(|entry| Retrieved {
            entry,
            record: id,
            contributor: account(rng.below(5)),
        })
        .collect();
    Attribution {
        query: [0; 32],
        list,
        spans,
        retrieved,
    }
}

#[test]
fn channels_mix_into_amounts_that_add_up() {
    law(3_000, (any::<u64>(), any::<u128>()), |(seed, amount)| {
        let mut rng = Rng(seed);
        let mut attribution = attribution(&mut rng);
        let mix = common::world::random_mix(&mut rng);
        for shares in [
            attribution.list_shares(),
            attribution.span_shares(),
            attribution.retrieved_shares(),
        ] {
            let shares = shares.unwrap();
            let sum: u64 = shares.iter().map(|share| u64::from(*share)).sum();
            prop_assert!(shares.is_empty() || sum == u64::from(BILLION));
        }
        let amounts = attribution.amounts(&mix, amount).unwrap();
        let weights = attribution.weights(&mix).unwrap();
        prop_assert!(amounts.is_sorted_by(|a, b| a.0 < b.0));
        prop_assert!(amounts.iter().all(|(_, part)| *part > 0));
        prop_assert_eq!(attribution.credits_anyone(&mix), Some(!weights.is_empty()));
        let sum: u128 = amounts.iter().map(|(_, part)| part).sum();
        prop_assert_eq!(sum, if weights.is_empty() { 0 } else { amount });

        // An empty channel's weight goes to the others: they share as if it had none.
        let full = [
            (mix.influence, !attribution.list.is_empty()),
            (mix.verbatim, !attribution.spans.is_empty()),
            (mix.retrieval, !attribution.retrieved.is_empty()),
        ];
        let present: u64 = full
            .iter()
            .filter(|(_, there)| *there)
            .map(|(weight, _)| u64::from(*weight))
            .sum();
        let total: u128 = weights.iter().map(|(_, weight)| weight).sum();
        prop_assert_eq!(total, u128::from(present) * u128::from(BILLION));

        // Nothing depends on how entries are ordered beyond their ties: splitting a contributor's rows pays
        // the same.
        attribution.list.clear();
        attribution.spans.clear();
        attribution.retrieved.clear();
        prop_assert_eq!(attribution.amounts(&mix, amount), Some(vec![]));
        Ok(())
    });
}

#[test]
fn ranks_weigh_one_by_rank() {
    let named = |n| Retrieved {
        entry: n,
        record: RecordId {
            contribution: 0,
            index: 0,
        },
        contributor: account(n),
    };
    let attribution = Attribution {
        query: [0; 32],
        list: vec![],
        spans: vec![],
        retrieved: vec![named(1), named(2), named(3)],
    };
    // 1 : 1/2 : 1/3 is 6 : 3 : 2.
    assert_eq!(
        attribution.retrieved_shares().unwrap(),
        [545_454_545, 272_727_273, 181_818_182]
    );
    let mix = Mix {
        influence: 500_000_000,
        verbatim: 0,
        retrieval: 500_000_000,
    };
    let amounts = attribution.amounts(&mix, 11_000_000_000).unwrap();
    assert_eq!(
        amounts.iter().map(|(_, part)| *part).sum::<u128>(),
        11_000_000_000
    );
}

#[test]
fn table_leaves_have_no_other_flags() {
    assert!(TableLeaf { flags: 3, count: 1 }.node(0).is_some());
    assert!(TableLeaf { flags: 4, count: 1 }.node(0).is_none());
    let leaf = TableLeaf { flags: 0, count: 4 };
    assert_eq!(leaf.information(16), 2 * 65_536);
    assert_eq!(TableLeaf { flags: 0, count: 0 }.information(16), 4 * 65_536);
    assert_eq!(leaf.information(2), 0);
}

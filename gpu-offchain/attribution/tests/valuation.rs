//! Values are those of the definition; outliers and families are found, and nobody else is.

mod common;

use common::{seed, Rng};
use openledger_content::{read_file, Record};
use openledger_influence::valuation::{families, neighbour_values, outliers, review, Held, Reason, Reviewed};
use std::path::Path;

/// What a coalition gains: the definition, word by word.
fn gain(nearness: &[f64], gains: &[f64], coalition: u32, k: usize) -> f64 {
    let mut members: Vec<usize> = (0..nearness.len())
        .filter(|row| coalition >> row & 1 == 1)
        .collect();
    members.sort_by(|a, b| nearness[*b].total_cmp(&nearness[*a]).then(a.cmp(b)));
    members.iter().take(k).map(|row| gains[*row]).sum::<f64>() / k as f64
}

/// Shapley values by all 2^n coalitions.
fn brute(nearness: &[f64], gains: &[f64], k: usize) -> Vec<f64> {
    let n = nearness.len();
    let factorial = |n: usize| (1..=n).map(|i| i as f64).product::<f64>();
    let mut values = vec![0.0; n];
    for coalition in 0..1u32 << n {
        let size = coalition.count_ones() as usize;
        for (row, value) in values.iter_mut().enumerate() {
            if coalition >> row & 1 == 0 {
                let weight = factorial(size) * factorial(n - size - 1) / factorial(n);
                let with = gain(nearness, gains, coalition | 1 << row, k);
                *value += weight * (with - gain(nearness, gains, coalition, k));
            }
        }
    }
    values
}

#[test]
fn values_are_the_shapley_values_of_the_definition() {
    let mut rng = Rng(seed());
    for round in 0..120 {
        let (rows, k, queries) = (
            1 + rng.below(8) as usize,
            1 + rng.below(5) as usize,
            1 + rng.below(3) as usize,
        );
        let cells = rows * queries;
        // Ties now and then, labels or any gains.
        let coarse = |rng: &mut Rng| (rng.below(4) as f64) / 4.0;
        let nearness: Vec<f64> = (0..cells)
            .map(|_| match round % 2 {
                0 => coarse(&mut rng),
                _ => f64::from(rng.float()),
            })
            .collect();
        let gains: Vec<f64> = (0..cells)
            .map(|_| match round % 3 {
                0 => rng.below(2) as f64,
                _ => f64::from(rng.float()),
            })
            .collect();
        let found = neighbour_values(&nearness, &gains, rows, k).unwrap();
        let mut expected = vec![0.0; rows];
        let mut everything = 0.0;
        for (nearness, gains) in nearness.chunks(rows).zip(gains.chunks(rows)) {
            for (sum, value) in expected.iter_mut().zip(brute(nearness, gains, k)) {
                *sum += value / queries as f64;
            }
            everything += gain(nearness, gains, (1 << rows) - 1, k) / queries as f64;
        }
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() < 1e-12,
                "{found} and {expected}: {rows} rows, K {k}"
            );
        }
        assert!((found.iter().sum::<f64>() - everything).abs() < 1e-12);
    }
}

#[test]
fn what_cannot_be_valued_is_refused() {
    assert!(neighbour_values(&[1.0], &[1.0], 1, 0).is_err());
    assert!(neighbour_values(&[1.0, 2.0], &[1.0], 2, 1).is_err());
    assert!(neighbour_values(&[1.0; 3], &[1.0; 3], 2, 1).is_err());
    assert!(neighbour_values(&[f64::NAN], &[1.0], 1, 1).is_err());
    assert_eq!(neighbour_values(&[], &[], 2, 1).unwrap(), [0.0, 0.0]);
}

#[test]
fn outliers_are_those_that_were_planted() {
    let mut rng = Rng(seed());
    let mut influences: Vec<Option<u128>> = (0..400)
        .map(|_| Some((1e12 * f64::from(rng.float()).exp()) as u128))
        .collect();
    assert!(outliers(&influences, 8.0).is_empty());
    influences[7] = Some(u128::from(u64::MAX));
    influences[300] = Some(u128::from(u64::MAX) * 100);
    influences[301] = None;
    influences[302] = Some(0);
    let found: Vec<usize> = outliers(&influences, 8.0)
        .iter()
        .map(|outlier| outlier.row)
        .collect();
    assert_eq!(found, [300, 7]);
    assert!(outliers(&[], 1.0).is_empty());
    assert!(outliers(&[Some(5)], 1.0).is_empty());
    assert_eq!(outliers(&[Some(5), Some(5), Some(5), Some(6)], 1.0)[0].row, 3);
}

#[test]
fn copies_and_near_copies_are_one_family() {
    let text = "The lighthouse keeper wrote down the wind and the weather every morning before breakfast, \
                and on clear days also the names of all the ships that passed the northern rocks.";
    let changed = text.replace("breakfast", "dinner");
    let other = "A recipe for bread: flour, water, salt, patience; knead it, let it rest, and bake it hot.";
    assert_eq!(families([text, other, text, &changed, other]), [0, 1, 0, 0, 1]);
    assert!(families([]).is_empty());
}

/// Reviews records of one contributor each.
fn reviewed(records: &[(&str, &str)], influences: &[Option<u128>]) -> Vec<Held> {
    assert_eq!(records.len(), influences.len());
    let records: Vec<Reviewed<'_>> = (1u64..)
        .zip(records.iter().zip(influences))
        .map(|(who, ((question, answer), self_influence))| {
            let mut contributor = [0; 32];
            contributor[..8].copy_from_slice(&who.to_be_bytes());
            Reviewed {
                contributor,
                question,
                answer,
                self_influence: *self_influence,
            }
        })
        .collect();
    review(&records)
}

#[test]
fn an_answer_to_another_question_is_held_and_nothing_else() {
    let good = [
        (
            "How warm is a brood nest?",
            "Thirty-five degrees, within half a degree.",
        ),
        (
            "How warm is the middle of a brood nest?",
            "Thirty-five degrees, day and night.",
        ),
        (
            "How warm do bees keep a brood nest?",
            "Thirty-five degrees; they shiver for it.",
        ),
        (
            "How warm does a brood nest stay?",
            "Thirty-five degrees, in any weather.",
        ),
        (
            "How warm must a brood nest be?",
            "Thirty-five degrees, or the brood dies.",
        ),
        (
            "When does the tide turn in the harbour?",
            "Six hours after it turned the last time.",
        ),
        (
            "How long until the tide turns?",
            "Six hours and a little, then it turns.",
        ),
        (
            "At what time will the tide turn again?",
            "It turns six hours after the last turn.",
        ),
        ("", "A text that answers nothing."),
        ("Why do cats purr?", "Nobody knows for certain."),
    ];
    assert_eq!(reviewed(&good, &[None; 10]), []);
    let mut wrong = good;
    wrong[0].1 = good[5].1;
    let held = reviewed(&wrong, &[None; 10]);
    assert_eq!(held.iter().map(|held| held.record).collect::<Vec<_>>(), [0]);
    assert!(matches!(held[0].reason, Reason::Contradicts { value } if value < 0.0));
    // What a model holds by itself is held, whatever it says.
    let influences = [90, 100, 110, 95, 105, 100, 98, 102, 97, 100_000].map(Some);
    let held = reviewed(&good, &influences);
    assert_eq!(held.iter().map(|held| held.record).collect::<Vec<_>>(), [9]);
    assert!(matches!(held[0].reason, Reason::StandsOut { deviations } if deviations > 3.0));
    assert_eq!(review(&[]), []);
}

#[test]
fn an_answer_cut_into_pieces_is_held_but_for_the_first() {
    let cut = [
        ("How do I start a sourdough?", "Mix rye flour and warm water.", 1),
        ("how do I start a sourdough", "Feed it for five days.", 1),
        ("How do I start a sourdough?", "Take rye flour; water it.", 2),
        ("How do I bake it?", "At 250 degrees.", 1),
        ("", "A text that answers nothing.", 1),
        ("", "Another one that does not.", 1),
        ("How do I start a sourdough?", "Then it smells of apples.", 1),
    ]
    .map(|(question, answer, who)| Reviewed {
        contributor: [who; 32],
        question,
        answer,
        self_influence: None,
    });
    let again = [1, 6].map(|record| Held {
        record,
        reason: Reason::AsksAgain { before: 0 },
    });
    let held: Vec<Held> = review(&cut)
        .into_iter()
        .filter(|held| matches!(held.reason, Reason::AsksAgain { .. }))
        .collect();
    assert_eq!(held, again);
}

/// Three ways to ask one thing, and three to say one thing.
const WARMTH: [(&str, &str); 3] = [
    (
        "How warm is a brood nest?",
        "Thirty-five degrees, within half a degree.",
    ),
    (
        "How warm is the middle of a brood nest?",
        "Thirty-five degrees, day and night.",
    ),
    (
        "How warm do bees keep a brood nest?",
        "Thirty-five degrees; they shiver for it.",
    ),
];

fn contradicting(records: &[(&str, &str)]) -> Vec<usize> {
    let held = reviewed(records, &vec![None; records.len()]);
    held.iter().map(|held| held.record).collect()
}

#[test]
fn the_one_of_three_that_contradicts_is_held_wherever_it_stands() {
    for wrong in [
        "Twenty degrees, as in the room outside.",
        "Six hours after it turned the last time.",
    ] {
        for at in 0..3 {
            let mut records = WARMTH;
            records[at].1 = wrong;
            assert_eq!(contradicting(&records), [at], "{wrong}");
        }
    }
}

#[test]
fn honest_paraphrases_are_not_held() {
    let families = [
        WARMTH,
        [
            (
                "How do I start a sourdough?",
                "Mix rye flour and warm water in equal parts.",
            ),
            (
                "What do I need to start sourdough?",
                "Equal parts of rye flour and warm water, mixed.",
            ),
            (
                "How is a sourdough started?",
                "You take the same weight of water and of rye, and stir.",
            ),
        ],
        [
            (
                "Who keeps the lighthouse?",
                "Edda Reed keeps it, as her mother did.",
            ),
            ("Who looks after the lighthouse?", "That is Edda Reed."),
            (
                "Who is the keeper of the lighthouse?",
                "Mrs Reed, since the spring.",
            ),
        ],
    ];
    for family in &families {
        assert_eq!(contradicting(family), [0; 0], "{family:?}");
        // Two alone: neither is told to be the wrong one.
        let apart = [family[0], (family[1].0, "Nobody knows for certain.")];
        assert_eq!(contradicting(&apart), [0; 0]);
    }
    assert_eq!(contradicting(&families.concat()), [0; 0]);
}

/// The table of docs/results/lds.md: `INFLUENCE_SEED=0 cargo test … --test valuation answers_moved -- --nocapture`.
#[test]
fn answers_moved_round_among_the_shipped_are_held_and_few_others() {
    const DRAWS: usize = 40;
    const MOVED: usize = 9;
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shipped/corpora");
    let corpora: Vec<Vec<Record>> = ["ada-thorn", "ben-holloway", "clara-vogel"]
        .iter()
        .map(|name| read_file(&corpora.join(format!("{name}.jsonl"))).unwrap())
        .collect();
    let texts = |many: usize| -> Vec<(&str, &str)> {
        let first = corpora.iter().flat_map(|records| &records[..many]);
        first.map(Record::question_and_answer).collect()
    };
    let all = texts(60);
    let mut rng = Rng(seed());
    let (mut found, mut good) = (0, 0);
    for _ in 0..DRAWS {
        let mut places: Vec<usize> = (0..all.len()).collect();
        for at in 0..MOVED {
            places.swap(at, at + rng.below((all.len() - at) as u64) as usize);
        }
        let mut records = all.clone();
        for at in 0..MOVED {
            records[places[at]].1 = all[places[(at + 1) % MOVED]].1;
        }
        for held in contradicting(&records) {
            match places[..MOVED].contains(&held) {
                true => found += 1,
                false => good += 1,
            }
        }
    }
    // Each corpus says everything three times; its first twenty say it once.
    let once = contradicting(&texts(20)).len();
    println!(
        "held: {found} of {} wrong answers, {good} of {} good records, {once} of 60 of which none says the same",
        DRAWS * MOVED,
        DRAWS * (all.len() - MOVED)
    );
    assert!(found * 100 >= DRAWS * MOVED * 60, "{found}");
    assert!(good * 150 <= DRAWS * (all.len() - MOVED), "{good}");
    assert!(once <= 1, "{once}");
}

//! Families and versions: copies have no representative of their own, whatever was done to them; texts that
//! only share a topic have.

mod common;

use common::{seed, sentences, text, Rng};
use openledger_attribution::record::RecordId;
use openledger_content::{version_leaves, version_root, Contribution, Families, Record, Signature, LIKENESS};

fn record(text: &str) -> Record {
    Record::new(text).unwrap()
}

fn likeness(a: &str, b: &str) -> usize {
    Signature::of(a).similarity(&Signature::of(b))
}

#[test]
fn disguises_do_not_hide_a_copy() {
    let mut rng = Rng(seed());
    for _ in 0..40 {
        let words = text(&mut rng, 150);
        let sentences = sentences(&words);
        let original = sentences.join(" ");
        let mut reordered = sentences.clone();
        for at in (1..reordered.len()).rev() {
            reordered.swap(at, rng.below(at as u64 + 1) as usize);
        }
        let mut one_word = words.clone();
        one_word[rng.below(150) as usize] = "otherwise".into();
        let homoglyphs: String = original
            .chars()
            .map(|c| match c {
                'a' => 'а',
                'o' => 'ο',
                'e' => 'е',
                'p' => 'р',
                other => other,
            })
            .collect();
        for (name, disguise) in [
            (
                "spacing and case",
                original.to_uppercase().replace(' ', "\n\n\u{2003}"),
            ),
            ("punctuation", original.replace('.', " – !?").replace(' ', ", ")),
            ("one word", self::sentences(&one_word).join(" ")),
            ("sentences reordered", reordered.join(" ")),
            ("homoglyphs", homoglyphs),
            ("zero-width", original.replace("ba", "b\u{200C}a")),
            ("accents", original.replace("do", "dó")),
        ] {
            let equal = likeness(&original, &disguise);
            assert!(equal >= LIKENESS, "{name}: only {equal} of 128 are equal");
        }
        let other = self::sentences(&text(&mut rng, 150)).join(" ");
        assert!(likeness(&original, &other) < LIKENESS / 2);
    }
}

#[test]
fn the_estimate_is_near_the_share_of_common_features() {
    let mut rng = Rng(seed());
    for shared in [0usize, 50, 100, 150, 190] {
        let mut total = 0;
        for _ in 0..20 {
            let common = text(&mut rng, shared);
            let join = |rng: &mut Rng| [common.clone(), text(rng, 200 - shared)].concat().join(" ");
            let (a, b) = (join(&mut rng), join(&mut rng));
            total += likeness(&a, &b);
        }
        // Words and pairs that lie in the common part, of all that either has.
        let common = (2 * shared).saturating_sub(1) as f64;
        let expected = common / (2.0 * 399.0 - common);
        let estimate = total as f64 / (20.0 * 128.0);
        assert!(
            (estimate - expected).abs() < 0.05,
            "{shared}: {estimate} for {expected}"
        );
    }
}

#[test]
fn the_first_reservation_represents_and_the_order_of_reading_does_not_matter() {
    let mut rng = Rng(seed());
    let texts: Vec<String> = (0..6).map(|_| sentences(&text(&mut rng, 80)).join(" ")).collect();
    let original: Vec<Record> = texts[..4].iter().map(|text| record(text)).collect();
    // The thief has the smaller id and a later reservation: it copies two, and brings one of its own.
    let copies = [
        record(&texts[4]),
        record(&texts[2].to_uppercase()),
        record(&format!("{} Amen.", texts[0])),
    ];
    let late = [record(&texts[5]), record(&texts[5].replace('.', "!"))];
    let contributions = [
        Contribution {
            id: 1,
            contributor: [1; 32],
            reserved: 20,
            records: &copies,
        },
        Contribution {
            id: 2,
            contributor: [2; 32],
            reserved: 10,
            records: &original,
        },
        Contribution {
            id: 3,
            contributor: [3; 32],
            reserved: 30,
            records: &late,
        },
    ];
    let leaves = version_leaves(&contributions).unwrap();
    let id = |contribution, index| RecordId { contribution, index };
    let found: Vec<(RecordId, RecordId)> = leaves
        .iter()
        .map(|leaf| (leaf.record, leaf.representative))
        .collect();
    assert_eq!(
        found,
        [
            (id(1, 0), id(1, 0)),
            (id(1, 1), id(2, 2)),
            (id(1, 2), id(2, 0)),
            (id(2, 0), id(2, 0)),
            (id(2, 1), id(2, 1)),
            (id(2, 2), id(2, 2)),
            (id(2, 3), id(2, 3)),
            (id(3, 0), id(3, 0)),
            (id(3, 1), id(3, 0)),
        ]
    );
    let root = version_root(&leaves).unwrap();
    assert_eq!((root.count, root.sum), (9, 6));
    for leaf in &leaves {
        let head = leaves
            .iter()
            .find(|other| other.record == leaf.representative)
            .unwrap();
        assert!(head.is_representative());
    }
    let mut turned = contributions;
    turned.reverse();
    assert_eq!(version_leaves(&turned).unwrap(), leaves);

    let mut twice = contributions;
    twice[0].reserved = 10;
    assert!(version_leaves(&twice).is_err());
    twice[0].reserved = 20;
    twice[0].id = 2;
    assert!(version_leaves(&twice).is_err());
}

#[test]
fn short_texts_are_alike_only_if_they_are_the_same() {
    assert_eq!(likeness("Yes.", "yes"), 128);
    assert!(likeness("Yes.", "No.") < LIKENESS);
    assert!(likeness("good morning", "good evening") < LIKENESS);
    assert_eq!(likeness("!!!", "!!!"), 128);
    assert!(likeness("!!!", "???") < LIKENESS);
    // Scripts without spaces are compared character by character.
    let text = "春はあけぼの。やうやう白くなりゆく山ぎは、少し明かりて、紫だちたる雲の細くたなびきたる。";
    assert!(likeness(text, &text.replace('春', "夏")) >= LIKENESS);
    assert!(
        likeness(
            text,
            "夏は夜。月のころはさらなり。闇もなほ、蛍の多く飛びちがひたる。"
        ) < LIKENESS
    );
}

/// The number of families that texts make.
fn families(texts: &[&str]) -> usize {
    let mut families = Families::default();
    let numbers = texts.iter().map(|text| families.add(Signature::of(text)));
    numbers.max().map_or(0, |last| last + 1)
}

#[test]
fn one_word_makes_no_new_record_of_a_short_one() {
    let mut rng = Rng(seed());
    for count in 6..=40 {
        for _ in 0..20 {
            let words = text(&mut rng, count);
            let original = words.join(" ");
            let at = rng.below(count as u64) as usize;
            let with = |change: &dyn Fn(&mut Vec<String>)| {
                let mut changed = words.clone();
                change(&mut changed);
                changed.join(" ")
            };
            let changed = [
                with(&|words| words[at] = "other-wise".into()),
                with(&|words| words.insert(at, "other-wise".into())),
                with(&|words| {
                    let word = words.remove(at);
                    words.push(word.to_uppercase());
                }),
            ];
            for changed in &changed {
                assert_eq!(families(&[&original, changed]), 1, "{original}\n{changed}");
            }
            // One word less than six is not enough to tell.
            if count > 6 {
                let less = with(&|words| drop(words.remove(at)));
                assert_eq!(families(&[&original, &less]), 1, "{original}\n{less}");
            }
            // What is alike is compared with who came first, not with copies of it.
            let mut far = words.clone();
            for word in &mut far[..count / 2] {
                word.insert_str(0, "quite");
            }
            assert_eq!(families(&[&original, &far.join(" ")]), 2, "{original}");
        }
    }
    assert_eq!(families(&["bread is to be baked", "bread is to be frozen"]), 2);
    let question = "What is the capital of";
    let (france, peru) = (
        format!("{question} France? Paris."),
        format!("{question} Peru? Lima."),
    );
    assert_eq!(families(&[&france, &peru]), 2);
}

//! Laws of sketches: exact scores in any order and split, eligibility against big integers, what bytes are
//! valid, when recomputed sketches agree, what a list is.

mod common;

use common::{law, world::random_sketch, Rng};
use num_bigint::{BigInt, BigUint};
use openledger_attribution::{
    committee::lanes_agree,
    index::{IndexLeaf, IndexRules},
    list::{check_list, ListBuilder, ListFlaw, MAX_SCORE},
    record::RecordId,
    sketch::{dot, Disagreement, Flaw, Kind, Layout, LayoutFlaw, Module, Rule, Sketch, MAX_ROW_BYTES, SPAN},
};
use proptest::prelude::*;

fn layout(rng: &mut Rng) -> Layout {
    let modules = (0..1 + rng.below(4)).map(|_| Module {
        kind: Kind::Linear,
        rows: 1 + rng.below(6) as u16,
        columns: 1 + rng.below(30) as u16,
    });
    Layout {
        names: [0; 32],
        modules: modules.collect(),
    }
}

fn rules(rng: &mut Rng) -> IndexRules {
    IndexRules {
        projection: 1,
        top: 1 + rng.below(8) as u16,
        rho: 0,
        z: 1 + rng.below(900) as u16,
        floor: rng.between(-64, 63) as i8,
    }
}

/// A sketch whose exponents reach all of the window.
fn wild_sketch(rng: &mut Rng, rule: &Rule, layout: &Layout) -> Sketch {
    let mut sketch = random_sketch(rng, layout, rule.floor());
    let blocks = rule.block_lanes().to_vec();
    let mut at = 0;
    for (exponent, lanes) in sketch.exponents.iter_mut().zip(blocks) {
        let zero = sketch.lanes[at..at + lanes as usize]
            .iter()
            .all(|lane| *lane == 0);
        at += lanes as usize;
        if !zero {
            *exponent = rng.between(i64::from(rule.floor()), i64::from(rule.ceiling())) as i8;
        }
    }
    rule.check(sketch.view()).unwrap();
    sketch
}

/// Σ lane · lane · 2^shift, lane by lane in big integers: the definition.
fn reference(rule: &Rule, query: &Sketch, row: &Sketch) -> BigInt {
    let mut total = BigInt::from(0);
    let mut at = 0;
    for (module, lanes) in rule.block_lanes().iter().enumerate() {
        let shift = i32::from(query.exponents[module]) + i32::from(row.exponents[module])
            - 2 * i32::from(rule.floor());
        for lane in at..at + *lanes as usize {
            let product = i32::from(query.lanes[lane]) * i32::from(row.lanes[lane]);
            total += BigInt::from(product) << shift;
        }
        at += *lanes as usize;
    }
    total
}

#[test]
fn scores_are_exact_in_any_order_and_split() {
    law(3_000, any::<u64>(), |seed| {
        let mut rng = Rng(seed);
        let layout = layout(&mut rng);
        let rule = Rule::new(&layout, &rules(&mut rng)).unwrap();
        let (query, row) = (
            wild_sketch(&mut rng, &rule, &layout),
            wild_sketch(&mut rng, &rule, &layout),
        );
        let score = rule.score(query.view(), row.view()).unwrap();
        prop_assert_eq!(BigInt::from(score), reference(&rule, &query, &row));
        prop_assert!(score.unsigned_abs() <= MAX_SCORE);
        prop_assert_eq!(rule.score(row.view(), query.view()), Some(score));

        let mut order: Vec<usize> = (0..layout.modules.len()).collect();
        rng.shuffle(&mut order);
        let cut = rng.below(order.len() as u64 + 1) as usize;
        let part = |modules: &[usize]| -> i128 {
            modules
                .iter()
                .map(|at| rule.module_score(query.view(), row.view(), *at).unwrap())
                .sum()
        };
        prop_assert_eq!(part(&order[..cut]) + part(&order[cut..]), score);
        let norm = rule.norm(query.view()).unwrap();
        prop_assert_eq!(BigInt::from(norm), reference(&rule, &query, &query));
        Ok(())
    });
}

#[test]
fn dot_products_are_the_plain_loop_at_any_length() {
    let bytes = |n| proptest::collection::vec(any::<i8>(), n);
    law(3_000, (bytes(0..300usize), bytes(0..300usize)), |(a, b)| {
        let plain: i32 = a.iter().zip(&b).map(|(x, y)| i32::from(*x) * i32::from(*y)).sum();
        prop_assert_eq!(dot(&a, &b), plain);
        Ok(())
    });
    let most = MAX_ROW_BYTES as usize;
    assert_eq!(dot(&vec![-128; most], &vec![-128; most]), 1 << 29);
    assert_eq!(
        dot(&vec![-128; most], &vec![127; most]),
        -(128 * 127 * most as i32)
    );
}

#[test]
fn the_largest_sketches_fit() {
    let layout = Layout {
        names: [0; 32],
        modules: vec![Module {
            kind: Kind::Linear,
            rows: 31,
            columns: 1_057,
        }],
    };
    assert_eq!(layout.lanes() + 1, MAX_ROW_BYTES);
    let rules = IndexRules {
        projection: 1,
        top: 256,
        rho: 0,
        z: u16::MAX,
        floor: -64,
    };
    let rule = Rule::new(&layout, &rules).unwrap();
    assert_eq!(rule.ceiling(), -64 + SPAN);
    let sketch = Sketch {
        exponents: vec![rule.ceiling()],
        lanes: vec![127; layout.lanes() as usize],
    };
    let score = rule.evaluate(sketch.view(), sketch.view()).unwrap();
    assert_eq!(BigInt::from(score.value), reference(&rule, &sketch, &sketch));
    assert!(score.value.unsigned_abs() <= MAX_SCORE && MAX_SCORE.checked_mul(256).is_some());
    // One exponent beyond the window, on either side, is refused and not wrapped.
    for exponent in [rule.ceiling() + 1, 63] {
        let beyond = Sketch {
            exponents: vec![exponent],
            lanes: sketch.lanes.clone(),
        };
        assert_eq!(rule.score(sketch.view(), beyond.view()), None);
        assert_eq!(rule.norm(beyond.view()), None);
    }
}

#[test]
fn eligibility_is_that_of_big_integers() {
    law(6_000, any::<u64>(), |seed| {
        let mut rng = Rng(seed);
        let layout = layout(&mut rng);
        let rule = Rule::new(&layout, &rules(&mut rng)).unwrap();
        let query = wild_sketch(&mut rng, &rule, &layout);
        let mut row = wild_sketch(&mut rng, &rule, &layout);
        if rng.chance(70) {
            // Near each other, so that both answers occur.
            row.exponents = query.exponents.clone();
            for (lane, other) in row.lanes.iter_mut().zip(&query.lanes) {
                if rng.chance(60) || other.unsigned_abs() >= 64 || *other == 0 {
                    *lane = *other;
                }
            }
            if rule.check(row.view()).is_err() {
                row = query.clone();
            }
        }
        let score = rule.evaluate(query.view(), row.view()).unwrap();
        let norm = |sketch: &Sketch| reference(&rule, sketch, sketch);
        let left = BigInt::from(score.value).pow(2) * rule.lanes() * 10_000;
        let right = norm(&query) * norm(&row) * u32::from(rule.z()).pow(2);
        prop_assert_eq!(score.eligible, score.value > 0 && left >= right);
        Ok(())
    });
}

#[test]
fn the_bound_of_eligibility_is_met_exactly() {
    // Two orthogonal halves: cos² = 1/2 with 8 lanes is z² = 4 exactly.
    let layout = Layout {
        names: [0; 32],
        modules: vec![Module {
            kind: Kind::Linear,
            rows: 1,
            columns: 8,
        }],
    };
    let rule = |z| {
        Rule::new(
            &layout,
            &IndexRules {
                projection: 1,
                top: 1,
                rho: 0,
                z,
                floor: 0,
            },
        )
        .unwrap()
    };
    let query = Sketch {
        exponents: vec![0],
        lanes: vec![100, 100, 0, 0, 0, 0, 0, 0],
    };
    let row = Sketch {
        exponents: vec![0],
        lanes: vec![100, 0, 0, 0, 0, 0, 0, 0],
    };
    let eligible = |z| rule(z).evaluate(query.view(), row.view()).unwrap().eligible;
    assert!(eligible(200));
    assert!(!eligible(201));
    let opposite = Sketch {
        exponents: vec![0],
        lanes: vec![-100, 0, 0, 0, 0, 0, 0, 0],
    };
    let score = rule(1).evaluate(query.view(), opposite.view()).unwrap();
    assert!(score.value < 0 && !score.eligible);
    let zero = Sketch {
        exponents: vec![0],
        lanes: vec![0; 8],
    };
    let score = rule(1).evaluate(query.view(), zero.view()).unwrap();
    assert!(score.value == 0 && !score.eligible);
}

/// The quantiser's rule, in the test's own floating point: the least exponent at which the largest lane fits.
fn quantise(values: &[f64], floor: i8, ceiling: i8) -> (i8, Vec<i8>) {
    let peak = values.iter().fold(0f64, |peak, value| peak.max(value.abs()));
    let least = (-80..=63)
        .find(|e| (peak / 2f64.powi(*e)).round() <= 127.0)
        .unwrap_or(63);
    if peak == 0.0 || least < i32::from(floor) {
        return (floor, vec![0; values.len()]);
    }
    let exponent = least.min(i32::from(ceiling));
    let lanes = values
        .iter()
        .map(|value| (value / 2f64.powi(exponent)).round().clamp(-127.0, 127.0) as i8);
    (exponent as i8, lanes.collect())
}

fn values() -> impl Strategy<Value = (i8, Vec<f64>)> {
    // Sizes around the window's edges and inside it.
    (
        -64i8..=63,
        -6i32..60,
        proptest::collection::vec(-1.0f64..1.0, 1..600),
    )
        .prop_map(|(floor, above, values)| {
            let unit = 2f64.powi(i32::from(floor) + above);
            (floor, values.into_iter().map(|value| value * unit).collect())
        })
}

fn one_block(lanes: usize, floor: i8) -> Rule {
    let modules = vec![Module {
        kind: Kind::Linear,
        rows: 1,
        columns: lanes as u16,
    }];
    let rules = IndexRules {
        projection: 1,
        top: 1,
        rho: 0,
        z: 1,
        floor,
    };
    Rule::new(
        &Layout {
            names: [0; 32],
            modules,
        },
        &rules,
    )
    .unwrap()
}

#[test]
fn what_a_quantiser_gives_is_valid_and_agrees_with_itself() {
    law(3_000, (values(), any::<u64>()), |((floor, values), seed)| {
        let rule = one_block(values.len(), floor);
        let (exponent, lanes) = quantise(&values, floor, rule.ceiling());
        let sketch = Sketch {
            exponents: vec![exponent],
            lanes,
        };
        prop_assert_eq!(rule.check(sketch.view()), Ok(()));

        // Another computation, off by parts in 10^7 as fp32 is.
        let mut rng = Rng(seed);
        let other: Vec<f64> = values
            .iter()
            .map(|value| value * (1.0 + rng.between(-100, 100) as f64 * 1e-9))
            .collect();
        let probe = rule.probe_exponents(sketch.view()).unwrap()[0];
        let round = |values: &[f64]| -> Vec<i32> {
            values
                .iter()
                .map(|value| (value / 2f64.powi(i32::from(probe))).round() as i32)
                .collect()
        };
        prop_assert_eq!(rule.agrees(sketch.view(), &round(&values)), Ok(()));
        prop_assert_eq!(rule.agrees(sketch.view(), &round(&other)), Ok(()));
        prop_assert_eq!(lanes_agree(&round(&values), &round(&other)), Ok(()));

        // One exponent too large is invalid by its bytes; one too small is unmasked by unclipped lanes.
        if sketch.lanes.iter().any(|lane| *lane != 0) && exponent < rule.ceiling() {
            let halved = Sketch {
                exponents: vec![exponent + 1],
                lanes: values
                    .iter()
                    .map(|v| (v / 2f64.powi(i32::from(exponent) + 1)).round() as i8)
                    .collect(),
            };
            prop_assert!(
                rule.check(halved.view()) == Err(Flaw::Peak) || halved.lanes.iter().any(|l| l.abs() == 64)
            );
        }
        if exponent > floor && sketch.lanes.iter().any(|lane| *lane != 0) {
            let probe = exponent - 1;
            let unclipped: Vec<i32> = values
                .iter()
                .map(|v| (v / 2f64.powi(i32::from(probe))).round().clamp(-1e9, 1e9) as i32)
                .collect();
            let clipped = unclipped
                .iter()
                .map(|lane| (*lane).clamp(-127, 127) as i8)
                .collect();
            let doubled = Sketch {
                exponents: vec![probe],
                lanes: clipped,
            };
            if unclipped.iter().any(|lane| lane.abs() > 128) {
                prop_assert_eq!(
                    rule.agrees(doubled.view(), &unclipped),
                    Err(Disagreement::Clipped)
                );
            }
        }
        Ok(())
    });
}

#[test]
fn bytes_no_gradient_gives_are_told() {
    let rule = one_block(4, -10);
    let check = |exponent, lanes: [i8; 4]| rule.check_block(exponent, &lanes);
    assert_eq!(check(-10, [0; 4]), Ok(()));
    assert_eq!(check(-9, [0; 4]), Err(Flaw::ZeroExponent));
    assert_eq!(check(0, [0; 4]), Err(Flaw::ZeroExponent));
    assert_eq!(check(-10, [64, 0, 0, 0]), Ok(()));
    assert_eq!(check(-10, [-64, 1, 2, 3]), Ok(()));
    assert_eq!(check(-10, [63, -63, 0, 0]), Err(Flaw::Peak));
    assert_eq!(check(5, [-128, 0, 0, 0]), Err(Flaw::Byte));
    assert_eq!(check(-11, [64, 0, 0, 0]), Err(Flaw::Exponent));
    assert_eq!(check(34, [64, 0, 0, 0]), Ok(()));
    assert_eq!(check(35, [64, 0, 0, 0]), Err(Flaw::Exponent));
    let short = Sketch {
        exponents: vec![-10],
        lanes: vec![64, 0, 0],
    };
    assert_eq!(rule.check(short.view()), Err(Flaw::Shape));
    let two = Sketch {
        exponents: vec![-10, -10],
        lanes: vec![64, 0, 0, 0],
    };
    assert_eq!(rule.check(two.view()), Err(Flaw::Shape));
    assert_eq!(rule.evaluate(short.view(), short.view()), None);
}

#[test]
fn agreement_has_its_three_bounds() {
    let rule = one_block(512, -10);
    let mut lanes: Vec<i8> = (0..512).map(|at| (at % 200 - 100) as i8).collect();
    lanes[0] = 127;
    let committed = Sketch {
        exponents: vec![0],
        lanes: lanes.clone(),
    };
    let exact: Vec<i32> = lanes.iter().map(|lane| i32::from(*lane)).collect();
    let with = |changes: &[(usize, i32)]| {
        let mut own = exact.clone();
        changes.iter().for_each(|(at, by)| own[*at] += by);
        rule.agrees(committed.view(), &own)
    };
    assert_eq!(with(&[]), Ok(()));
    assert_eq!(with(&[(0, 1), (9, -1)]), Ok(()));
    assert_eq!(with(&[(1, 1), (2, -1), (3, 1)]), Err(Disagreement::TooMany));
    assert_eq!(with(&[(4, 2)]), Err(Disagreement::Lane));
    assert_eq!(with(&[(0, 2)]), Err(Disagreement::Clipped));
    assert_eq!(
        rule.agrees(committed.view(), &exact[1..]),
        Err(Disagreement::Shape)
    );

    // A zero block: anything that rounds under half the floor's smallest is zero.
    let zero = Sketch {
        exponents: vec![-10],
        lanes: vec![0; 512],
    };
    assert_eq!(rule.probe_exponents(zero.view()), Some(vec![-11]));
    assert_eq!(rule.agrees(zero.view(), &[128; 512]), Ok(()));
    assert_eq!(rule.agrees(zero.view(), &[129; 512]), Err(Disagreement::Clipped));

    // At the ceiling lanes are clipped by rule.
    let ceiling = Sketch {
        exponents: vec![rule.ceiling()],
        lanes: vec![127; 512],
    };
    assert_eq!(rule.agrees(ceiling.view(), &[5_000; 512]), Ok(()));
    assert_eq!(
        rule.agrees(ceiling.view(), &[-5_000; 512]),
        Err(Disagreement::Lane)
    );
    let invalid = Sketch {
        exponents: vec![0],
        lanes: vec![1; 512],
    };
    assert_eq!(rule.agrees(invalid.view(), &[1; 512]), Err(Disagreement::Shape));
    assert_eq!(lanes_agree(&[1, 2], &[1]), Err(Disagreement::Shape));
    assert_eq!(lanes_agree(&[1, 2], &[1, 3]), Ok(()));
    assert_eq!(lanes_agree(&[1, 2], &[2, 3]), Err(Disagreement::TooMany));
}

#[test]
fn layouts_and_rules_have_bounds() {
    let good = IndexRules {
        projection: 4,
        top: 16,
        rho: 1,
        z: 400,
        floor: -20,
    };
    let module = |rows, columns| Module {
        kind: Kind::Linear,
        rows,
        columns,
    };
    let of = |modules: Vec<Module>, rules| {
        Rule::new(
            &Layout {
                names: [0; 32],
                modules,
            },
            &rules,
        )
        .map(|_| ())
    };
    assert_eq!(of(vec![module(2, 2)], good), Ok(()));
    assert_eq!(of(vec![], good), Err(LayoutFlaw::Empty));
    assert_eq!(of(vec![module(2, 2), module(0, 5)], good), Err(LayoutFlaw::Empty));
    assert_eq!(of(vec![module(1, 32_767)], good), Ok(()));
    assert_eq!(
        of(vec![module(1, 32_768)], good),
        Err(LayoutFlaw::TooLarge(32_769))
    );
    assert!(matches!(
        of(vec![module(65_535, 65_535); 3], good),
        Err(LayoutFlaw::TooLarge(_))
    ));
    assert_eq!(
        of(vec![module(2, 2)], IndexRules { floor: -65, ..good }),
        Err(LayoutFlaw::Floor(-65))
    );
    assert_eq!(
        of(vec![module(2, 2)], IndexRules { floor: 64, ..good }),
        Err(LayoutFlaw::Floor(64))
    );
    assert_eq!(
        of(vec![module(2, 2)], IndexRules { z: 0, ..good }),
        Err(LayoutFlaw::Z)
    );
    assert_eq!(
        of(vec![module(2, 2)], IndexRules { top: 0, ..good }),
        Err(LayoutFlaw::Top(0))
    );
    assert_eq!(
        of(vec![module(2, 2)], IndexRules { top: 257, ..good }),
        Err(LayoutFlaw::Top(257))
    );
    assert_eq!(
        of(
            vec![module(2, 2)],
            IndexRules {
                projection: 0,
                ..good
            }
        ),
        Err(LayoutFlaw::Projection)
    );
    for flaw in [LayoutFlaw::Empty, LayoutFlaw::TooLarge(9), LayoutFlaw::Z] {
        assert!(!flaw.to_string().contains('\n'));
    }
}

#[test]
fn a_list_does_not_depend_on_the_order_of_rows() {
    law(1_500, any::<u64>(), |seed| {
        let mut rng = Rng(seed);
        let layout = layout(&mut rng);
        let mut rules = rules(&mut rng);
        rules.z = 1 + rng.below(150) as u16;
        rules.floor = rng.between(-64, 10) as i8;
        let rule = Rule::new(&layout, &rules).unwrap();
        let query = random_sketch(&mut rng, &layout, rules.floor);
        let rows: Vec<IndexLeaf> = (0..rng.below(30))
            .map(|n| IndexLeaf {
                source: 0,
                record: RecordId {
                    contribution: 0,
                    index: 0,
                },
                unit: n as u32,
                contributor: [n as u8 % 5; 32],
                // Some twice, so that scores tie.
                sketch: if rng.chance(30) {
                    query.clone()
                } else {
                    random_sketch(&mut rng, &layout, rules.floor)
                },
            })
            .collect();
        let collect = |order: &[usize]| {
            let mut list = ListBuilder::new(&rule, query.view());
            order.iter().for_each(|at| list.push(*at as u64, &rows[*at]));
            list.finish()
        };
        let mut order: Vec<usize> = (0..rows.len()).collect();
        let list = collect(&order);
        rng.shuffle(&mut order);
        prop_assert_eq!(&collect(&order), &list);

        // Two collectors and a merge.
        let cut = rng.below(order.len() as u64 + 1) as usize;
        let mut merged = ListBuilder::new(&rule, query.view());
        for half in [&order[..cut], &order[cut..]] {
            collect(half).into_iter().for_each(|entry| merged.keep(entry));
        }
        prop_assert_eq!(&merged.finish(), &list);

        // Against the definition.
        let mut expected: Vec<(u128, u64)> = (0..rows.len())
            .filter_map(|at| {
                let score = rule.evaluate(query.view(), rows[at].sketch.view())?;
                score
                    .eligible
                    .then(|| (u128::MAX - score.value.unsigned_abs(), at as u64))
            })
            .collect();
        expected.sort_unstable();
        expected.truncate(rule.top());
        let got: Vec<(u128, u64)> = list
            .iter()
            .map(|entry| (u128::MAX - entry.score, entry.row))
            .collect();
        prop_assert_eq!(got, expected);
        prop_assert_eq!(check_list(&list, rules.top, rows.len() as u64), Ok(()));
        if let Some(last) = list.last() {
            prop_assert_eq!(check_list(&list, rules.top, last.row), Err(ListFlaw::Row));
            prop_assert_eq!(
                check_list(&list, list.len() as u16 - 1, 99),
                Err(ListFlaw::Length)
            );
        }
        Ok(())
    });
}

#[test]
fn the_sum_of_lists_fits() {
    let most: BigUint = BigUint::from(MAX_SCORE) * 256u32;
    assert!(most <= BigUint::from(u128::MAX));
}

//! Committees: votes that cannot be copied, tallies, and the comparisons that only recomputing can feed.

mod common;

use common::law;
use openledger_attribution::{
    attribution::Retrieved,
    bases::{blocks_agree, diagonal, orthonormal, spectra_agree, BasisLeaf, Part, Place, Spectrum, ONE},
    committee::*,
    record::RecordId,
    sketch::{Kind, Layout, Module},
};
use proptest::prelude::*;

fn vote() -> impl Strategy<Value = Option<Vote>> {
    prop_oneof![Just(None), Just(Some(Vote::Right)), Just(Some(Vote::Wrong))]
}

#[test]
fn a_tally_decides_by_quorum_alone() {
    law(
        5_000,
        (
            proptest::collection::vec(vote(), 0..12),
            0usize..12,
            any::<bool>(),
        ),
        |(votes, quorum, closed)| {
            let count = |wanted: Vote| votes.iter().filter(|vote| **vote == Some(wanted)).count();
            let (right, wrong) = (count(Vote::Right), count(Vote::Wrong));
            let outcome = tally(&votes, quorum, closed);
            if quorum * 2 <= votes.len() {
                // Half could stand against half.
                prop_assert_eq!(outcome, Outcome::NoQuorum);
            } else {
                prop_assert_eq!(outcome == Outcome::Decided(Vote::Right), right >= quorum);
                prop_assert_eq!(outcome == Outcome::Decided(Vote::Wrong), wrong >= quorum);
            }
            if closed {
                prop_assert_ne!(outcome, Outcome::Open);
            }
            // What was decided stays decided, whatever the silent ones say.
            if let Outcome::Decided(decided) = outcome {
                for late in [Vote::Right, Vote::Wrong] {
                    let all: Vec<_> = votes.iter().map(|vote| vote.or(Some(late))).collect();
                    prop_assert_eq!(tally(&all, quorum, true), Outcome::Decided(decided));
                }
            }
            Ok(())
        },
    );
    use Vote::{Right, Wrong};
    let five = |votes: [Option<Vote>; 5]| tally(&votes, 4, false);
    assert_eq!(
        five([Some(Right), Some(Right), Some(Right), Some(Right), Some(Wrong)]),
        Outcome::Decided(Right)
    );
    assert_eq!(
        five([Some(Right), Some(Right), Some(Right), Some(Wrong), Some(Wrong)]),
        Outcome::NoQuorum
    );
    assert_eq!(
        five([Some(Right), Some(Right), Some(Right), None, Some(Wrong)]),
        Outcome::Open
    );
    assert_eq!(tally(&[Some(Wrong)], 1, false), Outcome::Decided(Wrong));
}

#[test]
fn a_commitment_is_to_one_vote_of_one_member() {
    law(
        500,
        (
            any::<[u8; 32]>(),
            proptest::collection::vec(any::<u8>(), 0..40),
            any::<[u8; 32]>(),
        ),
        |(who, own, salt)| {
            let commitment = vote_hash(Vote::Right, &who, &own, &salt);
            prop_assert_ne!(commitment, vote_hash(Vote::Wrong, &who, &own, &salt));
            let mut other = who;
            other[0] ^= 1;
            prop_assert_ne!(commitment, vote_hash(Vote::Right, &other, &own, &salt));
            let mut longer = own.clone();
            longer.push(0);
            prop_assert_ne!(commitment, vote_hash(Vote::Right, &who, &longer, &salt));
            let mut salted = salt;
            salted[31] ^= 1;
            prop_assert_ne!(commitment, vote_hash(Vote::Right, &who, &own, &salted));
            Ok(())
        },
    );
}

#[test]
fn fast_outputs_may_miss_one_position_in_two_hundred() {
    law(2_000, (1usize..2_000, 0usize..20), |(length, misses)| {
        let misses = misses.min(length);
        let mut gaps = vec![3u32; length];
        gaps[..misses].fill(9);
        prop_assert_eq!(fast_output_agrees(&gaps, 5), misses * 1_000 <= length * 5);
        prop_assert!(fast_output_agrees(&gaps, 9));
        Ok(())
    });
    assert!(verifiable_output_agrees(&[1, 2], &[1, 2]) && !verifiable_output_agrees(&[1, 2], &[1, 2, 3]));
    assert!(training_agrees(&[1; 32], &[1; 32]) && !training_agrees(&[1; 32], &[2; 32]));
}

#[test]
fn ranks_are_the_same_records_in_the_same_order() {
    let named = |entry| Retrieved {
        entry,
        record: RecordId {
            contribution: 1,
            index: 0,
        },
        contributor: [0; 32],
    };
    let claimed = [named(5), named(2)];
    assert!(ranks_agree(&claimed, &[5, 2]));
    assert!(!ranks_agree(&claimed, &[2, 5]));
    assert!(!ranks_agree(&claimed, &[5]));
    assert!(!ranks_agree(&claimed, &[5, 2, 1]));
}

/// A rotation by an angle, in fixed point.
fn rotation(angle: f64) -> [Vec<i16>; 2] {
    let fixed = |x: f64| (x * ONE as f64).round() as i16;
    [
        vec![fixed(angle.cos()), fixed(angle.sin())],
        vec![fixed(-angle.sin()), fixed(angle.cos())],
    ]
}

#[test]
fn rotations_are_orthonormal_and_little_else() {
    law(
        2_000,
        (0.0f64..6.3, 0usize..4, 30i16..2_000),
        |(angle, place, by)| {
            let [mut a, b] = rotation(angle);
            prop_assert!(
                orthonormal(&a, &a, true) && orthonormal(&b, &b, true) && orthonormal(&a, &b, false)
            );
            prop_assert!(!orthonormal(&a, &b, true) && !orthonormal(&a, &a, false));
            let entry = &mut a[place % 2];
            *entry = entry.saturating_add(if place < 2 { by } else { -by });
            // A shift moves either its own length or the angle to the other; 30 units are more than 2⁻¹⁰.
            prop_assert!(!orthonormal(&a, &a, true) || !orthonormal(&a, &b, false));
            Ok(())
        },
    );
    assert!(!orthonormal(&[16_384, 0], &[16_384], true));
}

#[test]
fn a_covariance_is_diagonal_up_to_a_hundredth() {
    assert_eq!(diagonal(&[vec![100, 7], vec![-7, 100]]), Some(true));
    assert_eq!(diagonal(&[vec![100, 11], vec![11, 100]]), Some(false));
    assert_eq!(diagonal(&[]), Some(true));
    assert_eq!(diagonal(&[vec![1, 2]]), None);
    assert_eq!(
        diagonal(&[vec![i64::MIN, i64::MIN], vec![i64::MIN, i64::MIN]]),
        None
    );
    law(1_000, proptest::collection::vec(-1_000i64..1_000, 9), |entries| {
        let rows: Vec<Vec<i64>> = entries.chunks(3).map(|row| row.to_vec()).collect();
        let mass = |pick: fn(usize) -> bool| -> i64 {
            entries
                .iter()
                .enumerate()
                .filter(|(at, _)| pick(*at))
                .map(|(_, entry)| entry * entry)
                .sum()
        };
        prop_assert_eq!(
            diagonal(&rows),
            Some(mass(|at| at % 4 != 0) * 100 <= mass(|_| true))
        );
        Ok(())
    });
}

#[test]
fn eigenvalues_far_below_the_damping_accuse_nobody() {
    let of = |exponent: i16, values: &[u32]| Spectrum {
        exponent,
        values: values.to_vec(),
    };
    let rho = 100_000_000;
    // A direction in which training hardly moved, recomputed on another machine: noise of the last bits.
    let (built, again) = ([of(0, &[1 << 30, 3])], [of(0, &[1 << 30, 5])]);
    assert!(!spectra_agree(&built[0], &again[0]));
    assert!(blocks_agree(&built, &again, rho));
    assert!(!blocks_agree(&built, &again, 0));
    // A whole row of them, with an exponent of its own.
    let (built, again) = (
        [of(0, &[1 << 30]), of(-60, &[1 << 30])],
        [of(0, &[1 << 30]), of(-62, &[1 << 30])],
    );
    assert!(blocks_agree(&built, &again, rho));
    // What stands above the damping is held to 1% of itself and of the damping.
    let block = |value: u32| [of(4, &[1_000_000, value])];
    assert!(blocks_agree(&block(100_000), &block(101_000), rho));
    assert!(!blocks_agree(&block(100_000), &block(103_000), rho));
    // No tolerance is won by claiming a large eigenvalue: the smaller mean counts.
    let (built, again) = ([of(0, &[u32::MAX, 1_000])], [of(0, &[2_000, 2_000])]);
    assert!(!blocks_agree(&built, &again, rho));
    // Shapes, zeros, and the ends of the range.
    assert!(!blocks_agree(&[of(0, &[1])], &[of(0, &[1, 1])], rho));
    assert!(!blocks_agree(&[of(0, &[1])], &[], rho));
    assert!(blocks_agree(&[], &[], rho));
    assert!(blocks_agree(&[of(200, &[0])], &[of(-200, &[0])], rho));
    assert!(!blocks_agree(
        &[of(200, &[1])],
        &[of(-200, &[u32::MAX])],
        u32::MAX
    ));
    law(
        2_000,
        (
            proptest::collection::vec((any::<u32>(), any::<u32>()), 1..6),
            -40i16..40,
            -40i16..40,
            any::<u32>(),
        ),
        |(pairs, a, b, rho)| {
            let number = |value: u32, exponent: i16| f64::from(value) * 2f64.powi(exponent.into());
            let x: Vec<f64> = pairs.iter().map(|(x, _)| number(*x, a)).collect();
            let y: Vec<f64> = pairs.iter().map(|(_, y)| number(*y, b)).collect();
            let mean = x.iter().sum::<f64>().min(y.iter().sum()) / pairs.len() as f64;
            let damping = f64::from(rho) / 1e9 * mean;
            let excess = |(x, y): (&f64, &f64)| (x - y).abs() * 100.0 / (x.max(*y) + damping).max(1e-300);
            let worst = x.iter().zip(&y).map(excess).fold(0.0, f64::max);
            if (worst - 1.0).abs() > 1e-6 {
                let (x, y): (Vec<u32>, Vec<u32>) = pairs.into_iter().unzip();
                prop_assert_eq!(blocks_agree(&[of(a, &x)], &[of(b, &y)], rho), worst <= 1.0);
            }
            Ok(())
        },
    );
}

#[test]
fn eigenvalues_agree_within_a_hundredth() {
    let of = |exponent: i16, values: &[u32]| Spectrum {
        exponent,
        values: values.to_vec(),
    };
    assert!(spectra_agree(&of(3, &[1_000, 0]), &of(3, &[1_010, 0])));
    assert!(!spectra_agree(&of(3, &[1_000]), &of(3, &[1_011])));
    assert!(spectra_agree(&of(3, &[1_000]), &of(2, &[2_000])));
    assert!(!spectra_agree(&of(3, &[1_000]), &of(3, &[1_000, 1])));
    assert!(!spectra_agree(&of(200, &[1]), &of(-200, &[u32::MAX])));
    assert!(spectra_agree(&of(200, &[0]), &of(-200, &[0])));
    law(
        2_000,
        (any::<u32>(), any::<u32>(), -30i16..30, -30i16..30),
        |(x, y, a, b)| {
            let (p, q) = (
                f64::from(x) * 2f64.powi(a.into()),
                f64::from(y) * 2f64.powi(b.into()),
            );
            // Away from the edge, where the test's own floating point could differ.
            let ratio = (p - q).abs() / p.max(q).max(1e-300);
            if (ratio - 0.01).abs() > 1e-9 {
                prop_assert_eq!(spectra_agree(&of(a, &[x]), &of(b, &[y])), ratio <= 0.01);
            }
            Ok(())
        },
    );
}

#[test]
fn every_basis_leaf_has_its_place() {
    let module = |rows, columns| Module {
        kind: Kind::LoraA,
        rows,
        columns,
    };
    let layout = Layout {
        names: [0; 32],
        modules: vec![module(2, 3), module(1, 4)],
    };
    let places: Vec<Place> = (0..layout.basis_leaves())
        .map(|at| Place::of(at, &layout).unwrap())
        .collect();
    let short: Vec<(usize, Part, u64, usize)> = places
        .iter()
        .map(|place| (place.module, place.part, place.row, place.length))
        .collect();
    use Part::{Left, Right, Spectrum as Values};
    let expected = [
        (0, Left, 0, 2),
        (0, Left, 1, 2),
        (0, Right, 0, 3),
        (0, Right, 1, 3),
        (0, Right, 2, 3),
        (0, Values, 0, 3),
        (0, Values, 1, 3),
        (1, Left, 0, 1),
        (1, Right, 0, 4),
        (1, Right, 1, 4),
        (1, Right, 2, 4),
        (1, Right, 3, 4),
        (1, Values, 0, 4),
    ];
    assert_eq!(short, expected);
    assert_eq!(Place::of(layout.basis_leaves(), &layout), None);
    assert!(places[0].fits(&BasisLeaf::Vector(vec![1, 2])));
    assert!(!places[0].fits(&BasisLeaf::Vector(vec![1])));
    assert!(!places[5].fits(&BasisLeaf::Vector(vec![1, 2, 3])));
    let spectrum = |exponent| {
        BasisLeaf::Spectrum(Spectrum {
            exponent,
            values: vec![1, 2, 3],
        })
    };
    assert!(places[5].fits(&spectrum(-200)) && !places[5].fits(&spectrum(201)));
}

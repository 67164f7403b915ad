//! Laws of the arithmetic: wide numbers against a big-integer library, largest remainder, fees, splits,
//! lineage.

mod common;

use common::law;
use num_bigint::BigUint;
use openledger_attribution::{
    fee::{halves, lineage, stakers, Fee, Missing, Mix, Parts, Split, Tariff, MAX_ANCESTORS},
    share::{apportion, gather, shares, BILLION},
    wide::{multiply, multiply_divide, scale, Wide},
};
use proptest::prelude::*;

fn big(n: u128) -> BigUint {
    BigUint::from(n)
}

/// Numbers of every size, the edges among them.
fn number() -> impl Strategy<Value = u128> {
    prop_oneof![
        any::<u128>(),
        (any::<u128>(), 0u32..128).prop_map(|(n, by)| n >> by),
        Just(0),
        Just(1),
        Just(u128::MAX),
        Just(u64::MAX as u128),
        Just(1 << 64),
        Just(1 << 127)
    ]
}

#[test]
fn products_are_those_of_big_integers() {
    law(20_000, (number(), number(), number()), |(a, b, c)| {
        let (high, low) = multiply(a, b);
        prop_assert_eq!((big(high) << 128) + big(low), big(a) * big(b));

        let exact = big(a) * big(b) * big(c);
        let digits = |wide: Wide| {
            wide.digits()
                .into_iter()
                .fold(big(0), |sum, digit| (sum << 128) + big(digit))
        };
        let wide = Wide::product(a, b);
        prop_assert_eq!(digits(wide), big(a) * big(b));
        prop_assert_eq!(wide.times(c).map(digits), Some(exact.clone()));
        let larger = wide.times(c).unwrap().times(a);
        let fits = &exact * big(a) < (big(1) << 384);
        prop_assert_eq!(larger.map(digits), fits.then(|| exact * big(a)));
        Ok(())
    });
}

#[test]
fn wide_numbers_compare_as_big_integers_do() {
    law(
        20_000,
        (number(), number(), number(), number(), number(), number()),
        |(a, b, c, d, e, f)| {
            let (x, y) = (
                Wide::product(a, b).times(c).unwrap(),
                Wide::product(d, e).times(f).unwrap(),
            );
            prop_assert_eq!(
                x.cmp(&y),
                (big(a) * big(b) * big(c)).cmp(&(big(d) * big(e) * big(f)))
            );
            // Products in another order are the same number.
            prop_assert_eq!(Some(x), Wide::product(c, a).times(b));
            Ok(())
        },
    );
}

#[test]
fn division_is_that_of_big_integers() {
    law(20_000, (number(), number(), number()), |(a, b, d)| {
        let expected = (d != 0).then(|| (big(a) * big(b) / big(d), big(a) * big(b) % big(d)));
        let expected = expected.filter(|(quotient, _)| *quotient <= big(u128::MAX));
        let got = multiply_divide(a, b, d).map(|(quotient, remainder)| (big(quotient), big(remainder)));
        prop_assert_eq!(got, expected);
        Ok(())
    });
}

#[test]
fn scaling_a_digest_is_that_of_big_integers() {
    law(20_000, (any::<[u8; 32]>(), number()), |(digest, n)| {
        let exact: BigUint = (BigUint::from_bytes_be(&digest) * big(n)) >> 256;
        prop_assert_eq!(big(scale(&digest, n)), exact);
        prop_assert!(n == 0 || scale(&digest, n) < n);
        Ok(())
    });
    assert_eq!(scale(&[0xFF; 32], 7), 6);
    assert_eq!(scale(&[0; 32], 7), 0);
}

fn weights() -> impl Strategy<Value = Vec<u128>> {
    let weight = prop_oneof![
        Just(0u128),
        1u128..20,
        any::<u64>().prop_map(u128::from),
        0u128..(1 << 121)
    ];
    proptest::collection::vec(weight, 1..40)
}

#[test]
fn largest_remainder_is_exact_fair_and_in_order() {
    law(5_000, (number(), weights()), |(total, weights)| {
        let whole: BigUint = weights.iter().map(|weight| big(*weight)).sum();
        let Some(parts) = apportion(total, &weights) else {
            prop_assert_eq!(whole, big(0));
            return Ok(());
        };
        prop_assert_eq!(parts.iter().map(|part| big(*part)).sum::<BigUint>(), big(total));
        for (part, weight) in parts.iter().zip(&weights) {
            let exact = big(total) * big(*weight);
            let floor = &exact / &whole;
            prop_assert!(big(*part) == floor || (big(*part) == &floor + 1u32 && &exact % &whole != big(0)));
            prop_assert!(*weight > 0 || *part == 0);
        }
        // The same, told another way: no unit could move to somebody with a larger remainder, or an equal one
        // earlier.
        let remainder = |weight: u128| big(total) * big(weight) % &whole;
        let rounded_up = |at: usize| big(parts[at]) > big(total) * big(weights[at]) / &whole;
        for a in 0..parts.len() {
            for b in 0..parts.len() {
                if rounded_up(a) && !rounded_up(b) {
                    let (x, y) = (remainder(weights[a]), remainder(weights[b]));
                    prop_assert!(x > y || (x == y && a < b));
                }
            }
        }
        Ok(())
    });
}

#[test]
fn shares_add_up_to_a_billion() {
    law(5_000, weights(), |weights| {
        if let Some(shares) = shares(&weights) {
            prop_assert_eq!(
                shares.iter().map(|share| u64::from(*share)).sum::<u64>(),
                u64::from(BILLION)
            );
        }
        Ok(())
    });
    assert_eq!(apportion(10, &[]), None);
    assert_eq!(apportion(10, &[0, 0]), None);
    assert_eq!(apportion(1, &[1, 1]), Some(vec![1, 0]));
    assert_eq!(apportion(2, &[3, 3, 3]), Some(vec![1, 1, 0]));
    assert_eq!(apportion(10, &[u128::MAX, 1]), None);
}

#[test]
fn gathering_does_not_depend_on_order() {
    law(
        2_000,
        proptest::collection::vec((0u8..6, 0u128..1_000), 0..30),
        |mut amounts| {
            let forward = gather(amounts.clone()).unwrap();
            amounts.reverse();
            prop_assert_eq!(&forward, &gather(amounts.clone()).unwrap());
            prop_assert!(forward.is_sorted_by(|a, b| a.0 < b.0));
            prop_assert!(forward.iter().all(|(_, sum)| *sum > 0));
            let total: u128 = amounts.iter().map(|(_, amount)| amount).sum();
            prop_assert_eq!(forward.iter().map(|(_, sum)| sum).sum::<u128>(), total);
            Ok(())
        },
    );
    assert_eq!(gather([(1, u128::MAX), (1, 1)]), None);
}

fn split() -> impl Strategy<Value = Split> {
    (0u16..=10_000, proptest::array::uniform4(0u16..=10_000)).prop_map(|(platform, mut cuts)| {
        cuts.sort_unstable();
        let [a, b, c, d] = cuts;
        Split {
            platform,
            owner: a,
            contributors: b - a,
            stakers: c - b,
            compute: d - c,
            lineage: 10_000 - d,
        }
    })
}

fn tariff() -> impl Strategy<Value = Tariff> {
    let mix = Mix {
        influence: BILLION,
        verbatim: 0,
        retrieval: 0,
    };
    (number(), number(), split()).prop_map(move |(price_in, price_out, split)| Tariff {
        price_in,
        price_out,
        split,
        mix,
    })
}

#[test]
fn fees_are_the_formula() {
    law(
        10_000,
        (any::<u32>(), any::<u32>(), tariff()),
        |(input, output, tariff)| {
            let sum = big(u128::from(input)) * big(tariff.price_in)
                + big(u128::from(output)) * big(tariff.price_out);
            let compute: BigUint = (&sum + 999u32) / 1_000u32;
            let platform: BigUint = &compute * u32::from(tariff.split.platform) / 10_000u32;
            let total = &compute + &platform;
            match tariff.fee(input, output) {
                Some(fee) => {
                    prop_assert_eq!(big(fee.compute), compute);
                    prop_assert_eq!(big(fee.platform), platform);
                    prop_assert_eq!(fee.total().map(big), Some(total));
                }
                // Refused only where a number could not fit.
                None => prop_assert!(sum > big(u128::MAX) || total > big(u128::MAX)),
            }
            Ok(())
        },
    );
}

#[test]
fn a_split_loses_and_makes_nothing() {
    law(
        10_000,
        (number(), number(), split(), any::<bool>()),
        |(compute, platform, split, credited)| {
            let fee = Fee { compute, platform };
            let parts = Parts::of(fee, &split, credited).unwrap();
            prop_assert_eq!(parts.total(), fee.total());
            prop_assert_eq!(parts.platform, platform);
            prop_assert_eq!(
                if credited {
                    parts.fallback
                } else {
                    parts.contributors
                },
                0
            );
            let exact = |part: u16| big(compute) * part / 10_000u32;
            for (got, part) in [
                (parts.owner, split.owner),
                (parts.contributors + parts.fallback, split.contributors),
                (parts.stakers, split.stakers),
                (parts.compute, split.compute),
                (parts.lineage, split.lineage),
            ] {
                prop_assert!(big(got) >= exact(part) && big(got) <= exact(part) + 1u32);
            }
            Ok(())
        },
    );
    let split = Split {
        platform: 500,
        owner: 4_000,
        contributors: 3_000,
        stakers: 1_000,
        compute: 1_500,
        lineage: 500,
    };
    let parts = Parts::of(
        Fee {
            compute: 1_001,
            platform: 50,
        },
        &split,
        true,
    )
    .unwrap();
    // Exactly 400.4, 300.3, 100.1, 150.15 and 50.05: the largest remainder is the owner's.
    let got = [
        parts.owner,
        parts.contributors,
        parts.stakers,
        parts.compute,
        parts.lineage,
    ];
    assert_eq!(got, [401, 300, 100, 150, 50]);
    assert_eq!(
        Parts::of(
            Fee {
                compute: 5,
                platform: 0
            },
            &Split {
                owner: 4_001,
                ..split
            },
            true
        ),
        None
    );
}

#[test]
fn the_stakers_part_is_halved_and_what_nobody_stakes_for_is_missing() {
    law(
        2_000,
        (number(), any::<bool>(), any::<bool>()),
        |(amount, model, worker)| {
            let got = stakers(amount, model, worker);
            prop_assert_eq!(big(got.model) + big(got.worker) + big(got.missing), big(amount));
            prop_assert_eq!(got.model, if model { amount - amount / 2 } else { 0 });
            prop_assert_eq!(got.worker, if worker { amount / 2 } else { 0 });
            Ok(())
        },
    );
}

#[test]
fn parts_add_and_subtract_field_by_field() {
    law(
        2_000,
        (
            proptest::array::uniform7(0u128..1 << 100),
            proptest::array::uniform7(0u128..1 << 100),
        ),
        |(a, b)| {
            let parts =
                |[platform, owner, contributors, fallback, stakers, compute, lineage]: [u128; 7]| Parts {
                    platform,
                    owner,
                    contributors,
                    fallback,
                    stakers,
                    compute,
                    lineage,
                };
            let (a, b) = (parts(a), parts(b));
            let sum = a.plus(b).unwrap();
            prop_assert_eq!(sum, b.plus(a).unwrap());
            prop_assert_eq!(sum.minus(b), Some(a));
            prop_assert_eq!(sum.total(), Some(a.total().unwrap() + b.total().unwrap()));
            Ok(())
        },
    );
    let full = Parts {
        owner: u128::MAX,
        ..Parts::default()
    };
    let one = Parts {
        owner: 1,
        ..Parts::default()
    };
    assert_eq!(full.plus(one), None);
    assert_eq!(Parts::default().minus(one), None);
    assert_eq!(
        full.plus(Parts {
            lineage: 1,
            ..Parts::default()
        })
        .unwrap()
        .total(),
        None
    );
}

#[test]
fn a_missing_partys_part_goes_to_the_contributors() {
    law(
        2_000,
        (split(), any::<[bool; 2]>()),
        |(split, [owner, lineage])| {
            let left = split.without(Missing { owner, lineage });
            prop_assert!(left.is_whole());
            prop_assert!(!owner || left.owner == 0);
            // Whether anybody stakes is not known when a split is signed.
            prop_assert_eq!(left.stakers, split.stakers);
            prop_assert!(!lineage || left.lineage == 0);
            prop_assert_eq!(left.compute, split.compute);
            prop_assert_eq!(left.platform, split.platform);
            Ok(())
        },
    );
}

#[test]
fn lineage_halves_by_distance() {
    law(
        5_000,
        (number(), proptest::collection::vec(any::<bool>(), 0..40)),
        |(amount, added)| {
            let paid = lineage(amount, &added).unwrap();
            let nearer: BigUint = paid.nearer.iter().map(|(_, part)| big(*part)).sum();
            let root = big(paid.root_owner) + big(paid.root_datanets);
            prop_assert_eq!(&nearer + &root, big(amount));
            prop_assert!(paid.root_owner == paid.root_datanets || paid.root_owner == paid.root_datanets + 1);
            let eligible: Vec<usize> = (0..added.len())
                .filter(|at| added[*at])
                .take(MAX_ANCESTORS - 1)
                .collect();
            prop_assert_eq!(
                paid.nearer.iter().map(|(at, _)| *at).collect::<Vec<_>>(),
                eligible.clone()
            );
            if eligible.is_empty() {
                prop_assert_eq!(root, big(amount));
            } else {
                prop_assert_eq!(root, (big(amount) + 1u32) / 2u32);
            }
            for pair in paid.nearer.windows(2) {
                // Twice as much as the next one, within the rounding of both.
                let (near, far) = (pair[0].1, pair[1].1);
                prop_assert!(big(near) + 2u32 >= big(far) * 2u32 && big(near) <= big(far) * 2u32 + 2u32);
            }
            Ok(())
        },
    );
    assert_eq!(halves(7), (4, 3));
    let paid = lineage(1_000, &[true, false, true]).unwrap();
    assert_eq!(
        (paid.nearer, paid.root_owner, paid.root_datanets),
        (vec![(0, 333), (2, 167)], 250, 250)
    );
}

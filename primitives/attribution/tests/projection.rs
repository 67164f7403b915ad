//! Projections and drawn rows: anyone computes them alone from the seed, and they are as even as they look.

use openledger_attribution::{
    bases::{drawn_rows, DRAWN_ROWS},
    hash::keccak,
    sketch::{sign, signs, Side},
};

#[test]
fn a_sign_is_the_named_bit_of_the_named_hash() {
    let seed = [7; 32];
    // Written out once by hand, so that another implementation can be checked against it.
    let hash = keccak(&[&seed, &[0, 0, 0, 3], &[1], &[0, 0, 0, 5], &[0, 0, 0, 2]]);
    assert_eq!(signs(&seed, 3, Side::Columns, 5, 2), hash);
    for column in 512..768u32 {
        let within = column - 512;
        let bit = hash[(within / 8) as usize] >> (within % 8) & 1;
        assert_eq!(
            sign(&seed, 3, Side::Columns, 5, column),
            if bit == 1 { 1 } else { -1 }
        );
    }
}

#[test]
fn signs_are_even_and_differ_between_seeds_modules_sides_and_rows() {
    let row = |seed: u8, module, side, row| -> Vec<i32> {
        (0..4_096)
            .map(|column| i32::from(sign(&[seed; 32], module, side, row, column)))
            .collect()
    };
    let rows = [
        row(0, 0, Side::Rows, 0),
        row(1, 0, Side::Rows, 0),
        row(0, 1, Side::Rows, 0),
        row(0, 0, Side::Columns, 0),
        row(0, 0, Side::Rows, 1),
    ];
    // Six standard deviations of a fair coin over 4,096 throws.
    let limit = 6 * 64;
    for (at, a) in rows.iter().enumerate() {
        assert!(a.iter().sum::<i32>().abs() < limit, "row {at} is not even");
        for b in &rows[at + 1..] {
            let product: i32 = a.iter().zip(b).map(|(x, y)| x * y).sum();
            assert!(product.abs() < limit, "row {at} is like another");
        }
    }
}

#[test]
fn drawn_rows_are_all_or_as_many_as_asked_and_below_the_count() {
    for rows in [0, 1, 17, DRAWN_ROWS as u64] {
        assert_eq!(
            drawn_rows(&[1; 32], rows).into_iter().collect::<Vec<_>>(),
            (0..rows).collect::<Vec<_>>()
        );
    }
    for rows in [DRAWN_ROWS as u64 + 1, 1_000_000] {
        let drawn = drawn_rows(&[1; 32], rows);
        assert_eq!(drawn.len(), DRAWN_ROWS);
        assert!(drawn.iter().all(|row| *row < rows));
        assert_ne!(drawn, drawn_rows(&[2; 32], rows));
    }
}

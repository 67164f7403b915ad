//! Eigenvectors of small symmetric matrices, by Jacobi's cyclic method.
//!
//! Only additions, multiplications, divisions and square roots, in one order: IEEE 754 gives the same bits
//! everywhere. (Golub and Van Loan, Matrix Computations, 8.5.)

/// Sweeps after which the method stops in any case; it converges quadratically and needs about ten.
const SWEEPS: usize = 60;

/// Eigenvalues in descending order, and the eigenvectors in that order, one after another. The first of each
/// vector's largest entries is positive. `matrix` is n × n and symmetric.
pub(crate) fn symmetric(matrix: &[f64], n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut a = matrix.to_vec();
    // Row i of `v` becomes the i-th eigenvector.
    let mut v = vec![0.0; n * n];
    for i in 0..n {
        v[i * n + i] = 1.0;
    }
    let scale: f64 = a.iter().map(|x| x * x).sum();
    for _ in 0..SWEEPS {
        let mut off = 0.0;
        for i in 0..n {
            for j in 0..i {
                off += a[i * n + j] * a[i * n + j];
            }
        }
        // Far below what fixed point with 14 bits can tell.
        if off <= scale * 1e-28 {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut a, &mut v, n, p, q);
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|i, j| a[j * n + j].total_cmp(&a[i * n + i]));
    let mut values = Vec::with_capacity(n);
    let mut vectors = Vec::with_capacity(n * n);
    for i in order {
        values.push(a[i * n + i]);
        let vector = &v[i * n..(i + 1) * n];
        let mut largest = 0.0f64;
        for entry in vector {
            if entry.abs() > largest.abs() {
                largest = *entry;
            }
        }
        let sign = if largest < 0.0 { -1.0 } else { 1.0 };
        vectors.extend(vector.iter().map(|entry| entry * sign));
    }
    (values, vectors)
}

/// Makes entry (p, q) zero.
fn rotate(a: &mut [f64], v: &mut [f64], n: usize, p: usize, q: usize) {
    let off = a[p * n + q];
    if off == 0.0 {
        return;
    }
    let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * off);
    // Beyond this theta² would overflow; the rotation is by 1/(2θ) then.
    let t = if theta.abs() > 1e150 {
        0.5 / theta
    } else {
        let t = 1.0 / (theta.abs() + (theta * theta + 1.0).sqrt());
        if theta < 0.0 {
            -t
        } else {
            t
        }
    };
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    turn(a, n, p, q, c, s);
    // Columns follow from symmetry, but for the four entries that both turns touch.
    for i in 0..n {
        let (x, y) = (a[i * n + p], a[i * n + q]);
        a[i * n + p] = c * x - s * y;
        a[i * n + q] = s * x + c * y;
    }
    a[p * n + q] = 0.0;
    a[q * n + p] = 0.0;
    turn(v, n, p, q, c, s);
}

/// Turns rows p < q.
fn turn(m: &mut [f64], n: usize, p: usize, q: usize, c: f64, s: f64) {
    let (head, tail) = m.split_at_mut(q * n);
    for (x, y) in head[p * n..(p + 1) * n].iter_mut().zip(&mut tail[..n]) {
        let (old_x, old_y) = (*x, *y);
        *x = c * old_x - s * old_y;
        *y = s * old_x + c * old_y;
    }
}

#[cfg(test)]
mod tests {
    use super::symmetric;

    #[test]
    fn eigenvectors_rebuild_the_matrix_and_are_orthonormal() {
        let mut state = 12_345u64;
        for n in [1usize, 2, 3, 16, 64] {
            println!("seed {state}");
            let mut random = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 33) as f64 / (1u64 << 31) as f64 - 0.5
            };
            let mut m = vec![0.0; n * n];
            for i in 0..n {
                for j in 0..=i {
                    let value = random();
                    m[i * n + j] = value;
                    m[j * n + i] = value;
                }
            }
            let (values, vectors) = symmetric(&m, n);
            assert!(values.windows(2).all(|pair| pair[0] >= pair[1]));
            for i in 0..n {
                for j in 0..n {
                    let rebuilt: f64 = (0..n)
                        .map(|e| values[e] * vectors[e * n + i] * vectors[e * n + j])
                        .sum();
                    assert!((rebuilt - m[i * n + j]).abs() < 1e-11, "entry {i},{j} of {n}");
                    let product: f64 = (0..n).map(|e| vectors[i * n + e] * vectors[j * n + e]).sum();
                    let expected = if i == j { 1.0 } else { 0.0 };
                    assert!((product - expected).abs() < 1e-12);
                }
            }
        }
    }

    #[test]
    fn nothing_turns_a_zero_matrix() {
        let (values, vectors) = symmetric(&[0.0; 9], 3);
        assert_eq!(values, [0.0; 3]);
        assert_eq!(vectors, [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    }
}

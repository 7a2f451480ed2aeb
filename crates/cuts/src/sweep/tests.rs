//! The sweep against its oracle, and the identities of docs/SPEC.md sections 8 and 10.

use proptest::prelude::*;

use super::{Sweep, naive};
use crate::{
    Gram, Matrix, Needs, Pattern, Rounding, factor::Factor, kept_count, select::keep_largest,
};

/// Numbers of about −1 to 1 that no short period repeats.
fn numbers(n: usize, salt: u64) -> Vec<f32> {
    let mut word = salt.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        (word >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

fn matrix(rows: usize, columns: usize, salt: u64) -> Matrix {
    Matrix { name: "w".into(), rows, columns, values: numbers(rows * columns, salt) }
}

/// Inputs that hang together, one of them always zero.
fn inputs(tokens: usize, width: usize, dead: Option<usize>) -> Vec<f32> {
    let mut x = numbers(tokens * width, 99);
    for row in x.chunks_exact_mut(width) {
        for i in 1..width {
            row[i] = 0.6 * row[i - 1] + row[i] * (1.0 + (i % 5) as f32);
        }
        if let Some(dead) = dead {
            row[dead] = 0.0;
        }
    }
    x
}

fn factor(x: &[f32], width: usize) -> Factor {
    let mut gram = Gram::new(width, 3, Needs::Products);
    gram.add(x);
    Factor::of(&gram).unwrap()
}

fn wide(values: &[f32], width: usize) -> Vec<Vec<f64>> {
    values.chunks_exact(width).map(|row| row.iter().map(|v| f64::from(*v)).collect()).collect()
}

/// Across borders of blocks, strips of outputs and groups: shares, n:m, groups that divide a block and groups
/// that do not, and both together.
#[test]
fn blocks_equal_the_naive_sweep() {
    let (rows, columns) = (70, 300);
    let (w, x) = (matrix(rows, columns, 1), inputs(400, columns, Some(130)));
    let factor = factor(&x, columns);
    let rounding = |bits, group| Some(Rounding { bits, group });
    for (pattern, rounding) in [
        (Some(Pattern::Share(0.5)), None),
        (Some(Pattern::Share(0.83)), None),
        (Some(Pattern::NofM { n: 2, m: 4 }), None),
        (Some(Pattern::NofM { n: 1, m: 3 }), None),
        (Some(Pattern::NofM { n: 40, m: 100 }), None),
        (None, rounding(4, 64)),
        (None, rounding(3, 50)),
        (None, rounding(2, 200)),
        (None, rounding(4, 1000)),
        (Some(Pattern::Share(0.5)), rounding(4, 64)),
        (Some(Pattern::NofM { n: 2, m: 4 }), rounding(4, 48)),
    ] {
        let sweep = Sweep { factor: &factor, pattern, rounding, zeros_stay: false };
        let found = sweep.run(&w).unwrap();
        let expected =
            naive::sweep(wide(&w.values, columns), &wide(&x, columns), 3, pattern, rounding, false)
                .concat();
        let apart = vector::worst(&found.values, &expected);
        assert!(apart < 1e-5, "{pattern:?} {rounding:?}: {apart}");
        let zeros = |left: bool| match left {
            true => found.values.iter().map(|v| *v == 0.0).collect::<Vec<_>>(),
            false => expected.iter().map(|v| *v == 0.0).collect(),
        };
        assert_eq!(zeros(true), zeros(false), "{pattern:?} {rounding:?}");
        let dead = found.values.iter().skip(130).step_by(columns);
        assert!(dead.into_iter().all(|weight| *weight == 0.0), "weights of a dead input go");
    }
}

/// What an earlier step made zero is neither brought back nor counted among what may stay.
#[test]
fn zeros_stay() {
    let (rows, columns) = (70, 160);
    let mut w = matrix(rows, columns, 2);
    w.values.iter_mut().step_by(3).for_each(|weight| *weight = 0.0);
    let x = inputs(200, columns, None);
    let factor = factor(&x, columns);
    let rounding = Some(Rounding { bits: 4, group: 32 });
    for (pattern, rounding) in [
        (Some(Pattern::Share(0.25)), None),
        (Some(Pattern::Share(0.5)), None),
        (Some(Pattern::NofM { n: 3, m: 4 }), None),
        (None, rounding),
        (Some(Pattern::Share(0.5)), rounding),
    ] {
        let sweep = Sweep { factor: &factor, pattern, rounding, zeros_stay: true };
        let found = sweep.run(&w).unwrap();
        for (before, after) in w.values.iter().zip(&found.values) {
            assert!(*before != 0.0 || *after == 0.0, "{pattern:?} {rounding:?}");
        }
        let expected =
            naive::sweep(wide(&w.values, columns), &wide(&x, columns), 3, pattern, rounding, true);
        let apart = vector::worst(&found.values, &expected.concat());
        assert!(apart < 1e-5, "{pattern:?} {rounding:?}: {apart}");
        if let (Some(Pattern::Share(share)), None) = (pattern, rounding) {
            let left = found.values.iter().filter(|weight| **weight != 0.0).count();
            let blocks = [rows * 128, rows * 32].map(|pool| kept_count(pool, share));
            let nonzeros = w.values.iter().filter(|weight| **weight != 0.0).count();
            assert_eq!(left, blocks.iter().sum::<usize>().min(nonzeros));
        }
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    let (rows, columns) = (150, 260);
    let (w, x) = (matrix(rows, columns, 3), inputs(300, columns, None));
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let pattern = Some(Pattern::Share(0.5));
            let rounding = Some(Rounding { bits: 4, group: 64 });
            let factor = factor(&x, columns);
            Sweep { factor: &factor, pattern, rounding, zeros_stay: false }.run(&w).unwrap()
        })
    };
    assert_eq!(run(1), run(2));
}

/// Inputs that never meet: `H` is diagonal, so nothing is made up for, and what is kept of a block is what
/// is largest of `|W|·√H` over all of its rows.
#[test]
fn a_diagonal_hessian_pools_magnitudes() {
    let (rows, columns) = (70, 200);
    let w = matrix(rows, columns, 4);
    let mut x = vec![0.0; columns * columns];
    let sizes: Vec<f32> = (0..columns).map(|i| 0.5 + (i % 7) as f32).collect();
    for (i, size) in sizes.iter().enumerate() {
        x[i * columns + i] = *size;
    }
    let factor = factor(&x, columns);
    let pattern = Some(Pattern::Share(0.4));
    let sweep = Sweep { factor: &factor, pattern, rounding: None, zeros_stay: false };
    let found = sweep.run(&w).unwrap();
    let h = |i: usize| 2.0 / 3.0 * f64::from(sizes[i]).powi(2);
    let damping = 0.01 * (0..columns).map(h).sum::<f64>() / columns as f64;
    for block in [0..128, 128..200] {
        let at: Vec<(usize, usize)> =
            (0..rows).flat_map(|row| block.clone().map(move |i| (row, i))).collect();
        let scores: Vec<f64> = at
            .iter()
            .map(|(row, i)| f64::from(w.row(*row)[*i].abs()) * (h(*i) + damping).sqrt())
            .collect();
        let mut kept = vec![false; scores.len()];
        keep_largest(&scores, kept_count(scores.len(), 0.4), &mut kept);
        for ((row, i), kept) in at.iter().zip(kept) {
            let expected = if kept { w.row(*row)[*i] } else { 0.0 };
            assert_eq!(found.row(*row)[*i], expected, "row {row}, input {i}");
        }
    }
}

proptest! {
    /// One weight goes: those behind it end where the squared error has no slope, and the error grows by
    /// half the score, `w²/(2·U_jj²)`: the constrained minimum of a quadratic (Hassibi & Stork 1993).
    #[test]
    fn one_weight_is_the_constrained_minimum(which in 0_usize..12, salt in 1_u64..500) {
        let width = 12;
        let mut w = matrix(1, width, salt);
        for weight in &mut w.values {
            *weight += if *weight < 0.0 { -2.0 } else { 2.0 };
        }
        w.values[which] *= 1e-2;
        let x = inputs(40, width, None);
        let factor = factor(&x, width);
        // Of 12 weights one is dropped, and the one of least score is the small one.
        let pattern = Some(Pattern::Share(1.0 / 12.0));
        let sweep = Sweep { factor: &factor, pattern, rounding: None, zeros_stay: false };
        let found = sweep.run(&w).unwrap();
        prop_assert_eq!(found.values[which], 0.0);
        let change: Vec<f64> =
            found.values.iter().zip(&w.values).map(|(new, old)| f64::from(*new) - f64::from(*old)).collect();
        let (h, _) = naive::hessian(&wide(&x, width), 3);
        let slope: Vec<f64> =
            h.iter().map(|row| row.iter().zip(&change).map(|(h, d)| h * d).sum()).collect();
        // f32 weights of about 3 and second derivatives of some hundreds.
        for k in 0..width {
            prop_assert!(k >= which || change[k] == 0.0);
            prop_assert!(k <= which || slope[k].abs() < 1e-3, "{} at {k}", slope[k]);
        }
        let increase = 0.5 * change.iter().zip(&slope).map(|(d, s)| d * s).sum::<f64>();
        let score = (f64::from(w.values[which]) / factor.upper[(which, which)]).powi(2) / 2.0;
        prop_assert!((increase - score).abs() <= 1e-4 * score + 1e-9, "{increase} is not {score}");
    }

    /// A zero of an earlier step is held like any weight that goes: what is spread on it is spread further,
    /// so that behind it the squared error has no slope.
    #[test]
    fn what_falls_on_a_zero_is_spread_further(which in 0_usize..8, salt in 1_u64..200) {
        let (width, zero) = (12, which + 2);
        let mut w = matrix(1, width, salt);
        for weight in &mut w.values {
            *weight += if *weight < 0.0 { -2.0 } else { 2.0 };
        }
        w.values[which] *= 1e-2;
        w.values[zero] = 0.0;
        let x = inputs(40, width, None);
        let factor = factor(&x, width);
        let pattern = Some(Pattern::Share(2.0 / 12.0));
        let sweep = Sweep { factor: &factor, pattern, rounding: None, zeros_stay: true };
        let found = sweep.run(&w).unwrap();
        prop_assert_eq!([found.values[which], found.values[zero]], [0.0, 0.0]);
        let (h, _) = naive::hessian(&wide(&x, width), 3);
        for row in &h[zero + 1..] {
            let changes = found.values.iter().zip(&w.values).zip(row);
            let slope: f64 =
                changes.map(|((new, old), h)| h * (f64::from(*new) - f64::from(*old))).sum();
            prop_assert!(slope.abs() < 1e-3, "{slope}");
        }
    }

    /// With all inputs free (the first one goes) it is the minimum over all weights: column 0 of the inverse
    /// says how far each moves.
    #[test]
    fn the_first_weight_moves_all_others(salt in 1_u64..200) {
        let width = 9;
        let mut w = matrix(1, width, salt);
        for weight in &mut w.values {
            *weight += if *weight < 0.0 { -2.0 } else { 2.0 };
        }
        w.values[0] = 0.05;
        let x = inputs(40, width, None);
        let factor = factor(&x, width);
        let pattern = Some(Pattern::Share(1.0 / 9.0));
        let sweep = Sweep { factor: &factor, pattern, rounding: None, zeros_stay: false };
        let found = sweep.run(&w).unwrap();
        let inverse = naive::inverse(&naive::hessian(&wide(&x, width), 3).0);
        for (k, found) in found.values.iter().enumerate() {
            let moved = f64::from(w.values[0]) / inverse[0][0] * inverse[0][k];
            let expected = f64::from(w.values[k]) - moved;
            prop_assert!((f64::from(*found) - expected).abs() < 1e-6, "{found} is not {expected}");
        }
    }
}

#[path = "../../tests/common/tensors.rs"]
mod tensors;

/// One matrix wider than a block against plain PyTorch (`tests/golden/README.md`), by the sweep alone.
#[test]
fn a_wide_matrix_is_swept_as_in_pytorch() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/llama/expected.safetensors");
    let expected = tensors::read(std::path::Path::new(file));
    let [weight, x] = ["weight", "inputs"].map(|name| &expected[&format!("synthetic/{name}")]);
    let (rows, columns) = (weight.shape[0], weight.shape[1]);
    let w = Matrix { name: "w".into(), rows, columns, values: weight.singles() };
    let mut gram = Gram::new(columns, x.shape[0], Needs::Products);
    gram.add(&x.singles());
    let factor = Factor::of(&gram).unwrap();
    let bits = Some(Rounding { bits: 4, group: 16 });
    for (case, pattern, rounding) in [
        ("sparsegpt", Some(Pattern::Share(0.5)), None),
        ("sparsegpt-2-4", Some(Pattern::NofM { n: 2, m: 4 }), None),
        ("gptq-4", None, bits),
        ("sparsegpt-4-bits", Some(Pattern::Share(0.5)), bits),
    ] {
        let sweep = Sweep { factor: &factor, pattern, rounding, zeros_stay: false };
        let (found, expected) =
            (sweep.run(&w).unwrap(), expected[&format!("synthetic/{case}")].singles());
        let zeros = found.values.iter().zip(&expected).all(|(a, b)| (*a == 0.0) == (*b == 0.0));
        assert!(zeros, "{case}: another kept set");
        let apart = vector::worst(&found.values, &expected);
        assert!(apart < 1e-4, "{case}: {apart}");
    }
}

//! The sweep as the papers state it, column by column over whole rows and in plain loops: the oracle of
//! [`super::Sweep`]. Nothing here is shared with it but the grid.

use crate::{Grid, Pattern, Rounding};

type Rows = Vec<Vec<f64>>;

/// `(2/n)·XᵀX + 0.01·mean·I` with 1 for inputs that are always zero, and which these are.
pub(super) fn hessian(x: &[Vec<f64>], sequences: usize) -> (Rows, Vec<bool>) {
    let n = x[0].len();
    let scale = 2.0 / sequences as f64;
    let mut h: Rows = (0..n)
        .map(|i| (0..n).map(|j| scale * x.iter().map(|row| row[i] * row[j]).sum::<f64>()).collect())
        .collect();
    let dead: Vec<bool> = (0..n).map(|i| h[i][i] == 0.0).collect();
    for i in 0..n {
        if dead[i] {
            h[i][i] = 1.0;
        }
    }
    let mean = (0..n).map(|i| h[i][i]).sum::<f64>() / n as f64;
    for (i, row) in h.iter_mut().enumerate() {
        row[i] += 0.01 * mean;
    }
    (h, dead)
}

/// By Gauss–Jordan elimination; the matrix is positive definite.
pub(super) fn inverse(h: &Rows) -> Rows {
    let n = h.len();
    let mut left = h.clone();
    let mut right: Rows =
        (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for pivot in 0..n {
        let scale = left[pivot][pivot];
        for j in 0..n {
            left[pivot][j] /= scale;
            right[pivot][j] /= scale;
        }
        for i in (0..n).filter(|i| *i != pivot) {
            let factor = left[i][pivot];
            for j in 0..n {
                left[i][j] -= factor * left[pivot][j];
                right[i][j] -= factor * right[pivot][j];
            }
        }
    }
    right
}

/// `U` with `Uᵀ·U` the given matrix, row by row (Cholesky).
pub(super) fn upper(of: &Rows) -> Rows {
    let n = of.len();
    let mut u = vec![vec![0.0; n]; n];
    for i in 0..n {
        for j in i..n {
            let known: f64 = (0..i).map(|k| u[k][i] * u[k][j]).sum();
            u[i][j] = match i == j {
                true => (of[i][i] - known).sqrt(),
                false => (of[i][j] - known) / u[i][i],
            };
        }
    }
    u
}

/// Indices of the largest, ties to the lowest, by a stable sort.
fn largest(scores: &[f64], kept: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    order.truncate(kept);
    order
}

pub(super) fn sweep(
    mut w: Rows,
    x: &[Vec<f64>],
    sequences: usize,
    pattern: Option<Pattern>,
    rounding: Option<Rounding>,
    zeros_stay: bool,
) -> Rows {
    let (h, dead) = hessian(x, sequences);
    let u = upper(&inverse(&h));
    let (rows, n) = (w.len(), dead.len());
    let gone: Vec<Vec<bool>> =
        w.iter().map(|row| row.iter().map(|w| zeros_stay && *w == 0.0).collect()).collect();
    for row in &mut w {
        for j in 0..n {
            if dead[j] {
                row[j] = 0.0;
            }
        }
    }
    let mut kept = vec![vec![true; n]; rows];
    let mut grids = Vec::new();
    for j in 0..n {
        let score = |(row, gone): (&Vec<f64>, &Vec<bool>), j: usize| match gone[j] {
            true => f64::NEG_INFINITY,
            false => (row[j] / u[j][j]).powi(2),
        };
        if let Some(Pattern::Share(share)) = pattern
            && j % 128 == 0
        {
            let end = (j + 128).min(n);
            let scores: Vec<f64> =
                w.iter().zip(&gone).flat_map(|row| (j..end).map(move |k| score(row, k))).collect();
            let count = ((1.0 - share) * scores.len() as f64).round() as usize;
            kept.iter_mut().for_each(|kept| kept[j..end].fill(false));
            for at in largest(&scores, count) {
                kept[at / (end - j)][j + at % (end - j)] = true;
            }
        }
        if let Some(Pattern::NofM { n: few, m }) = pattern
            && j % m == 0
        {
            for (row, kept) in w.iter().zip(&gone).zip(&mut kept) {
                let scores: Vec<f64> = (j..j + m).map(|k| score(row, k)).collect();
                kept[j..j + m].fill(false);
                largest(&scores, few).into_iter().for_each(|at| kept[j + at] = true);
            }
        }
        if let Some(Rounding { bits, group }) = rounding
            && j % group == 0
        {
            let end = (j + group).min(n);
            let stands = |(w, gone): (&f64, &bool)| if *gone { 0.0 } else { *w };
            let group = |(row, gone): (&Vec<f64>, &Vec<bool>)| {
                Grid::of(row[j..end].iter().zip(&gone[j..end]).map(stands), bits)
            };
            grids = w.iter().zip(&gone).map(group).collect();
        }
        for (i, row) in w.iter_mut().enumerate() {
            let left = match (kept[i][j] && !gone[i][j], rounding) {
                (false, _) => 0.0,
                (true, None) => row[j],
                (true, Some(_)) => grids[i].round(row[j]),
            };
            let error = (row[j] - left) / u[j][j];
            for k in j..n {
                row[k] -= error * u[j][k];
            }
            row[j] = left;
        }
    }
    w
}

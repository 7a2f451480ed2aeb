//! Ridge least squares of one stream on another, of full or of reduced rank.

use faer::{Mat, MatRef, Par, Side, linalg::matmul::matmul, linalg::solvers::Solve};

use crate::{
    Gram, Needs,
    cross_products::{CrossProducts, add_rows},
};

/// The penalty, in units of the mean diagonal of the centred `XᵀX`.
const PENALTY: f64 = 1e-4;

/// Sums over tokens that a fit is made of, in `f64`; rows are added in order.
pub(super) struct Sums {
    tokens: usize,
    x: Vec<f64>,
    y: Vec<f64>,
    xx: Gram,
    xy: CrossProducts,
}

/// `ŷ = x·W + b`.
pub(super) struct Fit {
    /// `W`: `[d_in, d_out]`.
    pub(super) weight: Mat<f64>,
    /// `A` and `B` with `W = A·B`, where a rank was asked for: `[d_in, r]` and `[r, d_out]`.
    pub(super) factors: Option<[Mat<f64>; 2]>,
    /// `b`: `[d_out]`.
    pub(super) bias: Vec<f64>,
}

impl Sums {
    pub(super) fn new(d_in: usize, d_out: usize) -> Self {
        Self {
            tokens: 0,
            x: vec![0.0; d_in],
            y: vec![0.0; d_out],
            xx: Gram::new(d_in, 1, Needs::Products),
            xy: CrossProducts::new(d_in, d_out),
        }
    }

    /// # Shapes
    /// - `x`: `[n, d_in]`
    /// - `y`: `[n, d_out]`
    pub(super) fn add(&mut self, x: &[f32], y: &[f64]) {
        self.tokens += x.len() / self.x.len();
        let wide: Vec<f64> = x.iter().map(|value| f64::from(*value)).collect();
        add_rows(&mut self.x, wide.iter().copied());
        add_rows(&mut self.y, y.iter().copied());
        self.xx.add(x);
        self.xy.add(&wide, y);
    }

    /// `W = (Xc'ᵀXc + λI)⁻¹·XcᵀYc` and `b = ȳ − x̄·W` with `Xc = X − x̄`, `Yc = Y − ȳ` and `λ` = 1e-4 of
    /// the mean diagonal of `XcᵀXc`.
    ///
    /// With a rank, `W` is projected on the `r` leading right singular directions of the fitted outputs
    /// `Xc·W` (reduced-rank regression: Izenman 1975): `A = W·V_r`, `B = V_rᵀ`.
    ///
    /// `None` where the inputs do not vary, or not in numbers.
    pub(super) fn fit(&self, rank: Option<usize>) -> Option<Fit> {
        let n = self.tokens as f64;
        let mean = |sums: &[f64]| -> Vec<f64> { sums.iter().map(|sum| sum / n).collect() };
        let (x, y) = (mean(&self.x), mean(&self.y));
        let centred = |sums: Mat<f64>, of: &[f64]| {
            Mat::from_fn(sums.nrows(), sums.ncols(), |i, j| sums[(i, j)] - n * x[i] * of[j])
        };
        let (xx, xy) = (centred(self.xx.products(), &x), centred(self.xy.matrix(), &y));
        let diagonal: f64 = (0..xx.nrows()).map(|i| xx[(i, i)]).sum();
        let penalty = PENALTY * diagonal / xx.nrows() as f64;
        let damped = Mat::from_fn(xx.nrows(), xx.ncols(), |i, j| {
            xx[(i, j)] + if i == j { penalty } else { 0.0 }
        });
        let full = damped.llt(Side::Lower).ok()?.solve(&xy);
        let (weight, factors) = match rank {
            None => (full, None),
            Some(rank) => {
                let factors = reduced(&full, &xx, rank)?;
                (product(factors[0].as_ref(), factors[1].as_ref()), Some(factors))
            }
        };
        let of_mean = product(MatRef::from_row_major_slice(&x, 1, x.len()), weight.as_ref());
        let bias = y.iter().enumerate().map(|(j, y)| y - of_mean[(0, j)]).collect();
        Some(Fit { weight, factors, bias })
    }
}

/// `W·V_r` and `V_rᵀ`, where `V_r` are the leading eigenvectors of `Wᵀ·XcᵀXc·W`: the right singular
/// directions of `Xc·W`.
fn reduced(weight: &Mat<f64>, xx: &Mat<f64>, rank: usize) -> Option<[Mat<f64>; 2]> {
    let outputs =
        product(weight.as_ref().transpose(), product(xx.as_ref(), weight.as_ref()).as_ref());
    let eigen = outputs.self_adjoint_eigen(Side::Lower).ok()?;
    // Eigenvalues come in ascending order.
    let (d_out, vectors) = (outputs.ncols(), eigen.U());
    let leading = Mat::from_fn(d_out, rank, |i, j| vectors[(i, d_out - 1 - j)]);
    Some([product(weight.as_ref(), leading.as_ref()), leading.transpose().to_owned()])
}

pub(super) fn product(left: MatRef<'_, f64>, right: MatRef<'_, f64>) -> Mat<f64> {
    let mut product = Mat::zeros(left.nrows(), right.ncols());
    matmul(product.as_mut(), faer::Accum::Replace, left, right, 1.0, Par::Seq);
    product
}

/// `R² = 1 − Σ‖y − ŷ‖² / Σ‖y − ȳ‖²`, with `ȳ` the mean over the same rows.
pub(super) struct Residuals<'a> {
    fit: &'a Fit,
    mean: Vec<f64>,
    unexplained: f64,
    all: f64,
}

impl<'a> Residuals<'a> {
    /// `mean` is `ȳ`: `[d_out]`.
    pub(super) fn new(fit: &'a Fit, mean: Vec<f64>) -> Self {
        Self { fit, mean, unexplained: 0.0, all: 0.0 }
    }

    /// # Shapes
    /// - `x`: `[n, d_in]`
    /// - `y`: `[n, d_out]`
    pub(super) fn add(&mut self, x: &[f32], y: &[f64]) {
        let (d_in, d_out) = (self.fit.weight.nrows(), self.mean.len());
        let n = x.len() / d_in;
        let x: Vec<f64> = x.iter().map(|value| f64::from(*value)).collect();
        let x = MatRef::from_row_major_slice(&x, n, d_in);
        let fitted = product(x, self.fit.weight.as_ref());
        for (t, y) in y.chunks_exact(d_out).enumerate() {
            for (j, y) in y.iter().enumerate() {
                self.unexplained += (y - fitted[(t, j)] - self.fit.bias[j]).powi(2);
                self.all += (y - self.mean[j]).powi(2);
            }
        }
    }

    pub(super) fn r_squared(&self) -> f64 {
        1.0 - self.unexplained / self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(n: usize, salt: usize) -> Vec<f64> {
        let noise = |i: usize| ((i * 7919 + salt * 104_729) % 1013) as f64 / 506.0 - 1.0;
        (0..n).map(|i| noise(i) * noise(i / 3 + 17)).collect()
    }

    /// Targets that are an affine map of the inputs are fitted, up to the penalty.
    #[test]
    fn an_affine_map_is_found() {
        let (n, d_in, d_out) = (400, 5, 3);
        let x: Vec<f32> = rows(n * d_in, 1).into_iter().map(|x| x as f32).collect();
        let map = rows(d_in * d_out, 2);
        let y: Vec<f64> = x
            .chunks_exact(d_in)
            .flat_map(|x| {
                let map = &map;
                (0..d_out).map(move |j| {
                    x.iter()
                        .enumerate()
                        .map(|(i, x)| f64::from(*x) * map[i * d_out + j])
                        .sum::<f64>()
                        + j as f64
                })
            })
            .collect();
        let mut sums = Sums::new(d_in, d_out);
        sums.add(&x[..100 * d_in], &y[..100 * d_out]);
        sums.add(&x[100 * d_in..], &y[100 * d_out..]);
        let fit = sums.fit(None).unwrap();
        for i in 0..d_in {
            for j in 0..d_out {
                assert!((fit.weight[(i, j)] - map[i * d_out + j]).abs() < 1e-3);
            }
        }
        let mean: Vec<f64> = sums.y.iter().map(|sum| sum / n as f64).collect();
        let mut residuals = Residuals::new(&fit, mean.clone());
        residuals.add(&x, &y);
        assert!(residuals.r_squared() > 0.999_999, "{}", residuals.r_squared());
        // A map of rank 3 loses nothing at rank 3, and something at rank 1.
        let r_squared = |rank| {
            let fit = sums.fit(Some(rank)).unwrap();
            let mut residuals = Residuals::new(&fit, mean.clone());
            residuals.add(&x, &y);
            residuals.r_squared()
        };
        assert!(
            r_squared(3) > 0.999_999 && r_squared(1) < 0.9,
            "{} {}",
            r_squared(3),
            r_squared(1)
        );
    }

    /// The fit is the minimum: every other weight has a larger penalised error.
    #[test]
    fn the_penalised_error_is_least() {
        let (n, d) = (60, 4);
        let (x, y) = (rows(n * d, 3), rows(n * d, 4));
        let narrow: Vec<f32> = x.iter().map(|x| *x as f32).collect();
        let x: Vec<f64> = narrow.iter().map(|x| f64::from(*x)).collect();
        let mut sums = Sums::new(d, d);
        sums.add(&narrow, &y);
        let fit = sums.fit(None).unwrap();
        let mean = |sums: &[f64]| -> Vec<f64> { sums.iter().map(|s| s / n as f64).collect() };
        let (x_mean, y_mean) = (mean(&sums.x), mean(&sums.y));
        let centred = |v: &[f64], mean: &[f64]| -> Vec<f64> {
            v.chunks_exact(d)
                .flat_map(|v| v.iter().zip(mean).map(|(v, m)| v - m).collect::<Vec<_>>())
                .collect()
        };
        let (x, y) = (centred(&x, &x_mean), centred(&y, &y_mean));
        let penalty = PENALTY * x.iter().map(|x| x * x).sum::<f64>() / d as f64;
        let error = |w: &Mat<f64>| -> f64 {
            let mut sum = 0.0;
            for (x, y) in x.chunks_exact(d).zip(y.chunks_exact(d)) {
                for j in 0..d {
                    let fitted: f64 = (0..d).map(|i| x[i] * w[(i, j)]).sum();
                    sum += (y[j] - fitted).powi(2);
                }
            }
            let squares: f64 = (0..d * d).map(|k| w[(k / d, k % d)].powi(2)).sum();
            sum + penalty * squares
        };
        let least = error(&fit.weight);
        for k in 0..d * d {
            for step in [-1e-3, 1e-3] {
                let mut other = fit.weight.clone();
                other[(k / d, k % d)] += step;
                assert!(error(&other) > least);
            }
        }
    }

    #[test]
    fn inputs_that_do_not_vary_have_no_fit() {
        let mut sums = Sums::new(2, 2);
        sums.add(&[0.0; 8], &[1.0; 8]);
        assert!(sums.fit(None).is_none());
    }
}

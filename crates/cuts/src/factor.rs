//! Second derivatives of a layer's error, and the factor of their inverse that a sweep spreads errors by.

use faer::{Mat, Par, Side, linalg::triangular_inverse::invert_lower_triangular};

use crate::Gram;

/// Share of the mean diagonal that is added to it (Frantar & Alistarh 2023).
const DAMPING: f64 = 0.01;

/// The upper Cholesky factor `U` of `H⁻¹ = Uᵀ·U`, where
///
/// ```text
/// H = (2/n)·XᵀX + 0.01·mean(diag H)·I
/// ```
///
/// for the squared error of a linear map over `n` calibration sequences (Frantar & Alistarh 2023,
/// arXiv:2301.00774). `U_jj²` is the diagonal entry of the inverse for `j` among the inputs from `j` on:
/// what is left to take up an error when those before are done.
pub(crate) struct Factor {
    /// `[inputs, inputs]`, column-major; zero below the diagonal.
    pub(crate) upper: Mat<f64>,
    /// Inputs that are always zero; their second derivative counts as 1, and their weights go.
    pub(crate) dead: Vec<bool>,
}

impl Factor {
    /// `None` where `H` is not positive definite.
    ///
    /// With the order of the inputs reversed, `H` has a lower Cholesky factor `L`; reversed back it is
    /// `H = U₁·U₁ᵀ` with `U₁` upper triangular, so `U = U₁⁻¹`: one factorisation and one triangular inverse
    /// in place of two factorisations and a full inverse.
    pub(crate) fn of(gram: &Gram) -> Option<Self> {
        let (mut hessian, dead) = hessian(gram);
        let n = dead.len();
        let diagonal: f64 = (0..n).map(|i| hessian[(i, i)]).sum();
        let damping = DAMPING * diagonal / n as f64;
        for i in 0..n {
            hessian[(i, i)] += damping;
        }
        let reversed = hessian.as_ref().reverse_rows_and_cols().to_owned();
        drop(hessian);
        let lower = reversed.llt(Side::Lower).ok()?;
        drop(reversed);
        let mut inverse = Mat::zeros(n, n);
        invert_lower_triangular(inverse.as_mut(), lower.L(), Par::Seq);
        drop(lower);
        let upper = inverse.as_ref().reverse_rows_and_cols().to_owned();
        Some(Self { upper, dead })
    }

    /// `U_jj` of every input.
    pub(crate) fn diagonal(&self) -> Vec<f64> {
        (0..self.dead.len()).map(|j| self.upper[(j, j)]).collect()
    }
}

/// `(2/n)·XᵀX` with 1 on the diagonal of inputs that are always zero, and which these are.
fn hessian(gram: &Gram) -> (Mat<f64>, Vec<bool>) {
    let mut hessian = gram.products();
    let scale = 2.0 / gram.sequences().max(1) as f64;
    for j in 0..hessian.ncols() {
        for entry in hessian.col_mut(j).iter_mut() {
            *entry *= scale;
        }
    }
    let mut dead = vec![false; hessian.ncols()];
    for (i, dead) in dead.iter_mut().enumerate() {
        if hessian[(i, i)] == 0.0 {
            *dead = true;
            hessian[(i, i)] = 1.0;
        }
    }
    (hessian, dead)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Needs;
    use vector::largest;

    /// `Uᵀ·U·H = I`, and `U` is upper triangular; with an input that is always zero.
    #[test]
    fn the_factor_is_that_of_the_inverse() {
        let (tokens, width) = (50, 30);
        let x: Vec<f32> = (0..tokens * width)
            .map(|i| match i % width {
                4 => 0.0,
                _ => ((i * i * 31 + i * 17) % 101) as f32 / 50.0 - 1.0,
            })
            .collect();
        let mut gram = Gram::new(width, 5, Needs::Products);
        gram.add(&x);
        let factor = Factor::of(&gram).unwrap();
        assert_eq!(factor.dead.iter().position(|dead| *dead), Some(4));
        let (mut damped, _) = hessian(&gram);
        let mean = (0..width).map(|i| damped[(i, i)]).sum::<f64>() / width as f64;
        for i in 0..width {
            damped[(i, i)] += 0.01 * mean;
        }
        let product = factor.upper.transpose() * &factor.upper * &damped;
        let all = (0..width).flat_map(|i| (0..width).map(move |j| (i, j)));
        let apart = |(i, j)| (product[(i, j)] - f64::from(u8::from(i == j))).abs();
        assert!(largest(all.clone().map(apart)) < 1e-9);
        assert!(all.clone().all(|(i, j)| i <= j || factor.upper[(i, j)] == 0.0));
        assert!(factor.diagonal().iter().all(|u| *u > 0.0));
    }
}

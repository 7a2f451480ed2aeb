//! Matrices of low rank in the place of full ones.

use faer::{Mat, Side};
use rayon::prelude::*;

use crate::{
    CutError, Gram, Matrix, Needs, Rounding, Slim, StoredMatrix, Watch, bits::rtn,
    calibration::cut_owned, names::by_name,
};

/// By what the best matrix of a rank is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LowRankMethod {
    /// `‖W − W_r‖`, by the singular values of `W` (Eckart & Young 1936).
    Svd,
    /// `‖(W − W_r)·Xᵀ‖` over a calibration text, by the singular values of `W·S` with `S·Sᵀ = XᵀX`
    /// (SVD-LLM: Wang et al. 2024, arXiv:2403.07378).
    SvdActivations,
}

/// All of them by their names.
pub const LOW_RANK: [(&str, LowRankMethod); 2] =
    [("svd", LowRankMethod::Svd), ("svd-activations", LowRankMethod::SvdActivations)];

impl LowRankMethod {
    /// The method of this name.
    ///
    /// # Errors
    /// No such name.
    pub fn named(name: &str) -> Result<Self, CutError> {
        by_name(name, &LOW_RANK)
    }

    /// What it asks of a calibration text.
    pub fn needs(self) -> Needs {
        match self {
            Self::Svd => Needs::Nothing,
            Self::SvdActivations => Needs::Products,
        }
    }
}

/// A cut of every matrix to a rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LowRankCut {
    /// What the best one is.
    pub method: LowRankMethod,
    /// `r`.
    pub rank: usize,
    /// What the factors are rounded to, each to the nearest point of its groups' grids.
    pub rounding: Option<Rounding>,
}

impl LowRankCut {
    /// Without rounding.
    pub fn new(method: LowRankMethod, rank: usize) -> Self {
        Self { method, rank, rounding: None }
    }

    /// Replaces every matrix by its best one of rank `r`; a matrix with no more than `r` rows or columns
    /// stays as it is. It is run as one dense matrix and stored as two factors, `r·(rows + columns)`
    /// numbers, where those are fewer; with a rounding it is the product of the rounded factors. `None`
    /// where the watch says stop.
    ///
    /// # Shapes
    /// - `windows`: token ids of the calibration text, one sequence each; not looked at by `svd`
    ///
    /// # Errors
    /// A rank of zero, a rounding that cannot be done, no text where one is needed, what the model
    /// refuses, and singular values that cannot be found.
    pub fn apply(
        &self,
        slim: Slim,
        windows: &[Vec<u32>],
        watch: &Watch<'_>,
    ) -> Result<Option<Slim>, CutError> {
        if self.rank == 0 {
            let reason = "is 0, and must be 1 or more".to_owned();
            return Err(CutError::Setting { setting: "rank", reason });
        }
        self.rounding.map_or(Ok(()), |rounding| rounding.check())?;
        let Slim { model, storage } = slim;
        let reduce = |matrices, gram: Option<&Gram>| self.reduced(matrices, gram);
        let model = cut_owned(model, windows, self.method.needs(), watch, &reduce)?;
        Ok(model.map(|model| {
            let storage = storage.recounted(model.as_ref(), &|old| self.stored(old));
            Slim { model, storage }
        }))
    }

    /// Matrices that read the same input.
    fn reduced(&self, matrices: Vec<Matrix>, gram: Option<&Gram>) -> Result<Vec<Matrix>, CutError> {
        let gram = gram.filter(|_| matrices.iter().any(|m| self.reduces(m.rows, m.columns)));
        let root = match gram {
            None => None,
            Some(gram) => {
                Some(square_root(gram.products()).ok_or_else(|| CutError::NonFinite {
                    matrix: matrices[0].name.to_string(),
                    what: "a sum over its inputs",
                })?)
            }
        };
        let reduced = matrices.into_par_iter().map(|matrix| self.applied(matrix, root.as_ref()));
        // In order, so that the error is always the same one.
        reduced.collect::<Vec<_>>().into_iter().collect()
    }

    /// Whether the rank says anything of such a matrix.
    fn reduces(&self, rows: usize, columns: usize) -> bool {
        self.rank < rows.min(columns)
    }

    /// Whether two factors are fewer numbers than the matrix.
    fn factors(&self, rows: usize, columns: usize) -> bool {
        self.reduces(rows, columns) && self.rank * (rows + columns) < rows * columns
    }

    fn stored(&self, old: &StoredMatrix) -> StoredMatrix {
        if !self.reduces(old.rows, old.columns) {
            return StoredMatrix { rounding: self.rounding.or(old.rounding), ..*old };
        }
        StoredMatrix {
            rounding: self.rounding,
            rank: self.factors(old.rows, old.columns).then_some(self.rank),
            ..StoredMatrix::dense(old.rows, old.columns)
        }
    }

    fn applied(&self, matrix: Matrix, root: Option<&Mat<f64>>) -> Result<Matrix, CutError> {
        let (rows, columns) = (matrix.rows, matrix.columns);
        let rounded = |matrix| match self.rounding {
            Some(rounding) => rtn::round(matrix, rounding),
            None => matrix,
        };
        if !self.reduces(rows, columns) {
            return Ok(rounded(matrix));
        }
        let [left, right] = leading(&matrix, root, self.rank)?;
        if self.rounding.is_none() || !self.factors(rows, columns) {
            return Ok(rounded(with_values(&matrix, &(left * right))));
        }
        let factors = balanced(left, right).map(|factor| {
            let values = narrow(&factor);
            let (rows, columns) = (factor.nrows(), factor.ncols());
            let factor = rounded(Matrix { name: matrix.name.clone(), rows, columns, values });
            wide(&factor)
        });
        let [left, right] = factors;
        Ok(with_values(&matrix, &(left * right)))
    }
}

/// `U_r` and `U_rᵀ·W`, where `U_r` are the leading left singular directions of `W·S`. Their product is the
/// best rank-`r` form of `W·S` times `S⁻¹`, without the inverse, so that an `S` without one does no harm.
fn leading(
    matrix: &Matrix,
    root: Option<&Mat<f64>>,
    rank: usize,
) -> Result<[Mat<f64>; 2], CutError> {
    let weight = wide(matrix);
    let directions = match root {
        None => weight.thin_svd(),
        Some(root) => (&weight * root).thin_svd(),
    };
    let directions = directions
        .map_err(|_| CutError::NonFinite { matrix: matrix.name.to_string(), what: "an entry" })?;
    // Singular values come in descending order.
    let left = directions.U().subcols(0, rank).to_owned();
    let right = left.transpose() * &weight;
    Ok([left, right])
}

/// The same product from factors whose column and row `k` have equal norms, so that directions count as
/// much in the rounding of the one as in that of the other: `U·√Σ` and `√Σ·Vᵀ` without a text.
fn balanced(mut left: Mat<f64>, mut right: Mat<f64>) -> [Mat<f64>; 2] {
    for k in 0..right.nrows() {
        let norm: f64 = right.row(k).iter().map(|value| value * value).sum::<f64>().sqrt();
        if norm > 0.0 {
            left.col_mut(k).iter_mut().for_each(|value| *value *= norm.sqrt());
            right.row_mut(k).iter_mut().for_each(|value| *value /= norm.sqrt());
        }
    }
    [left, right]
}

fn wide(matrix: &Matrix) -> Mat<f64> {
    Mat::from_fn(matrix.rows, matrix.columns, |i, j| {
        f64::from(matrix.values[i * matrix.columns + j])
    })
}

fn narrow(values: &Mat<f64>) -> Vec<f32> {
    let entries = (0..values.nrows()).flat_map(|i| (0..values.ncols()).map(move |j| (i, j)));
    entries.map(|at| values[at] as f32).collect()
}

fn with_values(matrix: &Matrix, values: &Mat<f64>) -> Matrix {
    Matrix { values: narrow(values), ..matrix.clone() }
}

/// `S` with `S·Sᵀ = G`: the Cholesky factor, or `Q·√Λ` of `G = Q·Λ·Qᵀ` where `G` is singular. Any two
/// differ by a rotation of what `W·S` is multiplied with on the right, which no left singular direction
/// sees, so there is nothing to damp. `None` where `G` is not finite.
fn square_root(gram: Mat<f64>) -> Option<Mat<f64>> {
    if let Ok(factor) = gram.llt(Side::Lower) {
        return Some(factor.L().to_owned());
    }
    let eigen = gram.self_adjoint_eigen(Side::Lower).ok()?;
    let (vectors, values) = (eigen.U(), eigen.S());
    // Rounding can take an eigenvalue that is zero below it.
    let root = |j: usize| values[j].max(0.0).sqrt();
    Some(Mat::from_fn(gram.nrows(), gram.ncols(), |i, j| vectors[(i, j)] * root(j)))
}

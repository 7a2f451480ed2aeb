//! Matrices of low rank in the place of full ones.

use faer::{Mat, MatRef, Side};
use models::Model;
use rayon::prelude::*;

use crate::{
    CutError, Gram, Matrix, Needs, Slim, Storage, StoredMatrix, Watch, calibration::cut_in_order,
    names::by_name,
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
}

/// Replaces every matrix by its best one of rank `r`; a matrix with no more than `r` rows or columns stays
/// as it is. It is run as one dense matrix and stored as two factors, `r·(rows + columns)` numbers, where
/// those are fewer. `None` where the watch says stop.
///
/// # Errors
/// A rank of zero, no text where one is needed, what the model refuses, and singular values that cannot be
/// found.
pub fn cut_rank(
    slim: &Slim,
    cut: &LowRankCut,
    windows: &[Vec<u32>],
    watch: &Watch<'_>,
) -> Result<Option<Slim>, CutError> {
    if cut.rank == 0 {
        let reason = "is 0, and must be 1 or more".to_owned();
        return Err(CutError::Setting { setting: "rank", reason });
    }
    let reduce = |matrices: Vec<Matrix>, gram: Option<&Gram>| {
        let root = gram.filter(|_| matrices.iter().any(|m| is_cut(m.rows, m.columns, cut.rank)));
        let root = match root {
            None => None,
            Some(gram) => {
                Some(square_root(gram.products()).ok_or_else(|| CutError::NonFinite {
                    matrix: matrices[0].name.to_string(),
                    what: "a sum over its inputs",
                })?)
            }
        };
        let reduced =
            matrices.into_par_iter().map(|matrix| reduced(matrix, root.as_ref(), cut.rank));
        // In order, so that the error is always the same one.
        reduced.collect::<Vec<_>>().into_iter().collect()
    };
    let needs = cut.method.needs();
    let Some(model) = cut_in_order(slim.model.as_ref(), windows, needs, watch, &reduce)? else {
        return Ok(None);
    };
    let storage = stored(&slim.storage, model.as_ref(), cut.rank);
    Ok(Some(Slim { model, storage }))
}

/// Whether rank `r` says anything of such a matrix.
fn is_cut(rows: usize, columns: usize, rank: usize) -> bool {
    rank < rows.min(columns)
}

fn stored(before: &Storage, model: &dyn Model, rank: usize) -> Storage {
    let mut storage = before.clone();
    for of in (0..model.facts().layers).flat_map(|layer| model.linears(layer)) {
        let (columns, rows) = of.widths();
        if is_cut(rows, columns, rank) {
            let dense = StoredMatrix::dense(rows, columns);
            let factored = StoredMatrix { rank: Some(rank), ..dense };
            let smaller = factored.parameters() < dense.parameters();
            let stored = if smaller { factored } else { dense };
            storage.matrices.insert(of.name().to_string(), stored);
        }
    }
    storage
}

/// `U_r·U_rᵀ·W`, where `U_r` are the leading left singular directions of `W·S`. That is the best rank-`r`
/// form of `W·S` times `S⁻¹`, without the inverse, so that an `S` without one does no harm.
fn reduced(mut matrix: Matrix, root: Option<&Mat<f64>>, rank: usize) -> Result<Matrix, CutError> {
    if !is_cut(matrix.rows, matrix.columns, rank) {
        return Ok(matrix);
    }
    let wide: Vec<f64> = matrix.values.iter().map(|value| f64::from(*value)).collect();
    let weight = MatRef::from_row_major_slice(&wide, matrix.rows, matrix.columns);
    let no_values = || CutError::NonFinite { matrix: matrix.name.to_string(), what: "an entry" };
    let directions = match root {
        None => weight.thin_svd(),
        Some(root) => (weight * root).thin_svd(),
    };
    let directions = directions.map_err(|_| no_values())?;
    // Singular values come in descending order.
    let leading = directions.U().subcols(0, rank);
    let best = leading * (leading.transpose() * weight);
    let entries = (0..matrix.rows).flat_map(|i| (0..matrix.columns).map(move |j| (i, j)));
    matrix.values = entries.map(|at| best[at] as f32).collect();
    Ok(matrix)
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

//! A random rotation of the residual stream, folded into the weights.

use faer::Mat;
use models::{Batch, matrix};

use crate::{CutError, Slim, Storage, draws::Draws};

/// Multiplies the residual stream by a seeded random orthogonal matrix that is folded into the weights
/// (Ashkboos et al. 2024, arXiv:2404.00456, without its online parts). Logits stay as they are up to
/// rounding; entries of the stream that stand out are spread over all of them, so that rounding the
/// weights costs less.
///
/// What earlier steps left out or rounded does not survive it: every matrix is stored densely afterwards,
/// and the output head is one of its own.
///
/// # Errors
/// A family whose norms do not commute with a rotation.
pub fn rotate(slim: &Slim, seed: u64) -> Result<Slim, CutError> {
    let before = slim.model.facts();
    let d_model = before.d_model;
    let q = random_orthogonal(d_model, seed);
    let rows = (0..d_model).flat_map(|i| (0..d_model).map(move |j| (i, j)));
    let values = rows.map(|at| q[at] as f32).collect();
    let device = slim.model.start(&Batch::new([&[0][..]]))?.device();
    let model = slim.model.rotated(&matrix(values, [d_model, d_model], &device))?.model;
    let (after, new) = (model.facts(), Storage::of(model.as_ref()));
    // Biases that the shifts of LayerNorms turned into are among those beside the matrices.
    let all = slim.storage.rest + slim.storage.beside + after.parameters as u64;
    let rest = all - before.parameters as u64 - new.beside;
    Ok(Slim { model, storage: Storage { rest, ..new } })
}

/// Uniform over all orthogonal matrices: `Q` of the QR factorisation of normal numbers, its columns
/// turned such that the diagonal of `R` is positive (Stewart 1980, SIAM J. Numer. Anal. 17, 403).
///
/// # Shapes
/// - returns: `[n, n]`
pub fn random_orthogonal(n: usize, seed: u64) -> Mat<f64> {
    let mut random = Draws::new(seed, "rotate");
    let normal: Vec<f64> = (0..n * n).map(|_| random.normal()).collect();
    let normal = Mat::from_fn(n, n, |i, j| normal[i * n + j]);
    let factors = normal.qr();
    let (mut q, r) = (factors.compute_Q(), factors.R());
    for j in 0..n {
        if r[(j, j)] < 0.0 {
            (0..n).for_each(|i| q[(i, j)] = -q[(i, j)]);
        }
    }
    q
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_orthonormal() {
        for n in [1, 2, 7, 48] {
            let q = random_orthogonal(n, 1);
            for i in 0..n {
                for j in 0..n {
                    let product: f64 = (0..n).map(|k| q[(k, i)] * q[(k, j)]).sum();
                    let expected = f64::from(u8::from(i == j));
                    assert!((product - expected).abs() < 1e-12, "{n}: {i}, {j}: {product}");
                }
            }
        }
        assert_ne!(random_orthogonal(5, 1), random_orthogonal(5, 2));
        assert_eq!(random_orthogonal(5, 1), random_orthogonal(5, 1));
    }
}

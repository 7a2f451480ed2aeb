//! Directions of the residual stream: how much it varies along them, and how much the loss minds.

use std::sync::Arc;

use faer::{Mat, Side};
use models::{
    AffineLayer, Batch, Dense, Device, Layered, Model, Place, Values, matrix, stream_gradients,
    vector_of,
};

use crate::{CutError, Gram, Needs, Watch, cross_products::add_rows, draws::Draws};

/// The principal directions of the stream at one layer (PCA in `f64`), those of largest variance first.
pub struct Directions {
    /// The layer that the stream enters; the number of layers for the stream after the last.
    pub layer: usize,
    /// `x̄`: `[d_model]`.
    pub mean: Vec<f64>,
    /// Column `i` is direction `u_i`: `[d_model, d_model]`.
    pub vectors: Mat<f64>,
    /// `E[((x − x̄)·u_i)²]`.
    pub variance: Vec<f64>,
    /// `E[(g·u_i)²]`, with `g` the gradient of the mean NLL of the token's own window.
    pub sensitivity: Vec<f64>,
    /// Tokens that the means are over.
    pub tokens: usize,
}

/// Which directions a stream is projected on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectionChoice {
    /// Those of largest variance.
    Variance,
    /// Those of largest sensitivity.
    Sensitivity,
    /// Any of the principal directions, drawn by a seed.
    Random(u64),
}

/// Sums at one layer.
struct Sums {
    x: Vec<f64>,
    xx: Gram,
    gg: Gram,
}

/// The directions of the stream in front of every layer and after the last. The model must lie on a
/// device that records gradients. `None` where the watch says stop.
///
/// # Errors
/// No text, what the model refuses, and a stream whose sums are not finite.
pub fn directions(
    model: &dyn Model,
    windows: &[Vec<u32>],
    watch: &Watch<'_>,
) -> Result<Option<Vec<Directions>>, CutError> {
    // A window of one token predicts nothing, so it has no loss.
    let windows: Vec<&Vec<u32>> = windows.iter().filter(|ids| ids.len() > 1).collect();
    if windows.is_empty() {
        return Err(CutError::NoText);
    }
    let facts = model.facts();
    let d_model = facts.d_model;
    let empty = || Sums {
        x: vec![0.0; d_model],
        xx: Gram::new(d_model, windows.len(), Needs::Products),
        gg: Gram::new(d_model, windows.len(), Needs::Products),
    };
    let mut sums: Vec<Sums> = (0..=facts.layers).map(|_| empty()).collect();
    for (done, ids) in windows.iter().enumerate() {
        if (watch.stop)() {
            return Ok(None);
        }
        stream_gradients::<Dense>(model, ids, |at| {
            let (x, sums) = (Values::of(at.stream), &mut sums[at.layer]);
            add_rows(&mut sums.x, x.iter().map(|value| f64::from(*value)));
            sums.xx.add(&x);
            sums.gg.add(&Values::of(at.gradient));
            Ok(())
        })?;
        (watch.progress)(done + 1, windows.len());
    }
    let tokens = windows.iter().map(|ids| ids.len()).sum();
    let mut all = Vec::with_capacity(sums.len());
    for (layer, sums) in sums.into_iter().enumerate() {
        all.push(sums.directions(layer, tokens).ok_or(CutError::NoFit { layer })?);
    }
    Ok(Some(all))
}

impl Sums {
    fn directions(self, layer: usize, tokens: usize) -> Option<Directions> {
        let n = tokens as f64;
        let mean: Vec<f64> = self.x.iter().map(|sum| sum / n).collect();
        if !self.xx.is_finite() || !self.gg.is_finite() {
            return None;
        }
        let (xx, gg, d) = (self.xx.products(), self.gg.products(), mean.len());
        let covariance = Mat::from_fn(d, d, |i, j| xx[(i, j)] / n - mean[i] * mean[j]);
        let eigen = covariance.self_adjoint_eigen(Side::Lower).ok()?;
        // Eigenvalues come in ascending order.
        let ascending = eigen.U();
        let vectors = Mat::from_fn(d, d, |i, j| ascending[(i, d - 1 - j)]);
        // Rounding can take the variance of a direction without any below zero.
        let variance = (0..d).map(|i| eigen.S()[d - 1 - i].max(0.0)).collect();
        let turned = &gg * &vectors;
        let along = |i: usize| (0..d).map(|k| vectors[(k, i)] * turned[(k, i)]).sum::<f64>() / n;
        let sensitivity = (0..d).map(along).collect();
        Some(Directions { layer, mean, vectors, variance, sensitivity, tokens })
    }
}

impl Directions {
    /// `r` of the directions, by index, ascending; on ties the lower ones.
    pub fn chosen(&self, choice: DirectionChoice, r: usize) -> Vec<usize> {
        let largest = |values: &[f64]| {
            let mut order: Vec<usize> = (0..values.len()).collect();
            order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
            order.truncate(r);
            order.sort_unstable();
            order
        };
        match choice {
            DirectionChoice::Variance => largest(&self.variance),
            DirectionChoice::Sensitivity => largest(&self.sensitivity),
            DirectionChoice::Random(seed) => {
                let place = format!("directions.{}", self.layer);
                Draws::new(seed, &place).choice(self.variance.len(), r)
            }
        }
    }

    /// Spearman's correlation of variance and sensitivity over the directions; NaN where one of the two
    /// is the same for all.
    pub fn spearman(&self) -> f64 {
        correlation(&ranks(&self.variance), &ranks(&self.sensitivity))
    }

    /// The model with its stream projected on some of the directions where it enters the layer:
    /// `x̄ + Σ_i ((x − x̄)·u_i)·u_i`. The projection is one more layer, to measure it by and not to store.
    ///
    /// # Errors
    /// A model of another width or with fewer layers.
    pub fn project(&self, model: Arc<dyn Model>, kept: &[usize]) -> Result<Layered, CutError> {
        let device = model.start(&Batch::new([&[0][..]]))?.device();
        let mut places: Vec<Place> = (0..model.facts().layers).map(Place::Kept).collect();
        if self.layer > places.len() {
            let layers = places.len();
            return Err(models::LayersError::Unknown { layer: self.layer, layers }.into());
        }
        places.insert(self.layer, Place::Affine(self.projection(kept, &device)));
        Ok(Layered::new(model, places)?)
    }

    /// `x + x·(P − I) + x̄·(I − P)` with `P = Σ_i u_i·u_iᵀ`.
    fn projection(&self, kept: &[usize], device: &Device) -> AffineLayer {
        let d = self.mean.len();
        let leading = Mat::from_fn(d, kept.len(), |i, j| self.vectors[(i, kept[j])]);
        let p = &leading * leading.transpose();
        let change = |i: usize, j: usize| p[(i, j)] - f64::from(u8::from(i == j));
        let weight = (0..d).flat_map(|i| (0..d).map(move |j| (i, j)));
        let weight = weight.map(|(i, j)| change(i, j) as f32).collect();
        let shift = |j: usize| -(0..d).map(|i| self.mean[i] * change(i, j)).sum::<f64>();
        let bias = (0..d).map(|j| shift(j) as f32).collect();
        let name = format!("projection.{}.weight", self.layer);
        AffineLayer::full(&name, matrix(weight, [d, d], device), vector_of(bias, device))
    }
}

/// Ranks from 1, the mean of their ranks for equal values.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for equal in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let mean = first as f64 + (equal.len() + 1) as f64 / 2.0;
        equal.iter().for_each(|i| ranks[*i] = mean);
        first += equal.len();
    }
    ranks
}

/// Pearson's.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (a_mean, b_mean) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - a_mean, b - b_mean);
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    ab / (aa * bb).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_of_equal_values_are_shared() {
        assert_eq!(ranks(&[0.3, 0.1, 0.3, 0.2]), [3.5, 1.0, 3.5, 2.0]);
        assert_eq!(correlation(&ranks(&[1.0, 2.0, 3.0]), &ranks(&[9.0, 8.0, 1.0])), -1.0);
        assert!(correlation(&ranks(&[1.0, 1.0]), &ranks(&[1.0, 2.0])).is_nan());
    }
}

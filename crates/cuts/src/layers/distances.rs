//! How much layers change the residual stream.

use models::{Batch, Dense, Executor, ExecutorError, FfnSite, LayerEnd, Model, Tensor, Values};
use rayon::prelude::*;

use crate::{CutError, Watch};

/// LayerDistances between residual streams over a calibration text.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerDistances {
    /// Layers that each distance spans.
    pub span: usize,
    /// One entry a start layer; entry `ℓ` is between the stream that enters layer `ℓ` and the one that
    /// enters layer `ℓ + span`.
    pub values: Vec<f64>,
}

impl LayerDistances {
    /// `d_ℓ = mean over windows of arccos(cos(x_ℓ, x_{ℓ+n})) / π` at each window's last token, 0 to 1
    /// (Gromov et al. 2024, arXiv:2403.17887, equation 7). `None` where the watch says stop.
    ///
    /// # Errors
    /// What the model refuses, and a stream without direction: zero, NaN or infinite.
    pub fn angular(
        model: &dyn Model,
        n: usize,
        windows: &[Vec<u32>],
        watch: &Watch<'_>,
    ) -> Result<Option<Self>, CutError> {
        let d_model = model.facts().d_model;
        let of_window = |ids: &[u32]| {
            let mut last: Vec<Vec<f32>> = Vec::new();
            visit_streams(model, ids, |stream| {
                last.push(stream[stream.len() - d_model..].to_vec());
            })?;
            let spans = last.iter().zip(&last[n..]);
            let angles = spans.map(|(from, to)| cosine(from, to).acos() / std::f64::consts::PI);
            Ok((angles.collect(), 1))
        };
        Self::mean(model.facts().layers + 1 - n, n, windows, watch, of_window)
    }

    /// `1 − mean over all tokens of cos(x_ℓ, x_{ℓ+1})`, 0 to 2 (block influence: Men et al. 2024,
    /// arXiv:2403.03853, equation 1). `None` where the watch says stop.
    ///
    /// # Errors
    /// As [`LayerDistances::angular`].
    pub fn influence(
        model: &dyn Model,
        windows: &[Vec<u32>],
        watch: &Watch<'_>,
    ) -> Result<Option<Self>, CutError> {
        let d_model = model.facts().d_model;
        let of_window = |ids: &[u32]| {
            let (mut sums, mut before): (Vec<f64>, Vec<f32>) = (Vec::new(), Vec::new());
            visit_streams(model, ids, |stream| {
                if !before.is_empty() {
                    let rows = before.chunks_exact(d_model).zip(stream.chunks_exact(d_model));
                    sums.push(rows.map(|(from, to)| 1.0 - cosine(from, to)).sum());
                }
                before = stream.to_vec();
            })?;
            Ok((sums, ids.len()))
        };
        Self::mean(model.facts().layers, 1, windows, watch, of_window)
    }

    /// Sums and counts of every window, windows added in order.
    fn mean(
        entries: usize,
        span: usize,
        windows: &[Vec<u32>],
        watch: &Watch<'_>,
        of_window: impl Fn(&[u32]) -> Result<(Vec<f64>, usize), ExecutorError> + Sync,
    ) -> Result<Option<Self>, CutError> {
        let windows = windows.par_iter().filter(|ids| !ids.is_empty());
        let parts = windows.map(|ids| match (watch.stop)() {
            true => Ok(None),
            false => of_window(ids).map(Some),
        });
        let parts: Vec<Option<(Vec<f64>, usize)>> = parts.collect::<Result<_, ExecutorError>>()?;
        let (mut sums, mut count) = (vec![0.0; entries], 0);
        for part in parts {
            let Some((of_window, n)) = part else { return Ok(None) };
            sums.iter_mut().zip(&of_window).for_each(|(sum, value)| *sum += value);
            count += n;
        }
        let values: Vec<f64> = sums.into_iter().map(|sum| sum / count as f64).collect();
        match values.iter().position(|value| !value.is_finite()) {
            Some(layer) => Err(CutError::NoDirection { layer }),
            None => Ok(Some(Self { span, values })),
        }
    }

    /// The start layer of least distance, the lowest on ties.
    pub(super) fn least(&self) -> usize {
        self.in_order()[0]
    }

    /// Start layers, the least distance first, ties in the order of layers.
    pub(super) fn in_order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.values.len()).collect();
        order.sort_by(|a, b| self.values[*a].total_cmp(&self.values[*b]));
        order
    }
}

/// Shows the residual stream in front of every layer and after the last, `[tokens, d_model]`.
fn visit_streams(
    model: &dyn Model,
    ids: &[u32],
    visit: impl FnMut(&[f32]),
) -> Result<(), ExecutorError> {
    /// The plain computation.
    struct Visiting<F>(F);

    impl<F: FnMut(&[f32])> Executor for Visiting<F> {
        fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
            Dense.ffn(site, x)
        }

        fn layer_end(
            &mut self,
            _: &LayerEnd<'_>,
            stream: Tensor<2>,
        ) -> Result<Tensor<2>, ExecutorError> {
            (self.0)(&Values::of(stream.clone()));
            Ok(stream)
        }
    }

    let mut visiting = Visiting(visit);
    let batch = Batch::new([ids]);
    let x = model.start(&batch)?;
    (visiting.0)(&Values::of(x.clone()));
    model.through(0..model.facts().layers, x, &batch, None, &mut visiting)?;
    Ok(())
}

/// NaN where one of the two has no direction.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let (mut ab, mut aa, mut bb) = (0.0_f64, 0.0_f64, 0.0_f64);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (f64::from(*a), f64::from(*b));
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    // Rounding can take it past 1, where arccos is not defined.
    (ab / (aa * bb).sqrt()).clamp(-1.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosines() {
        assert_eq!(cosine(&[1.0, 0.0], &[0.0, 2.0]), 0.0);
        assert_eq!(cosine(&[0.1, 0.7], &[0.1, 0.7]), 1.0);
        assert_eq!(cosine(&[1.0, 1.0], &[-3.0, -3.0]), -1.0);
        assert!(cosine(&[0.0, 0.0], &[1.0, 0.0]).is_nan());
        assert!(cosine(&[f32::INFINITY, 0.0], &[1.0, 0.0]).is_nan());
    }

    #[test]
    fn ties_go_to_the_lowest_layer() {
        let distances = LayerDistances { span: 1, values: vec![0.3, 0.1, 0.2, 0.1] };
        assert_eq!(distances.in_order(), [1, 3, 2, 0]);
        assert_eq!(distances.least(), 1);
    }
}

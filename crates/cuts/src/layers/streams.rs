//! The residual streams of calibration windows, layer by layer.

use models::{Batch, Dense, ExecutorError, Model, Tensor};
use rayon::prelude::*;

/// The streams of some windows in front of a layer, one tensor `[tokens, d_model]` a window that is not
/// empty.
pub(super) struct Streams {
    batches: Vec<Batch>,
    pub(super) now: Vec<Tensor<2>>,
}

impl Streams {
    /// Before the first layer.
    pub(super) fn start(model: &dyn Model, windows: &[Vec<u32>]) -> Result<Self, ExecutorError> {
        let windows = windows.iter().filter(|ids| !ids.is_empty());
        let batches: Vec<Batch> = windows.map(|ids| Batch::new([ids.as_slice()])).collect();
        let now = batches.par_iter().map(|batch| model.start(batch));
        let now = now.collect::<Result<Vec<_>, _>>()?;
        Ok(Self { batches, now })
    }

    /// After one more layer of the model.
    pub(super) fn after(
        &self,
        model: &dyn Model,
        layer: usize,
    ) -> Result<Vec<Tensor<2>>, ExecutorError> {
        let streams = self.now.par_iter().zip(&self.batches);
        let next = streams
            .map(|(x, batch)| model.through(layer..layer + 1, x.clone(), batch, None, &mut Dense));
        next.collect()
    }
}

//! The residual stream in front of every layer and after the last, of one dense pass.

use models::{Batch, Dense, ExecutorError, Model, Tensor};

/// One stream a layer, and the last: `layers + 1` of `[tokens, d_model]`.
///
/// # Errors
/// What the model refuses.
pub(crate) fn streams(model: &dyn Model, batch: &Batch) -> Result<Vec<Tensor<2>>, ExecutorError> {
    let layers = model.facts().layers;
    let mut streams = Vec::with_capacity(layers + 1);
    streams.push(model.start(batch)?);
    for layer in 0..layers {
        let x = streams[layer].clone();
        streams.push(model.through(layer..layer + 1, x, batch, None, &mut Dense)?);
    }
    Ok(streams)
}

//! The gradient of the loss at every residual stream, layer by layer from the last to the first.
//!
//! Recording a whole forward pass would hold every attention map at once. Instead the residual stream in
//! front of every layer is kept, and each layer is run again, recorded, when its turn comes: the memory
//! is that of one layer, the price one more forward pass (Chen et al. 2016, arXiv:1604.06174).

use burn::tensor::{Gradients, Tensor};

use crate::{Batch, Dense, Executor, ExecutorError, Model, nll_and_slope};

/// Rows of logits that are held at a time.
const ROWS_AT_A_TIME: usize = 256;

/// A residual stream and the gradient of the loss there.
pub struct StreamGradient<'a, E> {
    /// The layer that the stream enters; the number of layers for the stream after the last.
    pub layer: usize,
    /// `x`: `[tokens, d_model]`.
    pub stream: Tensor<2>,
    /// `∂loss/∂x`: `[tokens, d_model]`.
    pub gradient: Tensor<2>,
    /// What ran the layer and what was recorded of it; `None` after the last layer.
    pub recorded: Option<(E, &'a mut Gradients)>,
}

/// Hands out the gradient of the mean NLL of a sequence at every residual stream, from that after the
/// last layer to that in front of the first; each layer is run by an executor of its own. The model must
/// lie on a device that records gradients.
///
/// # Errors
/// What the model, an executor or `each` refuses, and a stream that leads to no loss.
pub fn stream_gradients<E: Executor + Default>(
    model: &dyn Model,
    ids: &[u32],
    mut each: impl FnMut(StreamGradient<'_, E>) -> Result<(), ExecutorError>,
) -> Result<(), ExecutorError> {
    let batch = Batch::new([ids]);
    let mut streams = streams(model, &batch)?;
    let Some(stream) = streams.pop() else {
        unreachable!("every model has a stream before its first layer")
    };
    let mut gradient = at_last_stream(model, stream.clone(), ids)?;
    let layer = streams.len();
    each(StreamGradient { layer, stream, gradient: gradient.clone(), recorded: None })?;
    for (layer, stream) in streams.into_iter().enumerate().rev() {
        let leaf = stream.clone().detach().require_grad();
        let mut executor = E::default();
        let out = model.through(layer..layer + 1, leaf.clone(), &batch, None, &mut executor)?;
        let mut recorded = (out * gradient.autodiff()).sum().backward();
        gradient = recorded_gradient(&leaf, &mut recorded, || {
            format!("the stream in front of layer {layer}")
        })?;
        let recorded = Some((executor, &mut recorded));
        each(StreamGradient { layer, stream, gradient: gradient.clone(), recorded })?;
    }
    Ok(())
}

/// One stream a layer, and the last: `layers + 1` of `[tokens, d_model]`.
///
/// # Errors
/// What the model refuses.
pub fn streams(model: &dyn Model, batch: &Batch) -> Result<Vec<Tensor<2>>, ExecutorError> {
    let layers = model.facts().layers;
    let mut streams = Vec::with_capacity(layers + 1);
    streams.push(model.start(batch)?);
    for layer in 0..layers {
        let x = streams[layer].clone();
        streams.push(model.through(layer..layer + 1, x, batch, None, &mut Dense)?);
    }
    Ok(streams)
}

/// The gradient of the mean NLL at the residual stream after the last layer, `[tokens, d_model]`.
fn at_last_stream(
    model: &dyn Model,
    stream: Tensor<2>,
    ids: &[u32],
) -> Result<Tensor<2>, ExecutorError> {
    let (rows, targets) = (0, &ids[1..]);
    let leaf = stream.detach().require_grad();
    let hidden = model.finish(leaf.clone());
    let [_, width] = hidden.dims();
    let mut parts = Vec::new();
    for (part, targets_of_part) in targets.chunks(ROWS_AT_A_TIME).enumerate() {
        let some = hidden.clone().narrow(rows, part * ROWS_AT_A_TIME, targets_of_part.len());
        let some = some.detach().require_grad();
        let logits = model.logits(some.clone());
        let (_, slope) = nll_and_slope(logits.clone().inner(), targets_of_part, targets.len())?;
        let mut recorded = (logits * slope.autodiff()).sum().backward();
        parts.push(recorded_gradient(&some, &mut recorded, || "what the head reads".to_owned())?);
    }
    // The last token predicts nothing that is there.
    parts.push(Tensor::zeros([1, width], &parts[0].device()));
    let of_hidden: Tensor<2> = Tensor::cat(parts, rows);
    let mut recorded = (hidden * of_hidden.autodiff()).sum().backward();
    recorded_gradient(&leaf, &mut recorded, || "the stream after the last layer".to_owned())
}

/// What was recorded for a leaf. Nothing is not zero: it means that the leaf was cut off from the loss.
///
/// # Errors
/// Nothing was recorded for it.
pub fn recorded_gradient(
    leaf: &Tensor<2>,
    recorded: &mut Gradients,
    what: impl FnOnce() -> String,
) -> Result<Tensor<2>, ExecutorError> {
    leaf.grad_remove(recorded).ok_or_else(|| ExecutorError::NoGradient { what: what() })
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::into_values;

    #[test]
    fn a_leaf_that_leads_to_no_loss_has_no_gradient() {
        let device = Device::flex().autodiff();
        let leaf = || Tensor::<2>::ones([2, 3], &device).require_grad();
        let (used, cut_off) = (leaf(), leaf());
        let mut recorded = (used.clone() * 2.0 + cut_off.clone().detach()).sum().backward();
        let found = recorded_gradient(&used, &mut recorded, || "used".to_owned());
        assert_eq!(into_values(found.expect("recorded")), [2.0; 6]);
        let error = recorded_gradient(&cut_off, &mut recorded, || "cut off".to_owned());
        let error = error.map(drop).expect_err("nothing was recorded").to_string();
        assert!(error.starts_with("cut off has no gradient"), "{error}");
    }
}

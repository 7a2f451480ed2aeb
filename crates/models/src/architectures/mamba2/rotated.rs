//! Mamba-2 in another basis of its stream.

use burn::tensor::Tensor;

use super::Mamba2;
use crate::{RotationError, architectures::Rotated, nn::Rotation};

impl Mamba2 {
    pub(super) fn turned(&self, rotation: &Tensor<2>) -> Result<Rotated, RotationError> {
        let rotation = Rotation::new(rotation, self.facts.d_model)?;
        let mut model = self.clone();
        model.embedding = rotation.rows(model.embedding);
        model.head = rotation.head(&model.norm.weight, &model.head);
        model.norm = model.norm.without_gain();
        if std::mem::take(&mut model.tied) {
            model.facts.parameters += model.facts.vocabulary * model.facts.d_model;
        }
        for layer in &mut model.layers {
            layer.mixer.input = rotation.reader_after_rms(&layer.norm, &layer.mixer.input);
            layer.mixer.output = rotation.writer(&layer.mixer.output);
            layer.norm = layer.norm.without_gain();
        }
        Ok(Rotated { model: Box::new(model), basis: rotation.basis() })
    }
}

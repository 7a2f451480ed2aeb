//! The shared decoder in another basis of its stream.

use burn::tensor::Tensor;

use super::{Decoder, Layer, Norms};
use crate::{
    RotationError,
    architectures::Rotated,
    nn::{RmsNorm, Rotation},
};

impl Decoder {
    pub(super) fn turned(&self, rotation: &Tensor<2>) -> Result<Rotated, RotationError> {
        if self.config.norms != Norms::Before {
            return Err(RotationError::Unsupported {
                family: "Gemma",
                reason: "norms stand between its maps and the stream, and their gains do not commute \
                         with a rotation",
            });
        }
        let rotation = Rotation::new(rotation, self.config.hidden_size)?;
        let mut model = self.clone();
        model.embedding = rotation.rows(model.embedding);
        model.head = rotation.head(&model.norm.weight, &model.head);
        model.norm = model.norm.without_gain();
        model.config.tie_word_embeddings = false;
        for layer in &mut model.layers {
            turn(&rotation, layer);
        }
        Ok(Rotated { model: Box::new(model), basis: rotation.basis() })
    }
}

fn turn(rotation: &Rotation, layer: &mut Layer) {
    let Layer { attention_norm, attention, ffn_norm, ffn, after: _ } = layer;
    for map in [&mut attention.query, &mut attention.key, &mut attention.value] {
        *map = rotation.reader_after_rms(attention_norm, map);
    }
    attention.output = rotation.writer(&attention.output);
    for map in ffn.gate.iter_mut().chain([&mut ffn.up]) {
        *map = rotation.reader_after_rms(ffn_norm, map);
    }
    ffn.down = rotation.writer(&ffn.down);
    for norm in [attention_norm, ffn_norm] {
        *norm = RmsNorm::without_gain(norm);
    }
}

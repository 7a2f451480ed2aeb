//! OPT and GPT-2 in another basis of their stream, in which its mean stands where it stood.

use burn::tensor::Tensor;

use super::{Layer, PositionalDecoder};
use crate::{
    Linear, RotationError,
    architectures::{Rotated, head_product},
    nn::{LayerNorm, Rotation},
    tensor::Values,
};

impl PositionalDecoder {
    pub(super) fn turned(&self, rotation: &Tensor<2>) -> Result<Rotated, RotationError> {
        let Some(last) = self.norm.as_ref().filter(|_| self.norm_first) else {
            return Err(RotationError::Unsupported {
                family: "OPT",
                reason: "norms stand after its sums, or none stands in front of its head, so gains cannot \
                         be folded into what reads the stream",
            });
        };
        let rotation = Rotation::around_mean(rotation, self.facts.d_model)?;
        let mut model = self.clone();
        model.positions = rotation.rows(model.positions);
        match &mut model.projections {
            None => model.embedding = rotation.rows(model.embedding),
            Some([enter, _]) => *enter = rotation.writer(enter),
        }
        model.turn_end(&rotation, last);
        for layer in &mut model.layers {
            turn(&rotation, layer);
        }
        Ok(Rotated { model: Box::new(model), basis: rotation.basis() })
    }

    /// The last norm and what reads it: the map back to the width of the embedding, or the head, which
    /// parts from the embedding where they were one. No checkpoint has a bias there, so the shift stays
    /// with the norm, `s` in front of the gain `g` being `s/g·Q` behind it; but for gains next to zero,
    /// where it becomes a bias of the logits.
    fn turn_end(&mut self, rotation: &Rotation, last: &LayerNorm) {
        let shift = last.bias.clone() / last.weight.clone();
        let stays = Values::of(shift.clone()).iter().all(|own| own.abs() <= LARGEST_SHIFT);
        let mut norm = LayerNorm::without_gain(last);
        if stays {
            norm.bias = rotation.rows(shift.unsqueeze()).squeeze_dim(0);
        }
        match &mut self.projections {
            Some([_, leave]) => {
                let biased = rotation.reader_after_layer_norm(last, leave);
                let bias = if stays { leave.bias.clone() } else { biased.bias };
                self.facts.parameters += bias.as_ref().map_or(0, |bias| bias.dims()[0]);
                self.facts.parameters -= leave.bias.as_ref().map_or(0, |bias| bias.dims()[0]);
                *leave = Linear { bias, ..biased };
            }
            None => {
                if !stays {
                    let logits = head_product(
                        last.bias.clone().unsqueeze(),
                        &self.head,
                        0..self.facts.vocabulary,
                    );
                    let before = self.head_bias.take();
                    if before.is_none() {
                        self.facts.parameters += self.facts.vocabulary;
                    }
                    let logits = logits.squeeze_dim(0);
                    self.head_bias = Some(match before {
                        Some(before) => before + logits,
                        None => logits,
                    });
                }
                self.head = rotation.head(&last.weight, &self.head);
                if std::mem::take(&mut self.tied) {
                    self.facts.parameters += self.facts.vocabulary * self.facts.d_model;
                }
            }
        }
        self.norm = Some(norm);
    }
}

/// A shift over its gain above this would drown the stream that it is added to.
const LARGEST_SHIFT: f32 = 1e3;

fn turn(rotation: &Rotation, layer: &mut Layer) {
    let Layer { attention_norm, attention, ffn_norm, ffn } = layer;
    for map in [&mut attention.query, &mut attention.key, &mut attention.value] {
        *map = rotation.reader_after_layer_norm(attention_norm, map);
    }
    attention.output = rotation.writer(&attention.output);
    ffn.up = rotation.reader_after_layer_norm(ffn_norm, &ffn.up);
    ffn.down = rotation.writer(&ffn.down);
    for norm in [attention_norm, ffn_norm] {
        *norm = norm.without_gain();
    }
}

//! OPT and GPT-2 in another basis of their stream, which is centred first.

use burn::tensor::Tensor;

use super::{Layer, PositionalDecoder};
use crate::{
    RotationError,
    architectures::{Rotated, head_product},
    nn::{Linear, Norm, RmsNorm, Rotation},
};

impl PositionalDecoder {
    pub(super) fn turned(&self, rotation: &Tensor<2>) -> Result<Rotated, RotationError> {
        let Some(last) = self.norm.as_ref().filter(|_| self.norm_first) else {
            return Err(RotationError::Unsupported {
                family: "OPT",
                reason: "norms stand after its sums, or none stands in front of its head, so the stream \
                         cannot be centred",
            });
        };
        // A model that was rotated before has RMS norms, which need no centring.
        let rotation = match last {
            Norm::Layer(_) => Rotation::centred(rotation, self.facts.d_model)?,
            Norm::Rms(_) => Rotation::new(rotation, self.facts.d_model)?,
        };
        let before = self.small_parameters();
        let mut model = self.clone();
        model.positions = rotation.rows(model.positions);
        match &mut model.projections {
            None => model.turn_tables(&rotation, last),
            Some([enter, leave]) => {
                *enter = rotation.writer(enter);
                *leave = after(&rotation, last, leave);
            }
        }
        model.norm = Some(without_gain(last));
        for layer in &mut model.layers {
            turn(&rotation, layer);
        }
        model.facts.parameters = model.facts.parameters + model.small_parameters() - before;
        Ok(Rotated { model: Box::new(model), centred: matches!(last, Norm::Layer(_)) })
    }

    /// The embedding and the head, which part where they were one; the shift of the last norm becomes a
    /// bias of the logits.
    fn turn_tables(&mut self, rotation: &Rotation, last: &Norm) {
        self.embedding = rotation.rows(self.embedding.clone());
        if let Norm::Layer(last) = last {
            let ids = 0..self.facts.vocabulary;
            let logits = head_product(last.bias.clone().unsqueeze(), &self.head, ids);
            self.head_bias = Some(logits.squeeze_dim(0));
        }
        self.head = rotation.head(last.gain(), &self.head);
        if std::mem::take(&mut self.tied) {
            self.facts.parameters += self.facts.vocabulary * self.facts.d_model;
        }
    }

    /// Parameters that a rotation changes the number of.
    fn small_parameters(&self) -> usize {
        let layers = self.layers.iter();
        let norms = layers.flat_map(|layer| [&layer.attention_norm, &layer.ffn_norm]);
        let norms = norms.chain(&self.norm).map(Norm::parameters).sum::<usize>();
        let leave = self.projections.iter().filter_map(|[_, leave]| leave.bias.as_ref());
        let biases = leave.chain(&self.head_bias).map(|bias| bias.dims()[0]);
        norms + biases.sum::<usize>()
    }
}

fn turn(rotation: &Rotation, layer: &mut Layer) {
    let Layer { attention_norm, attention, ffn_norm, ffn } = layer;
    for map in [&mut attention.query, &mut attention.key, &mut attention.value] {
        *map = after(rotation, attention_norm, map);
    }
    attention.output = rotation.writer(&attention.output);
    ffn.up = after(rotation, ffn_norm, &ffn.up);
    ffn.down = rotation.writer(&ffn.down);
    for norm in [attention_norm, ffn_norm] {
        *norm = without_gain(norm);
    }
}

/// A map that reads the stream after a norm.
fn after(rotation: &Rotation, norm: &Norm, map: &Linear) -> Linear {
    match norm {
        Norm::Layer(norm) => rotation.reader_after_layer_norm(norm, map),
        Norm::Rms(norm) => rotation.reader_after_rms(norm, map),
    }
}

/// The norm of the centred stream, whose gain and shift went into the maps after it.
fn without_gain(norm: &Norm) -> Norm {
    Norm::Rms(match norm {
        Norm::Layer(norm) => RmsNorm { weight: norm.weight.ones_like(), epsilon: norm.epsilon },
        Norm::Rms(norm) => norm.without_gain(),
    })
}

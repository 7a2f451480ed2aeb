//! Zamba2 in another basis of its stream.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use super::{Block, Zamba2};
use crate::{Linear, RotationError, architectures::Rotated, nn::Rotation};

impl Zamba2 {
    /// A shared block reads the stream and the embedding side by side, both in the new basis. What it
    /// holds between its attention and its feed-forward block is no part of the stream and stays.
    pub(super) fn turned(&self, rotation: &Tensor<2>) -> Result<Rotated, RotationError> {
        let rotation = Rotation::new(rotation, self.config.hidden_size)?;
        let mut model = self.clone();
        model.embedding = rotation.rows(model.embedding);
        model.head = rotation.head(&model.norm.weight, &model.head);
        model.norm = model.norm.without_gain();
        model.config.tie_word_embeddings = false;
        // Weights that several uses share are turned once, so that they are still shared.
        let mut turned: BTreeMap<usize, [Tensor<2>; 3]> = BTreeMap::new();
        for layer in &mut model.layers {
            if let Some(shared) = &mut layer.shared {
                turn(&rotation, &mut shared.block, turned.get(&shared.number));
                turned
                    .entry(shared.number)
                    .or_insert_with(|| maps(&mut shared.block).map(|map| map.weight.clone()));
                shared.linear = rotation.writer(&shared.linear);
            }
            layer.mixer.input = rotation.reader_after_rms(&layer.norm, &layer.mixer.input);
            layer.mixer.output = rotation.writer(&layer.mixer.output);
            layer.norm = layer.norm.without_gain();
        }
        Ok(Rotated { model: Box::new(model), basis: rotation.basis() })
    }
}

/// What reads the stream.
fn maps(block: &mut Block) -> [&mut Linear; 3] {
    let attention = &mut block.attention;
    [&mut attention.query, &mut attention.key, &mut attention.value]
}

/// `weights` are those of the block where another use has turned them already; adapters are of one use.
fn turn(rotation: &Rotation, block: &mut Block, weights: Option<&[Tensor<2>; 3]>) {
    let norm = block.norm.clone();
    for (i, map) in maps(block).into_iter().enumerate() {
        *map = rotation.reader_after_rms(&norm, map);
        if let Some(weights) = weights {
            map.weight = weights[i].clone();
        }
    }
    block.norm = norm.without_gain();
}

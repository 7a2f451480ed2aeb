//! The decoder that OPT and GPT-2 share: learned positions, LayerNorm, plain blocks, biases everywhere.

mod rotated;
mod saved;

use std::ops::Range;

use burn::tensor::Tensor;

pub(super) use self::saved::{AttentionNames, Names};
use super::{LayerFacts, Model, ModelFacts, Rotated, check_batch, embed, head_product, map_tables};
use crate::{
    Batch, Cache, Executor, ExecutorError, Ffn, FfnSite, LayerEnd, LinearMapper, MatrixUse, Mixer,
    RotationError, SaveError, Saved,
    linears::{self, Mapping},
    nn::{Attention, LayerNorm, Linear},
};

/// A layer and the place of its norms.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) attention_norm: LayerNorm,
    pub(crate) attention: Attention,
    pub(crate) ffn_norm: LayerNorm,
    pub(crate) ffn: Ffn,
}

impl Layer {
    /// Its maps, those that read the same input together.
    fn linears(&self) -> Vec<Vec<&Linear>> {
        [self.attention.linears(), self.ffn.linears()].concat()
    }

    fn linears_mut(&mut self) -> Vec<Vec<&mut Linear>> {
        self.attention.linears_mut().into_iter().chain(self.ffn.linears_mut()).collect()
    }
}

/// `x = token + position`, then layer by layer `x += attention(norm(x)); x += ffn(norm(x))`, or with
/// the norms after the sums: `x = norm(x + attention(x)); x = norm(x + ffn(x))`.
#[derive(Clone, Debug)]
pub(crate) struct PositionalDecoder {
    pub(crate) facts: ModelFacts,
    pub(crate) names: Names,
    /// `[vocabulary, d_embedding]`.
    pub(crate) embedding: Tensor<2>,
    /// From the width of the embedding to that of the layers and back, where they differ.
    pub(crate) projections: Option<[Linear; 2]>,
    /// `[positions, d_model]`.
    pub(crate) positions: Tensor<2>,
    /// Row of the table that stands for position 0.
    pub(crate) position_offset: usize,
    pub(crate) norm_first: bool,
    pub(crate) layers: Vec<Layer>,
    /// The last norm.
    pub(crate) norm: Option<LayerNorm>,
    /// `[vocabulary, d_embedding]`: `embedding` itself where the two are tied.
    pub(crate) head: Tensor<2>,
    /// Whether the two are tied.
    pub(crate) tied: bool,
    /// `[vocabulary]`: what a rotation made of the last norm's shift, where no norm can have it.
    pub(crate) head_bias: Option<Tensor<1>>,
}

/// `x + part(norm(x))`, or `norm(x + part(x))`.
fn with_norm(
    x: Tensor<2>,
    norm: &LayerNorm,
    first: bool,
    part: impl FnOnce(Tensor<2>) -> Result<Tensor<2>, ExecutorError>,
) -> Result<Tensor<2>, ExecutorError> {
    if first {
        return Ok(x.clone() + part(norm.forward(x))?);
    }
    Ok(norm.forward(x.clone() + part(x)?))
}

impl Model for PositionalDecoder {
    fn facts(&self) -> ModelFacts {
        self.facts
    }

    fn layer_facts(&self, layer: usize) -> LayerFacts {
        let (d_model, neurons) = (self.facts.d_model, self.facts.neurons);
        let matrices = 4 * d_model * d_model + 2 * d_model * neurons;
        let Layer { attention_norm, ffn_norm, .. } = &self.layers[layer];
        let norms = attention_norm.parameters() + ffn_norm.parameters();
        LayerFacts {
            parameters: matrices + norms + 4 * d_model + neurons + d_model,
            unmapped: norms,
            multiplied: matrices,
            attention_width: d_model,
            attentions: 1,
            ffn_sites: 1,
            ..LayerFacts::default()
        }
    }

    fn ffns(&self) -> Vec<&Ffn> {
        self.layers.iter().map(|layer| &layer.ffn).collect()
    }

    fn with_ffns(&self, ffns: Vec<Ffn>) -> Box<dyn Model> {
        let mut model = self.clone();
        for (layer, ffn) in model.layers.iter_mut().zip(ffns) {
            layer.ffn = ffn;
        }
        Box::new(model)
    }

    fn with_mixers(&self, _: Vec<Mixer>) -> Box<dyn Model> {
        Box::new(self.clone())
    }

    fn attentions(&self) -> Vec<&Attention> {
        self.layers.iter().map(|layer| &layer.attention).collect()
    }

    fn with_attentions(&self, attentions: Vec<Attention>) -> Box<dyn Model> {
        let mut model = self.clone();
        for (layer, attention) in model.layers.iter_mut().zip(attentions) {
            layer.attention = attention;
        }
        Box::new(model)
    }

    fn linears(&self, layer: usize) -> Vec<MatrixUse<'_>> {
        linears::uses(layer, self.layers[layer].linears())
    }

    fn map_linears(&self, map: &mut LinearMapper<'_>) -> Box<dyn Model> {
        let (mut model, mut mapping) = (self.clone(), Mapping::new(map));
        for (index, layer) in model.layers.iter_mut().enumerate() {
            mapping.layer(index, layer.linears_mut());
        }
        Box::new(model)
    }

    fn map_vocabulary(&self, map: &mut dyn FnMut(&Tensor<2>) -> Tensor<2>) -> Box<dyn Model> {
        let mut model = self.clone();
        map_tables(&mut model.embedding, &mut model.head, map);
        Box::new(model)
    }

    fn rotated(&self, rotation: &Tensor<2>) -> Result<Rotated, RotationError> {
        self.turned(rotation)
    }

    fn save(&self, layers: &[usize]) -> Result<Saved, SaveError> {
        self.saved(layers)
    }

    fn new_cache(&self) -> Cache {
        Cache::empty(self.layers.len(), 0)
    }

    fn start(&self, batch: &Batch) -> Result<Tensor<2>, ExecutorError> {
        check_batch(batch, &self.facts)?;
        let mut x = embed(&self.embedding, batch.ids().iter().map(|id| *id as usize));
        if let Some([enter, _]) = &self.projections {
            x = enter.forward(x);
        }
        let rows = batch.positions().into_iter().map(|p| p + self.position_offset);
        Ok(x + embed(&self.positions, rows))
    }

    fn through(
        &self,
        layers: Range<usize>,
        mut x: Tensor<2>,
        batch: &Batch,
        mut past: Option<&mut Cache>,
        executor: &mut dyn Executor,
    ) -> Result<Tensor<2>, ExecutorError> {
        for index in layers {
            let layer = &self.layers[index];
            let past = past.as_deref_mut().map(|past| &mut past.attention[index]);
            x = with_norm(x, &layer.attention_norm, self.norm_first, |x| {
                layer.attention.forward(x, [index, index], batch, None, past, executor)
            })?;
            let site = FfnSite { index, layer: index, ffn: &layer.ffn, batch };
            x = with_norm(x, &layer.ffn_norm, self.norm_first, |x| executor.ffn(&site, x))?;
            x = executor.layer_end(&LayerEnd { layer: index, model: self, batch }, x)?;
        }
        Ok(x)
    }

    fn finish(&self, mut x: Tensor<2>) -> Tensor<2> {
        if let Some(norm) = &self.norm {
            x = norm.forward(x);
        }
        match &self.projections {
            Some([_, leave]) => leave.forward(x),
            None => x,
        }
    }

    fn logits_of(&self, hidden: Tensor<2>, ids: Range<usize>) -> Tensor<2> {
        let bias = self.head_bias.clone().map(|bias| bias.narrow(0, ids.start, ids.len()));
        let logits = head_product(hidden, &self.head, ids);
        match bias {
            Some(bias) => logits + bias.unsqueeze(),
            None => logits,
        }
    }
}

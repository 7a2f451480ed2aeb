//! Zamba2 (Glorioso et al. 2024, arXiv:2411.15242): Mamba-2 mixers, and one transformer block or two that
//! take turns, used again and again at some depths, each time with adapters of its own.

mod config;
mod load;
mod rotated;
mod saved;

use std::ops::Range;

use burn::tensor::Tensor;
use vector::Rotary;

pub(super) use self::config::SYNONYMS;
use self::config::Zamba2Config;
use super::{
    Blueprint, HubConfig, LayerFacts, Model, ModelFacts, Rotated, check_batch, embed, head_product,
    map_tables,
};
use crate::{
    Batch, Cache, Executor, ExecutorError, Ffn, FfnSite, LayerEnd, Linear, LinearMapper, MatrixUse,
    Mixer, RotationError, SaveError, Saved,
    cache::KvCache,
    error::LoadError,
    linears::{self, Mapping},
    nn::{Attention, RmsNorm},
    weights::Weights,
};

pub(crate) fn read(config: &HubConfig) -> Result<Box<dyn Blueprint>, LoadError> {
    Ok(Box::new(config::read(config)?))
}

impl Blueprint for Zamba2Config {
    fn facts(&self) -> ModelFacts {
        self.facts()
    }

    fn load(&self, w: &mut Weights<'_>) -> Result<Box<dyn Model>, LoadError> {
        self.load_model(w)
    }
}

/// A shared block, without or with the adapters of a use. It has no residual stream of its own.
#[derive(Clone, Debug)]
struct Block {
    /// Over the residual stream and the embedding side by side.
    norm: RmsNorm,
    attention: Attention,
    ffn_norm: RmsNorm,
    ffn: Ffn,
}

/// One use of a shared block.
#[derive(Clone, Debug)]
struct Use {
    block: Block,
    /// Which of the shared blocks it is.
    number: usize,
    /// From the block to the input of the mixer.
    linear: Linear,
}

#[derive(Clone, Debug)]
struct Layer {
    shared: Option<Use>,
    norm: RmsNorm,
    mixer: Mixer,
}

impl Layer {
    /// Its maps, those that read the same input together; the way from a shared block to the mixer is one
    /// of them.
    fn linears(&self) -> Vec<Vec<&Linear>> {
        let shared = self.shared.iter().flat_map(|Use { block, linear, .. }| {
            [block.attention.linears(), block.ffn.linears(), vec![vec![linear]]].concat()
        });
        shared.chain(self.mixer.linears()).collect()
    }

    fn linears_mut(&mut self) -> Vec<Vec<&mut Linear>> {
        let shared = self.shared.iter_mut().flat_map(|Use { block, linear, .. }| {
            let block = block.attention.linears_mut().into_iter().chain(block.ffn.linears_mut());
            block.chain([vec![linear]])
        });
        shared.chain(self.mixer.linears_mut()).collect()
    }
}

/// `x += mixer(norm(x + shared))`, layer by layer, where a hybrid layer has
/// `shared = linear(ffn(norm(attention(norm([x, embedding])))))`.
#[derive(Clone, Debug)]
struct Zamba2 {
    config: Zamba2Config,
    /// `[vocabulary, d_model]`.
    embedding: Tensor<2>,
    layers: Vec<Layer>,
    norm: RmsNorm,
    /// `[vocabulary, d_model]`: `embedding` itself where the two are tied.
    head: Tensor<2>,
}

impl Use {
    /// What is added to the input of the mixer.
    fn forward(
        &self,
        x: Tensor<2>,
        embedding: Tensor<2>,
        site: &FfnSite<'_>,
        rotary: Option<&Rotary>,
        past: Option<&mut KvCache>,
        executor: &mut dyn Executor,
    ) -> Result<Tensor<2>, ExecutorError> {
        let features = 1;
        let block = &self.block;
        let (normed, _) = block.norm.forward(Tensor::cat(vec![x, embedding], features));
        let sites = [site.index, site.layer];
        let mixed = block.attention.forward(normed, sites, site.batch, rotary, past, executor)?;
        let (normed, _) = block.ffn_norm.forward(mixed);
        Ok(self.linear.forward(executor.ffn(site, normed)?))
    }
}

impl Zamba2 {
    fn embedded(&self, batch: &Batch) -> Tensor<2> {
        embed(&self.embedding, batch.ids().iter().map(|id| *id as usize))
    }

    fn uses(&self) -> impl Iterator<Item = &Use> {
        self.layers.iter().filter_map(|layer| layer.shared.as_ref())
    }
}

impl Model for Zamba2 {
    fn facts(&self) -> ModelFacts {
        self.config.facts()
    }

    fn layer_facts(&self, layer: usize) -> LayerFacts {
        let shared = self.layers[layer].shared.as_ref();
        self.config.layer_facts(shared.map(|shared| shared.number))
    }

    fn ffns(&self) -> Vec<&Ffn> {
        self.uses().map(|shared| &shared.block.ffn).collect()
    }

    fn ffn_blocks(&self) -> Vec<usize> {
        self.uses().map(|shared| shared.number).collect()
    }

    fn with_ffns(&self, ffns: Vec<Ffn>) -> Box<dyn Model> {
        let mut model = self.clone();
        let uses = model.layers.iter_mut().filter_map(|layer| layer.shared.as_mut());
        for (shared, ffn) in uses.zip(ffns) {
            shared.block.ffn = ffn;
        }
        Box::new(model)
    }

    fn mixers(&self) -> Vec<&Mixer> {
        self.layers.iter().map(|layer| &layer.mixer).collect()
    }

    fn with_mixers(&self, mixers: Vec<Mixer>) -> Box<dyn Model> {
        let mut model = self.clone();
        for (layer, mixer) in model.layers.iter_mut().zip(mixers) {
            layer.mixer = mixer;
        }
        Box::new(model)
    }

    fn attentions(&self) -> Vec<&Attention> {
        self.uses().map(|shared| &shared.block.attention).collect()
    }

    fn attention_blocks(&self) -> Vec<usize> {
        self.ffn_blocks()
    }

    fn with_attentions(&self, attentions: Vec<Attention>) -> Box<dyn Model> {
        let mut model = self.clone();
        let uses = model.layers.iter_mut().filter_map(|layer| layer.shared.as_mut());
        for (shared, attention) in uses.zip(attentions) {
            shared.block.attention = attention;
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
        Cache::empty(self.uses().count(), self.layers.len())
    }

    fn start(&self, batch: &Batch) -> Result<Tensor<2>, ExecutorError> {
        check_batch(batch, &self.config.facts())?;
        Ok(self.embedded(batch))
    }

    fn through(
        &self,
        layers: Range<usize>,
        mut x: Tensor<2>,
        batch: &Batch,
        mut past: Option<&mut Cache>,
        executor: &mut dyn Executor,
    ) -> Result<Tensor<2>, ExecutorError> {
        let positions = batch.offset()..batch.offset() + batch.longest();
        let rotary = self.config.rope.as_ref().map(|rope| rope.turns(positions));
        let embedding = self.embedded(batch);
        let is_use = |layer: &&Layer| layer.shared.is_some();
        let mut index = self.layers[..layers.start].iter().filter(is_use).count();
        for number in layers {
            let layer = &self.layers[number];
            let mut input = x.clone();
            if let Some(shared) = &layer.shared {
                let site = FfnSite { index, layer: number, ffn: &shared.block.ffn, batch };
                let past = past.as_deref_mut().map(|past| &mut past.attention[index]);
                let (x, embedding) = (x.clone(), embedding.clone());
                let shared =
                    shared.forward(x, embedding, &site, rotary.as_ref(), past, executor)?;
                input = input + shared;
                index += 1;
            }
            let past = past.as_deref_mut().map(|past| &mut past.recurrent[number]);
            let (normed, _) = layer.norm.forward(input);
            x = x + layer.mixer.forward(normed, [number, number], batch, past, executor)?;
            x = executor.layer_end(&LayerEnd { layer: number, model: self, batch }, x)?;
        }
        Ok(x)
    }

    fn finish(&self, x: Tensor<2>) -> Tensor<2> {
        self.norm.forward(x).0
    }

    fn logits_of(&self, hidden: Tensor<2>, ids: Range<usize>) -> Tensor<2> {
        head_product(hidden, &self.head, ids)
    }
}

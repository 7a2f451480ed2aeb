//! A model made of another one's layers: some left out, some replaced by an affine map.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use burn::tensor::Tensor;

use crate::{
    AffineLayer, Attention, Batch, Cache, Executor, ExecutorError, Ffn, LayerEnd, LayerFacts,
    LayersError, LinearMapper, MatrixUse, Mixer, Model, ModelFacts, Rotated, RotationError,
    SaveError, Saved,
    linears::{self, Mapping},
    nn::Rotation,
    renumbered::{Renumbered, SiteCounts, swap_pasts},
};

/// What stands in one place of a [`Layered`] model.
#[derive(Clone, Debug)]
pub enum Place {
    /// A layer of the model underneath, by its number there.
    Kept(usize),
    /// An affine map of the stream.
    Affine(AffineLayer),
}

/// A model whose layers are those of another in a chosen order. Layers, sites and the entries of a cache
/// are counted anew, so that executors and cuts see a model with just these layers.
///
/// Dropped layers stay in memory as long as the model underneath does; [`Model::facts`] does not count
/// them.
#[derive(Clone)]
pub struct Layered {
    inner: Arc<dyn Model>,
    places: Vec<Place>,
    /// Sizes of the layers underneath.
    layers: Vec<LayerFacts>,
    facts: ModelFacts,
}

/// A run of places whose layers follow each other underneath too.
enum Stretch<'a> {
    /// Layers underneath, from this place on.
    Kept(usize, Range<usize>),
    Affine(usize, &'a AffineLayer),
}

impl Layered {
    /// The model with these layers in this order.
    ///
    /// # Errors
    /// No place, a layer that is not there or twice, or an affine map of another width.
    pub fn new(inner: Arc<dyn Model>, places: Vec<Place>) -> Result<Self, LayersError> {
        let facts = inner.facts();
        check_places(&places, &facts)?;
        let layers: Vec<_> = (0..facts.layers).map(|layer| inner.layer_facts(layer)).collect();
        let facts = facts_of(&facts, &layers, &places);
        Ok(Self { inner, places, layers, facts })
    }

    /// The model without some layers.
    ///
    /// # Errors
    /// As [`Layered::new`].
    pub fn without(inner: Arc<dyn Model>, dropped: &[usize]) -> Result<Self, LayersError> {
        let layers = inner.facts().layers;
        if let Some(layer) = dropped.iter().copied().find(|layer| *layer >= layers) {
            return Err(LayersError::Unknown { layer, layers });
        }
        let kept = (0..layers).filter(|layer| !dropped.contains(layer));
        Self::new(inner, kept.map(Place::Kept).collect())
    }

    /// The model with affine maps in the place of some layers.
    ///
    /// # Errors
    /// As [`Layered::new`].
    pub fn replacing(
        inner: Arc<dyn Model>,
        maps: Vec<(usize, AffineLayer)>,
    ) -> Result<Self, LayersError> {
        let layers = inner.facts().layers;
        let mut places: Vec<Place> = (0..layers).map(Place::Kept).collect();
        for (layer, map) in maps {
            match places.get_mut(layer) {
                Some(place @ Place::Kept(_)) => *place = Place::Affine(map),
                Some(Place::Affine(_)) => return Err(LayersError::Twice { layer }),
                None => return Err(LayersError::Unknown { layer, layers }),
            }
        }
        Self::new(inner, places)
    }

    /// What stands where.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// The model underneath.
    pub fn inner(&self) -> &Arc<dyn Model> {
        &self.inner
    }

    /// The same places over another model of the same sizes.
    fn over(&self, inner: Box<dyn Model>) -> Self {
        Self { inner: Arc::from(inner), ..self.clone() }
    }

    /// Sites underneath in front of a layer.
    fn counts_below(&self, layer: usize) -> SiteCounts {
        self.layers[..layer].iter().map(SiteCounts::from).sum()
    }

    /// Sites in front of a place.
    fn counts_before(&self, place: usize) -> SiteCounts {
        let places = self.places[..place].iter();
        places.map(|place| SiteCounts::from(&self.of_place(place))).sum()
    }

    fn of_place(&self, place: &Place) -> LayerFacts {
        facts_of_place(&self.layers, place)
    }

    /// Numbers underneath of the sites that are left, in the order of the places.
    fn sites(&self, of: fn(&SiteCounts) -> usize) -> Vec<usize> {
        let kept = self.places.iter().filter_map(|place| match place {
            Place::Kept(layer) => Some(*layer),
            Place::Affine(_) => None,
        });
        kept.flat_map(|layer| of(&self.counts_below(layer))..of(&self.counts_below(layer + 1)))
            .collect()
    }

    fn ffn_sites(&self) -> Vec<usize> {
        self.sites(|counts| counts.ffn)
    }

    fn state_sites(&self) -> Vec<usize> {
        self.sites(|counts| counts.states)
    }

    fn attention_sites(&self) -> Vec<usize> {
        self.sites(|counts| counts.attentions)
    }

    fn stretches(&self, places: Range<usize>) -> Vec<Stretch<'_>> {
        let mut stretches: Vec<Stretch<'_>> = Vec::new();
        for at in places {
            match (&self.places[at], stretches.last_mut()) {
                (Place::Kept(layer), Some(Stretch::Kept(_, layers))) if layers.end == *layer => {
                    layers.end += 1;
                }
                (Place::Kept(layer), _) => stretches.push(Stretch::Kept(at, *layer..layer + 1)),
                (Place::Affine(map), _) => stretches.push(Stretch::Affine(at, map)),
            }
        }
        stretches
    }
}

fn check_places(places: &[Place], facts: &ModelFacts) -> Result<(), LayersError> {
    if places.is_empty() {
        return Err(LayersError::NoneLeft { layers: facts.layers });
    }
    let mut seen = vec![false; facts.layers];
    for place in places {
        match place {
            Place::Affine(map) if map.widths() != Some((facts.d_model, facts.d_model)) => {
                return Err(LayersError::Width { d_model: facts.d_model });
            }
            Place::Affine(_) => {}
            Place::Kept(layer) => match seen.get_mut(*layer) {
                None => {
                    return Err(LayersError::Unknown { layer: *layer, layers: facts.layers });
                }
                Some(true) => return Err(LayersError::Twice { layer: *layer }),
                Some(seen) => *seen = true,
            },
        }
    }
    Ok(())
}

/// Blocks under the numbers in which they are met.
fn counted_anew(blocks: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut numbers = Vec::new();
    let number = |block: usize| match numbers.iter().position(|known| *known == block) {
        Some(number) => number,
        None => {
            numbers.push(block);
            numbers.len() - 1
        }
    };
    blocks.map(number).collect()
}

fn facts_of_place(layers: &[LayerFacts], place: &Place) -> LayerFacts {
    match place {
        Place::Kept(layer) => layers[*layer],
        Place::Affine(map) => LayerFacts {
            parameters: map.parameters(),
            multiplied: map.multiplied(),
            ..LayerFacts::default()
        },
    }
}

/// Own parameters, and those of shared blocks once.
fn parameters(layers: &[LayerFacts]) -> usize {
    let shared = |layer: &LayerFacts| layer.shared.map(|block| block.number);
    let first = |i: usize| layers[..i].iter().all(|other| shared(other) != shared(&layers[i]));
    let of = |(i, layer): (usize, &LayerFacts)| {
        let block = layer.shared.filter(|_| first(i)).map_or(0, |block| block.parameters);
        layer.parameters + block
    };
    layers.iter().enumerate().map(of).sum()
}

/// Sizes with only these places.
fn facts_of(inner: &ModelFacts, layers: &[LayerFacts], places: &[Place]) -> ModelFacts {
    let left: Vec<LayerFacts> = places.iter().map(|p| facts_of_place(layers, p)).collect();
    let sum = |of: fn(&LayerFacts) -> usize, layers: &[LayerFacts]| -> usize {
        layers.iter().map(of).sum()
    };
    let ffn_sites = sum(|layer| layer.ffn_sites, &left);
    let states = sum(|layer| layer.state_sites, &left);
    let multiplied = |layer: &LayerFacts| layer.multiplied;
    ModelFacts {
        layers: places.len(),
        ffn_sites,
        neurons: if ffn_sites == 0 { 0 } else { inner.neurons },
        gated: inner.gated && ffn_sites > 0,
        state: inner.state.filter(|_| states > 0).map(|mut state| {
            state.sites = states;
            state
        }),
        attention_width: sum(|layer| layer.attention_width, &left),
        heads: inner.heads,
        parameters: inner.parameters - parameters(layers) + parameters(&left),
        multiplied: inner.multiplied - sum(multiplied, layers) + sum(multiplied, &left),
        ..*inner
    }
}

impl Model for Layered {
    fn facts(&self) -> ModelFacts {
        self.facts
    }

    fn layer_facts(&self, layer: usize) -> LayerFacts {
        self.of_place(&self.places[layer])
    }

    fn ffns(&self) -> Vec<&Ffn> {
        let ffns = self.inner.ffns();
        self.ffn_sites().into_iter().map(|site| ffns[site]).collect()
    }

    fn ffn_blocks(&self) -> Vec<usize> {
        let blocks = self.inner.ffn_blocks();
        counted_anew(self.ffn_sites().into_iter().map(|site| blocks[site]))
    }

    fn with_ffns(&self, ffns: Vec<Ffn>) -> Box<dyn Model> {
        let mut all: Vec<Ffn> = self.inner.ffns().into_iter().cloned().collect();
        for (site, ffn) in self.ffn_sites().into_iter().zip(ffns) {
            all[site] = ffn;
        }
        Box::new(self.over(self.inner.with_ffns(all)))
    }

    fn mixers(&self) -> Vec<&Mixer> {
        let mixers = self.inner.mixers();
        self.state_sites().into_iter().map(|site| mixers[site]).collect()
    }

    fn with_mixers(&self, mixers: Vec<Mixer>) -> Box<dyn Model> {
        let mut all: Vec<Mixer> = self.inner.mixers().into_iter().cloned().collect();
        for (site, mixer) in self.state_sites().into_iter().zip(mixers) {
            all[site] = mixer;
        }
        Box::new(self.over(self.inner.with_mixers(all)))
    }

    fn attentions(&self) -> Vec<&Attention> {
        let attentions = self.inner.attentions();
        self.attention_sites().into_iter().map(|site| attentions[site]).collect()
    }

    fn attention_blocks(&self) -> Vec<usize> {
        let blocks = self.inner.attention_blocks();
        counted_anew(self.attention_sites().into_iter().map(|site| blocks[site]))
    }

    fn with_attentions(&self, attentions: Vec<Attention>) -> Box<dyn Model> {
        let mut all: Vec<Attention> = self.inner.attentions().into_iter().cloned().collect();
        for (site, attention) in self.attention_sites().into_iter().zip(attentions) {
            all[site] = attention;
        }
        Box::new(self.over(self.inner.with_attentions(all)))
    }

    fn linears(&self, layer: usize) -> Vec<MatrixUse<'_>> {
        match &self.places[layer] {
            Place::Kept(inner) => {
                let uses = self.inner.linears(*inner).into_iter();
                uses.map(|of| MatrixUse { layer, ..of }).collect()
            }
            Place::Affine(map) => linears::uses(layer, map.linears()),
        }
    }

    fn map_linears(&self, map: &mut LinearMapper<'_>) -> Box<dyn Model> {
        // What is shared may be used first in a layer that was dropped.
        let mut first_uses = BTreeMap::new();
        for of in (0..self.places.len()).flat_map(|layer| self.linears(layer)) {
            first_uses.entry(of.name().clone()).or_insert((of.layer, of.input));
        }
        let inner = self.inner.map_linears(&mut |of| {
            let (layer, input) = *first_uses.get(of.name())?;
            map(&MatrixUse { layer, input, ..of.clone() })
        });
        let mut model = self.over(inner);
        let mut mapping = Mapping::new(map);
        for (layer, place) in model.places.iter_mut().enumerate() {
            if let Place::Affine(affine) = place {
                mapping.layer(layer, affine.linears_mut());
            }
        }
        Box::new(model)
    }

    fn map_vocabulary(&self, map: &mut dyn FnMut(&Tensor<2>) -> Tensor<2>) -> Box<dyn Model> {
        Box::new(self.over(self.inner.map_vocabulary(map)))
    }

    fn rotated(&self, rotation: &Tensor<2>) -> Result<Rotated, RotationError> {
        let Rotated { model, basis } = self.inner.rotated(rotation)?;
        let turn = Rotation::new(&basis, self.facts.d_model)?;
        let places = self.places.iter().map(|place| match place {
            Place::Affine(map) => Place::Affine(map.turned(&turn)),
            Place::Kept(layer) => Place::Kept(*layer),
        });
        let places = places.collect::<Vec<_>>();
        let inner = Arc::<dyn Model>::from(model);
        let layers: Vec<_> = (0..self.layers.len()).map(|layer| inner.layer_facts(layer)).collect();
        let facts = facts_of(&inner.facts(), &layers, &places);
        Ok(Rotated { model: Box::new(Self { inner, places, layers, facts }), basis })
    }

    fn save(&self, layers: &[usize]) -> Result<Saved, SaveError> {
        let inner = layers.iter().map(|layer| match &self.places[*layer] {
            Place::Kept(inner) => Ok(*inner),
            Place::Affine(_) => Err(SaveError::Affine { layer: *layer }),
        });
        self.inner.save(&inner.collect::<Result<Vec<_>, _>>()?)
    }

    fn new_cache(&self) -> Cache {
        let all = self.counts_before(self.places.len());
        Cache::empty(all.attentions, all.states)
    }

    fn start(&self, batch: &Batch) -> Result<Tensor<2>, ExecutorError> {
        self.inner.start(batch)
    }

    fn through(
        &self,
        places: Range<usize>,
        mut x: Tensor<2>,
        batch: &Batch,
        mut past: Option<&mut Cache>,
        executor: &mut dyn Executor,
    ) -> Result<Tensor<2>, ExecutorError> {
        let mut lent = past.is_some().then(|| self.inner.new_cache());
        for stretch in self.stretches(places) {
            let (at, layers) = match stretch {
                Stretch::Kept(at, layers) => (at, layers),
                Stretch::Affine(at, map) => {
                    let end = LayerEnd { layer: at, model: self, batch };
                    x = executor.layer_end(&end, map.forward(x))?;
                    continue;
                }
            };
            let [from, to] = [layers.start, layers.end].map(|layer| self.counts_below(layer));
            let before = self.counts_before(at);
            if let (Some(past), Some(lent)) = (past.as_deref_mut(), lent.as_mut()) {
                swap_pasts(past, before, lent, [from, to]);
            }
            let mut renumbered = Renumbered {
                executor: &mut *executor,
                layers: [layers.start, at],
                sites: [from, before],
            };
            x = self.inner.through(layers, x, batch, lent.as_mut(), &mut renumbered)?;
            if let (Some(past), Some(lent)) = (past.as_deref_mut(), lent.as_mut()) {
                swap_pasts(past, before, lent, [from, to]);
            }
        }
        Ok(x)
    }

    fn finish(&self, x: Tensor<2>) -> Tensor<2> {
        self.inner.finish(x)
    }

    fn logits_of(&self, hidden: Tensor<2>, ids: Range<usize>) -> Tensor<2> {
        self.inner.logits_of(hidden, ids)
    }
}

//! Sites of a model seen under the numbers of another that is made of its layers.

use std::{iter::Sum, ops::Add};

use burn::tensor::Tensor;

use crate::{
    AttentionInputs, AttentionSite, Cache, Executor, ExecutorError, FfnSite, KvCache, LayerEnd,
    LayerFacts, RecurrentState, StateInputs, StateSite,
};

/// How many sites of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SiteCounts {
    pub(crate) ffn: usize,
    pub(crate) states: usize,
    pub(crate) attentions: usize,
}

impl From<&LayerFacts> for SiteCounts {
    fn from(layer: &LayerFacts) -> Self {
        Self { ffn: layer.ffn_sites, states: layer.state_sites, attentions: layer.attentions }
    }
}

impl Add for SiteCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            ffn: self.ffn + other.ffn,
            states: self.states + other.states,
            attentions: self.attentions + other.attentions,
        }
    }
}

impl Sum for SiteCounts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Add::add)
    }
}

/// An executor that is told other numbers: what is the first layer and the first site underneath (the
/// first of each pair) is the second of the pair for it, and so on from there.
pub(crate) struct Renumbered<'a> {
    pub(crate) executor: &'a mut dyn Executor,
    pub(crate) layers: [usize; 2],
    pub(crate) sites: [SiteCounts; 2],
}

impl Renumbered<'_> {
    fn layer(&self, layer: usize) -> usize {
        let [from, to] = self.layers;
        layer - from + to
    }
}

impl Executor for Renumbered<'_> {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        let [from, to] = self.sites;
        let (index, layer) = (site.index - from.ffn + to.ffn, self.layer(site.layer));
        self.executor.ffn(&FfnSite { index, layer, ..*site }, x)
    }

    fn state(
        &mut self,
        site: &StateSite<'_>,
        inputs: StateInputs,
        past: Option<&mut RecurrentState>,
    ) -> Result<Tensor<2>, ExecutorError> {
        let [from, to] = self.sites;
        let (index, layer) = (site.index - from.states + to.states, self.layer(site.layer));
        self.executor.state(&StateSite { index, layer, ..*site }, inputs, past)
    }

    fn attention(
        &mut self,
        site: &AttentionSite<'_>,
        inputs: Vec<AttentionInputs>,
        past: Option<&mut KvCache>,
    ) -> Result<Tensor<2>, ExecutorError> {
        let [from, to] = self.sites;
        let index = site.index - from.attentions + to.attentions;
        let layer = self.layer(site.layer);
        self.executor.attention(&AttentionSite { index, layer, ..*site }, inputs, past)
    }

    fn layer_end(
        &mut self,
        end: &LayerEnd<'_>,
        stream: Tensor<2>,
    ) -> Result<Tensor<2>, ExecutorError> {
        self.executor.layer_end(&LayerEnd { layer: self.layer(end.layer), ..*end }, stream)
    }
}

/// Exchanges the entries of some layers between a cache of the model underneath, where they stand from
/// the first count to the second, and `past`, where they begin at `before`. Twice gives them back.
pub(crate) fn swap_pasts(
    past: &mut Cache,
    before: SiteCounts,
    lent: &mut Cache,
    [from, to]: [SiteCounts; 2],
) {
    let attentions = &mut lent.attention[from.attentions..to.attentions];
    let at = before.attentions..before.attentions + attentions.len();
    attentions.swap_with_slice(&mut past.attention[at]);
    let states = &mut lent.recurrent[from.states..to.states];
    let at = before.states..before.states + states.len();
    states.swap_with_slice(&mut past.recurrent[at]);
}
